//! What is each column for? Names and values together, and every answer with its evidence in words.
//!
//! `facts` looks at the columns; rules for single columns follow below; roles that only one column may have
//! go to the best candidate. A person can overrule everything through [`LogFrame::assign`].

mod facts;
mod lists;
mod names;
mod quantity;

pub use quantity::Quantity;
pub(in crate::data) use quantity::{Meaning, column_of, is_money_in_micros, meaning};

use super::cells::number_pieces;
use super::enumerated;
use super::frame::{LogFrame, Source};
use super::importers::RoleHint;
use super::memo::Memo;
use super::schema::{Column, ColumnType, Role, Schema};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use facts::Facts;
use names::Name;
use polars::prelude::{DataFrame, DataType, Int64Chunked, IntoSeries, NewChunkedArray};
use quantity::meaning_of;
use std::sync::Arc;

/// The column with the logging policy's probabilities, if one has a name that says so.
pub fn propensity_column(schema: &Schema) -> Option<&Column> {
    schema.columns.iter().find(|column| Name::of(&column.name).is_propensity())
}

/// Finds roles for typed columns.
///
/// # Errors
/// A column that polars cannot look at, or a cancel.
pub fn infer(
    frame: DataFrame,
    source: Arc<Source>,
    hints: &[RoleHint],
    context: &JobContext,
) -> Result<LogFrame> {
    let mut notes = Vec::new();
    let frame = lists::split_lists(frame, &mut notes, context)?;
    let source = with_notes(source, notes);
    let facts = Facts::of_all(&frame, context)?;
    let mut found: Vec<Found> = facts.iter().map(|facts| single(facts, hints)).collect();
    count_beside_impressions(&facts, &mut found);
    keep_best(&facts, &mut found);
    settle_outcomes(&facts, &mut found);
    keep_history(&facts, &mut found);
    ignore_measures(&facts, &mut found);
    offer_other_labels(&facts, &mut found);
    let columns = facts.iter().zip(found);
    let schema = Schema {
        columns: columns
            .map(|(facts, found)| Column {
                name: facts.name.text.clone(),
                kind: facts.kind,
                role: found.role,
                evidence: found.evidence,
            })
            .collect(),
    };
    let mut log = LogFrame { frame, schema, source, revision: 0, memo: Memo::default() };
    ignore_copies_of_the_label(&mut log)?;
    map_signed_label(&mut log)?;
    Ok(log)
}

impl LogFrame {
    /// Gives a column a role, as [`Schema::set_role`]. A column written `rating>=4` with the role label adds a
    /// 0/1 column from the threshold; the column it came from is ignored then.
    ///
    /// # Errors
    /// No such column; a label that is not 0/1; a threshold on something that is no number.
    pub fn assign(&mut self, column: &str, role: Role) -> Result<()> {
        let column = match self.add_threshold(column, role)? {
            Some(added) => added,
            None => column.to_owned(),
        };
        let kind = self.schema.column(&column)?.kind;
        if role == Role::Label {
            self.check_label(&column)?;
        }
        if role == Role::Sequence && kind != ColumnType::List {
            return Err(Failure::new("cannot set the role", "its cells are no lists")
                .at(format!("column '{column}'"))
                .hint("a column whose cells hold lists, parted by | or ^"));
        }
        let is_number = matches!(kind, ColumnType::Integer | ColumnType::Real | ColumnType::Boolean);
        let wants_number = matches!(role, Role::Weight | Role::Clicks | Role::Numeric | Role::Price);
        if wants_number && !is_number {
            return Err(Failure::new(
                "cannot set the role",
                format!("its cells are no numbers but {kind:?}").to_lowercase(),
            )
            .at(format!("column '{column}'"))
            .hint("the role categorical or text"));
        }
        self.schema.set_role(&column, role)?;
        self.revision += 1;
        Ok(())
    }

    /// Refuses a label that is neither 0/1 nor true/false.
    fn check_label(&self, column: &str) -> Result<()> {
        let series = self.frame.column(column).explain("cannot set the label")?;
        let facts = Facts::of(series, self.frame.height())?;
        if facts.is_binary() || facts.is_signed() {
            return Ok(());
        }
        let hint = match facts.kind {
            ColumnType::Integer | ColumnType::Real => {
                let middle = facts.range.map_or(1.0, |(low, high)| (low + high) / 2.0);
                format!("a threshold: '{column}>={}'", middle.ceil())
            }
            _ => "a column of 0 and 1 or of true and false".to_owned(),
        };
        Err(Failure::new("cannot set the label", format!("it is not 0/1: {}", facts.describe()))
            .at(format!("column '{column}'"))
            .hint(hint))
    }

