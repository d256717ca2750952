//! What does a frame of the embeddings panel cost beside a frame of an empty window, while a model trains behind both?
//! And what does the window cost when nobody touches it?

use super::app::AdloupeApp;
use super::frame_cost::{median, start};
use super::gpu_view;
use super::tour::{WINDOW, apply, caught, off_screen};
use crate::base::rng::Rng;
use crate::base::{Failure, Result, failure::Explain};
use crate::insight::sources::Gathered;
use crate::insight::{MapQuestion, Values, project};
use crate::jobs::JobContext;
use crate::maps::Metric;
use crate::session::commands::{DataCommand, TrainCommand, ViewCommand};
use crate::session::{Command, Purpose};
use crate::tasks::project::Projected;
use crate::train::{EmbeddingTable, TrainSpec, TrainedModel};
use egui_kittest::Harness;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Turns of the two windows, and frames of each in a turn.
const TURNS: usize = 12;
const FRAMES: usize = 6;

/// Frames on one adapter, the median of each series.
#[derive(Debug, Clone)]
pub struct MapCost {
    /// What draws.
    pub adapter: String,
    /// The panel with its map, which stays where it is.
    pub still: Beside,
    /// The panel with its map, which moves under the hand in every frame.
    pub moved: Beside,
}

/// Frames of two windows drawn in turns.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// A window of the same size with nothing in it.
    pub empty: Duration,
    /// The window in question.
    pub frame: Duration,
}

/// Measures the panel with a map of so many points while deep_fm trains.
///
/// # Errors
/// No graphics adapter, no sample log, a training that ends too soon, a cancel.
pub fn measure(points: usize, context: &JobContext) -> Result<MapCost> {
    caught("the measurement broke off", || series(points, context))
}

struct Nothing;

impl eframe::App for Nothing {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        ui.painter().rect_filled(ui.max_rect(), 0.0, ui.visuals().panel_fill);
    }
}

fn series(points: usize, context: &JobContext) -> Result<MapCost> {
    let mut harness = off_screen()?;
    apply(&mut harness, Command::Data(DataCommand::OpenSample))?;
    let mut spec = TrainSpec::new("deep_fm")?;
    for (name, value) in [("epochs", "1"), ("device", "cpu")] {
        spec.set(name, value)?;
    }
    apply(&mut harness, Command::Train(TrainCommand::Start(spec.clone())))?;
    let model = harness.state().session.store.training.model().cloned();
    let model = model.ok_or_else(|| Failure::new("cannot measure frames", "no model was trained"))?;
    harness.state_mut().session.store.inspect.projected = Some(Arc::new(cloud(points, model, context)?));
    apply(&mut harness, Command::View(ViewCommand::Show("embeddings")))?;
    for (name, value) in [("epochs", "1000"), ("patience", "0")] {
        spec.set(name, value)?;
    }
    start(&mut harness.state_mut().session, spec, context)?;
    let builder = Harness::builder().with_size(WINDOW).with_render_cursor(false);
    let mut nothing = builder.wgpu().build_eframe(|_| Nothing);
    harness.run_steps(6);
    let mut turns = Turns { nothing: &mut nothing, context };
    let still = turns.take(&mut harness, |_, _| {})?;
    let middle = egui::pos2(0.45 * WINDOW[0], 0.6 * WINDOW[1]);
    harness.drag_at(middle);
    harness.run_steps(2);
    let moved = turns.take(&mut harness, |harness, frame| {
        let (across, down) = ((3 * frame % 240) as f32, (2 * frame % 120) as f32);
        harness.hover_at(middle + egui::vec2(12.0 + across, down));
    })?;
    harness.drop_at(middle);
    let session = &mut harness.state_mut().session;
    if session.jobs.of(Purpose::Train).is_none() {
        return Err(Failure::new("cannot measure frames", "the training ended before enough were drawn"));
    }
    session.apply(Command::Train(TrainCommand::Stop));
    let adapter =
        gpu_view::adapter(&harness.ctx).map_or_else(|| "no adapter".to_owned(), |adapter| adapter.name);
    Ok(MapCost { adapter, still, moved })
}

/// A map of normal points, as if it were one of the model's.
fn cloud(points: usize, model: Arc<TrainedModel>, context: &JobContext) -> Result<Projected> {
    let mut rng = Rng::named(4, "bench map");
    let table = EmbeddingTable {
        field: model.tables().into_iter().map(|table| table.field).next().unwrap_or_default(),
        names: (0..points).map(|point| point.to_string()).collect(),
        width: 2,
        values: (0..2 * points).map(|_| rng.normal() as f32).collect(),
    };
    let question = MapQuestion::of(table.field.as_str());
    let gathered = Gathered::table(Arc::new(table), None);
    let values = Arc::new(Values::new(gathered, None, Metric::Euclidean, context)?);
    let projection = Arc::new(project(&values, &question, None, |_| {}, context)?);
    Ok(Projected { model, projection })
}

/// A window that draws in turns with an empty one: what else the machine does falls on both alike.
struct Turns<'a, 'h> {
    nothing: &'a mut Harness<'h, Nothing>,
    context: &'a JobContext,
}

impl Turns<'_, '_> {
    /// The median of the empty window's and of the other's frames, each of them after `before`.
    fn take(
        &mut self,
        harness: &mut Harness<'_, AdloupeApp>,
        mut before: impl FnMut(&mut Harness<'_, AdloupeApp>, usize),
    ) -> Result<Beside> {
        let (mut empty, mut taken) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            for frame in 0..=FRAMES {
                self.context.check()?;
                let time = drawn(self.nothing)?;
                // What the other window's last frame left to be done is not this one's.
                if frame > 0 {
                    empty.push(time);
                }
            }
            for frame in 0..=FRAMES {
                self.context.check()?;
                harness.state_mut().session.absorb();
                before(harness, turn * (FRAMES + 1) + frame);
                let time = drawn(harness)?;
                if frame > 0 {
                    taken.push(time);
                }
            }
        }
        empty.sort_unstable();
        taken.sort_unstable();
        Ok(Beside { empty: median(&empty), frame: median(&taken) })
    }
}

/// How long a frame takes.
fn drawn<App: eframe::App>(harness: &mut Harness<'_, App>) -> Result<Duration> {
    let begun = Instant::now();
    harness.step();
    harness.render().explain("cannot draw the window off screen")?;
    Ok(begun.elapsed())
}
