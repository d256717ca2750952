//! Is a text a copy? The longest common run of words, the likeness of its letters, its cosine, what a sentence encoder makes of
//! it where one is chosen, and the text that it is like.
//!
//! An index of the known texts answers without reading them all: a run of `n` words shares a gram of `n` words, and texts
//! that share most of their 5-grams of letters share at least one (Broder 1997, resemblance of documents).

use super::meanings::Meanings;
use super::plain::{self, Plain};
use crate::base::rng::mix;
use crate::jobs::JobContext;
use crate::language::vectors::inner_product;
use crate::language::{Encoder, EncoderOptions, Vectors};
use serde::Serialize;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// A common run of so many words is a copy.
pub const COPIED_WORDS: usize = 8;
/// So many Chinese characters weigh as much.
pub const COPIED_CHARACTERS: usize = 12;
/// Likeness of 5-grams (Jaccard) from which on a text is a copy.
pub const COPIED_JACCARD: f64 = 0.6;
/// Cosine of the built-in encoder from which on a text is a copy.
pub const COPIED_COSINE: f64 = 0.92;
/// Texts that are looked at for their cosine.
const NEAREST: usize = 4;
/// Letters of a gram.
const GRAM: usize = 5;

/// A known text: of the library, or of a list of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownText {
    /// What to call it in a finding: `library, ad_017`.
    pub source: String,
    /// Its words.
    pub text: String,
}

/// Cosine of a sentence encoder from which on a text says the same as another.
pub const SAME_MEANING: f64 = 0.92;

/// Known texts, by their letters and, where a sentence encoder read them, by what they mean.
#[derive(Debug, Clone, Default)]
pub struct Originals {
    letters: Arc<Letters>,
    meaning: Option<Meaning>,
}

/// Where the vectors of the known texts stand.
#[derive(Debug, Clone)]
struct Meaning {
    meanings: Arc<Meanings>,
    places: Vec<Option<(u32, u32)>>,
}

/// Known texts with their grams.
#[derive(Debug)]
struct Letters {
    encoder: Encoder,
    /// The vector of each text.
    vectors: Vectors,
    texts: Vec<KnownText>,
    /// Tokens of each text, hashed.
    tokens: Vec<Box<[u64]>>,
    /// How many different grams of letters each text has.
    grams: Vec<u32>,
    by_gram: HashMap<u64, Vec<u32>, BuildHasherDefault<Same>>,
    by_run: HashMap<u64, Vec<u32>, BuildHasherDefault<Same>>,
}

/// Hashed keys need no second hash.
#[derive(Debug, Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| mix(hash ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The known text that another is most like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// Where it is from.
    pub source: String,
    /// Its words.
    pub text: String,
    /// Words, or Chinese characters, in the longest run that both hold.
    pub run: usize,
    /// Shared 5-grams of letters of all that both have.
    pub jaccard: f64,
    /// Cosine of both by the built-in encoder, fitted on nothing: spelling counts, not meaning.
    pub cosine: f64,
    /// Cosine by the sentence encoder that was chosen, with its name; `None` where there is none or it did not read both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<(String, f64)>,
    /// True where that is a copy.
    pub copied: bool,
}

impl Default for Letters {
    fn default() -> Self {
        Self {
            encoder: Encoder::unfitted(EncoderOptions::default()),
            vectors: Vectors::default(),
            texts: Vec::new(),
            tokens: Vec::new(),
            grams: Vec::new(),
            by_gram: HashMap::default(),
            by_run: HashMap::default(),
        }
    }
}

impl Originals {
    /// Indexes known texts; empty ones are left out.
    pub fn new(texts: impl IntoIterator<Item = KnownText>) -> Arc<Self> {
        Arc::new(Self { letters: Arc::new(Letters::new(texts)), meaning: None })
    }

    /// Known texts that are compared by meaning too, as far as `meanings` read them.
    pub fn with_meaning(texts: impl IntoIterator<Item = KnownText>, meanings: Arc<Meanings>) -> Arc<Self> {
        let letters = Letters::new(texts);
        let places = meanings.places(letters.texts.iter().map(|known| known.text.as_str()));
        Arc::new(Self { letters: Arc::new(letters), meaning: Some(Meaning { meanings, places }) })
    }

    /// The same texts by their letters alone: for asking thousands of times while a text is written.
    #[must_use]
    pub fn by_letters(&self) -> Arc<Self> {
        Arc::new(Self { letters: Arc::clone(&self.letters), meaning: None })
    }

    /// How many texts are known.
    pub fn len(&self) -> usize {
        self.letters.texts.len()
    }

    /// True where none is known.
    pub fn is_empty(&self) -> bool {
        self.letters.texts.is_empty()
    }

