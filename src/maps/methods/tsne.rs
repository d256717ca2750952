//! t-SNE (van der Maaten & Hinton 2008; the tree of van der Maaten 2014): near points pull by the odds that one would
//! pick the other, all points push.
//!
//! Rates and passes are those of openTSNE (Policar, Strazar & Zupan 2024), after Belkina et al. 2019 and Kobak & Berens
//! 2019: it starts at the principal components, and the rate is the number of points over the exaggeration.

use super::super::crowd;
use super::super::graph::Graph;
use super::super::method::{Frame, MapMethod, MapRequest, MapState, frame, in_space};
use super::super::symmetric::Ties;
use super::super::tree::{Push, Tree};
use super::passes::{self, CardWalk, Watch};
use super::{neighbours, pca};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::gpu::compute::Processor;
use crate::gpu::pushing::{Field, PushingPass};
use crate::jobs::JobContext;
use rayon::prelude::*;

/// The way.
#[derive(Debug)]
pub struct Tsne;

const PARAMS: &[ParamSpec] = &[
    ParamSpec::real(
        "perplexity",
        "Perplexity",
        (2.0, 30.0, 100.0),
        "How many neighbours each point has in effect; a third of the points at most.",
    ),
    ParamSpec::integer(
        "early_epochs",
        "Passes to gather",
        (0, 250, 2000),
        "Passes in which the pull is exaggerated, so that clusters find together.",
    ),
    ParamSpec::integer("epochs", "Passes", (1, 500, 5000), "Passes after those."),
    ParamSpec::real(
        "exaggeration",
        "Exaggeration",
        (1.0, 1.0, 12.0),
        "How much stronger than they are neighbours pull after gathering; above 1 for very many points.",
    ),
    crowd::MOST,
];

/// How much stronger neighbours pull while clusters find together.
const EARLY: f32 = 12.0;
/// How far away a box must be to count as one point.
const THETA: f32 = 0.5;
const MOMENTUM: f32 = 0.8;
/// A step at most.
const LONGEST: f32 = 5.0;
/// Standard deviation of the first places.
const START: f32 = 1e-4;
/// Neighbours of each point at most, where there are very many points.
const MOST_TIES: usize = 40_000_000;

impl MapMethod for Tsne {
    fn id(&self) -> &'static str {
        "tsne"
    }

    fn title(&self) -> &'static str {
        "t-SNE"
    }

    fn summary(&self) -> &'static str {
        "Keeps near neighbours near; sizes of clusters and distances between them say nothing"
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn fewest(&self) -> usize {
        7
    }

    fn needs_distance(&self) -> bool {
        true
    }

    fn most_walking(&self, params: &Params) -> Result<Option<usize>> {
        crowd::most(params)
    }

    fn make(
        &self,
        request: &MapRequest<'_>,
        show: &mut dyn FnMut(Frame),
        context: &JobContext,
    ) -> Result<MapState> {
        match request.dimensions {
            3 => draw::<3>(request, show, context),
            _ => draw::<2>(request, show, context),
        }
    }
}

fn draw<const D: usize>(
    request: &MapRequest<'_>,
    show: &mut dyn FnMut(Frame),
    context: &JobContext,
) -> Result<MapState> {
    let (points, params) = (request.points, request.params);
    let n = points.len();
    let mut notes = Vec::new();
    let mut places = pca::first_places::<D>(points, 1.0, request.seed)?;
    show(frame(&places, 0, 0));
    let asked = params.real("perplexity")?;
    let perplexity = asked.min((n - 1) as f64 / 3.0).min(MOST_TIES as f64 / n as f64 / 3.0).max(2.0);
    if perplexity < asked {
        notes.push(format!("perplexity {perplexity:.1} instead of {asked:.1}, for {n} points"));
    }
    context.stage("finding neighbours");
    let (near, note) = neighbours(points, (3.0 * perplexity) as usize, request.seed, context)?;
    notes.extend(note);
    context.stage("t-SNE");
    let ties = Ties::new(&near.ids, &odds(&near, perplexity), near.k, |a, b| (a + b) / (2.0 * n as f32));
    shrink(&mut places);
    let early = params.count("early_epochs")?;
    let total = early + params.count("epochs")?;
    let schedule = Schedule { early, exaggeration: params.real("exaggeration")? as f32 };
    let mut walk = Walk::new(&ties, schedule, n);
    notes.extend(Watch { total, show, context }.walk(&mut walk, &mut places)?);
    Ok(MapState { places: places.iter().map(in_space).collect(), notes, axes: None })
}

