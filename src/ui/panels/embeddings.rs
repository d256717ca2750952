//! Which values did the model learn to treat alike?

mod colouring;
mod side;

use super::{Panel, model_or_offer};
use crate::gpu::Bits;
use crate::insight::{MapQuestion, Projection};
use crate::maps::search::Near;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::project::Projected;
use crate::tasks::segment::Marked;
use crate::ui::widgets::cloud_view::{CloudView, Scene};
use crate::ui::{PanelContext, widgets};
use colouring::{ColourBy, Coloured};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Neighbours listed.
const NEIGHBOURS: usize = 12;
/// Width of the column beside the map.
const SIDE_WIDTH: f32 = 270.0;

/// The map of an embedding table.
#[derive(Default)]
pub struct EmbeddingsPanel {
    view: CloudView,
    colour_by: ColourBy,
    /// The field that `colour_by` was chosen for.
    field: String,
    coloured: Option<Coloured>,
    revision: u64,
    focus: Option<usize>,
    near: Vec<Near>,
    marks: Vec<usize>,
    selected: Option<Arc<Bits>>,
    /// The group chosen for all panels, once its points are selected here.
    linked: Option<Arc<Marked>>,
    audience_name: String,
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
        let Some(projected) = cx.session.store.inspect.projected.clone() else {
            let fields: Vec<String> = model.tables().into_iter().map(|table| table.field).collect();
            let first = first_field(&fields, model.encoder.keys.ad.as_deref());
            if running {
                ui.weak("Projecting …");
            } else if widgets::empty_state(ui, cx.theme, "No table is projected yet.", "Show the embeddings")
            {
                cx.send(Command::Inspect(InspectCommand::Project(MapQuestion::of(first))));
            }
            return;
        };
        self.follow(&projected, cx);
        let current = Arc::ptr_eq(&model, &projected.model);
        self.controls(ui, cx, &projected, current, running);
        ui.horizontal_top(|ui| {
            let map = egui::vec2(ui.available_width() - SIDE_WIDTH - 12.0, ui.available_height());
            ui.allocate_ui(map, |ui| self.map(ui, cx, &projected.projection));
            ui.vertical(|ui| {
                ui.set_width(SIDE_WIDTH);
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    self.side(ui, cx, &projected);
                });
            });
        });
    }
}

/// The ads where there are any: they are what people come for.
fn first_field(fields: &[String], ad: Option<&str>) -> String {
    let wanted = fields.iter().find(|field| Some(field.as_str()) == ad);
    wanted.or(fields.first()).cloned().unwrap_or_default()
}

impl EmbeddingsPanel {
    /// Colours the points anew when the projection, the choice or the theme changed.
    fn follow(&mut self, projected: &Projected, cx: &PanelContext<'_>) {
        let projection = &projected.projection;
        let same_points = self.coloured.as_ref().is_some_and(|coloured| coloured.is_of(projection));
        if !same_points {
            self.focus = None;
            self.selected = None;
            self.near.clear();
            self.marks.clear();
            self.linked = None;
        }
        self.link(projection, cx);
        // Another field has other properties: start with the one most worth seeing.
        let same_field = self.field == projection.values.table.field;
        if !same_field || !self.colour_by.fits(projection) {
            self.field.clone_from(&projection.values.table.field);
            self.colour_by = ColourBy::default_for(projection);
        }
        let known = self
            .coloured
            .as_ref()
            .is_some_and(|coloured| same_points && coloured.is_by(&self.colour_by, cx.theme.dark));
        if !known {
            self.revision += 1;
            self.coloured = Some(Coloured::new(projection, self.colour_by.clone(), cx.theme));
        }
    }

    /// Selects the values most of whose rows lie in the group that is chosen for all panels.
    fn link(&mut self, projection: &Projection, cx: &PanelContext<'_>) {
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
        let mut bits = Bits::new(projection.len());
        for point in 0..projection.len() {
            let share = chosen.share(&projection.values.table.field, projection.values.name(point));
            if share.is_some_and(|share| share > 0.5) {
                bits.set(point);
            }
        }
        self.selected = (bits.count() > 0).then(|| Arc::new(bits));
    }

    fn controls(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        projected: &Projected,
        current: bool,
        running: bool,
    ) {
        let projection = &projected.projection;
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Table");
            let shown = &projection.values.table.field;
            egui::ComboBox::from_id_salt("table")
                .selected_text(shown)
                .show_ui(ui, |ui| {
                    for table in projected.model.tables() {
                        let text = format!("{} ({} values x {})", table.field, table.rows, table.width);
                        if ui.selectable_label(table.field == *shown, text).clicked() {
                            cx.send(Command::Inspect(InspectCommand::Project(MapQuestion::of(table.field))));
                        }
                    }
                })
                .response
                .labelled_by(label.id);
            let label = ui.label("Colour by");
            egui::ComboBox::from_id_salt("colour by")
                .selected_text(self.colour_by.title())
                .show_ui(ui, |ui| {
                    for choice in ColourBy::all(projection) {
                        let title = choice.title();
                        ui.selectable_value(&mut self.colour_by, choice, title);
                    }
                })
                .response
                .labelled_by(label.id);
            ui.separator();
            self.view.toolbar(ui);
            if running {
                ui.weak("projecting …");
            } else if !current {
                ui.colored_label(cx.theme.warn, "of an earlier model");
                if ui.button("Project the present one").clicked() {
                    cx.send(Command::Inspect(InspectCommand::Project(MapQuestion::of(shown.clone()))));
                }
            }
        });
        let shown = projection.explained().unwrap_or(0.0);
        let of = projection.values.table.width;
        let mut words = format!(
            "{} model, principal components: x and y hold {:.0} % of the variance of {of} numbers",
            projected.model.kind,
            100.0 * shown
        );
        if !projection.values.left_out.is_empty() {
            words = format!("{words}; {}", projection.values.left_out);
        }
        ui.label(RichText::new(words).small().color(cx.theme.weak_text));
    }

    fn map(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, projection: &Arc<Projection>) {
        let Some(coloured) = &self.coloured else { return };
        let label = |point: usize| short_name(projection.values.name(point));
        let scene = Scene {
            name: "Embedding map",
            revision: self.revision,
            cloud: &coloured.cloud,
            palette: &coloured.palette,
            selected: self.selected.as_ref(),
            marks: &self.marks,
            label: &label,
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
            self.look_at(projection, point);
        }
        if let Some(bits) = touched.lassoed {
            self.selected = (bits.count() > 0).then(|| Arc::new(bits));
        }
    }

    /// Puts a point in focus, with its neighbours.
    fn look_at(&mut self, projection: &Projection, point: usize) {
        self.near = projection.values.neighbours(point, NEIGHBOURS);
        self.focus = Some(point);
        self.marks = std::iter::once(point).chain(self.near.iter().map(|near| near.place as usize)).collect();
    }
}

/// Enough of a name to know it by.
fn short_name(name: &str) -> String {
    let mut text: String = name.chars().take(18).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    text
}
