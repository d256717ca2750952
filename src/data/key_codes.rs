//! Which values of a column were met before, where there may be tens of millions of them? One probe for most cells.
//!
//! Numbers, flags and texts of at most 8 bytes, which ids and hashes of logs are, are keys of 64 bits; a table of open
//! addressing finds their code without a look at the text, which is made again from the key. 34 to 67
//! bytes a value, as full as the table is.

use super::text_codes::TextCodes;
use crate::base::rng::mix;

/// A place of the table that holds nothing.
const FREE: u32 = u32::MAX;
/// Places of the smallest table.
const SMALLEST: usize = 64;

/// How keys of 64 bits stand for values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum KeyKind {
    /// Texts; those of more than 8 bytes are kept as they are.
    Text,
    /// Whole numbers.
    Whole,
    /// Real numbers, by their bits.
    Real,
    /// True and false.
    Flag,
}

/// Codes of values in the order in which they first appear.
#[derive(Debug)]
pub(in crate::data) struct KeyCodes {
    kind: KeyKind,
    slots: Vec<Slot>,
    /// Places less one: places are a power of two.
    mask: usize,
    /// The key of each code; 0 for a long text.
    keys: Vec<u64>,
    long: TextCodes<Box<str>>,
    /// Long texts by their codes, which grow.
    long_texts: Vec<(u32, Box<str>)>,
    long_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    code: u32,
}

impl KeyCodes {
    /// No values yet.
    pub fn new(kind: KeyKind) -> Self {
        Self {
            kind,
            slots: vec![Slot { key: 0, code: FREE }; SMALLEST],
            mask: SMALLEST - 1,
            keys: Vec::new(),
            long: TextCodes::default(),
            long_texts: Vec::new(),
            long_bytes: 0,
        }
    }

