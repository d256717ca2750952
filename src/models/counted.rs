//! What do kinds share whose scores are counted or solved for, and not stepped to?
//!
//! Such a kind fills a table once, on the training rows ([`ModelKind::count`](super::ModelKind::count)). What it makes of a
//! row is one number, and the log odds are the linear part plus that number times a scale. The scale is fitted on the
//! validation rows, which were not counted: what was counted on a row looks better on that row than on any other, and steps
//! on the training rows would trust it too much. The linear part is learnt by the one loop, so the kind predicts a
//! probability like any other, is stopped, saved and judged like any other, and a row with nothing to count falls back on
//! the linear part.

use super::features::LinearPart;
use super::{Inputs, Output};
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::{Batch, Dataset, Encoder};
use crate::jobs::JobContext;
use crate::metrics::calibrator::Platt;
use crate::nn::Computed;
use crate::nn::neighbours::Interactions;
use crate::nn::tables::{Lookup, Read};
use crate::nn::weights::{Builder, Init};
use candle_core::Tensor;

/// What is counted, and how.
#[derive(Debug)]
pub struct Counting<'a> {
    /// The rows.
    pub dataset: &'a Dataset,
    /// The kind's knobs.
    pub params: &'a Params,
    /// Start of every random draw.
    pub seed: u64,
    /// Whom to ask whether to go on.
    pub context: &'a JobContext,
}

impl Counting<'_> {
    /// Who clicked on which ad in the training rows: people by the codes of the log, ads by their ids. With `all` those
    /// who saw an ad and did not click on it stand there too, with their click rate on it.
    pub fn by_person(&self, ad: usize, all: bool) -> Interactions {
        let people = &self.dataset.users;
        if let (true, Some(user)) = (people.is_empty(), self.dataset.encoder.user_field()) {
            return self.by_user(user, ad, all);
        }
        let known = |person: u32| person != u32::MAX;
        let most = people.iter().filter(|person| known(**person)).max();
        self.pairs(people, known, ad, all, most.map_or(0, |most| *most as usize + 1))
    }

    /// The same for people with an id of their own in the vocabulary of `user`.
    pub fn by_user(&self, user: usize, ad: usize, all: bool) -> Interactions {
        let users = self.dataset.encoder.categorical[user].cardinality();
        let known = |person: u32| person >= FIRST_VALUE_ID;
        self.pairs(&self.dataset.categorical[user], known, ad, all, users)
    }

    fn pairs(
        &self,
        people: &[u32],
        known: impl Fn(u32) -> bool,
        ad: usize,
        all: bool,
        rows: usize,
    ) -> Interactions {
        let Dataset { categorical, label, encoder, .. } = self.dataset;
        let pairs = self.dataset.train.iter().filter_map(|row| {
            let row = *row as usize;
            let (person, ad, clicked) = (people[row], categorical[ad][row], label[row]);
            (known(person) && ad >= FIRST_VALUE_ID && (all || clicked > 0.0)).then_some((person, ad, clicked))
        });
        let marked = pairs.map(|(person, ad, clicked)| (person, ad, if all { clicked } else { 1.0 }));
        Interactions::of(marked.collect(), rows, encoder.categorical[ad].cardinality())
    }
}

/// Cells that a table of pairs may have: 1 GB.
pub const MOST_CELLS: usize = 1 << 28;

/// Refuses a table of `one` times `other` cells that would be larger than [`MOST_CELLS`].
///
/// # Errors
/// It would.
pub fn check_cells(kind: &str, (one, ones): (usize, &str), (other, others): (usize, &str)) -> Result<()> {
    if one.saturating_mul(other) <= MOST_CELLS {
        return Ok(());
    }
    let why = format!(
        "its table of {one} {ones} and {other} {others} would take {:.1} GB, and at most {:.1} GB is allowed",
        one as f64 * other as f64 * 4.0 / 1e9,
        MOST_CELLS as f64 * 4.0 / 1e9
    );
    Err(Failure::new(format!("cannot train {kind}"), why).hint("train als, bpr_mf or two_tower"))
}

/// Beside which ads one is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Those of the sequence of past ads in the row.
    Past(usize),
    /// Those that the row's user clicked in the training rows.
    Clicked(usize),
}

