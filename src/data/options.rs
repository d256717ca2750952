//! What may a person choose about encoding and splitting?

use super::encode::TopicReader;
use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// More numbers a text than this are refused: every row holds them.
const MOST_TEXT_NUMBERS: usize = 256;

/// Choices for [`prepare`](super::dataset::prepare). What a file leaves out takes its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EncodeOptions {
    /// A value must occur this often in training to get an id of its own. `None`: 1 below 1,000 training
    /// rows, 2 below 5 million, 5 above, so that the id for rare values is itself trained.
    pub min_count: Option<u32>,
    /// A field with more kept values than this is hashed into this many buckets.
    pub max_values: usize,
    /// Longest behaviour sequence kept: the most recent events.
    pub max_sequence_len: usize,
    /// Share of rows in the training part, the oldest.
    pub train_share: f64,
    /// Share of rows in the validation part, between training and test.
    pub validation_share: f64,
    /// Numbers that each text column is read as; 0 leaves texts to people.
    pub text_vectors: usize,
    /// Days after which a text of a user's earlier rows counts half among the user's interests; 0: models do not read them.
    /// Only where texts are read as vectors.
    pub interest_days: u32,
    /// Who says what texts are about, where they are read as vectors: topics stand beside the vectors. `None`: nobody.
    pub topics: Option<Arc<TopicReader>>,
    /// Columns that no model may read although their role would allow it.
    pub leave_out: Vec<String>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            min_count: None,
            max_values: 1_000_000,
            max_sequence_len: 20,
            train_share: 0.70,
            validation_share: 0.15,
            text_vectors: 0,
            interest_days: 0,
            topics: Some(Arc::default()),
            leave_out: Vec::new(),
        }
    }
}

impl EncodeOptions {
    /// The number of occurrences that earns an id, given the size of the training part.
    pub fn min_count_for(&self, train_rows: usize) -> u32 {
        self.min_count.unwrap_or(match train_rows {
            0..1_000 => 1,
            1_000..5_000_000 => 2,
            _ => 5,
        })
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Shares outside `(0, 1)` or without room for a test part, or no room for values or events.
    pub fn check(&self) -> Result<()> {
        let shares = self.train_share > 0.0
            && self.validation_share > 0.0
            && self.train_share + self.validation_share < 1.0;
        if !shares {
            return Err(Failure::new(
                "cannot split the log",
                format!(
                    "{} for training and {} for validation leave no test part",
                    self.train_share, self.validation_share
                ),
            )
            .hint("shares above 0 whose sum is below 1, such as 0.70 and 0.15"));
        }
        if self.max_values == 0 || self.max_sequence_len == 0 {
            return Err(Failure::new(
                "cannot encode the log",
                "the limits on values and on sequence length must be at least 1",
            ));
        }
        if self.interest_days > 0 && self.text_vectors == 0 {
            let why = "interests are read from vectors of texts, and texts are not read as vectors";
            return Err(
                Failure::new("cannot encode the log", why).hint("read texts as vectors too: 16 numbers")
            );
        }
        if let Some(TopicReader::Learnt(model)) = self.topics.as_deref()
            && let Some(encoder) = model.needs()
        {
            let why =
                format!("the topics need the sentence encoder {encoder}, which does not go with a model");
            return Err(Failure::new("cannot encode the log", why)
                .hint("learn them without --encoder: adloupe topics FILE --out TOPICS"));
        }
        if self.text_vectors > MOST_TEXT_NUMBERS {
            let why = format!("{} numbers a text are more than {MOST_TEXT_NUMBERS}", self.text_vectors);
            return Err(Failure::new("cannot encode the log", why).hint("16 suits most logs"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_file_takes_the_defaults_and_nonsense_is_refused() {
        let options: EncodeOptions = serde_json::from_str(r#"{"max_sequence_len": 5}"#).unwrap();
        assert_eq!((options.max_sequence_len, options.train_share), (5, 0.70));
        options.check().unwrap();
        let greedy = EncodeOptions { train_share: 0.9, ..options };
        assert!(greedy.check().unwrap_err().why.contains("no test part"));
    }
}
