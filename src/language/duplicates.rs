//! Which texts say the same in nearly the same words? MinHash over runs of five characters.
//!
//! Broder 1997: the share of minima that two sets have in common estimates their Jaccard likeness. Bands of minima find
//! candidates among all pairs in one pass; each candidate is then compared exactly.

use super::words::normal;
use crate::base::Result;
use crate::base::rng::mix;
use crate::jobs::JobContext;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// Characters in a run.
const RUN: usize = 5;
/// Bands, and minima in each: pairs of likeness 0.6 share a band with probability 1 - (1 - 0.6^3)^24 = 0.997.
const BANDS: usize = 24;
const MINIMA: usize = 3;
/// Texts between two looks for a cancel.
const CHUNK: usize = 4096;
/// Texts of one band that are compared pair by pair at most; a common opening beyond that tells nothing.
const CROWD: usize = 200;

/// Hashes of the runs of a text, sorted, each once: letters and digits only, so signs and spaces do not hide a copy.
pub fn runs(text: &str) -> Vec<u64> {
    let letters: Vec<char> = normal(text).chars().filter(|c| c.is_alphanumeric()).collect();
    let hash = |run: &[char]| run.iter().fold(0u64, |hash, c| mix(hash ^ u64::from(u32::from(*c))));
    let mut found: Vec<u64> = match letters.len() {
        0 => Vec::new(),
        // A text shorter than a run is one run.
        short if short < RUN => vec![hash(&letters)],
        _ => letters.windows(RUN).map(hash).collect(),
    };
    found.sort_unstable();
    found.dedup();
    found
}

/// Jaccard's likeness of two sorted sets: common over all; 0 for two empty ones.
pub fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut common) = (0, 0, 0usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common += 1;
                i += 1;
                j += 1;
            }
        }
    }
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

/// Two texts that are nearly the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Place of the first.
    pub first: usize,
    /// Place of the second, behind the first.
    pub second: usize,
    /// Their likeness.
    pub alike: f64,
}

/// Pairs of texts with a likeness of at least `least`, in their order. Pairs far below 0.6 may be missed.
///
/// # Errors
/// A cancel.
pub fn near_duplicates(texts: &[&str], least: f64, context: &JobContext) -> Result<Vec<Pair>> {
    let mut sets: Vec<Vec<u64>> = Vec::with_capacity(texts.len());
    for chunk in texts.chunks(CHUNK) {
        context.check()?;
        sets.par_extend(chunk.par_iter().map(|text| runs(text)));
    }
    let mut candidates: HashSet<(u32, u32)> = HashSet::new();
    for band in 0..BANDS {
        context.check()?;
        context.progress(band as u64, BANDS as u64);
        let keys: Vec<Option<[u64; MINIMA]>> = sets.par_iter().map(|set| minima(set, band)).collect();
        let mut same: HashMap<[u64; MINIMA], Vec<u32>> = HashMap::new();
        for (place, key) in (0u32..).zip(keys) {
            if let Some(key) = key {
                same.entry(key).or_default().push(place);
            }
        }
        for crowd in same.values().filter(|crowd| crowd.len() > 1) {
            for (at, first) in crowd.iter().enumerate() {
                let beside = &crowd[at + 1..crowd.len().min(at + 1 + CROWD)];
                candidates.extend(beside.iter().map(|second| (*first, *second)));
            }
        }
    }
    let mut candidates: Vec<(u32, u32)> = candidates.into_iter().collect();
    candidates.sort_unstable();
    let compare = |(first, second): (u32, u32)| {
        let (first, second) = (first as usize, second as usize);
        let alike = jaccard(&sets[first], &sets[second]);
        (alike >= least).then_some(Pair { first, second, alike })
    };
    Ok(candidates.into_par_iter().filter_map(compare).collect())
}

fn minima(set: &[u64], band: usize) -> Option<[u64; MINIMA]> {
    let mut least = [u64::MAX; MINIMA];
    for (place, least) in least.iter_mut().enumerate() {
        let salt = mix((band * MINIMA + place) as u64);
        *least = set.iter().map(|run| mix(run ^ salt)).min()?;
    }
    Some(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn likeness_is_common_over_all() {
        assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!((jaccard(&[], &[]), jaccard(&[1], &[])), (0.0, 0.0));
        // "abcdef" has abcde and bcdef, "abcdeg" abcde and bcdeg: one in common of three.
        assert!((jaccard(&runs("abc def"), &runs("ABC-deg")) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(jaccard(&runs("新款"), &runs("新款!")), 1.0);
    }

    #[test]
    fn copies_with_one_word_changed_are_found_and_others_are_not() {
        let mut rng = Rng::named(2, "copies");
        let word = |rng: &mut Rng| (0..6).map(|_| char::from(b'a' + rng.below(26) as u8)).collect::<String>();
        let mut texts: Vec<String> = Vec::new();
        for _ in 0..300 {
            let words: Vec<String> = (0..12).map(|_| word(&mut rng)).collect();
            let mut copy = words.clone();
            copy[rng.below(12)] = word(&mut rng);
            texts.extend([words.join(" "), copy.join(" ")]);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = near_duplicates(&texts, 0.6, &JobContext::detached()).unwrap();
        let right = found.iter().filter(|pair| pair.first % 2 == 0 && pair.second == pair.first + 1).count();
        assert!(right >= 295, "{right} of 300");
        assert_eq!(right, found.len(), "nothing else is alike");
    }
}
