//! How many rows a second become arrays? `cargo bench --bench encode`

use adloupe::headless::bench;
use adloupe::jobs::JobContext;
use std::io::Write;

/// The allocator of the program itself: it decides the speed of training.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> adloupe::base::Result<()> {
    let context = JobContext::detached();
    let row = bench::encode(&bench::sample_log(20_000, &context)?, &context)?;
    // Nobody reads standard output when this fails.
    let _ = write!(std::io::stdout(), "{}", bench::line(&row));
    Ok(())
}
