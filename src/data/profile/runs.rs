//! Which numbers does a column hold, and how often each? Sorted, but for most columns without sorting.
//!
//! Whole numbers, prices of few decimals and times of whole seconds within a range that is not wide are counted, a
//! piece of the column at a time; the rest is copied and sorted.

use crate::base::Result;
use crate::base::simd::{Kernel, run_widest};
use crate::data::cells::{self, SmallCounts};
use crate::data::frame::LogFrame;
use crate::data::schema::ColumnType;
use std::borrow::Cow;
use std::marker::PhantomData;

/// Different numbers that are counted however few rows there are.
const FEW: usize = 1 << 16;
/// As many where there are rows enough.
const MANY: usize = 1 << 24;

/// The numbers of a column, each once, with how often it occurs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Runs {
    /// Lowest first.
    pub values: Vec<f64>,
    /// How many cells hold this number or a lower one.
    ends: Vec<u64>,
    /// Cells that hold no number.
    pub missing: u64,
    /// The sum of all.
    pub sum: f64,
    /// True when each number is one more than the one before it.
    pub counts_up: bool,
}

/// The grid that all numbers of a column lie on.
trait Grid {
    /// The number at a place: the quotient of two exact numbers is rounded once, as a parser rounds.
    fn value(place: f64) -> f64;

    /// The place of a number on the grid; near it for any other number.
    fn near(number: f64) -> f64;
}

/// Adding and taking away 1.5 * 2^52 rounds to whole numbers below 2^51.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Places lie below.
const FARTHEST: f64 = 1e15;

/// Whole numbers.
struct Whole;

impl Grid for Whole {
    #[inline(always)]
    fn value(place: f64) -> f64 {
        place
    }

    #[inline(always)]
    fn near(number: f64) -> f64 {
        number + ROUND - ROUND
    }
}

/// Up to four decimals.
struct Decimals;

impl Grid for Decimals {
    #[inline(always)]
    fn value(place: f64) -> f64 {
        place / 1e4
    }

    #[inline(always)]
    fn near(number: f64) -> f64 {
        number * 1e4 + ROUND - ROUND
    }
}

/// Milliseconds that are whole seconds.
struct Seconds;

impl Grid for Seconds {
    #[inline(always)]
    fn value(place: f64) -> f64 {
        place * 1000.0
    }

    #[inline(always)]
    fn near(number: f64) -> f64 {
        number / 1000.0 + ROUND - ROUND
    }
}

/// Numbers that are looked at side by side.
const LANES: usize = 8;

/// What a look at some numbers tells.
#[derive(Debug, Clone, Copy)]
struct Seen {
    present: u64,
    sum: f64,
    /// Lowest and highest place, from infinity to its opposite where there is none.
    low: f64,
    high: f64,
    /// How many numbers lie beside the grid.
    beside: u64,
}

/// The look.
struct See<'a, G>(&'a [f64], PhantomData<G>);

impl<G: Grid> Kernel for See<'_, G> {
    type Output = Seen;

    #[inline(always)]
    fn run(self) -> Seen {
        let none = Seen { present: 0, sum: 0.0, low: f64::INFINITY, high: f64::NEG_INFINITY, beside: 0 };
        let mut lanes = [none; LANES];
        let see = |seen: &mut Seen, number: f64| {
            let is_present = !number.is_nan();
            let place = G::near(number);
            let is_beside = is_present & !((G::value(place) == number) & (place.abs() < FARTHEST));
            seen.present += u64::from(is_present);
            seen.sum += if is_present { number } else { 0.0 };
            seen.low = if place < seen.low { place } else { seen.low };
            seen.high = if place > seen.high { place } else { seen.high };
            seen.beside += u64::from(is_beside);
        };
        let (whole, rest) = self.0.as_chunks::<LANES>();
        for numbers in whole {
            lanes.iter_mut().zip(numbers).for_each(|(seen, number)| see(seen, *number));
        }
        lanes.iter_mut().zip(rest).for_each(|(seen, number)| see(seen, *number));
        lanes.iter().fold(none, |all, lane| Seen {
            present: all.present + lane.present,
            sum: all.sum + lane.sum,
            low: all.low.min(lane.low),
            high: all.high.max(lane.high),
            beside: all.beside + lane.beside,
        })
    }
}

/// What one look at all numbers tells.
#[derive(Debug)]
struct Look {
    missing: u64,
    sum: f64,
    counts_up: bool,
    last: Option<f64>,
    low: f64,
    high: f64,
    /// True when no number lies beside the grid.
    fits: bool,
}

