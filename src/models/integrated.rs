//! What does each input add to a row's log odds, by the slopes on the way to it?
//!
//! Integrated gradients (Sundararajan, Taly & Yan, ICML 2017, arXiv 1703.01365): `(x - x') * integral over the way of
//! df/dx`. The way leads from the mean embedding of each field over background rows, their mean numbers and histories whose
//! events are all zero, to the row's own. The integral is taken by midpoints of pieces that are halved where a piece does
//! not add up to the difference of its own ends: at the kinks of relu, few pieces do not.

use super::{Inputs, Network};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::{Batch, Encoder};
use crate::nn::losses::backward_from;
use crate::nn::tables::{Lookup, Table};
use crate::nn::{Computed, Pass};
use candle_core::{Tensor, Var};

const WHAT: &str = "cannot integrate the slopes";

/// What each input adds, with both ends of the way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Integrated {
    /// Log odds at the beginning.
    pub start: f64,
    /// Log odds of the row.
    pub end: f64,
    /// One number a categorical field, a numeric one, a history.
    pub parts: Vec<f64>,
    /// Pieces of the way.
    pub pieces: usize,
}

impl Integrated {
    /// How far the parts are from adding up to the difference of the ends.
    pub fn gap(&self) -> f64 {
        (self.parts.iter().sum::<f64>() - (self.end - self.start)).abs()
    }
}

/// One read of a table with the input that it is of, and both ends of its way.
struct Way {
    slot: usize,
    weight: f32,
    input: usize,
    from: Vec<f32>,
    to: Vec<f32>,
}

/// A piece of the way.
#[derive(Debug, Clone)]
struct Piece {
    /// Where it begins and ends, from 0 to 1, with the log odds there.
    from: (f64, f64),
    to: (f64, f64),
    /// Log odds and slopes in its middle; the slopes times the whole way of each input.
    middle: (f64, Vec<f64>),
}

impl Piece {
    fn length(&self) -> f64 {
        self.to.0 - self.from.0
    }

    /// How far the slopes in the middle are from explaining the difference of the ends.
    fn gap(&self) -> f64 {
        self.length() * self.middle.1.iter().sum::<f64>() - (self.to.1 - self.from.1)
    }

    /// What single precision alone makes of the difference of the ends: no halving mends that.
    fn noise(&self) -> f64 {
        2.0 * f64::from(f32::EPSILON) * self.from.1.abs().max(self.to.1.abs()).max(1.0)
    }
}

/// Pieces to begin with, and places at most whose slopes are taken.
const FIRST_PIECES: usize = 64;
const MOST_PLACES: usize = 8192;

impl Network {
    /// Integrates for the only row of `row` until the parts add up to `complete`, or so many places do not do.
    ///
    /// # Errors
    /// A kind whose score has no slope by its inputs, or the device fails.
    pub fn integrated(
        &self,
        encoder: &Encoder,
        row: &Batch,
        background: &Batch,
        complete: f64,
    ) -> Result<Integrated> {
        let (row, background) = (&*self.as_read(row), &*self.as_read(background));
        let lookups = self.model.lookups(row);
        let ways = self.ways(encoder, row, background, &lookups);
        let is_of_row = lookups.iter().all(|lookup| lookup.shape.first() == Some(&1));
        let Some(ways) = ways.filter(|_| is_of_row) else {
            return Err(Failure::new(WHAT, "the score of this kind has no slope by its inputs")
                .hint("Shapley shares work for every kind"));
        };
        let means: Vec<f32> = background.numeric.iter().map(|column| mean(column)).collect();
        let walk = |places: &[f64]| {
            self.walk(row, (&lookups, &ways), &means, places).explain("cannot compute the model")
        };
        // The ends of the first pieces and their middles in turn.
        let places: Vec<f64> =
            (0..=2 * FIRST_PIECES).map(|place| place as f64 / (2 * FIRST_PIECES) as f64).collect();
        let known = walk(&places)?;
        let at = |place: usize| (places[place], known[place].0);
        let piece =
            |first: usize| Piece { from: at(first), to: at(first + 2), middle: known[first + 1].clone() };
        let mut pieces: Vec<Piece> = (0..FIRST_PIECES).map(|place| piece(2 * place)).collect();
        let mut asked = places.len();
        while asked < MOST_PLACES && pieces.iter().map(Piece::gap).sum::<f64>().abs() > complete {
            // The worst first: a kink has all of its gap in one piece, however small that becomes.
            let worst = pieces.iter().map(|piece| piece.gap().abs()).fold(0.0, f64::max);
            let is_fine = |piece: &Piece| piece.gap().abs() <= piece.noise().max(0.1 * worst);
            let (kept, split): (Vec<Piece>, Vec<Piece>) = pieces.into_iter().partition(is_fine);
            if split.is_empty() {
                pieces = kept;
                break;
            }
            let places: Vec<f64> = split
                .iter()
                .flat_map(|piece| [0.25, 0.75].map(|share| piece.from.0 + share * piece.length()))
                .collect();
            asked += places.len();
            let mut found = walk(&places)?.into_iter();
            pieces = kept;
            for piece in split {
                let half = (0.5 * (piece.from.0 + piece.to.0), piece.middle.0);
                for (from, to) in [(piece.from, half), (half, piece.to)] {
                    if let Some(middle) = found.next() {
                        pieces.push(Piece { from, to, middle });
                    }
                }
            }
        }
        let mut parts = vec![0.0; known[0].1.len()];
        for piece in &pieces {
            parts.iter_mut().zip(&piece.middle.1).for_each(|(sum, part)| *sum += piece.length() * part);
        }
        Ok(Integrated { start: known[0].0, end: known[2 * FIRST_PIECES].0, parts, pieces: pieces.len() })
    }

