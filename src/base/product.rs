//! How are matrices multiplied at the machine's full rate, outside a graph?
//!
//! On processors with AVX-512 by tiles of our own (`wide`), which finish a product (bias, relu, gate) while its sums
//! are still in registers; elsewhere by the `gemm` crate, which has AVX2 and NEON but, as candle builds it, no
//! AVX-512. On a 2-core Sapphire Rapids the tiles reach 126 to 141 GFLOP/s on 4096 x 624 x 400, MKL 127, the crate 80.
//!
//! A product's numbers do not depend on the number of threads: each sum is added in order of `k`, whoever adds it.

#[cfg(target_arch = "x86_64")]
mod wide;

use rayon::prelude::*;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A matrix that lies in a slice: element `(i, j)` at `i * row + j * column`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The slice, from the first element on.
    pub values: &'a [f32],
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
}

/// What becomes of a product's sums.
#[derive(Debug, Clone, Copy)]
pub enum Finish<'a> {
    /// Stored.
    Set,
    /// Added to what stands there.
    Add,
    /// Added to what stands there, then `max(0, _)`.
    AddRelu,
    /// Plus a number per column.
    Bias(&'a [f32]),
    /// Plus a number per column, then `max(0, _)`.
    BiasRelu(&'a [f32]),
    /// Times `scale` where the number of `by` in the same place is positive, else 0: the way back through relu.
    Gate {
        /// `[m, n]`.
        by: &'a [f32],
        /// Factor of what passes.
        scale: f32,
    },
}

/// A buffer for rearranged operands, kept between products.
#[derive(Debug, Default)]
pub struct Pack(Vec<f32>);

/// Multiplications of all products so far, in the whole program.
static DONE: AtomicU64 = AtomicU64::new(0);

/// How many multiplications the program's products have taken so far. The difference of two answers is the work of what
/// was between them, and of what other threads multiplied meanwhile.
pub fn multiplications() -> u64 {
    DONE.load(Ordering::Relaxed)
}

/// Multiplications a second of a large product on this machine as it is, measured when it is first asked for: what
/// nothing that is made of products can exceed for long. Takes some 100 ms on two cores.
pub fn full_rate() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        const SHAPE: [usize; 3] = [4096, 512, 512];
        let [m, n, k] = SHAPE;
        let (a, b, mut out) = (vec![0.5; m * k], vec![0.5; k * n], vec![0.0; m * n]);
        let mut pack = Pack::default();
        let mut seconds = f64::INFINITY;
        // The best of several: the first ones warm up caches and threads.
        for _ in 0..5 {
            let begun = Instant::now();
            product(SHAPE, View::rows(&a, k), View::rows(&b, n), &mut out, Finish::Set, &mut pack);
            seconds = seconds.min(begun.elapsed().as_secs_f64());
        }
        (m * n * k) as f64 / seconds
    })
}

/// Products with fewer multiplications stay on one thread.
const SMALL: usize = 1 << 18;

impl<'a> View<'a> {
    /// A row-major matrix of `width` columns.
    pub fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, row: width, column: 1 }
    }

    /// Rows and columns swapped.
    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }

    /// True when `rows` x `columns` elements are in the slice.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }

    fn below(self, row: usize) -> Self {
        Self { values: self.values.get(row * self.row..).unwrap_or_default(), ..self }
    }
}

/// `out = a b`, finished: `a` is `[m, k]`, `b` is `[k, n]`, `out` is `[m, n]` row-major, and `shape` is `[m, n, k]`.
pub fn product(
    shape: [usize; 3],
    a: View<'_>,
    b: View<'_>,
    out: &mut [f32],
    finish: Finish<'_>,
    pack: &mut Pack,
) {
    let [m, n, k] = shape;
    let operands = match finish {
        Finish::Bias(bias) | Finish::BiasRelu(bias) => bias.len() >= n,
        Finish::Gate { by, .. } => by.len() >= m * n,
        Finish::Set | Finish::Add | Finish::AddRelu => true,
    };
    assert!(a.holds(m, k) && b.holds(k, n) && out.len() == m * n && operands, "a product of {shape:?}");
    if m == 0 || n == 0 {
        return;
    }
    DONE.fetch_add((m * n * k) as u64, Ordering::Relaxed);
    #[cfg(target_arch = "x86_64")]
    // Without optimisation our own loops are a hundred times slower than the crate, which is built with it.
    if wide::available() && !cfg!(debug_assertions) && k > 0 {
        wide::product(shape, a, b, out, finish, &mut pack.0);
        return;
    }
    let _ = pack;
    by_crate(shape, a, b, out, finish);
}

