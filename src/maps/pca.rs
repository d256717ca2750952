//! Which few directions carry most of a table's variance? Principal components: all of them by Jacobi's rotations, or
//! the leading ones of a wide table from random directions that are turned towards them.

use crate::base::eigen::diagonalise;
use crate::base::product::{self, Finish, Pack, View};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use rayon::prelude::*;

/// Principal components of a table of points.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Components {
    /// Mean of each column.
    pub mean: Vec<f64>,
    /// Unit directions, most variance first, each as wide as the table.
    pub directions: Vec<Vec<f64>>,
    /// Share of the total variance along each direction; sums to 1 over all directions of the table.
    pub explained: Vec<f64>,
}

/// Width up to which all components are computed.
const ALL_COMPONENTS: usize = 256;
/// Components of a wider table: more than any use of them looks at.
const LEADING: usize = 64;
/// Directions beyond those wanted, and how often they are turned (Halko, Martinsson & Tropp 2011, 4.4 and 4.5).
const SPARE: usize = 16;
const TURNS: usize = 8;
/// Rows that are centred and multiplied at a time.
const BLOCK: usize = 8192;

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

    /// Coordinates of all points on the first `count` directions, row-major.
    pub fn project_all(&self, values: &[f32], count: usize) -> Vec<f32> {
        let width = self.mean.len().max(1);
        let count = count.min(self.directions.len());
        let directions: Vec<f32> =
            self.directions[..count].iter().flatten().map(|value| *value as f32).collect();
        let mut out = vec![0.0; values.len() / width * count];
        let mut pack = Pack::default();
        for (some, out) in values.chunks(BLOCK * width).zip(out.chunks_mut(BLOCK * count.max(1))) {
            let centred = centred(some, &self.mean);
            let shape = [some.len() / width, count, width];
            let by = View::rows(&directions, width).transposed();
            product::product(shape, View::rows(&centred, width), by, out, Finish::Set, &mut pack);
        }
        out
    }
}

/// Principal components of `values` (row-major, `width` columns): eigenvectors of the covariance matrix, all of them up
/// to 256 columns and the 64 with most variance of wider tables.
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
    if !values.par_chunks(1 << 16).all(|some| some.iter().all(|value| value.is_finite())) {
        return refuse("some values are not finite numbers");
    }
    let mean = mean(values, width);
    let (directions, variances, total) = if width <= ALL_COMPONENTS {
        all_directions(values, &mean)
    } else {
        leading_directions(values, &mean)
    };
    // Rounding leaves equal points a variance of some 1e-14 of their size.
    let size: f64 = mean.iter().map(|m| m * m).sum();
    if total <= 1e-12 * size || total <= 0.0 {
        return refuse("all points are equal");
    }
    Ok(Components {
        mean,
        directions: directions.into_iter().map(with_sign).collect(),
        // Rounding can leave a variance of -1e-20 on a flat direction.
        explained: variances.into_iter().map(|variance| (variance / total).max(0.0)).collect(),
    })
}

/// Directions, the variance along each, and the variance in all.
type Spread = (Vec<Vec<f64>>, Vec<f64>, f64);

fn all_directions(values: &[f32], mean: &[f64]) -> Spread {
    let width = mean.len();
    let mut matrix = covariance(values, mean);
    let total = (0..width).map(|i| matrix[i * width + i]).sum();
    let (directions, variances) = eigen(&mut matrix, width);
    (directions, variances, total)
}

/// Eigenvectors and eigenvalues of a symmetric matrix, largest first.
pub(super) fn eigen(matrix: &mut [f64], width: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let vectors = diagonalise(matrix, width);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|&a, &b| matrix[b * width + b].total_cmp(&matrix[a * width + a]));
    let column = |column: usize| (0..width).map(|row| vectors[row * width + column]).collect();
    let directions = order.iter().map(|&at| column(at)).collect();
    (directions, order.iter().map(|&at| matrix[at * width + at]).collect())
}

