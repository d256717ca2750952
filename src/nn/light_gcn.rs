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

/// Triples whose scores a thread takes at a time.
const AT_ONCE: usize = 1024;

/// A person, an item of theirs, and one that is not.
type Triple = (u32, u32, u32);

/// Who is drawn for a triple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draws {
    /// Every click as often as any other.
    Clicks,
    /// Every person as often as any other, then one of their clicks: so the authors' program.
    People,
}

/// How vectors are smoothed and learnt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// Layers of the graph.
    pub layers: usize,
    /// Length of a step (Adam).
    pub rate: f64,
    /// Triples that a step is taken for.
    pub batch: usize,
    /// Who is drawn.
    pub draws: Draws,
}

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
        sum.people.par_iter_mut().chain(&mut sum.items).for_each(|x| *x *= share);
        sum
    }

    /// Mean of `-ln sigma(p . (q_i - q_j))` over triples, with `penalty / 2` on the squares of their own starting
    /// vectors, and its slope by all starting vectors.
    fn loss(&self, start: &Factors, triples: &[Triple], penalty: f32) -> (f64, Factors) {
        let width = start.width;
        let ends = self.smoothed(start);
        let each = 1.0 / triples.len().max(1) as f32;
        let mut pulls = vec![(0.0, 0.0); triples.len()];
        pulls.par_chunks_mut(AT_ONCE).zip(triples.par_chunks(AT_ONCE)).for_each(|(pulls, triples)| {
            for (pull, (person, item, other)) in pulls.iter_mut().zip(triples) {
                let person = *person as usize;
                let apart = ends.score(person, *item as usize) - ends.score(person, *other as usize);
                *pull = (-each / (1.0 + apart.exp()), (-apart).exp().ln_1p());
            }
        });
        // By a pair's score: `pull` where it was clicked, `-pull` where it was drawn against that. The slope by a score is
        // the other vector, so that both sides' slopes are products of one sparse matrix.
        let of_scores = pulls.iter().zip(triples).flat_map(|((pull, _), (person, item, other))| {
            [(*person, *item, *pull), (*person, *other, -pull)]
        });
        let (people, items) = (self.of_people.rows(), self.of_items.rows());
        let of_scores = Interactions::unmerged(&of_scores.collect::<Vec<_>>(), people, items);
        let slope = Factors {
            width,
            people: of_scores.times(&ends.items, width),
            items: of_scores.transposed().times(&ends.people, width),
        };
        let mut slope = self.smoothed(&slope);
        let (mut of_people, mut of_items) = (vec![0.0f32; people], vec![0.0f32; items]);
        for (person, item, other) in triples {
            of_people[*person as usize] += 1.0;
            of_items[*item as usize] += 1.0;
            of_items[*other as usize] += 1.0;
        }
        let squares = shrink(&start.people, &mut slope.people, &of_people, each * penalty)
            + shrink(&start.items, &mut slope.items, &of_items, each * penalty);
        let loss: f64 = pulls.iter().map(|(_, loss)| f64::from(*loss)).sum();
        (f64::from(each) * loss + squares, slope)
    }
}

/// Half of `penalty` on the squares of rows, each as often as it counts; adds its slope.
fn shrink(values: &[f32], slope: &mut [f32], counts: &[f32], penalty: f32) -> f64 {
    let width = (values.len() / counts.len().max(1)).max(1);
    let rows = values.par_chunks(width).zip(slope.par_chunks_mut(width)).zip(counts).with_min_len(256);
    let squares: Vec<f32> = rows
        .map(|((values, slope), count)| {
            let penalty = penalty * count;
            slope.iter_mut().zip(values).for_each(|(slope, value)| *slope += penalty * value);
            penalty * values.iter().map(|value| value * value).sum::<f32>()
        })
        .collect();
    squares.iter().map(|square| f64::from(*square) / 2.0).sum()
}

