//! How does a gradient become a step? Adam and Adagrad on slices, whole or row by row.

use super::tables::RowGradients;
use serde::{Deserialize, Serialize};

/// The rule of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Kingma & Ba 2015 with 0.9, 0.999, 1e-8. On tables it is lazy, as in PyTorch's `SparseAdam`: the moments of
    /// untouched rows rest.
    Adam,
    /// Duchi, Hazan & Singer 2011.
    Adagrad,
}

/// What a rule remembers of each number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    /// Adam's mean of gradients; empty for Adagrad.
    pub first: Vec<f32>,
    /// Adam's mean, Adagrad's sum, of squared gradients.
    pub second: Vec<f32>,
}

/// One step's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Which rule.
    pub rule: Rule,
    /// Learning rate now.
    pub rate: f32,
    /// `l2 * value` is added to each gradient; on tables only to touched rows.
    pub l2: f32,
    /// Steps taken, this one included: from 1.
    pub count: u64,
}

const FIRST_DECAY: f32 = 0.9;
const SECOND_DECAY: f32 = 0.999;
/// Rows below which a split over threads costs more than it gives.
const ROWS_AT_ONCE: usize = 2048;

impl Moments {
    /// Nothing remembered of `n` numbers.
    pub fn new(rule: Rule, n: usize) -> Self {
        Self {
            first: match rule {
                Rule::Adam => vec![0.0; n],
                Rule::Adagrad => Vec::new(),
            },
            second: vec![0.0; n],
        }
    }
}

impl Step {
    /// Moves every number of `values` against its gradient.
    pub fn dense(self, values: &mut [f32], moments: &mut Moments, gradient: &[f32]) {
        self.slice(values, &mut moments.first, &mut moments.second, gradient);
    }

    /// Moves the touched rows of a table; the cost does not depend on the rows that are not.
    pub fn sparse(self, values: &mut [f32], moments: &mut Moments, gradients: &RowGradients, width: usize) {
        let part = Part { values, first: &mut moments.first, second: &mut moments.second, base_row: 0 };
        self.rows(part, &gradients.rows, &gradients.values, width);
    }

    fn rows(self, part: Part<'_>, rows: &[u32], gradients: &[f32], width: usize) {
        if rows.len() <= ROWS_AT_ONCE {
            for (row, gradient) in rows.iter().zip(gradients.chunks(width.max(1))) {
                let at = (row - part.base_row) as usize * width;
                let first = part.first.get_mut(at..at + width).unwrap_or_default();
                let second = &mut part.second[at..at + width];
                self.slice(&mut part.values[at..at + width], first, second, gradient);
            }
            return;
        }
        let half = rows.len() / 2;
        let (left, right) = part.split(rows[half], width);
        let ((rows_left, rows_right), (grad_left, grad_right)) =
            (rows.split_at(half), gradients.split_at(half * width));
        rayon::join(
            || self.rows(left, rows_left, grad_left, width),
            || self.rows(right, rows_right, grad_right, width),
        );
    }

    fn slice(self, values: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        match self.rule {
            Rule::Adam => self.adam(values, first, second, gradient),
            Rule::Adagrad => {
                for ((value, sum), g) in values.iter_mut().zip(second).zip(gradient) {
                    let g = g + self.l2 * *value;
                    *sum += g * g;
                    *value -= self.rate * g / (sum.sqrt() + 1e-10);
                }
            }
        }
    }

    fn adam(self, values: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        // Far beyond 1e4 steps both corrections are 1 to the last bit.
        let count = self.count.min(100_000) as i32;
        let first_scale = 1.0 / (1.0 - FIRST_DECAY.powi(count));
        let second_scale = 1.0 / (1.0 - SECOND_DECAY.powi(count));
        let moments = first.iter_mut().zip(second);
        for ((value, (first, second)), g) in values.iter_mut().zip(moments).zip(gradient) {
            let g = g + self.l2 * *value;
            *first = FIRST_DECAY * *first + (1.0 - FIRST_DECAY) * g;
            *second = SECOND_DECAY * *second + (1.0 - SECOND_DECAY) * g * g;
            *value -= self.rate * *first * first_scale / ((*second * second_scale).sqrt() + 1e-8);
        }
    }
}

