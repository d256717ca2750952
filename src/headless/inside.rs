//! `adloupe inside`: what do the layers of a saved model do with the rows, and which fields meet in it?

use super::evaluate::asked;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::domain::Segment;
use crate::insight::inside::{Inside, PairTable, inside};
use crate::metrics::Estimate;
use crate::tasks::explain::asked_rows;
use std::path::PathBuf;

/// Which model and log, over which rows.
#[derive(Debug, clap::Args)]
#[command(
    about = "What the layers of a saved model do with the rows: sizes, slopes, gates, fields that meet, cuts"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Rows to look at, as text (`city = Berlin`); all test rows when not given.
    #[arg(long, value_name = "SEGMENT", default_value = "")]
    segment: String,
    /// Pairs of fields told as text; --json has them all.
    #[arg(long, value_name = "N", default_value_t = 12)]
    top: usize,
}

/// Looks.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, or the segment has no rows.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let (model, log, encoded) = asked(&args.model, &args.source, &context)?;
    let (rows, words) = asked_rows(&log, &encoded.dataset, &Segment::parse(&args.segment)?)?;
    let seen = inside(&model, &encoded.dataset, &rows, &context)?;
    let json = serde_json::to_value(&seen).explain("cannot write the answer")?;
    Ok(Answer { text: told(&model.kind, &words, &seen, args.top), json })
}

fn told(kind: &str, words: &str, seen: &Inside, top: usize) -> String {
    let mut lines = vec![format!(
        "{kind} over {} of {} rows ({words}), evenly spread",
        grouped(seen.rows_run as f64, ' '),
        grouped(seen.rows_asked as f64, ' ')
    )];
    lines.push(format!(
        "{:<28} {:>16} {:>12} {:>12}  rows read",
        "weights", "shape", "size (rms)", "slope (rms)"
    ));
    for of in &seen.weights {
        let shape: Vec<String> = of.shape.iter().map(ToString::to_string).collect();
        let slope = of.slope.map_or_else(|| "counted".to_owned(), |slope| format!("{slope:.3e}"));
        let read = of.rows_read.map_or_else(String::new, |rows| grouped(rows as f64, ' '));
        lines.push(format!(
            "{:<28} {:>16} {:>12.4} {:>12}  {read}",
            of.name,
            shape.join(" x "),
            of.weight,
            slope
        ));
    }
    if !seen.layers.is_empty() {
        lines.push(format!(
            "{:<28} {:>6} {:>10} {:>10} {:>10} {:>8} {:>6}",
            "what leaves", "width", "mean", "deviation", "largest", "zeros", "dead"
        ));
    }
    lines.extend(seen.layers.iter().map(|of| {
        format!(
            "{:<28} {:>6} {:>10.4} {:>10.4} {:>10.4} {:>6.1} % {:>6}",
            of.name,
            of.width,
            of.mean,
            of.deviation,
            of.largest,
            100.0 * of.zeros,
            of.dead
        )
    }));
    for gate in &seen.gates {
        let experts: Vec<String> =
            gate.experts.iter().map(|expert| Estimate::known_in_words(*expert, 3)).collect();
        let evenness = Estimate::known_in_words(gate.evenness, 3);
        lines.push(format!("{}: experts {}; evenness {evenness}", gate.name, experts.join(", ")));
    }
    seen.pairs.iter().chain(&seen.crosses).for_each(|table| lines.extend(pair_lines(table, top)));
    for cut in &seen.cuts {
        lines.push(format!("{}: {} cuts, a row meets {:.1} of them", cut.feature, cut.cuts, cut.asked));
    }
    lines.join("\n")
}

/// The strongest pairs first.
fn pair_lines(table: &PairTable, top: usize) -> Vec<String> {
    let n = table.fields.len();
    let is_symmetric = !table.signed.is_empty();
    let mut cells: Vec<usize> = (0..n * n)
        .filter(|cell| !table.strength[*cell].is_nan() && (!is_symmetric || cell / n < cell % n))
        .collect();
    cells.sort_by(|a, b| table.strength[*b].total_cmp(&table.strength[*a]));
    let line = |cell: usize| {
        let (one, other) = (&table.fields[cell / n], &table.fields[cell % n]);
        let signed =
            table.signed.get(cell).map_or_else(String::new, |mean| format!(", on average {mean:+.4}"));
        format!("  {one} x {other}: {:.4}{signed}", table.strength[cell])
    };
    std::iter::once(format!("{}, strongest first", table.name))
        .chain(cells.into_iter().take(top).map(line))
        .collect()
}
