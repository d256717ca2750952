//! Which points of a model and its log can be drawn, and where do their vectors come from?
//!
//! The rows of an embedding table; what a tower of the model makes of each user or ad; what leaves the last hidden layers
//! for rows of the log; texts as an encoder reads them. Whatever they are, each point is about some rows of the log:
//! rates, predictions and what sets groups apart are asked of those.

use super::attention::spread;
use crate::base::{Failure, Result};
use crate::data::cells::{Coded, NO_CODE, coded};
use crate::data::{Array, Dataset, LogFrame, Role, Split};
use crate::jobs::JobContext;
use crate::language::sentence::SentenceEncoder;
use crate::language::{Encoder, EncoderOptions};
use crate::models::kind;
use crate::models::looked::{LayerValues, Look};
use crate::train::{EmbeddingTable, TrainedModel};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A log row that is about no point.
pub const NOBODY: u32 = u32::MAX;
/// Rows of the log that are drawn where nobody says how many.
pub const ROWS: usize = 20_000;
/// Rows of a value that its tower reads at most.
const ROWS_OF_VALUE: usize = 8;
/// Rows that towers read in all, where all values can be had by so many.
const ROWS_OF_TOWER: usize = 200_000;
/// Rows of one forward pass.
const BATCH_ROWS: usize = 1024;
/// Numbers that all vectors together may have: 2 GB.
const MOST_NUMBERS: usize = 512 << 20;
/// Texts that a sentence encoder reads at most.
const MOST_SENTENCES: usize = 50_000;
const WHAT: &str = "cannot draw the map";

/// What the points are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The values of a categorical field, by the model's embedding table.
    Table(String),
    /// The values of the field that names users or ads, as a tower of the model sees them.
    Tower(String),
    /// Rows of the log, so many at most, by the last hidden layers.
    Rows(usize),
    /// The texts of a column, by the built-in encoder or by the sentence encoder in a folder.
    Texts(String, Option<PathBuf>),
}

impl Source {
    /// What the points are called, as in "values of city".
    pub fn title(&self) -> String {
        match self {
            Self::Table(field) => field.clone(),
            Self::Tower(field) => format!("{field} by its tower"),
            Self::Rows(_) => "rows by the last layer".to_owned(),
            Self::Texts(column, None) => format!("texts of {column}"),
            Self::Texts(column, Some(folder)) => {
                let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
                format!("texts of {column} by {name}")
            }
        }
    }

    /// One of the points, in the plural.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Table(_) | Self::Tower(_) => "values",
            Self::Rows(_) => "rows",
            Self::Texts(..) => "texts",
        }
    }

    /// The categorical field whose values the points are.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Table(field) | Self::Tower(field) => Some(field),
            Self::Rows(_) | Self::Texts(..) => None,
        }
    }

    /// The column of the log whose values the points' names are.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Texts(column, _) => Some(column),
            _ => self.field(),
        }
    }

    /// All that a model and its log offer, the (many) tables last. Sentence encoders are for who has one.
    pub fn all(model: &TrainedModel, log: Option<&LogFrame>) -> Vec<Self> {
        let mut all = Vec::new();
        if !model.is_ensemble()
            && let Ok(kind) = kind(&model.kind)
        {
            if kind.towers().is_some() {
                let keys = [&model.encoder.keys.ad, &model.encoder.keys.user];
                let named = keys.into_iter().flatten().filter(|name| model.encoder.position(name).is_some());
                all.extend(named.map(|name| Self::Tower(name.clone())));
            }
            if model.has_hidden_layers() {
                all.push(Self::Rows(ROWS));
            }
        }
        all.extend(log.into_iter().flat_map(text_columns).map(|name| Self::Texts(name.to_owned(), None)));
        all.extend(model.tables().into_iter().map(|table| Self::Table(table.field)));
        all
    }
}

/// The columns of a log that hold texts.
pub(super) fn text_columns(log: &LogFrame) -> impl Iterator<Item = &str> {
    let columns = log.schema.columns.iter().filter(|column| column.role == Role::Text);
    columns.map(|column| column.name.as_str())
}

