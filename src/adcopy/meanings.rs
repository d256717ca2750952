//! What do texts mean to a sentence encoder, and which did it read already? Vectors that are kept beside the texts.
//!
//! Reading takes milliseconds a text, so 100,000 take minutes: it is done in the background, piece by piece, and what was read
//! is kept in a file that only grows: a line about the encoder, then a key (16 bytes of BLAKE3 of the text) and the vector
//! (halves, little-endian) of each text. A stop loses nothing; the next time only new texts are read.

use super::plain;
use crate::base::failure::Explain;
use crate::base::files::{check_writable, disk_failure};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::language::Vectors;
use crate::language::sentence::SentenceEncoder;
use crate::language::vectors::inner_product;
use half::f16;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder of the kept vectors in that of a library.
const FOLDER: &str = "meaning";
/// Texts that are read between two times of keeping.
const PIECE: usize = 256;
const KEY: usize = 16;
const WHAT: &str = "cannot keep what the texts mean";

type Key = [u8; KEY];

/// The vectors of texts by one encoder. A clone shares them.
#[derive(Clone)]
pub struct Meanings {
    encoder: Arc<SentenceEncoder>,
    /// Where they are kept; `None` for nowhere.
    path: Option<PathBuf>,
    /// Part and row of each text.
    places: HashMap<Key, (u32, u32)>,
    parts: Vec<Arc<Vectors>>,
}

/// The first line of a file of vectors.
#[derive(Serialize, Deserialize, PartialEq)]
struct About {
    adloupe_meanings: u32,
    encoder: String,
    width: usize,
}

impl std::fmt::Debug for Meanings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meanings")
            .field("encoder", &self.encoder.name)
            .field("texts", &self.places.len())
            .finish()
    }
}

fn key(text: &str) -> Key {
    let mut key = [0; KEY];
    key.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..KEY]);
    key
}

impl Meanings {
    /// Nothing read yet, and nothing kept.
    pub fn new(encoder: Arc<SentenceEncoder>) -> Self {
        Self { encoder, path: None, places: HashMap::new(), parts: Vec::new() }
    }

    /// What is kept beside a library; what another encoder read is left alone.
    ///
    /// # Errors
    /// A file that cannot be read or is none of ours.
    pub fn beside(library: &Path, encoder: Arc<SentenceEncoder>) -> Result<Self> {
        let name: String = encoder.hash.chars().take(16).collect();
        let path = library.join(FOLDER).join(format!("{name}.vectors"));
        let mut all = Self { path: Some(path.clone()), ..Self::new(encoder) };
        if path.exists() {
            all.take_in(&std::fs::read(&path).map_err(|error| disk_failure(WHAT, &path, &error))?)
                .map_err(|failure| failure.at(path.display()))?;
        }
        Ok(all)
    }

    fn about(&self) -> About {
        About { adloupe_meanings: 1, encoder: self.encoder.hash.clone(), width: self.encoder.width() }
    }

