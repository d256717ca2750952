//! Where does the training stand, and how did it get there? Cards, curves, epochs, layers.

use super::View;
use crate::metrics::Estimate;
use crate::train::history::{EpochRecord, History};
use crate::train::{TrainSnapshot, TrainedModel};
use crate::ui::charts::{self, Series, curve};
use crate::ui::{PanelContext, Theme, widgets};
use egui::Ui;

const CURVE_HEIGHT: f32 = 140.0;
const TABLE_HEIGHT: f32 = 330.0;

/// The training that runs or ran last; without one, how the selected model was trained.
pub(super) fn show(ui: &mut Ui, cx: &PanelContext<'_>, view: View) {
    let training = &cx.session.store.training;
    match (training.live.get(), training.model()) {
        (Some(live), _) => {
            cards(ui, cx.theme, &live);
            history(ui, cx.theme, view, &live.history);
        }
        (None, Some(model)) => {
            past_cards(ui, cx.theme, model);
            history(ui, cx.theme, view, &model.card.training.history);
        }
        (None, None) => {
            ui.weak(format!("Nothing was trained in this run. Device: {}.", super::device_name()));
        }
    }
}

fn cards(ui: &mut Ui, theme: &Theme, live: &TrainSnapshot) {
    ui.horizontal_wrapped(|ui| {
        let mut card = |caption: &str, value: &str, below: &str| {
            widgets::metric_card(ui, theme, caption, value, below);
        };
        card("epochs", &format!("{:.2} of {}", live.epochs_passed, live.epochs), &live.kind);
        card("training loss", &charts::short(live.history.training_loss()), "log loss, smoothed");
        let last = live.history.epochs.last().map(|record| record.validation);
        let rows = last.map_or(0, |validation| validation.rows);
        let (loss, below) = measured(last.and_then(|v| v.loss), rows, "no rows");
        card("validation loss", &loss, &below);
        let (auc, below) = measured(last.and_then(|v| v.auc), rows, "one class");
        card("validation AUC", &auc, &below);
        let below = format!("{}, {} so far", live.device, time_words(live.elapsed_secs));
        card("examples/s", &widgets::grouped(live.examples_per_second), &below);
        let left = if live.left_secs > 0.0 { time_words(live.left_secs) } else { "done".to_owned() };
        card("time left", &left, "at most; may stop earlier");
    });
    // A seventh card would not fit beside the others.
    let memory = live.resident_bytes.map(|bytes| format!("{:.2} GB of memory", bytes as f64 / 1e9));
    let cores = live.busy_cores.map(|cores| format!("{cores:.1} cores busy"));
    let taken: Vec<String> = memory.into_iter().chain(cores).collect();
    ui.horizontal_wrapped(|ui| {
        if !taken.is_empty() {
            ui.weak(format!("The whole program: {}.", taken.join(", ")));
        }
        floor(ui, live.floor_share);
    });
}

/// How far the steps are from what the processor can multiply.
fn floor(ui: &mut Ui, share: Option<f64>) {
    if let Some(share) = share {
        let percent = 100.0 * share;
        ui.weak(format!("Matrix products alone: {percent:.0} % of the steps' time.")).on_hover_text(
            "The floor: what the products of these steps would take at the rate of one large product on this machine, \
             measured when training began. The rest goes into reading rows, the optimiser, and waiting for other \
             programs.",
        );
    }
}

fn past_cards(ui: &mut Ui, theme: &Theme, model: &TrainedModel) {
    let card = &model.card.training;
    ui.horizontal_wrapped(|ui| {
        let epochs = format!("{} of {}", card.best_epoch, card.epochs);
        widgets::metric_card(ui, theme, "epoch kept", &epochs, &model.kind);
        let speed = widgets::grouped(card.examples_per_second);
        let below = format!("{}, {} in all", card.device, time_words(card.seconds));
        widgets::metric_card(ui, theme, "examples/s", &speed, &below);
    });
    floor(ui, card.floor_share);
}

/// A number and below it its interval and n; before the first epoch and where it can't be had, why not.
fn measured(estimate: Option<Estimate>, rows: usize, unknown: &str) -> (String, String) {
    match estimate {
        Some(known) => {
            let n = widgets::grouped(rows as f64);
            (charts::short(known.value), format!("{:.4} to {:.4}, n {n}", known.low, known.high))
        }
        None if rows == 0 => ("not yet".to_owned(), "after the first epoch".to_owned()),
        None => (unknown.to_owned(), "cannot be measured".to_owned()),
    }
}

fn history(ui: &mut Ui, theme: &Theme, view: View, history: &History) {
    match view {
        View::Curves => curves(ui, theme, history),
        View::Epochs => epochs(ui, &history.epochs),
        View::Layers => layers(ui, history),
        View::Compare
        | View::Leaderboard
        | View::Retrieval
        | View::Robustness
        | View::Compression
        | View::Federated
        | View::Search
        | View::Trials
        | View::Online => {}
    }
}

