//! Where do embeddings live? In flat tables outside the graph, of which a batch touches few rows.
//!
//! A row holds its weights and, in training, what the optimiser remembers of them, side by side: one visit to
//! memory serves both (as in FBGEMM's fused tables). Rows begin on 16 bytes, so that no short row lies on two cache
//! lines.

use super::numbers::{FILE_FROM, Numbers};
use super::optimiser::{Rule, Step};
use super::radix::RowSort;
use crate::base::{Failure, Result};
use rayon::prelude::*;
use std::ops::Range;

/// All fields' embeddings of one width, one after another.
#[derive(Debug)]
pub struct Table {
    /// What the rows are for: `embedding`, `linear`. Files hold one tensor `name.field` a field.
    pub name: String,
    /// Weights in a row.
    pub width: usize,
    /// True when its weights are counted or solved for: no step moves them.
    pub is_fixed: bool,
    /// Field names with their first row in the table.
    fields: Vec<(String, u32)>,
    /// Rows of all fields.
    rows: u32,
    /// The field of each row behind those of the fields, which is worked out of others: no file holds it.
    derived: Vec<usize>,
    /// Whose memory the rows carry.
    rule: Option<Rule>,
    /// Numbers from one row to the next.
    stride: usize,
    numbers: Numbers,
}

/// One use of a table row: `weight` times row `row` is added to output slot `slot`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Read {
    /// Row of the table.
    pub row: u32,
    /// Place in the output.
    pub slot: u32,
    /// Factor: 1, or `1 / n` in a mean of `n` rows.
    pub weight: f32,
}

/// What a batch needs of one table: plain rows, sums, means and padded sequences are all lists of reads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lookup {
    /// Which table of the model.
    pub table: usize,
    /// The reads, in order of their slots. A slot without reads is a row of zeros.
    pub reads: Vec<Read>,
    /// Dimensions of the output before the width: `[rows, fields]`.
    pub shape: Vec<usize>,
}

/// Gradients of the touched rows, duplicates added up, in order of rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowGradients {
    /// Distinct rows, ascending.
    pub rows: Vec<u32>,
    /// `rows.len() * width` numbers.
    pub values: Vec<f32>,
}

impl RowGradients {
    /// Leaves no row.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.values.clear();
    }

    /// Adds `weight` times other gradients of rows of the same `width`.
    pub fn add(&mut self, more: &Self, weight: f32, width: usize) {
        if self.rows == more.rows {
            self.values.iter_mut().zip(&more.values).for_each(|(sum, more)| *sum += weight * more);
            return;
        }
        let width = width.max(1);
        let old = std::mem::take(self);
        let mut own = old.rows.iter().zip(old.values.chunks_exact(width)).peekable();
        let mut other = more.rows.iter().zip(more.values.chunks_exact(width)).peekable();
        loop {
            let row = match (own.peek(), other.peek()) {
                (None, None) => return,
                (Some((row, _)), None) | (None, Some((row, _))) => **row,
                (Some((own, _)), Some((other, _))) => **own.min(other),
            };
            self.rows.push(row);
            match own.next_if(|(own, _)| **own == row) {
                Some((_, values)) => self.values.extend_from_slice(values),
                None => self.values.resize(self.values.len() + width, 0.0),
            }
            if let Some((_, values)) = other.next_if(|(other, _)| **other == row) {
                let start = self.values.len() - width;
                self.values[start..].iter_mut().zip(values).for_each(|(sum, more)| *sum += weight * more);
            }
        }
    }
}

/// Slots gathered, or rows added up, by a thread at a time: a fixed number, so that nothing depends on the threads.
const AT_ONCE: usize = 1024;
/// Rows below which a split over threads costs more than it gives.
const ROWS_AT_ONCE: usize = 2048;

impl Table {
    /// Bytes of its rows, with what the optimiser remembers of them.
    pub fn bytes(&self) -> u64 {
        (self.all_rows() * self.stride * size_of::<f32>()) as u64
    }

