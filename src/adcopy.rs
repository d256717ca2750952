//! How does an advertisement get its words, and who answers for them? Sheet -> drafts -> checks -> a person -> slots.
//!
//! A [`sheet::ProductSheet`] says what is true. [`claim`] reads what a text claims, [`grounding`] asks for the fact behind
//! each claim, [`checks`] holds a text against every rule of the [`rulebook`] and against the texts that are known
//! ([`originality`]). Nothing is cut or changed behind a person's back: each block names its rule and offers a repair.

pub mod checks;
pub mod claim;
pub mod editorial;
pub mod grounding;
mod numerals;
pub mod originality;
pub mod placement;
pub mod plain;
pub mod readability;
pub mod rulebook;
pub mod sheet;

pub use checks::{Addressed, Checker, Finding, Repair, Severity, Verdict};
pub use originality::{KnownText, Originals};
pub use rulebook::Rulebook;
pub use sheet::{Fact, KnownSheet, ProductSheet};
