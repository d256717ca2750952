//! Other bids: how likely a bid is to win, with its band, and what other bids would have brought.

use super::ask;
use crate::market::landscape::{BidColumns, Landscape, Replayed};
use crate::session::Purpose;
use crate::tasks::evidence::EvidenceQuestion;
use crate::ui::charts::{self, curve};
use crate::ui::panels::segments::complain;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{DragValue, Grid, Ui};

/// The question on the screen.
#[derive(Default)]
pub struct BidsView {
    /// What an impression is worth to who bids at first price.
    worth: Option<f64>,
}

impl BidsView {
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let busy = cx.session.jobs.of(Purpose::Evidence).is_some();
        ui.horizontal_wrapped(|ui| {
            if ui.add_enabled(!busy, egui::Button::new("Bids of the log")).clicked() {
                ask(cx, EvidenceQuestion::LoggedBids(BidColumns::default()));
            }
            let simulated = cx.session.store.market.result.clone();
            let names: Vec<(usize, String)> = simulated
                .iter()
                .flat_map(|simulated| simulated.prepared.campaigns.iter().enumerate())
                .map(|(place, campaign)| (place, campaign.name.clone()))
                .collect();
            ui.add_enabled_ui(!busy && !names.is_empty(), |ui| {
                ui.menu_button("Bids of a simulated campaign", |ui| {
                    for (place, name) in &names {
                        if ui.button(name).clicked() {
                            ask(cx, EvidenceQuestion::SimulatedBids(*place));
                        }
                    }
                });
            });
            if names.is_empty() {
                ui.weak("Run the market in Slots to look at simulated bids.");
            }
        });
        match cx.session.store.evidence.bids.as_ref() {
            None => {
                ui.add_space(6.0);
                ui.label(
                    "A lost auction tells only that its price was above the bid. The curve counts lost ones as cut off at \
                     their bid (Kaplan-Meier), so that winning does not look easier than it is.",
                );
            }
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(found)) => {
                ui.strong(format!(
                    "{}: {} auctions, {} won",
                    found.source,
                    widgets::grouped(found.auctions as f64),
                    widgets::grouped(found.won as f64)
                ));
                win_curve(ui, cx.theme, found);
                self.first_price(ui, found);
                curse(ui, cx.theme, found);
                replays(ui, found);
                for note in &found.notes {
                    ui.weak(format!("Note: {note}."));
                }
            }
        }
    }

    fn first_price(&mut self, ui: &mut Ui, found: &Landscape) {
        ui.horizontal(|ui| {
            let label = ui.label("If an impression is worth");
            let speed = found.curve.last().map_or(0.1, |last| last[0] / 200.0);
            // The dearest bid to begin with.
            let worth = self.worth.get_or_insert(found.curve.last().map_or(0.0, |last| last[0]));
            ui.add(DragValue::new(worth).range(0.0..=1e9).speed(speed)).labelled_by(label.id);
            match found.best_first_price_bid(*worth) {
                Some((bid, gain)) => ui.label(format!(
                    "the best bid at first price is {bid:.2}: it gains {gain:.3} an auction on average"
                )),
                None => ui.weak("no bid gains anything at first price"),
            };
        });
    }
}

/// What winning does to predictions, and to what an impression is worth.
fn curse(ui: &mut Ui, theme: &Theme, found: &Landscape) {
    let Some(factor) = &found.marked_down else { return };
    let words = format!("Of what was won, {} times as much was clicked as predicted.", factor.in_words(3));
    if factor.high < 1.0 {
        let words = format!(
            "Winner's curse: {words} A worth told by predictions is to be marked down to {:.0} % ({:.0} to {:.0}).",
            100.0 * factor.value,
            100.0 * factor.low,
            100.0 * factor.high
        );
        ui.label(egui::RichText::new(words).color(theme.warn));
    } else {
        ui.label(format!("{words} That is no winner's curse that could be seen with so few clicks."));
    }
}

fn win_curve(ui: &mut Ui, theme: &Theme, found: &Landscape) {
    let line = |of: usize| found.curve.iter().map(|point| [point[0], point[of]]).collect::<Vec<_>>();
    let (win, low, high) = (line(1), line(2), line(3));
    let series = [
        charts::Series { name: "wins", points: &win, colour: theme.series(0), dashed: false },
        charts::Series { name: "95 %, from", points: &low, colour: theme.series(0), dashed: true },
        charts::Series { name: "95 %, to", points: &high, colour: theme.series(0), dashed: true },
        charts::Series {
            name: "from wins alone: too easy",
            points: &found.wins_alone,
            colour: theme.series(1),
            dashed: false,
        },
    ];
    let frame = charts::Frame {
        name: "Win curve",
        x: "bid (unit of the source; simulated: per thousand impressions)",
        y: "probability to win",
        height: 260.0,
    };
    curve::show(ui, theme, frame, curve::LegendCorner::RightBottom, &series);
}

fn replays(ui: &mut Ui, found: &Landscape) {
    ui.add_space(6.0);
    ui.strong("What other bids would have brought");
    Grid::new("replays").num_columns(6).striped(true).spacing([18.0, 4.0]).show(ui, |ui| {
        ["bids", "won", "clicks", "spend", "per click", "unknown"]
            .iter()
            .for_each(|head| drop(ui.weak(*head)));
        ui.end_row();
        let mut row = |name: String, replayed: &Replayed| {
            ui.label(name);
            ui.label(widgets::grouped(replayed.wins as f64));
            ui.label(widgets::grouped(replayed.clicks as f64));
            ui.label(format!("{:.2}", replayed.spend));
            ui.label(if replayed.clicks > 0 {
                format!("{:.2}", replayed.spend / replayed.clicks as f64)
            } else {
                "n/a".to_owned()
            });
            ui.label(widgets::grouped(replayed.unknown as f64))
                .on_hover_text("Lost in the log, and the bid might have won: no log says at what price");
            ui.end_row();
        };
        row("as logged".to_owned(), &found.logged);
        for (factor, replayed) in &found.factors {
            row(format!("{factor} times"), replayed);
        }
    });
}
