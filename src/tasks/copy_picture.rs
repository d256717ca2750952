//! What does the picture of a creative look like? Read off the window's thread.

use super::{Output, unless_stopped};
use crate::adcopy::library::Picture;
use crate::adcopy::picture::{Small, open};
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane};
use std::path::PathBuf;

/// Reads the file of a picture.
pub struct LookAtPicture {
    /// The file.
    pub path: PathBuf,
}

/// A picture that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureSeen {
    /// The file.
    pub path: PathBuf,
    /// What it looks like, and itself made small; or why it cannot be read.
    pub seen: Result<(Picture, Small)>,
}

impl Job for LookAtPicture {
    type Output = Output;

    fn name(&self) -> String {
        format!("Look at {}", self.path.display())
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        let seen = unless_stopped(open(&self.path))?;
        Ok(Output::PictureSeen(Box::new(PictureSeen { path: self.path, seen })))
    }
}
