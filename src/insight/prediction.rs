//! Why this probability? The inputs of one row, each with its share in the log odds; what another value would do; and the
//! fewest changes that lead across a threshold.
//!
//! Shares are Shapley values (Shapley 1953; sampled by permutations as in Castro et al. 2009, Strumbelj & Kononenko 2014):
//! inputs are taken over from a background row to this one in a random order, and each has the mean of what its own step
//! changed. The steps of one order add up exactly to the difference of both rows, so the shares do too; each order is also
//! gone backwards (antithetic), and the standard error of every share is told.

use crate::base::numbers::short;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::batch::{FIRST_VALUE_ID, MISSING_ID, RARE_ID, SequenceBatch};
use crate::data::{Batch, Dataset, Encoder};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::models::integrated::Integrated;
use crate::nn::losses::sigmoid;
use crate::train::TrainedModel;

/// Background rows at most: drawn evenly from the training rows.
const BACKGROUND: usize = 128;
/// Orders that are gone through at most, each forwards and backwards.
const MAX_ORDERS: usize = 65_536;
/// Rows of one forward pass, about.
const BATCH_ROWS: usize = 4_096;
/// How near integrated gradients must come to adding up, in log odds.
const COMPLETE: f64 = 1e-4;
/// Values of a field that are tried.
const TRIED: usize = 200;
/// Changes of a counterfactual at most.
const MAX_CHANGES: usize = 4;

/// An input that is given another value: the field and the value as a person writes it.
pub type Edit = (String, String);

/// One input of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct InputValue {
    /// The field.
    pub name: String,
    /// Its value, as the model sees it.
    pub value: String,
    /// True when it is not the row's own.
    pub edited: bool,
}

/// A row as the model sees it, edited or not.
#[derive(Debug, Clone)]
pub struct EditedRow {
    /// Row of the log.
    pub row: u32,
    /// Its inputs: categorical fields, numbers, histories.
    pub inputs: Vec<InputValue>,
    /// What was made of edits that the model cannot know, in words.
    pub notes: Vec<String>,
    batch: Batch,
}

/// A row with its probability.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// The row.
    pub row: EditedRow,
    /// Probability of a click.
    pub p_click: f64,
    /// Where one more member of an ensemble would come out; `None` for a model of its own.
    pub interval: Option<Estimate>,
    /// The same for the row without edits.
    pub p_unedited: f64,
    /// What one other value would do: for each field the best and the worst one that was tried.
    pub changes: Vec<OneChange>,
}

/// What another value of one field would do.
#[derive(Debug, Clone, PartialEq)]
pub struct OneChange {
    /// The field.
    pub name: String,
    /// Values that were tried, of all that the model knows.
    pub tried: usize,
    /// Values that the model knows.
    pub known: usize,
    /// The value that leads to the highest probability, and the probability.
    pub highest: (String, f64),
    /// The value that leads to the lowest one.
    pub lowest: (String, f64),
}

/// The shares of a row's inputs in its log odds.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// Mean log odds over the background rows.
    pub base: f64,
    /// Log odds of the row; `base` and all shares add up to it.
    pub log_odds: f64,
    /// One entry an input, in the order of [`EditedRow::inputs`].
    pub shares: Vec<Share>,
    /// Background rows: drawn evenly from the training rows.
    pub background: usize,
    /// Orders that were gone through, forwards and backwards.
    pub orders: usize,
}

/// One input's share.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The field.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it adds to the log odds.
    pub log_odds: f64,
    /// Standard error of that.
    pub error: f64,
}

/// What each input adds by the slopes on the way from an average row.
#[derive(Debug, Clone, PartialEq)]
pub struct Slopes {
    /// Log odds of the average row, before the calibration layer.
    pub base: f64,
    /// Log odds of the row, before the calibration layer.
    pub log_odds: f64,
    /// One number an input, in the order of [`EditedRow::inputs`].
    pub parts: Vec<f64>,
    /// Pieces of the way.
    pub pieces: usize,
    /// How far base and parts are from adding up to the log odds.
    pub gap: f64,
}

/// Changes that lead across a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Counterfactual {
    /// The changes, in the order in which they were made.
    pub changes: Vec<Edit>,
    /// Probability after them.
    pub p_click: f64,
    /// Where one more member of an ensemble would put it, 95 %.
    pub interval: Option<Estimate>,
    /// True when the threshold was crossed.
    pub crossed: bool,
}

impl EditedRow {
    /// The row as a batch of one.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Probability of a click by a model that reads the log in the same way.
    ///
    /// # Errors
    /// The device fails.
    pub fn score(&self, model: &TrainedModel) -> Result<f64> {
        Ok(model.predict_batch(&self.batch)?.first().map_or(f64::NAN, |p| f64::from(*p)))
    }
}

