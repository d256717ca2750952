//! What can be asked of the studio? A brief, a round of candidates, repairs, the library and its review.

use super::data::open_log;
use super::inspect::model_in_view;
use crate::adcopy::library::source_of;
use crate::adcopy::meanings::Meanings;
use crate::adcopy::propose::Draft;
use crate::adcopy::review::{Action, Status};
use crate::adcopy::{Brief, Item, Library, Rulebook};
use crate::base::files::state_folder;
use crate::base::{Failure, Result};
use crate::insight::Subject;
use crate::jobs::Latest;
use crate::language::chat::{ChatModel, ModelFile};
use crate::session::sample::sample_log_path;
use crate::session::{Purpose, Session};
use crate::tasks::copy_library::{LibraryWork, Work, Worked};
use crate::tasks::copy_picture::{LookAtPicture, PictureSeen};
use crate::tasks::copy_sources::Audiences;
use crate::tasks::copy_trial::{Tried, TryVariants, Variant};
use crate::tasks::heads::{LookAtTextHeads, TextHeadsSeen};
use crate::tasks::learn_tags::{LearnTags, TagsLearnt};
use crate::tasks::read_meanings::{ReadByEncoder, ReadMeanings, TextsRead};
use crate::tasks::search_copy::{Found, SearchCopy};
use crate::tasks::tune_writer::TuningCost;
use crate::tasks::write_by_model::ByModel;
use crate::tasks::write_copy::{Candidate, Round, WriteCopy};
use crate::train::copy_tuning::{TuneSpec, TuneState, Tuned};
use std::path::PathBuf;
use std::sync::Arc;

/// Variants that compete at most, and pages of each world.
const MOST_VARIANTS: usize = 24;
const PAGES: usize = 5_000;

/// Writing, checking and reviewing.
#[derive(Debug, Clone, PartialEq)]
pub enum CopyCommand {
    /// Takes the sample brief: English, or Chinese.
    SampleBrief(bool),
    /// Takes the brief of a file.
    ReadBrief(PathBuf),
    /// Takes a brief as a person changed it.
    SetBrief(Box<Brief>),
    /// Writes candidates from the brief.
    Write,
    /// Puts other words in the place of a candidate's, or adds words of one's own where there is no such candidate; they
    /// are checked at once.
    Reword {
        /// The words as they are; empty for new ones.
        old: String,
        /// The words that they become.
        new: String,
    },
    /// Chooses the language model that writes beside the templates: its file is looked at; `None` for none.
    ChooseModel(Option<PathBuf>),
    /// Has the language model write for the round.
    WriteByModel,
    /// Sees what tuning the language model on the library that is open would take.
    LookAtTuning(TuneSpec),
    /// Tunes the language model on the library that is open.
    TuneModel(TuneSpec),
    /// Stops a tuning; what it learnt so far is kept where it is better.
    StopTuning,
    /// Writes under these adapters, or as the model's file is.
    UseAdapters(Option<PathBuf>),
    /// Stops the language model; what it wrote is kept.
    StopModel,
    /// Keeps candidates, by their words, in the library.
    Keep(Vec<String>, String),
    /// Opens the library of a folder; `None` for the usual one.
    OpenLibrary(Option<PathBuf>),
    /// Has the sentence encoder of a folder read the library in the background; `None`: the built-in one alone.
    ChooseEncoder(Option<PathBuf>),
    /// Goes on reading where it was stopped.
    ReadOn,
    /// Stops the sentence encoder; what it read is kept.
    StopReading,
    /// Searches the library for texts that mean nearly this; nothing: shows all again.
    Search(String),
    /// Learns tags from the creatives that have some, and proposes them for the others.
    LearnTags,
    /// Tags creatives as it was proposed: who.
    Tag(String),
    /// Does something to a creative: its name, what, who.
    Review(String, Action, String),
    /// Lets the approved variants of the brief's product compete for pages; with those that nobody approved where asked.
    Try(bool),
    /// Lets them compete on the pages of the market, and shows it; with those that nobody approved where asked.
    PutOnPages(bool),
    /// Notes in the library what the market's last run made of them: who.
    NoteRun(String),
    /// Takes the ads of the open log into the library, with how they did before everybody and before the values of some
    /// columns.
    ImportLog(String, Vec<String>),
    /// Gives a creative the picture of a file, or none: its name, the file, who.
    Illustrate(String, Option<PathBuf>, String),
    /// Shows the picture of a file.
    ShowPicture(PathBuf),
    /// Looks at the attention heads of the sentence encoder in a folder over a text.
    LookAtHeads(PathBuf, String),
}

