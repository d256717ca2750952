//! Which vectors are compared, and how?

use crate::base::simd::{Kernel, run_widest};
use crate::base::{Failure, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What "close" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Length of the difference.
    #[default]
    Euclidean,
    /// 1 - cosine of the angle; a vector of zeros stands at right angles to all.
    Cosine,
    /// The inner product, larger is closer: what a two-tower model ranks by. No distance: a point need not be its own
    /// nearest neighbour, so no map can be drawn of it.
    InnerProduct,
}

impl Metric {
    /// All of them, with their words.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Euclidean, "euclidean"), (Self::Cosine, "cosine"), (Self::InnerProduct, "inner product")];

    /// The words.
    pub fn title(self) -> &'static str {
        Self::ALL.iter().find(|(metric, _)| *metric == self).map_or("", |(_, title)| title)
    }
}

/// A table of finite vectors, ready to be compared by one metric.
///
/// All metrics rank by one score, `q . y - bias(y)`, larger is closer: the bias is `|y|^2 / 2` for Euclidean distances
/// and nothing otherwise, and the rows of the cosine have length 1. So one matrix product ranks many pairs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Points {
    /// How they are compared.
    pub metric: Metric,
    width: usize,
    values: Vec<f32>,
    bias: Vec<f32>,
}

/// Lanes of the sums: a width of vectors that every processor's own is a part of.
const LANES: usize = 16;

impl Points {
    /// Takes rows of `width` numbers.
    ///
    /// # Errors
    /// No rows, rows without numbers, or a number that is not finite.
    pub fn new(mut values: Vec<f32>, width: usize, metric: Metric) -> Result<Self> {
        let refuse = |why: &str| Err(Failure::new("cannot compare the vectors", why));
        if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
            return refuse("there are none");
        }
        if !values.par_chunks(1 << 16).all(|some| some.iter().all(|value| value.is_finite())) {
            return refuse("some values are not finite numbers");
        }
        if metric == Metric::Cosine {
            values.par_chunks_mut(width).for_each(|row| {
                let length = dot(row, row).sqrt();
                if length > 0.0 {
                    row.iter_mut().for_each(|value| *value /= length);
                }
            });
        }
        let bias = match metric {
            Metric::Euclidean => values.par_chunks(width).map(|row| dot(row, row) / 2.0).collect(),
            Metric::Cosine | Metric::InnerProduct => vec![0.0; values.len() / width],
        };
        Ok(Self { metric, width, values, bias })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.bias.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.bias.is_empty()
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A row as it is compared: of length 1 for the cosine.
    pub fn row(&self, place: usize) -> &[f32] {
        &self.values[place * self.width..][..self.width]
    }

    /// All rows, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// What is taken from the inner products with each row.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// A vector from outside as it is compared with these.
    pub fn prepare(&self, vector: &[f32]) -> Vec<f32> {
        let length = dot(vector, vector).sqrt();
        let scale = if self.metric == Metric::Cosine && length > 0.0 { 1.0 / length } else { 1.0 };
        vector.iter().map(|value| value * scale).collect()
    }

    /// The distance of a prepared vector to a row: Euclidean, 1 - cosine, or the inner product itself.
    pub fn distance(&self, prepared: &[f32], place: usize) -> f32 {
        let row = self.row(place);
        match self.metric {
            Metric::Euclidean => squared_difference(prepared, row).sqrt(),
            Metric::Cosine => (1.0 - dot(prepared, row)).max(0.0),
            Metric::InnerProduct => dot(prepared, row),
        }
    }

    /// The same points as their difference is taken by Euclid: `true` when the metric is a distance.
    pub fn is_distance(&self) -> bool {
        self.metric != Metric::InnerProduct
    }

    /// Some of the rows, in the order given.
    pub fn subset(&self, places: &[u32]) -> Self {
        Self {
            metric: self.metric,
            width: self.width,
            values: places.iter().flat_map(|place| self.row(*place as usize)).copied().collect(),
            bias: places.iter().map(|place| self.bias[*place as usize]).collect(),
        }
    }
}

/// The inner product, in 16 sums that are added at the end.
#[inline(always)]
pub(super) fn dot_inline(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_parts, a_rest) = a.as_chunks::<LANES>();
    let (b_parts, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_parts.iter().zip(b_parts) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sum_lanes(sums) + rest
}

#[inline(always)]
fn sum_lanes(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

struct Dot<'a>(&'a [f32], &'a [f32]);

impl Kernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        dot_inline(self.0, self.1)
    }
}

/// The inner product of two vectors.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    run_widest(Dot(a, b))
}

struct SquaredDifference<'a>(&'a [f32], &'a [f32]);

impl Kernel for SquaredDifference<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (a_parts, a_rest) = self.0.as_chunks::<LANES>();
        let (b_parts, b_rest) = self.1.as_chunks::<LANES>();
        for (a, b) in a_parts.iter().zip(b_parts) {
            for lane in 0..LANES {
                let difference = a[lane] - b[lane];
                sums[lane] = difference.mul_add(difference, sums[lane]);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
        sum_lanes(sums) + rest
    }
}

/// `|a - b|^2`, from the differences themselves: no digits cancel where points are close.
fn squared_difference(a: &[f32], b: &[f32]) -> f32 {
    run_widest(SquaredDifference(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_follow_their_definitions() {
        let table = vec![3.0, 4.0, 0.0, 0.0, -4.0, 3.0];
        let distance = |metric, from: usize, to| {
            let points = Points::new(table.clone(), 2, metric).unwrap();
            points.distance(points.row(from), to)
        };
        assert_eq!(distance(Metric::Euclidean, 0, 1), 5.0);
        assert!((distance(Metric::Euclidean, 0, 2) - 50f32.sqrt()).abs() < 1e-6);
        assert!((distance(Metric::Cosine, 0, 2) - 1.0).abs() < 1e-6);
        assert_eq!(distance(Metric::Cosine, 0, 1), 1.0);
        assert_eq!(distance(Metric::InnerProduct, 0, 0), 25.0);
    }

    #[test]
    fn long_rows_are_summed_whole() {
        let row: Vec<f32> = (0..37).map(|i| i as f32).collect();
        // 0^2 + ... + 36^2 = 36 * 37 * 73 / 6.
        assert_eq!(dot(&row, &row), 16_206.0);
        let shifted: Vec<f32> = row.iter().map(|v| v + 2.0).collect();
        assert_eq!(squared_difference(&row, &shifted), 148.0);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(Points::new(vec![1.0, f32::NAN], 1, Metric::Euclidean).is_err());
        assert!(Points::new(vec![1.0, f32::INFINITY], 2, Metric::Cosine).is_err());
        assert!(Points::new(Vec::new(), 4, Metric::Cosine).is_err());
        assert!(Points::new(vec![1.0; 3], 2, Metric::Cosine).is_err());
    }
}
