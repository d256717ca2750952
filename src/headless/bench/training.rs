//! How fast is a training step, and does it learn what PyTorch learns?
//!
//! DeepFM with 39 fields x 16 and an MLP of 3 x 400, batch 4096, ids by a power law, on tables of several sizes. Ours and
//! a rival take turns on the same batches; medians of five turns count, the ratio is the median of the turns' ratios.
//! Rivals are Python (`benches/rivals/deep_fm.py`, installed by `benches/rivals/setup.sh`): without them only our own
//! figures are told, and that they are missing is told too.

use super::{BenchRow, ours};
use crate::base::failure::Explain;
use crate::base::rng::{Rng, mix};
use crate::base::{Failure, Result};
use crate::data::encode::{CategoricalField, Side};
use crate::data::{Batch, Encoder};
use crate::headless::Terminal;
use crate::jobs::JobContext;
use crate::metrics::ranking::auc;
use crate::models::{self, Gradients, Network};
use crate::nn::optimiser::{Rule, Step};
use crate::nn::product::{Finish, Pack, View, product};
use crate::nn::{Pass, device};
use crate::train::TrainSpec;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

const FIELDS: usize = 39;
const WIDTH: usize = 16;
const UNITS: usize = 400;
const LAYERS: usize = 3;
const BATCH: usize = 4096;
const RATE: f32 = 1e-3;
/// Batches that are trained on in turn.
const BATCHES: usize = 12;
const ROUNDS: usize = 5;
/// Steps of a turn: enough that a timer's grain and a stray interrupt do not count.
const STEPS: usize = 6;

/// Rows of the tables, if nothing else is asked for.
const SIZES: [usize; 3] = [100_000, 1_000_000, 10_000_000];
/// What each way of PyTorch must be beaten by, from each size on, and the words for it.
const WAYS: [(&str, &str, [f64; 3]); 4] = [
    ("fuxictr", "PyTorch as FuxiCTR steps", [1.7, 2.6, 10.0]),
    ("dense_fused", "PyTorch, fused dense Adam", [1.3, 1.3, 1.3]),
    ("sparse_adagrad", "PyTorch, sparse + Adagrad", [1.3, 1.3, 1.3]),
    ("sparse_adam", "PyTorch, sparse + SparseAdam", [1.3, 1.3, 1.3]),
];
/// The same against a PyTorch whose allocator keeps its memory.
const TUNED_MALLOC_REACH: f64 = 1.15;

