//! Which topic would a person give a text, learnt from texts that people labelled?
//!
//! Multinomial logistic regression on the vectors of an encoder: `p(c | x) = softmax(W x + b)`, of the greatest likelihood less
//! a ridge on `W`. The objective is convex; descent with Nesterov's momentum from zeros, with a step of the inverse of a bound
//! on its curvature (Boehning 1992: half the largest eigenvalue of the vectors' products), finds its only minimum. How good it
//! is is judged on texts that were held out, fold by fold, beside the topics that likeness alone would give (zero-shot).

use super::encoder::{Encoder, EncoderOptions, Vectors};
use super::sentence::SentenceEncoder;
use super::style::{Language, language_of};
use super::topics::Topics;
use super::vectors::inner_product;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::metrics::{Estimate, Rate};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Steps at most, and the largest slope at which they end.
const STEPS: usize = 500;
const ENOUGH: f64 = 1e-4;
/// Ridge, for each text: what keeps a few texts from being believed too much.
const RIDGE: f64 = 1e-3;
/// Folds of held-out texts.
const FOLDS: usize = 5;
/// Texts that a topic needs, topics that are told apart, and texts that are read at most.
const LEAST: usize = 5;
const MOST_TOPICS: usize = 200;
const MOST_TEXTS: usize = 50_000;
const WHAT: &str = "cannot learn topics";

/// A text with its topic, as a person gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The text.
    pub text: String,
    /// Its topic.
    pub topic: String,
}

/// Weights of each topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// Numbers of a vector, one more for the constant.
    width: usize,
    /// `[topics, width + 1]`.
    weights: Vec<f32>,
}

/// What gives texts their topics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicModel {
    /// The topics, by name.
    pub topics: Vec<String>,
    /// The encoder that was fitted on the texts; `None` where a sentence encoder reads them.
    #[serde(default)]
    encoder: Option<Encoder>,
    /// The sentence encoder that reads texts for it, which is not kept with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentences: Option<Named>,
    softmax: Softmax,
}

/// A sentence encoder by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    name: String,
    /// [`SentenceEncoder::hash`].
    hash: String,
}

/// How good learnt topics are on texts that were held out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What made the vectors that the topics are learnt from.
    pub by: String,
    /// Texts that were judged, and topics.
    pub texts: usize,
    /// Topics.
    pub topics: usize,
    /// Share of texts that get their topic.
    pub trained: Rate,
    /// The same by likeness to the topics' words alone.
    pub zero_shot: Rate,
    /// The same where every text gets the most frequent topic.
    pub most_frequent: Rate,
    /// Trained less zero-shot on the same texts.
    pub gain: Estimate,
    /// Texts and hits of each topic.
    pub by_topic: Vec<(String, Rate)>,
    /// What was left out, in words.
    pub notes: Vec<String>,
}

impl Softmax {
    /// The greatest likelihood of the classes of some vectors, each less than `count`.
    ///
    /// # Errors
    /// A cancel.
    pub fn fit(
        vectors: &Vectors,
        classes: &[u32],
        count: usize,
        ridge: f64,
        context: &JobContext,
    ) -> Result<Self> {
        let width = vectors.width;
        // The vectors have length 1 and a constant of 1 stands beside them: their products are at most 2.
        let step = 1.0 / (0.5 * longest(vectors) + ridge);
        let zeros = || vec![0.0f64; count * (width + 1)];
        let (mut at, mut ahead, mut momentum) = (zeros(), zeros(), 1.0f64);
        for _ in 0..STEPS {
            context.check()?;
            let (slope, _) = slope_and_loss(vectors, classes, count, ridge, &ahead);
            let steepest = slope.iter().fold(0.0f64, |most, s| most.max(s.abs()));
            let next: Vec<f64> = ahead.iter().zip(&slope).map(|(w, s)| w - step * s).collect();
            // Momentum that would lead uphill is dropped (O'Donoghue & Candes 2015).
            let uphill =
                slope.iter().zip(next.iter().zip(&at)).map(|(s, (n, a))| s * (n - a)).sum::<f64>() > 0.0;
            let grown = if uphill { 1.0 } else { 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) };
            let carried = if uphill { 0.0 } else { (momentum - 1.0) / grown };
            ahead = next.iter().zip(&at).map(|(n, a)| n + carried * (n - a)).collect();
            (at, momentum) = (next, grown);
            if steepest < ENOUGH {
                break;
            }
        }
        Ok(Self { width, weights: at.into_iter().map(|weight| weight as f32).collect() })
    }

    /// The probability of each class.
    pub fn probabilities(&self, vector: &[f32]) -> Vec<f64> {
        let mut scores: Vec<f64> = self
            .weights
            .chunks_exact(self.width + 1)
            .map(|row| f64::from(inner_product(&row[..self.width], vector) + row[self.width]))
            .collect();
        softmax(&mut scores);
        scores
    }
}

