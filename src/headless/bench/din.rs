//! How fast is a training step of the deep interest network, beside PyTorch's?
//!
//! 8 fields x 16, history 50, all real, attention of 64 units, MLP 200-80, batch 4096. Ours has a linear part and the
//! product of interest and ad beside it: it does more. Turns, medians and rivals are those of
//! [`training`](super::training).

use super::training::{Rival, median_of, rival_python};
use super::{BenchRow, ours};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::data::batch::{FIRST_VALUE_ID, SequenceBatch};
use crate::data::encode::{CategoricalField, SequenceField, Side};
use crate::data::{Batch, Encoder};
use crate::headless::Terminal;
use crate::jobs::JobContext;
use crate::models::{self, Gradients, Network};
use crate::nn::optimiser::{Rule, Step};
use crate::nn::{Pass, device};
use crate::train::TrainSpec;
use std::path::Path;
use std::time::Instant;

const BATCH: usize = 4096;
const BATCHES: usize = 4;
const HISTORY: usize = 50;
/// Values of each field; the second is the ad, whose vocabulary the history shares.
const SIZES: [usize; 8] = [100_000, 100_000, 1000, 100, 24, 7, 50, 500];
const AD: usize = 1;
const RATE: f32 = 1e-3;
const ROUNDS: usize = 5;
/// Steps of a turn.
const STEPS: usize = 3;
/// What each way of PyTorch must be beaten by, and the words for it.
const WAYS: [(&str, &str, f64); 3] = [
    ("fuxictr", "PyTorch as FuxiCTR steps", 2.0),
    ("dense_fused", "PyTorch, fused dense Adam", 1.2),
    ("sparse_adagrad", "PyTorch, sparse + Adagrad", 1.2),
];
const SCRIPT: (&str, &str) = ("din.py", include_str!("../../../benches/rivals/din.py"));

