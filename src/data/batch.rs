//! What does a model see at once? Plain arrays, already encoded.

/// Id of a missing value in every vocabulary.
pub const MISSING_ID: u32 = 0;
/// Id of every value that is rare in training or new since.
pub const RARE_ID: u32 = 1;
/// First id of a known value.
pub const FIRST_VALUE_ID: u32 = 2;

/// `rows` examples, column by column. The fields stand in the order of the [`Encoder`](super::Encoder)'s lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// How many examples.
    pub rows: usize,
    /// `[field][row]`: vocabulary ids.
    pub categorical: Vec<Vec<u32>>,
    /// `[field][row]`: transformed numbers, about standard normal; a missing one is 0.
    pub numeric: Vec<Vec<f32>>,
    /// `[field]`: behaviour sequences.
    pub sequences: Vec<SequenceBatch>,
    /// Outcome, 0 or 1 (or clicks/impressions of an aggregated row). Empty when unknown.
    pub label: Vec<f32>,
    /// 1 where a click was followed by a conversion, else 0. Empty when unknown.
    pub conversion: Vec<f32>,
    /// Weight of each example (impressions of an aggregated row); empty means all 1.
    pub weight: Vec<f32>,
}

impl Batch {
    /// The first example many times, without what happened and what it counts.
    pub fn repeated(&self, times: usize) -> Self {
        Self {
            rows: times,
            categorical: self.categorical.iter().map(|ids| vec![ids[0]; times]).collect(),
            numeric: self.numeric.iter().map(|values| vec![values[0]; times]).collect(),
            sequences: self
                .sequences
                .iter()
                .map(|sequence| SequenceBatch {
                    max_len: sequence.max_len,
                    ids: sequence.ids[..sequence.max_len].repeat(times),
                    lengths: vec![sequence.lengths[0]; times],
                })
                .collect(),
            ..Self::default()
        }
    }
}

/// One behaviour sequence per row, padded to a common length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceBatch {
    /// Longest sequence of the encoder; the row stride of `ids`.
    pub max_len: usize,
    /// `[row * max_len + position]`, oldest first, left-aligned; ids of the *target* field's vocabulary;
    /// positions from `lengths[row]` on are padding and must not be read.
    pub ids: Vec<u32>,
    /// How many positions of each row are real. 0 is allowed: a new user.
    pub lengths: Vec<u32>,
}
