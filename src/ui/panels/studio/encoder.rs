//! By which encoder are the library's texts compared, and how far did it read them?

use crate::session::commands::CopyCommand;
use crate::session::sample::fetched_encoder;
use crate::session::{Command, Purpose};
use crate::tasks::read_meanings::TextsRead;
use crate::ui::panels::segments::complain;
use crate::ui::{DialogKind, DialogRequest, PanelContext, widgets};
use egui::Ui;
use std::path::{Path, PathBuf};

const BUILT_IN: &str = "the built-in encoder";

fn choose(folder: PathBuf) -> Command {
    Command::Copy(CopyCommand::ChooseEncoder(Some(folder)))
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The choice of what compares meanings, with how far it read.
pub(super) fn encoder(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    let chosen = cx.session.workspace.sentence_encoder.clone();
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Meaning by").id;
        let shown = chosen.as_deref().map_or_else(|| BUILT_IN.to_owned(), name_of);
        let menu = egui::ComboBox::from_id_salt("meaning by").selected_text(shown).width(190.0);
        let menu = menu.show_ui(ui, |ui| {
            if ui.selectable_label(chosen.is_none(), BUILT_IN).clicked() && chosen.is_some() {
                cx.send(Command::Copy(CopyCommand::ChooseEncoder(None)));
            }
            let fetched = fetched_encoder();
            let other = chosen.clone().filter(|chosen| fetched.as_ref() != Some(chosen));
            for folder in fetched.into_iter().chain(other) {
                let is_chosen = chosen.as_ref() == Some(&folder);
                if ui.selectable_label(is_chosen, name_of(&folder)).clicked() && !is_chosen {
                    cx.send(choose(folder));
                }
            }
            if ui.selectable_label(false, "Choose a folder …").clicked() {
                cx.ask(DialogRequest::open(DialogKind::OpenFolder, "Choose a sentence encoder (BERT)", choose));
            }
        });
        menu.response.labelled_by(label).on_hover_text(
            "Search by meaning and the check for copies. The built-in encoder is fitted on the library itself and tells each \
             word's share; a sentence encoder knows words that the library lacks (sh assets/fetch-models.sh gets one, 91 MB).",
        );
        if chosen.is_some() {
            progress(ui, cx);
        }
    });
}

fn progress(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    if let Some(running) = cx.session.jobs.of(Purpose::ReadMeanings) {
        let progress = &running.handle.progress;
        let share = progress.fraction().unwrap_or_default();
        ui.spinner();
        ui.label(format!("{} ({:.0} %) {}", progress.stage(), 100.0 * share, progress.left_in_words()));
        if widgets::small_button(ui, "Stop").on_hover_text("What it has read is kept").clicked() {
            cx.send(Command::Copy(CopyCommand::StopReading));
        }
        ui.weak("until then the built-in encoder answers");
        return;
    }
    match cx.session.store.copy.meanings.clone() {
        None => {}
        Some(Err(failure)) => complain(ui, cx.theme, &failure),
        Some(Ok(TextsRead { left: 0, foreign, .. })) => {
            let words = match foreign {
                0 => "it has read every text".to_owned(),
                count => format!(
                    "it has read every text but {} that it does not know the language of: they are compared by spelling",
                    widgets::grouped(count as f64)
                ),
            };
            ui.weak(words);
        }
        Some(Ok(TextsRead { left, .. })) => {
            ui.colored_label(
                cx.theme.warn,
                format!("{} texts are left to read", widgets::grouped(left as f64)),
            );
            if widgets::small_button(ui, "Go on").clicked() {
                cx.send(Command::Copy(CopyCommand::ReadOn));
            }
            ui.weak("until then the built-in encoder answers");
        }
    }
}
