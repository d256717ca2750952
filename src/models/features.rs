//! What do several kinds share? Knobs of the deep part, the table rows that a batch needs, the linear part.

use super::Inputs;
use super::direct::LinearTerm;
use super::on_vectors::OnVectors;
use super::outline::Flow;
use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::data::batch::SequenceBatch;
use crate::data::{Batch, Encoder};
use crate::nn::Computed;
use crate::nn::fields::Fields;
use crate::nn::linear::Linear;
use crate::nn::mlp::MlpShape;
use crate::nn::row_vectors::RowVectors;
use crate::nn::tables::{Lookup, Read, Table};
use crate::nn::weights::{Builder, Init};
use candle_core::Tensor;

/// Width of the embeddings, for every kind that has them.
pub const EMBEDDING_WIDTH: ParamSpec = ParamSpec::integer(
    "embedding_width",
    "Embedding width",
    (2, 8, 128),
    "Numbers that stand for one value. Wider tells more values apart and overfits sooner.",
);

/// Units of the deep part's hidden layers.
pub const HIDDEN_UNITS: ParamSpec = ParamSpec::integer(
    "hidden_units",
    "Hidden units",
    (4, 64, 2048),
    "Units in the first hidden layer of the deep part, and in the others where nothing tapers.",
);

/// Hidden layers of the deep part.
pub const HIDDEN_LAYERS: ParamSpec = ParamSpec::integer(
    "hidden_layers",
    "Hidden layers",
    (1, 2, 6),
    "Layers of the deep part. More layers combine more fields at once.",
);

/// Whether the deep part's layers become narrower.
pub const TAPER: ParamSpec = ParamSpec::real(
    "taper",
    "Taper",
    (0.1, 1.0, 1.0),
    "Share of a hidden layer's units that the next one has: 0.4 makes 200 units 80. 1 keeps all layers alike.",
);

/// Dropout in the deep part.
pub const DROPOUT: ParamSpec = ParamSpec::real(
    "dropout",
    "Dropout",
    (0.0, 0.2, 0.8),
    "Share of hidden units left out at each step. Turn up when validation loss rises early.",
);

/// Normalisation between hidden layers of the deep part.
pub const NORMALISE: ParamSpec = ParamSpec::choice(
    "normalise",
    "Normalise layers",
    &["off", "layer"],
    "Layer normalisation between hidden layers: steadier with many layers, a little slower.",
);

/// The knobs of kinds that are a deep network on embeddings and nothing that could be set beside it.
pub const DEEP_KNOBS: &[ParamSpec] =
    &[EMBEDDING_WIDTH, HIDDEN_UNITS, HIDDEN_LAYERS, TAPER, DROPOUT, NORMALISE];

/// The linear part in a kind's drawing.
pub const LINEAR_FLOW: Flow =
    Flow::of("linear", &["fields", "numbers"], "a weight for every value and number");

/// The embeddings in a kind's drawing.
pub const EMBEDDING_FLOW: Flow = Flow::of("embedding", &["fields", "histories"], "a vector for every value");

/// Weight of the second task, for kinds that learn conversions.
pub const CONVERSION_WEIGHT: ParamSpec = ParamSpec::real(
    "conversion_weight",
    "Weight of conversions",
    (0.01, 1.0, 100.0),
    "What the loss of conversions counts beside that of clicks. Turn up when conversions are what you bid for.",
);

/// Deviation of fresh embeddings: small, so that training starts at the linear part.
pub const EMBEDDING_START: f64 = 0.02;

/// For [`training_defaults`](super::ModelKind::training_defaults) of kinds in which nothing but a deep part holds the
/// embeddings: the penalty that suits pairs of embeddings would shrink them to nothing.
pub const GENTLE_PENALTY: &[(&str, f64)] = &[("l2", 5e-5)];

/// The same for kinds with attention among all members, which a large step throws off course.
pub const GENTLE_STEPS: &[(&str, f64)] = &[("l2", 5e-5), ("learning_rate", 1e-3)];

