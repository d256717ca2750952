//! What does a training do, step by step, and what must it remember to go on after a stop?

use super::card::{DataCard, ModelCard, TestNumbers, TrainingCard};
use super::history::{EpochRecord, History, TrainSnapshot};
use super::schedule::EarlyStopping;
use super::spec::TrainSpec;
use super::trained::{TrainedModel, predict_rows};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::{Dataset, Split};
use crate::jobs::{JobContext, Latest};
use crate::metrics::{calibration, ranking};
use crate::models::{self, Network};
use crate::nn::Pass;
use crate::nn::device;
use crate::nn::optimiser::{Moments, Step};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The window is told at most this often.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);

/// Standard deviation of the log odds by which a fitted model's average is usually off: 0.1 is about 10 %. Few
/// validation clicks thus move it little.
const USUAL_SHIFT: f64 = 0.1;

/// A training that can be run, stopped, saved, and run on.
#[derive(Debug)]
pub struct Trainer {
    /// What is trained.
    pub spec: TrainSpec,
    pub(super) dataset: Dataset,
    pub(super) network: Network,
    /// The optimiser's memory: dense parameters, then tables, in the network's order.
    pub(super) moments: Vec<Moments>,
    pub(super) position: Position,
    /// Weights of the best epoch, as a safetensors file.
    pub(super) best: Option<Vec<u8>>,
}

/// Where a training stands: everything beside numbers of weights that decides what comes next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Finished epochs.
    pub epoch: u32,
    /// Finished batches of the present epoch.
    pub batch: usize,
    /// Finished steps.
    pub step: u64,
    /// Stream of the row order, as it stood when the present epoch began.
    pub order: Rng,
    /// Stream of dropout.
    pub dropout: Rng,
    /// The watch on validation loss.
    pub stopping: EarlyStopping,
    /// Curves so far.
    pub history: History,
    /// Seconds of training steps so far.
    pub step_secs: f64,
    /// Seconds so far, validation included.
    pub total_secs: f64,
    /// Examples trained on so far.
    pub examples: u64,
}

impl Trainer {
    /// Draws a fresh model for a dataset.
    ///
    /// # Errors
    /// The data cannot support it, the spec is out of bounds, or the device does not answer.
    pub fn new(dataset: &Dataset, spec: &TrainSpec) -> Result<Self> {
        let spec = spec.completed()?;
        let rate = click_rate(dataset)?;
        let seed = spec.seed()?;
        let mut network = Network::new(
            models::kind(&spec.kind)?,
            &dataset.encoder,
            &spec.params,
            seed,
            device::choose(spec.params.choice("device")?)?,
        )?;
        network.start_at_rate(rate)?;
        let rule = spec.rule()?;
        let dense = network.parameters.iter().map(|p| p.values.len());
        let sparse = network.tables.iter().map(|t| t.values.len());
        let moments = dense.chain(sparse).map(|n| Moments::new(rule, n)).collect();
        Ok(Self {
            spec,
            dataset: dataset.clone(),
            network,
            moments,
            position: Position {
                epoch: 0,
                batch: 0,
                step: 0,
                order: Rng::named(seed, "row order"),
                dropout: Rng::named(seed, "dropout"),
                stopping: EarlyStopping::default(),
                history: History::default(),
                step_secs: 0.0,
                total_secs: 0.0,
                examples: 0,
            },
            best: None,
        })
    }

    /// Trains to the end. After an error of cancel the trainer stands at a whole number of batches and may be
    /// run again, with the same result as if it had not been stopped.
    ///
    /// # Errors
    /// Cancelled, the loss is no longer a number, or the device fails.
    pub fn run(&mut self, live: &Latest<TrainSnapshot>, context: &JobContext) -> Result<()> {
        context.stage(&format!("Training {}", self.spec.kind));
        while !self.is_over()? {
            self.epoch(live, context)?;
        }
        Ok(())
    }

    /// True when nothing is left to train: all epochs done, or no gain for too long.
    ///
    /// # Errors
    /// A knob is missing.
    pub fn is_over(&self) -> Result<bool> {
        let patience = self.spec.params.count("patience")? as u32;
        Ok(self.position.epoch >= self.epochs()? || self.position.stopping.is_over(patience))
    }

    /// Finished epochs.
    pub fn epochs_done(&self) -> u32 {
        self.position.epoch
    }

