//! What would more budget, another reserve or another cap bring? The market run over and over on common luck.
//!
//! Each point of a curve is a whole run with the same seed, so points differ by what was changed and not by luck. A
//! split of one budget over campaigns is found from each campaign's own curve: money goes where the next unit brings
//! the most clicks (the marginal returns of a concave curve, Everett 1963), and the split is then run like any other.

use super::outcome::{CampaignOutcome, Outcome};
use super::scoring::{Inputs, ScoredPool, prepare};
use super::simulation::{RunOptions, simulate};
use super::spec::{MarketSpec, Scenario};
use crate::base::{Failure, Result};
use crate::domain::Campaign;
use crate::jobs::{JobContext, Latest};
use crate::metrics::{Estimate, Rate};
use rayon::prelude::*;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

/// What is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lever {
    /// The lowest price, per thousand impressions.
    #[default]
    Reserve,
    /// All budgets, by a factor.
    Budget,
    /// Impressions of a campaign that one user sees at most.
    Cap,
}

impl Lever {
    /// Every one, in the order of choosers.
    pub const ALL: [Self; 3] = [Self::Reserve, Self::Budget, Self::Cap];

    /// The words in a chooser.
    pub fn label(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Budget => "budgets",
            Self::Cap => "frequency cap",
        }
    }

    /// What its numbers are, with their unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Reserve => "reserve (currency units per thousand impressions)",
            Self::Budget => "factor on every budget",
            Self::Cap => "impressions of a campaign a user, at most",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Where the lever stood.
    pub at: f64,
    /// Impressions.
    pub impressions: u64,
    /// Clicks per impression.
    pub ctr: Rate,
    /// Clicks.
    pub clicks: u64,
    /// What the campaigns paid, which the seller earned.
    pub spend: f64,
    /// Revenue per thousand requests.
    pub revenue_per_mille: Estimate,
    /// Slots sold out of slots offered.
    pub fill: Rate,
    /// Users of a campaign who saw it, summed over campaigns.
    pub reach: u64,
    /// Impressions per user reached.
    pub frequency: f64,
}

/// A curve over one lever.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// What was turned.
    pub lever: Lever,
    /// Pages of each run.
    pub requests: u64,
    /// In order of the lever.
    pub points: Vec<Point>,
    /// The point as the spec has it.
    pub now: Point,
    /// What the model behind it forecast for rows that it was not trained on; absent where there are none.
    pub check: Option<Check>,
}

/// A curve whose points are still coming.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurveSoFar {
    /// What is turned.
    pub lever: Lever,
    /// Pages of each run.
    pub requests: u64,
    /// Points that there will be.
    pub places: usize,
    /// Those that are there, in order of the lever.
    pub points: Vec<Point>,
}

/// A forecast against what came of it: clicks on the log's last rows, which the model has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Check {
    /// Clicks per impression that the model forecast.
    pub forecast: f64,
    /// Clicks per impression that came.
    pub actual: Rate,
}

/// A split of all budgets together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Split {
    /// Campaign, its budget now, and its budget in the split; currency units.
    pub budgets: Vec<(String, f64, f64)>,
    /// As it is.
    pub now: Point,
    /// With the split.
    pub then: Point,
    /// Campaigns without a budget are not part of it.
    pub left_out: usize,
}

/// What one part of a what-if brings on its own, after the parts before it; 95 % intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// Which part.
    pub part: &'static str,
    /// Revenue per thousand requests.
    pub revenue_per_mille: Estimate,
    /// Clicks per thousand requests.
    pub clicks_per_mille: Estimate,
    /// Clicks per impression; absent where nothing was sold.
    pub ctr: Option<Estimate>,
}

/// What a fifth less and a fifth more of each thing brings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// As it is.
    pub now: Point,
    /// The thing, and the runs with a fifth less and a fifth more of it; what moves revenue most comes first.
    pub things: Vec<(&'static str, Point, Point)>,
    /// The same with three other seeds: what moves less than these is luck.
    pub luck: Vec<Point>,
}

/// Factors of a budget that a campaign's own curve is made of.
const SPLIT_FACTORS: [f64; 4] = [0.25, 0.5, 1.0, 2.0];
/// Parts into which the money is cut.
const PARTS: usize = 400;

/// A market that is run again and again.
pub struct Planner<'a> {
    spec: MarketSpec,
    what_if: Option<Scenario>,
    inputs: &'a Inputs,
    pool: Arc<ScoredPool>,
    context: &'a JobContext,
}

