//! What is learnt in one pass over the log, and when did the log change?

use crate::base::params::Params;
use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::train::online::ONLINE_PARAMS;
use crate::train::online::progress::{Alarm, Progress};
use crate::ui::charts::{self, Series, curve};
use crate::ui::{PanelContext, form, widgets};
use egui::Ui;
use std::path::PathBuf;

const CURVE_HEIGHT: f32 = 150.0;
const TABLE_HEIGHT: f32 = 140.0;

/// The knobs of the learner, and where it is saved.
pub(super) struct OnlineView {
    params: Params,
    folder: String,
}

impl Default for OnlineView {
    fn default() -> Self {
        Self { params: Params::defaults(ONLINE_PARAMS), folder: String::new() }
    }
}

impl OnlineView {
    pub(super) fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.label("One pass over all rows in their order; each row is scored before it is learnt from.");
        ui.add_space(4.0);
        egui::CollapsingHeader::new("Online learner").default_open(true).show(ui, |ui| {
            form::params_form(ui, "online knobs", ONLINE_PARAMS, &mut self.params);
        });
        let running = cx.session.jobs.of(Purpose::LearnOnline).is_some();
        if running {
            if ui.button("Stop learning").on_hover_text("What was learnt so far stays").clicked() {
                cx.send(Command::Train(TrainCommand::StopOnline));
            }
        } else if cx.session.store.log.is_none() {
            ui.colored_label(cx.theme.warn, "No log is open to learn from.");
        } else if widgets::main_button(ui, cx.theme, "Learn online").clicked() {
            cx.send(Command::Train(TrainCommand::LearnOnline(self.params.clone())));
        }
        ui.add_space(6.0);
        let learnt = cx.session.store.training.online.clone();
        let live = cx.session.store.training.online_live.get();
        let progress = live.as_deref().or_else(|| learnt.as_deref().map(|learnt| &learnt.learner.progress));
        let Some(progress) = progress else {
            ui.weak("Nothing was learnt online in this run.");
            return;
        };
        let speed = learnt.as_ref().filter(|_| !running).map(|learnt| learnt.speed);
        cards(ui, cx, progress, speed);
        notes(ui, cx, progress, !running && learnt.as_ref().is_some_and(|learnt| learnt.stopped));
        curves(ui, cx, progress);
        alarms(ui, &progress.alarms);
        if learnt.is_some() && !running {
            self.save(ui, cx);
        }
    }

    fn save(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.horizontal(|ui| {
            let label = ui.label("Learner folder");
            ui.add(egui::TextEdit::singleline(&mut self.folder).desired_width(220.0)).labelled_by(label.id);
            let folder = self.folder.trim();
            let save = ui.add_enabled(!folder.is_empty(), egui::Button::new("Save learner"));
            if save.on_hover_text("adloupe online FILE --from FOLDER goes on with it").clicked() {
                cx.send(Command::Train(TrainCommand::SaveOnline(PathBuf::from(folder))));
            }
        });
    }
}

fn cards(ui: &mut Ui, cx: &PanelContext<'_>, progress: &Progress, speed: Option<f64>) {
    ui.horizontal_wrapped(|ui| {
        let mut card = |caption: &str, value: &str, below: &str| {
            widgets::metric_card(ui, cx.theme, caption, value, below);
        };
        let n = widgets::grouped(progress.whole.rows as f64);
        let clicks = widgets::percent_with_interval(&progress.rate());
        card("rows", &n, &clicks);
        if let Some(loss) = progress.log_loss() {
            card(
                "log loss",
                &charts::short(loss.value),
                &format!("{:.4} to {:.4}, n {n}", loss.low, loss.high),
            );
        }
        let entropy = progress.whole.normalized_entropy().map_or("one class".to_owned(), charts::short);
        card("norm. entropy", &entropy, "below 1 beats the click rate");
        let (auc, below) = match progress.auc() {
            Some((auc, error)) => (charts::short(auc), format!("within {error:.4} of the exact one")),
            None => ("one class".to_owned(), "cannot be measured".to_owned()),
        };
        card("AUC", &auc, &below);
        let ratio = progress.whole.predicted_over_actual().map_or("no click".to_owned(), charts::short);
        card("pred./actual", &ratio, "over all rows");
        if let Some(speed) = speed {
            card("examples/s", &widgets::grouped(speed), "reading left out");
        }
    });
}

fn notes(ui: &mut Ui, cx: &PanelContext<'_>, progress: &Progress, stopped: bool) {
    if stopped {
        ui.weak("It was stopped before the last row.");
    }
    if progress.back_in_time > 0 {
        let rows = widgets::grouped(progress.back_in_time as f64);
        let words =
            format!("{rows} rows are older than a row before them: the log is not in the order of time.");
        ui.colored_label(cx.theme.warn, words);
    }
    if progress.without_outcome > 0 {
        let rows = widgets::grouped(progress.without_outcome as f64);
        ui.weak(format!("{rows} rows without an outcome taught nothing."));
    }
}

fn curves(ui: &mut Ui, cx: &PanelContext<'_>, progress: &Progress) {
    let (mut rows, mut losses, mut ratios) = (0.0, Vec::new(), Vec::new());
    for stretch in &progress.curve {
        rows += stretch.rows as f64;
        losses.push([rows, stretch.log_loss()]);
        ratios.extend(stretch.predicted_over_actual().map(|ratio| [rows, ratio]));
    }
    let length = progress.curve.first().map_or(0, |stretch| stretch.rows);
    let frame = |name, y| charts::Frame { name, x: "rows", y, height: CURVE_HEIGHT };
    let top = curve::LegendCorner::RightTop;
    let name = format!("each {} rows", widgets::grouped(length as f64));
    ui.columns(2, |columns| {
        for ((column, points), (title, y, place)) in columns
            .iter_mut()
            .zip([&losses, &ratios])
            .zip([("Log loss before learning", "log loss (nats)", 0), ("Predicted over actual", "ratio", 1)])
        {
            let line = Series { name: &name, points, colour: cx.theme.series(place), dashed: false };
            curve::show(column, cx.theme, frame(title, y), top, &[line]);
        }
    });
}

fn alarms(ui: &mut Ui, alarms: &[Alarm]) {
    ui.strong("Changes of the log");
    if alarms.is_empty() {
        ui.weak("None found by ADWIN or Page-Hinkley, in blocks of 128 rows.");
        return;
    }
    let heads =
        [("row", 90.0), ("when", 150.0), ("found by", 100.0), ("of", 150.0), ("from", 70.0), ("to", 70.0)];
    widgets::data_table(ui, "alarms", &heads, alarms.len(), TABLE_HEIGHT, |ui, row, column| {
        let alarm = &alarms[row];
        ui.label(match column {
            0 => widgets::grouped(alarm.row as f64),
            1 => alarm.time.map_or_else(String::new, widgets::moment),
            2 => alarm.detector.clone(),
            3 => alarm.of.clone(),
            4 => charts::short(alarm.from_to[0]),
            _ => charts::short(alarm.from_to[1]),
        });
    });
}
