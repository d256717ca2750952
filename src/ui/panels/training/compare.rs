//! Which of the chosen runs is better, and is it more than luck? Curves over each other, paired differences, knobs.

use super::progress::{points, unknown, with_interval};
use crate::insight::comparison::Comparison;
use crate::insight::disagreement::{Disagreement, RowApart};
use crate::metrics::Estimate;
use crate::metrics::paired::UserGain;
use crate::metrics::significance::p_words;
use crate::session::commands::InspectCommand;
use crate::session::commands::train::ModelRun;
use crate::session::{Command, Purpose};
use crate::train::history::EpochRecord;
use crate::ui::charts::{self, Series, curve};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::collections::BTreeSet;
use std::sync::Arc;

const CURVE_HEIGHT: f32 = 140.0;
const TABLE_HEIGHT: f32 = 260.0;
/// Lines drawn over each other at most: more than this no eye can tell apart.
const LINES: usize = 40;

/// Curves at once; the table once it was asked for.
pub(super) fn show(ui: &mut Ui, cx: &mut PanelContext<'_>, chosen: &BTreeSet<usize>) {
    let runs = &cx.session.store.training.models;
    let places: Vec<usize> = chosen.iter().copied().filter(|place| *place < runs.len()).collect();
    if places.len() < 2 {
        ui.weak("Tick two runs or more in the list below: their curves appear here, one over the other.");
        return;
    }
    overlay(ui, cx.theme, runs, &places);
    ui.horizontal(|ui| {
        let busy = cx.session.jobs.of(Purpose::Compare).is_some();
        let words = format!("Compare {} runs on the test rows", places.len());
        if ui.add_enabled(!busy, egui::Button::new(words)).clicked() {
            cx.send(Command::Inspect(InspectCommand::Compare(places.clone())));
        }
        if busy {
            ui.spinner();
        } else {
            ui.weak("Same rows for all; differences are to the first of them, paired.");
        }
    });
    if let Some(compared) = &cx.session.store.inspect.compared {
        let of_chosen = compared.models.len() == places.len()
            && compared
                .models
                .iter()
                .zip(&places)
                .all(|(one, place)| Arc::ptr_eq(&one.model, &runs[*place].model));
        if of_chosen {
            table(ui, cx.theme, compared, &places);
            let first = places.first().map_or(0, |place| place + 1);
            for (one, place) in compared.models.iter().zip(&places) {
                if let Some(apart) = &one.disagreement {
                    different_minds(ui, (first, place + 1), apart);
                }
            }
        }
    }
}

fn overlay(ui: &mut Ui, theme: &Theme, runs: &[ModelRun], places: &[usize]) {
    let shown = &places[..places.len().min(LINES)];
    let names: Vec<String> =
        shown.iter().map(|place| format!("{} {}", place + 1, runs[*place].model.kind)).collect();
    let curves = |number: fn(&EpochRecord) -> Option<Estimate>| -> Vec<Vec<[f64; 2]>> {
        shown.iter().map(|place| points(&runs[*place].model.card.training.history.epochs, number)).collect()
    };
    let (loss, auc) = (curves(|record| record.validation.loss), curves(|record| record.validation.auc));
    let frame = |name, y| charts::Frame { name, x: "epochs", y, height: CURVE_HEIGHT };
    ui.columns(2, |columns| {
        let top = curve::LegendCorner::RightTop;
        curve::show(
            &mut columns[0],
            theme,
            frame("Validation loss of runs", "log loss (nats)"),
            top,
            &lines(theme, &names, &loss),
        );
        let below = curve::LegendCorner::RightBottom;
        curve::show(
            &mut columns[1],
            theme,
            frame("Validation AUC of runs", "AUC"),
            below,
            &lines(theme, &names, &auc),
        );
    });
    if places.len() > LINES {
        ui.weak(format!("The first {LINES} of {} runs are drawn; the table has them all.", places.len()));
    }
}

fn lines<'a>(theme: &Theme, names: &'a [String], curves: &'a [Vec<[f64; 2]>]) -> Vec<Series<'a>> {
    let named = names.iter().zip(curves).enumerate();
    named
        .map(|(place, (name, points))| Series {
            name,
            points,
            colour: theme.series(place),
            dashed: place == 0,
        })
        .collect()
}

