//! How does an event stream (rows of `view`, `click`, `buy`) become impressions with their clicks?
//!
//! A click belongs to the latest view of the same ad by the same user that is not older than the window; a purchase to
//! the latest clicked one. What finds no partner is counted and told, never dropped in silence.

use super::long::free_name;
use crate::base::failure::Explain;
use crate::base::numbers::grouped;
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::frame::LogFrame;
use crate::data::importers::RoleHint;
use crate::data::infer;
use crate::data::schema::{Column, ColumnType, Role};
use crate::jobs::JobContext;
use polars::prelude::{IdxCa, IntoColumn, NamedFrom, NewChunkedArray, PlSmallStr, Series};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const HOUR_MILLIS: f64 = 3_600_000.0;

/// Windows of attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventJoin {
    /// Longest time from a view to its click, in minutes.
    pub click_minutes: u32,
    /// Longest time from a click (or a view, where nobody counts clicks) to its conversion, in minutes.
    pub conversion_minutes: u32,
}

impl Default for EventJoin {
    /// A day and thirty days.
    fn default() -> Self {
        Self { click_minutes: 24 * 60, conversion_minutes: 30 * 24 * 60 }
    }
}

impl EventJoin {
    fn click_hours(self) -> f64 {
        f64::from(self.click_minutes) / 60.0
    }

    fn conversion_hours(self) -> f64 {
        f64::from(self.conversion_minutes) / 60.0
    }
}

/// What a row of the stream is; the order is that of the events of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    View,
    Click,
    Conversion,
    Other,
}

const VIEWS: &[&str] = &[
    "view",
    "views",
    "viewed",
    "pageview",
    "page_view",
    "item_view",
    "product_view",
    "imp",
    "imps",
    "impr",
    "impression",
    "impressions",
    "ad_impression",
    "show",
    "shown",
    "exposure",
    "expose",
    "display",
    "pv",
    "served",
    "曝光",
    "展示",
    "展现",
    "浏览",
];
const CLICKS: &[&str] = &["click", "clicks", "clicked", "clk", "ad_click", "tap", "点击"];
const CONVERSIONS: &[&str] = &[
    "buy",
    "bought",
    "purchase",
    "purchased",
    "order",
    "conversion",
    "conv",
    "install",
    "transaction",
    "pay",
    "payment",
    "sale",
    "checkout_completed",
    "signup",
    "subscribe",
    "购买",
    "转化",
    "下单",
];
const OTHERS: &[&str] = &[
    "cart",
    "add_to_cart",
    "addtocart",
    "remove_from_cart",
    "fav",
    "favorite",
    "favourite",
    "like",
    "share",
    "follow",
    "wishlist",
    "scroll",
    "play",
    "hover",
    "checkout",
    "login",
    "search",
    "加购",
    "收藏",
];

/// The column that says what a row is.
pub(super) struct EventColumn {
    pub name: String,
    kinds: Vec<Kind>,
    codes: Vec<u32>,
    values: Vec<(String, u64)>,
}

impl EventColumn {
    /// "'event' says view 120, click 12".
    pub fn describe(&self) -> String {
        let values: Vec<String> = self
            .values
            .iter()
            .map(|(value, count)| format!("{value} {}", grouped(*count as f64, ',')))
            .collect();
        format!("'{}' says {}", self.name, values.join(", "))
    }

    fn kind(&self, row: usize) -> Option<Kind> {
        self.codes.get(row).and_then(|code| self.kinds.get(*code as usize)).copied()
    }

    fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// Finds it by name, and every value must be a known event.
pub(super) fn event_column(log: &LogFrame) -> Result<Option<EventColumn>> {
    const MOST_KINDS: usize = 20;
    let says_event = |column: &&Column| {
        let name = column.name.to_lowercase();
        let words = ["event", "action", "btag", "behavior", "behaviour", "log_type", "logtype", "activity"];
        column.kind == ColumnType::Text
            && (words.iter().any(|word| name.contains(word))
                || ["type", "行为", "事件", "动作", "行为类型"].contains(&name.as_str()))
    };
    for column in log.schema.columns.iter().filter(says_event) {
        let coded = cells::coded(log, &column.name)?;
        if coded.values.len() < 2 || coded.values.len() > MOST_KINDS {
            continue;
        }
        let kinds: Option<Vec<Kind>> = coded.values.iter().map(|value| kind_of(value)).collect();
        let Some(kinds) = kinds.filter(|kinds| kinds.contains(&Kind::View) || kinds.contains(&Kind::Click))
        else {
            continue;
        };
        let mut counts = vec![0u64; coded.values.len()];
        for code in &coded.codes {
            if let Some(count) = counts.get_mut(*code as usize) {
                *count += 1;
            }
        }
        let values = coded.values.into_iter().zip(counts).collect();
        return Ok(Some(EventColumn { name: column.name.clone(), kinds, codes: coded.codes, values }));
    }
    Ok(None)
}

fn kind_of(value: &str) -> Option<Kind> {
    let value = value.trim().to_lowercase().replace([' ', '-'], "_");
    let lists =
        [(Kind::View, VIEWS), (Kind::Click, CLICKS), (Kind::Conversion, CONVERSIONS), (Kind::Other, OTHERS)];
    lists.into_iter().find(|(_, words)| words.contains(&value.as_str())).map(|(kind, _)| kind)
}

/// What became of the events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    views: u64,
    clicks: u64,
    repeated: u64,
    unmatched_clicks: u64,
    conversions: u64,
    unmatched_conversions: u64,
    without_key: u64,
    others: u64,
}

/// One impression with what followed; times in milliseconds.
#[derive(Debug, Clone, Copy)]
struct View {
    row: u32,
    at: i64,
    clicked_at: Option<i64>,
    converted_at: Option<i64>,
}

/// One row per view.
pub(super) fn impressions(log: &LogFrame, join: EventJoin, context: &JobContext) -> Result<LogFrame> {
    let what = "cannot join the events";
    let column = event_column(log)?.ok_or_else(|| {
        Failure::new(what, "no column says of each row whether it is a view or a click")
            .hint("a log with a column such as 'event' that holds view, click and the like")
    })?;
    if !column.has(Kind::View) {
        return Err(Failure::new(what, format!("no row of '{}' is a view", column.name))
            .hint("a log that holds the impressions as well as the clicks"));
    }
    let needed = |role: Role| {
        log.schema.with_role(role).map(|column| column.name.clone()).ok_or_else(|| {
            Failure::new(what, format!("no column has the role {role}")).hint(format!("--role COLUMN={role}"))
        })
    };
    let (user, ad, time) = (needed(Role::User)?, needed(Role::Ad)?, needed(Role::Time)?);
    if !cells::is_calendar_time(log, &time)? {
        return Err(Failure::new(what, "its numbers do not say how long an hour is")
            .at(format!("column '{time}'"))
            .hint(
                "times as dates, or as seconds or milliseconds since 1970 in a column whose name says time",
            ));
    }
    let users = cells::coded(log, &user)?.codes;
    let ads = cells::coded(log, &ad)?.codes;
    let times = cells::times(log, &time)?;
    context.check()?;
    let (mut views, tally) = attribute(&column, &users, &ads, &times, join);
    views.sort_unstable_by_key(|view| view.row);
    joined(log, &column, &views, &tally, join, context)
}

