//! Which words are there, in which versions, where do they stand, and how did they do?
//!
//! A folder with two files: `library.jsonl`, one creative a line, written anew through a temporary name, and `audit.jsonl`,
//! which only grows. The library remembers the audit's last hash.

use super::audit::{self, Entry, Head};
use super::brief::Language;
use super::checks::Verdict;
use super::meanings::Meanings;
use super::originality::{KnownText, Originals};
use super::picture::Look;
use super::review::{self, Action, Status};
use crate::base::files::{check_writable, disk_failure, write_atomically};
use crate::base::{Failure, Result, failure::Explain};
use crate::metrics::Rate;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

const LIBRARY: &str = "library.jsonl";
const AUDIT: &str = "audit.jsonl";
/// Creatives that an entry of the audit names where it tells of many.
const MOST_TOLD: usize = 1_000;

/// What goes with every text that a machine had a part in.
pub const DISCLOSURE: &str = "Drafted with a machine; checked against a product sheet.";

/// One creative.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Item {
    /// Stable name: `c000042`.
    pub id: String,
    /// What it advertises.
    pub product: String,
    /// Its language.
    pub language: Language,
    /// Where it is meant to be shown.
    pub placement: String,
    /// Whom it is meant for, as a segment.
    pub audience: String,
    /// The words.
    pub text: String,
    /// Words that it had before, oldest first.
    pub versions: Vec<Version>,
    /// Where it stands.
    pub status: Status,
    /// Everybody who touched the words.
    pub authors: Vec<String>,
    /// Who reviewed it last; empty while nobody did.
    pub reviewer: String,
    /// Proposer, or `person`, or what it was imported from.
    pub origin: String,
    /// Kind, category and other words to find it by.
    pub tags: Vec<String>,
    /// Facts that the words rest on.
    pub facts: Vec<String>,
    /// What must be told with it; empty for words of a person alone.
    pub disclosure: String,
    /// Whose rights the words are under.
    pub rights: String,
    /// The ad of the log that it is; empty where it never ran.
    pub ad: String,
    /// How it did, audience by audience.
    pub performance: Vec<Performance>,
    /// Its picture; `None` where it has none.
    pub picture: Option<Picture>,
}

/// The picture of a creative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Where its file was.
    pub file: String,
    /// BLAKE3 of the file, in hexadecimal: another picture under the same name is another one.
    pub hash: String,
    /// What it looks like.
    pub look: Look,
}

/// Words as they were.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Version {
    /// The words.
    pub text: String,
    /// Until when, in milliseconds since 1970 UTC.
    pub until: u64,
    /// Who replaced them.
    pub by: String,
    /// The file of the picture that it had; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub picture: String,
}

/// Clicks of an audience.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Performance {
    /// The audience, as a segment; empty: everybody.
    pub audience: String,
    /// Clicks and impressions with their interval.
    pub rate: Rate,
    /// Texts that were shown together and share these clicks; 0 and 1: it alone.
    #[serde(skip_serializing_if = "is_alone")]
    pub shared: usize,
    /// True for clicks of a simulation: nobody clicked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_alone(shared: &usize) -> bool {
    *shared <= 1
}

/// What is noted beside an action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grounds {
    /// The model that ranked or wrote it.
    pub model: String,
    /// Seed of the draw.
    pub seed: u64,
    /// BLAKE3 of the brief, or of what a language model was asked.
    pub prompt: String,
    /// What a language model was asked, word for word; empty for others.
    pub asked: String,
}

/// A creative that is to be taken in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Addition {
    /// The creative.
    pub item: Item,
    /// What the checks say.
    pub verdict: Option<Verdict>,
    /// What is noted beside it.
    pub grounds: Grounds,
}

#[derive(Serialize, Deserialize)]
struct Header {
    adloupe_library: u32,
    next: u64,
    audit: Head,
}

/// Creatives in a folder.
#[derive(Debug, Clone, Default)]
pub struct Library {
    folder: PathBuf,
    items: Vec<Arc<Item>>,
    places: HashMap<String, usize>,
    next: u64,
    head: Head,
    /// What a person should know of how it was found.
    pub notes: Vec<String>,
}

impl Item {
    /// Notes how it did: what was known of the same audience from the same side (people, or a simulation) is replaced.
    pub fn learn(&mut self, performance: Vec<Performance>) {
        for did in performance {
            self.performance
                .retain(|known| known.audience != did.audience || known.simulated != did.simulated);
            self.performance.push(did);
        }
        self.performance.sort_by(|a, b| (a.simulated, &a.audience).cmp(&(b.simulated, &b.audience)));
    }

