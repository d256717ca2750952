//! Which words bring more clicks? Other words for an ad of the log, which enter its campaign's auctions beside it.
//!
//! Nobody has clicked on them yet. The bidder believes their forecast: the prediction of the ad whose place they take, moved
//! in log odds so that its mean over the audience is the forecast's. What people really think of them is drawn once from the
//! forecast's interval (normal in log odds), by seed and name, and clicks come from there. So bidders gain by trying them
//! (`"exploration": {"thompson": 20}`), and a bad one is found out.

use super::Scores;
use super::spec::{ClickSource, MarketSpec};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::domain::{Creative, CreativeLibrary};
use crate::metrics::rates::Z_95;
use crate::metrics::{Estimate, Rate};
use crate::nn::losses::sigmoid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Steps of the search for a shift: log odds to a billionth.
const STEPS: usize = 60;
/// Log odds that a forecast moves a prediction by at most.
const FARTHEST: f64 = 12.0;

/// Other words for an ad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its own name, as of a creative of the library.
    pub name: String,
    /// The ad of the log whose place it takes, in every campaign that shows that.
    pub of: String,
    /// Its words.
    #[serde(default)]
    pub text: String,
    /// How often the audience is forecast to click on it, with the interval of words that nobody has seen.
    pub forecast: Estimate,
    /// True while nobody approved it: it is marked wherever it is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
}

/// What came of one in a world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantOutcome {
    /// Its name, or that of the ad whose place it takes.
    pub name: String,
    /// True for an ad of the log.
    pub is_own: bool,
    /// Impressions.
    pub impressions: u64,
    /// Clicks per impression with its interval.
    pub ctr: Rate,
    /// Of the impressions of all that compete for the place.
    pub share: Rate,
}

/// A variant in the columns of a market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column {
    /// Column of the ad whose place it takes.
    of: usize,
    /// Log odds that the bidder adds to the ad's.
    believed: f64,
    /// The same as people do.
    true_shift: f64,
}

impl Variant {
    fn validate(&self) -> Result<()> {
        let Estimate { value, low, high } = self.forecast;
        let place = format!("variant '{}'", self.name);
        if !(0.0 < low && low <= value && value <= high && high < 1.0) {
            let why = format!("its forecast {value} ({low} to {high}) is no click rate within its interval");
            return Err(Failure::new("cannot simulate", why).at(place));
        }
        Ok(())
    }
}

/// Refuses variants that cannot compete.
///
/// # Errors
/// Two of one name, a forecast that is none, or a market whose predictions change as it runs.
pub(super) fn validate(spec: &MarketSpec) -> Result<()> {
    let refuse = |why: String| Failure::new("cannot simulate", why).at("variants");
    let mut names = BTreeSet::new();
    for variant in &spec.variants {
        variant.validate()?;
        if !names.insert(&variant.name) {
            return Err(refuse(format!("two are called '{}'", variant.name)));
        }
    }
    let learns = std::iter::once(&spec.baseline).chain(&spec.what_if).any(|arm| arm.learning.is_some());
    let why = match spec.variants.is_empty() {
        true => return Ok(()),
        false if spec.clicks == ClickSource::Replay => "no log knows how words did that never ran",
        false if spec.feedback.rescores => "the model cannot predict anew for words that it never read",
        false if learns => "a learner of the run's clicks knows the ads of the log only",
        false => return Ok(()),
    };
    Err(refuse(why.to_owned()).hint("without variants, or by exploration: thompson"))
}

/// The columns of variants behind those of `ads`; `predicted` is the bidders' belief of these.
///
/// # Errors
/// One that takes the place of an ad that no campaign shows, or has the name of an ad.
pub(super) fn columns(
    variants: &[Variant],
    ads: &[String],
    predicted: &Scores,
    seed: u64,
) -> Result<Vec<Column>> {
    let one = |variant: &Variant| {
        let refuse =
            |why: String| Failure::new("cannot simulate", why).at(format!("variant '{}'", variant.name));
        if ads.contains(&variant.name) {
            return Err(refuse("an ad of the log has its name".to_owned()));
        }
        let of = ads.iter().position(|ad| *ad == variant.of).ok_or_else(|| {
            refuse(format!("no campaign shows '{}', whose place it takes", variant.of))
                .hint("name an ad that bids")
        })?;
        let odds: Vec<f64> =
            predicted.values.iter().skip(of).step_by(predicted.ads).map(|p| log_odds(*p)).collect();
        let believed = shift(&odds, variant.forecast.value);
        let [low, high] = [variant.forecast.low, variant.forecast.high].map(|p| log_odds(p as f32));
        let deviation = (high - low) / (2.0 * Z_95);
        let luck = Rng::named(seed, &format!("variant {}", variant.name)).normal();
        Ok(Column { of, believed, true_shift: believed + deviation * luck })
    };
    variants.iter().map(one).collect()
}

