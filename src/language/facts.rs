//! What does an ad claim? Prices, discounts, dates, audience, call to action, product and advertiser, each with its place.
//!
//! Rules over the [words](super::words) of a text in Chinese and English. A number counts as a price, a discount or a date
//! only with the sign or word that makes it one; names are those that the caller knows, and beside them capitalised
//! runs and quoted names as a guess that says so.

mod rules;

use super::words::{Token, normal, tokens};
use rules::Rules;
use serde::Serialize;
use std::ops::Range;

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// Who advertises.
    Advertiser,
    /// What is advertised.
    Product,
    /// What it costs.
    Price,
    /// What is taken off.
    Discount,
    /// A number with a unit: weight, size, days.
    Quantity,
    /// When it holds.
    Date,
    /// Whom it is for.
    Audience,
    /// What the reader is asked to do.
    CallToAction,
}

impl FactKind {
    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Advertiser => "advertiser",
            Self::Product => "product",
            Self::Price => "price",
            Self::Discount => "discount",
            Self::Quantity => "quantity",
            Self::Date => "date",
            Self::Audience => "audience",
            Self::CallToAction => "call to action",
        }
    }
}

/// Something that a text says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub kind: FactKind,
    /// The words as they stand in the text.
    pub text: String,
    /// Their bytes in the text.
    pub span: Range<usize>,
    /// One form for all ways to write it: `USD 89`, `-20 %`, `--11-11`, `0.24 kg`.
    pub value: String,
    /// True for a name that nobody confirmed.
    pub is_guess: bool,
}

/// Names that are known: from a product sheet, or from the attributes of a log's ads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Who may advertise.
    pub advertisers: Vec<String>,
    /// What may be advertised.
    pub products: Vec<String>,
}

/// The facts of a text in its order; no two overlap.
pub fn facts(text: &str, names: &Names) -> Vec<Fact> {
    let tokens = tokens(text);
    let rules = Rules { text, tokens: &tokens };
    let mut found: Vec<Fact> = Vec::new();
    for (kind, known) in [(FactKind::Product, &names.products), (FactKind::Advertiser, &names.advertisers)] {
        for name in known {
            found.extend(named(text, &tokens, kind, name));
        }
    }
    // The longest name first: "TrailFox 3" before "TrailFox".
    found.sort_by_key(|fact| std::cmp::Reverse(fact.span.len()));
    let mut kept: Vec<Fact> = Vec::new();
    // What a rule reads is no longer free for the next one: discounts before prices ("save $10"), names last.
    let keep = |facts: Vec<Fact>, kept: &mut Vec<Fact>| {
        for fact in facts {
            let is_free =
                |other: &Fact| other.span.end <= fact.span.start || fact.span.end <= other.span.start;
            if kept.iter().all(is_free) {
                kept.push(fact);
            }
        }
    };
    keep(found, &mut kept);
    keep(rules.calls(), &mut kept);
    keep(rules.discounts(), &mut kept);
    keep(rules.prices(), &mut kept);
    keep(rules.dates(), &mut kept);
    keep(rules.quantities(), &mut kept);
    keep(rules.audiences(), &mut kept);
    keep(rules.guessed_names(), &mut kept);
    kept.sort_by_key(|fact| fact.span.start);
    kept
}

