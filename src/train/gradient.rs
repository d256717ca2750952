//! How long is a step's gradient, layer by layer, and how is it kept from getting too long?

use crate::models::network::Gradients;
use serde::{Deserialize, Serialize};

/// Euclidean lengths of the parts of one gradient.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lengths {
    /// Of each dense parameter, then of each table's touched rows, in the network's order.
    pub parts: Vec<f64>,
}

impl Lengths {
    /// Measures a gradient.
    pub fn of(gradients: &Gradients) -> Self {
        let dense = gradients.dense.iter().map(|part| length(part));
        let tables = gradients.tables.iter().map(|part| length(&part.values));
        Self { parts: dense.chain(tables).collect() }
    }

    /// Length of the whole.
    pub fn whole(&self) -> f64 {
        self.parts.iter().map(|part| part * part).sum::<f64>().sqrt()
    }
}

/// Shortens a gradient to `limit` where it is longer, its direction kept (Pascanu, Mikolov & Bengio 2013, algorithm 1);
/// 0 never does. Dense weights and touched rows are one vector.
pub fn clip(gradients: &mut Gradients, lengths: &Lengths, limit: f64) {
    let whole = lengths.whole();
    if limit <= 0.0 || whole <= limit || !whole.is_finite() {
        return;
    }
    let factor = (limit / whole) as f32;
    let dense = gradients.dense.iter_mut();
    let tables = gradients.tables.iter_mut().map(|table| &mut table.values);
    dense.chain(tables).flatten().for_each(|number| *number *= factor);
}

fn length(part: &[f32]) -> f64 {
    // Eight sums side by side, so that the processor need not wait for one addition before the next.
    let (eights, rest) = part.as_chunks::<8>();
    let mut sums = [0.0_f64; 8];
    for eight in eights {
        for (sum, number) in sums.iter_mut().zip(eight) {
            *sum += f64::from(*number) * f64::from(*number);
        }
    }
    let rest: f64 = rest.iter().map(|number| f64::from(*number).powi(2)).sum();
    (sums.iter().sum::<f64>() + rest).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tables::RowGradients;

    fn gradients() -> Gradients {
        let table = RowGradients { rows: vec![3, 9], values: vec![2.0, 4.0, 0.0, 4.0] };
        Gradients { dense: vec![vec![3.0, 4.0], vec![0.0; 20]], tables: vec![table], loss_of_clicks: 0.5 }
    }

    #[test]
    fn lengths_are_those_of_the_parts_and_of_the_whole() {
        let lengths = Lengths::of(&gradients());
        assert_eq!(lengths.parts, [5.0, 0.0, 6.0]);
        assert!((lengths.whole() - 61.0_f64.sqrt()).abs() < 1e-12);
        assert!((length(&[0.5; 21]) - (21.0_f64 * 0.25).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_long_gradient_gets_the_limit_and_keeps_its_direction_a_short_one_rests() {
        let lengths = Lengths::of(&gradients());
        let mut clipped = gradients();
        clip(&mut clipped, &lengths, 2.0);
        assert!((Lengths::of(&clipped).whole() - 2.0).abs() < 1e-6);
        let ratio = f64::from(clipped.dense[0][0]) / 3.0;
        assert!((f64::from(clipped.tables[0].values[3]) / 4.0 - ratio).abs() < 1e-7);
        for limit in [0.0, 8.0] {
            let mut same = gradients();
            clip(&mut same, &lengths, limit);
            assert_eq!(same.dense, gradients().dense);
        }
    }
}