/// Vectors, and the rows of the log that each is about.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// What they are.
    pub source: Source,
    /// The vectors with their names.
    pub table: Arc<EmbeddingTable>,
    /// Table row of each row of the log, [`NOBODY`] for none; empty without a log.
    pub of_rows: Array<u32>,
    /// The row of the log that each table row is, where it is one.
    pub rows: Option<Vec<u32>>,
    /// What has to be known to read them; empty where that is nothing.
    pub note: String,
}

/// Whose points are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// The model.
    pub model: &'a TrainedModel,
    /// The log as the model knows it.
    pub dataset: Option<&'a Dataset>,
    /// The log.
    pub log: Option<&'a LogFrame>,
}

impl Gathered {
    /// Gathers the vectors of some points.
    ///
    /// # Errors
    /// A field, column, tower or layer that is not there, points that need a log where none is given, more numbers than
    /// fit, or a cancel.
    pub fn of(source: &Source, whose: Whose<'_>, context: &JobContext) -> Result<Self> {
        match source {
            Source::Table(field) => Ok(Self::table(Arc::new(whose.model.table(field)?), whose.dataset)),
            Source::Tower(field) => tower(field, whose, context),
            Source::Rows(most) => last_layer(*most, whose, context),
            Source::Texts(column, encoder) => texts(column, encoder.as_deref(), whose, context),
        }
    }

    /// The values of a field by a table, and their rows where the log has the field with the same vocabulary.
    pub fn table(table: Arc<EmbeddingTable>, dataset: Option<&Dataset>) -> Self {
        let rows_of = |dataset: &Dataset| {
            let field = dataset.encoder.position(&table.field)?;
            let known = dataset.encoder.categorical.get(field)?.cardinality() == table.names.len();
            dataset.categorical.get(field).filter(|_| known).cloned()
        };
        Self {
            source: Source::Table(table.field.clone()),
            of_rows: dataset.and_then(rows_of).unwrap_or_default(),
            table,
            rows: None,
            note: String::new(),
        }
    }
}

/// The log as the model knows it, or why the points cannot be had without.
fn needed<'a>(whose: Whose<'a>, points: &str) -> Result<&'a Dataset> {
    whose.dataset.ok_or_else(|| {
        Failure::new(WHAT, format!("{points} are of a log, and none is open")).hint("open a log (--log FILE)")
    })
}

/// Refuses more numbers than fit.
fn check_size(points: usize, width: usize) -> Result<()> {
    if points.saturating_mul(width) <= MOST_NUMBERS {
        return Ok(());
    }
    let why = format!("{points} vectors of {width} numbers take more than 2 GB");
    Err(Failure::new(WHAT, why).hint("draw fewer rows"))
}

/// The mean of what a tower makes of some rows of each value, of length 1 as the score takes it.
fn tower(field: &str, whose: Whose<'_>, context: &JobContext) -> Result<Gathered> {
    let model = whose.model;
    let Some(names) = kind(&model.kind)?.towers() else {
        let why = format!("a {} model has no towers", model.kind);
        return Err(Failure::new(WHAT, why).hint("train two_tower"));
    };
    let keys = &model.encoder.keys;
    let stack = match field {
        field if Some(field) == keys.user.as_deref() => names[0],
        field if Some(field) == keys.ad.as_deref() => names[1],
        _ => {
            let known: Vec<&str> = [&keys.ad, &keys.user].into_iter().flatten().map(String::as_str).collect();
            let why = format!("the towers are of users and ads, and '{field}' names neither");
            return Err(Failure::new(WHAT, why).hint(format!("one of: {}", known.join(", "))));
        }
    };
    let dataset = needed(whose, "vectors of a tower")?;
    let absent = || Failure::new(WHAT, format!("'{field}' is no field of the model"));
    let place = dataset.encoder.position(field).ok_or_else(absent)?;
    let (known, column) =
        dataset.encoder.categorical.get(place).zip(dataset.categorical.get(place)).ok_or_else(absent)?;
    let size = known.cardinality();
    context.stage("towers");
    let rows = rows_of_values(column, size);
    let layer = format!("{stack}.out");
    let mut sums: Vec<f64> = Vec::new();
    let mut width = 0;
    each_batch(model, dataset, &rows, context, |part, looked| {
        let found = looked.iter().find(|values| values.layer == layer);
        let Some(values) = found else { return Err(no_layer(model)) };
        width = values.values.len() / part.len().max(1);
        check_size(size, width)?;
        sums.resize(size * width, 0.0);
        for (row, vector) in part.iter().zip(values.values.chunks_exact(width)) {
            let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            let sum = &mut sums[column[*row as usize] as usize * width..][..width];
            sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += f64::from(*value) / length);
        }
        Ok(())
    })?;
    sums.chunks_exact_mut(width.max(1)).for_each(|sum| {
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        sum.iter_mut().for_each(|value| *value /= length);
    });
    let table = EmbeddingTable {
        field: field.to_owned(),
        names: (0..size as u32).map(|id| known.name_of(id)).collect(),
        width,
        values: sums.iter().map(|value| *value as f32).collect(),
    };
    Ok(Gathered {
        source: Source::Tower(field.to_owned()),
        of_rows: column.clone(),
        table: Arc::new(table),
        rows: None,
        note: format!("each vector is the mean over up to {} rows of its value", most_rows(size)),
    })
}

