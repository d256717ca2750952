//! What happens in one scenario, request by request? Offers -> auction -> looks, clicks, conversions -> money.
//!
//! Every campaign that targets the request, may still be shown to the user, is let in by its pacing and could
//! still pay enters with its best ad; the rule sells the slots; the campaign pays per impression, click or
//! conversion and drops out when its budget could not pay another event, so no budget is ever exceeded.

use super::audience::purpose;
use super::bidder::{Bidder, Fate, Ledger};
use super::diversity::{self, Diversity};
use super::exploration::{AdRecord, Exploration};
use super::feedback::Tastes;
use super::learning::{Learner, Learnt, Lesson};
use super::pacing::Pacer;
use super::position::{Look, Visit};
use super::rescoring::{Event, Histories};
use super::shading::Shader;
use super::simulation::{Offer, Shown};
use super::{Arm, Market};
use crate::auctions::{Auction, Sale};
use crate::base::Failure;
use crate::base::rng::{keyed_uniform, mix};
use crate::domain::Pricing;
use crate::domain::money::{MICROS_PER_UNIT, units_from_nanos};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The offer of a campaign that is not in the auction.
const SITS_OUT: f64 = -1.0;

/// One scenario's running state.
pub(super) struct World {
    /// Pages that count: all, unless the log is replayed.
    pub pages: u64,
    /// 0 the baseline, 1 the what-if.
    world: usize,
    pub ledgers: Vec<Ledger>,
    pub tastes: Tastes,
    /// What the last page showed.
    pub page: Vec<Shown>,
    /// What each campaign offered for the last page.
    pub offers: Vec<Offer>,
    pacers: Vec<Pacer>,
    shaders: Vec<Shader>,
    ads: Vec<AdRecord>,
    users: Users,
    /// `[row * bidders + bidder]`: each campaign's strongest ad and its pCTR, where nothing changes them.
    strongest: Vec<(u32, f32)>,
    /// What users did here, and what the model makes of it.
    histories: Histories,
    /// What this world learns while it shows ads.
    learner: Option<Learner>,
    /// Why the learner could not begin.
    stopped: Option<Failure>,
    /// Pages that the run has.
    requests: u64,
    /// Conversions on their way: the page that they arrive at, the campaign, the price.
    coming: BinaryHeap<Reverse<(u64, u32, i64)>>,
    // Scratch, kept to save allocations.
    ecpm_micros: Vec<f64>,
    quality: Vec<f64>,
    /// Class of each campaign; empty where all are of the open market.
    priorities: Vec<u8>,
    sales: Vec<Sale>,
    learns: bool,
    caps: bool,
}

/// What users have seen of each campaign.
struct Users {
    /// `[user * bidders + bidder]`: impressions.
    seen: Vec<u32>,
    /// `[user * bidders + bidder]`: the user's page, from 1, that last showed it; 0: none did.
    last: Vec<u32>,
    /// Pages of each user.
    pages: Vec<u32>,
}

