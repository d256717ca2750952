//! UMAP (McInnes, Healy & Melville 2018): fuzzy ties to the nearest neighbours pull, chance meetings push.
//!
//! Each pass lets every point walk along its own ties and away from points met by chance, as the authors' program does;
//! but points walk at once in a few groups, each against the places that the others had before, so that the map does
//! not depend on threads. A tie moves both of its ends, one after the other: when a group has walked, all points that it
//! is tied to are pulled to where it came.

use super::super::crowd;
use super::super::graph::Graph;
use super::super::method::{Frame, MapMethod, MapRequest, MapState, frame, in_space};
use super::super::points::Points;
use super::super::spectral;
use super::super::symmetric::Ties;
use super::passes::{self, CardWalk, Watch};
use super::{neighbours, pca};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::base::rng::mix;
use crate::gpu::compute::Processor;
use crate::gpu::walking::{Field, WalkingPass};
use crate::jobs::JobContext;
use rayon::prelude::*;
use std::ops::Range;

/// The way.
#[derive(Debug)]
pub struct Umap;

/// Neighbours by default, the point itself counted as the authors do.
pub(crate) const NEIGHBOURS: i64 = 15;

const PARAMS: &[ParamSpec] = &[
    ParamSpec::integer(
        "neighbours",
        "Neighbours",
        (2, NEIGHBOURS, 100),
        "How many nearest points pull at each: few show fine structure, many the whole.",
    ),
    ParamSpec::real(
        "min_dist",
        "Smallest distance",
        (0.0, 0.1, 0.99),
        "How close points may come: small packs clusters tightly.",
    ),
    ParamSpec::integer(
        "epochs",
        "Passes",
        (0, 0, 5000),
        "How often each point walks; 0 for 500 up to 10,000 points and 200 above.",
    ),
    crowd::MOST,
];

/// Points met by chance for each tie that pulls.
const MEETINGS: usize = 5;
/// A step along one axis at most.
const LONGEST: f32 = 4.0;
/// Half the width of the first picture.
const EXTENT: f32 = 5.0;
/// Groups in which points walk; the same on every machine.
const GROUPS: usize = 8;
impl MapMethod for Umap {
    fn id(&self) -> &'static str {
        "umap"
    }

    fn title(&self) -> &'static str {
        "UMAP"
    }

    fn summary(&self) -> &'static str {
        "Keeps near neighbours near; distances between clusters say little"
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn fewest(&self) -> usize {
        3
    }

    fn needs_distance(&self) -> bool {
        true
    }

    fn most_walking(&self, params: &Params) -> Result<Option<usize>> {
        crowd::most(params)
    }

    fn make(
        &self,
        request: &MapRequest<'_>,
        show: &mut dyn FnMut(Frame),
        context: &JobContext,
    ) -> Result<MapState> {
        match request.dimensions {
            3 => draw::<3>(request, show, context),
            _ => draw::<2>(request, show, context),
        }
    }
}

fn draw<const D: usize>(
    request: &MapRequest<'_>,
    show: &mut dyn FnMut(Frame),
    context: &JobContext,
) -> Result<MapState> {
    let (points, params) = (request.points, request.params);
    let n = points.len();
    let mut notes = Vec::new();
    let seen_first = pca::first_places::<D>(points, EXTENT, request.seed)?;
    show(frame(&seen_first, 0, 0));
    context.stage("finding neighbours");
    let k = params.count("neighbours")?.min(n) - 1;
    let (near, note) = neighbours(points, k, request.seed, context)?;
    notes.extend(note);
    let ties = fuzzy_ties(&near);
    context.stage("first places");
    let mut places = spectral::first_places(&ties, &seen_first, EXTENT, request.seed, context)?;
    context.stage("UMAP");
    let (a, b) = find_ab(1.0, params.real("min_dist")?);
    let epochs = match params.count("epochs")? {
        0 if n <= 10_000 => 500,
        0 => 200,
        some => some,
    };
    let mut walk = Walk::new(&ties, epochs, a as f32, b as f32, request.seed);
    notes.extend(Watch { total: epochs, show, context }.walk(&mut walk, &mut places)?);
    Ok(MapState { places: places.iter().map(in_space).collect(), notes, axes: None })
}

