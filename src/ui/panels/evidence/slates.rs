//! Other ways to fill pages of several ads: four estimators, what each assumes of people, and what it rests on.

use super::ask;
use crate::market::counterfactual::Policy;
use crate::market::slates::{SlateAnswer, SlateQuestion, SlateTarget};
use crate::session::Purpose;
use crate::session::commands::evidence::has_model;
use crate::tasks::evidence::EvidenceQuestion;
use crate::ui::panels::segments::complain;
use crate::ui::{PanelContext, widgets};
use egui::{ComboBox, Grid, Ui};

/// The question on the screen.
#[derive(Default)]
pub struct SlatesView {
    /// The column that tells pages apart.
    page: Option<String>,
    /// The column of positions; `None`: the slot.
    position: Option<String>,
    /// The column of propensities; `None`: the one whose name says so.
    propensity: Option<String>,
    /// The column of the policy in question; `None`: each item as likely, or by the model.
    target: Option<String>,
    /// Chances by the model's predictions, to this power.
    by_model: bool,
    /// The choice at a position depended on those above it.
    dependent: bool,
}

impl SlatesView {
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let busy = cx.session.jobs.of(Purpose::Evidence).is_some();
        let columns: Vec<String> = (cx.session.store.log.iter())
            .flat_map(|log| log.frame.schema.columns.iter().map(|column| column.name.clone()))
            .collect();
        ui.horizontal_wrapped(|ui| {
            choose(ui, "Page", "which?", &mut self.page, &columns);
            choose(ui, "Position", "the slot", &mut self.position, &columns);
            choose(ui, "Probability of the choice", "by its name", &mut self.propensity, &columns);
            let otherwise = if self.by_model { "by the model" } else { "each as likely" };
            choose(ui, "Policy in question", otherwise, &mut self.target, &columns);
            ui.add_enabled_ui(self.target.is_none() && has_model(cx.session), |ui| {
                ui.checkbox(&mut self.by_model, "by predicted rate")
                    .on_hover_text("In proportion to the model's prediction");
            });
            let hint = "No ad twice on a page, for one: then IIPS and the pseudo-inverse have no value";
            ui.checkbox(&mut self.dependent, "choices depend on those above").on_hover_text(hint);
            let asked = self.page.clone().filter(|_| !busy);
            if ui.add_enabled(asked.is_some(), egui::Button::new("Ask about these pages")).clicked()
                && let Some(page) = asked
            {
                let policy = if self.by_model { Policy::Power(1.0) } else { Policy::Even };
                let target = match &self.target {
                    Some(column) => SlateTarget::Column(column.clone()),
                    None => SlateTarget::Policy(policy),
                };
                let (position, propensity) = (self.position.clone(), self.propensity.clone());
                let independent = !self.dependent;
                let question = SlateQuestion { page, position, propensity, target, independent };
                ask(cx, EvidenceQuestion::Slates(question));
            }
        });
        match &cx.session.store.evidence.slates {
            None => {
                ui.add_space(6.0);
                ui.label(
                    "For a log of pages with several ads, a row an ad: which column says what is one page? The less is \
                     assumed of how people look through a page, the wider the interval.",
                );
            }
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(found)) => show_answer(ui, found),
        }
    }
}

/// A column of the log, or none.
fn choose(ui: &mut Ui, name: &str, none: &str, chosen: &mut Option<String>, columns: &[String]) {
    let label = ui.label(name);
    let text = chosen.clone().unwrap_or_else(|| none.to_owned());
    let combo = ComboBox::from_id_salt(("pages", name)).selected_text(text).show_ui(ui, |ui| {
        ui.selectable_value(chosen, None, none);
        for column in columns {
            ui.selectable_value(chosen, Some(column.clone()), column);
        }
    });
    combo.response.labelled_by(label.id);
}

fn show_answer(ui: &mut Ui, found: &SlateAnswer) {
    ui.add_space(6.0);
    ui.strong(format!(
        "{}: {} pages of {} ads, {:.4} clicks a page as logged",
        found.policy,
        widgets::grouped(found.pages as f64),
        found.positions,
        found.logged
    ));
    Grid::new("slates").num_columns(5).striped(true).spacing([18.0, 5.0]).show(ui, |ui| {
        ["estimator", "clicks a page, asymptotic 95 %", "bootstrap 95 %", "worth pages", "right where"]
            .iter()
            .for_each(|head| drop(ui.weak(*head)));
        ui.end_row();
        for told in &found.values {
            ui.label(told.estimator.label());
            match &told.value {
                Ok(value) => {
                    ui.label(value.normal.in_words(4));
                    ui.label(
                        value
                            .bootstrap
                            .map_or_else(String::new, |[low, high]| format!("{low:.4} to {high:.4}")),
                    );
                }
                Err(why) => {
                    ui.weak(format!("none: {why}"));
                    ui.label("");
                }
            }
            ui.label(widgets::grouped(told.checks.effective.round()));
            ui.weak(told.assumes);
            ui.end_row();
        }
    });
    ui.weak("Where they differ beyond their intervals, people do not look through pages as the narrower one assumes.");
    for note in &found.notes {
        ui.weak(format!("Assumed: {note}."));
    }
}
