//! How much does a cell give away? Numbers become bands, times their day, texts their first letters: so that more people
//! share each value.
//!
//! Values that single out a person in combination (age, postcode, exact time) are made coarser before a log is shown or
//! written (generalisation, Sweeney 2002). It happens after reading, so that no kept copy and no model holds the fine values
//! of a column that was made coarser.

use super::frame::LogFrame;
use super::schema::{Column, ColumnType};
use crate::base::calendar::date_of;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::cells;
use crate::jobs::JobContext;
use polars::prelude::{DataType, IntoColumn, IntoSeries, NamedFrom, Series, StringChunked, TimeUnit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// How a column is made coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Coarser {
    /// Numbers in bands of this width, the first of which begins at 0.
    Band(u32),
    /// Times at the beginning of their hour.
    Hour,
    /// Times at the beginning of their UTC day.
    Day,
    /// Times at the Monday of their week.
    Week,
    /// Times at the first of their month.
    Month,
    /// The first letters of texts.
    Prefix(u8),
}

impl FromStr for Coarser {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Failure::new("cannot generalise a column", format!("'{text}' is no way to do it"))
                .hint("a width such as 10, hour, day, week, month, or prefix:3")
        };
        match text.trim() {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            other => match other.strip_prefix("prefix:") {
                Some(letters) => letters.parse().ok().filter(|n| *n > 0).map(Self::Prefix).ok_or_else(refuse),
                None => other.parse().ok().filter(|n| *n > 0).map(Self::Band).ok_or_else(refuse),
            },
        }
    }
}

impl fmt::Display for Coarser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Band(width) => write!(f, "{width}"),
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
            Self::Prefix(letters) => write!(f, "prefix:{letters}"),
        }
    }
}

