//! How does the next training of a log start without encoding it? Its encoded rows are kept as files that are mapped.
//!
//! They lie in the folder that keeps the log itself, whose name stands for the bytes of the log, how it was read and
//! this very program; the folder of the rows in it stands for the columns' roles and the choices of encoding. An entry
//! appears under its name only when it is whole. Before rows are used, every byte of them is compared with what was
//! written: an entry of another form, cut short or damaged is told and made anew, and a failure of keeping (a full
//! disk) is told and none of the training.
//!
//! What is promised: a data set that was kept equals the one that was encoded to the last bit, numbers (stored as f32),
//! order of rows, vocabulary and notes, so that a training of it gives the same weights.

use super::streamed::prepare_streamed;
use super::{Dataset, SequenceColumn, prepare};
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use crate::data::array::{Array, ArrayWriter, Room, WrittenFile};
use crate::data::catalogue::AdCatalogue;
use crate::data::encode::Encoder;
use crate::data::frame::LogFrame;
use crate::data::importers::{self, ImportOptions, KEPT_AT_MOST};
use crate::data::options::EncodeOptions;
use crate::jobs::{JobContext, Latest};
use bytemuck::Pod;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use xxhash_rust::xxh3::xxh3_64;

/// The form of the files. Others are made anew.
const FORM: u32 = 1;
/// What the description of an entry is called.
const DESCRIPTION: &str = "rows.json";
const ENCODER: &str = "encoder.json";
const AD_NAMES: &str = "ads.json";
/// How the folders of rows in an entry of the cache begin.
const ROWS: &str = "rows-";
/// Choices of roles and of encoding that one log keeps rows for.
const CHOICES: usize = 4;

const WHAT: &str = "cannot read the kept rows";
const WHAT_WRITE: &str = "cannot keep the encoded rows";

/// The rows of a log for models: as they are kept, else encoded and kept for the next time.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_kept(log: &LogFrame, options: &EncodeOptions, context: &JobContext) -> Result<Dataset> {
    options.check()?;
    let entry = Entry::of(log, options, Rows::Held)?;
    if let Some(kept) = entry.as_ref().and_then(|entry| entry.load(context)) {
        return Ok(kept);
    }
    let dataset = prepare(log, options, context)?;
    if let Some(entry) = entry {
        entry.keep(&dataset, context);
    }
    Ok(dataset)
}

/// The rows of a log for models. One that was opened before with the same choices is not even read, and of one that is
/// too large to be held all rows are encoded straight into files.
///
/// # Errors
/// As [`importers::open_all`] and [`prepare`].
pub fn open_prepared(
    paths: &[PathBuf],
    import: &ImportOptions,
    options: &EncodeOptions,
    context: &JobContext,
) -> Result<Dataset> {
    options.check()?;
    let asked = Asked::of(paths, import, options)?;
    if let Some(kept) = asked.as_ref().and_then(|asked| asked.entry()?.load(context)) {
        return Ok(kept);
    }
    let log = importers::open_all(paths, import, context)?;
    let (dataset, rows) = match log.source.layout.sample {
        None => (prepare_kept(&log, options, context)?, Rows::Held),
        Some(_) => all_or_sample(&log, (paths, import), options, context)?,
    };
    // A sample in place of all rows is told each time.
    let is_whole = rows == Rows::All || log.source.layout.sample.is_none();
    match (asked, Entry::of(&log, options, rows)?) {
        (Some(asked), Some(entry)) if is_whole && asked.log == entry.log() => asked.remember(&entry),
        _ => {}
    }
    Ok(dataset)
}

/// What it takes to read all rows of an open log of which a sample is held.
#[derive(Debug, Default)]
pub struct WholeLog {
    /// Its files or folders.
    pub paths: Vec<PathBuf>,
    /// How it was opened.
    pub import: ImportOptions,
    /// The rows for models, once they were asked for: all of them, or the sample where that cannot be.
    pub rows: Latest<Dataset>,
}

