//! What does learning from texts cost? Tuning a language model, topics from labels, pictures measured, and what a training
//! loses to a model that writes meanwhile.

use super::{BenchRow, best_of, market, ours};
use crate::adcopy::picture::Look;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::{JobContext, Latest, priority};
use crate::language::chat::{ChatModel, Drawing};
use crate::language::topic_model::{Labelled, judge};
use crate::language::topics::Topics;
use crate::train::copy_tuning::{Lesson, TuneSpec, tune};
use crate::train::{self, TrainSpec};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Steps of a tuning.
const STEPS: u32 = 8;
/// Labelled texts.
const TEXTS: usize = 2_000;
/// What a training may take longer while a model writes.
const SLOWER: f64 = 1.3;
const REQUEST: &str = "Write one short advertising headline for a running shoe of 240 g.";

/// The workloads that need no model.
///
/// # Errors
/// A cancel.
pub fn without_model(context: &JobContext) -> Result<Vec<BenchRow>> {
    let mut rng = Rng::named(6, "labelled texts of the bench");
    let words = |topic: usize, rng: &mut Rng| format!("w{}", topic * 40 + rng.below(60));
    let labelled: Vec<Labelled> = (0..TEXTS)
        .map(|at| {
            let topic = at % 10;
            let text = (0..7).map(|_| words(topic, &mut rng)).collect::<Vec<_>>().join(" ");
            Labelled { text, topic: format!("topic {topic}") }
        })
        .collect();
    let list = Topics::shipped()?;
    let begun = Instant::now();
    judge(&labelled, &list, None, context)?;
    let judged = begun.elapsed().as_secs_f64();
    let image = image::RgbaImage::from_fn(1_200, 628, |x, y| {
        image::Rgba([(x % 256) as u8, (y % 256) as u8, ((x * y) % 256) as u8, 255])
    });
    let measured = best_of(3, context, || {
        std::hint::black_box(Look::of(&image));
        Ok(())
    })?;
    Ok(vec![
        ours("topics of 2,000 labelled texts learnt and judged by five folds", judged, "s", None),
        ours("a picture of 1,200 x 628 measured", 1_000.0 * measured, "ms", None),
    ])
}

/// The workloads of a language model.
///
/// # Errors
/// What training or tuning answers, or a cancel.
pub fn with_model(model: &ChatModel, context: &JobContext) -> Result<Vec<BenchRow>> {
    let lessons: Vec<Lesson> = (0..120)
        .map(|at| Lesson {
            request: REQUEST.to_owned(),
            answer: format!("Light shoes for trail {at}, 240 g and dry all day"),
        })
        .collect();
    let spec = TuneSpec { steps: STEPS, ..TuneSpec::default() };
    let tuned = tune(model, &lessons, spec, &Latest::default(), context)?;
    let mut rows = vec![ours(
        &format!("a step of tuning SmolLM2 135M, 8 texts, rank 8 ({} numbers)", tuned.numbers),
        tuned.state.seconds,
        "s",
        None,
    )];
    rows.push(beside_writing(model, context)?);
    Ok(rows)
}

/// Seconds of a training while a model writes, over those of the same alone: on threads as the window has them.
fn beside_writing(model: &ChatModel, context: &JobContext) -> Result<BenchRow> {
    let (_, inputs) = market::sample_market(context)?;
    let mut spec = TrainSpec::new("deep_fm")?;
    spec.set("epochs", "20")?;
    spec.set("patience", "20")?;
    let timed = || -> Result<f64> {
        let train = || {
            priority::step_back();
            let begun = Instant::now();
            train::fit(&inputs.dataset, &spec, &Latest::default(), context)?;
            Ok(begun.elapsed().as_secs_f64())
        };
        let failed = |_| Failure::new("cannot measure a training", "its thread failed");
        std::thread::scope(|threads| threads.spawn(train).join()).map_err(failed)?
    };
    timed()?;
    let alone = timed()?.min(timed()?);
    let stop = AtomicBool::new(false);
    let (beside, written) = std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            priority::step_behind_training();
            let mut seed = 0;
            while !stop.load(Ordering::Relaxed) {
                seed += 1;
                let drawing = Drawing { seed, most_tokens: 32, ..Drawing::default() };
                // What it writes is of no matter here.
                drop(model.write(REQUEST, drawing, &|_: &str| true, &JobContext::detached()));
            }
            seed
        });
        let beside = timed();
        stop.store(true, Ordering::Relaxed);
        (beside, writer.join())
    });
    let written = written
        .map_err(|_| Failure::new("cannot measure a training beside a model", "the model's thread failed"))?;
    let ratio = beside? / alone;
    Ok(super::below(
        &format!("training time while the model writes ({written} texts), over that alone"),
        ratio,
        "x",
        SLOWER,
    ))
}
