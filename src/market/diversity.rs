//! Which ads make a page that is good and not all the same? Re-ranking by MMR and by DPP.
//!
//! On a page of several slots each is sold after the ones above, to offers that are lowered for being like what stands
//! there already; the winner pays what it had to reach in its own offer. So the order is that of the published rules
//! ([`mmr`], [`greedy_dpp`]) and nobody pays more than it offered.

use crate::auctions::{Auction, Clearing, Sale};
use serde::{Deserialize, Serialize};

/// How unlike the ads of one page are to be. Two ads are alike when they are of one category.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diversity {
    /// The best offers, whatever they are like.
    #[default]
    None,
    /// Maximal marginal relevance with this weight of the offer, in `(0, 1]`; 1: the offer alone.
    Mmr(f64),
    /// A determinantal point process in which ads of one category have this similarity, in `[0, 1)`.
    Dpp(f64),
}

/// Rules that sell each slot for itself to the best offer.
const RULES: [&str; 3] = ["second_price", "first_price", "gsp"];

impl Diversity {
    /// What is wrong with it, if anything; `rule` is the auction's id.
    pub fn problem(self, rule: &str) -> Option<String> {
        match self {
            Self::None => None,
            _ if !RULES.contains(&rule) => {
                Some(format!("{rule} sells its slots together; diversity works with {}", RULES.join(", ")))
            }
            Self::Mmr(weight) if weight > 0.0 && weight <= 1.0 => None,
            Self::Dpp(alike) if (0.0..1.0).contains(&alike) => None,
            wrong => {
                Some(format!("{wrong:?}: the weight of MMR is in (0, 1], the similarity of a DPP in [0, 1)"))
            }
        }
    }
}

/// What a bidder's offer becomes for the next slot, and back: `lowered = slope x offer - fall`.
#[derive(Debug, Clone, Copy)]
struct Lowering {
    slope: f64,
    fall: f64,
}

impl Lowering {
    /// For an ad of whose category `above` ads stand on the page already; `top` is the highest offer of the page.
    fn new(diversity: Diversity, above: usize, top: f64) -> Self {
        match diversity {
            Diversity::None => Self { slope: 1.0, fall: 0.0 },
            Diversity::Mmr(weight) => {
                let nearest = f64::from(u8::from(above > 0));
                // A constant keeps all positive: only the order counts.
                Self { slope: weight, fall: (1.0 - weight) * (nearest - 1.0) * top }
            }
            // The volume that another of m alike ads adds: 1 - k' K^-1 k with K of ones on and `alike` off its diagonal.
            Diversity::Dpp(alike) => {
                let m = above as f64;
                let slope = 1.0 - m * alike * alike / (1.0 + (m - 1.0) * alike).max(f64::MIN_POSITIVE);
                Self { slope: if above == 0 { 1.0 } else { slope }, fall: 0.0 }
            }
        }
    }

    fn lower(self, offer: f64) -> f64 {
        self.slope * offer - self.fall
    }

    fn raise(self, lowered: f64) -> f64 {
        (lowered + self.fall) / self.slope
    }
}

