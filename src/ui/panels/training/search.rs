//! Which values of the knobs are best? A plan, the trials as they come, and how values and answers go together.

use super::progress::{unknown, with_interval};
use crate::base::params::{ParamSpec, Params};
use crate::models::ModelKind;
use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::train::search::{Ended, Knob, SearchPlan, SearchState, Status, Strategy};
use crate::train::{TrainSpec, specs_of};
use crate::ui::charts::parallel::{self, Axis, Crossing};
use crate::ui::charts::{self, short};
use crate::ui::{PanelContext, widgets};
use egui::{RichText, Ui};
use std::path::PathBuf;

const PLOT_HEIGHT: f32 = 210.0;
const TABLE_HEIGHT: f32 = 260.0;

/// The plan as it stands on the screen.
#[derive(Debug)]
pub(super) struct Searching {
    /// Names of the knobs that vary, with their values as text.
    over: Vec<(String, String)>,
    strategy: Strategy,
    trials: usize,
    points: usize,
    minutes: f64,
    folder: String,
}

impl Default for Searching {
    fn default() -> Self {
        Self {
            over: vec![("learning_rate".to_owned(), "0.001..0.02".to_owned())],
            strategy: Strategy::Halving,
            trials: 18,
            points: 3,
            minutes: 5.0,
            folder: String::new(),
        }
    }
}

impl Searching {
    /// The plan over the knobs of the form, and the search that runs or ran last.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        kind: &'static dyn ModelKind,
        params: &Params,
    ) {
        let specs = specs_of(kind.id()).unwrap_or_default();
        let plan = self.plan(ui, kind, params, &specs);
        let busy = cx.session.jobs.of(Purpose::Search).is_some();
        ui.horizontal(|ui| {
            if busy {
                if ui.button("Stop the search").on_hover_text("Nothing is lost; it can go on").clicked() {
                    cx.send(Command::Train(TrainCommand::StopSearch));
                }
                ui.spinner();
                return;
            }
            let typed = self.folder.trim();
            let folder = (!typed.is_empty()).then(|| PathBuf::from(typed));
            if cx.session.store.dataset.is_none() {
                ui.colored_label(cx.theme.warn, "No log is encoded for models.");
                return;
            }
            match plan {
                Err(failure) => drop(ui.colored_label(cx.theme.warn, failure.to_string())),
                Ok((plan, state)) => {
                    let words = format!("Search {} trials of {}", state.trials.len(), kind.label());
                    if widgets::main_button(ui, cx.theme, &words).clicked() {
                        let command = TrainCommand::Search(Box::new(plan), self.minutes, folder.clone());
                        cx.send(Command::Train(command));
                    }
                }
            }
            let former = folder.or_else(|| cx.session.store.training.search_folder.clone());
            let hover =
                "Goes on with the search in the folder, or with the last one, for so many minutes more";
            if ui.add_enabled(former.is_some(), egui::Button::new("Go on")).on_hover_text(hover).clicked()
                && let Some(folder) = former
            {
                cx.send(Command::Train(TrainCommand::SearchOn(folder, self.minutes)));
            }
        });
        let training = &cx.session.store.training;
        let Some(state) = training.search_live.get() else {
            ui.weak("Nothing was searched in this run. Trials are judged on the validation rows; the test rows choose nothing.");
            return;
        };
        let ended = training.searched.as_ref().filter(|_| !busy).map(|searched| searched.ended);
        told(ui, cx, &state, ended);
    }

    fn plan(
        &mut self,
        ui: &mut Ui,
        kind: &'static dyn ModelKind,
        params: &Params,
        specs: &[ParamSpec],
    ) -> crate::base::Result<(SearchPlan, SearchState)> {
        self.over.retain(|(id, _)| specs.iter().any(|spec| spec.id == id));
        let mut dropped = None;
        egui::Grid::new("knobs searched").num_columns(3).show(ui, |ui| {
            for (place, (id, values)) in self.over.iter_mut().enumerate() {
                let label = specs.iter().find(|spec| spec.id == id).map_or("", |spec| spec.label);
                let label = ui.label(label).id;
                ui.add(egui::TextEdit::singleline(values).desired_width(180.0))
                    .on_hover_text("low..high, or values with commas between them")
                    .labelled_by(label);
                if widgets::small_button(ui, "✕")
                    .on_hover_text(format!("{id} stays as in the form"))
                    .clicked()
                {
                    dropped = Some(place);
                }
                ui.end_row();
            }
        });
        if let Some(place) = dropped {
            self.over.remove(place);
        }
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Vary").id;
            let mut added = None;
            let menu = egui::ComboBox::from_id_salt("vary a knob").selected_text("another knob …");
            let menu = menu.show_ui(ui, |ui| {
                for spec in specs.iter().filter(|spec| self.over.iter().all(|(id, _)| id != spec.id)) {
                    ui.selectable_value(&mut added, Some(spec), spec.label).on_hover_text(spec.help);
                }
            });
            menu.response.labelled_by(label);
            self.over.extend(added.map(|spec| (spec.id.to_owned(), Knob::usual(spec))));
            for (strategy, word) in Strategy::ALL {
                ui.selectable_value(&mut self.strategy, strategy, word);
            }
            if self.strategy == Strategy::Grid {
                let label = ui.label("values of a range").id;
                ui.add(egui::DragValue::new(&mut self.points).range(2..=50)).labelled_by(label);
            } else {
                let label = ui.label("trials").id;
                ui.add(egui::DragValue::new(&mut self.trials).range(1..=crate::train::search::TRIALS))
                    .labelled_by(label);
            }
            let label = ui.label("minutes").id;
            ui.add(egui::DragValue::new(&mut self.minutes).range(0.1..=10_000.0).speed(0.1))
                .labelled_by(label);
            let label = ui.label("folder").id;
            ui.add(egui::TextEdit::singleline(&mut self.folder).hint_text("a new one").desired_width(160.0))
                .labelled_by(label);
        });
        let over = self.over.iter().map(|(id, values)| Knob::parse(specs, &format!("{id}={values}")));
        let over = over.collect::<crate::base::Result<Vec<_>>>()?;
        let base = TrainSpec { kind: kind.id().to_owned(), params: params.clone(), source: String::new() };
        let plan = SearchPlan {
            base,
            over,
            strategy: self.strategy,
            trials: self.trials,
            points: self.points,
            seed: 1,
        };
        let state = plan.start()?;
        Ok((plan, state))
    }
}

