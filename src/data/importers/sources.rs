//! Which files hold the log? One, several, a folder of parts, or what a pattern fits.
//!
//! Folders are walked to the bottom. What engines leave beside their parts (`_SUCCESS`, `.crc` and everything else
//! that begins with `_` or `.`) and our own recipes are no parts. Folders named `day=3` give every part below them
//! the column `day`, as Hive and Spark write it.

use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use std::path::{Component, Path, PathBuf};

/// The files of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// What the person named: a file, a folder or a pattern; the first of several.
    pub path: PathBuf,
    /// The files, by name.
    pub parts: Vec<Part>,
    /// What was left out, in words.
    pub notes: Vec<String>,
}

/// One file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it lies.
    pub path: PathBuf,
    /// Columns that the names of its folders tell, outermost first.
    pub partitions: Vec<(String, String)>,
}

impl Part {
    /// A file that stands for itself.
    pub fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), partitions: Vec::new() }
    }
}

impl Sources {
    /// True when the log is one plain file, to be read as it is.
    pub fn single(&self) -> Option<&Part> {
        match self.parts.as_slice() {
            [part] if part.partitions.is_empty() && self.notes.is_empty() => Some(part),
            _ => None,
        }
    }
}

/// Folders below folders that are followed: links may go in circles.
const DEEPEST: usize = 16;

/// Finds the files that some paths stand for.
///
/// # Errors
/// A path that does not exist, a folder or pattern without a file, or what the disk answers.
pub fn find(paths: &[PathBuf]) -> Result<Sources> {
    let Some(first) = paths.first() else {
        return Err(Failure::new(WHAT, "no file was named").hint("adloupe profile FILE"));
    };
    let mut walk = Walk::default();
    for path in paths {
        let is_pattern = !path.exists() && path.to_string_lossy().contains(['*', '?']);
        let before = walk.parts.len();
        if path.is_dir() {
            walk.folder(path, &[], 0)?;
        } else if is_pattern {
            walk.pattern(path)?;
        } else {
            walk.parts.push(Part::file(path));
        }
        if walk.parts.len() == before {
            let why = if is_pattern { "no file fits the pattern" } else { "the folder holds no file" };
            return Err(Failure::new(WHAT, why).at(path.display()).hint("check the path"));
        }
    }
    let mut notes = Vec::new();
    if walk.left_out > 0 {
        notes.push(format!("{} files whose names begin with '_' or '.' were left out", walk.left_out));
    }
    Ok(Sources { path: first.clone(), parts: walk.parts, notes })
}

const WHAT: &str = "cannot read the log";

#[derive(Default)]
struct Walk {
    parts: Vec<Part>,
    left_out: u64,
}

impl Walk {
    fn folder(&mut self, folder: &Path, partitions: &[(String, String)], depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(Failure::new(WHAT, format!("its folders are more than {DEEPEST} deep"))
                .at(folder.display())
                .hint("choose a folder further down"));
        }
        for path in listed(folder)? {
            let name = file_name(&path);
            if name.starts_with(['_', '.']) {
                self.left_out += u64::from(path.is_file());
            } else if path.is_dir() {
                let mut inner = partitions.to_vec();
                inner.extend(partition(&name));
                self.folder(&path, &inner, depth + 1)?;
            } else if !name.ends_with(super::RECIPE_ENDING) {
                self.parts.push(Part { path, partitions: partitions.to_vec() });
            }
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &Path) -> Result<()> {
        let components: Vec<_> = pattern.components().collect();
        let is_wild =
            |component: &Component<'_>| component.as_os_str().to_string_lossy().contains(['*', '?']);
        let fixed = components.iter().position(is_wild).unwrap_or_default();
        let root: PathBuf = components[..fixed].iter().collect();
        let root = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root };
        let steps: Vec<String> =
            components[fixed..].iter().map(|step| step.as_os_str().to_string_lossy().into_owned()).collect();
        if root.is_dir() { self.steps(&root, &steps, &[]) } else { Ok(()) }
    }

    fn steps(&mut self, folder: &Path, steps: &[String], partitions: &[(String, String)]) -> Result<()> {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(());
        };
        for path in listed(folder)? {
            let name = file_name(&path);
            if !fits(step.as_bytes(), name.as_bytes()) {
                continue;
            }
            let mut inner = partitions.to_vec();
            inner.extend(partition(&name));
            match (path.is_dir(), rest.is_empty()) {
                (true, true) => self.folder(&path, &inner, 0)?,
                (true, false) => self.steps(&path, rest, &inner)?,
                (false, true) if name.ends_with(super::RECIPE_ENDING) => {}
                (false, true) => self.parts.push(Part { path, partitions: partitions.to_vec() }),
                (false, false) => {}
            }
        }
        Ok(())
    }
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let explain = |error: &std::io::Error| disk_failure(WHAT, folder, error);
    let entries = std::fs::read_dir(folder).map_err(|error| explain(&error))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<_>>>().map_err(|error| explain(&error))?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `day=3` as a column and its value; signs that no file name may hold are written `%2F`.
fn partition(folder: &str) -> Option<(String, String)> {
    let (column, value) = folder.split_once('=')?;
    let value = if value == "__HIVE_DEFAULT_PARTITION__" { String::new() } else { decoded(value) };
    (!column.is_empty()).then(|| (decoded(column), value))
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// True when a name fits a pattern of `*` (any characters) and `?` (one byte).
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), Some((_, shorter))) => fits(rest, name) || fits(pattern, shorter),
        (Some((b'*', rest)), None) => fits(rest, name),
        (Some((b'?', rest)), Some((_, shorter))) => fits(rest, shorter),
        (Some((wanted, rest)), Some((found, shorter))) => wanted == found && fits(rest, shorter),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    #[test]
    fn folders_are_walked_and_name_columns() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["day=3/land=a%2Fb/part-1.csv", "day=2/part-0.csv", "_SUCCESS", "day=2/.part-0.crc"] {
            touch(&at(name));
        }
        let found = find(&[root.path().to_owned()]).unwrap();
        assert_eq!(found.parts.len(), 2);
        assert_eq!(found.parts[0].path, at("day=2/part-0.csv"));
        let partitions = &found.parts[1].partitions;
        assert_eq!(*partitions, [("day".into(), "3".into()), ("land".into(), "a/b".into())]);
        assert!(found.notes[0].starts_with("2 files"), "{:?}", found.notes);
    }

    #[test]
    fn patterns_fit_names_and_folders() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["a/log-1.csv", "a/log-2.csv", "a/notes.txt", "b/log-3.csv", "日志 新.csv"] {
            touch(&at(name));
        }
        let count = |pattern: &str| find(&[at(pattern)]).map(|found| found.parts.len());
        assert_eq!(count("a/log-*.csv").unwrap(), 2);
        assert_eq!(count("*/log-?.csv").unwrap(), 3);
        assert_eq!(count("日*.csv").unwrap(), 1);
        assert_eq!(count("a").unwrap(), 3);
        assert!(count("a/*.parquet").unwrap_err().why.contains("pattern"));
        assert_eq!(find(&[at("a/log-1.csv")]).unwrap().single(), Some(&Part::file(&at("a/log-1.csv"))));
    }

    #[test]
    fn an_empty_folder_is_told() {
        let root = tempfile::tempdir().unwrap();
        let failure = find(&[root.path().to_owned()]).unwrap_err();
        assert!(failure.why.contains("no file"), "{failure}");
    }
}
