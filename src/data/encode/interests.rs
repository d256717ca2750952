//! What did a user care about before this row? The texts of earlier rows, each halved in weight with every half-life since.
//!
//! Of texts that come with an ad only those of clicked rows count; what a user searched or read counts always. Rows of one time
//! stamp never see each other, so nothing looks ahead. Each number of a text's vector has its own weighted mean, so one pass
//! over the users' rows makes one column, whatever the log's size.

use crate::base::Result;
use crate::data::cells::NO_CODE;
use crate::data::columns::{Columns, NO_TIME};
use crate::data::encode::{KeyColumns, NumericField, Side};
use serde::{Deserialize, Serialize};

const DAY_MILLIS: f64 = 86_400_000.0;

/// How earlier texts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interest {
    /// Days after which a text counts half.
    pub half_life_days: u32,
    /// True when only texts of clicked rows count.
    pub clicked_only: bool,
}

impl Interest {
    /// As texts of a side count.
    pub(super) fn of(side: Side, half_life_days: u32) -> Self {
        Self { half_life_days, clicked_only: side == Side::Ad }
    }
}

/// The rows of a log, user by user, oldest first.
pub(super) struct Stories {
    users: Vec<u32>,
    times: Vec<i64>,
    /// Rows that have a user and a time.
    order: Vec<u32>,
    clicked: Vec<bool>,
}

impl Stories {
    /// Reads who saw each row and when; `None` where the log does not say it.
    pub(super) fn of(log: &dyn Columns, keys: &KeyColumns, label: &[f32]) -> Result<Option<Self>> {
        let (Some(user), Some(time)) = (&keys.user, &keys.time) else { return Ok(None) };
        if !log.has(user) || !log.has(time) {
            return Ok(None);
        }
        let (users, times) = (log.coded(user)?.codes.to_vec(), log.times(time)?.to_vec());
        let known = |row: &u32| users[*row as usize] != NO_CODE && times[*row as usize] != NO_TIME;
        let mut order: Vec<u32> = (0..users.len() as u32).filter(known).collect();
        order.sort_by_key(|row| (users[*row as usize], times[*row as usize], *row));
        let clicked = label.iter().map(|label| *label > 0.0).collect();
        Ok(Some(Self { users, times, order, clicked }))
    }

    /// Of each row the weighted mean of a number over the user's earlier texts; NaN where there is none.
    pub(super) fn means(&self, interest: Interest, number: impl Fn(usize) -> f64) -> Vec<f64> {
        let half_life = f64::from(interest.half_life_days) * DAY_MILLIS;
        let mut means = vec![f64::NAN; self.users.len()];
        let (mut sum, mut weight, mut before) = (0.0, 0.0, None);
        let moment = |row: u32| (self.users[row as usize], self.times[row as usize]);
        for rows in self.order.chunk_by(|a, b| moment(*a) == moment(*b)) {
            let (user, time) = moment(rows[0]);
            match before {
                Some((known, last)) if known == user => {
                    let faded = 0.5f64.powf((time - last) as f64 / half_life);
                    (sum, weight) = (sum * faded, weight * faded);
                }
                _ => (sum, weight) = (0.0, 0.0),
            }
            before = Some((user, time));
            if weight > 0.0 {
                rows.iter().for_each(|row| means[*row as usize] = sum / weight);
            }
            for row in rows.iter().map(|row| *row as usize) {
                let counts = !interest.clicked_only || self.clicked.get(row).copied().unwrap_or(false);
                let value = number(row);
                if counts && value.is_finite() {
                    (sum, weight) = (sum + value, weight + 1.0);
                }
            }
        }
        means
    }
}

/// A number of interests as models read it, scaled by the rows of `train` where it is known.
pub(super) fn scaled(name: String, all: &[f64], train: &[u32]) -> NumericField {
    let known = || train.iter().map(|row| all[*row as usize]).filter(|number| number.is_finite());
    let count = known().count().max(1) as f64;
    let mean = known().sum::<f64>() / count;
    let deviation = (known().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt().max(1e-6);
    NumericField { name, side: Side::User, log: false, mean, deviation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_texts_count_half_after_each_half_life_and_nothing_looks_ahead() {
        let day = DAY_MILLIS as i64;
        // User 0: days 0, 7, 14 twice; user 1: day 3. The second row was not clicked.
        let stories = Stories {
            users: vec![0, 0, 0, 1, 0],
            times: vec![0, 7 * day, 14 * day, 3 * day, 14 * day],
            order: vec![0, 1, 2, 4, 3],
            clicked: vec![true, false, true, true, true],
        };
        let number = |row: usize| [1.0, 3.0, 5.0, 9.0, 7.0][row];
        let all = stories.means(Interest { half_life_days: 7, clicked_only: false }, number);
        assert!(all[0].is_nan() && all[3].is_nan(), "nothing came before");
        assert_eq!(all[1], 1.0);
        // (3 / 2 + 1 / 4) / (1 / 2 + 1 / 4), and the same for both rows of the moment.
        assert!((all[2] - 7.0 / 3.0).abs() < 1e-12 && all[4] == all[2]);
        let clicked = stories.means(Interest { half_life_days: 7, clicked_only: true }, number);
        assert_eq!((clicked[1], clicked[2]), (1.0, 1.0), "what was not clicked says nothing");
    }
}
