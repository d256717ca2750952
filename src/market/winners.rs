//! Are the ads that win as good as predicted? The winner's curse: how large it is in a run, and how large it must be.
//!
//! An auction picks the highest prediction, so it picks what is overrated: predictions that are right on average are too
//! high on the winners (Capen, Clapp & Campbell 1971). What was clicked over what was predicted on the winners is the
//! factor by which a bidder should mark its predictions down; it is known in life too. A simulation also knows the true
//! probability of all that was offered, which tells selection from a model that is wrong everywhere.

use super::Market;
use super::bidder::Fate;
use super::simulation::Recording;
use crate::metrics::{Estimate, Rate};
use serde::Serialize;

/// Predictions against what is true, for all offers of a run's recorded pages and for those that won.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Winners {
    /// Pages that it rests on.
    pub pages: u64,
    /// Offers of an auction, on average.
    pub rivals: f64,
    /// Predicted over true click probability of all offers: 1 for a model that is right on average.
    pub offered: Estimate,
    /// The same of the offers that won.
    pub won: Estimate,
    /// Standard deviation of the logarithm of predicted over true, over all offers.
    pub scatter: f64,
    /// What equal offers with predictions that scatter so would be overrated by once the highest wins.
    pub if_equal: f64,
}

/// What was clicked over what was predicted, with the Wilson interval of the clicks: the factor that a prediction should be
/// marked down by, once it has won. Absent where nothing was shown or predicted.
pub fn correction(predicted_ctr: f64, ctr: &Rate) -> Option<Estimate> {
    let of = |rate: f64| rate / predicted_ctr;
    (ctr.is_known() && predicted_ctr > 0.0).then(|| Estimate {
        value: of(ctr.rate),
        low: of(ctr.low),
        high: of(ctr.high),
    })
}

/// How much the highest of `n` predictions overrates, where all are equally good and each carries lognormal noise of mean 1
/// and deviation `sigma` of its logarithm: `E exp(sigma Z - sigma^2 / 2)` for the largest `Z` of `n` standard normals, by
/// Simpson's rule. `n` may be a mean and need not be whole.
pub fn inflation(n: f64, sigma: f64) -> f64 {
    const STEPS: usize = 2_000;
    // The integrand has its mass within a few deviations of the largest of n, moved up by sigma.
    let (from, to) = (-9.0, 9.0 + sigma);
    let width = (to - from) / STEPS as f64;
    let sum: f64 = (0..=STEPS)
        .map(|step| {
            let z = from + width * step as f64;
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let below = crate::metrics::significance::normal_cdf(z);
            let value = n * density * below.powf(n - 1.0) * (sigma * z - 0.5 * sigma * sigma).exp();
            let weight = if step == 0 || step == STEPS { 1.0 } else { 2.0 + 2.0 * (step % 2) as f64 };
            weight * value
        })
        .sum();
    sum * width / 3.0
}

/// Looks at the recorded pages of one world.
///
/// # Errors
/// Why nothing can be told, in words: nobody knows the truth of what was not shown, or it is the prediction itself.
pub fn survey(market: &Market, recording: &Recording, world: usize) -> Result<Winners, &'static str> {
    let (Some(arm), Some(offers)) = (market.arms.get(world), recording.offers.get(world)) else {
        return Err("no pages were kept");
    };
    if market.replay.is_some() {
        return Err("the log does not know how likely a click was on what it did not show");
    }
    if market.turn.is_some() {
        return Err("what people like turns during the run");
    }
    if std::sync::Arc::ptr_eq(&arm.predicted, &arm.clicks) || arm.predicted.values == arm.clicks.values {
        return Err("clicks come from the bidders' own model, which cannot overrate itself");
    }
    if !market.feedback.effects.are_off() {
        return Err("people change while they are shown ads, and nobody knows what they would have done");
    }
    let campaigns = market.bidders.len().max(1);
    let (mut all, mut best) = (Sums::default(), Sums::default());
    let (mut logs, mut entered, mut pages) = ([0.0f64; 3], 0u64, 0u64);
    for (page, rows) in offers.chunks_exact(campaigns).zip(&recording.rows) {
        let row = if world == 0 { rows.0 } else { rows.1 } as usize;
        let truth = arm.clicks.row(row);
        let (mut offered, mut won) = ([0.0; 2], [0.0; 2]);
        for (offer, bidder) in page.iter().zip(&market.bidders) {
            let in_auction = matches!(
                offer.fate,
                Fate::Won | Fate::Outbid | Fate::BelowReserve | Fate::LostToDeal | Fate::Alike
            );
            // Of unknown advertisers no prediction was made.
            if !in_auction || bidder.drawn.is_some() {
                continue;
            }
            entered += 1;
            let pair = [f64::from(offer.predicted), f64::from(truth[offer.ad as usize])];
            offered = [offered[0] + pair[0], offered[1] + pair[1]];
            if offer.fate == Fate::Won {
                won = [won[0] + pair[0], won[1] + pair[1]];
            }
            if pair[0] > 0.0 && pair[1] > 0.0 {
                let log = (pair[0] / pair[1]).ln();
                logs = [logs[0] + 1.0, logs[1] + log, logs[2] + log * log];
            }
        }
        pages += 1;
        all.add(offered);
        best.add(won);
    }
    let (Some(offered), Some(won)) = (all.ratio(), best.ratio()) else {
        return Err("nothing was won");
    };
    let scatter = (logs[2] / logs[0] - (logs[1] / logs[0]).powi(2)).max(0.0).sqrt();
    let rivals = entered as f64 / pages as f64;
    Ok(Winners { pages, rivals, offered, won, scatter, if_equal: inflation(rivals.max(1.0), scatter) })
}

