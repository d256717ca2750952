//! Does our import find in every file what its expectation says?
//!
//! `expected.json` maps paths to figures. Some are named as the profile names them; of the others the name says which
//! column is meant (`reach_sum`, `distinct_headlines`, `z_retention_7`), so that a new file needs no new code here.

use super::{Comparison, Row, Unanswered};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::calendar::date_of;
use crate::data::importers::{self, ImportOptions, Input};
use crate::data::profile::{self, ColumnProfile, IssueKind, Profile};
use crate::data::schema::{ColumnType, Role};
use crate::jobs::JobContext;
use serde_json::{Map, Value};
use std::io::Read;
use std::path::Path;

/// Opens every file of the list and compares.
///
/// # Errors
/// No list, a list of another form, a cancel. A file that does not open is a row, not a failure.
pub(super) fn compare(folder: &Path, context: &JobContext) -> Result<Comparison> {
    let list = folder.join("expected.json");
    let what = "cannot read the published figures";
    let text = std::fs::read_to_string(&list).explain(what).map_err(|failure| {
        failure.at(list.display()).hint("--data with the folder that holds expected.json and the files")
    })?;
    let expected: Map<String, Value> =
        serde_json::from_str(&text).explain(what).map_err(|failure| failure.at(list.display()))?;
    let mut comparison = Comparison::default();
    for (done, (file, figures)) in expected.iter().enumerate() {
        context.check()?;
        context.progress(done as u64, expected.len() as u64);
        let Value::Object(figures) = figures else {
            let why = format!("'{file}' has no figures by name");
            return Err(Failure::new(what, why).at(list.display()).hint("{\"file.csv\": {\"rows\": 100}}"));
        };
        about_file(folder, file, figures, &mut comparison, context)?;
    }
    Ok(comparison)
}

fn about_file(
    folder: &Path,
    file: &str,
    figures: &Map<String, Value>,
    comparison: &mut Comparison,
    context: &JobContext,
) -> Result<()> {
    let path = folder.join(file);
    let opened = importers::open(&path, &ImportOptions::default(), context)
        .and_then(|log| profile::profile(&log, context));
    let profile = match opened {
        Err(failure) if failure.is_cancelled() => return Err(failure),
        Err(failure) => {
            let mut row = row(file, "opens", &Value::Bool(true), Some(Ours::Words(failure.to_string())));
            row.iter_mut().for_each(|row| row.within = false);
            comparison.rows.extend(row);
            for (name, published) in figures {
                comparison.not_answered.push(unanswered(file, name, published));
            }
            return Ok(());
        }
        Ok(profile) => profile,
    };
    for (name, published) in figures {
        match published {
            Value::Object(parts) => {
                for (part, published) in parts {
                    let ours = part_of(&profile, name, part);
                    push(file, &format!("{name}, {part}"), published, ours, comparison);
                }
            }
            published => push(file, name, published, answer(&profile, &path, name, published), comparison),
        }
    }
    Ok(())
}

/// What we say to a figure.
#[derive(Debug, Clone, PartialEq)]
enum Ours {
    Number(f64),
    Words(String),
}

fn push(file: &str, name: &str, published: &Value, ours: Option<Ours>, comparison: &mut Comparison) {
    match row(file, name, published, ours) {
        Some(row) => comparison.rows.push(row),
        None => comparison.not_answered.push(unanswered(file, name, published)),
    }
}

fn unanswered(file: &str, name: &str, published: &Value) -> Unanswered {
    Unanswered { quantity: format!("{file}: {name}"), published: published.clone() }
}

fn row(file: &str, name: &str, published: &Value, ours: Option<Ours>) -> Option<Row> {
    let mut row = Row {
        quantity: format!("{file}: {name}"),
        published: published.clone(),
        source: format!("expected.json, {file}, {name}"),
        ours: Value::Null,
        low: None,
        high: None,
        within: false,
    };
    match ours? {
        Ours::Number(ours) => {
            let (low, high) = interval(published)?;
            row.ours = serde_json::Number::from_f64(ours).map_or(Value::Null, Value::Number);
            (row.low, row.high) = (Some(low), Some(high));
            row.within = (low..=high).contains(&ours);
        }
        Ours::Words(ours) => {
            row.within = agrees(published, &ours);
            row.ours = Value::String(ours);
        }
    }
    Some(row)
}

/// Half a unit of the last published digit to either side: whole numbers must be met.
fn interval(published: &Value) -> Option<(f64, f64)> {
    let number = published.as_f64()?;
    let text = published.to_string();
    let half = match text.split_once('.') {
        Some((_, digits)) if !text.contains(['e', 'E']) => {
            // A figure that ends in .0 was rounded to a whole number of its last digit all the same.
            0.5 * 10f64.powi(-i32::try_from(digits.len()).ok()?) * (1.0 + 1e-9)
        }
        Some(_) => number.abs() * 1e-6,
        None => 1e-9 * number.abs(),
    };
    Some((number - half, number + half))
}

