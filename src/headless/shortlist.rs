//! `adloupe shortlist`: how few ads must a model of two towers score to find a user's best ones?

use super::evaluate::encoded;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::insight::shortlist::{Shortlist, ShortlistQuestion, shortlist};
use crate::train::TrainedModel;
use std::path::PathBuf;

/// Which model and log, and how long the lists are.
#[derive(Debug, clap::Args)]
#[command(
    about = "Approximate retrieval: the share of the best ads that a search among the vectors of two towers finds, beside all ads scored"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Length of a list.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Users whose lists are made, at most.
    #[arg(long, value_name = "N", default_value_t = 200)]
    users: usize,
}

/// Makes the lists by all ads and by fewer.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, the model has no towers, the log has too few ads.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let model = TrainedModel::load(&args.model)?;
    let log = args.source.open(&context)?;
    let encoded = encoded(&model.encoder, &log, &args.source, false, &context)?;
    let question = ShortlistQuestion { k: args.top, users: args.users };
    let found = shortlist(&model, &encoded.dataset, question, &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&found), json })
}

fn text(found: &Shortlist) -> String {
    let mut lines =
        vec![format!("{:>12} {:>12} {:>28} {:>12}", "cells", "ads scored", "recall, 95 %", "ms a user")];
    for way in &found.ways {
        lines.push(format!(
            "{:>12} {:>10.1} % {:>28} {:>12.3}",
            format!("{} of {}", way.probed, found.cells),
            100.0 * way.looked_at,
            way.recall.in_words(3),
            way.ms
        ));
    }
    lines.push(format!("{:>12} {:>10.1} % {:>28} {:>12.3}", "all", 100.0, "1", found.all_ms));
    lines.push(format!(
        "lists of {} of {} ads for {} users of the test rows; recall is the share of the best of all ads that is found; the \
         cells were made in {:.2} s",
        found.k,
        grouped(found.ads as f64, ' '),
        grouped(found.users as f64, ' '),
        found.index_s
    ));
    lines.join("\n")
}
