//! What can be said with a pattern around facts?

use super::super::brief::{Language, Tone};
use super::{Material, Proposer, drawn, inside, opening, wordings};
use crate::base::rng::Rng;

/// Patterns around one or two facts.
pub(super) struct Templates;

/// `{a}` opens with a capital, `{b}` stands inside, `{n}` is the name.
const ENGLISH: [(Tone, &str); 14] = [
    (Tone::Plain, "{a}"),
    (Tone::Plain, "{n}: {b}"),
    (Tone::Plain, "{a}, {b}"),
    (Tone::Plain, "{a}. {A}"),
    (Tone::Plain, "{n}. {a}, {b}"),
    (Tone::Warm, "Meet {n}. {a}"),
    (Tone::Warm, "{n} is here: {b}"),
    (Tone::Warm, "For your mornings: {b}"),
    (Tone::Warm, "{a}, and {b}"),
    (Tone::Warm, "Come as you are. {a}"),
    (Tone::Brisk, "{a}"),
    (Tone::Brisk, "{n}. {a}"),
    (Tone::Brisk, "{a}. {A}"),
    (Tone::Brisk, "{n}, {b}"),
];

const CHINESE: [(Tone, &str); 13] = [
    (Tone::Plain, "{a}"),
    (Tone::Plain, "{n}，{b}"),
    (Tone::Plain, "{a}，{b}"),
    (Tone::Plain, "{n}：{b}"),
    (Tone::Plain, "{n}，{a}，{b}"),
    (Tone::Warm, "{n}来了，{b}"),
    (Tone::Warm, "给自己一点安静，{b}"),
    (Tone::Warm, "不妨试试{n}，{b}"),
    (Tone::Warm, "{a}，{b}"),
    (Tone::Brisk, "{a}"),
    (Tone::Brisk, "{n}，{b}"),
    (Tone::Brisk, "{a}。{b}"),
    (Tone::Brisk, "{n}。{a}"),
];

impl Proposer for Templates {
    fn id(&self) -> &'static str {
        "templates"
    }

    fn draft(&self, material: &Material<'_>, rng: &mut Rng) -> Option<String> {
        let patterns: &[(Tone, &str)] =
            if material.brief.language == Language::Zh { &CHINESE } else { &ENGLISH };
        let own: Vec<&str> =
            patterns.iter().filter(|(tone, _)| *tone == material.brief.tone).map(|(_, p)| *p).collect();
        let words = wordings(material);
        let (pattern, one) = (drawn(&own, rng)?, drawn(&words, rng)?);
        let others: Vec<_> = words.iter().filter(|(place, _)| *place != one.0).collect();
        let other = drawn(&others, rng).map_or(one, |other| *other);
        if pattern.contains("{a}") && (pattern.contains("{b}") || pattern.contains("{A}")) && other.0 == one.0
        {
            return None;
        }
        let second = if pattern.contains("{a}") { other } else { one };
        let name = drawn(&material.known.names, rng)?;
        let text = pattern
            .replace("{n}", name)
            .replace("{a}", &opening(&one.1))
            .replace("{A}", &opening(&second.1))
            .replace("{b}", &inside(&second.1, material.known));
        Some(opening(&text))
    }
}
