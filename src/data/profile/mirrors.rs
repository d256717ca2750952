//! Do two sources report the same events? A log that holds both counts every click twice.

use super::{Issue, IssueKind, issues};
use crate::base::Result;
use crate::data::cells::{self, Coded, NO_CODE};
use crate::data::frame::LogFrame;
use crate::data::profile::ColumnProfile;
use crate::data::schema::{ColumnType, Role};
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// More sources than this are no sources.
const MOST_SOURCES: usize = 12;
/// Two sources mirror each other when this share of the smaller one's rows stands in the other too.
const MIRRORED: f64 = 0.5;
/// Fewer common rows may be chance.
const ENOUGH_ROWS: u64 = 20;

/// The objection to two sources with the same counts at the same times and campaigns.
pub(super) fn find(log: &LogFrame, columns: &[ColumnProfile]) -> Result<Option<Issue>> {
    let schema = &log.schema;
    let (Some(weight), Some(clicks)) = (schema.with_role(Role::Weight), schema.with_role(Role::Clicks))
    else {
        return Ok(None);
    };
    let source = columns.iter().find(|column| {
        let name = column.name.to_lowercase();
        let says = ["source", "channel", "platform", "network", "provider", "quelle", "渠道", "来源"];
        column.kind == ColumnType::Text
            && (2..=MOST_SOURCES as u64).contains(&column.distinct)
            && says.iter().any(|word| name.contains(word))
    });
    let Some(source) = source else {
        return Ok(None);
    };
    let sources = cells::coded(log, &source.name)?;
    let keys = keys(log, &[&weight.name, &clicks.name], &source.name)?;
    let Some(mirror) = closest(&sources, &keys) else {
        return Ok(None);
    };
    let detail = format!(
        "'{}' and '{}' agree in every count of {} rows ({:.0} % of the smaller): the same events counted twice? Keep one",
        mirror.names[0],
        mirror.names[1],
        mirror.common,
        100.0 * mirror.share
    );
    Ok(Some(issues::issue(IssueKind::DoubleCounting, Some(&source.name), mirror.common, detail)))
}

/// One number per row, equal where time, campaign, ad and counts are; `None` without a click, which proves nothing.
fn keys(log: &LogFrame, counts: &[&str; 2], source: &str) -> Result<Vec<Option<u64>>> {
    let mut parts: Vec<Vec<u64>> = Vec::new();
    for name in counts {
        parts.push(cells::numbers(log, name)?.into_iter().map(f64::to_bits).collect());
    }
    for column in &log.schema.columns {
        let tells = matches!(column.role, Role::Time | Role::Campaign | Role::Ad) && column.name != source;
        if tells && column.kind != ColumnType::List {
            let codes = cells::coded(log, &column.name)?.codes;
            parts.push(codes.into_iter().map(u64::from).collect());
        }
    }
    let clicks = cells::numbers(log, counts[1])?;
    let mut bytes = Vec::with_capacity(8 * parts.len());
    let key = |row: usize, clicks: f64, bytes: &mut Vec<u8>| {
        bytes.clear();
        for part in &parts {
            bytes.extend(part.get(row).copied().unwrap_or_default().to_le_bytes());
        }
        (clicks > 0.0).then(|| xxh3_64(bytes))
    };
    Ok(clicks.iter().enumerate().map(|(row, clicks)| key(row, *clicks, &mut bytes)).collect())
}

struct Mirror {
    names: [String; 2],
    common: u64,
    share: f64,
}

/// The two sources that share the most rows.
fn closest(sources: &Coded, keys: &[Option<u64>]) -> Option<Mirror> {
    let mut rows: Vec<HashMap<u64, u64>> = vec![HashMap::new(); sources.values.len()];
    for (code, key) in sources.codes.iter().zip(keys).filter(|(code, _)| **code != NO_CODE) {
        if let (Some(rows), Some(key)) = (rows.get_mut(*code as usize), key) {
            *rows.entry(*key).or_default() += 1;
        }
    }
    let size = |rows: &HashMap<u64, u64>| rows.values().sum::<u64>();
    let mut best: Option<Mirror> = None;
    for (first, one) in rows.iter().enumerate() {
        for (second, other) in rows.iter().enumerate().skip(first + 1) {
            let common: u64 = one
                .iter()
                .map(|(key, count)| (*count).min(other.get(key).copied().unwrap_or_default()))
                .sum();
            let share = common as f64 / size(one).min(size(other)).max(1) as f64;
            let is_mirror = common >= ENOUGH_ROWS && share >= MIRRORED;
            if is_mirror && best.as_ref().is_none_or(|best| share > best.share) {
                let names = [sources.values[first].clone(), sources.values[second].clone()];
                best = Some(Mirror { names, common, share });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_with_the_same_rows_are_mirrors() {
        let codes: Vec<u32> = (0..90).map(|row| row % 3).collect();
        let values = ["ads", "analytics", "mail"].map(str::to_owned).to_vec();
        // Source 1 repeats the keys of source 0; source 2 has its own.
        let keys: Vec<Option<u64>> =
            (0..90u64).map(|row| Some(if row % 3 == 2 { 1000 + row } else { row / 3 })).collect();
        let mirror = closest(&Coded { values: values.clone(), codes: codes.clone() }, &keys).unwrap();
        assert_eq!((mirror.names, mirror.common), (["ads".to_owned(), "analytics".to_owned()], 30));
        let apart: Vec<Option<u64>> = (0..90).map(Some).collect();
        assert!(closest(&Coded { values, codes }, &apart).is_none());
    }
}
