//! What has come to a growing log since it was read?
//!
//! Only the bytes behind the last whole line that was taken are read, in the way the log was read; a line that is
//! still being written waits for its end. A file that became shorter or begins otherwise was started anew, and the
//! log must be opened again. Of a folder the new files are read.

use super::enumerated::{self, plain_kind};
use super::frame::LogFrame;
use super::importers::{self, Container, ImportOptions, Input};
use super::recipe::Recipe;
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use memchr::memrchr;
use polars::prelude::{DataFrame, DataType, IntoColumn};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

const WHAT: &str = "cannot follow the log";
/// Whole lines from the start of the file that new lines are read with, so that they are understood as those were.
const HEAD_BYTES: usize = 64 * 1024;
/// New bytes that are read at once.
const MOST_BYTES: u64 = 256 << 20;

/// Watches a file or a folder for rows that come to it.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    recipe: Recipe,
    options: ImportOptions,
    state: State,
}

#[derive(Debug)]
enum State {
    File(Tail),
    /// Files that were read, with their sizes; and those that were seen but may still be written.
    Folder {
        read: HashMap<PathBuf, u64>,
        seen: HashMap<PathBuf, u64>,
    },
}

/// How far a file was read.
#[derive(Debug)]
struct Tail {
    /// Bytes of whole lines that were taken.
    offset: u64,
    head: Vec<u8>,
    head_rows: usize,
    /// A hash of the first bytes: another start is another file.
    start: u64,
    start_bytes: u64,
}

/// What a look at the file found.
#[derive(Debug)]
pub enum News {
    /// Nothing that is whole yet.
    Nothing,
    /// Rows that came to it, with the columns and roles of the log.
    Rows(LogFrame),
    /// The file was started anew, for this reason: the log must be opened again.
    Restarted(String),
}

impl Follower {
    /// Begins to follow a log that was opened with these options. The log comes back without its last row where that
    /// was still being written.
    ///
    /// # Errors
    /// A log of a kind that cannot grow (packed, or a table that has a foot), or what the disk answers.
    pub fn start(log: LogFrame, options: &ImportOptions, context: &JobContext) -> Result<(Self, LogFrame)> {
        let path = log.source.path.clone();
        if let Some(sample) = &log.source.layout.sample {
            return Err(Failure::new(WHAT, format!("only {sample} is open, and new rows would weigh more"))
                .at(path.display())
                .hint("open all rows first"));
        }
        let options = importers::with_recipe(&path, options)?;
        let recipe = Recipe::of(&log, &options);
        if path.is_dir() {
            let parts = log.source.parts.iter().map(|part| (part.file.clone(), size(&part.file)));
            let read = if log.source.parts.is_empty() {
                importers::files_of(&path)?.into_iter().map(|file| (file.clone(), size(&file))).collect()
            } else {
                parts.collect()
            };
            let state = State::Folder { read, seen: HashMap::new() };
            return Ok((Self { path, recipe, options, state }, log));
        }
        let tail = Tail::of(&path, log.source.bytes)?;
        let mut follower = Self { path, recipe, options, state: State::File(tail) };
        let log = follower.without_open_line(log, context)?;
        Ok((follower, log))
    }

    /// Reads the head alone to know how many rows it has, and takes the last row of the log back if it was cut off.
    fn without_open_line(&mut self, log: LogFrame, context: &JobContext) -> Result<LogFrame> {
        let State::File(tail) = &self.state else {
            return Ok(log);
        };
        let head = tail.head.clone();
        let open_line = bytes_between(&self.path, tail.offset, log.source.bytes)?;
        let head_rows = self.rows_of(&[&head], context)?.rows();
        let with_line = self.rows_of(&[&head, &open_line], context)?.rows();
        if let State::File(tail) = &mut self.state {
            tail.head_rows = head_rows;
        }
        let kept = log.rows() - (with_line - head_rows).min(log.rows());
        let frame = log.frame.slice(0, kept);
        Ok(LogFrame { frame, ..log })
    }

    /// Looks for new rows.
    ///
    /// # Errors
    /// The file is gone, cannot be read any more, or holds rows of another kind; a cancel.
    pub fn poll(&mut self, context: &JobContext) -> Result<News> {
        match &self.state {
            State::File(_) => self.poll_file(context),
            State::Folder { .. } => self.poll_folder(context),
        }
    }

