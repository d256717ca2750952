//! Does the market give the results that theory has in closed form? T1 to T20, in the order of the design.
//!
//! A Monte-Carlo mean must lie within four standard errors, `4 sd / sqrt(N)`, of the exact number.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use crate::market_support::{arm, bidder, market_of, recorded, scores};
use adloupe::auctions::{self, Auction, Clearing, Sale, minimum_to_win_ecpm_micros, myerson};
use adloupe::base::Params;
use adloupe::base::rng::Rng;
use adloupe::market::position::{Examination, looks_from_swaps};

const N: usize = 1_000_000;

fn rule(id: &str, set: &[(&str, &str)]) -> Box<dyn Clearing> {
    let rule = auctions::find(id).unwrap();
    let mut params = Params::defaults(rule.params());
    for (name, value) in set {
        params.set(rule.params(), name, value).unwrap();
    }
    rule.build(&params).unwrap()
}

fn sell(built: &dyn Clearing, auction: &Auction<'_>) -> Vec<Sale> {
    let mut sales = Vec::new();
    built.clear(auction, &mut sales);
    sales
}

/// What one slot among `n` bidders came to, per auction.
#[derive(Debug, Default)]
struct Means {
    revenue: f64,
    deviation: f64,
    fill: f64,
    /// The winners' worth.
    value: f64,
}

#[derive(Clone, Copy)]
struct Setting {
    bidders: usize,
    slots: usize,
    reserve: f64,
    auctions: usize,
}

fn one_slot(bidders: usize, reserve: f64) -> Setting {
    Setting { bidders, slots: 1, reserve, auctions: N }
}

/// Bidders who draw their worth by `value` and bid `bid(worth)`. Every setting sees the same draws.
fn many(id: &str, setting: Setting, value: impl Fn(&mut Rng) -> f64, bid: impl Fn(f64) -> f64) -> Means {
    let built = rule(id, &[]);
    let mut rng = Rng::named(12, "market");
    let (mut sales, mut values, mut bids) =
        (Vec::new(), vec![0.0; setting.bidders], vec![0.0; setting.bidders]);
    let (mut means, mut squares) = (Means::default(), 0.0);
    for tie_seed in 0..setting.auctions as u64 {
        for (value_of, bid_of) in values.iter_mut().zip(&mut bids) {
            *value_of = value(&mut rng);
            *bid_of = bid(*value_of);
        }
        built.clear(&Auction::plain(&bids, setting.slots, setting.reserve, tie_seed), &mut sales);
        let mut revenue = 0.0;
        for sale in &sales {
            revenue += sale.price_ecpm_micros;
            means.value += values[sale.bidder];
            means.fill += 1.0;
        }
        means.revenue += revenue;
        squares += revenue * revenue;
    }
    let n = setting.auctions as f64;
    means.revenue /= n;
    means.value /= n;
    means.fill /= n;
    means.deviation = (squares / n - means.revenue * means.revenue).max(0.0).sqrt();
    means
}

/// Within four standard errors, the deviation being the one measured.
fn agrees(means: &Means, exact: f64, what: &str) {
    let tolerance = 4.0 * means.deviation / (N as f64).sqrt();
    assert!((means.revenue - exact).abs() <= tolerance.max(1e-9), "{what}: {means:?} against {exact}");
}

fn honest(value: f64) -> f64 {
    value
}

fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.uniform()).ln()
}

fn lognormal(rng: &mut Rng) -> f64 {
    rng.normal().exp()
}

/// What a bidder with this worth gains by this bid.
fn gain(built: &dyn Clearing, auction: &Auction<'_>, bidder: usize, value: f64) -> f64 {
    let sale = sell(built, auction).into_iter().find(|sale| sale.bidder == bidder);
    sale.map_or(0.0, |sale| auction.looks[sale.slot] * (value - sale.price_ecpm_micros))
}

