//! Which words stand in the same company? Skip-gram vectors with negative sampling, from a campaign's own texts.
//!
//! Mikolov et al., "Distributed representations of words and phrases" (2013): a word's vector predicts the words around
//! it among words drawn at random. Pairs are visited in one seeded order on one thread, so a fit repeats to the bit.

use super::vectors::inner_product;
use crate::base::Result;
use crate::base::rng::Rng;
use crate::base::simd::{Kernel, run_widest};
use crate::jobs::JobContext;
use std::collections::HashMap;

/// Words to each side that a word predicts at most.
const WINDOW: usize = 5;
/// Words drawn at random beside each that was there.
const NEGATIVES: usize = 5;
/// Exponent of the counts that negatives are drawn by (ibid., 2.2).
const FLATTEN: f64 = 0.75;
/// Words more frequent than this share are left out at random (ibid., 2.3; short texts need a larger one).
const FREQUENT: f64 = 1e-3;
/// First rate of learning, falling to a hundredth.
const RATE: f64 = 0.05;
/// Words that are visited in all, over all rounds: some seconds.
const VISITS: usize = 2_000_000;
/// Rounds at most.
const MOST_ROUNDS: usize = 20;
/// Places in the table that negatives are drawn from.
const DRAWS: usize = 1 << 20;

/// Vectors of words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WordVectors {
    /// Words by their row.
    pub words: Vec<u32>,
    /// `[words, width]`, row-major.
    pub vectors: Vec<f32>,
    /// Numbers in a vector.
    pub width: usize,
}

impl WordVectors {
    /// Fits vectors to texts of word codes. Words that occur fewer than `least` times get none.
    ///
    /// # Errors
    /// A cancel.
    pub fn fit(
        texts: &[Vec<u32>],
        width: usize,
        least: usize,
        seed: u64,
        context: &JobContext,
    ) -> Result<Self> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        texts.iter().flatten().for_each(|word| *counts.entry(*word).or_default() += 1);
        let mut words: Vec<(u32, usize)> = counts.into_iter().filter(|(_, count)| *count >= least).collect();
        words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let rows: HashMap<u32, u32> = words.iter().zip(0..).map(|((word, _), row)| (*word, row)).collect();
        let texts: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| text.iter().filter_map(|word| rows.get(word).copied()).collect::<Vec<_>>())
            .filter(|text| text.len() > 1)
            .collect();
        let mut fit = Fit::new(&words, width, seed);
        let total: usize = texts.iter().map(Vec::len).sum();
        if let Some(rounds) = VISITS.checked_div(total) {
            let rounds = rounds.clamp(1, MOST_ROUNDS);
            fit.run(&texts, rounds, total * rounds, context)?;
        }
        Ok(Self { words: words.into_iter().map(|(word, _)| word).collect(), vectors: fit.inside, width })
    }
}

struct Fit {
    inside: Vec<f32>,
    outside: Vec<f32>,
    width: usize,
    negatives: Vec<u32>,
    /// Chance that an occurrence of a word stays.
    stays: Vec<f64>,
    rng: Rng,
}

impl Fit {
    fn new(words: &[(u32, usize)], width: usize, seed: u64) -> Self {
        let mut rng = Rng::named(seed, "word vectors");
        let inside =
            (0..words.len() * width).map(|_| ((rng.uniform() - 0.5) / width as f64) as f32).collect();
        let total: f64 = words.iter().map(|(_, count)| *count as f64).sum();
        let stays = words
            .iter()
            .map(|(_, count)| {
                let share = FREQUENT * total / *count as f64;
                (share.sqrt() + share).min(1.0)
            })
            .collect();
        let flat: f64 = words.iter().map(|(_, count)| (*count as f64).powf(FLATTEN)).sum();
        let mut negatives = Vec::with_capacity(DRAWS);
        let mut upto = 0.0;
        for (row, (_, count)) in words.iter().enumerate() {
            upto += (*count as f64).powf(FLATTEN) / flat;
            negatives.resize(((upto * DRAWS as f64).round() as usize).min(DRAWS), row as u32);
        }
        Self { inside, outside: vec![0.0; words.len() * width], width, negatives, stays, rng }
    }

