//! How did the space form? A slider over the epochs of the training, and a button that plays them.

use super::EmbeddingsPanel;
use crate::insight::{Projection, Source};
use crate::session::commands::inspect::InspectCommand;
use crate::session::commands::view::ViewCommand;
use crate::session::{Command, Purpose};
use crate::tasks::project::Projected;
use crate::ui::PanelContext;
use egui::{RichText, Ui};
use std::sync::Arc;

/// Seconds that a moment stays while they are played: longer than the way from one to the next.
const STAYS: f64 = 0.7;

/// Which moment is in view.
#[derive(Default)]
pub struct Epochs {
    /// Its place among the moments; `None` for the map itself.
    at: Option<usize>,
    /// When the next one comes, by the window's clock, while they are played.
    next: Option<f64>,
    /// Where the points are then.
    places: Option<Arc<Vec<[f32; 3]>>>,
}

impl Epochs {
    /// Where the points of this map are at the chosen moment; `None` while the map itself is in view.
    pub fn places(&self, projection: &Projection) -> Option<Arc<Vec<[f32; 3]>>> {
        self.places.clone().filter(|places| places.len() == projection.len())
    }

    /// Shows the map itself.
    pub fn leave(&mut self) {
        *self = Self::default();
    }
}

impl EmbeddingsPanel {
    /// The row of the slider, where the training was seen.
    pub(super) fn over_epochs(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, projected: &Projected) {
        let is_table = matches!(projected.projection.question.source, Source::Table(_));
        let Some(kept) = projected.model.epoch_tables().filter(|_| is_table) else { return };
        if !kept.is_worth_seeing() {
            if !kept.note.is_empty() {
                ui.label(RichText::new(&kept.note).small().color(cx.theme.weak_text));
            }
            return;
        }
        ui.horizontal_wrapped(|ui| {
            let drawn = cx.session.store.inspect.epochs.get();
            let drawn = drawn.filter(|drawn| Arc::ptr_eq(&drawn.projection, &projected.projection));
            let running = cx.session.jobs.of(Purpose::Epochs).is_some();
            let Some(drawn) = drawn.filter(|drawn| running || drawn.maps.moments.len() == drawn.maps.of)
            else {
                self.epochs.leave();
                let text = format!("Draw after each of {} epochs", kept.epochs.len());
                let help = "The same map of the table as it was, each laid on the next: watch the space form";
                let ready = projected.projection.moving.is_none() && !running;
                if ui.add_enabled(ready, egui::Button::new(text)).on_hover_text(help).clicked() {
                    cx.send(Command::Inspect(InspectCommand::DrawEpochs));
                }
                return;
            };
            let moments = &drawn.maps.moments;
            if moments.len() < drawn.maps.of {
                ui.weak(format!("{} of {} epochs drawn", moments.len(), drawn.maps.of));
                if ui.button("Stop drawing epochs").clicked() {
                    cx.send(Command::View(ViewCommand::Cancel(Purpose::Epochs)));
                }
                return;
            }
            let before = self.epochs.at;
            self.play(ui, moments.len());
            let last = moments.len() - 1;
            let label = ui.label("Epoch");
            let mut at = self.epochs.at.unwrap_or(last);
            ui.spacing_mut().slider_width = 260.0;
            let slider = egui::Slider::new(&mut at, 0..=last).show_value(false);
            if ui.add(slider).labelled_by(label.id).changed() {
                (self.epochs.at, self.epochs.next) = (Some(at), None);
            }
            let moment = self.epochs.at.and_then(|at| moments.get(at));
            ui.label(match moment {
                Some(moment) => format!("after {} of {} epochs", moment.epoch, moments[last].epoch),
                None => "the map in view: the weights that were kept".to_owned(),
            });
            if self.epochs.at.is_some() && ui.button("Back to the map").clicked() {
                self.epochs.leave();
            }
            let fit = moment.and_then(|moment| moment.residual);
            let fit = fit.map(|residual| {
                format!("{:.0} % of the spread does not fit its neighbour", 100.0 * residual)
            });
            let notes: Vec<String> =
                fit.into_iter().chain([drawn.maps.note.clone()]).filter(|note| !note.is_empty()).collect();
            ui.label(RichText::new(notes.join("; ")).small().color(cx.theme.weak_text));
            if self.epochs.at != before {
                self.epochs.places =
                    self.epochs.at.and_then(|at| moments.get(at)).map(|moment| Arc::clone(&moment.places));
                self.revision += 1;
            }
        });
    }

    /// The button, and the next moment when its time has come.
    fn play(&mut self, ui: &mut Ui, moments: usize) {
        let now = ui.input(|input| input.time);
        let playing = self.epochs.next.is_some();
        if ui.button(if playing { "Pause epochs" } else { "Play epochs" }).clicked() {
            self.epochs.next = if playing { None } else { Some(now) };
            if !playing && self.epochs.at.is_none_or(|at| at + 1 >= moments) {
                self.epochs.at = None;
            }
        }
        let Some(next) = self.epochs.next else { return };
        if now >= next {
            let at = self.epochs.at.map_or(0, |at| at + 1);
            if at < moments {
                self.epochs.at = Some(at);
                self.epochs.next = Some(now + STAYS);
            } else {
                self.epochs.next = None;
                return;
            }
        }
        ui.request_repaint_after(std::time::Duration::from_secs_f64(STAYS));
    }
}
