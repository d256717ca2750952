//! Are the model's probabilities right, on rows that it has not seen?

mod by_column;
mod field;
mod report;
mod threshold;

use super::{Panel, model_or_offer};
use crate::data::Split;
use crate::insight::Evaluation;
use crate::insight::evaluation::{BeforeCalibration, Curves, ScoreGroup, Scores};
use crate::metrics::{Estimate, Measures};
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::evaluate::{Beside, Evaluated};
use crate::ui::charts::{self, Series, bars, curve, histogram, reliability};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Height of each chart.
const CHART_HEIGHT: f32 = 250.0;

/// Numbers and curves of the model in view.
#[derive(Debug, Default)]
pub struct CurvesPanel {
    /// Draws the other models of the list as well.
    beside: bool,
    /// For which rows the others were last asked, beside which model, and how many there were.
    asked: Option<(Split, String, usize, usize)>,
    threshold: threshold::Explorer,
    columns: by_column::Columns,
    field: field::Field,
    report: report::Report,
}

impl Panel for CurvesPanel {
    fn id(&self) -> &'static str {
        "curves"
    }

    fn title(&self) -> &'static str {
        "Curves"
    }

    fn summary(&self) -> &'static str {
        "How good the model's probabilities are on rows it has not seen"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(model) = model_or_offer(ui, cx, "There is no model to judge yet.") else { return };
        let running = cx.session.jobs.of(Purpose::Evaluate).is_some();
        match cx.session.store.inspect.evaluated.clone() {
            Some(evaluated) => {
                let current = Arc::ptr_eq(&model, &evaluated.model);
                controls(ui, cx, &evaluated, current, running);
                let beside = self.others(ui, cx, &evaluated);
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    ui.set_max_width(ui.available_width() - 12.0);
                    show(ui, cx.theme, &evaluated, &beside);
                    self.threshold.ui(ui, cx.theme, &evaluated.evaluation);
                    self.columns.ui(ui, cx, &evaluated, self.beside);
                    ui.add_space(8.0);
                    self.field.ui(ui, cx, &evaluated);
                });
            }
            None if running => {
                ui.weak("Scoring the rows …");
            }
            None => {
                let why = "The model has not been judged on its test rows yet.";
                if widgets::empty_state(ui, cx.theme, why, "Evaluate the model") {
                    cx.send(Command::Inspect(InspectCommand::Evaluate(Split::Test, String::new())));
                }
            }
        }
    }
}

/// A model that is drawn beside the one in view.
struct Other<'a> {
    kind: &'a str,
    evaluation: &'a Evaluation,
}

impl CurvesPanel {
    /// Offers the other models of the list; answers with those that were judged on the same rows.
    fn others(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, shown: &Evaluated) -> Vec<Arc<Beside>> {
        let models = cx.session.store.training.models.len();
        ui.horizontal(|ui| {
            if models > 1 {
                ui.checkbox(&mut self.beside, "the other models as well")
                    .on_hover_text("Draws every model of the list on the same rows");
            }
            let column = self.columns.chosen().map(str::to_owned);
            self.report.menu(ui, cx, column.as_deref(), self.beside && models > 1);
        });
        if models < 2 || !self.beside {
            return Vec::new();
        }
        let model = Arc::as_ptr(&shown.model).addr();
        let asked = (shown.split, shown.segment.to_string(), model, models);
        let known = cx.session.store.inspect.beside.clone();
        let lost = known.is_none() && cx.session.jobs.of(Purpose::Beside).is_none();
        if self.asked.as_ref() != Some(&asked) || lost {
            cx.send(Command::Inspect(InspectCommand::EvaluateBeside(asked.0, asked.1.clone())));
            self.asked = Some(asked);
        }
        let known = known.filter(|known| known.split == shown.split && known.segment == shown.segment);
        match &known {
            None => drop(ui.weak("scoring …")),
            Some(known) => {
                for (model, found) in &known.models {
                    if let Err(failure) = found {
                        ui.weak(format!("{} is left out: {}", model.kind, failure.why));
                    }
                }
            }
        }
        known.into_iter().collect()
    }
}

