//! Is this ad like what the person clicked on before? By what the ads say and are, not by who else clicked.
//!
//! Content-based filtering (Lops, de Gemmis & Semeraro 2011): an ad is its attributes, each value a fixed random direction
//! so that equal values are alike and others are not (Johnson & Lindenstrauss), and its numbers, among them the vectors of
//! its texts where those are [read](crate::data::encode::TextField). A person is the mean of what they clicked, drawn
//! towards nothing where that is little. An ad that nobody has seen yet is judged like any other.

use super::counted::{Beside, Counting, ScaledSum, need_other_ads};
use super::features::{FieldRows, LINEAR_FLOW};
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::params::{ParamSpec, Params};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::encode::Side;
use crate::data::{Batch, Dataset, Encoder};
use crate::nn::tables::{Lookup, Read};
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};
use candle_core::{D, Tensor};

/// Table of the directions of attribute values.
pub const ATTRIBUTES: &str = "attributes";
/// Table of what people like, or of what ads are where a row tells its past.
pub const PROFILE: &str = "profile";

/// Rows between two looks for a cancel.
const LOOK_EVERY: usize = 1 << 16;

/// Room for attributes.
pub const CONTENT_WIDTH: ParamSpec = ParamSpec::integer(
    "content_width",
    "Width of attributes",
    (2, 32, 512),
    "Numbers that all attributes of an ad share. More keep different values further apart.",
);

/// Trust in few clicks.
pub const CONTENT_SHRINKAGE: ParamSpec = ParamSpec::real(
    "content_shrinkage",
    "Shrinkage of profiles",
    (0.0, 3.0, 1000.0),
    "A person with n clicks counts n / (n + this) of their mean. Turn up when clicks are few.",
);

/// Content-based filtering.
#[derive(Debug)]
pub struct ContentCf;

impl ModelKind for ContentCf {
    fn id(&self) -> &'static str {
        "content_cf"
    }

    fn label(&self) -> &'static str {
        "Content neighbours"
    }

    fn summary(&self) -> &'static str {
        "Ads like those a person clicked, by attributes and text: also for ads that nobody has seen yet."
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[CONTENT_WIDTH, CONTENT_SHRINKAGE]
    }

    fn needs(&self) -> &'static str {
        "an outcome, users, ads, and what ads are: attributes, numbers, or texts read as vectors"
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of(ATTRIBUTES, &["fields", "numbers"], "what the ad is"),
                Flow::of(PROFILE, &["fields", "histories"], "what the person clicked, counted"),
                Flow::of("scale", &[ATTRIBUTES, PROFILE], "their product, and what it counts"),
                Flow::click(&["linear", "scale"]),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_content(encoder, self.id()).map(drop)
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        fill(rows, network, self.id())
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let sum = ScaledSum::new(encoder, builder, 1.0)?;
        Ok(Box::new(ByContent { sum, content: Content::new(encoder, params, builder, self.id())? }))
    }
}

/// Refuses a log whose ads are nothing but names. Answers the ad's field and beside which ads it is looked at.
///
/// # Errors
/// As the title says, or the log lacks users or ads.
pub fn need_content(encoder: &Encoder, kind: &str) -> Result<(usize, Beside)> {
    let found = need_other_ads(encoder, kind)?;
    let About { attributes, numbers } = About::of(encoder, found.0);
    if attributes.is_empty() && numbers.is_empty() {
        let why = "the log says nothing of its ads but their names";
        return Err(Failure::new(format!("cannot train {kind}"), why).hint(
            "put a table of ads beside the log (--join), read texts (--text-vectors), or train item_cf",
        ));
    }
    Ok(found)
}

/// Which fields say what an ad is.
#[derive(Debug)]
struct About {
    attributes: Vec<usize>,
    /// With what each counts.
    numbers: Vec<(usize, f32)>,
}

impl About {
    fn of(encoder: &Encoder, ad: usize) -> Self {
        let categorical = encoder.categorical.iter().enumerate();
        let attributes = categorical.filter(|(at, field)| *at != ad && field.side == Side::Ad);
        let numbers = encoder.numeric.iter().enumerate().filter(|(_, field)| field.side == Side::Ad);
        let (mut plain, mut numbers): (Vec<_>, Vec<_>) =
            numbers.map(|(at, _)| at).partition(|at| encoder.text_group(*at).is_none());
        // A text counts as much as an attribute, its directions by how far texts spread along them; so do its topics, and so do
        // all other numbers together.
        let plain_weight = 1.0 / (plain.len().max(1) as f32).sqrt();
        let weight = |at: usize| match encoder.text_group(at) {
            None => plain_weight,
            Some(group) => {
                let spread = |at: usize| encoder.numeric[at].deviation;
                let all: f64 = group.map(|at| spread(at).powi(2)).sum();
                (spread(at) / all.sqrt()) as f32
            }
        };
        plain.append(&mut numbers);
        Self {
            attributes: attributes.map(|(at, _)| at).collect(),
            numbers: plain.into_iter().map(|at| (at, weight(at))).collect(),
        }
    }
}

