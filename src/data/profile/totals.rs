//! What do the counts and the money of the log add up to, and in which currency?

use super::columns::Described;
use super::{Issue, IssueKind, issues};
use crate::base::Result;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::importers::{self, CURRENCIES};
use crate::data::infer::{Meaning, Quantity, meaning};
use crate::data::schema::{ColumnType, Role};
use serde::{Deserialize, Serialize};

/// Names that fit a quantity worse than this are something of their own.
const NEAR_ENOUGH: u32 = 60;
/// From here on a name says nothing else.
const PLAIN: u32 = 90;

/// A sum to hold against a figure from elsewhere (a total row, the platform's own report).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// What is added up: `impressions`, `clicks`, `spend`, …
    pub quantity: String,
    /// The column.
    pub column: String,
    /// Cells that hold a number; the others are unknown, not 0.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
}

/// The sums of all columns that count something or hold money; the best column of each quantity first.
pub(super) fn totals(log: &LogFrame, described: &Described) -> Result<Vec<Total>> {
    let rows = log.rows() as u64;
    // In a log of one row per impression, a loose name (NumWebPurchases) is a feature, no control figure.
    let is_counted = log.schema.with_role(Role::Label).is_none();
    let near_enough = if is_counted { NEAR_ENOUGH } else { PLAIN };
    let mut found: Vec<(Quantity, u32, Total)> = Vec::new();
    for column in &described.columns {
        let (Some(sum), ColumnType::Integer | ColumnType::Real) = (column.sum, column.kind) else {
            continue;
        };
        let by_role = match column.role {
            Role::Weight => Some((Quantity::Impressions, 100)),
            Role::Clicks => Some((Quantity::Clicks, 100)),
            Role::Label => continue,
            _ => None,
        };
        let by_name = match meaning(&column.name) {
            Meaning::Counts(quantity, score) if score >= near_enough => Some((quantity, score)),
            _ => None,
        };
        // Interactions that stand in for clicks are still called by their name.
        let named = by_name.filter(|(quantity, _)| *quantity == Quantity::Interactions);
        if let Some((quantity, score)) = named.or(by_role).or(by_name) {
            let (n, sum) = over_all_rows(log, &column.name).unwrap_or((rows - column.missing, sum));
            let total = Total { quantity: quantity.id().to_owned(), column: column.name.clone(), n, sum };
            found.push((quantity, score, total));
        }
    }
    found.sort_by_key(|(quantity, score, _)| (*quantity, std::cmp::Reverse(*score)));
    let mut totals: Vec<Total> = found.into_iter().map(|(_, _, total)| total).collect();
    totals.extend(unseen_clicks(log)?);
    Ok(totals)
}

/// Cells and sum over the rows of the file, where the log holds a sample of them.
fn over_all_rows(log: &LogFrame, column: &str) -> Option<(u64, f64)> {
    let totals = &log.source.layout.sample.as_ref()?.totals;
    totals.iter().find(|total| total.column == column).map(|total| (total.n, total.sum))
}

/// Clicks in rows of which no impressions are known.
fn unseen_clicks(log: &LogFrame) -> Result<Option<Total>> {
    let (Some(weight), Some(clicks)) =
        (log.schema.with_role(Role::Weight), log.schema.with_role(Role::Clicks))
    else {
        return Ok(None);
    };
    let shown = cells::numbers(log, &weight.name)?;
    let clicked = cells::numbers(log, &clicks.name)?;
    let unseen = shown.iter().zip(&clicked);
    let unseen = unseen.filter(|(shown, clicks)| (shown.is_nan() || **shown <= 0.0) && **clicks > 0.0);
    let (n, sum) = unseen.fold((0, 0.0), |(n, sum), (_, clicks)| (n + 1, sum + clicks));
    Ok((n > 0).then(|| Total {
        quantity: "clicks_without_impressions".to_owned(),
        column: clicks.name.clone(),
        n,
        sum,
    }))
}

