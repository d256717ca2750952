//! Which values of a model's knobs are tried, and in which order?
//!
//! A [`SearchPlan`] names the knobs that vary; all others stay as in its base. Grid and random search train every trial to
//! its end. Successive halving (Jamieson & Talwalkar, AISTATS 2016; the most exploring bracket of Hyperband, Li et al.,
//! JMLR 2018) trains all for a few epochs and goes on with the best third, again and again. A trial that goes on does so
//! where it stood, under the learning rate of the whole training. Trials are judged on the validation rows alone; the
//! state ([`SearchState`]) decides what comes next by itself, so that a search can be broken off anywhere.

pub mod knobs;
mod running;

pub use knobs::Knob;
pub use running::{Ended, Search, Within};

use super::history::ValidationNumbers;
use super::schedule::Monitor;
use super::spec::{TrainSpec, specs_of};
use crate::base::params::ParamValue;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

const WHAT: &str = "cannot search";
/// Trials of a search at most.
pub const TRIALS: usize = 2000;
/// Of each rung of successive halving, one in so many goes on: Hyperband's choice.
const KEPT_OF: usize = 3;

/// How the values of trials are chosen and how long each is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Drawn independently.
    #[default]
    Random,
    /// All combinations.
    Grid,
    /// Drawn independently, and most are given up early.
    Halving,
}

/// What is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchPlan {
    /// The kind and the knobs that stay.
    pub base: TrainSpec,
    /// The knobs that vary.
    pub over: Vec<Knob>,
    /// How.
    pub strategy: Strategy,
    /// Trials of random search and halving.
    pub trials: usize,
    /// Values of each range of a grid.
    pub points: usize,
    /// Start of the draws.
    pub seed: u64,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trial {
    /// Values of the knobs that vary, in their order.
    pub values: Vec<ParamValue>,
    /// Numbers on the validation rows after each epoch.
    pub epochs: Vec<ValidationNumbers>,
    /// True when its training came to its end.
    pub is_over: bool,
    /// Seconds of training and validation.
    pub secs: f64,
    /// Why it ended without an answer.
    pub failure: Option<String>,
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    Waiting,
    /// Begun, to be gone on with.
    Open,
    /// Given up by successive halving.
    Dropped,
    /// At its end.
    Over,
    /// Gone wrong.
    Failed,
}

/// Where a search stands: everything that decides what comes next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchState {
    /// What is searched.
    pub plan: SearchPlan,
    /// What trials are judged by.
    pub monitor: Monitor,
    /// Epochs of a whole training.
    pub epochs: u32,
    /// Every trial.
    pub trials: Vec<Trial>,
    /// The trial whose model is kept: the best of those at their end.
    pub best: Option<usize>,
    /// Seconds that went into it.
    pub spent_secs: f64,
}

impl Strategy {
    /// All, with their words in files and flags, the default first.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Random, "random"), (Self::Grid, "grid"), (Self::Halving, "halving")];

    /// The strategy of a word.
    ///
    /// # Errors
    /// There is none.
    pub fn named(word: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == word).map(|(strategy, _)| *strategy);
        found.ok_or_else(|| {
            Failure::new(WHAT, format!("there is no strategy '{word}'")).hint("random, grid or halving")
        })
    }
}

impl Status {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Dropped => "given up",
            Self::Over => "done",
            Self::Failed => "failed",
        }
    }
}

impl SearchPlan {
    /// The state of a search that has not begun.
    ///
    /// # Errors
    /// An unknown kind or knob, values that a knob refuses, no knob that varies, or too many trials.
    pub fn start(&self) -> Result<SearchState> {
        let base = self.base.completed()?;
        let specs = specs_of(&base.kind)?;
        if self.over.is_empty() {
            return Err(Failure::new(WHAT, "no knob varies").hint("--over learning_rate=0.001..0.02"));
        }
        for (place, knob) in self.over.iter().enumerate() {
            knob.check(&specs)?;
            if self.over[..place].iter().any(|other| other.id == knob.id) {
                return Err(Failure::new(WHAT, format!("{} is named twice", knob.id)).hint("name each once"));
            }
        }
        let values = match self.strategy {
            Strategy::Grid => self.grid()?,
            Strategy::Random | Strategy::Halving => self.drawn()?,
        };
        Ok(SearchState {
            monitor: base.monitor()?,
            epochs: base.params.count("epochs")? as u32,
            plan: Self { base, ..self.clone() },
            trials: values.into_iter().map(|values| Trial { values, ..Trial::default() }).collect(),
            best: None,
            spent_secs: 0.0,
        })
    }

