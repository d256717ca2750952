//! What does the log itself say about clicks? Replay of impressions whose ads were chosen by a known chance.
//!
//! A page is a row of the log: its user, its moment, the ad that was shown there and the propensity `p` with which
//! the logging policy chose it. Where the auction picks that very ad, the logged click is what would have
//! happened, and the page counts with probability `m / p`, `m` the smallest propensity of the audience. Where the
//! auction sells nothing it counts with probability `m`. All others are passed over as if they had never been asked
//! for. So every page counts with the same probability whatever the auction picks, and those that do are an unbiased
//! sample of the auction's own pages (replay of Li et al. 2011 for uniform chance, rejection sampling of Mandel
//! et al. 2016 for known propensities). Without propensities nothing of the kind is true, and it is refused.

use super::audience::purpose;
use crate::base::rng::keyed_uniform;
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::infer;
use crate::data::outcome::Outcome;
use crate::data::{LogFrame, Role};
use std::collections::HashMap;

/// What the log says about each pooled row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replay {
    /// Column of the score matrix of the ad that was shown; [`Replay::ANOTHER`] for one that nobody bids with.
    pub ads: Vec<u32>,
    /// Whether it was clicked.
    pub clicked: Vec<bool>,
    /// Whether the click converted; empty where the log does not say.
    pub converted: Vec<bool>,
    /// The probability with which it was chosen, in `(0, 1]`.
    pub propensities: Vec<f64>,
    /// The smallest of them: the share of pages that count.
    pub share: f64,
}

/// Pages that count, in one world.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Coverage {
    /// Pages that count.
    pub pages: u64,
    /// As many as would count if the log covered every ad that the auction picks.
    pub expected: f64,
}

impl Coverage {
    /// True when so few pages count that chance does not explain it: the auction picks ads that the log does not show
    /// to this audience, and the figures do not hold for it.
    pub fn is_short(&self) -> bool {
        (self.pages as f64) < self.expected - 4.0 * self.expected.sqrt()
    }
}

/// Fewer pages than this that would count show nothing.
const FEWEST_PAGES: f64 = 30.0;

impl Replay {
    /// An ad that no campaign has.
    pub const ANOTHER: u32 = u32::MAX;

    /// Checks what the rows say.
    ///
    /// # Errors
    /// Lists of different lengths, a propensity that is none, or one so small that next to nothing would count.
    pub fn new(
        ads: Vec<u32>,
        clicked: Vec<bool>,
        converted: Vec<bool>,
        propensities: Vec<f64>,
    ) -> Result<Self> {
        let refuse = |why: String| Failure::new("cannot replay the log", why);
        let rows = ads.len();
        let fits = |len: usize| len == rows;
        let knows = converted.is_empty() || fits(converted.len());
        if rows == 0 || !fits(clicked.len()) || !fits(propensities.len()) || !knows {
            return Err(refuse("its rows, clicks and propensities do not fit".to_owned()));
        }
        if let Some((row, p)) = propensities.iter().enumerate().find(|(_, p)| !(**p > 0.0 && **p <= 1.0)) {
            let why = if *p == 0.0 {
                "an ad was shown there whose propensity says that it never is".to_owned()
            } else {
                format!("its propensity of {p} is no probability")
            };
            return Err(refuse(why)
                .at(format!("row {} of the audience", row + 1))
                .hint("correct the column, or leave such rows out with the audience's segment"));
        }
        let share = propensities.iter().copied().fold(1.0, f64::min);
        let expected = share * rows as f64;
        if expected < FEWEST_PAGES {
            let why = format!(
                "the rarest choice had a chance of {share:.2e}, so of {rows} rows about {expected:.1} would count; \
                 at least {FEWEST_PAGES} are needed"
            );
            return Err(refuse(why).hint(
                "replay more rows (\"requests\"), leave out the rarest with the audience's segment, or take the clicks \
                 from the model",
            ));
        }
        Ok(Self { ads, clicked, converted, propensities, share })
    }

