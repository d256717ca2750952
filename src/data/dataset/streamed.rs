//! How is a log encoded that does not fit into memory? Its rows are read again from the file, straight into mapped
//! columns.
//!
//! Opening looked at every cell: it settled how each is read and holds a sample. One more pass gives every value a code
//! in the order of first appearance and writes codes, numbers and times into files, column by column. From there on the
//! log is [`Columns`] like any other: the same code as for a log in memory splits it, fits the encoder on the training
//! rows and encodes all rows, into files again. What memory holds is the dictionaries of values, which may take what the
//! log itself may take, and some 30 bytes a row for split and order.
//!
//! What is promised: where the columns have the same roles, the data set is the same to the last bit as that of the log
//! in memory, and so is what is trained on it. The roles of a log that does not fit are those that its sample tells.
//! That streaming reads cells as opening does is not taken on trust: the rows of the sample are compared, cell by cell.

use super::{Dataset, prepare_in};
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::data::array::{Array, ArrayWriter, Room};
use crate::data::cells::{self, NO_CODE};
use crate::data::columns::{CodeLists, Codes, Columns, NO_TIME, side_by_side};
use crate::data::encode::Encoder;
use crate::data::frame::LogFrame;
use crate::data::importers::{self, ImportOptions, RowStream, StreamBlock, Value};
use crate::data::key_codes::{KeyCodes, KeyKind};
use crate::data::options::EncodeOptions;
use crate::data::schema::{Role, Schema};
use crate::jobs::JobContext;
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of the sample that are compared.
const COMPARED: usize = 20_000;
/// Blocks between two looks at the memory.
const LOOK_EVERY: usize = 64;

const WHAT: &str = "cannot stream the log";

/// How the cells of a column are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Codes,
    Numbers,
    Times,
    Lists,
}

impl Want {
    /// How encoding wants the cells of a role; `None` for roles without a part in it.
    fn of(role: Role) -> Option<Self> {
        match role {
            Role::User | Role::Ad | Role::Campaign | Role::Slot | Role::Categorical => Some(Self::Codes),
            Role::Label | Role::Conversion => Some(Self::Codes),
            Role::Numeric | Role::Weight | Role::Clicks | Role::Truth => Some(Self::Numbers),
            Role::Time => Some(Self::Times),
            Role::Sequence => Some(Self::Lists),
            Role::Price | Role::Text | Role::Ignored => None,
        }
    }
}

/// A log whose columns lie in files.
pub(super) struct Streamed {
    schema: Schema,
    path: PathBuf,
    rows: usize,
    /// The column that holds points in time, if the time does.
    calendar: Option<String>,
    columns: Vec<(String, Want, Held)>,
}

enum Held {
    Codes(KeyCodes, Array<u32>),
    Numbers(Array<f64>),
    Times(Array<i64>),
    Lists(Array<u64>, KeyCodes, Array<u32>),
}

/// Splits, fits and encodes all rows of a log of which a sample is held, into a folder.
///
/// # Errors
/// A log that cannot be streamed, a folder without room, more distinct values than memory holds, or as
/// [`prepare`](super::prepare).
pub(super) fn prepare_streamed(
    log: &LogFrame,
    (paths, import): (&[PathBuf], &ImportOptions),
    options: &EncodeOptions,
    (folder, room): (&Path, &Room),
    context: &JobContext,
) -> Result<Dataset> {
    let columns = log.schema.columns.iter();
    let texts = options.text_vectors > 0;
    let want = |role| if texts && role == Role::Text { Some(Want::Codes) } else { Want::of(role) };
    let wanted = columns.filter_map(|column| Some((column.name.as_str(), want(column.role)?))).collect();
    let scratch = scratch_in(folder)?;
    let streamed = Streamed::read(log, (paths, import), wanted, scratch.path(), context)?;
    prepare_in(&streamed, options, room, context)
}

/// All rows of a log of which a sample is held, as a fitted encoder reads them. The files go with the answer.
#[derive(Debug)]
pub struct EncodedLog {
    /// The rows.
    pub dataset: Dataset,
    _files: Option<tempfile::TempDir>,
}

impl From<&Dataset> for EncodedLog {
    fn from(dataset: &Dataset) -> Self {
        Self { dataset: dataset.clone(), _files: None }
    }
}

