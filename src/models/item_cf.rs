//! Does a person click on what goes with what they had before? Neighbours among ads.
//!
//! Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS 2004: ads are alike that the same people clicked in the training
//! rows, and an ad's score is the sum of its likeness to the person's past ads. Where the log says what a row's past is,
//! somebody new is served as soon as they have one; else it is what the person clicked in the training rows.

use super::counted::{Beside, Counting, PairTable, ScaledSum, check_cells, need_other_ads};
use super::features::LINEAR_FLOW;
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::neighbours::{Likeness, Neighbours, shares};
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

/// What a neighbour counts.
pub const WEIGHTS: ParamSpec = ParamSpec::choice(
    "weights",
    "Weights",
    &["likeness", "share"],
    "Likeness adds up; a share is of all that an ad's neighbours weigh, so an ad that is like many gains nothing by it.",
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
        &[LIKENESS, NEIGHBOURS, SHRINKAGE, WEIGHTS]
    }

    fn needs(&self) -> &'static str {
        "an outcome, a column of users and one of ads; a list of past ads helps"
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of("likeness", &["fields", "histories"], "likeness to each past ad, counted"),
                Flow::of("scale", &["likeness"], "what it counts, fitted apart"),
                Flow::click(&["linear", "scale"]),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        check_pairs(encoder, self.id())
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let (ad, beside) = need_other_ads(&rows.dataset.encoder, self.id())?;
        let neighbours = neighbours(rows.params)?;
        let clicks = rows.by_person(ad, neighbours.likeness == Likeness::AdjustedCosine);
        let mut near = neighbours.of_columns(&clicks, rows.context)?;
        if rows.params.choice(WEIGHTS.id)? == "share" {
            shares(&mut near);
        }
        fill(rows, network, (ad, beside), |shown, add| {
            near[shown].iter().for_each(|(other, alike)| add(*other, *alike));
        })
    }

    fn build(&self, encoder: &Encoder, _params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        Ok(Box::new(OtherAds::new(encoder, builder, self.id())?))
    }
}

/// Refuses a log without other ads, and one with more pairs than a table may have.
///
/// # Errors
/// As the title says.
pub fn check_pairs(encoder: &Encoder, kind: &str) -> Result<()> {
    let (ad, beside) = need_other_ads(encoder, kind)?;
    let ads = encoder.categorical[ad].cardinality();
    match beside {
        Beside::Past(_) => check_cells(kind, (ads, "ads"), (ads, "ads")),
        Beside::Clicked(user) => {
            check_cells(kind, (encoder.categorical[user].cardinality(), "users"), (ads, "ads"))
        }
    }
}

/// Fills the table with what `each` says an ad gets from each other one: for pairs of ads where the past is in the rows,
/// else added up over what each user clicked.
///
/// # Errors
/// A cancel.
pub fn fill(
    rows: &Counting<'_>,
    network: &mut Network,
    (ad, beside): (usize, Beside),
    each: impl Fn(usize, &mut dyn FnMut(u32, f32)),
) -> Result<()> {
    let table = network.table_mut(LIKE)?;
    let ads = rows.dataset.encoder.categorical[ad].cardinality();
    match beside {
        Beside::Past(_) => {
            for shown in 0..ads {
                each(shown, &mut |other, weight| table.row_mut((shown * ads) as u32 + other)[0] = weight);
            }
        }
        Beside::Clicked(user) => {
            let by_ad = rows.by_user(user, ad, false).transposed();
            for shown in 0..ads {
                rows.context.check()?;
                each(shown, &mut |other, weight| {
                    for (person, _) in by_ad.of_row(other as usize) {
                        table.row_mut(person * ads as u32 + shown as u32)[0] += weight;
                    }
                });
            }
        }
    }
    Ok(())
}

/// The sum of what is counted for the ad shown beside each other one.
#[derive(Debug)]
pub struct OtherAds {
    pub(super) sum: ScaledSum,
    pairs: PairTable,
    ad: usize,
    beside: Beside,
}

impl OtherAds {
    /// With a table of zeros.
    ///
    /// # Errors
    /// The log lacks what is needed, or there is no room.
    pub fn new(encoder: &Encoder, builder: &mut Builder, kind: &str) -> Result<Self> {
        let (ad, beside) = need_other_ads(encoder, kind)?;
        let ads = encoder.categorical[ad].cardinality();
        let first = match beside {
            Beside::Past(_) => ads,
            Beside::Clicked(user) => encoder.categorical[user].cardinality(),
        };
        let sum = ScaledSum::new(encoder, builder, 1.0)?;
        Ok(Self { sum, pairs: PairTable::new(builder, LIKE, first, ads)?, ad, beside })
    }
}

impl Model for OtherAds {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let shown = &batch.categorical[self.ad];
        let counted = match self.beside {
            Beside::Past(past) => {
                let past = &batch.sequences[past];
                let events = past.lengths.iter().enumerate().flat_map(|(row, length)| {
                    let ids = &past.ids[row * past.max_len..][..*length as usize];
                    ids.iter().map(move |id| (row, shown[row], *id))
                });
                self.pairs.lookup(batch.rows, events)
            }
            Beside::Clicked(user) => {
                let users = batch.categorical[user].iter().zip(shown).enumerate();
                self.pairs.lookup(batch.rows, users.map(|(row, (user, ad))| (row, *user, *ad)))
            }
        };
        vec![self.sum.lookup(batch), counted]
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
        assert!(ItemCf.check(&encoder).is_ok(), "5 users beside 17,002 ads");
        encoder.keys.user = None;
        assert!(ItemCf.check(&encoder).unwrap_err().hint.contains("role user"));
        encoder.keys.ad = None;
        assert!(ItemCf.check(&encoder).unwrap_err().hint.contains("role ad"));
    }
}
