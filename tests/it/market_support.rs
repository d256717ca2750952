//! Small markets for the tests of exact results.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use adloupe::auctions;
use adloupe::base::Params;
use adloupe::domain::Pricing;
use adloupe::jobs::{JobContext, Latest};
use adloupe::market::bidder::Bidder;
use adloupe::market::simulation::{Run, RunOptions, Shown, simulate};
use adloupe::market::{Arm, Market, Scores};
use std::sync::Arc;

/// A matrix of click probabilities, row-major.
pub fn scores(ads: usize, values: Vec<f32>) -> Arc<Scores> {
    Arc::new(Scores::new(ads, values).unwrap())
}

/// A world whose clicks are as predicted.
pub fn arm(scores: &Arc<Scores>, weights: &[f64], reserve: f64, rule: &str) -> Arm {
    let rule = auctions::find(rule).unwrap();
    let built = rule.build(&Params::defaults(rule.params())).unwrap();
    Arm { reserve_ecpm_micros: reserve, ..Arm::new(Arc::clone(scores), weights.to_vec(), built) }
}

/// A campaign that bids per thousand impressions, without a budget.
pub fn bidder(name: &str, ads: &[u32], bid_micros: i64) -> Bidder {
    Bidder { name: name.into(), ads: ads.to_vec(), pricing: Pricing::Cpm, bid_micros, ..Bidder::default() }
}

/// A market of `rows` pooled requests that every campaign targets.
pub fn market_of(
    bidders: Vec<Bidder>,
    rows: usize,
    looks: Vec<f64>,
    seed: u64,
    baseline: Arm,
    what_if: Option<Arm>,
) -> Market {
    let targeted = vec![true; rows * bidders.len()];
    Market::new(bidders, targeted, looks, seed, baseline, what_if).unwrap()
}

/// A run to its end.
pub fn run(market: Market, requests: u64, record: u64) -> Run {
    let options = RunOptions { requests, record };
    simulate(&Arc::new(market), options, &Latest::default(), &JobContext::detached()).unwrap()
}

/// What the baseline of a run showed, page by page.
pub fn recorded(market: Market, pages: u64) -> Vec<Shown> {
    run(market, pages, pages).recording.unwrap().shown[0].clone()
}
