//! Which weights give an audience the shares that are wanted? Raking (Deming & Stephan 1940).
//!
//! Each margin in turn scales the weights of its values to their shares, over and over, until all margins hold at once.
//! Of all weights with these margins that is the set nearest to the old ones (Ireland & Kullback 1968). Rows that have
//! the same value of every margin always share a factor, so the work is done on the distinct combinations.

use std::collections::HashMap;

/// The shares wanted of the values of one column.
#[derive(Debug, Clone, Copy)]
pub struct Margin<'a> {
    /// The value of each row, as its place in `shares`.
    pub codes: &'a [u32],
    /// Share wanted of each value; they sum to 1.
    pub shares: &'a [f64],
}

/// Weights that hold every margin.
#[derive(Debug, Clone, PartialEq)]
pub struct Raked {
    /// A weight a row; they sum to what the old ones summed to.
    pub weights: Vec<f64>,
    /// Rounds over all margins.
    pub rounds: usize,
    /// The largest difference left between a share and what was wanted.
    pub error: f64,
    /// `(sum w)^2 / sum w^2`: the audience is worth as many rows of equal weight.
    pub effective: f64,
}

/// Margins hold to this.
pub const TOLERANCE: f64 = 1e-9;
const MOST_ROUNDS: usize = 10_000;

/// Rakes weights to margins.
///
/// # Errors
/// Lists that do not fit, shares that are none, a share wanted of a value that nobody has, margins that contradict each
/// other on these rows: in words, with the number of the margin from 0.
pub fn rake(weights: &[f64], margins: &[Margin<'_>]) -> Result<Raked, (usize, String)> {
    for (place, margin) in margins.iter().enumerate() {
        check(weights, margin).map_err(|why| (place, why))?;
    }
    let total: f64 = weights.iter().sum();
    let cells = Cells::of(weights, margins);
    for (place, margin) in margins.iter().enumerate() {
        let sums = cells.sums(place, margin.shares.len(), &cells.weights);
        if let Some(value) = (0..sums.len()).find(|value| margin.shares[*value] > 0.0 && sums[*value] <= 0.0)
        {
            let why = format!("a share of {} is wanted of a value that nobody has", margin.shares[value]);
            return Err((place, why));
        }
    }
    let mut raked = cells.weights.clone();
    let mut error = f64::INFINITY;
    for round in 1..=MOST_ROUNDS {
        for (place, margin) in margins.iter().enumerate() {
            let sums = cells.sums(place, margin.shares.len(), &raked);
            let factors: Vec<f64> = sums
                .iter()
                .zip(margin.shares)
                .map(|(sum, share)| if *sum > 0.0 { share * total / sum } else { 0.0 })
                .collect();
            for (cell, weight) in raked.iter_mut().enumerate() {
                *weight *= factors[cells.codes[cell * margins.len() + place] as usize];
            }
        }
        let missed = |place: usize| {
            let shares = margins[place].shares;
            let sums = cells.sums(place, shares.len(), &raked);
            sums.iter().zip(shares).map(|(sum, share)| (sum / total - share).abs()).fold(0.0, f64::max)
        };
        let (worst, now) = (0..margins.len())
            .map(|place| (place, missed(place)))
            .fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
        if now <= TOLERANCE {
            let weights: Vec<f64> = (cells.of_row.iter().zip(weights))
                .map(|(cell, old)| {
                    let cell = *cell as usize;
                    if cells.weights[cell] > 0.0 { old * raked[cell] / cells.weights[cell] } else { 0.0 }
                })
                .collect();
            let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
            let effective = if squares > 0.0 { total * total / squares } else { 0.0 };
            return Ok(Raked { weights, rounds: round, error: now, effective });
        }
        // Where margins contradict each other, the error stops falling far above the tolerance.
        if round % 100 == 0 {
            if now > 0.999 * error {
                return Err((worst, contradiction(now)));
            }
            error = now;
        }
    }
    Err((0, contradiction(error)))
}

fn contradiction(error: f64) -> String {
    format!(
        "the shares contradict each other on these rows: they cannot all hold, {:.3} % are left over",
        100.0 * error
    )
}

fn check(weights: &[f64], margin: &Margin<'_>) -> Result<(), String> {
    let sum: f64 = margin.shares.iter().sum();
    if weights.is_empty() || weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
        return Err("a weight is negative or no number, or there are none".to_owned());
    }
    if weights.iter().sum::<f64>() <= 0.0 {
        return Err("nobody has any weight".to_owned());
    }
    if margin.codes.len() != weights.len()
        || margin.codes.iter().any(|code| *code as usize >= margin.shares.len())
    {
        return Err("its values do not fit the rows".to_owned());
    }
    if margin.shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
        return Err("a share is not between 0 and 1".to_owned());
    }
    if (sum - 1.0).abs() > TOLERANCE { Err(format!("its shares sum to {sum} and not to 1")) } else { Ok(()) }
}

/// The distinct combinations of values.
struct Cells {
    /// The cell of each row.
    of_row: Vec<u32>,
    /// `[cell * margins + margin]`.
    codes: Vec<u32>,
    /// The old weight of each cell.
    weights: Vec<f64>,
    margins: usize,
}

