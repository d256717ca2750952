//! How are the rows of many groups summed at once? In fixed parts on all cores, so that a sum never depends on luck.

use super::filter::{Filter, ROWS_AT_ONCE};
use super::grouping::Groups;
use super::measures::{Measure, Measures, Part};
use crate::base::{Failure, Result};
use crate::data::cells::Quick;
use crate::data::frame::LogFrame;
use crate::jobs::JobContext;
use crate::metrics::ratio::RatioSums;
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys that have a place of their own; more are looked up.
const DIRECT: u64 = 1 << 20;
/// Parts of the rows that are summed side by side, and numbers that they may hold together.
const PARTS_OF_ROWS: usize = 16;
const NUMBERS: usize = 1 << 24;

/// What is summed: `[rows, parts, rows in which each is not 0, products]`.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    parts: Vec<Part>,
    products: Vec<(Part, Part)>,
    /// Places in `parts` of the factors of each product.
    factors: Vec<(usize, usize)>,
}

impl Plan {
    /// What the measures need.
    pub fn of(measures: &Measures, wanted: &[Measure]) -> Self {
        let (parts, products) = measures.wanted(wanted);
        let place = |part: Part| parts.iter().position(|known| *known == part).unwrap_or_default();
        let factors = products.iter().map(|(a, b)| (place(*a), place(*b))).collect();
        Self { parts, products, factors }
    }

    /// Rows in which a part is not 0 are counted only where ratios need them.
    fn counted(&self) -> usize {
        if self.products.is_empty() { 0 } else { self.parts.len() }
    }

    fn width(&self) -> usize {
        1 + self.parts.len() + self.counted() + self.products.len()
    }
}

/// The sums of one group.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    plan: &'a Plan,
    numbers: std::borrow::Cow<'a, [f64]>,
}

impl Group<'_> {
    /// Rows.
    pub fn rows(&self) -> f64 {
        self.numbers[0]
    }

    /// The sum of a part; 0 for one that was not asked for.
    pub fn sum(&self, part: Part) -> f64 {
        self.place(part).map_or(0.0, |place| self.numbers[1 + place])
    }

    /// The sums behind a ratio of two parts.
    pub fn ratio(&self, upper: Part, lower: Part) -> RatioSums {
        let product = |a: Part, b: Part| {
            let key = (a.min(b), a.max(b));
            let place = self.plan.products.iter().position(|known| *known == key);
            let start = 1 + self.plan.parts.len() + self.plan.counted();
            place.map_or(0.0, |place| self.numbers[start + place])
        };
        let with = |part: Part| {
            let start = 1 + self.plan.parts.len();
            self.place(part).map_or(0.0, |place| self.numbers[start + place])
        };
        RatioSums {
            rows: self.rows(),
            y: self.sum(upper),
            x: self.sum(lower),
            yy: product(upper, upper),
            xy: product(upper, lower),
            xx: product(lower, lower),
            with_y: with(upper),
            with_x: with(lower),
        }
    }

    /// All other rows of `whole`.
    pub fn others<'b>(&self, whole: &Group<'b>) -> Group<'b> {
        let numbers = whole.numbers.iter().zip(self.numbers.iter()).map(|(all, own)| all - own).collect();
        Group { plan: whole.plan, numbers }
    }

    fn place(&self, part: Part) -> Option<usize> {
        self.plan.parts.iter().position(|known| *known == part)
    }
}

/// The sums of all groups.
pub(super) struct Table {
    plan: Plan,
    places: Places,
    numbers: Vec<f64>,
}

enum Places {
    /// The key is the place.
    Direct,
    Hashed(HashMap<u64, u32, Quick>),
}

impl Table {
    fn new(plan: &Plan, keys: u64) -> Self {
        let width = plan.width();
        if keys <= DIRECT {
            let numbers = vec![0.0; keys as usize * width];
            return Self { plan: plan.clone(), places: Places::Direct, numbers };
        }
        Self { plan: plan.clone(), places: Places::Hashed(HashMap::default()), numbers: Vec::new() }
    }