#[test]
fn t01_second_price_revenue_is_the_closed_form() {
    // Vickrey 1961: (n-1)/(n+1), standard deviation sqrt(2(n-1)/((n+1)^2 (n+2))).
    for (n, exact, deviation) in [
        (2, 0.333_333, 0.235_702),
        (3, 0.5, 0.223_607),
        (5, 0.666_667, 0.178_174),
        (10, 0.818_182, 0.111_340),
    ] {
        let means = many("second_price", one_slot(n, 0.0), Rng::uniform, honest);
        agrees(&means, exact, &format!("n = {n}"));
        assert!((means.deviation - deviation).abs() < 0.001, "n = {n}: {means:?}");
    }
}

#[test]
fn t02_first_price_at_equilibrium_earns_the_same_at_less_risk() {
    for (n, exact, deviation) in [
        (2usize, 0.333_333, 0.117_851),
        (3, 0.5, 0.129_099),
        (5, 0.666_667, 0.112_687),
        (10, 0.818_182, 0.074_689),
    ] {
        let shade = (n as f64 - 1.0) / n as f64;
        let means = many("first_price", one_slot(n, 0.0), Rng::uniform, |v| v * shade);
        agrees(&means, exact, &format!("n = {n}"));
        assert!((means.deviation - deviation).abs() < 0.001, "n = {n}: {means:?}");
        let truthful = many("first_price", one_slot(n, 0.0), Rng::uniform, honest);
        agrees(&truthful, n as f64 / (n as f64 + 1.0), &format!("truthful, n = {n}"));
    }
}

#[test]
fn t03_the_winner_values_it_most_and_bidders_share_the_surplus() {
    for n in [2usize, 5] {
        let m = n as f64;
        let means = many("second_price", one_slot(n, 0.0), Rng::uniform, honest);
        let tolerance = 4.0 * 0.24 / (N as f64).sqrt();
        assert!((means.value - m / (m + 1.0)).abs() < tolerance, "{means:?}");
        let surplus = (means.value - means.revenue) / m;
        assert!((surplus - 1.0 / (m * (m + 1.0))).abs() < 2.0 * tolerance, "{means:?}");
    }
}

#[test]
fn t04_no_fixed_shading_beats_the_equilibrium() {
    let built = rule("first_price", &[]);
    for n in [2usize, 3] {
        let equilibrium = (n as f64 - 1.0) / n as f64;
        // The same draws serve every k.
        let surplus = |k: f64| {
            let mut rng = Rng::named(4, "shading");
            let rounds = 60_000;
            let mut sum = 0.0;
            for _ in 0..rounds {
                let value = rng.uniform();
                let mut bids = vec![k * value];
                bids.extend((1..n).map(|_| rng.uniform() * equilibrium));
                sum += gain(built.as_ref(), &Auction::plain(&bids, 1, 0.0, 0), 0, value);
            }
            sum / f64::from(rounds)
        };
        let best = surplus(equilibrium);
        for k in [0.3, 0.4, 0.6, 0.75, 0.85, 1.0].into_iter().filter(|k| (k - equilibrium).abs() > 0.05) {
            assert!(surplus(k) < best + 5e-4, "n = {n}, k = {k}");
        }
    }
}

#[test]
fn t05_second_price_truth_is_best_in_every_single_auction() {
    let built = rule("second_price", &[]);
    let mut rng = Rng::named(9, "deviations");
    for _ in 0..10_000 {
        let value = rng.uniform();
        let mut bids: Vec<f64> = (0..4).map(|_| rng.uniform()).collect();
        let reserve = rng.uniform() * 0.5;
        bids[0] = value;
        let truthful = gain(built.as_ref(), &Auction::plain(&bids, 1, reserve, 0), 0, value);
        for step in 0..=20 {
            bids[0] = value * f64::from(step) / 10.0;
            let deviated = gain(built.as_ref(), &Auction::plain(&bids, 1, reserve, 0), 0, value);
            assert!(deviated <= truthful, "{bids:?}");
        }
    }
}

