//! Does one matrix of all of Gowalla's places rank them as was published for EASE?
//!
//! The split of LightGCN's authors, as in [`gowalla`](super::gowalla). The inverse of 40,981 rows stands in memory as one half
//! (3.4 GB), in single precision. The penalty is the published one (reczoo/BARS, `EASE_gowalla_m1`).

use super::Comparison;
use super::gowalla::{exact, held_out, tell, training_pairs};
use super::ranking::ranked;
use crate::base::resources::available_bytes;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::models::ease::inverse_gram;
use crate::nn::inverse::Symmetric;
use crate::nn::neighbours::Interactions;
use std::ops::Range;
use std::path::Path;

const SHOWN: usize = 20;
const PENALTY: f32 = 80.0;

/// Solves, ranks and compares.
///
/// # Errors
/// Files that are missing or of another form, too little memory, or a cancel.
pub(super) fn compare(folder: &Path, context: &JobContext) -> Result<Comparison> {
    let clicks = training_pairs(&folder.join("s_adj_mat.npz"))?;
    let held_out = held_out(&folder.join("test.txt"), &clicks)?;
    need_memory(Symmetric::bytes(clicks.columns()), available_bytes())?;
    context.stage("inverting what goes with what");
    let inverse = inverse_gram(&clicks, PENALTY, context)?;
    context.stage("ranking by the inverse");
    let found = ranked(&clicks, &held_out, SHOWN, context, |people, scores| {
        scores.copy_from_slice(&scored(&inverse, &clicks, people));
    })?;
    let mut comparison = Comparison::default();
    let name = format!("EASE, penalty {PENALTY}");
    tell(&mut comparison, &name, found, (0.176_493, 0.146_657), ("BARS (EASE_gowalla_m1)", exact))?;
    Ok(comparison)
}

/// Refuses what does not fit into memory, where the system tells what is left of it.
fn need_memory(needed: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if available < needed => {
            let gigabytes = |bytes: u64| bytes as f64 / f64::from(1u32 << 30);
            let why = format!(
                "the inverse takes {:.1} GB of memory and {:.1} GB are left",
                gigabytes(needed),
                gigabytes(available)
            );
            Err(Failure::new("cannot reproduce EASE", why).hint("end other programs, or reproduce gowalla"))
        }
        _ => Ok(()),
    }
}

/// `[people, items]`: `sum_i -P_ij / P_jj` over a person's items `i`; their own items are not ranked.
fn scored(inverse: &Symmetric, clicks: &Interactions, people: Range<usize>) -> Vec<f32> {
    let lists: Vec<Vec<u32>> =
        people.map(|person| clicks.of_row(person).iter().map(|(item, _)| *item).collect()).collect();
    let mut scores = inverse.summed_rows(&lists);
    let own: Vec<f32> = (0..inverse.size()).map(|item| -1.0 / inverse.get(item, item)).collect();
    for scores in scores.chunks_exact_mut(own.len().max(1)) {
        scores.iter_mut().zip(&own).for_each(|(score, own)| *score *= own);
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_weights_and_memory_is_asked_for() {
        let clicks = Interactions::of(vec![(0, 0, 1.0), (0, 1, 1.0), (1, 1, 1.0), (2, 2, 1.0)], 3, 3);
        let inverse = inverse_gram(&clicks, 1.0, &JobContext::detached()).unwrap();
        let found = scored(&inverse, &clicks, 0..2);
        // X^T X + 1 is [[2, 1, 0], [1, 3, 0], [0, 0, 2]]: the inverse of the first two is [[3, -1], [-1, 2]] / 5.
        assert!((found[3] - 0.2 / 0.6).abs() < 1e-6, "who has item 1 is offered item 0: {}", found[3]);
        assert!(found[2].abs() < 1e-6 && found[5].abs() < 1e-6, "nobody has item 2 with another");
        let failure = need_memory(5 << 30, Some(3 << 30)).unwrap_err();
        assert!(failure.why.contains("5.0 GB") && failure.why.contains("3.0 GB"), "{failure}");
        assert!(need_memory(5 << 30, None).is_ok() && need_memory(1, Some(2)).is_ok());
    }
}
