//! Which values did the model learn to treat alike?

mod beside;
mod colouring;
mod controls;
mod epochs;
mod side;

use super::{Panel, model_or_offer};
use crate::gpu::Bits;
use crate::insight::{MapQuestion, Projection, Source, Values};
use crate::maps::search::Near;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::project::Projected;
use crate::tasks::segment::Marked;
use crate::train::TrainedModel;
use crate::ui::widgets::cloud_view::{CloudView, Join, Scene};
use crate::ui::{PanelContext, widgets};
use beside::Beside;
use colouring::{ColourBy, Coloured};
use egui::{RichText, Ui};
use epochs::Epochs;
use std::sync::Arc;

/// Neighbours listed.
const NEIGHBOURS: usize = 12;
/// Width of the column beside the map.
const SIDE_WIDTH: f32 = 270.0;
/// Values found by name that are ringed.
const RINGED: usize = 40;

/// The map of an embedding table.
#[derive(Default)]
pub struct EmbeddingsPanel {
    view: CloudView,
    colour_by: ColourBy,
    /// The points that `colour_by` was chosen for.
    chosen_for: Option<Source>,
    coloured: Option<Coloured>,
    /// The map that is seen, and how often it changed.
    seen: Option<Arc<Projection>>,
    revision: u64,
    /// Which map it is: frames of one that moves count as one.
    map: u64,
    focus: Option<usize>,
    near: Vec<Near>,
    marks: Vec<usize>,
    selected: Option<Arc<Bits>>,
    /// The group chosen for all panels, once its points are selected here.
    linked: Option<Arc<Marked>>,
    audience_name: String,
    /// What is to be drawn next.
    question: Option<MapQuestion>,
    /// Words that are looked for, and the points whose names hold them.
    search: String,
    hits: Vec<usize>,
    /// Folder of a sentence encoder for maps of texts, as it is typed.
    encoder: String,
    beside: Beside,
    epochs: Epochs,
}

impl Panel for EmbeddingsPanel {
    fn id(&self) -> &'static str {
        "embeddings"
    }

    fn title(&self) -> &'static str {
        "Embeddings"
    }

    fn summary(&self) -> &'static str {
        "What the model learned to treat alike: each point is a value, near points act alike"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(model) = model_or_offer(ui, cx, "There is no model with embeddings yet.") else { return };
        let running = cx.session.jobs.of(Purpose::Project).is_some();
        let Some(projected) = in_view(cx) else {
            let sources = offered(&model, cx);
            let first = first_source(&sources, model.encoder.keys.ad.as_deref());
            if running {
                ui.weak("Drawing the map …");
            } else if let Some(source) = first {
                if widgets::empty_state(ui, cx.theme, "No table is projected yet.", "Show the embeddings") {
                    let question = MapQuestion { source, ..MapQuestion::of("") };
                    cx.send(Command::Inspect(InspectCommand::Project(question)));
                }
            } else {
                let why = format!("A {} model has no embeddings to show.", model.kind);
                ui.weak(why);
                if ui.button("Train another kind").clicked() {
                    cx.send(Command::View(crate::session::commands::ViewCommand::Show("training")));
                }
            }
            return;
        };
        self.follow(&projected, cx);
        let current = Arc::ptr_eq(&model, &projected.model);
        self.controls(ui, cx, &projected, current);
        self.over_epochs(ui, cx, &projected);
        ui.horizontal_top(|ui| {
            let map = egui::vec2(ui.available_width() - SIDE_WIDTH - 12.0, ui.available_height());
            ui.allocate_ui(map, |ui| self.maps(ui, cx, &projected));
            ui.vertical(|ui| {
                ui.set_width(SIDE_WIDTH);
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    self.side(ui, cx, &projected);
                });
            });
        });
    }
}

/// The map while it moves, else the last one.
fn in_view(cx: &PanelContext<'_>) -> Option<Arc<Projected>> {
    let state = &cx.session.store.inspect;
    let moving = cx.session.jobs.of(Purpose::Project).and_then(|_| state.moving.get());
    moving.or_else(|| state.projected.clone())
}

/// What the model and the open log offer.
fn offered(model: &TrainedModel, cx: &PanelContext<'_>) -> Vec<Source> {
    Source::all(model, cx.session.store.log.as_ref().map(|open| &open.frame))
}

/// The ads where there are any: they are what people come for.
fn first_source(sources: &[Source], ad: Option<&str>) -> Option<Source> {
    let table = |source: &&Source| matches!(source, Source::Table(_));
    let wanted = sources.iter().filter(table).find(|source| source.field() == ad);
    wanted.or(sources.iter().find(table)).or(sources.first()).cloned()
}

