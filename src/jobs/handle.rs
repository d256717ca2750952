//! What does the owner of a running job hold?

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Names one run of one job, in order of submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// How far a job is. Written by the worker without waiting, read by the window each frame.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    stage: Mutex<Stage>,
}

/// What a job is doing now, and since when.
#[derive(Debug, Default)]
struct Stage {
    words: String,
    since: Option<Instant>,
}

/// No time is foretold of less than this share, nor after less than this time.
const FORETOLD: (f32, Duration) = (0.02, Duration::from_secs(2));

impl Progress {
    /// Share done in `0.0..=1.0`, or `None` while the total is unknown.
    pub fn fraction(&self) -> Option<f32> {
        let total = self.total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.done.load(Ordering::Relaxed) as f32 / total as f32).min(1.0))
    }

    /// What the job is doing now, in words.
    pub fn stage(&self) -> String {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).words.clone()
    }

    /// How long the present stage will still take if it goes on as it went so far; `None` where too little is done to say.
    pub fn left(&self) -> Option<Duration> {
        let share = self.fraction().filter(|share| *share >= FORETOLD.0)?;
        let since = self.stage.lock().unwrap_or_else(PoisonError::into_inner).since?.elapsed();
        (since >= FORETOLD.1).then(|| since.mul_f32((1.0 - share) / share))
    }

    /// The time that is [`left`](Self::left) in words, with a comma before them; nothing where none is known.
    pub fn left_in_words(&self) -> String {
        match self.left().map(|left| left.as_secs()) {
            None | Some(0) => String::new(),
            Some(seconds @ ..90) => format!(", about {seconds} s left"),
            Some(seconds) => format!(", about {} min left", (seconds + 30) / 60),
        }
    }

    pub(super) fn set(&self, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn set_stage(&self, stage: &str) {
        let mut current = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if current.words != stage {
            *current = Stage { words: stage.to_owned(), since: Some(Instant::now()) };
            // The share of the last stage says nothing of this one.
            self.set(0, 0);
        }
    }
}

/// A running job. Dropping the handle cancels it.
#[derive(Debug)]
pub struct JobHandle {
    /// Which run this is.
    pub id: JobId,
    /// What the job calls itself.
    pub name: String,
    /// How far it is.
    pub progress: Arc<Progress>,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) pause: Arc<AtomicBool>,
}

impl JobHandle {
    /// Asks the job to stop; it answers within one batch.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Lets the job wait at its next batch, or go on.
    pub fn set_paused(&self, paused: bool) {
        self.pause.store(paused, Ordering::Relaxed);
    }

    /// True while the job waits, or will at its next batch.
    pub fn is_paused(&self) -> bool {
        self.pause.load(Ordering::Relaxed)
    }

    /// True once a stop was asked for.
    pub fn is_cancelling(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_what_a_stage_has_done() {
        let progress = Progress::default();
        progress.set_stage("walking");
        progress.set(1, 4);
        assert_eq!(progress.left(), None, "too early to say");
        let begun = Instant::now().checked_sub(Duration::from_secs(30)).unwrap();
        progress.stage.lock().unwrap().since = Some(begun);
        let left = progress.left().unwrap().as_secs_f32();
        assert!((left - 90.0).abs() < 1.0, "{left}");
        assert_eq!(progress.left_in_words(), ", about 2 min left");
        progress.set(3, 4);
        assert_eq!(progress.left_in_words(), ", about 10 s left");
        // Another stage begins at nothing, and the same one goes on.
        progress.set_stage("walking");
        assert_eq!(progress.fraction(), Some(0.75));
        progress.set_stage("judging");
        assert_eq!((progress.fraction(), progress.left()), (None, None));
    }
}
