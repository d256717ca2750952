//! What do a person's neighbours in the graph of clicks say of them? Vectors that are smoothed over the graph while they are
//! learnt to rank.
//!
//! LightGCN (He et al., SIGIR 2020, arXiv 2002.02126): `E^(k+1) = D^-1/2 A D^-1/2 E^(k)` over people and items, the final
//! vectors are the mean of `E^(0)` to `E^(K)` (equations 7 and 8), and `E^(0)` alone is learnt, by BPR on drawn triples with
//! Adam. The matrix is symmetric, so the way back is the way forward. Without layers it is matrix factorisation.

use super::factors::{Factors, Search};
use super::neighbours::Interactions;
use super::optimiser::{Rule, Step};
use crate::base::Result;
use crate::base::rng::Rng;
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Triples that a step is taken for.
const BATCH: usize = 1024;

/// A person, an item of theirs, and one that is not.
type Triple = (u32, u32, u32);

/// People and items with the clicks between them, each divided by the roots of both degrees.
#[derive(Debug)]
struct Graph {
    of_people: Interactions,
    of_items: Interactions,
    layers: usize,
}

impl Graph {
    fn new(clicks: &Interactions, layers: usize) -> Self {
        let turned = clicks.transposed();
        let of_people = clicks.valued(|person, item, _| {
            let (own, its) = (clicks.of_row(person).len() as f32, turned.of_row(item).len() as f32);
            1.0 / (own * its).sqrt()
        });
        Self { of_items: of_people.transposed(), of_people, layers }
    }

    /// The mean of vectors and what each layer makes of them; linear, and its own transpose.
    fn smoothed(&self, start: &Factors) -> Factors {
        let width = start.width;
        let share = 1.0 / (self.layers as f32 + 1.0);
        let mut sum = start.clone();
        let (mut people, mut items) = (start.people.clone(), start.items.clone());
        for _ in 0..self.layers {
            let of_items = self.of_people.times(&items, width);
            items = self.of_items.times(&people, width);
            people = of_items;
            add(&mut sum.people, &people);
            add(&mut sum.items, &items);
        }
        sum.people.iter_mut().chain(&mut sum.items).for_each(|x| *x *= share);
        sum
    }

