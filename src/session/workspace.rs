//! How do we look? The part of the state that outlives the program: small, serialisable.

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
        Self { panel: "welcome".to_owned(), dark: true, recent: Vec::new(), audiences: Vec::new() }
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
