//! What happened on each row? Labels and weights, from 0/1 columns or from counts of aggregated rows.

use super::array::Array;
use super::cells::NO_CODE;
use super::columns::Columns;
use super::schema::Role;
use crate::base::{Failure, Result};

/// Nothing is counted beyond this: 1e30 or infinity is a mistake of whoever wrote the log, and would drown all else.
const LARGEST_COUNT: f64 = 1e15;

/// The outcome of every row of a log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The column it came from: the label, or the clicks of an aggregated log.
    pub column: String,
    /// 0, 1, or clicks per impression of an aggregated row; NaN where the log does not say.
    pub label: Array<f32>,
    /// Impressions per row; empty means all 1.
    pub weight: Array<f32>,
    /// The column that says what followed the click, where one says it as 0 or 1 for every row.
    pub conversion_column: Option<String>,
    /// 1 where a click was followed by a conversion, else 0; empty when the log does not say it.
    pub conversion: Array<f32>,
    /// What was mended, in words.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Reads the label column, or clicks and impressions; `None` when the log has neither.
    ///
    /// # Errors
    /// A label that is not 0/1, clicks without impressions, negative counts.
    pub fn read(log: &dyn Columns) -> Result<Option<Self>> {
        let weight = match log.schema().with_role(Role::Weight) {
            Some(column) => read_counts(log, &column.name)?,
            None => Array::default(),
        };
        if let Some(label) = log.schema().with_role(Role::Label) {
            return Self::of_label(log, &label.name, weight)?.with_conversions(log).map(Some);
        }
        match log.schema().with_role(Role::Clicks) {
            None => Ok(None),
            Some(column) if weight.is_empty() => Err(Failure::new(
                "cannot read the outcome",
                format!("'{}' counts clicks, but no column counts impressions", column.name),
            )
            .hint("give the impressions column the role weight, or the clicks column the role label if it is 0/1")),
            Some(column) => Ok(Some(Self::of_counts(log, &column.name, weight)?)),
        }
    }

    /// Rows whose outcome is known and that stand for at least one impression.
    pub fn known_rows(&self) -> Vec<u32> {
        (0..self.label.len())
            .filter(|&row| self.label[row].is_finite() && self.weight.get(row).is_none_or(|w| *w > 0.0))
            .map(|row| row as u32)
            .collect()
    }

    /// Clicks and impressions in the given rows, weighted.
    pub fn totals(&self, rows: &[u32]) -> (f64, f64) {
        rows.iter().fold((0.0, 0.0), |(clicks, shown), &row| {
            let weight = f64::from(self.weight.get(row as usize).copied().unwrap_or(1.0));
            let label = f64::from(self.label[row as usize]);
            (clicks + label * weight, shown + weight)
        })
    }

    fn of_label(log: &dyn Columns, column: &str, weight: Array<f32>) -> Result<Self> {
        let cells = log.coded(column)?;
        let meaning: Vec<f32> =
            cells.values.iter().map(|value| label_value(column, value)).collect::<Result<_>>()?;
        let label =
            cells.codes.iter().map(|&code| meaning.get(code as usize).copied().unwrap_or(f32::NAN)).collect();
        let missing = cells.codes.iter().filter(|&&code| code == NO_CODE).count();
        let mut notes = Vec::new();
        if missing > 0 {
            notes.push(format!("{missing} rows have no value in '{column}' and are in no part of the split"));
        }
        Ok(Self { column: column.to_owned(), label, weight, notes, ..Self::default() })
    }

    /// Adds what followed the clicks, from the first column with that role that can be read as 0 or 1.
    fn with_conversions(mut self, log: &dyn Columns) -> Result<Self> {
        for column in log.schema().columns.iter().filter(|column| column.role == Role::Conversion) {
            let cells = log.coded(&column.name)?;
            let meaning: Result<Vec<f32>> =
                cells.values.iter().map(|value| label_value(&column.name, value)).collect();
            // Delays and amounts of conversions have the role too.
            let Ok(meaning) = meaning else { continue };
            let said = |code: &u32| meaning.get(*code as usize).copied().unwrap_or(0.0);
            let mut without_click = 0usize;
            let of_row = |(code, label): (&u32, &f32)| {
                let converted = said(code) > 0.0;
                without_click += usize::from(converted && *label <= 0.0);
                f32::from(converted && *label > 0.0)
            };
            self.conversion = cells.codes.iter().zip(&self.label).map(of_row).collect();
            self.conversion_column = Some(column.name.clone());
            if without_click > 0 {
                let name = &column.name;
                self.notes
                    .push(format!("{without_click} conversions in '{name}' have no click and count as none"));
            }
            break;
        }
        Ok(self)
    }

    fn of_counts(log: &dyn Columns, column: &str, weight: Array<f32>) -> Result<Self> {
        let clicks = read_counts(log, column)?;
        let mut beyond = 0usize;
        let label = clicks
            .iter()
            .zip(&weight)
            .map(|(&clicks, &shown)| {
                if shown <= 0.0 {
                    return f32::NAN;
                }
                beyond += usize::from(clicks > shown);
                (clicks / shown).min(1.0)
            })
            .collect();
        let mut notes = Vec::new();
        let unseen = weight.iter().filter(|&&shown| shown <= 0.0).count();
        if unseen > 0 {
            notes.push(format!("{unseen} rows without impressions are left out"));
        }
        if beyond > 0 {
            notes.push(format!(
                "{beyond} rows have more clicks than impressions and count as a click rate of 1"
            ));
        }
        Ok(Self { column: column.to_owned(), label, weight, notes, ..Self::default() })
    }
}