/// The rows of a log as a fitted encoder reads them: all of them, also where the log is too large to be held. With
/// `gaps` a column that it lacks counts as missing, which is told.
///
/// # Errors
/// As [`Encoder::encode`].
pub fn encode_all(
    encoder: &Arc<Encoder>,
    log: &LogFrame,
    (paths, import): (&[PathBuf], &ImportOptions),
    gaps: bool,
    context: &JobContext,
) -> Result<EncodedLog> {
    if log.source.layout.sample.is_some()
        && let Some(place) = &log.source.kept_in
    {
        let streamed = encode_streamed(encoder, log, (paths, import), gaps, place, context);
        match streamed {
            Err(failure) if !failure.is_cancelled() => {
                context.warn(format!("only the sample is scored: {failure}"));
            }
            answer => return answer,
        }
    }
    let dataset = encoder.encode_in(log, gaps, &Room::memory(), context)?;
    Ok(EncodedLog { dataset, _files: None })
}

fn encode_streamed(
    encoder: &Arc<Encoder>,
    log: &LogFrame,
    source: (&[PathBuf], &ImportOptions),
    gaps: bool,
    place: &Path,
    context: &JobContext,
) -> Result<EncodedLog> {
    let files = scratch_in(place)?;
    let room = Room::folder(files.path());
    let scratch = scratch_in(files.path())?;
    let streamed = Streamed::read(log, source, wanted_by(encoder, log), scratch.path(), context)?;
    let dataset = encoder.encode_in(&streamed, gaps, &room, context)?;
    Ok(EncodedLog { dataset, _files: Some(files) })
}

/// A folder for what is only needed on the way; it goes when this does.
fn scratch_in(folder: &Path) -> Result<tempfile::TempDir> {
    tempfile::tempdir_in(folder).map_err(|error| disk_failure(WHAT, folder, &error))
}

/// What an encoder reads of a log, and what the log says of outcomes.
fn wanted_by<'a>(encoder: &'a Encoder, log: &'a LogFrame) -> Vec<(&'a str, Want)> {
    let categorical = encoder.categorical.iter().map(|field| (field.name.as_str(), Want::Codes));
    let numeric = encoder.numeric.iter().map(|field| (field.name.as_str(), Want::Numbers));
    let texts = encoder.texts.iter().map(|field| (field.name.as_str(), Want::Codes));
    let lists = encoder.sequences.iter().map(|field| (field.name.as_str(), Want::Lists));
    let users = encoder.keys.user.iter().map(|name| (name.as_str(), Want::Codes));
    let times = encoder.keys.time.iter().map(|name| (name.as_str(), Want::Times));
    let is_outcome =
        |role| matches!(role, Role::Label | Role::Conversion | Role::Weight | Role::Clicks | Role::Truth);
    let outcomes = log.schema.columns.iter().filter(|column| is_outcome(column.role));
    let outcomes = outcomes.filter_map(|column| Some((column.name.as_str(), Want::of(column.role)?)));
    let all = categorical.chain(numeric).chain(texts).chain(lists).chain(users).chain(times).chain(outcomes);
    let mut wanted: Vec<(&str, Want)> = Vec::new();
    for column in all.filter(|(name, _)| log.schema.column(name).is_ok()) {
        if !wanted.contains(&column) {
            wanted.push(column);
        }
    }
    wanted
}

impl Streamed {
    /// Reads the wanted columns of all rows into files of a folder.
    fn read(
        log: &LogFrame,
        (paths, import): (&[PathBuf], &ImportOptions),
        wanted: Vec<(&str, Want)>,
        folder: &Path,
        context: &JobContext,
    ) -> Result<Self> {
        context.stage("reading all rows");
        let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
        let stream = RowStream::of(log, paths, import, &names)?;
        let mut fills = Vec::new();
        for (number, (name, want)) in wanted.iter().enumerate() {
            fills.push(Filling::new(name, *want, folder, number)?);
        }
        let (mut rows, mut blocks, mut compared) = (0usize, 0usize, Vec::new());
        let memory = import.memory();
        stream.each_block(context, |block| {
            if compared.len() < COMPARED {
                compared.extend(block.sampled().map(|row| rows + row));
            }
            fills.par_iter_mut().enumerate().for_each(|(column, fill)| fill.take(block, column));
            rows += block.rows();
            blocks += 1;
            if let Some(failure) = fills.iter_mut().find_map(|fill| fill.failure.take()) {
                return Err(failure);
            }
            if rows > u32::MAX as usize {
                return Err(Failure::new(WHAT, "it has more than 4,294,967,295 rows"));
            }
            if blocks.is_multiple_of(LOOK_EVERY) { check_memory(&fills, memory) } else { Ok(()) }
        })?;
        let columns = fills.into_iter().map(|fill| fill.finish(folder)).collect::<Result<_>>()?;
        let mut calendar = None;
        for (name, _) in wanted.iter().filter(|(_, want)| *want == Want::Times) {
            if cells::is_calendar_time(log, name)? {
                calendar = Some((*name).to_owned());
            }
        }
        let mut streamed =
            Self { schema: log.schema.clone(), path: log.source.path.clone(), rows, calendar, columns };
        let expected = log.source.layout.sample.as_ref().map_or(log.rows() as u64, |sample| sample.of);
        if rows as u64 != expected {
            let why = format!("it has {rows} rows now and had {expected} when it was opened");
            return Err(Failure::new(WHAT, why).at(log.source.path.display()).hint("open it again"));
        }
        streamed.read_signed_label(log)?;
        compared.truncate(COMPARED);
        streamed.compare(log, &compared, context)?;
        Ok(streamed)
    }

