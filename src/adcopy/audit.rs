//! Who did what to which words, when, on which grounds? A log that only grows, in which no line can be changed unseen.
//!
//! Each line carries the BLAKE3 hash of its own content and of the line before it (a hash chain; Haber & Stornetta 1991).
//! A changed, removed or inserted line breaks the chain at its place; lines that are cut off the end are missed by the
//! library, which remembers the last hash.

use crate::base::files::disk_failure;
use crate::base::{Failure, Result, failure::Explain};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes of a line at most.
const LONGEST_LINE: u64 = 1 << 20;
const WHAT: &str = "the audit cannot be trusted";

/// What happened once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Place in the log, from 1.
    pub number: u64,
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
    /// Who did it.
    pub who: String,
    /// What was done: `draft`, `check`, `submit`, `approve`, `reject`, `retire`, `edit`, `illustrate`, `import`, `results`, `tag`.
    pub action: String,
    /// Which creative; empty for what concerns many.
    pub creative: String,
    /// State before.
    pub from: String,
    /// State after.
    pub to: String,
    /// The words as they stood after it.
    pub text: String,
    /// Who wrote them: a proposer, or a person.
    pub proposer: String,
    /// The click model, or the language model, that had a part in it.
    pub model: String,
    /// Seed of the draw.
    pub seed: u64,
    /// BLAKE3 of the brief that was written from, or of what a language model was asked.
    pub prompt: String,
    /// What a language model was asked, word for word; empty for others.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub asked: String,
    /// Facts that the words rest on.
    pub facts: Vec<String>,
    /// Groups of rules that were passed.
    pub rules: Vec<String>,
    /// Why, in a person's words.
    pub note: String,
    /// Hash of the entry before; empty in the first.
    pub previous: String,
    /// Hash of all that stands above.
    pub hash: String,
}

/// The end of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// Entries.
    pub entries: u64,
    /// Hash of the last one; empty where there is none.
    pub hash: String,
}

/// BLAKE3 of a text, in hexadecimal.
pub fn hash_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

impl Entry {
    /// The entry as the next of a chain.
    #[must_use]
    fn chained(mut self, head: &Head) -> Self {
        self.number = head.entries + 1;
        self.previous.clone_from(&head.hash);
        self.hash = self.digest();
        self
    }

    fn digest(&self) -> String {
        let bare = Self { hash: String::new(), ..self.clone() };
        // A struct of texts and numbers is always JSON.
        hash_of(&serde_json::to_string(&bare).unwrap_or_default())
    }
}

/// Adds entries to the file and waits for the disk; the head moves on.
///
/// # Errors
/// What the disk answers. Lines that were half written are cut off again.
pub fn append(path: &Path, head: &Head, entries: Vec<Entry>) -> Result<Head> {
    let what = "cannot write the audit";
    let explain = |error: std::io::Error| disk_failure(what, path, &error);
    let before_head = head;
    let mut head = head.clone();
    let mut lines = Vec::new();
    for entry in entries {
        let entry = entry.chained(&head);
        serde_json::to_writer(&mut lines, &entry).explain(what)?;
        lines.push(b'\n');
        head = Head { entries: entry.number, hash: entry.hash };
    }
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path).map_err(explain)?;
    if last_hash(&mut file).map_err(explain)? != before_head.hash {
        return Err(Failure::new(what, "somebody else wrote to it meanwhile")
            .at(path.display())
            .hint("open the library again"));
    }
    let before = file.metadata().map_err(explain)?.len();
    let written = file.write_all(&lines).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Best effort: the failure that is reported is the one that matters.
        let _ = file.set_len(before);
        return Err(explain(error));
    }
    Ok(head)
}

/// The hash of the last line as it says itself; empty for an empty file.
fn last_hash(file: &mut File) -> std::io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LINE)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let last = tail.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    let entry: Option<Entry> = serde_json::from_slice(last).ok();
    Ok(entry.map(|entry| entry.hash).unwrap_or_default())
}

/// Reads an audit and checks every link of its chain.
///
/// # Errors
/// A line that is none, whose content does not fit its hash, or that does not follow the one before: named by its place.
pub fn read(path: &Path) -> Result<(Vec<Entry>, Head)> {
    let explain = |error: std::io::Error| disk_failure("cannot read the audit", path, &error);
    if !path.exists() {
        return Ok((Vec::new(), Head::default()));
    }
    let mut entries = Vec::new();
    let mut head = Head::default();
    for (place, line) in BufReader::new(File::open(path).map_err(explain)?).lines().enumerate() {
        let broken = |why: &str| {
            Failure::new(WHAT, why)
                .at(format!("{}, line {}", path.display(), place + 1))
                .hint("compare it with an exported copy; what follows that line is not proven")
        };
        let entry: Entry = serde_json::from_str(&line.map_err(explain)?)
            .map_err(|error| broken(&format!("it is no entry ({error})")))?;
        if entry.digest() != entry.hash {
            return Err(broken("its content does not fit its hash: it was changed"));
        }
        if entry.previous != head.hash || entry.number != head.entries + 1 {
            return Err(broken("it does not follow the line before: a line was removed, moved or put in"));
        }
        head = Head { entries: entry.number, hash: entry.hash.clone() };
        entries.push(entry);
    }
    Ok((entries, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry { who: "mei".into(), action: "edit".into(), text: text.into(), ..Entry::default() }
    }

    #[test]
    fn a_chain_is_read_back_and_every_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let head = append(&path, &Head::default(), vec![entry("one"), entry("two")]).unwrap();
        let head = append(&path, &head, vec![entry("three")]).unwrap();
        let (entries, read_head) = read(&path).unwrap();
        assert_eq!((entries.len(), &read_head), (3, &head));
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let refused = |text: String| {
            std::fs::write(&path, text).unwrap();
            read(&path).unwrap_err()
        };
        let changed = refused(whole.replace("two", "2"));
        assert!(changed.place.ends_with("line 2") && changed.why.contains("changed"), "{changed}");
        let removed = refused(format!("{}\n{}\n", lines[0], lines[2]));
        assert!(removed.why.contains("removed"), "{removed}");
        let swapped = refused(format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]));
        assert!(swapped.place.ends_with("line 1"), "{swapped}");
        let torn = refused(whole[..whole.len() - 20].to_owned());
        assert!(torn.why.contains("no entry"), "{torn}");
        // A changed line with a new hash of its own breaks the next link.
        let forged = Entry { text: "2".into(), ..entries[1].clone() };
        let forged = Entry { hash: forged.digest(), ..forged };
        let text = format!("{}\n{}\n{}\n", lines[0], serde_json::to_string(&forged).unwrap(), lines[2]);
        assert!(refused(text).place.ends_with("line 3"));
    }
}
