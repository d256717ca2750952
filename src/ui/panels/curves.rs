//! Are the model's probabilities right, on rows that it has not seen?

use super::Panel;
use crate::data::Split;
use crate::insight::Evaluation;
use crate::insight::evaluation::{ScoreGroup, Scores};
use crate::metrics::Estimate;
use crate::session::commands::ViewCommand;
use crate::session::commands::inspect::{InspectCommand, model_in_view};
use crate::session::{Command, Purpose};
use crate::tasks::evaluate::Evaluated;
use crate::ui::charts::{self, Series, bars, curve, histogram, reliability};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Height of each chart.
const CHART_HEIGHT: f32 = 250.0;

/// Numbers and curves of the model in view.
#[derive(Debug, Default)]
pub struct CurvesPanel;

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
        let Some(model) = model_in_view(cx.session) else {
            if widgets::empty_state(ui, cx.theme, "There is no model to judge yet.", "Train a model") {
                cx.send(Command::View(ViewCommand::Show("training")));
            }
            return;
        };
        let running = cx.session.jobs.of(Purpose::Evaluate).is_some();
        match cx.session.store.inspect.evaluated.clone() {
            Some(evaluated) => {
                let current = Arc::ptr_eq(model, &evaluated.model);
                controls(ui, cx, &evaluated, current, running);
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    show(ui, cx.theme, &evaluated.evaluation);
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
        if ui.small_button("all of them").clicked() {
            cx.send(Command::Inspect(InspectCommand::Evaluate(shown.split, String::new())));
        }
    }
    let chosen = cx.session.store.chosen.as_ref().map(ToString::to_string);
    if let Some(chosen) = chosen.filter(|chosen| *chosen != judged)
        && ui.small_button("Only the chosen group").on_hover_text(&chosen).clicked()
    {
        cx.send(Command::Inspect(InspectCommand::Evaluate(shown.split, chosen)));
    }
}

fn show(ui: &mut Ui, theme: &Theme, evaluation: &Evaluation) {
    cards(ui, theme, evaluation);
    ui.add_space(8.0);
    let curves = &evaluation.curves;
    ui.columns(2, |columns| {
        roc(&mut columns[0], theme, evaluation);
        let line = Series {
            name: "model",
            points: &curves.precision_recall,
            colour: theme.series(0),
            dashed: false,
        };
        let rate = evaluation.clicks.rate;
        let base = [[0.0, rate], [1.0, rate]];
        let constant = Series { name: "click rate", points: &base, colour: theme.weak_text, dashed: true };
        let frame =
            charts::Frame { name: "Precision and recall", x: "recall", y: "precision", height: CHART_HEIGHT };
        titled(&mut columns[1], frame.name, |ui| {
            curve::show_unit(ui, theme, frame, curve::LegendCorner::RightTop, &[line, constant]);
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
            reliability::show(ui, theme, frame, &evaluation.reliability);
        });
        gain(&mut columns[1], theme, evaluation);
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

fn roc(ui: &mut Ui, theme: &Theme, evaluation: &Evaluation) {
    let curves = &evaluation.curves;
    let diagonal = [[0.0, 0.0], [1.0, 1.0]];
    let mut lines =
        vec![Series { name: "model", points: &curves.roc, colour: theme.series(0), dashed: false }];
    if !curves.roc_of_truth.is_empty() {
        let points = &curves.roc_of_truth;
        lines.push(Series { name: "true probabilities", points, colour: theme.series(1), dashed: true });
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

fn gain(ui: &mut Ui, theme: &Theme, evaluation: &Evaluation) {
    let diagonal = [[0.0, 0.0], [1.0, 1.0]];
    let points = &evaluation.curves.cumulative_gain;
    let lines = [
        Series { name: "best scores first", points, colour: theme.series(0), dashed: false },
        Series { name: "any order", points: &diagonal, colour: theme.weak_text, dashed: true },
    ];
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
