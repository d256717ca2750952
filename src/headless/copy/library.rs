//! `adloupe copy list | import | review | audit`: the words that there are, who may show them, and who did what.

use super::check::told;
use super::{Answer, Terminal, lines_of, rulebook};
use crate::adcopy::brief::Language;
use crate::adcopy::library::{Performance, source_of};
use crate::adcopy::meanings::Meanings;
use crate::adcopy::review::{Action, Status};
use crate::adcopy::search::Index;
use crate::adcopy::{Addressed, Checker, Item, Library, ProductSheet};
use crate::base::files::write_atomically;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::importers::{self, ImportOptions};
use crate::data::query::people::USUAL_K;
use crate::domain::segment::Segment;
use crate::language::sentence::{SentenceEncoder, memory_of};
use crate::tasks::copy_sources::{Audiences, of_file};
use clap::ValueEnum;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which library.
#[derive(Debug, clap::Args)]
#[command(about = "Lists the creatives of a library")]
pub struct ListArgs {
    /// Folder of the library.
    #[arg(value_name = "DIR")]
    library: PathBuf,
    /// Only those in this state.
    #[arg(long)]
    status: Option<StatusName>,
    /// Those most like this text, by meaning, best first.
    #[arg(long, value_name = "TEXT")]
    like: Option<String>,
    /// Reads meaning by this sentence encoder: a folder with config.json, model.safetensors and tokenizer.json.
    #[arg(long, value_name = "FOLDER", requires = "like")]
    encoder: Option<PathBuf>,
    /// Texts told of those that are alike.
    #[arg(long, value_name = "N", requires = "like", default_value_t = 20)]
    top: usize,
}

/// States as arguments.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StatusName {
    Draft,
    Checked,
    InReview,
    Approved,
    Rejected,
    Retired,
}

/// What to take in.
#[derive(Debug, clap::Args)]
#[command(
    about = "Takes the words of a log, of an ad platform's export or of a list of texts into a library, as drafts"
)]
pub struct ImportArgs {
    /// Folder of the library.
    #[arg(value_name = "DIR")]
    library: PathBuf,
    /// A log with words and clicks, an export with columns such as Headline 1 and Description 1, or a .txt with one text a
    /// line.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who takes them in.
    #[arg(long, value_name = "NAME")]
    who: String,
    /// Tells how they did before each value of these columns too, apart from everybody.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    by: Vec<String>,
    /// People that such an audience must hold; impressions, where the file names no users.
    #[arg(long, default_value_t = USUAL_K)]
    k: usize,
}

/// What to do to a creative.
#[derive(Debug, clap::Args)]
#[command(
    about = "Submits, approves, rejects, retires or edits a creative; authors do not review their own words"
)]
pub struct ReviewArgs {
    /// Folder of the library.
    #[arg(value_name = "DIR")]
    library: PathBuf,
    /// The creative.
    #[arg(value_name = "ID")]
    id: String,
    /// What to do.
    #[arg(value_name = "ACTION")]
    action: ActionName,
    /// Who does it.
    #[arg(long, value_name = "NAME")]
    who: String,
    /// Why it is rejected.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// The new words.
    #[arg(long, value_name = "TEXT", default_value = "")]
    text: String,
    /// The product sheet that new words are held against.
    #[arg(long, value_name = "JSON")]
    sheet: Option<PathBuf>,
    /// A folder with rules in place of the program's own.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActionName {
    Submit,
    Approve,
    Reject,
    Retire,
    Edit,
}

