//! Which words come with a larger number than their neighbours have? Ridge regression on sparse features, within groups.
//!
//! Target and features of an example are taken less their group's weighted mean, so only differences inside a group (arms of
//! one test, rows of one placement) are learnt, never that one group is clicked more than another. Solved by conjugate
//! gradients on the normal equations (CGLS; Björck 1996, 7.4).

use super::grams::ByBucket;
use crate::base::Result;
use crate::jobs::JobContext;

/// Steps at most, and the share of the first slope at which they end.
const STEPS: usize = 200;
const ENOUGH: f64 = 1e-5;

/// A text with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Weighted features by bucket.
    pub features: Vec<(u32, f32)>,
    /// The examples it is compared with.
    pub group: u32,
    /// What is to be told.
    pub target: f32,
    /// How much it counts; brought to a mean of 1.
    pub weight: f32,
}

/// A weight for each feature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ridge {
    weights: ByBucket<f32>,
}

/// The examples as rows, and what turns numbers of rows into differences within groups.
struct Rows<'a> {
    examples: &'a [Example],
    /// Column of a bucket.
    columns: ByBucket<u32>,
    /// Group of each row, counted from 0, and the weight of each group.
    groups: Vec<usize>,
    totals: Vec<f64>,
    /// Square roots of the weights.
    roots: Vec<f64>,
}

impl Ridge {
    /// The least `sum w (t - x b)^2 + penalty |b|^2` over differences within groups.
    ///
    /// # Errors
    /// A cancel.
    pub fn fit(examples: &[Example], penalty: f64, context: &JobContext) -> Result<Self> {
        let rows = Rows::of(examples);
        let width = rows.columns.len();
        let mut solution = vec![0.0f64; width];
        let targets = examples.iter().map(|example| f64::from(example.target)).collect();
        let mut residual = rows.centred(targets);
        let mut slope = rows.back(&residual);
        let mut direction = slope.clone();
        let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let (first, mut size) = (square(&slope), square(&slope));
        for _ in 0..STEPS {
            context.check()?;
            if size <= ENOUGH * ENOUGH * first || size == 0.0 {
                break;
            }
            let ahead = rows.forward(&direction);
            let step = size / (square(&ahead) + penalty * square(&direction));
            solution.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&ahead).for_each(|(r, a)| *r -= step * a);
            slope = rows.back(&residual);
            slope.iter_mut().zip(&solution).for_each(|(s, x)| *s -= penalty * x);
            let next = square(&slope);
            direction.iter_mut().zip(&slope).for_each(|(d, s)| *d = s + next / size * *d);
            size = next;
        }
        let weight = |column: u32| solution[column as usize] as f32;
        Ok(Self { weights: rows.columns.into_iter().map(|(b, column)| (b, weight(column))).collect() })
    }

    /// What the model says of a text; only differences between texts mean anything.
    pub fn score(&self, features: &[(u32, f32)]) -> f32 {
        features.iter().filter_map(|(bucket, value)| Some(self.weights.get(bucket)? * value)).sum()
    }

    /// The weight of a feature; 0 for one that was not met.
    pub fn weight(&self, bucket: u32) -> f32 {
        self.weights.get(&bucket).copied().unwrap_or_default()
    }
}

impl<'a> Rows<'a> {
    fn of(examples: &'a [Example]) -> Self {
        let (mut columns, mut known) = (ByBucket::default(), ByBucket::default());
        for (bucket, _) in examples.iter().flat_map(|example| &example.features) {
            let next = columns.len() as u32;
            columns.entry(*bucket).or_insert(next);
        }
        let groups: Vec<usize> = examples
            .iter()
            .map(|example| {
                let next = known.len();
                *known.entry(example.group).or_insert(next)
            })
            .collect();
        let mean = examples.iter().map(|example| f64::from(example.weight)).sum::<f64>()
            / examples.len().max(1) as f64;
        let weights: Vec<f64> = examples.iter().map(|example| f64::from(example.weight) / mean).collect();
        let mut totals = vec![0.0; known.len()];
        groups.iter().zip(&weights).for_each(|(group, weight)| totals[*group] += weight);
        Self { examples, columns, groups, totals, roots: weights.into_iter().map(f64::sqrt).collect() }
    }

