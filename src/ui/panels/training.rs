//! What is being trained, how is it going, and which models are there?

use crate::base::params::Params;
use crate::metrics::Estimate;
use crate::models::{MODELS, ModelKind};
use crate::nn::device;
use crate::session::commands::train::ModelRun;
use crate::session::commands::{DataCommand, TrainCommand};
use crate::session::{Command, Purpose};
use crate::train::history::EpochRecord;
use crate::train::{TRAIN_PARAMS, TrainSnapshot, TrainSpec, specs_of};
use crate::ui::charts::{self, Series, curve};
use crate::ui::panels::Panel;
use crate::ui::{DialogKind, DialogRequest, PanelContext, form, widgets};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Model chooser, form, live curves, list of models.
#[derive(Default)]
pub struct TrainingPanel {
    kind: usize,
    /// Knobs by kind, kept while another kind is looked at.
    params: BTreeMap<&'static str, Params>,
    folder: String,
}

const FORM_WIDTH: f32 = 330.0;
const CURVE_HEIGHT: f32 = 190.0;

impl Panel for TrainingPanel {
    fn id(&self) -> &'static str {
        "training"
    }

    fn title(&self) -> &'static str {
        "Training"
    }

    fn summary(&self) -> &'static str {
        "Choose a model, train it on the open log and watch it learn"
    }

    fn ui(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, "Training", self.summary());
        let session = cx.session;
        if session.store.log.is_none() && session.store.training.models.is_empty() {
            let why = "A model learns from a campaign log, and none is open.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample log") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        }
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.allocate_ui(egui::vec2(FORM_WIDTH, ui.available_height()), |ui| {
                    ui.vertical(|ui| self.chooser(ui, cx));
                });
                ui.separator();
                ui.vertical(|ui| {
                    progress(ui, cx);
                    self.models(ui, cx);
                });
            });
        });
    }
}

impl TrainingPanel {
    fn chooser(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        let kind = MODELS[self.kind.min(MODELS.len() - 1)];
        ui.horizontal(|ui| {
            let label = ui.label("Model");
            egui::ComboBox::from_id_salt("model kind")
                .selected_text(kind.label())
                .show_ui(ui, |ui| {
                    for (place, kind) in MODELS.iter().enumerate() {
                        ui.selectable_value(&mut self.kind, place, kind.label())
                            .on_hover_text(kind.summary());
                    }
                })
                .response
                .labelled_by(label.id);
        });
        ui.weak(kind.summary());
        ui.add_space(6.0);
        self.buttons(ui, cx, kind);
        ui.add_space(6.0);
        let specs = specs_of(kind.id()).unwrap_or_default();
        let (training, own) = specs.split_at(TRAIN_PARAMS.len().min(specs.len()));
        let params = self.params.entry(kind.id()).or_insert_with(|| Params::defaults(&specs));
        ui.strong("Training");
        form::params_form(ui, "training knobs", training, params);
        if !own.is_empty() {
            ui.add_space(6.0);
            ui.strong(kind.label());
            form::params_form(ui, kind.id(), own, params);
        }
        if ui.button("Back to defaults").clicked() {
            self.params.remove(kind.id());
        }
    }

    fn buttons(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>, kind: &'static dyn ModelKind) {
        let session = cx.session;
        if session.jobs.of(Purpose::Train).is_some() {
            if ui.button("Stop training").on_hover_text("Stops after this batch; it can go on").clicked() {
                cx.send(Command::Train(TrainCommand::Stop));
            }
            return;
        }
        let refusal = match &session.store.dataset {
            None if session.jobs.of(Purpose::Encode).is_some() => {
                Some("The log is being encoded.".to_owned())
            }
            None => Some(session.store.untrainable.as_ref().map_or_else(
                || "The open log has no label column: choose one in the Data panel.".to_owned(),
                ToString::to_string,
            )),
            Some(dataset) => kind.check(&dataset.encoder).err().map(|failure| failure.to_string()),
        };
        if let Some(refusal) = refusal {
            ui.colored_label(cx.theme.warn, refusal);
        } else if widgets::main_button(ui, cx.theme, &format!("Train {}", kind.label())).clicked() {
            // Knobs that were not touched are filled in with the kind's defaults when the training starts.
            let params = self.params.get(kind.id()).cloned().unwrap_or_default();
            let spec = TrainSpec { kind: kind.id().to_owned(), params, source: String::new() };
            cx.send(Command::Train(TrainCommand::Start(spec)));
        }
        if let Some((trainer, _)) = &session.store.training.stopped {
            ui.label(format!("{} was stopped after {} epochs.", trainer.spec.kind, trainer.epochs_done()));
            ui.horizontal(|ui| {
                if ui.button("Go on").on_hover_text("Goes on as if it had not been stopped").clicked() {
                    cx.send(Command::Train(TrainCommand::Resume));
                }
                if ui
                    .button("Keep as it is")
                    .on_hover_text("Makes a model of the best weights so far")
                    .clicked()
                {
                    cx.send(Command::Train(TrainCommand::Finish));
                }
            });
        }
    }