impl WholeLog {
    /// All rows of the open log for models, streamed at the first time; where that cannot be, the sample, which is
    /// told.
    ///
    /// # Errors
    /// As [`prepare`].
    pub fn prepare(
        &self,
        log: &LogFrame,
        options: &EncodeOptions,
        context: &JobContext,
    ) -> Result<Arc<Dataset>> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows);
        }
        let (dataset, _) = all_or_sample(log, (&self.paths, &self.import), options, context)?;
        self.rows.publish(dataset.clone());
        Ok(self.rows.get().unwrap_or_else(|| Arc::new(dataset)))
    }
}

/// All rows of a log of which a sample is held; where that cannot be, the sample, which is told.
fn all_or_sample(
    log: &LogFrame,
    source: (&[PathBuf], &ImportOptions),
    options: &EncodeOptions,
    context: &JobContext,
) -> Result<(Dataset, Rows)> {
    let streamed = match Entry::of(log, options, Rows::All)? {
        Some(entry) => {
            // Rows that were kept before somebody asked to be left out are not looked at.
            let kept = if source.1.leaves_people_out()? { None } else { entry.load(context) };
            kept.map_or_else(|| entry.stream(log, source, options, context), Ok)
        }
        None => Err(Failure::new(WHAT_WRITE, "nothing is to be kept").hint("--cache DIR")),
    };
    match streamed {
        Ok(dataset) => {
            // Opening told of a sample; this is no sample.
            context.warn(format!("all {} rows are there for models, streamed from the file", dataset.rows));
            Ok((dataset, Rows::All))
        }
        Err(failure) if failure.is_cancelled() => Err(failure),
        Err(failure) => {
            let note = format!("the sample is trained on and not all rows: {failure}");
            context.warn(note.clone());
            let mut dataset = prepare_kept(log, options, context)?;
            dataset.notes.push(note);
            Ok((dataset, Rows::Held))
        }
    }
}

/// What was asked for before, by which rows are found without opening the log.
struct Asked {
    /// The folder that keeps the log.
    log: PathBuf,
    path: PathBuf,
}

impl Asked {
    fn of(paths: &[PathBuf], import: &ImportOptions, options: &EncodeOptions) -> Result<Option<Self>> {
        let Some((log, recipe)) = importers::kept_place(paths, import)? else {
            return Ok(None);
        };
        let choices = (&import.roles, recipe, options, import.erased_people()?);
        let choices = serde_json::to_vec(&choices).explain(WHAT)?;
        let path = log.join(format!("asked-{:016x}", xxh3_64(&choices)));
        Ok(Some(Self { log, path }))
    }

    fn entry(&self) -> Option<Entry> {
        let name = std::fs::read_to_string(&self.path).ok()?;
        let is_name = name.strip_prefix(ROWS)?.bytes().all(|letter| letter.is_ascii_hexdigit());
        is_name.then(|| Entry { folder: self.log.join(name) })
    }

    /// Writes the name of the rows. Where that fails the log is opened the next time, as it was now.
    fn remember(&self, entry: &Entry) {
        let name = entry.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.folder.is_dir() {
            let _ = write_atomically(&self.path, |out| {
                std::io::Write::write_all(out, name.as_bytes()).explain(WHAT_WRITE)
            });
        }
    }
}

/// Which rows of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Rows {
    /// Those that the opened log holds.
    Held,
    /// All of them, where it holds a sample.
    All,
}

/// Where rows are kept, or will be.
struct Entry {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    form: u32,
    software: String,
    rows: usize,
    notes: Vec<String>,
    files: Vec<WrittenFile>,
    ads: Option<KeptAds>,
}

#[derive(Serialize, Deserialize)]
struct KeptAds {
    field: usize,
    categorical: Vec<usize>,
    numeric: Vec<usize>,
}

