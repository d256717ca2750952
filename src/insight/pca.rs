//! Which few directions carry most of a table's variance? Principal components by Jacobi rotations.

use crate::base::eigen::diagonalise;
use crate::base::{Failure, Result};

/// Principal components of a table of points.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Components {
    /// Mean of each column.
    pub mean: Vec<f64>,
    /// Unit directions, most variance first, each as wide as the table.
    pub directions: Vec<Vec<f64>>,
    /// Share of the total variance along each direction; sums to 1 over all directions.
    pub explained: Vec<f64>,
}

impl Components {
    /// Coordinates of a point on the first `N` directions.
    pub fn project<const N: usize>(&self, point: &[f32]) -> [f32; N] {
        let mut out = [0.0; N];
        for (place, direction) in out.iter_mut().zip(&self.directions) {
            let terms = point.iter().zip(&self.mean).zip(direction);
            *place = terms.map(|((&x, m), d)| (f64::from(x) - m) * d).sum::<f64>() as f32;
        }
        out
    }
}

/// Principal components of `values` (row-major, `width` columns): eigenvectors of the covariance matrix.
///
/// The sign of each direction makes its largest coordinate positive, so that two runs agree.
///
/// # Errors
/// Fewer than two rows, a value that is no number, or no variance at all.
pub fn components(values: &[f32], width: usize) -> Result<Components> {
    let refuse = |why: &str| Err(Failure::new("cannot compute principal components", why));
    if width == 0 || values.len() < 2 * width {
        return refuse("it takes at least two points");
    }
    if values.iter().any(|v| !v.is_finite()) {
        return refuse("some values are not finite numbers");
    }
    let (mean, mut matrix) = covariance(values, width);
    let vectors = diagonalise(&mut matrix, width);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|&a, &b| matrix[b * width + b].total_cmp(&matrix[a * width + a]));
    let total: f64 = (0..width).map(|i| matrix[i * width + i]).sum();
    if total <= 0.0 {
        return refuse("all points are equal");
    }
    let direction = |column: usize| {
        let mut direction: Vec<f64> = (0..width).map(|row| vectors[row * width + column]).collect();
        let largest =
            direction.iter().copied().fold(0.0, |most: f64, v| if v.abs() > most.abs() { v } else { most });
        if largest < 0.0 {
            direction.iter_mut().for_each(|v| *v = -*v);
        }
        direction
    };
    Ok(Components {
        mean,
        directions: order.iter().map(|&column| direction(column)).collect(),
        // Rounding can leave a variance of -1e-20 on a flat direction.
        explained: order.iter().map(|&i| (matrix[i * width + i] / total).max(0.0)).collect(),
    })
}

/// Column means and the covariance matrix with `n - 1`, row-major.
fn covariance(values: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = values.len() / width;
    let mut mean = vec![0.0; width];
    for row in values.chunks_exact(width) {
        for (sum, &v) in mean.iter_mut().zip(row) {
            *sum += f64::from(v);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= rows as f64);
    let mut matrix = vec![0.0; width * width];
    let mut centred = vec![0.0; width];
    for row in values.chunks_exact(width) {
        for ((c, &v), m) in centred.iter_mut().zip(row).zip(&mean) {
            *c = f64::from(v) - m;
        }
        for (i, line) in matrix.chunks_exact_mut(width).enumerate() {
            for (cell, c) in line[i..].iter_mut().zip(&centred[i..]) {
                *cell += centred[i] * c;
            }
        }
    }
    for i in 0..width {
        for j in i..width {
            let value = matrix[i * width + j] / (rows - 1) as f64;
            matrix[i * width + j] = value;
            matrix[j * width + i] = value;
        }
    }
    (mean, matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_columns_follow_the_closed_form() {
        // Covariance of (±3, ±1 rotated by 30°): eigenvalues known, direction at 30°.
        let (sin, cos) = std::f64::consts::FRAC_PI_6.sin_cos();
        let points: Vec<f32> = [(3.0, 1.0), (3.0, -1.0), (-3.0, 1.0), (-3.0, -1.0)]
            .iter()
            .flat_map(|&(u, v): &(f64, f64)| [(cos * u - sin * v) as f32, (sin * u + cos * v) as f32])
            .collect();
        let found = components(&points, 2).unwrap();
        assert!((found.explained[0] - 0.9).abs() < 1e-6, "{found:?}");
        assert!((found.directions[0][0] - cos).abs() < 1e-6 && (found.directions[0][1] - sin).abs() < 1e-6);
        let [x, y] = found.project::<2>(&points[..2]);
        assert!((x.abs() - 3.0).abs() < 1e-5 && (y.abs() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn five_columns_match_numpy() {
        // x[i, j] = ((i i (1 + j) + 3 i + j j j) % 17) / 17, i < 12; numpy.linalg.eigh(numpy.cov(x.T)).
        let values: Vec<f32> = (0..12u32)
            .flat_map(|i| (0..5u32).map(move |j| ((i * i * (1 + j) + 3 * i + j * j * j) % 17) as f32 / 17.0))
            .collect();
        let found = components(&values, 5).unwrap();
        for (ours, numpy) in found.explained.iter().zip(NUMPY_EXPLAINED) {
            assert!((ours - numpy).abs() < 1e-6, "{:?}", found.explained);
        }
        for (ours, numpy) in found.directions[0].iter().zip(NUMPY_FIRST) {
            assert!((ours - numpy).abs() < 1e-5, "{:?}", found.directions[0]);
        }
    }

    #[test]
    fn directions_are_orthonormal_in_64_columns() {
        let mut rng = crate::base::rng::Rng::named(1, "pca test");
        let values: Vec<f32> = (0..200 * 64).map(|_| rng.normal() as f32).collect();
        let found = components(&values, 64).unwrap();
        for (i, a) in found.directions.iter().enumerate() {
            for (j, b) in found.directions.iter().enumerate() {
                let dot: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-9);
            }
        }
        assert!((found.explained.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn points_without_variance_are_refused() {
        assert!(components(&[1.0; 8], 2).is_err());
        assert!(components(&[1.0, 2.0], 2).is_err());
        assert!(components(&[1.0, f32::NAN, 0.0, 1.0], 2).is_err());
    }

    const NUMPY_EXPLAINED: [f64; 5] = [0.426_862_6, 0.280_501_9, 0.174_525_4, 0.082_224_2, 0.035_885_9];
    const NUMPY_FIRST: [f64; 5] = [0.250_855_0, 0.479_461_3, 0.317_930_7, 0.612_134_2, 0.481_041_0];
}