/// How much stronger than they are neighbours pull in which pass.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    /// Passes in which points gather.
    early: usize,
    /// After those.
    exaggeration: f32,
}

impl Schedule {
    fn exaggeration(&self, pass: usize) -> f32 {
        if pass < self.early { EARLY } else { self.exaggeration }
    }

    /// True where speeds and gains begin anew.
    fn rests(&self, pass: usize) -> bool {
        pass == self.early
    }
}

/// The rate of steps: the number of points over the exaggeration.
fn rate(points: usize, exaggeration: f32) -> f32 {
    points as f32 / exaggeration
}

/// Scales the places so that the first axis has the standard deviation with which t-SNE starts.
fn shrink<const D: usize>(places: &mut [[f32; D]]) {
    let n = places.len() as f32;
    let mean = places.iter().map(|place| place[0]).sum::<f32>() / n;
    let variance = places.iter().map(|place| (place[0] - mean).powi(2)).sum::<f32>() / n;
    let scale = START / variance.sqrt().max(f32::MIN_POSITIVE);
    places.iter_mut().flatten().for_each(|value| *value *= scale);
}

/// The odds that a point would pick each of its neighbours, `exp(-d^2 / 2 s^2)` with the `s` that gives them the
/// perplexity.
fn odds(graph: &Graph, perplexity: f64) -> Vec<f32> {
    let k = graph.k.max(1);
    let mut odds = vec![0.0; graph.distances.len()];
    odds.par_chunks_mut(k)
        .zip(graph.distances.par_chunks(k))
        .with_min_len(64)
        .for_each(|(odds, distances)| odds_of(distances, perplexity.ln(), odds));
    odds
}

fn odds_of(distances: &[f32], wanted: f64, odds: &mut [f32]) {
    let nearest = distances.iter().copied().fold(f32::INFINITY, f32::min);
    // Only differences matter; taking the nearest away keeps the largest term at 1.
    let squares: Vec<f64> =
        distances.iter().map(|d| f64::from(*d).powi(2) - f64::from(nearest).powi(2)).collect();
    let scale = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut beta = if scale > 0.0 { 1.0 / scale } else { 1.0 };
    let mut sum = 1.0;
    for _ in 0..100 {
        let (total, weighted) =
            squares.iter().zip(odds.iter_mut()).fold((0.0, 0.0), |(total, weighted), (d, p)| {
                let w = (-beta * d).exp();
                *p = w as f32;
                (total + w, weighted + w * d)
            });
        sum = total;
        // Entropy of the odds: log of their sum plus the mean exponent.
        let miss = total.ln() + beta * weighted / total - wanted;
        if miss.abs() < 1e-6 {
            break;
        }
        if miss > 0.0 {
            low = beta;
            beta = if high.is_finite() { (low + high) / 2.0 } else { beta * 2.0 };
        } else {
            high = beta;
            beta = (low + high) / 2.0;
        }
    }
    odds.iter_mut().for_each(|p| *p /= sum as f32);
}

/// Points on their way, with the speed and the gain of each coordinate.
struct Walk<'a, const D: usize> {
    ties: &'a Ties,
    schedule: Schedule,
    theta: f32,
    speed: Vec<[f32; D]>,
    gain: Vec<[f32; D]>,
    pushes: Vec<Push<D>>,
}

impl<'a, const D: usize> Walk<'a, D> {
    fn new(ties: &'a Ties, schedule: Schedule, n: usize) -> Self {
        Self {
            ties,
            schedule,
            theta: THETA,
            speed: vec![[0.0; D]; n],
            gain: vec![[1.0; D]; n],
            pushes: vec![Push { force: [0.0; D], closeness: 0.0 }; n],
        }
    }
}

