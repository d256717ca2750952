//! What did the simulated auctions look like to an exchange? OpenRTB 2.6 JSON, with the reason of each loss.
//!
//! One line a page and world: the bid request that the page would have sent, each campaign's response as a
//! seat, and what the exchange would have told it: the loss reason of OpenRTB 3.0 (`AUCTION_LOSS`), the price
//! paid and what it took to win (`AUCTION_PRICE`, `AUCTION_MIN_TO_WIN`). Prices are CPM in currency units. What
//! OpenRTB has no field for stands under `ext.adloupe`.

use super::bidder::Fate;
use super::scoring::Prepared;
use super::simulation::{Offer, Recording, Shown};
use super::spec::{MarketSpec, Scenario};
use crate::base::{Failure, Result, failure::Explain};
use crate::domain::Pricing;
use serde_json::{Value, json};
use std::io::Write;

/// OpenRTB's number for a first-price auction, its second price plus, and the first one left to exchanges.
const FIRST_PRICE: u32 = 1;
const SECOND_PRICE_PLUS: u32 = 2;
const OWN_RULES: u32 = 500;
/// No-bid reason: the user has seen the campaign often enough.
const DAILY_CAP: u32 = 9;
const MICROS: f64 = 1e6;

/// Writes every recorded auction, baseline and what-if, as lines of JSON; answers how many lines.
///
/// # Errors
/// Nothing was recorded, or what the disk answers.
pub fn write(
    out: &mut dyn Write,
    spec: &MarketSpec,
    prepared: &Prepared,
    recording: &Recording,
) -> Result<u64> {
    let what = "cannot write the auctions";
    if recording.pages == 0 {
        return Err(Failure::new(what, "the run kept no pages"));
    }
    let mut lines = 0;
    for world in 0..recording.shown.len() {
        let mut shown = recording.shown[world].as_slice();
        for page in 0..recording.pages {
            let here = shown.partition_point(|shown| u64::from(shown.page) <= page);
            let (of_page, later) = shown.split_at(here);
            shown = later;
            let line = auction(spec, prepared, recording, Place { world, page }, of_page);
            serde_json::to_writer(&mut *out, &line).explain(what)?;
            out.write_all(b"\n").explain(what)?;
            lines += 1;
        }
    }
    Ok(lines)
}

#[derive(Clone, Copy)]
struct Place {
    world: usize,
    page: u64,
}

fn auction(
    spec: &MarketSpec,
    prepared: &Prepared,
    recording: &Recording,
    Place { world, page }: Place,
    shown: &[Shown],
) -> Value {
    let scenario = spec.what_if.as_ref().filter(|_| world == 1).unwrap_or(&spec.baseline);
    let bidders = prepared.campaigns.len();
    let offers = &recording.offers[world][page as usize * bidders..(page as usize + 1) * bidders];
    let rows = recording.rows[page as usize];
    let row = if world == 0 { rows.0 } else { rows.1 };
    let id = format!("{}-{}-{page}", ["baseline", "what-if"][world.min(1)], spec.seed);
    let responses: Vec<Value> = offers
        .iter()
        .enumerate()
        .map(|(index, offer)| {
            let mut response = response(&id, prepared, index, offer, shown);
            if let Some(known) = prepared.pool.interval(world, row, offer.ad, offer.predicted)
                && offer.fate.loss_reason().is_some()
            {
                response["ext"]["adloupe"]["pctr_interval"] = json!([known.low, known.high]);
            }
            response
        })
        .collect();
    json!({
        "request": request(&id, spec, scenario, prepared.pool.rows.get(row as usize).copied()),
        "responses": responses,
        "ext": {"adloupe": {"clicked": shown.iter().filter(|s| s.clicked).map(|s| imp(s.slot)).collect::<Vec<_>>()}},
    })
}

fn imp(slot: u8) -> String {
    format!("{}", slot + 1)
}

/// The bid request of a page: one impression a slot.
fn request(id: &str, spec: &MarketSpec, scenario: &Scenario, log_row: Option<u32>) -> Value {
    let at = match scenario.auction.id.as_str() {
        "first_price" => FIRST_PRICE,
        "second_price" | "second_price_plus" => SECOND_PRICE_PLUS,
        _ => OWN_RULES,
    };
    let floor = |slot: usize| {
        let own = scenario.floors_cpm_micros.get(slot).copied().unwrap_or(0);
        scenario.reserve_cpm_micros.max(own) as f64 / MICROS
    };
    let imps: Vec<Value> = (0..spec.slots.len())
        .map(|slot| {
            json!({
                "id": imp(slot as u8),
                "tagid": format!("slot-{}", slot + 1),
                "native": {"request": "{}", "ver": "1.2"},
                "bidfloor": floor(slot),
            })
        })
        .collect();
    json!({
        "id": id,
        "imp": imps,
        "at": at,
        "tmax": 100,
        "test": 1,
        "user": {"id": log_row.map(|row| format!("row-{row}"))},
        "ext": {"adloupe": {"rule": scenario.auction.id, "seed": spec.seed}},
    })
}

/// One campaign's answer, and what the exchange tells it afterwards.
fn response(id: &str, prepared: &Prepared, index: usize, offer: &Offer, shown: &[Shown]) -> Value {
    let campaign = &prepared.campaigns[index];
    let Some(loss) = offer.fate.loss_reason() else {
        let reason = if offer.fate == Fate::Capped { DAILY_CAP } else { 0 };
        let why = json!({"seat": campaign.name, "fate": offer.fate.label()});
        return json!({"id": id, "nbr": reason, "ext": {"adloupe": why}});
    };
    let own = shown.iter().find(|shown| shown.bidder as usize == index);
    let last = shown.last();
    let price = own.map(|shown| shown.price_ecpm_micros / MICROS);
    // A loser had to reach what the cheapest slot was sold for, or the floor.
    let to_win = own
        .map(|shown| shown.to_win_ecpm_micros)
        .or(last.map(|shown| shown.price_ecpm_micros))
        .map(|micros| micros / MICROS);
    let ad = prepared.ads.get(offer.ad as usize).map_or("", String::as_str);
    let bid = json!({
        "id": format!("{id}-{index}"),
        "impid": own.map_or_else(|| imp(0), |shown| imp(shown.slot)),
        "price": offer.ecpm_micros / MICROS,
        "cid": campaign.name,
        "crid": ad,
        "adid": ad,
    });
    let told = json!({
        "fate": offer.fate.label(),
        "AUCTION_LOSS": loss,
        "AUCTION_PRICE": price,
        "AUCTION_MIN_TO_WIN": to_win,
        "pays_per": Pricing::label(campaign.pricing),
        "event_price": own.map(|shown| shown.price_nanos as f64 / 1e9),
        "pctr": offer.predicted,
    });
    json!({
        "id": id,
        "seatbid": [{"seat": campaign.name, "bid": [bid]}],
        "ext": {"adloupe": told},
    })
}
