//! How does a model with its weights run on a batch, and travel to a file and back?

use super::{Inputs, Model, ModelKind};
use crate::base::failure::Explain;
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::{Batch, Encoder};
use crate::nn::losses::{LogitLoss, backward_from, bce_with_logits, sigmoid};
use crate::nn::tables::{Lookup, RowGradients, Table, row_gradients};
use crate::nn::weights::{Builder, NamedTensors, Parameter, from_safetensors, to_safetensors};
use crate::nn::{Computed, Pass};
use candle_core::{Device, Tensor, Var};
use std::fmt;

/// A model and all its weights.
pub struct Network {
    /// Where the graph runs.
    pub device: Device,
    /// Dense weights.
    pub parameters: Vec<Parameter>,
    /// Embedding tables.
    pub tables: Vec<Table>,
    model: Box<dyn Model>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("parameters", &self.count()).finish_non_exhaustive()
    }
}

/// One forward pass, ready to go back through.
#[derive(Debug)]
pub struct Forward {
    /// Log odds per row.
    pub logits: Vec<f32>,
    /// `[sequence]` of `[rows, positions]`.
    pub attention: Vec<Tensor>,
    graph: Tensor,
    leaves: Vec<(Lookup, Var)>,
}

/// The derivative of a loss by every weight that took part.
#[derive(Debug)]
pub struct Gradients {
    /// One per dense parameter, in their order.
    pub dense: Vec<Vec<f32>>,
    /// One per table, in their order; touched rows only.
    pub tables: Vec<RowGradients>,
}

impl Network {
    /// Draws a network of a kind.
    ///
    /// # Errors
    /// The kind cannot work with this data, or the device is out of memory.
    pub fn new(
        kind: &dyn ModelKind,
        encoder: &Encoder,
        params: &Params,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        kind.check(encoder)?;
        let mut builder = Builder::new(seed, device);
        let model = kind.build(encoder, params, &mut builder)?;
        let Builder { device, parameters, tables, .. } = builder;
        Ok(Self { device, parameters, tables, model })
    }

    /// Scores a batch, keeping the graph.
    ///
    /// # Errors
    /// The device fails or is out of memory.
    pub fn forward(&self, batch: &Batch, pass: &mut Pass<'_>) -> Result<Forward> {
        let lookups = self.model.lookups(batch);
        self.compute(batch, lookups, pass).explain("cannot compute the model")
    }

    fn compute(&self, batch: &Batch, lookups: Vec<Lookup>, pass: &mut Pass<'_>) -> Computed<Forward> {
        let leaves = lookups
            .into_iter()
            .map(|lookup| {
                let table = &self.tables[lookup.table];
                let mut shape = lookup.shape.clone();
                shape.push(table.width);
                Var::from_vec(table.gather(&lookup), shape, &self.device).map(|var| (lookup, var))
            })
            .collect::<Computed<Vec<_>>>()?;
        let gathered: Vec<Tensor> = leaves.iter().map(|(_, var)| var.as_tensor().clone()).collect();
        let inputs = Inputs { batch, numeric: numeric_tensor(batch, &self.device)?, gathered: &gathered };
        let output = self.model.forward(&inputs, pass)?;
        Ok(Forward {
            logits: output.logits.to_vec1()?,
            attention: output.attention,
            graph: output.logits,
            leaves,
        })
    }

