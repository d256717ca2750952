//! Which font has a character, how wide is it, and where may a line break? The program's own fonts for Latin, the
//! machine's for everything else.

use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use fontique::{Blob, Collection, CollectionOptions, FallbackKey, GenericFamily, Language, QueryFamily};
use fontique::{QueryFont, QueryStatus, Script, SourceCache};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use subsetter::GlyphRemapper;

/// How words are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Text,
    /// Commands.
    Fixed,
}

/// The fonts of a document and what they have; made for its characters, so that a font is opened once.
pub(super) struct Letters {
    pub fonts: Vec<Used>,
    glyphs: [BTreeMap<char, Glyph>; 2],
    /// Characters that no font of this machine has; drawn as boxes.
    pub without_font: BTreeSet<char>,
}

/// A font and those of its glyphs that are used.
pub(super) struct Used {
    /// The file and the place of the font in it.
    pub file: Blob<u8>,
    pub index: u32,
    /// From the glyphs' numbers in the file to those in the document.
    pub renumbered: GlyphRemapper,
    /// What each glyph of the document stands for, and its advance in parts of the letters' size.
    pub letters: BTreeMap<u16, (char, f32)>,
}

#[derive(Clone, Copy)]
struct Glyph {
    font: usize,
    /// In the document.
    id: u16,
    /// In parts of the letters' size.
    advance: f32,
}

/// Letters of one font, to be drawn one after the other.
pub(super) struct Run {
    pub font: usize,
    /// Numbers of the glyphs in the document, two bytes each.
    pub glyphs: Vec<u8>,
    /// In parts of the letters' size.
    pub width: f32,
}

impl Letters {
    /// The fonts that `words` needs.
    pub fn of(words: &str) -> Self {
        let mut letters = Self {
            fonts: Vec::new(),
            glyphs: [BTreeMap::new(), BTreeMap::new()],
            without_font: BTreeSet::new(),
        };
        let all: BTreeSet<char> = words.chars().filter(|letter| !letter.is_control()).collect();
        let mut missing = BTreeSet::new();
        for (bytes, face) in [(UBUNTU_LIGHT, Face::Text), (HACK_REGULAR, Face::Fixed)] {
            let found = letters.take(Blob::new(Arc::new(bytes)), 0, &all, &[face]);
            missing.extend(all.difference(&found));
        }
        for (file, index) in installed_for(&missing) {
            let found = letters.take(file, index, &missing, &[Face::Text, Face::Fixed]);
            missing.retain(|letter| !found.contains(letter));
        }
        // What no font has is drawn as the box of the program's own.
        for glyphs in &mut letters.glyphs {
            for &letter in &all {
                glyphs.entry(letter).or_insert(Glyph { font: 0, id: 0, advance: 0.6 });
            }
        }
        letters.without_font = missing;
        letters
    }

    /// Takes a font for those of `wanted` that it has and that the faces lack; tells which it has.
    fn take(
        &mut self,
        file: Blob<u8>,
        index: u32,
        wanted: &BTreeSet<char>,
        faces: &[Face],
    ) -> BTreeSet<char> {
        let mut found = BTreeSet::new();
        let mut renumbered = GlyphRemapper::new();
        let mut letters = BTreeMap::new();
        let Ok(font) = FontRef::from_index(file.as_ref(), index) else { return found };
        let (map, outlines) = (font.charmap(), font.outline_glyphs());
        let widths = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        for &letter in wanted {
            let Some(glyph) = map.map(letter).filter(|id| outlines.get(*id).is_some()) else { continue };
            let Some(in_file) = u16::try_from(glyph.to_u32()).ok().filter(|id| *id != 0) else { continue };
            let (id, advance) = (renumbered.remap(in_file), widths.advance_width(glyph).unwrap_or(1.0));
            letters.insert(id, (letter, advance));
            for &face in faces {
                let glyph = Glyph { font: self.fonts.len(), id, advance };
                self.glyphs[face as usize].entry(letter).or_insert(glyph);
            }
            found.insert(letter);
        }
        if !found.is_empty() || self.fonts.is_empty() {
            self.fonts.push(Used { file, index, renumbered, letters });
        }
        found
    }

    fn glyph(&self, face: Face, letter: char) -> Option<Glyph> {
        self.glyphs[face as usize].get(&letter).copied()
    }

    /// Width in parts of the letters' size.
    pub fn width(&self, face: Face, words: &str) -> f32 {
        words.chars().filter_map(|letter| self.glyph(face, letter)).map(|glyph| glyph.advance).sum()
    }