/// Sells the slots of a page one after the other by `rule`; `category_of` says of what category a bidder's ad is.
pub(super) fn sell(
    diversity: Diversity,
    rule: &dyn Clearing,
    auction: &Auction<'_>,
    category_of: impl Fn(usize) -> usize,
    sales: &mut Vec<Sale>,
) {
    sales.clear();
    let able = |offer: f64, floor: f64| offer > 0.0 && offer >= floor;
    let top = auction.ecpm_micros.iter().copied().filter(|offer| able(*offer, 0.0)).fold(0.0, f64::max);
    let (mut offers, mut sold) = (vec![0.0; auction.ecpm_micros.len()], Vec::new());
    for slot in 0..auction.slots() {
        let floor = auction.floor(slot);
        let lowering = |bidder: usize| {
            let own = category_of(bidder);
            let above = sales.iter().filter(|sale| category_of(sale.bidder) == own).count();
            Lowering::new(diversity, above, top)
        };
        for (bidder, lowered) in offers.iter_mut().enumerate() {
            let offer = auction.ecpm_micros[bidder];
            let out = !able(offer, floor) || sales.iter().any(|sale| sale.bidder == bidder);
            *lowered = if out { -1.0 } else { lowering(bidder).lower(offer) };
        }
        let one = Auction {
            ecpm_micros: &offers,
            looks: auction.looks.get(slot..=slot).unwrap_or_default(),
            reserve_ecpm_micros: 0.0,
            floors_ecpm_micros: &[],
            ..*auction
        };
        rule.clear(&one, &mut sold);
        if let Some(sale) = sold.first() {
            let back = lowering(sale.bidder);
            let own = auction.ecpm_micros[sale.bidder];
            let within = |lowered: f64| back.raise(lowered).max(floor);
            sales.push(Sale {
                slot,
                price_ecpm_micros: within(sale.price_ecpm_micros).min(own),
                to_win_ecpm_micros: within(sale.to_win_ecpm_micros),
                ..*sale
            });
        }
    }
}

/// Maximal marginal relevance (Carbonell & Goldstein 1998): picks `count` items one by one, each with the highest
/// `lambda x relevance - (1 - lambda) x similarity to the nearest item picked`. Places in order of picking.
pub fn mmr(
    relevance: &[f64],
    similarity: impl Fn(usize, usize) -> f64,
    lambda: f64,
    count: usize,
) -> Vec<usize> {
    let mut picked: Vec<usize> = Vec::new();
    // Similarity of each item to the nearest one picked.
    let mut nearest = vec![0.0f64; relevance.len()];
    while picked.len() < count.min(relevance.len()) {
        let marginal = |item: usize| lambda * relevance[item] - (1.0 - lambda) * nearest[item];
        let left = (0..relevance.len()).filter(|item| !picked.contains(item));
        // Of equal items the first: max_by would take the last.
        let Some(best) = left.rev().max_by(|a, b| marginal(*a).total_cmp(&marginal(*b))) else { break };
        for (item, nearest) in nearest.iter_mut().enumerate() {
            let alike = similarity(item, best);
            *nearest = if picked.is_empty() { alike } else { nearest.max(alike) };
        }
        picked.push(best);
    }
    picked
}

