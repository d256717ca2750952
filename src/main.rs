//! Reads the arguments, then opens the window or answers on the terminal.

fn main() {}
