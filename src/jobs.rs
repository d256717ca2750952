//! How does work run beside the window? Generic machinery that knows no ad-tech.
//!
//! A [`Job`] is a request with a typed answer. The [`Runner`] puts it on a named thread of its [`Lane`],
//! hands it a [`JobContext`] for progress, warnings and cancel, and returns a [`JobHandle`] that cancels
//! when dropped. Ends arrive as [`JobEvent`]s on one bounded queue; big live values ride in [`Latest`] slots.

pub mod context;
pub mod handle;
pub mod latest;
pub mod priority;
pub mod runner;

pub use context::JobContext;
pub use handle::{JobHandle, JobId, Progress};
pub use latest::Latest;
pub use runner::{Job, JobEnd, JobEvent, Lane, Runner};
