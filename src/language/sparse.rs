//! Which few directions hold most of a large sparse matrix? A randomised singular value decomposition.

use super::vectors::add_rows;
use crate::base::Result;
use crate::base::eigen::diagonalise;
use crate::base::rng::Rng;
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Rows that one thread takes at a time; sums over rows are added in this order, so that threads change nothing.
const ROWS: usize = 1024;

/// Directions beyond those asked for (Halko, Martinsson & Tropp 2011, 4.2: five to ten).
const BEYOND: usize = 10;

/// Times that the subspace is multiplied through (ibid., 4.5).
const PASSES: usize = 2;

/// A matrix by rows of `(column, value)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sparse {
    starts: Vec<usize>,
    cells: Vec<(u32, f32)>,
    columns: usize,
}

/// The leading right singular vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Svd {
    /// `[columns, width]`, row-major.
    pub vectors: Vec<f32>,
    /// `[width]`, falling.
    pub values: Vec<f32>,
}

impl Sparse {
    /// A matrix of these rows; a cell beyond `columns` is left out.
    pub fn of(rows: impl IntoIterator<Item = Vec<(u32, f32)>>, columns: usize) -> Self {
        let mut matrix = Self { starts: vec![0], cells: Vec::new(), columns };
        for row in rows {
            matrix.cells.extend(row.into_iter().filter(|(column, _)| (*column as usize) < columns));
            matrix.starts.push(matrix.cells.len());
        }
        matrix
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The cells of a row.
    pub fn row(&self, row: usize) -> &[(u32, f32)] {
        &self.cells[self.starts[row]..self.starts[row + 1]]
    }

    /// Rows and columns swapped.
    pub fn transposed(&self) -> Self {
        let mut starts = vec![0usize; self.columns + 1];
        self.cells.iter().for_each(|(column, _)| starts[*column as usize + 1] += 1);
        (0..self.columns).for_each(|column| starts[column + 1] += starts[column]);
        let mut next = starts.clone();
        let mut cells = vec![(0u32, 0.0f32); self.cells.len()];
        for row in 0..self.rows() {
            for (column, value) in self.row(row) {
                let place = &mut next[*column as usize];
                cells[*place] = (row as u32, *value);
                *place += 1;
            }
        }
        Self { starts, cells, columns: self.rows() }
    }

    /// The product with a dense `[columns, width]`: `[rows, width]`.
    pub fn times(&self, dense: &[f32], width: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.rows() * width];
        out.par_chunks_mut(ROWS * width.max(1)).enumerate().for_each(|(chunk, out)| {
            for (place, out) in out.chunks_mut(width).enumerate() {
                add_rows(self.row(chunk * ROWS + place), dense, out);
            }
        });
        out
    }

    /// The `width` leading directions, fewer where the matrix has fewer.
    ///
    /// # Errors
    /// A cancel.
    pub fn leading(&self, width: usize, seed: u64, context: &JobContext) -> Result<Svd> {
        let across = self.transposed();
        let most = self.rows().min(self.columns);
        let wide = (width + BEYOND).min(most);
        let width = width.min(most);
        let mut rng = Rng::named(seed, "leading directions");
        let start: Vec<f32> = (0..self.rows() * wide).map(|_| rng.normal() as f32).collect();
        let mut basis = across.times(&start, wide);
        orthonormalise(&mut basis, wide);
        for _ in 0..PASSES {
            context.check()?;
            basis = across.times(&self.times(&basis, wide), wide);
            orthonormalise(&mut basis, wide);
        }
        context.check()?;
        let mut small = gram(&self.times(&basis, wide), wide);
        let turn = diagonalise(&mut small, wide);
        let mut order: Vec<usize> = (0..wide).collect();
        order.sort_by(|a, b| small[b * wide + b].total_cmp(&small[a * wide + a]));
        order.truncate(width);
        let values = order.iter().map(|at| small[at * wide + at].max(0.0).sqrt() as f32).collect();
        // [wide, width]: the leading eigenvectors, side by side.
        let turn: Vec<f32> = (0..wide)
            .flat_map(|i| order.iter().map(move |at| (i, *at)))
            .map(|(i, at)| turn[i * wide + at] as f32)
            .collect();
        Ok(Svd { vectors: by_small(&basis, wide, &turn, width), values })
    }
}

/// The product of a tall `[_, wide]` with a small `[wide, width]`.
fn by_small(tall: &[f32], wide: usize, small: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0; tall.len() / wide.max(1) * width];
    out.par_chunks_mut(ROWS * width.max(1)).zip(tall.par_chunks(ROWS * wide.max(1))).for_each(
        |(out, tall)| {
            let mut cells = vec![(0u32, 0.0f32); wide];
            for (out, row) in out.chunks_mut(width).zip(tall.chunks(wide)) {
                cells
                    .iter_mut()
                    .zip(row)
                    .enumerate()
                    .for_each(|(at, (cell, value))| *cell = (at as u32, *value));
                add_rows(&cells, small, out);
            }
        },
    );
    out
}

