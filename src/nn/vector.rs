//! How are small products made at the speed of the processor? Vector instructions, chosen when the program runs.
//!
//! For matrices that fit the first cache and belong to one row of a batch; large ones are candle's or gemm's work.
//! Lengths of rows are padded to multiples of [`LANES`] by whoever makes the slices, so nothing here has a tail.

pub(super) use crate::base::simd::exp;
use pulp::{Simd, WithSimd};

/// Numbers in a row are padded to a multiple of this: the widest vectors used are of 8 f32.
pub(super) const LANES: usize = 8;

/// Rows that are made side by side.
const BAND: usize = 4;

/// `n` rounded up to whole vectors.
pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Runs an operation with the best instructions that this processor has.
pub(super) fn vectorized<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Simd::vectorize(simd, op);
    }
    pulp::Arch::new().dispatch(op)
}

/// `1 / (1 + e^-x)` to the precision of [`exp`].
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, within 3e-7.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// `sum a b` of padded slices.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (S::as_simd_f32s(a).0, S::as_simd_f32s(b).0);
    let sum = a.iter().zip(b).fold(simd.splat_f32s(0.0), |sum, (a, b)| simd.mul_add_e_f32s(*a, *b, sum));
    simd.reduce_sum_f32s(sum)
}

/// `to += factor from` of padded slices.
#[inline(always)]
pub(super) fn add_scaled<S: Simd>(simd: S, to: &mut [f32], factor: f32, from: &[f32]) {
    let factor = simd.splat_f32s(factor);
    let (to, from) = (S::as_mut_simd_f32s(to).0, S::as_simd_f32s(from).0);
    for (to, from) in to.iter_mut().zip(from) {
        *to = simd.mul_add_e_f32s(factor, *from, *to);
    }
}

/// `out += left right` for `out` `[rows, width]`, `left` `[rows, depth]`, `right` `[depth, width]`; width and depth padded.
#[inline(always)]
pub(super) fn add_product<S: Simd>(
    simd: S,
    out: &mut [f32],
    left: &[f32],
    right: &[f32],
    (depth, width): (usize, usize),
) {
    let vectors = width / S::F32_LANES;
    let (right, _) = S::as_simd_f32s(right);
    for (out, left) in out.chunks_exact_mut(width).zip(left.chunks_exact(depth)) {
        let (out, _) = S::as_mut_simd_f32s(out);
        let (left, _) = left.as_chunks::<BAND>();
        let mut at = 0;
        while at + 2 <= vectors {
            row_tile::<S, 2>(simd, out, left, right, at);
            at += 2;
        }
        if at < vectors {
            row_tile::<S, 1>(simd, out, left, right, at);
        }
    }
}

/// `V` vectors of one row; four sums each, so that one need not wait for the other.
#[inline(always)]
fn row_tile<S: Simd, const V: usize>(
    simd: S,
    out: &mut [S::f32s],
    left: &[[f32; BAND]],
    right: &[S::f32s],
    at: usize,
) {
    let vectors = out.len();
    let mut sums = [[simd.splat_f32s(0.0); V]; BAND];
    for (factors, right) in left.iter().zip(right.chunks_exact(BAND * vectors)) {
        for k in 0..BAND {
            let factor = simd.splat_f32s(factors[k]);
            let right = &right[k * vectors + at..][..V];
            for v in 0..V {
                sums[k][v] = simd.mul_add_e_f32s(factor, right[v], sums[k][v]);
            }
        }
    }
    for v in 0..V {
        let one = simd.add_f32s(sums[0][v], sums[1][v]);
        let two = simd.add_f32s(sums[2][v], sums[3][v]);
        out[at + v] = simd.add_f32s(out[at + v], simd.add_f32s(one, two));
    }
}

/// `out += leftᵀ right` for `out` `[rows, width]`, `left` `[depth, rows]`, `right` `[depth, width]`; rows a multiple of 4,
/// width padded. Twice as fast as [`add_product`], where the left side can be had by columns.
#[inline(always)]
pub(super) fn add_transposed_product<S: Simd>(
    simd: S,
    out: &mut [f32],
    left: &[f32],
    right: &[f32],
    (rows, width): (usize, usize),
) {
    let vectors = width / S::F32_LANES;
    let (out, _) = S::as_mut_simd_f32s(out);
    let (right, _) = S::as_simd_f32s(right);
    for (band, out) in out.chunks_exact_mut(BAND * vectors).enumerate() {
        let left = (left, band * BAND, rows);
        let mut at = 0;
        while at + 2 <= vectors {
            column_tile::<S, 2>(simd, out, left, right, at);
            at += 2;
        }
        if at < vectors {
            column_tile::<S, 1>(simd, out, left, right, at);
        }
    }
}

