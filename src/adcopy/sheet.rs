//! What is true of the product? The sheet that every claim of a text must follow from.

use super::claim::{Claim, claims};
use super::plain;
use super::rulebook::Rulebook;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result, failure::Explain};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Facts at most: more is no sheet.
const MOST_FACTS: usize = 500;
/// Letters of a fact at most.
const LONGEST_FACT: usize = 600;

/// A product and what may be said of it, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductSheet {
    /// What is advertised, as it is called: `TrailFox 3 running shoe`.
    pub product: String,
    /// Who advertises.
    pub advertiser: String,
    /// What kind of thing it is, as the log calls it.
    pub category: String,
    /// Other names that may be said: brand, series, partners.
    pub names: Vec<String>,
    /// What is true of it.
    pub facts: Vec<Fact>,
    /// Who must not be named.
    pub competitors: Vec<String>,
    /// Whose rights the words are under: goes with every text that leaves.
    pub rights: String,
}

/// One true thing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fact {
    /// Stable name: `price`.
    pub id: String,
    /// The fact in words: `costs $89`, `重 240 克`.
    pub text: String,
    /// The same in words that fit an advertisement, for the proposers; empty: the fact itself.
    pub say: Vec<String>,
    /// Where it is proven: a superlative needs it.
    pub proof: String,
    /// True for what is offered for less: who gets it is a question of fairness.
    pub offer: bool,
}

/// A sheet with its claims read: to be asked again and again.
#[derive(Debug, Clone)]
pub struct KnownSheet {
    /// The sheet.
    pub sheet: ProductSheet,
    /// Claims of each fact.
    pub claims: Vec<Vec<Claim>>,
    /// Names that may be said, longest first.
    pub names: Vec<String>,
    /// The words of each fact in lower case.
    pub words: Vec<Vec<String>>,
    /// What is wrong with the sheet itself: orders to a language model, control characters.
    pub warnings: Vec<String>,
    /// Places of facts that no language model is shown, for the same reasons.
    pub kept_back: Vec<usize>,
    /// True where that is so of the product or the advertiser.
    pub heads_kept_back: bool,
}

impl ProductSheet {
    /// Reads a sheet.
    ///
    /// # Errors
    /// No such file, no sheet in it, or a sheet that says nothing.
    pub fn read(path: &Path) -> Result<Self> {
        let what = "cannot read the product sheet";
        let text = std::fs::read_to_string(path).map_err(|error| disk_failure(what, path, &error))?;
        let sheet: Self = serde_json::from_str(&text).explain(what).map_err(|failure| {
            failure.at(path.display()).hint("sample_data/adcopy/sheet_en.json shows what one looks like")
        })?;
        sheet.check().map_err(|failure| failure.at(path.display()))?;
        Ok(sheet)
    }

    /// Refuses a sheet that nothing can be held against.
    ///
    /// # Errors
    /// No product, no facts, two facts of one name, or facts beyond all reason.
    pub fn check(&self) -> Result<()> {
        let refuse = |why: String, hint: &str| {
            Err(Failure::new("cannot use the product sheet", why).hint(hint.to_owned()))
        };
        let blank = |text: &str| text.trim().is_empty();
        if blank(&self.product) {
            return refuse("it names no product".to_owned(), "\"product\": \"TrailFox 3 running shoe\"");
        }
        if self.facts.is_empty() || self.facts.iter().all(|fact| blank(&fact.text)) {
            return refuse(
                "it holds no facts, so nothing could be said".to_owned(),
                "write down what is true",
            );
        }
        if self.facts.len() > MOST_FACTS {
            return refuse(format!("it holds {} facts", self.facts.len()), "500 at most");
        }
        for (place, fact) in self.facts.iter().enumerate() {
            let name = if blank(&fact.id) { format!("{}", place + 1) } else { format!("'{}'", fact.id) };
            if blank(&fact.id) || blank(&fact.text) {
                return refuse(
                    format!("fact {name} lacks its name or its text"),
                    "each fact has id and text",
                );
            }
            if self.facts[..place].iter().any(|other| other.id == fact.id) {
                return refuse(format!("two facts are called {name}"), "give each its own name");
            }
            if fact.text.chars().count() > LONGEST_FACT {
                return refuse(format!("fact {name} is longer than 600 letters"), "one thing a fact");
            }
        }
        Ok(())
    }

    /// Reads the claims of its facts.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn known(&self, book: &Rulebook) -> Result<KnownSheet> {
        self.check()?;
        let mut names: Vec<String> = std::iter::once(&self.product)
            .chain(std::iter::once(&self.advertiser))
            .chain(&self.names)
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        // The names are not hidden here: a figure of a name is no fact, but a fact may be about a name.
        let claims = self.facts.iter().map(|fact| {
            let said = fact.say.iter().map(String::as_str);
            std::iter::once(fact.text.as_str())
                .chain(said)
                .flat_map(|text| claims(text, &names, book))
                .collect()
        });
        let words = self.facts.iter().map(|fact| {
            let said = fact.say.iter().map(String::as_str);
            std::iter::once(fact.text.as_str()).chain(said).flat_map(plain::tokens).collect()
        });
        let (places, warnings): (Vec<_>, Vec<_>) = self.warnings(book).into_iter().unzip();
        Ok(KnownSheet {
            claims: claims.collect(),
            words: words.collect(),
            heads_kept_back: places.contains(&None),
            kept_back: places.into_iter().flatten().collect(),
            warnings,
            names,
            sheet: self.clone(),
        })
    }

    /// What in the sheet would do harm in a prompt, or cannot be seen, with the place of the fact.
    fn warnings(&self, book: &Rulebook) -> Vec<(Option<usize>, String)> {
        let facts = self.facts.iter().enumerate().flat_map(|(place, fact)| {
            let whose = format!("fact '{}'", fact.id);
            std::iter::once(&fact.text).chain(&fact.say).map(move |text| (Some(place), whose.clone(), text))
        });
        let heads = [("product", &self.product), ("advertiser", &self.advertiser)];
        let heads = heads.into_iter().map(|(whose, text)| (None, whose.to_owned(), text));
        heads
            .chain(facts)
            .filter_map(|(place, whose, text)| {
                let injected = book.rules.iter().find(|rule| {
                    rule.name == "injection.injection" && rule.pattern.is_match(&plain::Plain::of(text).text)
                });
                let why = match injected {
                    Some(rule) => rule.why.clone(),
                    None if text.contains(super::editorial::is_unseen) => {
                        "holds characters that cannot be seen".into()
                    }
                    None => return None,
                };
                Some((place, format!("{whose} {why}; no language model is shown it")))
            })
            .collect()
    }
}

impl KnownSheet {
    /// The fact of a place.
    pub fn fact(&self, place: usize) -> Option<&Fact> {
        self.sheet.facts.get(place)
    }
}
