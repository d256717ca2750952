//! Where do a model's weights come from, and how are they kept? Named, seeded, saved as safetensors.

use super::linear::Linear;
use super::numbers::FILE_FROM;
use super::optimiser::Rule;
use super::packed::{is_part, unpacked};
use super::tables::Table;
use crate::base::Result;
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use candle_core::{Device, Tensor, Var};
use safetensors::tensor::SafeTensors;
use serde_json::json;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::ops::Range;

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
    /// What the optimiser remembers of them, one tensor after another; empty outside training.
    pub memory: Vec<f32>,
    /// What the graph reads.
    pub var: Var,
    /// True when it is fitted apart: no step moves it.
    pub is_fixed: bool,
}

impl Parameter {
    /// The tensors of `memory` as `(name, their place in it)`.
    pub fn remembered(&self, rule: Rule) -> Vec<(&'static str, Range<usize>)> {
        let mut start = 0;
        let tensors = rule.remembers_dense(self.values.len()).into_iter();
        let place = |(name, count)| {
            start += count;
            (name, start - count..start)
        };
        tensors.map(place).collect()
    }

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
    /// The optimiser whose memory the weights carry; none outside training.
    pub rule: Option<Rule>,
    /// Bytes from which on a table lives in a file.
    file_from: usize,
    seed: u64,
    /// False where only the shapes are wanted: all weights are 0 then, and tables take no memory.
    draws: bool,
}

impl Builder {
    /// An empty model, to be asked only.
    pub fn new(seed: u64, device: Device) -> Self {
        let (parameters, tables) = (Vec::new(), Vec::new());
        Self { device, parameters, tables, rule: None, file_from: FILE_FROM, seed, draws: true }
    }

    /// An empty model whose shapes are wanted and nothing else.
    pub fn outline(device: Device) -> Self {
        Self { draws: false, ..Self::new(0, device) }
    }

    /// An empty model that an optimiser will train.
    pub fn for_training(seed: u64, device: Device, rule: Rule) -> Self {
        Self { rule: Some(rule), ..Self::new(seed, device) }
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
        let remembered = self.rule.map_or_else(Vec::new, |rule| rule.remembers_dense(n));
        let memory = vec![0.0; remembered.iter().map(|(_, count)| count).sum()];
        self.parameters.push(Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values,
            memory,
            var,
            is_fixed: false,
        });
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
    ///
    /// # Errors
    /// More than 2^32 rows, or there is no room for them.
    pub fn table(
        &mut self,
        name: &str,
        width: usize,
        fields: &[(String, usize)],
        init: Init,
    ) -> Result<usize> {
        let mut table = Table::zeros(name, width, fields, self.rule, self.file_from)?;
        for place in (0..fields.len()).filter(|_| self.draws) {
            // A stream per field: a larger vocabulary in one changes no other.
            let mut draw = self.stream(&table.tensor_name(place), init);
            for row in table.start(place)..table.start(place + 1) {
                table.row_mut(row).iter_mut().for_each(|weight| *weight = draw());
            }
        }
        self.tables.push(table);
        Ok(self.tables.len() - 1)
    }

    /// A table of zeros that is filled by counting and that no step moves; returns its place.
    ///
    /// # Errors
    /// As for [`table`](Self::table).
    pub fn counted(&mut self, name: &str, width: usize, fields: &[(String, usize)]) -> Result<usize> {
        let mut table = Table::zeros(name, width, fields, None, self.file_from)?;
        table.is_fixed = true;
        self.tables.push(table);
        Ok(self.tables.len() - 1)
    }

    fn draw(&self, name: &str, n: usize, init: Init) -> Vec<f32> {
        if !self.draws {
            return vec![0.0; n];
        }
        let mut draw = self.stream(name, init);
        (0..n).map(|_| draw()).collect()
    }

    /// The numbers that a tensor starts with, in its order.
    fn stream(&self, name: &str, init: Init) -> impl FnMut() -> f32 + use<> {
        let mut rng = Rng::named(self.seed, &format!("weights/{name}"));
        move || match init {
            Init::Constant(value) => value,
            Init::Normal(deviation) => (rng.normal() * deviation) as f32,
        }
    }
}

/// A tensor by its name in files, whose numbers are put together only when they are asked for: a table may be as
/// large as the memory.
#[derive(Debug)]
pub struct NamedTensor<'a> {
    /// Stable name in files.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Numbers(&'a [f32]),
    /// Some columns of the rows of the field at `place`.
    Columns {
        table: &'a Table,
        place: usize,
        columns: Range<usize>,
    },
}

impl<'a> NamedTensor<'a> {
    /// A tensor whose numbers stand together.
    pub fn of_numbers(name: String, shape: Vec<usize>, numbers: &'a [f32]) -> Self {
        Self { name, shape, source: Source::Numbers(numbers) }
    }

    /// Some columns of the rows of a table's field at `place`.
    pub fn of_columns(name: String, table: &'a Table, place: usize, columns: Range<usize>) -> Self {
        let shape = vec![table.rows_of(place), columns.len()];
        Self { name, shape, source: Source::Columns { table, place, columns } }
    }

