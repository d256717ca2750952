//! `adloupe bids`: what would other bids have won in a log of second-price auctions, and how likely is a bid to win?

use super::policy::predictor_of;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Result, failure::Explain};
use crate::market::landscape::{self, BidColumns, FACTORS, Landscape, Replayed};
use std::fmt::Write;
use std::path::PathBuf;

/// Which log, which columns, which bids.
#[derive(Debug, clap::Args)]
#[command(
    about = "Replays other bids on logged second-price auctions, and the win curve behind censored prices"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The column with the bids [default: the price whose name says bid].
    #[arg(long, value_name = "COLUMN")]
    bid: Option<String>,
    /// The column with the prices paid, empty where lost [default: the price whose name says pay].
    #[arg(long, value_name = "COLUMN")]
    paid: Option<String>,
    /// The column that is 1 where the auction was won [default: won where something was paid].
    #[arg(long, value_name = "COLUMN")]
    won: Option<String>,
    /// Stops buying once so much is spent, in the log's own unit.
    #[arg(long)]
    budget: Option<f64>,
    /// Factors on the logged bids that are tried.
    #[arg(long, value_delimiter = ',', default_values_t = FACTORS)]
    factors: Vec<f64>,
    /// Tells the best bid of somebody to whom an impression is worth so much, if the winner paid the own bid.
    #[arg(long)]
    worth: Option<f64>,
    /// A saved model: tells how much less than it predicted was clicked on the auctions that were won.
    #[arg(long, value_name = "FOLDER", conflicts_with = "train")]
    model: Option<PathBuf>,
    /// A kind of model to train on the log for that.
    #[arg(long, value_name = "KIND")]
    train: Option<String>,
}

/// Reads the bids, replays, draws the curve.
///
/// # Errors
/// The log cannot be read or has no bids and prices; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    let columns = BidColumns { bid: args.bid.clone(), paid: args.paid.clone(), won: args.won.clone() };
    let bids = landscape::bids_of_log(&log, &columns)?;
    let mut found = landscape::survey((args.source.name(), 1.0), &bids, &args.factors, args.budget)?;
    if let Some(predictor) = predictor_of(args.model.as_deref(), args.train.as_deref(), &log, &context)? {
        found.mark_down(&bids, &predictor, &context)?;
    }
    let mut json = serde_json::to_value(&found).explain("cannot write the answer")?;
    let best = args.worth.map(|worth| (worth, found.best_first_price_bid(worth)));
    if let (Some(json), Some((worth, best))) = (json.as_object_mut(), best) {
        json.insert("worth".to_owned(), worth.into());
        json.insert("best_first_price_bid".to_owned(), best.map(|(bid, _)| bid).into());
    }
    Ok(Answer { text: text(&found, best), json })
}

type Best = (f64, Option<(f64, f64)>);

fn text(found: &Landscape, best: Option<Best>) -> String {
    let mut text = format!("{}: {} auctions, {} won\n", found.source, found.auctions, found.won);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  {:>8} {:>10} {:>8} {:>14} {:>12} {:>12}",
        "bids x", "won", "clicks", "spend", "per click", "unknown"
    );
    let mut line = |name: &str, replayed: &Replayed| {
        let per_click = if replayed.clicks > 0 {
            format!("{:.3}", replayed.spend / replayed.clicks as f64)
        } else {
            "n/a".to_owned()
        };
        let _ = writeln!(
            text,
            "  {name:>8} {:>10} {:>8} {:>14.2} {per_click:>12} {:>12}",
            replayed.wins, replayed.clicks, replayed.spend, replayed.unknown
        );
    };
    line("logged", &found.logged);
    for (factor, replayed) in &found.factors {
        line(&format!("{factor}"), replayed);
    }
    text.push_str("  unknown: lost in the log, and the bid might have won; no log says at what price\n");
    text.push_str("  a bid of      wins with probability (95 %)\n");
    for [bid, win, low, high] in found.curve.iter().step_by(20).skip(1) {
        let _ = writeln!(text, "  {bid:>9.2}   {win:.3} ({low:.3} to {high:.3})");
    }
    match best {
        Some((worth, Some((bid, gain)))) => {
            let _ = writeln!(
                text,
                "  worth {worth}: at first price bid {bid:.3}, a gain of {gain:.4} an auction"
            );
        }
        Some((worth, None)) => {
            let _ = writeln!(text, "  worth {worth}: no bid gains anything");
        }
        None => {}
    }
    if let Some(factor) = &found.marked_down {
        let words = factor.in_words(3);
        let _ = writeln!(
            text,
            "  winner's curse: of what was won, {words} times as much was clicked as predicted"
        );
    }
    for note in &found.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    text
}
