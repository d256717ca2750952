//! What does a model say of every pooled row with every ad in its place?

use super::edits::Set;
use crate::base::{Failure, Result};
use crate::data::{Batch, Dataset};
use crate::jobs::JobContext;
use crate::market::Scores;
use crate::train::TrainedModel;
use std::collections::BTreeMap;

/// Pairs scored at once: cancel is answered between batches.
const PAIRS_PER_BATCH: usize = 4_096;

/// The ads' places in the data set's catalogue.
pub(in crate::market) fn catalogue_columns(dataset: &Dataset, ads: &[String]) -> Result<Vec<u32>> {
    let catalogue = dataset.ads.as_ref().ok_or_else(|| {
        Failure::new("cannot show other ads", "no column of the log has the role ad")
            .hint("give the column with ad or item ids the role ad, and train again")
    })?;
    let places: BTreeMap<&str, u32> = catalogue.names.iter().map(String::as_str).zip(0..).collect();
    ads.iter()
        .map(|ad| {
            places.get(ad.as_str()).copied().ok_or_else(|| {
                Failure::new("cannot show the ad", format!("the log has no ad '{ad}'"))
                    .at("campaigns")
                    .hint("use ids from the log's ad column")
            })
        })
        .collect()
}

/// What a model is asked about: every row with every ad in its place, under some edits.
pub(super) struct Asked<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) rows: &'a [u32],
    pub(super) columns: &'a [u32],
    pub(super) edits: &'a [Set],
}

/// A model that answers about a batch.
pub(super) type Ask<'a> = dyn Fn(&Batch) -> Result<Vec<f32>> + 'a;

impl Asked<'_> {
    /// What one model answers, `[rows, columns]`.
    ///
    /// # Errors
    /// Answers that are no probabilities, the device fails, or a cancel.
    pub(super) fn scores(&self, model: &Ask<'_>, context: &JobContext) -> Result<Scores> {
        let mut values = Vec::with_capacity(self.rows.len() * self.columns.len());
        self.each_batch(context, |batch| {
            values.extend(model(batch)?);
            Ok(())
        })?;
        Scores::new(self.columns.len(), values)
    }

    /// The same with the ends of each interval, where the model is an ensemble.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub(super) fn scored(
        &self,
        model: &TrainedModel,
        context: &JobContext,
    ) -> Result<(Scores, Option<[Scores; 2]>)> {
        let (mut values, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
        self.each_batch(context, |batch| {
            let scored = model.scored_batch(batch)?;
            values.extend(scored.p);
            for interval in scored.intervals.iter().flatten() {
                low.push(interval.low as f32);
                high.push(interval.high as f32);
            }
            Ok(())
        })?;
        let matrix = |values| Scores::new(self.columns.len(), values);
        let bands = if low.is_empty() { None } else { Some([matrix(low)?, matrix(high)?]) };
        Ok((matrix(values)?, bands))
    }

    fn each_batch(&self, context: &JobContext, mut each: impl FnMut(&Batch) -> Result<()>) -> Result<()> {
        let Self { dataset, rows, columns, edits } = self;
        let pairs = rows.len() * columns.len();
        let rows_per_batch = (PAIRS_PER_BATCH / columns.len().max(1)).max(1);
        for (place, chunk) in rows.chunks(rows_per_batch).enumerate() {
            context.check()?;
            let row_of_pair: Vec<u32> =
                chunk.iter().flat_map(|row| std::iter::repeat_n(*row, columns.len())).collect();
            let ad_of_pair: Vec<u32> = chunk.iter().flat_map(|_| columns.iter().copied()).collect();
            let mut batch = dataset.batch_with_ads(&row_of_pair, &ad_of_pair);
            let first = place * rows_per_batch;
            for set in *edits {
                let of_rows = batch.categorical[set.field].chunks_exact_mut(columns.len());
                of_rows
                    .enumerate()
                    .filter(|(row, _)| set.is_for(first + row))
                    .for_each(|(_, ids)| ids.fill(set.id));
            }
            each(&batch)?;
            context.progress(((first + chunk.len()) * columns.len()) as u64, pairs as u64);
        }
        Ok(())
    }
}

/// A model's click probabilities of every row with every ad in its place.
pub(in crate::market) fn scores_of(
    (model, dataset): (&TrainedModel, &Dataset),
    rows: &[u32],
    ads: &[String],
    context: &JobContext,
) -> Result<Scores> {
    let columns = catalogue_columns(dataset, ads)?;
    Asked { dataset, rows, columns: &columns, edits: &[] }
        .scores(&|batch| model.predict_batch(batch), context)
}
