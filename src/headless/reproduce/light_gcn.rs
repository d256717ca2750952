//! Do vectors that are smoothed over the graph rank Gowalla's places as LightGCN's authors report?
//!
//! The split and the settings of gusye1234/LightGCN-PyTorch (three layers, 64 numbers, penalty 1e-4, people drawn evenly), but for
//! the steps: theirs are 395 a pass with 2,048 triples each for 1,000 passes, and every one smooths all vectors there and
//! back. Ours are four a pass with 200,000 triples each, about as many triples as there are clicks, and twenty times as long
//! at first (half a cosine down to a tenth): less than a hundredth of the work.

use super::Comparison;
use super::gowalla::{held_out, tell, training_pairs};
use super::ranking::ranked;
use crate::base::Result;
use crate::jobs::JobContext;
use crate::metrics::top_k::TopK;
use crate::nn::factors::{Factors, Search};
use crate::nn::light_gcn::{Draws, LightGcn, Smoothing};
use crate::nn::neighbours::Interactions;
use crate::nn::product::{Finish, Pack, View, product};
use std::f64::consts::PI;
use std::path::Path;

const SHOWN: usize = 20;
/// Recall@20 and NDCG@20.
const PUBLISHED: (f64, f64) = (0.1824, 0.1547);
const PASSES: usize = 750;
/// Passes between two lines of the curve.
const LOOK: usize = 50;
const STEPS_A_PASS: usize = 4;
const BATCH: usize = 200_000;
const RATE: f64 = 0.02;
const SEARCH: Search = Search { width: 64, passes: 0, penalty: 1e-4, seed: 1 };
/// Length of the last step, as a share of the first.
const LAST: f64 = 0.1;

/// Learns, ranks and compares, in so many passes.
///
/// # Errors
/// Files that are missing or of another form, or a cancel.
pub(super) fn compare(folder: &Path, passes: Option<usize>, context: &JobContext) -> Result<Comparison> {
    let clicks = training_pairs(&folder.join("s_adj_mat.npz"))?;
    let held_out = held_out(&folder.join("test.txt"), &clicks)?;
    let passes = passes.unwrap_or(PASSES);
    let how = Smoothing { layers: 3, rate: RATE, batch: BATCH, draws: Draws::People };
    let mut learner = LightGcn::new(&clicks, SEARCH, how);
    let steps = passes * STEPS_A_PASS;
    context.stage("learning smoothed vectors");
    let mut losses = Vec::new();
    for step in 1..=steps {
        context.progress(step as u64 - 1, steps as u64);
        learner.rate = rate_at(step as f64 / steps as f64);
        losses.extend(learner.step(context)?);
        if step % (LOOK * STEPS_A_PASS) == 0 && step < steps {
            let found = lists(&learner.vectors(), &clicks, &held_out, context)?.measures();
            if let Some(found) = found {
                context.warn(format!(
                    "pass {} of {passes}: loss {:.5}, Recall@20 {:.4}, NDCG@20 {:.4}",
                    step / STEPS_A_PASS,
                    losses.iter().sum::<f64>() / losses.len().max(1) as f64,
                    found.recall.value,
                    found.ndcg.value
                ));
            }
            losses.clear();
        }
    }
    context.stage("ranking by smoothed vectors");
    let found = lists(&learner.vectors(), &clicks, &held_out, context)?;
    let mut comparison = Comparison::default();
    let source = "README of gusye1234/LightGCN-PyTorch, 3 layers, 1,000 passes";
    tell(&mut comparison, "LightGCN, 3 layers", found, PUBLISHED, (source, |published| 0.02 * published))?;
    comparison.remarks.push(format!(
        "{passes} passes: {steps} steps of up to {BATCH} triples; the last step's vectors, whatever the curve said before"
    ));
    Ok(comparison)
}

/// Half a cosine from the first rate down to [`LAST`] of it.
fn rate_at(done: f64) -> f64 {
    RATE * (LAST + (1.0 - LAST) * 0.5 * (1.0 + (PI * done).cos()))
}

fn lists(
    vectors: &Factors,
    clicks: &Interactions,
    held_out: &[Vec<u32>],
    context: &JobContext,
) -> Result<TopK> {
    let (width, items) = (vectors.width, clicks.columns());
    ranked(clicks, held_out, SHOWN, context, |people, scores| {
        let shape = [people.len(), items, width];
        let people = View::rows(&vectors.people[people.start * width..people.end * width], width);
        let items = View::rows(&vectors.items, width).transposed();
        product(shape, people, items, scores, Finish::Set, &mut Pack::default());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_vectors_rank_and_steps_shorten() {
        let clicks = Interactions::of(vec![(0, 0, 1.0), (1, 2, 1.0)], 2, 3);
        let vectors = Factors { width: 1, people: vec![1.0, -1.0], items: vec![0.0, 2.0, 3.0] };
        let found = lists(&vectors, &clicks, &[vec![2], vec![0]], &JobContext::detached()).unwrap();
        assert_eq!(found.measures().unwrap().ndcg.value, 1.0, "3 above 2, and 0 above -2");
        assert_eq!(rate_at(0.0), RATE);
        assert!((rate_at(0.5) - 0.55 * RATE).abs() < 1e-12);
        assert!((rate_at(1.0) - LAST * RATE).abs() < 1e-12);
    }
}
