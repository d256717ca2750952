//! What is known of one user, and where, when and for whom does one ad work?

use super::grouping::{Derived, Groups, values_of};
use super::measures::Measures;
use super::{SegmentQuery, SegmentTable, segments_predicted};
use crate::base::{Failure, Result};
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::memo::Memo;
use crate::data::schema::{ColumnType, Role};
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::{Estimate, Rate};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Subjects that are listed.
const LISTED: usize = 2_000;
/// Words that are told, and rows that one must stand in.
const WORDS: usize = 15;
const MIN_WORD_ROWS: f64 = 3.0;
/// Rows of a history that are told.
const HISTORY: usize = 200;
/// Columns that a subject is told by.
const COLUMNS: usize = 6;
const DAY_MILLIS: i64 = 86_400_000;
/// Who is first seen in the last days of a log is new: models have learnt nothing of them.
pub const NEW_DAYS: i64 = 7;

/// Users or ads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SubjectKind {
    /// Who saw it.
    #[default]
    User,
    /// What was shown.
    Ad,
}

impl SubjectKind {
    fn role(self) -> Role {
        match self {
            Self::User => Role::User,
            Self::Ad => Role::Ad,
        }
    }

    /// The column that names them.
    ///
    /// # Errors
    /// The log names none.
    pub fn column(self, log: &LogFrame) -> Result<&str> {
        let found = log.schema.with_role(self.role()).map(|column| column.name.as_str());
        found.ok_or_else(|| {
            Failure::new("cannot list them", format!("no column has the role {}", self.role()))
                .hint("give the column with their names that role in the Data panel")
        })
    }
}

/// One user or ad of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Clicks, impressions and click rate.
    pub rate: Rate,
    /// When it was first seen, in milliseconds since 1970; `None` where the log has no time.
    pub first: Option<i64>,
    /// True when it was first seen in the last [`NEW_DAYS`] days of a longer log.
    pub is_new: bool,
}

/// The users or ads of a log, most impressions first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SubjectList {
    /// Users or ads.
    pub kind: SubjectKind,
    /// The first of them.
    pub listed: Vec<Listed>,
    /// How many there are.
    pub count: usize,
    /// How many of them are new.
    pub new: usize,
    /// False where the log does not say what was clicked: rates mean nothing then.
    pub has_outcome: bool,
}

/// What is known of one.
#[derive(Debug, Clone, PartialEq)]
pub struct SubjectProfile {
    /// Users or ads.
    pub kind: SubjectKind,
    /// Its name, rate and age.
    pub listed: Listed,
    /// The rate of all rows.
    pub everybody: Rate,
    /// False where the log does not say what was clicked: rates mean nothing then.
    pub has_outcome: bool,
    /// Its rows by the columns that say most of it: categories, slots and campaigns that differ among its rows.
    pub by: Vec<SegmentTable>,
    /// Week by week for each value of the first of these columns: how its interest moves.
    pub by_week: Option<SegmentTable>,
    /// Words of the texts in its rows, most clicked first; empty where the log has no texts.
    pub words: Vec<WordRate>,
    /// Its last rows, newest first: time, what stands in the columns of `by`, clicked or not, predicted probability.
    pub history: Vec<Seen>,
}

/// A word of the texts that a user saw, or that an ad came with.
#[derive(Debug, Clone, PartialEq)]
pub struct WordRate {
    /// The word; of Chinese text, two signs that stand together.
    pub word: String,
    /// Clicks and impressions of the rows whose text has it.
    pub rate: Rate,
}

/// One row of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Number of the row in the log, from 0.
    pub row: u32,
    /// When, in milliseconds since 1970.
    pub at: Option<i64>,
    /// Values in the columns of the profile.
    pub values: Vec<String>,
    /// Clicked or not; `None` where the log does not say.
    pub clicked: Option<bool>,
    /// What the model predicted.
    pub predicted: Option<f32>,
    /// Where one more member of an ensemble would put it, 95 %.
    pub interval: Option<Estimate>,
}

