//! Other ways to choose ads: the simulation, the log's estimate and the actual in one row, and what they rest on.

use super::ask;
use crate::base::Failure;
use crate::market::counterfactual::{Answer, Policy, Propensities, Question};
use crate::metrics::Estimate;
use crate::session::commands::ViewCommand;
use crate::session::commands::evidence::has_model;
use crate::session::{Command, Purpose};
use crate::tasks::evidence::EvidenceQuestion;
use crate::ui::panels::segments::complain;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{ComboBox, Grid, RichText, Ui};

/// The question on the screen.
#[derive(Default)]
pub struct PoliciesView {
    /// Estimates the propensities where the log has none.
    estimates: bool,
    /// An ad that is always shown.
    always: String,
    /// The policy whose estimators are open.
    opened: usize,
}

impl PoliciesView {
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let busy = cx.session.jobs.of(Purpose::Evidence).is_some();
        self.controls(ui, cx, busy);
        let answers = &cx.session.store.evidence.policies;
        if answers.is_empty() {
            if busy {
                ui.label("Weighing the log …");
                return;
            }
            let why =
                "What would each ad as often, or the model's best ad, have brought on these very people?";
            if widgets::empty_state(ui, cx.theme, why, "Ask about the usual policies") {
                self.ask_all(cx);
            }
            return;
        }
        ui.add_space(6.0);
        self.table(ui, cx);
        let opened = answers.get(self.opened).or(answers.first());
        if let Some((_, Ok(answer))) = opened {
            details(ui, cx.theme, answer);
        }
    }

    fn controls(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, busy: bool) {
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Probabilities of the logged choices").on_hover_text(
                "Known where a policy logged them; the shares of the ads stand for them only if who saw an ad was chance",
            );
            let words = if self.estimates { "estimated: each ad's share" } else { "as logged" };
            let combo = ComboBox::from_id_salt("propensities").selected_text(words).show_ui(ui, |ui| {
                ui.selectable_value(&mut self.estimates, false, "as logged");
                ui.selectable_value(&mut self.estimates, true, "estimated: each ad's share");
            });
            combo.response.labelled_by(label.id);
            if ui.add_enabled(!busy, egui::Button::new("Ask again")).clicked() {
                self.ask_all(cx);
            }
            let label = ui.label("Always the ad");
            ui.add(egui::TextEdit::singleline(&mut self.always).desired_width(110.0)).labelled_by(label.id);
            let named = !self.always.trim().is_empty();
            if ui.add_enabled(!busy && named, egui::Button::new("Ask about it")).clicked() {
                let question = self.question(Policy::Always(self.always.trim().to_owned()));
                ask(cx, EvidenceQuestion::Policies(vec![question]));
            }
            if !has_model(cx.session) {
                ui.weak("Without a model there is no simulation.");
                if ui.button("Train a model").clicked() {
                    cx.send(Command::View(ViewCommand::Show("training")));
                }
            }
        });
    }

    fn question(&self, policy: Policy) -> Question {
        let propensities = if self.estimates { Propensities::Estimated } else { Propensities::Logged };
        Question { policy, propensities, seed: 1 }
    }

    fn ask_all(&self, cx: &mut PanelContext<'_>) {
        let mut policies = vec![Policy::AsLogged, Policy::Even];
        if has_model(cx.session) {
            policies.extend([Policy::Best(0.0), Policy::Best(0.2), Policy::Power(1.0), Policy::Power(3.0)]);
        }
        let known = cx.session.store.evidence.policies.iter().map(|(question, _)| question.policy.clone());
        let more: Vec<Policy> = known.filter(|policy| !policies.contains(policy)).collect();
        let questions = policies.into_iter().chain(more).map(|policy| self.question(policy)).collect();
        ask(cx, EvidenceQuestion::Policies(questions));
    }

    fn table(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let heads = [
            "policy",
            "simulated on the model",
            "the log's estimate, 95 %",
            "what really came",
            "worth decisions",
        ];
        let mut refused: Option<Failure> = None;
        Grid::new("policies").num_columns(heads.len()).striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
            heads.iter().for_each(|head| drop(ui.weak(*head)));
            ui.end_row();
            for (place, (question, answer)) in cx.session.store.evidence.policies.iter().enumerate() {
                let chosen = self.opened == place;
                if ui.selectable_label(chosen, question.policy.label()).clicked() {
                    self.opened = place;
                }
                match answer {
                    Ok(answer) => three_numbers(ui, cx.theme, answer),
                    Err(failure) => {
                        refused = Some(failure.clone());
                        ui.weak("see below");
                    }
                }
                ui.end_row();
            }
        });
        ui.weak("Clicks per decision, in percent.");
        if let Some(failure) = refused {
            complain(ui, cx.theme, &failure);
            if !self.estimates && ui.button("Take each ad's share for it").clicked() {
                self.estimates = true;
                self.ask_all(cx);
            }
        }
    }
}

