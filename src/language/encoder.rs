//! How does a text become a vector without any model file?
//!
//! Three parts side by side, each of its own length:
//! - **meaning**: weighted words and runs of letters ([`Frequencies`]), projected on the directions that hold most of the
//!   texts it was fitted on ([latent semantic analysis](super::sparse), Deerwester et al. 1990);
//! - **company**: the weighted mean of [word vectors](super::word_vectors);
//! - **spelling**: the features themselves, folded by signs that their hash draws (Charikar et al. 2002), so that words which
//!   no fitted text had still tell two texts apart, and an encoder that was fitted on nothing works.
//!
//! The whole has length 1, so an inner product is a cosine: the sum of the parts' cosines by their shares.

use super::grams::{ByBucket, Frequencies, Gram, grams};
use super::sparse::Sparse;
use super::vectors::{add_rows, inner_product};
use super::word_vectors::WordVectors;
use super::words::{Token, tokens};
use crate::base::rng::{Rng, mix};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Texts that the directions are fitted on at most, drawn at random from more.
const MOST_TEXTS: usize = 50_000;
/// From so many texts on, a feature needs two of them to count.
const RARE_FROM: usize = 200;
/// Occurrences that a word needs for a vector.
const LEAST_WORDS: usize = 2;
/// Texts between two looks for a cancel.
const CHUNK: usize = 1024;

/// The parts of a vector, and how much each counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EncoderOptions {
    /// Numbers for the meaning.
    pub meaning: usize,
    /// Numbers for the company of words.
    pub company: usize,
    /// Numbers for the spelling.
    pub spelling: usize,
    /// What meaning, company and spelling count in a cosine; those that a text has are scaled to a sum of 1.
    pub shares: [f32; 3],
    /// Start of every random draw.
    pub seed: u64,
    /// Features that get a row of their own at most, the most frequent first.
    pub features: usize,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            meaning: 96,
            company: 32,
            spelling: 128,
            shares: [0.5, 0.15, 0.35],
            seed: 1,
            features: 1 << 16,
        }
    }
}

impl EncoderOptions {
    /// Few numbers, all of them fitted: the inputs of a ranker.
    pub fn for_rankers(width: usize, seed: u64) -> Self {
        let company = width / 4;
        Self {
            meaning: width - company,
            company,
            spelling: 0,
            shares: [0.7, 0.3, 0.0],
            seed,
            ..Self::default()
        }
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.meaning + self.company + self.spelling
    }
}

/// Turns texts into vectors of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    pub(super) options: EncoderOptions,
    pub(super) counts: Frequencies,
    /// Row of a feature in `meaning`.
    pub(super) rows: ByBucket<u32>,
    pub(super) meaning: Vec<f32>,
    /// Row of a word's bucket in `company`.
    pub(super) words: ByBucket<u32>,
    pub(super) company: Vec<f32>,
}

/// Vectors of one width, one after another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vectors {
    /// Numbers in each.
    pub width: usize,
    /// `[texts, width]`, row-major.
    pub values: Vec<f32>,
}

/// What a word of a text adds to its likeness with another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordShare {
    /// The word as it stands in the text.
    pub word: String,
    /// Its first byte in the text.
    pub start: usize,
    /// What it adds; all words of a text together give the cosine.
    pub share: f32,
}

impl Vectors {
    /// The vector of a text.
    pub fn row(&self, text: usize) -> &[f32] {
        &self.values[text * self.width..][..self.width]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or_default()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The `most` that have the largest inner product with `query`, best first, as `(place, product)`.
    pub fn nearest(&self, query: &[f32], most: usize) -> Vec<(usize, f32)> {
        let rows: Vec<usize> = (0..self.len()).collect();
        let mut scored: Vec<(usize, f32)> =
            rows.into_par_iter().map(|at| (at, inner_product(query, self.row(at)))).collect();
        let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if scored.len() > most && most > 0 {
            scored.select_nth_unstable_by(most - 1, order);
        }
        scored.truncate(most);
        scored.sort_by(order);
        scored
    }
}

/// A text taken apart.
struct Parts {
    tokens: Vec<Token>,
    grams: Vec<Gram>,
    weights: Vec<(u32, f32)>,
}

impl Encoder {
    /// An encoder that was fitted on nothing: spelling alone tells texts apart.
    pub fn unfitted(options: EncoderOptions) -> Self {
        let nothing = ByBucket::default();
        let (counts, rows, words) = (Frequencies::default(), nothing.clone(), nothing);
        Self { options, counts, rows, meaning: Vec::new(), words, company: Vec::new() }
    }

