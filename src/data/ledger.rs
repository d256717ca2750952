//! How much has been told about the people of a log? The epsilons of all reports, booked before each is made.
//!
//! A log is known by its users, not by its name: a copy under another name has the same account. The book is one small
//! JSON file; who deletes it begins anew, so it binds only those who keep it.

use super::frame::LogFrame;
use super::query::noisy::{self, NoisyQuery, NoisyReport};
use super::query::people::fingerprint;
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// What may be spent on a log unless a person says otherwise.
pub const USUAL_BUDGET: f64 = 3.0;
/// Sums of epsilons are compared to this.
const ROUNDING: f64 = 1e-9;

/// What was spent on one log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Account {
    /// The log's name when it was last asked.
    pub name: String,
    /// Every report: what was asked, and its epsilon.
    pub spent: Vec<(String, f64)>,
}

impl Account {
    /// The epsilons added up.
    pub fn total(&self) -> f64 {
        self.spent.iter().map(|(_, epsilon)| epsilon).sum()
    }
}

type Book = BTreeMap<String, Account>;

/// The account of a log; an empty one where nothing was spent.
///
/// # Errors
/// A book that cannot be read: it is never taken for an empty one.
pub fn account(book: &Path, log: &LogFrame) -> Result<Account> {
    Ok(read(book)?.remove(&fingerprint(log)?).unwrap_or_default())
}

/// Books an epsilon and answers the account with it.
///
/// # Errors
/// No positive epsilon, more than the budget has left, or a book that cannot be read or written.
pub fn spend(book: &Path, log: &LogFrame, what: &str, epsilon: f64, budget: f64) -> Result<Account> {
    let refuse = |why: String| Failure::new("cannot report with noise", why);
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(refuse(format!("epsilon {epsilon} is no positive number")).hint("0.5"));
    }
    let mut all = read(book)?;
    let account = all.entry(fingerprint(log)?).or_default();
    let left = budget - account.total();
    if epsilon > left + ROUNDING {
        let spent = account.total();
        return Err(refuse(format!("epsilon {epsilon} is asked for, and {:.3} of {budget} is left ({spent:.3} is spent on the people of this log)", left.max(0.0)))
            .hint("a smaller epsilon while some is left; what is spent does not come back"));
    }
    let path = &log.source.path;
    account.name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    account.spent.push((what.to_owned(), epsilon));
    let account = account.clone();
    let text = serde_json::to_vec_pretty(&all).explain("cannot write the book of reports")?;
    if let Some(folder) = book.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| disk_failure("cannot write the book of reports", folder, &error))?;
    }
    write_atomically(book, |out| out.write_all(&text).explain("cannot write the book of reports"))?;
    Ok(account)
}

/// Makes a report and books it: first the question is checked, then the epsilon is booked, then noise is drawn.
///
/// # Errors
/// As [`noisy::count`] and [`spend`].
pub fn report(
    book: &Path,
    log: &LogFrame,
    query: &NoisyQuery,
    budget: f64,
    context: &JobContext,
) -> Result<(NoisyReport, Account)> {
    let counted = noisy::count(log, query, context)?;
    let what = format!("{} where {}", query.by.join(", "), query.filter);
    let account = spend(book, log, &what, query.epsilon, budget)?;
    Ok((counted.told(), account))
}

fn read(book: &Path) -> Result<Book> {
    let what = "cannot read the book of reports";
    match std::fs::read(book) {
        Ok(text) => serde_json::from_slice(&text).explain(what).map_err(|failure| {
            failure.at(book.display()).hint("mend it by hand: what was spent must not be forgotten")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Book::new()),
        Err(error) => Err(disk_failure(what, book, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::Role;
    use polars::prelude::df;

    fn log(users: [&str; 3]) -> LogFrame {
        LogFrame::from_frame(df!("user" => users).unwrap(), &[("user", Role::User)]).unwrap()
    }

    #[test]
    fn epsilons_add_up_until_the_budget_is_spent() {
        let folder = tempfile::tempdir().unwrap();
        let book = folder.path().join("new/book.json");
        let log = log(["a", "b", "c"]);
        assert_eq!(account(&book, &log).unwrap(), Account::default());
        assert_eq!(spend(&book, &log, "city", 0.5, 1.0).unwrap().total(), 0.5);
        assert_eq!(spend(&book, &log, "city", 0.5, 1.0).unwrap().spent.len(), 2);
        let failure = spend(&book, &log, "city", 0.1, 1.0).unwrap_err();
        assert!(failure.why.contains("0.000 of 1 is left (1.000 is spent"), "{failure}");
        assert_eq!(account(&book, &log).unwrap().total(), 1.0, "a refused report costs nothing");
        assert!(spend(&book, &log, "city", f64::NAN, 1.0).is_err());
    }

    #[test]
    fn the_same_people_in_another_order_have_the_same_account() {
        let folder = tempfile::tempdir().unwrap();
        let book = folder.path().join("book.json");
        spend(&book, &log(["a", "b", "c"]), "city", 0.5, 1.0).unwrap();
        assert_eq!(account(&book, &log(["c", "a", "b"])).unwrap().total(), 0.5);
        assert_eq!(account(&book, &log(["c", "a", "x"])).unwrap().total(), 0.0);
        std::fs::write(&book, "{").unwrap();
        assert!(spend(&book, &log(["a", "b", "c"]), "city", 0.5, 1.0).unwrap_err().hint.contains("mend"));
    }
}