/// The deep part's shape as set by [`HIDDEN_UNITS`], [`HIDDEN_LAYERS`], [`TAPER`], [`DROPOUT`] and [`NORMALISE`].
///
/// # Errors
/// A knob is missing.
pub fn deep_shape(params: &Params) -> Result<MlpShape> {
    Ok(MlpShape {
        units: params.count("hidden_units")?,
        taper: params.real("taper")?,
        layers: params.count("hidden_layers")?,
        dropout: params.real("dropout")?,
        normalise: params.choice("normalise")? == "layer",
    })
}

/// Names and rows of all categorical fields.
fn fields_of(encoder: &Encoder) -> Vec<(String, usize)> {
    encoder.categorical.iter().map(|field| (field.name.clone(), field.cardinality())).collect()
}

/// What [`need_user_and_ad`] asks for, in words.
pub const NEEDS_USER_AND_AD: &str = "an outcome, a column of users and one of ads";

/// The fields of user and ad.
///
/// # Errors
/// The log has none, which `kind` needs.
pub fn need_user_and_ad(encoder: &Encoder, kind: &str) -> Result<[usize; 2]> {
    match (encoder.user_field(), encoder.ad_field()) {
        (Some(user), Some(ad)) => Ok([user, ad]),
        (user, _) => {
            let missing = if user.is_none() { "user" } else { "ad" };
            let why = format!("the log has no {missing} column");
            Err(Failure::new(format!("cannot train {kind}"), why).hint(format!(
                "give the column that names the {missing} the role {missing}, or train deep_fm"
            )))
        }
    }
}

/// Where a table's fields start, kept by a model to turn ids of fields into rows of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRows {
    /// Place of the table in the network.
    pub table: usize,
    /// First row of each categorical field.
    starts: Vec<u32>,
}

impl FieldRows {
    /// Adds a table over all categorical fields.
    ///
    /// # Errors
    /// There is no room for the table.
    pub fn new(
        encoder: &Encoder,
        builder: &mut Builder,
        name: &str,
        width: usize,
        init: Init,
    ) -> Result<Self> {
        let table = builder.table(name, width, &fields_of(encoder), init)?;
        Ok(Self::over(encoder, builder, table))
    }

    /// The same with a table of zeros that is counted and not learnt.
    ///
    /// # Errors
    /// There is no room for the table.
    pub fn counted(encoder: &Encoder, builder: &mut Builder, name: &str, width: usize) -> Result<Self> {
        let table = builder.counted(name, width, &fields_of(encoder))?;
        Ok(Self::over(encoder, builder, table))
    }

    fn over(encoder: &Encoder, builder: &Builder, table: usize) -> Self {
        let starts = (0..encoder.categorical.len()).map(|place| builder.tables[table].start(place)).collect();
        Self { table, starts }
    }

    /// The table row of an id of a field.
    pub fn row(&self, field: usize, id: u32) -> u32 {
        self.starts[field] + id
    }

    /// Number of fields.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// Finds the distinct rows of a batch; `targets` as in [`Fields::read`].
    pub fn distinct(&self, batch: &Batch, tables: &[Table], targets: &[usize], out: &mut Fields) {
        out.read(batch, &self.starts, tables[self.table].all_rows(), targets);
    }

    /// One row per example and field: `[rows, fields, width]`.
    pub fn each(&self, batch: &Batch) -> Lookup {
        self.reads(batch, vec![batch.rows, self.count()], |row, field| row * self.count() + field)
    }

    /// The sum over fields: `[rows, width]`.
    pub fn summed(&self, batch: &Batch) -> Lookup {
        self.reads(batch, vec![batch.rows], |row, _| row)
    }

    /// One field alone: `[rows, width]`.
    pub fn one(&self, batch: &Batch, field: usize) -> Lookup {
        let ids = batch.categorical.get(field).map_or(&[][..], Vec::as_slice);
        let reads = ids.iter().enumerate().map(|(row, id)| self.read(field, *id, row, 1.0)).collect();
        Lookup { table: self.table, reads, shape: vec![batch.rows] }
    }

    /// The positions of a sequence, padding left zero: `[rows, positions, width]`.
    pub fn positions(&self, sequence: &SequenceBatch, target: usize) -> Lookup {
        let positions = longest(sequence);
        let reads = each_event(sequence)
            .map(|(row, position, id, _)| self.read(target, id, row * positions + position, 1.0))
            .collect();
        Lookup { table: self.table, reads, shape: vec![sequence.lengths.len(), positions] }
    }

