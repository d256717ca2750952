//! How does a log become features without a vocabulary, in one pass and however long it is? By hashing each value with
//! the name of its column.
//!
//! Nothing is fitted: a value that was never seen before has its feature as any other, and a row of a file that grows is
//! read like the rows before it. Numbers are cut into bands that widen with their size, times give the hour and the day of
//! the week. Columns of lists and texts are left out.

use super::calendar::{hour_of, weekday_of};
use super::cells::NO_CODE;
use super::columns::{Columns, NO_TIME};
use super::frame::LogFrame;
use super::importers::{ImportOptions, RowStream, StreamBlock, Value};
use super::memo::Memo;
use super::outcome::{Outcome, label_value};
use super::schema::{Role, Schema};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Rows of a log in memory that are hashed at once.
const AT_ONCE: usize = 1 << 15;
/// Bands of numbers by factors of about 6 %: `round(16 ln(1 + |x|))`.
const BANDS: f64 = 16.0;

/// Which columns are read, and what becomes of them. Saved with what was learnt, so that the same columns are read again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hashing {
    /// The column of the outcome.
    pub outcome: String,
    /// The columns of the features, in the order of the features.
    pub columns: Vec<HashedColumn>,
    /// When each row happened.
    pub time: Option<String>,
    /// True when the time is one of the calendar, which gives two more features.
    pub calendar: bool,
}

/// A column of features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedColumn {
    /// Its name.
    pub name: String,
    /// True when its cells are cut into bands of numbers.
    pub numbers: bool,
}

/// Some rows of a log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HashedRows {
    /// Features of each row.
    pub fields: usize,
    /// `[row * fields + field]`.
    pub features: Vec<u32>,
    /// Outcome in `[0, 1]`; NaN where the log does not say.
    pub label: Vec<f32>,
    /// Impressions per row; empty means all 1.
    pub weight: Vec<f32>,
    /// Milliseconds or another number that rises with time; the smallest number where there is none; empty without a time
    /// column.
    pub time: Vec<i64>,
}

const WHAT: &str = "cannot learn from the log row by row";

impl Hashing {
    /// The columns of a log that may tell clicks apart.
    ///
    /// # Errors
    /// No outcome, or no column to learn from.
    pub fn of(log: &LogFrame) -> Result<Self> {
        let outcome = log.schema.with_role(Role::Label).or_else(|| log.schema.with_role(Role::Clicks));
        let Some(outcome) = outcome.map(|column| column.name.clone()) else {
            return Err(Failure::new(WHAT, "it does not say what was clicked")
                .at(log.source.path.display())
                .hint("give the click column the role label with --role"));
        };
        let columns = log.schema.columns.iter().filter_map(|column| {
            let numbers = match column.role {
                Role::User | Role::Ad | Role::Campaign | Role::Slot | Role::Categorical => false,
                Role::Numeric => true,
                _ => return None,
            };
            Some(HashedColumn { name: column.name.clone(), numbers })
        });
        let columns: Vec<_> = columns.collect();
        if columns.is_empty() {
            return Err(Failure::new(WHAT, "no column of it may be a feature")
                .at(log.source.path.display())
                .hint("give at least one column the role categorical, numeric, user or ad"));
        }
        let time = log.schema.with_role(Role::Time).map(|column| column.name.clone());
        let calendar = match &time {
            Some(name) => log.is_calendar_time(name)?,
            None => false,
        };
        Ok(Self { outcome, columns, time, calendar })
    }

    /// Features of each row.
    pub fn fields(&self) -> usize {
        self.columns.len() + if self.calendar { 2 } else { 0 }
    }

