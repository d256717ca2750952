//! What is there to beat? The click rate of all, and that of each ad or user, smoothed by how little was seen of it.
//!
//! Neither looks at anything else, so whatever another kind has learnt shows in the difference.

use super::counted::Counting;
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::{Batch, Encoder};
use crate::metrics::beta_binomial::BetaPrior;
use crate::nn::tables::{Lookup, Read};
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// One rate for everybody.
#[derive(Debug)]
pub struct GlobalRate;

impl ModelKind for GlobalRate {
    fn id(&self) -> &'static str {
        "global_rate"
    }

    fn label(&self) -> &'static str {
        "Click rate of all"
    }

    fn summary(&self) -> &'static str {
        "The same number for everybody. What cannot beat its log loss has learnt nothing."
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn is_baseline(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static str {
        "an outcome (clicked or not)"
    }

    fn flow(&self) -> &'static [Flow] {
        const { &[Flow::of("bias", &[], "the rate of all"), Flow::click(&["bias"])] }
    }

    fn check(&self, _encoder: &Encoder) -> Result<()> {
        Ok(())
    }

    fn build(&self, _encoder: &Encoder, _params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        Ok(Box::new(Rates { bias: builder.parameter("bias", &[1], Init::Constant(0.0))?, segment: None }))
    }
}

/// A rate for each ad or user.
#[derive(Debug)]
pub struct SegmentRate;

/// Table of what a segment's log odds are above those of all.
const ABOVE: &str = "above";

impl SegmentRate {
    /// The field whose values are the segments.
    fn field(encoder: &Encoder, params: &Params) -> Result<usize> {
        let (word, found) = match params.choice("segment")? {
            "user" => ("user", encoder.user_field()),
            _ => ("ad", encoder.ad_field()),
        };
        found.ok_or_else(|| {
            Failure::new("cannot train segment_rate", format!("the log has no {word} column")).hint(format!(
                "give the column that names the {word} the role {word}, or choose another segment"
            ))
        })
    }
}

impl ModelKind for SegmentRate {
    fn id(&self) -> &'static str {
        "segment_rate"
    }

    fn label(&self) -> &'static str {
        "Click rate of each"
    }

    fn summary(&self) -> &'static str {
        "Each ad's own click rate, pulled to that of all by how little was seen of it (Beta-binomial)."
    }

    fn params(&self) -> &'static [ParamSpec] {
        const {
            &[ParamSpec::choice(
                "segment",
                "Rate of each",
                &["ad", "user"],
                "Whose own click rate counts. Those never seen get the rate of all.",
            )]
        }
    }

    fn is_baseline(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static str {
        "an outcome, and a column of ads or one of users"
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                Flow::of("bias", &[], "the rate of all"),
                Flow::of(ABOVE, &["fields"], "what each is above it, counted"),
                Flow::click(&["bias", ABOVE]),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        match encoder.ad_field().or(encoder.user_field()) {
            Some(_) => Ok(()),
            None => {
                Err(Failure::new("cannot train segment_rate", "the log has neither an ad nor a user column")
                    .hint("give the column that names the ad the role ad, or train global_rate"))
            }
        }
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let dataset = rows.dataset;
        let field = Self::field(&dataset.encoder, rows.params)?;
        let ids = dataset.encoder.categorical[field].cardinality();
        let mut groups = vec![(0.0f64, 0.0f64); ids];
        for row in dataset.train.iter().map(|row| *row as usize) {
            let weight = dataset.weight.get(row).map_or(1.0, |weight| f64::from(*weight));
            let group = &mut groups[dataset.categorical[field][row] as usize];
            group.0 += weight * f64::from(dataset.label[row]);
            group.1 += weight;
        }
        // Whoever has no id of their own is no segment.
        let known = groups.iter().copied().skip(FIRST_VALUE_ID as usize);
        let Some(prior) = BetaPrior::by_moments(known) else {
            return Ok(());
        };
        let log_odds = |rate: f64| (rate / (1.0 - rate)).ln();
        let all = groups.iter().fold((0.0, 0.0), |(c, n), group| (c + group.0, n + group.1));
        let of_all = log_odds(all.0 / all.1);
        let table = network.table_mut(ABOVE)?;
        for (id, (clicks, shown)) in groups.into_iter().enumerate().skip(FIRST_VALUE_ID as usize) {
            let above = log_odds(prior.rate(clicks, shown)) - of_all;
            table.row_mut(id as u32)[0] = if above.is_finite() { above as f32 } else { 0.0 };
        }
        Ok(())
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let field = Self::field(encoder, params)?;
        let of = &encoder.categorical[field];
        let bias = builder.parameter("bias", &[1], Init::Constant(0.0))?;
        let table = builder.counted(ABOVE, 1, &[(of.name.clone(), of.cardinality())])?;
        Ok(Box::new(Rates { bias, segment: Some((field, table)) }))
    }
}

struct Rates {
    bias: Tensor,
    /// The field of the segments and the place of their table.
    segment: Option<(usize, usize)>,
}

impl Model for Rates {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let lookup = |(field, table): &(usize, usize)| Lookup {
            table: *table,
            reads: (0..)
                .zip(&batch.categorical[*field])
                .map(|(slot, id)| Read { row: *id, slot, weight: 1.0 })
                .collect(),
            shape: vec![batch.rows],
        };
        self.segment.iter().map(lookup).collect()
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        let above = match inputs.gathered.first() {
            Some(above) => above.squeeze(1)?,
            None => Tensor::zeros(inputs.batch.rows, self.bias.dtype(), self.bias.device())?,
        };
        Ok(Output::of(above.broadcast_add(&self.bias)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::equals_loops;

    #[test]
    fn equal_the_bias_and_what_the_ad_has_above_it() {
        equals_loops("global_rate", &[], |weights, _, _| weights.of("bias")[0]);
        equals_loops("segment_rate", &[], |weights, batch, row| {
            weights.of("bias")[0] + weights.row("above.ad", batch.categorical[1][row])[0]
        });
        equals_loops("segment_rate", &[("segment", "user")], |weights, batch, row| {
            weights.of("bias")[0] + weights.row("above.user", batch.categorical[0][row])[0]
        });
    }
}
