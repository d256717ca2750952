//! How are short numbers looked at and stored many at a time? What is done for each cell of a log alone costs more than
//! to read it.

use super::build::ColumnBuilder;
use super::fill::Visited;
use super::guess::{Guess, real_of_tail, whole_of_tail};
use super::plan::Plan;
use std::ops::Range;

/// Numbers at a time.
const AT_ONCE: usize = 64;

/// Numbers of at most eight bytes that wait to be looked at and stored, in the order of their rows.
pub(super) struct NumberBatch {
    plan: Option<Plan>,
    count: usize,
    /// Where the column holds whole numbers.
    wholes: [i64; AT_ONCE],
    /// Where it holds real ones.
    reals: [f64; AT_ONCE],
    /// How many of the real ones are written without a point.
    without_point: usize,
    /// Bytes of the shortest and the longest.
    lengths: (usize, usize),
}

impl NumberBatch {
    /// An empty one, which takes no cells yet.
    pub fn new() -> Self {
        Self {
            plan: None,
            count: 0,
            wholes: [0; AT_ONCE],
            reals: [0.0; AT_ONCE],
            without_point: 0,
            lengths: (usize::MAX, 0),
        }
    }

    /// Takes cells of a column of this type from now on, where what was seen of it leaves no question to each of them.
    pub fn begin(&mut self, plan: Option<Plan>, guess: &Guess) {
        self.plan = plan.filter(|plan| match plan {
            Plan::Integer => guess.takes_wholes_together(),
            Plan::Real => guess.takes_reals_together(),
            _ => false,
        });
    }

    /// Takes a cell; false when it is no short number of the column's kind, which must then be treated alone.
    #[inline]
    pub fn take(&mut self, cell: Visited<'_>) -> bool {
        let length = cell.text.len();
        match self.plan {
            Some(Plan::Integer) => {
                let Some(number) = whole_of_tail(cell.tail, length) else { return false };
                self.wholes[self.count] = number;
                self.lengths = (self.lengths.0.min(length), self.lengths.1.max(length));
            }
            Some(Plan::Real) if cell.text.as_bytes().first().is_some_and(u8::is_ascii_digit) => {
                if let Some(number) = real_of_tail(cell.tail, length) {
                    self.reals[self.count] = number;
                } else if let Some(number) = whole_of_tail(cell.tail, length) {
                    self.reals[self.count] = number as f64;
                    self.without_point += 1;
                } else {
                    return false;
                }
            }
            _ => return false,
        }
        self.count += 1;
        true
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when it must be emptied before it takes another.
    pub fn is_full(&self) -> bool {
        self.count == AT_ONCE
    }

    /// Has all of them looked at.
    pub fn tell(&self, guess: &mut Guess) {
        match self.plan {
            Some(Plan::Integer) => guess.see_wholes(&self.wholes[..self.count], self.lengths),
            Some(Plan::Real) => guess.see_reals(&self.reals[..self.count], self.without_point),
            _ => {}
        }
    }

    /// Stores some of them.
    pub fn store(&self, some: Range<usize>, builder: &mut ColumnBuilder) {
        match self.plan {
            Some(Plan::Integer) => builder.push_wholes(&self.wholes[some]),
            Some(Plan::Real) => builder.push_reals(&self.reals[some]),
            _ => {}
        }
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.count = 0;
        self.without_point = 0;
        self.lengths = (usize::MAX, 0);
    }
}
