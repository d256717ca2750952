//! What does each attention head of a sentence encoder look at in a text, and does the text's vector need it?

use super::roll::{identity, product};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::language::sentence::SentenceEncoder;
use crate::language::vectors::inner_product;
use serde::Serialize;

/// The heads of an encoder over one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextHeads {
    /// The text.
    pub text: String,
    /// The encoder's name.
    pub encoder: String,
    /// Words and parts of words: lines and columns of each map.
    pub tokens: Vec<String>,
    /// Heads by layer.
    pub layers: Vec<Vec<TextHead>>,
    /// All layers rolled out, `[token * tokens + token]`: how much of each token a token's last state is made of, by
    /// products of the mean of the heads with the way past them (Abnar & Zuidema, ACL 2020, arXiv 2005.00928).
    pub rollout: Vec<f64>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextHead {
    /// Weights, `[who asks * tokens + who is asked]`.
    pub map: Vec<f64>,
    /// Entropy of a token's weights over that of equal ones, mean: 1 looks at all alike, 0 at one alone.
    pub evenness: f64,
    /// Tokens between who asks and who is looked at, mean.
    pub distance: f64,
    /// Cosine of the text's vector with the head to that without it: 1 where the vector does not need it.
    pub cosine_without: f64,
}

/// Looks at every head, and switches each off.
///
/// # Errors
/// A text without words, what the encoder refuses, a cancel.
pub fn text_heads(encoder: &SentenceEncoder, text: &str, context: &JobContext) -> Result<TextHeads> {
    if text.trim().is_empty() {
        let failure = Failure::new("cannot look at attention heads", "the text is empty");
        return Err(failure.hint("an ad text of a few words"));
    }
    let seen = encoder.look(text, None)?;
    let [layers, heads] = encoder.heads();
    let n = seen.tokens.len();
    let map_of = |layer: usize, head: usize| -> Vec<f64> {
        let from = (layer * heads + head) * n * n;
        seen.weights[from..from + n * n].iter().map(|weight| f64::from(*weight)).collect()
    };
    let mut all = Vec::with_capacity(layers);
    let mut rollout = identity(n);
    for layer in 0..layers {
        let mut mean = vec![0.0; n * n];
        let mut of_layer = Vec::with_capacity(heads);
        for head in 0..heads {
            context.check()?;
            context.progress((layer * heads + head) as u64, (layers * heads) as u64);
            let map = map_of(layer, head);
            mean.iter_mut().zip(&map).for_each(|(sum, weight)| *sum += weight / heads as f64);
            let without = encoder.look(text, Some((layer, head)))?;
            of_layer.push(TextHead {
                evenness: evenness(&map, n),
                distance: distance(&map, n),
                cosine_without: f64::from(inner_product(&seen.vector, &without.vector)),
                map,
            });
        }
        // Half of a state comes past the attention.
        mean.iter_mut().for_each(|weight| *weight *= 0.5);
        (0..n).for_each(|token| mean[token * n + token] += 0.5);
        rollout = product(&mean, &rollout, n);
        all.push(of_layer);
    }
    Ok(TextHeads {
        text: text.to_owned(),
        encoder: encoder.name.clone(),
        tokens: seen.tokens,
        layers: all,
        rollout,
    })
}

fn evenness(map: &[f64], n: usize) -> f64 {
    if n < 2 {
        return 1.0;
    }
    let entropy: f64 = map.iter().filter(|weight| **weight > 0.0).map(|weight| -weight * weight.ln()).sum();
    entropy / n as f64 / (n as f64).ln()
}

fn distance(map: &[f64], n: usize) -> f64 {
    let far = |at: usize| (at / n).abs_diff(at % n) as f64;
    map.iter().enumerate().map(|(at, weight)| weight * far(at)).sum::<f64>() / n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenness_and_distance_of_known_maps() {
        let even = vec![1.0 / 3.0; 9];
        assert!((evenness(&even, 3) - 1.0).abs() < 1e-12);
        // (0 1 2 / 1 0 1 / 2 1 0) / 3, the mean over three lines: 8 / 9.
        assert!((distance(&even, 3) - 8.0 / 9.0).abs() < 1e-12);
        let own = identity(3);
        assert_eq!((evenness(&own, 3), distance(&own, 3)), (0.0, 0.0));
        assert_eq!(product(&own, &even, 3), even);
    }
}
