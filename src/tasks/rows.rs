//! From a question about rows to their order, and from an order to the cells in sight.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::query::rows::{self, RowOrder, RowsQuery};
use crate::jobs::{Job, JobContext, Lane};
use std::ops::Range;
use std::sync::Arc;

/// Finds the order of rows.
pub struct OrderRows {
    /// The log.
    pub log: LogFrame,
    /// The question.
    pub query: RowsQuery,
}

/// An order, or why there is none.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// What was asked.
    pub query: RowsQuery,
    /// Revision of the log.
    pub revision: u64,
    /// The order.
    pub order: Result<Arc<RowOrder>>,
}

impl Job for OrderRows {
    type Output = Output;

    fn name(&self) -> String {
        "Arrange the rows".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let order = unless_stopped(rows::order(&self.log, &self.query, context))?.map(Arc::new);
        Ok(Output::Ordered(Box::new(Ordered { query: self.query, revision: self.log.revision, order })))
    }
}

/// Reads the cells in sight.
pub struct ReadRows {
    /// The log.
    pub log: LogFrame,
    /// The order.
    pub order: Arc<RowOrder>,
    /// Places in it.
    pub places: Range<usize>,
}

impl Job for ReadRows {
    type Output = Output;

    fn name(&self) -> String {
        "Read the rows in sight".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        Ok(Output::Page(Box::new(rows::page(&self.log, &self.order, self.places)?)))
    }
}
