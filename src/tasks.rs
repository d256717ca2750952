//! What runs in the background? One operation a file, from a request to an [`Output`].

/// What a task answers with; the session stores it.
#[derive(Debug)]
pub enum Output {}
