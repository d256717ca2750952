//! Who resembles whom by what they clicked, and what goes with what? Counts of pairs, and what they are divided by.
//!
//! Cosine and Jaccard look at what two columns have in common (Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS 2004);
//! the adjusted cosine takes each person's own mean off first (Sarwar et al., equation 3), so that somebody who clicks on
//! everything says nothing. Transposed, the same compares people by items.

use crate::base::Result;
use crate::base::simd::{Kernel, run_widest};
use crate::jobs::JobContext;
use rayon::prelude::*;

/// A sparse matrix of people and items, each pair once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Interactions {
    offsets: Vec<usize>,
    entries: Vec<(u32, f32)>,
    columns: usize,
}

impl Interactions {
    /// Rows and columns of pairs with a value; values of one pair are averaged.
    pub fn of(mut pairs: Vec<(u32, u32, f32)>, rows: usize, columns: usize) -> Self {
        pairs.par_sort_by_key(|(row, column, _)| (*row, *column));
        let mut found = Self { offsets: vec![0; rows + 1], entries: Vec::new(), columns };
        for same in pairs.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let (row, column, _) = same[0];
            let mean = same.iter().map(|(.., value)| value).sum::<f32>() / same.len() as f32;
            found.entries.push((column, mean));
            found.offsets[row as usize + 1] += 1;
        }
        (0..rows).for_each(|row| found.offsets[row + 1] += found.offsets[row]);
        found
    }

    /// Rows and columns of pairs that may stand several times, for products with dense matrices alone.
    pub(super) fn unmerged(pairs: &[(u32, u32, f32)], rows: usize, columns: usize) -> Self {
        let mut found = Self { offsets: vec![0; rows + 1], entries: vec![(0, 0.0); pairs.len()], columns };
        pairs.iter().for_each(|(row, ..)| found.offsets[*row as usize + 1] += 1);
        (0..rows).for_each(|row| found.offsets[row + 1] += found.offsets[row]);
        let mut next = found.offsets.clone();
        for (row, column, value) in pairs {
            let place = &mut next[*row as usize];
            found.entries[*place] = (*column, *value);
            *place += 1;
        }
        found
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// How many columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many pairs.
    pub fn pairs(&self) -> usize {
        self.entries.len()
    }

    /// Columns and values of a row, in order of columns.
    pub fn of_row(&self, row: usize) -> &[(u32, f32)] {
        &self.entries[self.offsets[row]..self.offsets[row + 1]]
    }

    /// True when a row has a column.
    pub fn has(&self, row: u32, column: u32) -> bool {
        self.of_row(row as usize).binary_search_by_key(&column, |(known, _)| *known).is_ok()
    }

    /// All pairs, in order.
    pub fn all_pairs(&self) -> Vec<(u32, u32)> {
        (0..self.rows())
            .flat_map(|row| self.of_row(row).iter().map(move |(column, _)| (row as u32, *column)))
            .collect()
    }

    /// Columns that some row has, in order: ids of values that are missing or rare are none.
    pub fn columns_with_pairs(&self) -> Vec<u32> {
        let mut columns: Vec<u32> = self.entries.iter().map(|(column, _)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The matrix times a dense one of `width` columns.
    pub fn times(&self, dense: &[f32], width: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.rows() * width];
        out.par_chunks_mut(ROWS * width.max(1)).enumerate().for_each(|(chunk, out)| {
            run_widest(Times { matrix: self, from: chunk * ROWS, dense, width, out });
        });
        out
    }

    /// The same pairs with values of row, column and value.
    #[must_use]
    pub fn valued(&self, value: impl Fn(usize, usize, f32) -> f32) -> Self {
        let mut found = self.clone();
        for row in 0..self.rows() {
            for (column, number) in &mut found.entries[self.offsets[row]..self.offsets[row + 1]] {
                *number = value(row, *column as usize, *number);
            }
        }
        found
    }

    /// Columns for rows.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut turned = Self {
            offsets: vec![0; self.columns + 1],
            entries: vec![(0, 0.0); self.entries.len()],
            columns: self.rows(),
        };
        self.entries.iter().for_each(|(column, _)| turned.offsets[*column as usize + 1] += 1);
        (0..self.columns).for_each(|column| turned.offsets[column + 1] += turned.offsets[column]);
        let mut next = turned.offsets.clone();
        for row in 0..self.rows() {
            for (column, value) in self.of_row(row) {
                let place = &mut next[*column as usize];
                turned.entries[*place] = (row as u32, *value);
                *place += 1;
            }
        }
        turned
    }

    /// Each row less the mean of its values.
    #[must_use]
    pub fn centred(&self) -> Self {
        let mut centred = self.clone();
        for row in 0..self.rows() {
            let entries = &mut centred.entries[self.offsets[row]..self.offsets[row + 1]];
            let mean = entries.iter().map(|(_, value)| value).sum::<f32>() / entries.len().max(1) as f32;
            entries.iter_mut().for_each(|(_, value)| *value -= mean);
        }
        centred
    }
}

