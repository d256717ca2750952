//! Between which values does a knob vary?

use crate::base::params::{ParamKind, ParamSpec, ParamValue};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

const WHAT: &str = "cannot search over this knob";
/// A range of whole numbers whose ends are so many times apart is drawn by factors.
const BY_FACTORS: f64 = 100.0;

/// A knob that varies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knob {
    /// Its name.
    pub id: String,
    /// What it may be.
    pub values: Values,
}

/// What a knob may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// One of these.
    Listed(Vec<ParamValue>),
    /// A number from `low` to `high`.
    Between {
        /// The smallest.
        low: f64,
        /// The largest.
        high: f64,
        /// True where factors count and not differences.
        log: bool,
        /// True for whole numbers.
        whole: bool,
    },
}

impl Knob {
    /// Reads `name=low..high`, `name=a,b,c`, or a name alone for all that the knob allows.
    ///
    /// # Errors
    /// An unknown knob, a value that it refuses, or a range that cannot be drawn from.
    pub fn parse(specs: &[ParamSpec], text: &str) -> Result<Self> {
        let (id, values) = text.split_once('=').map_or((text, None), |(id, values)| (id, Some(values)));
        let (id, values) = (id.trim(), values.map(str::trim).filter(|values| !values.is_empty()));
        let spec = spec_of(specs, id)?;
        let values = match (values, &spec.kind) {
            (Some(values), ParamKind::Integer { .. } | ParamKind::Real { .. }) if values.contains("..") => {
                let (low, high) = values.split_once("..").unwrap_or_default();
                let number = |text: &str| spec.parse(text.trim().trim_start_matches('=')).map(number_of);
                between(spec, number(low)?, number(high)?)?
            }
            (Some(values), _) => {
                let listed = values.split(',').map(|text| spec.parse(text.trim()));
                Values::Listed(listed.collect::<Result<_>>()?)
            }
            (None, ParamKind::Integer { min, max, .. }) => between(spec, *min as f64, *max as f64)?,
            (None, ParamKind::Real { min, max, .. }) => between(spec, *min, *max)?,
            (None, ParamKind::Choice(words)) => {
                Values::Listed(words.iter().map(|word| ParamValue::Choice((*word).to_owned())).collect())
            }
            (None, ParamKind::Flag(_)) => {
                Values::Listed(vec![ParamValue::Flag(false), ParamValue::Flag(true)])
            }
        };
        Ok(Self { id: id.to_owned(), values })
    }

    /// What a person would try first: numbers a factor of five around the default, all words.
    pub fn usual(spec: &ParamSpec) -> String {
        let around = |default: f64, min: f64, max: f64, digits: usize| {
            let (low, high) = ((default / 5.0).max(min), (default * 5.0).min(max));
            format!("{}..{}", rounded(low, digits), rounded(high, digits))
        };
        match &spec.kind {
            ParamKind::Integer { min, max, default } => around(*default as f64, *min as f64, *max as f64, 0),
            ParamKind::Real { min, max, default, .. } if *default > 0.0 => around(*default, *min, *max, 8),
            ParamKind::Real { min, max, .. } => format!("{min}..{max}"),
            ParamKind::Choice(words) => words.join(","),
            ParamKind::Flag(_) => "false,true".to_owned(),
        }
    }

    /// Refuses what the knob does not allow: for files.
    ///
    /// # Errors
    /// An unknown knob or a value out of its bounds.
    pub fn check(&self, specs: &[ParamSpec]) -> Result<()> {
        let again = Self::parse(specs, &self.to_string())?;
        if again.values == self.values {
            return Ok(());
        }
        Err(Failure::new(WHAT, format!("'{self}' is no range of it")).hint("name=low..high or name=a,b,c"))
    }

    /// One value.
    pub fn draw(&self, rng: &mut Rng) -> ParamValue {
        match &self.values {
            Values::Listed(values) => values[rng.below(values.len())].clone(),
            Values::Between { low, high, log, whole } => {
                let share = rng.uniform();
                // Every whole number gets a stretch of its own length.
                let (low, high) = if *whole && !log { (low - 0.5, high + 0.5) } else { (*low, *high) };
                self.at(low, high, *log, share)
            }
        }
    }

    /// Values for a grid: all that are listed, or `points` evenly from end to end.
    pub fn grid(&self, points: usize) -> Vec<ParamValue> {
        match &self.values {
            Values::Listed(values) => values.clone(),
            Values::Between { low, high, log, .. } => {
                let last = points.saturating_sub(1).max(1) as f64;
                let mut all: Vec<ParamValue> =
                    (0..points.max(1)).map(|place| self.at(*low, *high, *log, place as f64 / last)).collect();
                all.dedup();
                all
            }
        }
    }

    /// Where a value stands between the ends, from 0 to 1: for a picture.
    pub fn share(&self, value: &ParamValue) -> f64 {
        match &self.values {
            Values::Listed(values) => {
                let place = values.iter().position(|known| known == value).unwrap_or_default();
                if values.len() < 2 { 0.5 } else { place as f64 / (values.len() - 1) as f64 }
            }
            Values::Between { low, high, log, .. } => {
                let number = number_of(value.clone());
                let (low, high, number) =
                    if *log { (low.ln(), high.ln(), number.ln()) } else { (*low, *high, number) };
                if high > low { (number - low) / (high - low) } else { 0.5 }
            }
        }
    }

