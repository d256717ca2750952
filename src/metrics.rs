//! How good, how sure? Pure maths on slices; every function says its formula and its source.

pub mod rates;

pub use rates::{Estimate, Rate};