/// Figures for tables of `ids` rows, or of each of the three sizes, and whether both learn the same.
///
/// # Errors
/// A full disk, a rival that fails, Ctrl-C.
pub fn training(ids: Option<usize>, context: &JobContext) -> Result<Vec<BenchRow>> {
    let folder = std::env::temp_dir().join(format!("adloupe-bench-train-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let measured = measure(&folder, ids, context);
    // The figures are there; a leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measure(folder: &Path, ids: Option<usize>, context: &JobContext) -> Result<Vec<BenchRow>> {
    let python = rival_python();
    if python.is_none() {
        Terminal::note("no PyTorch: run benches/rivals/setup.sh and set ADLOUPE_RIVALS to its bin/python");
    }
    let mut figures = Vec::new();
    let sizes = ids.map_or_else(|| SIZES.to_vec(), |ids| vec![ids]);
    for size in sizes.into_iter().filter(|size| *size > 0) {
        figures.extend(steps(folder, size, python.as_deref(), context)?);
    }
    if let Some(python) = python.filter(|_| ids.is_none() || ids == Some(0)) {
        figures.extend(learning(folder, &python, context)?);
    }
    Ok(figures)
}

/// The Python that has PyTorch, from `ADLOUPE_RIVALS` or the search path.
pub(super) fn rival_python() -> Option<String> {
    let python = super::rivals_python();
    let found = Command::new(&python).args(["-c", "import torch, numpy"]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then_some(python)
}

/// Ours against every way of PyTorch at one size.
fn steps(folder: &Path, ids: usize, python: Option<&str>, context: &JobContext) -> Result<Vec<BenchRow>> {
    let place = SIZES.iter().filter(|size| **size <= ids).count().saturating_sub(1);
    let work = Work::draw(ids, BATCH, BATCHES, 0, 1);
    let begun = Instant::now();
    let mut bench = Bench::new(&work, 1)?;
    let made = begun.elapsed().as_secs_f64();
    let in_file = bench.network.tables.iter().any(|table| table.in_file());
    let words = format!("deep_fm step, {ids} ids{}", if in_file { ", tables in a file" } else { "" });
    bench.seconds_a_step(2)?;
    let mut alone: Vec<_> = (0..ROUNDS).map(|_| bench.timed(STEPS)).collect::<Result<_>>()?;
    alone.sort_by(|a, b| a.whole.total_cmp(&b.whole));
    let median = alone[ROUNDS / 2];
    let mut figures = vec![
        ours(&format!("{words}: to make the tables"), made, "s", None),
        ours(&words, BATCH as f64 / median.whole, "examples/s", None),
        ours(&format!("{words}: of it the gradient"), 1e3 * median.gradient, "ms", None),
        ours(&format!("{words}: of it the optimiser"), 1e3 * (median.whole - median.gradient), "ms", None),
        ours(&format!("{words}: all its products alone"), 1e3 * products_alone(), "ms", None),
    ];
    let Some(python) = python else {
        figures.push(BenchRow {
            rival: Some("PyTorch: not there".to_owned()),
            ..ours(&words, BATCH as f64 / median.whole, "examples/s", None)
        });
        return Ok(figures);
    };
    work.write(folder)?;
    drop(bench);
    for (way, rival, reach) in WAYS {
        for tuned in [false, true] {
            // A dense optimiser's temporaries are as large as the tables; no setting of malloc keeps those.
            if tuned && way == "fuxictr" {
                continue;
            }
            context.check()?;
            // Both begin anew, so that both have taken as many steps on these few batches.
            let mut bench = Bench::new(&work, 1)?;
            bench.seconds_a_step(2)?;
            let mut rival_process = Rival::start(python, folder, "deep_fm.py", way, tuned)?;
            rival_process.seconds_a_step(2)?;
            let mut turns = Vec::new();
            for _ in 0..ROUNDS {
                context.check()?;
                turns.push((bench.seconds_a_step(STEPS)?, rival_process.seconds_a_step(STEPS)?));
            }
            let middle = |of: fn(&(f64, f64)) -> f64| median_of(turns.iter().map(of).collect());
            let (mine, theirs) = (middle(|turn| turn.0), middle(|turn| turn.1));
            let ratio = middle(|turn| turn.1 / turn.0);
            let factor = if tuned { TUNED_MALLOC_REACH } else { reach[place] };
            figures.push(BenchRow {
                rival: Some(if tuned { format!("{rival}, malloc tuned") } else { rival.to_owned() }),
                rival_value: Some(BATCH as f64 / theirs),
                ratio: Some(ratio),
                reach: Some(factor * BATCH as f64 / theirs),
                met: Some(ratio >= factor),
                ..ours(&words, BATCH as f64 / mine, "examples/s", None)
            });
        }
    }
    Ok(figures)
}

pub(super) fn median_of(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds of the step's matrix products at this machine's rate, were nothing else to do and no id repeated: what a
/// step without sharing cannot fall below.
fn products_alone() -> f64 {
    let mut rng = Rng::named(1, "bench products");
    let mut normals = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.normal() as f32).collect() };
    let mut pack = Pack::default();
    let mut seconds = Vec::new();
    let inputs = [FIELDS * WIDTH, UNITS, UNITS];
    let layers: Vec<_> =
        inputs.iter().map(|k| (normals(BATCH * k), normals(UNITS * k), normals(BATCH * UNITS))).collect();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for (k, (x, w, g)) in inputs.iter().zip(&layers) {
            let (x, w, g) = (View::rows(x, *k), View::rows(w, *k), View::rows(g, UNITS));
            let mut out = vec![0.0; BATCH * UNITS];
            product([BATCH, UNITS, *k], x, w.transposed(), &mut out, Finish::Set, &mut pack);
            let mut out = vec![0.0; BATCH * k];
            product([BATCH, *k, UNITS], g, w, &mut out, Finish::Set, &mut pack);
            let mut out = vec![0.0; UNITS * k];
            product([UNITS, *k, BATCH], g.transposed(), x, &mut out, Finish::Set, &mut pack);
        }
        seconds.push(begun.elapsed().as_secs_f64());
    }
    median_of(seconds)
}

/// Loss curves and test AUC of both from the same weights on the same batches, over five seeds.
fn learning(folder: &Path, python: &str, context: &JobContext) -> Result<Vec<BenchRow>> {
    const SIZE: (usize, usize, usize) = (512, 80, 40);
    let (mut apart, mut differences) = (0.0_f64, Vec::new());
    for seed in 1..=5 {
        context.check()?;
        let (batch, batches, tests) = SIZE;
        let work = Work::draw(20_000, batch, batches, tests, seed);
        work.write(folder)?;
        let mut bench = Bench::new(&work, seed)?;
        bench.write_weights(folder)?;
        let theirs = Rival::start(python, folder, "deep_fm.py", "sparse_adam", false)?.compare()?;
        let losses = (0..batches).map(|_| bench.step()).collect::<Result<Vec<_>>>()?;
        for (mine, theirs) in losses.iter().zip(&theirs).take(10) {
            apart = apart.max((mine - theirs).abs());
        }
        let labels: Vec<f32> = work.tests().flat_map(|batch| batch.label.clone()).collect();
        let mut scores = Vec::with_capacity(labels.len());
        for batch in work.tests() {
            scores.extend(bench.network.logits(batch)?);
        }
        let bytes = std::fs::read(folder.join("scores.f32")).explain("cannot read the rival's scores")?;
        let their_scores: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let of = |scores: &[f32]| auc(scores, &labels, &[]).unwrap_or(f64::NAN);
        differences.push(of(&scores) - of(&their_scores));
    }
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let deviation = (differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let start = "loss apart from PyTorch's, first 10 steps, same weights (1e-6)";
    let gain = "test AUC less PyTorch's, mean of 5 seeds (1e-6)";
    Ok(vec![
        BenchRow { met: Some(apart <= 1e-3), ..ours(start, 1e6 * apart, "at most", Some(1e3)) },
        BenchRow {
            met: Some(mean >= -2.0 * deviation.max(1e-9)),
            ..ours(gain, 1e6 * mean, "on average", Some(-2e6 * deviation))
        },
    ])
}

/// Batches of a power law over fields of very different sizes.
struct Work {
    encoder: Encoder,
    batches: Vec<Batch>,
    /// How many of them are for training.
    training: usize,
}

impl Work {
    fn draw(ids: usize, batch: usize, training: usize, tests: usize, seed: u64) -> Self {
        let sizes = sizes(ids);
        let mut rng = Rng::named(seed, "bench train");
        let batches = (0..training + tests).map(|_| draw_batch(&sizes, batch, &mut rng)).collect();
        let field = |(at, size): (usize, &usize)| CategoricalField {
            name: format!("field{at}"),
            side: if at == 0 { Side::User } else { Side::Ad },
            values: Vec::new(),
            hash_buckets: *size as u32,
        };
        let categorical = sizes.iter().enumerate().map(field).collect();
        let encoder = Encoder { label: "click".to_owned(), categorical, ..Encoder::default() };
        Self { encoder, batches, training }
    }

    fn tests(&self) -> impl Iterator<Item = &Batch> {
        self.batches[self.training..].iter()
    }

    /// The files that `deep_fm.py` reads.
    fn write(&self, folder: &Path) -> Result<()> {
        let what = "cannot write the rival's data";
        let sizes: Vec<_> = self.encoder.categorical.iter().map(CategoricalField::cardinality).collect();
        let shape = serde_json::json!({
            "sizes": sizes,
            "batch": self.batches[0].rows,
            "batches": self.training,
            "tests": self.batches.len() - self.training,
            "rate": RATE,
        });
        let mut ids: Vec<u32> = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.rows {
                ids.extend(batch.categorical.iter().map(|column| column[row]));
            }
        }
        let labels: Vec<f32> = self.batches.iter().flat_map(|batch| batch.label.clone()).collect();
        std::fs::write(folder.join("shape.json"), shape.to_string()).explain(what)?;
        std::fs::write(folder.join("ids.u32"), bytemuck::cast_slice(&ids)).explain(what)?;
        std::fs::write(folder.join("labels.f32"), bytemuck::cast_slice(&labels)).explain(what)?;
        std::fs::write(folder.join("deep_fm.py"), SCRIPT).explain(what)
    }
}

const SCRIPT: &str = include_str!("../../../benches/rivals/deep_fm.py");

/// 13 small fields, as of numbers in bins, and 26 in geometric progression: like Criteo's.
pub(super) fn sizes(ids: usize) -> Vec<usize> {
    let growth: Vec<f64> = (0..FIELDS - 13).map(|at| 1.55_f64.powi(at as i32)).collect();
    let (total, left) = (growth.iter().sum::<f64>(), ids as f64 - 13.0 * 50.0);
    let large = growth.iter().map(|part| ((part / total * left) as usize).max(3));
    std::iter::repeat_n(50, 13).chain(large).collect()
}

/// Ids with probability about `1 / rank` within a field; clicks by a planted weight of each id.
pub(super) fn draw_batch(sizes: &[usize], rows: usize, rng: &mut Rng) -> Batch {
    let mut categorical = vec![Vec::with_capacity(rows); sizes.len()];
    let mut label = Vec::with_capacity(rows);
    for _ in 0..rows {
        let mut log_odds = -1.5;
        for (at, (size, column)) in sizes.iter().zip(&mut categorical).enumerate() {
            let size = *size as f64;
            let rank = ((size + 1.0).powf(rng.uniform()) - 1.0).floor().min(size - 1.0) as u32;
            // A uniform of variance 0.2 from a hash of the value.
            let luck = mix(u64::from(rank) << 8 | at as u64) >> 11;
            log_odds += (luck as f64 / (1_u64 << 53) as f64 - 0.5) * (0.2_f64 * 12.0).sqrt();
            column.push(rank + crate::data::batch::FIRST_VALUE_ID);
        }
        label.push(f32::from(rng.chance(1.0 / (1.0 + (-log_odds).exp()))));
    }
    Batch { rows, categorical, label, ..Batch::default() }
}

/// Our side: a network that steps through the training batches over and over.
struct Bench<'a> {
    work: &'a Work,
    network: Network,
    gradients: Gradients,
    rng: Rng,
    done: usize,
}

