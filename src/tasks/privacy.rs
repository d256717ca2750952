//! May this leave the program? Audiences are let through, reports are made with noise, people are erased.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::importers;
use crate::data::ledger::{self, Account};
use crate::data::query::noisy::{NoisyQuery, NoisyReport};
use crate::data::query::people::{self, Named, People};
use crate::domain::Segment;
use crate::jobs::{Job, JobContext, Lane};
use std::path::PathBuf;

/// Holds an audience against the gate.
pub struct Admit {
    /// The log.
    pub log: LogFrame,
    /// The audience.
    pub audience: Named,
    /// Those that were let through before.
    pub before: Vec<Named>,
    /// People that it must hold.
    pub k: usize,
}

/// An audience that was let through.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub segment: Segment,
    /// Its people.
    pub people: People,
}

impl Job for Admit {
    type Output = Output;

    fn name(&self) -> String {
        format!("Check the audience {}", self.audience.name)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        context.stage("counting people");
        let Named { name, segment } = self.audience;
        let people = people::admit(&self.log, &segment, &self.before, self.k)?;
        context.check()?;
        Ok(Output::Admitted(Box::new(Admitted { name, segment, people })))
    }
}

/// Makes a report with noise.
pub struct Report {
    /// The log.
    pub log: LogFrame,
    /// The question.
    pub query: NoisyQuery,
    /// The book of reports.
    pub book: PathBuf,
    /// What may be spent in all reports together.
    pub budget: f64,
}

/// A report and what was spent, or why there is none.
#[derive(Debug, Clone)]
pub struct Reported {
    /// Revision of the log that was asked.
    pub revision: u64,
    /// The report.
    pub report: Result<(NoisyReport, Account)>,
    /// What may be spent.
    pub budget: f64,
}

impl Job for Report {
    type Output = Output;

    fn name(&self) -> String {
        "Report with noise".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let report = ledger::report(&self.book, &self.log, &self.query, self.budget, context);
        let (revision, budget) = (self.log.revision, self.budget);
        Ok(Output::Reported(Box::new(Reported { revision, report: unless_stopped(report)?, budget })))
    }
}

/// Takes a person out of what the program keeps.
pub struct Erase {
    /// The user, as the logs write it.
    pub user: String,
    /// The list of erased people.
    pub list: PathBuf,
    /// The folder of kept copies, where there is one.
    pub cache: Option<PathBuf>,
}

impl Job for Erase {
    type Output = Output;

    fn name(&self) -> String {
        "Erase a person".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let (gone, _) = importers::erase(&self.user, &self.list, self.cache.as_deref(), context)?;
        Ok(Output::Erased(gone))
    }
}
