//! How does a search run, stop and go on?
//!
//! Its folder holds `search.json` (the [`SearchState`], replaced whole after each piece of work), a checkpoint for every
//! trial that is not at its end, and in `best` the best model so far. A stop in mid-trial, by hand, by the budget or by
//! the end of the program, loses at most what the trial did since its last checkpoint; by hand and by the budget nothing.

use super::{SearchPlan, SearchState, Status, WHAT};
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::jobs::{JobContext, Latest};
use crate::train::card::fingerprint;
use crate::train::checkpoint::Kept;
use crate::train::{TrainSnapshot, Trainer};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILE: &str = "search.json";
const BEST: &str = "best";
/// Version of the file's layout.
const FORMAT: u32 = 1;
/// A trial is kept this often while it runs.
const KEPT_EVERY: Duration = Duration::from_secs(30);

/// A search in its folder.
#[derive(Debug)]
pub struct Search {
    /// Where it stands.
    pub state: SearchState,
    folder: PathBuf,
    /// Hash of the data that it runs on.
    data: String,
}

/// Why a search came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All its trials are done.
    Finished,
    /// Its time is spent; it can go on.
    OutOfTime,
    /// It was stopped; it can go on.
    Stopped,
}

/// What a run may take, and where it tells how it goes.
#[derive(Debug)]
pub struct Within<'a> {
    /// Time for this run.
    pub budget: Duration,
    /// Bytes that the rows may take.
    pub memory: u64,
    /// Where the state appears after each piece of work.
    pub live: &'a Latest<SearchState>,
    /// Where the curves of the trial that runs appear.
    pub curves: &'a Latest<TrainSnapshot>,
}

/// `search.json`.
#[derive(Serialize, Deserialize)]
struct SearchFile<S> {
    format: u32,
    data: String,
    state: S,
}

impl Search {
    /// Begins a search in a folder, made if need be.
    ///
    /// # Errors
    /// The plan makes no sense, a search is in the folder, or it cannot be written.
    pub fn begin(dataset: &Dataset, plan: &SearchPlan, folder: &Path) -> Result<Self> {
        let state = plan.start()?;
        if folder.join(FILE).exists() {
            return Err(Failure::new(WHAT, "there is a search in this folder")
                .at(folder.display())
                .hint("go on with it (--resume), or another folder"));
        }
        // Told now and not after the first trial.
        let rows = dataset.rows_of(crate::data::Split::Validation);
        if rows.is_empty() {
            return Err(
                Failure::new(WHAT, "there are no validation rows to judge trials on").hint("a longer log")
            );
        }
        fs::create_dir_all(folder).map_err(|error| disk_failure(WHAT, folder, &error))?;
        let search = Self { state, folder: folder.to_owned(), data: fingerprint(dataset) };
        search.save()?;
        Ok(search)
    }

    /// The search in a folder, on the data that it was begun with.
    ///
    /// # Errors
    /// There is none, its file is broken or of another version, or the data are others.
    pub fn go_on(dataset: &Dataset, folder: &Path) -> Result<Self> {
        let file = read(folder)?;
        let data = fingerprint(dataset);
        if file.data != data {
            return Err(Failure::new(
                "cannot go on with the search",
                "it was begun on another log or other roles",
            )
            .at(folder.display())
            .hint("give the same log and roles, or begin anew"));
        }
        Ok(Self { state: file.state, folder: folder.to_owned(), data })
    }

    /// Where the search in a folder stands.
    ///
    /// # Errors
    /// There is none, or its file is broken.
    pub fn look(folder: &Path) -> Result<SearchState> {
        read(folder).map(|file| file.state)
    }

    /// Where the best model is.
    pub fn best_folder(&self) -> PathBuf {
        self.folder.join(BEST)
    }

    /// Works until it is done, its time is spent or it is stopped.
    ///
    /// # Errors
    /// The folder cannot be written. A trial that fails is told in its own entry.
    pub fn run(&mut self, dataset: &Dataset, over: &Within<'_>, context: &JobContext) -> Result<Ended> {
        let within = context.until(Instant::now() + over.budget);
        over.live.publish(self.state.clone());
        while let Some((trial, until)) = self.state.next() {
            if within.is_cancelled() {
                break;
            }
            let begun = Instant::now();
            self.work((trial, until), dataset, over, (&within, context))?;
            self.state.spent_secs += begun.elapsed().as_secs_f64();
            self.save()?;
            self.drop_checkpoints();
            over.live.publish(self.state.clone());
            context.wake();
        }
        Ok(match self.state.next() {
            None => Ended::Finished,
            Some(_) if context.is_cancelled() => Ended::Stopped,
            Some(_) => Ended::OutOfTime,
        })
    }

