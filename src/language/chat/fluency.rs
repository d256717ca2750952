//! Does a model write Chinese? How odd it finds each character of a plain text, beside a reader who knows only how often
//! characters occur.
//!
//! A mask can make any model say true words in a row; whether they are a sentence no check can tell. A model that was trained
//! on another language is not asked.

use super::ChatModel;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use std::sync::OnceLock;

/// Everyday Chinese of the kind that ads are written in.
const PLAIN: &str = include_str!("../../../assets/plain_zh.txt");
/// Equally likely characters to a reader who knows only how often each occurs: 9.65 bits (Feng Zhiwei's count).
const BY_FREQUENCY: f64 = 804.0;
/// Equally likely characters beyond which a model does not write Chinese. SmolLM2-135M is at 250, and what it writes is no
/// language: true words in a row.
const MOST: f64 = 100.0;

/// A model's answer, asked once.
#[derive(Default)]
pub(super) struct Fluency(OnceLock<f64>);

impl ChatModel {
    /// Among how many equally likely characters the model chooses, on the mean, at each place of a plain Chinese text. Takes
    /// seconds the first time.
    ///
    /// # Errors
    /// A context too short for the text, or a cancel.
    pub fn choices_in_chinese(&self, context: &JobContext) -> Result<f64> {
        if let Some(known) = self.chinese.0.get() {
            return Ok(*known);
        }
        let (nats, tokens) = self.nats_of(PLAIN.trim(), context)?;
        // The first token is given.
        let characters = PLAIN.trim().chars().count() as f64 * (tokens - 1) as f64 / tokens as f64;
        Ok(*self.chinese.0.get_or_init(|| (nats / characters).exp()))
    }

    /// Refuses to write Chinese where the model does not know it.
    ///
    /// # Errors
    /// It does not, with what writes instead; or as [`choices_in_chinese`](Self::choices_in_chinese).
    pub fn must_know_chinese(&self, context: &JobContext) -> Result<()> {
        let choices = self.choices_in_chinese(context)?;
        if choices <= MOST {
            return Ok(());
        }
        let why = format!(
            "it does not write Chinese: each character of a plain text is to it as one of {choices:.0} (one of {BY_FREQUENCY:.0} \
             to who knows only how often characters occur; at most {MOST:.0} where a model writes Chinese)"
        );
        Err(Failure::new(format!("cannot have {} write", self.name), why)
            .hint("templates and phrases of the best copy write Chinese without it; or choose a GGUF that was trained on Chinese"))
    }
}
