//! Where does every random draw come from? A named stream of one seed, so that a run repeats anywhere.
//!
//! candle cannot seed its CPU generator, so weights, batches, dropout, users and auctions all draw here.
//! Two streams with different names are independent; adding a draw to one never shifts another.

use rand::{Rng as _, RngCore, SeedableRng};
use rand_distr::{Beta, Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// 32 bytes that nobody can guess or draw again (ChaCha12, seeded by the operating system): for keys, never for
/// results.
pub fn secret() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A seeded stream (xoshiro256++). Serialisable, so a checkpoint resumes it to the bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// The stream `name` of `seed`: the same two give the same draws on every machine.
    pub fn named(seed: u64, name: &str) -> Self {
        let mut state = mix(seed ^ 0x5851_F42D_4C95_7F2D);
        for byte in name.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self(Xoshiro256PlusPlus::seed_from_u64(state))
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// Uniform integer in `[0, n)`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// A draw from Beta(`a`, `b`); 1/2 where the parameters are not positive.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        Beta::new(a, b).map_or(0.5, |beta| beta.sample(&mut self.0))
    }

    /// A draw from any `rand_distr` distribution.
    pub fn draw<T, D: Distribution<T>>(&mut self, distribution: &D) -> T {
        distribution.sample(&mut self.0)
    }

    /// Fisher-Yates in place.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// A uniform in `[0, 1)` that depends only on its keys: common random numbers for paired simulations.
///
/// Two worlds that ask for the same `(seed, purpose, index)` get the same luck, in any order and on any thread.
pub fn keyed_uniform(seed: u64, purpose: u64, index: u64) -> f64 {
    let bits = mix(mix(mix(seed).wrapping_add(purpose)).wrapping_add(index));
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A 64-bit hash of a number (splitmix64's finaliser; Steele, Lea & Flood 2014).
pub fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_name() {
        let draw = |seed, name| {
            let mut rng = Rng::named(seed, name);
            (0..4).map(|_| rng.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "weights"), draw(7, "weights"));
        assert_ne!(draw(7, "weights"), draw(7, "batches"));
        assert_ne!(draw(7, "weights"), draw(8, "weights"));
    }

    #[test]
    fn splitmix_matches_the_published_first_output() {
        // First output of SplitMix64 for seed 1234567, as listed in the reference C program's test vectors.
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn keyed_uniforms_have_the_right_mean_and_variance() {
        let n = 100_000u64;
        let draws: Vec<f64> = (0..n).map(|i| keyed_uniform(3, 1, i)).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n as f64;
        // Uniform(0,1): mean 1/2 with standard error 0.2887/sqrt(n), variance 1/12.
        assert!((mean - 0.5).abs() < 4.0 * 0.2887 / (n as f64).sqrt());
        assert!((variance - 1.0 / 12.0).abs() < 0.002);
    }
}
