//! How is one column filled while it is looked at? Cells of the kind that most of its cells are take the shortest way.

use super::super::build::ColumnBuilder;
use super::super::guess::{
    CellClass, Guess, Plan, classify, real_of_tail, short_real, short_whole, whole_of_tail,
};
use super::super::narrow::bytes_of;
use super::super::number_batch::NumberBatch;
use super::super::words::Words;
use super::{Cells, Visited};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::enumerated::{self, plain_kind};
use crate::data::layout::ColumnTotal;
use polars::prelude::{DataType, Series};

/// Rows of one piece of a column, where it is not known how many will come. Pieces cost no room to spare, as one array
/// that grows would.
const PIECE: usize = 1 << 20;

/// A column that is being filled.
pub(super) struct Filling {
    name: String,
    pub guess: Guess,
    pub plan: Option<Plan>,
    pieces: Vec<Series>,
    store: Store,
    /// True once a text had too many distinct cells to be stored as codes.
    has_many_words: bool,
    pub rows: usize,
    /// How many rows the present piece has, and may have.
    in_piece: usize,
    room: usize,
    unreadable: u64,
    /// Over all rows, those included that are not stored.
    pub total: ColumnTotal,
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

impl Filling {
    pub fn new(name: &str) -> Self {
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

    /// Bytes that the stored cells take; of the piece that is not finished about.
    pub fn bytes(&self) -> u64 {
        let open = match &self.store {
            Store::Closed => 0,
            Store::Cells(builder) => builder.bytes(self.in_piece),
            Store::Words(words) => words.bytes(),
        };
        open + self.pieces.iter().map(|piece| piece.estimated_size() as u64).sum::<u64>()
    }

    /// Forgets what is stored, and only looks from now on.
    pub fn close(&mut self) {
        self.count_words();
        self.pieces.clear();
        self.store = Store::Closed;
    }

    /// Forgets the sums.
    pub fn add_up_anew(&mut self) {
        self.total = ColumnTotal { column: self.name.clone(), ..ColumnTotal::default() };
    }

    /// Looks at a cell without storing it.
    pub fn look(&mut self, cell: &str, is_string: bool) {
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
    pub fn store(&mut self, block: &impl Cells, place: usize, kept: Option<&[bool]>, adds_up: bool) {
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
    pub fn begin(&mut self, plan: Plan, expected: usize) {
        self.plan = Some(plan);
        self.pieces.clear();
        self.rows = 0;
        self.unreadable = 0;
        self.begin_piece(expected);
    }

    /// Begins a piece with room for so many rows; 0 when it is not known how many will come.
    pub fn begin_piece(&mut self, rows: usize) {
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

    pub fn look_and_store_all(&mut self, block: &impl Cells, place: usize, kept: Option<&[bool]>) {
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
    pub fn count_words(&mut self) {
        if let Store::Words(words) = &mut self.store {
            words.count(&mut self.guess);
        }
    }

    pub fn push(&mut self, cell: &str, is_string: bool) {
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

    pub fn end_piece(&mut self) {
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

    pub fn finish(&mut self) -> Result<(Series, u64)> {
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
    use super::super::super::guess::TimeReading;
    use super::super::super::times::DateOrder;
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
