//! What should two tasks share, and what should each keep for itself? Experts of its own beside shared ones, level by level.
//!
//! Tang et al., RecSys 2020 (doi 10.1145/3383313.3412236), equations 1 to 8: on each level a task's gate mixes its own
//! experts and the shared ones, `g_k = softmax(W_k x_k) [E_k(x_k), E_s(x_s)]`; between levels the shared gate mixes all of
//! them. A tower for each task stands on the last level's mixture. Where [`mmoe`](super::mmoe) has every expert serve both
//! tasks, here one task cannot unlearn the other's. Clicks and conversions are compared over every impression as in
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

/// Levels of own and shared experts.
#[derive(Debug)]
pub struct Ple;

const OWN_EXPERTS: ParamSpec = ParamSpec::integer(
    "own_experts",
    "Own experts",
    (1, 2, 16),
    "Hidden layers of each level that serve one task alone, for each task.",
);

const SHARED_EXPERTS: ParamSpec = ParamSpec::integer(
    "shared_experts",
    "Shared experts",
    (1, 2, 16),
    "Hidden layers of each level that both tasks draw on.",
);

const LEVELS: ParamSpec = ParamSpec::integer(
    "levels",
    "Levels",
    (1, 1, 4),
    "Levels of experts one above the other: more part the tasks step by step, and take more rows to learn.",
);

const PARAMS: &[ParamSpec] =
    &[EMBEDDING_WIDTH, HIDDEN_UNITS, LEVELS, OWN_EXPERTS, SHARED_EXPERTS, DROPOUT, CONVERSION_WEIGHT];

/// Clicks, then conversions.
const TASKS: [&str; 2] = ["click", "conversion"];

impl ModelKind for Ple {
    fn id(&self) -> &'static str {
        "ple"
    }

    fn label(&self) -> &'static str {
        "PLE"
    }

    fn summary(&self) -> &'static str {
        "Learns clicks and conversions from shared experts and from some that each task keeps for itself."
    }

    fn needs(&self) -> &'static str {
        NEEDS_CONVERSIONS
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("level", &["embedding", "numbers"], "experts of each task and shared ones, mixed"),
                Flow::of("conversion", &["level"], "hidden layers: conversions after a click"),
                Flow::of("deep", &["level"], "hidden layers: clicks"),
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
        let (units, levels) = (params.count("hidden_units")?, params.count("levels")?);
        let inputs = LinearAndVectors::flat_width(encoder, width);
        let input = LinearAndVectors::new(encoder, builder, width, false)?;
        let level = |at: usize| {
            let inputs = if at == 0 { inputs } else { units };
            Level::new(builder, (at, at + 1 == levels), inputs, params)
        };
        let levels = (0..levels).map(level).collect::<Result<_>>()?;
        let shape =
            MlpShape { units, layers: 1, taper: 1.0, dropout: params.real("dropout")?, normalise: false };
        let towers =
            [Mlp::new(builder, "deep", units, shape)?, Mlp::new(builder, "conversion", units, shape)?];
        Ok(Box::new(Network { input, levels, towers, weight: params.real("conversion_weight")? }))
    }
}

struct Network {
    input: LinearAndVectors,
    levels: Vec<Level>,
    /// Of [`TASKS`].
    towers: [Mlp; 2],
    weight: f64,
}

struct Level {
    own: [Linear; 2],
    shared: Linear,
    gates: [Linear; 2],
    /// Where another level follows.
    shared_gate: Option<Linear>,
    units: usize,
}

impl Level {
    fn new(
        builder: &mut Builder,
        (at, is_last): (usize, bool),
        inputs: usize,
        params: &Params,
    ) -> Result<Self> {
        let units = params.count("hidden_units")?;
        let (own, shared) = (params.count("own_experts")?, params.count("shared_experts")?);
        let mut layer = |name: &str, outputs| builder.linear(&format!("level.{at}.{name}"), inputs, outputs);
        let [click, conversion] = TASKS;
        Ok(Self {
            own: [
                layer(&format!("experts.{click}"), own * units)?,
                layer(&format!("experts.{conversion}"), own * units)?,
            ],
            shared: layer("experts.shared", shared * units)?,
            gates: [
                layer(&format!("gate.{click}"), own + shared)?,
                layer(&format!("gate.{conversion}"), own + shared)?,
            ],
            shared_gate: if is_last { None } else { Some(layer("gate.shared", 2 * own + shared)?) },
            units,
        })
    }

    /// `[rows, experts, units]`.
    fn experts(&self, layer: &Linear, x: &Tensor) -> Computed<Tensor> {
        let experts = layer.forward_relu(x)?;
        experts.reshape((x.dim(0)?, experts.dim(1)? / self.units, self.units))
    }

