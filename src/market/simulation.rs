//! How does a run go on? Pages for both worlds on the same luck, with partial results and a recording.
//!
//! A request is one page view of a pooled row. Both worlds serve it, each by its own rules (see
//! `world`), on their own thread where there is enough to do; whatever the threads, a seed gives
//! the same winners.

use super::bidder::Fate;
use super::outcome::{HourOutcome, Moments, Outcome};
use super::rhythm;
use super::world::World;
use super::{Arm, Market};
use crate::base::Result;
use crate::jobs::{JobContext, Latest};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A run in progress. Steps of any size give the same result.
pub struct Simulation {
    market: Arc<Market>,
    worlds: Vec<Track>,
    moments: Moments,
    done: u64,
    recording: Option<Recording>,
}

/// What a player needs to show a run again at a person's pace.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Pages that were recorded: the first so many of the run.
    pub pages: u64,
    /// `[world]`: what was shown, in order. Baseline first.
    pub shown: Vec<Vec<Shown>>,
    /// `[world][page * campaigns + campaign]`: what each campaign offered, and what became of it.
    pub offers: Vec<Vec<Offer>>,
    /// `[page]`: pooled rows of the baseline and the what-if.
    pub rows: Vec<(u32, u32)>,
    /// The outcome so far, after [`Recording::stride`], twice that, … pages.
    pub checkpoints: Vec<Arc<Outcome>>,
    /// Pages between checkpoints.
    pub stride: u64,
    limit: u64,
}

/// One ad in one slot of one page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// Which page, from 0.
    pub page: u32,
    /// Which slot of it, from 0.
    pub slot: u8,
    /// Which campaign won.
    pub bidder: u32,
    /// Column of the ad.
    pub ad: u32,
    /// What an event (impression, click or conversion) costs, in nanos.
    pub price_nanos: i64,
    /// What the auction asked, in micros per thousand impressions that are looked at.
    pub price_ecpm_micros: f64,
    /// What the winner had to reach, in the same unit.
    pub to_win_ecpm_micros: f64,
    /// What the model predicted for a slot that is looked at.
    pub predicted: f32,
    /// The probability that the click was drawn with.
    pub p_click: f32,
    /// Whether it was clicked.
    pub clicked: bool,
    /// By how much it moved the log odds of this user and ad, where the bidders learn; else 0.
    pub moved: f32,
}

/// What one campaign offered for one page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// The offer, in micros per thousand impressions; 0 where none was made.
    pub ecpm_micros: f64,
    /// Column of the ad.
    pub ad: u32,
    /// What the model predicted for it.
    pub predicted: f32,
    /// What became of it.
    pub fate: Fate,
}

impl Default for Offer {
    fn default() -> Self {
        Self { ecpm_micros: 0.0, ad: 0, predicted: 0.0, fate: Fate::NotTargeted }
    }
}

/// How long, and what to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Pages to simulate; pacing spreads the budgets over them.
    pub requests: u64,
    /// Pages to record for a player; 0: none.
    pub record: u64,
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Totals, campaigns, difference.
    pub outcome: Arc<Outcome>,
    /// The recorded pages, if asked for.
    pub recording: Option<Arc<Recording>>,
}

/// Pages that the worlds serve between two meetings, and between two looks at the cancel flag: about a
/// millisecond of work.
const CHUNK: u64 = 1_024;
/// Below so many pages a second thread costs more than it brings.
const WORTH_A_THREAD: u64 = 256;
/// First partial result, and pause between later ones.
const FIRST_PARTIAL: Duration = Duration::from_millis(40);
const PARTIAL_EVERY: Duration = Duration::from_millis(100);
/// Outcomes kept for the player.
const CHECKPOINTS: u64 = 200;

/// Runs the market to its end, publishing the outcome so far.
///
/// # Errors
/// A cancel, or a model that cannot predict anew.
pub fn simulate(
    market: &Arc<Market>,
    options: RunOptions,
    live: &Latest<Outcome>,
    context: &JobContext,
) -> Result<Run> {
    let mut simulation = Simulation::new(Arc::clone(market), options);
    let begun = Instant::now();
    let mut due = FIRST_PARTIAL;
    while simulation.done < options.requests {
        context.check()?;
        simulation.step(CHUNK.min(options.requests - simulation.done));
        if let Some(failure) = simulation.worlds.iter().find_map(|track| track.world.failure()) {
            return Err(failure.clone());
        }
        context.progress(simulation.done, options.requests);
        if begun.elapsed() >= due {
            live.publish(simulation.outcome());
            context.wake();
            due = begun.elapsed() + PARTIAL_EVERY;
        }
    }
    let outcome = simulation.outcome();
    live.publish(outcome.clone());
    Ok(Run { outcome: Arc::new(outcome), recording: simulation.into_recording().map(Arc::new) })
}