    /// Adds the 0/1 column that `name>=number` stands for; its name.
    fn add_threshold(&mut self, text: &str, role: Role) -> Result<Option<String>> {
        if role != Role::Label || self.schema.column(text).is_ok() {
            return Ok(None);
        }
        let Some((name, threshold)) = text.rsplit_once(">=") else {
            return Ok(None);
        };
        let name = name.trim();
        let threshold: f64 = threshold
            .trim()
            .parse()
            .explain("cannot read the threshold of the label")
            .map_err(|failure| failure.at(text).hint("for example rating>=4"))?;
        self.schema.column(name)?;
        let what = format!("cannot compare '{name}' with a threshold");
        let series = self.frame.column(name).explain(&what)?;
        let series = enumerated::plain(series.as_materialized_series()).explain(&what)?;
        let numbers = series.strict_cast(&DataType::Float64).explain(&what)?;
        let cells = numbers.f64().explain(&what)?.iter();
        let flags = cells.map(|cell| cell.map(|cell| i64::from(cell >= threshold)));
        let added = format!("{name}>={threshold}");
        let flags = Int64Chunked::from_iter_options(added.as_str().into(), flags);
        self.frame.with_column(flags.into_series().into()).explain(&what)?;
        self.schema.columns.push(Column {
            name: added.clone(),
            kind: ColumnType::Integer,
            role: Role::Ignored,
            evidence: String::new(),
        });
        self.schema.set_role(name, Role::Ignored)?;
        if let Some(column) = self.schema.columns.iter_mut().find(|column| column.name == name) {
            column.evidence = format!("'{added}' was made from it");
        }
        Ok(Some(added))
    }
}

/// Scores of [`Meaning::Counts`] from here on belong to names that say nothing else.
const PLAIN: u32 = 90;

/// True where the name of a column says that numbers stand in it: counts, money, ratios, outcomes, quantities.
pub(in crate::data) fn says_number(name: &str) -> bool {
    let name = Name::of(name);
    meaning_of(&name) != Meaning::Other
        || name.label_score() > 0
        || name.is_conversion()
        || name.is_price()
        || name.measure() == names::Measure::Quantity
}

/// Evidence of a column that holds 0 and 1 and is not the label, but might have been.
pub(in crate::data) const OTHER_LABEL: &str = "could be the label instead";

fn with_notes(source: Arc<Source>, notes: Vec<String>) -> Arc<Source> {
    if notes.is_empty() {
        return source;
    }
    let mut source = Arc::unwrap_or_clone(source);
    source.notes.extend(notes);
    Arc::new(source)
}

/// A role with its evidence and how strong that is.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    role: Role,
    evidence: String,
    score: u32,
}

fn found(role: Role, score: u32, evidence: impl Into<String>) -> Found {
    Found { role, evidence: evidence.into(), score }
}

/// What one column is for, looked at alone.
fn single(facts: &Facts, hints: &[RoleHint]) -> Found {
    let hint = hints.iter().find(|hint| hint.column == facts.name.text);
    // Even where the format tells that a column is a feature, one value for all rows is none.
    let is_no_feature = |role: Role| {
        matches!(role, Role::Categorical | Role::Numeric) && (facts.present == 0 || facts.is_constant())
    };
    if let Some(hint) = hint.filter(|hint| hint.is_final && !is_no_feature(hint.role)) {
        return found(hint.role, 100, hint.evidence.clone());
    }
    if facts.present == 0 {
        return found(Role::Ignored, 100, "every cell is missing");
    }
    if hint.is_some_and(|hint| hint.is_final) {
        return found(Role::Ignored, 90, format!("constant: {}", facts.describe()));
    }
    if let Some(found) = by_name(facts) {
        return found;
    }
    if facts.counts_rows() {
        return found(Role::Ignored, 90, "counts the rows: every value is distinct, one after the other");
    }
    if facts.is_constant() {
        return found(Role::Ignored, 90, format!("constant: {}", facts.describe()));
    }
    match hint {
        Some(hint) => found(hint.role, 50, hint.evidence.clone()),
        None => by_values(facts),
    }
}

