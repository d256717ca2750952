//! Which pairs of fields go together? The factorisation machine's second-order term.

use super::Computed;
use super::linear::floats;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};

/// `sum over pairs i < j of <e_i, e_j>` for `[rows, fields, width]` embeddings, as `[rows]`.
///
/// Computed as `(|sum e|² - sum |e|²) / 2` in one pass (Rendle 2010, lemma 3.1).
///
/// # Errors
/// Input that has not three dimensions.
pub fn pairwise(embeddings: &Tensor) -> Computed<Tensor> {
    if embeddings.device().is_cpu() {
        embeddings.contiguous()?.apply_op1(Pairwise)
    } else {
        let of_sum = embeddings.sum(1)?.sqr()?;
        let of_each = embeddings.sqr()?.sum(1)?;
        (of_sum - of_each)?.sum(1)? * 0.5
    }
}

struct Pairwise;

impl CustomOp1 for Pairwise {
    fn name(&self) -> &'static str {
        "fm-pairwise"
    }

    fn cpu_fwd(&self, e: &CpuStorage, layout: &Layout) -> Computed<(CpuStorage, Shape)> {
        let (rows, fields, width) = layout.shape().dims3()?;
        let mut sum = vec![0.0_f32; width];
        let out = (floats(e, layout)?)
            .chunks((fields * width).max(1))
            .map(|row| {
                add_fields(row, &mut sum);
                let of_sum: f32 = sum.iter().map(|s| s * s).sum();
                let of_each: f32 = row.iter().map(|v| v * v).sum();
                0.5 * (of_sum - of_each)
            })
            .collect();
        Ok((CpuStorage::F32(out), rows.into()))
    }

    fn bwd(&self, e: &Tensor, _out: &Tensor, grad: &Tensor) -> Computed<Option<Tensor>> {
        Ok(Some(e.apply_op2_no_bwd(&grad.contiguous()?, &PairwiseGradient)?))
    }
}

/// `d/de_i = g (sum e - e_i)`.
struct PairwiseGradient;

impl CustomOp2 for PairwiseGradient {
    fn name(&self) -> &'static str {
        "fm-pairwise-gradient"
    }

    fn cpu_fwd(
        &self,
        e: &CpuStorage,
        layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let (_, fields, width) = layout.shape().dims3()?;
        let (e, grad) = (floats(e, layout)?, floats(grad, grad_layout)?);
        let mut sum = vec![0.0_f32; width];
        let mut out = Vec::with_capacity(e.len());
        for (row, g) in e.chunks((fields * width).max(1)).zip(grad) {
            add_fields(row, &mut sum);
            for field in row.chunks(width.max(1)) {
                out.extend(field.iter().zip(&sum).map(|(v, s)| g * (s - v)));
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

fn add_fields(row: &[f32], sum: &mut [f32]) {
    sum.fill(0.0);
    for field in row.chunks(sum.len().max(1)) {
        for (s, v) in sum.iter_mut().zip(field) {
            *s += v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};

    #[test]
    fn equals_the_sum_over_pairs() {
        let (rows, fields, width) = (5, 4, 3);
        let tensor = normals(&[rows, fields, width], 1);
        let e = tensor.to_vec3::<f32>().unwrap();
        let got = pairwise(&tensor).unwrap().to_vec1::<f32>().unwrap();
        for (row, got) in e.iter().zip(got) {
            let mut want = 0.0;
            for i in 0..fields {
                for j in i + 1..fields {
                    want += row[i].iter().zip(&row[j]).map(|(a, b)| a * b).sum::<f32>();
                }
            }
            assert!((want - got).abs() < 1e-4, "{want} {got}");
        }
    }

    #[test]
    fn gradient_agrees_with_central_differences() {
        agrees_with_differences(&[normals(&[3, 4, 2], 2)], |t| pairwise(&t[0]));
    }
}
