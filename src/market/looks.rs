//! How often is each slot looked at? The position-based model, fitted to the log.
//!
//! A click needs a look and an attractive ad: `P(click) = gamma_k alpha_a` (Craswell et al. 2008). Slots that get the
//! better ads would seem to be looked at more, so `gamma` and `alpha` are fitted together, by maximum likelihood of
//! Poisson counts: alternate scaling, each step the exact maximum of its half. Only ads that were shown in several
//! slots tell anything about `gamma`. What is left is an assumption, and told: that which user sees an ad in which slot
//! is a matter of chance.

use crate::auctions::MAX_SLOTS;
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::outcome::Outcome;
use crate::data::{LogFrame, Role};
use crate::metrics::Estimate;

/// How often each slot is looked at, relative to the first.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct FittedLooks {
    /// The column with the slots.
    pub column: String,
    /// Its value for each slot, in order.
    pub slots: Vec<String>,
    /// `gamma_k / gamma_1`, with 95 % intervals.
    pub looks: Vec<Estimate>,
    /// Impressions by slot.
    pub impressions: Vec<f64>,
    /// Clicks by slot.
    pub clicks: Vec<f64>,
}

/// Rounds of alternate scaling; it converges linearly and fast where ads change slots.
const ROUNDS: usize = 500;

impl FittedLooks {
    /// The shares that a market can use: none above 1.
    pub fn shares(&self) -> Vec<f64> {
        self.looks.iter().map(|look| look.value.clamp(0.0, 1.0)).collect()
    }

    /// Fits a log: its ads and its column of slots with few numbered values.
    ///
    /// # Errors
    /// A log without ads, slots or clicks, and what [`fit`] answers.
    pub fn of_log(log: &LogFrame) -> Result<Self> {
        let refuse = |why: &str, hint: &str| Failure::new(WHAT, why).at(log.source.path.display()).hint(hint);
        let ads = log.schema.with_role(Role::Ad).ok_or_else(|| {
            refuse("no column of the log has the role ad", "give the column with ad or item ids the role ad")
        })?;
        let ads = cells::coded(log, &ads.name)?;
        let outcome = Outcome::read(log)?.ok_or_else(|| {
            refuse("no column says what was clicked", "give the click column the role label")
        })?;
        let mut columns = log.schema.columns.iter().filter(|column| column.role == Role::Slot);
        let numbered = columns.find_map(|column| slots_of(log, &column.name).transpose()).transpose()?;
        let (column, names, slot_of_row) = numbered.ok_or_else(|| {
            refuse(
                "no column numbers its slots",
                "give the column with positions (1, 2, 3 ...) the role slot",
            )
        })?;
        let (k, n) = (names.len(), ads.values.len());
        let (mut shown, mut clicked) = (vec![0.0; n * k], vec![0.0; n * k]);
        for (row, (&ad, slot)) in ads.codes.iter().zip(&slot_of_row).enumerate() {
            let (Some(slot), true) = (slot, ad != NO_CODE && outcome.label[row].is_finite()) else {
                continue;
            };
            let weight = f64::from(outcome.weight.get(row).copied().unwrap_or(1.0));
            shown[ad as usize * k + slot] += weight;
            clicked[ad as usize * k + slot] += weight * f64::from(outcome.label[row]);
        }
        let looks = fit(&shown, &clicked, k)?;
        let by_slot = |cells: &[f64]| (0..k).map(|slot| cells.iter().skip(slot).step_by(k).sum()).collect();
        Ok(Self { column, slots: names, looks, impressions: by_slot(&shown), clicks: by_slot(&clicked) })
    }
}

const WHAT: &str = "cannot measure how often slots are looked at";

/// A column of slots that are few whole numbers: its name, the numbers in order, and the slot of each row.
type Slots = (String, Vec<String>, Vec<Option<usize>>);

