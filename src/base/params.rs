//! What can be set, between which bounds, and what does it mean?
//!
//! A model, auction or job declares its knobs once, as [`ParamSpec`]s; the form in the window, the
//! `--set name=value` flags and the saved files all derive from that list.

use super::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One knob: its name in files and flags, its words, its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Stable name in files and on the command line, with its unit: `learning_rate`, `window_secs`.
    pub id: &'static str,
    /// The words beside the control.
    pub label: &'static str,
    /// One sentence: what it does and which way to turn it.
    pub help: &'static str,
    /// Type, bounds and default.
    pub kind: ParamKind,
}

/// The type, bounds and default of a knob.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamKind {
    /// A whole number in `min..=max`.
    Integer {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
        /// Value when nothing is said.
        default: i64,
    },
    /// A real number in `min..=max`; `log` asks for a logarithmic slider.
    Real {
        /// Smallest value allowed.
        min: f64,
        /// Largest value allowed.
        max: f64,
        /// Value when nothing is said.
        default: f64,
        /// True where factors matter more than differences.
        log: bool,
    },
    /// One of a few words; the first is the default.
    Choice(&'static [&'static str]),
    /// Yes or no, with its default.
    Flag(bool),
}

/// A value of a knob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParamValue {
    /// Of a [`ParamKind::Flag`].
    Flag(bool),
    /// Of a [`ParamKind::Integer`].
    Integer(i64),
    /// Of a [`ParamKind::Real`].
    Real(f64),
    /// Of a [`ParamKind::Choice`].
    Choice(String),
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Choice(value) => write!(f, "{value}"),
        }
    }
}

impl ParamSpec {
    /// A whole-number knob.
    pub const fn integer(
        id: &'static str,
        label: &'static str,
        (min, default, max): (i64, i64, i64),
        help: &'static str,
    ) -> Self {
        Self { id, label, help, kind: ParamKind::Integer { min, max, default } }
    }

    /// A real knob on a linear scale.
    pub const fn real(
        id: &'static str,
        label: &'static str,
        (min, default, max): (f64, f64, f64),
        help: &'static str,
    ) -> Self {
        Self { id, label, help, kind: ParamKind::Real { min, max, default, log: false } }
    }

    /// A real knob where factors matter (learning rates, penalties).
    pub const fn log_real(
        id: &'static str,
        label: &'static str,
        (min, default, max): (f64, f64, f64),
        help: &'static str,
    ) -> Self {
        Self { id, label, help, kind: ParamKind::Real { min, max, default, log: true } }
    }

    /// A choice among words; the first is the default.
    pub const fn choice(
        id: &'static str,
        label: &'static str,
        options: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { id, label, help, kind: ParamKind::Choice(options) }
    }

    /// The value when nothing is said.
    pub fn default_value(&self) -> ParamValue {
        match &self.kind {
            ParamKind::Integer { default, .. } => ParamValue::Integer(*default),
            ParamKind::Real { default, .. } => ParamValue::Real(*default),
            ParamKind::Choice(options) => {
                ParamValue::Choice(options.first().copied().unwrap_or_default().to_owned())
            }
            ParamKind::Flag(default) => ParamValue::Flag(*default),
        }
    }

    /// Bounds in words: "1 to 64", "relu | tanh", "true | false".
    pub fn bounds(&self) -> String {
        match &self.kind {
            ParamKind::Integer { min, max, .. } => format!("{min} to {max}"),
            ParamKind::Real { min, max, .. } => format!("{min} to {max}"),
            ParamKind::Choice(options) => options.join(" | "),
            ParamKind::Flag(_) => "true | false".to_owned(),
        }
    }

    /// Reads a value written by a person.
    ///
    /// # Errors
    /// Text of the wrong type, or a value outside the bounds.
    pub fn parse(&self, text: &str) -> Result<ParamValue> {
        let value = match &self.kind {
            ParamKind::Integer { .. } => text.parse().ok().map(ParamValue::Integer),
            ParamKind::Real { .. } => text.parse().ok().map(ParamValue::Real),
            ParamKind::Choice(_) => Some(ParamValue::Choice(text.to_owned())),
            ParamKind::Flag(_) => text.parse().ok().map(ParamValue::Flag),
        };
        match value {
            Some(value) if self.allows(&value) => Ok(value),
            _ => Err(Failure::new(format!("cannot set {}", self.id), format!("'{text}' is not allowed"))
                .hint(format!("{}: {}", self.id, self.bounds()))),
        }
    }

    /// True when `value` has this knob's type and lies within its bounds.
    pub fn allows(&self, value: &ParamValue) -> bool {
        match (&self.kind, value) {
            (ParamKind::Integer { min, max, .. }, ParamValue::Integer(v)) => (min..=max).contains(&v),
            (ParamKind::Real { min, max, .. }, ParamValue::Real(v)) => (min..=max).contains(&v),
            // A file that says `1` for a real means 1.0.
            (ParamKind::Real { min, max, .. }, ParamValue::Integer(v)) => {
                (*min..=*max).contains(&(*v as f64))
            }
            (ParamKind::Choice(options), ParamValue::Choice(v)) => options.contains(&v.as_str()),
            (ParamKind::Flag(_), ParamValue::Flag(_)) => true,
            _ => false,
        }
    }
}

