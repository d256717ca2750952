//! Which models are there? One row each; thousands cost no more than those in sight.

use super::progress::{unknown, with_interval};
use crate::session::commands::train::ModelRun;
use crate::ui::{charts, widgets};
use egui::Ui;
use std::collections::BTreeSet;

const TABLE_HEIGHT: f32 = 220.0;

/// A click on a name selects the model that all views show, a tick puts it into the comparison.
pub(super) fn show(ui: &mut Ui, runs: &[ModelRun], selected: &mut usize, chosen: &mut BTreeSet<usize>) {
    let heads = [
        ("compare", 60.0),
        ("model", 120.0),
        ("AUC (95 %)", 170.0),
        ("AUC within users (95 %)", 170.0),
        ("log loss", 70.0),
        ("norm. entropy", 92.0),
        ("pred./actual", 82.0),
        ("test rows", 72.0),
        ("seed", 50.0),
        ("device", 52.0),
        ("examples/s", 80.0),
        ("log", 260.0),
    ];
    widgets::data_table(ui, "models", &heads, runs.len(), TABLE_HEIGHT, |ui, row, column| {
        let run = &runs[row];
        let card = &run.model.card;
        let test = card.test.unwrap_or_default();
        let number = |estimate: Option<crate::metrics::Estimate>| {
            estimate.map_or_else(unknown, |e| charts::short(e.value))
        };
        let text = match column {
            0 => {
                let mut ticked = chosen.contains(&row);
                let name = format!("compare {}", row + 1);
                let tick = ui.checkbox(&mut ticked, "");
                tick.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, ticked, &name));
                if tick.changed() && !chosen.remove(&row) {
                    chosen.insert(row);
                }
                return;
            }
            1 => {
                let hover = run.folder.as_ref().map_or_else(
                    || format!("trained on {}; not saved", card.data.source),
                    |folder| format!("trained on {}; in {}", card.data.source, folder.display()),
                );
                ui.radio_value(selected, row, format!("{} {}", row + 1, run.model.name()))
                    .on_hover_text(hover);
                return;
            }
            2 => with_interval(test.auc),
            3 => with_interval(test.gauc),
            4 => number(test.log_loss),
            5 => number(test.normalized_entropy),
            6 => number(test.predicted_over_actual),
            7 => widgets::grouped(test.rows as f64),
            8 => card.training.seed.to_string(),
            9 => card.training.device.clone(),
            10 => widgets::grouped(card.training.examples_per_second),
            _ => card.data.source.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
        };
        let shown = ui.add(egui::Label::new(text).truncate());
        if let (6, Some(layer)) = (column, &card.calibration) {
            let before = number(card.uncalibrated.and_then(|before| before.predicted_over_actual));
            shown.on_hover_text(format!("{before} before calibration: {}", layer.words()));
        }
    });
}