/// Random directions, turned towards those of most variance by multiplying them with the covariance again and again.
fn leading_directions(values: &[f32], mean: &[f64]) -> Spread {
    let width = mean.len();
    let rows = values.len() / width;
    let count = (LEADING + SPARE).min(width).min(rows);
    let mut rng = Rng::named(1, "leading directions");
    let mut basis: Vec<Vec<f64>> = (0..count).map(|_| (0..width).map(|_| rng.normal()).collect()).collect();
    let mut small = Vec::new();
    for turn in 0..=TURNS {
        orthonormal(&mut basis);
        let directions: Vec<f32> = basis.iter().flatten().map(|value| *value as f32).collect();
        let (next, inner) = turned(values, mean, &directions, count);
        small = inner;
        if turn < TURNS {
            basis = next.chunks(width).map(<[f64]>::to_vec).collect();
        }
    }
    let scale = 1.0 / (rows - 1) as f64;
    small.iter_mut().for_each(|value| *value *= scale);
    let (inside, variances) = eigen(&mut small, count);
    let combine = |weights: &Vec<f64>| -> Vec<f64> {
        let mut all = vec![0.0; width];
        for (weight, direction) in weights.iter().zip(&basis) {
            all.iter_mut().zip(direction).for_each(|(to, from)| *to += weight * from);
        }
        all
    };
    let kept = LEADING.min(count);
    let total = total_variance(values, mean) * scale;
    (inside[..kept].iter().map(combine).collect(), variances[..kept].to_vec(), total)
}

/// For `count` directions: each times the scatter of the centred rows (`[count, width]`), and the scatter along them
/// (`[count, count]`).
fn turned(values: &[f32], mean: &[f64], directions: &[f32], count: usize) -> (Vec<f64>, Vec<f64>) {
    let width = mean.len();
    let (mut next, mut inner) = (vec![0.0; count * width], vec![0.0; count * count]);
    let mut pack = Pack::default();
    let add =
        |to: &mut [f64], from: &[f32]| to.iter_mut().zip(from).for_each(|(to, from)| *to += f64::from(*from));
    for some in values.chunks(BLOCK.min(1 + (1 << 24) / width) * width) {
        let rows = some.len() / width;
        let x = centred(some, mean);
        let mut along = vec![0.0; rows * count];
        let by = View::rows(directions, width).transposed();
        product::product([rows, count, width], View::rows(&x, width), by, &mut along, Finish::Set, &mut pack);
        let along = View::rows(&along, count);
        let mut back = vec![0.0; count * width];
        let shape = [count, width, rows];
        product::product(shape, along.transposed(), View::rows(&x, width), &mut back, Finish::Set, &mut pack);
        add(&mut next, &back);
        let mut square = vec![0.0; count * count];
        product::product(
            [count, count, rows],
            along.transposed(),
            along,
            &mut square,
            Finish::Set,
            &mut pack,
        );
        add(&mut inner, &square);
    }
    (next, inner)
}

/// Gram and Schmidt, twice; a direction that vanishes becomes nothing.
fn orthonormal(basis: &mut [Vec<f64>]) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    for at in 0..basis.len() {
        let (before, rest) = basis.split_at_mut(at);
        let Some(own) = rest.first_mut() else { continue };
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(own, other);
                own.iter_mut().zip(other).for_each(|(own, other)| *own -= along * other);
            }
        }
        let length = dot(own, own).sqrt();
        own.iter_mut().for_each(|value| *value = if length > 0.0 { *value / length } else { 0.0 });
    }
}

/// With the largest coordinate positive.
fn with_sign(mut direction: Vec<f64>) -> Vec<f64> {
    let largest =
        direction.iter().copied().fold(0.0, |most: f64, v| if v.abs() > most.abs() { v } else { most });
    if largest < 0.0 {
        direction.iter_mut().for_each(|v| *v = -*v);
    }
    direction
}

fn mean(values: &[f32], width: usize) -> Vec<f64> {
    let sums: Vec<Vec<f64>> = values
        .par_chunks(BLOCK * width)
        .map(|some| {
            let mut sums = vec![0.0; width];
            for row in some.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
            }
            sums
        })
        .collect();
    let rows = (values.len() / width) as f64;
    (0..width).map(|column| sums.iter().map(|sums| sums[column]).sum::<f64>() / rows).collect()
}

