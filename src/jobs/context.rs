//! What may a job say and ask while it works?

use super::handle::Progress;
use crate::base::{Failure, Result};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How often a paused job looks whether it may go on.
const PAUSE_LOOK: Duration = Duration::from_millis(20);

/// The worker's side of a job: ask for cancel, tell progress, warn.
#[derive(Clone)]
pub struct JobContext {
    cancel: Arc<AtomicBool>,
    /// When the work is to stop by itself.
    deadline: Option<Instant>,
    pause: Arc<AtomicBool>,
    /// The thread whose work may wait.
    thread: ThreadId,
    progress: Arc<Progress>,
    warn: Arc<dyn Fn(String) + Send + Sync>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl JobContext {
    /// For work on the thread that calls this.
    pub(super) fn new(
        cancel: Arc<AtomicBool>,
        pause: Arc<AtomicBool>,
        progress: Arc<Progress>,
        warn: Arc<dyn Fn(String) + Send + Sync>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self { cancel, deadline: None, pause, thread: thread::current().id(), progress, warn, wake }
    }

    /// A context that nobody watches: for tests and calls on the caller's own thread.
    pub fn detached() -> Self {
        Self::new(Arc::default(), Arc::default(), Arc::default(), Arc::new(|_| {}), Arc::new(|| {}))
    }

    /// A context for the command line: `cancel` may be set by Ctrl-C, `warn` writes to standard error.
    pub fn watched(cancel: Arc<AtomicBool>, warn: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self::new(cancel, Arc::default(), Arc::default(), Arc::new(warn), Arc::new(|| {}))
    }

    /// Call once a batch. While the job is paused this waits, on the job's own thread: the threads that all jobs
    /// share never do.
    ///
    /// # Errors
    /// [`Failure::cancelled`] after a stop was asked for.
    pub fn check(&self) -> Result<()> {
        while self.pause.load(Ordering::Relaxed)
            && !self.is_cancelled()
            && thread::current().id() == self.thread
        {
            thread::sleep(PAUSE_LOOK);
        }
        if self.is_cancelled() { Err(Failure::cancelled()) } else { Ok(()) }
    }

    /// The same work, which is to stop at `deadline` as if it had been asked to.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The same for one of many small parts of the work, whose own stages and progress nobody could follow.
    #[must_use]
    pub fn for_part(&self) -> Self {
        Self { progress: Arc::default(), ..self.clone() }
    }

    /// True after a stop was asked for: for loops that keep what they have.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The flag itself, for code that must look at it in an inner loop.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// Names the stage that begins; progress starts again at nothing.
    pub fn stage(&self, stage: &str) {
        self.progress.set(0, 0);
        self.progress.set_stage(stage);
        (self.wake)();
    }

    /// `done` of `total` units of the present stage. Never waits.
    pub fn progress(&self, done: u64, total: u64) {
        self.progress.set(done, total);
    }

    /// Tells the person something that is no failure.
    pub fn warn(&self, text: impl Into<String>) {
        (self.warn)(text.into());
    }

    /// Wakes the window after a [`Latest`](super::Latest) was published.
    pub fn wake(&self) {
        (self.wake)();
    }
}
