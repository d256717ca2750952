//! What do the layers of a model do with the rows: what leaves them, which experts are asked, which fields meet?

use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::{Dataset, Encoder};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::metrics::paired::mean_over_users;
use crate::models::looked::{LayerValues, Look, Looked, WeightSizes};
use crate::nn::probe::SeenNode;
use crate::train::TrainedModel;
use serde::{Deserialize, Serialize};

/// Rows that are looked at, at most.
const ROWS: usize = 4096;
/// Rows of one forward pass.
const BATCH_ROWS: usize = 512;

/// The inside of a model over some rows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inside {
    /// Rows that were asked for.
    pub rows_asked: usize,
    /// Rows that were run, evenly spread.
    pub rows_run: usize,
    /// Every tensor with the sizes of its weights and slopes.
    pub weights: Vec<WeightSizes>,
    /// What leaves each layer.
    pub layers: Vec<LayerNumbers>,
    /// Which experts a task asks; of kinds with gates.
    pub gates: Vec<Gate>,
    /// What pairs of fields add to the log odds; of kinds whose score has products of two.
    pub pairs: Option<PairTable>,
    /// How strongly cross layers join fields; of kinds with such.
    pub crosses: Vec<PairTable>,
    /// What trees ask for; of kinds with trees.
    pub cuts: Vec<Cut>,
    /// The first trees; of kinds with trees.
    pub trees: Vec<Vec<TreeNode>>,
}

/// What leaves a layer, over rows and units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerNumbers {
    /// The layer.
    pub name: String,
    /// Numbers a row.
    pub width: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Largest of all sizes.
    pub largest: f64,
    /// Share of numbers that are exactly 0.
    pub zeros: f64,
    /// Units that are 0 in every row: nothing that follows can learn from them.
    pub dead: usize,
}

/// A gate over experts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// Mean weight of each expert.
    pub experts: Vec<Option<Estimate>>,
    /// Entropy of a row's weights over that of equal ones, mean: 1 asks all alike, 0 one alone.
    pub evenness: Option<Estimate>,
}

/// Numbers of fields two by two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairTable {
    /// What it is of.
    pub name: String,
    /// Names of the fields.
    pub fields: Vec<String>,
    /// `[field * fields + other]`: of pairs the mean size of what they add to the log odds, symmetric with NaN on the
    /// diagonal; of a cross layer the Frobenius norm of the block that multiplies a field (line) by another (column).
    pub strength: Vec<f64>,
    /// Of pairs the mean of what they add, with its sign; empty otherwise.
    pub signed: Vec<f64>,
}

/// A node of a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// What is asked; `None` in a leaf.
    pub feature: Option<String>,
    /// Rows whose feature is up to it go to the first node below; what a leaf adds to the log odds.
    pub value: f64,
    /// Places of the nodes below.
    pub below: [usize; 2],
    /// Share of the rows that came here.
    pub share: f64,
}

/// How often trees ask for a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The feature.
    pub feature: String,
    /// Cuts in all trees.
    pub cuts: u64,
    /// Cuts on the way of a row through all trees, mean.
    pub asked: f64,
}

/// Looks at the layers over `rows`.
///
/// # Errors
/// No rows, or a cancel.
pub fn inside(model: &TrainedModel, dataset: &Dataset, rows: &[u32], context: &JobContext) -> Result<Inside> {
    if rows.is_empty() {
        let why = "no row of the log is in this segment";
        return Err(Failure::new("cannot look into the model", why).hint("choose a wider segment"));
    }
    let chosen = super::attention::spread(rows, ROWS);
    context.stage("layers");
    let mut sums = Sums::default();
    for (done, part) in chosen.chunks(BATCH_ROWS).enumerate() {
        context.check()?;
        context.progress((done * BATCH_ROWS) as u64, chosen.len() as u64);
        sums.add(&model.look(&dataset.batch(part), Look { values: true, ..Look::default() })?);
    }
    context.stage("slopes");
    let users = take_known(&dataset.users, &chosen);
    let names = vector_names(&model.encoder);
    Ok(Inside {
        rows_asked: rows.len(),
        rows_run: chosen.len(),
        weights: model.sizes(&dataset.batch(&chosen))?,
        gates: sums.gates.iter().map(|(name, rows)| gate(name, rows, &users)).collect(),
        pairs: sums.pairs.map(|pairs| pairs.finish(&names, chosen.len())),
        layers: sums.layers.into_iter().map(LayerSums::finish).collect(),
        crosses: crosses(model),
        trees: trees(&sums.trees, &model.encoder, chosen.len()),
        cuts: cuts(sums.cuts, &model.encoder, chosen.len()),
    })
}

