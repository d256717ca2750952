//! What does the model make of a field? The same rows with one value of it after another: the mean of their probabilities
//! (partial dependence, Friedman 2001), single rows (ICE, Goldstein et al. 2015), and for numbers the accumulated local
//! effects, which ask only about values near the row's own (Apley & Zhu 2020).

use crate::base::numbers::short;
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::{Batch, Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::train::TrainedModel;
use serde::Serialize;

/// Rows that are given other values: drawn evenly.
const ROWS: usize = 1_000;
/// Values that are tried.
const VALUES: usize = 30;
/// Single rows that are kept.
const SINGLE: usize = 25;

/// A field's part in the probabilities.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dependence {
    /// The field.
    pub field: String,
    /// True for numbers, whose values have an order and distances.
    pub is_number: bool,
    /// The values that were tried: numbers rising, categories by falling number of rows.
    pub values: Vec<TriedValue>,
    /// `[row][value]` probabilities of single rows, drawn evenly.
    pub single: Vec<Vec<f64>>,
    /// Rows that were given other values, of all of this part of the log.
    pub rows: usize,
    /// All rows of this part.
    pub all_rows: usize,
    /// Values that were not tried.
    pub untried: usize,
}

/// One value of the field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TriedValue {
    /// As a person writes it.
    pub name: String,
    /// The number, or the place of a category.
    pub x: f64,
    /// Mean probability with this value, and its interval over the rows that were drawn.
    pub mean: Estimate,
    /// Accumulated local effect, shifted to the same mean as the rows have; `None` for categories.
    pub local: Option<f64>,
    /// Rows of this part that have the value, or for numbers one up to it since the value before.
    pub rows_here: usize,
}

/// Asks for the part of a field.
///
/// # Errors
/// No such field, or no rows in this part of the log; the device fails; a cancel.
pub fn dependence(
    model: &TrainedModel,
    dataset: &Dataset,
    (split, field): (Split, &str),
    context: &JobContext,
) -> Result<Dependence> {
    let what = "cannot tell what the model makes of the field";
    let all = dataset.rows_of(split);
    if all.is_empty() {
        return Err(Failure::new(what, "there are no rows in this part of the log"));
    }
    let count = all.len().min(ROWS);
    let rows: Vec<u32> = (0..count).map(|place| all[place * all.len() / count]).collect();
    let batch = dataset.batch(&rows);
    context.stage(&format!("trying values of {field}"));
    let encoder = &dataset.encoder;
    let asked = Asked { model, batch: &batch, context };
    if let Some(place) = encoder.position(field) {
        let ids = &dataset.categorical[place];
        let known = &encoder.categorical[place];
        let mut here = vec![0usize; known.cardinality()];
        for row in all.iter() {
            here[ids[*row as usize] as usize] += 1;
        }
        let mut order: Vec<u32> =
            (0..known.cardinality() as u32).filter(|id| here[*id as usize] > 0).collect();
        order.sort_by_key(|id| (std::cmp::Reverse(here[*id as usize]), *id < FIRST_VALUE_ID));
        let untried = order.len().saturating_sub(VALUES);
        order.truncate(VALUES);
        let tried: Vec<(String, f64, usize)> = order
            .iter()
            .enumerate()
            .map(|(x, id)| (known.name_of(*id), x as f64, here[*id as usize]))
            .collect();
        let scores = asked.each(order.len(), |batch, value| batch.categorical[place].fill(order[value]))?;
        return Ok(told(field, false, tried, &scores, None, (all.len(), untried)));
    }
    if let Some(place) = encoder.numeric.iter().position(|known| known.name == field) {
        let known = &encoder.numeric[place];
        let own = &batch.numeric[place];
        let mut sorted: Vec<f32> = all.iter().map(|row| dataset.numeric[place][*row as usize]).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let mut grid: Vec<f32> = (0..VALUES).map(|k| sorted[k * (sorted.len() - 1) / (VALUES - 1)]).collect();
        grid.dedup();
        let scores = asked.each(grid.len(), |batch, value| batch.numeric[place].fill(grid[value]))?;
        let local = asked.local_effects(place, own, &grid)?;
        let upto = |value: f32| sorted.partition_point(|x| *x <= value);
        let tried: Vec<(String, f64, usize)> = grid
            .iter()
            .enumerate()
            .map(|(k, value)| {
                let number = known.unscaled(*value);
                let before = if k == 0 { 0 } else { upto(grid[k - 1]) };
                (short(number), number, upto(*value) - before)
            })
            .collect();
        return Ok(told(field, true, tried, &scores, Some(&local), (all.len(), 0)));
    }
    let names: Vec<&str> = encoder
        .categorical
        .iter()
        .map(|known| known.name.as_str())
        .chain(encoder.numeric.iter().map(|known| known.name.as_str()))
        .collect();
    Err(Failure::new(what, format!("the model reads no field '{field}'"))
        .hint(format!("one of {}", names.join(", "))))
}

