//! Which rows repeat an earlier one? One number per row, equal where all cells are, and a count of those that come
//! again.

use super::columns::{Described, mix};
use crate::base::Result;
use crate::base::simd::{Kernel, run_widest};
use crate::data::cells::{self, PIECE};
use crate::data::frame::LogFrame;
use crate::data::keyed::{Codes, each_width};
use crate::data::schema::{Column, ColumnType};
use crate::jobs::JobContext;
use rayon::prelude::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

/// Parts that hashes are laid into by their highest bits. What is asked of one stays close to the processor.
const PARTS: usize = 16;
/// Bits for each row in the table that tells which hashes may have been met before.
const BITS: usize = 16;

/// How many rows repeat an earlier one in every column but those that number the rows.
///
/// # Errors
/// A cancel, or a column that cannot be read.
pub(super) fn count(log: &LogFrame, described: &Described, context: &JobContext) -> Result<u64> {
    let mut hashes = vec![0u64; log.rows()];
    let work = |(piece, place): (usize, &mut [u64])| {
        context.check()?;
        let first = piece * PIECE;
        let mut hashes = vec![0u64; place.len()];
        let columns = log.schema.columns.iter().enumerate();
        for (place, column) in columns.filter(|(place, _)| !described.numbers_rows[*place]) {
            add(log, described, (place, column), first, &mut hashes)?;
        }
        Ok(laid_in_parts(&hashes, place))
    };
    let pieces = hashes.par_chunks_mut(PIECE).enumerate();
    let ends: Vec<[u32; PARTS]> = pieces.map(work).collect::<Result<_>>()?;
    Ok(repeated(&hashes, &ends))
}

/// Lays the hashes of a piece part by part; where each part ends.
fn laid_in_parts(hashes: &[u64], place: &mut [u64]) -> [u32; PARTS] {
    let part = |hash: u64| (hash >> (64 - PARTS.trailing_zeros())) as usize;
    let mut sizes = [0u32; PARTS];
    hashes.iter().for_each(|hash| sizes[part(*hash)] += 1);
    let mut ends = [0u32; PARTS];
    let mut end = 0;
    for (start, size) in ends.iter_mut().zip(sizes) {
        *start = end;
        end += size;
    }
    // Each start moves on to its end.
    for hash in hashes {
        let next = &mut ends[part(*hash)];
        place[*next as usize] = *hash;
        *next += 1;
    }
    ends
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
            each_width!(&text.codes, rows, |codes| {
                run_widest(Add { hashes, cells: codes, number: u64::from });
            });
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

/// How many numbers repeat an earlier one, in pieces of which each lies part by part.
fn repeated(hashes: &[u64], ends: &[[u32; PARTS]]) -> u64 {
    let parts = (0..PARTS).into_par_iter().with_max_len(1).map(|part| {
        let pieces = hashes.chunks(PIECE).zip(ends);
        let runs: Vec<&[u64]> = pieces
            .map(|(piece, ends)| {
                let start = part.checked_sub(1).map_or(0, |before| ends[before]);
                &piece[start as usize..ends[part] as usize]
            })
            .collect();
        repeated_in(&runs)
    });
    parts.sum()
}

/// How many numbers repeat an earlier one. A first look tells which may do so (Bloom 1970, with one hash); only
/// these are sorted.
fn repeated_in(runs: &[&[u64]]) -> u64 {
    let all = || runs.iter().copied().flatten().copied();
    let count: usize = runs.iter().map(|run| run.len()).sum();
    let bits = (count * BITS).next_power_of_two().max(64);
    let place = |hash: u64| ((hash as usize % bits) / 64, 1u64 << (hash % 64));
    let mut met = vec![0u64; bits / 64];
    let mut again = vec![0u64; bits / 64];
    let mut is_any = false;
    for hash in all() {
        let (word, bit) = place(hash);
        if met[word] & bit != 0 {
            again[word] |= bit;
            is_any = true;
        }
        met[word] |= bit;
    }
    if !is_any {
        return 0;
    }
    let is_suspect = |hash: &u64| {
        let (word, bit) = place(*hash);
        again[word] & bit != 0
    };
    let mut suspects: Vec<u64> = all().filter(is_suspect).collect();
    suspects.sort_unstable();
    let distinct = suspects.chunk_by(|one, next| one == next).count();
    (suspects.len() - distinct) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_those_of_a_sorted_list() {
        let numbers = |below: u64| (0..40_000).map(|row| mix(mix(row) % below)).collect::<Vec<_>>();
        for below in [1, 10, 3000, 100_000, u64::MAX] {
            let hashes = numbers(below);
            let distinct: std::collections::HashSet<_> = hashes.iter().collect();
            let mut laid = vec![0; hashes.len()];
            let pieces = hashes.chunks(PIECE).zip(laid.chunks_mut(PIECE));
            let ends: Vec<_> = pieces.map(|(piece, place)| laid_in_parts(piece, place)).collect();
            assert_eq!(repeated(&laid, &ends), (hashes.len() - distinct.len()) as u64, "{below}");
        }
        assert_eq!(repeated(&[], &[]), 0);
    }
}
