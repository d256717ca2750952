//! Why this probability? One impression: its inputs, each to be edited; what each adds; what another value would do; and the
//! fewest changes that lead across a threshold.

use super::{Panel, model_or_offer};
use crate::data::Dataset;
use crate::insight::prediction::{Edit, InputValue, OneChange, Prediction, Shares, Slopes};
use crate::metrics::Estimate;
use crate::session::commands::DataCommand;
use crate::session::commands::inspect::{InspectCommand, model_in_view};
use crate::session::{Command, Purpose};
use crate::tasks::prediction::{EditedQuestion, Predicted, Reasons};
use crate::train::TrainedModel;
use crate::ui::charts::bars::{self, BarStyle};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Values of a field in its menu.
const LISTED: usize = 100;
/// Fields whose changes are told.
const CHANGES: usize = 8;

/// One impression.
pub struct PredictionPanel {
    /// Place among the test rows, from 1.
    place: usize,
    edits: Vec<Edit>,
    /// Percent that a counterfactual leads to.
    target: f64,
    /// Fields that a counterfactual leaves alone.
    kept: Vec<String>,
    /// What was last asked, of which model: the score, and the reasons.
    asked: Option<(EditedQuestion, Arc<TrainedModel>)>,
}

impl Default for PredictionPanel {
    fn default() -> Self {
        Self { place: 1, edits: Vec::new(), target: 10.0, kept: Vec::new(), asked: None }
    }
}

impl Panel for PredictionPanel {
    fn id(&self) -> &'static str {
        "prediction"
    }

    fn title(&self) -> &'static str {
        "Prediction"
    }

    fn summary(&self) -> &'static str {
        "Why this probability: what each input adds, and what another value would do"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(model) = model_or_offer(ui, cx, "There is no model to ask yet.") else { return };
        let Some(dataset) = cx.session.store.dataset.clone() else {
            if widgets::empty_state(
                ui,
                cx.theme,
                "No log is open whose rows could be scored.",
                "Open the sample",
            ) {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        };
        if dataset.test.is_empty() {
            ui.weak("The log has no test rows.");
            return;
        }
        self.choose(ui, &model, &dataset);
        self.ask(cx, &model, &dataset);
        let current = cx.session.store.inspect.predicted.clone();
        match current.filter(|known| Arc::ptr_eq(&known.model, &model)) {
            None => drop(ui.weak("Scoring …")),
            Some(known) => match &known.prediction {
                Err(failure) => {
                    ui.colored_label(cx.theme.bad, failure.to_string());
                    if ui.button("As it was").clicked() {
                        self.edits.clear();
                    }
                }
                Ok(prediction) => self.answer(ui, cx, &known, prediction, &model),
            },
        }
    }
}

impl PredictionPanel {
    fn choose(&mut self, ui: &mut Ui, model: &TrainedModel, dataset: &Dataset) {
        let rows = dataset.test.len();
        self.place = self.place.clamp(1, rows);
        let before = self.place;
        ui.horizontal_wrapped(|ui| {
            ui.strong(&model.kind);
            let label = ui.label("Test row").id;
            let suffix = format!(" of {}", widgets::grouped(rows as f64));
            ui.add(egui::DragValue::new(&mut self.place).range(1..=rows).suffix(suffix)).labelled_by(label);
            if ui.button("Next").on_hover_text("The next test row").clicked() {
                self.place = self.place % rows + 1;
            }
        });
        if self.place != before {
            self.edits.clear();
        }
    }

    /// Asks for score and reasons where the row, its edits or the model are others than before.
    fn ask(&mut self, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>, dataset: &Dataset) {
        let question = EditedQuestion { row: dataset.test[self.place - 1], edits: self.edits.clone() };
        let known =
            self.asked.as_ref().is_some_and(|(asked, of)| *asked == question && Arc::ptr_eq(of, model));
        if known {
            return;
        }
        cx.send(Command::Inspect(InspectCommand::Predict(question.clone())));
        cx.send(Command::Inspect(InspectCommand::Why(question.clone(), None)));
        self.asked = Some((question, Arc::clone(model)));
    }

