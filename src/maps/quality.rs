//! How far can a map be trusted?
//!
//! Trustworthiness (Venna & Kaski 2001) falls for points that are neighbours in the map and not in the table, by how far
//! away they really are; preservation is the share of true neighbours that are neighbours in the map. Both are measured
//! on a sample of points against all others, and told with it.

use super::graph::best_of;
use super::points::{Metric, Points};
use crate::base::Result;
use crate::base::product::{self, Finish, Pack, View};
use crate::base::rng::Rng;
use crate::jobs::JobContext;
use rayon::prelude::*;
use serde::Serialize;

/// How well a map keeps neighbourhoods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Neighbours that are looked at.
    pub neighbours: usize,
    /// Points on which it is measured.
    pub sample: usize,
    /// Points of the map.
    pub points: usize,
    /// 1 when nobody is a neighbour in the map only; a random map has about 1/2.
    pub trustworthiness: Measured,
    /// Share of the true neighbours that are neighbours in the map too; a random map has `k / n`.
    pub preservation: Measured,
    /// Each sampled point with its own share of kept neighbours.
    #[serde(skip)]
    pub of_points: Vec<(u32, f32)>,
}

/// A mean over sampled points with its 95 % interval (normal; Bienaymé's standard error); over all points it is exact and
/// has none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Measured {
    /// The mean.
    pub value: f64,
    /// From here, with 95 %.
    pub low: f64,
    /// To here.
    pub high: f64,
}

/// Points on which quality is measured by default.
pub const SAMPLE: usize = 1000;
/// Below this trustworthiness a map shows neighbours that are none.
const MISLEADS: f64 = 0.8;
/// Below this share of kept neighbours, too.
const LOSES: f64 = 0.1;
/// Work of one measurement at most, in multiplications: the sample of very many points is smaller.
const WORK: f64 = 4e10;

impl Quality {
    /// Measures a map of the points; `places` has one place for each.
    ///
    /// # Errors
    /// A cancel.
    pub fn measure(
        points: &Points,
        places: &[[f32; 3]],
        k: usize,
        sample: usize,
        seed: u64,
        context: &JobContext,
    ) -> Result<Option<Self>> {
        let n = points.len();
        // The formula's scale needs 2n > 3k + 1.
        let k = k.min(n.saturating_sub(1) / 2);
        if k == 0 || places.len() != n || !places.iter().flatten().all(|value| value.is_finite()) {
            return Ok(None);
        }
        context.stage("how far the map can be trusted");
        let affordable = (WORK / (n as f64 * points.width() as f64)) as usize;
        let mut order: Vec<u32> = (0..n as u32).collect();
        Rng::named(seed, "map quality").shuffle(&mut order);
        order.truncate(sample.min(affordable.max(50)));
        let flat = Points::new(places.as_flattened().to_vec(), 3, Metric::Euclidean)?;
        let mut penalties = Vec::with_capacity(order.len());
        let mut of_points = Vec::with_capacity(order.len());
        for (part, queries) in order.chunks(64).enumerate() {
            context.check()?;
            context.progress(64 * part as u64, order.len() as u64);
            for (query, (penalty, kept)) in queries.iter().zip(judge(points, &flat, queries, k)) {
                penalties.push(penalty);
                of_points.push((*query, (kept as f64 / k as f64) as f32));
            }
        }
        let scale = 2.0 / (k as f64 * (2.0 * n as f64 - 3.0 * k as f64 - 1.0));
        let whole = order.len() == n;
        let trust: Vec<f64> = penalties.iter().map(|penalty| 1.0 - scale * penalty).collect();
        let kept: Vec<f64> = of_points.iter().map(|(_, share)| f64::from(*share)).collect();
        Ok(Some(Self {
            neighbours: k,
            sample: order.len(),
            points: n,
            trustworthiness: Measured::of(&trust, whole),
            preservation: Measured::of(&kept, whole),
            of_points,
        }))
    }

    /// Both numbers in words, each with its interval where points were sampled.
    pub fn in_words(&self) -> String {
        let exact = self.sample == self.points;
        let of = |measured: Measured| {
            let Measured { value, low, high } = measured;
            if exact { format!("{value:.3}") } else { format!("{value:.3} ({low:.3} to {high:.3})") }
        };
        let sample = if exact {
            format!("exact, by all {} points", self.points)
        } else {
            format!("{} of {} points sampled", self.sample, self.points)
        };
        format!(
            "trustworthiness {}, share of the {} true neighbours kept {} ({sample})",
            of(self.trustworthiness),
            self.neighbours,
            of(self.preservation)
        )
    }

    /// Why the map must not be taken at its word, if so.
    pub fn warning(&self) -> Option<String> {
        if self.trustworthiness.value < MISLEADS {
            return Some("this map misleads: many neighbours in it are far apart in the table".to_owned());
        }
        (self.preservation.value < LOSES).then(|| {
            "this map loses neighbours: most of a point's true ones are elsewhere, so ask for them by a click".to_owned()
        })
    }
}

