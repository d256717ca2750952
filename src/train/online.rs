//! What can be learnt from a log of any length in one pass? Linear, FM and FFM models on hashed features, row by row, each
//! row scored before it is learnt from: in the manner of Fwumious Wabbit and Vowpal Wabbit.

mod kernel;
pub mod progress;

use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::data::hashed::{HashedRows, Hashing};
use crate::nn::losses::sigmoid;
use crate::nn::stored::Stored;
use crate::nn::weights::{NamedTensor, from_safetensors, write_safetensors};
use kernel::{Kernel, Rates, Shape};
use progress::Progress;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The knobs of the online learner.
pub const ONLINE_PARAMS: &[ParamSpec] = &[
    ParamSpec::choice(
        "learner",
        "Learner",
        &["linear", "fm", "ffm"],
        "linear: a weight a value. fm: also what pairs of values do together. ffm: a pair by both its columns, slower.",
    ),
    ParamSpec::integer(
        "hash_bits",
        "Hash bits",
        (10, 20, 28),
        "The table has 2 to this power of slots for all values. More keeps values apart and takes memory.",
    ),
    ParamSpec::integer(
        "factor_width",
        "Factor width",
        (4, 8, 64),
        "Numbers of a factor, for fm and ffm; filled up to a multiple of four.",
    ),
    ParamSpec::log_real(
        "alpha",
        "Step",
        (1e-4, 0.1, 10.0),
        "FTRL's alpha: how far a weight moves at first. It moves less the more often it was moved.",
    ),
    ParamSpec::log_real("beta", "Step delay", (1e-3, 1.0, 100.0), "FTRL's beta: dampens the first steps."),
    ParamSpec::log_real(
        "l1",
        "L1 penalty",
        (0.0, 0.0, 1e3),
        "Weights whose gradients add up to less than this stay exactly 0.",
    ),
    ParamSpec::log_real("l2", "L2 penalty", (0.0, 0.0, 1e3), "Pulls linear weights towards 0."),
    ParamSpec::log_real(
        "factor_rate",
        "Step of factors",
        (1e-4, 0.05, 10.0),
        "AdaGrad's rate of factors, for fm and ffm.",
    ),
    ParamSpec::integer(
        "seed",
        "Seed",
        (0, 1, i64::MAX),
        "Start of the draw of factors: the same seed on the same rows gives the same weights.",
    ),
];

/// The one file of a folder.
const FILE: &str = "online.safetensors";
/// Where its words stand in the header.
const WORDS: &str = "online";
const FORMAT: u32 = 1;

/// A learner with what it has learnt so far.
#[derive(Debug)]
pub struct Online {
    /// Values of [`ONLINE_PARAMS`].
    pub params: Params,
    /// What it reads of a log.
    pub hashing: Hashing,
    /// How good it was so far.
    pub progress: Progress,
    kernel: Kernel,
}

#[derive(Serialize, Deserialize)]
struct Words {
    format: u32,
    software: String,
    params: Params,
    hashing: Hashing,
    progress: Progress,
}

impl Online {
    /// A learner that has seen nothing.
    ///
    /// # Errors
    /// A knob out of bounds, or a table of more than `memory` bytes.
    pub fn new(params: &Params, hashing: Hashing, memory: u64) -> Result<Self> {
        let params = params.completed(ONLINE_PARAMS)?;
        let shape = match params.choice("learner")? {
            "fm" => Shape::Fm,
            "ffm" => Shape::Ffm,
            _ => Shape::Linear,
        };
        let size = (params.count("hash_bits")? as u32, params.count("factor_width")?);
        let (fields, bytes) = (hashing.fields(), Kernel::bytes(shape, hashing.fields(), size));
        if bytes > memory {
            let why = format!(
                "a table of 2^{} slots for {fields} columns takes {:.1} GB, and {:.1} GB may be used",
                size.0,
                bytes as f64 / 1e9,
                memory as f64 / 1e9
            );
            return Err(Failure::new("cannot begin to learn", why)
                .hint("fewer hash_bits, a smaller factor_width, linear or fm, or more --memory"));
        }
        let real = |id: &str| params.real(id).map(|value| value as f32);
        let rates = Rates {
            alpha: real("alpha")?,
            beta: real("beta")?,
            l1: real("l1")?,
            l2: real("l2")?,
            factors: real("factor_rate")?,
        };
        let seed = params.integer("seed")?.unsigned_abs();
        let kernel = Kernel::new(shape, rates, fields, size, seed);
        Ok(Self { params, hashing, progress: Progress::default(), kernel })
    }