    /// What the keys stand for.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Makes 0 of -1, as a label of -1 and 1 is read.
    pub fn signs_to_flags(&mut self) {
        if self.kind == KeyKind::Whole {
            self.keys.iter_mut().filter(|key| key.cast_signed() == -1).for_each(|key| *key = 0);
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> usize {
        /// What the two maps take for a long text beside its bytes, twice.
        const LONG: usize = 96;
        self.slots.len() * size_of::<Slot>()
            + self.keys.capacity() * size_of::<u64>()
            + self.long_texts.len() * LONG
            + 2 * self.long_bytes
    }

    /// The code of a key.
    #[inline]
    pub fn code(&mut self, key: u64) -> u32 {
        let mut at = mix(key) as usize & self.mask;
        loop {
            let slot = self.slots[at];
            if slot.code == FREE {
                return self.add(key, at);
            }
            if slot.key == key {
                return slot.code;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// The code of a text that is not empty and holds no zero byte.
    #[inline]
    pub fn text_code(&mut self, text: &str) -> u32 {
        match short_key(text.as_bytes()) {
            Some(key) => self.code(key),
            None => self.long_code(text),
        }
    }

    fn long_code(&mut self, text: &str) -> u32 {
        if let Some(code) = self.long.get(text) {
            return code;
        }
        let code = self.keys.len() as u32;
        self.keys.push(0);
        self.long.insert(text, code, || text.into());
        self.long_texts.push((code, text.into()));
        self.long_bytes += text.len();
        code
    }

    #[cold]
    fn add(&mut self, key: u64, at: usize) -> u32 {
        let code = self.keys.len() as u32;
        self.keys.push(key);
        self.slots[at] = Slot { key, code };
        if self.keys.len() * 8 > self.slots.len() * 5 {
            self.grow();
        }
        code
    }

    fn grow(&mut self) {
        let places = self.slots.len() * 2;
        self.mask = places - 1;
        let former = std::mem::replace(&mut self.slots, vec![Slot { key: 0, code: FREE }; places]);
        for slot in former.into_iter().filter(|slot| slot.code != FREE) {
            let mut at = mix(slot.key) as usize & self.mask;
            while self.slots[at].code != FREE {
                at = (at + 1) & self.mask;
            }
            self.slots[at] = slot;
        }
    }

    /// Lets go of what finds codes: only the values stay.
    pub fn close(&mut self) {
        self.slots = Vec::new();
        self.long = TextCodes::default();
    }

    /// The value of a code as text; `None` for no code.
    pub fn text(&self, code: u32) -> Option<String> {
        let key = *self.keys.get(code as usize)?;
        let long = self.long_texts.binary_search_by_key(&code, |(of, _)| *of);
        Some(match long {
            Ok(place) => self.long_texts[place].1.to_string(),
            Err(_) => self.text_of(key),
        })
    }

    /// The values as texts, in the order of their codes.
    pub fn texts(&self) -> Vec<String> {
        let mut long = self.long_texts.iter().peekable();
        let texts = self.keys.iter().zip(0..).map(|(key, code)| match long.next_if(|(of, _)| *of == code) {
            Some((_, text)) => text.to_string(),
            None => self.text_of(*key),
        });
        texts.collect()
    }

    fn text_of(&self, key: u64) -> String {
        match self.kind {
            KeyKind::Whole => key.cast_signed().to_string(),
            KeyKind::Real => f64::from_bits(key).to_string(),
            KeyKind::Flag => (key == 1).to_string(),
            KeyKind::Text => {
                let bytes = key.to_le_bytes();
                let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                String::from_utf8_lossy(&bytes[..length]).into_owned()
            }
        }
    }
}

/// A text of at most 8 bytes as a number: texts hold no zero byte, so zeros after it tell its length.
#[inline]
fn short_key(text: &[u8]) -> Option<u64> {
    let length = text.len();
    match length {
        8 => text.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)),
        4..8 => {
            let (first, last) = (text.first_chunk::<4>()?, text.last_chunk::<4>()?);
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            Some(u64::from(first) | u64::from(last) << (8 * (length - 4)))
        }
        0..4 => Some(text.iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_come_back_in_order() {
        let mut codes = KeyCodes::new(KeyKind::Text);
        let mut texts: Vec<String> = Vec::new();
        for length in 1..20 {
            let text = &"abcdefghijklmnopqrst"[..length];
            texts.push(text.to_owned());
            for place in 0..length {
                let mut other = text.as_bytes().to_vec();
                other[place] = b'#';
                texts.push(String::from_utf8(other).unwrap());
            }
        }
        texts.push("上海".to_owned());
        for round in 0..2 {
            for (code, text) in texts.iter().enumerate() {
                assert_eq!(codes.text_code(text), code as u32, "{text} in round {round}");
            }
        }
        codes.close();
        assert_eq!(codes.texts(), texts);
        assert!(texts.iter().zip(0..).all(|(text, code)| codes.text(code).as_ref() == Some(text)));
        assert_eq!(codes.text(u32::MAX), None);
    }

    #[test]
    fn many_numbers_keep_their_codes_while_the_table_grows() {
        let mut codes = KeyCodes::new(KeyKind::Whole);
        let key = |n: u64| n.wrapping_mul(0x9e37_79b9) ^ (n << 40);
        for n in 0..100_000 {
            assert_eq!(codes.code(key(n)), n as u32);
        }
        assert!((0..100_000).rev().all(|n| codes.code(key(n)) == n as u32));
        assert!(codes.bytes() < 100_000 * 60);
        let mut signed = KeyCodes::new(KeyKind::Whole);
        signed.code((-7i64).cast_unsigned());
        assert_eq!(signed.texts(), ["-7"]);
        let mut real = KeyCodes::new(KeyKind::Real);
        assert_eq!([3.0f64, -0.5].map(|x| real.code(x.to_bits())), [0, 1]);
        assert_eq!(real.texts(), ["3", "-0.5"]);
    }
}