/// Rows that are read of each of so many values at most.
fn most_rows(values: usize) -> usize {
    (ROWS_OF_TOWER / values.max(1)).clamp(1, ROWS_OF_VALUE)
}

/// Some rows of each value, evenly spread over its own.
fn rows_of_values(column: &[u32], size: usize) -> Vec<u32> {
    let most = most_rows(size) as u64;
    let mut counts = vec![0u64; size];
    column.iter().for_each(|id| counts[*id as usize] += 1);
    let (mut seen, mut rows) = (vec![0u64; size], Vec::new());
    for (row, id) in column.iter().enumerate() {
        let (count, seen) = (counts[*id as usize], &mut seen[*id as usize]);
        *seen += 1;
        // Whole crossings of `seen x most / count`: `most` of them, evenly spread.
        if count <= most || *seen * most / count > (*seen - 1) * most / count {
            rows.push(row as u32);
        }
    }
    rows
}

/// What leaves the last hidden layer of each stack, side by side: what the output is made of. Row-major numbers, how many
/// a row, and the layers' names.
///
/// # Errors
/// A model without such layers, more numbers than fit, or a cancel.
pub(super) fn last_layers(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    context: &JobContext,
) -> Result<(Vec<f32>, usize, Vec<String>)> {
    context.stage("last hidden layers");
    let (mut values, mut width, mut layers) = (Vec::new(), 0, Vec::new());
    each_batch(model, dataset, rows, context, |part, looked| {
        let last = last_hidden(looked, part.len());
        if last.is_empty() {
            return Err(no_layer(model));
        }
        let widths: Vec<usize> = last.iter().map(|layer| layer.values.len() / part.len()).collect();
        width = widths.iter().sum();
        check_size(rows.len(), width)?;
        for row in 0..part.len() {
            for (layer, width) in last.iter().zip(&widths) {
                values.extend_from_slice(&layer.values[row * width..][..*width]);
            }
        }
        layers = last.iter().map(|layer| layer.layer.clone()).collect();
        Ok(())
    })?;
    Ok((values, width, layers))
}

/// Rows of the log by what leaves their last hidden layers.
fn last_layer(most: usize, whose: Whose<'_>, context: &JobContext) -> Result<Gathered> {
    let dataset = needed(whose, "rows")?;
    if most == 0 {
        return Err(Failure::new(WHAT, "no rows are asked for").hint("ask for three or more"));
    }
    let all: Vec<u32> = (0..dataset.rows as u32).collect();
    let rows = spread(&all, most);
    let (values, width, layers) = last_layers(whose.model, dataset, &rows, context)?;
    let mut of_rows = vec![NOBODY; dataset.rows];
    rows.iter().enumerate().for_each(|(place, row)| of_rows[*row as usize] = place as u32);
    let parts = [Split::Train, Split::Validation, Split::Test]
        .map(|part| dataset.rows_of(part).iter().filter(|row| of_rows[**row as usize] != NOBODY).count());
    let table = EmbeddingTable {
        field: "row".to_owned(),
        names: rows.iter().map(|row| format!("row {}", row + 1)).collect(),
        width,
        values,
    };
    let shown = if rows.len() < dataset.rows {
        format!("{} of {} rows, evenly spread", rows.len(), dataset.rows)
    } else {
        "all rows of the log".to_owned()
    };
    let note = format!(
        "{shown}: {} the model was fitted on, {} it was stopped by, {} it never saw; numbers that leave {}",
        parts[0],
        parts[1],
        parts[2],
        layers.join(" and ")
    );
    Ok(Gathered {
        source: Source::Rows(most),
        of_rows: of_rows.into(),
        table: Arc::new(table),
        rows: Some(rows),
        note,
    })
}