impl EmbeddingsPanel {
    /// Colours the points anew when the map, the choice or the theme changed.
    fn follow(&mut self, projected: &Projected, cx: &PanelContext<'_>) {
        let projection = &projected.projection;
        if !self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, projection)) {
            let before = self.seen.replace(Arc::clone(projection));
            let same_map = before.as_ref().is_some_and(|before| before.question == projection.question);
            self.revision += 1;
            self.map += u64::from(!same_map);
            self.epochs.leave();
            let same_points = before.is_some_and(|before| Arc::ptr_eq(&before.values, &projection.values));
            if !same_points {
                self.forget_points();
            }
            self.question.get_or_insert_with(|| projection.question.clone());
        }
        self.link(&projection.values, cx);
        // Other points have other properties: start with the one most worth seeing.
        let same_points = self.chosen_for.as_ref() == Some(&projection.values.source);
        if !same_points || !self.colour_by.fits(projection) {
            self.chosen_for = Some(projection.values.source.clone());
            self.colour_by = ColourBy::default_for(projection);
        }
        let known = self.coloured.as_ref().is_some_and(|coloured| {
            coloured.is_of(projection) && coloured.is_by(&self.colour_by, cx.theme.dark)
        });
        if !known {
            self.coloured = Some(Coloured::new(projection, self.colour_by.clone(), cx.theme));
        }
    }

    fn forget_points(&mut self) {
        self.focus = None;
        self.selected = None;
        self.near.clear();
        self.marks.clear();
        self.linked = None;
        self.search.clear();
        self.hits.clear();
    }

    /// Selects the values most of whose rows lie in the group that is chosen for all panels.
    fn link(&mut self, values: &Values, cx: &PanelContext<'_>) {
        let marked = cx.session.store.marked.as_ref();
        let is_known = match (marked, &self.linked) {
            (Some(marked), Some(linked)) => Arc::ptr_eq(marked, linked),
            (None, None) => true,
            _ => false,
        };
        if is_known {
            return;
        }
        self.linked = marked.cloned();
        let Some(Ok(chosen)) = marked.map(|marked| &marked.found) else { return };
        let mut bits = Bits::new(values.len());
        for point in 0..values.len() {
            let column = values.source.column();
            let share = column.and_then(|column| chosen.share(column, values.name(point)));
            if share.is_some_and(|share| share > 0.5) {
                bits.set(point);
            }
        }
        self.selected = (bits.count() > 0).then(|| Arc::new(bits));
    }

    /// One map, or two side by side.
    fn maps(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, projected: &Projected) {
        let Some(other) = self.beside.laid_on(cx, projected) else {
            self.map(ui, cx, &projected.projection, &[]);
            return;
        };
        let arrows = if self.beside.arrows { other.arrows.clone() } else { Vec::new() };
        let width = (ui.available_width() - 8.0) / 2.0;
        let half = egui::vec2(width, ui.available_height());
        ui.horizontal_top(|ui| {
            ui.allocate_ui(half, |ui| ui.vertical(|ui| self.map(ui, cx, &projected.projection, &arrows)));
            ui.allocate_ui(half, |ui| {
                ui.vertical(|ui| {
                    ui.small(RichText::new(other.words.as_str()).color(cx.theme.weak_text));
                    self.beside.map(ui, cx, &other, self.coloured.as_ref(), &self.marks);
                });
            });
        });
    }

    fn map(
        &mut self,
        ui: &mut Ui,
        cx: &PanelContext<'_>,
        projection: &Arc<Projection>,
        arrows: &[(usize, [f32; 3])],
    ) {
        let Some(coloured) = &self.coloured else { return };
        let values = &projection.values;
        let label = |point: usize| short_name(values.name(point));
        let marks: Vec<usize> = self.marks.iter().chain(self.hits.iter().take(RINGED)).copied().collect();
        let then = self.epochs.places(projection);
        // Heaps are those of the map in view, not of what it was before.
        let named = self.colour_by == ColourBy::Cluster && then.is_none();
        let captions = if named { captions(projection) } else { Vec::new() };
        let scene = Scene {
            name: "Embedding map",
            map: self.map,
            revision: self.revision,
            places: then.as_deref().unwrap_or(&projection.map.places),
            codes: &coloured.codes,
            palette: &coloured.palette,
            selected: self.selected.as_ref(),
            marks: &marks,
            label: &label,
            captions: &captions,
            arrows,
        };
        let touched = self.view.show(ui, cx.theme, &scene);
        if let Some(point) = touched.hovered {
            egui::Tooltip::always_open(
                ui.ctx().clone(),
                ui.layer_id(),
                ui.scope_id().with("point card"),
                egui::PopupAnchor::Pointer,
            )
            .gap(14.0)
            .show(|ui| side::card(ui, cx.theme, projection, point));
        }
        if let Some(point) = touched.clicked {
            self.look_at(values, point);
        }
        if let Some((bits, join)) = touched.lassoed {
            let bits = match (join, &self.selected) {
                (Join::Add, Some(selected)) => selected.joined(&bits, true),
                (Join::Subtract, Some(selected)) => selected.joined(&bits, false),
                (Join::Subtract, None) => Bits::new(values.len()),
                _ => bits,
            };
            self.selected = (bits.count() > 0).then(|| Arc::new(bits));
        }
    }

    /// Puts a point in focus, with its neighbours.
    fn look_at(&mut self, values: &Values, point: usize) {
        self.near = values.neighbours(point, NEIGHBOURS);
        self.focus = Some(point);
        self.marks = std::iter::once(point).chain(self.near.iter().map(|near| near.place as usize)).collect();
    }
}

/// What the heaps are, where they are densest.
fn captions(projection: &Projection) -> Vec<([f32; 3], String)> {
    let peaks = projection.clusters.peaks.iter().enumerate();
    peaks.map(|(cluster, at)| (*at, short_name(&projection.label(cluster)))).collect()
}

/// Enough of a name to know it by.
fn short_name(name: &str) -> String {
    let mut text: String = name.chars().take(18).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    text
}
