//! Where does the model fail? Its predictions on one part of a log, looked through group by group, with what the model
//! itself knows of the rows: users and ads that it never met, the tail, short histories.

use super::subject::check_whole;
use crate::base::Result;
use crate::data::batch::{MISSING_ID, RARE_ID};
use crate::data::dataset::take_known;
use crate::data::query::misfit::{Judged, Known, MisfitQuery, MisfitReport, misfits};
use crate::data::{Dataset, LogFrame, Split};
use crate::jobs::JobContext;
use crate::train::TrainedModel;

/// Least counts of the groups by training rows.
const TRAINING_ROWS: [u32; 4] = [0, 1, 10, 100];
/// Least lengths of the groups by history.
const LENGTHS: [u32; 4] = [0, 1, 5, 20];

/// Looks through all groups of the rows of one part of a log.
///
/// # Errors
/// A log of which only a sample is open, no outcomes, what [`misfits`] refuses, a cancel.
pub fn slices(
    model: &TrainedModel,
    dataset: &Dataset,
    log: &LogFrame,
    (split, query): (Split, &MisfitQuery),
    context: &JobContext,
) -> Result<MisfitReport> {
    check_whole("cannot look for groups in which the model fails", dataset, log)?;
    let rows = dataset.rows_of(split);
    context.stage("scoring");
    let predicted = model.predict(dataset, rows, context)?;
    let known = known(dataset, rows);
    let labels = take_known(&dataset.label, rows);
    let weights = take_known(&dataset.weight, rows);
    let judged = Judged { rows, predicted: &predicted, labels: &labels, weights: &weights, known: &known };
    misfits(log, judged, query, context)
}

/// What the model knows of rows beside their columns.
pub fn known(dataset: &Dataset, rows: &[u32]) -> Vec<Known> {
    let encoder = &dataset.encoder;
    let keys = [&encoder.keys.user, &encoder.keys.ad];
    let fields = keys.into_iter().flatten().filter_map(|name| Some((name, encoder.position(name)?)));
    let mut known: Vec<Known> = fields
        .map(|(name, field)| Known {
            name: format!("training rows of {name}"),
            values: ["none", "1 to 9", "10 to 99", "100 and more", "missing"].map(str::to_owned).to_vec(),
            codes: by_training_rows(dataset, field, rows),
        })
        .collect();
    known.extend(encoder.sequences.iter().zip(&dataset.sequences).map(|(field, column)| {
        let length = |row: u32| {
            let at = |place: usize| column.offsets.get(place).copied().unwrap_or_default();
            (at(row as usize + 1) - at(row as usize)).min(u64::from(u32::MAX)) as u32
        };
        Known {
            name: format!("length of {}", field.name),
            values: ["empty", "1 to 4", "5 to 19", "20 and more"].map(str::to_owned).to_vec(),
            codes: rows.iter().map(|row| step_of(&LENGTHS, length(*row))).collect(),
        }
    }));
    known
}

/// The last of the steps that is not above `count`.
fn step_of(steps: &[u32], count: u32) -> u32 {
    steps.partition_point(|least| *least <= count) as u32 - 1
}

/// How often the value of each row was there in training; a value that was too rare for the vocabulary counts as new, as
/// it does for the model.
fn by_training_rows(dataset: &Dataset, field: usize, rows: &[u32]) -> Vec<u32> {
    let ids = &dataset.categorical[field];
    let mut seen = vec![0u32; dataset.encoder.categorical[field].cardinality()];
    for row in dataset.train.iter() {
        if let Some(seen) = seen.get_mut(ids[*row as usize] as usize) {
            *seen += 1;
        }
    }
    let code = |row: &u32| match ids[*row as usize] {
        MISSING_ID => TRAINING_ROWS.len() as u32,
        RARE_ID => 0,
        id => step_of(&TRAINING_ROWS, seen.get(id as usize).copied().unwrap_or(0)),
    };
    rows.iter().map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_closed_below() {
        let steps = [0, 1, 9, 10, 99, 100, 5_000].map(|count| step_of(&TRAINING_ROWS, count));
        assert_eq!(steps, [0, 1, 1, 2, 2, 3, 3]);
    }
}
