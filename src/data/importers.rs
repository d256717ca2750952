//! Which reader understands this file? Decided by its content, never by its name.
//!
//! The head of the file is unpacked once; every importer says how sure it is and why; the surest reads it. The
//! columns get their types from all cells, then [`infer`] finds what each is for.

mod archive;
mod arrow_ipc;
mod batch;
mod block;
mod build;
mod cache;
mod container;
mod criteo;
mod cut;
mod delimited;
mod dialect;
mod din;
mod dsjson;
mod encoding;
mod fill;
mod fingerprint;
mod guess;
mod ipinyou;
mod join;
mod json;
mod json_lines;
mod json_scan;
mod json_values;
mod kdd_cup;
mod keep;
mod known;
mod known_sets;
mod libffm;
mod libsvm;
mod lines;
mod mind;
mod movielens;
mod narrow;
mod normalise;
mod number_batch;
mod numerals;
mod openrtb;
mod options;
mod parquet;
mod plan;
mod reading;
mod records;
mod scan;
mod slots;
mod sources;
mod sparse;
mod stream;
#[cfg(test)]
mod test_support;
mod times;
mod tokens;
mod totals;
mod union;
mod unpack;
mod vw;
mod whole;
mod words;
mod workbook;

pub(in crate::data) use build::{Value, each_item};
pub use cache::{Forgotten, erase, forget};
pub(in crate::data) use cache::{LARGEST as KEPT_AT_MOST, hashed, make_room_in as make_room, used_now};
pub use container::{Container, Input};
pub use delimited::Table;
pub use encoding::Encoding;
pub use join::JoinSpec;
pub use keep::{Keep, usual_memory};
pub use known::KnownSet;
pub use known_sets::SETS;
pub(in crate::data) use numerals::{CODES as CURRENCIES, currency_in, number_in};
pub use options::{CacheChoice, ImportOptions, RecipeChoice};
pub use plan::{Decimal, Numeral, Plan, TimeReading, Unit};
pub use reading::Reading;
pub use records::BadRows;
pub use stream::RowSource;
pub(in crate::data) use stream::{RowStream, StreamBlock};

use super::frame::{LogFrame, PartNote, Source};
use super::infer;
use super::layout::Layout;
use super::recipe::Recipe;
use super::schema::Role;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use cache::Entry;
use fingerprint::Stamp;
use polars::prelude::DataFrame;
use sources::Sources;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every format that can be read.
pub static IMPORTERS: [&dyn Importer; 19] = [
    &criteo::Criteo,
    &ipinyou::IPinYou,
    &mind::Behaviors,
    &mind::News,
    &kdd_cup::KddCup,
    &din::Din,
    &movielens::MovieLens,
    &libffm::LibFfm,
    &libsvm::LibSvm,
    &slots::Slots,
    &dsjson::DsJson,
    &openrtb::OpenRtb,
    &vw::VowpalWabbit,
    &parquet::Parquet,
    &arrow_ipc::ArrowIpc,
    &workbook::Workbook,
    &json_lines::JsonLines,
    &json::Json,
    &delimited::Delimited,
];

/// A reader of one kind of file.
pub trait Importer: Sync {
    /// The word for it in answers and lists.
    fn id(&self) -> &'static str;

    /// What it reads, in one line.
    fn summary(&self) -> &'static str;

    /// How surely the file is of this kind; `None` when it is not.
    fn sniff(&self, input: &Input) -> Option<Match>;

    /// How the text is cut, where the rows are the lines of one table; `None` for other kinds.
    fn table(&self, _input: &Input) -> Option<Table> {
        None
    }

    /// How the rows can be read again, some at a time; `None` for kinds whose rows cannot.
    fn row_source(&self, input: &Input) -> Option<RowSource> {
        self.table(input).map(RowSource::Lines)
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// The disk, broken compression, a cancel. Bad rows are counted, not failures.
    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog>;
}

/// How surely a file is of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Percent.
    pub confidence: u8,
    /// What was seen.
    pub evidence: String,
}

