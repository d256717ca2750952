//! What in a user's past makes this ad interesting? Deep interest network: attention from the ad to the history.
//!
//! Zhou et al., KDD 2018 (arXiv 1706.06978). Each past behaviour is weighed against what is shown now; the pooled
//! interest joins all other fields in a deep network. A linear part beside it (Cheng et al. 2016) learns plain rates.

use super::direct::{DirectModel, Weights};
use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_START, EMBEDDING_WIDTH, FieldRows, GENTLE_PENALTY, HIDDEN_LAYERS,
    HIDDEN_UNITS, LINEAR_FLOW, LinearPart, NEEDS_SEQUENCE, NORMALISE, TAPER, deep_shape, need_features,
    need_sequence, side_by_side,
};
use super::on_vectors::OnVectors;
use super::{Flow, Gradients, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::attention::{AttentionPass, TargetAttention, Weighting};
use crate::nn::deep::{DeepPass, Plain};
use crate::nn::histories::Histories;
use crate::nn::mlp::Mlp;
use crate::nn::probe::Members;
use crate::nn::row_vectors::RowVectors;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};

/// Target attention over behaviour sequences.
#[derive(Debug)]
pub struct Din;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "attention_units",
        "Attention units",
        (2, 16, 256),
        "Hidden units of the network that weighs one past behaviour against the ad.",
    ),
    ParamSpec::choice(
        "attention_weights",
        "Attention weights",
        &["softmax", "sigmoid"],
        "softmax: a row's weights add up to 1. sigmoid: each counts on its own, so much interest weighs more.",
    ),
    HIDDEN_UNITS,
    HIDDEN_LAYERS,
    TAPER,
    DROPOUT,
    NORMALISE,
];

