//! Does the model rank within each user? AUC per user, weighted by impressions (gAUC).

use super::ranking::ascending_bits;
use super::rates::Estimate;
use rayon::prelude::*;

/// A row whose user is not known stands in no group.
pub const NO_GROUP: u32 = u32::MAX;

/// AUC of every user who can be ranked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupedAuc {
    /// User, impressions, AUC; in order of users.
    pub groups: Vec<RankedGroup>,
    /// Users whose rows hold one class only: nothing to rank, left out.
    pub one_class: usize,
    /// Impressions of those users and of rows without a user.
    pub left_out: f64,
}

/// One user with clicks and non-clicks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedGroup {
    /// The user's code.
    pub group: u32,
    /// Impressions.
    pub weight: f64,
    /// Chance that a click of this user is scored above a non-click, ties half.
    pub auc: f64,
}

impl GroupedAuc {
    /// Ranks within groups. `weights` may be empty (all 1). `None` when a score is NaN.
    pub fn of(scores: &[f32], labels: &[f32], weights: &[f32], groups: &[u32]) -> Option<Self> {
        let rows = scores.len().min(labels.len()).min(groups.len());
        if scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        let mut order: Vec<(u64, u32)> = (0..rows)
            .into_par_iter()
            .map(|row| (u64::from(groups[row]) << 32 | u64::from(ascending_bits(scores[row])), row as u32))
            .collect();
        order.par_sort_unstable();
        let mut found = Self::default();
        for group in order.chunk_by(|a, b| a.0 >> 32 == b.0 >> 32) {
            let code = group.first().map_or(NO_GROUP, |(key, _)| (key >> 32) as u32);
            let (auc, weight) = auc_of_sorted(group, labels, weights);
            match auc {
                Some(auc) if code != NO_GROUP => found.groups.push(RankedGroup { group: code, weight, auc }),
                _ => {
                    found.one_class += usize::from(code != NO_GROUP);
                    found.left_out += weight;
                }
            }
        }
        Some(found)
    }

    /// `sum n_u AUC_u / sum n_u` over users with both classes (Zhou et al., KDD 2018, section 5.2, as in
    /// FuxiCTR). `None` without such a user.
    pub fn value(&self) -> Option<f64> {
        let (mut sum, mut total) = (0.0, 0.0);
        for group in &self.groups {
            sum += group.weight * group.auc;
            total += group.weight;
        }
        (total > 0.0).then(|| sum / total)
    }

    /// [`value`](Self::value) with the normal 95 % interval of a ratio of sums over users (Cochran 1977, section
    /// 6.4): users are the observations, their rows are not.
    pub fn estimate(&self) -> Option<Estimate> {
        let value = self.value()?;
        let (mut squares, mut total) = (0.0, 0.0);
        for group in &self.groups {
            squares += (group.weight * (group.auc - value)).powi(2);
            total += group.weight;
        }
        let users = self.groups.len() as f64;
        if users < 2.0 {
            return Some(Estimate { value, low: 0.0, high: 1.0 });
        }
        let error = (squares * users / (users - 1.0)).sqrt() / total;
        let Estimate { value, low, high } = Estimate::normal(value, error);
        Some(Estimate { value, low: low.max(0.0), high: high.min(1.0) })
    }
}

/// AUC and weight of rows sorted by rising score; no AUC where they hold one class.
fn auc_of_sorted(sorted: &[(u64, u32)], labels: &[f32], weights: &[f32]) -> (Option<f64>, f64) {
    let (mut clicks, mut others, mut pairs) = (0.0, 0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let (mut tied_clicks, mut tied_others) = (0.0, 0.0);
        for (_, row) in ties {
            let row = *row as usize;
            let weight = weights.get(row).map_or(1.0, |&w| f64::from(w));
            let label = f64::from(labels[row]).clamp(0.0, 1.0);
            tied_clicks += weight * label;
            tied_others += weight * (1.0 - label);
        }
        pairs += tied_clicks * (others + 0.5 * tied_others);
        clicks += tied_clicks;
        others += tied_others;
    }
    ((clicks > 0.0 && others > 0.0).then(|| pairs / (clicks * others)), clicks + others)
}

#[cfg(test)]
mod tests {
    use super::super::ranking::auc;
    use super::super::test_data::scored;
    use super::*;

    #[test]
    fn of_one_user_it_is_the_auc() {
        let (scores, labels, weights) = scored();
        let one = GroupedAuc::of(&scores, &labels, &weights, &[7; 500]).unwrap();
        let whole = auc(&scores, &labels, &weights).unwrap();
        assert!((one.value().unwrap() - whole).abs() < 1e-12);
        assert_eq!((one.groups.len(), one.one_class, one.left_out), (1, 0, 0.0));
    }

    #[test]
    fn users_weigh_by_their_impressions_and_one_class_is_counted_out() {
        // User 1: perfect on 3 rows. User 2: wrong on 2 rows. User 3: clicks only. One row of nobody.
        let scores = [0.9, 0.2, 0.1, 0.3, 0.4, 0.5, 0.5];
        let labels = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let groups = [1, 1, 1, 2, 2, 3, NO_GROUP];
        let found = GroupedAuc::of(&scores, &labels, &[], &groups).unwrap();
        assert_eq!(found.value(), Some(3.0 / 5.0));
        assert_eq!((found.one_class, found.left_out), (1, 2.0));
        assert_eq!(GroupedAuc::of(&[0.5], &[1.0], &[], &[0]).unwrap().value(), None);
        assert_eq!(GroupedAuc::of(&[f32::NAN], &[1.0], &[], &[0]), None);
    }

    #[test]
    fn a_score_that_only_knows_the_user_ranks_nobody() {
        let groups: Vec<u32> = (0..400).map(|row| row % 20).collect();
        let scores: Vec<f32> = groups.iter().map(|user| *user as f32 / 20.0).collect();
        let labels: Vec<f32> = (0..400u32).map(|row| f32::from(row / 20 % 3 == 0)).collect();
        assert_eq!(GroupedAuc::of(&scores, &labels, &[], &groups).unwrap().value(), Some(0.5));
    }
}