    fn grid(&self) -> Result<Vec<Vec<ParamValue>>> {
        let mut all: Vec<Vec<ParamValue>> = vec![Vec::new()];
        for knob in &self.over {
            let values = knob.grid(self.points);
            if all.len() * values.len() > TRIALS {
                let why = format!("the grid has more than {TRIALS} places");
                return Err(Failure::new(WHAT, why).hint("fewer knobs or points, or --strategy random"));
            }
            let with = |former: &Vec<ParamValue>| {
                let each =
                    values.iter().map(|value| [former.as_slice(), std::slice::from_ref(value)].concat());
                each.collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        Ok(all)
    }

    /// Different draws; fewer than asked for where there are no more.
    fn drawn(&self) -> Result<Vec<Vec<ParamValue>>> {
        /// Draws in vain after which there is nothing new to be found.
        const IN_VAIN: usize = 200;
        if !(1..=TRIALS).contains(&self.trials) {
            let why = format!("a search has 1 to {TRIALS} trials, not {}", self.trials);
            return Err(Failure::new(WHAT, why).hint("--trials 30"));
        }
        let mut rng = Rng::named(self.seed, "search");
        let mut all: Vec<Vec<ParamValue>> = Vec::new();
        let mut in_vain = 0;
        while all.len() < self.trials && in_vain < IN_VAIN {
            let values: Vec<ParamValue> = self.over.iter().map(|knob| knob.draw(&mut rng)).collect();
            if all.contains(&values) {
                in_vain += 1;
            } else {
                all.push(values);
                in_vain = 0;
            }
        }
        Ok(all)
    }
}

impl SearchState {
    /// What is trained in a trial.
    pub fn spec_of(&self, trial: usize) -> TrainSpec {
        let mut spec = self.plan.base.clone();
        for (knob, value) in self.plan.over.iter().zip(&self.trials[trial].values) {
            spec.params.put(&knob.id, value.clone());
        }
        spec
    }

    /// The trial that is worked on next, and the epoch until which; `None` when the search is over.
    pub fn next(&self) -> Option<(usize, u32)> {
        self.rungs().iter().find_map(|(members, until)| {
            let waits = |trial: &&usize| self.waits(**trial, *until);
            members.iter().find(waits).map(|trial| (*trial, *until))
        })
    }

    /// How each trial stands.
    pub fn statuses(&self) -> Vec<Status> {
        let rungs = self.rungs();
        let status = |(place, trial): (usize, &Trial)| {
            let last = rungs.iter().rposition(|(members, _)| members.contains(&place)).unwrap_or_default();
            match trial {
                Trial { failure: Some(_), .. } => Status::Failed,
                Trial { is_over: true, .. } => Status::Over,
                _ if last + 1 < rungs.len() => Status::Dropped,
                Trial { epochs, .. } if epochs.is_empty() => Status::Waiting,
                _ => Status::Open,
            }
        };
        self.trials.iter().enumerate().map(status).collect()
    }

    /// The best number of a trial on the validation rows within its first epochs, by the measure of the plan.
    pub fn value(&self, trial: usize, within: u32) -> Option<f64> {
        let known = self.trials[trial].epochs.iter().take(within as usize);
        let known = known.filter_map(|numbers| numbers.of_monitor(self.monitor));
        known.reduce(|best, value| if self.monitor.is_better(value, best) { value } else { best })
    }

    /// The same epoch's numbers.
    pub fn best_epoch(&self, trial: usize) -> Option<&ValidationNumbers> {
        let best = self.value(trial, u32::MAX)?;
        self.trials[trial].epochs.iter().find(|numbers| numbers.of_monitor(self.monitor) == Some(best))
    }

    /// The trials, best first; those without a number last.
    pub fn ranked(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.trials.len()).collect();
        all.sort_by(|a, b| self.order(*a, *b, u32::MAX));
        all
    }

    /// Which of two trials is better within so many epochs; the earlier one where they are alike.
    fn order(&self, a: usize, b: usize, within: u32) -> Ordering {
        let by_value = match (self.value(a, within), self.value(b, within)) {
            (Some(x), Some(y)) if self.monitor.is_better(x, y) => Ordering::Less,
            (Some(x), Some(y)) if self.monitor.is_better(y, x) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            _ => Ordering::Equal,
        };
        by_value.then(a.cmp(&b))
    }

    fn waits(&self, trial: usize, until: u32) -> bool {
        let trial = &self.trials[trial];
        !trial.is_over && trial.failure.is_none() && (trial.epochs.len() as u32) < until
    }

    /// How many trials are trained until which epoch, rung by rung.
    fn rung_sizes(&self) -> Vec<(usize, u32)> {
        let (trials, epochs) = (self.trials.len(), self.epochs);
        if self.plan.strategy != Strategy::Halving {
            return vec![(trials, epochs)];
        }
        halving(trials, epochs)
    }

    /// The trials of each rung with its epoch, as far as they are known: a rung is settled when the one before is done.
    fn rungs(&self) -> Vec<(Vec<usize>, u32)> {
        let mut rungs: Vec<(Vec<usize>, u32)> = Vec::new();
        for (size, until) in self.rung_sizes() {
            let members = match rungs.last() {
                None => (0..self.trials.len()).collect(),
                Some((members, former)) => {
                    if members.iter().any(|trial| self.waits(*trial, *former)) {
                        return rungs;
                    }
                    let able = members.iter().copied().filter(|trial| self.trials[*trial].failure.is_none());
                    let mut able: Vec<usize> = able.collect();
                    able.sort_by(|a, b| self.order(*a, *b, *former));
                    able.truncate(size);
                    able
                }
            };
            rungs.push((members, until));
        }
        rungs
    }
}

/// Rungs of successive halving: `(trials, epochs)`, from all trials for a few epochs to the last for all.
fn halving(trials: usize, epochs: u32) -> Vec<(usize, u32)> {
    let mut rungs = vec![(trials, epochs)];
    // From the last rung backwards: a third of the epochs, as long as there are epochs and trials to divide.
    let (mut until, mut divided) = (epochs, 1);
    while until >= KEPT_OF as u32 && trials / (divided * KEPT_OF) >= 1 {
        until /= KEPT_OF as u32;
        divided *= KEPT_OF;
        rungs.push((trials, until));
    }
    rungs.reverse();
    let mut size = trials;
    for rung in &mut rungs {
        rung.0 = size;
        size = (size / KEPT_OF).max(1);
    }
    rungs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Estimate;

    fn plan(strategy: Strategy, trials: usize, epochs: &str) -> SearchPlan {
        let mut base = TrainSpec::new("deep_fm").unwrap();
        base.set("epochs", epochs).unwrap();
        let specs = specs_of("deep_fm").unwrap();
        let over = ["learning_rate=0.0001..0.1", "embedding_width=4,8"];
        let over = over.iter().map(|text| Knob::parse(&specs, text).unwrap()).collect();
        SearchPlan { base, over, strategy, trials, points: 3, seed: 4 }
    }

    fn numbers(loss: f64) -> ValidationNumbers {
        let loss = Some(Estimate { value: loss, low: loss, high: loss });
        ValidationNumbers { rows: 10, loss, ..ValidationNumbers::default() }
    }

    #[test]
    fn halving_has_the_rungs_of_hyperbands_table() {
        // Li et al., JMLR 2018, table 1, bracket s = 4: R = 81, eta = 3.
        assert_eq!(halving(81, 81), [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]);
        assert_eq!(halving(2, 50), [(2, 50)], "two are too few to give up one in three");
        assert_eq!(halving(10, 2), [(10, 2)]);
        assert_eq!(halving(10, 10), [(10, 1), (3, 3), (1, 10)]);
    }

    #[test]
    fn a_grid_has_every_combination_once_and_draws_differ() {
        let state = plan(Strategy::Grid, 1, "5").start().unwrap();
        assert_eq!(state.trials.len(), 6);
        let text = |trial: &Trial| trial.values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(" ");
        let all: Vec<String> = state.trials.iter().map(text).collect();
        assert_eq!(all[0], "0.0001 4");
        assert_eq!(all[5], "0.1 8");
        let mut few = plan(Strategy::Random, 50, "5");
        few.over = vec![Knob::parse(&specs_of("deep_fm").unwrap(), "embedding_width=4,8").unwrap()];
        assert_eq!(few.start().unwrap().trials.len(), 2, "there are no more");
        let drawn = plan(Strategy::Random, 40, "5");
        assert_eq!(drawn.start().unwrap(), drawn.start().unwrap(), "a seed draws the same");
        assert_eq!(drawn.start().unwrap().trials.len(), 40);
    }

    #[test]
    fn halving_goes_on_with_the_best_third_where_it_stood() {
        let mut state = plan(Strategy::Halving, 9, "9").start().unwrap();
        let mut steps = Vec::new();
        // Trial 6 is the best early, trial 2 later; trial 0 cannot be trained.
        while let Some((trial, until)) = state.next() {
            steps.push((trial, until));
            if trial == 0 {
                state.trials[0].failure = Some("out of bounds".into());
                continue;
            }
            while (state.trials[trial].epochs.len() as u32) < until {
                let epoch = state.trials[trial].epochs.len() as f64;
                let loss = match trial {
                    6 => 0.1,
                    2 => 0.2 - 0.05 * epoch,
                    other => 1.0 + other as f64,
                };
                state.trials[trial].epochs.push(numbers(loss));
            }
            state.trials[trial].is_over = until == 9;
        }
        let first: Vec<(usize, u32)> = (0..9).map(|trial| (trial, 1)).collect();
        assert_eq!(steps[..9], first);
        assert_eq!(steps[9..], [(6, 3), (2, 3), (1, 3), (2, 9)]);
        assert_eq!(state.ranked()[..2], [2, 6]);
        let stand = state.statuses();
        assert_eq!(
            (stand[2], stand[6], stand[0], stand[8]),
            (Status::Over, Status::Dropped, Status::Failed, Status::Dropped)
        );
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        let refuse = |change: fn(&mut SearchPlan)| {
            let mut plan = plan(Strategy::Random, 5, "5");
            change(&mut plan);
            plan.start().unwrap_err()
        };
        assert!(refuse(|plan| plan.over.clear()).hint.contains("--over"));
        assert!(refuse(|plan| plan.trials = 0).why.contains('0'));
        assert!(refuse(|plan| plan.over.push(plan.over[0].clone())).why.contains("twice"));
        let large = refuse(|plan| (plan.strategy, plan.points) = (Strategy::Grid, 5000));
        assert!(large.hint.contains("random"), "{large}");
    }
}