/// Typed columns before anyone knows what they are for.
#[derive(Debug)]
pub struct RawLog {
    pub(in crate::data) frame: DataFrame,
    /// What the bytes were.
    pub format: String,
    /// Rows that were left out.
    pub bad: BadRows,
    /// What the reader did that a person should know.
    pub notes: Vec<String>,
    /// Roles that the format itself tells.
    pub hints: Vec<RoleHint>,
    /// How the bytes were read.
    pub layout: Layout,
}

/// A role that the format itself tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleHint {
    /// The column.
    pub column: String,
    /// What it is for.
    pub role: Role,
    /// Why.
    pub evidence: String,
    /// False when a telling name (`user_id`) may say more.
    pub is_final: bool,
}

impl RoleHint {
    /// A role that the format leaves no doubt about.
    fn of_format(column: &str, role: Role, evidence: &str) -> Self {
        Self { column: column.to_owned(), role, evidence: evidence.to_owned(), is_final: true }
    }
}

/// How the name of a saved recipe ends.
pub const RECIPE_ENDING: &str = ".recipe.json";

/// Opens a log: finds its format, reads it, finds types and roles.
///
/// # Errors
/// As [`open_all`].
pub fn open(path: &Path, options: &ImportOptions, context: &JobContext) -> Result<LogFrame> {
    open_all(&[path.to_owned()], options, context)
}

/// Opens a log that may lie in several files or folders: finds the format of each, reads them, joins side tables,
/// finds types and roles.
///
/// # Errors
/// No file that holds a table of rows, a table that cannot be joined, a role for a column that is not there, a
/// cancel.
pub fn open_all(paths: &[PathBuf], options: &ImportOptions, context: &JobContext) -> Result<LogFrame> {
    context.stage("opening the file");
    let sources = sources::find(paths)?;
    let beside = Recipe::place_of(&sources.path);
    match &options.recipe {
        RecipeChoice::File(path) => open_by(&Recipe::load(path)?, &sources, options, context),
        RecipeChoice::Beside if beside.is_file() => {
            let opened =
                Recipe::load(&beside).and_then(|recipe| open_by(&recipe, &sources, options, context));
            opened.or_else(|failure| {
                if failure.is_cancelled() {
                    return Err(failure);
                }
                context.warn(format!("read without the recipe beside it: {failure}"));
                options.apply(opened_log(&sources, &options.reading, options, context)?, context)
            })
        }
        _ => options.apply(opened_log(&sources, &options.reading, options, context)?, context),
    }
}

/// What the person and the recipe of a log have decided together.
///
/// # Errors
/// A recipe that was named and cannot be read.
pub fn with_recipe(path: &Path, options: &ImportOptions) -> Result<ImportOptions> {
    let beside = Recipe::place_of(path);
    match &options.recipe {
        RecipeChoice::File(path) => Ok(Recipe::load(path)?.merged(options)),
        // One that cannot be read was told when the log was opened, and plays no part.
        RecipeChoice::Beside if beside.is_file() => {
            Ok(Recipe::load(&beside).map_or_else(|_| options.clone(), |recipe| recipe.merged(options)))
        }
        _ => Ok(options.clone()),
    }
}

/// The folder that keeps a log, or will, when it is opened with these choices, and the recipe that has a part in it;
/// `None` where nothing is kept.
///
/// # Errors
/// No such file, a recipe that was named and cannot be read, or what the disk answers.
pub(in crate::data) fn kept_place(
    paths: &[PathBuf],
    options: &ImportOptions,
) -> Result<Option<(PathBuf, Option<Recipe>)>> {
    let sources = sources::find(paths)?;
    let (recipe, options, reading) = merged(&sources, options)?;
    // The rows that these leave or make are no longer those that are kept.
    if options.shape.is_some() || options.consent.is_some() || options.rewrites_cells() {
        return Ok(None);
    }
    let entry = Entry::of(&sources, &stamps(&sources)?, &reading, &options)?;
    Ok(entry.map(|entry| (entry.folder, recipe)))
}

