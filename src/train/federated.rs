//! How is a model trained on rows that nobody gathers? Clients train on their own, and only masked sums of their changes
//! leave them.
//!
//! FedAvg (McMahan et al., arXiv 1602.05629): each round some clients take the server's weights, step on their rows, and the
//! mean of their changes by rows is added. The sums are masked in pairs (Bonawitz et al., CCS 2017) with as many neighbours
//! as Bell et al. (CCS 2020) need: what one client sends is noise, the sum is exact. With noise (McMahan et al., arXiv
//! 1710.06963) every change is clipped to one length, all count alike, and normal noise is added to the sum; what that tells
//! of one client is [counted](crate::metrics::accountant). Clients are the rows of one value of a column, in one process:
//! this shows what federated training would do, it does not protect the log at hand.

use super::card::{DataCard, ModelCard, TrainingCard, bytes_in_training, measure};
use super::conversions;
use super::spec::TrainSpec;
use super::trained::{TrainedModel, predict_rows};
use super::trainer::click_rate;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::{Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::Measures;
use crate::metrics::accountant::epsilon;
use crate::models::{self, Gradients, Network};
use crate::nn::Pass;
use crate::nn::device;
use crate::nn::optimiser::{Rule, Step};
use crate::nn::weights::NamedTensors;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

const WHAT: &str = "cannot train on clients";
/// Others that a client shares masks with, where there are so many.
const NEIGHBOURS: usize = 16;
/// What 1 is in sums of whole numbers.
const ONE: f64 = (1_u64 << 40) as f64;
/// Changes larger than this have run away.
const MOST: f64 = 1e6;

/// How clients train together.
#[derive(Debug, Clone, PartialEq)]
pub struct Federation {
    /// The column whose values are the clients.
    pub column: String,
    /// Rounds at most.
    pub rounds: usize,
    /// Probability of each client to take part in a round.
    pub share: f64,
    /// Passes of a client over its rows in a round.
    pub local_epochs: usize,
    /// Rows of a client's step; 0 for all of them.
    pub batch: usize,
    /// Learning rate of a client's plain gradient steps.
    pub rate: f64,
    /// Noise, and what it may tell.
    pub noise: Option<Noise>,
}

/// Noise that hides each client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Length that a client's change is clipped to.
    pub clip: f64,
    /// Deviation of the noise in the sum, in clipping lengths.
    pub multiplier: f64,
    /// Probability with which more may be told than epsilon says.
    pub delta: f64,
    /// Epsilon at most; rounds end before it is spent.
    pub budget: f64,
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            column: String::new(),
            rounds: 20,
            share: 1.0,
            local_epochs: 1,
            batch: 64,
            rate: 0.1,
            noise: None,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Federated {
    /// The column whose values were the clients.
    pub column: String,
    /// Clients.
    pub clients: usize,
    /// Of them those without a click.
    pub without_clicks: usize,
    /// Rows of the smallest and the largest client.
    pub rows: [usize; 2],
    /// Round by round.
    pub rounds: Vec<Round>,
    /// The probability that epsilon goes with, where there was noise.
    pub delta: Option<f64>,
    /// True where rounds ended because one more would have spent more than the budget.
    pub spent: bool,
}

/// One round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Round {
    /// Clients that took part.
    pub clients: usize,
    /// Of them those whose change was clipped.
    pub clipped: usize,
    /// Epsilon spent so far, where there is noise.
    pub epsilon: Option<f64>,
    /// How good the model is on the validation rows, where there are any.
    pub validation: Option<Measures>,
}

