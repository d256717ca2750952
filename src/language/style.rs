//! In which language and manner is a text written?

use super::words::{Kind, Token, is_han, seen_characters, tokens};
use serde::Serialize;

/// A language that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Chinese.
    Chinese,
    /// English.
    English,
    /// Japanese.
    Japanese,
    /// Korean.
    Korean,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Portuguese.
    Portuguese,
    /// Italian.
    Italian,
    /// Russian.
    Russian,
    /// Arabic.
    Arabic,
}

/// Frequent short words by which languages of one script differ.
const TELLING: &[(Language, &[&str])] = &[
    (
        Language::English,
        &[
            "the", "and", "of", "to", "for", "with", "your", "you", "is", "are", "on", "in", "from", "this",
            "our", "now", "off", "free", "new", "get", "buy", "save", "all", "only", "by", "how", "it",
            "that", "at", "or", "up", "be",
        ],
    ),
    (
        Language::German,
        &[
            "der", "die", "das", "und", "mit", "für", "von", "ist", "jetzt", "nur", "auf", "ein", "eine",
            "zum", "im", "sie", "ihr",
        ],
    ),
    (
        Language::French,
        &[
            "le", "la", "les", "des", "et", "pour", "avec", "votre", "vos", "une", "du", "sur", "est", "nos",
            "vous", "au", "dès",
        ],
    ),
    (
        Language::Spanish,
        &[
            "el", "los", "las", "para", "con", "tu", "una", "del", "y", "en", "por", "es", "más", "ahora",
            "su", "gratis",
        ],
    ),
    (
        Language::Portuguese,
        &[
            "o", "os", "as", "para", "com", "seu", "sua", "uma", "do", "da", "e", "em", "não", "mais",
            "agora", "você",
        ],
    ),
    (
        Language::Italian,
        &[
            "il", "lo", "gli", "per", "con", "tuo", "una", "della", "di", "e", "che", "non", "più", "ora",
            "dei", "sono",
        ],
    ),
];

const GOOD: &[&str] = &[
    "love",
    "great",
    "best",
    "amazing",
    "perfect",
    "easy",
    "happy",
    "fresh",
    "beautiful",
    "comfortable",
    "free",
    "safe",
    "fast",
    "soft",
    "delicious",
    "enjoy",
    "new",
    "favourite",
    "favorite",
    "win",
    "喜欢",
    "优质",
    "舒适",
    "轻松",
    "美味",
    "精美",
    "放心",
    "新鲜",
    "快乐",
    "漂亮",
    "惊喜",
    "优惠",
    "免费",
    "安全",
    "爱",
];
const BAD: &[&str] = &[
    "hate",
    "worst",
    "bad",
    "pain",
    "tired",
    "boring",
    "problem",
    "problems",
    "expensive",
    "never",
    "fear",
    "risk",
    "lose",
    "stop",
    "wrong",
    "烦恼",
    "痛苦",
    "疲惫",
    "昂贵",
    "担心",
    "问题",
    "害怕",
    "后悔",
    "差",
    "坏",
];

/// What can be counted about the manner of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Style {
    /// Characters that a person sees.
    pub characters: usize,
    /// Words and numbers.
    pub words: usize,
    /// Different words over words; 0 without words.
    pub variety: f64,
    /// Mean letters of a word; 0 without words.
    pub word_length: f64,
    /// Sentences, by their end marks; at least 1 where there is a word.
    pub sentences: usize,
    /// Capitals among the letters that have both forms.
    pub capitals: f64,
    /// Exclamation marks.
    pub exclamations: usize,
    /// Question marks.
    pub questions: usize,
    /// Numbers.
    pub numbers: usize,
    /// Emoji.
    pub emoji: usize,
    /// Good words less bad ones over words, -1 to 1: a count of listed words, no understanding.
    pub sentiment: f64,
}

/// The language of a text and how sure that is: the share of its evidence that speaks for it. `None` where nothing does.
pub fn language_of(text: &str) -> Option<(Language, f64)> {
    let mut scripts = [0usize; 6];
    for c in text.chars() {
        match c {
            '\u{3040}'..='\u{30FF}' => scripts[1] += 1,
            '\u{AC00}'..='\u{D7AF}' => scripts[2] += 1,
            '\u{0400}'..='\u{04FF}' => scripts[3] += 1,
            '\u{0600}'..='\u{06FF}' => scripts[4] += 1,
            c if is_han(c) => scripts[0] += 1,
            c if c.is_alphabetic() => scripts[5] += 1,
            _ => {}
        }
    }
    // A Chinese character says about as much as two Latin letters; Japanese has both kana and Chinese characters.
    let [han, kana, hangul, cyrillic, arabic, latin] = scripts;
    let japanese = if kana > 0 { 2 * (kana + han) } else { 0 };
    let chinese = if kana > 0 { 0 } else { 2 * han };
    let by_script = [
        (Language::Chinese, chinese),
        (Language::Japanese, japanese),
        (Language::Korean, 2 * hangul),
        (Language::Russian, cyrillic),
        (Language::Arabic, arabic),
    ];
    let total = by_script.iter().map(|(_, count)| count).sum::<usize>() + latin;
    let (best, most) = by_script.into_iter().max_by_key(|(_, count)| *count)?;
    if total == 0 {
        return None;
    }
    if most >= latin {
        return Some((best, most as f64 / total as f64));
    }
    let (language, share) = latin_language(&tokens(text))?;
    Some((language, share * latin as f64 / total as f64))
}

