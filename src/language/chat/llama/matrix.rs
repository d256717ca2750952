//! How does a matrix of one byte a number meet its inputs?

use crate::base::eighths::{BLOCK, Blocks, rows_times};
use rayon::prelude::*;

/// Rows of a matrix that a thread takes at a time.
const ROWS: usize = 64;

/// A matrix `[rows, columns]`.
pub struct Matrix {
    blocks: Blocks,
    columns: usize,
}

impl Matrix {
    /// Rounds the rows of a matrix.
    pub fn of(values: &[f32], columns: usize) -> Self {
        let mut blocks = Blocks::default();
        values.chunks_exact(columns).for_each(|row| blocks.push(row));
        Self { blocks, columns }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.blocks.scales.len() / self.across()
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Blocks of a row.
    fn across(&self) -> usize {
        self.columns.div_ceil(BLOCK)
    }

    /// The numbers of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        let across = self.across();
        let scales = &self.blocks.scales[row * across..][..across];
        let values = &self.blocks.values[row * across * BLOCK..][..self.columns];
        values.iter().enumerate().map(|(at, value)| f32::from(*value) * scales[at / BLOCK])
    }

    /// `[n, rows]` of inputs `[n, columns]`: each row of the matrix is read once for all inputs.
    pub fn times(&self, inputs: &[f32]) -> Vec<f32> {
        let (across, rows, n) = (self.across(), self.rows(), inputs.len() / self.columns);
        let mut rounded = Blocks::default();
        inputs.chunks_exact(self.columns).for_each(|input| rounded.push(input));
        let mut down = vec![0.0f32; rows * n];
        let parts = self.blocks.values.par_chunks(ROWS * across * BLOCK);
        parts
            .zip(self.blocks.scales.par_chunks(ROWS * across))
            .zip(down.par_chunks_mut(ROWS * n))
            .for_each(|((values, scales), out)| rows_times(values, scales, &rounded, across, out));
        if n == 1 {
            return down;
        }
        let mut out = vec![0.0; down.len()];
        for (row, values) in down.chunks_exact(n).enumerate() {
            values.iter().enumerate().for_each(|(at, value)| out[at * rows + row] = *value);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_matrix_times_several_inputs_is_the_sum_of_products() {
        let mut rng = Rng::named(1, "matrix");
        let mut draw = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
        let (rows, columns, n) = (70, 45, 3);
        let (weights, inputs) = (draw(rows * columns), draw(n * columns));
        let matrix = Matrix::of(&weights, columns);
        assert_eq!((matrix.rows(), matrix.columns()), (rows, columns));
        let kept = Matrix::of(&inputs, columns);
        let out = matrix.times(&inputs);
        for at in 0..n {
            let input: Vec<f32> = kept.row(at).collect();
            for row in 0..rows {
                let sum: f32 = matrix.row(row).zip(&input).map(|(weight, x)| weight * x).sum();
                assert!((out[at * rows + row] - sum).abs() < 1e-4);
            }
        }
    }
}
