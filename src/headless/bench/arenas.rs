//! How many auctions a second beside AuctionGym and AuctionNet, on their own configurations, in one run?
//!
//! `ADLOUPE_AUCTION_GYM` and `ADLOUPE_AUCTION_NET` name checkouts of amzn/auction-gym and alimama-tech/AuctionNet,
//! `ADLOUPE_RIVALS` a Python that has what they import (`benches/rivals/setup.sh` makes one). Ours does the same work
//! with the rules of [`auctions`], on all threads; theirs is measured as it is, on one.

use super::{BenchRow, best_of, ours};
use crate::auctions::{self, Auction, Clearing, Sale};
use crate::base::rng::Rng;
use crate::base::{Failure, Params, Result, failure::Explain};
use crate::jobs::JobContext;
use rayon::prelude::*;
use std::process::Command;

/// An open simulator that is measured beside ours.
struct Arena {
    name: &'static str,
    /// Where its checkout is.
    variable: &'static str,
    script: &'static str,
    /// How many times as fast ours is to be.
    factor: f64,
}

const GYM: Arena = Arena {
    name: "AuctionGym",
    variable: "ADLOUPE_AUCTION_GYM",
    script: include_str!("../../../benches/rivals/auction_gym.py"),
    factor: 100.0,
};
const NET: Arena = Arena {
    name: "AuctionNet's auction module",
    variable: "ADLOUPE_AUCTION_NET",
    script: include_str!("../../../benches/rivals/auction_net.py"),
    factor: 20.0,
};
/// Seconds that a rival is measured for.
const SECONDS: &str = "6";
/// Auctions that share a stream of random numbers.
const CHUNK: usize = 5_000;

/// Both rivals' work by ours, and by them where they are there.
///
/// # Errors
/// A rival that is there and fails; a cancel.
pub fn arenas(context: &JobContext) -> Result<[BenchRow; 2]> {
    const GYM_ROUNDS: usize = 2_000_000;
    const NET_ROUNDS: usize = 500_000;
    let gym = Gym::new(1)?;
    let seconds = best_of(3, context, || {
        std::hint::black_box(gym.rounds(GYM_ROUNDS));
        Ok(())
    })?;
    let gym =
        beside(&GYM, "second price, 2 of 6 bidders, 12 ads each, 5-d CTR", GYM_ROUNDS as f64 / seconds)?;
    let net = Net::new(1)?;
    let seconds = best_of(3, context, || {
        std::hint::black_box(net.period(NET_ROUNDS));
        Ok(())
    })?;
    let net = beside(&NET, "GSP, 48 bidders, 3 slots, exposure, conversion", NET_ROUNDS as f64 / seconds)?;
    Ok([gym, net])
}

fn beside(arena: &Arena, work: &str, rate: f64) -> Result<BenchRow> {
    let Some(checkout) = std::env::var_os(arena.variable) else {
        let rival = Some(format!("{}: not there ({} names no checkout)", arena.name, arena.variable));
        return Ok(BenchRow { rival, ..ours(work, rate, "auctions/s", None) });
    };
    let python = super::rivals_python();
    let what = format!("cannot measure {}", arena.name);
    let out = Command::new(&python)
        .args(["-c", arena.script])
        .arg(checkout)
        .arg(SECONDS)
        .output()
        .explain(&what)?;
    let told = String::from_utf8_lossy(&out.stdout);
    let theirs: Option<f64> = told.lines().last().and_then(|line| line.trim().parse().ok());
    let Some(theirs) = theirs.filter(|_| out.status.success()) else {
        let complaint = String::from_utf8_lossy(&out.stderr);
        let why = complaint.lines().last().unwrap_or("it answered nothing").to_owned();
        return Err(Failure::new(what, why).at(arena.variable).hint("see benches/rivals/setup.sh"));
    };
    Ok(BenchRow {
        rival: Some(format!("{} on one thread", arena.name)),
        rival_value: Some(theirs),
        ratio: Some(rate / theirs),
        ..ours(work, rate, "auctions/s", Some(arena.factor * theirs))
    })
}

fn built(id: &str) -> Result<Box<dyn Clearing>> {
    let rule = auctions::find(id)?;
    rule.build(&Params::defaults(rule.params()))
}

/// AuctionGym's `SP_Oracle`: truthful bidders who know the click rates of their ads.
struct Gym {
    rule: Box<dyn Clearing>,
    /// `[agent][item]`: embedding with its intercept.
    items: Vec<Vec<[f64; 6]>>,
    /// `[agent][item]`.
    values: Vec<Vec<f64>>,
}

