//! What does a person see in a slot?

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One ad as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Creative {
    /// The ad's id, as in the log.
    pub ad: String,
    /// The campaign that it belongs to; empty when unknown.
    pub campaign: String,
    /// Who advertises; empty when unknown.
    pub advertiser: String,
    /// What is advertised; empty when unknown.
    pub category: String,
    /// The words on the ad; empty when unknown.
    pub text: String,
    /// True while nobody approved the words: they are marked wherever they are shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_draft: bool,
}

/// The known ads by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreativeLibrary(BTreeMap<String, Creative>);

impl CreativeLibrary {
    /// Collects creatives; of two with one id the later stays.
    pub fn new(creatives: impl IntoIterator<Item = Creative>) -> Self {
        Self(creatives.into_iter().map(|creative| (creative.ad.clone(), creative)).collect())
    }

    /// The creative of an ad.
    pub fn get(&self, ad: &str) -> Option<&Creative> {
        self.0.get(ad)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Creative> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_two_stays() {
        let creative = |text: &str| Creative { ad: "a1".into(), text: text.into(), ..Creative::default() };
        let library = CreativeLibrary::new([creative("old"), creative("新茶上市")]);
        assert_eq!(library.len(), 1);
        assert_eq!(library.get("a1").map(|c| c.text.as_str()), Some("新茶上市"));
    }
}