/// The log odds to add so that the mean probability is `wanted`: it grows with them, so halving finds it.
fn shift(odds: &[f64], wanted: f64) -> f64 {
    let (mut low, mut high) = (-FARTHEST, FARTHEST);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        let mean = odds.iter().map(|z| sigmoid(z + middle)).sum::<f64>() / odds.len().max(1) as f64;
        if mean < wanted { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn log_odds(p: f32) -> f64 {
    let p = f64::from(p).clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln()
}

/// Which side of a market a matrix tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What bidders believe.
    Believed,
    /// What people do.
    True,
    /// What follows a click: words change nothing about it.
    Unmoved,
}

/// A matrix with the columns of variants behind those of the ads.
pub(super) fn widened(scores: &Scores, columns: &[Column], side: Side) -> Scores {
    if columns.is_empty() {
        return scores.clone();
    }
    let mut values = Vec::with_capacity(scores.rows() * (scores.ads + columns.len()));
    for row in scores.values.chunks_exact(scores.ads.max(1)) {
        values.extend_from_slice(row);
        values.extend(columns.iter().map(|column| match side {
            Side::Believed => sigmoid(log_odds(row[column.of]) + column.believed) as f32,
            Side::True => sigmoid(log_odds(row[column.of]) + column.true_shift) as f32,
            Side::Unmoved => row[column.of],
        }));
    }
    Scores { ads: scores.ads + columns.len(), values }
}

impl Column {
    /// Column of the ad whose place it takes.
    pub(super) fn of(self) -> usize {
        self.of
    }
}

/// What they look like: as the ad whose place they take, with other words.
pub fn creatives(known: &CreativeLibrary, variants: &[Variant]) -> CreativeLibrary {
    let own = variants.iter().map(|variant| Creative {
        ad: variant.name.clone(),
        text: variant.text.clone(),
        is_draft: variant.draft,
        ..known.get(&variant.of).cloned().unwrap_or_default()
    });
    CreativeLibrary::new(known.iter().cloned().chain(own))
}

/// What came of each place that variants compete for, from the impressions and clicks of every column.
pub(super) fn outcomes(variants: &[Variant], ads: &[String], shown: &[(u64, u64)]) -> Vec<VariantOutcome> {
    let places: BTreeSet<&String> = variants.iter().map(|variant| &variant.of).collect();
    let mut all = Vec::new();
    for place in places {
        let own = ads.iter().position(|ad| ad == place).map(|at| (place, at, true));
        let others = (variants.iter().enumerate())
            .filter(|(_, variant)| variant.of == *place)
            .map(|(at, variant)| (&variant.name, ads.len() + at, false));
        let who: Vec<_> = own.into_iter().chain(others).collect();
        let count = |at: usize| shown.get(at).copied().unwrap_or_default();
        let total: u64 = who.iter().map(|(_, at, _)| count(*at).0).sum();
        all.extend(who.into_iter().map(|(name, at, is_own)| {
            let (impressions, clicks) = count(at);
            VariantOutcome {
                name: name.clone(),
                is_own,
                impressions,
                ctr: Rate::wilson(clicks as f64, impressions as f64),
                share: Rate::wilson(impressions as f64, total as f64),
            }
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str, forecast: [f64; 3]) -> Variant {
        let [low, value, high] = forecast;
        Variant {
            name: name.into(),
            of: "a".into(),
            text: "新茶上市".into(),
            forecast: Estimate { value, low, high },
            draft: false,
        }
    }

    #[test]
    fn the_mean_of_what_is_believed_is_the_forecast_and_the_truth_is_spread_around_it() {
        let scores = Scores::new(2, vec![0.01, 0.5, 0.03, 0.5, 0.2, 0.5]).unwrap();
        let ads = ["a".to_owned(), "b".to_owned()];
        let one = variant("c1", [0.02, 0.05, 0.12]);
        let columns = columns(std::slice::from_ref(&one), &ads, &scores, 7).unwrap();
        let believed = widened(&scores, &columns, Side::Believed);
        let mean: f64 = (0..3).map(|row| f64::from(believed.row(row)[2])).sum::<f64>() / 3.0;
        assert!((mean - 0.05).abs() < 1e-6, "{mean}");
        // The same shift of log odds for everybody: the order of the audience stays.
        let moved: Vec<f64> =
            (0..3).map(|row| log_odds(believed.row(row)[2]) - log_odds(scores.row(row)[0])).collect();
        assert!(moved.iter().all(|by| (by - moved[0]).abs() < 1e-4), "{moved:?}");
        assert_eq!(widened(&scores, &columns, Side::Unmoved).row(1), [0.03, 0.5, 0.03]);
        // Over seeds the true shift has the deviation of the interval.
        let mut draws = Vec::new();
        for seed in 0..400 {
            let column = super::columns(std::slice::from_ref(&one), &ads, &scores, seed).unwrap()[0];
            draws.push(column.true_shift - column.believed);
        }
        let deviation = (draws.iter().map(|d| d * d).sum::<f64>() / 400.0).sqrt();
        let wanted = (log_odds(0.12) - log_odds(0.02)) / (2.0 * Z_95);
        assert!((deviation / wanted - 1.0).abs() < 0.12, "{deviation} and {wanted}");
        let foreign = Variant { of: "x".into(), ..one.clone() };
        let failure = super::columns(&[foreign], &ads, &scores, 1).unwrap_err();
        assert!(failure.why.contains("no campaign shows 'x'"), "{failure}");
        let taken = Variant { name: "b".into(), ..one };
        assert!(super::columns(&[taken], &ads, &scores, 1).unwrap_err().why.contains("has its name"));
        assert!(variant("c", [0.0, 0.1, 0.2]).validate().is_err());
    }
}
