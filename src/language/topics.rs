//! What is a text about, and what is a person interested in? Topics of an editable list, by likeness and by words.
//!
//! Zero-shot: nobody labelled anything. A topic is the sum of its words' vectors; a text has it as far as its own vector points
//! there, and the words of the topic that stand in the text are told. A person's interests are those of the texts they
//! searched and read, each halved in weight with every half-life that passed since.

use super::encoder::{Encoder, EncoderOptions};
use super::vectors::inner_product;
use super::words::{Kind, Token, tokens};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The list that comes with the program.
const SHIPPED: &str = include_str!("../../assets/topics.tsv");

/// Likeness from which on a topic counts where none of its words stands in the text.
const ALIKE: f32 = 0.25;

/// A topic of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// Stable word.
    pub id: String,
    /// The topic that it is part of.
    pub parent: Option<String>,
    /// English and Chinese label.
    pub labels: [String; 2],
    /// Words that tell it.
    pub words: Vec<String>,
}

/// Topics, ready to be compared with texts.
#[derive(Debug)]
pub struct Topics {
    topics: Vec<Topic>,
    /// Topics of a word.
    by_word: HashMap<String, Vec<usize>>,
    encoder: Encoder,
    vectors: Vec<Vec<f32>>,
}

/// A topic of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tag {
    /// Id of the topic.
    pub topic: String,
    /// Its labels.
    pub labels: [String; 2],
    /// Its share among the topics of the text; all together make 1.
    pub weight: f64,
    /// The words of the topic that stand in the text.
    pub words: Vec<String>,
}

/// A text of a person, and how long ago it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// A search, a title, a page.
    pub text: String,
    /// Days since.
    pub days_ago: f64,
}

/// What a person is interested in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interests {
    /// Topics, strongest first; their weights make 1.
    pub tags: Vec<Tag>,
    /// Weighted mean of the texts' vectors, of length 1; zeros where there is no text.
    #[serde(skip)]
    pub vector: Vec<f32>,
    /// Texts of which something was told.
    pub texts: usize,
}

impl Topics {
    /// The list that comes with the program.
    ///
    /// # Errors
    /// None, as tests make sure.
    pub fn shipped() -> Result<Self> {
        Self::parse(SHIPPED)
    }

