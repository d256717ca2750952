//! How many points a second become a picture without a graphics processor? `cargo bench --bench points`

use adloupe::headless::bench;
use adloupe::jobs::JobContext;
use std::io::Write;

fn main() -> adloupe::base::Result<()> {
    let row = bench::points(&JobContext::detached())?;
    // Nobody reads standard output when this fails.
    let _ = write!(std::io::stdout(), "{}", bench::line(&row));
    Ok(())
}
