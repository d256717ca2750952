//! What runs in the background? One operation a file, from a request to an [`Output`].

pub mod encode;
pub mod import;
pub mod segment;

/// What a task answers with; the session stores it. Boxed, so that messages stay small.
pub enum Output {
    /// The arrays of a log.
    Encoded(Box<encode::Encoded>),
    /// A log was read, or its roles were changed.
    Imported(Box<import::Imported>),
    /// Rates by group.
    Segments(Box<segment::SegmentAnswer>),
}
