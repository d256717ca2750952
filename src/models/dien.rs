//! How did this user's interest come to where this ad meets it? Deep interest evolution network.
//!
//! DIEN (Zhou et al., AAAI 2019, arXiv 1809.03672). A GRU reads the past; an auxiliary loss asks each of its states for the
//! behaviour that came next, against another one (equation 4), so that states are interests and not only what the last click
//! needs. The ad attends to the states (equation 14), and a second GRU, whose steps are multiplied by that attention (AUGRU,
//! equations 15 and 16), follows the interest that this ad is about. Its last state joins all other fields in a deep network,
//! beside a linear part. The behaviour that a real one is set against is one of another row of the batch.

use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_START, EMBEDDING_WIDTH, FieldRows, GENTLE_PENALTY, HIDDEN_LAYERS,
    HIDDEN_UNITS, LINEAR_FLOW, LinearPart, NEEDS_SEQUENCE, NORMALISE, TAPER, deep_shape, need_features,
    need_sequence, side_by_side,
};
use super::{Beside, Flow, Inputs, Model, ModelKind, Output, Wanted};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::batch::SequenceBatch;
use crate::data::{Batch, Encoder};
use crate::nn::attention::mask;
use crate::nn::mlp::Mlp;
use crate::nn::normalise::masked_softmax;
use crate::nn::probe::Members;
use crate::nn::recurrent::{Cell, Recurrent};
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// Interests that evolve, by the ad.
#[derive(Debug)]
pub struct Dien;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::real(
        "next_behaviour",
        "Weight of the next behaviour",
        (0.0, 1.0, 100.0),
        "What telling the next past behaviour counts beside the clicks. At 0 the past is read for clicks alone.",
    ),
    HIDDEN_UNITS,
    HIDDEN_LAYERS,
    TAPER,
    DROPOUT,
    NORMALISE,
];

