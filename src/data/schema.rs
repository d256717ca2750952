//! What is each column for?

use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the cells of a column are stored after import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Whole numbers, in as many bytes as the largest needs.
    Integer,
    /// Real numbers (`f64`).
    Real,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// A point in time (milliseconds since 1970, UTC).
    Time,
    /// A list of texts in each cell.
    List,
}

/// What a column means to the rest of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The 0/1 outcome that models predict (a click, unless the person says otherwise).
    Label,
    /// When the row happened; orders the split.
    Time,
    /// Who saw it.
    User,
    /// What was shown (ad, creative or item).
    Ad,
    /// The campaign that paid.
    Campaign,
    /// Where it was shown (slot, position, placement).
    Slot,
    /// A feature with values that only equal or differ.
    Categorical,
    /// A feature with an order and differences.
    Numeric,
    /// Free text: shown and searched, no one-hot feature.
    Text,
    /// A list per row, oldest first: the user's history.
    Sequence,
    /// How many impressions the row stands for (aggregated logs).
    Weight,
    /// How many clicks the row stands for (aggregated logs).
    Clicks,
    /// A later outcome (conversion): measured, never a feature.
    Conversion,
    /// Money: bid, price or spend; measured, never a feature.
    Price,
    /// The true click probability of a simulated log: checks, never a feature.
    Truth,
    /// Not used.
    Ignored,
}

impl Role {
    /// Every role in the order in which menus list them.
    pub const ALL: [Self; 16] = [
        Self::Label,
        Self::Time,
        Self::User,
        Self::Ad,
        Self::Campaign,
        Self::Slot,
        Self::Categorical,
        Self::Numeric,
        Self::Text,
        Self::Sequence,
        Self::Weight,
        Self::Clicks,
        Self::Conversion,
        Self::Price,
        Self::Truth,
        Self::Ignored,
    ];

    /// The word for it in files, flags and menus.
    pub fn id(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Time => "time",
            Self::User => "user",
            Self::Ad => "ad",
            Self::Campaign => "campaign",
            Self::Slot => "slot",
            Self::Categorical => "categorical",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Sequence => "sequence",
            Self::Weight => "weight",
            Self::Clicks => "clicks",
            Self::Conversion => "conversion",
            Self::Price => "price",
            Self::Truth => "truth",
            Self::Ignored => "ignored",
        }
    }

    /// True for roles that at most one column may have.
    pub fn is_unique(self) -> bool {
        matches!(
            self,
            Self::Label | Self::Time | Self::User | Self::Ad | Self::Weight | Self::Clicks | Self::Truth
        )
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Role {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.id() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|role| role.id()).collect();
            Failure::new("cannot set a role", format!("'{text}' is no role"))
                .hint(format!("one of: {}", known.join(", ")))
        })
    }
}

/// One column of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// How it is stored.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What it is for.
    pub role: Role,
    /// The evidence for the role, in words: shown beside it.
    pub evidence: String,
}

/// The columns of a log in file order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Schema {
    /// The columns.
    pub columns: Vec<Column>,
}

impl Schema {
    /// The column called `name`.
    ///
    /// # Errors
    /// There is none; the known names are listed.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let known: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Failure::new("cannot find the column", format!("the log has no column '{name}'"))
                .hint(format!("one of: {}", known.join(", ")))
        })
    }

    /// The first column with `role`.
    pub fn with_role(&self, role: Role) -> Option<&Column> {
        self.columns.iter().find(|column| column.role == role)
    }

    /// Gives a column another role. A unique role is taken from the column that had it (which becomes ignored).
    ///
    /// # Errors
    /// No such column.
    pub fn set_role(&mut self, name: &str, role: Role) -> Result<()> {
        self.column(name)?;
        for column in &mut self.columns {
            if column.name == name {
                column.role = role;
                "set by you".clone_into(&mut column.evidence);
            } else if role.is_unique() && column.role == role {
                column.role = Role::Ignored;
                column.evidence = format!("'{name}' is the {role} now");
            }
        }
        Ok(())
    }
}
