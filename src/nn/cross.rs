//! How does a layer multiply fields? The cross layer of DCN v2, `x_0 (W x + b) + x`.

use super::Computed;
use super::linear::{Linear, floats};
use super::weights::{Builder, Init};
use crate::base::Result;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

/// Wang et al. 2021 (arXiv 2008.13535), equations 1 and 2.
#[derive(Debug)]
pub struct CrossLayer {
    /// `[rank, inputs]`, `Vᵀ` of the low-rank form; `None` in the full one.
    down: Option<Tensor>,
    /// `W`, or `U` of the low-rank form, with the bias.
    linear: Linear,
}

impl CrossLayer {
    /// Draws a layer for `inputs` numbers a row; rank 0 is the full matrix.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(builder: &mut Builder, name: &str, inputs: usize, rank: usize) -> Result<Self> {
        if rank == 0 {
            return Ok(Self { down: None, linear: builder.linear(name, inputs, inputs)? });
        }
        let start = Init::Normal((2.0 / (inputs + rank) as f64).sqrt());
        Ok(Self {
            down: Some(builder.parameter(&format!("{name}.down"), &[rank, inputs], start)?),
            linear: builder.linear(name, rank, inputs)?,
        })
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
            CrossLayer { down: None, linear }.forward(&t[0], &t[1])
        });
        agrees_with_differences(&[start, x, normals(&[3, 2], 4), bias, normals(&[2, 3], 5)], |t| {
            let linear = Linear { weight: t[2].clone(), bias: t[3].clone() };
            CrossLayer { down: Some(t[4].clone()), linear }.forward(&t[0], &t[1])
        });
    }
}
