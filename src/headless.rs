//! What can be had without a window? Every result, for scripts and servers.
//!
//! One file a subcommand: an `Args` struct and `run(&Args, &Terminal) -> Result<Answer>`. The answer is
//! printed here and nowhere else: text for people, or with `--json` one JSON object as the last line of
//! standard output. Progress goes to standard error. Exit codes: 0, 1 failed, 2 usage.

pub mod ab;
pub mod auctions;
pub mod augment;
pub mod bench;
pub mod bids;
pub mod cold;
pub mod compare;
pub mod compress;
pub mod copy;
pub mod coverage;
pub mod drift;
pub mod embed;
pub mod encode;
pub mod erase;
pub mod evaluate;
pub mod export;
pub mod exposure;
pub mod fairness;
pub mod federated;
pub mod find;
pub mod follow;
pub mod formats;
pub mod generate;
pub mod heads;
pub mod inside;
pub mod interests;
pub mod look_alikes;
pub mod map_users;
mod model_report;
pub mod models;
pub mod online;
pub mod onnx;
pub mod plan;
pub mod policy;
pub mod predict;
pub mod profile;
pub mod rank;
pub mod report;
pub mod reproduce;
pub mod robustness;
pub mod scenario;
pub mod search;
pub mod segment;
pub mod serve;
pub mod shortlist;
pub mod simulate;
pub mod slates;
pub mod slices;
pub mod source;
pub mod text;
pub mod topics;
pub mod tour;
pub mod train;
pub mod transfer;
pub mod why;

use crate::base::{Failure, Result, failure::Explain};
use crate::jobs::JobContext;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a subcommand answers with.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For people: a few aligned lines.
    pub text: String,
    /// For scripts: one object.
    pub json: serde_json::Value,
}

/// The terminal that a subcommand runs in.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    /// Set by Ctrl-C.
    pub cancel: Arc<AtomicBool>,
}

impl Terminal {
    /// A context whose warnings go to standard error and whose cancel is Ctrl-C.
    pub fn context(&self) -> JobContext {
        JobContext::watched(Arc::clone(&self.cancel), |text| Self::note(&text))
    }

    /// One line on standard error.
    pub fn note(text: &str) {
        // Nobody reads standard error when this fails; the work goes on.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// The command line, read.
#[derive(Debug, Parser)]
#[command(
    name = "adloupe",
    version,
    about = "A desktop workbench for ad targeting: campaign logs in, click models, inspection and simulated ad slots out.",
    args_conflicts_with_subcommands = true
)]
pub struct Invocation {
    /// A campaign log to open in the window.
    file: Option<PathBuf>,
    /// Save a picture of the window as soon as it is at rest, then close it.
    #[arg(long, value_name = "PNG")]
    screenshot: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Subcommands>,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    Ab(ab::Args),
    Auctions(auctions::Args),
    Bench(bench::Args),
    Bids(bids::Args),
    Copy(copy::Args),
    Coverage(coverage::Args),
    Drift(drift::Args),
    Embed(embed::Args),
    Encode(encode::Args),
    Erase(erase::Args),
    Evaluate(evaluate::Args),
    Export(export::Args),
    Compare(compare::Args),
    Exposure(exposure::Args),
    Shortlist(shortlist::Args),
    Fairness(fairness::Args),
    Heads(heads::Args),
    Interests(interests::Args),
    Inside(inside::Args),
    Find(find::Args),
    Follow(follow::Args),
    Formats(formats::Args),
    Generate(generate::Args),
    ModelReport(model_report::Args),
    LookAlikes(look_alikes::Args),
    MapUsers(map_users::Args),
    Models(models::Args),
    Online(online::Args),
    Onnx(onnx::Args),
    Plan(plan::Args),
    Policy(policy::Args),
    Predict(predict::Args),
    Profile(profile::Args),
    Rank(rank::Args),
    Report(report::Args),
    Reproduce(reproduce::Args),
    Robustness(robustness::Args),
    Scenario(scenario::Args),
    Augment(augment::Args),
    Cold(cold::Args),
    Compress(compress::Args),
    Federated(federated::Args),
    Search(search::Args),
    Segment(segment::Args),
    Serve(serve::Args),
    Simulate(simulate::Args),
    Text(text::Args),
    Topics(topics::Args),
    Slates(slates::Args),
    Slices(slices::Args),
    Tour(tour::Args),
    Train(Box<train::Args>),
    Transfer(transfer::Args),
    Why(why::Args),
}

impl Invocation {
    /// Reads this process's arguments; a wrong one ends the process with exit code 2 and the usage.
    pub fn from_arguments() -> Self {
        Self::parse()
    }

    /// True when a window is drawn while work runs behind it, on a screen or for a measurement.
    pub fn draws_window(&self) -> bool {
        match &self.command {
            None => true,
            Some(Subcommands::Bench(args)) => [bench::WINDOW, bench::FRAMES].contains(&args.name.as_str()),
            Some(_) => false,
        }
    }
}