impl Simulation {
    /// Opens the market. The first `options.record` pages are kept for a player.
    pub fn new(market: Arc<Market>, options: RunOptions) -> Self {
        let hours = if market.rhythm.is_some() { rhythm::HOURS } else { 0 };
        let worlds =
            (0..market.worlds()).map(|world| Track::new(World::new(&market, world, options.requests), hours));
        let worlds: Vec<Track> = worlds.collect();
        let recording = (options.record > 0).then(|| Recording {
            stride: options.record.div_ceil(CHECKPOINTS),
            limit: options.record.min(u64::from(u32::MAX)),
            ..Recording::default()
        });
        Self { market, worlds, moments: Moments::default(), done: 0, recording }
    }

    /// Serves the next `requests` pages in every world.
    pub fn step(&mut self, requests: u64) {
        let end = self.done + requests;
        while self.done < end {
            self.serve(CHUNK.min(end - self.done).min(self.pages_to_checkpoint()));
        }
    }

    /// Pages served so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The outcome so far.
    pub fn outcome(&self) -> Outcome {
        let states: Vec<_> = self.worlds.iter().map(|track| &track.world).collect();
        let mut outcome = Outcome::new(&self.market, self.done, &states, &self.moments);
        for (track, world) in self.worlds.iter().zip([Some(&mut outcome.baseline), outcome.what_if.as_mut()])
        {
            if let Some(world) = world {
                world.hours.clone_from(&track.hours);
            }
        }
        outcome
    }

    /// The pages that were recorded.
    pub fn into_recording(self) -> Option<Recording> {
        let mut recording = self.recording?;
        for track in self.worlds {
            recording.shown.push(track.shown);
            recording.offers.push(track.offers);
        }
        Some(recording)
    }

    /// Pages until the next checkpoint of the recording; none is ever passed.
    fn pages_to_checkpoint(&self) -> u64 {
        match &self.recording {
            Some(recording) if self.done < recording.limit => {
                let next = (self.done / recording.stride + 1) * recording.stride;
                next.min(recording.limit) - self.done
            }
            _ => u64::MAX,
        }
    }

    fn serve(&mut self, pages: u64) {
        let market = &*self.market;
        let requests = self.done..self.done + pages;
        let rows: Vec<(usize, usize)> = requests.map(|request| market.rows_of(request)).collect();
        let record = self.recording.as_ref().is_some_and(|recording| self.done < recording.limit);
        let first = self.done;
        match self.worlds.as_mut_slice() {
            [baseline, what_if] => {
                let one = || baseline.serve(market, &market.arms[0], first, rows.iter().map(|r| r.0), record);
                let other =
                    || what_if.serve(market, &market.arms[1], first, rows.iter().map(|r| r.1), record);
                if pages >= WORTH_A_THREAD {
                    rayon::join(one, other);
                } else {
                    let mut one = one;
                    let mut other = other;
                    one();
                    other();
                }
            }
            worlds => {
                for (track, arm) in worlds.iter_mut().zip(&market.arms) {
                    track.serve(market, arm, first, rows.iter().map(|r| r.0), record);
                }
            }
        }
        for page in 0..pages as usize {
            let mut numbers = [0.0; 6];
            for (world, track) in self.worlds.iter_mut().enumerate() {
                let served = track.served[page];
                numbers[3 * world..3 * world + 3].copy_from_slice(&served);
                if let Some(rhythm) = &market.rhythm {
                    track.hours[rhythm.hour(world, first + page as u64)].add(served);
                }
            }
            self.moments.add(&numbers);
        }
        self.done += pages;
        self.record(rows);
    }

    fn record(&mut self, rows: Vec<(usize, usize)>) {
        let outcome = match &self.recording {
            Some(recording) if recording.pages < recording.limit => {
                self.done.is_multiple_of(recording.stride).then(|| Arc::new(self.outcome()))
            }
            _ => return,
        };
        if let Some(recording) = &mut self.recording {
            recording.rows.extend(rows.into_iter().map(|(row, other)| (row as u32, other as u32)));
            recording.pages = self.done;
            recording.checkpoints.extend(outcome);
        }
    }
}

