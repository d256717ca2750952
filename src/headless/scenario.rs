//! `adloupe scenario`: simulations kept as files, compared, remarked on, run again and handed on.

use super::simulate::read_spec;
use super::{Answer, Terminal};
use crate::base::{Failure, Result, failure::Explain};
use crate::market::beside::{self, Line};
use crate::market::kept::{self, Kept, folder_of};
use clap::Subcommand;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What to do with scenarios.
#[derive(Debug, clap::Args)]
#[command(about = "Keeps simulations as files: compared, remarked on, run again, exported")]
pub struct Args {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Runs a spec and keeps it with its figures.
    Keep(KeepArgs),
    /// Tells scenarios side by side, with their remarks.
    Show(FilesArgs),
    /// Adds a remark.
    Remark(RemarkArgs),
    /// Runs a scenario with other seeds and adds the runs.
    Rerun(RerunArgs),
    /// Runs every kept run again: are its figures the very same?
    Check(FilesArgs),
    /// Writes the spec and a table of all figures, each with the command that gives them.
    Export(ExportArgs),
}

/// What to keep.
#[derive(Debug, clap::Args)]
pub struct KeepArgs {
    /// The spec, as `adloupe simulate` reads it.
    spec: PathBuf,
    /// The file of the scenario.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What people call it [default: the spec's file name].
    #[arg(long)]
    name: Option<String>,
    /// Seeds to run it with, such as 1,2,5-9 [default: the spec's own].
    #[arg(long)]
    seeds: Option<String>,
}

/// Which scenarios.
#[derive(Debug, clap::Args)]
pub struct FilesArgs {
    /// Files of scenarios.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What to say.
#[derive(Debug, clap::Args)]
pub struct RemarkArgs {
    /// The file of the scenario.
    file: PathBuf,
    /// What is to be remembered.
    text: String,
    /// Who says it.
    #[arg(long)]
    by: String,
}

/// Which seeds.
#[derive(Debug, clap::Args)]
pub struct RerunArgs {
    /// The file of the scenario.
    file: PathBuf,
    /// Seeds, such as 1,2,5-9.
    #[arg(long)]
    seeds: String,
}

/// Where to.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The file of the scenario.
    file: PathBuf,
    /// A folder for the spec and the table.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Does it.
///
/// # Errors
/// What the scenario, the market or the disk answers; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    match &args.command {
        Commands::Keep(args) => keep(args, terminal),
        Commands::Show(args) => show(&args.files),
        Commands::Remark(args) => remark(args),
        Commands::Rerun(args) => rerun(args, terminal),
        Commands::Check(args) => check(args, terminal),
        Commands::Export(args) => export(args),
    }
}

fn keep(args: &KeepArgs, terminal: &Terminal) -> Result<Answer> {
    let spec = read_spec(&args.spec)?;
    let seeds = args.seeds.as_deref().map_or(Ok(vec![spec.seed]), kept::seeds)?;
    let named = args.spec.file_stem().map(|name| name.to_string_lossy().into_owned());
    let name = args.name.clone().or(named).unwrap_or_default();
    let folder = folder_of(&args.out);
    let mut kept = Kept::new(&name, &spec, folder_of(&args.spec), folder)?;
    kept.rerun(&seeds, folder, &terminal.context(), &Terminal::note)?;
    kept.save(folder, &args.out)?;
    show(std::slice::from_ref(&args.out))
}

fn rerun(args: &RerunArgs, terminal: &Terminal) -> Result<Answer> {
    let seeds = kept::seeds(&args.seeds)?;
    let (mut kept, folder) = (Kept::load(&args.file)?, folder_of(&args.file));
    kept.rerun(&seeds, folder, &terminal.context(), &Terminal::note)?;
    kept.save(folder, &args.file)?;
    show(std::slice::from_ref(&args.file))
}

