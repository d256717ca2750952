//! What do small changes of an impression's gathered rows do to its score, at worst?
//!
//! Ids cannot be changed a little; the vectors that stand for them can. FGM (Miyato, Dai & Goodfellow, arXiv 1605.07725,
//! equation 5) adds `epsilon g / |g|`, where `g` is the derivative of the impression's log loss by all that was
//! gathered for it, side by side. PGD (Madry et al., arXiv 1706.06083) goes on from there in steps of a quarter of
//! epsilon, drawn back to the ball of that radius after each, and keeps the worst place that it saw: more steps never
//! harm less. Each impression is changed on its own, so the numbers do not depend on what shares its batch.
//!
//! The attack runs on the graph of any kind whose rows are learnt. It moves embeddings, and the weights of a linear part
//! only where there is nothing else. What was not gathered (padding, an empty history) is not moved.

use super::loss::task_loss;
use super::{Forward, Gradients, Network};
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::Batch;
use crate::nn::Pass;
use crate::nn::losses::{backward_from, bce_with_logits, sigmoid};
use crate::nn::tables::Lookup;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Share of epsilon that a step of PGD after its first goes: fixed, so that more steps extend the same path.
const LATER_STEP: f32 = 0.25;

/// How far an impression's gathered rows may be moved, and by which search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// Longest change of an impression's rows together, by Euclid.
    pub epsilon: f64,
    /// Steps along the gradient: 1 is FGM, more are PGD.
    pub steps: usize,
}

/// What is added to the answer of each lookup.
pub(super) type Moves = Vec<Vec<f32>>;

/// The losses of a batch, example by example, and their derivatives by what was gathered.
struct Slopes {
    losses: Vec<f64>,
    /// One a lookup, zero where nothing may move.
    by_gathered: Moves,
}

impl Network {
    /// Refuses kinds that cannot be attacked.
    ///
    /// # Errors
    /// A table that no gradient moves, or none at all: beside what was counted, an attack on a linear part says little.
    pub fn check_attackable(&self, what: &str) -> Result<()> {
        if !self.tables.is_empty() && self.tables.iter().all(|table| !table.is_fixed) {
            return Ok(());
        }
        Err(Failure::new(what, "what this kind knows is counted or solved for, and no gradient moves it")
            .hint("a kind with embeddings, such as deep_fm"))
    }

