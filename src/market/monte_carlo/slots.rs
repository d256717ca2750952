//! What do so many pages with several slots come to? Quality-weighted GSP, cascade clicks, budgets, on vectors.
//!
//! A request is a vector of `d` standard normals; ad `k` is clicked with the logistic of its weights times that
//! vector plus its bias. Ads are ranked by bid x pCTR, a click costs what keeps the place, the visitor goes down
//! the page until a click, and an ad whose budget could not pay another click is out. Ranking needs no memory and
//! runs on vectors and threads; settling is in the order of the requests. Where a budget runs out, the
//! requests after it are ranked anew, so the answer is that of serving one request after the other.
//!
//! It stays on the processor. A page's click rates are dot products and exponentials in floating point, which a graphics
//! driver may round and fuse its own way: ads that are nearly equal would be ranked otherwise there, and the promise that
//! both give the same winners would only hold for whole numbers. And pages are settled one after the other, as a budget
//! that runs out takes its ads out of the next page: of a batch only the ranking could be handed over.

use super::lanes::{self, Key};
use crate::base::rng::keyed_uniform;
use crate::base::simd::{Kernel, run_widest};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use rayon::prelude::*;

/// A market of ads with logistic click rates.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotMarket {
    /// Numbers that describe a request.
    pub dimensions: usize,
    /// `[ad * dimensions + dimension]`.
    pub weights: Vec<f32>,
    /// Log-odds of a click where the request says nothing; one an ad.
    pub biases: Vec<f32>,
    /// What each ad pays for a click at most, in micros.
    pub bids_micros: Vec<u32>,
    /// What each ad may spend, in micros.
    pub budgets_micros: Vec<u64>,
    /// Slots of a page.
    pub slots: usize,
    /// Lowest price of an impression that is looked at, in micros per thousand.
    pub reserve_ecpm_micros: f32,
}

/// What the pages came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotTally {
    /// Pages served.
    pub pages: u64,
    /// Slots sold.
    pub impressions: u64,
    /// Clicks by slot.
    pub clicks: Vec<u64>,
    /// What was paid, in micros: the sum of what the ads spent.
    pub revenue_micros: u64,
    /// What each ad spent, in micros.
    pub spent_micros: Vec<u64>,
}

/// Requests that are ranked side by side in one vector.
const LANES: usize = 16;
/// Requests ranked by one thread at a time.
const CHUNK: usize = 1_024;
/// Requests ranked before they are settled.
const BATCH: usize = 16 * CHUNK;
/// The most slots, and the first loser below them.
const PLACES: usize = 5;
/// Draws of a request have 32-bit counters within a batch.
const MOST_DIMENSIONS: usize = 4_096;
/// Stream of the clicks' luck.
const CLICK: u64 = 104;

/// The best ads of a request: worth of an impression in micros per thousand, 0 for an empty place, and the ad.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Ranked {
    worth: [f32; PLACES],
    ad: [u32; PLACES],
}

impl SlotMarket {
    /// Serves so many pages.
    ///
    /// # Errors
    /// Lists that do not fit, more slots or dimensions than are made for, weights that are no numbers; a cancel.
    pub fn serve(&self, pages: u64, seed: u64, context: &JobContext) -> Result<SlotTally> {
        self.validate()?;
        let ads = self.biases.len();
        let mut tally =
            SlotTally { clicks: vec![0; self.slots], spent_micros: vec![0; ads], ..SlotTally::default() };
        let mut able = self.able(&tally);
        let mut ranked = vec![Ranked::default(); BATCH];
        for batch in 0..pages.div_ceil(BATCH as u64) {
            context.check()?;
            let first = batch * BATCH as u64;
            let n = (pages - first).min(BATCH as u64) as usize;
            let mut settled = 0;
            while settled < n {
                self.rank(&able, Key::new(seed, batch), settled, &mut ranked[..n]);
                settled = self.settle(&ranked[..n], settled, (first, seed), &mut tally);
                // Either all are settled, or a budget has run out.
                able = self.able(&tally);
            }
            tally.pages += n as u64;
            context.progress(tally.pages, pages);
        }
        tally.revenue_micros = tally.spent_micros.iter().sum();
        Ok(tally)
    }

    fn validate(&self) -> Result<()> {
        let refuse = |why: &str| Err(Failure::new("cannot serve the pages", why));
        let ads = self.biases.len();
        if ads == 0 {
            return refuse("there are no ads");
        }
        if self.bids_micros.len() != ads
            || self.budgets_micros.len() != ads
            || self.weights.len() != ads * self.dimensions
        {
            return refuse("its lists do not fit its ads");
        }
        if !(1..PLACES).contains(&self.slots) || self.dimensions > MOST_DIMENSIONS {
            return refuse("a page has 1 to 4 slots, a request at most 4,096 numbers");
        }
        if self.weights.iter().chain(&self.biases).any(|weight| !weight.is_finite()) {
            return refuse("a weight is no number");
        }
        if self.reserve_ecpm_micros.is_nan() || self.reserve_ecpm_micros < 0.0 {
            return refuse("the reserve is negative or no number");
        }
        Ok(())
    }

