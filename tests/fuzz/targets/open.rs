//! Fuzz target: does any file break the opening of a log?
#![no_main]

#[path = "checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::opens(bytes));