/// Words agree when they mean the same: ASCII is UTF-8, and a tab is written in several ways.
fn agrees(published: &Value, ours: &str) -> bool {
    let published = match published {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    };
    let ours = ours.to_lowercase();
    let plain = |text: &str| text.replace(['-', '_', ' '], "");
    let is_utf8 = |text: &str| matches!(plain(text).as_str(), "utf8" | "ascii" | "utf8bom");
    published == ours
        || plain(&published) == plain(&ours)
        || (is_utf8(&published) && is_utf8(&ours))
        || plain(&published).strip_suffix("bom") == Some(plain(&ours).as_str())
}

/// The count of one value, or the sum of one column.
fn part_of(profile: &Profile, name: &str, part: &str) -> Option<Ours> {
    if let Some(arm) = profile.experiment.iter().flat_map(|test| &test.arms).find(|arm| arm.name == part) {
        return Some(Ours::Number(arm.rows as f64));
    }
    if let Some(column) = column(profile, name) {
        let value = column.top.iter().find(|top| top.value == part)?;
        return Some(Ours::Number(value.count as f64));
    }
    column(profile, part)?.sum.map(Ours::Number)
}

fn answer(profile: &Profile, path: &Path, name: &str, published: &Value) -> Option<Ours> {
    let number = |number: f64| Some(Ours::Number(number));
    let label = profile.label.as_ref();
    match name {
        "rows" => number(profile.rows as f64),
        "cols" | "fields" => number(profile.columns.len() as f64),
        "bytes" => number(std::fs::metadata(path).ok()?.len() as f64),
        "missing_cells" => number(empty_cells(profile)),
        "label" => label_named(profile, published.as_str()?),
        "positives" => {
            number(label.map_or_else(|| scoring_zeros(profile), |label| Some(label.positives as f64))?)
        }
        "base_rate" => number(label.map_or_else(|| scoring_zeros(profile), |label| Some(label.rate))?),
        "ctr" | "ctr_where_both" => number(label?.rate),
        "time_min" => Some(Ours::Words(date_of(profile.time_range?.0))),
        "time_max" => Some(Ours::Words(date_of(profile.time_range?.1))),
        "currency" => profile.currency.clone().map(Ours::Words),
        "srm_z" => number(profile.experiment.as_ref()?.ratio_z?),
        "clicks_without_impressions" => number(total(profile, name).unwrap_or_default()),
        "rows_clicks_gt_impr" => number(issue_count(profile, IssueKind::ClicksBeyondImpressions)),
        "second_label" => second_label(profile, published.as_str()?),
        "encoding" if published.as_str() != Some("legacy") => word(&profile.layout.encoding),
        "true_encoding" => word(&profile.layout.encoding),
        "delimiter" => word(&profile.layout.delimiter.replace('\t', "\\t")),
        "header" if !profile.layout.encoding.is_empty() => {
            Some(Ours::Words(profile.layout.has_header.to_string()))
        }
        "preamble_lines" => number(profile.layout.lines_before as f64),
        "total_rows" => number(profile.layout.totals.len() as f64),
        "tests" if profile.test_series.is_some() => {
            number(column(profile, &profile.test_series.as_ref()?.column)?.distinct as f64)
        }
        "physical_lines" => number(Lines::of(path, profile).ok()??.count as f64),
        "newline" => Some(Ours::Words(Lines::of(path, profile).ok()??.newline.to_owned())),
        "ends_with_newline" => Some(Ours::Words(Lines::of(path, profile).ok()??.is_closed.to_string())),
        "container" => {
            let container = published.as_str()?;
            profile.format.contains(container).then(|| Ours::Words(container.to_owned()))
        }
        // Facts about the file and remarks, which no profile holds.
        "sha256" | "note" | "synthetic" | "constructed" | "text_check" | "quoted_multiline"
        | "time_format" | "nbsp_in_hashtags" | "format" | "missing_token" | "inner_delimiter"
        | "physical_cols" => None,
        "tokens_per_row" | "features_per_row" | "distinct_features" | "max_feature_id"
        | "namespaces_per_row" | "sum_per_region" => None,
        "shape" => shape(profile, published.as_str()?),
        _ => named(profile, name),
    }
}

/// The lines of a text file as our reader sees them: unpacked and decoded.
struct Lines {
    count: u64,
    newline: &'static str,
    is_closed: bool,
}

