//! What have the workers answered? Values by `Arc`, replaced whole, never edited.

/// Everything loaded or computed. One field an area; each is defined beside the commands that fill it.
#[derive(Debug, Default)]
pub struct Store {}
