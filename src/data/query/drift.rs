//! Which columns have changed between two parts of a log, and by how much?
//!
//! Numbers are told apart in ten groups of equal size before, values as they are. A change is told by its size, as
//! drift monitors do, since with many rows any change is more than chance.

use super::grouping::short;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::enumerated;
use crate::data::frame::LogFrame;
use crate::data::outcome::Outcome;
use crate::data::schema::{Column, ColumnType, Role};
use crate::domain::segment::{Comparison, Literal, Segment, Test};
use crate::jobs::JobContext;
use crate::metrics::{Rate, drift};
use polars::prelude::{DataFrame, IntoColumn, PolarsError};
use rayon::prelude::*;
use serde::Serialize;

/// A stability index from which a column counts as changed, and as largely changed (Siddiqi 2006).
pub const CHANGED: f64 = 0.1;
/// See [`CHANGED`].
pub const LARGELY_CHANGED: f64 = 0.25;
/// Groups of a number, of equal size before.
const GROUPS: usize = 10;
/// Values told of each column.
const MOVERS: usize = 5;
/// Columns with more values than this share of their rows name things; they always change.
const NAMES: f64 = 0.5;

/// How two parts of a log differ.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DriftReport {
    /// Which rows are before.
    pub before: String,
    /// Which rows are after.
    pub after: String,
    /// Rows of each.
    pub rows: [usize; 2],
    /// Click rate of each, where the log has an outcome.
    pub rates: Option<[Rate; 2]>,
    /// The columns, the most changed first.
    pub columns: Vec<ColumnDrift>,
    /// Columns that were left out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Revision of the log that was asked.
    pub revision: u64,
}

/// How one column differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDrift {
    /// Its name.
    pub name: String,
    /// Population stability index: from 0.1 changed, from 0.25 largely.
    pub psi: f64,
    /// Jensen-Shannon distance, 0 to 1.
    pub jensen_shannon: f64,
    /// Largest gap of the distribution functions (Kolmogorov-Smirnov), for numbers.
    pub gap: Option<f64>,
    /// Chance of such a difference if nothing had changed: Kolmogorov-Smirnov for numbers, chi-square for values.
    pub p: Option<f64>,
    /// Share of missing cells before and after.
    pub missing: [f64; 2],
    /// Values that occur after and not before.
    pub new_values: usize,
    /// The values or groups whose share moved most: name, share before, share after.
    pub movers: Vec<(String, f64, f64)>,
}

impl ColumnDrift {
    /// "steady", "changed" or "largely changed".
    pub fn verdict(&self) -> &'static str {
        if self.psi >= LARGELY_CHANGED {
            "largely changed"
        } else if self.psi >= CHANGED {
            "changed"
        } else {
            "steady"
        }
    }
}

/// The two parts of a log that are compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Split {
    /// The first and the second half of the rows in the order of their time.
    #[default]
    Halves,
    /// Rows before a point in time, and those from it on.
    At(String),
    /// Rows of one segment, and of another.
    Segments(Segment, Segment),
}

/// Compares two parts of a log, column by column.
///
/// # Errors
/// No time column for a split by time, a text that is no time, a part without rows; a cancel.
pub fn drift(log: &LogFrame, split: &Split, context: &JobContext) -> Result<DriftReport> {
    context.stage("parting the rows");
    let (parts, names) = parts(log, split)?;
    compare_parts(log, &parts, names, context)
}

/// Compares a log with a later one: the columns that both have.
///
/// # Errors
/// No column in common, a log without rows; a cancel.
pub fn drift_between(before: &LogFrame, after: &LogFrame, context: &JobContext) -> Result<DriftReport> {
    context.stage("laying the logs together");
    let (both, missing) = joined(before, after)?;
    let cut = before.rows() as u32;
    let parts = [(0..cut).collect(), (cut..both.rows() as u32).collect()];
    let name = |log: &LogFrame, place: &str| {
        let file = log.source.path.file_name().map(|name| name.to_string_lossy().into_owned());
        file.unwrap_or_else(|| place.to_owned())
    };
    let mut report = compare_parts(&both, &parts, [name(before, "before"), name(after, "after")], context)?;
    report.revision = before.revision;
    report.left_out.extend(missing);
    Ok(report)
}

