//! The one integration binary: one link on a small machine. Modules by subject.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod adcopy;
mod checkpoints;
mod copies;
mod coverage;
mod data_panel;
mod devices;
mod direct;
mod drift_panel;
mod embeddings;
mod evidence;
mod exact_auctions;
mod exact_market;
mod experiment_panel;
mod explore;
mod failings;
mod fuzz;
mod gallery_panel;
mod headless;
mod ingest;
mod inspect_panels;
mod language;
mod layouts;
mod learning;
mod market;
mod market_gpu;
mod market_models;
mod market_support;
mod meaning;
mod models;
mod prediction;
mod replay;
mod rows_panel;
mod scenarios;
mod search;
mod segments_panel;
mod serve;
mod slates;
mod slots_panel;
mod sources;
mod story;
mod studio_panel;
mod subjects_panel;
mod support;
mod tidy;
mod training_panel;
mod trials;
mod ways;
mod whole_window;
mod window;
mod writing;