/// Which model and rows the numbers are about, and the other parts of the log.
fn controls(ui: &mut Ui, cx: &mut PanelContext<'_>, shown: &Evaluated, current: bool, running: bool) {
    let group = shown.segment.to_string();
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(&shown.model.kind).strong());
        ui.label("on");
        for (split, word, help) in [
            (Split::Test, "test rows", "The latest rows, never seen in training"),
            (Split::Validation, "validation rows", "The rows that decided when training stopped"),
            (Split::Train, "training rows", "The rows that the weights were fitted on: flattering"),
        ] {
            let button = egui::Button::selectable(shown.split == split, word);
            if ui.add(button).on_hover_text(help).clicked() {
                cx.send(Command::Inspect(InspectCommand::Evaluate(split, group.clone())));
            }
        }
        of_group(ui, cx, shown);
        if running {
            ui.weak("scoring …");
        } else if !current {
            ui.colored_label(cx.theme.warn, "of an earlier model");
            if ui.button("Evaluate the present one").clicked() {
                cx.send(Command::Inspect(InspectCommand::Evaluate(shown.split, group)));
            }
        }
    });
    ui.add_space(4.0);
}

/// Offers the rows of the chosen group alone, and all again.
fn of_group(ui: &mut Ui, cx: &mut PanelContext<'_>, shown: &Evaluated) {
    let judged = shown.segment.to_string();
    if !judged.is_empty() {
        ui.colored_label(cx.theme.accent, format!("where {judged}"));
        if widgets::small_button(ui, "all of them").clicked() {
            cx.send(Command::Inspect(InspectCommand::Evaluate(shown.split, String::new())));
        }
    }
    let chosen = cx.session.store.chosen.as_ref().map(ToString::to_string);
    if let Some(chosen) = chosen.filter(|chosen| *chosen != judged)
        && widgets::small_button(ui, "Only the chosen group").on_hover_text(&chosen).clicked()
    {
        cx.send(Command::Inspect(InspectCommand::Evaluate(shown.split, chosen)));
    }
}

fn show(ui: &mut Ui, theme: &Theme, evaluated: &Evaluated, beside: &[Arc<Beside>]) {
    let evaluation = &evaluated.evaluation;
    cards(ui, theme, evaluation);
    ui.add_space(8.0);
    let judged = beside.iter().flat_map(|beside| &beside.models);
    let others: Vec<Other<'_>> = judged
        .filter(|(model, _)| !Arc::ptr_eq(model, &evaluated.model))
        .filter_map(|(model, found)| Some(Other { kind: &model.kind, evaluation: found.as_ref().ok()? }))
        .collect();
    if let Some(before) = &evaluated.before {
        ui.weak(before_words(before));
    }
    compared(ui, theme, &evaluated.model.kind, evaluation, &others);
    ui.columns(2, |columns| {
        let model = Named { kind: &evaluated.model.kind, evaluation, others: &others };
        roc(&mut columns[0], theme, model);
        let mut lines = model.lines(theme, |curves| &curves.precision_recall);
        let rate = evaluation.clicks.rate;
        let base = [[0.0, rate], [1.0, rate]];
        lines.push(Series { name: "click rate", points: &base, colour: theme.weak_text, dashed: true });
        let frame =
            charts::Frame { name: "Precision and recall", x: "recall", y: "precision", height: CHART_HEIGHT };
        titled(&mut columns[1], frame.name, |ui| {
            curve::show_unit(ui, theme, frame, curve::LegendCorner::RightTop, &lines);
        });
    });
    ui.columns(2, |columns| {
        let frame = charts::Frame {
            name: "Reliability",
            x: "predicted click rate",
            y: "actual click rate",
            height: CHART_HEIGHT,
        };
        titled(&mut columns[0], frame.name, |ui| {
            let mut others: Vec<_> =
                others.iter().map(|other| (other.kind, other.evaluation.reliability.as_slice())).collect();
            if let Some(before) = &evaluated.before {
                others.push(("before calibration", before.reliability.as_slice()));
            }
            reliability::show(ui, theme, frame, (&evaluated.model.kind, &evaluation.reliability), &others);
        });
        gain(&mut columns[1], theme, Named { kind: &evaluated.model.kind, evaluation, others: &others });
    });
    ui.columns(2, |columns| {
        deciles(&mut columns[0], theme, evaluation);
        let spread = &evaluation.histogram;
        let frame = charts::Frame {
            name: "Predictions",
            x: "predicted click rate",
            y: "impressions",
            height: CHART_HEIGHT,
        };
        titled(&mut columns[1], frame.name, |ui| {
            histogram::show(ui, theme, frame, &spread.edges, &spread.counts, theme.series(0));
        });
    });
}