#[test]
fn t06_a_reserve_earns_the_closed_form_and_one_half_is_best() {
    // Myerson 1981: (n-1)/(n+1) + r^n - 2n/(n+1) r^(n+1), fill 1 - r^n.
    for (n, exact) in [(1, 0.25), (2, 0.416_667), (3, 0.531_25), (5, 0.671_875), (10, 0.818_271)] {
        let means = many("second_price", one_slot(n, 0.5), Rng::uniform, honest);
        agrees(&means, exact, &format!("n = {n}"));
        let fill = 1.0 - 0.5f64.powi(n as i32);
        assert!((means.fill - fill).abs() < 4.0 * 0.5 / (N as f64).sqrt(), "n = {n}: {means:?}");
    }
    for n in [1, 3] {
        let setting = |reserve| Setting { auctions: 200_000, ..one_slot(n, reserve) };
        let revenue = |r: f64| many("second_price", setting(r), Rng::uniform, honest).revenue;
        let best = (40..=60).map(|percent| f64::from(percent) / 100.0).map(|r| (r, revenue(r)));
        // The same draws serve every reserve, so the maximum is sharp.
        let best = best.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
        assert!((best - 0.5).abs() < 0.021, "n = {n}: best reserve {best}");
    }
}

#[test]
fn t07_one_more_bidder_is_worth_more_than_the_best_reserve() {
    // Bulow & Klemperer 1996: 1/3 > 1/4, 1/2 > 5/12, 3/5 > 17/32.
    for (n, more, best) in [(1, 1.0 / 3.0, 0.25), (2, 0.5, 5.0 / 12.0), (3, 0.6, 17.0 / 32.0)] {
        let with_reserve = many("second_price", one_slot(n, 0.5), Rng::uniform, honest);
        let one_more = many("second_price", one_slot(n + 1, 0.0), Rng::uniform, honest);
        agrees(&with_reserve, best, &format!("n = {n}"));
        agrees(&one_more, more, &format!("n = {n} + 1"));
        assert!(one_more.revenue > with_reserve.revenue);
    }
}

#[test]
fn t08_first_price_with_reserve_earns_what_the_second_price_earns() {
    // Riley & Samuelson 1981: b(v) = v(n-1)/n + r^n / (n v^(n-1)) for v >= r.
    for (n, exact) in [(1, 0.25), (2, 0.416_667), (3, 0.531_25), (5, 0.671_875)] {
        let m = f64::from(n);
        let bid = |v: f64| {
            let shaded = v * (m - 1.0) / m + 0.5f64.powi(n) / (m * v.powi(n - 1));
            if v >= 0.5 { shaded } else { 0.0 }
        };
        let means = many("first_price", one_slot(n as usize, 0.5), Rng::uniform, bid);
        agrees(&means, exact, &format!("n = {n}"));
    }
}

#[test]
fn t09_exponential_bidders_pay_the_harmonic_sum() {
    let revenue = |n, reserve| many("second_price", one_slot(n, reserve), exponential, honest);
    for (n, exact) in [(2, 0.5), (3, 0.833_333), (5, 1.283_333)] {
        agrees(&revenue(n, 0.0), exact, &format!("n = {n}"));
    }
    for (n, exact) in [(1, 0.367_879), (2, 0.668_091), (3, 0.917_231), (5, 1.307_131)] {
        agrees(&revenue(n, 1.0), exact, &format!("n = {n} with reserve"));
    }
}

#[test]
fn t10_lognormal_bidders_pay_more_with_the_right_reserve() {
    let best = 1.353_415;
    for (n, reserve, exact) in [
        (1, best, 0.515_767),
        (2, best, 0.951_262),
        (2, 0.0, 0.790_562),
        (5, best, 1.942_855),
        (5, 0.0, 1.923_483),
    ] {
        let means = many("second_price", one_slot(n, reserve), lognormal, honest);
        agrees(&means, exact, &format!("n = {n}, reserve {reserve}"));
    }
    let mut rng = Rng::named(10, "worths");
    let worths: Vec<f64> = (0..200_000).map(|_| lognormal(&mut rng)).collect();
    let mark = myerson::mark(&worths).unwrap();
    assert!(mark.from <= best && best <= mark.to, "{mark:?}");
}