    /// The reads of each lookup as ways; `None` where a table is not one of the encoder's fields.
    fn ways(
        &self,
        encoder: &Encoder,
        row: &Batch,
        background: &Batch,
        lookups: &[Lookup],
    ) -> Option<Vec<Vec<Way>>> {
        let fields = row.categorical.len();
        let numbers = row.numeric.len();
        // A read that is gone when a history is empty is that history's.
        let without: Vec<Vec<Lookup>> = (0..row.sequences.len())
            .map(|place| {
                let mut emptied = row.clone();
                emptied.sequences[place].lengths = vec![0];
                self.model.lookups(&emptied)
            })
            .collect();
        let of_sequence = |at: usize, read: &crate::nn::tables::Read| {
            without.iter().position(|emptied| {
                !emptied[at].reads.iter().any(|other| other.row == read.row && other.slot == read.slot)
            })
        };
        let ways = |(at, lookup): (usize, &Lookup)| {
            let table = &self.tables[lookup.table];
            let way = |read: &crate::nn::tables::Read| {
                let to = table.row(read.row).to_vec();
                let (slot, weight) = (read.slot as usize, read.weight);
                if let Some(sequence) = of_sequence(at, read) {
                    let input = fields + numbers + sequence;
                    return Some(Way { slot, weight, input, from: vec![0.0; table.width], to });
                }
                // A table may hold some of the fields only.
                let place = table.place_of(read.row)?;
                let input = encoder.position(table.fields().nth(place)?)?;
                let from = mean_row(table, place, background.categorical.get(input));
                Some(Way { slot, weight, input, from, to })
            };
            lookup.reads.iter().map(way).collect()
        };
        lookups.iter().enumerate().map(ways).collect()
    }

    /// Log odds at places of the way, and the slopes there times the whole way of each input.
    fn walk(
        &self,
        row: &Batch,
        (lookups, ways): (&[Lookup], &[Vec<Way>]),
        means: &[f32],
        places: &[f64],
    ) -> Computed<Vec<(f64, Vec<f64>)>> {
        let count = places.len();
        let leaves = lookups
            .iter()
            .zip(ways)
            .map(|(lookup, ways)| {
                let width = self.tables[lookup.table].width;
                let mut shape = lookup.shape.clone();
                shape[0] = count;
                shape.push(width);
                let slots: usize = lookup.shape.iter().product();
                Var::from_vec(between(ways, (slots, width), places), shape, &self.device)
            })
            .collect::<Computed<Vec<Var>>>()?;
        let mut numeric = Vec::with_capacity(count * means.len());
        for place in places {
            let pairs = means.iter().zip(&row.numeric);
            numeric.extend(pairs.map(|(mean, own)| mean + *place as f32 * (own[0] - mean)));
        }
        let numeric = Var::from_vec(numeric, (count, means.len()), &self.device)?;
        let repeated = row.repeated(count);
        let gathered: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
        let inputs = Inputs { batch: &repeated, numeric: numeric.as_tensor().clone(), gathered: &gathered };
        let logits = self.model.forward(&inputs, &mut Pass::Predict)?.logits;
        let store = backward_from(&[(&logits, &vec![1.0; count])])?;
        let slopes = |var: &Var| match store.get(var.as_tensor()) {
            Some(slopes) => slopes.flatten_all()?.to_vec1::<f32>(),
            None => Ok(vec![0.0; var.elem_count()]),
        };
        let inputs = row.categorical.len() + row.numeric.len() + row.sequences.len();
        let mut found: Vec<(f64, Vec<f64>)> =
            logits.to_vec1::<f32>()?.into_iter().map(|z| (f64::from(z), vec![0.0; inputs])).collect();
        for ((leaf, ways), lookup) in leaves.iter().zip(ways).zip(lookups) {
            let width = self.tables[lookup.table].width;
            let each = (lookup.shape.iter().product::<usize>() * width).max(1);
            for (slopes, (_, parts)) in slopes(leaf)?.chunks_exact(each).zip(&mut found) {
                for way in ways {
                    let moved = way.to.iter().zip(&way.from).map(|(to, from)| f64::from(to - from));
                    let of_slot = slopes[way.slot * width..][..width].iter().map(|slope| f64::from(*slope));
                    let sum: f64 = of_slot.zip(moved).map(|(slope, moved)| slope * moved).sum();
                    parts[way.input] += f64::from(way.weight) * sum;
                }
            }
        }
        for (slopes, (_, parts)) in slopes(&numeric)?.chunks_exact(means.len().max(1)).zip(&mut found) {
            for (field, slope) in slopes.iter().enumerate() {
                parts[row.categorical.len() + field] +=
                    f64::from(slope * (row.numeric[field][0] - means[field]));
            }
        }
        Ok(found)
    }
}

