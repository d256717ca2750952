//! How does a training survive the program's end? One file that is replaced whole, and the one before it.
//!
//! `checkpoint.safetensors` holds the weights, the best weights so far and what the optimiser remembers as tensors; in
//! its header stand the spec, the position (random streams, place in the data, curves), the version of the program and
//! hashes of data, encoder and tensors. `encoder.json` beside it holds vocabularies and schema, which never change. A
//! new checkpoint is complete on the disk under another name before the last one becomes
//! `checkpoint.previous.safetensors`, so that a kill at any moment leaves one that is whole.

use super::adapters::Adapters;
use super::card::fingerprint;
use super::spec::TrainSpec;
use super::trainer::{Position, Trainer};
use super::tuning::Tuning;
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use crate::data::importers;
use crate::data::{Dataset, Encoder};
use crate::jobs::JobContext;
use crate::nn::stored::Stored;
use crate::nn::weights::{NamedTensor, NamedTensors, from_safetensors, write_safetensors};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const FILE: &str = "checkpoint.safetensors";
const NEXT: &str = "checkpoint.next.safetensors";
const PREVIOUS: &str = "checkpoint.previous.safetensors";
const ENCODER: &str = "encoder.json";
const WHAT_SAVE: &str = "cannot save the checkpoint";
const WHAT_LOAD: &str = "cannot resume the training";
/// A file that is locked while a program trains what is kept beside it.
const LOCK: &str = "lock";
/// The entry of the header that holds [`State`].
const STATE: &str = "adloupe";
/// Version of this layout.
const FORMAT: u32 = 2;
/// A checkpoint by the clock is not made while the last one took more than a tenth of the time since.
const SHARE_OF_TIME: u32 = 10;

/// What a checkpoint holds beside tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    format: u32,
    /// Version of the program that wrote it.
    software: String,
    spec: TrainSpec,
    position: Position,
    /// Tells whether the rows and labels are those that the training began with.
    data: String,
    /// Hash of everything that models read of the data.
    content: String,
    /// Hash of `encoder.json`.
    encoder: String,
    /// What of the model that it began with goes on learning, and the hash of that model where an adapter learns.
    #[serde(default)]
    tuning: Option<(Tuning, Option<String>)>,
    /// Hash of all tensors: a file that was damaged is found out.
    tensors: String,
}

/// Where and how often a training is kept.
#[derive(Debug)]
pub struct Keep {
    folder: PathBuf,
    every: Duration,
    last: Instant,
    cost: Duration,
    /// Held while the training is in this program, so that no other one offers to go on with it.
    _lock: Option<fs::File>,
}

/// What is known of a checkpoint without its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its folder.
    pub folder: PathBuf,
    /// What is trained.
    pub spec: TrainSpec,
    /// Finished epochs.
    pub epochs_done: u32,
    /// When it was written.
    pub saved: SystemTime,
    /// True where it began with a model, whose encoder the log is read by.
    pub tuned: bool,
}

impl Kept {
    /// Looks into a folder; `None` where it holds no checkpoint that can be read.
    pub fn look(folder: &Path) -> Option<Self> {
        [FILE, NEXT, PREVIOUS].iter().find_map(|name| {
            let mut file = fs::File::open(folder.join(name)).ok()?;
            let saved = file.metadata().and_then(|known| known.modified()).ok()?;
            let mut length = [0; 8];
            file.read_exact(&mut length).ok()?;
            let mut header = Vec::new();
            file.take(u64::from_le_bytes(length)).read_to_end(&mut header).ok()?;
            let State { spec, position, tuning, .. } = state_of(&header).ok()?;
            Some(Self {
                folder: folder.to_owned(),
                spec,
                epochs_done: position.epoch,
                saved,
                tuned: tuning.is_some(),
            })
        })
    }
}

/// How the log of the training that is kept in a folder is encoded, where it began with a model.
///
/// # Errors
/// The file of the encoder is gone or broken.
pub fn encoder_of_base(folder: &Path) -> Result<Option<Arc<Encoder>>> {
    if !Kept::look(folder).is_some_and(|kept| kept.tuned) {
        return Ok(None);
    }
    let path = folder.join(ENCODER);
    let at = |failure: Failure| failure.at(path.display()).hint("train from the start");
    let text = fs::read(&path).explain(WHAT_LOAD).map_err(at)?;
    serde_json::from_slice(&text).explain(WHAT_LOAD).map_err(at).map(|encoder| Some(Arc::new(encoder)))
}

