//! How is one map turned so that it lies best on another?
//!
//! Orthogonal Procrustes (Schoenemann 1966; Kabsch 1976 for the proper sign): the shift, the rotation or reflection and
//! the scale with the least squared distances between places of the same points.

use crate::base::eigen::diagonalise;

/// A similarity of the plane or of space: `scale R (x - from) + to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// Middle of the moved map.
    pub from: [f64; 3],
    /// Middle of the map that stays.
    pub to: [f64; 3],
    /// An orthogonal matrix, row-major.
    pub turn: [[f64; 3]; 3],
    /// Factor of all lengths.
    pub scale: f64,
    /// Share of the squared spread of the map that stays which the moved one misses: 0 when they agree.
    pub residual: f64,
}

impl Alignment {
    /// Lays `moved` on `fixed`, point by point; pairs with a place that is no number are passed over. `None` for fewer
    /// than two pairs or a map without extent.
    pub fn of(moved: &[[f32; 3]], fixed: &[[f32; 3]]) -> Option<Self> {
        let finite = |place: &[f32; 3]| place.iter().all(|value| value.is_finite());
        let pairs: Vec<([f64; 3], [f64; 3])> = moved
            .iter()
            .zip(fixed)
            .filter(|(a, b)| finite(a) && finite(b))
            .map(|(a, b)| (a.map(f64::from), b.map(f64::from)))
            .collect();
        if pairs.len() < 2 {
            return None;
        }
        let n = pairs.len() as f64;
        let (mut from, mut to) = ([0.0; 3], [0.0; 3]);
        for (a, b) in &pairs {
            for axis in 0..3 {
                from[axis] += a[axis] / n;
                to[axis] += b[axis] / n;
            }
        }
        // cross[i][j] = sum of b_i a_j over centred pairs.
        let (mut cross, mut spread, mut wanted) = ([[0.0; 3]; 3], 0.0, 0.0);
        for (a, b) in &pairs {
            for i in 0..3 {
                spread += (a[i] - from[i]).powi(2);
                wanted += (b[i] - to[i]).powi(2);
                for j in 0..3 {
                    cross[i][j] += (b[i] - to[i]) * (a[j] - from[j]);
                }
            }
        }
        if spread <= 0.0 || wanted <= 0.0 {
            return None;
        }
        let (turn, gain) = nearest_orthogonal(cross);
        let scale = gain / spread;
        Some(Self { from, to, turn, scale, residual: (1.0 - gain * gain / (spread * wanted)).max(0.0) })
    }

    /// Where a place of the moved map comes to lie.
    pub fn apply(&self, place: [f32; 3]) -> [f32; 3] {
        let mut out = [0.0; 3];
        for (i, out) in out.iter_mut().enumerate() {
            let turned: f64 = (0..3).map(|j| self.turn[i][j] * (f64::from(place[j]) - self.from[j])).sum();
            *out = (self.to[i] + self.scale * turned) as f32;
        }
        out
    }
}

/// `U V'` of the singular value decomposition `U S V'`, and the sum of `S`. Directions without extent are completed, so
/// that maps in a plane stay in it.
fn nearest_orthogonal(m: [[f64; 3]; 3]) -> ([[f64; 3]; 3], f64) {
    let mut square = vec![0.0; 9];
    for i in 0..3 {
        for j in 0..3 {
            square[i * 3 + j] = (0..3).map(|k| m[k][i] * m[k][j]).sum();
        }
    }
    let vectors = diagonalise(&mut square, 3);
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| square[b * 4].total_cmp(&square[a * 4]));
    let (mut left, mut right): (Vec<[f64; 3]>, Vec<[f64; 3]>) = (Vec::new(), Vec::new());
    let mut gain = 0.0;
    let largest = square[order[0] * 4].max(0.0).sqrt();
    for at in order {
        let v: [f64; 3] = std::array::from_fn(|row| vectors[row * 3 + at]);
        let image: [f64; 3] = std::array::from_fn(|row| (0..3).map(|k| m[row][k] * v[k]).sum());
        let length = image.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 1e-9 * largest {
            gain += length;
            left.push(image.map(|x| x / length));
        } else {
            left.push(complete(&left));
        }
        right.push(v);
    }
    let turn = std::array::from_fn(|i| {
        std::array::from_fn(|j| left.iter().zip(&right).map(|(u, v)| u[i] * v[j]).sum())
    });
    (turn, gain)
}

/// A unit vector at right angles to those that are there.
fn complete(known: &[[f64; 3]]) -> [f64; 3] {
    let mut best = [0.0; 3];
    let mut longest = 0.0;
    for axis in 0..3 {
        let mut own = [0.0; 3];
        own[axis] = 1.0;
        for other in known {
            let along: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
            own.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let length = own.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > longest {
            (best, longest) = (own.map(|x| x / length), length);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn cloud(n: usize, flat: bool) -> Vec<[f32; 3]> {
        let mut rng = Rng::named(4, "procrustes test");
        (0..n)
            .map(|_| {
                [rng.normal() as f32, 2.0 * rng.normal() as f32, if flat { 0.0 } else { rng.normal() as f32 }]
            })
            .collect()
    }

    #[test]
    fn a_known_rotation_reflection_shift_and_scale_are_recovered() {
        let (sin, cos) = 0.7f32.sin_cos();
        for mirror in [1.0, -1.0] {
            let fixed = cloud(200, true);
            let moved: Vec<[f32; 3]> = fixed
                .iter()
                .map(|[x, y, _]| {
                    [3.0 * (cos * x - sin * y) + 5.0, mirror * 3.0 * (sin * x + cos * y) - 2.0, 0.0]
                })
                .collect();
            let found = Alignment::of(&moved, &fixed).unwrap();
            assert!((found.scale - 1.0 / 3.0).abs() < 1e-5 && found.residual < 1e-9, "{found:?}");
            // The turn undoes 0.7 radians.
            assert!((found.turn[0][0] - f64::from(cos)).abs() < 1e-5, "{found:?}");
            for (moved, fixed) in moved.iter().zip(&fixed) {
                let back = found.apply(*moved);
                assert!((0..3).all(|axis| (back[axis] - fixed[axis]).abs() < 1e-4), "{back:?} {fixed:?}");
            }
        }
    }

    #[test]
    fn in_space_too_and_noise_is_told() {
        let fixed = cloud(300, false);
        // A cyclic change of axes is a rotation.
        let moved: Vec<[f32; 3]> = fixed.iter().map(|[x, y, z]| [*z, *x, *y]).collect();
        let found = Alignment::of(&moved, &fixed).unwrap();
        assert!(found.residual < 1e-9 && (found.turn[0][1] - 1.0).abs() < 1e-6, "{found:?}");
        let mut rng = Rng::named(5, "procrustes noise");
        let other: Vec<[f32; 3]> =
            (0..300).map(|_| [rng.normal() as f32; 3].map(|x| x + rng.normal() as f32)).collect();
        assert!(Alignment::of(&other, &fixed).unwrap().residual > 0.9);
    }

    #[test]
    fn what_cannot_be_laid_is_none() {
        assert_eq!(Alignment::of(&[[1.0; 3]; 4], &cloud(4, true)), None);
        assert_eq!(Alignment::of(&[[f32::NAN; 3]; 4], &cloud(4, true)), None);
        assert_eq!(Alignment::of(&[], &[]), None);
    }
}