#[allow(unsafe_code, reason = "the crate takes pointers")]
fn by_crate(shape: [usize; 3], a: View<'_>, b: View<'_>, out: &mut [f32], finish: Finish<'_>) {
    let [m, n, k] = shape;
    let adds = matches!(finish, Finish::Add | Finish::AddRelu);
    let threads = if m * n * k < SMALL { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(0) };
    // SAFETY: `product` has checked that all `m x k`, `k x n` and `m x n` elements lie in the slices, and `out` is
    // borrowed for writing, so it overlaps with neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            adds,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
    finish_rows(n, out, finish);
}

/// `max(x, 0)` that hands NaN on, so that a training that goes wrong is seen; `f32::max` would make it 0.
pub fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// What the crate leaves undone.
fn finish_rows(n: usize, out: &mut [f32], finish: Finish<'_>) {
    const ROWS: usize = 64;
    let chunks = out.par_chunks_mut(ROWS * n);
    match finish {
        Finish::Set | Finish::Add => {}
        Finish::AddRelu => chunks.for_each(|chunk| chunk.iter_mut().for_each(|value| *value = relu(*value))),
        Finish::Bias(bias) => chunks.for_each(|chunk| {
            for row in chunk.chunks_mut(n) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }),
        Finish::BiasRelu(bias) => chunks.for_each(|chunk| {
            for row in chunk.chunks_mut(n) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value = relu(*value + bias));
            }
        }),
        Finish::Gate { by, scale } => chunks.zip(by.par_chunks(ROWS * n)).for_each(|(chunk, by)| {
            for (value, by) in chunk.iter_mut().zip(by) {
                *value = if *by > 0.0 { *value * scale } else { 0.0 };
            }
        }),
    }
}

