//! How does a judgement leave the window? As a page, written to a path.

use crate::data::query::groupable_columns;
use crate::session::Command;
use crate::session::commands::inspect::InspectCommand;
use crate::ui::{DialogRequest, PanelContext};
use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{PopupCloseBehavior, Ui};
use std::path::PathBuf;

/// The path and the choices as they stand on the screen.
#[derive(Debug, Default)]
pub(super) struct Report {
    path: String,
    /// Column whose groups are compared for fairness; empty for none.
    fairness: String,
}

impl Report {
    /// A button with the choices; `column` is the one whose rates are on the screen.
    pub fn menu(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, column: Option<&str>, beside: bool) {
        let columns = cx.session.store.log.as_ref().map(|open| groupable_columns(&open.frame));
        // A click into the field for the path must not close it.
        let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
        MenuButton::new("Report").config(stays).ui(ui, |ui| {
            ui.set_min_width(340.0);
            let with = if beside { "with the other models" } else { "of this model alone" };
            let by = column.map_or_else(String::new, |column| format!(", rates by {column}"));
            ui.weak(format!(
                "A report about the test rows, {with}{by}: as .html and .pdf, its figures as .json."
            ));
            ui.horizontal(|ui| {
                let label = ui.label("Fairness by").id;
                let shown = if self.fairness.is_empty() { "nothing" } else { &self.fairness };
                let menu =
                    egui::ComboBox::from_id_salt("report fairness").selected_text(shown).show_ui(ui, |ui| {
                        ui.selectable_value(&mut self.fairness, String::new(), "nothing");
                        for name in columns.iter().flatten() {
                            ui.selectable_value(&mut self.fairness, name.clone(), name);
                        }
                    });
                menu.response.labelled_by(label);
            });
            let (fairness, columns) = (self.fairness.clone(), column.map(str::to_owned));
            let write = move |path: PathBuf| {
                Command::Inspect(InspectCommand::Report {
                    path,
                    beside,
                    columns: columns.into_iter().collect(),
                    fairness: (!fairness.is_empty()).then_some(fairness),
                })
            };
            ui.horizontal(|ui| {
                let label = ui.label("to").id;
                let field = egui::TextEdit::singleline(&mut self.path).hint_text("report.html");
                ui.add(field.desired_width(180.0)).labelled_by(label);
                let named = !self.path.trim().is_empty();
                if ui.add_enabled(named, egui::Button::new("Write")).clicked() {
                    cx.send(write.clone()(PathBuf::from(self.path.trim())));
                    ui.close();
                }
                if ui.button("Choose…").clicked() {
                    cx.ask(DialogRequest::save("Write the report", "report.html", write));
                    ui.close();
                }
            });
        });
    }
}
