//! How is overfitting to single units discouraged? Dropout whose luck comes from a seeded stream.

use super::{Computed, Pass};
use crate::base::rng::{Rng, mix};
use candle_core::Tensor;
use rayon::prelude::*;

/// Numbers that one stream decides on: a fixed number, so that the luck does not depend on the threads.
const CHUNK: usize = 1 << 14;

/// In training, zeroes each number with probability `rate` and divides the rest by `1 - rate`; else the identity.
///
/// # Errors
/// The device is out of memory.
pub fn dropout(x: &Tensor, rate: f64, pass: &mut Pass<'_>) -> Computed<Tensor> {
    let mut mask = vec![1.0; x.elem_count()];
    if in_place(&mut mask, rate, pass) == 1.0 {
        return Ok(x.clone());
    }
    x * Tensor::from_vec(mask, x.dims(), x.device())?
}

/// The same on plain numbers, with the same luck. Answers the factor of those that were kept.
pub fn in_place(x: &mut [f32], rate: f64, pass: &mut Pass<'_>) -> f32 {
    let Pass::Train(rng) = pass else {
        return 1.0;
    };
    if rate <= 0.0 {
        return 1.0;
    }
    let kept = (1.0 / (1.0 - rate)) as f32;
    let seed = rng.bits();
    x.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, x)| {
        let mut rng = Rng::named(mix(seed ^ chunk as u64), "dropout");
        x.iter_mut().for_each(|value| *value = if rng.chance(rate) { 0.0 } else { *value * kept });
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use candle_core::{DType, Device};

    #[test]
    fn keeps_the_mean_repeats_by_seed_and_rests_in_prediction() {
        let x = Tensor::ones((100, 100), DType::F32, &Device::Cpu).unwrap();
        let draw = |seed| {
            let mut rng = Rng::named(seed, "dropout");
            let out = dropout(&x, 0.25, &mut Pass::Train(&mut rng)).unwrap();
            out.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let mean = draw(1).iter().sum::<f32>() / 1e4;
        // Standard error of the mean: sqrt(0.25 / 0.75) / 100 = 0.0058.
        assert!((mean - 1.0).abs() < 0.023, "{mean}");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let still = dropout(&x, 0.25, &mut Pass::Predict).unwrap();
        assert_eq!(still.sum_all().unwrap().to_scalar::<f32>().unwrap(), 1e4);
    }
}
