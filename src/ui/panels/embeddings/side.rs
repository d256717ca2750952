//! What is known of the point in focus, its neighbours and the selection?

use super::EmbeddingsPanel;
use super::colouring::expected;
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::encode::{TIME_HOUR, TIME_WEEKDAY};
use crate::data::query::Derived;
use crate::domain::Segment;
use crate::domain::segment::{Literal, Test};
use crate::gpu::Bits;
use crate::insight::groups::Feature;
use crate::insight::{Projection, Values};
use crate::metrics::Rate;
use crate::session::commands::inspect::InspectCommand;
use crate::session::commands::{PrivacyCommand, SegmentCommand};
use crate::session::{Command, Purpose};
use crate::tasks::project::Projected;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Values that a group may name to be chosen in all panels.
const MOST_CHOSEN: usize = 2_000;
/// Names of selected values listed.
const LISTED: usize = 30;

/// The card of one point: name, rate, properties.
pub fn card(ui: &mut Ui, theme: &Theme, projection: &Projection, point: usize) {
    ui.label(RichText::new(projection.values.name(point)).strong().color(theme.text));
    if let Some(rate) = projection.values.rates.get(point) {
        ui.label(format!("{} impressions", widgets::grouped(rate.trials)));
        ui.label(format!("CTR {}", widgets::percent_with_interval(rate)));
    }
    if let Some(odds) = projection.values.predicted.get(point).filter(|odds| odds.is_finite()) {
        ui.label(format!("predicted CTR {:.3} %", 100.0 * expected(f64::from(*odds))));
    }
    if let Some(cluster) = projection.cluster(point) {
        ui.weak(format!("heap {}: {}", cluster + 1, projection.label(cluster)));
    }
    for known in &projection.values.traits {
        if let Some(name) = known.codes.get(point).and_then(|&code| known.names.get(code as usize)) {
            ui.weak(format!("{}: {name}", known.field));
        }
    }
}

impl EmbeddingsPanel {
    pub(super) fn side(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, projected: &Projected) {
        let projection = &projected.projection;
        if let Some(coloured) = &self.coloured {
            ui.strong(format!("Colour: {}", self.colour_by.title()));
            coloured.show_legend(ui, cx.theme);
            ui.add_space(10.0);
        }
        self.neighbours(ui, cx, projection);
        ui.add_space(10.0);
        self.selection(ui, cx, projected);
        ui.add_space(10.0);
        self.heaps(ui, cx, projection);
    }

    fn neighbours(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, projection: &Projection) {
        ui.strong("Nearest neighbours");
        let Some(focus) = self.focus else {
            ui.weak("Click a point to see what is closest to it in the full space.");
            return;
        };
        card(ui, cx.theme, projection, focus);
        ui.small(format!("{} distance in the full space", projection.question.metric.title()));
        let mut chosen = None;
        egui::Grid::new("neighbours").striped(true).num_columns(2).show(ui, |ui| {
            for near in &self.near {
                if ui.link(super::short_name(projection.values.name(near.place as usize))).clicked() {
                    chosen = Some(near.place as usize);
                }
                ui.label(format!("{:.3}", near.distance));
                ui.end_row();
            }
        });
        if let Some(point) = chosen {
            self.look_at(&projection.values, point);
        }
    }

    fn selection(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, projected: &Projected) {
        let projection = &projected.projection;
        ui.strong("Selection");
        let Some(bits) = self.selected.clone() else {
            ui.weak("Choose Lasso and drag around points.");
            return;
        };
        let count = bits.count();
        ui.label(format!("{count} of {} {}", projection.len(), projection.values.source.unit()));
        if !projection.values.rates.is_empty() {
            let pooled = pooled(&projection.values, &bits);
            ui.label(format!("{} impressions", widgets::grouped(pooled.trials)));
            ui.label(format!("CTR {}", widgets::percent_with_interval(&pooled)));
        }
        let linked = self.linked.as_ref().filter(|_| cx.session.store.marked.is_some());
        if let Some(linked) = linked {
            ui.weak(format!("most of their rows: {}", linked.segment));
        }
        match segment_text(projected, &bits) {
            Ok(segment) => {
                if count <= MOST_CHOSEN && ui.button("Choose in all panels").clicked() {
                    cx.send(Command::Segment(SegmentCommand::Choose(Some(segment.clone()))));
                }
                let label = ui.label("Audience name");
                ui.text_edit_singleline(&mut self.audience_name).labelled_by(label.id);
                let name = self.audience_name.trim().to_owned();
                if ui.add_enabled(!name.is_empty(), egui::Button::new("Save as audience")).clicked() {
                    cx.send(Command::Privacy(PrivacyCommand::SaveAudience { name, segment }));
                    self.audience_name.clear();
                }
            }
            Err(why) => {
                ui.weak(why);
            }
        }
        self.what_it_is(ui, cx, projection, &bits);
        if ui.button("Clear selection").clicked() {
            self.selected = None;
        }
        for point in bits.iter().take(LISTED) {
            ui.small(projection.values.name(point));
        }
        if count > LISTED {
            ui.small(format!("and {} more", count - LISTED));
        }
    }
}