/// Reads a row as the model sees it and edits it.
///
/// # Errors
/// No such row, a field that the model lacks or whose value cannot be written, or text where a number is expected.
pub fn edited(dataset: &Dataset, row: u32, edits: &[Edit]) -> Result<EditedRow> {
    let what = "cannot look at the prediction";
    if row as usize >= dataset.rows {
        let why = format!("the log has {} rows and no row {}", dataset.rows, u64::from(row) + 1);
        return Err(Failure::new(what, why).hint(format!("a row from 1 to {}", dataset.rows)));
    }
    let encoder = &dataset.encoder;
    let mut batch = dataset.batch(&[row]);
    let mut notes = Vec::new();
    for (name, value) in edits {
        if let Some(field) = encoder.position(name) {
            let id = id_of(encoder, field, value);
            if id == RARE_ID && value != "rare or new" {
                notes.push(format!(
                    "'{value}' of {name} was rare or not there in training: taken as a new value"
                ));
            }
            batch.categorical[field][0] = id;
        } else if let Some(field) = encoder.numeric.iter().position(|field| field.name == *name) {
            batch.numeric[field][0] = match value.trim() {
                "" | "missing" => 0.0,
                text => {
                    let number: f64 = text.parse().map_err(|_| {
                        Failure::new(what, format!("'{text}' is no number"))
                            .at(name)
                            .hint("a number, or missing")
                    })?;
                    encoder.numeric[field].scale(number)
                }
            };
        } else {
            return Err(Failure::new(what, format!("the model reads no field '{name}' that can be written"))
                .hint("a field of its list; histories cannot be written"));
        }
    }
    Ok(EditedRow { row, inputs: inputs(encoder, &batch, edits), notes, batch })
}

fn id_of(encoder: &Encoder, field: usize, value: &str) -> u32 {
    let known = &encoder.categorical[field];
    match value {
        "missing" => MISSING_ID,
        value => {
            let places = 0..known.cardinality() as u32;
            places.skip(FIRST_VALUE_ID as usize).find(|id| known.name_of(*id) == value).unwrap_or(RARE_ID)
        }
    }
}

fn inputs(encoder: &Encoder, batch: &Batch, edits: &[Edit]) -> Vec<InputValue> {
    let edited = |name: &str| edits.iter().any(|(field, _)| field == name);
    let input = |name: &str, value: String| InputValue { name: name.to_owned(), value, edited: edited(name) };
    let categories = encoder.categorical.iter().zip(&batch.categorical);
    let numbers = encoder.numeric.iter().zip(&batch.numeric);
    let histories = encoder.sequences.iter().zip(&batch.sequences);
    categories
        .map(|(field, ids)| input(&field.name, field.name_of(ids[0])))
        .chain(numbers.map(|(field, values)| input(&field.name, short(field.unscaled(values[0])))))
        .chain(histories.map(|(field, sequence)| {
            let length = sequence.lengths[0] as usize;
            let values = &encoder.categorical[field.target];
            let last: Vec<String> =
                sequence.ids[..length].iter().rev().take(3).map(|id| values.name_of(*id)).collect();
            input(&field.name, format!("{length}: {}", last.join(", ")))
        }))
        .collect()
}

/// The probability of a row, and what one other value of each field would do.
///
/// # Errors
/// As [`edited`]; the device fails; a cancel.
pub fn predict_one(
    model: &TrainedModel,
    dataset: &Dataset,
    row: u32,
    edits: &[Edit],
    context: &JobContext,
) -> Result<Prediction> {
    let (own, row) = (edited(dataset, row, &[])?, edited(dataset, row, edits)?);
    let mut changes = Vec::new();
    for field in 0..dataset.encoder.categorical.len() {
        context.check()?;
        changes.extend(one_change(model, &dataset.encoder, &row.batch, field)?);
    }
    changes.sort_by(|a, b| (b.highest.1 - b.lowest.1).total_cmp(&(a.highest.1 - a.lowest.1)));
    let scored = model.scored_batch(&row.batch)?;
    let p_click = scored.p.first().map_or(f64::NAN, |p| f64::from(*p));
    Ok(Prediction { p_click, interval: scored.interval(0), p_unedited: own.score(model)?, row, changes })
}

