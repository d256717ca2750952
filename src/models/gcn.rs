//! What do a user's own columns and those of the ads around them in the graph of clicks say? Graph convolution with weights.
//!
//! Kipf & Welling 2017, on the graph of users and ads ([`nn::gcn`](crate::nn::gcn)). A node's features are its own id and what the
//! columns of its side hold in the training rows: the shares of a category's values, the mean of a number. Unlike LightGCN,
//! which learns a vector for each id and smooths these, it learns what features mean, so users and ads of training rows
//! without any click have vectors too. As with other factors the vectors are found before the first step of training.

use super::counted::Counting;
use super::factors::{PASSES, Product, fill, product_flow};
use super::features::{EMBEDDING_WIDTH, NEEDS_USER_AND_AD, need_user_and_ad};
use super::{Flow, Model, ModelKind, Network};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::encode::Side;
use crate::data::{Dataset, Encoder};
use crate::nn::gcn::{Convolution, gcn};
use crate::nn::neighbours::Interactions;
use crate::nn::weights::Builder;

/// Graph convolution over users' and ads' own columns.
#[derive(Debug)]
pub struct Gcn;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "hidden_units",
        "Hidden units",
        (2, 32, 256),
        "Numbers of a node between the two layers of the graph.",
    ),
    PASSES,
    ParamSpec::log_real(
        "penalty",
        "Penalty",
        (1e-7, 1e-5, 1.0),
        "On the squares of the weights, in each step.",
    ),
    ParamSpec::log_real(
        "ranking_rate",
        "Rate of ranking",
        (1e-4, 0.01, 1.0),
        "Length of a ranking step (Adam).",
    ),
];

impl ModelKind for Gcn {
    fn id(&self) -> &'static str {
        "gcn"
    }

    fn label(&self) -> &'static str {
        "Graph convolution"
    }

    fn summary(&self) -> &'static str {
        "Learns what the columns of users and ads mean to those around them in the graph of clicks: also for who has no click."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn needs(&self) -> &'static str {
        NEEDS_USER_AND_AD
    }

    fn flow(&self) -> &'static [Flow] {
        const { &product_flow("vectors of users and ads, of their columns and their neighbours'") }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_user_and_ad(encoder, self.id()).map(|_| ())
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let [user, ad] = need_user_and_ad(&rows.dataset.encoder, self.id())?;
        let features = features(rows.dataset, [(user, Side::User), (ad, Side::Ad)]);
        let params = rows.params;
        let how = Convolution { hidden: params.count("hidden_units")?, rate: params.real("ranking_rate")? };
        fill(rows, network, (self.id(), false), |clicks, search| {
            gcn(clicks, &features, search, how, rows.context)
        })
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        Ok(Box::new(Product::new(encoder, params, builder, self.id())?))
    }
}

/// A row for each id of the first field, then one for each of the second: its own id, and the shares and means of its side's
/// columns over its training rows. All columns of a node count alike and add up to 1 where they are categories.
fn features(dataset: &Dataset, sides: [(usize, Side); 2]) -> Interactions {
    let encoder = &dataset.encoder;
    let mut pairs: Vec<(u32, u32, f32)> = Vec::new();
    let (mut node, mut feature) = (0, 0);
    for (own, side) in sides {
        let ids = encoder.categorical[own].cardinality();
        let mut counts = vec![0.0f32; ids];
        let codes = &dataset.categorical[own];
        dataset.train.iter().for_each(|row| counts[codes[*row as usize] as usize] += 1.0);
        let fields = (0..encoder.categorical.len())
            .filter(|field| *field != own && encoder.categorical[*field].side == side);
        let fields: Vec<usize> = fields.collect();
        let numbers: Vec<usize> =
            (0..encoder.numeric.len()).filter(|number| encoder.numeric[*number].side == side).collect();
        let share = 1.0 / (1 + fields.len() + numbers.len()) as f32;
        let each_row = |value: &dyn Fn(usize) -> (u32, f32)| -> Vec<(u32, u32, f32)> {
            let of_row = |row: &u32| {
                let (id, (feature, value)) = (codes[*row as usize], value(*row as usize));
                (node + id, feature, share * value / counts[id as usize])
            };
            summed(dataset.train.iter().map(of_row).collect())
        };
        pairs.extend((0..ids as u32).map(|id| (node + id, feature + id, share)));
        feature += ids as u32;
        for field in fields {
            pairs.extend(each_row(&|row| (feature + dataset.categorical[field][row], 1.0)));
            feature += encoder.categorical[field].cardinality() as u32;
        }
        for number in numbers {
            pairs.extend(each_row(&|row| (feature, dataset.numeric[number][row])));
            feature += 1;
        }
        node += ids as u32;
    }
    Interactions::of(pairs, node as usize, feature as usize)
}

/// Sums of the values of each pair.
fn summed(mut pairs: Vec<(u32, u32, f32)>) -> Vec<(u32, u32, f32)> {
    pairs.sort_by_key(|(node, feature, _)| (*node, *feature));
    pairs
        .chunk_by(|one, other| (one.0, one.1) == (other.0, other.1))
        .map(|same| (same[0].0, same[0].1, same.iter().map(|(.., value)| value).sum()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::tiny;
    use std::sync::Arc;

    #[test]
    fn a_node_has_its_id_and_the_columns_of_its_side() {
        let (encoder, _) = tiny();
        // Users 2 and 3, ads 2 and 3; the number belongs to ads, the hour to neither.
        let dataset = Dataset {
            encoder: Arc::new(encoder),
            rows: 4,
            categorical: vec![vec![2, 2, 3, 4].into(), vec![2, 3, 2, 3].into(), vec![2, 2, 3, 3].into()],
            numeric: vec![vec![1.0, 5.0, 3.0, 100.0].into()],
            train: vec![0, 1, 2].into(),
            ..Dataset::default()
        };
        let found = features(&dataset, [(0, Side::User), (1, Side::Ad)]);
        // Ids of users 0..5, ids of ads 5..9, the number.
        assert_eq!((found.rows(), found.columns()), (9, 10));
        assert_eq!(found.of_row(2), [(2, 1.0)], "a user has no columns but the id here");
        assert_eq!(
            found.of_row(5 + 2),
            [(5 + 2, 0.5), (9, 0.5 * 2.0)],
            "the mean of 1 and 3 in training rows"
        );
        assert_eq!(found.of_row(5 + 3), [(5 + 3, 0.5), (9, 0.5 * 5.0)]);
        assert_eq!(summed(vec![(1, 2, 0.5), (0, 1, 1.0), (1, 2, 0.25)]), [(0, 1, 1.0), (1, 2, 0.75)]);
    }
}