impl World {
    /// `requests` is how long the run will be: pacing spreads the budgets over the pages of it that count.
    pub fn new(market: &Market, world: usize, requests: u64) -> Self {
        let arm = &market.arms[world];
        let pages = (requests as f64 * market.counted_share(world)).ceil() as u64;
        let bidders = market.bidders.len();
        let pairs = market.user_count * bidders;
        let recency = market.bidders.iter().any(|bidder| bidder.recency_pages > 0);
        let fixed = arm.exploration == Exploration::None
            && !market.feedback.effects.follows
            && market.rescorer.is_none()
            && arm.lessons.is_none();
        let (learner, stopped) = match arm.lessons.as_deref().map(Learner::new).transpose() {
            Ok(learner) => (learner, None),
            Err(failure) => (None, Some(failure)),
        };
        let shaders = market.bidders.iter().map(|bidder| {
            Shader::new(if arm.rule.pays_own_bid() { bidder.shading } else { crate::domain::Shading::None })
        });
        // A campaign paces over the pages that it targets: an evening campaign's budget is for the evening.
        let pacers = market.bidders.iter().enumerate().map(|(index, b)| {
            let own = (pages as f64 * market.targeted_share(world, index)).ceil() as u64;
            Pacer::new(b.pacing, b.budget_nanos, own)
        });
        let (shaders, pacers): (Vec<_>, Vec<_>) = (shaders.collect(), pacers.collect());
        Self {
            pages: 0,
            world,
            ledgers: market.bidders.iter().map(Ledger::new).collect(),
            tastes: Tastes::new(&market.feedback, market.user_count, arm.predicted.ads),
            page: Vec::new(),
            offers: vec![Offer::default(); bidders],
            learns: pacers.iter().any(Pacer::learns) || shaders.iter().any(Shader::learns),
            caps: recency || market.bidders.iter().any(|bidder| bidder.frequency_cap.is_some()),
            pacers,
            shaders,
            ads: (0..arm.predicted.ads)
                .map(|ad| AdRecord::learnt(arm.learnt_clicks.get(ad).copied().unwrap_or(0.0)))
                .collect(),
            users: Users {
                seen: vec![0; pairs],
                last: if recency { vec![0; pairs] } else { Vec::new() },
                pages: if recency { vec![0; market.user_count] } else { Vec::new() },
            },
            strongest: if fixed { strongest_ads(market, arm) } else { Vec::new() },
            histories: Histories::default(),
            learner,
            stopped,
            requests,
            coming: BinaryHeap::new(),
            ecpm_micros: vec![SITS_OUT; bidders],
            quality: vec![0.0; bidders],
            priorities: if market.bidders.iter().any(|bidder| bidder.priority > 0) {
                market.bidders.iter().map(|bidder| bidder.priority).collect()
            } else {
                Vec::new()
            },
            sales: Vec::new(),
        }
    }

    /// One page: impressions, clicks, revenue in currency units. A replayed page that does not count is as if it had
    /// never been asked for.
    pub fn serve(&mut self, market: &Market, arm: &Arm, request: u64, row: usize) -> [f64; 3] {
        let revenue_before: i64 = self.arrivals(request);
        if let Some(pages) = self.users.pages.get_mut(market.users[row] as usize) {
            *pages += 1;
        }
        if let Some(rescorer) = &market.rescorer {
            self.histories.refresh(rescorer, self.world, row, market.users[row]);
        }
        if let (Some(learner), Some(lessons)) = (&mut self.learner, &arm.lessons) {
            let frozen = self.histories.scores(row).unwrap_or_else(|| arm.predicted.row(row));
            learner.predict(lessons, row, frozen);
        }
        self.collect_offers(market, arm, request, row);
        let auction = Auction {
            ecpm_micros: &self.ecpm_micros,
            quality: &self.quality,
            looks: &market.looks,
            reserve_ecpm_micros: arm.reserve_ecpm_micros,
            floors_ecpm_micros: &arm.floors_ecpm_micros,
            priorities: &self.priorities,
            tie_seed: mix(market.seed ^ mix(request.wrapping_add(purpose::TIE << 48))),
        };
        if arm.diversity == Diversity::None || market.slots.len() == 1 {
            arm.rule.clear(&auction, &mut self.sales);
        } else {
            let category_of = |bidder: usize| market.feedback.category_of(self.offers[bidder].ad);
            diversity::sell(arm.diversity, &*arm.rule, &auction, category_of, &mut self.sales);
        }
        let lowest = auction.lowest_floor();
        if !self.counts(market, request, row) {
            if let Some(pages) = self.users.pages.get_mut(market.users[row] as usize) {
                *pages -= 1;
            }
            self.page.clear();
            self.offers.fill(Offer { fate: Fate::NotReplayed, ..Offer::default() });
            return [0.0, 0.0, units_from_nanos(revenue_before)];
        }
        self.pages += 1;
        self.note_fates(lowest, arm.diversity != Diversity::None);
        let (clicks, paid) = self.show(market, arm, request, row);
        [self.page.len() as f64, clicks, units_from_nanos(revenue_before + paid)]
    }

