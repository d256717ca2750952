//! What may every layer use? Failures, parameters and seeded randomness; and sums at the machine's full rate.

pub mod calendar;
pub mod eigen;
pub mod eighths;
pub mod failure;
pub mod files;
pub mod numbers;
pub mod params;
pub mod product;
pub mod resources;
pub mod rng;
pub mod simd;

pub use failure::{Failure, Result};
pub use params::Params;