    fn answer(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        known: &Predicted,
        prediction: &Prediction,
        model: &TrainedModel,
    ) {
        self.score(ui, cx.theme, known, prediction);
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            // The numbers at the right edge stand clear of the scroll bar.
            ui.set_max_width(ui.available_width() - 12.0);
            ui.columns(2, |columns| {
                self.inputs(&mut columns[0], cx.theme, &prediction.row.inputs, model);
                let right = &mut columns[1];
                let reasons = cx.session.store.inspect.reasons.clone();
                let reasons = reasons.filter(|reasons| reasons.question == known.question);
                shares(right, cx.theme, reasons.as_deref());
                right.add_space(10.0);
                similar(right, cx.theme, reasons.as_deref());
                right.add_space(10.0);
                self.changes(right, cx.theme, &prediction.changes);
                right.add_space(10.0);
                self.counterfactual(right, cx, &known.question, reasons.as_deref());
            });
        });
    }

    fn score(&mut self, ui: &mut Ui, theme: &Theme, known: &Predicted, prediction: &Prediction) {
        ui.horizontal_wrapped(|ui| {
            let p = format!("{:.3} %", 100.0 * prediction.p_click);
            ui.label(RichText::new(p).size(22.0).strong().color(theme.accent));
            ui.label("probability of a click");
            if let Some(interval) = &prediction.interval {
                ui.label(interval.in_percent()).on_hover_text(format!(
                    "Where one more model, trained in the same way on another draw of the rows, would come out: 95 %, from {} \
                     members. What all of them get wrong alike it does not tell.",
                    known.model.members()
                ));
            }
            if !self.edits.is_empty() {
                ui.weak(format!("(as it was: {:.3} %)", 100.0 * prediction.p_unedited));
                if widgets::small_button(ui, "As it was").on_hover_text("Takes all edits back").clicked() {
                    self.edits.clear();
                }
            }
            match known.clicked {
                Some(label) if label > 0.0 => drop(ui.colored_label(theme.good, "It was clicked.")),
                Some(_) => drop(ui.weak("It was not clicked.")),
                None => {}
            }
        });
        if !known.others.is_empty() {
            let others: Vec<String> =
                known.others.iter().map(|(kind, p)| format!("{kind} {:.3} %", 100.0 * p)).collect();
            ui.weak(format!("The same row under other models: {}", others.join(", ")));
        }
        for note in &prediction.row.notes {
            ui.colored_label(theme.warn, note);
        }
        ui.add_space(4.0);
    }

    /// The row's inputs, each with a menu or a field to change it.
    fn inputs(&mut self, ui: &mut Ui, theme: &Theme, inputs: &[InputValue], model: &TrainedModel) {
        ui.strong("Inputs");
        let encoder = &model.encoder;
        egui::Grid::new("inputs").num_columns(2).striped(true).spacing([12.0, 5.0]).show(ui, |ui| {
            for input in inputs {
                let colour = if input.edited { theme.accent } else { theme.text };
                let label = ui.label(RichText::new(&input.name).color(colour)).id;
                let mut value = input.value.clone();
                if let Some(field) = encoder.position(&input.name) {
                    let values = &encoder.categorical[field].values;
                    let menu = egui::ComboBox::from_id_salt(("input", &input.name))
                        .selected_text(&value)
                        .width(190.0);
                    let menu = menu.show_ui(ui, |ui| {
                        for known in values.iter().take(LISTED) {
                            ui.selectable_value(&mut value, known.clone(), known);
                        }
                        for known in ["missing", "rare or new"] {
                            ui.selectable_value(&mut value, known.to_owned(), known);
                        }
                        if values.len() > LISTED {
                            ui.weak(format!("{LISTED} of {} values", widgets::grouped(values.len() as f64)));
                        }
                    });
                    menu.response.labelled_by(label);
                } else if encoder.numeric.iter().any(|field| field.name == input.name) {
                    let mut number: f64 = value.parse().unwrap_or(0.0);
                    let speed = 0.01 * number.abs().max(1.0);
                    let drag = ui.add(egui::DragValue::new(&mut number).speed(speed));
                    if drag.labelled_by(label).changed() {
                        value = number.to_string();
                    }
                } else {
                    ui.add(egui::Label::new(&value).truncate());
                }
                if value != input.value {
                    self.edit(&input.name, &value);
                }
                ui.end_row();
            }
        });
    }

    fn edit(&mut self, name: &str, value: &str) {
        self.edits.retain(|(field, _)| field != name);
        self.edits.push((name.to_owned(), value.to_owned()));
    }

    /// What one other value would do, by how much it moves the score.
    fn changes(&mut self, ui: &mut Ui, theme: &Theme, changes: &[OneChange]) {
        ui.strong("One other value");
        ui.weak("The value of each field that leads highest and lowest; click one to take it.");
        egui::Grid::new("changes").num_columns(3).striped(true).spacing([12.0, 4.0]).show(ui, |ui| {
            for change in changes.iter().take(CHANGES) {
                for ((value, p), colour) in [(&change.highest, theme.good), (&change.lowest, theme.bad)] {
                    let words = format!("{} = {value}", change.name);
                    if ui.link(RichText::new(words).color(colour)).clicked() {
                        self.edit(&change.name, value);
                    }
                    ui.label(format!("{:.3} %", 100.0 * p));
                }
                let tried = (change.tried < change.known).then(|| {
                    format!("{} of {} values tried", change.tried, widgets::grouped(change.known as f64))
                });
                ui.weak(tried.unwrap_or_default());
                ui.end_row();
            }
        });
    }

    /// The fewest changes that lead across a probability.
    fn counterfactual(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        question: &EditedQuestion,
        reasons: Option<&Reasons>,
    ) {
        ui.strong("What would it take?");
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("to reach").id;
            ui.add(egui::DragValue::new(&mut self.target).range(0.001..=99.9).speed(0.1).suffix(" %"))
                .labelled_by(label);
            let free = cx.session.jobs.of(Purpose::Why).is_none();
            if ui.add_enabled(free, egui::Button::new("Look for the fewest changes")).clicked() {
                let target = Some((self.target / 100.0, self.kept.clone()));
                cx.send(Command::Inspect(InspectCommand::Why(question.clone(), target)));
            }
        });
        ui.horizontal_wrapped(|ui| {
            ui.weak("without touching:");
            let fields = model_in_view(cx.session).map(|model| model.encoder.categorical.as_slice());
            for field in fields.unwrap_or_default() {
                let mut kept = self.kept.contains(&field.name);
                if ui.checkbox(&mut kept, &field.name).changed() {
                    self.kept.retain(|name| *name != field.name);
                    if kept {
                        self.kept.push(field.name.clone());
                    }
                }
            }
        });
        match reasons.and_then(|reasons| reasons.counterfactual.as_ref()) {
            None => {}
            Some((_, Err(failure))) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
            Some((target, Ok(found))) => {
                let changes: Vec<String> =
                    found.changes.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                let p = Estimate::score_in_percent(found.p_click, found.interval, 3);
                let words = match (found.crossed, changes.is_empty()) {
                    (true, true) => format!("It lies beyond {:.3} % already: {p}.", 100.0 * target),
                    (true, false) => format!("{}: {p}", changes.join(", then ")),
                    (false, _) => format!(
                        "No {} changes lead to {:.3} %; {} lead to {p}.",
                        changes.len().max(1),
                        100.0 * target,
                        changes.join(", then ")
                    ),
                };
                ui.label(words);
                if !changes.is_empty() && widgets::small_button(ui, "Take them").clicked() {
                    let found = found.changes.clone();
                    found.iter().for_each(|(name, value)| self.edit(name, value));
                }
            }
        }
    }
}

