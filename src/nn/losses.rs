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

/// Loss of clicks and of what follows them, and its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct EntireSpaceLoss {
    /// Mean over examples: the log loss of clicks, plus `weight` times that of clicks with a conversion.
    pub mean: f64,
    /// The log loss of clicks alone.
    pub clicks: f64,
    /// By each log odds of a click.
    pub of_clicks: Vec<f32>,
    /// By each log odds of a conversion given a click.
    pub of_conversions: Vec<f32>,
}

/// Clicks `y` by `p = sigmoid(a)`, and clicks with a conversion `z <= y` by `q = sigmoid(a) sigmoid(b)`, both over all
/// impressions, so that the conversion rate is learnt without the bias of looking at clicks only (Ma et al., SIGIR 2018,
/// arXiv 1804.07931, equations 2 and 4). `weights` as in [`bce_with_logits`].
///
/// With `s(x) = ln(1 + e^x)`: `ln q = -s(-a) - s(-b)` and `ln(1 - q) = ln(e^-a + e^-b + e^-(a+b)) - s(-a) - s(-b)`,
/// neither of which can overflow or cancel.
pub fn entire_space(
    (clicks, conversions): (&[f32], &[f32]),
    (clicked, converted): (&[f32], &[f32]),
    weights: &[f32],
    weight: f64,
) -> EntireSpaceLoss {
    let of_clicks = bce_with_logits(clicks, clicked, weights);
    let example = |i: usize| weights.get(i).copied().map_or(1.0, f64::from);
    let total: f64 = (0..clicks.len()).map(example).sum();
    let scale = if total > 0.0 { weight / total } else { 0.0 };
    let mut loss = EntireSpaceLoss {
        mean: of_clicks.mean,
        clicks: of_clicks.mean,
        of_clicks: of_clicks.gradient,
        of_conversions: vec![0.0; clicks.len()],
    };
    for (i, ((&a, &b), &z)) in clicks.iter().zip(conversions).zip(converted).enumerate() {
        let (a, b, z, scale) = (f64::from(a), f64::from(b), f64::from(z), example(i) * scale);
        let (unclicked, unbought) = (softplus(-a), softplus(-b));
        let largest = (-a).max(-b).max(-a - b);
        let neither = largest + [-a, -b, -a - b].iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
        let ln_rest = neither - unclicked - unbought;
        let q = (-unclicked - unbought).exp();
        loss.mean += scale * (z * (unclicked + unbought) - (1.0 - z) * ln_rest);
        // d/da -ln q = -(1 - p), d/da -ln(1 - q) = q (1 - p) / (1 - q); the same for b.
        let by = |missed: f64| {
            let ln_missed = -softplus(missed);
            let lost = (1.0 - z) * q * (ln_missed - ln_rest).exp();
            scale * (lost - z * ln_missed.exp())
        };
        loss.of_clicks[i] += by(a) as f32;
        loss.of_conversions[i] = by(b) as f32;
    }
    loss
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
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

/// Sends gradients (one number per logit, for each task) back through the graph that made the tasks' logits.
///
/// # Errors
/// An operation in the graph has no backward, or shapes differ.
pub fn backward_from(tasks: &[(&Tensor, &[f32])]) -> Computed<GradStore> {
    let sums = tasks.iter().map(|(logits, gradient)| {
        let gradient = Tensor::from_slice(gradient, logits.dims(), logits.device())?;
        (*logits * gradient)?.sum_all()
    });
    Tensor::stack(&sums.collect::<Computed<Vec<_>>>()?, 0)?.sum_all()?.backward()
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
    fn clicks_with_conversions_by_hand_and_at_the_ends() {
        // a = b = 0: p = 1/2, q = 1/4. Loss ln 2 for the click, ln 4 with and ln(4/3) without a conversion.
        let (ln2, z) = (std::f64::consts::LN_2, [0.0_f32]);
        let with = entire_space((&z, &z), (&[1.0], &[1.0]), &[], 1.0);
        assert!((with.mean - 3.0 * ln2).abs() < 1e-12);
        let without = entire_space((&z, &z), (&[1.0], &[0.0]), &[], 2.0);
        assert!((without.mean - ln2 - 2.0 * (4.0_f64 / 3.0).ln()).abs() < 1e-12);
        // q (1 - p) / (1 - q) = 1/4 * 1/2 / (3/4) = 1/6, twice; the click's own gradient is -1/2.
        assert!((without.of_clicks[0] + 0.5 - 1.0 / 3.0).abs() < 1e-7);
        assert!((without.of_conversions[0] - 1.0 / 3.0).abs() < 1e-7);
        for sure in [[90.0, 90.0], [90.0, -90.0], [-90.0, -90.0]] {
            let loss = entire_space((&sure[..1], &sure[1..]), (&[1.0], &[1.0]), &[], 1.0);
            assert!(loss.mean.is_finite() && loss.of_conversions[0].is_finite(), "{sure:?}: {loss:?}");
        }
    }

    #[test]
    fn the_gradient_of_both_tasks_is_the_derivative() {
        let (clicked, converted, weights) = ([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 0.5]);
        let logits = [[0.7_f32, -1.3, 2.0], [-0.4, 0.9, 0.1]];
        let at = |task: usize, i: usize, h: f32| {
            let mut moved = logits;
            moved[task][i] += h;
            entire_space((&moved[0], &moved[1]), (&clicked, &converted), &weights, 0.7)
        };
        let loss = at(0, 0, 0.0);
        for (task, gradient) in [&loss.of_clicks, &loss.of_conversions].into_iter().enumerate() {
            for (i, claimed) in gradient.iter().enumerate() {
                let numeric = (at(task, i, 1e-2).mean - at(task, i, -1e-2).mean) / 2e-2;
                assert!((numeric - f64::from(*claimed)).abs() < 1e-4, "{task} {i}: {numeric} {claimed}");
            }
        }
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
