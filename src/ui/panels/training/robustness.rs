//! How good do the models stay when their embeddings are moved against them?

use super::progress::with_interval;
use super::ticked_or_in_view;
use crate::insight::robustness::{AttackQuestion, Robustness};
use crate::metrics::{Estimate, Measures};
use crate::session::commands::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::robustness::Attacked;
use crate::ui::charts::bands::{self, Band};
use crate::ui::charts::{self, curve::LegendCorner, short};
use crate::ui::{PanelContext, widgets};
use egui::Ui;
use std::collections::BTreeSet;

const CURVE_HEIGHT: f32 = 190.0;
const TABLE_HEIGHT: f32 = 260.0;
/// Steps of PGD at first.
const STEPS: usize = 8;

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct Attacking {
    searches_on: bool,
    steps: usize,
    epsilons: String,
}

impl Default for Attacking {
    fn default() -> Self {
        let usual: Vec<String> = AttackQuestion::default().epsilons.iter().map(f64::to_string).collect();
        Self { searches_on: false, steps: STEPS, epsilons: usual.join(", ") }
    }
}

impl Attacking {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, chosen: &BTreeSet<usize>) {
        let training = &cx.session.store.training;
        if training.models.is_empty() {
            ui.weak("No model is trained yet, so none can be attacked.");
            return;
        }
        let places = ticked_or_in_view(training, chosen);
        ui.horizontal_wrapped(|ui| {
            ui.selectable_value(&mut self.searches_on, false, "FGM")
                .on_hover_text("One step along the gradient of each impression's loss");
            ui.selectable_value(&mut self.searches_on, true, "PGD")
                .on_hover_text("Several steps; the worst place that was seen counts");
            if self.searches_on {
                let label = ui.label("steps").id;
                ui.add(egui::DragValue::new(&mut self.steps).range(2..=50)).labelled_by(label);
            }
            let label = ui.label("epsilons").id;
            ui.add(egui::TextEdit::singleline(&mut self.epsilons).desired_width(220.0)).labelled_by(label);
            let busy = cx.session.jobs.of(Purpose::Attack).is_some();
            let words = format!("Attack {} model{}", places.len(), if places.len() == 1 { "" } else { "s" });
            let question = self.question();
            let ready = !busy && question.is_some();
            if ui.add_enabled(ready, egui::Button::new(words)).clicked() {
                let question = question.clone().unwrap_or_default();
                cx.send(Command::Inspect(InspectCommand::Attack(places.clone(), question)));
            }
            if busy {
                ui.spinner();
            } else if question.is_none() {
                ui.colored_label(cx.theme.warn, "Epsilons are numbers with commas between them.");
            } else {
                ui.weak("Those ticked in the list below; the one in view where none is.");
            }
        });
        match cx.session.store.inspect.attacked.clone() {
            Some(attacked) => answer(ui, cx, &attacked),
            None => {
                ui.weak(
                    "Moves the embeddings of every test impression against the model, by epsilon at most, and measures \
                     it again. A model trained with Harden should lose less.",
                );
            }
        }
    }

    fn question(&self) -> Option<AttackQuestion> {
        let numbers = self.epsilons.split([',', ' ', ';']).filter(|text| !text.is_empty());
        let epsilons = numbers.map(|text| text.parse().ok()).collect::<Option<Vec<f64>>>()?;
        let steps = if self.searches_on { self.steps } else { 1 };
        (!epsilons.is_empty()).then(|| AttackQuestion { epsilons, steps, ..AttackQuestion::default() })
    }
}

fn answer(ui: &mut Ui, cx: &PanelContext<'_>, attacked: &Attacked) {
    let mut told: Vec<(String, &Robustness)> = Vec::new();
    for (place, (model, found)) in attacked.found.iter().enumerate() {
        let runs = &cx.session.store.training.models;
        let run = runs.iter().position(|run| std::sync::Arc::ptr_eq(&run.model, model));
        let hardened = match model.params.choice("adversarial") {
            Ok(word) if word != "off" => format!(", {word}"),
            _ => String::new(),
        };
        let name = format!("{} {}{hardened}", run.unwrap_or(place) + 1, model.kind);
        match found {
            Ok(found) => told.push((name, found)),
            Err(failure) => drop(ui.colored_label(cx.theme.bad, format!("{name}: {failure}"))),
        }
    }
    let Some((_, first)) = told.first() else { return };
    let of = |pick: fn(&Measures) -> Option<Estimate>| -> Vec<Band> {
        let band = |(place, (name, found)): (usize, &(String, &Robustness))| Band {
            name: name.clone(),
            colour: cx.theme.series(place),
            points: found
                .points
                .iter()
                .filter_map(|point| {
                    let known = pick(&point.measures)?;
                    Some([point.epsilon, known.value, known.low, known.high])
                })
                .collect(),
        };
        told.iter().enumerate().map(band).collect()
    };
    let frame =
        |name, y| charts::Frame { name, x: "epsilon (length of the change)", y, height: CURVE_HEIGHT };
    ui.columns(2, |columns| {
        let auc = of(|measures| measures.auc);
        let corner = LegendCorner::RightTop;
        bands::show_numbers(&mut columns[0], cx.theme, frame("AUC under attack", "AUC"), corner, &auc);
        let loss = of(|measures| measures.log_loss);
        let corner = LegendCorner::LeftTop;
        let frame = frame("Log loss under attack", "log loss (nats)");
        bands::show_numbers(&mut columns[1], cx.theme, frame, corner, &loss);
    });
    let rows: Vec<_> = told
        .iter()
        .flat_map(|(name, found)| found.points.iter().map(move |point| (name, found.length, point)))
        .collect();
    let heads = [
        ("model", 150.0),
        ("epsilon", 66.0),
        ("of their length", 96.0),
        ("AUC (95 %)", 170.0),
        ("log loss (95 %)", 170.0),
        ("pred./actual (95 %)", 160.0),
    ];
    widgets::data_table(ui, "robustness", &heads, rows.len(), TABLE_HEIGHT, |ui, row, column| {
        let (name, length, point) = rows[row];
        let text = match column {
            0 => name.clone(),
            1 => short(point.epsilon),
            2 => format!("{:.0} %", 100.0 * point.epsilon / length),
            3 => with_interval(point.measures.auc),
            4 => with_interval(point.measures.log_loss),
            _ => with_interval(point.measures.predicted_over_actual),
        };
        ui.add(egui::Label::new(text).truncate());
    });
    ui.weak(format!(
        "{} of {} test rows, spread evenly. The attack knows the outcomes: a bound on what errors of embeddings can do, no \
         forecast.",
        widgets::grouped(first.rows as f64),
        widgets::grouped(first.out_of as f64)
    ));
}
