//! What did the layers of a network do with a batch?

use super::Network;
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::Batch;
use crate::nn::losses::backward_from;
use crate::nn::probe::{Members, Probe, SeenHeads, SeenNode};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// What is asked of a pass beside the scores.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look<'a> {
    /// An attention head that answers 0, by its layer and its place.
    pub silent: Option<(&'a str, usize)>,
    /// Also how far the log odds depend on each attention weight.
    pub gradients: bool,
    /// Also the numbers that leave each layer.
    pub values: bool,
}

/// Scores, and what was seen on the way.
#[derive(Debug, Default)]
pub struct Looked {
    /// Log odds per row.
    pub logits: Vec<f32>,
    /// Attention layers in the order in which they were passed.
    pub heads: Vec<HeadWeights>,
    /// What left each layer, if asked for.
    pub values: Vec<LayerValues>,
    /// The vectors whose products two by two are part of the score: `[rows, count, width]`.
    pub pairs: Option<LayerValues>,
    /// How often trees ask for each feature: anywhere, and on the way of each row `[rows, features]`.
    pub cuts: Option<(Vec<f32>, LayerValues)>,
    /// The first trees with the rows that came through.
    pub trees: Vec<Vec<SeenNode>>,
}

/// The size of a tensor's weights and of the loss's slope by them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightSizes {
    /// Its name in files; tables as one.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Root of the mean square of the weights.
    pub weight: f64,
    /// Root of the mean square of the slopes; `None` for weights that are counted, and without outcomes.
    pub slope: Option<f64>,
    /// Rows of a table that the batch reads; `None` for other weights.
    pub rows_read: Option<usize>,
}

/// The weights of an attention layer's heads.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadWeights {
    /// The layer's name among the parameters.
    pub layer: String,
    /// Who is who.
    pub members: Members,
    /// Heads, questions of each, and members that each question is about.
    pub shape: [usize; 3],
    /// Members of each row that are real.
    pub lengths: Vec<u32>,
    /// `[row, head, question, member]`.
    pub weights: Vec<f32>,
    /// The weight times the derivative of the row's log odds by it, of the same shape; empty when not asked for.
    pub pulls: Vec<f32>,
}

/// Numbers that left a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerValues {
    /// The layer's name among the parameters.
    pub layer: String,
    /// Rows first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Network {
    /// Scores a batch by the graph and tells what its layers did.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn look(&self, batch: &Batch, look: Look<'_>) -> Result<Looked> {
        let silent = look.silent.map(|(layer, head)| (layer.to_owned(), head)).into_iter().collect();
        let mut probe = Probe::new(silent, look.values);
        let forward = self.forward(batch, &mut Pass::Look(&mut probe))?;
        let ones = if look.gradients { vec![1.0; batch.rows] } else { Vec::new() };
        told(probe, &forward.graph, &ones, forward.logits).explain("cannot look into the model")
    }
}

impl Network {
    /// The weights' sizes and, with outcomes, the slopes of the batch's mean loss by them.
    ///
    /// # Errors
    /// As for [`gradients`](Self::gradients).
    pub fn sizes(&self, batch: &Batch) -> Result<Vec<WeightSizes>> {
        let is_labelled = !batch.label.is_empty();
        let gradients = if is_labelled { Some(self.gradients(batch, &mut Pass::Predict)?.1) } else { None };
        // A log without numbers leaves tensors without any.
        let filled = self.parameters.iter().enumerate().filter(|(_, parameter)| !parameter.values.is_empty());
        let dense = filled.map(|(place, parameter)| WeightSizes {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            weight: root_mean_square(&parameter.values, parameter.values.len()),
            slope: gradients
                .as_ref()
                .filter(|_| !parameter.is_fixed)
                .and_then(|known| known.dense.get(place))
                .map(|slopes| root_mean_square(slopes, slopes.len())),
            rows_read: None,
        });
        let tables = self.tables.iter().enumerate().map(|(place, table)| {
            let all = || (0..table.fields().count()).flat_map(|field| table.read(field, 0..table.width));
            let squares: f64 = all().map(|w| f64::from(w).powi(2)).sum();
            let numbers = table.rows() * table.width;
            let known =
                gradients.as_ref().filter(|_| !table.is_fixed).and_then(|known| known.tables.get(place));
            WeightSizes {
                name: table.name.clone(),
                shape: vec![table.rows(), table.width],
                weight: (squares / numbers.max(1) as f64).sqrt(),
                // Of the rows that were read: the others' slopes are 0.
                slope: known.map(|slopes| root_mean_square(&slopes.values, slopes.values.len())),
                rows_read: known.map(|slopes| slopes.rows.len()),
            }
        });
        Ok(dense.chain(tables).collect())
    }

    /// A dense tensor by its name: its dimensions and its numbers.
    pub fn parameter(&self, name: &str) -> Option<(&[usize], &[f32])> {
        let found = self.parameters.iter().find(|parameter| parameter.name == name)?;
        Some((&found.shape, &found.values))
    }
}

fn root_mean_square(numbers: &[f32], count: usize) -> f64 {
    let squares: f64 = numbers.iter().map(|number| f64::from(*number).powi(2)).sum();
    (squares / count.max(1) as f64).sqrt()
}

