//! What may be learnt of a language model without touching its file? A thin change of each matrix (LoRA; Hu et al., arXiv
//! 2106.09685).
//!
//! `y = W x + up (down x)`: `W` stays as it is in the file, rounded to bytes; `up` of `[rows, rank]` is zero at first and `down` of
//! `[rank, columns]` is drawn, so nothing has changed before the first step. The two are never rounded and never added to
//! `W`, where a small change would be lost between two bytes. They are kept in a file of their own, which names the model.

use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

/// Matrices of a layer: queries, keys and values; their mix; gate and what it lets through; the way down.
pub const EACH: usize = 4;
const NAMES: [&str; EACH] = ["looks", "mix", "gate_up", "down"];
const WHAT: &str = "cannot use the adapter";
/// Numbers of a product's thin side at most.
pub const MOST_RANK: usize = 64;

/// A thin change of a matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adapter {
    /// Rows and columns of the matrix.
    pub shape: (usize, usize),
    /// Columns of `up`, rows of `down`.
    pub rank: usize,
    /// `[rows, rank]`.
    pub up: Vec<f32>,
    /// `[rank, columns]`.
    pub down: Vec<f32>,
}

/// The changes of all layers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adapters {
    /// BLAKE3 of the model's file.
    pub base: String,
    /// BLAKE3 of the file that they were read from; empty before they were.
    pub hash: String,
    /// What they were learnt from and how well, in words.
    pub note: String,
    /// Layer by layer.
    pub layers: Vec<[Adapter; EACH]>,
}

impl Adapter {
    /// No change yet.
    pub fn new(shape: (usize, usize), rank: usize, rng: &mut Rng) -> Self {
        let deviation = 1.0 / (shape.1.max(1) as f64).sqrt();
        let down = (0..rank * shape.1).map(|_| (deviation * rng.normal()) as f32).collect();
        Self { shape, rank, up: vec![0.0; shape.0 * rank], down }
    }

    /// Of the same shape, all zeros: room for a derivative.
    #[must_use]
    pub fn zeros(&self) -> Self {
        Self { up: vec![0.0; self.up.len()], down: vec![0.0; self.down.len()], ..*self }
    }

    /// Adds its part to the products `[n, rows]` of inputs `[n, columns]`.
    pub fn add(&self, inputs: &[f32], out: &mut [f32]) {
        use crate::language::vectors::inner_product;
        let (rows, columns) = self.shape;
        for (input, out) in inputs.chunks_exact(columns).zip(out.chunks_exact_mut(rows)) {
            let thin: Vec<f32> =
                self.down.chunks_exact(columns).map(|down| inner_product(down, input)).collect();
            for (out, up) in out.iter_mut().zip(self.up.chunks_exact(self.rank)) {
                *out += up.iter().zip(&thin).map(|(up, thin)| up * thin).sum::<f32>();
            }
        }
    }
}

impl Adapters {
    /// Of the same shape, all zeros.
    #[must_use]
    pub fn zeros(&self) -> Self {
        let zeros = |layer: &[Adapter; EACH]| std::array::from_fn(|at| layer[at].zeros());
        Self { layers: self.layers.iter().map(zeros).collect(), ..Self::default() }
    }

    /// Every adapter, layer by layer.
    pub fn all(&self) -> impl Iterator<Item = &Adapter> {
        self.layers.iter().flatten()
    }

    /// Every adapter, to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Adapter> {
        self.layers.iter_mut().flatten()
    }

    /// Numbers that are learnt.
    pub fn count(&self) -> usize {
        self.all().map(|one| one.up.len() + one.down.len()).sum()
    }

    /// The rank of all.
    pub fn rank(&self) -> usize {
        self.all().next().map_or(0, |one| one.rank)
    }

    /// Writes them into a file.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn save(&self, path: &Path) -> Result<()> {
        let what = "cannot keep the adapter";
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut parts: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            for (name, one) in NAMES.iter().zip(layer) {
                parts.push((format!("{at}.{name}.up"), vec![one.shape.0, one.rank], bytes(&one.up)));
                parts.push((format!("{at}.{name}.down"), vec![one.rank, one.shape.1], bytes(&one.down)));
            }
        }
        let views: Vec<(&str, TensorView<'_>)> = parts
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?))
            })
            .collect::<std::result::Result<_, safetensors::SafeTensorError>>()
            .explain(what)?;
        let about = HashMap::from([
            ("adloupe_adapter".to_owned(), "1".to_owned()),
            ("base".to_owned(), self.base.clone()),
            ("note".to_owned(), self.note.clone()),
        ]);
        let bytes = serialize(views, Some(about)).explain(what)?;
        write_atomically(path, |out| out.write_all(&bytes).explain(what))
    }

    /// Reads them for the model of a file, whose matrices have these shapes.
    ///
    /// # Errors
    /// No such file, another form, another model.
    pub fn open(path: &Path, base: &str, shapes: &[[(usize, usize); EACH]]) -> Result<Self> {
        let place = |failure: Failure| failure.at(path.display());
        let bytes = std::fs::read(path).map_err(|error| disk_failure(WHAT, path, &error))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).explain(WHAT).map_err(place)?;
        let about = header.metadata().clone().unwrap_or_default();
        if !about.contains_key("adloupe_adapter") {
            return Err(place(Failure::new(WHAT, "it is none of ours").hint("adloupe copy tune writes one")));
        }
        let own = about.get("base").cloned().unwrap_or_default();
        if own != base {
            let why = format!(
                "it was learnt on another model (BLAKE3 {}… and not {}…)",
                own.get(..12).unwrap_or(&own),
                base.get(..12).unwrap_or(base)
            );
            return Err(place(
                Failure::new(WHAT, why).hint("take the model that it was learnt on, or tune this one"),
            ));
        }
        let file = SafeTensors::deserialize(&bytes).explain(WHAT).map_err(place)?;
        let read = |name: String, shape: [usize; 2]| -> Result<(Vec<f32>, usize)> {
            let tensor = file.tensor(&name).explain(WHAT)?;
            let dims = tensor.shape();
            let fits = dims.len() == 2
                && dims.iter().zip(shape).all(|(own, wanted)| wanted == 0 || *own == wanted)
                && tensor.dtype() == Dtype::F32;
            if !fits {
                return Err(Failure::new(WHAT, format!("'{name}' is {dims:?}, and {shape:?} was expected")));
            }
            let values: Vec<f32> =
                tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            if values.iter().any(|value| !value.is_finite()) {
                return Err(Failure::new(WHAT, format!("'{name}' holds numbers that are none")));
            }
            Ok((values, if shape[0] == 0 { dims[0] } else { dims[1] }))
        };
        let mut layers = Vec::new();
        for (at, shapes) in shapes.iter().enumerate() {
            let mut layer: [Adapter; EACH] = Default::default();
            for ((name, shape), one) in NAMES.iter().zip(shapes).zip(&mut layer) {
                let (up, rank) = read(format!("{at}.{name}.up"), [shape.0, 0]).map_err(place)?;
                if !(1..=MOST_RANK).contains(&rank) {
                    return Err(place(Failure::new(WHAT, format!("a rank of {rank}"))));
                }
                let (down, _) = read(format!("{at}.{name}.down"), [rank, shape.1]).map_err(place)?;
                *one = Adapter { shape: *shape, rank, up, down };
            }
            layers.push(layer);
        }
        let note = about.get("note").cloned().unwrap_or_default();
        let hash = blake3::hash(&bytes).to_hex().to_string();
        Ok(Self { base: own, hash, note, layers })
    }
}