fn add(to: &mut [f32], from: &[f32]) {
    to.par_iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// Vectors that learn.
#[derive(Debug)]
pub struct LightGcn<'a> {
    /// Length of the next step.
    pub rate: f64,
    clicks: &'a Interactions,
    how: Smoothing,
    penalty: f32,
    graph: Graph,
    start: Factors,
    /// What Adam remembers of people and items.
    memory: [Vec<f32>; 2],
    pairs: Vec<(u32, u32)>,
    people: Vec<u32>,
    items: Vec<u32>,
    rng: Rng,
    count: u64,
}

impl<'a> LightGcn<'a> {
    /// Begins with small random vectors.
    pub fn new(clicks: &'a Interactions, search: Search, how: Smoothing) -> Self {
        let start = Factors::drawn(clicks, search);
        let memory = |values: &[f32]| {
            let remembered = Rule::Adam.remembers_dense(values.len());
            vec![0.0f32; remembered.iter().map(|(_, count)| count).sum()]
        };
        Self {
            rate: how.rate,
            clicks,
            how,
            penalty: search.penalty as f32,
            graph: Graph::new(clicks, how.layers),
            memory: [memory(&start.people), memory(&start.items)],
            start,
            pairs: clicks.all_pairs(),
            people: (0..clicks.rows() as u32)
                .filter(|row| !clicks.of_row(*row as usize).is_empty())
                .collect(),
            items: clicks.columns_with_pairs(),
            rng: Rng::named(search.seed, "triples"),
            count: 0,
        }
    }

    /// Steps of one pass: as many triples as there are clicks.
    pub fn steps(&self) -> usize {
        self.pairs.len().div_ceil(self.how.batch.max(1))
    }

    /// One step; the loss before it, `None` where no triple could be drawn.
    ///
    /// # Errors
    /// A cancel.
    pub fn step(&mut self, context: &JobContext) -> Result<Option<f64>> {
        context.check()?;
        let draws = self.how.batch.min(self.pairs.len());
        let triples: Vec<Triple> = (0..draws).filter_map(|_| self.triple()).collect();
        if triples.is_empty() {
            return Ok(None);
        }
        let (loss, slope) = self.graph.loss(&self.start, &triples, self.penalty);
        self.count += 1;
        let step = Step { count: self.count, ..Step::new(Rule::Adam, self.rate as f32) };
        let [of_people, of_items] = &mut self.memory;
        step.dense(&mut self.start.people, of_people, &slope.people);
        step.dense(&mut self.start.items, of_items, &slope.items);
        Ok(Some(loss))
    }

    fn triple(&mut self) -> Option<Triple> {
        let (person, item) = match self.how.draws {
            Draws::Clicks => self.pairs[self.rng.below(self.pairs.len())],
            Draws::People => {
                let person = self.people[self.rng.below(self.people.len())];
                let own = self.clicks.of_row(person as usize);
                (person, own[self.rng.below(own.len())].0)
            }
        };
        let other = self.items[self.rng.below(self.items.len())];
        (!self.clicks.has(person, other)).then_some((person, item, other))
    }

    /// The smoothed vectors as they are now.
    pub fn vectors(&self) -> Factors {
        self.graph.smoothed(&self.start)
    }
}

/// Vectors smoothed over the graph of clicks, after all passes of `search`.
///
/// # Errors
/// A cancel.
pub fn light_gcn(
    clicks: &Interactions,
    search: Search,
    how: Smoothing,
    context: &JobContext,
) -> Result<Factors> {
    let mut found = LightGcn::new(clicks, search, how);
    for pass in 0..search.passes {
        context.progress(pass as u64, search.passes as u64);
        for _ in 0..found.steps() {
            found.step(context)?;
        }
    }
    Ok(found.vectors())
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
        for draws in [Draws::Clicks, Draws::People] {
            let how = Smoothing { layers: 2, rate: 0.02, batch: 1024, draws };
            let found = light_gcn(&clicks, search, how, &JobContext::detached()).unwrap();
            let scores = |items: [usize; 4]| items.map(|item| found.score(20, item));
            let lowest = scores([2, 4, 6, 8]).into_iter().fold(f32::INFINITY, f32::min);
            let others = scores([1, 3, 5, 7]);
            assert!(others.iter().all(|other| *other < lowest), "{draws:?}: {lowest} {others:?}");
        }
    }
}
