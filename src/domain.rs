//! The nouns of ad targeting, with their units. Pure data and the rules that need no log.

pub mod campaign;
pub mod creative;
pub mod money;
pub mod rivals;
pub mod segment;

pub use campaign::{Campaign, Pacing, Shading};
pub use creative::{Creative, CreativeLibrary};
pub use money::Pricing;
pub use rivals::{BidSpread, DrawnBids, Rivals};
pub use segment::Segment;