impl Cells {
    fn of(weights: &[f64], margins: &[Margin<'_>]) -> Self {
        let mut cells = Self {
            of_row: Vec::with_capacity(weights.len()),
            codes: Vec::new(),
            weights: Vec::new(),
            margins: margins.len(),
        };
        // Combinations are numbered margin by margin, so that a key is never longer than two words.
        let mut of_row = vec![0u32; weights.len()];
        for margin in margins {
            let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
            for (number, code) in of_row.iter_mut().zip(margin.codes) {
                let next = numbers.len() as u32;
                *number = *numbers.entry((*number, *code)).or_insert(next);
            }
        }
        for (row, cell) in of_row.iter().enumerate() {
            let cell = *cell as usize;
            if cell >= cells.weights.len() {
                cells.weights.resize(cell + 1, 0.0);
                cells.codes.resize((cell + 1) * margins.len(), 0);
                for (place, margin) in margins.iter().enumerate() {
                    cells.codes[cell * margins.len() + place] = margin.codes[row];
                }
            }
            cells.weights[cell] += weights[row];
        }
        cells.of_row = of_row;
        cells
    }

    /// The weight of each value of a margin.
    fn sums(&self, place: usize, values: usize, weights: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; values];
        for (cell, weight) in weights.iter().enumerate() {
            sums[self.codes[cell * self.margins + place] as usize] += weight;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_table_of_two_margins_is_raked_to_the_known_answer() {
        // Cells 40, 30 / 35, 50; rows to 60 and 95, columns to 50 and 105 of 155: the odds ratio 40 x 50 / (30 x 35) stays.
        let (mut rows, mut columns, mut weights) = (vec![], vec![], vec![]);
        for (row, column, weight) in [(0, 0, 40.0), (0, 1, 30.0), (1, 0, 35.0), (1, 1, 50.0)] {
            rows.push(row);
            columns.push(column);
            weights.push(weight);
        }
        let margins = [
            Margin { codes: &rows, shares: &[60.0 / 155.0, 95.0 / 155.0] },
            Margin { codes: &columns, shares: &[50.0 / 155.0, 105.0 / 155.0] },
        ];
        let raked = rake(&weights, &margins).unwrap();
        let [a, b, c, d] = raked.weights.as_slice() else { panic!("four cells") };
        assert!((a + b - 60.0).abs() < 1e-6 && (a + c - 50.0).abs() < 1e-6, "{raked:?}");
        assert!((a * d / (b * c) - 40.0 * 50.0 / (30.0 * 35.0)).abs() < 1e-6);
        assert!(raked.error <= TOLERANCE && (raked.weights.iter().sum::<f64>() - 155.0).abs() < 1e-9);
    }

    #[test]
    fn five_margins_of_random_rows_hold_to_a_billionth() {
        let mut rng = Rng::named(5, "raking");
        let n = 20_000;
        let sizes = [2usize, 5, 8, 3, 6];
        let codes: Vec<Vec<u32>> =
            sizes.iter().map(|size| (0..n).map(|_| rng.below(*size) as u32).collect()).collect();
        let shares: Vec<Vec<f64>> = sizes
            .iter()
            .map(|size| {
                let raw: Vec<f64> = (0..*size).map(|_| 0.2 + rng.uniform()).collect();
                let sum: f64 = raw.iter().sum();
                raw.iter().map(|share| share / sum).collect()
            })
            .collect();
        let margins: Vec<Margin<'_>> =
            codes.iter().zip(&shares).map(|(codes, shares)| Margin { codes, shares }).collect();
        let raked = rake(&vec![1.0; n], &margins).unwrap();
        for (codes, shares) in codes.iter().zip(&shares) {
            for (value, share) in shares.iter().enumerate() {
                let sum: f64 = codes
                    .iter()
                    .zip(&raked.weights)
                    .filter(|(c, _)| **c as usize == value)
                    .map(|(_, w)| w)
                    .sum();
                assert!((sum / n as f64 - share).abs() < 2e-9, "{sum} {share}");
            }
        }
        assert!(raked.effective < n as f64 && raked.effective > 0.2 * n as f64);
    }

    #[test]
    fn what_cannot_hold_is_refused() {
        let ones = [1.0; 4];
        let why = |margins: &[Margin<'_>]| rake(&ones, margins).unwrap_err();
        // Both columns are the same, and shall have different shares.
        let same = [0, 0, 1, 1];
        let (place, text) = why(&[
            Margin { codes: &same, shares: &[0.3, 0.7] },
            Margin { codes: &same, shares: &[0.6, 0.4] },
        ]);
        assert!(text.contains("contradict"), "{place} {text}");
        assert!(why(&[Margin { codes: &same, shares: &[0.3, 0.3, 0.4] }]).1.contains("nobody has"));
        assert!(why(&[Margin { codes: &same, shares: &[0.3, 0.3] }]).1.contains("sum to 0.6"));
        assert!(why(&[Margin { codes: &same, shares: &[-0.3, 1.3] }]).1.contains("between"));
        assert!(why(&[Margin { codes: &[0], shares: &[1.0] }]).1.contains("fit"));
        assert!(rake(&[0.0; 2], &[Margin { codes: &[0, 0], shares: &[1.0] }]).is_err());
        assert_eq!(rake(&ones, &[]).unwrap().weights, ones);
    }
}
