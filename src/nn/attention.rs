//! Which past behaviours matter for this ad? Target attention (Zhou et al., KDD 2018, arXiv 1706.06978).

mod fused;

use super::normalise::masked_softmax;
use super::weights::{Builder, Init, Parameter};
use super::{Computed, Pass};
use crate::base::Result;
use candle_core::{Device, Tensor};
use fused::Fused;

/// How scores of positions become weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// Weights of a row add up to 1: which behaviour matters most.
    Softmax,
    /// Each weight on its own in 0..1: how much interest there is at all.
    Sigmoid,
}

/// Scores each past behaviour `h` against the target `t` by one hidden layer over `[h, t, h t]`.
///
/// The paper also feeds `h - t`; before a linear layer that adds nothing that `h` and `t` cannot express.
#[derive(Debug)]
pub struct TargetAttention {
    name: String,
    /// `[units, 3 width]`.
    hidden: Tensor,
    /// `[units]`.
    hidden_bias: Tensor,
    /// `[units]`.
    output: Tensor,
    /// `[1]`; softmax has none, since it would cancel.
    output_bias: Option<Tensor>,
    weighting: Weighting,
    /// Place of the first parameter among the network's.
    place: usize,
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
        let place = builder.parameters.len();
        let hidden = builder.linear(&format!("{name}.hidden"), 3 * width, units)?;
        let start = Init::Normal((2.0 / (units + 1) as f64).sqrt());
        Ok(Self {
            name: name.to_owned(),
            hidden: hidden.weight,
            hidden_bias: hidden.bias,
            output: builder.parameter(&format!("{name}.out.weight"), &[units], start)?,
            output_bias: match weighting {
                Weighting::Softmax => None,
                Weighting::Sigmoid => {
                    Some(builder.parameter(&format!("{name}.out.bias"), &[1], Init::Constant(0.0))?)
                }
            },
            weighting,
            place,
        })
    }

    /// The same attention without a graph.
    ///
    /// # Errors
    /// None in practice: its weights have the shapes that it drew.
    pub fn direct(&self) -> Computed<AttentionPass> {
        let (units, threefold) = self.hidden.dims2()?;
        Ok(AttentionPass {
            place: self.place,
            tensors: if self.output_bias.is_some() { 4 } else { 3 },
            width: threefold / 3,
            fused: Fused { lengths: Vec::new(), units, weighting: self.weighting },
            flat: Vec::new(),
        })
    }

    /// Pools `history` `[rows, positions, width]` for `target` `[rows, width]`; the first `lengths[row]` positions
    /// are real. Returns the pooled `[rows, width]` and the weights `[rows, positions]`, 0 on padding.
    ///
    /// One fused pass over the real positions on the processor, plain operations elsewhere.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(
        &self,
        history: &Tensor,
        target: &Tensor,
        lengths: &[u32],
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Tensor)> {
        if !history.device().is_cpu() || pass.probe().is_some() {
            return self.plain(history, target, lengths, pass);
        }
        let (_, positions, width) = history.dims3()?;
        let mut parts = vec![self.hidden.flatten_all()?, self.hidden_bias.clone(), self.output.clone()];
        parts.extend(self.output_bias.clone());
        let fused =
            Fused { lengths: lengths.to_vec(), units: self.output.dim(0)?, weighting: self.weighting };
        let both = history.contiguous()?.apply_op3(&target.contiguous()?, &Tensor::cat(&parts, 0)?, fused)?;
        Ok((both.narrow(1, 0, width)?, both.narrow(1, width, positions)?))
    }

    /// The same by graph operations: for other devices, and the reference of the fused pass.
    fn plain(
        &self,
        history: &Tensor,
        target: &Tensor,
        lengths: &[u32],
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Tensor)> {
        let (rows, positions, width) = history.dims3()?;
        let mask = mask(lengths, positions, history.device())?;
        let product = history.broadcast_mul(&target.unsqueeze(1)?)?;
        let pair = Tensor::cat(&[history, &product], 2)?.reshape((rows * positions, 2 * width))?;
        let of_history = self.hidden.narrow(1, 0, width)?;
        // A matrix product on a graphics card takes no stretch of a wider matrix.
        let of_target = self.hidden.narrow(1, width, width)?.contiguous()?;
        let of_product = self.hidden.narrow(1, 2 * width, width)?;
        let of_pair = Tensor::cat(&[of_history, of_product], 1)?;
        let per_row = target.matmul(&of_target.t()?)?.broadcast_add(&self.hidden_bias)?.unsqueeze(1)?;
        let hidden = pair.matmul(&of_pair.t()?)?.reshape((rows, positions, ()))?;
        let hidden = hidden.broadcast_add(&per_row)?.relu()?;
        let scores = hidden.broadcast_mul(&self.output)?.sum(2)?;
        let weights = match &self.output_bias {
            None => masked_softmax(&scores, &mask)?,
            // The logistic function by tanh: neither it nor its gradient can overflow.
            Some(bias) => {
                let half = (scores.broadcast_add(bias)? * 0.5)?;
                (((half.tanh()? + 1.0)? * 0.5)? * mask)?
            }
        };
        let gated = pass.heads(&self.name, weights.reshape((rows, 1, 1, positions))?, lengths)?;
        let pooled = gated.reshape((rows, 1, positions))?.matmul(history)?.squeeze(1)?;
        Ok((pooled, weights))
    }
}

