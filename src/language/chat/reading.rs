//! Which tokens is a request made of, and which its answer? A file's own tokenizer, without its weights.

use super::{ASKING, Example, MOST_LEARNT};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

/// Reads as a model does.
pub struct Reading {
    pub(super) tokenizer: Tokenizer,
    /// Tokens that end a text.
    pub(super) end: Vec<u32>,
    /// Tokens that the model can look back on.
    context: usize,
}

impl Reading {
    /// The tokenizer that the head of a file holds.
    ///
    /// # Errors
    /// There is none, or one of another kind.
    pub(super) fn of(content: &Content, context: usize, what: &str) -> Result<Self> {
        let text = |key: &str| content.metadata.get(key).and_then(|value| value.to_string().ok());
        let mut tokenizer = Tokenizer::from_gguf(content).explain(what)?;
        if text("tokenizer.ggml.pre").is_some_and(|kind| kind == "smollm") {
            // As SmolLM's own tokenizer.json: each figure apart, no space put before a text.
            let parts = vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
            tokenizer.with_pre_tokenizer(Some(Sequence::new(parts)));
        }
        let id = |key: &str| content.metadata.get(key).and_then(|value: &Value| value.to_u32().ok());
        let mut end: Vec<u32> = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]
            .into_iter()
            .filter_map(id)
            .collect();
        end.extend(
            ["<|im_end|>", "<|endoftext|>"].into_iter().filter_map(|word| tokenizer.token_to_id(word)),
        );
        Ok(Self { tokenizer, end, context })
    }

    /// Words that it knows.
    pub(super) fn words(&self) -> usize {
        self.tokenizer.get_vocab(true).values().max().map_or(0, |most| *most as usize + 1)
    }

    /// Tokens of a request as the model reads it. What the request holds is text, never a mark of the conversation.
    pub(super) fn request(&self, request: &str) -> Result<Vec<u32>> {
        let safe = request.replace("<|", "< |");
        let prompt = format!("<|im_start|>user\n{safe}<|im_end|>\n<|im_start|>assistant\n");
        let read = self.tokenizer.encode(prompt, false).explain(ASKING)?;
        let tokens = read.get_ids().to_vec();
        if tokens.is_empty() {
            return Err(Failure::new(ASKING, "there is nothing to read"));
        }
        Ok(tokens)
    }

    /// A request with the answer that the model is to find likely: its tokens and the end.
    ///
    /// # Errors
    /// An empty answer, or more tokens than `MOST_LEARNT`.
    pub fn example(&self, request: &str, answer: &str) -> Result<Example> {
        let what = "cannot learn from the text";
        let mut tokens = self.request(request)?;
        let from = tokens.len();
        tokens.extend(self.tokenizer.encode(answer.trim(), false).explain(what)?.get_ids());
        if tokens.len() == from {
            return Err(Failure::new(what, "it is empty"));
        }
        tokens.extend(self.end.first());
        if tokens.len() > MOST_LEARNT.min(self.context) {
            let why =
                format!("with its request it has {} tokens, and {MOST_LEARNT} are the most", tokens.len());
            return Err(Failure::new(what, why));
        }
        Ok(Example { tokens, from })
    }
}