    /// Refuses columns whose cells are not those that the opened log holds of the same rows, its first ones.
    fn compare(&self, log: &LogFrame, rows: &[usize], context: &JobContext) -> Result<()> {
        let head = log.head(rows.len());
        let differs = side_by_side(self.columns.len(), context, |column| {
            let (name, _, held) = &self.columns[column];
            let place = held.first_difference(&head, name, rows)?;
            Ok(place.map(|place| (name, rows[place])))
        })?;
        match differs.into_iter().flatten().next() {
            None => Ok(()),
            Some((name, row)) => {
                let why = format!("'{name}' of row {} was read otherwise when the log was opened", row + 1);
                Err(Failure::new(WHAT, why).at(log.source.path.display()))
            }
        }
    }

    /// A label of -1 and 1 was taken for 0 and 1 when the log was opened.
    fn read_signed_label(&mut self, log: &LogFrame) -> Result<()> {
        let Some(label) = log.schema.with_role(Role::Label) else { return Ok(()) };
        let opened = cells::coded(log, &label.name)?;
        for (name, _, held) in &mut self.columns {
            if let Held::Codes(keys, _) = held
                && *name == label.name
                && opened.values.iter().all(|value| matches!(value.as_str(), "0" | "1"))
            {
                keys.signs_to_flags();
            }
        }
        Ok(())
    }

    fn held(&self, column: &str, want: Want) -> Result<&Held> {
        self.schema.column(column)?;
        let found = self.columns.iter().find(|(name, as_what, _)| name == column && *as_what == want);
        found
            .map(|(.., held)| held)
            .ok_or_else(|| Failure::new(WHAT, format!("'{column}' was not read")).at(self.path.display()))
    }
}

impl Held {
    /// The first of some rows in which a column of a log is another one: row `place` of the log is `rows[place]` here.
    fn first_difference(&self, log: &LogFrame, name: &str, rows: &[usize]) -> Result<Option<usize>> {
        let first = |is_other: &dyn Fn(usize, usize) -> bool| {
            rows.iter().enumerate().find(|(place, row)| is_other(*place, **row)).map(|(place, _)| place)
        };
        Ok(match self {
            Self::Codes(keys, codes) => {
                let theirs = cells::coded(log, name)?;
                let text = |place: usize| theirs.values.get(theirs.codes[place] as usize);
                first(&|place, row| keys.text(codes[row]).as_ref() != text(place))
            }
            Self::Numbers(numbers) => {
                let theirs = cells::numbers(log, name)?;
                let is_same = |one: f64, other: f64| {
                    one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
                };
                first(&|place, row| !is_same(numbers[row], theirs[place]))
            }
            Self::Times(times) => {
                let theirs = cells::times(log, name)?;
                first(&|place, row| times[row] != theirs[place].unwrap_or(NO_TIME))
            }
            Self::Lists(offsets, keys, codes) => {
                let theirs = CodeLists::from(cells::coded_lists(log, name)?);
                let items = |row: usize| codes[offsets[row] as usize..offsets[row + 1] as usize].iter();
                let texts = |row: usize| items(row).map(|code| keys.text(*code));
                first(&|place, row| !texts(row).eq(theirs.of_row(place).map(|item| item.map(str::to_owned))))
            }
        })
    }
}

