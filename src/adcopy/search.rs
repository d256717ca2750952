//! Which known texts mean nearly what somebody asks for, and by which words?
//!
//! By an encoder that is fitted on the library itself (words in the company that they keep), or by what a sentence encoder read
//! of it. An index is made once for the texts that there are and asked again.

use super::library::{Item, Library};
use super::meanings::Meanings;
use super::plain;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::language::vectors::inner_product;
use crate::language::{Encoder, EncoderOptions, Vectors, WordShare};
use rayon::prelude::*;
use std::sync::Arc;

/// The texts of a library as vectors.
pub struct Index {
    how: How,
    items: Vec<Arc<Item>>,
    /// The end of the audit when it was made: another end, another library.
    head: String,
}

enum How {
    Own(Box<Encoder>, Vectors),
    Sentences(Arc<Meanings>, Vec<Option<(u32, u32)>>),
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
    /// Reads the texts of a library, or takes what a sentence encoder read of it.
    ///
    /// # Errors
    /// An empty library, or a cancel.
    pub fn of(library: &Library, meanings: Option<Arc<Meanings>>, context: &JobContext) -> Result<Self> {
        let what = "cannot search the library";
        if library.items().is_empty() {
            return Err(Failure::new(what, "it is empty").hint("keep candidates, or take in texts"));
        }
        let items = library.items().to_vec();
        let all: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
        context.stage("reading the texts");
        let how = match meanings {
            None => {
                let encoder = Encoder::fit(&all, EncoderOptions::default(), context)?;
                let vectors = encoder.encode(&all);
                How::Own(Box::new(encoder), vectors)
            }
            Some(meanings) => {
                let places = meanings.places(all);
                How::Sentences(meanings, places)
            }
        };
        Ok(Self { how, items, head: library.head().hash.clone() })
    }

    /// True while the library is the one that was read, by the same kind of encoder.
    pub fn is_of(&self, library: &Library, meanings: Option<&Meanings>) -> bool {
        let same = match (&self.how, meanings) {
            (How::Own(..), None) => true,
            (How::Sentences(own, _), Some(other)) => own.encoder().hash == other.encoder().hash,
            _ => false,
        };
        same && self.head == library.head().hash
    }

    /// What read the texts, in words.
    pub fn by(&self) -> &str {
        match &self.how {
            How::Own(..) => "the built-in encoder",
            How::Sentences(meanings, _) => &meanings.encoder().name,
        }
    }

    /// Texts that were not read: of a language that the encoder does not know.
    pub fn unread(&self) -> usize {
        match &self.how {
            How::Own(..) => 0,
            How::Sentences(_, places) => places.iter().filter(|place| place.is_none()).count(),
        }
    }

    /// The texts most like a question, best first; those that share nothing with it are left out.
    ///
    /// # Errors
    /// An empty question, one in a language that the encoder does not know, or a cancel.
    pub fn nearest(&self, question: &str, most: usize, context: &JobContext) -> Result<Vec<Hit>> {
        let what = "cannot search the library";
        if question.trim().is_empty() {
            return Err(Failure::new(what, "nothing is asked").hint("write some words"));
        }
        let (asked, cosines) = match &self.how {
            How::Own(encoder, vectors) => {
                let asked = encoder.encode_one(question);
                let rows: Vec<usize> = (0..vectors.len()).collect();
                let cosines = rows.into_par_iter().map(|at| inner_product(vectors.row(at), &asked)).collect();
                (asked, cosines)
            }
            How::Sentences(meanings, places) => {
                if !meanings.can_read(question) {
                    let is_foreign = plain::is_chinese(question) && !meanings.encoder().reads_chinese();
                    let what_not = if is_foreign { "Chinese" } else { "such words" };
                    let why = format!("{} knows no {what_not}", meanings.encoder().name);
                    return Err(Failure::new(what, why).hint("search by the built-in encoder"));
                }
                let asked = meanings.encoder().encode(&[question], context)?.row(0).to_vec();
                let cosines = meanings.cosines(&asked, places);
                (asked, cosines)
            }
        };
        let mut found: Vec<(usize, f32)> =
            cosines.into_iter().enumerate().filter(|(_, cosine)| *cosine > 1e-6).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(most);
        let hit = |(at, cosine): (usize, f32)| {
            let item = &self.items[at];
            let words = match &self.how {
                How::Own(encoder, _) => encoder.explain(&item.text, &asked),
                How::Sentences(..) => Vec::new(),
            };
            Hit { id: item.id.clone(), cosine, words }
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
        assert!(index.is_of(&library, None));
        let hits = index.nearest("shoes for a trail run", 3, &context).unwrap();
        assert!(hits[0].id == "c000001" || hits[0].id == "c000003", "{hits:?}");
        assert!(hits.windows(2).all(|pair| pair[0].cosine >= pair[1].cosine));
        let sum: f32 = hits[0].words.iter().map(|word| word.share).sum();
        assert!((sum - hits[0].cosine).abs() < 1e-4 && hits[0].why().contains("shoes"), "{}", hits[0].why());
        let tea = index.nearest("新茶上市", 1, &context).unwrap();
        assert_eq!(tea[0].id, "c000004");
        assert!(index.nearest("  ", 1, &context).unwrap_err().why.contains("nothing is asked"));
        library.import("mei", "list", vec![Item { text: "one more".into(), ..Item::default() }]).unwrap();
        assert!(!index.is_of(&library, None), "a changed library is read anew");
    }
}
