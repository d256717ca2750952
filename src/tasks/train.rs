//! How is a model trained, saved and opened beside the window?

use super::Output;
use crate::base::{Failure, Result};
use crate::data::dataset::WholeLog;
use crate::data::importers::usual_memory;
use crate::data::options::EncodeOptions;
use crate::data::{Dataset, Encoder, LogFrame};
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::train::checkpoint::encoder_of_base;
use crate::train::tuning::Tuning;
use crate::train::{TrainSnapshot, TrainSpec, TrainedModel, Trainer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Trains a model, or goes on where a stop left it.
pub struct Train {
    /// From where.
    pub start: Start,
    /// Where its curves appear while it runs.
    pub live: Latest<TrainSnapshot>,
    /// Revision of the log behind the dataset.
    pub revision: u64,
    /// Folder in which the training is kept while it runs, in case the program ends; `None` for nowhere.
    pub keep: Option<PathBuf>,
}

/// A training by the clock is kept this often inside an epoch.
const KEPT_EVERY: Duration = Duration::from_secs(60);

/// Where a training begins.
pub enum Start {
    /// From nothing.
    Fresh(TrainingRows, TrainSpec),
    /// From what a model knows, on the log as it reads it.
    Tuned(TrainingRows, Box<LogFrame>, TrainSpec, Arc<TrainedModel>, Tuning),
    /// Where a checkpoint in a folder stands.
    Kept(TrainingRows, Box<LogFrame>, PathBuf),
    /// Where it was stopped.
    Resume(Box<Trainer>),
    /// At its end: the best weights so far become the model.
    Finish(Box<Trainer>),
}

/// What a training learns from.
pub enum TrainingRows {
    /// The rows of a log that is held.
    Held(Arc<Dataset>),
    /// All rows of a log of which a sample is held.
    Whole(Box<LogFrame>, Arc<WholeLog>, EncodeOptions),
}

impl TrainingRows {
    /// Bytes that they may take.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Self::Held(_) => usual_memory(),
            Self::Whole(_, whole, _) => whole.import.memory(),
        }
    }

    pub(super) fn dataset(self, context: &JobContext) -> Result<Arc<Dataset>> {
        match self {
            Self::Held(dataset) => Ok(dataset),
            Self::Whole(log, whole, options) => whole.prepare(&log, &options, context),
        }
    }
}

/// How a training ended.
pub enum Trained {
    /// With a model, trained on this revision of the log.
    Model(Arc<TrainedModel>, u64),
    /// Stopped; it can go on.
    Stopped(Box<Trainer>, u64),
    /// Gone wrong after its best epoch, which can still be made a model.
    Broken(Box<Trainer>, u64, Failure),
}

impl Job for Train {
    type Output = Output;

    fn name(&self) -> String {
        match &self.start {
            Start::Fresh(_, spec) => format!("Train {}", spec.kind),
            Start::Tuned(_, _, spec, ..) => format!("Train {} further", spec.kind),
            Start::Kept(..) => "Go on with an unfinished training".to_owned(),
            Start::Resume(trainer) => format!("Go on training {}", trainer.spec.kind),
            Start::Finish(trainer) => format!("Measure {}", trainer.spec.kind),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Gpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { start, live, revision, keep } = *self;
        let (mut trainer, goes_on) = match start {
            Start::Fresh(rows, spec) => {
                let memory = rows.memory();
                (Box::new(Trainer::within(memory, &*rows.dataset(context)?, &spec)?), true)
            }
            Start::Tuned(rows, log, spec, base, tuning) => {
                let memory = rows.memory();
                let mut dataset = rows.dataset(context)?;
                if dataset.encoder != base.encoder {
                    context.stage("encoding the log for this model");
                    dataset = Arc::new(Encoder::encode(&base.encoder, &*log, context)?);
                }
                (Box::new(Trainer::tuning(memory, &dataset, &spec, (&base, &tuning))?), true)
            }
            Start::Kept(rows, log, folder) => {
                let (memory, mut dataset) = (rows.memory(), rows.dataset(context)?);
                if let Some(encoder) = encoder_of_base(&folder)?.filter(|known| *known != dataset.encoder) {
                    context.stage("encoding the log for this model");
                    dataset = Arc::new(Encoder::encode(&encoder, &*log, context)?);
                }
                (Box::new(Trainer::resume_within(memory, &folder, &dataset, context)?), true)
            }
            Start::Resume(trainer) => (trainer, true),
            Start::Finish(trainer) => (trainer, false),
        };
        if let Some(folder) = keep {
            trainer.keep_in(folder, KEPT_EVERY);
        }
        if goes_on {
            match trainer.run(&live, context) {
                // A stop is an answer: what was learnt is handed over.
                Err(failure) if failure.is_cancelled() => {
                    return Ok(Output::Trained(Box::new(Trained::Stopped(trainer, revision))));
                }
                Err(failure) if trainer.has_best() => {
                    return Ok(Output::Trained(Box::new(Trained::Broken(trainer, revision, failure))));
                }
                ended => ended?,
            }
        }
        let kept = trainer.kept_in().map(Path::to_owned);
        let model = trainer.finish(context)?;
        if let Some(folder) = kept {
            // The model is there; what is left over of its making is no failure.
            let _ = std::fs::remove_dir_all(folder);
        }
        Ok(Output::Trained(Box::new(Trained::Model(Arc::new(model), revision))))
    }

    /// What an earlier run learnt is not lost because its successor was stopped while it waited.
    fn never_began(self: Box<Self>) -> Result<Output> {
        match self.start {
            Start::Fresh(..) | Start::Tuned(..) | Start::Kept(..) => Err(Failure::cancelled()),
            Start::Resume(trainer) | Start::Finish(trainer) => {
                Ok(Output::Trained(Box::new(Trained::Stopped(trainer, self.revision))))
            }
        }
    }
}

/// Writes a model into a folder.
pub struct SaveModel {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The folder, made if need be.
    pub folder: PathBuf,
}

impl Job for SaveModel {
    type Output = Output;

    fn name(&self) -> String {
        format!("Save {} in {}", self.model.kind, self.folder.display())
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        self.model.save(&self.folder)?;
        Ok(Output::ModelSaved(self.folder))
    }
}

/// Writes a model for other runtimes.
pub struct WriteOnnx {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The file.
    pub file: PathBuf,
}

impl Job for WriteOnnx {
    type Output = Output;

    fn name(&self) -> String {
        format!("Write {} as ONNX", self.model.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        let bytes = self.model.write_onnx(&self.file)?;
        let size = crate::base::numbers::grouped(bytes as f64, ' ');
        Ok(Output::Written(format!("{} written to {}, {size} bytes", self.model.kind, self.file.display())))
    }
}

/// Opens a model from a folder.
pub struct OpenModel {
    /// The folder.
    pub folder: PathBuf,
}

impl Job for OpenModel {
    type Output = Output;

    fn name(&self) -> String {
        format!("Open the model in {}", self.folder.display())
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        let model = TrainedModel::load(&self.folder)?;
        Ok(Output::ModelOpened(Arc::new(model), self.folder))
    }
}
