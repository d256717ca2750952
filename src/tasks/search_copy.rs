//! Which creatives mean nearly what somebody asks for?

use super::{Output, unless_stopped};
use crate::adcopy::Library;
use crate::adcopy::meanings::Meanings;
use crate::adcopy::search::{Hit, Index};
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane};
use std::sync::Arc;

/// Creatives that are told at most.
const MOST: usize = 200;

/// Searches a library.
pub struct SearchCopy {
    /// The library.
    pub library: Arc<Library>,
    /// What is asked.
    pub question: String,
    /// What a sentence encoder read of all of it; `None`: the built-in encoder reads it.
    pub meanings: Option<Arc<Meanings>>,
    /// The texts as they were read for the question before.
    pub index: Option<Arc<Index>>,
}

/// What was found.
pub struct Found {
    /// What was asked.
    pub question: String,
    /// Creatives, best first.
    pub hits: Vec<Hit>,
    /// The texts as they were read.
    pub index: Arc<Index>,
}

impl Job for SearchCopy {
    type Output = Output;

    fn name(&self) -> String {
        format!("Search the library for {}", self.question)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        Ok(Output::CopyFound(Box::new(unless_stopped(found(*self, context))?)))
    }
}

fn found(asked: SearchCopy, context: &JobContext) -> Result<Found> {
    let SearchCopy { library, question, meanings, index } = asked;
    let index = match index.filter(|index| index.is_of(&library, meanings.as_deref())) {
        Some(index) => index,
        None => Arc::new(Index::of(&library, meanings, context)?),
    };
    let hits = index.nearest(&question, MOST, context)?;
    Ok(Found { question, hits, index })
}
