//! How does a product use vectors of 512 bits?
//!
//! The classic scheme (Goto & van de Geijn 2008): a tile of 8 x 48 sums stays in 24 registers while `k` runs; each step
//! loads 3 vectors of `b` and multiplies them by 8 single numbers of `a`. `b` is rearranged so that a panel of 48
//! columns is one stream; `a` is read where it lies.
#![allow(unsafe_code, reason = "vector instructions read and write through pointers")]

use super::{Finish, SMALL, View};
use rayon::prelude::*;
use std::arch::x86_64::{
    __m512, _CMP_GT_OQ, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_maskz_mul_ps, _mm512_max_ps, _mm512_set1_ps,
    _mm512_setzero_ps,
};

/// Numbers in a vector.
const LANES: usize = 16;
/// Vectors across a tile.
const ACROSS: usize = 3;
/// Columns of a panel.
const PANEL: usize = LANES * ACROSS;
/// Rows of a tile.
const DOWN: usize = 8;
/// Rows of `out` that a thread takes at a time.
const ROWS: usize = 64;
/// From this `k` on, sums that need no finish go through memory every `K_BLOCK`, so that operands stay in cache.
const LONG_K: usize = 1024;
const K_BLOCK: usize = 128;

/// True when this processor has what [`product`] needs.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// As [`super::product`], which has checked that operands lie in their slices.
pub(super) fn product(
    shape: [usize; 3],
    a: View<'_>,
    b: View<'_>,
    out: &mut [f32],
    finish: Finish<'_>,
    pack: &mut Vec<f32>,
) {
    let [m, n, k] = shape;
    let alone = m * n * k < SMALL;
    if k >= LONG_K && b.column == 1 && matches!(finish, Finish::Set | Finish::Add) {
        // Few large parts: each reads all of `b`.
        let tiles = m.div_ceil(DOWN);
        let rows = if alone { m } else { tiles.div_ceil(2 * rayon::current_num_threads()) * DOWN };
        let part = |(at, out): (usize, &mut [f32])| {
            for from in (0..k).step_by(K_BLOCK) {
                let some = K_BLOCK.min(k - from);
                let a = View { values: &a.values[at * rows * a.row + from * a.column..], ..a };
                let b = Panels { values: &b.values[from * b.row..], step: b.row, panel: PANEL };
                let finish = if from == 0 { finish } else { Finish::Add };
                part_of(out, n, some, a, b, finish);
            }
        };
        if alone {
            part((0, out))
        } else {
            out.par_chunks_mut(rows * n).enumerate().for_each(part)
        }
        return;
    }
    rearrange(n, k, b, pack, alone);
    let b = Panels { values: pack, step: PANEL, panel: PANEL * k };
    let part = |(at, out): (usize, &mut [f32])| {
        let finish = match finish {
            Finish::Gate { by, scale } => Finish::Gate { by: &by[at * ROWS * n..], scale },
            other => other,
        };
        part_of(out, n, k, a.below(at * ROWS), b, finish);
    };
    if alone {
        out.chunks_mut(ROWS * n).enumerate().for_each(part);
    } else {
        out.par_chunks_mut(ROWS * n).enumerate().for_each(part);
    }
}

/// `b` as panels of [`PANEL`] columns, the last filled up with zeros: `[panel][k][column]`.
fn rearrange(n: usize, k: usize, b: View<'_>, pack: &mut Vec<f32>, alone: bool) {
    pack.resize(n.div_ceil(PANEL) * PANEL * k, 0.0);
    let fill = |(panel, to): (usize, &mut [f32])| {
        let columns = PANEL.min(n - panel * PANEL);
        for (p, to) in to.chunks_exact_mut(PANEL).enumerate() {
            let from = &b.values[p * b.row + panel * PANEL * b.column..];
            if b.column == 1 {
                to[..columns].copy_from_slice(&from[..columns]);
            } else {
                to[..columns]
                    .iter_mut()
                    .zip(from.iter().step_by(b.column))
                    .for_each(|(to, from)| *to = *from);
            }
            to[columns..].fill(0.0);
        }
    };
    let panels = pack.as_mut_slice();
    if alone {
        panels.chunks_mut(PANEL * k).enumerate().for_each(fill);
    } else {
        panels.par_chunks_mut(PANEL * k).enumerate().for_each(fill);
    }
}

/// Where the panels of `b` lie.
#[derive(Clone, Copy)]
struct Panels<'a> {
    values: &'a [f32],
    /// From one `k` to the next.
    step: usize,
    /// From one panel to the next.
    panel: usize,
}