impl TryFrom<String> for Coarser {
    type Error = Failure;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Coarser> for String {
    fn from(coarser: Coarser) -> Self {
        coarser.to_string()
    }
}

impl Coarser {
    /// True where cells of this type can be made coarser so.
    pub fn fits(self, kind: ColumnType) -> bool {
        match self {
            Self::Band(_) => matches!(kind, ColumnType::Integer | ColumnType::Real),
            Self::Prefix(_) => matches!(kind, ColumnType::Text | ColumnType::Integer),
            _ => kind == ColumnType::Time,
        }
    }
}

/// The log with coarser cells in the given columns. Missing cells stay missing; roles stay.
///
/// # Errors
/// No such column, one whose cells cannot be made coarser so, a cancel.
pub fn generalise(log: &LogFrame, how: &[(String, Coarser)], context: &JobContext) -> Result<LogFrame> {
    let mut log = log.clone();
    let mut source = (*log.source).clone();
    source.kept_in = None;
    for (name, coarser) in how {
        context.check()?;
        let kind = log.schema.column(name)?.kind;
        if !coarser.fits(kind) {
            let why = format!("its cells are {kind:?}, which '{coarser}' does not fit").to_lowercase();
            return Err(Failure::new("cannot generalise a column", why)
                .at(format!("column '{name}'"))
                .hint("a width for numbers, hour, day, week or month for times, prefix:N for texts"));
        }
        let coarse = cells_of(&log, name, *coarser)?;
        let what = format!("cannot generalise '{name}'");
        log.frame.with_column(coarse.into_column()).explain(&what)?;
        let own = |column: &&mut Column| column.name == *name;
        for column in log.schema.columns.iter_mut().filter(own) {
            if kind != ColumnType::Time {
                column.kind = ColumnType::Text;
            }
            column.evidence += &format!("; generalised ({coarser})");
        }
        source.notes.push(format!("'{name}' is generalised ({coarser})"));
    }
    log.source = Arc::new(source);
    log.revision += 1;
    Ok(log)
}

fn cells_of(log: &LogFrame, name: &str, coarser: Coarser) -> Result<Series> {
    let what = format!("cannot generalise '{name}'");
    Ok(match coarser {
        Coarser::Band(width) => {
            let numbers = cells::numbers(log, name)?;
            let bands: StringChunked =
                numbers.into_iter().map(|number| number.is_finite().then(|| band(number, width))).collect();
            bands.into_series().with_name(name.into())
        }
        Coarser::Prefix(letters) => {
            let cells = log.frame.column(name).explain(&what)?.as_materialized_series();
            let texts = cells.cast(&DataType::String).explain(&what)?;
            let cut = |text: &str| text.chars().take(usize::from(letters)).collect::<String>();
            let short: StringChunked = texts.str().explain(&what)?.iter().map(|cell| cell.map(cut)).collect();
            short.into_series().with_name(name.into())
        }
        _ => {
            let times = cells::times(log, name)?;
            let starts: Vec<Option<i64>> =
                times.into_iter().map(|at| at.map(|at| start(at, coarser))).collect();
            let kind = DataType::Datetime(TimeUnit::Milliseconds, None);
            Series::new(name.into(), starts).cast(&kind).explain(&what)?
        }
    })
}

/// `20 to <30`.
fn band(number: f64, width: u32) -> String {
    let width = f64::from(width);
    let low = (number / width).floor() * width;
    format!("{low} to <{}", low + width)
}

/// The beginning of the stretch that holds a moment.
fn start(at: i64, coarser: Coarser) -> i64 {
    let day = at.div_euclid(DAY_MILLIS);
    match coarser {
        Coarser::Hour => at.div_euclid(HOUR_MILLIS) * HOUR_MILLIS,
        Coarser::Week => (day - i64::from(cells::weekday_of(at))) * DAY_MILLIS,
        Coarser::Month => (day - date_of(day).2 + 1) * DAY_MILLIS,
        _ => day * DAY_MILLIS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::Role;
    use polars::prelude::df;

    #[test]
    fn bands_prefixes_and_days_are_shared_by_more_people() {
        let stamps = [1_789_128_000_000i64, 1_789_128_000_001, 1_789_214_400_000, 0];
        let mut frame = df!(
            "age" => [Some(19i64), Some(20), Some(29), None],
            "price" => [0.5, 9.99, 10.0, -1.0],
            "zip" => ["20110", "20199", "上海市", ""],
        )
        .unwrap();
        let kind = DataType::Datetime(TimeUnit::Milliseconds, None);
        frame.with_column(Series::new("time".into(), stamps).cast(&kind).unwrap().into_column()).unwrap();
        let roles = [
            ("age", Role::Numeric),
            ("price", Role::Numeric),
            ("zip", Role::Categorical),
            ("time", Role::Time),
        ];
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let how: Vec<(String, Coarser)> =
            [("age", "10"), ("price", "10"), ("zip", "prefix:3"), ("time", "month")]
                .map(|(column, text)| (column.to_owned(), text.parse().unwrap()))
                .to_vec();
        let coarse = generalise(&log, &how, &JobContext::detached()).unwrap();
        let of = |column: &str| -> Vec<String> {
            let coded = cells::coded(&coarse, column).unwrap();
            let name = |code: &u32| coded.values.get(*code as usize).cloned().unwrap_or_default();
            coded.codes.iter().map(name).collect()
        };
        assert_eq!(of("age"), ["10 to <20", "20 to <30", "20 to <30", ""]);
        assert_eq!(of("price"), ["0 to <10", "0 to <10", "10 to <20", "-10 to <0"]);
        assert_eq!(of("zip")[..3], ["201", "201", "上海市"]);
        let times = cells::times(&coarse, "time").unwrap();
        // 2026-09-01 and 1970-01-01.
        assert_eq!(times, [1_788_220_800_000, 1_788_220_800_000, 1_788_220_800_000, 0].map(Some));
        assert_ne!(coarse.revision, log.revision);
        assert!(coarse.source.notes.iter().any(|note| note.contains("'age' is generalised (10)")));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let log = LogFrame::from_frame(df!("city" => ["a"]).unwrap(), &[]).unwrap();
        let how = |text: &str| vec![("city".to_owned(), text.parse::<Coarser>().unwrap())];
        let failure = generalise(&log, &how("10"), &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains("text") && failure.place.contains("city"), "{failure}");
        assert!("0".parse::<Coarser>().is_err() && "prefix:0".parse::<Coarser>().is_err());
        assert!("decade".parse::<Coarser>().unwrap_err().hint.contains("week"));
        assert_eq!(start(4 * DAY_MILLIS + 5, Coarser::Week), 4 * DAY_MILLIS, "5 January 1970 was a Monday");
        assert_eq!(start(-1, Coarser::Week), -3 * DAY_MILLIS);
    }
}