/// What an agent has earned.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Earned {
    net: f64,
    gross: f64,
    /// What its best ad was worth on average, over auctions it took part in.
    best: f64,
    auctions: f64,
}

impl Gym {
    const AGENTS: usize = 6;
    const ITEMS: usize = 12;

    fn new(seed: u64) -> Result<Self> {
        let mut rng = Rng::named(seed, "auction gym");
        let mut item = || {
            let mut embedding = [0.0; 6];
            embedding[..5].iter_mut().for_each(|x| *x = rng.normal());
            embedding[5] = -3.0 - rng.uniform();
            embedding
        };
        let items = (0..Self::AGENTS).map(|_| (0..Self::ITEMS).map(|_| item()).collect()).collect();
        let mut rng = Rng::named(seed, "auction gym values");
        let mut value = || (0.1 + 0.2 * rng.normal()).exp();
        let values = (0..Self::AGENTS).map(|_| (0..Self::ITEMS).map(|_| value()).collect()).collect();
        Ok(Self { rule: built("second_price")?, items, values })
    }

    /// Revenue and what each agent earned over so many rounds.
    fn rounds(&self, rounds: usize) -> (f64, [Earned; Self::AGENTS]) {
        let chunks = 0..rounds.div_ceil(CHUNK);
        chunks.into_par_iter().map(|chunk| self.chunk(chunk, CHUNK.min(rounds - chunk * CHUNK))).reduce(
            Default::default,
            |(revenue, mut sum), (more, earned)| {
                for (sum, earned) in sum.iter_mut().zip(&earned) {
                    sum.net += earned.net;
                    sum.gross += earned.gross;
                    sum.best += earned.best;
                    sum.auctions += earned.auctions;
                }
                (revenue + more, sum)
            },
        )
    }

    fn chunk(&self, chunk: usize, rounds: usize) -> (f64, [Earned; Self::AGENTS]) {
        let mut rng = Rng::named(chunk as u64, "auction gym rounds");
        let (mut revenue, mut earned) = (0.0, [Earned::default(); Self::AGENTS]);
        let mut sales: Vec<Sale> = Vec::new();
        for _ in 0..rounds {
            let mut context = [1.0; 6];
            context[..5].iter_mut().for_each(|x| *x = rng.normal());
            let one = rng.below(Self::AGENTS);
            let other = (one + 1 + rng.below(Self::AGENTS - 1)) % Self::AGENTS;
            let offers = [one, other].map(|agent| self.best(agent, &context));
            let bids = offers.map(|(ctr, value)| 1e9 * ctr * value);
            self.rule.clear(&Auction::plain(&bids, 1, 0.0, rng.bits()), &mut sales);
            for (agent, (ctr, value)) in [one, other].into_iter().zip(offers) {
                earned[agent].best += ctr * value;
                earned[agent].auctions += 1.0;
            }
            let Some(sale) = sales.first() else { continue };
            let (agent, (ctr, value)) = ([one, other][sale.bidder], offers[sale.bidder]);
            let price = sale.price_ecpm_micros / 1e9;
            let worth = if rng.chance(ctr) { value } else { 0.0 };
            earned[agent].net += worth - price;
            earned[agent].gross += worth;
            revenue += price;
        }
        (revenue, earned)
    }

    /// Click rate and value of an agent's best ad.
    fn best(&self, agent: usize, context: &[f64; 6]) -> (f64, f64) {
        let mut best = (0.0, 0.0);
        for (item, value) in self.items[agent].iter().zip(&self.values[agent]) {
            let log_odds: f64 = item.iter().zip(context).map(|(a, b)| a * b).sum();
            let ctr = 1.0 / (1.0 + (-log_odds).exp());
            if ctr * value > best.0 * best.1 {
                best = (ctr, *value);
            }
        }
        best
    }
}

/// AuctionNet's `simulate_ad_bidding`: bids and predicted values given, three slots, exposure, conversions.
struct Net {
    rule: Box<dyn Clearing>,
    /// `[opportunity * 48 + advertiser]`: bids in micros per thousand.
    bids: Vec<f64>,
    /// Predicted conversion rates; their deviation is a tenth of it.
    values: Vec<f32>,
    /// How far each advertiser's values are cut off below and above, in twice deviations.
    cuts: Vec<(f64, f64)>,
}

impl Net {
    const ADVERTISERS: usize = 48;
    const OPPORTUNITIES: usize = 10_000;
    const SLOTS: usize = 3;
    /// Shares of looks; the third slot is seen by those who saw the second.
    const LOOKS: [f64; 3] = [1.0, 0.8, 0.6];
    const RESERVE: f64 = 0.01;