    /// A table of zeros for `fields` of `(name, rows)`, with room for what `rule` remembers; in a file from
    /// `file_from` bytes on.
    ///
    /// # Errors
    /// More than 2^32 rows, or there is no room for them.
    pub fn zeros(
        name: &str,
        width: usize,
        fields: &[(String, usize)],
        rule: Option<Rule>,
        file_from: usize,
    ) -> Result<Self> {
        let mut rows = 0;
        let mut starts = Vec::with_capacity(fields.len());
        for (field, count) in fields {
            starts.push((field.clone(), rows as u32));
            rows += count;
            if u32::try_from(rows).is_err() {
                return Err(Failure::new(
                    "cannot make the model's tables",
                    format!("{rows} values are too many"),
                )
                .hint("leave out a column, or raise the least number of times that a value must occur"));
            }
        }
        let stride = stride(width, rule);
        let numbers = Numbers::zeros(rows * stride, file_from)?;
        Ok(Self {
            name: name.to_owned(),
            width,
            is_fixed: false,
            fields: starts,
            rows: rows as u32,
            derived: Vec::new(),
            rule,
            stride,
            numbers,
        })
    }

    /// Makes room for rows that are worked out of others, each of the field at one of `places`, behind those of the
    /// fields. They take the place of such rows as were there.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn derive(&mut self, places: Vec<usize>) -> Result<()> {
        let file_from = if self.in_file() { 1 } else { FILE_FROM };
        let mut numbers = Numbers::zeros((self.rows() + places.len()) * self.stride, file_from)?;
        let kept = self.rows() * self.stride;
        numbers[..kept].copy_from_slice(&self.numbers[..kept]);
        (self.numbers, self.derived) = (numbers, places);
        Ok(())
    }

    /// The fields in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// Rows of all fields.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// The same with those that are worked out of others.
    pub fn all_rows(&self) -> usize {
        self.rows() + self.derived.len()
    }

    /// The field of a row, by its place.
    pub fn place_of(&self, row: u32) -> Option<usize> {
        match (row as usize).checked_sub(self.rows()) {
            Some(derived) => self.derived.get(derived).copied(),
            None => (0..self.fields.len()).rfind(|place| self.start(*place) <= row),
        }
    }

    /// First row of the field at `place`.
    pub fn start(&self, place: usize) -> u32 {
        self.fields.get(place).map_or(self.rows, |(_, start)| *start)
    }

    /// Rows of the field at `place`.
    pub fn rows_of(&self, place: usize) -> usize {
        (self.start(place + 1) - self.start(place)) as usize
    }

    /// The name of a field's tensor in files.
    pub fn tensor_name(&self, place: usize) -> String {
        let field = self.fields.get(place).map_or("", |(name, _)| name.as_str());
        format!("{}.{field}", self.name)
    }

    /// The weights of one row.
    pub fn row(&self, row: u32) -> &[f32] {
        &self.numbers[row as usize * self.stride..][..self.width]
    }

    /// The weights of one row, to be changed.
    pub fn row_mut(&mut self, row: u32) -> &mut [f32] {
        &mut self.numbers[row as usize * self.stride..][..self.width]
    }

    /// Mean square of all weights.
    pub fn mean_square(&self) -> f64 {
        let squares = |row: u32| self.row(row).iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        (0..self.rows).map(squares).sum::<f64>() / (self.rows() * self.width).max(1) as f64
    }

    /// True when the table lives in a file.
    pub fn in_file(&self) -> bool {
        self.numbers.in_file()
    }

    /// The tensors that a row is made of, as `(name, columns of the row)`: weights first, under an empty name, then
    /// the optimiser's.
    pub fn parts(&self) -> Vec<(&'static str, Range<usize>)> {
        let mut parts = vec![("", 0..self.width)];
        for (name, columns) in self.rule.map_or_else(Vec::new, |rule| rule.remembers(self.width)) {
            let start = parts.last().map_or(0, |(_, columns)| columns.end);
            parts.push((name, start..start + columns));
        }
        parts
    }

    /// The numbers of some columns of a field's rows, row-major.
    pub fn read(&self, place: usize, columns: Range<usize>) -> Vec<f32> {
        self.read_rows(place, 0..self.rows_of(place), columns)
    }

    /// The same for some of the field's rows, counted from its first.
    pub fn read_rows(&self, place: usize, rows: Range<usize>, columns: Range<usize>) -> Vec<f32> {
        let mut out = Vec::with_capacity(rows.len() * columns.len());
        let numbers = &self.numbers_of(place)[rows.start * self.stride..rows.end * self.stride];
        for row in numbers.chunks_exact(self.stride.max(1)) {
            out.extend_from_slice(&row[columns.clone()]);
        }
        out
    }

    /// Writes what [`read`](Self::read) answers.
    pub fn write(&mut self, place: usize, columns: Range<usize>, values: &[f32]) {
        let (from, to) = (self.start(place) as usize, self.start(place + 1) as usize);
        let rows = self.numbers[from * self.stride..to * self.stride].chunks_exact_mut(self.stride.max(1));
        for (row, values) in rows.zip(values.chunks_exact(columns.len().max(1))) {
            row[columns.clone()].copy_from_slice(values);
        }
    }

    fn numbers_of(&self, place: usize) -> &[f32] {
        &self.numbers[self.start(place) as usize * self.stride..self.start(place + 1) as usize * self.stride]
    }

    /// The numbers that `lookup` asks for, `[slots * width]`.
    pub fn gather(&self, lookup: &Lookup) -> Vec<f32> {
        let width = self.width.max(1);
        let mut out = vec![0.0; lookup.shape.iter().product::<usize>() * self.width];
        out.par_chunks_mut(AT_ONCE * width).enumerate().for_each(|(chunk, out)| {
            let first = chunk * AT_ONCE;
            let from = lookup.reads.partition_point(|read| (read.slot as usize) < first);
            let until = first + out.len() / width;
            for read in lookup.reads[from..].iter().take_while(|read| (read.slot as usize) < until) {
                let to = &mut out[(read.slot as usize - first) * width..][..width];
                for (to, from) in to.iter_mut().zip(self.row(read.row)) {
                    *to += read.weight * from;
                }
            }
        });
        out
    }

    /// Moves the touched rows against their gradients. The cost does not depend on the rows that are not touched, nor
    /// the result on the number of threads: no row is in two hands.
    pub fn apply(&mut self, step: Step, gradients: &RowGradients) {
        let stride = self.stride;
        let rows = Rows { numbers: &mut self.numbers, first: 0, stride, width: self.width };
        rows.apply(step, &gradients.rows, &gradients.values);
    }
}

