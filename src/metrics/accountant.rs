//! How much does training with noise tell of one taker? Epsilon by Rényi's divergence.
//!
//! Each round takes every client with a probability and adds normal noise to the sum of what they say, each clipped to one
//! length: the sampled Gaussian mechanism. Its divergence of whole orders is the sum of Mironov, Talwar & Zhang (arXiv
//! 1908.10530, section 3.3); rounds add up, and the best order gives epsilon (Mironov, arXiv 1702.07476, proposition 3).

/// Largest order that is tried.
const ORDERS: u32 = 256;

/// Epsilon after `rounds` with clients taken by `share`, noise of so many clipping lengths, and `delta`; infinite without
/// noise.
pub fn epsilon(share: f64, noise: f64, rounds: u64, delta: f64) -> f64 {
    if rounds == 0 || share <= 0.0 {
        return 0.0;
    }
    let of_order =
        |order: u32| rounds as f64 * divergence(share, noise, order) - delta.ln() / f64::from(order - 1);
    (2..=ORDERS).map(of_order).fold(f64::INFINITY, f64::min)
}

/// Rényi's divergence of one round, of a whole order above 1.
fn divergence(share: f64, noise: f64, order: u32) -> f64 {
    if noise <= 0.0 {
        return f64::INFINITY;
    }
    let a = f64::from(order);
    if share >= 1.0 {
        return a / (2.0 * noise * noise);
    }
    // Logarithm of the ways to choose k of the order.
    let mut ways = 0.0;
    let term = |k: u32| {
        let k = f64::from(k);
        let term = ways + (a - k) * (-share).ln_1p() + k * share.ln() + (k * k - k) / (2.0 * noise * noise);
        ways += ((a - k) / (k + 1.0)).ln();
        term
    };
    let terms: Vec<f64> = (0..=order).map(term).collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = terms.iter().map(|term| (term - largest).exp()).sum();
    (largest + sum.ln()) / (a - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilon_is_what_was_published() {
        // Abadi et al. (arXiv 1607.00133, section 3.2 and figure 2): 1.26 with q = 0.01, sigma = 4, 10,000 steps, delta 1e-5.
        assert!((epsilon(0.01, 4.0, 10_000, 1e-5) - 1.26).abs() < 0.005);
        // TensorFlow Privacy, tutorials/README.md of January 2019 (commit 047e1ee): 2.92 of lots of 256 of 60,000, sigma 1.12,
        // 60 epochs; 1.20 with sigma 1.2 and 10 epochs.
        for (noise, epochs, told) in [(1.12, 60, 2.92), (1.2, 10, 1.20)] {
            let found = epsilon(256.0 / 60_000.0, noise, epochs * 60_000 / 256, 1e-5);
            assert!((found - told).abs() < 0.005, "{noise}: {found}");
        }
        // A later README of TensorFlow Privacy's MNIST tutorial tells 3.01 of lots of 256 of 60,000, sigma 1.1, 60 epochs.
        let mnist = epsilon(256.0 / 60_000.0, 1.1, 60 * 60_000 / 256, 1e-5);
        assert!((mnist - 3.01).abs() < 0.01, "{mnist}");
    }

    #[test]
    fn all_clients_are_the_plain_gaussian_mechanism_and_no_noise_hides_nothing() {
        // min over a of a / (2 s^2) + ln(1/delta) / (a - 1) lies at a = 1 + s sqrt(2 ln(1/delta)).
        let (noise, delta) = (5.0_f64, 1e-5_f64);
        let best = 1.0 / (2.0 * noise * noise) + (2.0 * -delta.ln()).sqrt() / noise;
        let told = epsilon(1.0, noise, 1, delta);
        assert!(told >= best && told < best + 1e-4, "{told} {best}");
        assert_eq!(epsilon(0.5, 0.0, 3, 1e-5), f64::INFINITY);
        assert_eq!(epsilon(0.5, 1.0, 0, 1e-5), 0.0);
        assert!(epsilon(0.1, 1.0, 10, 1e-5) < epsilon(0.2, 1.0, 10, 1e-5), "more clients tell more");
    }
}
