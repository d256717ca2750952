//! What is left of a person's clicks when the graph of people and items is smoothed? GF-CF, without any training.
//!
//! Shen et al., CIKM 2021 (arXiv 2108.07567), equation 13: with the clicks `N = D_U^-1/2 R D_I^-1/2` and `V` the first
//! right singular vectors of `N`, a person's scores are `r (N^T N + alpha D_I^-1/2 V V^T D_I^1/2)`: a linear filter, and an
//! ideal one that lets low frequencies pass. The vectors are found by subspace iteration (Halko, Martinsson & Tropp 2011,
//! algorithm 4.4).

use super::neighbours::Interactions;
use super::product::{Finish, Pack, View, product};
use crate::base::eigen::diagonalise;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use rayon::prelude::*;

/// The filter, fitted to clicks.
#[derive(Debug)]
pub struct GraphFilter {
    clicks: Interactions,
    normal: Interactions,
    turned: Interactions,
    /// `[items, vectors]`.
    ideal: Vec<f32>,
    vectors: usize,
    /// Square root of an item's clicks.
    root: Vec<f32>,
    alpha: f32,
}

/// Vectors beyond those wanted, which make these ones sure.
const BEYOND: usize = 64;
/// Iterations of the subspace.
const ITERATIONS: usize = 40;

impl GraphFilter {
    /// Fits the filter with so many vectors; `alpha` is the weight of the ideal filter.
    ///
    /// # Errors
    /// Fewer items or people than vectors, or a cancel.
    pub fn fit(clicks: Interactions, vectors: usize, alpha: f32, context: &JobContext) -> Result<Self> {
        let (people, items) = (clicks.rows(), clicks.columns());
        if people.min(items) < vectors + BEYOND {
            let why = format!("{people} people and {items} items are too few for {vectors} vectors");
            return Err(Failure::new("cannot filter the graph", why).hint("fewer vectors"));
        }
        let by_item = clicks.transposed();
        let normal = clicks.valued(|person, item, _| {
            let (own, its) = (clicks.of_row(person).len() as f32, by_item.of_row(item).len() as f32);
            1.0 / (own * its).sqrt()
        });
        let turned = normal.transposed();
        let root = (0..items).map(|item| (by_item.of_row(item).len() as f32).sqrt()).collect();
        let mut filter = Self { clicks, normal, turned, ideal: Vec::new(), vectors, root, alpha };
        filter.ideal = filter.low_frequencies(context)?;
        Ok(filter)
    }

    /// The first right singular vectors of the normal clicks.
    fn low_frequencies(&self, context: &JobContext) -> Result<Vec<f32>> {
        let (items, width) = (self.normal.columns(), self.vectors + BEYOND);
        let mut rng = Rng::named(1, "graph filter");
        let mut basis: Vec<f32> = (0..items * width).map(|_| rng.normal() as f32).collect();
        orthonormalise(&mut basis, width)?;
        for iteration in 0..ITERATIONS {
            context.check()?;
            context.progress(iteration as u64, ITERATIONS as u64);
            basis = self.turned.times(&self.normal.times(&basis, width), width);
            orthonormalise(&mut basis, width)?;
        }
        orthonormalise(&mut basis, width)?;
        // Of the subspace the directions that are stretched most.
        let seen = self.normal.times(&basis, width);
        let mut gram = gram(&seen, width);
        let turn = diagonalise(&mut gram, width);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|one, other| gram[other * width + other].total_cmp(&gram[one * width + one]));
        let first = &order[..self.vectors];
        let turn: Vec<f32> = (0..width)
            .flat_map(|row| first.iter().map(move |column| (row, *column)))
            .map(|(row, column)| turn[row * width + column] as f32)
            .collect();
        let mut found = vec![0.0; items * self.vectors];
        let shape = [items, self.vectors, width];
        let (basis, turn) = (View::rows(&basis, width), View::rows(&turn, self.vectors));
        product(shape, basis, turn, &mut found, Finish::Set, &mut Pack::default());
        Ok(found)
    }

    /// Scores of all items for some people, `[people, items]`.
    pub fn scores(&self, people: std::ops::Range<usize>) -> Vec<f32> {
        let (items, vectors) = (self.normal.columns(), self.vectors);
        let mut low = vec![0.0; people.len() * vectors];
        low.par_chunks_mut(vectors).zip(people.clone()).for_each(|(low, person)| {
            for (item, value) in self.clicks.of_row(person) {
                let (item, weight) = (*item as usize, value * self.alpha / self.root[*item as usize]);
                let vector = &self.ideal[item * vectors..][..vectors];
                low.iter_mut().zip(vector).for_each(|(low, v)| *low += weight * v);
            }
        });
        let mut scores = vec![0.0; people.len() * items];
        let across = View { values: &self.ideal, row: 1, column: vectors };
        let (shape, low) = ([people.len(), items, vectors], View::rows(&low, vectors));
        product(shape, low, across, &mut scores, Finish::Set, &mut Pack::default());
        scores.par_chunks_mut(items).zip(people).for_each_init(
            || vec![0.0f32; self.normal.rows()],
            |alike, (scores, person)| {
                scores.iter_mut().zip(&self.root).for_each(|(score, root)| *score *= root);
                for (item, value) in self.clicks.of_row(person) {
                    for (other, weight) in self.turned.of_row(*item as usize) {
                        alike[*other as usize] += value * weight;
                    }
                }
                for (other, alike) in alike.iter_mut().enumerate().filter(|(_, alike)| **alike != 0.0) {
                    let alike = std::mem::take(alike);
                    for (item, weight) in self.normal.of_row(other) {
                        scores[*item as usize] += alike * weight;
                    }
                }
            },
        );
        scores
    }
}