/// The strength of each tie: 1 to the nearest neighbour, falling with the distance so that all ties of a point sum to
/// `log2 k`, joined both ways as `a + b - a b`.
fn fuzzy_ties(graph: &Graph) -> Ties {
    Ties::new(&graph.ids, &memberships(graph), graph.k, |a, b| a + b - a * b)
}

/// One-sided strengths `exp(-(d - rho) / sigma)`, the paper's algorithm 3.
pub(crate) fn memberships(graph: &Graph) -> Vec<f32> {
    let k = graph.k.max(1);
    let mean = |distances: &[f32]| distances.iter().sum::<f32>() / distances.len().max(1) as f32;
    let overall = mean(&graph.distances);
    let mut weights = vec![0.0; graph.distances.len()];
    weights.par_chunks_mut(k).zip(graph.distances.par_chunks(k)).with_min_len(256).for_each(
        |(weights, distances)| {
            let rho = distances.iter().copied().find(|distance| *distance > 0.0).unwrap_or(0.0);
            let sigma = sigma_of(distances, rho);
            let least = 1e-3 * if rho > 0.0 { mean(distances) } else { overall };
            let sigma = sigma.max(least);
            for (weight, distance) in weights.iter_mut().zip(distances) {
                let beyond = distance - rho;
                *weight = if beyond <= 0.0 || sigma == 0.0 { 1.0 } else { (-beyond / sigma).exp() };
            }
        },
    );
    weights
}

/// The scale at which the ties of a point sum to `log2 k` (k with the point itself), by halving.
fn sigma_of(distances: &[f32], rho: f32) -> f32 {
    let wanted = ((distances.len() + 1) as f32).log2();
    let (mut low, mut high, mut middle) = (0.0f32, f32::INFINITY, 1.0f32);
    for _ in 0..64 {
        let sum: f32 = distances
            .iter()
            .map(|distance| if *distance > rho { (-(distance - rho) / middle).exp() } else { 1.0 })
            .sum();
        if (sum - wanted).abs() < 1e-5 {
            break;
        }
        if sum > wanted {
            high = middle;
            middle = (low + high) / 2.0;
        } else {
            low = middle;
            middle = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * middle };
        }
    }
    middle
}

/// `a` and `b` of the curve `1 / (1 + a x^(2b))` that is nearest, by least squares at 300 places up to `3 spread`, to 1
/// up to `min_dist` and an exponential decay beyond: the authors' `find_ab_params`, by Levenberg and Marquardt.
pub(crate) fn find_ab(spread: f64, min_dist: f64) -> (f64, f64) {
    let at: Vec<f64> = (1..300).map(|i| 3.0 * spread * f64::from(i) / 299.0).collect();
    let want = |x: f64| if x < min_dist { 1.0 } else { (-(x - min_dist) / spread).exp() };
    let error = |a: f64, b: f64| -> f64 {
        at.iter().map(|x| (1.0 / (1.0 + a * x.powf(2.0 * b)) - want(*x)).powi(2)).sum()
    };
    let (mut a, mut b, mut damping) = (1.0, 1.0, 1e-3);
    let mut least = error(a, b);
    for _ in 0..200 {
        let (mut aa, mut ab, mut bb, mut ga, mut gb) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for x in &at {
            let power = x.powf(2.0 * b);
            let value = 1.0 / (1.0 + a * power);
            let (by_a, by_b) = (-value * value * power, -value * value * a * power * 2.0 * x.ln());
            let miss = value - want(*x);
            aa += by_a * by_a;
            ab += by_a * by_b;
            bb += by_b * by_b;
            ga += by_a * miss;
            gb += by_b * miss;
        }
        let (aa, bb) = (aa * (1.0 + damping), bb * (1.0 + damping));
        let determinant = aa * bb - ab * ab;
        let (step_a, step_b) = ((bb * ga - ab * gb) / determinant, (aa * gb - ab * ga) / determinant);
        let next = error(a - step_a, b - step_b);
        if next < least {
            (a, b, least, damping) = (a - step_a, b - step_b, next, damping * 0.3);
            if step_a.abs() < 1e-12 && step_b.abs() < 1e-12 {
                break;
            }
        } else {
            damping *= 4.0;
        }
    }
    (a, b)
}

