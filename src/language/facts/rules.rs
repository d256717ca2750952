//! How does each kind of fact look in Chinese and English?

use super::{Fact, FactKind};
use crate::base::numbers::short;
use crate::language::words::{Kind, Token};
use std::ops::Range;

/// A text and its words.
pub(super) struct Rules<'a> {
    pub text: &'a str,
    pub tokens: &'a [Token],
}

const CURRENCIES: &[(&str, &[&str])] = &[
    ("USD", &["$", "us$", "usd", "dollar", "dollars", "美元", "美金"]),
    ("EUR", &["€", "eur", "euro", "euros", "欧元"]),
    ("GBP", &["£", "gbp", "pound", "pounds", "英镑"]),
    ("CNY", &["¥", "￥", "rmb", "cny", "yuan", "元", "块", "块钱", "人民币", "元起"]),
    ("JPY", &["jpy", "yen", "円", "日元"]),
    ("HKD", &["hkd", "hk$", "港币", "港元"]),
];

const UNITS: &[(&str, f64, &[&str])] = &[
    ("kg", 1e-6, &["mg", "毫克"]),
    ("kg", 1e-3, &["g", "gram", "grams", "克"]),
    ("kg", 1.0, &["kg", "kilo", "kilos", "公斤", "千克"]),
    ("m", 1e-3, &["mm", "毫米"]),
    ("m", 1e-2, &["cm", "厘米"]),
    ("m", 1.0, &["m", "meter", "meters", "metre", "metres", "米"]),
    ("m", 1e3, &["km", "公里", "千米"]),
    ("l", 1e-3, &["ml", "毫升"]),
    ("l", 1.0, &["l", "liter", "liters", "litre", "litres", "升"]),
    ("hour", 1.0, &["h", "hour", "hours", "小时"]),
    ("minute", 1.0, &["min", "minute", "minutes", "分钟"]),
    ("day", 1.0, &["day", "days", "天"]),
    ("year", 1.0, &["year", "years", "yr", "年"]),
    ("month", 1.0, &["month", "months", "个月"]),
    ("week", 1.0, &["week", "weeks", "周"]),
    ("GB", 1.0, &["gb"]),
    ("TB", 1.0, &["tb"]),
    ("mAh", 1.0, &["mah", "毫安"]),
    ("W", 1.0, &["w", "watt", "watts", "瓦"]),
    ("piece", 1.0, &["pcs", "piece", "pieces", "pack", "件", "只", "个", "双"]),
    ("%", 1.0, &["%", "percent"]),
];

const MONTHS: [&[&str]; 12] = [
    &["january", "jan"],
    &["february", "feb"],
    &["march", "mar"],
    &["april", "apr"],
    &["may"],
    &["june", "jun"],
    &["july", "jul"],
    &["august", "aug"],
    &["september", "sep", "sept"],
    &["october", "oct"],
    &["november", "nov"],
    &["december", "dec"],
];

const MOMENTS: &[&str] = &[
    "today",
    "tonight",
    "tomorrow",
    "this week",
    "this weekend",
    "this month",
    "black friday",
    "cyber monday",
    "christmas",
    "new year",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "今天",
    "今日",
    "今晚",
    "明天",
    "本周",
    "本周末",
    "周末",
    "本月",
    "双十一",
    "双11",
    "618",
    "春节",
    "国庆",
    "中秋",
    "元旦",
    "圣诞",
];

const CALLS: &[&str] = &[
    "buy now",
    "shop now",
    "order now",
    "learn more",
    "sign up",
    "get started",
    "book now",
    "book today",
    "try it free",
    "try now",
    "try it today",
    "download now",
    "subscribe now",
    "join now",
    "call now",
    "click here",
    "get yours",
    "order today",
    "shop today",
    "start now",
    "find out more",
    "discover more",
    "see more",
    "apply now",
    "立即购买",
    "立即抢购",
    "马上抢购",
    "立即下单",
    "马上下单",
    "点击购买",
    "点击查看",
    "立即预订",
    "马上预订",
    "立即注册",
    "免费注册",
    "免费试用",
    "立即下载",
    "马上下载",
    "了解更多",
    "立即咨询",
    "立即领取",
    "点击领取",
    "马上加入",
    "立即体验",
    "抢购",
    "下单",
    "扫码",
];

