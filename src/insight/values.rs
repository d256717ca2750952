//! What is known of the points of a map: which were learnt, how often they were shown and clicked, what a model expects
//! of them, which properties they have and which words their texts hold.

use super::point_words::PointWords;
use super::sources::{Gathered, NOBODY, Source};
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::{Array, Dataset, LogFrame, Split};
use crate::jobs::JobContext;
use crate::maps::search::{Near, nearest};
use crate::maps::{Metric, Points};
use crate::metrics::Rate;
use crate::train::{EmbeddingTable, TrainedModel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Points with what the log says of each. Made once, shared by all maps of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// What they are.
    pub source: Source,
    /// The table in the full space; of a field, row `i` belongs to vocabulary id `i`.
    pub table: Arc<EmbeddingTable>,
    /// Table row of each point. Values that the training rows never held are left out: they carry no learning.
    pub ids: Vec<u32>,
    /// Table row of each row of the log, [`NOBODY`] for none; empty without a log.
    pub of_rows: Array<u32>,
    /// The vectors of the points, as they are compared.
    pub points: Points,
    /// Clicks and impressions of each point's value over the whole log; empty without a data set.
    pub rates: Vec<Rate>,
    /// Mean predicted log odds over the rows of each value, NaN where no row was scored; empty without predictions.
    pub predicted: Vec<f32>,
    /// Rows on which the predictions are means, of all.
    pub scored: (usize, usize),
    /// Properties of the values that can colour the points: an ad's campaign, a user's city.
    pub traits: Vec<Trait>,
    /// The words of their texts.
    pub words: PointWords,
    /// Which points are drawn and which are not, and why; empty when there is nothing to say.
    pub left_out: String,
}

/// A property that the points' values determine (nearly) everywhere in the log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trait {
    /// The field that holds it.
    pub field: String,
    /// Its values, by code.
    pub names: Vec<String>,
    /// Code of each point.
    pub codes: Vec<u32>,
    /// Share of impressions that agree with their value's most frequent code.
    pub purity: f64,
}

/// More values than this make no legend.
const TRAIT_VALUES: usize = 40;
/// Cells of a cross table (value by property): above this the property is not looked at.
const CROSS_CELLS: usize = 32 << 20;
/// A property counts as determined from this share of agreeing impressions on.
const TRAIT_PURITY: f64 = 0.95;

/// Rows that are scored for what the model expects, at most: evenly spread over the log.
const SCORED: usize = 200_000;

/// The log behind points: as the model knows it, and as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Behind<'a> {
    /// As the model knows it.
    pub dataset: &'a Dataset,
    /// As it was read; `None` where only the model's arrays are at hand.
    pub log: Option<&'a LogFrame>,
}

impl Values {
    /// Takes the gathered points; of values of a field only those that were learnt. What is `behind` them gives counts,
    /// click rates, traits and words.
    ///
    /// # Errors
    /// No value with training rows and finite numbers; a cancel.
    pub fn new(
        gathered: Gathered,
        behind: Option<Behind<'_>>,
        metric: Metric,
        context: &JobContext,
    ) -> Result<Self> {
        context.stage("counting the values");
        let table = Arc::clone(&gathered.table);
        let behind = behind.filter(|behind| gathered.of_rows.len() == behind.dataset.rows);
        let counts = behind.map(|behind| Counted::new(behind.dataset, &gathered.of_rows, table.names.len()));
        let all = 0..table.names.len() as u32;
        let learnt: Vec<u32> = match &counts {
            Some(counts) if gathered.source.field().is_some() => {
                all.filter(|&id| counts.trained[id as usize]).collect()
            }
            _ => all.collect(),
        };
        let width = table.width;
        let row = |id: u32| &table.values[id as usize * width..(id as usize + 1) * width];
        let ids: Vec<u32> =
            learnt.iter().copied().filter(|&id| row(id).iter().all(|value| value.is_finite())).collect();
        let drawn: Vec<f32> = ids.iter().flat_map(|&id| row(id).iter().copied()).collect();
        let points = Points::new(drawn, width, metric).map_err(|failure| {
            if learnt.is_empty() || !ids.is_empty() {
                return failure.at(gathered.source.title());
            }
            let why = "no vector of the table is all finite numbers: its training went wrong";
            Failure::new("cannot draw the embeddings", why)
                .at(gathered.source.title())
                .hint("train the model anew")
        })?;
        context.check()?;
        context.stage("properties of the points");
        let (traits, words) = match behind {
            Some(behind) => (
                traits(behind.dataset, &gathered, &ids, context)?,
                match behind.log {
                    Some(log) => PointWords::new(&gathered, &ids, behind.dataset, log, context)?,
                    None => PointWords::default(),
                },
            ),
            None => Default::default(),
        };
        Ok(Self {
            rates: counts
                .as_ref()
                .map_or_else(Vec::new, |counts| ids.iter().map(|&id| counts.rate(id)).collect()),
            traits,
            words,
            left_out: left_out(&gathered, table.names.len() - learnt.len(), learnt.len() - ids.len()),
            predicted: Vec::new(),
            scored: (0, 0),
            source: gathered.source,
            of_rows: gathered.of_rows,
            table,
            ids,
            points,
        })
    }

