//! What may a person decide before a log is opened?

use super::join::JoinSpec;
use crate::data::schema::Role;

/// What the person has decided before the log is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// Roles by column, which override what is inferred. `rating>=4` as a column with the role label makes a new
    /// 0/1 column from a threshold.
    pub roles: Vec<(String, Role)>,
    /// Side tables that are joined onto the log, in this order.
    pub joins: Vec<JoinSpec>,
}