    /// Log odds of a labelled batch after an attack on each of its impressions.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn attacked_logits(&self, batch: &Batch, attack: Attack) -> Result<Vec<f32>> {
        let moves = self.worst_moves(batch, attack, None)?;
        Ok(self.moved(batch, Some(&moves), None)?.logits)
    }

    /// The length of what may be moved of each impression: what epsilon compares with.
    pub fn gathered_lengths(&self, batch: &Batch) -> Vec<f64> {
        let batch = &*self.as_read(batch);
        let lookups = self.model.lookups(batch);
        let gathered: Moves = lookups
            .iter()
            .map(|lookup| match self.may_move(lookup) {
                true => self.tables[lookup.table].gather(lookup),
                false => Vec::new(),
            })
            .collect();
        lengths(&gathered, batch.rows)
    }

    /// Writes the derivative of the loss and of `weight` times the loss under attack, and answers the loss without.
    ///
    /// # Errors
    /// As for [`gradients_into`](Self::gradients_into).
    pub fn hardened_gradients_into(
        &self,
        batch: &Batch,
        (attack, weight): (Attack, f32),
        pass: &mut Pass<'_>,
        out: &mut Gradients,
    ) -> Result<f64> {
        // All passes drop the same units, so that the attack is on the network that is trained in this step.
        let dropout = match pass {
            Pass::Train(rng) => Some(rng.clone()),
            Pass::Predict | Pass::Look(_) => None,
        };
        let loss = self.gradients_into(batch, pass, out)?;
        let moves = self.worst_moves(batch, attack, dropout.as_ref())?;
        let forward = self.moved(batch, Some(&moves), dropout.as_ref())?;
        let under_attack = task_loss(&forward, batch);
        let more = self.backward(&forward, &under_attack).explain("cannot compute the gradient")?;
        out.add(&more, weight, &self.tables);
        Ok(loss)
    }

    /// The change of each impression that raises its log loss of clicks the most, as far as the attack finds it.
    fn worst_moves(&self, batch: &Batch, attack: Attack, dropout: Option<&Rng>) -> Result<Moves> {
        let epsilon = attack.epsilon as f32;
        let start = self.slopes(batch, None, dropout)?;
        let mut moves: Moves = start.by_gathered.iter().map(|part| vec![0.0; part.len()]).collect();
        step(&mut moves, &start.by_gathered, batch.rows, epsilon);
        if attack.steps <= 1 {
            return Ok(moves);
        }
        // Standing still is a place too: an attack never does less harm than none.
        let mut worst: Moves = moves.iter().map(|part| vec![0.0; part.len()]).collect();
        let mut losses = start.losses;
        for taken in 1..=attack.steps {
            let here = self.slopes(batch, Some(&moves), dropout)?;
            for (example, (worst_loss, loss)) in losses.iter_mut().zip(&here.losses).enumerate() {
                if loss > worst_loss {
                    *worst_loss = *loss;
                    copy_example(&moves, &mut worst, batch.rows, example);
                }
            }
            if taken < attack.steps {
                step(&mut moves, &here.by_gathered, batch.rows, LATER_STEP * epsilon);
                project(&mut moves, batch.rows, epsilon);
            }
        }
        Ok(worst)
    }

    /// Losses and slopes with the rows moved.
    fn slopes(&self, batch: &Batch, moves: Option<&Moves>, dropout: Option<&Rng>) -> Result<Slopes> {
        let forward = self.moved(batch, moves, dropout)?;
        let losses = forward.logits.iter().zip(&batch.label);
        let losses = losses.map(|(z, y)| bce_with_logits(&[*z], &[*y], &[]).mean).collect();
        let by_logit: Vec<f32> = forward
            .logits
            .iter()
            .zip(&batch.label)
            .map(|(z, y)| (sigmoid(f64::from(*z)) - f64::from(*y)) as f32)
            .collect();
        let what = "cannot compute the attack";
        let store = backward_from(&[(&forward.graph, by_logit.as_slice())]).explain(what)?;
        let by_gathered = forward.leaves.iter().map(|(lookup, var)| match store.get(var.as_tensor()) {
            Some(gradient) if self.may_move(lookup) => {
                let numbers = gradient.flatten_all().and_then(|flat| flat.to_vec1()).explain(what)?;
                Ok(only_read(lookup, numbers))
            }
            _ => Ok(Vec::new()),
        });
        Ok(Slopes { losses, by_gathered: by_gathered.collect::<Result<_>>()? })
    }

    /// A pass with the rows moved, dropping what `dropout` says.
    fn moved(&self, batch: &Batch, moves: Option<&Moves>, dropout: Option<&Rng>) -> Result<Forward> {
        let mut stream = dropout.cloned();
        let mut pass = stream.as_mut().map_or(Pass::Predict, Pass::Train);
        let batch = &*self.as_read(batch);
        let lookups = self.model.lookups(batch);
        self.compute(batch, lookups, moves, &mut pass).explain("cannot compute the model")
    }

    /// True for embeddings; for the weights of a linear part only where there are none.
    fn may_move(&self, lookup: &Lookup) -> bool {
        let learnt = || self.tables.iter().filter(|table| !table.is_fixed);
        let table = &self.tables[lookup.table];
        !table.is_fixed && (table.width > 1 || learnt().all(|table| table.width == 1))
    }
}

/// Numbers of slots that nothing was read into are no part of the impression.
fn only_read(lookup: &Lookup, numbers: Vec<f32>) -> Vec<f32> {
    let slots = lookup.shape.iter().product::<usize>().max(1);
    let width = numbers.len() / slots;
    let mut kept = vec![0.0; numbers.len()];
    for read in &lookup.reads {
        let at = read.slot as usize * width..(read.slot as usize + 1) * width;
        kept[at.clone()].copy_from_slice(&numbers[at]);
    }
    kept
}

/// The numbers of an example in each part; all parts run over examples first.
fn of_example(parts: &Moves, rows: usize, example: usize) -> impl Iterator<Item = &[f32]> {
    parts.iter().map(move |part| {
        let each = part.len() / rows.max(1);
        &part[example * each..(example + 1) * each]
    })
}

/// Length of each example's numbers over all parts.
fn lengths(parts: &Moves, rows: usize) -> Vec<f64> {
    let square = |example| -> f64 {
        of_example(parts, rows, example).flatten().map(|number| f64::from(*number).powi(2)).sum()
    };
    (0..rows).into_par_iter().map(|example| square(example).sqrt()).collect()
}

/// Moves each example so far along its slope; one without a slope stays.
fn step(moves: &mut Moves, slopes: &Moves, rows: usize, far: f32) {
    let lengths = lengths(slopes, rows);
    for (part, slopes) in moves.iter_mut().zip(slopes) {
        let each = (part.len() / rows.max(1)).max(1);
        let examples = part.chunks_mut(each).zip(slopes.chunks(each)).zip(&lengths);
        for ((numbers, slopes), length) in examples.filter(|(_, length)| **length > 0.0) {
            let factor = (f64::from(far) / length) as f32;
            numbers.iter_mut().zip(slopes).for_each(|(number, slope)| *number += factor * slope);
        }
    }
}