    /// Numbers of rows less their group's mean, times the roots of the weights.
    fn centred(&self, mut values: Vec<f64>) -> Vec<f64> {
        let mut means = vec![0.0; self.totals.len()];
        for ((value, group), root) in values.iter().zip(&self.groups).zip(&self.roots) {
            means[*group] += value * root * root / self.totals[*group];
        }
        for ((value, group), root) in values.iter_mut().zip(&self.groups).zip(&self.roots) {
            *value = (*value - means[*group]) * root;
        }
        values
    }

    fn columns<'b>(&'b self, row: &'b Example) -> impl Iterator<Item = (usize, f64)> + 'b {
        let column =
            |(bucket, value): &(u32, f32)| Some((*self.columns.get(bucket)? as usize, f64::from(*value)));
        row.features.iter().filter_map(column)
    }

    fn forward(&self, weights: &[f64]) -> Vec<f64> {
        let product = |row| self.columns(row).map(|(column, value)| value * weights[column]).sum();
        self.centred(self.examples.iter().map(product).collect())
    }

    /// The transpose of [`forward`](Self::forward).
    fn back(&self, residual: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.totals.len()];
        for ((value, group), root) in residual.iter().zip(&self.groups).zip(&self.roots) {
            sums[*group] += value * root / self.totals[*group];
        }
        let mut out = vec![0.0; self.columns.len()];
        for (row, example) in self.examples.iter().enumerate() {
            let root = self.roots[row];
            let pull = residual[row] * root - sums[self.groups[row]] * root * root;
            self.columns(example).for_each(|(column, value)| out[column] += pull * value);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(features: &[(u32, f32)], group: u32, target: f32, weight: f32) -> Example {
        Example { features: features.to_vec(), group, target, weight }
    }

    #[test]
    fn one_feature_has_the_closed_form() {
        // Within group 0 x is 1 and 3, t is 0 and 2: differences of ±1 and ±1; group 1 says t falls by 1 for the same.
        // b = sum x t / (sum x^2 + penalty) = (2 - 1) / (4 + 0.5).
        let examples = [
            example(&[(7, 1.0)], 0, 0.0, 1.0),
            example(&[(7, 3.0)], 0, 2.0, 1.0),
            example(&[(7, 1.0)], 1, 10.0, 1.0),
            example(&[(7, 3.0)], 1, 9.0, 1.0),
        ];
        let fitted = Ridge::fit(&examples, 0.5, &JobContext::detached()).unwrap();
        assert!((fitted.weight(7) - 1.0 / 4.5).abs() < 1e-5, "{}", fitted.weight(7));
        assert!((fitted.score(&[(7, 2.0), (8, 1.0)]) - 2.0 / 4.5).abs() < 1e-5);
    }

    #[test]
    fn the_slope_is_nothing_where_it_stops() {
        let mut rng = crate::base::rng::Rng::named(3, "ridge");
        let examples: Vec<Example> = (0..60)
            .map(|row| {
                let features: Vec<(u32, f32)> = (0..5).map(|at| (at, rng.normal() as f32)).collect();
                example(&features, row % 9, rng.normal() as f32, 0.5 + rng.uniform() as f32)
            })
            .collect();
        let fitted = Ridge::fit(&examples, 2.0, &JobContext::detached()).unwrap();
        let loss = |moved: u32, by: f64| {
            let rows = Rows::of(&examples);
            let weights: Vec<f64> = {
                let mut weights = vec![0.0; 5];
                for (bucket, column) in &rows.columns {
                    let by = if *bucket == moved { by } else { 0.0 };
                    weights[*column as usize] = f64::from(fitted.weight(*bucket)) + by;
                }
                weights
            };
            let targets = examples.iter().map(|example| f64::from(example.target)).collect();
            let missed =
                rows.centred(targets).into_iter().zip(rows.forward(&weights)).map(|(t, p)| (t - p).powi(2));
            missed.sum::<f64>() + 2.0 * weights.iter().map(|weight| weight * weight).sum::<f64>()
        };
        for feature in 0..5 {
            let slope = (loss(feature, 1e-3) - loss(feature, -1e-3)) / 2e-3;
            assert!(slope.abs() < 1e-3, "{slope}");
        }
    }
}