    /// Scores each row, then learns from it where the log says what happened and `learns`. The scores are handed to
    /// `scored`, one a row, in order.
    pub fn take(&mut self, rows: &HashedRows, learns: bool, mut scored: impl FnMut(f32)) {
        for (row, features) in rows.features.chunks_exact(rows.fields.max(1)).enumerate() {
            let log_odds = self.kernel.score(features);
            let probability = sigmoid(f64::from(log_odds));
            scored(probability as f32);
            let label = rows.label.get(row).copied().unwrap_or(f32::NAN);
            let weight = rows.weight.get(row).copied().unwrap_or(1.0);
            if label.is_nan() || weight.is_nan() || weight <= 0.0 {
                self.progress.without_outcome += 1;
                continue;
            }
            let time = rows.time.get(row).copied().filter(|time| *time != i64::MIN);
            let happened = (f64::from(label), f64::from(weight));
            self.progress.add(f64::from(log_odds), probability, happened, time);
            if learns {
                self.kernel.learn(weight * (probability as f32 - label));
            }
        }
    }

    /// Learns from rows and tells nothing: what a speed is measured of.
    pub fn learn_only(&mut self, rows: &HashedRows) {
        for (features, label) in rows.features.chunks_exact(rows.fields.max(1)).zip(&rows.label) {
            let probability = sigmoid(f64::from(self.kernel.score(features)));
            self.kernel.learn(probability as f32 - label);
        }
    }

    /// The probability of a row of features.
    pub fn predict(&mut self, features: &[u32]) -> f64 {
        sigmoid(f64::from(self.kernel.score(features)))
    }

    /// Log odds of a row of features; [`learn`](Self::learn) then speaks of this row.
    pub fn log_odds(&mut self, features: &[u32]) -> f32 {
        self.kernel.score(features)
    }

    /// Moves the weights of the row that was scored last by the derivative of its loss by its log odds.
    pub fn learn(&mut self, gradient: f32) {
        self.kernel.learn(gradient);
    }

    /// Makes the next steps larger, as if only the share `kept` of what made them small had been seen; all weights stay.
    pub fn quicken(&mut self, kept: f32) {
        self.kernel.quicken(kept);
    }

    /// Linear weights that are not 0.
    pub fn nonzero(&self) -> usize {
        self.kernel.nonzero()
    }

    /// Writes all that it has learnt into a folder, from which [`load`](Self::load) goes on exactly here. What was there is
    /// replaced whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let what = "cannot save the online learner";
        fs::create_dir_all(folder).map_err(|error| disk_failure(what, folder, &error))?;
        let words = Words {
            format: FORMAT,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            params: self.params.clone(),
            hashing: self.hashing.clone(),
            progress: self.progress.clone(),
        };
        let words = HashMap::from([(WORDS.to_owned(), serde_json::to_string(&words).explain(what)?)]);
        let (bias, numbers) = self.kernel.numbers();
        let tensors = [
            NamedTensor::of_numbers("bias".to_owned(), vec![bias.len()], &bias),
            NamedTensor::of_numbers("slots".to_owned(), vec![numbers.len()], numbers),
        ];
        let path = folder.join(FILE);
        write_atomically(&path, |out| {
            write_safetensors(out, &tensors, &words).map_err(|error| disk_failure(what, &path, &error))
        })
    }

    /// Goes on where a saved learner stood.
    ///
    /// # Errors
    /// There is none, it is damaged or of another version, or it takes more than `memory` bytes.
    pub fn load(folder: &Path, memory: u64) -> Result<Self> {
        let what = "cannot open the online learner";
        let path = folder.join(FILE);
        let broken = |why: String| {
            Failure::new(what, why)
                .at(path.display())
                .hint("a folder that 'online --out' wrote, or learn anew")
        };
        let bytes = Stored::read(&path).map_err(|error| broken(error.to_string()))?;
        let words =
            words_of(&bytes).ok_or_else(|| broken("it is no file of an online learner".to_owned()))?;
        if words.format != FORMAT {
            return Err(broken(format!(
                "it has layout {} (adloupe {}), and this program reads layout {FORMAT}",
                words.format, words.software
            )));
        }
        let tensors = from_safetensors(&bytes).map_err(|failure| broken(failure.why))?;
        let mut learner = Self::new(&words.params, words.hashing, memory)?;
        let numbers = |name: &str| tensors.get(name).map_or(&[][..], |(_, numbers)| numbers);
        if !learner.kernel.set_numbers(numbers("bias"), numbers("slots")) {
            return Err(broken("its weights are not as many as its settings say".to_owned()));
        }
        learner.progress = words.progress;
        Ok(learner)
    }
}

