//! Who of some points are the nearest to each of some others?

use super::{BLOCK, Buffers, EXACT_WORK, FRESH, Found, Graph, LEAF, NOBODY, SAMPLE, Sift, TILE, TREES};
use super::{insert, leaves, split};
use crate::base::Result;
use crate::base::product::{self, Finish, View};
use crate::base::rng::{Rng, mix};
use crate::base::simd::run_widest;
use crate::jobs::JobContext;
use crate::maps::points::Points;
use crate::maps::search::Best;
use rayon::prelude::*;

impl Graph {
    /// The `k` nearest of `others` to each of `queries` (both places in the table, none in both; `ids` are places in the
    /// table): comparing each with each where that is soon done, by trees where it is not.
    ///
    /// # Errors
    /// A cancel.
    pub(in crate::maps) fn across(
        points: &Points,
        queries: &[u32],
        others: &[u32],
        k: usize,
        seed: u64,
        context: &JobContext,
    ) -> Result<Self> {
        let work = queries.len() as f64 * others.len() as f64 * points.width() as f64;
        if work <= EXACT_WORK / 16.0 {
            return Ok(Self::across_exactly(points, queries, others, k));
        }
        Self::across_by_trees(points, queries, others, k, seed, context)
    }

    /// As [`across`](Self::across), by the leaves of random trees over both, so that most pairs are never compared.
    pub(in crate::maps) fn across_by_trees(
        points: &Points,
        queries: &[u32],
        others: &[u32],
        k: usize,
        seed: u64,
        context: &JobContext,
    ) -> Result<Self> {
        let k = k.min(others.len());
        let mut found = Found::new(queries.len(), k);
        // By place in the table: the row of `found`, or that it is one of the others.
        let mut row_of = vec![NOBODY; points.len()];
        queries.iter().enumerate().for_each(|(row, place)| row_of[*place as usize] = row as u32);
        let both: Vec<u32> = queries.iter().chain(others).copied().collect();
        let share = both.len() as f64 / others.len().max(1) as f64;
        let most = (LEAF as f64 * share) as usize;
        for tree in 0..TREES {
            context.check()?;
            context.progress(tree, TREES);
            found.take_tree_across(points, both.clone(), &row_of, (most, mix(seed ^ mix(tree))), context)?;
        }
        let mut rng = Rng::named(seed, "neighbours found");
        let sample: Vec<u32> =
            (0..SAMPLE.min(queries.len())).map(|_| rng.below(queries.len()) as u32).collect();
        let asked: Vec<u32> = sample.iter().map(|row| queries[*row as usize]).collect();
        let exact = Self::across_exactly(points, &asked, others, k);
        let recall = found.shared(&sample, &exact);
        let graph = found.finish(points, |row| queries[row] as usize, Some((recall, sample.len())));
        Ok(graph)
    }

    /// As [`across`](Self::across), comparing each with each.
    pub(in crate::maps) fn across_exactly(
        points: &Points,
        queries: &[u32],
        others: &[u32],
        k: usize,
    ) -> Self {
        let mut found = Found::new(queries.len(), k.min(others.len()));
        let mut buffers = Buffers::default();
        for (part, queries) in queries.chunks(BLOCK).enumerate() {
            let mut best = vec![Best::new(k); queries.len()];
            for others in others.chunks(TILE) {
                between(points, queries, others, &mut best, &mut buffers);
            }
            best.iter().enumerate().for_each(|(at, best)| found.set(part * BLOCK + at, best));
        }
        found.finish(points, |row| queries[row] as usize, None)
    }
}

impl Found {
    /// Compares, within each leaf of one more tree, those that have a row here with those that have none.
    fn take_tree_across(
        &mut self,
        points: &Points,
        mut both: Vec<u32>,
        row_of: &[u32],
        (most, seed): (usize, u64),
        context: &JobContext,
    ) -> Result<()> {
        let k = self.k;
        split(points, &mut both, most, seed);
        let compared: Vec<(Vec<u32>, Vec<Best>)> = leaves(&mut both, most)
            .into_par_iter()
            .map_init(Buffers::default, |buffers, leaf| {
                if context.is_cancelled() {
                    return (Vec::new(), Vec::new());
                }
                let (queries, mut others): (Vec<u32>, Vec<u32>) =
                    leaf.iter().partition(|place| row_of[**place as usize] != NOBODY);
                // The earlier place wins a tie.
                others.sort_unstable();
                let mut best = vec![Best::new(k); queries.len()];
                between(points, &queries, &others, &mut best, buffers);
                (queries, best)
            })
            .collect();
        context.check()?;
        for (query, best) in compared.iter().flat_map(|(queries, best)| queries.iter().zip(best)) {
            let from = row_of[*query as usize] as usize * k;
            for (score, id) in &best.kept {
                insert(&mut self.ids[from..from + k], &mut self.scores[from..from + k], *score, *id);
            }
        }
        Ok(())
    }

    /// Share of the neighbours of some rows that are among those of `exact`, whose rows are those.
    fn shared(&self, rows: &[u32], exact: &Graph) -> f64 {
        let mine = |row: &u32| &self.ids[*row as usize * self.k..][..self.k];
        let true_ones = exact.ids.chunks(self.k.max(1));
        let hits: usize = rows
            .iter()
            .zip(true_ones)
            .map(|(row, known)| mine(row).iter().filter(|id| known.contains(&(**id & !FRESH))).count())
            .sum();
        hits as f64 / exact.ids.len().max(1) as f64
    }
}

/// Offers each of `others` to each of `queries`, all by their places in the table.
fn between(points: &Points, queries: &[u32], others: &[u32], best: &mut [Best], buffers: &mut Buffers) {
    let width = points.width();
    let rows = |places: &[u32]| -> Vec<f32> {
        places.iter().flat_map(|place| points.row(*place as usize)).copied().collect()
    };
    let (asked, given) = (rows(queries), rows(others));
    buffers.bias.clear();
    buffers.bias.extend(others.iter().map(|place| points.bias()[*place as usize]));
    buffers.scores.resize(queries.len() * others.len(), 0.0);
    let shape = [queries.len(), others.len(), width];
    let (asked, given) = (View::rows(&asked, width), View::rows(&given, width).transposed());
    product::product(shape, asked, given, &mut buffers.scores, Finish::Set, &mut buffers.pack);
    for (best, scores) in best.iter_mut().zip(buffers.scores.chunks(others.len().max(1))) {
        let mut near = Best::new(best.most());
        run_widest(Sift { scores, bias: &buffers.bias, first: 0, own: NOBODY, best: &mut near });
        near.kept.iter().for_each(|(score, at)| best.offer(*score, others[*at as usize]));
    }
}
