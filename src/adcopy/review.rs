//! Which state follows which, and who may lead there?
//!
//! draft -> checked -> in review -> approved or rejected -> retired. Nobody approves words of one's own, and whoever touched
//! them counts as their author. Any edit leads back to checked, or to draft where the new words do not pass; so does another
//! picture.

use super::library::Picture;
use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Where a creative stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Written, or blocked by a check.
    #[default]
    Draft,
    /// Passed every check.
    Checked,
    /// Waits for a second person.
    InReview,
    /// May be shown.
    Approved,
    /// May not be shown.
    Rejected,
    /// Was shown, and is no more.
    Retired,
}

/// What a person does to a creative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Asks a second person.
    Submit,
    /// Lets it be shown.
    Approve,
    /// Does not, for this reason.
    Reject(String),
    /// Takes it out of use.
    Retire,
    /// Gives it other words.
    Edit(String),
    /// Gives it another picture, or none.
    Illustrate(Option<Box<Picture>>),
}

impl Status {
    /// All of them in the order of the work.
    pub const ALL: [Self; 6] =
        [Self::Draft, Self::Checked, Self::InReview, Self::Approved, Self::Rejected, Self::Retired];

    /// Its name in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Checked => "checked",
            Self::InReview => "in review",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Retired => "retired",
        }
    }
}

impl Action {
    /// Its name in the audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Reject(_) => "reject",
            Self::Retire => "retire",
            Self::Edit(_) => "edit",
            Self::Illustrate(_) => "illustrate",
        }
    }
}

/// The state that an action leads to. `authors` touched the words; `passes` tells whether new words pass the checks.
///
/// # Errors
/// The action does not belong to the state, an author reviews, a rejection without a reason, or nobody acts.
pub fn next(status: Status, action: &Action, who: &str, authors: &[String], passes: bool) -> Result<Status> {
    let what = format!("cannot {} it", action.name());
    if who.trim().is_empty() {
        return Err(Failure::new(what, "nobody is named who does it").hint("name the person"));
    }
    let same = |name: &String| name.trim().eq_ignore_ascii_case(who.trim());
    if matches!(action, Action::Approve | Action::Reject(_)) && authors.iter().any(same) {
        return Err(Failure::new(what, format!("{who} wrote it, and nobody reviews words of one's own"))
            .hint("another person must do it"));
    }
    match (action, status) {
        (Action::Submit, Status::Checked) => Ok(Status::InReview),
        (Action::Approve, Status::InReview) => Ok(Status::Approved),
        (Action::Reject(reason), Status::InReview) if reason.trim().is_empty() => {
            Err(Failure::new(what, "no reason is given").hint("say why, so that it can be repaired"))
        }
        (Action::Reject(_), Status::InReview) => Ok(Status::Rejected),
        (Action::Retire | Action::Edit(_) | Action::Illustrate(_), Status::Retired) => {
            Err(Failure::new(what, "it is retired").hint("draft it anew"))
        }
        (Action::Retire, _) => Ok(Status::Retired),
        (Action::Edit(_), _) => Ok(if passes { Status::Checked } else { Status::Draft }),
        // The words stand as they were checked.
        (Action::Illustrate(_), Status::Draft) => Ok(Status::Draft),
        (Action::Illustrate(_), _) => Ok(Status::Checked),
        (_, status) => {
            let needed = if *action == Action::Submit { Status::Checked } else { Status::InReview };
            let hint = format!("it must be {} first", needed.name());
            Err(Failure::new(what, format!("it is {}", status.name())).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_way_of_the_queue_leads_to_approval() {
        let authors = ["mei".to_owned()];
        let step = |status, action: Action, who: &str| next(status, &action, who, &authors, true);
        assert_eq!(step(Status::Checked, Action::Submit, "mei").unwrap(), Status::InReview);
        assert_eq!(step(Status::InReview, Action::Approve, "tom").unwrap(), Status::Approved);
        let own = step(Status::InReview, Action::Approve, " Mei").unwrap_err();
        assert!(own.why.contains("one's own"), "{own}");
        for status in Status::ALL {
            let approved = step(status, Action::Approve, "tom");
            assert_eq!(approved.is_ok(), status == Status::InReview, "{status:?}");
            assert_eq!(step(status, Action::Submit, "mei").is_ok(), status == Status::Checked);
            let edited = step(status, Action::Edit("x".into()), "tom");
            assert_eq!(edited.ok(), (status != Status::Retired).then_some(Status::Checked));
        }
        let blocked = next(Status::Approved, &Action::Edit("x".into()), "tom", &authors, false).unwrap();
        assert_eq!(blocked, Status::Draft, "words that do not pass are a draft again");
        assert!(step(Status::InReview, Action::Reject(" ".into()), "tom").is_err());
        assert!(step(Status::InReview, Action::Approve, "  ").is_err());
    }
}