    /// The words as runs of one font each, from left to right.
    pub fn runs(&self, face: Face, words: &str) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for glyph in words.chars().filter_map(|letter| self.glyph(face, letter)) {
            if runs.last().is_none_or(|run| run.font != glyph.font) {
                runs.push(Run { font: glyph.font, glyphs: Vec::new(), width: 0.0 });
            }
            if let Some(run) = runs.last_mut() {
                run.glyphs.extend(glyph.id.to_be_bytes());
                run.width += glyph.advance;
            }
        }
        runs
    }

    /// Widest piece that cannot be broken between words.
    pub fn widest_piece(&self, face: Face, words: &str) -> f32 {
        pieces(words).map(|piece| self.width(face, piece.trim_end())).fold(0.0, f32::max)
    }

    /// Lines of at most `width` parts of the letters' size; a piece that is wider is broken between letters.
    pub fn lines(&self, face: Face, words: &str, width: f32) -> Vec<String> {
        let mut lines = vec![String::new()];
        let mut used = 0.0;
        for piece in pieces(words) {
            let wide = self.width(face, piece.trim_end());
            if used > 0.0 && used + wide > width {
                lines.push(String::new());
                used = 0.0;
            }
            for letter in piece.chars() {
                let advance = self.glyph(face, letter).map_or(0.0, |glyph| glyph.advance);
                if used > 0.0 && used + advance > width && !letter.is_whitespace() {
                    lines.push(String::new());
                    used = 0.0;
                }
                if let Some(line) = lines.last_mut() {
                    line.push(letter);
                }
                used += advance;
            }
        }
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// Where a line may break: after spaces, and before and after each wide letter.
fn pieces(words: &str) -> impl Iterator<Item = &str> {
    let wide = |letter: char| ('\u{2e80}'..'\u{fb00}').contains(&letter) || letter > '\u{1f000}';
    let mut rest = words;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let mut end = first.len_utf8();
        let mut last = first;
        for letter in rest[end..].chars() {
            if last == ' ' && letter != ' ' || wide(letter) || wide(last) && letter != ' ' {
                break;
            }
            end += letter.len_utf8();
            last = letter;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// Fonts of this machine that have one of the letters, those for Chinese in its simplified form first.
///
/// A machine without any fonts makes fontique 0.11 panic where it looks for them: it has none then.
fn installed_for(letters: &BTreeSet<char>) -> Vec<(Blob<u8>, u32)> {
    if letters.is_empty() {
        return Vec::new();
    }
    catch_unwind(AssertUnwindSafe(|| search(letters))).unwrap_or_default()
}

fn search(letters: &BTreeSet<char>) -> Vec<(Blob<u8>, u32)> {
    let mut collection = Collection::new(CollectionOptions { shared: false, system_fonts: true });
    let mut sources = SourceCache::default();
    let mut missing = letters.clone();
    let mut found = Vec::new();
    let mut look = |font: &QueryFont| {
        let has = |letter: &char| font.charmap().and_then(|map| map.map(*letter)).is_some_and(|id| id != 0);
        let before = missing.len();
        missing.retain(|letter| !has(letter));
        if missing.len() < before {
            found.push((font.blob.clone(), font.index));
        }
        if missing.is_empty() { QueryStatus::Stop } else { QueryStatus::Continue }
    };
    let general = [GenericFamily::SansSerif, GenericFamily::SystemUi, GenericFamily::Serif];
    {
        let mut query = collection.query(&mut sources);
        query.set_families(general.map(QueryFamily::Generic));
        // `zh-CN` is fontique's default for these letters, whose font may be Japanese: `zh-SG` is not.
        let chinese = Language::parse("zh-SG").ok();
        query.set_fallbacks(FallbackKey::new(Script::from_bytes(*b"Hani"), chinese.as_ref()));
        query.matches_with(&mut look);
    }
    let mut names: Vec<String> = collection.family_names().map(str::to_owned).collect();
    names.sort_unstable();
    let mut query = collection.query(&mut sources);
    query.set_families(names.iter().map(|name| QueryFamily::Named(name)));
    query.matches_with(&mut look);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_between_wide_letters() {
        let found: Vec<&str> = pieces("a long word 上海 a/b").collect();
        assert_eq!(found, ["a ", "long ", "word ", "上", "海 ", "a/b"]);
        let letters = Letters::of("a long word0123456789");
        let width = letters.width(Face::Text, "a long");
        assert_eq!(letters.lines(Face::Text, "a long word", width), ["a long", "word"]);
        // A piece wider than a line is broken where the line ends.
        let width = letters.width(Face::Fixed, "01234");
        assert_eq!(letters.lines(Face::Fixed, "0123456789", width), ["01234", "56789"]);
        assert_eq!(letters.lines(Face::Text, "", 1.0), [""]);
    }

    #[test]
    fn fixed_letters_are_equally_wide_and_none_is_lost() {
        let letters = Letters::of("iW±–");
        let [narrow, wide] = ["i", "W"].map(|word| letters.width(Face::Fixed, word));
        assert!((narrow - wide).abs() < 1e-6 && narrow > 0.5, "{narrow} {wide}");
        assert!(letters.without_font.is_empty(), "{:?}", letters.without_font);
        let runs = letters.runs(Face::Text, "i±W");
        let ids: Vec<u16> = runs
            .iter()
            .flat_map(|run| run.glyphs.chunks(2))
            .map(|id| u16::from_be_bytes([id[0], id[1]]))
            .collect();
        let found: String = ids.iter().map(|id| letters.fonts[0].letters[id].0).collect();
        assert_eq!(found, "i±W");
        // No font has a private letter: it is told, and drawn as a box.
        let letters = Letters::of("a\u{f8fe}");
        assert!(letters.width(Face::Text, "\u{f8fe}") > 0.0);
    }
}
