//! What do the layers of the model do with the rows: sizes and slopes, gates, fields that meet, cuts of trees?

use super::{Panel, choose_rows, model_or_offer};
use crate::insight::inside::{Inside, PairTable};
use crate::metrics::Estimate;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::inside::InsideSeen;
use crate::train::TrainedModel;
use crate::ui::charts::bars::{self, BarStyle};
use crate::ui::charts::heatmap::{Heatmap, Matrix};
use crate::ui::charts::tree;
use crate::ui::widgets::short_table::{Title, short_table};
use crate::ui::{PanelContext, Theme, widgets};
use egui::Ui;
use std::sync::Arc;

/// The layers of the model in view.
#[derive(Default)]
pub struct LayersPanel {
    segment: String,
    asked: Option<(String, Arc<TrainedModel>)>,
    /// Which of the tables of pairs is drawn.
    table: usize,
    signed: bool,
    /// Which of the trees is drawn.
    tree: usize,
    map: Heatmap,
}

impl Panel for LayersPanel {
    fn id(&self) -> &'static str {
        "layers"
    }

    fn title(&self) -> &'static str {
        "Layers"
    }

    fn summary(&self) -> &'static str {
        "What the layers do with the rows: sizes and slopes, gates, fields that meet, cuts of trees"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(model) = model_or_offer(ui, cx, "There is no model to look into yet.") else { return };
        if cx.session.store.dataset.is_none() {
            ui.weak("No log is open that models can read.");
            return;
        }
        self.controls(ui, cx, &model);
        self.ask(cx, &model);
        let seen = cx.session.store.inspect.inside.clone().filter(|seen| Arc::ptr_eq(&seen.model, &model));
        match seen {
            None if cx.session.jobs.of(Purpose::Inside).is_none() => {
                ui.weak("The layers could not be looked at: see the notice.");
            }
            None => drop(ui.weak("Passing the rows through the layers …")),
            Some(seen) => {
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    ui.set_max_width(ui.available_width() - 12.0);
                    self.answer(ui, cx.theme, &seen);
                });
            }
        }
    }
}

impl LayersPanel {
    fn controls(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, model: &TrainedModel) {
        ui.horizontal_wrapped(|ui| {
            ui.strong(&model.kind);
            choose_rows(ui, cx, ("over", "layer rows"), &mut self.segment);
        });
        ui.add_space(4.0);
    }

    /// Asks where rows or model are others than before.
    fn ask(&mut self, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        let known = self
            .asked
            .as_ref()
            .is_some_and(|(segment, of)| *segment == self.segment && Arc::ptr_eq(of, model));
        if !known {
            cx.send(Command::Inspect(InspectCommand::Inside(self.segment.clone())));
            self.asked = Some((self.segment.clone(), Arc::clone(model)));
        }
    }

    fn answer(&mut self, ui: &mut Ui, theme: &Theme, seen: &InsideSeen) {
        let inside = &seen.inside;
        ui.weak(format!(
            "{} of {} rows ({}), evenly spread",
            widgets::grouped(inside.rows_run as f64),
            widgets::grouped(inside.rows_asked as f64),
            seen.rows
        ));
        ui.add_space(4.0);
        self.pairs(ui, theme, inside);
        gates(ui, theme, inside);
        cuts(ui, theme, inside);
        self.trees(ui, theme, inside);
        leaving(ui, theme, inside);
        weights(ui, theme, inside);
    }

    /// The first trees, one at a time.
    fn trees(&mut self, ui: &mut Ui, theme: &Theme, inside: &Inside) {
        let Some(last) = inside.trees.len().checked_sub(1) else { return };
        ui.horizontal_wrapped(|ui| {
            ui.strong("The first trees");
            for place in 0..=last {
                ui.selectable_value(&mut self.tree, place, format!("{}", place + 1));
            }
        });
        self.tree = self.tree.min(last);
        ui.weak("Rows up to the number go up; lines are as thick as many rows go; a leaf adds to the log odds of its rows.");
        tree::show(ui, theme, &format!("Tree {}", self.tree + 1), &inside.trees[self.tree]);
        ui.add_space(8.0);
    }

    /// The fields that meet, one table at a time.
    fn pairs(&mut self, ui: &mut Ui, theme: &Theme, inside: &Inside) {
        let tables: Vec<&PairTable> = inside.pairs.iter().chain(&inside.crosses).collect();
        let Some(last) = tables.len().checked_sub(1) else { return };
        self.table = self.table.min(last);
        ui.strong("Fields that meet");
        ui.horizontal_wrapped(|ui| {
            for (place, table) in tables.iter().enumerate() {
                ui.selectable_value(&mut self.table, place, &table.name);
            }
        });
        let table = tables[self.table];
        let has_sign = !table.signed.is_empty();
        if has_sign {
            ui.checkbox(&mut self.signed, "with sign")
                .on_hover_text("The mean of what a pair adds; else of its size");
            ui.weak("Mean over the rows of what the product of two fields' vectors adds to the log odds.");
        } else {
            ui.weak("Norm of the weights by which a field (line) is multiplied by another (column).");
        }
        let signed = self.signed && has_sign;
        let values = if signed { &table.signed } else { &table.strength };
        let matrix = Matrix {
            name: &table.name,
            line_axis: "field",
            column_axis: "other field",
            lines: &table.fields,
            columns: &table.fields,
            values,
            around_zero: signed,
        };
        self.map.show(ui, theme, matrix, |line, column| {
            let value = values[line * table.fields.len() + column];
            format!("{} with {}: {value:.4}", table.fields[line], table.fields[column])
        });
        ui.add_space(8.0);
    }
}

