//! Can a number be believed, and what would a plan bring? Policies, bids, levers and kept scenarios, with intervals.

mod bids;
mod plan;
mod policies;
mod scenarios;
mod slates;

use super::Panel;
use crate::session::commands::DataCommand;
use crate::session::{Command, Purpose};
use crate::tasks::evidence::EvidenceQuestion;
use crate::ui::{PanelContext, widgets};
use egui::{ScrollArea, Ui};

/// Which of them is in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum View {
    #[default]
    Policies,
    Slates,
    Bids,
    Plan,
    Scenarios,
}

/// Views of one question.
#[derive(Default)]
pub struct EvidencePanel {
    view: View,
    policies: policies::PoliciesView,
    slates: slates::SlatesView,
    bids: bids::BidsView,
    plan: plan::PlanView,
    scenarios: scenarios::ScenariosView,
}

impl Panel for EvidencePanel {
    fn id(&self) -> &'static str {
        "evidence"
    }

    fn title(&self) -> &'static str {
        "Evidence"
    }

    fn summary(&self) -> &'static str {
        "What other policies, bids and budgets would bring: by simulation, by the log itself, and what really came"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        if cx.session.store.log.is_none() {
            let why = "No log is open, so there is nothing that could speak for or against a number.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        }
        ui.horizontal(|ui| {
            for (view, name, hint) in [
                (View::Policies, "Policies", "Other ways to choose ads"),
                (View::Slates, "Pages", "Other ways to fill pages of several ads"),
                (View::Bids, "Bids", "Other bids in logged or simulated auctions"),
                (View::Plan, "Plan", "Reserve, budgets, caps, and how a budget is best split"),
                (View::Scenarios, "Scenarios", "Simulations kept as files, side by side, with remarks"),
            ] {
                ui.selectable_value(&mut self.view, view, name).on_hover_text(hint);
            }
            if cx.session.jobs.of(Purpose::Evidence).is_some() {
                ui.spinner();
            }
        });
        ui.separator();
        ScrollArea::vertical().id_salt("evidence").auto_shrink(false).show(ui, |ui| match self.view {
            View::Policies => self.policies.show(ui, cx),
            View::Slates => self.slates.show(ui, cx),
            View::Bids => self.bids.show(ui, cx),
            View::Plan => self.plan.show(ui, cx),
            View::Scenarios => self.scenarios.show(ui, cx),
        });
    }
}

/// Asks, as a panel does.
fn ask(cx: &mut PanelContext<'_>, question: EvidenceQuestion) {
    cx.send(Command::Weigh(question));
}
