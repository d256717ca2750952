//! How good are the first items of lists over a whole catalogue, of people's later choices?

use crate::base::Result;
use crate::jobs::JobContext;
use crate::metrics::top_k::{TopK, highest};
use crate::nn::neighbours::Interactions;
use rayon::prelude::*;

/// People who are scored at once.
const AT_ONCE: usize = 512;

/// Judges the first `shown` items that people do not have yet. `score` adds to scores `[people, items]` of zeros.
///
/// # Errors
/// A cancel.
pub(super) fn ranked(
    clicks: &Interactions,
    held_out: &[Vec<u32>],
    shown: usize,
    context: &JobContext,
    score: impl Fn(std::ops::Range<usize>, &mut [f32]),
) -> Result<TopK> {
    let (people, items) = (clicks.rows(), clicks.columns());
    let mut lists = TopK::new(shown);
    for from in (0..people).step_by(AT_ONCE) {
        context.check()?;
        context.progress(from as u64, people as u64);
        let some = from..(from + AT_ONCE).min(people);
        let mut scores = vec![0.0f32; some.len() * items];
        score(some.clone(), &mut scores);
        let first: Vec<Vec<u32>> = scores
            .par_chunks_mut(items)
            .zip(some.clone())
            .map(|(scores, person)| {
                for (item, _) in clicks.of_row(person) {
                    scores[*item as usize] = f32::NEG_INFINITY;
                }
                highest(scores, shown)
            })
            .collect();
        first.iter().zip(some).for_each(|(first, person)| lists.add(first, &held_out[person]));
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_have_is_not_shown_again() {
        let clicks = Interactions::of(vec![(0, 0, 1.0), (1, 2, 1.0)], 2, 3);
        let held_out = [vec![1], vec![0]];
        let found = ranked(&clicks, &held_out, 20, &JobContext::detached(), |people, scores| {
            for (row, _) in people.enumerate() {
                scores[row * 3..][..3].copy_from_slice(&[3.0, 2.0, 1.0]);
            }
        });
        let found = found.unwrap().measures().unwrap();
        // Person 0 sees 1 first; person 1 sees 0 first.
        assert_eq!((found.people, found.ndcg.value, found.hit_rate.value), (2, 1.0, 1.0));
    }
}