impl Entry {
    /// The place of a log's rows; `None` where the log itself is not kept.
    fn of(log: &LogFrame, options: &EncodeOptions, rows: Rows) -> Result<Option<Self>> {
        let Some(place) = &log.source.kept_in else {
            return Ok(None);
        };
        let columns: Vec<_> =
            log.schema.columns.iter().map(|column| (&column.name, column.kind, column.role)).collect();
        let choices = serde_json::to_vec(&(columns, options, rows)).explain(WHAT)?;
        Ok(Some(Self { folder: place.join(format!("{ROWS}{:016x}", xxh3_64(&choices))) }))
    }

    /// The folder that keeps the log.
    fn log(&self) -> &Path {
        self.folder.parent().unwrap_or(Path::new(""))
    }

    /// The rows that are kept here; `None` when there are none, or damaged ones, which is told.
    fn load(&self, context: &JobContext) -> Option<Dataset> {
        if !self.folder.is_dir() {
            return None;
        }
        context.stage("reading the kept rows");
        match self.check().and_then(|kept| self.read(kept)) {
            Ok(dataset) => {
                importers::used_now(self.log());
                // The oldest choices go first. A read-only cache still serves.
                let _ = File::open(self.folder.join(DESCRIPTION))
                    .and_then(|file| file.set_modified(SystemTime::now()));
                Some(dataset)
            }
            Err(failure) => {
                context.warn(format!("the kept rows cannot be used and are made anew: {failure}"));
                let _ = std::fs::remove_dir_all(&self.folder);
                None
            }
        }
    }

    fn description(&self) -> Result<Kept> {
        serde_json::from_slice(&self.bytes_of(DESCRIPTION)?).explain(WHAT)
    }

    /// Refuses rows of another form, and those that are not what was written, to the last byte.
    fn check(&self) -> Result<Kept> {
        let kept = self.description()?;
        if kept.form != FORM {
            let why = format!(
                "they have form {} (adloupe {}), and this program reads form {FORM}",
                kept.form, kept.software
            );
            return Err(Failure::new(WHAT, why));
        }
        kept.files.par_iter().map(|file| self.check_file(file)).collect::<Result<()>>()?;
        Ok(kept)
    }

    fn read(&self, kept: Kept) -> Result<Dataset> {
        let encoder: Encoder = serde_json::from_slice(&self.bytes_of(ENCODER)?).explain(WHAT)?;
        let sequence = |place: usize| -> Result<Arc<SequenceColumn>> {
            let offsets = self.array(&format!("sequence-{place}.offsets"))?;
            Ok(Arc::new(SequenceColumn { offsets, ids: self.array(&format!("sequence-{place}.ids"))? }))
        };
        let categorical = 0..encoder.categorical.len();
        let numeric = 0..encoder.numeric.len();
        let sequences = 0..encoder.sequences.len();
        let dataset = Dataset {
            rows: kept.rows,
            categorical: categorical
                .map(|i| self.array(&format!("categorical-{i}")))
                .collect::<Result<_>>()?,
            numeric: numeric.map(|i| self.array(&format!("numeric-{i}"))).collect::<Result<_>>()?,
            sequences: sequences.map(sequence).collect::<Result<_>>()?,
            label: self.array("label")?,
            conversion: self.array("conversion")?,
            weight: self.array("weight")?,
            truth: self.array("truth")?,
            users: self.array("users")?,
            train: self.array("train")?,
            validation: self.array("validation")?,
            test: self.array("test")?,
            ads: kept.ads.map(|ads| self.read_ads(ads)).transpose()?.map(Arc::new),
            notes: kept.notes,
            encoder: Arc::new(encoder),
        };
        let columns = dataset.categorical.iter().map(|column| column.len());
        let mut columns = columns.chain(dataset.numeric.iter().map(|column| column.len()));
        let mut sequences = dataset.sequences.iter().map(|column| column.offsets.len());
        if columns.any(|rows| rows != kept.rows) || sequences.any(|offsets| offsets != kept.rows + 1) {
            return Err(Failure::new(WHAT, "its columns are not of one length").at(self.folder.display()));
        }
        Ok(dataset)
    }

