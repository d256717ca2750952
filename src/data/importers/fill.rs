//! How is a text read once and not twice? Its columns are filled while they are looked at.
//!
//! The first block suggests a type for each column, and cells are stored as that from then on. The last cell still
//! has its say: a column for which all cells together tell another type is filled anew in a second pass. Numbers
//! are stored in the fewest bytes that hold them all.

mod filling;

use super::guess::{Guess, Plan};
use super::keep::{Keep, usual_memory};
use super::records::Block;
use crate::base::Result;
use crate::data::layout::ColumnTotal;
use filling::Filling;
use polars::prelude::Series;
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

/// Columns that are worked on side by side.
pub(super) const COLUMNS_AT_ONCE: usize = 32;
/// Bytes that a row counts at least: to describe it takes more than few cells do.
const ROW_BYTES: u64 = 16;
/// Room for so many times the rows that the first block lets expect. What is not needed is never touched.
const SPARE: f64 = 1.05;

/// Some rows, looked at column by column.
pub(super) trait Cells: Sync {
    /// How many rows.
    fn rows(&self) -> usize;

    /// Calls `visit` for each row of a column in its order. The cell that a row lacks is empty.
    fn each(&self, column: usize, visit: impl FnMut(usize, Visited<'_>));
}

/// A cell that is visited.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Visited<'a> {
    pub text: &'a str,
    /// True when it is text whatever it looks like.
    pub is_string: bool,
    /// As [`tail_of`](super::guess::tail_of) tells.
    pub tail: u64,
}

impl Cells for Block {
    fn rows(&self) -> usize {
        Self::rows(self)
    }

    fn each(&self, column: usize, mut visit: impl FnMut(usize, Visited<'_>)) {
        self.each_of(column, |row, text, tail| visit(row, Visited { text, is_string: false, tail }));
    }
}

/// The columns of a table that is being read.
pub(super) struct Fill {
    columns: Vec<Filling>,
    keep: Keep,
    /// Rows that are expected; 0 when that is not known.
    expected: usize,
    /// Rows that have passed in this run through the file.
    passed: u64,
    /// True when cells are added up as they are stored, after they were looked at in another run.
    adds_up_again: bool,
}

impl Fill {
    /// Empty columns.
    pub fn new(names: &[String], keep: Keep) -> Self {
        let columns = names.iter().map(|name| Filling::new(name)).collect();
        Self { columns, keep, expected: 0, passed: 0, adds_up_again: false }
    }

    /// One more column, which all rows so far lack.
    pub fn add(&mut self, name: &str) {
        let mut column = Filling::new(name);
        column.guess.see_missing(self.passed);
        self.columns.push(column);
    }

    /// Rows that have passed in this run through the file.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// How many columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Stores the cells of the columns from `first` on as these types from now on; the rows so far lack them.
    pub fn begin_late(&mut self, first: usize, plans: impl IntoIterator<Item = Plan>) {
        let rows = self.columns.iter().map(|column| column.rows).max().unwrap_or_default();
        for (column, plan) in self.columns.iter_mut().skip(first).zip(plans) {
            column.begin(plan, self.expected);
            (0..rows).for_each(|_| column.push("", false));
        }
    }

    /// Forgets what is stored: there is no room for it. Cells are only looked at from now on.
    pub fn close(&mut self) {
        for column in &mut self.columns {
            column.close();
        }
    }

    /// Begins a run that stores these rows as these types and adds up all of them.
    pub fn begin_again(&mut self, keep: Keep, plans: &[Plan]) {
        self.keep = keep;
        self.passed = 0;
        self.adds_up_again = true;
        for column in &mut self.columns {
            column.add_up_anew();
        }
        self.begin(plans.iter().copied());
    }

    /// Begins anew with a first block that is a known share of the file and was looked at: keeps as many rows as will fit,
    /// with room for as many as this lets expect, so that no column need be put together at the end.
    pub fn fit(&mut self, block: &impl Cells, share_read: f64) {
        let all = self.bytes() as f64 / share_read;
        let keep = if self.keep.is_all() { self.keep.fitted(all) } else { self.keep };
        let rows = block.rows() as f64 / share_read * keep.share();
        // A share that is not known well must not ask for more than there is.
        let is_sane = all * keep.share() <= usual_memory() as f64;
        self.expected = if is_sane { (SPARE * rows) as usize } else { 0 };
        self.keep_only(keep);
        self.store(block);
    }

    /// The rows that are kept.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// Keeps these rows from now on; what is stored is forgotten.
    pub fn keep_only(&mut self, keep: Keep) {
        self.keep = keep;
        self.passed = 0;
        let plans: Vec<Plan> = self.columns.iter().filter_map(|column| column.plan).collect();
        self.begin(plans);
    }