    /// Whether the log can speak of this page; always true where nothing is replayed.
    fn counts(&self, market: &Market, request: u64, row: usize) -> bool {
        let Some(replay) = &market.replay else { return true };
        let mix = market.replay_mix[self.world][row];
        let ad = self.sales.first().map(|sale| self.offers[sale.bidder].ad);
        keyed_uniform(market.seed, purpose::MIX, request) < mix
            && replay.counts(market.seed, request, row, ad)
    }

    /// Why the model could not predict anew, once it could not.
    pub fn failure(&self) -> Option<&Failure> {
        self.stopped.as_ref().or(self.histories.failure.as_ref())
    }

    /// What was learnt here; `None` where nothing learns.
    pub fn learnt(&self) -> Option<Learnt> {
        self.learner.as_ref().map(Learner::told)
    }

    /// Impressions and clicks of each ad, by column.
    pub fn shown_by_ad(&self) -> Vec<(u64, u64)> {
        self.ads.iter().map(|ad| (ad.shown, ad.clicks as u64)).collect()
    }

    /// Conversions that were set aside and have not arrived.
    pub fn pending(&self, bidder: usize) -> (u64, i64) {
        let of_bidder = self.coming.iter().filter(|Reverse((_, owner, _))| *owner as usize == bidder);
        of_bidder.fold((0, 0), |(count, nanos), Reverse((_, _, price))| (count + 1, nanos + price))
    }

    /// Books the conversions that arrive with this request.
    fn arrivals(&mut self, request: u64) -> i64 {
        let mut paid = 0;
        while self.coming.peek().is_some_and(|Reverse((due, _, _))| *due <= request) {
            let Some(Reverse((_, owner, price))) = self.coming.pop() else { break };
            let ledger = &mut self.ledgers[owner as usize];
            ledger.conversions += 1;
            ledger.spend_nanos += price;
            paid += price;
        }
        paid
    }

    fn collect_offers(&mut self, market: &Market, arm: &Arm, request: u64, row: usize) {
        let bidders = market.bidders.len();
        for (index, bidder) in market.bidders.iter().enumerate() {
            let place = row * bidders + index;
            self.ecpm_micros[index] = SITS_OUT;
            if let Some(fate) = self.kept_out(market, request, row, index) {
                self.offers[index] = Offer { fate, ..Offer::default() };
                continue;
            }
            let (ad, predicted) = match self.strongest.get(place) {
                Some(strongest) => *strongest,
                None if bidder.drawn.is_some() => bidder.strongest_ad(arm.predicted.row(row), &[]),
                None => self.choose_ad(market, arm, request, row, index),
            };
            let worth = match &bidder.drawn {
                Some(drawn) => {
                    let key = 2 * (request * bidders as u64 + index as u64);
                    let luck = |draw| keyed_uniform(market.seed, purpose::RIVAL, key + draw);
                    MICROS_PER_UNIT as f64 * drawn.bids.draw(luck(0), luck(1))
                }
                None => bidder.ecpm_micros(predicted, bidder.p_convert(arm.p_convert(row), ad)),
            };
            let worth = worth * self.pacers[index].factor();
            let ecpm_micros = self.shaders[index].bid(worth);
            self.ecpm_micros[index] = ecpm_micros;
            self.quality[index] = f64::from(predicted);
            self.offers[index] = Offer { ecpm_micros, ad, predicted, fate: Fate::Outbid };
        }
    }

    /// Why a campaign may not enter, if it may not.
    fn kept_out(&self, market: &Market, request: u64, row: usize, index: usize) -> Option<Fate> {
        let bidder = &market.bidders[index];
        if !market.targeted[row * market.bidders.len() + index] {
            Some(Fate::NotTargeted)
        } else if self.ledgers[index].left_nanos < bidder.dearest_event_nanos() {
            Some(Fate::NoBudget)
        } else if self.caps && self.users.capped(market, bidder, row, index) {
            Some(Fate::Capped)
        } else if bidder.most_exposure.is_some_and(|most| self.is_exposed(index, most)) {
            Some(Fate::Exposed)
        } else if self.learns {
            let key = request * market.bidders.len() as u64 + index as u64;
            let luck = keyed_uniform(market.seed, purpose::ENTER, key);
            (!self.pacers[index].enters(luck)).then_some(Fate::Paced)
        } else {
            None
        }
    }

