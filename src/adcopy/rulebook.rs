//! Which rules hold? Placements, units, words and rule packs: JSON files that a person may edit.
//!
//! The program carries its own set (`assets/adcopy/`). A folder given with `--rules` replaces the files that it holds.

use super::placement::Placement;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result, failure::Explain};
use regex::Regex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The files of a rulebook with the program's own text of each.
const FILES: [(&str, &str); 6] = [
    ("placements.json", include_str!("../../assets/adcopy/placements.json")),
    ("units.json", include_str!("../../assets/adcopy/units.json")),
    ("words.json", include_str!("../../assets/adcopy/words.json")),
    ("rules_en.json", include_str!("../../assets/adcopy/rules_en.json")),
    ("rules_zh.json", include_str!("../../assets/adcopy/rules_zh.json")),
    ("plain_words.json", include_str!("../../assets/adcopy/plain_words.json")),
];

/// Everything that texts are held against, compiled.
#[derive(Debug)]
pub struct Rulebook {
    /// Where texts may be shown.
    pub placements: Vec<Placement>,
    /// Spelling in lower case -> dimension and factor to its base unit.
    pub units: BTreeMap<String, (String, f64)>,
    /// Letters of the longest spelling of a unit.
    pub longest_unit: usize,
    /// Words that claim to be the most of something.
    pub superlatives: Vec<Regex>,
    /// Chinese words with 最 that claim nothing.
    pub superlative_exceptions: BTreeSet<String>,
    /// English words that end like a superlative and are none.
    pub est_exceptions: BTreeSet<String>,
    /// Properties that can be proven or disproven, by group.
    pub attributes: Vec<(String, Vec<Regex>)>,
    /// Capitalised words that name nobody.
    pub not_names: BTreeSet<String>,
    /// Words that claim nothing, English and Chinese: what a language model may write beside those of the sheet.
    pub plain_words: [BTreeSet<String>; 2],
    /// Praise that says nothing.
    pub puffery: Vec<Regex>,
    /// Columns that tell what people would not like to be told.
    pub sensitive_columns: Vec<String>,
    /// Value of such a column -> words that give it away.
    pub audience_words: BTreeMap<String, Vec<String>>,
    /// The rule packs, in the order of their files.
    pub rules: Vec<Rule>,
}

/// What lets a match of a rule pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unless {
    /// A fact of the product sheet says it in the same words.
    Fact,
    /// The text says when the offer ends, and so does the product sheet.
    EndDate,
}

/// One pattern that must not occur.
#[derive(Debug)]
pub struct Rule {
    /// `pack.id`: what a block names.
    pub name: String,
    /// What is wrong with a match, after "it".
    pub why: String,
    /// What must not occur.
    pub pattern: Regex,
    /// What lets a match pass.
    pub unless: Option<Unless>,
    /// What could stand instead; empty: nothing.
    pub instead: String,
}

#[derive(Deserialize)]
struct Unit {
    dimension: String,
    factor: f64,
    spellings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    superlatives: Vec<String>,
    superlative_exceptions: BTreeSet<String>,
    est_exceptions: BTreeSet<String>,
    attributes: Vec<AttributeWords>,
    not_names: BTreeSet<String>,
    puffery: Vec<String>,
    sensitive_columns: Vec<String>,
    audience_words: BTreeMap<String, Vec<String>>,
}

/// Words between spaces, by language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainWords {
    en: String,
    zh: String,
}

#[derive(Deserialize)]
struct AttributeWords {
    group: String,
    patterns: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    id: String,
    pack: String,
    why: String,
    pattern: String,
    #[serde(default)]
    unless: Option<Unless>,
    #[serde(default)]
    instead: String,
}

impl Rulebook {
    /// The program's own rules, compiled once.
    ///
    /// # Errors
    /// A file of the program's own is broken: a test reads them all.
    pub fn built_in() -> Result<Arc<Self>> {
        static BUILT_IN: OnceLock<Result<Arc<Rulebook>>> = OnceLock::new();
        BUILT_IN.get_or_init(|| Self::read(&|_| Ok(None)).map(Arc::new)).clone()
    }

    /// The program's rules with the files of a folder in place of their own.
    ///
    /// # Errors
    /// A file that cannot be read or is no such list, or a pattern that is none: named with its file and rule.
    pub fn from_folder(folder: &Path) -> Result<Arc<Self>> {
        let what = "cannot read the rules";
        if !folder.is_dir() {
            let hint = "a folder with any of placements.json, units.json, words.json, rules_en.json, rules_zh.json, plain_words.json";
            return Err(Failure::new(what, "there is no such folder").at(folder.display()).hint(hint));
        }
        let held = |name: &str| {
            let path = folder.join(name);
            match path.is_file() {
                false => Ok(None),
                true => std::fs::read_to_string(&path)
                    .map(Some)
                    .map_err(|error| disk_failure(what, &path, &error)),
            }
        };
        Self::read(&held).map(Arc::new)
    }

