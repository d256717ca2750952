//! Which ad fills the slot, for whom, at what price, and what changes if the audience or the rules change?
//!
//! Left the audience, the what-if and the rules; in the middle a page whose slots fill as requests arrive;
//! beside and below it the totals of both worlds with the interval on their difference, the campaigns and the
//! spend. The simulation runs in the background within a second; the player shows it again at a person's pace.

mod auction;
mod controls;
mod draft;
mod layouts;
mod page;
mod player;
mod report;

use crate::market::Outcome;
use crate::session::commands::market::trained_model;
use crate::session::commands::{MarketCommand, ViewCommand};
use crate::session::{Command, Purpose};
use crate::tasks::simulate::Simulated;
use crate::ui::PanelContext;
use crate::ui::panels::Panel;
use crate::ui::widgets;
use auction::Opened;
use draft::Draft;
use egui::{RichText, ScrollArea, Ui};
use layouts::Layout;
use player::Player;
use std::sync::Arc;

/// Audience, rules, player.
#[derive(Default)]
pub struct SlotsPanel {
    draft: Option<Draft>,
    player: Player,
    /// The run that the player shows.
    shown: Option<Arc<Simulated>>,
    /// Which world the campaign table shows: 0 baseline, 1 what-if.
    world: usize,
    /// The kind of page that the slots stand on.
    layout: Layout,
    /// The auction that is open.
    opened: Option<Opened>,
}

/// From this width on the page stands beside the totals, which need so much.
const SIDE_BY_SIDE: f32 = 1_000.0;
const TOTALS_WIDTH: f32 = 540.0;

impl Panel for SlotsPanel {
    fn id(&self) -> &'static str {
        "slots"
    }

    fn title(&self) -> &'static str {
        "Slots"
    }

    fn summary(&self) -> &'static str {
        "Ad slots filled by auction for an audience that you change, baseline against what-if"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, "Slots", self.summary());
        if self.needs_something(ui, cx) {
            return;
        }
        self.adopt(cx);
        let Some(draft) = &mut self.draft else {
            // A run that was started elsewhere and has not answered yet.
            ui.label("The market opens …");
            return;
        };
        egui::Panel::left("slots controls").resizable(false).exact_size(286.0).show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                controls::show(ui, cx, draft);
            });
        });
        if let Some(spec) = draft.take_change() {
            cx.send(Command::Market(MarketCommand::Simulate(Box::new(spec))));
        }
        let apart = egui::Margin { left: 12, right: 8, ..Default::default() };
        egui::Frame::new().inner_margin(apart).show(ui, |ui| {
            let area = ScrollArea::vertical().id_salt("slots results").auto_shrink(false);
            area.show(ui, |ui| self.results(ui, cx));
        });
    }
}

impl SlotsPanel {
    /// Says what is missing and offers it. True while something is.
    fn needs_something(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) -> bool {
        if self.draft.as_mut().is_some_and(|draft| !draft.still_fits(cx.session)) {
            *self = Self::default();
        }
        let store = &cx.session.store;
        let (why, button, panel) = if store.log.is_none() {
            ("No log is open: the audience and the ads come from one.", "Open a log", "welcome")
        } else if trained_model(cx.session).is_none() {
            (
                "No model is trained yet: it ranks the bids by predicted click rate.",
                "Train a model",
                "training",
            )
        } else {
            return store.market.result.is_none() && self.offer_run(ui, cx);
        };
        if widgets::empty_state(ui, cx.theme, why, button) {
            cx.send(Command::View(ViewCommand::Show(panel)));
        }
        true
    }

    /// The first run, or another try after one that failed. True while none was asked for.
    fn offer_run(&mut self, ui: &mut Ui, cx: &PanelContext<'_>) -> bool {
        self.shown = None;
        if cx.session.jobs.of(Purpose::Simulate).is_some() {
            return false;
        }
        let asked = self.draft.as_ref().is_some_and(Draft::was_asked);
        let why = if asked {
            "The market did not run to its end; the notice above or under Activity says why."
        } else {
            "The campaigns of this log are ready to bid for its own audience."
        };
        if !widgets::empty_state(ui, cx.theme, why, "Run the market") {
            return true;
        }
        match &mut self.draft {
            Some(draft) => draft.ask_again(),
            None => self.draft = Draft::new(cx.session),
        }
        self.player.play_from_start();
        self.draft.is_none()
    }

