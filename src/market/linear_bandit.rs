//! Which arm is worth trying when each is described by numbers? Linear bandits.
//!
//! The reward of an arm is taken to be linear in its features. LinUCB chooses the highest plausible mean,
//! `theta x + alpha sqrt(x A^-1 x)` (Li, Chu, Langford & Schapire 2010); linear Thompson sampling draws `theta` from
//! `N(theta, v^2 A^-1)` and chooses the best (Agrawal & Goyal 2013). `A = I + sum x x'`.

use crate::base::rng::Rng;

/// A rule for arms with features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LinearPolicy {
    /// This many standard deviations above the mean.
    Ucb(f64),
    /// A draw with this scale.
    Thompson(f64),
}

/// What was learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearBandit {
    policy: LinearPolicy,
    width: usize,
    /// `A^-1`, row-major, kept by rank-one updates (Sherman & Morrison 1950).
    inverse: Vec<f64>,
    /// `sum reward x`.
    sums: Vec<f64>,
    theta: Vec<f64>,
}

impl LinearBandit {
    /// A bandit that knows nothing of arms with `width` features.
    pub fn new(policy: LinearPolicy, width: usize) -> Self {
        let mut inverse = vec![0.0; width * width];
        (0..width).for_each(|i| inverse[i * width + i] = 1.0);
        Self { policy, width, inverse, sums: vec![0.0; width], theta: vec![0.0; width] }
    }

    /// The arm to pull, of features `arms[arm]`; 0 without arms.
    pub fn choose(&self, arms: &[Vec<f64>], rng: &mut Rng) -> usize {
        let drawn = match self.policy {
            LinearPolicy::Ucb(_) => Vec::new(),
            LinearPolicy::Thompson(scale) => self.draw(scale, rng),
        };
        let value = |x: &[f64]| match self.policy {
            LinearPolicy::Ucb(alpha) => dot(&self.theta, x) + alpha * dot(x, &self.times(x)).max(0.0).sqrt(),
            LinearPolicy::Thompson(_) => dot(&drawn, x),
        };
        let mut best = (0, f64::NEG_INFINITY);
        for (arm, x) in arms.iter().enumerate() {
            let value = value(x);
            if value > best.1 {
                best = (arm, value);
            }
        }
        best.0
    }

    /// What came of pulling an arm with features `x`.
    pub fn learn(&mut self, x: &[f64], reward: f64) {
        let ax = self.times(x);
        let scale = 1.0 + dot(x, &ax);
        for (i, row) in self.inverse.chunks_exact_mut(self.width).enumerate() {
            row.iter_mut().zip(&ax).for_each(|(cell, other)| *cell -= ax[i] * other / scale);
        }
        self.sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += reward * x);
        self.theta = self.times(&self.sums);
    }

    fn times(&self, x: &[f64]) -> Vec<f64> {
        self.inverse.chunks_exact(self.width).map(|row| dot(row, x)).collect()
    }

    /// `theta + scale L z` with `L L' = A^-1` (Cholesky) and `z` standard normal.
    fn draw(&self, scale: f64, rng: &mut Rng) -> Vec<f64> {
        let n = self.width;
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let along: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
                let left = self.inverse[i * n + j] - along;
                lower[i * n + j] =
                    if i == j { left.max(0.0).sqrt() } else { left / lower[j * n + j].max(1e-150) };
            }
        }
        let z: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let shift = lower.chunks_exact(n).map(|row| dot(row, &z));
        self.theta.iter().zip(shift).map(|(theta, shift)| theta + scale * shift).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_the_ridge_regression() {
        // One feature at a time: theta_i = n r / (n + 1).
        let mut bandit = LinearBandit::new(LinearPolicy::Ucb(1.0), 2);
        (0..9).for_each(|_| bandit.learn(&[1.0, 0.0], 0.5));
        (0..4).for_each(|_| bandit.learn(&[0.0, 1.0], 1.0));
        assert!((bandit.theta[0] - 0.45).abs() < 1e-12 && (bandit.theta[1] - 0.8).abs() < 1e-12);
        // x A^-1 x = 1 / (n + 1); an untried direction is worth a look.
        assert!((bandit.times(&[1.0, 0.0])[0] - 0.1).abs() < 1e-12);
        let mut rng = Rng::named(1, "linear");
        let tried = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        assert_eq!(bandit.choose(&tried, &mut rng), 1);
    }
}
