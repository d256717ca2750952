//! How is a count told so that nobody can say whether one person is in it? Noise of differential privacy.
//!
//! A count that one person changes by at most `sensitivity` is told with noise from the two-sided geometric law
//! `P(n) = (1 - a) / (1 + a) a^|n|`, `a = exp(-epsilon / sensitivity)`: Laplace's law on whole numbers, with the same
//! promise and without the traces that rounded real numbers leave (Ghosh, Roughgarden & Sundararajan 2012; Mironov 2012).
//! The epsilons of several answers about the same people add up (Dwork & Roth 2014, theorem 3.14).

use crate::base::rng;

/// The law of the noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometric {
    /// `epsilon / sensitivity`.
    rate: f64,
}

impl Geometric {
    /// Noise for counts that one person changes by `sensitivity` at most; `None` unless both are positive numbers.
    pub fn new(epsilon: f64, sensitivity: f64) -> Option<Self> {
        let rate = epsilon / sensitivity;
        (epsilon > 0.0 && sensitivity > 0.0 && rate.is_finite() && rate > 0.0).then_some(Self { rate })
    }

    /// The noise that two uniforms in (0, 1] stand for: the difference of two geometric draws.
    pub fn of_uniforms(self, first: f64, second: f64) -> f64 {
        let draw = |u: f64| (-u.ln() / self.rate).floor();
        draw(first) - draw(second)
    }

    /// Noise that nobody can guess or draw again.
    pub fn secret(self) -> f64 {
        let bytes = rng::secret();
        let uniform = |place: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[place..place + 8]);
            // 53 bits, never 0.
            ((u64::from_le_bytes(eight) >> 11) + 1) as f64 / (1u64 << 53) as f64
        };
        self.of_uniforms(uniform(0), uniform(8))
    }

    /// `2 a / (1 - a)²`.
    pub fn variance(self) -> f64 {
        let a = (-self.rate).exp();
        2.0 * a / (1.0 - a).powi(2)
    }

    /// Chance of noise above `limit`, on one side.
    pub fn tail(self, limit: f64) -> f64 {
        let a = (-self.rate).exp();
        a.powf(limit.max(0.0).floor() + 1.0) / (1.0 + a)
    }

    /// The smallest limit that noise exceeds with at most this chance, on one side.
    pub fn limit(self, chance: f64) -> f64 {
        let a = (-self.rate).exp();
        ((chance * (1.0 + a)).ln() / -self.rate - 1.0).ceil().max(0.0)
    }
}

/// Chance that Laplace noise of `epsilon` (sensitivity 1) is larger than `limit`, either way: `exp(-epsilon limit)`.
pub fn laplace_beyond(epsilon: f64, limit: f64) -> f64 {
    (-epsilon * limit).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn t43_laplace_noise_has_its_published_tails() {
        assert!((laplace_beyond(1.0, 2.995_732) - 0.05).abs() < 1e-6, "95 % lie within 2.9957");
        assert!((laplace_beyond(0.5, 10.0) - 0.006_738).abs() < 1e-6);
        // The law on whole numbers lies within it: P(|n| > 10) = 2 a^11 / (1 + a).
        let whole = Geometric::new(0.5, 1.0).unwrap();
        let by_hand = 2.0 * (-5.5_f64).exp() / (1.0 + (-0.5_f64).exp());
        assert!((2.0 * whole.tail(10.0) - by_hand).abs() < 1e-12);
        assert!(2.0 * whole.tail(10.0) < laplace_beyond(0.5, 10.0));
    }

    #[test]
    fn draws_follow_the_law() {
        let mut rng = Rng::named(1, "geometric noise");
        let law = Geometric::new(0.5, 2.0).unwrap();
        let n = 200_000;
        let draws: Vec<f64> =
            (0..n).map(|_| law.of_uniforms(1.0 - rng.uniform(), 1.0 - rng.uniform())).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 5.0 * (law.variance() / f64::from(n)).sqrt(), "{mean}");
        assert!((variance / law.variance() - 1.0).abs() < 0.03, "{variance} {}", law.variance());
        let beyond = draws.iter().filter(|x| **x > 12.0).count() as f64 / f64::from(n);
        assert!((beyond / law.tail(12.0) - 1.0).abs() < 0.1, "{beyond} {}", law.tail(12.0));
        let limit = law.limit(0.01);
        assert!(law.tail(limit) <= 0.01 && law.tail(limit - 1.0) > 0.01, "{limit}");
    }

    #[test]
    fn neighbours_are_told_apart_by_no_more_than_epsilon() {
        // P(n) / P(n + sensitivity) = exp(epsilon) exactly, from the tails.
        let (epsilon, sensitivity) = (0.7, 3.0);
        let law = Geometric::new(epsilon, sensitivity).unwrap();
        let mass = |n: f64| law.tail(n - 1.0) - law.tail(n);
        let ratio: f64 = mass(5.0) / mass(5.0 + sensitivity);
        assert!((ratio.ln() - epsilon).abs() < 1e-9, "{}", ratio.ln());
    }

    #[test]
    fn a_secret_draw_is_whole_and_nonsense_is_refused() {
        let law = Geometric::new(1.0, 1.0).unwrap();
        assert!((0..100).all(|_| law.secret().fract() == 0.0));
        assert!((0..200).any(|_| law.secret() != 0.0));
        for (epsilon, sensitivity) in
            [(0.0, 1.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (f64::INFINITY, 1.0)]
        {
            assert!(Geometric::new(epsilon, sensitivity).is_none(), "{epsilon} {sensitivity}");
        }
    }
}