fn latin_language(tokens: &[Token]) -> Option<(Language, f64)> {
    let count = |words: &[&str]| tokens.iter().filter(|token| words.contains(&token.text.as_str())).count();
    let scored: Vec<(Language, usize)> =
        TELLING.iter().map(|(language, words)| (*language, count(words))).collect();
    let all: usize = scored.iter().map(|(_, count)| count).sum();
    let most = scored.iter().map(|(_, count)| *count).max()?;
    if most == 0 {
        // Without a telling word letters alone are weak evidence, most of all for English.
        let plain = tokens.iter().all(|token| token.text.is_ascii());
        return plain.then_some((Language::English, 0.5));
    }
    scored
        .into_iter()
        .find(|(_, count)| *count == most)
        .map(|(language, count)| (language, count as f64 / all as f64))
}

/// The manner of a text.
pub fn style_of(text: &str) -> Style {
    let tokens = tokens(text);
    let words: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Mark).collect();
    let mark = |marks: &[char]| text.chars().filter(|c| marks.contains(c)).count();
    let ends = tokens
        .windows(2)
        .filter(|pair| {
            matches!(pair[0].text.as_str(), "." | "!" | "?" | "。" | "…") && pair[1].kind != Kind::Mark
        })
        .count();
    let different: std::collections::HashSet<&str> = words.iter().map(|token| token.text.as_str()).collect();
    let share = |part: f64, whole: usize| if whole == 0 { 0.0 } else { part / whole as f64 };
    let letters: usize = words.iter().map(|token| token.text.chars().count()).sum();
    let (upper, cased) = text.chars().fold((0usize, 0usize), |(upper, cased), c| {
        (upper + usize::from(c.is_uppercase()), cased + usize::from(c.is_uppercase() || c.is_lowercase()))
    });
    let listed =
        |list: &[&str]| words.iter().filter(|token| list.contains(&token.text.as_str())).count() as f64;
    Style {
        characters: seen_characters(text),
        words: words.len(),
        variety: share(different.len() as f64, words.len()),
        word_length: share(letters as f64, words.len()),
        sentences: if words.is_empty() { 0 } else { ends + 1 },
        capitals: share(upper as f64, cased),
        exclamations: mark(&['!', '！']),
        questions: mark(&['?', '？']),
        numbers: words.iter().filter(|token| token.kind == Kind::Number).count(),
        emoji: tokens.iter().filter(|token| token.text.chars().next().is_some_and(is_emoji)).count(),
        sentiment: share(listed(GOOD) - listed(BAD), words.len()),
    }
}

/// True for characters that are shown as pictures.
pub fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1F300}'..='\u{1FAFF}' | '\u{2600}'..='\u{27BF}' | '\u{1F1E6}'..='\u{1F1FF}' | '\u{2B50}' | '\u{2B55}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_script_and_small_words() {
        for (text, wanted) in [
            ("Running shoes for your first marathon", Language::English),
            ("新款跑鞋 轻便透气", Language::Chinese),
            ("Nike 新款跑鞋", Language::Chinese),
            ("軽いランニングシューズ", Language::Japanese),
            ("가벼운 러닝화", Language::Korean),
            ("Laufschuhe für den Marathon und mehr", Language::German),
            ("Des chaussures pour votre marathon", Language::French),
            ("Zapatillas para el maratón con envío gratis", Language::Spanish),
            ("Лёгкие кроссовки", Language::Russian),
            ("أحذية خفيفة", Language::Arabic),
        ] {
            assert_eq!(language_of(text).map(|(language, _)| language), Some(wanted), "{text}");
        }
        assert_eq!(language_of("12 % 🙂"), None);
        assert!(
            language_of("Nimbus Pro").is_some_and(|(_, sure)| sure <= 0.5),
            "two names are weak evidence"
        );
    }

    #[test]
    fn manner_is_counted() {
        let style = style_of("BIG sale! Save now 🙂. Really?");
        assert_eq!((style.words, style.sentences, style.exclamations, style.questions), (5, 3, 1, 1));
        assert_eq!((style.emoji, style.numbers), (1, 0));
        assert!((style.capitals - 5.0 / 20.0).abs() < 1e-9, "{}", style.capitals);
        assert!(style_of("I love this great shoe").sentiment > 0.0);
        assert!(style_of("昂贵的问题").sentiment < 0.0);
        let none = style_of("");
        assert_eq!((none.words, none.sentences, none.variety), (0, 0, 0.0));
    }
}