fn gates(ui: &mut Ui, theme: &Theme, inside: &Inside) {
    for gate in &inside.gates {
        let evenness = Estimate::known_in_words(gate.evenness, 2);
        ui.strong(format!("{}: which experts are asked (evenness {evenness})", gate.name));
        let row = |(place, expert): (usize, &Option<Estimate>)| bars::Row {
            name: format!("expert {}", place + 1),
            value: expert.map_or(0.0, |expert| expert.value),
            interval: expert.map(|expert| (expert.low, expert.high)),
            text: Estimate::known_in_words(*expert, 3),
        };
        let rows: Vec<bars::Row> = gate.experts.iter().enumerate().map(row).collect();
        let name = format!("Mean weight of experts, {}", gate.name);
        let even = 1.0 / gate.experts.len().max(1) as f64;
        let style = BarStyle { name: &name, colour: theme.series(0), reference: Some(even), marked: None };
        bars::show(ui, theme, style, &rows);
        ui.add_space(8.0);
    }
}

fn cuts(ui: &mut Ui, theme: &Theme, inside: &Inside) {
    if inside.cuts.is_empty() {
        return;
    }
    ui.strong("What the trees ask for");
    let row = |cut: &crate::insight::inside::Cut| bars::Row {
        name: cut.feature.clone(),
        value: cut.asked,
        interval: None,
        text: format!("{:.1} a row, {} in all", cut.asked, widgets::grouped(cut.cuts as f64)),
    };
    let rows: Vec<bars::Row> = inside.cuts.iter().map(row).collect();
    let name = "Cuts on the way of a row through all trees, mean";
    ui.weak(name);
    let style = BarStyle { name, colour: theme.series(0), reference: None, marked: None };
    bars::show(ui, theme, style, &rows);
    ui.add_space(8.0);
}

fn leaving(ui: &mut Ui, theme: &Theme, inside: &Inside) {
    if inside.layers.is_empty() {
        return;
    }
    ui.strong("What leaves each layer");
    let titles: [Title<'_>; 7] = [
        ("Layer", 220.0, "Its name among the weights"),
        ("Width", 60.0, "Numbers a row"),
        ("Mean", 90.0, "Over rows and units"),
        ("Deviation", 90.0, "Over rows and units"),
        ("Largest", 90.0, "Largest size of a number"),
        ("Zeros", 70.0, "Share of numbers that are 0"),
        ("Dead", 60.0, "Units that are 0 in every row: nothing that follows can learn from them"),
    ];
    let rows: Vec<Vec<(String, bool)>> = inside
        .layers
        .iter()
        .map(|of| {
            let plain = |text: String| (text, false);
            vec![
                plain(of.name.clone()),
                plain(of.width.to_string()),
                plain(format!("{:.4}", of.mean)),
                plain(format!("{:.4}", of.deviation)),
                plain(format!("{:.4}", of.largest)),
                plain(format!("{:.1} %", 100.0 * of.zeros)),
                (of.dead.to_string(), of.dead > 0),
            ]
        })
        .collect();
    short_table(ui, theme, "what leaves", &titles, &rows);
    ui.add_space(8.0);
}

fn weights(ui: &mut Ui, theme: &Theme, inside: &Inside) {
    ui.strong("Weights, and how steep the loss is by them");
    ui.weak("Roots of mean squares; the slope is that of the mean log loss of these rows. Tables: of the rows that were read.");
    let plain = |text: String| (text, false);
    let titles: [Title<'_>; 5] = [
        ("Weights", 220.0, "Name in files"),
        ("Shape", 130.0, "Dimensions"),
        ("Size", 90.0, "Root of the mean square"),
        ("Slope", 110.0, "Root of the mean square of the loss's derivative; counted weights have none"),
        ("Rows read", 90.0, "Rows of a table that these impressions use"),
    ];
    let rows: Vec<Vec<(String, bool)>> = inside
        .weights
        .iter()
        .map(|of| {
            let shape: Vec<String> = of.shape.iter().map(|n| widgets::grouped(*n as f64)).collect();
            vec![
                plain(of.name.clone()),
                plain(shape.join(" x ")),
                plain(format!("{:.4}", of.weight)),
                plain(of.slope.map_or_else(|| "counted".to_owned(), |slope| format!("{slope:.2e}"))),
                plain(of.rows_read.map_or_else(String::new, |rows| widgets::grouped(rows as f64))),
            ]
        })
        .collect();
    short_table(ui, theme, "weights", &titles, &rows);
}