/// Seconds of a step.
#[derive(Clone, Copy)]
struct Timed {
    whole: f64,
    gradient: f64,
}

impl<'a> Bench<'a> {
    fn new(work: &'a Work, seed: u64) -> Result<Self> {
        let mut spec = TrainSpec::new("deep_fm")?;
        let settings = [("embedding_width", WIDTH), ("hidden_units", UNITS), ("hidden_layers", LAYERS)];
        for (name, value) in settings {
            spec.set(name, &value.to_string())?;
        }
        spec.set("dropout", "0")?;
        let kind = models::kind("deep_fm")?;
        let device = device::choose("cpu")?;
        let network = Network::for_training(kind, &work.encoder, &spec.params, seed, device, Rule::Adam)?;
        let rng = Rng::named(seed, "dropout");
        Ok(Self { work, network, gradients: Gradients::default(), rng, done: 0 })
    }

    fn step(&mut self) -> Result<f64> {
        Ok(self.timed_step()?.0)
    }

    /// The loss, and seconds spent on the gradient.
    fn timed_step(&mut self) -> Result<(f64, f64)> {
        let batch = &self.work.batches[self.done % self.work.training];
        let begun = Instant::now();
        let mut pass = Pass::Train(&mut self.rng);
        let loss = self.network.gradients_into(batch, &mut pass, &mut self.gradients)?;
        let gradient = begun.elapsed().as_secs_f64();
        self.done += 1;
        let step = Step { count: self.done as u64, ..Step::new(Rule::Adam, RATE) };
        self.network.apply(&self.gradients, step)?;
        Ok((loss, gradient))
    }