    /// The positions of a sequence with the newest event first, padding left zero: `[rows, positions, width]`.
    pub fn newest_first(&self, sequence: &SequenceBatch, target: usize) -> Lookup {
        let positions = longest(sequence);
        let mut reads: Vec<Read> = each_event(sequence)
            .map(|(row, position, id, length)| {
                self.read(target, id, row * positions + length as usize - 1 - position, 1.0)
            })
            .collect();
        reads.sort_unstable_by_key(|read| read.slot);
        Lookup { table: self.table, reads, shape: vec![sequence.lengths.len(), positions] }
    }

    /// The mean over a sequence, zero where it is empty: `[rows, width]`.
    pub fn mean(&self, sequence: &SequenceBatch, target: usize) -> Lookup {
        let reads = each_event(sequence)
            .map(|(row, _, id, length)| self.read(target, id, row, 1.0 / length as f32))
            .collect();
        Lookup { table: self.table, reads, shape: vec![sequence.lengths.len()] }
    }

    /// Some of the fields: `[rows, fields.len(), width]`.
    pub fn some(&self, batch: &Batch, fields: &[usize]) -> Lookup {
        let mut reads = Vec::with_capacity(batch.rows * fields.len());
        for row in 0..batch.rows {
            for (place, &field) in fields.iter().enumerate() {
                let id = batch.categorical[field][row];
                reads.push(self.read(field, id, row * fields.len() + place, 1.0));
            }
        }
        Lookup { table: self.table, reads, shape: vec![batch.rows, fields.len()] }
    }

    fn reads(&self, batch: &Batch, shape: Vec<usize>, slot: impl Fn(usize, usize) -> usize) -> Lookup {
        let mut reads = Vec::with_capacity(batch.rows * self.count());
        for row in 0..batch.rows {
            for (field, ids) in batch.categorical.iter().enumerate() {
                reads.push(self.read(field, ids[row], slot(row, field), 1.0));
            }
        }
        Lookup { table: self.table, reads, shape }
    }

    fn read(&self, field: usize, id: u32, slot: usize, weight: f32) -> Read {
        Read { row: self.starts[field] + id, slot: slot as u32, weight }
    }
}

/// A vector for every field of a row: categorical ones, then the mean of each sequence, then numbers if wanted.
#[derive(Debug)]
pub struct FieldVectors {
    rows: FieldRows,
    /// The categorical field whose vocabulary each sequence shares.
    targets: Vec<usize>,
    /// `[numeric fields, width]`: number `x` of field `i` stands as `x v_i` (Rendle 2010, equation 1); with its place
    /// among the network's parameters.
    numeric: Option<(usize, Tensor)>,
    width: usize,
}

