//! What would it bring to let the approved words compete, and how do they look on a page?

use super::StudioPanel;
use crate::adcopy::review::Status;
use crate::session::commands::CopyCommand;
use crate::session::{Command, Purpose};
use crate::tasks::copy_trial::Tried;
use crate::ui::panels::segments::complain;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{Frame, RichText, Stroke, Ui};

impl StudioPanel {
    /// Asks for a trial of the variants of the brief's product, and shows the last one.
    pub(super) fn trial(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let Some(product) = cx.session.store.copy.brief.as_ref().map(|brief| brief.sheet.product.clone())
        else {
            return;
        };
        let shelf = &self.review.shelf;
        let (approved, waiting) = (
            shelf.variants(Status::Approved),
            shelf.variants(Status::Checked) + shelf.variants(Status::InReview),
        );
        if approved + waiting == 0 {
            return;
        }
        ui.horizontal_wrapped(|ui| {
            let count = if self.with_drafts { approved + waiting } else { approved };
            let button =
                ui.add_enabled(count >= 2, egui::Button::new(format!("Try {count} variants of {product}")));
            let why =
                "Thompson sampling over pages of the brief's audience, in worlds drawn from the forecasts";
            let button = button.on_hover_text(why);
            if button.on_disabled_hover_text("Approve two or more first").clicked() {
                cx.send(Command::Copy(CopyCommand::Try(self.with_drafts)));
            }
            let log = cx.session.store.log.is_some();
            let button = ui.add_enabled(count >= 1 && log, egui::Button::new("Put them on the pages"));
            let why = "In the auctions of Slots they compete with an ad of the same category before the brief's audience: \
                       baseline always the best forecast, what-if Thompson sampling";
            let disabled = "Approve one or more, with a log open and a model trained";
            if button.on_hover_text(why).on_disabled_hover_text(disabled).clicked() {
                cx.send(Command::Copy(CopyCommand::PutOnPages(self.with_drafts)));
            }
            let words = format!("with {waiting} that nobody approved, marked as drafts");
            ui.checkbox(&mut self.with_drafts, words);
            if cx.session.jobs.of(Purpose::Trial).is_some() {
                ui.weak("trying …");
            }
            let ran = cx.session.store.market.result.as_ref().is_some_and(|run| !run.spec.variants.is_empty());
            let named = !self.person.trim().is_empty();
            if ran {
                let button = ui.add_enabled(named, widgets::small("Note what the pages made of them"));
                let why = "Marked as simulated: neither ranking nor prompts learn from it, as no person clicked";
                if button.on_hover_text(why).on_disabled_hover_text("Write above who you are").clicked() {
                    cx.send(Command::Copy(CopyCommand::NoteRun(self.person.trim().to_owned())));
                }
            }
        });
        match &cx.session.store.copy.tried {
            None => {}
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(tried)) => shown(ui, cx.theme, tried),
        }
    }
}

fn shown(ui: &mut Ui, theme: &Theme, tried: &Tried) {
    ui.label(format!(
        "Thompson sampling: {} clicks a page; {} more than all alike, {} more than the best forecast alone ({} worlds of {} \
         pages, simulated)",
        tried.thompson.in_percent(),
        tried.over_equal.in_percent(),
        tried.over_best.in_percent(),
        tried.worlds,
        widgets::grouped(tried.pages as f64)
    ));
    ui.horizontal_wrapped(|ui| {
        for (variant, share) in &tried.variants {
            let approved = variant.status == Status::Approved;
            let border = if approved { theme.accent } else { theme.warn };
            let frame = Frame::new()
                .fill(theme.panel)
                .stroke(Stroke::new(1.5, border))
                .corner_radius(4)
                .inner_margin(8);
            frame.show(ui, |ui| {
                ui.set_width(190.0);
                ui.vertical(|ui| {
                    ui.horizontal(|ui| {
                        ui.label(
                            RichText::new("Ad").small().color(theme.on_accent).background_color(theme.accent),
                        );
                        if !approved {
                            let mark = RichText::new(" DRAFT, not approved ").small().strong();
                            ui.label(mark.color(theme.background).background_color(theme.warn));
                        }
                        ui.weak(&variant.id);
                    });
                    ui.label(RichText::new(&variant.text).size(15.0));
                    ui.weak(format!(
                        "{:.0} % of the pages; forecast {:.2} %",
                        100.0 * share.value,
                        100.0 * variant.forecast.value
                    ));
                });
            });
        }
    });
}
