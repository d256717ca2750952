//! Does a person click on what goes with what they had before? Neighbours among ads.
//!
//! Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS 2004: ads are alike that the same people clicked in the training
//! rows, and an ad's score is the sum of its likeness to the person's past ads. What a row's past is the log says, so
//! somebody new is served as soon as they have one.

use super::counted::{Counting, PairTable, ScaledSum, check_cells, need_past_ads};
use super::features::LINEAR_FLOW;
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::neighbours::{Likeness, Neighbours};
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// What counts as alike.
pub const LIKENESS: ParamSpec = ParamSpec::choice(
    "likeness",
    "Likeness",
    Likeness::WORDS,
    "Cosine and Jaccard count clicks in common; the adjusted cosine compares click rates less each person's mean.",
);

/// How many neighbours.
pub const NEIGHBOURS: ParamSpec = ParamSpec::integer(
    "neighbours",
    "Neighbours",
    (0, 100, 10_000),
    "Only so many of the most alike count, 0 for all. Fewer are more specific and see less.",
);

/// Trust in few clicks.
pub const SHRINKAGE: ParamSpec = ParamSpec::real(
    "shrinkage",
    "Shrinkage",
    (0.0, 10.0, 1000.0),
    "Likeness that rests on n clicks in common counts n / (n + this). Turn up when clicks are few.",
);

/// The neighbours as the knobs say.
///
/// # Errors
/// A knob is missing.
pub fn neighbours(params: &Params) -> Result<Neighbours> {
    Ok(Neighbours {
        likeness: Likeness::of(params.choice("likeness")?),
        most: params.count("neighbours")?,
        shrinkage: params.real("shrinkage")? as f32,
    })
}

/// Item-based collaborative filtering.
#[derive(Debug)]
pub struct ItemCf;

/// The table of likeness of all pairs of ads.
pub const LIKE: &str = "likeness";

impl ModelKind for ItemCf {
    fn id(&self) -> &'static str {
        "item_cf"
    }

    fn label(&self) -> &'static str {
        "Item neighbours"
    }

    fn summary(&self) -> &'static str {
        "Ads that the same people clicked go together: counted, not learnt, and easy to explain."
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[LIKENESS, NEIGHBOURS, SHRINKAGE]
    }

    fn needs(&self) -> &'static str {
        "an outcome, a column of users, one of ads, and past ads (a list, or users with times)"
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of("likeness", &["fields", "histories"], "likeness to each past ad, counted"),
                Flow::of("scale", &["likeness"], "what it counts, learnt"),
                Flow::of("click", &["linear", "scale"], "log odds of a click"),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        let (ad, _) = need_past_ads(encoder, self.id())?;
        let ads = encoder.categorical[ad].cardinality();
        check_cells(self.id(), (ads, "ads"), (ads, "ads"))
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let (ad, _) = need_past_ads(&rows.dataset.encoder, self.id())?;
        let neighbours = neighbours(rows.params)?;
        let clicks = rows.by_person(ad, neighbours.likeness == Likeness::AdjustedCosine);
        let near = neighbours.of_columns(&clicks, rows.context)?;
        let table = network.table_mut(LIKE)?;
        let ads = near.len();
        for (shown, near) in near.into_iter().enumerate() {
            for (past, alike) in near {
                table.row_mut((shown * ads) as u32 + past)[0] = alike;
            }
        }
        Ok(())
    }

    fn build(&self, encoder: &Encoder, _params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        Ok(Box::new(PastAds::new(encoder, builder, self.id())?))
    }
}

/// The sum of what is counted for the ad shown beside each past one.
#[derive(Debug)]
pub struct PastAds {
    sum: ScaledSum,
    pairs: PairTable,
    ad: usize,
    past: usize,
}

impl PastAds {
    /// With a table of zeros.
    ///
    /// # Errors
    /// The log lacks what is needed, or there is no room.
    pub fn new(encoder: &Encoder, builder: &mut Builder, kind: &str) -> Result<Self> {
        let (ad, past) = need_past_ads(encoder, kind)?;
        let ads = encoder.categorical[ad].cardinality();
        let sum = ScaledSum::new(encoder, builder, 1.0)?;
        Ok(Self { sum, pairs: PairTable::new(builder, LIKE, ads, ads)?, ad, past })
    }
}

impl Model for PastAds {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let (shown, past) = (&batch.categorical[self.ad], &batch.sequences[self.past]);
        let events = past.lengths.iter().enumerate().flat_map(|(row, length)| {
            let ids = &past.ids[row * past.max_len..][..*length as usize];
            ids.iter().map(move |id| (row, shown[row], *id))
        });
        vec![self.sum.lookup(batch), self.pairs.lookup(batch.rows, events)]
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        self.sum.forward(inputs, &inputs.gathered[1].squeeze(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{equals_loops, tiny};

    #[test]
    fn equals_the_sum_of_likeness_to_each_past_ad() {
        equals_loops("item_cf", &[], |weights, batch, row| {
            let past = &batch.sequences[0];
            let shown = batch.categorical[1][row];
            let ids = &past.ids[row * past.max_len..][..past.lengths[row] as usize];
            let alike: f64 = ids.iter().map(|id| weights.row("likeness.pairs", shown * 4 + id)[0]).sum();
            weights.linear_part(batch, row) + weights.of("scale")[0] * alike
        });
    }

    #[test]
    fn a_log_without_ads_or_a_past_and_one_with_too_many_ads_are_refused() {
        let (mut encoder, _) = tiny();
        encoder.categorical[1].values = (0..17_000).map(|ad| ad.to_string()).collect();
        assert!(ItemCf.check(&encoder).unwrap_err().why.contains("17002 ads"));
        encoder.sequences.clear();
        assert!(ItemCf.check(&encoder).unwrap_err().hint.contains("role sequence"));
        encoder.keys.ad = None;
        assert!(ItemCf.check(&encoder).unwrap_err().hint.contains("role ad"));
    }
}
