//! How many examples a second does each model train on? `cargo bench --bench train`

use adloupe::data::{EncodeOptions, dataset};
use adloupe::headless::bench;
use adloupe::jobs::JobContext;
use adloupe::models::MODELS;
use std::io::Write;

/// The allocator of the program itself: it decides the speed of training.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> adloupe::base::Result<()> {
    let context = JobContext::detached();
    let log = bench::sample_log(20_000, &context)?;
    let dataset = dataset::prepare(&log, &EncodeOptions::default(), &context)?;
    for kind in MODELS {
        let row = bench::train(kind.id(), &dataset, &context)?;
        // Nobody reads standard output when this fails.
        let _ = write!(std::io::stdout(), "{}", bench::line(&row));
    }
    Ok(())
}