    /// Fits on texts; equal ones count once. The same texts and seed give the same encoder, on any number of threads.
    ///
    /// # Errors
    /// A width of 0, or a cancel.
    pub fn fit(texts: &[&str], options: EncoderOptions, context: &JobContext) -> Result<Self> {
        if options.width() == 0 {
            return Err(Failure::new("cannot encode texts", "the vectors have no numbers")
                .hint("ask for at least one number for meaning, company or spelling"));
        }
        context.stage("reading texts");
        let mut met = HashSet::new();
        let texts: Vec<&str> = texts.iter().copied().filter(|text| met.insert(*text)).collect();
        let mut encoder = Self::unfitted(options);
        let mut sample: Vec<usize> = (0..texts.len()).collect();
        if texts.len() > MOST_TEXTS {
            Rng::named(options.seed, "texts of an encoder").shuffle(&mut sample);
            sample.truncate(MOST_TEXTS);
            sample.sort_unstable();
        }
        let mut apart: Vec<Vec<Gram>> = Vec::with_capacity(sample.len());
        for chunk in sample.chunks(CHUNK) {
            context.check()?;
            apart.par_extend(chunk.par_iter().map(|at| grams(&tokens(texts[*at]))));
        }
        apart.iter().for_each(|grams| encoder.counts.add(grams));
        encoder.choose_rows();
        context.stage("finding directions");
        encoder.fit_meaning(&apart, context)?;
        context.stage("learning words");
        encoder.fit_company(&apart, context)?;
        // What has no row is as rare as what was never seen.
        let rows = &encoder.rows;
        encoder.counts.with.retain(|bucket, _| rows.contains_key(bucket));
        Ok(encoder)
    }

    /// Gives the most frequent features a row.
    fn choose_rows(&mut self) {
        let least = if (self.counts.texts as usize) < RARE_FROM { 1 } else { 2 };
        let mut known: Vec<(u32, u32)> =
            self.counts.with.iter().filter(|(_, texts)| **texts >= least).map(|(b, t)| (*t, *b)).collect();
        known.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        known.truncate(self.options.features);
        self.rows = known.into_iter().zip(0..).map(|((_, bucket), row)| (bucket, row)).collect();
    }

