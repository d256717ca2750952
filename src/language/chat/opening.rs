//! Is a file a language model that is computed rightly here, and what will it take? Looked at, then read whole.

use super::llama::{Llama, Sizes};
use super::reading::Reading;
use super::{ChatModel, bytes};
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::jobs::priority::step_behind_training;
use candle_core::quantized::gguf_file::Content;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub(super) const WHAT: &str = "cannot open the language model";
/// A text of 200 words that a known file is asked about.
const CHECKED: &str = include_str!("../../../assets/perplexity_text.txt");
/// Files whose perplexity on that text is known, by BLAKE3, from the Python package transformers 5.24 in single precision.
const KNOWN: [(&str, f64); 1] =
    [("5f4fa13bfc6dd4a91fd00e22974a9c4e9ed628fd7d7f307398ddf30260d6b2c3", 31.817)];
/// How far the perplexity of a known file may be from what it should be.
const FAR: f64 = 0.05;

/// A model file that was looked at and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// The file's name.
    pub name: String,
    /// Bytes of memory that it takes once it is read, without what a text adds.
    pub bytes: u64,
}

/// Looks at a file before it is opened: what it will take.
///
/// # Errors
/// There is no such file, it is no GGUF, or it is cut short.
pub fn look_at(path: &Path) -> Result<ModelFile> {
    let (content, _) = header(path)?;
    let numbers: u64 = content.tensor_infos.values().map(|info| info.shape.elem_count() as u64).sum();
    // A byte and its part of a scale each, and what words and tokenizer take.
    Ok(ModelFile { name: name_of(path), bytes: numbers * 9 / 8 + (32 << 20) })
}

/// A file without its weights: how large a model it is, and how it reads.
pub struct Outline {
    /// Sizes of the model.
    pub sizes: Sizes,
    /// Its tokenizer.
    pub reading: Reading,
}

impl Outline {
    /// Reads the head of a file.
    ///
    /// # Errors
    /// As [`ChatModel::open`], weights apart.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(outline(path)?.0)
    }
}

/// What the head of a file says, with the rest of the file; whether it is of a kind that is computed here.
fn outline(path: &Path) -> Result<(Outline, Content, BufReader<File>)> {
    let place = |failure: Failure| failure.at(path.display());
    let (content, reader) = header(path)?;
    let text = |key: &str| content.metadata.get(key).and_then(|value| value.to_string().ok());
    match text("general.architecture").map(String::as_str) {
        Some("llama") => {}
        other => {
            let why = format!(
                "its architecture is '{}', and only llama is computed here",
                other.unwrap_or("unknown")
            );
            return Err(place(Failure::new(WHAT, why).hint("SmolLM2, TinyLlama or another llama-type file")));
        }
    }
    let sizes = Sizes::of(&content).map_err(place)?;
    let reading = Reading::of(&content, sizes.context, WHAT).map_err(place)?;
    let known = reading.words();
    if known > sizes.words {
        let why = format!("its tokenizer has {known} words and its weights {}", sizes.words);
        return Err(place(Failure::new(WHAT, why)));
    }
    Ok((Outline { sizes, reading }, content, reader))
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The header of a GGUF, after a look whether the file is as long as it says.
fn header(path: &Path) -> Result<(Content, BufReader<File>)> {
    let explain = |error: std::io::Error| {
        disk_failure(WHAT, path, &error).hint("sh assets/fetch-models.sh, or a GGUF file of your own")
    };
    let file = File::open(path).map_err(explain)?;
    let bytes = file.metadata().map_err(explain)?.len();
    let mut reader = BufReader::new(file);
    let content = Content::read(&mut reader).explain(WHAT).map_err(|failure| failure.at(path.display()))?;
    let ends = content.tensor_infos.values().map(|info| {
        let blocks = info.shape.elem_count() / info.ggml_dtype.block_size().max(1);
        content.tensor_data_offset + info.offset + (blocks * info.ggml_dtype.type_size()) as u64
    });
    let wanted = ends.max().unwrap_or_default();
    if wanted > bytes {
        let why = format!("it is cut short: {bytes} bytes of at least {wanted}");
        return Err(Failure::new(WHAT, why).at(path.display()).hint("fetch it again"));
    }
    Ok((content, reader))
}

/// BLAKE3 of a file, in hexadecimal.
fn hash_of(path: &Path) -> Result<String> {
    let explain = |error: std::io::Error| disk_failure(WHAT, path, &error);
    let mut file = File::open(path).map_err(explain)?;
    let (mut hasher, mut part) = (blake3::Hasher::new(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut part).map_err(explain)?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&part[..read]);
    }
}

impl ChatModel {
    /// Reads a file whole: one that vanishes later changes nothing. A known file is asked about a text, so that a forward
    /// pass that is wrong for it is found before it writes.
    ///
    /// # Errors
    /// A file that is not there, cut short, of another architecture than llama, whose tokenizer has other words than the
    /// model, or that is known and finds the text likelier or less likely than it should; or a cancel.
    pub fn open(path: &Path, context: &JobContext) -> Result<Self> {
        let place = |failure: Failure| failure.at(path.display());
        let (Outline { sizes, reading }, content, mut reader) = outline(path)?;
        let llama = Llama::read(sizes, &content, &mut reader, context).map_err(place)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|at| format!("adloupe-words-{at}"))
            .start_handler(|_| step_behind_training())
            .build()
            .explain(WHAT)?;
        let pieces = bytes::pieces(&reading.tokenizer, llama.words());
        let (name, hash) = (name_of(path), hash_of(path)?);
        // Of two tokens with the same bytes the first is the model's own way to write them.
        let mut by_piece = HashMap::new();
        for (token, piece) in (0u32..).zip(&pieces).filter(|(_, piece)| !piece.is_empty()) {
            by_piece.entry(piece.clone()).or_insert(token);
        }
        let model = Self { name, hash, llama, reading, pieces, by_piece, pool, chinese: Default::default() };
        // An unoptimised build would take minutes over it.
        if let Some((_, right)) =
            KNOWN.iter().find(|(hash, _)| *hash == model.hash && !cfg!(debug_assertions))
        {
            model.is_as_known(*right, context).map_err(place)?;
        }
        Ok(model)
    }

    /// Refuses a file that finds the stored text likelier or less likely than another program does.
    fn is_as_known(&self, right: f64, context: &JobContext) -> Result<()> {
        let own = self.loss_of(CHECKED.trim(), context)?.exp();
        if (own / right - 1.0).abs() > FAR {
            let why = format!(
                "its perplexity on a known text is {own:.2} here, and {right:.2} is right: it is not \
                               computed as it should be on this machine"
            );
            return Err(Failure::new(WHAT, why).hint("go on without it; this is worth a report"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_computes_otherwise_than_it_should_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        crate::language::chat::tiny::write(&path, 300);
        let context = JobContext::detached();
        let model = ChatModel::open(&path, &context).unwrap();
        assert_eq!(model.hash, blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string());
        let right = model.loss_of(CHECKED.trim(), &context).unwrap().exp();
        assert!(right > 10.0);
        model.is_as_known(right * 1.04, &context).unwrap();
        for wrong in [right * 1.1, right * 0.9] {
            let failure = model.is_as_known(wrong, &context).unwrap_err();
            assert!(failure.why.contains("perplexity"), "{failure}");
        }
    }
}