/// Lists the users or ads.
///
/// # Errors
/// The log names none; a cancel.
pub fn list(log: &LogFrame, kind: SubjectKind, context: &JobContext) -> Result<SubjectList> {
    let all = everyone(log, kind, context)?;
    let mut order: Vec<&Listed> = all.iter().collect();
    order.sort_by(|a, b| b.rate.trials.total_cmp(&a.rate.trials));
    Ok(SubjectList {
        kind,
        listed: order.into_iter().take(LISTED).cloned().collect(),
        count: all.len(),
        new: all.iter().filter(|one| one.is_new).count(),
        has_outcome: Measures::of(log)?.outcome.is_some(),
    })
}

/// All users or ads in the order of their codes, counted once for a reading of the log.
fn everyone(log: &LogFrame, kind: SubjectKind, context: &JobContext) -> Result<Arc<Vec<Listed>>> {
    Memo::of(log, &format!("subjects {kind:?}"), || counted(log, kind, context))
}

fn counted(log: &LogFrame, kind: SubjectKind, context: &JobContext) -> Result<Vec<Listed>> {
    context.stage("counting");
    let keyed = values_of(log, kind.column(log)?)?;
    let measures = Measures::of(log)?;
    let times = calendar(log)?;
    let last = times.as_ref().and_then(|times| times.iter().flatten().copied().max());
    let begin = times.as_ref().and_then(|times| times.iter().flatten().copied().min());
    let mut sums = vec![(0.0, 0.0, None::<i64>); keyed.values.len()];
    for row in 0..log.rows() {
        let Some(sum) = sums.get_mut(keyed.codes.get(row) as usize) else { continue };
        let counted = measures.of_row(row);
        sum.0 += counted.clicks;
        sum.1 += counted.impressions;
        if let Some(at) = times.as_ref().and_then(|times| times[row]) {
            sum.2 = Some(sum.2.map_or(at, |first| first.min(at)));
        }
    }
    context.check()?;
    let from = last.zip(begin).and_then(|(last, begin)| {
        let from = last - NEW_DAYS * DAY_MILLIS;
        (begin < from).then_some(from)
    });
    let is_new = |first: Option<i64>| first.zip(from).is_some_and(|(first, from)| first >= from);
    let listed = keyed.values.iter().zip(sums).map(|(name, (clicks, shown, first))| Listed {
        name: name.clone(),
        rate: Rate::wilson(clicks, shown),
        first,
        is_new: is_new(first),
    });
    Ok(listed.collect())
}

/// Tells of one user or ad, with what a model predicts for each row of the log where that is known.
///
/// # Errors
/// Nobody of that name; a cancel.
pub fn profile(
    log: &LogFrame,
    kind: SubjectKind,
    name: &str,
    predicted: Option<&[f32]>,
    context: &JobContext,
) -> Result<SubjectProfile> {
    let column = kind.column(log)?.to_owned();
    let keyed = values_of(log, &column)?;
    let code = keyed.values.iter().position(|known| known == name).ok_or_else(|| {
        Failure::new("cannot tell of it", format!("no row has '{name}' in '{column}'"))
            .hint("the name as the log writes it, whole")
    })? as u32;
    let rows: Vec<u32> =
        (0..log.rows() as u32).filter(|row| keyed.codes.get(*row as usize) == code).collect();
    let filter = Segment::equals(&column, name);
    let ask = |by: Vec<String>| {
        let query = SegmentQuery { by, filter: filter.clone(), ..SegmentQuery::default() };
        segments_predicted(log, &query, predicted, context)
    };
    let names = telling(log, &rows)?;
    let by: Vec<SegmentTable> = names.iter().map(|name| ask(vec![name.clone()])).collect::<Result<_>>()?;
    let by_week = match names.first() {
        Some(first) if Derived::Week.is_told(log) => {
            Some(ask(vec![Derived::Week.name().to_owned(), first.clone()])?)
        }
        _ => None,
    };
    let measures = Measures::of(log)?;
    let all = everyone(log, kind, context)?;
    let listed = all
        .get(code as usize)
        .cloned()
        .ok_or_else(|| Failure::new("cannot tell of it", "it was not counted"))?;
    Ok(SubjectProfile {
        kind,
        listed,
        has_outcome: measures.outcome.is_some(),
        everybody: measures.rate_of(0..log.rows()),
        words: words(log, &rows, &measures)?,
        history: history(log, &rows, &names, &measures, predicted)?,
        by,
        by_week,
    })
}

