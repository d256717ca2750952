//! Where are so many auctions held: on the processor or on a graphics processor? Wherever it is faster.
//!
//! Both give the same winners and the same sums to the last micro (see `tables`), so the choice is one of time
//! alone. It is measured once, on the market itself, before the first long run.

use super::{BLOCK, Block, Key, LognormalMarket, NOBODY, Tables, Tally};
use crate::base::simd::{Kernel, run_widest};
use crate::base::{Failure, Result};
use crate::gpu::contest::{BlockSums, Contest, ContestPass, MOST_BLOCKS, MOST_CONTESTANTS};
use crate::jobs::JobContext;
use std::time::{Duration, Instant};

/// A graphics processor that holds auctions.
#[derive(Debug)]
pub struct GpuAuctions {
    pass: ContestPass,
}

/// How fast each of the two was, in auctions a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The processor, on all threads of the pool.
    pub processor: f64,
    /// The graphics processor.
    pub graphics: f64,
}

/// Auctions of a run that is long enough to tell which is faster.
const CALIBRATION: u64 = 64 * BLOCK;
/// Blocks of the first run, and how long a run may take before there are no more of them: cancel is answered between
/// runs.
const FIRST_BLOCKS: usize = 64;
const LONG_ENOUGH: Duration = Duration::from_millis(40);

impl GpuAuctions {
    /// Takes the fastest graphics processor that there is.
    ///
    /// # Errors
    /// There is none, or it cannot compute.
    pub fn open() -> Result<Self> {
        Ok(Self { pass: ContestPass::open()? })
    }

    /// Name, kind and interface of the graphics processor.
    pub fn adapter(&self) -> &str {
        &self.pass.adapter
    }

    /// True when it is a program on the processor.
    pub fn is_software(&self) -> bool {
        self.pass.is_software
    }

    /// Holds so many auctions, as [`LognormalMarket::hold`] does.
    ///
    /// # Errors
    /// What that refuses, more than 192 bidders, a device that is lost; a cancel.
    pub fn hold(
        &self,
        market: &LognormalMarket,
        auctions: u64,
        seed: u64,
        context: &JobContext,
    ) -> Result<Tally> {
        market.validate()?;
        if market.bidders.len() > MOST_CONTESTANTS {
            let why = format!("{} bidders; a graphics processor takes up to 192", market.bidders.len());
            return Err(Failure::new("cannot hold the auctions", why).hint("hold them on the processor"));
        }
        let prepared = Flat::new(market);
        let blocks = auctions.div_ceil(BLOCK);
        let mut total = Tally { wins: vec![0; market.bidders.len()], ..Tally::default() };
        let (mut first, mut at_once) = (0, FIRST_BLOCKS);
        while first < blocks {
            context.check()?;
            let some = (blocks - first).min(at_once as u64);
            let keys: Vec<[u32; 2]> =
                (first..first + some).map(|block| Key::new(seed, block).words()).collect();
            let of_last = (auctions - (first + some - 1) * BLOCK).min(BLOCK) as u32;
            let begun = Instant::now();
            for sums in self.pass.tally(&prepared.contest(&keys, of_last))? {
                total = total.plus(Tally::of(sums));
            }
            total.auctions = auctions.min((first + some) * BLOCK);
            context.progress(total.auctions, auctions);
            first += some;
            if begun.elapsed() < LONG_ENOUGH {
                at_once = (2 * at_once).min(MOST_BLOCKS);
            }
        }
        Ok(total)
    }

    /// The winner of each of the first auctions (at most a block of 65,536), `None` where nobody reached the reserve,
    /// and what was paid in micros.
    ///
    /// # Errors
    /// As [`GpuAuctions::hold`].
    pub fn winners(
        &self,
        market: &LognormalMarket,
        auctions: u32,
        seed: u64,
    ) -> Result<Vec<(Option<u32>, u32)>> {
        market.validate()?;
        let auctions = auctions.min(BLOCK as u32);
        let keys = [Key::new(seed, 0).words()];
        let each = self.pass.each(&Flat::new(market).contest(&keys, auctions))?;
        Ok(each.into_iter().map(|(winner, paid)| ((winner != NOBODY).then_some(winner), paid)).collect())
    }

