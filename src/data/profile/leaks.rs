//! Does a column give the answer away? A feature that alone ranks clicks (almost) perfectly is suspect.

use crate::base::Result;
use crate::data::cells::{self, NO_CODE};
use crate::data::edit::edited_rows;
use crate::data::frame::LogFrame;
use crate::data::schema::{Column, ColumnType, Role};
use crate::metrics::ranking::auc;

/// Rows that are looked at, evenly over the log.
const SAMPLE: usize = 100_000;
/// A single honest feature never ranks this well.
const SUSPECT_AUC: f64 = 0.99;
/// Fewer clicks (or non-clicks) than this can be ranked perfectly by chance.
const MIN_OF_EACH: usize = 10;

/// A category that is rarer than this on average proves nothing.
const MIN_ROWS_PER_VALUE: usize = 10;

/// A column and how well it ranks the label alone.
pub(super) struct Leak {
    pub column: String,
    pub auc: f64,
}

/// The answers of a sample of rows.
pub(super) struct Answers {
    /// The rows of the sample alone.
    sample: LogFrame,
    /// Where they stand in the log.
    rows: Vec<u32>,
    labels: Vec<f32>,
}

impl Answers {
    /// The sample; `None` when the log has no label or too few of a kind.
    pub fn of(log: &LogFrame) -> Result<Option<Self>> {
        let Some(label) = log.schema.with_role(Role::Label) else {
            return Ok(None);
        };
        let step = log.rows().div_ceil(SAMPLE).max(1);
        let (mut rows, mut labels, mut first) = (Vec::new(), Vec::new(), 0);
        for piece in cells::number_pieces(log, &label.name) {
            let piece = piece?;
            let own = (first..first + piece.len()).zip(piece.iter());
            for (row, value) in own.filter(|(row, value)| row % step == 0 && !value.is_nan()) {
                rows.push(row as u32);
                labels.push(*value as f32);
            }
            first += piece.len();
        }
        let clicks = labels.iter().filter(|label| **label > 0.5).count();
        if clicks < MIN_OF_EACH || labels.len() - clicks < MIN_OF_EACH {
            return Ok(None);
        }
        let sample = edited_rows(log, &rows, &[])?;
        Ok(Some(Self { sample, rows, labels }))
    }

    /// Asks one column. `None` when it is no suspect or no feature.
    pub fn leak(&self, column: &Column) -> Result<Option<Leak>> {
        let auc = match (column.role, column.kind) {
            (Role::Numeric, ColumnType::Integer | ColumnType::Real | ColumnType::Boolean) => {
                self.numeric_auc(&cells::numbers(&self.sample, &column.name)?)
            }
            (
                Role::Categorical | Role::Slot | Role::Campaign | Role::Ad | Role::Text,
                ColumnType::Text | ColumnType::Integer | ColumnType::Boolean,
            ) => self.categorical_auc(&cells::coded(&self.sample, &column.name)?),
            _ => None,
        };
        let suspect = auc.filter(|auc| *auc >= SUSPECT_AUC);
        Ok(suspect.map(|auc| Leak { column: column.name.clone(), auc }))
    }

    /// AUC of the number itself, whichever way it points; a missing cell counts as the lowest, so that a column
    /// that is filled only after a click shows.
    fn numeric_auc(&self, numbers: &[f64]) -> Option<f64> {
        let score = |number: &f64| {
            let number = *number;
            if number.is_nan() { f32::MIN } else { number as f32 }
        };
        let scores: Vec<f32> = numbers.iter().map(score).collect();
        let found = auc(&scores, &self.labels, &[])?;
        Some(found.max(1.0 - found))
    }

    /// AUC of the click rate per value, learned on half of the rows and tried on the rest: a value that is seen
    /// once tells nothing.
    fn categorical_auc(&self, coded: &cells::Coded) -> Option<f64> {
        let missing = coded.values.len();
        // Ids of a handful of rows each are grouped by their outcome, not by a leak.
        if missing * MIN_ROWS_PER_VALUE > self.rows.len() {
            return None;
        }
        let place = |code: u32| if code == NO_CODE { missing } else { code as usize };
        let cells = || self.rows.iter().zip(&coded.codes).zip(&self.labels);
        let mut clicks = vec![0.0f32; missing + 1];
        let mut shown = vec![0.0f32; missing + 1];
        for ((_, code), label) in cells().filter(|((row, _), _)| is_learned(**row)) {
            clicks[place(*code)] += label;
            shown[place(*code)] += 1.0;
        }
        let base = clicks.iter().sum::<f32>() / shown.iter().sum::<f32>().max(1.0);
        let tried = || cells().filter(|((row, _), _)| !is_learned(**row));
        let scores: Vec<f32> = tried()
            .map(|((_, code), _)| {
                let place = place(*code);
                (clicks[place] + base) / (shown[place] + 1.0)
            })
            .collect();
        let labels: Vec<f32> = tried().map(|(_, label)| *label).collect();
        auc(&scores, &labels, &[])
    }
}

/// Parts the rows in halves by a multiplicative hash (Knuth, section 6.4), so that no rhythm of the log decides.
fn is_learned(row: u32) -> bool {
    row.wrapping_mul(0x9e37_79b9) >> 31 == 0
}