/// `by` is what each row's log odds count in the gradient; empty for no gradient.
fn told(probe: Probe, graph: &Tensor, by: &[f32], logits: Vec<f32>) -> Computed<Looked> {
    let store =
        if by.is_empty() || probe.heads.is_empty() { None } else { Some(backward_from(&[(graph, by)])?) };
    let of_heads = |seen: SeenHeads| {
        let (_, heads, questions, members) = seen.weights.dims4()?;
        let pulls = match store.as_ref().and_then(|store| store.get(seen.gate.as_tensor())) {
            Some(pulls) => pulls.flatten_all()?.to_vec1()?,
            // A layer whose answer no row used pulls nothing.
            None if store.is_some() => vec![0.0; seen.weights.elem_count()],
            None => Vec::new(),
        };
        Ok(HeadWeights {
            weights: seen.weights.flatten_all()?.to_vec1()?,
            layer: seen.layer,
            members: seen.members,
            shape: [heads, questions, members],
            lengths: seen.lengths,
            pulls,
        })
    };
    Ok(Looked {
        logits,
        heads: probe.heads.into_iter().map(of_heads).collect::<Computed<_>>()?,
        values: probe.values.into_iter().map(plain).collect::<Computed<_>>()?,
        cuts: match probe.cuts {
            Some((everywhere, of_rows)) => Some((everywhere, plain(("trees".to_owned(), of_rows))?)),
            None => None,
        },
        trees: probe.trees,
        pairs: probe.pairs.map(|pairs| plain(("pairs".to_owned(), pairs))).transpose()?,
    })
}

fn plain((layer, values): (String, Tensor)) -> Computed<LayerValues> {
    Ok(LayerValues { layer, shape: values.dims().to_vec(), values: values.flatten_all()?.to_vec1()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::params::Params;
    use crate::models::check::tiny;
    use crate::models::{MODELS, kind};
    use candle_core::Device;

    fn network(id: &str) -> Network {
        let (encoder, _) = tiny();
        let kind = kind(id).unwrap();
        Network::new(kind, &encoder, &Params::defaults(kind.params()), 3, Device::Cpu).unwrap()
    }

    #[test]
    fn looking_changes_no_score_of_any_kind() {
        let (encoder, batch) = tiny();
        for kind in MODELS.iter().filter(|kind| kind.check(&encoder).is_ok()) {
            let network = network(kind.id());
            let looked = network.look(&batch, Look { gradients: true, values: true, ..Look::default() });
            for (a, b) in looked.unwrap().logits.iter().zip(network.logits(&batch).unwrap()) {
                assert!((a - b).abs() < 1e-5, "{}: {a} {b}", kind.id());
            }
        }
    }

    #[test]
    fn attention_rows_sum_to_one() {
        let (_, batch) = tiny();
        for id in ["auto_int", "bst", "sas_rec", "din", "dien"] {
            let looked = network(id).look(&batch, Look::default()).unwrap();
            assert!(!looked.heads.is_empty(), "{id}");
            for heads in &looked.heads {
                let [count, questions, members] = heads.shape;
                for (at, weights) in heads.weights.chunks_exact(members).enumerate() {
                    let (question, row) = (at % questions, at / questions / count);
                    let real = question < heads.lengths[row] as usize;
                    let sum: f32 = weights.iter().sum();
                    assert!(
                        (sum - f32::from(real)).abs() < 1e-5,
                        "{id} row {row} question {question}: {sum}"
                    );
                }
            }
        }
    }

    /// A head whose answers are zeroed in the weights is one whose part of the answer projection is zero: the answers
    /// are the last third of the projection's rows.
    #[test]
    fn a_silent_head_is_one_whose_answers_are_set_to_zero_by_hand() {
        let (_, batch) = tiny();
        let mut network = network("auto_int");
        let [heads, width] = [2, 8];
        let silent = network.look(&batch, Look { silent: Some(("attention.1", 1)), ..Look::default() });
        let silent = silent.unwrap().logits;
        let before = network.logits(&batch).unwrap();
        for parameter in &mut network.parameters {
            let inputs = parameter.shape.get(1).copied().unwrap_or(1);
            if parameter.name == "attention.1.weight" || parameter.name == "attention.1.bias" {
                let from = (2 * heads * width + width) * inputs;
                parameter.values[from..from + width * inputs].fill(0.0);
                parameter.upload().unwrap();
            }
        }
        let by_hand = network.logits(&batch).unwrap();
        assert!(silent.iter().zip(&by_hand).all(|(a, b)| (a - b).abs() < 1e-6), "{silent:?} {by_hand:?}");
        assert!(silent.iter().zip(&before).any(|(a, b)| (a - b).abs() > 1e-6), "the head did nothing");
    }

    /// `pulls` against central differences: scaling a gate by `1 +- h` is what a silent head is to the gate 0.
    #[test]
    fn the_pulls_of_a_head_are_the_slope_of_the_log_odds_by_its_gate() {
        let (_, batch) = tiny();
        let mut network = network("auto_int");
        let looked = network.look(&batch, Look { gradients: true, ..Look::default() }).unwrap();
        let of_layer = looked.heads.iter().find(|heads| heads.layer == "attention.1").unwrap();
        let cells = of_layer.shape[1] * of_layer.shape[2];
        let pull: f32 = of_layer.pulls.chunks_exact(cells).skip(1).step_by(2).flatten().sum();
        let values = |network: &Network| -> f32 { network.logits(&batch).unwrap().iter().sum() };
        let scaled = |network: &mut Network, by: f32| {
            for parameter in &mut network.parameters {
                let inputs = parameter.shape.get(1).copied().unwrap_or(1);
                if parameter.name == "attention.1.weight" || parameter.name == "attention.1.bias" {
                    let from = (2 * 2 * 8 + 8) * inputs;
                    parameter.values[from..from + 8 * inputs].iter_mut().for_each(|v| *v *= by);
                    parameter.upload().unwrap();
                }
            }
            values(network)
        };
        let h = 0.01;
        let up = scaled(&mut network, 1.0 + h);
        let down = scaled(&mut network, (1.0 - h) / (1.0 + h));
        let slope = (up - down) / (2.0 * h);
        assert!((slope - pull).abs() < 2e-2 * slope.abs().max(0.01), "{slope} {pull}");
    }
}
