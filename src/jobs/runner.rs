//! Who runs the jobs, in which order, and what if one panics?
//!
//! One thread per [`Lane`], named after it: `gpu` for training and scoring (its jobs queue, so two
//! trainings never fight for the cores), `cpu` for short answers, `io` for files, `watch` for files that grow. A
//! panic inside a job becomes its [`Failure`]; the thread lives on.

use super::context::JobContext;
use super::handle::{JobHandle, JobId, Progress};
use super::priority;
use crate::base::{Failure, Result};
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A request with a typed answer.
pub trait Job: Send + 'static {
    /// What the job answers with.
    type Output: Send + 'static;

    /// What it is called in the window: "Train deep_fm".
    fn name(&self) -> String;

    /// Which thread runs it.
    fn lane(&self) -> Lane;

    /// Does the work; calls `context.check()` at least once a batch.
    ///
    /// # Errors
    /// Whatever went wrong, told for a person.
    fn run(self: Box<Self>, context: &JobContext) -> Result<Self::Output>;

    /// What it answers when it was cancelled before it began; a job that holds something precious hands it back.
    ///
    /// # Errors
    /// [`Failure::cancelled`], unless there is something to hand back.
    fn never_began(self: Box<Self>) -> Result<Self::Output> {
        Err(Failure::cancelled())
    }
}

/// A thread of the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Training and scoring: one at a time.
    Gpu,
    /// Short answers that a person waits for: segments, curves, simulation.
    Cpu,
    /// Files.
    Io,
    /// Waits for files to grow.
    Watch,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Gpu, Self::Cpu, Self::Io, Self::Watch];

    fn thread_name(self) -> &'static str {
        match self {
            Self::Gpu => "adloupe-gpu",
            Self::Cpu => "adloupe-cpu",
            Self::Io => "adloupe-io",
            Self::Watch => "adloupe-watch",
        }
    }
}

/// How a job ended.
#[derive(Debug)]
pub enum JobEnd<O> {
    /// With its answer.
    Done(O),
    /// With a failure; a cancel is one for which [`Failure::is_cancelled`] holds.
    Failed(Failure),
}

/// News from the workers.
#[derive(Debug)]
pub enum JobEvent<O> {
    /// The job left its queue.
    Started(JobId),
    /// The job wants the person to know something.
    Warned(JobId, String),
    /// The job is over after so long.
    Ended(JobId, JobEnd<O>, Duration),
}

struct Ticket<O> {
    id: JobId,
    job: Box<dyn Job<Output = O>>,
    progress: Arc<Progress>,
    cancel: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
}

/// Owns the threads. Dropping it cancels what runs and waits up to two seconds for each thread.
pub struct Runner<O> {
    lanes: Vec<(Lane, Sender<Ticket<O>>)>,
    events: Receiver<JobEvent<O>>,
    threads: Vec<thread::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    next_id: u64,
}

/// News waiting at most; a worker that gets ahead waits, the window never does.
const EVENT_QUEUE: usize = 256;
/// The backward pass of a deep graph recurses: candle overflows the default 2 MiB at ~8k operations.
const STACK_BYTES: usize = 64 << 20;
/// How long closing the window waits for a thread to notice.
const JOIN_LIMIT: Duration = Duration::from_secs(2);