    fn read_ads(&self, kept: KeptAds) -> Result<AdCatalogue> {
        let names = serde_json::from_slice(&self.bytes_of(AD_NAMES)?).explain(WHAT)?;
        let categorical = kept
            .categorical
            .into_iter()
            .enumerate()
            .map(|(place, field)| Ok((field, self.array(&format!("ad-categorical-{place}"))?.to_vec())));
        let numeric = kept.numeric.into_iter().enumerate();
        let numeric =
            numeric.map(|(place, field)| Ok((field, self.array(&format!("ad-numeric-{place}"))?.to_vec())));
        Ok(AdCatalogue {
            field: kept.field,
            names,
            categorical: categorical.collect::<Result<_>>()?,
            numeric: numeric.collect::<Result<_>>()?,
            of_row: self.array("ad-of-row")?,
        })
    }

    fn array<T: Pod>(&self, name: &str) -> Result<Array<T>> {
        Array::map(&self.folder.join(name))
    }

    fn bytes_of(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(name);
        std::fs::read(&path).map_err(|error| disk_failure(WHAT, &path, &error))
    }

    /// Refuses a file that is not what was written, to the last byte.
    fn check_file(&self, kept: &WrittenFile) -> Result<()> {
        let path = self.folder.join(&kept.name);
        let explain = |error: std::io::Error| disk_failure(WHAT, &path, &error);
        let file = File::open(&path).map_err(explain)?;
        if importers::hashed(&file).map_err(explain)? != (kept.bytes, kept.hash) {
            return Err(Failure::new(WHAT, "its bytes are not those that were written").at(path.display()));
        }
        Ok(())
    }

    /// Keeps a data set. A failure is told and is none of the training.
    fn keep(&self, dataset: &Dataset, context: &JobContext) {
        context.stage("keeping the encoded rows for the next time");
        if let Err(failure) = self.write(dataset) {
            context.warn(format!("the encoded rows are not kept for the next time: {failure}"));
        }
    }

    fn write(&self, dataset: &Dataset) -> Result<()> {
        let bytes = dataset.bytes();
        if bytes > KEPT_AT_MOST {
            return Err(Failure::new(WHAT_WRITE, "they are larger than the whole cache may be"));
        }
        self.make_room(bytes);
        self.fill(|folder| write_rows(folder, dataset, Vec::new()))
    }

    /// Encodes all rows of a log straight into files.
    fn stream(
        &self,
        log: &LogFrame,
        source: (&[PathBuf], &ImportOptions),
        options: &EncodeOptions,
        context: &JobContext,
    ) -> Result<Dataset> {
        /// What a cell takes until all is done: its code or number, and what models read.
        const CELL: u64 = 12;
        let rows = log.source.layout.sample.as_ref().map_or(log.rows() as u64, |sample| sample.of);
        self.make_room(rows * log.schema.columns.len() as u64 * CELL);
        self.fill(|folder| {
            let room = Room::folder(folder);
            let dataset = prepare_streamed(log, source, options, (folder, &room), context)?;
            write_rows(folder, &dataset, room.into_written())
        })?;
        self.read(self.description()?)
    }

    /// Fills a folder, which gets its name when it is whole.
    fn fill(&self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let mut name = self.folder.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.part", std::process::id()));
        let temporary = self.folder.with_file_name(name);
        let filled = std::fs::create_dir_all(&temporary)
            .map_err(|error| disk_failure(WHAT_WRITE, &temporary, &error))
            .and_then(|()| fill(&temporary))
            .and_then(|()| self.appear(&temporary));
        if filled.is_err() {
            // The failure that is told is the one that matters.
            let _ = std::fs::remove_dir_all(&temporary);
        }
        filled
    }

    /// Gives whole rows their name.
    fn appear(&self, temporary: &Path) -> Result<()> {
        // Another program may have kept the same rows meanwhile: either copy is as good.
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::rename(temporary, &self.folder)
            .map_err(|error| disk_failure(WHAT_WRITE, &self.folder, &error))
    }

