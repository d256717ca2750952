//! What runs right now? One line with stage, share, pause and stop per job.

use crate::session::jobs::Running;
use crate::session::{Command, commands::ViewCommand};
use crate::ui::PanelContext;
use egui::Ui;

/// Draws the running jobs side by side.
pub fn job_strip(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    for job in cx.session.jobs.running() {
        let share = job.handle.progress.fraction();
        let paused = if job.handle.is_paused() { " · paused" } else { "" };
        let text = match share {
            Some(share) => {
                let (name, stage) = (&job.handle.name, job.handle.progress.stage());
                let left = job.handle.progress.left_in_words();
                format!("{name} · {stage} {:.0} %{left}{paused}", 100.0 * share)
            }
            None => format!("{} · {}{paused}", job.handle.name, job.handle.progress.stage()),
        };
        ui.add(egui::ProgressBar::new(share.unwrap_or(0.0)).desired_width(120.0).desired_height(8.0));
        ui.label(text);
        pause_button(ui, cx, job);
        if super::small_button(ui, "Stop").on_hover_text(format!("Stop {}", job.handle.name)).clicked() {
            cx.send(Command::View(ViewCommand::Cancel(job.purpose)));
        }
        ui.separator();
    }
}

/// Pause, or go on, for jobs that take long.
pub fn pause_button(ui: &mut Ui, cx: &mut PanelContext<'_>, job: &Running) {
    if !job.purpose.can_pause() {
        return;
    }
    let is_paused = job.handle.is_paused();
    let (word, meaning) = if is_paused {
        ("Go on", "Goes on where it was")
    } else {
        ("Pause", "Waits, and goes on from there")
    };
    if super::small_button(ui, word).on_hover_text(meaning).clicked() {
        cx.send(Command::View(ViewCommand::Pause(job.purpose, !is_paused)));
    }
}
