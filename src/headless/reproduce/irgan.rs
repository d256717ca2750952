//! Does IRGAN's game bring on its authors' split what their own run brought?
//!
//! The split of geek-ai/irgan (`item_recommendation/ml-100k`: `movielens-100k-train.txt` and `-test.txt`, a person, a film and a
//! rating on each line). Ratings of 4 and 5 are clicks; every film without a training click of the person is ranked. The
//! published figures are the first line of `gen_log.txt` there, before the game, and the last, after five rounds. How many passes
//! made the start is not told; ours has as many as their program takes (80). The remark at the end plays the game from vectors
//! that were ranked with a weaker penalty.

use super::ranking::ranked as judged;
use super::{Comparison, Row};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::metrics::rates::Estimate;
use crate::metrics::top_k::TopK;
use crate::nn::factors::{Factors, Search};
use crate::nn::irgan::{Game, irgan, ranked};
use crate::nn::neighbours::Interactions;
use rayon::prelude::*;
use serde_json::json;
use std::path::Path;

const WHAT: &str = "cannot read the split of IRGAN";
/// Lowest rating that counts as a click.
const LIKED: f64 = 4.0;
const SEEDS: u64 = 3;
/// What ours may differ by: the mean over three seeds moves by about .005.
const TOLERANCE: f64 = 0.015;
/// The authors' settings: vectors of five numbers and a bias.
const THEIRS: (Search, Game) = (
    Search { width: 6, passes: 80, penalty: 0.1, seed: 1 },
    Game {
        rounds: 5,
        judge_passes: 100,
        generator_passes: 50,
        judge_rate: 0.001,
        generator_rate: 0.001,
        penalty: 0.1,
    },
);
/// Vectors that are ranked better to begin with.
const OTHERS: Search = Search { width: 16, passes: 30, penalty: 0.03, seed: 1 };
const RANKING_RATE: f64 = 0.05;
const SOURCE: &str = "geek-ai/irgan, item_recommendation/ml-100k/gen_log.txt";

/// The split: what was liked before and later.
struct Likes {
    before: Interactions,
    later: Vec<Vec<u32>>,
}

/// Lists of `k` before the game and after it.
struct Played {
    k: usize,
    ends: [TopK; 2],
}

/// Ranks, plays and compares.
///
/// # Errors
/// Files that are missing or of another form, or a cancel.
pub(super) fn compare(folder: &Path, context: &JobContext) -> Result<Comparison> {
    let likes = read(folder)?;
    context.stage("playing as the authors did");
    let played = play(&likes, THEIRS, context)?;
    let mut comparison = Comparison::default();
    let published = [
        (3, [[0.3845, 0.3986], [0.3984, 0.4115]]),
        (5, [[0.3474, 0.3750], [0.3579, 0.3855]]),
        (10, [[0.2969, 0.3521], [0.3079, 0.3634]]),
    ];
    for (played, (k, published)) in played.iter().zip(published) {
        debug_assert_eq!(played.k, k);
        tell(&mut comparison, played, published)?;
    }
    context.stage("playing from better vectors");
    let played = play(&likes, (OTHERS, THEIRS.1), context)?;
    comparison
        .remarks
        .extend(played.iter().filter(|played| played.k == 5).map(remark).collect::<Result<Vec<_>>>()?);
    Ok(comparison)
}

fn read(folder: &Path) -> Result<Likes> {
    let [before, later] =
        ["train", "test"].map(|part| liked(&folder.join(format!("movielens-100k-{part}.txt"))));
    let (before, later) = (before?, later?);
    let most = |of: fn(&(u32, u32)) -> u32| {
        before.iter().chain(&later).map(of).max().unwrap_or_default() as usize + 1
    };
    let (people, items) = (most(|pair| pair.0), most(|pair| pair.1));
    let mut held_out = vec![Vec::new(); people];
    later.into_iter().for_each(|(person, item)| held_out[person as usize].push(item));
    let before = before.into_iter().map(|(person, item)| (person, item, 1.0)).collect();
    Ok(Likes { before: Interactions::of(before, people, items), later: held_out })
}

/// People and films of the ratings that count.
fn liked(path: &Path) -> Result<Vec<(u32, u32)>> {
    let text = std::fs::read_to_string(path).explain(WHAT).map_err(|failure| failure.at(path.display()))?;
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let mut id = || words.next().and_then(|word| word.parse::<u32>().ok()).filter(|id| *id < 1 << 24);
        let ids = id().zip(id());
        let rating = words.next().and_then(|word| word.parse::<f64>().ok());
        let Some(((person, item), rating)) = ids.zip(rating) else {
            let why = "it is no person, film and rating";
            return Err(Failure::new(WHAT, why).at(format!("{} line {}", path.display(), number + 1)));
        };
        if rating >= LIKED {
            pairs.push((person, item));
        }
    }
    if pairs.is_empty() {
        return Err(Failure::new(WHAT, "no rating is 4 or higher").at(path.display()));
    }
    Ok(pairs)
}

/// Lists of 3, 5 and 10 before and after the game, each person's mean over seeds.
fn play(likes: &Likes, (search, game): (Search, Game), context: &JobContext) -> Result<Vec<Played>> {
    let catalogue: Vec<u32> = (0..likes.before.columns() as u32).collect();
    let ends = (0..SEEDS).into_par_iter().map(|seed| {
        let search = Search { seed, ..search };
        let start = ranked(&likes.before, &catalogue, search, RANKING_RATE, context, |_| {})?;
        let end = irgan(&likes.before, &catalogue, start.clone(), (game, seed), context, |_, _| {})?;
        Ok([start, end])
    });
    let ends: Vec<[Factors; 2]> = ends.collect::<Result<_>>()?;
    [3, 5, 10]
        .into_iter()
        .map(|k| {
            let lists = |end: usize| -> Result<TopK> {
                let runs = ends.iter().map(|ends| lists(likes, &ends[end], k, context));
                let runs = runs.collect::<Result<Vec<_>>>()?;
                TopK::mean_of(&runs).ok_or_else(|| Failure::new(WHAT, "nobody likes anything later"))
            };
            Ok(Played { k, ends: [lists(0)?, lists(1)?] })
        })
        .collect()
}