/// True while a program trains what is kept in a folder.
pub fn is_in_use(folder: &Path) -> bool {
    fs::File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_err())
}

impl Trainer {
    /// Keeps the training in `folder` while it runs: after an epoch, every so often, and when it is stopped.
    pub fn keep_in(&mut self, folder: PathBuf, every: Duration) {
        // Without the lock the training is kept all the same.
        let _lock = fs::create_dir_all(&folder)
            .and_then(|()| fs::File::create(folder.join(LOCK)))
            .ok()
            .filter(|lock| lock.try_lock().is_ok());
        self.keep = Some(Keep { folder, every, last: Instant::now(), cost: Duration::ZERO, _lock });
    }

    /// Where it is kept.
    pub fn kept_in(&self) -> Option<&Path> {
        self.keep.as_ref().map(|keep| keep.folder.as_path())
    }

    /// Keeps the training if it is time. A disk that fills does not stop a training: that is told, the last checkpoint
    /// stays, and it is tried again later.
    pub(super) fn keep_now_and_then(&mut self, epoch_ended: bool, context: &JobContext) {
        let Some(keep) = &self.keep else { return };
        let since = keep.last.elapsed();
        if (epoch_ended || since >= keep.every) && since >= SHARE_OF_TIME * keep.cost {
            self.keep_or_tell(context);
        }
    }

    /// Keeps the training, or tells why it could not be.
    pub(super) fn keep_or_tell(&mut self, context: &JobContext) {
        if let Err(failure) = self.keep_here() {
            context.warn(format!("{failure}; the training goes on, and the last checkpoint stays"));
        }
    }

    /// Keeps the training in the folder of [`keep_in`](Self::keep_in), if there is one.
    pub(super) fn keep_here(&mut self) -> Result<()> {
        let Some(folder) = self.keep.as_ref().map(|keep| keep.folder.clone()) else {
            return Ok(());
        };
        let begun = Instant::now();
        let saved = self.save_checkpoint(&folder);
        if let Some(keep) = &mut self.keep {
            keep.last = Instant::now();
            keep.cost = begun.elapsed();
        }
        saved
    }