impl Measured {
    fn of(values: &[f64], whole: bool) -> Self {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n.max(1.0);
        let variance = values.iter().map(|v| (v - value).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        // Of all points nothing is left to be sampled.
        let reach = if whole { 0.0 } else { 1.96 * (variance / n.max(1.0)).sqrt() };
        Self { value, low: (value - reach).max(0.0), high: (value + reach).min(1.0) }
    }
}

/// For each query `sum of (rank - k)` over its map neighbours that are no true ones, and how many are.
fn judge(points: &Points, flat: &Points, queries: &[u32], k: usize) -> Vec<(f64, usize)> {
    let width = points.width();
    let rows: Vec<f32> = queries.iter().flat_map(|query| points.row(*query as usize)).copied().collect();
    let mut scores = vec![0.0; queries.len() * points.len()];
    let shape = [queries.len(), points.len(), width];
    let all = View::rows(points.values(), width).transposed();
    product::product(shape, View::rows(&rows, width), all, &mut scores, Finish::Set, &mut Pack::default());
    let near = best_of(flat, queries, k);
    scores
        .par_chunks_mut(points.len())
        .zip(&near)
        .zip(queries)
        .map(|((scores, near), own)| {
            scores.iter_mut().zip(points.bias()).for_each(|(score, bias)| *score -= bias);
            let mut wanted: Vec<f32> = near.kept.iter().map(|(_, id)| scores[*id as usize]).collect();
            scores[*own as usize] = f32::NEG_INFINITY;
            wanted.sort_by(f32::total_cmp);
            // above[i]: how many scores lie between the i-th and the next wanted one.
            let mut above = vec![0usize; wanted.len()];
            let least = wanted.first().copied().unwrap_or(f32::INFINITY);
            for score in scores.iter().filter(|score| **score > least) {
                above[wanted.partition_point(|wanted| wanted < score) - 1] += 1;
            }
            let (mut rank, mut penalty, mut kept) = (1, 0.0, 0);
            for above in above.iter().rev() {
                rank += above;
                kept += usize::from(rank <= k);
                penalty += rank.saturating_sub(k) as f64;
            }
            (penalty, kept)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x[i, j] = ((i i (1 + j) + 3 i + j j j) 7919 mod 997) / 997`, 60 rows of 5; the map is its first two columns.
    fn fixed() -> (Points, Vec<[f32; 3]>) {
        let at = |i: u64, j: u64| (((i * i * (1 + j) + 3 * i + j * j * j) * 7919) % 997) as f32 / 997.0;
        let values: Vec<f32> = (0..60).flat_map(|i| (0..5).map(move |j| at(i, j))).collect();
        let places = values.chunks(5).map(|row| [row[0], row[1], 0.0]).collect();
        (Points::new(values, 5, Metric::Euclidean).unwrap(), places)
    }

    #[test]
    fn it_is_what_scikit_learn_says() {
        // sklearn.manifold.trustworthiness(x, x[:, :2], n_neighbors=k), scikit-learn 1.9.1; the share of common
        // neighbours by sklearn.neighbors.NearestNeighbors.
        let (points, places) = fixed();
        for (k, trust, kept) in [
            (3, 0.782_424_242_424_242_5, 0.383_333_333),
            (7, 0.767_687_074_829_931_9, 0.383_333_333),
            (12, 0.787_416_331_994_645_2, 0.484_722_222),
        ] {
            let context = JobContext::detached();
            let found = Quality::measure(&points, &places, k, 60, 1, &context).unwrap().unwrap();
            assert!((found.trustworthiness.value - trust).abs() < 1e-9, "{k}: {found:?}");
            assert!((found.preservation.value - kept).abs() < 1e-6, "{k}: {found:?}");
            assert_eq!(found.trustworthiness.low, found.trustworthiness.value);
            assert!(found.in_words().ends_with("(exact, by all 60 points)"), "{}", found.in_words());
        }
    }

    #[test]
    fn a_perfect_map_is_trusted_and_a_random_one_warned_of() {
        let context = JobContext::detached();
        let mut rng = Rng::named(6, "quality test");
        let values: Vec<f32> = (0..3 * 400).map(|_| rng.normal() as f32).collect();
        let places: Vec<[f32; 3]> = values.as_chunks::<3>().0.to_vec();
        let points = Points::new(values, 3, Metric::Euclidean).unwrap();
        let perfect = Quality::measure(&points, &places, 10, 100, 1, &context).unwrap().unwrap();
        assert_eq!((perfect.trustworthiness.value, perfect.preservation.value), (1.0, 1.0));
        assert_eq!(perfect.warning(), None);
        let random: Vec<[f32; 3]> =
            (0..400).map(|_| [rng.uniform() as f32, rng.uniform() as f32, 0.0]).collect();
        let random = Quality::measure(&points, &random, 10, 100, 1, &context).unwrap().unwrap();
        assert!((random.trustworthiness.value - 0.5).abs() < 0.06, "{random:?}");
        assert!(random.trustworthiness.low < random.trustworthiness.value && random.warning().is_some());
        assert!(
            random.in_words().ends_with("(100 of 400 points sampled)") && random.in_words().contains(" to ")
        );
    }

    #[test]
    fn two_points_have_no_quality() {
        let points = Points::new(vec![0.0, 1.0], 1, Metric::Euclidean).unwrap();
        let context = JobContext::detached();
        let measured = |places: &[[f32; 3]]| Quality::measure(&points, places, 5, 10, 1, &context).unwrap();
        assert_eq!(measured(&[[0.0; 3], [1.0; 3]]), None);
        assert_eq!(measured(&[[f32::NAN; 3], [1.0; 3]]), None);
    }
}
