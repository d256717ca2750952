//! Where do embeddings live? In flat tables outside the graph, of which a batch touches few rows.

use rayon::prelude::*;
use std::ops::Range;

/// All fields' embeddings of one width, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the rows are for: `embedding`, `linear`. Files hold one tensor `name.field` a field.
    pub name: String,
    /// Numbers in a row.
    pub width: usize,
    /// Field names with their first row in the table.
    fields: Vec<(String, u32)>,
    /// Rows of all fields.
    rows: u32,
    /// Row-major numbers.
    pub values: Vec<f32>,
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

impl Table {
    /// A table of zeros for `fields` of `(name, rows)`.
    pub fn zeros(name: &str, width: usize, fields: &[(String, usize)]) -> Self {
        let mut rows = 0_u32;
        let starts = fields
            .iter()
            .map(|(field, count)| {
                let start = rows;
                rows += *count as u32;
                (field.clone(), start)
            })
            .collect();
        Self { name: name.to_owned(), width, fields: starts, rows, values: vec![0.0; rows as usize * width] }
    }

    /// The fields in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// First row of the field at `place`.
    pub fn start(&self, place: usize) -> u32 {
        self.fields.get(place).map_or(self.rows, |(_, start)| *start)
    }

    /// Rows of the field at `place`.
    pub fn rows_of(&self, place: usize) -> usize {
        (self.start(place + 1) - self.start(place)) as usize
    }

    /// Where the numbers of the field at `place` stand in `values`.
    pub fn range(&self, place: usize) -> Range<usize> {
        self.start(place) as usize * self.width..self.start(place + 1) as usize * self.width
    }

    /// The name of a field's tensor in files.
    pub fn tensor_name(&self, place: usize) -> String {
        let field = self.fields.get(place).map_or("", |(name, _)| name.as_str());
        format!("{}.{field}", self.name)
    }

    /// The numbers that `lookup` asks for, `[slots * width]`.
    pub fn gather(&self, lookup: &Lookup) -> Vec<f32> {
        let width = self.width;
        let mut out = vec![0.0; lookup.shape.iter().product::<usize>() * width];
        for read in &lookup.reads {
            let from = &self.values[read.row as usize * width..][..width];
            let to = &mut out[read.slot as usize * width..][..width];
            for (to, from) in to.iter_mut().zip(from) {
                *to += read.weight * from;
            }
        }
        out
    }
}

/// Adds up, for each touched row of one table, the gradients of all slots that read it.
///
/// `parts` are lookups of that table with the gradient of their output. Duplicates are summed before any
/// squaring, so a step equals the dense step on those rows. The order of additions is fixed.
pub fn row_gradients(parts: &[(&Lookup, &[f32])], width: usize) -> RowGradients {
    let mut order: Vec<u64> = parts
        .iter()
        .flat_map(|(lookup, _)| &lookup.reads)
        .enumerate()
        .map(|(place, read)| u64::from(read.row) << 32 | place as u64)
        .collect();
    order.par_sort_unstable();
    let mut merged = RowGradients::default();
    for key in order {
        let (row, mut place) = ((key >> 32) as u32, (key & 0xFFFF_FFFF) as usize);
        if merged.rows.last() != Some(&row) {
            merged.rows.push(row);
            merged.values.resize(merged.rows.len() * width, 0.0);
        }
        let start = (merged.rows.len() - 1) * width;
        for (lookup, gradient) in parts {
            if let Some(read) = lookup.reads.get(place) {
                let from = &gradient[read.slot as usize * width..][..width];
                for (to, from) in merged.values[start..].iter_mut().zip(from) {
                    *to += read.weight * from;
                }
                break;
            }
            place -= lookup.reads.len();
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::zeros("embedding", 2, &[("city".into(), 2), ("ad".into(), 3)]);
        table.values = (0..10).map(|v| v as f32).collect();
        table
    }

    #[test]
    fn fields_know_their_rows() {
        let table = table();
        assert_eq!(table.start(1), 2);
        assert_eq!(table.range(1), 4..10);
        assert_eq!((table.rows_of(0), table.rows_of(1)), (2, 3));
        assert_eq!(table.tensor_name(1), "embedding.ad");
    }

    #[test]
    fn gathers_rows_means_and_nothing() {
        let read = |row, slot, weight| Read { row, slot, weight };
        let lookup = Lookup {
            table: 0,
            reads: vec![read(4, 0, 1.0), read(0, 2, 0.5), read(1, 2, 0.5)],
            shape: vec![3],
        };
        assert_eq!(table().gather(&lookup), [8.0, 9.0, 0.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn adds_up_duplicates_across_lookups() {
        let read = |row, slot, weight| Read { row, slot, weight };
        let one = Lookup { table: 0, reads: vec![read(3, 0, 1.0), read(1, 1, 1.0)], shape: vec![2] };
        let two = Lookup { table: 0, reads: vec![read(3, 0, 0.5)], shape: vec![1] };
        let merged = row_gradients(&[(&one, &[1.0, 2.0, 3.0, 4.0]), (&two, &[10.0, 20.0])], 2);
        assert_eq!(merged.rows, [1, 3]);
        assert_eq!(merged.values, [3.0, 4.0, 6.0, 12.0]);
    }
}