#[derive(Default)]
struct Sums {
    layers: Vec<LayerSums>,
    /// Weights of experts by gate, a row each.
    gates: Vec<(String, Vec<Vec<f32>>)>,
    pairs: Option<PairSums>,
    /// Cuts anywhere, and on the way of all rows.
    cuts: Option<(Vec<f32>, Vec<f64>)>,
    trees: Vec<Vec<SeenNode>>,
}

impl Sums {
    fn add(&mut self, looked: &Looked) {
        for (place, values) in looked.values.iter().enumerate() {
            if self.layers.len() == place {
                self.layers.push(LayerSums::new(values));
            }
            self.layers[place].add(values);
            if values.layer.starts_with("gate") {
                self.add_gate(values);
            }
        }
        if let Some(vectors) = &looked.pairs {
            self.pairs.get_or_insert_with(|| PairSums::new(vectors)).add(vectors);
        }
        self.add_trees(&looked.trees);
        if let Some((everywhere, of_rows)) = &looked.cuts {
            let width = everywhere.len();
            let (_, asked) = self.cuts.get_or_insert_with(|| (everywhere.clone(), vec![0.0; width]));
            for row in of_rows.values.chunks_exact(width.max(1)) {
                asked.iter_mut().zip(row).for_each(|(sum, asked)| *sum += f64::from(*asked));
            }
        }
    }

    fn add_trees(&mut self, trees: &[Vec<SeenNode>]) {
        if self.trees.is_empty() {
            self.trees = trees.to_vec();
            return;
        }
        let known = self.trees.iter_mut().flatten();
        known.zip(trees.iter().flatten()).for_each(|(known, more)| known.rows += more.rows);
    }

    fn add_gate(&mut self, values: &LayerValues) {
        let width = values.shape.get(1).copied().unwrap_or(1).max(1);
        let rows = values.values.chunks_exact(width).map(<[f32]>::to_vec);
        match self.gates.iter_mut().find(|(name, _)| *name == values.layer) {
            Some((_, known)) => known.extend(rows),
            None => self.gates.push((values.layer.clone(), rows.collect())),
        }
    }
}

/// Running sums of what leaves a layer.
struct LayerSums {
    name: String,
    width: usize,
    count: f64,
    sum: f64,
    squares: f64,
    largest: f64,
    zeros: f64,
    /// True for units that were never anything but 0.
    dead: Vec<bool>,
}

impl LayerSums {
    fn new(values: &LayerValues) -> Self {
        let width = values.shape.iter().skip(1).product::<usize>().max(1);
        let name = values.layer.clone();
        Self {
            name,
            width,
            count: 0.0,
            sum: 0.0,
            squares: 0.0,
            largest: 0.0,
            zeros: 0.0,
            dead: vec![true; width],
        }
    }

    /// Layers over histories are as wide as the longest of a batch; units are then counted as far as they are there.
    fn add(&mut self, values: &LayerValues) {
        let width = values.shape.iter().skip(1).product::<usize>().max(1);
        self.width = self.width.max(width);
        self.dead.resize(self.width, true);
        for (at, value) in values.values.iter().enumerate() {
            let number = f64::from(*value);
            self.count += 1.0;
            self.sum += number;
            self.squares += number * number;
            self.largest = self.largest.max(number.abs());
            if *value == 0.0 {
                self.zeros += 1.0;
            } else {
                self.dead[at % width] = false;
            }
        }
    }

    fn finish(self) -> LayerNumbers {
        let mean = self.sum / self.count.max(1.0);
        LayerNumbers {
            name: self.name,
            width: self.width,
            mean,
            deviation: (self.squares / self.count.max(1.0) - mean * mean).max(0.0).sqrt(),
            largest: self.largest,
            zeros: self.zeros / self.count.max(1.0),
            dead: self.dead.iter().filter(|dead| **dead).count(),
        }
    }
}