    /// How it did before people: an audience where that is known, else everybody.
    pub fn did(&self, audience: &str) -> Option<&Performance> {
        let of =
            |wanted: &str| self.performance.iter().find(|known| !known.simulated && known.audience == wanted);
        of(audience).or_else(|| of(""))
    }

    /// Keeps what it was, and notes who touched it.
    fn replace_version(&mut self, old: String, who: &str) {
        let picture = self.picture.as_ref().map(|picture| picture.file.clone()).unwrap_or_default();
        let by = who.trim().to_owned();
        self.versions.push(Version { text: old, until: now(), by: by.clone(), picture });
        if !self.authors.iter().any(|name| name.eq_ignore_ascii_case(&by)) {
            self.authors.push(by);
        }
        self.reviewer.clear();
    }
}

impl Library {
    /// Opens the library of a folder; an empty one where there is none yet. The audit is verified.
    ///
    /// # Errors
    /// Files that cannot be read or are none of ours, a broken chain, an audit that lost its end.
    pub fn open(folder: &Path) -> Result<Self> {
        let what = "cannot open the library";
        let path = folder.join(LIBRARY);
        let (_, head) = audit::read(&folder.join(AUDIT))?;
        let mut library = Self { folder: folder.to_owned(), next: 1, head, ..Self::default() };
        if !path.exists() {
            if library.head.entries > 0 {
                return Err(Failure::new(what, "there is an audit and no library beside it")
                    .at(path.display())
                    .hint("put library.jsonl back, or choose another folder"));
            }
            return Ok(library);
        }
        let text = std::fs::read_to_string(&path).map_err(|error| disk_failure(what, &path, &error))?;
        let broken = |line: usize, error: serde_json::Error| {
            Failure::new(what, error)
                .at(format!("{}, line {line}", path.display()))
                .hint("take an older copy")
        };
        let mut lines = text.lines();
        let header: Header =
            serde_json::from_str(lines.next().unwrap_or_default()).map_err(|error| broken(1, error))?;
        library.remember(&header)?;
        for (place, line) in lines.enumerate() {
            library.put(serde_json::from_str(line).map_err(|error| broken(place + 2, error))?);
        }
        library.next = header.next;
        Ok(library)
    }

    fn remember(&mut self, header: &Header) -> Result<()> {
        let known = &header.audit;
        if self.head.entries < known.entries {
            let why = format!(
                "the audit has {} entries and the library remembers {}: its end was cut off",
                self.head.entries, known.entries
            );
            return Err(Failure::new("the audit cannot be trusted", why)
                .at(self.folder.join(AUDIT).display())
                .hint("compare it with an exported copy"));
        }
        if self.head.entries == known.entries && self.head.hash != known.hash {
            return Err(Failure::new(
                "the audit cannot be trusted",
                "it is another one than the library remembers",
            )
            .at(self.folder.join(AUDIT).display()));
        }
        if self.head.entries > known.entries {
            self.notes.push(format!(
                "the last {} entries of the audit are not in the library: the program ended between the two; do them again",
                self.head.entries - known.entries
            ));
        }
        Ok(())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All creatives, oldest first.
    pub fn items(&self) -> &[Arc<Item>] {
        &self.items
    }

    /// The end of the audit.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The creative of a name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, id: &str) -> Result<&Arc<Item>> {
        self.places.get(id).map(|place| &self.items[*place]).ok_or_else(|| {
            Failure::new("cannot find the creative", format!("the library has no '{id}'"))
                .hint("adloupe copy list shows the names")
        })
    }

    /// The whole audit, verified.
    ///
    /// # Errors
    /// As [`audit::read`].
    pub fn audit(&self) -> Result<Vec<Entry>> {
        Ok(audit::read(&self.folder.join(AUDIT))?.0)
    }

