//! How much smaller can the model in view be, and what does that cost?

use super::progress::with_interval;
use crate::insight::compression::Side;
use crate::models::MODELS;
use crate::nn::packed::Packing;
use crate::session::commands::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::compress::Compressed;
use crate::train::compress::Recipe;
use crate::ui::{PanelContext, widgets};
use egui::Ui;

const TABLE_HEIGHT: f32 = 90.0;

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct Compressing {
    prune: f64,
    packing: Packing,
    /// The kind that learns what the model says, by its place among all.
    distil: Option<usize>,
    /// What of each outcome the model says.
    share: f64,
}

impl Default for Compressing {
    fn default() -> Self {
        Self { prune: 0.0, packing: Packing::Int8, distil: None, share: 1.0 }
    }
}

impl Compressing {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let Some(model) = cx.session.store.training.model() else {
            ui.weak("No model is trained yet, so none can be made smaller.");
            return;
        };
        let kind = model.kind.clone();
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("keep weights as").id;
            egui::ComboBox::from_id_salt("packing")
                .selected_text(self.packing.word())
                .show_ui(ui, |ui| {
                    for (word, packing) in Packing::WORDS {
                        ui.selectable_value(&mut self.packing, packing, word);
                    }
                })
                .response
                .labelled_by(label)
                .on_hover_text("32 bits, 16 bits, or 8 bits with a scale for 32 of them");
            let label = ui.label("prune").id;
            widgets::percent(ui, &mut self.prune, 0.0..=0.99).labelled_by(label).on_hover_text(
                "Share of each matrix's and table's numbers that become 0, the smallest first",
            );
            let label = ui.label("teach").id;
            let named = self.distil.and_then(|place| MODELS.get(place));
            egui::ComboBox::from_id_salt("distil")
                .selected_text(named.map_or("no other kind", |kind| kind.label()))
                .show_ui(ui, |ui| {
                    ui.selectable_value(&mut self.distil, None, "no other kind");
                    for (place, kind) in MODELS.iter().enumerate() {
                        ui.selectable_value(&mut self.distil, Some(place), kind.label());
                    }
                })
                .response
                .labelled_by(label)
                .on_hover_text(
                    "A new model of this kind learns what the one in view says of the training rows",
                );
            if self.distil.is_some() {
                let label = ui.label("teacher's share").id;
                ui.add(egui::DragValue::new(&mut self.share).range(0.05..=1.0).speed(0.01))
                    .labelled_by(label);
            }
            let busy = cx.session.jobs.of(Purpose::Compress).is_some();
            let recipe = Recipe { prune: self.prune, packing: self.packing };
            let asks = recipe != Recipe::default() || self.distil.is_some();
            let words = format!("Make {kind} smaller");
            if ui.add_enabled(asks && !busy, egui::Button::new(words)).clicked() {
                let distil = self.distil.and_then(|place| MODELS.get(place)).map(|kind| kind.id());
                cx.send(Command::Inspect(InspectCommand::Compress(
                    distil.map(|kind| (kind.to_owned(), self.share)),
                    recipe,
                )));
            }
            if busy {
                ui.spinner();
            } else if !asks {
                ui.weak("Choose fewer bits, a share to prune, or a kind to teach.");
            }
        });
        match cx.session.store.inspect.compressed.clone() {
            Some(compressed) => answer(ui, &compressed),
            None => {
                ui.weak(
                    "The smaller model joins the list below, and both are measured on the same test rows: quality, bytes \
                     and speed.",
                );
            }
        }
    }
}

fn answer(ui: &mut Ui, compressed: &Compressed) {
    let found = &compressed.found;
    let heads = [
        ("model", 190.0),
        ("bytes", 100.0),
        ("rows/s", 90.0),
        ("AUC (95 %)", 180.0),
        ("log loss (95 %)", 180.0),
        ("pred./actual (95 %)", 170.0),
    ];
    let Recipe { prune, packing } = compressed.recipe;
    let how = format!("{}, {}, {:.0} % pruned", found.after.kind, packing.word(), 100.0 * prune);
    let rows: [(&str, &Side); 2] = [(&found.before.kind, &found.before), (&how, &found.after)];
    widgets::data_table(ui, "compression", &heads, rows.len(), TABLE_HEIGHT, |ui, row, column| {
        let (name, side) = rows[row];
        let text = match column {
            0 => name.to_owned(),
            1 => widgets::grouped(side.bytes as f64),
            2 => widgets::grouped(side.rows_per_second),
            3 => with_interval(side.measures.auc),
            4 => with_interval(side.measures.log_loss),
            _ => with_interval(side.measures.predicted_over_actual),
        };
        ui.add(egui::Label::new(text).truncate());
    });
    ui.label(format!(
        "Smaller by {:.0} %. On the same {} test rows its AUC is {} higher (DeLong), its log loss {} higher.",
        100.0 * (1.0 - found.after.bytes as f64 / found.before.bytes.max(1) as f64),
        widgets::grouped(found.rows as f64),
        with_interval(found.differences.auc),
        with_interval(found.differences.log_loss)
    ));
    ui.weak(
        "Weights are unpacked when the model is opened: fewer bits save room, a smaller kind saves time too.",
    );
}