/// Running sums of the products of vectors two by two.
struct PairSums {
    count: usize,
    signed: Vec<f64>,
    sizes: Vec<f64>,
}

impl PairSums {
    fn new(vectors: &LayerValues) -> Self {
        let count = vectors.shape.get(1).copied().unwrap_or(0);
        Self { count, signed: vec![0.0; count * count], sizes: vec![0.0; count * count] }
    }

    fn add(&mut self, vectors: &LayerValues) {
        let width = vectors.shape.get(2).copied().unwrap_or(1);
        for row in vectors.values.chunks_exact((self.count * width).max(1)) {
            for one in 0..self.count {
                for other in one + 1..self.count {
                    let (a, b) = (&row[one * width..][..width], &row[other * width..][..width]);
                    let product: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum();
                    for cell in [one * self.count + other, other * self.count + one] {
                        self.signed[cell] += product;
                        self.sizes[cell] += product.abs();
                    }
                }
            }
        }
    }

    fn finish(self, names: &[String], rows: usize) -> PairTable {
        let mean = |sums: Vec<f64>| -> Vec<f64> {
            let of = |(cell, sum): (usize, f64)| {
                if cell / self.count == cell % self.count { f64::NAN } else { sum / rows.max(1) as f64 }
            };
            sums.into_iter().enumerate().map(of).collect()
        };
        PairTable {
            name: "what two fields add to the log odds".to_owned(),
            fields: names.iter().take(self.count).cloned().collect(),
            strength: mean(self.sizes),
            signed: mean(self.signed),
        }
    }
}

/// The names of a row's vectors: categorical fields, means of histories, numbers.
fn vector_names(encoder: &Encoder) -> Vec<String> {
    let fields = encoder.categorical.iter().map(|field| field.name.clone());
    let histories = encoder.sequences.iter().map(|sequence| sequence.name.clone());
    fields.chain(histories).chain(encoder.numeric.iter().map(|field| field.name.clone())).collect()
}

fn gate(name: &str, rows: &[Vec<f32>], users: &[u32]) -> Gate {
    let experts = rows.first().map_or(0, Vec::len);
    let of_expert = |expert: usize| {
        let weights: Vec<f64> = rows.iter().map(|row| f64::from(row[expert])).collect();
        mean_over_users(&weights, &[], users)
    };
    let evenness: Vec<f64> = rows
        .iter()
        .map(|row| {
            let known = row.iter().map(|w| f64::from(*w)).filter(|w| *w > 0.0);
            known.map(|w| -w * w.ln()).sum::<f64>() / (experts as f64).ln()
        })
        .collect();
    Gate {
        name: name.to_owned(),
        experts: (0..experts).map(of_expert).collect(),
        evenness: if experts > 1 { mean_over_users(&evenness, &[], users) } else { None },
    }
}

/// The norms of the blocks of each cross layer, as in figure 7 of Wang et al. 2021 (arXiv 2008.13535).
fn crosses(model: &TrainedModel) -> Vec<PairTable> {
    let encoder = &model.encoder;
    let width = model.params.count("embedding_width").unwrap_or(1);
    // Vectors of fields and histories side by side, then the numbers.
    let vectors = encoder.categorical.len() + encoder.sequences.len();
    let numbers = encoder.numeric.len();
    let blocks: Vec<_> = (0..vectors)
        .map(|at| at * width..(at + 1) * width)
        .chain((0..numbers).map(|at| vectors * width + at..vectors * width + at + 1))
        .collect();
    let layers = (0..).map_while(|layer| {
        let name = format!("cross.{layer}");
        Some((cross_matrix(model, &name)?, name))
    });
    let table = |((matrix, side), name): ((Vec<f32>, usize), String)| {
        let norm = |lines: &std::ops::Range<usize>, columns: &std::ops::Range<usize>| {
            let numbers = lines.clone().flat_map(|line| &matrix[line * side..][columns.clone()]);
            numbers.map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt()
        };
        let cells = blocks.iter().flat_map(|line| blocks.iter().map(move |column| (line, column)));
        let strength = cells.map(|(line, column)| norm(line, column)).collect();
        PairTable { name, fields: vector_names(encoder), strength, signed: Vec::new() }
    };
    let fits =
        |((_, side), _): &((Vec<f32>, usize), String)| blocks.last().is_some_and(|block| block.end == *side);
    layers.filter(fits).map(table).collect()
}

