//! How is overfitting to single units discouraged? Dropout whose luck comes from a seeded stream.

use super::{Computed, Pass};
use candle_core::Tensor;

/// In training, zeroes each number with probability `rate` and divides the rest by `1 - rate`; else the identity.
///
/// # Errors
/// The device is out of memory.
pub fn dropout(x: &Tensor, rate: f64, pass: &mut Pass<'_>) -> Computed<Tensor> {
    let Pass::Train(rng) = pass else {
        return Ok(x.clone());
    };
    if rate <= 0.0 {
        return Ok(x.clone());
    }
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mask: Vec<f32> = (0..x.elem_count()).map(|_| if rng.chance(rate) { 0.0 } else { kept }).collect();
    x * Tensor::from_vec(mask, x.dims(), x.device())?
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