fn told(ui: &mut Ui, cx: &mut PanelContext<'_>, state: &SearchState, ended: Option<Ended>) {
    let statuses = state.statuses();
    let done = statuses.iter().filter(|status| !matches!(status, Status::Waiting | Status::Open)).count();
    ui.horizontal_wrapped(|ui| {
        let words = match ended {
            None => "",
            Some(Ended::Finished) => "; finished",
            Some(Ended::OutOfTime) => "; the time is spent",
            Some(Ended::Stopped) => "; stopped",
        };
        let (all, kind, minutes) = (state.trials.len(), &state.plan.base.kind, state.spent_secs / 60.0);
        ui.label(format!("{done} of {all} trials of {kind} done in {minutes:.1} min{words}."));
        let folder = cx.session.store.training.search_folder.clone();
        if let (Some(folder), Some(best)) = (folder, state.best) {
            let hover = "Puts its model into the list";
            if ui.button(format!("Open the best (trial {})", best + 1)).on_hover_text(hover).clicked() {
                cx.send(Command::Train(TrainCommand::Open(folder.join("best"))));
            }
        }
    });
    plot(ui, cx, state);
    let ranked = state.ranked();
    let mut heads = vec![("trial", 44.0), ("state", 66.0), ("epochs", 50.0)];
    heads.extend([("log loss (95 %)", 165.0), ("AUC (95 %)", 165.0), ("seconds", 60.0)]);
    let fixed = heads.len();
    heads.extend(state.plan.over.iter().map(|knob| (knob.id.as_str(), 110.0)));
    widgets::data_table(ui, "trials", &heads, ranked.len(), TABLE_HEIGHT, |ui, row, column| {
        let place = ranked[row];
        let (trial, numbers) = (&state.trials[place], state.best_epoch(place));
        let text = match column {
            0 => (place + 1).to_string(),
            1 => statuses[place].word().to_owned(),
            2 => trial.epochs.len().to_string(),
            3 => numbers.map_or_else(unknown, |numbers| with_interval(numbers.loss)),
            4 => numbers.map_or_else(unknown, |numbers| with_interval(numbers.auc)),
            5 => short(trial.secs),
            _ => trial.values.get(column - fixed).map_or_else(String::new, ToString::to_string),
        };
        let text = RichText::new(text);
        let text = if state.best == Some(place) { text.color(cx.theme.accent).strong() } else { text };
        let cell = ui.add(egui::Label::new(text).truncate());
        if let Some(why) = &trial.failure {
            cell.on_hover_text(why);
        }
    });
    let n = ranked.first().and_then(|place| state.best_epoch(*place)).map_or(0, |numbers| numbers.rows);
    ui.weak(format!(
        "Each trial's best epoch on {} validation rows; the first is the best by luck too. Its model tells the test rows, \
         which chose nothing.",
        widgets::grouped(n as f64)
    ));
}

/// The values of all trials and what came of them.
fn plot(ui: &mut Ui, cx: &PanelContext<'_>, state: &SearchState) {
    let values: Vec<Option<f64>> =
        (0..state.trials.len()).map(|trial| state.value(trial, u32::MAX)).collect();
    let known = || values.iter().flatten().copied();
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return;
    }
    // What is better stands higher.
    let turned = state.monitor.is_better(0.0, 1.0);
    let share = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        if turned { 1.0 - share } else { share }
    };
    let mut axes: Vec<Axis> =
        state.plan.over.iter().map(|knob| Axis { name: knob.id.clone(), ticks: knob.ticks() }).collect();
    let word = serde_json::to_value(state.monitor).ok();
    let name = word.as_ref().and_then(|word| word.as_str()).unwrap_or("validation").replace('_', " ");
    let ends = [low, high].map(|value| (share(value), short(value)));
    axes.push(Axis { name: format!("{name} (validation)"), ticks: ends.into() });
    let row = |(place, trial): (usize, &crate::train::search::Trial)| {
        let at = values[place].map(share);
        let knobs = state.plan.over.iter().zip(&trial.values);
        Crossing {
            places: knobs.map(|(knob, value)| Some(knob.share(value))).chain([at]).collect(),
            colour: at.map(|at| at as f32),
            is_best: state.best == Some(place),
        }
    };
    let rows: Vec<Crossing> = state.trials.iter().enumerate().map(row).collect();
    let frame = charts::Frame { name: "Trials", x: "knobs", y: &name, height: PLOT_HEIGHT };
    parallel::show(ui, cx.theme, frame, &axes, &rows);
}
