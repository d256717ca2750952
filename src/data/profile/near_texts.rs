//! Which texts differ in little? Variants of one ad text count as one creative for a person, and as many for a model.
//!
//! Texts are compared by the sets of their 5-character pieces (Jaccard similarity); MinHash (Broder 1997) in bands finds
//! the pairs that are worth comparing.

use super::{Issue, IssueKind, issues};
use crate::data::profile::ColumnProfile;
use crate::data::schema::{ColumnType, Role};
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// More distinct texts than this are not compared.
const MOST: usize = 20_000;
/// Letters of a piece.
const PIECE: usize = 5;
const BANDS: usize = 8;
const PER_BAND: usize = 4;
/// Texts at least as similar belong together.
const SIMILAR: f64 = 0.8;
/// Shorter texts have too few pieces to compare.
const SHORTEST: f64 = 20.0;

/// The note about texts that differ in little.
pub(super) fn find(column: &ColumnProfile, values: &[String], rows: u64) -> Option<Issue> {
    let is_text = column.kind == ColumnType::Text && column.role == Role::Text;
    if !is_text || values.len() < 2 || values.len() > MOST {
        return None;
    }
    let letters: usize = values.iter().map(|value| value.chars().count()).sum();
    if (letters as f64) < SHORTEST * values.len() as f64 {
        return None;
    }
    let groups = groups(values);
    let count = groups.iter().filter(|size| **size > 0).count();
    let near = values.len() - count;
    let largest = groups.iter().max().copied().unwrap_or_default();
    (near > 0).then(|| {
        let detail = format!(
            "{rows} rows hold {} distinct texts, which are {count} when those that differ in little are taken \
             together (largest group {largest})",
            values.len()
        );
        issues::issue(IssueKind::NearDuplicateTexts, Some(&column.name), near as u64, detail)
    })
}

/// Sizes of the groups, at the place of the first text of each; 0 elsewhere.
fn groups(values: &[String]) -> Vec<usize> {
    let pieces: Vec<Vec<u64>> = values.iter().map(|value| pieces(value)).collect();
    let mut parents: Vec<usize> = (0..values.len()).collect();
    for band in 0..BANDS {
        let mut buckets: HashMap<[u64; PER_BAND], usize> = HashMap::new();
        for (place, set) in pieces.iter().enumerate() {
            let signature = std::array::from_fn(|at| lowest(set, (band * PER_BAND + at) as u64));
            let first = *buckets.entry(signature).or_insert(place);
            if first != place && similarity(&pieces[first], set) >= SIMILAR {
                let (one, other) = (root(&mut parents, first), root(&mut parents, place));
                parents[one.max(other)] = one.min(other);
            }
        }
    }
    let mut sizes = vec![0; values.len()];
    for place in 0..values.len() {
        let root = root(&mut parents, place);
        sizes[root] += 1;
    }
    sizes
}

fn root(parents: &mut [usize], mut place: usize) -> usize {
    while parents[place] != place {
        parents[place] = parents[parents[place]];
        place = parents[place];
    }
    place
}

/// Hashes of the pieces of a text, sorted; case, punctuation and spacing do not count.
fn pieces(text: &str) -> Vec<u64> {
    let letters: Vec<char> =
        text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let hash = |piece: &[char]| xxh3_64_with_seed(piece.iter().collect::<String>().as_bytes(), 0);
    let mut hashes: Vec<u64> =
        if letters.len() < PIECE { vec![hash(&letters)] } else { letters.windows(PIECE).map(hash).collect() };
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The lowest of the pieces under a hash of its own.
fn lowest(set: &[u64], seed: u64) -> u64 {
    set.iter().map(|piece| xxh3_64_with_seed(&piece.to_le_bytes(), seed + 1)).min().unwrap_or_default()
}

/// Common pieces over all pieces of two sorted sets.
fn similarity(one: &[u64], other: &[u64]) -> f64 {
    let common = one.iter().filter(|piece| other.binary_search(piece).is_ok()).count();
    let all = one.len() + other.len() - common;
    if all == 0 { 1.0 } else { common as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_one_group() {
        let base = "When performance matters, recovery matters more than anything else you do in a day.";
        let texts: Vec<String> = [
            base.to_owned(),
            base.to_uppercase(),
            base.replace("a day", "a week"),
            "A quite different text about shoes and the places that they will take you to.".to_owned(),
        ]
        .to_vec();
        let sizes = groups(&texts);
        assert_eq!(sizes, [3, 0, 0, 1]);
    }

    #[test]
    fn similarity_is_common_over_all() {
        assert!((similarity(&[1, 2, 3], &[2, 3, 4]) - 0.5).abs() < 1e-12);
        assert_eq!(similarity(&[], &[]), 1.0);
        assert_eq!(pieces("Ab-Cd ef").len(), 2);
    }
}
