//! Would a model of a part of the log learn sooner by beginning with one of all the rest?

use super::progress::with_interval;
use super::trials::part_field;
use crate::insight::transfer::{MOST_SEEDS, SHARES, Transfer, TransferPlan};
use crate::metrics::Estimate;
use crate::metrics::gains::Gains;
use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::tasks::trial::{Trial, Tried};
use crate::train::TrainSpec;
use crate::ui::charts::bands::{self, Band};
use crate::ui::charts::{self, curve::LegendCorner};
use crate::ui::{PanelContext, widgets};
use egui::{DragValue, Ui};

const CURVE_HEIGHT: f32 = 210.0;
const TABLE_HEIGHT: f32 = 160.0;

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct Transferring {
    /// True where the base is the model in view and the target the open log.
    from_model: bool,
    frozen: String,
    seeds: usize,
}

impl Default for Transferring {
    fn default() -> Self {
        Self { from_model: false, frozen: String::new(), seeds: 3 }
    }
}

impl Transferring {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, spec: TrainSpec, part: &mut String) {
        ui.horizontal_wrapped(|ui| {
            let model = cx.session.store.training.model().cloned();
            ui.add_enabled(
                model.is_some(),
                egui::Checkbox::new(&mut self.from_model, "begin with the model in view"),
            )
            .on_hover_text("Trained on another log: the open one is its target")
            .on_disabled_hover_text("No model is trained or opened");
            let target = if self.from_model { None } else { part_field(ui, "target", part) };
            let label = ui.label("parts that stay").id;
            let field =
                egui::TextEdit::singleline(&mut self.frozen).hint_text("embedding").desired_width(110.0);
            ui.add(field).labelled_by(label);
            let label = ui.label("seeds").id;
            ui.add(DragValue::new(&mut self.seeds).range(1..=MOST_SEEDS)).labelled_by(label);
            let busy = cx.session.jobs.of(Purpose::TryOut).is_some();
            let going_on = model.filter(|_| self.from_model).map(|model| TrainSpec::going_on(&model));
            let spec = match going_on.unwrap_or(Ok(spec)) {
                Ok(spec) => spec,
                Err(failure) => {
                    ui.colored_label(cx.theme.bad, failure.to_string());
                    return;
                }
            };
            let words = format!("Draw learning curves of {}", spec.kind);
            let asks = self.from_model || target.is_some();
            if ui.add_enabled(!busy && asks, egui::Button::new(words)).clicked() {
                let parts = self.frozen.split([',', ' ']).filter(|part| !part.is_empty());
                let plan = TransferPlan {
                    spec,
                    frozen: parts.map(ToOwned::to_owned).collect(),
                    shares: SHARES.to_vec(),
                    seeds: self.seeds,
                };
                cx.send(Command::Train(TrainCommand::TryOut(Box::new(Trial::Transfer(plan, target)))));
            }
            if busy {
                ui.spinner();
            }
        });
        let found = cx.session.store.training.tried(|tried| match tried {
            Tried::Transfer(found) => Some(found),
            _ => None,
        });
        match found {
            Some(found) => answer(ui, cx, found),
            None => {
                ui.weak(
                    "A base learns from all rows but the target's; then models of 5 % to all of the target's rows go on from \
                     it, and others begin with nothing. Both are asked about the same test rows of the target.",
                );
            }
        }
    }
}

fn answer(ui: &mut Ui, cx: &PanelContext<'_>, found: &Transfer) {
    let stays = match found.frozen.is_empty() {
        true => "all of it goes on learning".to_owned(),
        false => format!("its {} stay", found.frozen.join(", ")),
    };
    ui.label(format!(
        "The base ({}) learnt from {} rows; {stays}. As it is, its AUC on the target's {} test rows is {}, its log loss {}.",
        found.kind,
        widgets::grouped(found.base_rows as f64),
        widgets::grouped(found.test_rows as f64),
        with_interval(found.base.auc),
        with_interval(found.base.log_loss)
    ));
    let of = |pick: fn(&Gains) -> [Option<Estimate>; 2]| {
        ["from nothing", "from the base"].into_iter().enumerate().map(move |(side, name)| {
            let point = |point: &crate::insight::transfer::SharePoint| {
                let known = pick(&point.gains)[side]?;
                Some([point.rows as f64, known.value, known.low, known.high])
            };
            Band {
                name: name.to_owned(),
                colour: cx.theme.series(side),
                points: found.points.iter().filter_map(point).collect(),
            }
        })
    };
    let frame = |name, y| charts::Frame { name, x: "training rows of the target", y, height: CURVE_HEIGHT };
    ui.columns(2, |columns| {
        let auc: Vec<Band> = of(|gains| gains.auc).collect();
        let (corner, words) = (LegendCorner::RightBottom, frame("AUC by rows", "AUC"));
        bands::show_numbers(&mut columns[0], cx.theme, words, corner, &auc);
        let loss: Vec<Band> = of(|gains| gains.log_loss).collect();
        let (corner, words) = (LegendCorner::RightTop, frame("Log loss by rows", "log loss (nats)"));
        bands::show_numbers(&mut columns[1], cx.theme, words, corner, &loss);
    });
    let heads = [
        ("share", 60.0),
        ("rows", 80.0),
        ("seeds", 55.0),
        ("AUC from nothing (95 %)", 170.0),
        ("AUC from the base (95 %)", 170.0),
        ("AUC higher by (95 %)", 180.0),
        ("log loss higher by (95 %)", 180.0),
    ];
    widgets::data_table(ui, "transfer", &heads, found.points.len(), TABLE_HEIGHT, |ui, row, column| {
        let point = &found.points[row];
        let text = match column {
            0 => format!("{:.0} %", 100.0 * point.share),
            1 => widgets::grouped(point.rows as f64),
            2 => point.gains.runs.to_string(),
            3 => with_interval(point.gains.auc[0]),
            4 => with_interval(point.gains.auc[1]),
            5 => with_interval(point.gains.auc_gain),
            _ => with_interval(point.gains.loss_gain),
        };
        ui.add(egui::Label::new(text).truncate());
    });
    for point in &found.points {
        if let Some(missing) = &point.missing {
            ui.weak(format!("At {:.0} % a seed is missing: {missing}", 100.0 * point.share));
        }
    }
    ui.weak("Intervals draw users and seeds again.");
}
