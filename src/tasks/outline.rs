//! From a kind of model and the open log to its drawing.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::base::params::Params;
use crate::data::Dataset;
use crate::jobs::{Job, JobContext, Lane};
use crate::models::kind;
use crate::models::outline::{Outline, outline};
use std::sync::Arc;

/// Finds out what a model would be made of.
pub struct DrawModel {
    /// The log.
    pub dataset: Arc<Dataset>,
    /// The kind's id.
    pub kind: &'static str,
    /// Its knobs, all of them.
    pub params: Params,
}

/// A kind with these knobs, and what it would be made of; the reason where it cannot be built on this log.
#[derive(Debug)]
pub struct Drawn {
    /// The kind's id.
    pub kind: &'static str,
    /// Its knobs.
    pub params: Params,
    /// The log.
    pub dataset: Arc<Dataset>,
    /// Its parts.
    pub outline: Result<Outline>,
}

impl Job for DrawModel {
    type Output = Output;

    fn name(&self) -> String {
        format!("Draw {}", self.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        let Self { dataset, kind: id, params } = *self;
        let found = kind(id).and_then(|kind| outline(kind, &dataset.encoder, &params));
        let outline = unless_stopped(found)?;
        Ok(Output::Drawn(Arc::new(Drawn { kind: id, params, dataset, outline })))
    }
}