/// Where a known name stands, as whole words.
fn named(text: &str, tokens: &[Token], kind: FactKind, name: &str) -> Vec<Fact> {
    let wanted: Vec<String> = super::words::tokens(name).into_iter().map(|token| token.text).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for window in tokens.windows(wanted.len()) {
        if window.iter().zip(&wanted).all(|(token, wanted)| token.text == *wanted) {
            let span = window[0].span.start..window[wanted.len() - 1].span.end;
            let text = text[span.clone()].to_owned();
            found.push(Fact { kind, text, span, value: normal(name).into_owned(), is_guess: false });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, kind: FactKind) -> Vec<(String, String)> {
        let names = Names { advertisers: vec!["TrailFox".into()], products: vec!["TrailFox 3".into()] };
        facts(text, &names)
            .into_iter()
            .filter(|fact| fact.kind == kind)
            .map(|fact| {
                assert_eq!(text[fact.span.clone()], fact.text);
                (fact.text, fact.value)
            })
            .collect()
    }

    fn values(text: &str, kind: FactKind) -> Vec<String> {
        of(text, kind).into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn prices_are_one_however_they_are_written() {
        for text in ["only $89", "89 USD today", "US$89.00", "for 89 dollars"] {
            assert_eq!(values(text, FactKind::Price), ["USD 89"], "{text}");
        }
        assert_eq!(values("€1,299.50 or 49 euros", FactKind::Price), ["EUR 1299.5", "EUR 49"]);
        for text in ["仅售99元", "￥99", "¥ 99", "99块", "RMB 99", "特价９９元"] {
            assert_eq!(values(text, FactKind::Price), ["CNY 99"], "{text}");
        }
        assert_eq!(values("1.2万元起", FactKind::Price), ["CNY 12000"]);
        assert!(of("240 g, 30-day returns, 24/7", FactKind::Price).is_empty());
    }

    #[test]
    fn discounts_in_both_languages() {
        for text in ["20% off", "Save 20%", "up to 20 % off", "８折", "八折优惠", "立减20%"] {
            assert_eq!(values(text, FactKind::Discount), ["-20 %"], "{text}");
        }
        assert_eq!(values("half off", FactKind::Discount), ["-50 %"]);
        assert_eq!(values("满200减30", FactKind::Discount), ["-30 from 200"]);
        assert_eq!(values("save $10 now", FactKind::Discount), ["-USD 10"]);
        assert_eq!(values("立减50元", FactKind::Discount), ["-CNY 50"]);
        assert_eq!(values("Buy 1, get 1 free", FactKind::Discount), ["buy 1 get 1"]);
        assert!(
            of("100% cotton, 4.5折叠", FactKind::Discount).is_empty(),
            "cotton and folding are no discounts"
        );
    }

    #[test]
    fn dates_quantities_audiences_and_calls() {
        assert_eq!(values("until 5 May 2026", FactKind::Date), ["2026-05-05"]);
        assert_eq!(values("ends May 5th", FactKind::Date), ["--05-05"]);
        assert_eq!(values("双十一 11月11日 开抢", FactKind::Date), ["双十一", "--11-11"]);
        assert_eq!(values("2026-11-27", FactKind::Date), ["2026-11-27"]);
        assert_eq!(values("this weekend only", FactKind::Date), ["this weekend"]);
        assert_eq!(values("weighs 240 g", FactKind::Quantity), ["0.24 kg"]);
        assert_eq!(values("0.24kg, 30-day returns", FactKind::Quantity), ["0.24 kg", "30 day"]);
        assert_eq!(values("重240克", FactKind::Quantity), ["0.24 kg"]);
        assert_eq!(values("shoes for beginners", FactKind::Audience), ["beginner"]);
        assert_eq!(values("学生专享", FactKind::Audience), ["student"]);
        assert_eq!(values("Shop now!", FactKind::CallToAction), ["shop now"]);
        assert_eq!(values("新款上市，立即购买", FactKind::CallToAction), ["立即购买"]);
    }

    #[test]
    fn known_names_are_sure_and_others_are_guesses() {
        assert_eq!(
            of("The trailfox 3 is here", FactKind::Product),
            [("trailfox 3".into(), "trailfox 3".into())]
        );
        assert_eq!(values("By TrailFox", FactKind::Advertiser), ["trailfox"]);
        let guessed = facts("Try the Nimbus Pro today", &Names::default());
        let name = guessed.iter().find(|fact| fact.kind == FactKind::Product).unwrap();
        assert!(name.is_guess && name.text == "Nimbus Pro");
        let quoted = facts("全新「云跑」跑鞋", &Names::default());
        assert!(quoted.iter().any(|fact| fact.text == "云跑" && fact.is_guess));
    }

    #[test]
    fn nonsense_has_no_facts_and_does_no_harm() {
        for text in
            ["", "$", "%%%", "折", "满减", "\u{202E}9$", "🙂🙂", "1e999 元", "99999999999999999999999元"]
        {
            let _ = facts(text, &Names::default());
        }
        assert!(facts("quiet words", &Names::default()).is_empty());
    }
}
