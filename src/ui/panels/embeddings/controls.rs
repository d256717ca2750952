//! What is drawn, how, and how far can the map be trusted? The rows above it.

use super::EmbeddingsPanel;
use super::colouring::ColourBy;
use crate::base::params::Params;
use crate::insight::{MapQuestion, Projection, Source, sources};
use crate::maps::Metric;
use crate::maps::method::{METHODS, find};
use crate::session::commands::inspect::InspectCommand;
use crate::session::commands::view::ViewCommand;
use crate::session::{Command, Purpose};
use crate::tasks::project::Projected;
use crate::ui::dialogs::{DialogKind, DialogRequest};
use crate::ui::{PanelContext, form, widgets};
use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{PopupCloseBehavior, RichText, Ui};
use std::path::PathBuf;

impl EmbeddingsPanel {
    pub(super) fn controls(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        projected: &Projected,
        current: bool,
    ) {
        let asked = self.question.clone().unwrap_or_else(|| projected.projection.question.clone());
        let mut question = asked.clone();
        ui.horizontal_wrapped(|ui| {
            points(ui, cx, projected, &mut question);
            self.reader(ui, cx, &mut question);
            what(ui, &mut question);
            knobs(ui, &mut question);
            if !current {
                ui.colored_label(cx.theme.warn, "of an earlier model");
                if ui.button("Project the present one").clicked() {
                    cx.send(Command::Inspect(InspectCommand::Project(question.clone())));
                }
            }
            self.progress(ui, cx, &question);
        });
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Colour by");
            egui::ComboBox::from_id_salt("colour by")
                .selected_text(self.colour_by.title())
                .show_ui(ui, |ui| {
                    for choice in ColourBy::all(&projected.projection) {
                        let title = choice.title();
                        ui.selectable_value(&mut self.colour_by, choice, title);
                    }
                })
                .response
                .labelled_by(label.id);
            self.searching(ui, &projected.projection);
            ui.separator();
            self.view.toolbar(ui);
            ui.separator();
            self.beside.chooser(ui, cx, projected);
        });
        if question != asked && question.params == asked.params && current {
            cx.send(Command::Inspect(InspectCommand::Project(question.clone())));
        }
        self.question = Some(question);
        let (words, warning) = told(&projected.projection, &projected.model.kind);
        ui.label(RichText::new(words).small().color(cx.theme.weak_text));
        if let Some(warning) = warning {
            ui.label(RichText::new(warning).small().color(cx.theme.warn));
        }
    }

    /// Who reads texts: the built-in encoder, or a sentence encoder of the person's own.
    fn reader(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, question: &mut MapQuestion) {
        let asked = question.clone();
        let Source::Texts(column, encoder) = &mut question.source else { return };
        let by =
            if encoder.is_some() { "read by a sentence encoder" } else { "read by the built-in encoder" };
        let stays = PopupCloseBehavior::CloseOnClickOutside;
        MenuButton::new(by).config(MenuConfig::new().close_behavior(stays)).ui(ui, |ui| {
            let label = ui
                .label("Folder of a sentence encoder (BERT: config.json, model.safetensors, tokenizer.json)");
            let field = egui::TextEdit::singleline(&mut self.encoder).hint_text("models/all-minilm-l6-v2");
            ui.add(field).labelled_by(label.id);
            ui.horizontal(|ui| {
                let ready = !self.encoder.trim().is_empty();
                if ui.add_enabled(ready, egui::Button::new("Read with it")).clicked() {
                    *encoder = Some(PathBuf::from(self.encoder.trim()));
                    ui.close();
                }
                if ui.button("Choose…").clicked() {
                    let column = column.clone();
                    let then = move |folder: PathBuf| {
                        let source = Source::Texts(column, Some(folder));
                        Command::Inspect(InspectCommand::Project(MapQuestion { source, ..asked }))
                    };
                    cx.ask(DialogRequest::open(DialogKind::OpenFolder, "Open a sentence encoder", then));
                    ui.close();
                }
                if ui.add_enabled(encoder.is_some(), egui::Button::new("Built-in")).clicked() {
                    *encoder = None;
                    ui.close();
                }
            });
        });
    }

    /// How far a map on its way is, and what can be done about it; else the button that draws with changed knobs.
    fn progress(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, question: &MapQuestion) {
        let Some(running) = cx.session.jobs.of(Purpose::Project) else {
            let shown = cx.session.store.inspect.projected.as_ref().map(|shown| &shown.projection.question);
            if shown != Some(question) && ui.button("Draw").clicked() {
                cx.send(Command::Inspect(InspectCommand::Project(question.clone())));
            }
            return;
        };
        let share = running.handle.progress.fraction().unwrap_or(0.0);
        let stage = running.handle.progress.stage() + &running.handle.progress.left_in_words();
        let bar = egui::ProgressBar::new(share).desired_width(190.0).text(stage);
        ui.add(bar);
        let paused = running.handle.is_paused();
        if ui.button(if paused { "Go on" } else { "Pause" }).clicked() {
            cx.send(Command::View(ViewCommand::Pause(Purpose::Project, !paused)));
        }
        if ui.button("Stop").on_hover_text("Keeps the map as it is now").clicked() {
            cx.send(Command::Inspect(InspectCommand::StopMap));
        }
    }

    fn searching(&mut self, ui: &mut Ui, projection: &Projection) {
        let label = ui.label("Find");
        let field =
            egui::TextEdit::singleline(&mut self.search).desired_width(110.0).hint_text("part of a name");
        let changed = ui.add(field).labelled_by(label.id).changed();
        if changed {
            let wanted = self.search.trim().to_lowercase();
            let values = &projection.values;
            let holds = |point: &usize| values.name(*point).to_lowercase().contains(&wanted);
            self.hits =
                if wanted.is_empty() { Vec::new() } else { (0..values.len()).filter(holds).collect() };
        }
        if self.search.trim().is_empty() {
            return;
        }
        ui.weak(format!("{} found", self.hits.len()));
        if !self.hits.is_empty() && ui.button("Select them").clicked() {
            let mut bits = crate::gpu::Bits::new(projection.len());
            self.hits.iter().for_each(|point| bits.set(*point));
            self.selected = Some(std::sync::Arc::new(bits));
        }
    }
}

