//! How is a text read line by line? On all cores, in order, with the bad lines counted.

use super::batch::Batch;
use super::container::Input;
use super::records::{BadRows, Block, Cut, RecordReader, head_records};
use super::sparse::Visit;
use crate::base::Result;
use crate::jobs::JobContext;
use rayon::prelude::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A line is one cell, whatever it holds.
const LINE: Cut = Cut { quote: None, ..Cut::lines() };
/// Lines that decide what a file is.
const SAMPLE: usize = 200;

/// The first whole lines of a text that hold more than spaces.
pub(super) fn head_lines(input: &Input) -> Vec<String> {
    let records = head_records(&input.head, input.head_is_all, LINE, SAMPLE);
    records.into_iter().flatten().filter(|line| !line.trim().is_empty()).collect()
}

/// True when the first line and nearly all after it pass a test: nine of ten, or two of three where there are few. A
/// first line that fails may be a header.
pub(super) fn nearly_all<T>(lines: &[T], test: impl Fn(&T) -> bool) -> bool {
    const FEW: usize = 20;
    let fits = lines.iter().filter(|line| test(line)).count();
    let wanted = if lines.len() < FEW { 2.0 / 3.0 } else { 0.9 };
    lines.first().is_some_and(&test) && fits as f64 >= wanted * lines.len() as f64
}

/// Parses every line and hands the results over in the order of the file. A line that cannot be parsed is counted
/// with the reason that `parse` gives.
///
/// # Errors
/// The disk, broken compression, a line of more than 64 MiB, a cancel.
pub(super) fn each_line<T: Send>(
    input: &Input,
    context: &JobContext,
    parse: impl Fn(&str) -> std::result::Result<T, String> + Sync,
    mut visit: impl FnMut(T),
) -> Result<BadRows> {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let mut reader = RecordReader::new(input, LINE, 1, 0, &read_bytes)?;
    while let Some(block) = reader.next_block()? {
        context.check()?;
        let parsed: Vec<_> =
            (0..block.rows()).into_par_iter().map(|row| parse(&block.cell(row, 0))).collect();
        for (row, parsed) in parsed.into_iter().enumerate() {
            match parsed {
                Ok(value) => visit(value),
                Err(why) => reader.bad.add(block.line(row), || why),
            }
        }
        context.progress(read_bytes.load(Ordering::Relaxed), input.bytes);
    }
    Ok(reader.bad)
}

/// Reads the lines into columns, in the order of the file, while the next ones are cut, until the visitor has enough. A line that `parse`
/// refuses is counted with the reason, and what it added is dropped; `false` leaves a line out without a word.
///
/// # Errors
/// As [`each_line`].
pub(super) fn each_line_into(
    input: &Input,
    context: &JobContext,
    parse: impl Fn(&str, &mut Batch) -> std::result::Result<bool, String> + Sync,
    visit: &mut Visit<'_>,
) -> Result<BadRows> {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let mut reader = RecordReader::new(input, LINE, 1, 0, &read_bytes)?;
    let mut batches: Vec<Batch> = Vec::new();
    batches.resize_with(2 * rayon::current_num_threads(), Batch::default);
    let mut bad = BadRows::default();
    let mut next = reader.next_block()?;
    while let Some(block) = next {
        context.check()?;
        let share = (read_bytes.load(Ordering::Relaxed) as f64 / input.bytes.max(1) as f64).clamp(1e-9, 1.0);
        let work = || {
            parse_block(&block, &mut batches, &parse, &mut bad);
            visit(&mut batches, Some(share))
        };
        let (following, goes_on) = rayon::join(|| reader.next_block(), work);
        context.progress(read_bytes.load(Ordering::Relaxed), input.bytes);
        reader.recycle(block);
        next = following?.filter(|_| goes_on);
    }
    reader.bad.append(bad);
    Ok(reader.bad)
}

/// Shares the lines of a block among batches.
fn parse_block(
    block: &Block,
    batches: &mut [Batch],
    parse: &(impl Fn(&str, &mut Batch) -> std::result::Result<bool, String> + Sync),
    bad: &mut BadRows,
) {
    let share = block.rows().div_ceil(batches.len().max(1));
    let read = |(place, batch): (usize, &mut Batch)| {
        batch.clear();
        let mut refused = Vec::new();
        for row in (place * share).min(block.rows())..((place + 1) * share).min(block.rows()) {
            batch.begin_row();
            match parse(&block.cell(row, 0), batch) {
                Ok(true) => batch.end_row(),
                Ok(false) => batch.drop_row(),
                Err(why) => {
                    batch.drop_row();
                    refused.push((block.line(row), why));
                }
            }
        }
        refused
    };
    let refused: Vec<Vec<(u64, String)>> = batches.par_iter_mut().enumerate().map(read).collect();
    refused.into_iter().flatten().for_each(|(line, why)| bad.add(line, || why));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_counted_where_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, b"1\n\nx\n\xff\n2").unwrap();
        let input = Input::open(&path).unwrap();
        let mut seen = Vec::new();
        let parse = |line: &str| line.parse::<u32>().map_err(|_| "is no number".to_owned());
        let bad = each_line(&input, &JobContext::detached(), parse, |number| seen.push(number)).unwrap();
        assert_eq!(seen, [1, 2]);
        assert_eq!(bad.count, 2);
        let mut lines: Vec<_> = bad.samples.iter().map(|row| row.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [3, 4]);
    }
}