    /// Throws away the checkpoints of trials that will not go on, after that was told in the file.
    fn drop_checkpoints(&self) {
        for (trial, status) in self.state.statuses().into_iter().enumerate() {
            if !matches!(status, Status::Waiting | Status::Open) {
                // What is left over of a trial is no failure.
                let _ = fs::remove_dir_all(self.trial_folder(trial));
            }
        }
    }

    /// Trains a trial until an epoch, as far as time allows.
    fn work(
        &mut self,
        (trial, until): (usize, u32),
        dataset: &Dataset,
        over: &Within<'_>,
        (within, context): (&JobContext, &JobContext),
    ) -> Result<()> {
        let stage = format!("Trial {} of {}, to epoch {until}", trial + 1, self.state.trials.len());
        let trained = self.trainer(trial, dataset, over.memory, context).map(|mut trainer| {
            trainer.keep_in(self.trial_folder(trial), KEPT_EVERY);
            within.stage(&stage);
            let ended = trainer.run_to(until, over.curves, within);
            (trainer, ended)
        });
        let (trainer, ended) = match trained {
            Err(failure) => return self.end(trial, failure),
            Ok(trained) => trained,
        };
        let known = &mut self.state.trials[trial];
        known.epochs = trainer.position.history.epochs.iter().map(|record| record.validation).collect();
        known.secs = trainer.position.total_secs;
        if let Err(failure) = ended {
            return self.end(trial, failure);
        }
        if !trainer.is_over()? {
            return Ok(());
        }
        let leads = match self.state.best {
            None => true,
            Some(best) => self.state.order(trial, best, u32::MAX).is_lt(),
        };
        if leads && self.state.value(trial, u32::MAX).is_some() {
            match trainer.finish(context) {
                // After a stop it is measured when the search goes on.
                Err(failure) => return self.end(trial, failure),
                Ok(model) => model.save(&self.best_folder())?,
            }
            self.state.best = Some(trial);
        }
        self.state.trials[trial].is_over = true;
        Ok(())
    }

    /// Takes in what ended a trial: a failure is told in its entry, a stop leaves it open.
    fn end(&mut self, trial: usize, failure: Failure) -> Result<()> {
        if !failure.is_cancelled() {
            self.state.trials[trial].failure = Some(failure.to_string());
        }
        Ok(())
    }

    /// A trial as it was left, or from nothing.
    fn trainer(&self, trial: usize, dataset: &Dataset, memory: u64, context: &JobContext) -> Result<Trainer> {
        let folder = self.trial_folder(trial);
        match Kept::look(&folder) {
            Some(_) => Trainer::resume_within(memory, &folder, dataset, context),
            None => Trainer::within(memory, dataset, &self.state.spec_of(trial)),
        }
    }

    fn trial_folder(&self, trial: usize) -> PathBuf {
        self.folder.join(format!("trial-{:04}", trial + 1))
    }

    fn save(&self) -> Result<()> {
        let file = SearchFile { format: FORMAT, data: self.data.clone(), state: &self.state };
        let text = serde_json::to_vec_pretty(&file).explain(WHAT)?;
        let path = self.folder.join(FILE);
        write_atomically(&path, |out| {
            out.write_all(&text).map_err(|error| disk_failure("cannot keep the search", &path, &error))
        })
    }
}

fn read(folder: &Path) -> Result<SearchFile<SearchState>> {
    let what = "cannot go on with the search";
    let path = folder.join(FILE);
    let text = fs::read(&path).map_err(|error| {
        Failure::new(what, error).at(path.display()).hint("a folder that 'search --out' made")
    })?;
    let broken = |failure: Failure| failure.at(path.display()).hint("begin the search anew");
    let file: SearchFile<serde_json::Value> = serde_json::from_slice(&text).explain(what).map_err(broken)?;
    if file.format != FORMAT {
        let why = format!("it has layout {} and this program reads layout {FORMAT}", file.format);
        return Err(broken(Failure::new(what, why)));
    }
    let state: SearchState = serde_json::from_value(file.state).explain(what).map_err(broken)?;
    Ok(SearchFile { format: file.format, data: file.data, state })
}