/// The studio.
#[derive(Default)]
pub struct CopyState {
    /// What is to be written; `None` before anybody said.
    pub brief: Option<Brief>,
    /// How often the brief came from elsewhere than the panel.
    pub brief_version: u64,
    /// The last round, or why there is none.
    pub round: Option<Result<Arc<Round>>>,
    /// The language model that writes.
    pub writer: WriterState,
    /// The library, once it was opened.
    pub library: Option<Arc<Library>>,
    /// What the chosen sentence encoder read of the library, or why nothing; `None` where none is chosen or it still reads.
    pub meanings: Option<Result<TextsRead>>,
    /// What was searched for last, and found.
    pub found: Option<Result<Arc<Found>>>,
    /// The variants that competed last.
    pub tried: Option<Result<Tried>>,
    /// The tags that were learnt last, with what they are proposed for.
    pub tags: Option<Result<Arc<TagsLearnt>>>,
    /// The picture that was looked at last.
    pub picture: Option<Arc<PictureSeen>>,
    /// What the heads of a sentence encoder look at.
    pub heads: Option<Arc<TextHeadsSeen>>,
}

/// The language model of the studio.
#[derive(Default)]
pub struct WriterState {
    /// What its file is, or why it cannot be used; `None` where none is chosen or it is being looked at.
    pub file: Option<Result<ModelFile>>,
    /// The model, once it was read.
    pub model: Option<Arc<ChatModel>>,
    /// What it has while it writes.
    pub live: Latest<ByModel>,
    /// What came of its writing for the round, or why nothing did.
    pub ended: Option<Result<String>>,
    /// What tuning it would take.
    pub cost: Option<TuningCost>,
    /// The curves while it is tuned.
    pub tuning: Latest<TuneState>,
    /// What came of the last tuning, or why nothing did.
    pub tuned: Option<Result<Arc<Tuned>>>,
}

