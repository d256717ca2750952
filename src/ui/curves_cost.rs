//! What does a frame of the curves of several models cost?
//!
//! Drives the real application off screen. Curves are thinned to what a screen shows when they are judged, so a frame does
//! not depend on how many rows are behind them.

use super::explore_cost::{Window, median, settle, show};
use super::tour::{apply, caught, off_screen};
use crate::base::{Failure, Result};
use crate::data::Split;
use crate::jobs::JobContext;
use crate::session::Command;
use crate::session::commands::inspect::InspectCommand;
use crate::session::commands::{DataCommand, TrainCommand};
use crate::train::TrainSpec;
use egui_kittest::kittest::Queryable;
use std::path::Path;
use std::time::Instant;

/// Models whose curves are drawn.
pub const KINDS: [&str; 5] = ["logistic", "fm", "deep_fm", "dcn_v2", "din"];
/// Frames that are timed.
const FRAMES: usize = 60;

/// Seconds of a frame of the Curves panel with all of [`KINDS`] over each other, trained on the log for one epoch, without
/// drawing its pixels; median.
///
/// # Errors
/// No graphics adapter, a log that cannot be read or learnt from, a cancel.
pub fn measure(log: &Path, context: &JobContext) -> Result<f64> {
    caught("the measurement broke off", || {
        let mut harness = off_screen()?;
        apply(&mut harness, Command::Data(DataCommand::OpenAs(vec![log.to_owned()], Box::default())))?;
        for kind in KINDS {
            context.check()?;
            let mut spec = TrainSpec::new(kind)?;
            spec.set("epochs", "1")?;
            apply(&mut harness, Command::Train(TrainCommand::Start(spec)))?;
        }
        let evaluate = InspectCommand::Evaluate(Split::Test, String::new());
        apply(&mut harness, Command::Inspect(evaluate))?;
        show(&mut harness, "curves")?;
        harness.get_by_label("the other models as well").click();
        for _ in 0..3 {
            harness.run_steps(2);
            settle(&mut harness)?;
        }
        drawn(&harness)?;
        let mut seconds = Vec::with_capacity(FRAMES);
        for _ in 0..FRAMES {
            context.check()?;
            harness.state_mut().session.absorb();
            let begun = Instant::now();
            harness.step();
            seconds.push(begun.elapsed().as_secs_f64());
        }
        Ok(median(seconds))
    })
}

/// Refuses to time a panel that draws fewer models.
fn drawn(harness: &Window<'_>) -> Result<()> {
    let beside = harness.state().session.store.inspect.beside.as_ref();
    let judged = beside.map_or(0, |beside| beside.models.iter().filter(|(_, found)| found.is_ok()).count());
    if judged + 1 == KINDS.len() {
        return Ok(());
    }
    let why = format!("{} of {} models were judged", judged + 1, KINDS.len());
    Err(Failure::new("cannot measure the curves", why))
}
