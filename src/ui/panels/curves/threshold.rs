//! What would showing only from a score on bring? Clicks found, false alarms and profit at any threshold.

use crate::insight::Evaluation;
use crate::metrics::Rate;
use crate::metrics::ranking::Cut;
use crate::metrics::rates::Z_95;
use crate::metrics::threshold::{Economics, confusion};
use crate::ui::charts::{self, bands, curve};
use crate::ui::{Theme, widgets};
use egui::{RichText, Ui};

/// The threshold as it stands on the screen.
#[derive(Debug, Default)]
pub(super) struct Explorer {
    /// Percent; `None` for the most profitable one.
    percent: Option<f64>,
    /// In costs of an impression; `None` where the average row breaks even.
    click_value: Option<f64>,
}

impl Explorer {
    /// Draws the questions, the confusion matrix and the profit curve.
    pub fn ui(&mut self, ui: &mut Ui, theme: &Theme, evaluation: &Evaluation) {
        let cuts = &evaluation.curves.cuts;
        let Some(last) = cuts.last() else { return };
        ui.label(RichText::new("Threshold: show only from a score on").strong());
        let even = 1.0 / evaluation.clicks.rate;
        let economics = Economics { click_value: self.click_value.unwrap_or(even), impression_cost: 1.0 };
        let best = economics.best(cuts).filter(|best| best.is_finite());
        let best_percent = 100.0 * best.unwrap_or(1.0);
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("A click brings").id;
            let mut value = economics.click_value;
            let drag = egui::DragValue::new(&mut value).range(1.0..=100_000.0).speed(0.5).max_decimals(1);
            let help = "In costs of an impression; at first what the average row breaks even at";
            if ui.add(drag).labelled_by(label).on_hover_text(help).changed() {
                self.click_value = Some(value);
            }
            let label = ui.label("impressions' cost; shown from").id;
            let mut percent = self.percent.unwrap_or(best_percent);
            let drag = egui::DragValue::new(&mut percent).range(0.0..=100.0).speed(0.02).max_decimals(3);
            if ui.add(drag.suffix(" %")).labelled_by(label).changed() {
                self.percent = Some(percent);
            }
            let words = format!("most profitable: {best_percent:.2} %");
            if widgets::small_button(ui, words)
                .on_hover_text("On these rows; a calibrated model would say cost over value")
                .clicked()
            {
                self.percent = None;
            }
        });
        let score = self.percent.unwrap_or(best_percent) / 100.0;
        ui.columns(2, |columns| {
            matrix(&mut columns[0], cuts, last, score, economics);
            profit_curve(&mut columns[1], theme, cuts, last, score, economics);
        });
        ui.add_space(8.0);
    }
}

/// The four counts, and what follows from them.
fn matrix(ui: &mut Ui, cuts: &[Cut], last: &Cut, score: f64, economics: Economics) {
    let Some(at) = confusion(cuts, score) else { return };
    let (hits, shown) = (at.precision.successes, at.precision.trials);
    let alarms = shown - hits;
    let count = |n: f64| widgets::grouped(n.round());
    egui::Grid::new("confusion").num_columns(4).striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
        ui.label("");
        for title in ["clicked", "not clicked", "all"] {
            ui.strong(title);
        }
        ui.end_row();
        for (name, clicks, others) in
            [("shown", hits, alarms), ("held back", last.positives - hits, last.negatives - alarms)]
        {
            ui.strong(name);
            ui.label(count(clicks));
            ui.label(count(others));
            ui.label(count(clicks + others));
            ui.end_row();
        }
    });
    ui.add_space(4.0);
    let false_alarms = Rate::wilson(alarms, last.negatives);
    for (name, rate) in [
        ("Precision: clicks of the shown", at.precision),
        ("Recall: shown of the clicks", at.recall),
        ("False alarms: shown of the non-clicks", false_alarms),
        ("Accuracy", at.accuracy),
    ] {
        ui.horizontal(|ui| {
            ui.label(name);
            ui.strong(widgets::percent_with_interval(&rate));
        });
    }
    let [value, low, high] = profit(economics, hits, shown);
    ui.horizontal_wrapped(|ui| {
        ui.label("Profit, in costs of an impression:");
        ui.strong(format!("{value:+.0} ({low:+.0} to {high:+.0})"));
        let all = economics.profit(last.positives, last.positives + last.negatives);
        ui.weak(format!("showing all: {all:+.0}"));
    });
    ui.weak(format!(
        "F1 {:.3}. Of {} thresholds that were kept; 95 % intervals, rows taken as independent.",
        at.f1,
        cuts.len()
    ));
}

/// Profit with its 95 % interval: the clicks among a number of shown impressions are binomial.
fn profit(economics: Economics, clicks: f64, shown: f64) -> [f64; 3] {
    let value = economics.profit(clicks, shown);
    let error = if shown > 0.0 { (clicks * (1.0 - clicks / shown)).max(0.0).sqrt() } else { 0.0 };
    let half = Z_95 * economics.click_value * error;
    [value, value - half, value + half]
}

fn profit_curve(ui: &mut Ui, theme: &Theme, cuts: &[Cut], last: &Cut, score: f64, economics: Economics) {
    let all = last.positives + last.negatives;
    let point = |cut: &Cut| {
        let shown = cut.positives + cut.negatives;
        let [value, low, high] = profit(economics, cut.positives, shown);
        [100.0 * shown / all, value, low, high]
    };
    let mut points = vec![[0.0; 4]];
    points.extend(cuts.iter().map(point));
    let here: Vec<[f64; 4]> =
        cuts.iter().rev().find(|cut| cut.score >= score).map(point).into_iter().collect();
    let frame = charts::Frame {
        name: "Profit",
        x: "share of impressions shown, best scores first (%)",
        y: "profit (costs of an impression)",
        height: super::CHART_HEIGHT,
    };
    let lines = [
        bands::Band { name: "profit".to_owned(), colour: theme.series(0), points },
        bands::Band { name: "the threshold".to_owned(), colour: theme.series(1), points: here },
    ];
    bands::show_numbers(ui, theme, frame, curve::LegendCorner::LeftTop, &lines);
}
