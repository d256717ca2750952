//! What happens, request by request? Slots -> auctions -> clicks, for both worlds on the same luck.
//!
//! A request is one page view of a pooled row. Every campaign that targets it and could still pay enters with
//! its strongest ad; the rule sells the slots; a shown ad is clicked with its true probability times the
//! slot's share of looks; the campaign pays at once (CPM when shown, CPC when clicked) and drops out when its
//! budget could not pay another event, so no budget is ever exceeded.

use super::audience::purpose;
use super::bidder::{Fate, Ledger};
use super::outcome::{Moments, Outcome};
use super::{Arm, Market};
use crate::auctions::{Auction, Sale};
use crate::base::Result;
use crate::base::rng::{keyed_uniform, mix};
use crate::domain::Pricing;
use crate::domain::money::units_from_nanos;
use crate::jobs::{JobContext, Latest};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A run in progress. Steps of any size give the same result.
pub struct Simulation {
    market: Arc<Market>,
    worlds: Vec<World>,
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
    /// What an event (impression or click) costs, in nanos.
    pub price_nanos: i64,
    /// What the model predicted for the first slot.
    pub predicted: f32,
    /// The probability that the click was drawn with.
    pub p_click: f32,
    /// Whether it was clicked.
    pub clicked: bool,
}

/// How long, and what to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Pages to simulate.
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

/// Requests between two looks at the cancel flag: below a millisecond of work.
const CHUNK: u64 = 1_024;
/// First partial result, and pause between later ones.
const FIRST_PARTIAL: Duration = Duration::from_millis(40);
const PARTIAL_EVERY: Duration = Duration::from_millis(100);
/// The offer of a campaign that is not in the auction.
const SITS_OUT: f64 = -1.0;
/// Outcomes kept for the player.
const CHECKPOINTS: u64 = 500;

/// Runs the market to its end, publishing the outcome so far.
///
/// # Errors
/// Only a cancel.
pub fn simulate(
    market: &Arc<Market>,
    options: RunOptions,
    live: &Latest<Outcome>,
    context: &JobContext,
) -> Result<Run> {
    let mut simulation = Simulation::new(Arc::clone(market), options.record);
    let begun = Instant::now();
    let mut due = FIRST_PARTIAL;
    while simulation.done < options.requests {
        context.check()?;
        simulation.step(CHUNK.min(options.requests - simulation.done));
        context.progress(simulation.done, options.requests);
        if begun.elapsed() >= due {
            live.publish(simulation.outcome());
            context.wake();
            due = begun.elapsed() + PARTIAL_EVERY;
        }
    }
    let outcome = simulation.outcome();
    live.publish(outcome.clone());
    Ok(Run { outcome: Arc::new(outcome), recording: simulation.recording.map(Arc::new) })
}

impl Simulation {
    /// Opens the market. The first `record` pages are kept for a player.
    pub fn new(market: Arc<Market>, record: u64) -> Self {
        let worlds: Vec<World> = market.arms.iter().map(|_| World::new(&market)).collect();
        let recording = (record > 0).then(|| Recording {
            shown: vec![Vec::new(); worlds.len()],
            stride: record.div_ceil(CHECKPOINTS),
            limit: record.min(u64::from(u32::MAX)),
            ..Recording::default()
        });
        Self { market, worlds, moments: Moments::default(), done: 0, recording }
    }

    /// Serves the next `requests` pages in every world.
    pub fn step(&mut self, requests: u64) {
        for _ in 0..requests {
            self.serve_next();
        }
    }

    /// Pages served so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The outcome so far.
    pub fn outcome(&self) -> Outcome {
        let accounts: Vec<_> = self.worlds.iter().map(|w| w.ledgers.as_slice()).collect();
        Outcome::new(&self.market, self.done, &accounts, &self.moments)
    }

    fn serve_next(&mut self) {
        let market = &*self.market;
        let request = self.done;
        let (row, what_if_row) = market.coupling.rows(market.seed, request);
        let mut page = [0.0; 6];
        for (index, (arm, world)) in market.arms.iter().zip(&mut self.worlds).enumerate() {
            let row = if index == 0 { row } else { what_if_row };
            let served = world.serve(market, arm, request, row);
            page[index * 3..index * 3 + 3].copy_from_slice(&served);
        }
        self.moments.add(&page);
        self.done += 1;
        self.record(request, (row as u32, what_if_row as u32));
    }

    fn record(&mut self, request: u64, rows: (u32, u32)) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        if request >= recording.limit {
            return;
        }
        for (kept, world) in recording.shown.iter_mut().zip(&self.worlds) {
            kept.extend_from_slice(&world.page);
        }
        recording.rows.push(rows);
        recording.pages = self.done;
        if self.done.is_multiple_of(recording.stride) {
            let accounts: Vec<_> = self.worlds.iter().map(|w| w.ledgers.as_slice()).collect();
            let outcome = Outcome::new(&self.market, self.done, &accounts, &self.moments);
            recording.checkpoints.push(Arc::new(outcome));
        }
    }
}

