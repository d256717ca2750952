//! From an impression, or many, to the attention behind its prediction.

use super::Output;
use crate::base::{Failure, Result};
use crate::data::{Dataset, LogFrame, query};
use crate::domain::Segment;
use crate::insight::heads::RowHeads;
use crate::insight::{AverageAttention, Explanation, Subject, attention, heads};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Explains the prediction for one impression.
pub struct Explain {
    /// Which model and log.
    pub subject: Subject,
    /// Row of the log.
    pub row: u32,
    /// Another ad in place of the one that was shown, by name.
    pub ad: Option<String>,
}

/// An explained prediction, with what else is known of the row.
#[derive(Debug)]
pub struct Explained {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The prediction and the attention behind it.
    pub explanation: Explanation,
    /// What each attention head looks at in this row.
    pub heads: Vec<RowHeads>,
    /// The row's fields as `(name, value)`, as the model sees them.
    pub fields: Vec<(String, String)>,
    /// What happened, where the log says so and the ad is the one that was shown.
    pub clicked: Option<f32>,
}

/// Averages the attention over a segment.
pub struct Average {
    /// Which model and log.
    pub subject: Subject,
    /// The rows; the segment of all rows stands for the test rows.
    pub segment: Segment,
}

/// Attention averaged over rows.
#[derive(Debug)]
pub struct Averaged {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Which rows, in words.
    pub rows: String,
    /// One entry per behaviour sequence.
    pub averages: Vec<AverageAttention>,
}

impl Job for Explain {
    type Output = Output;

    fn name(&self) -> String {
        format!("Explain row {}", self.row)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let dataset = self.subject.fitting_dataset(context)?;
        let ad = self.ad.as_ref().map(|name| known_ad(&dataset, name)).transpose()?;
        let explanation = attention::explain(&self.subject.model, &dataset, self.row, ad)?;
        let row = self.row as usize;
        let fields = dataset.encoder.categorical.iter().zip(&dataset.categorical);
        Ok(Output::Explained(Box::new(Explained {
            fields: fields.map(|(field, ids)| (field.name.clone(), field.name_of(ids[row]))).collect(),
            clicked: if ad.is_none() { dataset.label.get(row).copied() } else { None },
            heads: heads::of_row(&self.subject.model, &dataset, self.row, ad)?,
            model: self.subject.model,
            explanation,
        })))
    }
}

/// The number of an ad that the log names.
fn known_ad(dataset: &Dataset, name: &str) -> Result<u32> {
    let what = "cannot put another ad in the place of the one shown";
    let Some(ads) = &dataset.ads else {
        return Err(Failure::new(what, "the model does not see which ad a row shows")
            .hint("give the ad column the role ad, and train again"));
    };
    ads.position(name).ok_or_else(|| {
        let why = format!("'{name}' is not in the catalogue: none of the log's {} ads", ads.names.len());
        let some = ads.names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        Failure::new(what, why).hint(format!("an ad of the log, such as {some}"))
    })
}

impl Job for Average {
    type Output = Output;

    fn name(&self) -> String {
        "Average the attention".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let dataset = self.subject.fitting_dataset(context)?;
        let (rows, words) = asked_rows(&self.subject.log, &dataset, &self.segment)?;
        let averages = attention::average(&self.subject.model, &dataset, &rows, context)?;
        Ok(Output::Averaged(Box::new(Averaged { model: self.subject.model, rows: words, averages })))
    }
}

/// The rows of a segment, and what to call them; the segment of all rows stands for the test rows.
///
/// # Errors
/// A segment that does not fit the log.
pub fn asked_rows(log: &LogFrame, dataset: &Dataset, segment: &Segment) -> Result<(Vec<u32>, String)> {
    Ok(match segment {
        Segment::All => (dataset.test.to_vec(), "all test rows".to_owned()),
        segment => (query::matching_rows(log, segment)?, segment.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::AdCatalogue;

    #[test]
    fn an_ad_that_the_log_does_not_name_is_refused() {
        let names = vec!["tea".to_owned(), "shoes".to_owned()];
        let ads = AdCatalogue { names: Arc::new(names), ..AdCatalogue::default() };
        let dataset = Dataset { ads: Some(Arc::new(ads)), ..Dataset::default() };
        assert_eq!(known_ad(&dataset, "shoes"), Ok(1));
        let failure = known_ad(&dataset, "cars").unwrap_err();
        assert!(failure.why.contains("'cars' is not in the catalogue"), "{failure}");
        assert!(failure.hint.contains("tea, shoes"), "{failure}");
        assert!(known_ad(&Dataset::default(), "tea").is_err());
    }
}
