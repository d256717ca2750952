//! What is known of the values whose vectors make a map: which were learnt, how often they were shown and clicked, what
//! a model expects of them, and which properties they have.

use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::data::batch::FIRST_VALUE_ID;
use crate::jobs::JobContext;
use crate::maps::search::{Near, nearest};
use crate::maps::{Metric, Points};
use crate::metrics::Rate;
use crate::train::{EmbeddingTable, TrainedModel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The values of a field as points, with what the log says of each. Made once, shared by all maps of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// The table in the full space: row `i` belongs to vocabulary id `i`.
    pub table: Arc<EmbeddingTable>,
    /// Table row of each point. Values that the training rows never held are left out: they carry no learning.
    pub ids: Vec<u32>,
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
    /// Rows of the table that are not drawn, and why; empty when all are.
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

impl Values {
    /// Takes the learnt values of a table; `dataset` (the log that the model knows) gives counts, click rates and traits.
    ///
    /// # Errors
    /// No value with training rows and finite numbers; a cancel.
    pub fn new(
        table: Arc<EmbeddingTable>,
        dataset: Option<&Dataset>,
        metric: Metric,
        context: &JobContext,
    ) -> Result<Self> {
        context.stage("counting the values");
        let counts = dataset.and_then(|dataset| Counted::new(dataset, &table));
        let all = 0..table.names.len() as u32;
        let learnt: Vec<u32> = match &counts {
            Some(counts) => all.filter(|&id| counts.trained[id as usize]).collect(),
            None => all.collect(),
        };
        let width = table.width;
        let row = |id: u32| &table.values[id as usize * width..(id as usize + 1) * width];
        let ids: Vec<u32> =
            learnt.iter().copied().filter(|&id| row(id).iter().all(|value| value.is_finite())).collect();
        let drawn: Vec<f32> = ids.iter().flat_map(|&id| row(id).iter().copied()).collect();
        let points = Points::new(drawn, width, metric).map_err(|failure| {
            if learnt.is_empty() || !ids.is_empty() {
                return failure.at(&table.field);
            }
            let why = "no vector of the table is all finite numbers: its training went wrong";
            Failure::new("cannot draw the embeddings", why).at(&table.field).hint("train the model anew")
        })?;
        context.check()?;
        context.stage("properties of the values");
        Ok(Self {
            rates: counts
                .as_ref()
                .map_or_else(Vec::new, |counts| ids.iter().map(|&id| counts.rate(id)).collect()),
            traits: match (dataset, &counts) {
                (Some(dataset), Some(counts)) => traits(dataset, counts, &ids, context)?,
                _ => Vec::new(),
            },
            left_out: left_out(table.names.len() - learnt.len(), learnt.len() - ids.len()),
            predicted: Vec::new(),
            scored: (0, 0),
            table,
            ids,
            points,
        })
    }

    /// Adds what the model expects of each value: the mean log odds over its rows, on a spread of rows where the log has
    /// very many.
    ///
    /// # Errors
    /// The model cannot score the rows; a cancel.
    pub fn predict(&mut self, model: &TrainedModel, dataset: &Dataset, context: &JobContext) -> Result<()> {
        let Some(counts) = Counted::field_of(dataset, &self.table) else { return Ok(()) };
        context.stage("what the model expects of each value");
        let step = dataset.rows.div_ceil(SCORED).max(1);
        let rows: Vec<u32> = (0..dataset.rows as u32).step_by(step).collect();
        let scores = model.predict(dataset, &rows, context)?;
        let mut sums = vec![(0.0f64, 0.0f64); self.table.names.len()];
        for (row, score) in rows.iter().zip(scores) {
            let odds = f64::from(score).clamp(1e-9, 1.0 - 1e-9);
            let sum = &mut sums[counts[*row as usize] as usize];
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

/// What is not drawn, in words.
fn left_out(unlearnt: usize, broken: usize) -> String {
    let mut parts = Vec::new();
    if unlearnt > 0 {
        parts.push(format!("{unlearnt} values without a training row are not drawn"));
    }
    if broken > 0 {
        parts.push(format!("{broken} values whose vectors are no finite numbers are not drawn"));
    }
    parts.join("; ")
}

/// What the log says about each value of the projected field.
struct Counted<'a> {
    column: &'a [u32],
    field: usize,
    clicks: Vec<f64>,
    impressions: Vec<f64>,
    trained: Vec<bool>,
}

impl<'a> Counted<'a> {
    /// The ids of the table's field by row; `None` when the data set has no such field or another vocabulary.
    fn field_of(dataset: &'a Dataset, table: &EmbeddingTable) -> Option<&'a [u32]> {
        let field = dataset.encoder.position(&table.field)?;
        let known = dataset.encoder.categorical.get(field)?.cardinality() == table.names.len();
        dataset.categorical.get(field).filter(|_| known).map(|column| &column[..])
    }

    /// As for [`field_of`](Self::field_of).
    fn new(dataset: &'a Dataset, table: &EmbeddingTable) -> Option<Self> {
        let field = dataset.encoder.position(&table.field)?;
        let size = table.names.len();
        let mut counted = Self {
            column: Self::field_of(dataset, table)?,
            field,
            clicks: vec![0.0; size],
            impressions: vec![0.0; size],
            trained: vec![false; size],
        };
        for (row, &id) in counted.column.iter().enumerate() {
            let weight = dataset.weight.get(row).map_or(1.0, |&w| f64::from(w));
            let label = dataset.label.get(row).map_or(0.0, |&y| f64::from(y));
            counted.impressions[id as usize] += weight;
            counted.clicks[id as usize] += weight * label;
        }
        for &row in dataset.train.iter() {
            counted.trained[counted.column[row as usize] as usize] = true;
        }
        Some(counted)
    }

    fn rate(&self, id: u32) -> Rate {
        Rate::wilson(self.clicks[id as usize], self.impressions[id as usize])
    }
}

/// Every field with few values that the projected field determines.
fn traits(dataset: &Dataset, counted: &Counted<'_>, ids: &[u32], context: &JobContext) -> Result<Vec<Trait>> {
    let mut found = Vec::new();
    for (place, field) in dataset.encoder.categorical.iter().enumerate() {
        context.check()?;
        let size = field.cardinality();
        let too_many =
            size > TRAIT_VALUES + FIRST_VALUE_ID as usize || size * counted.impressions.len() > CROSS_CELLS;
        if place == counted.field || too_many {
            continue;
        }
        let Some(column) = dataset.categorical.get(place) else {
            continue;
        };
        let mut table = vec![0u32; counted.impressions.len() * size];
        for (&id, &code) in counted.column.iter().zip(column.iter()) {
            table[id as usize * size + code as usize] += 1;
        }
        let best = |id: u32| {
            let line = &table[id as usize * size..(id as usize + 1) * size];
            let top = (0..size).max_by_key(|&code| (line[code], std::cmp::Reverse(code)));
            let code = top.unwrap_or(0);
            (code as u32, u64::from(line[code]))
        };
        let agreeing: u64 = (0..counted.impressions.len() as u32).map(|id| best(id).1).sum();
        let purity = agreeing as f64 / counted.column.len().max(1) as f64;
        let codes: Vec<u32> = ids.iter().map(|&id| best(id).0).collect();
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

    fn made(table: Arc<EmbeddingTable>) -> Values {
        Values::new(table, Some(&dataset()), Metric::Cosine, &JobContext::detached()).unwrap()
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
    fn neighbours_come_by_angle_in_the_full_space() {
        let made = Values::new(table(), None, Metric::Cosine, &JobContext::detached()).unwrap();
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
        let refused =
            Values::new(Arc::new(broken), Some(&dataset()), Metric::Cosine, &JobContext::detached());
        assert!(refused.unwrap_err().why.contains("training went wrong"));
    }
}
