//! How did the map change? A second one, of another model, method or seed, laid on the first as well as it can be.

use super::colouring::Coloured;
use super::short_name;
use crate::insight::Projection;
use crate::maps::procrustes::Alignment;
use crate::tasks::project::Projected;
use crate::ui::PanelContext;
use crate::ui::widgets::cloud_view::{CloudView, Scene};
use egui::Ui;
use std::collections::HashMap;
use std::sync::Arc;

/// Arrows at most: those of the points that moved farthest.
const ARROWS: usize = 300;

/// The choice of the other map, and how it lies on the first.
#[derive(Default)]
pub struct Beside {
    /// Movements are drawn.
    pub arrows: bool,
    chosen: Option<Arc<Projected>>,
    view: CloudView,
    laid: Option<Arc<Laid>>,
    revision: u64,
}

/// A map laid on another one, point by point of that one.
pub struct Laid {
    /// What it is and how well it fits.
    pub words: String,
    /// Where each point of the first map is in the other one; no number where it is not in it.
    pub places: Vec<[f32; 3]>,
    /// Where points that moved far came from.
    pub arrows: Vec<(usize, [f32; 3])>,
    on: Arc<Projection>,
    of: Arc<Projected>,
    revision: u64,
}

impl Beside {
    /// The list of the maps that are kept.
    pub fn chooser(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, shown: &Projected) {
        let others: Vec<&Arc<Projected>> = cx
            .session
            .store
            .inspect
            .maps
            .iter()
            .filter(|map| !Arc::ptr_eq(&map.projection, &shown.projection))
            .filter(|map| map.projection.question.source == shown.projection.question.source)
            .collect();
        if others.is_empty() {
            self.chosen = None;
            ui.weak("Beside: none yet")
                .on_hover_text("Draw a second map, or one of another model, to compare them");
            return;
        }
        let label = ui.label("Beside");
        let words = self.chosen.as_ref().map_or_else(|| "nothing".to_owned(), |map| title(map, cx));
        egui::ComboBox::from_id_salt("beside")
            .selected_text(words)
            .show_ui(ui, |ui| {
                if ui.selectable_label(self.chosen.is_none(), "nothing").clicked() {
                    self.chosen = None;
                }
                for map in others {
                    let chosen = self.chosen.as_ref().is_some_and(|chosen| Arc::ptr_eq(chosen, map));
                    if ui.selectable_label(chosen, title(map, cx)).clicked() {
                        self.chosen = Some(Arc::clone(map));
                    }
                }
            })
            .response
            .labelled_by(label.id);
        if self.chosen.is_some() {
            ui.checkbox(&mut self.arrows, "Arrows")
                .on_hover_text("From where points are there to where they are here");
        }
    }

    /// The chosen map, laid on the one that is shown; `None` while none is chosen, or where they share no points.
    pub fn laid_on(&mut self, cx: &PanelContext<'_>, shown: &Projected) -> Option<Arc<Laid>> {
        let chosen = self.chosen.as_ref()?;
        if Arc::ptr_eq(&chosen.projection, &shown.projection) {
            return None;
        }
        let known = self
            .laid
            .as_ref()
            .filter(|laid| Arc::ptr_eq(&laid.on, &shown.projection) && Arc::ptr_eq(&laid.of, chosen));
        if known.is_none() {
            self.revision += 1;
            let laid = laid(chosen, &shown.projection, title(chosen, cx), self.revision);
            self.laid = laid.map(Arc::new);
        }
        self.laid.clone()
    }

    /// Draws it, with the colours of the first.
    pub fn map(
        &mut self,
        ui: &mut Ui,
        cx: &PanelContext<'_>,
        laid: &Laid,
        coloured: Option<&Coloured>,
        marks: &[usize],
    ) {
        let Some(coloured) = coloured else { return };
        let label = |point: usize| short_name(laid.on.values.name(point));
        let scene = Scene {
            name: "Map beside",
            map: laid.revision,
            revision: laid.revision,
            places: &laid.places,
            codes: &coloured.codes,
            palette: &coloured.palette,
            selected: None,
            marks,
            label: &label,
            captions: &[],
            arrows: &[],
        };
        self.view.show(ui, cx.theme, &scene);
    }
}

/// A map in words: method, seed, and which model of the list where there are several.
fn title(map: &Projected, cx: &PanelContext<'_>) -> String {
    let question = &map.projection.question;
    let runs = &cx.session.store.training.models;
    let place = runs.iter().position(|run| Arc::ptr_eq(&run.model, &map.model));
    let model =
        place.map_or_else(|| map.model.kind.clone(), |place| format!("{} {}", place + 1, map.model.kind));
    format!("{} of {model}, {}, seed {}", question.method, question.metric.title(), question.seed)
}

fn laid(other: &Arc<Projected>, shown: &Arc<Projection>, title: String, revision: u64) -> Option<Laid> {
    let theirs = &other.projection;
    let by_name: HashMap<&str, usize> =
        (0..theirs.len()).map(|point| (theirs.values.name(point), point)).collect();
    let twin = |point: usize| {
        let place = by_name.get(shown.values.name(point)).and_then(|twin| theirs.map.places.get(*twin));
        place.copied().unwrap_or([f32::NAN; 3])
    };
    let there: Vec<[f32; 3]> = (0..shown.len()).map(twin).collect();
    let alignment = Alignment::of(&there, &shown.map.places)?;
    let places: Vec<[f32; 3]> = there.iter().map(|place| alignment.apply(*place)).collect();
    let mut moved: Vec<(f32, usize)> = places
        .iter()
        .zip(&shown.map.places)
        .map(|(from, to)| (0..3).map(|axis| (from[axis] - to[axis]).powi(2)).sum::<f32>())
        .enumerate()
        .filter(|(_, squared)| squared.is_finite())
        .map(|(point, squared)| (squared, point))
        .collect();
    let shared = moved.len();
    moved.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    moved.truncate(ARROWS);
    let words = format!(
        "{title}: turned, scaled and shifted onto the left one by {shared} shared values; {:.0} % of the spread \
         does not fit",
        100.0 * alignment.residual
    );
    Some(Laid {
        words,
        arrows: moved.into_iter().map(|(_, point)| (point, places[point])).collect(),
        places,
        on: Arc::clone(shown),
        of: Arc::clone(other),
        revision,
    })
}