    /// The place of a key's group, which is made where it is not there yet.
    fn place(&mut self, key: u64, width: usize) -> usize {
        match &mut self.places {
            Places::Direct => key as usize,
            Places::Hashed(places) => {
                let next = (self.numbers.len() / width) as u32;
                let place = *places.entry(key).or_insert(next);
                if place == next {
                    self.numbers.resize(self.numbers.len() + width, 0.0);
                }
                place as usize
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let width = self.plan.width();
        match other.places {
            Places::Direct => {
                self.numbers.iter_mut().zip(&other.numbers).for_each(|(all, some)| *all += some);
            }
            Places::Hashed(places) => {
                let mut keys: Vec<(u64, u32)> = places.into_iter().collect();
                keys.sort_unstable_by_key(|(_, place)| *place);
                for (key, place) in keys {
                    let some = &other.numbers[place as usize * width..(place as usize + 1) * width];
                    let own = self.place(key, width) * width;
                    self.numbers[own..own + width].iter_mut().zip(some).for_each(|(all, some)| *all += some);
                }
            }
        }
    }

    /// Every group that has rows, by its key, in rising order.
    pub fn groups(&self) -> Vec<(u64, Group<'_>)> {
        let width = self.plan.width();
        let group = |place: usize| Group {
            plan: &self.plan,
            numbers: self.numbers[place * width..(place + 1) * width].into(),
        };
        let mut groups: Vec<(u64, Group<'_>)> = match &self.places {
            Places::Direct => (0..self.numbers.len() / width).map(|key| (key as u64, group(key))).collect(),
            Places::Hashed(places) => {
                places.iter().map(|(key, place)| (*key, group(*place as usize))).collect()
            }
        };
        groups.retain(|(_, group)| group.rows() > 0.0);
        groups.sort_unstable_by_key(|(key, _)| *key);
        groups
    }

    /// All groups together.
    pub fn whole(&self) -> Group<'_> {
        let width = self.plan.width();
        let mut all = vec![0.0; width];
        for numbers in self.numbers.chunks_exact(width) {
            all.iter_mut().zip(numbers).for_each(|(all, some)| *all += some);
        }
        Group { plan: &self.plan, numbers: all.into() }
    }
}

/// How the keys of groups are made of the codes of columns: the last column is the last digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    steps: Vec<u64>,
    bases: Vec<u64>,
    count: u64,
}

impl Keys {
    /// # Errors
    /// More combinations than can be numbered.
    pub fn of(groups: &[Groups]) -> Result<Self> {
        let bases: Vec<u64> = groups.iter().map(|group| u64::from(group.keyed.missing()) + 1).collect();
        let mut steps = vec![1; bases.len()];
        let mut count = 1u64;
        for (step, base) in steps.iter_mut().zip(&bases).rev() {
            *step = count;
            count = count.checked_mul(*base).ok_or_else(|| {
                Failure::new(
                    "cannot part the rows",
                    "these columns have more combinations than can be numbered",
                )
                .hint("cross fewer columns")
            })?;
        }
        Ok(Self { steps, bases, count })
    }

    /// The key of a row.
    pub fn key(&self, groups: &[Groups], row: usize) -> u64 {
        self.steps.iter().zip(groups).map(|(step, group)| step * u64::from(group.code(row))).sum()
    }

    /// The code of each column in a key.
    pub fn codes(&self, key: u64) -> Vec<u32> {
        self.steps.iter().zip(&self.bases).map(|(step, base)| (key / step % base) as u32).collect()
    }
}

/// What is summed of which rows.
pub(super) struct Sum<'a> {
    pub log: &'a LogFrame,
    pub filter: &'a Filter,
    pub groups: &'a [Groups],
    pub keys: &'a Keys,
    pub measures: &'a Measures,
    pub plan: &'a Plan,
    /// Predicted click probability of each row.
    pub predicted: Option<&'a [f32]>,
}

