//! Fuzz target: does any text break what a person or a recipe may write?
#![no_main]

#[path = "checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::parses(bytes));
