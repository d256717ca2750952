//! What is to be written? A product, whom it is for, where it is shown, in which tone, with which words.

use super::rulebook::Rulebook;
use super::sheet::ProductSheet;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result, failure::Explain};
use crate::domain::segment::Segment;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Candidates at most.
const MOST: usize = 200;

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

impl Language {
    /// The language that a text is in.
    pub fn of(text: &str) -> Self {
        if super::plain::is_chinese(text) { Self::Zh } else { Self::En }
    }
}

/// How a text speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Facts first.
    #[default]
    Plain,
    /// To a person.
    Warm,
    /// Few words.
    Brisk,
}

/// A brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brief {
    /// What is true.
    pub sheet: ProductSheet,
    /// Whom it is for, as a segment of the log.
    pub audience: Segment,
    /// Where it is shown.
    pub placement: String,
    /// How it speaks.
    pub tone: Tone,
    /// In which language.
    pub language: Language,
    /// Words of which each text holds at least one; empty: none is asked for.
    pub must: Vec<String>,
    /// Words that no text holds.
    pub must_not: Vec<String>,
    /// Candidates that are wanted.
    pub candidates: usize,
    /// Start of every random draw.
    pub seed: u64,
}

impl Default for Brief {
    fn default() -> Self {
        Self {
            sheet: ProductSheet::default(),
            audience: Segment::All,
            placement: "google_headline".to_owned(),
            tone: Tone::Plain,
            language: Language::En,
            must: Vec::new(),
            must_not: Vec::new(),
            candidates: 12,
            seed: 1,
        }
    }
}

/// A brief in a file: its sheet inside, or in a file beside it.
#[derive(Deserialize)]
struct BriefFile {
    sheet: SheetSource,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SheetSource {
    File(PathBuf),
    Inside(ProductSheet),
}

impl Brief {
    /// Reads a brief whose sheet stands inside or in a file that is named relative to the brief.
    ///
    /// # Errors
    /// No such file, no brief in it, or a sheet that cannot be used.
    pub fn read(path: &Path) -> Result<Self> {
        let what = "cannot read the brief";
        let here = |failure: Failure| {
            failure.at(path.display()).hint("sample_data/adcopy/brief_en.json shows what one looks like")
        };
        let text = std::fs::read_to_string(path).map_err(|error| disk_failure(what, path, &error))?;
        let file: BriefFile = serde_json::from_str(&text).explain(what).map_err(here)?;
        let rest = serde_json::Value::Object(file.rest);
        let brief: Self = serde_json::from_value(rest).explain(what).map_err(here)?;
        let sheet = match file.sheet {
            SheetSource::Inside(sheet) => sheet,
            SheetSource::File(name) => {
                ProductSheet::read(&path.parent().unwrap_or(Path::new(".")).join(name))?
            }
        };
        Ok(Self { sheet, ..brief })
    }

    /// Refuses a brief that nothing can be written from.
    ///
    /// # Errors
    /// An unusable sheet, an unknown placement, no candidates or too many, a word that must and must not stand.
    pub fn check(&self, book: &Rulebook) -> Result<()> {
        self.sheet.check()?;
        book.placement(&self.placement)?;
        let what = "cannot write from the brief";
        if !(1..=MOST).contains(&self.candidates) {
            let why = format!("{} candidates are asked for", self.candidates);
            return Err(Failure::new(what, why).hint(format!("1 to {MOST}")));
        }
        if let Some(word) = self.must.iter().find(|word| self.must_not.contains(word)) {
            return Err(Failure::new(what, format!("'{word}' must and must not stand in it")));
        }
        Ok(())
    }

    /// True where a text holds a word that is asked for and none that is not.
    pub fn allows(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        let holds = |word: &String| lower.contains(&word.to_lowercase());
        (self.must.is_empty() || self.must.iter().any(holds)) && !self.must_not.iter().any(holds)
    }
}