/// The square matrix of a cross layer, multiplied out where it has a low rank, with its side.
fn cross_matrix(model: &TrainedModel, name: &str) -> Option<(Vec<f32>, usize)> {
    let (shape, weight) = model.parameter(&format!("{name}.weight"))?;
    let (side, inner) = (*shape.first()?, *shape.get(1)?);
    let Some((_, down)) = model.parameter(&format!("{name}.down")) else {
        return (side == inner).then(|| (weight.to_vec(), side));
    };
    let mut matrix = vec![0.0; side * side];
    for (line, up) in matrix.chunks_exact_mut(side).zip(weight.chunks_exact(inner)) {
        for (up, down) in up.iter().zip(down.chunks_exact(side)) {
            line.iter_mut().zip(down).for_each(|(to, down)| *to += up * down);
        }
    }
    Some((matrix, side))
}

/// The first trees in words. Rows of the table that a smaller tree left unused are no nodes of it.
fn trees(seen: &[Vec<SeenNode>], encoder: &Encoder, rows: usize) -> Vec<Vec<TreeNode>> {
    let names = tree_features(encoder);
    let told = |node: &SeenNode| TreeNode {
        feature: node.feature.map(|feature| names.get(feature).cloned().unwrap_or_default()),
        value: f64::from(node.value),
        below: node.below,
        share: f64::from(node.rows) / rows.max(1) as f64,
    };
    seen.iter().map(|tree| tree.iter().map(told).collect()).collect()
}

/// What trees may ask for: numbers, then rates of fields, then two of each history.
fn tree_features(encoder: &Encoder) -> Vec<String> {
    let numbers = encoder.numeric.iter().map(|field| field.name.clone());
    let rates = encoder.categorical.iter().map(|field| format!("click rate of {}", field.name));
    let histories = encoder
        .sequences
        .iter()
        .flat_map(|of| [format!("length of {}", of.name), format!("times the ad's value is in {}", of.name)]);
    numbers.chain(rates).chain(histories).collect()
}

/// Features of trees by how often they are asked for.
fn cuts(sums: Option<(Vec<f32>, Vec<f64>)>, encoder: &Encoder, rows: usize) -> Vec<Cut> {
    let Some((everywhere, asked)) = sums else { return Vec::new() };
    let mut cuts: Vec<Cut> = tree_features(encoder)
        .into_iter()
        .zip(everywhere.iter().zip(asked))
        .map(|(feature, (cuts, asked))| Cut {
            feature,
            cuts: *cuts as u64,
            asked: asked / rows.max(1) as f64,
        })
        .collect();
    cuts.sort_by(|a, b| b.asked.total_cmp(&a.asked).then(b.cuts.cmp(&a.cuts)));
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_products_and_units_that_never_speak_are_dead() {
        // Two rows of three vectors of width 2.
        let values = vec![1.0, 0.0, 2.0, 1.0, 0.0, 3.0, -1.0, 0.0, 1.0, 1.0, 0.0, 1.0];
        let vectors = LayerValues { layer: "pairs".into(), shape: vec![2, 3, 2], values };
        let mut sums = PairSums::new(&vectors);
        sums.add(&vectors);
        let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let table = sums.finish(&names, 2);
        // a b: 2 and -1; a c: 0 and 0; b c: 3 and 1.
        assert_eq!([table.signed[1], table.signed[2], table.signed[5]], [0.5, 0.0, 2.0]);
        assert_eq!([table.strength[1], table.strength[3], table.strength[5]], [1.5, 1.5, 2.0]);
        assert!(table.strength[4].is_nan());
        let mut layer = LayerSums::new(&vectors);
        layer.add(&vectors);
        let told = layer.finish();
        assert_eq!((told.width, told.dead, told.largest), (6, 2, 3.0));
        assert!((told.zeros - 4.0 / 12.0).abs() < 1e-12);
    }
}
