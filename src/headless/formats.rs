//! `adloupe formats`: which files can be read?

use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::importers::{IMPORTERS, SETS};
use serde_json::json;

/// Lists the formats that can be read.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// One line a format, and one for each set that is known by the names of its columns.
///
/// # Errors
/// None.
#[allow(clippy::unnecessary_wraps, reason = "every subcommand has the same shape")]
pub fn run(_args: &Args, _terminal: &Terminal) -> Result<Answer> {
    let line = |id: &str, summary: &str| format!("{id:20} {summary}");
    let lines = IMPORTERS.iter().map(|importer| line(importer.id(), importer.summary()));
    let header = "\nKnown by the names of their columns, in any of these formats:".to_owned();
    let sets = SETS.iter().map(|set| line(set.id, set.summary));
    let formats =
        IMPORTERS.iter().map(|importer| json!({ "id": importer.id(), "summary": importer.summary() }));
    let known = SETS.iter().map(|set| json!({ "id": set.id, "summary": set.summary }));
    Ok(Answer {
        text: lines.chain([header]).chain(sets).collect::<Vec<_>>().join("\n"),
        json: json!({ "formats": formats.collect::<Vec<_>>(), "sets": known.collect::<Vec<_>>() }),
    })
}