/// Rows of a product that a thread makes at a time.
const ROWS: usize = 64;

/// Some rows of [`Interactions::times`].
struct Times<'a> {
    matrix: &'a Interactions,
    from: usize,
    dense: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { matrix, from, dense, width, out } = self;
        for (row, out) in (from..).zip(out.chunks_exact_mut(width.max(1))) {
            for (column, value) in matrix.of_row(row) {
                let from = &dense[*column as usize * width..][..width];
                out.iter_mut().zip(from).for_each(|(out, x)| *out += value * x);
            }
        }
    }
}

/// What counts as alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// `<x, y> / (|x| |y|)`.
    Cosine,
    /// What both have over what either has; values play no part.
    Jaccard,
    /// Cosine over the rows that both have, with each row's mean taken off beforehand.
    AdjustedCosine,
}

impl Likeness {
    /// As named in [`WORDS`](Self::WORDS).
    pub fn of(word: &str) -> Self {
        match word {
            "jaccard" => Self::Jaccard,
            "adjusted cosine" => Self::AdjustedCosine,
            _ => Self::Cosine,
        }
    }

    /// Their words in forms and flags.
    pub const WORDS: &'static [&'static str] = &["cosine", "jaccard", "adjusted cosine"];
}

/// How likeness is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbours {
    /// What counts as alike.
    pub likeness: Likeness,
    /// Only so many of the most alike, 0 for all.
    pub most: usize,
    /// Likeness of two that have `n` in common is multiplied by `n / (n + shrinkage)`.
    pub shrinkage: f32,
}

/// Sums over what two columns have in common.
#[derive(Debug, Clone, Copy, Default)]
struct Common {
    rows: f32,
    product: f32,
    own: f32,
    other: f32,
}

