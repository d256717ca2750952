//! Gradient boosted trees: what analysts compare with (Ke et al., NIPS 2017, and for values Prokhorenkova et al., NeurIPS
//! 2018, section 3.2).
//!
//! A categorical value becomes its click rate. Of a training row only the rows before it in a random order are counted,
//! or trees would trust what a row says of itself; of any other row all training rows are. Each history adds how long it is
//! and how often the ad at hand is in it. Trees are grown once, before the first step; the steps move nothing but the
//! constant.

use super::counted::Counting;
use super::features::{FieldRows, need_features};
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::base::rng::Rng;
use crate::data::array::Array;
use crate::data::batch::SequenceBatch;
use crate::data::encode::CategoricalField;
use crate::data::{Batch, Dataset, Encoder};
use crate::nn::probe::{SeenNode, TREES_TOLD};
use crate::nn::tables::{Lookup, Read};
use crate::nn::trees::{Binned, Cuts, Growth, Node, Targets, Tree, boost};
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;
use rayon::prelude::*;

/// Boosted trees on numbers, click rates of values, and histories.
#[derive(Debug)]
pub struct Gbdt;

/// Table of the click rate of each value.
const RATE: &str = "rate";
/// Table of the nodes of all trees.
const TREES: &str = "trees";
/// Numbers of a node: feature (from 1; 0 is a leaf), threshold or answer, and the places of the nodes below.
const NODE: usize = 4;
/// Rows that features are made of at once.
const AT_ONCE: usize = 1 << 14;
/// Rows that go through all trees at once.
const SCORED_AT_ONCE: usize = 512;

impl Gbdt {
    fn growth(params: &Params) -> Result<Growth> {
        Ok(Growth {
            trees: params.count("trees")?,
            leaves: params.count("leaves")?,
            rate: params.real("shrinkage")?,
            least_rows: params.count("least_rows")?,
            l2: params.real("leaf_l2")?,
            patience: params.count("tree_patience")?,
        })
    }
}

fn nodes_of(growth: &Growth) -> usize {
    2 * growth.leaves - 1
}

