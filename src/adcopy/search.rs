//! Which known texts mean nearly what somebody asks for, and by which words?
//!
//! By an encoder that is fitted on the library itself (words in the company that they keep), or by a sentence encoder where
//! one is at hand. An index is made once for the texts that there are and asked again.

use super::library::Library;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::language::sentence::SentenceEncoder;
use crate::language::vectors::inner_product;
use crate::language::{Encoder, EncoderOptions, Vectors, WordShare};
use std::path::Path;

/// Texts that a sentence encoder reads at most: more would take minutes.
const MOST_SENTENCES: usize = 20_000;

/// The texts of a library as vectors.
pub struct Index {
    how: How,
    ids: Vec<String>,
    texts: Vec<String>,
    vectors: Vectors,
    /// The end of the audit when it was made: another end, another library.
    head: String,
}

enum How {
    Own(Box<Encoder>),
    Sentences(Box<SentenceEncoder>),
}

/// A text that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Name of the creative.
    pub id: String,
    /// Cosine with what was asked.
    pub cosine: f32,
    /// What each word of it adds; empty where a sentence encoder read it whole.
    pub words: Vec<WordShare>,
}

impl Index {
    /// Reads the texts of a library; `encoder` is the folder of a sentence encoder.
    ///
    /// # Errors
    /// An empty library, an encoder that cannot be opened, more texts than it reads in good time, or a cancel.
    pub fn of(library: &Library, encoder: Option<&Path>, context: &JobContext) -> Result<Self> {
        let what = "cannot search the library";
        if library.items().is_empty() {
            return Err(Failure::new(what, "it is empty").hint("keep candidates, or take in texts"));
        }
        let ids = library.items().iter().map(|item| item.id.clone()).collect();
        let texts: Vec<String> = library.items().iter().map(|item| item.text.clone()).collect();
        let all: Vec<&str> = texts.iter().map(String::as_str).collect();
        context.stage("reading the texts");
        let (how, vectors) = match encoder {
            None => {
                let encoder = Encoder::fit(&all, EncoderOptions::default(), context)?;
                let vectors = encoder.encode(&all);
                (How::Own(Box::new(encoder)), vectors)
            }
            Some(_) if all.len() > MOST_SENTENCES => {
                let why = format!("{} texts are many for a sentence encoder", all.len());
                return Err(Failure::new(what, why).hint("search without --encoder"));
            }
            Some(folder) => {
                let encoder = SentenceEncoder::open(folder)?;
                let vectors = encoder.encode(&all, context)?;
                (How::Sentences(Box::new(encoder)), vectors)
            }
        };
        Ok(Self { how, ids, texts, vectors, head: library.head().hash.clone() })
    }

    /// True while the library is the one that was read.
    pub fn is_of(&self, library: &Library) -> bool {
        self.head == library.head().hash
    }

    /// The texts most like a question, best first; those that share nothing with it are left out.
    ///
    /// # Errors
    /// An empty question, or a cancel.
    pub fn nearest(&self, question: &str, most: usize, context: &JobContext) -> Result<Vec<Hit>> {
        if question.trim().is_empty() {
            return Err(
                Failure::new("cannot search the library", "nothing is asked").hint("write some words")
            );
        }
        let asked = match &self.how {
            How::Own(encoder) => encoder.encode_one(question),
            How::Sentences(encoder) => encoder.encode(&[question], context)?.row(0).to_vec(),
        };
        let mut found: Vec<(usize, f32)> =
            (0..self.ids.len()).map(|at| (at, inner_product(self.vectors.row(at), &asked))).collect();
        found.retain(|(_, cosine)| *cosine > 1e-6);
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(most);
        let hit = |(at, cosine): (usize, f32)| {
            let words = match &self.how {
                How::Own(encoder) => encoder.explain(&self.texts[at], &asked),
                How::Sentences(_) => Vec::new(),
            };
            Hit { id: self.ids[at].clone(), cosine, words }
        };
        Ok(found.into_iter().map(hit).collect())
    }
}

impl Hit {
    /// Why it was found, in words.
    pub fn why(&self) -> String {
        let mut words: Vec<&WordShare> = self.words.iter().filter(|word| word.share.abs() >= 0.005).collect();
        words.sort_by(|a, b| b.share.total_cmp(&a.share));
        let told: Vec<String> =
            words.iter().take(6).map(|word| format!("{} {:+.2}", word.word, word.share)).collect();
        match told.is_empty() {
            true => format!("likeness {:.2}", self.cosine),
            false => format!("likeness {:.2} = {}", self.cosine, told.join("  ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Item;
    use super::*;

    #[test]
    fn texts_are_found_by_what_they_mean_and_told_word_by_word() {
        let folder = tempfile::tempdir().unwrap();
        let context = JobContext::detached();
        let mut library = Library::open(folder.path()).unwrap();
        assert!(Index::of(&library, None, &context).is_err());
        let texts = [
            "Light running shoes for wet trails",
            "Fresh coffee beans every Tuesday",
            "Trail shoes, 240 g",
            "新茶上市",
        ];
        let items = texts.map(|text| Item { text: text.into(), ..Item::default() }).to_vec();
        library.import("mei", "list", items).unwrap();
        let index = Index::of(&library, None, &context).unwrap();
        assert!(index.is_of(&library));
        let hits = index.nearest("shoes for a trail run", 3, &context).unwrap();
        assert!(hits[0].id == "c000001" || hits[0].id == "c000003", "{hits:?}");
        assert!(hits.windows(2).all(|pair| pair[0].cosine >= pair[1].cosine));
        let sum: f32 = hits[0].words.iter().map(|word| word.share).sum();
        assert!((sum - hits[0].cosine).abs() < 1e-4 && hits[0].why().contains("shoes"), "{}", hits[0].why());
        let tea = index.nearest("新茶上市", 1, &context).unwrap();
        assert_eq!(tea[0].id, "c000004");
        assert!(index.nearest("  ", 1, &context).unwrap_err().why.contains("nothing is asked"));
        library.import("mei", "list", vec![Item { text: "one more".into(), ..Item::default() }]).unwrap();
        assert!(!index.is_of(&library), "a changed library is read anew");
    }
}
