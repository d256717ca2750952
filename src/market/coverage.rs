//! Do our intervals hold the truth as often as they say? Each drawn again and again from a world whose truth is known.
//!
//! The sample data knows the true click probability of every row with every ad. Rows are drawn from it with replacement, ads by
//! a known policy, clicks by the truth; then each interval is made as the program makes it and held against the number that
//! it is about, which is a sum over the sample's rows. A table of how often, with the Wilson interval of that.

use super::Scores;
use super::beside::student;
use super::landscape::WinCurve;
use super::outcome::Moments;
use super::winners;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::metrics::off_policy::{self, Decisions, Estimator, PolicyValue};
use crate::metrics::significance::normal_cdf;
use crate::metrics::slates::{self, SlateEstimator, Slates};
use crate::metrics::{Estimate, Rate, ab_test, calibration, fairness, ranking};
use serde::Serialize;

/// One interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Covered {
    /// What it is about, and how it is made.
    pub interval: String,
    /// How often it says that it holds the truth.
    pub level: f64,
    /// How often it did: counts, and the interval of their share.
    pub held: Rate,
}

impl Covered {
    /// False where it holds the truth so seldom that chance is no reason: four standard deviations below its level. An
    /// interval that is too wide is told by its share and is not wrong.
    pub fn is_as_it_says(&self) -> bool {
        let deviation = (self.level * (1.0 - self.level) / self.held.trials.max(1.0)).sqrt();
        self.held.rate >= self.level - 4.0 * deviation
    }
}

/// Rows of one draw.
const ROWS: usize = 1_500;
/// Ads that the policies choose from.
const ADS: usize = 8;
/// Samples of the bootstrap in a draw.
const BOOTSTRAP: usize = 200;
/// Points of a reliability curve.
const BINS: usize = 5;
/// Seeds of a comparison of kept scenarios.
const SEEDS: usize = 6;

/// Draws so many times from the first ads of a world's truth, `[row * ads + ad]`.
///
/// # Errors
/// Fewer ads than the policies choose from; a cancel.
pub fn table(truth: &Scores, draws: u64, context: &JobContext) -> Result<Vec<Covered>> {
    if truth.ads < ADS || truth.rows() == 0 || draws == 0 {
        let why = format!(
            "{} rows of {} ads, {draws} draws: rows of {ADS} ads are needed",
            truth.rows(),
            truth.ads
        );
        return Err(Failure::new("cannot tell how often intervals hold the truth", why));
    }
    let world = World::new(truth);
    let mut found: Vec<(String, u64, u64)> = Vec::new();
    for draw in 0..draws {
        context.check()?;
        context.progress(draw, draws);
        let mut note = |interval: &str, holds: Option<bool>| {
            let place = found.iter().position(|(known, ..)| known == interval).unwrap_or_else(|| {
                found.push((interval.to_owned(), 0, 0));
                found.len() - 1
            });
            if let Some(holds) = holds {
                found[place].1 += u64::from(holds);
                found[place].2 += 1;
            }
        };
        let mut rng = Rng::named(draw, "coverage");
        world.policies(&mut rng, &mut note)?;
        world.users(&mut rng, &mut note)?;
        world.pairs(&mut rng, &mut note);
        world.pages(&mut rng, &mut note)?;
        world.rates(&mut rng, &mut note);
        world.predictions(&mut rng, &mut note);
        auctions(&mut rng, &mut note)?;
    }
    let covered = |(interval, held, of): (String, u64, u64)| Covered {
        interval,
        level: 0.95,
        held: Rate::wilson(held as f64, of as f64),
    };
    Ok(found.into_iter().map(covered).collect())
}

/// What hears whether an interval held the truth; `None` where none was made.
type Note<'a> = dyn FnMut(&str, Option<bool>) + 'a;

/// Tells whether the two intervals of an estimate held the truth.
fn note_both(note: &mut Note<'_>, name: &str, found: Option<&PolicyValue>, truth: f64) {
    note(&format!("{name}, asymptotic"), found.map(|found| !found.normal.excludes(truth)));
    let bootstrap = found.and_then(|found| found.bootstrap);
    let holds = bootstrap.map(|[low, high]| (low..=high).contains(&truth));
    note(&format!("{name}, bootstrap"), holds);
}

/// Truth and policies of every row, [`ADS`] each.
struct World {
    truth: Vec<[f64; ADS]>,
    /// What the log's policy chooses by.
    logged: Vec<[f64; ADS]>,
    /// What the policy in question would choose by.
    target: Vec<[f64; ADS]>,
}

