//! Which features does a text have? Words, pairs of neighbours and runs of letters, hashed.
//!
//! The hashing trick (Weinberger et al. 2009): a feature is a bucket of [`BUCKETS`], and no dictionary is kept. Runs of
//! letters with the word's ends marked (fastText, Bojanowski et al. 2017) let "runner" be like "running".

use super::words::{Kind, Token};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Buckets of features: collisions are rare with the 10^5 features of a campaign.
pub const BUCKETS: usize = 1 << 20;

/// Shortest and longest run of letters.
const RUNS: [usize; 2] = [3, 5];

/// Letters of a word that are looked at: a run of a thousand letters is no word.
const LONGEST_WORD: usize = 40;

/// A feature of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gram {
    /// Its bucket.
    pub bucket: u32,
    /// The tokens that it is made of: the first, and how many.
    pub from: u32,
    /// 1 for words and runs of letters, 2 for pairs.
    pub tokens: u32,
    /// True for a whole word or number.
    pub is_word: bool,
}

/// Hashes buckets by themselves: they are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u32(&mut self, value: u32) {
        // hashbrown takes its tag from the top bits and its place from the lowest.
        self.0 = u64::from(value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A map by bucket.
pub type ByBucket<T> = HashMap<u32, T, BuildHasherDefault<Itself>>;

/// The features of a text, in its order; one that occurs twice is there twice.
pub fn grams(tokens: &[Token]) -> Vec<Gram> {
    let mut found = Vec::with_capacity(tokens.len() * 12);
    let mut marked = String::new();
    for (place, token) in tokens.iter().enumerate() {
        let from = place as u32;
        let is_word = |family: u64| family == 1 && token.kind != Kind::Mark;
        let mut push = |family: u64, text: &str, tokens: u32| {
            let bucket = (xxh3_64_with_seed(text.as_bytes(), family) % BUCKETS as u64) as u32;
            found.push(Gram { bucket, from, tokens, is_word: is_word(family) });
        };
        push(1, &token.text, 1);
        if let Some(next) = tokens.get(place + 1) {
            marked.clear();
            marked.extend([&token.text, " ", &next.text]);
            push(2, &marked, 2);
        }
        match token.kind {
            Kind::Word => {
                marked.clear();
                marked.push('<');
                marked.extend(token.text.chars().take(LONGEST_WORD));
                marked.push('>');
                runs(&marked, RUNS, |run| push(3, run, 1));
            }
            // Two words of two characters that share one are of one family: 跑鞋, 跑步.
            Kind::Han if token.text.chars().nth(1).is_some() => {
                runs(&token.text, [1, 1], |run| push(3, run, 1));
            }
            _ => {}
        }
    }
    found
}

/// Calls with each run of `shortest..=longest` characters.
fn runs(text: &str, [shortest, longest]: [usize; 2], mut each: impl FnMut(&str)) {
    let mut ends = [0usize; LONGEST_WORD + 4];
    let mut count = 0;
    for (start, c) in text.char_indices().take(LONGEST_WORD + 2) {
        count += 1;
        ends[count] = start + c.len_utf8();
    }
    for from in 0..count {
        for length in shortest..=longest.min(count - from) {
            each(&text[ends[from]..ends[from + length]]);
        }
    }
}

/// How many texts of a corpus have each feature.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frequencies {
    /// Texts.
    pub texts: u32,
    /// Texts by feature.
    pub with: ByBucket<u32>,
}

impl Frequencies {
    /// Counts a text.
    pub fn add(&mut self, grams: &[Gram]) {
        self.texts += 1;
        let mut buckets: Vec<u32> = grams.iter().map(|gram| gram.bucket).collect();
        buckets.sort_unstable();
        buckets.dedup();
        buckets.into_iter().for_each(|bucket| *self.with.entry(bucket).or_default() += 1);
    }

    /// Inverse document frequency, smoothed: `ln((1 + n) / (1 + df)) + 1` (scikit-learn's TfidfVectorizer).
    pub fn inverse(&self, bucket: u32) -> f32 {
        let with = self.with.get(&bucket).copied().unwrap_or_default();
        ((1.0 + f64::from(self.texts)) / (1.0 + f64::from(with))).ln() as f32 + 1.0
    }

    /// The weight of each feature of a text: `(1 + ln tf) idf`, the whole of length 1; by bucket, each once.
    pub fn weigh(&self, grams: &[Gram]) -> Vec<(u32, f32)> {
        let mut buckets: Vec<u32> = grams.iter().map(|gram| gram.bucket).collect();
        buckets.sort_unstable();
        let mut weights: Vec<(u32, f32)> = buckets
            .chunk_by(|a, b| a == b)
            .map(|same| (same[0], (1.0 + (same.len() as f32).ln()) * self.inverse(same[0])))
            .collect();
        let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
        weights.iter_mut().for_each(|(_, weight)| *weight /= length.max(f32::MIN_POSITIVE));
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::words::tokens;

    #[test]
    fn a_word_has_its_runs_and_a_pair_its_neighbours() {
        // <ab> has <ab, ab>, <ab>; two words and one pair beside them.
        let found = grams(&tokens("ab c"));
        assert_eq!(found.iter().filter(|gram| gram.tokens == 2).count(), 1);
        assert_eq!(found.iter().filter(|gram| gram.from == 0 && gram.tokens == 1).count(), 4);
        let mut all = Vec::new();
        runs("<ab>", [3, 5], |run| all.push(run.to_owned()));
        assert_eq!(all, ["<ab", "<ab>", "ab>"]);
    }

    #[test]
    fn weights_are_those_of_the_textbook() {
        let texts = ["red shoes", "red hats", "red"].map(|text| grams(&tokens(text)));
        let mut counts = Frequencies::default();
        texts.iter().for_each(|text| counts.add(text));
        // "red" is in all three: ln(4/4) + 1; "shoes" in one: ln(4/2) + 1.
        assert!((counts.inverse(texts[2][0].bucket) - 1.0).abs() < 1e-6);
        let shoes = texts[0].iter().find(|gram| gram.is_word && gram.from == 1).unwrap();
        assert!((counts.inverse(shoes.bucket) - (2f32.ln() + 1.0)).abs() < 1e-6);
        let weights = counts.weigh(&texts[0]);
        let length: f32 = weights.iter().map(|(_, weight)| weight * weight).sum();
        assert!((length - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_word_without_end_costs_little() {
        let found = grams(&tokens(&"a".repeat(100_000)));
        assert!(found.len() < 200, "{}", found.len());
    }
}
