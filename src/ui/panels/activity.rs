//! What is running, what ended, and what went wrong?

use crate::session::{Command, NoticeKind, commands::ViewCommand};
use crate::ui::PanelContext;
use crate::ui::panels::Panel;
use crate::ui::widgets;
use egui::RichText;

/// Jobs and notices of this run.
pub struct ActivityPanel;

impl Panel for ActivityPanel {
    fn id(&self) -> &'static str {
        "activity"
    }

    fn title(&self) -> &'static str {
        "Activity"
    }

    fn summary(&self) -> &'static str {
        "Background jobs, warnings and failures of this run"
    }

    fn ui(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, "Activity", self.summary());
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            running(ui, cx);
            finished(ui, cx);
            notices(ui, cx);
        });
    }
}

fn running(ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
    ui.strong("Running");
    if !cx.session.jobs.any_running() {
        ui.weak("Nothing runs in the background.");
    }
    for job in cx.session.jobs.running() {
        ui.horizontal(|ui| {
            if ui.button("Stop").on_hover_text(format!("Stop {}", job.handle.name)).clicked() {
                cx.send(Command::View(ViewCommand::Cancel(job.purpose)));
            }
            widgets::pause_button(ui, cx, job);
            ui.label(&job.handle.name);
            ui.weak(job.handle.progress.stage());
            match job.handle.progress.fraction() {
                Some(share) => ui.weak(format!("{:.0} %", 100.0 * share)),
                None if job.since.is_none() => ui.weak("waits for its turn"),
                None => ui.weak("…"),
            };
        });
    }
    ui.add_space(12.0);
}

fn finished(ui: &mut egui::Ui, cx: &PanelContext<'_>) {
    ui.strong("Ended");
    let mut any = false;
    egui::Grid::new("ended jobs").striped(true).num_columns(2).show(ui, |ui| {
        for job in cx.session.jobs.finished().take(20) {
            any = true;
            ui.label(&job.name);
            ui.weak(format!("{:.2} s", job.took.as_secs_f64()));
            ui.end_row();
        }
    });
    if !any {
        ui.weak("No job has ended yet.");
    }
    ui.add_space(12.0);
}

fn notices(ui: &mut egui::Ui, cx: &PanelContext<'_>) {
    ui.strong("Warnings and failures");
    if cx.session.notices.all().is_empty() {
        ui.weak("None so far.");
    }
    for notice in cx.session.notices.all().iter().rev() {
        let (word, colour) = match notice.kind {
            NoticeKind::Done => ("done", cx.theme.good),
            NoticeKind::Warning => ("warning", cx.theme.warn),
            NoticeKind::Failure => ("failed", cx.theme.bad),
        };
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(word).color(colour));
            ui.label(&notice.text);
            if notice.times > 1 {
                ui.weak(format!("({} times)", notice.times));
            }
        });
    }
}