/// Some whole rows of the product, on one thread.
fn part_of(out: &mut [f32], n: usize, k: usize, a: View<'_>, panels: Panels<'_>, finish: Finish<'_>) {
    let rows = out.len() / n;
    for (panel, column) in (0..n).step_by(PANEL).enumerate() {
        let columns = PANEL.min(n - column);
        let b = &panels.values[panel * panels.panel..];
        let mut row = 0;
        while row < rows {
            let down = match rows - row {
                DOWN.. => DOWN,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let tile = Tile {
                k,
                a: a.below(row),
                b,
                b_step: panels.step,
                out: &mut out[row * n + column..],
                width: n,
                columns,
                finish: match finish {
                    Finish::Bias(bias) => Finish::Bias(&bias[column..]),
                    Finish::BiasRelu(bias) => Finish::BiasRelu(&bias[column..]),
                    Finish::Gate { by, scale } => Finish::Gate { by: &by[row * n + column..], scale },
                    other => other,
                },
            };
            tile.run(down);
            row += down;
        }
    }
}

/// One tile: slices begin at its first element.
struct Tile<'a> {
    k: usize,
    a: View<'a>,
    b: &'a [f32],
    b_step: usize,
    out: &'a mut [f32],
    /// From one row of `out` to the next.
    width: usize,
    /// At most [`PANEL`].
    columns: usize,
    finish: Finish<'a>,
}

impl Tile<'_> {
    fn run(mut self, down: usize) {
        // What the vectors below read and write; the checks cost nothing beside the sums.
        let last_row = (down - 1) * self.width + self.columns;
        assert!(self.out.len() >= last_row && self.a.holds(down, self.k));
        assert!(self.b.len() >= (self.k - 1) * self.b_step + self.columns);
        assert!(match self.finish {
            Finish::Bias(bias) | Finish::BiasRelu(bias) => bias.len() >= self.columns,
            Finish::Gate { by, .. } => by.len() >= last_row,
            Finish::Set | Finish::Add | Finish::AddRelu => true,
        });
        // SAFETY: `available` has found the instructions, and the slices hold the tile: `down` rows of `columns`
        // columns of `out`, `k` numbers of `a` for each row, `k` rows of `columns` columns of `b`. Columns beyond are
        // masked out.
        unsafe {
            match (down, self.columns.div_ceil(LANES)) {
                (8, 3) => self.sums::<8, 3>(),
                (8, 2) => self.sums::<8, 2>(),
                (8, _) => self.sums::<8, 1>(),
                (4, 3) => self.sums::<4, 3>(),
                (4, 2) => self.sums::<4, 2>(),
                (4, _) => self.sums::<4, 1>(),
                (2, 3) => self.sums::<2, 3>(),
                (2, 2) => self.sums::<2, 2>(),
                (2, _) => self.sums::<2, 1>(),
                (_, 3) => self.sums::<1, 3>(),
                (_, 2) => self.sums::<1, 2>(),
                (_, _) => self.sums::<1, 1>(),
            }
        }
    }

    /// # Safety
    /// The processor has AVX-512F, and the slices hold the tile of `DOWN_ROWS` rows (see [`run`](Self::run)).
    #[target_feature(enable = "avx512f")]
    unsafe fn sums<const DOWN_ROWS: usize, const VECTORS: usize>(&mut self) {
        let mask = mask_of(self.columns - LANES * (VECTORS - 1));
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; DOWN_ROWS];
        let (mut a, mut b) = (self.a.values.as_ptr(), self.b.as_ptr());
        for _ in 0..self.k {
            let mut across = [_mm512_setzero_ps(); VECTORS];
            for (vector, to) in across.iter_mut().enumerate() {
                // SAFETY: vectors before the last are whole, the last is masked to the columns that are there.
                *to = unsafe {
                    if vector + 1 < VECTORS {
                        _mm512_loadu_ps(b.add(vector * LANES))
                    } else {
                        _mm512_maskz_loadu_ps(mask, b.add(vector * LANES))
                    }
                };
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: row `row` of `a` has `k` numbers.
                let one = _mm512_set1_ps(unsafe { *a.add(row * self.a.row) });
                for (sum, across) in sums.iter_mut().zip(across) {
                    *sum = _mm512_fmadd_ps(one, across, *sum);
                }
            }
            // Beyond the last step these point past the slices, which is allowed as long as nobody looks.
            a = a.wrapping_add(self.a.column);
            b = b.wrapping_add(self.b_step);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                let mask = if vector + 1 < VECTORS { 0xFFFF } else { mask };
                // SAFETY: the place is in the tile, and the mask keeps to its columns.
                unsafe { self.store(sum, row * self.width + vector * LANES, vector * LANES, mask) };
            }
        }
    }

    /// # Safety
    /// The lanes of `mask` at `place` of `out` (and of a gate), and at `column` of a bias, are in their slices.
    #[target_feature(enable = "avx512f")]
    unsafe fn store(&mut self, sum: __m512, place: usize, column: usize, mask: u16) {
        let zero = _mm512_setzero_ps();
        // SAFETY: as promised by the caller, for every load and for the store.
        unsafe {
            let out = self.out.as_mut_ptr().add(place);
            let done = match self.finish {
                Finish::Set => sum,
                Finish::Add => _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, out)),
                Finish::AddRelu => _mm512_max_ps(zero, _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, out))),
                Finish::Bias(bias) => {
                    _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, bias.as_ptr().add(column)))
                }
                Finish::BiasRelu(bias) => {
                    let bias = _mm512_maskz_loadu_ps(mask, bias.as_ptr().add(column));
                    // In this order NaN is handed on.
                    _mm512_max_ps(zero, _mm512_add_ps(sum, bias))
                }
                Finish::Gate { by, scale } => {
                    let by = _mm512_maskz_loadu_ps(mask, by.as_ptr().add(place));
                    let open = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(by, zero);
                    _mm512_maskz_mul_ps(open, sum, _mm512_set1_ps(scale))
                }
            };
            _mm512_mask_storeu_ps(out, mask, done);
        }
    }
}