fn softmax(scores: &mut [f64]) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let total: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= total);
}

/// A bound on the largest eigenvalue of the mean product of the vectors, each with a 1 beside it: its trace.
fn longest(vectors: &Vectors) -> f64 {
    let total: f64 = (0..vectors.len())
        .map(|text| 1.0 + f64::from(inner_product(vectors.row(text), vectors.row(text))))
        .sum();
    total / vectors.len().max(1) as f64
}

/// The mean negative log likelihood with its ridge, and its derivative by the weights.
fn slope_and_loss(
    vectors: &Vectors,
    classes: &[u32],
    count: usize,
    ridge: f64,
    weights: &[f64],
) -> (Vec<f64>, f64) {
    let (width, n) = (vectors.width, classes.len().max(1) as f64);
    let flat: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
    let texts: Vec<usize> = (0..classes.len()).collect();
    let part = |texts: &[usize]| {
        let (mut slope, mut loss) = (vec![0.0f64; weights.len()], 0.0);
        for text in texts {
            let vector = vectors.row(*text);
            let mut p: Vec<f64> = flat
                .chunks_exact(width + 1)
                .map(|row| f64::from(inner_product(&row[..width], vector) + row[width]))
                .collect();
            softmax(&mut p);
            let own = classes[*text] as usize;
            loss -= p[own].max(f64::MIN_POSITIVE).ln();
            p[own] -= 1.0;
            for (class, p) in p.into_iter().enumerate().filter(|(_, p)| p.abs() > 1e-9) {
                let row = &mut slope[class * (width + 1)..][..width + 1];
                row[..width].iter_mut().zip(vector).for_each(|(sum, x)| *sum += p * f64::from(*x));
                row[width] += p;
            }
        }
        (slope, loss)
    };
    // In order, so that the sums are the same on any machine.
    let parts: Vec<(Vec<f64>, f64)> = texts.par_chunks(1 << 10).map(part).collect();
    let (mut slope, mut loss) = (vec![0.0; count * (width + 1)], 0.0);
    for (own, more) in parts {
        slope.iter_mut().zip(own).for_each(|(sum, own)| *sum += own / n);
        loss += more / n;
    }
    for (place, (slope, weight)) in slope.iter_mut().zip(weights).enumerate() {
        if place % (width + 1) != width {
            *slope += ridge * weight;
            loss += 0.5 * ridge * weight * weight;
        }
    }
    (slope, loss)
}

/// Labelled texts, each once, by topic.
struct Examples {
    texts: Vec<String>,
    classes: Vec<u32>,
    topics: Vec<String>,
    notes: Vec<String>,
}

