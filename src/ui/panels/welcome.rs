//! How does a person get a log in? Open, drop, the sample, or a recent file.

use crate::session::{Command, Purpose, commands::DataCommand};
use crate::ui::dialogs::{DialogKind, DialogRequest};
use crate::ui::panels::Panel;
use crate::ui::{PanelContext, story, widgets};
use egui::{RichText, Ui};
use std::path::PathBuf;

/// The ways in.
#[derive(Default)]
pub struct WelcomePanel {
    path: String,
}

impl Panel for WelcomePanel {
    fn id(&self) -> &'static str {
        "welcome"
    }

    fn title(&self) -> &'static str {
        "Welcome"
    }

    fn summary(&self) -> &'static str {
        "Open a campaign log, or start from the sample"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, "Which log do you want to look at?", self.summary());
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(760.0);
            if !cx.session.store.training.unfinished.is_empty() {
                card(ui, cx, "Unfinished training", super::training::unfinished::show);
            }
            sample(ui, cx);
            self.own_log(ui, cx);
            recent(ui, cx);
        });
    }
}

impl WelcomePanel {
    fn own_log(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        card(ui, cx, "Your own log", |ui, cx| {
            ui.label("One row per impression, or counts of impressions and clicks per row.");
            ui.horizontal(|ui| {
                if ui.button("Open a log…").clicked() {
                    cx.ask(DialogRequest::open(DialogKind::OpenFile, "Open a campaign log", |path| {
                        Command::Data(DataCommand::Open(path))
                    }));
                }
                ui.weak("or drop a file on the window");
            });
            ui.horizontal(|ui| {
                let label = ui.label("Path");
                let width = (ui.available_width() - 80.0).max(120.0);
                let field = egui::TextEdit::singleline(&mut self.path)
                    .hint_text("/folder/clicks.csv")
                    .desired_width(width);
                let field = ui.add(field).labelled_by(label.id);
                let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
                let path = self.path.trim();
                let pressed = ui.add_enabled(!path.is_empty(), egui::Button::new("Open path")).clicked();
                if (pressed || entered) && !path.is_empty() {
                    cx.send(Command::Data(DataCommand::Open(PathBuf::from(path))));
                }
            });
            let known: Vec<_> =
                crate::data::importers::IMPORTERS.iter().map(|importer| importer.id()).collect();
            ui.weak(format!(
                "Recognised by content, not by name: {}; plain, gz, bz2, zst or zip.",
                known.join(", ")
            ));
        });
    }
}

fn sample(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    card(ui, cx, "The sample", |ui, cx| {
        ui.label("Four weeks of a made-up campaign whose true click probabilities are known, so that every curve and simulation can be checked.");
        let busy = cx.session.jobs.of(Purpose::Import).is_some();
        if busy {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("Opening…");
            });
        } else if widgets::main_button(ui, cx.theme, "Open the sample").clicked() {
            cx.send(Command::Data(DataCommand::OpenSample));
        }
        let hint = "F5: full screen and large type, step by step over the sample";
        if ui.button("Show me around").on_hover_text(hint).clicked() {
            story::ask_for(ui.ctx());
        }
    });
}

fn recent(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    card(ui, cx, "Recent logs", |ui, cx| {
        if cx.session.workspace.recent.is_empty() {
            ui.weak("None yet.");
        }
        for path in &cx.session.workspace.recent {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            ui.horizontal(|ui| {
                if ui.button(format!("Open {name}")).clicked() {
                    cx.send(Command::Data(DataCommand::Open(path.clone())));
                }
                let folder = path.parent().map(|folder| folder.display().to_string());
                ui.weak(folder.unwrap_or_default());
            });
        }
    });
}

fn card(
    ui: &mut Ui,
    cx: &mut PanelContext<'_>,
    title: &str,
    contents: impl FnOnce(&mut Ui, &mut PanelContext<'_>),
) {
    egui::Frame::new()
        .fill(cx.theme.panel)
        .stroke(egui::Stroke::new(1.0, cx.theme.line))
        .corner_radius(6)
        .inner_margin(14)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(title).strong().size(15.0).color(cx.theme.text));
            ui.add_space(4.0);
            contents(ui, cx);
        });
    ui.add_space(10.0);
}
