//! What does a frame cost on this machine, at rest and while a model trains behind the window?
//!
//! Draws the real application off screen, the training panel in front, as the window would: same size, same jobs,
//! same threads.

use super::app::AdloupeApp;
use super::gpu_view;
use super::tour::{apply, caught, off_screen};
use crate::base::{Failure, Result, failure::Explain};
use crate::jobs::JobContext;
use crate::session::commands::{DataCommand, TrainCommand, ViewCommand};
use crate::session::{Command, Purpose, Session};
use crate::train::TrainSpec;
use egui_kittest::Harness;
use std::time::{Duration, Instant};

/// Frames of each series.
const FRAMES: usize = 40;

/// Models in the list of the second series.
pub const RUNS: usize = 1_000;

/// Three series of frames on one adapter.
#[derive(Debug, Clone)]
pub struct FrameCost {
    /// What draws.
    pub adapter: String,
    /// Frames of the window with nothing running, shortest first.
    pub at_rest: Vec<Duration>,
    /// Frames with nothing running and [`RUNS`] trained models in the list, shortest first.
    pub with_runs: Vec<Duration>,
    /// Frames while deep_fm trains, shortest first.
    pub training: Vec<Duration>,
    /// Training examples per second beside those frames.
    pub examples_per_second: f64,
}

/// The middle of sorted durations.
pub fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Measures all series on the sample log.
///
/// # Errors
/// No graphics adapter, no sample log, a training that ends too soon, a cancel.
pub fn measure(context: &JobContext) -> Result<FrameCost> {
    caught("the measurement broke off", || series(context))
}

/// Starts a training and waits for its first steps.
pub(super) fn start(session: &mut Session, spec: TrainSpec, context: &JobContext) -> Result<()> {
    session.apply(Command::Train(TrainCommand::Start(spec)));
    while session.store.training.live.version() == 0 {
        context.check()?;
        session.absorb();
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn series(context: &JobContext) -> Result<FrameCost> {
    let mut harness = off_screen()?;
    let adapter =
        gpu_view::adapter(&harness.ctx).map_or_else(|| "no adapter".to_owned(), |adapter| adapter.name);
    apply(&mut harness, Command::Data(DataCommand::OpenSample))?;
    apply(&mut harness, Command::View(ViewCommand::Show("training")))?;
    harness.run_steps(4);
    let at_rest = frames(&mut harness, context, |_| true)?;
    let with_runs = frames_with_runs(&mut harness, context)?;
    let mut spec = TrainSpec::new("deep_fm")?;
    for (name, value) in [("epochs", "1000"), ("patience", "0"), ("device", "cpu")] {
        spec.set(name, value)?;
    }
    start(&mut harness.state_mut().session, spec, context)?;
    let training = frames(&mut harness, context, |session| session.jobs.of(Purpose::Train).is_some())?;
    let session = &mut harness.state_mut().session;
    let snapshot = session.store.training.live.get();
    session.apply(Command::Train(TrainCommand::Stop));
    Ok(FrameCost {
        adapter,
        at_rest,
        with_runs,
        training,
        examples_per_second: snapshot.map_or(0.0, |snapshot| snapshot.examples_per_second),
    })
}

/// Frames of the training panel with a long list of runs: one model, many times.
fn frames_with_runs(harness: &mut Harness<'_, AdloupeApp>, context: &JobContext) -> Result<Vec<Duration>> {
    let mut spec = TrainSpec::new("logistic")?;
    for (name, value) in [("epochs", "1"), ("device", "cpu")] {
        spec.set(name, value)?;
    }
    apply(harness, Command::Train(TrainCommand::Start(spec)))?;
    let models = &mut harness.state_mut().session.store.training.models;
    let Some(run) = models.last().cloned() else {
        return Err(Failure::new("cannot measure frames", "no model was trained on the sample"));
    };
    models.resize(RUNS, run);
    harness.run_steps(4);
    let taken = frames(harness, context, |_| true);
    harness.state_mut().session.store.training.models.truncate(1);
    taken
}

/// Draws frames one after the other; `goes_on` says whether what they are measured beside still runs.
fn frames(
    harness: &mut Harness<'_, AdloupeApp>,
    context: &JobContext,
    goes_on: impl Fn(&Session) -> bool,
) -> Result<Vec<Duration>> {
    let mut taken = Vec::with_capacity(FRAMES);
    for frame in 0..=FRAMES {
        context.check()?;
        if !goes_on(&harness.state().session) {
            return Err(Failure::new("cannot measure frames", "the training ended before enough were drawn"));
        }
        let begun = Instant::now();
        harness.state_mut().session.absorb();
        harness.step();
        harness.render().explain("cannot draw the window off screen")?;
        // The first frame makes textures and pipelines.
        if frame > 0 {
            taken.push(begun.elapsed());
        }
    }
    taken.sort_unstable();
    Ok(taken)
}
