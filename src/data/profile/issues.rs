//! What would a careful person object to? One rule after the other, each with its count and what it means.

use super::columns::Described;
use super::leaks::Answers;
use super::{ColumnProfile, Issue, IssueKind, LabelProfile};
use super::{mirrors, missing, near_texts, personal, repeats};
use crate::base::Result;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::keyed::Keyed;
use crate::data::schema::{ColumnType, Role};
use crate::jobs::JobContext;

/// Below this many clicks an interval is wider than a fifth of the rate to either side.
const FEW_POSITIVES: u64 = 100;
/// Click rates above this are no click rates.
const IMPLAUSIBLE_RATE: f64 = 0.5;
/// A column of which this share holds one value tells almost nothing.
const NEAR_CONSTANT: f64 = 0.995;

/// All objections, the gravest first.
pub(super) fn find(
    log: &LogFrame,
    described: &Described,
    label: Option<&LabelProfile>,
    context: &JobContext,
) -> Result<Vec<Issue>> {
    let mut issues = Vec::new();
    issues.extend(bad_rows(log));
    issues.extend(about_label(log, described, label));
    issues.extend(about_counts(log, label)?);
    let (leaks, repeated) = rayon::join(|| leaks(log, context), || repeats::count(log, described, context));
    issues.extend(leaks?);
    issues.extend(mirrors::find(log, &described.columns)?);
    let rows = log.rows() as u64;
    issues.extend(near_constants(described, rows));
    let texts = described.texts.iter().zip(&described.counts);
    let facts = described.columns.iter().zip(texts).zip(&described.far);
    for ((column, (text, counts)), far) in facts {
        context.check()?;
        let counted = text.as_ref().map(|text| (text, counts.as_slice()));
        issues.extend(about_column(column, counted, rows));
        issues.extend(far.map(|far| far.issue(&column.name)));
        issues.extend(personal::suspect(column, counted, rows));
        issues.extend(text.as_ref().and_then(|text| near_texts::find(column, &text.values, rows)));
    }
    issues.extend(missing::over_time(log, context)?);
    issues.extend(duplicates(repeated?, log));
    issues.extend(time_gaps(log)?);
    Ok(issues)
}

/// Columns that give the answer away.
fn leaks(log: &LogFrame, context: &JobContext) -> Result<Vec<Issue>> {
    let Some(answers) = Answers::of(log)? else {
        return Ok(Vec::new());
    };
    let mut issues = Vec::new();
    for column in &log.schema.columns {
        context.check()?;
        let leak = answers.leak(column)?;
        issues.extend(leak.map(|leak| Issue {
            kind: IssueKind::LabelLeak,
            column: Some(leak.column),
            count: log.rows() as u64,
            detail: format!(
                "alone it ranks the label with an AUC of {:.3}: known only after the click? Then ignore it",
                leak.auc
            ),
        }));
    }
    Ok(issues)
}

/// First and last moment, in milliseconds since 1970.
pub(super) fn time_range(log: &LogFrame) -> Result<Option<(i64, i64)>> {
    let mut range: Option<(i64, i64)> = None;
    each_time(log, |time| {
        let (first, last) = range.unwrap_or((time, time));
        range = Some((first.min(time), last.max(time)));
    })?;
    Ok(range)
}

/// Visits the moments of the log, in milliseconds since 1970.
fn each_time(log: &LogFrame, mut visit: impl FnMut(i64)) -> Result<()> {
    let column = log.schema.with_role(Role::Time).filter(|column| column.kind == ColumnType::Time);
    for piece in column.into_iter().flat_map(|column| cells::number_pieces(log, &column.name)) {
        piece?.iter().filter(|time| !time.is_nan()).for_each(|time| visit(*time as i64));
    }
    Ok(())
}

pub(super) fn issue(kind: IssueKind, column: Option<&str>, count: u64, detail: String) -> Issue {
    Issue { kind, column: column.map(str::to_owned), count, detail }
}

fn bad_rows(log: &LogFrame) -> Option<Issue> {
    let first = log.source.bad_samples.first()?;
    let detail = format!("could not be read; the first: line {} {}", first.line, first.why);
    Some(issue(IssueKind::BadRows, None, log.source.bad_rows, detail))
}