impl ModelKind for Gbdt {
    fn id(&self) -> &'static str {
        "gbdt"
    }

    fn label(&self) -> &'static str {
        "Boosted trees"
    }

    fn summary(&self) -> &'static str {
        "Finds thresholds and mixes of numbers and click rates in minutes; knows a rare value only by its rate."
    }

    fn params(&self) -> &'static [ParamSpec] {
        const {
            &[
                ParamSpec::integer(
                    "trees",
                    "Trees",
                    (1, 300, 5000),
                    "Trees at most; growing stops when the validation rows gain nothing any more.",
                ),
                ParamSpec::integer(
                    "leaves",
                    "Leaves",
                    (2, 31, 255),
                    "Leaves of a tree at most: more find finer mixes and learn more by heart.",
                ),
                ParamSpec::log_real(
                    "shrinkage",
                    "Shrinkage",
                    (1e-3, 0.1, 1.0),
                    "What each tree counts: less needs more trees and is often better.",
                ),
                ParamSpec::integer(
                    "least_rows",
                    "Rows of a leaf",
                    (1, 20, 100_000),
                    "Training rows of a leaf at least.",
                ),
                ParamSpec::log_real(
                    "leaf_l2",
                    "L2 of leaves",
                    (0.0, 1.0, 1e3),
                    "Pulls what a leaf answers towards 0.",
                ),
                ParamSpec::log_real(
                    "rate_prior",
                    "Prior of rates",
                    (0.1, 10.0, 1e4),
                    "Impressions at the average click rate that every value begins with.",
                ),
                ParamSpec::integer(
                    "tree_patience",
                    "Patience of trees",
                    (1, 20, 1000),
                    "Trees that are no better on the validation rows before growing stops.",
                ),
            ]
        }
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                Flow::of(RATE, &["fields"], "click rate of every value, counted"),
                Flow::of(TREES, &[RATE, "histories", "numbers"], "trees, each grown on what was left"),
                Flow::click(&[TREES]),
            ]
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let growth = Self::growth(rows.params)?;
        let (rates, ordered) = rates(rows)?;
        let table = network.table_mut(RATE)?;
        for (field, rates) in rates.iter().enumerate() {
            table.write(field, 0..1, rates);
        }
        let dataset = rows.dataset;
        let numbers = Numbers::of(&dataset.encoder);
        // Of training rows the rates of the rows before, of the others those of all.
        let columns = numbers.columns(dataset, &dataset.train, |field, place, _| ordered[field][place]);
        let cuts: Vec<Cuts> =
            columns.par_iter().map(|column| Cuts::of(column.iter().copied(), column.len())).collect();
        let training = binned(&columns, &cuts);
        drop(columns);
        let unseen = numbers.columns(dataset, &dataset.validation, |field, _, id| rates[field][id as usize]);
        let unseen = binned(&unseen, &cuts);
        let (labels, weights) = shaped(dataset, &dataset.train, rows.params)?;
        let (their_labels, their_weights) = shaped(dataset, &dataset.validation, rows.params)?;
        let bias = network.parameters.iter().find(|known| known.name == "bias");
        let start = bias.and_then(|bias| bias.values.first()).map_or(0.0, |bias| f64::from(*bias));
        rows.context.stage("growing trees");
        let trees = boost(
            (&training, Targets { labels: &labels, weights: &weights }),
            (&unseen, Targets { labels: &their_labels, weights: &their_weights }),
            start,
            growth,
            |grown| {
                rows.context.progress(grown as u64, growth.trees as u64);
                rows.context.check()
            },
        )?;
        let table = network.table_mut(TREES)?;
        for (tree, first) in trees.iter().zip((0u32..).step_by(nodes_of(&growth))) {
            write_tree(tree, &cuts, |node, numbers| {
                table.row_mut(first + node as u32).copy_from_slice(&numbers);
            });
        }
        Ok(())
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let growth = Self::growth(params)?;
        let bias = builder.parameter("bias", &[1], Init::Constant(0.0))?;
        let rates = FieldRows::counted(encoder, builder, RATE, 1)?;
        let nodes = nodes_of(&growth);
        let rows = growth.trees * nodes;
        let trees = builder.counted(TREES, NODE, &[("nodes".to_owned(), rows)])?;
        Ok(Box::new(Boosted { bias, rates, trees, rows, nodes, numbers: Numbers::of(encoder) }))
    }
}

/// The nodes of a tree as rows of the table.
fn write_tree(tree: &Tree, cuts: &[Cuts], mut write: impl FnMut(usize, [f32; NODE])) {
    for (place, node) in tree.0.iter().enumerate() {
        write(
            place,
            match node {
                Node::Leaf(answer) => [0.0, *answer as f32, 0.0, 0.0],
                Node::Cut { feature, bin, below } => {
                    let threshold = cuts[*feature].0.get(usize::from(*bin)).copied().unwrap_or(f32::MAX);
                    [*feature as f32 + 1.0, threshold, below[0] as f32, below[1] as f32]
                }
            },
        );
    }
}

/// The answer of a tree for a row, with each node on the way, and the feature that it asks for, told to `on`; nodes that no
/// growing makes, as of weights that were moved, end it.
fn answer(nodes: &[f32], row: &[f32], mut on: impl FnMut(usize, Option<usize>)) -> f32 {
    let mut at = 0;
    loop {
        let Some([feature, value, left, right]) = nodes.get(at * NODE..).and_then(<[f32]>::first_chunk)
        else {
            return 0.0;
        };
        let of_row = (*feature >= 1.0).then(|| row.get(*feature as usize - 1)).flatten();
        let Some(x) = of_row else {
            on(at, None);
            return *value;
        };
        on(at, Some(*feature as usize - 1));
        // The same comparison as that of bins: what is no number goes left.
        let below = if *value < *x { *right } else { *left } as usize;
        if below <= at {
            return *value;
        }
        at = below;
    }
}

/// The nodes of a tree before any row came.
fn unseen(tree: &[f32]) -> Vec<SeenNode> {
    let node = |numbers: &[f32]| SeenNode {
        feature: (numbers[0] >= 1.0).then(|| numbers[0] as usize - 1),
        value: numbers[1],
        below: [numbers[2] as usize, numbers[3] as usize],
        rows: 0,
    };
    tree.chunks_exact(NODE).map(node).collect()
}