    /// A placement by its name.
    ///
    /// # Errors
    /// There is none; the known ones are listed.
    pub fn placement(&self, id: &str) -> Result<&Placement> {
        self.placements.iter().find(|placement| placement.id == id).ok_or_else(|| {
            let known: Vec<_> = self.placements.iter().map(|placement| placement.id.as_str()).collect();
            Failure::new("cannot find the placement", format!("there is no placement '{id}'"))
                .hint(format!("one of: {}", known.join(", ")))
        })
    }

    fn read(held: &dyn Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let text = |place: usize| -> Result<(&'static str, String)> {
            let (name, own) = FILES[place];
            Ok((name, held(name)?.unwrap_or_else(|| own.to_owned())))
        };
        let placements: Vec<Placement> = parsed(&text(0)?)?;
        if let Some(bad) = placements.iter().find(|p| p.units == 0 || !(1..=2).contains(&p.wide)) {
            let why = format!("'{}' must have room, and its wide characters count as 1 or 2", bad.id);
            return Err(Failure::new("cannot read the rules", why).at(FILES[0].0));
        }
        let mut units = BTreeMap::new();
        for unit in parsed::<Vec<Unit>>(&text(1)?)? {
            let meant = |spelling: String| (spelling.to_lowercase(), (unit.dimension.clone(), unit.factor));
            units.extend(unit.spellings.into_iter().map(meant));
        }
        let words: Words = parsed(&text(2)?)?;
        let plain: PlainWords = parsed(&text(5)?)?;
        let mut rules = Vec::new();
        for place in [3, 4] {
            let file = text(place)?;
            for rule in parsed::<Vec<RuleText>>(&file)? {
                rules.push(Rule {
                    pattern: compiled(&rule.pattern, file.0, &rule.id)?,
                    name: format!("{}.{}", rule.pack, rule.id),
                    why: rule.why,
                    unless: rule.unless,
                    instead: rule.instead,
                });
            }
        }
        let all = |patterns: &[String], whose: &str| -> Result<Vec<Regex>> {
            patterns.iter().map(|pattern| compiled(pattern, FILES[2].0, whose)).collect()
        };
        let attributes = words.attributes.iter();
        let attributes =
            attributes.map(|words| Ok((words.group.clone(), all(&words.patterns, &words.group)?)));
        Ok(Self {
            placements,
            longest_unit: units.keys().map(|spelling: &String| spelling.chars().count()).max().unwrap_or(0),
            units,
            superlatives: all(&words.superlatives, "superlatives")?,
            attributes: attributes.collect::<Result<_>>()?,
            puffery: all(&words.puffery, "puffery")?,
            plain_words: [plain.en, plain.zh]
                .map(|words| words.split_whitespace().map(str::to_owned).collect()),
            superlative_exceptions: words.superlative_exceptions,
            est_exceptions: words.est_exceptions,
            not_names: words.not_names,
            sensitive_columns: words.sensitive_columns,
            audience_words: words.audience_words,
            rules,
        })
    }
}

fn parsed<T: for<'a> Deserialize<'a>>((name, text): &(&'static str, String)) -> Result<T> {
    serde_json::from_str(text).explain("cannot read the rules").map_err(|failure| failure.at(name))
}

fn compiled(pattern: &str, file: &str, whose: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::new("cannot read the rules", why).at(format!("{file}, {whose}")).hint("a regular expression")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_own_rules_are_sound() {
        let book = Rulebook::built_in().unwrap();
        assert!(book.placements.len() > 5 && book.rules.len() > 20 && book.units.len() > 100);
        assert_eq!(book.placement("google_headline").unwrap().units, 30);
        assert!(book.placement("moon").unwrap_err().hint.contains("google_headline"));
        assert_eq!(book.units["kg"], ("mass".to_owned(), 1000.0));
    }

    #[test]
    fn a_folder_replaces_the_files_that_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let rule = r#"[{"id":"moon","pack":"own","why":"speaks of the moon","pattern":"(?i)moon"}]"#;
        std::fs::write(folder.path().join("rules_en.json"), rule).unwrap();
        let book = Rulebook::from_folder(folder.path()).unwrap();
        assert!(book.rules.iter().any(|rule| rule.name == "own.moon"));
        assert!(!book.rules.iter().any(|rule| rule.name == "prohibited.get_rich"));
        assert!(book.rules.iter().any(|rule| rule.name == "prohibited.law_9"), "the other files stay");
        std::fs::write(folder.path().join("rules_en.json"), rule.replace("(?i)moon", "(moon")).unwrap();
        let failure = Rulebook::from_folder(folder.path()).unwrap_err();
        assert_eq!(failure.place, "rules_en.json, moon", "{failure}");
    }
}
