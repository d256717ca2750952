//! What of a log is kept ready, so that the next question need not read its columns again?
//!
//! A person asks many questions of one log. Codes of values, groups and measures are found once for a reading of it and
//! shared by all copies of that [`LogFrame`]; whoever changes a column or a role begins anew, because the columns are
//! compared by the memory that they lie in.

use super::cells::{Coded, NO_CODE};
use super::frame::LogFrame;
use super::schema::Column;
use crate::base::Result;
use polars::prelude::Series;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Entries kept; the next one begins anew. A column of codes takes 1 to 4 bytes a row.
const KEPT: usize = 64;

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

impl Codes {
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

/// What is kept of one reading of a log. Clones share it.
#[derive(Clone, Default)]
pub(in crate::data) struct Memo(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// The reading that the entries belong to.
    schema: Vec<Column>,
    cells: Vec<Series>,
    entries: HashMap<String, Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").finish_non_exhaustive()
    }
}

impl Memo {
    /// The entry of that name, made where it is not there yet.
    ///
    /// # Errors
    /// What `make` answers.
    pub fn of<T: Any + Send + Sync>(
        log: &LogFrame,
        name: &str,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        if let Some(known) = log.memo.find(log, name) {
            return Ok(known);
        }
        // Not while others wait for their entries; who makes the same one at the same time makes an equal one.
        let made = Arc::new(make()?);
        let mut kept = log.memo.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.is_of(log) || kept.entries.len() >= KEPT {
            *kept = Kept {
                schema: log.schema.columns.clone(),
                cells: log.frame.columns().iter().map(|c| c.as_materialized_series().clone()).collect(),
                entries: HashMap::new(),
            };
        }
        let entry = Arc::clone(&made);
        kept.entries.insert(name.to_owned(), entry);
        Ok(made)
    }

    fn find<T: Any + Send + Sync>(&self, log: &LogFrame, name: &str) -> Option<Arc<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.is_of(log) {
            return None;
        }
        Arc::clone(kept.entries.get(name)?).downcast().ok()
    }
}

impl Kept {
    /// True when the entries were made of these very columns in these roles. The columns are kept alive here, so the
    /// memory of one that is gone cannot come back as another.
    fn is_of(&self, log: &LogFrame) -> bool {
        let columns = log.frame.columns();
        let same = |(kept, column): (&Series, &polars::prelude::Column)| {
            Arc::ptr_eq(&kept.0, &column.as_materialized_series().0)
        };
        self.cells.len() == columns.len()
            && self.schema == log.schema.columns
            && self.cells.iter().zip(columns).all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::Role;
    use polars::prelude::{IntoColumn, NamedFrom, df};

    #[test]
    fn an_entry_is_made_once_and_anew_when_the_log_is_another() {
        let frame = df!("city" => ["a", "b"]).unwrap();
        let log = LogFrame::from_frame(frame, &[("city", Role::Categorical)]).unwrap();
        let mut made = 0;
        let mut ask = |log: &LogFrame| {
            *Memo::of(log, "n", || {
                made += 1;
                Ok(made)
            })
            .unwrap()
        };
        assert_eq!((ask(&log), ask(&log), ask(&log.clone())), (1, 1, 1));
        let mut other = log.clone();
        other.schema.set_role("city", Role::Ignored).unwrap();
        assert_eq!(ask(&other), 2, "another role");
        let mut other = log.clone();
        other.frame.with_column(Series::new("city".into(), ["b", "b"]).into_column()).unwrap();
        assert_eq!((ask(&other), ask(&other)), (3, 3), "other cells");
        assert_eq!(ask(&log), 4);
    }

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
}
