//! What does a training do, step by step, and what must it remember to go on after a stop?

use super::adapters::Adapters;
use super::calibrating::{self, Calibration};
use super::card::{DataCard, ModelCard, TrainingCard, bytes_in_training, measure};
use super::checkpoint::Keep;
use super::conversions;
use super::epochs::EpochTables;
use super::gradient::{Lengths, clip};
use super::guard::{self, Place};
use super::history::{EpochRecord, History, LayerNorms, StepTaken, TrainSnapshot, ValidationNumbers};
use super::newcomers;
use super::objective::Objective;
use super::order::{self, Ahead};
use super::prefetch::each_batch;
use super::schedule::{self, EarlyStopping};
use super::spec::TrainSpec;
use super::trained::{TrainedModel, predict_rows};
use super::tuning::Tuning;
use crate::base::resources;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::{Batch, Dataset, Split, importers};
use crate::jobs::{JobContext, Latest};
use crate::metrics::{Measures, Outcomes};
use crate::models::{self, Gradients, Network};
use crate::nn::Pass;
use crate::nn::device;
use crate::nn::optimiser::Step;
use crate::nn::product;
use crate::nn::stored::Stored;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The window is told at most this often.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);

/// Steps after which the smoothed loss means something.
const SETTLED: u64 = 20;

/// A training that can be run, stopped, saved, and run on.
#[derive(Debug)]
pub struct Trainer {
    /// What is trained.
    pub spec: TrainSpec,
    pub(super) dataset: Dataset,
    pub(super) network: Network,
    pub(super) position: Position,
    /// What alone learns, where the weights stay.
    pub(super) adapters: Option<Adapters>,
    /// What of a model it began with goes on learning.
    pub(super) tuning: Option<Tuning>,
    /// Of the last step; buffers are kept from step to step.
    gradients: Gradients,
    objective: Objective,
    meter: resources::Meter,
    /// Click rate of what is trained on.
    learnt_rate: f64,
    /// Weights of the best epoch, as a safetensors file.
    pub(super) best: Option<Stored>,
    /// The embeddings by epoch, as far as this program saw them.
    moments: EpochTables,
    /// Where it is kept while it runs.
    pub(super) keep: Option<Keep>,
    /// Hash of everything that models read of the data, once it was asked for.
    pub(super) content: OnceLock<String>,
    /// Hash of the encoder, once it was asked for.
    pub(super) encoder_hash: OnceLock<String>,
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
    /// Rows that are shuffled together; 0 for all of them.
    #[serde(default)]
    pub window: usize,
    /// Stream of dropout.
    pub dropout: Rng,
    /// The watch on the validation rows.
    pub stopping: EarlyStopping,
    /// Sums of squared gradient lengths by part over the present epoch's steps.
    pub squares: Vec<f64>,
    /// Seconds of the present epoch's steps.
    pub epoch_secs: f64,
    /// Curves so far.
    pub history: History,
    /// Seconds of training steps so far.
    pub step_secs: f64,
    /// Seconds so far, validation included.
    pub total_secs: f64,
    /// Examples trained on so far.
    pub examples: u64,
    /// Multiplications of the steps' matrix products so far.
    #[serde(default)]
    pub multiplications: u64,
}

impl Trainer {
    /// Draws a fresh model for a dataset, whose rows may take the usual part of the machine's memory.
    ///
    /// # Errors
    /// The data cannot support it, the spec is out of bounds, or the device does not answer.
    pub fn new(dataset: &Dataset, spec: &TrainSpec) -> Result<Self> {
        Self::within(importers::usual_memory(), dataset, spec)
    }