impl<'a> Planner<'a> {
    /// Opens the market of a spec once, with its campaigns spelled out; the what-if is left aside.
    ///
    /// # Errors
    /// What [`prepare`] answers.
    pub fn new(
        spec: &MarketSpec,
        inputs: &'a Inputs,
        known: Option<&Arc<ScoredPool>>,
        context: &'a JobContext,
    ) -> Result<Self> {
        let what_if = spec.what_if.clone();
        let mut spec = MarketSpec { what_if: None, ..spec.clone() };
        let prepared = prepare(&spec, inputs, known, context)?;
        spec.campaigns = prepared.campaigns.into_iter().filter(|campaign| campaign.drawn.is_none()).collect();
        Ok(Self { spec, what_if, inputs, pool: prepared.pool, context })
    }

    /// Runs the market with the lever at each of some places.
    ///
    /// # Errors
    /// A place where the lever cannot stand; a cancel.
    pub fn curve(&self, lever: Lever, places: &[f64]) -> Result<Curve> {
        self.curve_told(lever, places, &|_| ())
    }

    /// The same, with the points so far told after each: first ones that are far apart, so that the curve shows its shape
    /// from the beginning.
    ///
    /// # Errors
    /// As [`curve`](Self::curve).
    pub fn curve_told(
        &self,
        lever: Lever,
        places: &[f64],
        told: &(dyn Fn(&CurveSoFar) + Sync),
    ) -> Result<Curve> {
        if places.is_empty() {
            return Err(Failure::new("cannot plan", "no places of the lever were given"));
        }
        self.context.stage("running the market");
        let so_far =
            CurveSoFar { lever, requests: self.spec.requests, places: places.len(), points: Vec::new() };
        let so_far = Mutex::new(so_far);
        self.all(&far_apart(places), |place| {
            let turned = self.turned(lever, *place)?;
            let found = point(*place, &self.run(&turned)?);
            let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
            let before = so_far.points.partition_point(|known| known.at <= found.at);
            so_far.points.insert(before, found);
            told(&so_far);
            Ok(())
        })?;
        let points = so_far.into_inner().unwrap_or_else(PoisonError::into_inner).points;
        let now = point(self.now(lever), &self.run(&self.spec)?);
        Ok(Curve { lever, requests: self.spec.requests, points, now, check: self.check()? })
    }

    /// The model's forecast for the test part of the log against its clicks.
    fn check(&self) -> Result<Option<Check>> {
        let dataset = &self.inputs.dataset;
        let known: Vec<u32> = (dataset.test.iter().copied())
            .filter(|row| dataset.label.get(*row as usize).is_some_and(|label| label.is_finite()))
            .collect();
        if known.is_empty() {
            return Ok(None);
        }
        let predicted = self.inputs.model.predict(dataset, &known, self.context)?;
        let (mut clicks, mut shown, mut forecast) = (0.0, 0.0, 0.0);
        for (row, p) in known.iter().zip(&predicted) {
            let weight = f64::from(dataset.weight.get(*row as usize).copied().unwrap_or(1.0));
            shown += weight;
            clicks += weight * f64::from(dataset.label[*row as usize]);
            forecast += weight * f64::from(*p);
        }
        Ok(Some(Check { forecast: forecast / shown, actual: Rate::wilson(clicks, shown) }))
    }

    /// Places of a lever that show its curve: up to where it makes no difference any more, or nearly so.
    ///
    /// # Errors
    /// What [`prepare`] answers.
    pub fn places(&self, lever: Lever, count: usize) -> Result<Vec<f64>> {
        let count = count.max(2);
        let steps = (0..count).map(|step| step as f64 / (count - 1) as f64);
        Ok(match lever {
            Lever::Reserve => {
                let mut offers = self.offers()?;
                offers.sort_unstable_by(f64::total_cmp);
                // Beyond nearly all offers nothing is sold.
                let dearest = offers.get(offers.len() * 98 / 100).copied().unwrap_or(1.0).max(0.01);
                steps.map(|step| dearest * step).collect()
            }
            Lever::Budget => steps.map(|step| 0.1 * 30f64.powf(step)).collect(),
            Lever::Cap => (1..=count).map(|cap| cap as f64).collect(),
        })
    }

