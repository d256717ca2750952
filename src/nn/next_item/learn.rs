//! How do the weights come to know what follows what? Steps over batches of people, with a drawn item against each next one.

use super::{NextItem, Sequences, Shape, Targets};
use crate::base::Result;
use crate::base::rng::{Rng, mix};
use crate::jobs::JobContext;
use crate::nn::optimiser::Adam;

/// Parts of a batch, each with its own luck: a fixed number, so that nothing depends on the threads.
const PARTS: usize = 8;

/// How it learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learning {
    /// Length of a step (Adam).
    pub rate: f32,
    /// What Adam keeps of the mean square in a step.
    pub second_decay: f32,
    /// People that a step is taken for.
    pub batch: usize,
    /// Share of numbers that dropout takes away.
    pub dropout: f64,
    /// Start of every random draw.
    pub seed: u64,
}

/// A model that learns.
pub struct Learner<'a> {
    /// As it is now.
    pub model: NextItem,
    how: Learning,
    /// Each person's items in order of time.
    histories: &'a [Vec<u32>],
    /// Each person's items in order of their numbers: none of them is drawn against another.
    own: Vec<Vec<u32>>,
    /// People with something that came next.
    people: Vec<u32>,
    means: [Vec<f32>; 2],
    gradient: Vec<f32>,
    rng: Rng,
    count: u64,
}

impl<'a> Learner<'a> {
    /// Begins with drawn weights. `histories` hold items from 0 to the shape's.
    pub fn new(shape: Shape, how: Learning, histories: &'a [Vec<u32>]) -> Self {
        let model = NextItem::drawn(shape, how.seed);
        let size = model.values.len();
        let sorted = |history: &Vec<u32>| {
            let mut own = history.clone();
            own.sort_unstable();
            own.dedup();
            own
        };
        let own: Vec<Vec<u32>> = histories.iter().map(sorted).collect();
        // Whoever has every item has none that could be drawn.
        let learns = |person: &u32| {
            let (history, own) = (&histories[*person as usize], &own[*person as usize]);
            history.len() > 1 && own.len() < shape.items
        };
        Self {
            people: (0..histories.len() as u32).filter(learns).collect(),
            model,
            how,
            histories,
            own,
            means: [vec![0.0; size], vec![0.0; size]],
            gradient: vec![0.0; size],
            rng: Rng::named(how.seed, "next items"),
            count: 0,
        }
    }

    /// One pass over all people; the mean loss of its batches, `None` where nobody has anything that came next.
    ///
    /// # Errors
    /// A cancel.
    pub fn pass(&mut self, context: &JobContext) -> Result<Option<f64>> {
        let mut people = self.people.clone();
        self.rng.shuffle(&mut people);
        let (mut sum, mut batches) = (0.0, 0);
        for batch in people.chunks(self.how.batch.max(1)) {
            context.check()?;
            sum += self.step(batch);
            batches += 1;
        }
        Ok((batches > 0).then(|| sum / f64::from(batches)))
    }

    fn step(&mut self, batch: &[u32]) -> f64 {
        let seed = self.rng.bits();
        let chunk = batch.len().div_ceil(PARTS).max(1);
        let parts: Vec<_> = batch.chunks(chunk).map(|people| self.part(people)).collect();
        let seeds: Vec<u64> = (0..parts.len() as u64).map(|part| mix(seed ^ part)).collect();
        self.gradient.fill(0.0);
        let loss = self.model.gradient(&parts, (self.how.dropout, &seeds), &mut self.gradient);
        self.count += 1;
        let Learning { rate, second_decay, .. } = self.how;
        let [mean, square] = &mut self.means;
        let step = Adam { rate, second_decay, l2: 0.0, count: self.count };
        step.dense(&mut self.model.values, [mean, square], &self.gradient);
        loss
    }

    fn part(&mut self, people: &[u32]) -> (Sequences, Targets) {
        let Shape { items, longest, .. } = self.model.shape;
        let histories = people.iter().map(|person| self.histories[*person as usize].as_slice());
        let sequences = Sequences::of(histories.clone().map(|all| &all[..all.len() - 1]), longest);
        let next = Sequences::of(histories.map(|all| &all[1..]), longest).items;
        let mut other = Vec::with_capacity(next.len());
        for (range, person) in sequences.ranges().zip(people) {
            let own = &self.own[*person as usize];
            for _ in range {
                other.push(loop {
                    let drawn = self.rng.below(items) as u32;
                    if own.binary_search(&drawn).is_err() {
                        break drawn;
                    }
                });
            }
        }
        (sequences, Targets { next, other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Learning = Learning { rate: 0.01, second_decay: 0.98, batch: 16, dropout: 0.0, seed: 3 };

    /// People who walk through twelve items in a circle, one way or the other.
    fn circles() -> Vec<Vec<u32>> {
        (0..32u32)
            .map(|person| (0..8).map(|at| (person + at * [1, 11][person as usize % 2]) % 12).collect())
            .collect()
    }

    #[test]
    fn where_a_walk_goes_next_is_learnt_by_heart() {
        let histories = circles();
        let shape = Shape { items: 12, longest: 6, width: 8, layers: 2 };
        let mut learner = Learner::new(shape, HOW, &histories);
        let losses: Vec<f64> =
            (0..120).map(|_| learner.pass(&JobContext::detached()).unwrap().unwrap()).collect();
        assert!(losses[119] < 0.2 * losses[0], "{} {}", losses[0], losses[119]);
        let pasts = histories.iter().map(|all| &all[..7]);
        let states = learner.model.last_states(&Sequences::of(pasts, 6));
        for (history, state) in histories.iter().zip(states.chunks_exact(8)) {
            let score =
                |item: u32| state.iter().zip(learner.model.item(item)).map(|(x, y)| x * y).sum::<f32>();
            // Nobody's own items were drawn against them.
            let others = (0..12).filter(|item| !history.contains(item));
            assert!(others.map(score).all(|other| other < score(history[7])), "{history:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_model_and_a_cancel_stops_it() {
        let histories = circles();
        let shape = Shape { items: 12, longest: 6, width: 8, layers: 1 };
        let run = |seed| {
            let mut learner = Learner::new(shape, Learning { seed, dropout: 0.5, ..HOW }, &histories);
            learner.pass(&JobContext::detached()).unwrap();
            learner.model
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let cancelled = JobContext::watched(std::sync::Arc::new(true.into()), |_| {});
        assert!(Learner::new(shape, HOW, &histories).pass(&cancelled).unwrap_err().is_cancelled());
        let alone = [vec![3], vec![], (0..12).collect()];
        let mut nobody = Learner::new(shape, HOW, &alone);
        assert_eq!(
            nobody.pass(&JobContext::detached()).unwrap(),
            None,
            "nothing came next, or nothing is left"
        );
    }
}
