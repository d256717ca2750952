//! Which groups do columns make when they are joined, and which of them stand out? The walk that all finders share.
//!
//! Every conjunction of one to three columns is counted. A group stands out when it differs from all other rows and,
//! where it joins columns, also from what is left of each wider group: `city = A and device = B` is news only where
//! neither `city = A` nor `device = B` says it already (in the manner of SliceLine, Sagadeeva & Boehm 2021). Its
//! p-value is the largest of those comparisons times the number of groups that were looked at (Bonferroni), so that
//! under chance alone a report of any group at all is as rare as the level says.

use super::grouping::Groups;
use crate::base::{Failure, Result};
use crate::data::frame::LogFrame;
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::significance::p_of_z;
use rayon::prelude::*;
use serde::Serialize;

/// Values of one column that are told apart where at most two columns are joined: the most shown ones.
const VALUES_IN_PAIRS: usize = 250;
/// The same where three are joined: 60³ counters fit the processor's cache.
const VALUES_IN_TRIPLES: usize = 60;
/// The most columns that are joined.
pub const MAX_DEPTH: usize = 3;

/// What is counted of rows, and how the counts of two groups are compared.
pub(super) trait Tally: Copy + Default + PartialEq + Send + Sync {
    /// What one row brings.
    type Row: Copy + Sync;
    /// Impressions that a row stands for.
    fn shown(row: &Self::Row) -> f64;
    /// Counts a row.
    fn add(&mut self, row: &Self::Row);
    /// What is left without some of the rows.
    fn without(self, other: Self) -> Self;
    /// How far it lies from other rows: standard normal, with the sign of the difference, where chance alone is at work;
    /// `None` where nothing can be told.
    fn against(self, other: Self) -> Option<f64>;
    /// True where it can be judged; `floor` is the least number of impressions.
    fn is_large(&self, floor: f64) -> bool;
}

/// Refuses what no walk can do.
///
/// # Errors
/// A depth or level out of bounds.
pub(super) fn check_bounds(what: &str, depth: usize, level: f64) -> Result<()> {
    if !(1..=MAX_DEPTH).contains(&depth) {
        return Err(Failure::new(what, format!("{depth} columns cannot be joined")).hint("1, 2 or 3"));
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(Failure::new(what, format!("{level} is no level of significance"))
            .hint("a number between 0 and 1, such as 0.05"));
    }
    Ok(())
}

/// A column as the search saw it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ColumnSeen {
    /// Its name.
    pub name: String,
    /// Its groups: values, buckets of numbers, days.
    pub groups: usize,
    /// Groups that were told apart when three columns were joined: the most shown ones.
    pub told_apart: usize,
}

/// A column whose groups are numbered by falling impressions, so that few numbers cover most rows.
pub(super) struct Ranked {
    source: Source,
    name: String,
    /// Code of each rank.
    codes: Vec<u32>,
    /// Rank of each row that is looked at; [`Self::OTHER`] beyond the ranks.
    ranks: Vec<u8>,
    present: usize,
}

/// Where the groups of a column come from.
enum Source {
    /// The log.
    Log(Groups),
    /// What somebody else knows of the rows, such as a model: the names of the codes.
    Named(Vec<String>),
}

impl Ranked {
    const OTHER: u8 = u8::MAX;

    /// A column of the log in the rows `inside`; `None` for one with a single group: it parts nothing.
    ///
    /// # Errors
    /// No such column, or a column of lists.
    pub fn of<T: Tally>(log: &LogFrame, name: &str, inside: &[u32], rows: &[T::Row]) -> Result<Option<Self>> {
        let groups = Groups::of(log, name)?;
        let codes: Vec<u32> = inside.iter().map(|row| groups.code(*row as usize)).collect();
        // Missing cells are a group as well, the last one.
        let count = groups.keyed.values.len() + 1;
        Ok(Self::by_impressions::<T>(Source::Log(groups), name, &codes, count, rows))
    }

    /// A column that the log does not have: `names` of its codes, and a code for each row that is looked at.
    pub fn named<T: Tally>(name: &str, names: &[String], codes: &[u32], rows: &[T::Row]) -> Option<Self> {
        Self::by_impressions::<T>(Source::Named(names.to_vec()), name, codes, names.len(), rows)
    }

    fn by_impressions<T: Tally>(
        source: Source,
        name: &str,
        of_rows: &[u32],
        count: usize,
        rows: &[T::Row],
    ) -> Option<Self> {
        let mut shown = vec![0.0; count];
        let place = |code: u32| (code as usize).min(count - 1);
        for (code, row) in of_rows.iter().zip(rows) {
            shown[place(*code)] += T::shown(row);
        }
        let mut codes: Vec<u32> = (0..count as u32).filter(|code| shown[*code as usize] > 0.0).collect();
        let present = codes.len();
        if present < 2 {
            return None;
        }
        codes.sort_by(|a, b| shown[*b as usize].total_cmp(&shown[*a as usize]));
        codes.truncate(VALUES_IN_PAIRS);
        let mut rank = vec![Self::OTHER; count];
        for (place, code) in codes.iter().enumerate() {
            rank[*code as usize] = place as u8;
        }
        let ranks = of_rows.iter().map(|code| rank[place(*code)]).collect();
        Some(Self { source, name: name.to_owned(), codes, ranks, present })
    }

