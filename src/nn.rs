//! What does candle lack for click models? Seeded weights, sparse tables, safe losses, and a few fused steps.
//!
//! candle 0.11.1 has traps that train silently wrong (its fused layer norm and last-dim softmax pass no gradient
//! back, its logit loss is NaN from |logit| 17 on, its CPU generator cannot be seeded), so those pieces are ours.
//! Embedding [`tables`] live outside the graph: a batch gathers its rows into a leaf, and only those rows are
//! updated, so that a step costs the same with a hundred values or a hundred million. Functions that only
//! compose candle operations answer with candle's error ([`Computed`]); `models::Network` turns it into a Failure.

pub mod adapter;
pub mod attention;
pub mod cells;
pub mod cross;
pub mod deep;
pub mod device;
pub mod dropout;
pub mod factors;
pub mod field_input;
pub mod fields;
pub mod gcn;
pub mod graph_filter;
pub mod heads;
pub mod histories;
pub mod in_batch;
pub mod interact;
pub mod inverse;
pub mod irgan;
pub mod light_gcn;
pub mod linear;
pub mod losses;
pub mod mlp;
pub mod neighbours;
pub mod next_item;
pub mod normalise;
pub mod numbers;
pub mod optimiser;
pub mod packed;
pub mod probe;
pub mod radix;
pub mod rated;
pub mod recurrent;
pub mod row_vectors;
pub mod stored;
pub mod tables;
pub mod transformer;
pub mod trees;
mod vector;
pub mod weights;

pub use crate::base::product;

/// The result of candle operations that carry no words for a person yet.
pub type Computed<T> = candle_core::Result<T>;

/// What a forward pass is for.
#[derive(Debug)]
pub enum Pass<'a> {
    /// Scores: nothing is random.
    Predict,
    /// A training step; dropout draws from this stream.
    Train(&'a mut crate::base::rng::Rng),
    /// Scores, with the layers' own numbers reported.
    Look(&'a mut probe::Probe),
}

#[cfg(test)]
pub(crate) mod check {
    //! Gradients against central differences, for every operation that has its own backward.

    use super::Computed;
    use candle_core::{Device, Tensor, Var};

    /// Compares the gradient of `sum(f(inputs) * probe)` with central differences, coordinate by coordinate.
    pub(crate) fn agrees_with_differences(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Computed<Tensor>) {
        let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let out = f(&tensors).unwrap();
        let probe = probe(out.elem_count());
        let weighed = |out: &Tensor| -> f64 {
            let values = out.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values.iter().zip(&probe).map(|(v, p)| f64::from(*v) * f64::from(*p)).sum()
        };
        let seed = Tensor::from_vec(probe.clone(), out.dims(), &Device::Cpu).unwrap();
        let grads = (out * seed).unwrap().sum_all().unwrap().backward().unwrap();
        let step = 1e-2_f32;
        for (place, var) in vars.iter().enumerate() {
            let grad = grads.get(var).expect("no gradient").flatten_all().unwrap();
            let grad = grad.to_vec1::<f32>().unwrap();
            let base = tensors[place].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for i in 0..base.len() {
                let at = |delta: f32| {
                    let mut moved = base.clone();
                    moved[i] += delta;
                    let mut inputs: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
                    inputs[place] = Tensor::from_vec(moved, tensors[place].dims(), &Device::Cpu).unwrap();
                    weighed(&f(&inputs).unwrap())
                };
                let numeric = (at(step) - at(-step)) / f64::from(2.0 * step);
                assert!(
                    (numeric - f64::from(grad[i])).abs() < 2e-3 + 1e-2 * numeric.abs(),
                    "input {place}, coordinate {i}: {numeric} by differences, {} by backward",
                    grad[i]
                );
            }
        }
    }

    /// A fixed draw of standard normals in the given shape.
    pub(crate) fn normals(shape: &[usize], seed: u64) -> Tensor {
        let mut rng = crate::base::rng::Rng::named(seed, "test");
        let n = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|_| rng.normal() as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn probe(n: usize) -> Vec<f32> {
        let mut rng = crate::base::rng::Rng::named(99, "probe");
        (0..n).map(|_| rng.normal() as f32).collect()
    }
}
