//! `adloupe formats`: which files can be read?

use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::importers::IMPORTERS;
use serde_json::json;

/// Lists the formats that can be read.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// One line a format.
///
/// # Errors
/// None.
#[allow(clippy::unnecessary_wraps, reason = "every subcommand has the same shape")]
pub fn run(_args: &Args, _terminal: &Terminal) -> Result<Answer> {
    let lines = IMPORTERS.iter().map(|importer| format!("{:8} {}", importer.id(), importer.summary()));
    let formats =
        IMPORTERS.iter().map(|importer| json!({ "id": importer.id(), "summary": importer.summary() }));
    Ok(Answer {
        text: lines.collect::<Vec<_>>().join("\n"),
        json: json!({ "formats": formats.collect::<Vec<_>>() }),
    })
}
