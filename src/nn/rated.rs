//! What would this person give to that item? Biases and vectors, fitted to what people gave to what they were shown.
//!
//! `mean + deviation (b_p + b_i + p . q)` by stochastic gradient steps on squared errors with a penalty (Koren, Bell &
//! Volinsky, IEEE Computer 2009, equation 5, after Funk 2006; "SVD" in the Surprise library). Values are divided by their
//! standard deviation first, so that one step length suits ratings and click rates alike.

use super::factors::{Factors, Search};
use super::neighbours::Interactions;
use crate::base::Result;
use crate::base::rng::Rng;
use crate::jobs::JobContext;

/// What people are expected to give to items.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    /// Mean of the values.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// Vectors whose product is the rest in standard deviations: the last two numbers are a person's bias and 1, and 1 and
    /// an item's bias. Whoever gave nothing has only the 1.
    pub factors: Factors,
}

impl Rated {
    /// What a person is expected to give to an item.
    pub fn expected(&self, person: usize, item: usize) -> f64 {
        self.mean + self.deviation * f64::from(self.factors.score(person, item))
    }
}

/// Fits the values that pairs have, by a step of `rate` for each pair in a new order every pass. Vectors have at least two
/// numbers, the biases.
///
/// # Errors
/// A cancel.
pub fn rated(values: &Interactions, search: Search, rate: f64, context: &JobContext) -> Result<Rated> {
    let all: Vec<(usize, usize, f64)> = (0..values.rows())
        .flat_map(|row| {
            values.of_row(row).iter().map(move |(column, value)| (row, *column as usize, f64::from(*value)))
        })
        .collect();
    let n = all.len().max(1) as f64;
    let mean = all.iter().map(|(.., value)| value).sum::<f64>() / n;
    let variance = all.iter().map(|(.., value)| (value - mean).powi(2)).sum::<f64>() / n;
    // Values that are all the same have nothing beside their mean.
    let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    let mut found = Rated { mean, deviation, factors: biased(values, search) };
    let (rate, penalty) = (rate as f32, search.penalty as f32);
    let mut rng = Rng::named(search.seed, "ratings");
    let mut order: Vec<usize> = (0..all.len()).collect();
    for pass in 0..search.passes {
        context.progress(pass as u64, search.passes as u64);
        rng.shuffle(&mut order);
        for (step, place) in order.iter().enumerate() {
            if step % 4096 == 0 {
                context.check()?;
            }
            let (person, item, value) = all[*place];
            fit_one(&mut found.factors, (person, item, ((value - mean) / deviation) as f32), rate, penalty);
        }
    }
    Ok(found)
}

/// Small random vectors with biases of 0, and zeros for whoever and whatever has no value.
fn biased(values: &Interactions, search: Search) -> Factors {
    let (turned, width) = (values.transposed(), search.width);
    let mut found = Factors::drawn(values, search);
    let start = |all: &mut [f32], of: &Interactions, bias: usize| {
        for (row, vector) in all.chunks_exact_mut(width).enumerate() {
            if of.of_row(row).is_empty() {
                vector.fill(0.0);
            }
            vector[bias] = 0.0;
            vector[2 * width - 3 - bias] = 1.0;
        }
    };
    start(&mut found.people, values, width - 2);
    start(&mut found.items, &turned, width - 1);
    found
}