    fn timed(&mut self, steps: usize) -> Result<Timed> {
        let (begun, mut gradient) = (Instant::now(), 0.0);
        for _ in 0..steps {
            gradient += self.timed_step()?.1;
        }
        let whole = begun.elapsed().as_secs_f64() / steps as f64;
        Ok(Timed { whole, gradient: gradient / steps as f64 })
    }

    fn seconds_a_step(&mut self, steps: usize) -> Result<f64> {
        Ok(self.timed(steps)?.whole)
    }

    /// All weights in the order of the network's tensors: bias, MLP, linear weights, embeddings.
    fn write_weights(&self, folder: &Path) -> Result<()> {
        let mut numbers: Vec<f32> = Vec::new();
        for tensor in self.network.tensors() {
            numbers.extend_from_slice(&tensor.values());
        }
        std::fs::write(folder.join("weights.f32"), bytemuck::cast_slice(&numbers))
            .explain("cannot write the rival's weights")
    }
}

/// A Python process that steps when asked.
pub(super) struct Rival {
    process: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

const WHAT_RIVAL: &str = "cannot measure the rival";

impl Rival {
    pub(super) fn start(python: &str, folder: &Path, script: &str, way: &str, tuned: bool) -> Result<Self> {
        let mut command = Command::new(python);
        command.arg(folder.join(script)).arg(folder).arg(way);
        if tuned {
            for name in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"] {
                command.env(name, "1073741824");
            }
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().explain(WHAT_RIVAL)?;
        match (process.stdin.take(), process.stdout.take()) {
            (Some(ask), Some(answer)) => Ok(Self { process, ask, answer: BufReader::new(answer) }),
            _ => Err(Failure::new(WHAT_RIVAL, "it cannot be spoken to")),
        }
    }