    /// Writes a checkpoint into `folder` from which [`Trainer::resume`] goes on exactly here.
    ///
    /// # Errors
    /// The folder cannot be written; a checkpoint that was there stays.
    pub fn save_checkpoint(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(|error| disk_failure(WHAT_SAVE, folder, &error))?;
        let encoder = self.write_encoder(folder)?;
        let best = match &self.best {
            Some(bytes) => from_safetensors(bytes)?,
            None => NamedTensors::default(),
        };
        let tensors = || {
            let now = self.network.tensors().into_iter().map(|tensor| tensor.under("now"));
            let memory = self.network.memory().into_iter().map(|tensor| tensor.under("memory"));
            let adapters = self.adapters.iter().flat_map(Adapters::tensors);
            let adapters = adapters.map(|tensor| tensor.under("adapter"));
            let all =
                now.chain(memory).chain(views(&best).map(|tensor| tensor.under("best"))).chain(adapters);
            all.collect::<Vec<_>>()
        };
        let state = State {
            format: FORMAT,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            spec: self.spec.clone(),
            position: self.position.clone(),
            data: fingerprint(&self.dataset),
            content: self.content.get_or_init(|| content(&self.dataset)).clone(),
            encoder,
            tuning: self
                .tuning
                .clone()
                .map(|tuning| (tuning, self.adapters.as_ref().map(|adapters| adapters.base.clone()))),
            tensors: hash_of(tensors().into_iter()),
        };
        let state = serde_json::to_string(&state).explain(WHAT_SAVE)?;
        let words = [(STATE.to_owned(), state)].into();
        let (next, path) = (folder.join(NEXT), folder.join(FILE));
        write_atomically(&next, |out| {
            let written = write_safetensors(out, &tensors(), &words);
            written.map_err(|error| disk_failure(WHAT_SAVE, &path, &error))
        })?;
        let moved = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|error| disk_failure(WHAT_SAVE, to, &error))
        };
        if path.exists() {
            moved(&path, &folder.join(PREVIOUS))?;
        }
        moved(&next, &path)
    }

    /// Writes vocabularies and schema once; returns their hash.
    fn write_encoder(&self, folder: &Path) -> Result<String> {
        let path = folder.join(ENCODER);
        if let Some(known) = self.encoder_hash.get().filter(|_| path.exists()) {
            return Ok(known.clone());
        }
        let text = serde_json::to_vec(&*self.dataset.encoder).explain(WHAT_SAVE)?;
        write_atomically(&path, |out| {
            out.write_all(&text).map_err(|error| disk_failure(WHAT_SAVE, &path, &error))
        })?;
        Ok(self.encoder_hash.get_or_init(|| format!("{:016x}", xxh3_64(&text))).clone())
    }

    /// Goes on where a checkpoint stopped. The dataset must be the one that the training began with. Where the newest
    /// file is damaged the one before it is taken, and that is told.
    ///
    /// # Errors
    /// There is no checkpoint, all are damaged, they were written by another version, or belong to other data: then
    /// what differs is named.
    pub fn resume(folder: &Path, dataset: &Dataset, context: &JobContext) -> Result<Self> {
        Self::resume_within(importers::usual_memory(), folder, dataset, context)
    }

    /// As [`resume`](Self::resume), with so many bytes of memory for the rows. Their order is the one that the training
    /// began with.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub fn resume_within(
        memory: u64,
        folder: &Path,
        dataset: &Dataset,
        context: &JobContext,
    ) -> Result<Self> {
        let mut damaged: Option<Failure> = None;
        for name in [FILE, NEXT, PREVIOUS] {
            let path = folder.join(name);
            let bytes = Stored::read(&path);
            let contents = match &bytes {
                Ok(bytes) => read_contents(bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => Err(Failure::new(WHAT_LOAD, error)),
            };
            match contents {
                Ok((state, tensors)) => {
                    if let Some(failure) = damaged {
                        context.warn(format!("{failure}; going on from {name}"));
                    }
                    return Self::from_contents(state, tensors, folder, (memory, dataset))
                        .map_err(|failure| failure.at(path.display()));
                }
                Err(failure) => {
                    damaged.get_or_insert(failure.at(path.display()));
                }
            }
        }
        Err(damaged.unwrap_or_else(|| {
            Failure::new(WHAT_LOAD, "there is no checkpoint")
                .at(folder.display())
                .hint("a folder that 'train --checkpoint' wrote, or train from the start")
        }))
    }

    fn from_contents(
        state: State,
        mut tensors: NamedTensors<'_>,
        folder: &Path,
        (memory, dataset): (u64, &Dataset),
    ) -> Result<Self> {
        if state.data != fingerprint(dataset) || state.content != content(dataset) {
            let why = difference(folder, &dataset.encoder).unwrap_or_else(|| {
                "the log or its column roles are not those that the training began with".to_owned()
            });
            return Err(
                Failure::new(WHAT_LOAD, why).hint("give the same log and roles, or train from the start")
            );
        }
        let mut trainer = Self::within(memory, dataset, &state.spec)?;
        let mut part = |prefix: &str| -> NamedTensors<'_> {
            let names: Vec<_> = tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
            names
                .into_iter()
                .filter_map(|name| Some((name[prefix.len()..].to_owned(), tensors.remove(&name)?)))
                .collect()
        };
        trainer.network.set_tensors(part("now/"))?;
        trainer.network.set_memory(part("memory/"))?;
        if let Some((tuning, base)) = &state.tuning {
            trainer.take_up(tuning)?;
            if let (Some(adapters), Some(base)) = (&mut trainer.adapters, base) {
                adapters.set(base.clone(), part("adapter/"))?;
            }
        }
        let best = part("best/");
        if !best.is_empty() {
            let best: Vec<_> = views(&best).collect();
            let bytes = best.iter().map(NamedTensor::bytes).sum();
            let copy = |mut out: &mut dyn Write| write_safetensors(&mut out, &best, &HashMap::new());
            trainer.best = Some(Stored::written(bytes, copy)?);
        }
        trainer.position = state.position;
        Ok(trainer)
    }
}