/// `out = start + sum of rows` of the row-major matrix `from`, whose width is that of `out`; rows are added in the
/// order given.
pub fn sum_of_rows(start: &[f32], from: &[f32], rows: impl Iterator<Item = u32> + Clone, out: &mut [f32]) {
    let width = out.len();
    assert_eq!(start.len(), width, "a start of the sum's width");
    #[cfg(target_arch = "x86_64")]
    if wide::available() && !cfg!(debug_assertions) {
        wide::sum_of_rows(start, from, rows, out);
        return;
    }
    out.copy_from_slice(start);
    for row in rows {
        let from = &from[row as usize * width..][..width];
        out.iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn normals(count: usize, name: &str) -> Vec<f32> {
        let mut rng = Rng::named(1, name);
        (0..count).map(|_| rng.normal() as f32).collect()
    }

    type By = fn([usize; 3], View<'_>, View<'_>, &mut [f32], Finish<'_>);

    /// One shape through one implementation, in all finishes and layouts, against sums in f64.
    fn agrees(shape: [usize; 3], by: By) {
        let [m, n, k] = shape;
        let (a, b) = (normals(m * k, "a"), normals(k * n, "b"));
        let (before, gate, bias) = (normals(m * n, "before"), normals(m * n, "gate"), normals(n, "bias"));
        let across = |values: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..columns * rows).map(|at| values[at % rows * columns + at / rows]).collect()
        };
        let (a_across, b_across) = (across(&a, m, k), across(&b, k, n));
        let layouts = [
            (View::rows(&a, k), View::rows(&b, n)),
            (View::rows(&a_across, m).transposed(), View::rows(&b, n)),
            (View::rows(&a, k), View::rows(&b_across, k).transposed()),
        ];
        let finishes = [
            Finish::Set,
            Finish::Add,
            Finish::AddRelu,
            Finish::Bias(&bias),
            Finish::BiasRelu(&bias),
            Finish::Gate { by: &gate, scale: 1.25 },
        ];
        for (a_view, b_view) in layouts {
            for finish in finishes {
                let mut out = before.clone();
                by(shape, a_view, b_view, &mut out, finish);
                for (at, got) in out.iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let sum: f64 = (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum();
                    let (was, bias) = (f64::from(before[at]), f64::from(bias[j]));
                    let want = match finish {
                        Finish::Set => sum,
                        Finish::Add => was + sum,
                        Finish::AddRelu => (was + sum).max(0.0),
                        Finish::Bias(_) => sum + bias,
                        Finish::BiasRelu(_) => (sum + bias).max(0.0),
                        Finish::Gate { .. } => {
                            if gate[at] > 0.0 {
                                sum * 1.25
                            } else {
                                0.0
                            }
                        }
                    };
                    let allowed = 1e-5 * (k as f64).sqrt().max(1.0);
                    assert!((f64::from(*got) - want).abs() < allowed, "{shape:?} {finish:?} {i} {j}");
                }
            }
        }
    }

    /// Shapes at, below and above the edges of tiles and blocks.
    const SHAPES: [[usize; 3]; 9] = [
        [1, 1, 1],
        [8, 48, 16],
        [7, 47, 3],
        [9, 49, 17],
        [65, 31, 5],
        [15, 64, 40],
        [130, 16, 2],
        [16, 20, 1300],
        [3, 100, 257],
    ];

    #[test]
    fn work_is_counted_and_the_full_rate_is_a_rate() {
        let before = multiplications();
        let (a, b, mut out) = (vec![1.0; 6], vec![1.0; 12], vec![0.0; 8]);
        product([2, 4, 3], View::rows(&a, 3), View::rows(&b, 4), &mut out, Finish::Set, &mut Pack::default());
        assert!(multiplications() - before >= 24, "other tests multiply too");
        assert!(full_rate().is_finite() && full_rate() > 1e6, "{}", full_rate());
    }

    #[test]
    fn nan_is_handed_on_where_a_negative_number_becomes_nothing() {
        let (a, b) = (vec![f32::NAN; 40 * 8], vec![1.0; 8 * 24]);
        let bias = vec![0.0; 24];
        for finish in [Finish::BiasRelu(&bias), Finish::AddRelu] {
            let mut out = vec![0.0; 40 * 24];
            product(
                [40, 24, 8],
                View::rows(&a, 8),
                View::rows(&b, 24),
                &mut out,
                finish,
                &mut Pack::default(),
            );
            assert!(out.iter().all(|value| value.is_nan()), "{finish:?}");
        }
    }

    #[test]
    fn the_crate_agrees_with_sums_in_double_precision() {
        SHAPES.iter().for_each(|shape| agrees(*shape, by_crate));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn tiles_agree_with_sums_in_double_precision() {
        // Elsewhere there is nothing to compare: `product` takes the crate.
        if wide::available() {
            SHAPES.iter().for_each(|shape| {
                agrees(*shape, |shape, a, b, out, finish| {
                    wide::product(shape, a, b, out, finish, &mut Vec::new());
                });
            });
        }
    }

    #[test]
    fn sums_of_rows_agree_whatever_their_width() {
        for width in [1, 15, 16, 17, 130, 400] {
            let (from, start) = (normals(7 * width, "from"), normals(width, "start"));
            let rows = [3_u32, 0, 6, 3];
            let mut want = start.clone();
            for row in rows {
                let of_row = &from[row as usize * width..][..width];
                want.iter_mut().zip(of_row).for_each(|(sum, value)| *sum += value);
            }
            let mut out = vec![0.0; width];
            sum_of_rows(&start, &from, rows.into_iter(), &mut out);
            assert_eq!(out, want);
            #[cfg(target_arch = "x86_64")]
            if wide::available() {
                let mut out = vec![0.0; width];
                wide::sum_of_rows(&start, &from, rows.into_iter(), &mut out);
                assert_eq!(out, want);
            }
        }
    }
}