/// Target attention on plain numbers.
pub struct AttentionPass {
    /// Place of the first parameter among the network's, and how many there are.
    place: usize,
    tensors: usize,
    width: usize,
    fused: Fused,
    /// All weights, one behind the other.
    flat: Vec<f32>,
}

impl AttentionPass {
    /// Pools `history` `[rows, positions, width]` for `target` `[rows, width]`: `[rows, width + positions]`, the pooled
    /// history, then the weights.
    pub fn forward(
        &mut self,
        weights: &[Parameter],
        (history, target): (&[f32], &[f32]),
        lengths: &[u32],
    ) -> Vec<f32> {
        self.flat.clear();
        let tensors = &weights[self.place..self.place + self.tensors];
        tensors.iter().for_each(|tensor| self.flat.extend_from_slice(&tensor.values));
        self.fused.lengths.clear();
        self.fused.lengths.extend_from_slice(lengths);
        let positions = history.len() / (lengths.len() * self.width).max(1);
        self.fused.pool(positions, self.width, [history, target], &self.flat)
    }

    /// The gradients by history and target from that by [`forward`](Self::forward)'s answer to the same inputs; writes
    /// those by the weights.
    pub fn backward(
        &self,
        (history, target): (&[f32], &[f32]),
        of_out: &[f32],
        dense: &mut [Vec<f32>],
    ) -> [Vec<f32>; 2] {
        let positions = history.len() / (self.fused.lengths.len() * self.width).max(1);
        let inputs = [history, target];
        let [of_history, of_target, of_flat] =
            self.fused.unpool(positions, self.width, inputs, &self.flat, of_out);
        let mut rest = of_flat.as_slice();
        for to in &mut dense[self.place..self.place + self.tensors] {
            let (part, others) = rest.split_at(to.len());
            to.copy_from_slice(part);
            rest = others;
        }
        [of_history, of_target]
    }
}

