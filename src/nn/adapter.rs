//! How does a matrix learn little? As what it was, plus a product of two thin ones (Hu et al., arXiv 2106.09685).
//!
//! `W = W0 + up down`, with `up` of `[rows, rank]` zero at first and `down` of `[rank, columns]` drawn, so that nothing has
//! changed before the first step. The network computes with `W` itself; from the derivative `G` by it follow those by the
//! two factors, `G down^T` and `up^T G`, so every kind can be adapted as it is. The paper's factor `alpha / r` is 1 here.

use super::optimiser::{Rule, Step};
use crate::base::rng::Rng;

/// The change of one matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
    /// Columns of `up`, rows of `down`.
    pub rank: usize,
    /// `[rows, rank]`.
    pub up: Vec<f32>,
    /// `[rank, columns]`.
    pub down: Vec<f32>,
    /// What the optimiser remembers of `up`, tensor by tensor.
    pub up_memory: Vec<f32>,
    /// The same of `down`.
    pub down_memory: Vec<f32>,
}

impl LowRank {
    /// No change yet, with room for what `rule` remembers.
    pub fn new((rows, columns): (usize, usize), rank: usize, rng: &mut Rng, rule: Rule) -> Self {
        let deviation = 1.0 / (columns.max(1) as f64).sqrt();
        let memory = |count: usize| vec![0.0; rule.remembers_dense(count).iter().map(|(_, n)| n).sum()];
        Self {
            rows,
            columns,
            rank,
            up: vec![0.0; rows * rank],
            down: (0..rank * columns).map(|_| (deviation * rng.normal()) as f32).collect(),
            up_memory: memory(rows * rank),
            down_memory: memory(rank * columns),
        }
    }

    /// Numbers that are learnt: `rank (rows + columns)`.
    pub fn count(&self) -> usize {
        self.rank * (self.rows + self.columns)
    }

    /// True where a row is not what it was.
    pub fn moves(&self, row: usize) -> bool {
        self.up[row * self.rank..][..self.rank].iter().any(|number| *number != 0.0)
    }

    /// Writes `base + up down` of one row.
    pub fn merge(&self, row: usize, base: &[f32], out: &mut [f32]) {
        out.copy_from_slice(base);
        let up = &self.up[row * self.rank..][..self.rank];
        for (factor, down) in up.iter().zip(self.down.chunks_exact(self.columns.max(1))) {
            out.iter_mut().zip(down).for_each(|(to, from)| *to += factor * from);
        }
    }