impl Examples {
    fn of(labelled: &[Labelled]) -> Result<Self> {
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        let mut twice = 0;
        for one in labelled.iter().filter(|one| !one.text.trim().is_empty() && !one.topic.trim().is_empty()) {
            let (text, topic) = (one.text.trim(), one.topic.trim());
            twice += usize::from(known.insert(text, topic).is_some_and(|before| before != topic));
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        known.values().for_each(|topic| *counts.entry(topic).or_default() += 1);
        let mut notes = Vec::new();
        if twice > 0 {
            notes.push(format!("{twice} texts have two topics: the later one counts"));
        }
        let rare: Vec<&str> =
            counts.iter().filter(|(_, count)| **count < LEAST).map(|(topic, _)| *topic).collect();
        if !rare.is_empty() {
            let some: Vec<&str> = rare.iter().take(5).copied().collect();
            notes.push(format!(
                "{} topics have fewer than {LEAST} texts and are left out: {}",
                rare.len(),
                some.join(", ")
            ));
        }
        let mut topics: Vec<(&str, usize)> =
            counts.into_iter().filter(|(_, count)| *count >= LEAST).collect();
        topics.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        if topics.len() > MOST_TOPICS {
            notes.push(format!("of {} topics the {MOST_TOPICS} most frequent are learnt", topics.len()));
            topics.truncate(MOST_TOPICS);
        }
        if topics.len() < 2 {
            let why = format!("{} topics have {LEAST} texts or more, and two are needed", topics.len());
            return Err(Failure::new(WHAT, why).hint("label more texts"));
        }
        let mut names: Vec<String> = topics.iter().map(|(topic, _)| (*topic).to_owned()).collect();
        names.sort();
        let place = |topic: &str| names.iter().position(|name| name == topic);
        // By a hash of the text: folds and the texts that are dropped do not follow the order of the file.
        let mut all: Vec<(u64, &str, u32)> = known
            .into_iter()
            .filter_map(|(text, topic)| Some((hash(text), text, place(topic)? as u32)))
            .collect();
        all.sort_unstable();
        if all.len() > MOST_TEXTS {
            notes.push(format!("of {} texts {MOST_TEXTS} are read", all.len()));
            all.truncate(MOST_TEXTS);
        }
        let (texts, classes) = all.into_iter().map(|(_, text, class)| (text.to_owned(), class)).unzip();
        Ok(Self { texts, classes, topics: names, notes })
    }

    fn part(&self, places: &[usize]) -> (Vec<&str>, Vec<u32>) {
        places.iter().map(|place| (self.texts[*place].as_str(), self.classes[*place])).unzip()
    }
}

/// FNV-1a: the same on every machine.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The vectors of labelled texts, and how those of others are made.
enum Reader<'a> {
    /// Fitted anew on what is learnt from.
    Own,
    /// A sentence encoder, with the vectors of all labelled texts.
    Sentences(&'a SentenceEncoder, Vectors),
}

impl<'a> Reader<'a> {
    fn of(
        examples: &mut Examples,
        sentences: Option<&'a SentenceEncoder>,
        context: &JobContext,
    ) -> Result<Self> {
        let Some(encoder) = sentences else { return Ok(Self::Own) };
        let texts: Vec<&str> = examples.texts.iter().map(String::as_str).collect();
        context.stage(&format!("{} reads {} texts", encoder.name, texts.len()));
        let vectors = encoder.encode(&texts, context)?;
        let is_chinese = |text: &&&str| matches!(language_of(text), Some((Language::Chinese, _)));
        let foreign = texts.iter().filter(is_chinese).count();
        if foreign > 0 && !encoder.reads_chinese() {
            let (name, all) = (&encoder.name, texts.len());
            examples.notes.push(format!("{foreign} of {all} texts are Chinese, which {name} does not know"));
        }
        Ok(Self::Sentences(encoder, vectors))
    }

    fn name(&self) -> &str {
        match self {
            Self::Own => "the built-in encoder",
            Self::Sentences(encoder, _) => &encoder.name,
        }
    }
}

impl TopicModel {
    /// Learns from all labelled texts: on the vectors of an encoder that is fitted on them, or on those of a sentence encoder.
    ///
    /// # Errors
    /// Fewer than two topics with five texts, a text that the encoder refuses, or a cancel.
    pub fn fit(
        labelled: &[Labelled],
        sentences: Option<&SentenceEncoder>,
        context: &JobContext,
    ) -> Result<Self> {
        let mut examples = Examples::of(labelled)?;
        let reader = Reader::of(&mut examples, sentences, context)?;
        let all: Vec<usize> = (0..examples.texts.len()).collect();
        Self::of_part(&examples, &reader, &all, context)
    }

    fn of_part(
        examples: &Examples,
        reader: &Reader<'_>,
        places: &[usize],
        context: &JobContext,
    ) -> Result<Self> {
        let (texts, classes) = examples.part(places);
        let (encoder, sentences, vectors) = match reader {
            Reader::Own => {
                let encoder = Encoder::fit(&texts, EncoderOptions::default(), context)?;
                let vectors = encoder.encode(&texts);
                (Some(encoder), None, vectors)
            }
            Reader::Sentences(encoder, all) => {
                let values = places.iter().flat_map(|place| all.row(*place)).copied().collect();
                let named = Named { name: encoder.name.clone(), hash: encoder.hash.clone() };
                (None, Some(named), Vectors { width: all.width, values })
            }
        };
        let softmax = Softmax::fit(&vectors, &classes, examples.topics.len(), RIDGE, context)?;
        Ok(Self { topics: examples.topics.clone(), encoder, sentences, softmax })
    }