/// Points that walk at once.
fn group_of(points: usize) -> usize {
    points.div_ceil(GROUPS).max(1)
}

/// The passes over all points.
struct Walk<'a> {
    ties: &'a Ties,
    /// Strength of each tie over the strongest: how often a pass it pulls.
    rates: Vec<f32>,
    epochs: usize,
    a: f32,
    b: f32,
    seed: u32,
}

/// How often a tie pulls in a pass: whole crossings of `rate x passes`.
#[inline(always)]
fn pulls(rate: f32, epoch: usize) -> u32 {
    (rate * (epoch as f32 + 1.0)) as u32 - (rate * epoch as f32) as u32
}

/// Length of the steps of a pass.
fn alpha(pass: usize, passes: usize) -> f32 {
    1.0 - pass as f32 / passes as f32
}

/// A hash of 32 bits (Jarzynski & Olano 2020, `pcg`), the same on a graphics card.
fn hash(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

impl<'a> Walk<'a> {
    fn new(ties: &'a Ties, epochs: usize, a: f32, b: f32, seed: u64) -> Self {
        let strongest = ties.weights.iter().copied().fold(0.0, f32::max);
        // A tie that would not pull once in all passes never does.
        let least = strongest / epochs.max(1) as f32;
        let rate = |weight: &f32| if *weight < least { 0.0 } else { weight / strongest };
        Self { ties, rates: ties.weights.iter().map(rate).collect(), epochs, a, b, seed: mix(seed) as u32 }
    }

    /// Length of the steps of a pass.
    fn alpha(&self, pass: usize) -> f32 {
        alpha(pass, self.epochs)
    }

    /// Where a point comes to in one pass.
    #[inline(always)]
    fn walk<const D: usize>(&self, place: usize, epoch: usize, alpha: f32, places: &[[f32; D]]) -> [f32; D] {
        let (ids, _) = self.ties.of(place);
        let rates = &self.rates[self.ties.starts[place] as usize..];
        let mut at = places[place];
        // Never nothing, which xorshift (Marsaglia 2003) would not leave.
        let mut draws = hash(place as u32 ^ hash(epoch as u32 ^ self.seed)) | 1;
        for (&other, &rate) in ids.iter().zip(rates) {
            for _ in 0..pulls(rate, epoch) {
                self.step::<D, true>(&mut at, &places[other as usize], alpha);
                for _ in 0..MEETINGS {
                    draws ^= draws << 13;
                    draws ^= draws >> 17;
                    draws ^= draws << 5;
                    let met = ((u64::from(draws) * places.len() as u64) >> 32) as usize;
                    if met != place {
                        self.step::<D, false>(&mut at, &places[met], alpha);
                    }
                }
            }
        }
        at
    }

    /// Where a point comes to by its ties to those who have just walked.
    #[inline(always)]
    fn pulled<const D: usize>(
        &self,
        place: usize,
        walkers: &Range<usize>,
        epoch: usize,
        alpha: f32,
        places: &[[f32; D]],
    ) -> [f32; D] {
        let (ids, _) = self.ties.of(place);
        let rates = &self.rates[self.ties.starts[place] as usize..];
        let first = ids.partition_point(|id| (*id as usize) < walkers.start);
        let mut at = places[place];
        for (&other, &rate) in ids.iter().zip(rates).skip(first) {
            if other as usize >= walkers.end {
                break;
            }
            for _ in 0..pulls(rate, epoch) {
                self.step::<D, true>(&mut at, &places[other as usize], alpha);
            }
        }
        at
    }

    /// One pull (the gradient of `log w`) or push (of `log (1 - w)`) with `w = 1 / (1 + a d^(2b))`.
    #[inline(always)]
    fn step<const D: usize, const PULL: bool>(&self, at: &mut [f32; D], other: &[f32; D], alpha: f32) {
        let mut squared = 0.0;
        let mut apart = [0.0; D];
        for axis in 0..D {
            apart[axis] = at[axis] - other[axis];
            squared += apart[axis] * apart[axis];
        }
        if squared <= 0.0 {
            return;
        }
        let power = power(squared, self.b);
        let factor = if PULL {
            -2.0 * self.a * self.b * power / (squared * (1.0 + self.a * power))
        } else {
            2.0 * self.b / ((0.001 + squared) * (1.0 + self.a * power))
        };
        for axis in 0..D {
            at[axis] += alpha * (factor * apart[axis]).clamp(-LONGEST, LONGEST);
        }
    }
}

impl<const D: usize> passes::Walk<D> for Walk<'_> {
    fn pass(
        &mut self,
        pass: usize,
        places: &mut [[f32; D]],
        look: &mut dyn FnMut(&[[f32; D]]),
        context: &JobContext,
    ) {
        let (n, walk) = (places.len(), &*self);
        let (alpha, group) = (walk.alpha(pass), group_of(n));
        let (mut moved, mut pulled) = (Vec::with_capacity(group), Vec::with_capacity(n));
        for from in (0..n).step_by(group) {
            if context.is_cancelled() {
                return;
            }
            let walkers = from..(from + group).min(n);
            let before: &[[f32; D]] = places;
            let step = |place| walk.walk(place, pass, alpha, before);
            walkers.clone().into_par_iter().with_min_len(128).map(step).collect_into_vec(&mut moved);
            places[walkers.clone()].copy_from_slice(&moved);
            let before: &[[f32; D]] = places;
            let pull = |place| walk.pulled(place, &walkers, pass, alpha, before);
            (0..n).into_par_iter().with_min_len(1024).map(pull).collect_into_vec(&mut pulled);
            places.copy_from_slice(&pulled);
            look(places);
        }
    }

    fn on_card(&self, processor: &Processor, places: &[[f32; 4]]) -> Option<Box<dyn CardWalk>> {
        let field = Field {
            starts: &self.ties.starts,
            ids: &self.ties.ids,
            rates: &self.rates,
            a: self.a,
            b: self.b,
            seed: self.seed,
            group: group_of(places.len()),
        };
        let pass = WalkingPass::new(processor, &field, places).ok()?;
        Some(Box::new(OnCard { pass, passes: self.epochs }))
    }
}