    /// Takes over a run that ended, and its spec if it was started elsewhere.
    fn adopt(&mut self, cx: &PanelContext<'_>) {
        let Some(result) = &cx.session.store.market.result else { return };
        if self.draft.is_none() {
            self.draft = Draft::of(cx.session, result);
            // Nobody pressed the button here: the pages are shown as they fill.
            self.player.play_from_start();
        }
        let fresh = self.shown.as_ref().is_none_or(|shown| !Arc::ptr_eq(shown, result));
        let at_rest = cx.session.jobs.of(Purpose::Simulate).is_none();
        if fresh && at_rest && self.draft.as_ref().is_some_and(|draft| !draft.asked_for(&result.spec)) {
            // A run that was started elsewhere: the controls show what was simulated.
            self.draft = Draft::of(cx.session, result);
        }
        if fresh {
            if let Some(draft) = &mut self.draft {
                draft.learn(result);
            }
            let pages = result.run.recording.as_ref().map_or(0, |recording| recording.pages);
            self.player.load(pages);
            self.opened = None;
            self.shown = Some(Arc::clone(result));
        }
    }

    fn results(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let running = cx.session.jobs.of(Purpose::Simulate).is_some();
        let live = cx.session.store.market.live.get().filter(|_| running);
        let Some(simulated) = self.shown.clone() else {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("Scoring the audience and opening the market …");
            });
            if let Some(outcome) = live {
                report::totals(ui, cx.theme, &outcome);
            }
            return;
        };
        self.source_line(ui, cx, &simulated);
        self.player.controls(ui, cx.theme);
        let outcome = self.outcome_at_cursor(&simulated, live);
        let page = self.player.page();
        ui.horizontal(|ui| {
            ui.label("Page");
            for layout in Layout::ALL {
                ui.selectable_value(&mut self.layout, layout, layout.label());
            }
        });
        if let Some(opened) = self.opened
            && !auction::show(ui, cx.theme, &simulated, opened)
        {
            self.opened = None;
        }
        let mut asked = None;
        let layout = self.layout;
        if ui.available_width() > SIDE_BY_SIDE {
            ui.horizontal_top(|ui| {
                let width = ui.available_width() - TOTALS_WIDTH;
                ui.allocate_ui(egui::vec2(width, 0.0), |ui| {
                    ui.vertical(|ui| asked = page::show(ui, cx, &simulated, page, layout));
                });
                ui.vertical(|ui| report::totals(ui, cx.theme, &outcome));
            });
        } else {
            asked = page::show(ui, cx, &simulated, page, layout);
            ui.add_space(6.0);
            report::totals(ui, cx.theme, &outcome);
        }
        if asked.is_some() {
            self.opened = asked;
            self.player.pause();
        }
        ui.add_space(8.0);
        report::spend_curve(ui, cx.theme, &simulated, self.player.page());
        report::variants(ui, cx.theme, &simulated, &outcome);
        report::learning(ui, cx.theme, &outcome);
        report::winners(ui, &simulated);
        report::hours(ui, cx.theme, &outcome);
        report::campaigns(ui, cx.theme, &outcome, &mut self.world);
        self.player.keep_going(ui);
    }

    /// The outcome that belongs to the page in view; of a run in progress, the newest.
    fn outcome_at_cursor(&self, simulated: &Simulated, live: Option<Arc<Outcome>>) -> Arc<Outcome> {
        if let Some(outcome) = live {
            return outcome;
        }
        let at_cursor =
            simulated.run.recording.as_ref().filter(|_| !self.player.at_end()).and_then(|recording| {
                let passed = (self.player.page() + 1) / recording.stride.max(1);
                let place = passed.saturating_sub(1) as usize;
                recording.checkpoints.get(place)
            });
        at_cursor.cloned().unwrap_or_else(|| Arc::clone(&simulated.run.outcome))
    }

    fn source_line(&self, ui: &mut Ui, cx: &mut PanelContext<'_>, simulated: &Simulated) {
        ui.horizontal_wrapped(|ui| {
            // Room for the bar that scrolls all of it.
            ui.set_max_width(ui.available_width() - 12.0);
            let from = format!("Clicks come from {}.", simulated.prepared.clicks_from);
            ui.label(RichText::new(from).strong().color(cx.theme.accent));
            let pool = &simulated.prepared.pool;
            ui.weak(format!(
                "{} of {} audience rows stand for the audience; seed {}; log revision {}.",
                widgets::grouped(pool.rows.len() as f64),
                widgets::grouped(pool.audience_rows as f64),
                simulated.spec.seed,
                simulated.log_revision,
            ));
            for note in &simulated.prepared.notes {
                ui.weak(format!("Assumed: {note}."));
            }
        });
    }
}
