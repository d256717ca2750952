//! How does a model become smaller? Its least weights are left out, the others are kept in fewer bits, or a smaller kind
//! learns what it says.
//!
//! Pruning by magnitude (Han et al., NIPS 2015): of each matrix and each field's table the smallest numbers become 0. What
//! was counted or solved for, like the nodes of trees, stays exact. Distillation (Hinton et al., arXiv 1503.02531): a new
//! model is trained on the teacher's probabilities of the training rows in place of what happened there, or a mixture of
//! both.

use super::card::{DataCard, measure};
use super::spec::TrainSpec;
use super::trained::TrainedModel;
use crate::base::{Failure, Result};
use crate::data::{Dataset, Split};
use crate::jobs::{JobContext, Latest};
use crate::nn::packed::Packing;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::sync::Arc;

const WHAT: &str = "cannot compress the model";

/// What is done to the weights.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Recipe {
    /// Share of each tensor's numbers that become 0, the smallest first.
    pub prune: f64,
    /// How the others are kept.
    pub packing: Packing,
}

impl TrainedModel {
    /// The model with less in its weights, measured on the test rows where `dataset` is what it was trained on.
    ///
    /// # Errors
    /// An ensemble or an adapter, a share that is none, weights that cannot be packed, or a cancel.
    pub fn compressed(&self, recipe: Recipe, dataset: &Dataset, context: &JobContext) -> Result<Self> {
        if !self.members.is_empty() || self.adapter_rank().is_some() {
            return Err(Failure::new(WHAT, "its weights are those of several models")
                .hint("compress a member, or the model that the adapter is for"));
        }
        if !(0.0..1.0).contains(&recipe.prune) {
            return Err(Failure::new(WHAT, format!("a share of {} cannot be pruned", recipe.prune))
                .hint("a share of 0 or more, and below 1"));
        }
        context.stage("compressing the weights");
        let mut network = self.copied_network()?;
        for parameter in network.parameters.iter_mut().filter(|known| !known.is_fixed) {
            // Biases are few, and each moves every score.
            if parameter.shape.len() < 2 {
                continue;
            }
            prune(&mut parameter.values, recipe.prune);
            recipe.packing.rounded(&mut parameter.values)?;
            parameter.upload()?;
        }
        for table in network.tables.iter_mut().filter(|known| !known.is_fixed) {
            for place in 0..table.fields().count() {
                context.check()?;
                let mut numbers = table.read(place, 0..table.width);
                prune(&mut numbers, recipe.prune);
                recipe.packing.rounded(&mut numbers)?;
                table.write(place, 0..table.width, &numbers);
            }
        }
        let mut card = self.card.clone();
        (card.test, card.uncalibrated, card.conversions) = (None, None, None);
        card.compression = Some(recipe);
        let mut model = Self::new(card, Arc::clone(&self.encoder), network)?;
        let rows = dataset.rows_of(Split::Test);
        if self.card.data.is_of(dataset) && !rows.is_empty() && !dataset.label.is_empty() {
            model.card.test = Some(measure(dataset, rows, &model.predict(dataset, rows, context)?));
        }
        Ok(model)
    }

    /// Bytes of its weights in a file.
    pub fn weight_bytes(&self) -> u64 {
        let mut count = Count(0);
        // Counting refuses nothing.
        let _ = self.write_weights(&mut count);
        count.0
    }

    /// A model of another kind or size that learnt what this one says of the training rows: `share` of each row's outcome
    /// is this model's probability, the rest what happened.
    ///
    /// # Errors
    /// A share that is none, data encoded for another model, or as training answers.
    pub fn distilled(
        &self,
        spec: &TrainSpec,
        share: f64,
        dataset: &Dataset,
        context: &JobContext,
    ) -> Result<Self> {
        let what = "cannot distil the model";
        if !(share > 0.0 && share <= 1.0) {
            return Err(Failure::new(what, format!("the teacher's share cannot be {share}"))
                .hint("above 0, and 1 at most"));
        }
        if dataset.label.is_empty() {
            return Err(Failure::new(what, "the log does not say what was clicked")
                .hint("give the click column the role label"));
        }
        context.stage("asking the teacher");
        let said = self.predict(dataset, &dataset.train, context)?;
        let mut labels = dataset.label.to_vec();
        for (row, said) in dataset.train.iter().zip(said) {
            let label = &mut labels[*row as usize];
            *label = (1.0 - share as f32) * *label + share as f32 * said;
        }
        let soft = Dataset { label: labels.into(), ..dataset.clone() };
        let mut model = super::fit(&soft, spec, &Latest::default(), context)?;
        // The rows are those of the log; only what was learnt of them is another's.
        model.card.data = DataCard::of(dataset, &spec.source);
        Ok(model)
    }
}

/// Sets the smallest numbers to 0, a share of all.
fn prune(numbers: &mut [f32], share: f64) {
    let gone = (share * numbers.len() as f64).floor() as usize;
    if gone == 0 {
        return;
    }
    let mut order: Vec<u32> = (0..numbers.len() as u32).collect();
    let size = |place: &u32| numbers[*place as usize].abs();
    order.select_nth_unstable_by(gone - 1, |a, b| size(a).total_cmp(&size(b)).then(a.cmp(b)));
    order[..gone].iter().for_each(|place| numbers[*place as usize] = 0.0);
}

struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_share_is_pruned_and_ties_go_by_their_place() {
        let mut numbers = [0.5, -0.1, 2.0, 0.1, -3.0, 0.1];
        prune(&mut numbers, 0.34);
        assert_eq!(numbers, [0.5, 0.0, 2.0, 0.0, -3.0, 0.1]);
        prune(&mut numbers, 0.0);
        assert_eq!(numbers[5], 0.1);
    }
}