/// Numbers from one row to the next: weights and the rule's memory, filled up to 16 bytes.
fn stride(width: usize, rule: Option<Rule>) -> usize {
    let remembered: usize = rule.map_or(0, |rule| rule.remembers(width).iter().map(|(_, n)| n).sum());
    let numbers = width + remembered;
    if numbers <= 2 { numbers } else { numbers.next_multiple_of(4) }
}

/// A stretch of a table; `first` is the table row at its start.
struct Rows<'a> {
    numbers: &'a mut [f32],
    first: u32,
    stride: usize,
    width: usize,
}

impl Rows<'_> {
    fn apply(self, step: Step, rows: &[u32], gradients: &[f32]) {
        let (stride, width) = (self.stride, self.width);
        if rows.len() <= ROWS_AT_ONCE {
            for (row, gradient) in rows.iter().zip(gradients.chunks_exact(width.max(1))) {
                let numbers = &mut self.numbers[(row - self.first) as usize * stride..][..stride];
                let (weights, memory) = numbers.split_at_mut(width);
                step.row(weights, memory, gradient);
            }
            return;
        }
        let half = rows.len() / 2;
        let (numbers, right) = self.numbers.split_at_mut((rows[half] - self.first) as usize * stride);
        let left = Rows { numbers, ..self };
        let right = Rows { numbers: right, first: rows[half], stride, width };
        rayon::join(
            || left.apply(step, &rows[..half], &gradients[..half * width]),
            || right.apply(step, &rows[half..], &gradients[half * width..]),
        );
    }
}

/// Adds up, for each touched row of one table of `rows` rows, the gradients of all slots that read it.
///
/// `parts` are lookups of that table with the gradient of their output. Duplicates are summed before any
/// squaring, so a step equals the dense step on those rows. The order of additions is fixed.
pub fn row_gradients(parts: &[(&Lookup, &[f32])], rows: usize, width: usize) -> RowGradients {
    let reads = parts.iter().flat_map(|(lookup, _)| &lookup.reads);
    let mut sort = RowSort::default();
    let order = sort.sort(reads.map(|read| read.row), rows);
    let starts: Vec<usize> =
        (0..order.len()).filter(|&at| at == 0 || order[at] >> 32 != order[at - 1] >> 32).collect();
    let mut merged = RowGradients {
        rows: starts.iter().map(|&start| (order[start] >> 32) as u32).collect(),
        values: vec![0.0; starts.len() * width],
    };
    let sums = merged.values.par_chunks_mut(AT_ONCE * width.max(1)).zip(starts.par_chunks(AT_ONCE));
    sums.for_each(|(sums, starts)| {
        for (sum, start) in sums.chunks_exact_mut(width.max(1)).zip(starts) {
            let row = order[*start] >> 32;
            for key in order[*start..].iter().take_while(|key| **key >> 32 == row) {
                add_read(sum, parts, (key & 0xFFFF_FFFF) as usize);
            }
        }
    });
    merged
}