/// The passes by a graphics card.
struct OnCard {
    pass: WalkingPass,
    passes: usize,
}

impl CardWalk for OnCard {
    fn pass(&mut self, pass: usize) -> Result<()> {
        self.pass.epoch(pass, alpha(pass, self.passes))
    }

    fn places(&self) -> Result<Vec<[f32; 4]>> {
        self.pass.places()
    }

    fn adapter(&self) -> &str {
        self.pass.adapter()
    }
}

/// `x^p` of a positive number to 1 part in 20,000: by a polynomial for the logarithm and one for the power of two. The
/// standard function would take most of the time of a map.
#[inline(always)]
fn power(x: f32, p: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let mantissa = f32::from_bits((bits & 0x007F_FFFF) | 0x3F80_0000);
    // log2 of 1..2 as 2 / ln 2 times the series of artanh((m - 1) / (m + 1)).
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let log = ratio * (2.885_39 + square * (0.961_797 + square * (0.577_078 + square * 0.412_199)));
    let target = p * (exponent as f32 + log);
    let whole = target.floor().clamp(-126.0, 126.0);
    let part = target - whole;
    // 2^part: the series of e^(part ln 2), fitted at both ends.
    let fraction = 1.0
        + part
            * (std::f32::consts::LN_2
                + part * (0.240_226_5 + part * (0.055_803_2 + part * (0.009_013_4 + part * 0.001_809_7))));
    f32::from_bits((((whole as i32) + 127) << 23) as u32) * fraction
}

