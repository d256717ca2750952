//! Which texts were met before? Short ones, which most cells are, are compared as numbers.

use super::cells::Quick;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// Codes of texts. `K` is how a long text is kept.
#[derive(Debug)]
pub(in crate::data) struct TextCodes<K> {
    /// Short texts met last, each where its hash says: most columns have few, and this is one comparison.
    recent: Box<[(ShortText, u32); RECENT]>,
    short: HashMap<ShortText, u32, Quick>,
    long: HashMap<K, u32, Quick>,
}

const RECENT: usize = 128;

impl<K> Default for TextCodes<K> {
    fn default() -> Self {
        Self {
            recent: Box::new([(ShortText::NONE, 0); RECENT]),
            short: HashMap::default(),
            long: HashMap::default(),
        }
    }
}

impl<K: Borrow<str> + Hash + Eq> TextCodes<K> {
    /// The code of a text.
    pub fn get(&mut self, text: &str) -> Option<u32> {
        let Some(short) = ShortText::of(text) else { return self.long.get(text).copied() };
        let recent = &mut self.recent[short.slot()];
        if recent.0 == short {
            return Some(recent.1);
        }
        let code = self.short.get(&short).copied()?;
        *recent = (short, code);
        Some(code)
    }

    /// Gives a text a code.
    pub fn insert(&mut self, text: &str, code: u32, kept: impl FnOnce() -> K) {
        match ShortText::of(text) {
            Some(short) => {
                self.recent[short.slot()] = (short, code);
                self.short.insert(short, code)
            }
            None => self.long.insert(kept(), code),
        };
    }

    /// The code of a text, which is `next` where it is new.
    pub fn code(&mut self, text: &str, next: u32, kept: impl FnOnce() -> K) -> u32 {
        let Some(short) = ShortText::of(text) else { return *self.long.entry(kept()).or_insert(next) };
        let recent = &mut self.recent[short.slot()];
        if recent.0 != short {
            *recent = (short, *self.short.entry(short).or_insert(next));
        }
        recent.1
    }
}

/// A text of at most 16 bytes: its first and last bytes, which meet or overlap, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ShortText {
    first: u64,
    last: u64,
    length: u8,
}

impl ShortText {
    /// Equal to no text.
    const NONE: Self = Self { first: 0, last: 0, length: u8::MAX };

    #[inline]
    fn folded(self) -> u64 {
        self.first ^ self.last.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(self.length) << 56
    }

    /// Its place among the recent ones.
    #[inline]
    fn slot(self) -> usize {
        (self.folded().wrapping_mul(0xd6e8_feb8_6659_fd93) >> (64 - RECENT.trailing_zeros())) as usize
    }

    #[inline]
    fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let length = bytes.len() as u8;
        let (first, last) = match bytes.len() {
            0 => (0, 0),
            1..=3 => {
                let [first, middle, last] = [bytes[0], bytes[bytes.len() / 2], bytes[bytes.len() - 1]];
                (u64::from(first) | u64::from(middle) << 8 | u64::from(last) << 16, 0)
            }
            4..=8 => {
                let (first, last) = (bytes.first_chunk::<4>()?, bytes.last_chunk::<4>()?);
                (u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32, 0)
            }
            9..=16 => (u64::from_le_bytes(*bytes.first_chunk()?), u64::from_le_bytes(*bytes.last_chunk()?)),
            _ => return None,
        };
        Some(Self { first, last, length })
    }
}

impl Hash for ShortText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.folded());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_told_apart() {
        let mut codes = TextCodes::<String>::default();
        let mut texts: Vec<String> = Vec::new();
        for length in 0..20 {
            let text = "abcdefghijklmnopqrst"[..length].to_owned();
            // Each byte changed, one after the other.
            for place in 0..length {
                let mut other = text.clone().into_bytes();
                other[place] = b'#';
                texts.push(String::from_utf8(other).unwrap());
            }
            texts.push(text);
        }
        for (code, text) in texts.iter().enumerate() {
            assert_eq!(codes.get(text), None, "{text}");
            assert_eq!(codes.code(text, code as u32, || text.clone()), code as u32);
        }
        for (code, text) in texts.iter().enumerate() {
            assert_eq!(codes.get(text), Some(code as u32), "{text}");
        }
    }
}