fn curves(ui: &mut Ui, theme: &Theme, history: &History) {
    let by_epoch = |number: fn(&EpochRecord) -> Option<Estimate>| points(&history.epochs, number);
    let (loss, auc) = (by_epoch(|record| record.validation.loss), by_epoch(|record| record.validation.auc));
    let line = |name, points, place| Series { name, points, colour: theme.series(place), dashed: false };
    let frame = |name, y| charts::Frame { name, x: "epochs", y, height: CURVE_HEIGHT };
    let top = curve::LegendCorner::RightTop;
    ui.columns(2, |columns| {
        let lines = [line("training", history.training.as_slice(), 0), line("validation", &loss, 1)];
        curve::show(&mut columns[0], theme, frame("Loss", "log loss (nats)"), top, &lines);
        let below = curve::LegendCorner::RightBottom;
        let lines = [line("validation", auc.as_slice(), 1)];
        curve::show(&mut columns[1], theme, frame("AUC", "AUC (validation)"), below, &lines);
        let lines = [line("learning rate", history.rates.as_slice(), 2)];
        curve::show(&mut columns[0], theme, frame("Learning rate", "rate per step"), top, &lines);
        let lines = [line("all weights", history.gradients.as_slice(), 3)];
        curve::show(&mut columns[1], theme, frame("Gradient", "length, smoothed"), top, &lines);
    });
}

/// `[epoch, number]` where the number is known.
pub(super) fn points(epochs: &[EpochRecord], number: fn(&EpochRecord) -> Option<Estimate>) -> Vec<[f64; 2]> {
    let known = epochs.iter().filter_map(|record| Some((record.epoch, number(record)?)));
    known.map(|(epoch, estimate)| [f64::from(epoch), estimate.value]).collect()
}

fn epochs(ui: &mut Ui, epochs: &[EpochRecord]) {
    let heads = [
        ("epoch", 46.0),
        ("train loss", 74.0),
        ("validation loss (95 %)", 170.0),
        ("AUC (95 %)", 170.0),
        ("AUC within users (95 %)", 170.0),
        ("norm. entropy", 92.0),
        ("pred./actual (95 %)", 150.0),
        ("rate", 74.0),
        ("gradient", 74.0),
        ("train s", 60.0),
        ("valid. s", 60.0),
    ];
    widgets::data_table(ui, "epochs", &heads, epochs.len(), TABLE_HEIGHT, |ui, row, column| {
        let record = &epochs[row];
        let validation = &record.validation;
        ui.label(match column {
            0 => record.epoch.to_string(),
            1 => charts::short(record.training_loss),
            2 => with_interval(validation.loss),
            3 => with_interval(validation.auc),
            4 => with_interval(validation.gauc),
            5 => validation.normalized_entropy.map_or_else(unknown, |known| charts::short(known.value)),
            6 => with_interval(validation.predicted_over_actual),
            7 => charts::short(record.learning_rate),
            8 => charts::short(record.gradient_norm),
            9 => format!("{:.2}", record.step_secs),
            _ => format!("{:.2}", record.validation_secs),
        });
    });
    if let Some(last) = epochs.last() {
        let rows = widgets::grouped(last.validation.rows as f64);
        ui.weak(format!("Measured on {rows} validation rows, intervals by formula."));
    }
}

fn layers(ui: &mut Ui, history: &History) {
    let heads = [("layer", 240.0), ("weights", 110.0), ("gradient", 110.0), ("gradient / weights", 130.0)];
    widgets::data_table(ui, "layers", &heads, history.layers.len(), TABLE_HEIGHT, |ui, row, column| {
        let layer = &history.layers[row];
        ui.label(match column {
            0 => layer.name.clone(),
            1 => charts::short(layer.weight),
            2 => charts::short(layer.gradient),
            _ if layer.weight > 0.0 => charts::short(layer.gradient / layer.weight),
            _ => "n/a".to_owned(),
        });
    });
    ui.weak(
        "Lengths after the last finished epoch; of a table, the root mean square of its weights. Gradients: root mean \
         square over that epoch's steps, before clipping.",
    );
}

/// `0.7312 (0.7201 to 0.7423)`.
pub(super) fn with_interval(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(unknown, |e| format!("{:.4} ({:.4} to {:.4})", e.value, e.low, e.high))
}

pub(super) fn unknown() -> String {
    "unknown".to_owned()
}

/// `12 s`, `3 min 20 s`, `2 h 05 min`.
fn time_words(secs: f64) -> String {
    let whole = secs.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{:.1} s", secs.max(0.0)),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::time_words;

    #[test]
    fn times_are_short() {
        assert_eq!([4.25, 200.0, 7_500.0].map(time_words), ["4.2 s", "3 min 20 s", "2 h 05 min"]);
    }
}
