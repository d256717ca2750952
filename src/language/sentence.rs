//! What does a text mean to a model that has read the web? Sentence vectors of a BERT-type encoder in a folder.
//!
//! The folder holds `config.json`, `model.safetensors` and `tokenizer.json`, as all-MiniLM-L6-v2 does (`sh
//! assets/fetch-models.sh`). The forward pass is our own: the words of all texts of a batch stand one after another, so
//! nothing is computed for padding; the products are those that training uses; the error function is a polynomial
//! that the compiler makes vectors of. Everything is read when the folder is opened: a file that vanishes later changes
//! nothing.

mod layers;

use super::encoder::Vectors;
use super::vectors::to_unit;
use super::words::is_han;
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use layers::{Config, Layer, Linear, Look, Norm, Pass};
use safetensors::tensor::{Dtype, SafeTensors};
use std::path::Path;
use tokenizers::models::ModelWrapper;
use tokenizers::{Tokenizer, TruncationParams};

const WHAT: &str = "cannot open the sentence encoder";
/// Tokens of a text that are read at most: as the model was trained.
const MOST_TOKENS: usize = 128;
/// Chinese characters that an encoder of Chinese knows at least: those that are taught at school, and fewer than half of what
/// BERT for Chinese knows.
const CHARACTERS: usize = 2_500;
/// One token of so many may be unknown.
const MOST_UNKNOWN: usize = 3;
/// Texts that are computed at once.
const BATCH: usize = 32;

/// A sentence encoder.
pub struct SentenceEncoder {
    /// The folder's name.
    pub name: String,
    /// BLAKE3 of weights and tokenizer, in hexadecimal: what tells vectors of one encoder from those of another.
    pub hash: String,
    /// True where its tokenizer knows enough Chinese characters to read Chinese.
    chinese: bool,
    /// The token of what its tokenizer does not know.
    unknown: Option<u32>,
    tokenizer: Tokenizer,
    config: Config,
    words: Vec<f32>,
    places: Vec<f32>,
    kind: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// One text as the encoder saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenText {
    /// Words and parts of words, `##` before those that go on a word; what stands at both ends is the encoder's own.
    pub tokens: Vec<String>,
    /// Attention weights `[layer, head, token, token]`: the weights of who asks sum to 1.
    pub weights: Vec<f32>,
    /// The text's vector, of length 1.
    pub vector: Vec<f32>,
}

impl std::fmt::Debug for SentenceEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentenceEncoder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Bytes that opening a folder will take, before it is opened: its weights.
///
/// # Errors
/// There is no such folder or no weights in it.
pub fn memory_of(folder: &Path) -> Result<u64> {
    let path = folder.join("model.safetensors");
    std::fs::metadata(&path).map(|known| known.len()).map_err(|error| missing(&path, &error))
}

fn missing(path: &Path, error: &std::io::Error) -> Failure {
    disk_failure(WHAT, path, error)
        .hint("sh assets/fetch-models.sh, or a folder with config.json, model.safetensors and tokenizer.json")
}

/// The tensors of a file by name, as f32.
struct Weights<'a>(SafeTensors<'a>);

impl Weights<'_> {
    fn of(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        // Some files put the whole model under one name.
        let tensor = self.0.tensor(name).or_else(|_| self.0.tensor(&format!("bert.{name}"))).explain(WHAT)?;
        if tensor.shape() != shape {
            let why = format!("'{name}' is {:?}, and its config.json says {shape:?}", tensor.shape());
            return Err(Failure::new(WHAT, why));
        }
        match tensor.dtype() {
            Dtype::F32 => {
                Ok(tensor.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
            }
            Dtype::F16 => {
                let halves = tensor.data().as_chunks().0.iter();
                Ok(halves.map(|two| half::f16::from_le_bytes(*two).to_f32()).collect())
            }
            other => Err(Failure::new(WHAT, format!("'{name}' is stored as {other:?}"))
                .hint("a file with weights as F32 or F16")),
        }
    }

    /// A dense layer; PyTorch stores `[out, in]`.
    fn linear(&self, name: &str, from: usize, to: usize) -> Result<Linear> {
        let weight = self.of(&format!("{name}.weight"), &[to, from])?;
        let bias = self.of(&format!("{name}.bias"), &[to])?;
        Ok(Linear::of(&weight, bias, from, to))
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        Ok(Norm { weight: self.of(&weight, &[width])?, bias: self.of(&bias, &[width])? })
    }
}