/// Tries values of a field, evenly over its vocabulary where there are many; `None` for one without.
fn one_change(
    model: &TrainedModel,
    encoder: &Encoder,
    batch: &Batch,
    field: usize,
) -> Result<Option<OneChange>> {
    let known = &encoder.categorical[field];
    let all = known.cardinality() - FIRST_VALUE_ID as usize;
    let tried = all.min(TRIED);
    let ids: Vec<u32> = (0..tried).map(|place| FIRST_VALUE_ID + (place * all / tried) as u32).collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let mut many = batch.repeated(ids.len());
    many.categorical[field].clone_from(&ids);
    let scores = model.predict_batch(&many)?;
    let by_score = |a: &&(&u32, &f32), b: &&(&u32, &f32)| a.1.total_cmp(b.1);
    let pairs: Vec<(&u32, &f32)> = ids.iter().zip(&scores).collect();
    let named = |pair: Option<&(&u32, &f32)>| {
        pair.map_or((String::new(), f64::NAN), |(id, p)| (known.name_of(**id), f64::from(**p)))
    };
    Ok(Some(OneChange {
        name: known.name.clone(),
        tried: ids.len(),
        known: all,
        highest: named(pairs.iter().max_by(by_score)),
        lowest: named(pairs.iter().min_by(by_score)),
    }))
}

/// Shares of the inputs in the log odds, to a standard error of `wanted` each where that many orders are enough.
///
/// # Errors
/// A log without training rows, the device fails, a cancel.
pub fn shares(
    model: &TrainedModel,
    dataset: &Dataset,
    row: &EditedRow,
    wanted: f64,
    context: &JobContext,
) -> Result<Shares> {
    let background = background(dataset)?;
    let count = background.len();
    let others = dataset.batch(&background);
    let players = row.inputs.len();
    let mut sums = vec![(0.0, 0.0); players];
    let mut rng = Rng::named(u64::from(row.row), "orders of inputs");
    let each = (BATCH_ROWS / (2 * (players + 1))).clamp(1, count);
    let (mut orders, mut base) = (0, 0.0);
    context.stage("sharing out the log odds");
    while orders < MAX_ORDERS {
        context.check()?;
        // Whole rounds of the background: every row of it counts as often.
        let mut walks: Vec<Walk> = Vec::with_capacity(2 * each);
        let step = each.min(count - orders % count);
        for at in orders..orders + step {
            let mut order: Vec<usize> = (0..players).collect();
            rng.shuffle(&mut order);
            let back = order.iter().rev().copied().collect();
            walks.extend([Walk { other: at % count, order }, Walk { other: at % count, order: back }]);
        }
        let logits = model.logits(&walked(&row.batch, &others, &walks, players))?;
        for (pair, logits) in walks.chunks(2).zip(logits.chunks(2 * (players + 1))) {
            base += f64::from(logits[0]);
            let steps = both_ways(pair, logits, players);
            for (sum, step) in sums.iter_mut().zip(steps) {
                sum.0 += step;
                sum.1 += step * step;
            }
        }
        orders += walks.len() / 2;
        let n = orders as f64;
        let error = |(sum, squares): &(f64, f64)| ((squares / n - (sum / n).powi(2)).max(0.0) / n).sqrt();
        if orders % count == 0 && orders >= 2 * count && sums.iter().all(|sum| error(sum) <= wanted) {
            break;
        }
    }
    let n = orders as f64;
    let shares = row.inputs.iter().zip(&sums).map(|(input, (sum, squares))| Share {
        name: input.name.clone(),
        value: input.value.clone(),
        log_odds: sum / n,
        error: ((squares / n - (sum / n).powi(2)).max(0.0) / n).sqrt(),
    });
    let log_odds = model.logits(&row.batch)?.first().map_or(f64::NAN, |z| f64::from(*z));
    Ok(Shares { base: base / n, log_odds, shares: shares.collect(), background: count, orders })
}

/// Integrated gradients of the inputs, complete to 1e-4 in log odds where the score follows its slopes.
///
/// # Errors
/// A kind without slopes, a log without training rows, the device fails, a cancel.
pub fn slopes(
    model: &TrainedModel,
    dataset: &Dataset,
    row: &EditedRow,
    context: &JobContext,
) -> Result<Slopes> {
    context.check()?;
    let others = dataset.batch(&background(dataset)?);
    let found = model.integrated(&row.batch, &others, COMPLETE)?;
    let gap = found.gap();
    let Integrated { start, end, parts, pieces } = found;
    if gap > 0.01 * (end - start).abs().max(0.1) {
        let why = format!("the slopes explain {:.4} of {:.4}", parts.iter().sum::<f64>(), end - start);
        return Err(Failure::new("cannot integrate the slopes", why)
            .hint("the score of this kind does not follow its slopes; Shapley shares do"));
    }
    Ok(Slopes { base: start, log_odds: end, parts, pieces, gap })
}

/// Training rows that stand for all, evenly spread.
fn background(dataset: &Dataset) -> Result<Vec<u32>> {
    let all = &dataset.train;
    if all.is_empty() {
        let why = "the log has no training rows to compare with";
        return Err(Failure::new("cannot share out the log odds", why));
    }
    let count = all.len().min(BACKGROUND);
    Ok((0..count).map(|place| all[place * all.len() / count]).collect())
}

