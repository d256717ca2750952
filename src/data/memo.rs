//! What of a log is kept ready, so that the next question need not read its columns again?
//!
//! A person asks many questions of one log. Codes of values, groups and measures are found once for a reading of it and
//! shared by all copies of that [`LogFrame`]; whoever changes a column or a role begins anew, because the columns are
//! compared by the memory that they lie in.

use super::frame::LogFrame;
use super::schema::Column;
use crate::base::Result;
use polars::prelude::Series;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Entries kept; the next one begins anew. A column of codes takes 1 to 4 bytes a row.
const KEPT: usize = 64;

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
}
