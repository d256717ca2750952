//! `adloupe cold`: how good a kind of model is on users and ads that it never met, prepared and not.

use super::source::SourceArgs;
use super::train::name_value;
use super::{Answer, Terminal};
use crate::base::numbers::{grouped, short};
use crate::base::{Result, failure::Explain};
use crate::data::dataset::open_prepared;
use crate::data::options::EncodeOptions;
use crate::insight::cold_start::{AdPriors, ColdGroup, ColdPlan, ColdStart, GivenUp, cold_start};
use crate::insight::ways::Way;
use crate::metrics::Estimate;

/// Which log and kind, and who is held out.
#[derive(Debug, clap::Args)]
#[command(
    about = "Holds users and ads out, trains without them, and tells what it brings to read them as those alike or to forget ids while training"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Kind of model with learnt rows: fm, deep_fm, ...
    #[arg(long, default_value = "deep_fm")]
    model: String,
    /// Share of users, and of ads, that is held out.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    share: f64,
    /// Share of the rows that forget the user, and share that forget the ad, in the second training.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    mask: f64,
    /// A knob of the model or of training, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// Start of every random draw.
    #[arg(long)]
    seed: Option<u64>,
}

/// Ads listed.
const LISTED: usize = 12;

/// Holds out, trains twice, measures.
///
/// # Errors
/// The log cannot be read or has no users and ads, or the question makes no sense.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let mut spec = args.source.spec(&args.model, &args.set)?;
    if let Some(seed) = args.seed {
        spec.set("seed", &seed.to_string())?;
    }
    let options = EncodeOptions::default();
    let dataset = open_prepared(&args.source.files, &args.source.options()?, &options, &context)?;
    let plan = ColdPlan { spec, share: args.share, mask: args.mask };
    let found = cold_start(&dataset, &plan, &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&found), json })
}

fn text(found: &ColdStart) -> String {
    let mut lines = vec![format!(
        "{}: {} % of users and of ads held out; rows that forgot an id: {} %",
        found.kind,
        short(100.0 * found.share),
        short(100.0 * found.mask)
    )];
    found.groups.iter().for_each(|group| lines.extend(of_group(group)));
    if let Some(priors) = &found.priors {
        lines.extend(of_priors(priors));
    }
    lines.join("\n")
}

fn of_group(group: &ColdGroup) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        format!(
            "new {}: {} of them, {} test rows, {} clicks",
            group.column,
            grouped(group.ids as f64, ' '),
            grouped(group.rows as f64, ' '),
            grouped(group.clicks, ' ')
        ),
    ];
    lines.extend(of_ways("read as", &group.ways));
    lines.extend(group.given_up.iter().map(fallen_back));
    lines
}

/// A line for each way, below a head that tells what they are ways to do.
pub(super) fn of_ways(head: &str, ways: &[Way]) -> Vec<String> {
    let mut lines = vec![format!(
        "{head:<32} {:>24} {:>24} {:>27} {:>27}",
        "AUC, 95 %", "log loss, 95 %", "AUC higher by", "log loss higher by"
    )];
    lines.extend(ways.iter().map(|way| {
        let gain = |known: Option<Estimate>| known.map_or("-".to_owned(), |known| known.in_words(4));
        format!(
            "{:<32} {:>24} {:>24} {:>27} {:>27}",
            way.way,
            Estimate::known_in_words(way.measures.auc, 4),
            Estimate::known_in_words(way.measures.log_loss, 4),
            gain(way.auc_gain),
            gain(way.loss_gain)
        )
    }));
    lines
}

/// How far rows fell back, in words.
fn fallen_back(one: &GivenUp) -> String {
    let rows = grouped(one.rows as f64, ' ');
    match (one.is_mean, one.shared.is_empty()) {
        (false, _) => format!("  {rows} rows: too few were learnt for a mean, the row of rare values"),
        (true, true) => format!("  {rows} rows: the mean of all"),
        (true, false) => format!("  {rows} rows: the mean of those with the same {}", one.shared.join(", ")),
    }
}

fn of_priors(priors: &AdPriors) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        format!(
            "priors of new ads: of {} ads {} came to lie in the 95 % that was foretold",
            priors.ads, priors.inside
        ),
        format!(
            "{:<18} {:>5} {:>16} {:>24} {:>13} {:>8} {:>24}",
            "ad", "from", "prior a, b", "expected rate, 95 %", "impressions", "clicks", "rate now, 95 %"
        ),
    ];
    lines.extend(priors.listed.iter().take(LISTED).map(|ad| {
        format!(
            "{:<18} {:>5} {:>16} {:>24} {:>13} {:>8} {:>24}",
            ad.ad,
            ad.from,
            format!("{}, {}", short(ad.prior.a), short(ad.prior.b)),
            ad.expected.in_words(4),
            grouped(ad.shown, ' '),
            grouped(ad.clicks, ' '),
            ad.posterior.in_words(4)
        )
    }));
    lines
}