/// State and tensors of a file that is whole.
fn read_contents(bytes: &[u8]) -> Result<(State, NamedTensors<'_>)> {
    let broken = |why: &str| Failure::new(WHAT_LOAD, why).hint("train from the start");
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| broken("the checkpoint is empty"))?;
    let header = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| rest.get(..length));
    let state = state_of(header.ok_or_else(|| broken("the checkpoint breaks off"))?)?;
    let tensors = from_safetensors(bytes).map_err(|failure| broken(&failure.why))?;
    if hash_of(views(&tensors)) != state.tensors {
        return Err(broken("the checkpoint is damaged: its numbers are not those that were written"));
    }
    Ok((state, tensors))
}

/// What stands in a safetensors header under [`STATE`].
fn state_of(header: &[u8]) -> Result<State> {
    let header: serde_json::Value = serde_json::from_slice(header).explain(WHAT_LOAD)?;
    let text = header["__metadata__"][STATE].as_str().ok_or_else(|| {
        let why = "the file is no checkpoint of this program, or one of version 0.1 before layout 2";
        Failure::new(WHAT_LOAD, why).hint("train from the start")
    })?;
    let known: serde_json::Value = serde_json::from_str(text).explain(WHAT_LOAD)?;
    if known["format"] != FORMAT {
        let why = format!(
            "the checkpoint has layout {} (adloupe {}), and this program reads layout {FORMAT}",
            known["format"],
            known["software"].as_str().unwrap_or("unknown")
        );
        return Err(Failure::new(WHAT_LOAD, why).hint("the version that wrote it, or train from the start"));
    }
    serde_json::from_value(known).explain(WHAT_LOAD)
}

/// A hash of names and numbers, whatever the order.
fn hash_of<'a>(tensors: impl Iterator<Item = NamedTensor<'a>>) -> String {
    let sum = tensors.fold(0_u64, |sum, tensor| {
        let mut hash = Xxh3::new();
        hash.update(tensor.name.as_bytes());
        let each = tensor.each_block(|numbers| {
            hash.update(bytemuck::cast_slice(numbers));
            Ok::<(), Infallible>(())
        });
        let Ok(()) = each;
        sum.wrapping_add(hash.digest())
    });
    format!("{sum:016x}")
}

/// A hash of every number that a model reads.
fn content(dataset: &Dataset) -> String {
    let mut hash = Xxh3::new();
    dataset.categorical.iter().for_each(|ids| hash.update(bytemuck::cast_slice(ids)));
    dataset.numeric.iter().for_each(|numbers| hash.update(bytemuck::cast_slice(numbers)));
    for sequence in &dataset.sequences {
        hash.update(bytemuck::cast_slice(&sequence.offsets));
        hash.update(bytemuck::cast_slice(&sequence.ids));
    }
    hash.update(bytemuck::cast_slice(&dataset.weight));
    hash.update(bytemuck::cast_slice(&dataset.conversion));
    format!("{:016x}", hash.digest())
}

/// How the encoder of a checkpoint differs from one, in words; `None` where both are the same or the file is gone.
fn difference(folder: &Path, now: &Encoder) -> Option<String> {
    let then: Encoder = serde_json::from_slice(&fs::read(folder.join(ENCODER)).ok()?).ok()?;
    for field in &then.categorical {
        let Some(place) = now.position(&field.name) else {
            return Some(format!("the training began with a field '{}' that the log lacks now", field.name));
        };
        let other = &now.categorical[place];
        if other.values != field.values || other.hash_buckets != field.hash_buckets {
            return Some(format!(
                "the vocabulary of '{}' is another one: {} values when the training began, {} now",
                field.name,
                field.cardinality(),
                other.cardinality()
            ));
        }
    }
    let names = |encoder: &Encoder| -> Vec<String> {
        let fields = encoder.categorical.iter().map(|field| &field.name);
        fields.chain(encoder.numeric.iter().map(|field| &field.name)).cloned().collect()
    };
    let (before, after) = (names(&then), names(now));
    let gone = before.iter().find(|name| !after.contains(name));
    let new = after.iter().find(|name| !before.contains(name));
    match (gone, new) {
        (Some(name), _) => Some(format!("the training began with a field '{name}' that the log lacks now")),
        (None, Some(name)) => {
            Some(format!("the log has a field '{name}' now that the training began without"))
        }
        (None, None) => None,
    }
}

fn views<'a>(tensors: &'a NamedTensors<'_>) -> impl Iterator<Item = NamedTensor<'a>> {
    tensors.iter().map(|(name, (shape, values))| NamedTensor::of_numbers(name.clone(), shape.clone(), values))
}