    fn models(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        ui.add_space(8.0);
        ui.strong("Models");
        let training = &cx.session.store.training;
        if training.models.is_empty() {
            ui.weak("None yet: train one, or open one that was saved.");
        } else {
            let mut selected = training.selected;
            models_table(ui, &training.models, &mut selected);
            if selected != training.selected {
                cx.send(Command::Train(TrainCommand::Select(selected)));
            }
        }
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            let label = ui.label("Model folder");
            ui.add(egui::TextEdit::singleline(&mut self.folder).desired_width(220.0)).labelled_by(label.id);
            let folder = PathBuf::from(self.folder.trim());
            let named = !self.folder.trim().is_empty();
            let some = !training.models.is_empty();
            if ui.add_enabled(named && some, egui::Button::new("Save model")).clicked() {
                cx.send(Command::Train(TrainCommand::Save(folder.clone())));
            }
            if ui.add_enabled(named, egui::Button::new("Open model")).clicked() {
                cx.send(Command::Train(TrainCommand::Open(folder)));
            }
            if ui.button("Browse…").on_hover_text("Choose the folder of a saved model to open").clicked() {
                cx.ask(DialogRequest {
                    kind: DialogKind::OpenFolder,
                    title: "Open a saved model",
                    file_name: "",
                    then: |folder| Command::Train(TrainCommand::Open(folder)),
                });
            }
        });
    }
}

/// The training that runs or ran last: where it stands and its two curves.
fn progress(ui: &mut egui::Ui, cx: &PanelContext<'_>) {
    let Some(live) = cx.session.store.training.live.get() else {
        ui.weak(format!("Nothing was trained in this run. Device: {}.", device_name()));
        return;
    };
    ui.horizontal_wrapped(|ui| {
        let epoch = format!("{:.2} of {}", live.epochs_passed, live.epochs);
        widgets::metric_card(ui, cx.theme, "epochs", &epoch, &live.kind);
        let loss = charts::short(live.history.training_loss());
        widgets::metric_card(ui, cx.theme, "training loss", &loss, "log loss, smoothed");
        let (validation, auc) = latest_validation(&live);
        widgets::metric_card(ui, cx.theme, "validation loss", &validation, "log loss after the last epoch");
        widgets::metric_card(ui, cx.theme, "validation AUC", &auc, "after the last epoch");
        let speed = widgets::grouped(live.examples_per_second);
        let below = format!("{}, {:.1} s so far", live.device, live.elapsed_secs);
        widgets::metric_card(ui, cx.theme, "examples/s", &speed, &below);
    });
    curves(ui, cx, &live);
}

fn latest_validation(live: &TrainSnapshot) -> (String, String) {
    let unknown = || "not yet".to_owned();
    let Some(last) = live.history.epochs.last() else {
        return (unknown(), unknown());
    };
    let number = |estimate: Option<Estimate>, unknown: &str| {
        estimate.map_or_else(|| unknown.to_owned(), |known| charts::short(known.value))
    };
    (number(last.validation.loss, "no rows"), number(last.validation.auc, "one class"))
}

fn curves(ui: &mut egui::Ui, cx: &PanelContext<'_>, live: &TrainSnapshot) {
    let epochs = &live.history.epochs;
    let by_epoch = |number: fn(&EpochRecord) -> Option<Estimate>| -> Vec<[f64; 2]> {
        let known = epochs.iter().filter_map(|record| Some((record.epoch, number(record)?)));
        known.map(|(epoch, estimate)| [f64::from(epoch), estimate.value]).collect()
    };
    let validation = by_epoch(|record| record.validation.loss);
    let auc = by_epoch(|record| record.validation.auc);
    let series = |name, points, place| Series { name, points, colour: cx.theme.series(place), dashed: false };
    let loss = charts::Frame { name: "Loss", x: "epochs", y: "log loss (nats)", height: CURVE_HEIGHT };
    let lines =
        [series("training", live.history.training.as_slice(), 0), series("validation", &validation, 1)];
    curve::show(ui, cx.theme, loss, curve::LegendCorner::RightTop, &lines);
    let ranking = charts::Frame { name: "AUC", x: "epochs", y: "AUC (validation)", height: CURVE_HEIGHT };
    curve::show(ui, cx.theme, ranking, curve::LegendCorner::RightBottom, &[series("validation", &auc, 1)]);
}

/// One row a model; a click selects the one that all views show.
fn models_table(ui: &mut egui::Ui, models: &[ModelRun], selected: &mut usize) {
    egui::Grid::new("models").striped(true).num_columns(9).spacing([14.0, 4.0]).show(ui, |ui| {
        for head in [
            "model",
            "AUC (95 %)",
            "log loss",
            "norm. entropy",
            "pred./actual",
            "rows",
            "seed",
            "device",
            "examples/s",
        ] {
            ui.strong(head);
        }
        ui.end_row();
        for (place, run) in models.iter().enumerate() {
            let card = &run.model.card;
            let name = format!("{} {}", place + 1, run.model.kind);
            let hover = run.folder.as_ref().map_or_else(
                || format!("trained on {}; not saved", card.data.source),
                |folder| format!("trained on {}; in {}", card.data.source, folder.display()),
            );
            ui.radio_value(selected, place, name).on_hover_text(hover);
            let test = card.test.unwrap_or_default();
            let number = |estimate: Option<Estimate>| {
                estimate.map_or_else(|| "unknown".to_owned(), |known| charts::short(known.value))
            };
            ui.label(test.auc.map_or_else(
                || "unknown".to_owned(),
                |auc| format!("{:.4} ({:.4} to {:.4})", auc.value, auc.low, auc.high),
            ));
            ui.label(number(test.log_loss));
            ui.label(number(test.normalized_entropy));
            ui.label(number(test.predicted_over_actual));
            ui.label(widgets::grouped(test.rows as f64)).on_hover_text("test rows behind these numbers");
            ui.label(card.training.seed.to_string());
            ui.label(&card.training.device);
            ui.label(widgets::grouped(card.training.examples_per_second));
            ui.end_row();
        }
    });
}

/// The device that `auto` takes on this machine.
fn device_name() -> &'static str {
    device::choose("auto").as_ref().map_or("cpu", device::name)
}
