//! What would it bring to let variants compete for an audience's pages? Thompson sampling over the approved ones.
//!
//! Nobody knows the variants' click rates before they run. So many worlds are drawn from their forecasts, and in each the
//! same pages are served in three ways: by Thompson sampling, to all variants alike, and to the best forecast alone. What
//! differs between the ways is told with its interval over the worlds.

use super::{Output, unless_stopped};
use crate::adcopy::review::Status;
use crate::base::rng::{Rng, keyed_uniform};
use crate::base::{Failure, Result};
use crate::jobs::{Job, JobContext, Lane};
use crate::market::exploration::{Bandit, Policy};
use crate::metrics::rates::{Estimate, Z_95};
use crate::nn::losses::sigmoid;

/// Worlds that are drawn.
const WORLDS: usize = 100;

/// One variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name in the library.
    pub id: String,
    /// Its words.
    pub text: String,
    /// Where it stands: whoever shows it marks what is not approved.
    pub status: Status,
    /// What it is forecast to do.
    pub forecast: Estimate,
}

/// Variants and pages.
pub struct TryVariants {
    /// Who competes.
    pub variants: Vec<Variant>,
    /// Pages in each world.
    pub pages: usize,
    /// Start of every random draw.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Who competed, with the share of pages that each got by Thompson sampling.
    pub variants: Vec<(Variant, Estimate)>,
    /// Pages in each world.
    pub pages: usize,
    /// Worlds.
    pub worlds: usize,
    /// Clicks a page by Thompson sampling.
    pub thompson: Estimate,
    /// The same less that of all variants alike.
    pub over_equal: Estimate,
    /// The same less that of the best forecast alone.
    pub over_best: Estimate,
}

impl Job for TryVariants {
    type Output = Output;

    fn name(&self) -> String {
        format!("Try {} variants", self.variants.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        Ok(Output::Tried(Box::new(unless_stopped(compete(&self, context))?)))
    }
}

/// Lets the variants compete.
///
/// # Errors
/// Fewer than two variants, no pages, or a cancel.
pub fn compete(asked: &TryVariants, context: &JobContext) -> Result<Tried> {
    let TryVariants { variants, pages, seed } = asked;
    let count = variants.len();
    if count < 2 || *pages == 0 {
        return Err(Failure::new("cannot try the variants", format!("{count} of them cannot compete"))
            .hint("approve two or more of one product"));
    }
    let best = (0..count)
        .max_by(|a, b| variants[*a].forecast.value.total_cmp(&variants[*b].forecast.value))
        .unwrap_or_default();
    let mut shares = vec![Vec::with_capacity(WORLDS); count];
    let [mut thompson, mut over_equal, mut over_best] = [const { Vec::new() }; 3];
    for world in 0..WORLDS {
        context.check()?;
        context.progress(world as u64, WORLDS as u64);
        let mut rng = Rng::named(*seed, &format!("world {world}"));
        let rates: Vec<f64> = variants.iter().map(|one| drawn(one.forecast, &mut rng)).collect();
        let mut bandit = Bandit::new(Policy::Thompson, count);
        let mut shown = vec![0usize; count];
        let mut clicks = [0.0f64; 3];
        for page in 0..*pages {
            // The same luck in all three ways: a page clicks on what is good enough for it.
            let luck = keyed_uniform(*seed, world as u64, page as u64);
            let arm = bandit.choose(&mut rng);
            let clicked = luck < rates[arm];
            bandit.learn(arm, clicked);
            shown[arm] += 1;
            clicks[0] += f64::from(u8::from(clicked));
            clicks[1] += f64::from(u8::from(luck < rates[page % count]));
            clicks[2] += f64::from(u8::from(luck < rates[best]));
        }
        let each = |clicks: f64| clicks / *pages as f64;
        thompson.push(each(clicks[0]));
        over_equal.push(each(clicks[0] - clicks[1]));
        over_best.push(each(clicks[0] - clicks[2]));
        shares.iter_mut().zip(shown).for_each(|(share, shown)| share.push(each(shown as f64)));
    }
    let variants = variants.iter().cloned().zip(shares.iter().map(|share| mean(share))).collect();
    let (thompson, over_equal, over_best) = (mean(&thompson), mean(&over_equal), mean(&over_best));
    Ok(Tried { variants, pages: *pages, worlds: WORLDS, thompson, over_equal, over_best })
}

/// A click rate as the forecast holds it likely: normal in log odds.
fn drawn(forecast: Estimate, rng: &mut Rng) -> f64 {
    let odds = |p: f64| (p.clamp(1e-9, 1.0 - 1e-9) / (1.0 - p.clamp(1e-9, 1.0 - 1e-9))).ln();
    let deviation = (odds(forecast.high) - odds(forecast.low)) / (2.0 * Z_95);
    sigmoid(odds(forecast.value) + deviation * rng.normal())
}

fn mean(values: &[f64]) -> Estimate {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Estimate::normal(mean, (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(id: &str, value: f64, spread: f64) -> Variant {
        let forecast = Estimate { value, low: value / spread, high: value * spread };
        Variant { id: id.into(), text: id.into(), status: Status::Approved, forecast }
    }

    #[test]
    fn trying_gains_where_nobody_knows_and_costs_where_all_is_known() {
        let context = JobContext::detached();
        let alike = ["a", "b", "c", "d"].map(|id| variant(id, 0.06, 2.5)).to_vec();
        let asked = TryVariants { variants: alike, pages: 4_000, seed: 3 };
        let tried = compete(&asked, &context).unwrap();
        assert!(tried.over_equal.low > 0.0 && tried.over_best.low > 0.0, "{tried:?}");
        let shares: f64 = tried.variants.iter().map(|(_, share)| share.value).sum();
        assert!((shares - 1.0).abs() < 1e-9);
        assert_eq!(tried, compete(&asked, &context).unwrap(), "the same seed, the same answer");
        // One variant that is surely better: trying the others costs a little, and never gains.
        let known = vec![variant("a", 0.10, 1.001), variant("b", 0.02, 1.001)];
        let tried = compete(&TryVariants { variants: known, pages: 4_000, seed: 3 }, &context).unwrap();
        assert!(tried.over_best.value <= 0.0 && tried.over_equal.low > 0.02, "{tried:?}");
        assert!(tried.variants[0].1.value > 0.9);
        let one = vec![variant("a", 0.1, 2.0)];
        assert!(compete(&TryVariants { variants: one, pages: 10, seed: 1 }, &context).is_err());
    }
}
