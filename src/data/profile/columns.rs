//! What does each column hold? Missing, distinct, quantiles or frequent values; and how often is clicked?

use super::outliers::{self, Far};
use super::runs::Runs;
use super::{ColumnProfile, LabelProfile, Quantiles, TopValue};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::infer::OTHER_LABEL;
use crate::data::keyed::Keyed;
use crate::data::layout::ColumnTotal;
use crate::data::ordinal;
use crate::data::schema::{Column, ColumnType, Role};
use crate::jobs::JobContext;
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

/// Frequent values that are kept.
const TOP: usize = 5;
/// Columns that are told of together.
const COLUMNS_AT_ONCE: usize = 32;
/// Ranges that are kept, all of them in their order.
const TOP_RANGES: usize = 24;

/// The columns.
pub(super) struct Described {
    pub columns: Vec<ColumnProfile>,
    /// Per column: true when it numbers the rows.
    pub numbers_rows: Vec<bool>,
    /// Per column: its values as codes, where it is text.
    pub texts: Vec<Option<Keyed>>,
    /// Per column: how often each of these values occurs.
    pub counts: Vec<Vec<u64>>,
    /// Per column: a hash of each list, where it holds lists.
    pub list_hashes: Vec<Vec<u64>>,
    /// Per column: how many cells hold its most frequent value.
    pub commonest: Vec<u64>,
    /// Per column: what lies far beyond all other numbers.
    pub far: Vec<Option<Far>>,
}

/// Describes all columns, each thread one at a time so that memory stays small.
pub(super) fn describe(log: &LogFrame, context: &JobContext) -> Result<Described> {
    let mut described = Described {
        columns: Vec::with_capacity(log.schema.columns.len()),
        numbers_rows: Vec::new(),
        texts: Vec::new(),
        counts: Vec::new(),
        list_hashes: Vec::new(),
        commonest: Vec::new(),
        far: Vec::new(),
    };
    let total = log.schema.columns.len() as u64;
    for some in log.schema.columns.chunks(COLUMNS_AT_ONCE) {
        context.check()?;
        let columns = some.par_iter().with_max_len(1);
        let seen: Vec<Seen> = columns.map(|column| see(log, column)).collect::<Result<_>>()?;
        for seen in seen {
            described.columns.push(seen.profile);
            described.numbers_rows.push(seen.numbers_rows);
            described.texts.push(seen.text);
            described.counts.push(seen.counts);
            described.list_hashes.push(seen.list_hashes);
            described.commonest.push(seen.commonest);
            described.far.push(seen.far);
        }
        context.progress(described.columns.len() as u64, total);
    }
    Ok(described)
}

/// The outcome: the label's rate, or clicks over impressions where the rows are counts.
pub(super) fn label(log: &LogFrame) -> Result<Option<LabelProfile>> {
    let (weight, clicks) = (log.schema.with_role(Role::Weight), log.schema.with_role(Role::Clicks));
    if let Some(label) = log.schema.with_role(Role::Label) {
        let mut weights = weight.map(|column| cells::number_pieces(log, &column.name));
        let (mut positives, mut shown) = (0.0, 0.0);
        for values in cells::number_pieces(log, &label.name) {
            let weights = weights.as_mut().and_then(Iterator::next).transpose()?;
            for (row, value) in values?.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                let weight = weights.as_ref().map_or(1.0, |weights| weights[row].max(0.0));
                positives += value * weight;
                shown += weight;
            }
        }
        if weight.is_none()
            && let Some(total) = over_all_rows(log, &label.name)
        {
            (positives, shown) = (total.sum, total.n as f64);
        }
        let others = log.schema.columns.iter().filter(|column| column.evidence.contains(OTHER_LABEL));
        let alternatives = others.map(|column| column.name.clone()).collect();
        return Ok(Some(LabelProfile { alternatives, ..LabelProfile::of(&label.name, positives, shown) }));
    }
    let (Some(weight), Some(clicks)) = (weight, clicks) else {
        return Ok(None);
    };
    let shown = cells::numbers(log, &weight.name)?;
    let counts = cells::numbers(log, &clicks.name)?;
    // Clicks of rows without impressions belong to no rate.
    let known = shown.iter().zip(&counts).filter(|(shown, clicks)| **shown > 0.0 && !clicks.is_nan());
    let (clicked, seen) =
        known.fold((0.0, 0.0), |(clicked, seen), (shown, clicks)| (clicked + clicks, seen + shown));
    Ok(Some(LabelProfile::of(&clicks.name, clicked, seen)))
}

/// The count of a 0/1 column over the rows of the file, where the log holds a sample of them.
fn over_all_rows<'a>(log: &'a LogFrame, column: &str) -> Option<&'a ColumnTotal> {
    let totals = &log.source.layout.sample.as_ref()?.totals;
    totals.iter().find(|total| total.column == column && total.min >= 0.0 && total.max <= 1.0)
}

struct Seen {
    profile: ColumnProfile,
    list_hashes: Vec<u64>,
    text: Option<Keyed>,
    counts: Vec<u64>,
    numbers_rows: bool,
    commonest: u64,
    far: Option<Far>,
}