impl<O: Send + 'static> Runner<O> {
    /// Starts the threads. `wake` is called after each event so that the window looks at it.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let (event_sender, events) = bounded(EVENT_QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let mut lanes = Vec::new();
        let mut threads = Vec::new();
        for lane in Lane::ALL {
            // Tickets are made by a person's clicks, so the queue is bounded by patience.
            let (sender, tickets) = unbounded();
            let worker = Worker {
                tickets,
                events: event_sender.clone(),
                wake: Arc::clone(&wake),
                stop: Arc::clone(&stop),
            };
            let thread = thread::Builder::new()
                .name(lane.thread_name().to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || worker.serve())
                .map_err(|error| Failure::new("cannot start a background thread", error))?;
            lanes.push((lane, sender));
            threads.push(thread);
        }
        Ok(Self { lanes, events, threads, stop, next_id: 1 })
    }

    /// Queues a job on its lane.
    ///
    /// # Errors
    /// The lane's thread is gone.
    pub fn submit(&mut self, job: impl Job<Output = O>) -> Result<JobHandle> {
        let id = JobId(self.next_id);
        self.next_id += 1;
        let (name, lane) = (job.name(), job.lane());
        let progress = Arc::new(Progress::default());
        let (cancel, pause) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let ticket = Ticket {
            id,
            job: Box::new(job),
            progress: Arc::clone(&progress),
            cancel: Arc::clone(&cancel),
            pause: Arc::clone(&pause),
        };
        let sender = self.lanes.iter().find(|(l, _)| *l == lane).map(|(_, sender)| sender);
        match sender.map(|sender| sender.send(ticket)) {
            Some(Ok(())) => Ok(JobHandle { id, name, progress, cancel, pause }),
            _ => Err(Failure::new(format!("cannot start '{name}'"), "its thread has ended")
                .hint("save your work and start adloupe again")),
        }
    }

    /// The next piece of news, if there is one. Never waits.
    pub fn try_event(&self) -> Option<JobEvent<O>> {
        self.events.try_recv().ok()
    }

    /// The next piece of news, waiting for it at most `limit`: for the command line and tests.
    pub fn wait_event(&self, limit: Duration) -> Option<JobEvent<O>> {
        self.events.recv_timeout(limit).ok()
    }
}

impl<O> Drop for Runner<O> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.lanes.clear();
        let deadline = Instant::now() + JOIN_LIMIT;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < deadline {
                while self.events.try_recv().is_ok() {}
                thread::sleep(Duration::from_millis(2));
            }
            if thread.is_finished() {
                // A worker catches its jobs' panics, so there is no payload worth telling here.
                let _ = thread.join();
            }
        }
    }
}

struct Worker<O> {
    tickets: Receiver<Ticket<O>>,
    events: Sender<JobEvent<O>>,
    wake: Arc<dyn Fn() + Send + Sync>,
    stop: Arc<AtomicBool>,
}

impl<O: Send + 'static> Worker<O> {
    fn serve(self) {
        priority::step_back();
        while let Ok(ticket) = self.tickets.recv() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.run(ticket);
        }
    }

    fn run(&self, ticket: Ticket<O>) {
        let Ticket { id, job, progress, cancel, pause } = ticket;
        self.send(JobEvent::Started(id));
        let begun = Instant::now();
        let name = job.name();
        let was_cancelled = cancel.load(Ordering::Relaxed);
        let context = self.context(id, progress, cancel, pause);
        let work = || if was_cancelled { job.never_began() } else { job.run(&context) };
        let end = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(output)) => JobEnd::Done(output),
            Ok(Err(failure)) => JobEnd::Failed(failure),
            Err(payload) => JobEnd::Failed(panic_failure(&name, payload.as_ref())),
        };
        self.send(JobEvent::Ended(id, end, begun.elapsed()));
    }

    fn context(
        &self,
        id: JobId,
        progress: Arc<Progress>,
        cancel: Arc<AtomicBool>,
        pause: Arc<AtomicBool>,
    ) -> JobContext {
        let (events, wake) = (self.events.clone(), Arc::clone(&self.wake));
        let warn = move |text| {
            // The window is gone when this fails; then nobody is left to warn.
            let _ = events.send(JobEvent::Warned(id, text));
            wake();
        };
        JobContext::new(cancel, pause, progress, Arc::new(warn), Arc::clone(&self.wake))
    }

    fn send(&self, event: JobEvent<O>) {
        // The window is gone when this fails; the thread then ends at its next ticket.
        let _ = self.events.send(event);
        (self.wake)();
    }
}