impl EmbeddingsPanel {
    /// The question what sets the selection apart, and its answer.
    fn what_it_is(&self, ui: &mut Ui, cx: &mut PanelContext<'_>, projection: &Projection, bits: &Bits) {
        let busy = cx.session.jobs.of(Purpose::Describe).is_some();
        let asked = ui.add_enabled(!busy, egui::Button::new("What is this group?"));
        if asked.clicked() {
            let points = bits.iter().map(|point| point as u32).collect();
            cx.send(Command::Inspect(InspectCommand::DescribeGroup(Arc::new(points))));
        }
        let answer = cx.session.store.inspect.described.as_ref().filter(|described| {
            Arc::ptr_eq(&described.projection.values, &projection.values)
                && described.points.len() == bits.count()
                && described.points.iter().all(|point| bits.get(*point as usize))
        });
        let Some(described) = answer else { return };
        if described.features.is_empty() {
            ui.weak("Nothing sets these apart from the others by more than chance.");
            return;
        }
        ui.small("Log odds against the others, 95 % for all questions together (Bonferroni)");
        features(ui, cx, &described.features);
    }

    /// The heaps of the map with what sets them apart; a click selects one.
    fn heaps(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, projection: &Projection) {
        if projection.clusters.is_empty() {
            return;
        }
        let count = projection.clusters.len();
        ui.strong(format!("{count} heap{}", if count == 1 { "" } else { "s" }));
        ui.small("Where points lie densely on this map; named by what sets them apart most.");
        let mut chosen = None;
        for (cluster, size) in projection.clusters.sizes.iter().enumerate() {
            let words = format!("{} ({size})", projection.label(cluster));
            let link = ui.link(words).on_hover_text("Selects its points");
            if link.clicked() {
                chosen = Some(cluster as u32);
            }
            if let Some(kept) = projection.misleading(cluster) {
                let words = format!(
                    "misleading: its points keep {:.0} % of their true neighbours here",
                    100.0 * kept
                );
                ui.label(RichText::new(words).small().color(cx.theme.warn));
            }
        }
        if let Some(chosen) = chosen {
            let mut bits = Bits::new(projection.len());
            let inside = projection.clusters.of.iter().enumerate().filter(|(_, of)| **of == chosen);
            inside.for_each(|(point, _)| bits.set(point));
            self.selected = Some(Arc::new(bits));
        }
    }
}

/// Properties with their log odds and shares.
fn features(ui: &mut Ui, cx: &PanelContext<'_>, features: &[Feature]) {
    egui::Grid::new("features").striped(true).num_columns(2).show(ui, |ui| {
        for feature in features {
            let words = format!("{} {}", feature.field, feature.value);
            let shares = format!(
                "{:.0} % of these, {:.0} % of the others",
                100.0 * feature.inside,
                100.0 * feature.outside
            );
            ui.label(RichText::new(super::short_name(&words)).small())
                .on_hover_text(format!("{words}\n{shares}"));
            let colour = if feature.log_odds.value > 0.0 { cx.theme.text } else { cx.theme.weak_text };
            ui.label(RichText::new(feature.log_odds.in_words(1)).small().color(colour)).on_hover_text(shares);
            ui.end_row();
        }
    });
}

/// Clicks and impressions of all selected values together.
fn pooled(values: &Values, bits: &Bits) -> Rate {
    let rates = bits.iter().filter_map(|point| values.rates.get(point));
    let (clicks, impressions) =
        rates.fold((0.0, 0.0), |(clicks, n), rate| (clicks + rate.successes, n + rate.trials));
    Rate::wilson(clicks, impressions)
}

/// `field in ('a', 'b')`, or why the selection cannot be said so.
fn segment_text(projected: &Projected, bits: &Bits) -> Result<Segment, &'static str> {
    let projection = &projected.projection;
    let source = &projection.values.source;
    let Some(field) = source.column() else {
        return Err("Rows make no audience: ask what this group is, and take what sets it apart.");
    };
    if source.field().is_some() {
        let encoder = &projected.model.encoder;
        let known = encoder.position(field).and_then(|place| encoder.categorical.get(place));
        if known.is_none_or(|field| field.hash_buckets > 0) {
            return Err("The values of this field are hashed together, so they make no audience.");
        }
        if bits.iter().any(|point| projection.values.ids[point] < FIRST_VALUE_ID) {
            return Err("Leave 'missing' and 'rare or new' out to save this as an audience.");
        }
    }
    // The fields derived from the time have names of their own in segments.
    let column = match field {
        TIME_HOUR => Derived::Hour.name(),
        TIME_WEEKDAY => Derived::Weekday.name(),
        other => other,
    };
    let literal = |name: &str| match name.parse() {
        Ok(hour) if column == Derived::Hour.name() => Literal::Number(hour),
        _ => Literal::Text(name.to_owned()),
    };
    let values = bits.iter().map(|point| literal(projection.values.name(point))).collect();
    Ok(Segment::Where { column: column.to_owned(), test: Test::In(values) })
}