impl Neighbours {
    /// For each column of a matrix the columns most like it with their likeness, in order of columns; itself left out.
    ///
    /// # Errors
    /// A cancel.
    pub fn of_columns(self, matrix: &Interactions, context: &JobContext) -> Result<Vec<Vec<(u32, f32)>>> {
        let centred = (self.likeness == Likeness::AdjustedCosine).then(|| matrix.centred());
        let matrix = centred.as_ref().unwrap_or(matrix);
        let turned = matrix.transposed();
        let norm = |column: usize| turned.of_row(column).iter().map(|(_, x)| x * x).sum::<f32>().sqrt();
        let norms: Vec<f32> = (0..turned.rows()).map(norm).collect();
        let columns = turned.rows();
        let scratch = || (vec![Common::default(); columns], Vec::new());
        let work = |(common, met): &mut (Vec<Common>, Vec<u32>), column: usize| {
            context.check()?;
            for (row, own) in turned.of_row(column) {
                for (other, value) in matrix.of_row(*row as usize) {
                    let sums = &mut common[*other as usize];
                    if sums.rows == 0.0 {
                        met.push(*other);
                    }
                    sums.rows += 1.0;
                    sums.product += own * value;
                    sums.own += own * own;
                    sums.other += value * value;
                }
            }
            let size = |column: usize| turned.of_row(column).len() as f32;
            let mut near = Vec::with_capacity(met.len());
            for other in met.drain(..) {
                let sums = std::mem::take(&mut common[other as usize]);
                if other as usize == column {
                    continue;
                }
                let alike = match self.likeness {
                    Likeness::Cosine => sums.product / (norms[column] * norms[other as usize]),
                    Likeness::Jaccard => sums.rows / (size(column) + size(other as usize) - sums.rows),
                    Likeness::AdjustedCosine => sums.product / (sums.own * sums.other).sqrt(),
                };
                let alike = alike * (sums.rows / (sums.rows + self.shrinkage));
                if alike.is_finite() && alike != 0.0 {
                    near.push((other, alike));
                }
            }
            if self.most > 0 && near.len() > self.most {
                // Of equals the lower column goes first.
                near.select_nth_unstable_by(self.most, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                near.truncate(self.most);
            }
            near.sort_unstable_by_key(|(other, _)| *other);
            near.shrink_to_fit();
            Ok(near)
        };
        (0..columns).into_par_iter().map_init(scratch, work).collect()
    }
}

/// Each list of neighbours over the sum of its sizes, so that many neighbours count no more than few (Sarwar et al., WWW
/// 2001, section 3.2.1: the weighted sum).
pub fn shares(near: &mut [Vec<(u32, f32)>]) {
    near.par_iter_mut().for_each(|near| {
        let all: f32 = near.iter().map(|(_, alike)| alike.abs()).sum();
        near.iter_mut().for_each(|(_, alike)| *alike /= all);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three people, three items: 1 {a, b}, 2 {a, b, c}, 3 {a}.
    fn clicks() -> Interactions {
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)];
        Interactions::of(pairs.map(|(row, column)| (row, column, 1.0)).to_vec(), 3, 3)
    }

    fn alike(matrix: &Interactions, likeness: Likeness, shrinkage: f32) -> Vec<Vec<(u32, f32)>> {
        let neighbours = Neighbours { likeness, most: 0, shrinkage };
        neighbours.of_columns(matrix, &JobContext::detached()).unwrap()
    }

    #[test]
    fn cosine_and_jaccard_are_those_by_hand() {
        let close = |found: &[(u32, f32)], wanted: &[(u32, f64)]| {
            assert_eq!(found.len(), wanted.len());
            for ((item, value), (expected, number)) in found.iter().zip(wanted) {
                assert!(item == expected && (f64::from(*value) - number).abs() < 1e-6, "{found:?}");
            }
        };
        let cosine = alike(&clicks(), Likeness::Cosine, 0.0);
        // a in 3 rows, b in 2, c in 1; ab 2, ac 1, bc 1.
        close(&cosine[0], &[(1, 2.0 / 6f64.sqrt()), (2, 1.0 / 3f64.sqrt())]);
        close(&cosine[2], &[(0, 1.0 / 3f64.sqrt()), (1, 1.0 / 2f64.sqrt())]);
        let jaccard = alike(&clicks(), Likeness::Jaccard, 0.0);
        close(&jaccard[1], &[(0, 2.0 / 3.0), (2, 0.5)]);
        let shrunk = alike(&clicks(), Likeness::Jaccard, 2.0);
        close(&shrunk[1], &[(0, 2.0 / 3.0 * 0.5), (2, 0.5 / 3.0)]);
        // People by items: the first two have two items in common.
        let people = alike(&clicks().transposed(), Likeness::Jaccard, 0.0);
        close(&people[0], &[(1, 2.0 / 3.0), (2, 0.5)]);
    }

    #[test]
    fn adjusted_cosine_takes_off_who_always_rates_high() {
        // Ratings (Sarwar et al., equation 3): means 3 and 3; only rows that have both columns count.
        let ratings = vec![(0, 0, 5.0), (0, 1, 1.0), (1, 0, 2.0), (1, 1, 4.0), (2, 0, 4.0)];
        let found = alike(&Interactions::of(ratings, 3, 2), Likeness::AdjustedCosine, 0.0);
        let wanted = (2.0 * -2.0 + -1.0) / ((4.0f64 + 1.0) * (4.0 + 1.0)).sqrt();
        assert!((f64::from(found[0][0].1) - wanted).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn shares_add_up_to_one_and_nobody_near_stays_nobody() {
        let mut near = vec![vec![(1, 0.5), (2, -1.5)], Vec::new()];
        shares(&mut near);
        assert_eq!(near, [vec![(1, 0.25), (2, -0.75)], Vec::new()]);
    }

    #[test]
    fn only_the_most_alike_are_kept_and_values_of_a_pair_are_averaged() {
        let most = Neighbours { likeness: Likeness::Cosine, most: 1, shrinkage: 0.0 };
        let near = most.of_columns(&clicks(), &JobContext::detached()).unwrap();
        assert_eq!(near.iter().map(|near| near[0].0).collect::<Vec<_>>(), [1, 0, 1]);
        let twice = Interactions::of(vec![(0, 1, 1.0), (0, 1, 0.0), (0, 0, 1.0)], 1, 2);
        assert_eq!(twice.of_row(0), [(0, 1.0), (1, 0.5)]);
        assert_eq!(twice.transposed().transposed(), twice);
    }
}
