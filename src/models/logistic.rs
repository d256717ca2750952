//! What does each value tell on its own? Logistic regression, the reference: read this kind first.

use super::direct::{DirectModel, LinearTerm, Weights};
use super::features::{FieldRows, LINEAR_FLOW, LinearPart};
use super::{Flow, Gradients, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::fields::Fields;
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// A weight for every value of every field, added up.
#[derive(Debug)]
pub struct Logistic;

impl ModelKind for Logistic {
    fn id(&self) -> &'static str {
        "logistic"
    }

    fn label(&self) -> &'static str {
        "Logistic regression"
    }

    fn summary(&self) -> &'static str {
        "One weight per value, added up. The reference: fast, and blind to combinations."
    }

    fn flow(&self) -> &'static [Flow] {
        const { &[LINEAR_FLOW, Flow::click(&["linear"])] }
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn build(&self, encoder: &Encoder, _params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        Ok(Box::new(Sum(LinearPart::new(encoder, builder)?)))
    }
}

struct Sum(LinearPart);

impl Model for Sum {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        vec![self.0.lookup(batch)]
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        Ok(Output::of(self.0.forward(&inputs.gathered[0], &inputs.numeric)?))
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        Some(Box::new(Direct {
            rows: self.0.rows.clone(),
            fields: Fields::default(),
            linear: self.0.direct(),
        }))
    }
}

/// The same without a graph.
struct Direct {
    rows: FieldRows,
    fields: Fields,
    linear: LinearTerm,
}

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, _pass: &mut Pass<'_>, logits: &mut [f32]) {
        self.rows.distinct(batch, weights.tables, &[], &mut self.fields);
        logits.fill(0.0);
        self.linear.forward(weights, batch, &self.fields, logits);
    }

    fn backward(&mut self, _weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        self.linear.backward(batch, &self.fields, of_logits, out);
    }
}