/// The same for each world of a run.
pub fn of_run(market: &Market, recording: Option<&Recording>) -> Vec<Result<Winners, &'static str>> {
    let worlds = 0..market.worlds();
    worlds
        .map(|world| recording.map_or(Err("no pages were kept"), |kept| survey(market, kept, world)))
        .collect()
}

impl Winners {
    /// What it says, in a sentence.
    pub fn in_words(&self) -> String {
        format!(
            "Of all that was offered the model predicts {} times the truth, of what won {} times ({:.1} offers a page whose \
             predictions scatter by {:.0} %; among equal offers that alone would make {:.3})",
            self.offered.in_words(3),
            self.won.in_words(3),
            self.rivals,
            100.0 * self.scatter,
            self.if_equal
        )
    }
}

/// Sums of numerator and denominator over pages.
#[derive(Default)]
struct Sums {
    n: f64,
    a: f64,
    b: f64,
    squares: [f64; 3],
}

impl Sums {
    fn add(&mut self, [a, b]: [f64; 2]) {
        self.n += 1.0;
        self.a += a;
        self.b += b;
        let squares = [a * a, a * b, b * b];
        self.squares.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
    }

    /// Their ratio with its error over pages by the delta method.
    fn ratio(&self) -> Option<Estimate> {
        let value = self.a / self.b;
        let [aa, ab, bb] = self.squares;
        let squares = (aa - 2.0 * value * ab + value * value * bb).max(0.0);
        (self.b > 0.0 && self.n > 1.0)
            .then(|| Estimate::normal(value, (squares * self.n / (self.n - 1.0)).sqrt() / self.b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t35_the_largest_of_n_is_overrated_as_much_as_theory_says() {
        // simulation-and-copy.md, T35; one offer alone is not picked, and without noise nothing is overrated.
        for (n, exact) in [(1.0, 1.0), (2.0, 1.167_996), (5.0, 1.383_269), (10.0, 1.541_117)] {
            assert!((inflation(n, 0.3) - exact).abs() < 2e-6, "{n}: {}", inflation(n, 0.3));
            assert!((inflation(n, 0.0) - 1.0).abs() < 1e-6);
        }
        // Two: 2 Phi(sigma / sqrt 2) in closed form.
        let closed = 2.0 * crate::metrics::significance::normal_cdf(0.8 / 2f64.sqrt());
        assert!((inflation(2.0, 0.8) - closed).abs() < 2e-6, "{}", inflation(2.0, 0.8));
    }

    #[test]
    fn a_correction_is_clicked_over_predicted() {
        let told = correction(0.04, &Rate::wilson(30.0, 1_000.0)).unwrap();
        assert!((told.value - 0.75).abs() < 1e-12 && told.low < 0.75 && told.high > 0.75);
        assert_eq!(correction(0.0, &Rate::wilson(0.0, 10.0)), None);
        assert_eq!(correction(0.1, &Rate::wilson(0.0, 0.0)), None);
    }
}