/// What calibration changed: the numbers before it.
fn before_words(before: &BeforeCalibration) -> String {
    let Measures { log_loss, normalized_entropy, ece, predicted_over_actual, .. } = before.measures;
    format!(
        "Before calibration: log loss {}, normalised entropy {}, calibration error {}, predicted / actual {}.",
        Estimate::known_in_words(log_loss, 4),
        Estimate::known_in_words(normalized_entropy, 4),
        Estimate::known_in_words(ece, 4),
        Estimate::known_in_words(predicted_over_actual, 3)
    )
}

/// The model in view with those that are drawn beside it.
#[derive(Clone, Copy)]
struct Named<'a> {
    kind: &'a str,
    evaluation: &'a Evaluation,
    others: &'a [Other<'a>],
}

impl<'a> Named<'a> {
    /// A line of each model.
    fn lines(&self, theme: &Theme, of: impl Fn(&'a Curves) -> &'a Vec<[f64; 2]>) -> Vec<Series<'a>> {
        let all = std::iter::once((self.kind, self.evaluation))
            .chain(self.others.iter().map(|other| (other.kind, other.evaluation)));
        let line = |(place, (name, evaluation)): (usize, (&'a str, &'a Evaluation))| Series {
            name,
            points: of(&evaluation.curves),
            colour: theme.series(place),
            dashed: false,
        };
        all.enumerate().map(line).collect()
    }
}

