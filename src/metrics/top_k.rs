//! Does what is shown first hold what a person wanted? Precision, recall, NDCG and hit rate of the first `k`, over people.
//!
//! A person is an observation: each measure is the mean over people who wanted anything, with the normal 95 % interval
//! of that mean, Wilson's for the hit rate. Who wanted nothing that was held out cannot be judged and is left out, counted.

use super::rates::{Estimate, Rate};
use serde::{Deserialize, Serialize};

/// What one person was shown and wanted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Judged {
    precision: f64,
    recall: f64,
    ndcg: f64,
    hit: f64,
}

/// Sums over people, for lists of `k`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopK {
    k: usize,
    judged: Vec<Judged>,
    wanted_nothing: usize,
}

/// Means over people with their intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopKMeasures {
    /// Length of the lists.
    pub k: usize,
    /// People who wanted something.
    pub people: usize,
    /// People without anything held out, who are not judged.
    pub wanted_nothing: usize,
    /// Share of the list that a person wanted; a list that is shorter counts as one of `k`.
    pub precision: Estimate,
    /// Share of what a person wanted that is in the list.
    pub recall: Estimate,
    /// Discounted gain of the list over that of the best list (Järvelin & Kekäläinen 2002), with relevance 0 or 1.
    pub ndcg: Estimate,
    /// Share of people with a hit in the list.
    pub hit_rate: Estimate,
}

impl TopK {
    /// Nobody yet, for lists of `k`.
    pub fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
    }

    /// Adds a person: what was shown, best first, and what was wanted, each once.
    pub fn add(&mut self, shown: &[u32], wanted: &[u32]) {
        if wanted.is_empty() || self.k == 0 {
            self.wanted_nothing += 1;
            return;
        }
        let is_hit = |item: &u32| wanted.contains(item);
        let gains = shown.iter().take(self.k).enumerate().filter(|(_, item)| is_hit(item));
        let (mut hits, mut gain) = (0.0, 0.0);
        for (place, _) in gains {
            hits += 1.0;
            gain += discount(place);
        }
        let best: f64 = (0..wanted.len().min(self.k)).map(discount).sum();
        self.judged.push(Judged {
            precision: hits / self.k as f64,
            recall: hits / wanted.len() as f64,
            ndcg: gain / best,
            hit: f64::from(u8::from(hits > 0.0)),
        });
    }

    /// Adds the people of another part.
    pub fn append(&mut self, mut other: Self) {
        self.judged.append(&mut other.judged);
        self.wanted_nothing += other.wanted_nothing;
    }

    /// Each person's mean over several runs, which judged the same people in the same order; `None` for runs that did not.
    pub fn mean_of(runs: &[Self]) -> Option<Self> {
        let first = runs.first()?;
        let is_alike = |run: &Self| run.k == first.k && run.judged.len() == first.judged.len();
        let each = 1.0 / runs.len() as f64;
        let mut mean = Self { judged: vec![Judged::default(); first.judged.len()], ..first.clone() };
        for run in runs {
            if !is_alike(run) {
                return None;
            }
            for (sum, one) in mean.judged.iter_mut().zip(&run.judged) {
                sum.precision += each * one.precision;
                sum.recall += each * one.recall;
                sum.ndcg += each * one.ndcg;
                sum.hit += each * one.hit;
            }
        }
        Some(mean)
    }

    /// How much higher precision and NDCG are than in another run over the same people in the same order, with the 95 %
    /// interval of the paired difference; `None` for other people, or fewer than two.
    pub fn higher(&self, than: &Self) -> Option<[Estimate; 2]> {
        let n = self.judged.len() as f64;
        if self.judged.len() != than.judged.len() || n < 2.0 {
            return None;
        }
        let paired = |of: fn(&Judged) -> f64| {
            let apart: Vec<f64> =
                self.judged.iter().zip(&than.judged).map(|(one, other)| of(one) - of(other)).collect();
            let mean = apart.iter().sum::<f64>() / n;
            let squares = apart.iter().map(|one| (one - mean).powi(2)).sum::<f64>();
            Estimate::normal(mean, (squares / (n - 1.0) / n).sqrt())
        };
        Some([paired(|one| one.precision), paired(|one| one.ndcg)])
    }

    /// The means; `None` when nobody could be judged.
    pub fn measures(&self) -> Option<TopKMeasures> {
        let people = self.judged.len();
        let mean = |of: fn(&Judged) -> f64| -> Option<Estimate> {
            let n = people as f64;
            let mean = self.judged.iter().map(of).sum::<f64>() / n;
            let squares = self.judged.iter().map(|one| (of(one) - mean).powi(2)).sum::<f64>();
            match people {
                0 => None,
                // One person tells nothing of others.
                1 => Some(Estimate { value: mean, low: 0.0, high: 1.0 }),
                _ => {
                    let found = Estimate::normal(mean, (squares / (n - 1.0) / n).sqrt());
                    Some(Estimate { low: found.low.max(0.0), high: found.high.min(1.0), ..found })
                }
            }
        };
        Some(TopKMeasures {
            k: self.k,
            people,
            wanted_nothing: self.wanted_nothing,
            precision: mean(|one| one.precision)?,
            recall: mean(|one| one.recall)?,
            ndcg: mean(|one| one.ndcg)?,
            hit_rate: Rate::wilson(self.judged.iter().map(|one| one.hit).sum(), people as f64).estimate(),
        })
    }
}