impl Look {
    fn see<G: Grid>(&mut self, numbers: &[f64]) {
        let seen = run_widest(See::<G>(numbers, PhantomData));
        self.missing += numbers.len() as u64 - seen.present;
        self.sum += seen.sum;
        self.low = self.low.min(seen.low);
        self.high = self.high.max(seen.high);
        self.fits &= seen.beside == 0;
        // Few columns number their rows, and the others show it soon.
        for number in numbers.iter().filter(|number| !number.is_nan()) {
            if !self.counts_up {
                break;
            }
            self.counts_up = self.last.is_none_or(|last| *number == last + 1.0);
            self.last = Some(*number);
        }
    }

    /// The lowest place and how many there are, where counting is worth it.
    fn places(&self, rows: usize) -> Option<(f64, usize)> {
        if !self.fits || self.low > self.high {
            return None;
        }
        let places = (self.high - self.low) as usize + 1;
        (places <= FEW.max(rows).min(MANY)).then_some((self.low, places))
    }
}

/// Counts numbers of which each lies on the grid or is missing.
struct Count<'a, G> {
    numbers: &'a [f64],
    grid: PhantomData<G>,
    low: f64,
    counts: &'a mut [u32],
}

impl<G: Grid> Kernel for Count<'_, G> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut places = [0u32; LANES];
        for numbers in self.numbers.chunks(LANES) {
            for (place, number) in places.iter_mut().zip(numbers) {
                // There are fewer places than 2^24; what is missing gets one beyond them.
                let from_low = G::near(*number) - self.low;
                *place = if from_low.is_nan() { u32::MAX } else { from_low as u32 };
            }
            for place in &places[..numbers.len()] {
                if let Some(count) = self.counts.get_mut(*place as usize) {
                    *count += 1;
                }
            }
        }
    }
}

impl Runs {
    /// The numbers of a column, which may hold points in time.
    ///
    /// # Errors
    /// No such column, or a column of lists.
    pub fn of(log: &LogFrame, column: &str) -> Result<Self> {
        let rows = log.rows();
        // More rows than there are such numbers: none of them counts up.
        if rows > FEW
            && let Some(counted) = cells::small_counts(log, column)?
        {
            return Ok(Self::of_counts(&counted));
        }
        let pieces = || cells::number_pieces(log, column);
        match log.schema.column(column)?.kind {
            ColumnType::Real => Self::of_pieces::<Decimals, _>(rows, pieces),
            ColumnType::Time => Self::of_pieces::<Seconds, _>(rows, pieces),
            _ => Self::of_pieces::<Whole, _>(rows, pieces),
        }
    }

    fn of_counts(counted: &SmallCounts) -> Self {
        let mut runs = Self { missing: counted.missing, ..Self::default() };
        let numbers = || (counted.lowest..).zip(&counted.counts).filter(|(_, count)| **count > 0);
        runs.fill(numbers().count(), numbers().map(|(number, count)| (number as f64, u64::from(*count))));
        runs.sum = runs.counted().map(|(number, count)| number * count as f64).sum();
        runs
    }

    fn of_pieces<'a, G: Grid, I: Iterator<Item = Result<Cow<'a, [f64]>>>>(
        rows: usize,
        pieces: impl Fn() -> I,
    ) -> Result<Self> {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut look = Look { missing: 0, sum: 0.0, counts_up: true, last: None, low, high, fits: true };
        for piece in pieces() {
            look.see::<G>(&piece?);
        }
        let mut runs =
            Self { missing: look.missing, sum: look.sum, counts_up: look.counts_up, ..Self::default() };
        match look.places(rows) {
            Some((low, places)) => {
                let mut counts = vec![0u32; places];
                for piece in pieces() {
                    let numbers = &piece?;
                    run_widest(Count::<G> { numbers, grid: PhantomData, low, counts: &mut counts });
                }
                let counted = || counts.iter().enumerate().filter(|(_, count)| **count > 0);
                // Zero has one form.
                runs.fill(
                    counted().count(),
                    counted().map(|(place, count)| (G::value(low + place as f64) + 0.0, u64::from(*count))),
                );
            }
            None => {
                let mut sorted = Vec::with_capacity(rows);
                for piece in pieces() {
                    sorted.extend(piece?.iter().filter(|number| !number.is_nan()).map(|number| number + 0.0));
                }
                sorted.sort_unstable_by(f64::total_cmp);
                let equal = sorted.chunk_by(|one, next| one == next);
                runs.fill(0, equal.filter_map(|run| Some((*run.first()?, run.len() as u64))));
            }
        }
        Ok(runs)
    }