/// Goes through the events of each user and ad in order of time.
fn attribute(
    column: &EventColumn,
    users: &[u32],
    ads: &[u32],
    times: &[Option<i64>],
    join: EventJoin,
) -> (Vec<View>, Tally) {
    let mut tally = Tally::default();
    let mut events: Vec<(u32, u32, i64, Kind, u32)> = Vec::new();
    for (row, ((&user, &ad), time)) in users.iter().zip(ads).zip(times).enumerate() {
        match (column.kind(row), time) {
            (Some(Kind::Other), _) => tally.others += 1,
            (Some(kind), Some(at)) if user != NO_CODE && ad != NO_CODE => {
                events.push((user, ad, *at, kind, row as u32));
            }
            _ => tally.without_key += 1,
        }
    }
    events.sort_unstable();
    let has_clicks = column.has(Kind::Click);
    let mut views: Vec<View> = Vec::new();
    for group in events.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
        let begin = views.len();
        for &(_, _, at, kind, row) in group {
            let of_group = views.get_mut(begin..).unwrap_or_default();
            match kind {
                Kind::View => views.push(View { row, at, clicked_at: None, converted_at: None }),
                Kind::Click => match latest(of_group, |view| Some(view.at), at, join.click_hours()) {
                    None => tally.unmatched_clicks += 1,
                    Some(view) if view.clicked_at.is_some() => tally.repeated += 1,
                    Some(view) => {
                        view.clicked_at = Some(at);
                        tally.clicks += 1;
                    }
                },
                Kind::Conversion => {
                    let since = |view: &View| if has_clicks { view.clicked_at } else { Some(view.at) };
                    match latest(of_group, since, at, join.conversion_hours()) {
                        None => tally.unmatched_conversions += 1,
                        Some(view) => {
                            view.converted_at = view.converted_at.or(Some(at));
                            tally.conversions += 1;
                        }
                    }
                }
                Kind::Other => {}
            }
        }
    }
    tally.views = views.len() as u64;
    (views, tally)
}

/// The latest view whose moment lies at most `hours` back.
fn latest(
    views: &mut [View],
    moment: impl Fn(&View) -> Option<i64>,
    at: i64,
    hours: f64,
) -> Option<&mut View> {
    views.iter_mut().rev().find(|view| {
        moment(view).is_some_and(|since| since <= at && (at - since) as f64 <= hours * HOUR_MILLIS)
    })
}

impl Tally {
    fn note(&self, join: EventJoin) -> String {
        format!(
            "{} views became rows; {} clicks joined within {} h, {} more on a view that had one, {} without a view; \
             {} conversions joined within {} h, {} without a click; {} rows without user, ad or time and {} other \
             events left out",
            self.views,
            self.clicks,
            join.click_hours(),
            self.repeated,
            self.unmatched_clicks,
            self.conversions,
            join.conversion_hours(),
            self.unmatched_conversions,
            self.without_key,
            self.others
        )
    }
}

