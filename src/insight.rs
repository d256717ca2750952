//! What has a model learned, and how far can it be trusted? Every answer is a plain struct that a chart draws.
//!
//! [`evaluation`] asks whether the probabilities are right, [`projection`] what the embeddings put side by
//! side, [`attention`] which past behaviours a prediction leaned on.

pub mod attention;
pub mod augmentation;
pub mod by_column;
pub mod cold_start;
pub mod comparison;
pub mod compression;
pub mod dependence;
pub mod disagreement;
pub mod epochs;
pub mod evaluation;
pub mod exposure;
pub mod fairness;
pub mod groups;
pub mod heads;
pub mod inside;
pub mod interests;
pub mod leaderboard;
pub mod look_alikes;
pub mod mapping;
pub mod point_words;
pub mod prediction;
pub mod projection;
pub mod regions;
pub mod report;
pub mod retrieval;
pub mod robustness;
pub mod shortlist;
pub mod similar;
pub mod slices;
pub mod sources;
pub mod subject;
pub mod transfer;
pub mod values;
pub mod ways;

pub use attention::{AverageAttention, Explanation};
pub use evaluation::{Evaluation, evaluate};
pub use leaderboard::Leaderboard;
pub use projection::{MapQuestion, Projection, project};
pub use retrieval::Retrieval;
pub use sources::Source;
pub use subject::Subject;
pub use values::Values;