    /// What the given rows of a log say, for ads in the order of the score matrix. `column` names the propensities;
    /// `None` takes the column whose name says so.
    ///
    /// # Errors
    /// A log without ads, clicks or propensities, rows that stand for several impressions; what [`Replay::new`] answers.
    pub fn of_log(log: &LogFrame, rows: &[u32], ads: &[String], column: Option<&str>) -> Result<Self> {
        let column = propensity_column(log, column)?;
        let outcome = outcome_of(log)?;
        let propensities = cells::numbers(log, column)?;
        let shown = log.schema.with_role(Role::Ad).ok_or_else(|| {
            Failure::new("cannot replay the log", "no column of the log has the role ad")
                .hint("give the column with ad or item ids the role ad")
        })?;
        let shown = cells::coded(log, &shown.name)?;
        let places: HashMap<&str, u32> = ads.iter().map(String::as_str).zip(0..).collect();
        let place_of: Vec<u32> = (shown.values.iter())
            .map(|ad| places.get(ad.as_str()).copied().unwrap_or(Self::ANOTHER))
            .collect();
        let of_rows = || rows.iter().map(|row| *row as usize);
        Self::new(
            of_rows()
                .map(|row| match shown.codes[row] {
                    NO_CODE => Self::ANOTHER,
                    code => place_of[code as usize],
                })
                .collect(),
            of_rows().map(|row| outcome.label[row] > 0.5).collect(),
            if outcome.conversion.is_empty() {
                Vec::new()
            } else {
                of_rows().map(|row| outcome.conversion[row] > 0.0).collect()
            },
            of_rows().map(|row| propensities[row]).collect(),
        )
    }

    /// Whether a page counts whose slot went to `ad`, or stayed empty.
    pub(super) fn counts(&self, seed: u64, request: u64, row: usize, ad: Option<u32>) -> bool {
        let chance = match ad {
            None => self.share,
            Some(ad) if ad == self.ads[row] => self.share / self.propensities[row],
            Some(_) => return false,
        };
        keyed_uniform(seed, purpose::REPLAY, request) < chance
    }
}

/// Rows of `rows` whose outcome the log knows.
///
/// # Errors
/// A log without clicks, or whose rows stand for several impressions.
pub fn known_rows(log: &LogFrame, rows: Vec<u32>) -> Result<Vec<u32>> {
    let outcome = outcome_of(log)?;
    Ok(rows.into_iter().filter(|row| outcome.label[*row as usize].is_finite()).collect())
}

pub(super) fn outcome_of(log: &LogFrame) -> Result<Outcome> {
    let refuse = |why: &str| Failure::new("cannot replay the log", why).at(log.source.path.display());
    if log.schema.with_role(Role::Weight).is_some() {
        return Err(
            refuse("its rows stand for several impressions").hint("open a log with one row an impression")
        );
    }
    Outcome::read(log)?
        .ok_or_else(|| refuse("no column says what was clicked").hint("give the click column the role label"))
}

fn propensity_column<'a>(log: &'a LogFrame, wanted: Option<&'a str>) -> Result<&'a str> {
    if let Some(wanted) = wanted {
        return log.schema.column(wanted).map(|column| column.name.as_str());
    }
    infer::propensity_column(&log.schema).map(|column| column.name.as_str()).ok_or_else(|| {
        Failure::new(
            "cannot replay the log",
            "it does not say with which probability each ad was chosen, so the pages on which it shows the auction's \
             own ad are no fair sample",
        )
        .at("clicks")
        .hint(
            "name the column in \"propensity\" if there is one (1 / number of ads for a log whose ads were drawn \
             evenly), or take the clicks from the model",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propensities_that_are_none_are_told_with_their_row() {
        let with = |p: f64| {
            let mut propensities = vec![0.5; 100];
            propensities[41] = p;
            Replay::new(vec![0; 100], vec![false; 100], Vec::new(), propensities)
        };
        assert_eq!(with(0.4).unwrap().share, 0.4);
        let zero = with(0.0).unwrap_err();
        assert!(zero.place.contains("row 42") && zero.why.contains("never"), "{zero}");
        for wrong in [-0.1, 1.5, f64::NAN] {
            assert!(with(wrong).unwrap_err().why.contains("no probability"));
        }
        let rare = with(1e-6).unwrap_err();
        assert!(rare.why.contains("rarest choice"), "{rare}");
    }

    #[test]
    fn too_few_pages_are_told_from_bad_luck() {
        assert!(!Coverage { pages: 80, expected: 100.0 }.is_short());
        assert!(Coverage { pages: 50, expected: 100.0 }.is_short());
    }
}