fn about_label(log: &LogFrame, described: &Described, label: Option<&LabelProfile>) -> Option<Issue> {
    let rows = log.rows() as u64;
    let Some(label) = label else {
        let unlabelled = log
            .schema
            .columns
            .iter()
            .find(|column| column.role == Role::Ignored && column.evidence.contains("to be scored"));
        return Some(match unlabelled {
            Some(column) => issue(IssueKind::NoLabel, Some(&column.name), rows, column.evidence.clone()),
            None => issue(IssueKind::NoLabel, None, rows, no_label_advice(described)),
        });
    };
    let column = Some(label.column.as_str());
    if label.positives == 0 || label.positives >= label.impressions {
        let detail =
            format!("all {} outcomes are the same: there is nothing to learn from", label.impressions);
        return Some(issue(IssueKind::OneClass, column, label.impressions, detail));
    }
    (label.positives < FEW_POSITIVES).then(|| {
        let detail = format!(
            "{} positives: intervals are wide ({:.3} % to {:.3} %)",
            label.positives,
            100.0 * label.low,
            100.0 * label.high
        );
        issue(IssueKind::FewPositives, column, label.positives, detail)
    })
}

fn no_label_advice(described: &Described) -> String {
    let is_rating = |column: &&ColumnProfile| {
        let name = column.name.to_lowercase();
        let named = ["rating", "score", "stars"].iter().any(|word| name.contains(word));
        named && column.distinct <= 20 && column.quantiles.is_some()
    };
    match described.columns.iter().find(is_rating) {
        Some(column) => {
            let high = column.quantiles.map_or(1.0, |quantiles| quantiles.p75);
            format!(
                "no column holds a 0/1 outcome; '{0}' holds ratings: choose a threshold, for example the label '{0}>={high}'",
                column.name
            )
        }
        None => "no column holds a 0/1 outcome; give one the role label, or clicks and weight".to_owned(),
    }
}

/// What only logs of counts can have.
fn about_counts(log: &LogFrame, label: Option<&LabelProfile>) -> Result<Vec<Issue>> {
    let (Some(weight), Some(clicks), Some(label)) =
        (log.schema.with_role(Role::Weight), log.schema.with_role(Role::Clicks), label)
    else {
        return Ok(Vec::new());
    };
    let detail = format!(
        "each row stands for many impressions ({} in all): rows are weighted by '{}'",
        label.impressions, weight.name
    );
    let mut issues = vec![issue(IssueKind::Aggregated, Some(&weight.name), log.rows() as u64, detail)];
    let shown = cells::numbers(log, &weight.name)?;
    let clicked = cells::numbers(log, &clicks.name)?;
    let pairs = || shown.iter().zip(&clicked);
    let beyond = pairs().filter(|(shown, clicks)| **shown > 0.0 && clicks > shown).count() as u64;
    if beyond > 0 {
        let detail = "more clicks than impressions".to_owned();
        issues.push(issue(IssueKind::ClicksBeyondImpressions, Some(&clicks.name), beyond, detail));
    }
    let unseen =
        pairs().filter(|(shown, clicks)| (shown.is_nan() || **shown <= 0.0) && **clicks > 0.0).count() as u64;
    if unseen > 0 {
        let detail = "clicks but no impressions: these rows stay out of every rate".to_owned();
        issues.push(issue(IssueKind::ClicksWithoutImpressions, Some(&clicks.name), unseen, detail));
    }
    if label.rate > IMPLAUSIBLE_RATE {
        let detail = format!("a click rate of {:.0} %: are these impressions?", 100.0 * label.rate);
        issues.push(issue(IssueKind::ImplausibleRate, Some(&clicks.name), label.positives, detail));
    }
    Ok(issues)
}

fn about_column(column: &ColumnProfile, text: Option<(&Keyed, &[u64])>, rows: u64) -> Vec<Issue> {
    let name = Some(column.name.as_str());
    if column.missing == rows {
        return vec![issue(IssueKind::AllMissing, name, rows, "every cell is missing".to_owned())];
    }
    let mut issues = Vec::new();
    let is_constant = column.distinct == 1 && column.missing == 0 && rows > 1;
    if is_constant && column.kind != ColumnType::List {
        let value = column.top.first().map(|top| top.value.clone());
        let value = value.or_else(|| column.quantiles.map(|quantiles| quantiles.min.to_string()));
        let detail = format!("always {}", value.unwrap_or_default());
        issues.push(issue(IssueKind::Constant, name, rows, detail));
    }
    let Some(text) = text.filter(|_| column.kind == ColumnType::Text) else {
        return issues;
    };
    let (text, counts) = text;
    issues.extend(mixed_types(&column.name, text, counts));
    issues
}