/// The rows that are given other values.
struct Asked<'a> {
    model: &'a TrainedModel,
    batch: &'a Batch,
    context: &'a JobContext,
}

impl Asked<'_> {
    /// `[value][row]` probabilities with each value in turn.
    fn each(&self, values: usize, set: impl Fn(&mut Batch, usize)) -> Result<Vec<Vec<f32>>> {
        (0..values)
            .map(|value| {
                self.context.check()?;
                let mut changed = self.batch.clone();
                set(&mut changed, value);
                self.model.predict_batch(&changed)
            })
            .collect()
    }

    /// Accumulated local effects of a number at each value of the grid, with mean 0 over the rows: the mean change of the
    /// rows between two values from the lower to the upper one, added up.
    fn local_effects(&self, field: usize, own: &[f32], grid: &[f32]) -> Result<Vec<f64>> {
        let interval = |x: f32| grid.partition_point(|edge| *edge < x).clamp(1, grid.len().max(2) - 1);
        let (mut low, mut high) = (self.batch.clone(), self.batch.clone());
        if grid.len() < 2 {
            return Ok(vec![0.0; grid.len()]);
        }
        for (row, x) in own.iter().enumerate() {
            low.numeric[field][row] = grid[interval(*x) - 1];
            high.numeric[field][row] = grid[interval(*x)];
        }
        let (low, high) = (self.model.predict_batch(&low)?, self.model.predict_batch(&high)?);
        let mut steps = vec![(0.0, 0usize); grid.len()];
        for (row, x) in own.iter().enumerate() {
            let step = &mut steps[interval(*x)];
            step.0 += f64::from(high[row]) - f64::from(low[row]);
            step.1 += 1;
        }
        let mut effects = vec![0.0; grid.len()];
        for k in 1..grid.len() {
            let (sum, rows) = steps[k];
            effects[k] = effects[k - 1] + if rows > 0 { sum / rows as f64 } else { 0.0 };
        }
        // Centred over the rows: each lies between the two values of its interval.
        let rows: usize = steps.iter().map(|(_, rows)| rows).sum();
        let mean: f64 =
            (1..grid.len()).map(|k| steps[k].1 as f64 * (effects[k - 1] + effects[k]) / 2.0).sum::<f64>()
                / rows.max(1) as f64;
        effects.iter_mut().for_each(|effect| *effect -= mean);
        Ok(effects)
    }
}

fn told(
    field: &str,
    is_number: bool,
    tried: Vec<(String, f64, usize)>,
    scores: &[Vec<f32>],
    local: Option<&[f64]>,
    (all_rows, untried): (usize, usize),
) -> Dependence {
    let rows = scores.first().map_or(0, Vec::len);
    let means: Vec<Estimate> = scores.iter().map(|of| mean(of)).collect();
    // Over the rows' own values the mean of all probabilities is near that of the partial dependences.
    let level = means.iter().zip(&tried).map(|(m, (.., here))| m.value * *here as f64).sum::<f64>()
        / tried.iter().map(|(.., here)| *here).sum::<usize>().max(1) as f64;
    let values = tried.into_iter().zip(means).enumerate().map(|(k, ((name, x, rows_here), mean))| {
        TriedValue { name, x, mean, local: local.map(|local| level + local[k]), rows_here }
    });
    let single = (0..rows.min(SINGLE)).map(|k| {
        let row = k * rows / rows.min(SINGLE);
        scores.iter().map(|of| f64::from(of[row])).collect()
    });
    Dependence {
        field: field.to_owned(),
        is_number,
        values: values.collect(),
        single: single.collect(),
        rows,
        all_rows,
        untried,
    }
}

/// The mean with its normal interval over the rows that were drawn.
fn mean(of: &[f32]) -> Estimate {
    let n = of.len().max(1) as f64;
    let mean = of.iter().map(|p| f64::from(*p)).sum::<f64>() / n;
    let squares: f64 = of.iter().map(|p| (f64::from(*p) - mean).powi(2)).sum();
    Estimate::normal(mean, (squares / (n - 1.0).max(1.0) / n).sqrt())
}