    fn poll_file(&mut self, context: &JobContext) -> Result<News> {
        let State::File(tail) = &self.state else {
            return Ok(News::Nothing);
        };
        let bytes =
            std::fs::metadata(&self.path).map_err(|error| disk_failure(WHAT, &self.path, &error))?.len();
        if bytes < tail.offset {
            let why = format!("it has {bytes} bytes, and {} were read", tail.offset);
            return Ok(News::Restarted(why));
        }
        if xxh3_64(&bytes_between(&self.path, 0, tail.start_bytes)?) != tail.start {
            return Ok(News::Restarted("it begins otherwise than the file that was read".to_owned()));
        }
        let mut new = bytes_between(&self.path, tail.offset, bytes.min(tail.offset + MOST_BYTES))?;
        let Some(end) = memrchr(b'\n', &new) else {
            return Ok(News::Nothing);
        };
        new.truncate(end + 1);
        let (head, head_rows) = (tail.head.clone(), tail.head_rows);
        let with_head = self.rows_of(&[&head, &new], context)?;
        let rows = with_head.rows().saturating_sub(head_rows);
        if let State::File(tail) = &mut self.state {
            tail.offset += new.len() as u64;
        }
        if rows == 0 {
            return Ok(News::Nothing);
        }
        let frame = with_head.frame.slice(head_rows as i64, rows);
        Ok(News::Rows(LogFrame { frame, ..with_head }))
    }

    fn poll_folder(&mut self, context: &JobContext) -> Result<News> {
        let State::Folder { read, seen } = &mut self.state else {
            return Ok(News::Nothing);
        };
        let files: HashMap<PathBuf, u64> =
            importers::files_of(&self.path)?.into_iter().map(|file| (file.clone(), size(&file))).collect();
        for (file, bytes) in read.iter() {
            match files.get(file) {
                Some(now) if now == bytes => {}
                Some(_) => return Ok(News::Restarted(format!("{} changed", file.display()))),
                None => return Ok(News::Restarted(format!("{} is gone", file.display()))),
            }
        }
        // A file is read when it has not grown between two looks.
        let is_new = |(file, _): &(&PathBuf, &u64)| !read.contains_key(*file);
        let fresh: HashMap<PathBuf, u64> =
            files.iter().filter(is_new).map(|(file, bytes)| (file.clone(), *bytes)).collect();
        let mut ready: Vec<PathBuf> = fresh
            .iter()
            .filter(|(file, bytes)| **bytes > 0 && seen.get(*file) == Some(bytes))
            .map(|(file, _)| file.clone())
            .collect();
        ready.sort();
        *seen = fresh;
        if ready.is_empty() {
            return Ok(News::Nothing);
        }
        let rows = importers::open_by_recipe(&ready, &self.recipe, &self.options, context)?;
        read.extend(ready.into_iter().map(|file| (file.clone(), size(&file))));
        Ok(News::Rows(rows))
    }

    /// The rows of a text that begins as the followed file does.
    fn rows_of(&self, pieces: &[&[u8]], context: &JobContext) -> Result<LogFrame> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("adloupe-follow-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| disk_failure(WHAT, &folder, &error))?;
        let path = folder.join(self.path.file_name().unwrap_or_default());
        let written = File::create(&path)
            .and_then(|mut file| pieces.iter().try_for_each(|piece| file.write_all(piece)))
            .map_err(|error| disk_failure(WHAT, &path, &error));
        let read = written.and_then(|()| {
            importers::open_by_recipe(std::slice::from_ref(&path), &self.recipe, &self.options, context)
        });
        // The rows are in memory; a leftover in the temporary folder is no failure.
        let _ = std::fs::remove_dir_all(&folder);
        read.map_err(|failure| failure.at(self.path.display()))
    }
}

