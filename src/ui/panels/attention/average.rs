//! Attention averaged over the rows of a segment.

use super::AttentionPanel;
use crate::insight::AverageAttention;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::explain::Averaged;
use crate::train::TrainedModel;
use crate::ui::charts::bars;
use crate::ui::charts::heatmap::{Heatmap, Matrix};
use crate::ui::panels::choose_rows;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

impl AttentionPanel {
    pub(super) fn averaged(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        ui.strong("Averaged over many");
        self.choose_averaged(ui, cx);
        let running = cx.session.jobs.of(Purpose::Average).is_some();
        match cx.session.store.inspect.averaged.clone() {
            Some(shown) => {
                if !Arc::ptr_eq(&shown.model, model) {
                    ui.colored_label(cx.theme.warn, "of an earlier model");
                }
                if running {
                    ui.weak("averaging …");
                }
                show(ui, cx.theme, &mut self.heatmap, &shown);
            }
            None if running => {
                ui.weak("Averaging …");
            }
            None => {
                ui.weak("Runs the model over the rows and averages how it weighed their histories.");
            }
        }
    }

    fn choose_averaged(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.horizontal_wrapped(|ui| {
            choose_rows(ui, cx, ("Rows", "rows"), &mut self.segment);
            if ui.button("Average the attention").clicked() {
                cx.send(Command::Inspect(InspectCommand::Average(self.segment.clone())));
            }
        });
    }
}

fn show(ui: &mut Ui, theme: &Theme, heatmap: &mut Heatmap, shown: &Averaged) {
    for average in &shown.averages {
        let run = if average.rows_run < average.rows_asked {
            format!(
                "{} of {}",
                widgets::grouped(average.rows_run as f64),
                widgets::grouped(average.rows_asked as f64)
            )
        } else {
            widgets::grouped(average.rows_asked as f64)
        };
        ui.label(format!(
            "{} model over {run} rows ({}); {} have at least two behaviours",
            shown.model.kind,
            shown.rows,
            widgets::grouped(average.rows_used as f64)
        ));
        if average.rows_used == 0 {
            ui.weak("No history is long enough to compare weights.");
            continue;
        }
        ui.small("Weights relative to each row: 1 is the average weight of that row's history.");
        ui.add_space(6.0);
        by_position(ui, theme, average);
        ui.add_space(8.0);
        matrix(ui, theme, heatmap, average);
    }
}

fn by_position(ui: &mut Ui, theme: &Theme, average: &AverageAttention) {
    let row = |position: &crate::insight::attention::PositionWeight| bars::Row {
        name: match position.steps_back {
            1 => "most recent".to_owned(),
            steps => format!("{steps} events ago"),
        },
        value: position.weight.value,
        interval: Some((position.weight.low, position.weight.high)),
        text: format!("{:.3}  n {}", position.weight.value, widgets::grouped(position.rows as f64)),
    };
    let rows: Vec<bars::Row> = average.by_position.iter().map(row).collect();
    let name = format!("{} by distance from the present", average.sequence);
    ui.label(RichText::new(&name).strong());
    let style = bars::BarStyle { name: &name, colour: theme.series(2), reference: Some(1.0), marked: None };
    bars::show(ui, theme, style, &rows);
}

fn matrix(ui: &mut Ui, theme: &Theme, heatmap: &mut Heatmap, average: &AverageAttention) {
    let known = &average.matrix;
    let name = format!("{} by past value and target", average.sequence);
    ui.label(RichText::new(&name).strong());
    if !known.left_out.is_empty() {
        ui.small(&known.left_out);
    }
    let drawn = Matrix {
        name: &name,
        line_axis: "past value",
        column_axis: &average.target,
        lines: &known.past,
        columns: &known.targets,
        values: &known.weights,
        around_zero: false,
    };
    heatmap.show(ui, theme, drawn, |line, column| {
        let cell = line * known.targets.len() + column;
        let met = known.counts[cell];
        if met == 0 {
            return format!("{} and {} never met", known.past[line], known.targets[column]);
        }
        format!(
            "{} in the history, {} shown: weight {:.3}, n {met}",
            known.past[line], known.targets[column], known.weights[cell]
        )
    });
}
