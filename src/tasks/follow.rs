//! Which rows come to the open log while it is looked at?

use super::Output;
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::follow::{Follower, News};
use crate::data::importers::ImportOptions;
use crate::jobs::{Job, JobContext, Lane};
use std::time::Duration;

/// Time between two looks at the file.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// Time between two looks whether a stop was asked for.
const STEP: Duration = Duration::from_millis(25);

/// Begins to follow a log.
pub struct Follow {
    /// The log as it is open.
    pub log: LogFrame,
    /// What was decided before it was read.
    pub options: ImportOptions,
}

/// Waits for rows; answers when some came.
pub struct Wait {
    /// How far the file was read.
    pub follower: Follower,
    /// What is followed, for the name of the job.
    pub name: String,
}

/// What following has come to.
pub enum Followed {
    /// It begins, with the log as far as its lines are whole.
    Begun(Follower, LogFrame),
    /// Something happened to the file.
    News(Follower, News),
}

impl Job for Follow {
    type Output = Output;

    fn name(&self) -> String {
        "Follow the log".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Watch
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        context.stage("looking how far it was read");
        let (follower, log) = Follower::start(self.log, &self.options, context)?;
        Ok(Output::Followed(Box::new(Followed::Begun(follower, log))))
    }
}

impl Job for Wait {
    type Output = Output;

    fn name(&self) -> String {
        format!("Follow {}", self.name)
    }

    fn lane(&self) -> Lane {
        Lane::Watch
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let mut follower = self.follower;
        context.stage("waiting for rows");
        loop {
            match follower.poll(context)? {
                News::Nothing => {}
                news => return Ok(Output::Followed(Box::new(Followed::News(follower, news)))),
            }
            let mut waited = Duration::ZERO;
            while waited < BETWEEN_LOOKS {
                context.check()?;
                std::thread::sleep(STEP);
                waited += STEP;
            }
        }
    }
}
