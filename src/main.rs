//! Reads the arguments, then opens the window or answers on the terminal.

use adloupe::headless::{self, Invocation};
use adloupe::jobs::priority;
use std::process::ExitCode;

/// glibc returns big blocks to the kernel and page-faults them in again at every training step; mimalloc
/// keeps them: 1.3 to 2.7 times the training speed on the same machine.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let invocation = Invocation::from_arguments();
    let beside_window = invocation.draws_window();
    limit_threads(beside_window);
    if beside_window {
        priority::shared_pool_steps_back();
    }
    headless::main(invocation)
}

/// Leaves a core to the window, and keeps candle's spinning second pool from fighting for the rest.
#[allow(
    unsafe_code,
    reason = "set_var is unsafe since edition 2024; there is no other way to tell these crates"
)]
fn limit_threads(beside_window: bool) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if beside_window { cores.saturating_sub(1).max(1) } else { cores };
    for (name, threads) in [
        ("RAYON_NUM_THREADS", workers),
        ("POLARS_MAX_THREADS", workers),
        // candle's elementwise pool spins at a barrier: one thread is faster as soon as anything else runs.
        ("CANDLE_NUM_THREADS", 1),
    ] {
        if std::env::var_os(name).is_none() {
            // SAFETY: the first statement of main after reading the arguments; no other thread exists yet.
            unsafe { std::env::set_var(name, threads.to_string()) };
        }
    }
}
