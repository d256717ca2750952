//! Which rows are the past, and which the future? Three parts by time, or by a hash of the row number.

use super::options::EncodeOptions;
use crate::base::rng::mix;

/// Row numbers of the three parts, each in the order in which it should be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// The oldest rows.
    pub train: Vec<u32>,
    /// The rows after them.
    pub validation: Vec<u32>,
    /// The latest rows.
    pub test: Vec<u32>,
    /// How the split was made, in words.
    pub note: String,
}

/// Splits `rows` by time so that rows with equal time stamps stay together; rows without a time count as the
/// oldest. Without times, or with fewer than three different ones, by a fixed hash of the row number.
pub fn split(rows: &[u32], times: Option<&[i64]>, options: &EncodeOptions) -> Parts {
    times
        .and_then(|times| by_time(rows, times, options))
        .unwrap_or_else(|| by_hash(rows, times.is_some(), options))
}

fn by_time(rows: &[u32], times: &[i64], options: &EncodeOptions) -> Option<Parts> {
    let mut ordered = rows.to_vec();
    // `columns::NO_TIME` sorts first: without a time a row can only be trusted as past.
    ordered.sort_by_key(|&row| (times[row as usize], row));
    let starts: Vec<usize> = (1..ordered.len())
        .filter(|&i| times[ordered[i] as usize] != times[ordered[i - 1] as usize])
        .collect();
    let (&last, earlier) = starts.split_last()?;
    if earlier.is_empty() {
        return None;
    }
    let total = ordered.len() as f64;
    let first_cut = nearest(earlier, total * options.train_share);
    let later: Vec<usize> = starts.iter().copied().filter(|&s| s > first_cut).collect();
    let wanted = total * (options.train_share + options.validation_share);
    let second_cut = if later.is_empty() { last } else { nearest(&later, wanted) };
    let test = ordered.split_off(second_cut);
    let validation = ordered.split_off(first_cut);
    Some(Parts {
        note: format!(
            "split by time: {} rows to train, {} to validate, {} to test",
            ordered.len(),
            validation.len(),
            test.len()
        ),
        train: ordered,
        validation,
        test,
    })
}

fn by_hash(rows: &[u32], had_times: bool, options: &EncodeOptions) -> Parts {
    let mut shuffled = rows.to_vec();
    shuffled.sort_by_key(|&row| (mix(u64::from(row)), row));
    let cut = |share: f64| (rows.len() as f64 * share).round() as usize;
    let mut test = shuffled.split_off(cut(options.train_share + options.validation_share));
    let mut validation = shuffled.split_off(cut(options.train_share).min(shuffled.len()));
    for part in [&mut shuffled, &mut validation, &mut test] {
        part.sort_unstable();
    }
    let reason = if had_times { "has fewer than three different times" } else { "has no time" };
    Parts {
        note: format!(
            "the log {reason}, so the split is by row hash: {} rows to train, {} to validate, {} to test",
            shuffled.len(),
            validation.len(),
            test.len()
        ),
        train: shuffled,
        validation,
        test,
    }
}

/// The entry of a sorted, non-empty list that is nearest to `wanted`.
fn nearest(sorted: &[usize], wanted: f64) -> usize {
    let distance = |cut: usize| (cut as f64 - wanted).abs();
    sorted.iter().copied().fold(
        sorted[0],
        |best, cut| {
            if distance(cut) < distance(best) { cut } else { best }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::columns::NO_TIME;

    fn sizes(parts: &Parts) -> (usize, usize, usize) {
        (parts.train.len(), parts.validation.len(), parts.test.len())
    }

    #[test]
    fn time_parts_never_share_a_stamp() {
        // 1,000 rows, shuffled, ten rows per stamp.
        let times: Vec<i64> = (0..1_000).map(|i| (i * 7919 % 1_000) / 10).collect();
        let rows: Vec<u32> = (0..1_000).collect();
        let parts = split(&rows, Some(&times), &EncodeOptions::default());
        assert_eq!(sizes(&parts), (700, 150, 150));
        let range = |rows: &[u32]| {
            let stamps = rows.iter().map(|&row| times[row as usize]);
            (stamps.clone().min(), stamps.max())
        };
        assert!(range(&parts.train).1 < range(&parts.validation).0);
        assert!(range(&parts.validation).1 < range(&parts.test).0);
    }

    #[test]
    fn few_stamps_still_leave_three_parts_or_fall_back_to_the_hash() {
        let rows: Vec<u32> = (0..100).collect();
        let skewed: Vec<i64> = (0..100i64).map(|i| (i - 97).max(0)).collect();
        let parts = split(&rows, Some(&skewed), &EncodeOptions::default());
        assert_eq!(sizes(&parts), (98, 1, 1));
        let two: Vec<i64> = (0..100).map(|i| i % 2).collect();
        let parts = split(&rows, Some(&two), &EncodeOptions::default());
        assert_eq!(sizes(&parts), (70, 15, 15));
        assert!(parts.note.contains("fewer than three"));
    }

    #[test]
    fn hashing_repeats_and_covers_every_row_once() {
        let rows: Vec<u32> = (0..200).filter(|row| row % 3 != 0).collect();
        let parts = split(&rows, None, &EncodeOptions::default());
        assert_eq!(parts, split(&rows, None, &EncodeOptions::default()));
        let mut all = [parts.train.clone(), parts.validation.clone(), parts.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, rows);
        assert_ne!(parts.train[..], rows[..parts.train.len()], "not simply the head");
    }

    #[test]
    fn rows_without_a_time_are_past() {
        let times: Vec<i64> = (0..100).map(|i| if i >= 10 { i } else { NO_TIME }).collect();
        let rows: Vec<u32> = (0..100).rev().collect();
        let parts = split(&rows, Some(&times), &EncodeOptions::default());
        assert_eq!(parts.train[..10], (0..10).collect::<Vec<u32>>()[..]);
    }
}
