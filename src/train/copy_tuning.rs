//! How does a language model learn how a library speaks? Low-rank adapters (LoRA) by Adam on the next tokens of its texts.
//!
//! Texts are parted by a hash of their words: 70 % are learnt from, 15 % choose the best step, and 15 % that nothing else looks
//! at tell the loss before and after, with the interval of their difference over texts. Only the tokens of an answer count, not
//! those of the request before it. The model's file is not touched.

use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::{JobContext, Latest};
use crate::language::chat::adapters::{Adapter, Adapters, MOST_RANK};
use crate::language::chat::{AnswerLoss, ChatModel, Example, Outline, Reading};
use crate::metrics::Estimate;
use crate::nn::optimiser::{Rule, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Instant;

/// Texts that are needed.
pub const LEAST: usize = 30;
/// Texts that are read at most: more would take hours.
const MOST: usize = 20_000;
/// Shares of the texts, in percent: what is left is learnt from.
const CHOOSING: u64 = 15;
const TOLD: u64 = 15;
/// Texts that choose and tell at most: each look at them takes seconds.
const MOST_HELD: usize = 100;
/// Texts that go through at once when nothing is learnt.
const AT_ONCE: usize = 16;
/// Looks at the choosing texts, spread over the steps.
const LOOKS: usize = 10;
/// The longest gradient, beyond which it is made shorter.
const LONGEST: f64 = 1.0;
/// Steps over which the rate grows to its full height.
const WARM: u32 = 5;
const WHAT: &str = "cannot tune the language model";

/// How it is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TuneSpec {
    /// Columns of the thin matrices.
    pub rank: usize,
    /// Steps.
    pub steps: u32,
    /// Texts of a step.
    pub batch: usize,
    /// Adam's rate at its height; it falls to zero along a cosine.
    pub rate: f64,
    /// Start of every draw.
    pub seed: u64,
}

impl Default for TuneSpec {
    fn default() -> Self {
        Self { rank: 8, steps: 60, batch: 8, rate: 1e-3, seed: 1 }
    }
}

/// A text that is learnt, with the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// What is asked.
    pub request: String,
    /// The text.
    pub answer: String,
}

/// How far a tuning is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TuneState {
    /// Steps that were taken, and that there are.
    pub step: u32,
    /// Steps in all.
    pub steps: u32,
    /// `[step, mean loss of a token in nats]` of each step's texts.
    pub training: Vec<[f64; 2]>,
    /// The same of the choosing texts.
    pub choosing: Vec<[f64; 2]>,
    /// Seconds that a step takes, the median.
    pub seconds: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The adapters of the best step.
    pub adapters: Adapters,
    /// The curves.
    pub state: TuneState,
    /// The step that they are of; 0 where none was better than the model as it is.
    pub best_step: u32,
    /// Texts that were learnt from, that chose, and that tell.
    pub texts: [usize; 3],
    /// Mean loss of a token of the telling texts before and after.
    pub before: f64,
    /// After.
    pub after: f64,
    /// After less before, with its interval over texts.
    pub change: Estimate,
    /// Tokens of the telling texts.
    pub tokens: usize,
    /// Numbers that were learnt.
    pub numbers: usize,
    /// What was left out, in words.
    pub notes: Vec<String>,
}

/// Bytes that a tuning takes beside the model, before any weight is read: the largest step or look, with the adapters, what
/// is kept of their best step, their derivative and the two memories of Adam.
///
/// # Errors
/// As [`tune`], before it learns.
pub fn memory_of(outline: &Outline, lessons: &[Lesson], spec: TuneSpec) -> Result<u64> {
    check(spec)?;
    let [learnt, choosing, telling] = parts(&outline.reading, lessons, &mut Vec::new())?;
    let mut longest: Vec<usize> = learnt.iter().map(|one| one.tokens.len()).collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    let step: usize = longest.iter().take(spec.batch).sum();
    let tokens = |some: &[Example]| some.iter().map(|one| one.tokens.len()).sum::<usize>();
    let looks = choosing.chunks(AT_ONCE).chain(telling.chunks(AT_ONCE)).map(tokens);
    let sizes = outline.sizes;
    let passes =
        sizes.bytes_of_losses(step, true).max(sizes.bytes_of_losses(looks.max().unwrap_or(0), false));
    Ok(passes + 5 * 4 * sizes.numbers_of_adapters(spec.rank) as u64)
}

