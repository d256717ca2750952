//! How does a layer multiply fields? The cross layer of DCN v2, `x_0 (W x + b) + x`.

use super::Computed;
use super::deep::column_sums;
use super::linear::{Linear, floats};
use super::product::{Finish, Pack, View, product};
use super::weights::{Builder, Init, Parameter};
use crate::base::Result;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

/// Wang et al. 2021 (arXiv 2008.13535), equations 1 and 2.
#[derive(Debug)]
pub struct CrossLayer {
    /// `[rank, inputs]`, `Vᵀ` of the low-rank form; `None` in the full one.
    down: Option<Tensor>,
    /// `W`, or `U` of the low-rank form, with the bias.
    linear: Linear,
    /// Place of the first parameter among the network's.
    place: usize,
}

impl CrossLayer {
    /// Draws a layer for `inputs` numbers a row; rank 0 is the full matrix.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(builder: &mut Builder, name: &str, inputs: usize, rank: usize) -> Result<Self> {
        let place = builder.parameters.len();
        if rank == 0 {
            return Ok(Self { down: None, linear: builder.linear(name, inputs, inputs)?, place });
        }
        let start = Init::Normal((2.0 / (inputs + rank) as f64).sqrt());
        Ok(Self {
            down: Some(builder.parameter(&format!("{name}.down"), &[rank, inputs], start)?),
            linear: builder.linear(name, rank, inputs)?,
            place,
        })
    }

    /// The same layer without a graph.
    pub fn direct(&self) -> CrossPass {
        CrossPass { place: self.place, thin: self.down.is_some(), ..CrossPass::default() }
    }

    /// The next `x` from the first one, `start`, and the present one; all `[rows, inputs]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, start: &Tensor, x: &Tensor) -> Computed<Tensor> {
        let scaled = match &self.down {
            None => self.linear.forward(x)?,
            Some(down) => self.linear.forward(&x.matmul(&down.t()?)?)?,
        };
        multiply_add(start, &scaled, x)
    }
}

/// A cross layer without a graph, with its buffers.
#[derive(Debug, Default)]
pub struct CrossPass {
    place: usize,
    /// True in the low-rank form, whose first parameter is `Vᵀ`.
    thin: bool,
    /// `x_{l+1}`, `[rows, inputs]`.
    pub out: Vec<f32>,
    /// `Vᵀ x`, `[rows, rank]`.
    inner: Vec<f32>,
    of_inner: Vec<f32>,
    /// `W x + b`, `[rows, inputs]`, and the gradient by it.
    scaled: Vec<f32>,
    of_scaled: Vec<f32>,
    pack: Pack,
}

impl CrossPass {
    /// Writes `out` from the first `x` and the present one, both `[rows, inputs]`.
    pub fn forward(&mut self, weights: &[Parameter], start: &[f32], x: &[f32], inputs: usize) {
        let rows = x.len() / inputs.max(1);
        let Self { out, inner, scaled, pack, .. } = self;
        let mut at = self.place;
        let mut from = View::rows(x, inputs);
        let mut depth = inputs;
        if self.thin {
            let down = &weights[at].values;
            depth = down.len() / inputs.max(1);
            inner.resize(rows * depth, 0.0);
            let down = View::rows(down, inputs).transposed();
            product([rows, depth, inputs], from, down, inner, Finish::Set, pack);
            from = View::rows(inner, depth);
            at += 1;
        }
        scaled.resize(x.len(), 0.0);
        let weight = View::rows(&weights[at].values, depth).transposed();
        let finish = Finish::Bias(&weights[at + 1].values);
        product([rows, inputs, depth], from, weight, scaled, finish, pack);
        out.resize(x.len(), 0.0);
        let numbers = out.iter_mut().zip(start).zip(&*scaled).zip(x);
        numbers.for_each(|(((out, start), scaled), x)| *out = start * scaled + x);
    }