/// What a hit at a place of the list, counted from 0, is worth.
fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 2.0).log2()
}

/// The places of the `k` highest scores, highest first; of equal ones the lower place goes first. Scores of negative
/// infinity and NaN are never shown.
pub fn highest(scores: &[f32], k: usize) -> Vec<u32> {
    let before = |one: &u32, other: &u32| {
        let (a, b) = (scores[*one as usize], scores[*other as usize]);
        b.total_cmp(&a).then(one.cmp(other))
    };
    let shown = |score: &f32| *score > f32::NEG_INFINITY;
    let mut places: Vec<u32> =
        (0..).zip(scores).filter(|(_, score)| shown(score)).map(|(place, _)| place).collect();
    if k < places.len() {
        places.select_nth_unstable_by(k, before);
        places.truncate(k);
    }
    places.sort_unstable_by(before);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_people_by_hand() {
        let mut lists = TopK::new(3);
        // Hits at ranks 1 and 3 of two wanted: DCG 1 + 1/2, best 1 + 1/log2(3).
        lists.add(&[7, 1, 9, 8], &[9, 7]);
        // One hit at rank 2 of four wanted, of which three could stand in the list.
        lists.add(&[5, 4, 6], &[4, 1, 2, 3]);
        lists.add(&[1, 2, 3], &[]);
        let found = lists.measures().unwrap();
        assert_eq!((found.people, found.wanted_nothing, found.k), (2, 1, 3));
        let third = 1.0 / 3f64.log2();
        let ndcg = [1.5 / (1.0 + third), third / (1.5 + third)];
        assert!((found.ndcg.value - (ndcg[0] + ndcg[1]) / 2.0).abs() < 1e-12);
        assert!((found.ndcg.value - 0.6079).abs() < 5e-5, "{}", found.ndcg.value);
        assert!((found.recall.value - 0.625).abs() < 1e-12);
        assert!((found.precision.value - 0.5).abs() < 1e-12, "2 of 3 and 1 of 3");
        assert!((found.hit_rate.value - 1.0).abs() < 1e-12);
        // Recalls 1 and 1/4: standard error |1 - 1/4| / 2.
        assert!((found.recall.low - f64::max(0.625 - 1.959_964 * 0.375, 0.0)).abs() < 1e-6);
        assert_eq!(found.recall.high, 1.0);
    }

    #[test]
    fn intervals_cover_as_often_as_they_say() {
        let mut rng = crate::base::rng::Rng::named(1, "top k");
        let mut covered = 0;
        for _ in 0..1000 {
            let mut lists = TopK::new(1);
            (0..200).for_each(|_| lists.add(&[u32::from(rng.chance(0.3))], &[1]));
            let found = lists.measures().unwrap().hit_rate;
            covered += u32::from(found.low <= 0.3 && 0.3 <= found.high);
        }
        assert!((930..=965).contains(&covered), "{covered}");
    }

    #[test]
    fn runs_over_the_same_people_are_averaged_and_told_apart_in_pairs() {
        let run = |shown: [u32; 3]| {
            let mut lists = TopK::new(1);
            shown.iter().for_each(|item| lists.add(&[*item], &[1]));
            lists
        };
        let (one, other) = (run([1, 1, 0]), run([1, 0, 0]));
        let mean = TopK::mean_of(&[one.clone(), other.clone()]).unwrap();
        assert_eq!(mean.measures().unwrap().precision.value, 0.5);
        // Differences 0, 1, 0: mean 1/3, variance 1/3, standard error 1/3.
        let [precision, ndcg] = one.higher(&other).unwrap();
        assert!((precision.value - 1.0 / 3.0).abs() < 1e-12 && precision == ndcg);
        assert!((precision.low - (1.0 - 1.959_964) / 3.0).abs() < 1e-6, "{precision:?}");
        assert_eq!(one.higher(&TopK::new(1)), None);
        assert_eq!(TopK::mean_of(&[one, TopK::new(1)]), None);
        assert_eq!(TopK::mean_of(&[]), None);
    }

    #[test]
    fn nobody_is_no_number_and_one_person_no_certainty() {
        assert_eq!(TopK::new(5).measures(), None);
        let mut one = TopK::new(5);
        one.add(&[1], &[1]);
        let found = one.measures().unwrap();
        assert_eq!((found.recall.value, found.recall.low, found.recall.high), (1.0, 0.0, 1.0));
    }

    #[test]
    fn the_highest_come_first_and_ties_by_their_place() {
        let scores = [0.5, f32::NEG_INFINITY, 2.0, 0.5, f32::NAN, -1.0];
        assert_eq!(highest(&scores, 3), [2, 0, 3]);
        assert_eq!(highest(&scores, 10), [2, 0, 3, 5]);
        assert_eq!(highest(&scores, 0), [0u32; 0]);
    }
}
