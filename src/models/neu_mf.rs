//! Is a person's match with an ad a product, or something freer? Matrix factorisation beside a deep network on ids alone.
//!
//! He et al., WWW 2017 (arXiv 1708.05031), equation 12: `h . [p_u * q_a ; MLP(p'_u, q'_a)]`, with vectors of its own for
//! each part. It looks at nothing but who and what; the linear part, as in all kinds here, looks at every field.

use super::features::{
    DEEP_KNOBS, EMBEDDING_START, FieldRows, GENTLE_PENALTY, LINEAR_FLOW, LinearPart, NEEDS_USER_AND_AD,
    deep_shape, need_user_and_ad,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::linear::Linear;
use crate::nn::mlp::Mlp;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};

/// Generalised matrix factorisation + deep network over user and ad.
#[derive(Debug)]
pub struct NeuMf;

impl ModelKind for NeuMf {
    fn id(&self) -> &'static str {
        "neu_mf"
    }

    fn label(&self) -> &'static str {
        "NeuMF"
    }

    fn summary(&self) -> &'static str {
        "Collaborative filtering: who likes what, from nothing but user and ad."
    }

    fn needs(&self) -> &'static str {
        NEEDS_USER_AND_AD
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of("factors", &["fields"], "a vector for every value, to be multiplied"),
                Flow::of("embedding", &["fields"], "a vector for every value, for the network"),
                Flow::of("product", &["factors"], "user times ad, number by number"),
                Flow::of("deep", &["embedding"], "hidden layers"),
                Flow::click(&["linear", "product", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        DEEP_KNOBS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_user_and_ad(encoder, "neu_mf").map(|_| ())
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let init = Init::Normal(EMBEDDING_START);
        Ok(Box::new(Network {
            linear: LinearPart::new(encoder, builder)?,
            pair: need_user_and_ad(encoder, "neu_mf")?,
            factors: FieldRows::new(encoder, builder, "factors", width, init)?,
            vectors: FieldRows::new(encoder, builder, "embedding", width, init)?,
            product: builder.linear("product", width, 1)?,
            deep: Mlp::new(builder, "deep", 2 * width, deep_shape(params)?)?,
        }))
    }
}

struct Network {
    linear: LinearPart,
    pair: [usize; 2],
    /// Vectors of the product.
    factors: FieldRows,
    /// Vectors of the deep network.
    vectors: FieldRows,
    product: Linear,
    deep: Mlp,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let of = |rows: &FieldRows| rows.some(batch, &self.pair);
        vec![self.linear.lookup(batch), of(&self.factors), of(&self.vectors)]
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let factors = &inputs.gathered[1];
        let side = |place| factors.narrow(1, place, 1)?.squeeze(1);
        let product = self.product.forward(&(side(0)? * side(1)?)?)?.squeeze(1)?;
        let deep = self.deep.forward(&inputs.gathered[2].flatten_from(1)?, pass)?;
        Ok(Output::of(((linear + product)? + deep)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{dot, equals_loops, tiny};

    #[test]
    fn equals_the_product_and_the_network_on_user_and_ad() {
        let settings = [("embedding_width", "3"), ("hidden_units", "4"), ("hidden_layers", "2")];
        equals_loops("neu_mf", &settings, |weights, batch, row| {
            let of = |table: &str| {
                let user = weights.row(&format!("{table}.user"), batch.categorical[0][row]).to_vec();
                (user, weights.row(&format!("{table}.ad"), batch.categorical[1][row]).to_vec())
            };
            let (user, ad) = of("factors");
            let product: Vec<f64> = user.iter().zip(&ad).map(|(u, a)| u * a).collect();
            let product = dot(weights.row("product.weight", 0), &product) + weights.of("product.bias")[0];
            let (user, ad) = of("embedding");
            weights.linear_part(batch, row) + product + weights.deep("deep", &[user, ad].concat())[0]
        });
    }

    #[test]
    fn a_log_without_user_or_ad_is_refused_with_the_role_to_give() {
        let (mut encoder, _) = tiny();
        encoder.keys.ad = None;
        let failure = NeuMf.check(&encoder).unwrap_err();
        assert!(failure.hint.contains("role ad"), "{failure}");
    }
}
