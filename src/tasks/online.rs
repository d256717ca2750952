//! How is a log learnt in one pass beside the window?

use super::Output;
use crate::base::Result;
use crate::base::params::Params;
use crate::data::LogFrame;
use crate::data::hashed::Hashing;
use crate::data::importers::ImportOptions;
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::train::online::Online;
use crate::train::online::progress::Progress;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The window is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Learns from all rows of a log, each scored before it is learnt from.
pub struct LearnOnline {
    /// The log, or a sample of it.
    pub log: LogFrame,
    /// Its files.
    pub paths: Vec<PathBuf>,
    /// How they were read.
    pub options: ImportOptions,
    /// Knobs of the learner.
    pub params: Params,
    /// Where its progress appears while it runs.
    pub live: Latest<Progress>,
}

/// What a pass has come to.
#[derive(Debug)]
pub struct LearntOnline {
    /// The learner with its progress.
    pub learner: Online,
    /// Examples a second, the reading of the log left out.
    pub speed: f64,
    /// True when it was stopped before the last row.
    pub stopped: bool,
}

impl Job for LearnOnline {
    type Output = Output;

    fn name(&self) -> String {
        "Learn online".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        context.stage("learning row by row");
        let hashing = Hashing::of(&self.log)?;
        let mut learner = Online::new(&self.params, hashing.clone(), self.options.memory())?;
        let (mut busy, mut told) = (Duration::ZERO, Instant::now());
        let ended = hashing.each_block(&self.log, (&self.paths, &self.options), context, |rows| {
            let begun = Instant::now();
            learner.take(rows, true, |_| {});
            busy += begun.elapsed();
            if told.elapsed() >= TELL_EVERY {
                self.live.publish(learner.progress.clone());
                context.wake();
                told = Instant::now();
            }
            Ok(())
        });
        // A stop is an answer: what was learnt is handed over.
        let stopped = match ended {
            Err(failure) if failure.is_cancelled() => true,
            ended => ended.map(|()| false)?,
        };
        self.live.publish(learner.progress.clone());
        let speed = learner.progress.whole.rows as f64 / busy.as_secs_f64().max(1e-9);
        Ok(Output::LearntOnline(Arc::new(LearntOnline { learner, speed, stopped })))
    }
}

/// Writes what was learnt into a folder.
pub struct SaveOnline {
    /// What was learnt.
    pub learnt: Arc<LearntOnline>,
    /// The folder, made if need be.
    pub folder: PathBuf,
}

impl Job for SaveOnline {
    type Output = Output;

    fn name(&self) -> String {
        format!("Save the online learner in {}", self.folder.display())
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        self.learnt.learner.save(&self.folder)?;
        Ok(Output::Written(format!("online learner saved in {}", self.folder.display())))
    }
}
