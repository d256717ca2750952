//! How is layer normalisation computed in one pass each way?

use super::EPSILON;
use crate::nn::Computed;
use crate::nn::linear::{floats, read};
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor, bail};
use rayon::prelude::*;

/// Rows a thread takes at a time: a fixed number, so that sums do not depend on the threads.
const ROWS: usize = 256;

/// Takes `x` `[.., width]`, gain `[width]` and bias `[width]`.
pub(super) struct LayerNorm;

/// `(mean, 1 / sqrt(variance + epsilon))` of a row.
fn moments(row: &[f32]) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = row.iter().sum::<f32>() / n;
    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
    (mean, 1.0 / (variance + EPSILON as f32).sqrt())
}

/// One row back: from the output's gradient in `flow` to that of `x`; gain's and bias' are added to `sums`.
///
/// With `y = gain s + bias` and `s = (x - mean) / deviation`: `dx = (ds - mean(ds) - s mean(ds s)) / deviation`.
fn row_back(
    x: &[f32],
    gain: &[f32],
    flow: &[f32],
    to: &mut [f32],
    (gains, biases): (&mut [f32], &mut [f32]),
) {
    let (mean, inverse) = moments(x);
    let (mut sum, mut along) = (0.0, 0.0);
    for (k, to) in to.iter_mut().enumerate() {
        let scaled = (x[k] - mean) * inverse;
        let through = flow[k] * gain[k];
        gains[k] += flow[k] * scaled;
        biases[k] += flow[k];
        sum += through;
        along += through * scaled;
        *to = through;
    }
    let n = x.len() as f32;
    for (to, x) in to.iter_mut().zip(x) {
        *to = inverse * (*to - sum / n - (x - mean) * inverse * along / n);
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let (x, gain, bias) = (floats(x, x_layout)?, floats(gain, gain_layout)?, floats(bias, bias_layout)?);
        let width = gain.len();
        if width == 0 || x_layout.dims().last() != Some(&width) {
            bail!("layer norm of width {width} does not fit {:?}", x_layout.dims());
        }
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).for_each(|(out, x)| {
            for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                let (mean, inverse) = moments(x);
                for (k, out) in out.iter_mut().enumerate() {
                    *out = gain[k] * (x[k] - mean) * inverse + bias[k];
                }
            }
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        bias: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Computed<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = gain.elem_count();
        let (for_x, gains, biases) = read([x, gain, gradient], |[x, gain, flow]| {
            let mut for_x = vec![0.0; x.len()];
            let runs: Vec<(Vec<f32>, Vec<f32>)> = for_x
                .par_chunks_mut(ROWS * width)
                .zip(x.par_chunks(ROWS * width))
                .zip(flow.par_chunks(ROWS * width))
                .map(|((to, x), flow)| {
                    let (mut gains, mut biases) = (vec![0.0; width], vec![0.0; width]);
                    let rows = to.chunks_exact_mut(width).zip(x.chunks_exact(width));
                    for ((to, x), flow) in rows.zip(flow.chunks_exact(width)) {
                        row_back(x, gain, flow, to, (&mut gains, &mut biases));
                    }
                    (gains, biases)
                })
                .collect();
            let (mut gains, mut biases) = (vec![0.0; width], vec![0.0; width]);
            for run in &runs {
                gains.iter_mut().zip(&run.0).for_each(|(to, from)| *to += from);
                biases.iter_mut().zip(&run.1).for_each(|(to, from)| *to += from);
            }
            (for_x, gains, biases)
        })?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.dims(), &Device::Cpu).map(Some);
        Ok((tensor(for_x, x)?, tensor(gains, gain)?, tensor(biases, bias)?))
    }
}
