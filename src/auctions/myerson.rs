//! Which reserve would earn the seller most? Myerson's mark for the reserve slider.
//!
//! For equal bidders with regular values the best reserve is the monopoly price: the `r` that maximises
//! `r (1 - F(r))`, whatever the number of bidders (Myerson 1981). From a sample of worths `F` is the empirical
//! distribution; the highest few are left out, for a maximum among them rests on one or two bids (the guard
//! of Dhangwatnotai, Roughgarden & Yan 2015).

/// The best reserve and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MyersonMark {
    /// The reserve, in the unit of the sample.
    pub reserve: f64,
    /// What it would earn from one bidder alone.
    pub revenue_of_one: f64,
    /// The reserves that earn one bidder's revenue to within two standard errors: how sharp the mark is.
    pub from: f64,
    /// See `from`.
    pub to: f64,
    /// Worths that it was found from.
    pub n: usize,
}

/// Fewer worths than this give no mark.
const FEWEST: usize = 30;
/// Share of the highest worths that may not be the reserve.
const GUARD: f64 = 0.01;

/// The mark for a sample of worths. `None` for fewer than 30 positive ones.
pub fn mark(worths: &[f64]) -> Option<MyersonMark> {
    let mut sorted: Vec<f64> =
        worths.iter().copied().filter(|worth| worth.is_finite() && *worth > 0.0).collect();
    let n = sorted.len();
    if n < FEWEST {
        return None;
    }
    sorted.sort_unstable_by(f64::total_cmp);
    let open = ((GUARD * n as f64).ceil() as usize).max(1);
    // Reserve sorted[i]: the worths from i on reach it.
    let sells = |i: usize| (n - i) as f64 / n as f64;
    let revenue = |i: usize| sorted[i] * sells(i);
    let (best, revenue_of_one) = (0..n - open).map(|i| (i, revenue(i))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    let share = sells(best);
    let error = sorted[best] * (share * (1.0 - share) / n as f64).sqrt();
    let as_good = |i: &usize| revenue(*i) >= revenue_of_one - 2.0 * error;
    let from = (0..=best).find(as_good).unwrap_or(best);
    let to = (best..n - open).rev().find(as_good).unwrap_or(best);
    Some(MyersonMark { reserve: sorted[best], revenue_of_one, from: sorted[from], to: sorted[to], n })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn sample(n: usize, draw: impl Fn(&mut Rng) -> f64) -> Vec<f64> {
        let mut rng = Rng::named(8, "myerson");
        (0..n).map(|_| draw(&mut rng)).collect()
    }

    #[test]
    fn the_mark_covers_the_closed_forms() {
        // Best reserves: U[0,1] 0.5 earning 0.25; exponential(1) 1 earning 1/e; lognormal(0,1) 1.353415 earning
        // 0.515767 (integrated numerically).
        let uniform = mark(&sample(200_000, Rng::uniform)).unwrap();
        let exponential = mark(&sample(200_000, |rng| -(1.0 - rng.uniform()).ln())).unwrap();
        let lognormal = mark(&sample(200_000, |rng| rng.normal().exp())).unwrap();
        for (found, reserve, revenue) in
            [(uniform, 0.5, 0.25), (exponential, 1.0, (-1.0f64).exp()), (lognormal, 1.353_415, 0.515_767)]
        {
            assert!((found.revenue_of_one - revenue).abs() < 0.005 * revenue.max(0.5), "{found:?}");
            assert!(found.from <= reserve && reserve <= found.to, "{found:?}");
            assert!((found.reserve - reserve).abs() < 0.08 * reserve, "{found:?}");
        }
    }

    #[test]
    fn few_or_no_worths_give_no_mark() {
        assert_eq!(mark(&[]), None);
        assert_eq!(mark(&[1.0; 29]), None);
        assert_eq!(mark(&[f64::NAN; 100]), None);
        assert_eq!(mark(&[-1.0; 100]), None);
        let same = mark(&[2.0; 40]).unwrap();
        assert_eq!((same.reserve, same.revenue_of_one), (2.0, 2.0));
    }
}
