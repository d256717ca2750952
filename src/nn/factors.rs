//! Which vectors of people and items have the clicks as their products? By least squares in turns, or by ranking.
//!
//! Hu, Koren & Volinsky, ICDM 2008: a pair that clicked should give 1 and counts `1 + alpha`, one that did not 0 and counts
//! 1; with one side fixed the other is solved for exactly (equation 4), person by person. Rendle et al., UAI 2009 (BPR): a
//! person's clicked item should stand above one that was not, `-ln sigma(p . (q_i - q_j))`, by steps on drawn triples.

use super::inverse::solve;
use super::neighbours::Interactions;
use crate::base::Result;
use crate::base::rng::Rng;
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Vectors of people and of items, `[rows, width]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// Numbers of a vector.
    pub width: usize,
    /// Of people.
    pub people: Vec<f32>,
    /// Of items.
    pub items: Vec<f32>,
}

/// How factors are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Numbers of a vector.
    pub width: usize,
    /// Passes over all clicks.
    pub passes: usize,
    /// Penalty on squares.
    pub penalty: f64,
    /// Start of every random draw.
    pub seed: u64,
}

impl Factors {
    /// Small random vectors.
    pub fn drawn(clicks: &Interactions, search: Search) -> Self {
        let mut rng = Rng::named(search.seed, "factors");
        let mut draw =
            |rows: usize| (0..rows * search.width).map(|_| (0.1 * rng.normal()) as f32).collect::<Vec<_>>();
        Self { width: search.width, people: draw(clicks.rows()), items: draw(clicks.columns()) }
    }

    /// The product of a person's and an item's vector.
    pub fn score(&self, person: usize, item: usize) -> f32 {
        let (p, q) = (vector(&self.people, person, self.width), vector(&self.items, item, self.width));
        p.iter().zip(q).map(|(x, y)| x * y).sum()
    }
}

fn vector(all: &[f32], row: usize, width: usize) -> &[f32] {
    &all[row * width..][..width]
}

/// Implicit alternating least squares; a click counts `1 + alpha`.
///
/// # Errors
/// A penalty too weak to solve with, or a cancel.
pub fn als(clicks: &Interactions, search: Search, alpha: f64, context: &JobContext) -> Result<Factors> {
    let turned = clicks.transposed();
    let mut found = Factors::drawn(clicks, search);
    for pass in 0..search.passes {
        context.progress(pass as u64, search.passes as u64);
        found.people = solved(clicks, &found.items, search, alpha, context)?;
        found.items = solved(&turned, &found.people, search, alpha, context)?;
    }
    Ok(found)
}

/// The best vectors of the rows of `clicks`, where those of the columns are fixed:
/// `(Y^T Y + alpha Y_u^T Y_u + penalty)^-1 (1 + alpha) sum Y_u`.
fn solved(
    clicks: &Interactions,
    fixed: &[f32],
    search: Search,
    alpha: f64,
    context: &JobContext,
) -> Result<Vec<f32>> {
    let width = search.width;
    let mut gram = vec![0.0f64; width * width];
    for y in fixed.chunks_exact(width) {
        add_square(&mut gram, y, 1.0);
    }
    (0..width).for_each(|at| gram[at * width + at] += search.penalty);
    let mut out = vec![0.0; clicks.rows() * width];
    out.par_chunks_mut(width).enumerate().try_for_each(|(row, out)| {
        let entries = clicks.of_row(row);
        if entries.is_empty() {
            return Ok(());
        }
        context.check()?;
        let (mut a, mut b) = (gram.clone(), vec![0.0f64; width]);
        for (column, _) in entries {
            let y = vector(fixed, *column as usize, width);
            add_square(&mut a, y, alpha);
            b.iter_mut().zip(y).for_each(|(b, y)| *b += (1.0 + alpha) * f64::from(*y));
        }
        solve(&mut a, &mut b)?;
        out.iter_mut().zip(b).for_each(|(out, b)| *out = b as f32);
        Ok(())
    })?;
    Ok(out)
}

fn add_square(gram: &mut [f64], y: &[f32], weight: f64) {
    let width = y.len();
    for (row, one) in gram.chunks_exact_mut(width).zip(y) {
        for (sum, other) in row.iter_mut().zip(y) {
            *sum += weight * f64::from(*one) * f64::from(*other);
        }
    }
}

/// Bayesian personalised ranking: as many drawn triples a pass as there are clicks, with steps of `rate`.
///
/// # Errors
/// A cancel.
pub fn bpr(clicks: &Interactions, search: Search, rate: f64, context: &JobContext) -> Result<Factors> {
    let mut found = Factors::drawn(clicks, search);
    let mut rng = Rng::named(search.seed, "triples");
    let (pairs, items) = (clicks.all_pairs(), clicks.columns_with_pairs());
    for pass in 0..search.passes {
        context.progress(pass as u64, search.passes as u64);
        for step in 0..pairs.len() {
            if step % 4096 == 0 {
                context.check()?;
            }
            let (person, item) = pairs[rng.below(pairs.len())];
            let other = items[rng.below(items.len())];
            if !clicks.has(person, other) {
                let triple = (person as usize, item as usize, other as usize);
                rank(&mut found, triple, rate as f32, search.penalty as f32);
            }
        }
    }
    Ok(found)
}

/// A step down `-ln sigma(p . (q_i - q_j)) + penalty / 2 (|p|^2 + |q_i|^2 + |q_j|^2)`.
pub(super) fn rank(
    factors: &mut Factors,
    (person, item, other): (usize, usize, usize),
    rate: f32,
    penalty: f32,
) {
    let width = factors.width;
    let apart = factors.score(person, item) - factors.score(person, other);
    let pull = 1.0 / (1.0 + apart.exp());
    for at in 0..width {
        let (p, i, j) = (person * width + at, item * width + at, other * width + at);
        let (of_p, of_i, of_j) = (factors.people[p], factors.items[i], factors.items[j]);
        factors.people[p] += rate * (pull * (of_i - of_j) - penalty * of_p);
        factors.items[i] += rate * (pull * of_p - penalty * of_i);
        factors.items[j] += rate * (-pull * of_p - penalty * of_j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search { width: 4, passes: 30, penalty: 0.5, seed: 1 };

    /// Two groups of people, each with its own half of the items, with some clicks missing.
    fn groups() -> Interactions {
        let mut rng = Rng::named(5, "groups");
        let mut pairs = Vec::new();
        for person in 0..40u32 {
            for item in 0..20u32 {
                if person % 2 == item % 2 && rng.chance(0.6) {
                    pairs.push((person, item, 1.0));
                }
            }
        }
        Interactions::of(pairs, 40, 20)
    }

    /// `sum c (x - p . q)^2 + penalty (|p|^2 + |q|^2)` (Hu et al., equation 3).
    fn cost(clicks: &Interactions, found: &Factors, alpha: f64) -> f64 {
        let mut sum: f64 =
            found.people.iter().chain(&found.items).map(|x| SEARCH.penalty * f64::from(x * x)).sum();
        for person in 0..clicks.rows() {
            for item in 0..clicks.columns() {
                let has = clicks.of_row(person).iter().any(|(own, _)| *own as usize == item);
                let (wanted, counts) = if has { (1.0, 1.0 + alpha) } else { (0.0, 1.0) };
                sum += counts * (wanted - f64::from(found.score(person, item))).powi(2);
            }
        }
        sum
    }

    #[test]
    fn least_squares_ends_where_no_weight_has_a_slope() {
        let (clicks, alpha) = (groups(), 3.0);
        let after =
            |passes| als(&clicks, Search { passes, ..SEARCH }, alpha, &JobContext::detached()).unwrap();
        let costs: Vec<f64> = [1, 2, 5, 500].map(|passes| cost(&clicks, &after(passes), alpha)).to_vec();
        assert!(costs.windows(2).all(|pair| pair[1] <= pair[0] + 1e-6), "{costs:?}");
        let mut found = after(500);
        for at in [0, 7, 33, 150] {
            let mut at_shift = |shift: f32| {
                found.people[at] += shift;
                let cost = cost(&clicks, &found, alpha);
                found.people[at] -= shift;
                cost
            };
            let slope = (at_shift(0.01) - at_shift(-0.01)) / 0.02;
            assert!(slope.abs() < 0.02, "slope {slope} at {at}");
        }
    }

    #[test]
    fn a_ranking_step_follows_the_slope_of_its_loss() {
        let factors = Factors::drawn(&groups(), SEARCH);
        let (triple, penalty) = ((3, 1, 4), 0.1f32);
        let loss = |factors: &Factors| {
            let apart = f64::from(factors.score(3, 1)) - f64::from(factors.score(3, 4));
            let square = |all: &[f32], row| vector(all, row, 4).iter().map(|x| f64::from(x * x)).sum::<f64>();
            let squares = square(&factors.people, 3) + square(&factors.items, 1) + square(&factors.items, 4);
            (1.0 + (-apart).exp()).ln() + f64::from(penalty) / 2.0 * squares
        };
        let mut moved = factors.clone();
        rank(&mut moved, triple, 1.0, penalty);
        for at in 0..4 {
            let (place, step) = (4 + at, 1e-3f32);
            let mut near = factors.clone();
            near.items[place] += step;
            let above = loss(&near);
            near.items[place] -= 2.0 * step;
            let slope = (above - loss(&near)) / (2.0 * f64::from(step));
            let taken = f64::from(moved.items[place] - factors.items[place]);
            assert!((slope + taken).abs() < 2e-4, "{at}: {slope} against {taken}");
        }
    }

    #[test]
    fn both_put_what_a_group_clicks_above_the_rest() {
        let clicks = groups();
        let context = JobContext::detached();
        let by_squares = als(&clicks, SEARCH, 3.0, &context).unwrap();
        let by_rank = bpr(&clicks, Search { penalty: 0.01, ..SEARCH }, 0.1, &context).unwrap();
        for found in [by_squares, by_rank] {
            let (mut right, mut pairs) = (0, 0);
            for person in 0..40 {
                let own = (0..20).filter(|item| item % 2 == person % 2);
                for (own, other) in own.flat_map(|own| (0..20).map(move |other| (own, other))) {
                    if other % 2 != person % 2 {
                        pairs += 1;
                        right += u32::from(found.score(person, own) > found.score(person, other));
                    }
                }
            }
            assert!(f64::from(right) > 0.98 * f64::from(pairs), "{right} of {pairs}");
        }
    }
}
