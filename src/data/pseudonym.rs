//! How is a person's name kept out of a log without losing who is who?
//!
//! A value is replaced by 96 bits of its BLAKE3 hash under a key that is derived from a secret salt. The same salt gives
//! the same pseudonyms in every file, so that logs can still be joined. Who has the salt can check a guess (and e-mail
//! addresses and phone numbers can all be guessed), so this is pseudonymisation, not anonymisation: keep the salt away
//! from the data.

use super::frame::LogFrame;
use super::schema::ColumnType;
use crate::base::failure::Explain;
use crate::base::{Failure, Result, rng};
use crate::jobs::JobContext;
use polars::prelude::{
    DataType, IntoColumn, IntoSeries, ListBuilderTrait, ListStringChunkedBuilder, Series, StringChunked,
};
use std::fmt;
use std::sync::Arc;

/// Separates our keys from those that others derive from the same salt.
const CONTEXT: &str = "adloupe 2026-11 pseudonyms of column values";
/// Hexadecimal digits of a pseudonym: two of a billion values meet with a chance of about 1 in 10^11.
const DIGITS: usize = 24;
/// A shorter salt can be tried out.
const SHORTEST: usize = 8;

/// The secret that pseudonyms depend on. It is not shown in any message.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt {
    key: [u8; 32],
    is_drawn: bool,
}

impl Salt {
    /// The secret of a text: the same text gives the same pseudonyms.
    ///
    /// # Errors
    /// A text of fewer than 8 bytes.
    pub fn of_text(text: &str) -> Result<Self> {
        if text.len() < SHORTEST {
            return Err(Failure::new("cannot make pseudonyms", "the salt is too short to be a secret")
                .hint(format!("a random text of {SHORTEST} or more characters")));
        }
        Ok(Self { key: blake3::derive_key(CONTEXT, text.as_bytes()), is_drawn: false })
    }

    /// A new secret that is forgotten with this value: no other file will get the same pseudonyms.
    pub fn drawn() -> Self {
        Self { key: rng::secret(), is_drawn: true }
    }

    /// The pseudonym of a value.
    pub fn pseudonym(&self, value: &str) -> String {
        let hash = blake3::keyed_hash(&self.key, value.as_bytes()).to_hex();
        hash.chars().take(DIGITS).collect()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salt").field("is_drawn", &self.is_drawn).finish_non_exhaustive()
    }
}

/// The log with pseudonyms in the given columns. Missing cells stay missing; roles stay; lists keep their lengths.
///
/// # Errors
/// No such column, a column of times or real numbers, a cancel.
pub fn pseudonymise(
    log: &LogFrame,
    columns: &[String],
    salt: &Salt,
    context: &JobContext,
) -> Result<LogFrame> {
    let mut log = log.clone();
    let mut source = (*log.source).clone();
    source.kept_in = None;
    for name in columns {
        context.check()?;
        let kind = log.schema.column(name)?.kind;
        if !matches!(kind, ColumnType::Text | ColumnType::Integer | ColumnType::List) {
            let why = format!("its cells are {kind:?}, which name nobody").to_lowercase();
            return Err(Failure::new("cannot make pseudonyms", why)
                .at(format!("column '{name}'"))
                .hint("a column of texts, whole numbers or lists"));
        }
        let what = format!("cannot make pseudonyms of '{name}'");
        let series = log.frame.column(name).explain(&what)?.as_materialized_series();
        let hidden = match kind {
            ColumnType::List => lists(series, salt).explain(&what)?,
            _ => texts(&series.cast(&DataType::String).explain(&what)?, salt).explain(&what)?,
        };
        log.frame.with_column(hidden.into_column()).explain(&what)?;
        for column in log.schema.columns.iter_mut().filter(|column| column.name == *name) {
            if column.kind == ColumnType::Integer {
                column.kind = ColumnType::Text;
            }
            column.evidence += "; pseudonyms";
        }
        let again = if salt.is_drawn {
            "the secret was drawn and is forgotten"
        } else {
            "the same salt gives the same pseudonyms, and who has it can check a guess"
        };
        source.notes.push(format!("'{name}' holds pseudonyms (keyed BLAKE3, 96 bits): {again}"));
    }
    log.source = Arc::new(source);
    log.revision += 1;
    Ok(log)
}