#[test]
fn t11_equal_slots_at_the_highest_losing_offer() {
    // k (n-k)/(n+1).
    for (n, k, exact) in [(10, 3, 1.909_091), (5, 2, 1.0)] {
        let setting = Setting { slots: k, ..one_slot(n, 0.0) };
        for id in ["uniform_price", "vcg"] {
            let means = many(id, Setting { auctions: N / 2, ..setting }, Rng::uniform, honest);
            let tolerance = 4.0 * means.deviation / (N as f64 / 2.0).sqrt();
            assert!((means.revenue - exact).abs() < tolerance, "{id} ({n}, {k}): {means:?}");
        }
    }
}

#[test]
fn t12_a_lone_bidder_over_the_reserve_wins_and_pays_the_reserve() {
    // 5.00 against a reserve of 0.01; a public simulator gives it no win.
    for id in ["second_price", "second_price_plus", "gsp", "vcg", "uniform_price", "posted_price"] {
        let built = rule(id, &[]);
        let sales = sell(built.as_ref(), &Auction::plain(&[5_000_000.0], 1, 10_000.0, 5));
        let sold: Vec<_> = sales.iter().map(|s| (s.bidder, s.price_ecpm_micros)).collect();
        assert_eq!(sold, [(0, 10_000.0)], "{id}");
        assert!(sell(built.as_ref(), &Auction::plain(&[9_999.0], 1, 10_000.0, 5)).is_empty(), "{id}");
    }
}

/// Values per click for slots with so many clicks: (slot, bidder, paid for all clicks of the slot).
fn payments(id: &str, bids: &[f64], clicks: &[f64]) -> Vec<(usize, usize, f64)> {
    let most = clicks[0];
    let looks: Vec<f64> = clicks.iter().map(|slot| slot / most).collect();
    let auction = Auction { looks: &looks, ..Auction::plain(bids, 0, 0.0, 1) };
    let sales = sell(rule(id, &[]).as_ref(), &auction);
    sales
        .iter()
        .map(|s| (s.slot, s.bidder, (s.price_ecpm_micros * clicks[s.slot] * 1e9).round() / 1e9))
        .collect()
}

#[test]
fn t13_gsp_and_vcg_of_the_textbook() {
    // Edelman, Ostrovsky & Schwarz 2007: values 10, 4, 2 for slots with 200 and 100 clicks an hour.
    assert_eq!(payments("gsp", &[4.0, 10.0, 2.0], &[200.0, 100.0]), [(0, 1, 800.0), (1, 0, 200.0)]);
    assert_eq!(payments("vcg", &[4.0, 10.0, 2.0], &[200.0, 100.0]), [(0, 1, 600.0), (1, 0, 200.0)]);
}

#[test]
fn t14_gsp_rewards_a_lower_bid() {
    // Slots with 200 and 199 clicks: 1,200 for the truth, 1,592 for bidding 3.
    let clicks = [200.0, 199.0];
    let gain = |bid: f64| {
        let sold = payments("gsp", &[bid, 4.0, 2.0], &clicks);
        let (slot, _, paid) = *sold.iter().find(|(_, bidder, _)| *bidder == 0).unwrap();
        10.0 * clicks[slot] - paid
    };
    assert!((gain(10.0) - 1_200.0).abs() < 1e-6);
    assert!((gain(3.0) - 1_592.0).abs() < 1e-6);
}

#[test]
fn t15_locally_envy_free_bids_pay_vcg_prices() {
    assert_eq!(payments("gsp", &[10.0, 3.0, 2.0], &[200.0, 100.0]), [(0, 0, 600.0), (1, 1, 200.0)]);
}