impl Tail {
    fn of(path: &Path, bytes: u64) -> Result<Self> {
        let input = Input::open(path)?;
        let is_text = !input.head.contains(&0) && input.container == Container::Plain;
        if !is_text || input.encoding.is_utf16() {
            return Err(Failure::new(WHAT, "only plain text (CSV, JSON lines) and folders grow")
                .at(path.display())
                .hint("follow the folder that new files come to"));
        }
        let start_bytes = bytes.min(HEAD_BYTES as u64);
        let start = bytes_between(path, 0, start_bytes)?;
        let mut head = start.clone();
        head.truncate(memrchr(b'\n', &head).map_or(0, |end| end + 1));
        if head.is_empty() {
            return Err(Failure::new(WHAT, "its first line has no end yet").at(path.display()).hint("wait"));
        }
        Ok(Self {
            offset: after_last_line(path, bytes)?,
            head,
            head_rows: 0,
            start: xxh3_64(&start),
            start_bytes,
        })
    }
}

/// Where the last whole line of the first `bytes` ends.
fn after_last_line(path: &Path, bytes: u64) -> Result<u64> {
    let mut end = bytes;
    while end > 0 {
        let begin = end.saturating_sub(1 << 20);
        if let Some(place) = memrchr(b'\n', &bytes_between(path, begin, end)?) {
            return Ok(begin + place as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn bytes_between(path: &Path, begin: u64, end: u64) -> Result<Vec<u8>> {
    let explain = |error: std::io::Error| disk_failure(WHAT, path, &error);
    let mut file = File::open(path).map_err(explain)?;
    file.seek(SeekFrom::Start(begin)).map_err(explain)?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(begin)).read_to_end(&mut bytes).map_err(explain)?;
    Ok(bytes)
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

impl LogFrame {
    /// Puts the rows of another log of the same columns behind this one; types widen where they must.
    ///
    /// # Errors
    /// Other columns, or values that no common type holds.
    pub fn append(&mut self, more: &Self) -> Result<()> {
        let what = "cannot append the rows";
        let mut columns = Vec::with_capacity(self.frame.width());
        for ours in self.frame.columns() {
            let name = ours.name().as_str();
            let theirs = more.frame.column(name).map_err(|_| {
                Failure::new(what, format!("the new rows lack the column '{name}'")).hint("open the log anew")
            })?;
            let pieces = [ours, theirs].map(|column| column.as_materialized_series().clone());
            if let Some(whole) = enumerated::stacked(name, &pieces)? {
                columns.push(whole.into_column());
                continue;
            }
            let kind = match (plain_kind(ours.dtype()), plain_kind(theirs.dtype())) {
                (one, other) if one == other => one,
                (one, other) if one.is_integer() && other.is_integer() => DataType::Int64,
                (one, other) if one.is_primitive_numeric() && other.is_primitive_numeric() => {
                    DataType::Float64
                }
                // A column without a value has no type of its own.
                (one, _) if theirs.null_count() == theirs.len() => one,
                (_, other) if ours.null_count() == ours.len() => other,
                (one, other) => {
                    let why = format!("'{name}' holds {one} in the log and {other} in the new rows");
                    return Err(Failure::new(what, why).hint("open the log anew"));
                }
            };
            let as_kind = |cells| enumerated::plain(cells).and_then(|cells| cells.cast(&kind)).explain(what);
            let [ours, theirs] = &pieces;
            let mut whole = as_kind(ours)?;
            whole.append(&as_kind(theirs)?).explain(what)?;
            columns.push(whole.into_column());
        }
        self.frame = DataFrame::new_infer_height(columns).explain(what)?;
        // The copy in the cache has other rows.
        Arc::make_mut(&mut self.source).kept_in = None;
        self.revision += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cells;
    use crate::data::schema::Role;
    use std::fs::OpenOptions;

    fn rows(from: usize, to: usize) -> String {
        (from..to).map(|row| format!("0{},{},{}\n", row % 50, row % 9, u8::from(row % 3 == 0))).collect()
    }

    fn add(path: &Path, text: &str) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn open(path: &Path) -> LogFrame {
        importers::open(path, &ImportOptions::default(), &JobContext::detached()).unwrap()
    }

    fn follow(path: &Path) -> (Follower, LogFrame) {
        Follower::start(open(path), &ImportOptions::default(), &JobContext::detached()).unwrap()
    }

    fn poll(follower: &mut Follower) -> News {
        follower.poll(&JobContext::detached()).unwrap()
    }

    fn added(follower: &mut Follower, log: &mut LogFrame) -> usize {
        match poll(follower) {
            News::Rows(more) => {
                log.append(&more).unwrap();
                more.rows()
            }
            News::Nothing => 0,
            News::Restarted(why) => panic!("{why}"),
        }
    }

    #[test]
    fn new_lines_are_taken_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, format!("user_id,slot,click\n{}04,8,", rows(0, 90))).unwrap();
        let (mut follower, mut log) = follow(&path);
        assert_eq!(log.rows(), 90, "the last line waits for its end");
        assert_eq!(added(&mut follower, &mut log), 0);
        add(&path, "1\n");
        assert_eq!(added(&mut follower, &mut log), 1);
        add(&path, &format!("{}049,8", rows(91, 130)));
        assert_eq!(added(&mut follower, &mut log), 39);
        add(&path, ",1\n");
        assert_eq!(added(&mut follower, &mut log), 1);
        assert_eq!(added(&mut follower, &mut log), 0);
        assert_eq!(log.rows(), 131);
        let whole = open(&path);
        for column in ["user_id", "slot", "click"] {
            assert_eq!(cells::coded(&log, column).unwrap(), cells::coded(&whole, column).unwrap());
        }
        assert_eq!(log.schema.with_role(Role::Label).unwrap().name, "click");
    }

    #[test]
    fn side_tables_of_a_recipe_are_joined_to_new_rows_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, format!("user_id,slot,click\n{}", rows(0, 90))).unwrap();
        let slots = folder.path().join("slots.csv");
        std::fs::write(&slots, "slot,place\n1,top\n2,side\n3,foot\n4,list\n").unwrap();
        let context = JobContext::detached();
        let joins = vec![importers::JoinSpec { file: slots, key: None }];
        let options = ImportOptions { joins, ..ImportOptions::default() };
        let log = importers::open(&path, &options, &context).unwrap();
        Recipe::of(&log, &options).save(&Recipe::place_of(&path)).unwrap();
        let (mut follower, mut log) = follow(&path);
        add(&path, "051,2,1\n052,8,0\n");
        assert_eq!(added(&mut follower, &mut log), 2);
        let places = cells::coded(&log, "place").unwrap();
        let last: Vec<_> = places.codes[90..].iter().map(|code| places.values.get(*code as usize)).collect();
        assert_eq!(last, [Some(&"side".to_owned()), None]);
    }

    #[test]
    fn a_file_that_starts_anew_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, format!("user_id,slot,click\n{}", rows(0, 90))).unwrap();
        let (mut follower, _) = follow(&path);
        std::fs::write(&path, format!("user_id,slot,click\n{}", rows(0, 10))).unwrap();
        assert!(matches!(poll(&mut follower), News::Restarted(_)));
        std::fs::write(&path, format!("user_id,slot,click\n{}", rows(7, 300))).unwrap();
        assert!(matches!(poll(&mut follower), News::Restarted(_)));
        std::fs::remove_file(&path).unwrap();
        assert!(follower.poll(&JobContext::detached()).unwrap_err().place.contains("log.csv"));
    }

    #[test]
    fn json_lines_and_folders_grow_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let line = |row: usize| format!("{{\"user\":\"u{row}\",\"click\":{}}}\n", row % 2);
        std::fs::write(&path, (0..30).map(line).collect::<String>()).unwrap();
        let (mut follower, mut log) = follow(&path);
        add(&path, &(30..34).map(line).collect::<String>());
        assert_eq!(added(&mut follower, &mut log), 4);
        let (mut follower, mut log) = follow(folder.path());
        assert_eq!(log.rows(), 34);
        std::fs::write(folder.path().join("b.jsonl"), (0..5).map(line).collect::<String>()).unwrap();
        assert_eq!(added(&mut follower, &mut log), 0, "it may still be written");
        assert_eq!(added(&mut follower, &mut log), 5);
        assert_eq!(added(&mut follower, &mut log), 0);
        assert_eq!(log.rows(), 39);
    }

    #[test]
    fn a_table_with_a_foot_cannot_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        crate::data::sample::generate(200, 1, &path, &JobContext::detached()).unwrap();
        let started = Follower::start(open(&path), &ImportOptions::default(), &JobContext::detached());
        assert!(started.unwrap_err().hint.contains("folder"));
    }
}
