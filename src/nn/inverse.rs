//! How is a large symmetric matrix inverted, and a small system solved?
//!
//! The large one by sweeping blocks of its diagonal (Beaton 1964; Goodnight, The American Statistician 33, 1979): after
//! all are swept the matrix is the inverse with its sign turned. A sweep is one product of a column of blocks with its
//! own transpose, so it runs at the machine's full rate; only the lower half is held and updated, `n^3 / 2`
//! multiplications in all. The small one by Cholesky's factor in double precision.

use super::product::{Finish, Pack, View, product};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Rows and columns of a block.
const BLOCK: usize = 256;

const WHAT: &str = "cannot invert the matrix";

/// The lower half of a symmetric matrix, in strips of `BLOCK` rows: strip `s` holds columns up to its own last one.
#[derive(Debug)]
pub struct Symmetric {
    n: usize,
    strips: Vec<Vec<f32>>,
}

impl Symmetric {
    /// A matrix of zeros.
    pub fn zeros(n: usize) -> Self {
        let width = |strip: usize| ((strip + 1) * BLOCK).min(n);
        let rows = |strip: usize| width(strip) - strip * BLOCK;
        let strips = (0..n.div_ceil(BLOCK)).map(|strip| vec![0.0; rows(strip) * width(strip)]).collect();
        Self { n, strips }
    }

    /// Rows, and columns.
    pub fn size(&self) -> usize {
        self.n
    }

    /// The element of a row and a column.
    #[inline]
    pub fn get(&self, row: usize, column: usize) -> f32 {
        let (row, column) = (row.max(column), row.min(column));
        let strip = row / BLOCK;
        self.strips[strip][(row % BLOCK) * self.width(strip) + column]
    }

    /// Adds to the element of a row and a column, and of the column and the row.
    #[inline]
    pub fn add(&mut self, row: usize, column: usize, number: f32) {
        let (row, column) = (row.max(column), row.min(column));
        let (strip, width) = (row / BLOCK, self.width(row / BLOCK));
        self.strips[strip][(row % BLOCK) * width + column] += number;
        // Both halves of a block on the diagonal are held.
        if column / BLOCK == strip && column != row {
            self.strips[strip][(column % BLOCK) * width + row] += number;
        }
    }

    fn width(&self, strip: usize) -> usize {
        ((strip + 1) * BLOCK).min(self.n)
    }

    /// The inverse of a positive definite matrix, in its place.
    ///
    /// # Errors
    /// The matrix is not positive definite as far as single precision can tell, or a cancel.
    pub fn inverted(mut self, context: &JobContext) -> Result<Self> {
        let blocks = self.strips.len();
        let mut buffers = Buffers::default();
        for block in 0..blocks {
            context.check()?;
            context.progress(block as u64, blocks as u64);
            self.sweep(block, &mut buffers)?;
        }
        self.strips.iter_mut().flatten().for_each(|number| *number = -*number);
        Ok(self)
    }

    /// Bytes that a matrix of `n` rows takes, and its inversion beside it.
    pub fn bytes(n: usize) -> u64 {
        let n = n as u64;
        let blocks = BLOCK as u64;
        // Half of it and the blocks on the diagonal; a column of blocks, its product and that with its sign turned.
        4 * (n * (n + blocks) / 2 + 3 * n * blocks)
    }

