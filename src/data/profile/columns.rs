//! What does each column hold? Missing, distinct, quantiles or frequent values; and how often is clicked?

use super::outliers::{self, Far};
use super::{ColumnProfile, LabelProfile, Quantiles, TopValue};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::cells::{self, Coded, NO_CODE};
use crate::data::frame::LogFrame;
use crate::data::infer::OTHER_LABEL;
use crate::data::layout::ColumnTotal;
use crate::data::ordinal;
use crate::data::schema::{Column, ColumnType, Role};
use crate::jobs::JobContext;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

/// Frequent values that are kept.
const TOP: usize = 5;
/// Ranges that are kept, all of them in their order.
const TOP_RANGES: usize = 24;

/// The columns, and one number per row that is equal where all cells are.
pub(super) struct Described {
    pub columns: Vec<ColumnProfile>,
    /// A hash of each row, without columns that number the rows.
    pub row_hashes: Vec<u64>,
    /// Per column: distinct values with their counts, where it is text.
    pub texts: Vec<Option<Coded>>,
    /// Per column: how many cells hold its most frequent value.
    pub commonest: Vec<u64>,
    /// Per column: what lies far beyond all other numbers.
    pub far: Vec<Option<Far>>,
}

/// Describes all columns, a few at a time so that memory stays small.
pub(super) fn describe(log: &LogFrame, context: &JobContext) -> Result<Described> {
    let mut described = Described {
        columns: Vec::with_capacity(log.schema.columns.len()),
        row_hashes: vec![0; log.rows()],
        texts: Vec::new(),
        commonest: Vec::new(),
        far: Vec::new(),
    };
    let total = log.schema.columns.len() as u64;
    for some in log.schema.columns.chunks(rayon::current_num_threads()) {
        context.check()?;
        let seen: Vec<Seen> = some.par_iter().map(|column| see(log, column)).collect::<Result<_>>()?;
        for seen in seen {
            if !seen.numbers_rows {
                for (hash, cell) in described.row_hashes.iter_mut().zip(&seen.cell_hashes) {
                    *hash = mix(*hash ^ cell);
                }
            }
            described.columns.push(seen.profile);
            described.texts.push(seen.text);
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
        let values = cells::numbers(log, &label.name)?;
        let weights = weight.map(|column| cells::numbers(log, &column.name)).transpose()?;
        let (mut positives, mut shown) = (0.0, 0.0);
        for (row, value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            let weight = weights.as_ref().map_or(1.0, |weights| weights[row].max(0.0));
            positives += value * weight;
            shown += weight;
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
    cell_hashes: Vec<u64>,
    text: Option<Coded>,
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
    let mut seen =
        Seen { profile, cell_hashes: Vec::new(), text: None, numbers_rows: false, commonest: 0, far: None };
    match column.kind {
        ColumnType::List => see_lists(log, &mut seen)?,
        ColumnType::Text | ColumnType::Boolean => see_codes(cells::coded(log, &column.name)?, &mut seen),
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
    profile.top = top(&lists.items);
    let rows = || lists.offsets.windows(2);
    let mut lengths: Vec<f64> = rows().map(|ends| f64::from(ends[1] - ends[0])).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    profile.lengths = quantiles(&lengths);
    seen.cell_hashes = rows()
        .map(|ends| {
            let items = &lists.items.codes[ends[0] as usize..ends[1] as usize];
            items.iter().fold(1, |hash, item| mix(hash ^ u64::from(*item)))
        })
        .collect();
    Ok(())
}

fn see_codes(coded: Coded, seen: &mut Seen) {
    let profile = &mut seen.profile;
    profile.missing = coded.codes.iter().filter(|code| **code == NO_CODE).count() as u64;
    profile.distinct = coded.values.len() as u64;
    profile.top = top(&coded);
    seen.commonest = profile.top.first().map_or(0, |top| top.count);
    if profile.kind == ColumnType::Boolean {
        let trues = coded.values.iter().position(|value| value == "true");
        let trues = trues.map_or(0, |code| coded.codes.iter().filter(|one| **one == code as u32).count());
        profile.sum = Some(trues as f64);
    } else if let Some(order) = ordinal::order(&coded.values) {
        profile.is_ordered = true;
        let counts = counts(&coded);
        let ranges = order.into_iter().take(TOP_RANGES);
        profile.top = ranges
            .map(|place| TopValue { value: coded.values[place].clone(), count: counts[place] })
            .collect();
    }
    seen.cell_hashes = coded.codes.iter().map(|code| u64::from(*code)).collect();
    seen.text = Some(coded);
}

fn see_numbers(log: &LogFrame, seen: &mut Seen) -> Result<()> {
    let profile = &mut seen.profile;
    let is_time = profile.kind == ColumnType::Time;
    let numbers: Vec<f64> = if is_time {
        let times = cells::times(log, &profile.name)?.into_iter();
        times.map(|time| time.map_or(f64::NAN, |time| time as f64)).collect()
    } else {
        cells::numbers(log, &profile.name)?
    };
    // Adding 0.0 makes -0.0 and 0.0 one value.
    seen.cell_hashes = numbers.iter().map(|number| (number + 0.0).to_bits()).collect();
    let rows = numbers.len();
    let mut sorted = numbers;
    sorted.retain(|number| !number.is_nan());
    let is_growing = sorted.windows(2).all(|pair| pair[1] == pair[0] + 1.0);
    profile.missing = (rows - sorted.len()) as u64;
    let is_counter = is_growing && profile.missing == 0 && sorted.len() > 2;
    // An ad id may count from 1 and still tell rows apart.
    seen.numbers_rows = is_counter && profile.role == Role::Ignored;
    if !is_time && !sorted.is_empty() {
        profile.sum = Some(sorted.iter().sum());
    }
    sort(&mut sorted);
    profile.quantiles = quantiles(&sorted);
    let runs = || sorted.chunk_by(|one, next| one == next);
    profile.distinct = runs().count() as u64;
    seen.commonest = runs().map(<[f64]>::len).max().unwrap_or_default() as u64;
    if matches!(profile.role, Role::Categorical | Role::User | Role::Ad | Role::Campaign | Role::Slot) {
        profile.top = top_numbers(&sorted);
    } else if !is_time {
        seen.far = outliers::far(&sorted);
    }
    Ok(())
}

/// Sorts numbers; whole ones within a narrow range are counted, which takes two looks at each.
fn sort(numbers: &mut [f64]) {
    const NARROW: f64 = (1 << 16) as f64;
    let fold = |(low, high): (f64, f64), number: &f64| (low.min(*number), high.max(*number));
    let (low, high) = numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold);
    let is_narrow = high - low < NARROW && numbers.iter().all(|number| number.fract() == 0.0);
    if !is_narrow || numbers.len() < 256 {
        numbers.sort_unstable_by(f64::total_cmp);
        return;
    }
    let mut counts = vec![0usize; (high - low) as usize + 1];
    for number in numbers.iter() {
        counts[(number - low) as usize] += 1;
    }
    let mut rest = numbers;
    for (place, count) in counts.into_iter().enumerate() {
        let (run, after) = rest.split_at_mut(count);
        run.fill(low + place as f64);
        rest = after;
    }
}

fn quantiles(sorted: &[f64]) -> Option<Quantiles> {
    let at = |share: f64| {
        let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted.get(rank - 1).copied()
    };
    Some(Quantiles {
        min: at(0.0)?,
        p25: at(0.25)?,
        median: at(0.5)?,
        p75: at(0.75)?,
        max: at(1.0)?,
        mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
    })
}

fn top(coded: &Coded) -> Vec<TopValue> {
    most_frequent(coded.values.iter().zip(counts(coded)))
}

/// How often each value occurs.
pub(super) fn counts(coded: &Coded) -> Vec<u64> {
    let mut counts = vec![0u64; coded.values.len()];
    for code in &coded.codes {
        if let Some(count) = counts.get_mut(*code as usize) {
            *count += 1;
        }
    }
    counts
}

fn top_numbers(sorted: &[f64]) -> Vec<TopValue> {
    let runs = sorted.chunk_by(|one, next| one == next);
    most_frequent(runs.filter_map(|run| Some((run.first()?, run.len() as u64))))
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
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_by_counting_where_that_is_quick() {
        let whole: Vec<f64> = (0..1000).map(|row| f64::from(row * 7919 % 613) - 300.0).collect();
        let real: Vec<f64> = whole.iter().map(|number| number / 8.0).collect();
        for numbers in [whole, real] {
            let mut counted = numbers.clone();
            sort(&mut counted);
            let mut expected = numbers;
            expected.sort_by(f64::total_cmp);
            assert_eq!(counted, expected);
        }
    }
}
