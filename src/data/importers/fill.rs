//! How is a text read once and not twice? Its columns are filled while they are looked at.
//!
//! The first block suggests a type for each column, and cells are stored as that from then on. The last cell still
//! has its say: a column for which all cells together tell another type is filled anew in a second pass. Numbers
//! are stored in the fewest bytes that hold them all.

use super::build::ColumnBuilder;
use super::guess::{CellClass, Guess, Plan, classify, real_of_tail, short_real, short_whole, whole_of_tail};
use super::keep::{Keep, usual_memory};
use super::narrow::bytes_of;
use super::number_batch::NumberBatch;
use super::records::Block;
use super::words::Words;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::enumerated::{self, plain_kind};
use crate::data::layout::ColumnTotal;
use polars::prelude::{DataType, Series};
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

/// Columns that are worked on side by side.
pub(super) const COLUMNS_AT_ONCE: usize = 32;
/// Rows of one piece of a column, where it is not known how many will come. Pieces cost no room to spare, as one array
/// that grows would.
const PIECE: usize = 1 << 20;
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

struct Filling {
    name: String,
    guess: Guess,
    plan: Option<Plan>,
    pieces: Vec<Series>,
    store: Store,
    /// True once a text had too many distinct cells to be stored as codes.
    has_many_words: bool,
    rows: usize,
    /// How many rows the present piece has, and may have.
    in_piece: usize,
    room: usize,
    unreadable: u64,
    /// Over all rows, those included that are not stored.
    total: ColumnTotal,
    failure: Option<Failure>,
}