/// Greedy MAP of a determinantal point process with kernel `l` (symmetric, positive semi-definite): each pick
/// multiplies the determinant most. By Cholesky updates, `O(items x count^2)` (Chen, Zhang & Zhou 2018). Stops
/// early where nothing adds volume.
pub fn greedy_dpp(l: &[Vec<f64>], count: usize) -> Vec<usize> {
    let n = l.len();
    let mut gain: Vec<f64> = (0..n).map(|item| l[item][item]).collect();
    let mut rows: Vec<Vec<f64>> = vec![Vec::new(); n];
    let mut picked: Vec<usize> = Vec::new();
    while picked.len() < count.min(n) {
        let left = (0..n).filter(|item| !picked.contains(item));
        let Some(best) = left.rev().max_by(|a, b| gain[*a].total_cmp(&gain[*b])) else { break };
        if gain[best] <= 0.0 {
            break;
        }
        let root = gain[best].sqrt();
        let pivot = rows[best].clone();
        for item in (0..n).filter(|item| *item != best && !picked.contains(item)) {
            let along: f64 = pivot.iter().zip(&rows[item]).map(|(a, b)| a * b).sum();
            let entry = (l[best][item] - along) / root;
            rows[item].push(entry);
            gain[item] -= entry * entry;
        }
        picked.push(best);
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auctions;
    use crate::base::Params;
    use crate::base::rng::Rng;

    fn rule(id: &str) -> Box<dyn Clearing> {
        let rule = auctions::find(id).unwrap();
        rule.build(&Params::defaults(rule.params())).unwrap()
    }

    #[test]
    fn the_slot_loop_orders_ads_as_the_published_rules_do() {
        let mut rng = Rng::named(9, "diverse pages");
        for _ in 0..2_000 {
            let offers: Vec<f64> = (0..8).map(|_| 1.0 + rng.uniform()).collect();
            let category: Vec<usize> = (0..8).map(|_| rng.below(3)).collect();
            let auction = Auction::plain(&offers, 4, 0.0, 1);
            let order = |diversity| {
                let mut sales = Vec::new();
                sell(diversity, &*rule("gsp"), &auction, |bidder| category[bidder], &mut sales);
                for sale in &sales {
                    assert!(sale.price_ecpm_micros <= offers[sale.bidder] && sale.price_ecpm_micros >= 0.0);
                }
                sales.iter().map(|sale| sale.bidder).collect::<Vec<_>>()
            };
            let alike = |a: usize, b: usize| f64::from(u8::from(category[a] == category[b]));
            let top = offers.iter().copied().fold(0.0, f64::max);
            let relevance: Vec<f64> = offers.iter().map(|offer| offer / top).collect();
            assert_eq!(order(Diversity::Mmr(0.7)), mmr(&relevance, alike, 0.7, 4));
            let theta = 0.8;
            let similar = |a: usize, b: usize| if a == b { 1.0 } else { theta * alike(a, b) };
            let kernel: Vec<Vec<f64>> = (0..8)
                .map(|a| (0..8).map(|b| (offers[a] * offers[b]).sqrt() * similar(a, b)).collect())
                .collect();
            assert_eq!(order(Diversity::Dpp(theta)), greedy_dpp(&kernel, 4));
            let mut plain = Vec::new();
            rule("gsp").clear(&auction, &mut plain);
            let plain: Vec<usize> = plain.iter().map(|sale| sale.bidder).collect();
            assert_eq!(order(Diversity::Mmr(1.0)), plain);
        }
    }

    #[test]
    fn the_winner_pays_what_it_had_to_reach_in_its_own_offer() {
        // Offers 10 and 9 of one category, 6 of another; MMR at .5: after the 10 the 9 counts .5 x .9 - .5 = -.05 of
        // the top, the 6 counts .3. It would have needed -.1 of the top, so it pays the floor.
        let offers = [10.0, 9.0, 6.0];
        let auction = Auction { reserve_ecpm_micros: 1.0, ..Auction::plain(&offers, 2, 1.0, 1) };
        let mut sales = Vec::new();
        sell(
            Diversity::Mmr(0.5),
            &*rule("second_price"),
            &auction,
            |bidder| usize::from(bidder == 2),
            &mut sales,
        );
        let sold: Vec<_> = sales.iter().map(|sale| (sale.bidder, sale.price_ecpm_micros)).collect();
        assert_eq!(sold, [(0, 9.0), (2, 1.0)]);
        // A DPP with similarity .9: the 9 adds .19 x 9 = 1.71, so the 6 pays 1.71.
        sell(
            Diversity::Dpp(0.9),
            &*rule("second_price"),
            &auction,
            |bidder| usize::from(bidder == 2),
            &mut sales,
        );
        assert_eq!(sales[1].bidder, 2);
        assert!((sales[1].price_ecpm_micros - 1.71).abs() < 1e-9, "{sales:?}");
        sell(
            Diversity::Mmr(0.5),
            &*rule("first_price"),
            &auction,
            |bidder| usize::from(bidder == 2),
            &mut sales,
        );
        assert!((sales[1].price_ecpm_micros - 6.0).abs() < 1e-9, "{sales:?}");
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert!(Diversity::Mmr(0.0).problem("gsp").is_some());
        assert!(Diversity::Dpp(1.0).problem("gsp").is_some());
        assert!(Diversity::Dpp(f64::NAN).problem("gsp").is_some());
        assert!(Diversity::Mmr(0.5).problem("vcg").unwrap().contains("together"));
        assert!(Diversity::Mmr(0.5).problem("gsp").is_none() && Diversity::None.problem("vcg").is_none());
    }
}
