//! What can be had without a window? Every result, for scripts and servers.
//!
//! One file a subcommand: an `Args` struct and `run(&Args, &Terminal) -> Result<Answer>`. The answer is
//! printed here and nowhere else: text for people, or with `--json` one JSON object as the last line of
//! standard output. Progress goes to standard error. Exit codes: 0, 1 failed, 2 usage.

use crate::jobs::JobContext;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a subcommand answers with.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For people: a few aligned lines.
    pub text: String,
    /// For scripts: one object.
    pub json: serde_json::Value,
}

/// The terminal that a subcommand runs in.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    /// Set by Ctrl-C.
    pub cancel: Arc<AtomicBool>,
}

impl Terminal {
    /// A context whose warnings go to standard error and whose cancel is Ctrl-C.
    pub fn context(&self) -> JobContext {
        JobContext::watched(Arc::clone(&self.cancel), |text| Self::note(&text))
    }

    /// One line on standard error.
    #[allow(clippy::print_stderr, reason = "the one place where progress is told on a terminal")]
    pub fn note(text: &str) {
        eprintln!("{text}");
    }
}
