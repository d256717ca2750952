//! How do features combine freely? A stack of dense layers.

use super::deep::DeepPass;
use super::dropout::dropout;
use super::linear::Linear;
use super::normalise::layer_norm;
use super::weights::{Builder, Init};
use super::{Computed, Pass};
use crate::base::Result;
use candle_core::Tensor;

/// The shape of a stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MlpShape {
    /// Units of the first hidden layer.
    pub units: usize,
    /// Share of a hidden layer's units that the next one has.
    pub taper: f64,
    /// Hidden layers.
    pub layers: usize,
    /// Share of hidden units dropped in training.
    pub dropout: f64,
    /// True to normalise each hidden layer's input to its activation.
    pub normalise: bool,
}

impl MlpShape {
    /// Units of a hidden layer: 200, 80 for a taper of 0.4.
    pub fn units_of(&self, layer: usize) -> usize {
        ((self.units as f64 * self.taper.powi(layer as i32)).round() as usize).max(1)
    }
}

/// Hidden layers with relu, then a linear output.
#[derive(Debug)]
pub struct Mlp {
    name: String,
    hidden: Vec<Hidden>,
    output: Linear,
    dropout: f64,
    /// Place of the first parameter among the network's.
    place: usize,
    shape: MlpShape,
    outputs: usize,
}

#[derive(Debug)]
struct Hidden {
    linear: Linear,
    /// Gain and bias of the layer normalisation.
    norm: Option<(Tensor, Tensor)>,
}

impl Mlp {
    /// Draws a stack called `name` for `inputs` numbers a row, with one output.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(builder: &mut Builder, name: &str, inputs: usize, shape: MlpShape) -> Result<Self> {
        Self::tower(builder, name, inputs, shape, 1)
    }

    /// The same with `outputs` numbers a row instead of one.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn tower(
        builder: &mut Builder,
        name: &str,
        inputs: usize,
        shape: MlpShape,
        outputs: usize,
    ) -> Result<Self> {
        let place = builder.parameters.len();
        let mut width = inputs;
        let mut hidden = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let units = shape.units_of(layer);
            let linear = builder.linear(&format!("{name}.{layer}"), width, units)?;
            let norm = if shape.normalise {
                let gain = format!("{name}.{layer}.norm.gain");
                let bias = format!("{name}.{layer}.norm.bias");
                Some((
                    builder.parameter(&gain, &[units], Init::Constant(1.0))?,
                    builder.parameter(&bias, &[units], Init::Constant(0.0))?,
                ))
            } else {
                None
            };
            hidden.push(Hidden { linear, norm });
            width = units;
        }
        let output = builder.linear(&format!("{name}.out"), width, outputs)?;
        Ok(Self { name: name.to_owned(), hidden, output, dropout: shape.dropout, place, shape, outputs })
    }

    /// The same stack without a graph.
    pub fn direct(&self) -> DeepPass {
        DeepPass::new(self.place, self.shape, self.outputs)
    }

    /// `[rows, inputs]` -> `[rows]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor, pass: &mut Pass<'_>) -> Computed<Tensor> {
        self.vectors(x, pass)?.squeeze(1)
    }

    /// `[rows, inputs]` -> `[rows, outputs]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn vectors(&self, x: &Tensor, pass: &mut Pass<'_>) -> Computed<Tensor> {
        let mut x = x.clone();
        for (place, layer) in self.hidden.iter().enumerate() {
            x = match &layer.norm {
                None => layer.linear.forward_relu(&x)?,
                Some((gain, bias)) => layer_norm(&layer.linear.forward(&x)?, gain, bias)?.relu()?,
            };
            pass.value(&format!("{}.{place}", self.name), &x);
            x = dropout(&x, self.dropout, pass)?;
        }
        let out = self.output.forward(&x)?;
        pass.value(&format!("{}.out", self.name), &out);
        Ok(out)
    }
}
