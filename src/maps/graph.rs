//! Who are the nearest neighbours of every point?
//!
//! Few points are compared each with each, by matrix products. Many are sorted into leaves of random trees (Dasgupta &
//! Freund 2008), compared within their leaves, and then with the neighbours of their neighbours until little changes
//! (Dong, Moses & Li 2011). How many of the true neighbours that finds is measured on a sample and told.

mod across;

use super::points::{Points, dot_inline};
use super::search::Best;
use crate::base::Result;
use crate::base::product::{self, Finish, Pack, View};
use crate::base::rng::{Rng, mix};
use crate::base::simd::{Kernel, run_widest};
use crate::gpu::compute::Processor;
use crate::gpu::nearest::{self, MOST_NEIGHBOURS, NearestPass};
use crate::jobs::JobContext;
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// The `k` nearest neighbours of each point, nearest first, the point itself left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Neighbours of a point.
    pub k: usize,
    /// `[points, k]`.
    pub ids: Vec<u32>,
    /// Their distances by the metric of the points.
    pub distances: Vec<f32>,
    /// Share of the true neighbours that were found, and on how many points that was measured; `None` where every pair
    /// was compared.
    pub recall: Option<(f64, usize)>,
}

/// Multiplications up to which every pair is compared: about a second on two cores.
const EXACT_WORK: f64 = 6e10;
/// Queries compared with all points at a time.
const BLOCK: usize = 1024;
/// Points that a block of queries is compared with at a time.
const TILE: usize = 2048;
/// Random trees.
const TREES: u64 = 8;
/// Points in a leaf at most, more where many neighbours are asked for: half a leaf has to hold them.
const LEAF: usize = 384;
/// Rounds of comparing with neighbours' neighbours at most.
const ROUNDS: usize = 6;
/// It ends when fewer than this share of all neighbours changed in a round.
const SETTLED: f64 = 0.01;
/// Neighbours in each direction that a round goes through.
const REACH: usize = 16;
/// Points on which the share of found neighbours is measured.
const SAMPLE: usize = 256;
/// No neighbour yet; after the first tree all have some.
const NOBODY: u32 = u32::MAX;
/// Mark of a neighbour that came in the last round.
const FRESH: u32 = 1 << 31;

impl Graph {
    /// Finds `k` neighbours of each point, fewer where there are fewer points.
    ///
    /// # Errors
    /// A cancel.
    pub fn new(points: &Points, k: usize, seed: u64, context: &JobContext) -> Result<Self> {
        let n = points.len() as f64;
        if n * n * points.width() as f64 <= EXACT_WORK {
            Self::exact(points, k, context)
        } else {
            Self::approximate(points, k, seed, context)
        }
    }

    /// Compares every pair.
    ///
    /// # Errors
    /// A cancel.
    pub fn exact(points: &Points, k: usize, context: &JobContext) -> Result<Self> {
        let n = points.len();
        let k = k.min(n.saturating_sub(1));
        let mut found = Found::new(n, k);
        for from in (0..n).step_by(BLOCK) {
            context.check()?;
            context.progress(from as u64, n as u64);
            let queries: Vec<u32> = (from..(from + BLOCK).min(n)).map(|place| place as u32).collect();
            for (query, best) in queries.iter().zip(best_of(points, &queries, k)) {
                found.set(*query as usize, &best);
            }
        }
        Ok(found.finish(points, |place| place, None))
    }

