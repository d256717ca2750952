//! How is what a text is about read by a model? As the weights of topics: of a list by words and likeness, or learnt from labels.
//!
//! Each text column becomes a few numeric fields, `topic:headline:travel` and so on: the topics that stand in the training rows,
//! scaled like any other number. They need no fitting on clicks, so a text that no training row had is told as well as any. Where
//! interests are asked for, what the user's earlier rows were about stands beside them as `interest:headline:travel`.

use super::interests::{Interest, Stories, scaled};
use super::{Encoder, NumericField, Side};
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::data::cells::NO_CODE;
use crate::data::columns::{Codes, Columns};
use crate::jobs::JobContext;
use crate::language::topic_model::TopicModel;
use crate::language::topics::Topics;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Weight from which on a text has a topic.
const HAS: f32 = 0.2;
/// Share of the training rows' texts that a topic needs.
const LEAST: f64 = 0.005;
/// Topics that are read at most, those of the most rows.
const MOST: usize = 32;
/// Texts between two looks for a cancel.
const CHUNK: usize = 1024;

/// Who says what a text is about.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum TopicReader {
    /// The list that comes with the program.
    #[default]
    Shipped,
    /// A list of a person's own, as its text.
    List(String),
    /// Topics that were learnt from labels.
    Learnt(Box<TopicModel>),
}

impl TopicReader {
    /// Reads what 'adloupe topics --out' wrote, or a list with a topic a line.
    ///
    /// # Errors
    /// No such file, or neither of the two; the line of a list is named.
    pub fn open(path: &Path) -> Result<Self> {
        let what = "cannot read the topics";
        let text = std::fs::read_to_string(path).map_err(|error| disk_failure(what, path, &error))?;
        let place = |failure: Failure| failure.at(path.display());
        match text.trim_start().starts_with('{') {
            true => Ok(Self::Learnt(serde_json::from_str(&text).explain(what).map_err(place)?)),
            false => {
                Topics::parse(&text).map_err(place)?;
                Ok(Self::List(text))
            }
        }
    }

    /// The name of each topic, and the weights `[texts, topics]`; those of a text make 1, or 0 where it is about none.
    fn weights(&self, texts: &[&str], context: &JobContext) -> Result<(Vec<String>, Vec<f32>)> {
        let list = match self {
            Self::Learnt(model) => {
                let chances = model.chances(texts, None, context)?;
                let weights = chances.into_iter().flatten().map(|chance| chance as f32).collect();
                return Ok((model.topics.clone(), weights));
            }
            Self::Shipped => Topics::shipped()?,
            Self::List(text) => Topics::parse(text)?,
        };
        let names: Vec<String> = list.topics().iter().map(|topic| topic.id.clone()).collect();
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let mut weights = vec![0.0f32; texts.len() * names.len()];
        for (texts, rows) in texts.chunks(CHUNK).zip(weights.chunks_mut(CHUNK * names.len().max(1))) {
            context.check()?;
            rows.par_chunks_mut(names.len().max(1)).zip(texts.par_iter()).for_each(|(row, text)| {
                for tag in list.of(text) {
                    if let Some(place) = places.get(tag.topic.as_str()) {
                        row[*place] = tag.weight as f32;
                    }
                }
            });
        }
        Ok((names, weights))
    }

    /// What it is called in a note.
    fn name(&self) -> &'static str {
        match self {
            Self::Shipped => "the program's list",
            Self::List(_) => "a list",
            Self::Learnt(_) => "topics learnt from labels",
        }
    }
}

/// The topics of a text column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicField {
    /// Column.
    pub name: String,
    /// Whose property it is.
    pub side: Side,
    /// Place in [`Encoder::numeric`] of its first number.
    pub first: usize,
    /// Topics that are read, by their places among the reader's.
    pub topics: Vec<u32>,
    /// Who reads them.
    pub reader: Arc<TopicReader>,
    /// As for [`TextField`](super::TextField).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<Interest>,
}

impl TopicField {
    /// Its numbers in [`Encoder::numeric`].
    pub fn numbers(&self) -> Range<usize> {
        self.first..self.first + self.topics.len()
    }

    /// The weights `[texts, topics that are read]`.
    fn read(&self, texts: &[&str], context: &JobContext) -> Result<Vec<f32>> {
        let (names, weights) = self.reader.weights(texts, context)?;
        let rows = weights.chunks(names.len().max(1));
        Ok(rows.flat_map(|row| self.topics.iter().map(|topic| row[*topic as usize])).collect())
    }
}

/// What training reads of a column's topics: the field with the scales of its numbers, or why there are none.
pub(super) type Fitted = std::result::Result<(TopicField, Vec<NumericField>), String>;