fn lists(likes: &Likes, factors: &Factors, k: usize, context: &JobContext) -> Result<TopK> {
    let items = likes.before.columns();
    judged(&likes.before, &likes.later, k, context, |people, scores| {
        scores.par_chunks_mut(items).zip(people).for_each(|(scores, person)| {
            scores.iter_mut().enumerate().for_each(|(item, score)| *score = factors.score(person, item));
        });
    })
}

/// Precision and NDCG before, after, and by how much the game makes precision higher.
fn tell(comparison: &mut Comparison, played: &Played, published: [[f64; 2]; 2]) -> Result<()> {
    let gains = gains(played)?;
    for (place, name) in ["P", "NDCG"].into_iter().enumerate() {
        for (end, when) in ["before the game", "after five rounds"].into_iter().enumerate() {
            let (estimate, people) = measured(played, end, place)?;
            let quantity = format!("{name}@{} {when} ({people} people, {SEEDS} seeds)", played.k);
            comparison.rows.push(row(quantity, published[end][place], estimate.value));
        }
        let quantity = format!("{name}@{} higher by", played.k);
        comparison.rows.push(row(quantity, published[1][place] - published[0][place], gains[place].value));
    }
    Ok(())
}

fn measured(played: &Played, end: usize, place: usize) -> Result<(Estimate, usize)> {
    let found = played.ends[end].measures();
    let found = found.ok_or_else(|| Failure::new(WHAT, "nobody likes anything later"))?;
    Ok(([found.precision, found.ndcg][place], found.people))
}

fn gains(played: &Played) -> Result<[Estimate; 2]> {
    let [before, after] = &played.ends;
    after.higher(before).ok_or_else(|| Failure::new(WHAT, "fewer than two people like anything later"))
}

fn row(quantity: String, published: f64, ours: f64) -> Row {
    let rounded = |value: f64| json!((value * 1e4).round() / 1e4);
    let (low, high) = (published - TOLERANCE, published + TOLERANCE);
    Row {
        quantity,
        published: rounded(published),
        source: SOURCE.to_owned(),
        ours: rounded(ours),
        low: Some(low),
        high: Some(high),
        within: low <= ours && ours <= high,
    }
}

fn remark(played: &Played) -> Result<String> {
    let Search { width, passes, penalty, .. } = OTHERS;
    let [gain, _] = gains(played)?;
    let ((before, _), (after, _)) = (measured(played, 0, 0)?, measured(played, 1, 0)?);
    Ok(format!(
        "The game is not what ranks best here: vectors of {width} numbers, ranked {passes} times with a penalty of {penalty}, have a P@{} \
         of {} without it and of {} after five rounds, higher by {} (paired over people)",
        played.k,
        before.in_words(3),
        after.in_words(3),
        gain.in_words(3)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_read_and_bad_lines_are_told_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |part: &str, text: &str| {
            std::fs::write(folder.path().join(format!("movielens-100k-{part}.txt")), text).unwrap();
        };
        write("train", "0\t1\t5\n1\t0\t3\n1\t2\t4\n");
        write("test", "0 2 4\n1 1 1\n");
        let likes = read(folder.path()).unwrap();
        assert_eq!(likes.before.all_pairs(), [(0, 1), (1, 2)]);
        assert_eq!(likes.later, [vec![2], vec![]]);
        for (text, words) in
            [("0 1 5\n0 x 5", "line 2"), ("0 1", "line 1"), ("4000000000 1 5", "line 1"), ("0 1 2", "train")]
        {
            write("train", text);
            let failure = read(folder.path()).err().unwrap();
            assert!(failure.place.contains(words), "{text}: {failure}");
        }
        std::fs::remove_file(folder.path().join("movielens-100k-test.txt")).unwrap();
        assert!(read(folder.path()).is_err());
    }

    #[test]
    fn both_ends_of_a_game_are_judged_and_compared() {
        let mut pairs = Vec::new();
        for person in 0..12u32 {
            pairs.extend((0..6).filter(|item| item % 2 == person % 2).map(|item| (person, item)));
        }
        let later = (0..12).map(|person| vec![6 + person % 2]).collect();
        let before = pairs.into_iter().map(|(person, item)| (person, item, 1.0)).collect();
        let likes = Likes { before: Interactions::of(before, 12, 8), later };
        let game = Game { rounds: 1, judge_passes: 2, generator_passes: 1, ..THEIRS.1 };
        let played = play(&likes, (Search { passes: 3, ..THEIRS.0 }, game), &JobContext::detached()).unwrap();
        assert_eq!(played.iter().map(|played| played.k).collect::<Vec<_>>(), [3, 5, 10]);
        let mut comparison = Comparison::default();
        tell(&mut comparison, &played[0], [[0.0; 2]; 2]).unwrap();
        assert_eq!(comparison.rows.len(), 6);
        let ours = |at: usize| comparison.rows[at].ours.as_f64().unwrap();
        assert!((ours(1) - ours(0) - ours(2)).abs() < 2e-4, "a gain is the difference of its ends");
        assert!(remark(&played[1]).unwrap().contains("P@5"));
    }
}