    /// The derivatives by `up` (of these rows only, one after another) and by `down`, from those by the rows of the matrix.
    pub fn gradients(&self, rows: &[u32], of_rows: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let width = self.columns.max(1);
        let mut of_up = vec![0.0; rows.len() * self.rank];
        let mut of_down = vec![0.0; self.rank * self.columns];
        let each = rows.iter().zip(of_rows.chunks_exact(width)).zip(of_up.chunks_exact_mut(self.rank.max(1)));
        for ((row, gradient), of_up) in each {
            let up = &self.up[*row as usize * self.rank..][..self.rank];
            let factors = self.down.chunks_exact(width).zip(of_down.chunks_exact_mut(width));
            for ((up, of_up), (down, of_down)) in up.iter().zip(of_up).zip(factors) {
                *of_up = gradient.iter().zip(down).map(|(g, d)| g * d).sum();
                of_down.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += up * g);
            }
        }
        (of_up, of_down)
    }

    /// Moves both factors against the derivatives by some rows of the matrix; other rows of `up` rest.
    pub fn step(&mut self, step: Step, rows: &[u32], of_rows: &[f32]) {
        let (of_up, of_down) = self.gradients(rows, of_rows);
        // What the rule remembers stands tensor by tensor, as of any matrix.
        let tensors = self.up_memory.len() / self.up.len().max(1);
        let size = self.up.len();
        let mut memory = vec![0.0; tensors * self.rank];
        for (row, gradient) in rows.iter().zip(of_up.chunks_exact(self.rank.max(1))) {
            let at = *row as usize * self.rank;
            for tensor in 0..tensors {
                memory[tensor * self.rank..][..self.rank]
                    .copy_from_slice(&self.up_memory[tensor * size + at..][..self.rank]);
            }
            step.dense(&mut self.up[at..at + self.rank], &mut memory, gradient);
            for tensor in 0..tensors {
                self.up_memory[tensor * size + at..][..self.rank]
                    .copy_from_slice(&memory[tensor * self.rank..][..self.rank]);
            }
        }
        step.dense(&mut self.down, &mut self.down_memory, &of_down);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lively() -> LowRank {
        let mut rng = Rng::named(1, "adapter");
        let mut change = LowRank::new((5, 4), 2, &mut rng, Rule::Adam);
        change.up.iter_mut().for_each(|number| *number = rng.normal() as f32);
        change
    }

    fn merged(change: &LowRank, base: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; base.len()];
        for (row, (out, base)) in out.chunks_mut(4).zip(base.chunks(4)).enumerate() {
            change.merge(row, base, out);
        }
        out
    }

    #[test]
    fn merged_equals_unmerged_and_nothing_has_changed_at_first() {
        let change = lively();
        let mut rng = Rng::named(2, "base");
        let base: Vec<f32> = (0..20).map(|_| rng.normal() as f32).collect();
        let x: Vec<f32> = (0..4).map(|_| rng.normal() as f32).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let low: Vec<f32> = change.down.chunks(4).map(|down| dot(down, &x) as f32).collect();
        for (row, merged) in merged(&change, &base).chunks(4).enumerate() {
            let apart = dot(&base[row * 4..][..4], &x) + dot(&change.up[row * 2..][..2], &low);
            assert!((dot(merged, &x) - apart).abs() < 1e-6, "{row}");
        }
        assert_eq!(change.count(), 2 * (5 + 4));
        let fresh = LowRank::new((5, 4), 2, &mut rng, Rule::Adam);
        assert_eq!(merged(&fresh, &base), base);
        assert!((0..5).all(|row| !fresh.moves(row)));
    }

    #[test]
    fn derivatives_by_the_factors_agree_with_central_differences() {
        let change = lively();
        let mut rng = Rng::named(3, "loss");
        let (base, probe): (Vec<f32>, Vec<f32>) =
            (0..20).map(|_| (rng.normal() as f32, rng.normal() as f32)).unzip();
        // Loss: half the square of the probed sum, so that its derivative is the sum times the probe.
        let sum = |change: &LowRank| -> f64 {
            merged(change, &base).iter().zip(&probe).map(|(w, p)| f64::from(w * p)).sum()
        };
        let loss = |change: &LowRank| 0.5 * sum(change).powi(2);
        let gradient: Vec<f32> = probe.iter().map(|p| (sum(&change) * f64::from(*p)) as f32).collect();
        let (of_up, of_down) = change.gradients(&[0, 1, 2, 3, 4], &gradient);
        let h = 1e-2_f32;
        let part = |pick: fn(&mut LowRank) -> &mut Vec<f32>, at: usize| {
            let shifted = |by: f32| {
                let mut moved = change.clone();
                pick(&mut moved)[at] += by;
                loss(&moved)
            };
            (shifted(h) - shifted(-h)) / (2.0 * f64::from(h))
        };
        for (at, slope) in of_up.iter().enumerate() {
            let wanted = part(|change| &mut change.up, at);
            assert!((f64::from(*slope) - wanted).abs() < 2e-3 * wanted.abs().max(1.0));
        }
        for (at, slope) in of_down.iter().enumerate() {
            let wanted = part(|change| &mut change.down, at);
            assert!((f64::from(*slope) - wanted).abs() < 2e-3 * wanted.abs().max(1.0));
        }
    }

    #[test]
    fn rows_that_no_gradient_names_rest() {
        let mut change = LowRank::new((5, 4), 2, &mut Rng::named(1, "adapter"), Rule::Adam);
        change.step(Step::new(Rule::Adam, 0.1), &[1, 3], &[1.0; 8]);
        assert_eq!(
            (0..5).map(|row| change.moves(row)).collect::<Vec<_>>(),
            [false, true, false, true, false]
        );
    }
}