impl SentenceEncoder {
    /// Reads a folder.
    ///
    /// # Errors
    /// Files that are missing, cut short or of another architecture; weights that are not of the shapes that
    /// `config.json` says; a tokenizer with more words than the model has rows.
    pub fn open(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|error| missing(&path, &error))
        };
        let at = |name: &str| folder.join(name).display().to_string();
        let config: Config = serde_json::from_slice(&read("config.json")?)
            .explain(WHAT)
            .map_err(|failure| failure.at(at("config.json")))?;
        config.check().map_err(|failure| failure.at(at("config.json")))?;
        let bytes = read("model.safetensors")?;
        let place = |failure: Failure| failure.at(at("model.safetensors"));
        let weights = Weights(SafeTensors::deserialize(&bytes).explain(WHAT).map_err(place)?);
        let words = read("tokenizer.json")?;
        let hash = blake3::Hasher::new().update(&bytes).update(&words).finalize().to_hex().to_string();
        let mut tokenizer =
            Tokenizer::from_bytes(words).explain(WHAT).map_err(|failure| failure.at(at("tokenizer.json")))?;
        let vocabulary = tokenizer.get_vocab(true);
        let known = vocabulary.values().max().map_or(0, |most| *most as usize + 1);
        let is_character = |word: &&String| {
            let mut letters = word.trim_start_matches("##").chars();
            letters.next().is_some_and(is_han) && letters.next().is_none()
        };
        let chinese = vocabulary.keys().filter(is_character).count() >= CHARACTERS;
        if known > config.vocab_size {
            let why = format!(
                "it has {known} words and the model {}: they do not belong together",
                config.vocab_size
            );
            return Err(Failure::new(WHAT, why).at(at("tokenizer.json")));
        }
        let unknown = match tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Some(model.unk_token.as_str()),
            ModelWrapper::WordLevel(model) => Some(model.unk_token.as_str()),
            ModelWrapper::BPE(model) => model.unk_token.as_deref(),
            ModelWrapper::Unigram(_) => None,
        };
        let unknown = unknown.and_then(|word| tokenizer.token_to_id(word));
        tokenizer.with_padding(None);
        let most = MOST_TOKENS.min(config.max_position_embeddings);
        let truncation = TruncationParams { max_length: most, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).explain(WHAT)?;
        let width = config.hidden_size;
        let embedding = |name: &str, rows| weights.of(&format!("embeddings.{name}.weight"), &[rows, width]);
        let open = || -> Result<_> {
            let layers = (0..config.num_hidden_layers)
                .map(|at| Layer::read(&weights, &format!("encoder.layer.{at}"), &config))
                .collect::<Result<Vec<_>>>()?;
            Ok((
                embedding("word_embeddings", config.vocab_size)?,
                embedding("position_embeddings", config.max_position_embeddings)?,
                embedding("token_type_embeddings", config.type_vocab_size)?[..width].to_vec(),
                weights.norm("embeddings.LayerNorm", width)?,
                layers,
            ))
        };
        let (words, places, kind, norm, layers) = open().map_err(place)?;
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { name, hash, chinese, unknown, tokenizer, config, words, places, kind, norm, layers })
    }

    /// True for an encoder that knows Chinese: what all-MiniLM-L6-v2 makes of it says nothing.
    pub fn reads_chinese(&self) -> bool {
        self.chinese
    }

    /// True where its tokenizer knows most of a text: texts of unknown words are all alike to it.
    pub fn knows(&self, text: &str) -> bool {
        let Ok(read) = self.tokenizer.encode_fast(text, false) else { return false };
        let ids = read.get_ids();
        let unknown = ids.iter().filter(|id| Some(**id) == self.unknown).count();
        !ids.is_empty() && MOST_UNKNOWN * unknown <= ids.len()
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.config.hidden_size
    }

    /// The vectors of texts, each of length 1: the mean over a text's tokens. Texts of like length are computed together.
    ///
    /// # Errors
    /// A text that the tokenizer refuses, or a cancel, which is heard between batches.
    pub fn encode(&self, texts: &[&str], context: &JobContext) -> Result<Vectors> {
        let what = "cannot encode the texts";
        let read = self.tokenizer.encode_batch_fast(texts.to_vec(), true).explain(what)?;
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| read[*at].len());
        let width = self.width();
        let mut values = vec![0.0; texts.len() * width];
        let mut pass = Pass::default();
        for (done, batch) in order.chunks(BATCH).enumerate() {
            context.check()?;
            context.progress((done * BATCH) as u64, texts.len() as u64);
            let ids: Vec<&[u32]> = batch.iter().map(|at| read[*at].get_ids()).collect();
            self.forward(&ids, &mut pass, None);
            let mut rows = pass.states.chunks_exact(width);
            for (at, ids) in batch.iter().zip(&ids) {
                let out = &mut values[at * width..][..width];
                for row in rows.by_ref().take(ids.len()) {
                    out.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                to_unit(out);
            }
        }
        Ok(Vectors { width, values })
    }

    /// The states of all tokens of all texts, one after another.
    fn forward(&self, texts: &[&[u32]], pass: &mut Pass, mut look: Option<&mut Look>) {
        let width = self.width();
        pass.states.clear();
        for ids in texts {
            for (place, id) in ids.iter().enumerate() {
                let word = &self.words[*id as usize * width..][..width];
                let place = &self.places[place * width..][..width];
                let sum =
                    word.iter().zip(place).zip(&self.kind).map(|((word, place), kind)| word + place + kind);
                pass.states.extend(sum);
            }
        }
        self.norm.apply(&mut pass.states, self.config.layer_norm_eps);
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        for (place, layer) in self.layers.iter().enumerate() {
            let look = look.as_deref_mut().map(|look| (place, look));
            layer.forward(&lengths, &self.config, pass, look);
        }
    }

    /// Layers, and heads of each.
    pub fn heads(&self) -> [usize; 2] {
        [self.layers.len(), self.config.num_attention_heads]
    }

    /// What the heads look at in one text, and the text's vector if one of them, by layer and place, answers 0.
    ///
    /// # Errors
    /// A text that the tokenizer refuses.
    pub fn look(&self, text: &str, silent: Option<(usize, usize)>) -> Result<SeenText> {
        // `encode_fast` leaves the words out.
        let read = self.tokenizer.encode(text, true).explain("cannot read the text")?;
        let (mut pass, mut look) = (Pass::default(), Look { silent, ..Look::default() });
        self.forward(&[read.get_ids()], &mut pass, Some(&mut look));
        let mut vector = vec![0.0; self.width()];
        for row in pass.states.chunks_exact(self.width()) {
            vector.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        to_unit(&mut vector);
        Ok(SeenText { tokens: read.get_tokens().to_vec(), weights: look.weights, vector })
    }
}