impl Federation {
    fn check(&self) -> Result<()> {
        let refuse = |why: &str, hint: &str| Err(Failure::new(WHAT, why).hint(hint));
        if self.rounds == 0 || self.local_epochs == 0 {
            return refuse("no round or no pass was asked for", "1 or more of each");
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return refuse("the share of clients lies outside of 0 to 1", "above 0, and 1 at most");
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return refuse("the learning rate is not above 0", "0.1");
        }
        let Some(noise) = self.noise else { return Ok(()) };
        if !(noise.clip > 0.0 && noise.multiplier > 0.0 && noise.delta > 0.0 && noise.delta < 1.0) {
            return refuse("noise takes a clipping length, a deviation and a delta above 0", "1, 1 and 1e-5");
        }
        let first = epsilon(self.share, noise.multiplier, 1, noise.delta);
        if first > noise.budget {
            let why =
                format!("one round spends epsilon {first:.2}, more than the budget of {}", noise.budget);
            return refuse(&why, "more noise, a smaller share of clients, or a larger budget");
        }
        Ok(())
    }
}

/// Trains a model on clients; the model and what came of it.
///
/// # Errors
/// A federation that makes no sense, a column that is no field or has one value, a kind that is counted or solved at one
/// place, a budget that one round would spend, weights that ran away, or a cancel.
pub fn federate(
    dataset: &Dataset,
    spec: &TrainSpec,
    federation: &Federation,
    context: &JobContext,
) -> Result<(TrainedModel, Federated)> {
    federation.check()?;
    let begun = Instant::now();
    let spec = spec.completed()?;
    let (kind, seed) = (models::kind(&spec.kind)?, spec.seed()?);
    let clients = clients(dataset, &federation.column)?;
    conversions::check(kind, dataset, &spec.objective()?)?;
    let cpu = device::choose("cpu")?;
    let mut network = Network::for_training(kind, &dataset.encoder, &spec.params, seed, cpu, Rule::Sgd)?;
    if network.tables.iter().any(|table| table.is_fixed)
        || network.parameters.iter().any(|parameter| parameter.is_fixed)
    {
        let why = format!("{} counts or solves on all rows at one place", kind.id());
        return Err(Failure::new(WHAT, why).hint("logistic, fm, deep_fm or another kind that steps"));
    }
    if federation.noise.is_none() {
        // Two sums of every client, which masks would hide as they do the changes.
        network.start_at_rates(click_rate(dataset)?, conversions::rate(dataset))?;
    }
    let mut server = Server::of(&network);
    let has_click = |rows: &Vec<u32>| rows.iter().any(|row| dataset.label[*row as usize] > 0.0);
    let sizes = || clients.iter().map(Vec::len);
    let mut answer = Federated {
        column: federation.column.clone(),
        clients: clients.len(),
        without_clicks: clients.iter().filter(|rows| !has_click(rows)).count(),
        rows: [sizes().min().unwrap_or(0), sizes().max().unwrap_or(0)],
        rounds: Vec::new(),
        delta: federation.noise.map(|noise| noise.delta),
        spent: false,
    };
    let mut rng = Rng::named(seed, "federated");
    let mut examples = 0;
    for round in 0..federation.rounds {
        context.stage(&format!("Round {} of {}", round + 1, federation.rounds));
        context.progress(round as u64, federation.rounds as u64);
        let so_far = federation
            .noise
            .map(|noise| (noise, epsilon(federation.share, noise.multiplier, round as u64 + 1, noise.delta)));
        if so_far.is_some_and(|(noise, epsilon)| epsilon > noise.budget) {
            answer.spent = true;
            break;
        }
        let taking: Vec<&Vec<u32>> = clients.iter().filter(|_| rng.chance(federation.share)).collect();
        let rows: usize = taking.iter().map(|rows| rows.len()).sum();
        examples += rows * federation.local_epochs;
        let (mut sum, mut clipped) = (vec![0_u64; server.weights.len()], 0);
        for (place, rows_of_client) in taking.iter().enumerate() {
            context.check()?;
            let mut change = server.change(&mut network, dataset, rows_of_client, federation, &mut rng)?;
            let weight = match federation.noise {
                // By rows, as a mean over all rows would be.
                None => rows_of_client.len() as f64 / rows as f64,
                Some(noise) => {
                    clipped += usize::from(clip(&mut change, noise.clip));
                    1.0
                }
            };
            let mut sent = whole(&change, weight)?;
            mask(&mut sent, (place, taking.len()), (seed, round));
            sum.iter_mut().zip(&sent).for_each(|(sum, sent)| *sum = sum.wrapping_add(*sent));
        }
        let scale = match federation.noise {
            None => 1.0,
            // As many as take part on average: the true number would tell of one client.
            Some(_) => 1.0 / (federation.share * clients.len() as f64),
        };
        for (weight, sum) in server.weights.iter_mut().zip(&sum) {
            let noise = federation.noise.map_or(0.0, |noise| noise.multiplier * noise.clip * rng.normal());
            *weight += (scale * (*sum as i64 as f64 / ONE + noise)) as f32;
        }
        network.set_tensors(server.tensors())?;
        let validation = judged(&network, dataset, Split::Validation, context)?;
        let epsilon = so_far.map(|(_, epsilon)| epsilon);
        answer.rounds.push(Round { clients: taking.len(), clipped, epsilon, validation });
    }
    let test = judged(&network, dataset, Split::Test, context)?;
    let seconds = begun.elapsed().as_secs_f64();
    let card = ModelCard {
        kind: spec.kind.clone(),
        params: spec.params.clone(),
        data: DataCard::of(dataset, &spec.source),
        training: TrainingCard {
            seed,
            device: "cpu".to_owned(),
            epochs: answer.rounds.len() as u32,
            best_epoch: answer.rounds.len() as u32,
            weights: network.count(),
            memory_bytes: bytes_in_training(&network),
            seconds,
            examples_per_second: examples as f64 / seconds.max(1e-9),
            ..TrainingCard::default()
        },
        test,
        ..ModelCard::default()
    };
    Ok((TrainedModel::new(card, Arc::clone(&dataset.encoder), network)?, answer))
}