    /// Compares within the leaves of random trees, then with neighbours' neighbours.
    ///
    /// # Errors
    /// A cancel.
    pub fn approximate(points: &Points, k: usize, seed: u64, context: &JobContext) -> Result<Self> {
        let n = points.len();
        let k = k.min(n.saturating_sub(1));
        let mut found = Found::new(n, k);
        let steps = TREES + ROUNDS as u64;
        let begun = Instant::now();
        for tree in 0..TREES {
            context.check()?;
            context.progress(tree, steps);
            found.take_tree(points, mix(seed ^ mix(tree)), context)?;
            // The other trees and the rounds take longer than the trees alone.
            if tree == 0
                && let Some(processor) = Processor::hardware()
                && let Some(graph) = by_card(points, k, processor, begun.elapsed() * TREES as u32, context)?
            {
                return Ok(graph);
            }
        }
        for round in 0..ROUNDS as u64 {
            context.check()?;
            context.progress(TREES + round, steps);
            if found.refine(points, context)? < SETTLED {
                break;
            }
        }
        let recall = found.recall(points, seed);
        Ok(found.finish(points, |place| place, Some(recall)))
    }

    /// Points.
    pub fn len(&self) -> usize {
        self.ids.len().checked_div(self.k).unwrap_or(0)
    }

    /// True when nobody has a neighbour.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The neighbours of a point with their distances.
    pub fn of(&self, place: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let range = place * self.k..(place + 1) * self.k;
        self.ids[range.clone()].iter().copied().zip(self.distances[range].iter().copied())
    }
}

/// Compares every pair on a graphics processor, if its first block says that this takes less than a quarter of `patience`:
/// a choice that is the same from run to run. `None` where it does not, or where the points do not fit on it.
fn by_card(
    points: &Points,
    k: usize,
    processor: &Processor,
    patience: Duration,
    context: &JobContext,
) -> Result<Option<Graph>> {
    let n = points.len();
    let bytes = 4 * (n * points.width().next_multiple_of(4)) as u64;
    if !(1..=MOST_NEIGHBOURS).contains(&k) || !processor.holds(bytes) {
        return Ok(None);
    }
    let pass = NearestPass::new(processor, points.values(), points.width(), points.bias())?;
    let mut found = Found::new(n, k);
    let begun = Instant::now();
    for from in (0..n).step_by(nearest::BLOCK) {
        context.check()?;
        context.progress(from as u64, n as u64);
        let (ids, scores) = pass.block(from, k)?;
        found.ids[from * k..][..ids.len()].copy_from_slice(&ids);
        found.scores[from * k..][..scores.len()].copy_from_slice(&scores);
        let blocks = n.div_ceil(nearest::BLOCK) as u32;
        if from == 0 && 4 * begun.elapsed() * blocks > patience {
            return Ok(None);
        }
    }
    Ok(Some(found.finish(points, |place| place, None)))
}

struct Sift<'a> {
    scores: &'a [f32],
    bias: &'a [f32],
    first: u32,
    own: u32,
    best: &'a mut Best,
}

impl Kernel for Sift<'_> {
    type Output = ();

    /// Whole vectors of scores below the bar are passed over.
    #[inline(always)]
    fn run(self) {
        const WIDE: usize = 32;
        let mut place = self.first;
        for (scores, bias) in self.scores.chunks(WIDE).zip(self.bias.chunks(WIDE)) {
            let bar = self.best.bar();
            let mut any = false;
            for (score, bias) in scores.iter().zip(bias) {
                any |= score - bias > bar;
            }
            if any {
                for (offset, (score, bias)) in scores.iter().zip(bias).enumerate() {
                    let other = place + offset as u32;
                    if other != self.own {
                        self.best.offer(score - bias, other);
                    }
                }
            }
            place += WIDE as u32;
        }
    }
}

/// The `k` best others of each query among all points, by score.
pub(super) fn best_of(points: &Points, queries: &[u32], k: usize) -> Vec<Best> {
    let width = points.width();
    let rows: Vec<f32> = queries.iter().flat_map(|query| points.row(*query as usize)).copied().collect();
    let mut best = vec![Best::new(k); queries.len()];
    let (mut scores, mut pack) = (Vec::new(), Pack::default());
    for from in (0..points.len()).step_by(TILE) {
        let some = TILE.min(points.len() - from);
        scores.resize(queries.len() * some, 0.0);
        let others = View::rows(&points.values()[from * width..(from + some) * width], width).transposed();
        let shape = [queries.len(), some, width];
        product::product(shape, View::rows(&rows, width), others, &mut scores, Finish::Set, &mut pack);
        let bias = &points.bias()[from..from + some];
        best.par_iter_mut().zip(scores.par_chunks(some)).zip(queries).with_min_len(16).for_each(
            |((best, scores), own)| {
                run_widest(Sift { scores, bias, first: from as u32, own: *own, best });
            },
        );
    }
    best
}