/// A tree made ready for many rows: every node leads on, a leaf to itself.
struct Ready {
    nodes: Vec<Step>,
    /// Steps after which every row is at its leaf.
    depth: usize,
}

#[derive(Clone, Copy)]
struct Step {
    feature: u32,
    /// What rows at most as large go left by; of a leaf its answer.
    value: f32,
    below: [u32; 2],
}

impl Ready {
    /// Of the nodes of a tree, each read as [`answer`] reads it.
    fn of(nodes: &[f32], features: usize) -> Self {
        let count = nodes.len() / NODE;
        // Behind the last node: what a way out of the tree answers.
        let nowhere = Step { feature: 0, value: 0.0, below: [count as u32; 2] };
        let (mut steps, mut depths) = (Vec::with_capacity(count + 1), vec![0; count + 1]);
        for (at, node) in nodes.as_chunks::<NODE>().0.iter().enumerate() {
            let [feature, value, left, right] = *node;
            let leaf = Step { feature: 0, value, below: [at as u32; 2] };
            let is_cut = feature >= 1.0 && feature as usize <= features;
            // A way back ends here; both ways of a grown node lead on.
            let below =
                [left, right].map(|below| if below as usize <= at { at } else { count.min(below as usize) });
            if !is_cut || below == [at; 2] {
                steps.push(leaf);
                continue;
            }
            below.into_iter().for_each(|below| depths[below] = depths[below].max(depths[at] + 1));
            steps.push(Step { feature: feature as u32 - 1, value, below: below.map(|below| below as u32) });
        }
        steps.push(nowhere);
        Self { nodes: steps, depth: depths.into_iter().max().unwrap_or_default() }
    }

    /// Adds the answers for rows of so many features to `sums`: some rows side by side, so that one need not wait for the
    /// other.
    fn add(&self, rows: &[f32], features: usize, sums: &mut [f32]) {
        const BESIDE: usize = 8;
        for (rows, sums) in rows.chunks(BESIDE * features).zip(sums.chunks_mut(BESIDE)) {
            let mut at = [0_u32; BESIDE];
            for _ in 0..self.depth {
                for (at, row) in at.iter_mut().zip(rows.chunks_exact(features)) {
                    let Step { feature, value, below } = self.nodes[*at as usize];
                    // The same comparison as that of bins: what is no number goes left.
                    *at = below[usize::from(value < row[feature as usize])];
                }
            }
            sums.iter_mut().zip(at).for_each(|(sum, at)| *sum += self.nodes[at as usize].value);
        }
    }
}

/// Where the features of a row come from: numbers, rates, then two of each history.
#[derive(Debug, Clone)]
struct Numbers {
    numeric: usize,
    categorical: usize,
    /// The field that each history is of.
    targets: Vec<usize>,
}

impl Numbers {
    fn of(encoder: &Encoder) -> Self {
        Self {
            numeric: encoder.numeric.len(),
            categorical: encoder.categorical.len(),
            targets: encoder.sequences.iter().map(|sequence| sequence.target).collect(),
        }
    }

    fn count(&self) -> usize {
        self.numeric + self.categorical + 2 * self.targets.len()
    }

    /// The features of a batch, `[row * count + feature]`; `rate(field, row, id)` is that of a value.
    fn of_batch(&self, batch: &Batch, rate: impl Fn(usize, usize, u32) -> f32) -> Vec<f32> {
        let mut out = Vec::with_capacity(batch.rows * self.count());
        for row in 0..batch.rows {
            out.extend(batch.numeric.iter().map(|column| column[row]));
            out.extend(batch.categorical.iter().enumerate().map(|(field, ids)| rate(field, row, ids[row])));
            for (sequence, target) in batch.sequences.iter().zip(&self.targets) {
                out.extend(of_history(sequence, row, batch.categorical[*target][row]));
            }
        }
        out
    }

    /// The features of some rows of a log, `[feature][row]`.
    fn columns(&self, dataset: &Dataset, rows: &[u32], rate: impl Fn(usize, usize, u32) -> f32) -> Columns {
        let mut columns = vec![Vec::with_capacity(rows.len()); self.count()];
        for (part, rows) in rows.chunks(AT_ONCE).enumerate() {
            let first = part * AT_ONCE;
            let values = self.of_batch(&dataset.batch(rows), |field, row, id| rate(field, first + row, id));
            for row in values.chunks_exact(self.count()) {
                columns.iter_mut().zip(row).for_each(|(column, value)| column.push(*value));
            }
        }
        columns
    }
}

