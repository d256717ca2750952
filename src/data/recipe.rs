//! How is the next file of this kind read as this one was? Every choice, with its evidence, in a small file beside
//! the data.
//!
//! `clicks.csv` has its recipe in `clicks.recipe.json`. A recipe that stands there is used without being asked for;
//! one of another file is used when it is named. What the file then lacks or has in addition is told, and a recipe
//! that shares too few columns with it is refused. Secrets (the salt of pseudonyms) are never part of a recipe.

use super::frame::LogFrame;
use super::generalise::Coarser;
use super::importers::{ImportOptions, JoinSpec, RECIPE_ENDING, Reading};
use super::schema::{ColumnType, Role};
use super::shape::Reshape;
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The form of recipes that this program writes.
pub const VERSION: u32 = 1;

/// What was decided about a kind of file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The form of this recipe, [`VERSION`].
    pub version: u32,
    /// The name of the file that it was made from.
    pub made_from: String,
    /// What the bytes of that file were, for people.
    pub format: String,
    /// How text is read.
    #[serde(default)]
    pub reading: Reading,
    /// The columns in the order of the file.
    pub columns: Vec<RecipeColumn>,
    /// Side tables, with paths relative to the recipe.
    #[serde(default)]
    pub joins: Vec<JoinSpec>,
    /// How the log is turned into one row per impression.
    #[serde(default)]
    pub shape: Option<Reshape>,
    /// Columns whose values are replaced by pseudonyms.
    #[serde(default)]
    pub pseudonyms: Vec<String>,
    /// Columns whose values are made coarser.
    #[serde(default)]
    pub generalise: Vec<(String, Coarser)>,
}

/// What was decided about a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeColumn {
    /// Its name. `rating>=4` is a label that is made from a threshold.
    pub name: String,
    /// How it is stored.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What it is for.
    pub role: Role,
    /// Why.
    pub evidence: String,
    /// True when it came from a side table.
    #[serde(default)]
    pub is_joined: bool,
}

const WHAT: &str = "cannot read the recipe";

impl Recipe {
    /// The choices that an open log was read with.
    pub fn of(log: &LogFrame, options: &ImportOptions) -> Self {
        let source = &log.source;
        let layout = &source.layout;
        let joined: Vec<&String> = source.joins.iter().flat_map(|join| &join.columns).collect();
        let is_text = !layout.delimiter.is_empty();
        let reading = Reading {
            // UTF-8 is what content shows best, so the next file may be in another encoding.
            encoding: Some(layout.encoding.clone()).filter(|name| !matches!(name.as_str(), "" | "UTF-8")),
            delimiter: is_text.then(|| layout.delimiter.clone()),
            has_quotes: is_text.then_some(layout.has_quotes),
            has_header: is_text.then_some(layout.has_header),
            preamble: is_text.then_some(layout.preamble.len()),
            part: (!layout.part.is_empty()).then(|| layout.part.clone()),
            columns: layout
                .columns
                .iter()
                .filter_map(|column| Some((column.column.clone(), column.plan.parse().ok()?)))
                .collect::<BTreeMap<_, _>>(),
        };
        let columns = log.schema.columns.iter().map(|column| RecipeColumn {
            name: column.name.clone(),
            kind: column.kind,
            role: column.role,
            evidence: column.evidence.clone(),
            is_joined: joined.contains(&&column.name),
        });
        Self {
            version: VERSION,
            made_from: source.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            format: source.format.clone(),
            reading,
            columns: columns.collect(),
            joins: options.joins.clone(),
            shape: options.shape,
            pseudonyms: options.pseudonyms.clone(),
            generalise: options.generalise.clone(),
        }
    }

    /// Where the recipe of a log stands: beside it.
    pub fn place_of(log: &Path) -> PathBuf {
        let mut name = log.file_stem().unwrap_or_default().to_os_string();
        name.push(RECIPE_ENDING);
        log.with_file_name(name)
    }