    /// Whether it is worth its while for so many auctions of a market: measured where there are enough to pay for it.
    ///
    /// # Errors
    /// As [`GpuAuctions::hold`].
    pub fn pays_off(&self, market: &LognormalMarket, auctions: u64, context: &JobContext) -> Result<bool> {
        if auctions <= 8 * CALIBRATION || market.bidders.len() > MOST_CONTESTANTS {
            return Ok(false);
        }
        Ok(self.calibrate(market, context)?.prefers_graphics())
    }

    /// Measures both on some auctions of a market.
    ///
    /// # Errors
    /// As [`GpuAuctions::hold`].
    pub fn calibrate(&self, market: &LognormalMarket, context: &JobContext) -> Result<Calibration> {
        let rate = |hold: &dyn Fn() -> Result<Tally>| -> Result<f64> {
            // The first run also compiles and warms up.
            hold()?;
            let begun = Instant::now();
            hold()?;
            Ok(CALIBRATION as f64 / begun.elapsed().as_secs_f64().max(1e-9))
        };
        Ok(Calibration {
            processor: rate(&|| market.hold(CALIBRATION, 1, context))?,
            graphics: rate(&|| self.hold(market, CALIBRATION, 1, context))?,
        })
    }
}

impl Calibration {
    /// Whether the graphics processor is worth its while.
    pub fn prefers_graphics(&self) -> bool {
        self.graphics > self.processor
    }
}

impl LognormalMarket {
    /// Holds so many auctions wherever that is faster, measured on this market first where there are enough to pay
    /// for it. The answer is the same either way.
    ///
    /// # Errors
    /// As [`LognormalMarket::hold`].
    pub fn hold_fastest(
        &self,
        auctions: u64,
        seed: u64,
        graphics: Option<&GpuAuctions>,
        context: &JobContext,
    ) -> Result<Tally> {
        match graphics {
            Some(gpu) if gpu.pays_off(self, auctions, context)? => gpu.hold(self, auctions, seed, context),
            _ => self.hold(auctions, seed, context),
        }
    }

    /// The winner of each of the first auctions on the processor, as [`GpuAuctions::winners`].
    ///
    /// # Errors
    /// As [`LognormalMarket::hold`].
    pub fn winners(&self, auctions: u32, seed: u64) -> Result<Vec<(Option<u32>, u32)>> {
        self.validate()?;
        let tables = Tables::new(self);
        let block =
            Block { tables: &tables, key: Key::new(seed, 0), auctions: auctions.min(BLOCK as u32) as usize };
        Ok(run_widest(Each(block)))
    }
}

/// The auctions of a block one by one.
struct Each<'a>(Block<'a>);

impl Kernel for Each<'_> {
    type Output = Vec<(Option<u32>, u32)>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let block = self.0;
        let reserve = block.tables.reserve_micros;
        let mut each = Vec::with_capacity(block.auctions);
        let mut chunk = super::Chunk::empty();
        for start in (0..block.auctions).step_by(super::CHUNK) {
            block.draw_all(&mut chunk, start);
            for i in 0..super::CHUNK.min(block.auctions - start) {
                let sells = chunk.first[i] >= reserve;
                each.push(if sells { (Some(chunk.winner[i]), chunk.second[i] as u32) } else { (None, 0) });
            }
        }
        each
    }
}

/// A market as the kernel takes it.
struct Flat {
    tables: Vec<i32>,
    table_of: Vec<u32>,
    floor: i32,
}

impl Flat {
    fn new(market: &LognormalMarket) -> Self {
        let prepared = Tables::new(market);
        Self {
            tables: prepared.tables.iter().flat_map(|table| table.0.iter().copied()).collect(),
            table_of: prepared.of_bidder.iter().map(|table| *table as u32).collect(),
            floor: prepared.reserve_micros,
        }
    }

    fn contest<'a>(&'a self, keys: &'a [[u32; 2]], of_last: u32) -> Contest<'a> {
        Contest {
            tables: &self.tables,
            table_of: &self.table_of,
            floor: self.floor,
            keys,
            contests: BLOCK as u32,
            contests_of_last: of_last,
        }
    }
}

impl Tally {
    fn of(sums: BlockSums) -> Self {
        Self {
            auctions: 0,
            sold: u64::from(sums.won),
            revenue_micros: sums.seconds.into(),
            worth_micros: sums.firsts.into(),
            squares: sums.squares.into(),
            wins: sums.wins.into_iter().map(u64::from).collect(),
        }
    }
}
