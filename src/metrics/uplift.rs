//! Whom does a treatment move? Qini's curve of a ranking, in a test whose arms were assigned by chance.
//!
//! The units are ranked by a score. Among the first share of them, the rate of the treated less that of the control,
//! times the share, is what treating just these brings per head of all (Radcliffe 2007, in the form of Gutierrez & Gérardy
//! 2017). A ranking that knows nothing lies on the straight line to the effect on everybody; the area between is Qini's
//! coefficient.

use serde::Serialize;

/// Points of a curve at most.
const POINTS: usize = 200;

/// One unit of a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The higher, the earlier it would be treated.
    pub score: f64,
    /// True in the arm that is compared with the control.
    pub treated: bool,
    /// Successes, such as clicks.
    pub outcome: f64,
    /// Trials, such as impressions.
    pub trials: f64,
}

/// A ranking, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Qini {
    /// Share of the trials that would be treated, and what that brings per trial of all: from (0, 0).
    pub curve: Vec<[f64; 2]>,
    /// What treating everybody brings.
    pub everybody: f64,
    /// Area between the curve and the straight line.
    pub coefficient: f64,
}

impl Qini {
    /// What treating the first share of the ranking brings per trial of all, between the points of the curve.
    pub fn gain(&self, share: f64) -> f64 {
        let after = self.curve.partition_point(|point| point[0] < share);
        match (after.checked_sub(1).and_then(|before| self.curve.get(before)), self.curve.get(after)) {
            (Some(a), Some(b)) if b[0] > a[0] => a[1] + (b[1] - a[1]) * (share - a[0]) / (b[0] - a[0]),
            (_, Some(b)) => b[1],
            (Some(a), None) => a[1],
            (None, None) => 0.0,
        }
    }
}

/// Judges a ranking; `order` holds the places of `units` from the highest score on, `times` how often each counts (all
/// once where it is empty), for resampling. `None` where an arm is empty.
pub fn qini(units: &[Ranked], order: &[u32], times: &[u32]) -> Option<Qini> {
    let count = |place: u32| times.get(place as usize).map_or(1.0, |times| f64::from(*times));
    let total: f64 = order.iter().map(|place| count(*place) * units[*place as usize].trials).sum();
    // Successes and trials of the control and of the treated so far.
    let mut sums = [[0.0; 2]; 2];
    let mut curve = vec![[0.0, 0.0]];
    let (mut last, mut area) = ([0.0, 0.0], 0.0);
    let mut place = 0;
    while place < order.len() {
        let score = units[order[place] as usize].score;
        // Equal scores cannot be parted: they come together.
        while let Some(&unit) =
            order.get(place).filter(|unit| units[**unit as usize].score.total_cmp(&score).is_eq())
        {
            let (found, times) = (&units[unit as usize], count(unit));
            let sum = &mut sums[usize::from(found.treated)];
            sum[0] += times * found.outcome;
            sum[1] += times * found.trials;
            place += 1;
        }
        let [control, treated] = sums;
        if control[1] <= 0.0 || treated[1] <= 0.0 {
            continue;
        }
        let share = (control[1] + treated[1]) / total;
        let point = [share, share * (treated[0] / treated[1] - control[0] / control[1])];
        area += (point[0] - last[0]) * (point[1] + last[1]) / 2.0;
        last = point;
        if curve.last().is_none_or(|shown| share - shown[0] >= 1.0 / POINTS as f64) || place == order.len() {
            curve.push(point);
        }
    }
    let everybody = last[1];
    (curve.len() > 1).then_some(Qini { curve, everybody, coefficient: area - everybody / 2.0 })
}

/// Places of units from the highest score on.
pub fn ranking(units: &[Ranked]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..units.len() as u32).collect();
    order.sort_by(|a, b| units[*b as usize].score.total_cmp(&units[*a as usize].score));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// Effects spread evenly over -0.5 to 0.5 around a rate of one half; scores are `of(effect, luck)`.
    fn judged(of: impl Fn(f64, f64) -> f64) -> Qini {
        let mut rng = Rng::named(1, "uplift");
        let units: Vec<Ranked> = (0..200_000)
            .map(|_| {
                let (effect, treated) = (rng.uniform() - 0.5, rng.chance(0.5));
                let chance = if treated { 0.5 + effect } else { 0.5 };
                let outcome = f64::from(u8::from(rng.chance(chance)));
                Ranked { score: of(effect, rng.uniform()), treated, outcome, trials: 1.0 }
            })
            .collect();
        qini(&units, &ranking(&units), &[]).unwrap()
    }

    #[test]
    fn t42_targeting_those_who_gain_brings_an_eighth_per_head() {
        let oracle = judged(|effect, _| effect);
        // The integral of the effect over its upper half: 0.125, with a standard error of some 0.0016.
        assert!((oracle.gain(0.5) - 0.125).abs() < 0.006, "{}", oracle.gain(0.5));
        assert!(oracle.everybody.abs() < 0.01, "the effects cancel out");
        // The curve is s/2 - s²/2, so the area is 1/12.
        assert!((oracle.coefficient - 1.0 / 12.0).abs() < 0.005, "{}", oracle.coefficient);
        let random = judged(|_, luck| luck);
        assert!(random.gain(0.5).abs() < 0.006 && random.coefficient.abs() < 0.005, "{random:?}");
        let half_blind = judged(|effect, luck| effect + luck - 0.5);
        assert!(half_blind.coefficient > 0.02 && half_blind.coefficient < oracle.coefficient);
        let backwards = judged(|effect, _| -effect);
        assert!((backwards.coefficient + oracle.coefficient).abs() < 0.01);
    }

    #[test]
    fn equal_scores_come_together_and_empty_arms_tell_nothing() {
        let unit = |score, treated, outcome| Ranked { score, treated, outcome, trials: 1.0 };
        let units =
            [unit(1.0, true, 1.0), unit(1.0, false, 0.0), unit(1.0, true, 0.0), unit(1.0, false, 0.0)];
        let found = qini(&units, &ranking(&units), &[]).unwrap();
        assert_eq!(found.curve, [[0.0, 0.0], [1.0, 0.5]]);
        assert_eq!((found.everybody, found.coefficient), (0.5, 0.0));
        assert_eq!(qini(&units[..1], &[0], &[]), None);
        // Counting the second treated unit twice more makes a rate of 1/4.
        assert_eq!(qini(&units, &ranking(&units), &[1, 1, 3, 1]).unwrap().everybody, 0.25);
    }
}
