//! How does a wide log (one 0/1 column per ad) become one row per ad and round?

use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::importers::RoleHint;
use crate::data::infer;
use crate::data::schema::{Column, ColumnType, Role};
use crate::jobs::JobContext;
use polars::prelude::{
    Column as Cells, DataFrame, IdxCa, IntoColumn, NamedFrom, NewChunkedArray, PlSmallStr, Series,
};
use std::sync::Arc;

/// Fewer columns are no set of ads.
const FEWEST_ADS: usize = 3;

/// The columns of a wide log.
pub(super) struct Wide {
    /// One for each ad.
    pub ads: Vec<String>,
    /// True when the last row holds the sums of the others.
    pub has_sums: bool,
}

/// The 0/1 columns that stand for ads: they share a name up to a number or letter, and there is little beside them.
pub(super) fn wide(log: &LogFrame) -> Option<Wide> {
    let is_flag = |column: &&Column| {
        matches!(column.kind, ColumnType::Integer | ColumnType::Boolean)
            && matches!(
                column.role,
                Role::Categorical | Role::Numeric | Role::Ignored | Role::Slot | Role::Ad
            )
    };
    let columns = &log.schema.columns;
    let mut counts: Vec<(String, usize)> = Vec::new();
    for stem in columns.iter().filter(is_flag).filter_map(|column| stem(&column.name)) {
        match counts.iter_mut().find(|(known, _)| *known == stem) {
            Some((_, count)) => *count += 1,
            None => counts.push((stem, 1)),
        }
    }
    let (shared, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let about_rows = columns.iter().filter(|column| matches!(column.role, Role::User | Role::Time)).count();
    if count < FEWEST_ADS || count * 5 < (columns.len() - about_rows) * 4 {
        return None;
    }
    let of_stem = |column: &&Column| stem(&column.name).is_some_and(|stem| stem == shared);
    let ads: Vec<String> =
        columns.iter().filter(is_flag).filter(of_stem).map(|column| column.name.clone()).collect();
    let ends =
        ads.iter().map(|name| End::of(&cells::numbers(log, name).ok()?)).collect::<Option<Vec<End>>>()?;
    let has_sums = ends.iter().any(|end| !end.is_flag);
    let fits = !has_sums || ends.iter().all(|end| end.is_sum);
    fits.then_some(Wide { ads, has_sums })
}

/// The last cell of a column whose other cells are 0, 1 or missing.
struct End {
    is_flag: bool,
    is_sum: bool,
}

impl End {
    fn of(values: &[f64]) -> Option<Self> {
        let is_flag = |value: &f64| value.is_nan() || *value == 0.0 || *value == 1.0;
        let (last, others) = values.split_last()?;
        let sum: f64 = others.iter().filter(|value| !value.is_nan()).sum();
        others.iter().all(is_flag).then_some(Self { is_flag: is_flag(last), is_sum: *last == sum })
    }
}

/// `Ad 12` -> `Ad`, `banner_b` -> `banner`; `None` where nothing is left.
fn stem(name: &str) -> Option<String> {
    let separators = [' ', '_', '-', '.'];
    let digits = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let rest = if digits.len() < name.len() {
        digits
    } else {
        let (rest, last) = name.rsplit_once(separators)?;
        (last.chars().count() == 1).then_some(rest)?
    };
    let rest = rest.trim_end_matches(separators);
    (!rest.is_empty()).then(|| rest.to_lowercase())
}

/// One row per ad and round.
pub(super) fn long(log: &LogFrame, context: &JobContext) -> Result<LogFrame> {
    let what = "cannot make one row per ad";
    let Wide { ads, has_sums } = wide(log).ok_or_else(|| {
        Failure::new(what, "the log has no set of 0/1 columns that share a name, one for each ad")
            .hint("a log with columns such as 'Ad 1', 'Ad 2' and 'Ad 3'")
    })?;
    let mut rounds: Vec<u32> = Vec::new();
    let mut places: Vec<u32> = Vec::new();
    let mut clicks: Vec<i64> = Vec::new();
    let values: Vec<Vec<f64>> = ads.iter().map(|name| cells::numbers(log, name)).collect::<Result<_>>()?;
    if log.rows().saturating_mul(ads.len()) > u32::MAX as usize {
        return Err(Failure::new(what, "more than 4 billion rows would come of it"));
    }
    let mut empty = 0u64;
    let rounds_read = log.rows() - usize::from(has_sums);
    for row in 0..rounds_read {
        if row % 65_536 == 0 {
            context.check()?;
        }
        for (place, column) in values.iter().enumerate() {
            match column.get(row).filter(|value| !value.is_nan()) {
                Some(value) => {
                    rounds.push(row as u32);
                    places.push(place as u32);
                    clicks.push(i64::from(*value > 0.5));
                }
                None => empty += 1,
            }
        }
    }
    let kept = log.schema.columns.iter().map(|column| &column.name).filter(|name| !ads.contains(name));
    let taken: Vec<&str> = kept.map(String::as_str).collect();
    let beside = log.frame.select(taken.iter().copied()).explain(what)?;
    let beside = beside.take(&IdxCa::from_slice(PlSmallStr::EMPTY, &rounds)).explain(what)?;
    let free = |name: &str| free_name(name, &taken);
    let (round, ad, click) = (free("round"), free("ad"), free("click"));
    let numbers: Vec<i64> = rounds.iter().map(|row| i64::from(*row) + 1).collect();
    let names: Vec<&str> =
        places.iter().filter_map(|place| ads.get(*place as usize)).map(String::as_str).collect();
    let mut columns: Vec<Cells> = vec![
        Series::new(round.as_str().into(), numbers).into_column(),
        Series::new(ad.as_str().into(), names).into_column(),
        Series::new(click.as_str().into(), clicks).into_column(),
    ];
    columns.extend(beside.into_columns());
    let frame = DataFrame::new_infer_height(columns).explain(what)?;
    let mut source = (*log.source).clone();
    source.kept_in = None;
    let mut note = format!("{rounds_read} rounds of {} ads became {} rows", ads.len(), frame.height());
    if has_sums {
        note += "; the last row holds the sums of the others and is no round";
    }
    if empty > 0 {
        note += &format!("; {empty} empty cells are no impressions");
    }
    source.notes.push(note);
    let hint = |column: &str, role, evidence: &str| RoleHint {
        column: column.to_owned(),
        role,
        evidence: evidence.to_owned(),
        is_final: true,
    };
    let hints = [
        hint(&round, Role::Time, "the row of the wide log; rounds are taken to follow each other"),
        hint(&ad, Role::Ad, "the name of the column in the wide log"),
        hint(&click, Role::Label, "the cell of the wide log"),
    ];
    let read = infer::infer(frame, Arc::new(source), &hints, context)?;
    Ok(LogFrame { revision: log.revision + 1, ..read })
}

/// The name, or one with `_` after it when it is taken.
pub(super) fn free_name(name: &str, taken: &[&str]) -> String {
    let mut free = name.to_owned();
    while taken.contains(&free.as_str()) {
        free.push('_');
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::profile::profile;
    use crate::data::shape::{Reshape, Shape, reshape};
    use polars::prelude::df;

    fn wide() -> LogFrame {
        let frame = df!(
            "city" => ["a", "b", "c"],
            "Ad 1" => [1i64, 0, 0],
            "Ad 2" => [Some(0i64), Some(1), None],
            "Ad 3" => [0i64, 1, 1],
            "Ad 4" => [0i64, 0, 0],
        )
        .unwrap();
        let roles = ["Ad 1", "Ad 2", "Ad 3", "Ad 4", "city"].map(|name| (name, Role::Categorical));
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    #[test]
    fn every_cell_becomes_a_row() {
        let context = JobContext::detached();
        assert_eq!(profile(&wide(), &context).unwrap().shape, Shape::Wide);
        let long = reshape(&wide(), Reshape::Long, &context).unwrap();
        assert_eq!(long.rows(), 11, "one cell is empty");
        assert_eq!(cells::coded(&long, "ad").unwrap().values, ["Ad 1", "Ad 2", "Ad 3", "Ad 4"]);
        let clicks = cells::numbers(&long, "click").unwrap();
        assert_eq!(clicks, [1., 0., 0., 0., 0., 1., 1., 0., 0., 1., 0.]);
        assert_eq!(cells::numbers(&long, "round").unwrap()[4], 2.0);
        let profile = profile(&long, &context).unwrap();
        assert_eq!(profile.label.unwrap().positives, 4);
        assert!(profile.notes.iter().any(|note| note.contains("1 empty cells")), "{:?}", profile.notes);
    }

    #[test]
    fn a_last_row_of_sums_is_no_round() {
        let frame =
            df!("Ad 1" => [1i64, 1, 0, 2], "Ad 2" => [1i64, 1, 1, 3], "Ad 3" => [1i64, 0, 1, 2]).unwrap();
        let roles = ["Ad 1", "Ad 2", "Ad 3"].map(|name| (name, Role::Categorical));
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let context = JobContext::detached();
        let found = profile(&log, &context).unwrap();
        assert!(
            found.reading.contains("3 rounds") && found.reading.contains("7 clicks"),
            "{}",
            found.reading
        );
        let long = reshape(&log, Reshape::Long, &context).unwrap();
        assert_eq!(long.rows(), 9);
        assert!(long.source.notes.iter().any(|note| note.contains("sums of the others")));
    }

    #[test]
    fn other_logs_are_refused() {
        let frame = df!("click" => [1i64, 0], "age" => [30i64, 40]).unwrap();
        let log = LogFrame::from_frame(frame, &[("click", Role::Label)]).unwrap();
        let failure = reshape(&log, Reshape::Long, &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains("0/1 columns"), "{failure}");
    }

    #[test]
    fn stems_are_names_without_their_number() {
        assert_eq!(stem("Ad 12").as_deref(), Some("ad"));
        assert_eq!(stem("banner_b").as_deref(), Some("banner"));
        assert_eq!(stem("city"), None);
        assert_eq!(stem("127"), None);
    }
}
