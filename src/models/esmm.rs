//! What follows a click, learnt from all impressions? Two deep networks over the same embeddings.
//!
//! Ma et al., SIGIR 2018 (arXiv 1804.07931): one network gives the click rate, the other the conversion rate of clicks;
//! the loss compares click and click-with-conversion over every impression ([`entire_space`]), so that the second
//! network is not trained on the clicked rows alone, which are not like those it is asked about.
//!
//! [`entire_space`]: crate::nn::losses::entire_space

use super::features::{
    CONVERSION_WEIGHT, DROPOUT, EMBEDDING_FLOW, EMBEDDING_WIDTH, GENTLE_PENALTY, HIDDEN_LAYERS, HIDDEN_UNITS,
    LINEAR_FLOW, LinearAndVectors, NEEDS_CONVERSIONS, NORMALISE, TAPER, deep_shape, need_conversions,
    need_features,
};
use super::{Conversions, Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::mlp::Mlp;
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// A network for clicks and one for conversions over shared embeddings.
#[derive(Debug)]
pub struct Esmm;

const PARAMS: &[ParamSpec] =
    &[EMBEDDING_WIDTH, HIDDEN_UNITS, HIDDEN_LAYERS, TAPER, DROPOUT, NORMALISE, CONVERSION_WEIGHT];

impl ModelKind for Esmm {
    fn id(&self) -> &'static str {
        "esmm"
    }

    fn label(&self) -> &'static str {
        "ESMM"
    }

    fn summary(&self) -> &'static str {
        "Learns clicks and conversions together, from every impression. For bids per conversion."
    }

    fn needs(&self) -> &'static str {
        NEEDS_CONVERSIONS
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("conversion", &["embedding", "numbers"], "hidden layers: conversions after a click"),
                Flow::of("deep", &["embedding", "numbers"], "hidden layers: clicks"),
                Flow::of(
                    "click",
                    &["linear", "deep", "conversion"],
                    "log odds of a click, and of a conversion after it",
                ),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn learns_conversions(&self) -> bool {
        true
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)?;
        need_conversions(encoder, self.id())
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let inputs = LinearAndVectors::flat_width(encoder, width);
        let shape = deep_shape(params)?;
        Ok(Box::new(Network {
            input: LinearAndVectors::new(encoder, builder, width, false)?,
            clicks: Mlp::new(builder, "deep", inputs, shape)?,
            conversions: Mlp::new(builder, "conversion", inputs, shape)?,
            weight: params.real("conversion_weight")?,
        }))
    }
}

struct Network {
    input: LinearAndVectors,
    clicks: Mlp,
    conversions: Mlp,
    weight: f64,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, all) = self.input.flat(inputs)?;
        let logits = (linear + self.clicks.forward(&all, pass)?)?;
        let conversions = Conversions { logits: self.conversions.forward(&all, pass)?, weight: self.weight };
        Ok(Output { conversions: Some(conversions), ..Output::of(logits) })
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{conversions_equal_loops, equals_loops};

    const SETTINGS: [(&str, &str); 3] =
        [("embedding_width", "3"), ("hidden_units", "4"), ("hidden_layers", "2")];

    #[test]
    fn clicks_equal_linear_plus_deep() {
        equals_loops("esmm", &SETTINGS, |weights, batch, row| {
            weights.linear_part(batch, row) + weights.deep("deep", &weights.inputs(batch, row))[0]
        });
    }

    #[test]
    fn conversions_equal_the_other_network() {
        conversions_equal_loops("esmm", &SETTINGS, |weights, batch, row| {
            weights.deep("conversion", &weights.inputs(batch, row))[0]
        });
    }
}