/// Finds the topics that the texts of `train` have.
pub(super) fn fit(
    column: (&str, Side),
    cells: &Codes,
    train: &[u32],
    (first, reader): (usize, &Arc<TopicReader>),
    context: &JobContext,
) -> Result<Fitted> {
    let (name, side) = column;
    let counts = cells.counts(train);
    let texts: Vec<&str> = cells.values.iter().map(String::as_str).collect();
    let (names, weights) = reader.weights(&texts, context)?;
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let has = |topic: usize| -> f64 {
        let rows = weights.chunks(names.len()).zip(&counts);
        rows.filter(|(row, _)| row[topic] >= HAS).map(|(_, count)| f64::from(*count)).sum()
    };
    let mut found: Vec<(usize, f64)> = (0..names.len()).map(|topic| (topic, has(topic))).collect();
    // One that every row has tells none from another.
    found.retain(|(_, rows)| *rows >= LEAST * total && *rows < total && *rows > 0.0);
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(MOST);
    found.sort_by_key(|(topic, _)| *topic);
    if found.is_empty() {
        return Ok(Err(format!("no topic of {} tells the texts of '{name}' apart", reader.name())));
    }
    let topics: Vec<u32> = found.iter().map(|(topic, _)| *topic as u32).collect();
    let scales = topics.iter().map(|topic| {
        let each = || weights.chunks(names.len()).map(|row| f64::from(row[*topic as usize])).zip(&counts);
        let mean = each().map(|(x, count)| x * f64::from(*count)).sum::<f64>() / total;
        let spread = each().map(|(x, count)| (x - mean).powi(2) * f64::from(*count)).sum::<f64>() / total;
        let deviation = spread.sqrt().max(1e-6);
        NumericField {
            name: format!("topic:{name}:{}", names[*topic as usize]),
            side,
            log: false,
            mean,
            deviation,
        }
    });
    let scales = scales.collect();
    let field =
        TopicField { name: name.to_owned(), side, first, topics, reader: Arc::clone(reader), interest: None };
    Ok(Ok((field, scales)))
}

/// The same topics as their readers' interests.
pub(super) fn fit_interest(
    (field, scales): (&TopicField, &[NumericField]),
    (cells, stories): (Codes, &Arc<Stories>),
    train: &[u32],
    (first, half_life_days): (usize, u32),
    context: &JobContext,
) -> Result<(TopicField, Vec<NumericField>)> {
    let interest = Interest::of(field.side, half_life_days);
    let read = Read::of(field, cells, Some((Arc::clone(stories), interest)), context)?;
    let scales = scales.iter().enumerate().map(|(at, known)| {
        let name = known.name.replacen("topic:", "interest:", 1);
        scaled(name, &read.numbers(at).collect::<Vec<_>>(), train)
    });
    let scales = scales.collect();
    Ok((TopicField { first, side: Side::User, interest: Some(interest), ..field.clone() }, scales))
}

/// A text column of a log as topics: the weights of each distinct text.
pub(super) struct Read {
    cells: Codes,
    weights: Vec<f32>,
    width: usize,
    past: Option<(Arc<Stories>, Interest)>,
}

impl Read {
    fn of(
        field: &TopicField,
        cells: Codes,
        past: Option<(Arc<Stories>, Interest)>,
        context: &JobContext,
    ) -> Result<Self> {
        let texts: Vec<&str> = cells.values.iter().map(String::as_str).collect();
        let weights = field.read(&texts, context)?;
        Ok(Self { weights, width: field.topics.len(), past, cells })
    }

    /// One topic's weight in each row, unscaled; NaN where the text is missing.
    pub(super) fn numbers(&self, at: usize) -> Box<dyn Iterator<Item = f64> + '_> {
        let number = move |code: &u32| match *code {
            NO_CODE => f64::NAN,
            code => f64::from(self.weights[code as usize * self.width + at]),
        };
        match &self.past {
            None => Box::new(self.cells.codes.iter().map(number)),
            Some((stories, interest)) => {
                Box::new(stories.means(*interest, |row| number(&self.cells.codes[row])).into_iter())
            }
        }
    }
}

impl Encoder {
    /// The text columns of a log as topics, where it has them.
    pub(super) fn read_topics(
        &self,
        log: &dyn Columns,
        stories: Option<&Arc<Stories>>,
        context: &JobContext,
    ) -> Result<Vec<Option<Read>>> {
        let read = |field: &TopicField| {
            context.check()?;
            if !log.has(&field.name) || (field.interest.is_some() && stories.is_none()) {
                return Ok(None);
            }
            let past = field.interest.and_then(|interest| Some((Arc::clone(stories?), interest)));
            Ok(Some(Read::of(field, log.coded(&field.name)?, past, context)?))
        };
        self.topics.iter().map(read).collect()
    }

    /// The numbers that come of a text column, topics or vectors, to which a numeric field belongs.
    pub fn text_group(&self, numeric: usize) -> Option<Range<usize>> {
        let texts = self.texts.iter().map(super::TextField::numbers);
        let mut groups = texts.chain(self.topics.iter().map(TopicField::numbers));
        groups.find(|group| group.contains(&numeric))
    }

    /// Every number that a text of one side makes, scaled: place in [`numeric`](Self::numeric) and value.
    ///
    /// # Errors
    /// Topics that cannot be read.
    pub fn numbers_of_text(&self, side: Side, text: &str) -> Result<Vec<(usize, f32)>> {
        let vectors = self.texts.iter().filter(|field| field.side == side);
        let mut numbers: Vec<(usize, f32)> =
            vectors.flat_map(|field| field.numbers().zip(field.encoder.encode_one(text))).collect();
        for field in self.topics.iter().filter(|field| field.side == side) {
            numbers.extend(field.numbers().zip(field.read(&[text], &JobContext::detached())?));
        }
        let scaled = |(place, number): (usize, f32)| (place, self.numeric[place].scale(f64::from(number)));
        Ok(numbers.into_iter().map(scaled).collect())
    }
}
