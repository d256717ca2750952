//! Does the model treat groups alike, and what would other thresholds cost?

mod exposure;

use super::{Panel, model_or_offer};
use crate::data::query::groupable_columns;
use crate::data::{LogFrame, Split};
use crate::insight::fairness::{FairGroup, Fairness, FairnessQuestion};
use crate::metrics::Estimate;
use crate::metrics::fairness::{Chosen, GroupRates};
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::train::TrainedModel;
use crate::ui::widgets::short_table::{Title, short_table};
use crate::ui::{PanelContext, Theme, widgets};
use egui::Ui;
use std::sync::Arc;

/// Groups with fewer impressions are left out.
const MIN_IMPRESSIONS: f64 = 100.0;

/// Groups of a column under the model in view.
#[derive(Default)]
pub struct FairnessPanel {
    column: Option<String>,
    /// Percent; `None` at cost over value.
    threshold: Option<f64>,
    /// `None` where the average row breaks even.
    click_value: Option<f64>,
    asked: Option<(FairnessQuestion, Arc<TrainedModel>)>,
    view: View,
    exposure: exposure::ExposureView,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum View {
    /// Whom a threshold selects.
    #[default]
    Thresholds,
    /// Whom the model shows what.
    Exposure,
}

impl Panel for FairnessPanel {
    fn id(&self) -> &'static str {
        "fairness"
    }

    fn title(&self) -> &'static str {
        "Fairness"
    }

    fn summary(&self) -> &'static str {
        "Whom a threshold on the score selects and what equal treatment costs; whom the model shows what"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(model) = model_or_offer(ui, cx, "There is no model to look into yet.") else { return };
        let log = cx.session.store.log.as_ref().map(|open| open.frame.clone());
        let Some(log) = log.filter(|_| cx.session.store.dataset.is_some()) else {
            ui.weak("No log is open that models can read.");
            return;
        };
        ui.horizontal(|ui| {
            ui.selectable_value(&mut self.view, View::Thresholds, "Thresholds");
            ui.selectable_value(&mut self.view, View::Exposure, "Exposure")
                .on_hover_text("Which ads the model would show whom, and whether lists become narrower");
        });
        ui.add_space(4.0);
        if self.view == View::Exposure {
            return self.exposure.ui(ui, cx, &model);
        }
        let answer = cx.session.store.inspect.fairness.clone();
        let found = answer.as_ref().and_then(|answer| answer.found.as_ref().ok());
        self.question(ui, &log, &model, found);
        self.ask(cx, &model);
        let asked = self.asked.as_ref().map(|(question, _)| question);
        match answer.filter(|answer| Arc::ptr_eq(&answer.model, &model)) {
            None => drop(ui.weak("Comparing the groups …")),
            Some(answer) => {
                // While a slider moves the former answer stays in sight.
                let stale = asked != Some(&answer.question);
                match &answer.found {
                    Err(failure) if !stale => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
                    Err(_) => drop(ui.weak("Comparing the groups …")),
                    Ok(found) => show(ui, cx.theme, found),
                }
            }
        }
    }
}

impl FairnessPanel {
    fn question(&mut self, ui: &mut Ui, log: &LogFrame, model: &TrainedModel, found: Option<&Fairness>) {
        let columns = groupable_columns(log);
        if self.column.as_ref().is_none_or(|column| !columns.contains(column)) {
            // A column about people is what most would ask for first.
            let of_people = model.encoder.categorical.iter().map(|field| &field.name);
            let first = of_people
                .filter(|name| columns.contains(name))
                .find(|name| Some(*name) != model.encoder.keys.user.as_ref());
            self.column = first.cloned().or_else(|| columns.first().cloned());
        }
        ui.horizontal_wrapped(|ui| {
            ui.strong(&model.kind);
            let label = ui.label("by").id;
            let mut column = self.column.clone().unwrap_or_default();
            let menu =
                egui::ComboBox::from_id_salt("fairness column").selected_text(&column).show_ui(ui, |ui| {
                    for name in &columns {
                        ui.selectable_value(&mut column, name.clone(), name);
                    }
                });
            menu.response.labelled_by(label);
            self.column = Some(column);
            let economics = found.map(|found| found.economics);
            let label = ui.label("A click brings").id;
            let known = economics.map_or(1.0, |economics| economics.click_value);
            let mut value = self.click_value.unwrap_or(known);
            let drag = egui::DragValue::new(&mut value).range(1.0..=100_000.0).speed(0.5).max_decimals(1);
            let drag = ui.add(drag).labelled_by(label);
            if drag
                .on_hover_text("In costs of an impression; at first what the average row breaks even at")
                .changed()
            {
                self.click_value = Some(value);
            }
            let label = ui.label("impressions' cost; selected from").id;
            let even = economics.map_or(0.0, |economics| 100.0 * economics.break_even());
            let mut percent = self.threshold.unwrap_or(even);
            let drag = egui::DragValue::new(&mut percent)
                .range(0.0..=100.0)
                .speed(0.02)
                .max_decimals(3)
                .suffix(" %");
            if ui.add(drag).labelled_by(label).changed() {
                self.threshold = Some(percent);
            }
            let own = self.threshold.is_some() || self.click_value.is_some();
            if own && widgets::small_button(ui, "As at first").clicked() {
                self.threshold = None;
                self.click_value = None;
            }
        });
        ui.add_space(4.0);
    }