#[cfg(test)]
pub(crate) mod small;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::vectors::inner_product;

    /// The folder of the fetched model; without it the tests that need it say so and pass.
    fn fetched() -> Option<SentenceEncoder> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-minilm-l6-v2");
        folder.join("model.safetensors").exists().then(|| SentenceEncoder::open(&folder).unwrap())
    }

    #[test]
    fn the_reference_pair_has_the_published_cosine() {
        let Some(encoder) = fetched() else { return };
        // sentence-transformers' documentation: "A man is eating food." and "A man is eating a piece of bread.", 0.7553.
        let texts =
            ["A man is eating food.", "A man is eating a piece of bread.", "A monkey is playing drums."];
        let found = encoder.encode(&texts, &JobContext::detached()).unwrap();
        let cosine = inner_product(found.row(0), found.row(1));
        assert!((cosine - 0.7553).abs() < 2e-4, "{cosine}");
        let alone = encoder.encode(&texts[1..2], &JobContext::detached()).unwrap();
        let same = inner_product(alone.row(0), found.row(1));
        assert!((same - 1.0).abs() < 1e-5, "company in a batch changes nothing: {same}");
    }

    #[test]
    fn looking_changes_nothing_and_a_silent_head_is_one_whose_values_are_0() {
        let folder = tempfile::tempdir().unwrap();
        small::write_tokenizer(folder.path(), 6);
        let save = |silenced: bool| {
            std::fs::write(folder.path().join("model.safetensors"), small::weights(silenced)).unwrap();
            SentenceEncoder::open(folder.path()).unwrap()
        };
        let (encoder, without) = (save(false), save(true));
        let text = "w1 w2 w3 w1";
        let seen = encoder.look(text, None).unwrap();
        let alone = encoder.encode(&[text], &JobContext::detached()).unwrap();
        assert_eq!(seen.vector, alone.row(0));
        assert_eq!(seen.tokens, ["w1", "w2", "w3", "w1"]);
        assert_eq!(seen.weights.len(), 2 * 4 * 4);
        for weights in seen.weights.chunks(4) {
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{weights:?}");
        }
        // The second head of the first layer: the last four of the eight values.
        let silent = encoder.look(text, Some((0, 1))).unwrap();
        let by_hand = without.encode(&[text], &JobContext::detached()).unwrap();
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
        assert!(silent.vector.iter().zip(by_hand.row(0)).all(near), "{:?}", silent.vector);
        assert!(!seen.vector.iter().zip(&silent.vector).all(near));
    }

    #[test]
    fn what_is_no_encoder_is_refused_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let open = || SentenceEncoder::open(folder.path()).unwrap_err();
        assert!(open().hint.contains("fetch-models"));
        assert!(memory_of(folder.path()).is_err());
        small::write_tokenizer(folder.path(), 6);
        assert!(open().what.contains("sentence encoder"), "no weights yet");
        std::fs::write(folder.path().join("model.safetensors"), [9, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
        assert!(open().place.contains("model.safetensors"), "cut short");
        let nothing: Vec<(String, safetensors::tensor::TensorView<'_>)> = Vec::new();
        let empty = safetensors::serialize(nothing, None).unwrap();
        std::fs::write(folder.path().join("model.safetensors"), empty).unwrap();
        assert!(open().place.contains("model.safetensors"), "weights that are not there");
        small::write_tokenizer(folder.path(), 9);
        let failure = open();
        assert!(failure.why.contains("do not belong together"), "{failure}");
        std::fs::write(folder.path().join("config.json"), r#"{"model_type":"t5"}"#).unwrap();
        assert!(open().place.contains("config.json"));
    }
}