const AUDIENCES: &[(&str, &[&str])] = &[
    ("beginner", &["beginner", "beginners", "starters", "新手", "初学者", "小白"]),
    ("student", &["student", "students", "学生"]),
    ("child", &["kids", "children", "child", "toddlers", "儿童", "孩子", "宝宝", "小朋友"]),
    ("woman", &["women", "woman", "ladies", "mums", "moms", "女士", "女性", "妈妈", "女生"]),
    ("man", &["men", "man", "gentlemen", "dads", "男士", "男性", "爸爸", "男生"]),
    ("senior", &["seniors", "elderly", "老人", "中老年", "长辈"]),
    ("new customer", &["newcomers", "新用户", "新人", "新客"]),
    ("member", &["members", "会员"]),
    ("parent", &["parents", "families", "父母", "家长", "家庭"]),
    ("business", &["businesses", "teams", "companies", "企业", "商家", "公司"]),
    ("athlete", &["runners", "athletes", "cyclists", "跑者", "运动员", "跑友"]),
    ("traveller", &["travellers", "travelers", "旅行者", "旅客"]),
    ("professional", &["professionals", "developers", "上班族", "白领", "职场人"]),
];

/// Capitalised words that are no name.
const NO_NAMES: &[&str] = &[
    "the",
    "a",
    "an",
    "this",
    "that",
    "our",
    "your",
    "my",
    "we",
    "you",
    "i",
    "it",
    "new",
    "now",
    "free",
    "best",
    "save",
    "buy",
    "shop",
    "get",
    "try",
    "only",
    "sale",
    "big",
    "for",
    "from",
    "with",
    "and",
    "or",
    "by",
    "in",
    "on",
    "at",
    "to",
    "off",
    "up",
    "today",
    "how",
    "why",
    "what",
    "when",
    "who",
    "is",
    "are",
    "here",
    "there",
    "learn",
    "discover",
    "introducing",
    "meet",
    "order",
    "book",
    "join",
    "make",
    "made",
    "more",
    "no",
    "not",
    "all",
    "one",
    "just",
];

/// A number, as a value.
fn number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| *c != ',').collect();
    plain.parse().ok().filter(|value: &f64| value.is_finite() && *value < 1e15)
}

/// 一 to 十 as digits, for discounts.
fn chinese_digit(text: &str) -> Option<f64> {
    let mut characters = text.chars();
    let value = "零一二三四五六七八九".chars().position(|known| Some(known) == characters.clone().next())?;
    characters.next();
    match characters.next() {
        None => Some(value as f64),
        Some(next) => {
            let after = "零一二三四五六七八九".chars().position(|known| known == next)?;
            characters.next().is_none().then_some(value as f64 + after as f64 / 10.0)
        }
    }
}