/// Draws each example that went farther than `radius` back to it.
fn project(moves: &mut Moves, rows: usize, radius: f32) {
    let lengths = lengths(moves, rows);
    for part in moves {
        let each = (part.len() / rows.max(1)).max(1);
        for (numbers, length) in part.chunks_mut(each).zip(&lengths) {
            let factor = (f64::from(radius) / length).min(1.0) as f32;
            if factor < 1.0 {
                numbers.iter_mut().for_each(|number| *number *= factor);
            }
        }
    }
}

fn copy_example(from: &Moves, to: &mut Moves, rows: usize, example: usize) {
    for (from, to) in of_example(from, rows, example).zip(to) {
        let each = from.len();
        to[example * each..(example + 1) * each].copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::params::Params;
    use crate::models::check::tiny;
    use crate::models::{MODELS, kind};
    use candle_core::Device;

    fn lively(id: &str) -> (Network, Batch) {
        let (encoder, batch) = tiny();
        let kind = kind(id).unwrap();
        let params = Params::defaults(kind.params());
        let mut network = Network::new(kind, &encoder, &params, 3, Device::Cpu).unwrap();
        let mut rng = Rng::named(5, "lively");
        for parameter in &mut network.parameters {
            parameter.values.iter_mut().for_each(|value| *value += (0.2 * rng.normal()) as f32);
            parameter.upload().unwrap();
        }
        for table in &mut network.tables {
            for row in 0..table.rows() as u32 {
                table.row_mut(row).iter_mut().for_each(|value| *value += (0.5 * rng.normal()) as f32);
            }
        }
        (network, batch)
    }

    fn losses(network: &Network, batch: &Batch, moves: Option<&Moves>) -> Vec<f64> {
        network.slopes(batch, moves, None).unwrap().losses
    }

    fn attackable() -> impl Iterator<Item = &'static str> {
        let learns = |id: &&str| lively(id).0.check_attackable("").is_ok();
        MODELS.iter().map(|kind| kind.id()).filter(learns)
    }

    #[test]
    fn slopes_by_gathered_rows_agree_with_central_differences_for_every_kind() {
        let mut told = 0;
        for id in attackable() {
            let (network, batch) = lively(id);
            let slopes = network.slopes(&batch, None, None).unwrap();
            let mut moves: Moves = slopes.by_gathered.iter().map(|part| vec![0.0; part.len()]).collect();
            let h = 2e-3;
            for part in 0..moves.len() {
                for place in (0..moves[part].len()).step_by(7) {
                    let mut at = |x: f32| {
                        moves[part][place] = x;
                        losses(&network, &batch, Some(&moves)).iter().sum::<f64>()
                    };
                    let (down, up, here) = (at(-h), at(h), at(0.0));
                    let difference = (up - down) / (2.0 * f64::from(h));
                    // A unit switches on or off in between: no difference tells the slope there.
                    if (up - here - (here - down)).abs() > 1e-3 * f64::from(h) {
                        continue;
                    }
                    let slope = f64::from(slopes.by_gathered[part][place]);
                    // Padding has no slope here and may have one in the graph.
                    let tolerance = 2e-3 + 2e-2 * difference.abs();
                    assert!(
                        slope == 0.0 || (slope - difference).abs() < tolerance,
                        "{id}, lookup {part}, number {place}: {slope}, by differences {difference}"
                    );
                    told += usize::from(slope != 0.0);
                }
            }
        }
        assert!(told > 200, "{told}");
    }

    #[test]
    fn fgm_adds_epsilon_times_the_gradient_over_its_length() {
        // FM: the derivative of the score by an embedding is the sum of the others of its row (Rendle 2010).
        let (network, batch) = lively("fm");
        let table = network.tables.iter().find(|table| table.name == "embedding").unwrap();
        let moves = network.worst_moves(&batch, Attack { epsilon: 0.3, steps: 1 }, None).unwrap();
        let logits = network.logits(&batch).unwrap();
        let start = |field: usize| table.start(field);
        for (row, logit) in logits.iter().enumerate() {
            let fields = (0..3).map(|field| table.row(start(field) + batch.categorical[field][row]).to_vec());
            let mut vectors: Vec<Vec<f32>> = fields.collect();
            let past = &batch.sequences[0];
            let ids = &past.ids[row * past.max_len..][..past.lengths[row] as usize];
            let mut mean = vec![0.0; table.width];
            for id in ids {
                let event = table.row(start(1) + id);
                mean.iter_mut().zip(event).for_each(|(m, v)| *m += v / ids.len() as f32);
            }
            let known = if ids.is_empty() { 3 } else { 4 };
            vectors.push(mean);
            // The number has a vector too, which nothing gathers.
            let of_number = network.parameters.iter().find(|p| p.name == "numeric.embedding").unwrap();
            vectors.push(of_number.values.iter().map(|v| v * batch.numeric[0][row]).collect());
            let sum: Vec<f32> = (0..table.width).map(|at| vectors.iter().map(|v| v[at]).sum()).collect();
            let by_score = sigmoid(f64::from(*logit)) as f32 - batch.label[row];
            let slopes: Vec<f32> = vectors[..known]
                .iter()
                .flat_map(|vector| sum.iter().zip(vector).map(|(sum, own)| by_score * (sum - own)))
                .collect();
            let length = slopes.iter().map(|slope| slope * slope).sum::<f32>().sqrt();
            let got: Vec<f32> = of_example(&moves, batch.rows, row).flatten().copied().collect::<Vec<_>>();
            for (place, slope) in slopes.iter().enumerate() {
                let wanted = 0.3 * slope / length;
                assert!((got[place] - wanted).abs() < 1e-6, "row {row}: {} for {wanted}", got[place]);
            }
            assert!(got[slopes.len()..].iter().all(|number| *number == 0.0), "an empty history stays");
        }
    }

    #[test]
    fn on_a_linear_model_both_attacks_reach_the_closed_form_of_the_worst_loss() {
        // The sum of a row's weights enters the score with factor 1, so the worst score is off by epsilon.
        let (network, batch) = lively("logistic");
        let logits = network.logits(&batch).unwrap();
        for steps in [1, 2, 9] {
            let attacked = network.attacked_logits(&batch, Attack { epsilon: 0.7, steps }).unwrap();
            for ((z, y), worst) in logits.iter().zip(&batch.label).zip(attacked) {
                let wanted = z - 0.7 * (2.0 * y - 1.0);
                let loss = |z: f32| bce_with_logits(&[z], &[*y], &[]).mean;
                assert!((loss(worst) - loss(wanted)).abs() < 1e-6, "{worst} for {wanted}");
            }
        }
    }

    #[test]
    fn pgd_stays_within_epsilon_and_never_does_less_with_more_steps() {
        for id in attackable() {
            let (network, batch) = lively(id);
            let attack = |steps| Attack { epsilon: 0.8, steps };
            let clean = losses(&network, &batch, None);
            let fgm = network.worst_moves(&batch, attack(1), None).unwrap();
            let mut former = losses(&network, &batch, Some(&fgm));
            let first = former.clone();
            former.iter_mut().zip(&clean).for_each(|(former, clean)| *former = former.max(*clean));
            for steps in [2, 3, 6, 12] {
                let moves = network.worst_moves(&batch, attack(steps), None).unwrap();
                assert!(lengths(&moves, batch.rows).iter().all(|length| *length <= 0.8 + 1e-5), "{id}");
                let now = losses(&network, &batch, Some(&moves));
                let no_less = now.iter().zip(&former).all(|(now, former)| now >= former);
                assert!(no_less, "{id}, {steps} steps: {now:?} after {former:?}");
                assert!(now.iter().zip(&first).all(|(now, fgm)| now >= fgm));
                former = now;
            }
        }
    }

    #[test]
    fn what_goes_too_far_is_drawn_back_along_its_own_direction() {
        let mut moves = vec![vec![3.0, 0.0, 0.1, 0.1], vec![4.0, 0.2]];
        project(&mut moves, 2, 1.0);
        assert_eq!(moves, [vec![0.6, 0.0, 0.1, 0.1], vec![0.8, 0.2]]);
    }

    #[test]
    fn hardened_gradients_are_those_of_both_losses_together() {
        let (network, batch) = lively("deep_fm");
        let attack = Attack { epsilon: 0.4, steps: 1 };
        let mut out = Gradients::default();
        let loss =
            network.hardened_gradients_into(&batch, (attack, 0.5), &mut Pass::Predict, &mut out).unwrap();
        assert!((loss - network.loss(&batch).unwrap()).abs() < 1e-6);
        // With the attack held still (its own derivative is left out, as in the paper), by central differences.
        let moves = network.worst_moves(&batch, attack, None).unwrap();
        let total = |network: &Network| {
            let under = task_loss(&network.moved(&batch, Some(&moves), None).unwrap(), &batch).mean;
            network.loss(&batch).unwrap() + 0.5 * under
        };
        let place = network.parameters.iter().position(|p| p.name == "deep.0.weight").unwrap();
        let (mut network, h) = (network, 1e-2);
        for at in (0..network.parameters[place].values.len()).step_by(97) {
            let mut shifted = |by: f32| {
                network.parameters[place].values[at] += by;
                network.parameters[place].upload().unwrap();
                total(&network)
            };
            let (up, down) = (shifted(h), shifted(-2.0 * h));
            shifted(h);
            let (slope, wanted) = (f64::from(out.dense[place][at]), (up - down) / (2.0 * f64::from(h)));
            assert!((slope - wanted).abs() < 2e-3 + 0.02 * wanted.abs(), "{slope} for {wanted}");
        }
    }
}
