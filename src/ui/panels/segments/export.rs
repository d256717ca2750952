//! How does the answer get out of the window? Into a file, or as the command that gives the same figures.

use crate::base::Result;
use crate::data::query::{Measure, export};
use crate::session::Command;
use crate::session::commands::SegmentCommand;
use crate::ui::DialogRequest;
use crate::ui::{PanelContext, widgets};
use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{PopupCloseBehavior, Ui};
use std::path::PathBuf;
use std::sync::Arc;

/// A button with the ways out; `out` is the path that is written by hand.
pub(super) fn menu(ui: &mut Ui, cx: &mut PanelContext<'_>, out: &mut String, measure: Measure) {
    // A click into the field for the path must not close it.
    let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    MenuButton::new("Export").config(stays).ui(ui, |ui| {
        ui.set_min_width(320.0);
        let k = widgets::grouped(cx.session.workspace.privacy.k as f64);
        ui.weak(format!("Groups of fewer than {k} people are held back (Privacy)."));
        if ui.button("CSV, Parquet or JSON lines…").clicked() {
            cx.ask(DialogRequest::save("Export the groups", "groups.csv", |path| write(path, false)));
            ui.close();
        }
        if ui.button("CSV for spreadsheets…").on_hover_text("With a byte order mark, for Chinese").clicked()
        {
            cx.ask(DialogRequest::save("Export the groups", "groups.csv", |path| write(path, true)));
            ui.close();
        }
        ui.horizontal(|ui| {
            let label = ui.label("or to").id;
            ui.add(egui::TextEdit::singleline(out).hint_text("groups.parquet").desired_width(180.0))
                .labelled_by(label);
            if ui.add_enabled(!out.trim().is_empty(), egui::Button::new("Write")).clicked() {
                cx.send(write(PathBuf::from(out.trim()), false));
                ui.close();
            }
        });
        ui.weak("The chart as SVG or PNG: right-click it.");
        ui.separator();
        match command(cx, measure) {
            Ok(text) => {
                if ui.button("Copy as a command").on_hover_text(&text).clicked() {
                    ui.ctx().copy_text(text);
                    ui.close();
                }
            }
            Err(failure) => {
                ui.add_enabled(false, egui::Button::new("Copy as a command"))
                    .on_disabled_hover_text(failure.to_string());
            }
        }
    });
}

fn write(path: PathBuf, for_spreadsheets: bool) -> Command {
    Command::Segment(SegmentCommand::Export { path, for_spreadsheets })
}

/// The command line that gives the figures on the screen.
fn command(cx: &PanelContext<'_>, measure: Measure) -> Result<String> {
    let store = &cx.session.store;
    let (Some(open), Some(answer)) = (&store.log, &store.segments) else {
        return Err(crate::base::Failure::new("cannot tell the command", "nothing is counted"));
    };
    let model = answer.scores.as_ref().map(|scores| {
        let run = store.training.models.iter().find(|run| Arc::ptr_eq(&run.model, &scores.model));
        run.and_then(|run| run.folder.as_ref())
    });
    export::as_command(&open.paths, &open.options, &answer.query, measure, model)
}
