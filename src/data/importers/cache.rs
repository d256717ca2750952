//! How does the second opening of a large log take no time? Its typed columns are kept beside what was found out.
//!
//! An entry is a folder named by the fingerprint of the log's files, what was asked for and this very program: the
//! columns as uncompressed Arrow files, texts whose cells come again as codes with their words beside them, and `log.json` with schema, source and a checksum of every file. It appears
//! under its name only when it is whole. The oldest entries go when all of them take more than the limit.

use super::fingerprint::{self, Stamp};
use super::options::{CacheChoice, ImportOptions};
use super::parquet::UNPACKED;
use super::reading::Reading;
use super::sources::Sources;
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::enumerated;
use crate::data::erasure::Erased;
use crate::data::frame::{LogFrame, Source};
use crate::data::memo::Memo;
use crate::data::schema::{ColumnType, Schema};
use crate::jobs::JobContext;
use polars::prelude::{
    Column, DataFrame, DataType, IntoSeries, IpcReader, IpcWriter, NewChunkedArray, SerReader, SerWriter,
    UInt32Chunked,
};
use rayon::prelude::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use xxhash_rust::xxh3::Xxh3;

/// Smaller logs open at once anyway.
const SMALLEST: u64 = 8 << 20;
/// All entries together, with what was made from them.
pub(in crate::data) const LARGEST: u64 = 16 << 30;
/// Files that the columns of a log are spread over, so that they are read on all cores.
const FILES: usize = 8;
/// Columns that are worked on side by side.
const COLUMNS_AT_ONCE: usize = 32;
/// What the description of an entry is called.
const DESCRIPTION: &str = "log.json";

/// Where a log is kept, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    schema: Schema,
    source: Source,
    rows: usize,
    files: Vec<KeptFile>,
    /// Texts that are stored as codes: the place of the column, and the file of its distinct cells.
    words: Vec<(usize, KeptFile)>,
}

#[derive(Serialize, Deserialize)]
struct KeptFile {
    name: String,
    bytes: u64,
    hash: u64,
}

