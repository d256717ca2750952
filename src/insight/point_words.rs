//! Which words do the texts of some points hold?
//!
//! The texts of a point are its own where the points are texts; else, of each text column of the log, the one most
//! frequent among its rows: an ad's headline.

use super::sources::{Gathered, NOBODY, Source, text_columns};
use crate::base::Result;
use crate::data::cells::{NO_CODE, coded};
use crate::data::{Dataset, LogFrame};
use crate::jobs::JobContext;
use crate::language::words::{Kind, tokens};
use rayon::prelude::*;
use std::collections::HashMap;

/// Words that are kept: the most frequent ones.
const MOST_WORDS: usize = 20_000;
/// Points that a word needs to say something of a group.
const LEAST_POINTS: u32 = 2;
/// Texts with more points than this are no texts of points, but of everything.
const MOST_POINTS: usize = 500_000;

/// The words of points.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointWords {
    /// The words, most frequent first.
    pub words: Vec<String>,
    /// Word codes of point `i`: `codes[starts[i]..starts[i + 1]]`, each once; empty when there are no texts.
    pub starts: Vec<u32>,
    /// As above.
    pub codes: Vec<u32>,
}

impl PointWords {
    /// The words of a point.
    pub fn of(&self, point: usize) -> &[u32] {
        match (self.starts.get(point), self.starts.get(point + 1)) {
            (Some(start), Some(end)) => &self.codes[*start as usize..*end as usize],
            _ => &[],
        }
    }

    /// The words of the gathered points that are drawn (`ids`, table rows).
    ///
    /// # Errors
    /// A cancel.
    pub(super) fn new(
        gathered: &Gathered,
        ids: &[u32],
        dataset: &Dataset,
        log: &LogFrame,
        context: &JobContext,
    ) -> Result<Self> {
        if ids.len() > MOST_POINTS {
            return Ok(Self::default());
        }
        context.stage("words of the texts");
        let names = &gathered.table.names;
        if let Source::Texts(..) = gathered.source {
            return Ok(Self::count(ids.len(), |point| vec![names[ids[point] as usize].as_str()]));
        }
        if dataset.rows != log.rows() || gathered.of_rows.len() != dataset.rows {
            return Ok(Self::default());
        }
        let mut columns = Vec::new();
        for column in text_columns(log) {
            context.check()?;
            let texts = coded(log, column)?;
            columns.push((most_frequent(&gathered.of_rows, &texts.codes, names.len()), texts.values));
        }
        if columns.is_empty() {
            return Ok(Self::default());
        }
        let texts = |point: usize| {
            let id = ids[point] as usize;
            columns.iter().filter_map(|(of, texts)| texts.get(of[id] as usize).map(String::as_str)).collect()
        };
        Ok(Self::count(ids.len(), texts))
    }

    fn count<'a>(points: usize, texts: impl Fn(usize) -> Vec<&'a str> + Sync) -> Self {
        let words: Vec<Vec<String>> = (0..points)
            .into_par_iter()
            .with_min_len(64)
            .map(|point| {
                let kept = texts(point).into_iter().flat_map(tokens).filter(|token| is_telling(token.kind));
                let mut words: Vec<String> = kept.map(|token| token.text).collect();
                words.sort_unstable();
                words.dedup();
                words
            })
            .collect();
        let mut counts: HashMap<&str, u32> = HashMap::new();
        words.iter().flatten().for_each(|word| *counts.entry(word).or_default() += 1);
        let mut order: Vec<(&str, u32)> =
            counts.into_iter().filter(|(_, count)| *count >= LEAST_POINTS).collect();
        order.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        order.truncate(MOST_WORDS);
        let known: HashMap<&str, u32> =
            order.iter().zip(0..).map(|((word, _), code)| (*word, code)).collect();
        let (mut starts, mut codes) = (vec![0], Vec::new());
        for words in &words {
            codes.extend(words.iter().filter_map(|word| known.get(word.as_str())));
            starts.push(codes.len() as u32);
        }
        Self { words: order.iter().map(|(word, _)| (*word).to_owned()).collect(), starts, codes }
    }
}

/// Signs and numbers say little of what a group is.
fn is_telling(kind: Kind) -> bool {
    matches!(kind, Kind::Word | Kind::Han)
}

/// The text most frequent among the rows of each table row, the earlier one in a tie; [`NO_CODE`] where there is none.
fn most_frequent(of_rows: &[u32], codes: &[u32], size: usize) -> Vec<u32> {
    let mut pairs: HashMap<(u32, u32), u32> = HashMap::new();
    for (id, code) in of_rows.iter().zip(codes) {
        if *id != NOBODY && *code != NO_CODE {
            *pairs.entry((*id, *code)).or_default() += 1;
        }
    }
    let mut best = vec![(0u32, NO_CODE); size];
    for ((id, code), count) in pairs {
        let best = &mut best[id as usize];
        if count > best.0 || (count == best.0 && code < best.1) {
            *best = (count, code);
        }
    }
    best.into_iter().map(|(_, code)| code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_once_a_point_and_rare_ones_are_left_out() {
        let texts = ["轻便跑鞋 跑鞋 2024", "跑鞋 sale", "Sale once"];
        let made = PointWords::count(3, |point| vec![texts[point]]);
        let words = |point: usize| -> Vec<&str> {
            made.of(point).iter().map(|code| made.words[*code as usize].as_str()).collect()
        };
        assert_eq!(made.words, ["sale", "跑鞋"]);
        assert_eq!((words(0), words(2)), (vec!["跑鞋"], vec!["sale"]));
        assert_eq!(words(1).len(), 2);
        assert!(made.of(9).is_empty());
    }

    #[test]
    fn the_most_frequent_text_of_a_value_is_its_own() {
        let of_rows = [0, 0, 0, 1, NOBODY, 2];
        let codes = [4, 5, 5, 7, 7, NO_CODE];
        assert_eq!(most_frequent(&of_rows, &codes, 3), [5, 7, NO_CODE]);
    }
}