/// How the cells of the present piece are stored.
enum Store {
    /// They are not.
    Closed,
    Cells(Box<ColumnBuilder>),
    /// As codes of the distinct ones.
    Words(Words),
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
            column.count_words();
            column.pieces.clear();
            column.store = Store::Closed;
        }
    }

    /// Begins a run that stores these rows as these types and adds up all of them.
    pub fn begin_again(&mut self, keep: Keep, plans: &[Plan]) {
        self.keep = keep;
        self.passed = 0;
        self.adds_up_again = true;
        for column in &mut self.columns {
            column.total = ColumnTotal { column: column.name.clone(), ..ColumnTotal::default() };
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
        let pieces = self.columns.iter().flat_map(|column| &column.pieces);
        let cells: u64 = pieces.map(|piece| piece.estimated_size() as u64).sum();
        let open: u64 = self.columns.iter().map(Filling::open_bytes).sum();
        let rows = self.columns.iter().map(|column| column.rows).max().unwrap_or_default();
        (cells + open).max(ROW_BYTES * rows as u64)
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

impl Filling {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            guess: Guess::default(),
            plan: None,
            pieces: Vec::new(),
            store: Store::Closed,
            has_many_words: false,
            rows: 0,
            in_piece: 0,
            room: PIECE,
            unreadable: 0,
            total: ColumnTotal { column: name.to_owned(), ..ColumnTotal::default() },
            failure: None,
        }
    }

    /// Bytes of the piece that is not finished, about.
    fn open_bytes(&self) -> u64 {
        match &self.store {
            Store::Closed => 0,
            Store::Cells(builder) => builder.bytes(self.in_piece),
            Store::Words(words) => words.bytes(),
        }
    }

    /// Looks at a cell without storing it.
    fn look(&mut self, cell: &str, is_string: bool) {
        if is_string {
            self.guess.see_string(cell);
        } else {
            let class = classify(cell);
            self.guess.see_as(cell, class);
            self.add_up_as(class);
        }
    }

    fn add_up(&mut self, cell: &str, is_string: bool) {
        if !is_string {
            self.add_up_as(classify(cell));
        }
    }

    fn add_up_as(&mut self, class: CellClass) {
        match class {
            CellClass::Integer(number) => self.total.see(number as f64),
            CellClass::Real(number) => self.total.see(number),
            CellClass::Boolean(flag) => self.total.see(f64::from(u8::from(flag))),
            _ => {}
        }
    }

    /// Stores a block that was looked at already.
    fn store(&mut self, block: &impl Cells, place: usize, kept: Option<&[bool]>, adds_up: bool) {
        if matches!(self.store, Store::Closed) {
            return;
        }
        block.each(place, |row, cell| {
            if adds_up {
                self.add_up(cell.text, cell.is_string);
            }
            if kept.is_none_or(|kept| kept[row]) {
                self.push(cell.text, cell.is_string);
            }
        });
    }

    /// Begins anew with cells of a type, of which so many are expected; 0 when that is not known.
    fn begin(&mut self, plan: Plan, expected: usize) {
        self.plan = Some(plan);
        self.pieces.clear();
        self.rows = 0;
        self.unreadable = 0;
        self.begin_piece(expected);
    }

    /// Begins a piece with room for so many rows; 0 when it is not known how many will come.
    fn begin_piece(&mut self, rows: usize) {
        // What lists take is only known once they are a piece.
        let is_list = matches!(self.plan, Some(Plan::List(_)));
        let rows = if is_list { rows.min(PIECE) } else { rows };
        self.in_piece = 0;
        self.room = if rows == 0 { PIECE } else { rows };
        self.store = match self.plan {
            None => Store::Closed,
            Some(Plan::Text) if !self.has_many_words => Store::Words(Words::with_room(rows)),
            Some(plan) => Store::Cells(Box::new(ColumnBuilder::new(&self.name, plan, rows))),
        };
    }

    fn look_and_store_all(&mut self, block: &impl Cells, place: usize, kept: Option<&[bool]>) {
        match (kept, self.plan) {
            (Some(kept), _) => block.each(place, |row, cell| {
                self.add_up(cell.text, cell.is_string);
                self.look_and_store(cell.text, cell.is_string, kept[row]);
            }),
            (None, Some(Plan::Integer | Plan::Real)) => self.look_and_store_numbers(block, place),
            (None, Some(Plan::Time(_))) => self.look_and_store_times(block, place),
            _ => block.each(place, |_, cell| self.look_and_store(cell.text, cell.is_string, true)),
        }
    }

    /// The usual case, and most of the work: numbers in a column of numbers.
    fn look_and_store_numbers(&mut self, block: &impl Cells, place: usize) {
        let mut batch = NumberBatch::new();
        batch.begin(self.plan, &self.guess);
        block.each(place, |_, cell| {
            if !cell.is_string && batch.take(cell) {
                if batch.is_full() {
                    self.store_batch(&mut batch);
                }
                return;
            }
            self.store_batch(&mut batch);
            if cell.is_string || !self.look_and_store_number(cell) {
                self.look_and_store(cell.text, cell.is_string, true);
            }
            batch.begin(self.plan, &self.guess);
        });
        self.store_batch(&mut batch);
    }

    /// Looks at the numbers that wait and stores them.
    fn store_batch(&mut self, batch: &mut NumberBatch) {
        batch.tell(&mut self.guess);
        let mut first = 0;
        while first < batch.len()
            && let Store::Cells(builder) = &mut self.store
        {
            let last = batch.len().min(first + self.room - self.in_piece);
            batch.store(first..last, builder);
            self.pushed(last - first);
            first = last;
        }
        batch.clear();
    }

    /// Logs are sorted by time, so a moment often comes many times in a row.
    fn look_and_store_times(&mut self, block: &impl Cells, place: usize) {
        let (mut last, mut last_is_string, mut again) = (String::new(), false, 0);
        let tell = |guess: &mut Guess, last: &str, is_string: bool, again: u64| match (is_string, again) {
            (_, 0) => {}
            (true, _) => guess.see_string_again(last, again),
            (false, _) => guess.see_again(last, classify(last), again),
        };
        block.each(place, |_, cell| {
            // At first there is no last one.
            if !cell.text.is_empty()
                && cell.text == last
                && cell.is_string == last_is_string
                && let Store::Cells(builder) = &mut self.store
                && builder.push_time_again()
            {
                again += 1;
                self.pushed(1);
                return;
            }
            tell(&mut self.guess, &last, last_is_string, again);
            again = 0;
            cell.text.clone_into(&mut last);
            last_is_string = cell.is_string;
            self.look_and_store(cell.text, cell.is_string, true);
        });
        tell(&mut self.guess, &last, last_is_string, again);
    }

    /// Stores a number that is digits and at most a point, in a column of such; false for all else.
    #[inline]
    fn look_and_store_number(&mut self, cell: Visited<'_>) -> bool {
        let Store::Cells(builder) = &mut self.store else { return false };
        let bytes = cell.text.as_bytes();
        let whole = || whole_of_tail(cell.tail, bytes.len()).or_else(|| short_whole(bytes));
        match self.plan {
            Some(Plan::Integer) => {
                let Some(number) = whole() else { return false };
                self.guess.see_whole(number, bytes.len());
                builder.push_whole(number);
            }
            Some(Plan::Real) if bytes.first().is_some_and(u8::is_ascii_digit) => {
                if let Some(number) = real_of_tail(cell.tail, bytes.len()).or_else(|| short_real(bytes)) {
                    self.guess.see_real(cell.text, number);
                    builder.push_real(number);
                } else if let Some(number) = whole() {
                    self.guess.see_whole(number, bytes.len());
                    builder.push_real(number as f64);
                } else {
                    return false;
                }
            }
            _ => return false,
        }
        self.pushed(1);
        true
    }

    fn look_and_store(&mut self, cell: &str, is_string: bool, is_kept: bool) {
        match &mut self.store {
            Store::Words(words) => match words.see(cell, is_string, &mut self.guess) {
                _ if !is_kept => {}
                Some(code) => {
                    words.push_code(code);
                    self.pushed(1);
                }
                None => self.push(cell, is_string),
            },
            Store::Cells(builder) => {
                let class = classify(cell);
                match class {
                    _ if is_string => self.guess.see_string(cell),
                    CellClass::Integer(number) if is_digits_alone(cell) => {
                        self.guess.see_whole(number, cell.len());
                    }
                    _ => self.guess.see_as(cell, class),
                }
                if is_kept {
                    builder.push_as(cell, class);
                    self.pushed(1);
                }
            }
            Store::Closed => self.look(cell, is_string),
        }
    }

    /// Tells the guess how often words came again.
    fn count_words(&mut self) {
        if let Store::Words(words) = &mut self.store {
            words.count(&mut self.guess);
        }
    }

    fn push(&mut self, cell: &str, is_string: bool) {
        match &mut self.store {
            Store::Cells(builder) => builder.push(cell),
            Store::Words(words) => {
                if !words.push(cell, is_string) {
                    if self.in_piece >= PIECE {
                        // They come again often enough for another list of words.
                        let left = self.room - self.in_piece;
                        self.end_piece();
                        self.begin_piece(left);
                        self.push(cell, is_string);
                        return;
                    }
                    words.count(&mut self.guess);
                    let mut builder = ColumnBuilder::new(&self.name, Plan::Text, self.room);
                    words.cells().for_each(|cell| builder.push(cell));
                    builder.push(cell);
                    self.has_many_words = true;
                    self.store = Store::Cells(Box::new(builder));
                }
            }
            Store::Closed => return,
        }
        self.pushed(1);
    }

    /// Counts cells that were stored, and begins the next piece where this one is full.
    fn pushed(&mut self, cells: usize) {
        self.rows += cells;
        self.in_piece += cells;
        if self.in_piece == self.room {
            self.end_piece();
            self.begin_piece(PIECE);
        }
    }

    fn end_piece(&mut self) {
        let finished = match std::mem::replace(&mut self.store, Store::Closed) {
            Store::Closed => return,
            Store::Cells(builder) => {
                self.unreadable += builder.unreadable;
                builder.finish()
            }
            Store::Words(mut words) => {
                words.count(&mut self.guess);
                words.finish(&self.name)
            }
        };
        match finished {
            Ok(piece) => self.pieces.push(piece),
            Err(failure) => drop(self.failure.get_or_insert(failure)),
        }
    }

    fn finish(&mut self) -> Result<(Series, u64)> {
        self.end_piece();
        if let Some(failure) = self.failure.take() {
            return Err(failure.at(format!("column '{}'", self.name)));
        }
        let what = "cannot store the log";
        if let [_] = self.pieces.as_slice()
            && let Some(whole) = self.pieces.pop()
        {
            return Ok((whole, self.unreadable));
        }
        if let Some(whole) = enumerated::stacked(&self.name, &self.pieces)? {
            return Ok((whole, self.unreadable));
        }
        let widest = self.pieces.iter().map(|piece| plain_kind(piece.dtype())).max_by_key(bytes_of);
        let kind = widest.unwrap_or(DataType::String);
        let mut whole = Series::new_empty(self.name.as_str().into(), &kind);
        for piece in std::mem::take(&mut self.pieces) {
            let piece = if *piece.dtype() == kind { piece } else { piece.cast(&kind).explain(what)? };
            whole.append(&piece).explain(what)?;
        }
        Ok((whole.rechunk(), self.unreadable))
    }
}

