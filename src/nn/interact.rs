//! Which pairs of fields go together? The second-order terms of factorisation machines, plain and field-aware.

use super::Computed;
use super::linear::floats;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};
use rayon::prelude::*;

/// Rows a thread takes at a time.
const ROWS: usize = 64;

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

/// Adds the same to `out` `[rows]`, of plain numbers `[rows, fields, width]`.
pub fn add_pairwise(embeddings: &[f32], fields: usize, width: usize, out: &mut [f32]) {
    let rows = embeddings.par_chunks((fields * width).max(1)).zip(out);
    rows.with_min_len(ROWS).for_each_init(
        || vec![0.0_f32; width],
        |sum, (row, out)| {
            add_fields(row, sum);
            let of_sum: f32 = sum.iter().map(|s| s * s).sum();
            let of_each: f32 = row.iter().map(|v| v * v).sum();
            *out += 0.5 * (of_sum - of_each);
        },
    );
}

/// Writes the gradient of [`add_pairwise`], `g (sum e - e_i)`.
pub fn pairwise_gradient(embeddings: &[f32], grad: &[f32], fields: usize, width: usize, out: &mut [f32]) {
    let size = (fields * width).max(1);
    let rows = out.par_chunks_mut(size).zip(embeddings.par_chunks(size)).zip(grad);
    rows.with_min_len(ROWS).for_each_init(
        || vec![0.0_f32; width],
        |sum, ((out, row), g)| {
            add_fields(row, sum);
            for (out, field) in out.chunks_mut(width.max(1)).zip(row.chunks(width.max(1))) {
                out.iter_mut().zip(field).zip(&*sum).for_each(|((out, v), s)| *out = g * (s - v));
            }
        },
    );
}

struct Pairwise;

impl CustomOp1 for Pairwise {
    fn name(&self) -> &'static str {
        "fm-pairwise"
    }

    fn cpu_fwd(&self, e: &CpuStorage, layout: &Layout) -> Computed<(CpuStorage, Shape)> {
        let (rows, fields, width) = layout.shape().dims3()?;
        let mut out = vec![0.0; rows];
        add_pairwise(floats(e, layout)?, fields, width, &mut out);
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
        let mut out = vec![0.0; e.len()];
        pairwise_gradient(e, grad, fields, width, &mut out);
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

/// `sum over pairs i < j of <v_i for j, v_j for i>`, as `[rows]`, for `[rows, fields, fields * width]`: each field's
/// vectors for all fields side by side (Juan et al. 2016, equation 4).
///
/// # Errors
/// A last dimension that is not fields times width.
pub fn field_pairs(vectors: &Tensor, width: usize) -> Computed<Tensor> {
    if vectors.device().is_cpu() {
        vectors.contiguous()?.apply_op1(FieldPairs { width })
    } else {
        let (rows, fields, _) = vectors.dims3()?;
        let all = vectors.reshape((rows, fields, fields, width))?;
        let upper: Vec<f32> =
            (0..fields * fields).map(|at| if at / fields < at % fields { 1.0 } else { 0.0 }).collect();
        let upper = Tensor::from_vec(upper, (fields, fields, 1), vectors.device())?;
        (all.broadcast_mul(&upper)? * all.transpose(1, 2)?)?.flatten_from(1)?.sum(1)
    }
}

/// Adds the same to `out` `[rows]`, of plain numbers `[rows, fields, fields * width]`.
pub fn add_field_pairs(vectors: &[f32], fields: usize, width: usize, out: &mut [f32]) {
    let rows = vectors.par_chunks((fields * fields * width).max(1)).zip(out);
    rows.with_min_len(ROWS).for_each(|(row, out)| {
        for i in 0..fields {
            for j in i + 1..fields {
                let of_i = &row[(i * fields + j) * width..][..width];
                let of_j = &row[(j * fields + i) * width..][..width];
                *out += of_i.iter().zip(of_j).map(|(a, b)| a * b).sum::<f32>();
            }
        }
    });
}

/// Writes the gradient of [`add_field_pairs`]: a row with its fields exchanged times `g`, 0 for a field with itself.
pub fn field_pairs_gradient(vectors: &[f32], grad: &[f32], fields: usize, width: usize, out: &mut [f32]) {
    let size = (fields * fields * width).max(1);
    let rows = out.par_chunks_mut(size).zip(vectors.par_chunks(size)).zip(grad);
    rows.with_min_len(ROWS).for_each(|((out, row), g)| {
        for i in 0..fields {
            out[(i * fields + i) * width..][..width].fill(0.0);
            for j in (0..fields).filter(|j| *j != i) {
                let from = &row[(j * fields + i) * width..][..width];
                let to = &mut out[(i * fields + j) * width..][..width];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = g * from);
            }
        }
    });
}

struct FieldPairs {
    width: usize,
}

impl FieldPairs {
    fn sizes(&self, layout: &Layout) -> Computed<(usize, usize)> {
        let (rows, fields, all) = layout.shape().dims3()?;
        if all != fields * self.width {
            candle_core::bail!("field-aware pairs need {} numbers a field, not {all}", fields * self.width);
        }
        Ok((rows, fields))
    }
}

impl CustomOp1 for FieldPairs {
    fn name(&self) -> &'static str {
        "ffm-pairs"
    }

    fn cpu_fwd(&self, v: &CpuStorage, layout: &Layout) -> Computed<(CpuStorage, Shape)> {
        let (rows, fields) = self.sizes(layout)?;
        let mut out = vec![0.0; rows];
        add_field_pairs(floats(v, layout)?, fields, self.width, &mut out);
        Ok((CpuStorage::F32(out), rows.into()))
    }

    fn bwd(&self, v: &Tensor, _out: &Tensor, grad: &Tensor) -> Computed<Option<Tensor>> {
        let gradient = FieldPairsGradient(Self { width: self.width });
        Ok(Some(v.apply_op2_no_bwd(&grad.contiguous()?, &gradient)?))
    }
}

/// `d/d(v_i for j) = g (v_j for i)`: the row with its fields exchanged, 0 for a field with itself.
struct FieldPairsGradient(FieldPairs);

impl CustomOp2 for FieldPairsGradient {
    fn name(&self) -> &'static str {
        "ffm-pairs-gradient"
    }

    fn cpu_fwd(
        &self,
        v: &CpuStorage,
        layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let (_, fields) = self.0.sizes(layout)?;
        let (v, grad) = (floats(v, layout)?, floats(grad, grad_layout)?);
        let mut out = vec![0.0; v.len()];
        field_pairs_gradient(v, grad, fields, self.0.width, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
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

    #[test]
    fn field_pairs_equal_the_double_loop() {
        let (rows, fields, width) = (5, 4, 3);
        let tensor = normals(&[rows, fields, fields * width], 1);
        let got = field_pairs(&tensor, width).unwrap().to_vec1::<f32>().unwrap();
        for (v, got) in tensor.to_vec3::<f32>().unwrap().iter().zip(got) {
            let mut want = 0.0;
            for i in 0..fields {
                for j in i + 1..fields {
                    want += (0..width).map(|k| v[i][j * width + k] * v[j][i * width + k]).sum::<f32>();
                }
            }
            assert!((want - got).abs() < 1e-4, "{want} {got}");
        }
        assert!(field_pairs(&tensor, 2).is_err());
    }

    #[test]
    fn field_pairs_gradient_agrees_with_central_differences() {
        agrees_with_differences(&[normals(&[3, 3, 6], 2)], |t| field_pairs(&t[0], 2));
    }
}
