//! How does the language model learn the library's tone, what does that take, and how far is it?

use super::StudioPanel;
use crate::session::commands::CopyCommand;
use crate::session::{Command, Purpose};
use crate::train::copy_tuning::TuneState;
use crate::ui::charts::{self, curve};
use crate::ui::panels::segments::complain;
use crate::ui::{PanelContext, widgets};
use egui::Ui;

/// Height of the curves.
const CURVE: f32 = 300.0;

impl StudioPanel {
    /// The page of the language model: which one, and tuning on the library.
    pub(super) fn language_model(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        self.form.model.ui(ui, cx);
        if cx.session.workspace.language_model.is_none() {
            return;
        }
        ui.add_space(10.0);
        ui.strong("The library's tone");
        ui.label(
            "Low-rank adapters (LoRA) learn it from the library's own texts; the model's file is not touched. 70 % are learnt \
             from, 15 % choose the best step, and the loss before and after is told of 15 % that it never met.",
        );
        ui.add_space(4.0);
        self.tune(ui, cx);
        let running = cx.session.jobs.of(Purpose::TuneModel).is_some();
        let writer = &cx.session.store.copy.writer;
        let state = match (&writer.tuned, running) {
            (Some(Ok(tuned)), false) => Some(tuned.state.clone()),
            _ => writer.tuning.get().map(|state| (*state).clone()),
        };
        match &writer.tuned {
            Some(Ok(tuned)) => {
                ui.label(tuned.told());
                tuned.notes.iter().for_each(|note| drop(ui.weak(note)));
            }
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            None if running => {
                let stage = cx.session.jobs.of(Purpose::TuneModel).map(|job| job.handle.progress.stage());
                ui.weak(stage.unwrap_or_default());
            }
            None => {}
        }
        if let Some(state) = state.filter(|state| !state.choosing.is_empty()) {
            curves(ui, cx, &state);
        }
    }

    /// Begins and stops it, with what it will take told before.
    fn tune(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let running = cx.session.jobs.of(Purpose::TuneModel).is_some();
        if running {
            ui.horizontal(|ui| {
                ui.spinner();
                if ui
                    .button("Stop learning")
                    .on_hover_text("What it has is kept where it is better")
                    .clicked()
                {
                    cx.send(Command::Copy(CopyCommand::StopTuning));
                }
            });
            return;
        }
        let cost = self.cost(cx);
        ui.horizontal_wrapped(|ui| {
            let ready = matches!(cost, Some(Ok(_)));
            let why = match &cost {
                Some(Err(failure)) => failure.why.clone(),
                _ => "The library's texts are being counted".to_owned(),
            };
            ui.add_enabled_ui(ready, |ui| {
                let button = widgets::main_button(ui, cx.theme, "Learn the library's tone");
                if button.on_disabled_hover_text(&why).clicked() {
                    cx.send(Command::Copy(CopyCommand::TuneModel(self.tuning)));
                }
            });
            let label = ui.label("steps").id;
            let steps = egui::DragValue::new(&mut self.tuning.steps).range(5..=2_000);
            ui.add(steps).labelled_by(label).on_hover_text("Some seconds each on a small machine");
            match &cost {
                Some(Ok(bytes)) => {
                    let own = cx.session.store.copy.writer.file.as_ref().and_then(|file| file.as_ref().ok());
                    let own = own.map_or(0, |file| file.bytes);
                    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
                    ui.weak(format!(
                        "takes about {} MB while it learns: {} for the model and {} beside it",
                        megabytes(own + bytes),
                        megabytes(own),
                        megabytes(*bytes)
                    ));
                }
                Some(Err(failure)) => drop(ui.colored_label(cx.theme.warn, failure.to_string())),
                None => drop(ui.weak("counting the library's texts …")),
            }
        });
        if let Some(path) = cx.session.workspace.language_adapters.clone() {
            ui.horizontal_wrapped(|ui| {
                ui.weak("writes under adapters").on_hover_text(path.display().to_string());
                if widgets::small_button(ui, "As its file is").clicked() {
                    cx.send(Command::Copy(CopyCommand::UseAdapters(None)));
                }
            });
        }
    }

    /// What tuning on the library as it is would take; asked for where that is not known yet.
    fn cost(&self, cx: &mut PanelContext<'_>) -> Option<crate::base::Result<u64>> {
        let library = cx.session.store.copy.library.as_ref()?;
        let path = cx.session.workspace.language_model.as_ref()?;
        let cost = cx.session.store.copy.writer.cost.as_ref();
        let known = cost.filter(|cost| cost.path == *path && cost.head == library.head().hash);
        if known.is_none() && cx.session.jobs.of(Purpose::LookAtTuning).is_none() {
            cx.send(Command::Copy(CopyCommand::LookAtTuning(self.tuning)));
        }
        known.map(|cost| cost.bytes.clone())
    }
}

fn curves(ui: &mut Ui, cx: &PanelContext<'_>, state: &TuneState) {
    let line = |name, points, colour, dashed| charts::Series { name, points, colour, dashed };
    let series = [
        line("learnt from", state.training.as_slice(), cx.theme.series(0), true),
        line("not learnt from", state.choosing.as_slice(), cx.theme.series(1), false),
    ];
    let frame = charts::Frame { name: "Loss of a token", x: "step", y: "nats", height: CURVE };
    curve::show(ui, cx.theme, frame, curve::LegendCorner::RightTop, &series);
    ui.weak(format!("step {} of {}, {:.1} s each", state.step, state.steps, state.seconds));
}