/// What stands in a safetensors header under [`WORDS`].
fn words_of(bytes: &[u8]) -> Option<Words> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    serde_json::from_str(header["__metadata__"][WORDS].as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::data::hashed::HashedColumn;

    fn hashing(fields: usize) -> Hashing {
        let column = |field| HashedColumn { name: format!("c{field}"), numbers: false };
        Hashing { outcome: "y".into(), columns: (0..fields).map(column).collect(), ..Hashing::default() }
    }

    /// Clicks that are likely where two values have the same parity: a pair that no value tells alone.
    fn pairs(rows: usize) -> HashedRows {
        let mut rng = Rng::named(6, "pairs");
        let mut out = HashedRows { fields: 3, ..HashedRows::default() };
        for _ in 0..rows {
            let (a, b) = (rng.below(20) as u32, rng.below(20) as u32);
            out.features.extend([a, 1000 + b, 5000 + rng.below(50) as u32]);
            out.label.push(f32::from(rng.chance(if a % 2 == b % 2 { 0.6 } else { 0.1 })));
        }
        out
    }

    fn learner(settings: &[(&str, &str)]) -> Online {
        let mut params = Params::defaults(ONLINE_PARAMS);
        for (name, value) in settings {
            params.set(ONLINE_PARAMS, name, value).unwrap();
        }
        Online::new(&params, hashing(3), 1 << 30).unwrap()
    }

    #[test]
    fn pairs_are_learnt_by_factors_and_not_by_weights() {
        let rows = pairs(60_000);
        let auc = |kind: &str| {
            let mut learner = learner(&[("learner", kind), ("hash_bits", "14"), ("factor_rate", "0.2")]);
            learner.take(&rows, true, |_| {});
            learner.progress.auc().unwrap().0
        };
        let (linear, fm, ffm) = (auc("linear"), auc("fm"), auc("ffm"));
        assert!(linear < 0.54 && fm > 0.7 && ffm > 0.7, "{linear} {fm} {ffm}");
    }

    #[test]
    fn quickened_weights_stay_and_the_next_step_is_larger() {
        for kind in ["linear", "fm", "ffm"] {
            for l1 in ["0", "0.5"] {
                let mut learner =
                    learner(&[("learner", kind), ("hash_bits", "12"), ("l1", l1), ("l2", "0.1")]);
                learner.take(&pairs(5_000), true, |_| {});
                let row = [3, 1004, 5010];
                let step = |learner: &mut Online| {
                    let before = learner.log_odds(&row);
                    learner.learn(0.5);
                    learner.log_odds(&row) - before
                };
                let before = learner.log_odds(&row);
                learner.quicken(0.01);
                assert!((learner.log_odds(&row) - before).abs() < 1e-4, "{kind} {l1}");
                let large = step(&mut learner);
                learner.quicken(100.0);
                let small = step(&mut learner);
                assert!(large < 0.0 && small < 0.0 && large < 2.0 * small, "{kind} {l1}: {large} {small}");
            }
        }
    }

    #[test]
    fn a_saved_learner_goes_on_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let rows = pairs(4000);
        let (first, second) = (part(&rows, 0..2500), part(&rows, 2500..4000));
        for kind in ["linear", "fm", "ffm"] {
            let settings = [("learner", kind), ("hash_bits", "12")];
            let mut straight = learner(&settings);
            straight.take(&rows, true, |_| {});
            let mut stopped = learner(&settings);
            stopped.take(&first, true, |_| {});
            stopped.save(folder.path()).unwrap();
            let mut going_on = Online::load(folder.path(), 1 << 30).unwrap();
            going_on.take(&second, true, |_| {});
            assert_eq!(going_on.kernel.numbers(), straight.kernel.numbers(), "{kind}");
            assert_eq!(going_on.progress, straight.progress);
        }
        std::fs::write(folder.path().join(FILE), b"rubbish").unwrap();
        assert!(Online::load(folder.path(), 1 << 30).unwrap_err().hint.contains("learn anew"));
    }

    fn part(rows: &HashedRows, range: std::ops::Range<usize>) -> HashedRows {
        HashedRows {
            fields: rows.fields,
            features: rows.features[range.start * rows.fields..range.end * rows.fields].to_vec(),
            label: rows.label[range].to_vec(),
            ..HashedRows::default()
        }
    }

    #[test]
    fn a_frozen_learner_moves_nothing_and_too_large_a_table_is_refused() {
        let mut frozen = learner(&[("learner", "fm"), ("hash_bits", "12")]);
        let before = frozen.kernel.numbers().1.to_vec();
        let mut scores = Vec::new();
        frozen.take(&pairs(100), false, |score| scores.push(score));
        assert_eq!((frozen.kernel.numbers().1, scores.len()), (before.as_slice(), 100));
        let mut unknown = pairs(3);
        unknown.label[1] = f32::NAN;
        frozen.take(&unknown, true, |_| {});
        assert_eq!(frozen.progress.without_outcome, 1);
        let mut params = Params::defaults(ONLINE_PARAMS);
        params.set(ONLINE_PARAMS, "hash_bits", "28").unwrap();
        let failure = Online::new(&params, hashing(3), 1 << 20).unwrap_err();
        assert!(failure.hint.contains("hash_bits"), "{failure}");
    }
}
