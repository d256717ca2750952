//! Kept scenarios: side by side over their seeds, with remarks; run again, saved, handed on.

use crate::market::beside;
use crate::market::spec::ModelSource;
use crate::session::commands::scenarios::Entry;
use crate::session::commands::{ScenarioCommand, ViewCommand};
use crate::session::{Command, Purpose};
use crate::ui::dialogs::{DialogKind, DialogRequest};
use crate::ui::{PanelContext, widgets};
use egui::{Grid, RichText, ScrollArea, TextEdit, Ui};
use std::path::PathBuf;

/// What is typed.
#[derive(Default)]
pub struct ScenariosView {
    name: String,
    path: String,
    /// Number of the scenario that is open.
    opened: Option<u64>,
    seeds: String,
    by: String,
    remark: String,
}

impl ScenariosView {
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let busy = cx.session.jobs.of(Purpose::Scenario).is_some();
        self.bring_in(ui, cx, busy);
        let entries = &cx.session.store.scenarios.entries;
        if entries.is_empty() {
            ui.add_space(6.0);
            ui.label(
                "A kept scenario is a file: what was simulated, on which log and model, what came of it with each seed, and \
                 what people said of it. Two or more are compared here.",
            );
            if cx.session.store.market.result.is_none() && ui.button("Go to Slots").clicked() {
                cx.send(Command::View(ViewCommand::Show("slots")));
            }
            return;
        }
        ui.add_space(6.0);
        side_by_side(ui, entries);
        ui.add_space(6.0);
        ui.horizontal_wrapped(|ui| {
            for entry in entries {
                let name = if entry.unsaved {
                    format!("{} (unsaved)", entry.kept.name)
                } else {
                    entry.kept.name.clone()
                };
                let chosen = self.opened.or(entries.first().map(|first| first.number)) == Some(entry.number);
                if ui.selectable_label(chosen, name).clicked() {
                    self.opened = Some(entry.number);
                }
            }
        });
        let opened = entries.iter().find(|entry| Some(entry.number) == self.opened).or(entries.first());
        let asked = opened.and_then(|entry| self.one(ui, cx, entry, busy));
        if let Some(command) = asked {
            cx.send(Command::Scenario(command));
        }
    }

    /// Keeping the last simulation, and opening files.
    fn bring_in(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, busy: bool) {
        let count = cx.session.store.scenarios.entries.len();
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Name");
            let usual = format!("scenario {}", count + 1);
            ui.add(TextEdit::singleline(&mut self.name).desired_width(140.0).hint_text(&usual))
                .labelled_by(label.id);
            let can = !busy && cx.session.store.market.result.is_some();
            let button = egui::Button::new("Keep the last simulation");
            if ui.add_enabled(can, button).on_disabled_hover_text("Run the market in Slots first").clicked() {
                let name = if self.name.trim().is_empty() { usual } else { std::mem::take(&mut self.name) };
                cx.send(Command::Scenario(ScenarioCommand::Keep(name)));
            }
            ui.separator();
            if ui.button("Open a scenario …").clicked() {
                cx.ask(DialogRequest::open(DialogKind::OpenFile, "Open a scenario", open));
            }
            let label = ui.label("or path");
            ui.add(TextEdit::singleline(&mut self.path).desired_width(170.0)).labelled_by(label.id);
            let named = !self.path.trim().is_empty();
            if ui.add_enabled(named, egui::Button::new("Open it")).clicked() {
                cx.send(open(PathBuf::from(self.path.trim())));
            }
            if busy {
                ui.spinner();
            }
        });
    }

    /// The scenario that is open; what was asked of it.
    fn one(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        entry: &Entry,
        busy: bool,
    ) -> Option<ScenarioCommand> {
        let (number, kept, mut asked) = (entry.number, &entry.kept, None);
        ui.separator();
        ui.strong(&kept.name);
        let place = entry
            .file
            .as_ref()
            .map_or_else(|| "in no file yet".to_owned(), |file| file.display().to_string());
        ui.weak(format!(
            "{place}; {} requests a run; adloupe {}",
            widgets::grouped(kept.spec.requests as f64),
            kept.software
        ));
        ui.horizontal_wrapped(|ui| {
            if ui.button("Save …").clicked() {
                let file = format!("{}.scenario.json", kept.name.replace(['/', '\\'], "_"));
                cx.ask(DialogRequest::save("Save the scenario", file, move |path| {
                    Command::Scenario(ScenarioCommand::Save(number, path))
                }));
            }
            let named = !self.path.trim().is_empty();
            let hint = "Writes it to the path above";
            if ui.add_enabled(named, egui::Button::new("Save at the path")).on_hover_text(hint).clicked() {
                asked = Some(ScenarioCommand::Save(number, PathBuf::from(self.path.trim())));
            }
            let hint = "The spec and a table of all figures, each with the command that gives them";
            if ui.button("Export …").on_hover_text(hint).clicked() {
                cx.ask(DialogRequest::open(
                    DialogKind::OpenFolder,
                    "A folder for the spec and the table",
                    move |path| Command::Scenario(ScenarioCommand::Export(number, path)),
                ));
            }
            ui.separator();
            let label = ui.label("Seeds");
            ui.add(TextEdit::singleline(&mut self.seeds).desired_width(80.0).hint_text("1,2,5-9"))
                .labelled_by(label.id);
            let seeds = !busy && !self.seeds.trim().is_empty();
            if ui.add_enabled(seeds, egui::Button::new("Run with these")).clicked() {
                asked = Some(ScenarioCommand::Rerun(number, self.seeds.clone()));
            }
            let hint = "Opens log and model again and runs every kept seed";
            if ui.add_enabled(!busy, egui::Button::new("Same figures?")).on_hover_text(hint).clicked() {
                asked = Some(ScenarioCommand::Check(number));
            }
            ui.separator();
            if ui.button("Put away").on_hover_text("Its file stays").clicked() {
                asked = Some(ScenarioCommand::Drop(number));
            }
        });
        if matches!(kept.spec.model, ModelSource::Train { .. }) {
            ui.weak("Its model is in no folder: wherever it is run, the model is trained anew. Save the model first to keep this very one.");
        }
        if let Some(checked) = &entry.checked {
            let others: Vec<String> =
                checked.iter().filter(|(_, same)| !same).map(|(seed, _)| seed.to_string()).collect();
            if others.is_empty() {
                ui.label(format!("All {} runs came out the very same.", checked.len()));
            } else {
                let words = format!(
                    "Other figures with seed {}: the program, the processor or the training differs.",
                    others.join(", ")
                );
                ui.label(RichText::new(words).color(cx.theme.warn));
            }
        }
        self.remarks(ui, entry).or(asked)
    }

    fn remarks(&mut self, ui: &mut Ui, entry: &Entry) -> Option<ScenarioCommand> {
        for remark in &entry.kept.remarks {
            ui.horizontal_wrapped(|ui| {
                ui.weak(format!("{} ({} UTC)", remark.by, remark.at));
                ui.label(&remark.text);
            });
        }
        let mut asked = None;
        ui.horizontal(|ui| {
            let label = ui.label("Your name");
            ui.add(TextEdit::singleline(&mut self.by).desired_width(110.0)).labelled_by(label.id);
            let label = ui.label("Remark");
            ui.add(TextEdit::singleline(&mut self.remark).desired_width(360.0)).labelled_by(label.id);
            let whole = !self.by.trim().is_empty() && !self.remark.trim().is_empty();
            if ui.add_enabled(whole, egui::Button::new("Add the remark")).clicked() {
                let text = std::mem::take(&mut self.remark);
                asked = Some(ScenarioCommand::Remark(entry.number, self.by.clone(), text));
            }
        });
        asked
    }
}

