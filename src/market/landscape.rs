//! What would other bids have won? Replay of logged auctions, and the win curve behind censored prices.
//!
//! A second-price log shows the price of each auction that was won; of a lost one only that its price was above
//! the bid. So a replay can tell what lower bids would have brought, exactly, but not all of what higher ones
//! would: those auctions are counted as unknown, never guessed. The win curve treats lost auctions as censored
//! at the bid (Kaplan & Meier 1958; for bid landscapes Wang et al. 2016); wins alone would make it look too
//! easy to win.

use super::bidder::Fate;
use super::counterfactual::Predictor;
use super::simulation::Recording;
use super::winners;
use crate::base::{Failure, Result};
use crate::data::outcome::Outcome;
use crate::data::{LogFrame, Role, cells};
use crate::jobs::JobContext;
use crate::metrics::{Estimate, Rate};
use serde::Serialize;

/// One auction of a second-price log, in any unit of money.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedBid {
    /// What was bid.
    pub bid: f64,
    /// What was paid; `None` where the auction was lost.
    pub price: Option<f64>,
    /// Whether the impression was clicked.
    pub clicked: bool,
}

/// What other bids would have brought on the same auctions.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Replayed {
    /// Auctions won for certain.
    pub wins: u64,
    /// Clicks on them.
    pub clicks: u64,
    /// What they cost.
    pub spend: f64,
    /// Auctions that were lost in the log and whose price the new bid might have reached.
    pub unknown: u64,
}

/// Bids `bid(row)` in every logged auction: it wins where it reaches the logged price, and pays that price, as
/// long as the budget lasts.
///
/// # Errors
/// A bid or a price that is no number, or a price above the bid that won.
pub fn replay(log: &[LoggedBid], budget: Option<f64>, bid: impl Fn(&LoggedBid) -> f64) -> Result<Replayed> {
    let mut replayed = Replayed::default();
    for (row, logged) in log.iter().enumerate() {
        let refuse =
            |why: String| Err(Failure::new("cannot replay the log", why).at(format!("auction {row}")));
        let offer = bid(logged);
        if offer.is_nan() || logged.bid.is_nan() {
            return refuse("a bid is no number".to_owned());
        }
        match logged.price {
            Some(price) if !(0.0..=logged.bid).contains(&price) => {
                return refuse(format!("it was won at {price} with a bid of {}", logged.bid));
            }
            Some(price) if offer >= price => {
                if budget.is_none_or(|budget| replayed.spend + price <= budget) {
                    replayed.wins += 1;
                    replayed.clicks += u64::from(logged.clicked);
                    replayed.spend += price;
                }
            }
            Some(_) => {}
            None => replayed.unknown += u64::from(offer > logged.bid),
        }
    }
    Ok(replayed)
}

/// How likely a bid is to win.
#[derive(Debug, Clone, PartialEq)]
pub struct WinCurve {
    /// Prices at which the curve steps, with the probability to lose from there on and Greenwood's sum.
    steps: Vec<(f64, f64, f64)>,
    /// Auctions that it rests on.
    pub n: usize,
}

impl WinCurve {
    /// From auctions as `(bid, price if won)`.
    ///
    /// # Errors
    /// No auctions, or a number that is none.
    pub fn from_auctions(auctions: &[(f64, Option<f64>)]) -> Result<Self> {
        let what = "cannot draw the win curve";
        if auctions.is_empty() {
            return Err(Failure::new(what, "there are no auctions"));
        }
        // A won auction shows its price; a lost one is only known to be dearer than its bid.
        let mut seen: Vec<(f64, bool)> =
            auctions.iter().map(|(bid, price)| price.map_or((*bid, false), |price| (price, true))).collect();
        if seen.iter().any(|(at, _)| at.is_nan()) {
            return Err(Failure::new(what, "a bid or a price is no number"));
        }
        // At equal amounts prices come before bids that lost: the price was reached.
        seen.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let n = seen.len();
        let (mut survival, mut greenwood) = (1.0, 0.0);
        let mut steps = Vec::new();
        for (place, (at, is_price)) in seen.into_iter().enumerate() {
            if !is_price {
                continue;
            }
            let at_risk = (n - place) as f64;
            survival *= 1.0 - 1.0 / at_risk;
            if at_risk > 1.0 {
                greenwood += 1.0 / (at_risk * (at_risk - 1.0));
            }
            steps.push((at, survival, greenwood));
        }
        Ok(Self { steps, n })
    }

    /// The probability that a bid wins, with Greenwood's 95 % interval.
    pub fn win_probability(&self, bid: f64) -> Estimate {
        let passed = self.steps.partition_point(|(at, ..)| *at <= bid);
        let Some((_, survival, greenwood)) = passed.checked_sub(1).map(|last| self.steps[last]) else {
            return Estimate::normal(0.0, 0.0);
        };
        Estimate::normal(1.0 - survival, survival * greenwood.sqrt())
    }
}