    /// The ends, or all values, from 0 to 1 with their words.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let values = match &self.values {
            Values::Listed(values) => values.clone(),
            Values::Between { .. } => self.grid(3),
        };
        values.iter().map(|value| (self.share(value), value.to_string())).collect()
    }

    fn at(&self, low: f64, high: f64, log: bool, share: f64) -> ParamValue {
        let number = if log { low * (high / low).powf(share) } else { low + share * (high - low) };
        match &self.values {
            Values::Between { low, high, whole: true, .. } => {
                ParamValue::Integer(number.round().clamp(*low, *high) as i64)
            }
            // Few digits, so that what is told can be typed again.
            _ => ParamValue::Real(rounded(number, 4).clamp(low, high)),
        }
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            Values::Listed(values) => {
                let words: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "{}={}", self.id, words.join(","))
            }
            Values::Between { low, high, .. } => write!(f, "{}={low}..{high}", self.id),
        }
    }
}

fn spec_of<'a>(specs: &'a [ParamSpec], id: &str) -> Result<&'a ParamSpec> {
    specs.iter().find(|spec| spec.id == id).ok_or_else(|| {
        let known: Vec<_> = specs.iter().map(|spec| spec.id).collect();
        Failure::new(WHAT, format!("there is no parameter '{id}'"))
            .hint(format!("one of: {}", known.join(", ")))
    })
}

fn between(spec: &ParamSpec, low: f64, high: f64) -> Result<Values> {
    let refuse = |why: String| Err(Failure::new(WHAT, why).hint(format!("{}=low..high", spec.id)));
    if low >= high {
        return refuse(format!("{low}..{high} is empty: the first end must be the smaller one"));
    }
    let (by_factors, whole) = match spec.kind {
        ParamKind::Real { log, .. } => (log, false),
        _ => (low > 0.0 && high / low >= BY_FACTORS, true),
    };
    if by_factors && low <= 0.0 {
        return refuse(format!("{} is drawn by factors, which cannot begin at {low}", spec.id));
    }
    Ok(Values::Between { low, high, log: by_factors, whole })
}

fn number_of(value: ParamValue) -> f64 {
    match value {
        ParamValue::Integer(number) => number as f64,
        ParamValue::Real(number) => number,
        ParamValue::Flag(_) | ParamValue::Choice(_) => 0.0,
    }
}

/// To so many significant digits; whole for none.
fn rounded(number: f64, digits: usize) -> f64 {
    if digits == 0 || number == 0.0 {
        return number.round();
    }
    let scale = 10_f64.powi(digits as i32 - 1 - number.abs().log10().floor() as i32);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::specs_of;

    fn knob(text: &str) -> Result<Knob> {
        Knob::parse(&specs_of("deep_fm").unwrap(), text)
    }

    #[test]
    fn ranges_lists_and_whole_knobs_are_read_and_written_alike() {
        for text in [
            "learning_rate=0.001..0.02",
            "embedding_width=4,8,16",
            "dropout=0..0.5",
            "schedule=cosine,linear",
        ] {
            let read = knob(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(knob(&read.to_string()).unwrap(), read);
        }
        assert_eq!(knob("schedule").unwrap().grid(9).len(), 4, "all words");
        for spec in specs_of("deep_fm").unwrap() {
            let usual = format!("{}={}", spec.id, Knob::usual(&spec));
            if let Err(failure) = knob(&usual) {
                // A range by factors cannot begin at nothing: the person has to say where.
                assert!(failure.why.contains("factors"), "{usual}: {failure}");
            }
        }
    }

    #[test]
    fn draws_stay_within_and_spread_by_factors() {
        let mut rng = Rng::named(1, "test");
        let rate = knob("learning_rate=0.0001..0.1").unwrap();
        let drawn: Vec<f64> = (0..3000).map(|_| number_of(rate.draw(&mut rng))).collect();
        assert!(drawn.iter().all(|x| (0.0001..=0.1).contains(x)));
        let low = drawn.iter().filter(|x| **x < 0.001).count();
        assert!((900..1100).contains(&low), "a third below a third of the decades: {low}");
        let width = knob("embedding_width=2..4").unwrap();
        let mut counts = [0; 5];
        for _ in 0..3000 {
            counts[number_of(width.draw(&mut rng)) as usize] += 1;
        }
        assert!(counts[2..].iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!(
            rate.grid(4).iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["0.0001", "0.001", "0.01", "0.1"]
        );
    }

    #[test]
    fn a_value_stands_where_its_share_says() {
        let rate = knob("learning_rate=0.0001..0.1").unwrap();
        assert!((rate.share(&ParamValue::Real(0.01)) - 2.0 / 3.0).abs() < 1e-9);
        let width = knob("embedding_width=4,8,16").unwrap();
        assert_eq!(width.share(&ParamValue::Integer(8)), 0.5);
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_reason() {
        assert!(knob("learning_rat=1..2").unwrap_err().hint.contains("learning_rate"));
        assert!(knob("learning_rate=0.1..0.01").unwrap_err().why.contains("empty"));
        assert!(knob("l2=0..0.1").unwrap_err().why.contains("factors"));
        assert!(knob("dropout=2..3").unwrap_err().hint.contains("dropout"));
        assert!(knob("schedule=cosine,round").is_err());
    }
}
