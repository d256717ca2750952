//! How is a model adapted while its weights stay? Low-rank changes of its matrices and tables, kept beside it.
//!
//! An adapter lives in `adapters/NAME` below the folder of the model that it was made for, and names that model's weights
//! by their hash: on any other it is refused.

use super::card::{ModelCard, hash_of};
use super::trained::TrainedModel;
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::models::{Gradients, Network};
use crate::nn::adapter::LowRank;
use crate::nn::optimiser::{Rule, Step};
use crate::nn::stored::Stored;
use crate::nn::weights::{NamedTensor, NamedTensors, from_safetensors, write_safetensors};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

const FILE: &str = "adapter.safetensors";
const CARD: &str = "adapter.json";
const FORMAT: u32 = 1;
const WHAT_SAVE: &str = "cannot save the adapter";
const WHAT_OPEN: &str = "cannot open the adapter";

/// The low-rank changes of a network.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// Hash of the weights that they change.
    pub base: String,
    changes: Vec<Change>,
    /// Factors of the best epoch.
    best: Option<Vec<LowRank>>,
}

#[derive(Debug, Clone)]
struct Change {
    name: String,
    place: Place,
    /// What the matrix was.
    base: Vec<f32>,
    factors: LowRank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Dense(usize),
    Table(usize),
}

/// `adapter.json`.
#[derive(Debug, Serialize, Deserialize)]
struct AdapterCard<C> {
    format: u32,
    base: String,
    rank: usize,
    /// Hash of the network with the adapter merged: a file that was damaged is found out.
    merged: String,
    card: C,
}

impl Adapters {
    /// No change yet of a network's dense matrices and learnt tables of more than one column.
    ///
    /// # Errors
    /// The network has none, or a rank of 0.
    pub fn on(network: &Network, rank: usize, seed: u64, rule: Rule) -> Result<Self> {
        let what = "cannot adapt the model";
        if rank == 0 {
            return Err(Failure::new(what, "a rank of 0 changes nothing").hint("4"));
        }
        let mut changes = Vec::new();
        let mut add = |name: &str, place: Place, shape: (usize, usize), base: Vec<f32>| {
            let mut rng = Rng::named(seed, &format!("adapter/{name}"));
            let factors = LowRank::new(shape, rank, &mut rng, rule);
            changes.push(Change { name: name.to_owned(), place, base, factors });
        };
        for (place, parameter) in network.parameters.iter().enumerate() {
            if let [rows, columns] = parameter.shape[..]
                && !parameter.is_fixed
                && rows.min(columns) > 1
            {
                add(&parameter.name, Place::Dense(place), (rows, columns), parameter.values.clone());
            }
        }
        for (place, table) in network.tables.iter().enumerate() {
            if !table.is_fixed && table.width > 1 {
                let rows = (0..table.rows() as u32).flat_map(|row| table.row(row).iter().copied());
                let shape = (table.rows(), table.width);
                add(&table.name, Place::Table(place), shape, rows.collect());
            }
        }
        if changes.is_empty() {
            return Err(Failure::new(what, "this kind has no matrix and no embedding that is learnt")
                .hint("train it further as it is, or a kind with embeddings"));
        }
        Ok(Self { base: hash_of(network), changes, best: None })
    }

    /// Numbers that are learnt.
    pub fn count(&self) -> usize {
        self.changes.iter().map(|change| change.factors.count()).sum()
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.changes.first().map_or(0, |change| change.factors.rank)
    }

    /// Moves the factors against the gradients of the network, and the network with them.
    ///
    /// # Errors
    /// The device does not answer.
    pub fn apply(&mut self, network: &mut Network, gradients: &Gradients, step: Step) -> Result<()> {
        for change in &mut self.changes {
            match change.place {
                Place::Dense(place) => {
                    let rows: Vec<u32> = (0..change.factors.rows as u32).collect();
                    change.factors.step(step, &rows, &gradients.dense[place]);
                }
                Place::Table(place) => {
                    let touched = &gradients.tables[place];
                    change.factors.step(step, &touched.rows, &touched.values);
                }
            }
        }
        self.merge(network)
    }

    /// Keeps the factors as they are as the best.
    pub fn keep(&mut self) {
        self.best = Some(self.changes.iter().map(|change| change.factors.clone()).collect());
    }