    /// Adds what the model expects of each point: the mean log odds over its rows, on a spread of rows where the log has
    /// very many.
    ///
    /// # Errors
    /// The model cannot score the rows; a cancel.
    pub fn predict(&mut self, model: &TrainedModel, dataset: &Dataset, context: &JobContext) -> Result<()> {
        if self.of_rows.len() != dataset.rows {
            return Ok(());
        }
        context.stage("what the model expects of each point");
        let asked: Vec<u32> =
            (0..dataset.rows as u32).filter(|row| self.of_rows[*row as usize] != NOBODY).collect();
        let rows = super::attention::spread(&asked, SCORED);
        let scores = model.predict(dataset, &rows, context)?;
        let mut sums = vec![(0.0f64, 0.0f64); self.table.names.len()];
        for (row, score) in rows.iter().zip(scores) {
            let odds = f64::from(score).clamp(1e-9, 1.0 - 1e-9);
            let sum = &mut sums[self.of_rows[*row as usize] as usize];
            *sum = (sum.0 + (odds / (1.0 - odds)).ln(), sum.1 + 1.0);
        }
        self.predicted =
            self.ids.iter().map(|&id| sums[id as usize]).map(|(sum, n)| (sum / n) as f32).collect();
        self.scored = (rows.len(), dataset.rows);
        Ok(())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Name of a point.
    pub fn name(&self, point: usize) -> &str {
        let id = self.ids.get(point).copied().unwrap_or(u32::MAX) as usize;
        self.table.names.get(id).map_or("", String::as_str)
    }

    /// Embedding of a point.
    pub fn vector(&self, point: usize) -> &[f32] {
        let id = self.ids.get(point).copied().unwrap_or(u32::MAX) as usize;
        let start = id.saturating_mul(self.table.width);
        self.table.values.get(start..start.saturating_add(self.table.width)).unwrap_or_default()
    }

    /// The `count` points nearest to `point` in the full space, exact, itself left out.
    pub fn neighbours(&self, point: usize, count: usize) -> Vec<Near> {
        nearest(&self.points, self.vector(point), count, Some(point))
    }
}

/// What is drawn and what is not, in words.
fn left_out(gathered: &Gathered, unlearnt: usize, broken: usize) -> String {
    let mut parts = Vec::new();
    if !gathered.note.is_empty() {
        parts.push(gathered.note.clone());
    }
    let unit = gathered.source.unit();
    if unlearnt > 0 {
        parts.push(format!("{unlearnt} {unit} without a training row are not drawn"));
    }
    if broken > 0 {
        parts.push(format!("{broken} {unit} whose vectors are no finite numbers are not drawn"));
    }
    parts.join("; ")
}

/// What the log says about each table row.
struct Counted {
    clicks: Vec<f64>,
    impressions: Vec<f64>,
    trained: Vec<bool>,
}

impl Counted {
    fn new(dataset: &Dataset, of_rows: &[u32], size: usize) -> Self {
        let mut counted =
            Self { clicks: vec![0.0; size], impressions: vec![0.0; size], trained: vec![false; size] };
        for (row, &id) in of_rows.iter().enumerate().filter(|(_, id)| **id != NOBODY) {
            let weight = dataset.weight.get(row).map_or(1.0, |&w| f64::from(w));
            let label = dataset.label.get(row).map_or(0.0, |&y| f64::from(y));
            counted.impressions[id as usize] += weight;
            counted.clicks[id as usize] += weight * label;
        }
        for id in dataset.train.iter().map(|row| of_rows[*row as usize]).filter(|id| *id != NOBODY) {
            counted.trained[id as usize] = true;
        }
        counted
    }