/// A world with what it leaves behind.
struct Track {
    world: World,
    /// Impressions, clicks and revenue of the last pages.
    served: Vec<[f64; 3]>,
    shown: Vec<Shown>,
    offers: Vec<Offer>,
    /// What came in each hour; empty where the run has no days.
    hours: Vec<HourOutcome>,
}

impl Track {
    fn new(world: World, hours: usize) -> Self {
        let hours = vec![HourOutcome::default(); hours];
        Self { world, served: Vec::new(), shown: Vec::new(), offers: Vec::new(), hours }
    }

    fn serve(
        &mut self,
        market: &Market,
        arm: &Arm,
        first: u64,
        rows: impl Iterator<Item = usize>,
        record: bool,
    ) {
        self.served.clear();
        for (request, row) in (first..).zip(rows) {
            self.served.push(self.world.serve(market, arm, request, row));
            if record {
                self.shown.extend_from_slice(&self.world.page);
                self.offers.extend_from_slice(&self.world.offers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auctions;
    use crate::base::Params;
    use crate::domain::Pricing;
    use crate::market::Scores;
    use crate::market::bidder::Bidder;

    fn arm(scores: &Arc<Scores>, weights: &[f64], reserve: f64, rule: &str) -> Arm {
        let rule = auctions::find(rule).unwrap();
        let built = rule.build(&Params::defaults(rule.params())).unwrap();
        Arm { reserve_ecpm_micros: reserve, ..Arm::new(Arc::clone(scores), weights.to_vec(), built) }
    }

    fn bidder(name: &str, ads: &[u32], bid_micros: i64, budget_nanos: Option<i64>) -> Bidder {
        Bidder { name: name.into(), ads: ads.to_vec(), bid_micros, budget_nanos, ..Bidder::default() }
    }

    fn run(market: Market, requests: u64) -> Outcome {
        let options = RunOptions { requests, record: 0 };
        let context = JobContext::detached();
        let run = simulate(&Arc::new(market), options, &Latest::default(), &context).unwrap();
        Arc::unwrap_or_clone(run.outcome)
    }

    /// One campaign, two kinds of request with click rates 0.1 and 0.3.
    fn two_kinds(seed: u64, what_if: &[f64]) -> Market {
        let scores = Arc::new(Scores::new(1, vec![0.1, 0.3]).unwrap());
        Market::new(
            vec![bidder("a", &[0], 2_000_000, None)],
            vec![true; 2],
            vec![1.0],
            seed,
            arm(&scores, &[1.0, 1.0], 1_000_000.0, "second_price"),
            Some(arm(&scores, what_if, 1_500_000.0, "second_price")),
        )
        .unwrap()
    }

    #[test]
    fn totals_are_what_the_closed_form_says() {
        let n = 200_000;
        let outcome = run(two_kinds(1, &[1.0, 3.0]), n);
        let totals = &outcome.baseline.totals;
        assert_eq!(totals.impressions, n);
        assert_eq!(totals.fill.rate, 1.0);
        // A lone bidder pays the reserve: 1.00 per thousand, so 200 for 200,000.
        assert!((totals.revenue - 200.0).abs() < 1e-9, "{}", totals.revenue);
        // Click rate (0.1 + 0.3) / 2; standard deviation of a click 0.4.
        assert!((totals.ctr.rate - 0.2).abs() < 4.0 * 0.4 / (n as f64).sqrt());
        let what_if = &outcome.what_if.unwrap().totals;
        // (0.1 + 3 x 0.3) / 4 = 0.25.
        assert!((what_if.ctr.rate - 0.25).abs() < 4.0 * 0.44 / (n as f64).sqrt());
        let difference = outcome.difference.unwrap();
        assert!((difference.revenue_per_mille.value - 0.5).abs() < 1e-9);
        let ctr = difference.ctr.unwrap();
        // Twice the 95 % half width: four standard errors.
        assert!((ctr.value - 0.05).abs() < ctr.high - ctr.low, "{ctr:?}");
        assert!(!difference.approximate);
    }

    #[test]
    fn intervals_on_the_difference_cover_the_truth_as_often_as_they_say() {
        // Truth: click rate 0.25 - 0.20 = 0.05. 2,000 worlds: binomial sd of the coverage 0.49 %.
        let worlds = 2_000;
        let covered = (0..worlds)
            .filter(|seed| {
                let difference = run(two_kinds(*seed, &[1.0, 3.0]), 600).difference.unwrap();
                !difference.ctr.unwrap().excludes(0.05) && !difference.clicks_per_mille.excludes(50.0)
            })
            .count();
        let share = covered as f64 / worlds as f64;
        assert!((0.93..=0.97).contains(&share), "coverage {share}");
    }

    #[test]
    fn common_luck_makes_the_difference_sharper() {
        let outcome = run(two_kinds(3, &[1.0, 3.0]), 20_000);
        let paired = outcome.difference.unwrap().ctr.unwrap();
        // Two independent runs: variance (0.2 x 0.8 + 0.25 x 0.75) / n.
        let independent = 2.0 * 1.96 * ((0.16 + 0.1875) / 20_000f64).sqrt();
        assert!(paired.high - paired.low < 0.75 * independent);
    }

    #[test]
    fn steps_of_any_size_give_the_same_run() {
        let market = Arc::new(two_kinds(4, &[2.0, 1.0]));
        let options = RunOptions { requests: 5_000, record: 100 };
        let mut one = Simulation::new(Arc::clone(&market), options);
        one.step(5_000);
        let mut many = Simulation::new(market, options);
        for size in [1, 7, 992, 4_000] {
            many.step(size);
        }
        assert_eq!(one.outcome(), many.outcome());
        let (one, many) = (one.into_recording().unwrap(), many.into_recording().unwrap());
        assert_eq!((one.shown, one.offers), (many.shown, many.offers));
    }

    fn budgeted(seed: u64, pricing: Pricing) -> Market {
        let scores = Arc::new(Scores::new(3, vec![0.2, 0.1, 0.4, 0.05, 0.3, 0.2]).unwrap());
        let cost = |mut bidder: Bidder| {
            bidder.pricing = pricing;
            bidder
        };
        Market::new(
            vec![
                cost(bidder("rich", &[0], 900_000, None)),
                cost(bidder("poor", &[1, 2], 2_000_000, Some(1_000_000_123))),
                cost(bidder("broke", &[2], 2_000_000, Some(0))),
            ],
            vec![true, true, true, true, false, true],
            vec![1.0, 0.5],
            seed,
            arm(&scores, &[1.0, 1.0], 1_000_000.0, "second_price"),
            Some(arm(&scores, &[1.0, 1.0], 100_000.0, "first_price")),
        )
        .unwrap()
    }

    #[test]
    fn no_budget_is_ever_exceeded_and_every_page_has_a_reason() {
        for pricing in [Pricing::Cpm, Pricing::Cpc] {
            for seed in 0..20 {
                let n = 3_000;
                let outcome = run(budgeted(seed, pricing), n);
                let worlds = [Some(outcome.baseline), outcome.what_if];
                for campaign in worlds.iter().flatten().flat_map(|w| &w.campaigns) {
                    if let Some(budget) = campaign.budget {
                        assert!(campaign.spend <= budget, "{campaign:?}");
                    }
                    let lost = campaign.lost;
                    let pages = campaign.impressions
                        + lost.not_targeted
                        + lost.no_budget
                        + lost.capped
                        + lost.paced
                        + lost.below_reserve
                        + lost.lost_to_deal
                        + lost.outbid;
                    assert_eq!(pages, n, "{campaign:?}");
                }
                let broke = &worlds[0].as_ref().unwrap().campaigns[2];
                assert_eq!((broke.impressions, broke.spend), (0, 0.0));
                let approximate = outcome.difference.unwrap().approximate;
                assert!(approximate, "the poor campaign runs dry");
            }
        }
    }

    #[test]
    fn a_reserve_leaves_slots_empty() {
        // Bids of 0.90 against a reserve of 1.00.
        let scores = Arc::new(Scores::new(1, vec![0.5]).unwrap());
        let market = Market::new(
            vec![bidder("a", &[0], 900_000, None)],
            vec![true],
            vec![1.0],
            1,
            arm(&scores, &[1.0], 1_000_000.0, "second_price"),
            None,
        )
        .unwrap();
        let outcome = run(market, 100);
        assert_eq!(outcome.baseline.totals.impressions, 0);
        assert_eq!(outcome.baseline.campaigns[0].lost.below_reserve, 100);
        assert!(outcome.difference.is_none());
    }

    #[test]
    fn a_cancel_is_answered() {
        let flag = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let context = JobContext::watched(flag, |_| {});
        let options = RunOptions { requests: 10, record: 0 };
        let market = Arc::new(two_kinds(1, &[1.0, 1.0]));
        let failure = simulate(&market, options, &Latest::default(), &context).unwrap_err();
        assert!(failure.is_cancelled());
    }
}
