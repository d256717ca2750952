//! What does a forward pass cost, over all that a kind learns, and which way should each of its scores move?

use super::Forward;
use crate::data::Batch;
use crate::models::{Conversions, Matches};
use crate::nn::in_batch::in_batch_softmax;
use crate::nn::losses::{EntireSpaceLoss, LogitLoss, bce_with_logits, entire_space};

/// What a forward pass costs.
pub(super) struct TaskLoss {
    /// All of it.
    pub(super) mean: f64,
    /// Of clicks and of what follows them.
    pub(super) tasks: EntireSpaceLoss,
    /// By each score of the clicks with each other's ads.
    pub(super) of_matches: Vec<f32>,
}

/// The loss of a forward pass on a labelled batch.
pub(super) fn task_loss(forward: &Forward, batch: &Batch) -> TaskLoss {
    let tasks = loss_of_tasks(forward, batch);
    let Some((scores, Matches { ln_shares, counts, weight, .. })) = &forward.matches else {
        return TaskLoss { mean: tasks.mean, tasks, of_matches: Vec::new() };
    };
    let mut apart = in_batch_softmax(scores, ln_shares, counts);
    apart.gradient.iter_mut().for_each(|slope| *slope *= *weight as f32);
    TaskLoss { mean: tasks.mean + weight * apart.mean, tasks, of_matches: apart.gradient }
}

/// The loss of the tasks, and which way their log odds should move; no conversions where there is one task.
fn loss_of_tasks(forward: &Forward, batch: &Batch) -> EntireSpaceLoss {
    let Some((logits, Conversions { weight, .. })) = &forward.conversions else {
        let LogitLoss { mean, gradient } = bce_with_logits(&forward.logits, &batch.label, &batch.weight);
        return EntireSpaceLoss { mean, clicks: mean, of_clicks: gradient, of_conversions: Vec::new() };
    };
    let happened = (batch.label.as_slice(), batch.conversion.as_slice());
    entire_space((&forward.logits, logits), happened, &batch.weight, *weight)
}