    fn say(&mut self, words: &str) -> Result<String> {
        writeln!(self.ask, "{words}").and_then(|()| self.ask.flush()).explain(WHAT_RIVAL)?;
        let mut line = String::new();
        self.answer.read_line(&mut line).explain(WHAT_RIVAL)?;
        if line.is_empty() {
            return Err(Failure::new(WHAT_RIVAL, "it stopped; its reason stands above"));
        }
        Ok(line)
    }

    pub(super) fn seconds_a_step(&mut self, steps: usize) -> Result<f64> {
        self.say(&format!("steps {steps}"))?.trim().parse().explain(WHAT_RIVAL)
    }

    fn compare(mut self) -> Result<Vec<f64>> {
        let answer = self.say("compare 0")?;
        serde_json::from_str(&answer).explain(WHAT_RIVAL)
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // It may have gone by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_repeat_by_seed_and_fit_their_tables_and_the_step_learns() {
        let work = Work::draw(2000, 64, 3, 1, 1);
        assert_eq!(work.batches, Work::draw(2000, 64, 3, 1, 1).batches);
        assert_ne!(work.batches, Work::draw(2000, 64, 3, 1, 2).batches);
        for batch in &work.batches {
            for (ids, field) in batch.categorical.iter().zip(&work.encoder.categorical) {
                assert!(ids.iter().all(|id| (*id as usize) < field.cardinality()));
            }
        }
        let mut bench = Bench::new(&work, 1).unwrap();
        let first = bench.step().unwrap();
        for _ in 0..8 {
            bench.step().unwrap();
        }
        assert!(bench.step().unwrap() < first);
    }
}