    /// What each ad bids for a click, 0 where its budget could not pay one: in micros per thousand.
    fn able(&self, tally: &SlotTally) -> Vec<f32> {
        let left = self.budgets_micros.iter().zip(&tally.spent_micros).map(|(budget, spent)| budget - spent);
        let bid =
            |(bid, left): (&u32, u64)| if left >= u64::from(*bid) { 1_000.0 * *bid as f32 } else { 0.0 };
        self.bids_micros.iter().zip(left).map(bid).collect()
    }

    /// Ranks the requests of a batch from `from` on, in chunks over the pool's threads.
    fn rank(&self, bids: &[f32], key: Key, from: usize, ranked: &mut [Ranked]) {
        let begin = from / CHUNK;
        ranked.par_chunks_mut(CHUNK).enumerate().skip(begin).for_each(|(chunk, ranked)| {
            run_widest(Chunk { market: self, bids, key, first: chunk * CHUNK, ranked });
        });
    }

    /// Draws the clicks and books their price, until all requests are settled or a budget runs out; says how far
    /// it came.
    fn settle(
        &self,
        ranked: &[Ranked],
        from: usize,
        (first, seed): (u64, u64),
        tally: &mut SlotTally,
    ) -> usize {
        for (place, page) in ranked.iter().enumerate().skip(from) {
            let sold = page.worth[..self.slots].iter().filter(|worth| **worth > 0.0).count();
            tally.impressions += sold as u64;
            let Some((slot, price)) = self.click(page, sold, first + place as u64, seed) else { continue };
            let ad = page.ad[slot] as usize;
            tally.clicks[slot] += 1;
            tally.spent_micros[ad] += price;
            if self.budgets_micros[ad] - tally.spent_micros[ad] < u64::from(self.bids_micros[ad]) {
                return place + 1;
            }
        }
        ranked.len()
    }

    /// The slot that the visitor clicks on the way down, if any, and what the click costs in micros.
    fn click(&self, page: &Ranked, sold: usize, request: u64, seed: u64) -> Option<(usize, u64)> {
        // One uniform decides for the whole cascade: it falls into the first slot's share, else what is left of
        // it into the second's, and so on.
        let mut luck = keyed_uniform(seed, CLICK, request);
        for slot in 0..sold {
            let bid = f64::from(self.bids_micros[page.ad[slot] as usize]);
            let p_click = f64::from(page.worth[slot]) / (1_000.0 * bid);
            if luck >= p_click {
                luck = (luck - p_click) / (1.0 - p_click).max(f64::MIN_POSITIVE);
                continue;
            }
            let next = f64::from(page.worth[slot + 1].max(self.reserve_ecpm_micros));
            let price = (next / (1_000.0 * p_click)).min(bid);
            return Some((slot, price as u64));
        }
        None
    }
}

/// Requests to be ranked by one thread.
struct Chunk<'a> {
    market: &'a SlotMarket,
    bids: &'a [f32],
    key: Key,
    /// Place of the first request in the batch.
    first: usize,
    ranked: &'a mut [Ranked],
}

type Lane = [f32; LANES];
type Bits = [u32; LANES];

impl Kernel for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let market = self.market;
        let mut request: Vec<Lane> = vec![[0.0; LANES]; market.dimensions.next_multiple_of(2)];
        let first = self.first;
        for (group, ranked) in self.ranked.chunks_mut(LANES).enumerate() {
            draw(&mut request, self.key, (first + group * LANES) as u32);
            let (mut worth, mut who) = ([[0u32; LANES]; PLACES], [[0u32; LANES]; PLACES]);
            for (ad, (bid, bias)) in self.bids.iter().zip(&market.biases).enumerate() {
                if *bid <= 0.0 {
                    continue;
                }
                let weights = &market.weights[ad * market.dimensions..(ad + 1) * market.dimensions];
                let offer = offer(&request, weights, *bias, *bid, market.reserve_ecpm_micros);
                insert(&mut worth, &mut who, &offer, ad as u32);
            }
            for (lane, ranked) in ranked.iter_mut().enumerate() {
                for place in 0..PLACES {
                    ranked.worth[place] = f32::from_bits(worth[place][lane]);
                    ranked.ad[place] = who[place][lane];
                }
            }
        }
    }
}

