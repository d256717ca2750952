//! What do the counts and the money of the log add up to, and in which currency?

use super::columns::Described;
use super::{Issue, IssueKind, issues};
use crate::base::Result;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::infer::{CURRENCIES, Meaning, Quantity, meaning};
use crate::data::schema::{ColumnType, Role};
use serde::{Deserialize, Serialize};

/// Names that fit a quantity worse than this are something of their own.
const NEAR_ENOUGH: u32 = 60;

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
            Meaning::Counts(quantity, score) if score >= NEAR_ENOUGH => Some((quantity, score)),
            _ => None,
        };
        // Interactions that stand in for clicks are still called by their name.
        let named = by_name.filter(|(quantity, _)| *quantity == Quantity::Interactions);
        if let Some((quantity, score)) = named.or(by_role).or(by_name) {
            let total = Total {
                quantity: quantity.id().to_owned(),
                column: column.name.clone(),
                n: rows - column.missing,
                sum,
            };
            found.push((quantity, score, total));
        }
    }
    found.sort_by_key(|(quantity, score, _)| (*quantity, std::cmp::Reverse(*score)));
    let mut totals: Vec<Total> = found.into_iter().map(|(_, _, total)| total).collect();
    totals.extend(unseen_clicks(log)?);
    Ok(totals)
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
    let mut found: Vec<(String, &str)> = Vec::new();
    for (column, text) in described.columns.iter().zip(&described.texts) {
        let in_header = currency_in(&column.name);
        let is_code = |value: &String| CURRENCIES.contains(&value.trim());
        let values = text.as_ref().map(|text| &text.values).filter(|values| {
            !values.is_empty() && values.iter().all(is_code) && column.kind == ColumnType::Text
        });
        let in_cells = values.into_iter().flatten().map(|value| value.trim().to_owned());
        for code in in_header.map(str::to_owned).into_iter().chain(in_cells) {
            if !found.iter().any(|(known, _)| *known == code) {
                found.push((code, &column.name));
            }
        }
    }
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
fn currency_in(name: &str) -> Option<&'static str> {
    const SIGNS: [(&str, &str); 6] =
        [("€", "EUR"), ("$", "USD"), ("£", "GBP"), ("₹", "INR"), ("元", "CNY"), ("円", "JPY")];
    let says_money = matches!(meaning(name), Meaning::Counts(quantity, _) if quantity.is_money())
        || matches!(meaning(name), Meaning::Ratio);
    let inner = name.rsplit_once('(').and_then(|(_, rest)| rest.split(')').next());
    let last = name.rsplit(['_', ' ', '.']).next();
    let code = |text: &str| CURRENCIES.iter().find(|code| code.eq_ignore_ascii_case(text.trim())).copied();
    let bracketed = inner.and_then(code);
    if bracketed.is_some() || !says_money {
        return bracketed;
    }
    let sign = || SIGNS.iter().find(|(sign, _)| name.contains(sign)).map(|(_, code)| *code);
    last.and_then(code).or_else(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_stand_in_headers() {
        assert_eq!(currency_in("Amount spent (EUR)"), Some("EUR"));
        assert_eq!(currency_in("CPM (cost per 1,000 impressions) (GBP)"), Some("GBP"));
        assert_eq!(currency_in("cost_usd"), Some("USD"));
        assert_eq!(currency_in("花费（元）"), Some("CNY"));
        assert_eq!(currency_in("Reach (all)"), None);
        assert_eq!(currency_in("try"), None);
    }
}
