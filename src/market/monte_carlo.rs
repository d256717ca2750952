//! What do so many auctions come to, faster than one can look? Monte Carlo on vectors.
//!
//! The plain second-price market: each bidder draws the logarithm of its bid from its own normal distribution, the
//! highest wins and pays the second highest or the reserve. Auctions are made in blocks of 65,536 with random
//! numbers from a counter, bids are whole micros out of `tables` and all sums are whole numbers, so any number of
//! threads and a graphics processor ([`engine`]) give the same winners, and memory does not grow. [`slots`] does the
//! same for pages of several slots.

pub mod engine;
mod lanes;
pub mod slots;
mod tables;

use crate::base::simd::{Kernel, run_widest};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use lanes::Key;
use rayon::prelude::*;
use tables::BidTable;

/// A market of bidders with lognormal bids.
#[derive(Debug, Clone, PartialEq)]
pub struct LognormalMarket {
    /// `(mean, standard deviation)` of the logarithm of each bidder's bid, in currency units.
    pub bidders: Vec<(f32, f32)>,
    /// Nobody buys for less, in currency units; 0: no reserve.
    pub reserve: f32,
}

/// What the auctions came to. All counts are exact, whatever the order of adding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Auctions held.
    pub auctions: u64,
    /// Auctions in which somebody reached the reserve.
    pub sold: u64,
    /// What was paid, in micros.
    pub revenue_micros: u128,
    /// What it was worth to the winners, in micros.
    pub worth_micros: u128,
    /// Sum of squares of what was paid, in squares of 256 micros.
    squares: u128,
    /// Auctions won by each bidder.
    pub wins: Vec<u64>,
}

/// Auctions of one block: they share a key.
const BLOCK: u64 = 65_536;
/// Auctions that go through the loops together: their arrays stay in the first-level cache.
const CHUNK: usize = 256;
/// Blocks between two looks at the cancel flag.
const BLOCKS_PER_CHECK: u64 = 64;
/// Draws within a block have 32-bit counters: 65,536 auctions of this many bidders.
const MOST_BIDDERS: usize = 4_096;
/// The winner of an auction in which nobody reached the reserve.
const NOBODY: u32 = u32::MAX;
/// The dearest price that is counted, in currency units.
const DEAREST: f32 = 2_000.0;

impl LognormalMarket {
    /// Holds so many auctions on the threads of the pool.
    ///
    /// # Errors
    /// No bidders or too many, a number that is none, a negative deviation or reserve; a cancel.
    pub fn hold(&self, auctions: u64, seed: u64, context: &JobContext) -> Result<Tally> {
        self.validate()?;
        let tables = Tables::new(self);
        let blocks = auctions.div_ceil(BLOCK);
        let mut total = Tally { wins: vec![0; self.bidders.len()], ..Tally::default() };
        for first in (0..blocks).step_by(BLOCKS_PER_CHECK as usize) {
            context.check()?;
            let some = first..(first + BLOCKS_PER_CHECK).min(blocks);
            let sum = some
                .into_par_iter()
                .map(|block| {
                    let auctions = BLOCK.min(auctions - block * BLOCK) as usize;
                    run_widest(Block { tables: &tables, key: Key::new(seed, block), auctions })
                })
                .reduce(Tally::default, Tally::plus);
            total = total.plus(sum);
            context.progress(total.auctions, auctions);
        }
        Ok(total)
    }

    fn validate(&self) -> Result<()> {
        let refuse = |why: String| Err(Failure::new("cannot hold the auctions", why));
        if !(1..=MOST_BIDDERS).contains(&self.bidders.len()) {
            return refuse(format!("{} bidders; 1 to {MOST_BIDDERS} can bid", self.bidders.len()));
        }
        if let Some((mean, deviation)) = self
            .bidders
            .iter()
            .find(|(mean, deviation)| !mean.is_finite() || !(0.0..=20.0).contains(deviation))
        {
            return refuse(format!("a log-bid of mean {mean} and deviation {deviation} cannot be drawn"));
        }
        if !(0.0..=DEAREST).contains(&self.reserve) {
            return refuse(format!("a reserve of {} is not between 0 and {DEAREST}", self.reserve));
        }
        Ok(())
    }
}

impl Tally {
    /// Revenue of an auction, in currency units, with its 95 % interval.
    pub fn revenue(&self) -> Estimate {
        let n = self.auctions as f64;
        if n < 2.0 {
            return Estimate::normal(0.0, f64::INFINITY);
        }
        let mean = self.revenue_micros as f64 / n / 1e6;
        let mean_square = self.squares as f64 / n * (256e-6 * 256e-6);
        Estimate::normal(mean, ((mean_square - mean * mean).max(0.0) / (n - 1.0)).sqrt())
    }