impl Entry {
    /// The place of a log; `None` when it is too small to be kept or nothing is to be kept.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn of(
        sources: &Sources,
        stamps: &[Stamp],
        reading: &Reading,
        options: &ImportOptions,
    ) -> Result<Option<Self>> {
        let CacheChoice::Folder(folder) = &options.cache else {
            return Ok(None);
        };
        let bytes: u64 = stamps.iter().map(|stamp| stamp.bytes).sum();
        // One that may not fit into the memory needs the place for its rows, however small its file is.
        if bytes < SMALLEST.min(options.memory() / UNPACKED) {
            return Ok(None);
        }
        let mut hash = Xxh3::new();
        hash.update(this_program().as_bytes());
        hash.update(options.words_for_cache().as_bytes());
        hash.update(&serde_json::to_vec(reading).explain(WHAT)?);
        for (part, stamp) in sources.parts.iter().zip(stamps) {
            for (column, value) in &part.partitions {
                hash.update(format!("{column}={value}\n").as_bytes());
            }
            fingerprint::add(&mut hash, &part.path, *stamp)?;
        }
        for spec in &options.joins {
            for part in super::sources::find(std::slice::from_ref(&spec.file))?.parts {
                fingerprint::add(&mut hash, &part.path, Stamp::of(&part.path)?)?;
            }
        }
        Ok(Some(Self { folder: folder.join(format!("{:032x}", hash.digest128())) }))
    }

    /// The log that is kept here; `None` when there is none, or a damaged one, which is told.
    pub fn load(&self, path: &Path, context: &JobContext) -> Option<LogFrame> {
        if !self.folder.is_dir() {
            return None;
        }
        context.stage("reading the cache");
        match self.read(path) {
            Ok(log) => {
                used_now(&self.folder);
                Some(log)
            }
            Err(failure) => {
                context.warn(format!("the kept copy of the log is damaged and made anew: {failure}"));
                let _ = std::fs::remove_dir_all(&self.folder);
                None
            }
        }
    }

    fn read(&self, path: &Path) -> Result<LogFrame> {
        let description = self.folder.join(DESCRIPTION);
        let text = std::fs::read(&description).map_err(|error| disk_failure(WHAT, &description, &error))?;
        let kept: Kept = serde_json::from_slice(&text).explain(WHAT)?;
        let read = |file: &KeptFile| self.read_columns(file);
        let columns: Vec<Vec<Column>> = kept.files.par_iter().map(read).collect::<Result<_>>()?;
        let mut columns: Vec<Column> = columns.into_iter().flatten().collect();
        for few in kept.words.chunks(COLUMNS_AT_ONCE) {
            let text =
                |(place, file): &(usize, KeptFile)| Ok((*place, self.read_text(&columns, *place, file)?));
            for (place, text) in few.par_iter().map(text).collect::<Result<Vec<_>>>()? {
                columns[place] = text;
            }
        }
        let frame = DataFrame::new_infer_height(columns).explain(WHAT)?;
        let names = frame.columns().iter().map(|column| column.name().as_str());
        if frame.height() != kept.rows || !names.eq(kept.schema.columns.iter().map(|column| &*column.name)) {
            return Err(Failure::new(WHAT, "its columns are not those it was kept with"));
        }
        let source = Source { path: path.to_owned(), kept_in: Some(self.folder.clone()), ..kept.source };
        Ok(LogFrame {
            frame,
            schema: kept.schema,
            source: Arc::new(source),
            revision: 0,
            memo: Memo::default(),
        })
    }

    /// A text from its codes and its words.
    fn read_text(&self, columns: &[Column], place: usize, file: &KeptFile) -> Result<Column> {
        let damaged = || Failure::new(WHAT, "a text lacks its words");
        let codes = columns.get(place).ok_or_else(damaged)?;
        let words = self.read_columns(file)?.pop().ok_or_else(damaged)?;
        let text = enumerated::of_words(words.as_materialized_series(), codes.as_materialized_series());
        Ok(text.map_err(|failure| Failure::new(WHAT, failure.why))?.into())
    }

    fn read_columns(&self, kept: &KeptFile) -> Result<Vec<Column>> {
        let path = self.folder.join(&kept.name);
        let explain = |error: std::io::Error| disk_failure(WHAT, &path, &error);
        let file = File::open(&path).map_err(explain)?;
        if hashed(&file).map_err(explain)? != (kept.bytes, kept.hash) {
            return Err(Failure::new(WHAT, "its bytes are not those that were written").at(path.display()));
        }
        let file = File::open(&path).map_err(explain)?;
        Ok(IpcReader::new(file).finish().explain(WHAT)?.into_columns())
    }

    /// Keeps a log. A failure is told and is none of the opening.
    pub fn keep(&self, log: &mut LogFrame, context: &JobContext) {
        context.stage("keeping a copy for the next time");
        match self.write(log) {
            Ok(()) => {
                let mut source = (*log.source).clone();
                source.kept_in = Some(self.folder.clone());
                log.source = Arc::new(source);
            }
            Err(failure) => context.warn(format!("no copy is kept for the next time: {failure}")),
        }
    }

    fn write(&self, log: &LogFrame) -> Result<()> {
        let bytes = log.frame.estimated_size() as u64;
        if bytes > LARGEST {
            return Err(Failure::new(WHAT_WRITE, "the log is larger than the whole cache may be"));
        }
        if let Some(cache) = self.folder.parent() {
            make_room(cache, LARGEST - bytes, None);
        }
        let mut name = self.folder.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.part", std::process::id()));
        let temporary = self.folder.with_file_name(name);
        let written = self.write_to(&temporary, log);
        if written.is_err() {
            // The failure that is told is the one that matters.
            let _ = std::fs::remove_dir_all(&temporary);
        }
        written
    }

    fn write_to(&self, temporary: &Path, log: &LogFrame) -> Result<()> {
        let explain = |error: std::io::Error| disk_failure(WHAT_WRITE, temporary, &error);
        std::fs::create_dir_all(temporary).map_err(explain)?;
        // A thread that waits for polars takes the next column meanwhile, one inside the other: not too many.
        let few = log.frame.columns().chunks(COLUMNS_AT_ONCE);
        let stored = few.flat_map(|few| few.par_iter().map(coded).collect::<Vec<_>>());
        let (columns, words): (Vec<Column>, Vec<Option<Column>>) = stored.unzip();
        let words = words.into_iter().enumerate().filter_map(|(place, words)| Some((place, words?)));
        let words: Vec<(usize, KeptFile)> = words
            .map(|(place, words)| {
                Ok((place, write_columns(temporary, &format!("words-{place}.arrow"), &[words])?))
            })
            .collect::<Result<_>>()?;
        let share = columns.len().div_ceil(FILES).max(1);
        let groups: Vec<(usize, &[Column])> = columns.chunks(share).enumerate().collect();
        let files: Vec<KeptFile> = groups
            .into_par_iter()
            .map(|(number, columns)| write_columns(temporary, &format!("columns-{number}.arrow"), columns))
            .collect::<Result<_>>()?;
        let kept = Kept {
            schema: log.schema.clone(),
            source: (*log.source).clone(),
            rows: log.rows(),
            files,
            words,
        };
        let text = serde_json::to_vec(&kept).explain(WHAT_WRITE)?;
        std::fs::write(temporary.join(DESCRIPTION), text).map_err(explain)?;
        // Another program may have kept the same log meanwhile: either copy is as good.
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::rename(temporary, &self.folder).map_err(explain)
    }
}