/// Does what the command line asks for and tells how it went.
pub fn main(invocation: Invocation) -> ExitCode {
    let json = invocation.json;
    let outcome = match invocation.command {
        None => crate::ui::run_window(invocation.file, invocation.screenshot).map(|()| None),
        Some(command) => watch_ctrl_c().and_then(|terminal| run(&command, &terminal)).map(Some),
    };
    match outcome.and_then(|answer| answer.map_or(Ok(()), |answer| print(&answer, json))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            Terminal::note(&format!("adloupe: {failure}"));
            if json {
                // The message above is the answer that counts if standard output is gone.
                let _ = writeln!(std::io::stdout(), "{}", serde_json::json!({ "error": failure }));
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Subcommands, terminal: &Terminal) -> Result<Answer> {
    match command {
        Subcommands::Ab(args) => ab::run(args, terminal),
        Subcommands::Auctions(args) => auctions::run(args, terminal),
        Subcommands::Bench(args) => bench::run(args, terminal),
        Subcommands::Bids(args) => bids::run(args, terminal),
        Subcommands::Copy(args) => copy::run(args, terminal),
        Subcommands::Coverage(args) => coverage::run(args, terminal),
        Subcommands::Drift(args) => drift::run(args, terminal),
        Subcommands::Embed(args) => embed::run(args, terminal),
        Subcommands::Encode(args) => encode::run(args, terminal),
        Subcommands::Erase(args) => erase::run(args, terminal),
        Subcommands::Evaluate(args) => evaluate::run(args, terminal),
        Subcommands::Export(args) => export::run(args, terminal),
        Subcommands::Compare(args) => compare::run(args, terminal),
        Subcommands::Exposure(args) => exposure::run(args, terminal),
        Subcommands::Shortlist(args) => shortlist::run(args, terminal),
        Subcommands::Fairness(args) => fairness::run(args, terminal),
        Subcommands::Heads(args) => heads::run(args, terminal),
        Subcommands::Interests(args) => interests::run(args, terminal),
        Subcommands::Inside(args) => inside::run(args, terminal),
        Subcommands::Find(args) => find::run(args, terminal),
        Subcommands::Follow(args) => follow::run(args, terminal),
        Subcommands::Formats(args) => formats::run(args, terminal),
        Subcommands::Generate(args) => generate::run(args, terminal),
        Subcommands::LookAlikes(args) => look_alikes::run(args, terminal),
        Subcommands::ModelReport(args) => model_report::run(args, terminal),
        Subcommands::Models(args) => models::run(args, terminal),
        Subcommands::Online(args) => online::run(args, terminal),
        Subcommands::Plan(args) => plan::run(args, terminal),
        Subcommands::Policy(args) => policy::run(args, terminal),
        Subcommands::Predict(args) => predict::run(args, terminal),
        Subcommands::Profile(args) => profile::run(args, terminal),
        Subcommands::Rank(args) => rank::run(args, terminal),
        Subcommands::Report(args) => report::run(args, terminal),
        Subcommands::Reproduce(args) => reproduce::run(args, terminal),
        Subcommands::MapUsers(args) => map_users::run(args, terminal),
        Subcommands::Transfer(args) => transfer::run(args, terminal),
        Subcommands::Augment(args) => augment::run(args, terminal),
        Subcommands::Cold(args) => cold::run(args, terminal),
        Subcommands::Federated(args) => federated::run(args, terminal),
        Subcommands::Onnx(args) => onnx::run(args, terminal),
        Subcommands::Compress(args) => compress::run(args, terminal),
        Subcommands::Robustness(args) => robustness::run(args, terminal),
        Subcommands::Scenario(args) => scenario::run(args, terminal),
        Subcommands::Search(args) => search::run(args, terminal),
        Subcommands::Segment(args) => segment::run(args, terminal),
        Subcommands::Serve(args) => serve::run(args, terminal),
        Subcommands::Simulate(args) => simulate::run(args, terminal),
        Subcommands::Text(args) => text::run(args, terminal),
        Subcommands::Topics(args) => topics::run(args, terminal),
        Subcommands::Slates(args) => slates::run(args, terminal),
        Subcommands::Slices(args) => slices::run(args, terminal),
        Subcommands::Tour(args) => tour::run(args, terminal),
        Subcommands::Train(args) => train::run(args, terminal),
        Subcommands::Why(args) => why::run(args, terminal),
    }
}

fn print(answer: &Answer, json: bool) -> Result<()> {
    let text = if json { answer.json.to_string() } else { answer.text.clone() };
    writeln!(std::io::stdout(), "{}", text.trim_end()).explain("cannot print the answer")
}

/// The first Ctrl-C asks the work to stop; the second ends the process at once.
fn watch_ctrl_c() -> Result<Terminal> {
    let terminal = Terminal::default();
    let cancel = Arc::clone(&terminal.cancel);
    ctrlc::set_handler(move || {
        if cancel.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        Terminal::note("stopping (Ctrl-C again to end at once)");
    })
    .map_err(|error| Failure::new("cannot watch for Ctrl-C", error))?;
    Ok(terminal)
}
