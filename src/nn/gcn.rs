//! What do a person's attributes and those of everything around them in the graph of clicks say of them? Graph convolution
//! with weights, over features of the nodes.
//!
//! Kipf & Welling, ICLR 2017 (arXiv 1609.02907): `Z = A relu(A X W0) W1` with `A = D^-1/2 (G + 1) D^-1/2`, where `G` has an edge
//! for each click between a person and an item, `1` lets each node hear itself, and `D` counts both (equations 2 and 9).
//! `X` holds the features of people and items. The weights learn to rank: the product of a person's and an item's `Z` should
//! be larger where there was a click (BPR, Rendle et al. 2009). `A` is symmetric, so the way back is the way forward.

use super::factors::{Factors, Search};
use super::neighbours::Interactions;
use super::optimiser::{Rule, Step};
use super::product::{Finish, Pack, View, product};
use crate::base::Result;
use crate::base::rng::Rng;
use crate::jobs::JobContext;

/// Triples that a step is taken for.
const BATCH: usize = 1024;

/// A person, an item of theirs, and one that is not.
type Triple = (u32, u32, u32);

/// How the weights are found, beside what any search has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convolution {
    /// Numbers between the two layers.
    pub hidden: usize,
    /// Length of a step (Adam).
    pub rate: f64,
}

/// People, then items, with their features.
#[derive(Debug)]
struct Nodes {
    people: usize,
    /// `A`: square and symmetric.
    graph: Interactions,
    /// `X`, and its transpose.
    features: [Interactions; 2],
}

/// `W0` `[features, hidden]` and `W1` `[hidden, width]`.
#[derive(Debug, Clone, PartialEq)]
struct Weights {
    first: Vec<f32>,
    second: Vec<f32>,
    hidden: usize,
    width: usize,
}

/// What a run leaves for the way back.
struct Run {
    /// `relu(A X W0)`.
    inner: Vec<f32>,
    /// `A` times that.
    heard: Vec<f32>,
    /// `Z`.
    vectors: Vec<f32>,
}

impl Nodes {
    /// `features` has a row for each person, then one for each item.
    fn new(clicks: &Interactions, features: &Interactions) -> Self {
        let (people, items) = (clicks.rows(), clicks.columns());
        let turned = clicks.transposed();
        let degree = |node: usize| {
            let edges = if node < people { clicks.of_row(node) } else { turned.of_row(node - people) };
            edges.len() as f32 + 1.0
        };
        let mut pairs: Vec<(u32, u32, f32)> =
            (0..people + items).map(|node| (node as u32, node as u32, 1.0 / degree(node))).collect();
        for (person, item) in clicks.all_pairs() {
            let item = item + people as u32;
            let share = 1.0 / (degree(person as usize) * degree(item as usize)).sqrt();
            pairs.extend([(person, item, share), (item, person, share)]);
        }
        let graph = Interactions::of(pairs, people + items, people + items);
        Self { people, graph, features: [features.clone(), features.transposed()] }
    }

    fn run(&self, weights: &Weights) -> Run {
        let Weights { first, second, hidden, width } = weights;
        let mut inner = self.graph.times(&self.features[0].times(first, *hidden), *hidden);
        inner.iter_mut().for_each(|x| *x = x.max(0.0));
        let heard = self.graph.times(&inner, *hidden);
        let nodes = self.graph.rows();
        let mut vectors = vec![0.0; nodes * width];
        let shape = [nodes, *width, *hidden];
        let (a, b) = (View::rows(&heard, *hidden), View::rows(second, *width));
        product(shape, a, b, &mut vectors, Finish::Set, &mut Pack::default());
        Run { inner, heard, vectors }
    }

    /// Mean of `-ln sigma(z_p . (z_i - z_j))` over triples, and its slope by the weights.
    fn loss(&self, weights: &Weights, triples: &[Triple]) -> (f64, Weights) {
        let Weights { second, hidden, width, .. } = weights;
        let (hidden, width) = (*hidden, *width);
        let run = self.run(weights);
        let vector = |node: usize| &run.vectors[node * width..][..width];
        let each = 1.0 / triples.len().max(1) as f32;
        let (mut loss, mut of_scores) = (0.0, Vec::with_capacity(4 * triples.len()));
        for &(person, item, other) in triples {
            let (item, other) = (item + self.people as u32, other + self.people as u32);
            let between = vector(item as usize).iter().zip(vector(other as usize)).map(|(i, j)| i - j);
            let apart: f32 = vector(person as usize).iter().zip(between).map(|(p, x)| p * x).sum();
            loss += f64::from((-apart).exp().ln_1p());
            let pull = -each / (1.0 + apart.exp());
            for (node, pull) in [(item, pull), (other, -pull)] {
                of_scores.extend([(person, node, pull), (node, person, pull)]);
            }
        }
        let nodes = self.graph.rows();
        // The slope by a score is the other vector.
        let of_vectors = Interactions::unmerged(&of_scores, nodes, nodes).times(&run.vectors, width);
        let mut slope = Weights { first: Vec::new(), second: vec![0.0; second.len()], hidden, width };
        let mut pack = Pack::default();
        let (heard, of) = (View::rows(&run.heard, hidden).transposed(), View::rows(&of_vectors, width));
        product([hidden, width, nodes], heard, of, &mut slope.second, Finish::Set, &mut pack);
        let mut of_heard = vec![0.0; run.heard.len()];
        let second = View::rows(second, width).transposed();
        product([nodes, hidden, width], of, second, &mut of_heard, Finish::Set, &mut pack);
        let mut of_inner = self.graph.times(&of_heard, hidden);
        of_inner.iter_mut().zip(&run.inner).for_each(|(of, inner)| {
            if *inner <= 0.0 {
                *of = 0.0;
            }
        });
        slope.first = self.features[1].times(&self.graph.times(&of_inner, hidden), hidden);
        (f64::from(each) * loss, slope)
    }
}

