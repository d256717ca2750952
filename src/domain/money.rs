//! How is money counted? In whole numbers, so that no budget leaks through rounding.
//!
//! People write micros: millionths of the currency unit (`5_000_000` is 5.00). The ledger counts nanos,
//! because one micro per thousand impressions is exactly one nano per impression.

use serde::{Deserialize, Serialize};

/// Micros in one currency unit.
pub const MICROS_PER_UNIT: i64 = 1_000_000;
/// Nanos in one micro.
pub const NANOS_PER_MICRO: i64 = 1_000;

/// What a bid is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    /// Per thousand impressions.
    #[default]
    Cpm,
    /// Per click.
    Cpc,
    /// Per conversion.
    Cpa,
}

impl Pricing {
    /// Every one, in the order of choosers.
    pub const ALL: [Self; 3] = [Self::Cpm, Self::Cpc, Self::Cpa];

    /// The word for it in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Cpm => "CPM",
            Self::Cpc => "CPC",
            Self::Cpa => "CPA",
        }
    }

    /// What one event (an impression, a click, a conversion) can cost at most under a bid, in nanos.
    pub fn dearest_event_nanos(self, bid_micros: i64) -> i64 {
        match self {
            Self::Cpm => bid_micros,
            Self::Cpc | Self::Cpa => bid_micros.saturating_mul(NANOS_PER_MICRO),
        }
    }
}

/// Currency units as a number for charts and reports.
pub fn units_from_nanos(nanos: i64) -> f64 {
    nanos as f64 / (MICROS_PER_UNIT * NANOS_PER_MICRO) as f64
}

/// Currency units as a number for charts and reports.
pub fn units_from_micros(micros: i64) -> f64 {
    micros as f64 / MICROS_PER_UNIT as f64
}

/// Micros from currency units, to the nearest micro; out-of-range values saturate.
pub fn micros_from_units(units: f64) -> i64 {
    (units * MICROS_PER_UNIT as f64).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpm_micro_is_one_nano_an_impression() {
        // A CPM of 5.00 is 0.005 an impression: 5,000,000 nanos.
        let nanos = Pricing::Cpm.dearest_event_nanos(5 * MICROS_PER_UNIT);
        assert!((units_from_nanos(nanos) - 0.005).abs() < 1e-12);
        // A CPC of 0.50 is 0.50 a click.
        let nanos = Pricing::Cpc.dearest_event_nanos(MICROS_PER_UNIT / 2);
        assert!((units_from_nanos(nanos) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn units_round_to_the_nearest_micro() {
        assert_eq!(micros_from_units(0.1 + 0.2), 300_000);
        assert!((units_from_micros(1_234_567) - 1.234_567).abs() < 1e-12);
    }
}