impl World {
    fn new(scores: &Scores) -> Self {
        let of_row = |row: usize| {
            let mut ads = [0.0; ADS];
            // Raised so that a draw holds enough clicks for every interval to be made.
            ads.iter_mut().zip(scores.row(row)).for_each(|(to, p)| *to = (3.0 * f64::from(*p)).min(0.9));
            ads
        };
        let truth: Vec<[f64; ADS]> = (0..scores.rows()).map(of_row).collect();
        let by = |power: f64, even: f64| {
            let of = |ads: &[f64; ADS]| {
                let raised = ads.map(|p| p.powf(power));
                let sum: f64 = raised.iter().sum();
                raised.map(|p| even / ADS as f64 + (1.0 - even) * p / sum)
            };
            truth.iter().map(of).collect()
        };
        let (logged, target) = (by(0.5, 0.5), by(1.5, 0.1));
        Self { truth, logged, target }
    }

    /// A sum over a row's ads, on average over the rows.
    fn mean(&self, of: impl Fn(usize) -> f64) -> f64 {
        (0..self.truth.len()).map(of).sum::<f64>() / self.truth.len() as f64
    }

    fn value(&self, policy: &[[f64; ADS]]) -> f64 {
        self.mean(|row| dot(&policy[row], &self.truth[row]))
    }

    /// Off-policy estimates of single decisions.
    fn policies(&self, rng: &mut Rng, note: &mut Note<'_>) -> Result<()> {
        let [mut rewards, mut logged, mut target, mut predicted, mut expected] = [(); 5].map(|()| Vec::new());
        for _ in 0..ROWS {
            let row = rng.below(self.truth.len());
            let ad = pick(rng, &self.logged[row]);
            rewards.push(click(rng, self.truth[row][ad]));
            logged.push(self.logged[row][ad]);
            target.push(self.target[row][ad]);
            // A model that is wrong: it knows half of what tells ads apart.
            let model = self.truth[row].map(|p| 0.05 + 0.5 * p);
            predicted.push(model[ad]);
            expected.push(dot(&self.target[row], &model));
        }
        let decisions = Decisions {
            rewards: &rewards,
            logged: &logged,
            target: &target,
            predicted: &predicted,
            expected: &expected,
            users: &[],
        };
        let told = off_policy::evaluate_with(&decisions, BOOTSTRAP).map_err(broken)?;
        let value = self.value(&self.target);
        for estimator in Estimator::ALL {
            // DM is biased by its model, and replay is for policies that do not draw lots.
            if matches!(estimator, Estimator::Direct | Estimator::Replay) {
                continue;
            }
            let name = format!("policy value, {}", estimator.label());
            note_both(note, &name, told.value(estimator), value);
        }
        let weights = told.checks.mean_weight;
        note("mean weight of a policy, asymptotic", Some(!weights.excludes(1.0)));
        Ok(())
    }

    /// Off-policy estimates where a user decides again and again: whole users are what is drawn. Their sessions are of one
    /// to six decisions on the same row, so that what one row brings comes many times or not at all.
    fn users(&self, rng: &mut Rng, note: &mut Note<'_>) -> Result<()> {
        let [mut rewards, mut logged, mut target] = [(); 3].map(|()| Vec::new());
        let mut users = Vec::new();
        for user in 0..(ROWS / 3) as u32 {
            let row = rng.below(self.truth.len());
            for _ in 0..=rng.below(6) {
                let ad = pick(rng, &self.logged[row]);
                rewards.push(click(rng, self.truth[row][ad]));
                logged.push(self.logged[row][ad]);
                target.push(self.target[row][ad]);
                users.push(user);
            }
        }
        let (rewards, logged, target, users) = (&rewards, &logged, &target, &users);
        let decisions = Decisions { rewards, logged, target, users, predicted: &[], expected: &[] };
        let told = off_policy::evaluate_with(&decisions, BOOTSTRAP).map_err(broken)?;
        let value = self.value(&self.target);
        for estimator in [Estimator::Ips, Estimator::Snips] {
            let name = format!("policy value of users, {}", estimator.label());
            note_both(note, &name, told.value(estimator), value);
        }
        Ok(())
    }

