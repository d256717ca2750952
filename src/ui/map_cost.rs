//! What does a frame of the embeddings panel cost beside a frame of an empty window, while a model trains behind both?
//! And what does the window cost when nobody touches it?

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

/// Frames of each series.
const FRAMES: usize = 25;

/// Frames on one adapter, the median of each series.
#[derive(Debug, Clone)]
pub struct MapCost {
    /// What draws.
    pub adapter: String,
    /// A window of the same size with nothing in it.
    pub empty: Duration,
    /// The panel with its map, which stays where it is.
    pub still: Duration,
    /// The panel with its map, which moves under the hand in every frame.
    pub moved: Duration,
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
    let empty = frames(&mut nothing, context, |_, _| {})?;
    harness.run_steps(6);
    let still = frames(&mut harness, context, |harness, _| {
        harness.state_mut().session.absorb();
    })?;
    let middle = egui::pos2(0.45 * WINDOW[0], 0.6 * WINDOW[1]);
    harness.drag_at(middle);
    harness.run_steps(2);
    let moved = frames(&mut harness, context, |harness, frame| {
        harness.state_mut().session.absorb();
        harness.hover_at(middle + egui::vec2(12.0 + 3.0 * frame as f32, 2.0 * frame as f32));
    })?;
    harness.drop_at(middle);
    let session = &mut harness.state_mut().session;
    if session.jobs.of(Purpose::Train).is_none() {
        return Err(Failure::new("cannot measure frames", "the training ended before enough were drawn"));
    }
    session.apply(Command::Train(TrainCommand::Stop));
    let adapter =
        gpu_view::adapter(&harness.ctx).map_or_else(|| "no adapter".to_owned(), |adapter| adapter.name);
    Ok(MapCost { adapter, empty, still, moved })
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

/// The median of frames drawn one after the other, each after `before`.
fn frames<App: eframe::App>(
    harness: &mut Harness<'_, App>,
    context: &JobContext,
    mut before: impl FnMut(&mut Harness<'_, App>, usize),
) -> Result<Duration> {
    let mut taken = Vec::with_capacity(FRAMES);
    for frame in 0..=FRAMES {
        context.check()?;
        before(harness, frame);
        let begun = Instant::now();
        harness.step();
        harness.render().explain("cannot draw the window off screen")?;
        // The first frame makes textures and pipelines.
        if frame > 0 {
            taken.push(begun.elapsed());
        }
    }
    taken.sort_unstable();
    Ok(median(&taken))
}