/// A step down `(value - p . q)^2 / 2 + penalty / 2 (|p|^2 + |q|^2)`; what biases are multiplied with stays 1.
fn fit_one(factors: &mut Factors, (person, item, value): (usize, usize, f32), rate: f32, penalty: f32) {
    let width = factors.width;
    let off = value - factors.score(person, item);
    for at in 0..width {
        let (p, i) = (person * width + at, item * width + at);
        let (of_p, of_i) = (factors.people[p], factors.items[i]);
        factors.people[p] += rate * (off * of_i - penalty * of_p);
        factors.items[i] += rate * (off * of_p - penalty * of_i);
    }
    factors.people[(person + 1) * width - 1] = 1.0;
    factors.items[(item + 1) * width - 2] = 1.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search { width: 4, passes: 60, penalty: 0.01, seed: 2 };

    /// Values of people and items with biases and one taste, and a little noise; a part is kept out.
    fn planted() -> (Interactions, Vec<(usize, usize, f64)>) {
        let mut rng = Rng::named(4, "planted values");
        let draw = |rng: &mut Rng, n: usize| (0..n).map(|_| rng.normal()).collect::<Vec<f64>>();
        let (people, items) = (draw(&mut rng, 40), draw(&mut rng, 30));
        let (tastes, kinds) = (draw(&mut rng, 40), draw(&mut rng, 30));
        let (mut known, mut later) = (Vec::new(), Vec::new());
        for person in 0..40 {
            for item in 0..30 {
                let value = 3.0 + 0.5 * (people[person] + items[item]) + 0.8 * tastes[person] * kinds[item];
                let value = value + 0.1 * rng.normal();
                if rng.chance(0.7) {
                    known.push((person as u32, item as u32, value as f32));
                } else {
                    later.push((person, item, value));
                }
            }
        }
        (Interactions::of(known, 40, 30), later)
    }

    #[test]
    fn biases_and_tastes_of_a_simulator_are_found_again() {
        let (known, later) = planted();
        let error = |search: Search| {
            let found = rated(&known, search, 0.02, &JobContext::detached()).unwrap();
            let squares = later.iter().map(|(p, i, value)| (found.expected(*p, *i) - value).powi(2));
            (squares.sum::<f64>() / later.len() as f64).sqrt()
        };
        let (whole, biases) = (error(SEARCH), error(Search { width: 2, ..SEARCH }));
        // The noise is .1; the tastes have a deviation of .8, which biases alone leave.
        assert!(whole < 0.25 && biases > 0.5, "{whole} with vectors, {biases} with biases alone");
    }

    #[test]
    fn a_step_follows_the_slope_of_its_loss() {
        let (known, _) = planted();
        let factors = biased(&known, SEARCH);
        let (pair, penalty) = ((3, 1, 0.7f32), 0.1f32);
        let loss = |factors: &Factors| {
            let off = f64::from(pair.2 - factors.score(pair.0, pair.1));
            let square =
                |all: &[f32], row: usize| all[row * 4..][..4].iter().map(|x| f64::from(x * x)).sum::<f64>();
            let squares = square(&factors.people, pair.0) + square(&factors.items, pair.1);
            off * off / 2.0 + f64::from(penalty) / 2.0 * squares
        };
        let mut moved = factors.clone();
        fit_one(&mut moved, pair, 1.0, penalty);
        for at in 0..4 {
            let place = pair.0 * 4 + at;
            let mut near = factors.clone();
            near.people[place] += 1e-2;
            let above = loss(&near);
            near.people[place] -= 2e-2;
            let slope = (above - loss(&near)) / 2e-2;
            let taken = f64::from(moved.people[place] - factors.people[place]);
            if at == 3 {
                assert_eq!(taken, 0.0, "what the item's bias is multiplied with stays 1");
            } else {
                assert!((slope + taken).abs() < 1e-3, "{at}: {slope} against {taken}");
            }
        }
    }

    #[test]
    fn who_gave_nothing_is_expected_to_give_what_others_do_and_equal_values_are_their_mean() {
        let context = JobContext::detached();
        let one = Interactions::of(vec![(0, 0, 2.0), (0, 1, 2.0), (1, 0, 2.0)], 3, 3);
        let found = rated(&one, SEARCH, 0.02, &context).unwrap();
        assert!((found.expected(2, 2) - 2.0).abs() < 1e-9, "{}", found.expected(2, 2));
        assert!((found.expected(0, 1) - 2.0).abs() < 0.2);
        assert!(rated(&Interactions::of(vec![], 2, 2), SEARCH, 0.02, &context).unwrap().mean == 0.0);
    }
}