    /// What the simulator tells of two worlds that see the same pages with the same luck: in each a page stays empty where
    /// its best ad is too weak, and not in both for the same reason.
    fn pairs(&self, rng: &mut Rng, note: &mut Note<'_>) {
        let worlds = [(&self.logged, 0.10), (&self.target, 0.14)];
        let is_filled = |row: usize, least: f64| self.truth[row].iter().any(|p| *p >= least);
        let mut moments = Moments::default();
        for _ in 0..ROWS {
            let (row, lot, luck) = (rng.below(self.truth.len()), rng.uniform(), rng.uniform());
            let mut page = [0.0; 6];
            for (numbers, (policy, least)) in page.chunks_mut(3).zip(worlds) {
                if is_filled(row, least) {
                    let p = self.truth[row][at(lot, &policy[row])];
                    numbers.copy_from_slice(&[1.0, f64::from(u8::from(luck < p)), 0.0]);
                }
            }
            moments.add(&page);
        }
        let clicks = worlds.map(|(policy, least)| {
            self.mean(|row| if is_filled(row, least) { dot(&policy[row], &self.truth[row]) } else { 0.0 })
        });
        let shown = worlds.map(|(_, least)| self.mean(|row| f64::from(u8::from(is_filled(row, least)))));
        let told = moments.clicks_per_mille_difference();
        note(
            "clicks of two worlds, paired difference",
            Some(!told.excludes(1_000.0 * (clicks[1] - clicks[0]))),
        );
        let difference = clicks[1] / shown[1] - clicks[0] / shown[0];
        let told = moments.ctr_difference();
        note("click rates of two worlds, paired difference", told.map(|told| !told.excludes(difference)));
    }

    /// Off-policy estimates of pages of two ads, on which each is clicked for itself.
    fn pages(&self, rng: &mut Rng, note: &mut Note<'_>) -> Result<()> {
        let [mut rewards, mut logged, mut target] = [(); 3].map(|()| Vec::new());
        for _ in 0..ROWS {
            let row = rng.below(self.truth.len());
            for _ in 0..2 {
                let ad = pick(rng, &self.logged[row]);
                rewards.push(click(rng, self.truth[row][ad]));
                logged.push(self.logged[row][ad]);
                target.push(self.target[row][ad]);
            }
        }
        let slates = Slates { positions: 2, rewards: &rewards, logged: &logged, target: &target, users: &[] };
        let value = 2.0 * self.value(&self.target);
        for (estimator, told) in
            SlateEstimator::ALL.into_iter().zip(slates::evaluate(&slates, true, BOOTSTRAP).map_err(broken)?)
        {
            let name = format!("clicks of a page, {}", estimator.label());
            note_both(note, &name, told.value.ok().as_ref(), value);
        }
        Ok(())
    }

    /// Click rates, their differences, and what winners were predicted to bring.
    fn rates(&self, rng: &mut Rng, note: &mut Note<'_>) {
        let values = [self.value(&self.logged), self.value(&self.target)];
        let clicks = [&self.logged, &self.target].map(|policy| {
            let clicks = (0..ROWS).map(|_| {
                let row = rng.below(self.truth.len());
                let ad = pick(rng, &policy[row]);
                click(rng, self.truth[row][ad])
            });
            clicks.sum::<f64>()
        });
        let rates = clicks.map(|clicks| Rate::wilson(clicks, ROWS as f64));
        note("click rate, Wilson", Some(!rates[0].estimate().excludes(values[0])));
        let difference = values[1] - values[0];
        note(
            "difference of two rates, Newcombe",
            Some(!fairness::difference(&rates[1], &rates[0]).excludes(difference)),
        );
        let arms = clicks.map(|clicks| ab_test::ArmTotals::independent(clicks, ROWS as f64));
        let compared = ab_test::compare(&arms[0], &arms[1]);
        note("difference of two arms, asymptotic", compared.map(|c| !c.difference.excludes(difference)));
        let relative = values[1] / values[0] - 1.0;
        let told = compared.and_then(|compared| compared.relative);
        note("relative lift of an arm, by logarithms", told.map(|told| !told.excludes(relative)));
        // Winners of noisy predictions: clicks given which ads won.
        let (mut predicted, mut expected, mut clicked) = (0.0, 0.0, 0.0);
        for _ in 0..ROWS {
            let truth = &self.truth[rng.below(self.truth.len())];
            let noisy = truth.map(|p| (p * (0.3 * rng.normal() - 0.045).exp()).min(1.0));
            let best = (0..ADS).max_by(|a, b| noisy[*a].total_cmp(&noisy[*b])).unwrap_or(0);
            predicted += noisy[best];
            expected += truth[best];
            clicked += click(rng, truth[best]);
        }
        let told = winners::correction(predicted / ROWS as f64, &Rate::wilson(clicked, ROWS as f64));
        note(
            "clicked over predicted on winners, Wilson",
            told.map(|told| !told.excludes(expected / predicted)),
        );
        // Kept scenarios over seeds.
        let of_seed = |rng: &mut Rng| {
            let clicks = (0..ROWS / SEEDS).map(|_| {
                let row = rng.below(self.truth.len());
                let ad = pick(rng, &self.logged[row]);
                click(rng, self.truth[row][ad])
            });
            clicks.sum::<f64>() / (ROWS / SEEDS) as f64
        };
        let seeds: Vec<f64> = (0..SEEDS).map(|_| of_seed(rng)).collect();
        note("mean over seeds, Student", Some(!student(&seeds).excludes(values[0])));
    }