/// Draws the requests of one group, two dimensions at a time.
#[inline(always)]
fn draw(request: &mut [Lane], key: Key, first: u32) {
    let mut counter = first;
    for pair in request.chunks_exact_mut(2) {
        let [even, odd] = pair else { continue };
        for lane in 0..LANES {
            let counter = (counter + lane as u32).wrapping_mul(2);
            let (a, b) = lanes::normals(key.bits(counter), key.bits(counter.wrapping_add(1)));
            even[lane] = a;
            odd[lane] = b;
        }
        counter = counter.wrapping_add(BATCH as u32);
    }
}

/// What an impression is worth to one ad, in micros per thousand; 0 below the reserve.
#[inline(always)]
fn offer(request: &[Lane], weights: &[f32], bias: f32, bid: f32, reserve: f32) -> Lane {
    // Two sums, so that each addition need not wait for the one before.
    let (mut even, mut odd) = ([bias; LANES], [0.0f32; LANES]);
    for (pair, weights) in request.chunks_exact(2).zip(weights.chunks(2)) {
        let [one, other] = pair else { continue };
        let (first, second) = (weights[0], weights.get(1).copied().unwrap_or(0.0));
        for lane in 0..LANES {
            even[lane] = one[lane].mul_add(first, even[lane]);
            odd[lane] = other[lane].mul_add(second, odd[lane]);
        }
    }
    let mut offer = [0.0; LANES];
    for lane in 0..LANES {
        let p_click = 1.0 / (1.0 + lanes::exp(-(even[lane] + odd[lane])));
        let worth = bid * p_click;
        offer[lane] = if worth >= reserve { worth } else { 0.0 };
    }
    offer
}

/// Puts an ad into the places, best first; equal ones keep their order. Worths are not negative, so their bits are in
/// the order of the numbers; with whole numbers alone the compiler makes vectors of it.
#[inline(always)]
fn insert(worth: &mut [Bits; PLACES], who: &mut [Bits; PLACES], offer: &Lane, ad: u32) {
    let (mut falling, mut faller) = (offer.map(f32::to_bits), [ad; LANES]);
    for (worth, who) in worth.iter_mut().zip(who) {
        for lane in 0..LANES {
            // All bits set where the ad that falls down the places is better than the one that stands here.
            let better = 0u32.wrapping_sub(u32::from(falling[lane] > worth[lane]));
            let (up, down) = (falling[lane].max(worth[lane]), falling[lane].min(worth[lane]));
            let winner = (faller[lane] & better) | (who[lane] & !better);
            faller[lane] = (faller[lane] & !better) | (who[lane] & better);
            (worth[lane], falling[lane], who[lane]) = (up, down, winner);
        }
    }
}

/// The same market as a textbook would write it: one request after the other on one thread, the standard
/// library's functions, a sort of all offers. What the vectors are measured against; its luck is its own.
pub fn plainly(market: &SlotMarket, pages: u64, seed: u64) -> SlotTally {
    let mut rng = crate::base::rng::Rng::named(seed, "plain pages");
    let ads = market.biases.len();
    let mut tally = SlotTally {
        clicks: vec![0; market.slots],
        spent_micros: vec![0; ads],
        pages,
        ..SlotTally::default()
    };
    let mut offers: Vec<(f64, usize)> = Vec::with_capacity(ads);
    let mut request = vec![0.0f64; market.dimensions];
    for _ in 0..pages {
        request.iter_mut().for_each(|number| *number = rng.normal());
        offers.clear();
        for ad in 0..ads {
            if market.budgets_micros[ad] - tally.spent_micros[ad] < u64::from(market.bids_micros[ad]) {
                continue;
            }
            let weights = &market.weights[ad * market.dimensions..(ad + 1) * market.dimensions];
            let dot: f64 = request.iter().zip(weights).map(|(x, w)| x * f64::from(*w)).sum();
            let p_click = 1.0 / (1.0 + (-(dot + f64::from(market.biases[ad]))).exp());
            let worth = 1_000.0 * f64::from(market.bids_micros[ad]) * p_click;
            if worth >= f64::from(market.reserve_ecpm_micros) {
                offers.push((worth, ad));
            }
        }
        offers.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        for slot in 0..market.slots.min(offers.len()) {
            tally.impressions += 1;
            let (worth, ad) = offers[slot];
            let p_click = worth / (1_000.0 * f64::from(market.bids_micros[ad]));
            if rng.chance(p_click) {
                let next = offers.get(slot + 1).map_or(0.0, |next| next.0);
                let price = next.max(f64::from(market.reserve_ecpm_micros)) / (1_000.0 * p_click);
                tally.clicks[slot] += 1;
                tally.spent_micros[ad] += price.min(f64::from(market.bids_micros[ad])) as u64;
                // The slots below were sold too; nobody looks at them any more.
                tally.impressions += (market.slots.min(offers.len()) - slot - 1) as u64;
                break;
            }
        }
    }
    tally.revenue_micros = tally.spent_micros.iter().sum();
    tally
}