/// How long a history is, and how often a value is in it.
fn of_history(sequence: &SequenceBatch, row: usize, value: u32) -> [f32; 2] {
    let length = sequence.lengths[row] as usize;
    let past = &sequence.ids[row * sequence.max_len..][..length];
    [length as f32, past.iter().filter(|id| **id == value).count() as f32]
}

fn binned(columns: &[Vec<f32>], cuts: &[Cuts]) -> Binned {
    let bins = |(column, cuts): (&Vec<f32>, &Cuts)| column.iter().map(|value| cuts.bin(*value)).collect();
    Binned::of(columns.par_iter().zip(cuts).map(bins).collect())
}

/// What is learnt of rows: their outcomes as the objective has them, and what they count.
fn shaped(dataset: &Dataset, rows: &[u32], params: &Params) -> Result<(Vec<f32>, Vec<f32>)> {
    let (of_click, of_other) = (params.real("positive_weight")?, params.real("keep_negatives")?);
    let smooth = params.real("label_smoothing")?;
    let shape = |row: &u32| {
        let row = *row as usize;
        let weight = dataset.weight.get(row).map_or(1.0, |weight| f64::from(*weight));
        let label = f64::from(dataset.label[row]);
        let (clicks, others) = (weight * label * of_click, weight * (1.0 - label) * of_other);
        let all = clicks + others;
        let share = if all > 0.0 { clicks / all } else { label };
        ((share * (1.0 - smooth) + 0.5 * smooth) as f32, all as f32)
    };
    Ok(rows.iter().map(shape).unzip())
}

/// Numbers of each of some columns.
type Columns = Vec<Vec<f32>>;

/// The click rate of each value over all training rows, `[field][id]`, and that of each training row's value over the rows
/// before it in a random order, `[field][place]`.
fn rates(rows: &Counting<'_>) -> Result<(Columns, Columns)> {
    let Dataset { categorical, label, weight, train, encoder, .. } = rows.dataset;
    let prior = rows.params.real("rate_prior")?;
    let weight = |row: usize| weight.get(row).map_or(1.0, |weight| f64::from(*weight));
    let (mut clicks, mut shown) = (0.0, 0.0);
    for row in train.iter().map(|row| *row as usize) {
        clicks += weight(row) * f64::from(label[row]);
        shown += weight(row);
    }
    let average = clicks / f64::max(shown, 1e-9);
    let mut order: Vec<u32> = (0..train.len() as u32).collect();
    Rng::named(rows.seed, "order of rates").shuffle(&mut order);
    let rate = |(clicks, shown): (f64, f64)| ((clicks + prior * average) / (shown + prior)) as f32;
    rows.context.check()?;
    let of_field = |(field, ids): (&CategoricalField, &Array<u32>)| {
        let mut sums = vec![(0.0f64, 0.0f64); field.cardinality()];
        let mut before = vec![0.0; train.len()];
        for place in &order {
            let row = train[*place as usize] as usize;
            let sum = &mut sums[ids[row] as usize];
            before[*place as usize] = rate(*sum);
            sum.0 += weight(row) * f64::from(label[row]);
            sum.1 += weight(row);
        }
        (sums.into_iter().map(rate).collect(), before)
    };
    Ok(encoder.categorical.par_iter().zip(categorical).map(of_field).unzip())
}

struct Boosted {
    bias: Tensor,
    rates: FieldRows,
    trees: usize,
    /// Nodes of all trees, and of one.
    rows: usize,
    nodes: usize,
    numbers: Numbers,
}