/// How good a network is on a part of the rows, where there are any.
fn judged(
    network: &Network,
    dataset: &Dataset,
    split: Split,
    context: &JobContext,
) -> Result<Option<Measures>> {
    let rows = dataset.rows_of(split);
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(measure(dataset, rows, &predict_rows(network, None, dataset, rows, context)?)))
}

/// The training rows of each value of a column.
fn clients(dataset: &Dataset, column: &str) -> Result<Vec<Vec<u32>>> {
    if dataset.label.is_empty() {
        return Err(Failure::new(WHAT, "the log does not say what was clicked")
            .hint("give the click column the role label"));
    }
    let fields = &dataset.encoder.categorical;
    let Some(place) = fields.iter().position(|field| field.name == column) else {
        let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        return Err(Failure::new(WHAT, format!("there is no column '{column}' with values"))
            .hint(format!("one of: {}", known.join(", "))));
    };
    let mut by_value: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for row in dataset.train.iter() {
        by_value.entry(dataset.categorical[place][*row as usize]).or_default().push(*row);
    }
    if by_value.len() < 2 {
        let why = format!("{column} has {} value in the training rows", by_value.len());
        return Err(Failure::new(WHAT, why).hint("a column with more values: each is a client"));
    }
    Ok(by_value.into_values().collect())
}

/// All weights of a network, one tensor after another.
struct Server {
    weights: Vec<f32>,
    tensors: Vec<(String, Vec<usize>)>,
}

impl Server {
    fn of(network: &Network) -> Self {
        let tensors = network.tensors();
        Self {
            weights: tensors.iter().flat_map(|tensor| tensor.values().into_owned()).collect(),
            tensors: tensors.into_iter().map(|tensor| (tensor.name, tensor.shape)).collect(),
        }
    }