    /// Its texts as an index of known texts; a creative's source is `library, ID`.
    pub fn known_texts(&self) -> impl Iterator<Item = KnownText> + '_ {
        let live = self.items.iter().filter(|item| item.status != Status::Rejected);
        live.map(|item| KnownText { source: source_of(&item.id), text: item.text.clone() })
    }

    /// The index of its texts and of others; by meaning too, as far as `meanings` read them.
    pub fn originals(
        &self,
        others: impl IntoIterator<Item = KnownText>,
        meanings: Option<Arc<Meanings>>,
    ) -> Arc<Originals> {
        let known = self.known_texts().chain(others);
        match meanings {
            None => Originals::new(known),
            Some(meanings) => Originals::with_meaning(known, meanings),
        }
    }

    /// Takes in new creatives under new names: drafts, or checked ones where a verdict passes.
    ///
    /// # Errors
    /// Nobody is named, or what the disk answers.
    pub fn add(&mut self, who: &str, additions: Vec<Addition>) -> Result<Vec<String>> {
        named(who, "cannot keep the drafts")?;
        let mut after = self.clone();
        let mut entries = Vec::new();
        let mut names = Vec::new();
        for Addition { mut item, verdict, grounds } in additions {
            let verdict = verdict.as_ref();
            item.id = format!("c{:06}", after.next);
            after.next += 1;
            item.authors = vec![who.trim().to_owned()];
            item.status = if verdict.is_some_and(Verdict::passes) { Status::Checked } else { Status::Draft };
            item.facts = verdict
                .map(|verdict| verdict.facts().into_iter().map(str::to_owned).collect())
                .unwrap_or_default();
            entries.push(entry(&item, who, "draft", Status::Draft, verdict, &grounds));
            names.push(item.id.clone());
            after.put(item);
        }
        after.write(entries)?;
        *self = after;
        Ok(names)
    }

    /// Takes in many creatives that exist already, as drafts; one entry of the audit tells of all. Texts that the library
    /// has under the same product are left out. Answers how many came.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn import(&mut self, who: &str, from: &str, items: Vec<Item>) -> Result<usize> {
        named(who, "cannot take in the texts")?;
        let mut after = self.clone();
        let mut known: HashMap<(String, String), usize> = after
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| ((item.product.clone(), item.text.clone()), at))
            .collect();
        let mut digest = blake3::Hasher::new();
        let (mut came, mut learnt) = (0, 0);
        for mut item in items {
            if item.text.trim().is_empty() {
                continue;
            }
            if let Some(place) = known.get(&(item.product.clone(), item.text.clone())) {
                // A later import tells more of how it did.
                if !item.performance.is_empty() {
                    let mut newer = Item { ad: item.ad, ..(*after.items[*place]).clone() };
                    newer.learn(item.performance);
                    after.items[*place] = Arc::new(newer);
                    learnt += 1;
                }
                continue;
            }
            item.id = format!("c{:06}", after.next);
            after.next += 1;
            from.clone_into(&mut item.origin);
            item.status = Status::Draft;
            item.authors = vec![who.trim().to_owned()];
            digest.update(item.text.as_bytes());
            known.insert((item.product.clone(), item.text.clone()), after.items.len());
            after.put(item);
            came += 1;
        }
        let told = if learnt > 0 { format!(", how {learnt} known ones did") } else { String::new() };
        let note =
            format!("{came} creatives of {from}{told}; BLAKE3 of their texts {}", digest.finalize().to_hex());
        let entry = Entry {
            at: now(),
            who: who.trim().to_owned(),
            action: "import".into(),
            note,
            ..Entry::default()
        };
        after.write(vec![entry])?;
        *self = after;
        Ok(came)
    }

    /// Does something to a creative. New words come with their verdict.
    ///
    /// # Errors
    /// What [`review::next`] answers, an unknown creative, an edit without a verdict, or what the disk answers.
    pub fn act(&mut self, id: &str, action: &Action, who: &str, verdict: Option<&Verdict>) -> Result<Status> {
        let mut item = (**self.get(id)?).clone();
        let from = item.status;
        let passes = verdict.is_some_and(Verdict::passes);
        item.status = review::next(from, action, who, &item.authors, passes)?;
        match action {
            Action::Edit(text) => {
                if verdict.is_none_or(|verdict| verdict.text != *text) {
                    return Err(Failure::new("cannot edit it", "the new words were not checked"));
                }
                let old = std::mem::replace(&mut item.text, text.clone());
                item.replace_version(old, who);
                item.facts = verdict
                    .map(|verdict| verdict.facts().into_iter().map(str::to_owned).collect())
                    .unwrap_or_default();
            }
            Action::Approve | Action::Reject(_) => who.trim().clone_into(&mut item.reviewer),
            Action::Illustrate(picture) => {
                item.replace_version(item.text.clone(), who);
                item.picture = picture.as_deref().cloned();
            }
            Action::Submit | Action::Retire => {}
        }
        let mut entry = entry(&item, who, action.name(), from, verdict, &Grounds::default());
        match action {
            Action::Reject(reason) => entry.note.clone_from(reason),
            Action::Illustrate(Some(picture)) => {
                entry.note = format!("{}, BLAKE3 {}", picture.file, picture.hash);
            }
            Action::Illustrate(None) => "no picture".clone_into(&mut entry.note),
            _ => {}
        }
        let (status, mut after) = (item.status, self.clone());
        after.put(item);
        after.write(vec![entry])?;
        *self = after;
        Ok(status)
    }

    /// Notes how some creatives did; one entry of the audit tells of all.
    ///
    /// # Errors
    /// As [`add`](Self::add), or an unknown creative.
    pub fn learn(&mut self, who: &str, from: &str, results: Vec<(String, Vec<Performance>)>) -> Result<()> {
        named(who, "cannot note the results")?;
        let mut after = self.clone();
        let count = results.len();
        for (id, performance) in results {
            let mut item = (**after.get(&id)?).clone();
            item.learn(performance);
            after.put(item);
        }
        let entry = Entry {
            at: now(),
            who: who.trim().to_owned(),
            action: "results".into(),
            note: format!("how {count} creatives did: {from}"),
            ..Entry::default()
        };
        after.write(vec![entry])?;
        *self = after;
        Ok(())
    }

    /// Adds a tag to some creatives, behind those that they have; one entry of the audit tells of all.
    ///
    /// # Errors
    /// As [`learn`](Self::learn).
    pub fn tag(&mut self, who: &str, tags: Vec<(String, String)>) -> Result<()> {
        named(who, "cannot tag them")?;
        let mut after = self.clone();
        let told: Vec<String> = tags.iter().take(MOST_TOLD).map(|(id, tag)| format!("{id} {tag}")).collect();
        let note = format!("{} creatives by a model: {}", tags.len(), told.join(", "));
        for (id, tag) in tags {
            let mut item = (**after.get(&id)?).clone();
            if !item.tags.contains(&tag) {
                item.tags.push(tag);
            }
            after.put(item);
        }
        let who = who.trim().to_owned();
        after.write(vec![Entry { at: now(), who, action: "tag".into(), note, ..Entry::default() }])?;
        *self = after;
        Ok(())
    }

    fn put(&mut self, item: Item) {
        match self.places.get(&item.id) {
            Some(place) => self.items[*place] = Arc::new(item),
            None => {
                self.places.insert(item.id.clone(), self.items.len());
                self.items.push(Arc::new(item));
            }
        }
    }

    /// The audit first, then the library: what the library shows is always told.
    fn write(&mut self, entries: Vec<Entry>) -> Result<()> {
        let what = "cannot write the library";
        check_writable(what, &self.folder)?;
        std::fs::create_dir_all(&self.folder).map_err(|error| disk_failure(what, &self.folder, &error))?;
        self.head = audit::append(&self.folder.join(AUDIT), &self.head, entries)?;
        let header = Header { adloupe_library: 1, next: self.next, audit: self.head.clone() };
        write_atomically(&self.folder.join(LIBRARY), |out| {
            serde_json::to_writer(&mut *out, &header).explain(what)?;
            for item in &self.items {
                out.write_all(b"\n").explain(what)?;
                serde_json::to_writer(&mut *out, &**item).explain(what)?;
            }
            out.write_all(b"\n").explain(what)
        })
    }
}

/// Refuses work that nobody answers for.
fn named(who: &str, what: &str) -> Result<()> {
    match who.trim() {
        "" => {
            Err(Failure::new(what, "nobody is named who does it")
                .hint("say who you are: it stands in the audit"))
        }
        _ => Ok(()),
    }
}

/// What a creative of the library is called among known texts.
pub fn source_of(id: &str) -> String {
    format!("library, {id}")
}

fn entry(
    item: &Item,
    who: &str,
    action: &str,
    from: Status,
    verdict: Option<&Verdict>,
    grounds: &Grounds,
) -> Entry {
    Entry {
        at: now(),
        who: who.trim().to_owned(),
        action: action.to_owned(),
        creative: item.id.clone(),
        from: from.name().to_owned(),
        to: item.status.name().to_owned(),
        text: item.text.clone(),
        proposer: item.origin.clone(),
        model: grounds.model.clone(),
        seed: grounds.seed,
        prompt: grounds.prompt.clone(),
        asked: grounds.asked.clone(),
        facts: item.facts.clone(),
        rules: verdict
            .map(|verdict| verdict.passed().into_iter().map(str::to_owned).collect())
            .unwrap_or_default(),
        ..Entry::default()
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