pub(super) fn apply(session: &mut Session, command: CopyCommand) -> Result<()> {
    match command {
        CopyCommand::SampleBrief(chinese) => {
            let name = if chinese { "brief_zh.json" } else { "brief_en.json" };
            let folder = sample_log_path()?.with_file_name("adcopy");
            take_brief(session, &folder.join(name))
        }
        CopyCommand::ReadBrief(path) => take_brief(session, &path),
        CopyCommand::SetBrief(brief) => {
            // What is written for another brief than the one in view helps nobody.
            session.jobs.cancel(Purpose::WriteByModel);
            session.store.copy.brief = Some(*brief);
            Ok(())
        }
        CopyCommand::Write => write(session),
        CopyCommand::ChooseModel(path) => super::copy_model::choose(session, path),
        CopyCommand::WriteByModel => super::copy_model::write(session),
        CopyCommand::LookAtTuning(spec) => super::copy_model::look_at_tuning(session, spec),
        CopyCommand::TuneModel(spec) => super::copy_model::tune(session, spec),
        CopyCommand::StopTuning => {
            session.jobs.stop(Purpose::TuneModel);
            Ok(())
        }
        CopyCommand::UseAdapters(path) => super::copy_model::use_adapters(session, path),
        CopyCommand::StopModel => {
            session.jobs.stop(Purpose::WriteByModel);
            Ok(())
        }
        CopyCommand::Reword { old, new } => reword(session, &old, &new),
        CopyCommand::Keep(texts, who) => keep(session, &texts, who),
        CopyCommand::OpenLibrary(folder) => {
            let folder = match folder {
                Some(folder) => folder,
                None => usual_folder(session)?,
            };
            work(session, String::new(), Work::Open(folder))
        }
        CopyCommand::ChooseEncoder(folder) => choose_encoder(session, folder),
        CopyCommand::ReadOn => read_on(session),
        CopyCommand::StopReading => {
            session.jobs.stop(Purpose::ReadMeanings);
            Ok(())
        }
        CopyCommand::Search(question) => search(session, question),
        CopyCommand::LearnTags => {
            let library = session.store.copy.library.clone().unwrap_or_default();
            let encoder = match &session.store.copy.meanings {
                Some(Ok(read)) => Some(read.meanings.shared_encoder()),
                _ => None,
            };
            session.jobs.start(Purpose::LearnTags, LearnTags { library, encoder })
        }
        CopyCommand::Tag(who) => tag(session, who),
        CopyCommand::Review(id, action, who) => review(session, id, action, who),
        CopyCommand::Try(with_drafts) => compete(session, with_drafts),
        CopyCommand::PutOnPages(with_drafts) => super::copy_market::ask(session, with_drafts),
        CopyCommand::NoteRun(who) => super::copy_market::note(session, who),
        CopyCommand::ImportLog(who, by) => {
            let open = open_log(session)?;
            let (log, name) = (open.frame.clone(), open.name());
            let audiences = Audiences { by, k: session.workspace.privacy.k };
            work(session, who, Work::ImportLog(log, name, audiences))
        }
        CopyCommand::Illustrate(id, path, who) => work(session, who, Work::Illustrate(id, path)),
        CopyCommand::ShowPicture(path) => session.jobs.start(Purpose::Picture, LookAtPicture { path }),
        CopyCommand::LookAtHeads(encoder, text) => {
            session.jobs.start(Purpose::TextHeads, LookAtTextHeads { encoder, text })
        }
    }
}

/// Searches the library that is open by meaning.
fn search(session: &mut Session, question: String) -> Result<()> {
    let before = session.store.copy.found.take();
    if question.trim().is_empty() {
        session.jobs.cancel(Purpose::SearchCopy);
        return Ok(());
    }
    let library = session.store.copy.library.clone().unwrap_or_default();
    let index = before.and_then(Result::ok).map(|found| Arc::clone(&found.index));
    // An encoder that has not read all of it would hide what it did not read.
    let meanings = read_whole(session, &library);
    session.jobs.start(Purpose::SearchCopy, SearchCopy { library, question, meanings, index })
}

/// What the chosen sentence encoder read, where it read all that it can of a library.
fn read_whole(session: &Session, library: &Library) -> Option<Arc<Meanings>> {
    session.store.copy.meanings.as_ref()?.as_ref().ok()?.whole_of(library)
}

/// Chooses what reads the library; a sentence encoder begins at once.
fn choose_encoder(session: &mut Session, folder: Option<PathBuf>) -> Result<()> {
    session.jobs.cancel(Purpose::ReadMeanings);
    session.workspace.sentence_encoder = folder;
    session.store.copy.meanings = None;
    session.store.copy.found = None;
    read_on(session)
}

/// Has the chosen encoder read what it did not read yet of the library that is open.
fn read_on(session: &mut Session) -> Result<()> {
    let (Some(folder), Some(library)) = (&session.workspace.sentence_encoder, &session.store.copy.library)
    else {
        return Ok(());
    };
    let (folder, library) = (folder.clone(), Arc::clone(library));
    let encoder = match &session.store.copy.meanings {
        Some(Ok(read)) => Some(read.meanings.shared_encoder()),
        _ => None,
    };
    session.jobs.start(Purpose::ReadMeanings, ReadMeanings { library, folder, encoder })
}

/// Stores what an encoder read.
pub(super) fn encoder_read(session: &mut Session, read: ReadByEncoder) {
    if session.workspace.sentence_encoder.as_deref() == Some(&read.folder) {
        session.store.copy.meanings = Some(read.read);
    }
}

/// Tags creatives as it was proposed.
fn tag(session: &mut Session, who: String) -> Result<()> {
    let Some(Ok(learnt)) = session.store.copy.tags.take() else {
        return Err(Failure::new("cannot tag them", "no tags were learnt").hint("learn them first"));
    };
    let tags = learnt.proposed.iter().map(|(id, _, tag, _)| (id.clone(), tag.clone())).collect();
    work(session, who, Work::Tag(tags))
}

