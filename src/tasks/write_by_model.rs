//! What does a language model add to a round? Text by text, each checked and forecast as it comes.

use super::write_copy::{Candidate, Round};
use super::{Output, unless_stopped};
use crate::adcopy::brief::Language;
use crate::adcopy::propose::language_model::{Writer, seed_of};
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::language::chat::{ChatModel, ModelFile, look_at};
use std::path::PathBuf;
use std::sync::Arc;

/// Texts that a model tries for a round.
pub const USUAL_TRIES: usize = 8;

/// A model, open or still a file.
#[derive(Debug, Clone)]
pub enum Source {
    /// It is in memory.
    Open(Arc<ChatModel>),
    /// It has to be read: its file, and that of its adapters.
    File(PathBuf, Option<PathBuf>),
}

impl Source {
    /// The model, read now if it was not.
    ///
    /// # Errors
    /// What [`ChatModel::open`] answers.
    pub fn open(&self, context: &JobContext) -> Result<Arc<ChatModel>> {
        match self {
            Self::Open(model) => Ok(Arc::clone(model)),
            Self::File(path, adapters) => {
                let ModelFile { name, bytes } = look_at(path)?;
                context.stage(&format!("loading {name}, about {} MB", bytes.div_ceil(1 << 20)));
                let mut model = ChatModel::open(path, context)?;
                if let Some(adapters) = adapters {
                    model.adapt_from(adapters)?;
                }
                Ok(Arc::new(model))
            }
        }
    }
}

/// Has a model write for a round.
pub struct WriteByModel {
    /// The round.
    pub round: Arc<Round>,
    /// The model.
    pub source: Source,
    /// Texts that it tries.
    pub tries: usize,
    /// Where what it has appears while it writes.
    pub live: Latest<ByModel>,
}

/// What a model wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ByModel {
    /// The model.
    pub model: String,
    /// The text that is being written.
    pub writing: String,
    /// Texts that were tried.
    pub tried: usize,
    /// Texts that are to be tried.
    pub tries: usize,
    /// Of them, those that came to an end within the mask and were not there before.
    pub whole: usize,
    /// What passes every check.
    pub candidates: Vec<Candidate>,
    /// What does not.
    pub blocked: Vec<Candidate>,
    /// True where it was stopped before its last text.
    pub is_stopped: bool,
}

impl ByModel {
    /// What came of it, in a sentence.
    pub fn told(&self) -> String {
        let stopped = if self.is_stopped { "; stopped" } else { "" };
        let Self { tried, tries, whole, candidates, model, .. } = self;
        format!(
            "{model}: {tried} of {tries} texts tried, {whole} whole and new, {} pass{stopped}",
            candidates.len()
        )
    }
}

/// How a model's writing ended; the model is kept for the next time.
pub struct WroteByModel {
    /// The model, where it could be opened.
    pub model: Option<Arc<ChatModel>>,
    /// What it wrote.
    pub answer: Result<ByModel>,
}

impl Job for WriteByModel {
    type Output = Output;

    fn name(&self) -> String {
        format!("Have a language model write for {}", self.round.brief.sheet.product)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let wrote = match unless_stopped(self.source.open(context))? {
            Err(failure) => WroteByModel { model: None, answer: Err(failure) },
            Ok(model) => {
                let mut found = ByModel::default();
                let told = |state: &ByModel| {
                    self.live.publish(state.clone());
                    context.wake();
                };
                let ended = write_by_model(&self.round, &model, self.tries, &mut found, &told, context);
                let answer = match ended {
                    // A stop is an answer: what was written is handed over.
                    Err(failure) if failure.is_cancelled() => Ok(ByModel { is_stopped: true, ..found }),
                    ended => ended.map(|()| found),
                };
                WroteByModel { model: Some(model), answer }
            }
        };
        Ok(Output::ByModel(Box::new(wrote)))
    }
}

/// Has a model try some texts; `told` sees `found` with every word.
///
/// # Errors
/// What the model cannot be asked, a language that it does not write, or a cancel, which leaves what is there in `found`.
pub fn write_by_model(
    round: &Round,
    model: &ChatModel,
    tries: usize,
    found: &mut ByModel,
    told: &dyn Fn(&ByModel),
    context: &JobContext,
) -> Result<()> {
    *found = ByModel { model: model.name.clone(), tries, ..ByModel::default() };
    context.stage("reading the brief");
    told(found);
    if round.brief.language == Language::Zh {
        model.must_know_chinese(context)?;
    }
    let writer = Writer::new(model, &round.brief, &round.checker, &round.best, context)?;
    context.stage("writing");
    for place in 0..tries {
        context.progress(place as u64, tries as u64);
        let seed = seed_of(&round.brief, place);
        let tried = writer.write(seed, context, &mut |text| {
            text.clone_into(&mut found.writing);
            told(found);
        })?;
        found.tried += 1;
        found.writing.clear();
        let known =
            round.candidates.iter().chain(&round.blocked).chain(&found.candidates).chain(&found.blocked);
        let is_new = !known.into_iter().any(|one| one.draft.text == tried.draft.text);
        if tried.is_whole && is_new {
            found.whole += 1;
            let verdict = round.checker.check(&tried.draft.text, None)?;
            let forecaster = round.forecaster.as_ref();
            let forecast = forecaster.map(|one| one.forecast(&tried.draft.text)).transpose()?;
            let passes = verdict.passes();
            let candidate = Candidate { draft: tried.draft, verdict, forecast };
            if passes { &mut found.candidates } else { &mut found.blocked }.push(candidate);
        }
        told(found);
    }
    Ok(())
}

impl Round {
    /// Takes in what a model wrote for it.
    pub fn take_in(&mut self, by_model: &ByModel) {
        self.written += by_model.whole;
        self.candidates.extend(by_model.candidates.iter().cloned());
        self.blocked.extend(by_model.blocked.iter().cloned());
        self.sort();
    }
}

/// Looks at the file of a model before it is read.
pub struct LookAtModel {
    /// The file.
    pub path: PathBuf,
}

impl Job for LookAtModel {
    type Output = Output;

    fn name(&self) -> String {
        format!("Look at {}", self.path.display())
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        let file = look_at(&self.path);
        Ok(Output::ModelLookedAt(self.path, file))
    }
}
