//! How is `x Wᵀ + b`, with relu or without, computed in one pass over memory, with its gradient?

use super::Computed;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// A dense layer: `weight` is `[outputs, inputs]`, `bias` is `[outputs]`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
}

impl Linear {
    /// `x Wᵀ + b` for `x` of `[rows, inputs]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        self.activated(x, Activation::None)
    }

    /// `relu(x Wᵀ + b)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward_relu(&self, x: &Tensor) -> Computed<Tensor> {
        self.activated(x, Activation::Relu)
    }

    /// One fused step on the processor, plain operations elsewhere.
    fn activated(&self, x: &Tensor, activation: Activation) -> Computed<Tensor> {
        if x.device().is_cpu() {
            x.contiguous()?.apply_op3(&self.weight, &self.bias, Fused { activation })
        } else {
            self.plain(x, activation)
        }
    }

    fn plain(&self, x: &Tensor, activation: Activation) -> Computed<Tensor> {
        let sum = x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?;
        match activation {
            Activation::None => Ok(sum),
            Activation::Relu => sum.relu(),
        }
    }
}

/// The numbers of a contiguous tensor on the processor.
pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Computed<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("a fused operation needs contiguous input"),
    }
}

/// Shows the numbers of tensors on the processor, without copying those that are contiguous.
pub(super) fn read<T, const N: usize>(
    tensors: [&Tensor; N],
    show: impl FnOnce([&[f32]; N]) -> T,
) -> Computed<T> {
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Computed<Vec<_>>>()?;
    let storages: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&storages) {
        let Storage::Cpu(storage) = &**storage else {
            bail!("a fused operation works on the processor");
        };
        *slice = floats(storage, layout)?;
    }
    Ok(show(slices))
}

/// Elements a thread takes at a time: a fixed number, so that sums do not depend on the threads.
const CHUNK: usize = 1 << 14;

/// What follows the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    None,
    Relu,
}

struct Fused {
    activation: Activation,
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "linear-bias-activation"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let (outputs, _) = weight_layout.shape().dims2()?;
        let transposed = weight_layout.transpose(0, 1)?;
        let product = x.matmul(weight, (1, rows, outputs, inputs), x_layout, &transposed)?;
        let CpuStorage::F32(mut product) = product else {
            bail!("a fused linear layer works on f32");
        };
        let bias = floats(bias, bias_layout)?;
        let rows_at_once = (CHUNK / outputs.max(1)).max(1);
        let floor = match self.activation {
            Activation::None => f32::NEG_INFINITY,
            Activation::Relu => 0.0,
        };
        product.par_chunks_mut(rows_at_once * outputs.max(1)).for_each(|chunk| {
            for row in chunk.chunks_mut(outputs.max(1)) {
                for (value, b) in row.iter_mut().zip(bias) {
                    *value = at_least(floor, *value + b);
                }
            }
        });
        Ok((CpuStorage::F32(product), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Computed<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let through = match self.activation {
            Activation::None => grad.contiguous()?,
            Activation::Relu => out.apply_op2_no_bwd(&grad.contiguous()?, &WherePositive)?,
        };
        let for_x = through.matmul(weight)?;
        let for_weight = through.t()?.matmul(x)?;
        let for_bias = through.apply_op1_no_bwd(&ColumnSum)?;
        Ok((Some(for_x), Some(for_weight), Some(for_bias)))
    }
}

/// The larger of the two; unlike `f32::max` it lets what is no number through, so that a broken weight is seen.
#[inline(always)]
fn at_least(floor: f32, value: f32) -> f32 {
    if value < floor { floor } else { value }
}

/// `grad` where the output was positive, else 0 (so relu'(0) = 0).
struct WherePositive;

impl CustomOp2 for WherePositive {
    fn name(&self) -> &'static str {
        "where-positive"
    }

    fn cpu_fwd(
        &self,
        out: &CpuStorage,
        out_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let (out, grad) = (floats(out, out_layout)?, floats(grad, grad_layout)?);
        let passed: Vec<f32> = out
            .par_iter()
            .zip(grad)
            .with_min_len(CHUNK)
            .map(|(&o, &g)| if o > 0.0 { g } else { 0.0 })
            .collect();
        Ok((CpuStorage::F32(passed), out_layout.shape().clone()))
    }
}

/// `[rows, columns]` -> `[columns]`, added in row order whatever the threads.
struct ColumnSum;

impl CustomOp1 for ColumnSum {
    fn name(&self) -> &'static str {
        "column-sum"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Computed<(CpuStorage, Shape)> {
        let (_, columns) = layout.shape().dims2()?;
        let mut sums = vec![0.0_f32; columns];
        for row in floats(x, layout)?.chunks(columns.max(1)) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        Ok((CpuStorage::F32(sums), columns.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};

    #[test]
    fn fused_equals_plain() {
        let x = normals(&[37, 5], 1);
        let layer = Linear { weight: normals(&[7, 5], 2), bias: normals(&[7], 3) };
        for activation in [Activation::None, Activation::Relu] {
            let gap =
                (layer.plain(&x, activation).unwrap() - layer.activated(&x, activation).unwrap()).unwrap();
            assert!(gap.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-5);
        }
    }

    #[test]
    fn fused_gradient_agrees_with_central_differences() {
        // Biases of 3 and -9 keep every unit off the kink, where differences have no meaning.
        let weight = (normals(&[4, 3], 5) * 0.3).unwrap();
        let bias = Tensor::new(&[3.0_f32, -9.0, 3.0, 3.0], &candle_core::Device::Cpu).unwrap();
        for activation in [Activation::None, Activation::Relu] {
            agrees_with_differences(&[normals(&[6, 3], 4), weight.clone(), bias.clone()], |t| {
                t[0].apply_op3(&t[1], &t[2], Fused { activation })
            });
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let layer = Linear { weight: normals(&[2, 1], 2), bias: normals(&[2], 3) };
        let x = Tensor::new(&[[f32::NAN]], &candle_core::Device::Cpu).unwrap();
        let out = layer.forward(&x).unwrap().to_vec2::<f32>().unwrap();
        assert!(out[0].iter().all(|value| value.is_nan()), "{out:?}");
    }
}
