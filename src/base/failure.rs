//! What does a person need to know when something fails?
//!
//! What could not be done, where, why, and what to try: one value for toast, log and command line.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of anything in this program that can fail.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// One thing that did not work, told so that a person can act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What could not be done: "cannot read the log".
    pub what: String,
    /// Why: "row 17 has 5 fields where the header has 7".
    pub why: String,
    /// Where: a file, and in it the row and column if known. Empty where there is no place.
    pub place: String,
    /// What to try next. Empty where nothing sensible can be said.
    pub hint: String,
    /// True when the person asked for the stop: not an error, and not shown as one.
    cancelled: bool,
}

impl Failure {
    /// A failure with its reason; add [`at`](Self::at) and [`hint`](Self::hint) where they are known.
    pub fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            why: why.to_string(),
            place: String::new(),
            hint: String::new(),
            cancelled: false,
        }
    }

    /// The answer of a job that was asked to stop.
    pub fn cancelled() -> Self {
        Self { cancelled: true, ..Self::new("stopped", "the job was cancelled") }
    }

    /// Says where it happened. An inner place is kept: `outer, inner`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place =
            if self.place.is_empty() { place.to_string() } else { format!("{place}, {}", self.place) };
        self
    }

    /// Says what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// True when this is the echo of a cancel.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        write!(f, ": {}", self.why)?;
        if !self.hint.is_empty() {
            write!(f, ". Try: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Turns foreign errors into failures without losing what was being done.
pub trait Explain<T> {
    /// Names what could not be done; the foreign error becomes the reason.
    ///
    /// # Errors
    /// The same error, as a [`Failure`].
    fn explain(self, what: &str) -> Result<T>;
}

impl<T, E: fmt::Display> Explain<T> for std::result::Result<T, E> {
    fn explain(self, what: &str) -> Result<T> {
        self.map_err(|error| Failure::new(what, without_backtrace(&error.to_string())))
    }
}

/// A person is told the reason, not the calls that led there, which some errors append to their text.
pub(crate) fn without_backtrace(text: &str) -> &str {
    text.split("\n   0: ").next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_backtrace_is_no_reason() {
        let error: std::result::Result<(), _> = Err("out of memory\n   0: cuda::alloc\n   1: main");
        assert_eq!(error.explain("cannot train").unwrap_err().why, "out of memory");
    }

    use super::*;

    #[test]
    fn reads_as_one_sentence_with_place_and_hint() {
        let failure = Failure::new("cannot read the log", "the file is empty")
            .at("row 1")
            .at("clicks.csv")
            .hint("export it again");
        assert_eq!(
            failure.to_string(),
            "cannot read the log (clicks.csv, row 1): the file is empty. Try: export it again"
        );
    }

    #[test]
    fn only_a_cancel_is_a_cancel() {
        assert!(Failure::cancelled().is_cancelled());
        assert!(!Failure::new("a", "b").is_cancelled());
    }
}