impl Model for Boosted {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let reads = (0..self.rows as u32).map(|row| Read { row, slot: row, weight: 1.0 }).collect();
        vec![self.rates.each(batch), Lookup { table: self.trees, reads, shape: vec![self.rows] }]
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let batch = inputs.batch;
        let rates: Vec<f32> = inputs.gathered[0].flatten_all()?.to_vec1()?;
        let nodes: Vec<f32> = inputs.gathered[1].flatten_all()?.to_vec1()?;
        let fields = self.numbers.categorical;
        let features = self.numbers.of_batch(batch, |field, row, _| rates[row * fields + field]);
        // What was never grown is all zeros and answers 0.
        let grown: Vec<&[f32]> = nodes
            .chunks_exact(self.nodes * NODE)
            .take_while(|tree| tree.iter().any(|number| *number != 0.0))
            .collect();
        let count = self.numbers.count();
        let ready: Vec<Ready> = grown.iter().map(|tree| Ready::of(tree, count)).collect();
        let mut sums = vec![0.0; batch.rows];
        let parts =
            sums.par_chunks_mut(SCORED_AT_ONCE).zip(features.par_chunks(SCORED_AT_ONCE * count.max(1)));
        parts.for_each(|(sums, rows)| ready.iter().for_each(|tree| tree.add(rows, count, sums)));
        if pass.probe().is_some() {
            let mut everywhere = vec![0.0; count];
            for node in grown.iter().flat_map(|tree| tree.chunks_exact(NODE)).filter(|node| node[0] >= 1.0) {
                everywhere[node[0] as usize - 1] += 1.0;
            }
            let mut asked = vec![0.0_f32; features.len()];
            let mut seen: Vec<Vec<SeenNode>> =
                grown.iter().take(TREES_TOLD).map(|tree| unseen(tree)).collect();
            for (row, asked) in features.chunks_exact(count).zip(asked.chunks_exact_mut(count)) {
                for (place, tree) in grown.iter().enumerate() {
                    answer(tree, row, |node, feature| {
                        feature.into_iter().for_each(|feature| asked[feature] += 1.0);
                        seen.get_mut(place)
                            .and_then(|nodes| nodes.get_mut(node))
                            .into_iter()
                            .for_each(|node| node.rows += 1);
                    });
                }
            }
            pass.trees(seen);
            pass.cuts(everywhere, Tensor::from_vec(asked, (batch.rows, count), self.bias.device())?);
        }
        let sums = Tensor::from_vec(sums, batch.rows, self.bias.device())?;
        Ok(Output::of(sums.broadcast_add(&self.bias)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_answer_as_their_tree_and_moved_ones_end() {
        let cuts = [Cuts(vec![0.5]), Cuts(vec![-1.0, 1.0])];
        let tree = Tree(vec![
            Node::Cut { feature: 1, bin: 1, below: [1, 2] },
            Node::Cut { feature: 0, bin: 0, below: [3, 4] },
            Node::Leaf(3.0),
            Node::Leaf(1.0),
            Node::Leaf(2.0),
        ]);
        let mut nodes = vec![0.0; 5 * NODE];
        write_tree(&tree, &cuts, |node, numbers| nodes[node * NODE..][..NODE].copy_from_slice(&numbers));
        for row in [[0.0, 0.0], [0.5, 1.0], [0.6, 1.0], [0.6, 1.1], [f32::NAN, f32::NAN]] {
            let bins = [cuts[0].bin(row[0]), cuts[1].bin(row[1])];
            assert_eq!(f64::from(answer(&nodes, &row, |_, _| ())), tree.of(&bins), "{row:?}");
        }
        let rows = [[0.0, 0.0], [0.5, 1.0], [0.6, 1.0], [0.6, 1.1], [f32::NAN, f32::NAN]];
        let alike = |nodes: &[f32]| {
            let mut sums = [1.0_f32; 5];
            Ready::of(nodes, 2).add(rows.as_flattened(), 2, &mut sums);
            let each = rows.map(|row| 1.0 + answer(nodes, &row, |_, _| ()));
            assert_eq!(sums, each, "{nodes:?}");
        };
        alike(&nodes);
        nodes[2] = 0.0;
        assert_eq!(answer(&nodes, &[0.0, 0.0], |_, _| ()), 1.0, "a node below itself ends the walk");
        alike(&nodes);
        // Weights that were moved: features and places that no tree has.
        for (place, moved) in [(0, 7.0), (4, -1.0), (6, 99.0), (7, 1.0), (0, 0.5)] {
            nodes[place] = moved;
            alike(&nodes);
        }
    }
}
