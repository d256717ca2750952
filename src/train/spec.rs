//! What should be trained, and how?

use super::calibrating::{Method, Whose};
use super::newcomers::WAYS;
use super::objective::Objective;
use super::schedule::{Monitor, Schedule};
use crate::base::params::{ParamKind, ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::models::{self, Attack};
use crate::nn::device::DEVICES;
use crate::nn::optimiser::{RULES, Rule};
use serde::{Deserialize, Serialize};

/// The knobs of training, for every kind of model.
pub const TRAIN_PARAMS: &[ParamSpec] = &[
    ParamSpec::integer(
        "epochs",
        "Epochs",
        (1, 10, 1000),
        "Passes over the training rows at most; early stopping may end sooner.",
    ),
    ParamSpec::integer(
        "batch_size",
        "Batch size",
        (8, 512, 65_536),
        "Rows per step. Larger is faster per row and takes fewer, smoother steps.",
    ),
    ParamSpec::log_real(
        "learning_rate",
        "Learning rate",
        (1e-6, 4e-3, 1.0),
        "Size of a step. Too high and the loss jumps; too low and it crawls.",
    ),
    ParamSpec::choice(
        "schedule",
        "Schedule",
        &["cosine", "linear", "constant", "plateau"],
        "How the learning rate falls: to zero along a cosine or a line, not at all, or by ten when validation stalls.",
    ),
    ParamSpec::real(
        "warmup",
        "Warm-up",
        (0.0, 0.0, 0.5),
        "Share of all steps in which the learning rate rises to its full size. Helps large batches; 0 starts full.",
    ),
    ParamSpec::choice(
        "monitor",
        "Stop by",
        Monitor::WORDS,
        "The number on the validation rows that decides which epoch is kept and when to stop. gauc needs a user column.",
    ),
    ParamSpec::integer(
        "patience",
        "Patience",
        (0, 2, 100),
        "Epochs that are no better on the validation rows before training stops; 0 never stops early.",
    ),
    ParamSpec::choice(
        "optimiser",
        "Optimiser",
        &["adam", "adagrad", "rowwise_adagrad", "ftrl", "sgd"],
        "The rule of a step. adam suits most; adagrad favours rare values, rowwise_adagrad with the least memory; \
         ftrl can leave weights out.",
    ),
    ParamSpec::log_real(
        "l2",
        "L2 penalty",
        (0.0, 7e-4, 1.0),
        "Pulls weights towards zero; in tables only those that a batch uses. Turn up against overfitting.",
    ),
    ParamSpec::log_real(
        "weight_decay",
        "Weight decay",
        (0.0, 0.0, 1.0),
        "Shrinks weights by this share of the learning rate a step, apart from the gradient (AdamW); in tables only those that a batch uses.",
    ),
    ParamSpec::log_real(
        "clip_norm",
        "Clip gradient",
        (0.0, 0.0, 1000.0),
        "Longest gradient allowed, over all weights of a step together; longer ones are shortened to it. 0 never clips.",
    ),
    ParamSpec::log_real(
        "positive_weight",
        "Weight of clicks",
        (0.01, 1.0, 1000.0),
        "A click counts this often. Scores are corrected for it exactly, so probabilities stay true.",
    ),
    ParamSpec::log_real(
        "keep_negatives",
        "Keep non-clicks",
        (0.001, 1.0, 1.0),
        "Share of non-clicked rows that an epoch trains on, drawn anew each epoch. Scores are corrected for it exactly.",
    ),
    ParamSpec::real(
        "label_smoothing",
        "Label smoothing",
        (0.0, 0.0, 0.5),
        "Moves every label this share of the way to one half. Guards against wrong labels, but pulls probabilities to one half too.",
    ),
    ParamSpec::choice(
        "adversarial",
        "Harden",
        &["off", "fgm", "pgd"],
        "Trains against small worst changes of each impression's embeddings too: fgm takes one step along the gradient, pgd \
         searches on. Two to several times the time.",
    ),
    ParamSpec::log_real(
        "epsilon",
        "Epsilon",
        (0.0, 0.02, 100.0),
        "For hardening: how far an impression's embeddings may be moved together. Robustness shows what each does.",
    ),
    ParamSpec::integer("attack_steps", "Steps of pgd", (2, 4, 50), "For pgd: passes of each search."),
    ParamSpec::log_real(
        "adversarial_weight",
        "Weight of hardening",
        (0.0, 1.0, 100.0),
        "For hardening: how much the loss under attack counts beside the loss itself.",
    ),
    ParamSpec::log_real(
        "l1",
        "L1 penalty (ftrl)",
        (0.0, 0.0, 1e3),
        "For ftrl only: weights whose gradients add up to less than this stay exactly 0.",
    ),
    ParamSpec::choice(
        "calibrate",
        "Calibrate",
        Method::WORDS,
        "Afterwards, on the validation rows: intercept moves the average prediction to the click rate, platt bends scores that \
         are too sure or too shy, isotonic takes any curve that never falls.",
    ),
    ParamSpec::choice(
        "calibrate_each",
        "Calibrate each",
        Whose::WORDS,
        "Also moves the average of each value of a column, as far as its rows allow. worst takes the column whose values \
         are most off.",
    ),
    ParamSpec::real(
        "cold_mask",
        "Forget who and what",
        (0.0, 0.0, 0.9),
        "Share of the rows that a pass trains without the user, and share without the ad: the model learns to do without ids \
         that it never met (DropoutNet).",
    ),
    ParamSpec::choice(
        "newcomers",
        "New users and ads",
        WAYS,
        "Afterwards: ids that no training row had are read as one row of rare values, or as the mean of those who are alike \
         by their attributes.",
    ),
    ParamSpec {
        id: "resample",
        label: "Resample rows",
        help: "Trains on rows drawn from the training rows with replacement, by the seed: for members of an ensemble, whose \
               differences then tell how much a prediction depends on the rows.",
        kind: ParamKind::Flag(false),
    },
    ParamSpec::integer(
        "seed",
        "Seed",
        (0, 1, i64::MAX),
        "Start of every random draw: the same seed gives the same model on the processor.",
    ),
    ParamSpec::choice(
        "device",
        "Device",
        DEVICES,
        "Where to train. auto takes a graphics card if this build has it, one answers, and the model is large enough for it.",
    ),
];

/// A training that can be repeated: kind, knobs, and which log it was meant for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// Id of the model kind.
    pub kind: String,
    /// Values of [`TRAIN_PARAMS`] and of the kind's own knobs.
    pub params: Params,
    /// What the log is called, for the model's card; may be empty.
    #[serde(default)]
    pub source: String,
}