fn texts(series: &Series, salt: &Salt) -> polars::prelude::PolarsResult<Series> {
    let cells = series.str()?.iter();
    let hidden: StringChunked =
        cells.map(|cell| cell.filter(|cell| !cell.is_empty()).map(|cell| salt.pseudonym(cell))).collect();
    Ok(hidden.into_series().with_name(series.name().clone()))
}

fn lists(series: &Series, salt: &Salt) -> polars::prelude::PolarsResult<Series> {
    let cells = series.list()?;
    let mut hidden = ListStringChunkedBuilder::new(series.name().clone(), cells.len(), cells.len() * 4);
    for list in cells.amortized_iter() {
        let Some(list) = list else {
            hidden.append_null();
            continue;
        };
        let items = list.as_ref().cast(&DataType::String)?;
        let items: Vec<String> = items.str()?.iter().flatten().map(|item| salt.pseudonym(item)).collect();
        hidden.append_values_iter(items.iter().map(String::as_str));
    }
    Ok(hidden.finish().into_series())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cells;
    use crate::data::schema::Role;
    use polars::prelude::{NamedFrom, df};

    fn log() -> LogFrame {
        let frame = df!(
            "email" => [Some("a@example.org"), Some("b@example.org"), None, Some("a@example.org")],
            "phone" => [49_170_111i64, 49_170_222, 49_170_111, 49_170_333],
            "share" => [0.1, 0.2, 0.3, 0.4],
        )
        .unwrap();
        LogFrame::from_frame(frame, &[("email", Role::User)]).unwrap()
    }

    #[test]
    fn the_same_salt_gives_the_same_pseudonyms_and_nothing_else_shows() {
        let columns = ["email".to_owned(), "phone".to_owned()];
        let context = JobContext::detached();
        let of = |salt: &Salt| pseudonymise(&log(), &columns, salt, &context).unwrap();
        let salt = Salt::of_text("a long enough salt").unwrap();
        let (one, again, other) = (of(&salt), of(&salt.clone()), of(&Salt::drawn()));
        let codes = |log: &LogFrame| cells::coded(log, "email").unwrap();
        assert_eq!(codes(&one), codes(&again));
        assert_ne!(codes(&one).values, codes(&other).values);
        assert_eq!(codes(&one).codes, codes(&log()).codes, "who is who stays");
        assert!(codes(&one).values.iter().all(|value| value.len() == DIGITS && !value.contains('@')));
        assert_eq!(one.schema.column("phone").unwrap().kind, ColumnType::Text);
        assert_eq!(cells::coded(&one, "phone").unwrap().values.len(), 3);
        assert!(!format!("{salt:?}").contains("long enough"));
    }

    #[test]
    fn a_pseudonym_begins_like_the_published_hash() {
        // BLAKE3's own test vectors: keyed_hash of the empty input under this key.
        let salt = Salt { key: *b"whats the Elvish word for friend", is_drawn: false };
        assert_eq!(salt.pseudonym(""), "92b2b75604ed3c761f9d6f62");
    }

    #[test]
    fn lists_keep_their_lengths() {
        let list = |items: &[&str]| Series::new("".into(), items);
        let frame = df!("seen" => [Some(list(&["a", "b"])), None, Some(list(&["a"]))]).unwrap();
        let log = LogFrame::from_frame(frame, &[("seen", Role::Sequence)]).unwrap();
        let hidden = pseudonymise(&log, &["seen".into()], &Salt::drawn(), &JobContext::detached()).unwrap();
        let lists = cells::coded_lists(&hidden, "seen").unwrap();
        assert_eq!(lists.offsets, [0, 2, 2, 3]);
        assert_eq!(lists.items.codes, [0, 1, 0]);
    }

    #[test]
    fn short_salts_and_other_columns_are_refused() {
        assert!(Salt::of_text("secret").unwrap_err().hint.contains('8'));
        let refused = |name: &str| {
            pseudonymise(&log(), &[name.to_owned()], &Salt::drawn(), &JobContext::detached()).unwrap_err()
        };
        assert!(refused("share").why.contains("real"));
        assert!(refused("nobody").hint.contains("email"));
    }
}