    /// The known text that `text` is most like, a copy before any other; `None` where it shares nothing with any.
    /// `skip` leaves out texts, such as the one that is being edited. A text that the sentence encoder cannot read is compared
    /// by its letters.
    pub fn nearest(&self, text: &str, skip: impl Fn(&KnownText) -> bool) -> Option<Likeness> {
        let read = Read::of(text);
        let found = self.letters.nearest(text, &read, &skip);
        let Some((name, cosines)) = self.meaning.as_ref().and_then(|meaning| meaning.cosines(text)) else {
            return found.map(|(_, likeness)| likeness);
        };
        let told = |place: usize, likeness: Likeness| {
            let cosine = f64::from(cosines[place]);
            let copied = likeness.copied || cosine >= SAME_MEANING;
            Likeness { meaning: Some((name.to_owned(), cosine)), copied, ..likeness }
        };
        let by_letters = found.map(|(place, likeness)| told(place, likeness));
        if by_letters.as_ref().is_some_and(|likeness| likeness.copied) {
            return by_letters;
        }
        let others = (0..cosines.len()).filter(|place| !skip(&self.letters.texts[*place]));
        let nearest = others.max_by(|a, b| cosines[*a].total_cmp(&cosines[*b]));
        let same = nearest.filter(|place| f64::from(cosines[*place]) >= SAME_MEANING);
        same.map(|place| told(place, self.letters.likeness(text, &read, place))).or(by_letters)
    }
}

impl Meaning {
    /// The encoder's name, and the cosine of a text with each known one; `None` for a text that it cannot read.
    fn cosines(&self, text: &str) -> Option<(&str, Vec<f32>)> {
        let encoder = self.meanings.encoder();
        if !self.meanings.can_read(text) {
            return None;
        }
        let vector = encoder.encode(&[text], &JobContext::detached()).ok()?;
        Some((&encoder.name, self.meanings.cosines(vector.row(0), &self.places)))
    }
}

impl Letters {
    fn new(texts: impl IntoIterator<Item = KnownText>) -> Self {
        let mut all = Self::default();
        texts.into_iter().filter(|text| !text.text.trim().is_empty()).for_each(|text| all.add(text));
        let words: Vec<&str> = all.texts.iter().map(|text| text.text.as_str()).collect();
        all.vectors = all.encoder.encode(&words);
        all
    }

    fn add(&mut self, text: KnownText) {
        let place = self.texts.len() as u32;
        let read = Read::of(&text.text);
        for gram in &read.grams {
            self.by_gram.entry(*gram).or_default().push(place);
        }
        for run in read.runs() {
            let known = self.by_run.entry(run).or_default();
            if known.last() != Some(&place) {
                known.push(place);
            }
        }
        self.grams.push(read.grams.len() as u32);
        self.tokens.push(read.tokens.into_boxed_slice());
        self.texts.push(text);
    }

    /// The text that is most like, with its place.
    fn nearest(
        &self,
        text: &str,
        read: &Read,
        skip: &impl Fn(&KnownText) -> bool,
    ) -> Option<(usize, Likeness)> {
        let mut shared = vec![0u32; self.texts.len()];
        for gram in &read.grams {
            for place in self.by_gram.get(gram).into_iter().flatten() {
                shared[*place as usize] += 1;
            }
        }
        let mut runs: Vec<u32> =
            read.runs().filter_map(|run| self.by_run.get(&run)).flatten().copied().collect();
        runs.sort_unstable();
        runs.dedup();
        let jaccard = |place: usize| self.jaccard(read, f64::from(shared[place]), place);
        let taken = |place: &usize| !skip(&self.texts[*place]);
        let by_letters = (0..self.texts.len()).filter(|place| shared[*place] > 0).filter(taken);
        let by_letters = by_letters.max_by(|a, b| jaccard(*a).total_cmp(&jaccard(*b)));
        let longest = |place: usize| longest_run(&read.tokens, &self.tokens[place]);
        let by_run =
            runs.into_iter().map(|place| place as usize).filter(taken).max_by_key(|place| longest(*place));
        let vector = self.encoder.encode_one(text);
        let cosine = |place: usize| f64::from(inner_product(&vector, self.vectors.row(place)));
        // Of the few that are most alike, the first that is not left out.
        let alike = self.vectors.nearest(&vector, NEAREST).into_iter();
        let by_vector =
            alike.map(|(place, _)| place).find(taken).filter(|place| cosine(*place) >= COPIED_COSINE);
        let likeness = |place: usize| (place, self.told(read, jaccard(place), cosine(place), place));
        let found: Vec<(usize, Likeness)> =
            by_letters.into_iter().chain(by_run).chain(by_vector).map(likeness).collect();
        found
            .into_iter()
            .max_by(|(_, a), (_, b)| a.copied.cmp(&b.copied).then(a.jaccard.total_cmp(&b.jaccard)))
    }

