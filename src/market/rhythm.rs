//! When do pages come? Through days, as many an hour as the audience's own hours say.
//!
//! Without a rhythm, pages come in no order of time: a campaign that only bids in the evening meets evening visitors
//! from the first page on. With one, page `t` of `n` stands at the share `(t + 1/2) days / n` of its day's requests; the
//! hour is the one into whose part of the audience's weight that share falls, and the visitor is drawn among those of the
//! hour. Each world has its own hours, so a what-if with more evening visitors has its peak in the evening; where
//! both worlds stand in the same hour they share their visitor as far as their mixes allow (see
//! [`audience`](super::audience)). Over whole days each world keeps exactly its mix.

use super::audience::Coupling;
use crate::base::Result;

/// Hours of a day.
pub const HOURS: usize = 24;

/// The order of a run's pages in time.
#[derive(Debug, Clone)]
pub struct Rhythm {
    days: f64,
    pages: f64,
    /// Of each world: the shares of the requests that come before each hour, and 1.
    clocks: Vec<[f64; HOURS + 1]>,
    hours: Vec<Hour>,
}

/// Who comes in one hour.
#[derive(Debug, Clone)]
struct Hour {
    /// Pooled rows of this hour.
    rows: Vec<u32>,
    /// Both worlds at once, where both have visitors.
    both: Option<Coupling>,
    /// Each world alone, where it has visitors.
    alone: Vec<Option<Coupling>>,
}

impl Rhythm {
    /// From the hour of each pooled row and its weight in each world, for a run of so many pages over so many days.
    ///
    /// # Errors
    /// A weight that is none, or an audience without weight.
    pub fn new(hour_of: &[u8], weights: &[&[f64]], days: u32, pages: u64) -> Result<Self> {
        let mut hours = Vec::with_capacity(HOURS);
        for hour in 0..HOURS {
            let rows: Vec<u32> = (0u32..)
                .zip(hour_of)
                .filter(|(_, of)| usize::from(**of) == hour)
                .map(|(row, _)| row)
                .collect();
            let of = |world: &[f64]| rows.iter().map(|row| world[*row as usize]).collect::<Vec<f64>>();
            let parts: Vec<Vec<f64>> = weights.iter().map(|world| of(world)).collect();
            let known = |part: &Vec<f64>| part.iter().sum::<f64>() > 0.0;
            let alone = |part: &Vec<f64>| known(part).then(|| Coupling::new(part, None)).transpose();
            let both = match parts.as_slice() {
                [baseline, what_if] if known(baseline) && known(what_if) => {
                    Some(Coupling::new(baseline, Some(what_if))?)
                }
                _ => None,
            };
            let alone = parts.iter().map(alone).collect::<Result<Vec<_>>>()?;
            hours.push(Hour { rows, both, alone });
        }
        let clocks = weights.iter().map(|world| clock(hour_of, world)).collect();
        Ok(Self { days: f64::from(days), pages: (pages as f64).max(1.0), clocks, hours })
    }

    /// The hour of a page in a world.
    pub fn hour(&self, world: usize, request: u64) -> usize {
        let Some(clock) = self.clocks.get(world) else { return 0 };
        let place = ((request as f64 + 0.5) * self.days / self.pages).fract();
        // The last hour that begins at or before the place; hours without visitors have no width.
        clock.partition_point(|before| *before <= place).clamp(1, HOURS) - 1
    }

    /// The pooled rows of a page: baseline and what-if.
    pub fn rows(&self, seed: u64, request: u64) -> (usize, usize) {
        let own = self.hour(0, request);
        let other = if self.clocks.len() > 1 { self.hour(1, request) } else { own };
        let row_in = |hour: usize, place: usize| self.hours[hour].rows[place] as usize;
        if own == other
            && let Some(both) = &self.hours[own].both
        {
            let (baseline, what_if) = both.rows(seed, request);
            return (row_in(own, baseline), row_in(own, what_if));
        }
        let alone = |world: usize, hour: usize| {
            let coupling = self.hours[hour].alone.get(world).and_then(Option::as_ref);
            coupling.map(|coupling| row_in(hour, coupling.rows(seed, request).0))
        };
        let baseline = alone(0, own).unwrap_or(0);
        (baseline, alone(1, other).unwrap_or(baseline))
    }
}

/// The shares of a world's weight that lie before each hour.
fn clock(hour_of: &[u8], weights: &[f64]) -> [f64; HOURS + 1] {
    let mut of_hour = [0.0; HOURS];
    for (hour, weight) in hour_of.iter().zip(weights) {
        of_hour[usize::from(*hour).min(HOURS - 1)] += weight;
    }
    let total: f64 = of_hour.iter().sum();
    let mut clock = [0.0; HOURS + 1];
    for hour in 0..HOURS {
        clock[hour + 1] = clock[hour] + of_hour[hour] / total.max(f64::MIN_POSITIVE);
    }
    clock
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of 8, 12 and 20 o'clock, two each.
    const OF: [u8; 6] = [8, 20, 8, 12, 20, 12];

    #[test]
    fn hours_come_in_order_with_as_many_pages_as_their_weight() {
        let weights = [1.0, 3.0, 1.0, 2.0, 3.0, 0.0];
        let rhythm = Rhythm::new(&OF, &[&weights], 2, 2_000).unwrap();
        let hours: Vec<usize> = (0..2_000).map(|page| rhythm.hour(0, page)).collect();
        // A day of 1,000 pages: 2 in 10 at eight, 2 at twelve, 6 at twenty.
        let day: Vec<usize> =
            [(8, 200), (12, 200), (20, 600)].iter().flat_map(|(h, n)| vec![*h; *n]).collect();
        assert_eq!(hours[..1_000], day[..]);
        assert_eq!(hours[1_000..], day[..]);
        let mut drawn = [0.0; 6];
        (0..2_000).for_each(|page| drawn[rhythm.rows(5, page).0] += 1.0);
        for (row, weight) in weights.iter().enumerate() {
            // Binomial within the hour; sd at most half of the root of its pages.
            assert!((drawn[row] - 200.0 * weight).abs() < 4.0 * 0.5 * 1_200f64.sqrt(), "{drawn:?}");
        }
        assert_eq!(drawn[5], 0.0, "a row of weight 0 is never drawn");
    }

    #[test]
    fn each_world_keeps_its_own_clock_and_equal_worlds_their_visitors() {
        let (even, late) = ([1.0; 6], [1.0, 4.0, 1.0, 1.0, 4.0, 1.0]);
        let rhythm = Rhythm::new(&OF, &[&even, &late], 1, 1_200).unwrap();
        let at = |world: usize| (0..1_200).filter(|page| rhythm.hour(world, *page) == 20).count();
        assert_eq!((at(0), at(1)), (400, 800));
        for page in 0..1_200 {
            let (one, other) = rhythm.rows(3, page);
            assert_eq!(usize::from(OF[one]), rhythm.hour(0, page));
            assert_eq!(usize::from(OF[other]), rhythm.hour(1, page));
        }
        let same = Rhythm::new(&OF, &[&even, &even], 1, 1_200).unwrap();
        assert!((0..1_200).all(|page| {
            let (one, other) = same.rows(3, page);
            one == other
        }));
    }
}
