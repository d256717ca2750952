//! Which kinds of models are there, what is each for, and does this log have what it needs? Their knobs, and what they
//! would be made of.

mod drawing;

use super::Panel;
use crate::base::params::Params;
use crate::data::Dataset;
use crate::models::{MODELS, ModelKind, first_choice, recommended};
use crate::session::commands::{DataCommand, TrainCommand, ViewCommand};
use crate::session::{Command, Purpose};
use crate::train::{TrainSpec, specs_of};
use crate::ui::{PanelContext, form, widgets};
use egui::{RichText, Ui};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Width of the list of kinds.
const LIST_WIDTH: f32 = 250.0;

/// Every kind, one of which is looked at.
pub struct GalleryPanel {
    shown: usize,
    /// Knobs by kind, kept while another kind is looked at.
    params: BTreeMap<&'static str, Params>,
    /// What was last asked to be drawn.
    asked: Option<(&'static str, Params, Arc<Dataset>)>,
}

impl Default for GalleryPanel {
    /// Shows the strong first choice first.
    fn default() -> Self {
        Self { shown: first_choice(), params: BTreeMap::new(), asked: None }
    }
}

impl Panel for GalleryPanel {
    fn id(&self) -> &'static str {
        "gallery"
    }

    fn title(&self) -> &'static str {
        "Models"
    }

    fn summary(&self) -> &'static str {
        "Every kind of model: what it is for, what data it needs, what it is made of"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let dataset = cx.session.store.dataset.clone();
        self.first_step(ui, cx, dataset.as_deref());
        ui.add_space(6.0);
        ui.horizontal_top(|ui| {
            let height = ui.available_height();
            ui.allocate_ui(egui::vec2(LIST_WIDTH, height), |ui| {
                ui.vertical(|ui| {
                    egui::ScrollArea::vertical().id_salt("kinds").auto_shrink(false).show(ui, |ui| {
                        self.list(ui, cx, dataset.as_deref());
                    });
                });
            });
            ui.separator();
            ui.vertical(|ui| {
                egui::ScrollArea::both().id_salt("kind").auto_shrink(false).show(ui, |ui| {
                    self.kind(ui, cx, dataset.as_ref());
                });
            });
        });
    }
}

impl GalleryPanel {
    /// What a person does first: open a log, or train the set that suits it.
    fn first_step(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, dataset: Option<&Dataset>) {
        let Some(dataset) = dataset else {
            ui.horizontal(|ui| {
                let encoding = cx.session.jobs.of(Purpose::Encode).is_some();
                let why = match &cx.session.store.untrainable {
                    _ if encoding => "The log is being encoded for models.".to_owned(),
                    Some(failure) => failure.to_string(),
                    None => "No log is open, so nothing can be trained yet.".to_owned(),
                };
                ui.colored_label(cx.theme.warn, why);
                if cx.session.store.log.is_none() && ui.button("Open the sample").clicked() {
                    cx.send(Command::Data(DataCommand::OpenSample));
                }
            });
            return;
        };
        let set = recommended(&dataset.encoder);
        let names: Vec<&str> = set.iter().map(|kind| kind.label()).collect();
        ui.horizontal_wrapped(|ui| {
            let training = &cx.session.store.training;
            if cx.session.jobs.of(Purpose::Train).is_some() {
                let words = match training.waiting.len() {
                    0 => "Training …".to_owned(),
                    n => format!("Training …, {n} more wait"),
                };
                ui.label(words);
                if ui.button("Watch").clicked() {
                    cx.send(Command::View(ViewCommand::Show("training")));
                }
                return;
            }
            let button = format!("Train a set of {}", set.len());
            let hint = "One after another in the background, with the knobs as they are set here";
            if widgets::main_button(ui, cx.theme, &button).on_hover_text(hint).clicked() {
                let specs = set.iter().map(|kind| self.spec(*kind)).collect();
                cx.send(Command::Train(TrainCommand::StartAll(specs)));
            }
            ui.weak(format!("that suits this log: {}", names.join(", ")));
        });
    }