impl Sum<'_> {
    /// Sums all groups.
    ///
    /// # Errors
    /// Cells that cannot be read, a cancel.
    pub fn table(&self, context: &JobContext) -> Result<Table> {
        let rows = self.log.rows();
        let held = self.keys.count.min(DIRECT) as usize * self.plan.width();
        let parts = (NUMBERS / held.max(1)).clamp(1, PARTS_OF_ROWS);
        // Whole chunks each, so that the parts are the same on every machine.
        let each = rows.div_ceil(parts).div_ceil(ROWS_AT_ONCE).max(1) * ROWS_AT_ONCE;
        let starts: Vec<usize> = (0..rows).step_by(each).collect();
        let done = AtomicU64::new(0);
        let tables: Vec<Table> = starts
            .par_iter()
            .with_max_len(1)
            .map(|start| {
                let mut table = Table::new(self.plan, self.keys.count);
                let mut chunk = Chunk::default();
                let end = (start + each).min(rows);
                for from in (*start..end).step_by(ROWS_AT_ONCE) {
                    context.check()?;
                    let some = from..(from + ROWS_AT_ONCE).min(end);
                    context.progress(done.fetch_add(some.len() as u64, Ordering::Relaxed), rows as u64);
                    self.add(some, &mut chunk, &mut table)?;
                }
                Ok(table)
            })
            .collect::<Result<_>>()?;
        let mut tables = tables.into_iter();
        let mut all = tables.next().unwrap_or_else(|| Table::new(self.plan, self.keys.count));
        tables.for_each(|table| all.merge(table));
        Ok(all)
    }

    fn add(&self, rows: Range<usize>, chunk: &mut Chunk, table: &mut Table) -> Result<()> {
        chunk.inside.resize(rows.len(), true);
        self.filter.fill(self.log, rows.clone(), &mut chunk.inside)?;
        chunk.keys.clear();
        chunk.keys.resize(rows.len(), 0);
        for (group, step) in self.groups.iter().zip(&self.keys.steps) {
            group.keyed.codes.add_to(rows.clone(), *step, &mut chunk.keys);
        }
        let width = self.plan.width();
        // Without a branch, which would be guessed wrong at every third row.
        chunk.rows.resize(rows.len(), 0);
        let mut within = 0;
        for (at, inside) in chunk.inside.iter().enumerate() {
            chunk.rows[within] = at as u32;
            within += usize::from(*inside);
        }
        chunk.rows.truncate(within);
        chunk.places.clear();
        chunk.places.extend(chunk.rows.iter().map(|at| table.place(chunk.keys[*at as usize], width) * width));
        chunk.rows.iter_mut().for_each(|row| *row += rows.start as u32);
        // A column at a time: what a column is made of is asked once, not once a row.
        let numbers = &mut table.numbers;
        chunk.places.iter().for_each(|place| numbers[*place] += 1.0);
        let parts = &self.plan.parts;
        chunk.values.resize(parts.len(), Vec::new());
        for (at, (part, values)) in parts.iter().zip(&mut chunk.values).enumerate() {
            self.measures.read_part(*part, &chunk.rows, self.predicted, values);
            for (place, value) in chunk.places.iter().zip(values.iter()) {
                numbers[place + 1 + at] += value;
            }
        }
        let counts = 1 + parts.len();
        for (at, values) in chunk.values.iter().enumerate().take(self.plan.counted()) {
            for (place, value) in chunk.places.iter().zip(values) {
                numbers[place + counts + at] += f64::from(u8::from(*value != 0.0));
            }
        }
        let products = counts + self.plan.counted();
        for (at, (a, b)) in self.plan.factors.iter().enumerate() {
            for ((place, a), b) in chunk.places.iter().zip(&chunk.values[*a]).zip(&chunk.values[*b]) {
                numbers[place + products + at] += a * b;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Chunk {
    inside: Vec<bool>,
    keys: Vec<u64>,
    /// Rows inside, and where the sums of each one's group begin.
    rows: Vec<u32>,
    places: Vec<usize>,
    /// What each part adds, one number a row inside.
    values: Vec<Vec<f64>>,
}
