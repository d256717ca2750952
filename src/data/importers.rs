//! Which reader understands this file? Decided by its content, never by its name.