    fn spec(&self, kind: &dyn ModelKind) -> TrainSpec {
        // Knobs that were not touched are filled in with the kind's defaults when the training starts.
        let params = self.params.get(kind.id()).cloned().unwrap_or_default();
        TrainSpec { kind: kind.id().to_owned(), params, source: String::new() }
    }

    fn list(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, dataset: Option<&Dataset>) {
        for (place, kind) in MODELS.iter().enumerate() {
            let refusal = dataset.and_then(|dataset| kind.check(&dataset.encoder).err());
            let trained = cx.session.store.training.models.iter().filter(|run| run.model.kind == kind.id());
            let colour = if refusal.is_some() { cx.theme.weak_text } else { cx.theme.text };
            let text = RichText::new(kind.label()).color(colour);
            let hover = refusal.map_or_else(|| kind.summary().to_owned(), |failure| failure.to_string());
            ui.horizontal(|ui| {
                let button = egui::Button::selectable(self.shown == place, text);
                if ui.add(button).on_hover_text(hover).clicked() {
                    self.shown = place;
                }
                match trained.count() {
                    0 => {}
                    1 => drop(ui.small("1 trained")),
                    n => drop(ui.small(format!("{n} trained"))),
                }
            });
        }
    }

    fn kind(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, dataset: Option<&Arc<Dataset>>) {
        let kind = MODELS[self.shown.min(MODELS.len() - 1)];
        ui.label(RichText::new(kind.label()).size(17.0).strong());
        ui.label(kind.summary());
        ui.weak(format!("Needs {}.", kind.needs()));
        let refusal = dataset.map(|dataset| kind.check(&dataset.encoder).err());
        match refusal {
            None => {}
            Some(None) => drop(ui.colored_label(cx.theme.good, "This log has all of it.")),
            Some(Some(failure)) => drop(ui.colored_label(cx.theme.warn, failure.to_string())),
        }
        ui.add_space(6.0);
        let specs = specs_of(kind.id()).unwrap_or_default();
        let params = self.params.entry(kind.id()).or_insert_with(|| Params::defaults(&specs)).clone();
        if let Some(dataset) = dataset.filter(|dataset| kind.check(&dataset.encoder).is_ok()) {
            let free = cx.session.jobs.of(Purpose::Train).is_none();
            let button = egui::Button::new(format!("Train {}", kind.label()));
            if ui.add_enabled(free, button).on_disabled_hover_text("Another one is being trained").clicked() {
                cx.send(Command::Train(TrainCommand::Start(self.spec(kind))));
                cx.send(Command::View(ViewCommand::Show("training")));
            }
            ui.add_space(6.0);
            self.ask(cx, kind.id(), &params, dataset);
            self.made_of(ui, cx, kind.id());
        }
        ui.add_space(8.0);
        let own = kind.params();
        if own.is_empty() {
            ui.weak("It has no knobs of its own; those of training stand in the Training panel.");
            return;
        }
        ui.strong("Knobs of its own");
        if let Some(params) = self.params.get_mut(kind.id()) {
            form::params_form(ui, kind.id(), own, params);
        }
        if ui.button("Back to defaults").clicked() {
            self.params.remove(kind.id());
        }
    }

    /// Asks for the drawing where the kind, its knobs or the log are others than before.
    fn ask(
        &mut self,
        cx: &mut PanelContext<'_>,
        kind: &'static str,
        params: &Params,
        dataset: &Arc<Dataset>,
    ) {
        let known = self
            .asked
            .as_ref()
            .is_some_and(|(asked, with, of)| *asked == kind && with == params && Arc::ptr_eq(of, dataset));
        if !known {
            cx.send(Command::Train(TrainCommand::Draw(kind, params.clone())));
            self.asked = Some((kind, params.clone(), Arc::clone(dataset)));
        }
    }

    /// The drawing, once it is there.
    fn made_of(&self, ui: &mut Ui, cx: &PanelContext<'_>, kind: &'static str) {
        let drawn = cx.session.store.inspect.drawn.as_ref();
        match drawn.filter(|drawn| drawn.kind == kind).map(|drawn| &drawn.outline) {
            None => drop(ui.weak("Drawing …")),
            Some(Err(failure)) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
            Some(Ok(outline)) => drawing::show(ui, cx.theme, kind, outline),
        }
    }
}
