//! What surrounds every panel? Top bar, navigation, notices, status bar.

use super::panels::Panel;
use super::{PanelContext, gpu_view, widgets};
use crate::session::{
    Command,
    commands::{DataCommand, SegmentCommand, ViewCommand},
};
use egui::{RichText, Ui};
use std::path::PathBuf;

/// Letters of a chosen group that the top bar has room for.
const MOST_OF_A_GROUP: usize = 36;

/// Draws the whole window around the panel in view.
pub fn draw(ui: &mut Ui, cx: &mut PanelContext<'_>, panels: &mut [Box<dyn Panel>], adapter: &str) {
    let line = egui::Frame::new().fill(cx.theme.panel).inner_margin(egui::Margin::symmetric(12, 6));
    egui::Panel::top("top bar").frame(line).show(ui, |ui| top_bar(ui, cx));
    egui::Panel::bottom("status bar").frame(line).show(ui, |ui| status_bar(ui, cx, adapter));
    egui::Panel::left("navigation")
        .frame(line)
        .resizable(false)
        .exact_size(138.0)
        .show(ui, |ui| navigation(ui, cx, panels));
    draw_panel(ui, cx, panels);
}

/// Draws the panel in view, and notices above it, into the rest of the window.
pub fn draw_panel(ui: &mut Ui, cx: &mut PanelContext<'_>, panels: &mut [Box<dyn Panel>]) {
    // The ground is painted first and known last: where a map covers it there is none.
    let painter = ui.ctx().layer_painter(ui.layer_id());
    let ground = painter.add(egui::Shape::Noop);
    let room = egui::Frame::new().inner_margin(14);
    let shown = egui::CentralPanel::default().frame(room).show(ui, |ui| {
        widgets::notices::notice_bars(ui, cx);
        let shown = cx.session.workspace.panel.clone();
        let at = panels.iter().position(|panel| panel.id() == shown).unwrap_or(0);
        if let Some(panel) = panels.get_mut(at) {
            ui.push_id(panel.id(), |ui| panel.ui(ui, cx));
        }
    });
    let pieces = gpu_view::uncovered(ui.ctx(), shown.response.rect).into_iter();
    let fill = |piece| egui::Shape::rect_filled(piece, 0.0, cx.theme.background);
    painter.set(ground, egui::Shape::Vec(pieces.map(fill).collect()));
}

/// The command that opens a dropped or named file.
pub fn open_command(path: PathBuf) -> Command {
    Command::Data(DataCommand::Open(path))
}

fn top_bar(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("adloupe").size(18.0).strong().color(cx.theme.accent));
        ui.separator();
        match &cx.session.store.log {
            Some(log) => {
                ui.label(log.name());
                let rows = widgets::grouped(log.frame.rows() as f64);
                ui.weak(match &log.frame.source.layout.sample {
                    Some(sample) => {
                        format!("{rows} of {} rows, a sample", widgets::grouped(sample.of as f64))
                    }
                    None => format!("{rows} rows"),
                });
                if let Some(label) = &log.profile.label {
                    ui.weak(format!("{} {:.2} %", label.column, 100.0 * label.rate));
                }
            }
            None => {
                ui.weak("no log open");
            }
        }
        chosen(ui, cx);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let dark = cx.session.workspace.dark;
            let word = if dark { "Light" } else { "Dark" };
            if ui.button(word).on_hover_text("Switch between dark and light").clicked() {
                cx.send(Command::View(ViewCommand::SetDark(!dark)));
            }
        });
    });
}

/// The group that is chosen for all panels, with what is known of it.
fn chosen(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    let Some(group) = &cx.session.store.chosen else { return };
    ui.separator();
    let text = group.to_string();
    let mut words: String = text.chars().take(MOST_OF_A_GROUP).collect();
    if words.len() < text.len() {
        words.push('…');
    }
    ui.colored_label(cx.theme.accent, format!("chosen: {words}")).on_hover_text(&text);
    match cx.session.store.marked.as_ref().map(|marked| &marked.found) {
        None => {}
        Some(Err(failure)) => {
            ui.colored_label(cx.theme.bad, "cannot be found").on_hover_text(failure.to_string());
        }
        Some(Ok(found)) => {
            let rows = widgets::grouped(found.rows as f64);
            ui.weak(match found.has_outcome {
                true => format!("{rows} rows, CTR {}", widgets::percent_with_interval(&found.rate)),
                false => format!("{rows} rows"),
            });
        }
    }
    if widgets::small_button(ui, "x").on_hover_text("Choose nothing").clicked() {
        cx.send(Command::Segment(SegmentCommand::Choose(None)));
    }
}

fn navigation(ui: &mut Ui, cx: &mut PanelContext<'_>, panels: &[Box<dyn Panel>]) {
    ui.with_layout(egui::Layout::top_down_justified(egui::Align::LEFT), |ui| {
        for panel in panels {
            let shown = cx.session.workspace.panel == panel.id();
            let button = egui::Button::selectable(shown, panel.title());
            if ui.add(button).on_hover_text(panel.summary()).clicked() {
                cx.send(Command::View(ViewCommand::Show(panel.id())));
            }
        }
    });
}

fn status_bar(ui: &mut Ui, cx: &mut PanelContext<'_>, adapter: &str) {
    ui.horizontal(|ui| {
        widgets::job_strip::job_strip(ui, cx);
        if !cx.session.jobs.any_running() {
            ui.weak("Ready");
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.weak(format!("drawing on {adapter}"));
        });
    });
}
