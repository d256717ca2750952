//! Which log is meant, and what does the person know about it? The arguments that every subcommand shares.

use crate::base::{Failure, Result};
use crate::data::generalise::Coarser;
use crate::data::importers::{self, CacheChoice, ImportOptions, JoinSpec, RecipeChoice};
use crate::data::pseudonym::Salt;
use crate::data::shape::Reshape;
use crate::data::{LogFrame, Role};
use crate::jobs::JobContext;
use crate::session::commands::data::usual_list;
use crate::train::TrainSpec;
use std::path::PathBuf;

/// A log and how it is to be read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SourceArgs {
    /// The log: a file, several files of one kind, a folder of them, or a pattern such as 'logs/*.csv'. The format
    /// is found by content.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Corrects what a column is for, COLUMN=ROLE; may be given again. 'rating>=4=label' makes a label from a
    /// threshold.
    #[arg(long = "role", value_name = "COLUMN=ROLE", value_parser = parse_role)]
    pub roles: Vec<(String, Role)>,
    /// Joins a side table (users, items, creatives) onto the log, FILE[:KEY[=KEY OF THE FILE]]; may be given again.
    #[arg(long = "join", value_name = "FILE[:KEY[=KEY]]", value_parser = JoinSpec::parse)]
    pub joins: Vec<JoinSpec>,
    /// Turns the log into one row per impression: 'long' for one column per ad, 'impressions' for an event stream,
    /// 'impressions:24' with the hours from a view to its click.
    #[arg(long, value_name = "SHAPE")]
    pub shape: Option<Reshape>,
    /// Replaces the values of a column by pseudonyms (keyed BLAKE3 hashes); may be given again.
    #[arg(long = "pseudonymise", value_name = "COLUMN")]
    pub pseudonymise: Vec<String>,
    /// Makes the values of a column coarser, COLUMN=WAY: a width for numbers (age=10), hour, day, week or month for times,
    /// prefix:3 for texts; may be given again.
    #[arg(long = "generalise", value_name = "COLUMN=WAY", value_parser = parse_coarser)]
    pub generalise: Vec<(String, Coarser)>,
    /// The secret of the pseudonyms: the same secret gives the same pseudonyms. Without it a new one is drawn and
    /// forgotten.
    #[arg(long, value_name = "TEXT", requires = "pseudonymise")]
    pub salt: Option<String>,
    /// Reads the log as another one of its kind was: FILE of --save-recipe; 'off' for nobody's choices [default: the
    /// recipe beside the log, if there is one].
    #[arg(long, value_name = "FILE|off")]
    pub recipe: Option<PathBuf>,
    /// Memory that the columns may take, such as 8GB; a log that needs more is opened as a sample [default: half of
    /// the machine's].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub memory: Option<u64>,
    /// Holds all rows, whatever memory they take.
    #[arg(long)]
    pub all_rows: bool,
    /// Leaves out the rows of people who did not consent: the column with 1, yes, granted or opt-in where they did.
    #[arg(long, value_name = "COLUMN")]
    pub consent: Option<String>,
    /// Where large logs are kept so that they open at once the next time; 'off' for nowhere [default: the cache
    /// folder of the system].
    #[arg(long, value_name = "DIR|off")]
    pub cache: Option<CacheChoice>,
}

impl SourceArgs {
    /// A training on the log, with what `--set` says.
    ///
    /// # Errors
    /// An unknown kind or knob, or a value out of bounds.
    pub fn spec(&self, kind: &str, knobs: &[(String, String)]) -> Result<TrainSpec> {
        let mut spec = TrainSpec::new(kind)?;
        spec.source = self.name();
        spec.set_all(knobs)?;
        Ok(spec)
    }

    /// What these arguments ask of the importer.
    ///
    /// # Errors
    /// A salt that is too short.
    pub fn options(&self) -> Result<ImportOptions> {
        Ok(ImportOptions {
            roles: self.roles.clone(),
            joins: self.joins.clone(),
            shape: self.shape,
            pseudonyms: self.pseudonymise.clone(),
            generalise: self.generalise.clone(),
            salt: self.salt.as_deref().map(Salt::of_text).transpose()?,
            consent: self.consent.clone(),
            erased: usual_list(),
            memory_bytes: self.memory,
            all_rows: self.all_rows,
            recipe: match &self.recipe {
                Some(path) if path.as_os_str() == "off" => RecipeChoice::Off,
                Some(path) => RecipeChoice::File(path.clone()),
                None => RecipeChoice::Beside,
            },
            // Whoever hides names wants no copy of them.
            cache: match &self.cache {
                Some(cache) => cache.clone(),
                None if self.pseudonymise.is_empty() && self.generalise.is_empty() => CacheChoice::usual(),
                None => CacheChoice::Off,
            },
            ..ImportOptions::default()
        })
    }

    /// Opens the log.
    ///
    /// # Errors
    /// As [`importers::open_all`]; a salt that is too short.
    pub fn open(&self, context: &JobContext) -> Result<LogFrame> {
        importers::open_all(&self.files, &self.options()?, context)
    }

    /// The files as the person wrote them.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        names.join(" ")
    }
}

/// # Errors
/// Text that is no `COLUMN=WAY`.
fn parse_coarser(text: &str) -> Result<(String, Coarser)> {
    let (column, way) = text.rsplit_once('=').ok_or_else(|| {
        Failure::new("cannot generalise a column", format!("'{text}' names no way"))
            .hint("COLUMN=WAY, such as age=10")
    })?;
    Ok((column.to_owned(), way.parse()?))
}

/// Reads `COLUMN=ROLE`; the last `=` parts them, so a column's name may hold others.
///
/// # Errors
/// No `=`, no column before it, or no such role.
pub fn parse_role(text: &str) -> Result<(String, Role)> {
    match text.rsplit_once('=') {
        Some((column, role)) if !column.is_empty() => Ok((column.to_owned(), role.parse()?)),
        _ => Err(Failure::new("cannot read the role", format!("'{text}' is not COLUMN=ROLE"))
            .hint("clicked=label")),
    }
}

/// Reads `8GB`, `500 MB`, `1.5GiB` or plain bytes.
///
/// # Errors
/// No number, or an unknown unit.
fn parse_bytes(text: &str) -> Result<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1.0),
        "k" | "kb" => Some(1e3),
        "m" | "mb" => Some(1e6),
        "g" | "gb" => Some(1e9),
        "t" | "tb" => Some(1e12),
        "mib" => Some(f64::from(1 << 20)),
        "gib" => Some(f64::from(1 << 30)),
        _ => None,
    };
    let bytes = number.parse().ok().zip(unit).map(|(number, unit): (f64, f64)| number * unit);
    bytes.filter(|bytes| *bytes >= 1e6).map(|bytes| bytes as u64).ok_or_else(|| {
        Failure::new("cannot read the memory", format!("'{text}' is no size of a megabyte or more"))
            .hint("8GB")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("8GB").unwrap(), 8_000_000_000);
        assert_eq!(parse_bytes("1.5 GiB").unwrap(), 3 << 29);
        assert_eq!(parse_bytes("2000000").unwrap(), 2_000_000);
        assert!(parse_bytes("8 apples").is_err() && parse_bytes("3").is_err());
    }

    #[test]
    fn roles_are_parted_at_the_last_sign() {
        assert_eq!(parse_role("rating>=4=label").unwrap(), ("rating>=4".to_owned(), Role::Label));
        assert!(parse_role("rating").is_err());
        assert!(parse_role("rating=stars").unwrap_err().hint.contains("label"));
    }
}
