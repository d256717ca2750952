//! What do the texts of a library mean to a sentence encoder? Read in the background and kept; a stop loses nothing.

use super::{Output, unless_stopped};
use crate::adcopy::Library;
use crate::adcopy::meanings::Meanings;
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane};
use crate::language::sentence::{SentenceEncoder, memory_of};
use std::path::PathBuf;
use std::sync::Arc;

/// Has an encoder read a library.
pub struct ReadMeanings {
    /// The library.
    pub library: Arc<Library>,
    /// The encoder's folder.
    pub folder: PathBuf,
    /// The encoder, where it was opened before.
    pub encoder: Option<Arc<SentenceEncoder>>,
}

/// What was read of a library.
#[derive(Debug, Clone)]
pub struct TextsRead {
    /// The vectors.
    pub meanings: Arc<Meanings>,
    /// The end of the library's audit: another end, another library.
    pub head: String,
    /// Texts that are left to read.
    pub left: usize,
    /// Texts that the encoder cannot read: none without words, none in Chinese where it knows none.
    pub foreign: usize,
}

impl TextsRead {
    /// The vectors, where all of a library's texts that can be read were.
    pub fn whole_of(&self, library: &Library) -> Option<Arc<Meanings>> {
        (self.left == 0 && self.head == library.head().hash).then(|| Arc::clone(&self.meanings))
    }
}

/// How it ended.
pub struct ReadByEncoder {
    /// The encoder's folder.
    pub folder: PathBuf,
    /// What was read, or why nothing was.
    pub read: Result<TextsRead>,
}

impl Job for ReadMeanings {
    type Output = Output;

    fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("Have {name} read the library")
    }

    fn lane(&self) -> Lane {
        Lane::Gpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let folder = self.folder.clone();
        let read = unless_stopped(read(*self, context))?;
        Ok(Output::MeaningsRead(Box::new(ReadByEncoder { folder, read })))
    }
}

fn read(asked: ReadMeanings, context: &JobContext) -> Result<TextsRead> {
    let ReadMeanings { library, folder, encoder } = asked;
    let encoder = match encoder {
        Some(encoder) => encoder,
        None => {
            let megabytes = memory_of(&folder)?.div_ceil(1 << 20);
            context.stage(&format!("loading the encoder, about {megabytes} MB"));
            Arc::new(SentenceEncoder::open(&folder)?)
        }
    };
    let mut meanings = Meanings::beside(library.folder(), encoder)?;
    let texts = || library.items().iter().map(|item| item.text.as_str());
    let missing = meanings.missing(texts());
    context.stage(&format!("reading {} texts", missing.len()));
    // A stop is an answer: what was read is kept, and the rest waits.
    match meanings.read(&missing, context) {
        Err(failure) if !failure.is_cancelled() => return Err(failure),
        _ => {}
    }
    let left = meanings.missing(texts()).len();
    let foreign = texts().filter(|text| !meanings.can_read(text)).count();
    Ok(TextsRead { meanings: Arc::new(meanings), head: library.head().hash.clone(), left, foreign })
}
