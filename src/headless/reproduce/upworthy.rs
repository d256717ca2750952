//! Does a headline's text tell which of two was clicked more? The tests of the Upworthy Research Archive.
//!
//! Matias, Munger et al. 2021. Arms of one test with the same headline are pooled over their images; a linear model of the
//! built-in encoder's features is fitted on four fifths of the tests, its target the log of an arm's click rate less its
//! test's mean, and judged on the pairs of headlines inside each test of the other fifth. Every test is judged once: five
//! folds, drawn by test, so no test is on both sides. The bar, 57.9 % of all pairs and 65.1 % of those that differ beyond
//! z = 1.96, was measured by a linear model of TF-IDF on one such split.

use super::{Comparison, Row};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::importers::{self, ImportOptions};
use crate::data::{LogFrame, cells};
use crate::jobs::JobContext;
use crate::language::ridge::{Example, Ridge};
use crate::language::{Encoder, EncoderOptions};
use crate::metrics::ratio::RatioSums;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

const WHAT: &str = "cannot judge headlines";
const FOLDS: usize = 5;
const SEED: u64 = 1;
/// z of a difference that luck alone exceeds in one of twenty pairs.
const CLEAR: f64 = 1.96;
const SOURCE: &str = "a linear model of TF-IDF, one split by test";

/// An arm of a test: one headline.
#[derive(Debug, Clone, PartialEq)]
struct Headline {
    test: usize,
    text: String,
    impressions: f64,
    clicks: f64,
}

/// Reads the tests, fits, judges.
///
/// # Errors
/// A file that is not there or not of this form; a cancel.
pub(super) fn compare(folder: &Path, context: &JobContext) -> Result<Comparison> {
    let path = folder.join("upworthy_clean.parquet");
    let log = importers::open(&path, &ImportOptions::default(), context)?;
    let headlines = headlines(&log)?;
    let (all, clear) = judge(&headlines, context)?;
    let row = |quantity: &str, published: f64, judged: &Judged| {
        // Pairs of one test share its arms, so tests are the units that the interval counts.
        let (rate, interval) = judged.sums.estimate().unwrap_or_default();
        let interval = interval.map_or_else(String::new, |interval| {
            format!(", 95 % interval {:.1} to {:.1} %", 100.0 * interval.low, 100.0 * interval.high)
        });
        Row {
            quantity: format!("{quantity}: {:.0} pairs of {} tests{interval}", judged.pairs, judged.tests),
            published: json!(published),
            source: SOURCE.to_owned(),
            ours: json!((1000.0 * rate).round() / 10.0),
            low: Some(published),
            high: None,
            within: 100.0 * rate >= published,
        }
    };
    let rows = vec![
        row("pairs of headlines told right, %", 57.9, &all),
        row("of those with |z| above 1.96, %", 65.1, &clear),
    ];
    Ok(Comparison { rows, ..Comparison::default() })
}

/// Pairs that were told right, test by test.
#[derive(Debug, Default, Clone)]
struct Judged {
    sums: RatioSums,
    pairs: f64,
    tests: usize,
}

impl Judged {
    fn add(&mut self, right: f64, pairs: f64) {
        if pairs > 0.0 {
            self.sums.add(right, pairs);
            self.pairs += pairs;
            self.tests += 1;
        }
    }
}

/// The headlines of a log with one row per arm.
fn headlines(log: &LogFrame) -> Result<Vec<Headline>> {
    let tests = cells::coded(log, "clickability_test_id")?;
    let texts = cells::coded(log, "headline")?;
    let (impressions, clicks) = (cells::numbers(log, "impressions")?, cells::numbers(log, "clicks")?);
    let mut places: HashMap<(u32, u32), usize> = HashMap::new();
    let mut found: Vec<Headline> = Vec::new();
    for row in 0..log.rows() {
        let (test, code) = (tests.codes[row], texts.codes[row]);
        let Some(text) = texts.values.get(code as usize) else { continue };
        let counted =
            |cells: &[f64]| cells.get(row).copied().filter(|count| count.is_finite() && *count >= 0.0);
        let (Some(impressions), Some(clicks)) = (counted(&impressions), counted(&clicks)) else { continue };
        let place = *places.entry((test, code)).or_insert_with(|| {
            found.push(Headline { test: test as usize, text: text.clone(), impressions: 0.0, clicks: 0.0 });
            found.len() - 1
        });
        found[place].impressions += impressions;
        found[place].clicks += clicks;
    }
    found.retain(|arm| arm.impressions > 0.0);
    if found.is_empty() {
        return Err(Failure::new(WHAT, "no row has a test, a headline, impressions and clicks")
            .at(log.source.path.display()));
    }
    Ok(found)
}

