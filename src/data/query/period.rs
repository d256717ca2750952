//! What changed lately? The last days of a log, held against as many days before them.

use crate::base::{Failure, Result};
use crate::data::cells::{self, date_of};
use crate::data::frame::LogFrame;
use crate::data::schema::Role;
use crate::domain::Segment;
use crate::domain::segment::{Comparison, Literal, Test};

const DAY_MILLIS: i64 = 86_400_000;

/// Two stretches of whole UTC days of equal length, one after the other; the later one ends with the log's last day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// The column that tells the time.
    pub column: String,
    /// Days of each stretch.
    pub days: u32,
    /// The end of the later one, exclusive, in milliseconds since 1970.
    pub end_ms: i64,
}

impl Period {
    /// The last `days` of a log, with as many before them.
    ///
    /// # Errors
    /// A log without points in time, or one that does not reach back to the first day that is needed.
    pub fn of(log: &LogFrame, days: u32) -> Result<Self> {
        let what = || format!("cannot compare the last {days} days with those before");
        let time = log.schema.with_role(Role::Time);
        let time = time.filter(|time| cells::is_calendar_time(log, &time.name).unwrap_or(false));
        let Some(time) = time else {
            return Err(Failure::new(what(), "the log has no points in time")
                .hint("give a column with them the role time"));
        };
        let mut ends: Option<(i64, i64)> = None;
        for at in cells::times(log, &time.name)?.into_iter().flatten() {
            let (first, last) = ends.unwrap_or((at, at));
            ends = Some((first.min(at), last.max(at)));
        }
        let Some((first, last)) = ends else {
            return Err(Failure::new(what(), format!("no row of '{}' has a time", time.name)));
        };
        let end_ms = (last.div_euclid(DAY_MILLIS) + 1) * DAY_MILLIS;
        let period = Self { column: time.name.clone(), days, end_ms };
        let begins = first.div_euclid(DAY_MILLIS) * DAY_MILLIS;
        if period.start_ms(2) < begins {
            let whole = (end_ms - begins) / DAY_MILLIS / 2;
            let why = format!(
                "the log begins on {} and that takes {}",
                date_of(first),
                date_of(period.start_ms(2))
            );
            return Err(Failure::new(what(), why).hint(match whole {
                0 => "a log of more than one day".to_owned(),
                days => format!("at most {days} days"),
            }));
        }
        Ok(period)
    }

    /// The later stretch.
    pub fn now(&self) -> Segment {
        self.between(self.start_ms(1), self.end_ms)
    }

    /// The one before it.
    pub fn before(&self) -> Segment {
        self.between(self.start_ms(2), self.start_ms(1))
    }

    /// `2026-09-08 to 2026-09-14, against 2026-09-01 to 2026-09-07`, UTC.
    pub fn words(&self) -> String {
        let last = |end_ms: i64| date_of(end_ms - DAY_MILLIS);
        let (now, before) = (self.start_ms(1), self.start_ms(2));
        format!("{} to {}, against {} to {}", date_of(now), last(self.end_ms), date_of(before), last(now))
    }

    fn start_ms(&self, stretches: i64) -> i64 {
        self.end_ms - stretches * i64::from(self.days) * DAY_MILLIS
    }

    fn between(&self, from_ms: i64, until_ms: i64) -> Segment {
        let side = |comparison, ms: i64| Segment::Where {
            column: self.column.clone(),
            test: Test::Compare(comparison, Literal::Text(date_of(ms))),
        };
        side(Comparison::AtLeast, from_ms).and(side(Comparison::Less, until_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::query::{Measure, SegmentQuery, segments};
    use crate::jobs::JobContext;
    use polars::prelude::{DataType, IntoColumn, NamedFrom, Series, TimeUnit, df};

    /// Four days with 100 rows each: Bern clicks 10 of 50 a day, then 20; Ulm's ad ran in the first two days only.
    fn log() -> LogFrame {
        let day = |row: usize| row / 100;
        let city = (0..400).map(|row| match (row % 100 < 50, day(row) < 2) {
            (true, _) => "Bern",
            (false, true) => "Ulm",
            (false, false) => "Köln",
        });
        let click = (0..400).map(|row| {
            let of_hundred = if day(row) < 2 { 10 } else { 20 };
            i64::from(row % 100 < of_hundred)
        });
        let mut frame =
            df!("city" => city.collect::<Vec<_>>(), "click" => click.collect::<Vec<_>>()).unwrap();
        // From 2026-09-11 at noon, so that the first and last day are no whole ones.
        let start = 1_789_128_000_000i64;
        let times: Vec<i64> = (0..400).map(|row| start + day(row) as i64 * DAY_MILLIS + row as i64).collect();
        let time = Series::new("time".into(), times)
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .unwrap();
        frame.with_column(time.into_column()).unwrap();
        let roles = [("city", Role::Categorical), ("click", Role::Label), ("time", Role::Time)];
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    #[test]
    fn the_last_days_are_held_against_those_before() {
        let log = log();
        assert_eq!(
            Period::of(&log, 2).unwrap().words(),
            "2026-09-13 to 2026-09-14, against 2026-09-11 to 2026-09-12"
        );
        let failure = Period::of(&log, 3).unwrap_err();
        assert!(
            failure.why.contains("begins on 2026-09-11") && failure.hint.contains("at most 2"),
            "{failure}"
        );

        let query = SegmentQuery { by: vec!["city".into()], days: 2, ..SegmentQuery::default() };
        let table = segments(&log, &query, &JobContext::detached()).unwrap();
        assert_eq!((table.total.successes, table.total.trials), (40.0, 200.0), "the last two days alone");
        assert_eq!(table.gone, ["Ulm"]);
        let of = |name: &str, measure| {
            let row = table.rows.iter().find(|row| row.values[0] == name).unwrap();
            table.figure(row, measure).cloned().unwrap()
        };
        let bern = of("Bern", Measure::Ctr);
        assert_eq!((bern.value, bern.lift), (0.4, Some(2.0)), "40 of 100 over 20 of 100");
        // Likelihood ratio: G = 2 (40 ln 4/3 + 60 ln 6/7 + 20 ln 2/3 + 80 ln 8/7) = 9.6629 on one degree of freedom; the
        // only comparison, so none to correct for.
        assert!((bern.p.unwrap() - 0.001_880_3).abs() < 1e-6, "{:?}", bern.p);
        assert_eq!(of("Bern", Measure::Clicks).lift, Some(2.0), "sums are compared too");
        assert_eq!((of("Köln", Measure::Ctr).lift, of("Köln", Measure::Ctr).p), (None, None), "new");
    }
}