impl ModelKind for Dien {
    fn id(&self) -> &'static str {
        "dien"
    }

    fn label(&self) -> &'static str {
        "Deep interest evolution"
    }

    fn summary(&self) -> &'static str {
        "Reads a user's past in order, learns what came next in it, and follows the interest that this ad is about."
    }

    fn needs(&self) -> &'static str {
        NEEDS_SEQUENCE
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("interest", &["embedding"], "reads past behaviour, and tells what came next"),
                Flow::of(
                    "evolution",
                    &["interest", "embedding"],
                    "reads it again as far as the ad attends to it",
                ),
                Flow::of("deep", &["embedding", "evolution", "numbers"], "hidden layers"),
                Flow::click(&["linear", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn exposes_attention(&self) -> bool {
        true
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)?;
        need_sequence(encoder, "dien", "it reads a behaviour sequence")
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let linear = LinearPart::new(encoder, builder)?;
        let rows = FieldRows::new(encoder, builder, "embedding", width, Init::Normal(EMBEDDING_START))?;
        let start = Init::Normal((1.0 / width as f64).sqrt());
        let interests = encoder
            .sequences
            .iter()
            .enumerate()
            .map(|(place, sequence)| {
                let name = format!("evolution.{place}");
                Ok(Interest {
                    target: sequence.target,
                    reader: Recurrent::new(builder, &format!("interest.{place}"), Cell::Gru, width, width)?,
                    asking: builder.parameter(&format!("{name}.asking"), &[width, width], start)?,
                    evolution: Recurrent::new(builder, &name, Cell::Gru, width, width)?,
                    name,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        // Per sequence: the last state, and its product with the target.
        let inputs = (rows.count() + 2 * interests.len()) * width + encoder.numeric.len();
        let deep = Mlp::new(builder, "deep", inputs, deep_shape(params)?)?;
        let weight = params.real("next_behaviour")?;
        Ok(Box::new(Network { linear, rows, interests, deep, weight }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    interests: Vec<Interest>,
    deep: Mlp,
    /// What the auxiliary loss counts.
    weight: f64,
}

/// What reads one sequence.
struct Interest {
    name: String,
    /// The categorical field whose vocabulary the sequence shares.
    target: usize,
    reader: Recurrent,
    /// `[width, width]`: from the ad to what it asks states for.
    asking: Tensor,
    evolution: Recurrent,
}

/// Positions of a batch's events, `row * positions + position`: of states, of what came next, and of what it is set against.
#[derive(Debug, Default, PartialEq)]
struct Followed {
    states: Vec<u32>,
    next: Vec<u32>,
    other: Vec<u32>,
    /// The rows of the states.
    rows: Vec<usize>,
}

impl Interest {
    /// All states `[rows, positions, width]`, the last state of the evolution `[rows, width]`, and what the ad attended to,
    /// `[rows, positions]`.
    fn forward(
        &self,
        (history, target): (&Tensor, &Tensor),
        lengths: &[u32],
        pass: &mut Pass<'_>,
    ) -> Computed<[Tensor; 3]> {
        let (rows, positions, _) = history.dims3()?;
        let states = self.reader.forward_each(history, lengths)?;
        let asked = target.matmul(&self.asking)?.unsqueeze(2)?;
        let scores = states.matmul(&asked)?.squeeze(2)?;
        let weights = masked_softmax(&scores, &mask(lengths, positions, history.device())?)?;
        let gated = pass.heads(&self.name, weights.reshape((rows, 1, 1, positions))?, lengths)?;
        let last = self.evolution.forward_attended(&states, &gated.reshape((rows, positions))?, lengths)?;
        Ok([states, last, weights])
    }
}

/// Log odds that what followed each state did so, then that what it is set against did; `None` without either.
fn told(states: &Tensor, history: &Tensor, followed: &Followed) -> Computed<Option<Tensor>> {
    if followed.states.is_empty() {
        return Ok(None);
    }
    let rows_of = |all: &Tensor, places: &[u32]| {
        all.flatten_to(1)?.index_select(&Tensor::new(places, all.device())?, 0)
    };
    let states = rows_of(states, &followed.states)?;
    let log_odds = |places: &[u32]| (&states * rows_of(history, places)?)?.sum(1);
    Tensor::cat(&[log_odds(&followed.next)?, log_odds(&followed.other)?], 0).map(Some)
}

/// What followed what, each set against the event half a batch further on, or the first one behind it that is of another
/// value and another row.
fn followed(sequence: &SequenceBatch, positions: usize) -> Followed {
    let events: Vec<(usize, usize)> = sequence
        .lengths
        .iter()
        .enumerate()
        .flat_map(|(row, length)| (0..*length as usize).map(move |position| (row, position)))
        .collect();
    let id = |(row, position): (usize, usize)| sequence.ids[row * sequence.max_len + position];
    let place = |(row, position): (usize, usize)| (row * positions + position) as u32;
    let mut found = Followed::default();
    for (at, (row, position)) in events.iter().copied().enumerate().filter(|(_, event)| event.1 > 0) {
        let mut behind =
            (0..events.len().min(TRIES)).map(|step| events[(at + events.len() / 2 + step) % events.len()]);
        let is_other = |other: &(usize, usize)| other.0 != row && id(*other) != id((row, position));
        if let Some(other) = behind.find(is_other) {
            found.states.push(place((row, position - 1)));
            found.next.push(place((row, position)));
            found.other.push(place(other));
            found.rows.push(row);
        }
    }
    found
}

/// Events among which another one is looked for.
const TRIES: usize = 64;

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch), self.rows.each(batch)];
        for (sequence, interest) in batch.sequences.iter().zip(&self.interests) {
            lookups.push(self.rows.positions(sequence, interest.target));
            lookups.push(self.rows.one(batch, interest.target));
        }
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let batch = inputs.batch;
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let mut parts = vec![inputs.gathered[1].flatten_from(1)?, inputs.numeric.clone()];
        let mut attention = Vec::with_capacity(self.interests.len());
        let (mut scores, mut targets, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let pairs = inputs.gathered[2..].chunks_exact(2);
        let interests = self.interests.iter().zip(&batch.sequences).zip(pairs).enumerate();
        for (place, ((interest, sequence), pair)) in interests {
            let (history, target) = (&pair[0], &pair[1]);
            pass.looks_among(Members::PastForAd(place));
            let [states, last, weights] = interest.forward((history, target), &sequence.lengths, pass)?;
            parts.push((&last * target)?);
            parts.push(last);
            attention.push(weights);
            if self.weight > 0.0 {
                let followed = followed(sequence, history.dim(1)?);
                scores.extend(told(&states, history, &followed)?);
                for target in [1.0, 0.0] {
                    targets.extend(followed.rows.iter().map(|_| target));
                    let count = |row: &usize| batch.weight.get(*row).copied().unwrap_or(1.0);
                    counts.extend(followed.rows.iter().map(count));
                }
            }
        }
        let deep = self.deep.forward(&side_by_side(&parts)?, pass)?;
        let beside = if scores.is_empty() {
            None
        } else {
            let wanted = Wanted::Real { targets, counts };
            Some(Beside { scores: Tensor::cat(&scores, 0)?, weight: self.weight, wanted })
        };
        Ok(Output { attention, beside, ..Output::of((linear + deep)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{Weights, dot, equals_loops};

    /// One step of a GRU, of which `attention` is taken.
    fn step(weights: &Weights, name: &str, x: &[f64], state: &[f64], attention: f64) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let of_input = weights.linear(&format!("{name}.input"), x);
        let of_state = |gate: usize, unit: usize| {
            dot(weights.row(&format!("{name}.hidden.weight"), (gate * state.len() + unit) as u32), state)
        };
        let units = state.len();
        (0..units)
            .map(|unit| {
                let reset = sigmoid(of_input[unit] + of_state(0, unit));
                let update = sigmoid(of_input[units + unit] + of_state(1, unit));
                let inner = of_state(2, unit) + weights.of(&format!("{name}.hidden.bias"))[unit];
                let candidate = (of_input[2 * units + unit] + reset * inner).tanh();
                let kept = 1.0 - attention * (1.0 - update);
                kept * state[unit] + (1.0 - kept) * candidate
            })
            .collect()
    }

    #[test]
    fn equals_two_readers_written_as_loops() {
        let settings = [("embedding_width", "4"), ("hidden_units", "8"), ("hidden_layers", "2")];
        equals_loops("dien", &settings, |weights, batch, row| {
            let mut state = vec![0.0; 4];
            let states: Vec<Vec<f64>> = weights
                .history(batch, row)
                .iter()
                .map(|event| {
                    state = step(weights, "interest.0", event, &state, 1.0);
                    state.clone()
                })
                .collect();
            let ad = weights.row("embedding.ad", batch.categorical[1][row]).to_vec();
            let asked: Vec<f64> = (0..4)
                .map(|j| (0..4).map(|i| ad[i] * weights.row("evolution.0.asking", i as u32)[j]).sum())
                .collect();
            let powers: Vec<f64> = states.iter().map(|state| dot(state, &asked).exp()).collect();
            let mut last = vec![0.0; 4];
            for (state, power) in states.iter().zip(&powers) {
                last = step(weights, "evolution.0", state, &last, power / powers.iter().sum::<f64>());
            }
            let mut x = weights.embeddings(batch, row)[..3].concat();
            x.push(f64::from(batch.numeric[0][row]));
            x.extend(last.iter().zip(&ad).map(|(x, y)| x * y));
            x.extend(&last);
            weights.linear_part(batch, row) + weights.deep("deep", &x)[0]
        });
    }

    #[test]
    fn what_came_next_is_set_against_another_rows_event_of_another_value() {
        // Row 0: 2 3 3, row 1: 3 4, row 2: none, row 3: 2.
        let ids = [[2, 3, 3], [3, 4, 0], [0, 0, 0], [2, 0, 0]].concat();
        let sequence = SequenceBatch { max_len: 3, ids: ids.clone(), lengths: vec![3, 2, 0, 1] };
        let found = followed(&sequence, 3);
        assert_eq!((found.states.clone(), found.next.clone()), (vec![0, 1, 3], vec![1, 2, 4]));
        assert_eq!(found.rows, [0, 0, 1]);
        for (next, other) in found.next.iter().zip(&found.other) {
            assert_ne!(ids[*next as usize], ids[*other as usize]);
            assert_ne!(next / 3, other / 3);
        }
        let alone = SequenceBatch { max_len: 3, ids: vec![2, 3, 4], lengths: vec![3] };
        assert_eq!(followed(&alone, 3), Followed::default(), "no other row has anything");
    }
}
