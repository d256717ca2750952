//! Do biases and vectors predict ratings of films as well as the same model in the Surprise library?
//!
//! `ml-100k.inter` of RecBole's `dataset/ml-100k`: a header, then a person, a film, a rating and a time on each line, split
//! by tabs. Five folds drawn by a seed, as the library's README does for its table (5-fold cross-validation, defaults:
//! 100 factors, 20 passes, steps of .005, penalty .02); which rows are in which fold is not told there.

use super::{Comparison, Row};
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::nn::factors::Search;
use crate::nn::neighbours::Interactions;
use crate::nn::rated::rated;
use rayon::prelude::*;
use serde_json::json;
use std::path::Path;

const WHAT: &str = "cannot read the ratings";
const FOLDS: usize = 5;
const RATE: f64 = 0.005;
/// What the issue of published figures allows; other draws of the folds move ours by .001.
const TOLERANCE: f64 = 0.01;
const SOURCE: &str = "README of NicolasHug/Surprise, Movielens 100k";

/// Fits each fold without it and compares.
///
/// # Errors
/// A file that is missing or of another form, or a cancel.
pub(super) fn compare(folder: &Path, context: &JobContext) -> Result<Comparison> {
    let mut ratings = read(&folder.join("ml-100k.inter"))?;
    Rng::named(1, "folds").shuffle(&mut ratings);
    let mut comparison = Comparison::default();
    for (name, factors, [of_squares, of_sizes]) in
        [("SVD, 100 factors", 100, [0.934, 0.737]), ("biases alone", 0, [0.944, 0.748])]
    {
        context.stage(&format!("fitting {name}"));
        let [rmse, mae] = errors(&ratings, factors, context)?;
        comparison.rows.push(row(format!("{name}: RMSE"), of_squares, rmse));
        comparison.rows.push(row(format!("{name}: MAE"), of_sizes, mae));
    }
    Ok(comparison)
}

type Rating = (u32, u32, f32);

fn read(path: &Path) -> Result<Vec<Rating>> {
    let text = std::fs::read_to_string(path).explain(WHAT).map_err(|failure| failure.at(path.display()))?;
    let mut ratings = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let mut words = line.split('\t');
        let mut id = || words.next().and_then(|word| word.parse::<u32>().ok()).filter(|id| *id < 1 << 24);
        let ids = id().zip(id());
        let rating =
            words.next().and_then(|word| word.parse::<f32>().ok()).filter(|rating| rating.is_finite());
        let Some(((person, item), rating)) = ids.zip(rating) else {
            let why = "it is no person, film and rating, split by tabs";
            return Err(Failure::new(WHAT, why).at(format!("{} line {}", path.display(), number + 1)));
        };
        ratings.push((person, item, rating));
    }
    if ratings.len() < FOLDS {
        let why = format!("{} ratings cannot be split into {FOLDS} parts", ratings.len());
        return Err(Failure::new(WHAT, why).at(path.display()));
    }
    Ok(ratings)
}

/// Means over the folds of the root mean squared error and of the mean absolute error.
fn errors(ratings: &[Rating], factors: usize, context: &JobContext) -> Result<[f64; 2]> {
    let most = |of: fn(&Rating) -> u32| ratings.iter().map(of).max().unwrap_or_default() as usize + 1;
    let (people, items) = (most(|rating| rating.0), most(|rating| rating.1));
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for (.., rating) in ratings {
        (lowest, highest) = (lowest.min(f64::from(*rating)), highest.max(f64::from(*rating)));
    }
    let of_fold = |fold: usize| -> Result<[f64; 2]> {
        let of = |is_kept: bool| {
            let all = ratings.iter().enumerate();
            all.filter(move |(place, _)| (place % FOLDS == fold) == is_kept).map(|(_, rating)| *rating)
        };
        let search = Search { width: factors + 2, passes: 20, penalty: 0.02, seed: fold as u64 };
        let found = rated(&Interactions::of(of(false).collect(), people, items), search, RATE, context)?;
        let (mut squares, mut sizes, mut count) = (0.0, 0.0, 0.0);
        for (person, item, rating) in of(true) {
            let expected = found.expected(person as usize, item as usize).clamp(lowest, highest);
            let off = expected - f64::from(rating);
            squares += off * off;
            sizes += off.abs();
            count += 1.0;
        }
        Ok([(squares / count).sqrt(), sizes / count])
    };
    let folds: Vec<[f64; 2]> = (0..FOLDS).into_par_iter().map(of_fold).collect::<Result<_>>()?;
    Ok([0, 1].map(|place| folds.iter().map(|fold| fold[place]).sum::<f64>() / FOLDS as f64))
}

fn row(quantity: String, published: f64, ours: f64) -> Row {
    let (low, high) = (published - TOLERANCE, published + TOLERANCE);
    Row {
        quantity,
        published: json!(published),
        source: SOURCE.to_owned(),
        ours: json!((ours * 1e4).round() / 1e4),
        low: Some(low),
        high: Some(high),
        within: low <= ours && ours <= high,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_are_read_and_bad_lines_are_told_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ml-100k.inter");
        let head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";
        std::fs::write(&path, format!("{head}{}", "1\t2\t3\t9\n".repeat(5))).unwrap();
        assert_eq!(read(&path).unwrap(), [(1, 2, 3.0); 5]);
        for (rows, words) in
            [("1\t2\tx\t9\n", "line 2"), ("1\t2\t3\t9\n", "ml-100k.inter"), ("1 2 3 9\n", "line 2")]
        {
            std::fs::write(&path, format!("{head}{rows}")).unwrap();
            let failure = read(&path).unwrap_err();
            assert!(failure.place.contains(words), "{failure}");
        }
    }

    #[test]
    fn biases_predict_what_biases_made() {
        // A rating is the sum of what the person and the film add.
        let ratings: Vec<Rating> =
            (0..400).map(|row| (row % 20, row / 20, (row % 20 % 3 + row / 20 % 2) as f32)).collect();
        let mut drawn = ratings;
        Rng::named(1, "folds").shuffle(&mut drawn);
        let [rmse, mae] = errors(&drawn, 0, &JobContext::detached()).unwrap();
        assert!(mae <= rmse && rmse < 0.75, "{rmse} {mae}: .98 without biases");
    }
}
