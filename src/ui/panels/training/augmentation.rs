//! Would made rows help where a part of the log has few?

use super::progress::with_interval;
use super::trials::part_field;
use crate::insight::augmentation::{AugmentPlan, Augmented};
use crate::metrics::gains::Gains;
use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::tasks::trial::{Trial, Tried};
use crate::train::TrainSpec;
use crate::train::gan::Game;
use crate::ui::{PanelContext, widgets};
use egui::{DragValue, Ui};

const TABLE_HEIGHT: f32 = 170.0;

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct Augmenting {
    share: f64,
    seeds: usize,
    steps: usize,
}

impl Default for Augmenting {
    fn default() -> Self {
        Self { share: 1.0, seeds: 3, steps: Game::default().steps }
    }
}

impl Augmenting {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, spec: TrainSpec, part: &mut String) {
        ui.horizontal_wrapped(|ui| {
            let segment = part_field(ui, "thin segment", part);
            let label = ui.label("rows to make").id;
            widgets::percent(ui, &mut self.share, 0.05..=20.0)
                .labelled_by(label)
                .on_hover_text("A share of the segment's training rows");
            let label = ui.label("steps").id;
            ui.add(DragValue::new(&mut self.steps).range(50..=100_000)).labelled_by(label);
            let label = ui.label("seeds").id;
            ui.add(DragValue::new(&mut self.seeds).range(1..=20)).labelled_by(label);
            let busy = cx.session.jobs.of(Purpose::TryOut).is_some();
            let words = format!("Train {} with made rows", spec.kind);
            let button = ui.add_enabled(!busy && segment.is_some(), egui::Button::new(words));
            if let Some(segment) = segment.filter(|_| button.clicked()) {
                let game = Game { steps: self.steps, ..Game::default() };
                let plan = AugmentPlan { spec, game, share: self.share, seeds: self.seeds };
                cx.send(Command::Train(TrainCommand::TryOut(Box::new(Trial::Augmentation(plan, segment)))));
            }
            if busy {
                ui.spinner();
            }
        });
        let found = cx.session.store.training.tried(|tried| match tried {
            Tried::Augmentation(found) => Some(found),
            _ => None,
        });
        match found {
            Some(found) => answer(ui, found),
            None => {
                ui.weak(
                    "A generator learns against a discriminator what rows look like (GAN) and makes more of the segment. Models \
                     with and without them, and with as many real rows repeated, are judged on the real test rows.",
                );
            }
        }
    }
}

fn answer(ui: &mut Ui, found: &Augmented) {
    ui.strong(found.verdict());
    let heads = [
        ("more training rows", 185.0),
        ("test rows", 110.0),
        ("AUC before (95 %)", 148.0),
        ("AUC with them (95 %)", 148.0),
        ("AUC higher by (95 %)", 162.0),
        ("log loss higher by (95 %)", 162.0),
    ];
    let rows: Vec<(&str, String, &Gains)> = [(&found.segment, "of the segment"), (&found.whole, "in all")]
        .into_iter()
        .flat_map(|(judged, whose)| {
            let rows = format!("{} {whose}", widgets::grouped(judged.rows as f64));
            judged.lines().map(|(name, gains)| (name, rows.clone(), gains))
        })
        .collect();
    widgets::data_table(ui, "augmented", &heads, rows.len(), TABLE_HEIGHT, |ui, row, column| {
        let (name, rows, gains) = &rows[row];
        let text = match column {
            0 => (*name).to_owned(),
            1 => rows.clone(),
            2 => with_interval(gains.auc[0]),
            3 => with_interval(gains.auc[1]),
            4 => with_interval(gains.auc_gain),
            _ => with_interval(gains.loss_gain),
        };
        ui.add(egui::Label::new(text).truncate());
    });
    ui.label(format!(
        "{} rows were made for the segment's {}. The discriminator is right about {} of real and made rows that it was not \
         trained on (50 % where it cannot tell); the value of the game is {:.3} (-1.386 there).",
        widgets::grouped(found.made as f64),
        widgets::grouped(found.rows as f64),
        found.told_apart.estimate().in_percent(),
        found.game_value
    ));
    let heads = [("shares of", 260.0), ("distance of made rows", 150.0), ("by chance", 90.0)];
    let all: Vec<_> = found.columns.iter().chain(&found.pairs).collect();
    widgets::data_table(ui, "made columns", &heads, all.len(), TABLE_HEIGHT, |ui, row, column| {
        let text = match column {
            0 => all[row].of.clone(),
            1 => format!("{:.3}", all[row].distance),
            _ => format!("{:.3}", all[row].by_chance),
        };
        ui.add(egui::Label::new(text).truncate());
    });
    ui.weak(
        "Half the sum of the absolute differences to the segment's real rows: 0 is the same, 1 has nothing in common. By \
         chance: as many rows drawn from the real ones. Intervals draw users and seeds again.",
    );
}
