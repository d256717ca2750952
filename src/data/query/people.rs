//! How many people stand behind a group of rows, and may it leave the program?
//!
//! An audience or an exported cell must hold at least `k` people (Sweeney 2002). A gate on each alone is not enough: two
//! audiences that each hold thousands tell of one person where they differ by one, and a cell that is left out can be
//! had from the total and the others. So an audience is also held against those that were let through before, and cells
//! are left out in such a way that what is left out holds `k` people as well.

use super::filter;
use super::grouping::{Groups, values_of};
use super::sums::Keys;
use crate::base::{Failure, Result};
use crate::data::frame::LogFrame;
use crate::data::schema::Role;
use crate::domain::Segment;
use crate::jobs::JobContext;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_128;

/// People that an audience or a cell must hold, unless a person says otherwise.
pub const USUAL_K: usize = 50;

/// How many people, and what was counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct People {
    /// Distinct users, or rows where the log names none.
    pub count: usize,
    /// True where the log names users.
    pub are_users: bool,
}

impl People {
    /// `1200 users`, `30 rows`.
    pub fn words(self) -> String {
        format!("{} {}", self.count, if self.are_users { "users" } else { "rows" })
    }
}

/// An audience that was let through before.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub segment: Segment,
}

/// Who is in each row: a code of the user, or the row's own number.
struct Who<'a> {
    log: &'a LogFrame,
    users: Option<std::sync::Arc<crate::data::keyed::Keyed>>,
}

impl<'a> Who<'a> {
    fn of(log: &'a LogFrame) -> Result<Self> {
        let user = log.schema.with_role(Role::User);
        Ok(Self { log, users: user.map(|column| values_of(log, &column.name)).transpose()? })
    }

    /// `None` for a row of nobody.
    fn person(&self, row: usize) -> Option<u32> {
        match &self.users {
            Some(keyed) => Some(keyed.codes.get(row)).filter(|code| *code != keyed.missing()),
            None => Some(row as u32),
        }
    }

    fn many(&self) -> usize {
        self.users.as_ref().map_or(self.log.rows(), |keyed| keyed.values.len())
    }

    /// True for each person who has a row in the segment.
    fn within(&self, segment: &Segment) -> Result<Vec<bool>> {
        let inside = filter::mask(self.log, segment)?;
        let mut there = vec![false; self.many()];
        for row in (0..self.log.rows()).filter(|row| inside[*row]) {
            if let Some(there) = self.person(row).and_then(|person| there.get_mut(person as usize)) {
                *there = true;
            }
        }
        Ok(there)
    }

    fn people(&self, there: &[bool]) -> People {
        People { count: there.iter().filter(|there| **there).count(), are_users: self.users.is_some() }
    }
}

/// The people of a segment.
///
/// # Errors
/// A filter that makes no sense.
pub fn people(log: &LogFrame, segment: &Segment) -> Result<People> {
    let who = Who::of(log)?;
    Ok(who.people(&who.within(segment)?))
}

/// Lets an audience through, or says why not: it must hold `k` people, and so must those whom it leaves out, and what it
/// has more or less than each audience that was let through before, where they differ at all. An earlier audience that the log cannot answer (it was
/// made of another log) is passed over.
///
/// # Errors
/// Too few people in the audience or in a difference, a `k` beyond the data, or a filter that makes no sense.
pub fn admit(log: &LogFrame, segment: &Segment, before: &[Named], k: usize) -> Result<People> {
    let what = "cannot keep the audience";
    let who = Who::of(log)?;
    let (own, everybody) = (who.within(segment)?, who.within(&Segment::All)?);
    let (people, all) = (who.people(&own), who.people(&everybody));
    if all.count < k {
        return Err(Failure::new(what, format!("the log has {} and an audience needs {k}", all.words()))
            .hint("more data, or a smaller k where that is allowed"));
    }
    if people.count < k {
        return Err(
            Failure::new(what, format!("it holds {} and needs {k}", people.words())).hint("a wider audience")
        );
    }
    let differs = |other: &[bool], name: &str| -> Result<()> {
        let only = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count();
        for count in [only(&own, other), only(other, &own)] {
            if (1..k).contains(&count) {
                let of = People { count, ..people };
                let why = format!("it differs from {name} by {}, who could be singled out", of.words());
                return Err(Failure::new(what, why)
                    .hint(format!("an audience that differs by {k} or more, or not at all")));
            }
        }
        Ok(())
    };
    // The total of the log is known: who is left out of an audience could be told from it.
    differs(&everybody, "all people of the log")?;
    for named in before {
        if let Ok(other) = who.within(&named.segment) {
            differs(&other, &format!("'{}'", named.name))?;
        }
    }
    Ok(people)
}

/// People of each group of some columns, by the codes of its values.
///
/// # Errors
/// An unknown column, a filter that makes no sense, a cancel.
pub fn people_of_groups(
    log: &LogFrame,
    by: &[String],
    segment: &Segment,
    context: &JobContext,
) -> Result<(BTreeMap<Vec<u32>, usize>, bool)> {
    context.stage("counting people");
    let who = Who::of(log)?;
    let inside = filter::mask(log, segment)?;
    let groups: Vec<Groups> = by.iter().map(|column| Groups::of(log, column)).collect::<Result<_>>()?;
    let keys = Keys::of(&groups)?;
    context.check()?;
    let mut pairs: Vec<(u64, u32)> = (0..log.rows())
        .into_par_iter()
        .filter(|row| inside[*row])
        .filter_map(|row| Some((keys.key(&groups, row), who.person(row)?)))
        .collect();
    pairs.par_sort_unstable();
    pairs.dedup();
    context.check()?;
    let mut counts = BTreeMap::new();
    for (key, _) in pairs {
        *counts.entry(keys.codes(key)).or_default() += 1;
    }
    Ok((counts, who.users.is_some()))
}

