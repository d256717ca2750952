//! Which words does a log or an export hold, and how did each do, audience by audience?
//!
//! Clicks of a log's ad are its words' own. A row of an export may hold several texts (the headlines of a responsive ad): what
//! was shown of them nobody said, so each gets the clicks of its rows with a mark of how many texts they are shared by.

use crate::adcopy::brief::Language;
use crate::adcopy::library::{Item, Performance};
use crate::base::{Failure, Result};
use crate::data::cells::{NO_CODE, coded};
use crate::data::outcome::Outcome;
use crate::data::query::people::people;
use crate::data::query::{SegmentQuery, matching_rows, segments};
use crate::data::{LogFrame, Role};
use crate::jobs::JobContext;
use crate::market::campaigns::creatives;
use crate::metrics::Rate;
use std::collections::BTreeMap;

/// Audiences of one column at most, the largest ones.
const MOST: usize = 24;

/// What was found, with what a person should know of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The texts, each with how it did.
    pub items: Vec<Item>,
    /// What was left out, in words.
    pub notes: Vec<String>,
}

/// For whom performance is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audiences {
    /// Columns whose values are audiences each.
    pub by: Vec<String>,
    /// People that an audience must hold; impressions, where the log names no users.
    pub k: usize,
}

/// An audience with its rows.
struct Audience {
    name: String,
    rows: Vec<u32>,
}

impl Audiences {
    /// Everybody, then the values of each column that hold enough people.
    fn of(&self, log: &LogFrame, notes: &mut Vec<String>, context: &JobContext) -> Result<Vec<Audience>> {
        let mut all = vec![Audience { name: String::new(), rows: (0..log.rows() as u32).collect() }];
        let has_users = log.schema.with_role(Role::User).is_some();
        for column in &self.by {
            context.check()?;
            let query = SegmentQuery { by: vec![column.clone()], ..SegmentQuery::default() };
            let table = segments(log, &query, context)?;
            let mut small = 0;
            for row in table.rows.iter().take(MOST) {
                let size = match has_users {
                    true => people(log, &row.segment)?.count as f64,
                    false => row.rate.trials,
                };
                if size < self.k as f64 {
                    small += 1;
                    continue;
                }
                all.push(Audience { name: row.segment.to_string(), rows: matching_rows(log, &row.segment)? });
            }
            if small > 0 {
                notes.push(format!("{small} values of {column} hold fewer than {} and are left out", self.k));
            }
            if table.rows.len() > MOST {
                notes.push(format!("of {} values of {column} the {MOST} largest are told", table.rows.len()));
            }
        }
        Ok(all)
    }
}

/// What a file holds: the texts of an export's columns, or the ads of a log.
///
/// # Errors
/// As [`of_log`], where it has no column of texts either.
pub fn of_file(log: &LogFrame, audiences: &Audiences, context: &JobContext) -> Result<Found> {
    let found = of_export(log, audiences, context)?;
    if found.items.is_empty() { of_log(log, audiences, context) } else { Ok(found) }
}

/// Clicks and impressions of each ad among some rows; nothing where the log does not say what was clicked.
///
/// # Errors
/// The log names no ads.
pub fn rates_of_ads(log: &LogFrame, audience: &str, rows: &[u32]) -> Result<BTreeMap<String, Performance>> {
    let what = "cannot tell how the ads did";
    let column = log.schema.with_role(Role::Ad).ok_or_else(|| {
        Failure::new(what, "no column has the role ad").hint("give the column with ad ids that role")
    })?;
    let ads = coded(log, &column.name)?;
    let Some(outcome) = Outcome::read(log)? else { return Ok(BTreeMap::new()) };
    let mut by_ad: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    // A row without a known outcome says nothing.
    for row in
        rows.iter().filter(|row| outcome.label.get(**row as usize).is_some_and(|label| label.is_finite()))
    {
        if let Some(code) = ads.codes.get(*row as usize) {
            by_ad.entry(*code).or_default().push(*row);
        }
    }
    let told = by_ad.into_iter().filter_map(|(code, rows)| {
        let name = ads.values.get(code as usize)?.clone();
        let (clicks, shown) = outcome.totals(&rows);
        let rate = Rate::wilson(clicks, shown);
        let did = Performance { audience: audience.to_owned(), rate, ..Performance::default() };
        (shown > 0.0).then_some((name, did))
    });
    Ok(told.collect())
}