impl TrainSpec {
    /// A kind with every knob at its default.
    ///
    /// # Errors
    /// No such kind.
    pub fn new(kind: &str) -> Result<Self> {
        Ok(Self { kind: kind.to_owned(), params: Params::defaults(&specs_of(kind)?), source: String::new() })
    }

    /// Sets one knob from text, as `--set name=value` does.
    ///
    /// # Errors
    /// An unknown name (the known ones are listed) or a value out of bounds.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        self.params.set(&specs_of(&self.kind)?, name, text)
    }

    /// Sets several knobs, as [`set`](Self::set) does.
    ///
    /// # Errors
    /// As there, of the first that is wrong.
    pub fn set_all(&mut self, knobs: &[(String, String)]) -> Result<()> {
        knobs.iter().try_for_each(|(name, text)| self.set(name, text))
    }

    /// The same with what is missing filled in, every value checked.
    ///
    /// # Errors
    /// An unknown kind, an unknown knob or a value out of bounds.
    pub fn completed(&self) -> Result<Self> {
        Ok(Self { params: self.params.completed(&specs_of(&self.kind)?)?, ..self.clone() })
    }

    /// The seed of every random draw.
    ///
    /// # Errors
    /// The knob is missing.
    pub fn seed(&self) -> Result<u64> {
        Ok(self.params.integer("seed")?.unsigned_abs())
    }

    /// The rule of a step.
    ///
    /// # Errors
    /// The knob is missing.
    pub fn rule(&self) -> Result<Rule> {
        let word = self.params.choice("optimiser")?;
        RULES
            .iter()
            .copied()
            .find(|rule| rule.id() == word)
            .ok_or_else(|| Failure::new("cannot choose an optimiser", format!("there is no '{word}'")))
    }

    /// How the learning rate falls.
    ///
    /// # Errors
    /// The knob is missing.
    pub fn schedule(&self) -> Result<Schedule> {
        Schedule::named(self.params.choice("schedule")?, self.params.real("warmup")?)
    }

    /// The number that decides which epoch is kept.
    ///
    /// # Errors
    /// The knob is missing.
    pub fn monitor(&self) -> Result<Monitor> {
        Monitor::named(self.params.choice("monitor")?)
    }

    /// The attack that is trained against, and what its loss counts; `None` where nothing is hardened.
    ///
    /// # Errors
    /// A knob is missing.
    pub fn hardening(&self) -> Result<Option<(Attack, f32)>> {
        let steps = match self.params.choice("adversarial")? {
            "fgm" => 1,
            "pgd" => self.params.count("attack_steps")?,
            _ => return Ok(None),
        };
        let attack = Attack { epsilon: self.params.real("epsilon")?, steps };
        Ok(Some((attack, self.params.real("adversarial_weight")? as f32)))
    }

    /// What is minimised.
    ///
    /// # Errors
    /// A knob is missing.
    pub fn objective(&self) -> Result<Objective> {
        Ok(Objective {
            positive_weight: self.params.real("positive_weight")?,
            keep_negatives: self.params.real("keep_negatives")?,
            label_smoothing: self.params.real("label_smoothing")?,
            resample: self.params.flag("resample")?,
            seed: self.seed()?,
        })
    }
}

