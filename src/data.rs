//! How do bytes become batches?
//!
//! Head of a file -> [`importers`] pick by content -> a validated [`LogFrame`] with a [`Schema`] of roles ->
//! a profile and segments for people, or an [`Encoder`] that turns it into the arrays of a [`Dataset`] ->
//! [`Batch`]es for models. polars lives here and nowhere else.

pub mod array;
pub mod batch;
pub mod calendar;
pub mod catalogue;
pub mod cells;
pub mod columns;
pub mod dataset;
pub mod edit;
pub mod encode;
mod enumerated;
pub mod erasure;
pub mod export;
pub mod follow;
pub mod frame;
pub mod generalise;
pub mod hashed;
pub mod history;
pub mod importers;
pub mod infer;
mod key_codes;
pub mod keyed;
pub mod layout;
pub mod ledger;
pub mod memo;
pub mod npz;
pub mod options;
pub mod ordinal;
pub mod outcome;
pub mod profile;
pub mod pseudonym;
pub mod query;
pub mod recipe;
pub mod rival;
pub mod sample;
pub mod scale;
pub mod schema;
pub mod shape;
pub mod sides;
pub mod split;
mod text_codes;
pub mod vocab;

pub use array::Array;
pub use batch::Batch;
pub use catalogue::AdCatalogue;
pub use dataset::{Dataset, Split};
pub use encode::Encoder;
pub use frame::LogFrame;
pub use options::EncodeOptions;
pub use schema::{Column, ColumnType, Role, Schema};