/// Neighbours while they are looked for: `[points, k]`, best score first, [`NOBODY`] where there are fewer yet.
struct Found {
    k: usize,
    ids: Vec<u32>,
    scores: Vec<f32>,
}

impl Found {
    fn new(n: usize, k: usize) -> Self {
        Self { k, ids: vec![NOBODY; n * k], scores: vec![f32::NEG_INFINITY; n * k] }
    }

    fn set(&mut self, place: usize, best: &Best) {
        for (at, (score, id)) in best.kept.iter().enumerate().take(self.k) {
            self.ids[place * self.k + at] = *id;
            self.scores[place * self.k + at] = *score;
        }
    }

    /// Compares the points within each leaf of one more tree.
    fn take_tree(&mut self, points: &Points, seed: u64, context: &JobContext) -> Result<()> {
        let mut order: Vec<u32> = (0..points.len() as u32).collect();
        let k = self.k;
        let most = LEAF.max(2 * (k + 1));
        split(points, &mut order, most, seed);
        // Leaves are cut by length alone, so they can be found again without having been kept.
        let leaves = leaves(&mut order, most);
        let compared: Vec<(Vec<u32>, Vec<Best>)> = leaves
            .into_par_iter()
            .map_init(Buffers::default, |buffers, leaf| {
                if context.is_cancelled() {
                    return (Vec::new(), Vec::new());
                }
                let best = within(points, leaf, k, buffers);
                (leaf.to_vec(), best)
            })
            .collect();
        context.check()?;
        let mut place_of = vec![(0u32, 0u32); points.len()];
        for (leaf, (members, _)) in compared.iter().enumerate() {
            for (at, member) in members.iter().enumerate() {
                place_of[*member as usize] = (leaf as u32, at as u32);
            }
        }
        let rows = self.ids.par_chunks_mut(k.max(1)).zip(self.scores.par_chunks_mut(k.max(1)));
        rows.zip(&place_of).with_min_len(256).for_each(|((ids, scores), (leaf, at))| {
            for (score, id) in &compared[*leaf as usize].1[*at as usize].kept {
                insert(ids, scores, *score, *id);
            }
        });
        Ok(())
    }

    /// One round of comparing with neighbours' neighbours; answers with the share of neighbours that changed.
    fn refine(&mut self, points: &Points, context: &JobContext) -> Result<f64> {
        let n = points.len();
        let k = self.k;
        let reach = REACH.min(k);
        let around = around(&self.ids, n, k, reach);
        let (ids, scores) = (&self.ids, &self.scores);
        let made: Vec<(Vec<u32>, Vec<f32>, usize)> = (0..n)
            .into_par_iter()
            .with_min_len(256)
            .map_init(
                || vec![0u32; n],
                |seen, place| {
                    let mut mine = (ids[place * k..][..k].to_vec(), scores[place * k..][..k].to_vec(), 0);
                    if !context.is_cancelled() {
                        mine.0.iter_mut().for_each(|id| *id &= !FRESH);
                        mine.2 = run_widest(Meet {
                            points,
                            around: &around,
                            place: place as u32,
                            seen,
                            ids: &mut mine.0,
                            scores: &mut mine.1,
                        });
                    }
                    mine
                },
            )
            .collect();
        context.check()?;
        let mut changed = 0;
        for (place, (ids, scores, count)) in made.into_iter().enumerate() {
            self.ids[place * k..][..k].copy_from_slice(&ids);
            self.scores[place * k..][..k].copy_from_slice(&scores);
            changed += count;
        }
        Ok(changed as f64 / (n * k).max(1) as f64)
    }