    /// From the gradient by `out`, in `flow`, to that by the present `x`, in place; adds that by the first `x` to
    /// `of_start` and writes that by the weights.
    pub fn backward(
        &mut self,
        weights: &[Parameter],
        (start, x): (&[f32], &[f32]),
        flow: &mut [f32],
        of_start: &mut [f32],
        dense: &mut [Vec<f32>],
    ) {
        let Self { inner, of_inner, scaled, of_scaled, pack, .. } = self;
        of_scaled.resize(scaled.len(), 0.0);
        let numbers = of_scaled.iter_mut().zip(of_start).zip(&*flow).zip(start.iter().zip(&*scaled));
        numbers.for_each(|(((of_scaled, of_start), flow), (start, scaled))| {
            *of_scaled = flow * start;
            *of_start += flow * scaled;
        });
        let at = self.place + usize::from(self.thin);
        let inputs = weights[at + 1].values.len();
        let rows = x.len() / inputs.max(1);
        column_sums(of_scaled, &mut dense[at + 1]);
        let by_row = View::rows(of_scaled, inputs);
        if !self.thin {
            let from = View::rows(x, inputs);
            let shape = [inputs, inputs, rows];
            product(shape, by_row.transposed(), from, &mut dense[at], Finish::Set, pack);
            let weight = View::rows(&weights[at].values, inputs);
            product([rows, inputs, inputs], by_row, weight, flow, Finish::Add, pack);
            return;
        }
        let rank = inner.len() / rows.max(1);
        let from = View::rows(inner, rank);
        product([inputs, rank, rows], by_row.transposed(), from, &mut dense[at], Finish::Set, pack);
        of_inner.resize(inner.len(), 0.0);
        let up = View::rows(&weights[at].values, rank);
        product([rows, rank, inputs], by_row, up, of_inner, Finish::Set, pack);
        let by_row = View::rows(of_inner, rank);
        let from = View::rows(x, inputs);
        product([rank, inputs, rows], by_row.transposed(), from, &mut dense[self.place], Finish::Set, pack);
        let down = View::rows(&weights[self.place].values, inputs);
        product([rows, inputs, rank], by_row, down, flow, Finish::Add, pack);
    }
}

/// `a b + c`, number by number, in one pass on the processor.
fn multiply_add(a: &Tensor, b: &Tensor, c: &Tensor) -> Computed<Tensor> {
    if a.device().is_cpu() {
        a.contiguous()?.apply_op3(&b.contiguous()?, &c.contiguous()?, MultiplyAdd)
    } else {
        (a * b)? + c
    }
}

struct MultiplyAdd;

impl CustomOp3 for MultiplyAdd {
    fn name(&self) -> &'static str {
        "multiply-add"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
        c: &CpuStorage,
        c_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let (a, b, c) = (floats(a, a_layout)?, floats(b, b_layout)?, floats(c, c_layout)?);
        let out = a.iter().zip(b).zip(c).map(|((a, b), c)| a * b + c).collect();
        Ok((CpuStorage::F32(out), a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _c: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Computed<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let through = |other: &Tensor| gradient.apply_op2_no_bwd(other, &Product);
        Ok((Some(through(b)?), Some(through(a)?), Some(gradient.clone())))
    }
}

/// Products without the graph that candle would keep of them.
struct Product;

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let (a, b) = (floats(a, a_layout)?, floats(b, b_layout)?);
        let out = a.iter().zip(b).map(|(a, b)| a * b).collect();
        Ok((CpuStorage::F32(out), a_layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};

    #[test]
    fn fused_equals_plain_and_its_gradient_agrees_with_central_differences() {
        let parts = [normals(&[4, 3], 1), normals(&[4, 3], 2), normals(&[4, 3], 3)];
        let fused = multiply_add(&parts[0], &parts[1], &parts[2]).unwrap();
        let plain = ((&parts[0] * &parts[1]).unwrap() + &parts[2]).unwrap();
        let gap = (fused - plain).unwrap().abs().unwrap().max_all().unwrap();
        assert!(gap.to_scalar::<f32>().unwrap() < 1e-6);
        agrees_with_differences(&parts, |t| multiply_add(&t[0], &t[1], &t[2]));
    }

    #[test]
    fn the_layer_s_gradient_agrees_with_central_differences_full_and_thin() {
        let (start, x) = (normals(&[4, 3], 1), normals(&[4, 3], 2));
        let bias = normals(&[3], 3);
        agrees_with_differences(&[start.clone(), x.clone(), normals(&[3, 3], 4), bias.clone()], |t| {
            let linear = Linear { weight: t[2].clone(), bias: t[3].clone() };
            CrossLayer { down: None, linear, place: 0 }.forward(&t[0], &t[1])
        });
        agrees_with_differences(&[start, x, normals(&[3, 2], 4), bias, normals(&[2, 3], 5)], |t| {
            let linear = Linear { weight: t[2].clone(), bias: t[3].clone() };
            CrossLayer { down: Some(t[4].clone()), linear, place: 0 }.forward(&t[0], &t[1])
        });
    }
}
