//! The one integration binary: one link on a small machine. Modules by subject.

mod models;
mod tidy;