    fn run(&mut self, texts: &[Vec<u32>], rounds: usize, visits: usize, context: &JobContext) -> Result<()> {
        let mut change = vec![0.0; self.width];
        let mut kept = Vec::new();
        let mut visited = 0usize;
        for _ in 0..rounds {
            for (place, text) in texts.iter().enumerate() {
                if place % 256 == 0 {
                    context.check()?;
                    context.progress(visited as u64, visits as u64);
                }
                let rate = (RATE * (1.0 - visited as f64 / visits as f64)).max(RATE / 100.0) as f32;
                visited += text.len();
                kept.clear();
                for word in text {
                    if self.rng.uniform() < self.stays[*word as usize] {
                        kept.push(*word);
                    }
                }
                for (at, word) in kept.iter().enumerate() {
                    let reach = 1 + self.rng.below(WINDOW);
                    let before = &kept[at.saturating_sub(reach)..at];
                    let after = &kept[at + 1..(at + reach + 1).min(kept.len())];
                    for other in before.iter().chain(after) {
                        self.pair(*word, *other, rate, &mut change);
                    }
                }
            }
        }
        Ok(())
    }

    /// One step down the loss `-ln s(u_o v) - sum ln s(-u_n v)`.
    fn pair(&mut self, word: u32, beside: u32, rate: f32, change: &mut [f32]) {
        let width = self.width;
        change.fill(0.0);
        let inside = &mut self.inside[word as usize * width..][..width];
        for draw in 0..=NEGATIVES {
            let (row, there) = if draw == 0 {
                (beside, 1.0)
            } else {
                let drawn = self.rng.below(self.negatives.len());
                (self.negatives[drawn], 0.0)
            };
            if draw > 0 && row == beside {
                continue;
            }
            let outside = &mut self.outside[row as usize * width..][..width];
            let chance = 1.0 / (1.0 + (-inner_product(inside, outside)).exp());
            run_widest(Step { by: rate * (there - chance), inside, outside, change });
        }
        inside.iter_mut().zip(change).for_each(|(value, change)| *value += *change);
    }
}

/// Moves a word's outer vector, and notes how its inner one is to move.
struct Step<'a> {
    by: f32,
    inside: &'a [f32],
    outside: &'a mut [f32],
    change: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((inside, outside), change) in self.inside.iter().zip(self.outside).zip(self.change) {
            *change = self.by.mul_add(*outside, *change);
            *outside = self.by.mul_add(*inside, *outside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts about one of two subjects, four words each, and a word that both have.
    fn texts() -> Vec<Vec<u32>> {
        let mut rng = Rng::named(1, "texts");
        let text = |rng: &mut Rng, at: usize| {
            (0..8).map(|_| if rng.chance(0.1) { 9 } else { (at % 2 * 4 + rng.below(4)) as u32 }).collect()
        };
        (0..600).map(|at| text(&mut rng, at)).collect()
    }

    #[test]
    fn words_in_the_same_company_are_alike() {
        let fitted = WordVectors::fit(&texts(), 16, 1, 7, &JobContext::detached()).unwrap();
        let row = |word: u32| {
            let at = fitted.words.iter().position(|known| *known == word).unwrap();
            let mut vector = fitted.vectors[at * 16..][..16].to_vec();
            crate::language::vectors::to_unit(&mut vector);
            vector
        };
        let alike = |a, b| inner_product(&row(a), &row(b));
        assert!(alike(0, 1) > alike(0, 5) + 0.3, "{} and {}", alike(0, 1), alike(0, 5));
        assert!(alike(6, 7) > alike(6, 2) + 0.3, "{} and {}", alike(6, 7), alike(6, 2));
        let again = WordVectors::fit(&texts(), 16, 1, 7, &JobContext::detached()).unwrap();
        assert_eq!(again, fitted, "the same seed gives the same vectors");
    }

    #[test]
    fn a_step_goes_down_the_slope_of_the_loss() {
        // Two words and no negatives but word 1 itself, which is left out: only -ln s(u v) is left.
        let mut fit = Fit::new(&[(0, 1), (1, 1)], 3, 5);
        fit.outside = vec![0.3, -0.2, 0.4, 0.1, 0.5, -0.6];
        fit.negatives = vec![1];
        let loss = |fit: &Fit| {
            let score = inner_product(&fit.inside[..3], &fit.outside[3..]);
            f64::from((1.0 + (-score).exp()).ln())
        };
        let before = fit.inside.clone();
        let (step, rate) = (1e-2f32, 1e-3f32);
        let slopes: Vec<f64> = (0..3)
            .map(|at| {
                fit.inside[at] = before[at] + step;
                let above = loss(&fit);
                fit.inside[at] = before[at] - step;
                let below = loss(&fit);
                fit.inside[at] = before[at];
                (above - below) / (2.0 * f64::from(step))
            })
            .collect();
        fit.pair(0, 1, rate, &mut [0.0; 3]);
        for at in 0..3 {
            let moved = f64::from((fit.inside[at] - before[at]) / rate);
            assert!((moved + slopes[at]).abs() < 1e-3, "{moved} for {}", -slopes[at]);
        }
    }
}