/// True when a whole number is written without spaces or a sign.
fn is_digits_alone(cell: &str) -> bool {
    let ends = [cell.as_bytes().first(), cell.as_bytes().last()];
    ends.iter().all(|byte| byte.is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::super::guess::TimeReading;
    use super::super::times::DateOrder;
    use super::*;
    use crate::base::rng::Rng;
    use crate::data::importers::guess::tail_of;

    /// One column of cells, some of which are text whatever they look like.
    struct OneColumn(Vec<(String, bool)>);

    impl Cells for OneColumn {
        fn rows(&self) -> usize {
            self.0.len()
        }

        fn each(&self, _column: usize, mut visit: impl FnMut(usize, Visited<'_>)) {
            for (row, (text, is_string)) in self.0.iter().enumerate() {
                // As if other cells stood before it.
                let line = format!("12345678{text}");
                let tail = tail_of(line.as_bytes(), line.len());
                visit(row, Visited { text, is_string: *is_string, tail });
            }
        }
    }

    /// Cells of one kind, often the same as before, and a few of all kinds.
    fn cells(rng: &mut Rng, kind: usize, mixed: usize) -> OneColumn {
        let mut last = (String::new(), false);
        let mut cell = |row: usize| {
            let kind = if rng.below(100) < mixed { rng.below(7) } else { kind };
            let number = rng.below(100_000);
            let text = match kind {
                0 => number.to_string(),
                1 => format!("{}.{}", number / 7, number % 100),
                2 => (number % 10).to_string(),
                3 => format!("2026-01-{:02} 10:{:02}:00", number % 30 + 1, row / 40),
                4 => format!("{}/0{}/2026", number % 12 + 1, number % 9 + 1),
                5 => ["", "null", "x y", "007", "-5", "1234567890", ".5", "1.250", "1e3"][number % 9]
                    .to_owned(),
                _ => last.0.clone(),
            };
            if rng.below(3) > 0 || row == 0 {
                last = (text, rng.below(100) < mixed);
            }
            last.clone()
        };
        OneColumn((0..700).map(&mut cell).collect())
    }

    #[test]
    fn together_or_alone_cells_are_seen_and_stored_alike() {
        let mut rng = Rng::named(3, "fill");
        let times = Plan::Time(TimeReading::Calendar(DateOrder::Mdy));
        for round in 0..240 {
            let plan = [Plan::Integer, Plan::Real, Plan::Integer, times, times][round % 5];
            let mixed = [0, 3, 30][round % 3];
            let blocks: Vec<OneColumn> = (0..3).map(|_| cells(&mut rng, round % 5, mixed)).collect();
            let mut together = Filling::new("c");
            let mut alone = Filling::new("c");
            together.begin(plan, 0);
            alone.begin(plan, 0);
            // Pieces end between the blocks and within them.
            (together.room, alone.room) = (333, 333);
            for block in &blocks {
                together.look_and_store_all(block, 0, None);
                block.each(0, |_, cell| alone.look_and_store(cell.text, cell.is_string, true));
            }
            assert_eq!(format!("{:?}", together.guess), format!("{:?}", alone.guess), "{plan} {mixed}");
            assert_eq!(together.finish().unwrap(), alone.finish().unwrap(), "{plan} {mixed}");
        }
    }
}
