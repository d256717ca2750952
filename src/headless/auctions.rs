//! `adloupe auctions`: what do so many auctions among drawn bidders come to, before any log is at hand?
//!
//! Second price with a reserve; each bidder's bid is lognormal. Held on the processor or on a graphics processor,
//! whichever is faster here; both give the same winners.

use super::{Answer, Terminal};
use crate::base::{Failure, Result, simd};
use crate::jobs::JobContext;
use crate::market::monte_carlo::engine::GpuAuctions;
use crate::market::monte_carlo::{LognormalMarket, Tally};
use serde_json::json;
use std::time::Instant;

/// Who bids, how often, and where it is computed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many bidders; all draw from the same distribution.
    #[arg(long, default_value_t = 8)]
    pub bidders: usize,
    /// Mean of the logarithm of a bid, in currency units.
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true)]
    pub log_mean: f32,
    /// Standard deviation of the logarithm of a bid.
    #[arg(long, default_value_t = 1.0)]
    pub log_deviation: f32,
    /// Nobody buys for less, in currency units.
    #[arg(long, default_value_t = 0.0)]
    pub reserve: f32,
    /// How many auctions.
    #[arg(long, default_value_t = 100_000_000)]
    pub auctions: u64,
    /// Same seed, same winners.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where: auto (whichever is faster), cpu or gpu.
    #[arg(long, default_value = "auto", value_parser = ["auto", "cpu", "gpu"])]
    pub on: String,
}

/// Holds the auctions and sums up.
///
/// # Errors
/// Bidders that cannot be drawn, no graphics processor where one was asked for; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    if args.auctions == 0 {
        return Err(Failure::new("cannot hold the auctions", "0 auctions").at("--auctions"));
    }
    let market = LognormalMarket {
        bidders: vec![(args.log_mean, args.log_deviation); args.bidders],
        reserve: args.reserve,
    };
    let begun = Instant::now();
    let (tally, place) = held(args, &market, &context)?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(answer(&tally, &place, seconds))
}

fn held(args: &Args, market: &LognormalMarket, context: &JobContext) -> Result<(Tally, String)> {
    let processor = format!("the processor ({})", simd::widest());
    let gpu = match args.on.as_str() {
        "cpu" => None,
        "gpu" => Some(GpuAuctions::open()?),
        // Without a graphics processor there is nothing to choose.
        _ => GpuAuctions::open().ok(),
    };
    let Some(gpu) = gpu else { return Ok((market.hold(args.auctions, args.seed, context)?, processor)) };
    if args.on == "gpu" || gpu.pays_off(market, args.auctions, context)? {
        let tally = gpu.hold(market, args.auctions, args.seed, context)?;
        return Ok((tally, gpu.adapter().to_owned()));
    }
    Ok((market.hold(args.auctions, args.seed, context)?, processor))
}

fn answer(tally: &Tally, place: &str, seconds: f64) -> Answer {
    let revenue = tally.revenue();
    let n = tally.auctions as f64;
    let worth = tally.worth_micros as f64 / 1e6 / n;
    let text = format!(
        "{} auctions on {place} in {seconds:.2} s, choosing included\nsold {:.3} %; revenue an auction {:.6} ({:.6} \
         to {:.6}); worth to the winner {worth:.6}\n",
        tally.auctions,
        100.0 * tally.sold as f64 / n,
        revenue.value,
        revenue.low,
        revenue.high,
    );
    let json = json!({
        "auctions": tally.auctions,
        "sold": tally.sold,
        "revenue": revenue,
        "worth": worth,
        "wins": tally.wins,
        "on": place,
        "seconds": seconds,
    });
    Answer { text, json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_bidders_pay_the_closed_form_wherever_they_bid() {
        // T10: two lognormal(0, 1) bidders without a reserve, 0.790562.
        let args = Args {
            bidders: 2,
            log_mean: 0.0,
            log_deviation: 1.0,
            reserve: 0.0,
            auctions: 300_000,
            seed: 4,
            on: "cpu".to_owned(),
        };
        let answer = run(&args, &Terminal::default()).unwrap();
        let revenue = &answer.json["revenue"];
        let (value, high) = (revenue["value"].as_f64().unwrap(), revenue["high"].as_f64().unwrap());
        assert!((value - 0.790_562).abs() < 2.1 * (high - value), "{revenue}");
        let anywhere = run(&Args { on: "auto".to_owned(), ..args }, &Terminal::default()).unwrap();
        assert_eq!(anywhere.json["wins"], answer.json["wins"]);
    }

    #[test]
    fn nothing_to_draw_is_refused() {
        let args = Args {
            bidders: 0,
            log_mean: 0.0,
            log_deviation: 1.0,
            reserve: 0.0,
            auctions: 10,
            seed: 1,
            on: "cpu".to_owned(),
        };
        assert!(run(&args, &Terminal::default()).unwrap_err().why.contains("0 bidders"));
        assert!(run(&Args { auctions: 0, ..args }, &Terminal::default()).is_err());
    }
}
