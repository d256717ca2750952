//! Where was this user's interest heading? A behaviour sequence read in order by an LSTM or a GRU.
//!
//! Hidasi et al., ICLR 2016 (arXiv 1511.06939), use the last state of a GRU as the session's interest; here it joins all
//! other fields, and its product with the ad's embedding, in a deep network. A linear part beside it learns plain rates.

use super::features::{
    DEEP_KNOBS, EMBEDDING_FLOW, EMBEDDING_START, FieldRows, GENTLE_PENALTY, LINEAR_FLOW, LinearPart,
    NEEDS_SEQUENCE, deep_shape, need_features, need_sequence, side_by_side,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::mlp::Mlp;
use crate::nn::recurrent::{Cell, Recurrent};
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};

/// A tower that reads the behaviour sequence with this cell.
#[derive(Debug)]
pub struct ReadsInOrder(pub Cell);

/// The state is as wide as the embeddings, so that it can be multiplied with the ad's.
impl ModelKind for ReadsInOrder {
    fn id(&self) -> &'static str {
        match self.0 {
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        }
    }

    fn label(&self) -> &'static str {
        match self.0 {
            Cell::Lstm => "LSTM over behaviour",
            Cell::Gru => "GRU over behaviour",
        }
    }

    fn summary(&self) -> &'static str {
        match self.0 {
            Cell::Lstm => "Reads a user's past in order, so it can tell where interest is heading.",
            Cell::Gru => "Reads a user's past in order like the LSTM, with fewer weights.",
        }
    }

    fn needs(&self) -> &'static str {
        NEEDS_SEQUENCE
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("reader", &["embedding"], "reads past behaviour in its order"),
                Flow::of("deep", &["embedding", "reader", "numbers"], "hidden layers"),
                Flow::click(&["linear", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        DEEP_KNOBS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)?;
        need_sequence(encoder, self.id(), "it reads a behaviour sequence")
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let linear = LinearPart::new(encoder, builder)?;
        let rows = FieldRows::new(encoder, builder, "embedding", width, Init::Normal(EMBEDDING_START))?;
        let readers = encoder
            .sequences
            .iter()
            .enumerate()
            .map(|(place, sequence)| {
                let reader = Recurrent::new(builder, &format!("reader.{place}"), self.0, width, width)?;
                Ok((sequence.target, reader))
            })
            .collect::<Result<Vec<_>>>()?;
        // Per sequence: the last state, and its product with the target.
        let inputs = (rows.count() + 2 * readers.len()) * width + encoder.numeric.len();
        let deep = Mlp::new(builder, "deep", inputs, deep_shape(params)?)?;
        Ok(Box::new(Network { linear, rows, readers, deep }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    /// The categorical field whose vocabulary each sequence shares, and what reads the sequence.
    readers: Vec<(usize, Recurrent)>,
    deep: Mlp,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch), self.rows.each(batch)];
        for (sequence, (target, _)) in batch.sequences.iter().zip(&self.readers) {
            lookups.push(self.rows.positions(sequence, *target));
            lookups.push(self.rows.one(batch, *target));
        }
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let mut parts = vec![inputs.gathered[1].flatten_from(1)?, inputs.numeric.clone()];
        let pairs = inputs.gathered[2..].chunks_exact(2);
        for (((_, reader), sequence), pair) in self.readers.iter().zip(&inputs.batch.sequences).zip(pairs) {
            let (history, target) = (&pair[0], &pair[1]);
            let state = reader.forward(history, &sequence.lengths)?;
            parts.push((&state * target)?);
            parts.push(state);
        }
        let deep = self.deep.forward(&side_by_side(&parts)?, pass)?;
        Ok(Output::of((linear + deep)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{Weights, dot, equals_loops};

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// `(of the input with bias, of the state)` for gate `gate` of unit `unit`.
    fn sums(weights: &Weights, gate: usize, unit: usize, x: &[f64], h: &[f64]) -> (f64, f64) {
        let row = (gate * h.len() + unit) as u32;
        let of_input = weights.of("reader.0.input.bias")[row as usize]
            + dot(weights.row("reader.0.input.weight", row), x);
        (of_input, dot(weights.row("reader.0.hidden.weight", row), h))
    }

    fn lstm(weights: &Weights, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let before = h.to_vec();
        for unit in 0..h.len() {
            let gate = |gate| {
                let (of_input, of_state) = sums(weights, gate, unit, x, &before);
                of_input + of_state
            };
            c[unit] = sigmoid(gate(1)) * c[unit] + sigmoid(gate(0)) * gate(2).tanh();
            h[unit] = sigmoid(gate(3)) * c[unit].tanh();
        }
    }

    fn gru(weights: &Weights, x: &[f64], h: &mut [f64], _: &mut [f64]) {
        let before = h.to_vec();
        for unit in 0..h.len() {
            let sum = |gate| sums(weights, gate, unit, x, &before);
            let (reset, update, candidate) = (sum(0), sum(1), sum(2));
            let reset = sigmoid(reset.0 + reset.1);
            let update = sigmoid(update.0 + update.1);
            let inner = candidate.1 + weights.of("reader.0.hidden.bias")[unit];
            h[unit] = (1.0 - update) * (candidate.0 + reset * inner).tanh() + update * before[unit];
        }
    }

    #[test]
    fn equals_the_cells_written_as_loops() {
        type Step = fn(&Weights, &[f64], &mut [f64], &mut [f64]);
        for (kind, step) in [("lstm", lstm as Step), ("gru", gru)] {
            let settings = [("embedding_width", "3"), ("hidden_units", "4")];
            equals_loops(kind, &settings, |weights, batch, row| {
                let (mut h, mut c) = (vec![0.0; 3], vec![0.0; 3]);
                for event in weights.history(batch, row) {
                    step(weights, &event, &mut h, &mut c);
                }
                let mut all = weights.embeddings(batch, row)[..3].concat();
                let target = all[3..6].to_vec();
                all.push(f64::from(batch.numeric[0][row]));
                all.extend(h.iter().zip(&target).map(|(h, t)| h * t));
                all.extend(h);
                weights.linear_part(batch, row) + weights.deep("deep", &all)[0]
            });
        }
    }
}
