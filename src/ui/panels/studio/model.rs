//! Does a language model write too, what does it take, and what has it written so far?

use super::candidates::{forecast, highlighted};
use crate::session::commands::CopyCommand;
use crate::session::sample::fetched_model;
use crate::session::{Command, Purpose};
use crate::ui::panels::segments::complain;
use crate::ui::{DialogKind, DialogRequest, PanelContext, widgets};
use egui::Ui;
use std::path::PathBuf;

/// The choice of a model.
#[derive(Default)]
pub(super) struct Choice {
    /// A path that is typed.
    path: String,
    /// The model that `assets/fetch-models.sh` got, once it was looked for.
    fetched: Option<Option<PathBuf>>,
    /// True once a model that was chosen in an earlier run was looked at again.
    asked: bool,
}

fn choose(path: PathBuf) -> Command {
    Command::Copy(CopyCommand::ChooseModel(Some(path)))
}

impl Choice {
    /// Which model writes, and what it takes.
    pub(super) fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.strong("A language model").on_hover_text(
            "It writes beside the templates, within the room and in words that are known. Its words are checked like any \
             other; most do not pass. Everything works without one.",
        );
        let Some(path) = cx.session.workspace.language_model.clone() else {
            self.none(ui, cx);
            return;
        };
        if !std::mem::replace(&mut self.asked, true) && cx.session.store.copy.writer.file.is_none() {
            cx.send(choose(path.clone()));
        }
        let writer = &cx.session.store.copy.writer;
        match &writer.file {
            None => drop(ui.weak("looking at it …")),
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(file)) => {
                let megabytes = file.bytes.div_ceil(1 << 20);
                let state = if writer.model.is_some() { "in memory" } else { "read at the next writing" };
                ui.horizontal_wrapped(|ui| {
                    ui.label(&file.name).on_hover_text(path.display().to_string());
                    ui.weak(format!("about {megabytes} MB, {state}"));
                });
            }
        }
        ui.horizontal(|ui| {
            if widgets::small_button(ui, "Do without").clicked() {
                cx.send(Command::Copy(CopyCommand::ChooseModel(None)));
            }
            let has_round = matches!(cx.session.store.copy.round, Some(Ok(_)));
            let idle = cx.session.jobs.of(Purpose::WriteByModel).is_none();
            let button = ui.add_enabled(has_round && idle, widgets::small("Have it write"));
            if button.on_disabled_hover_text("Write candidates first").clicked() {
                cx.send(Command::Copy(CopyCommand::WriteByModel));
            }
        });
    }

    fn none(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let fetched = self.fetched.get_or_insert_with(fetched_model).clone();
        ui.horizontal_wrapped(|ui| {
            ui.weak("none; templates and phrases write.");
            if let Some(path) = fetched
                && widgets::small_button(ui, "Use SmolLM2 135M")
                    .on_hover_text(path.display().to_string())
                    .clicked()
            {
                cx.send(choose(path));
            }
            if widgets::small_button(ui, "Choose a file …").clicked() {
                cx.ask(DialogRequest::open(DialogKind::OpenFile, "Choose a language model (GGUF)", choose));
            }
            let field =
                egui::TextEdit::singleline(&mut self.path).hint_text("or its path").desired_width(90.0);
            let field = ui.add(field).on_hover_text("sh assets/fetch-models.sh gets a small one");
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            if entered && !self.path.trim().is_empty() {
                cx.send(choose(PathBuf::from(self.path.trim())));
            }
        });
    }
}

/// What a model is writing, or what came of it.
pub(super) fn progress(ui: &mut Ui, cx: &mut PanelContext<'_>, widest: f64) {
    let writer = &cx.session.store.copy.writer;
    let running = cx.session.jobs.of(Purpose::WriteByModel);
    match (running, &writer.ended) {
        (Some(running), _) => {
            let live = writer.live.get().unwrap_or_default();
            ui.horizontal_wrapped(|ui| {
                ui.spinner();
                let what = match live.tries {
                    0 => running.handle.progress.stage(),
                    tries => format!("{} writes {} of {tries}:", live.model, (live.tried + 1).min(tries)),
                };
                ui.label(what);
                ui.strong(&live.writing);
                if widgets::small_button(ui, "Stop").on_hover_text("What it has is kept").clicked() {
                    cx.send(Command::Copy(CopyCommand::StopModel));
                }
            });
            for candidate in &live.candidates {
                ui.horizontal(|ui| {
                    ui.add_space(24.0);
                    forecast(ui, cx.theme, candidate, widest);
                    ui.add(egui::Label::new(highlighted(cx.theme, &candidate.verdict)).wrap());
                });
            }
        }
        (None, Some(Ok(told))) => drop(ui.weak(told)),
        (None, Some(Err(failure))) => complain(ui, cx.theme, failure),
        (None, None) => {}
    }
}
