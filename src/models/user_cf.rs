//! Does a person click on what people like them clicked? Neighbours among people.
//!
//! Resnick et al., CSCW 1994; Herlocker et al., SIGIR 1999: people are alike who clicked on the same ads in the training
//! rows, and a person's score for an ad is the likeness of those neighbours who clicked on it, over that of all. Somebody
//! who was not in those rows has no neighbours and falls back on the linear part.

use super::counted::{Counting, PairTable, ScaledSum, check_cells};
use super::features::{LINEAR_FLOW, NEEDS_USER_AND_AD, need_user_and_ad};
use super::item_cf::{LIKENESS, NEIGHBOURS, SHRINKAGE, neighbours};
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::neighbours::Likeness;
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// User-based collaborative filtering.
#[derive(Debug)]
pub struct UserCf;

/// The table of scores of all users and ads.
const SCORES: &str = "neighbours";

impl ModelKind for UserCf {
    fn id(&self) -> &'static str {
        "user_cf"
    }

    fn label(&self) -> &'static str {
        "User neighbours"
    }

    fn summary(&self) -> &'static str {
        "People who clicked on the same ads before click on the same next: counted, not learnt."
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[LIKENESS, NEIGHBOURS, SHRINKAGE]
    }

    fn needs(&self) -> &'static str {
        NEEDS_USER_AND_AD
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of("neighbours", &["fields"], "clicks of people alike, counted"),
                Flow::of("scale", &["neighbours"], "what it counts, fitted apart"),
                Flow::click(&["linear", "scale"]),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        let [user, ad] =
            need_user_and_ad(encoder, self.id())?.map(|at| encoder.categorical[at].cardinality());
        check_cells(self.id(), (user, "users"), (ad, "ads"))
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let [user, ad] = need_user_and_ad(&rows.dataset.encoder, self.id())?;
        let neighbours = neighbours(rows.params)?;
        let clicks = rows.by_user(user, ad, neighbours.likeness == Likeness::AdjustedCosine);
        let near = neighbours.of_columns(&clicks.transposed(), rows.context)?;
        let table = network.table_mut(SCORES)?;
        let ads = clicks.columns();
        for (person, near) in near.iter().enumerate() {
            rows.context.check()?;
            let all: f32 = near.iter().map(|(_, alike)| alike.abs()).sum();
            for (other, alike) in near {
                for (ad, clicked) in clicks.of_row(*other as usize) {
                    table.row_mut((person * ads) as u32 + ad)[0] += alike * clicked / all;
                }
            }
        }
        Ok(())
    }

    fn build(&self, encoder: &Encoder, _params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let pair = need_user_and_ad(encoder, self.id())?;
        let [users, ads] = pair.map(|at| encoder.categorical[at].cardinality());
        let sum = ScaledSum::new(encoder, builder, 1.0)?;
        Ok(Box::new(Scored { sum, pair, scores: PairTable::new(builder, SCORES, users, ads)? }))
    }
}

struct Scored {
    sum: ScaledSum,
    pair: [usize; 2],
    scores: PairTable,
}

impl Model for Scored {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let [users, ads] = self.pair.map(|at| &batch.categorical[at]);
        let pairs = users.iter().zip(ads).enumerate().map(|(row, (user, ad))| (row, *user, *ad));
        vec![self.sum.lookup(batch), self.scores.lookup(batch.rows, pairs)]
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        self.sum.forward(inputs, &inputs.gathered[1].squeeze(1)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::equals_loops;

    #[test]
    fn equals_the_linear_part_and_the_score_of_user_and_ad() {
        equals_loops("user_cf", &[], |weights, batch, row| {
            let (user, ad) = (batch.categorical[0][row], batch.categorical[1][row]);
            // Ids below 2 stand for nobody.
            let score = if user < 2 { 0.0 } else { weights.row("neighbours.pairs", user * 4 + ad)[0] };
            weights.linear_part(batch, row) + weights.of("scale")[0] * score
        });
    }
}
