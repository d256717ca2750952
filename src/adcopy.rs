//! How does an advertisement get its words, and who answers for them? Sheet -> drafts -> checks -> a person -> slots.
//!
//! A [`sheet::ProductSheet`] says what is true. [`claim`] reads what a text claims, [`grounding`] asks for the fact behind
//! each claim, [`checks`] holds a text against every rule of the [`rulebook`] and against the texts that are known
//! ([`originality`]). A [`brief::Brief`] goes to the proposers ([`propose`]); [`forecast`] ranks what passes by the user's own
//! model; the [`library`] keeps it through a person's [`review`], and the [`audit`] keeps who did what. Nothing is cut or changed behind a person's back: each block names its rule and offers a repair.

pub mod audit;
pub mod brief;
pub mod checks;
pub mod claim;
pub mod editorial;
pub mod forecast;
pub mod grounding;
pub mod library;
pub mod meanings;
mod numerals;
pub mod originality;
pub mod picture;
pub mod placement;
pub mod plain;
pub mod propose;
pub mod readability;
pub mod review;
pub mod rulebook;
pub mod search;
pub mod sheet;

pub use brief::Brief;
pub use checks::{Addressed, Checker, Finding, Repair, Severity, Verdict};
pub use library::{Item, Library};
pub use originality::{KnownText, Originals};
pub use rulebook::Rulebook;
pub use sheet::{Fact, KnownSheet, ProductSheet};
