//! What is a person interested in, by the texts that they searched, read and clicked, and which ads are near to that?
//!
//! Of text columns that come with an ad the rows count that were clicked; of all others (searches, pages, titles) every row.
//! Each text counts half after every half-life. What is near is told by the inner product of vectors, word by word.

use crate::base::{Failure, Result};
use crate::data::cells::{self, Coded, NO_CODE};
use crate::data::encode::Side;
use crate::data::outcome::Outcome;
use crate::data::sides::{Keys, side_of};
use crate::data::{LogFrame, Role};
use crate::jobs::JobContext;
use crate::language::topics::{Interests, Seen, Topics};
use crate::language::vectors::{inner_product, to_unit};
use crate::language::{Encoder, EncoderOptions, WordShare};
use serde::Serialize;
use std::collections::BTreeSet;

/// Days after which a text counts half, unless a person says otherwise.
pub const USUAL_HALF_LIFE: f64 = 14.0;
const DAY_MILLIS: f64 = 86_400_000.0;
/// Distinct texts that the encoder is fitted on at most, and those of the person that are told.
const FITTED: usize = 5_000;
const TOLD: usize = 30;
/// Ads that are near.
const NEAR: usize = 5;
const WHAT: &str = "cannot tell interests";

/// A text of a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Text {
    /// Its column.
    pub column: String,
    /// The text.
    pub text: String,
    /// Days before the end of the log; 0 where the log has no time.
    pub days_ago: f64,
    /// How much it counts: 1 at the end of the log, 1/2 a half-life before.
    pub weight: f64,
}

/// An ad whose text is near.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Near {
    /// Its name.
    pub ad: String,
    /// Its text.
    pub text: String,
    /// Cosine with the interests.
    pub cosine: f32,
    /// What each word adds to it.
    pub words: Vec<WordShare>,
}

/// What a person is interested in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToldInterests {
    /// Who.
    pub user: String,
    /// Days after which a text counts half.
    pub half_life: f64,
    /// Topics and vector.
    pub interests: Interests,
    /// The texts that count most.
    pub texts: Vec<Text>,
    /// How many there are.
    pub count: usize,
    /// Which columns they are from, and how those count.
    pub columns: Vec<String>,
    /// Ads whose texts are nearest, of those that the person did not click.
    pub near: Vec<Near>,
}

/// A column of texts.
struct TextColumn {
    name: String,
    cells: Coded,
    /// True where it comes with the ad.
    is_of_ad: bool,
}

/// Tells of one person.
///
/// # Errors
/// Nobody of that name, a log without users or texts, a half-life that is no positive number, or a cancel.
pub fn interests_of(
    log: &LogFrame,
    user: &str,
    half_life: f64,
    topics: &Topics,
    context: &JobContext,
) -> Result<ToldInterests> {
    let named = |role: Role| log.schema.with_role(role).map(|column| column.name.as_str());
    let user_column = named(Role::User).ok_or_else(|| {
        Failure::new(WHAT, "no column has the role user").hint("give the column with users that role")
    })?;
    let users = cells::coded(log, user_column)?;
    let code = users.values.iter().position(|name| name == user).ok_or_else(|| {
        Failure::new(WHAT, format!("the log has no '{user}'")).hint("adloupe interests FILE lists some")
    })? as u32;
    let rows: Vec<u32> =
        (0u32..).zip(users.codes.iter()).filter(|(_, known)| **known == code).map(|(row, _)| row).collect();
    let columns = text_columns(log, &users)?;
    let times = named(Role::Time).map(|name| cells::times(log, name)).transpose()?;
    let end = times.as_ref().and_then(|times| times.iter().flatten().copied().max());
    let outcome = Outcome::read(log)?.unwrap_or_default();
    let clicked = |row: u32| outcome.label.get(row as usize).is_some_and(|label| *label > 0.0);
    let days_ago = |row: u32| {
        let at = times.as_ref().and_then(|times| times[row as usize]);
        end.zip(at).map_or(0.0, |(end, at)| (end - at) as f64 / DAY_MILLIS)
    };
    let mut texts = Vec::new();
    for column in &columns {
        for row in rows.iter().filter(|row| !column.is_of_ad || clicked(**row)) {
            let Some(text) = column.text(*row) else { continue };
            let days_ago = days_ago(*row);
            let weight = 0.5f64.powf(days_ago.max(0.0) / half_life);
            texts.push(Text { column: column.name.clone(), text: text.to_owned(), days_ago, weight });
        }
    }
    context.check()?;
    let encoder = fitted(&columns, &texts, context)?;
    let seen: Vec<Seen> =
        texts.iter().map(|text| Seen { text: text.text.clone(), days_ago: text.days_ago }).collect();
    let interests = topics.interests(&seen, half_life, &encoder)?;
    let near = match (named(Role::Ad), texts.is_empty()) {
        (Some(ads), false) => near(&cells::coded(log, ads)?, &columns, (&encoder, &interests.vector), &texts),
        _ => Vec::new(),
    };
    let count = texts.len();
    texts.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    texts.truncate(TOLD);
    let how = |column: &TextColumn| {
        let how = if column.is_of_ad { "of clicked ads" } else { "of every row" };
        format!("{} ({how})", column.name)
    };
    let columns = columns.iter().map(how).collect();
    Ok(ToldInterests { user: user.to_owned(), half_life, interests, texts, count, columns, near })
}