    /// For each list of rows the sum of these rows: `[lists, n]`.
    pub fn summed_rows(&self, lists: &[Vec<u32>]) -> Vec<f32> {
        let mut of_blocks: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.strips.len()];
        for (list, rows) in lists.iter().enumerate() {
            for row in rows {
                of_blocks[*row as usize / BLOCK].push((list, *row as usize));
            }
        }
        let parts: Vec<Vec<f32>> = (0..self.strips.len())
            .into_par_iter()
            .map(|block| self.summed(block, &of_blocks, lists.len()))
            .collect();
        let mut out = vec![0.0; lists.len() * self.n];
        out.par_chunks_mut(self.n.max(1)).enumerate().for_each(|(list, out)| {
            for (out, part) in out.chunks_mut(BLOCK).zip(&parts) {
                let size = out.len();
                out.copy_from_slice(&part[list * size..][..size]);
            }
        });
        out
    }

    /// Columns of one block: `[lists, columns]`. `of_blocks` are lists and rows by the rows' blocks.
    fn summed(&self, block: usize, of_blocks: &[Vec<(usize, usize)>], lists: usize) -> Vec<f32> {
        let (from, end) = (block * BLOCK, self.width(block));
        let size = end - from;
        let mut out = vec![0.0; lists * size];
        let mut add = |list: usize, row: &[f32]| {
            out[list * size..][..size].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        };
        let mut turned = vec![0.0; BLOCK * size];
        for (other, entries) in of_blocks.iter().enumerate() {
            if other >= block {
                let width = self.width(other);
                for (list, row) in entries {
                    add(*list, &self.strips[other][row % BLOCK * width + from..][..size]);
                }
                continue;
            }
            // Above the diagonal it is the other half, lying.
            if entries.is_empty() {
                continue;
            }
            for (at, row) in self.strips[block].chunks_exact(end).enumerate() {
                for (place, x) in row[other * BLOCK..][..BLOCK].iter().enumerate() {
                    turned[place * size + at] = *x;
                }
            }
            for (list, row) in entries {
                add(*list, &turned[row % BLOCK * size..][..size]);
            }
        }
        out
    }

    /// `A_kk <- -D`, `A_ik <- A_ik D`, `A_ij <- A_ij - A_ik D A_kj` with `D` the inverse of block `k` of the diagonal.
    fn sweep(&mut self, block: usize, buffers: &mut Buffers) -> Result<()> {
        let (n, from) = (self.n, block * BLOCK);
        let size = self.width(block) - from;
        let Buffers { column, times, pack } = buffers;
        self.take_column(block, size, column);
        let pivot = invert_small(&column[from * size..][..size * size], size)?;
        // The column times D; its own block stays out of the update.
        times.resize(n * size, 0.0);
        product(
            [n, size, size],
            View::rows(column, size),
            View::rows(&pivot, size),
            times,
            Finish::Set,
            pack,
        );
        let own = from * size..(from + size) * size;
        times[own.clone()].fill(0.0);
        for (strip, numbers) in self.strips.iter_mut().enumerate() {
            let (first, width) = (strip * BLOCK, ((strip + 1) * BLOCK).min(n));
            let rows = width - first;
            let minus: Vec<f32> = times[first * size..][..rows * size].iter().map(|x| -x).collect();
            let transposed = View { values: column, row: 1, column: size };
            product([rows, width, size], View::rows(&minus, size), transposed, numbers, Finish::Add, pack);
        }
        times[own].iter_mut().zip(&pivot).for_each(|(to, d)| *to = -d);
        self.put_column(block, size, times);
        Ok(())
    }

    /// Column `block` of blocks, whole: `[n, size]`.
    fn take_column(&self, block: usize, size: usize, out: &mut Vec<f32>) {
        let from = block * BLOCK;
        out.clear();
        // Above the diagonal it is the strip of the block, lying.
        let width = self.width(block);
        for row in 0..from {
            out.extend((0..size).map(|at| self.strips[block][at * width + row]));
        }
        for strip in block..self.strips.len() {
            let width = self.width(strip);
            for row in self.strips[strip].chunks_exact(width) {
                out.extend_from_slice(&row[from..from + size]);
            }
        }
    }

    fn put_column(&mut self, block: usize, size: usize, column: &[f32]) {
        let from = block * BLOCK;
        let width = self.width(block);
        for row in 0..from {
            for at in 0..size {
                self.strips[block][at * width + row] = column[row * size + at];
            }
        }
        let mut rows = column[from * size..].chunks_exact(size);
        for strip in block..self.strips.len() {
            let width = self.width(strip);
            for (to, row) in self.strips[strip].chunks_exact_mut(width).zip(&mut rows) {
                to[from..from + size].copy_from_slice(row);
            }
        }
    }
}

/// Kept between sweeps.
#[derive(Default)]
struct Buffers {
    column: Vec<f32>,
    times: Vec<f32>,
    pack: Pack,
}

/// The inverse of a small positive definite matrix `[n, n]`, in double precision.
fn invert_small(matrix: &[f32], n: usize) -> Result<Vec<f32>> {
    let mut a: Vec<f64> = matrix.iter().map(|x| f64::from(*x)).collect();
    for k in 0..n {
        let pivot = a[k * n + k];
        if pivot.is_nan() || pivot <= 0.0 {
            let why = format!("it is not positive definite: a pivot is {pivot}");
            return Err(Failure::new(WHAT, why).hint("a stronger penalty"));
        }
        let row: Vec<f64> = a[k * n..][..n].to_vec();
        for i in (0..n).filter(|i| *i != k) {
            let factor = a[i * n + k] / pivot;
            for j in (0..n).filter(|j| *j != k) {
                a[i * n + j] -= factor * row[j];
            }
            a[i * n + k] = factor;
        }
        for j in (0..n).filter(|j| *j != k) {
            a[k * n + j] = row[j] / pivot;
        }
        a[k * n + k] = -1.0 / pivot;
    }
    Ok(a.iter().map(|x| -x as f32).collect())
}