fn by_name(facts: &Facts) -> Option<Found> {
    let name = &facts.name;
    let says = |what: &str| format!("the name '{}' says {what}", name.text);
    let is_number = matches!(facts.kind, ColumnType::Integer | ColumnType::Real);
    if facts.kind == ColumnType::Time {
        let score = name.time_score();
        return Some(found(Role::Time, score, format!("points in time; {}", facts.describe())));
    }
    if facts.kind == ColumnType::List {
        return Some(found(Role::Sequence, 80, "a list in each cell"));
    }
    let is_share = facts.range.is_some_and(|(low, high)| low >= 0.0 && high <= 1.0);
    if name.is_truth() && facts.kind == ColumnType::Real && is_share {
        return Some(found(
            Role::Truth,
            90,
            says("the true probability of a simulation: checks, never a feature"),
        ));
    }
    if name.is_propensity() {
        return Some(found(
            Role::Ignored,
            90,
            says("propensity: the logging policy's probability, no feature"),
        ));
    }
    let label = name.label_score();
    if label > 0 && (facts.is_binary() || facts.is_signed()) {
        return Some(found(
            Role::Label,
            label,
            format!("{}, and it holds {}", says("outcome"), facts.describe()),
        ));
    }
    if is_number && !facts.is_binary() {
        match meaning_of(name) {
            Meaning::Counts(Quantity::Impressions, score) if score >= PLAIN => {
                return Some(found(Role::Weight, score, says("impressions: each row stands for many")));
            }
            Meaning::Counts(Quantity::Clicks, score) if score >= PLAIN => {
                return Some(found(Role::Clicks, score, says("clicks, counted per row")));
            }
            Meaning::Counts(Quantity::Conversions, _) => {
                return Some(found(Role::Conversion, 80, says("a later outcome: measured, never a feature")));
            }
            Meaning::Counts(quantity, score) if quantity.is_money() && score >= PLAIN => {
                let what = format!("money ({}): measured, never a feature", quantity.id());
                return Some(found(Role::Price, 80, says(&what)));
            }
            _ => {}
        }
    }
    if name.is_conversion() && (is_number || facts.kind == ColumnType::Boolean) {
        return Some(found(Role::Conversion, 80, says("a later outcome: measured, never a feature")));
    }
    if name.is_price() && is_number && !facts.is_binary() {
        return Some(found(Role::Price, 80, says("money: measured, never a feature")));
    }
    if facts.kind == ColumnType::Real {
        return None;
    }
    [
        (Role::User, name.user_score()),
        (Role::Ad, name.ad_score()),
        (Role::Campaign, name.campaign_score()),
        (Role::Slot, name.slot_score()),
    ]
    .into_iter()
    .filter(|(_, score)| *score > 0)
    .max_by_key(|(_, score)| *score)
    .map(|(role, score)| found(role, score, format!("{}; {}", says(role.id()), facts.describe())))
}

/// A feature, and of which kind.
fn by_values(facts: &Facts) -> Found {
    let described = facts.describe();
    match facts.kind {
        ColumnType::Boolean => found(Role::Categorical, 50, described),
        ColumnType::Real => found(Role::Numeric, 50, described),
        ColumnType::Integer => by_whole_numbers(facts),
        ColumnType::Text => by_texts(facts),
        ColumnType::Time | ColumnType::List => found(Role::Ignored, 10, described),
    }
}

fn by_whole_numbers(facts: &Facts) -> Found {
    const FEW: usize = 50;
    let described = facts.describe();
    if quantity::mentions(&facts.name) && !facts.is_binary() {
        return found(Role::Numeric, 60, format!("{described}; the name says a count"));
    }
    let is_unique = facts.present >= 50 && facts.distinct * 10 >= facts.present * 9;
    match facts.name.measure() {
        names::Measure::Category if is_unique && facts.name.says_id() => {
            found(Role::Ignored, 60, format!("{described}: nearly every value is its own, an id of the row"))
        }
        names::Measure::Category => {
            found(Role::Categorical, 60, format!("{described}; the name says code, not quantity"))
        }
        names::Measure::Quantity => found(Role::Numeric, 60, format!("{described}; the name says quantity")),
        names::Measure::Unknown if facts.looks_like_ids() => {
            found(Role::Categorical, 40, format!("{described}; long numbers of one length look like ids"))
        }
        names::Measure::Unknown if facts.distinct <= FEW => {
            found(Role::Categorical, 40, format!("{described}; so few whole numbers may be codes"))
        }
        names::Measure::Unknown => found(Role::Numeric, 40, described),
    }
}

fn by_texts(facts: &Facts) -> Found {
    let described = facts.describe();
    let is_unique = facts.present >= 50 && facts.distinct * 10 >= facts.present * 9;
    if is_unique && !facts.has_spaces() {
        return found(
            Role::Ignored,
            60,
            format!("{described}: nearly every value is its own, an id of the row"),
        );
    }
    if is_unique {
        return found(Role::Text, 60, format!("{described}: nearly every value is its own, so no category"));
    }
    if facts.mean_length > 40.0 && facts.has_spaces() {
        return found(Role::Text, 60, format!("{described}, {:.0} characters on average", facts.mean_length));
    }
    // Few texts that repeat are categories, whatever the name says.
    if facts.name.is_text() && facts.has_spaces() && facts.distinct > 20 {
        return found(Role::Text, 60, format!("{described}; the name says text"));
    }
    found(Role::Categorical, 50, described)
}