    /// Reads whole records; one that a crash cut short is as if it had not been written.
    fn take_in(&mut self, bytes: &[u8]) -> Result<()> {
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or_default();
        let about: About = serde_json::from_slice(&bytes[..line])
            .explain(WHAT)
            .map_err(|failure| failure.hint("move the file away: the texts are then read anew"))?;
        if about != self.about() {
            return Err(Failure::new(
                WHAT,
                "the file is of another encoder or another version of the program",
            )
            .hint("move the file away: the texts are then read anew"));
        }
        let mut values = Vec::new();
        let record = KEY + 2 * self.encoder.width();
        for (row, record) in bytes[line + 1..].chunks_exact(record).enumerate() {
            let (own, numbers) = record.split_at(KEY);
            let Ok(own) = Key::try_from(own) else { continue };
            self.places.insert(own, (self.parts.len() as u32, row as u32));
            values.extend(numbers.as_chunks::<2>().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()));
        }
        self.parts.push(Arc::new(Vectors { width: self.encoder.width(), values }));
        Ok(())
    }

    /// What reads the texts.
    pub fn encoder(&self) -> &SentenceEncoder {
        &self.encoder
    }

    /// The same, shared.
    pub fn shared_encoder(&self) -> Arc<SentenceEncoder> {
        Arc::clone(&self.encoder)
    }

    /// True for a text that the encoder can read: most of its words are known, and none is Chinese where it knows too few
    /// characters.
    pub fn can_read(&self, text: &str) -> bool {
        (self.encoder.reads_chinese() || !plain::is_chinese(text)) && self.encoder.knows(text)
    }

    /// Of some texts those that can be read and were not yet, each once.
    pub fn missing<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Vec<&'t str> {
        let mut known = HashSet::new();
        let new = |text: &&str| {
            let own = key(text);
            !self.places.contains_key(&own) && self.can_read(text) && known.insert(own)
        };
        texts.into_iter().filter(new).collect()
    }

    /// Reads texts that were not read yet, and keeps them piece by piece; `told` hears how many there are with each piece. A
    /// cancel leaves what was read until then.
    ///
    /// # Errors
    /// A text that the tokenizer refuses, what the disk answers, or a cancel.
    pub fn read(&mut self, texts: &[&str], context: &JobContext) -> Result<()> {
        for (done, piece) in texts.chunks(PIECE).enumerate() {
            context.check()?;
            context.progress((done * PIECE) as u64, texts.len() as u64);
            let vectors = self.encoder.encode(piece, &JobContext::detached())?;
            let keys: Vec<Key> = piece.iter().map(|text| key(text)).collect();
            self.keep(&keys, &vectors)?;
            let part = self.parts.len() as u32;
            self.places.extend(keys.iter().enumerate().map(|(row, key)| (*key, (part, row as u32))));
            self.parts.push(Arc::new(vectors));
        }
        context.progress(texts.len() as u64, texts.len() as u64);
        Ok(())
    }

    /// Writes records behind those that there are.
    fn keep(&self, keys: &[Key], vectors: &Vectors) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let on_disk = |error: std::io::Error| disk_failure(WHAT, path, &error);
        let mut bytes = Vec::new();
        for (row, key) in keys.iter().enumerate() {
            bytes.extend(key);
            bytes.extend(vectors.row(row).iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()));
        }
        if let Some(folder) = path.parent() {
            check_writable(WHAT, folder)?;
            std::fs::create_dir_all(folder).map_err(on_disk)?;
        }
        let about = serde_json::to_string(&self.about()).explain(WHAT)? + "\n";
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(on_disk)?;
        let length = file.metadata().map_err(on_disk)?.len();
        let record = (KEY + 2 * self.encoder.width()) as u64;
        match length.checked_sub(about.len() as u64) {
            Some(records) => file.set_len(length - records % record).map_err(on_disk)?,
            None => {
                file.set_len(0).map_err(on_disk)?;
                file.write_all(about.as_bytes()).map_err(on_disk)?;
            }
        }
        file.write_all(&bytes).map_err(on_disk)
    }

    /// The vector of a text, where it was read.
    pub fn of(&self, text: &str) -> Option<&[f32]> {
        let (part, row) = self.places.get(&key(text))?;
        Some(self.parts[*part as usize].row(*row as usize))
    }

    /// Where the vectors of texts stand, text by text; `None` for those that were not read.
    pub fn places<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Vec<Option<(u32, u32)>> {
        texts.into_iter().map(|text| self.places.get(&key(text)).copied()).collect()
    }

    /// Cosines of a vector with those of some places; 0 for what was not read.
    pub fn cosines(&self, vector: &[f32], places: &[Option<(u32, u32)>]) -> Vec<f32> {
        let cosine = |place: &Option<(u32, u32)>| {
            place
                .map_or(0.0, |(part, row)| inner_product(vector, self.parts[part as usize].row(row as usize)))
        };
        places.par_iter().map(cosine).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::sentence::small;

    #[test]
    fn what_was_read_is_kept_and_only_new_texts_are_read() {
        let folder = tempfile::tempdir().unwrap();
        small::write(folder.path());
        let encoder = Arc::new(SentenceEncoder::open(folder.path()).unwrap());
        let context = JobContext::detached();
        let open = || Meanings::beside(folder.path(), Arc::clone(&encoder)).unwrap();
        let mut first = open();
        let texts = ["w1 w2", "w3", "w1 w2", "  ", "新茶上市", "nobody knows it", "😀 👟"];
        assert!(!encoder.reads_chinese());
        assert_eq!(first.missing(texts), ["w1 w2", "w3"], "each once, and nothing that it cannot read");
        first.read(&first.missing(texts), &context).unwrap();
        let again = open();
        assert!(again.missing(texts).is_empty() && again.of("新茶上市").is_none());
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near(again.of("w3").unwrap(), first.of("w3").unwrap()), "halves are as good as floats here");
        let places = again.places(["w3", "nobody read it"]);
        let cosines = again.cosines(first.of("w3").unwrap(), &places);
        assert!((cosines[0] - 1.0).abs() < 1e-3 && cosines[1] == 0.0);
        // A record that a crash cut short is dropped, and the next one stands where it stood.
        let path = again.path.clone().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let mut cut = open();
        assert_eq!(cut.missing(["w1 w2", "w3", "w4"]), ["w3", "w4"]);
        cut.read(&["w4"], &context).unwrap();
        assert_eq!(open().missing(["w1 w2", "w3", "w4"]), ["w3"]);
        // A stop keeps what was read, and a file of something else is refused with what to do.
        let stopped = JobContext::watched(Arc::new(true.into()), |_| {});
        assert!(cut.read(&["w5"], &stopped).unwrap_err().is_cancelled());
        std::fs::write(&path, b"no vectors\n").unwrap();
        let failure = Meanings::beside(folder.path(), Arc::clone(&encoder)).unwrap_err();
        assert!(failure.hint.contains("move the file away"), "{failure}");
    }
}