    /// Share of the true neighbours of some points that were found.
    fn recall(&self, points: &Points, seed: u64) -> (f64, usize) {
        let n = points.len();
        let mut rng = Rng::named(seed, "neighbours found");
        let queries: Vec<u32> = (0..SAMPLE.min(n)).map(|_| rng.below(n) as u32).collect();
        let hits: usize = queries
            .iter()
            .zip(best_of(points, &queries, self.k))
            .map(|(query, best)| {
                let mine = &self.ids[*query as usize * self.k..][..self.k];
                best.kept.iter().filter(|(_, id)| mine.iter().any(|known| known & !FRESH == *id)).count()
            })
            .sum();
        (hits as f64 / (queries.len() * self.k).max(1) as f64, queries.len())
    }

    /// Distances for scores, nearest first; `place` of each row in the table.
    fn finish(
        mut self,
        points: &Points,
        place: impl Fn(usize) -> usize + Sync,
        recall: Option<(f64, usize)>,
    ) -> Graph {
        let k = self.k.max(1);
        let rows = self.ids.par_chunks_mut(k).zip(self.scores.par_chunks_mut(k));
        rows.enumerate().with_min_len(64).for_each(|(row, (ids, scores))| {
            let own = points.row(place(row));
            let mut both: Vec<(f32, u32)> =
                ids.iter().map(|id| id & !FRESH).map(|id| (points.distance(own, id as usize), id)).collect();
            if points.is_distance() {
                both.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            }
            for ((id, score), (distance, found)) in ids.iter_mut().zip(scores).zip(both) {
                (*id, *score) = (found, distance);
            }
        });
        Graph { k: self.k, ids: self.ids, distances: self.scores, recall }
    }
}

/// Puts a neighbour where it belongs, if it is new and good enough; marks it as fresh.
#[inline(always)]
fn insert(ids: &mut [u32], scores: &mut [f32], score: f32, id: u32) -> bool {
    let Some(least) = scores.last() else { return false };
    if score <= *least || ids.iter().any(|known| known & !FRESH == id) {
        return false;
    }
    let mut at = ids.len() - 1;
    while at > 0 && scores[at - 1] < score {
        ids[at] = ids[at - 1];
        scores[at] = scores[at - 1];
        at -= 1;
    }
    ids[at] = id | FRESH;
    scores[at] = score;
    true
}