    /// Removes other choices of this log and other logs, those that were used longest ago first.
    fn make_room(&self, bytes: u64) {
        importers::used_now(self.log());
        let Ok(found) = std::fs::read_dir(self.log()) else {
            return;
        };
        let rows = found.flatten().map(|entry| entry.path()).filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(ROWS))
                && *path != self.folder
        });
        let (unfinished, others): (Vec<_>, Vec<_>) =
            rows.partition(|path| path.extension().is_some_and(|end| end == "part"));
        for path in unfinished.iter().filter(|path| is_left_over(path)) {
            let _ = std::fs::remove_dir_all(path);
        }
        let age = |path: PathBuf| {
            let used = std::fs::metadata(path.join(DESCRIPTION)).and_then(|file| file.modified());
            (used.unwrap_or(SystemTime::UNIX_EPOCH), path)
        };
        let mut others: Vec<_> = others.into_iter().map(age).collect();
        others.sort();
        for (_, path) in others.iter().take((others.len() + 1).saturating_sub(CHOICES)) {
            // What cannot be removed is tried again next time.
            let _ = std::fs::remove_dir_all(path);
        }
        importers::make_room(self.log(), bytes);
    }
}

/// True for an unfinished folder that nobody writes to any more: what a kill or a power cut left.
fn is_left_over(path: &Path) -> bool {
    const QUIET: std::time::Duration = std::time::Duration::from_hours(24);
    let changed = std::fs::metadata(path).and_then(|folder| folder.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|since| since > QUIET))
}

/// Writes the files of a data set that are not there yet into a folder, the description last.
fn write_rows(folder: &Path, dataset: &Dataset, files: Vec<WrittenFile>) -> Result<()> {
    let mut writing = Writing { folder, files };
    for (place, column) in dataset.categorical.iter().enumerate() {
        writing.add(&format!("categorical-{place}"), column)?;
    }
    for (place, column) in dataset.numeric.iter().enumerate() {
        writing.add(&format!("numeric-{place}"), column)?;
    }
    for (place, column) in dataset.sequences.iter().enumerate() {
        writing.add(&format!("sequence-{place}.offsets"), &column.offsets)?;
        writing.add(&format!("sequence-{place}.ids"), &column.ids)?;
    }
    let numbers = [
        ("label", &dataset.label),
        ("conversion", &dataset.conversion),
        ("weight", &dataset.weight),
        ("truth", &dataset.truth),
    ];
    for (name, column) in numbers {
        writing.add(name, column)?;
    }
    let rows = [
        ("users", &dataset.users),
        ("train", &dataset.train),
        ("validation", &dataset.validation),
        ("test", &dataset.test),
    ];
    for (name, column) in rows {
        writing.add(name, column)?;
    }
    let ads = match &dataset.ads {
        Some(ads) => Some(write_ads(&mut writing, ads)?),
        None => None,
    };
    writing.add(ENCODER, &serde_json::to_vec(&*dataset.encoder).explain(WHAT_WRITE)?)?;
    let kept = Kept {
        form: FORM,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        rows: dataset.rows,
        notes: dataset.notes.clone(),
        files: std::mem::take(&mut writing.files),
        ads,
    };
    writing.add(DESCRIPTION, &serde_json::to_vec(&kept).explain(WHAT_WRITE)?)
}

/// A folder that is being filled, and what it holds.
struct Writing<'a> {
    folder: &'a Path,
    files: Vec<WrittenFile>,
}

impl Writing<'_> {
    /// Writes a file, unless it is there: it may be mapped.
    fn add<T: Pod>(&mut self, name: &str, numbers: &[T]) -> Result<()> {
        if self.files.iter().any(|file| file.name == name) {
            return Ok(());
        }
        let mut writer = ArrayWriter::create(self.folder, name)?;
        writer.push(numbers)?;
        self.files.push(writer.finish()?);
        Ok(())
    }
}

