//! How does the model in view learn further: all of it, without some parts, or by an adapter beside it?

use crate::base::params::Params;
use crate::session::Command;
use crate::session::commands::TrainCommand;
use crate::train::tuning::Tuning;
use crate::train::{TRAIN_PARAMS, TrainSpec};
use crate::ui::PanelContext;
use egui::Ui;

/// Rank of an adapter at first.
const RANK: usize = 4;

/// What goes on learning, as it stands on the screen.
#[derive(Debug)]
pub(super) struct TuningForm {
    frozen: String,
    adapts: bool,
    rank: usize,
}

impl Default for TuningForm {
    fn default() -> Self {
        Self { frozen: String::new(), adapts: false, rank: RANK }
    }
}

impl TuningForm {
    /// The controls, where a model is in view; `params` are those of the form, of which training's own are taken.
    pub(super) fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, params: Option<&Params>) {
        let training = &cx.session.store.training;
        let Some(model) = training.model().filter(|_| cx.session.store.dataset.is_some()) else { return };
        let title = format!("Train model {} further", training.selected + 1);
        egui::CollapsingHeader::new(title).id_salt("train further").show(ui, |ui| {
            ui.weak("Begins with its weights, on the open log as it reads it, with the knobs of training below.");
            ui.checkbox(&mut self.adapts, "Only an adapter (LoRA)").on_hover_text(
                "The model stays as it is; low-rank changes of its matrices and embeddings are learnt, and saved in \
                 adapters/NAME of its folder",
            );
            ui.horizontal(|ui| {
                if self.adapts {
                    let label = ui.label("Rank").id;
                    ui.add(egui::DragValue::new(&mut self.rank).range(1..=64)).labelled_by(label);
                } else {
                    let label = ui.label("Parts that stay").id;
                    let hint = "embedding, deep";
                    ui.add(egui::TextEdit::singleline(&mut self.frozen).hint_text(hint).desired_width(150.0))
                        .labelled_by(label);
                }
            });
            if ui.button("Train it further").clicked() {
                let parts = self.frozen.split([',', ' ']).filter(|part| !part.is_empty() && !self.adapts);
                let tuning = Tuning {
                    frozen: parts.map(ToOwned::to_owned).collect(),
                    rank: self.adapts.then_some(self.rank),
                };
                if let Ok(mut spec) = TrainSpec::going_on(model) {
                    for knob in TRAIN_PARAMS {
                        if let Some(value) = params.and_then(|params| params.get(knob.id)) {
                            spec.params.put(knob.id, value.clone());
                        }
                    }
                    cx.send(Command::Train(TrainCommand::Tune(spec, tuning)));
                }
            }
        });
    }
}
