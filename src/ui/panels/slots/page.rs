//! What does the visitor see? A mock page with the winners' creatives, baseline beside what-if.

use super::auction::Opened;
use super::layouts::Layout;
use crate::domain::money::units_from_nanos;
use crate::domain::{Creative, Pricing};
use crate::market::simulation::{Recording, Shown};
use crate::metrics::Estimate;
use crate::tasks::simulate::Simulated;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{Frame, Margin, RichText, Stroke, Ui};

/// Size of what stands beside the creative: smaller than the page, still read without effort.
const FINE: f32 = 11.5;

/// Draws page `page` of the recorded run in every world; answers the auction that a click opens.
pub fn show(
    ui: &mut Ui,
    cx: &PanelContext<'_>,
    simulated: &Simulated,
    page: u64,
    layout: Layout,
) -> Option<Opened> {
    let Some(recording) = &simulated.run.recording else {
        ui.weak("This run kept no pages to show.");
        return None;
    };
    let mut opened = None;
    let names = ["Baseline", "What-if"];
    ui.columns(recording.shown.len().max(1), |columns| {
        for (world, column) in columns.iter_mut().enumerate() {
            let row = row_of(recording, world, page);
            let visit = Visit {
                world: names[world.min(1)],
                place: world,
                page,
                row,
                shown: of_page(recording, world, page),
            };
            if draw_page(column, cx, simulated, &visit, layout) {
                opened = Some(Opened { world, page });
            }
        }
    });
    opened
}

/// One page view of one world.
struct Visit<'a> {
    world: &'a str,
    /// 0 the baseline, 1 the what-if.
    place: usize,
    page: u64,
    /// Pooled row of the visitor.
    row: u32,
    shown: &'a [Shown],
}

/// The pooled row of a page's visitor.
pub fn row_of(recording: &Recording, world: usize, page: u64) -> u32 {
    let rows = recording.rows.get(page as usize).copied().unwrap_or_default();
    if world == 0 { rows.0 } else { rows.1 }
}

/// What was predicted of an ad for a pooled row of a world, with the interval of an ensemble.
pub fn score_text(simulated: &Simulated, (world, row): (usize, u32), ad: u32, predicted: f32) -> String {
    let interval = simulated.prepared.pool.interval(world, row, ad, predicted);
    Estimate::score_in_percent(predicted.into(), interval, 2)
}

/// The ads of one page. They stand in order of the pages.
pub fn of_page(recording: &Recording, world: usize, page: u64) -> &[Shown] {
    let all = recording.shown.get(world).map_or(&[][..], Vec::as_slice);
    let from = all.partition_point(|shown| u64::from(shown.page) < page);
    let to = all.partition_point(|shown| u64::from(shown.page) <= page);
    &all[from..to]
}

/// Draws one page view; true when the person asks for its auction.
fn draw_page(
    ui: &mut Ui,
    cx: &PanelContext<'_>,
    simulated: &Simulated,
    visit: &Visit<'_>,
    layout: Layout,
) -> bool {
    let frame = Frame::new()
        .fill(cx.theme.panel)
        .stroke(Stroke::new(1.0, cx.theme.line))
        .corner_radius(6)
        .inner_margin(10);
    let mut asked = false;
    frame.show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(visit.world).strong().color(cx.theme.text));
            ui.weak(format!("page {}", widgets::grouped((visit.page + 1) as f64)));
            let button =
                widgets::small_button(ui, "Auction").on_hover_text("Who bid what, and why did they lose?");
            button.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Button, true, format!("{} auction", visit.world))
            });
            asked |= button.clicked();
        });
        ui.label(RichText::new(visitor(cx, simulated, visit.row)).size(FINE).color(cx.theme.weak_text));
        layout.draw(ui, cx.theme, simulated.spec.slots.len(), |ui, slot| {
            match visit.shown.iter().find(|shown| usize::from(shown.slot) == slot) {
                Some(shown) => asked |= filled_slot(ui, cx.theme, simulated, visit, shown),
                None => empty_slot(ui, cx.theme, visit),
            }
        });
    });
    asked
}

/// The visitor in words: the values of the user's and the moment's columns.
fn visitor(cx: &PanelContext<'_>, simulated: &Simulated, pooled: u32) -> String {
    let row = simulated.prepared.pool.rows.get(pooled as usize).copied();
    let (Some(dataset), Some(row)) = (&cx.session.store.dataset, row) else {
        return String::new();
    };
    let fields = dataset.encoder.categorical.iter().zip(&dataset.categorical);
    let of_visitor = fields.filter(|(field, _)| field.side != crate::data::encode::Side::Ad);
    let words: Vec<String> = of_visitor
        .filter_map(|(field, ids)| ids.get(row as usize).map(|id| (field, field.name_of(*id))))
        .map(|(field, value)| match field.name.split_once(':') {
            Some((_, derived)) => format!("{derived} {value}"),
            None => value,
        })
        .collect();
    words.join(" · ")
}