impl Lines {
    /// `None` for a file that is no text.
    fn of(path: &Path, profile: &Profile) -> Result<Option<Self>> {
        if profile.format.starts_with("parquet") {
            return Ok(None);
        }
        let what = "cannot count the lines";
        let mut reader = Input::open(path)?.unpacked(&std::sync::Arc::default())?;
        let (mut count, mut with_return, mut last) = (0u64, 0u64, b'\n');
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = reader.read(&mut buffer).explain(what)?;
            if read == 0 {
                break;
            }
            // In UTF-16 every other byte of a line's end is 0.
            for &byte in buffer.iter().take(read).filter(|byte| **byte != 0) {
                if byte == b'\n' {
                    count += 1;
                    with_return += u64::from(last == b'\r');
                }
                last = byte;
            }
        }
        let is_closed = last == b'\n';
        let newline = if with_return * 2 > count { "crlf" } else { "lf" };
        Ok(Some(Self { count: count + u64::from(!is_closed), newline, is_closed }))
    }
}

/// `None` for a format that has no such thing.
fn word(text: &str) -> Option<Ours> {
    (!text.is_empty()).then(|| Ours::Words(text.to_owned()))
}

/// `wide: one 0/1 column per ad` begins with the word for the shape.
fn shape(profile: &Profile, published: &str) -> Option<Ours> {
    let ours = serde_json::to_value(profile.shape).ok()?;
    let ours = ours.as_str()?;
    let agrees = published.split(':').next() == Some(ours);
    Some(Ours::Words(if agrees { published.to_owned() } else { ours.to_owned() }))
}

/// Fields with nothing in them. We count words for missing (`--`, `null`) as missing too, and our notes say how many;
/// the figure means empty fields only.
fn empty_cells(profile: &Profile) -> f64 {
    let all: u64 = profile.columns.iter().map(|column| column.missing).sum();
    let words: u64 = profile.notes.iter().filter_map(|note| words_for_missing(note)).sum();
    all.saturating_sub(words) as f64
}

/// `'Budget': 2 cells such as '--' count as missing`: 2.
fn words_for_missing(note: &str) -> Option<u64> {
    let (_, rest) = note.split_once("': ")?;
    let (count, rest) = rest.split_once(" cell")?;
    let is_word = rest.ends_with("count as missing") || rest.ends_with("mean missing");
    // Cells that do not fit their type are no words for missing.
    let is_word = is_word && !rest.contains("do not fit");
    count.parse().ok().filter(|_| is_word)
}

/// The label, or the column of a file to be scored.
fn label_named(profile: &Profile, published: &str) -> Option<Ours> {
    let unknown = profile.columns.iter().find(|column| column.evidence.contains("to be scored"));
    let found = profile.label.as_ref().map(|label| &label.column);
    let name = found.or(unknown.map(|column| &column.name))?;
    // The expectation may describe a place rather than a name.
    let is_described = column(profile, published).is_none() && published.contains(' ');
    Some(Ours::Words(if is_described { published.to_owned() } else { name.clone() }))
}

/// 0 where the outcome is constant because nobody knows it yet.
fn scoring_zeros(profile: &Profile) -> Option<f64> {
    let unknown = profile.columns.iter().find(|column| column.evidence.contains("to be scored"));
    unknown.and_then(|column| column.sum)
}

fn issue_count(profile: &Profile, kind: IssueKind) -> f64 {
    profile.issues.iter().filter(|issue| issue.kind == kind).map(|issue| issue.count).sum::<u64>() as f64
}

fn total(profile: &Profile, quantity: &str) -> Option<f64> {
    profile.totals.iter().find(|total| total.quantity == quantity).map(|total| total.sum)
}

/// `purchase: 1 positive`.
fn second_label(profile: &Profile, published: &str) -> Option<Ours> {
    let (name, _) = published.split_once(':')?;
    let sum = column(profile, name)?.sum?;
    let plural = if sum == 1.0 { "" } else { "s" };
    Some(Ours::Words(format!("{name}: {sum} positive{plural}")))
}

/// Names that are made of a column's name and what is meant of it.
fn named(profile: &Profile, name: &str) -> Option<Ours> {
    let number = |number: f64| Some(Ours::Number(number));
    let quantity = match name {
        "cost" => "spend",
        other => other,
    };
    if let Some(sum) = total(profile, quantity) {
        return number(sum);
    }
    if let Some(outcome) = name.strip_prefix("z_") {
        let outcomes = profile.experiment.iter().flat_map(|test| &test.outcomes);
        return outcomes.filter(|found| found.column == outcome).find_map(|found| found.z).map(Ours::Number);
    }
    if let Some(part) = name.strip_suffix("_sum") {
        return like(profile, part)?.sum.map(Ours::Number);
    }
    if let Some(part) = name.strip_prefix("mean_") {
        return like(profile, part)?.quantiles.map(|values| Ours::Number(values.mean));
    }
    if let Some(part) = name.strip_prefix("longest_") {
        let lists = || profile.columns.iter().filter(|column| column.lengths.is_some());
        let column = like(profile, part).filter(|column| column.lengths.is_some());
        let longest = |column: &ColumnProfile| column.lengths.map(|lengths| lengths.max);
        return column
            .and_then(longest)
            .or_else(|| lists().filter_map(longest).reduce(f64::max))
            .map(Ours::Number);
    }
    if let Some(part) = name.strip_prefix("distinct_") {
        return number(like(profile, part)?.distinct as f64);
    }
    if let Some(column) = like(profile, name) {
        let is_count = matches!(column.kind, ColumnType::Integer | ColumnType::Real)
            && matches!(
                column.role,
                Role::Numeric | Role::Conversion | Role::Clicks | Role::Weight | Role::Price
            );
        return if is_count { column.sum.map(Ours::Number) } else { number(column.distinct as f64) };
    }
    // The touchpoints of a path are the items of its list.
    let path = profile.columns.iter().find(|column| column.kind == ColumnType::List)?;
    (name == "touchpoints").then_some(Ours::Number(path.distinct as f64))
}

