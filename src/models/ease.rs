//! Which past ads speak for this one, when all others are known as well? EASE^R, a linear model with one closed form.
//!
//! Steck, WWW 2019: the weights `B` of least `|X - X B|^2 + l |B|^2` with a diagonal of zeros are
//! `B_ij = -P_ij / P_jj` for `P = (X^T X + l)^-1` (equation 8), where `X` says who clicked on which ad. Unlike likeness of
//! pairs it takes off what other past ads explain already. One matrix of ads times ads is inverted, in memory.

use super::counted::{Counting, need_other_ads};
use super::features::LINEAR_FLOW;
use super::item_cf::{OtherAds, check_pairs, fill};
use super::{Flow, Model, ModelKind, Network};
use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::data::Encoder;
use crate::jobs::JobContext;
use crate::nn::inverse::Symmetric;
use crate::nn::neighbours::Interactions;
use crate::nn::weights::Builder;

/// Ads that the inverse may have: its half takes 134 MB then, and the weights 268 MB.
const MOST_ADS: usize = 8_192;

/// The closed form.
#[derive(Debug)]
pub struct Ease;

/// `(X^T X + penalty)^-1` of a sparse matrix `X`.
///
/// # Errors
/// A penalty too weak for single precision, or a cancel.
pub fn inverse_gram(clicks: &Interactions, penalty: f32, context: &JobContext) -> Result<Symmetric> {
    let mut gram = Symmetric::zeros(clicks.columns());
    for row in 0..clicks.rows() {
        let entries = clicks.of_row(row);
        for (place, (one, x)) in entries.iter().enumerate() {
            for (other, y) in &entries[..=place] {
                gram.add(*one as usize, *other as usize, x * y);
            }
        }
    }
    (0..clicks.columns()).for_each(|column| gram.add(column, column, penalty));
    gram.inverted(context)
}

impl ModelKind for Ease {
    fn id(&self) -> &'static str {
        "ease"
    }

    fn label(&self) -> &'static str {
        "EASE"
    }

    fn summary(&self) -> &'static str {
        "Weighs every past ad against all others at once, by one closed form: hard to beat where ads are few."
    }

    fn params(&self) -> &'static [ParamSpec] {
        const {
            &[ParamSpec::log_real(
                "penalty",
                "Penalty",
                (0.1, 200.0, 100_000.0),
                "Added to each ad's clicks before they are weighed. Turn up when clicks are few or people many.",
            )]
        }
    }

    fn needs(&self) -> &'static str {
        "an outcome, a column of users and one of ads; a list of past ads helps"
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of("likeness", &["fields", "histories"], "weight of each past ad, solved for"),
                Flow::of("scale", &["likeness"], "what it counts, fitted apart"),
                Flow::click(&["linear", "scale"]),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        check_pairs(encoder, self.id())?;
        let (ad, _) = need_other_ads(encoder, self.id())?;
        let ads = encoder.categorical[ad].cardinality();
        if ads > MOST_ADS {
            let why = format!("it inverts a matrix of all ads, and {ads} are more than {MOST_ADS}");
            return Err(Failure::new("cannot train ease", why).hint("train item_cf, als or two_tower"));
        }
        Ok(())
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let (ad, beside) = need_other_ads(&rows.dataset.encoder, self.id())?;
        let penalty = rows.params.real("penalty")? as f32;
        let inverse = inverse_gram(&rows.by_person(ad, false), penalty, rows.context)?;
        fill(rows, network, (ad, beside), |shown, add| {
            let own = inverse.get(shown, shown);
            for other in (0..inverse.size()).filter(|other| *other != shown) {
                add(other as u32, -inverse.get(other, shown) / own);
            }
        })
    }

    fn build(&self, encoder: &Encoder, _params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        Ok(Box::new(OtherAds::new(encoder, builder, self.id())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights must be where the penalised least squares with a diagonal of zeros has no slope: for `i != j`
    /// `(X^T X B)_ij - (X^T X)_ij + l B_ij = 0`.
    #[test]
    fn the_weights_are_the_least_of_what_they_minimise() {
        let mut rng = crate::base::rng::Rng::named(3, "ease");
        let pairs = (0..400).map(|_| (rng.below(60) as u32, rng.below(12) as u32, 1.0)).collect();
        let clicks = Interactions::of(pairs, 60, 12);
        let penalty = 5.0;
        let inverse = inverse_gram(&clicks, penalty, &JobContext::detached()).unwrap();
        let weight = |i: usize, j: usize| {
            if i == j { 0.0 } else { f64::from(-inverse.get(i, j) / inverse.get(j, j)) }
        };
        let dense: Vec<Vec<f64>> = (0..60)
            .map(|row| {
                let mut all = vec![0.0; 12];
                clicks.of_row(row).iter().for_each(|(column, _)| all[*column as usize] = 1.0);
                all
            })
            .collect();
        let gram = |i: usize, j: usize| dense.iter().map(|row| row[i] * row[j]).sum::<f64>();
        for i in 0..12 {
            for j in (0..12).filter(|j| *j != i) {
                let fitted: f64 = (0..12).map(|k| gram(i, k) * weight(k, j)).sum();
                let slope = fitted - gram(i, j) + f64::from(penalty) * weight(i, j);
                assert!(slope.abs() < 1e-3, "({i}, {j}): {slope}");
            }
        }
    }
}