    /// Takes each number with how often it occurs, lowest first; there are about so many of them.
    fn fill(&mut self, about: usize, counted: impl Iterator<Item = (f64, u64)>) {
        self.values.reserve_exact(about);
        self.ends.reserve_exact(about);
        let mut end = 0;
        for (value, count) in counted {
            end += count;
            self.values.push(value);
            self.ends.push(end);
        }
    }

    /// How many numbers.
    pub fn count(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The number at a place of the sorted column.
    pub fn at(&self, place: u64) -> Option<f64> {
        let run = self.ends.partition_point(|end| *end <= place);
        self.values.get(run).copied()
    }

    /// Each number with how often it occurs.
    pub fn counted(&self) -> impl Iterator<Item = (f64, u64)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.values.iter().copied().zip(self.ends.iter().zip(starts).map(|(end, start)| end - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    fn runs<G: Grid>(_grid: G, numbers: &[f64]) -> Runs {
        Runs::of_pieces::<G, _>(numbers.len(), || numbers.chunks(13).map(|piece| Ok(Cow::Borrowed(piece))))
            .unwrap()
    }

    fn are_the_same<G: Grid>(grid: G, numbers: &[f64]) {
        let runs = runs(grid, numbers);
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let counted: Vec<f64> =
            runs.counted().flat_map(|(value, count)| std::iter::repeat_n(value, count as usize)).collect();
        assert_eq!(counted, sorted);
        assert_eq!(runs.values.len(), 613);
        assert!((0..1000).all(|place| runs.at(place) == sorted.get(place as usize).copied()));
        assert!((runs.sum - numbers.iter().sum::<f64>()).abs() <= 1e-9 * runs.sum.abs());
    }

    #[test]
    fn counted_or_sorted_the_numbers_are_the_same() {
        let whole: Vec<f64> = (0..1000).map(|row| f64::from(row * 7919 % 613) - 300.0).collect();
        let prices: Vec<f64> = whole.iter().map(|number| number / 1000.0).collect();
        let times: Vec<f64> = whole.iter().map(|number| 1.7e12 + number * 1000.0).collect();
        let thirds: Vec<f64> = whole.iter().map(|number| number / 3.0).collect();
        let wide: Vec<f64> = whole.iter().map(|number| number * 1e9).collect();
        are_the_same(Whole, &whole);
        are_the_same(Decimals, &prices);
        are_the_same(Seconds, &times);
        are_the_same(Decimals, &thirds);
        are_the_same(Whole, &wide);
    }

    #[test]
    fn numbers_of_few_bytes_are_counted_as_others_are() {
        let numbers: Vec<Option<i16>> =
            (0..70_000).map(|row| (row % 11 > 0).then_some((row * 7919 % 613 - 300) as i16)).collect();
        let bytes: Vec<Option<i8>> = numbers.iter().map(|number| number.map(|n| (n % 90) as i8)).collect();
        let wide: Vec<Option<i64>> = numbers.iter().map(|number| number.map(i64::from)).collect();
        let wide_bytes: Vec<Option<i64>> = bytes.iter().map(|number| number.map(i64::from)).collect();
        let whole: Vec<i16> = numbers.iter().map(|number| number.unwrap_or(-300)).collect();
        let wide_whole: Vec<i64> = whole.iter().map(|number| i64::from(*number)).collect();
        let frame = df!("a" => numbers, "b" => bytes, "c" => whole, "d" => wide, "e" => wide_bytes, "f" => wide_whole);
        let log = LogFrame::from_frame(frame.unwrap(), &[]).unwrap();
        for (small, wide) in [("a", "d"), ("b", "e"), ("c", "f")] {
            assert!(cells::small_counts(&log, small).unwrap().is_some());
            assert_eq!(Runs::of(&log, small).unwrap(), Runs::of(&log, wide).unwrap(), "{small}");
        }
    }

    #[test]
    fn missing_infinite_and_zero_are_themselves() {
        let found = runs(Decimals, &[f64::NAN, -0.0, 0.0, f64::INFINITY, 1e300]);
        assert_eq!((found.missing, found.count(), found.values.len()), (1, 4, 3));
        assert_eq!(found.at(4), None);
        assert_eq!(runs(Whole, &[]).count(), 0);
        assert!(runs(Whole, &[3.0, 4.0, 5.0]).counts_up && !runs(Whole, &[3.0, 5.0]).counts_up);
    }
}