    /// Whether another impression would put a campaign above its share of all of them. It is let in while only it could
    /// fill the first pages.
    fn is_exposed(&self, index: usize, most: f64) -> bool {
        let all: u64 = self.ledgers.iter().map(|ledger| ledger.impressions).sum();
        (self.ledgers[index].impressions + 1) as f64 > most * (all + 1) as f64 && all > 0
    }

    /// The ad that a campaign enters with where predictions follow the user or ads are tried.
    fn choose_ad(&self, market: &Market, arm: &Arm, request: u64, row: usize, index: usize) -> (u32, f32) {
        let bidder = &market.bidders[index];
        let known = self.learner.as_ref().map(Learner::scores).or_else(|| self.histories.scores(row));
        let predicted = known.unwrap_or_else(|| arm.predicted.row(row));
        let p_convert = arm.p_convert(row);
        let user = market.users[row] as usize;
        let follows = market.feedback.effects.follows;
        let believed = |ad: u32| {
            let liking =
                if follows { self.tastes.liking(user, market.feedback.category_of(ad)) } else { 1.0 };
            (predicted[ad as usize] * liking).min(1.0)
        };
        let key = |ad: u32, draw: u64| {
            keyed_uniform(market.seed, purpose::EXPLORE, mix(request) ^ mix(u64::from(ad) * 4 + draw))
        };
        if let Exploration::Epsilon(share) = arm.exploration
            && key(u32::MAX, index as u64 * 4) < share
        {
            let any = (key(u32::MAX, index as u64 * 4 + 1) * bidder.ads.len() as f64) as usize;
            let ad = bidder.ads[any.min(bidder.ads.len() - 1)];
            return (ad, believed(ad));
        }
        let mut best = (0, 0.0f32, f64::NEG_INFINITY);
        for &ad in &bidder.ads {
            let normal = match arm.exploration {
                Exploration::Thompson(_) | Exploration::LinThompson(_) => box_muller(key(ad, 0), key(ad, 1)),
                _ => 0.0,
            };
            let p = believed(ad);
            let lift = self.ads[ad as usize].lift(arm.exploration, f64::from(p), normal);
            let pays = if bidder.pricing == Pricing::Cpa { bidder.p_convert(p_convert, ad) } else { 1.0 };
            let index = f64::from(p) * lift * pays;
            if index > best.2 {
                best = (ad, p, index);
            }
        }
        (best.0, best.1)
    }

    fn note_fates(&mut self, lowest_floor: f64, diverse: bool) {
        for (index, offer) in self.offers.iter_mut().enumerate() {
            if self.ecpm_micros[index] == SITS_OUT {
                self.ledgers[index].note(offer.fate);
                continue;
            }
            let sale = self.sales.iter().find(|sale| sale.bidder == index);
            offer.fate = if sale.is_some() {
                Fate::Won
            } else if offer.ecpm_micros <= 0.0 || offer.ecpm_micros < lowest_floor {
                Fate::BelowReserve
            } else if deal_went_first(&self.priorities, &self.sales, &self.ecpm_micros, index) {
                Fate::LostToDeal
            } else if diverse && offered_more(&self.sales, &self.ecpm_micros, index) {
                Fate::Alike
            } else {
                Fate::Outbid
            };
            self.ledgers[index].note(offer.fate);
            if self.shaders[index].learns() {
                // The first slot tells what it took: the winner its runner-up, the others its price.
                let told = self.sales.first().map_or(lowest_floor, |first| {
                    if first.bidder == index { first.to_win_ecpm_micros } else { first.price_ecpm_micros }
                });
                self.shaders[index].saw(told);
            }
        }
    }