/// What was looked through for somebody's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Forgotten {
    /// Copies of logs that were looked through.
    pub looked: usize,
    /// Copies that held somebody and are gone; they are made anew when their log is opened.
    pub removed: usize,
    /// Copies that could not be read and are gone as well.
    pub damaged: usize,
}

/// Leaves somebody's rows out of every log from now on and takes them out of what is kept; answers how many people the
/// list names now.
///
/// # Errors
/// A list or a copy that the disk refuses; a cancel.
pub fn erase(
    user: &str,
    list: &Path,
    cache: Option<&Path>,
    context: &JobContext,
) -> Result<(Forgotten, usize)> {
    // First the list: a copy that is made anew meanwhile leaves the person out.
    let mut erased = Erased::load(list)?;
    erased.add(user, list)?;
    let gone = match cache {
        Some(cache) => forget(cache, user, context)?,
        None => Forgotten::default(),
    };
    Ok((gone, erased.count()))
}

/// Removes every kept copy in which somebody's name stands, in whatever column.
///
/// # Errors
/// A copy that cannot be removed; a cancel.
pub fn forget(cache: &Path, name: &str, context: &JobContext) -> Result<Forgotten> {
    let mut forgotten = Forgotten::default();
    let entries = match std::fs::read_dir(cache) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(forgotten),
        Err(error) => return Err(disk_failure(WHAT, cache, &error)),
    };
    for folder in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        context.check()?;
        forgotten.looked += 1;
        let entry = Entry { folder };
        let held = |log: LogFrame| Ok(names(&log, name)? || entry.has_rows_beyond(&log));
        let (holds, damaged) = match entry.read(Path::new("")).and_then(held) {
            Ok(holds) => (holds, false),
            // Nobody knows who is in it.
            Err(_) => (true, true),
        };
        if holds {
            std::fs::remove_dir_all(&entry.folder)
                .map_err(|error| disk_failure("cannot erase the kept copy", &entry.folder, &error))?;
            if damaged { forgotten.damaged += 1 } else { forgotten.removed += 1 }
        }
    }
    Ok(forgotten)
}

impl Entry {
    /// True when rows for models are kept here that the copy of the log, a sample, does not hold: whose they are is told
    /// nowhere.
    fn has_rows_beyond(&self, log: &LogFrame) -> bool {
        let mut found = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        log.source.layout.sample.is_some() && found.any(|entry| entry.path().is_dir())
    }
}

/// True when a cell of the log, or an item of a list in it, is this very name.
fn names(log: &LogFrame, name: &str) -> Result<bool> {
    for column in &log.schema.columns {
        let values = match column.kind {
            ColumnType::Text | ColumnType::Integer => cells::coded(log, &column.name)?.values,
            ColumnType::List => cells::coded_lists(log, &column.name)?.items.values,
            ColumnType::Real | ColumnType::Boolean | ColumnType::Time => continue,
        };
        if values.iter().any(|value| value == name) {
            return Ok(true);
        }
    }
    Ok(false)
}

