//! Which members of a set look at which? Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762).

mod fused;

use super::linear::Linear;
use super::normalise::masked_softmax;
use super::weights::Builder;
use super::{Computed, Pass};
use crate::base::Result;
use candle_core::Tensor;
use fused::Fused;

/// Self-attention: each member asks all others in several heads and gets the weighed sum of their answers.
#[derive(Debug)]
pub struct SelfAttention {
    name: String,
    /// From members to questions, keys and answers, one behind the other: `[3 heads width, inputs]`.
    projection: Linear,
    heads: usize,
    /// Width of a head.
    width: usize,
    scale: f32,
    looks_back: bool,
    tells: bool,
}

impl SelfAttention {
    /// Draws the projections for members of `inputs` numbers. `scaled` divides products by `sqrt(width)`.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(
        builder: &mut Builder,
        name: &str,
        inputs: usize,
        (heads, width): (usize, usize),
        scaled: bool,
    ) -> Result<Self> {
        let scale = if scaled { 1.0 / (width as f32).sqrt() } else { 1.0 };
        let projection = builder.linear(name, inputs, 3 * heads * width)?;
        Ok(Self { name: name.to_owned(), projection, heads, width, scale, looks_back: false, tells: false })
    }

    /// Its name among the parameters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same where each member asks itself and those behind it only, which came before it where the newest stands
    /// first.
    #[must_use]
    pub fn looking_back(self) -> Self {
        Self { looks_back: true, ..self }
    }

    /// The same that tells what its first member looks at, in passes that only score.
    #[must_use]
    pub fn telling(self) -> Self {
        Self { tells: true, ..self }
    }

    /// `[rows, members, inputs]` -> `[rows, members, heads width]`, and the weights that member 0 gives, the mean over
    /// heads, if it is [`telling`](Self::telling). The first `lengths[row]` members are real; others ask nothing, are not
    /// asked, and get 0.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(
        &self,
        x: &Tensor,
        lengths: &[u32],
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Option<Tensor>)> {
        let (rows, members, inputs) = x.dims3()?;
        let packed = self.projection.forward(&x.reshape((rows * members, inputs))?)?;
        let packed = packed.reshape((rows, members, 3 * self.heads * self.width))?;
        let weights =
            if self.tells && pass.only_scores() { Some(self.first_weights(&packed, lengths)?) } else { None };
        let out = if x.device().is_cpu() && pass.probe().is_none() {
            let Self { heads, width, scale, looks_back, .. } = *self;
            let fused = Fused { heads, width, scale, looks_back, lengths: lengths.to_vec() };
            packed.contiguous()?.apply_op1(fused)?
        } else {
            self.plain(&packed, lengths, pass)?
        };
        Ok((out, weights))
    }

    /// Part 0, 1 or 2 of the packed projections: `[rows, heads, members, width]`.
    fn part(&self, packed: &Tensor, part: usize) -> Computed<Tensor> {
        let (rows, members, _) = packed.dims3()?;
        let all = self.heads * self.width;
        let part = packed.narrow(2, part * all, all)?;
        part.reshape((rows, members, self.heads, self.width))?.transpose(1, 2)?.contiguous()
    }

    /// `[rows, members]`: what member 0 looks at, the mean over heads.
    fn first_weights(&self, packed: &Tensor, lengths: &[u32]) -> Computed<Tensor> {
        let question = self.part(packed, 0)?.narrow(2, 0, 1)?;
        let scores = (question.matmul(&self.part(packed, 1)?.t()?)? * f64::from(self.scale))?;
        let mask = self.mask(lengths, &scores)?.narrow(2, 0, 1)?.contiguous()?;
        masked_softmax(&scores, &mask)?.mean(1)?.squeeze(1)
    }

    /// The same by graph operations: for other devices and passes that are looked into, and the reference of the fused
    /// pass.
    fn plain(&self, packed: &Tensor, lengths: &[u32], pass: &mut Pass<'_>) -> Computed<Tensor> {
        let (rows, members, _) = packed.dims3()?;
        let (question, key) = (self.part(packed, 0)?, self.part(packed, 1)?);
        let scores = (question.matmul(&key.t()?)? * f64::from(self.scale))?;
        let weights = masked_softmax(&scores, &self.mask(lengths, &scores)?)?;
        let weights = pass.heads(&self.name, weights, lengths)?;
        let out = weights.matmul(&self.part(packed, 2)?)?;
        out.transpose(1, 2)?.reshape((rows, members, self.heads * self.width))
    }

    /// 1 where both members are real and the one may ask the other, 0 elsewhere, shaped like `scores` `[rows, heads,
    /// questions, members]` with all members as questions.
    fn mask(&self, lengths: &[u32], scores: &Tensor) -> Computed<Tensor> {
        let (rows, heads, _, members) = scores.dims4()?;
        let mut mask = vec![0.0_f32; rows * members * members];
        for (row, &length) in lengths.iter().enumerate() {
            for question in 0..length as usize {
                let from = if self.looks_back { question } else { 0 };
                mask[(row * members + question) * members..][from..length as usize].fill(1.0);
            }
        }
        let mask = Tensor::from_vec(mask, (rows, 1, members, members), scores.device())?;
        mask.broadcast_as((rows, heads, members, members))?.contiguous()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};
    use candle_core::{Device, Var};

    fn attention(inputs: usize, heads: usize, width: usize) -> SelfAttention {
        let mut builder = Builder::new(3, Device::Cpu);
        SelfAttention::new(&mut builder, "heads", inputs, (heads, width), true).unwrap()
    }

    #[test]
    fn equals_the_loops_of_the_paper() {
        let (rows, members, inputs, heads, width) = (2, 3, 4, 2, 3);
        let attention = attention(inputs, heads, width).telling();
        let x = normals(&[rows, members, inputs], 1);
        let lengths = [3, 2];
        let (out, weights) = attention.forward(&x, &lengths, &mut Pass::Predict).unwrap();
        let (out, x) = (out.to_vec3::<f32>().unwrap(), x.to_vec3::<f32>().unwrap());
        let weights = weights.unwrap().to_vec2::<f32>().unwrap();
        let matrix = attention.projection.weight.to_vec2::<f32>().unwrap();
        let project = |part: usize, head: usize, k: usize, x: &[f32]| -> f32 {
            let row = &matrix[part * heads * width + head * width + k];
            row.iter().zip(x).map(|(w, x)| w * x).sum()
        };
        for row in 0..rows {
            let real = lengths[row] as usize;
            let mut first = vec![0.0; members];
            for head in 0..heads {
                for asks in 0..real {
                    let score = |of: usize| -> f32 {
                        let product =
                            |k| project(0, head, k, &x[row][asks]) * project(1, head, k, &x[row][of]);
                        (0..width).map(product).sum::<f32>() / (width as f32).sqrt()
                    };
                    let powers: Vec<f32> = (0..real).map(|of| score(of).exp()).collect();
                    let total: f32 = powers.iter().sum();
                    for k in 0..width {
                        let sum: f32 =
                            (0..real).map(|of| powers[of] / total * project(2, head, k, &x[row][of])).sum();
                        assert!((sum - out[row][asks][head * width + k]).abs() < 1e-5);
                    }
                    if asks == 0 {
                        (0..real).for_each(|of| first[of] += powers[of] / total / heads as f32);
                    }
                }
            }
            assert!(first.iter().zip(&weights[row]).all(|(a, b)| (a - b).abs() < 1e-6), "{first:?}");
        }
        assert_eq!(out[1][2], vec![0.0; heads * width]);
    }

    #[test]
    fn fused_equals_plain_forward_and_backward() {
        for ((members, heads, width), looks_back) in
            [((4, 1, 2), false), ((8, 2, 8), true), ((11, 3, 5), false), ((11, 3, 5), true)]
        {
            let attention = SelfAttention { looks_back, ..attention(4, heads, width) };
            let packed = Var::from_tensor(&normals(&[70, members, 3 * heads * width], 1)).unwrap();
            let lengths: Vec<u32> = (0..70).map(|row| row * 5 % (members as u32 + 1)).collect();
            let SelfAttention { scale, .. } = attention;
            let fused = Fused { heads, width, scale, looks_back, lengths: lengths.clone() };
            let fused = packed.apply_op1(fused).unwrap();
            let plain = attention.plain(&packed, &lengths, &mut Pass::Predict).unwrap();
            let answer = |out: &Tensor| {
                let store = (out * normals(out.dims(), 5)).unwrap().sum_all().unwrap().backward().unwrap();
                [out.clone(), store.get(&packed).unwrap().clone()]
            };
            for (place, (fused, plain)) in answer(&fused).iter().zip(&answer(&plain)).enumerate() {
                let gap = (fused - plain).unwrap().abs().unwrap().max_all().unwrap();
                let gap = gap.to_scalar::<f32>().unwrap();
                assert!(gap < 1e-5, "{members} members, answer {place}: {gap}");
            }
        }
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let attention = attention(3, 2, 2);
        let Linear { weight, bias } = attention.projection;
        agrees_with_differences(&[normals(&[3, 3, 3], 1), weight, bias], |t| {
            let projection = Linear { weight: t[1].clone(), bias: t[2].clone() };
            let shape = SelfAttention {
                name: String::new(),
                projection,
                heads: 2,
                width: 2,
                scale: 0.7,
                looks_back: true,
                tells: false,
            };
            Ok(shape.forward(&t[0], &[3, 2, 0], &mut Pass::Predict)?.0)
        });
    }

    #[test]
    fn who_looks_back_does_not_see_what_came_later() {
        let attention = attention(4, 2, 3).looking_back();
        let x = normals(&[1, 5, 4], 1);
        let mut other = x.to_vec3::<f32>().unwrap();
        other[0][1] = vec![9.0, -9.0, 5.0, 1.0];
        let other = Tensor::new(other, &Device::Cpu).unwrap();
        let answers = |x: &Tensor| {
            attention
                .forward(x, &[5], &mut Pass::Predict)
                .unwrap()
                .0
                .squeeze(0)
                .unwrap()
                .to_vec2::<f32>()
                .unwrap()
        };
        let (before, after) = (answers(&x), answers(&other));
        // Members behind the changed one came before it.
        assert_eq!(before[2..], after[2..]);
        assert!(before[0] != after[0] && before[1] != after[1]);
    }
}
