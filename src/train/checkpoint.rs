//! How does a stopped training survive the program's end? Weights, optimiser and position in one folder.

use super::card::fingerprint;
use super::spec::TrainSpec;
use super::trainer::{Position, Trainer};
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::nn::weights::{NamedTensor, NamedTensors, from_safetensors, to_safetensors};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::Path;

const FILE: &str = "checkpoint.safetensors";
const WHAT_SAVE: &str = "cannot save the checkpoint";
const WHAT_LOAD: &str = "cannot resume the training";
/// The tensor that holds the position as text, a byte a number (JSON is shorter than 2^24 and bytes are exact).
const STATE: &str = "state.json";

/// What a checkpoint holds beside tensors.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    spec: TrainSpec,
    position: Position,
    /// Tells whether the data are those that the training began with.
    data: String,
}

impl Trainer {
    /// Writes one file into `folder` from which [`Trainer::resume`] goes on exactly here.
    ///
    /// # Errors
    /// The folder cannot be written; a checkpoint that was there stays.
    pub fn save_checkpoint(&self, folder: &Path) -> Result<()> {
        let state = State {
            spec: self.spec.clone(),
            position: self.position.clone(),
            data: fingerprint(&self.dataset),
        };
        let text = serde_json::to_vec(&state).explain(WHAT_SAVE)?;
        let text: Vec<f32> = text.into_iter().map(f32::from).collect();
        let best = match &self.best {
            Some(bytes) => from_safetensors(bytes)?,
            None => Default::default(),
        };
        let mut tensors = vec![NamedTensor::of_numbers(STATE.to_owned(), vec![text.len()], &text)];
        tensors.extend(self.network.tensors().into_iter().map(|tensor| tensor.under("now")));
        tensors.extend(self.network.memory().into_iter().map(|tensor| tensor.under("memory")));
        tensors.extend(views(&best).map(|tensor| tensor.under("best")));
        let bytes = to_safetensors(tensors)?;
        fs::create_dir_all(folder).map_err(|error| disk_failure(WHAT_SAVE, folder, &error))?;
        let path = folder.join(FILE);
        write_atomically(&path, |out| {
            out.write_all(&bytes).map_err(|error| disk_failure(WHAT_SAVE, &path, &error))
        })
    }

    /// Goes on where a checkpoint stopped. The dataset must be the one that the training began with.
    ///
    /// # Errors
    /// There is no checkpoint, it is broken, or it belongs to other data.
    pub fn resume(folder: &Path, dataset: &Dataset) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = fs::read(&path).map_err(|error| {
            Failure::new(WHAT_LOAD, error)
                .at(path.display())
                .hint("a folder that 'train --checkpoint' wrote, or train from the start")
        })?;
        Self::from_checkpoint(&bytes, dataset).map_err(|failure| failure.at(path.display()))
    }

    fn from_checkpoint(bytes: &[u8], dataset: &Dataset) -> Result<Self> {
        let broken = || Failure::new(WHAT_LOAD, "the checkpoint is incomplete").hint("train from the start");
        let mut tensors = from_safetensors(bytes)?;
        let (_, text) = tensors.remove(STATE).ok_or_else(broken)?;
        let text: Vec<u8> = text.into_iter().map(|byte| byte as u8).collect();
        let state: State = serde_json::from_slice(&text).explain(WHAT_LOAD)?;
        if state.data != fingerprint(dataset) {
            return Err(Failure::new(
                WHAT_LOAD,
                "the log or its column roles are not those that the training began with",
            )
            .hint("give the same log and roles, or train from the start"));
        }
        let mut trainer = Self::new(dataset, &state.spec)?;
        let mut part = |prefix: &str| -> NamedTensors {
            let names: Vec<_> = tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
            names
                .into_iter()
                .filter_map(|name| Some((name[prefix.len()..].to_owned(), tensors.remove(&name)?)))
                .collect()
        };
        trainer.network.set_tensors(part("now/"))?;
        trainer.network.set_memory(part("memory/"))?;
        let best = part("best/");
        if !best.is_empty() {
            trainer.best = Some(to_safetensors(views(&best))?);
        }
        trainer.position = state.position;
        Ok(trainer)
    }
}

fn views(tensors: &NamedTensors) -> impl Iterator<Item = NamedTensor<'_>> {
    tensors.iter().map(|(name, (shape, values))| NamedTensor::of_numbers(name.clone(), shape.clone(), values))
}