    fn rate(&self, id: u32) -> Rate {
        Rate::wilson(self.clicks[id as usize], self.impressions[id as usize])
    }
}

/// Every field with few values that the points determine; of rows also whether they were clicked and what the model did
/// with them.
fn traits(dataset: &Dataset, gathered: &Gathered, ids: &[u32], context: &JobContext) -> Result<Vec<Trait>> {
    let mut found = match &gathered.rows {
        Some(rows) => traits_of_rows(dataset, rows, ids),
        None => Vec::new(),
    };
    let own = gathered.source.column();
    let known = gathered.of_rows.iter().filter(|id| **id != NOBODY).count();
    for (place, field) in dataset.encoder.categorical.iter().enumerate() {
        context.check()?;
        let size = field.cardinality();
        let rows = gathered.table.names.len();
        let is_crossed = gathered.rows.is_none();
        let too_many =
            size > TRAIT_VALUES + FIRST_VALUE_ID as usize || (is_crossed && size * rows > CROSS_CELLS);
        if Some(field.name.as_str()) == own || too_many {
            continue;
        }
        let Some(column) = dataset.categorical.get(place) else {
            continue;
        };
        let (codes, purity): (Vec<u32>, f64) = match &gathered.rows {
            Some(rows) => (ids.iter().map(|id| column[rows[*id as usize] as usize]).collect(), 1.0),
            None => most_frequent(&gathered.of_rows, column, (rows, size), known, ids),
        };
        let varies = codes.windows(2).any(|pair| pair[0] != pair[1]);
        if purity >= TRAIT_PURITY && varies {
            found.push(Trait {
                field: field.name.clone(),
                names: (0..size as u32).map(|code| field.name_of(code)).collect(),
                codes,
                purity,
            });
        }
    }
    Ok(found)
}

/// The most frequent code of each point, and the share of rows that agree with it.
fn most_frequent(
    of_rows: &[u32],
    column: &[u32],
    (rows, size): (usize, usize),
    known: usize,
    ids: &[u32],
) -> (Vec<u32>, f64) {
    let mut table = vec![0u32; rows * size];
    for (&id, &code) in of_rows.iter().zip(column.iter()).filter(|(id, _)| **id != NOBODY) {
        table[id as usize * size + code as usize] += 1;
    }
    let best = |id: u32| {
        let line = &table[id as usize * size..(id as usize + 1) * size];
        let top = (0..size).max_by_key(|&code| (line[code], std::cmp::Reverse(code)));
        let code = top.unwrap_or(0);
        (code as u32, u64::from(line[code]))
    };
    let agreeing: u64 = (0..rows as u32).map(|id| best(id).1).sum();
    (ids.iter().map(|&id| best(id).0).collect(), agreeing as f64 / known.max(1) as f64)
}

/// What the model did with each row, and whether it was clicked.
fn traits_of_rows(dataset: &Dataset, rows: &[u32], ids: &[u32]) -> Vec<Trait> {
    let mut part = vec![3u32; dataset.rows];
    for (code, split) in [Split::Train, Split::Validation, Split::Test].into_iter().enumerate() {
        dataset.rows_of(split).iter().for_each(|row| part[*row as usize] = code as u32);
    }
    let of = |field: &str, names: &[&str], code: &dyn Fn(usize) -> u32| Trait {
        field: field.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        codes: ids.iter().map(|id| code(rows[*id as usize] as usize)).collect(),
        purity: 1.0,
    };
    let parts = ["training rows", "validation rows", "test rows", "in no part"];
    let mut found = vec![of("part of the log", &parts, &|row| part[row])];
    if !dataset.label.is_empty() {
        found.push(of("outcome", &["not clicked", "clicked"], &|row| u32::from(dataset.label[row] > 0.5)));
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::Encoder;
    use crate::data::encode::{CategoricalField, Side};

    fn field(name: &str, side: Side, values: &[&str]) -> CategoricalField {
        CategoricalField {
            name: name.to_owned(),
            side,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            hash_buckets: 0,
        }
    }

    /// Ads 2..=5 over 40 rows; the campaign follows the ad, the page does not; ad 5 has no training row.
    pub fn dataset() -> Dataset {
        let encoder = Encoder {
            categorical: vec![
                field("ad", Side::Ad, &["a", "b", "c", "d"]),
                field("campaign", Side::Ad, &["跑鞋", "phone"]),
                field("page", Side::Context, &["home", "news"]),
            ],
            ..Encoder::default()
        };
        let ads: Vec<u32> = (0..40).map(|r| if r >= 36 { 5 } else { 2 + r % 3 }).collect();
        Dataset {
            encoder: Arc::new(encoder),
            rows: 40,
            categorical: vec![
                ads.clone().into(),
                ads.iter().map(|ad| if *ad < 4 { 2 } else { 3 }).collect(),
                (0..40).map(|r| 2 + (r / 3) % 2).collect(),
            ],
            label: ads.iter().map(|ad| f32::from(*ad == 2)).collect(),
            train: (0..36).collect(),
            ..Dataset::default()
        }
    }

    pub fn table() -> Arc<EmbeddingTable> {
        let names = ["missing", "rare or new", "a", "b", "c", "d"];
        Arc::new(EmbeddingTable {
            field: "ad".into(),
            names: names.map(str::to_owned).to_vec(),
            width: 2,
            values: vec![9.0, 9.0, 8.0, 8.0, 1.0, 0.0, 0.9, 0.1, -1.0, 0.2, 5.0, 5.0],
        })
    }

    /// The values of a table, with the log above.
    pub fn values(table: Arc<EmbeddingTable>, metric: Metric) -> Result<Values> {
        let dataset = dataset();
        let gathered = Gathered::table(table, Some(&dataset));
        Values::new(gathered, Some(Behind { dataset: &dataset, log: None }), metric, &JobContext::detached())
    }

    fn made(table: Arc<EmbeddingTable>) -> Values {
        values(table, Metric::Cosine).unwrap()
    }

    #[test]
    fn only_learned_values_are_drawn_and_carry_their_rates() {
        let made = made(table());
        assert_eq!(made.ids, [2, 3, 4]);
        assert!(made.left_out.starts_with("3 values"));
        assert_eq!((made.rates[0].successes, made.rates[0].trials), (12.0, 12.0));
        assert_eq!(made.rates[1].successes, 0.0);
        assert_eq!(made.name(2), "c");
    }

    #[test]
    fn traits_are_what_the_value_determines() {
        let made = made(table());
        let fields: Vec<&str> = made.traits.iter().map(|t| t.field.as_str()).collect();
        assert_eq!(fields, ["campaign"]);
        let campaign = &made.traits[0];
        assert_eq!(campaign.names[campaign.codes[0] as usize], "跑鞋");
        assert_eq!(campaign.names[campaign.codes[2] as usize], "phone");
    }

    #[test]
    fn rows_tell_of_their_part_and_outcome_and_no_row_is_left_out() {
        let dataset = dataset();
        let rows = vec![0, 36, 3];
        let mut of_rows = vec![NOBODY; 40];
        rows.iter().zip(0..).for_each(|(row, place): (&u32, u32)| of_rows[*row as usize] = place);
        let names = ["row 1", "row 37", "row 4"].map(str::to_owned).to_vec();
        let table = EmbeddingTable { field: "row".into(), names, width: 1, values: vec![0.0, 1.0, 2.0] };
        let gathered = Gathered {
            source: Source::Rows(3),
            table: Arc::new(table),
            of_rows: of_rows.into(),
            rows: Some(rows),
            note: "3 of 40 rows".into(),
        };
        let behind = Some(Behind { dataset: &dataset, log: None });
        let made = Values::new(gathered, behind, Metric::Euclidean, &JobContext::detached()).unwrap();
        assert_eq!((made.len(), made.left_out.as_str()), (3, "3 of 40 rows"));
        let named = |place: usize| -> Vec<&str> {
            let known = &made.traits[place];
            known.codes.iter().map(|code| known.names[*code as usize].as_str()).collect()
        };
        assert_eq!(named(0), ["training rows", "in no part", "training rows"]);
        assert_eq!(named(1), ["clicked", "not clicked", "clicked"]);
        // Fields that every row determines follow; the ad varies, so does the page, and rows 0 and 3 have one campaign.
        assert_eq!(made.traits[2].field, "ad");
        assert_eq!((made.rates[0].successes, made.rates[1].trials), (1.0, 1.0));
    }

    #[test]
    fn neighbours_come_by_angle_in_the_full_space() {
        let made = Gathered::table(table(), None);
        let made = Values::new(made, None, Metric::Cosine, &JobContext::detached()).unwrap();
        let near = made.neighbours(2, 2);
        // (1, 0) and (0.9, 0.1): cos = 0.9 / sqrt(0.82); next is one of the diagonals, cos 45°.
        assert_eq!(near[0].place, 3);
        assert!((f64::from(near[0].distance) - (1.0 - 0.9 / 0.82f64.sqrt())).abs() < 1e-6);
        assert!((f64::from(near[1].distance) - (1.0 - 0.5f64.sqrt())).abs() < 1e-6);
    }

    #[test]
    fn vectors_that_are_no_numbers_are_left_out_and_told() {
        let mut broken = (*table()).clone();
        broken.values[6] = f32::NAN;
        let some = made(Arc::new(broken.clone()));
        assert_eq!(some.ids, [2, 4]);
        assert!(some.left_out.contains("1 values whose vectors are no finite numbers"), "{}", some.left_out);
        broken.values.fill(f32::NAN);
        let refused = values(Arc::new(broken), Metric::Cosine);
        assert!(refused.unwrap_err().why.contains("training went wrong"));
    }
}
