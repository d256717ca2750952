//! How fast is text understood and written? The built-in encoder, copies among many texts, and the models that are there.

use super::{BenchRow, language_trained, ours};
use crate::base::rng::Rng;
use crate::base::{Failure, Result, failure::Explain};
use crate::headless::Terminal;
use crate::jobs::{JobContext, priority};
use crate::language::chat::{ChatModel, Drawing};
use crate::language::duplicates::near_duplicates;
use crate::language::sentence::SentenceEncoder;
use crate::language::{Encoder, EncoderOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const TEXTS: usize = 40_000;
const ROUNDS: usize = 3;
/// Where `assets/fetch-models.sh` puts its models.
const SENTENCES: &str = "models/all-minilm-l6-v2";
const WORDS: &str = "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
const REQUEST: &str = "Product: TrailFox 3 running shoe. Facts: weight 240 g; price $89; 30-day returns. Write one short \
                       advertising headline.";

/// Every workload of language. Models that are not fetched are left out.
///
/// # Errors
/// A model that cannot be opened, or a cancel.
pub fn language(context: &JobContext) -> Result<Vec<BenchRow>> {
    // A training beside a writing model is measured on threads as the window has them.
    priority::shared_pool_steps_back();
    let texts = texts();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut rows = Vec::new();
    let begun = Instant::now();
    let encoder = Encoder::fit(&all, EncoderOptions::default(), context)?;
    rows.push(ours("fit the built-in encoder on 40,000 texts", begun.elapsed().as_secs_f64(), "s", None));
    let seconds = least(context, || {
        std::hint::black_box(encoder.encode(&all));
        Ok(())
    })?;
    rows.push(ours("built-in encoder, short texts", TEXTS as f64 / seconds, "texts/s", Some(20_000.0)));
    let few = &all[..10_000];
    let seconds = least(context, || near_duplicates(few, 0.6, context).map(drop))?;
    rows.push(ours("near-duplicates among 10,000 texts", seconds, "s", None));
    if Path::new(SENTENCES).exists() {
        let encoder = SentenceEncoder::open(Path::new(SENTENCES))?;
        let some: Vec<&str> = SHORT.iter().copied().cycle().take(128).collect();
        let seconds = least(context, || encoder.encode(&some, context).map(drop))?;
        rows.extend(beside_rivals(128.0 / seconds, &some)?);
    }
    rows.extend(language_trained::without_model(context)?);
    if Path::new(WORDS).exists() {
        rows.extend(words(context)?);
    }
    Ok(rows)
}

const SCRIPT: &str = include_str!("../../../benches/rivals/sentences.py");

/// Our sentences a second, beside those of PyTorch and ONNX Runtime with the same weights where they are there.
fn beside_rivals(speed: f64, sentences: &[&str]) -> Result<Vec<BenchRow>> {
    let own = ours("MiniLM, 128 short sentences", speed, "sentences/s", None);
    let python = super::rivals_python();
    let there =
        Command::new(&python).args(["-c", "import torch, transformers"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        Terminal::note("no PyTorch with transformers: run benches/rivals/setup.sh and set ADLOUPE_RIVALS");
        return Ok(vec![own]);
    }
    let what = "cannot measure the rivals";
    let mut child = Command::new(python)
        .args(["-W", "ignore", "-c", SCRIPT, SENTENCES])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .explain(what)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(sentences.join("\n").as_bytes()).explain(what)?;
    }
    let output = child.wait_with_output().explain(what)?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rows = Vec::new();
    for line in told.lines() {
        let (name, figure) = line.split_once(' ').unwrap_or((line, ""));
        match figure.parse::<f64>() {
            Ok(theirs) => rows.push(BenchRow {
                rival: Some(name.replace("ONNX", "ONNX Runtime")),
                rival_value: Some(theirs),
                ratio: Some(speed / theirs),
                ..own.clone()
            }),
            Err(_) => Terminal::note(&format!("{name} gave no figure: {figure}")),
        }
    }
    if rows.is_empty() {
        return Err(
            Failure::new(what, "the script gave no figure").hint("benches/rivals/sentences.py says why")
        );
    }
    Ok(rows)
}

/// Opening a language model, and the words that it writes a second; its own time alone, the request's taken off.
fn words(context: &JobContext) -> Result<Vec<BenchRow>> {
    let begun = Instant::now();
    let model = ChatModel::open(Path::new(WORDS), context)?;
    let opened = begun.elapsed().as_secs_f64();
    let timed = |most_tokens| -> Result<(f64, usize)> {
        let begun = Instant::now();
        let drawing = Drawing { most_tokens, temperature: 0.0, ..Drawing::default() };
        let written = model.write(REQUEST, drawing, &|_: &str| true, context)?;
        Ok((begun.elapsed().as_secs_f64(), written.tokens))
    };
    let mut rate = 0.0f64;
    for _ in 0..ROUNDS {
        let (short, few) = timed(1)?;
        let (long, many) = timed(48)?;
        rate = rate.max((many.saturating_sub(few)) as f64 / (long - short).max(1e-9));
    }
    let mut rows = vec![
        ours("open SmolLM2 135M", opened, "s", None),
        ours("SmolLM2 135M writes", rate, "tokens/s", Some(40.0)),
    ];
    rows.extend(language_trained::with_model(&model, context)?);
    Ok(rows)
}

/// Sentences of 7 to 17 tokens.
const SHORT: [&str; 4] = [
    "Lightweight running shoes for marathon training, free returns",
    "Cheap flights to Lisbon this summer, book before Friday and save twenty percent",
    "Open a savings account today",
    "Stainless steel kitchen knives, set of five, dishwasher safe and guaranteed",
];

/// Made-up headlines of five to nine words, of a vocabulary of 3,000 whose words are as unequally frequent as in speech.
fn texts() -> Vec<String> {
    let mut rng = Rng::named(9, "texts of the bench");
    let letters = |rng: &mut Rng| char::from(b'a' + rng.below(26) as u8);
    let vocabulary: Vec<String> = (0..3000)
        .map(|_| {
            let length = 3 + rng.below(6);
            (0..length).map(|_| letters(&mut rng)).collect()
        })
        .collect();
    let draw = |rng: &mut Rng| ((3000f64.powf(rng.uniform())) as usize).min(2999);
    (0..TEXTS)
        .map(|_| {
            let length = 5 + rng.below(5);
            let words: Vec<&str> = (0..length).map(|_| vocabulary[draw(&mut rng)].as_str()).collect();
            words.join(" ")
        })
        .collect()
}

fn least(context: &JobContext, work: impl Fn() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        context.check()?;
        let begun = Instant::now();
        work()?;
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}
