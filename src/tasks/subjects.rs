//! From a name to what is known of that user or ad.

use super::segment::Scores;
use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::query::subjects::{self, SubjectKind, SubjectList, SubjectProfile};
use crate::insight::interests::{ToldInterests, interests_of};
use crate::jobs::{Job, JobContext, Lane};
use crate::language::topics::Topics;

/// Lists users or ads, and tells of one.
pub struct LookUp {
    /// The log.
    pub log: LogFrame,
    /// Users or ads.
    pub kind: SubjectKind,
    /// Whom to tell of; empty for the list alone.
    pub name: String,
    /// What a model predicts, where that is known.
    pub scores: Option<Scores>,
    /// Days after which a text of a user counts half.
    pub half_life: f64,
}

/// Users or ads, and one of them.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// What was asked.
    pub kind: SubjectKind,
    /// Whom.
    pub name: String,
    /// Revision of the log.
    pub revision: u64,
    /// The list.
    pub list: Result<SubjectList>,
    /// The one that was named, or why there is nothing to tell.
    pub profile: Option<Result<SubjectProfile>>,
    /// What a user who was named is interested in, or why that cannot be told.
    pub interests: Option<Result<ToldInterests>>,
}

impl Job for LookUp {
    type Output = Output;

    fn name(&self) -> String {
        "Look up users and ads".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let list = unless_stopped(subjects::list(&self.log, self.kind, context))?;
        let predicted = self.scores.as_ref().map(|scores| scores.rows.as_slice());
        let profile = if self.name.is_empty() {
            None
        } else {
            let mut told = subjects::profile(&self.log, self.kind, &self.name, predicted, context);
            if let (Ok(profile), Some(scores)) = (&mut told, &self.scores) {
                profile.history.iter_mut().for_each(|seen| seen.interval = scores.interval(seen.row));
            }
            Some(unless_stopped(told)?)
        };
        let interests = match (self.kind, &profile) {
            (SubjectKind::User, Some(Ok(_))) => Some(unless_stopped(self.interests(context))?),
            _ => None,
        };
        let (kind, name, revision) = (self.kind, self.name, self.log.revision);
        Ok(Output::LookedUp(Box::new(LookedUp { kind, name, revision, list, profile, interests })))
    }
}

impl LookUp {
    fn interests(&self, context: &JobContext) -> Result<ToldInterests> {
        context.stage("reading texts");
        interests_of(&self.log, &self.name, self.half_life, &Topics::shipped()?, context)
    }
}