fn slots_of(log: &LogFrame, column: &str) -> Result<Option<Slots>> {
    if cells::is_list(log, column)? || cells::is_calendar_time(log, column)? {
        return Ok(None);
    }
    let numbers = cells::numbers(log, column)?;
    let mut known: Vec<i64> = Vec::new();
    for number in numbers.iter().filter(|number| !number.is_nan()) {
        let whole = *number as i64;
        if whole as f64 != *number {
            return Ok(None);
        }
        if !known.contains(&whole) {
            known.push(whole);
            if known.len() > MAX_SLOTS {
                return Ok(None);
            }
        }
    }
    known.sort_unstable();
    let place = |number: &f64| known.iter().position(|slot| *slot as f64 == *number);
    let of_row = numbers.iter().map(place).collect();
    Ok((known.len() > 1)
        .then(|| (column.to_owned(), known.iter().map(ToString::to_string).collect(), of_row)))
}

/// Looks of `slots` slots relative to the first, from impressions and clicks as `[ad * slots + slot]`. Intervals by the
/// Fisher information of the logarithms, ads profiled out.
///
/// # Errors
/// Lists that do not fit, a slot without clicks, or slots that share no ad.
pub fn fit(shown: &[f64], clicked: &[f64], slots: usize) -> Result<Vec<Estimate>> {
    let refuse = |why: String, hint: &str| Err(Failure::new(WHAT, why).hint(hint.to_owned()));
    if slots < 2 || shown.len() != clicked.len() || !shown.len().is_multiple_of(slots) {
        return refuse("impressions and clicks do not fit the slots".to_owned(), "");
    }
    let column = |cells: &[f64], slot: usize| cells.iter().skip(slot).step_by(slots).sum::<f64>();
    let clicks: Vec<f64> = (0..slots).map(|slot| column(clicked, slot)).collect();
    if let Some(slot) = clicks.iter().position(|clicks| *clicks <= 0.0) {
        return refuse(format!("slot {} has no clicks", slot + 1), "use a longer log");
    }
    let (ads, mut gamma) = (shown.len() / slots, vec![1.0; slots]);
    let mut alpha = vec![0.0; ads];
    for _ in 0..ROUNDS {
        for (ad, alpha) in alpha.iter_mut().enumerate() {
            let cells = ad * slots..(ad + 1) * slots;
            let looked: f64 =
                shown[cells.clone()].iter().zip(&gamma).map(|(shown, gamma)| shown * gamma).sum();
            *alpha = if looked > 0.0 { clicked[cells].iter().sum::<f64>() / looked } else { 0.0 };
        }
        for (slot, gamma) in gamma.iter_mut().enumerate() {
            let expected: f64 = (0..ads).map(|ad| shown[ad * slots + slot] * alpha[ad]).sum();
            *gamma = if expected > 0.0 { clicks[slot] / expected } else { 0.0 };
        }
        let first = gamma[0];
        gamma.iter_mut().for_each(|gamma| *gamma /= first);
    }
    let Some(variance) = variances(shown, &alpha, &gamma) else {
        return refuse(
            "no ads were shown in several of them, so a slot cannot be told from its ads".to_owned(),
            "use a log in which ads change places",
        );
    };
    let looks = gamma.iter().zip(variance).map(|(gamma, variance)| {
        if variance == 0.0 {
            return Estimate { value: *gamma, low: *gamma, high: *gamma };
        }
        // Symmetric in the logarithm: a share of looks is never negative.
        let reach = Estimate::normal(gamma.ln(), variance.sqrt());
        Estimate { value: *gamma, low: reach.low.exp(), high: reach.high.exp() }
    });
    Ok(looks.collect())
}

/// Variances of `ln gamma`, the first being 0 by definition: the inverse of the information
/// `I_kl = sum_a (delta_kl mu_ak - mu_ak mu_al / mu_a)`. `None` where it has no inverse.
fn variances(shown: &[f64], alpha: &[f64], gamma: &[f64]) -> Option<Vec<f64>> {
    let k = gamma.len();
    let mut information = vec![vec![0.0; k]; k];
    for (ad, alpha) in alpha.iter().enumerate() {
        let mu: Vec<f64> = (0..k).map(|slot| shown[ad * k + slot] * alpha * gamma[slot]).collect();
        let total: f64 = mu.iter().sum();
        if total <= 0.0 {
            continue;
        }
        for (i, row) in information.iter_mut().enumerate() {
            row[i] += mu[i];
            for (cell, other) in row.iter_mut().zip(&mu) {
                *cell -= mu[i] * other / total;
            }
        }
    }
    let free: Vec<Vec<f64>> = information[1..].iter().map(|row| row[1..].to_vec()).collect();
    let inverse = inverse(free)?;
    Some(std::iter::once(0.0).chain((0..k - 1).map(|i| inverse[i][i])).collect())
}