/// One scenario's running state.
struct World {
    ledgers: Vec<Ledger>,
    /// What the last page showed.
    page: Vec<Shown>,
    // Scratch, kept to save allocations.
    ecpm_micros: Vec<f64>,
    strongest: Vec<(u32, f32)>,
    sales: Vec<Sale>,
}

impl World {
    fn new(market: &Market) -> Self {
        Self {
            ledgers: market.bidders.iter().map(Ledger::new).collect(),
            page: Vec::new(),
            ecpm_micros: vec![0.0; market.bidders.len()],
            strongest: vec![(0, 0.0); market.bidders.len()],
            sales: Vec::new(),
        }
    }

    /// One page: impressions, clicks, revenue in currency units.
    fn serve(&mut self, market: &Market, arm: &Arm, request: u64, row: usize) -> [f64; 3] {
        self.collect_offers(market, arm, row);
        let auction = Auction {
            ecpm_micros: &self.ecpm_micros,
            slots: market.slots.len(),
            reserve_ecpm_micros: arm.reserve_ecpm_micros,
            tie_seed: mix(market.seed ^ mix(request.wrapping_add(purpose::TIE << 48))),
        };
        arm.rule.clear(&auction, &mut self.sales);
        self.note_losers(arm.reserve_ecpm_micros);
        self.show(market, arm, request, row)
    }

    fn collect_offers(&mut self, market: &Market, arm: &Arm, row: usize) {
        let predicted = arm.predicted.row(row);
        let bidders = market.bidders.len();
        let targeted = &market.targeted[row * bidders..(row + 1) * bidders];
        for (index, bidder) in market.bidders.iter().enumerate() {
            let ledger = &mut self.ledgers[index];
            self.ecpm_micros[index] = SITS_OUT;
            if !targeted[index] {
                ledger.note(Fate::NotTargeted);
            } else if ledger.left_nanos < bidder.dearest_event_nanos() {
                ledger.note(Fate::NoBudget);
            } else {
                let strongest = bidder.strongest_ad(predicted);
                self.strongest[index] = strongest;
                self.ecpm_micros[index] = bidder.ecpm_micros(strongest.1);
            }
        }
    }

    fn note_losers(&mut self, reserve_ecpm_micros: f64) {
        for (index, ecpm_micros) in self.ecpm_micros.iter().enumerate() {
            if *ecpm_micros == SITS_OUT {
                continue;
            }
            let fate = if self.sales.iter().any(|sale| sale.bidder == index) {
                Fate::Won
            } else if *ecpm_micros <= 0.0 || *ecpm_micros < reserve_ecpm_micros {
                Fate::BelowReserve
            } else {
                Fate::Outbid
            };
            self.ledgers[index].note(fate);
        }
    }