    fn jaccard(&self, read: &Read, shared: f64, place: usize) -> f64 {
        shared / (read.grams.len() as f64 + f64::from(self.grams[place]) - shared).max(1.0)
    }

    fn told(&self, read: &Read, jaccard: f64, cosine: f64, place: usize) -> Likeness {
        let run = longest_run(&read.tokens, &self.tokens[place]);
        let copied = run >= read.copied_from() || jaccard >= COPIED_JACCARD || cosine >= COPIED_COSINE;
        let KnownText { source, text } = self.texts[place].clone();
        Likeness { source, text, run, jaccard, cosine, meaning: None, copied }
    }

    /// How like a text is to the known one of a place.
    fn likeness(&self, text: &str, read: &Read, place: usize) -> Likeness {
        let own = |gram: &&u64| self.by_gram.get(*gram).is_some_and(|known| known.contains(&(place as u32)));
        let shared = read.grams.iter().filter(own).count() as f64;
        let cosine = f64::from(inner_product(&self.encoder.encode_one(text), self.vectors.row(place)));
        self.told(read, self.jaccard(read, shared, place), cosine, place)
    }
}

/// A text as the index sees it.
struct Read {
    tokens: Vec<u64>,
    grams: Vec<u64>,
    chinese: bool,
}

impl Read {
    fn of(text: &str) -> Self {
        let words = plain::tokens(&Plain::of(text).text);
        let hashed = |text: &str| text.bytes().fold(0x51_7c_c1_b7, |hash, byte| mix(hash ^ u64::from(byte)));
        let letters: Vec<char> = words.join(" ").chars().collect();
        let grams = if letters.len() < GRAM { letters.chunks(GRAM) } else { [].chunks(GRAM) };
        let mut grams: Vec<u64> = letters
            .windows(GRAM)
            .chain(grams)
            .map(|gram| gram.iter().fold(7, |hash, letter| mix(hash ^ *letter as u64)))
            .collect();
        grams.sort_unstable();
        grams.dedup();
        Self {
            tokens: words.iter().map(|word| hashed(word)).collect(),
            grams,
            chinese: plain::is_chinese(text),
        }
    }

    fn copied_from(&self) -> usize {
        if self.chinese { COPIED_CHARACTERS } else { COPIED_WORDS }
    }

    fn runs(&self) -> impl Iterator<Item = u64> + '_ {
        self.tokens.windows(COPIED_WORDS).map(|run| run.iter().fold(3, |hash, word| mix(hash ^ word)))
    }
}

/// Tokens in the longest run that two texts share.
fn longest_run(one: &[u64], other: &[u64]) -> usize {
    let mut above = vec![0usize; other.len() + 1];
    let mut longest = 0;
    for token in one {
        let mut diagonal = 0;
        for (place, known) in other.iter().enumerate() {
            let run = if token == known { diagonal + 1 } else { 0 };
            diagonal = above[place + 1];
            above[place + 1] = run;
            longest = longest.max(run);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(texts: &[&str]) -> Arc<Originals> {
        let named = texts
            .iter()
            .enumerate()
            .map(|(at, text)| KnownText { source: format!("t{at}"), text: (*text).into() });
        Originals::new(named)
    }

    #[test]
    fn a_run_of_eight_words_is_a_copy_and_seven_are_not() {
        let library =
            known(&["alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi"]);
        let eight = "so it says: Beta gamma delta epsilon zeta eta theta iota, and much that is quite unlike";
        let found = library.nearest(eight, |_| false).unwrap();
        assert_eq!((found.run, found.copied, found.source.as_str()), (8, true, "t0"));
        let seven = "so it says: beta gamma delta epsilon zeta eta theta, and much that is quite unlike";
        let found = library.nearest(seven, |_| false).unwrap();
        assert_eq!((found.run, found.copied), (7, false), "{found:?}");
    }

    #[test]
    fn jaccard_is_that_of_the_sets_of_grams() {
        // abcde bcdef cdefg against bcdef cdefg defgh: 2 of 4.
        let found = known(&["bcdefgh"]).nearest("abcdefg", |_| false).unwrap();
        assert!((found.jaccard - 0.5).abs() < 1e-12, "{found:?}");
        assert!(
            known(&["下雨也照走的登山鞋"])
                .nearest("下雨也照走的登山靴", |_| false)
                .is_some_and(|one| one.copied)
        );
        assert_eq!(known(&["one"]).nearest("整个不同", |_| false), None);
    }
}