/// A market of so many ads over so many dimensions: click rates around 4 %, bids from 0.50 to 2.00, budgets that
/// a good part of the ads use up in ten million pages.
pub fn example(ads: usize, dimensions: usize) -> SlotMarket {
    let mut rng = crate::base::rng::Rng::named(48, "slot market");
    let spread = 0.7 / (dimensions as f64).sqrt();
    SlotMarket {
        dimensions,
        weights: (0..ads * dimensions).map(|_| (spread * rng.normal()) as f32).collect(),
        biases: (0..ads).map(|_| (-3.2 + 0.3 * rng.normal()) as f32).collect(),
        bids_micros: (0..ads).map(|_| 500_000 + rng.below(1_500_000) as u32).collect(),
        budgets_micros: (0..ads).map(|_| 5_000_000_000 + rng.below(40_000_000_000) as u64).collect(),
        slots: 4,
        reserve_ecpm_micros: 20_000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn serve(market: &SlotMarket, pages: u64) -> SlotTally {
        market.serve(pages, 3, &JobContext::detached()).unwrap()
    }

    #[test]
    fn equal_ads_give_the_closed_form_of_the_cascade() {
        // T19: 0.3 in each of four slots: .3, .21, .147, .1029; equal bids pay the bid.
        let logit = (0.3f32 / 0.7).ln();
        let market = SlotMarket {
            dimensions: 0,
            weights: vec![],
            biases: vec![logit; 5],
            bids_micros: vec![1_000_000; 5],
            budgets_micros: vec![u64::MAX; 5],
            slots: 4,
            reserve_ecpm_micros: 0.0,
        };
        let pages = 100_000;
        let tally = serve(&market, pages);
        for (clicks, exact) in tally.clicks.iter().zip([0.3f64, 0.21, 0.147, 0.1029]) {
            let error = (exact * (1.0 - exact) / pages as f64).sqrt();
            assert!((*clicks as f64 / pages as f64 - exact).abs() < 4.0 * error, "{tally:?}");
        }
        let clicks: u64 = tally.clicks.iter().sum();
        assert!((tally.revenue_micros as f64 / clicks as f64 - 1e6).abs() < 2.0, "{tally:?}");
    }

    #[test]
    fn agrees_with_the_plain_loop_and_keeps_every_budget() {
        let mut market = example(12, 5);
        let mut rng = Rng::named(4, "budgets");
        market.budgets_micros = (0..12).map(|_| 20_000_000 + rng.below(400_000_000) as u64).collect();
        let (ours, plain) = (serve(&market, 20_000), plainly(&market, 20_000, 8));
        for (spent, budget) in ours.spent_micros.iter().zip(&market.budgets_micros) {
            assert!(spent <= budget);
        }
        assert!(ours.spent_micros.iter().zip(&market.budgets_micros).any(|(s, b)| b - s < 2_000_000));
        let clicks = |tally: &SlotTally| tally.clicks.iter().sum::<u64>() as f64;
        let tolerance = 5.0 * (clicks(&ours) + clicks(&plain)).sqrt();
        assert!((clicks(&ours) - clicks(&plain)).abs() < tolerance, "{ours:?} {plain:?}");
        let (one, other) = (ours.revenue_micros as f64, plain.revenue_micros as f64);
        assert!((one / other - 1.0).abs() < 0.1, "{ours:?} {plain:?}");
    }

    #[test]
    fn batches_vectors_and_threads_change_nothing() {
        let mut market = example(10, 4);
        market.budgets_micros = vec![150_000_000; 10];
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| serve(&market, 20_000))
        };
        assert_eq!(on(1), on(2));
        let bids = market.able(&SlotTally { spent_micros: vec![0; 10], ..SlotTally::default() });
        let rank = |widest: bool| {
            let mut ranked = vec![Ranked::default(); 100];
            let chunk =
                Chunk { market: &market, bids: &bids, key: Key::new(1, 1), first: 0, ranked: &mut ranked };
            if widest {
                run_widest(chunk)
            } else {
                chunk.run()
            }
            ranked
        };
        assert_eq!(rank(true), rank(false));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |change: &dyn Fn(&mut SlotMarket)| {
            let mut market = example(3, 2);
            change(&mut market);
            market.serve(10, 1, &JobContext::detached()).is_err()
        };
        assert!(!refused(&|_| {}));
        assert!(refused(&|market| market.slots = 5));
        assert!(refused(&|market| market.biases.clear()));
        assert!(refused(&|market| market.weights[0] = f32::NAN));
        assert!(refused(&|market| market.bids_micros.truncate(1)));
        assert!(refused(&|market| market.reserve_ecpm_micros = -1.0));
        let mut broke = example(3, 2);
        broke.budgets_micros = vec![0; 3];
        assert_eq!(serve(&broke, 100).impressions, 0);
    }
}