impl FieldVectors {
    /// Vectors of `width` numbers; numbers take part when `with_numeric`.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(encoder: &Encoder, builder: &mut Builder, width: usize, with_numeric: bool) -> Result<Self> {
        let init = Init::Normal(EMBEDDING_START);
        let rows = FieldRows::new(encoder, builder, "embedding", width, init)?;
        let numbers = encoder.numeric.len();
        let numeric = if with_numeric && numbers > 0 {
            let place = builder.parameters.len();
            Some((place, builder.parameter("numeric.embedding", &[numbers, width], init)?))
        } else {
            None
        };
        let targets = encoder.sequences.iter().map(|s| s.target).collect();
        Ok(Self { rows, targets, numeric, width })
    }

    /// The same without a graph, with the numeric fields `plain` behind the vectors.
    pub fn direct(&self, linear: LinearTerm, plain: Vec<usize>) -> OnVectors {
        let fields = (0..self.rows.count()).collect();
        let (place, numbers) = self
            .numeric
            .as_ref()
            .map_or((None, 0), |(place, vectors)| (Some(*place), vectors.elem_count() / self.width));
        let set = RowVectors::new(self.width, fields, self.targets.clone(), numbers, plain);
        OnVectors::new(self.rows.clone(), self.targets.clone(), place, linear, vec![set])
    }

    /// How many vectors a row of `encoder` has.
    pub fn count(encoder: &Encoder, with_numeric: bool) -> usize {
        let numbers = if with_numeric { encoder.numeric.len() } else { 0 };
        encoder.categorical.len() + encoder.sequences.len() + numbers
    }

    /// One lookup for all categorical fields, one for each sequence.
    pub fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let sequences = batch.sequences.iter().zip(&self.targets);
        let means = sequences.map(|(sequence, target)| self.rows.mean(sequence, *target));
        std::iter::once(self.rows.each(batch)).chain(means).collect()
    }

    /// `[rows, count, width]` from the answers to [`lookups`](Self::lookups) and the numbers.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, gathered: &[Tensor], numeric: &Tensor) -> Computed<Tensor> {
        let mut vectors = Vec::with_capacity(gathered.len() + 1);
        for (place, part) in gathered.iter().enumerate() {
            vectors.push(if place == 0 { part.clone() } else { part.unsqueeze(1)? });
        }
        if let Some((_, of_numbers)) = &self.numeric {
            vectors.push(numeric.unsqueeze(2)?.broadcast_mul(of_numbers)?);
        }
        let filled: Vec<&Tensor> = vectors.iter().filter(|part| part.elem_count() > 0).collect();
        Tensor::cat(&filled, 1)
    }
}

/// What most kinds on vectors begin with: the linear part, then a vector for every field.
#[derive(Debug)]
pub struct LinearAndVectors {
    linear: LinearPart,
    vectors: FieldVectors,
}

impl LinearAndVectors {
    /// Vectors of `width` numbers; numbers take part in them when `with_numeric`.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(encoder: &Encoder, builder: &mut Builder, width: usize, with_numeric: bool) -> Result<Self> {
        Ok(Self {
            linear: LinearPart::new(encoder, builder)?,
            vectors: FieldVectors::new(encoder, builder, width, with_numeric)?,
        })
    }

    /// The lookups of a batch.
    pub fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch)];
        lookups.extend(self.vectors.lookups(batch));
        lookups
    }

    /// The linear part `[rows]` and the vectors `[rows, count, width]` from the answers to [`lookups`](Self::lookups).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, inputs: &Inputs<'_>) -> Computed<(Tensor, Tensor)> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        Ok((linear, self.vectors.forward(&inputs.gathered[1..], &inputs.numeric)?))
    }

    /// The linear part `[rows]`, and the vectors and the numbers side by side: `[rows, flat_width]`.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn flat(&self, inputs: &Inputs<'_>) -> Computed<(Tensor, Tensor)> {
        let (linear, vectors) = self.forward(inputs)?;
        Ok((linear, side_by_side(&[vectors.flatten_from(1)?, inputs.numeric.clone()])?))
    }

    /// Numbers a row that [`flat`](Self::flat) puts side by side, where numbers have no vectors.
    pub fn flat_width(encoder: &Encoder, width: usize) -> usize {
        FieldVectors::count(encoder, false) * width + encoder.numeric.len()
    }

    /// The same without a graph, with the numeric fields `plain` behind the vectors.
    pub fn direct(&self, plain: Vec<usize>) -> OnVectors {
        self.vectors.direct(self.linear.direct(), plain)
    }
}

/// Positions of the longest sequence in a batch, at least 1.
pub fn longest(sequence: &SequenceBatch) -> usize {
    sequence.lengths.iter().copied().max().unwrap_or(0).max(1) as usize
}

/// Puts parts of `[rows, n]` side by side, leaving out those without columns.
///
/// # Errors
/// Rows that differ.
pub fn side_by_side(parts: &[Tensor]) -> Computed<Tensor> {
    let filled: Vec<&Tensor> = parts.iter().filter(|part| part.elem_count() > 0).collect();
    Tensor::cat(&filled, 1)
}

/// The part that every kind has: a weight per categorical value, per number, and a bias.
#[derive(Debug)]
pub struct LinearPart {
    /// Where its fields start.
    pub rows: FieldRows,
    numeric: Linear,
    /// Place of the numbers' weight among the network's parameters; the bias follows.
    place: usize,
}