pub(super) fn usual_folder(session: &Session) -> Result<PathBuf> {
    match &session.workspace.library {
        Some(folder) => Ok(folder.clone()),
        None => state_folder().map(|folder| folder.join("library")).ok_or_else(|| {
            Failure::new("cannot open the library", "the system names no folder in which it could be kept")
                .hint("set HOME, or name a folder")
        }),
    }
}

fn take_brief(session: &mut Session, path: &std::path::Path) -> Result<()> {
    let brief = Brief::read(path)?;
    let copy = &mut session.store.copy;
    copy.brief = Some(brief);
    copy.brief_version += 1;
    Ok(())
}

fn write(session: &mut Session) -> Result<()> {
    let brief = session.store.copy.brief.clone().ok_or_else(|| {
        Failure::new("cannot write", "there is no brief").hint("begin with the sample sheet, or open a brief")
    })?;
    let book = Rulebook::built_in()?;
    session.jobs.cancel(Purpose::WriteByModel);
    // What cannot be written from is refused beside the brief, before any work.
    if let Err(failure) = brief.check(&book) {
        session.store.copy.round = Some(Err(failure));
        return Ok(());
    }
    let store = &session.store;
    let parts = model_in_view(session).zip(store.log.as_ref()).zip(store.dataset.as_ref());
    let subject = parts.map(|((model, log), dataset)| Subject {
        model: Arc::clone(model),
        log: log.frame.clone(),
        dataset: Arc::clone(dataset),
        whole: store.whole.clone(),
    });
    let job = WriteCopy {
        brief,
        book,
        library: store.copy.library.clone().unwrap_or_default(),
        others: Vec::new(),
        meanings: store
            .copy
            .meanings
            .as_ref()
            .and_then(|read| Some(Arc::clone(&read.as_ref().ok()?.meanings))),
        subject,
        k: session.workspace.privacy.k,
    };
    session.jobs.start(Purpose::WriteCopy, job)
}

/// Stores a round; a language model that was chosen goes on writing for it.
pub(super) fn written(session: &mut Session, round: Result<Round>) -> Result<()> {
    let is_round = round.is_ok();
    session.store.copy.round = Some(round.map(Arc::new));
    session.store.copy.writer.ended = None;
    if is_round && session.workspace.language_model.is_some() {
        super::copy_model::write(session)?;
    }
    Ok(())
}

fn reword(session: &mut Session, old: &str, new: &str) -> Result<()> {
    let Some(Ok(round)) = &mut session.store.copy.round else {
        return Err(Failure::new("cannot check the words", "there is no round that they belong to")
            .hint("write candidates first"));
    };
    let verdict = round.checker.check(new, None)?;
    let round = Arc::make_mut(round);
    let known = round.candidates.iter().chain(&round.blocked).any(|one| one.draft.text == new);
    let all = round.candidates.iter().chain(&round.blocked);
    let was = all.into_iter().find(|one| one.draft.text == old).cloned();
    round.candidates.retain(|one| one.draft.text != old);
    round.blocked.retain(|one| one.draft.text != old);
    if known {
        return Ok(());
    }
    let asked = was.as_ref().and_then(|was| was.draft.asked.clone());
    let proposer = was.map_or_else(
        || "person".to_owned(),
        |was| {
            if was.draft.proposer.contains('+') {
                was.draft.proposer
            } else {
                was.draft.proposer + " + person"
            }
        },
    );
    let forecast = round.forecaster.as_ref().map(|forecaster| forecaster.forecast(new)).transpose()?;
    let draft = Draft { text: new.to_owned(), proposer, asked };
    let passes = verdict.passes();
    let candidate = Candidate { draft, verdict, forecast };
    if passes {
        round.candidates.push(candidate);
        round.sort();
    } else {
        round.blocked.insert(0, candidate);
    }
    Ok(())
}