    /// Groups told apart where `joined` columns are joined.
    fn width(&self, joined: usize) -> usize {
        self.codes.len().min(if joined < MAX_DEPTH { VALUES_IN_PAIRS } else { VALUES_IN_TRIPLES })
    }

    pub fn seen(&self, depth: usize) -> ColumnSeen {
        ColumnSeen { name: self.name.clone(), groups: self.present, told_apart: self.width(depth) }
    }

    fn name_of(&self, code: u32) -> String {
        match &self.source {
            Source::Log(groups) => groups.name(code),
            Source::Named(names) => names.get(code as usize).cloned().unwrap_or_default(),
        }
    }

    /// The rows of a group; `None` where the log cannot be asked for them.
    fn segment(&self, code: u32) -> Option<Segment> {
        match &self.source {
            Source::Log(groups) => Some(groups.segment(code)),
            Source::Named(_) => None,
        }
    }
}

/// Counts of every group of some joined columns, with one more place a column for what is not told apart.
struct Cube<T> {
    columns: Vec<usize>,
    widths: Vec<usize>,
    cells: Vec<T>,
}

impl<T: Tally> Cube<T> {
    fn count(columns: &[usize], search: &Search<'_, T>) -> Self {
        let widths: Vec<usize> =
            columns.iter().map(|column| search.columns[*column].width(columns.len()) + 1).collect();
        let mut cells = vec![T::default(); widths.iter().product()];
        let mut add = |cell: usize, row: usize| cells[cell].add(&search.rows[row]);
        let ranks = |place: usize| (search.columns[columns[place]].ranks.as_slice(), widths[place] - 1);
        match columns.len() {
            1 => {
                let (a, last) = ranks(0);
                a.iter().enumerate().for_each(|(row, a)| add(usize::from(*a).min(last), row));
            }
            2 => {
                let ((a, last_a), (b, last_b)) = (ranks(0), ranks(1));
                for (row, (a, b)) in a.iter().zip(b).enumerate() {
                    add(usize::from(*a).min(last_a) * widths[1] + usize::from(*b).min(last_b), row);
                }
            }
            _ => {
                let ((a, last_a), (b, last_b), (c, last_c)) = (ranks(0), ranks(1), ranks(2));
                for (row, ((a, b), c)) in a.iter().zip(b).zip(c).enumerate() {
                    let outer = usize::from(*a).min(last_a) * widths[1] + usize::from(*b).min(last_b);
                    add(outer * widths[2] + usize::from(*c).min(last_c), row);
                }
            }
        }
        Self { columns: columns.to_vec(), widths, cells }
    }

    /// The ranks of a cell, or nothing where one of them is the place of what is not told apart.
    fn ranks_of(&self, cell: usize) -> Option<Vec<usize>> {
        let mut rest = cell;
        let mut ranks = vec![0; self.widths.len()];
        for place in (0..self.widths.len()).rev() {
            ranks[place] = rest % self.widths[place];
            rest /= self.widths[place];
        }
        ranks.iter().zip(&self.widths).all(|(rank, width)| *rank + 1 < *width).then_some(ranks)
    }

    fn at(&self, ranks: &[usize]) -> T {
        let cell = ranks.iter().zip(&self.widths).fold(0, |cell, (rank, width)| cell * width + rank);
        self.cells.get(cell).copied().unwrap_or_default()
    }
}

/// A group that may stand out.
pub(super) struct Candidate<T> {
    columns: Vec<usize>,
    ranks: Vec<usize>,
    /// What was counted in it.
    pub tally: T,
    /// Chance of such a difference.
    pub p: f64,
}

impl<T: Tally> Candidate<T> {
    /// True when a row (by its place among those looked at) lies in it.
    pub fn holds(&self, row: usize, columns: &[Ranked]) -> bool {
        let mut parts = self.columns.iter().zip(&self.ranks);
        parts.all(|(column, rank)| usize::from(columns[*column].ranks[row]) == *rank)
    }

    fn same_rows(&self, other: &Self, columns: &[Ranked]) -> bool {
        // Equal counts are rare, so the rows themselves are seldom looked at.
        self.tally == other.tally
            && (0..columns[0].ranks.len()).all(|row| self.holds(row, columns) == other.holds(row, columns))
    }

    fn named<'a>(&self, columns: &'a [Ranked]) -> impl Iterator<Item = (&'a Ranked, u32)> {
        let named = self.columns.iter().zip(&self.ranks);
        named.map(|(column, rank)| (&columns[*column], columns[*column].codes[*rank]))
    }

    /// Column and value of each part.
    pub fn parts(&self, columns: &[Ranked]) -> Vec<(String, String)> {
        self.named(columns).map(|(column, code)| (column.name.clone(), column.name_of(code))).collect()
    }

    /// Its rows; `None` where a part is no column of the log.
    pub fn segment(&self, columns: &[Ranked]) -> Option<Segment> {
        let mut parts = self.named(columns);
        parts.try_fold(Segment::All, |all, (column, code)| Some(all.and(column.segment(code)?)))
    }
}