/// Beside impressions, a column of clicks is a count even where no row has more than one; and where nobody counts
/// clicks, interactions stand in for them.
fn count_beside_impressions(facts: &[Facts], found: &mut [Found]) {
    let has_impressions = found
        .iter()
        .zip(facts)
        .any(|(found, facts)| found.role == Role::Weight && facts.range.is_some_and(|(_, high)| high > 1.0));
    if !has_impressions {
        return;
    }
    for (facts, found) in facts.iter().zip(found.iter_mut()) {
        if found.role == Role::Label
            && facts.kind == ColumnType::Integer
            && let Meaning::Counts(Quantity::Clicks, score) = meaning_of(&facts.name)
        {
            *found = self::found(
                Role::Clicks,
                score,
                format!("the name '{}' says clicks, and impressions stand beside it", facts.name.text),
            );
        }
    }
    if found.iter().any(|found| found.role == Role::Clicks) {
        return;
    }
    let is_number = |facts: &Facts| matches!(facts.kind, ColumnType::Integer | ColumnType::Real);
    for (facts, found) in facts.iter().zip(found.iter_mut()) {
        if is_number(facts) && facts.name.joined() == "interactions" {
            let evidence = "no column counts clicks: interactions stand in for them";
            *found = self::found(Role::Clicks, PLAIN, evidence);
        }
    }
}

/// Beside a 0/1 label, counts of earlier purchases are what is known of a person, not what came of the row.
fn keep_history(facts: &[Facts], found: &mut [Found]) {
    if !found.iter().any(|found| found.role == Role::Label) {
        return;
    }
    for (facts, found) in facts.iter().zip(found.iter_mut()) {
        let is_count = matches!(facts.kind, ColumnType::Integer | ColumnType::Real) && !facts.is_binary();
        if found.role == Role::Conversion && is_count && facts.name.is_history() {
            *found = self::found(Role::Numeric, 50, format!("{}; the name says history", facts.describe()));
        }
    }
}

/// In a log of counts, ratios of them (`CTR`, `Cost per results`) and other measured counts (reach, visitors) are
/// outcomes too: no model may read them.
fn ignore_measures(facts: &[Facts], found: &mut [Found]) {
    if !found.iter().any(|found| found.role == Role::Clicks) {
        return;
    }
    for (facts, found) in facts.iter().zip(found.iter_mut()) {
        let is_number = matches!(facts.kind, ColumnType::Integer | ColumnType::Real);
        let is_open =
            matches!(found.role, Role::Numeric | Role::Categorical | Role::Price | Role::Conversion);
        if !is_number || !is_open {
            continue;
        }
        let name = &facts.name.text;
        let evidence = match meaning_of(&facts.name) {
            Meaning::Counts(..) if found.role == Role::Conversion => continue,
            Meaning::Ratio => format!("'{name}' is a ratio of outcomes: it would give the answer away"),
            Meaning::Counts(quantity, _) if !quantity.is_money() => {
                format!("'{name}' counts {} beside the clicks: measured, never a feature", quantity.id())
            }
            _ => continue,
        };
        *found = self::found(Role::Ignored, 60, evidence);
    }
}

/// Names the 0/1 columns that a person might want to predict instead (answers to earlier campaigns).
fn offer_other_labels(facts: &[Facts], found: &mut [Found]) {
    let Some(label) = found.iter().position(|found| found.role == Role::Label) else {
        return;
    };
    let mut others = Vec::new();
    for (place, facts) in facts.iter().enumerate() {
        let is_outcome = matches!(found[place].role, Role::Conversion | Role::Categorical);
        if place != label && is_outcome && facts.is_binary() && facts.name.may_be_label() {
            others.push(facts.name.text.as_str());
            found[place].evidence += &format!("; {OTHER_LABEL}");
        }
    }
    if !others.is_empty() {
        found[label].evidence += &format!("; others that could be: {}", others.join(", "));
    }
}