/// The inner products of all pairs of columns of a row-major `[_, width]`.
fn gram(tall: &[f32], width: usize) -> Vec<f64> {
    let parts: Vec<Vec<f32>> = tall
        .par_chunks(ROWS * width.max(1))
        .map(|rows| {
            let mut sums = vec![0.0f32; width * width];
            for row in rows.chunks(width) {
                for (value, sums) in row.iter().zip(sums.chunks_mut(width)) {
                    add_rows(&[(0, *value)], row, sums);
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0f64; width * width];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += f64::from(value));
    }
    sums
}

/// Makes the columns of a row-major `[_, width]` orthonormal by Cholesky's factor of their inner products, twice (CholeskyQR2,
/// Yamamoto et al. 2015); a column that the others hold already becomes zeros.
fn orthonormalise(tall: &mut Vec<f32>, width: usize) {
    for _ in 0..2 {
        let inverse = inverse_of_cholesky(gram(tall, width), width);
        *tall = by_small(tall, width, &inverse, width);
    }
}

/// `L^-T` for `G = L L^T`, row-major.
fn inverse_of_cholesky(mut g: Vec<f64>, n: usize) -> Vec<f32> {
    const SMALLEST: f64 = 1e-9;
    let size: Vec<f64> = (0..n).map(|i| g[i * n + i]).collect();
    for j in 0..n {
        let held: f64 = (0..j).map(|k| g[j * n + k].powi(2)).sum();
        let pivot = g[j * n + j] - held;
        let keeps = size[j] > 0.0 && pivot > SMALLEST * size[j];
        g[j * n + j] = if keeps { pivot.sqrt() } else { 0.0 };
        for i in j + 1..n {
            let sum: f64 = (0..j).map(|k| g[i * n + k] * g[j * n + k]).sum();
            g[i * n + j] = if keeps { (g[i * n + j] - sum) / g[j * n + j] } else { 0.0 };
        }
    }
    // Column by column of L^-1, stored transposed.
    let mut inverse = vec![0.0f64; n * n];
    for column in 0..n {
        for i in column..n {
            if g[i * n + i] == 0.0 {
                continue;
            }
            let unit = f64::from(u8::from(i == column));
            let sum: f64 = (column..i).map(|k| g[i * n + k] * inverse[column * n + k]).sum();
            inverse[column * n + i] = (unit - sum) / g[i * n + i];
        }
    }
    inverse.into_iter().map(|value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(rows: &[&[f32]]) -> Sparse {
        let cells = rows.iter().map(|row| row.iter().enumerate().map(|(i, v)| (i as u32, *v)).collect());
        Sparse::of(cells, rows[0].len())
    }

    #[test]
    fn a_matrix_of_known_directions_is_found() {
        // [[3, 0], [4, 5]] has the singular values 3 sqrt 5 and sqrt 5 (trace 50, determinant 225 of A^T A), the right
        // vectors (1, 1) and (1, -1) over sqrt 2.
        let found = dense(&[&[3.0, 0.0], &[4.0, 5.0]]).leading(2, 1, &JobContext::detached()).unwrap();
        assert!((found.values[0] - 3.0 * 5f32.sqrt()).abs() < 1e-4, "{:?}", found.values);
        assert!((found.values[1] - 5f32.sqrt()).abs() < 1e-4, "{:?}", found.values);
        assert!((found.vectors[0] - found.vectors[2]).abs() < 1e-4);
        assert!((found.vectors[1] + found.vectors[3]).abs() < 1e-4);
    }

    #[test]
    fn a_matrix_of_low_rank_is_rebuilt_and_gives_orthonormal_vectors() {
        let mut rng = Rng::named(2, "low rank");
        let mut normals = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
        let (rows, columns, rank) = (60, 40, 3);
        let (a, b) = (normals(rows * rank), normals(rank * columns));
        let value = |i: usize, j: usize| (0..rank).map(|k| a[i * rank + k] * b[k * columns + j]).sum::<f32>();
        let cells = (0..rows).map(|i| (0..columns).map(|j| (j as u32, value(i, j))).collect());
        let matrix = Sparse::of(cells.collect::<Vec<_>>(), columns);
        // Eight are asked for, three are there.
        let found = matrix.leading(8, 1, &JobContext::detached()).unwrap();
        assert!(found.values[2] > 1.0 && found.values[3] < 1e-2 * found.values[2], "{:?}", found.values);
        let projected = matrix.times(&found.vectors, 8);
        for i in 0..rows {
            for j in 0..columns {
                let again: f32 = (0..8).map(|k| projected[i * 8 + k] * found.vectors[j * 8 + k]).sum();
                assert!((again - value(i, j)).abs() < 1e-3, "{again} for {}", value(i, j));
            }
        }
    }

    #[test]
    fn transposing_twice_changes_nothing_and_a_cancel_is_heard() {
        let matrix = dense(&[&[1.0, 2.0, 0.5], &[0.25, 3.0, 4.0]]);
        assert_eq!(matrix.transposed().transposed(), matrix);
        let context = JobContext::watched(std::sync::Arc::new(true.into()), |_| {});
        assert!(matrix.leading(2, 1, &context).unwrap_err().is_cancelled());
    }
}