    /// The sentence encoder that it needs, by name; `None` where it reads texts itself.
    pub fn needs(&self) -> Option<&str> {
        self.sentences.as_ref().map(|named| named.name.as_str())
    }

    /// The probability of each topic for some texts, in the order of [`topics`](Self::topics). `sentences` reads them where the
    /// topics were learnt with one.
    ///
    /// # Errors
    /// The topics were learnt with a sentence encoder that is not given, or another one; or as its `encode`.
    pub fn chances(
        &self,
        texts: &[&str],
        sentences: Option<&SentenceEncoder>,
        context: &JobContext,
    ) -> Result<Vec<Vec<f64>>> {
        let vectors = match (&self.encoder, &self.sentences, sentences) {
            (Some(own), _, _) => own.encode(texts),
            (None, Some(named), Some(encoder)) if named.hash == encoder.hash => {
                encoder.encode(texts, context)?
            }
            (None, named, given) => {
                let named = named.as_ref().map_or("an encoder that is not told", |named| named.name.as_str());
                let given =
                    given.map_or_else(String::new, |given| format!(", and {} is another", given.name));
                let why = format!("they were learnt with the sentence encoder {named}{given}");
                return Err(
                    Failure::new("cannot tell the topics", why).hint("give the folder of that encoder")
                );
            }
        };
        Ok((0..texts.len()).map(|at| self.softmax.probabilities(vectors.row(at))).collect())
    }

    /// The topics of each text with their probabilities, likeliest first.
    ///
    /// # Errors
    /// As [`chances`](Self::chances).
    pub fn of(
        &self,
        texts: &[&str],
        sentences: Option<&SentenceEncoder>,
        context: &JobContext,
    ) -> Result<Vec<Vec<(&str, f64)>>> {
        let sorted = |chances: Vec<f64>| {
            let mut found: Vec<(&str, f64)> = self.topics.iter().map(String::as_str).zip(chances).collect();
            found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
            found
        };
        Ok(self.chances(texts, sentences, context)?.into_iter().map(sorted).collect())
    }
}

/// Judges learning on labelled texts by folds: each text is given its topic by a model that never met it, and by likeness to
/// the words of the topics, for which `list` has more words where it knows a topic by its id or label.
///
/// # Errors
/// As [`TopicModel::fit`].
pub fn judge(
    labelled: &[Labelled],
    list: &Topics,
    sentences: Option<&SentenceEncoder>,
    context: &JobContext,
) -> Result<Judged> {
    let mut examples = Examples::of(labelled)?;
    let reader = Reader::of(&mut examples, sentences, context)?;
    let n = examples.texts.len();
    let zero_shot = zero_shot(&examples.topics, list)?;
    let mut hits: Vec<[bool; 3]> = vec![[false; 3]; n];
    for fold in 0..FOLDS {
        context.progress(fold as u64, FOLDS as u64);
        let (out, rest): (Vec<usize>, Vec<usize>) = (0..n).partition(|place| place % FOLDS == fold);
        let present: BTreeSet<u32> = rest.iter().map(|place| examples.classes[*place]).collect();
        let model = TopicModel::of_part(&examples, &reader, &rest, context)?;
        let found = first_topics(&model, (&examples, &reader), &out);
        let usual = present
            .iter()
            .max_by_key(|class| rest.iter().filter(|place| examples.classes[**place] == **class).count());
        for (place, found) in out.into_iter().zip(found) {
            let (text, own) = (&examples.texts[place], &examples.topics[examples.classes[place] as usize]);
            let likest = zero_shot.of(text).first().map(|tag| tag.labels[0] == *own);
            hits[place] = [
                found == Some(examples.classes[place] as usize),
                likest.unwrap_or(false),
                usual.is_some_and(|usual| *usual == examples.classes[place]),
            ];
        }
    }
    let rate = |at: usize| Rate::wilson(hits.iter().filter(|hits| hits[at]).count() as f64, n as f64);
    let gains: Vec<f64> =
        hits.iter().map(|[one, other, _]| f64::from(u8::from(*one)) - f64::from(u8::from(*other))).collect();
    let mean = gains.iter().sum::<f64>() / n as f64;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0).max(1.0);
    let of_topic = |(class, topic): (usize, &String)| {
        let own = || hits.iter().zip(&examples.classes).filter(move |(_, known)| **known as usize == class);
        let right = own().filter(|(hits, _)| hits[0]).count();
        (topic.clone(), Rate::wilson(right as f64, own().count() as f64))
    };
    Ok(Judged {
        by: reader.name().to_owned(),
        texts: n,
        topics: examples.topics.len(),
        trained: rate(0),
        zero_shot: rate(1),
        most_frequent: rate(2),
        gain: Estimate::normal(mean, (variance / n as f64).sqrt()),
        by_topic: examples.topics.iter().enumerate().map(of_topic).collect(),
        notes: examples.notes,
    })
}

