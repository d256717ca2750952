//! How does a model with its weights run on a batch, and travel to a file and back?

mod attack;
mod loss;

use super::direct::{DirectModel, Weights};
use super::newcomers::Welcomed;
use super::{Beside, Conversions, Inputs, Model, ModelKind};
use crate::base::failure::Explain;
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::{Batch, Encoder};
use crate::nn::losses::{backward_from, bce_with_logits, sigmoid};
use crate::nn::optimiser::{Rule, Step};
use crate::nn::packed::{Packing, write_packed};
use crate::nn::stored::Stored;
use crate::nn::tables::{Lookup, RowGradients, Table, row_gradients};
use crate::nn::weights::{
    Builder, NamedTensor, NamedTensors, Parameter, from_safetensors, write_safetensors,
};
use crate::nn::{Computed, Pass};
use candle_core::{Device, Tensor, Var};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

pub use attack::Attack;
use loss::{TaskLoss, task_loss};

/// A model and all its weights.
pub struct Network {
    /// Where the graph runs.
    pub device: Device,
    /// Dense weights.
    pub parameters: Vec<Parameter>,
    /// Embedding tables.
    pub tables: Vec<Table>,
    /// The optimiser whose memory the weights carry; none outside training.
    rule: Option<Rule>,
    pub(super) model: Box<dyn Model>,
    /// Direct forms at rest, with their buffers: one for each pass that runs at the same time.
    direct: Mutex<Vec<Box<dyn DirectModel>>>,
    /// Which rows ids are read as that no training row had.
    pub(super) newcomers: Vec<Welcomed>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("parameters", &self.count()).finish_non_exhaustive()
    }
}

/// The bias of a click's log odds, which every kind has.
const CLICK_BIAS: &str = "bias";
/// The bias of a conversion's log odds, of kinds that learn it: the last of the network called `conversion`.
const CONVERSION_BIAS: &str = "conversion.out.bias";

/// One forward pass, ready to go back through.
#[derive(Debug)]
pub struct Forward {
    /// Log odds per row.
    pub logits: Vec<f32>,
    /// `[sequence]` of `[rows, positions]`.
    pub attention: Vec<Tensor>,
    pub(super) graph: Tensor,
    /// Log odds per row of what follows a click, and their graph; of kinds with that task.
    conversions: Option<(Vec<f32>, Conversions)>,
    /// Scores that are learnt beside those of clicks, and their graph.
    beside: Option<(Vec<f32>, Beside)>,
    leaves: Vec<(Lookup, Var)>,
}

impl Forward {
    /// Log odds per row of a conversion given a click, of kinds that learn it.
    pub fn conversions(&self) -> Option<&[f32]> {
        self.conversions.as_ref().map(|(logits, _)| logits.as_slice())
    }
}

/// The derivative of a loss by every weight that took part.
#[derive(Debug, Default)]
pub struct Gradients {
    /// One per dense parameter, in their order.
    pub dense: Vec<Vec<f32>>,
    /// One per table, in their order; touched rows only.
    pub tables: Vec<RowGradients>,
    /// The mean log loss of clicks alone, which is all of the loss unless there is a second task.
    pub loss_of_clicks: f64,
}

impl Gradients {
    /// Adds `weight` times other gradients of the same weights; the loss stays as it is told.
    fn add(&mut self, more: &Self, weight: f32, tables: &[Table]) {
        for (sum, more) in self.dense.iter_mut().zip(&more.dense) {
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += weight * more);
        }
        for ((sum, more), table) in self.tables.iter_mut().zip(&more.tables).zip(tables) {
            sum.add(more, weight, table.width);
        }
    }
}