fn remark(args: &RemarkArgs) -> Result<Answer> {
    let (mut kept, folder) = (Kept::load(&args.file)?, folder_of(&args.file));
    kept.remark(&args.by, &args.text, SystemTime::now())?;
    kept.save(folder, &args.file)?;
    show(std::slice::from_ref(&args.file))
}

fn export(args: &ExportArgs) -> Result<Answer> {
    let kept = Kept::load(&args.file)?;
    let [spec, table] = kept.export(folder_of(&args.file), &args.out)?;
    let commands: Vec<String> = kept.runs.iter().map(|run| Kept::command(run, &spec)).collect();
    let text = format!(
        "spec written to {}\nfigures written to {}\nthe same figures:\n  {}",
        spec.display(),
        table.display(),
        commands.join("\n  ")
    );
    Ok(Answer { text, json: json!({ "spec": spec, "table": table, "commands": commands }) })
}

fn check(args: &FilesArgs, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let (mut text, mut told, mut others) = (String::new(), Vec::new(), 0);
    for file in &args.files {
        let kept = Kept::load(file)?;
        for (seed, same) in kept.reproduced(folder_of(file), &context, &Terminal::note)? {
            let words = if same { "the very same figures" } else { "OTHER FIGURES" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}, seed {seed}: {words}", kept.name);
            others += usize::from(!same);
            told.push(json!({ "scenario": kept.name, "seed": seed, "same": same }));
        }
    }
    if others > 0 {
        return Err(Failure::new("cannot get the same figures", text.trim_end())
            .hint("another version of adloupe or another processor may round otherwise, and a model that is trained anew is another one where its training differs; keep the scenario anew"));
    }
    Ok(Answer { text, json: json!({ "runs": told }) })
}

fn show(files: &[PathBuf]) -> Result<Answer> {
    let scenarios: Vec<Kept> = files.iter().map(|file| Kept::load(file)).collect::<Result<_>>()?;
    let lines = beside::compare(&scenarios.iter().collect::<Vec<_>>());
    let mut text = table(&lines);
    for (kept, file) in scenarios.iter().zip(files) {
        if let Err(failure) = kept.check_files(folder_of(file)) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {failure}", kept.name);
        }
        for remark in &kept.remarks {
            let _ = writeln!(text, "{}, {} ({} UTC): {}", kept.name, remark.by, remark.at, remark.text);
        }
    }
    let told = |kept: &Kept, file: &Path| {
        let kept = serde_json::to_value(kept).explain("cannot write the answer")?;
        Ok(json!({ "file": file, "kept": kept }))
    };
    let told: Vec<serde_json::Value> =
        scenarios.iter().zip(files).map(|(kept, file)| told(kept, file)).collect::<Result<_>>()?;
    let lines = serde_json::to_value(&lines).explain("cannot write the answer")?;
    Ok(Answer { text, json: json!({ "lines": lines, "scenarios": told }) })
}

fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "  {:<24} {:<9} {:>5} {:>11} {:>8} {:>24} {:>30} {:>30}\n",
        "scenario",
        "world",
        "seeds",
        "impressions",
        "clicks",
        "CTR % (95 %)",
        "revenue per 1000 (95 %)",
        "against the first (95 %)"
    );
    for line in lines {
        let ctr = line.ctr;
        let ctr = format!("{:.3} ({:.3} to {:.3})", 100.0 * ctr.value, 100.0 * ctr.low, 100.0 * ctr.high);
        let against = line.against_first.map_or_else(String::new, |against| {
            let told = against.revenue_per_mille;
            format!("{:+.2} ({:+.2} to {:+.2}), {} seeds", told.value, told.low, told.high, against.seeds)
        });
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:<24} {:<9} {:>5} {:>11.1} {:>8.1} {ctr:>24} {:>30} {against:>30}",
            line.scenario,
            line.world,
            line.seeds.len(),
            line.impressions,
            line.clicks,
            line.revenue_per_mille.in_words(2),
        );
    }
    text
}
