//! Where do budgets and first prices settle? The first-price pacing equilibrium.
//!
//! Every bidder bids `alpha_i v_ij` with a multiplier of at most 1, goods go to the highest bids at their bid, and a
//! bidder whose multiplier is below 1 spends all of its budget (Conitzer et al. 2022). It is the equilibrium of
//! a market with quasi-linear buyers, found here by proportional response (Gao & Kroer 2020): each splits its
//! budget over goods, and what it keeps, in proportion to what they brought.

use crate::base::{Failure, Result};

/// The equilibrium.
#[derive(Debug, Clone, PartialEq)]
pub struct Equilibrium {
    /// Pacing multiplier of each bidder, at most 1.
    pub multipliers: Vec<f64>,
    /// Price of each good.
    pub prices: Vec<f64>,
    /// `[bidder][good]`: share of the good.
    pub shares: Vec<Vec<f64>>,
}

/// Proportional response comes within `1 / rounds` of the equilibrium's objective.
const ROUNDS: usize = 50_000;

/// The equilibrium for `values[bidder][good]` of divisible goods.
///
/// # Errors
/// Lists that do not fit, a value that is negative or no number, or a budget that is not positive.
pub fn first_price_pacing(values: &[Vec<f64>], budgets: &[f64]) -> Result<Equilibrium> {
    let refuse = |why: &str| Err(Failure::new("cannot find the pacing equilibrium", why));
    let goods = values.first().map_or(0, Vec::len);
    if goods == 0 || values.len() != budgets.len() || values.iter().any(|row| row.len() != goods) {
        return refuse("values, goods and budgets do not fit");
    }
    if values.iter().flatten().any(|value| !value.is_finite() || *value < 0.0) {
        return refuse("a value is negative or no number");
    }
    if budgets.iter().any(|budget| !budget.is_finite() || *budget <= 0.0) {
        return refuse("a budget is not positive");
    }
    let split = |budget: &f64| vec![budget / (goods + 1) as f64; goods];
    let mut bids: Vec<Vec<f64>> = budgets.iter().map(split).collect();
    let mut kept: Vec<f64> = budgets.iter().map(|budget| budget / (goods + 1) as f64).collect();
    for _ in 0..ROUNDS {
        let prices = prices(&bids, goods);
        for (bidder, bid) in bids.iter_mut().enumerate() {
            let gains: Vec<f64> =
                (0..goods).map(|good| values[bidder][good] * share(bid[good], prices[good])).collect();
            let total = gains.iter().sum::<f64>() + kept[bidder];
            let scale = if total > 0.0 { budgets[bidder] / total } else { 0.0 };
            bid.iter_mut().zip(&gains).for_each(|(bid, gain)| *bid = gain * scale);
            kept[bidder] *= scale;
        }
    }
    let prices = prices(&bids, goods);
    let share_of =
        |bid: &Vec<f64>| (0..goods).map(|good| share(bid[good], prices[good])).collect::<Vec<f64>>();
    let shares: Vec<Vec<f64>> = bids.iter().map(share_of).collect();
    let multiplier = |bidder: usize| {
        let gain: f64 = shares[bidder].iter().zip(&values[bidder]).map(|(share, value)| share * value).sum();
        (budgets[bidder] / (gain + kept[bidder]).max(f64::MIN_POSITIVE)).min(1.0)
    };
    Ok(Equilibrium { multipliers: (0..values.len()).map(multiplier).collect(), prices, shares })
}

fn prices(bids: &[Vec<f64>], goods: usize) -> Vec<f64> {
    (0..goods).map(|good| bids.iter().map(|bid| bid[good]).sum()).collect()
}

fn share(bid: f64, price: f64) -> f64 {
    if price > 0.0 { bid / price } else { 0.0 }
}