fn check_memory(fills: &[Filling], memory: u64) -> Result<()> {
    let bytes = |fill: &Filling| fill.keys.as_ref().map_or(0, KeyCodes::bytes) as u64;
    let taken: u64 = fills.iter().map(bytes).sum();
    if taken <= memory {
        return Ok(());
    }
    let largest = fills.iter().max_by_key(|fill| bytes(fill));
    let largest = largest.map_or(String::new(), |fill| {
        format!(", most of it '{}' with {} so far", fill.name, fill.keys.as_ref().map_or(0, KeyCodes::len))
    });
    let why = format!("the distinct values of its columns take more than {memory} bytes{largest}");
    Err(Failure::new(WHAT, why).hint("more --memory, or the role ignored for the largest columns"))
}

impl Columns for Streamed {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn coded(&self, column: &str) -> Result<Codes> {
        match self.held(column, Want::Codes)? {
            Held::Codes(keys, codes) => Ok(Codes { values: Arc::new(keys.texts()), codes: codes.clone() }),
            _ => Ok(Codes::default()),
        }
    }

    fn numbers(&self, column: &str) -> Result<Array<f64>> {
        match self.held(column, Want::Numbers)? {
            Held::Numbers(numbers) => Ok(numbers.clone()),
            _ => Ok(Array::default()),
        }
    }

    fn times(&self, column: &str) -> Result<Array<i64>> {
        match self.held(column, Want::Times)? {
            Held::Times(times) => Ok(times.clone()),
            _ => Ok(Array::default()),
        }
    }

    fn is_calendar_time(&self, column: &str) -> Result<bool> {
        Ok(self.calendar.as_deref() == Some(column))
    }

    fn lists(&self, column: &str) -> Result<Option<CodeLists>> {
        Ok(match self.held(column, Want::Lists)? {
            Held::Lists(offsets, keys, codes) => Some(CodeLists {
                offsets: offsets.clone(),
                items: Codes { values: Arc::new(keys.texts()), codes: codes.clone() },
            }),
            _ => None,
        })
    }
}

/// A column that is being read.
struct Filling {
    name: String,
    want: Want,
    /// Made with the first value, which tells their kind.
    keys: Option<KeyCodes>,
    out: Out,
    failure: Option<Failure>,
}

enum Out {
    Codes(ArrayWriter<u32>, Vec<u32>),
    Numbers(ArrayWriter<f64>, Vec<f64>),
    Times(ArrayWriter<i64>, Vec<i64>),
    Lists(Box<ListsOut>),
}

struct ListsOut {
    offsets: (ArrayWriter<u64>, Vec<u64>),
    items: (ArrayWriter<u32>, Vec<u32>),
    end: u64,
}

impl Filling {
    fn new(name: &str, want: Want, folder: &Path, number: usize) -> Result<Self> {
        let file = format!("column-{number}");
        let out = match want {
            Want::Codes => Out::Codes(ArrayWriter::create(folder, &file)?, Vec::new()),
            Want::Numbers => Out::Numbers(ArrayWriter::create(folder, &file)?, Vec::new()),
            Want::Times => Out::Times(ArrayWriter::create(folder, &file)?, Vec::new()),
            Want::Lists => {
                let offsets = ArrayWriter::create(folder, &format!("{file}.offsets"))?;
                let items = ArrayWriter::create(folder, &format!("{file}.ids"))?;
                Out::Lists(Box::new(ListsOut {
                    offsets: (offsets, vec![0]),
                    items: (items, Vec::new()),
                    end: 0,
                }))
            }
        };
        Ok(Self { name: name.to_owned(), want, keys: None, out, failure: None })
    }

    fn take(&mut self, block: &StreamBlock<'_>, column: usize) {
        if let Err(failure) = self.try_take(block, column) {
            self.failure = Some(failure.at(format!("column '{}'", self.name)));
        }
    }

    fn try_take(&mut self, block: &StreamBlock<'_>, column: usize) -> Result<()> {
        let mut is_other = false;
        let keys = &mut self.keys;
        match &mut self.out {
            Out::Codes(writer, codes) => {
                block.each(column, |value| codes.push(code(keys, value, &mut is_other)))?;
                writer.push(codes)?;
                codes.clear();
            }
            Out::Numbers(writer, numbers) => {
                block.each(column, |value| numbers.push(number(value, &mut is_other)))?;
                writer.push(numbers)?;
                numbers.clear();
            }
            Out::Times(writer, times) => {
                block.each(column, |value| times.push(time(value, &mut is_other)))?;
                writer.push(times)?;
                times.clear();
            }
            Out::Lists(out) => {
                let ListsOut { offsets, items, end } = &mut **out;
                block.each(column, |value| {
                    let before = items.1.len();
                    importers::each_item(value, |item| items.1.push(code(keys, item, &mut is_other)));
                    *end += (items.1.len() - before) as u64;
                    offsets.1.push(*end);
                })?;
                offsets.0.push(&offsets.1)?;
                items.0.push(&items.1)?;
                offsets.1.clear();
                items.1.clear();
            }
        }
        if is_other {
            return Err(Failure::new(WHAT, "its cells are of another kind than its role wants"));
        }
        Ok(())
    }