/// From a background row to the row itself, input by input.
struct Walk {
    other: usize,
    order: Vec<usize>,
}

/// What each input's step changed, the mean of both directions.
fn both_ways(pair: &[Walk], logits: &[f32], players: usize) -> Vec<f64> {
    let mut steps = vec![0.0; players];
    for (walk, logits) in pair.iter().zip(logits.chunks(players + 1)) {
        for (place, input) in walk.order.iter().enumerate() {
            steps[*input] += f64::from(logits[place + 1] - logits[place]) / pair.len() as f64;
        }
    }
    steps
}

/// The rows of all walks: the background row, then one input more of the row itself each time.
fn walked(own: &Batch, others: &Batch, walks: &[Walk], players: usize) -> Batch {
    let rows = walks.len() * (players + 1);
    // How many steps of a walk lie before an input's own.
    let before: Vec<Vec<usize>> = walks
        .iter()
        .map(|walk| {
            let mut places = vec![0; players];
            walk.order.iter().enumerate().for_each(|(place, input)| places[*input] = place);
            places
        })
        .collect();
    let is_own = |row: usize, input: usize| row % (players + 1) > before[row / (players + 1)][input];
    let other = |row: usize| walks[row / (players + 1)].other;
    let categories = own.categorical.len();
    let numbers = categories + own.numeric.len();
    let pick = |field: usize, row: usize, own_value: u32, values: &[u32]| {
        if is_own(row, field) { own_value } else { values[other(row)] }
    };
    Batch {
        rows,
        categorical: (own.categorical.iter().zip(&others.categorical).enumerate())
            .map(|(field, (own, values))| (0..rows).map(|row| pick(field, row, own[0], values)).collect())
            .collect(),
        numeric: (own.numeric.iter().zip(&others.numeric).enumerate())
            .map(|(field, (own, values))| {
                let value = |row| if is_own(row, categories + field) { own[0] } else { values[other(row)] };
                (0..rows).map(value).collect()
            })
            .collect(),
        sequences: (own.sequences.iter().zip(&others.sequences).enumerate())
            .map(|(field, (own, others))| {
                let mut picked = SequenceBatch { max_len: own.max_len, ..SequenceBatch::default() };
                for row in 0..rows {
                    let from = if is_own(row, numbers + field) { (own, 0) } else { (others, other(row)) };
                    let (sequence, at) = from;
                    picked.ids.extend(&sequence.ids[at * own.max_len..(at + 1) * own.max_len]);
                    picked.lengths.push(sequence.lengths[at]);
                }
                picked
            })
            .collect(),
        ..Batch::default()
    }
}

/// The fewest changes, found one after another, that lead to a probability of `target` or beyond (above it where the row
/// lies below, and the other way round); fields of `kept` stay as they are.
///
/// # Errors
/// As [`predict_one`].
pub fn counterfactual(
    model: &TrainedModel,
    dataset: &Dataset,
    row: &EditedRow,
    (target, kept): (f64, &[String]),
    context: &JobContext,
) -> Result<Counterfactual> {
    let mut batch = row.batch.clone();
    let logit = |batch: &Batch| -> Result<f64> {
        Ok(model.logits(batch)?.first().map_or(f64::NAN, |z| f64::from(*z)))
    };
    let mut p = sigmoid(logit(&batch)?);
    let upwards = p < target;
    let crossed = |p: f64| if upwards { p >= target } else { p <= target };
    let mut changes: Vec<Edit> = Vec::new();
    while !crossed(p) && changes.len() < MAX_CHANGES {
        let mut best: Option<(usize, String, f64)> = None;
        for (field, known) in dataset.encoder.categorical.iter().enumerate() {
            context.check()?;
            let is_free = !kept.contains(&known.name) && !changes.iter().any(|(name, _)| *name == known.name);
            let found = if is_free { one_change(model, &dataset.encoder, &batch, field)? } else { None };
            let Some(found) = found else { continue };
            let (value, reached) = if upwards { found.highest } else { found.lowest };
            let better =
                best.as_ref().is_none_or(|(_, _, known)| (reached > *known) == upwards && reached != *known);
            if better {
                best = Some((field, value, reached));
            }
        }
        let Some((field, value, reached)) = best.filter(|(_, _, reached)| (*reached > p) == upwards) else {
            break;
        };
        batch.categorical[field][0] = id_of(&dataset.encoder, field, &value);
        changes.push((dataset.encoder.categorical[field].name.clone(), value));
        p = reached;
    }
    let interval = model.scored_batch(&batch)?.interval(0);
    Ok(Counterfactual { changes, p_click: p, interval, crossed: crossed(p) })
}
