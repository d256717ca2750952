//! What is a model made of? Its parts in the order of the computation, with the shapes and numbers of their weights,
//! for data of one encoding: what a drawing shows before anything is trained.

use super::{ModelKind, Network};
use crate::base::Result;
use crate::base::params::Params;
use crate::data::Encoder;
use crate::nn::weights::Builder;
use candle_core::Device;
use serde::Serialize;

/// One step of a kind's computation, as the kind declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Its name: the weights called so, or whose names begin so, are its own.
    pub part: &'static str,
    /// The steps that it reads; [`FIELDS`], [`HISTORIES`] and [`NUMBERS`] are the batch.
    pub reads: &'static [&'static str],
    /// What it does, in a few words.
    pub does: &'static str,
}

impl Flow {
    /// A step called `part` that reads others.
    pub const fn of(part: &'static str, reads: &'static [&'static str], does: &'static str) -> Self {
        Self { part, reads, does }
    }

    /// The last step of a kind that predicts clicks alone.
    pub const fn click(reads: &'static [&'static str]) -> Self {
        Self::of(CLICK, reads, "log odds of a click")
    }
}

/// Weights that go by another name than the part that they belong to.
const ELSEWHERE: [(&str, &str); 3] =
    [("numeric.weight", "linear"), ("bias", "linear"), ("numeric.embedding", "embedding")];

/// The categorical fields of a batch.
pub const FIELDS: &str = "fields";
/// The past behaviour of a batch's users.
pub const HISTORIES: &str = "histories";
/// The numbers of a batch.
pub const NUMBERS: &str = "numbers";
/// The last step of every kind.
pub const CLICK: &str = "click";

/// A model's parts, inputs first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outline {
    /// What it is made of; a part reads only parts before it.
    pub parts: Vec<Part>,
    /// Numbers that are trained, over all parts.
    pub weights: usize,
}

/// A part of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What it does, in a few words.
    pub does: String,
    /// Places of the parts that it reads.
    pub reads: Vec<usize>,
    /// Its tensors with their shapes; a table is `[values, numbers of each]`.
    pub tensors: Vec<(String, Vec<usize>)>,
    /// Numbers in them.
    pub weights: usize,
}

/// The outline of a kind for data of this encoding. Tables are not filled, so that it costs no memory however many values
/// there are.
///
/// # Errors
/// The kind cannot work with this data, or a knob is missing.
pub fn outline(kind: &dyn ModelKind, encoder: &Encoder, params: &Params) -> Result<Outline> {
    let network = Network::build(kind, encoder, params, Builder::outline(Device::Cpu))?;
    let mut parts = inputs(encoder);
    for step in kind.flow() {
        let place = |name: &&str| parts.iter().position(|part: &Part| part.name == **name);
        let reads = step.reads.iter().filter_map(place).collect();
        parts.push(Part::new(step.part, step.does, reads));
    }
    if kind.flow().is_empty() {
        let reads = (0..parts.len()).collect();
        parts.push(Part::new(CLICK, Flow::click(&[]).does, reads));
    }
    let tables = network.tables.iter().map(|table| (table.name.clone(), vec![table.rows(), table.width]));
    let dense = network.parameters.iter().map(|known| (known.name.clone(), known.shape.clone()));
    for (name, shape) in tables.chain(dense) {
        let owner = owner(&parts, &name);
        parts[owner].weights += shape.iter().product::<usize>();
        parts[owner].tensors.push((name, shape));
    }
    Ok(Outline { weights: parts.iter().map(|part| part.weights).sum(), parts })
}

/// The part whose name a tensor's begins with, the longest such; the last part has what nobody else claims.
fn owner(parts: &[Part], tensor: &str) -> usize {
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == tensor);
    let tensor = elsewhere.map_or(tensor, |(_, part)| part);
    let begins = |part: &Part| {
        tensor.strip_prefix(part.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let owners = parts.iter().enumerate().filter(|(_, part)| begins(part));
    owners.max_by_key(|(_, part)| part.name.len()).map_or(parts.len() - 1, |(place, _)| place)
}

/// What a batch holds of this encoding.
fn inputs(encoder: &Encoder) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |name: &str, of: Vec<&str>| {
        if !of.is_empty() {
            let does = format!("{}: {}", of.len(), of.join(", "));
            parts.push(Part::new(name, &does, Vec::new()));
        }
    };
    add(FIELDS, encoder.categorical.iter().map(|field| field.name.as_str()).collect());
    add(HISTORIES, encoder.sequences.iter().map(|field| field.name.as_str()).collect());
    add(NUMBERS, encoder.numeric.iter().map(|field| field.name.as_str()).collect());
    parts
}

impl Part {
    fn new(name: &str, does: &str, reads: Vec<usize>) -> Self {
        Self { name: name.to_owned(), does: does.to_owned(), reads, tensors: Vec::new(), weights: 0 }
    }
}

impl Outline {
    /// Parts side by side, from the inputs to the click: a part stands right of all that it reads and left of all that
    /// read it.
    pub fn columns(&self) -> Vec<Vec<usize>> {
        let mut depths: Vec<usize> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let depth =
                part.reads.iter().filter_map(|place| depths.get(*place)).max().map_or(0, |most| most + 1);
            depths.push(depth);
        }
        // As near to who reads it as can be, so that no line runs behind a box; inputs stay at the left.
        for place in (0..self.parts.len()).rev().filter(|place| !self.parts[*place].reads.is_empty()) {
            let readers = self.parts.iter().zip(&depths).filter(|(part, _)| part.reads.contains(&place));
            if let Some(nearest) = readers.map(|(_, depth)| *depth).min() {
                depths[place] = nearest - 1;
            }
        }
        let mut columns = vec![Vec::new(); depths.iter().max().map_or(0, |most| most + 1)];
        for (place, depth) in depths.into_iter().enumerate() {
            columns[depth].push(place);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::MODELS;
    use crate::models::check::tiny;
    use crate::train::specs_of;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_is_drawn_from_its_inputs_to_the_click_with_all_its_weights() {
        let (encoder, _) = tiny();
        for kind in MODELS {
            let params = Params::defaults(&specs_of(kind.id()).unwrap());
            let found = outline(*kind, &encoder, &params).unwrap();
            let network = Network::new(*kind, &encoder, &params, 1, Device::Cpu).unwrap();
            assert_eq!(found.weights, network.count(), "{}", kind.id());
            assert_eq!(found.parts.last().unwrap().name, CLICK, "{}", kind.id());
            let declared: BTreeSet<&str> =
                kind.flow().iter().flat_map(|step| step.reads.iter().copied()).collect();
            for part in &found.parts[..found.parts.len() - 1] {
                let is_read = found
                    .parts
                    .iter()
                    .any(|other| other.reads.iter().any(|at| found.parts[*at].name == part.name));
                assert!(
                    is_read || !declared.contains(part.name.as_str()),
                    "{}: nobody reads {}",
                    kind.id(),
                    part.name
                );
            }
            let names: Vec<&str> = found.parts.iter().map(|part| part.name.as_str()).collect();
            let columns = found.columns();
            let column = |part: usize| columns.iter().position(|parts| parts.contains(&part)).unwrap();
            for (place, part) in found.parts.iter().enumerate() {
                assert!(part.reads.iter().all(|read| column(*read) < column(place)), "{}", kind.id());
            }
            let unknown = declared.iter().find(|name| !names.contains(name));
            assert_eq!(unknown, None, "{}", kind.id());
        }
    }
}
