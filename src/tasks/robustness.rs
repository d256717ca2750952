//! From models and attacks to how good each stays.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::Split;
use crate::insight::Subject;
use crate::insight::robustness::{AttackQuestion, Robustness, robustness};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Attacks models on the test rows of one log.
pub struct AttackModels {
    /// The models with the log.
    pub subjects: Vec<Subject>,
    /// Which attacks.
    pub question: AttackQuestion,
}

/// The models with what the attacks did to each, or why it cannot be attacked.
#[derive(Debug)]
pub struct Attacked {
    /// What was asked.
    pub question: AttackQuestion,
    /// What was found, model by model.
    pub found: Vec<(Arc<TrainedModel>, Result<Robustness>)>,
}

impl Job for AttackModels {
    type Output = Output;

    fn name(&self) -> String {
        format!("Attack {} models", self.subjects.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subjects, question } = *self;
        let mut found = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let attack = || {
                let judged = subject.judged_dataset(context)?;
                robustness(&subject.model, &judged.dataset, (Split::Test, &question), context)
            };
            let told = unless_stopped(attack())?;
            found.push((subject.model, told));
        }
        Ok(Output::Attacked(Arc::new(Attacked { question, found })))
    }
}