fn empty_slot(ui: &mut Ui, theme: &Theme, visit: &Visit<'_>) {
    slot_frame(theme, theme.line).show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.set_min_height(96.0);
        ui.label(RichText::new("Empty slot").color(theme.weak_text));
        ui.weak(format!(
            "In the {} nobody reached the reserve, or no campaign could pay.",
            visit.world.to_lowercase()
        ));
    });
}

/// Draws a winner's creative; true when it is clicked.
fn filled_slot(ui: &mut Ui, theme: &Theme, simulated: &Simulated, visit: &Visit<'_>, shown: &Shown) -> bool {
    let unknown = Creative::default();
    let prepared = &simulated.prepared;
    let ad = prepared.ads.get(shown.ad as usize).map_or("", String::as_str);
    let creative = simulated.creatives.get(ad).unwrap_or(&unknown);
    let campaign = prepared.campaigns.get(shown.bidder as usize);
    let border = if shown.clicked { theme.good } else { theme.accent };
    let card = slot_frame(theme, border).show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.set_min_height(96.0);
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("Ad").small().color(theme.on_accent).background_color(theme.accent));
            let owner = campaign.map_or("", |campaign| campaign.name.as_str());
            ui.label(RichText::new(first_known(&[&creative.advertiser, &creative.campaign, owner])).strong());
            ui.label(RichText::new(&creative.category).small().color(theme.weak_text));
            if creative.is_draft {
                let mark = RichText::new(" DRAFT, not approved ").small().strong();
                ui.label(mark.color(theme.background).background_color(theme.warn));
            }
            if shown.clicked {
                ui.label(RichText::new("clicked").strong().color(theme.good));
            }
        });
        ui.label(
            RichText::new(if campaign.is_some_and(|campaign| campaign.drawn.is_some()) {
                "an ad that the log does not know"
            } else {
                first_known(&[&creative.text, ad])
            })
            .size(17.0)
            .color(theme.text),
        );
        let pricing = campaign.map(|campaign| campaign.pricing).unwrap_or_default();
        ui.label(
            RichText::new(format!(
                "{} · predicted CTR {}, drawn with {:.2} %",
                price_text(pricing, shown),
                score_text(simulated, (visit.place, visit.row), shown.ad, shown.predicted),
                100.0 * shown.p_click,
            ))
            .size(FINE)
            .color(theme.weak_text),
        );
        if let Some(words) = update(simulated, visit, shown) {
            ui.label(RichText::new(words).size(FINE).color(theme.accent));
        }
    });
    let summary =
        format!("{} slot {}: {} {}", visit.world, shown.slot + 1, creative.advertiser, creative.text);
    let card = card.response.interact(egui::Sense::click());
    card.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &summary));
    card.on_hover_cursor(egui::CursorIcon::PointingHand).clicked()
}

/// Where the bidders learn: what the frozen model would have said, what was said, what came, and what that moved.
fn update(simulated: &Simulated, visit: &Visit<'_>, shown: &Shown) -> Option<String> {
    let frozen = simulated.frozen(visit.place, visit.row, shown.ad)?;
    Some(format!(
        "frozen model {:.2} % → with what was learnt {:.2} % → {} → log odds {:+.3}",
        100.0 * frozen,
        100.0 * shown.predicted,
        if shown.clicked { "click" } else { "no click" },
        shown.moved
    ))
}

fn slot_frame(theme: &Theme, border: egui::Color32) -> Frame {
    Frame::new()
        .fill(theme.background)
        .stroke(Stroke::new(1.5, border))
        .corner_radius(4)
        .inner_margin(8)
        .outer_margin(Margin::symmetric(0, 4))
}

/// What the winner pays, in words.
pub fn price_text(pricing: Pricing, shown: &Shown) -> String {
    let units = units_from_nanos(shown.price_nanos);
    if shown.price_nanos == 0 {
        return "pays nothing (no rival bid, no reserve)".to_owned();
    }
    match pricing {
        Pricing::Cpm => format!("pays {:.2} CPM", 1_000.0 * units),
        Pricing::Cpc => format!("pays {units:.2} a click"),
        Pricing::Cpa => format!("pays {units:.2} a conversion"),
    }
}

fn first_known<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or("unnamed")
}
