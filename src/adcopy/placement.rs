//! How much room does a placement give, and how much does a text take?
//!
//! Room is counted in user-perceived characters (extended grapheme clusters, Unicode Standard Annex 29); where a
//! placement says so, a double-width one (Annex 11, wide or full-width) counts as two.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Where a text is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Stable name: `google_headline`.
    pub id: String,
    /// The words in a menu.
    pub label: String,
    /// Units of room.
    pub units: usize,
    /// Units that a double-width character takes: 1 or 2.
    pub wide: usize,
    /// True for headlines, which have stricter editorial rules.
    #[serde(default)]
    pub headline: bool,
    /// Where the limit is said.
    #[serde(default)]
    pub source: String,
}

impl Placement {
    /// Units that a text takes.
    pub fn units_of(&self, text: &str) -> usize {
        text.graphemes(true).map(|cluster| self.units_of_one(cluster)).sum()
    }

    /// The part of a text that has no room; `None` where all fits.
    pub fn beyond(&self, text: &str) -> Option<Range<usize>> {
        let mut taken = 0;
        for (at, cluster) in text.grapheme_indices(true) {
            taken += self.units_of_one(cluster);
            if taken > self.units {
                return Some(at..text.len());
            }
        }
        None
    }

    fn units_of_one(&self, cluster: &str) -> usize {
        if self.wide > 1 && cluster.width() > 1 { self.wide } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(units: usize, wide: usize) -> Placement {
        Placement { id: "p".into(), label: "P".into(), units, wide, headline: true, source: String::new() }
    }

    #[test]
    fn characters_are_counted_as_people_see_them() {
        // A family of four joined by ZWJ, an e with a combining accent, a flag: one each.
        assert_eq!(place(30, 1).units_of("👨‍👩‍👧‍👦e\u{301}🇨🇳"), 3);
        assert_eq!(place(30, 2).units_of("👨‍👩‍👧‍👦e\u{301}🇨🇳"), 5);
        assert_eq!(place(30, 2).units_of("新茶上市 now"), 12);
        assert_eq!(place(30, 1).units_of("新茶上市 now"), 8);
        // Arabic and half-width katakana are single.
        assert_eq!(place(30, 2).units_of("سلام ｶﾀ"), 7);
    }

    #[test]
    fn what_has_no_room_begins_at_a_whole_character() {
        let text = "一二三四五";
        assert_eq!(place(9, 2).beyond(text), Some(12..15));
        assert_eq!(place(10, 2).beyond(text), None);
    }
}
