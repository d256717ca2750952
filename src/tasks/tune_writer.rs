//! How does a language model learn a library's tone? Adapters from its texts, judged on held-out ones, kept beside it.

use super::write_by_model::Source;
use super::{Output, unless_stopped};
use crate::adcopy::propose::language_model::lesson_request;
use crate::adcopy::review::Status;
use crate::adcopy::{Library, Rulebook};
use crate::base::Result;
use crate::base::files::disk_failure;
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::language::chat::{ChatModel, Outline};
use crate::train::copy_tuning::{Lesson, TuneSpec, TuneState, Tuned, memory_of, tune};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tunes a model on a library.
pub struct TuneWriter {
    /// The library.
    pub library: Arc<Library>,
    /// The model.
    pub source: Source,
    /// How.
    pub spec: TuneSpec,
    /// Where the adapters are kept.
    pub path: PathBuf,
    /// Where the curves appear.
    pub live: Latest<TuneState>,
}

/// What came of it; the model is kept for the next time.
pub struct TunedWriter {
    /// The model without the adapters, where it could be opened.
    pub model: Option<Arc<ChatModel>>,
    /// What was learnt, and where it is kept.
    pub answer: Result<(Box<Tuned>, PathBuf)>,
}

impl Job for TuneWriter {
    type Output = Output;

    fn name(&self) -> String {
        "Tune the language model on the library".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Gpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let tuned = match unless_stopped(self.source.open(context))? {
            Err(failure) => TunedWriter { model: None, answer: Err(failure) },
            Ok(model) => {
                let answer = tune_on(&model, &self.library, self.spec, &self.live, context);
                let answer = unless_stopped(answer)?.and_then(|tuned| keep(tuned, &self.path));
                TunedWriter { model: Some(model), answer }
            }
        };
        Ok(Output::TunedWriter(Box::new(tuned)))
    }
}

fn keep(tuned: Tuned, path: &Path) -> Result<(Box<Tuned>, PathBuf)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| disk_failure("cannot keep the adapters", folder, &error))?;
    }
    tuned.adapters.save(path)?;
    Ok((Box::new(tuned), path.to_owned()))
}

/// Every text of a library that was not rejected.
fn lessons(library: &Library) -> Result<Vec<Lesson>> {
    let book = Rulebook::built_in()?;
    let kept = library.items().iter().filter(|item| item.status != Status::Rejected);
    Ok(kept
        .map(|item| Lesson {
            request: lesson_request(&item.product, item.language, book.placement(&item.placement).ok()),
            answer: item.text.clone(),
        })
        .collect())
}

/// Learns from every text of a library that was not rejected.
///
/// # Errors
/// As [`tune`].
pub fn tune_on(
    model: &ChatModel,
    library: &Library,
    spec: TuneSpec,
    live: &Latest<TuneState>,
    context: &JobContext,
) -> Result<Tuned> {
    tune(model, &lessons(library)?, spec, live, context)
}

/// Bytes that tuning the model of a file on a library takes beside the model, told before either is begun.
///
/// # Errors
/// A file that is no model, or as [`tune`], before it learns.
pub fn memory_on(path: &Path, library: &Library, spec: TuneSpec) -> Result<u64> {
    memory_of(&Outline::open(path)?, &lessons(library)?, spec)
}

/// Asks what a tuning would take.
pub struct LookAtTuning {
    /// The model's file.
    pub path: PathBuf,
    /// The library.
    pub library: Arc<Library>,
    /// How.
    pub spec: TuneSpec,
}

/// What a tuning would take.
#[derive(Debug, Clone, PartialEq)]
pub struct TuningCost {
    /// The model's file.
    pub path: PathBuf,
    /// The end of the library's audit: another end, another library.
    pub head: String,
    /// Bytes beside the model, or why it cannot be tuned on the library.
    pub bytes: Result<u64>,
}

impl Job for LookAtTuning {
    type Output = Output;

    fn name(&self) -> String {
        "See what learning the library's tone would take".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        let bytes = memory_on(&self.path, &self.library, self.spec);
        let head = self.library.head().hash.clone();
        Ok(Output::TuningLookedAt(Box::new(TuningCost { path: self.path, head, bytes })))
    }
}

impl Tuned {
    /// What came of it, in a sentence.
    pub fn told(&self) -> String {
        let [learnt, choosing, held] = self.texts;
        format!(
            "learnt from {learnt} texts ({choosing} chose step {} of {}): the loss of a token fell from {:.3} to {:.3} nats on {held} \
             texts that it never met, a change of {}",
            self.best_step,
            self.state.step,
            self.before,
            self.after,
            self.change.in_words(3)
        )
    }
}
