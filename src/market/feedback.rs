//! How does what is shown change who sees it, and do bubbles form?
//!
//! Two effects on a user's click probability while the simulation runs: fatigue (each ad of a campaign seen
//! before makes its next one less attractive) and drift (a click on a category makes the user like that
//! category more, at the cost of the others). With `follows` the bidders' predictions drift along, as those of
//! a model that reads the user's history do: then the auction shows more of what was clicked, and the bubble
//! closes. The factors are assumptions of the person at the sliders, not learnt from the log; with `rescores` the
//! model's own predictions change instead (see [`super::rescoring`]).

use serde::{Deserialize, Serialize};

/// The effects, as a person sets them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Effects {
    /// Share of the click probability that each earlier impression of the same campaign takes away, 0 to 1.
    pub fatigue: f64,
    /// Share by which a click raises the user's liking for the ad's category, 0 to 1.
    pub drift: f64,
    /// Whether predictions follow the drift, as a model that reads the history does.
    pub follows: bool,
    /// Whether what users do here is appended to their histories and the model itself predicts anew.
    pub rescores: bool,
}

impl Effects {
    /// True when nothing changes anyone.
    pub fn are_off(&self) -> bool {
        self.fatigue == 0.0 && self.drift == 0.0 && !self.rescores
    }

    /// What is wrong with the numbers, if anything.
    pub fn problem(&self) -> Option<String> {
        if self.rescores && self.follows {
            return Some(
                "predictions either follow the drift or come from the model anew, not both".to_owned(),
            );
        }
        [("fatigue", self.fatigue), ("drift", self.drift)]
            .into_iter()
            .find(|(_, share)| !(0.0..=1.0).contains(share))
            .map(|(name, share)| format!("a {name} of {share} is no share between 0 and 1"))
    }
}

/// The effects with the categories that they need.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Feedback {
    /// What happens.
    pub effects: Effects,
    /// Category of each ad, from 0; empty: all ads are of one.
    pub categories: Vec<u16>,
}

impl Feedback {
    pub(crate) fn category_of(&self, ad: u32) -> usize {
        self.categories.get(ad as usize).copied().unwrap_or(0) as usize
    }

    pub(crate) fn category_count(&self) -> usize {
        self.categories.iter().max().map_or(1, |last| *last as usize + 1)
    }
}

/// How narrow the world has become for its users.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Bubble {
    /// Mean entropy of the categories that a user was shown, over users with at least [`ENOUGH`] impressions;
    /// 1: all categories alike, 0: only one. Absent while there are no such users or only one category.
    pub entropy: Option<f64>,
    /// Users that the entropy rests on.
    pub users: u64,
    /// Share of the ads that were shown at least once.
    pub coverage: f64,
    /// Gini coefficient of the ads' impressions: 0 all alike, towards 1 all on one.
    pub concentration: f64,
}

/// Impressions from which on a user's mix of categories says something.
pub const ENOUGH: u32 = 10;

/// What users were shown and have come to like, in one world.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tastes {
    /// Categories.
    width: usize,
    /// `[user * width + category]`: factor on click probabilities; empty without drift.
    liking: Vec<f32>,
    /// `[user * width + category]`: impressions.
    shown: Vec<u32>,
    /// Impressions by ad.
    by_ad: Vec<u32>,
}

impl Tastes {
    pub fn new(feedback: &Feedback, users: usize, ads: usize) -> Self {
        let width = feedback.category_count();
        let liking = if feedback.effects.drift > 0.0 { vec![1.0; users * width] } else { Vec::new() };
        Self { width, liking, shown: vec![0; users * width], by_ad: vec![0; ads] }
    }

    /// How much more or less than at first a user likes a category.
    pub fn liking(&self, user: usize, category: usize) -> f32 {
        self.liking.get(user * self.width + category).copied().unwrap_or(1.0)
    }

    pub fn saw(&mut self, user: usize, category: usize, ad: u32) {
        self.shown[user * self.width + category] += 1;
        self.by_ad[ad as usize] += 1;
    }

    /// A click raises one liking; all are then scaled so that their mean stays 1.
    pub fn clicked(&mut self, user: usize, category: usize, drift: f64) {
        let Some(likings) = self.liking.get_mut(user * self.width..(user + 1) * self.width) else { return };
        likings[category] *= 1.0 + drift as f32;
        let mean = likings.iter().sum::<f32>() / self.width as f32;
        likings.iter_mut().for_each(|liking| *liking /= mean);
    }

    /// The measures over all users and ads so far.
    pub fn bubble(&self) -> Bubble {
        let (mut sum, mut users) = (0.0, 0u64);
        for shown in self.shown.chunks(self.width) {
            if self.width > 1 && shown.iter().sum::<u32>() >= ENOUGH {
                sum += entropy(shown);
                users += 1;
            }
        }
        let covered = self.by_ad.iter().filter(|shown| **shown > 0).count();
        Bubble {
            entropy: (users > 0).then(|| sum / users as f64),
            users,
            coverage: covered as f64 / (self.by_ad.len() as f64).max(1.0),
            concentration: gini(&self.by_ad),
        }
    }
}

/// Shannon entropy of counts over that of equal counts; 1 for a uniform mix, 0 for a single kind.
pub fn entropy(counts: &[u32]) -> f64 {
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    if counts.len() < 2 || total <= 0.0 {
        return 0.0;
    }
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    -shares.map(|share| share * share.ln()).sum::<f64>() / (counts.len() as f64).ln()
}

/// Gini coefficient of counts, `(2 sum i x_i) / (n sum x) - (n + 1) / n` over sorted `x`; 0 for nothing.
pub fn gini(counts: &[u32]) -> f64 {
    let mut sorted: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let (n, total) = (sorted.len() as f64, sorted.iter().sum::<f64>());
    if total <= 0.0 {
        return 0.0;
    }
    let weighted: f64 = sorted.iter().zip(1..).map(|(count, place)| count * f64::from(place)).sum();
    2.0 * weighted / (n * total) - (n + 1.0) / n
}

/// The weight of position `k`, from 1, in exposure: `1 / log2(1 + k)`, as in NDCG.
pub fn exposure_weight(position: usize) -> f64 {
    1.0 / (1.0 + position as f64).log2()
}
