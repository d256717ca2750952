//! What does a text say, and which other text says the same?
//!
//! [`words`] cuts a text of any script into words; [`grams`] makes weighted features of them; an [`Encoder`] that is
//! fitted on a campaign's own texts in seconds turns those into vectors whose inner product says how alike two texts are,
//! and [`Encoder::explain`] says which words made it so. All of it needs no model file and repeats to the bit.

pub mod chat;
pub mod duplicates;
pub mod encoder;
pub mod facts;
pub mod grams;
pub mod ridge;
pub mod sentence;
pub mod sparse;
mod stored;
pub mod style;
pub mod topic_model;
pub mod topics;
pub mod vectors;
pub mod word_vectors;
pub mod words;

pub use encoder::{Encoder, EncoderOptions, Vectors, WordShare};
