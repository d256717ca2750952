//! What did a former run of the program leave unfinished?

use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::ui::PanelContext;
use egui::Ui;
use std::time::SystemTime;

/// One line and two buttons for each training that the end of the program interrupted; nothing where there is none.
pub fn show(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    let session = cx.session;
    let training = &session.store.training;
    let busy = session.jobs.of(Purpose::Train).is_some() || training.next.is_some();
    for one in &training.unfinished {
        let kept = &one.kept;
        let log = one.paths.first().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
        let epochs = kept.spec.params.integer("epochs").unwrap_or_default();
        let (kind, done, ago) = (&kept.spec.kind, kept.epochs_done, ago(kept.saved));
        ui.colored_label(
            cx.theme.warn,
            format!("{kind} on {log} was not finished: {done} of {epochs} epochs, kept {ago}."),
        );
        ui.horizontal(|ui| {
            let go_on = egui::Button::new("Go on with it");
            let hover = "Opens its log and goes on as if nothing had happened";
            if ui.add_enabled(!busy, go_on).on_hover_text(hover).clicked() {
                cx.send(Command::Train(TrainCommand::GoOnWith(kept.folder.clone())));
            }
            if ui.button("Throw it away").clicked() {
                cx.send(Command::Train(TrainCommand::ThrowAway(kept.folder.clone())));
            }
        });
    }
}

fn ago(then: SystemTime) -> String {
    let minutes = SystemTime::now().duration_since(then).unwrap_or_default().as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}