#[test]
fn t16_quality_weighted_gsp() {
    // Bids 4, 3, 2 a click with pCTR .05, .10, .04: order B, A, C at 2.00 and 1.60 a click (Varian 2007).
    let (bids, quality) = ([4.0, 3.0, 2.0], [0.05, 0.10, 0.04]);
    let worth: Vec<f64> = bids.iter().zip(quality).map(|(bid, q)| bid * q).collect();
    let auction = Auction { quality: &quality, ..Auction::plain(&worth, 2, 0.0, 1) };
    let sales = sell(rule("gsp", &[]).as_ref(), &auction);
    let per_click: Vec<_> = sales
        .iter()
        .map(|s| (s.bidder, (s.price_ecpm_micros / quality[s.bidder] * 1e9).round() / 1e9))
        .collect();
    assert_eq!(per_click, [(1, 2.0), (0, 1.6)]);
    // By the bid alone (weight 0): A, B at the next bid.
    let sales = sell(rule("gsp", &[("quality_weight", "0")]).as_ref(), &auction);
    let per_click: Vec<_> = sales
        .iter()
        .map(|s| (s.bidder, (s.price_ecpm_micros / quality[s.bidder] * 1e9).round() / 1e9))
        .collect();
    assert_eq!(per_click, [(0, 3.0), (1, 2.0)]);
    // Nobody pays above its bid, whatever the weight; with equal quality it is plain GSP.
    let mut rng = Rng::named(16, "gsp");
    let plain = rule("second_price", &[]);
    for weight in ["0", "0.5", "1", "2"] {
        let built = rule("gsp", &[("quality_weight", weight)]);
        for tie_seed in 0..25_000 {
            let worth: Vec<f64> = (0..6).map(|_| rng.uniform()).collect();
            let quality: Vec<f64> = (0..6).map(|_| rng.uniform() * 0.2).collect();
            let auction = Auction { quality: &quality, ..Auction::plain(&worth, 3, 0.05, tie_seed) };
            let sales = sell(built.as_ref(), &auction);
            assert!(sales.iter().all(|s| s.price_ecpm_micros <= worth[s.bidder]), "{auction:?}");
            let equal = Auction { quality: &[0.1; 6], ..auction };
            let (ours, theirs) = (sell(built.as_ref(), &equal), sell(plain.as_ref(), &equal));
            assert_eq!(ours.len(), theirs.len());
            for (one, other) in ours.iter().zip(&theirs) {
                assert_eq!(one.bidder, other.bidder);
                assert!((one.price_ecpm_micros - other.price_ecpm_micros).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn t17_vcg_truth_is_best_and_payments_are_the_harm() {
    let built = rule("vcg", &[]);
    let mut rng = Rng::named(17, "vcg");
    for tie_seed in 0..10_000 {
        let n = 2 + rng.below(4);
        let values: Vec<f64> = (0..n).map(|_| rng.uniform()).collect();
        let mut looks: Vec<f64> = (0..3).map(|_| rng.uniform()).collect();
        looks.sort_by(|a, b| b.total_cmp(a));
        let reserve = if rng.chance(0.5) { rng.uniform() * 0.5 } else { 0.0 };
        let auction = Auction { looks: &looks, ..Auction::plain(&values, 0, reserve, tie_seed) };
        for sale in sell(built.as_ref(), &auction) {
            assert!(sale.price_ecpm_micros >= 0.0 && sale.price_ecpm_micros <= values[sale.bidder]);
        }
        let truthful = gain(built.as_ref(), &auction, 0, values[0]);
        for _ in 0..10 {
            let mut bids = values.clone();
            bids[0] = rng.uniform() * 1.5;
            let lied = Auction { ecpm_micros: &bids, ..auction };
            assert!(gain(built.as_ref(), &lied, 0, values[0]) <= truthful + 1e-12, "{auction:?} {bids:?}");
        }
    }
}

#[test]
fn t18_openrtb_golden_table() {
    // OpenRTB 2.6, section 4.4.1: floor 0.85, bids 1.00 / 0.90 / 0.80.
    let bids = [1_000_000.0, 900_000.0, 800_000.0];
    let auction = Auction::plain(&bids, 1, 850_000.0, 1);
    let table = |built: Box<dyn Clearing>| {
        let sales = sell(built.as_ref(), &auction);
        let to_win = [0, 1, 2].map(|bidder| minimum_to_win_ecpm_micros(&sales[0], bidder));
        (sales[0].bidder, sales[0].price_ecpm_micros, to_win)
    };
    assert_eq!(table(rule("first_price", &[])), (0, 1_000_000.0, [900_000.0, 1_000_000.0, 1_000_000.0]));
    assert_eq!(table(rule("second_price_plus", &[])), (0, 910_000.0, [900_000.0, 910_000.0, 910_000.0]));
    // An invalid bid is in no auction and has nothing to be told.
    let with_nan = [f64::NAN, 900_000.0];
    let sales = sell(rule("first_price", &[]).as_ref(), &Auction::plain(&with_nan, 1, 850_000.0, 1));
    assert_eq!(sales[0].bidder, 1);
}

#[test]
fn t19_position_bias() {
    let pages = 200_000;
    // One ad a slot, each clicked with .3 when looked at.
    let click_rates = |looks: &[f64], examination| {
        let n = looks.len();
        let bidders = (0..n as u32).map(|ad| bidder("a", &[ad], 1_000_000)).collect();
        let world = arm(&scores(n, vec![0.3; n]), &[1.0], 0.0, "second_price");
        let market = market_of(bidders, 1, looks.to_vec(), 3, world, None);
        let shown = recorded(market.with_examination(examination), pages);
        (0..n as u8)
            .map(|slot| shown.iter().filter(|s| s.slot == slot && s.clicked).count() as f64 / pages as f64)
            .collect::<Vec<f64>>()
    };
    let agree = |found: &[f64], exact: &[f64]| {
        for (found, exact) in found.iter().zip(exact) {
            let error = (exact * (1.0 - exact) / pages as f64).sqrt();
            assert!((found - exact).abs() < 4.0 * error, "{found} against {exact}");
        }
    };
    let cascade = click_rates(&[1.0; 4], Examination::Cascade);
    agree(&cascade, &[0.3, 0.21, 0.147, 0.1029]);
    let total: f64 = cascade.iter().sum();
    assert!((total - 0.7599).abs() < 4.0 * (0.7599f64 * 0.2401 / pages as f64).sqrt(), "{total}");
    agree(&click_rates(&[1.0, 0.6], Examination::Each), &[0.3, 0.18]);
    // AuctionNet's exposure: 1, .8, .6, the third only for who saw the second: 1, .8, .48.
    agree(&click_rates(&[1.0, 0.8, 0.6], Examination::Chain), &[0.3, 0.24, 0.144]);
    // Ads swapped at random between slots: the ratio of click rates is the ratio of looks.
    let mut rng = Rng::named(19, "swaps");
    let (mut shown, mut clicked) = (vec![0.0; 3], vec![0.0; 3]);
    for _ in 0..pages {
        let slot = rng.below(3);
        let attractive = [0.4, 0.1, 0.25][rng.below(3)];
        shown[slot] += 1.0;
        clicked[slot] += f64::from(u8::from(rng.chance(attractive * [1.0, 0.6, 0.3][slot])));
    }
    let looks = looks_from_swaps(&shown, &clicked).unwrap();
    for (found, exact) in looks.iter().zip([1.0, 0.6, 0.3]) {
        assert!((found.value - exact).abs() < 4.0 * (found.high - found.low) / 3.92 + 1e-12, "{looks:?}");
        assert!(found.high - found.low < 0.05);
    }
}

#[test]
fn t20_equal_ticks_have_different_luck() {
    // Two halves with the same inputs; a public simulator draws the same luck in both.
    let n = 50_000;
    let world = arm(&scores(1, vec![0.2]), &[1.0], 0.0, "second_price");
    let shown = recorded(market_of(vec![bidder("a", &[0], 2_000_000)], 1, vec![1.0], 5, world, None), 2 * n);
    let clicks: Vec<f64> = shown.iter().map(|s| f64::from(u8::from(s.clicked))).collect();
    let (first, second) = clicks.split_at(n as usize);
    assert_ne!(first, second);
    let mean = |v: &[f64]| v.iter().sum::<f64>() / n as f64;
    let (a, b) = (mean(first), mean(second));
    let covariance = first.iter().zip(second).map(|(x, y)| (x - a) * (y - b)).sum::<f64>() / n as f64;
    let correlation = covariance / (a * (1.0 - a) * b * (1.0 - b)).sqrt();
    assert!(correlation.abs() < 4.0 / (n as f64).sqrt(), "{correlation}");
}
