//! Who gets a core when both want it? The window: threads that work behind it step back.
//!
//! On a software adapter drawing needs the cores that training would fill. A thread that has stepped back still
//! gets every cycle that the window leaves, so training alone is as fast as before.

use std::sync::{Once, OnceLock};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

/// Of 99: niceness 10 on Linux (a tenth of the weight of a thread at rest), "lowest" on Windows.
const BEHIND_THE_WINDOW: u8 = 24;

/// Puts the calling thread, and on Linux those that it starts later, behind the threads that draw.
///
/// A system that refuses leaves the thread as it is: the work is right either way, only less smooth.
pub fn step_back() {
    if let Ok(value) = ThreadPriorityValue::try_from(BEHIND_THE_WINDOW) {
        // Nobody is helped by a message: the window works either way.
        let _ = set_current_thread_priority(ThreadPriority::Crossplatform(value));
    }
}

/// Starts rayon's shared pool with threads that have stepped back. Later calls change nothing.
pub fn shared_pool_steps_back() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|place| format!("adloupe-pool-{place}"))
            .start_handler(|_| step_back());
        // It fails only where the pool runs already, which then does the same work at another priority.
        let _ = pool.build_global();
    });
}

/// Runs parallel work that a frame waits for on threads of its own, which have not stepped back: in the shared pool it
/// would queue behind a training. Where the system gives no more threads, it runs in the shared pool.
pub fn in_front<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match front_pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Starts parallel work on the same threads, for the frames that come.
pub fn start_in_front(work: impl FnOnce() + Send + 'static) {
    match front_pool() {
        Some(pool) => pool.spawn(work),
        None => rayon::spawn(work),
    }
}

fn front_pool() -> Option<&'static rayon::ThreadPool> {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let started = || {
        let name = |place| format!("adloupe-frame-{place}");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        rayon::ThreadPoolBuilder::new().num_threads(cores).thread_name(name).build().ok()
    };
    POOL.get_or_init(started).as_ref()
}

#[cfg(test)]
mod tests {
    /// The nice value of the calling thread: field 19 of its stat file (proc(5)).
    #[cfg(target_os = "linux")]
    fn niceness() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        after_name.split(' ').nth(16).unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_thread_that_steps_back_is_nicer() {
        let before = niceness();
        let thread = std::thread::Builder::new().name("test".to_owned());
        let inside = thread.spawn(|| {
            super::step_back();
            niceness()
        });
        let inside = inside.unwrap().join().unwrap();
        assert!(inside > before.min(5), "{before} -> {inside}");
        assert_eq!(niceness(), before);
    }
}