    /// Reads a list: a topic a line, five fields with tabs between (id, parent or `-`, English label, Chinese label,
    /// words), `#` for remarks.
    ///
    /// # Errors
    /// A line of another form, an id that is there twice, a parent that is not there; the line is named.
    pub fn parse(text: &str) -> Result<Self> {
        let mut topics: Vec<Topic> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = |why: String| {
                Failure::new("cannot read the topics", why)
                    .at(format!("line {}", number + 1))
                    .hint("id, parent or -, English label, Chinese label and words, with tabs between")
            };
            let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
            let [id, parent, english, chinese, words] = fields[..] else {
                return Err(refuse(format!("it has {} fields, not 5", fields.len())));
            };
            if id.is_empty() || topics.iter().any(|topic| topic.id == id) {
                return Err(refuse(format!("the id '{id}' is empty or there already")));
            }
            if parent != "-" && !topics.iter().any(|topic| topic.id == parent) {
                return Err(refuse(format!("its parent '{parent}' is in no line above")));
            }
            topics.push(Topic {
                id: id.to_owned(),
                parent: (parent != "-").then(|| parent.to_owned()),
                labels: [english.to_owned(), chinese.to_owned()],
                words: words.split_whitespace().map(str::to_lowercase).collect(),
            });
        }
        if topics.is_empty() {
            return Err(Failure::new("cannot read the topics", "the list is empty"));
        }
        let described: Vec<String> = topics
            .iter()
            .map(|topic| format!("{} {} {}", topic.labels[0], topic.labels[1], topic.words.join(" ")))
            .collect();
        let texts: Vec<&str> = described.iter().map(String::as_str).collect();
        // Fitted on the topics themselves: what they share counts little, what tells them apart much.
        let options = EncoderOptions { meaning: 0, company: 0, spelling: 1024, ..EncoderOptions::default() };
        let encoder = Encoder::fit(&texts, options, &JobContext::detached())?;
        let mut by_word: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, topic) in topics.iter().enumerate() {
            for word in topic.words.iter().chain(&topic.labels).map(|word| word.to_lowercase()) {
                by_word.entry(word).or_default().push(place);
            }
        }
        let vectors = texts.iter().map(|text| encoder.encode_one(text)).collect();
        Ok(Self { topics, by_word, encoder, vectors })
    }

    /// The topics of the list.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// What a text is about, strongest first; nothing where no topic is near.
    pub fn of(&self, text: &str) -> Vec<Tag> {
        let found = self.strengths(text);
        let strengths = found.iter().map(|(topic, (strength, _))| (*topic, *strength)).collect();
        self.tags(&strengths, |topic| found.get(&topic).map(|(_, words)| words.clone()).unwrap_or_default())
    }

    /// How much a text has of each topic, with the words that say so.
    fn strengths(&self, text: &str) -> BTreeMap<usize, (f64, Vec<String>)> {
        let mut found: BTreeMap<usize, (f64, Vec<String>)> = BTreeMap::new();
        let tokens = tokens(text);
        for token in tokens.iter().filter(|token| token.kind != Kind::Mark) {
            for (word, topics) in self.known_in(token) {
                // A word of many topics tells less of each.
                for topic in topics {
                    let (strength, words) = found.entry(*topic).or_default();
                    *strength += 1.0 / topics.len() as f64;
                    if !words.iter().any(|known| known == word) {
                        words.push(word.to_owned());
                    }
                }
            }
        }
        let vector = self.encoder.encode_one(text);
        for (topic, own) in self.vectors.iter().enumerate() {
            let alike = inner_product(&vector, own);
            if alike > ALIKE || found.contains_key(&topic) {
                found.entry(topic).or_default().0 += f64::from(alike.max(0.0));
            }
        }
        found
    }

    /// The topics' words in a word: itself, its singular, or the parts of a longer Chinese one.
    fn known_in<'a>(&'a self, token: &'a Token) -> Vec<(&'a str, &'a [usize])> {
        let known = |word: &'a str| self.by_word.get(word).map(|topics| (word, topics.as_slice()));
        let text = token.text.as_str();
        if let Some(found) = known(text) {
            return vec![found];
        }
        if token.kind != Kind::Han {
            let singular = text.strip_suffix('s').filter(|word| word.len() > 3);
            return singular.and_then(known).into_iter().collect();
        }
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let parts = |from: usize| starts.iter().skip(from + 2).map(move |end| (from, *end));
        let parts = (0..starts.len().saturating_sub(2)).flat_map(parts);
        parts.filter_map(|(from, end)| known(&text[starts[from]..end])).collect()
    }

    fn tags(&self, strengths: &BTreeMap<usize, f64>, words: impl Fn(usize) -> Vec<String>) -> Vec<Tag> {
        let total: f64 = strengths.values().sum();
        if total <= 0.0 {
            return Vec::new();
        }
        let tag = |(topic, strength): (&usize, &f64)| Tag {
            topic: self.topics[*topic].id.clone(),
            labels: self.topics[*topic].labels.clone(),
            weight: strength / total,
            words: words(*topic),
        };
        let mut tags: Vec<Tag> = strengths.iter().map(tag).collect();
        tags.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.topic.cmp(&b.topic)));
        tags
    }

    /// What a person is interested in, by what they searched and read. `half_life` is in days.
    ///
    /// # Errors
    /// A half-life that is no positive number.
    pub fn interests(&self, texts: &[Seen], half_life: f64, encoder: &Encoder) -> Result<Interests> {
        if !(half_life.is_finite() && half_life > 0.0) {
            let why = format!("a half-life of {half_life} days is no positive number");
            return Err(
                Failure::new("cannot tell interests", why).hint("7 suits searches, 30 what people read")
            );
        }
        let mut strengths: BTreeMap<usize, f64> = BTreeMap::new();
        let mut words: BTreeMap<usize, HashSet<String>> = BTreeMap::new();
        let mut vector = vec![0.0f32; encoder.width()];
        let mut told = 0;
        for seen in texts {
            // What lies ahead of now is as recent as now.
            let weight = 0.5f64.powf(seen.days_ago.max(0.0) / half_life);
            let found = self.strengths(&seen.text);
            let total: f64 = found.values().map(|(strength, _)| strength).sum();
            told += usize::from(total > 0.0);
            for (topic, (strength, own)) in found {
                // Each text counts once, however many topics it has.
                *strengths.entry(topic).or_default() += weight * strength / total.max(f64::MIN_POSITIVE);
                words.entry(topic).or_default().extend(own);
            }
            let own = encoder.encode_one(&seen.text);
            vector.iter_mut().zip(own).for_each(|(sum, value)| *sum += weight as f32 * value);
        }
        super::vectors::to_unit(&mut vector);
        let of_topic = |topic: usize| {
            let mut words: Vec<String> = words.get(&topic).into_iter().flatten().cloned().collect();
            words.sort_unstable();
            words
        };
        Ok(Interests { tags: self.tags(&strengths, of_topic), vector, texts: told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> String {
        Topics::shipped().unwrap().of(text).first().map_or_else(String::new, |tag| tag.topic.clone())
    }

    #[test]
    fn texts_of_both_languages_find_their_topic() {
        for (text, wanted) in [
            ("Cheap flights to Lisbon, hotel included", "travel"),
            ("春季特价机票和酒店", "travel"),
            ("Open a savings account at our bank", "banking"),
            ("信用卡 申请 银行", "banking"),
            ("Fresh coffee for your kitchen", "food"),
            ("新款跑鞋 轻便", "shoes"),
            ("Dog food your puppy loves", "pets"),
        ] {
            assert_eq!(first(text), wanted, "{text}");
        }
        let tags = Topics::shipped().unwrap().of("Running shoes for your marathon");
        assert!((tags.iter().map(|tag| tag.weight).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(tags.iter().any(|tag| tag.words.contains(&"marathon".to_owned())));
        assert_eq!(first("zzz qqq"), "");
    }

    #[test]
    fn interests_fade_by_half_with_each_half_life() {
        let topics = Topics::shipped().unwrap();
        let encoder = Encoder::unfitted(EncoderOptions::default());
        let seen = |text: &str, days_ago| Seen { text: text.into(), days_ago };
        let told = |days| {
            let texts = [seen("hotel and flight", 0.0), seen("银行 信用卡", days)];
            let interests = topics.interests(&texts, 7.0, &encoder).unwrap();
            let weight =
                |id: &str| interests.tags.iter().find(|tag| tag.topic == id).map_or(0.0, |tag| tag.weight);
            weight("banking") / weight("travel")
        };
        assert!((told(7.0) / told(0.0) - 0.5).abs() < 1e-6, "{} and {}", told(7.0), told(0.0));
        let nobody = topics.interests(&[], 7.0, &encoder).unwrap();
        assert!(nobody.tags.is_empty() && nobody.vector.iter().all(|value| *value == 0.0));
        assert!(topics.interests(&[], 0.0, &encoder).unwrap_err().why.contains("half-life"));
    }

    #[test]
    fn a_list_of_another_form_is_refused_with_its_line() {
        let failure = Topics::parse("# remark\na\t-\tA\t甲\n").unwrap_err();
        assert!(failure.place.contains("line 2") && failure.why.contains("4 fields"));
        assert!(Topics::parse("a\tb\tA\t甲\tword").unwrap_err().why.contains("parent"));
        assert!(Topics::parse("").is_err());
        assert!(Topics::shipped().unwrap().topics().len() > 25);
    }
}