/// The inverse of a symmetric positive definite matrix by Gauss-Jordan elimination; `None` where there is none.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    let largest = (0..n).map(|i| matrix[i][i]).fold(0.0, f64::max);
    let mut inverse: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for pivot in 0..n {
        let scale = matrix[pivot][pivot];
        if scale <= 1e-9 * largest {
            return None;
        }
        for rows in [&mut matrix, &mut inverse] {
            rows[pivot].iter_mut().for_each(|cell| *cell /= scale);
        }
        for row in (0..n).filter(|row| *row != pivot) {
            let factor = matrix[row][pivot];
            for rows in [&mut matrix, &mut inverse] {
                let from = rows[pivot].clone();
                rows[row].iter_mut().zip(from).for_each(|(cell, from)| *cell -= factor * from);
            }
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    const GAMMA: [f64; 4] = [1.0, 0.6, 0.4, 0.25];

    /// Clicks of ads of which the better ones stand higher, in counts that are their own expectation or drawn.
    fn counts(seed: Option<u64>) -> (Vec<f64>, Vec<f64>) {
        let mut rng = Rng::named(seed.unwrap_or(0), "looks");
        let (mut shown, mut clicked) = (Vec::new(), Vec::new());
        for ad in 0..20 {
            let alpha = 0.01 + 0.01 * f64::from(ad);
            for (slot, gamma) in GAMMA.iter().enumerate() {
                let n = if (ad < 10) == (slot > 1) { 3_000.0 } else { 600.0 };
                let p = alpha * gamma;
                let hits = match seed {
                    None => n * p,
                    Some(_) => (0..n as u32).filter(|_| rng.chance(p)).count() as f64,
                };
                shown.push(n);
                clicked.push(hits);
            }
        }
        (shown, clicked)
    }

    #[test]
    fn looks_are_found_behind_the_quality_of_the_ads() {
        let (shown, clicked) = counts(None);
        let looks = fit(&shown, &clicked, 4).unwrap();
        for (found, exact) in looks.iter().zip(GAMMA) {
            assert!((found.value - exact).abs() < 1e-9, "{found:?} against {exact}");
        }
        // The plain ratio of click rates would take the better ads for more looks.
        let rate = |slot: usize| {
            let of = |cells: &[f64]| cells.iter().skip(slot).step_by(4).sum::<f64>();
            of(&clicked) / of(&shown)
        };
        assert!(rate(3) / rate(0) < 0.7 * GAMMA[3]);
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut held = 0;
        for seed in 1..=200 {
            let (shown, clicked) = counts(Some(seed));
            let looks = fit(&shown, &clicked, 4).unwrap();
            held += looks[1..]
                .iter()
                .zip(&GAMMA[1..])
                .filter(|(look, g)| look.low <= **g && **g <= look.high)
                .count();
        }
        // Poisson variances are a little wide for 0/1 outcomes; 600 intervals that are not independent.
        let share = held as f64 / 600.0;
        assert!((0.93..=0.985).contains(&share), "{share}");
    }

    #[test]
    fn slots_that_share_no_ad_or_have_no_clicks_are_refused() {
        let apart = fit(&[100.0, 0.0, 0.0, 100.0], &[10.0, 0.0, 0.0, 5.0], 2).unwrap_err();
        assert!(apart.why.contains("no ads were shown in several"), "{apart}");
        assert!(fit(&[10.0, 10.0], &[1.0, 0.0], 2).unwrap_err().why.contains("slot 2 has no clicks"));
        assert!(fit(&[1.0], &[1.0], 2).is_err());
    }
}
