//! Which days and times of day does a text name?

use super::{Finder, Meaning};
use crate::adcopy::numerals;
use regex::{Captures, Regex};
use std::ops::Range;
use std::sync::LazyLock;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTH: &str = "(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|\
    sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\\.?";

/// The ways to write a day; a way names the groups `year`, `month`, `day`.
static WAYS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        "(?P<year>\\d{4})[-/.](?P<month>\\d{1,2})[-/.](?P<day>\\d{1,2})\\b".to_owned(),
        "(?:(?P<year>\\d{2,4}|[二〇零一三四五六七八九]{4})年)?(?P<month>\\d{1,2}|[一二三四五六七八九十]+)月(?P<day>\\d{1,2}|[一二三四五六七八九十]+)[日号]".to_owned(),
        format!("(?i)\\b{MONTH} (?P<day>\\d{{1,2}})(?:st|nd|rd|th)?\\b(?:,? (?P<year>\\d{{4}})\\b)?"),
        format!("(?i)\\b(?P<day>\\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{MONTH}(?: (?P<year>\\d{{4}}))?\\b"),
        "(?P<year>20\\d{2})年(?:(?P<month>\\d{1,2})月)?".to_owned(),
    ]
    .iter()
    .filter_map(|way| Regex::new(way).ok())
    .collect()
});

static WEEKDAY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        "(?i)\\b(?P<en>mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|satur|sun)days?\\b|(?:周|星期|礼拜)(?P<zh>[一二三四五六日天])",
    )
    .ok()
});

static CLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        "(?i)\\b(?P<hour>[01]?\\d|2[0-3]):(?P<minute>[0-5]\\d)(?: ?(?P<half>[ap])\\.?m\\b)?|\\b(?P<h12>1[0-2]|[1-9]) ?\
         (?P<h12half>[ap])\\.?m\\b|(?P<zh>[一二两三四五六七八九十]+|\\d{1,2})点(?P<zhhalf>半|钟|整)?",
    )
    .ok()
});

impl Finder<'_> {
    /// Takes every day and time of day.
    pub(super) fn dates(&mut self) {
        let plain = self.plain;
        for way in &*WAYS {
            for found in way.captures_iter(&plain.text) {
                let Some(range) = free_range(self, &found) else { continue };
                if let Some(date) = date(&found) {
                    self.take(range, date);
                }
            }
        }
        for found in WEEKDAY.iter().flat_map(|weekday| weekday.captures_iter(&plain.text)) {
            let Some(range) = free_range(self, &found) else { continue };
            let place = match (found.name("en"), found.name("zh")) {
                (Some(en), _) => {
                    let lower = en.as_str().to_ascii_lowercase();
                    WEEKDAYS.iter().position(|day| lower.starts_with(day))
                }
                (_, Some(zh)) if zh.as_str() == "天" => Some(6),
                (_, Some(zh)) => "一二三四五六日".chars().position(|day| zh.as_str().starts_with(day)),
                _ => None,
            };
            if let Some(place) = place {
                self.take(range, Meaning::Weekday(place as u8 + 1));
            }
        }
        for found in CLOCK.iter().flat_map(|clock| clock.captures_iter(&plain.text)) {
            let Some(range) = free_range(self, &found) else { continue };
            if let Some(minutes) = minutes(&found, &plain.text[range.clone()]) {
                self.take(range, Meaning::Clock(minutes));
            }
        }
    }
}

fn free_range(finder: &Finder<'_>, found: &Captures<'_>) -> Option<Range<usize>> {
    found.get(0).map(|found| found.range()).filter(|range| finder.is_free(range))
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| numerals::of_chinese(text).map(|value| value as i64))
}

fn date(found: &Captures<'_>) -> Option<Meaning> {
    let part = |name: &str| found.name(name).map(|part| part.as_str().to_ascii_lowercase());
    let named = |text: &str| MONTHS.iter().position(|month| text.starts_with(month)).map(|at| at as i64 + 1);
    let month = part("month").and_then(|text| named(&text).or_else(|| number(&text)));
    let (year, day) = (part("year").and_then(|y| number(&y)), part("day").and_then(|d| number(&d)));
    let sound = month.is_none_or(|m| (1..=12).contains(&m)) && day.is_none_or(|d| (1..=31).contains(&d));
    sound.then_some(Meaning::Date { year: year.map(|y| if y < 100 { 2000 + y } else { y }), month, day })
}

fn minutes(found: &Captures<'_>, whole: &str) -> Option<u32> {
    let part = |name: &str| found.name(name).map(|part| part.as_str());
    let count = |text: &str| number(text).and_then(|value| u32::try_from(value).ok());
    let afternoon = |half: &str, hour: u32| hour % 12 + if half.eq_ignore_ascii_case("p") { 12 } else { 0 };
    if let Some(zh) = part("zh") {
        // 一点 is also "a little".
        let hour = count(zh).filter(|hour| *hour <= 24 && (whole != "一点"))?;
        return Some(60 * hour + if part("zhhalf") == Some("半") { 30 } else { 0 });
    }
    if let Some(hour) = part("h12") {
        return Some(60 * afternoon(part("h12half")?, count(hour)?));
    }
    let hour = count(part("hour")?)?;
    let hour = part("half").map_or(hour, |half| afternoon(half, hour));
    Some(60 * hour + count(part("minute")?)?)
}
