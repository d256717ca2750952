//! Which values go together? A factorisation machine beside a deep network over the same embeddings.
//!
//! Guo et al., IJCAI 2017 (arXiv 1703.04247): score = linear + pairwise products of embeddings + MLP. A behaviour
//! sequence takes part as one more field, the mean of its embeddings.

use super::direct::{DirectModel, LinearTerm, PairTerm, Weights};
use super::features::{
    DEEP_KNOBS, EMBEDDING_FLOW, EMBEDDING_START, FieldRows, LINEAR_FLOW, LinearPart, deep_shape, side_by_side,
};
use super::{Flow, Gradients, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::deep::DeepPass;
use crate::nn::field_input::{FieldInput, FieldLayer};
use crate::nn::fields::Fields;
use crate::nn::mlp::Mlp;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass, interact};
use candle_core::Tensor;

/// Linear + factorisation machine + deep network.
#[derive(Debug)]
pub struct DeepFm;

impl ModelKind for DeepFm {
    fn id(&self) -> &'static str {
        "deep_fm"
    }

    fn label(&self) -> &'static str {
        "DeepFM"
    }

    fn summary(&self) -> &'static str {
        "Learns which values go together, in pairs and in any combination. A strong first choice."
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("pairs", &["embedding"], "dot products of all pairs"),
                Flow::of("deep", &["embedding", "numbers"], "hidden layers"),
                Flow::click(&["linear", "pairs", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        DEEP_KNOBS
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let linear = LinearPart::new(encoder, builder)?;
        let init = Init::Normal(EMBEDDING_START);
        let rows = FieldRows::new(encoder, builder, "embedding", width, init)?;
        let fields = rows.count() + encoder.sequences.len();
        let inputs = fields * width + encoder.numeric.len();
        Ok(Box::new(Network {
            deep: Mlp::new(builder, "deep", inputs, deep_shape(params)?)?,
            targets: encoder.sequences.iter().map(|s| s.target).collect(),
            numbers: encoder.numeric.len(),
            width,
            linear,
            rows,
        }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    /// The categorical field whose vocabulary each sequence shares.
    targets: Vec<usize>,
    numbers: usize,
    width: usize,
    deep: Mlp,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let means = batch
            .sequences
            .iter()
            .zip(&self.targets)
            .map(|(sequence, target)| self.rows.mean(sequence, *target));
        [self.linear.lookup(batch), self.rows.each(batch)].into_iter().chain(means).collect()
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let rows = inputs.batch.rows;
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let mut fields = vec![inputs.gathered[1].clone()];
        for mean in &inputs.gathered[2..] {
            fields.push(mean.unsqueeze(1)?);
        }
        let fields = Tensor::cat(&fields, 1)?;
        pass.pairs(&fields);
        let flat = fields.reshape((rows, fields.dim(1)? * self.width))?;
        let deep = self.deep.forward(&side_by_side(&[flat, inputs.numeric.clone()])?, pass)?;
        Ok(Output::of(((linear + interact::pairwise(&fields)?)? + deep)?))
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        Some(Box::new(Direct {
            rows: self.rows.clone(),
            targets: self.targets.clone(),
            width: self.width,
            fields: Fields::default(),
            embeddings: Vec::new(),
            linear: self.linear.direct(),
            pairs: PairTerm::default(),
            layer: FieldLayer::new(self.width, self.targets.clone(), self.numbers),
            deep: self.deep.direct(),
        }))
    }
}

/// The same without a graph.
struct Direct {
    rows: FieldRows,
    targets: Vec<usize>,
    width: usize,
    fields: Fields,
    /// Of the distinct rows.
    embeddings: Vec<f32>,
    linear: LinearTerm,
    pairs: PairTerm,
    layer: FieldLayer,
    deep: DeepPass,
}

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, pass: &mut Pass<'_>, logits: &mut [f32]) {
        let Self { rows, targets, width, fields, embeddings, linear, pairs, layer, deep } = self;
        rows.distinct(batch, weights.tables, targets, fields);
        fields.gather(&weights.tables[rows.table], embeddings);
        layer.read(batch, fields, embeddings);
        let mut input = FieldInput { layer: &mut *layer, fields, embeddings, gradients: None };
        logits.copy_from_slice(deep.forward(weights.dense, &mut input, batch.rows, pass));
        pairs.forward(fields, layer, embeddings, *width, logits);
        linear.forward(weights, batch, fields, logits);
    }

    fn backward(&mut self, weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        let Self { rows, width, fields, embeddings, linear, pairs, layer, deep, .. } = self;
        linear.backward(batch, fields, of_logits, out);
        let mut of_rows = std::mem::take(&mut out.tables[rows.table]);
        fields.start_gradient(*width, &mut of_rows);
        let gradients = Some(&mut of_rows);
        let mut input = FieldInput { layer: &mut *layer, fields, embeddings, gradients };
        deep.backward(weights.dense, &mut input, of_logits, &mut out.dense);
        let of_pairs = pairs.backward(layer, of_logits, *width);
        layer.collect(fields, Some(of_pairs), &mut of_rows);
        PairTerm::finish(linear.of_values(), embeddings, *width, &mut of_rows);
        out.tables[rows.table] = of_rows;
    }
}
