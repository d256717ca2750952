//! What did the embeddings look like after each epoch? Copies that are kept while a model trains, few enough to be held.

use super::trained::EmbeddingTable;
use super::trainer::Position;
use crate::data::Encoder;
use crate::models::Network;
use crate::nn::tables::Table;
use half::f16;

/// Moments kept at most; with more, every second one of those is given up.
const MOST_MOMENTS: usize = 24;
/// Bytes that all copies may take.
const MOST_BYTES: usize = 128 << 20;

/// The embedding tables after some epochs of a training, rounded to 16 bits (11 of them digits: 3 decimal places).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpochTables {
    /// Finished epochs at each moment, ascending.
    pub epochs: Vec<u32>,
    /// Why none or not all are kept; empty when all are.
    pub note: String,
    /// Epochs between two that are kept.
    step: u32,
    width: usize,
    /// Numbers before each field's, by place among the categorical fields.
    starts: Vec<usize>,
    moments: Vec<Vec<f16>>,
}

impl EpochTables {
    /// Keeps the table as it is, if that is between two epochs of which one is kept.
    pub(super) fn keep(&mut self, network: &Network, encoder: &Encoder, position: &Position) {
        let table = shown_table(network, encoder).filter(|table| !table.is_fixed && position.batch == 0);
        if let Some(table) = table {
            self.take(table, position.epoch);
        }
    }

    fn take(&mut self, table: &Table, epoch: u32) {
        let fields = table.fields().count();
        let rows = || (0..fields).map(|place| table.rows_of(place));
        let bytes = rows().sum::<usize>() * table.width * size_of::<f16>();
        // A picture of two moments is the least that shows a change.
        if 2 * bytes > MOST_BYTES {
            self.note = format!(
                "no copies of the table by epoch were kept: one takes {} MB, and all may take {} MB",
                bytes >> 20,
                MOST_BYTES >> 20
            );
            return;
        }
        self.step = self.step.max(1);
        if self.epochs.last().is_some_and(|last| *last >= epoch) || !epoch.is_multiple_of(self.step) {
            return;
        }
        let most = (MOST_BYTES / bytes.max(1)).min(MOST_MOMENTS);
        if self.moments.len() >= most {
            self.step *= 2;
            let kept: Vec<bool> = self.epochs.iter().map(|epoch| epoch.is_multiple_of(self.step)).collect();
            let mut kept_epochs = kept.iter();
            self.epochs.retain(|_| kept_epochs.next().is_some_and(|kept| *kept));
            let mut kept_moments = kept.iter();
            self.moments.retain(|_| kept_moments.next().is_some_and(|kept| *kept));
            self.note = format!("every {}th epoch is kept, {most} at most", self.step);
            if !epoch.is_multiple_of(self.step) {
                return;
            }
        }
        self.width = table.width;
        self.starts = rows()
            .scan(0, |end, rows| {
                let start = *end;
                *end += rows * table.width;
                Some(start)
            })
            .collect();
        let all = (0..fields).flat_map(|place| table.read(place, 0..table.width));
        self.moments.push(all.map(f16::from_f32).collect());
        self.epochs.push(epoch);
    }

    /// The vectors of a field at a moment (a place in `epochs`), by its place among the categorical fields.
    pub fn table(&self, moment: usize, field: usize) -> Option<Vec<f32>> {
        let all = self.moments.get(moment)?;
        let start = *self.starts.get(field)?;
        let end = self.starts.get(field + 1).copied().unwrap_or(all.len());
        Some(all.get(start..end)?.iter().map(|value| value.to_f32()).collect())
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// True where a change can be shown.
    pub fn is_worth_seeing(&self) -> bool {
        self.epochs.len() > 1
    }
}

/// The widest table of values: embeddings where there are any, else the linear weights.
pub(super) fn shown_table<'a>(network: &'a Network, encoder: &Encoder) -> Option<&'a Table> {
    let names = || encoder.categorical.iter().map(|field| field.name.as_str());
    let of_values = network.tables.iter().filter(|table| table.fields().eq(names()));
    of_values.max_by_key(|table| table.width)
}

impl EpochTables {
    /// The table of a field at a moment, with the names that it has now.
    pub fn embedding(
        &self,
        moment: usize,
        encoder: &Encoder,
        now: &EmbeddingTable,
    ) -> Option<EmbeddingTable> {
        let values = self.table(moment, encoder.position(&now.field)?)?;
        (self.width == now.width && values.len() == now.values.len())
            .then(|| EmbeddingTable { values, ..now.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: usize, value: f32) -> Table {
        let fields = [("ad".to_owned(), rows), ("city".to_owned(), 2)];
        let mut table = Table::zeros("embedding", 2, &fields, None, usize::MAX).unwrap();
        table.write(0, 0..2, &vec![value; 2 * rows]);
        table.write(1, 0..2, &[-value; 4]);
        table
    }

    #[test]
    fn many_epochs_are_thinned_evenly_and_few_are_all_kept() {
        let mut kept = EpochTables::default();
        for epoch in 0..=20 {
            kept.take(&table(3, epoch as f32), epoch);
        }
        assert_eq!(kept.epochs, (0..=20).collect::<Vec<u32>>());
        assert!(kept.note.is_empty() && kept.is_worth_seeing());
        assert_eq!(kept.table(7, 0).unwrap(), [7.0; 6]);
        assert_eq!(kept.table(7, 1).unwrap(), [-7.0; 4]);
        for epoch in 21..=100 {
            kept.take(&table(3, epoch as f32), epoch);
        }
        assert!(
            kept.epochs.len() <= MOST_MOMENTS && kept.epochs.len() > MOST_MOMENTS / 2,
            "{:?}",
            kept.epochs
        );
        assert!(kept.epochs.windows(2).all(|pair| pair[1] - pair[0] == 8), "{:?}", kept.epochs);
        assert_eq!(kept.table(2, 0).unwrap(), [16.0; 6]);
        assert!(kept.note.contains("every 8th epoch"), "{}", kept.note);
        assert_eq!((kept.table(99, 0), kept.table(0, 2)), (None, None));
    }

    #[test]
    fn an_epoch_that_is_gone_through_again_is_kept_once() {
        let mut kept = EpochTables::default();
        for epoch in [0, 1, 1, 0, 2] {
            kept.take(&table(1, epoch as f32), epoch);
        }
        assert_eq!(kept.epochs, [0, 1, 2]);
    }

    #[test]
    fn a_table_too_large_to_be_copied_is_told() {
        let mut kept = EpochTables::default();
        kept.take(&table(20 << 20, 1.0), 0);
        assert!(kept.epochs.is_empty() && kept.note.contains("no copies of the table"), "{}", kept.note);
    }
}