fn write_ads(writing: &mut Writing<'_>, ads: &AdCatalogue) -> Result<KeptAds> {
    writing.add(AD_NAMES, &serde_json::to_vec(&*ads.names).explain(WHAT_WRITE)?)?;
    writing.add("ad-of-row", &ads.of_row)?;
    for (place, (_, ids)) in ads.categorical.iter().enumerate() {
        writing.add(&format!("ad-categorical-{place}"), ids)?;
    }
    for (place, (_, numbers)) in ads.numeric.iter().enumerate() {
        writing.add(&format!("ad-numeric-{place}"), numbers)?;
    }
    Ok(KeptAds {
        field: ads.field,
        categorical: ads.categorical.iter().map(|(field, _)| *field).collect(),
        numeric: ads.numeric.iter().map(|(field, _)| *field).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_support::assert_same;
    use super::*;
    use crate::data::importers::CacheChoice;
    use crate::data::{Role, sample};
    use std::sync::Mutex;

    struct Setting {
        _folder: tempfile::TempDir,
        path: PathBuf,
        import: ImportOptions,
    }

    /// A log with users, ads, histories and truth that is large enough to be kept.
    fn setting() -> Setting {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        sample::generate(45_000, 3, &path, &JobContext::detached()).unwrap();
        let cache = CacheChoice::Folder(folder.path().join("cache"));
        let import = ImportOptions { cache, ..ImportOptions::default() };
        Setting { _folder: folder, path, import }
    }

    impl Setting {
        fn open_as(&self, import: &ImportOptions) -> (Dataset, Vec<String>, Vec<String>) {
            let warnings = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&warnings);
            let context = JobContext::watched(Arc::default(), move |text| heard.lock().unwrap().push(text));
            let paths = std::slice::from_ref(&self.path);
            let dataset = open_prepared(paths, import, &EncodeOptions::default(), &context).unwrap();
            let warnings = warnings.lock().unwrap().clone();
            (dataset, warnings, self.rows())
        }

        fn open(&self) -> (Dataset, Vec<String>) {
            let (dataset, warnings, _) = self.open_as(&self.import);
            (dataset, warnings)
        }

        /// The folders of rows.
        fn rows(&self) -> Vec<String> {
            let CacheChoice::Folder(cache) = &self.import.cache else { unreachable!() };
            let logs = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
            let inner = logs.flat_map(|log| std::fs::read_dir(log).unwrap());
            let paths = inner.map(|entry| entry.unwrap().path().display().to_string());
            paths.filter(|path| path.contains(ROWS)).collect()
        }
    }

    #[test]
    fn the_second_training_begins_with_the_same_rows_and_reads_no_log() {
        let setting = setting();
        let (first, _) = setting.open();
        assert!(!first.categorical[0].is_mapped() && !first.sequences[0].ids.is_empty());
        assert_eq!(setting.rows().len(), 1);
        let (second, warnings) = setting.open();
        assert!(second.categorical[0].is_mapped() && warnings.is_empty(), "{warnings:?}");
        assert_same(&first, &second);
        assert_eq!(first.batch(&[7, 40_000]), second.batch(&[7, 40_000]));
        // The window finds the same rows by the log that it opened.
        let context = JobContext::detached();
        let log = importers::open(&setting.path, &setting.import, &context).unwrap();
        let third = prepare_kept(&log, &EncodeOptions::default(), &context).unwrap();
        assert!(third.categorical[0].is_mapped());
        assert_same(&first, &third);
    }

    #[test]
    fn other_roles_other_options_and_another_file_are_other_rows() {
        let setting = setting();
        let (first, _) = setting.open();
        let name = first.encoder.categorical[2].name.clone();
        let roles = vec![(name.clone(), Role::Ignored)];
        let (other, _, rows) = setting.open_as(&ImportOptions { roles, ..setting.import.clone() });
        assert!(other.encoder.categorical.iter().all(|field| field.name != name));
        assert_eq!(rows.len(), 2);
        sample::generate(45_001, 3, &setting.path, &JobContext::detached()).unwrap();
        assert_eq!(setting.open().0.rows, 45_001);
        let off = ImportOptions { cache: CacheChoice::Off, ..setting.import.clone() };
        assert!(!setting.open_as(&off).0.label.is_mapped());
    }

    #[test]
    fn rows_that_are_damaged_cut_short_or_of_another_form_are_told_and_made_anew() {
        let setting = setting();
        let (first, _) = setting.open();
        let folder = PathBuf::from(&setting.rows()[0]);
        type Damage = (&'static str, &'static str, fn(&mut Vec<u8>));
        let damages: [Damage; 4] = [
            ("categorical-1", "not those that were written", |bytes| bytes[1000] ^= 1),
            ("label", "not those that were written", |bytes| bytes.truncate(1000)),
            (ENCODER, "not those that were written", |bytes| bytes[20] ^= 1),
            (DESCRIPTION, "form 9", |bytes| {
                *bytes = String::from_utf8_lossy(bytes).replace("\"form\":1", "\"form\":9").into_bytes();
            }),
        ];
        for (file, words, damage) in damages {
            let path = folder.join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            damage(&mut bytes);
            std::fs::write(&path, bytes).unwrap();
            let (anew, warnings) = setting.open();
            let told = warnings.iter().any(|text| text.contains(words) && text.contains("anew"));
            assert!(told, "{file}: {warnings:?}");
            assert_same(&first, &anew);
            assert!(setting.open().0.label.is_mapped(), "{file}: kept again");
        }
        std::fs::remove_file(folder.join("train")).unwrap();
        assert!(!setting.open().1.is_empty());
    }

    #[test]
    fn where_nothing_can_be_written_the_training_goes_on_and_it_is_told() {
        let setting = setting();
        let context = JobContext::detached();
        let mut log = importers::open(&setting.path, &setting.import, &context).unwrap();
        // A file stands where the folder of the log would be.
        let blocked = setting.path.with_file_name("blocked");
        std::fs::write(&blocked, "x").unwrap();
        Arc::make_mut(&mut log.source).kept_in = Some(blocked);
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&warnings);
        let context = JobContext::watched(Arc::default(), move |text| heard.lock().unwrap().push(text));
        let dataset = prepare_kept(&log, &EncodeOptions::default(), &context).unwrap();
        assert_eq!(dataset.rows, 45_000);
        assert!(warnings.lock().unwrap()[0].contains("not kept"));
    }

    #[test]
    fn only_some_choices_of_one_log_are_kept() {
        let setting = setting();
        let context = JobContext::detached();
        let log = importers::open(&setting.path, &setting.import, &context).unwrap();
        let some = log.schema.columns.iter().filter(|column| column.role == Role::Categorical);
        let names: Vec<String> = some.map(|column| column.name.clone()).collect();
        for count in 0..CHOICES + 1 {
            let options = EncodeOptions { max_sequence_len: 3 + count, ..EncodeOptions::default() };
            prepare_kept(&log, &options, &context).unwrap();
        }
        assert!(!names.is_empty());
        assert_eq!(setting.rows().len(), CHOICES);
        // What another program writes just now stays; what a kill left long ago goes.
        let kept_in = log.source.kept_in.clone().unwrap();
        let (live, dead) = (kept_in.join("rows-1.77.part"), kept_in.join("rows-2.78.part"));
        for path in [&live, &dead] {
            std::fs::create_dir(path).unwrap();
        }
        let long_ago = SystemTime::now() - std::time::Duration::from_hours(48);
        File::open(&dead).unwrap().set_modified(long_ago).unwrap();
        let options = EncodeOptions { max_sequence_len: 99, ..EncodeOptions::default() };
        prepare_kept(&log, &options, &context).unwrap();
        assert!(live.exists() && !dead.exists());
    }
}