/// The gathered rows of a lookup at places of the way: `[places, slots, width]`.
fn between(ways: &[Way], (slots, width): (usize, usize), places: &[f64]) -> Vec<f32> {
    let mut values = vec![0.0_f32; places.len() * slots * width];
    for (place, values) in places.iter().zip(values.chunks_exact_mut((slots * width).max(1))) {
        for way in ways {
            let to = &mut values[way.slot * width..][..width];
            for (to, (from, end)) in to.iter_mut().zip(way.from.iter().zip(&way.to)) {
                *to += way.weight * (from + *place as f32 * (end - from));
            }
        }
    }
    values
}

/// The mean of a field's rows over ids.
fn mean_row(table: &Table, field: usize, ids: Option<&Vec<u32>>) -> Vec<f32> {
    let mut mean = vec![0.0_f64; table.width];
    let ids = ids.map_or(&[][..], Vec::as_slice);
    for id in ids {
        for (to, value) in mean.iter_mut().zip(table.row(table.start(field) + id)) {
            *to += f64::from(*value);
        }
    }
    mean.into_iter().map(|sum| (sum / ids.len().max(1) as f64) as f32).collect()
}

fn mean(column: &[f32]) -> f32 {
    let sum: f64 = column.iter().map(|v| f64::from(*v)).sum();
    (sum / column.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::params::Params;
    use crate::data::batch::SequenceBatch;
    use crate::models::check::tiny;
    use crate::models::{MODELS, kind};
    use candle_core::Device;

    fn only(batch: &Batch, row: usize) -> Batch {
        Batch {
            rows: 1,
            categorical: batch.categorical.iter().map(|ids| vec![ids[row]]).collect(),
            numeric: batch.numeric.iter().map(|values| vec![values[row]]).collect(),
            sequences: batch
                .sequences
                .iter()
                .map(|of| SequenceBatch {
                    max_len: of.max_len,
                    ids: of.ids[row * of.max_len..(row + 1) * of.max_len].to_vec(),
                    lengths: vec![of.lengths[row]],
                })
                .collect(),
            ..Batch::default()
        }
    }

    #[test]
    fn parts_add_up_to_the_difference_of_the_ends_for_every_kind_with_slopes() {
        let (encoder, batch) = tiny();
        let row = only(&batch, 0);
        let mut with_slopes = 0;
        for kind in MODELS.iter().filter(|kind| kind.check(&encoder).is_ok()) {
            let params = Params::defaults(kind.params());
            let network = Network::new(*kind, &encoder, &params, 3, Device::Cpu).unwrap();
            let Ok(found) = network.integrated(&encoder, &row, &batch, 1e-4) else { continue };
            with_slopes += 1;
            let logits = network.forward(&row, &mut Pass::Predict).unwrap().logits;
            assert!((found.end - f64::from(logits[0])).abs() < 1e-5, "{}", kind.id());
            assert!(found.gap() < 1e-4, "{}: {found:?}, gap {}", kind.id(), found.gap());
        }
        assert!(with_slopes > 15, "{with_slopes}");
    }

    /// A linear model's parts are weights times what is other than the average, exactly.
    #[test]
    fn parts_of_a_linear_model_are_its_weights() {
        let (encoder, batch) = tiny();
        let kind = kind("logistic").unwrap();
        let network = Network::new(kind, &encoder, &Params::defaults(kind.params()), 3, Device::Cpu).unwrap();
        let row = only(&batch, 1);
        let found = network.integrated(&encoder, &row, &batch, 1e-4).unwrap();
        let table = &network.tables[0];
        for (field, ids) in batch.categorical.iter().enumerate() {
            let weight = |id: u32| f64::from(table.row(table.start(field) + id)[0]);
            let average: f64 = ids.iter().map(|id| weight(*id)).sum::<f64>() / ids.len() as f64;
            assert!((found.parts[field] - (weight(ids[1]) - average)).abs() < 1e-6, "{found:?}");
        }
    }
}
