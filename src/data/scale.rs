//! How is a number brought to a scale that a model can use?
//!
//! The policy for extremes: a missing number (NaN) is the mean; an infinite one, and one beyond `FAR` times the usual
//! spread (1e30 among prices), has no part in fitting the scale and lies at its end, [`CLAMP`] deviations out. So what
//! a model reads is always a number between -5 and 5, whatever the log holds.

use super::encode::{NumericField, Side};

/// A scaled number is never further from its mean than this many deviations.
pub const CLAMP: f64 = 5.0;

/// Median absolute deviations from the median beyond which a number is a slip of somebody's pen: far outside the
/// heaviest tails that logs have.
const FAR: f64 = 1e9;

/// A skewness beyond this calls for the logarithm.
const HEAVY_TAIL_SKEWNESS: f64 = 2.0;

/// Fits mean and deviation on the given rows, after `sign(x) ln(1 + |x|)` where that tames a heavy tail.
/// `None` when the rows hold fewer than two different numbers: nothing can be learned from such a column.
pub fn fit_scale(name: &str, side: Side, cells: &[f64], rows: &[u32]) -> Option<NumericField> {
    let finite = || rows.iter().map(|&row| cells[row as usize]).filter(|x| x.is_finite());
    let (low, high) = usual_range(finite().collect());
    let plain = || finite().filter(|x| (low..=high).contains(x));
    let raw = Moments::of(plain());
    let logged = Moments::of(plain().map(signed_log));
    let heavy = raw.skewness.abs() > HEAVY_TAIL_SKEWNESS;
    let log = heavy && logged.skewness.abs() < raw.skewness.abs();
    let chosen = if log { logged } else { raw };
    (chosen.deviation > 1e-12 * chosen.mean.abs().max(1e-300)).then(|| NumericField {
        name: name.to_owned(),
        side,
        log,
        mean: chosen.mean,
        deviation: chosen.deviation,
    })
}

/// From where to where numbers lie that are no slips; everything where half of them are the same.
fn usual_range(mut cells: Vec<f64>) -> (f64, f64) {
    let middle = cells.len() / 2;
    let median = |cells: &mut [f64]| match cells {
        [] => 0.0,
        cells => *cells.select_nth_unstable_by(middle, f64::total_cmp).1,
    };
    let centre = median(&mut cells);
    cells.iter_mut().for_each(|x| *x = (*x - centre).abs());
    match FAR * median(&mut cells) {
        0.0 => (f64::MIN, f64::MAX),
        reach => (centre - reach, centre + reach),
    }
}

impl NumericField {
    /// Scales every cell; a missing one is 0, the mean.
    pub fn encode<'a>(&'a self, cells: &'a [f64]) -> impl Iterator<Item = f32> + 'a {
        cells.iter().map(|&cell| self.scale(cell))
    }

    /// The cell behind a scaled number; the mean for 0, which a missing cell has as well.
    pub fn unscaled(&self, scaled: f32) -> f64 {
        let x = f64::from(scaled) * self.deviation + self.mean;
        if self.log { x.signum() * x.abs().exp_m1() } else { x }
    }

    /// A cell as a model reads it.
    pub fn scale(&self, cell: f64) -> f32 {
        if cell.is_nan() {
            return 0.0;
        }
        let x = if self.log { signed_log(cell) } else { cell };
        ((x - self.mean) / self.deviation).clamp(-CLAMP, CLAMP) as f32
    }
}

fn signed_log(x: f64) -> f64 {
    x.signum() * x.abs().ln_1p()
}

#[derive(Debug, Clone, Copy)]
struct Moments {
    mean: f64,
    deviation: f64,
    skewness: f64,
}

impl Moments {
    fn of(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let (count, sum) = numbers.clone().fold((0.0, 0.0), |(n, s), x| (n + 1.0, s + x));
        if count == 0.0 {
            return Self { mean: 0.0, deviation: 0.0, skewness: 0.0 };
        }
        let mean = sum / count;
        let (second, third) = numbers.fold((0.0, 0.0), |(second, third), x| {
            let d = x - mean;
            (second + d * d, third + d * d * d)
        });
        let deviation = (second / count).sqrt();
        let skewness = if deviation > 0.0 { third / count / deviation.powi(3) } else { 0.0 };
        Self { mean, deviation, skewness }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_tails_are_standardised_and_missing_is_the_mean() {
        let cells = [1.0, 2.0, 3.0, f64::NAN, 100.0];
        let field = fit_scale("age", Side::User, &cells, &[0, 1, 2, 3]).unwrap();
        assert!(!field.log);
        // Deviation of 1, 2, 3 around 2 is sqrt(2/3).
        let expected = [
            -(1.5f32.sqrt()),
            0.0,
            1.5f32.sqrt(),
            0.0,
            CLAMP as f32, // 98 / 0.816 is clamped; row 4 was not fitted on
        ];
        for (scaled, wanted) in field.encode(&cells).zip(expected) {
            assert!((scaled - wanted).abs() < 1e-6, "{scaled} {wanted}");
        }
    }

    #[test]
    fn a_scaled_number_leads_back_to_its_cell() {
        let cells = [-30.0, 0.5, 1.0, 2.0, 40.0];
        for log in [false, true] {
            let field = NumericField { name: "x".into(), side: Side::User, log, mean: 0.7, deviation: 9.0 };
            for cell in cells {
                assert!((field.unscaled(field.scale(cell)) - cell).abs() < 1e-3, "{cell}");
            }
        }
    }

    #[test]
    fn heavy_tails_are_logged_with_their_sign() {
        let cells: Vec<f64> = (0..1_000).map(|i| (f64::from(i) / 100.0).exp() - 1.0).collect();
        let rows: Vec<u32> = (0..1_000).collect();
        let field = fit_scale("spend", Side::Context, &cells, &rows).unwrap();
        assert!(field.log);
        // ln(1 + (e^(i/100) - 1)) = i/100, whose mean over 0..999 is 4.995.
        assert!((field.mean - 4.995).abs() < 1e-9);
        assert!((signed_log(-1.0) + 2f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn extremes_neither_move_the_scale_nor_leave_it() {
        let usual: Vec<f64> = (0..1_000).map(|i| f64::from(i % 37)).collect();
        let rows: Vec<u32> = (0..1_000).collect();
        let plain = fit_scale("price", Side::Context, &usual, &rows).unwrap();
        let extremes = [1e30, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -1e300, f64::MAX];
        let cells = [&usual[..], &extremes].concat();
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        let field = fit_scale("price", Side::Context, &cells, &rows).unwrap();
        assert_eq!((field.mean, field.deviation, field.log), (plain.mean, plain.deviation, plain.log));
        let end = CLAMP as f32;
        let far: Vec<f32> = field.encode(&cells).skip(1_000).collect();
        assert_eq!(far, [end, end, -end, 0.0, -end, end]);
    }

    #[test]
    fn a_constant_teaches_nothing() {
        let cells = [7.0, 7.0, f64::NAN];
        assert_eq!(fit_scale("k", Side::Context, &cells, &[0, 1, 2]), None);
        assert_eq!(fit_scale("none", Side::Context, &[f64::NAN], &[0]), None);
    }
}
