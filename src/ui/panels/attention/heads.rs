//! The heads of a model as an atlas: what each looks at, what the model loses without it, and against what.

use crate::insight::heads::{Atlas, AtlasLayer, Head};
use crate::metrics::Estimate;
use crate::session::commands::inspect::{HeadsBeside, InspectCommand};
use crate::session::{Command, Purpose};
use crate::tasks::heads::HeadsSeen;
use crate::train::TrainedModel;
use crate::ui::charts::flow::{self, Flow};
use crate::ui::charts::heatmap::{Heatmap, Matrix, thumbnail};
use crate::ui::panels::{choose_rows, rows_named};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// What the large map shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Shown {
    /// Mean weights of the chosen head.
    #[default]
    Weights,
    /// The same less those of the other side.
    Difference,
    /// All layers rolled out.
    Rollout,
    /// All layers weighted by gradients.
    Relevance,
}

/// Heads over a segment.
#[derive(Default)]
pub(super) struct Heads {
    segment: String,
    against: HeadsBeside,
    /// Layer and head.
    chosen: (usize, usize),
    shown: Shown,
    map: Heatmap,
}

impl Heads {
    pub(super) fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        self.controls(ui, cx, model);
        let running = cx.session.jobs.of(Purpose::Heads).is_some();
        let seen = cx.session.store.inspect.heads.clone();
        match seen.filter(|seen| Arc::ptr_eq(&seen.model, model)) {
            Some(seen) => self.answer(ui, cx.theme, &seen),
            None if running => drop(ui.weak("Looking at each head, then switching it off …")),
            None => {
                ui.weak("Averages what each head looks at over the rows, and switches each off to see what the model loses.");
            }
        }
    }

    fn controls(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        ui.horizontal_wrapped(|ui| {
            choose_rows(ui, cx, ("Rows", "head rows"), &mut self.segment);
            let audiences = &cx.session.workspace.audiences;
            let label = ui.label("against").id;
            let models = &cx.session.store.training.models;
            let text = match &self.against {
                HeadsBeside::Nothing => "nothing".to_owned(),
                HeadsBeside::Rows(text) => rows_named(cx, text),
                HeadsBeside::Model(place) => models
                    .get(*place)
                    .map_or_else(|| "nothing".to_owned(), |run| model_name(*place, &run.model)),
            };
            let menu = egui::ComboBox::from_id_salt("heads against").selected_text(text).show_ui(ui, |ui| {
                ui.selectable_value(&mut self.against, HeadsBeside::Nothing, "nothing");
                let all = HeadsBeside::Rows(String::new());
                ui.selectable_value(&mut self.against, all, rows_named(cx, ""));
                for audience in audiences {
                    let rows = HeadsBeside::Rows(audience.segment.clone());
                    ui.selectable_value(&mut self.against, rows, &audience.name);
                }
                let same = |other: &Arc<TrainedModel>| other.kind == model.kind && !Arc::ptr_eq(other, model);
                for (place, run) in models.iter().enumerate().filter(|(_, run)| same(&run.model)) {
                    let other = HeadsBeside::Model(place);
                    ui.selectable_value(&mut self.against, other, model_name(place, &run.model));
                }
            });
            menu.response.labelled_by(label);
            if widgets::main_button(ui, cx.theme, "Look at the heads").clicked() {
                let command = InspectCommand::Heads(self.segment.clone(), self.against.clone());
                cx.send(Command::Inspect(command));
                if self.against != HeadsBeside::Nothing {
                    self.shown = Shown::Difference;
                }
            }
        });
        ui.add_space(4.0);
    }

    fn answer(&mut self, ui: &mut Ui, theme: &Theme, seen: &HeadsSeen) {
        let atlas = &seen.atlas;
        let grouped = |n: usize| widgets::grouped(n as f64);
        ui.label(format!(
            "{} over {} of {} rows ({}), evenly spread",
            seen.model.kind,
            grouped(atlas.rows_run),
            grouped(atlas.rows_asked),
            seen.rows
        ));
        ui.weak(match atlas.log_loss {
            Some(loss) => format!(
                "Without a head: the log loss of {} rows, {loss:.4} with all heads, becomes larger by so much. Users are the units of the intervals.",
                grouped(atlas.rows_measured)
            ),
            None => "The log knows no outcomes, so what the model loses without a head cannot be told.".to_owned(),
        });
        if let Some((words, _)) = &seen.against {
            ui.weak(format!("Against {words}."));
        }
        ui.add_space(6.0);
        self.chosen.0 = self.chosen.0.min(atlas.layers.len().saturating_sub(1));
        let heads = atlas.layers.get(self.chosen.0).map_or(0, |layer| layer.heads.len());
        self.chosen.1 = self.chosen.1.min(heads.saturating_sub(1));
        for (place, layer) in atlas.layers.iter().enumerate() {
            self.line(ui, theme, place, layer);
        }
        let Some(layer) = atlas.layers.get(self.chosen.0) else { return };
        ui.add_space(8.0);
        self.switch(ui, seen);
        self.large(ui, theme, seen, layer);
    }

    /// A layer's heads side by side.
    fn line(&mut self, ui: &mut Ui, theme: &Theme, place: usize, layer: &AtlasLayer) {
        ui.strong(&layer.name);
        ui.horizontal_wrapped(|ui| {
            for (at, head) in layer.heads.iter().enumerate() {
                let name = format!("head {}", at + 1);
                let below = head.loss_without.map_or_else(String::new, |more| format!("{:+.5}", more.value));
                let matrix = Matrix {
                    name: &layer.name,
                    line_axis: "",
                    column_axis: "",
                    lines: &layer.questions,
                    columns: &layer.members,
                    values: &head.map,
                    around_zero: false,
                };
                let chosen = self.chosen == (place, at);
                let response = thumbnail(ui, theme, matrix, chosen, [&name, &below]);
                if response.on_hover_text(in_words(head)).clicked() {
                    self.chosen = (place, at);
                }
            }
        });
    }

    fn switch(&mut self, ui: &mut Ui, seen: &HeadsSeen) {
        if seen.against.is_none() && self.shown == Shown::Difference {
            self.shown = Shown::Weights;
        }
        ui.horizontal_wrapped(|ui| {
            let mut choice = |shown: Shown, word: &str, meaning: &str| {
                ui.selectable_value(&mut self.shown, shown, word).on_hover_text(meaning);
            };
            choice(Shown::Weights, "Chosen head", "Mean weights of the head that is chosen above");
            if seen.against.is_some() {
                choice(Shown::Difference, "Difference", "Mean weights less those of the other side");
            }
            choice(
                Shown::Rollout,
                "Rollout",
                "All layers: products of the mean of heads with the way past it (Abnar & Zuidema 2020)",
            );
            choice(
                Shown::Relevance,
                "Relevance",
                "All layers: only weights that raise the log odds count (Chefer, Gur & Wolf 2021)",
            );
        });
    }

    fn large(&mut self, ui: &mut Ui, theme: &Theme, seen: &HeadsSeen, layer: &AtlasLayer) {
        let Some(head) = layer.heads.get(self.chosen.1) else { return };
        let title = format!("{}, head {}", layer.name, self.chosen.1 + 1);
        if matches!(self.shown, Shown::Weights | Shown::Difference) {
            ui.label(RichText::new(&title).strong());
            ui.label(in_words(head));
        }
        match self.shown {
            Shown::Weights => {
                let name = format!("Mean weight, {title}");
                self.draw(
                    ui,
                    theme,
                    (&name, &layer.questions, &layer.members),
                    &head.map,
                    Some(&layer.counts),
                );
            }
            Shown::Difference => match difference(seen, self.chosen) {
                Ok(values) => {
                    let name = format!("Difference of mean weights, {title}");
                    self.draw(ui, theme, (&name, &layer.questions, &layer.members), &values, None);
                }
                Err(why) => drop(ui.weak(why)),
            },
            Shown::Rollout | Shown::Relevance => self.joined(ui, theme, &seen.atlas),
        }
    }

    fn joined(&mut self, ui: &mut Ui, theme: &Theme, atlas: &Atlas) {
        let rolled = self.shown == Shown::Rollout;
        // One map at a time is drawn large: that of the stack whose layer is chosen.
        let of_layer = atlas.layers.get(self.chosen.0).map(|layer| &layer.members);
        let maps = atlas.joined.iter().find(|maps| Some(&maps.members) == of_layer);
        let Some(maps) = maps.or(atlas.joined.first()) else { return };
        let values = if rolled { &maps.rollout } else { &maps.weighted };
        if values.is_empty() {
            ui.weak("Who asks is no member of this layer, so nothing can be rolled out: the weights are all there is.");
            return;
        }
        let what = if rolled { "Rollout" } else { "Relevance" };
        let name = format!("{what} of {}, all layers", maps.name);
        self.draw(ui, theme, (&name, &maps.questions, &maps.members), values, None);
    }

    fn draw(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        (name, lines, columns): (&str, &[String], &[String]),
        values: &[f64],
        counts: Option<&[u32]>,
    ) {
        let matrix = Matrix {
            name,
            line_axis: "who looks",
            column_axis: "who is looked at",
            lines,
            columns,
            values,
            around_zero: self.shown == Shown::Difference,
        };
        self.map.show(ui, theme, matrix, |line, column| {
            let cell = line * columns.len() + column;
            let n = counts.map_or_else(String::new, |counts| format!(", n {}", counts[cell]));
            format!("{} looks at {}: {:.4}{n}", lines[line], columns[column], values[cell])
        });
    }
}