    /// Refuses a log that lacks what was read before: its columns have changed.
    ///
    /// # Errors
    /// The first column that is missing.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let columns = self.columns.iter().map(|column| &column.name);
        for name in columns.chain([&self.outcome]).chain(&self.time) {
            if schema.column(name).is_err() {
                let now: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
                let why = format!("its columns have changed: '{name}', which was learnt from, is gone");
                return Err(Failure::new(WHAT, why).hint(format!(
                    "columns now: {}; learn anew, or give the log its former columns",
                    now.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Visits all rows of a log in their order, some at a time: of a log larger than memory those of its files.
    ///
    /// # Errors
    /// A column is gone, an outcome that is not 0 or 1, what the disk answers, a cancel, or what the visitor answers.
    pub fn each_block(
        &self,
        log: &LogFrame,
        (paths, import): (&[PathBuf], &ImportOptions),
        context: &JobContext,
        mut visit: impl FnMut(&HashedRows) -> Result<()> + Send,
    ) -> Result<()> {
        self.check(&log.schema)?;
        let Some(sample) = &log.source.layout.sample else {
            let all = log.rows();
            for from in (0..all).step_by(AT_ONCE) {
                context.check()?;
                context.progress(from as u64, all as u64);
                visit(&self.rows(&slice(log, from, AT_ONCE))?)?;
            }
            return Ok(());
        };
        let weight = log.schema.with_role(Role::Weight).map(|column| column.name.as_str());
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let names: Vec<&str> = names
            .into_iter()
            .chain([self.outcome.as_str()])
            .chain(self.time.as_deref())
            .chain(weight)
            .collect();
        let stream = RowStream::of(log, paths, import, &names)?;
        let counts = log.schema.with_role(Role::Label).is_none();
        let mut done = 0;
        stream.each_block(context, |block| {
            let rows = self.block(block, weight.is_some(), counts)?;
            done += rows.label.len() as u64;
            context.progress(done, sample.of);
            visit(&rows)
        })
    }

    /// The rows of a log that is held.
    ///
    /// # Errors
    /// A column is gone, or an outcome that is not 0 or 1.
    pub fn rows(&self, log: &LogFrame) -> Result<HashedRows> {
        self.check(&log.schema)?;
        let (rows, fields) = (log.rows(), self.fields());
        let mut out = HashedRows { fields, features: vec![0; rows * fields], ..HashedRows::default() };
        for (field, column) in self.columns.iter().enumerate() {
            let seed = seed_of(&column.name);
            let places = out.features.iter_mut().skip(field).step_by(fields);
            if column.numbers {
                let numbers = log.numbers(&column.name)?;
                places.zip(numbers.iter()).for_each(|(to, x)| *to = of_number(seed, *x));
            } else {
                let cells = log.coded(&column.name)?;
                let hashes: Vec<u32> = cells.values.iter().map(|text| of_text(seed, text)).collect();
                let missing = of_text(seed, "");
                let hash = |code: u32| if code == NO_CODE { missing } else { hashes[code as usize] };
                places.zip(cells.codes.iter()).for_each(|(to, code)| *to = hash(*code));
            }
        }
        if let Some(name) = &self.time {
            out.time = log.times(name)?.to_vec();
        }
        let outcome = Outcome::read(log)?.unwrap_or_default();
        (out.label, out.weight) = (outcome.label.to_vec(), outcome.weight.to_vec());
        self.add_calendar(&mut out);
        Ok(out)
    }

    /// The rows of a block of a file.
    fn block(&self, block: &StreamBlock<'_>, has_weight: bool, counts: bool) -> Result<HashedRows> {
        let (rows, fields) = (block.rows(), self.fields());
        let mut out = HashedRows { fields, features: vec![0; rows * fields], ..HashedRows::default() };
        let mut buffer = String::new();
        for (field, column) in self.columns.iter().enumerate() {
            let seed = seed_of(&column.name);
            let mut places = out.features.iter_mut().skip(field).step_by(fields);
            block.each(field, |value| {
                if let Some(to) = places.next() {
                    *to = match column.numbers {
                        true => of_number(seed, number(value)),
                        false => of_text(seed, text(value, &mut buffer)),
                    };
                }
            })?;
        }
        let mut after = self.columns.len();
        let mut failure = None;
        block.each(after, |value| {
            out.label.push(if counts {
                number(value) as f32
            } else {
                outcome(&self.outcome, value, &mut buffer).unwrap_or_else(|why| {
                    failure = Some(why);
                    f32::NAN
                })
            });
        })?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        if self.time.is_some() {
            after += 1;
            block.each(after, |value| out.time.push(time(value)))?;
        }
        if has_weight {
            block.each(after + 1, |value| out.weight.push(number(value) as f32))?;
            if counts {
                let rate = |(clicks, shown): (&mut f32, &f32)| *clicks = (*clicks / shown).min(1.0);
                out.label.iter_mut().zip(&out.weight).for_each(rate);
            }
        }
        self.add_calendar(&mut out);
        Ok(out)
    }

    fn add_calendar(&self, out: &mut HashedRows) {
        if !self.calendar {
            return;
        }
        let (hour, day) = (seed_of("time:hour"), seed_of("time:weekday"));
        for (row, time) in out.features.chunks_exact_mut(out.fields).zip(&out.time) {
            let known = *time != NO_TIME;
            let at = row.len() - 2;
            row[at] = of_key(hour, if known { u64::from(hour_of(*time)) } else { u64::MAX });
            row[at + 1] = of_key(day, if known { u64::from(weekday_of(*time)) } else { u64::MAX });
        }
    }
}

/// Some rows of a log.
fn slice(log: &LogFrame, from: usize, rows: usize) -> LogFrame {
    LogFrame { frame: log.frame.slice(from as i64, rows), memo: Memo::default(), ..log.clone() }
}

fn seed_of(column: &str) -> u64 {
    xxh3_64_with_seed(column.as_bytes(), 0)
}

fn of_text(seed: u64, text: &str) -> u32 {
    xxh3_64_with_seed(text.as_bytes(), seed) as u32
}

fn of_key(seed: u64, key: u64) -> u32 {
    (crate::base::rng::mix(seed ^ key) >> 32) as u32
}

/// The feature of the band of a number.
fn of_number(seed: u64, x: f64) -> u32 {
    if x.is_nan() {
        return of_key(seed, u64::MAX);
    }
    let band = (BANDS * x.abs().ln_1p()).min(1e6).round().copysign(x) as i64;
    of_key(seed, band.cast_unsigned())
}

/// A cell as the text that a log in memory has for it.
fn text<'a>(value: Value<'a>, buffer: &'a mut String) -> &'a str {
    buffer.clear();
    // Into a text nothing can fail to be written.
    let _ = match value {
        Value::Text(text) => return text,
        Value::Whole(number) => write!(buffer, "{number}"),
        Value::Real(number) if !number.is_nan() => write!(buffer, "{}", number + 0.0),
        Value::Flag(flag) => write!(buffer, "{flag}"),
        _ => Ok(()),
    };
    buffer
}

fn number(value: Value<'_>) -> f64 {
    match value {
        Value::Whole(number) => number as f64,
        Value::Real(number) => number,
        Value::Flag(flag) => f64::from(u8::from(flag)),
        _ => f64::NAN,
    }
}

fn time(value: Value<'_>) -> i64 {
    match value {
        Value::Millis(time) | Value::Whole(time) => time,
        Value::Real(time) if time.is_finite() => time as i64,
        _ => NO_TIME,
    }
}

/// 0 or 1 of a cell; a log opened with -1 and 1 was read as 0 and 1.
fn outcome(column: &str, value: Value<'_>, buffer: &mut String) -> Result<f32> {
    match value {
        Value::Missing => Ok(f32::NAN),
        Value::Whole(-1) => Ok(0.0),
        value => label_value(column, text(value, buffer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::importers::{self, CacheChoice};
    use crate::data::sample;
    use polars::prelude::df;

    #[test]
    fn a_log_in_memory_and_its_file_hash_alike() {
        let folder = tempfile::tempdir().unwrap();
        let context = JobContext::detached();
        let path = folder.path().join("log.csv");
        let mut text = String::from("time,user,ad,size,price_band,clicked\n");
        for row in 0..60_000u32 {
            let (user, ad) = (row * 7919 % 9973, row % 17);
            let size = f64::from(row % 100) / 4.0;
            let _ = writeln!(
                text,
                "{},u{user},{ad},{size},{},{}",
                1_700_000_000 + row,
                row % 3,
                u8::from(row % 5 == 0)
            );
        }
        std::fs::write(&path, text).unwrap();
        let all = |import: &ImportOptions| {
            let log = importers::open(&path, import, &context).unwrap();
            let hashing = Hashing::of(&log).unwrap();
            let mut rows = HashedRows::default();
            hashing
                .each_block(&log, (std::slice::from_ref(&path), import), &context, |block| {
                    rows.fields = block.fields;
                    rows.features.extend(&block.features);
                    rows.label.extend(&block.label);
                    rows.time.extend(&block.time);
                    Ok(())
                })
                .unwrap();
            (log.source.layout.sample.is_some(), hashing, rows)
        };
        let held = ImportOptions { all_rows: true, cache: CacheChoice::Off, ..ImportOptions::default() };
        let cache = CacheChoice::Folder(folder.path().join("cache"));
        let small = ImportOptions { memory_bytes: Some(1_000_000), cache, ..ImportOptions::default() };
        let (held, small) = (all(&held), all(&small));
        assert_eq!((held.0, small.0), (false, true), "one was held, of the other a sample");
        assert_eq!(held.1, small.1);
        assert!(held.2 == small.2, "the same features of the same rows");
        assert_eq!(held.2.label.len(), 60_000);
    }

    #[test]
    fn what_cannot_be_learnt_from_is_refused() {
        let frame = df!("a" => [1i64, 0], "b" => ["x", "y"]).unwrap();
        let log = LogFrame::from_frame(frame, &[("b", Role::Categorical)]).unwrap();
        assert!(Hashing::of(&log).unwrap_err().hint.contains("role label"));
        let mut log = log;
        log.schema.set_role("a", Role::Label).unwrap();
        let hashing = Hashing::of(&log).unwrap();
        log.schema.set_role("b", Role::Ignored).unwrap();
        assert!(Hashing::of(&log).unwrap_err().why.contains("no column"));
        let other =
            LogFrame::from_frame(df!("a" => [1i64], "c" => ["x"]).unwrap(), &[("a", Role::Label)]).unwrap();
        let failure = hashing.rows(&other).unwrap_err();
        assert!(failure.why.contains("'b'") && failure.hint.contains("a, c"), "{failure}");
    }

    #[test]
    fn bands_widen_with_numbers_and_columns_do_not_mix() {
        assert_eq!(of_number(1, 1000.0), of_number(1, 1010.0));
        assert_ne!(of_number(1, 1.0), of_number(1, 2.0));
        assert_ne!(of_number(1, -3.0), of_number(1, 3.0));
        assert_ne!(of_number(1, f64::NAN), of_number(1, 0.0));
        assert_ne!(of_text(seed_of("a"), "x"), of_text(seed_of("b"), "x"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        let context = JobContext::detached();
        sample::generate(2000, 3, &path, &context).unwrap();
        let log = importers::open(&path, &ImportOptions::default(), &context).unwrap();
        let rows = Hashing::of(&log).unwrap().rows(&log).unwrap();
        assert_eq!(rows.features.len(), 2000 * rows.fields);
        assert_eq!(rows.label.iter().filter(|label| label.is_nan()).count(), 0);
    }
}