/// Which audit.
#[derive(Debug, clap::Args)]
#[command(about = "Verifies the audit of a library, link by link, and exports it")]
pub struct AuditArgs {
    /// Folder of the library.
    #[arg(value_name = "DIR")]
    library: PathBuf,
    /// Only what happened to this creative.
    #[arg(long, value_name = "ID")]
    creative: Option<String>,
    /// Writes the entries to a file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Lists.
///
/// # Errors
/// As [`Library::open`].
pub fn list(args: &ListArgs, terminal: &Terminal) -> Result<Answer> {
    let library = opened(&args.library, terminal)?;
    if let Some(like) = &args.like {
        return alike(&library, like, args, terminal);
    }
    let wanted = args.status.map(|status| Status::ALL[status as usize]);
    let items: Vec<_> =
        library.items().iter().filter(|item| wanted.is_none_or(|wanted| item.status == wanted)).collect();
    let mut text = String::new();
    for item in &items {
        let did = item.performance.first().map_or_else(String::new, |did| {
            let more = item.performance.len() - 1;
            let more = if more > 0 { format!(" and {more} audiences") } else { String::new() };
            format!("  {} of {:.0}{more}", did.rate.estimate().in_percent(), did.rate.trials)
        });
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{}  {:<9}  {}{did}", item.id, item.status.name(), item.text);
    }
    let _ = writeln!(text, "{} of {} creatives", items.len(), library.items().len());
    let json = serde_json::to_value(&items).explain("cannot write the answer")?;
    Ok(Answer { text, json: json!({ "creatives": json }) })
}

/// What a sentence encoder reads in a library; kept beside it for the next time.
pub(super) fn read_by(library: &Library, folder: &Path, terminal: &Terminal) -> Result<Arc<Meanings>> {
    let megabytes = memory_of(folder)?.div_ceil(1 << 20);
    let mut meanings = Meanings::beside(library.folder(), Arc::new(SentenceEncoder::open(folder)?))?;
    let missing = meanings.missing(library.items().iter().map(|item| item.text.as_str()));
    if !missing.is_empty() {
        let name = &meanings.encoder().name;
        Terminal::note(&format!("{name} (about {megabytes} MB) reads {} texts", missing.len()));
        meanings.read(&missing, &terminal.context())?;
    }
    Ok(Arc::new(meanings))
}

/// Lists by likeness to a text.
fn alike(library: &Library, like: &str, args: &ListArgs, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let meanings = args.encoder.as_deref().map(|folder| read_by(library, folder, terminal)).transpose()?;
    let index = Index::of(library, meanings, &context)?;
    if index.unread() > 0 {
        context.warn(format!("{} texts are left out: {} cannot read them", index.unread(), index.by()));
    }
    let wanted = args.status.map(|status| Status::ALL[status as usize]);
    let hits = index.nearest(like, library.items().len(), &context)?;
    let mut text = String::new();
    let mut found = Vec::new();
    for hit in hits {
        let item = library.get(&hit.id)?;
        if wanted.is_some_and(|wanted| item.status != wanted) {
            continue;
        }
        if found.len() == args.top {
            break;
        }
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{}  {:<9}  {}\n    {}", item.id, item.status.name(), item.text, hit.why());
        found.push(json!({ "id": hit.id, "text": item.text, "cosine": hit.cosine, "words": hit.words }));
    }
    let _ = writeln!(text, "{} of {} creatives", found.len(), library.items().len());
    Ok(Answer { text, json: json!({ "creatives": found }) })
}

/// Takes in.
///
/// # Errors
/// A file that cannot be read or holds no words, or what the disk answers.
pub fn import(args: &ImportArgs, terminal: &Terminal) -> Result<Answer> {
    let mut library = opened(&args.library, terminal)?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let items = if args.file.extension().is_some_and(|extension| extension == "txt") {
        let item = |text: String| Item {
            language: Language::of(&text),
            text,
            product: name.clone(),
            ..Item::default()
        };
        lines_of(&args.file)?.into_iter().map(|(_, line)| item(line)).collect()
    } else {
        let files = std::slice::from_ref(&args.file);
        let context = terminal.context();
        let log = importers::open_all(files, &ImportOptions::default(), &context)?;
        let found = of_file(&log, &Audiences { by: args.by.clone(), k: args.k }, &context)?;
        found.notes.into_iter().for_each(|note| context.warn(note));
        found.items
    };
    let known = items.iter().filter(|item| !item.performance.is_empty()).count();
    let came = library.import(&args.who, &name, items)?;
    let all = library.items().len();
    Ok(Answer {
        text: format!("{came} creatives came from {name}, how {known} did is noted; the library holds {all}"),
        json: json!({ "came": came, "creatives": all, "with_results": known }),
    })
}

/// Reviews.
///
/// # Errors
/// What the state or the person does not allow, new words without a sheet, or what the disk answers.
pub fn review(args: &ReviewArgs, terminal: &Terminal) -> Result<Answer> {
    let mut library = opened(&args.library, terminal)?;
    let action = match args.action {
        ActionName::Submit => Action::Submit,
        ActionName::Approve => Action::Approve,
        ActionName::Reject => Action::Reject(args.reason.clone()),
        ActionName::Retire => Action::Retire,
        ActionName::Edit => Action::Edit(args.text.clone()),
    };
    let mut verdict = None;
    if let Action::Edit(text) = &action {
        let item = Arc::clone(library.get(&args.id)?);
        let sheet = args.sheet.as_ref().ok_or_else(|| {
            Failure::new("cannot edit it", "new words are held against a product sheet")
                .hint("--sheet SHEET.json")
        })?;
        let book = rulebook(args.rules.as_deref())?;
        let checker = Checker {
            placement: book.placement(&item.placement)?.clone(),
            addressed: Addressed::of(&Segment::parse(&item.audience)?, &book),
            known: Arc::new(ProductSheet::read(sheet)?.known(&book)?),
            originals: library.originals([], None),
            book,
        };
        verdict = Some(checker.check(text, Some(&source_of(&item.id)))?);
    }
    let status = library.act(&args.id, &action, &args.who, verdict.as_ref())?;
    let text = verdict.as_ref().map(|verdict| format!("{}\n", told(verdict))).unwrap_or_default();
    let json = json!({ "creative": args.id, "status": status.name() });
    Ok(Answer { text: format!("{text}{} is {}", args.id, status.name()), json })
}

/// Verifies and exports.
///
/// # Errors
/// A broken chain, or what the disk answers.
pub fn audit(args: &AuditArgs, terminal: &Terminal) -> Result<Answer> {
    let library = opened(&args.library, terminal)?;
    let mut entries = library.audit()?;
    let count = entries.len();
    if let Some(creative) = &args.creative {
        entries.retain(|entry| entry.creative == *creative);
    }
    let what = "cannot export the audit";
    if let Some(path) = &args.out {
        write_atomically(path, |out| {
            for entry in &entries {
                serde_json::to_writer(&mut *out, entry).explain(what)?;
                out.write_all(b"\n").explain(what)?;
            }
            Ok(())
        })?;
    }
    let mut text = String::new();
    for entry in &entries {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{:>6}  {:<10} {:<8} {:<8} {} -> {}  {}{}",
            entry.number,
            entry.who,
            entry.action,
            entry.creative,
            entry.from,
            entry.to,
            entry.text,
            entry.note
        );
    }
    let head = library.head();
    let _ = writeln!(text, "{count} entries, every link holds; the last hash is {}", head.hash);
    let entries = serde_json::to_value(&entries).explain(what)?;
    Ok(Answer { text, json: json!({ "entries": entries, "count": count, "hash": head.hash }) })
}

pub(super) fn opened(folder: &std::path::Path, terminal: &Terminal) -> Result<Library> {
    let library = Library::open(folder)?;
    library.notes.iter().for_each(|note| terminal.context().warn(note.clone()));
    Ok(library)
}

/// How a creative did before an audience, in a line.
pub(super) fn told_of(did: &Performance) -> String {
    let audience = if did.audience.is_empty() { "everybody" } else { &did.audience };
    let shared = match did.shared {
        0 | 1 => String::new(),
        texts => format!(", shared by {texts} texts that were shown together"),
    };
    let simulated = if did.simulated { ", simulated: nobody clicked" } else { "" };
    let (rate, shown) = (did.rate.estimate().in_percent(), did.rate.trials);
    format!("{audience}: {rate} of {shown:.0}{shared}{simulated}")
}