/// The recipe that has a part in the opening of a log, and the choices of both together.
fn merged(sources: &Sources, options: &ImportOptions) -> Result<(Option<Recipe>, ImportOptions, Reading)> {
    let beside = Recipe::place_of(&sources.path);
    let recipe = match &options.recipe {
        RecipeChoice::File(path) => Some(Recipe::load(path)?),
        RecipeChoice::Beside if beside.is_file() => Recipe::load(&beside).ok(),
        _ => None,
    };
    let (options, reading) = match &recipe {
        Some(recipe) => (recipe.merged(options), options.reading.or(&recipe.reading)),
        None => (options.clone(), options.reading.clone()),
    };
    Ok((recipe, options, reading))
}

/// The files of a folder, or a file itself.
///
/// # Errors
/// No such path, or what the disk answers.
pub(in crate::data) fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(sources::find(&[path.to_owned()])?.parts.into_iter().map(|part| part.path).collect())
}

/// Opens a log as another one of its kind was, whatever stands beside it, and keeps no copy.
///
/// # Errors
/// As [`open_all`]; a log of another kind.
pub(in crate::data) fn open_by_recipe(
    paths: &[PathBuf],
    recipe: &Recipe,
    options: &ImportOptions,
    context: &JobContext,
) -> Result<LogFrame> {
    let options = ImportOptions { cache: CacheChoice::Off, ..options.clone() };
    open_by(recipe, &sources::find(paths)?, &options, context)
}

/// Opens a log as another one of its kind was.
fn open_by(
    recipe: &Recipe,
    sources: &Sources,
    options: &ImportOptions,
    context: &JobContext,
) -> Result<LogFrame> {
    let options = recipe.merged(options);
    let mut log = opened_log(sources, &options.reading.or(&recipe.reading), &options, context)?;
    let differs = recipe.check(&log).map_err(|failure| failure.at(sources.path.display()))?;
    differs.iter().for_each(|text| context.warn(text.clone()));
    Arc::make_mut(&mut log.source).notes.extend(differs);
    recipe.give_roles(&mut log);
    options.apply(log, context)
}

/// A log as it was kept, or read from its files and kept for the next time.
fn opened_log(
    sources: &Sources,
    reading: &Reading,
    options: &ImportOptions,
    context: &JobContext,
) -> Result<LogFrame> {
    let stamps = stamps(sources)?;
    let entry = Entry::of(sources, &stamps, reading, options)?;
    if let Some(log) = entry.as_ref().and_then(|entry| entry.load(&sources.path, context)) {
        return Ok(log);
    }
    // Nobody's rows are kept who asked to be erased.
    let mut log = options.without_erased(read_log(sources, reading, options, context)?)?;
    match entry {
        _ if stamps != self::stamps(sources)? => tell_change(&mut log, context),
        Some(entry) => entry.keep(&mut log, context),
        None => {}
    }
    Ok(log)
}

fn stamps(sources: &Sources) -> Result<Vec<Stamp>> {
    sources.parts.iter().map(|part| Stamp::of(&part.path)).collect()
}

fn tell_change(log: &mut LogFrame, context: &JobContext) {
    let note = "the file changed while it was read: rows that came meanwhile may be missing or cut off";
    context.warn(note);
    let mut source = (*log.source).clone();
    source.notes.push(note.to_owned());
    log.source = Arc::new(source);
}

