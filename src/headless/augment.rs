//! `adloupe augment`: do made rows help a thin segment?

use super::source::SourceArgs;
use super::train::name_value;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::data::dataset::prepare;
use crate::data::options::EncodeOptions;
use crate::data::query::matching_rows;
use crate::domain::Segment;
use crate::insight::augmentation::{AugmentPlan, Augmented, Distance, augmentation};
use crate::metrics::Estimate;
use crate::metrics::gains::Gains;
use crate::train::gan::Game;

/// Which segment, and how many rows are made of it.
#[derive(Debug, clap::Args)]
#[command(
    about = "Trains a generator against a discriminator, makes rows of a thin segment, and tells what they are like and whether they help, beside as many real rows repeated"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The segment, as text (`category = 'games'`).
    #[arg(long, value_name = "SEGMENT")]
    segment: String,
    /// Kind of model that is trained with and without made rows.
    #[arg(long, default_value = "deep_fm")]
    model: String,
    /// Rows made, as a share of the segment's training rows.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    share: f64,
    /// Seeds of the models.
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: usize,
    /// Steps of generator and discriminator.
    #[arg(long, value_name = "N", default_value_t = 1500)]
    steps: usize,
    /// A knob of the model or of training, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
}

/// Columns and pairs that are listed.
const LISTED: usize = 8;

/// Makes rows, trains with and without.
///
/// # Errors
/// The log cannot be read, or what [`augmentation`] refuses.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let spec = args.source.spec(&args.model, &args.set)?;
    let log = args.source.open(&context)?;
    let rows = matching_rows(&log, &Segment::parse(&args.segment)?)?;
    let dataset = prepare(&log, &EncodeOptions::default(), &context)?;
    let game = Game { steps: args.steps, ..Game::default() };
    let plan = AugmentPlan { spec, game, share: args.share, seeds: args.seeds };
    let found = augmentation(&dataset, &rows, &plan, &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&found), json })
}

fn text(found: &Augmented) -> String {
    let mut lines = vec![
        format!(
            "{} rows made for the segment's {}",
            grouped(found.made as f64, ' '),
            grouped(found.rows as f64, ' ')
        ),
        format!(
            "the discriminator is right about {} of real and made rows that it was not trained on (50 % where it cannot tell); \
             value of the game {:.3} (-1.386)",
            found.told_apart.estimate().in_percent(),
            found.game_value
        ),
        format!("{:<40} {:>10} {:>10}", "distance of shares (0 to 1)", "made rows", "by chance"),
    ];
    let of = |distance: &Distance| {
        format!("{:<40} {:>10.3} {:>10.3}", distance.of, distance.distance, distance.by_chance)
    };
    lines.extend(found.columns.iter().map(of));
    lines.extend(found.pairs.iter().take(LISTED).map(of));
    lines.push(format!(
        "{:<30} {:>24} {:>24} {:>26} {:>26}",
        "more training rows", "AUC before, 95 %", "AUC with them", "AUC higher by", "log loss higher by"
    ));
    let line = |(name, gains): (&str, &Gains)| {
        let words = |known| Estimate::known_in_words(known, 4);
        format!(
            "{name:<30} {:>24} {:>24} {:>26} {:>26}",
            words(gains.auc[0]),
            words(gains.auc[1]),
            words(gains.auc_gain),
            words(gains.loss_gain)
        )
    };
    for (judged, whose) in [(&found.segment, "of the segment"), (&found.whole, "in all")] {
        lines.push(format!("on {} test rows {whose}:", grouped(judged.rows as f64, ' ')));
        lines.extend(judged.lines().map(line));
    }
    lines.push(found.verdict());
    lines.join("\n")
}
