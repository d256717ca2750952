//! How is a text stored whose cells come again and again? Each distinct cell once, and a code for every row.
//!
//! A cell that was met before is neither classified nor copied again: looking it up is all that it costs.

use super::build::text_of;
use super::guess::{CellClass, Guess, classify};
use crate::base::Result;
use crate::data::enumerated::{self, MOST_WORDS};
use crate::data::keyed::Codes;
use crate::data::text_codes::TextCodes;
use polars::prelude::Series;

/// The cells of a piece of a column.
#[derive(Default)]
pub(super) struct Words {
    codes: Codes,
    known: TextCodes<Box<str>>,
    words: Vec<Word>,
    /// Words that came again since they were last counted.
    again: Vec<u32>,
}

struct Word {
    text: Box<str>,
    class: CellClass,
    /// True when it is text whatever it looks like.
    is_string: bool,
    /// How often it came again since that was last counted.
    again: u64,
}

impl Words {
    /// No cells, with room for the codes of so many.
    pub fn with_room(rows: usize) -> Self {
        Self { codes: Codes::with_room(0, rows), ..Self::default() }
    }

    /// Bytes that the cells take; the distinct ones are few.
    pub fn bytes(&self) -> u64 {
        (self.codes.width() * self.codes.len()) as u64
    }

    /// Looks at a cell: at once where it is new, else when [`count`](Self::count) is called. The answer is its code;
    /// `None` when there are too many distinct ones.
    pub fn see(&mut self, cell: &str, is_string: bool, guess: &mut Guess) -> Option<u32> {
        let known = self.known.get(cell);
        if let Some(code) = known
            && let Some(word) = self.words.get_mut(code as usize)
            && word.is_string == is_string
        {
            if word.again == 0 {
                self.again.push(code);
            }
            word.again += 1;
            return known;
        }
        if is_string {
            guess.see_string(cell)
        } else {
            guess.see_as(cell, classify(cell))
        }
        known.or_else(|| (self.words.len() < MOST_WORDS).then(|| self.add(cell, is_string)))
    }

    /// Stores a cell by its code.
    pub fn push_code(&mut self, code: u32) {
        self.codes.push(code);
    }

    /// Tells a guess how often each word came again.
    pub fn count(&mut self, guess: &mut Guess) {
        for code in self.again.drain(..) {
            if let Some(word) = self.words.get_mut(code as usize) {
                let times = std::mem::take(&mut word.again);
                if word.is_string {
                    guess.see_string_again(&word.text, times);
                } else {
                    guess.see_again(&word.text, word.class, times);
                }
            }
        }
    }

    /// Stores a cell; false when there are too many distinct ones.
    pub fn push(&mut self, cell: &str, is_string: bool) -> bool {
        let code = match self.known.get(cell) {
            Some(code) => code,
            None if self.words.len() < MOST_WORDS => self.add(cell, is_string),
            None => return false,
        };
        self.codes.push(code);
        true
    }

    fn add(&mut self, cell: &str, is_string: bool) -> u32 {
        let code = self.words.len() as u32;
        self.words.push(Word { text: cell.into(), class: classify(cell), is_string, again: 0 });
        self.known.insert(cell, code, || cell.into());
        code
    }

    /// The cells that are stored.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        let codes = (0..self.codes.len()).map(|row| self.codes.get(row));
        codes.filter_map(|code| self.words.get(code as usize)).map(|word| &*word.text)
    }

    /// The finished piece.
    ///
    /// # Errors
    /// Only if polars refuses its own enum.
    pub fn finish(self, name: &str) -> Result<Series> {
        let words: Vec<Option<&str>> = self.words.iter().map(|word| text_of(&word.text)).collect();
        enumerated::column(name, &words, self.codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_cells_that_were_stored() {
        let mut words = Words::default();
        let mut guess = Guess::default();
        let cells = ["a", "b", "", "a", "a", "--", "b"];
        for cell in cells {
            let code = words.see(cell, false, &mut guess).unwrap();
            words.push_code(code);
        }
        assert_eq!(words.cells().collect::<Vec<_>>(), cells);
        words.count(&mut guess);
        let mut expected = Guess::default();
        cells.iter().for_each(|cell| expected.see(cell));
        assert_eq!(format!("{guess:?}"), format!("{expected:?}"));
        let series = words.finish("c").unwrap();
        let stored: Vec<_> = enumerated::texts(&series).unwrap().collect();
        assert_eq!(stored, [Some("a"), Some("b"), None, Some("a"), Some("a"), None, Some("b")]);
    }

    #[test]
    fn too_many_words_are_told() {
        let mut words = Words::default();
        assert!((0..MOST_WORDS).all(|row| words.push(&row.to_string(), false)));
        assert!(words.push("7", false) && !words.push("x", false));
        assert_eq!(words.cells().count(), MOST_WORDS + 1);
    }
}