/// Halves a set of points again and again by the direction between two of them, until leaves remain: afterwards the
/// leaves are runs of `order`, cut as [`leaves`] cuts it.
fn split(points: &Points, order: &mut [u32], most: usize, seed: u64) {
    if order.len() <= most {
        return;
    }
    let mut rng = Rng::named(seed, "tree");
    let (one, other) = (order[rng.below(order.len())], order[rng.below(order.len())]);
    let direction: Vec<f32> =
        points.row(one as usize).iter().zip(points.row(other as usize)).map(|(a, b)| a - b).collect();
    let mut keyed: Vec<(f32, u32)> = order
        .par_iter()
        .with_min_len(2048)
        .map(|place| (super::points::dot(&direction, points.row(*place as usize)), *place))
        .collect();
    let half = order.len() / 2;
    keyed.select_nth_unstable_by(half, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order.iter_mut().zip(keyed).for_each(|(to, (_, place))| *to = place);
    let (left, right) = order.split_at_mut(half);
    // The order inside a half is that of the selection, which depends on its input alone.
    rayon::join(|| split(points, left, most, mix(seed ^ 1)), || split(points, right, most, mix(seed ^ 2)));
}

/// The leaves of an order that was [`split`].
fn leaves(order: &mut [u32], most: usize) -> Vec<&mut [u32]> {
    if order.len() <= most {
        return vec![order];
    }
    let half = order.len() / 2;
    let (left, right) = order.split_at_mut(half);
    let mut all = leaves(left, most);
    all.extend(leaves(right, most));
    all
}

#[derive(Default)]
struct Buffers {
    rows: Vec<f32>,
    bias: Vec<f32>,
    scores: Vec<f32>,
    pack: Pack,
}

/// The best others of each member within its leaf, as places in the table.
fn within(points: &Points, leaf: &[u32], k: usize, buffers: &mut Buffers) -> Vec<Best> {
    let (m, width) = (leaf.len(), points.width());
    buffers.rows.clear();
    buffers.rows.extend(leaf.iter().flat_map(|place| points.row(*place as usize)));
    buffers.bias.clear();
    buffers.bias.extend(leaf.iter().map(|place| points.bias()[*place as usize]));
    buffers.scores.resize(m * m, 0.0);
    let rows = View::rows(&buffers.rows, width);
    let shape = [m, m, width];
    product::product(shape, rows, rows.transposed(), &mut buffers.scores, Finish::Set, &mut buffers.pack);
    let mut all = Vec::with_capacity(m);
    for (own, scores) in buffers.scores.chunks(m).enumerate() {
        let mut best = Best::new(k);
        run_widest(Sift { scores, bias: &buffers.bias, first: 0, own: own as u32, best: &mut best });
        best.kept.iter_mut().for_each(|(_, id)| *id = leaf[*id as usize]);
        all.push(best);
    }
    all
}

/// Neighbours of each point in both directions, at most `reach` each, fresh ones marked; rows end at `starts`.
struct Around {
    starts: Vec<u32>,
    ids: Vec<u32>,
}

impl Around {
    fn of(&self, place: u32) -> &[u32] {
        &self.ids[self.starts[place as usize] as usize..self.starts[place as usize + 1] as usize]
    }
}

fn around(ids: &[u32], n: usize, k: usize, reach: usize) -> Around {
    let forward = |place: usize| ids[place * k..][..reach].iter().copied();
    let mut backward = vec![0u32; n];
    for id in (0..n).flat_map(forward) {
        let back = &mut backward[(id & !FRESH) as usize];
        *back = (*back + 1).min(reach as u32);
    }
    let mut starts = vec![0u32; n + 1];
    for place in 0..n {
        starts[place + 1] = starts[place] + reach as u32 + backward[place];
    }
    let mut next: Vec<u32> = starts[..n].to_vec();
    let mut all = vec![NOBODY; starts[n] as usize];
    for place in 0..n {
        for id in forward(place) {
            all[next[place] as usize] = id;
            next[place] += 1;
        }
    }
    for place in 0..n {
        for id in forward(place) {
            let back = (id & !FRESH) as usize;
            if next[back] < starts[back + 1] {
                all[next[back] as usize] = place as u32 | (id & FRESH);
                next[back] += 1;
            }
        }
    }
    Around { starts, ids: all }
}

struct Meet<'a> {
    points: &'a Points,
    around: &'a Around,
    place: u32,
    /// The last point that looked at each other one, plus one.
    seen: &'a mut [u32],
    ids: &'a mut [u32],
    scores: &'a mut [f32],
}