/// The likeliest topic of held-out examples.
fn first_topics(
    model: &TopicModel,
    (examples, reader): (&Examples, &Reader<'_>),
    places: &[usize],
) -> Vec<Option<usize>> {
    let first = |place: &usize| {
        let chances = match (reader, &model.encoder) {
            (Reader::Sentences(_, vectors), _) => model.softmax.probabilities(vectors.row(*place)),
            (Reader::Own, Some(encoder)) => {
                model.softmax.probabilities(&encoder.encode_one(&examples.texts[*place]))
            }
            (Reader::Own, None) => return None,
        };
        // Of equal chances the first topic.
        (0..chances.len()).rev().max_by(|a, b| chances[*a].total_cmp(&chances[*b]))
    };
    places.par_iter().map(first).collect()
}

/// A list with exactly these topics, each told by its own name and by the words that `list` has for it. The English label is
/// the topic's name.
fn zero_shot(topics: &[String], list: &Topics) -> Result<Topics> {
    let lines = topics.iter().enumerate().map(|(place, topic)| {
        let plain = topic.replace(['\t', '\n', '\r'], " ");
        let lower = plain.to_lowercase();
        let known = list.topics().iter().find(|known| {
            known.id == lower || known.labels.iter().any(|label| label.to_lowercase() == lower)
        });
        let words = known.map_or_else(String::new, |known| known.words.join(" "));
        let chinese = known.map_or(plain.as_str(), |known| known.labels[1].as_str());
        format!("t{place}\t-\t{plain}\t{chinese}\t{plain} {words}\n")
    });
    Topics::parse(&lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn vectors(rows: &[[f32; 2]]) -> Vectors {
        Vectors { width: 2, values: rows.iter().flatten().copied().collect() }
    }

    #[test]
    fn the_slope_agrees_with_differences_and_is_nothing_at_the_end() {
        let mut rng = Rng::named(4, "softmax");
        let rows: Vec<[f32; 2]> = (0..40).map(|_| [rng.normal() as f32, rng.normal() as f32]).collect();
        let classes: Vec<u32> = rows.iter().map(|[x, y]| u32::from(*x > 0.3) + u32::from(*y > 0.0)).collect();
        let all = vectors(&rows);
        let weights: Vec<f64> = (0..9).map(|_| rng.normal()).collect();
        let (slope, _) = slope_and_loss(&all, &classes, 3, 0.1, &weights);
        for at in 0..9 {
            let moved = |by: f64| {
                let mut weights = weights.clone();
                weights[at] += by;
                slope_and_loss(&all, &classes, 3, 0.1, &weights).1
            };
            let difference = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((difference - slope[at]).abs() < 1e-4, "{at}: {difference} and {}", slope[at]);
        }
        let fitted = Softmax::fit(&all, &classes, 3, 0.1, &JobContext::detached()).unwrap();
        let end: Vec<f64> = fitted.weights.iter().map(|weight| f64::from(*weight)).collect();
        let (slope, _) = slope_and_loss(&all, &classes, 3, 0.1, &end);
        assert!(slope.iter().all(|slope| slope.abs() < 1e-3), "{slope:?}");
    }

    #[test]
    fn without_vectors_the_probabilities_are_the_shares() {
        // Every vector is zero: only the constants are learnt, and the likelihood is greatest at the shares 3/4 and 1/4.
        let all = vectors(&[[0.0; 2]; 8]);
        let fitted = Softmax::fit(&all, &[0, 0, 0, 0, 0, 0, 1, 1], 2, 1e-3, &JobContext::detached()).unwrap();
        let chances = fitted.probabilities(&[0.0, 0.0]);
        assert!((chances[0] - 0.75).abs() < 1e-3, "{chances:?}");
    }

    #[test]
    fn labels_teach_what_words_alone_do_not_say() {
        // The topics are house names that no list knows; each has words of its own beside words of all.
        let words = [
            ["granite", "quarry", "pit", "stone"],
            ["sail", "harbour", "tide", "mast"],
            ["loom", "warp", "weft", "yarn"],
        ];
        let mut rng = Rng::named(1, "labels");
        let labelled: Vec<Labelled> = (0..150)
            .map(|at| {
                let own = words[at % 3];
                let text = format!("new {} and {} today {at}", own[rng.below(4)], own[rng.below(4)]);
                Labelled { text, topic: ["Alpha", "Beta", "海港"][at % 3].into() }
            })
            .collect();
        let context = JobContext::detached();
        let list = Topics::shipped().unwrap();
        let judged = judge(&labelled, &list, None, &context).unwrap();
        assert_eq!((judged.texts, judged.topics), (150, 3));
        assert!(judged.trained.rate > 0.95 && judged.trained.low > 0.9, "{judged:?}");
        assert!(judged.gain.low > 0.3 && judged.most_frequent.rate < 0.45, "{judged:?}");
        let model = TopicModel::fit(&labelled, None, &context).unwrap();
        let again: TopicModel = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
        let of = |model: &TopicModel, text: &str| {
            let found = model.of(&[text], None, &context).unwrap().remove(0);
            found.into_iter().map(|(topic, p)| (topic.to_owned(), p)).collect::<Vec<_>>()
        };
        assert_eq!(of(&again, "the tide at the harbour")[0].0, "Beta");
        let total: f64 = of(&model, "yarn").iter().map(|(_, p)| p).sum();
        assert!((total - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_topic_of_few_texts_is_left_out_and_one_topic_is_refused() {
        let one = |text: String, topic: &str| Labelled { text, topic: topic.into() };
        let mut labelled: Vec<Labelled> = (0..6).map(|at| one(format!("tea number {at}"), "tea")).collect();
        labelled.push(one("a car".into(), "car"));
        let failure = TopicModel::fit(&labelled, None, &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains("two are needed"), "{failure}");
        labelled.extend((0..6).map(|at| one(format!("boat number {at}"), "boat")));
        let judged = judge(&labelled, &Topics::shipped().unwrap(), None, &JobContext::detached()).unwrap();
        assert!(judged.notes[0].contains("fewer than 5 texts and are left out: car"), "{:?}", judged.notes);
    }

    #[test]
    fn a_sentence_encoder_reads_for_topics_that_were_learnt_with_it_and_no_other_does() {
        let folder = tempfile::tempdir().unwrap();
        super::super::sentence::small::write(folder.path());
        let encoder = SentenceEncoder::open(folder.path()).unwrap();
        let labelled: Vec<Labelled> = (0..60)
            .map(|at| {
                let (own, other) = (["w1", "w2"][at % 2], ["w3", "w4", "w5"][at / 2 % 3]);
                let text = vec![own; 1 + at / 6].join(" ") + " " + other;
                Labelled { text, topic: ["海港", "茶园"][at % 2].into() }
            })
            .collect();
        let (context, list) = (JobContext::detached(), Topics::shipped().unwrap());
        let judged = judge(&labelled, &list, Some(&encoder), &context).unwrap();
        assert!(judged.trained.rate > 0.9 && judged.by == encoder.name, "{judged:?}");
        let model = TopicModel::fit(&labelled, Some(&encoder), &context).unwrap();
        let again: TopicModel = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
        assert!(again == model && model.needs() == Some(encoder.name.as_str()));
        assert_eq!(again.of(&["w1 w3"], Some(&encoder), &context).unwrap()[0][0].0, "海港");
        let refused = again.of(&["w1 w3"], None, &context).unwrap_err();
        assert!(refused.why.contains("were learnt with the sentence encoder"), "{refused}");
        let weights = folder.path().join("model.safetensors");
        std::fs::write(&weights, super::super::sentence::small::weights(true)).unwrap();
        let other = SentenceEncoder::open(folder.path()).unwrap();
        assert!(again.of(&["w1 w3"], Some(&other), &context).unwrap_err().why.contains("is another"));
    }
}