    fn new(seed: u64) -> Result<Self> {
        let mut rng = Rng::named(seed, "auction net");
        let cells = Self::OPPORTUNITIES * Self::ADVERTISERS;
        let mut exponential = |mean: f64| -mean * (1.0 - rng.uniform()).ln();
        let bids = (0..cells).map(|_| 1e9 * exponential(0.02)).collect();
        let values = (0..cells).map(|_| exponential(1e-3) as f32).collect();
        let cuts = (0..Self::ADVERTISERS).map(|_| (rng.uniform(), rng.uniform())).collect();
        Ok(Self { rule: built("gsp")?, bids, values, cuts })
    }

    /// Sold slots, exposures, conversions and cost in currency units over so many opportunities.
    fn period(&self, opportunities: usize) -> (u64, u64, u64, f64) {
        let chunks = 0..opportunities.div_ceil(CHUNK);
        chunks
            .into_par_iter()
            .map(|chunk| self.chunk(chunk, CHUNK.min(opportunities - chunk * CHUNK)))
            .reduce(|| (0, 0, 0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3))
    }

    fn chunk(&self, chunk: usize, opportunities: usize) -> (u64, u64, u64, f64) {
        let mut rng = Rng::named(chunk as u64, "auction net ticks");
        let (mut sold, mut exposed, mut converted, mut cost) = (0, 0, 0, 0.0);
        let mut sales: Vec<Sale> = Vec::new();
        for place in chunk * CHUNK..chunk * CHUNK + opportunities {
            let first = place % Self::OPPORTUNITIES * Self::ADVERTISERS;
            let bids = &self.bids[first..first + Self::ADVERTISERS];
            let auction = Auction::plain(bids, Self::SLOTS, 1e9 * Self::RESERVE, rng.bits());
            self.rule.clear(&auction, &mut sales);
            let mut second_seen = true;
            for sale in &sales {
                sold += 1;
                let seen = (sale.slot < 2 || second_seen) && rng.chance(Self::LOOKS[sale.slot]);
                second_seen &= sale.slot != 1 || seen;
                if seen {
                    exposed += 1;
                    cost += sale.price_ecpm_micros / 1e9;
                    let value = f64::from(self.values[first + sale.bidder]);
                    let deviation = 0.1 * value + 1e-6;
                    let drawn = value + deviation * self.cut_normal(sale.bidder, &mut rng);
                    converted += u64::from(rng.chance(drawn.clamp(0.0, 1.0)));
                }
            }
        }
        (sold, exposed, converted, cost)
    }

    /// A standard normal between an advertiser's cuts, by rejection; 0 where the cuts leave next to nothing.
    fn cut_normal(&self, advertiser: usize, rng: &mut Rng) -> f64 {
        let (below, above) = self.cuts[advertiser];
        for _ in 0..1_000 {
            let z = rng.normal();
            if (-2.0 * below..=2.0 * above).contains(&z) {
                return z;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rivals_work_is_done_as_they_describe_it() {
        let gym = Gym::new(1).unwrap();
        let (revenue, earned) = gym.rounds(20_000);
        assert_eq!(earned.iter().map(|earned| earned.auctions).sum::<f64>(), 40_000.0);
        let net: f64 = earned.iter().map(|earned| earned.net).sum();
        let gross: f64 = earned.iter().map(|earned| earned.gross).sum();
        // What the agents keep and what the seller gets is what the clicks were worth.
        assert!((net + revenue - gross).abs() < 1e-6 * gross, "{net} {revenue} {gross}");
        assert!(revenue > 0.0 && net > 0.0);
        let (sold, exposed, converted, cost) = Net::new(1).unwrap().period(20_000);
        // T19: exposure 1, .8, .48 of three slots that are all sold among 48 bidders.
        assert_eq!(sold, 60_000);
        assert!((exposed as f64 / 20_000.0 - 2.28).abs() < 4.0 * 0.64 / 20_000f64.sqrt(), "{exposed}");
        assert!(converted > 0 && cost > 0.0);
    }

    #[test]
    fn a_rival_that_is_not_there_is_said_so() {
        let nowhere = Arena { variable: "ADLOUPE_NO_SUCH_ARENA", ..GYM };
        let row = beside(&nowhere, "auctions", 5.0).unwrap();
        assert!(row.rival.unwrap().contains("not there") && row.ratio.is_none());
    }
}
