//! `adloupe tour --out DIR`: the whole program in pictures, without a display.

use super::{Answer, Terminal};
use crate::base::files::write_atomically;
use crate::base::{Result, failure::Explain};
use crate::ui::tour::{Tour, tour};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Runs the main job on the sample data and writes a picture of every panel, dark and light.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the pictures and `numbers.json`.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Makes the pictures and the numbers behind them.
///
/// # Errors
/// What [`tour`] answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let tour = tour(&args.out, &terminal.context())?;
    let numbers = numbers(&tour);
    let text = serde_json::to_string_pretty(&numbers).explain("cannot write the numbers of the tour")?;
    let path = args.out.join("numbers.json");
    write_atomically(&path, |out| {
        out.write_all(text.as_bytes()).explain("cannot write the numbers of the tour")
    })?;
    let mut lines = String::new();
    for picture in &tour.pictures {
        // Writing into a String cannot fail.
        let _ = writeln!(lines, "{}", picture.display());
    }
    let _ = writeln!(lines, "{}", path.display());
    Ok(Answer { text: lines, json: numbers })
}

fn numbers(tour: &Tour) -> serde_json::Value {
    let store = &tour.session.store;
    let models: Vec<_> = store.training.models.iter().map(|run| json!(run.model.card)).collect();
    let notices: Vec<_> = tour.session.notices.all().iter().map(|notice| notice.text.clone()).collect();
    json!({
        "pictures": tour.pictures,
        "rows": store.log.as_ref().map(|log| log.frame.rows()),
        "label": store.log.as_ref().and_then(|log| log.profile.label.clone()),
        "models": models,
        "evaluation": store.inspect.evaluated.as_ref().map(|evaluated| &evaluated.evaluation),
        "notices": notices,
    })
}