fn keep(session: &mut Session, texts: &[String], who: String) -> Result<()> {
    let Some(Ok(round)) = session.store.copy.round.clone() else {
        return Err(Failure::new("cannot keep the drafts", "there are none").hint("write candidates first"));
    };
    let chosen = round.candidates.iter().filter(|one| texts.contains(&one.draft.text));
    let items: Vec<_> = chosen.map(|one| round.addition(one)).collect();
    if items.is_empty() {
        return Err(Failure::new("cannot keep the drafts", "none is chosen").hint("tick some"));
    }
    work(session, who, Work::Add(items))
}

fn review(session: &mut Session, id: String, action: Action, who: String) -> Result<()> {
    let mut verdict = None;
    if let Action::Edit(text) = &action {
        let Some(Ok(round)) = &session.store.copy.round else {
            return Err(Failure::new("cannot edit it", "new words are held against a product sheet")
                .hint("write a round from its brief first"));
        };
        let library = session.store.copy.library.clone().unwrap_or_default();
        let product = &library.get(&id)?.product;
        if *product != round.brief.sheet.product {
            let why = format!("it is about {product}, and the brief about {}", round.brief.sheet.product);
            return Err(Failure::new("cannot edit it", why).hint("open its brief and write a round"));
        }
        let meanings = read_whole(session, &library);
        let originals = library.originals([], meanings);
        let checker = crate::adcopy::Checker { originals, ..round.checker.clone() };
        verdict = Some(Box::new(checker.check(text, Some(&source_of(&id)))?));
    }
    work(session, who, Work::Act(id, action, verdict))
}

/// Lets variants of the product compete before the round's audience.
fn compete(session: &mut Session, with_drafts: bool) -> Result<()> {
    let what = "cannot try the variants";
    let Some(Ok(round)) = session.store.copy.round.clone() else {
        return Err(Failure::new(what, "there is no round that says whom they are for")
            .hint("write candidates first"));
    };
    let forecaster = round.forecaster.as_ref().ok_or_else(|| {
        Failure::new(what, "nothing can be forecast without a log and a model")
            .hint("train a model, and write again")
    })?;
    let mine = variants_of(session, &round, with_drafts);
    let variants = mine.iter().map(|item| {
        let (id, text, status) = (item.id.clone(), item.text.clone(), item.status);
        Ok(Variant { forecast: forecaster.forecast(&text)?, id, text, status })
    });
    let job =
        TryVariants { variants: variants.collect::<Result<_>>()?, pages: PAGES, seed: round.brief.seed };
    session.jobs.start(Purpose::Trial, job)
}

/// The words of a round's product that may compete.
pub(super) fn variants_of(session: &Session, round: &Round, with_drafts: bool) -> Vec<Arc<Item>> {
    let may = |status: Status| match status {
        Status::Approved => true,
        Status::Checked | Status::InReview => with_drafts,
        _ => false,
    };
    let library = session.store.copy.library.iter();
    let all = library.flat_map(|library| library.items());
    let mine = all.filter(|item| item.product == round.brief.sheet.product && may(item.status));
    mine.take(MOST_VARIANTS).cloned().collect()
}

/// One piece of work on the library at a time: each begins where the one before ended.
pub(super) fn work(session: &mut Session, who: String, work: Work) -> Result<()> {
    if session.jobs.of(Purpose::Library).is_some() {
        return Err(Failure::new("cannot write the library", "the change before is still being written")
            .hint("once more in a moment"));
    }
    let library = match (&session.store.copy.library, &work) {
        (Some(library), _) => (**library).clone(),
        (None, Work::Open(_)) => Library::default(),
        (None, _) => Library::open(&usual_folder(session)?)?,
    };
    session.jobs.start(Purpose::Library, LibraryWork { library, who, work })
}

/// Stores a library after something was done.
pub(super) fn worked(session: &mut Session, worked: Worked) -> Result<()> {
    let library = worked.library?;
    library.notes.iter().for_each(|note| session.notices.warned(note.clone()));
    session.store.copy.library = Some(Arc::new(library));
    if !worked.said.is_empty() {
        session.notices.done(worked.said);
    }
    read_on(session)
}