    fn show(&mut self, market: &Market, arm: &Arm, request: u64, row: usize) -> [f64; 3] {
        let truth = arm.clicks.row(row);
        let slots = market.slots.len() as u64;
        let (mut clicks, mut revenue_nanos) = (0.0, 0i64);
        self.page.clear();
        for sale in &self.sales {
            let bidder = &market.bidders[sale.bidder];
            let (ad, predicted) = self.strongest[sale.bidder];
            let look = market.slots[sale.slot] as f32;
            let p_click = truth[ad as usize] * look;
            let luck = request * slots + sale.slot as u64;
            let clicked = keyed_uniform(market.seed, purpose::CLICK, luck) < f64::from(p_click);
            let price_nanos = bidder.event_price_nanos(sale.price_ecpm_micros, predicted);
            let ledger = &mut self.ledgers[sale.bidder];
            ledger.impressions += 1;
            ledger.clicks += u64::from(clicked);
            ledger.predicted_clicks += f64::from(predicted * look);
            ledger.expected_clicks += f64::from(p_click);
            if clicked || bidder.pricing == Pricing::Cpm {
                ledger.pay(price_nanos);
                revenue_nanos += price_nanos;
                if ledger.left_nanos < bidder.dearest_event_nanos() {
                    ledger.exhausted_at.get_or_insert(request + 1);
                }
            }
            clicks += f64::from(u8::from(clicked));
            self.page.push(Shown {
                page: request as u32,
                slot: sale.slot as u8,
                bidder: sale.bidder as u32,
                ad,
                price_nanos,
                predicted,
                p_click,
                clicked,
            });
        }
        [self.page.len() as f64, clicks, units_from_nanos(revenue_nanos)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auctions;
    use crate::base::Params;
    use crate::market::Scores;
    use crate::market::bidder::Bidder;

    fn arm(scores: &Arc<Scores>, weights: &[f64], reserve: f64, rule: &str) -> Arm {
        let rule = auctions::find(rule).unwrap();
        Arm {
            predicted: Arc::clone(scores),
            clicks: Arc::clone(scores),
            weights: weights.to_vec(),
            reserve_ecpm_micros: reserve,
            rule: rule.build(&Params::defaults(rule.params())).unwrap(),
        }
    }

    fn bidder(name: &str, ads: &[u32], bid_micros: i64, budget_nanos: Option<i64>) -> Bidder {
        Bidder { name: name.into(), ads: ads.to_vec(), pricing: Pricing::Cpm, bid_micros, budget_nanos }
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
        let mut one = Simulation::new(Arc::clone(&market), 100);
        one.step(5_000);
        let mut many = Simulation::new(market, 100);
        for size in [1, 7, 992, 4_000] {
            many.step(size);
        }
        assert_eq!(one.outcome(), many.outcome());
        assert_eq!(one.recording.unwrap().shown, many.recording.unwrap().shown);
    }

    #[test]
    fn ticks_with_equal_inputs_have_different_luck() {
        let n = 50_000usize;
        let market = Arc::new(two_kinds(5, &[1.0, 1.0]));
        let mut simulation = Simulation::new(market, 2 * n as u64);
        simulation.step(2 * n as u64);
        let shown = &simulation.recording.as_ref().unwrap().shown[0];
        let clicks: Vec<f64> = shown.iter().map(|s| f64::from(u8::from(s.clicked))).collect();
        let (first, second) = clicks.split_at(n);
        let mean = |v: &[f64]| v.iter().sum::<f64>() / n as f64;
        let (a, b) = (mean(first), mean(second));
        let covariance: f64 =
            first.iter().zip(second).map(|(x, y)| (x - a) * (y - b)).sum::<f64>() / n as f64;
        let correlation = covariance / (a * (1.0 - a) * b * (1.0 - b)).sqrt();
        assert!(correlation.abs() < 4.0 / (n as f64).sqrt(), "{correlation}");
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
                        + lost.below_reserve
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
    fn the_winner_is_overrated_as_much_as_theory_says() {
        // n equal ads whose prediction carries lognormal noise of mean 1 and sigma 0.3: the winner's is
        // inflated by E[max] = 1.168 (n = 2), 1.383 (n = 5), 1.541 (n = 10).
        let mut rng = crate::base::rng::Rng::named(2, "winner's curse");
        for (n, exact) in [(2usize, 1.167_996), (5, 1.383_269), (10, 1.541_117)] {
            let (rows, p, sigma) = (100_000, 0.02, 0.3);
            let noisy = (0..rows * n)
                .map(|_| (p * (sigma * rng.normal() - sigma * sigma / 2.0).exp()) as f32)
                .collect();
            let predicted = Arc::new(Scores::new(n, noisy).unwrap());
            let mut world = arm(&predicted, &vec![1.0; rows], 0.0, "second_price");
            world.clicks = Arc::new(Scores::new(n, vec![p as f32; rows * n]).unwrap());
            let bidders = (0..n as u32)
                .map(|ad| Bidder { pricing: Pricing::Cpc, ..bidder("ad", &[ad], 1_000_000, None) })
                .collect();
            let market = Market::new(bidders, vec![true; rows * n], vec![1.0], 8, world, None).unwrap();
            let totals = run(market, 200_000).baseline.totals;
            let inflation = totals.predicted_ctr / totals.expected_ctr;
            assert!((inflation - exact).abs() < 0.006, "n = {n}: {inflation} against {exact}");
        }
    }

    #[test]
    fn lower_slots_are_clicked_as_often_as_they_are_looked_at() {
        // Position-based model (Craswell et al. 2008): click rate of slot k over slot 1 is its share of looks.
        let scores = Arc::new(Scores::new(2, vec![0.3, 0.3]).unwrap());
        let bidders = vec![bidder("a", &[0], 1_000_000, None), bidder("b", &[1], 1_000_000, None)];
        let world = arm(&scores, &[1.0], 0.0, "second_price");
        let market = Arc::new(Market::new(bidders, vec![true; 2], vec![1.0, 0.6], 3, world, None).unwrap());
        let pages = 100_000;
        let mut simulation = Simulation::new(market, pages);
        simulation.step(pages);
        let shown = &simulation.recording.as_ref().unwrap().shown[0];
        for (slot, exact) in [(0u8, 0.3), (1, 0.18)] {
            let clicks = shown.iter().filter(|shown| shown.slot == slot && shown.clicked).count();
            let rate = clicks as f64 / pages as f64;
            let error = (exact * (1.0 - exact) / pages as f64).sqrt();
            assert!((rate - exact).abs() < 4.0 * error, "slot {slot}: {rate}");
        }
        // Equal bidders share the first slot evenly.
        let firsts = shown.iter().filter(|shown| shown.slot == 0 && shown.bidder == 0).count();
        assert!((firsts as f64 / pages as f64 - 0.5).abs() < 4.0 * 0.5 / (pages as f64).sqrt());
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
