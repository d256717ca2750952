//! Which rows repeat an earlier one? One number per row, equal where all cells are, and a count of those that come
//! again.

use super::columns::{Described, mix};
use crate::base::Result;
use crate::base::simd::{Kernel, run_widest};
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::schema::{Column, ColumnType};
use crate::jobs::JobContext;
use rayon::prelude::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

/// Rows that are hashed at once.
const PIECE: usize = 1 << 14;
/// Bits for each row in the table that tells which hashes may have been met before.
const BITS: usize = 16;

/// How many rows repeat an earlier one in every column but those that number the rows.
///
/// # Errors
/// A cancel, or a column that cannot be read.
pub(super) fn count(log: &LogFrame, described: &Described, context: &JobContext) -> Result<u64> {
    let mut hashes = vec![0u64; log.rows()];
    let work = |(piece, hashes): (usize, &mut [u64])| {
        context.check()?;
        let first = piece * PIECE;
        let columns = log.schema.columns.iter().enumerate();
        for (place, column) in columns.filter(|(place, _)| !described.numbers_rows[*place]) {
            add(log, described, (place, column), first, hashes)?;
        }
        Ok(())
    };
    hashes.par_chunks_mut(PIECE).enumerate().map(work).collect::<Result<()>>()?;
    Ok(repeated(hashes))
}

/// Mixes the cells of a column into the hashes of some rows.
fn add(
    log: &LogFrame,
    described: &Described,
    (place, column): (usize, &Column),
    first: usize,
    hashes: &mut [u64],
) -> Result<()> {
    let rows = first..first + hashes.len();
    match (&described.texts[place], column.kind) {
        (Some(text), _) => {
            run_widest(Add { hashes, cells: &text.codes[rows], number: |code: u32| u64::from(code) });
        }
        (None, ColumnType::List) => {
            run_widest(Add { hashes, cells: &described.list_hashes[place][rows], number: |hash: u64| hash });
        }
        (None, _) => {
            let numbers = cells::numbers_within(log, &column.name, rows)?;
            // Adding 0.0 makes -0.0 and 0.0 one value.
            let number = |number: f64| (number + 0.0).to_bits();
            run_widest(Add { hashes, cells: &numbers, number });
        }
    }
    Ok(())
}

/// Mixes a number of each cell into the hash of its row.
struct Add<'a, T, N> {
    hashes: &'a mut [u64],
    cells: &'a [T],
    number: N,
}

impl<T: Copy, N: Fn(T) -> u64> Kernel for Add<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (hash, cell) in self.hashes.iter_mut().zip(self.cells) {
            *hash = mix(*hash ^ (self.number)(*cell));
        }
    }
}

/// How many numbers repeat an earlier one. A first look tells which may do so (Bloom 1970, with one hash); only
/// these are sorted.
fn repeated(mut hashes: Vec<u64>) -> u64 {
    let bits = (hashes.len() * BITS).next_power_of_two().max(64);
    let place = |hash: u64| ((hash as usize % bits) / 64, 1u64 << (hash % 64));
    let mut met = vec![0u64; bits / 64];
    let mut again = vec![0u64; bits / 64];
    let mut is_any = false;
    for hash in &hashes {
        let (word, bit) = place(*hash);
        if met[word] & bit != 0 {
            again[word] |= bit;
            is_any = true;
        }
        met[word] |= bit;
    }
    if !is_any {
        return 0;
    }
    drop(met);
    hashes.retain(|hash| {
        let (word, bit) = place(*hash);
        again[word] & bit != 0
    });
    hashes.par_sort_unstable();
    let distinct = hashes.chunk_by(|one, next| one == next).count();
    (hashes.len() - distinct) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_those_of_a_sorted_list() {
        let numbers = |below: u64| (0..5000).map(|row| mix(mix(row) % below)).collect::<Vec<_>>();
        for below in [1, 10, 3000, 100_000, u64::MAX] {
            let hashes = numbers(below);
            let distinct: std::collections::HashSet<_> = hashes.iter().collect();
            assert_eq!(repeated(hashes.clone()), (hashes.len() - distinct.len()) as u64, "{below}");
        }
        assert_eq!(repeated(Vec::new()), 0);
    }
}