    /// As [`new`](Self::new), with so many bytes of memory: rows that lie in files and take more are shuffled in
    /// [windows](order).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn within(memory: u64, dataset: &Dataset, spec: &TrainSpec) -> Result<Self> {
        let spec = spec.completed()?;
        let rate = click_rate(dataset)?;
        let seed = spec.seed()?;
        let (objective, monitor) = (spec.objective()?, spec.monitor()?);
        schedule::check_monitor(dataset, monitor)?;
        calibrating::check(&spec.params, &dataset.encoder)?;
        conversions::check(models::kind(&spec.kind)?, dataset, &objective)?;
        let mut network = draw_network(dataset, &spec, seed)?;
        if spec.hardening()?.is_some() {
            network.check_attackable("cannot harden the model")?;
        }
        newcomers::check(&spec.params, &dataset.encoder, &network)?;
        network.start_at_rates(objective.learnt_rate(rate), conversions::rate(dataset))?;
        Ok(Self {
            spec,
            dataset: order::near(dataset, memory),
            network,
            adapters: None,
            tuning: None,
            objective,
            meter: resources::Meter::default(),
            learnt_rate: objective.learnt_rate(rate),
            gradients: Gradients::default(),
            position: Position {
                epoch: 0,
                batch: 0,
                step: 0,
                order: Rng::named(seed, "row order"),
                window: order::window(dataset, memory),
                dropout: Rng::named(seed, "dropout"),
                stopping: EarlyStopping::new(monitor),
                squares: Vec::new(),
                epoch_secs: 0.0,
                history: History::default(),
                step_secs: 0.0,
                total_secs: 0.0,
                examples: 0,
                multiplications: 0,
            },
            best: None,
            moments: EpochTables::default(),
            keep: None,
            content: OnceLock::new(),
            encoder_hash: OnceLock::new(),
        })
    }

    /// Trains to the end. After an error of cancel the trainer stands at a whole number of batches and may be
    /// run again, with the same result as if it had not been stopped.
    ///
    /// # Errors
    /// Cancelled, the loss is no longer a number, or the device fails.
    pub fn run(&mut self, live: &Latest<TrainSnapshot>, context: &JobContext) -> Result<()> {
        context.stage(&format!("Training {}", self.spec.kind));
        self.run_to(u32::MAX, live, context)
    }

    /// The same to an epoch, or to the end where that comes first; the learning rate falls as in the whole training.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_to(&mut self, epoch: u32, live: &Latest<TrainSnapshot>, context: &JobContext) -> Result<()> {
        let ended = self.epochs_to(epoch, live, context);
        match &ended {
            // The model is worth more than its last checkpoint.
            Ok(()) => self.keep_or_tell(context),
            Err(stopped) if stopped.is_cancelled() => self.keep_here()?,
            // Where it went wrong the last good checkpoint stays, and not the weights as they are.
            Err(_) => {}
        }
        ended
    }

    fn epochs_to(&mut self, epoch: u32, live: &Latest<TrainSnapshot>, context: &JobContext) -> Result<()> {
        self.count(context)?;
        while self.position.epoch < epoch && !self.is_over()? {
            self.epoch(live, context)?;
            self.keep_now_and_then(true, context);
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

    /// True when the weights of a finished epoch are kept.
    pub fn has_best(&self) -> bool {
        self.best.is_some()
    }

    /// Measures the best weights on the test rows and hands the model over.
    ///
    /// # Errors
    /// Cancelled, or the device fails.
    pub fn finish(mut self, context: &JobContext) -> Result<TrainedModel> {
        if let Some(best) = &self.best {
            self.network.set_bytes(best)?;
            self.adapters.iter_mut().for_each(Adapters::take_best);
        }
        let objective_shift = self.objective.log_odds_shift();
        if objective_shift != 0.0 {
            self.network.shift_log_odds(objective_shift)?;
        }
        let newcomers = self.welcome()?;
        let (log_odds_shift, calibration) = self.calibrate(context)?;
        context.stage("Measuring on the test rows");
        let Tested { test, uncalibrated, conversions } = self.test(calibration.as_ref(), context)?;
        let card = ModelCard {
            kind: self.spec.kind.clone(),
            params: self.spec.params.clone(),
            data: DataCard::of(&self.dataset, &self.spec.source),
            training: TrainingCard { objective_shift, log_odds_shift, ..self.training_card()? },
            calibration,
            test,
            uncalibrated,
            conversions,
            newcomers,
            ..ModelCard::default()
        };
        let model = TrainedModel::new(card, Arc::clone(&self.dataset.encoder), self.network)?;
        Ok(model.adapted_by(self.adapters).with_moments(self.moments))
    }

    /// What the test rows say; nothing where there are none.
    fn test(&self, calibration: Option<&Calibration>, context: &JobContext) -> Result<Tested> {
        let rows = self.dataset.rows_of(Split::Test);
        if rows.is_empty() {
            return Ok(Tested::default());
        }
        let before = predict_rows(&self.network, None, &self.dataset, rows, context)?;
        let after = match calibration {
            Some(_) => Some(predict_rows(&self.network, calibration, &self.dataset, rows, context)?),
            None => None,
        };
        let predicted = after.as_ref().unwrap_or(&before);
        Ok(Tested {
            conversions: conversions::measured(&self.network, &self.dataset, rows, predicted, context)?,
            test: Some(measure(&self.dataset, rows, predicted)),
            uncalibrated: after.is_some().then(|| measure(&self.dataset, rows, &before)),
        })
    }

    fn training_card(&self) -> Result<TrainingCard> {
        let position = &self.position;
        let best = self.best.as_ref().map_or(0, |best| best.len() as u64);
        Ok(TrainingCard {
            seed: self.spec.seed()?,
            device: device::name(&self.network.device).to_owned(),
            epochs: position.epoch,
            best_epoch: position.stopping.best.map_or(position.epoch, |(_, epoch)| epoch),
            weights: self.adapters.as_ref().map_or_else(|| self.network.count(), Adapters::count),
            objective_shift: 0.0,
            log_odds_shift: None,
            memory_bytes: bytes_in_training(&self.network) + best,
            seconds: position.total_secs,
            examples_per_second: self.speed(),
            floor_share: self.floor_share(),
            history: position.history.clone(),
        })
    }

    fn epochs(&self) -> Result<u32> {
        Ok(self.spec.params.count("epochs")? as u32)
    }

    fn epoch(&mut self, live: &Latest<TrainSnapshot>, context: &JobContext) -> Result<()> {
        let begun = Instant::now();
        self.moments.keep(&self.network, &self.dataset.encoder, &self.position);
        let secs_before = self.position.total_secs;
        let size = self.spec.params.count("batch_size")?.max(1);
        let mut order = self.position.order.clone();
        let mut rows = self.objective.rows(&self.dataset, self.position.epoch);
        order::shuffle(&mut rows, self.position.window, &mut order);
        let mut ahead = Ahead::of(self.position.window);
        let (all, batches): (&[u32], Vec<&[u32]>) = (&rows, rows.chunks(size).collect());
        let total = batches.len() as u64 * u64::from(self.epochs()?);
        let (dataset, first) = (self.dataset.clone(), self.position.batch);
        let come_to = |place: usize| ahead.come_to((first + place) * size, all, &dataset);
        let mut told = None;
        let left = batches.get(first..).unwrap_or_default();
        each_batch(&dataset, left, come_to, |rows, batch, waited_from| {
            context.check()?;
            self.step(rows, batch, waited_from, (batches.len(), total))?;
            self.position.total_secs = secs_before + begun.elapsed().as_secs_f64();
            context.progress(self.position.step, total);
            if told.is_none_or(|told: Instant| told.elapsed() >= SNAPSHOT_EVERY) {
                live.publish(self.snapshot(batches.len())?);
                context.wake();
                told = Some(Instant::now());
            }
            self.keep_now_and_then(false, context);
            Ok(())
        })?;
        self.validate(total, context)?;
        self.position.order = order;
        self.position.batch = 0;
        self.position.epoch += 1;
        self.moments.keep(&self.network, &self.dataset.encoder, &self.position);
        self.position.total_secs = secs_before + begun.elapsed().as_secs_f64();
        live.publish(self.snapshot(batches.len())?);
        context.wake();
        Ok(())
    }

    /// Takes the step of a batch of `rows` that was waited for since `begun`, one of so many in the epoch and in all.
    fn step(
        &mut self,
        rows: &[u32],
        mut batch: Batch,
        begun: Instant,
        (batches, total): (usize, u64),
    ) -> Result<()> {
        let before = product::multiplications();
        self.objective.shape(&mut batch);
        self.forget(&mut batch, rows)?;
        let mut pass = Pass::Train(&mut self.position.dropout);
        let (network, gradients) = (&self.network, &mut self.gradients);
        let loss = match self.spec.hardening()? {
            None => network.gradients_into(&batch, &mut pass, gradients)?,
            Some(attack) => network.hardened_gradients_into(&batch, attack, &mut pass, gradients)?,
        };
        let lengths = Lengths::of(&self.gradients);
        if !loss.is_finite() || !lengths.whole().is_finite() {
            let what = if loss.is_finite() {
                "the gradient is no number".to_owned()
            } else {
                format!("the loss is {loss}")
            };
            return Err(self.blame(&what, rows)?);
        }
        clip(&mut self.gradients, &lengths, self.spec.params.real("clip_norm")?);
        let step = Step {
            rule: self.spec.rule()?,
            rate: self.learning_rate(total)? as f32,
            l2: self.spec.params.real("l2")? as f32,
            l1: self.spec.params.real("l1")? as f32,
            decay: self.spec.params.real("weight_decay")? as f32,
            count: self.position.step + 1,
        };
        match &mut self.adapters {
            Some(adapters) => adapters.apply(&mut self.network, &self.gradients, step)?,
            None => self.network.apply(&self.gradients, step)?,
        }
        let position = &mut self.position;
        position.step += 1;
        position.batch += 1;
        position.examples += rows.len() as u64;
        position.multiplications += product::multiplications() - before;
        position.step_secs += begun.elapsed().as_secs_f64();
        position.epoch_secs += begun.elapsed().as_secs_f64();
        position.squares.resize(lengths.parts.len(), 0.0);
        position.squares.iter_mut().zip(&lengths.parts).for_each(|(sum, part)| *sum += part * part);
        let passed = f64::from(position.epoch) + position.batch as f64 / batches as f64;
        let taken = StepTaken {
            loss: self.gradients.loss_of_clicks,
            gradient_norm: lengths.whole(),
            learning_rate: f64::from(step.rate),
        };
        position.history.record_step(position.step, passed, taken);
        let smoothed = self.position.history.training_loss();
        if self.position.step >= SETTLED && guard::has_run_away(smoothed, self.learnt_rate) {
            return Err(self.blame(&format!("the loss ran away to {smoothed:.3}"), rows)?);
        }
        Ok(())
    }

    /// Why the training cannot go on after a batch of these rows.
    fn blame(&self, what: &str, rows: &[u32]) -> Result<Failure> {
        let Position { epoch, batch, step, .. } = self.position;
        let place = Place { epoch: epoch + 1, batch: batch + 1, step: step + 1 };
        let failure = guard::blame(what, &self.network, &self.dataset, &self.objective, rows, place)?;
        Ok(match self.position.stopping.best {
            Some((_, epoch)) => {
                let kept = format!("the weights of epoch {epoch} are kept and can be made a model");
                let hint = format!("{}; {kept}", failure.hint);
                failure.hint(hint)
            }
            None => failure,
        })
    }

    fn learning_rate(&self, total: u64) -> Result<f64> {
        let position = &self.position;
        let factor = self.spec.schedule()?.factor(position.step, total, position.stopping.stalls);
        Ok(self.spec.params.real("learning_rate")? * factor)
    }

    /// Ends an epoch: the validation numbers, and the weights if they are the best so far.
    fn validate(&mut self, total: u64, context: &JobContext) -> Result<()> {
        let begun = Instant::now();
        let rows = self.dataset.rows_of(Split::Validation).clone();
        let validation = if rows.is_empty() {
            ValidationNumbers::default()
        } else {
            let mut predicted = predict_rows(&self.network, None, &self.dataset, &rows, context)?;
            let objective = self.objective;
            predicted.iter_mut().for_each(|p| *p = objective.recalibrated(f64::from(*p)) as f32);
            ValidationNumbers::of(Happened::of(&self.dataset, &rows).beside(&predicted))
        };
        let epoch = self.position.epoch + 1;
        let steps = self.position.batch.max(1) as f64;
        let squares = std::mem::take(&mut self.position.squares);
        let record = EpochRecord {
            epoch,
            learning_rate: self.learning_rate(total)?,
            training_loss: self.position.history.training_loss(),
            gradient_norm: (squares.iter().sum::<f64>() / steps).sqrt(),
            step_secs: std::mem::take(&mut self.position.epoch_secs),
            validation_secs: begun.elapsed().as_secs_f64(),
            validation,
        };
        self.position.history.epochs.push(record);
        self.position.history.layers = self.layers(&squares, steps);
        if rows.is_empty() {
            // Nothing to stop on: the last weights are the result.
            return Ok(());
        }
        let monitored = validation.of_monitor(self.position.stopping.monitor).ok_or_else(|| {
            Failure::new("cannot go on training", "the validation loss is not a number")
                .hint("a lower learning_rate")
        })?;
        if self.position.stopping.record(epoch, monitored) {
            self.best = Some(self.network.copied()?);
            self.adapters.iter_mut().for_each(Adapters::keep);
        }
        Ok(())
    }

    /// Sizes of weights and gradients by layer, after an epoch of so many steps.
    fn layers(&self, squares: &[f64], steps: f64) -> Vec<LayerNorms> {
        let sum = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let dense = self.network.parameters.iter().map(|p| (p.name.clone(), sum(&p.values).sqrt()));
        let tables = self.network.tables.iter().map(|table| (table.name.clone(), table.mean_square().sqrt()));
        let gradients = squares.iter().map(|square| (square / steps).sqrt());
        dense
            .chain(tables)
            .zip(gradients)
            .map(|((name, weight), gradient)| LayerNorms { name, weight, gradient })
            .collect()
    }

    fn speed(&self) -> f64 {
        self.position.examples as f64 / self.position.step_secs.max(1e-9)
    }

    /// Share of the steps' time that their matrix products would take at this machine's full rate.
    fn floor_share(&self) -> Option<f64> {
        let position = &self.position;
        let counted = self.network.is_direct() && position.multiplications > 0;
        counted.then(|| position.multiplications as f64 / product::full_rate() / position.step_secs.max(1e-9))
    }

    fn snapshot(&mut self, batches: usize) -> Result<TrainSnapshot> {
        let busy_cores = self.meter.busy_cores();
        let position = &self.position;
        let passed = f64::from(position.epoch) + position.batch as f64 / batches.max(1) as f64;
        let left = (f64::from(self.epochs()?) - passed).max(0.0);
        Ok(TrainSnapshot {
            kind: self.spec.kind.clone(),
            device: device::name(&self.network.device).to_owned(),
            history: position.history.clone(),
            epochs_passed: passed,
            epochs: self.epochs()?,
            examples_per_second: self.speed(),
            floor_share: self.floor_share(),
            elapsed_secs: position.total_secs,
            left_secs: left * position.total_secs / passed.max(f64::MIN_POSITIVE),
            resident_bytes: resources::resident_bytes(),
            busy_cores,
        })
    }
}

/// What the test rows say.
#[derive(Debug, Default)]
struct Tested {
    /// Of clicks.
    test: Option<Measures>,
    /// The same before the calibration layer, where there is one.
    uncalibrated: Option<Measures>,
    /// Of clicks with a conversion, where that is a task.
    conversions: Option<Measures>,
}

/// The network on the device that the spec names; `auto` takes a card where the model is large enough for one.
fn draw_network(dataset: &Dataset, spec: &TrainSpec, seed: u64) -> Result<Network> {
    let (kind, rule) = (models::kind(&spec.kind)?, spec.rule()?);
    let draw = |device| Network::for_training(kind, &dataset.encoder, &spec.params, seed, device, rule);
    let word = spec.params.choice("device")?;
    if word != "auto" {
        return draw(device::choose(word)?);
    }
    let network = draw(device::choose("cpu")?)?;
    let rows = spec.params.count("batch_size")?.min(dataset.train.len());
    match device::worth_it(network.dense_count() * rows) {
        Some(card) => draw(card),
        None => Ok(network),
    }
}

/// What happened on some rows of a dataset. Columns stay empty that the log does not have.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) labels: Vec<f32>,
    pub(super) weights: Vec<f32>,
    pub(super) users: Vec<u32>,
}

impl Happened {
    pub(super) fn of(dataset: &Dataset, rows: &[u32]) -> Self {
        Self {
            labels: take_known(&dataset.label, rows),
            weights: take_known(&dataset.weight, rows),
            users: take_known(&dataset.users, rows),
        }
    }

    /// Beside what was predicted for the same rows.
    pub(super) fn beside<'a>(&'a self, predicted: &'a [f32]) -> Outcomes<'a> {
        Outcomes { predicted, labels: &self.labels, weights: &self.weights, users: &self.users }
    }
}

/// The click rate of the training rows; refuses data that cannot be learnt from.
pub(super) fn click_rate(dataset: &Dataset) -> Result<f64> {
    let what = "cannot train a model";
    if dataset.label.is_empty() {
        return Err(
            Failure::new(what, "the log has no label column").hint("give the click column the role label")
        );
    }
    if dataset.train.is_empty() {
        return Err(Failure::new(what, "there are no training rows").hint("a log with more rows"));
    }
    let Happened { labels, weights, .. } = Happened::of(dataset, &dataset.train);
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