    /// Mean of `-ln sigma(p . (q_i - q_j))` over triples, with `penalty / 2` on the squares of their own starting
    /// vectors, and its slope by all starting vectors.
    fn loss(&self, start: &Factors, triples: &[Triple], penalty: f32) -> (f64, Factors) {
        let width = start.width;
        let ends = self.smoothed(start);
        let mut slope =
            Factors { width, people: vec![0.0; start.people.len()], items: vec![0.0; start.items.len()] };
        let each = 1.0 / triples.len().max(1) as f32;
        let mut loss = 0.0;
        for &(person, item, other) in triples {
            let (person, item, other) = (person as usize, item as usize, other as usize);
            let apart = ends.score(person, item) - ends.score(person, other);
            loss += f64::from((-apart).exp().ln_1p());
            let pull = -each / (1.0 + apart.exp());
            for at in 0..width {
                let (p, i, j) = (person * width + at, item * width + at, other * width + at);
                slope.people[p] += pull * (ends.items[i] - ends.items[j]);
                slope.items[i] += pull * ends.people[p];
                slope.items[j] -= pull * ends.people[p];
            }
        }
        let mut slope = self.smoothed(&slope);
        let mut squares = 0.0;
        let mut shrink = |values: &[f32], slope: &mut [f32], row: u32| {
            for at in row as usize * width..(row as usize + 1) * width {
                squares += f64::from(values[at] * values[at]);
                slope[at] += each * penalty * values[at];
            }
        };
        for &(person, item, other) in triples {
            shrink(&start.people, &mut slope.people, person);
            shrink(&start.items, &mut slope.items, item);
            shrink(&start.items, &mut slope.items, other);
        }
        (f64::from(each) * (loss + f64::from(penalty) / 2.0 * squares), slope)
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    to.par_iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// Vectors smoothed over so many layers of the graph of clicks, learnt with steps of `rate`.
///
/// # Errors
/// A cancel.
pub fn light_gcn(
    clicks: &Interactions,
    search: Search,
    (layers, rate): (usize, f64),
    context: &JobContext,
) -> Result<Factors> {
    let graph = Graph::new(clicks, layers);
    let mut start = Factors::drawn(clicks, search);
    let mut rng = Rng::named(search.seed, "triples");
    let pairs = clicks.all_pairs();
    let items = clicks.columns_with_pairs();
    let rule = Rule::Adam;
    let memory = |values: &[f32]| {
        let remembered = rule.remembers_dense(values.len());
        vec![0.0f32; remembered.iter().map(|(_, count)| count).sum()]
    };
    let (mut of_people, mut of_items) = (memory(&start.people), memory(&start.items));
    let mut count = 0;
    for pass in 0..search.passes {
        context.progress(pass as u64, search.passes as u64);
        for _ in 0..pairs.len().div_ceil(BATCH) {
            context.check()?;
            let triples: Vec<Triple> = (0..BATCH.min(pairs.len()))
                .filter_map(|_| {
                    let (person, item) = pairs[rng.below(pairs.len())];
                    let other = items[rng.below(items.len())];
                    (!clicks.has(person, other)).then_some((person, item, other))
                })
                .collect();
            if triples.is_empty() {
                continue;
            }
            let (_, slope) = graph.loss(&start, &triples, search.penalty as f32);
            count += 1;
            let step = Step { rule, rate: rate as f32, l2: 0.0, l1: 0.0, decay: 0.0, count };
            step.dense(&mut start.people, &mut of_people, &slope.people);
            step.dense(&mut start.items, &mut of_items, &slope.items);
        }
    }
    Ok(graph.smoothed(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Person 0 has items 0 and 1, person 1 has item 1: a path of four nodes.
    fn path() -> Interactions {
        Interactions::of(vec![(0, 0, 1.0), (0, 1, 1.0), (1, 1, 1.0)], 2, 2)
    }

    #[test]
    fn a_path_of_four_nodes_is_smoothed_as_by_hand() {
        let start = Factors { width: 1, people: vec![1.0, 2.0], items: vec![3.0, 5.0] };
        // Degrees 2, 1 and 1, 2: weights 1/sqrt 2, 1/2 and 1/sqrt 2.
        let (r, h) = (1.0 / 2f32.sqrt(), 0.5);
        let one = Graph::new(&path(), 1).smoothed(&start);
        let people = [3.0 * r + 5.0 * h, 5.0 * r];
        let items = [1.0 * r, 1.0 * h + 2.0 * r];
        for (found, (own, layer)) in one.people.iter().zip([1.0, 2.0].iter().zip(people)) {
            assert!((found - (own + layer) / 2.0).abs() < 1e-6);
        }
        for (found, (own, layer)) in one.items.iter().zip([3.0, 5.0].iter().zip(items)) {
            assert!((found - (own + layer) / 2.0).abs() < 1e-6);
        }
        let two = Graph::new(&path(), 2).smoothed(&start);
        let second = items[0] * r + items[1] * h;
        assert!((two.people[0] - (1.0 + people[0] + second) / 3.0).abs() < 1e-6);
        assert_eq!(Graph::new(&path(), 0).smoothed(&start), start, "without layers nothing is smoothed");
    }

    #[test]
    fn the_slope_is_that_of_central_differences() {
        let mut rng = Rng::named(6, "light gcn");
        let pairs = (0..60).map(|_| (rng.below(12) as u32, rng.below(9) as u32, 1.0)).collect();
        let clicks = Interactions::of(pairs, 12, 9);
        let search = Search { width: 3, passes: 1, penalty: 0.0, seed: 2 };
        let start = Factors::drawn(&clicks, search);
        let triples: Vec<Triple> =
            (0..30).map(|_| (rng.below(12) as u32, rng.below(9) as u32, rng.below(9) as u32)).collect();
        for layers in [0, 1, 3] {
            let graph = Graph::new(&clicks, layers);
            let (_, slope) = graph.loss(&start, &triples, 0.2);
            for at in 0..start.people.len() {
                let at_shift = |shift: f32| {
                    let mut near = start.clone();
                    near.people[at] += shift;
                    graph.loss(&near, &triples, 0.2).0
                };
                let numeric = (at_shift(1e-2) - at_shift(-1e-2)) / 2e-2;
                let claimed = f64::from(slope.people[at]);
                assert!((numeric - claimed).abs() < 1e-4, "{layers} layers: {numeric} against {claimed}");
            }
        }
    }

    #[test]
    fn without_layers_the_loss_is_that_of_bpr() {
        let clicks = path();
        let start = Factors::drawn(&clicks, Search { width: 3, passes: 1, penalty: 0.0, seed: 4 });
        let triples = [(0, 0, 1), (1, 1, 0)];
        let (loss, _) = Graph::new(&clicks, 0).loss(&start, &triples, 0.0);
        // Rendle et al. 2009: the mean of -ln sigma(p . q_i - p . q_j).
        let by_hand = triples.iter().map(|(person, item, other): &Triple| {
            let score = |item: &u32| f64::from(start.score(*person as usize, *item as usize));
            (1.0 + (score(other) - score(item)).exp()).ln()
        });
        assert!((loss - by_hand.sum::<f64>() / 2.0).abs() < 1e-6);
    }

    #[test]
    fn what_a_neighbours_neighbour_clicked_is_ranked_first() {
        // Two groups; the last person has a single click, on an item of the first.
        let mut pairs = Vec::new();
        for person in 0..20u32 {
            for item in 0..10u32 {
                if person % 2 == item % 2 && (person / 2 + item / 2) % 3 != 0 {
                    pairs.push((person, item, 1.0));
                }
            }
        }
        pairs.push((20, 0, 1.0));
        let clicks = Interactions::of(pairs, 21, 10);
        let search = Search { width: 8, passes: 60, penalty: 1e-3, seed: 3 };
        let found = light_gcn(&clicks, search, (2, 0.02), &JobContext::detached()).unwrap();
        let lowest = [2, 4, 6, 8].map(|item| found.score(20, item)).into_iter().fold(f32::INFINITY, f32::min);
        let others = [1, 3, 5, 7, 9].map(|item| found.score(20, item));
        assert!(others.iter().all(|other| *other < lowest), "{lowest} {others:?}");
    }
}