    /// What the level makes of the tasks' inputs and the shared one, each `[rows, inputs]`, and the weights of the tasks'
    /// gates `[rows, experts]`.
    fn forward(&self, [click, conversion, shared]: &[Tensor; 3]) -> Computed<([Tensor; 3], [Tensor; 2])> {
        let of_click = self.experts(&self.own[0], click)?;
        let of_conversion = self.experts(&self.own[1], conversion)?;
        let of_both = self.experts(&self.shared, shared)?;
        let (for_click, by_click) = mixed(&self.gates[0], click, &[&of_click, &of_both])?;
        let (for_conversion, by_conversion) = mixed(&self.gates[1], conversion, &[&of_conversion, &of_both])?;
        let for_both = match &self.shared_gate {
            Some(gate) => mixed(gate, shared, &[&of_click, &of_conversion, &of_both])?.0,
            None => shared.clone(),
        };
        Ok(([for_click, for_conversion, for_both], [by_click, by_conversion]))
    }
}

/// The mixture of experts by a gate on `x`, and the gate's weights.
fn mixed(gate: &Linear, x: &Tensor, experts: &[&Tensor]) -> Computed<(Tensor, Tensor)> {
    let weights = softmax(&gate.forward(x)?, D::Minus1)?;
    let experts = Tensor::cat(experts, 1)?;
    Ok((weights.unsqueeze(1)?.matmul(&experts)?.squeeze(1)?, weights))
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, x) = self.input.flat(inputs)?;
        let mut streams = [x.clone(), x.clone(), x];
        for (at, level) in self.levels.iter().enumerate() {
            let (next, [click, conversion]) = level.forward(&streams)?;
            if at + 1 == self.levels.len() {
                pass.value("gate.click", &click);
                pass.value("gate.conversion", &conversion);
            }
            streams = next;
        }
        let [click, conversion, _] = &streams;
        let logits = (linear + self.towers[0].forward(click, pass)?)?;
        let conversions =
            Conversions { logits: self.towers[1].forward(conversion, pass)?, weight: self.weight };
        Ok(Output { conversions: Some(conversions), ..Output::of(logits) })
    }
}

#[cfg(test)]
mod tests {
    use crate::data::Batch;
    use crate::models::check::{Weights, conversions_equal_loops, equals_loops};

    const SETTINGS: [(&str, &str); 5] = [
        ("embedding_width", "3"),
        ("hidden_units", "4"),
        ("own_experts", "2"),
        ("shared_experts", "1"),
        ("levels", "2"),
    ];

    fn relu_linear(weights: &Weights, name: &str, x: &[f64]) -> Vec<f64> {
        weights.linear(name, x).into_iter().map(|v| v.max(0.0)).collect()
    }

    /// Experts one after another, mixed by a gate on `x`.
    fn mixture(weights: &Weights, gate: &str, x: &[f64], experts: &[Vec<f64>]) -> Vec<f64> {
        let experts = experts.concat();
        let gate: Vec<f64> = weights.linear(gate, x).into_iter().map(f64::exp).collect();
        assert_eq!(gate.len() * 4, experts.len());
        let total: f64 = gate.iter().sum();
        (0..4).map(|unit| (0..gate.len()).map(|i| gate[i] / total * experts[i * 4 + unit]).sum()).collect()
    }

    /// Equations 1 to 8 with two levels; four units, two experts a task, one shared.
    fn by_loops(weights: &Weights, batch: &Batch, row: usize, task: &str, tower: &str) -> f64 {
        let x = weights.inputs(batch, row);
        let first = |of: &str| relu_linear(weights, &format!("level.0.experts.{of}"), &x);
        let own = mixture(weights, &format!("level.0.gate.{task}"), &x, &[first(task), first("shared")]);
        let of_all = [first("click"), first("conversion"), first("shared")];
        let shared = mixture(weights, "level.0.gate.shared", &x, &of_all);
        let experts = [
            relu_linear(weights, &format!("level.1.experts.{task}"), &own),
            relu_linear(weights, "level.1.experts.shared", &shared),
        ];
        let mixed = mixture(weights, &format!("level.1.gate.{task}"), &own, &experts);
        let hidden = relu_linear(weights, &format!("{tower}.0"), &mixed);
        weights.linear(&format!("{tower}.out"), &hidden)[0]
    }

    #[test]
    fn clicks_equal_linear_plus_their_levels() {
        equals_loops("ple", &SETTINGS, |weights, batch, row| {
            weights.linear_part(batch, row) + by_loops(weights, batch, row, "click", "deep")
        });
    }

    #[test]
    fn conversions_equal_theirs() {
        conversions_equal_loops("ple", &SETTINGS, |weights, batch, row| {
            by_loops(weights, batch, row, "conversion", "conversion")
        });
    }
}