/// All knobs of a kind: those of [`TRAIN_PARAMS`] in their order, with defaults that suit the kind, then its own.
///
/// # Errors
/// No such kind.
pub fn specs_of(kind: &str) -> Result<Vec<ParamSpec>> {
    let kind = models::kind(kind)?;
    let mut specs: Vec<ParamSpec> = TRAIN_PARAMS.iter().chain(kind.params()).cloned().collect();
    for (id, better) in kind.training_defaults() {
        for spec in specs.iter_mut().filter(|spec| spec.id == *id) {
            if let ParamKind::Real { default, .. } = &mut spec.kind {
                *default = *better;
            }
        }
    }
    Ok(specs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::MODELS;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_knobs_of_a_kind_share_a_name_and_defaults_are_allowed() {
        for kind in MODELS {
            let specs = specs_of(kind.id()).unwrap();
            let names: BTreeSet<_> = specs.iter().map(|spec| spec.id).collect();
            assert_eq!(names.len(), specs.len(), "{}", kind.id());
            let defaults = Params::defaults(&specs);
            for (id, value) in kind.training_defaults() {
                assert_eq!(defaults.real(id), Ok(*value), "{id} must be a real knob of training");
            }
            for spec in &specs {
                assert!(spec.allows(&spec.default_value()), "{}", spec.id);
            }
        }
    }

    #[test]
    fn survives_json_and_lists_the_known_names() {
        let mut spec = TrainSpec::new("deep_fm").unwrap();
        spec.set("dropout", "0.3").unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        let back: TrainSpec = serde_json::from_str(&text).unwrap();
        assert_eq!(back.completed().unwrap(), spec);
        let failure = spec.set("drop_out", "0.3").unwrap_err();
        assert!(failure.hint.contains("dropout"), "{failure}");
        assert!(TrainSpec::new("deepfm").unwrap_err().hint.contains("deep_fm"));
    }
}
