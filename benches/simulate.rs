//! How many auctions a second? `cargo bench --bench simulate`

use adloupe::headless::bench;
use adloupe::jobs::JobContext;
use std::io::Write;

fn main() -> adloupe::base::Result<()> {
    let row = bench::auctions(&JobContext::detached())?;
    // Nobody reads standard output when this fails.
    let _ = write!(std::io::stdout(), "{}", bench::line(&row));
    Ok(())
}