/// Vectors of people and items by their features and clicks. `features` has a row for each person, then one for each item;
/// who has no click has a vector by their features alone.
///
/// # Errors
/// A cancel.
pub fn gcn(
    clicks: &Interactions,
    features: &Interactions,
    search: Search,
    how: Convolution,
    context: &JobContext,
) -> Result<Factors> {
    let nodes = Nodes::new(clicks, features);
    let mut weights = drawn(features.columns(), how.hidden, search);
    let memory = |values: &[f32]| {
        vec![0.0f32; Rule::Adam.remembers_dense(values.len()).iter().map(|(_, count)| count).sum()]
    };
    let (mut of_first, mut of_second) = (memory(&weights.first), memory(&weights.second));
    let mut rng = Rng::named(search.seed, "triples");
    let (pairs, items) = (clicks.all_pairs(), clicks.columns_with_pairs());
    let mut count = 0;
    for pass in 0..search.passes {
        context.progress(pass as u64, search.passes as u64);
        for _ in 0..pairs.len().div_ceil(BATCH) {
            context.check()?;
            let draw = |_| {
                let (person, item) = pairs[rng.below(pairs.len())];
                let other = items[rng.below(items.len())];
                (!clicks.has(person, other)).then_some((person, item, other))
            };
            let triples: Vec<Triple> = (0..BATCH.min(pairs.len())).filter_map(draw).collect();
            if triples.is_empty() {
                continue;
            }
            let (_, slope) = nodes.loss(&weights, &triples);
            count += 1;
            let l2 = search.penalty as f32;
            let step = Step { count, l2, ..Step::new(Rule::Adam, how.rate as f32) };
            step.dense(&mut weights.first, &mut of_first, &slope.first);
            step.dense(&mut weights.second, &mut of_second, &slope.second);
        }
    }
    let mut people = nodes.run(&weights).vectors;
    let items = people.split_off(nodes.people * search.width);
    Ok(Factors { width: search.width, people, items })
}