/// The last hidden layer of each stack (`deep.1` of `deep.0`, `deep.1` and `deep.out`) that is as wide for every batch.
fn last_hidden(looked: &[LayerValues], rows: usize) -> Vec<&LayerValues> {
    let stack = |layer: &str| layer.rsplit_once('.').map_or(layer, |(stack, _)| stack).to_owned();
    let mut last: Vec<&LayerValues> = Vec::new();
    for values in looked {
        let is_hidden = !values.layer.ends_with(".out") && !values.layer.starts_with("gate");
        if !is_hidden || values.shape.len() != 2 || values.shape[0] != rows {
            continue;
        }
        match last.iter_mut().find(|known| stack(&known.layer) == stack(&values.layer)) {
            Some(known) => *known = values,
            None => last.push(values),
        }
    }
    last
}

fn no_layer(model: &TrainedModel) -> Failure {
    Failure::new(
        WHAT,
        format!("a {} model has no hidden layer whose numbers mean the same in every row", model.kind),
    )
    .hint("train deep_fm, or draw a table")
}

/// Looks into the model batch by batch.
fn each_batch(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    context: &JobContext,
    mut take: impl FnMut(&[u32], &[LayerValues]) -> Result<()>,
) -> Result<()> {
    for (done, part) in rows.chunks(BATCH_ROWS).enumerate() {
        context.check()?;
        context.progress((done * BATCH_ROWS) as u64, rows.len() as u64);
        let looked = model.look(&dataset.batch(part), Look { values: true, ..Look::default() })?;
        take(part, &looked.values)?;
    }
    Ok(())
}

/// The different texts of a column.
fn texts(column: &str, encoder: Option<&Path>, whose: Whose<'_>, context: &JobContext) -> Result<Gathered> {
    let log = whose.log.ok_or_else(|| {
        Failure::new(WHAT, "texts are of a log, and none is open").hint("open a log (--log FILE)")
    })?;
    if let Some(dataset) = whose.dataset {
        super::subject::check_whole(WHAT, dataset, log)?;
    }
    log.schema.column(column)?;
    context.stage("reading the texts");
    let Coded { values: names, codes } = coded(log, column)?;
    if names.is_empty() {
        return Err(Failure::new(WHAT, format!("'{column}' holds no text")));
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let (vectors, note) = match encoder {
        None => {
            let encoder = Encoder::fit(&all, EncoderOptions::default(), context)?;
            check_size(all.len(), EncoderOptions::default().width())?;
            (encoder.encode(&all), "vectors of the built-in encoder, fitted on these texts".to_owned())
        }
        Some(_) if all.len() > MOST_SENTENCES => {
            let why = format!("{} texts are many for a sentence encoder", all.len());
            return Err(Failure::new(WHAT, why).hint("take the built-in encoder"));
        }
        Some(folder) => {
            let encoder = SentenceEncoder::open(folder)?;
            (encoder.encode(&all, context)?, format!("vectors of {}", encoder.name))
        }
    };
    let source = Source::Texts(column.to_owned(), encoder.map(Path::to_path_buf));
    let table =
        EmbeddingTable { field: column.to_owned(), names, width: vectors.width, values: vectors.values };
    debug_assert_eq!(NO_CODE, NOBODY);
    let of_rows = if whose.dataset.is_some() { codes.into() } else { Array::default() };
    Ok(Gathered { source, table: Arc::new(table), of_rows, rows: None, note })
}