/// `V` vectors of four rows.
#[inline(always)]
fn column_tile<S: Simd, const V: usize>(
    simd: S,
    out: &mut [S::f32s],
    (left, row, rows): (&[f32], usize, usize),
    right: &[S::f32s],
    at: usize,
) {
    let vectors = out.len() / BAND;
    let mut sums: [[S::f32s; V]; BAND] =
        std::array::from_fn(|r| std::array::from_fn(|v| out[r * vectors + at + v]));
    for (left, right) in left.chunks_exact(rows).zip(right.chunks_exact(vectors)) {
        let factors = &left[row..][..BAND];
        let right = &right[at..][..V];
        for r in 0..BAND {
            let factor = simd.splat_f32s(factors[r]);
            for v in 0..V {
                sums[r][v] = simd.mul_add_e_f32s(factor, right[v], sums[r][v]);
            }
        }
    }
    for r in 0..BAND {
        out[r * vectors + at..][..V].copy_from_slice(&sums[r]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    struct Both<'a> {
        left: &'a [f32],
        left_columns: &'a [f32],
        right: &'a [f32],
        sizes: [usize; 3],
    }

    impl WithSimd for Both<'_> {
        type Output = [Vec<f32>; 2];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let [rows, depth, width] = self.sizes;
            let mut by_rows = vec![1.0; rows * width];
            let mut by_columns = by_rows.clone();
            add_product(simd, &mut by_rows, self.left, self.right, (depth, width));
            add_transposed_product(simd, &mut by_columns, self.left_columns, self.right, (rows, width));
            [by_rows, by_columns]
        }
    }

    #[test]
    fn products_equal_the_triple_loop_with_any_instructions() {
        let [rows, depth, width] = [8, 16, 24];
        let mut rng = Rng::named(1, "test");
        let mut draw = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<f32>>();
        let (left, right) = (draw(rows * depth), draw(depth * width));
        let left_columns: Vec<f32> = (0..left.len()).map(|at| left[at % rows * depth + at / rows]).collect();
        let job =
            || Both { left: &left, left_columns: &left_columns, right: &right, sizes: [rows, depth, width] };
        let [fast, plain] = [vectorized(job()), Simd::vectorize(pulp::Scalar, job())];
        for out in fast.iter().chain(&plain) {
            for (at, got) in out.iter().enumerate() {
                let (row, column) = (at / width, at % width);
                let sum: f32 = (0..depth).map(|k| left[row * depth + k] * right[k * width + column]).sum();
                assert!((got - 1.0 - sum).abs() < 1e-4, "{got} {sum}");
            }
        }
    }

    #[test]
    fn exp_and_its_kin_are_near_the_library_s() {
        for step in -2000..=2000 {
            let x = step as f32 * 0.043;
            let wanted = f64::from(x).exp();
            assert!((f64::from(exp(x)) / wanted - 1.0).abs() < 3e-7, "exp({x}) = {}", exp(x));
            assert!((sigmoid(x) - 1.0 / (1.0 + (-x).exp())).abs() < 3e-7, "sigmoid({x})");
            assert!((tanh(x) - x.tanh()).abs() < 4e-7, "tanh({x}) = {}", tanh(x));
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(f32::INFINITY).is_finite() && exp(f32::NAN).is_nan());
    }

    struct Sum<'a>(&'a [f32], &'a mut [f32]);

    impl WithSimd for Sum<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            add_scaled(simd, self.1, 2.0, self.0);
            dot(simd, self.0, self.1)
        }
    }

    #[test]
    fn sums_are_exact_on_whole_numbers() {
        let from: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let mut to = vec![1.0; 16];
        // sum v (1 + 2 v) for v below 16: 120 + 2 * 1240.
        assert_eq!(vectorized(Sum(&from, &mut to)), 2600.0);
        assert_eq!(to[15], 31.0);
        assert_eq!((padded(0), padded(1), padded(8), padded(9)), (0, 8, 8, 16));
    }
}