/// `M^T M` of a matrix of `width` columns.
fn gram(matrix: &[f32], width: usize) -> Vec<f64> {
    let rows = matrix.len() / width;
    let mut sums = vec![0.0; width * width];
    let turned = View { values: matrix, row: 1, column: width };
    let shape = [width, width, rows];
    product(shape, turned, View::rows(matrix, width), &mut sums, Finish::Set, &mut Pack::default());
    sums.into_iter().map(f64::from).collect()
}

/// Columns of length 1 at right angles that span the same space: `M L^-T` with `M^T M = L L^T`.
fn orthonormalise(matrix: &mut Vec<f32>, width: usize) -> Result<()> {
    let mut a = gram(matrix, width);
    // Cholesky's factor, then its inverse, both in the lower half.
    for j in 0..width {
        for k in 0..j {
            let sum: f64 = (0..k).map(|l| a[j * width + l] * a[k * width + l]).sum();
            a[j * width + k] = (a[j * width + k] - sum) / a[k * width + k];
        }
        let square = a[j * width + j] - (0..j).map(|k| a[j * width + k].powi(2)).sum::<f64>();
        if square.is_nan() || square <= 0.0 {
            return Err(Failure::new("cannot filter the graph", "its columns depend on each other")
                .hint("fewer vectors"));
        }
        a[j * width + j] = square.sqrt();
    }
    let mut inverse = vec![0.0f64; width * width];
    for column in 0..width {
        for row in column..width {
            let own = f64::from(u8::from(row == column));
            let sum: f64 = (column..row).map(|k| a[row * width + k] * inverse[k * width + column]).sum();
            inverse[row * width + column] = (own - sum) / a[row * width + row];
        }
    }
    let inverse: Vec<f32> = inverse.into_iter().map(|x| x as f32).collect();
    let mut out = vec![0.0; matrix.len()];
    let shape = [matrix.len() / width, width, width];
    let turned = View { values: &inverse, row: 1, column: width };
    product(shape, View::rows(matrix, width), turned, &mut out, Finish::Set, &mut Pack::default());
    *matrix = out;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups of people and items, with noise: the filter must be its own equation in dense numbers.
    #[test]
    fn equals_its_equation_in_dense_numbers() {
        let mut rng = Rng::named(4, "filter test");
        let (people, items, vectors) = (150, 130, 3);
        let mut pairs = Vec::new();
        for person in 0..people as u32 {
            for item in 0..items as u32 {
                if rng.chance(if person % 3 == item % 3 { 0.4 } else { 0.05 }) {
                    pairs.push((person, item, 1.0));
                }
            }
        }
        let clicks = Interactions::of(pairs, people, items);
        let filter = GraphFilter::fit(clicks.clone(), vectors, 0.3, &JobContext::detached()).unwrap();
        let degree = |row: &[(u32, f32)]| row.len() as f64;
        let turned = clicks.transposed();
        let mut normal = vec![0.0f64; people * items];
        for person in 0..people {
            for (item, _) in clicks.of_row(person) {
                let both = degree(clicks.of_row(person)) * degree(turned.of_row(*item as usize));
                normal[person * items + *item as usize] = 1.0 / both.sqrt();
            }
        }
        let linear = |i: usize, j: usize| {
            (0..people).map(|person| normal[person * items + i] * normal[person * items + j]).sum::<f64>()
        };
        let mut square: Vec<f64> = (0..items * items).map(|at| linear(at / items, at % items)).collect();
        let vectors_of = diagonalise(&mut square, items);
        let mut order: Vec<usize> = (0..items).collect();
        order.sort_by(|a, b| square[b * items + b].total_cmp(&square[a * items + a]));
        let found = filter.scores(7..9);
        for (place, person) in [7, 8].into_iter().enumerate() {
            for item in (0..items).step_by(11) {
                let mut wanted = 0.0;
                for (own, _) in clicks.of_row(person) {
                    let own = *own as usize;
                    let ideal: f64 = order[..vectors]
                        .iter()
                        .map(|k| vectors_of[own * items + k] * vectors_of[item * items + k])
                        .sum();
                    let root = |item: usize| degree(turned.of_row(item)).sqrt();
                    wanted += linear(own, item) + 0.3 * ideal / root(own) * root(item);
                }
                let found = f64::from(found[place * items + item]);
                assert!((found - wanted).abs() < 1e-4, "{person} {item}: {found} against {wanted}");
            }
        }
    }

    #[test]
    fn too_few_people_are_refused() {
        let clicks = Interactions::of(vec![(0, 0, 1.0)], 5, 5);
        assert!(
            GraphFilter::fit(clicks, 3, 0.3, &JobContext::detached()).unwrap_err().why.contains("too few")
        );
    }
}
