//! How was this page sold? Every campaign's offer, its score, and why it won or lost.

use crate::domain::money::units_from_nanos;
use crate::market::bidder::Fate;
use crate::market::simulation::{Offer, Recording, Shown};
use crate::tasks::simulate::Simulated;
use crate::ui::{Theme, widgets};
use egui::{Grid, RichText, Ui};

/// The auction that a person opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// 0 the baseline, 1 the what-if.
    pub world: usize,
    /// Which page, from 0.
    pub page: u64,
}

/// A page with the pooled row of its visitor.
#[derive(Debug, Clone, Copy)]
struct Page {
    opened: Opened,
    row: u32,
}

/// Draws the auction; false once the person closes it.
pub fn show(ui: &mut Ui, theme: &Theme, simulated: &Simulated, opened: Opened) -> bool {
    let Some(recording) = &simulated.run.recording else { return false };
    let Some(offers) = offers_of(recording, simulated.prepared.campaigns.len(), opened) else { return false };
    let mut open = true;
    let frame = egui::Frame::new()
        .fill(theme.panel)
        .stroke(egui::Stroke::new(1.0, theme.accent))
        .corner_radius(6)
        .inner_margin(10);
    frame.show(ui, |ui| {
        ui.horizontal(|ui| {
            let whose = if opened.world == 0 { "Baseline" } else { "What-if" };
            let page = widgets::grouped((opened.page + 1) as f64);
            ui.strong(format!("{whose}: the auction of page {page}"));
            open = !ui.button("Close the auction").clicked();
        });
        ui.weak(
            "Offers are what an impression is worth per thousand: the bid x pCTR, after pacing and shading.",
        );
        egui::ScrollArea::horizontal().id_salt("auction table").show(ui, |ui| {
            let page = Page { opened, row: super::page::row_of(recording, opened.world, opened.page) };
            table(
                ui,
                theme,
                simulated,
                page,
                offers,
                super::page::of_page(recording, opened.world, opened.page),
            );
        });
    });
    ui.add_space(6.0);
    open
}

/// Every campaign's offer for the page; `None` where it was not recorded.
fn offers_of(recording: &Recording, campaigns: usize, opened: Opened) -> Option<&[Offer]> {
    let first = usize::try_from(opened.page).ok()? * campaigns;
    recording.offers.get(opened.world)?.get(first..first + campaigns)
}

fn table(ui: &mut Ui, theme: &Theme, simulated: &Simulated, page: Page, offers: &[Offer], shown: &[Shown]) {
    let mut ranked: Vec<(usize, &Offer)> = offers.iter().enumerate().collect();
    let slot_of = |index: usize| shown.iter().find(|shown| shown.bidder as usize == index);
    // Winners in order of their slots, then losers by their offer, then those who made none.
    ranked.sort_by(|(one, a), (other, b)| {
        let place = |index| slot_of(index).map_or(u8::MAX, |shown| shown.slot);
        place(*one).cmp(&place(*other)).then(b.ecpm_micros.total_cmp(&a.ecpm_micros))
    });
    Grid::new("auction").num_columns(7).striped(true).spacing([14.0, 3.0]).show(ui, |ui| {
        for head in ["campaign", "ad", "pCTR", "offer CPM", "what became of it", "pays", "had to reach CPM"] {
            ui.weak(head);
        }
        ui.end_row();
        for (index, offer) in ranked {
            row(ui, theme, simulated, page, (index, offer), slot_of(index));
        }
    });
}

fn row(
    ui: &mut Ui,
    theme: &Theme,
    simulated: &Simulated,
    page: Page,
    (index, offer): (usize, &Offer),
    won: Option<&Shown>,
) {
    let prepared = &simulated.prepared;
    let campaign = prepared.campaigns.get(index);
    ui.label(campaign.map_or("", |campaign| campaign.name.as_str()));
    if offer.ecpm_micros > 0.0 {
        ui.label(prepared.ads.get(offer.ad as usize).map_or("", String::as_str));
        ui.label(super::page::score_text(
            simulated,
            (page.opened.world, page.row),
            offer.ad,
            offer.predicted,
        ));
        ui.label(format!("{:.2}", offer.ecpm_micros / 1e6));
    } else {
        (0..3).for_each(|_| drop(ui.weak("-")));
    }
    let colour = match offer.fate {
        Fate::Won => theme.good,
        Fate::Outbid | Fate::LostToDeal | Fate::Alike | Fate::BelowReserve => theme.text,
        _ => theme.weak_text,
    };
    let fate = match won {
        Some(shown) => format!("won slot {}", shown.slot + 1),
        None => offer.fate.label().to_owned(),
    };
    ui.label(RichText::new(fate).color(colour));
    match (won, campaign) {
        (Some(shown), Some(campaign)) => {
            ui.label(super::page::price_text(campaign.pricing, shown));
            ui.label(format!("{:.2}", shown.to_win_ecpm_micros / 1e6)).on_hover_text(format!(
                "Price of the auction {:.2} CPM; {} an event",
                shown.price_ecpm_micros / 1e6,
                units_from_nanos(shown.price_nanos)
            ));
        }
        _ => (0..2).for_each(|_| drop(ui.weak(""))),
    }
    ui.end_row();
}
