//! Which past behaviours matter for this ad? Target attention (Zhou et al., KDD 2018, arXiv 1706.06978).

use super::mlp::{Mlp, MlpShape};
use super::normalise::masked_softmax;
use super::weights::Builder;
use super::{Computed, Pass};
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

/// Scores each past behaviour against the target by a small network of `[h, t, h - t, h t]`.
#[derive(Debug)]
pub struct TargetAttention {
    score: Mlp,
    weighting: Weighting,
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
        let shape = MlpShape { units, layers: 1, dropout: 0.0, normalise: false };
        Ok(Self { score: Mlp::new(builder, name, 4 * width, shape)?, weighting })
    }

    /// Pools `history` `[rows, positions, width]` for `target` `[rows, width]`; `mask` `[rows, positions]` is 1 on
    /// real positions. Returns the pooled `[rows, width]` and the weights `[rows, positions]`, 0 on padding.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(
        &self,
        history: &Tensor,
        target: &Tensor,
        mask: &Tensor,
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Tensor)> {
        let (rows, positions, width) = history.dims3()?;
        let target = target.unsqueeze(1)?.broadcast_as(history.shape())?;
        let difference = (history - &target)?;
        let product = (history * &target)?;
        let pair = Tensor::cat(&[history, &target, &difference, &product], 2)?;
        let scores = self
            .score
            .forward(&pair.reshape((rows * positions, 4 * width))?, pass)?
            .reshape((rows, positions))?;
        let weights = match self.weighting {
            Weighting::Softmax => masked_softmax(&scores, mask)?,
            // The logistic function by tanh: neither it nor its gradient can overflow.
            Weighting::Sigmoid => ((((scores * 0.5)?.tanh()? + 1.0)? * 0.5)? * mask)?,
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
            .forward(&normals(&[3, 3, 2], 1), &normals(&[3, 2], 2), &mask(), &mut Pass::Predict)
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
                let (pooled, _) = attention.forward(&t[0], &t[1], &mask(), &mut Pass::Predict)?;
                Ok(pooled)
            });
        }
    }
}
