//! What runs right now? One line with stage, share and a stop button per job.

use crate::session::{Command, commands::ViewCommand};
use crate::ui::PanelContext;
use egui::Ui;

/// Draws the running jobs side by side.
pub fn job_strip(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    for job in cx.session.jobs.running() {
        let share = job.handle.progress.fraction();
        let text = match share {
            Some(share) => {
                format!("{} · {} {:.0} %", job.handle.name, job.handle.progress.stage(), 100.0 * share)
            }
            None => format!("{} · {}", job.handle.name, job.handle.progress.stage()),
        };
        ui.add(egui::ProgressBar::new(share.unwrap_or(0.0)).desired_width(120.0).desired_height(8.0));
        ui.label(text);
        if ui.small_button("Stop").on_hover_text(format!("Stop {}", job.handle.name)).clicked() {
            cx.send(Command::View(ViewCommand::Cancel(job.purpose)));
        }
        ui.separator();
    }
}
