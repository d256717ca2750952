//! What is this log, in the one sentence that a person wants first?

use super::{ColumnProfile, LabelProfile, TestSeries, Total};
use crate::base::numbers::{grouped, grouped_sum};
use crate::data::calendar::date_of;
use crate::data::frame::LogFrame;
use crate::data::schema::Role;
use crate::data::shape::{Detected, Shape};

/// What the sentence is made from.
pub(super) struct Facts<'a> {
    pub log: &'a LogFrame,
    pub shape: &'a Detected,
    pub columns: &'a [ColumnProfile],
    pub label: Option<&'a LabelProfile>,
    pub totals: &'a [Total],
    pub currency: Option<&'a str>,
    pub tests: Option<&'a TestSeries>,
    pub time_range: Option<(i64, i64)>,
}

impl Facts<'_> {
    /// "aggregated log: 1,143 rows stand for 213,434,828 impressions, CTR 0.0179 % (0.0177 to 0.0181)".
    pub fn sentence(&self) -> String {
        let mut text = self.what();
        for part in [self.sample(), self.tests(), self.money(), self.span()].into_iter().flatten() {
            text += "; ";
            text += &part;
        }
        text
    }

    fn rows(&self) -> String {
        grouped(self.log.rows() as f64, ',')
    }

    fn first(&self) -> &str {
        self.shape.columns.first().map_or("", String::as_str)
    }

    fn what(&self) -> String {
        let rows = self.rows();
        match self.shape.shape {
            Shape::Aggregated => self.aggregated(),
            Shape::Impressions => self.impressions(),
            Shape::Events => format!(
                "event stream: {rows} rows, {}; join clicks to their impressions with --shape impressions",
                self.shape.detail
            ),
            Shape::Wide => self.wide(),
            Shape::Scoring => format!("{rows} rows to be scored: the outcome is not known yet"),
            Shape::Ratings => self.ratings(),
            Shape::Pairs => format!(
                "pairs of texts with preferences: {rows} pairs in {}; no clicks to learn from",
                named(&self.shape.columns)
            ),
            Shape::Texts => format!(
                "one text column, no metrics: {rows} texts in '{}', {} distinct; not a log",
                self.first(),
                grouped(self.distinct(self.first()) as f64, ',')
            ),
            Shape::Paths => format!("paths: {rows} rows, {}{}", self.shape.detail, self.conversions()),
            Shape::Series => format!(
                "series by '{}': {rows} periods with the spend of {} channels; nothing here is a click on an ad",
                self.shape.detail,
                self.shape.columns.len()
            ),
            Shape::Curve => format!(
                "traffic curve: '{}' by '{}' for {}; usable for pacing, not a log",
                self.first(),
                self.shape.columns.get(1).map_or("", String::as_str),
                self.shape.detail
            ),
            Shape::Users => format!(
                "table of {rows} users (key '{}') without a log: join it to one on that key",
                self.first()
            ),
            Shape::Items => self.items(),
            Shape::Table => self.table(),
        }
    }

    fn aggregated(&self) -> String {
        let rows = self.rows();
        let Some(label) = self.label else {
            let shown = self.total("impressions").map_or(0.0, |total| total.sum);
            return format!(
                "aggregated log: {rows} rows stand for {} impressions; no column counts clicks",
                grouped(shown, ',')
            );
        };
        let is_click = self.total("interactions").is_none_or(|total| total.column != label.column);
        let rate = if is_click { "CTR" } else { "interaction rate" };
        let doubt = if is_click && label.rate > 0.5 { ", which no campaign has" } else { "" };
        let known = match label.impressions {
            0 => format!("{rate} n/a"),
            _ => format!("{rate} {}{doubt}", percent(label)),
        };
        let unseen = self.total("clicks_without_impressions");
        let unseen = unseen.map(|total| {
            format!(" ({} clicks in rows without impressions stay out of it)", grouped(total.sum, ','))
        });
        format!(
            "aggregated log: {rows} rows stand for {} impressions, {known}{}",
            grouped(label.impressions as f64, ','),
            unseen.unwrap_or_default()
        )
    }

    fn impressions(&self) -> String {
        let rows = self.rows();
        let Some(label) = self.label else {
            return format!("{rows} rows with an outcome");
        };
        let is_click = matches!(
            label.column.to_lowercase().as_str(),
            "click" | "clk" | "clicks" | "is_click" | "clicked" | "label" | "点击"
        );
        let row = if is_click { "impression" } else { "case" };
        format!("one row per {row}: {rows} rows, '{}' in {}", label.column, percent(label))
    }

    fn wide(&self) -> String {
        // A last row of sums counts every click a second time.
        let has_sums = !self.shape.detail.is_empty();
        let rounds = self.log.rows() - usize::from(has_sums);
        let clicks = self.sum_of(&self.shape.columns) / if has_sums { 2.0 } else { 1.0 };
        format!(
            "wide log: {} rounds with one 0/1 column for each of {} ads, {} clicks in all{}; --shape long makes one \
             row per ad and round",
            grouped(rounds as f64, ','),
            self.shape.columns.len(),
            grouped(clicks, ','),
            self.shape.detail
        )
    }

    fn items(&self) -> String {
        let reach = self.total("reach");
        let reach = reach.map(|total| format!(", reach {}", grouped(total.sum, ','))).unwrap_or_default();
        format!(
            "table of {} ads or items (key '{}'){reach}, without a log: join it to one on that key",
            self.rows(),
            self.first()
        )
    }

    /// Rows with a time and somebody or something are a log whose outcome is not in it.
    fn table(&self) -> String {
        let with = |role: Role| self.log.schema.with_role(role).map(|column| format!("'{}'", column.name));
        let who = with(Role::User).or_else(|| with(Role::Ad)).or_else(|| with(Role::Slot));
        let plural = if self.log.rows() == 1 { "row" } else { "rows" };
        match (with(Role::Time), who) {
            (Some(time), Some(who)) => format!(
                "log of {} {plural} by {time} and {who} without an outcome: it may stand in another file",
                self.rows()
            ),
            _ => format!(
                "table of {} {plural} and {} columns; no outcome found",
                self.rows(),
                self.columns.len()
            ),
        }
    }

    fn ratings(&self) -> String {
        let rating = self.columns.iter().find(|column| column.name == self.first());
        let mean = rating.and_then(|column| column.quantiles).map_or(0.0, |values| values.mean);
        let name = self.first();
        format!(
            "ratings: {} in '{name}', mean {mean:.2}; a threshold makes the label, such as --role '{name}>=4=label'",
            self.rows()
        )
    }

    fn conversions(&self) -> String {
        match self.total("conversions") {
            Some(total) => format!(", {} conversions", grouped(total.sum, ',')),
            None => String::new(),
        }
    }

    fn sample(&self) -> Option<String> {
        self.log.source.layout.sample.as_ref().map(ToString::to_string)
    }

    fn tests(&self) -> Option<String> {
        let series = self.tests?;
        Some(format!(
            "{} tests of {} arms (median), {} with p < 0.05 where chance alone makes {:.0}",
            grouped(series.tests as f64, ','),
            series.median_arms,
            grouped(series.decided as f64, ','),
            series.decided_by_chance
        ))
    }

    fn money(&self) -> Option<String> {
        let has_counts = matches!(self.shape.shape, Shape::Aggregated | Shape::Paths);
        let spend = self.total("spend").filter(|_| has_counts)?;
        let sum = grouped_sum(spend.sum, ',');
        Some(match self.currency {
            Some(sign) if !sign.chars().all(char::is_alphabetic) => format!("spend {sign}{sum}"),
            Some(code) => format!("spend {sum} {code}"),
            None => format!("spend {sum}"),
        })
    }

    fn span(&self) -> Option<String> {
        let (first, last) = self.time_range?;
        Some(format!("{} to {}", date_of(first), date_of(last)))
    }

    fn total(&self, quantity: &str) -> Option<&Total> {
        self.totals.iter().find(|total| total.quantity == quantity)
    }

    fn sum_of(&self, names: &[String]) -> f64 {
        let columns = self.columns.iter().filter(|column| names.contains(&column.name));
        columns.filter_map(|column| column.sum).sum()
    }

    fn distinct(&self, name: &str) -> u64 {
        self.columns.iter().find(|column| column.name == name).map_or(0, |column| column.distinct)
    }
}

/// `0.0179 % (0.0177 to 0.0181)`, with as many digits as the interval is worth.
fn percent(label: &LabelProfile) -> String {
    let width = 100.0 * (label.high - label.low);
    let digits = if width > 0.0 { (-width.log10().floor()).clamp(2.0, 6.0) as usize } else { 4 };
    format!(
        "{:.digits$} % ({:.digits$} to {:.digits$})",
        100.0 * label.rate,
        100.0 * label.low,
        100.0 * label.high
    )
}

fn named(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" and ")
}