impl TextColumn {
    fn text(&self, row: u32) -> Option<&str> {
        let code = *self.cells.codes.get(row as usize)?;
        self.cells.values.get(code as usize).map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

fn text_columns(log: &LogFrame, users: &Coded) -> Result<Vec<TextColumn>> {
    let all: Vec<u32> = (0..log.rows() as u32).collect();
    let ads = log.schema.with_role(Role::Ad).map(|column| cells::coded(log, &column.name)).transpose()?;
    let by_user = Keys::new(&users.codes, users.values.len(), &all);
    let by_ad = ads.as_ref().map(|ads| Keys::new(&ads.codes, ads.values.len(), &all));
    let mut columns = Vec::new();
    for column in log.schema.columns.iter().filter(|column| column.role == Role::Text) {
        let cells = cells::coded(log, &column.name)?;
        let side = side_of(&cells.codes, &all, Some(&by_user), by_ad.as_ref(), true);
        columns.push(TextColumn { name: column.name.clone(), cells, is_of_ad: side == Side::Ad });
    }
    if columns.is_empty() {
        return Err(Failure::new(WHAT, "no column of the log has the role text")
            .hint("give searches, titles or ad texts that role: --role query=text"));
    }
    Ok(columns)
}

/// An encoder of the log's texts, those of the person first.
fn fitted(columns: &[TextColumn], own: &[Text], context: &JobContext) -> Result<Encoder> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let all = own.iter().map(|text| text.text.as_str());
    let others = columns.iter().flat_map(|column| column.cells.values.iter().map(|text| text.trim()));
    let texts: Vec<&str> =
        all.chain(others).filter(|text| !text.is_empty() && known.insert(text)).take(FITTED).collect();
    match texts.len() {
        0 | 1 => Ok(Encoder::unfitted(EncoderOptions::default())),
        _ => Encoder::fit(&texts, EncoderOptions::default(), context),
    }
}

/// Ads whose texts are nearest to the interests, the clicked ones apart.
fn near(
    ads: &Coded,
    columns: &[TextColumn],
    (encoder, vector): (&Encoder, &[f32]),
    own: &[Text],
) -> Vec<Near> {
    let read: BTreeSet<&str> = own.iter().map(|text| text.text.as_str()).collect();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut near = Vec::new();
    for column in columns.iter().filter(|column| column.is_of_ad) {
        for (row, ad) in (0u32..).zip(ads.codes.iter()).filter(|(_, ad)| **ad != NO_CODE) {
            let Some(text) = column.text(row).filter(|text| !read.contains(text)) else { continue };
            if !told.insert(text) {
                continue;
            }
            let mut own = encoder.encode_one(text);
            to_unit(&mut own);
            let cosine = inner_product(&own, vector);
            let ad = ads.values.get(*ad as usize).cloned().unwrap_or_default();
            near.push((cosine, ad, text));
        }
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.truncate(NEAR);
    near.into_iter()
        .filter(|(cosine, ..)| *cosine > 0.0)
        .map(|(cosine, ad, text)| Near {
            ad,
            text: text.to_owned(),
            cosine,
            words: encoder.explain(text, vector),
        })
        .collect()
}