const WHAT: &str = "cannot read the kept copy";
const WHAT_WRITE: &str = "cannot keep a copy";

/// A text as codes and its distinct cells, where they are few; any other column as it is.
fn coded(column: &Column) -> (Column, Option<Column>) {
    const SAMPLE: usize = 50_000;
    const MOST: usize = 1 << 16;
    let as_it_is = || (column.clone(), None);
    if enumerated::is_enumerated(column.dtype()) {
        let (words, codes) = enumerated::parts(column.as_materialized_series());
        return (codes.into(), Some(words.into()));
    }
    let head = column.head(Some(SAMPLE));
    let is_repeated = *column.dtype() == DataType::String
        && column.len() > SAMPLE
        && head.n_unique().is_ok_and(|distinct| distinct < SAMPLE / 5);
    if !is_repeated {
        return as_it_is();
    }
    let Ok(coded) = cells::code_series(column.as_materialized_series()) else {
        return as_it_is();
    };
    // An empty text is no missing one, but has no code of its own.
    let missing = coded.codes.iter().filter(|code| **code == NO_CODE).count();
    if coded.values.len() > MOST || missing != column.null_count() {
        return as_it_is();
    }
    let codes = coded.codes.iter().map(|code| (*code != NO_CODE).then_some(*code));
    let codes = UInt32Chunked::from_iter_options(column.name().clone(), codes).into_series();
    let kind = if coded.values.len() <= 1 << 8 { DataType::UInt8 } else { DataType::UInt16 };
    match codes.cast(&kind) {
        Ok(codes) => (codes.into(), Some(Column::new(column.name().clone(), coded.values))),
        Err(_) => as_it_is(),
    }
}

fn write_columns(folder: &Path, name: &str, columns: &[Column]) -> Result<KeptFile> {
    let path = folder.join(name);
    let explain = |error: std::io::Error| disk_failure(WHAT_WRITE, &path, &error);
    let mut frame = DataFrame::new_infer_height(columns.to_vec()).explain(WHAT_WRITE)?;
    let mut out = Hashing { out: File::create(&path).map_err(explain)?, hash: Xxh3::new(), bytes: 0 };
    let mut buffered = BufWriter::with_capacity(1 << 20, &mut out);
    IpcWriter::new(&mut buffered).finish(&mut frame).explain(WHAT_WRITE)?;
    buffered.flush().map_err(explain)?;
    drop(buffered);
    Ok(KeptFile { name: name.to_owned(), bytes: out.bytes, hash: out.hash.digest() })
}

struct Hashing {
    out: File,
    hash: Xxh3,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Bytes of a file and their hash.
pub(in crate::data) fn hashed(mut file: &File) -> std::io::Result<(u64, u64)> {
    let mut hash = Xxh3::new();
    let mut bytes = 0;
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((bytes, hash.digest()));
        }
        hash.update(&piece[..read]);
        bytes += read as u64;
    }
}

/// Notes that an entry is in use: the oldest go first. A read-only cache still serves.
pub(in crate::data) fn used_now(entry: &Path) {
    let _ = File::open(entry.join(DESCRIPTION)).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Makes room for so many bytes that will be kept in an entry, which itself stays.
pub(in crate::data) fn make_room_in(entry: &Path, bytes: u64) {
    if let Some(cache) = entry.parent() {
        make_room(cache, LARGEST.saturating_sub(bytes), Some(entry));
    }
}

/// Bytes of the files of a folder, and of the folders in it.
fn size_of_folder(path: &Path) -> Option<u64> {
    let found = std::fs::read_dir(path).ok()?.flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of_folder(&entry.path()).unwrap_or_default(),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    Some(found.map(size).sum())
}

/// Removes the entries that were used longest ago until the others take no more than `allowed` bytes. One is spared.
fn make_room(cache: &Path, allowed: u64, spared: Option<&Path>) {
    let Ok(entries) = std::fs::read_dir(cache) else {
        return;
    };
    let entry = |path: PathBuf| {
        let used = std::fs::metadata(path.join(DESCRIPTION)).and_then(|file| file.modified()).ok()?;
        Some((used, size_of_folder(&path)?, path))
    };
    let mut kept: Vec<_> = entries.flatten().filter_map(|found| entry(found.path())).collect();
    kept.sort();
    let mut total: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, path) in kept {
        if total <= allowed {
            break;
        }
        if spared == Some(path.as_path()) {
            continue;
        }
        // A folder that cannot be removed is tried again next time.
        let _ = std::fs::remove_dir_all(path);
        total -= bytes;
    }
}

