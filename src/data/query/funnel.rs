//! How many of those who saw an ad clicked and converted, and how long did that take?

use super::filter;
use super::measures::{Measures, Part};
use crate::base::{Failure, Result};
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::schema::{Column, ColumnType, Role};
use crate::domain::Segment;
use crate::metrics::Rate;
use serde::Serialize;

/// Points of a curve at most.
const POINTS: usize = 200;
/// Shares of the conversions whose delay is told.
const SHARES: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];
const HOUR_MILLIS: f64 = 3_600_000.0;

/// From impressions to conversions.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Funnel {
    /// The steps that the log knows, first to last.
    pub steps: Vec<Step>,
    /// How long conversions took; `None` where no column tells it.
    pub delay: Option<Delay>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// "impressions", "clicks" or the column of conversions.
    pub name: String,
    /// How many came here.
    pub count: f64,
    /// Of those of the step before, with Wilson's interval; `None` for the first step and where more came than were
    /// there before.
    pub of_before: Option<Rate>,
}

/// Time from an impression to its conversion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Delay {
    /// Where it comes from.
    pub column: String,
    /// Its unit: "hours", or that of the column where its name does not say.
    pub unit: String,
    /// Conversions whose delay is known.
    pub n: usize,
    /// Share of these conversions, and the delay within which they came.
    pub quantiles: Vec<(f64, f64)>,
    /// Delay against share of conversions that came within it.
    pub curve: Vec<[f64; 2]>,
}

/// The funnel of the rows of a segment.
///
/// # Errors
/// A filter that makes no sense or that no row passes.
pub fn funnel(log: &LogFrame, segment: &Segment) -> Result<Funnel> {
    let measures = Measures::of(log)?;
    let inside = filter::mask(log, segment)?;
    let mut sums = [0.0; 3];
    for row in (0..log.rows()).filter(|row| inside[*row]) {
        let mut added = [0.0; super::measures::PARTS];
        measures.add(&[Part::Shown, Part::Clicks, Part::Conversions], row, None, &mut added);
        sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
    }
    if sums[0] <= 0.0 {
        return Err(Failure::new("cannot count the funnel", "no row passes the filter")
            .hint("check the spelling of its values, or make it wider"));
    }
    let mut steps = vec![("impressions".to_owned(), sums[0])];
    if measures.outcome.is_some() {
        steps.push(("clicks".to_owned(), sums[1]));
    }
    if let Some((column, _)) = &measures.conversions {
        steps.push((column.clone(), sums[2]));
    }
    let before = [f64::NAN].into_iter().chain(steps.iter().map(|(_, count)| *count)).collect::<Vec<_>>();
    let rate = |count: f64, before: f64| (count <= before).then(|| Rate::wilson(count, before));
    Ok(Funnel {
        steps: steps
            .into_iter()
            .zip(before)
            .map(|((name, count), before)| Step { name, count, of_before: rate(count, before) })
            .collect(),
        delay: delay(log, &inside)?,
    })
}

fn delay(log: &LogFrame, inside: &[bool]) -> Result<Option<Delay>> {
    let Some((column, hours)) = delays(log)? else { return Ok(None) };
    let mut known: Vec<f64> = (hours.iter().zip(inside))
        .filter(|(hours, inside)| **inside && hours.is_finite() && **hours >= 0.0)
        .map(|(hours, _)| *hours)
        .collect();
    if known.is_empty() {
        return Ok(None);
    }
    known.sort_unstable_by(f64::total_cmp);
    let n = known.len();
    // The smallest delay that so many came within.
    let at = |share: f64| known[((share * n as f64).ceil() as usize).clamp(1, n) - 1];
    let points = POINTS.min(n);
    let curve = (1..=points).map(|place| {
        let share = place as f64 / points as f64;
        [at(share), share]
    });
    Ok(Some(Delay {
        unit: if says_hours(&column) { "hours".to_owned() } else { format!("units of {}", column.name) },
        column: column.name.clone(),
        n,
        quantiles: SHARES.map(|share| (share, at(share))).to_vec(),
        curve: curve.collect(),
    }))
}

/// The column that tells the delay, with the delay of each row in its own unit (hours for points in time).
fn delays(log: &LogFrame) -> Result<Option<(Column, Vec<f64>)>> {
    let outcomes = || log.schema.columns.iter().filter(|column| column.role == Role::Conversion);
    let is_number = |column: &&Column| matches!(column.kind, ColumnType::Integer | ColumnType::Real);
    let names_delay = |column: &&Column| {
        let name = column.name.to_lowercase();
        ["delay", "lag", "time_to", "延迟", "遅延"].iter().any(|part| name.contains(part))
    };
    if let Some(column) = outcomes().filter(is_number).find(names_delay) {
        return Ok(Some((column.clone(), cells::numbers(log, &column.name)?)));
    }
    let Some(time) = log.schema.with_role(Role::Time) else { return Ok(None) };
    let later = outcomes().find(|column| column.kind == ColumnType::Time);
    let Some(later) = later.filter(|_| cells::is_calendar_time(log, &time.name).unwrap_or(false)) else {
        return Ok(None);
    };
    let (start, end) = (cells::times(log, &time.name)?, cells::times(log, &later.name)?);
    let hours = start.iter().zip(end).map(|(start, end)| match (start, end) {
        (Some(start), Some(end)) => (end - start) as f64 / HOUR_MILLIS,
        _ => f64::NAN,
    });
    Ok(Some((later.clone(), hours.collect())))
}

fn says_hours(column: &Column) -> bool {
    column.kind == ColumnType::Time || column.name.to_lowercase().contains("hour")
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    #[test]
    fn steps_have_their_rates_and_delays_their_quantiles() {
        let frame = df!(
            "click" => [1i64, 1, 1, 1, 0, 0, 0, 0, 0, 0],
            "sale" => [1i64, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            "sale_delay_hours" => [Some(3.0), Some(1.0), None, None, None, None, None, None, None, None],
        )
        .unwrap();
        let roles =
            [("click", Role::Label), ("sale", Role::Conversion), ("sale_delay_hours", Role::Conversion)];
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let found = funnel(&log, &Segment::All).unwrap();
        let counts: Vec<(&str, f64)> = found.steps.iter().map(|s| (s.name.as_str(), s.count)).collect();
        assert_eq!(counts, [("impressions", 10.0), ("clicks", 4.0), ("sale", 2.0)]);
        assert_eq!(found.steps[2].of_before, Some(Rate::wilson(2.0, 4.0)));
        let delay = found.delay.unwrap();
        assert_eq!((delay.n, delay.unit.as_str(), delay.quantiles[2]), (2, "hours", (0.5, 1.0)));
        assert_eq!(delay.curve, [[1.0, 0.5], [3.0, 1.0]]);
        assert!(funnel(&log, &Segment::parse("click = 7").unwrap()).is_err());
    }
}
