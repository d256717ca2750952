//! Which hour, weekday and date is a point in time? All in UTC, as the logs are read.

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
    let (year, month, day) = civil(millis.div_euclid(DAY_MILLIS));
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
    let days = days_from_civil(year, month, day)?;
    // The 31st of a short month would name a day of the next.
    (clock_is_real && civil(days) == (year, month, day))
        .then_some(days * DAY_MILLIS + ((hour * 60 + minute) * 60 + second) * 1000)
}

/// Days since 1970 of a date of the Gregorian calendar, counted in eras of 400 years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Year, month and day of a number of days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
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
        for days in (-800_000..2_900_000).step_by(977) {
            let (year, month, day) = civil(days);
            if (0..=9999).contains(&year) {
                assert_eq!(days_from_civil(year, month, day), Some(days));
            }
        }
        assert_eq!(date_of(moment("2024-02-29").unwrap()), "2024-02-29");
        for text in ["2026-02-29", "2026-13-01", "2026-11-22 24:00", "yesterday", "2026-11", "1:2:3:4"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