fn three_numbers(ui: &mut Ui, theme: &Theme, answer: &Answer) {
    match &answer.simulated {
        Some(simulated) => ui.label(percent(simulated)),
        None => ui.weak("no model"),
    };
    match answer.headline() {
        Some((estimator, estimate)) => {
            ui.label(format!("{} by {}", percent(&estimate), estimator.label()));
        }
        None => {
            let why = answer.log.not_identified.clone().unwrap_or_default();
            ui.label(RichText::new("not identified").color(theme.warn)).on_hover_text(why);
        }
    }
    match &answer.actual {
        Some(actual) => {
            ui.label(percent(&actual.rate)).on_hover_text(format!("From {}", actual.from));
        }
        None => {
            ui.weak("nobody tried it")
                .on_hover_text("Known for sample data, and for the policy that made the log");
        }
    }
    let checks = &answer.log.checks;
    ui.weak(format!(
        "{} of {}",
        widgets::grouped(checks.effective.round()),
        widgets::grouped(checks.n as f64)
    ));
}

/// `4.21 (3.90 to 4.53)`, in percent; without brackets where it is known exactly.
fn percent(estimate: &Estimate) -> String {
    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(|share| 100.0 * share);
    if low == high { format!("{value:.2}") } else { format!("{value:.2} ({low:.2} to {high:.2})") }
}

/// Every estimator of one policy, the checks, and why the numbers differ.
fn details(ui: &mut Ui, theme: &Theme, answer: &Answer) {
    ui.add_space(10.0);
    ui.strong(format!("What the log says of: {}", answer.policy));
    for reason in &answer.explanation {
        ui.label(RichText::new(format!("{reason}.")).color(theme.warn));
    }
    Grid::new("estimators").num_columns(3).striped(true).spacing([18.0, 4.0]).show(ui, |ui| {
        ["estimator", "value, asymptotic 95 %", "bootstrap 95 %"]
            .iter()
            .for_each(|head| drop(ui.weak(*head)));
        ui.end_row();
        for (estimator, value) in &answer.log.values {
            ui.label(estimator.label());
            match value {
                Ok(value) => {
                    ui.label(percent(&value.normal));
                    ui.label(value.bootstrap.map_or_else(String::new, |[low, high]| {
                        format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high)
                    }));
                }
                Err(why) => {
                    ui.weak(format!("none: {why}"));
                }
            }
            ui.end_row();
        }
    });
    let checks = &answer.log.checks;
    ui.label(format!(
        "{} decisions among {} ads are worth {} of this policy's own; the largest weight is {:.1} ({:.1} % of all), the \
         mean weight {:.3} ({:.3} to {:.3}; 1 is right), the smallest propensity {:.2e}.",
        widgets::grouped(checks.n as f64),
        answer.ads,
        widgets::grouped(checks.effective.round()),
        checks.largest_weight,
        100.0 * checks.largest_share,
        checks.mean_weight.value,
        checks.mean_weight.low,
        checks.mean_weight.high,
        checks.smallest_propensity
    ));
    ui.label(format!("Propensities: {}.", answer.propensities));
    if let Some(ratio) = &answer.calibration {
        ui.label(format!(
            "On the log's own choices the model predicts {:.3} times the clicks that came ({:.3} to {:.3}).",
            ratio.value, ratio.low, ratio.high
        ));
    }
    for note in &answer.notes {
        ui.weak(format!("Assumed: {note}."));
    }
}
