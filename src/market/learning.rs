//! What does a learner make of what happens here, while it happens? Profile -> recommend -> feedback -> update.
//!
//! The bidders' model stays as it is. On top of its log odds a learner of one pass ([`crate::train::online`]) adds what the
//! clicks of this very run taught: `p = sigmoid(logit p0 + f(user, ad))`, over hashed values of the user, of the ad, and of
//! each pair of them. It begins with `f = 0`, so it begins as the frozen model to the bit; what differs later was learnt.
//! Every impression is scored before it teaches anything, and a slot that is looked at with the share `e` teaches by
//! `P(click) = e p`.
//!
//! The guard does two things. Detectors of drift (ADWIN, Page-Hinkley) watch the loss from the 19,200th impression on,
//! until which they learn what is usual; on an alarm the learner's steps
//! become large again, so that the new tastes are learnt as fast as the first ones were. And where what was learnt has
//! predicted worse than the frozen model beyond chance, it is not used until it is no worse any more; it goes on learning
//! meanwhile.

use crate::base::params::ParamValue;
use crate::base::{Failure, Params, Result};
use crate::data::hashed::{HashedColumn, Hashing};
use crate::metrics::Estimate;
use crate::nn::losses::sigmoid;
use crate::train::online::progress::{Alarm, Progress};
use crate::train::online::{ONLINE_PARAMS, Online};
use serde::{Deserialize, Serialize};

/// How the bidders of a world learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Learning {
    /// Knobs of the learner ([`ONLINE_PARAMS`]); what is missing takes its default.
    #[serde(skip_serializing_if = "has_none")]
    pub params: Params,
    /// Watches for drift and holds a learner back that does harm.
    pub guard: bool,
}

/// What people like turns during the run: from one page on each ad is liked, in part, as another one was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// The share of the run after which it happens, 0 to 1.
    pub at: f64,
    /// How far: 0 not at all, 1 each ad is liked wholly as the one half the list further on was.
    pub strength: f64,
}

impl Default for Learning {
    fn default() -> Self {
        let mut params = Params::default();
        params.put("hash_bits", ParamValue::Integer(HASH_BITS));
        Self { params, guard: true }
    }
}

fn has_none(params: &Params) -> bool {
    params.iter().next().is_none()
}

/// Slots of the table are 2 to this power, where no knobs are named.
const HASH_BITS: i64 = 18;
/// Memory that a table may take.
const MEMORY: u64 = 1 << 30;
/// Of the squares that make steps small, this share is kept after an alarm.
const KEPT_AT_ALARM: f32 = 0.05;
/// Impressions after an alarm before the next one is heeded: the learner needs them to settle.
const SETTLES: u64 = 2_000;
/// Impressions whose losses the guard compares at once, and blocks that it looks back.
const BLOCK: u64 = 250;
const BLOCKS: usize = 8;
/// Deviations by which the learnt part must be worse before it is held back.
const WORSE: f64 = 2.0;
/// A prediction keeps away from 0 and 1, where its log odds end.
const EDGE: f64 = 1e-6;

impl Learning {
    /// Its knobs, completed.
    ///
    /// # Errors
    /// A knob out of bounds or unknown.
    pub fn knobs(&self) -> Result<Params> {
        self.params.completed(ONLINE_PARAMS)
    }
}

impl Turn {
    /// What is wrong with the numbers, if anything.
    pub fn problem(&self) -> Option<String> {
        [("at", self.at), ("strength", self.strength)]
            .into_iter()
            .find(|(_, share)| !(0.0..=1.0).contains(share))
            .map(|(name, share)| format!("{name} {share} is no share between 0 and 1"))
    }
}

/// What a learner reads of users and ads, and how it learns.
#[derive(Debug, Clone, PartialEq)]
pub struct Lessons {
    /// `[row * user_fields + field]`: hashed values of each pooled request.
    users: Vec<u32>,
    user_fields: usize,
    /// `[ad * ad_fields + field]`: hashed values of each ad.
    ads: Vec<u32>,
    ad_fields: usize,
    params: Params,
    guard: bool,
}

impl Lessons {
    /// From hashed values, so many fields each; an ad beyond the list (of an unknown advertiser) is not learnt of.
    ///
    /// # Errors
    /// Lists that are no rows of so many fields, or no fields of ads; a knob out of bounds.
    pub fn new(
        (users, user_fields): (Vec<u32>, usize),
        (ads, ad_fields): (Vec<u32>, usize),
        learning: &Learning,
    ) -> Result<Self> {
        let misfit = |list: &[u32], fields: usize| fields > 0 && !list.len().is_multiple_of(fields);
        if ad_fields == 0 || misfit(&users, user_fields) || misfit(&ads, ad_fields) {
            let why = "nothing of the ads can be told apart";
            return Err(Failure::new("cannot learn while ads are shown", why)
                .hint("give the column with ad or item ids the role ad"));
        }
        let params = learning.knobs()?;
        Ok(Self { users, user_fields, ads, ad_fields, params, guard: learning.guard })
    }

