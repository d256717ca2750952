//! Which shares is the what-if's audience to have? Targets that the weights are raked to.

use crate::ui::panels::slots::draft::{Draft, MixColumn};
use egui::{CollapsingHeader, DragValue, Grid, Ui};
use std::collections::BTreeMap;

/// Draws a share for each part of each column of the log; unticked parts share what is left as they are.
pub fn show(ui: &mut Ui, draft: &mut Draft, columns: &[MixColumn]) {
    let any = draft.shares.values().any(|shares| !shares.is_empty());
    CollapsingHeader::new("Set shares").default_open(any).show(ui, |ui| {
        ui.weak("The what-if's audience gets exactly these shares; parts without a tick share the rest as they are.");
        for column in columns.iter().filter(|column| column.editable) {
            CollapsingHeader::new(&column.name).id_salt(("shares", &column.name)).show(ui, |ui| {
                let shares = draft.shares.entry(column.name.clone()).or_default();
                Grid::new(("shares of", &column.name)).num_columns(2).show(ui, |ui| {
                    for (value, _) in &column.parts {
                        part(ui, value, shares);
                        ui.end_row();
                    }
                });
                let sum: f64 = shares.values().sum();
                if sum > 1.0 + 1e-9 {
                    ui.weak(format!("{:.0} % in all: more than there is.", 100.0 * sum));
                }
            });
        }
    });
    ui.add_space(6.0);
}

fn part(ui: &mut Ui, value: &str, shares: &mut BTreeMap<String, f64>) {
    let mut wanted = shares.contains_key(value);
    if ui.checkbox(&mut wanted, value).changed() {
        if wanted {
            let left = (1.0 - shares.values().sum::<f64>()).max(0.0);
            shares.insert(value.to_owned(), left / 2.0);
        } else {
            shares.remove(value);
        }
    }
    if let Some(share) = shares.get_mut(value) {
        let mut percent = 100.0 * *share;
        let drag =
            ui.add(DragValue::new(&mut percent).range(0.0..=100.0).speed(0.5).max_decimals(1).suffix(" %"));
        let name = format!("Share of {value}");
        drag.widget_info(|| egui::WidgetInfo::labeled(egui::Role::SpinButton, true, &name));
        if drag.changed() {
            *share = percent / 100.0;
        }
    }
}
