//! Which amounts does a text name? Figures and numerals with the unit, currency or sign beside them.

use super::{Finder, Meaning};
use crate::adcopy::numerals;
use crate::adcopy::plain::is_ideograph;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Figures; English numerals from two on; Chinese numerals.
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const SMALL: &str = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|\
        seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|dozen";
    let all = format!(
        "(?P<figures>\\d{{1,3}}(?:,\\d{{3}})+(?:\\.\\d+)?|\\d+(?:\\.\\d+)?)|(?i:\\b(?P<english>(?:one )?(?:{SMALL})(?:[- ]\
         (?:and )?(?:one|{SMALL}))*)\\b)|(?P<chinese>[零〇一二两三四五六七八九十百千万亿]+(?:点[零一二三四五六七八九]+)?|半)"
    );
    Regex::new(&all).ok()
});

/// Signs before an amount.
const CURRENCIES: [(&str, &str); 12] = [
    ("us$", "money:USD"),
    ("hk$", "money:HKD"),
    ("usd", "money:USD"),
    ("rmb", "money:CNY"),
    ("cny", "money:CNY"),
    ("eur", "money:EUR"),
    ("gbp", "money:GBP"),
    ("$", "money:USD"),
    ("¥", "money:CNY"),
    ("€", "money:EUR"),
    ("£", "money:GBP"),
    ("人民币", "money:CNY"),
];

/// Words before an amount that is taken off.
const SAVING: [&str; 13] =
    ["save", "saves", "saving", "save up to", "立减", "直降", "省", "优惠", "立省", "返", "减", "降", "补贴"];
/// Words after an amount that is taken off.
const TAKEN_OFF: [&str; 6] = ["off", "discount", "cheaper", "less", "cashback", "优惠券"];

/// Written amounts that are words of their own.
const WHOLE: [(&str, &str, f64, bool); 7] = [
    ("(?i)\\bhalf[- ](?:price|off)\\b", "discount", 50.0, true),
    ("半价", "discount", 50.0, true),
    ("百分百", "percent", 100.0, false),
    ("(?i)\\b(?:two|2)[- ]for[- ](?:one|1)\\b", "discount", 50.0, true),
    ("十分之一", "percent", 10.0, false),
    ("(?i)\\ba tenth\\b", "percent", 10.0, false),
    ("(?i)\\bfree\\b$", "money", 0.0, false),
];

static WHOLE_PATTERNS: LazyLock<Vec<(Regex, Meaning)>> = LazyLock::new(|| {
    let one = |(pattern, dimension, value, off): &(&str, &str, f64, bool)| {
        let meaning = Meaning::Quantity { dimension: (*dimension).to_owned(), value: *value, off: *off };
        Some((Regex::new(pattern).ok()?, meaning))
    };
    WHOLE.iter().filter(|(_, dimension, ..)| *dimension != "money").filter_map(one).collect()
});

