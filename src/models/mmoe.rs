//! What should two tasks share? Several experts, of which each task's gate takes its own mixture.
//!
//! Ma et al., KDD 2018 (doi 10.1145/3219819.3220007), equations 5 to 7: `f_k = sum_i softmax(W_k x)_i relu(E_i x)`, and
//! a tower for each task on its `f_k`. Clicks and conversions are compared over every impression as in
//! [`esmm`](super::esmm).

use super::features::{
    CONVERSION_WEIGHT, DROPOUT, EMBEDDING_FLOW, EMBEDDING_WIDTH, GENTLE_PENALTY, HIDDEN_UNITS, LINEAR_FLOW,
    LinearAndVectors, NEEDS_CONVERSIONS, need_conversions, need_features,
};
use super::{Conversions, Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::linear::Linear;
use crate::nn::mlp::{Mlp, MlpShape};
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};
use candle_core::{D, Tensor};
use candle_nn::ops::softmax;

/// Experts with a gate and a tower for each task.
#[derive(Debug)]
pub struct Mmoe;

const EXPERTS: ParamSpec = ParamSpec::integer(
    "experts",
    "Experts",
    (1, 4, 32),
    "Hidden layers side by side that both tasks draw on, each in its own mixture. One is a bottom that both share.",
);

const PARAMS: &[ParamSpec] = &[EMBEDDING_WIDTH, HIDDEN_UNITS, EXPERTS, DROPOUT, CONVERSION_WEIGHT];

impl ModelKind for Mmoe {
    fn id(&self) -> &'static str {
        "mmoe"
    }

    fn label(&self) -> &'static str {
        "MMoE"
    }

    fn summary(&self) -> &'static str {
        "Learns clicks and conversions from shared experts, mixed by each task as it needs."
    }

    fn needs(&self) -> &'static str {
        NEEDS_CONVERSIONS
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("experts", &["embedding", "numbers"], "networks that both tasks share"),
                Flow::of("gate", &["embedding", "numbers"], "how much each task listens to each expert"),
                Flow::of("conversion", &["experts", "gate"], "hidden layers: conversions after a click"),
                Flow::of("deep", &["experts", "gate"], "hidden layers: clicks"),
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
        let (experts, units) = (params.count("experts")?, params.count("hidden_units")?);
        let inputs = LinearAndVectors::flat_width(encoder, width);
        Ok(Box::new(Network {
            input: LinearAndVectors::new(encoder, builder, width, false)?,
            experts: builder.linear("experts", inputs, experts * units)?,
            tasks: [
                Task::new(builder, ["gate.click", "deep"], inputs, params)?,
                Task::new(builder, ["gate.conversion", "conversion"], inputs, params)?,
            ],
            units,
            weight: params.real("conversion_weight")?,
        }))
    }
}

struct Network {
    input: LinearAndVectors,
    experts: Linear,
    /// Clicks, then conversions.
    tasks: [Task; 2],
    units: usize,
    weight: f64,
}

struct Task {
    name: &'static str,
    gate: Linear,
    tower: Mlp,
}

