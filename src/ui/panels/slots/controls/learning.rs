//! Do the bidders learn while ads are shown, and does what people like turn meanwhile?

use crate::market::learning::{Learning, Turn};
use crate::train::online::ONLINE_PARAMS;
use crate::ui::form;
use crate::ui::panels::slots::draft::Draft;
use egui::{CollapsingHeader, Grid, Slider, Ui};

/// Draws a tick for the what-if's bidders and one for the world.
pub fn show(ui: &mut Ui, draft: &mut Draft) {
    let any = draft.spec.turn.is_some() || draft.what_if().learning.is_some();
    CollapsingHeader::new("Learning while ads are shown").default_open(any).show(ui, |ui| {
        let learning = &mut draft.what_if().learning;
        let mut learns = learning.is_some();
        let hint = "Every impression teaches a learner on top of the model: profile, recommendation, feedback, update. The \
                    baseline's model stays as it is";
        if ui.checkbox(&mut learns, "The what-if's bidders learn").on_hover_text(hint).changed() {
            *learning = learns.then(Learning::default);
        }
        if let Some(learning) = learning {
            let hint = "Larger steps after an alarm of drift; what predicts worse than the frozen model is held back";
            ui.checkbox(&mut learning.guard, "Guard").on_hover_text(hint);
            CollapsingHeader::new("Knobs of the learner").show(ui, |ui| {
                form::params_form(ui, "online learner", ONLINE_PARAMS, &mut learning.params);
            });
        }
        let mut turns = draft.spec.turn.is_some();
        let hint = "In both worlds each ad is then liked as another one was: the model in view knows nothing of it";
        if ui.checkbox(&mut turns, "What people like turns").on_hover_text(hint).changed() {
            draft.spec.turn = turns.then_some(Turn { at: 0.4, strength: 1.0 });
        }
        if let Some(turn) = &mut draft.spec.turn {
            ui.spacing_mut().slider_width = 80.0;
            Grid::new("turn").num_columns(2).show(ui, |ui| {
                let label = ui.label("From").on_hover_text("After this share of the run");
                ui.add(Slider::new(&mut turn.at, 0.0..=1.0).max_decimals(2)).labelled_by(label.id);
                ui.end_row();
                let label = ui.label("How far");
                ui.add(Slider::new(&mut turn.strength, 0.0..=1.0).max_decimals(2)).labelled_by(label.id);
                ui.end_row();
            });
        }
    });
    ui.add_space(6.0);
}