/// Which columns of a log are its bids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BidColumns {
    /// What was bid; absent: the price whose name says bid.
    pub bid: Option<String>,
    /// What was paid, empty where the auction was lost; absent: the price whose name says pay.
    pub paid: Option<String>,
    /// 1 where the auction was won; absent: won where something was paid.
    pub won: Option<String>,
}

/// What a log of bids says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Landscape {
    /// Where the bids come from, in words.
    pub source: String,
    /// Auctions.
    pub auctions: usize,
    /// Auctions that were won.
    pub won: usize,
    /// Bid, probability to win, and the ends of its 95 % interval.
    pub curve: Vec<[f64; 4]>,
    /// The same from the won auctions alone: too easy.
    pub wins_alone: Vec<[f64; 2]>,
    /// What other bids would have brought: the factor on the logged bid, and the replay.
    pub factors: Vec<(f64, Replayed)>,
    /// What the log itself brought.
    pub logged: Replayed,
    /// What was clicked over what was predicted on the auctions that were won, where predictions are known: what a bid by
    /// prediction should be marked down by.
    pub marked_down: Option<Estimate>,
    /// What was assumed, in words.
    pub notes: Vec<String>,
}

/// Points of the curve that is shown.
const CURVE_POINTS: usize = 200;
/// Factors on the logged bid that are tried where none are given.
pub const FACTORS: [f64; 7] = [0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5];
const WHAT: &str = "cannot read the bids";

/// The bids of a log.
///
/// # Errors
/// No columns of bids and prices paid, or a list that is no number.
pub fn bids_of_log(log: &LogFrame, columns: &BidColumns) -> Result<Vec<LoggedBid>> {
    let named = |wanted: &Option<String>, word: &str, hint: &str| -> Result<String> {
        if let Some(name) = wanted {
            return Ok(log.schema.column(name)?.name.clone());
        }
        let mut prices = log.schema.columns.iter().filter(|column| column.role == Role::Price);
        let found = prices.find(|column| column.name.to_lowercase().contains(word));
        found.map(|column| column.name.clone()).ok_or_else(|| {
            Failure::new(WHAT, format!("no price of the log is named like '{word}'"))
                .at(log.source.path.display())
                .hint(hint.to_owned())
        })
    };
    let bid = named(&columns.bid, "bid", "name the column with the bids")?;
    let paid = named(
        &columns.paid,
        "pay",
        "name the column with the prices paid; without them no log says what other bids would have won",
    )?;
    let (bids, prices) = (cells::numbers(log, &bid)?, cells::numbers(log, &paid)?);
    let won = columns.won.as_ref().map(|won| cells::numbers(log, won)).transpose()?;
    let clicked = Outcome::read(log)?.map(|outcome| outcome.label.to_vec()).unwrap_or_default();
    Ok((0..log.rows())
        .map(|row| {
            let is_won = won.as_ref().map_or(!prices[row].is_nan(), |won| won[row] > 0.5);
            LoggedBid {
                bid: bids[row],
                price: is_won.then_some(prices[row]),
                clicked: clicked.get(row).is_some_and(|label| *label > 0.5),
            }
        })
        .collect())
}

/// The bids of one campaign in the recorded pages of a simulation's baseline, per thousand impressions.
///
/// # Errors
/// Pages of several slots, on which winning is no yes or no; a campaign that never bid.
pub fn bids_of_recording(
    recording: &Recording,
    campaigns: usize,
    campaign: usize,
    slots: usize,
) -> Result<Vec<LoggedBid>> {
    if slots != 1 {
        let why = "a page of several slots is won in parts; the win curve is for pages of one slot";
        return Err(Failure::new(WHAT, why).hint("simulate one slot a page"));
    }
    let (offers, shown) = match (recording.offers.first(), recording.shown.first()) {
        (Some(offers), Some(shown)) if campaign < campaigns => (offers, shown),
        _ => return Err(Failure::new(WHAT, "the simulation kept no pages")),
    };
    let mut shown = shown.iter().peekable();
    let mut bids = Vec::new();
    for (page, offers) in offers.chunks_exact(campaigns.max(1)).enumerate() {
        let sale = shown.next_if(|shown| shown.page as usize == page);
        let offer = offers[campaign];
        if !matches!(offer.fate, Fate::Won | Fate::Outbid | Fate::BelowReserve) {
            continue;
        }
        let own = sale.filter(|sale| sale.bidder as usize == campaign);
        bids.push(LoggedBid {
            bid: offer.ecpm_micros / 1e6,
            price: own.map(|sale| (sale.to_win_ecpm_micros / 1e6).min(offer.ecpm_micros / 1e6)),
            clicked: own.is_some_and(|sale| sale.clicked),
        });
    }
    if bids.is_empty() {
        return Err(Failure::new(WHAT, "this campaign did not bid on any recorded page"));
    }
    Ok(bids)
}