impl<const D: usize> passes::Walk<D> for Walk<'_, D> {
    fn pass(
        &mut self,
        pass: usize,
        places: &mut [[f32; D]],
        _look: &mut dyn FnMut(&[[f32; D]]),
        _context: &JobContext,
    ) {
        if self.schedule.rests(pass) {
            passes::Walk::forget(self);
        }
        let (n, exaggeration) = (places.len(), self.schedule.exaggeration(pass));
        Tree::new(places).pushes(self.theta, &mut self.pushes);
        let all: f64 = self.pushes.iter().map(|push| f64::from(push.closeness)).sum();
        let (share, rate) = (1.0 / all.max(f64::MIN_POSITIVE), rate(n, exaggeration));
        let (before, ties): (&[[f32; D]], _) = (places, self.ties);
        let moving = self.speed.par_iter_mut().zip(&mut self.gain).zip(&self.pushes).enumerate();
        moving.with_min_len(128).for_each(|(place, ((speed, gain), push))| {
            let pull = pull(ties, before, place);
            for axis in 0..D {
                let push = (f64::from(push.force[axis]) * share) as f32;
                let gradient = 4.0 * (exaggeration * pull[axis] - push);
                let turned = (gradient > 0.0) != (speed[axis] > 0.0);
                gain[axis] = if turned { gain[axis] + 0.2 } else { (gain[axis] * 0.8).max(0.01) };
                speed[axis] = MOMENTUM * speed[axis] - rate * gain[axis] * gradient;
            }
            let length = speed.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length > LONGEST {
                speed.iter_mut().for_each(|v| *v *= LONGEST / length);
            }
        });
        go(places, &self.speed);
    }

    fn on_card(&self, processor: &Processor, places: &[[f32; 4]]) -> Option<Box<dyn CardWalk>> {
        let Ties { starts, ids, weights } = self.ties;
        let field = Field { starts, ids, weights, momentum: MOMENTUM, longest: LONGEST };
        let pass = PushingPass::new(processor, &field, places).ok()?;
        Some(Box::new(OnCard { pass, schedule: self.schedule, points: places.len() }))
    }

    /// Speeds and gains begin anew.
    fn forget(&mut self) {
        self.speed.fill([0.0; D]);
        self.gain.fill([1.0; D]);
    }
}

/// Every place takes its step, and all together stay in the middle.
fn go<const D: usize>(places: &mut [[f32; D]], steps: &[[f32; D]]) {
    let n = places.len() as f64;
    let mut middle = [0.0f64; D];
    for (place, step) in places.iter_mut().zip(steps) {
        for axis in 0..D {
            place[axis] += step[axis];
            middle[axis] += f64::from(place[axis]) / n;
        }
    }
    let middle = middle.map(|value| value as f32);
    places.par_iter_mut().with_min_len(4096).for_each(|place| {
        place.iter_mut().zip(middle).for_each(|(value, middle)| *value -= middle);
    });
}

/// The passes by a graphics card.
struct OnCard {
    pass: PushingPass,
    schedule: Schedule,
    points: usize,
}

impl CardWalk for OnCard {
    fn pass(&mut self, pass: usize) -> Result<()> {
        if self.schedule.rests(pass) {
            self.pass.rest();
        }
        let exaggeration = self.schedule.exaggeration(pass);
        self.pass.epoch(exaggeration, rate(self.points, exaggeration))
    }

    fn places(&self) -> Result<Vec<[f32; 4]>> {
        self.pass.places()
    }

    fn adapter(&self) -> &str {
        self.pass.adapter()
    }
}

