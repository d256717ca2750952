//! Which past behaviours matter for this ad? Target attention (Zhou et al., KDD 2018, arXiv 1706.06978).

use super::Computed;
use super::linear::Linear;
use super::normalise::masked_softmax;
use super::weights::{Builder, Init};
use crate::base::Result;
use candle_core::Tensor;

/// How scores of positions become weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// Weights of a row add up to 1: which behaviour matters most.
    Softmax,
    /// Each weight on its own in 0..1: how much interest there is at all (as in the paper, unnormalised).
    Sigmoid,
}

/// Scores each past behaviour against the target by one hidden layer over `[h, t, h - t, h t]`.
#[derive(Debug)]
pub struct TargetAttention {
    hidden: Linear,
    /// `[1, units]`.
    output: Tensor,
    /// `[1]`; softmax has none, since it would cancel.
    bias: Option<Tensor>,
}

impl TargetAttention {
    /// Draws the scoring network for embeddings of `width` numbers.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(
        builder: &mut Builder,
        name: &str,
        width: usize,
        units: usize,
        weighting: Weighting,
    ) -> Result<Self> {
        let start = Init::Normal((2.0 / (units + 1) as f64).sqrt());
        Ok(Self {
            hidden: builder.linear(&format!("{name}.hidden"), 4 * width, units)?,
            output: builder.parameter(&format!("{name}.out.weight"), &[1, units], start)?,
            bias: match weighting {
                Weighting::Softmax => None,
                Weighting::Sigmoid => {
                    Some(builder.parameter(&format!("{name}.out.bias"), &[1], Init::Constant(0.0))?)
                }
            },
        })
    }

    /// Pools `history` `[rows, positions, width]` for `target` `[rows, width]`; `mask` `[rows, positions]` is 1 on
    /// real positions. Returns the pooled `[rows, width]` and the weights `[rows, positions]`, 0 on padding.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, history: &Tensor, target: &Tensor, mask: &Tensor) -> Computed<(Tensor, Tensor)> {
        let (rows, positions, width) = history.dims3()?;
        let target = target.unsqueeze(1)?.broadcast_as(history.shape())?;
        let difference = (history - &target)?;
        let product = (history * &target)?;
        let pair = Tensor::cat(&[history, &target, &difference, &product], 2)?;
        let hidden = self.hidden.forward_relu(&pair.reshape((rows * positions, 4 * width))?)?;
        let scores = hidden.matmul(&self.output.t()?)?.reshape((rows, positions))?;
        let weights = match &self.bias {
            None => masked_softmax(&scores, mask)?,
            // The logistic function by tanh: neither it nor its gradient can overflow.
            Some(bias) => {
                let half = (scores.broadcast_add(bias)? * 0.5)?;
                (((half.tanh()? + 1.0)? * 0.5)? * mask)?
            }
        };
        let pooled = weights.unsqueeze(1)?.matmul(history)?.squeeze(1)?;
        Ok((pooled, weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};
    use candle_core::Device;

    fn attention(weighting: Weighting) -> TargetAttention {
        let mut builder = Builder::new(3, Device::Cpu);
        TargetAttention::new(&mut builder, "attention", 2, 5, weighting).unwrap()
    }

    fn mask() -> Tensor {
        let rows = [[1.0_f32, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]];
        Tensor::new(&rows, &Device::Cpu).unwrap()
    }

    #[test]
    fn softmax_weights_add_up_to_one_and_an_empty_history_pools_to_zero() {
        let (pooled, weights) = attention(Weighting::Softmax)
            .forward(&normals(&[3, 3, 2], 1), &normals(&[3, 2], 2), &mask())
            .unwrap();
        let weights = weights.to_vec2::<f32>().unwrap();
        assert!((weights[0].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(weights[1], [1.0, 0.0, 0.0]);
        assert_eq!(weights[2], [0.0; 3]);
        assert_eq!(pooled.to_vec2::<f32>().unwrap()[2], [0.0; 2]);
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        for weighting in [Weighting::Softmax, Weighting::Sigmoid] {
            let attention = attention(weighting);
            agrees_with_differences(&[normals(&[3, 3, 2], 1), normals(&[3, 2], 2)], |t| {
                let (pooled, _) = attention.forward(&t[0], &t[1], &mask())?;
                Ok(pooled)
            });
        }
    }
}
