//! Where do a model's weights come from, and how are they kept? Named, seeded, saved as safetensors.

use super::linear::Linear;
use super::tables::Table;
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use candle_core::{Device, Tensor, Var};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every number the same.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

/// One dense trainable tensor. The optimiser works on `values`; `var` is its copy on the device.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Stable name in files: `mlp.0.weight`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Row-major numbers.
    pub values: Vec<f32>,
    /// What the graph reads.
    pub var: Var,
}

impl Parameter {
    /// Copies `values` to the device.
    ///
    /// # Errors
    /// The device does not answer.
    pub fn upload(&self) -> Result<()> {
        Tensor::from_slice(&self.values, self.shape.as_slice(), self.var.device())
            .and_then(|tensor| self.var.set(&tensor))
            .explain("cannot copy weights to the device")
    }
}

/// Collects a model's weights while it is built. Each draws from a stream of its own name, so adding one
/// shifts no other.
#[derive(Debug)]
pub struct Builder {
    /// Where the graph runs.
    pub device: Device,
    /// Dense parameters so far.
    pub parameters: Vec<Parameter>,
    /// Embedding tables so far.
    pub tables: Vec<Table>,
    seed: u64,
}

impl Builder {
    /// An empty model.
    pub fn new(seed: u64, device: Device) -> Self {
        Self { device, parameters: Vec::new(), tables: Vec::new(), seed }
    }

    /// A dense parameter.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn parameter(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        let n = shape.iter().product();
        let values = self.draw(name, n, init);
        let var = Var::from_slice(&values, shape, &self.device).explain("cannot make the model's weights")?;
        let tensor = var.as_tensor().clone();
        self.parameters.push(Parameter { name: name.to_owned(), shape: shape.to_vec(), values, var });
        Ok(tensor)
    }

    /// A dense layer with Glorot's normal start (Glorot & Bengio 2010) and biases 0.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let deviation = (2.0 / (inputs + outputs) as f64).sqrt();
        Ok(Linear {
            weight: self.parameter(&format!("{name}.weight"), &[outputs, inputs], Init::Normal(deviation))?,
            bias: self.parameter(&format!("{name}.bias"), &[outputs], Init::Constant(0.0))?,
        })
    }

    /// An embedding table of `width` numbers a row over `fields` of `(name, rows)`; returns its place.
    pub fn table(&mut self, name: &str, width: usize, fields: &[(String, usize)], init: Init) -> usize {
        let mut table = Table::zeros(name, width, fields);
        for place in 0..fields.len() {
            // A stream per field: a larger vocabulary in one changes no other.
            let stream = table.tensor_name(place);
            let range = table.range(place);
            let values = self.draw(&stream, range.len(), init);
            table.values[range].copy_from_slice(&values);
        }
        self.tables.push(table);
        self.tables.len() - 1
    }

    fn draw(&self, name: &str, n: usize, init: Init) -> Vec<f32> {
        match init {
            Init::Constant(value) => vec![value; n],
            Init::Normal(deviation) => {
                let mut rng = Rng::named(self.seed, &format!("weights/{name}"));
                (0..n).map(|_| (rng.normal() * deviation) as f32).collect()
            }
        }
    }
}

/// Named f32 tensors on their way to or from a file.
pub type NamedTensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The bytes of a safetensors file.
///
/// # Errors
/// A shape does not match its numbers.
pub fn to_safetensors(tensors: &[(String, Vec<usize>, &[f32])]) -> Result<Vec<u8>> {
    let what = "cannot write the weights";
    let views = tensors
        .iter()
        .map(|(name, shape, values)| {
            TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
                .map(|view| (name.as_str(), view))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .explain(what)?;
    safetensors::tensor::serialize(views, None).explain(what)
}

/// Reads a safetensors file of f32 tensors.
///
/// # Errors
/// Bytes that are no safetensors file, or a tensor of another type.
pub fn from_safetensors(bytes: &[u8]) -> Result<NamedTensors> {
    let what = "cannot read the weights";
    let file = SafeTensors::deserialize(bytes).explain(what)?;
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                return Err(Failure::new(what, format!("tensor {name} is not of type f32")));
            }
            let (numbers, _) = view.data().as_chunks::<4>();
            let values = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok((name, (view.shape().to_vec(), values)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_names_are_independent() {
        let draw = |seed, first: bool| {
            let mut builder = Builder::new(seed, Device::Cpu);
            if first {
                builder.linear("a", 3, 4).unwrap();
            }
            builder.linear("b", 5, 2).unwrap();
            let at = builder.parameters.iter().position(|p| p.name == "b.weight");
            builder.parameters[at.unwrap()].values.clone()
        };
        assert_eq!(draw(1, false), draw(1, true));
        assert_ne!(draw(1, false), draw(2, false));
    }

    #[test]
    fn tensors_survive_the_file_and_rubbish_is_refused() {
        let bytes = to_safetensors(&[("a".into(), vec![2, 1], &[1.5, -2.0])]).unwrap();
        let back = from_safetensors(&bytes).unwrap();
        assert_eq!(back["a"], (vec![2, 1], vec![1.5, -2.0]));
        assert!(from_safetensors(b"not a file of weights").is_err());
        assert!(from_safetensors(&bytes[..bytes.len() - 1]).is_err());
    }
}