/// A stretch of a table with its moments; `base_row` is the table row at its start.
struct Part<'a> {
    values: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    base_row: u32,
}

impl Part<'_> {
    fn split(self, row: u32, width: usize) -> (Self, Self) {
        let at = (row - self.base_row) as usize * width;
        let (values, right_values) = self.values.split_at_mut(at);
        let (first, right_first) = self.first.split_at_mut(at.min(self.first.len()));
        let (second, right_second) = self.second.split_at_mut(at);
        let right = Part { values: right_values, first: right_first, second: right_second, base_row: row };
        let left = Part { values, first, second, base_row: self.base_row };
        (left, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn step(rule: Rule, count: u64) -> Step {
        Step { rule, rate: 0.1, l2: 0.0, count }
    }

    #[test]
    fn adam_follows_the_papers_recursion() {
        // By hand (Kingma & Ba 2015, algorithm 1), gradients 1 then -0.5, rate 0.1, from 0:
        // step 1: m/c1 = 1, v/c2 = 1 -> -0.1.  step 2: m = 0.04, c1 = 0.19; v = 0.001249, c2 = 0.001999.
        let (mut value, mut moments) = ([0.0_f32], Moments::new(Rule::Adam, 1));
        step(Rule::Adam, 1).dense(&mut value, &mut moments, &[1.0]);
        assert!((value[0] + 0.1).abs() < 1e-6);
        step(Rule::Adam, 2).dense(&mut value, &mut moments, &[-0.5]);
        let want = -0.1 - 0.1 * (0.04 / 0.19) / (0.001_249_f64 / 0.001_999).sqrt();
        assert!((f64::from(value[0]) - want).abs() < 1e-5, "{}", value[0]);
    }

    #[test]
    fn adagrad_divides_by_the_root_of_the_sum() {
        let (mut value, mut moments) = ([0.0_f32], Moments::new(Rule::Adagrad, 1));
        step(Rule::Adagrad, 1).dense(&mut value, &mut moments, &[3.0]);
        step(Rule::Adagrad, 2).dense(&mut value, &mut moments, &[4.0]);
        // -0.1 * 3/3 - 0.1 * 4/5
        assert!((value[0] + 0.18).abs() < 1e-6);
    }

    #[test]
    fn a_sparse_step_on_all_rows_is_the_dense_step_and_others_rest() {
        let (rows, width) = (3 * ROWS_AT_ONCE, 3);
        let mut rng = Rng::named(1, "test");
        let mut draw = || -> Vec<f32> { (0..rows * width).map(|_| rng.normal() as f32).collect() };
        let (start, gradient) = (draw(), draw());
        for rule in [Rule::Adam, Rule::Adagrad] {
            let (mut dense, mut sparse) = (start.clone(), start.clone());
            let mut moments = Moments::new(rule, rows * width);
            step(rule, 1).dense(&mut dense, &mut moments, &gradient);
            let even: Vec<u32> = (0..rows as u32).filter(|row| row % 2 == 0).collect();
            let values =
                even.iter().flat_map(|row| gradient[*row as usize * width..][..width].to_vec()).collect();
            let touched = RowGradients { rows: even, values };
            let mut moments = Moments::new(rule, rows * width);
            step(rule, 1).sparse(&mut sparse, &mut moments, &touched, width);
            for row in 0..rows {
                let at = row * width..(row + 1) * width;
                let want = if row % 2 == 0 { &dense } else { &start };
                assert_eq!(sparse[at.clone()], want[at], "{rule:?} row {row}");
            }
        }
    }
}