    fn plus(mut self, other: Self) -> Self {
        self.auctions += other.auctions;
        self.sold += other.sold;
        self.revenue_micros += other.revenue_micros;
        self.worth_micros += other.worth_micros;
        self.squares += other.squares;
        if self.wins.len() < other.wins.len() {
            self.wins.resize(other.wins.len(), 0);
        }
        self.wins.iter_mut().zip(&other.wins).for_each(|(sum, wins)| *sum += wins);
        self
    }
}

/// What the draws need: a table for each kind of bidder.
struct Tables {
    tables: Vec<BidTable>,
    /// Which of them each bidder draws from.
    of_bidder: Vec<usize>,
    reserve_micros: i32,
}

impl Tables {
    fn new(market: &LognormalMarket) -> Self {
        let mut kinds: Vec<(f32, f32)> = Vec::new();
        let kind_of = |bidder: &(f32, f32)| {
            kinds.iter().position(|kind| kind == bidder).unwrap_or_else(|| {
                kinds.push(*bidder);
                kinds.len() - 1
            })
        };
        let of_bidder = market.bidders.iter().map(kind_of).collect();
        let tables = kinds.iter().map(|(mean, deviation)| BidTable::lognormal(*mean, *deviation, DEAREST));
        let reserve_micros = (f64::from(market.reserve) * 1e6).round() as i32;
        Self { tables: tables.collect(), of_bidder, reserve_micros }
    }
}

/// The auctions of one block.
#[derive(Clone, Copy)]
struct Block<'a> {
    tables: &'a Tables,
    key: Key,
    auctions: usize,
}

/// The auctions that are in the loops: the highest and second highest bid in micros, and who bids highest.
struct Chunk {
    first: [i32; CHUNK],
    second: [i32; CHUNK],
    winner: [u32; CHUNK],
}

impl Chunk {
    fn empty() -> Self {
        Self { first: [0; CHUNK], second: [0; CHUNK], winner: [0; CHUNK] }
    }
}

impl Kernel for Block<'_> {
    type Output = Tally;

    #[inline(always)]
    fn run(self) -> Tally {
        let bidders = self.tables.of_bidder.len();
        let mut tally = Tally { wins: vec![0; bidders], ..Tally::default() };
        let mut chunk = Chunk::empty();
        for start in (0..self.auctions).step_by(CHUNK) {
            self.draw_all(&mut chunk, start);
            tally.count(&chunk, CHUNK.min(self.auctions - start), self.tables.reserve_micros);
        }
        tally.auctions = self.auctions as u64;
        tally
    }
}

impl Block<'_> {
    /// Draws all bids of a chunk of auctions.
    #[inline(always)]
    fn draw_all(&self, chunk: &mut Chunk, start: usize) {
        // Nobody's bid is below 0, and the reserve bids along as the one to be beaten.
        chunk.first.fill(-1);
        chunk.second.fill(self.tables.reserve_micros);
        chunk.winner.fill(NOBODY);
        for (bidder, table) in (0u32..).zip(&self.tables.of_bidder) {
            let counter = bidder.wrapping_mul(BLOCK as u32).wrapping_add(start as u32);
            self.draw(chunk, counter, bidder, &self.tables.tables[*table]);
        }
    }

    /// Draws one bidder for all auctions of the chunk and keeps the two highest bids. Of equal bids one wins by a
    /// random bit.
    #[inline(always)]
    fn draw(&self, chunk: &mut Chunk, counter: u32, bidder: u32, table: &BidTable) {
        let key = self.key;
        let Chunk { first, second, winner } = chunk;
        for (i, ((first, second), winner)) in (0u32..).zip(first.iter_mut().zip(second).zip(winner)) {
            let bits = key.bits(counter.wrapping_add(i));
            let bid = table.bid(bits);
            let takes_it = bid > *first || (bid == *first && bits & 0x7F >= 0x40);
            let low = if bid < *first { bid } else { *first };
            *second = if low > *second { low } else { *second };
            *first = if bid > *first { bid } else { *first };
            *winner = if takes_it { bidder } else { *winner };
        }
    }
}

impl Tally {
    /// Sells and counts the first `n` auctions of a chunk.
    #[inline(always)]
    fn count(&mut self, chunk: &Chunk, n: usize, reserve: i32) {
        let (mut sold, mut revenue, mut worth, mut squares) = (0u64, 0u64, 0u64, 0u64);
        let mut winners = [NOBODY; CHUNK];
        let bids = chunk.first.iter().zip(&chunk.second).zip(&chunk.winner);
        for (((&first, &second), &bidder), winner) in bids.zip(&mut winners).take(n) {
            let sells = first >= reserve;
            let (paid, valued) = if sells { (second as u32, first as u32) } else { (0, 0) };
            let coarse = u64::from(paid >> 8);
            sold += u64::from(sells);
            revenue += u64::from(paid);
            worth += u64::from(valued);
            squares += coarse * coarse;
            *winner = if sells { bidder } else { NOBODY };
        }
        self.sold += sold;
        self.revenue_micros += u128::from(revenue);
        self.worth_micros += u128::from(worth);
        self.squares += u128::from(squares);
        for (bidder, wins) in (0u32..).zip(&mut self.wins) {
            let mut won = 0u32;
            for winner in &winners {
                won += u32::from(*winner == bidder);
            }
            *wins += u64::from(won);
        }
    }
}