/// The values of a list of knobs. Always complete and within bounds when made by [`Params::defaults`] and [`Params::set`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(BTreeMap<String, ParamValue>);

impl Params {
    /// Every knob at its default.
    pub fn defaults(specs: &[ParamSpec]) -> Self {
        Self(specs.iter().map(|spec| (spec.id.to_owned(), spec.default_value())).collect())
    }

    /// Sets one knob from text, as `--set id=text` does.
    ///
    /// # Errors
    /// An unknown id (the known ones are listed) or a value that the knob refuses.
    pub fn set(&mut self, specs: &[ParamSpec], id: &str, text: &str) -> Result<()> {
        let Some(spec) = specs.iter().find(|spec| spec.id == id) else {
            let known: Vec<_> = specs.iter().map(|spec| spec.id).collect();
            return Err(Failure::new(format!("cannot set {id}"), "there is no such parameter")
                .hint(format!("one of: {}", known.join(", "))));
        };
        self.0.insert(id.to_owned(), spec.parse(text)?);
        Ok(())
    }

    /// Puts a value in without checking it: for a form that draws only allowed values.
    pub fn put(&mut self, id: &str, value: ParamValue) {
        self.0.insert(id.to_owned(), value);
    }

    /// The raw value, if there is one.
    pub fn get(&self, id: &str) -> Option<&ParamValue> {
        self.0.get(id)
    }

    /// All values by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParamValue)> {
        self.0.iter().map(|(id, value)| (id.as_str(), value))
    }

    /// Fills what is missing with defaults and refuses what is unknown or out of bounds: for files.
    ///
    /// # Errors
    /// A value that no knob of `specs` allows.
    pub fn completed(&self, specs: &[ParamSpec]) -> Result<Self> {
        let mut complete = Self::defaults(specs);
        for (id, value) in self.iter() {
            complete.set(specs, id, &value.to_string())?;
        }
        Ok(complete)
    }

    /// A whole number.
    ///
    /// # Errors
    /// No such whole-number knob.
    pub fn integer(&self, id: &str) -> Result<i64> {
        match self.get(id) {
            Some(ParamValue::Integer(value)) => Ok(*value),
            _ => Err(missing(id, "whole number")),
        }
    }

    /// A whole number used as a count.
    ///
    /// # Errors
    /// No such knob, or a negative value.
    pub fn count(&self, id: &str) -> Result<usize> {
        usize::try_from(self.integer(id)?).map_err(|_| missing(id, "count"))
    }

    /// A real number.
    ///
    /// # Errors
    /// No such real knob.
    pub fn real(&self, id: &str) -> Result<f64> {
        match self.get(id) {
            Some(ParamValue::Real(value)) => Ok(*value),
            Some(ParamValue::Integer(value)) => Ok(*value as f64),
            _ => Err(missing(id, "number")),
        }
    }

    /// A chosen word.
    ///
    /// # Errors
    /// No such choice.
    pub fn choice(&self, id: &str) -> Result<&str> {
        match self.get(id) {
            Some(ParamValue::Choice(value)) => Ok(value),
            _ => Err(missing(id, "choice")),
        }
    }

    /// A yes or no.
    ///
    /// # Errors
    /// No such flag.
    pub fn flag(&self, id: &str) -> Result<bool> {
        match self.get(id) {
            Some(ParamValue::Flag(value)) => Ok(*value),
            _ => Err(missing(id, "flag")),
        }
    }
}

fn missing(id: &str, kind: &str) -> Failure {
    Failure::new(format!("cannot use parameter {id}"), format!("there is no {kind} of that name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[ParamSpec] = &[
        ParamSpec::integer("epochs", "Epochs", (1, 5, 100), "Passes over the data."),
        ParamSpec::log_real("learning_rate", "Learning rate", (1e-5, 1e-3, 1.0), "Step size."),
        ParamSpec::choice("activation", "Activation", &["relu", "tanh"], "Between layers."),
    ];

    #[test]
    fn sets_within_bounds_and_names_the_bounds_otherwise() {
        let mut params = Params::defaults(SPECS);
        params.set(SPECS, "epochs", "7").unwrap();
        assert_eq!(params.integer("epochs"), Ok(7));
        let failure = params.set(SPECS, "epochs", "0").unwrap_err();
        assert_eq!(failure.hint, "epochs: 1 to 100");
        assert_eq!(params.integer("epochs"), Ok(7), "a refused value changes nothing");
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let failure = Params::defaults(SPECS).set(SPECS, "epoch", "7").unwrap_err();
        assert_eq!(failure.hint, "one of: epochs, learning_rate, activation");
    }

    #[test]
    fn survives_json() {
        let mut params = Params::defaults(SPECS);
        params.set(SPECS, "learning_rate", "1").unwrap();
        let text = serde_json::to_string(&params).unwrap();
        let back: Params = serde_json::from_str(&text).unwrap();
        assert_eq!(back.completed(SPECS).unwrap().real("learning_rate"), Ok(1.0));
    }
}