    /// What is told of a model's predictions.
    fn predictions(&self, rng: &mut Rng, note: &mut Note<'_>) {
        let predict = |p: f64| 0.05 + 0.6 * p;
        let (mut predicted, mut labels, mut truths) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROWS {
            let truth = &self.truth[rng.below(self.truth.len())];
            let p = truth[rng.below(ADS)];
            truths.push(p);
            predicted.push(predict(p) as f32);
            labels.push(click(rng, p) as f32);
        }
        let all = || self.truth.iter().flatten().copied();
        let n = (self.truth.len() * ADS) as f64;
        let loss = all().map(|p| -p * predict(p).ln() - (1.0 - p) * (1.0 - predict(p)).ln()).sum::<f64>() / n;
        let told = calibration::log_loss_estimate(&predicted, &labels, &[]);
        note("log loss, asymptotic", told.map(|told| !told.excludes(loss)));
        let ratio = all().map(predict).sum::<f64>() / all().sum::<f64>();
        let told = calibration::predicted_over_actual(&predicted, &labels, &[]);
        note("predicted over actual", told.map(|told| !told.excludes(ratio)));
        for (place, bin) in
            calibration::reliability(&predicted, &labels, &[], BINS).iter().flatten().enumerate()
        {
            let inside = |p: f32| (bin.lowest..=bin.highest).contains(&f64::from(p));
            let of_bin = predicted.iter().zip(&truths).filter(|(p, _)| inside(**p)).map(|(_, truth)| *truth);
            let (sum, n) = of_bin.fold((0.0, 0.0), |(sum, n), truth| (sum + truth, n + 1.0));
            let holds = !bin.actual.estimate().excludes(sum / n);
            note(&format!("reliability curve, point {} of {BINS}, Wilson", place + 1), Some(holds));
        }
        // Each pair of row and ad once as a click and once as none, weighed by the truth.
        let scores: Vec<f32> = all().flat_map(|p| [predict(p) as f32; 2]).collect();
        let both: Vec<f32> = all().flat_map(|_| [1.0, 0.0]).collect();
        let weights: Vec<f32> = all().flat_map(|p| [p as f32, (1.0 - p) as f32]).collect();
        let told = ranking::auc_estimate(&predicted, &labels, &[]);
        let auc = ranking::auc(&scores, &both, &weights);
        note("AUC, DeLong", told.zip(auc).map(|(told, auc)| !told.excludes(auc)));
    }
}

/// The win curve of censored auctions, and lognormal prices behind it.
fn auctions(rng: &mut Rng, note: &mut Note<'_>) -> Result<()> {
    let auctions: Vec<(f64, Option<f64>)> = (0..ROWS)
        .map(|_| {
            let (bid, price) = (3.0 * rng.uniform(), (0.6 * rng.normal()).exp());
            (bid, (price <= bid).then_some(price))
        })
        .collect();
    let curve = WinCurve::from_auctions(&auctions)?;
    for bid in [0.5f64, 1.0, 2.0] {
        let told: Estimate = curve.win_probability(bid);
        note(
            &format!("win probability of a bid of {bid}, Kaplan-Meier"),
            Some(!told.excludes(normal_cdf(bid.ln() / 0.6))),
        );
    }
    Ok(())
}

fn broken(why: String) -> Failure {
    Failure::new("cannot tell how often intervals hold the truth", why)
}

fn dot(a: &[f64; ADS], b: &[f64; ADS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn click(rng: &mut Rng, p: f64) -> f64 {
    f64::from(u8::from(rng.chance(p)))
}

fn pick(rng: &mut Rng, chances: &[f64; ADS]) -> usize {
    at(rng.uniform(), chances)
}

/// The ad at a place of the unit interval, of which each has its chance.
fn at(lot: f64, chances: &[f64; ADS]) -> usize {
    let mut left = lot;
    for (ad, chance) in chances.iter().enumerate() {
        left -= chance;
        if left < 0.0 {
            return ad;
        }
    }
    ADS - 1
}