/// Solves `A x = b` for a positive definite `A` `[n, n]`, whose lower half becomes its Cholesky factor; `b` becomes `x`.
///
/// # Errors
/// `A` is not positive definite.
pub fn solve(a: &mut [f64], b: &mut [f64]) -> Result<()> {
    let n = b.len();
    for j in 0..n {
        let (above, rest) = a.split_at_mut(j * n);
        let row = &mut rest[..n];
        for k in 0..j {
            let other = &above[k * n..][..k];
            let sum: f64 = row[..k].iter().zip(other).map(|(x, y)| x * y).sum();
            row[k] = (row[k] - sum) / above[k * n + k];
        }
        let square = row[j] - row[..j].iter().map(|x| x * x).sum::<f64>();
        if square.is_nan() || square <= 0.0 {
            return Err(Failure::new("cannot solve the system", "its matrix is not positive definite")
                .hint("a stronger penalty"));
        }
        row[j] = square.sqrt();
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| a[i * n + k] * b[k]).sum();
        b[i] = (b[i] - sum) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum();
        b[i] = (b[i] - sum) / a[i * n + i];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        for n in [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 77] {
            let mut rng = Rng::named(n as u64, "inverse");
            let half: Vec<f32> = (0..n * 3).map(|_| rng.normal() as f32).collect();
            let mut matrix = Symmetric::zeros(n);
            for row in 0..n {
                for column in 0..=row {
                    let product: f32 = (0..3).map(|k| half[row * 3 + k] * half[column * 3 + k]).sum();
                    matrix.add(row, column, product + if row == column { 2.0 } else { 0.0 });
                }
            }
            let whole: Vec<f32> = (0..n * n).map(|at| matrix.get(at / n, at % n)).collect();
            assert!((0..n).all(|i| (0..n).all(|j| whole[i * n + j] == whole[j * n + i])));
            let lists = [vec![0, n as u32 - 1], vec![], vec![n as u32 / 2, 0, n as u32 / 3]];
            let sums = matrix.summed_rows(&lists);
            for (at, sum) in sums.iter().enumerate() {
                let rows = lists[at / n].iter();
                let wanted: f32 = rows.map(|row| whole[*row as usize * n + at % n]).sum();
                assert!((sum - wanted).abs() < 1e-4, "{n}: {at} {sum} {wanted}");
            }
            let inverse = matrix.inverted(&JobContext::detached()).unwrap();
            for i in (0..n).step_by(1 + n / 9) {
                for j in 0..n {
                    let sum: f64 =
                        (0..n).map(|k| f64::from(whole[i * n + k]) * f64::from(inverse.get(k, j))).sum();
                    let one = f64::from(u8::from(i == j));
                    assert!((sum - one).abs() < 2e-3, "{n}: ({i}, {j}) {sum}");
                }
            }
        }
        let of_strips: usize = Symmetric::zeros(700).strips.iter().map(Vec::len).sum();
        let beside = 4 * 3 * 700 * BLOCK;
        assert!(Symmetric::bytes(700) >= (4 * of_strips + beside) as u64);
        let mut bad = Symmetric::zeros(2);
        bad.add(0, 0, 1.0);
        bad.add(1, 0, 2.0);
        bad.add(1, 1, 1.0);
        assert!(bad.inverted(&JobContext::detached()).unwrap_err().why.contains("positive definite"));
    }

    #[test]
    fn a_system_is_solved_to_the_last_digits() {
        // By hand: [[4, 2, 1], [2, 5, 3], [1, 3, 6]] x = (1, 2, 3).
        let mut a = [4.0, 2.0, 1.0, 2.0, 5.0, 3.0, 1.0, 3.0, 6.0];
        let mut b = [1.0, 2.0, 3.0];
        let whole = a;
        solve(&mut a, &mut b).unwrap();
        for (i, right) in [1.0, 2.0, 3.0].iter().enumerate() {
            let sum: f64 = (0..3).map(|j| whole[3 * i + j] * b[j]).sum();
            assert!((sum - right).abs() < 1e-14, "{sum}");
        }
        assert!(solve(&mut [1.0, 2.0, 2.0, 1.0], &mut [1.0, 1.0]).is_err());
    }
}
