//! What if people who are alike and ads that are alike both have a say? A weighted hybrid.
//!
//! Burke 2002, "weighted": the score of [item neighbours](super::item_cf), which knows who clicked together, and that of
//! [content](super::content_cf), which knows ads that nobody has clicked yet, are brought to one size on the training rows and
//! averaged. How much the average counts is fitted on the validation rows like any other counted score.

use super::content_cf::{self, CONTENT_SHRINKAGE, CONTENT_WIDTH, Content, PROFILE, need_content};
use super::counted::Counting;
use super::features::LINEAR_FLOW;
use super::item_cf::{ItemCf, LIKE, LIKENESS, NEIGHBOURS, OtherAds, SHRINKAGE, WEIGHTS, check_pairs};
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// Training rows that sizes are taken from.
const SIZED: usize = 4096;

/// Neighbours and content, averaged.
#[derive(Debug)]
pub struct Hybrid;

impl ModelKind for Hybrid {
    fn id(&self) -> &'static str {
        "hybrid"
    }

    fn label(&self) -> &'static str {
        "Hybrid neighbours"
    }

    fn summary(&self) -> &'static str {
        "Averages who-clicked-together with what-is-alike: known ads by people, new ads by content."
    }

    fn params(&self) -> &'static [ParamSpec] {
        const {
            &[
                ParamSpec::real(
                    "content_share",
                    "Share of content",
                    (0.0, 0.5, 1.0),
                    "0 is item neighbours alone, 1 content alone; both are brought to one size before.",
                ),
                LIKENESS,
                NEIGHBOURS,
                SHRINKAGE,
                WEIGHTS,
                CONTENT_WIDTH,
                CONTENT_SHRINKAGE,
            ]
        }
    }

    fn needs(&self) -> &'static str {
        "an outcome, users, ads, and what ads are: attributes, numbers, or texts read as vectors"
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of("likeness", &["fields", "histories"], "likeness to each past ad, counted"),
                Flow::of("attributes", &["fields", "numbers"], "what the ad is"),
                Flow::of("profile", &["fields", "histories"], "what the person clicked, counted"),
                Flow::of(
                    "scale",
                    &["likeness", "attributes", "profile"],
                    "their average, and what it counts",
                ),
                Flow::click(&["linear", "scale"]),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_content(encoder, self.id())?;
        check_pairs(encoder, self.id())
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let share = rows.params.real("content_share")? as f32;
        let sample = &rows.dataset.train;
        let step = sample.len().div_ceil(SIZED).max(1);
        let sample: Vec<u32> = sample.iter().step_by(step).copied().collect();
        let batch = rows.dataset.batch(&sample);
        // The scale is 1 until it is fitted, so what a table adds to the log odds is its score.
        let scores = |network: &Network| network.forward(&batch, &mut Pass::Predict).map(|pass| pass.logits);
        let without = scores(network)?;
        ItemCf.count(rows, network)?;
        let with_neighbours = scores(network)?;
        content_cf::fill(rows, network, self.id())?;
        let with_both = scores(network)?;
        let sizes = [(&with_neighbours, &without), (&with_both, &with_neighbours)].map(|(with, without)| {
            let squares: f32 = with.iter().zip(without).map(|(with, without)| (with - without).powi(2)).sum();
            (squares / batch.rows.max(1) as f32).sqrt()
        });
        for (table, share, size) in [(LIKE, 1.0 - share, sizes[0]), (PROFILE, share, sizes[1])] {
            let by = if size > 0.0 { share / size } else { 0.0 };
            let table = network.table_mut(table)?;
            for row in 0..table.rows() as u32 {
                table.row_mut(row).iter_mut().for_each(|value| *value *= by);
            }
        }
        Ok(())
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let neighbours = OtherAds::new(encoder, builder, self.id())?;
        Ok(Box::new(Both { neighbours, content: Content::new(encoder, params, builder, self.id())? }))
    }
}

struct Both {
    neighbours: OtherAds,
    content: Content,
}

impl Model for Both {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = self.neighbours.lookups(batch);
        lookups.extend(self.content.lookups(batch));
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        let neighbours = inputs.gathered[1].squeeze(1)?;
        let content = self.content.score([&inputs.gathered[2], &inputs.gathered[3]], &inputs.numeric)?;
        self.neighbours.sum.forward(inputs, &(neighbours + content)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{dot, equals_loops, tiny};

    #[test]
    fn equals_the_linear_part_and_both_scores() {
        equals_loops("hybrid", &[("content_width", "2")], |weights, batch, row| {
            let past = &batch.sequences[0];
            let ids = &past.ids[row * past.max_len..][..past.lengths[row] as usize];
            let shown = batch.categorical[1][row];
            let alike: f64 = ids.iter().map(|id| weights.row("likeness.pairs", shown * 4 + id)[0]).sum();
            let own = [0.0, 0.0, f64::from(batch.numeric[0][row])];
            let content: f64 = ids.iter().map(|id| dot(weights.row("profile.ad", *id), &own)).sum();
            let both = alike + content / ids.len().max(1) as f64;
            weights.linear_part(batch, row) + weights.of("scale")[0] * both
        });
    }

    #[test]
    fn both_of_its_halves_must_have_what_they_need() {
        let (mut encoder, _) = tiny();
        assert!(Hybrid.check(&encoder).is_ok());
        encoder.numeric.clear();
        assert!(Hybrid.check(&encoder).unwrap_err().what.contains("hybrid"));
    }
}