    /// Ads that are learnt of.
    fn ad_count(&self) -> usize {
        self.ads.len() / self.ad_fields
    }

    /// Values of a pair: the user's, the ad's, each of one with each of the other.
    fn fields(&self) -> usize {
        self.user_fields + self.ad_fields + self.user_fields * self.ad_fields
    }

    fn read(&self, row: usize, ad: usize, features: &mut Vec<u32>) {
        let users = &self.users[row * self.user_fields..(row + 1) * self.user_fields];
        let ads = &self.ads[ad * self.ad_fields..(ad + 1) * self.ad_fields];
        features.clear();
        features.extend_from_slice(users);
        features.extend_from_slice(ads);
        for user in users {
            features.extend(ads.iter().map(|ad| {
                let pair = (u64::from(*user) << 32) | u64::from(*ad);
                (crate::base::rng::mix(pair) >> 32) as u32
            }));
        }
    }
}

/// What came of learning in one world.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Learnt {
    /// Impressions that taught.
    pub updates: u64,
    /// Log loss of the frozen model less that of the learner, an impression, each scored before it taught: above 0 the
    /// learner predicted better. What was learnt counts whether it was held back or not.
    pub gain: Estimate,
    /// Impressions at which what was learnt was held back.
    pub held_back: u64,
    /// Whether it is held back now.
    pub is_held_back: bool,
    /// What the detectors of drift found; their rows are impressions.
    pub alarms: Vec<Alarm>,
    /// Impressions so far, then the mean log losses since the point before: frozen, with what was learnt.
    pub curve: Vec<[f64; 3]>,
}

/// Points of the curve at most; they are merged in pairs beyond.
const POINTS: usize = 128;

/// A learner in one world.
pub(super) struct Learner {
    online: Online,
    progress: Progress,
    scores: Vec<f32>,
    features: Vec<u32>,
    guard: Guard,
    heeded: usize,
    settled_at: u64,
    curve: Curve,
    /// Sums of the paired differences of losses, and of their squares.
    gain: [f64; 2],
}

/// One impression as a learner sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lesson {
    pub row: usize,
    pub ad: u32,
    /// What the frozen model predicts.
    pub frozen: f32,
    /// How often the slot is looked at.
    pub look: f64,
    pub clicked: bool,
}

impl Learner {
    /// A learner that has seen nothing.
    ///
    /// # Errors
    /// A table beyond the memory that it may take.
    pub fn new(lessons: &Lessons) -> Result<Self> {
        let column = |field| HashedColumn { name: format!("value {field}"), numbers: false };
        let columns = (0..lessons.fields()).map(column).collect();
        let hashing = Hashing { outcome: "click".to_owned(), columns, ..Hashing::default() };
        Ok(Self {
            online: Online::new(&lessons.params, hashing, MEMORY)?,
            progress: Progress::default(),
            scores: Vec::new(),
            features: Vec::new(),
            guard: Guard::default(),
            heeded: 0,
            settled_at: 0,
            curve: Curve::default(),
            gain: [0.0; 2],
        })
    }

    /// Predicts anew for all ads of a request.
    pub fn predict(&mut self, lessons: &Lessons, row: usize, frozen: &[f32]) {
        self.scores.clear();
        self.scores.extend_from_slice(frozen);
        if self.guard.holds_back {
            return;
        }
        for (ad, frozen) in frozen.iter().enumerate().take(lessons.ad_count()) {
            self.scores[ad] = self.believed(lessons, row, ad, *frozen).0 as f32;
        }
    }

    /// What was predicted for the request in hand, ad by ad.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The probability with what was learnt, and what was learnt in log odds.
    fn believed(&mut self, lessons: &Lessons, row: usize, ad: usize, frozen: f32) -> (f64, f64) {
        lessons.read(row, ad, &mut self.features);
        let learnt = f64::from(self.online.log_odds(&self.features));
        (
            if learnt == 0.0 { f64::from(frozen) } else { sigmoid(log_odds(f64::from(frozen)) + learnt) },
            learnt,
        )
    }