    fn fit_meaning(&mut self, texts: &[Vec<Gram>], context: &JobContext) -> Result<()> {
        let width = self.options.meaning;
        let cells = texts.iter().map(|grams| self.known(&self.counts.weigh(grams)));
        let matrix = Sparse::of(cells, self.rows.len());
        let found = matrix.leading(width, self.options.seed, context)?;
        // Fewer texts than directions: the rest stays zero, so that the width is what was asked for.
        let narrow = found.values.len();
        self.meaning = vec![0.0; self.rows.len() * width];
        if narrow > 0 && width > 0 {
            for (row, from) in self.meaning.chunks_mut(width).zip(found.vectors.chunks(narrow)) {
                row[..narrow].copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn fit_company(&mut self, texts: &[Vec<Gram>], context: &JobContext) -> Result<()> {
        if self.options.company == 0 {
            return Ok(());
        }
        let words: Vec<Vec<u32>> = texts.iter().map(|grams| words_of(grams).collect()).collect();
        let (width, seed) = (self.options.company, self.options.seed);
        let fitted = WordVectors::fit(&words, width, LEAST_WORDS, seed, context)?;
        self.words = fitted.words.into_iter().zip(0..).collect();
        self.company = fitted.vectors;
        Ok(())
    }

    /// What it was fitted with.
    pub fn options(&self) -> &EncoderOptions {
        &self.options
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.options.width()
    }

    /// Texts that it was fitted on.
    pub fn texts(&self) -> usize {
        self.counts.texts as usize
    }

    /// The vectors of texts, on all threads. Each is of length 1; one without any word or sign is of zeros.
    pub fn encode(&self, texts: &[&str]) -> Vectors {
        let width = self.width();
        let mut values = vec![0.0; texts.len() * width];
        values
            .par_chunks_mut(width.max(1))
            .zip(texts.par_iter())
            .with_min_len(16)
            .for_each(|(out, text)| self.encode_into(text, out));
        Vectors { width, values }
    }

    /// The vector of one text.
    pub fn encode_one(&self, text: &str) -> Vec<f32> {
        let mut out = vec![0.0; self.width()];
        self.encode_into(text, &mut out);
        out
    }

    /// The cosine of two texts, -1 to 1; 0 where one has no word.
    pub fn similarity(&self, a: &str, b: &str) -> f32 {
        inner_product(&self.encode_one(a), &self.encode_one(b))
    }

    /// What each word of `text` adds to its inner product with `other`, a vector of this encoder: in the order of the text,
    /// together the product.
    pub fn explain(&self, text: &str, other: &[f32]) -> Vec<WordShare> {
        let parts = self.apart(text);
        let mut vector = vec![0.0; self.width()];
        let scales = self.fill(&parts, &mut vector);
        let mut shares = vec![0.0f32; parts.tokens.len()];
        let mut one = vec![0.0; self.width()];
        for gram in &parts.grams {
            let Ok(at) = parts.weights.binary_search_by_key(&gram.bucket, |(bucket, _)| *bucket) else {
                continue;
            };
            let times = parts.grams.iter().filter(|other| other.bucket == gram.bucket).count() as f32;
            one.fill(0.0);
            self.add(&[(gram.bucket, parts.weights[at].1 / times)], &mut one);
            if gram.is_word {
                self.add_words(std::iter::once(gram.bucket), &mut one);
            }
            let [meaning, company, spelling] = self.split(&one);
            let [to_meaning, to_company, to_spelling] = self.split(other);
            let share = scales[0] * inner_product(meaning, to_meaning)
                + scales[1] * inner_product(company, to_company)
                + scales[2] * inner_product(spelling, to_spelling);
            for token in gram.from..gram.from + gram.tokens {
                shares[token as usize] += share / gram.tokens as f32;
            }
        }
        parts
            .tokens
            .iter()
            .zip(shares)
            .map(|(token, share)| WordShare {
                word: text[token.span.clone()].to_owned(),
                start: token.span.start,
                share,
            })
            .collect()
    }

    /// The weighted features of a text, by bucket, of length 1: the input of a linear model.
    pub fn features(&self, text: &str) -> Vec<(u32, f32)> {
        self.counts.weigh(&grams(&tokens(text)))
    }

    fn apart(&self, text: &str) -> Parts {
        let tokens = tokens(text);
        let grams = grams(&tokens);
        let weights = self.counts.weigh(&grams);
        Parts { tokens, grams, weights }
    }

    fn encode_into(&self, text: &str, out: &mut [f32]) {
        self.fill(&self.apart(text), out);
    }

    /// Writes the vector and answers what each part was multiplied by.
    fn fill(&self, parts: &Parts, out: &mut [f32]) -> [f32; 3] {
        self.add(&parts.weights, out);
        self.add_words(words_of(&parts.grams), out);
        let lengths = self.split(out).map(|part| inner_product(part, part).sqrt());
        let mut scales = [0.0; 3];
        let there: f32 =
            self.options.shares.iter().zip(lengths).filter(|(_, l)| *l > 0.0).map(|(s, _)| s).sum();
        for part in 0..3 {
            if lengths[part] > 0.0 && there > 0.0 {
                scales[part] = (self.options.shares[part] / there).sqrt() / lengths[part];
            }
        }
        let EncoderOptions { meaning, company, .. } = self.options;
        let of_place = |at: usize| usize::from(at >= meaning) + usize::from(at >= meaning + company);
        out.iter_mut().enumerate().for_each(|(at, value)| *value *= scales[of_place(at)]);
        scales
    }

    fn split<'a>(&self, vector: &'a [f32]) -> [&'a [f32]; 3] {
        let (meaning, rest) = vector.split_at(self.options.meaning.min(vector.len()));
        let (company, spelling) = rest.split_at(self.options.company.min(rest.len()));
        [meaning, company, spelling]
    }

    /// The rows of those features that have one.
    fn known(&self, weights: &[(u32, f32)]) -> Vec<(u32, f32)> {
        weights.iter().filter_map(|(bucket, weight)| Some((*self.rows.get(bucket)?, *weight))).collect()
    }

    /// Adds meaning and spelling of weighted features.
    fn add(&self, weights: &[(u32, f32)], out: &mut [f32]) {
        let EncoderOptions { meaning, company, spelling, .. } = self.options;
        if !self.meaning.is_empty() {
            add_rows(&self.known(weights), &self.meaning, &mut out[..meaning]);
        }
        if spelling > 0 {
            let out = &mut out[meaning + company..];
            for (bucket, weight) in weights {
                let drawn = mix(u64::from(*bucket));
                let place = (drawn >> 1) as usize % spelling;
                out[place] += if drawn & 1 == 0 { *weight } else { -weight };
            }
        }
    }

    /// Adds the vectors of words, the rarer the more.
    fn add_words(&self, words: impl Iterator<Item = u32>, out: &mut [f32]) {
        if self.company.is_empty() {
            return;
        }
        let EncoderOptions { meaning, company, .. } = self.options;
        let rows: Vec<(u32, f32)> =
            words.filter_map(|word| Some((*self.words.get(&word)?, self.counts.inverse(word)))).collect();
        add_rows(&rows, &self.company, &mut out[meaning..meaning + company]);
    }
}

/// Buckets of the words of a text, signs aside.
fn words_of(grams: &[Gram]) -> impl Iterator<Item = u32> {
    grams.iter().filter(|gram| gram.is_word).map(|gram| gram.bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 12] = [
        "Running shoes for beginners, light and soft",
        "Light running shoes with 30-day returns",
        "Trail running shoes, grip on wet ground",
        "Marathon shoes: run faster",
        "Cheap flights to Lisbon this spring",
        "Flights to Portugal from 49 euros",
        "Book your flight to Lisbon today",
        "Spring flights, low prices",
        "新款跑鞋 轻便透气",
        "跑鞋限时折扣 新款上市",
        "飞往里斯本的特价机票",
        "春季特价机票 立即预订",
    ];

    fn fitted() -> Encoder {
        Encoder::fit(&TEXTS, EncoderOptions::default(), &JobContext::detached()).unwrap()
    }

    #[test]
    fn texts_about_one_thing_are_more_alike_than_others() {
        let encoder = fitted();
        let shoes = encoder.similarity("soft shoes for running", TEXTS[1]);
        assert!(shoes > encoder.similarity("soft shoes for running", TEXTS[5]) + 0.2, "{shoes}");
        let flights = encoder.similarity("特价机票", TEXTS[11]);
        assert!(flights > encoder.similarity("特价机票", TEXTS[8]) + 0.2, "{flights}");
        let one = encoder.encode(&TEXTS);
        let query = encoder.encode_one("跑鞋");
        let best: Vec<usize> = one.nearest(&query, 2).into_iter().map(|(at, _)| at).collect();
        assert!(best.contains(&8) && best.contains(&9), "{best:?}");
    }

    #[test]
    fn vectors_have_length_one_and_repeat() {
        let (encoder, again) = (fitted(), fitted());
        assert_eq!(encoder, again);
        for text in TEXTS.iter().chain(&["never seen words", "🙂", "ＳＡＬＥ"]) {
            let vector = encoder.encode_one(text);
            assert!((inner_product(&vector, &vector) - 1.0).abs() < 1e-5, "{text}");
            assert!((encoder.similarity(text, text) - 1.0).abs() < 1e-5);
        }
        assert!(encoder.encode_one(" \n").iter().all(|value| *value == 0.0));
        assert_eq!(encoder.encode(&TEXTS).row(3), encoder.encode_one(TEXTS[3]));
    }

    #[test]
    fn the_shares_of_words_add_up_to_the_cosine() {
        let encoder = fitted();
        let other = encoder.encode_one(TEXTS[0]);
        for text in ["soft shoes, soft prices to Lisbon", "新款 shoes", TEXTS[0]] {
            let shares = encoder.explain(text, &other);
            let sum: f32 = shares.iter().map(|share| share.share).sum();
            let whole = inner_product(&encoder.encode_one(text), &other);
            assert!((sum - whole).abs() < 1e-4, "{text}: {sum} for {whole}");
        }
        let shares = encoder.explain("shoes to Lisbon", &other);
        assert!(shares[0].share > shares[2].share, "{shares:?}");
    }

    #[test]
    fn an_encoder_fitted_on_nothing_knows_equal_and_nearly_equal_texts() {
        let encoder = Encoder::unfitted(EncoderOptions::default());
        let near = encoder.similarity("Free delivery on all orders", "Free delivery on all order");
        let far = encoder.similarity("Free delivery on all orders", "Learn to swim in May");
        assert!(near > 0.8 && far < 0.35, "{near} and {far}");
        let none = Encoder::fit(&[], EncoderOptions::default(), &JobContext::detached()).unwrap();
        assert_eq!(none.encode_one("a b"), encoder.encode_one("a b"));
    }

    #[test]
    fn no_width_and_a_cancel_are_told() {
        let none = EncoderOptions { meaning: 0, company: 0, spelling: 0, ..EncoderOptions::default() };
        assert!(Encoder::fit(&TEXTS, none, &JobContext::detached()).unwrap_err().why.contains("no numbers"));
        let context = JobContext::watched(std::sync::Arc::new(true.into()), |_| {});
        let stopped = Encoder::fit(&TEXTS, EncoderOptions::default(), &context);
        assert!(stopped.unwrap_err().is_cancelled());
    }
}