/// The ad's field, and beside which ads it is looked at: those that the log says were before, else those that the user
/// clicked.
///
/// # Errors
/// The log has neither, which `kind` needs.
pub fn need_other_ads(encoder: &Encoder, kind: &str) -> Result<(usize, Beside)> {
    let what = format!("cannot train {kind}");
    let ad = encoder.ad_field().ok_or_else(|| {
        Failure::new(&what, "the log has no ad column")
            .hint("give the column that names the ad the role ad, or train logistic")
    })?;
    let past = encoder.sequences.iter().position(|sequence| sequence.target == ad);
    match (past, encoder.user_field()) {
        (Some(past), _) if encoder.keys.user.is_some() => Ok((ad, Beside::Past(past))),
        (_, Some(user)) => Ok((ad, Beside::Clicked(user))),
        _ => {
            let why = "it counts which ads the same person clicked, and the log has no user column";
            Err(Failure::new(&what, why).hint("give the column that names the user the role user"))
        }
    }
}

/// The name of the scale among the parameters.
pub const SCALE: &str = "scale";

/// The scale that makes most of what was counted, by logistic regression of the outcomes on `counted` and a constant;
/// never below 0. `None` where the rows cannot tell.
pub fn fitted_scale(counted: &[f32], labels: &[f32], weights: &[f32]) -> Option<f32> {
    Platt::fit(counted, labels, weights, false).map(|line| line.slope.clamp(0.0, 1e6) as f32)
}

/// Linear part, and a scale for what was counted.
#[derive(Debug)]
pub struct ScaledSum {
    linear: LinearPart,
    scale: Tensor,
}

impl ScaledSum {
    /// Starts with a scale of `scale`.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(encoder: &Encoder, builder: &mut Builder, scale: f32) -> Result<Self> {
        let linear = LinearPart::new(encoder, builder)?;
        let scale = builder.parameter(SCALE, &[1], Init::Constant(scale))?;
        builder
            .parameters
            .iter_mut()
            .filter(|known| known.name == SCALE)
            .for_each(|known| known.is_fixed = true);
        Ok(Self { linear, scale })
    }

    /// The lookup of the linear part, the first one.
    pub fn lookup(&self, batch: &Batch) -> Lookup {
        self.linear.lookup(batch)
    }

    /// Log odds from what was counted, `[rows]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, inputs: &Inputs<'_>, counted: &Tensor) -> Computed<Output> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        Ok(Output::of((linear + counted.broadcast_mul(&self.scale)?)?))
    }
}

/// A table of one number for each pair of two ids, of one of which a row may have several: their sum is looked up.
#[derive(Debug)]
pub struct PairTable {
    /// Place of the table in the network.
    pub table: usize,
    /// Rows of the table for each first id.
    width: usize,
}

impl PairTable {
    /// A table of zeros over `first` times `second` ids.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn new(builder: &mut Builder, name: &str, first: usize, second: usize) -> Result<Self> {
        let table = builder.counted(name, 1, &[("pairs".to_owned(), first * second)])?;
        Ok(Self { table, width: second })
    }

    /// The sum over the pairs of each row: `[rows, 1]`.
    pub fn lookup(&self, rows: usize, pairs: impl Iterator<Item = (usize, u32, u32)>) -> Lookup {
        let known =
            |(_, first, second): &(usize, u32, u32)| *first >= FIRST_VALUE_ID && *second >= FIRST_VALUE_ID;
        let read = |(row, first, second): (usize, u32, u32)| Read {
            row: first * self.width as u32 + second,
            slot: row as u32,
            weight: 1.0,
        };
        Lookup { table: self.table, reads: pairs.filter(known).map(read).collect(), shape: vec![rows] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn the_scale_of_a_simulator_is_found_again_and_noise_counts_nothing() {
        let mut rng = Rng::named(8, "scale");
        let counted: Vec<f32> = (0..40_000).map(|_| rng.normal() as f32).collect();
        let chance = |x: f32, scale: f64| 1.0 / (1.0 + (2.0 - scale * f64::from(x)).exp());
        for scale in [0.0, 0.7, 2.0] {
            let labels: Vec<f32> = counted.iter().map(|x| f32::from(rng.chance(chance(*x, scale)))).collect();
            let found = fitted_scale(&counted, &labels, &[]).unwrap();
            assert!((f64::from(found) - scale).abs() < 0.06, "{found} for {scale}");
        }
        let against: Vec<f32> = counted.iter().map(|x| f32::from(*x < 0.0)).collect();
        assert_eq!(fitted_scale(&counted, &against, &[]), Some(0.0), "what speaks against counts nothing");
    }
}