/// The win curve of some bids, and what other bids would have brought. `source` says where they come from and for how many
/// impressions an amount is meant: 1, or 1,000.
///
/// # Errors
/// Bids or prices that are no numbers, prices above the bids that won; no auctions.
pub fn survey(
    (source, unit): (String, f64),
    bids: &[LoggedBid],
    factors: &[f64],
    budget: Option<f64>,
) -> Result<Landscape> {
    if let Some(factor) = factors.iter().find(|factor| !factor.is_finite() || **factor < 0.0) {
        return Err(Failure::new("cannot replay the log", format!("{factor} is no factor of 0 or more")));
    }
    // Amounts for a thousand impressions are paid by the thousandth.
    let paid = |replayed: Replayed| Replayed { spend: replayed.spend / unit, ..replayed };
    let logged = paid(replay(bids, None, |bid| bid.bid)?);
    let auctions: Vec<(f64, Option<f64>)> = bids.iter().map(|bid| (bid.bid, bid.price)).collect();
    let curve = WinCurve::from_auctions(&auctions)?;
    let wins: Vec<(f64, Option<f64>)> =
        auctions.iter().copied().filter(|(_, price)| price.is_some()).collect();
    let naive = WinCurve::from_auctions(&wins).ok();
    let dearest = bids.iter().map(|bid| bid.bid).fold(0.0, f64::max);
    let points = (0..=CURVE_POINTS).map(|point| dearest * point as f64 / CURVE_POINTS as f64);
    let replayed = |factor: &f64| Ok((*factor, paid(replay(bids, budget, |bid| factor * bid.bid)?)));
    let mut notes = Vec::new();
    if wins.len() == bids.len() {
        notes.push(
            "the log has won auctions only: its win curve is that of the auctions it won, and says nothing of others"
                .to_owned(),
        );
    }
    if let Some(budget) = budget {
        notes.push(format!("a replay stops buying once {budget:.2} are spent"));
    }
    Ok(Landscape {
        source,
        auctions: bids.len(),
        won: wins.len(),
        curve: points
            .clone()
            .map(|bid| {
                let win = curve.win_probability(bid);
                [bid, win.value, win.low.max(0.0), win.high.min(1.0)]
            })
            .collect(),
        wins_alone: naive
            .map(|naive| points.map(|bid| [bid, naive.win_probability(bid).value]).collect())
            .unwrap_or_default(),
        factors: factors.iter().map(replayed).collect::<Result<_>>()?,
        logged,
        marked_down: None,
        notes,
    })
}

/// What was clicked over what was predicted on a campaign's own winners among the recorded pages of the baseline.
pub fn marked_down(recording: &Recording, campaign: usize) -> Option<Estimate> {
    let own = recording.shown.first()?.iter().filter(|shown| shown.bidder as usize == campaign);
    let (mut n, mut predicted, mut clicks) = (0.0, 0.0, 0.0);
    for shown in own {
        n += 1.0;
        predicted += f64::from(shown.predicted);
        clicks += f64::from(u8::from(shown.clicked));
    }
    winners::correction(predicted / f64::max(n, 1.0), &Rate::wilson(clicks, n))
}

impl Landscape {
    /// Tells of a log's auctions what was clicked over what a model predicted, on the won ones of the rows that it was not
    /// trained on, and says so in a note. `bids` are those of all rows.
    ///
    /// # Errors
    /// A log that the model cannot read; cancelled.
    pub fn mark_down(
        &mut self,
        bids: &[LoggedBid],
        (model, dataset): &Predictor,
        context: &JobContext,
    ) -> Result<()> {
        let unseen = dataset.validation.iter().chain(dataset.test.iter()).copied();
        let is_won = |row: &u32| bids.get(*row as usize).is_some_and(|bid| bid.price.is_some());
        let won: Vec<u32> = unseen.filter(is_won).collect();
        let predicted = model.predict(dataset, &won, context)?;
        let n = won.len() as f64;
        let clicks = won.iter().filter(|row| bids[**row as usize].clicked).count() as f64;
        let mean = predicted.iter().map(|p| f64::from(*p)).sum::<f64>() / n.max(1.0);
        self.marked_down = winners::correction(mean, &Rate::wilson(clicks, n));
        self.notes.push(format!(
            "{clicks} clicks on the {n} won auctions that {} was not trained on, {:.1} predicted",
            model.card.kind,
            mean * n
        ));
        Ok(())
    }

    /// The bid that gains most where the winner pays it, for somebody to whom an impression is worth so much: the most of
    /// `(worth - bid) P(win)` on the curve.
    pub fn best_first_price_bid(&self, worth: f64) -> Option<(f64, f64)> {
        let gains = self.curve.iter().map(|[bid, win, ..]| (*bid, (worth - bid) * win));
        gains.filter(|(_, gain)| *gain > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}