    /// The same in a folder of names.
    pub fn under(self, folder: &str) -> Self {
        Self { name: format!("{folder}/{}", self.name), ..self }
    }

    /// The numbers, row-major.
    pub fn values(&self) -> Cow<'a, [f32]> {
        match &self.source {
            Source::Numbers(numbers) => Cow::Borrowed(numbers),
            Source::Columns { table, place, columns } => Cow::Owned(table.read(*place, columns.clone())),
        }
    }

    /// The same piece by piece, none of them large.
    ///
    /// # Errors
    /// What `visit` answers.
    pub fn each_block<E>(&self, mut visit: impl FnMut(&[f32]) -> Result<(), E>) -> Result<(), E> {
        match &self.source {
            Source::Numbers(numbers) => numbers.chunks(BLOCK).try_for_each(visit),
            Source::Columns { table, place, columns } => {
                let rows = table.rows_of(*place);
                let at_once = (BLOCK / columns.len().max(1)).max(1);
                (0..rows).step_by(at_once).try_for_each(|from| {
                    visit(&table.read_rows(*place, from..rows.min(from + at_once), columns.clone()))
                })
            }
        }
    }

    /// Bytes that its numbers take.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// Numbers that are in hand at once while tensors travel.
const BLOCK: usize = 1 << 20;

/// Named f32 tensors on their way from a file, which they lie in where it was read in whole numbers.
pub type NamedTensors<'a> = BTreeMap<String, (Vec<usize>, Cow<'a, [f32]>)>;

/// The bytes of a safetensors file.
pub fn to_safetensors(tensors: &[NamedTensor<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tensors.iter().map(NamedTensor::bytes).sum::<usize>() + (1 << 12));
    // Memory refuses nothing.
    let _ = write_safetensors(&mut bytes, tensors, &HashMap::new());
    bytes
}

/// Writes a safetensors file with words in its header; a table may be larger than the memory.
///
/// # Errors
/// What `out` answers.
pub fn write_safetensors(
    out: &mut impl Write,
    tensors: &[NamedTensor<'_>],
    words: &HashMap<String, String>,
) -> io::Result<()> {
    let mut header = serde_json::Map::new();
    if !words.is_empty() {
        header.insert("__metadata__".to_owned(), json!(words));
    }
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.bytes();
        let place = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.name.clone(), place);
    }
    let mut header = serde_json::to_vec(&header)?;
    // Numbers then begin on a multiple of their size, so that a map of the file can be read as it is.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    tensors
        .iter()
        .try_for_each(|tensor| tensor.each_block(|numbers| out.write_all(bytemuck::cast_slice(numbers))))
}

/// Reads a safetensors file of f32 or packed tensors, without a copy where numbers lie on multiples of their size.
///
/// # Errors
/// Bytes that are no safetensors file, or a tensor of another type.
pub fn from_safetensors(bytes: &[u8]) -> Result<NamedTensors<'_>> {
    let what = "cannot read the weights";
    let file = SafeTensors::deserialize(bytes).explain(what)?;
    file.tensors()
        .into_iter()
        .filter(|(name, view)| !is_part(&file, name, view))
        .map(|(name, view)| {
            if let Some((shape, values)) = unpacked(&file, &name, &view)? {
                return Ok((name, (shape, Cow::Owned(values))));
            }
            let values = match bytemuck::try_cast_slice(view.data()) {
                Ok(numbers) => Cow::Borrowed(numbers),
                _ => {
                    let (numbers, _) = view.data().as_chunks::<4>();
                    Cow::Owned(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
                }
            };
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
        let many: Vec<f32> = (0..BLOCK + 7).map(|i| i as f32).collect();
        let mut table = Table::zeros("t", 3, &[("f".into(), BLOCK / 2)], None, usize::MAX).unwrap();
        table.row_mut(BLOCK as u32 / 2 - 1)[1] = 5.0;
        let tensors = [
            NamedTensor::of_numbers("a".into(), vec![2, 1], &[1.5, -2.0]),
            NamedTensor::of_numbers("many".into(), vec![many.len()], &many),
            NamedTensor::of_columns("t".into(), &table, 0, 1..3),
        ];
        let bytes = to_safetensors(&tensors);
        let back = from_safetensors(&bytes).unwrap();
        assert_eq!(back["a"], (vec![2, 1], vec![1.5, -2.0].into()));
        assert_eq!(back["many"].1, many);
        assert_eq!(back["t"].0, [BLOCK / 2, 2]);
        assert_eq!(back["t"].1[BLOCK - 2..], [5.0, 0.0]);
        // Read from an odd place all the same.
        let moved = [&[0], bytes.as_slice()].concat();
        assert_eq!(from_safetensors(&moved[1..]).unwrap(), back);
        assert!(from_safetensors(b"not a file of weights").is_err());
        assert!(from_safetensors(&bytes[..bytes.len() - 1]).is_err());
    }
}
