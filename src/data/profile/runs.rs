//! Which numbers does a column hold, and how often each? Sorted, but for most columns without sorting.
//!
//! Whole numbers, prices of few decimals and times of whole seconds within a range that is not wide are counted, a
//! piece of the column at a time; the rest is copied and sorted.

use crate::base::Result;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::schema::ColumnType;

/// Rows of a piece, which stay close to the processor.
const PIECE: usize = 1 << 16;
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

/// The grid that all numbers of a column lie on: `step * n / parts` for whole `n`.
#[derive(Debug, Clone, Copy)]
struct Grid {
    step: f64,
    parts: f64,
}

const WHOLE: Grid = Grid { step: 1.0, parts: 1.0 };
/// Up to four decimals.
const DECIMALS: Grid = Grid { step: 1.0, parts: 1e4 };
/// Milliseconds that are whole seconds.
const SECONDS: Grid = Grid { step: 1000.0, parts: 1.0 };

impl Grid {
    /// The place of a number; `None` when it does not lie on the grid exactly.
    fn place(self, number: f64) -> Option<i64> {
        // Adding and taking away 1.5 * 2^52 rounds to whole numbers below 2^51.
        const ROUND: f64 = 6_755_399_441_055_744.0;
        let place = number * self.parts / self.step + ROUND - ROUND;
        (self.value(place) == number && place.abs() < 1e15).then_some(place as i64)
    }

    /// The number at a place: the quotient of two exact numbers is rounded once, as a parser rounds.
    fn value(self, place: f64) -> f64 {
        place * self.step / self.parts
    }
}

/// What one look at all numbers tells.
#[derive(Debug, Clone, Copy)]
struct Look {
    grid: Grid,
    missing: u64,
    sum: f64,
    counts_up: bool,
    last: Option<f64>,
    /// The range of places; `None` where a number lies beside the grid.
    range: Option<(i64, i64)>,
}

impl Look {
    fn see(&mut self, numbers: &[f64]) {
        for number in numbers {
            // Zero has one form.
            let number = *number + 0.0;
            if number.is_nan() {
                self.missing += 1;
                continue;
            }
            self.sum += number;
            self.counts_up &= self.last.is_none_or(|last| number == last + 1.0);
            self.last = Some(number);
        }
        for number in numbers.iter().filter(|number| !number.is_nan()) {
            let Some((low, high)) = self.range else { break };
            self.range = self.grid.place(*number).map(|place| (low.min(place), high.max(place)));
        }
    }

    /// The lowest place and how many there are, where counting is worth it.
    fn places(&self, rows: usize) -> Option<(i64, usize)> {
        let (low, high) = self.range.filter(|(low, high)| low <= high)?;
        let places = usize::try_from(high - low).ok()?.saturating_add(1);
        (places <= FEW.max(rows).min(MANY)).then_some((low, places))
    }
}

impl Runs {
    /// The numbers of a column, which may hold points in time.
    ///
    /// # Errors
    /// No such column, or a column of lists.
    pub fn of(log: &LogFrame, column: &str) -> Result<Self> {
        let grid = match log.schema.column(column)?.kind {
            ColumnType::Real => DECIMALS,
            ColumnType::Time => SECONDS,
            _ => WHOLE,
        };
        let pieces = (0..log.rows()).step_by(PIECE).map(|first| first..(first + PIECE).min(log.rows()));
        Self::of_pieces(grid, log.rows(), || {
            pieces.clone().map(|rows| cells::numbers_within(log, column, rows))
        })
    }

    fn of_pieces<I: Iterator<Item = Result<Vec<f64>>>>(
        grid: Grid,
        rows: usize,
        pieces: impl Fn() -> I,
    ) -> Result<Self> {
        let range = Some((i64::MAX, i64::MIN));
        let mut look = Look { grid, missing: 0, sum: 0.0, counts_up: true, last: None, range };
        for piece in pieces() {
            look.see(&piece?);
        }
        let mut runs =
            Self { missing: look.missing, sum: look.sum, counts_up: look.counts_up, ..Self::default() };
        match look.places(rows) {
            Some((low, places)) => {
                let mut counts = vec![0u32; places];
                for piece in pieces() {
                    for place in piece?.into_iter().filter_map(|number| grid.place(number)) {
                        if let Some(count) = counts.get_mut((place - low) as usize) {
                            *count += 1;
                        }
                    }
                }
                let counts = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
                runs.fill(
                    counts.map(|(place, count)| {
                        (grid.value((low + place as i64) as f64) + 0.0, u64::from(count))
                    }),
                );
            }
            None => {
                let mut sorted = Vec::with_capacity(rows);
                for piece in pieces() {
                    sorted.extend(
                        piece?.into_iter().filter(|number| !number.is_nan()).map(|number| number + 0.0),
                    );
                }
                sorted.sort_unstable_by(f64::total_cmp);
                let equal = sorted.chunk_by(|one, next| one == next);
                runs.fill(equal.filter_map(|run| Some((*run.first()?, run.len() as u64))));
            }
        }
        Ok(runs)
    }

    fn fill(&mut self, counted: impl Iterator<Item = (f64, u64)>) {
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

    fn runs(grid: Grid, numbers: &[f64]) -> Runs {
        Runs::of_pieces(grid, numbers.len(), || numbers.chunks(7).map(|piece| Ok(piece.to_vec()))).unwrap()
    }

    #[test]
    fn counted_or_sorted_the_numbers_are_the_same() {
        let whole: Vec<f64> = (0..1000).map(|row| f64::from(row * 7919 % 613) - 300.0).collect();
        let prices: Vec<f64> = whole.iter().map(|number| number / 1000.0).collect();
        let times: Vec<f64> = whole.iter().map(|number| 1.7e12 + number * 1000.0).collect();
        let thirds: Vec<f64> = whole.iter().map(|number| number / 3.0).collect();
        let wide: Vec<f64> = whole.iter().map(|number| number * 1e9).collect();
        let columns =
            [(WHOLE, whole), (DECIMALS, prices), (SECONDS, times), (DECIMALS, thirds), (WHOLE, wide)];
        for (grid, numbers) in columns {
            let runs = runs(grid, &numbers);
            let mut sorted = numbers.clone();
            sorted.sort_by(f64::total_cmp);
            let counted: Vec<f64> = runs
                .counted()
                .flat_map(|(value, count)| std::iter::repeat_n(value, count as usize))
                .collect();
            assert_eq!(counted, sorted);
            assert_eq!(runs.values.len(), 613);
            assert!((0..1000).all(|place| runs.at(place) == sorted.get(place as usize).copied()));
            assert!((runs.sum - numbers.iter().sum::<f64>()).abs() <= 1e-9 * runs.sum.abs());
        }
    }

    #[test]
    fn missing_infinite_and_zero_are_themselves() {
        let found = runs(DECIMALS, &[f64::NAN, -0.0, 0.0, f64::INFINITY, 1e300]);
        assert_eq!((found.missing, found.count(), found.values.len()), (1, 4, 3));
        assert_eq!(found.at(4), None);
        assert_eq!(runs(WHOLE, &[]).count(), 0);
        assert!(runs(WHOLE, &[3.0, 4.0, 5.0]).counts_up && !runs(WHOLE, &[3.0, 5.0]).counts_up);
    }
}