    /// Writes the recipe; side tables are named relative to it.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn save(&self, path: &Path) -> Result<()> {
        let folder = absolute(path.parent().unwrap_or(Path::new("")));
        let mut written = self.clone();
        for join in &mut written.joins {
            let file = absolute(&join.file);
            join.file = file.strip_prefix(&folder).map(Path::to_owned).unwrap_or(file);
        }
        write_atomically(path, |out| {
            serde_json::to_writer_pretty(out, &written).explain("cannot write the recipe")
        })
    }

    /// Reads a recipe.
    ///
    /// # Errors
    /// No such file, no recipe, or one of a newer form.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|error| disk_failure(WHAT, path, &error))?;
        let refuse =
            |why: String| Failure::new(WHAT, why).at(path.display()).hint("save it anew with --save-recipe");
        let mut recipe: Self = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        if recipe.version > VERSION {
            return Err(refuse(format!(
                "it is of form {}, and this program knows {VERSION} at most",
                recipe.version
            )));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        recipe.joins.iter_mut().for_each(|join| join.file = folder.join(&join.file));
        Ok(recipe)
    }

    /// The names that a file of this kind has.
    fn own_names(&self) -> impl Iterator<Item = &str> {
        let own = self.columns.iter().filter(|column| !column.is_joined);
        own.map(|column| column.name.as_str()).filter(|name| !is_threshold(name))
    }

    /// Compares the columns of a log with those of the recipe; what differs, in words, for a file of this kind.
    ///
    /// # Errors
    /// Fewer than half of the columns are the same: it is a file of another kind.
    pub fn check(&self, log: &LogFrame) -> Result<Vec<String>> {
        let joined: Vec<&String> = log.source.joins.iter().flat_map(|join| &join.columns).collect();
        let present = log.schema.columns.iter().map(|column| &column.name);
        let present: Vec<&str> = present.filter(|name| !joined.contains(name)).map(String::as_str).collect();
        let known: Vec<&str> = self.own_names().collect();
        // A reshaped log has columns of its own; its recipe was checked by what it was made from.
        if self.shape.is_some() {
            return Ok(Vec::new());
        }
        let missing: Vec<&str> = known.iter().copied().filter(|name| !present.contains(name)).collect();
        let extra: Vec<&str> = present.iter().copied().filter(|name| !known.contains(name)).collect();
        let shared = known.len() - missing.len();
        if 2 * shared < known.len().max(present.len()) {
            let why = format!(
                "it is of another kind of file: of its {} columns {shared} are here; missing: {}; here but unknown to it: {}",
                known.len(),
                listed(&missing),
                listed(&extra)
            );
            return Err(Failure::new("cannot use the recipe", why)
                .hint(format!("the recipe was made from '{}'", self.made_from)));
        }
        let mut notes = Vec::new();
        if !missing.is_empty() {
            notes.push(format!("the recipe knows columns that are not here: {}", listed(&missing)));
        }
        if !extra.is_empty() {
            notes.push(format!("columns that the recipe does not know: {}", listed(&extra)));
        }
        Ok(notes)
    }

    /// Gives the columns their roles, as far as they are there; what cannot be done is a note of the log.
    pub fn give_roles(&self, log: &mut LogFrame) {
        let mut notes = vec![format!("read by the recipe of '{}'", self.made_from)];
        // What the file lacks was told by `check`. Ignored columns come last: a unique role ignores its former
        // column anyway.
        let in_order = || {
            let (ignored, used): (Vec<_>, Vec<_>) =
                self.columns.iter().partition(|column| column.role == Role::Ignored);
            used.into_iter().chain(ignored)
        };
        for column in in_order() {
            let present = log.schema.columns.iter().find(|present| present.name == column.name);
            match present.map(|present| present.role) {
                Some(role) if role == column.role => continue,
                None if !is_threshold(&column.name) => continue,
                _ => {}
            }
            match log.assign(&column.name, column.role) {
                Ok(()) => {
                    let evidence = format!("by the recipe: {}", column.evidence);
                    let given = log.schema.columns.iter_mut().find(|given| given.name == column.name);
                    given.into_iter().for_each(|given| given.evidence.clone_from(&evidence));
                }
                Err(failure) => notes.push(format!(
                    "the recipe's role {} does not fit '{}': {}",
                    column.role, column.name, failure.why
                )),
            }
        }
        Arc::make_mut(&mut log.source).notes.extend(notes);
    }

    /// What the recipe adds to what the person has decided, who has the last word.
    pub fn merged(&self, options: &ImportOptions) -> ImportOptions {
        let mut merged = options.clone();
        if merged.joins.is_empty() {
            merged.joins.clone_from(&self.joins);
        }
        if merged.pseudonyms.is_empty() {
            merged.pseudonyms.clone_from(&self.pseudonyms);
        }
        if merged.generalise.is_empty() {
            merged.generalise.clone_from(&self.generalise);
        }
        merged.shape = merged.shape.or(self.shape);
        merged
    }
}