fn panic_failure(name: &str, payload: &(dyn std::any::Any + Send)) -> Failure {
    let why = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it gave no reason".to_owned());
    Failure::new(format!("'{name}' broke off"), format!("an internal error: {why}"))
        .hint("your data and models are untouched; please report this text")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Work = Box<dyn Fn(&JobContext) -> Result<u32> + Send>;
    struct Answer(Work);
    impl Job for Answer {
        type Output = u32;
        fn name(&self) -> String {
            "answer".into()
        }
        fn lane(&self) -> Lane {
            Lane::Cpu
        }
        fn run(self: Box<Self>, context: &JobContext) -> Result<u32> {
            (self.0)(context)
        }
    }

    fn end_of(runner: &Runner<u32>, id: JobId) -> JobEnd<u32> {
        loop {
            match runner.wait_event(Duration::from_secs(20)) {
                Some(JobEvent::Ended(ended, end, _)) if ended == id => return end,
                Some(_) => {}
                None => panic!("no event within 20 s"),
            }
        }
    }

    #[test]
    fn a_panic_becomes_a_failure_and_the_lane_lives_on() {
        let mut runner = Runner::new(|| {}).unwrap();
        let bad = runner.submit(Answer(Box::new(|_| panic!("boom")))).unwrap();
        match end_of(&runner, bad.id) {
            JobEnd::Failed(failure) => assert!(failure.why.contains("boom"), "{failure}"),
            JobEnd::Done(_) => panic!("a panic is no answer"),
        }
        let good = runner.submit(Answer(Box::new(|_| Ok(42)))).unwrap();
        assert!(matches!(end_of(&runner, good.id), JobEnd::Done(42)));
    }

    #[test]
    fn a_job_that_never_began_may_hand_something_back() {
        struct Precious(Arc<AtomicBool>);
        impl Job for Precious {
            type Output = u32;
            fn name(&self) -> String {
                "precious".into()
            }
            fn lane(&self) -> Lane {
                Lane::Cpu
            }
            fn run(self: Box<Self>, _context: &JobContext) -> Result<u32> {
                // Holds the lane until the test lets go.
                while !self.0.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(1)
            }
            fn never_began(self: Box<Self>) -> Result<u32> {
                Ok(7)
            }
        }
        let (held, free) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let mut runner = Runner::new(|| {}).unwrap();
        let _first = runner.submit(Precious(Arc::clone(&held))).unwrap();
        let second = runner.submit(Precious(free)).unwrap();
        let id = second.id;
        drop(second);
        held.store(true, Ordering::Relaxed);
        assert!(matches!(end_of(&runner, id), JobEnd::Done(7)));
    }

    #[test]
    fn dropping_the_handle_cancels() {
        let mut runner = Runner::new(|| {}).unwrap();
        let handle = runner
            .submit(Answer(Box::new(|context| {
                loop {
                    context.check()?;
                    thread::sleep(Duration::from_millis(1));
                }
            })))
            .unwrap();
        let id = handle.id;
        drop(handle);
        assert!(matches!(end_of(&runner, id), JobEnd::Failed(f) if f.is_cancelled()));
    }

    #[test]
    fn a_paused_job_waits_and_goes_on_where_it_was() {
        let counted = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let inside = Arc::clone(&counted);
        let mut runner = Runner::new(|| {}).unwrap();
        let handle = runner
            .submit(Answer(Box::new(move |context| {
                while inside.fetch_add(1, Ordering::SeqCst) < 300 {
                    context.check()?;
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(1)
            })))
            .unwrap();
        while counted.load(Ordering::SeqCst) < 3 {
            thread::sleep(Duration::from_millis(1));
        }
        handle.set_paused(true);
        thread::sleep(Duration::from_millis(50));
        let at = counted.load(Ordering::SeqCst);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(counted.load(Ordering::SeqCst), at);
        handle.set_paused(false);
        assert!(matches!(end_of(&runner, handle.id), JobEnd::Done(1)));
        // A paused job can still be stopped.
        let stopped = runner
            .submit(Answer(Box::new(|context| {
                loop {
                    context.check()?;
                }
            })))
            .unwrap();
        stopped.set_paused(true);
        stopped.cancel();
        assert!(matches!(end_of(&runner, stopped.id), JobEnd::Failed(failure) if failure.is_cancelled()));
    }

    #[test]
    fn warnings_and_progress_arrive() {
        let mut runner = Runner::new(|| {}).unwrap();
        let handle = runner
            .submit(Answer(Box::new(|context| {
                context.stage("counting");
                context.progress(1, 4);
                context.warn("few rows");
                Ok(1)
            })))
            .unwrap();
        let mut warned = false;
        loop {
            match runner.wait_event(Duration::from_secs(20)) {
                Some(JobEvent::Warned(id, text)) => {
                    assert_eq!((id, text.as_str()), (handle.id, "few rows"));
                    warned = true;
                }
                Some(JobEvent::Ended(..)) => break,
                Some(JobEvent::Started(_)) => {}
                None => panic!("no event within 20 s"),
            }
        }
        assert!(warned);
        assert_eq!(handle.progress.stage(), "counting");
        assert_eq!(handle.progress.fraction(), Some(0.25));
    }
}
