//! How does a log become numbers? Vocabularies and transforms that are fitted once and saved with the model.
//!
//! [`Encoder::fit`] looks at training rows only; [`Encoder::encode`] then treats every row of any log alike.
//! What measures an outcome (label, clicks, conversion, price, truth) never becomes a field.

mod apply;
mod fit;
mod interests;
mod texts;
mod topics;

pub use super::calendar::WEEKDAYS;
use super::options::EncodeOptions;
use super::schema::{Role, Schema};
pub use interests::Interest;
use serde::{Deserialize, Serialize};
pub use texts::TextField;
pub use topics::{TopicField, TopicReader};

/// Name of the derived field that holds the hour of the day (UTC).
pub const TIME_HOUR: &str = "time:hour";
/// Name of the derived field that holds the day of the week (UTC): mon, tue, ... sun.
pub const TIME_WEEKDAY: &str = "time:weekday";

/// Whose property a field is, found by functional dependence in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Determined by the user id: age band, home city.
    User,
    /// Determined by the ad id: campaign, category, advertiser.
    Ad,
    /// Of the moment: hour, page, slot.
    Context,
}

/// Everything needed to encode another log exactly like the one it was fitted on. Saved in the model folder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Encoder {
    /// Label column (or the clicks of an aggregated log).
    pub label: String,
    /// Column that says of each row whether a conversion followed, where there is one.
    #[serde(default)]
    pub conversion: Option<String>,
    /// Columns with a part in encoding that are found by role when fitting and by name afterwards.
    #[serde(default)]
    pub keys: KeyColumns,
    /// Categorical fields (user, ad, campaign, slot, categories, derived hour and weekday).
    pub categorical: Vec<CategoricalField>,
    /// Numeric fields.
    pub numeric: Vec<NumericField>,
    /// Text columns whose vectors stand among the numeric fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<TextField>,
    /// Text columns whose topics stand among the numeric fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicField>,
    /// Behaviour sequences.
    pub sequences: Vec<SequenceField>,
    /// The choices it was fitted with.
    #[serde(default)]
    pub options: EncodeOptions,
}

/// Names of the columns that encoding needs beside the fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyColumns {
    /// When each row happened.
    pub time: Option<String>,
    /// Who saw it.
    pub user: Option<String>,
    /// What was shown.
    pub ad: Option<String>,
}

impl KeyColumns {
    /// The columns that have these roles.
    pub fn of(schema: &Schema) -> Self {
        let name = |role| schema.with_role(role).map(|column| column.name.clone());
        Self { time: name(Role::Time), user: name(Role::User), ad: name(Role::Ad) }
    }
}

impl Encoder {
    /// Where a categorical field stands, by name.
    pub fn position(&self, field: &str) -> Option<usize> {
        self.categorical.iter().position(|known| known.name == field)
    }

    /// The categorical field of the ad id, if the log has one.
    pub fn ad_field(&self) -> Option<usize> {
        self.position(self.keys.ad.as_deref()?)
    }

    /// The categorical field of the user id, if the log has one.
    pub fn user_field(&self) -> Option<usize> {
        self.position(self.keys.user.as_deref()?)
    }
}

/// A categorical field and its vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoricalField {
    /// Column, or a derived name such as `time:hour`.
    pub name: String,
    /// Whose property it is.
    pub side: Side,
    /// Known values; value `i` has id `i + FIRST_VALUE_ID`. Empty when `hash_buckets` is set.
    pub values: Vec<String>,
    /// Number of hash buckets for vocabularies too large to keep; 0 means `values` is used.
    pub hash_buckets: u32,
}

impl CategoricalField {
    /// Number of ids, the two reserved ones included: rows of the embedding table.
    pub fn cardinality(&self) -> usize {
        let known = if self.hash_buckets > 0 { self.hash_buckets as usize } else { self.values.len() };
        known + super::batch::FIRST_VALUE_ID as usize
    }

    /// The value behind an id, for people: "missing", "rare or new", the value, or the bucket.
    pub fn name_of(&self, id: u32) -> String {
        match id {
            super::batch::MISSING_ID => "missing".to_owned(),
            super::batch::RARE_ID => "rare or new".to_owned(),
            id => {
                let place = (id - super::batch::FIRST_VALUE_ID) as usize;
                self.values.get(place).cloned().unwrap_or_else(|| format!("bucket {place}"))
            }
        }
    }
}

/// A numeric field: `clamp((t(x) - mean) / deviation, -5, 5)` with `t` = signed log1p for heavy tails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumericField {
    /// Column.
    pub name: String,
    /// Whose property it is.
    pub side: Side,
    /// True when `sign(x) ln(1+|x|)` is taken first.
    pub log: bool,
    /// Mean after `t`, over the training rows.
    pub mean: f64,
    /// Standard deviation after `t`; never 0.
    pub deviation: f64,
}

/// A behaviour sequence that attends to one categorical field and shares its vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceField {
    /// Column with lists, or a derived name such as `history:ad`.
    pub name: String,
    /// Index in [`Encoder::categorical`] of the field whose values the sequence holds.
    pub target: usize,
    /// Longest sequence kept (the most recent events).
    pub max_len: usize,
    /// Column whose earlier values per user make the history; `None` when the log has a list column.
    pub from_user_history_of: Option<String>,
    /// For a history made from earlier rows: true when only clicked rows are remembered.
    #[serde(default)]
    pub clicked_only: bool,
}
