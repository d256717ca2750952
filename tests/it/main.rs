//! The one integration binary: one link on a small machine. Modules by subject.

mod market;
mod models;
mod tidy;