    /// Probabilities of a batch.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn predict(&self, batch: &Batch) -> Result<Vec<f32>> {
        let forward = self.forward(batch, &mut Pass::Predict)?;
        Ok(forward.logits.iter().map(|z| sigmoid(f64::from(*z)) as f32).collect())
    }

    /// Mean log loss of a labelled batch and its derivative by every weight.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward), or an operation has no backward.
    pub fn gradients(&self, batch: &Batch, pass: &mut Pass<'_>) -> Result<(f64, Gradients)> {
        let forward = self.forward(batch, pass)?;
        let loss = bce_with_logits(&forward.logits, &batch.label, &batch.weight);
        let gradients = self.backward(&forward, &loss).explain("cannot compute the gradient")?;
        Ok((loss.mean, gradients))
    }

    fn backward(&self, forward: &Forward, loss: &LogitLoss) -> Computed<Gradients> {
        let store = backward_from(&forward.graph, &loss.gradient)?;
        let numbers = |var: &Var| match store.get(var.as_tensor()) {
            Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>(),
            // A weight that this batch did not use (no numeric field, for one) does not move.
            None => Ok(vec![0.0; var.elem_count()]),
        };
        let dense =
            self.parameters.iter().map(|parameter| numbers(&parameter.var)).collect::<Computed<_>>()?;
        let of_leaves = forward.leaves.iter().map(|(_, var)| numbers(var)).collect::<Computed<Vec<_>>>()?;
        let tables = (0..self.tables.len())
            .map(|table| {
                let parts: Vec<_> = forward
                    .leaves
                    .iter()
                    .zip(&of_leaves)
                    .filter(|((lookup, _), _)| lookup.table == table)
                    .map(|((lookup, _), gradient)| (lookup, gradient.as_slice()))
                    .collect();
                row_gradients(&parts, self.tables[table].width)
            })
            .collect();
        Ok(Gradients { dense, tables })
    }

    /// Moves the bias so that a fresh network predicts `rate` for everyone: it need not be learnt.
    ///
    /// # Errors
    /// The device does not answer.
    pub fn start_at_rate(&mut self, rate: f64) -> Result<()> {
        let log_odds = (rate / (1.0 - rate)).ln();
        if log_odds.is_finite() { self.each_bias(|_| log_odds as f32) } else { Ok(()) }
    }

    /// Adds a number to the log odds of every score.
    ///
    /// # Errors
    /// The device does not answer.
    pub fn shift_log_odds(&mut self, shift: f64) -> Result<()> {
        self.each_bias(|bias| bias + shift as f32)
    }

    /// Changes the bias of the score itself, which every kind has.
    fn each_bias(&mut self, change: impl Fn(f32) -> f32) -> Result<()> {
        for parameter in self.parameters.iter_mut().filter(|parameter| parameter.name == "bias") {
            parameter.values.iter_mut().for_each(|bias| *bias = change(*bias));
            parameter.upload()?;
        }
        Ok(())
    }

    /// How many numbers are trained.
    pub fn count(&self) -> usize {
        let dense: usize = self.parameters.iter().map(|p| p.values.len()).sum();
        dense + self.tables.iter().map(|t| t.values.len()).sum::<usize>()
    }

    /// Every weight by its name in files: dense parameters, then one tensor per table and field.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let dense = self.parameters.iter().map(|p| (p.name.clone(), p.shape.clone(), p.values.as_slice()));
        let of_tables = self.tables.iter().flat_map(|table| {
            (0..table.fields().count()).map(|place| {
                let shape = vec![table.rows_of(place), table.width];
                (table.tensor_name(place), shape, &table.values[table.range(place)])
            })
        });
        dense.chain(of_tables).collect()
    }

    /// The weights as the bytes of a safetensors file.
    ///
    /// # Errors
    /// None in practice: shapes and numbers agree by construction.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        to_safetensors(&self.tensors())
    }

    /// Replaces all weights by those of a safetensors file.
    ///
    /// # Errors
    /// The file is broken, or its tensors are not exactly those of this network; nothing is changed then.
    pub fn set_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let mut tensors = from_safetensors(bytes)?;
        self.check_names(&tensors)?;
        let mut take = |name: &str| tensors.remove(name).map(|(_, values)| values).unwrap_or_default();
        for parameter in &mut self.parameters {
            parameter.values = take(&parameter.name);
            parameter.upload()?;
        }
        for table in &mut self.tables {
            for place in 0..table.fields().count() {
                let (name, range) = (table.tensor_name(place), table.range(place));
                table.values[range].copy_from_slice(&take(&name));
            }
        }
        Ok(())
    }

    fn check_names(&self, found: &NamedTensors) -> Result<()> {
        let what = "cannot use these weights";
        let wanted = self.tensors();
        for (name, shape, _) in &wanted {
            match found.get(name) {
                None => return Err(Failure::new(what, format!("tensor {name} is missing"))),
                Some((other, _)) if other != shape => {
                    return Err(Failure::new(
                        what,
                        format!("tensor {name} is {other:?} where the model needs {shape:?}"),
                    ));
                }
                Some(_) => {}
            }
        }
        match found.keys().find(|name| !wanted.iter().any(|(known, ..)| known == *name)) {
            Some(name) => Err(Failure::new(what, format!("the model has no tensor {name}"))),
            None => Ok(()),
        }
    }
}

/// `[rows, fields]` on the device.
fn numeric_tensor(batch: &Batch, device: &Device) -> Computed<Tensor> {
    let fields = batch.numeric.len();
    let mut values = vec![0.0_f32; batch.rows * fields];
    for (field, column) in batch.numeric.iter().enumerate() {
        for (row, value) in column.iter().enumerate() {
            values[row * fields + field] = *value;
        }
    }
    Tensor::from_vec(values, (batch.rows, fields), device)
}