/// `[rows, positions]`: 1 on real positions, 0 on padding.
pub fn mask(lengths: &[u32], positions: usize, device: &Device) -> Computed<Tensor> {
    let mut mask = vec![0.0_f32; lengths.len() * positions];
    for (row, length) in lengths.iter().enumerate() {
        mask[row * positions..][..*length as usize].fill(1.0);
    }
    Tensor::from_vec(mask, (lengths.len(), positions), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};
    use candle_core::Var;

    const LENGTHS: [u32; 3] = [3, 1, 0];

    fn attention(weighting: Weighting) -> TargetAttention {
        let mut builder = Builder::new(3, Device::Cpu);
        TargetAttention::new(&mut builder, "attention", 2, 5, weighting).unwrap()
    }

    fn inputs() -> [Tensor; 2] {
        [normals(&[3, 3, 2], 1), normals(&[3, 2], 2)]
    }

    #[test]
    fn softmax_weights_add_up_to_one_and_an_empty_history_pools_to_zero() {
        let [history, target] = inputs();
        let attention = attention(Weighting::Softmax);
        let (pooled, weights) = attention.forward(&history, &target, &LENGTHS, &mut Pass::Predict).unwrap();
        let weights = weights.to_vec2::<f32>().unwrap();
        assert!((weights[0].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(weights[1], [1.0, 0.0, 0.0]);
        assert_eq!(weights[2], [0.0; 3]);
        assert_eq!(pooled.to_vec2::<f32>().unwrap()[2], [0.0; 2]);
    }

    type Way = fn(&TargetAttention, &Tensor, &Tensor, &[u32], &mut Pass<'_>) -> Computed<(Tensor, Tensor)>;

    /// Sizes below, at and above whole vectors; more rows than a thread takes at a time.
    #[test]
    fn fused_equals_plain_forward_and_backward() {
        for (width, units, positions) in [(2, 5, 3), (8, 16, 4), (9, 17, 13)] {
            for weighting in [Weighting::Softmax, Weighting::Sigmoid] {
                let mut builder = Builder::new(3, Device::Cpu);
                let attention =
                    TargetAttention::new(&mut builder, "attention", width, units, weighting).unwrap();
                let lengths: Vec<u32> = (0..70).map(|row| row * 7 % (positions as u32 + 1)).collect();
                let history = Var::from_tensor(&normals(&[70, positions, width], 1)).unwrap();
                let target = Var::from_tensor(&normals(&[70, width], 2)).unwrap();
                let answer = |way: Way| -> Vec<Tensor> {
                    let (pooled, weights) =
                        way(&attention, &history, &target, &lengths[..], &mut Pass::Predict).unwrap();
                    let both = Tensor::cat(&[pooled, weights], 1).unwrap();
                    let probe = normals(both.dims(), 5);
                    let store = (&both * probe).unwrap().sum_all().unwrap().backward().unwrap();
                    let mut answer = vec![both];
                    let vars = builder.parameters.iter().map(|parameter| &parameter.var);
                    answer.extend(
                        [&history, &target]
                            .into_iter()
                            .chain(vars)
                            .map(|var| store.get(var).unwrap().clone()),
                    );
                    answer
                };
                let pairs = answer(TargetAttention::forward).into_iter().zip(answer(TargetAttention::plain));
                for (place, (fused, plain)) in pairs.enumerate() {
                    let gap = (fused - plain).unwrap().abs().unwrap().max_all().unwrap();
                    let gap = gap.to_scalar::<f32>().unwrap();
                    assert!(gap < 1e-4, "{weighting:?} of {units} units, answer {place}: {gap}");
                }
            }
        }
    }

    #[test]
    fn gradients_by_everything_agree_with_central_differences() {
        for weighting in [Weighting::Softmax, Weighting::Sigmoid] {
            let TargetAttention { hidden, hidden_bias, output, output_bias, .. } = attention(weighting);
            let mut all = inputs().to_vec();
            // A bias of 1.5 keeps units off the kink of relu, where differences have no meaning.
            all.extend([hidden, (hidden_bias + 1.5).unwrap(), output]);
            all.extend(output_bias);
            for fused in [true, false] {
                agrees_with_differences(&all, |t| {
                    let attention = TargetAttention {
                        name: String::new(),
                        hidden: t[2].clone(),
                        hidden_bias: t[3].clone(),
                        output: t[4].clone(),
                        output_bias: t.get(5).cloned(),
                        weighting,
                        place: 0,
                    };
                    let pass = if fused { TargetAttention::forward } else { TargetAttention::plain };
                    let (pooled, weights) = pass(&attention, &t[0], &t[1], &LENGTHS, &mut Pass::Predict)?;
                    Tensor::cat(&[pooled, weights], 1)
                });
            }
        }
    }
}