fn column<'a>(profile: &'a Profile, name: &str) -> Option<&'a ColumnProfile> {
    profile.columns.iter().find(|column| column.name == name)
}

/// The column that a figure is named after: `regions` after `region_id`, `null_paths` after `total_null`. Of several the
/// one that shares the most words, then the first word, then the shortest name.
fn like<'a>(profile: &'a Profile, name: &str) -> Option<&'a ColumnProfile> {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|letter: char| !letter.is_alphanumeric()).filter(|part| part.len() > 2);
        parts.map(|part| part.to_lowercase().trim_end_matches('s').to_owned()).collect()
    };
    let wanted = words(name);
    let share = |column: &&ColumnProfile| {
        let own = words(&column.name);
        let met = wanted.iter().filter(|word| own.contains(word)).count();
        let has_first = wanted.first().is_some_and(|word| own.contains(word));
        (met, has_first, std::cmp::Reverse(own.len()))
    };
    profile.columns.iter().max_by_key(share).filter(|column| share(column).0 > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compared(expected: &Value, files: &[(&str, &str)]) -> Comparison {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("expected.json"), expected.to_string()).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        compare(folder.path(), &JobContext::detached()).unwrap()
    }

    #[test]
    fn figures_are_answered_compared_or_listed() {
        let log = "ad,Impressions,Clicks,Spent (EUR)\na,1000,10,1.25\nb,3000,20,2.5\nc,500,7,0\n";
        let expected = json!({
            "log.csv": {"rows": 3, "impressions": 4500, "clicks": 36, "spend": 3.75, "ctr": 0.0082,
                        "currency": "EUR", "moon_phase": "full"},
            "gone.csv": {"rows": 5},
        });
        let comparison = compared(&expected, &[("log.csv", log)]);
        let within = |name: &str| {
            let row = comparison.rows.iter().find(|row| row.quantity == format!("log.csv: {name}"));
            row.unwrap_or_else(|| panic!("{name} in {comparison:?}")).within
        };
        for name in ["rows", "impressions", "spend", "ctr", "currency"] {
            assert!(within(name), "{name}");
        }
        assert!(!within("clicks"), "37 are in the file");
        let unanswered: Vec<&str> =
            comparison.not_answered.iter().map(|figure| figure.quantity.as_str()).collect();
        assert_eq!(unanswered, ["log.csv: moon_phase", "gone.csv: rows"]);
        assert!(comparison.rows.iter().any(|row| row.quantity == "gone.csv: opens" && !row.within));
        assert!(comparison.to_text().contains("5 of 7 figures within, 2 not answered"));
    }

    #[test]
    fn words_for_missing_are_no_empty_fields() {
        assert_eq!(words_for_missing("'Budget name': 2 cells such as '--' count as missing"), Some(2));
        assert_eq!(words_for_missing("'a': 3 cells do not fit its type and count as missing"), None);
        assert_eq!(words_for_missing("'a': 7744 cells of -124 mean missing"), Some(7744));
    }

    #[test]
    fn agreement_is_half_a_unit_of_the_last_digit() {
        assert_eq!(interval(&json!(37)).map(|(low, high)| (low.round(), high.round())), Some((37.0, 37.0)));
        let (low, high) = interval(&json!(-2.63)).unwrap();
        assert!(low < -2.627 && -2.627 < high && !(low..=high).contains(&-2.636));
        assert!(agrees(&json!("ascii"), "UTF-8") && agrees(&json!("utf-16le-bom"), "UTF-16LE"));
        assert!(!agrees(&json!("gb18030"), "UTF-8"));
    }

    #[test]
    fn a_folder_without_figures_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let failure = compare(folder.path(), &JobContext::detached()).unwrap_err();
        assert!(failure.hint.contains("expected.json"), "{failure}");
    }
}