    fn tensors(&self) -> NamedTensors<'_> {
        let mut from = 0;
        let tensor = |(name, shape): &(String, Vec<usize>)| {
            let values = &self.weights[from..][..shape.iter().product()];
            from += values.len();
            (name.clone(), (shape.clone(), Cow::Borrowed(values)))
        };
        self.tensors.iter().map(tensor).collect()
    }

    /// How a client's rows move the weights.
    fn change(
        &self,
        network: &mut Network,
        dataset: &Dataset,
        rows: &[u32],
        federation: &Federation,
        rng: &mut Rng,
    ) -> Result<Vec<f64>> {
        network.set_tensors(self.tensors())?;
        let mut gradients = Gradients::default();
        let size = if federation.batch == 0 { rows.len() } else { federation.batch };
        let mut rows = rows.to_vec();
        let mut count = 0;
        for _ in 0..federation.local_epochs {
            if size < rows.len() {
                rng.shuffle(&mut rows);
            }
            for rows in rows.chunks(size) {
                let batch = dataset.batch(rows);
                network.gradients_into(&batch, &mut Pass::Train(rng), &mut gradients)?;
                count += 1;
                let rate = federation.rate as f32;
                let step = Step { rule: Rule::Sgd, rate, l2: 0.0, l1: 0.0, decay: 0.0, count };
                network.apply(&gradients, step)?;
            }
        }
        let moved = network.tensors().into_iter().flat_map(|tensor| tensor.values().into_owned());
        Ok(moved.zip(&self.weights).map(|(now, then)| f64::from(now) - f64::from(*then)).collect())
    }
}

/// Shortens a change to a length; true where it was longer.
fn clip(change: &mut [f64], most: f64) -> bool {
    let length = change.iter().map(|part| part * part).sum::<f64>().sqrt();
    if length <= most {
        return false;
    }
    change.iter_mut().for_each(|part| *part *= most / length);
    true
}

/// A weighted change in whole numbers, of which sums are exact.
fn whole(change: &[f64], weight: f64) -> Result<Vec<u64>> {
    let number = |part: &f64| {
        let part = part * weight;
        if part.abs() < MOST {
            return Ok((part * ONE).round() as i64 as u64);
        }
        Err(Failure::new(WHAT, "a client's weights ran away").hint("a smaller learning rate"))
    };
    change.iter().map(number).collect()
}

/// Adds what a client shares with each neighbour: one of the two adds it, the other takes it away.
fn mask(sent: &mut [u64], (place, clients): (usize, usize), (seed, round): (u64, usize)) {
    for step in 1..=(NEIGHBOURS / 2).min(clients.saturating_sub(1)) {
        // Where there are few, a neighbour is one on both sides: the two masks are two streams.
        let (next, former) = ((place + step) % clients, (place + clients - step) % clients);
        let stream = |from: usize, to: usize| Rng::named(seed, &format!("mask/{round}/{from}/{to}/{step}"));
        let (mut added, mut taken) = (stream(place, next), stream(former, place));
        for number in sent.iter_mut() {
            *number = number.wrapping_add(added.bits()).wrapping_sub(taken.bits());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_hide_what_each_sends_and_cancel_exactly() {
        for clients in [1, 2, 3, 16, 40] {
            let mut rng = Rng::named(2, "masks");
            let sent: Vec<Vec<u64>> = (0..clients)
                .map(|_| whole(&[rng.normal(), 1e-9, -3.0, rng.normal()], 0.3).unwrap())
                .collect();
            let add = |sum: [u64; 4], one: &Vec<u64>| std::array::from_fn(|at| sum[at].wrapping_add(one[at]));
            let open = sent.iter().fold([0; 4], add);
            let masked: Vec<Vec<u64>> = sent
                .iter()
                .enumerate()
                .map(|(place, one)| {
                    let mut one = one.clone();
                    mask(&mut one, (place, clients), (7, 3));
                    one
                })
                .collect();
            assert_eq!(masked.iter().fold([0; 4], add), open, "{clients} clients");
            if clients > 1 {
                assert!(masked.iter().zip(&sent).all(|(masked, sent)| masked != sent));
            }
        }
        assert!(whole(&[f64::NAN], 1.0).is_err() && whole(&[1e9], 1.0).is_err());
    }

    #[test]
    fn a_long_change_is_shortened_and_a_short_one_stays() {
        let mut change = [3.0, 4.0];
        assert!(clip(&mut change, 1.0));
        assert!((change[0] - 0.6).abs() < 1e-12 && (change[1] - 0.8).abs() < 1e-12);
        assert!(!clip(&mut change, 1.5));
    }
}