/// `sum of p w (y_i - y_j)` over the ties of a point.
#[inline(always)]
fn pull<const D: usize>(ties: &Ties, places: &[[f32; D]], place: usize) -> [f32; D] {
    let own = places[place];
    let mut sum = [0.0; D];
    let (ids, weights) = ties.of(place);
    for (id, weight) in ids.iter().zip(weights) {
        let other = places[*id as usize];
        let mut apart = [0.0; D];
        let mut near = 1.0;
        for axis in 0..D {
            apart[axis] = own[axis] - other[axis];
            near += apart[axis] * apart[axis];
        }
        let pull = weight / near;
        for axis in 0..D {
            sum[axis] += pull * apart[axis];
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odds_have_the_perplexity_that_was_asked_for() {
        let distances: Vec<f32> = (0..90).map(|i| 1.0 + (i as f32 * 0.37).sin().abs() * 3.0).collect();
        let mut odds = vec![0.0; 90];
        odds_of(&distances, 30f64.ln(), &mut odds);
        let entropy: f64 = odds.iter().map(|p| -f64::from(*p) * f64::from(*p).ln()).sum();
        assert!((entropy.exp() - 30.0).abs() < 1e-3, "{}", entropy.exp());
        assert!((odds.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_graphics_processor_moves_points_as_the_processor_does() {
        // On whatever adapter there is, a software one too: from the same places and speeds, in the plane and in space, with
        // every pair summed here too (theta 0).
        fn agree<const D: usize>() {
            let mut rng = crate::base::rng::Rng::named(4, "pushes");
            let n = 1500;
            let values = (0..4 * n).map(|_| rng.normal() as f32).collect();
            let points = crate::maps::points::Points::new(values, 4, crate::maps::Metric::Euclidean).unwrap();
            let context = JobContext::detached();
            let near = Graph::new(&points, 15, 1, &context).unwrap();
            let ties = Ties::new(&near.ids, &odds(&near, 5.0), near.k, |a, b| (a + b) / (2.0 * n as f32));
            let mut walk = Walk::<D>::new(&ties, Schedule { early: 4, exaggeration: 1.0 }, n);
            walk.theta = 0.0;
            let mut places: Vec<[f32; D]> =
                (0..n).map(|_| std::array::from_fn(|_| 2.0 * rng.normal() as f32)).collect();
            let wide: Vec<[f32; 4]> = places.iter().map(passes::wide).collect();
            let mut card = passes::Walk::on_card(&walk, &Processor::open().unwrap(), &wide).unwrap();
            let mut theirs = places.clone();
            for pass in 0..8 {
                let before = places.clone();
                passes::Walk::pass(&mut walk, pass, &mut places, &mut |_| {}, &context);
                card.pass(pass).unwrap();
                passes::take(&card.places().unwrap(), &mut theirs);
                let step = |a: &[[f32; D]], b: &[[f32; D]]| {
                    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
                };
                let (moved, apart) = (step(&before, &places), step(&theirs, &places));
                assert!(moved > 0.01, "{moved}");
                assert!(
                    apart < 1e-3 * moved.max(1.0),
                    "{apart} of {moved} in pass {pass} by {}",
                    card.adapter()
                );
            }
        }
        agree::<2>();
        agree::<3>();
    }

    #[test]
    fn the_forces_are_the_gradient_of_the_divergence() {
        // KL(P | Q) by central differences, exact sums (theta 0 in the tree).
        let n = 30;
        let ids: Vec<u32> =
            (0..n).flat_map(|i| (1..=6).map(move |step| ((i * 7 + step * 5) % n) as u32)).collect();
        let weights: Vec<f32> = (0..ids.len()).map(|at| 1.0 / 6.0 + 0.01 * (at % 3) as f32).collect();
        let mut ties = Ties::new(&ids, &weights, 6, |a, b| a + b);
        let total: f32 = ties.weights.iter().sum();
        ties.weights.iter_mut().for_each(|p| *p /= total);
        let places: Vec<[f32; 2]> =
            (0..n).map(|i| [(i as f32 * 1.3).sin(), (i as f32 * 0.7).cos()]).collect();
        let divergence = |places: &[[f64; 2]]| {
            let w = |i: usize, j: usize| {
                1.0 / (1.0 + (places[i][0] - places[j][0]).powi(2) + (places[i][1] - places[j][1]).powi(2))
            };
            let all: f64 = (0..n)
                .flat_map(|i| (0..n).map(move |j| (i, j)))
                .filter(|(i, j)| i != j)
                .map(|(i, j)| w(i, j))
                .sum();
            (0..n)
                .flat_map(|i| {
                    let (ids, weights) = ties.of(i);
                    ids.iter().zip(weights).map(move |(j, p)| (i, *j as usize, f64::from(*p)))
                })
                .map(|(i, j, p)| p * (p / (w(i, j) / all)).ln())
                .sum::<f64>()
        };
        let mut pushes = vec![Push { force: [0.0; 2], closeness: 0.0 }; n];
        Tree::new(&places).pushes(0.0, &mut pushes);
        let all: f32 = pushes.iter().map(|push| push.closeness).sum();
        let exact: Vec<[f64; 2]> = places.iter().map(|place| place.map(f64::from)).collect();
        for point in [0, 11, 29] {
            for axis in 0..2 {
                let at = |by: f64| {
                    let mut moved = exact.clone();
                    moved[point][axis] += by;
                    divergence(&moved)
                };
                let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
                let ours = 4.0 * (pull(&ties, &places, point)[axis] - pushes[point].force[axis] / all);
                assert!((f64::from(ours) - slope).abs() < 1e-4, "{ours} {slope}");
            }
        }
    }
}