/// Both logs below each other, with the columns that they share in the roles of the first, and the others with the reason.
fn joined(before: &LogFrame, after: &LogFrame) -> Result<(LogFrame, Vec<(String, String)>)> {
    let what = "cannot compare two logs";
    let (mut columns, mut roles, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for column in &before.schema.columns {
        let own = before.frame.column(&column.name).explain(what)?;
        let joined = after.frame.column(&column.name).ok().map(|other| {
            let mut own = enumerated::plain(own.as_materialized_series())?;
            let other = enumerated::plain(other.as_materialized_series())?.cast(own.dtype())?;
            own.append(&other)?;
            Ok(own.into_column())
        });
        match joined {
            None => missing.push((column.name.clone(), "the other log does not have it".to_owned())),
            Some(Err::<_, PolarsError>(_)) => {
                missing
                    .push((column.name.clone(), "its cells are of another type in the other log".to_owned()));
            }
            Some(Ok(both)) => {
                columns.push(both);
                roles.push((column.name.as_str(), column.role));
            }
        }
    }
    if columns.is_empty() {
        return Err(Failure::new(what, "they have no column in common").hint("a log of the same kind"));
    }
    let frame = DataFrame::new_infer_height(columns).explain(what)?;
    Ok((LogFrame::from_frame(frame, &roles)?, missing))
}

fn compare_parts(
    log: &LogFrame,
    parts: &[Vec<u32>; 2],
    [before, after]: [String; 2],
    context: &JobContext,
) -> Result<DriftReport> {
    let what = "cannot compare two parts of the log";
    for (rows, name) in parts.iter().zip([&before, &after]) {
        if rows.is_empty() {
            return Err(Failure::new(what, format!("no row is in the part '{name}'")).hint("another split"));
        }
    }
    context.stage("comparing columns");
    let mut report = DriftReport {
        rows: [parts[0].len(), parts[1].len()],
        rates: rates(log, parts)?,
        before,
        after,
        revision: log.revision,
        ..DriftReport::default()
    };
    let told: Vec<Result<std::result::Result<ColumnDrift, String>>> = log
        .schema
        .columns
        .par_iter()
        .with_max_len(1)
        .map(|column| {
            context.check()?;
            compare(log, column, parts)
        })
        .collect();
    for (column, told) in log.schema.columns.iter().zip(told) {
        match told? {
            Ok(drift) => report.columns.push(drift),
            Err(reason) => report.left_out.push((column.name.clone(), reason)),
        }
    }
    report.columns.sort_by(|a, b| b.psi.total_cmp(&a.psi));
    Ok(report)
}

fn parts(log: &LogFrame, split: &Split) -> Result<([Vec<u32>; 2], [String; 2])> {
    let what = "cannot part the log by time";
    let time = || {
        log.schema.with_role(Role::Time).ok_or_else(|| {
            Failure::new(what, "no column has the role time")
                .hint("give one that role, or compare two segments")
        })
    };
    match split {
        Split::Segments(before, after) => {
            let rows = |segment| super::matching_rows(log, segment);
            Ok(([rows(before)?, rows(after)?], [before.to_string(), after.to_string()]))
        }
        Split::At(moment) => {
            let column = &time()?.name;
            let side = |comparison| Segment::Where {
                column: column.clone(),
                test: Test::Compare(comparison, Literal::Text(moment.clone())),
            };
            parts(log, &Split::Segments(side(Comparison::Less), side(Comparison::AtLeast)))
        }
        Split::Halves => {
            let column = &time()?.name;
            let times = cells::times(log, column)?;
            let mut rows: Vec<u32> =
                (0..log.rows() as u32).filter(|row| times[*row as usize].is_some()).collect();
            rows.sort_by_key(|row| times[*row as usize]);
            let after = rows.split_off(rows.len() / 2);
            let from = after.first().and_then(|row| times[*row as usize]);
            let moment = match from {
                Some(from) if cells::is_calendar_time(log, column)? => cells::date_of(from),
                Some(from) => from.to_string(),
                None => String::new(),
            };
            Ok((
                [rows, after],
                [format!("first half, up to {moment}"), format!("second half, from {moment}")],
            ))
        }
    }
}

fn rates(log: &LogFrame, parts: &[Vec<u32>; 2]) -> Result<Option<[Rate; 2]>> {
    let Some(outcome) = Outcome::read(log)? else { return Ok(None) };
    let rate = |rows: &[u32]| {
        let known: Vec<u32> =
            rows.iter().copied().filter(|row| outcome.label[*row as usize].is_finite()).collect();
        let (clicks, shown) = outcome.totals(&known);
        Rate::wilson(clicks, shown)
    };
    Ok(Some([rate(&parts[0]), rate(&parts[1])]))
}

/// How a column differs, or why it cannot be told.
fn compare(
    log: &LogFrame,
    column: &Column,
    parts: &[Vec<u32>; 2],
) -> Result<std::result::Result<ColumnDrift, String>> {
    if column.kind == ColumnType::List || cells::is_list(log, &column.name)? {
        return Ok(Err("its cells are lists".to_owned()));
    }
    match column.role {
        Role::Time => return Ok(Err("it is the time".to_owned())),
        Role::User | Role::Text => return Ok(Err("it names single users or texts".to_owned())),
        _ => {}
    }
    if cells::is_calendar_time(log, &column.name)? {
        return Ok(Err("it is a time".to_owned()));
    }
    let is_number = matches!(column.kind, ColumnType::Integer | ColumnType::Real);
    let is_measure =
        !matches!(column.role, Role::Categorical | Role::Ad | Role::Campaign | Role::Slot | Role::Label);
    let coded = cells::coded(log, &column.name)?;
    // A few numbers (a flag, a position) are better told one by one than in groups.
    if is_number && is_measure && coded.values.len() > 2 * GROUPS {
        return Ok(numbers(&column.name, &cells::numbers(log, &column.name)?, parts));
    }
    if coded.values.len() as f64 > NAMES * log.rows() as f64 && coded.values.len() > 100 {
        return Ok(Err("nearly every row has a value of its own".to_owned()));
    }
    let count = |rows: &[u32]| -> Vec<f64> { coded.counts(rows).into_iter().map(f64::from).collect() };
    let missing = |rows: &[u32]| rows.iter().filter(|row| coded.codes[**row as usize] == NO_CODE).count();
    let counts = [count(&parts[0]), count(&parts[1])];
    let p = drift::chi_square_p(&counts[0], &counts[1]);
    let gone = parts.each_ref().map(|rows| missing(rows));
    Ok(told(&column.name, &coded.values, &counts, gone, (None, p)))
}

fn numbers(name: &str, cells: &[f64], parts: &[Vec<u32>; 2]) -> std::result::Result<ColumnDrift, String> {
    let sorted = |rows: &[u32]| {
        let mut values: Vec<f64> =
            rows.iter().map(|row| cells[*row as usize]).filter(|x| !x.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let values = [sorted(&parts[0]), sorted(&parts[1])];
    if values[0].is_empty() {
        return Err("it has no numbers before".to_owned());
    }
    let mut starts: Vec<f64> = (1..GROUPS).map(|k| values[0][k * values[0].len() / GROUPS]).collect();
    starts.dedup();
    let group = |x: &f64| starts.partition_point(|start| start <= x);
    let counts = values.each_ref().map(|values| {
        let mut counts = vec![0.0; starts.len() + 1];
        values.iter().for_each(|x| counts[group(x)] += 1.0);
        counts
    });
    let names: Vec<String> = (0..=starts.len())
        .map(|place| match (place.checked_sub(1).and_then(|p| starts.get(p)), starts.get(place)) {
            (Some(from), Some(to)) => format!("{} to {}", short(*from), short(*to)),
            (Some(from), None) => format!("from {}", short(*from)),
            (None, Some(to)) => format!("below {}", short(*to)),
            (None, None) => "any number".to_owned(),
        })
        .collect();
    let test = drift::kolmogorov_smirnov(&values[0], &values[1]);
    let gone = [parts[0].len() - values[0].len(), parts[1].len() - values[1].len()];
    told(name, &names, &counts, gone, test.unzip())
}

fn told(
    name: &str,
    names: &[String],
    counts: &[Vec<f64>; 2],
    missing: [usize; 2],
    (gap, p): (Option<f64>, Option<f64>),
) -> std::result::Result<ColumnDrift, String> {
    // Missing cells are a group as well: a column that falls silent has changed.
    let with_missing = [0, 1].map(|part| {
        let mut all = counts[part].clone();
        all.push(missing[part] as f64);
        all
    });
    let any_missing = missing.iter().any(|n| *n > 0);
    let groups = if any_missing { &with_missing } else { counts };
    let (Some(psi), Some(distance)) =
        (drift::psi(&groups[0], &groups[1]), drift::jensen_shannon(&groups[0], &groups[1]))
    else {
        return Err("one of the parts has no values".to_owned());
    };
    let total = groups.each_ref().map(|counts| counts.iter().sum::<f64>());
    let mut movers: Vec<(String, f64, f64)> = (0..groups[0].len())
        .map(|place| {
            let named = names.get(place).cloned().unwrap_or_else(|| "missing".to_owned());
            (named, groups[0][place] / total[0], groups[1][place] / total[1])
        })
        .collect();
    movers.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()));
    movers.truncate(MOVERS);
    Ok(ColumnDrift {
        name: name.to_owned(),
        psi,
        jensen_shannon: distance,
        gap,
        p,
        missing: [0, 1].map(|part| missing[part] as f64 / total[part].max(1.0)),
        new_values: counts[0]
            .iter()
            .zip(&counts[1])
            .filter(|(before, after)| **before == 0.0 && **after > 0.0)
            .count(),
        movers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use polars::prelude::{DataType, IntoColumn, NamedFrom, Series, TimeUnit, df};

    /// Two thousand rows over two days; on the second, city and price move and page does not.
    fn log() -> LogFrame {
        let mut rng = Rng::named(1, "drift");
        let n = 2_000;
        let late = |row: usize| row >= n / 2;
        let city: Vec<String> = (0..n)
            .map(|row| {
                if late(row) && rng.chance(0.5) { "成都".to_owned() } else { format!("c{}", rng.below(3)) }
            })
            .collect();
        let page: Vec<String> = (0..n).map(|_| format!("p{}", rng.below(4))).collect();
        let price: Vec<f64> = (0..n).map(|row| rng.normal() + if late(row) { 1.0 } else { 0.0 }).collect();
        let click: Vec<i64> = (0..n).map(|_| i64::from(rng.chance(0.1))).collect();
        let user: Vec<String> = (0..n).map(|row| format!("u{row}")).collect();
        let mut frame =
            df!("city" => city, "page" => page, "price" => price, "click" => click, "user" => user).unwrap();
        let stamps: Vec<i64> = (0..n as i64).map(|i| 1_787_529_600_000 + i * 86_400).collect();
        let time = Series::new("time".into(), stamps)
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .unwrap();
        frame.with_column(time.into_column()).unwrap();
        let roles = [
            ("city", Role::Categorical),
            ("page", Role::Categorical),
            ("price", Role::Numeric),
            ("click", Role::Label),
            ("user", Role::User),
            ("time", Role::Time),
        ];
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    fn verdicts(report: &DriftReport) -> Vec<(&str, &str)> {
        report.columns.iter().map(|column| (column.name.as_str(), column.verdict())).collect()
    }

    #[test]
    fn ends_of_groups_are_short() {
        let numbers = [0.05411361902952194, 23.85, 100.0, -1234.5678, 0.0, 62.51];
        assert_eq!(numbers.map(short), ["0.05411", "23.85", "100", "-1235", "0", "62.51"]);
    }

    #[test]
    fn what_moved_is_told_first_and_what_did_not_is_steady() {
        let report = drift(&log(), &Split::Halves, &JobContext::detached()).unwrap();
        assert_eq!(report.rows, [1_000, 1_000]);
        let told = verdicts(&report);
        assert_eq!(
            told[..2].iter().filter(|(_, verdict)| *verdict == "largely changed").count(),
            2,
            "{told:?}"
        );
        assert!(told.contains(&("page", "steady")) && told.contains(&("click", "steady")), "{told:?}");
        let city = report.columns.iter().find(|column| column.name == "city").unwrap();
        assert_eq!((city.movers[0].0.as_str(), city.new_values), ("成都", 1));
        assert!(city.p.unwrap() < 1e-6);
        assert!(report.left_out.iter().any(|(name, _)| name == "user"));
        assert_eq!(report.rates.unwrap()[0].trials, 1_000.0);
    }

    #[test]
    fn a_point_in_time_and_two_segments_part_the_rows() {
        let log = log();
        let at = drift(&log, &Split::At("2026-08-25".into()), &JobContext::detached()).unwrap();
        assert_eq!(at.rows, [1_000, 1_000]);
        let pages = Split::Segments(Segment::equals("page", "p0"), Segment::equals("page", "p1"));
        let report = drift(&log, &pages, &JobContext::detached()).unwrap();
        assert!(
            report.columns.iter().filter(|c| c.name != "page").all(|c| c.psi < CHANGED),
            "{:?}",
            verdicts(&report)
        );
        let nobody = Split::Segments(Segment::equals("page", "p0"), Segment::equals("page", "p9"));
        assert!(drift(&log, &nobody, &JobContext::detached()).unwrap_err().why.contains("no row"));
        assert!(drift(&log, &Split::At("soon".into()), &JobContext::detached()).is_err());
    }

    #[test]
    fn two_logs_are_compared_in_the_columns_that_both_have() {
        let first = log();
        let mut second = log();
        second.frame = second.frame.drop("page").unwrap();
        second.schema.columns.retain(|column| column.name != "page");
        second.frame = second.frame.tail(Some(1_000));
        let report = drift_between(&first, &second, &JobContext::detached()).unwrap();
        assert_eq!(report.rows, [2_000, 1_000]);
        assert!(report.left_out.iter().any(|(name, why)| name == "page" && why.contains("does not have it")));
        let price = report.columns.iter().find(|column| column.name == "price").unwrap();
        // Half of the first log is the second: the gap is half of that between the halves.
        let halves = drift(&first, &Split::Halves, &JobContext::detached()).unwrap();
        let whole = halves.columns.iter().find(|column| column.name == "price").unwrap();
        assert!((price.gap.unwrap() - whole.gap.unwrap() / 2.0).abs() < 0.02, "{price:?} {whole:?}");
        let other = LogFrame::from_frame(df!("x" => [1i64]).unwrap(), &[]).unwrap();
        assert!(
            drift_between(&first, &other, &JobContext::detached()).unwrap_err().why.contains("in common")
        );
    }
}
