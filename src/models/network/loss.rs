//! What does a forward pass cost, over all that a kind learns, and which way should each of its scores move?

use super::Forward;
use crate::data::Batch;
use crate::models::{Beside, Conversions, Wanted};
use crate::nn::in_batch::in_batch_softmax;
use crate::nn::losses::{EntireSpaceLoss, LogitLoss, bce_with_logits, entire_space};

/// What a forward pass costs.
pub(super) struct TaskLoss {
    /// All of it.
    pub(super) mean: f64,
    /// Of clicks and of what follows them.
    pub(super) tasks: EntireSpaceLoss,
    /// By each score that is learnt beside those of clicks.
    pub(super) of_beside: Vec<f32>,
}

/// The loss of a forward pass on a labelled batch.
pub(super) fn task_loss(forward: &Forward, batch: &Batch) -> TaskLoss {
    let tasks = loss_of_tasks(forward, batch);
    let Some((scores, Beside { weight, wanted, .. })) = &forward.beside else {
        return TaskLoss { mean: tasks.mean, tasks, of_beside: Vec::new() };
    };
    let (mean, mut of_beside) = match wanted {
        Wanted::OwnAd { ln_shares, counts } => {
            let apart = in_batch_softmax(scores, ln_shares, counts);
            (apart.mean, apart.gradient)
        }
        Wanted::Real { targets, counts } => {
            let LogitLoss { mean, gradient } = bce_with_logits(scores, targets, counts);
            (mean, gradient)
        }
    };
    of_beside.iter_mut().for_each(|slope| *slope *= *weight as f32);
    TaskLoss { mean: tasks.mean + weight * mean, tasks, of_beside }
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
