//! `adloupe copy`: words for advertisements, held against what is true, reviewed by a person, kept with their history.

pub mod check;
pub mod draft;
pub mod library;
pub mod look;
pub mod tune;

use super::{Answer, Terminal};
use crate::adcopy::meanings::Meanings;
use crate::adcopy::{Originals, Rulebook};
use crate::base::{Failure, Result};
use crate::language::sentence::SentenceEncoder;
use clap::Subcommand;
use std::path::Path;
use std::sync::Arc;

/// What to do with words.
#[derive(Debug, clap::Args)]
#[command(about = "Checks, drafts and reviews the words of advertisements")]
pub struct Args {
    #[command(subcommand)]
    command: CopyCommands,
}

#[derive(Debug, Subcommand)]
enum CopyCommands {
    Audit(library::AuditArgs),
    Check(check::Args),
    Draft(draft::Args),
    Import(library::ImportArgs),
    List(library::ListArgs),
    Look(look::LookArgs),
    Picture(look::PictureArgs),
    Review(library::ReviewArgs),
    Show(look::ShowArgs),
    Tune(tune::Args),
}

/// Does it.
///
/// # Errors
/// What the subcommand answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    match &args.command {
        CopyCommands::Audit(args) => library::audit(args, terminal),
        CopyCommands::Check(args) => check::run(args, terminal),
        CopyCommands::Draft(args) => draft::run(args, terminal),
        CopyCommands::Import(args) => library::import(args, terminal),
        CopyCommands::List(args) => library::list(args, terminal),
        CopyCommands::Look(args) => look::look(args, terminal),
        CopyCommands::Picture(args) => look::picture(args, terminal),
        CopyCommands::Review(args) => library::review(args, terminal),
        CopyCommands::Show(args) => look::show(args, terminal),
        CopyCommands::Tune(args) => tune::run(args, terminal),
    }
}

/// The rules of a folder, or the program's own.
fn rulebook(folder: Option<&Path>) -> Result<Arc<Rulebook>> {
    folder.map_or_else(Rulebook::built_in, Rulebook::from_folder)
}

/// Texts of files, one a line, as known texts that nothing may be like.
fn third_party(files: &[std::path::PathBuf]) -> Result<Vec<crate::adcopy::KnownText>> {
    let mut known = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let source = |line: usize| format!("{name}, line {}", line + 1);
        let lines = lines_of(file)?;
        known.extend(
            lines.into_iter().map(|(line, text)| crate::adcopy::KnownText { source: source(line), text }),
        );
    }
    Ok(known)
}

/// The lines of a text file that hold something, with their places.
fn lines_of(file: &Path) -> Result<Vec<(usize, String)>> {
    let what = "cannot read the texts";
    let text = std::fs::read_to_string(file)
        .map_err(|error| crate::base::files::disk_failure(what, file, &error))?;
    let lines: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(place, line)| (place, line.to_owned()))
        .collect();
    if lines.is_empty() {
        return Err(Failure::new(what, "the file holds no text").at(file.display()).hint("one text a line"));
    }
    Ok(lines)
}

/// Known texts with their index; by meaning too, where an encoder is named.
fn originals(
    files: &[std::path::PathBuf],
    encoder: Option<&Path>,
    terminal: &Terminal,
) -> Result<Arc<Originals>> {
    let known = third_party(files)?;
    let Some(folder) = encoder else { return Ok(Originals::new(known)) };
    let mut meanings = Meanings::new(Arc::new(SentenceEncoder::open(folder)?));
    let missing = meanings.missing(known.iter().map(|known| known.text.as_str()));
    meanings.read(&missing, &terminal.context())?;
    Ok(Originals::with_meaning(known, Arc::new(meanings)))
}