impl ModelKind for Din {
    fn id(&self) -> &'static str {
        "din"
    }

    fn label(&self) -> &'static str {
        "Deep interest network"
    }

    fn summary(&self) -> &'static str {
        "Weighs a user's past behaviours against the ad shown now, and shows the weights."
    }

    fn needs(&self) -> &'static str {
        NEEDS_SEQUENCE
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("attention", &["embedding"], "weighs past behaviour by the ad"),
                Flow::of("deep", &["embedding", "attention", "numbers"], "hidden layers"),
                Flow::click(&["linear", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn exposes_attention(&self) -> bool {
        true
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)?;
        need_sequence(encoder, "din", "it attends to a behaviour sequence")
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let weighting = match params.choice("attention_weights")? {
            "sigmoid" => Weighting::Sigmoid,
            _ => Weighting::Softmax,
        };
        let linear = LinearPart::new(encoder, builder)?;
        let init = Init::Normal(EMBEDDING_START);
        let rows = FieldRows::new(encoder, builder, "embedding", width, init)?;
        let units = params.count("attention_units")?;
        let interests = encoder
            .sequences
            .iter()
            .enumerate()
            .map(|(place, sequence)| {
                let name = format!("attention.{place}");
                Ok(Interest {
                    target: sequence.target,
                    attention: TargetAttention::new(builder, &name, width, units, weighting)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        // Per sequence: the pooled interest, and its product with the target.
        let inputs = (rows.count() + 2 * interests.len()) * width + encoder.numeric.len();
        Ok(Box::new(Network {
            deep: Mlp::new(builder, "deep", inputs, deep_shape(params)?)?,
            interests,
            width,
            numbers: encoder.numeric.len(),
            linear,
            rows,
        }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    interests: Vec<Interest>,
    width: usize,
    numbers: usize,
    deep: Mlp,
}

/// Attention over one sequence.
struct Interest {
    /// The categorical field that the sequence is weighed against.
    target: usize,
    attention: TargetAttention,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch), self.rows.each(batch)];
        for (sequence, interest) in batch.sequences.iter().zip(&self.interests) {
            lookups.push(self.rows.positions(sequence, interest.target));
            lookups.push(self.rows.one(batch, interest.target));
        }
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let rows = inputs.batch.rows;
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let fields = inputs.gathered[1].reshape((rows, self.rows.count() * self.width))?;
        let mut parts = vec![fields, inputs.numeric.clone()];
        let mut attention = Vec::with_capacity(self.interests.len());
        let pairs = inputs.gathered[2..].chunks_exact(2);
        let interests = self.interests.iter().zip(&inputs.batch.sequences).zip(pairs).enumerate();
        for (place, ((interest, sequence), pair)) in interests {
            let (history, target) = (&pair[0], &pair[1]);
            pass.looks_among(Members::PastForAd(place));
            let (pooled, weights) = interest.attention.forward(history, target, &sequence.lengths, pass)?;
            parts.push((&pooled * target)?);
            parts.push(pooled);
            attention.push(weights);
        }
        let deep = self.deep.forward(&side_by_side(&parts)?, pass)?;
        Ok(Output { attention, ..Output::of((linear + deep)?) })
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        let targets: Vec<usize> = self.interests.iter().map(|interest| interest.target).collect();
        let interests = (0..targets.len())
            .map(|sequence| {
                Some(DirectInterest {
                    target: targets[sequence],
                    attention: self.interests[sequence].attention.direct().ok()?,
                    history: Histories::new(self.width, sequence, &targets),
                    of_now: Vec::new(),
                    out: Vec::new(),
                })
            })
            .collect::<Option<_>>()?;
        let fields = (0..self.rows.count()).collect();
        let set = RowVectors::new(self.width, fields, Vec::new(), 0, (0..self.numbers).collect());
        Some(Box::new(Direct {
            vectors: OnVectors::new(self.rows.clone(), targets, None, self.linear.direct(), vec![set]),
            interests,
            deep: self.deep.direct(),
            width: self.width,
            x: Vec::new(),
            of_x: Vec::new(),
        }))
    }
}

/// The same without a graph.
struct Direct {
    vectors: OnVectors,
    interests: Vec<DirectInterest>,
    deep: DeepPass,
    width: usize,
    /// Fields, numbers, then of each sequence the pooled interest times the target, and alone: `[rows, inputs]`.
    x: Vec<f32>,
    of_x: Vec<f32>,
}

struct DirectInterest {
    target: usize,
    attention: AttentionPass,
    history: Histories,
    /// The target's embeddings, `[rows, width]`.
    of_now: Vec<f32>,
    /// What attention answered, `[rows, width + positions]`.
    out: Vec<f32>,
}

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, pass: &mut Pass<'_>, logits: &mut [f32]) {
        let Self { vectors, interests, deep, width, x, .. } = self;
        vectors.read(weights, batch, logits);
        let OnVectors { fields, embeddings, sets, .. } = vectors;
        let Some(set) = sets.first() else {
            return;
        };
        let (own, inputs) = (set.stride(), set.stride() + 2 * *width * interests.len());
        x.resize(batch.rows * inputs, 0.0);
        for (to, from) in x.chunks_exact_mut(inputs).zip(set.x.chunks_exact(own)) {
            to[..own].copy_from_slice(from);
        }
        for (place, interest) in interests.iter_mut().enumerate() {
            let DirectInterest { target, attention, history, of_now, out } = interest;
            history.read(batch, fields, embeddings);
            of_now.clear();
            set.x.chunks_exact(own).for_each(|row| of_now.extend(&row[*target * *width..][..*width]));
            let lengths = &batch.sequences[place].lengths;
            *out = attention.forward(weights.dense, (&history.x, of_now), lengths);
            let rows = out.chunks_exact(*width + history.positions).zip(of_now.chunks_exact(*width));
            for (x, (out, now)) in x.chunks_exact_mut(inputs).zip(rows) {
                let (product, pooled) = x[own + 2 * *width * place..][..2 * *width].split_at_mut(*width);
                pooled.copy_from_slice(&out[..*width]);
                product.iter_mut().zip(out).zip(now).for_each(|((to, pooled), now)| *to = pooled * now);
            }
        }
        let mut input = Plain { x, width: inputs, of_x: None };
        let deep = deep.forward(weights.dense, &mut input, batch.rows, pass);
        logits.iter_mut().zip(deep).for_each(|(logit, deep)| *logit += deep);
    }

    fn backward(&mut self, weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        let Self { vectors, interests, deep, width, x, of_x } = self;
        let width = *width;
        let Some(set) = vectors.sets.first_mut() else {
            return;
        };
        let (own, inputs) = (set.stride(), set.stride() + 2 * width * interests.len());
        of_x.resize(x.len(), 0.0);
        let mut input = Plain { x, width: inputs, of_x: Some(of_x) };
        deep.backward(weights.dense, &mut input, of_logits, &mut out.dense);
        for (to, from) in set.of_x.chunks_exact_mut(own).zip(of_x.chunks_exact(inputs)) {
            to.copy_from_slice(&from[..own]);
        }
        let mut of_histories = Vec::with_capacity(interests.len());
        for (place, interest) in interests.iter().enumerate() {
            let DirectInterest { target, attention, history, of_now, out: answer } = interest;
            let stride = width + history.positions;
            let mut of_answer = vec![0.0; answer.len()];
            let rows = of_answer.chunks_exact_mut(stride).zip(answer.chunks_exact(stride));
            let rows = rows.zip(of_now.chunks_exact(width)).zip(set.of_x.chunks_exact_mut(own));
            for ((((of_pooled, pooled), now), of_own), of_x) in rows.zip(of_x.chunks_exact(inputs)) {
                let (of_product, direct) = of_x[own + 2 * width * place..][..2 * width].split_at(width);
                let of_target = &mut of_own[*target * width..][..width];
                for k in 0..width {
                    of_pooled[k] = direct[k] + of_product[k] * now[k];
                    of_target[k] += of_product[k] * pooled[k];
                }
            }
            let inputs = (history.x.as_slice(), of_now.as_slice());
            let [of_history, of_target] = attention.backward(inputs, &of_answer, &mut out.dense);
            let rows = set.of_x.chunks_exact_mut(own).zip(of_target.chunks_exact(width));
            for (to, from) in rows {
                to[*target * width..][..width].iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
            of_histories.push(of_history);
        }
        vectors.collect(batch, of_logits, out);
        let of_table = &mut out.tables[vectors.table()];
        for (interest, of_history) in interests.iter().zip(&of_histories) {
            interest.history.collect(&vectors.fields, of_history, of_table);
        }
    }
}