/// Leaves each unique role to its best candidate; the others become plain features, outcomes or are ignored.
fn keep_best(facts: &[Facts], found: &mut [Found]) {
    let aggregated =
        [Role::Weight, Role::Clicks].iter().all(|role| found.iter().any(|found| found.role == *role));
    if !aggregated {
        for (facts, found) in facts.iter().zip(found.iter_mut()) {
            if matches!(found.role, Role::Weight | Role::Clicks) {
                *found = by_values(facts);
                found.evidence += "; without clicks beside impressions it is a number like any other";
            }
        }
    }
    for role in Role::ALL.into_iter().filter(|role| role.is_unique()) {
        let best = found
            .iter()
            .enumerate()
            .filter(|(_, found)| found.role == role)
            // Of equals the last label (day 7 after day 1), the first of anything else.
            .max_by_key(|(place, found)| {
                let order = if role == Role::Label { *place } else { facts.len() - place };
                (found.score, order)
            })
            .map(|(place, _)| place);
        let Some(best) = best else { continue };
        let winner = facts[best].name.text.clone();
        for (place, facts) in facts.iter().enumerate() {
            if place == best || found[place].role != role {
                continue;
            }
            found[place] = match role {
                Role::Label => self::found(
                    Role::Conversion,
                    50,
                    format!("another outcome beside '{winner}': measured, never a feature"),
                ),
                Role::User | Role::Ad => by_values(facts),
                _ => self::found(Role::Ignored, 50, format!("'{winner}' is the {role}")),
            };
        }
    }
}

/// What only the whole set of columns tells: a log of counts has no 0/1 label; a constant label is none.
fn settle_outcomes(facts: &[Facts], found: &mut [Found]) {
    let aggregated = found.iter().any(|found| found.role == Role::Clicks);
    for (facts, found) in facts.iter().zip(found.iter_mut()) {
        if found.role != Role::Label {
            continue;
        }
        if aggregated {
            *found =
                self::found(Role::Conversion, 50, "the log counts clicks per row; measured, never a feature");
        } else if facts.range == Some((0.0, 0.0)) && facts.rows > 1 {
            let evidence = format!(
                "0 in all {} rows: taken for a file to be scored, not for a log without clicks",
                facts.rows
            );
            *found = self::found(Role::Ignored, 50, evidence);
        }
    }
}

/// `nonclk` is `1 - clk`: a copy of the answer is no feature.
fn ignore_copies_of_the_label(log: &mut LogFrame) -> Result<()> {
    let Some(label) = log.schema.with_role(Role::Label).map(|column| column.name.clone()) else {
        return Ok(());
    };
    let mut copies = Vec::new();
    for column in &log.schema.columns {
        let is_flag = matches!(column.kind, ColumnType::Integer | ColumnType::Boolean);
        if column.name == label || !is_flag || column.role == Role::Ignored {
            continue;
        }
        let (mut is_same, mut is_opposite) = (log.rows() > 1, true);
        let columns = number_pieces(log, &label).zip(number_pieces(log, &column.name));
        for (answers, values) in columns {
            let (answers, values) = (answers?, values?);
            let pairs = || answers.iter().zip(values.iter());
            let equal = |answer: f64, value: f64| answer == value || (answer.is_nan() && value.is_nan());
            is_same &= pairs().all(|(answer, value)| equal(*answer, *value));
            is_opposite &= pairs().all(|(answer, value)| equal(1.0 - answer, *value));
            // Most differ in the first rows.
            if !is_same && !is_opposite {
                break;
            }
        }
        if is_same {
            copies.push((column.name.clone(), format!("the same as '{label}' in every row")));
        } else if is_opposite {
            copies.push((column.name.clone(), format!("1 - '{label}' in every row")));
        }
    }
    for (name, evidence) in copies {
        log.schema.set_role(&name, Role::Ignored)?;
        if let Some(column) = log.schema.columns.iter_mut().find(|column| column.name == name) {
            column.evidence = format!("{evidence}: it gives the answer away");
        }
    }
    Ok(())
}

/// Labels of -1 and 1 become 0 and 1.
fn map_signed_label(log: &mut LogFrame) -> Result<()> {
    let Some(label) = log.schema.with_role(Role::Label).map(|column| column.name.clone()) else {
        return Ok(());
    };
    let what = "cannot read the label";
    let series = log.frame.column(&label).explain(what)?;
    if !Facts::of(series, log.frame.height())?.is_signed() {
        return Ok(());
    }
    let cells = series.cast(&DataType::Int64).explain(what)?;
    let cells = cells.i64().explain(what)?.iter();
    let flags = cells.map(|cell| cell.map(|cell| i64::from(cell > 0)));
    let flags = Int64Chunked::from_iter_options(label.as_str().into(), flags);
    log.frame.with_column(flags.into_series().into()).explain(what)?;
    let mut source = (*log.source).clone();
    source.notes.push(format!("'{label}' holds -1 and 1: read as 0 and 1"));
    log.source = Arc::new(source);
    Ok(())
}