fn see(log: &LogFrame, column: &Column) -> Result<Seen> {
    let profile = ColumnProfile {
        name: column.name.clone(),
        kind: column.kind,
        role: column.role,
        evidence: column.evidence.clone(),
        missing: 0,
        distinct: 0,
        quantiles: None,
        top: Vec::new(),
        sum: None,
        lengths: None,
        is_ordered: false,
    };
    let mut seen = Seen {
        profile,
        list_hashes: Vec::new(),
        text: None,
        counts: Vec::new(),
        numbers_rows: false,
        commonest: 0,
        far: None,
    };
    match column.kind {
        ColumnType::List => see_lists(log, &mut seen)?,
        ColumnType::Text | ColumnType::Boolean => see_codes(cells::keyed(log, &column.name)?, &mut seen),
        ColumnType::Integer | ColumnType::Real | ColumnType::Time => see_numbers(log, &mut seen)?,
    }
    Ok(seen)
}

fn see_lists(log: &LogFrame, seen: &mut Seen) -> Result<()> {
    let profile = &mut seen.profile;
    let lists = cells::coded_lists(log, &profile.name)?;
    let series = log.frame.column(&profile.name).explain("cannot read the lists")?;
    profile.missing = series.null_count() as u64;
    profile.distinct = lists.items.values.len() as u64;
    let mut counted = vec![0u64; lists.items.values.len()];
    // An item that is missing has no code.
    lists.items.codes.iter().for_each(|code| count(&mut counted, *code));
    profile.top = top(&lists.items.values, &counted);
    let rows = || lists.offsets.windows(2);
    let mut lengths: Vec<f64> = rows().map(|ends| f64::from(ends[1] - ends[0])).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    let sum = lengths.iter().sum();
    profile.lengths = quantiles(|place| lengths.get(place as usize).copied(), lengths.len() as u64, sum);
    seen.list_hashes = rows()
        .map(|ends| {
            let items = &lists.items.codes[ends[0] as usize..ends[1] as usize];
            items.iter().fold(1, |hash, item| mix(hash ^ u64::from(*item)))
        })
        .collect();
    Ok(())
}

fn see_codes(coded: Keyed, seen: &mut Seen) {
    let profile = &mut seen.profile;
    let counts = counts(&coded);
    profile.missing = coded.codes.len() as u64 - counts.iter().sum::<u64>();
    profile.distinct = coded.values.len() as u64;
    profile.top = top(&coded.values, &counts);
    seen.commonest = profile.top.first().map_or(0, |top| top.count);
    if profile.kind == ColumnType::Boolean {
        let trues = coded.values.iter().position(|value| value == "true");
        profile.sum = Some(trues.map_or(0, |code| counts[code]) as f64);
    } else if let Some(order) = ordinal::order(&coded.values) {
        profile.is_ordered = true;
        let ranges = order.into_iter().take(TOP_RANGES);
        profile.top = ranges
            .map(|place| TopValue { value: coded.values[place].clone(), count: counts[place] })
            .collect();
    }
    seen.counts = counts;
    seen.text = Some(coded);
}

fn see_numbers(log: &LogFrame, seen: &mut Seen) -> Result<()> {
    let profile = &mut seen.profile;
    let is_time = profile.kind == ColumnType::Time;
    let runs = Runs::of(log, &profile.name)?;
    profile.missing = runs.missing;
    let is_counter = runs.counts_up && runs.missing == 0 && runs.count() > 2;
    // An ad id may count from 1 and still tell rows apart.
    seen.numbers_rows = is_counter && profile.role == Role::Ignored;
    if !is_time && runs.count() > 0 {
        profile.sum = Some(runs.sum);
    }
    profile.quantiles = quantiles(|place| runs.at(place), runs.count(), runs.sum);
    profile.distinct = runs.values.len() as u64;
    seen.commonest = runs.counted().map(|(_, count)| count).max().unwrap_or_default();
    if matches!(profile.role, Role::Categorical | Role::User | Role::Ad | Role::Campaign | Role::Slot) {
        profile.top = most_frequent(runs.counted());
    } else if !is_time {
        seen.far = outliers::far(&|place| runs.at(place as u64), runs.count() as usize);
    }
    Ok(())
}

/// Quantiles of a sorted column of so many numbers and their sum.
fn quantiles(sorted: impl Fn(u64) -> Option<f64>, count: u64, sum: f64) -> Option<Quantiles> {
    let at = |share: f64| {
        let rank = (share * count as f64).ceil().max(1.0) as u64;
        sorted(rank - 1)
    };
    Some(Quantiles {
        min: at(0.0)?,
        p25: at(0.25)?,
        median: at(0.5)?,
        p75: at(0.75)?,
        max: at(1.0)?,
        mean: sum / count as f64,
    })
}

fn top(values: &[String], counts: &[u64]) -> Vec<TopValue> {
    most_frequent(values.iter().zip(counts.iter().copied()))
}

/// How often each value occurs.
pub(super) fn counts(coded: &Keyed) -> Vec<u64> {
    let mut counts = vec![0u64; coded.values.len()];
    coded.codes.each(|code| count(&mut counts, code));
    counts
}

#[inline]
fn count(counts: &mut [u64], code: u32) {
    if let Some(count) = counts.get_mut(code as usize) {
        *count += 1;
    }
}

fn most_frequent<T: ToString>(counted: impl Iterator<Item = (T, u64)>) -> Vec<TopValue> {
    let mut best: Vec<(T, u64)> = Vec::with_capacity(TOP + 1);
    for (value, count) in counted {
        let place = best.partition_point(|(_, known)| *known >= count);
        if place < TOP {
            best.insert(place, (value, count));
            best.truncate(TOP);
        }
    }
    best.into_iter().map(|(value, count)| TopValue { value: value.to_string(), count }).collect()
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every bit of the input moves half of the output.
#[inline(always)]
pub(super) fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