fn is_threshold(name: &str) -> bool {
    name.contains(">=")
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Some names, and how many more.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".to_owned(),
        all if all > SHOWN => format!("{shown} and {} more", all - SHOWN),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::importers::{RecipeChoice, open};
    use crate::jobs::JobContext;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn log(columns: &str, extra: &str) -> String {
        let rows = (0..60).map(|row| format!("0{},{},{}{extra}\n", row % 7, row % 5 + 1, row % 3));
        format!("{columns}\n{}", rows.collect::<String>())
    }

    fn opened(path: &Path, options: &ImportOptions) -> Result<LogFrame> {
        open(path, options, &JobContext::detached())
    }

    fn roles(path: &Path) -> ImportOptions {
        let _ = path;
        ImportOptions {
            roles: vec![("stars>=4".into(), Role::Label), ("code".into(), Role::User)],
            ..ImportOptions::default()
        }
    }

    #[test]
    fn a_recipe_beside_the_file_reads_it_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "点击 june.csv", &log("code,stars,place", ""));
        let options = roles(&path);
        let first = opened(&path, &options).unwrap();
        let recipe = Recipe::of(&first, &options);
        recipe.save(&Recipe::place_of(&path)).unwrap();
        assert_eq!(Recipe::load(&folder.path().join("点击 june.recipe.json")).unwrap(), recipe);
        let again = opened(&path, &ImportOptions::default()).unwrap();
        let columns = |log: &LogFrame| -> Vec<(String, ColumnType, Role)> {
            let columns = log.schema.columns.iter();
            columns.map(|column| (column.name.clone(), column.kind, column.role)).collect()
        };
        assert_eq!(columns(&again), columns(&first));
        assert!(again.source.notes.iter().any(|note| note.contains("recipe")), "{:?}", again.source.notes);
        let without = ImportOptions { recipe: RecipeChoice::Off, ..ImportOptions::default() };
        assert_ne!(columns(&opened(&path, &without).unwrap()), columns(&first));
    }

    #[test]
    fn another_kind_of_file_is_refused_and_a_kin_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let june = write(folder.path(), "june.csv", &log("code,stars,place", ""));
        let options = roles(&june);
        let saved = folder.path().join("kind.json");
        Recipe::of(&opened(&june, &options).unwrap(), &options).save(&saved).unwrap();
        let by = ImportOptions { recipe: RecipeChoice::File(saved), ..ImportOptions::default() };
        let july = write(folder.path(), "july.csv", &log("code,stars,shelf,new", ",x"));
        let kin = opened(&july, &by).unwrap();
        assert_eq!(kin.schema.with_role(Role::Label).unwrap().name, "stars>=4");
        let notes = kin.source.notes.join("\n");
        assert!(notes.contains("not here: place") && notes.contains("not know: shelf, new"), "{notes}");
        let other = write(folder.path(), "other.csv", &log("a,b,c", ""));
        let failure = opened(&other, &by).unwrap_err();
        assert!(failure.why.contains("another kind") && failure.why.contains("code"), "{failure}");
        let broken = write(folder.path(), "broken.json", "{\"version\": 99");
        let by = ImportOptions { recipe: RecipeChoice::File(broken), ..ImportOptions::default() };
        assert!(opened(&june, &by).unwrap_err().what.contains("recipe"));
    }
}
