//! Which vectors have the largest products with one vector, without looking at all of them? Cells that are searched first.
//!
//! An inverted file (Jégou, Douze & Schmid, TPAMI 2011): vectors are put into cells by k-means (Lloyd 1982), and only those of
//! the cells whose centres have the largest products with the question are looked at.

use crate::base::Result;
use crate::base::rng::Rng;
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Rounds of k-means at most.
const ROUNDS: usize = 25;

/// Vectors in cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    width: usize,
    /// `[cells, width]`.
    centres: Vec<f32>,
    /// Places of the vectors of each cell, in order.
    members: Vec<Vec<u32>>,
}

impl Cells {
    /// Puts `vectors`, `[count, width]`, into `cells` cells, of which those that stay empty are left out.
    ///
    /// # Errors
    /// A cancel.
    pub fn of(vectors: &[f32], width: usize, cells: usize, seed: u64, context: &JobContext) -> Result<Self> {
        let width = width.max(1);
        let all: Vec<&[f32]> = vectors.chunks_exact(width).collect();
        let mut centres = drawn_apart(&all, cells, &mut Rng::named(seed, "cells"), context)?;
        let mut cell_of: Vec<u32> = Vec::new();
        for round in 0..ROUNDS {
            context.check()?;
            context.progress(round as u64, ROUNDS as u64);
            let nearest: Vec<u32> = all.par_iter().map(|vector| nearest(&centres, vector)).collect();
            if nearest == cell_of {
                break;
            }
            cell_of = nearest;
            move_to_means(&mut centres, &all, &cell_of);
        }
        let mut members = vec![Vec::new(); centres.len() / width];
        cell_of.iter().zip(0..).for_each(|(cell, place)| members[*cell as usize].push(place));
        let kept = members.iter().zip(centres.chunks_exact(width)).filter(|(members, _)| !members.is_empty());
        let centres = kept.flat_map(|(_, centre)| centre).copied().collect();
        members.retain(|members| !members.is_empty());
        Ok(Self { width, centres, members })
    }

    /// How many cells hold something.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The vectors of the `probed` cells that come first for a question, in order.
    pub fn candidates(&self, question: &[f32], probed: usize) -> Vec<u32> {
        let product = |centre: &[f32]| centre.iter().zip(question).map(|(c, q)| c * q).sum::<f32>();
        let products: Vec<f32> = self.centres.chunks_exact(self.width).map(product).collect();
        let first = crate::metrics::top_k::highest(&products, probed);
        let mut found: Vec<u32> =
            first.into_iter().flat_map(|cell| self.members[cell as usize].iter().copied()).collect();
        found.sort_unstable();
        found
    }
}

/// Vectors to begin with, each drawn by its squared distance to the nearest one before (k-means++, Arthur & Vassilvitskii 2007);
/// none twice.
fn drawn_apart(all: &[&[f32]], cells: usize, rng: &mut Rng, context: &JobContext) -> Result<Vec<f32>> {
    let mut centres = Vec::new();
    let mut far = vec![1.0f64; all.len()];
    for _ in 0..cells.min(all.len()) {
        context.check()?;
        let mut left = rng.uniform() * far.iter().sum::<f64>();
        let drawn = far.iter().position(|far| {
            left -= far;
            left < 0.0 && *far > 0.0
        });
        // All that are left lie on a centre.
        let Some(drawn) = drawn else { break };
        centres.extend_from_slice(all[drawn]);
        let first = centres.len() == all[drawn].len();
        far.par_iter_mut().zip(all).for_each(|(far, vector)| {
            let squared = vector.iter().zip(all[drawn]).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
            *far = if first { squared } else { far.min(squared) };
        });
    }
    Ok(centres)
}

/// The centre that is nearest, the first of equal ones.
fn nearest(centres: &[f32], vector: &[f32]) -> u32 {
    let squared = |centre: &[f32]| centre.iter().zip(vector).map(|(c, v)| (c - v).powi(2)).sum::<f32>();
    let mut best = (f32::INFINITY, 0);
    for (centre, place) in centres.chunks_exact(vector.len()).zip(0..) {
        let distance = squared(centre);
        if distance < best.0 {
            best = (distance, place);
        }
    }
    best.1
}

/// Centres become the means of their vectors; one without any stays where it is.
fn move_to_means(centres: &mut [f32], all: &[&[f32]], cell_of: &[u32]) {
    let Some(width) = all.first().map(|vector| vector.len()) else { return };
    let mut sums = vec![0.0f64; centres.len()];
    let mut counts = vec![0.0f64; centres.len() / width];
    for (vector, cell) in all.iter().zip(cell_of) {
        let cell = *cell as usize;
        counts[cell] += 1.0;
        sums[cell * width..][..width].iter_mut().zip(*vector).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let of_cells = centres.chunks_exact_mut(width).zip(sums.chunks_exact(width)).zip(counts);
    for ((centre, sum), count) in of_cells.filter(|(_, count)| *count > 0.0) {
        centre.iter_mut().zip(sum).for_each(|(centre, sum)| *centre = (sum / count) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four heaps of vectors around the corners of a square.
    fn heaps() -> Vec<f32> {
        let mut rng = Rng::named(1, "heaps");
        (0..200)
            .flat_map(|place| {
                let corner = [[3.0, 3.0], [3.0, -3.0], [-3.0, 3.0], [-3.0, -3.0]][place % 4];
                corner.map(|x: f64| (x + 0.3 * rng.normal()) as f32)
            })
            .collect()
    }

    #[test]
    fn vectors_that_point_alike_are_in_one_cell_and_found_by_it() {
        let cells = Cells::of(&heaps(), 2, 4, 3, &JobContext::detached()).unwrap();
        assert_eq!(cells.members.iter().map(Vec::len).sum::<usize>(), 200, "each vector is in one cell");
        let found = cells.candidates(&[1.0, 1.0], 1);
        assert!(!found.is_empty() && found.iter().all(|place| place % 4 == 0), "{found:?}");
        assert_eq!(cells.candidates(&[1.0, 0.2], 4), (0..200).collect::<Vec<u32>>(), "all cells hold all");
        assert_eq!(
            cells,
            Cells::of(&heaps(), 2, 4, 3, &JobContext::detached()).unwrap(),
            "the same for a seed"
        );
    }

    #[test]
    fn fewer_vectors_than_cells_and_none_at_all_are_no_fault() {
        let context = JobContext::detached();
        let few = Cells::of(&[1.0, 0.0, 0.0, 1.0], 2, 9, 1, &context).unwrap();
        assert_eq!(few.len(), 2);
        let none = Cells::of(&[], 2, 3, 1, &context).unwrap();
        assert!(none.is_empty() && none.candidates(&[1.0, 1.0], 2).is_empty());
    }
}
