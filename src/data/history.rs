//! What had this user done before this row? Sequences from a list column or from the user's earlier rows.

use super::array::Room;
use super::batch::{MISSING_ID, RARE_ID};
use super::cells::NO_CODE;
use super::columns::{CodeLists, NO_TIME};
use super::dataset::SequenceColumn;
use crate::base::Result;

/// The last `max_len` items of each list as ids; `id_of_code` gives the id of each distinct item.
///
/// # Errors
/// No room.
pub(in crate::data) fn from_lists(
    lists: &CodeLists,
    id_of_code: &[u32],
    max_len: usize,
    room: &Room,
    name: &str,
) -> Result<SequenceColumn> {
    let last = |ends: &[u64]| {
        let end = ends[1] as usize;
        let start = (ends[0] as usize).max(end.saturating_sub(max_len));
        lists.items.codes[start..end].iter().filter(|code| **code != NO_CODE)
    };
    let rows = || lists.offsets.windows(2).map(last);
    let ids = rows().flatten().map(|&code| id_of_code[code as usize]);
    SequenceColumn::collect(rows().map(Iterator::count), ids, room, name)
}

/// What a per-user history is made from; one entry per row of the log.
#[derive(Debug)]
pub struct Events<'a> {
    /// Users as codes; [`NO_CODE`] has no history and makes none.
    pub users: &'a [u32],
    /// Time stamps; a row without one has no history and makes none.
    pub times: &'a [i64],
    /// What happened, as ids of the target field's vocabulary.
    pub ids: &'a [u32],
    /// Which rows are events that a later row may know of (clicked ones); empty means all.
    pub counts: &'a [bool],
}

/// Each row's most recent `max_len` events of the same user with a strictly earlier time stamp, oldest first.
/// Rows of one time stamp never see each other, so nothing looks ahead.
///
/// # Errors
/// No room.
pub(in crate::data) fn from_events(
    events: &Events<'_>,
    max_len: usize,
    room: &Room,
    name: &str,
) -> Result<SequenceColumn> {
    let rows = events.users.len();
    let mut order: Vec<u32> = (0..rows as u32)
        .filter(|&row| events.users[row as usize] != NO_CODE && events.times[row as usize] != NO_TIME)
        .collect();
    order.sort_by_key(|&row| (events.users[row as usize], events.times[row as usize], row));
    // All users' events one after another, and for each row the span of it that it may see.
    let mut story: Vec<u32> = Vec::new();
    let mut spans = vec![(0u32, 0u32); rows];
    let mut user = NO_CODE;
    let mut begin = 0;
    for moment in order.chunk_by(|&a, &b| {
        let (a, b) = (a as usize, b as usize);
        events.users[a] == events.users[b] && events.times[a] == events.times[b]
    }) {
        if events.users[moment[0] as usize] != user {
            user = events.users[moment[0] as usize];
            begin = story.len();
        }
        let end = story.len();
        let start = begin.max(end.saturating_sub(max_len));
        for &row in moment {
            spans[row as usize] = (start as u32, end as u32);
        }
        let happened = moment
            .iter()
            .map(|&row| row as usize)
            .filter(|&row| events.counts.get(row).copied().unwrap_or(true) && events.ids[row] != MISSING_ID);
        story.extend(happened.map(|row| events.ids[row]));
    }
    let seen = |&(start, end): &(u32, u32)| story[start as usize..end as usize].iter().copied();
    let lengths = spans.iter().map(|(start, end)| (end - start) as usize);
    SequenceColumn::collect(lengths, spans.iter().flat_map(seen), room, name)
}

/// Share of a list column's items that a vocabulary knows, given each distinct item's id.
pub fn known_share(lists: &CodeLists, id_of_code: &[u32]) -> f64 {
    let present = lists.items.codes.iter().filter(|&&code| code != NO_CODE);
    let (known, all) = present.fold((0usize, 0usize), |(known, all), &code| {
        (known + usize::from(id_of_code[code as usize] > RARE_ID), all + 1)
    });
    if all == 0 { 0.0 } else { known as f64 / all as f64 }
}

impl SequenceColumn {
    /// Sequences of these lengths, whose ids come one after another.
    fn collect(
        lengths: impl Iterator<Item = usize>,
        ids: impl Iterator<Item = u32>,
        room: &Room,
        name: &str,
    ) -> Result<Self> {
        let mut end = 0;
        let ends = lengths.map(|length| {
            end += length as u64;
            end
        });
        let offsets = room.collect(&format!("{name}.offsets"), std::iter::once(0).chain(ends))?;
        Ok(Self { offsets, ids: room.collect(&format!("{name}.ids"), ids)? })
    }

    /// The sequence of one row, oldest first.
    pub fn of_row(&self, row: u32) -> &[u32] {
        let row = row as usize;
        &self.ids[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cells::{Coded, CodedLists};

    #[test]
    fn history_is_strictly_earlier_and_of_the_same_user() {
        // Rows in file order; user 0 has two rows at time 5 which must not see each other.
        let users = [0, 1, 0, 0, 0, NO_CODE, 0];
        let times = [9, 1, 5, 5, 1, 2, NO_TIME];
        let ids = [10, 11, 12, 13, 14, 15, 16];
        let events = Events { users: &users, times: &times, ids: &ids, counts: &[] };
        let column = from_events(&events, 20, &Room::memory(), "history").unwrap();
        assert_eq!(column.of_row(0), [14, 12, 13]);
        assert_eq!(column.of_row(2), [14]);
        assert_eq!(column.of_row(3), [14]);
        for row in [1, 4, 5, 6] {
            assert!(column.of_row(row).is_empty(), "row {row}");
        }
    }

    #[test]
    fn only_counted_rows_are_remembered_and_the_latest_are_kept() {
        let ids: Vec<u32> = (100..110).collect();
        let times: Vec<i64> = (0..10).collect();
        let clicked: Vec<bool> = (0..10).map(|i| i % 2 == 0).collect();
        let events = Events { users: &[0; 10], times: &times, ids: &ids, counts: &clicked };
        let column = from_events(&events, 3, &Room::memory(), "history").unwrap();
        assert_eq!(column.of_row(9), [104, 106, 108]);
        assert_eq!(column.of_row(1), [100]);
    }

    #[test]
    fn lists_keep_their_most_recent_items() {
        let lists = CodeLists::from(CodedLists {
            offsets: vec![0, 4, 4, 5],
            items: Coded { values: vec!["a".to_owned(), "b".to_owned()], codes: vec![0, 1, NO_CODE, 1, 0] },
        });
        let column = from_lists(&lists, &[2, RARE_ID], 3, &Room::memory(), "list").unwrap();
        assert_eq!(column.of_row(0), [RARE_ID, RARE_ID]);
        assert!(column.of_row(1).is_empty());
        assert_eq!(column.of_row(2), [2]);
        assert!((known_share(&lists, &[2, RARE_ID]) - 0.5).abs() < 1e-12);
    }
}
