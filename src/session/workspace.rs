//! How do we look? The part of the state that outlives the program: small, serialisable.

use crate::data::ledger::USUAL_BUDGET;
use crate::data::query::people::USUAL_K;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is remembered between runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workspace {
    /// Id of the panel in view.
    pub panel: String,
    /// Dark or light.
    pub dark: bool,
    /// Files opened lately, newest first.
    pub recent: Vec<PathBuf>,
    /// Named audiences: segments saved by a person.
    pub audiences: Vec<Audience>,
    /// How people are protected.
    pub privacy: PrivacySettings,
    /// The language model that writes in the studio; `None` for none.
    pub language_model: Option<PathBuf>,
    /// The adapters that it writes under.
    pub language_adapters: Option<PathBuf>,
    /// The folder of the sentence encoder that reads the library; `None` for the built-in one.
    pub sentence_encoder: Option<PathBuf>,
    /// Where the words of advertisements are kept; `None` for the folder of this program.
    pub library: Option<PathBuf>,
}

/// How the people behind the rows are protected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrivacySettings {
    /// People that an audience or an exported cell must hold.
    pub k: usize,
    /// What may be spent on the people of a log in all reports together.
    pub budget: f64,
    /// Where the book of reports is kept; `None` for the folder of this program.
    pub folder: Option<PathBuf>,
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self { k: USUAL_K, budget: USUAL_BUDGET, folder: None }
    }
}

/// A named segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Its name.
    pub name: String,
    /// The segment's text form.
    pub segment: String,
}

/// Recent files kept.
const RECENT_KEPT: usize = 8;

impl Default for Workspace {
    fn default() -> Self {
        Self {
            panel: "welcome".to_owned(),
            dark: true,
            recent: Vec::new(),
            audiences: Vec::new(),
            privacy: PrivacySettings::default(),
            language_model: None,
            language_adapters: None,
            sentence_encoder: None,
            library: None,
        }
    }
}

impl Workspace {
    /// Puts a file on top of the recent ones.
    pub fn remember(&mut self, path: PathBuf) {
        self.recent.retain(|known| *known != path);
        self.recent.insert(0, path);
        self.recent.truncate(RECENT_KEPT);
    }
}