/// The same market as a textbook would write it, one auction after the other on one thread with the standard
/// library's functions: what the vectors are measured against. Its luck is its own.
pub fn plainly(market: &LognormalMarket, auctions: u64, seed: u64) -> Tally {
    let mut rng = crate::base::rng::Rng::named(seed, "plain auctions");
    let mut tally = Tally { wins: vec![0; market.bidders.len()], auctions, ..Tally::default() };
    for _ in 0..auctions {
        let (mut first, mut second, mut winner) = (0.0f64, f64::from(market.reserve), usize::MAX);
        for (bidder, (mean, deviation)) in market.bidders.iter().enumerate() {
            let normal =
                (-2.0 * (1.0 - rng.uniform()).ln()).sqrt() * (std::f64::consts::TAU * rng.uniform()).cos();
            let bid = (f64::from(*mean) + f64::from(*deviation) * normal).exp();
            if bid > first {
                second = second.max(first);
                (first, winner) = (bid, bidder);
            } else {
                second = second.max(bid);
            }
        }
        if first >= f64::from(market.reserve) {
            let paid = (second * 1e6).round() as u64;
            tally.sold += 1;
            tally.revenue_micros += u128::from(paid);
            tally.worth_micros += u128::from((first * 1e6).round() as u64);
            tally.squares += u128::from((paid >> 8) * (paid >> 8));
            tally.wins[winner] += 1;
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(bidders: usize, reserve: f32, auctions: u64) -> Tally {
        let market = LognormalMarket { bidders: vec![(0.0, 1.0); bidders], reserve };
        market.hold(auctions, 7, &JobContext::detached()).unwrap()
    }

    #[test]
    fn revenue_is_the_closed_form() {
        // T10: lognormal(0, 1), by numerical integration.
        for (n, reserve, exact) in [
            (1, 1.353_415, 0.515_767),
            (2, 1.353_415, 0.951_262),
            (2, 0.0, 0.790_562),
            (5, 1.353_415, 1.942_855),
            (5, 0.0, 1.923_483),
        ] {
            let tally = hold(n, reserve, 400_000);
            let revenue = tally.revenue();
            let error = (revenue.high - revenue.low) / 3.92;
            assert!((revenue.value - exact).abs() < 4.0 * error, "n = {n}, reserve {reserve}: {revenue:?}");
            let all: u64 = tally.wins.iter().sum();
            assert_eq!(all, tally.sold);
            for wins in &tally.wins {
                let share = 1.0 / n as f64;
                let deviation = (all as f64 * share * (1.0 - share)).sqrt();
                assert!((*wins as f64 - all as f64 * share).abs() <= 4.0 * deviation, "{:?}", tally.wins);
            }
        }
    }

    #[test]
    fn agrees_with_the_plain_loop_for_unequal_bidders() {
        let market = LognormalMarket {
            bidders: vec![(0.0, 1.0), (0.5, 0.3), (-1.0, 2.0), (0.2, 0.0), (0.1, 0.8)],
            reserve: 0.9,
        };
        let ours = market.hold(300_000, 3, &JobContext::detached()).unwrap();
        let plain = plainly(&market, 300_000, 3);
        let error = |tally: &Tally| (tally.revenue().high - tally.revenue().low) / 3.92;
        let tolerance = 4.0 * error(&ours).hypot(error(&plain));
        assert!((ours.revenue().value - plain.revenue().value).abs() < tolerance);
        for (one, other) in ours.wins.iter().zip(&plain.wins) {
            assert!(
                one.abs_diff(*other) as f64 <= 4.0 * (2.0 * *one as f64).sqrt() + 4.0,
                "{ours:?} {plain:?}"
            );
        }
    }

    #[test]
    fn vectors_and_threads_change_nothing() {
        let market = LognormalMarket { bidders: vec![(0.0, 1.0); 3], reserve: 0.5 };
        let tables = Tables::new(&market);
        let block = Block { tables: &tables, key: Key::new(1, 2), auctions: 1_000 };
        assert_eq!(run_widest(block), block.run(), "compiled for {}", crate::base::simd::widest());
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| market.hold(200_000, 9, &JobContext::detached()).unwrap())
        };
        assert_eq!(on(1), on(2));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let refused = |bidders: Vec<(f32, f32)>, reserve: f32| {
            LognormalMarket { bidders, reserve }.hold(10, 1, &JobContext::detached()).is_err()
        };
        assert!(refused(vec![], 0.0));
        assert!(refused(vec![(f32::NAN, 1.0)], 0.0));
        assert!(refused(vec![(0.0, -1.0)], 0.0));
        assert!(refused(vec![(0.0, 1.0)], -1.0));
        assert!(refused(vec![(0.0, 1.0)], f32::NAN));
    }
}