/// Adds the gradient of the read at `place` in all the parts' reads.
fn add_read(sum: &mut [f32], parts: &[(&Lookup, &[f32])], mut place: usize) {
    for (lookup, gradient) in parts {
        if let Some(read) = lookup.reads.get(place) {
            let from = &gradient[read.slot as usize * sum.len()..][..sum.len()];
            for (to, from) in sum.iter_mut().zip(from) {
                *to += read.weight * from;
            }
            return;
        }
        place -= lookup.reads.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::nn::optimiser::RULES;

    fn fields() -> [(String, usize); 2] {
        [("city".into(), 2), ("ad".into(), 3)]
    }

    fn table() -> Table {
        let mut table = Table::zeros("embedding", 2, &fields(), None, FILE_FROM).unwrap();
        let values: Vec<f32> = (0..10).map(|v| v as f32).collect();
        table.write(0, 0..2, &values[..4]);
        table.write(1, 0..2, &values[4..]);
        table
    }

    fn read(row: u32, slot: u32, weight: f32) -> Read {
        Read { row, slot, weight }
    }

    #[test]
    fn fields_know_their_rows() {
        let table = table();
        assert_eq!(table.start(1), 2);
        assert_eq!((table.rows_of(0), table.rows_of(1)), (2, 3));
        assert_eq!(table.tensor_name(1), "embedding.ad");
        assert_eq!(table.row(3), [6.0, 7.0]);
        assert_eq!(table.read(1, 0..2), [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let too_many = [("all".into(), 1 << 31), ("more".into(), 1 << 31)];
        assert!(
            Table::zeros("embedding", 2, &too_many, None, FILE_FROM).unwrap_err().why.contains("too many")
        );
    }

    #[test]
    fn rows_hold_what_their_rule_remembers() {
        for rule in RULES {
            let table = Table::zeros("embedding", 5, &fields(), Some(*rule), FILE_FROM).unwrap();
            let parts = table.parts();
            assert_eq!(parts[0], ("", 0..5));
            assert_eq!(parts.len(), 1 + rule.remembers(5).len(), "{rule:?}");
            assert!(parts.last().unwrap().1.end <= table.stride);
            assert_eq!(table.stride % 4, 0);
        }
    }

    #[test]
    fn gathers_rows_means_and_nothing() {
        let lookup = Lookup {
            table: 0,
            reads: vec![read(4, 0, 1.0), read(0, 2, 0.5), read(1, 2, 0.5)],
            shape: vec![3],
        };
        assert_eq!(table().gather(&lookup), [8.0, 9.0, 0.0, 0.0, 1.0, 2.0]);
        // More slots than one thread takes at a time.
        let reads = (0..3 * AT_ONCE).map(|slot| read(slot as u32 % 5, slot as u32, 1.0)).collect();
        let many = Lookup { table: 0, reads, shape: vec![3 * AT_ONCE] };
        let gathered = table().gather(&many);
        for (slot, row) in gathered.chunks(2).enumerate() {
            assert_eq!(row, table().row(slot as u32 % 5));
        }
    }

    #[test]
    fn gradients_of_other_rows_are_added_in_their_order() {
        let mut sum = RowGradients { rows: vec![1, 4], values: vec![1.0, 2.0, 3.0, 4.0] };
        let more = RowGradients { rows: vec![0, 4, 7], values: vec![1.0, 1.0, 10.0, 10.0, 5.0, 6.0] };
        sum.add(&more, 0.5, 2);
        assert_eq!(sum.rows, [0, 1, 4, 7]);
        assert_eq!(sum.values, [0.5, 0.5, 1.0, 2.0, 8.0, 9.0, 2.5, 3.0]);
        sum.add(&sum.clone(), -1.0, 2);
        assert_eq!(sum.values, [0.0; 8]);
    }

    #[test]
    fn adds_up_duplicates_across_lookups() {
        let one = Lookup { table: 0, reads: vec![read(3, 0, 1.0), read(1, 1, 1.0)], shape: vec![2] };
        let two = Lookup { table: 0, reads: vec![read(3, 0, 0.5)], shape: vec![1] };
        let merged = row_gradients(&[(&one, &[1.0, 2.0, 3.0, 4.0]), (&two, &[10.0, 20.0])], 5, 2);
        assert_eq!(merged.rows, [1, 3]);
        assert_eq!(merged.values, [3.0, 4.0, 6.0, 12.0]);
    }

    /// Rules that move nothing on a gradient of 0 take the dense step, whatever rows the batches touch; lazy Adam takes it
    /// where every batch touches all.
    #[test]
    fn steps_on_touched_rows_equal_dense_steps() {
        let (rows, width) = (40, 5);
        for rule in RULES {
            let fields = [("all".to_owned(), rows)];
            let mut table = Table::zeros("embedding", width, &fields, Some(*rule), FILE_FROM).unwrap();
            let mut rng = Rng::named(7, "test");
            let mut dense: Vec<f32> = (0..rows * width).map(|_| rng.normal() as f32).collect();
            table.write(0, 0..width, &dense);
            let mut memory = vec![0.0; 2 * rows * width];
            for count in 1..=20 {
                let mut gradient = vec![0.0; rows * width];
                let mut touched = RowGradients::default();
                for row in 0..rows {
                    if *rule == Rule::Adam || rng.chance(0.3) {
                        let of_row = &mut gradient[row * width..][..width];
                        of_row.iter_mut().for_each(|g| *g = rng.normal() as f32);
                        touched.rows.push(row as u32);
                        touched.values.extend_from_slice(of_row);
                    }
                }
                let step = Step { count, l1: 0.5, ..Step::new(*rule, 0.1) };
                table.apply(step, &touched);
                if *rule == Rule::RowwiseAdagrad {
                    let rows = dense.chunks_mut(width).zip(memory.chunks_mut(1)).zip(gradient.chunks(width));
                    rows.for_each(|((weights, memory), gradient)| step.row(weights, memory, gradient));
                } else {
                    step.dense(&mut dense, &mut memory, &gradient);
                }
            }
            assert_eq!(table.read(0, 0..width), dense, "{rule:?}");
        }
    }

    /// Steps on every second row of a large table, in memory and in a file, against the rule applied row by row.
    #[test]
    fn touched_rows_move_alike_in_memory_and_in_a_file_and_others_rest() {
        let (rows, width) = (3 * ROWS_AT_ONCE, 3);
        let mut rng = Rng::named(1, "test");
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.normal() as f32).collect() };
        let (start, gradient) = (draw(rows * width), draw(rows * width / 2));
        let touched = RowGradients { rows: (0..rows as u32).step_by(2).collect(), values: gradient.clone() };
        for rule in RULES {
            let moved = |file_from: usize| {
                let fields = [("all".to_owned(), rows)];
                let mut table = Table::zeros("embedding", width, &fields, Some(*rule), file_from).unwrap();
                table.write(0, 0..width, &start);
                for count in 1..=3 {
                    table.apply(Step { count, ..Step::new(*rule, 0.1) }, &touched);
                }
                let state: Vec<_> = table.parts().into_iter().map(|(_, part)| table.read(0, part)).collect();
                (table.in_file(), state)
            };
            let (in_memory, in_file) = (moved(FILE_FROM), moved(1));
            assert_eq!((in_memory.0, in_file.0), (false, true));
            assert_eq!(in_memory.1, in_file.1);
            for row in 0..rows {
                let (mut want, mut memory) = (start[row * width..][..width].to_vec(), vec![0.0; 2 * width]);
                for count in 1..=3 {
                    if row % 2 == 0 {
                        let step = Step { count, ..Step::new(*rule, 0.1) };
                        step.row(&mut want, &mut memory, &gradient[row / 2 * width..][..width]);
                    }
                }
                assert_eq!(in_memory.1[0][row * width..][..width], want, "{rule:?} row {row}");
            }
        }
    }
}