    /// Splits all budgets together so that the next unit brings as many clicks wherever it goes.
    ///
    /// # Errors
    /// Fewer than two campaigns with budgets; a cancel.
    pub fn split(&self) -> Result<Split> {
        let limited: Vec<usize> = (0..self.spec.campaigns.len())
            .filter(|place| self.spec.campaigns[*place].budget_micros.is_some_and(|budget| budget > 0))
            .collect();
        if limited.len() < 2 {
            return Err(Failure::new("cannot split the budget", "fewer than two campaigns have one")
                .hint("give campaigns a budget"));
        }
        self.context.stage("running each campaign's budgets");
        let pairs: Vec<(usize, f64)> =
            limited.iter().flat_map(|place| SPLIT_FACTORS.map(|factor| (*place, factor))).collect();
        let runs = self.all(&pairs, |(place, factor)| {
            let mut spec = self.spec.clone();
            scale(&mut spec.campaigns[*place], *factor);
            let outcome = self.run(&spec)?;
            let own: &CampaignOutcome = &outcome.baseline.campaigns[*place];
            Ok((own.spend, own.clicks as f64))
        })?;
        let curves: Vec<Vec<(f64, f64)>> = runs.chunks(SPLIT_FACTORS.len()).map(concave).collect();
        let budget_of = |place: usize| self.spec.campaigns[place].budget_micros.unwrap_or(0) as f64 / 1e6;
        let total: f64 = limited.iter().map(|place| budget_of(*place)).sum();
        let given = share_out(&curves, total);
        let mut spec = self.spec.clone();
        let mut budgets = Vec::new();
        for (place, given) in limited.iter().zip(&given) {
            let campaign = &mut spec.campaigns[*place];
            campaign.budget_micros = Some((given * 1e6).round() as i64);
            budgets.push((campaign.name.clone(), budget_of(*place), *given));
        }
        let (now, then) = (point(1.0, &self.run(&self.spec)?), point(1.0, &self.run(&spec)?));
        Ok(Split { budgets, now, then, left_out: self.spec.campaigns.len() - limited.len() })
    }

    /// The what-if in parts: first who comes (its mix), then what they are like (its edits), then how slots are sold (rule,
    /// reserve, floors, exploration, diversity). Each part is the difference that it makes after the parts before it, the
    /// two worlds of a part on common luck; together they are the whole what-if, to within their intervals.
    ///
    /// # Errors
    /// A market without a what-if; a cancel.
    pub fn parts(&self) -> Result<Vec<Effect>> {
        let what_if = self.what_if.as_ref().ok_or_else(|| {
            Failure::new("cannot take the what-if apart", "the last simulation had none")
                .hint("change something in the what-if first")
        })?;
        self.context.stage("running the parts");
        let baseline = &self.spec.baseline;
        let mixed =
            Scenario { shifts: what_if.shifts.clone(), margins: what_if.margins.clone(), ..baseline.clone() };
        let edited = Scenario { edits: what_if.edits.clone(), ..mixed.clone() };
        let steps = [
            ("who comes (the mix)", baseline, &mixed),
            ("what they are like (edits)", &mixed, &edited),
            ("how slots are sold (rule, reserve ...)", &edited, what_if),
            ("all of it", baseline, what_if),
        ];
        self.all(&steps, |(part, before, after)| {
            let spec = MarketSpec {
                baseline: (*before).clone(),
                what_if: Some((*after).clone()),
                ..self.spec.clone()
            };
            let difference = self.run(&spec)?.difference.unwrap_or_default();
            Ok(Effect {
                part,
                revenue_per_mille: difference.revenue_per_mille,
                clicks_per_mille: difference.clicks_per_mille,
                ctr: difference.ctr,
            })
        })
    }