    /// Measures the best weights on the test rows and hands the model over.
    ///
    /// # Errors
    /// Cancelled, or the device fails.
    pub fn finish(mut self, context: &JobContext) -> Result<TrainedModel> {
        if let Some(best) = &self.best {
            self.network.set_bytes(best)?;
        }
        let log_odds_shift = self.calibrate(context)?;
        context.stage("Measuring on the test rows");
        let test = Arc::clone(self.dataset.rows_of(Split::Test));
        let card = ModelCard {
            kind: self.spec.kind.clone(),
            params: self.spec.params.clone(),
            data: DataCard::of(&self.dataset, &self.spec.source),
            training: TrainingCard { log_odds_shift, ..self.training_card()? },
            test: if test.is_empty() {
                None
            } else {
                let predicted = predict_rows(&self.network, &self.dataset, &test, context)?;
                Some(TestNumbers::of(&self.dataset, &test, &predicted))
            },
            ..ModelCard::default()
        };
        Ok(TrainedModel::new(card, Arc::clone(&self.dataset.encoder), self.network))
    }

    /// Moves the average prediction to what happened on the validation rows, which are nearer to the future than
    /// the rows that the weights were fitted on. Returns what was added to the log odds.
    fn calibrate(&mut self, context: &JobContext) -> Result<Option<f64>> {
        let rows = Arc::clone(self.dataset.rows_of(Split::Validation));
        if rows.is_empty() || self.spec.params.choice("calibrate")? == "off" {
            return Ok(None);
        }
        context.stage("Calibrating on the validation rows");
        let predicted = predict_rows(&self.network, &self.dataset, &rows, context)?;
        let log_odds: Vec<f32> = predicted.iter().map(|p| (p / (1.0 - p)).ln()).collect();
        let (labels, weights) = outcomes(&self.dataset, &rows);
        let shift = calibration::intercept_shift(&log_odds, &labels, &weights, USUAL_SHIFT);
        if let Some(shift) = shift {
            self.network.shift_log_odds(shift)?;
        }
        Ok(shift)
    }

    fn training_card(&self) -> Result<TrainingCard> {
        let position = &self.position;
        Ok(TrainingCard {
            seed: self.spec.seed()?,
            device: device::name(&self.network.device).to_owned(),
            epochs: position.epoch,
            best_epoch: position.stopping.best.map_or(position.epoch, |(_, epoch)| epoch),
            weights: self.network.count(),
            log_odds_shift: None,
            seconds: position.total_secs,
            examples_per_second: self.speed(),
            history: position.history.clone(),
        })
    }

    fn epochs(&self) -> Result<u32> {
        Ok(self.spec.params.count("epochs")? as u32)
    }

    fn epoch(&mut self, live: &Latest<TrainSnapshot>, context: &JobContext) -> Result<()> {
        let begun = Instant::now();
        let secs_before = self.position.total_secs;
        let size = self.spec.params.count("batch_size")?.max(1);
        let mut order = self.position.order.clone();
        let mut rows = self.dataset.train.to_vec();
        order.shuffle(&mut rows);
        let batches: Vec<&[u32]> = rows.chunks(size).collect();
        let total = batches.len() as u64 * u64::from(self.epochs()?);
        let mut told = None;
        for rows in batches.iter().skip(self.position.batch) {
            context.check()?;
            self.step(rows, batches.len(), total)?;
            self.position.total_secs = secs_before + begun.elapsed().as_secs_f64();
            context.progress(self.position.step, total);
            if told.is_none_or(|told: Instant| told.elapsed() >= SNAPSHOT_EVERY) {
                live.publish(self.snapshot(batches.len())?);
                context.wake();
                told = Some(Instant::now());
            }
        }
        self.validate(total, context)?;
        self.position.order = order;
        self.position.batch = 0;
        self.position.epoch += 1;
        self.position.total_secs = secs_before + begun.elapsed().as_secs_f64();
        live.publish(self.snapshot(batches.len())?);
        context.wake();
        Ok(())
    }