/// The columns that a subject is told by: those whose values differ among its rows, few enough to be read.
fn telling(log: &LogFrame, rows: &[u32]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for column in &log.schema.columns {
        let is_told = matches!(column.role, Role::Categorical | Role::Slot | Role::Campaign);
        if !is_told || column.kind == ColumnType::List {
            continue;
        }
        let groups = Groups::of(log, &column.name)?;
        let mut codes: Vec<u32> = rows.iter().map(|row| groups.code(*row as usize)).collect();
        codes.sort_unstable();
        codes.dedup();
        if codes.len() > 1 {
            names.push(column.name.clone());
        }
    }
    // Columns of the other side follow those of its own in a log; a word such as category says what it is about.
    let is_topic = |name: &str| {
        ["categor", "topic", "genre", "interest", "类", "話題"].iter().any(|part| name.contains(part))
    };
    names.sort_by_key(|name: &String| !is_topic(&name.to_lowercase()));
    names.truncate(COLUMNS);
    Ok(names)
}

fn calendar(log: &LogFrame) -> Result<Option<Vec<Option<i64>>>> {
    match log.schema.with_role(Role::Time) {
        Some(time) if cells::is_calendar_time(log, &time.name)? => Ok(Some(cells::times(log, &time.name)?)),
        _ => Ok(None),
    }
}

/// Words of the texts in some rows that stand in enough of them, most clicked first.
fn words(log: &LogFrame, rows: &[u32], measures: &Measures) -> Result<Vec<WordRate>> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let texts = log.schema.columns.iter();
    for column in texts.filter(|column| column.role == Role::Text && column.kind == ColumnType::Text) {
        let keyed = values_of(log, &column.name)?;
        for row in rows {
            let code = keyed.codes.get(*row as usize);
            let Some(text) = keyed.values.get(code as usize) else { continue };
            let counted = measures.of_row(*row as usize);
            for word in words_of(text) {
                let sum = sums.entry(word).or_default();
                sum.0 += counted.clicks;
                sum.1 += counted.impressions;
            }
        }
    }
    let mut found: Vec<WordRate> = (sums.into_iter())
        .filter(|(_, (_, shown))| *shown >= MIN_WORD_ROWS)
        .map(|(word, (clicks, shown))| WordRate { word, rate: Rate::wilson(clicks, shown) })
        .collect();
    let order = |one: &WordRate| (one.rate.successes, one.rate.low);
    found.sort_by(|a, b| order(b).partial_cmp(&order(a)).unwrap_or(std::cmp::Ordering::Equal));
    found.truncate(WORDS);
    Ok(found)
}

/// The words of a text, each once, in small letters: three letters or more, and of Chinese text every two signs that
/// stand together.
fn words_of(text: &str) -> BTreeSet<String> {
    let is_sign = |letter: char| ('\u{3400}'..='\u{9fff}').contains(&letter);
    let mut words = BTreeSet::new();
    for part in text.split(|letter: char| !letter.is_alphanumeric()) {
        let letters: Vec<char> = part.to_lowercase().chars().collect();
        for run in letters.chunk_by(|a, b| is_sign(*a) == is_sign(*b)) {
            if is_sign(run[0]) {
                words.extend(run.windows(2).map(|pair| pair.iter().collect::<String>()));
            } else if run.len() > 2 && run.iter().any(|letter| letter.is_alphabetic()) {
                words.insert(run.iter().collect());
            }
        }
    }
    words
}