    /// All that they are made of, for a checkpoint: what the matrices were, the factors with what the optimiser remembers
    /// of them, and the best ones.
    pub(super) fn tensors(&self) -> Vec<NamedTensor<'_>> {
        let mut tensors = Vec::new();
        for (place, Change { base, factors, .. }) in self.changes.iter().enumerate() {
            tensors.push(flat(place, "base", base));
            tensors.extend(factors_of(factors).map(|(name, numbers)| flat(place, name, numbers)));
        }
        for (place, factors) in self.best.iter().flatten().enumerate() {
            let best = [("best_up", &factors.up), ("best_down", &factors.down)];
            tensors.extend(best.map(|(name, numbers)| flat(place, name, numbers)));
        }
        tensors
    }

    /// Goes back to what [`tensors`](Self::tensors) answered once, of the adapter of a model with the hash `base`.
    ///
    /// # Errors
    /// A tensor is missing or of another size.
    pub(super) fn set(&mut self, base: String, mut tensors: NamedTensors<'_>) -> Result<()> {
        let mut take = |place: usize, name: &str, to: &mut Vec<f32>| {
            let name = format!("{place}.{name}");
            let found = tensors.remove(&name).map(|(_, numbers)| numbers.into_owned());
            *to = found.filter(|numbers| numbers.len() == to.len()).ok_or_else(|| {
                Failure::new(WHAT_OPEN, format!("its tensor {name} is missing or of another size"))
            })?;
            Ok::<(), Failure>(())
        };
        for (place, Change { base, factors, .. }) in self.changes.iter_mut().enumerate() {
            take(place, "base", base)?;
            take(place, "up", &mut factors.up)?;
            take(place, "down", &mut factors.down)?;
            take(place, "up_memory", &mut factors.up_memory)?;
            take(place, "down_memory", &mut factors.down_memory)?;
        }
        let mut best: Vec<LowRank> = self.changes.iter().map(|change| change.factors.clone()).collect();
        let found = best.iter_mut().enumerate().try_for_each(|(place, factors)| {
            take(place, "best_up", &mut factors.up)?;
            take(place, "best_down", &mut factors.down)
        });
        // Before the first epoch ends there is no best.
        self.best = found.is_ok().then_some(best);
        self.base = base;
        Ok(())
    }

    /// Goes back to the best factors, where some were kept.
    pub fn take_best(&mut self) {
        for (change, best) in self.changes.iter_mut().zip(self.best.take().unwrap_or_default()) {
            change.factors = best;
        }
    }

    /// Writes base and change together into the network.
    fn merge(&self, network: &mut Network) -> Result<()> {
        for Change { place, base, factors, .. } in &self.changes {
            let width = factors.columns;
            match *place {
                Place::Dense(place) => {
                    let parameter = &mut network.parameters[place];
                    let rows = parameter.values.chunks_exact_mut(width).zip(base.chunks_exact(width));
                    rows.enumerate().for_each(|(row, (out, base))| factors.merge(row, base, out));
                    parameter.upload()?;
                }
                Place::Table(place) => {
                    let table = &mut network.tables[place];
                    for row in (0..factors.rows).filter(|row| factors.moves(*row)) {
                        factors.merge(row, &base[row * width..][..width], table.row_mut(row as u32));
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the adapter of a network into `adapters/NAME` of its base.
    ///
    /// # Errors
    /// The folder does not lie in that of the base, or cannot be written.
    pub(super) fn save(&self, folder: &Path, card: &ModelCard, network: &Network) -> Result<()> {
        let base = base_folder(folder, WHAT_SAVE)?;
        let found = TrainedModel::load(base).map(|model| model.hash());
        if found.as_ref() != Ok(&self.base) {
            return Err(Failure::new(WHAT_SAVE, "the folder is not below the model that it was made for")
                .at(folder.display())
                .hint("BASE/adapters/NAME"));
        }
        fs::create_dir_all(folder).map_err(|error| disk_failure(WHAT_SAVE, folder, &error))?;
        let mut tensors = Vec::new();
        for Change { name, factors, .. } in &self.changes {
            let LowRank { rows, columns, rank, up, down, .. } = factors;
            tensors.push(NamedTensor::of_numbers(format!("{name}.up"), vec![*rows, *rank], up));
            tensors.push(NamedTensor::of_numbers(format!("{name}.down"), vec![*rank, *columns], down));
        }
        // What calibration moves.
        for parameter in network.parameters.iter().filter(|known| known.values.len() == 1) {
            let shape = parameter.shape.clone();
            tensors.push(NamedTensor::of_numbers(parameter.name.clone(), shape, &parameter.values));
        }
        let (base, merged) = (self.base.clone(), hash_of(network));
        let text = AdapterCard { format: FORMAT, base, rank: self.rank(), merged, card };
        let text = serde_json::to_vec_pretty(&text).explain(WHAT_SAVE)?;
        let (card_path, path) = (folder.join(CARD), folder.join(FILE));
        write_atomically(&card_path, |out| {
            let written = out.write_all(&text).and_then(|()| out.flush());
            written.map_err(|error| disk_failure(WHAT_SAVE, &card_path, &error))?;
            write_atomically(&path, |out| {
                let written = write_safetensors(out, &tensors, &HashMap::new());
                written.map_err(|error| disk_failure(WHAT_SAVE, &path, &error))
            })
        })
    }

    /// True for the folder of an adapter.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(CARD).is_file()
    }

    /// The adapter in a folder, and its base with the adapter merged.
    ///
    /// # Errors
    /// A file is missing or broken, or the base is not the one that it was made for.
    pub(super) fn load(folder: &Path) -> Result<(Self, TrainedModel)> {
        let at = |failure: Failure| failure.at(folder.display()).hint("make the adapter again");
        let text = fs::read(folder.join(CARD)).explain(WHAT_OPEN).map_err(at)?;
        let known: AdapterCard<ModelCard> = serde_json::from_slice(&text).explain(WHAT_OPEN).map_err(at)?;
        if known.format != FORMAT {
            let why = format!("it has layout {} and this program reads {FORMAT}", known.format);
            return Err(at(Failure::new(WHAT_OPEN, why)));
        }
        let base = TrainedModel::load(base_folder(folder, WHAT_OPEN)?)?;
        if base.hash() != known.base {
            return Err(Failure::new(
                WHAT_OPEN,
                "it was made for another model than the one that it lies in",
            )
            .at(folder.display())
            .hint("put it into the folder of its own base, or make one for this model"));
        }
        let mut network = base.copied_network()?;
        let mut adapters = Self::on(&network, known.rank, 0, Rule::Sgd)?;
        let bytes = Stored::read(&folder.join(FILE)).explain(WHAT_OPEN).map_err(at)?;
        let mut tensors = from_safetensors(&bytes).map_err(at)?;
        let mut take = |name: &str, count: usize| {
            let found = tensors.remove(name).map(|(_, values)| values.into_owned());
            found.filter(|values| values.len() == count).ok_or_else(|| {
                at(Failure::new(WHAT_OPEN, format!("its tensor {name} is missing or of another size")))
            })
        };
        for Change { name, factors, .. } in &mut adapters.changes {
            factors.up = take(&format!("{name}.up"), factors.up.len())?;
            factors.down = take(&format!("{name}.down"), factors.down.len())?;
        }
        for parameter in network.parameters.iter_mut().filter(|known| known.values.len() == 1) {
            parameter.values = take(&parameter.name, 1)?;
            parameter.upload()?;
        }
        adapters.merge(&mut network)?;
        if hash_of(&network) != known.merged {
            return Err(at(Failure::new(WHAT_OPEN, "its numbers are not those that were written")));
        }
        let encoder = base.encoder.clone();
        Ok((adapters, TrainedModel::new(known.card, encoder, network)?))
    }
}

fn factors_of(factors: &LowRank) -> [(&'static str, &[f32]); 4] {
    [
        ("up", &factors.up),
        ("down", &factors.down),
        ("up_memory", &factors.up_memory),
        ("down_memory", &factors.down_memory),
    ]
}

fn flat<'a>(place: usize, name: &str, numbers: &'a [f32]) -> NamedTensor<'a> {
    NamedTensor::of_numbers(format!("{place}.{name}"), vec![numbers.len()], numbers)
}

/// The folder of the model that an adapter's folder lies in.
fn base_folder<'a>(folder: &'a Path, what: &str) -> Result<&'a Path> {
    let adapters = folder.parent().filter(|parent| parent.file_name().is_some_and(|name| name == "adapters"));
    adapters.and_then(Path::parent).ok_or_else(|| {
        Failure::new(what, "an adapter lies in the folder of its base")
            .at(folder.display())
            .hint("BASE/adapters/NAME")
    })
}