/// Features that are one value in nearly every row, one objection each; many of them together are one.
fn near_constants(described: &Described, rows: u64) -> Vec<Issue> {
    const SINGLY: usize = 8;
    let columns = described.columns.iter().zip(&described.commonest);
    let mut issues: Vec<Issue> =
        columns.filter_map(|(column, commonest)| near_constant(column, *commonest, rows)).collect();
    if issues.len() <= SINGLY {
        return issues;
    }
    let names: Vec<&str> = issues.iter().filter_map(|issue| issue.column.as_deref()).collect();
    let detail = format!(
        "{} columns hold one value in at least {:.1} % of their cells: {} and {} more",
        names.len(),
        100.0 * NEAR_CONSTANT,
        names[..SINGLY / 2].join(", "),
        names.len() - SINGLY / 2
    );
    let count = issues.len() as u64;
    issues.clear();
    issues.push(issue(IssueKind::NearConstant, None, count, detail));
    issues
}

/// A feature that is one value in nearly every row; outcomes are rare by nature.
fn near_constant(column: &ColumnProfile, commonest: u64, rows: u64) -> Option<Issue> {
    const ENOUGH_ROWS: u64 = 200;
    let is_feature = matches!(column.role, Role::Categorical | Role::Numeric | Role::Slot | Role::Campaign);
    let present = rows - column.missing;
    let is_near = column.distinct > 1 && commonest as f64 >= NEAR_CONSTANT * present as f64;
    (is_feature && is_near && present >= ENOUGH_ROWS).then(|| {
        let others = present - commonest;
        let detail = format!(
            "{} of {present} cells hold one value; {} other values share the remaining {others}",
            commonest,
            column.distinct - 1
        );
        issue(IssueKind::NearConstant, Some(&column.name), others, detail)
    })
}

/// Mostly numbers, but not only: `1`, `0`, `Other`.
fn mixed_types(name: &str, text: &Keyed, counts: &[u64]) -> Option<Issue> {
    let is_number = |value: &String| value.trim().parse::<f64>().is_ok_and(f64::is_finite);
    let (mut numbers, mut words) = (0, 0);
    let mut example = None;
    for (value, count) in text.values.iter().zip(counts) {
        if is_number(value) {
            numbers += count;
        } else {
            words += count;
            example = example.or(Some(value));
        }
    }
    // Hashes of one length are names, even where most of them are all digits.
    let length = text.values.first()?.len();
    let one_length = length >= 6 && text.values.iter().all(|value| value.len() == length);
    if words == 0 || numbers < words || one_length {
        return None;
    }
    let detail = format!(
        "{numbers} cells are numbers, {words} are not (such as '{}'): read as text",
        example.map(|value| value.chars().take(40).collect::<String>()).unwrap_or_default()
    );
    Some(issue(IssueKind::MixedTypes, Some(name), words, detail))
}

fn duplicates(repeated: u64, log: &LogFrame) -> Option<Issue> {
    let identified = [Role::User, Role::Time].iter().any(|role| log.schema.with_role(*role).is_some());
    let meaning = if identified {
        "read or exported twice?"
    } else {
        "normal where neither user nor time tells rows apart"
    };
    let detail = format!("repeat an earlier row in every column; {meaning}");
    (repeated > 0).then(|| issue(IssueKind::DuplicateRows, None, repeated, detail))
}

/// Days without a row, where a day has rows enough that none should be empty.
fn time_gaps(log: &LogFrame) -> Result<Option<Issue>> {
    const DAY_MILLIS: i64 = 86_400_000;
    const USUAL_ROWS: usize = 20;
    let Some(column) = log.schema.with_role(Role::Time) else {
        return Ok(None);
    };
    let (mut days, mut rows) = (Vec::new(), 0);
    each_time(log, |time| {
        let day = time.div_euclid(DAY_MILLIS);
        rows += 1;
        // Logs are mostly sorted by time.
        if days.last() != Some(&day) {
            days.push(day);
        }
    })?;
    days.sort_unstable();
    days.dedup();
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return Ok(None);
    };
    let empty = (last - first + 1) as usize - days.len();
    let longest = days.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap_or_default();
    let is_gap = empty > 0 && rows >= USUAL_ROWS * days.len();
    Ok(is_gap.then(|| {
        let detail = format!("{empty} days without a row, up to {longest} in a row");
        issue(IssueKind::TimeGaps, Some(&column.name), empty as u64, detail)
    }))
}