/// Examples a second of ours and of every way of PyTorch.
///
/// # Errors
/// A full disk, a rival that fails, Ctrl-C.
pub fn din(context: &JobContext) -> Result<Vec<BenchRow>> {
    let folder = std::env::temp_dir().join(format!("adloupe-bench-din-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let measured = measure(&folder, context);
    // The figures are there; a leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measure(folder: &Path, context: &JobContext) -> Result<Vec<BenchRow>> {
    let words = "din step, history 50";
    let batches = draw(BATCH);
    let Some(python) = rival_python() else {
        Terminal::note("no PyTorch: run benches/rivals/setup.sh and set ADLOUPE_RIVALS to its bin/python");
        let mut bench = Bench::new(&batches)?;
        bench.seconds_a_step(2)?;
        let alone = (0..ROUNDS).map(|_| bench.seconds_a_step(STEPS)).collect::<Result<_>>()?;
        return Ok(vec![BenchRow {
            rival: Some("PyTorch: not there".to_owned()),
            ..ours(words, BATCH as f64 / median_of(alone), "examples/s", None)
        }]);
    };
    write(folder, &batches)?;
    let mut figures = Vec::new();
    for (way, rival, factor) in WAYS {
        // Both begin anew, so that both have taken as many steps on these few batches.
        let mut bench = Bench::new(&batches)?;
        bench.seconds_a_step(2)?;
        let mut process = Rival::start(&python, folder, SCRIPT.0, way, false)?;
        process.seconds_a_step(2)?;
        let mut turns = Vec::new();
        for _ in 0..ROUNDS {
            context.check()?;
            turns.push((bench.seconds_a_step(STEPS)?, process.seconds_a_step(STEPS)?));
        }
        let middle = |of: fn(&(f64, f64)) -> f64| median_of(turns.iter().map(of).collect());
        let (mine, theirs) = (middle(|turn| turn.0), middle(|turn| turn.1));
        let ratio = middle(|turn| turn.1 / turn.0);
        figures.push(BenchRow {
            rival: Some(rival.to_owned()),
            rival_value: Some(BATCH as f64 / theirs),
            ratio: Some(ratio),
            reach: Some(factor * BATCH as f64 / theirs),
            met: Some(ratio >= factor),
            ..ours(words, BATCH as f64 / mine, "examples/s", None)
        });
    }
    Ok(figures)
}

/// Batches with ids by a power law and a click in four.
fn draw(rows: usize) -> Vec<Batch> {
    let mut rng = Rng::named(1, "bench din");
    let mut id = |size: usize| (rng.uniform().powi(3) * size as f64) as u32 + FIRST_VALUE_ID;
    (0..BATCHES)
        .map(|_| Batch {
            rows,
            categorical: SIZES.iter().map(|size| (0..rows).map(|_| id(*size)).collect()).collect(),
            sequences: vec![SequenceBatch {
                max_len: HISTORY,
                ids: (0..rows * HISTORY).map(|_| id(SIZES[AD])).collect(),
                lengths: vec![HISTORY as u32; rows],
            }],
            label: (0..rows).map(|row| f32::from(row % 4 == 0)).collect(),
            ..Batch::default()
        })
        .collect()
}

fn encoder() -> Encoder {
    let field = |(at, size): (usize, &usize)| CategoricalField {
        name: format!("field{at}"),
        side: if at == AD { Side::Ad } else { Side::User },
        values: Vec::new(),
        hash_buckets: *size as u32,
    };
    Encoder {
        label: "click".to_owned(),
        categorical: SIZES.iter().enumerate().map(field).collect(),
        sequences: vec![SequenceField {
            name: "history".to_owned(),
            target: AD,
            max_len: HISTORY,
            from_user_history_of: None,
            clicked_only: false,
        }],
        ..Encoder::default()
    }
}

/// The files that `din.py` reads.
fn write(folder: &Path, batches: &[Batch]) -> Result<()> {
    let what = "cannot write the rival's data";
    let sizes: Vec<_> = encoder().categorical.iter().map(CategoricalField::cardinality).collect();
    let shape = serde_json::json!({
        "sizes": sizes, "batch": BATCH, "batches": batches.len(), "history": HISTORY, "rate": RATE,
    });
    let (mut ids, mut history, mut labels) = (Vec::<u32>::new(), Vec::<u32>::new(), Vec::<f32>::new());
    for batch in batches {
        (0..batch.rows).for_each(|row| ids.extend(batch.categorical.iter().map(|column| column[row])));
        batch.sequences.iter().for_each(|sequence| history.extend(&sequence.ids));
        labels.extend(&batch.label);
    }
    std::fs::write(folder.join("shape.json"), shape.to_string()).explain(what)?;
    std::fs::write(folder.join("ids.u32"), bytemuck::cast_slice(&ids)).explain(what)?;
    std::fs::write(folder.join("history.u32"), bytemuck::cast_slice(&history)).explain(what)?;
    std::fs::write(folder.join("labels.f32"), bytemuck::cast_slice(&labels)).explain(what)?;
    std::fs::write(folder.join(SCRIPT.0), SCRIPT.1).explain(what)
}

/// Our side: a network that steps through the batches over and over.
struct Bench<'a> {
    batches: &'a [Batch],
    network: Network,
    gradients: Gradients,
    rng: Rng,
    done: usize,
}

impl<'a> Bench<'a> {
    fn new(batches: &'a [Batch]) -> Result<Self> {
        let mut spec = TrainSpec::new("din")?;
        let settings = [
            ("embedding_width", "16"),
            ("attention_units", "64"),
            ("hidden_units", "200"),
            ("hidden_layers", "2"),
            ("taper", "0.4"),
            ("dropout", "0"),
        ];
        for (name, value) in settings {
            spec.set(name, value)?;
        }
        let (kind, device) = (models::kind("din")?, device::choose("cpu")?);
        let network = Network::for_training(kind, &encoder(), &spec.params, 1, device, Rule::Adam)?;
        let rng = Rng::named(1, "dropout");
        Ok(Self { batches, network, gradients: Gradients::default(), rng, done: 0 })
    }

    /// The loss of a step.
    fn step(&mut self) -> Result<f64> {
        let batch = &self.batches[self.done % self.batches.len()];
        let mut pass = Pass::Train(&mut self.rng);
        let loss = self.network.gradients_into(batch, &mut pass, &mut self.gradients)?;
        self.done += 1;
        let step = Step { count: self.done as u64, ..Step::new(Rule::Adam, RATE) };
        self.network.apply(&self.gradients, step)?;
        Ok(loss)
    }

    fn seconds_a_step(&mut self, steps: usize) -> Result<f64> {
        let begun = Instant::now();
        for _ in 0..steps {
            self.step()?;
        }
        Ok(begun.elapsed().as_secs_f64() / steps as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_repeat_and_fit_their_tables_and_the_step_learns() {
        let batches = draw(64);
        assert_eq!(batches, draw(64));
        let sizes: Vec<_> = encoder().categorical.iter().map(CategoricalField::cardinality).collect();
        for batch in &batches {
            for (ids, size) in batch.categorical.iter().zip(&sizes) {
                assert!(ids.iter().all(|id| (*id as usize) < *size));
            }
            assert!(batch.sequences[0].ids.iter().all(|id| (*id as usize) < sizes[AD]));
        }
        let mut bench = Bench::new(&batches).unwrap();
        let first = bench.step().unwrap();
        for _ in 0..15 {
            bench.step().unwrap();
        }
        assert!(bench.step().unwrap() < first);
    }
}
