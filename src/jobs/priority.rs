//! Who gets a core when both want it? The window: threads that work behind it step back.
//!
//! On a software adapter drawing needs the cores that training would fill. A thread that has stepped back still
//! gets every cycle that the window leaves, so training alone is as fast as before.

use std::sync::{Once, OnceLock};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

/// Of 99: niceness 10 on Linux (a tenth of the weight of a thread at rest), "lowest" on Windows.
const BEHIND_THE_WINDOW: u8 = 24;
/// Of 99: niceness 19 on Linux (a seventh of the weight of a training's thread), "idle" on Windows.
const BEHIND_TRAINING: u8 = 0;

/// Puts the calling thread, and on Linux those that it starts later, behind the threads that draw.
///
/// A system that refuses leaves the thread as it is: the work is right either way, only less smooth.
pub fn step_back() {
    step_behind(BEHIND_THE_WINDOW);
}

/// Puts the calling thread behind those that train, too: what it makes is read word by word, and loses little when it
/// comes later.
pub fn step_behind_training() {
    step_behind(BEHIND_TRAINING);
}

fn step_behind(priority: u8) {
    if let Ok(value) = ThreadPriorityValue::try_from(priority) {
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
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let started = || {
        let name = |place| format!("adloupe-frame-{place}");
        rayon::ThreadPoolBuilder::new().num_threads(cores()).thread_name(name).build().ok()
    };
    match POOL.get_or_init(started) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Starts parallel work for the frames that come, on threads of its own that have stepped back: beside a training, whose
/// queue they do not share, and after the frame that is being drawn. On half of the cores, for a software adapter draws on
/// all.
pub fn start_beside(work: impl FnOnce() + Send + 'static) {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let started = || {
        let builder = rayon::ThreadPoolBuilder::new().num_threads((cores() / 2).max(1));
        let builder = builder.start_handler(|_| step_back());
        builder.thread_name(|place| format!("adloupe-beside-{place}")).build().ok()
    };
    match POOL.get_or_init(started) {
        Some(pool) => pool.spawn(work),
        None => rayon::spawn(work),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
            let training = niceness();
            super::step_behind_training();
            (training, niceness())
        });
        let (training, writing) = inside.unwrap().join().unwrap();
        assert!(training > before.min(5) && writing > training, "{before} -> {training} -> {writing}");
        assert_eq!(niceness(), before);
    }
}