/// The product of what an ad is with what the person clicked.
#[derive(Debug)]
pub struct Content {
    about: About,
    directions: FieldRows,
    /// Place of the profiles in the network.
    profile: usize,
    beside: Beside,
}

impl Content {
    /// With tables of zeros.
    ///
    /// # Errors
    /// The log lacks what is needed, or there is no room.
    pub fn new(encoder: &Encoder, params: &Params, builder: &mut Builder, kind: &str) -> Result<Self> {
        let (ad, beside) = need_content(encoder, kind)?;
        let about = About::of(encoder, ad);
        let width = params.count("content_width")?;
        let directions = FieldRows::counted(encoder, builder, ATTRIBUTES, width)?;
        let field = match beside {
            Beside::Past(_) => ad,
            Beside::Clicked(user) => user,
        };
        let fields = [(encoder.categorical[field].name.clone(), encoder.categorical[field].cardinality())];
        let profile = builder.counted(PROFILE, width + about.numbers.len(), &fields)?;
        Ok(Self { about, directions, profile, beside })
    }

    /// What is looked up: the ad's attributes, then the person's profile.
    pub fn lookups(&self, batch: &Batch) -> [Lookup; 2] {
        let attributes = self.directions.some(batch, &self.about.attributes);
        let width = self.about.attributes.len().max(1) as u32;
        let summed = attributes.reads.into_iter().map(|read| Read { slot: read.slot / width, ..read });
        let attributes = Lookup { reads: summed.collect(), shape: vec![batch.rows], ..attributes };
        let known = |id: &u32| *id >= FIRST_VALUE_ID;
        let reads = match self.beside {
            Beside::Clicked(user) => (0u32..)
                .zip(&batch.categorical[user])
                .filter(|(_, id)| known(id))
                .map(|(slot, id)| Read { row: *id, slot, weight: 1.0 })
                .collect(),
            Beside::Past(past) => {
                let past = &batch.sequences[past];
                let rows = (0u32..).zip(&past.lengths);
                let events = rows.flat_map(|(slot, length)| {
                    let ids = &past.ids[slot as usize * past.max_len..][..*length as usize];
                    ids.iter().map(move |id| (slot, *id, 1.0 / *length as f32))
                });
                let events = events.filter(|(_, id, _)| known(id));
                events.map(|(slot, row, weight)| Read { row, slot, weight }).collect()
            }
        };
        [attributes, Lookup { table: self.profile, reads, shape: vec![batch.rows] }]
    }

    /// The products `[rows]` of what was looked up.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn score(&self, [attributes, profile]: [&Tensor; 2], numeric: &Tensor) -> Computed<Tensor> {
        let own = if self.about.numbers.is_empty() {
            attributes.clone()
        } else {
            let (places, weights): (Vec<u32>, Vec<f32>) =
                self.about.numbers.iter().map(|(at, weight)| (*at as u32, *weight)).unzip();
            let places = Tensor::new(places, numeric.device())?;
            let weights = Tensor::new(weights, numeric.device())?;
            let numbers = numeric.index_select(&places, 1)?.broadcast_mul(&weights)?;
            Tensor::cat(&[attributes, &numbers], D::Minus1)?
        };
        (own * profile)?.sum(1)
    }
}