/// 0 or 1 for the ways in which logs write them.
pub(super) fn label_value(column: &str, value: &str) -> Result<f32> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" | "y" | "t" => Ok(1.0),
        "0" | "0.0" | "false" | "no" | "n" | "f" => Ok(0.0),
        _ => Err(Failure::new(
            "cannot read the label",
            format!("'{column}' holds '{}', which is not 0 or 1", shortened(value)),
        )
        .at(format!("column {column}"))
        .hint("choose another column as label, or the role clicks if it counts clicks of aggregated rows")),
    }
}

fn read_counts(log: &dyn Columns, column: &str) -> Result<Array<f32>> {
    let counts = log.numbers(column)?;
    if let Some(row) =
        counts.iter().position(|count| !count.is_nan() && !(0.0..=LARGEST_COUNT).contains(count))
    {
        return Err(Failure::new(
            "cannot read the counts",
            format!("'{column}' is {} in row {}", counts[row], row + 1),
        )
        .at(format!("column {column}"))
        .hint("a count is neither negative nor beyond 1e15: choose another column"));
    }
    // A missing count stands for nothing seen.
    Ok(counts.iter().map(|count| if count.is_nan() { 0.0 } else { *count as f32 }).collect())
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= 40 {
        return value.to_owned();
    }
    format!("{}...", value.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LogFrame;
    use polars::prelude::df;

    #[test]
    fn reads_the_usual_spellings_and_refuses_others() {
        let frame = df!(
            "text" => [Some("True"), Some("False"), None],
            "real" => [1.0, 0.0, f64::NAN],
            "stars" => [5i64, 0, 1],
        )
        .unwrap();
        for column in ["text", "real"] {
            let log = LogFrame::from_frame(frame.clone(), &[(column, Role::Label)]).unwrap();
            let outcome = Outcome::read(&log).unwrap().unwrap();
            assert_eq!(outcome.label[..2], [1.0, 0.0]);
            assert!(outcome.label[2].is_nan());
            assert_eq!(outcome.known_rows(), [0, 1]);
            assert_eq!(outcome.notes.len(), 1);
        }
        let log = LogFrame::from_frame(frame, &[("stars", Role::Label)]).unwrap();
        let failure = Outcome::read(&log).unwrap_err();
        assert!(failure.why.contains("'5'"), "{failure}");
    }

    #[test]
    fn conversions_follow_clicks_and_come_from_a_column_of_0_and_1() {
        let frame = df!(
            "clicked" => [1i64, 1, 0, 0],
            "delay" => [Some(2.5), None, None, Some(1.0)],
            "bought" => [Some(1i64), None, Some(0), Some(1)],
        )
        .unwrap();
        let roles = [("clicked", Role::Label), ("delay", Role::Conversion), ("bought", Role::Conversion)];
        let outcome = Outcome::read(&LogFrame::from_frame(frame, &roles).unwrap()).unwrap().unwrap();
        assert_eq!(outcome.conversion_column.as_deref(), Some("bought"));
        assert_eq!(outcome.conversion, [1.0, 0.0, 0.0, 0.0]);
        assert!(outcome.notes[0].contains("1 conversions in 'bought' have no click"), "{:?}", outcome.notes);
    }

    #[test]
    fn aggregated_rows_are_rates_with_weights() {
        let frame = df!("shown" => [10i64, 0, 4, 2], "clicked" => [1i64, 0, 2, 5]).unwrap();
        let roles = [("shown", Role::Weight), ("clicked", Role::Clicks)];
        let log = LogFrame::from_frame(frame.clone(), &roles).unwrap();
        let outcome = Outcome::read(&log).unwrap().unwrap();
        assert_eq!(outcome.known_rows(), [0, 2, 3]);
        assert_eq!(outcome.label[0], 0.1);
        assert_eq!(outcome.label[3], 1.0, "clamped, and told");
        assert_eq!(outcome.totals(&[0, 2]).1, 14.0);
        assert!((outcome.totals(&[0, 2]).0 - 3.0).abs() < 1e-6);
        assert_eq!(outcome.notes.len(), 2);
        for extreme in [1e30, f64::INFINITY, -1.0] {
            let frame = df!("shown" => [10.0, extreme], "clicked" => [1.0, 0.0]).unwrap();
            let log = LogFrame::from_frame(frame, &roles).unwrap();
            let failure = Outcome::read(&log).unwrap_err();
            assert!(failure.why.contains("row 2"), "{failure}");
        }
        let half = LogFrame::from_frame(frame, &[("clicked", Role::Clicks)]).unwrap();
        assert!(Outcome::read(&half).unwrap_err().hint.contains("weight"));
    }
}
