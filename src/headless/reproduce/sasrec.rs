//! Does attention over what people reviewed before find their next game as SASRec's authors report?
//!
//! `data/Video.txt` of kang205/SASRec (Amazon Games: a person and an item on each line, in order of time). A person's last
//! action is held out for the test, the one before it for validation; each is ranked among 100 drawn items that the person has
//! not acted on, by everything before it. Their program draws anew at every test and for 10,000 people; here everybody is
//! judged against the same draws, and the weights are those of the pass with the best validation.

use super::{Comparison, Row};
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::metrics::top_k::{TopK, TopKMeasures, highest};
use crate::nn::next_item::learn::{Learner, Learning};
use crate::nn::next_item::{NextItem, Sequences, Shape};
use rayon::prelude::*;
use serde_json::json;
use std::path::Path;

const WHAT: &str = "cannot read the actions";
/// What ours may differ by, as a share of the published.
const TOLERANCE: f64 = 0.02;
const SHOWN: usize = 10;
/// Items that the held-out one is ranked among.
const DRAWN: usize = 100;
/// The authors' number of passes, and after how many they look.
const PASSES: usize = 200;
const LOOK: usize = 10;
/// It stops when validation was best so many looks ago.
const PATIENCE: usize = 5;
/// People that are judged at once.
const AT_ONCE: usize = 256;
const SOURCE: &str = "Kang & McAuley, ICDM 2018, table III (Games)";

/// The authors' settings for this file: the defaults of their program.
const LEARNING: Learning = Learning { rate: 1e-3, second_decay: 0.98, batch: 128, dropout: 0.5, seed: 1 };

/// One look at the weights.
struct Seen {
    passes: usize,
    validation: TopKMeasures,
    test: TopKMeasures,
}

/// Learns, judges and compares; `passes` at most.
///
/// # Errors
/// A file that is missing or of another form, or a cancel.
pub(super) fn compare(folder: &Path, passes: Option<usize>, context: &JobContext) -> Result<Comparison> {
    let (histories, items) = read(&folder.join("Video.txt"))?;
    let shape = Shape { items, longest: 50, width: 50, layers: 2 };
    let seen = best(&histories, shape, passes.unwrap_or(PASSES), context)?;
    let mut comparison = Comparison::default();
    for (name, published, ours) in
        [("HR@10", 0.7410, seen.test.hit_rate), ("NDCG@10", 0.5360, seen.test.ndcg)]
    {
        let (low, high) = (published * (1.0 - TOLERANCE), published * (1.0 + TOLERANCE));
        comparison.rows.push(Row {
            quantity: format!("SASRec: {name} ({} people)", seen.test.people),
            published: json!(published),
            source: SOURCE.to_owned(),
            ours: json!((ours.value * 1e4).round() / 1e4),
            low: Some(low),
            high: Some(high),
            within: low <= ours.value && ours.value <= high,
        });
    }
    comparison.remarks.push(format!(
        "After {} passes over all people, chosen by validation (HR@10 {}, NDCG@10 {}); test: HR@10 {}, NDCG@10 {}",
        seen.passes,
        seen.validation.hit_rate.in_words(3),
        seen.validation.ndcg.in_words(3),
        seen.test.hit_rate.in_words(3),
        seen.test.ndcg.in_words(3)
    ));
    Ok(comparison)
}

/// Each person's items in order of time, from 0, and how many items there are.
fn read(path: &Path) -> Result<(Vec<Vec<u32>>, usize)> {
    let text = std::fs::read_to_string(path).explain(WHAT).map_err(|failure| failure.at(path.display()))?;
    let (mut histories, mut items): (Vec<Vec<u32>>, usize) = (Vec::new(), 0);
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let mut id = || words.next()?.parse::<usize>().ok().filter(|id| (1..1 << 24).contains(id));
        let Some((person, item)) = id().zip(id()) else {
            let why = "it is no person and item, numbered from 1";
            return Err(Failure::new(WHAT, why).at(format!("{} line {}", path.display(), number + 1)));
        };
        if histories.len() < person {
            histories.resize(person, Vec::new());
        }
        histories[person - 1].push((item - 1) as u32);
        items = items.max(item);
    }
    let most = histories.iter().map(Vec::len).max().unwrap_or_default();
    if most < 3 || items <= most + DRAWN {
        let why = format!(
            "of {items} items the busiest person has {most}; somebody needs 3, and nobody all but {DRAWN}"
        );
        return Err(Failure::new(WHAT, why).at(path.display()));
    }
    Ok((histories, items))
}

