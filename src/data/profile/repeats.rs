//! Which rows repeat an earlier one? One number per row, equal where all cells are, and a count of those that come
//! again.
//!
//! Most logs are sorted by time, and equal rows have equal times: there they stand near each other, and only some
//! rows at a time are looked at. Elsewhere the numbers of all rows are held.

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
use std::ops::Range;

/// Parts that hashes are laid into by their highest bits. What is asked of one stays close to the processor.
const PARTS: usize = 16;
/// Bits for each row in the table that tells which hashes may have been met before.
const BITS: usize = 16;

/// Rows of equal time that are looked at together. Where there are more, sorting by time helps little.
const TOGETHER: usize = 64 * PIECE;

/// How many rows repeat an earlier one in every column but those that number the rows.
///
/// # Errors
/// A cancel, or a column that cannot be read.
pub(super) fn count(log: &LogFrame, described: &Described, context: &JobContext) -> Result<u64> {
    let times = log.schema.columns.iter().enumerate();
    let mut times =
        times.filter(|(place, time)| time.kind == ColumnType::Time && !described.numbers_rows[*place]);
    if let Some((_, time)) = times.next()
        && let Some(parts) = sorted_parts(log, &time.name)?
    {
        let work = |rows: Range<usize>| {
            context.check()?;
            Ok(repeated_in(&[&hashes_of(log, described, rows)?]))
        };
        return parts.into_par_iter().map(work).sum();
    }
    count_in_all(log, described, context)
}

/// Parts of a log in which rows of equal time stand together, where its times never fall or never rise; `None` where
/// they do, where one is missing, or where one holds for very many rows.
fn sorted_parts(log: &LogFrame, time: &str) -> Result<Option<Vec<Range<usize>>>> {
    let rows = log.rows();
    let look = |first: usize| {
        let before = first.saturating_sub(1);
        let times = cells::numbers_within(log, time, before..(first + PIECE).min(rows))?;
        let pairs = || times.windows(2).map(|pair| (pair[0], pair[1]));
        let change = pairs().position(|(one, next)| one != next).map(|place| before + place + 1);
        let start = if first == 0 { Some(0) } else { change };
        let has_all = times.iter().all(|time| !time.is_nan());
        Ok((
            has_all && pairs().all(|(one, next)| one <= next),
            has_all && pairs().all(|(one, next)| one >= next),
            start,
        ))
    };
    let firsts = (0..rows).into_par_iter().step_by(PIECE);
    let looks: Vec<(bool, bool, Option<usize>)> = firsts.map(look).collect::<Result<_>>()?;
    let is_sorted = looks.iter().all(|(rises, ..)| *rises) || looks.iter().all(|(_, falls, _)| *falls);
    let starts: Vec<usize> = looks.iter().filter_map(|(.., start)| *start).chain([rows]).collect();
    let parts: Vec<Range<usize>> = starts.windows(2).map(|ends| ends[0]..ends[1]).collect();
    Ok((is_sorted && parts.iter().all(|part| part.len() <= TOGETHER)).then_some(parts))
}

/// One number of each of some rows, equal where all cells are.
fn hashes_of(log: &LogFrame, described: &Described, rows: Range<usize>) -> Result<Vec<u64>> {
    let mut hashes = vec![0u64; rows.len()];
    let columns = log.schema.columns.iter().enumerate();
    for (place, column) in columns.filter(|(place, _)| !described.numbers_rows[*place]) {
        add(log, described, (place, column), rows.start, &mut hashes)?;
    }
    Ok(hashes)
}

/// As [`count`], whatever the order of the rows.
fn count_in_all(log: &LogFrame, described: &Described, context: &JobContext) -> Result<u64> {
    let mut hashes = vec![0u64; log.rows()];
    let work = |(piece, place): (usize, &mut [u64])| {
        context.check()?;
        let first = piece * PIECE;
        let hashes = hashes_of(log, described, first..first + place.len())?;
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
    use super::super::columns::describe;
    use super::*;
    use polars::prelude::{DataType, IntoColumn, NamedFrom, Series, TimeUnit, df};

    #[test]
    fn a_log_in_the_order_of_time_is_counted_as_any_other() {
        let rows = 5 * PIECE as i64 + 77;
        let log = |times: Vec<i64>| {
            let numbers: Vec<i64> = (0..rows).map(|row| (mix(row as u64) % 40) as i64).collect();
            let at = Series::new("at".into(), times)
                .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
                .unwrap();
            let mut frame = df!("n" => numbers).unwrap();
            frame.with_column(at.into_column()).unwrap();
            LogFrame::from_frame(frame, &[]).unwrap()
        };
        let context = JobContext::detached();
        // Seconds of 30 rows, seconds that fall, one second at the end of a piece, and no order.
        let orders: [(&dyn Fn(i64) -> i64, bool); 5] = [
            (&|row| row / 30 * 1000, true),
            (&|row| (rows - row) / 30 * 1000, true),
            (&|row| row / (PIECE as i64 / 2) * 1000, true),
            (&|row| row % 3000 * 1000, false),
            (&|row| if row == 70_000 { 0 } else { row / 30 * 1000 }, false),
        ];
        for (order, (time, is_sorted)) in orders.into_iter().enumerate() {
            let log = log((0..rows).map(time).collect());
            let described = describe(&log, &context).unwrap();
            assert_eq!(sorted_parts(&log, "at").unwrap().is_some(), is_sorted, "{order}");
            let repeated = count(&log, &described, &context).unwrap();
            assert_eq!(repeated, count_in_all(&log, &described, &context).unwrap(), "{order}");
            assert!(repeated > 0, "{order}");
        }
    }

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