    /// Learns from an impression; answers by how much it moved the log odds of this very user and ad.
    pub fn learn(&mut self, lessons: &Lessons, lesson: Lesson) -> f32 {
        let Lesson { row, ad, frozen, look, clicked } = lesson;
        if ad as usize >= lessons.ad_count() || look <= 0.0 {
            return 0.0;
        }
        let (p, learnt) = self.believed(lessons, row, ad as usize, frozen);
        let (p, frozen) = (clamp(p), clamp(f64::from(frozen)));
        let losses = [loss(look * frozen, clicked), loss(look * p, clicked)];
        let label = f64::from(u8::from(clicked));
        self.progress.add(log_odds(look * p), look * p, (label, 1.0), None);
        // The derivative of -ln P by the log odds of p, where P(click) = look p.
        let gradient = if clicked { p - 1.0 } else { look * p * (1.0 - p) / (1.0 - look * p) };
        self.online.learn(gradient as f32);
        let gain = losses[0] - losses[1];
        self.gain = [self.gain[0] + gain, self.gain[1] + gain * gain];
        self.curve.add(losses);
        if lessons.guard {
            self.guard.add(gain);
            self.heed();
        }
        (f64::from(self.online.log_odds(&self.features)) - learnt) as f32
    }

    /// Steps become large again after an alarm of the detectors.
    fn heed(&mut self) {
        let alarms = self.progress.alarms.len();
        if alarms == self.heeded {
            return;
        }
        self.heeded = alarms;
        if self.progress.whole.rows >= self.settled_at {
            self.settled_at = self.progress.whole.rows + SETTLES;
            self.online.quicken(KEPT_AT_ALARM);
        }
    }

    /// What came of it so far.
    pub fn told(&self) -> Learnt {
        let n = self.progress.whole.rows as f64;
        let mean = self.gain[0] / n.max(1.0);
        let variance = (self.gain[1] / n.max(1.0) - mean * mean).max(0.0);
        let error = if n > 1.0 { (variance / (n - 1.0)).sqrt() } else { f64::INFINITY };
        Learnt {
            updates: self.progress.whole.rows,
            gain: Estimate::normal(mean, error),
            held_back: self.guard.held_back,
            is_held_back: self.guard.holds_back,
            alarms: self.progress.alarms.clone(),
            curve: self
                .curve
                .points
                .iter()
                .map(|[n, frozen, learnt]| [*n, frozen / n, learnt / n])
                .scan(0.0, |so_far, [n, frozen, learnt]| {
                    *so_far += n;
                    Some([*so_far, frozen, learnt])
                })
                .collect(),
        }
    }
}

/// Whether what was learnt may be used.
#[derive(Debug, Default)]
struct Guard {
    holds_back: bool,
    held_back: u64,
    /// Impressions, sum and sum of squares of the gains of the latest blocks.
    blocks: std::collections::VecDeque<[f64; 3]>,
}

impl Guard {
    fn add(&mut self, gain: f64) {
        self.held_back += u64::from(self.holds_back);
        match self.blocks.back_mut().filter(|block| block[0] < BLOCK as f64) {
            Some(block) => *block = [block[0] + 1.0, block[1] + gain, block[2] + gain * gain],
            None => self.blocks.push_back([1.0, gain, gain * gain]),
        }
        if self.blocks.back().is_some_and(|block| block[0] >= BLOCK as f64) {
            while self.blocks.len() > BLOCKS {
                self.blocks.pop_front();
            }
            self.judge();
        }
    }