/// Draws the directions and fills the profiles from the training rows.
///
/// # Errors
/// A cancel.
pub fn fill(rows: &Counting<'_>, network: &mut Network, kind: &str) -> Result<()> {
    let dataset = rows.dataset;
    let (ad, beside) = need_content(&dataset.encoder, kind)?;
    let about = About::of(&dataset.encoder, ad);
    let width = rows.params.count("content_width")?;
    let shrinkage = rows.params.real("content_shrinkage")? as f32;
    let directions: Vec<Vec<f32>> =
        about.attributes.iter().map(|field| directions(dataset, *field, width, rows.seed)).collect();
    let table = network.table_mut(ATTRIBUTES)?;
    for (field, directions) in about.attributes.iter().zip(&directions) {
        let start = table.start(*field);
        for (id, direction) in (0..).zip(directions.chunks_exact(width)) {
            table.row_mut(start + id).copy_from_slice(direction);
        }
    }
    // Of a row that tells its past the ads are averaged when it is read; else the clicks of a person are, here.
    let (whose, clicked_only, shrinkage) = match beside {
        Beside::Past(_) => (ad, false, 0.0),
        Beside::Clicked(user) => (user, true, shrinkage),
    };
    let profile = network.table_mut(PROFILE)?;
    let mut counts = vec![0.0f32; dataset.encoder.categorical[whose].cardinality()];
    for (place, row) in dataset.train.iter().enumerate() {
        if place % LOOK_EVERY == 0 {
            rows.context.check()?;
        }
        let row = *row as usize;
        let id = dataset.categorical[whose][row];
        if id < FIRST_VALUE_ID || (clicked_only && dataset.label[row] <= 0.0) {
            continue;
        }
        counts[id as usize] += 1.0;
        let into = profile.row_mut(id);
        for (field, directions) in about.attributes.iter().zip(&directions) {
            let direction = &directions[dataset.categorical[*field][row] as usize * width..][..width];
            into.iter_mut().zip(direction).for_each(|(sum, value)| *sum += value);
        }
        for (sum, (number, weight)) in into[width..].iter_mut().zip(&about.numbers) {
            *sum += dataset.numeric[*number][row] * weight;
        }
    }
    for (id, count) in (0..).zip(counts).filter(|(_, count)| *count > 0.0) {
        profile.row_mut(id).iter_mut().for_each(|sum| *sum /= count + shrinkage);
    }
    Ok(())
}

/// A direction for each value of an attribute, `[ids, width]`, of mean 0 over the training rows; none for what is missing or
/// rare, of which nobody knows what it has in common.
fn directions(dataset: &Dataset, field: usize, width: usize, seed: u64) -> Vec<f32> {
    let known = &dataset.encoder.categorical[field];
    let mut rng = Rng::named(seed, &format!("content/{}", known.name));
    let first = FIRST_VALUE_ID as usize * width;
    let mut found = vec![0.0f32; known.cardinality() * width];
    found[first..].iter_mut().for_each(|value| *value = (rng.normal() / (width as f64).sqrt()) as f32);
    let mut counts = vec![0u32; known.cardinality()];
    dataset.train.iter().for_each(|row| counts[dataset.categorical[field][*row as usize] as usize] += 1);
    let total = f64::from(counts.iter().skip(FIRST_VALUE_ID as usize).sum::<u32>()).max(1.0);
    let mut mean = vec![0.0f64; width];
    for (direction, count) in found.chunks_exact(width).zip(&counts) {
        let share = f64::from(*count) / total;
        mean.iter_mut().zip(direction).for_each(|(mean, value)| *mean += f64::from(*value) * share);
    }
    for direction in found[first..].chunks_exact_mut(width) {
        direction.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= *mean as f32);
    }
    found
}

struct ByContent {
    sum: ScaledSum,
    content: Content,
}

impl Model for ByContent {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let [attributes, profile] = self.content.lookups(batch);
        vec![self.sum.lookup(batch), attributes, profile]
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        let score = self.content.score([&inputs.gathered[1], &inputs.gathered[2]], &inputs.numeric)?;
        self.sum.forward(inputs, &score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{dot, equals_loops, tiny};

    #[test]
    fn equals_the_linear_part_and_the_product_with_the_mean_of_the_past() {
        // In the tiny log an ad has no attribute but its number; the past is in the rows.
        equals_loops("content_cf", &[("content_width", "2")], |weights, batch, row| {
            let past = &batch.sequences[0];
            let ids = &past.ids[row * past.max_len..][..past.lengths[row] as usize];
            let own = [0.0, 0.0, f64::from(batch.numeric[0][row])];
            let known = ids.iter().filter(|id| **id >= FIRST_VALUE_ID);
            let alike: f64 = known.map(|id| dot(weights.row("profile.ad", *id), &own)).sum();
            let mean = alike / ids.len().max(1) as f64;
            weights.linear_part(batch, row) + weights.of("scale")[0] * mean
        });
    }

    #[test]
    fn a_log_whose_ads_are_only_names_is_refused() {
        let (mut encoder, _) = tiny();
        encoder.numeric.clear();
        let failure = ContentCf.check(&encoder).unwrap_err();
        assert!(failure.why.contains("but their names") && failure.hint.contains("--text-vectors"));
    }
}
