//! What went wrong or deserves a word? Failures and warnings waiting to be read.

use crate::base::Failure;
use std::time::Instant;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// Something was done.
    Done,
    /// Something deserves a look.
    Warning,
    /// Something failed.
    Failure,
}

/// One thing to tell.
#[derive(Debug, Clone)]
pub struct Notice {
    /// How bad it is.
    pub kind: NoticeKind,
    /// The text, complete: what, where, why, what to try.
    pub text: String,
    /// When it (last) happened.
    pub at: Instant,
    /// How often the same text came.
    pub times: u32,
    /// True once a person has put it away; it stays in the Activity panel.
    pub dismissed: bool,
}

/// All notices of this run, oldest first; the same text is counted, not repeated.
#[derive(Debug, Default)]
pub struct Notices(Vec<Notice>);

/// Notices kept at most; the oldest go first.
const KEPT: usize = 500;

impl Notices {
    /// Tells a failure. A cancel is nobody's failure and is not told.
    pub fn failed(&mut self, failure: &Failure) {
        if !failure.is_cancelled() {
            self.push(NoticeKind::Failure, failure.to_string());
        }
    }

    /// Tells a warning.
    pub fn warned(&mut self, text: impl Into<String>) {
        self.push(NoticeKind::Warning, text.into());
    }

    /// Tells that something was done.
    pub fn done(&mut self, text: impl Into<String>) {
        self.push(NoticeKind::Done, text.into());
    }

    /// Puts a notice away.
    pub fn dismiss(&mut self, index: usize) {
        if let Some(notice) = self.0.get_mut(index) {
            notice.dismissed = true;
        }
    }

    /// All of them, oldest first.
    pub fn all(&self) -> &[Notice] {
        &self.0
    }

    fn push(&mut self, kind: NoticeKind, text: String) {
        let now = Instant::now();
        if let Some(same) = self.0.iter_mut().find(|notice| notice.kind == kind && notice.text == text) {
            same.at = now;
            same.times += 1;
            same.dismissed = false;
            return;
        }
        self.0.push(Notice { kind, text, at: now, times: 1, dismissed: false });
        if self.0.len() > KEPT {
            self.0.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_and_cancels_are_silent() {
        let mut notices = Notices::default();
        notices.failed(&Failure::cancelled());
        assert!(notices.all().is_empty());
        notices.warned("few clicks");
        notices.dismiss(0);
        notices.warned("few clicks");
        assert_eq!(notices.all().len(), 1);
        assert_eq!((notices.all()[0].times, notices.all()[0].dismissed), (2, false));
    }
}