    fn finish(self, folder: &Path) -> Result<(String, Want, Held)> {
        let mut keys = self.keys.unwrap_or_else(|| KeyCodes::new(KeyKind::Text));
        keys.close();
        let held = match self.out {
            Out::Codes(writer, _) => Held::Codes(keys, mapped(writer, folder)?),
            Out::Numbers(writer, _) => Held::Numbers(mapped(writer, folder)?),
            Out::Times(writer, _) => Held::Times(mapped(writer, folder)?),
            Out::Lists(out) => {
                let ListsOut { offsets: (mut offsets, left), items: (items, _), .. } = *out;
                // The first offset of a log without rows.
                offsets.push(&left)?;
                Held::Lists(mapped(offsets, folder)?, keys, mapped(items, folder)?)
            }
        };
        Ok((self.name, self.want, held))
    }
}

fn mapped<T: bytemuck::Pod>(writer: ArrayWriter<T>, folder: &Path) -> Result<Array<T>> {
    let written = writer.finish()?;
    Array::map(&folder.join(written.name))
}

/// The code of a cell, as [`cells::coded`] gives it.
#[inline]
fn code(keys: &mut Option<KeyCodes>, value: Value<'_>, is_other: &mut bool) -> u32 {
    let kind = match value {
        Value::Text(_) => KeyKind::Text,
        Value::Whole(_) => KeyKind::Whole,
        Value::Real(_) => KeyKind::Real,
        Value::Flag(_) => KeyKind::Flag,
        Value::Missing => return NO_CODE,
        Value::Millis(_) | Value::List(..) | Value::Items(_) => {
            *is_other = true;
            return NO_CODE;
        }
    };
    let keys = keys.get_or_insert_with(|| KeyCodes::new(kind));
    // The files of one log may tell different kinds.
    *is_other |= keys.kind() != kind;
    match value {
        Value::Text(text) => keys.text_code(text),
        Value::Whole(number) => keys.code(number.cast_unsigned()),
        // Adding 0.0 makes -0.0 and 0.0 one value.
        Value::Real(number) if !number.is_nan() => keys.code((number + 0.0).to_bits()),
        Value::Flag(flag) => keys.code(u64::from(flag)),
        _ => NO_CODE,
    }
}

/// A cell as a number, as [`cells::numbers`] reads it.
#[inline]
fn number(value: Value<'_>, is_other: &mut bool) -> f64 {
    match value {
        Value::Whole(number) => number as f64,
        Value::Real(number) => number,
        Value::Flag(flag) => f64::from(u8::from(flag)),
        Value::Missing => f64::NAN,
        Value::Text(_) | Value::Millis(_) | Value::List(..) | Value::Items(_) => {
            *is_other = true;
            f64::NAN
        }
    }
}