/// The headline numbers of all models, where there are several.
fn compared(ui: &mut Ui, theme: &Theme, kind: &str, evaluation: &Evaluation, others: &[Other<'_>]) {
    if others.is_empty() {
        return;
    }
    egui::Grid::new("compared curves").num_columns(5).striped(true).spacing([18.0, 4.0]).show(ui, |ui| {
        for title in ["", "AUC, 95 %", "log loss, 95 %", "predicted / actual, 95 %", "average precision"] {
            ui.strong(title);
        }
        ui.end_row();
        let own = Other { kind, evaluation };
        for (place, other) in std::iter::once(&own).chain(others).enumerate() {
            let scores = &other.evaluation.scores;
            let words = |known| Estimate::known_in_words(known, 4);
            ui.colored_label(theme.series(place), other.kind);
            ui.label(words(Some(scores.auc)));
            ui.label(words(scores.measures.log_loss));
            ui.label(words(scores.measures.predicted_over_actual));
            ui.label(format!("{:.4}", scores.average_precision));
            ui.end_row();
        }
    });
    ui.weak("Training > Compare and Leaderboard tell whether differences are more than chance (paired).");
    ui.add_space(8.0);
}

fn titled(ui: &mut Ui, title: &str, draw: impl FnOnce(&mut Ui)) {
    ui.label(RichText::new(title).strong());
    draw(ui);
    ui.add_space(8.0);
}

fn cards(ui: &mut Ui, theme: &Theme, evaluation: &Evaluation) {
    let Scores { measures, auc, auc_of_truth, average_precision, log_loss_of_truth } = evaluation.scores;
    let interval = |estimate: Estimate| format!("95 %: {:.4} to {:.4}", estimate.low, estimate.high);
    let truth =
        |of_truth: Option<f64>| of_truth.map_or_else(String::new, |truth| format!("; truth {truth:.4}"));
    ui.horizontal_wrapped(|ui| {
        let mut card = |caption: &str, value: Option<Estimate>, more: String| {
            let (value, below) = value.map_or_else(
                || ("unknown".to_owned(), "these rows cannot tell".to_owned()),
                |known| (format!("{:.4}", known.value), interval(known) + &more),
            );
            widgets::metric_card(ui, theme, caption, &value, &below);
        };
        let binned = match measures.auc_error {
            0.0 => String::new(),
            error => format!("; in bins, off by {error:.0e} at most"),
        };
        card("AUC", Some(auc), truth(auc_of_truth.map(|truth| truth.value)) + &binned);
        let users = measures.users_ranked + measures.users_one_class;
        if users > 0 {
            let users = format!("; {} of {} users", measures.users_ranked, users);
            card("AUC within users", measures.gauc, users);
        }
        card("Log loss", measures.log_loss, truth(log_loss_of_truth));
        card("Normalised entropy", measures.normalized_entropy, "; a constant has 1".to_owned());
        card("Calibration error", measures.ece, "; 20 groups".to_owned());
        card("Predicted / actual", measures.predicted_over_actual, String::new());
        let constant = format!("a constant has {:.4}", evaluation.clicks.rate);
        widgets::metric_card(ui, theme, "Average precision", &format!("{average_precision:.4}"), &constant);
        widgets::metric_card(
            ui,
            theme,
            "Rows",
            &widgets::grouped(evaluation.rows as f64),
            &format!("CTR {}", widgets::percent_with_interval(&evaluation.clicks)),
        );
    });
}

fn roc(ui: &mut Ui, theme: &Theme, model: Named<'_>) {
    let diagonal = [[0.0, 0.0], [1.0, 1.0]];
    let mut lines = model.lines(theme, |curves| &curves.roc);
    let points = &model.evaluation.curves.roc_of_truth;
    if !points.is_empty() {
        let colour = theme.series(lines.len());
        lines.push(Series { name: "true probabilities", points, colour, dashed: true });
    }
    lines.push(Series { name: "chance", points: &diagonal, colour: theme.weak_text, dashed: true });
    let frame = charts::Frame {
        name: "ROC",
        x: "false positive rate",
        y: "true positive rate",
        height: CHART_HEIGHT,
    };
    titled(ui, frame.name, |ui| {
        curve::show_unit(ui, theme, frame, curve::LegendCorner::RightBottom, &lines);
    });
}

fn gain(ui: &mut Ui, theme: &Theme, model: Named<'_>) {
    let diagonal = [[0.0, 0.0], [1.0, 1.0]];
    let mut lines = model.lines(theme, |curves| &curves.cumulative_gain);
    lines.push(Series { name: "any order", points: &diagonal, colour: theme.weak_text, dashed: true });
    let frame = charts::Frame {
        name: "Cumulative gain",
        x: "share of impressions",
        y: "share of clicks",
        height: CHART_HEIGHT,
    };
    titled(ui, frame.name, |ui| {
        curve::show_unit(ui, theme, frame, curve::LegendCorner::RightBottom, &lines);
    });
}

/// Click rate by tenth of the scores, highest first, with lift.
fn deciles(ui: &mut Ui, theme: &Theme, evaluation: &Evaluation) {
    let count = evaluation.deciles.len();
    let row = |(place, group): (usize, &ScoreGroup)| bars::Row {
        name: match count - place {
            1 => "highest scores".to_owned(),
            n if n == count => "lowest scores".to_owned(),
            n => format!("tenth {n}"),
        },
        value: 100.0 * group.bin.actual.rate,
        interval: Some((100.0 * group.bin.actual.low, 100.0 * group.bin.actual.high)),
        text: format!(
            "{:.2} %  lift {:.2}  n {}",
            100.0 * group.bin.actual.rate,
            group.lift.value,
            widgets::grouped(group.bin.actual.trials)
        ),
    };
    let rows: Vec<bars::Row> = evaluation.deciles.iter().enumerate().rev().map(row).collect();
    let style = bars::BarStyle {
        name: "CTR by score (%)",
        colour: theme.series(2),
        reference: Some(100.0 * evaluation.clicks.rate),
        marked: None,
    };
    titled(ui, style.name, |ui| {
        bars::show(ui, theme, style, &rows);
    });
}