/// Learns. What a stop interrupts is handed over as it is then.
///
/// # Errors
/// Too few texts, settings that make no sense, or a cancel before the first look.
pub fn tune(
    model: &ChatModel,
    lessons: &[Lesson],
    spec: TuneSpec,
    live: &Latest<TuneState>,
    context: &JobContext,
) -> Result<Tuned> {
    check(spec)?;
    let mut notes = Vec::new();
    let parts = parts(model.reading(), lessons, &mut notes)?;
    let [learnt, choosing, telling] = &parts;
    let mut adapters = model.fresh_adapters(spec.rank, spec.seed)?;
    context.stage("looking at the texts as the model is");
    let before = losses(model, telling, &adapters, context)?;
    let mut state = TuneState { steps: spec.steps, ..TuneState::default() };
    let first = mean(&losses(model, choosing, &adapters, context)?);
    state.choosing.push([0.0, first]);
    live.publish(state.clone());
    let (mut best, mut best_loss, mut best_step) = (adapters.clone(), first, 0);
    let mut learner = Learner::new(&adapters, spec);
    context.stage("learning");
    let mut times = Vec::new();
    for step in 1..=spec.steps {
        if context.check().is_err() {
            notes.push(format!("stopped after step {}", step - 1));
            break;
        }
        context.progress(u64::from(step), u64::from(spec.steps));
        let begun = Instant::now();
        let batch = learner.batch(learnt);
        let Ok(loss) = learner.step(model, &batch, &mut adapters, step, context) else {
            notes.push(format!("stopped after step {}", step - 1));
            break;
        };
        times.push(begun.elapsed().as_secs_f64());
        state.step = step;
        state.training.push([f64::from(step), loss]);
        let every = (spec.steps as usize / LOOKS).max(1) as u32;
        if step % every == 0 || step == spec.steps {
            let Ok(losses) = losses(model, choosing, &adapters, context) else { break };
            let loss = mean(&losses);
            state.choosing.push([f64::from(step), loss]);
            if loss < best_loss {
                (best, best_loss, best_step) = (adapters.clone(), loss, step);
            }
        }
        times.sort_by(f64::total_cmp);
        state.seconds = times[times.len() / 2];
        live.publish(state.clone());
        context.wake();
    }
    // What it came to is told even where it was stopped: the look takes seconds.
    let after = losses(model, telling, &best, &JobContext::detached())?;
    let tuned = told(&parts, (&before, &after), (best, best_step), state, notes);
    live.publish(tuned.state.clone());
    Ok(tuned)
}

fn check(spec: TuneSpec) -> Result<()> {
    let ranks = 1..=MOST_RANK;
    let sensible = spec.steps >= 1
        && (1..=64).contains(&spec.batch)
        && ranks.contains(&spec.rank)
        && spec.rate > 0.0
        && spec.rate <= 0.1;
    match sensible {
        true => Ok(()),
        false => Err(Failure::new(WHAT, format!("{spec:?} makes no sense")).hint(format!(
            "1 step or more, 1 to 64 texts a step, a rank of 1 to {MOST_RANK}, a rate between 0 and 0.1"
        ))),
    }
}

