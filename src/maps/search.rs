//! Which rows are nearest to one vector, exactly?

use super::points::{Points, dot_inline};
use crate::base::simd::{Kernel, run_widest};
use rayon::prelude::*;

/// A row that is near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Its place in the table.
    pub place: u32,
    /// Its distance by the table's metric; for the inner product the product itself.
    pub distance: f32,
}

/// The `k` best scores so far, best first; the earlier place wins a tie.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Best {
    most: usize,
    pub kept: Vec<(f32, u32)>,
}

impl Best {
    pub fn new(most: usize) -> Self {
        Self { most, kept: Vec::with_capacity(most + 1) }
    }

    /// How many it keeps.
    pub fn most(&self) -> usize {
        self.most
    }

    /// What a score must exceed to come in.
    #[inline(always)]
    pub fn bar(&self) -> f32 {
        if self.kept.len() < self.most {
            f32::NEG_INFINITY
        } else {
            self.kept.last().map_or(f32::INFINITY, |(score, _)| *score)
        }
    }

    /// Takes a score in, if it is among the best. Places must come in rising order for ties to be the earlier one's.
    #[inline(always)]
    pub fn offer(&mut self, score: f32, place: u32) {
        let full = self.kept.len() >= self.most;
        if full && self.kept.last().is_none_or(|(least, _)| score <= *least) {
            return;
        }
        if full {
            self.kept.pop();
        }
        let mut at = self.kept.len();
        self.kept.push((score, place));
        while at > 0 && self.kept[at - 1].0 < score {
            self.kept[at] = self.kept[at - 1];
            at -= 1;
        }
        self.kept[at] = (score, place);
    }
}

/// Rows that a thread takes at a time.
const ROWS: usize = 4096;

struct Scan<'a> {
    query: &'a [f32],
    rows: &'a [f32],
    bias: &'a [f32],
    first: u32,
    best: &'a mut Best,
}

impl Kernel for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.rows.chunks_exact(self.query.len()).zip(self.bias);
        for (place, (row, bias)) in (self.first..).zip(rows) {
            self.best.offer(dot_inline(self.query, row) - bias, place);
        }
    }
}

/// The `k` rows nearest to a vector, nearest first, out of all rows but `without`. Memory is read once: 1,000,000 rows
/// of 64 numbers take about as long as 256 MB take to be read.
///
/// A vector of another width has no neighbours.
pub fn nearest(points: &Points, vector: &[f32], k: usize, without: Option<usize>) -> Vec<Near> {
    let width = points.width();
    if vector.len() != width || k == 0 {
        return Vec::new();
    }
    let query = points.prepare(vector);
    let keep = k + usize::from(without.is_some());
    let parts: Vec<Best> = points
        .values()
        .par_chunks(ROWS * width)
        .zip(points.bias().par_chunks(ROWS))
        .enumerate()
        .map(|(part, (rows, bias))| {
            let mut best = Best::new(keep);
            run_widest(Scan { query: &query, rows, bias, first: (part * ROWS) as u32, best: &mut best });
            best
        })
        .collect();
    let mut best = Best::new(keep);
    for (score, place) in parts.into_iter().flat_map(|part| part.kept) {
        best.offer(score, place);
    }
    let near = best.kept.into_iter().map(|(_, place)| place).filter(|place| Some(*place as usize) != without);
    let mut near: Vec<Near> =
        near.take(k).map(|place| Near { place, distance: points.distance(&query, place as usize) }).collect();
    if points.is_distance() {
        // The scores round otherwise than the distances that are told.
        near.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.place.cmp(&b.place)));
    }
    near
}

#[cfg(test)]
mod tests {
    use super::super::points::Metric;
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn agrees_with_looking_at_every_row() {
        let mut rng = Rng::named(3, "search test");
        let (rows, width) = (9_000, 21);
        let values: Vec<f32> = (0..rows * width).map(|_| rng.normal() as f32).collect();
        for (metric, _) in Metric::ALL {
            let points = Points::new(values.clone(), width, metric).unwrap();
            let query = &values[17 * width..18 * width];
            let prepared = points.prepare(query);
            let mut all: Vec<(f32, u32)> = (0..rows)
                .filter(|place| *place != 17)
                .map(|place| (points.distance(&prepared, place), place as u32))
                .collect();
            let closer = |a: &(f32, u32), b: &(f32, u32)| match metric {
                Metric::InnerProduct => b.0.total_cmp(&a.0),
                Metric::Euclidean | Metric::Cosine => a.0.total_cmp(&b.0),
            };
            all.sort_by(closer);
            let found = nearest(&points, query, 10, Some(17));
            let want: Vec<u32> = all[..10].iter().map(|(_, place)| *place).collect();
            assert_eq!(found.iter().map(|near| near.place).collect::<Vec<_>>(), want, "{metric:?}");
            assert_eq!(found[3].distance, all[3].0);
        }
    }

    #[test]
    fn ties_go_to_the_earlier_row_and_few_rows_are_all_given() {
        let points = Points::new(vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 2, Metric::Euclidean).unwrap();
        let places = |k, without| -> Vec<u32> {
            nearest(&points, &[1.0, 0.0], k, without).iter().map(|near| near.place).collect()
        };
        assert_eq!(places(2, None), [0, 1]);
        assert_eq!(places(9, Some(1)), [0, 2]);
        assert!(nearest(&points, &[1.0], 2, None).is_empty());
    }
}