fn open(path: PathBuf) -> Command {
    Command::Scenario(ScenarioCommand::Open(path))
}

/// All scenarios in one table.
fn side_by_side(ui: &mut Ui, entries: &[Entry]) {
    let kept: Vec<_> = entries.iter().map(|entry| &*entry.kept).collect();
    let heads = [
        "scenario",
        "world",
        "seeds",
        "impressions",
        "clicks",
        "CTR % (95 %)",
        "revenue per 1000 (95 %)",
        "against the first: CTR points",
        "revenue per 1000",
    ];
    ScrollArea::horizontal().id_salt("scenario table").show(ui, |ui| {
        Grid::new("scenarios").num_columns(heads.len()).striped(true).spacing([14.0, 3.0]).show(ui, |ui| {
            heads.iter().for_each(|head| drop(ui.weak(*head)));
            ui.end_row();
            for line in beside::compare(&kept) {
                ui.label(&line.scenario);
                ui.label(line.world);
                ui.label(line.seeds.len().to_string());
                ui.label(widgets::grouped(line.impressions.round()));
                ui.label(widgets::grouped(line.clicks.round()));
                let [value, low, high] =
                    [line.ctr.value, line.ctr.low, line.ctr.high].map(|share| 100.0 * share);
                ui.label(format!("{value:.2} ({low:.2} to {high:.2})"));
                ui.label(line.revenue_per_mille.in_words(2));
                let told = |scale: f64, estimate: crate::metrics::Estimate| {
                    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(|n| scale * n);
                    format!("{value:+.2} ({low:+.2} to {high:+.2})")
                };
                if let Some(against) = line.against_first {
                    let hint = format!("On {} seeds that both were run with", against.seeds);
                    ui.label(told(100.0, against.ctr)).on_hover_text(&hint);
                    ui.label(told(1.0, against.revenue_per_mille)).on_hover_text(hint);
                }
                ui.end_row();
            }
        });
    });
    ui.weak(
        "Several seeds: means, with Student's interval over the seeds. One seed: the run's own interval.",
    );
}