/// Rows without their mean.
fn centred(values: &[f32], mean: &[f64]) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    let rows = out.par_chunks_mut(mean.len()).zip(values.par_chunks(mean.len())).with_min_len(256);
    rows.for_each(|(out, row)| {
        for ((out, value), mean) in out.iter_mut().zip(row).zip(mean) {
            *out = (f64::from(*value) - mean) as f32;
        }
    });
    out
}

/// The sum of all squared differences from the mean.
fn total_variance(values: &[f32], mean: &[f64]) -> f64 {
    let sums: Vec<f64> = values
        .par_chunks(BLOCK * mean.len())
        .map(|some| {
            let rows = some.chunks_exact(mean.len());
            rows.flat_map(|row| row.iter().zip(mean)).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum()
        })
        .collect();
    sums.iter().sum()
}

/// The covariance matrix with `n - 1`, row-major: sums of blocks in single precision, added up in double.
fn covariance(values: &[f32], mean: &[f64]) -> Vec<f64> {
    let width = mean.len();
    let mut matrix = vec![0.0; width * width];
    let (mut square, mut pack) = (vec![0.0; width * width], Pack::default());
    for some in values.chunks(BLOCK * width) {
        let rows = some.len() / width;
        let centred = centred(some, mean);
        let x = View::rows(&centred, width);
        product::product([width, width, rows], x.transposed(), x, &mut square, Finish::Set, &mut pack);
        matrix.iter_mut().zip(&square).for_each(|(sum, part)| *sum += f64::from(*part));
    }
    let scale = 1.0 / (values.len() / width - 1) as f64;
    // The rotations take it to be symmetric to the last bit.
    let symmetric = |i: usize, j: usize| scale * (matrix[i * width + j] + matrix[j * width + i]) / 2.0;
    (0..width * width).map(|at| symmetric(at / width, at % width)).collect()
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
    fn leading_directions_of_a_wide_table_are_those_of_its_known_covariance() {
        // Columns are independent; three of 300 have a standard deviation of 9, 6 and 4, the others of 0.1.
        let mut rng = crate::base::rng::Rng::named(4, "wide pca test");
        let size = |column: usize| [(7, 9.0), (150, 6.0), (299, 4.0)].iter().find(|(at, _)| *at == column);
        let deviation = |column: usize| size(column).map_or(0.1, |(_, size)| *size);
        let values: Vec<f32> =
            (0..2000 * 300).map(|at| (deviation(at % 300) * rng.normal()) as f32).collect();
        let found = components(&values, 300).unwrap();
        for (direction, column) in found.directions.iter().zip([7, 150, 299]) {
            assert!(direction[column] > 0.999, "{}", direction[column]);
        }
        // Variances 81, 36, 16 and 297 x 0.01; those of 2000 rows vary by sqrt(2 / 2000) = 3 %.
        let total = 81.0 + 36.0 + 16.0 + 2.97;
        for (ours, variance) in found.explained.iter().zip([81.0, 36.0, 16.0]) {
            assert!((ours - variance / total).abs() < 0.03, "{:?}", &found.explained[..4]);
        }
        assert_eq!(found.directions.len(), LEADING);
        let projected = found.project_all(&values[..600], 2);
        let [x, y] = found.project::<2>(&values[300..600]);
        assert!((projected[2] - x).abs() < 1e-4 && (projected[3] - y).abs() < 1e-4);
    }

    #[test]
    fn points_without_variance_are_refused() {
        assert!(components(&[1.0; 8], 2).is_err());
        assert!(components(&vec![0.1; 5 * 300], 300).is_err());
        assert!(components(&[1.0, 2.0], 2).is_err());
        assert!(components(&[1.0, f32::NAN, 0.0, 1.0], 2).is_err());
    }

    const NUMPY_EXPLAINED: [f64; 5] = [0.426_862_6, 0.280_501_9, 0.174_525_4, 0.082_224_2, 0.035_885_9];
    const NUMPY_FIRST: [f64; 5] = [0.250_855_0, 0.479_461_3, 0.317_930_7, 0.612_134_2, 0.481_041_0];
}
