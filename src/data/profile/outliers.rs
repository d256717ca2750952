//! Which numbers lie far beyond all others? A robust rule that leaves long tails alone: a value is far when an empty
//! stretch, wide against everything else, parts it from the rest.

use super::{Issue, IssueKind, issues};

/// Fewer numbers have no shape to stand out of.
const ENOUGH: usize = 30;
/// Beyond so many interquartile ranges (Tukey 1977: "far out").
const FAR_OUT: f64 = 3.0;
/// An empty stretch of so many times the range of the rest, whatever the shape.
const WIDE: f64 = 2.0;
/// The same where the bulk is even on both sides, so that no tail is expected.
const WIDE_IF_EVEN: f64 = 0.5;

/// Numbers far beyond all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Far {
    /// How many.
    pub count: u64,
    /// The farthest.
    pub value: f64,
    /// The last of the others on that side.
    pub last: f64,
}

impl Far {
    /// The objection.
    pub fn issue(self, column: &str) -> Issue {
        let detail = match self.count {
            1 => format!("{} lies far beyond the next, {}: a slip? The row is kept", self.value, self.last),
            _ => {
                format!("up to {}, far beyond the next, {}: a slip? The rows are kept", self.value, self.last)
            }
        };
        issues::issue(IssueKind::Outliers, Some(column), self.count, detail)
    }
}

/// The numbers far beyond the others, of a sorted column of so many; the side that is farther out.
pub(super) fn far(sorted: &dyn Fn(usize) -> Option<f64>, count: usize) -> Option<Far> {
    if count < ENOUGH {
        return None;
    }
    let at = |share: f64| sorted((share * count as f64) as usize);
    let bulk = Bulk { p25: at(0.25)?, median: at(0.5)?, p75: at(0.75)? };
    let high = above(sorted, count, bulk);
    let mirrored = |place: usize| Some(-sorted((count - 1).checked_sub(place)?)?);
    let low = above(&mirrored, count, Bulk { p25: -bulk.p75, median: -bulk.median, p75: -bulk.p25 });
    let low = low.map(|far| Far { value: -far.value, last: -far.last, ..far });
    let width = |far: &Far| (far.value - far.last).abs();
    match (high, low) {
        (Some(high), Some(low)) => Some(if width(&low) > width(&high) { low } else { high }),
        (high, low) => high.or(low),
    }
}

#[derive(Clone, Copy)]
struct Bulk {
    p25: f64,
    median: f64,
    p75: f64,
}

/// The values beyond the widest gap among the topmost ones.
fn above(sorted: &dyn Fn(usize) -> Option<f64>, count: usize, bulk: Bulk) -> Option<Far> {
    let spread = bulk.p75 - bulk.p25;
    if spread <= 0.0 {
        return None;
    }
    let is_even = (bulk.p25 + bulk.p75 - 2.0 * bulk.median).abs() <= 0.25 * spread;
    let few = (count / 500).clamp(3, 20);
    let first = sorted(0)?;
    let starts = (count.saturating_sub(few)..count).rev();
    let (start, gap) = starts
        .filter_map(|start| Some((start, sorted(start)? - sorted(start.checked_sub(1)?)?)))
        .max_by(|one, next| one.1.total_cmp(&next.1))?;
    let last = sorted(start - 1)?;
    let wide = if is_even { WIDE_IF_EVEN } else { WIDE };
    let is_far = sorted(start)? > bulk.p75 + FAR_OUT * spread && gap >= wide * (last - first);
    is_far.then_some(Far { count: (count - start) as u64, value: sorted(count - 1)?, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(sorted: &[f64]) -> Option<Far> {
        super::far(&|place| sorted.get(place).copied(), sorted.len())
    }

    fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
        numbers.sort_by(f64::total_cmp);
        numbers
    }

    #[test]
    fn slips_are_found_on_both_sides() {
        let years: Vec<f64> = (0..500).map(|n| 1940.0 + f64::from(n % 57)).collect();
        let far_years = far(&sorted([years.clone(), vec![1800.0, 1801.0]].concat())).unwrap();
        assert_eq!((far_years.count, far_years.value, far_years.last), (2, 1800.0, 1940.0));
        assert!(far(&sorted(years)).is_none());
        let incomes: Vec<f64> = (0..500).map(|n| 20_000.0 + 260.0 * f64::from(n)).collect();
        let far_incomes = far(&sorted([incomes, vec![666_666.0]].concat())).unwrap();
        assert_eq!((far_incomes.count, far_incomes.value), (1, 666_666.0));
    }

    #[test]
    fn long_tails_are_no_slips() {
        // Quantiles of a Pareto distribution with index 2 and of an exponential one.
        let share = |n: i32| (f64::from(n) + 0.5) / 2000.0;
        let pareto = (0..2000).map(|n| (1.0 - share(n)).powf(-0.5)).collect();
        assert!(far(&sorted(pareto)).is_none());
        let exponential = (0..2000).map(|n| -(1.0 - share(n)).ln()).collect();
        assert!(far(&sorted(exponential)).is_none());
        assert!(far(&[1.0; 100]).is_none());
    }
}
