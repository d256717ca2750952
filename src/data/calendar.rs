//! Which hour, weekday and date is a point in time? All in UTC, as the logs are read.

use crate::base::calendar;

/// Names of the days, Monday first.
pub const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const DAY_MILLIS: i64 = 86_400_000;

/// Hour of the day, 0 to 23.
pub fn hour_of(millis: i64) -> u32 {
    millis.div_euclid(3_600_000).rem_euclid(24) as u32
}

/// Day of the week, Monday 0 to Sunday 6 (1 January 1970 was a Thursday).
pub fn weekday_of(millis: i64) -> u32 {
    (millis.div_euclid(DAY_MILLIS) + 3).rem_euclid(7) as u32
}

/// The date as `2026-11-22`.
pub fn date_of(millis: i64) -> String {
    let (year, month, day) = calendar::date_of(millis.div_euclid(DAY_MILLIS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The point in time that `2026-11-22`, `2026-11-22 18:30` or `2026-11-22T18:30:05` names, in milliseconds
/// since 1970; `None` for anything else.
pub fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "0:0"));
    let date: Vec<i64> = date.split('-').map(str::parse).collect::<Result<_, _>>().ok()?;
    let clock: Vec<i64> = clock.trim().split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (&[year, month, day], &[hour, minute, ref seconds @ ..]) = (date.as_slice(), clock.as_slice()) else {
        return None;
    };
    let second = match seconds {
        [] => 0,
        [second] => *second,
        _ => return None,
    };
    let clock_is_real = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    let days = (0..=9999).contains(&year).then(|| calendar::days_since_1970(year, month, day))??;
    clock_is_real.then_some(days * DAY_MILLIS + ((hour * 60 + minute) * 60 + second) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_moment() {
        // `date -u -d "2026-11-22 03:05" +%s` answers 1795316700; that day is a Sunday.
        let millis = 1_795_316_700_000;
        assert_eq!((hour_of(millis), weekday_of(millis)), (3, 6));
        assert_eq!(date_of(millis), "2026-11-22");
        assert_eq!(moment("2026-11-22 03:05"), Some(millis));
        assert_eq!(moment("2026-11-22T03:05:07"), Some(millis + 7_000));
        assert_eq!(weekday_of(0), 3);
        assert_eq!((hour_of(-1), weekday_of(-1), date_of(-1).as_str()), (23, 2, "1969-12-31"));
    }

    #[test]
    fn dates_come_back_and_impossible_ones_are_refused() {
        assert_eq!(date_of(moment("2024-02-29").unwrap()), "2024-02-29");
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-11-22 24:00",
            "yesterday",
            "99999999999999999-01-01",
            "2026-11",
            "1:2:3:4",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