fn history(
    log: &LogFrame,
    rows: &[u32],
    names: &[String],
    measures: &Measures,
    predicted: Option<&[f32]>,
) -> Result<Vec<Seen>> {
    let times = calendar(log)?;
    let at = |row: u32| times.as_ref().and_then(|times| times[row as usize]);
    let groups: Vec<Groups> = names.iter().map(|name| Groups::of(log, name)).collect::<Result<_>>()?;
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| std::cmp::Reverse((at(*row), *row)));
    rows.truncate(HISTORY);
    let seen = |row: u32| Seen {
        row,
        at: at(row),
        values: groups.iter().map(|group| group.name(group.code(row as usize))).collect(),
        clicked: measures.outcome.as_ref().map(|_| measures.of_row(row as usize).clicks > 0.0),
        predicted: predicted.and_then(|predicted| predicted.get(row as usize).copied()),
        interval: None,
    };
    Ok(rows.into_iter().map(seen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{DataType, IntoColumn, NamedFrom, Series, TimeUnit, df};

    fn log() -> LogFrame {
        let mut frame = df!(
            "user" => ["甲", "乙", "甲", "甲", "丙"],
            "ad" => ["x", "x", "y", "z", "x"],
            "category" => ["sport", "sport", "food", "sport", "sport"],
            "click" => [1i64, 0, 0, 1, 0],
        )
        .unwrap();
        let stamps = [0, 1, 5 * DAY_MILLIS, 20 * DAY_MILLIS, 19 * DAY_MILLIS];
        let time = Series::new("time".into(), stamps)
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .unwrap();
        frame.with_column(time.into_column()).unwrap();
        let roles = [
            ("user", Role::User),
            ("ad", Role::Ad),
            ("category", Role::Categorical),
            ("click", Role::Label),
            ("time", Role::Time),
        ];
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    #[test]
    fn users_and_ads_are_listed_and_the_new_ones_marked() {
        let users = list(&log(), SubjectKind::User, &JobContext::detached()).unwrap();
        assert_eq!((users.listed[0].name.as_str(), users.listed[0].rate), ("甲", Rate::wilson(2.0, 3.0)));
        assert_eq!((users.count, users.new), (3, 1));
        assert!(users.listed.iter().any(|one| one.name == "丙" && one.is_new));
        let ads = list(&log(), SubjectKind::Ad, &JobContext::detached()).unwrap();
        assert!(ads.listed.iter().any(|one| one.name == "z" && one.is_new));
        let bare = LogFrame::from_frame(df!("a" => [1i64]).unwrap(), &[]).unwrap();
        assert!(list(&bare, SubjectKind::User, &JobContext::detached()).unwrap_err().hint.contains("role"));
    }

    #[test]
    fn words_of_texts_are_counted_with_their_clicks() {
        let found: Vec<String> = words_of("New RUNNING shoes, 跑步鞋 50% of").into_iter().collect();
        assert_eq!(found, ["new", "running", "shoes", "步鞋", "跑步"]);
        let frame = df!(
            "user" => ["a"; 6],
            "title" => ["red shoes", "red shoes", "Red coat", "tea", "tea", "red hat"],
            "click" => [1i64, 1, 0, 0, 0, 0],
        )
        .unwrap();
        let roles = [("user", Role::User), ("title", Role::Text), ("click", Role::Label)];
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let found = profile(&log, SubjectKind::User, "a", None, &JobContext::detached()).unwrap();
        // "shoes" and "tea" stand in two rows only.
        assert_eq!(found.words, [WordRate { word: "red".into(), rate: Rate::wilson(2.0, 4.0) }]);
    }

    #[test]
    fn a_profile_tells_interests_history_and_predictions() {
        let scores = [0.5, 0.1, 0.2, 0.75, 0.1];
        let found = profile(&log(), SubjectKind::User, "甲", Some(&scores), &JobContext::detached()).unwrap();
        assert_eq!(found.everybody, Rate::wilson(2.0, 5.0));
        assert_eq!(found.by[0].by, ["category"]);
        assert_eq!((found.by[0].rows[0].values[0].as_str(), found.by[0].rows[0].rate.trials), ("sport", 2.0));
        let last = &found.history[0];
        assert_eq!((last.row, last.clicked, last.predicted), (3, Some(true), Some(0.75)));
        assert_eq!(found.by_week.unwrap().rows.len(), 3, "three weeks, one category each");
        let failure = profile(&log(), SubjectKind::Ad, "w", None, &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains("'w' in 'ad'"), "{failure}");
    }
}