/// The texts that are learnt from, that choose, and that tell.
fn parts(reading: &Reading, lessons: &[Lesson], notes: &mut Vec<String>) -> Result<[Vec<Example>; 3]> {
    let mut known = BTreeSet::new();
    let mut own: Vec<(u64, &Lesson)> = lessons
        .iter()
        .filter(|lesson| !lesson.answer.trim().is_empty() && known.insert(lesson.answer.trim()))
        .map(|lesson| (hash(lesson.answer.trim()), lesson))
        .collect();
    if own.len() < LEAST {
        let why = format!("{} different texts are too few to learn from and to judge by", own.len());
        return Err(Failure::new(WHAT, why).hint(format!("{LEAST} or more; a few hundred tell something")));
    }
    own.sort_by_key(|(hash, _)| *hash);
    if own.len() > MOST {
        notes.push(format!("of {} texts {MOST} are read", own.len()));
        own.truncate(MOST);
    }
    let share = |percent: u64| (own.len() as u64 * percent).div_ceil(100).min(MOST_HELD as u64) as usize;
    let (choosing, telling) = (share(CHOOSING), share(TOLD));
    let mut parts: [Vec<Example>; 3] = Default::default();
    let mut long = 0;
    for (place, (_, lesson)) in own.iter().enumerate() {
        let part = match place {
            place if place < choosing => 1,
            place if place < choosing + telling => 2,
            _ => 0,
        };
        match reading.example(&lesson.request, &lesson.answer) {
            Ok(example) => parts[part].push(example),
            Err(_) => long += 1,
        }
    }
    if long > 0 {
        notes.push(format!("{long} texts are too long and are left out"));
    }
    if parts.iter().any(Vec::is_empty) {
        return Err(Failure::new(WHAT, "too few of the texts are short enough").hint("headlines and lines"));
    }
    Ok(parts)
}

