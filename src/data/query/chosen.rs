//! What does a chosen group touch? Its rows, and of each user, ad and other value the share of rows that lies in it.

use super::filter;
use super::grouping::values_of;
use super::measures::Measures;
use crate::base::Result;
use crate::data::frame::LogFrame;
use crate::data::schema::{ColumnType, Role};
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::Rate;
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// A group, ready to be marked wherever its rows or values are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// True for each row that is in it.
    pub inside: Vec<bool>,
    /// How many rows are.
    pub rows: usize,
    /// Its clicks and impressions.
    pub rate: Rate,
    /// False where the log does not say what was clicked: the rate means nothing then.
    pub has_outcome: bool,
    /// By column: the values that have rows inside, by the hash of their text, with the share of their rows that lies
    /// inside.
    shares: HashMap<String, HashMap<u64, f32>>,
}

impl Chosen {
    /// Share of the rows of a value of a column that lies in the group, 0 to 1; `None` for a column that is not told.
    pub fn share(&self, column: &str, value: &str) -> Option<f32> {
        let shares = self.shares.get(column)?;
        Some(shares.get(&xxh3_64(value.as_bytes())).copied().unwrap_or(0.0))
    }
}

/// Looks for the rows of a segment and for what they are about.
///
/// # Errors
/// A filter that makes no sense; a cancel.
pub fn chosen(log: &LogFrame, segment: &Segment, context: &JobContext) -> Result<Chosen> {
    context.stage("looking for its rows");
    let inside = filter::mask(log, segment)?;
    let rows = inside.iter().filter(|inside| **inside).count();
    let measures = Measures::of(log)?;
    let is_told =
        |role| matches!(role, Role::User | Role::Ad | Role::Campaign | Role::Categorical | Role::Slot);
    let columns = log.schema.columns.iter();
    let columns = columns.filter(|column| is_told(column.role) && column.kind != ColumnType::List);
    let mut shares = HashMap::new();
    for column in columns {
        context.check()?;
        shares.insert(column.name.clone(), share_by_value(log, &column.name, &inside)?);
    }
    let rate = measures.rate_of((0..log.rows()).filter(|row| inside[*row]));
    Ok(Chosen { inside, rows, rate, has_outcome: measures.outcome.is_some(), shares })
}

fn share_by_value(log: &LogFrame, column: &str, inside: &[bool]) -> Result<HashMap<u64, f32>> {
    let keyed = values_of(log, column)?;
    let mut counts = vec![(0u32, 0u32); keyed.values.len() + 1];
    for (row, inside) in inside.iter().enumerate() {
        let (all, own) = &mut counts[keyed.codes.get(row) as usize];
        *all += 1;
        *own += u32::from(*inside);
    }
    let known = keyed.values.iter().zip(&counts).filter(|(_, (_, own))| *own > 0);
    Ok(known.map(|(value, (all, own))| (xxh3_64(value.as_bytes()), *own as f32 / *all as f32)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    #[test]
    fn shares_of_users_and_ads_are_those_of_their_rows() {
        let frame = df!(
            "user" => ["a", "a", "b", "b"],
            "ad" => ["跑鞋", "tea", "跑鞋", "tea"],
            "click" => [1i64, 0, 0, 0],
        )
        .unwrap();
        let roles = [("user", Role::User), ("ad", Role::Ad), ("click", Role::Label)];
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let found = chosen(&log, &Segment::parse("user = a").unwrap(), &JobContext::detached()).unwrap();
        assert_eq!((found.rows, found.inside.as_slice()), (2, [true, true, false, false].as_slice()));
        assert_eq!(found.rate, Rate::wilson(1.0, 2.0));
        assert_eq!((found.share("user", "a"), found.share("user", "b")), (Some(1.0), Some(0.0)));
        assert_eq!((found.share("ad", "跑鞋"), found.share("ad", "x")), (Some(0.5), Some(0.0)));
        assert_eq!(found.share("click", "1"), None);
    }
}