/// The chosen head's map less that of the other side.
fn difference(seen: &HeadsSeen, (layer, head): (usize, usize)) -> Result<Vec<f64>, String> {
    let map = |atlas: &Atlas| -> Option<(Vec<String>, Vec<f64>)> {
        let layer = atlas.layers.get(layer)?;
        Some((layer.members.clone(), layer.heads.get(head)?.map.clone()))
    };
    let none = || "There is no other side to compare with.".to_owned();
    let (_, other) = seen.against.as_ref().ok_or_else(none)?;
    let (members, values) = map(&seen.atlas).ok_or_else(none)?;
    match map(other).filter(|(names, _)| *names == members) {
        Some((_, others)) => Ok(values.iter().zip(&others).map(|(a, b)| a - b).collect()),
        None => Err("The other model has no such head over the same members.".to_owned()),
    }
}

/// A model of the list, told apart from others of its kind.
fn model_name(place: usize, model: &TrainedModel) -> String {
    format!("{}. {}", place + 1, model.kind)
}

fn in_words(head: &Head) -> String {
    let mut parts = vec![format!("evenness {}", Estimate::known_in_words(head.evenness, 2))];
    if let Some(distance) = head.distance {
        parts.push(format!("events back {}", distance.in_words(1)));
    }
    if let Some(own) = head.own {
        parts.push(format!("weight of itself {}", own.in_words(2)));
    }
    parts.push(format!("pull {:.3}", head.pull));
    if let Some(more) = head.loss_without {
        parts.push(format!("log loss without it more by {}", more.in_words(5)));
    }
    parts.join("; ")
}

/// One row's heads as lines, layer by layer.
pub(super) fn of_row(ui: &mut Ui, theme: &Theme, layers: &[crate::insight::heads::RowHeads]) {
    for layer in layers.iter().filter(|layer| !layer.members.is_empty()) {
        let name = format!("{}: who looks (right) at whom (left), a colour for each head", layer.layer);
        ui.label(RichText::new(&name).small());
        let flow = Flow { name: &name, from: &layer.members, to: &layer.questions, heads: &layer.heads };
        flow::show(ui, theme, flow);
    }
}
