//! How good, how sure? Pure maths on slices; every function says its formula and its source.

pub mod ab_test;
pub mod accountant;
pub mod beta_binomial;
pub mod bootstrap;
pub mod calibration;
pub mod calibrator;
pub mod detectors;
pub mod drift;
pub mod fairness;
pub mod gains;
pub mod grouped;
pub mod measures;
pub mod noise;
pub mod off_policy;
pub mod paired;
pub mod raking;
pub mod ranking;
pub mod rates;
pub mod ratio;
pub mod significance;
pub mod slates;
pub mod streamed;
pub mod threshold;
pub mod top_k;
pub mod uplift;

pub use measures::{Differences, Measures, Outcomes};
pub use rates::{Estimate, Rate};

#[cfg(test)]
mod test_data {
    /// 500 rows with ties: scores k/128, labels and weights from fixed congruences (same rule in numpy).
    pub fn scored() -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let score = |i: u32| ((i * 389) % 1024 / 8) as f32 / 128.0;
        let label = |i: u32| f32::from(f64::from((i * 7919) % 997) / 997.0 < f64::from(score(i)).powi(2));
        let rows = 0..500u32;
        (
            rows.clone().map(score).collect(),
            rows.clone().map(label).collect(),
            rows.map(|i| (1 + i % 3) as f32).collect(),
        )
    }

    /// 500 rows with distinct scores `((389 i) mod 1024 + 0.5) / 1024` and the same kind of labels.
    pub fn distinct() -> (Vec<f32>, Vec<f32>) {
        let score = |i: u32| (((i * 389) % 1024) as f32 + 0.5) / 1024.0;
        let label = |i: u32| f32::from(f64::from((i * 7919) % 997) / 997.0 < f64::from(score(i)).powi(2));
        ((0..500u32).map(score).collect(), (0..500u32).map(label).collect())
    }

    pub fn close(value: Option<f64>, expected: f64, tolerance: f64) {
        let value = value.unwrap();
        assert!((value - expected).abs() < tolerance, "{value} against {expected}");
    }
}
