//! How wrong is a score, and which way should it move? Log loss on logits that cannot overflow.

use super::Computed;
use candle_core::Tensor;
use candle_core::backprop::GradStore;

/// Mean log loss of a batch, and its derivative by each logit.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitLoss {
    /// `sum w (max(z,0) - z y + ln(1 + e^-|z|)) / sum w`.
    pub mean: f64,
    /// `w (sigmoid(z) - y) / sum w` per example.
    pub gradient: Vec<f32>,
}

/// Weighted binary cross-entropy of logits `z` and targets `y` in `0..=1`; empty weights mean all 1.
///
/// The form `max(z,0) - z y + ln(1 + e^-|z|)` is exact for any finite logit, where `ln(sigmoid(z))` is not.
pub fn bce_with_logits(logits: &[f32], targets: &[f32], weights: &[f32]) -> LogitLoss {
    let weight = |i: usize| weights.get(i).copied().map_or(1.0, f64::from);
    let total: f64 = (0..logits.len()).map(weight).sum();
    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
    let mut sum = 0.0;
    let gradient = logits
        .iter()
        .zip(targets)
        .enumerate()
        .map(|(i, (&z, &y))| {
            let (z, y) = (f64::from(z), f64::from(y));
            sum += weight(i) * (z.max(0.0) - z * y + (-z.abs()).exp().ln_1p());
            (weight(i) * scale * (sigmoid(z) - y)) as f32
        })
        .collect();
    LogitLoss { mean: sum * scale, gradient }
}

/// `1 / (1 + e^-z)` without overflow.
pub fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// Sends `gradient` (one number per logit) back through the graph that made `logits`.
///
/// # Errors
/// An operation in the graph has no backward, or shapes differ.
pub fn backward_from(logits: &Tensor, gradient: &[f32]) -> Computed<GradStore> {
    let gradient = Tensor::from_slice(gradient, logits.dims(), logits.device())?;
    (logits * gradient)?.sum_all()?.backward()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_hand_values_and_never_overflows() {
        // z = 0: ln 2 for either label. z = 20, y = 1: ln(1 + e^-20). z = 200, y = 0: 200.
        let loss = bce_with_logits(&[0.0], &[1.0], &[]);
        assert!((loss.mean - std::f64::consts::LN_2).abs() < 1e-12);
        assert!((loss.gradient[0] + 0.5).abs() < 1e-7);
        let sure = bce_with_logits(&[20.0], &[1.0], &[]);
        assert!((sure.mean - 2.061_153_620_190_420_6e-9).abs() < 1e-18);
        let wrong = bce_with_logits(&[200.0, -200.0], &[0.0, 1.0], &[]);
        assert_eq!(wrong.mean, 200.0);
        assert_eq!(wrong.gradient, [0.5, -0.5]);
    }

    #[test]
    fn weights_count_like_repeated_rows() {
        let weighted = bce_with_logits(&[0.3, -1.0], &[1.0, 0.0], &[3.0, 1.0]);
        let repeated = bce_with_logits(&[0.3, 0.3, 0.3, -1.0], &[1.0, 1.0, 1.0, 0.0], &[]);
        assert!((weighted.mean - repeated.mean).abs() < 1e-12);
    }

    #[test]
    fn the_gradient_is_the_derivative() {
        let (targets, weights) = ([1.0, 0.0, 0.25], [1.0, 2.0, 0.5]);
        let logits = [0.7_f32, -1.3, 2.0];
        let loss = bce_with_logits(&logits, &targets, &weights);
        for i in 0..3 {
            let at = |h: f32| {
                let mut moved = logits;
                moved[i] += h;
                bce_with_logits(&moved, &targets, &weights).mean
            };
            let numeric = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((numeric - f64::from(loss.gradient[i])).abs() < 1e-4);
        }
    }
}
