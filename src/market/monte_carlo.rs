//! What do so many auctions come to, faster than one can look? Monte Carlo on vectors.
//!
//! The plain second-price market: each bidder draws the logarithm of its bid from its own normal distribution, the
//! highest wins and pays the second highest or the reserve. Auctions are made in blocks of 65,536 with random
//! numbers from a counter, money is whole micros and all sums are whole numbers, so any number of threads
//! gives the same answer, and memory does not grow. [`slots`] does the same for pages of several slots.

mod lanes;
pub mod slots;

use crate::base::simd::{Kernel, run_widest};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use lanes::Key;
use rayon::prelude::*;

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
/// The dearest price that is counted, in currency units.
const DEAREST: f32 = 2_000.0;

impl LognormalMarket {
    /// Holds so many auctions on the threads of the pool.
    ///
    /// # Errors
    /// No bidders or too many, a number that is none, a negative deviation or reserve; a cancel.
    pub fn hold(&self, auctions: u64, seed: u64, context: &JobContext) -> Result<Tally> {
        self.validate()?;
        let blocks = auctions.div_ceil(BLOCK);
        let mut total = Tally { wins: vec![0; self.bidders.len()], ..Tally::default() };
        for first in (0..blocks).step_by(BLOCKS_PER_CHECK as usize) {
            context.check()?;
            let some = first..(first + BLOCKS_PER_CHECK).min(blocks);
            let sum = some
                .into_par_iter()
                .map(|block| {
                    let auctions = BLOCK.min(auctions - block * BLOCK) as usize;
                    run_widest(Block { market: self, key: Key::new(seed, block), auctions })
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

/// The auctions of one block.
#[derive(Clone, Copy)]
struct Block<'a> {
    market: &'a LognormalMarket,
    key: Key,
    auctions: usize,
}

/// The auctions that are in the loops: log of the highest and second highest bid, and who bids highest.
struct Chunk {
    first: [f32; CHUNK],
    second: [f32; CHUNK],
    winner: [u32; CHUNK],
}

impl Kernel for Block<'_> {
    type Output = Tally;

    #[inline(always)]
    fn run(self) -> Tally {
        let bidders = &self.market.bidders;
        let reserve = if self.market.reserve > 0.0 { self.market.reserve.ln() } else { f32::MIN };
        let mut tally = Tally { wins: vec![0; bidders.len()], ..Tally::default() };
        let mut chunk = Chunk { first: [0.0; CHUNK], second: [0.0; CHUNK], winner: [0; CHUNK] };
        for start in (0..self.auctions).step_by(CHUNK) {
            let n = CHUNK.min(self.auctions - start);
            chunk.first.fill(f32::MIN);
            chunk.second.fill(reserve);
            // The reserve stands where nobody beats it; bidders count from 0.
            chunk.winner.fill(u32::MAX);
            for (pair, both) in bidders.chunks(2).enumerate() {
                let counter = (pair as u32 * BLOCK as u32 + start as u32).wrapping_mul(2);
                let one = both[0];
                let other = both.get(1).copied();
                self.draw(&mut chunk, counter, 2 * pair as u32, one, other);
            }
            tally.count(&chunk, n, reserve);
        }
        tally.auctions = self.auctions as u64;
        tally
    }
}

impl Block<'_> {
    /// Draws one pair of bidders for all auctions of the chunk and keeps the two highest bids.
    #[inline(always)]
    fn draw(&self, chunk: &mut Chunk, counter: u32, bidder: u32, one: (f32, f32), other: Option<(f32, f32)>) {
        let key = self.key;
        // An odd one out has no partner: its partner bids nothing.
        let other = other.unwrap_or((f32::MIN, 0.0));
        let Chunk { first, second, winner } = chunk;
        for (i, ((first, second), winner)) in (0u32..).zip(first.iter_mut().zip(second).zip(winner)) {
            let counter = counter.wrapping_add(2 * i);
            let (a, b) = lanes::normals(key.bits(counter), key.bits(counter.wrapping_add(1)));
            let (a, b) = (a.mul_add(one.1, one.0), b.mul_add(other.1, other.0));
            let (high, low) = if a > *first { (a, *first) } else { (*first, a) };
            let who = if a > *first { bidder } else { *winner };
            let runner_up = if low > *second { low } else { *second };
            let who = if b > high { bidder + 1 } else { who };
            let (high, low) = if b > high { (b, high) } else { (high, b) };
            *second = if low > runner_up { low } else { runner_up };
            (*first, *winner) = (high, who);
        }
    }
}

impl Tally {
    /// Sells and counts the first `n` auctions of a chunk.
    #[inline(always)]
    fn count(&mut self, chunk: &Chunk, n: usize, reserve: f32) {
        let (mut sold, mut revenue, mut worth, mut squares) = (0u64, 0u64, 0u64, 0u64);
        let mut winners = [u32::MAX; CHUNK];
        let bids = chunk.first.iter().zip(&chunk.second).zip(&chunk.winner);
        for (((&first, &second), &bidder), winner) in bids.zip(&mut winners).take(n) {
            let sells = first >= reserve;
            // A lone bidder without a reserve pays nothing: e^MIN is counted as 0 micros.
            let paid = micros(lanes::exp(second));
            let valued = micros(lanes::exp(first));
            let (paid, valued) = if sells { (paid, valued) } else { (0, 0) };
            let coarse = u64::from(paid >> 8);
            sold += u64::from(sells);
            revenue += u64::from(paid);
            worth += u64::from(valued);
            squares += coarse * coarse;
            *winner = if sells { bidder } else { u32::MAX };
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

/// Whole micros of an amount, to the nearest. Adding 2^52 leaves them in the low bits, where a conversion would
/// check for what cannot be here and keep the loop from becoming vectors.
#[inline(always)]
fn micros(units: f32) -> u32 {
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    let units = if units < DEAREST { units } else { DEAREST };
    f64::from(units).mul_add(1e6, WHOLE).to_bits() as u32
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
        let block = Block { market: &market, key: Key::new(1, 2), auctions: 1_000 };
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