/// As Kipf & Welling draw them (Glorot & Bengio 2010), but that a feature counts as one input whatever their number: a node
/// has few of them.
fn drawn(features: usize, hidden: usize, search: Search) -> Weights {
    let mut rng = Rng::named(search.seed, "convolution");
    let mut draw = |rows: usize, columns: usize, inputs: usize| -> Vec<f32> {
        let limit = (6.0 / (inputs + columns) as f64).sqrt();
        (0..rows * columns).map(|_| (limit * (2.0 * rng.uniform() - 1.0)) as f32).collect()
    };
    Weights {
        first: draw(features, hidden, 1),
        second: draw(hidden, search.width, hidden),
        hidden,
        width: search.width,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search { width: 3, passes: 1, penalty: 0.0, seed: 2 };

    /// Three people and three items; person 2 and item 2 stand alone.
    fn graph() -> (Interactions, Interactions) {
        let clicks = Interactions::of(vec![(0, 0, 1.0), (0, 1, 1.0), (1, 1, 1.0)], 3, 3);
        let features = (0..6).flat_map(|node| [(node, node, 0.5), (node, 6 + node % 2, 0.5)]);
        (clicks, Interactions::of(features.collect(), 6, 8))
    }

    #[test]
    fn sparse_products_equal_dense_ones() {
        let (clicks, features) = graph();
        let weights = drawn(8, 4, SEARCH);
        let found = Nodes::new(&clicks, &features).run(&weights).vectors;
        // A + 1 and its degrees, by hand.
        let edges = [(0, 3), (0, 4), (1, 4)];
        let mut dense = [[0.0f64; 6]; 6];
        (0..6).for_each(|node| dense[node][node] = 1.0);
        edges.iter().for_each(|(p, i)| (dense[*p][*i], dense[*i][*p]) = (1.0, 1.0));
        let degrees = dense.map(|row| row.iter().sum::<f64>());
        assert_eq!(degrees, [3.0, 2.0, 1.0, 2.0, 3.0, 1.0]);
        for (row, own) in dense.iter_mut().zip(degrees) {
            row.iter_mut().zip(degrees).for_each(|(x, its)| *x /= (own * its).sqrt());
        }
        let times = |x: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let sum = |row: &[f64; 6], k| (0..6).map(|j| row[j] * x[j][k]).sum();
            dense.iter().map(|row| (0..x[0].len()).map(|k| sum(row, k)).collect()).collect()
        };
        let of = |values: &[f32], at: usize| f64::from(values[at]);
        let x: Vec<Vec<f64>> = (0..6usize)
            .map(|node| {
                let both =
                    |k| 0.5 * (of(&weights.first, node * 4 + k) + of(&weights.first, (6 + node % 2) * 4 + k));
                (0..4).map(both).collect()
            })
            .collect();
        let inner: Vec<Vec<f64>> =
            times(&x).into_iter().map(|row| row.into_iter().map(|x| x.max(0.0)).collect()).collect();
        for (node, heard) in times(&inner).iter().enumerate() {
            for k in 0..3 {
                let wanted: f64 = (0..4).map(|h| heard[h] * of(&weights.second, h * 3 + k)).sum();
                assert!((wanted - of(&found, node * 3 + k)).abs() < 1e-6, "{node} {k}");
            }
        }
        // Whoever stands alone hears nobody else: relu(x W0) W1 of their own features.
        for node in [2, 5] {
            for k in 0..3 {
                let own = |h: usize| x[node][h].max(0.0) * of(&weights.second, h * 3 + k);
                assert!(((0..4).map(own).sum::<f64>() - of(&found, node * 3 + k)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_slope_is_that_of_central_differences() {
        let (clicks, features) = graph();
        let nodes = Nodes::new(&clicks, &features);
        let mut weights = drawn(8, 4, SEARCH);
        let triples = [(0, 0, 2), (0, 1, 2), (1, 1, 0)];
        let (_, slope) = nodes.loss(&weights, &triples);
        let claimed: Vec<f32> = slope.first.iter().chain(&slope.second).copied().collect();
        let mut seen = 0;
        for (at, claimed) in claimed.into_iter().enumerate() {
            let mut shifted = |by: f32| {
                let Weights { first, second, .. } = &mut weights;
                let count = first.len();
                let place = if at < count { &mut first[at] } else { &mut second[at - count] };
                let before = *place;
                *place += by;
                let loss = nodes.loss(&weights, &triples).0;
                let Weights { first, second, .. } = &mut weights;
                *(if at < count { &mut first[at] } else { &mut second[at - count] }) = before;
                loss
            };
            let numeric = (shifted(2e-3) - shifted(-2e-3)) / 4e-3;
            assert!((numeric - f64::from(claimed)).abs() < 1e-3, "{at}: {numeric} {claimed}");
            seen += usize::from(claimed.abs() > 0.01);
        }
        assert!(seen > 15, "{seen} slopes matter");
    }

    #[test]
    fn somebody_without_clicks_is_ranked_by_what_they_share_with_others() {
        // People of two sorts with one feature each; the last of either has no click.
        let clicks = (0..20u32).flat_map(|person| {
            (0..10)
                .filter(move |item| person % 2 == item % 2 && (person / 2 + item) % 3 != 0)
                .map(move |item| (person, item, 1.0))
        });
        let clicks = Interactions::of(clicks.collect(), 22, 10);
        let features = (0..32u32).flat_map(|node| {
            let sort = (node < 22).then_some((node, 32 + node % 2, 0.5));
            std::iter::once((node, node, 0.5)).chain(sort)
        });
        let features = Interactions::of(features.collect(), 32, 34);
        let search = Search { width: 4, passes: 200, penalty: 1e-4, seed: 3 };
        let how = Convolution { hidden: 8, rate: 0.02 };
        let found = gcn(&clicks, &features, search, how, &JobContext::detached()).unwrap();
        for person in [20, 21] {
            let scores = |parity: usize| (0..5).map(move |item| 2 * item + parity);
            let own = scores(person % 2).map(|item| found.score(person, item)).fold(f32::INFINITY, f32::min);
            let others = scores(1 - person % 2)
                .map(|item| found.score(person, item))
                .fold(f32::NEG_INFINITY, f32::max);
            assert!(own > others, "{person}: {own} {others}");
        }
        let cancelled = JobContext::watched(std::sync::Arc::new(true.into()), |_| {});
        assert!(gcn(&clicks, &features, search, how, &cancelled).unwrap_err().is_cancelled());
    }
}