fn joined(
    log: &LogFrame,
    column: &EventColumn,
    views: &[View],
    tally: &Tally,
    join: EventJoin,
    context: &JobContext,
) -> Result<LogFrame> {
    let what = "cannot join the events";
    let rows: Vec<u32> = views.iter().map(|view| view.row).collect();
    let frame = log.frame.drop(&column.name).explain(what)?;
    let mut frame = frame.take(&IdxCa::from_slice(PlSmallStr::EMPTY, &rows)).explain(what)?;
    let names: Vec<String> = frame.columns().iter().map(|column| column.name().to_string()).collect();
    let taken: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut hints = Vec::new();
    let mut add = |name: &str, series: Series, role: Role, evidence: &str| -> Result<()> {
        let name = free_name(name, &taken);
        let series = series.with_name(name.as_str().into());
        frame.with_column(series.into_column()).explain(what)?;
        hints.push(RoleHint { column: name, role, evidence: evidence.to_owned(), is_final: true });
        Ok(())
    };
    let flags = |is: &dyn Fn(&View) -> bool| {
        Series::new(PlSmallStr::EMPTY, views.iter().map(|view| i64::from(is(view))).collect::<Vec<_>>())
    };
    let has_clicks = column.has(Kind::Click);
    if has_clicks {
        let evidence = "a click of the same user and ad followed in time";
        add("click", flags(&|view| view.clicked_at.is_some()), Role::Label, evidence)?;
    }
    if column.has(Kind::Conversion) {
        let role = if has_clicks { Role::Conversion } else { Role::Label };
        let evidence = "a conversion of the same user and ad followed in time";
        add("conversion", flags(&|view| view.converted_at.is_some()), role, evidence)?;
        let delay = |view: &View| {
            let since = view.clicked_at.unwrap_or(view.at);
            view.converted_at.map(|at| (at - since) as f64 / HOUR_MILLIS)
        };
        let delays = Series::new(PlSmallStr::EMPTY, views.iter().map(delay).collect::<Vec<_>>());
        add("conversion_delay_hours", delays, Role::Ignored, "known only after the conversion")?;
    }
    let mut source = (*log.source).clone();
    source.kept_in = None;
    source.notes.push(tally.note(join));
    let read = infer::infer(frame, Arc::new(source), &hints, context)?;
    Ok(LogFrame { revision: log.revision + 1, ..read })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::profile::profile;
    use crate::data::shape::{Reshape, Shape, reshape};
    use polars::prelude::{DataType, TimeUnit, df};

    /// Hours after the start; user u sees ad x twice.
    fn stream() -> LogFrame {
        let rows: [(Option<&str>, &str, i64, &str); 12] = [
            (Some("u"), "x", 0, "view"),
            (Some("u"), "x", 10, "view"),
            (Some("u"), "x", 11, "click"),
            (Some("u"), "x", 12, "click"),
            (Some("u"), "x", 40, "buy"),
            (Some("u"), "y", 1, "view"),
            (Some("u"), "y", 30, "click"),
            (Some("v"), "x", 5, "click"),
            (Some("v"), "y", 5, "view"),
            (Some("v"), "y", 6, "cart"),
            (Some("v"), "y", 7, "buy"),
            (None, "y", 7, "view"),
        ];
        let mut frame = df!(
            "user_id" => rows.map(|row| row.0),
            "ad_id" => rows.map(|row| row.1),
            "time" => rows.map(|row| row.2 * 3_600_000),
            "event" => rows.map(|row| row.3),
        )
        .unwrap();
        let times =
            frame.column("time").unwrap().cast(&DataType::Datetime(TimeUnit::Milliseconds, None)).unwrap();
        frame.with_column(times).unwrap();
        let roles = [
            ("user_id", Role::User),
            ("ad_id", Role::Ad),
            ("time", Role::Time),
            ("event", Role::Categorical),
        ];
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    #[test]
    fn a_click_belongs_to_the_latest_view_in_time() {
        let context = JobContext::detached();
        let found = profile(&stream(), &context).unwrap();
        assert_eq!(found.shape, Shape::Events);
        assert!(found.reading.contains("'event' says view 5, click 4"), "{}", found.reading);
        let log = reshape(&stream(), Reshape::Impressions(EventJoin::default()), &context).unwrap();
        // Views in file order: u-x at 0, u-x at 10, u-y at 1, v-y at 5.
        assert_eq!(cells::numbers(&log, "click").unwrap(), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(cells::numbers(&log, "conversion").unwrap(), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(cells::numbers(&log, "conversion_delay_hours").unwrap()[1], 29.0);
        let note = log.source.notes.last().unwrap();
        for part in [
            "4 views became rows",
            "1 clicks joined within 24 h, 1 more on a view that had one, 2 without a view",
            "1 conversions joined within 720 h, 1 without a click",
            "1 rows without user, ad or time and 1 other events left out",
        ] {
            assert!(note.contains(part), "{note}");
        }
        assert_eq!(log.schema.with_role(Role::Label).unwrap().name, "click");
    }

    #[test]
    fn a_wider_window_joins_more() {
        let join: Reshape = "impressions:48".parse().unwrap();
        let log = reshape(&stream(), join, &JobContext::detached()).unwrap();
        assert_eq!(cells::numbers(&log, "click").unwrap(), [0.0, 1.0, 1.0, 0.0]);
        assert!("impressions:0".parse::<Reshape>().is_err());
        assert!("tall".parse::<Reshape>().unwrap_err().hint.contains("long"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut log = stream();
        log.assign("ad_id", Role::Categorical).unwrap();
        let failure =
            reshape(&log, Reshape::Impressions(EventJoin::default()), &JobContext::detached()).unwrap_err();
        assert!(failure.hint.contains("=ad"), "{failure}");
    }
}