impl Network {
    /// Draws a network of a kind, to be asked only.
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
        Self::build(kind, encoder, params, Builder::new(seed, device))
    }

    /// Draws a network of a kind with room for what `rule` remembers.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn for_training(
        kind: &dyn ModelKind,
        encoder: &Encoder,
        params: &Params,
        seed: u64,
        device: Device,
        rule: Rule,
    ) -> Result<Self> {
        Self::build(kind, encoder, params, Builder::for_training(seed, device, rule))
    }

    pub(super) fn build(
        kind: &dyn ModelKind,
        encoder: &Encoder,
        params: &Params,
        mut builder: Builder,
    ) -> Result<Self> {
        kind.check(encoder)?;
        let model = kind.build(encoder, params, &mut builder)?;
        let Builder { device, parameters, tables, rule, .. } = builder;
        Ok(Self { device, parameters, tables, rule, model, direct: Mutex::default(), newcomers: Vec::new() })
    }

    /// A table by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn table_mut(&mut self, name: &str) -> Result<&mut Table> {
        let found = self.tables.iter_mut().find(|table| table.name == name);
        found.ok_or_else(|| Failure::new("cannot fill the model", format!("it has no table {name}")))
    }

    /// Scores a batch, keeping the graph.
    ///
    /// # Errors
    /// The device fails or is out of memory.
    pub fn forward(&self, batch: &Batch, pass: &mut Pass<'_>) -> Result<Forward> {
        let batch = &*self.as_read(batch);
        let lookups = self.model.lookups(batch);
        self.compute(batch, lookups, None, pass).explain("cannot compute the model")
    }

    /// Runs the graph on what the lookups gather, with `moves` added to it.
    fn compute(
        &self,
        batch: &Batch,
        lookups: Vec<Lookup>,
        moves: Option<&attack::Moves>,
        pass: &mut Pass<'_>,
    ) -> Computed<Forward> {
        let leaves = lookups
            .into_iter()
            .enumerate()
            .map(|(place, lookup)| {
                let table = &self.tables[lookup.table];
                let mut shape = lookup.shape.clone();
                shape.push(table.width);
                let mut gathered = table.gather(&lookup);
                if let Some(moves) = moves {
                    gathered.iter_mut().zip(&moves[place]).for_each(|(number, by)| *number += by);
                }
                Var::from_vec(gathered, shape, &self.device).map(|var| (lookup, var))
            })
            .collect::<Computed<Vec<_>>>()?;
        let gathered: Vec<Tensor> = leaves.iter().map(|(_, var)| var.as_tensor().clone()).collect();
        let inputs = Inputs { batch, numeric: numeric_tensor(batch, &self.device)?, gathered: &gathered };
        let output = self.model.forward(&inputs, pass)?;
        Ok(Forward {
            logits: output.logits.to_vec1()?,
            attention: output.attention,
            graph: output.logits,
            conversions: match output.conversions {
                Some(conversions) => Some((conversions.logits.to_vec1()?, conversions)),
                None => None,
            },
            beside: match output.beside {
                Some(beside) => Some((beside.scores.flatten_all()?.to_vec1()?, beside)),
                None => None,
            },
            leaves,
        })
    }

    /// Log odds of a batch: without the graph where the kind can and the device is the processor.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn logits(&self, batch: &Batch) -> Result<Vec<f32>> {
        let Some(mut model) = self.take_direct() else {
            return Ok(self.forward(batch, &mut Pass::Predict)?.logits);
        };
        let batch = &*self.as_read(batch);
        let mut logits = vec![0.0; batch.rows];
        model.forward(self.weights(), batch, &mut Pass::Predict, &mut logits);
        self.rest(model);
        Ok(logits)
    }

    /// Probabilities of a batch.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn predict(&self, batch: &Batch) -> Result<Vec<f32>> {
        Ok(self.logits(batch)?.iter().map(|z| sigmoid(f64::from(*z)) as f32).collect())
    }

    /// Probabilities of a conversion for a batch, given a click; `None` for kinds that do not learn them.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn predict_conversions(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        if !self.parameters.iter().any(|parameter| parameter.name == CONVERSION_BIAS) {
            return Ok(None);
        }
        let forward = self.forward(batch, &mut Pass::Predict)?;
        let probability = |z: &f32| sigmoid(f64::from(*z)) as f32;
        Ok(forward.conversions().map(|logits| logits.iter().map(probability).collect()))
    }

    /// Mean loss of a labelled batch, over both tasks where there are two, and its derivative by every weight.
    ///
    /// # Errors
    /// As for [`gradients_into`](Self::gradients_into).
    pub fn gradients(&self, batch: &Batch, pass: &mut Pass<'_>) -> Result<(f64, Gradients)> {
        let mut gradients = Gradients::default();
        let loss = self.gradients_into(batch, pass, &mut gradients)?;
        Ok((loss, gradients))
    }

    /// Writes the derivative of a labelled batch's mean log loss by every weight, and answers the loss: without the
    /// graph where the kind can and the device is the processor.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward), or an operation has no backward.
    pub fn gradients_into(&self, batch: &Batch, pass: &mut Pass<'_>, out: &mut Gradients) -> Result<f64> {
        let Some(mut model) = self.take_direct() else {
            let (loss, gradients) = self.graph_gradients(batch, pass)?;
            *out = gradients;
            return Ok(loss);
        };
        let mut logits = vec![0.0; batch.rows];
        model.forward(self.weights(), batch, pass, &mut logits);
        let loss = bce_with_logits(&logits, &batch.label, &batch.weight);
        out.dense.resize_with(self.parameters.len(), Vec::new);
        for (gradient, parameter) in out.dense.iter_mut().zip(&self.parameters) {
            gradient.clear();
            gradient.resize(parameter.values.len(), 0.0);
        }
        out.tables.resize_with(self.tables.len(), RowGradients::default);
        out.tables.iter_mut().for_each(RowGradients::clear);
        model.backward(self.weights(), batch, &loss.gradient, out);
        self.rest(model);
        out.loss_of_clicks = loss.mean;
        Ok(loss.mean)
    }

    /// The same by the graph: the oracle of the direct form, and the only way for kinds without one.
    ///
    /// # Errors
    /// As for [`gradients_into`](Self::gradients_into).
    pub fn graph_gradients(&self, batch: &Batch, pass: &mut Pass<'_>) -> Result<(f64, Gradients)> {
        let forward = self.forward(batch, pass)?;
        let loss = task_loss(&forward, batch);
        let gradients = self.backward(&forward, &loss).explain("cannot compute the gradient")?;
        Ok((loss.mean, gradients))
    }

    /// Mean loss of a labelled batch, as it is trained on.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn loss(&self, batch: &Batch) -> Result<f64> {
        Ok(task_loss(&self.forward(batch, &mut Pass::Predict)?, batch).mean)
    }

    /// True when the network runs without a graph.
    pub fn is_direct(&self) -> bool {
        self.device.is_cpu() && self.model.direct().is_some()
    }

    fn weights(&self) -> Weights<'_> {
        Weights { dense: &self.parameters, tables: &self.tables }
    }

    fn take_direct(&self) -> Option<Box<dyn DirectModel>> {
        if !self.device.is_cpu() {
            return None;
        }
        // A panic elsewhere leaves buffers, which any batch overwrites.
        let resting = self.direct.lock().unwrap_or_else(PoisonError::into_inner).pop();
        resting.or_else(|| self.model.direct())
    }

    fn rest(&self, model: Box<dyn DirectModel>) {
        self.direct.lock().unwrap_or_else(PoisonError::into_inner).push(model);
    }

    fn backward(&self, forward: &Forward, loss: &TaskLoss) -> Computed<Gradients> {
        let mut tasks = vec![(&forward.graph, loss.tasks.of_clicks.as_slice())];
        if let Some((_, conversions)) = &forward.conversions {
            tasks.push((&conversions.logits, loss.tasks.of_conversions.as_slice()));
        }
        if let Some((_, beside)) = &forward.beside {
            tasks.push((&beside.scores, loss.of_beside.as_slice()));
        }
        let store = backward_from(&tasks)?;
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
                let moves = !self.tables[table].is_fixed;
                let parts: Vec<_> = forward
                    .leaves
                    .iter()
                    .zip(&of_leaves)
                    .filter(|((lookup, _), _)| lookup.table == table && moves)
                    .map(|((lookup, _), gradient)| (lookup, gradient.as_slice()))
                    .collect();
                row_gradients(&parts, self.tables[table].all_rows(), self.tables[table].width)
            })
            .collect();
        Ok(Gradients { dense, tables, loss_of_clicks: loss.tasks.clicks })
    }

    /// Moves every weight that has a gradient.
    ///
    /// The result does not depend on the number of threads, on any kind: sums are added in an order fixed by the
    /// batch, and no number is in two hands.
    ///
    /// # Errors
    /// The network was not made for training with this rule, or the device does not answer.
    pub fn apply(&mut self, gradients: &Gradients, step: Step) -> Result<()> {
        if self.rule != Some(step.rule) {
            let why = format!("the weights carry the memory of {:?}, not of {:?}", self.rule, step.rule);
            return Err(Failure::new("cannot take a step", why));
        }
        for (parameter, gradient) in self.parameters.iter_mut().zip(&gradients.dense) {
            if parameter.is_fixed {
                continue;
            }
            // A penalty on biases would pull the average prediction away from the click rate.
            let is_bias = parameter.name.ends_with("bias");
            let step = if is_bias { Step { l2: 0.0, l1: 0.0, decay: 0.0, ..step } } else { step };
            step.dense(&mut parameter.values, &mut parameter.memory, gradient);
            parameter.upload()?;
        }
        for (table, gradients) in self.tables.iter_mut().zip(&gradients.tables) {
            if !table.is_fixed {
                table.apply(step, gradients);
            }
        }
        Ok(())
    }

    /// Moves the bias so that a fresh network predicts about the click rate for everyone, and the conversion rate of
    /// clicks where it learns that: it need not be learnt.
    ///
    /// # Errors
    /// The device does not answer.
    pub fn start_at_rates(&mut self, clicks: f64, conversions: Option<f64>) -> Result<()> {
        for (bias, rate) in [(CLICK_BIAS, Some(clicks)), (CONVERSION_BIAS, conversions)] {
            let log_odds =
                rate.map(|rate| (rate / (1.0 - rate)).ln()).filter(|log_odds| log_odds.is_finite());
            if let Some(log_odds) = log_odds {
                self.each_bias(bias, |_| log_odds as f32)?;
            }
        }
        Ok(())
    }

    /// Sets how much counts what was counted, of kinds that have such a [scale](super::counted::SCALE).
    ///
    /// # Errors
    /// The device does not answer.
    pub fn set_scale(&mut self, scale: f32) -> Result<()> {
        self.each_bias(super::counted::SCALE, |_| scale)
    }

    /// Adds a number to the log odds of every score.
    ///
    /// # Errors
    /// The device does not answer.
    pub fn shift_log_odds(&mut self, shift: f64) -> Result<()> {
        self.each_bias(CLICK_BIAS, |bias| bias + shift as f32)
    }

    /// Adds a number to the log odds of a conversion given a click, of kinds that learn it.
    ///
    /// # Errors
    /// The device does not answer.
    pub fn shift_conversions(&mut self, shift: f64) -> Result<()> {
        self.each_bias(CONVERSION_BIAS, |bias| bias + shift as f32)
    }

    /// Changes the bias of a score itself.
    fn each_bias(&mut self, name: &str, change: impl Fn(f32) -> f32) -> Result<()> {
        for parameter in self.parameters.iter_mut().filter(|parameter| parameter.name == name) {
            parameter.values.iter_mut().for_each(|bias| *bias = change(*bias));
            parameter.upload()?;
        }
        Ok(())
    }

    /// How many numbers stand outside tables: about the multiplications of one row's way forward.
    pub fn dense_count(&self) -> usize {
        self.parameters.iter().map(|p| p.values.len()).sum()
    }

    /// How many numbers are trained.
    pub fn count(&self) -> usize {
        self.dense_count() + self.tables.iter().map(|t| t.rows() * t.width).sum::<usize>()
    }

    /// Every weight by its name in files: dense parameters, then one tensor per table and field.
    pub fn tensors(&self) -> Vec<NamedTensor<'_>> {
        let dense = self
            .parameters
            .iter()
            .map(|p| NamedTensor::of_numbers(p.name.clone(), p.shape.clone(), &p.values));
        dense.chain(self.of_tables(|part| part.is_empty())).collect()
    }

    /// All that the optimiser remembers, by names like those of the weights: `deep.0.weight.mean`,
    /// `embedding.city.mean`. Empty outside training.
    pub fn memory(&self) -> Vec<NamedTensor<'_>> {
        let of_dense = self.parameters.iter().flat_map(|p| {
            let parts = self.rule.map_or_else(Vec::new, |rule| p.remembered(rule));
            parts.into_iter().map(|(part, place)| {
                let name = format!("{}.{part}", p.name);
                NamedTensor::of_numbers(name, p.shape.clone(), &p.memory[place])
            })
        });
        of_dense.chain(self.of_tables(|part| !part.is_empty())).collect()
    }

    /// The tensors of tables whose part is `wanted`; weights have no part.
    fn of_tables(&self, wanted: impl Fn(&str) -> bool + Copy) -> impl Iterator<Item = NamedTensor<'_>> {
        self.tables.iter().flat_map(move |table| {
            (0..table.fields().count()).flat_map(move |place| {
                let parts = table.parts().into_iter().filter(move |(part, _)| wanted(part));
                parts.map(move |(part, columns)| {
                    NamedTensor::of_columns(part_name(table, place, part), table, place, columns)
                })
            })
        })
    }

    /// Writes the weights as a safetensors file.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_safetensors(out, &self.tensors(), &HashMap::new())
    }

    /// Writes the weights packed; what was counted or solved for stays as it is, and so do biases.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_packed(&self, out: &mut impl Write, packing: Packing) -> io::Result<()> {
        let dense = self.parameters.iter().map(|known| known.is_fixed || known.shape.len() < 2);
        let tables = self.tables.iter().flat_map(|table| table.fields().map(|_| table.is_fixed));
        let exact: Vec<bool> = dense.chain(tables).collect();
        write_packed(out, &self.tensors(), packing, &exact)
    }

    /// A copy of the weights as they are, as a safetensors file.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn copied(&self) -> Result<Stored> {
        let bytes = self.tensors().iter().map(NamedTensor::bytes).sum();
        Stored::written(bytes, |mut out| self.write(&mut out))
    }

    /// Replaces all weights by those of a safetensors file.
    ///
    /// # Errors
    /// The file is broken, or its tensors are not exactly those of this network; nothing is changed then.
    pub fn set_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.set_tensors(from_safetensors(bytes)?)
    }

    /// Replaces all weights by what [`tensors`](Self::tensors) answered once.
    ///
    /// # Errors
    /// The tensors are not exactly those of this network; nothing is changed then.
    pub fn set_tensors(&mut self, mut tensors: NamedTensors<'_>) -> Result<()> {
        check_names("cannot use these weights", &self.tensors(), &tensors)?;
        for parameter in &mut self.parameters {
            parameter.values = take(&mut tensors, &parameter.name).into_owned();
            parameter.upload()?;
        }
        self.set_tables(&mut tensors, |part| part.is_empty());
        Ok(())
    }

    /// Replaces all that the optimiser remembers by what [`memory`](Self::memory) answered once.
    ///
    /// # Errors
    /// The tensors are not exactly those of this network's optimiser; nothing is changed then.
    pub fn set_memory(&mut self, mut tensors: NamedTensors<'_>) -> Result<()> {
        check_names("cannot use this optimiser's memory", &self.memory(), &tensors)?;
        for parameter in &mut self.parameters {
            for (part, place) in self.rule.map_or_else(Vec::new, |rule| parameter.remembered(rule)) {
                let name = format!("{}.{part}", parameter.name);
                parameter.memory[place].copy_from_slice(&take(&mut tensors, &name));
            }
        }
        self.set_tables(&mut tensors, |part| !part.is_empty());
        Ok(())
    }

    fn set_tables(&mut self, tensors: &mut NamedTensors<'_>, wanted: impl Fn(&str) -> bool) {
        for table in &mut self.tables {
            for place in 0..table.fields().count() {
                for (part, columns) in table.parts().into_iter().filter(|(part, _)| wanted(part)) {
                    let values = take(tensors, &part_name(table, place, part));
                    table.write(place, columns, &values);
                }
            }
        }
    }
}

/// The name of a part of a field's rows: the weights' own, then what the optimiser remembers.
fn part_name(table: &Table, place: usize, part: &str) -> String {
    let name = table.tensor_name(place);
    if part.is_empty() { name } else { format!("{name}.{part}") }
}

fn take<'a>(tensors: &mut NamedTensors<'a>, name: &str) -> Cow<'a, [f32]> {
    tensors.remove(name).map(|(_, values)| values).unwrap_or_default()
}

fn check_names(what: &str, wanted: &[NamedTensor<'_>], found: &NamedTensors<'_>) -> Result<()> {
    for NamedTensor { name, shape, .. } in wanted {
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
    let known: HashSet<&str> = wanted.iter().map(|tensor| tensor.name.as_str()).collect();
    match found.keys().find(|name| !known.contains(name.as_str())) {
        Some(name) => Err(Failure::new(what, format!("the model has no tensor {name}"))),
        None => Ok(()),
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
