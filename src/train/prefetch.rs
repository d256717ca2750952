//! Who gathers the next batch? The step itself from memory, a thread of its own from files.
//!
//! From memory a batch is gathered in a fortieth of a step, and a thread for that would only take a core from the step's
//! products. Rows in files may have to be waited for: they are gathered ahead while the step before is taken. What is
//! computed does not depend on who gathers.

use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::{Batch, Dataset};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

/// Batches that lie ready: one more than the step can take at once, so that a slow one is bridged.
const READY: usize = 2;

/// Takes a step for each batch of rows, in their order. `before` hears the place of a batch before it is gathered; `step`
/// gets its rows, the batch, and the moment from which it was waited for.
///
/// # Errors
/// What `step` answers, or there is no thread.
pub fn each_batch(
    dataset: &Dataset,
    batches: &[&[u32]],
    before: impl FnMut(usize) + Send,
    step: impl FnMut(&[u32], Batch, Instant) -> Result<()>,
) -> Result<()> {
    take(dataset, batches, dataset.is_mapped(), before, step)
}

fn take(
    dataset: &Dataset,
    batches: &[&[u32]],
    ahead: bool,
    mut before: impl FnMut(usize) + Send,
    mut step: impl FnMut(&[u32], Batch, Instant) -> Result<()>,
) -> Result<()> {
    if !ahead {
        return batches.iter().enumerate().try_for_each(|(place, rows)| {
            let begun = Instant::now();
            before(place);
            step(rows, dataset.batch(rows), begun)
        });
    }
    thread::scope(|scope| {
        let (ready, taken) = sync_channel(READY);
        let gather = move || {
            for (place, rows) in batches.iter().enumerate() {
                before(place);
                // Nobody takes batches any more after a failed step.
                if ready.send(dataset.batch(rows)).is_err() {
                    return;
                }
            }
        };
        let builder = thread::Builder::new().name("adloupe-batches".to_owned());
        builder.spawn_scoped(scope, gather).explain("cannot gather batches")?;
        batches.iter().try_for_each(|rows| {
            let begun = Instant::now();
            let batch =
                taken.recv().map_err(|_gone| Failure::new("cannot gather batches", "their thread ended"))?;
            step(rows, batch, begun)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ahead_or_not_the_same_batches_come_in_the_same_order_and_a_failed_step_ends_it() {
        let label: Vec<f32> = (0..1000).map(|row| row as f32).collect();
        let dataset = Dataset { rows: 1000, label: label.into(), ..Dataset::default() };
        let rows: Vec<u32> = (0..1000).rev().collect();
        let batches: Vec<&[u32]> = rows.chunks(64).collect();
        let seen = |ahead: bool, fails_at: usize| {
            let (mut heard, mut labels) = (Vec::new(), Vec::new());
            let ended = take(
                &dataset,
                &batches,
                ahead,
                |place| heard.push(place),
                |rows, batch, _| {
                    assert_eq!(batch.rows, rows.len());
                    labels.push(batch.label);
                    if labels.len() == fails_at { Err(Failure::new("a step", "stopped")) } else { Ok(()) }
                },
            );
            (ended.is_ok(), heard, labels)
        };
        assert_eq!(seen(true, usize::MAX), seen(false, usize::MAX));
        let (ended, heard, labels) = seen(true, 3);
        // Two lie ready and one may be on its way when the third step fails.
        assert!(!ended && labels.len() == 3 && heard.len() <= 3 + READY + 1, "{heard:?}");
        assert_eq!(labels, seen(false, 3).2);
    }
}