impl Task {
    fn new(builder: &mut Builder, names: [&'static str; 2], inputs: usize, params: &Params) -> Result<Self> {
        let units = params.count("hidden_units")?;
        let shape =
            MlpShape { units, layers: 1, taper: 1.0, dropout: params.real("dropout")?, normalise: false };
        let [gate, tower] = names;
        Ok(Self {
            name: gate,
            gate: builder.linear(gate, inputs, params.count("experts")?)?,
            tower: Mlp::new(builder, tower, units, shape)?,
        })
    }

    /// `[rows]` from the inputs `[rows, inputs]` and the experts `[rows, experts, units]`.
    fn forward(&self, x: &Tensor, experts: &Tensor, pass: &mut Pass<'_>) -> Computed<Tensor> {
        let gate = softmax(&self.gate.forward(x)?, D::Minus1)?;
        pass.value(self.name, &gate);
        let mixed = gate.unsqueeze(1)?.matmul(experts)?.squeeze(1)?;
        self.tower.forward(&mixed, pass)
    }
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, x) = self.input.flat(inputs)?;
        let experts = self.experts.forward_relu(&x)?;
        let experts = experts.reshape((x.dim(0)?, experts.dim(1)? / self.units, self.units))?;
        let [clicks, conversions] = &self.tasks;
        let logits = (linear + clicks.forward(&x, &experts, pass)?)?;
        let conversions =
            Conversions { logits: conversions.forward(&x, &experts, pass)?, weight: self.weight };
        Ok(Output { conversions: Some(conversions), ..Output::of(logits) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{Weights, conversions_equal_loops, equals_loops, tiny};
    use crate::models::network::Network as WithWeights;
    use crate::nn::probe::Probe;
    use candle_core::Device;

    const SETTINGS: [(&str, &str); 3] = [("embedding_width", "3"), ("hidden_units", "4"), ("experts", "3")];

    /// Equations 5 to 7 with three experts of four units.
    fn by_loops(weights: &Weights, batch: &Batch, row: usize, gate: &str, tower: &str) -> f64 {
        let x = weights.inputs(batch, row);
        let experts: Vec<f64> = weights.linear("experts", &x).into_iter().map(|v| v.max(0.0)).collect();
        let gate: Vec<f64> = weights.linear(gate, &x).into_iter().map(f64::exp).collect();
        let total: f64 = gate.iter().sum();
        let mixed: Vec<f64> =
            (0..4).map(|unit| (0..3).map(|i| gate[i] / total * experts[i * 4 + unit]).sum()).collect();
        let hidden: Vec<f64> =
            weights.linear(&format!("{tower}.0"), &mixed).into_iter().map(|v| v.max(0.0)).collect();
        weights.linear(&format!("{tower}.out"), &hidden)[0]
    }

    #[test]
    fn clicks_equal_linear_plus_their_mixture() {
        equals_loops("mmoe", &SETTINGS, |weights, batch, row| {
            weights.linear_part(batch, row) + by_loops(weights, batch, row, "gate.click", "deep")
        });
    }

    #[test]
    fn one_expert_is_a_bottom_that_both_tasks_share() {
        let settings = [SETTINGS[0], SETTINGS[1], ("experts", "1")];
        // Caruana 1997: one hidden layer, and a tower on it for each task; the gate has nothing to choose from.
        let shared = |weights: &Weights, batch: &Batch, row: usize, tower: &str| {
            let relu = |values: Vec<f64>| values.into_iter().map(|v| v.max(0.0)).collect::<Vec<f64>>();
            let bottom = relu(weights.linear("experts", &weights.inputs(batch, row)));
            weights.linear(&format!("{tower}.out"), &relu(weights.linear(&format!("{tower}.0"), &bottom)))[0]
        };
        equals_loops("mmoe", &settings, |weights, batch, row| {
            weights.linear_part(batch, row) + shared(weights, batch, row, "deep")
        });
        conversions_equal_loops("mmoe", &settings, |weights, batch, row| {
            shared(weights, batch, row, "conversion")
        });
    }

    #[test]
    fn the_weights_of_a_gate_are_shares() {
        let (encoder, batch) = tiny();
        let params = Params::defaults(PARAMS);
        let network = WithWeights::new(&Mmoe, &encoder, &params, 3, Device::Cpu).unwrap();
        let mut probe = Probe::new(Vec::new(), true);
        network.forward(&batch, &mut Pass::Look(&mut probe)).unwrap();
        let gates: Vec<_> = probe.values.iter().filter(|(name, _)| name.starts_with("gate")).collect();
        assert_eq!(gates.len(), 2);
        for (name, gate) in gates {
            let rows: Vec<Vec<f32>> = gate.to_vec2().unwrap();
            let sums = rows.iter().map(|row| row.iter().sum::<f32>());
            assert!(sums.into_iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{name}: {rows:?}");
            assert!(rows.iter().flatten().all(|share| *share > 0.0));
        }
    }

    #[test]
    fn conversions_equal_theirs() {
        conversions_equal_loops("mmoe", &SETTINGS, |weights, batch, row| {
            by_loops(weights, batch, row, "gate.conversion", "conversion")
        });
    }
}