/// Reads a log from its files: types, side tables, roles.
fn read_log(
    sources: &Sources,
    reading: &Reading,
    options: &ImportOptions,
    context: &JobContext,
) -> Result<LogFrame> {
    let keep = if options.all_rows { Keep::default() } else { Keep::within(options.memory()) };
    let Contents { mut raw, parts, bytes } = read(sources, reading, keep, context)?;
    if let Some(sample) = &raw.layout.sample {
        context.warn(format!("the log does not fit into the memory it may take: {sample}"));
        raw.notes.push(sample.to_string());
    }
    let mut joins = Vec::new();
    for spec in &options.joins {
        let note = join::join(&mut raw.frame, spec, context)?;
        raw.notes.push(format!("joined {note}"));
        joins.push(note);
    }
    known::settle(&mut raw)?;
    if raw.bad.count > 0 {
        let first = raw.bad.samples.first();
        let first = first.map(|row| format!("; line {} {}", row.line, row.why));
        context.warn(format!("{} rows could not be read{}", raw.bad.count, first.unwrap_or_default()));
    }
    context.stage("finding what each column is for");
    let source = Source {
        path: sources.path.clone(),
        format: raw.format,
        bytes,
        bad_rows: raw.bad.count,
        bad_samples: raw.bad.samples,
        notes: raw.notes,
        parts,
        joins,
        layout: raw.layout,
        kept_in: None,
    };
    infer::infer(raw.frame, Arc::new(source), &raw.hints, context)
}

/// What the files of a log hold.
struct Contents {
    raw: RawLog,
    /// What became of each file, where there are several.
    parts: Vec<PartNote>,
    /// Size on disk.
    bytes: u64,
}

fn read(sources: &Sources, reading: &Reading, keep: Keep, context: &JobContext) -> Result<Contents> {
    if let Some(part) = sources.single() {
        let (raw, bytes) = read_file(&part.path, reading, keep, context)?;
        return Ok(Contents { raw, parts: Vec::new(), bytes });
    }
    let union::Union { raw, parts, bytes } = union::read(sources, reading, keep, context)?;
    Ok(Contents { raw, parts, bytes })
}

/// Reads one file, in the way that was decided beforehand as far as anything was. The second value is its size in
/// bytes.
fn read_file(path: &Path, reading: &Reading, keep: Keep, context: &JobContext) -> Result<(RawLog, u64)> {
    let mut input = Input::open_as(path, reading)?;
    input.keep = keep;
    let mut raw = choose(&input)?.read(&input, context)?;
    if raw.frame.height() == 0 {
        return Err(nothing_read(&input, &raw.bad));
    }
    raw.frame = narrow::narrowed_frame(raw.frame)?;
    Ok((raw, input.bytes))
}

/// The importer that is surest of the file.
///
/// # Errors
/// None of them understands it.
pub fn choose(input: &Input) -> Result<&'static dyn Importer> {
    let matches = IMPORTERS.iter().filter_map(|importer| {
        let found = importer.sniff(input)?;
        Some((found.confidence, *importer))
    });
    // The first of equals: lists go from the special to the general.
    let best = matches.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, importer)| importer).ok_or_else(|| not_understood(input))
}

fn not_understood(input: &Input) -> Failure {
    let known: Vec<_> = IMPORTERS.iter().map(|importer| importer.id()).collect();
    let why = match input.head.trim_ascii_start().first() {
        Some(b'{' | b'[') => "it is JSON that holds no objects that could be rows",
        None => "it holds nothing but spaces",
        _ if input.head.contains(&0) => "its content is binary data of an unknown kind",
        _ => "its content fits no known format",
    };
    Failure::new("cannot read the log", why)
        .at(input.path.display())
        .hint(format!("a file of one of these kinds: {}", known.join(", ")))
}

fn nothing_read(input: &Input, bad: &BadRows) -> Failure {
    let why = match bad.samples.first() {
        Some(first) => {
            format!("none of its {} rows can be read; line {} {}", bad.count, first.line, first.why)
        }
        None => "it has a header but no rows".to_owned(),
    };
    let hint = if bad.samples.iter().any(|row| row.why.contains("UTF-8")) {
        "save it as UTF-8"
    } else {
        "export it again"
    };
    Failure::new("cannot read the log", why).at(input.path.display()).hint(hint)
}
