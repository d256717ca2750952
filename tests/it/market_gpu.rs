//! Does a graphics processor hold the same auctions as the processor, to the last winner and micro?

use adloupe::headless::Terminal;
use adloupe::jobs::JobContext;
use adloupe::market::monte_carlo::engine::GpuAuctions;
use adloupe::market::monte_carlo::{LognormalMarket, Tally};

/// The adapter, or why the test says nothing on this machine.
fn graphics() -> Option<GpuAuctions> {
    match GpuAuctions::open() {
        Ok(gpu) => Some(gpu),
        Err(failure) => {
            Terminal::note(&format!("skipped: {failure}"));
            None
        }
    }
}

/// Markets with equal and unequal bidders, a lone one, many, prices that are cut off, reserves that bite.
fn markets() -> Vec<LognormalMarket> {
    let market = |bidders: Vec<(f32, f32)>, reserve| LognormalMarket { bidders, reserve };
    vec![
        market(vec![(0.0, 1.0); 8], 1.353_415),
        market(vec![(0.0, 1.0)], 0.0),
        market(vec![(0.0, 1.0), (0.5, 0.3), (-1.0, 2.0), (0.2, 0.0), (0.1, 0.8)], 0.9),
        market(vec![(6.0, 3.0); 3], 1_999.0),
        market((0..192).map(|k| (-1.0 + k as f32 / 200.0, 0.5)).collect(), 0.0),
        // So alike that many are equal to the micro: luck decides.
        market(vec![(-11.0, 0.5); 6], 0.0),
    ]
}

fn on_threads(market: &LognormalMarket, threads: usize, auctions: u64, seed: u64) -> Tally {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| market.hold(auctions, seed, &JobContext::detached()).unwrap())
}

#[test]
fn determinism_one_thread_two_threads_and_wgpu_give_the_same_winners() {
    let Some(gpu) = graphics() else { return };
    for (seed, market) in markets().iter().enumerate() {
        let seed = 7 + seed as u64;
        // Three blocks, the last of them cut short.
        let auctions = if market.bidders.len() > 100 { 66_000 } else { 150_001 };
        let one = on_threads(market, 1, auctions, seed);
        assert_eq!(one, on_threads(market, 2, auctions, seed), "market {seed}");
        let theirs = gpu.hold(market, auctions, seed, &JobContext::detached()).unwrap();
        assert_eq!(one, theirs, "market {seed} on {}", gpu.adapter());
        assert!(one.sold > 0 && one.auctions == auctions);
        let (ours, theirs) =
            (market.winners(5_000, seed).unwrap(), gpu.winners(market, 5_000, seed).unwrap());
        assert_eq!(ours, theirs, "market {seed} on {}", gpu.adapter());
        assert_eq!(ours.len(), 5_000);
    }
}

#[test]
fn equal_bids_are_won_by_luck_and_not_by_order() {
    // Bids of about 17 micros: of six bidders several share the highest all the time.
    let market = LognormalMarket { bidders: vec![(-11.0, 0.5); 2], reserve: 0.0 };
    let tally = on_threads(&market, 2, 400_000, 3);
    let wins = tally.wins.iter().map(|wins| *wins as f64).collect::<Vec<_>>();
    assert!((wins[0] - wins[1]).abs() < 4.0 * 400_000f64.sqrt(), "{wins:?}");
}

#[test]
fn what_the_kernel_is_not_made_for_is_refused_and_held_on_the_processor() {
    let Some(gpu) = graphics() else { return };
    let context = JobContext::detached();
    let many = LognormalMarket { bidders: vec![(0.0, 1.0); 193], reserve: 0.0 };
    let refused = gpu.hold(&many, 100, 1, &context).unwrap_err();
    assert!(refused.why.contains("up to 192"), "{refused}");
    let held = many.hold_fastest(100, 1, Some(&gpu), &context).unwrap();
    assert_eq!(held, many.hold(100, 1, &context).unwrap());
    let nobody = LognormalMarket { bidders: Vec::new(), reserve: 0.0 };
    assert!(gpu.hold(&nobody, 100, 1, &context).is_err());
}
