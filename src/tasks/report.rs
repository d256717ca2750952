//! From models and the open log to a page that can be handed on.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::insight::Subject;
use crate::insight::report::{ReportPlan, report, write};
use crate::jobs::{Job, JobContext, Lane};
use std::path::PathBuf;
use std::sync::Arc;

/// Writes the report of the first model, the others beside it.
pub struct WriteReport {
    /// The log.
    pub log: LogFrame,
    /// The models with it.
    pub subjects: Vec<Subject>,
    /// What goes in.
    pub plan: ReportPlan,
    /// The page.
    pub path: PathBuf,
}

impl Job for WriteReport {
    type Output = Output;

    fn name(&self) -> String {
        "Write the report".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let (mut models, mut read, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for (place, subject) in self.subjects.iter().enumerate() {
            match unless_stopped(subject.fitting_dataset(context))? {
                Err(failure) if place == 0 => return Err(failure),
                Err(failure) => unread.push(format!("{}: {}", subject.model.kind, failure.why)),
                Ok(dataset) => {
                    models.push(Arc::clone(&subject.model));
                    read.push(dataset);
                }
            }
        }
        let datasets: Vec<_> = read.iter().map(|dataset| &**dataset).collect();
        let mut made = report(&models, &datasets, &self.log, &self.plan, context)?;
        made.left_out.extend(unread);
        let [page, paper, figures] = write(&made, &self.path)?.map(|path| path.display().to_string());
        Ok(Output::Written(format!("report written to {page} and {paper}, its figures to {figures}")))
    }
}
