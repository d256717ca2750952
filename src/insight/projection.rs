//! Which values did the model learn to treat alike? An embedding table flattened to a picture, with what the
//! log says about each point and its nearest neighbours in the full space.

use super::pca;
use crate::base::Result;
use crate::data::Dataset;
use crate::data::batch::FIRST_VALUE_ID;
use crate::jobs::JobContext;
use crate::metrics::Rate;
use crate::train::EmbeddingTable;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A table's points on their first two principal components, with what colours them.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// The table in the full space: row `i` belongs to vocabulary id `i`.
    pub table: Arc<EmbeddingTable>,
    /// Table row of each point. Values that the training rows never held are left out: they carry no learning.
    pub ids: Vec<u32>,
    /// Position of each point.
    pub xy: Vec<[f32; 2]>,
    /// Share of variance along each component, all of them.
    pub explained: Vec<f64>,
    /// Clicks and impressions of each point's value over the whole log; empty without a data set.
    pub rates: Vec<Rate>,
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

/// A value close to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its place in [`Projection::ids`].
    pub point: usize,
    /// Cosine of the angle between the two embeddings.
    pub cosine: f64,
}

/// More values than this make no legend.
const TRAIT_VALUES: usize = 40;
/// Cells of a cross table (value by property): above this the property is not looked at.
const CROSS_CELLS: usize = 32 << 20;
/// A property counts as determined from this share of agreeing impressions on.
const TRAIT_PURITY: f64 = 0.95;

/// Projects `table` with PCA; `dataset` (the log that the model knows) gives counts, click rates and traits.
///
/// # Errors
/// Fewer than two values with training rows, or an embedding without variance.
pub fn project(
    table: Arc<EmbeddingTable>,
    dataset: Option<&Dataset>,
    context: &JobContext,
) -> Result<Projection> {
    context.stage("counting the values");
    let counts = dataset.and_then(|dataset| Counted::new(dataset, &table));
    let ids: Vec<u32> = match &counts {
        Some(counts) => (0..table.names.len() as u32).filter(|&id| counts.trained[id as usize]).collect(),
        None => (0..table.names.len() as u32).collect(),
    };
    context.check()?;
    context.stage("principal components");
    let width = table.width;
    let row = |id: u32| &table.values[id as usize * width..(id as usize + 1) * width];
    let drawn: Vec<f32> = ids.iter().flat_map(|&id| row(id).iter().copied()).collect();
    let components = pca::components(&drawn, width).map_err(|f| f.at(&table.field))?;
    context.check()?;
    context.stage("properties of the values");
    let missing = table.names.len() - ids.len();
    Ok(Projection {
        xy: ids.par_iter().map(|&id| components.project(row(id))).collect(),
        explained: components.explained,
        rates: counts
            .as_ref()
            .map_or_else(Vec::new, |counts| ids.iter().map(|&id| counts.rate(id)).collect()),
        traits: match (dataset, &counts) {
            (Some(dataset), Some(counts)) => traits(dataset, counts, &ids, context)?,
            _ => Vec::new(),
        },
        left_out: if missing == 0 {
            String::new()
        } else {
            format!("{missing} values without a training row are not drawn")
        },
        table,
        ids,
    })
}

impl Projection {
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

    /// The `count` points with the highest cosine to `point` in the full space, exact, itself left out.
    pub fn neighbours(&self, point: usize, count: usize) -> Vec<Neighbour> {
        let target = self.vector(point);
        let mut all: Vec<Neighbour> = (0..self.ids.len())
            .into_par_iter()
            .filter(|&other| other != point)
            .map(|other| Neighbour { point: other, cosine: cosine(target, self.vector(other)) })
            .collect();
        let closer = |a: &Neighbour, b: &Neighbour| b.cosine.total_cmp(&a.cosine).then(a.point.cmp(&b.point));
        if all.len() > count && count > 0 {
            all.select_nth_unstable_by(count - 1, closer);
        }
        all.truncate(count);
        all.sort_by(closer);
        all
    }
}

/// Cosine of two vectors; 0 when one of them is zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (f64::from(x), f64::from(y));
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    let size = (aa * bb).sqrt();
    if size > 0.0 { dot / size } else { 0.0 }
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
    /// `None` when the data set has no such field or another vocabulary.
    fn new(dataset: &'a Dataset, table: &EmbeddingTable) -> Option<Self> {
        let fields = &dataset.encoder.categorical;
        let field = fields.iter().position(|f| f.name == table.field)?;
        let size = table.names.len();
        if fields[field].cardinality() != size {
            return None;
        }
        let mut counted = Self {
            column: dataset.categorical.get(field)?,
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
mod tests {
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
    fn dataset() -> Dataset {
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

    fn table() -> Arc<EmbeddingTable> {
        let names = ["missing", "rare or new", "a", "b", "c", "d"];
        Arc::new(EmbeddingTable {
            field: "ad".into(),
            names: names.map(str::to_owned).to_vec(),
            width: 2,
            values: vec![9.0, 9.0, 8.0, 8.0, 1.0, 0.0, 0.9, 0.1, -1.0, 0.2, 5.0, 5.0],
        })
    }

    #[test]
    fn only_learned_values_are_drawn_and_carry_their_rates() {
        let made = project(table(), Some(&dataset()), &JobContext::detached()).unwrap();
        assert_eq!(made.ids, [2, 3, 4]);
        assert!(made.left_out.starts_with("3 values"));
        assert_eq!((made.rates[0].successes, made.rates[0].trials), (12.0, 12.0));
        assert_eq!(made.rates[1].successes, 0.0);
        assert_eq!(made.name(2), "c");
    }

    #[test]
    fn traits_are_what_the_value_determines() {
        let made = project(table(), Some(&dataset()), &JobContext::detached()).unwrap();
        let fields: Vec<&str> = made.traits.iter().map(|t| t.field.as_str()).collect();
        assert_eq!(fields, ["campaign"]);
        let campaign = &made.traits[0];
        assert_eq!(campaign.names[campaign.codes[0] as usize], "跑鞋");
        assert_eq!(campaign.names[campaign.codes[2] as usize], "phone");
    }

    #[test]
    fn neighbours_come_by_angle_in_the_full_space() {
        let made = project(table(), None, &JobContext::detached()).unwrap();
        let near = made.neighbours(2, 2);
        // (1, 0) and (0.9, 0.1): cos = 0.9 / sqrt(0.82); next is one of the diagonals, cos 45°.
        assert_eq!(near[0].point, 3);
        assert!((near[0].cosine - 0.9 / 0.82f64.sqrt()).abs() < 1e-6);
        assert!((near[1].cosine - 0.5f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_cancel_is_answered() {
        let cancel = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let context = JobContext::watched(cancel, |_| {});
        assert!(project(table(), None, &context).unwrap_err().is_cancelled());
    }
}