    /// Bytes that the stored rows take.
    pub fn bytes(&mut self) -> u64 {
        self.each(|_, column| {
            column.end_piece();
            column.begin_piece(0);
        });
        self.bytes_about()
    }

    /// True when the stored rows take more than the memory there is.
    pub fn is_over(&self) -> bool {
        self.bytes_about() > self.keep.memory
    }

    /// Bytes that the stored rows take, about.
    pub fn bytes_about(&self) -> u64 {
        let cells: u64 = self.columns.iter().map(Filling::bytes).sum();
        let rows = self.columns.iter().map(|column| column.rows).max().unwrap_or_default();
        cells.max(ROW_BYTES * rows as u64)
    }

    /// Works on all columns side by side. A thread that waits for polars takes the next column meanwhile, one inside
    /// the other, so they come a few at a time.
    fn each(&mut self, work: impl Fn(usize, &mut Filling) + Sync) {
        for (group, columns) in self.columns.chunks_mut(COLUMNS_AT_ONCE).enumerate() {
            let first = group * COLUMNS_AT_ONCE;
            // One at a time: texts cost more than numbers, and often stand side by side.
            let columns = columns.par_iter_mut().with_max_len(1);
            columns.enumerate().for_each(|(place, column)| work(first + place, column));
        }
    }

    /// The sums of the columns of numbers over all rows.
    pub fn totals(&self) -> Vec<ColumnTotal> {
        self.columns.iter().map(|column| column.total.clone()).filter(|total| total.n > 0).collect()
    }

    /// Which rows of a block are kept; `None` for all.
    fn kept(&mut self, block: &impl Cells) -> Option<Vec<bool>> {
        let first = self.passed;
        self.passed += block.rows() as u64;
        let keeps = |row| self.keep.keeps(first + row as u64);
        (!self.keep.is_all()).then(|| (0..block.rows()).map(keeps).collect())
    }

    /// What the cells so far tell.
    pub fn guesses(&mut self) -> Vec<Guess> {
        self.columns.iter_mut().for_each(Filling::count_words);
        self.columns.iter().map(|column| column.guess.clone()).collect()
    }

    /// Looks at a block without storing it, in the columns from `first` on.
    pub fn look(&mut self, block: &impl Cells, first: usize) {
        self.each(|place, column| {
            if place >= first {
                block.each(place, |_, cell| column.look(cell.text, cell.is_string));
            }
        });
    }

    /// Leaves out a block that was looked at.
    pub fn pass(&mut self, block: &impl Cells) {
        self.passed += block.rows() as u64;
    }

    /// Stores cells as these types from now on.
    pub fn begin(&mut self, plans: impl IntoIterator<Item = Plan>) {
        for (column, plan) in self.columns.iter_mut().zip(plans) {
            column.begin(plan, self.expected);
        }
    }

    /// Stores a block that was looked at already.
    pub fn store(&mut self, block: &impl Cells) {
        let kept = self.kept(block);
        let adds_up = self.adds_up_again;
        self.each(|place, column| column.store(block, place, kept.as_deref(), adds_up));
    }

    /// Looks at a block and stores it. The columns from `seen` on were looked at already.
    pub fn look_and_store(&mut self, block: &impl Cells, seen: usize) {
        let kept = self.kept(block);
        self.each(|place, column| {
            if place >= seen {
                column.store(block, place, kept.as_deref(), false);
                return;
            }
            column.look_and_store_all(block, place, kept.as_deref());
        });
    }

    /// Empties the columns that are not of these types, to be stored anew; true when there are any.
    pub fn settle(&mut self, plans: &[Plan]) -> bool {
        let mut is_any = false;
        self.passed = 0;
        // What is stored already must not be stored again.
        self.each(|_, column| column.end_piece());
        for (column, plan) in self.columns.iter_mut().zip(plans) {
            if column.plan != Some(*plan) {
                column.begin(*plan, self.expected);
                is_any = true;
            }
        }
        is_any
    }

    /// The finished columns, each with the number of cells that its type could not hold.
    ///
    /// # Errors
    /// A column that polars cannot put together.
    pub fn finish(mut self) -> Result<Vec<(Series, u64)>> {
        let mut finished = Vec::with_capacity(self.columns.len());
        for columns in self.columns.chunks_mut(COLUMNS_AT_ONCE) {
            let columns = columns.par_iter_mut().with_max_len(1);
            finished.extend(columns.map(Filling::finish).collect::<Result<Vec<_>>>()?);
        }
        Ok(finished)
    }
}