    fn step(&mut self, rows: &[u32], batches: usize, total: u64) -> Result<()> {
        let begun = Instant::now();
        let batch = self.dataset.batch(rows);
        let mut pass = Pass::Train(&mut self.position.dropout);
        let (loss, gradients) = self.network.gradients(&batch, &mut pass)?;
        if !loss.is_finite() {
            return Err(Failure::new(
                "cannot go on training",
                format!("the loss became {loss} at step {}", self.position.step + 1),
            )
            .hint("a lower learning_rate"));
        }
        let step = Step {
            rule: self.spec.rule()?,
            rate: self.learning_rate(total)? as f32,
            l2: self.spec.params.real("l2")? as f32,
            count: self.position.step + 1,
        };
        let (dense, sparse) = self.moments.split_at_mut(self.network.parameters.len());
        let parameters = self.network.parameters.iter_mut();
        for ((parameter, moments), gradient) in parameters.zip(dense).zip(&gradients.dense) {
            // A penalty on biases would pull the average prediction away from the click rate.
            let l2 = if parameter.name.ends_with("bias") { 0.0 } else { step.l2 };
            Step { l2, ..step }.dense(&mut parameter.values, moments, gradient);
            parameter.upload()?;
        }
        let tables = self.network.tables.iter_mut();
        for ((table, moments), gradient) in tables.zip(sparse).zip(&gradients.tables) {
            step.sparse(&mut table.values, moments, gradient, table.width);
        }
        let position = &mut self.position;
        position.step += 1;
        position.batch += 1;
        position.examples += rows.len() as u64;
        position.step_secs += begun.elapsed().as_secs_f64();
        let passed = f64::from(position.epoch) + position.batch as f64 / batches as f64;
        position.history.record_step(position.step, passed, loss);
        Ok(())
    }

    fn learning_rate(&self, total: u64) -> Result<f64> {
        let position = &self.position;
        let factor = self.spec.schedule()?.factor(position.step, total, position.stopping.stalls);
        Ok(self.spec.params.real("learning_rate")? * factor)
    }

    /// Ends an epoch: the validation numbers, and the weights if they are the best so far.
    fn validate(&mut self, total: u64, context: &JobContext) -> Result<()> {
        let rows = Arc::clone(self.dataset.rows_of(Split::Validation));
        if rows.is_empty() {
            // Nothing to stop on: the last weights are the result.
            return Ok(());
        }
        let predicted = predict_rows(&self.network, &self.dataset, &rows, context)?;
        let (labels, weights) = outcomes(&self.dataset, &rows);
        let epoch = self.position.epoch + 1;
        let loss = calibration::log_loss(&predicted, &labels, &weights).ok_or_else(|| {
            Failure::new("cannot go on training", "the validation loss is not a number")
                .hint("a lower learning_rate")
        })?;
        let record = EpochRecord {
            epoch,
            validation_loss: loss,
            validation_auc: ranking::auc(&predicted, &labels, &weights),
            learning_rate: self.learning_rate(total)?,
        };
        self.position.history.epochs.push(record);
        if self.position.stopping.record(epoch, loss) {
            self.best = Some(self.network.to_bytes()?);
        }
        Ok(())
    }

    fn speed(&self) -> f64 {
        self.position.examples as f64 / self.position.step_secs.max(1e-9)
    }

    fn snapshot(&self, batches: usize) -> Result<TrainSnapshot> {
        let position = &self.position;
        Ok(TrainSnapshot {
            kind: self.spec.kind.clone(),
            device: device::name(&self.network.device).to_owned(),
            history: position.history.clone(),
            epochs_passed: f64::from(position.epoch) + position.batch as f64 / batches.max(1) as f64,
            epochs: self.epochs()?,
            examples_per_second: self.speed(),
            elapsed_secs: position.total_secs,
        })
    }
}

/// Labels and weights of some rows; weights stay empty when the log has none.
pub(super) fn outcomes(dataset: &Dataset, rows: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let pick = |column: &[f32]| -> Vec<f32> {
        if column.is_empty() {
            return Vec::new();
        }
        rows.iter().map(|row| column[*row as usize]).collect()
    };
    (pick(&dataset.label), pick(&dataset.weight))
}

/// The click rate of the training rows; refuses data that cannot be learnt from.
fn click_rate(dataset: &Dataset) -> Result<f64> {
    let what = "cannot train a model";
    if dataset.label.is_empty() {
        return Err(
            Failure::new(what, "the log has no label column").hint("give the click column the role label")
        );
    }
    if dataset.train.is_empty() {
        return Err(Failure::new(what, "there are no training rows").hint("a log with more rows"));
    }
    let (labels, weights) = outcomes(dataset, &dataset.train);
    let weight = |place: usize| weights.get(place).copied().map_or(1.0, f64::from);
    let (mut clicks, mut total) = (0.0, 0.0);
    for (place, label) in labels.iter().enumerate() {
        clicks += weight(place) * f64::from(*label);
        total += weight(place);
    }
    if clicks <= 0.0 || clicks >= total {
        let kind = if clicks <= 0.0 { "0" } else { "1" };
        let why =
            format!("all {} training rows have label {kind}: there is nothing to tell apart", labels.len());
        return Err(Failure::new(what, why).hint("a log with clicks and non-clicks, or another label column"));
    }
    Ok(clicks / total)
}