/// A cell as a point in time, as [`cells::times`] reads it.
#[inline]
fn time(value: Value<'_>, is_other: &mut bool) -> i64 {
    match value {
        Value::Millis(time) | Value::Whole(time) => time,
        Value::Real(time) if time.is_finite() && time.abs() < i64::MAX as f64 => time as i64,
        Value::Missing | Value::Real(_) => NO_TIME,
        Value::Text(_) | Value::Flag(_) | Value::List(..) | Value::Items(_) => {
            *is_other = true;
            NO_TIME
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::assert_same;
    use super::super::{open_prepared, prepare};
    use super::*;
    use crate::data::erasure::Erased;
    use crate::data::importers::CacheChoice;
    use crate::data::sample;
    use polars::prelude::{DataFrame, IntoSeries, ListChunked, NamedFrom, ParquetWriter, Series, df};
    use std::fmt::Write as _;
    use std::sync::Mutex;

    struct Setting {
        folder: tempfile::TempDir,
        paths: Vec<PathBuf>,
        import: ImportOptions,
    }

    impl Setting {
        fn of(files: &[(&str, String)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let write = |(name, text): &(&str, String)| {
                let path = folder.path().join(name);
                std::fs::write(&path, text).unwrap();
                path
            };
            let paths = files.iter().map(write).collect();
            let cache = CacheChoice::Folder(folder.path().join("cache"));
            Self { folder, paths, import: ImportOptions { cache, ..ImportOptions::default() } }
        }

        /// All rows held in memory.
        fn held(&self) -> (LogFrame, Dataset) {
            let all = ImportOptions { all_rows: true, cache: CacheChoice::Off, ..self.import.clone() };
            let context = JobContext::detached();
            let log = importers::open_all(&self.paths, &all, &context).unwrap();
            let dataset = prepare(&log, &EncodeOptions::default(), &context).unwrap();
            (log, dataset)
        }

        fn small(&self) -> ImportOptions {
            ImportOptions { memory_bytes: Some(1_000_000), ..self.import.clone() }
        }

        /// All rows streamed, and what was told.
        fn streamed(&self) -> (Dataset, Vec<String>) {
            let warnings = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&warnings);
            let context = JobContext::watched(Arc::default(), move |text| heard.lock().unwrap().push(text));
            let options = EncodeOptions::default();
            let dataset = open_prepared(&self.paths, &self.small(), &options, &context).unwrap();
            let warnings = warnings.lock().unwrap().clone();
            (dataset, warnings)
        }
    }

    /// Streams a log of which a sample fits into the memory and compares it with the log in memory.
    fn streamed_is_held(setting: &Setting) {
        let context = JobContext::detached();
        let (log, held) = setting.held();
        let small = importers::open_all(&setting.paths, &setting.small(), &context).unwrap();
        assert!(small.rows() < log.rows() / 2, "{}", small.rows());
        let roles = |log: &LogFrame| log.schema.columns.iter().map(|column| column.role).collect::<Vec<_>>();
        assert_eq!(roles(&small), roles(&log));
        let (streamed, warnings) = setting.streamed();
        assert!(!warnings.iter().any(|text| text.contains("sample is trained on")), "{warnings:?}");
        assert!(streamed.categorical[0].is_mapped() && !held.sequences[0].ids.is_empty());
        assert_same(&held, &streamed);
        // The second time nothing is read: opening a sample would be told.
        let (again, warnings) = setting.streamed();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_same(&held, &again);
        // A model of these rows scores all of them.
        let small = importers::open_all(&setting.paths, &setting.small(), &context).unwrap();
        let source = (setting.paths.as_slice(), &setting.small());
        let scored = encode_all(&held.encoder, &small, source, false, &context).unwrap();
        assert_eq!(scored.dataset.categorical, held.categorical);
        assert_eq!(scored.dataset.sequences, held.sequences);
        assert_eq!((&scored.dataset.label, &scored.dataset.test), (&held.label, &held.test));
    }

    #[test]
    fn a_log_with_users_ads_and_histories_is_the_same_streamed_and_held() {
        for name in ["log.csv", "log.parquet", "log.jsonl"] {
            let setting = Setting::of(&[(name, String::new())]);
            sample::generate(25_000, 3, &setting.paths[0], &JobContext::detached()).unwrap();
            streamed_is_held(&setting);
        }
    }

    #[test]
    fn files_in_folders_that_tell_a_column_are_the_same_streamed_and_held() {
        for ending in ["csv", "parquet"] {
            let mut setting = Setting::of(&[]);
            let root = setting.folder.path().join("logs");
            // A file that is left out does not shift which rows of the others the sample holds.
            for (place, seed) in [("day=4/a", 1), ("day=4/broken", 0), ("day=5/b", 2), ("day=6/c", 3)] {
                let path = root.join(place).with_extension(ending);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let made = setting.folder.path().join(path.file_name().unwrap());
                match seed {
                    0 => std::fs::write(&made, b"PAR1\0 and nothing else").unwrap(),
                    seed => drop(sample::generate(15_000, seed, &made, &JobContext::detached()).unwrap()),
                }
                std::fs::rename(made, path).unwrap();
            }
            setting.paths = vec![root];
            setting.import.roles.push(("day".to_owned(), Role::Categorical));
            let (log, held) = setting.held();
            assert!(held.encoder.categorical.iter().any(|field| field.name == "day"), "{:?}", held.notes);
            assert!(log.source.parts.iter().any(|part| part.problem.is_some()));
            streamed_is_held(&setting);
        }
    }

    /// Columns of every type that a Parquet file may have, as texts that are times or lists among them.
    fn odd_columns(rows: usize) -> DataFrame {
        let every = |part: usize| move |row: usize| row % part == part - 1;
        let text = |row: usize| (!every(7)(row)).then(|| ["上海", "", "null", " x ", "München"][row % 5]);
        let lists = (0..rows).map(|row| {
            let items =
                (0..row % 4).map(|item| (!every(9)(row + item)).then(|| format!(" i{}", (row + item) % 40)));
            (!every(11)(row)).then(|| Series::new("".into(), items.collect::<Vec<_>>()))
        });
        let lists: ListChunked = lists.collect();
        df!(
            "user_id" => (0..rows).map(|row| (!every(13)(row)).then_some((row * 31 % 900) as f64)).collect::<Vec<_>>(),
            "city" => (0..rows).map(text).collect::<Vec<_>>(),
            "kind" => (0..rows).map(|row| row as u64 % 9).collect::<Vec<_>>(),
            "score" => (0..rows).map(|row| (!every(5)(row)).then_some(row as f32 / 7.0)).collect::<Vec<_>>(),
            "flag" => (0..rows).map(|row| (!every(8)(row)).then_some(row % 3 == 0)).collect::<Vec<_>>(),
            "seen" => lists.into_series(),
            "viewed" => (0..rows).map(|row| format!("i{}|i{}", row % 40, row % 7)).collect::<Vec<_>>(),
            "item_id" => (0..rows).map(|row| format!("i{}", row % 40)).collect::<Vec<_>>(),
            "timestamp" => (0..rows).map(|row| 1_700_000_000 + 60 * row as i64).collect::<Vec<_>>(),
            "click" => (0..rows).map(|row| if row * 17 % 23 < 4 { 1i32 } else { -1 }).collect::<Vec<_>>(),
        )
        .unwrap()
    }

    #[test]
    fn odd_columns_in_groups_of_rows_are_the_same_streamed_and_held() {
        let mut setting = Setting::of(&[("log.parquet", String::new())]);
        let mut frame = odd_columns(60_000);
        let file = std::fs::File::create(&setting.paths[0]).unwrap();
        ParquetWriter::new(file).with_row_group_size(Some(7_001)).finish(&mut frame).unwrap();
        for name in ["city", "kind", "flag", "user_id"] {
            setting.import.roles.push((name.to_owned(), Role::Categorical));
        }
        setting.import.roles.push(("score".to_owned(), Role::Numeric));
        let (log, held) = setting.held();
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!(
            (role("seen"), role("timestamp"), role("click")),
            (Role::Sequence, Role::Time, Role::Label)
        );
        assert_eq!(held.encoder.numeric.len(), 1, "{:?}", held.notes);
        streamed_is_held(&setting);
    }

    #[test]
    fn cells_that_the_sample_does_not_tell_are_refused() {
        let mut setting = Setting::of(&[("log.parquet", String::new())]);
        let mut frame = odd_columns(60_000);
        let wholes = (0..60_000).map(|row| if row == 31_000 { 0.5 } else { f64::from(row % 50) });
        frame.with_column(Series::new("dwell".into(), wholes.collect::<Vec<_>>()).into()).unwrap();
        let file = std::fs::File::create(&setting.paths[0]).unwrap();
        ParquetWriter::new(file).finish(&mut frame).unwrap();
        setting.import.roles.push(("dwell".to_owned(), Role::Numeric));
        let (sampled, warnings) = setting.streamed();
        assert!(sampled.rows < 30_000);
        assert!(
            warnings.iter().any(|text| text.contains("'dwell'") && text.contains("fractions")),
            "{warnings:?}"
        );
    }

    #[test]
    fn rows_of_people_who_are_left_out_are_not_streamed_nor_kept() {
        let mut setting = Setting::of(&[("log.csv", String::new())]);
        sample::generate(45_000, 3, &setting.paths[0], &JobContext::detached()).unwrap();
        let (whole, _) = setting.streamed();
        assert_eq!(whole.rows, 45_000);
        // Somebody who stands in no row of the sample may stand in any other.
        let list = setting.folder.path().join("erased.json");
        Erased::default().add("nobody in the sample", &list).unwrap();
        setting.import.erased = Some(list);
        let (sampled, warnings) = setting.streamed();
        assert!(sampled.rows < 45_000 / 2, "{}", sampled.rows);
        assert!(warnings.iter().any(|text| text.contains("rows of people are left out")), "{warnings:?}");
        let cache = setting.folder.path().join("cache");
        let gone = importers::forget(&cache, "nobody in the sample", &JobContext::detached()).unwrap();
        assert_eq!(
            (gone.looked, gone.removed),
            (1, 1),
            "nobody can tell whose rows were kept beside the sample"
        );
    }

    /// Cells of every kind that a column can have, some of them missing, damaged or in quotes.
    fn odd_cells(rows: std::ops::Range<usize>) -> String {
        let mut text = String::from("user_id,city,code,mixed,level,share,flag,seen,item_id,when,click\n");
        for row in rows {
            let city = ["\"a, b\"", "上海", "null", "", "München", "x\"\"y"][row % 6];
            let city = if row % 6 == 5 { "\"x\"\"y\"" } else { city };
            let code = format!("{:016}", row * 7919 % 5_000);
            let mixed = if row % 11 == 0 { format!("{}.5", row % 40) } else { format!("{}", row % 40) };
            let level = [format!("{}.25", row % 90), String::new(), "1.5e30".to_owned(), "-3".to_owned()];
            let flag = ["true", "false", "", "True"][row * 5 % 4];
            let seen = format!("i{}|i{}|| i{}", row % 9, row % 50, row % 7);
            let _ = writeln!(
                text,
                "u{},{city},{code},{mixed},{},{} %,{flag},{seen},i{},2026-03-{:02} {:02}:10:00,{}",
                row * 31 % 2_000,
                level[row % 4],
                row % 100,
                row % 50,
                row / 5_000 % 28 + 1,
                row % 24,
                if row * 17 % 23 < 4 { 1 } else { -1 },
            );
        }
        text
    }

    #[test]
    fn odd_cells_in_several_files_are_the_same_streamed_and_held() {
        let files = [("a.csv", odd_cells(0..60_000)), ("b.csv", odd_cells(60_000..120_000))];
        let mut setting = Setting::of(&files);
        let roles = [("level", Role::Numeric), ("share", Role::Numeric), ("mixed", Role::Categorical)];
        setting.import.roles.extend(roles.map(|(name, role)| (name.to_owned(), role)));
        for name in ["flag", "code", "city"] {
            setting.import.roles.push((name.to_owned(), Role::Categorical));
        }
        let (log, held) = setting.held();
        let (streamed, warnings) = setting.streamed();
        assert!(!warnings.iter().any(|text| text.contains("sample is trained on")), "{warnings:?}");
        assert_eq!(log.rows(), 120_000);
        assert!(held.encoder.sequences.iter().any(|field| field.name == "seen"), "{:?}", held.notes);
        assert_eq!((held.encoder.numeric.len(), held.encoder.categorical.len()), (2, 8), "{:?}", held.notes);
        assert_same(&held, &streamed);
    }

    #[test]
    fn what_cannot_be_streamed_is_told_and_trains_on_its_sample() {
        let mut setting = Setting::of(&[("log.csv", odd_cells(0..110_000))]);
        setting.import.roles.push(("city".to_owned(), Role::Ignored));
        let users = setting.folder.path().join("users.csv");
        let lines = (0..2_000).map(|user| format!("u{user},{}\n", user % 9)).collect::<String>();
        std::fs::write(&users, format!("user_id,age\n{lines}")).unwrap();
        setting.import.joins = vec![importers::JoinSpec::parse(&users.display().to_string()).unwrap()];
        let (sample, warnings) = setting.streamed();
        assert!(sample.rows < 110_000);
        assert!(warnings.iter().any(|text| text.contains("side tables")), "{warnings:?}");
        assert!(sample.notes.iter().any(|note| note.contains("side tables")), "{:?}", sample.notes);
        let (_, again) = setting.streamed();
        assert!(again.iter().any(|text| text.contains("side tables")), "told each time: {again:?}");
    }

    #[test]
    fn more_distinct_values_than_memory_are_told() {
        let keys = |of: u64| {
            let mut keys = KeyCodes::new(KeyKind::Whole);
            for n in 0..of {
                keys.code(n);
            }
            keys
        };
        let folder = tempfile::tempdir().unwrap();
        let mut fill = Filling::new("user", Want::Codes, folder.path(), 0).unwrap();
        fill.keys = Some(keys(100_000));
        assert!(check_memory(std::slice::from_ref(&fill), 10_000_000).is_ok());
        let failure = check_memory(&[fill], 1_000_000).unwrap_err();
        assert!(failure.why.contains("'user' with 100000") && failure.hint.contains("--memory"), "{failure}");
    }
}