    /// Shows the winners and settles: clicks and what was paid, in nanos.
    fn show(&mut self, market: &Market, arm: &Arm, request: u64, row: usize) -> (f64, i64) {
        let truth = arm.clicks.row(row);
        let slots = market.slots.len() as u64;
        let (mut clicks, mut revenue_nanos) = (0.0, 0i64);
        let mut visit = Visit::new(market.examination);
        let luck = |slot: usize| {
            let key = request * slots + slot as u64;
            let uniform = |purpose| keyed_uniform(market.seed, purpose, key);
            (uniform(purpose::LOOK), uniform(purpose::CLICK))
        };
        self.page.clear();
        let sales = std::mem::take(&mut self.sales);
        for sale in &sales {
            let Offer { ad, predicted, .. } = self.offers[sale.bidder];
            let bidder = &market.bidders[sale.bidder];
            let p_convert = bidder.p_convert(arm.p_convert(row), ad);
            let attractive = market.attractiveness(truth, ad, request, self.requests)
                * self.appeal(market, row, sale.bidder, ad);
            let look = match &market.replay {
                Some(replay) => Look::logged(replay.clicked[row]),
                None => visit.slot(sale.slot, &market.slots, attractive.min(1.0), luck),
            };
            let mut shown = Shown {
                page: request as u32,
                slot: sale.slot as u8,
                bidder: sale.bidder as u32,
                ad,
                price_nanos: bidder.event_price_nanos(sale.price_ecpm_micros, predicted, p_convert),
                price_ecpm_micros: sale.price_ecpm_micros,
                to_win_ecpm_micros: sale.to_win_ecpm_micros,
                predicted,
                p_click: look.p_click as f32,
                clicked: look.clicked,
                moved: 0.0,
            };
            shown.moved = self.learn(market, arm, row, &shown);
            revenue_nanos += self.settle(market, (request, row), &shown, p_convert);
            clicks += f64::from(u8::from(shown.clicked));
            self.page.push(shown);
        }
        self.sales = sales;
        if self.learns {
            self.pace();
        }
        (clicks, revenue_nanos)
    }

    /// What an impression teaches: by how much it moves the log odds of this user and ad.
    fn learn(&mut self, market: &Market, arm: &Arm, row: usize, shown: &Shown) -> f32 {
        let (Some(learner), Some(lessons)) = (&mut self.learner, &arm.lessons) else { return 0.0 };
        let frozen = self.histories.scores(row).unwrap_or_else(|| arm.predicted.row(row));
        let frozen = frozen.get(shown.ad as usize).copied().unwrap_or(shown.predicted);
        let look = if market.replay.is_some() { 1.0 } else { market.looks[usize::from(shown.slot)] };
        let Shown { ad, clicked, .. } = *shown;
        learner.learn(lessons, Lesson { row, ad, frozen, look, clicked })
    }

    /// The factor that fatigue and drift put on a click probability.
    fn appeal(&self, market: &Market, row: usize, bidder: usize, ad: u32) -> f64 {
        let effects = market.feedback.effects;
        if effects.are_off() {
            return 1.0;
        }
        let user = market.users[row] as usize;
        let seen = self.users.seen[user * market.bidders.len() + bidder];
        let liking = self.tastes.liking(user, market.feedback.category_of(ad));
        f64::from(liking) * (1.0 - effects.fatigue).powi(seen.min(1_000) as i32)
    }