/// Where a point from outside belongs: the mean of the places of its nearest neighbours, each weighed by its tie, as the
/// authors' program starts its own.
pub(crate) fn place_between(points: &Points, places: &[[f32; 3]], vector: &[f32]) -> [f32; 3] {
    let near = super::super::search::nearest(points, vector, NEIGHBOURS as usize - 1, None);
    let graph = Graph {
        k: near.len(),
        ids: near.iter().map(|near| near.place).collect(),
        distances: near.iter().map(|near| near.distance).collect(),
        recall: None,
    };
    let weights = memberships(&graph);
    let total: f32 = weights.iter().sum();
    let mut at = [0.0; 3];
    for (id, weight) in graph.ids.iter().zip(&weights) {
        let place = places.get(*id as usize).copied().unwrap_or_default();
        at.iter_mut().zip(place).for_each(|(to, from)| *to += weight / total * from);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_that_of_the_authors_program() {
        // umap.umap_.find_ab_params(1.0, min_dist), umap-learn 0.5.12.
        for (min_dist, a, b) in UMAP_LEARN {
            let (ours_a, ours_b) = find_ab(1.0, min_dist);
            assert!(
                (ours_a - a).abs() < 1e-4 * a && (ours_b - b).abs() < 1e-4 * b,
                "{min_dist}: {ours_a} {ours_b}"
            );
        }
    }

    #[test]
    fn the_power_is_near_the_standard_one() {
        for step in -60..60 {
            let x = 1.37f32.powi(step);
            for p in [0.4, 0.895, 1.3] {
                let (ours, want) = (power(x, p), x.powf(p));
                assert!((ours / want - 1.0).abs() < 5e-5, "{x}^{p}: {ours} {want}");
            }
        }
    }

    #[test]
    fn the_ties_of_a_point_sum_to_the_logarithm() {
        let distances: Vec<f32> = (1..15).map(|i| (i as f32).sqrt()).collect();
        let graph = Graph { k: 14, ids: vec![0; 14], distances, recall: None };
        let weights = memberships(&graph);
        assert_eq!(weights[0], 1.0);
        assert!((weights.iter().sum::<f32>() - 15f32.log2()).abs() < 1e-3);
        let equal = Graph { k: 3, ids: vec![0; 3], distances: vec![0.0; 3], recall: None };
        assert_eq!(memberships(&equal), [1.0; 3]);
    }

    const UMAP_LEARN: [(f64, f64, f64); 3] = [
        (0.1, 1.576_943_460_269_765_2, 0.895_060_877_851_573_3),
        (0.5, 0.583_030_020_341_442_5, 1.334_166_992_431_491_4),
        (0.001, 1.929_073_395_935_085, 0.791_504_533_427_439_3),
    ];

    #[test]
    fn a_graphics_processor_walks_as_the_processor_does() {
        // On whatever adapter there is, a software one too: pass by pass from the same places, in the plane and in space.
        fn agree<const D: usize>() {
            let mut rng = crate::base::rng::Rng::named(3, "walks");
            let n = 3000;
            let values = (0..4 * n).map(|_| rng.normal() as f32).collect();
            let points = Points::new(values, 4, crate::maps::Metric::Euclidean).unwrap();
            let context = JobContext::detached();
            let ties = fuzzy_ties(&Graph::new(&points, 10, 1, &context).unwrap());
            let (a, b) = find_ab(1.0, 0.1);
            let mut walk = Walk::new(&ties, 200, a as f32, b as f32, 5);
            let mut places: Vec<[f32; D]> =
                (0..n).map(|_| std::array::from_fn(|_| 3.0 * rng.normal() as f32)).collect();
            let processor = Processor::open().unwrap();
            // First, while points are far apart, and late, when steps are short. Between the two a difference in the last
            // digit grows by orders within a pass: an H200, which rounds divisions and products with a sum differently, then
            // draws another map of the same worth (.9789 of trust after .9779 on the points of `bench view`).
            for epoch in [0, 1, 140, 150, 180, 199] {
                let wide: Vec<[f32; 4]> = places.iter().map(passes::wide).collect();
                let mut card = passes::Walk::<D>::on_card(&walk, &processor, &wide).unwrap();
                card.pass(epoch).unwrap();
                let mut theirs = places.clone();
                passes::take(&card.places().unwrap(), &mut theirs);
                let before = places.clone();
                passes::Walk::pass(&mut walk, epoch, &mut places, &mut |_| {}, &context);
                assert!(places != before);
                // Few may come to elsewhere: steps are steep where two points nearly meet.
                let far = |(a, b): (&[f32; D], &[f32; D])| {
                    a.iter().zip(b).map(|(a, b)| (a - b).abs() / (1.0 + a.abs())).fold(0.0, f32::max)
                };
                let mut apart: Vec<f32> = places.iter().zip(&theirs).map(far).collect();
                apart.sort_unstable_by(f32::total_cmp);
                let (half, most) = (apart[n / 2], apart[n - n / 20]);
                assert!(half < 1e-5 && most < 1e-3, "{half} {most} in pass {epoch} by {}", card.adapter());
            }
        }
        agree::<2>();
        agree::<3>();
    }
}