impl Kernel for Meet<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let Self { points, around, place, seen, ids, scores } = self;
        let stamp = place + 1;
        seen[place as usize] = stamp;
        for id in ids.iter() {
            seen[*id as usize] = stamp;
        }
        let own = points.row(place as usize);
        let mut changed = 0;
        for &between in around.of(place) {
            for &other in around.of(between & !FRESH) {
                let id = other & !FRESH;
                // Two that were introduced by the same one before know each other already.
                if (between | other) & FRESH == 0 || seen[id as usize] == stamp {
                    continue;
                }
                seen[id as usize] = stamp;
                let score = dot_inline(own, points.row(id as usize)) - points.bias()[id as usize];
                changed += usize::from(insert(ids, scores, score, id));
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::Metric;
    use super::*;

    /// Points around 30 centres in a space of 24 numbers.
    pub(crate) fn clustered(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::named(seed, "clustered");
        let centres: Vec<f32> = (0..30 * 24).map(|_| 2.0 * rng.normal() as f32).collect();
        (0..n).flat_map(|i| centres[i % 30 * 24..][..24].to_vec()).map(|c| c + rng.normal() as f32).collect()
    }

    #[test]
    fn every_pair_is_compared_exactly() {
        let points = Points::new(clustered(2_500, 1), 24, Metric::Euclidean).unwrap();
        let graph = Graph::exact(&points, 7, &JobContext::detached()).unwrap();
        for place in (0..2_500).step_by(61) {
            let own: Vec<f32> = points.row(place).to_vec();
            let want = super::super::search::nearest(&points, &own, 7, Some(place));
            let got: Vec<u32> = graph.of(place).map(|(id, _)| id).collect();
            assert_eq!(got, want.iter().map(|near| near.place).collect::<Vec<_>>());
        }
    }

    #[test]
    fn trees_and_rounds_find_nearly_all_and_repeat() {
        let points = Points::new(clustered(6_000, 2), 24, Metric::Cosine).unwrap();
        let context = JobContext::detached();
        let found = Graph::approximate(&points, 10, 5, &context).unwrap();
        let exact = Graph::exact(&points, 10, &context).unwrap();
        let hits: usize = (0..6_000)
            .map(|place| {
                let truth: Vec<u32> = exact.of(place).map(|(id, _)| id).collect();
                found.of(place).filter(|(id, _)| truth.contains(id)).count()
            })
            .sum();
        let share = hits as f64 / 60_000.0;
        assert!(share > 0.95, "{share}");
        let (told, on) = found.recall.unwrap();
        // 256 points x 10 neighbours: the sampled share stands within a few points of the true one.
        assert!((told - share).abs() < 0.02 && on == 256, "{told} against {share}");
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(|| Graph::approximate(&points, 10, 5, &context)).unwrap(), found);
    }

    #[test]
    fn equal_points_and_few_points_have_neighbours_too() {
        let context = JobContext::detached();
        let equal = Points::new(vec![1.0; 3 * 40], 3, Metric::Euclidean).unwrap();
        let graph = Graph::exact(&equal, 15, &context).unwrap();
        assert!(graph.distances.iter().all(|distance| *distance == 0.0));
        let two = Points::new(vec![0.0, 3.0], 1, Metric::Euclidean).unwrap();
        let graph = Graph::exact(&two, 15, &context).unwrap();
        assert_eq!((graph.k, graph.ids, graph.distances), (1, vec![1, 0], vec![3.0, 3.0]));
        let one = Points::new(vec![0.0], 1, Metric::Euclidean).unwrap();
        assert!(Graph::exact(&one, 15, &context).unwrap().is_empty());
    }

    #[test]
    fn a_graphics_processor_finds_the_same_neighbours() {
        let processor = Processor::open().unwrap();
        let mut rng = Rng::named(5, "neighbours by a card");
        for (n, width, k, metric) in [
            (700, 10, 14, Metric::Euclidean),
            (4_500, 8, 15, Metric::Cosine),
            (300, 33, 90, Metric::Euclidean),
        ] {
            let values: Vec<f32> = (0..n * width).map(|_| rng.normal() as f32).collect();
            let points = Points::new(values, width, metric).unwrap();
            let context = JobContext::detached();
            let want = Graph::exact(&points, k, &context).unwrap();
            let forever = Duration::from_secs(100_000);
            let ours = by_card(&points, k, &processor, forever, &context).unwrap().unwrap();
            let pairs = ours.distances.iter().zip(&want.distances);
            assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b)), "by {}", processor.adapter);
            let same = ours.ids.iter().zip(&want.ids).filter(|(a, b)| a == b).count();
            assert!(same as f64 > 0.999 * ours.ids.len() as f64, "{same} of {}", ours.ids.len());
            assert!(by_card(&points, k, &processor, Duration::ZERO, &context).unwrap().is_none());
        }
    }
}