/// All pairs, and those that differ clearly, each test judged by a model that has not seen it.
fn judge(headlines: &[Headline], context: &JobContext) -> Result<(Judged, Judged)> {
    let tests = headlines.iter().map(|arm| arm.test).max().map_or(0, |most| most + 1);
    let mut fold: Vec<usize> = (0..tests).map(|test| test % FOLDS).collect();
    Rng::named(SEED, "folds of tests").shuffle(&mut fold);
    let mut by_test: Vec<Vec<usize>> = vec![Vec::new(); tests];
    headlines.iter().enumerate().for_each(|(place, arm)| by_test[arm.test].push(place));
    let (mut all, mut clear) = (Judged::default(), Judged::default());
    for held_out in 0..FOLDS {
        context.stage(&format!("fold {} of {FOLDS}", held_out + 1));
        let scores = scores(headlines, &by_test, |test| fold[test] != held_out, context)?;
        for arms in
            by_test.iter().enumerate().filter(|(test, _)| fold[*test] == held_out).map(|(_, arms)| arms)
        {
            let mut told = [(0.0, 0.0); 2];
            for (place, one) in arms.iter().enumerate() {
                for other in &arms[..place] {
                    let (a, b) = (&headlines[*one], &headlines[*other]);
                    let (p, q) = (a.clicks / a.impressions, b.clicks / b.impressions);
                    if p == q {
                        continue;
                    }
                    let right = match scores[*one].total_cmp(&scores[*other]) {
                        std::cmp::Ordering::Equal => 0.5,
                        order => f64::from(u8::from(order.is_gt() == (p > q))),
                    };
                    let pooled = (a.clicks + b.clicks) / (a.impressions + b.impressions);
                    let error =
                        (pooled * (1.0 - pooled) * (1.0 / a.impressions + 1.0 / b.impressions)).sqrt();
                    let is_clear = (p - q).abs() > CLEAR * error;
                    for told in &mut told[..=usize::from(is_clear)] {
                        *told = (told.0 + right, told.1 + 1.0);
                    }
                }
            }
            all.add(told[0].0, told[0].1);
            clear.add(told[1].0, told[1].1);
        }
    }
    Ok((all, clear))
}

/// A score per headline, by a model of the tests that `trains` names.
fn scores(
    headlines: &[Headline],
    by_test: &[Vec<usize>],
    trains: impl Fn(usize) -> bool,
    context: &JobContext,
) -> Result<Vec<f32>> {
    let texts: Vec<&str> =
        headlines.iter().filter(|arm| trains(arm.test)).map(|arm| arm.text.as_str()).collect();
    // The model reads the features themselves: directions and word vectors are not needed.
    let options = EncoderOptions { meaning: 0, company: 0, features: 1 << 18, ..EncoderOptions::default() };
    let encoder = Encoder::fit(&texts, options, context)?;
    let mut examples = Vec::new();
    for arms in by_test.iter().enumerate().filter(|(test, _)| trains(*test)).map(|(_, arms)| arms) {
        let rate = |arm: &usize| {
            let Headline { clicks, impressions, .. } = headlines[*arm];
            ((clicks + 1.0) / (impressions + 50.0)).ln() as f32
        };
        examples.extend(arms.iter().map(|arm| Example {
            features: encoder.features(&headlines[*arm].text),
            group: headlines[*arm].test as u32,
            target: rate(arm),
            weight: headlines[*arm].impressions as f32,
        }));
    }
    let model = Ridge::fit(&examples, 10.0, context)?;
    Ok(headlines.iter().map(|arm| model.score(&encoder.features(&arm.text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests of four headlines of which one word in ten moves the click rate, the others say nothing.
    fn made_up(tests: usize, effect: f64) -> Vec<Headline> {
        let mut rng = Rng::named(6, "made-up tests");
        (0..tests * 4)
            .map(|place| {
                let words: Vec<usize> = (0..6).map(|_| rng.below(120)).collect();
                let lift: f64 = words.iter().map(|word| if word % 10 == 0 { effect } else { 0.0 }).sum();
                let text = words.iter().map(|word| format!("word{word}")).collect::<Vec<_>>().join(" ");
                let chance = 0.02 * lift.exp();
                let clicks = (0..3000).filter(|_| rng.chance(chance)).count() as f64;
                Headline { test: place / 4, text, impressions: 3000.0, clicks }
            })
            .collect()
    }

    #[test]
    fn words_that_move_clicks_are_found_in_tests_that_were_not_seen() {
        let (all, clear) = judge(&made_up(150, 0.5), &JobContext::detached()).unwrap();
        assert!(
            all.tests == 150 && all.pairs <= 900.0 && clear.pairs < all.pairs,
            "six pairs a test, ties left out"
        );
        let (all, clear) = (all.sums.value().unwrap(), clear.sums.value().unwrap());
        assert!(all > 0.62 && clear > all + 0.05, "{all} and {clear}");
    }

    #[test]
    fn where_texts_say_nothing_half_of_the_pairs_are_told_right() {
        let (all, _) = judge(&made_up(150, 0.0), &JobContext::detached()).unwrap();
        let interval = all.sums.estimate().unwrap().1.unwrap();
        assert!(!interval.excludes(0.5), "{interval:?}");
    }
}