/// Whom a log is about, whatever its name and the order of its rows: a hash of its users, or of its columns and rows where
/// it names none.
///
/// # Errors
/// Cells that cannot be read.
pub fn fingerprint(log: &LogFrame) -> Result<String> {
    let sum = match log.schema.with_role(Role::User) {
        Some(column) => values_of(log, &column.name)?
            .values
            .iter()
            .fold(0u128, |sum, value| sum.wrapping_add(xxh3_128(value.as_bytes()))),
        None => {
            let names: Vec<&str> = log.schema.columns.iter().map(|column| column.name.as_str()).collect();
            xxh3_128(format!("{names:?} {}", log.rows()).as_bytes())
        }
    };
    Ok(format!("{sum:032x}"))
}

/// Which cells may leave the program, given the people of each: none with fewer than `k`, and where something is left
/// out, so much that all of it together holds `k` people and is more than one cell, so that no total gives it away.
pub fn cells_that_may_leave(people: &[usize], k: usize) -> Vec<bool> {
    let mut leaves: Vec<bool> = people.iter().map(|count| *count >= k).collect();
    let mut held: Vec<usize> = (0..people.len()).filter(|cell| !leaves[*cell]).collect();
    // Cells of nobody give nothing away.
    held.retain(|cell| people[*cell] > 0);
    let mut rest: Vec<usize> = (0..people.len()).filter(|cell| leaves[*cell]).collect();
    rest.sort_by_key(|cell| people[*cell]);
    let mut rest = rest.into_iter();
    let sum = |held: &[usize]| held.iter().map(|cell| people[*cell]).sum::<usize>();
    while !held.is_empty() && (held.len() < 2 || sum(&held) < k) {
        let Some(next) = rest.next() else { break };
        leaves[next] = false;
        held.push(next);
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    /// 300 users with two rows each; users 0 to 9 live in Bern, 10 to 99 in Köln, the others in 上海.
    fn log() -> LogFrame {
        let user: Vec<String> = (0..600).map(|row| format!("u{}", row / 2)).collect();
        let city: Vec<&str> = (0..600)
            .map(|row| match row / 2 {
                0..10 => "Bern",
                10..100 => "Köln",
                _ => "上海",
            })
            .collect();
        let number: Vec<i64> = (0..600).map(|row| row / 2).collect();
        let frame = df!("user" => user, "city" => city, "n" => number).unwrap();
        LogFrame::from_frame(
            frame,
            &[("user", Role::User), ("city", Role::Categorical), ("n", Role::Numeric)],
        )
        .unwrap()
    }

    fn audience(text: &str, before: &[(&str, &str)], k: usize) -> Result<People> {
        let before: Vec<Named> = before
            .iter()
            .map(|(name, text)| Named { name: (*name).to_owned(), segment: Segment::parse(text).unwrap() })
            .collect();
        admit(&log(), &Segment::parse(text).unwrap(), &before, k)
    }

    #[test]
    fn an_audience_needs_k_people_not_k_rows() {
        assert_eq!(audience("city = '上海'", &[], 50).unwrap(), People { count: 200, are_users: true });
        let failure = audience("city = 'Bern'", &[], 15).unwrap_err();
        assert!(failure.why.contains("10 users"), "20 rows are 10 users: {failure}");
        assert!(audience("", &[], 1_000).unwrap_err().why.contains("the log has 300 users"));
    }

    #[test]
    fn t43_audiences_that_differ_by_a_few_are_refused() {
        let kept = [("Shanghai", "city = '上海'")];
        // All but three people of the audience that is kept.
        let failure = audience("city = '上海' and n >= 103", &kept, 50).unwrap_err();
        assert!(failure.why.contains("'Shanghai' by 3 users"), "{failure}");
        assert!(audience("city = '上海' and n >= 160", &kept, 50).is_ok(), "60 people differ");
        assert!(audience("city in ('上海')", &kept, 50).is_ok(), "the same people");
        // Everybody but the ten of Bern.
        let failure = audience("city != 'Bern'", &[], 50).unwrap_err();
        assert!(failure.why.contains("all people of the log by 10 users"), "{failure}");
        assert!(audience("city != 'Köln'", &[], 50).is_ok(), "the 90 of Köln are left out together");
        assert!(audience("city = '上海'", &[("another log's", "town = 'x'")], 50).is_ok());
    }

    #[test]
    fn cells_are_left_out_so_that_no_total_gives_them_away() {
        assert_eq!(cells_that_may_leave(&[90, 60, 200], 50), [true, true, true]);
        // 10 alone would be the total less the others.
        assert_eq!(cells_that_may_leave(&[90, 10, 200], 50), [false, false, true]);
        assert_eq!(cells_that_may_leave(&[30, 30, 200], 50), [false, false, true]);
        assert_eq!(cells_that_may_leave(&[10, 10, 60, 200], 50), [false, false, false, true]);
        assert_eq!(cells_that_may_leave(&[10], 50), [false]);
        let (people, are_users) =
            people_of_groups(&log(), &["city".into()], &Segment::All, &JobContext::detached()).unwrap();
        assert!(are_users);
        let mut counts: Vec<usize> = people.into_values().collect();
        counts.sort_unstable();
        assert_eq!(counts, [10, 90, 200]);
    }
}
