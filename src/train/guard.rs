//! When a training goes wrong, what did it: which batch, which row of the log, which field?

use super::objective::Objective;
use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::metrics::calibration;
use crate::models::Network;
use crate::nn::Pass;
use crate::nn::losses::bce_with_logits;

/// A smoothed loss above this many times that of always guessing the click rate, and more than [`RUNAWAY_NATS`]
/// above it, is no bad luck: noise of small batches at low click rates stays far below.
const RUNAWAY_TIMES: f64 = 10.0;
/// See [`RUNAWAY_TIMES`].
const RUNAWAY_NATS: f64 = 1.0;

/// Where in a training a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Batch of the epoch, from 1.
    pub batch: usize,
    /// Step of the training, from 1.
    pub step: u64,
}

/// True when a smoothed training loss has left what a model of this click rate can lose.
pub fn has_run_away(smoothed: f64, rate: f64) -> bool {
    let constant = calibration::entropy(rate).unwrap_or(std::f64::consts::LN_2);
    smoothed > RUNAWAY_TIMES * constant + RUNAWAY_NATS
}

/// Says what is known of a batch whose loss or gradient is no number, or of one after which the loss ran away: the row
/// that scores worst and the field in it that holds the worst number.
///
/// # Errors
/// The device fails while the rows are scored once more.
pub fn blame(
    what: &str,
    network: &Network,
    dataset: &Dataset,
    objective: &Objective,
    rows: &[u32],
    place: Place,
) -> Result<Failure> {
    let (row, loss) = worst_row(network, dataset, objective, rows)?;
    let field = worst_field(network, dataset, row)?;
    let Place { epoch, batch, step } = place;
    let why = format!(
        "{what} in epoch {epoch}, batch {batch} (step {step}); its worst row is row {} of the log, with loss {loss}; {field}",
        u64::from(row) + 1
    );
    Ok(Failure::new("cannot go on training", why)
        .hint("a lower learning_rate, clip_norm=1, or another role for the field that is named"))
}

/// The row of a batch with the highest loss, and that loss; a loss that is no number is the highest of all.
fn worst_row(
    network: &Network,
    dataset: &Dataset,
    objective: &Objective,
    rows: &[u32],
) -> Result<(u32, f64)> {
    let mut batch = dataset.batch(rows);
    objective.shape(&mut batch);
    let logits = network.forward(&batch, &mut Pass::Predict)?.logits;
    let mut worst = (rows.first().copied().unwrap_or_default(), f64::NEG_INFINITY);
    for (place, row) in rows.iter().enumerate() {
        let one = place..place + 1;
        let weights = if batch.weight.is_empty() { &[] } else { &batch.weight[one.clone()] };
        let loss = bce_with_logits(&logits[one.clone()], &batch.label[one], &[]).mean;
        let weight = weights.first().copied().map_or(1.0, f64::from);
        let loss = if weight.is_finite() { loss } else { f64::NAN };
        if !loss.is_finite() {
            return Ok((*row, loss));
        }
        if loss > worst.1 {
            worst = (*row, loss);
        }
    }
    Ok(worst)
}

/// The field of a row that holds a number which is none, or else the one farthest from usual.
fn worst_field(network: &Network, dataset: &Dataset, row: u32) -> Result<String> {
    let at = row as usize;
    let encoder = &dataset.encoder;
    if dataset.weight.get(at).is_some_and(|weight| !weight.is_finite()) {
        return Ok(format!("its weight is {}", dataset.weight[at]));
    }
    for (field, cells) in encoder.numeric.iter().zip(&dataset.numeric) {
        if !cells[at].is_finite() {
            return Ok(format!("its field '{}' is {}", field.name, cells[at]));
        }
    }
    // Largest number in the rows of the tables that this row reads, field by field.
    let mut largest: Option<(f32, String)> = None;
    let mut take = |size: f32, words: String| {
        let beats = |known: f32| !known.is_nan() && (size.is_nan() || size > known);
        if largest.as_ref().is_none_or(|(known, _)| beats(*known)) {
            largest = Some((size, words));
        }
    };
    for table in &network.tables {
        for (place, name) in table.fields().enumerate() {
            let known = encoder
                .position(name)
                .and_then(|at| Some((&encoder.categorical[at], dataset.categorical.get(at)?)));
            if let Some((field, cells)) = known {
                let id = cells[at];
                let size = largest_of(table.row(table.start(place) + id));
                take(size, format!("'{}' = {}", field.name, field.name_of(id)));
            }
        }
    }
    for parameter in &network.parameters {
        if largest_of(&parameter.values).is_nan() {
            return Ok(format!(
                "no field is to blame: the weights '{}' are no numbers any more",
                parameter.name
            ));
        }
    }
    let numeric = encoder.numeric.iter().zip(&dataset.numeric);
    let farthest = numeric.max_by(|a, b| a.1[at].abs().total_cmp(&b.1[at].abs()));
    Ok(match (largest, farthest) {
        (Some((size, words)), _) if size.is_nan() => {
            format!("its field {words} has an embedding that is no number")
        }
        (Some((size, words)), Some((field, cells))) => format!(
            "its largest embedding is that of {words} ({size}), its number farthest from the mean '{}' ({} deviations)",
            field.name, cells[at]
        ),
        (Some((size, words)), None) => format!("its largest embedding is that of {words} ({size})"),
        (None, Some((field, cells))) => {
            format!("its number farthest from the mean is '{}' ({} deviations)", field.name, cells[at])
        }
        (None, None) => "the model reads no field of it".to_owned(),
    })
}

/// The largest size of a number; NaN where one is no number or infinite.
fn largest_of(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0_f32, |top, number| match number.is_finite() && !top.is_nan() {
        true => top.max(number.abs()),
        false => f32::NAN,
    })
}