    fn judge(&mut self) {
        let [n, sum, squares] =
            self.blocks.iter().fold([0.0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
        let mean = sum / n;
        let error = ((squares / n - mean * mean).max(0.0) / n).sqrt();
        self.holds_back = if self.holds_back { mean < 0.0 } else { mean < -WORSE * error };
    }
}

/// Losses over the run in stretches of equal length.
#[derive(Debug, Default)]
struct Curve {
    /// Impressions, frozen, learnt.
    points: Vec<[f64; 3]>,
    length: f64,
}

impl Curve {
    fn add(&mut self, [frozen, learnt]: [f64; 2]) {
        if self.length == 0.0 {
            self.length = 64.0;
        }
        match self.points.last_mut().filter(|point| point[0] < self.length) {
            Some(point) => *point = [point[0] + 1.0, point[1] + frozen, point[2] + learnt],
            None => {
                if self.points.len() == POINTS {
                    let pairs = self.points.chunks(2);
                    let sum = |place: usize, pair: &[[f64; 3]]| pair.iter().map(|point| point[place]).sum();
                    self.points = pairs.map(|pair| [0, 1, 2].map(|place| sum(place, pair))).collect();
                    self.length *= 2.0;
                }
                self.points.push([1.0, frozen, learnt]);
            }
        }
    }
}

fn clamp(p: f64) -> f64 {
    p.clamp(EDGE, 1.0 - EDGE)
}

fn log_odds(p: f64) -> f64 {
    let p = clamp(p);
    (p / (1.0 - p)).ln()
}

fn loss(p: f64, clicked: bool) -> f64 {
    if clicked { -p.ln() } else { -(-p).ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn lessons(guard: bool, step: &str) -> Lessons {
        let mut learning = Learning { guard, ..Learning::default() };
        learning.params.set(ONLINE_PARAMS, "alpha", step).unwrap();
        Lessons::new(((0..4).collect(), 1), ((100..103).collect(), 1), &learning).unwrap()
    }

    /// Impressions of four kinds of users and three ads; clicks as `truth` says.
    fn teach(
        learner: &mut Learner,
        lessons: &Lessons,
        n: usize,
        seed: u64,
        truth: impl Fn(usize, usize) -> f64,
    ) {
        let mut rng = Rng::named(seed, "lessons");
        for _ in 0..n {
            let (row, ad) = (rng.below(4), rng.below(3));
            let clicked = rng.chance(truth(row, ad));
            learner.learn(lessons, Lesson { row, ad: ad as u32, frozen: 0.1, look: 1.0, clicked });
        }
    }

    #[test]
    fn it_begins_as_the_frozen_model_and_ends_near_the_truth() {
        let lessons = lessons(true, "0.1");
        let mut learner = Learner::new(&lessons).unwrap();
        let frozen = [0.1, 0.2, 0.3, 0.4];
        learner.predict(&lessons, 0, &frozen);
        assert_eq!(learner.scores(), frozen);
        let truth = |row: usize, ad: usize| if row % 3 == ad { 0.3 } else { 0.05 };
        teach(&mut learner, &lessons, 40_000, 1, truth);
        for row in 0..4 {
            // The fourth ad is of an unknown advertiser: nothing is learnt of it.
            learner.predict(&lessons, row, &[0.1, 0.1, 0.1, 0.4]);
            for (ad, p) in learner.scores()[..3].iter().enumerate() {
                assert!((f64::from(*p) / truth(row, ad) - 1.0).abs() < 0.25, "{row} {ad}: {p}");
            }
            assert_eq!(learner.scores()[3], 0.4);
        }
        let told = learner.told();
        assert!(told.gain.low > 0.0 && told.updates == 40_000 && told.held_back == 0, "{told:?}");
        assert!(told.curve.len() <= POINTS && told.curve.last().unwrap()[0] == 40_000.0);
    }

    #[test]
    fn a_slot_that_is_seldom_looked_at_teaches_what_a_look_is_worth() {
        let lessons = lessons(true, "0.1");
        let mut learner = Learner::new(&lessons).unwrap();
        let mut rng = Rng::named(5, "looks");
        for _ in 0..60_000 {
            let clicked = rng.chance(0.25 * 0.4);
            learner.learn(&lessons, Lesson { row: 0, ad: 0, frozen: 0.1, look: 0.25, clicked });
        }
        learner.predict(&lessons, 0, &[0.1; 3]);
        assert!((learner.scores()[0] - 0.4).abs() < 0.05, "{:?}", learner.scores());
    }

    #[test]
    fn a_learner_that_does_harm_is_held_back_and_one_that_does_good_is_not() {
        // The frozen model is right, and the steps are far too large.
        let told = |guard: bool| {
            let lessons = lessons(guard, "10");
            let mut learner = Learner::new(&lessons).unwrap();
            teach(&mut learner, &lessons, 20_000, 3, |_, _| 0.1);
            let mut harm = 0.0;
            for row in 0..4 {
                learner.predict(&lessons, row, &[0.1; 3]);
                harm += learner.scores().iter().map(|p| f64::from((p - 0.1).abs())).sum::<f64>();
            }
            (learner.told(), harm)
        };
        let ((guarded, harm), (free, wild)) = (told(true), told(false));
        assert!(guarded.held_back > 15_000 && guarded.gain.high < 0.0, "{guarded:?}");
        assert!(harm == 0.0 && wild > 0.1 && free.held_back == 0, "{harm} {wild}");
    }

    #[test]
    fn an_alarm_makes_steps_large_again() {
        let truth = |row: usize, ad: usize| if row % 3 == ad { 0.3 } else { 0.05 };
        let turned = |row: usize, ad: usize| truth(row, (ad + 1) % 3);
        let after = |guard: bool| {
            let lessons = lessons(guard, "0.1");
            let mut learner = Learner::new(&lessons).unwrap();
            teach(&mut learner, &lessons, 60_000, 7, truth);
            let before = learner.told();
            teach(&mut learner, &lessons, 12_000, 8, turned);
            let told = learner.told();
            let loss: f64 = learner.curve.points.iter().rev().take(4).map(|p| p[2] / p[0]).sum();
            (before, told, loss)
        };
        let ((before, told, quick), (_, free, slow)) = (after(true), after(false));
        assert!(before.alarms.is_empty() && !told.alarms.is_empty() && !free.alarms.is_empty(), "{told:?}");
        assert!(quick < slow, "{quick} {slow}");
    }
}