impl Finder<'_> {
    /// Takes every amount.
    pub(super) fn quantities(&mut self) {
        let plain = self.plain;
        for (pattern, meaning) in &*WHOLE_PATTERNS {
            for found in pattern.find_iter(&plain.text) {
                if self.is_free(&found.range()) {
                    self.take(found.range(), meaning.clone());
                }
            }
        }
        let Some(number) = &*NUMBER else { return };
        for found in number.captures_iter(&plain.text) {
            let Some(range) = found.get(0).map(|found| found.range()) else { continue };
            if !self.is_free(&range) {
                continue;
            }
            if let Some(figures) = found.name("figures") {
                self.figures(range, figures.as_str());
            } else if let Some(english) = found.name("english") {
                self.english(range, english.as_str());
            } else {
                self.chinese(&range);
            }
        }
    }

    fn figures(&mut self, range: Range<usize>, figures: &str) {
        let Some(mut value) = numerals::of_figures(figures) else { return };
        let text = self.plain.text.as_str();
        let before = text[..range.start].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphabetic()) && currency_before(text, range.start).is_none() {
            // X200, 5-G: a name or code, which is read as such.
            return;
        }
        let mut end = range.end;
        for (sign, scale) in [("万", 1e4), ("亿", 1e8), ("千", 1e3), ("百", 1e2)] {
            if text[end..].starts_with(sign)
                && !text[end..].starts_with("千克")
                && !text[end..].starts_with("千米")
            {
                value *= scale;
                end += sign.len();
            }
        }
        if let Some(sign) = text[end..].chars().next().filter(|c| matches!(c, 'k' | 'K')) {
            let next = text[end + 1..].chars().next();
            if next.is_none_or(|c| !c.is_ascii_alphanumeric()) {
                value *= 1e3;
                end += sign.len_utf8();
            }
        }
        self.amount(range.start..end, value, true);
    }

    fn english(&mut self, range: Range<usize>, words: &str) {
        if let Some(value) = numerals::of_english(words) {
            self.amount(range, value, true);
        }
    }

    /// Chinese numerals stand in many words: only one with a unit after it is an amount, and one of one is none.
    fn chinese(&mut self, range: &Range<usize>) {
        let words = &self.plain.text[range.clone()];
        if let Some(value) = numerals::of_chinese(words).filter(|_| words != "一" && words != "半") {
            self.amount(range.clone(), value, false);
        }
    }

    fn amount(&mut self, number: Range<usize>, value: f64, alone: bool) {
        let text = self.plain.text.as_str();
        let currency = currency_before(text, number.start);
        let unit = self.unit_after(number.end);
        let (mut range, mut dimension, mut value) = (number.clone(), "count".to_owned(), value);
        let mut off = false;
        if let Some((sign, name)) = currency {
            (range.start, dimension) = (sign, name.to_owned());
            // "$20 USD" names it twice.
            if let Some((end, _, _)) = unit.filter(|(_, known, _)| *known == dimension) {
                range.end = end;
            }
        } else if let Some(end) = discount_after(text, number.end) {
            // 8折 leaves 80 %, 85折 leaves 85 %.
            let kept = if value >= 10.0 { value } else { 10.0 * value };
            (range.end, dimension, value, off) = (end, "discount".to_owned(), 100.0 - kept, true);
        } else if let Some((end, known, factor)) = unit {
            (range.end, dimension, value) = (end, known.to_owned(), value * factor);
        } else if !alone {
            return;
        } else if text[number.end..].chars().next().is_some_and(|c| c.is_ascii_alphabetic()) {
            // 5G, 4K: read as a name.
            return;
        } else {
            dimension = self.counted_noun(number.end).unwrap_or(dimension);
        }
        if text[..range.start].ends_with("百分之") {
            range.start -= "百分之".len();
            dimension = "percent".to_owned();
        }
        if dimension == "percent" || dimension.starts_with("money") {
            if let Some(start) = saving_before(text, range.start) {
                (range.start, off) = (start, true);
            } else if let Some(end) = taken_off_after(text, range.end) {
                (range.end, off) = (end, true);
            }
            if off && dimension == "percent" {
                dimension = "discount".to_owned();
            }
        }
        if self.is_free(&range) {
            self.take(range, Meaning::Quantity { dimension, value, off });
        }
    }

    /// The unit after a number: where it ends, its dimension and its factor. The longest spelling counts.
    fn unit_after(&self, at: usize) -> Option<(usize, &str, f64)> {
        let rest = &self.plain.text[at..];
        let gap = rest.len() - rest.trim_start_matches([' ', '-']).len();
        if gap > 1 {
            return None;
        }
        let start = at + gap;
        let tail = &self.plain.text[start..];
        let ends: Vec<usize> =
            tail.char_indices().map(|(at, c)| at + c.len_utf8()).take(self.book.longest_unit).collect();
        ends.into_iter().rev().find_map(|end| {
            let spelled = tail[..end].to_lowercase();
            let (dimension, factor) = self.book.units.get(&spelled)?;
            let ends_in_letter = spelled.ends_with(|c: char| c.is_ascii_alphabetic());
            let goes_on = tail[end..].chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
            (!(ends_in_letter && goes_on)).then_some((start + end, dimension.as_str(), *factor))
        })
    }

    /// `count:NOUN` for an English number before a noun that no list knows.
    fn counted_noun(&self, at: usize) -> Option<String> {
        const NO_NOUNS: [&str; 22] = [
            "in", "on", "at", "to", "for", "of", "and", "or", "the", "a", "an", "with", "from", "get", "off",
            "until", "by", "only", "more", "is", "good", "great",
        ];
        let rest = self.plain.text[at..].strip_prefix([' ', '-'])?;
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        let word = word.to_ascii_lowercase();
        (word.len() > 2 && !NO_NOUNS.contains(&word.as_str()))
            .then(|| format!("count:{}", word.strip_suffix('s').unwrap_or(&word)))
    }
}

/// A currency sign that ends at `at`: where it begins, and the dimension.
fn currency_before(text: &str, at: usize) -> Option<(usize, &'static str)> {
    let head = text[..at].trim_end_matches(' ');
    if at - head.len() > 1 {
        return None;
    }
    CURRENCIES.iter().find_map(|(sign, dimension)| {
        let start = head.len().checked_sub(sign.len())?;
        let found = head.get(start..)?.to_lowercase();
        let joined = sign.starts_with(|c: char| c.is_ascii_alphabetic())
            && head[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        (found == *sign && !joined).then_some((start, *dimension))
    })
}

fn discount_after(text: &str, at: usize) -> Option<usize> {
    let rest = text[at..].trim_start_matches(' ');
    let start = text.len() - rest.len();
    // 折叠 is folding.
    (rest.starts_with('折') && !rest.starts_with("折叠")).then(|| start + '折'.len_utf8())
}

/// Where a word of saving before an amount begins.
fn saving_before(text: &str, at: usize) -> Option<usize> {
    let head = text[..at].trim_end();
    let lower = head.to_ascii_lowercase();
    SAVING.iter().find_map(|word| {
        let start = lower.strip_suffix(word)?.len();
        let joined = word.is_ascii() && lower[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        (!joined).then_some(start)
    })
}

/// Where a word after an amount that is taken off ends.
fn taken_off_after(text: &str, at: usize) -> Option<usize> {
    let rest = text[at..].trim_start();
    let start = text.len() - rest.len();
    let lower = rest.to_ascii_lowercase();
    TAKEN_OFF.iter().find_map(|word| {
        let after = lower.strip_prefix(word)?;
        let goes_on = word.is_ascii() && after.starts_with(|c: char| c.is_alphanumeric() && !is_ideograph(c));
        (!goes_on).then_some(start + word.len())
    })
}
