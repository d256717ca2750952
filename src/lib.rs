//! adloupe, a desktop workbench for ad targeting.
//!
//! # The layers
//! Imports go down only; modules on one line do not see each other (kept by `tests/it/tidy.rs`).
//! ```text
//! 10  main  headless                  front ends: a window and a command line over one core
//!  9  ui                              egui, eframe, egui_plot, rfd live here and nowhere else
//!  8  session                         state + commands; no egui, testable without a window
//!  7  tasks                           one background operation per file: request -> output
//!  6  insight   market      adcopy    questions asked of data and models (market uses auctions)
//!  5  train                           the only place that updates weights
//!  4  models                          architectures, one per file
//!  3  nn                              candle pieces that candle-nn lacks
//!  2  data      auctions              bytes -> arrays (polars only in data); pricing rules
//!     language  maps                 what a text says: words, vectors, facts, local language models;
//!                                    vectors -> pictures: neighbours, PCA, t-SNE, UMAP, clusters
//!  1  domain    metrics     jobs  gpu nouns; pure maths; job machinery (crossbeam only here); wgpu passes
//!  0  base                            failures, parameters, seeded randomness, files
//! ```

pub mod adcopy;
pub mod auctions;
pub mod base;
pub mod data;
pub mod domain;
pub mod gpu;
pub mod headless;
pub mod insight;
pub mod jobs;
pub mod language;
pub mod maps;
pub mod market;
pub mod metrics;
pub mod models;
pub mod nn;
pub mod session;
pub mod tasks;
pub mod train;
pub mod ui;