    /// What a fifth less and a fifth more of each thing brings, in the order of what moves revenue most.
    ///
    /// # Errors
    /// A cancel.
    pub fn sensitivity(&self) -> Result<Sensitivity> {
        type Turn = fn(&mut MarketSpec, f64);
        let things: [(&'static str, Turn); 4] = [
            ("bids", |spec, factor| {
                for campaign in &mut spec.campaigns {
                    campaign.bid_micros = ((campaign.bid_micros as f64 * factor).round() as i64).max(1);
                }
            }),
            ("budgets", |spec, factor| spec.campaigns.iter_mut().for_each(|c| scale(c, factor))),
            ("reserve", |spec, factor| {
                let reserve = spec.baseline.reserve_cpm_micros as f64;
                spec.baseline.reserve_cpm_micros = (reserve * factor).round() as i64;
            }),
            ("looks at lower slots", |spec, factor| {
                spec.slots.iter_mut().skip(1).for_each(|look| *look = (*look * factor).min(1.0));
            }),
        ];
        self.context.stage("running what matters");
        let runs: Vec<(Turn, f64)> =
            things.iter().flat_map(|(_, turn)| [(*turn, 0.8), (*turn, 1.2)]).collect();
        let points = self.all(&runs, |(turn, factor)| {
            let mut spec = self.spec.clone();
            turn(&mut spec, *factor);
            Ok(point(*factor, &self.run(&spec)?))
        })?;
        // The pool is the same: another seed draws other pages and other luck from it.
        let luck = self.all(&[1, 2, 3], |more| {
            let spec = MarketSpec { seed: self.spec.seed.wrapping_add(*more), ..self.spec.clone() };
            Ok(point(1.0, &self.run(&spec)?))
        })?;
        let names = things.iter().map(|(name, _)| *name);
        let mut things: Vec<(&'static str, Point, Point)> =
            names.zip(points.chunks_exact(2)).map(|(name, pair)| (name, pair[0], pair[1])).collect();
        let moved = |thing: &(&'static str, Point, Point)| (thing.2.spend - thing.1.spend).abs();
        things.sort_by(|a, b| moved(b).total_cmp(&moved(a)));
        Ok(Sensitivity { now: point(1.0, &self.run(&self.spec)?), things, luck })
    }

    fn all<T: Sync, A: Send>(&self, things: &[T], of: impl Fn(&T) -> Result<A> + Sync) -> Result<Vec<A>> {
        things
            .par_iter()
            .map(|thing| {
                self.context.check()?;
                of(thing)
            })
            .collect()
    }

    fn run(&self, spec: &MarketSpec) -> Result<Outcome> {
        let prepared = prepare(spec, self.inputs, Some(&self.pool), self.context)?;
        let options = RunOptions { requests: prepared.requests, record: 0 };
        let run = simulate(&prepared.market, options, &Latest::default(), self.context)?;
        Ok(Arc::unwrap_or_clone(run.outcome))
    }

    fn offers(&self) -> Result<Vec<f64>> {
        let prepared = prepare(&self.spec, self.inputs, Some(&self.pool), self.context)?;
        Ok(prepared.market.offers_ecpm_micros().into_iter().map(|offer| offer / 1e6).collect())
    }

    /// Where the lever stands in the spec.
    fn now(&self, lever: Lever) -> f64 {
        match lever {
            Lever::Reserve => self.spec.baseline.reserve_cpm_micros as f64 / 1e6,
            Lever::Budget => 1.0,
            Lever::Cap => self
                .spec
                .campaigns
                .iter()
                .filter_map(|campaign| campaign.frequency_cap)
                .max()
                .map_or(f64::INFINITY, f64::from),
        }
    }

    fn turned(&self, lever: Lever, place: f64) -> Result<MarketSpec> {
        let stands = match lever {
            Lever::Reserve | Lever::Budget => (0.0..=1e9).contains(&place),
            Lever::Cap => (1.0..=1e6).contains(&place),
        };
        if !stands {
            return Err(Failure::new(
                "cannot plan",
                format!("a {} of {place} makes no sense", lever.label()),
            ));
        }
        let mut spec = self.spec.clone();
        match lever {
            Lever::Reserve => spec.baseline.reserve_cpm_micros = (place * 1e6).round() as i64,
            Lever::Budget => spec.campaigns.iter_mut().for_each(|campaign| scale(campaign, place)),
            Lever::Cap => {
                spec.campaigns.iter_mut().for_each(|campaign| campaign.frequency_cap = Some(place as u32));
            }
        }
        Ok(spec)
    }
}

/// The first and the last, then always what halves the widest gap: each beginning of the list is spread over the whole.
fn far_apart(places: &[f64]) -> Vec<f64> {
    let Some(last) = places.len().checked_sub(1) else { return Vec::new() };
    let mut order = vec![0, last];
    let mut gaps = std::collections::VecDeque::from([(0usize, last)]);
    while let Some((left, right)) = gaps.pop_front() {
        let middle = left.midpoint(right);
        if middle > left {
            order.push(middle);
            gaps.extend([(left, middle), (middle, right)]);
        }
    }
    order.dedup();
    order.into_iter().map(|place| places[place]).collect()
}

fn scale(campaign: &mut Campaign, factor: f64) {
    campaign.budget_micros = campaign.budget_micros.map(|budget| (budget as f64 * factor).round() as i64);
}

fn point(at: f64, outcome: &Outcome) -> Point {
    let totals = &outcome.baseline.totals;
    let reach: u64 = outcome.baseline.campaigns.iter().map(|campaign| campaign.reach).sum();
    Point {
        at,
        impressions: totals.impressions,
        ctr: totals.ctr,
        clicks: totals.clicks,
        spend: totals.spend,
        revenue_per_mille: totals.revenue_per_mille,
        fill: totals.fill,
        reach,
        frequency: totals.impressions as f64 / (reach as f64).max(1.0),
    }
}

/// The upper concave hull of `(spend, clicks)` with the origin: what can be had by mixing points in time.
fn concave(runs: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = runs.to_vec();
    points.push((0.0, 0.0));
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for point in points {
        while let [.., a, b] = hull.as_slice() {
            // Not below the line from a to the new point, or no further right: b is no corner.
            let rises = (b.0 - a.0) * (point.1 - a.1) - (b.1 - a.1) * (point.0 - a.0);
            if rises < 0.0 {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// Shares money out in parts, each to the curve that rises most with it.
fn share_out(curves: &[Vec<(f64, f64)>], total: f64) -> Vec<f64> {
    let part = total / PARTS as f64;
    let clicks_at = |curve: &[(f64, f64)], money: f64| {
        let right = curve.partition_point(|(spend, _)| *spend <= money);
        match (right.checked_sub(1).and_then(|left| curve.get(left)), curve.get(right)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (money - a.0) / (b.0 - a.0),
            (Some(last), None) => last.1,
            (None, _) => 0.0,
        }
    };
    let mut given = vec![0.0; curves.len()];
    for _ in 0..PARTS {
        let gain = |place: &usize| {
            let (curve, money) = (&curves[*place], given[*place]);
            clicks_at(curve, money + part) - clicks_at(curve, money)
        };
        let best = (0..curves.len()).max_by(|a, b| gain(a).total_cmp(&gain(b)));
        match best.filter(|place| gain(place) > 0.0) {
            Some(place) => given[place] += part,
            // Nothing brings more clicks: what is left stays with whom it would do no harm.
            None => break,
        }
    }
    let left = (total - given.iter().sum::<f64>()).max(0.0) / given.len() as f64;
    given.iter_mut().for_each(|money| *money += left);
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_places_are_far_apart_and_none_is_lost() {
        assert_eq!(far_apart(&[1.0, 2.0, 3.0, 4.0, 5.0]), [1.0, 5.0, 3.0, 2.0, 4.0]);
        assert_eq!((far_apart(&[7.0]), far_apart(&[7.0, 8.0])), (vec![7.0], vec![7.0, 8.0]));
        assert_eq!(far_apart(&[]), [0.0; 0]);
        let mut all = far_apart(&(0..20).map(f64::from).collect::<Vec<_>>());
        all.sort_unstable_by(f64::total_cmp);
        assert_eq!(all, (0..20).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn money_goes_where_the_next_unit_brings_most() {
        // Clicks 2 a unit up to 10, then 0.5; and 1 a unit up to 40: of 30, 10 go to the first and 20 to the second.
        let curves = [vec![(0.0, 0.0), (10.0, 20.0), (50.0, 40.0)], vec![(0.0, 0.0), (40.0, 40.0)]];
        let given = share_out(&curves, 30.0);
        assert!((given[0] - 10.0).abs() < 0.2 && (given[1] - 20.0).abs() < 0.2, "{given:?}");
        // More than all can use: the rest is shared evenly, and nothing is lost.
        let given = share_out(&curves, 100.0);
        assert!((given.iter().sum::<f64>() - 100.0).abs() < 1e-9 && given[0] >= 50.0 - 0.3, "{given:?}");
    }

    #[test]
    fn a_curve_with_a_dent_is_bridged() {
        let hull = concave(&[(1.0, 5.0), (2.0, 5.5), (3.0, 9.0), (3.0, 8.0)]);
        assert_eq!(hull, [(0.0, 0.0), (1.0, 5.0), (3.0, 9.0)]);
    }
}