/// The lowest `columns` lanes, of 16.
fn mask_of(columns: usize) -> u16 {
    if columns >= LANES { 0xFFFF } else { (1 << columns) - 1 }
}

/// As [`super::sum_of_rows`], which has checked `start`.
pub(super) fn sum_of_rows(
    start: &[f32],
    from: &[f32],
    rows: impl Iterator<Item = u32> + Clone,
    out: &mut [f32],
) {
    let mut column = 0;
    while column < out.len() {
        let vectors = (out.len() - column).div_ceil(LANES);
        // SAFETY: `available` has found the instructions.
        column += LANES
            * unsafe {
                match vectors {
                    8.. => sum_of_columns::<8>(start, from, rows.clone(), out, column),
                    4.. => sum_of_columns::<4>(start, from, rows.clone(), out, column),
                    2.. => sum_of_columns::<2>(start, from, rows.clone(), out, column),
                    _ => sum_of_columns::<1>(start, from, rows.clone(), out, column),
                }
            };
    }
}

/// Sums of some vectors from `column` on, which stay in registers while the rows pass. Answers how many vectors.
///
/// # Safety
/// The processor has AVX-512F.
#[target_feature(enable = "avx512f")]
unsafe fn sum_of_columns<const VECTORS: usize>(
    start: &[f32],
    from: &[f32],
    rows: impl Iterator<Item = u32>,
    out: &mut [f32],
    column: usize,
) -> usize {
    let width = out.len();
    let columns = column..width.min(column + VECTORS * LANES);
    let (start, out) = (&start[columns.clone()], &mut out[columns.clone()]);
    // Only the last vector may be short: the caller asks for no more vectors than have begun.
    let mask = mask_of(start.len() - (VECTORS - 1) * LANES);
    let mask = |vector: usize| if vector + 1 < VECTORS { 0xFFFF } else { mask };
    let mut sums = [_mm512_setzero_ps(); VECTORS];
    for (vector, sum) in sums.iter_mut().enumerate() {
        // SAFETY: the mask keeps to the slice.
        *sum = unsafe { _mm512_maskz_loadu_ps(mask(vector), start.as_ptr().add(vector * LANES)) };
    }
    for row in rows {
        let from = &from[row as usize * width..][..width][columns.clone()];
        for (vector, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `from` is as long as `start`, and the mask keeps to it.
            let values = unsafe { _mm512_maskz_loadu_ps(mask(vector), from.as_ptr().add(vector * LANES)) };
            *sum = _mm512_add_ps(*sum, values);
        }
    }
    for (vector, sum) in sums.into_iter().enumerate() {
        // SAFETY: `out` is as long as `start`, and the mask keeps to it.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr().add(vector * LANES), mask(vector), sum) };
    }
    VECTORS
}
