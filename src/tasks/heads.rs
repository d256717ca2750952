//! From a model with attention to what its heads look at, alone or beside other rows or another model.

use super::explain::asked_rows;
use super::{Output, unless_stopped};
use crate::base::Result;
use crate::domain::Segment;
use crate::insight::Subject;
use crate::insight::heads::text::{TextHeads, text_heads};
use crate::insight::heads::{Atlas, atlas};
use crate::jobs::{Job, JobContext, Lane};
use crate::language::sentence::SentenceEncoder;
use crate::train::TrainedModel;
use std::path::PathBuf;
use std::sync::Arc;

/// Looks at all heads of a model.
pub struct LookAtHeads {
    /// Which model and log.
    pub subject: Subject,
    /// The rows; the segment of all rows stands for the test rows.
    pub segment: Segment,
    /// What the heads are compared with.
    pub against: Option<Against>,
}

/// The other side of a comparison.
pub enum Against {
    /// The same model over other rows.
    Rows(Segment),
    /// Another model over the same rows.
    Model(Box<Subject>),
}

/// Heads that were looked at.
#[derive(Debug)]
pub struct HeadsSeen {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Which rows, in words.
    pub rows: String,
    /// The heads.
    pub atlas: Atlas,
    /// The other side, with what it is in words.
    pub against: Option<(String, Atlas)>,
}

impl Job for LookAtHeads {
    type Output = Output;

    fn name(&self) -> String {
        "Look at the attention heads".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, segment, against } = *self;
        let seen = look(&subject, &segment, context)?;
        let against = match against {
            None => None,
            Some(Against::Rows(segment)) => Some(look(&subject, &segment, context)?),
            Some(Against::Model(other)) => {
                let (rows, atlas) = look(&other, &segment, context)?;
                Some((format!("{}, {rows}", other.model.kind), atlas))
            }
        };
        let (rows, atlas) = seen;
        Ok(Output::Heads(Arc::new(HeadsSeen { model: subject.model, rows, atlas, against })))
    }
}

fn look(subject: &Subject, segment: &Segment, context: &JobContext) -> Result<(String, Atlas)> {
    let dataset = subject.fitting_dataset(context)?;
    let (rows, words) = asked_rows(&subject.log, &dataset, segment)?;
    Ok((words, atlas(&subject.model, &dataset, &rows, context)?))
}

/// Looks at the heads of a sentence encoder over one text.
pub struct LookAtTextHeads {
    /// The encoder's folder.
    pub encoder: PathBuf,
    /// The text.
    pub text: String,
}

impl Job for LookAtTextHeads {
    type Output = Output;

    fn name(&self) -> String {
        "Look at the sentence encoder's heads".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let found = SentenceEncoder::open(&self.encoder);
        let seen = unless_stopped(found.and_then(|encoder| text_heads(&encoder, &self.text, context)))?;
        Ok(Output::TextHeads(Arc::new(TextHeadsSeen { text: self.text, seen })))
    }
}

/// A text whose heads were looked at, or why they were not.
#[derive(Debug)]
pub struct TextHeadsSeen {
    /// The text as it was asked about.
    pub text: String,
    /// The heads.
    pub seen: Result<TextHeads>,
}
