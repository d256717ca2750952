//! From an answer about groups, or a chart, to a file.

use super::Output;
use super::segment::Scores;
use crate::base::files::write_atomically;
use crate::base::{Result, failure::Explain};
use crate::data::LogFrame;
use crate::data::export::{write_for_spreadsheets, write_table};
use crate::data::query::{self, SegmentQuery, export};
use crate::jobs::{Job, JobContext, Lane};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Writes the groups of a question.
pub struct ExportSegments {
    /// The log.
    pub log: LogFrame,
    /// The question.
    pub query: SegmentQuery,
    /// What a model predicts, where the answer tells it.
    pub scores: Option<Scores>,
    /// People that each group must hold.
    pub k: usize,
    /// The file; its ending chooses the format.
    pub path: PathBuf,
    /// A CSV file begins with a byte order mark.
    pub for_spreadsheets: bool,
}

impl Job for ExportSegments {
    type Output = Output;

    fn name(&self) -> String {
        format!("Export groups by {}", self.query.by.join(" x "))
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let predicted = self.scores.as_ref().map(|scores| scores.rows.as_slice());
        let table = query::segments_predicted(&self.log, &self.query, predicted, context)?;
        let exported = export::table(&self.log, &self.query, &table, self.k, context)?;
        let (groups, held_back) = (exported.groups, exported.held_back);
        if self.for_spreadsheets {
            write_for_spreadsheets(&self.path, exported.columns)?;
        } else {
            write_table(&self.path, exported.columns)?;
        }
        let kept = match held_back {
            0 => String::new(),
            n => format!("; {n} are held back, so that none with fewer than {} people can be told", self.k),
        };
        Ok(Output::Written(format!("{groups} groups written to {}{kept}", self.path.display())))
    }
}

/// Writes the picture of a chart.
pub struct WritePicture {
    /// The file.
    pub path: PathBuf,
    /// SVG or PNG.
    pub content: Arc<[u8]>,
}

impl Job for WritePicture {
    type Output = Output;

    fn name(&self) -> String {
        format!("Write {}", self.path.display())
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        write_atomically(&self.path, |out| out.write_all(&self.content).explain("cannot write the picture"))?;
        Ok(Output::Written(format!("picture written to {}", self.path.display())))
    }
}