impl Rules<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    /// A number with the word that stands in the same token: `240` and `g` of "240g", `30` and `` of "30".
    fn number_at(&self, at: usize) -> Option<(f64, &str)> {
        let token = self.tokens.get(at).filter(|token| token.kind == Kind::Number)?;
        let end = token
            .text
            .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ','))
            .unwrap_or(token.text.len());
        let (digits, rest) = token.text.split_at(end);
        Some((number(digits)?, rest))
    }

    fn fact(&self, kind: FactKind, tokens: Range<usize>, value: String) -> Option<Fact> {
        let span =
            self.tokens.get(tokens.start)?.span.start..self.tokens.get(tokens.end.checked_sub(1)?)?.span.end;
        let text = self.text.get(span.clone())?.to_owned();
        Some(Fact { kind, text, span, value, is_guess: false })
    }

    fn each(&self, rule: impl Fn(usize) -> Option<Fact>) -> Vec<Fact> {
        (0..self.tokens.len()).filter_map(rule).collect()
    }

    fn currency(&self, word: &str) -> Option<&'static str> {
        CURRENCIES.iter().find(|(_, words)| words.contains(&word)).map(|(code, _)| *code)
    }

    /// A price that starts at a token: its end, currency and value.
    fn price_at(&self, at: usize) -> Option<(usize, &'static str, f64)> {
        let before = match (self.word(at), self.word(at + 1)) {
            // "US$89" and "HK$89" are two tokens and a number.
            ("us", "$") => Some((at + 2, "USD")),
            ("hk", "$") => Some((at + 2, "HKD")),
            (word, _) => {
                self.currency(word).filter(|_| self.number_at(at).is_none()).map(|code| (at + 1, code))
            }
        };
        if let Some((place, code)) = before
            && let Some((value, "")) = self.number_at(place)
        {
            return Some((place + 1, code, value));
        }
        let (value, rest) = self.number_at(at)?;
        if let Some(code) = self.currency(rest) {
            return Some((at + 1, code, value));
        }
        if !rest.is_empty() {
            return None;
        }
        let next = self.word(at + 1);
        match next {
            "万元" => Some((at + 2, "CNY", value * 1e4)),
            "万" if self.word(at + 2) == "元" => Some((at + 3, "CNY", value * 1e4)),
            word => Some((
                at + 2,
                self.currency(word).or_else(|| word.starts_with('元').then_some("CNY"))?,
                value,
            )),
        }
    }

    pub(super) fn prices(&self) -> Vec<Fact> {
        self.each(|at| {
            let (end, code, value) = self.price_at(at)?;
            self.fact(FactKind::Price, at..end, format!("{code} {}", plain(value)))
        })
    }

    pub(super) fn discounts(&self) -> Vec<Fact> {
        self.each(|at| {
            let off = |share: f64| format!("-{} %", plain(share));
            let word = self.word(at);
            // 8折: eight tenths are left.
            let tenths = self.number_at(at).and_then(|(value, rest)| match rest {
                "" if matches!(self.word(at + 1), "折" | "折优惠" | "折起") => Some((value, at + 2)),
                _ => None,
            });
            let written = word
                .find('折')
                .filter(|place| matches!(&word[*place..], "折" | "折优惠" | "折起"))
                .and_then(|place| Some((chinese_digit(&word[..place])?, at + 1)))
                .or_else(|| {
                    let digit = chinese_digit(word)?;
                    matches!(self.word(at + 1), "折" | "折优惠").then_some((digit, at + 2))
                });
            if let Some((left, end)) = tenths.or(written).filter(|(left, _)| *left > 0.0) {
                let left = if left < 10.0 { left * 10.0 } else { left };
                return (left < 100.0).then(|| self.fact(FactKind::Discount, at..end, off(100.0 - left)))?;
            }
            if word == "half" && matches!(self.word(at + 1), "off" | "price") {
                return self.fact(FactKind::Discount, at..at + 2, off(50.0));
            }
            if word == "buy"
                && let (Some((buy, "")), Some(get)) = (self.number_at(at + 1), self.find(at + 2, 2, "get"))
                && let Some((free, "")) = self.number_at(get + 1)
            {
                let end = if self.word(get + 2) == "free" { get + 3 } else { get + 2 };
                let value = format!("buy {} get {}", plain(buy), plain(free));
                return self.fact(FactKind::Discount, at..end, value);
            }
            if word == "满"
                && let Some((from, "")) = self.number_at(at + 1)
                && let Some(less) = self.find(at + 2, 2, "减")
                && let Some((less_by, "")) = self.number_at(less + 1)
            {
                let value = format!("-{} from {}", plain(less_by), plain(from));
                return self.fact(FactKind::Discount, at..less + 2, value);
            }
            if let Some((value, "")) = self.number_at(at)
                && matches!(self.word(at + 1), "%" | "percent")
                && self.word(at + 2) == "off"
            {
                return self.fact(FactKind::Discount, at..at + 3, off(value));
            }
            let saves = matches!(word, "save" | "立减" | "直降" | "优惠" | "省" | "减" | "立省");
            // 立减 may be cut in two.
            let first =
                if word == "立" && matches!(self.word(at + 1), "减" | "省") { at + 2 } else { at + 1 };
            if saves || first == at + 2 {
                if let Some((value, "")) = self.number_at(first)
                    && matches!(self.word(first + 1), "%" | "percent")
                {
                    return self.fact(FactKind::Discount, at..first + 2, off(value));
                }
                if let Some((end, code, value)) = self.price_at(first) {
                    return self.fact(FactKind::Discount, at..end, format!("-{code} {}", plain(value)));
                }
            }
            None
        })
    }

    /// The place of a word among the next few.
    fn find(&self, from: usize, within: usize, word: &str) -> Option<usize> {
        (from..from + within).find(|at| self.word(*at) == word)
    }

    pub(super) fn dates(&self) -> Vec<Fact> {
        let mut found = self.each(|at| {
            let whole = |value: f64, low: f64, high: f64| {
                (value.fract() == 0.0 && value >= low && value <= high).then_some(value as u32)
            };
            // 2026-11-27, 2026/11/27
            if let (Some((year, "")), Some((month, "")), Some((day, ""))) =
                (self.number_at(at), self.number_at(at + 2), self.number_at(at + 4))
                && matches!((self.word(at + 1), self.word(at + 3)), ("-", "-") | ("/", "/"))
                && let (Some(year), Some(month), Some(day)) =
                    (whole(year, 1900.0, 2200.0), whole(month, 1.0, 12.0), whole(day, 1.0, 31.0))
            {
                return self.fact(FactKind::Date, at..at + 5, format!("{year:04}-{month:02}-{day:02}"));
            }
            // 11月11日
            if let (Some((month, "")), "月", Some((day, ""))) =
                (self.number_at(at), self.word(at + 1), self.number_at(at + 2))
                && let (Some(month), Some(day)) = (whole(month, 1.0, 12.0), whole(day, 1.0, 31.0))
            {
                let end = if matches!(self.word(at + 3), "日" | "号") { at + 4 } else { at + 3 };
                return self.fact(FactKind::Date, at..end, format!("--{month:02}-{day:02}"));
            }
            let month =
                |at: usize| MONTHS.iter().position(|names| names.contains(&self.word(at))).map(|m| m + 1);
            let day = |at: usize| {
                let (value, rest) = self.number_at(at)?;
                matches!(rest, "" | "st" | "nd" | "rd" | "th").then(|| whole(value, 1.0, 31.0))?
            };
            let (start, month, day, mut end) = match (month(at), day(at)) {
                (Some(month), _) => (at, month, day(at + 1)?, at + 2),
                (None, Some(day)) => (at, month(at + 1)?, day, at + 2),
                _ => return None,
            };
            let comma = usize::from(self.word(end) == ",");
            let year = self.number_at(end + comma).filter(|(_, rest)| rest.is_empty());
            let year = year.and_then(|(value, _)| whole(value, 1900.0, 2200.0));
            let value = match year {
                Some(year) => {
                    end += comma + 1;
                    format!("{year:04}-{month:02}-{day:02}")
                }
                None => format!("--{month:02}-{day:02}"),
            };
            self.fact(FactKind::Date, start..end, value)
        });
        found.extend(self.listed(FactKind::Date, MOMENTS.iter().map(|moment| (*moment, *moment))));
        found
    }

    pub(super) fn quantities(&self) -> Vec<Fact> {
        let unit = |word: &str| {
            let known = UNITS.iter().find(|(_, _, words)| words.contains(&word));
            known.map(|(unit, factor, _)| (*unit, *factor))
        };
        self.each(|at| {
            let (value, rest) = self.number_at(at)?;
            let place = at + usize::from(self.word(at + 1) == "-");
            let (end, (unit, factor)) = match unit(rest) {
                Some(known) => (at + 1, known),
                None if rest.is_empty() => (place + 2, unit(self.word(place + 1))?),
                None => return None,
            };
            self.fact(FactKind::Quantity, at..end, format!("{} {unit}", plain(value * factor)))
        })
    }

    pub(super) fn calls(&self) -> Vec<Fact> {
        self.listed(FactKind::CallToAction, CALLS.iter().map(|call| (*call, *call)))
    }

    pub(super) fn audiences(&self) -> Vec<Fact> {
        let words = AUDIENCES.iter().flat_map(|(who, words)| words.iter().map(move |word| (*word, *who)));
        self.listed(FactKind::Audience, words)
    }

    /// Phrases of a list: as whole words where they are written with spaces, anywhere in Chinese, the longest first.
    fn listed<'b>(&self, kind: FactKind, phrases: impl Iterator<Item = (&'b str, &'b str)>) -> Vec<Fact> {
        let mut phrases: Vec<(&str, &str)> = phrases.collect();
        phrases.sort_by_key(|(phrase, _)| std::cmp::Reverse(phrase.len()));
        let mut found = Vec::new();
        for (phrase, value) in phrases {
            if phrase.is_ascii() {
                let words: Vec<&str> = phrase.split(' ').collect();
                for at in 0..self.tokens.len() {
                    if words.iter().enumerate().all(|(place, word)| self.word(at + place) == *word) {
                        found.extend(self.fact(kind, at..at + words.len(), value.to_owned()));
                    }
                }
            } else {
                found.extend(self.text.match_indices(phrase).map(|(start, phrase)| Fact {
                    kind,
                    text: phrase.to_owned(),
                    span: start..start + phrase.len(),
                    value: value.to_owned(),
                    is_guess: false,
                }));
            }
        }
        found
    }

    /// Capitalised words in a row that do not begin a sentence, and names in Chinese quotation marks.
    pub(super) fn guessed_names(&self) -> Vec<Fact> {
        let mut found = Vec::new();
        let guess = |span: Range<usize>| {
            let text = self.text.get(span.clone())?.trim().to_owned();
            let value = crate::language::words::normal(&text).into_owned();
            (!text.is_empty()).then_some(Fact { kind: FactKind::Product, text, span, value, is_guess: true })
        };
        let is_name = |at: usize| {
            let Some(token) = self.tokens.get(at) else { return false };
            let written = &self.text[token.span.clone()];
            token.kind == Kind::Word
                && written.chars().next().is_some_and(char::is_uppercase)
                && written.chars().any(char::is_lowercase)
                && !NO_NAMES.contains(&token.text.as_str())
        };
        // In "Big Summer Sale Today" everything is capitalised and capitals say nothing.
        let words = self.tokens.iter().filter(|token| token.kind == Kind::Word);
        let (capitals, all) = words.fold((0, 0), |(capitals, all), token| {
            let written = &self.text[token.span.clone()];
            (capitals + usize::from(written.chars().next().is_some_and(char::is_uppercase)), all + 1)
        });
        let mut at = 0;
        while at < self.tokens.len() {
            let begins = at == 0 || matches!(self.word(at - 1), "." | "!" | "?" | ":" | "。" | "！");
            if capitals * 2 > all + 1 || begins || !is_name(at) {
                at += 1;
                continue;
            }
            let mut end = at + 1;
            while is_name(end) || (self.number_at(end).is_some() && !matches!(self.word(end + 1), "%" | "-"))
            {
                end += 1;
            }
            found.extend(guess(self.tokens[at].span.start..self.tokens[end - 1].span.end));
            at = end;
        }
        for (open, close) in [('「', '」'), ('《', '》'), ('“', '”'), ('【', '】')] {
            for (start, _) in self.text.match_indices(open) {
                let inside = start + open.len_utf8();
                if let Some(length) = self.text[inside..].find(close) {
                    found.extend(guess(inside..inside + length));
                }
            }
        }
        found
    }
}

/// A number without needless zeros.
fn plain(value: f64) -> String {
    // Up to twelve digits whole; a weight in kilograms to four.
    if value.fract() == 0.0 || value >= 1000.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    short(value)
}