impl LinearPart {
    /// Starts at zero: every score is the bias.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(encoder: &Encoder, builder: &mut Builder) -> Result<Self> {
        let numbers = encoder.numeric.len();
        Ok(Self {
            place: builder.parameters.len(),
            rows: FieldRows::new(encoder, builder, "linear", 1, Init::Constant(0.0))?,
            numeric: Linear {
                weight: builder.parameter("numeric.weight", &[1, numbers], Init::Constant(0.0))?,
                bias: builder.parameter("bias", &[1], Init::Constant(0.0))?,
            },
        })
    }

    /// The same without a graph.
    pub fn direct(&self) -> LinearTerm {
        LinearTerm::new(self.rows.table, self.place, self.place + 1)
    }

    /// The one lookup it needs.
    pub fn lookup(&self, batch: &Batch) -> Lookup {
        self.rows.summed(batch)
    }

    /// `[rows]` from the answer to [`lookup`](Self::lookup) and the numbers.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, gathered: &Tensor, numeric: &Tensor) -> Computed<Tensor> {
        let of_values = gathered.squeeze(1)?;
        if numeric.dim(1)? == 0 {
            return of_values.broadcast_add(&self.numeric.bias);
        }
        of_values + self.numeric.forward(numeric)?.squeeze(1)?
    }
}

/// Refuses an encoding without a single feature.
///
/// # Errors
/// There is neither a categorical nor a numeric field.
pub fn need_features(encoder: &Encoder) -> Result<()> {
    if encoder.categorical.is_empty() && encoder.numeric.is_empty() {
        return Err(Failure::new(
            "cannot train a model",
            "no column of the log has a role that a model may use as a feature",
        )
        .hint("give at least one column the role categorical, numeric, user, ad or campaign"));
    }
    Ok(())
}

/// Refuses an embedding width that the attention heads of `kind` cannot share.
///
/// # Errors
/// They cannot.
pub fn need_even_heads(kind: &str, width: usize, heads: usize) -> Result<()> {
    if !width.is_multiple_of(heads) {
        let why = format!("an embedding width of {width} cannot be shared by {heads} heads");
        return Err(Failure::new(format!("cannot train {kind}"), why)
            .hint("an embedding_width that attention_heads divides"));
    }
    Ok(())
}

/// What [`need_sequence`] asks for, in words.
pub const NEEDS_SEQUENCE: &str =
    "an outcome, and the user's past behaviour: a column of lists, or users with points in time";

/// Refuses an encoding without a behaviour sequence, which `kind` needs since `reason`.
///
/// # Errors
/// There is none.
pub fn need_sequence(encoder: &Encoder, kind: &str, reason: &str) -> Result<()> {
    if encoder.sequences.is_empty() {
        return Err(Failure::new(
            format!("cannot train {kind}"),
            format!(
                "{reason}, and this log has neither a list column nor a user and a time from which one could be made"
            ),
        )
        .hint("give a column the role sequence, or mark the user and time columns, or train deep_fm"));
    }
    Ok(())
}

/// What [`need_conversions`] asks for, in words.
pub const NEEDS_CONVERSIONS: &str =
    "an outcome, a column to learn from, and a column that says which clicks converted";

/// Refuses an encoding that does not say which clicks converted, for `kind`.
///
/// # Errors
/// It does not.
pub fn need_conversions(encoder: &Encoder, kind: &str) -> Result<()> {
    if encoder.conversion.is_none() {
        let why = "it learns what follows a click, and no column of this log says 0 or 1 for it in every row";
        return Err(Failure::new(format!("cannot train {kind}"), why)
            .hint("give a column of 0 and 1 beside the click column the role conversion, or train deep_fm"));
    }
    Ok(())
}

/// `(row, position, id, length)` of every real event.
fn each_event(sequence: &SequenceBatch) -> impl Iterator<Item = (usize, usize, u32, u32)> + '_ {
    sequence.lengths.iter().enumerate().flat_map(move |(row, &length)| {
        sequence.ids[row * sequence.max_len..][..length as usize]
            .iter()
            .enumerate()
            .map(move |(position, &id)| (row, position, id, length))
    })
}
