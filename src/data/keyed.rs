//! How is a column held as small numbers in as few bytes as they need?

use super::cells::{Coded, NO_CODE};
use std::ops::Range;

/// A column as small numbers in as few bytes as they need: row `r` holds `values[codes.get(r)]`, or is missing where
/// the code is `values.len()`.
#[derive(Debug, Default)]
pub struct Keyed {
    /// The values.
    pub values: Vec<String>,
    /// One code a row.
    pub codes: Codes,
}

/// Codes in as few bytes as the largest needs.
#[derive(Debug)]
pub enum Codes {
    /// Up to 256 codes.
    Narrow(Vec<u8>),
    /// Up to 65,536 codes.
    Middle(Vec<u16>),
    /// More.
    Wide(Vec<u32>),
}

impl Default for Codes {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl From<Coded> for Keyed {
    fn from(coded: Coded) -> Self {
        let missing = coded.values.len() as u32;
        let code = |code: &u32| if *code == NO_CODE { missing } else { *code };
        let codes = match missing {
            0..0x100 => Codes::Narrow(coded.codes.iter().map(|c| code(c) as u8).collect()),
            0x100..0x1_0000 => Codes::Middle(coded.codes.iter().map(|c| code(c) as u16).collect()),
            _ => Codes::Wide(coded.codes.iter().map(code).collect()),
        };
        Self { values: coded.values, codes }
    }
}

impl Keyed {
    /// The code of missing cells.
    pub fn missing(&self) -> u32 {
        self.values.len() as u32
    }

    /// What a code stands for.
    pub fn name(&self, code: u32) -> &str {
        self.values.get(code as usize).map_or("missing", String::as_str)
    }
}

/// Does the same for codes of each width.
macro_rules! each_width {
    ($codes:expr, $rows:expr, |$some:ident| $body:expr) => {
        match $codes {
            Codes::Narrow(codes) => {
                let $some = &codes[$rows];
                $body
            }
            Codes::Middle(codes) => {
                let $some = &codes[$rows];
                $body
            }
            Codes::Wide(codes) => {
                let $some = &codes[$rows];
                $body
            }
        }
    };
}

pub(in crate::data) use each_width;

impl Codes {
    /// No codes, with room for `rows` of at most `distinct` different ones.
    pub fn with_room(distinct: usize, rows: usize) -> Self {
        match distinct {
            0..=0x100 => Self::Narrow(Vec::with_capacity(rows)),
            0x101..=0x1_0000 => Self::Middle(Vec::with_capacity(rows)),
            _ => Self::Wide(Vec::with_capacity(rows)),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(codes) => codes.len(),
            Self::Middle(codes) => codes.len(),
            Self::Wide(codes) => codes.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that one takes.
    pub fn width(&self) -> usize {
        match self {
            Self::Narrow(_) => 1,
            Self::Middle(_) => 2,
            Self::Wide(_) => 4,
        }
    }

    /// Adds a code; all take more bytes where it needs more.
    #[inline]
    pub fn push(&mut self, code: u32) {
        match self {
            Self::Narrow(codes) if code <= u32::from(u8::MAX) => codes.push(code as u8),
            Self::Middle(codes) if code <= u32::from(u16::MAX) => codes.push(code as u16),
            Self::Wide(codes) => codes.push(code),
            _ => {
                self.widen();
                self.push(code);
            }
        }
    }

    #[cold]
    fn widen(&mut self) {
        *self = match std::mem::take(self) {
            Self::Narrow(codes) => Self::Middle(moved(&codes, codes.capacity())),
            Self::Middle(codes) => Self::Wide(moved(&codes, codes.capacity())),
            Self::Wide(codes) => Self::Wide(codes),
        };
    }

    /// Calls `visit` with the code of each row.
    #[inline]
    pub fn each(&self, mut visit: impl FnMut(u32)) {
        match self {
            Self::Narrow(codes) => codes.iter().for_each(|code| visit(u32::from(*code))),
            Self::Middle(codes) => codes.iter().for_each(|code| visit(u32::from(*code))),
            Self::Wide(codes) => codes.iter().for_each(|code| visit(*code)),
        }
    }

    /// The code of a row.
    pub fn get(&self, row: usize) -> u32 {
        match self {
            Self::Narrow(codes) => u32::from(codes[row]),
            Self::Middle(codes) => u32::from(codes[row]),
            Self::Wide(codes) => codes[row],
        }
    }

    /// Adds `code * step` to the key of each of some rows: the digits of a number with a base a column.
    pub fn add_to(&self, rows: Range<usize>, step: u64, keys: &mut [u64]) {
        each_width!(self, rows, |codes| {
            for (key, code) in keys.iter_mut().zip(codes) {
                *key += u64::from(*code) * step;
            }
        });
    }

    /// Looks each of some rows up in a table with an entry a code.
    pub fn look_up(&self, rows: Range<usize>, table: &[bool], found: &mut [bool]) {
        if let Self::Narrow(codes) = self {
            // A table of all bytes needs no question whether a code is in it.
            let mut all = [false; 256];
            all.iter_mut().zip(table).for_each(|(all, holds)| *all = *holds);
            for (found, code) in found.iter_mut().zip(&codes[rows]) {
                *found = all[usize::from(*code)];
            }
            return;
        }
        each_width!(self, rows, |codes| {
            for (found, code) in found.iter_mut().zip(codes) {
                *found = table.get(*code as usize).copied().unwrap_or(false);
            }
        });
    }
}

/// The same codes in more bytes, with room for so many.
fn moved<A: Copy, B: From<A>>(codes: &[A], room: usize) -> Vec<B> {
    let mut wider = Vec::with_capacity(room);
    wider.extend(codes.iter().map(|code| B::from(*code)));
    wider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_take_as_few_bytes_as_they_need() {
        for (values, width) in [(255usize, 1), (256, 2), (65_535, 2), (65_536, 4)] {
            let codes: Vec<u32> = (0..values as u32).chain([NO_CODE]).collect();
            let keyed = Keyed::from(Coded { values: vec![String::new(); values], codes });
            let found = match &keyed.codes {
                Codes::Narrow(_) => 1,
                Codes::Middle(_) => 2,
                Codes::Wide(_) => 4,
            };
            assert_eq!(found, width, "{values}");
            assert_eq!(
                (keyed.codes.get(values - 1), keyed.codes.get(values)),
                (values as u32 - 1, keyed.missing())
            );
            let mut keys = [1, 1];
            keyed.codes.add_to(values - 1..values + 1, 10, &mut keys);
            assert_eq!(keys, [values as u64 * 10 - 9, values as u64 * 10 + 1]);
        }
    }

    #[test]
    fn codes_take_more_bytes_as_they_come() {
        let mut codes = Codes::with_room(3, 10);
        for (code, width) in [(0, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4), (7, 4)] {
            codes.push(code);
            assert_eq!(codes.width(), width, "{code}");
        }
        let mut all = Vec::new();
        codes.each(|code| all.push(code));
        assert_eq!(all, [0, 255, 256, 65_535, 65_536, 7]);
        assert_eq!((codes.len(), Codes::with_room(257, 0).width()), (6, 2));
    }
}
