//! What would clients learn together whose rows nobody gathers, and what would that tell of each?

use super::progress::with_interval;
use crate::metrics::{Estimate, Measures};
use crate::models::ModelKind;
use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::tasks::federated::TrainedByClients;
use crate::train::TrainSpec;
use crate::train::federated::{Federation, Noise};
use crate::ui::charts::bands::{self, Band};
use crate::ui::charts::{self, curve::LegendCorner};
use crate::ui::{PanelContext, widgets};
use egui::{DragValue, Ui};

const CURVE_HEIGHT: f32 = 190.0;
const TABLE_HEIGHT: f32 = 220.0;

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct Federating {
    federation: Federation,
    hides: bool,
    noise: Noise,
}

impl Default for Federating {
    fn default() -> Self {
        let noise = Noise { clip: 1.0, multiplier: 1.0, delta: 1e-5, budget: 8.0 };
        Self { federation: Federation::default(), hides: false, noise }
    }
}

impl Federating {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, kind: &'static dyn ModelKind) {
        let Some(dataset) = cx.session.store.dataset.clone() else {
            ui.weak("No log with clicks is open, so there are no clients.");
            return;
        };
        let columns: Vec<&str> =
            dataset.encoder.categorical.iter().map(|field| field.name.as_str()).collect();
        if !columns.contains(&self.federation.column.as_str()) {
            // A publisher or a region where one is named so, else the first.
            let named =
                |words: &&str| ["publisher", "region", "city"].iter().any(|word| words.contains(word));
            let first = columns.iter().find(|words| named(words)).or(columns.first());
            self.federation.column = first.map_or_else(String::new, |words| (*words).to_owned());
        }
        self.form(ui, &columns);
        ui.horizontal_wrapped(|ui| {
            let busy = cx.session.jobs.of(Purpose::Federate).is_some();
            let words = format!("Train {} on clients by {}", kind.label(), self.federation.column);
            if ui.add_enabled(!busy, egui::Button::new(words)).clicked()
                && let Ok(spec) = TrainSpec::new(kind.id())
            {
                let noise = self.hides.then_some(self.noise);
                let federation = Federation { noise, ..self.federation.clone() };
                cx.send(Command::Train(TrainCommand::Federate(spec, federation)));
            }
            if busy {
                ui.spinner();
            }
        });
        match cx.session.store.training.federated.clone() {
            Some(trained) => answer(ui, cx, &trained),
            None => {
                ui.weak(
                    "Each value of the column is a client that steps on its own rows; only masked sums of their changes \
                     are added. The model joins the list below. All clients are simulated in this program.",
                );
            }
        }
    }

    fn form(&mut self, ui: &mut Ui, columns: &[&str]) {
        let Self { federation, hides, noise } = self;
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("clients by").id;
            egui::ComboBox::from_id_salt("client column")
                .selected_text(federation.column.clone())
                .show_ui(ui, |ui| {
                    for column in columns {
                        ui.selectable_value(&mut federation.column, (*column).to_owned(), *column);
                    }
                })
                .response
                .labelled_by(label);
            let label = ui.label("rounds").id;
            ui.add(DragValue::new(&mut federation.rounds).range(1..=1000)).labelled_by(label);
            let label = ui.label("share of clients").id;
            ui.add(DragValue::new(&mut federation.share).range(0.01..=1.0).speed(0.01)).labelled_by(label);
            let label = ui.label("passes").id;
            ui.add(DragValue::new(&mut federation.local_epochs).range(1..=50)).labelled_by(label);
            let label = ui.label("learning rate").id;
            ui.add(DragValue::new(&mut federation.rate).range(1e-4..=10.0).speed(0.01)).labelled_by(label);
        });
        ui.horizontal_wrapped(|ui| {
            ui.checkbox(hides, "hide each client by noise");
            if !*hides {
                return;
            }
            let label = ui.label("clip to length").id;
            ui.add(DragValue::new(&mut noise.clip).range(1e-3..=100.0).speed(0.01)).labelled_by(label);
            let label = ui.label("noise").id;
            ui.add(DragValue::new(&mut noise.multiplier).range(0.1..=100.0).speed(0.05))
                .labelled_by(label)
                .on_hover_text("Deviation in the sum of a round, in clipping lengths");
            let label = ui.label("epsilon at most").id;
            ui.add(DragValue::new(&mut noise.budget).range(0.1..=100.0).speed(0.1)).labelled_by(label);
            ui.weak(format!("with delta {}", noise.delta));
        });
    }
}

fn answer(ui: &mut Ui, cx: &PanelContext<'_>, trained: &TrainedByClients) {
    let found = &trained.found;
    let [least, most] = found.rows.map(|rows| widgets::grouped(rows as f64));
    ui.label(format!(
        "{} clients by {}, {least} to {most} rows each; {} without a click take part as any other.",
        widgets::grouped(found.clients as f64),
        found.column,
        widgets::grouped(found.without_clicks as f64)
    ));
    let spent = found.rounds.last().and_then(|round| round.epsilon);
    if let (Some(epsilon), Some(delta)) = (spent, found.delta) {
        let ended = if found.spent { "; one more round would spend more than the budget" } else { "" };
        ui.label(format!("Spent of each client: epsilon {epsilon:.2} with delta {delta}{ended}."));
    }
    let of = |name: &str, pick: fn(&Measures) -> Option<Estimate>| {
        let point = |(place, round): (usize, &crate::train::federated::Round)| {
            let known = pick(round.validation.as_ref()?)?;
            Some([place as f64 + 1.0, known.value, known.low, known.high])
        };
        let points = found.rounds.iter().enumerate().filter_map(point).collect();
        [Band { name: name.to_owned(), colour: cx.theme.series(0), points }]
    };
    let frame = |name, y| charts::Frame { name, x: "round", y, height: CURVE_HEIGHT };
    ui.columns(2, |columns| {
        let auc = of("AUC", |measures| measures.auc);
        let (corner, words) = (LegendCorner::RightBottom, frame("AUC by round", "AUC"));
        bands::show_numbers(&mut columns[0], cx.theme, words, corner, &auc);
        let loss = of("log loss", |measures| measures.log_loss);
        let (corner, words) = (LegendCorner::RightTop, frame("Log loss by round", "log loss (nats)"));
        bands::show_numbers(&mut columns[1], cx.theme, words, corner, &loss);
    });
    let heads = [
        ("round", 60.0),
        ("clients", 70.0),
        ("clipped", 70.0),
        ("epsilon", 70.0),
        ("validation AUC (95 %)", 190.0),
        ("log loss (95 %)", 190.0),
    ];
    widgets::data_table(ui, "federated", &heads, found.rounds.len(), TABLE_HEIGHT, |ui, row, column| {
        let round = &found.rounds[row];
        let text = match column {
            0 => (row + 1).to_string(),
            1 => round.clients.to_string(),
            2 => round.clipped.to_string(),
            3 => round.epsilon.map_or_else(|| "-".to_owned(), |epsilon| format!("{epsilon:.2}")),
            4 => with_interval(round.validation.and_then(|known| known.auc)),
            _ => with_interval(round.validation.and_then(|known| known.log_loss)),
        };
        ui.add(egui::Label::new(text).truncate());
    });
}