/// What each input adds to the log odds, the largest first.
fn shares(ui: &mut Ui, theme: &Theme, reasons: Option<&Reasons>) {
    let found = match reasons.map(|reasons| &reasons.shares) {
        None => {
            ui.weak("Sharing out the log odds …");
            return;
        }
        Some(Err(failure)) => {
            ui.colored_label(theme.bad, failure.to_string());
            return;
        }
        Some(Ok(found)) => found,
    };
    let title = "Shares in the log odds of a click, 95 % intervals";
    ui.strong(title);
    let mut order: Vec<usize> = (0..found.shares.len()).collect();
    order.sort_by(|a, b| found.shares[*b].log_odds.abs().total_cmp(&found.shares[*a].log_odds.abs()));
    let row = |place: &usize| {
        let share = &found.shares[*place];
        let half = crate::metrics::rates::Z_95 * share.error;
        bars::Row {
            name: format!("{} = {}", share.name, share.value),
            value: share.log_odds,
            interval: Some((share.log_odds - half, share.log_odds + half)),
            text: format!("{:+.3}", share.log_odds),
        }
    };
    let rows: Vec<bars::Row> = order.iter().map(row).collect();
    let style = BarStyle { name: title, colour: theme.series(0), reference: Some(0.0), marked: None };
    bars::show(ui, theme, style, &rows);
    ui.weak(sum_words(found));
    if let Some(slopes) = reasons.map(|reasons| &reasons.slopes) {
        egui::CollapsingHeader::new("The same by integrated gradients").show(ui, |ui| match slopes {
            Ok(slopes) => by_slopes(ui, theme, found, slopes),
            Err(failure) => drop(ui.weak(&failure.why)),
        });
    }
}