    /// Counts one impression and books what it costs now.
    fn settle(
        &mut self,
        market: &Market,
        (request, row): (u64, usize),
        shown: &Shown,
        p_convert: f64,
    ) -> i64 {
        let index = shown.bidder as usize;
        let bidder = &market.bidders[index];
        let user = market.users[row] as usize;
        let first_time = self.users.saw(user, index, market.bidders.len());
        let look = market.looks[usize::from(shown.slot)];
        let ledger = &mut self.ledgers[index];
        ledger.impressions += 1;
        ledger.reach += u64::from(first_time);
        ledger.clicks += u64::from(shown.clicked);
        ledger.predicted_clicks += f64::from(shown.predicted) * look;
        ledger.expected_clicks += f64::from(shown.p_click);
        let record = &mut self.ads[shown.ad as usize];
        record.saw(f64::from(shown.predicted) * look, shown.clicked);
        let category = market.feedback.category_of(shown.ad);
        self.tastes.saw(user, category, shown.ad);
        if let Some(rescorer) = market.rescorer.as_ref().filter(|_| bidder.drawn.is_none()) {
            let event = Event { ad: shown.ad, clicked: shown.clicked };
            self.histories.saw(rescorer, user as u32, event);
        }
        if shown.clicked {
            self.tastes.clicked(user, category, market.feedback.effects.drift);
        }
        let luck = |purpose| {
            let slots = market.slots.len() as u64;
            keyed_uniform(market.seed, purpose, request * slots + u64::from(shown.slot))
        };
        let logged = market.replay.as_ref().and_then(|replay| replay.converted.get(row));
        let converts = shown.clicked && logged.copied().unwrap_or_else(|| luck(purpose::CONVERT) < p_convert);
        let due_nanos = match bidder.pricing {
            Pricing::Cpm => shown.price_nanos,
            Pricing::Cpc if shown.clicked => shown.price_nanos,
            Pricing::Cpa if converts => shown.price_nanos,
            Pricing::Cpc | Pricing::Cpa => 0,
        };
        ledger.left_nanos -= due_nanos;
        ledger.committed_nanos += due_nanos;
        if due_nanos > 0 && ledger.left_nanos < bidder.dearest_event_nanos() {
            ledger.exhausted_at.get_or_insert(request + 1);
        }
        if converts {
            // A conversion is worth nothing to bill for who pays per impression or click.
            let price = if bidder.pricing == Pricing::Cpa { due_nanos } else { 0 };
            let wait = -(1.0 - luck(purpose::DELAY)).ln() * market.conversion_delay_pages;
            self.coming.push(Reverse((request + 1 + wait as u64, shown.bidder, price)));
        }
        if bidder.pricing == Pricing::Cpa {
            return 0;
        }
        ledger.spend_nanos += due_nanos;
        due_nanos
    }

    /// Tells every pacer what its campaign has committed.
    fn pace(&mut self) {
        for (index, pacer) in self.pacers.iter_mut().enumerate() {
            if self.offers[index].fate == Fate::NotTargeted {
                continue;
            }
            pacer.page(self.ecpm_micros[index] != SITS_OUT, self.ledgers[index].committed_nanos);
        }
    }
}

impl Users {
    fn capped(&self, market: &Market, bidder: &Bidder, row: usize, index: usize) -> bool {
        let user = market.users[row] as usize;
        let place = user * market.bidders.len() + index;
        let often = bidder.frequency_cap.is_some_and(|cap| self.seen[place] >= cap);
        let lately = bidder.recency_pages > 0
            && self.last[place] > 0
            && self.pages[user] - self.last[place] <= bidder.recency_pages;
        often || lately
    }

    /// Counts an impression; true for the first.
    fn saw(&mut self, user: usize, index: usize, bidders: usize) -> bool {
        let place = user * bidders + index;
        self.seen[place] += 1;
        if let Some(last) = self.last.get_mut(place) {
            *last = self.pages[user];
        }
        self.seen[place] == 1
    }
}

/// Whether a winner of a higher class offered less than a loser did.
fn deal_went_first(priorities: &[u8], sales: &[Sale], ecpm_micros: &[f64], loser: usize) -> bool {
    !priorities.is_empty()
        && sales.iter().any(|sale| {
            priorities[sale.bidder] > priorities[loser] && ecpm_micros[sale.bidder] < ecpm_micros[loser]
        })
}

/// Whether some winner offered less than a loser did.
fn offered_more(sales: &[Sale], ecpm_micros: &[f64], loser: usize) -> bool {
    sales.iter().any(|sale| ecpm_micros[sale.bidder] < ecpm_micros[loser])
}

fn strongest_ads(market: &Market, arm: &Arm) -> Vec<(u32, f32)> {
    let rows = 0..arm.predicted.rows();
    rows.flat_map(|row| {
        let predicted = arm.predicted.row(row);
        market.bidders.iter().map(move |bidder| bidder.strongest_ad(predicted, arm.p_convert(row)))
    })
    .collect()
}

/// A standard normal from two uniforms (Box & Muller 1958).
fn box_muller(one: f64, other: f64) -> f64 {
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}
