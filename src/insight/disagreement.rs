//! Where are two models of different minds, which of them is right there, and whom does the other serve better?

use crate::data::Dataset;
use crate::data::dataset::take_known;
use crate::metrics::Estimate;
use crate::metrics::calibration::losses;
use crate::metrics::paired::{McNemar, UserGains};
use crate::train::{Scored, log_odds};
use serde::{Deserialize, Serialize};

/// Users and rows that are named at most, of each sort.
const NAMED: usize = 8;

/// Two models on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// From which probability on both say click: the click rate of the rows.
    pub threshold: f64,
    /// Who is right on which rows then.
    pub right: McNemar,
    /// Mean distance of the log odds.
    pub apart: f64,
    /// Who gains by the second model; `None` where the log has no users.
    pub users: Option<Gains>,
    /// Rows on which the log odds are furthest apart.
    pub rows: Vec<RowApart>,
}

/// Users that gain and lose, the most of them by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gains {
    /// How many, and by how much.
    pub gains: UserGains,
    /// Names of the winners, in their order.
    pub winners: Vec<String>,
    /// Names of the losers, in their order.
    pub losers: Vec<String>,
}

/// A row on which two models differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RowApart {
    /// Row of the log.
    pub row: u32,
    /// Probability by the first model.
    pub first: f64,
    /// Probability by the second.
    pub second: f64,
    /// Where one more member would put each, 95 %, of ensembles.
    #[serde(default)]
    pub intervals: [Option<Estimate>; 2],
    /// What happened.
    pub label: f64,
}

/// Compares the scores of two models of some rows with outcomes.
pub fn disagreement(scored: [&Scored; 2], dataset: &Dataset, rows: &[u32]) -> Disagreement {
    let scores = scored.map(|scored| scored.p.as_slice());
    let (labels, weights) = (take_known(&dataset.label, rows), take_known(&dataset.weight, rows));
    let users = take_known(&dataset.users, rows);
    let clicks: f64 = labels.iter().map(|label| f64::from(*label)).sum();
    let threshold = clicks / labels.len().max(1) as f64;
    let odds = scores.map(|scores| -> Vec<f32> {
        // As the log loss keeps them: a score of 0 or 1 is infinitely far from any other.
        let bounded = |p: f32| f64::from(p.clamp(f32::EPSILON, 1.0 - f32::EPSILON));
        scores.iter().map(|p| log_odds(bounded(*p)) as f32).collect()
    });
    let [first, second] = [&odds[0], &odds[1]].map(|odds| losses(odds, &labels));
    let saved: Vec<f64> = first.iter().zip(&second).map(|(first, second)| first - second).collect();
    let gap = |row: usize| f64::from((odds[0][row] - odds[1][row]).abs());
    let apart = (0..rows.len()).map(gap).sum::<f64>() / rows.len().max(1) as f64;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let most = NAMED.min(order.len());
    if most > 0 {
        order.select_nth_unstable_by(most - 1, |a, b| gap(*b).total_cmp(&gap(*a)).then(a.cmp(b)));
        order.truncate(most);
        order.sort_by(|a, b| gap(*b).total_cmp(&gap(*a)).then(a.cmp(b)));
    }
    let of_row = |place: &usize| RowApart {
        row: rows[*place],
        first: f64::from(scores[0][*place]),
        second: f64::from(scores[1][*place]),
        intervals: scored.map(|scored| scored.interval(*place)),
        label: f64::from(labels[*place]),
    };
    let users = (!users.is_empty()).then(|| {
        let gains = UserGains::of(&saved, &weights, &users, NAMED);
        let named = |of: &[crate::metrics::paired::UserGain]| {
            of.iter().map(|gain| name_of(dataset, rows, &users, gain.user)).collect()
        };
        Gains { winners: named(&gains.winners), losers: named(&gains.losers), gains }
    });
    Disagreement {
        threshold,
        right: McNemar::of(scores, [threshold; 2], &labels),
        apart,
        users,
        rows: order.iter().map(of_row).collect(),
    }
}

/// What a user is called where the model knows users one by one, else the user's place.
fn name_of(dataset: &Dataset, rows: &[u32], users: &[u32], user: u32) -> String {
    let field = dataset.encoder.user_field();
    let row = users.iter().position(|other| *other == user).map(|place| rows[place] as usize);
    let known = field.zip(row).and_then(|(field, row)| {
        let id = *dataset.categorical.get(field)?.get(row)?;
        let is_named = id >= crate::data::batch::FIRST_VALUE_ID;
        is_named.then(|| dataset.encoder.categorical[field].name_of(id))
    });
    known.unwrap_or_else(|| format!("user no. {}", user + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_model_gains_where_its_loss_is_smaller() {
        let dataset = Dataset {
            rows: 4,
            label: vec![1.0, 0.0, 1.0, 0.0].into(),
            users: vec![0, 0, 1, 2].into(),
            ..Dataset::default()
        };
        let scored = |p: [f32; 4]| Scored { p: p.to_vec(), intervals: None };
        let scores = [scored([0.5, 0.5, 0.9, 0.5]), scored([0.8, 0.5, 0.6, 0.01])];
        let found = disagreement([&scores[0], &scores[1]], &dataset, &[0, 1, 2, 3]);
        assert_eq!(found.threshold, 0.5);
        // The first says click everywhere, the second not in the last row.
        let right = found.right;
        assert_eq!((right.both, right.only_first, right.only_second, right.neither), (2, 0, 1, 1));
        assert_eq!(found.rows[0].row, 3);
        let users = found.users.unwrap();
        assert_eq!((users.gains.gain, users.gains.lose), (2, 1));
        assert_eq!((users.winners[0].as_str(), users.losers[0].as_str()), ("user no. 3", "user no. 2"));
    }
}