/// What each input adds by the slopes on the way from an average row.
fn by_slopes(ui: &mut Ui, theme: &Theme, found: &Shares, slopes: &Slopes) {
    let mut order: Vec<usize> = (0..slopes.parts.len().min(found.shares.len())).collect();
    order.sort_by(|a, b| slopes.parts[*b].abs().total_cmp(&slopes.parts[*a].abs()));
    let row = |place: &usize| bars::Row {
        name: format!("{} = {}", found.shares[*place].name, found.shares[*place].value),
        value: slopes.parts[*place],
        interval: None,
        text: format!("{:+.3}", slopes.parts[*place]),
    };
    let rows: Vec<bars::Row> = order.iter().map(row).collect();
    let title = "Integrated gradients in the log odds of a click";
    let style = BarStyle { name: title, colour: theme.series(1), reference: Some(0.0), marked: None };
    bars::show(ui, theme, style, &rows);
    ui.weak(format!(
        "From {:.3}, the log odds of the average row (mean embeddings and numbers, no history), to {:.3} for this row, both          before the calibration layer: {} pieces, complete to {:.0e}.",
        slopes.base, slopes.log_odds, slopes.pieces, slopes.gap
    ));
}

/// Past impressions like this one, and what happened.
fn similar(ui: &mut Ui, theme: &Theme, reasons: Option<&Reasons>) {
    let found = match reasons.map(|reasons| &reasons.similar) {
        None => return,
        Some(Err(failure)) => return drop(ui.weak(failure.to_string())),
        Some(Ok(found)) => found,
    };
    ui.strong("Similar past impressions");
    ui.label(format!(
        "The {} most similar of {} training rows: clicked {}, n {}; the model says {:.3} % for them",
        widgets::grouped(found.rate.trials),
        widgets::grouped(found.looked_through as f64),
        found.rate.estimate().in_percent(),
        widgets::grouped(found.rate.trials),
        100.0 * found.predicted
    ));
    let sampled = if found.looked_through < found.known {
        format!(
            " {} of {} training rows were looked through, evenly spread.",
            found.looked_through, found.known
        )
    } else {
        String::new()
    };
    ui.weak(format!(
        "Likeness weighs each input by the size of its share above; the least among them is {:.0} %.{sampled}",
        100.0 * found.least
    ));
    egui::CollapsingHeader::new("The most similar").show(ui, |ui| {
        for row in &found.rows {
            ui.horizontal_wrapped(|ui| {
                ui.label(format!("row {}, {:.0} % alike", row.row + 1, 100.0 * row.likeness));
                let (text, colour) =
                    if row.label > 0.0 { ("clicked", theme.good) } else { ("not clicked", theme.weak_text) };
                ui.colored_label(colour, text);
                if !row.differs.is_empty() {
                    ui.weak(format!("other: {}", row.differs.join(", ")));
                }
            });
        }
    });
}

/// That the shares add up, and over what they are means.
fn sum_words(found: &Shares) -> String {
    let sum: f64 = found.shares.iter().map(|share| share.log_odds).sum();
    format!(
        "Log odds: {:.3} for the mean of {} training rows, and the shares add up to {:+.3}: {:.3} for this row ({:.3} by the \
         model). Shapley values over {} orders of the inputs, forwards and backwards; an interval tells how sure the sampling \
         is, not how sure the model.",
        found.base,
        found.background,
        sum,
        found.base + sum,
        found.log_odds,
        widgets::grouped(found.orders as f64)
    )
}