/// Learns until validation stays behind, and tells of the best look.
fn best(histories: &[Vec<u32>], shape: Shape, passes: usize, context: &JobContext) -> Result<Seen> {
    // Who has fewer than three actions is learnt from and not judged.
    let of_training = |history: &Vec<u32>| match history.len() {
        few @ 0..3 => history[..few].to_vec(),
        all => history[..all - 2].to_vec(),
    };
    let training: Vec<Vec<u32>> = histories.iter().map(of_training).collect();
    let mut learner = Learner::new(shape, LEARNING, &training);
    let mut best: Option<Seen> = None;
    context.stage("learning what comes next");
    for pass in 1..=passes {
        context.progress(pass as u64 - 1, passes as u64);
        let loss = learner.pass(context)?.ok_or_else(|| Failure::new(WHAT, "nobody did two things"))?;
        if pass % LOOK != 0 && pass != passes {
            continue;
        }
        let measured = |back| judged(&learner.model, histories, back).measures();
        let seen =
            measured(2).zip(measured(1)).map(|(validation, test)| Seen { passes: pass, validation, test });
        let seen = seen.ok_or_else(|| Failure::new(WHAT, "nobody did three things"))?;
        context.warn(format!(
            "pass {pass}: loss {loss:.4}, validation HR@10 {:.4}, NDCG@10 {:.4}",
            seen.validation.hit_rate.value, seen.validation.ndcg.value
        ));
        match &best {
            Some(best) if best.validation.ndcg.value >= seen.validation.ndcg.value => {
                if pass >= best.passes + PATIENCE * LOOK {
                    break;
                }
            }
            _ => best = Some(seen),
        }
    }
    best.ok_or_else(|| Failure::new("cannot reproduce", "no pass was allowed").hint("--passes 100"))
}

/// Where each person's action so far from the end stands among drawn ones.
fn judged(model: &NextItem, histories: &[Vec<u32>], back: usize) -> TopK {
    let Shape { items, longest, width, .. } = model.shape();
    let people: Vec<usize> = (0..histories.len()).filter(|person| histories[*person].len() >= 3).collect();
    let lists: Vec<Vec<u32>> = people
        .par_chunks(AT_ONCE)
        .flat_map_iter(|people| {
            let past = |person: &usize| &histories[*person][..histories[*person].len() - back];
            let states = model.last_states(&Sequences::of(people.iter().map(past), longest));
            let lists: Vec<Vec<u32>> = people
                .iter()
                .zip(states.chunks_exact(width))
                .map(|(person, state)| {
                    let history = &histories[*person];
                    let mut rng = Rng::named(*person as u64, "held out");
                    // The held-out item stands last, so that equal scores count against it.
                    let mut ranked = drawn_apart(history, items, &mut rng);
                    ranked.push(history[history.len() - back]);
                    let score = |item: &u32| state.iter().zip(model.item(*item)).map(|(x, y)| x * y).sum();
                    highest(&ranked.iter().map(score).collect::<Vec<f32>>(), SHOWN)
                })
                .collect();
            lists
        })
        .collect();
    let mut found = TopK::new(SHOWN);
    lists.iter().for_each(|list| found.add(list, &[DRAWN as u32]));
    found
}

/// Items that a person has not acted on.
fn drawn_apart(history: &[u32], items: usize, rng: &mut Rng) -> Vec<u32> {
    let draws = std::iter::repeat_with(|| rng.below(items) as u32);
    draws.filter(|item| !history.contains(item)).take(DRAWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_and_bad_lines_are_told_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Video.txt");
        std::fs::write(&path, "1 7\n3 200\n1 2\n1 7\n").unwrap();
        let (histories, items) = read(&path).unwrap();
        assert_eq!((histories, items), (vec![vec![6, 1, 6], vec![], vec![199]], 200));
        for (text, words) in
            [("1 2\n1 x", "line 2"), ("0 1", "line 1"), ("1", "line 1"), ("1 2\n1 3\n1 4", "")]
        {
            std::fs::write(&path, text).unwrap();
            let failure = read(&path).unwrap_err();
            assert!(
                failure.place.contains("Video.txt") && failure.place.contains(words),
                "{text}: {failure}"
            );
        }
    }

    #[test]
    fn what_follows_in_a_circle_is_found_among_the_drawn() {
        let histories: Vec<Vec<u32>> =
            (0..150).map(|person| (0..6).map(|at| (person * 7 + at) % 150).collect()).collect();
        let shape = Shape { items: 150, longest: 6, width: 8, layers: 1 };
        let context = JobContext::detached();
        let seen = best(&histories, shape, 1, &context).unwrap();
        assert_eq!((seen.passes, seen.test.people), (1, 150));
        // Drawn weights know nothing: 10 of 101.
        let found = judged(&NextItem::drawn(shape, 5), &histories, 1).measures().unwrap();
        assert!((found.hit_rate.value - 10.0 / 101.0).abs() < 0.1, "{found:?}");
        let none = best(&histories, shape, 0, &context).err().unwrap();
        assert!(none.hint.contains("--passes"), "{none}");
    }
}