/// Rows of the log that can be asked for.
const ROWS: [usize; 4] = [5_000, sources::ROWS, 100_000, 1_000_000];

/// What the points are.
fn points(ui: &mut Ui, cx: &PanelContext<'_>, projected: &Projected, question: &mut MapQuestion) {
    let label = ui.label("Map of");
    egui::ComboBox::from_id_salt("points")
        .height(480.0)
        .selected_text(question.source.title())
        .show_ui(ui, |ui| {
            let tables = projected.model.tables();
            for source in super::offered(&projected.model, cx) {
                let table = tables.iter().find(|table| Source::Table(table.field.clone()) == source);
                let text = match table {
                    Some(table) => format!("{} ({} values x {})", table.field, table.rows, table.width),
                    None => source.title(),
                };
                let chosen = source.title() == question.source.title();
                if ui.selectable_label(chosen, text).clicked() && !chosen {
                    question.source = source;
                }
            }
        })
        .response
        .labelled_by(label.id);
    if let Source::Rows(most) = &mut question.source {
        let label = ui.label("at most");
        egui::ComboBox::from_id_salt("rows")
            .width(80.0)
            .selected_text(widgets::grouped(*most as f64))
            .show_ui(ui, |ui| {
                for rows in ROWS {
                    ui.selectable_value(most, rows, widgets::grouped(rows as f64));
                }
            })
            .response
            .labelled_by(label.id);
    }
}

/// Method, metric and dimensions.
fn what(ui: &mut Ui, question: &mut MapQuestion) {
    for method in METHODS {
        let chosen = question.method == method.id();
        if ui.selectable_label(chosen, method.title()).on_hover_text(method.summary()).clicked() && !chosen {
            question.method = method.id().to_owned();
            question.params = Params::default();
        }
    }
    let label = ui.label("Distance");
    egui::ComboBox::from_id_salt("metric")
        .width(90.0)
        .selected_text(question.metric.title())
        .show_ui(ui, |ui| {
            for (metric, title) in Metric::ALL {
                ui.selectable_value(&mut question.metric, metric, title);
            }
        })
        .response
        .labelled_by(label.id);
    for (dimensions, text) in [(2, "2D"), (3, "3D")] {
        ui.selectable_value(&mut question.dimensions, dimensions, text);
    }
}

/// The knobs of the method and the seed, out of the way.
fn knobs(ui: &mut Ui, question: &mut MapQuestion) {
    let Ok(method) = find(&question.method) else { return };
    if method.params().is_empty() {
        return;
    }
    ui.menu_button("Knobs", |ui| {
        let mut params = question.params.completed(method.params()).unwrap_or_default();
        if form::params_form(ui, method.id(), method.params(), &mut params) {
            question.params = params;
        }
        ui.horizontal(|ui| {
            let label = ui.label("Seed");
            ui.add(egui::DragValue::new(&mut question.seed)).labelled_by(label.id);
        });
    });
}

/// What the map is in one line, and why it must not be taken at its word.
fn told(projection: &Projection, kind: &str) -> (String, Option<String>) {
    let values = &projection.values;
    let mut parts = vec![format!(
        "{kind} model, {} {} of {} numbers",
        projection.len(),
        values.source.unit(),
        values.table.width
    )];
    if let Some(shown) = projection.explained() {
        parts.push(format!("the axes hold {:.0} % of the variance", 100.0 * shown));
    }
    if let Some((done, total)) = projection.moving.filter(|(done, total)| done < total) {
        parts.push(format!("after {done} of {total} passes"));
    }
    if let Some(quality) = &projection.quality {
        parts.push(quality.in_words());
    }
    parts.extend(projection.map.notes.iter().cloned());
    if !values.left_out.is_empty() {
        parts.push(values.left_out.clone());
    }
    (parts.join("; "), projection.quality.as_ref().and_then(|quality| quality.warning()))
}