fn table(ui: &mut Ui, theme: &Theme, compared: &Comparison, places: &[usize]) {
    let mut heads = vec![
        ("run", 110.0),
        ("AUC (95 %)", 170.0),
        ("difference of AUC", 190.0),
        ("of AUC within users", 190.0),
        ("log loss", 70.0),
        ("difference of log loss", 190.0),
        ("of norm. entropy", 190.0),
        ("of pred./actual", 190.0),
    ];
    let fixed = heads.len();
    heads.extend(compared.knobs.iter().map(|(name, _)| (name.as_str(), 110.0)));
    let rows = compared.models.first().map_or(0, |first| first.measures.rows);
    let count = compared.models.len();
    widgets::data_table(ui, "compared", &heads, count, TABLE_HEIGHT, |ui, row, column| {
        let one = &compared.models[row];
        let differences = &one.differences;
        if column >= fixed {
            let values = &compared.knobs[column - fixed].1;
            let differs = values[row] != values[0];
            let text = RichText::new(&values[row]);
            ui.label(if differs { text.color(theme.accent).strong() } else { text });
            return;
        }
        match column {
            0 => drop(ui.label(format!("{} {}", places[row] + 1, one.model.kind))),
            1 => drop(ui.label(with_interval(one.measures.auc))),
            2 => difference(ui, theme, row, differences.auc, true),
            3 => difference(ui, theme, row, differences.gauc, true),
            4 => drop(ui.label(one.measures.log_loss.map_or_else(unknown, |e| charts::short(e.value)))),
            5 => difference(ui, theme, row, differences.log_loss, false),
            6 => difference(ui, theme, row, differences.normalized_entropy, false),
            _ => drop(ui.label(signed(row, differences.predicted_over_actual))),
        }
    });
    ui.weak(format!(
        "{} test rows. Differences to run {} with 95 % intervals: AUC by DeLong, the others resampled by user where \
         there are users. Coloured where the interval excludes 0. {}",
        widgets::grouped(rows as f64),
        places.first().map_or(0, |place| place + 1),
        match compared.knobs.len() {
            0 => "All settings are the same.".to_owned(),
            knobs => format!("{knobs} settings differ; values unlike the first run's are coloured."),
        }
    ));
}

/// Who is right where two runs differ, and who gains.
fn different_minds(ui: &mut Ui, (first, second): (usize, usize), apart: &Disagreement) {
    let title = format!("Where run {second} and run {first} are of different minds");
    egui::CollapsingHeader::new(title).show(ui, |ui| {
        let right = &apart.right;
        ui.label(format!(
            "Saying click from {:.2} % on (the click rate): both right in {} rows, only run {first} in {}, only run {second} in {}, neither in {}; McNemar {}",
            100.0 * apart.threshold,
            widgets::grouped(right.both as f64),
            widgets::grouped(right.only_first as f64),
            widgets::grouped(right.only_second as f64),
            widgets::grouped(right.neither as f64),
            p_words(right.p),
        ));
        ui.label(format!("Their log odds are {:.3} apart on average.", apart.apart));
        if let Some(users) = &apart.users {
            let gains = &users.gains;
            ui.label(format!(
                "Of {} users {} are predicted better by run {second} (smaller log loss), {} worse; sign test {}",
                widgets::grouped(gains.users as f64),
                widgets::grouped(gains.gain as f64),
                widgets::grouped(gains.lose as f64),
                p_words(gains.p),
            ));
            let named = |names: &[String], of: &[UserGain]| {
                let all = names.iter().zip(of);
                let all: Vec<String> =
                    all.map(|(name, gain)| format!("{name} {:+.2} ({:.0} rows)", gain.saved, gain.impressions)).collect();
                all.join(", ")
            };
            ui.weak(format!("Gain most (nats saved): {}", named(&users.winners, &gains.winners)));
            ui.weak(format!("Lose most: {}", named(&users.losers, &gains.losers)));
        }
        let row = |row: &RowApart| {
            let clicked = if row.label > 0.0 { "clicked" } else { "not clicked" };
            let [first, second] = [(row.first, row.intervals[0]), (row.second, row.intervals[1])]
                .map(|(p, interval)| Estimate::score_in_percent(p, interval, 2));
            format!("row {}: {first} and {second}, {clicked}", row.row + 1)
        };
        let rows: Vec<String> = apart.rows.iter().map(row).collect();
        ui.weak(format!("Furthest apart (run {first} and run {second}): {}", rows.join("; ")));
    });
}

/// A difference, green where it is surely for the better and red where it is surely for the worse.
fn difference(ui: &mut Ui, theme: &Theme, row: usize, estimate: Option<Estimate>, higher_is_better: bool) {
    let text = RichText::new(signed(row, estimate));
    let coloured = match estimate.filter(|estimate| row > 0 && estimate.excludes(0.0)) {
        Some(sure) if (sure.value > 0.0) == higher_is_better => text.color(theme.good),
        Some(_) => text.color(theme.bad),
        None => text,
    };
    ui.label(coloured);
}

fn signed(row: usize, estimate: Option<Estimate>) -> String {
    if row == 0 {
        return "reference".to_owned();
    }
    estimate.map_or_else(unknown, |e| format!("{:+.4} ({:+.4} to {:+.4})", e.value, e.low, e.high))
}
