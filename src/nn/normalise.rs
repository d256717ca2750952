//! How are activations kept in range? Layer normalisation and softmax whose gradients are real.
//!
//! candle 0.11.1's own `LayerNorm` and `softmax_last_dim` return no gradient for contiguous input, without an
//! error (candle issues #2168, #3011, #3568); these are made of operations that do.

mod fused;

use super::Computed;
use candle_core::{D, Tensor};

/// Keeps the variance away from 0.
pub(super) const EPSILON: f64 = 1e-5;
/// Keeps a length away from 0 without moving one that matters.
pub const TINY: f64 = 1e-12;
/// Added to scores that must get no weight; large enough that `exp` gives 0, small enough for f32.
const FAR_BELOW: f64 = 1e9;

/// `gain (x - mean) / sqrt(variance + 1e-5) + bias` over the last dimension (Ba, Kiros & Hinton 2016).
///
/// One fused pass each way on the processor, plain operations elsewhere.
///
/// # Errors
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, gain: &Tensor, bias: &Tensor) -> Computed<Tensor> {
    if x.device().is_cpu() {
        x.contiguous()?.apply_op3(gain, bias, fused::LayerNorm)
    } else {
        plain_layer_norm(x, gain, bias)
    }
}

/// The same by graph operations: for other devices, and the reference of the fused pass.
fn plain_layer_norm(x: &Tensor, gain: &Tensor, bias: &Tensor) -> Computed<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let scaled = centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?;
    scaled.broadcast_mul(gain)?.broadcast_add(bias)
}

/// Vectors `[rows, width]` scaled to length 1; a vector of zeros stays zeros.
///
/// # Errors
/// Shapes that do not fit.
pub fn unit_length(x: &Tensor) -> Computed<Tensor> {
    let squared = x.sqr()?.sum_keepdim(D::Minus1)?;
    x.broadcast_div(&(squared + TINY)?.sqrt()?)
}

/// Softmax over the last dimension of the places where `mask` is 1; all zeros in a row whose mask is all 0.
///
/// # Errors
/// Shapes that do not fit.
pub fn masked_softmax(scores: &Tensor, mask: &Tensor) -> Computed<Tensor> {
    let pushed = (scores + ((mask - 1.0)? * FAR_BELOW)?)?;
    // The maximum only keeps exp in range and cancels, so it needs no gradient.
    let top = pushed.detach().max_keepdim(D::Minus1)?;
    let weights = (pushed.broadcast_sub(&top)?.exp()? * mask)?;
    // The largest weight is e^0 = 1, so only a row without places could divide by 0; it divides by 1.
    let empty = (1.0 - mask.max_keepdim(D::Minus1)?)?;
    let sum = (weights.sum_keepdim(D::Minus1)? + empty)?;
    weights.broadcast_div(&sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};
    use candle_core::Device;

    #[test]
    fn layer_norm_has_mean_0_and_variance_1_and_a_true_gradient() {
        let (gain, bias) = (normals(&[6], 2), normals(&[6], 3));
        let ones = Tensor::ones(6, candle_core::DType::F32, &Device::Cpu).unwrap();
        let out = layer_norm(&normals(&[4, 6], 1), &ones, &ones.zeros_like().unwrap()).unwrap();
        for row in out.to_vec2::<f32>().unwrap() {
            let mean = row.iter().sum::<f32>() / 6.0;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 6.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-3);
        }
        let plain = plain_layer_norm(&normals(&[4, 6], 1), &gain, &bias).unwrap();
        let fused = layer_norm(&normals(&[4, 6], 1), &gain, &bias).unwrap();
        let gap = (plain - fused).unwrap().abs().unwrap().max_all().unwrap();
        assert!(gap.to_scalar::<f32>().unwrap() < 1e-5);
        for way in [layer_norm, plain_layer_norm] {
            let all = [normals(&[4, 6], 1), gain.clone(), bias.clone()];
            agrees_with_differences(&all, |t| way(&t[0], &t[1], &t[2]));
        }
    }

    #[test]
    fn unit_length_has_length_1_bears_zeros_and_has_a_true_gradient() {
        let x = Tensor::new(&[[3.0_f32, -4.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        assert_eq!(unit_length(&x).unwrap().to_vec2::<f32>().unwrap(), [[0.6, -0.8], [0.0, 0.0]]);
        agrees_with_differences(&[normals(&[4, 6], 1)], |t| unit_length(&t[0]));
    }

    #[test]
    fn softmax_ignores_masked_places_and_bears_an_empty_row() {
        let scores = Tensor::new(&[[1.0_f32, 2.0, 50.0], [3.0, 4.0, 5.0]], &Device::Cpu).unwrap();
        let mask = Tensor::new(&[[1.0_f32, 1.0, 0.0], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let out = masked_softmax(&scores, &mask).unwrap().to_vec2::<f32>().unwrap();
        let e = std::f32::consts::E;
        assert!((out[0][0] - 1.0 / (1.0 + e)).abs() < 1e-6);
        assert!((out[0][1] - e / (1.0 + e)).abs() < 1e-6);
        assert_eq!(out[0][2], 0.0);
        assert_eq!(out[1], [0.0; 3]);
    }

    #[test]
    fn softmax_gradient_agrees_with_central_differences() {
        let rows = [[1.0_f32, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]];
        let mask = Tensor::new(&rows, &Device::Cpu).unwrap();
        agrees_with_differences(&[normals(&[3, 3], 7)], |t| masked_softmax(&t[0], &mask));
    }
}