/// Another program, or another build of this one, may read logs in another way.
fn this_program() -> String {
    let stamp = std::env::current_exe().ok().and_then(|path| Stamp::of(&path).ok());
    format!("{} {stamp:?}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::importers::open_all;
    use crate::data::profile;
    use std::fmt::Write as _;

    fn log(rows: usize) -> String {
        let mut text = String::from("time,user_id,city,price,genres,click\n");
        for row in 0..rows {
            let _ = writeln!(
                text,
                "2026-03-{:02} 10:00:00,{},城市 {},{}.25,a|b{},{}",
                row % 28 + 1,
                row * 7 % 9_000,
                row % 12,
                row % 77,
                row % 5,
                u8::from(row % 9 == 0)
            );
        }
        text
    }

    struct Setting {
        _folder: tempfile::TempDir,
        path: PathBuf,
        options: ImportOptions,
        cache: PathBuf,
    }

    fn setting() -> Setting {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, log(250_000)).unwrap();
        let cache = folder.path().join("cache");
        let options = ImportOptions { cache: CacheChoice::Folder(cache.clone()), ..ImportOptions::default() };
        Setting { _folder: folder, path, options, cache }
    }

    impl Setting {
        fn open(&self) -> (LogFrame, Vec<String>) {
            let warnings = Arc::new(std::sync::Mutex::new(Vec::new()));
            let heard = Arc::clone(&warnings);
            let context = JobContext::watched(Arc::default(), move |text| heard.lock().unwrap().push(text));
            let log = open_all(std::slice::from_ref(&self.path), &self.options, &context).unwrap();
            let warnings = warnings.lock().unwrap().clone();
            (log, warnings)
        }

        fn entries(&self) -> Vec<PathBuf> {
            std::fs::read_dir(&self.cache).unwrap().map(|entry| entry.unwrap().path()).collect()
        }
    }

    #[test]
    fn the_second_opening_is_the_same_log() {
        let setting = setting();
        let (first, _) = setting.open();
        assert!(std::fs::metadata(&setting.path).unwrap().len() > SMALLEST);
        assert_eq!(setting.entries().len(), 1);
        let (second, warnings) = setting.open();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert!(second.source.kept_in.is_some());
        assert!(first.frame.equals_missing(&second.frame));
        assert_eq!(first.schema, second.schema);
        let context = JobContext::detached();
        let profiles = [&first, &second].map(|log| profile::profile(log, &context).unwrap());
        assert_eq!(profiles[0], profiles[1]);
    }

    #[test]
    fn a_changed_file_and_a_damaged_entry_are_read_anew() {
        let setting = setting();
        setting.open();
        std::fs::write(&setting.path, log(240_000)).unwrap();
        assert_eq!(setting.open().0.rows(), 240_000);
        assert_eq!(setting.entries().len(), 2);
        for entry in setting.entries() {
            let path = entry.join("columns-0.arrow");
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        let (log, warnings) = setting.open();
        assert_eq!(log.rows(), 240_000);
        assert!(warnings.iter().any(|text| text.contains("damaged")), "{warnings:?}");
        assert!(setting.open().1.is_empty());
    }

    #[test]
    fn the_oldest_entry_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        for (name, age) in [("old", 100), ("new", 10)] {
            let entry = folder.path().join(name);
            std::fs::create_dir(&entry).unwrap();
            let path = entry.join(DESCRIPTION);
            std::fs::write(&path, vec![0; 1000]).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        make_room(folder.path(), 1500, None);
        assert!(!folder.path().join("old").exists() && folder.path().join("new").exists());
    }
}