/// The log's ads as creatives of a library, each with how it did.
///
/// # Errors
/// The log names no ads, or none with words; a column that it lacks; a cancel.
pub fn of_log(log: &LogFrame, audiences: &Audiences, context: &JobContext) -> Result<Found> {
    let mut found = Found::default();
    let mut rates: BTreeMap<String, Vec<Performance>> = BTreeMap::new();
    for audience in audiences.of(log, &mut found.notes, context)? {
        for (ad, did) in rates_of_ads(log, &audience.name, &audience.rows)? {
            rates.entry(ad).or_default().push(did);
        }
    }
    let told = creatives(log)?;
    let told = told.iter().filter(|creative| !creative.text.trim().is_empty());
    found.items = told
        .map(|creative| Item {
            product: if creative.campaign.is_empty() {
                creative.ad.clone()
            } else {
                creative.campaign.clone()
            },
            language: Language::of(&creative.text),
            text: creative.text.clone(),
            tags: [&creative.category, &creative.advertiser]
                .into_iter()
                .filter(|tag| !tag.is_empty())
                .cloned()
                .collect(),
            ad: creative.ad.clone(),
            performance: rates.remove(&creative.ad).unwrap_or_default(),
            ..Item::default()
        })
        .collect();
    if found.items.is_empty() {
        return Err(Failure::new("cannot import the ads", "the log has no words of them")
            .hint("join a table with the words: --join creatives.csv:ad_id, and the role text"));
    }
    Ok(found)
}

/// Each headline and description of an ad platform's export as a creative, with the clicks of its rows; none where no column
/// is called so.
///
/// # Errors
/// Cells that cannot be read; a column that it lacks; a cancel.
pub fn of_export(log: &LogFrame, audiences: &Audiences, context: &JobContext) -> Result<Found> {
    let mut found = Found::default();
    let names: Vec<&str> =
        log.schema.columns.iter().map(|column| column.name.as_str()).filter(|name| is_words(name)).collect();
    if names.is_empty() {
        return Ok(found);
    }
    // Rows of each text, in the order in which texts are met, and how many texts each row holds.
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut texts: Vec<(Item, Vec<u32>)> = Vec::new();
    let mut held = vec![0usize; log.rows()];
    for name in names {
        let cells = coded(log, name)?;
        let mut own: Vec<Option<usize>> = Vec::new();
        for text in cells.values.iter().map(|text| text.trim()) {
            own.push((!matches!(text, "" | "--")).then(|| {
                *places.entry(text.to_owned()).or_insert_with(|| {
                    let tags =
                        vec![name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned()];
                    let item =
                        Item { text: text.to_owned(), language: Language::of(text), tags, ..Item::default() };
                    texts.push((item, Vec::new()));
                    texts.len() - 1
                })
            }));
        }
        for (row, code) in cells.codes.iter().enumerate().filter(|(_, code)| **code != NO_CODE) {
            if let Some(place) = own.get(*code as usize).copied().flatten() {
                held[row] += 1;
                let rows = &mut texts[place].1;
                if rows.last() != Some(&(row as u32)) {
                    rows.push(row as u32);
                }
            }
        }
    }
    if let Some(outcome) = Outcome::read(log)? {
        for audience in audiences.of(log, &mut found.notes, context)? {
            let mut inside = vec![false; log.rows()];
            audience.rows.iter().for_each(|row| inside[*row as usize] = true);
            for (item, rows) in &mut texts {
                let own: Vec<u32> = rows.iter().copied().filter(|row| inside[*row as usize]).collect();
                let known: Vec<u32> =
                    own.into_iter().filter(|row| outcome.label[*row as usize].is_finite()).collect();
                let (clicks, shown) = outcome.totals(&known);
                if shown > 0.0 {
                    let shared = known.iter().map(|row| held[*row as usize]).max().unwrap_or(1);
                    item.performance.push(Performance {
                        audience: audience.name.clone(),
                        rate: Rate::wilson(clicks, shown),
                        shared,
                        simulated: false,
                    });
                }
            }
        }
    } else {
        found.notes.push("the export does not say what was clicked".to_owned());
    }
    found.items = texts.into_iter().map(|(item, _)| item).collect();
    Ok(found)
}

/// True for a column of headlines, descriptions or the like.
fn is_words(name: &str) -> bool {
    const STARTS: [&str; 8] =
        ["headline", "description", "long headline", "primary text", "ad title", "ad text", "标题", "描述"];
    const WHOLE: [&str; 3] = ["asset", "asset text", "素材文字"];
    let name = name.to_lowercase().replace('_', " ");
    (STARTS.iter().any(|start| name.starts_with(start)) || WHOLE.contains(&name.as_str()))
        && !name.contains("position")
}