    fn ask(&mut self, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        let question = FairnessQuestion {
            column: self.column.clone().unwrap_or_default(),
            threshold: self.threshold.map(|percent| percent / 100.0),
            value_over_cost: self.click_value,
            min_impressions: MIN_IMPRESSIONS,
        };
        let asked = self.asked.as_ref();
        let known = asked.is_some_and(|(asked, of)| *asked == question && Arc::ptr_eq(of, model));
        let jobs = &cx.session.jobs;
        let lost = cx.session.store.inspect.fairness.is_none() && jobs.of(Purpose::Fairness).is_none();
        if !known || lost {
            cx.send(Command::Inspect(InspectCommand::Fairness(Split::Test, question.clone())));
            self.asked = Some((question, Arc::clone(model)));
        }
    }
}

fn show(ui: &mut Ui, theme: &Theme, found: &Fairness) {
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(ui.available_width() - 12.0);
        ui.strong("Test rows by group");
        let first = found.groups.first().map_or("", |group| group.name.as_str());
        ui.weak(format!(
            "Differences are to {first}, the largest group; 95 % intervals (Wilson, Newcombe), rows taken as independent."
        ));
        groups(ui, theme, found);
        for (name, rate, why) in &found.left_out {
            ui.weak(format!("Left out: {name}, {} impressions: {why}.", widgets::grouped(rate.trials)));
        }
        ui.add_space(12.0);
        ui.strong("What equal treatment costs");
        ui.weak("Gaps are the largest difference between two groups; thresholds stand in the order of the groups above.");
        strategies(ui, theme, found);
    });
}

fn groups(ui: &mut Ui, theme: &Theme, found: &Fairness) {
    let titles: [Title<'_>; 9] = [
        ("Group", 100.0, "Value of the column"),
        ("Impressions", 84.0, "Rows, or their weight"),
        ("CTR, 95 %", 146.0, "Actual click rate"),
        ("Predicted / actual", 140.0, "1 where the model is calibrated"),
        ("AUC", 142.0, "Ranking inside the group, DeLong's interval"),
        ("Selected", 66.0, "Share of its impressions at or above the threshold"),
        ("Difference", 140.0, "Demographic parity: selection rate less that of the largest group, in points"),
        ("True positives", 90.0, "Share of its clicks at or above the threshold"),
        (
            "Difference",
            140.0,
            "Equal opportunity: true positive rate less that of the largest group, in points",
        ),
    ];
    let mut rows: Vec<Vec<(String, bool)>> =
        found.groups.iter().zip(&found.chosen.groups).map(|(group, rates)| cells(group, rates)).collect();
    // The largest group is what the others are compared with.
    for cell in [6, 8] {
        rows[0][cell] = ("-".to_owned(), false);
    }
    short_table(ui, theme, "fairness groups", &titles, &rows);
}

/// Texts, and whether the difference is more than chance explains.
fn cells(group: &FairGroup, rates: &GroupRates) -> Vec<(String, bool)> {
    let fit = &group.fit;
    let ratio = fit.predicted_over_actual;
    let plain = |text: String| (text, false);
    let points = |gap: &Estimate| {
        let text = format!("{:+.1} ({:+.1} to {:+.1})", 100.0 * gap.value, 100.0 * gap.low, 100.0 * gap.high);
        (text, gap.excludes(0.0))
    };
    vec![
        plain(group.name.clone()),
        plain(widgets::grouped(fit.actual.trials)),
        plain(widgets::percent_with_interval(&fit.actual)),
        (Estimate::known_in_words(ratio, 2), ratio.is_some_and(|ratio| ratio.excludes(1.0))),
        plain(Estimate::known_in_words(fit.auc, 3)),
        plain(format!("{:.1} %", 100.0 * rates.selected.rate)),
        points(&group.selection),
        plain(format!("{:.1} %", 100.0 * rates.true_positive.rate)),
        points(&group.opportunity),
    ]
}

fn strategies(ui: &mut Ui, theme: &Theme, found: &Fairness) {
    let titles: [Title<'_>; 7] = [
        ("Strategy", 150.0, "How the thresholds are chosen"),
        ("Profit", 80.0, "What clicks of the selected bring less their cost, in costs of an impression"),
        ("Selection gap", 96.0, "Demographic parity difference"),
        ("Opportunity gap", 110.0, "Equal opportunity difference: of true positive rates"),
        ("Odds gap", 80.0, "Equalised odds difference: of true or false positive rates"),
        ("Accuracy gap", 96.0, "Of the shares of right answers"),
        ("Thresholds", 380.0, "In the order of the groups"),
    ];
    let row = |name: &str, chosen: &Chosen| -> Vec<(String, bool)> {
        let gaps = chosen.gaps();
        let percent = |share: f64| (format!("{:.1} %", 100.0 * share), false);
        let threshold =
            |at: &f64| if at.is_finite() { format!("{:.2} %", 100.0 * at) } else { "nobody".to_owned() };
        let thresholds: Vec<String> = chosen.thresholds.iter().map(threshold).collect();
        let all_same = chosen.thresholds.windows(2).all(|pair| pair[0] == pair[1]);
        let thresholds = if all_same { thresholds[..1].to_vec() } else { thresholds };
        vec![
            (name.to_owned(), false),
            (widgets::grouped(chosen.profit.round()), false),
            percent(gaps.selection),
            percent(gaps.opportunity),
            percent(gaps.odds),
            percent(gaps.accuracy),
            (thresholds.join(", "), false),
        ]
    };
    let mut rows = vec![row("the threshold above", &found.chosen)];
    rows.extend(found.strategies.iter().map(|chosen| row(chosen.strategy.name(), chosen)));
    short_table(ui, theme, "fairness strategies", &titles, &rows);
}