/// The one currency of the log, or the objection that there are several.
pub(super) fn currency(log: &LogFrame, described: &Described) -> (Option<String>, Option<Issue>) {
    let layout = &log.source.layout.columns;
    let mut found: Vec<(String, &str)> = Vec::new();
    for (column, text) in described.columns.iter().zip(&described.texts) {
        let is_number = matches!(column.kind, ColumnType::Integer | ColumnType::Real);
        let read =
            layout.iter().find(|reading| reading.column == column.name && !reading.currency.is_empty());
        let in_header = || currency_of(&column.name).filter(|_| is_number).map(str::to_owned);
        let at_cells = read.map(|reading| reading.currency.clone()).or_else(in_header);
        let is_code = |value: &String| CURRENCIES.contains(&value.trim());
        let codes = text.as_ref().map(|text| &text.values).filter(|values| {
            !values.is_empty() && values.iter().all(is_code) && column.kind == ColumnType::Text
        });
        let codes = codes.into_iter().flatten().map(|value| value.trim().to_owned());
        for code in at_cells.into_iter().chain(codes) {
            if !found.iter().any(|(known, _)| *known == code) {
                found.push((code, &column.name));
            }
        }
    }
    // A bare sign of dollars or yen fits any of their codes.
    let fits = |sign: &str, code: &str| match sign {
        "$" => code.ends_with('D') || code == "MXN",
        "¥" => matches!(code, "JPY" | "CNY" | "RMB"),
        _ => false,
    };
    let codes: Vec<String> = found.iter().map(|(code, _)| code.clone()).collect();
    found.retain(|(sign, _)| !codes.iter().any(|code| fits(sign, code)));
    match found.as_slice() {
        [] => (None, None),
        [(code, _)] => (Some(code.clone()), None),
        [(_, column), ..] => {
            let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
            let detail = format!(
                "{}: a sum over them means nothing; filter one currency before adding up money",
                codes.join(", ")
            );
            let rows = log.rows() as u64;
            (None, Some(issues::issue(IssueKind::MixedCurrencies, Some(column), rows, detail)))
        }
    }
}

/// `Amount spent (EUR)`, `cost_usd`, `花费（元）`: the code.
fn currency_of(name: &str) -> Option<&'static str> {
    let says_money = match meaning(name) {
        Meaning::Counts(quantity, _) => quantity.is_money(),
        Meaning::Ratio => true,
        Meaning::Other => false,
    };
    let last = name.rsplit(['_', ' ', '.']).next().filter(|_| says_money);
    let of_last =
        last.and_then(|last| CURRENCIES.iter().find(|code| code.eq_ignore_ascii_case(last)).copied());
    importers::currency_in(name).or(of_last)
}

/// The log's own total rows against the sums of its columns. Differences that rounding explains are no objection.
pub(super) fn against_total_rows(log: &LogFrame, described: &Described) -> Vec<Issue> {
    let mut issues = Vec::new();
    let layout = &log.source.layout;
    for column in &described.columns {
        let is_summed = matches!(meaning(&column.name), Meaning::Counts(..));
        let Some(sum) = column.sum.filter(|_| is_summed) else { continue };
        let sum = over_all_rows(log, &column.name).map_or(sum, |(_, sum)| sum);
        let plan = layout.columns.iter().find(|reading| reading.column == column.name);
        let plan = plan.map_or("", |reading| reading.plan.as_str());
        let stated = layout.totals.iter().filter_map(|row| {
            let (_, cell) = row.cells.iter().find(|(name, _)| *name == column.name)?;
            Some((row, importers::number_in(cell, plan)?))
        });
        // Several total rows split the sum in several ways: the one that is nearest is about all rows.
        let apart = |stated: f64| (stated - sum).abs();
        let nearest = stated.min_by(|one, next| apart(one.1).total_cmp(&apart(next.1)));
        let Some((row, stated)) = nearest else { continue };
        // Every row may be off by half a unit of the last digit that is shown.
        let unit = if column.kind == ColumnType::Integer { 0.0 } else { 0.01 };
        let rounding = 0.5 * unit * (log.rows() as f64 + 1.0);
        if apart(stated) > rounding + 1e-9 * sum.abs() {
            let detail = format!(
                "'{}' in line {} says {stated}, the rows add up to {sum}: more than rounding explains ({rounding:.2})",
                row.label, row.line
            );
            issues.push(issues::issue(IssueKind::TotalsDiffer, Some(&column.name), 1, detail));
        }
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_stand_in_headers() {
        assert_eq!(currency_of("Amount spent (EUR)"), Some("EUR"));
        assert_eq!(currency_of("CPM (cost per 1,000 impressions) (GBP)"), Some("GBP"));
        assert_eq!(currency_of("cost_usd"), Some("USD"));
        assert_eq!(currency_of("花费（元）"), Some("CNY"));
        assert_eq!(currency_of("Cost"), None);
        assert_eq!(currency_of("Reach (all)"), None);
        assert_eq!(currency_of("try"), None);
    }
}