/// FNV-1a: the same on every machine.
fn hash(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    // The last bits follow the last letters: mixed once more.
    crate::base::rng::mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

fn losses(
    model: &ChatModel,
    examples: &[Example],
    adapters: &Adapters,
    context: &JobContext,
) -> Result<Vec<AnswerLoss>> {
    let mut all = Vec::with_capacity(examples.len());
    for some in examples.chunks(AT_ONCE) {
        all.extend(model.losses(some, adapters, None, context)?);
    }
    Ok(all)
}

/// The mean loss of a token.
fn mean(losses: &[AnswerLoss]) -> f64 {
    let tokens: usize = losses.iter().map(|loss| loss.tokens).sum();
    losses.iter().map(|loss| loss.nats).sum::<f64>() / tokens.max(1) as f64
}

/// After less before of a token's mean loss, with texts as the units of a ratio (delta method).
fn change(before: &[AnswerLoss], after: &[AnswerLoss]) -> Estimate {
    let n = before.len() as f64;
    let tokens = before.iter().map(|loss| loss.tokens as f64).sum::<f64>() / n;
    let differences: Vec<f64> = after.iter().zip(before).map(|(a, b)| a.nats - b.nats).collect();
    let value = differences.iter().sum::<f64>() / n / tokens;
    let left = differences.iter().zip(before).map(|(d, b)| (d - value * b.tokens as f64) / tokens);
    let variance = left.map(|left| left * left).sum::<f64>() / (n - 1.0).max(1.0);
    Estimate::normal(value, (variance / n).sqrt())
}

fn told(
    parts: &[Vec<Example>; 3],
    (before, after): (&[AnswerLoss], &[AnswerLoss]),
    (mut adapters, best_step): (Adapters, u32),
    state: TuneState,
    mut notes: Vec<String>,
) -> Tuned {
    if best_step == 0 {
        notes.push("no step was better on the choosing texts than the model as it is".to_owned());
    }
    let texts = [parts[0].len(), parts[1].len(), parts[2].len()];
    let (old, new, change) = (mean(before), mean(after), change(before, after));
    adapters.note = format!(
        "learnt from {} texts, step {best_step} of {}: loss of a token {old:.3} before, {new:.3} after on {} held-out texts",
        texts[0], state.step, texts[2]
    );
    let tokens = before.iter().map(|loss| loss.tokens).sum();
    let numbers = adapters.count();
    Tuned { adapters, state, best_step, texts, before: old, after: new, change, tokens, numbers, notes }
}

/// What takes steps.
struct Learner {
    spec: TuneSpec,
    rng: Rng,
    order: Vec<usize>,
    /// What Adam remembers of `up` and `down` of each adapter.
    memory: Vec<[Vec<f32>; 2]>,
}

impl Learner {
    fn new(adapters: &Adapters, spec: TuneSpec) -> Self {
        let room = |values: &[f32]| -> Vec<f32> {
            vec![0.0; Rule::Adam.remembers_dense(values.len()).iter().map(|(_, count)| count).sum()]
        };
        let memory = adapters.all().map(|one| [room(&one.up), room(&one.down)]).collect();
        Self { spec, rng: Rng::named(spec.seed, "tuning"), order: Vec::new(), memory }
    }

    /// The texts of the next step: all of them once before any comes again.
    fn batch(&mut self, learnt: &[Example]) -> Vec<Example> {
        let mut batch = Vec::with_capacity(self.spec.batch);
        while batch.len() < self.spec.batch.min(learnt.len()) {
            if self.order.is_empty() {
                self.order = (0..learnt.len()).collect();
                self.rng.shuffle(&mut self.order);
            }
            batch.extend(self.order.pop().map(|place| learnt[place].clone()));
        }
        batch
    }

    /// One step; answers the loss before it.
    fn step(
        &mut self,
        model: &ChatModel,
        batch: &[Example],
        adapters: &mut Adapters,
        step: u32,
        context: &JobContext,
    ) -> Result<f64> {
        let mut gradient = adapters.zeros();
        let losses = model.losses(batch, adapters, Some(&mut gradient), context)?;
        let squares = |values: &[f32]| values.iter().map(|value| f64::from(value * value)).sum::<f64>();
        let length = gradient.all().map(|one| squares(&one.up) + squares(&one.down)).sum::<f64>().sqrt();
        if !length.is_finite() {
            return Err(Failure::new(WHAT, "the gradient is no number any more").hint("a smaller rate"));
        }
        let shrink = (LONGEST / length.max(1e-12)).min(1.0) as f32;
        let done = f64::from(step) / f64::from(self.spec.steps.max(1));
        let height =
            (f64::from(step) / f64::from(WARM)).min(1.0) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        let rate = (self.spec.rate * height.max(1e-3)) as f32;
        let rule = Step { count: u64::from(step), ..Step::new(Rule::Adam, rate) };
        let of = |one: &mut Adapter, memory: &mut [Vec<f32>; 2], mut by: Adapter| {
            by.up.iter_mut().chain(&mut by.down).for_each(|value| *value *= shrink);
            rule.dense(&mut one.up, &mut memory[0], &by.up);
            rule.dense(&mut one.down, &mut memory[1], &by.down);
        };
        let gradients = gradient.layers.into_iter().flatten();
        for ((one, memory), by) in adapters.all_mut().zip(&mut self.memory).zip(gradients) {
            of(one, memory, by);
        }
        Ok(mean(&losses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_is_that_of_all_tokens_with_texts_as_units() {
        let loss = |nats, tokens| AnswerLoss { nats, tokens };
        let before = [loss(10.0, 5), loss(6.0, 3), loss(8.0, 2)];
        let after = [loss(8.0, 5), loss(5.0, 3), loss(8.0, 2)];
        let change = change(&before, &after);
        assert!((change.value - (21.0 - 24.0) / 10.0).abs() < 1e-12);
        // Left over of each text: (-2 + 1.5, -1 + 0.9, 0 + 0.6) / (10 / 3).
        let left = [-0.15f64, -0.03, 0.18];
        let deviation = (left.map(|l| l * l).iter().sum::<f64>() / 2.0 / 3.0).sqrt();
        assert!((change.standard_error() - deviation).abs() < 1e-12, "{change:?}");
    }
}