/// Each set of rows once: under its shortest name, the other names beside it.
pub(super) fn told_once<'a, T: Tally>(
    candidates: &'a [Candidate<T>],
    columns: &[Ranked],
) -> Vec<(&'a Candidate<T>, Vec<Segment>)> {
    let mut told: Vec<(&Candidate<T>, Vec<Segment>)> = Vec::new();
    for candidate in candidates {
        let twin = told.iter_mut().find(|(known, _)| known.same_rows(candidate, columns));
        match twin {
            Some((_, also)) => also.extend(candidate.segment(columns)),
            None => told.push((candidate, Vec::new())),
        }
    }
    told
}

/// One walk through all groups.
pub(super) struct Search<'a, T: Tally> {
    /// The rows that are looked at.
    pub rows: &'a [T::Row],
    /// All of them together.
    pub total: T,
    /// The columns that are joined.
    pub columns: &'a [Ranked],
    /// How many at most.
    pub depth: usize,
    /// Groups with fewer impressions are not judged.
    pub floor: f64,
    /// For progress and cancel.
    pub context: &'a JobContext,
}

impl<T: Tally> Search<'_, T> {
    /// How many groups were judged, and those whose p-value, times that number, is below `level`: by falling `size`,
    /// the shorter of two names of the same rows first.
    ///
    /// # Errors
    /// A cancel.
    pub fn beyond_chance(&self, level: f64, size: impl Fn(&T) -> f64) -> Result<(usize, Vec<Candidate<T>>)> {
        let (judged, mut candidates) = self.run()?;
        candidates.retain_mut(|candidate| {
            candidate.p = (candidate.p * judged as f64).min(1.0);
            candidate.p < level
        });
        candidates.sort_by(|a, b| {
            size(&b.tally).total_cmp(&size(&a.tally)).then(a.columns.len().cmp(&b.columns.len()))
        });
        Ok((judged, candidates))
    }

    /// How many groups were judged, and those with `p < 1 / 2` before the correction.
    fn run(&self) -> Result<(usize, Vec<Candidate<T>>)> {
        let whole = Cube { columns: Vec::new(), widths: Vec::new(), cells: vec![self.total] };
        let mut wider = vec![whole];
        let (mut judged, mut candidates) = (0, Vec::new());
        for joined in 1..=self.depth.min(self.columns.len()) {
            self.context.stage(&format!("groups of {joined} columns"));
            let sets = choose(self.columns.len(), joined);
            let last = joined == self.depth;
            let answers = sets
                .par_iter()
                .map(|set| {
                    self.context.check()?;
                    let cube = Cube::count(set, self);
                    let (judged, found) = self.judge(&cube, &wider);
                    Ok((judged, found, (!last).then_some(cube)))
                })
                .collect::<Result<Vec<_>>>()?;
            wider = Vec::new();
            for (some, found, cube) in answers {
                judged += some;
                candidates.extend(found);
                wider.extend(cube);
            }
        }
        Ok((judged, candidates))
    }

    fn judge(&self, cube: &Cube<T>, wider: &[Cube<T>]) -> (usize, Vec<Candidate<T>>) {
        let (mut judged, mut found) = (0, Vec::new());
        for (cell, count) in cube.cells.iter().enumerate() {
            let others = self.total.without(*count);
            if !count.is_large(self.floor) || !others.is_large(self.floor) {
                continue;
            }
            let Some(ranks) = cube.ranks_of(cell) else { continue };
            judged += 1;
            let Some(root) = count.against(others) else { continue };
            // The weakest of all comparisons counts, and all must point the same way.
            let mut weakest = root;
            for place in 0..ranks.len() {
                let parent = self.parent(cube, wider, &ranks, place);
                let against = count.against(parent.without(*count)).unwrap_or(0.0);
                if against.signum() != root.signum() || against == 0.0 {
                    weakest = 0.0;
                } else if against.abs() < weakest.abs() {
                    weakest = against;
                }
            }
            let p = p_of_z(weakest);
            if p < 0.5 {
                found.push(Candidate { columns: cube.columns.clone(), ranks, tally: *count, p });
            }
        }
        (judged, found)
    }

    /// The wider group without the part at `place`.
    fn parent(&self, cube: &Cube<T>, wider: &[Cube<T>], ranks: &[usize], place: usize) -> T {
        let without = |all: &[usize]| -> Vec<usize> {
            all.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, one)| *one).collect()
        };
        let columns = without(&cube.columns);
        wider.iter().find(|wider| wider.columns == columns).map_or(self.total, |w| w.at(&without(ranks)))
    }
}

/// All ways to take `k` of `n`, in order.
fn choose(n: usize, k: usize) -> Vec<Vec<usize>> {
    if k == 0 {
        return vec![Vec::new()];
    }
    let longer = |set: Vec<usize>| {
        let from = set.last().map_or(0, |last| last + 1);
        (from..n).map(move |next| set.iter().copied().chain([next]).collect())
    };
    choose(n, k - 1).into_iter().flat_map(longer).collect()
}
