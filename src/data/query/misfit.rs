//! Where does a model fail? Groups of rows whose click rate is not what was predicted, or whose log loss is high, unlike
//! in all other rows.
//!
//! Groups are walked through and corrected for as `query/lattice.rs` says (SliceLine, Sagadeeva & Boehm 2021).
//! By calibration, the ratio of actual to predicted clicks is compared with that of the other rows (a likelihood ratio of
//! Poisson counts, which keeps its level with few clicks); by loss, the mean log loss (Welch's test; a group with more
//! clicks is harder to predict, so a high loss is no fault by itself).

use super::finder::default_columns;
use super::lattice::{Candidate, ColumnSeen, Ranked, Search, Tally, check_bounds, told_once};
use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::frame::LogFrame;
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::rates::{Estimate, Rate};
use crate::metrics::significance::root_of_ratio_deviance;
use crate::metrics::{calibration, ranking};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Clicks that must be expected in a group that is judged by its ratio.
const MIN_EXPECTED_CLICKS: f64 = 5.0;
/// The same where means of losses are compared: they need more to be normal.
const MIN_CLICKS_OF_LOSS: f64 = 30.0;
/// Groups that are told in full; more are counted.
const TOLD: usize = 200;

/// What counts as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfit {
    /// Predicted clicks are not the actual ones.
    #[default]
    Calibration,
    /// Log loss is above that of all others.
    Loss,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MisfitQuery {
    /// What counts as a failure.
    pub by: Misfit,
    /// Columns to join; empty takes the first twelve that rows can be parted by, and what the model knows of them.
    pub columns: Vec<String>,
    /// Columns joined at most, 1 to 3.
    pub depth: usize,
    /// Smaller groups are not looked at, in impressions.
    pub min_impressions: f64,
    /// Chance of telling of any group where there is none.
    pub level: f64,
}

impl Default for MisfitQuery {
    fn default() -> Self {
        Self { by: Misfit::Calibration, columns: Vec::new(), depth: 2, min_impressions: 100.0, level: 0.05 }
    }
}

/// Rows of a log with what was predicted and what happened. All slices have one entry a row.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Rows of the log.
    pub rows: &'a [u32],
    /// Predicted click probabilities.
    pub predicted: &'a [f32],
    /// Outcomes in `[0, 1]`.
    pub labels: &'a [f32],
    /// Impressions per row; empty means all 1.
    pub weights: &'a [f32],
    /// What the model knows of the rows beside their columns.
    pub known: &'a [Known],
}

/// Something that is known of rows and is no column of the log, such as how often their user was seen in training.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What it is called.
    pub name: String,
    /// The names of its groups.
    pub values: Vec<String>,
    /// The group of each row.
    pub codes: Vec<u32>,
}

/// How well predictions fit some rows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Fit {
    /// Clicks, impressions, click rate.
    pub actual: Rate,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Predicted over actual clicks with its interval.
    pub predicted_over_actual: Option<Estimate>,
    /// Mean log loss in nats with its interval.
    pub log_loss: Option<Estimate>,
    /// Log loss over the entropy of the group's own click rate: from 1 on, the model tells nothing inside the group.
    pub normalized_entropy: Option<f64>,
    /// Area under the ROC curve inside the group, with DeLong's interval.
    pub auc: Option<Estimate>,
}

/// One group in which the model fails.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// Its rows; `None` where a part of it is no column of the log.
    pub segment: Option<Segment>,
    /// Column and value of each part.
    pub parts: Vec<(String, String)>,
    /// How well the predictions fit its rows.
    pub fit: Fit,
    /// How much goes wrong: clicks predicted too many (negative: too few), or nats of loss above the mean of all rows.
    pub excess: f64,
    /// Chance of such a difference in any of the groups looked at, were there none (Bonferroni).
    pub p: f64,
    /// Other names of exactly these rows.
    pub also: Vec<Segment>,
}

/// What was found, and what was looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MisfitReport {
    /// Groups in which the model fails, the largest first.
    pub slices: Vec<Slice>,
    /// Groups beyond chance that are not told for their number.
    pub untold: usize,
    /// Groups that were large enough to be judged.
    pub judged: usize,
    /// Columns looked at.
    pub columns: Vec<ColumnSeen>,
    /// How well the predictions fit all rows.
    pub total: Fit,
}

/// Looks through all groups.
///
/// # Errors
/// No rows, rows of one class only, predictions that are no numbers, an unknown column, bounds of depth or level; a cancel.
pub fn misfits(
    log: &LogFrame,
    judged: Judged<'_>,
    query: &MisfitQuery,
    context: &JobContext,
) -> Result<MisfitReport> {
    let what = "cannot look for groups in which the model fails";
    check_bounds(what, query.depth, query.level)?;
    let refuse = |why: &str| Failure::new(what, why);
    if judged.rows.is_empty() || judged.labels.len() != judged.rows.len() {
        return Err(refuse("there are no rows with outcomes in this part of the log"));
    }
    if judged.predicted.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return Err(refuse("some predictions are no probabilities"));
    }
    let all: Vec<u32> = (0..judged.rows.len() as u32).collect();
    let total = judged.fit(&all);
    if total.actual.successes <= 0.0 || total.actual.successes >= total.actual.trials {
        return Err(refuse("all rows have the same outcome").hint("a longer log, or another part of it"));
    }
    match query.by {
        Misfit::Calibration => walk::<Expected>(log, judged, query, total, context),
        Misfit::Loss => walk::<Losses>(log, judged, query, total, context),
    }
}

fn walk<T: Mistakes>(
    log: &LogFrame,
    judged: Judged<'_>,
    query: &MisfitQuery,
    fit: Fit,
    context: &JobContext,
) -> Result<MisfitReport> {
    context.stage("reading columns");
    let rows: Vec<T::Row> = (0..judged.rows.len()).map(|place| T::row(&judged, place)).collect();
    let mut total = T::default();
    rows.iter().for_each(|row| total.add(row));
    let named = if query.columns.is_empty() { default_columns(log) } else { query.columns.clone() };
    let mut columns = Vec::new();
    for name in &named {
        context.check()?;
        match judged.known.iter().find(|known| known.name == *name) {
            Some(known) => columns.extend(Ranked::named::<T>(name, &known.values, &known.codes, &rows)),
            None => columns.extend(Ranked::of::<T>(log, name, judged.rows, &rows)?),
        }
    }
    if query.columns.is_empty() {
        let known = judged.known.iter();
        columns.extend(
            known.filter_map(|known| Ranked::named::<T>(&known.name, &known.values, &known.codes, &rows)),
        );
    }
    let floor = query.min_impressions.max(T::MIN_CLICKS / fit.actual.rate);
    let search = Search { rows: &rows, total, columns: &columns, depth: query.depth, floor, context };
    let size = |tally: &T| T::size(tally, &total);
    let (count, candidates) = search.beyond_chance(query.level, size)?;
    let bad: Vec<Candidate<T>> = candidates.into_iter().filter(|found| size(&found.tally) > 0.0).collect();
    context.stage("telling the groups");
    let told = told_once(&bad, &columns);
    let slices: Vec<Slice> = told
        .par_iter()
        .take(TOLD)
        .map(|(found, also)| {
            context.check()?;
            let inside = (0..rows.len()).filter(|row| found.holds(*row, &columns));
            let inside: Vec<u32> = inside.map(|row| row as u32).collect();
            Ok(Slice {
                segment: found.segment(&columns),
                parts: found.parts(&columns),
                fit: judged.fit(&inside),
                excess: T::excess(&found.tally, &total),
                p: found.p,
                also: also.clone(),
            })
        })
        .collect::<Result<_>>()?;
    Ok(MisfitReport {
        untold: told.len() - slices.len(),
        slices,
        judged: count,
        columns: columns.iter().map(|column| column.seen(query.depth)).collect(),
        total: fit,
    })
}

impl Judged<'_> {
    fn weight(&self, place: usize) -> f64 {
        self.weights.get(place).map_or(1.0, |w| f64::from(*w))
    }

    fn clicks(&self, place: usize) -> f64 {
        self.weight(place) * f64::from(self.labels[place]).clamp(0.0, 1.0)
    }

    /// Sum and sum of squares of the log losses of a row's impressions.
    fn losses(&self, place: usize) -> [f64; 2] {
        let p = calibration::bounded(f64::from(self.predicted[place]));
        let (clicks, others) = (self.clicks(place), self.weight(place) - self.clicks(place));
        let (hit, miss) = (-p.ln(), -(-p).ln_1p());
        [clicks * hit + others * miss, clicks * hit * hit + others * miss * miss]
    }

    /// What goes wrong in a row, ready to be added up: its weight, then clicks and predicted clicks, or the sums of its
    /// losses and of their squares.
    pub fn mistake(&self, by: Misfit, place: usize) -> Mistake {
        match by {
            Misfit::Calibration => Expected::row(self, place).map(f64::from),
            Misfit::Loss => Losses::row(self, place).map(f64::from),
        }
    }

    /// How well the predictions fit some of the rows, by their places.
    pub fn fit(&self, places: &[u32]) -> Fit {
        let pick = |of: &[f32]| take_known(of, places);
        let (predicted, labels, weights) = (pick(self.predicted), pick(self.labels), pick(self.weights));
        let mut tally = Losses::default();
        let (mut clicks, mut expected) = (0.0, 0.0);
        for place in places.iter().map(|place| *place as usize) {
            let [sum, squares] = self.losses(place);
            tally = Losses {
                shown: tally.shown + self.weight(place),
                sum: tally.sum + sum,
                squares: tally.squares + squares,
            };
            clicks += self.clicks(place);
            expected += self.weight(place) * f64::from(self.predicted[place]);
        }
        let actual = Rate::wilson(clicks, tally.shown);
        let log_loss = (tally.shown > 1.0).then(|| Estimate::normal(tally.mean(), tally.error()));
        let entropy = calibration::entropy(actual.rate);
        Fit {
            actual,
            predicted: expected / tally.shown,
            predicted_over_actual: calibration::predicted_over_actual(&predicted, &labels, &weights),
            log_loss,
            normalized_entropy: entropy
                .filter(|entropy| *entropy > 0.0)
                .map(|entropy| tally.mean() / entropy),
            auc: ranking::auc_estimate(&predicted, &labels, &weights),
        }
    }
}

/// Sums of what goes wrong in rows, as [`Judged::mistake`] tells it.
pub type Mistake = [f64; 3];

/// How many standard errors the mistakes of two groups are apart.
pub fn apart(by: Misfit, [low, high]: [Mistake; 2]) -> Option<f64> {
    match by {
        Misfit::Calibration => {
            let sums = |[shown, clicks, expected]: Mistake| Expected { shown, clicks, expected };
            sums(low).against(sums(high))
        }
        Misfit::Loss => {
            let sums = |[shown, sum, squares]: Mistake| Losses { shown, sum, squares };
            sums(low).against(sums(high))
        }
    }
}

/// What goes wrong in a group.
trait Mistakes: Tally {
    /// Clicks that a group must be expected to have to be judged.
    const MIN_CLICKS: f64;
    fn row(judged: &Judged<'_>, place: usize) -> Self::Row;
    /// [`Slice::excess`].
    fn excess(&self, total: &Self) -> f64;
    /// How bad it is; not above 0 where it is none.
    fn size(&self, total: &Self) -> f64;
}

/// Impressions, clicks and predicted clicks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Expected {
    shown: f64,
    clicks: f64,
    expected: f64,
}

impl Tally for Expected {
    type Row = [f32; 3];

    fn shown([shown, ..]: &Self::Row) -> f64 {
        f64::from(*shown)
    }

    fn add(&mut self, [shown, clicks, expected]: &Self::Row) {
        self.shown += f64::from(*shown);
        self.clicks += f64::from(*clicks);
        self.expected += f64::from(*expected);
    }

    fn without(self, other: Self) -> Self {
        Self {
            shown: self.shown - other.shown,
            clicks: self.clicks - other.clicks,
            expected: self.expected - other.expected,
        }
    }

    fn against(self, other: Self) -> Option<f64> {
        root_of_ratio_deviance([self.clicks, other.clicks], [self.expected, other.expected])
    }

    fn is_large(&self, floor: f64) -> bool {
        self.shown >= floor && self.expected >= MIN_EXPECTED_CLICKS
    }
}

impl Mistakes for Expected {
    const MIN_CLICKS: f64 = MIN_EXPECTED_CLICKS;

    fn row(judged: &Judged<'_>, place: usize) -> Self::Row {
        let weight = judged.weight(place);
        let expected = weight * f64::from(judged.predicted[place]);
        [weight as f32, judged.clicks(place) as f32, expected as f32]
    }

    fn excess(&self, _: &Self) -> f64 {
        self.expected - self.clicks
    }

    fn size(&self, total: &Self) -> f64 {
        // A model that is off everywhere is no news in a group: what counts is the distance to its own ratio.
        (self.clicks - self.expected * total.clicks / total.expected).abs()
    }
}

/// Impressions and their losses.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Losses {
    shown: f64,
    sum: f64,
    squares: f64,
}

impl Losses {
    fn mean(&self) -> f64 {
        self.sum / self.shown
    }

    /// Standard error of the mean.
    fn error(&self) -> f64 {
        let variance = (self.squares / self.shown - self.mean().powi(2)).max(0.0);
        (variance / (self.shown - 1.0).max(1.0)).sqrt()
    }
}

impl Tally for Losses {
    type Row = [f32; 3];

    fn shown([shown, ..]: &Self::Row) -> f64 {
        f64::from(*shown)
    }

    fn add(&mut self, [shown, sum, squares]: &Self::Row) {
        self.shown += f64::from(*shown);
        self.sum += f64::from(*sum);
        self.squares += f64::from(*squares);
    }

    fn without(self, other: Self) -> Self {
        Self {
            shown: self.shown - other.shown,
            sum: self.sum - other.sum,
            squares: self.squares - other.squares,
        }
    }

    fn against(self, other: Self) -> Option<f64> {
        let error = self.error().hypot(other.error());
        (error > 0.0).then(|| (self.mean() - other.mean()) / error)
    }

    fn is_large(&self, floor: f64) -> bool {
        self.shown >= floor
    }
}

impl Mistakes for Losses {
    const MIN_CLICKS: f64 = MIN_CLICKS_OF_LOSS;

    fn row(judged: &Judged<'_>, place: usize) -> Self::Row {
        let [sum, squares] = judged.losses(place);
        [judged.weight(place) as f32, sum as f32, squares as f32]
    }

    fn excess(&self, total: &Self) -> f64 {
        self.sum - self.shown * total.mean()
    }

    fn size(&self, total: &Self) -> f64 {
        self.excess(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::data::schema::Role;
    use polars::prelude::df;

    /// Rows with three columns; the predictions are the truth but for `device = d1 and page = p2`, of which they say
    /// half. With `shuffled` outcomes and one probability for all there is nothing to find.
    fn planted(rows: usize, seed: u64, shuffled: bool) -> (LogFrame, Vec<f32>, Vec<f32>) {
        let mut rng = Rng::named(seed, "misfit");
        let mut draw = |n: usize| (0..rows).map(|_| rng.below(n)).collect::<Vec<_>>();
        let (device, page, city) = (draw(4), draw(6), draw(10));
        let truth = |row: usize| 0.04 + 0.02 * (city[row] % 3) as f64;
        let (mut clicks, mut predicted) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let off = (device[row], page[row]) == (1, 2);
            let p = truth(row) * if off && !shuffled { 2.0 } else { 1.0 };
            clicks.push(f32::from(rng.chance(p)));
            predicted.push(if shuffled { 0.06 } else { truth(row) as f32 });
        }
        if shuffled {
            rng.shuffle(&mut clicks);
        }
        let named = |letter: &str, codes: &[usize]| -> Vec<String> {
            codes.iter().map(|c| format!("{letter}{c}")).collect()
        };
        let frame = df!(
            "device" => named("d", &device), "page" => named("p", &page), "city" => named("c", &city),
            "click" => clicks.iter().map(|c| *c as i64).collect::<Vec<_>>(),
        );
        let roles = [
            ("device", Role::Categorical),
            ("page", Role::Categorical),
            ("city", Role::Categorical),
            ("click", Role::Label),
        ];
        (LogFrame::from_frame(frame.unwrap(), &roles).unwrap(), predicted, clicks)
    }

    fn ask(log: &LogFrame, predicted: &[f32], labels: &[f32], query: &MisfitQuery) -> Result<MisfitReport> {
        let rows: Vec<u32> = (0..predicted.len() as u32).collect();
        let judged = Judged { rows: &rows, predicted, labels, weights: &[], known: &[] };
        misfits(log, judged, query, &JobContext::detached())
    }

    #[test]
    fn the_planted_slice_is_found_by_calibration_and_by_loss() {
        let (log, predicted, labels) = planted(60_000, 1, false);
        for by in [Misfit::Calibration, Misfit::Loss] {
            let query = MisfitQuery { by, ..MisfitQuery::default() };
            let report = ask(&log, &predicted, &labels, &query).unwrap();
            let name = "device = 'd1' and page = 'p2'";
            let found =
                report.slices.iter().find(|s| s.segment.as_ref().is_some_and(|s| s.to_string() == name));
            let found = found.unwrap_or_else(|| panic!("{by:?}: {:?}", report.slices));
            let ratio = found.fit.predicted_over_actual.unwrap();
            assert!(!ratio.excludes(0.5), "{ratio:?}");
            assert!(found.p < 1e-4 && report.judged > 100, "{found:?}");
            if by == Misfit::Calibration {
                // Half of the clicks were not foreseen: about 2,500 rows at 6 %.
                assert!((-210.0..-90.0).contains(&found.excess), "{}", found.excess);
                assert!(report.slices.iter().all(|s| s.parts.iter().any(|(c, _)| c != "city")));
            }
        }
    }

    #[test]
    fn shuffled_outcomes_have_no_slices() {
        for by in [Misfit::Calibration, Misfit::Loss] {
            // At a level of 5 %, 40 logs give 2, and more than 6 once in 300.
            let told = (0..40).filter(|seed| {
                let (log, predicted, labels) = planted(12_000, 100 + seed, true);
                let query = MisfitQuery { by, depth: 3, min_impressions: 0.0, ..MisfitQuery::default() };
                !ask(&log, &predicted, &labels, &query).unwrap().slices.is_empty()
            });
            let told = told.count();
            assert!(told <= 6, "{by:?}: {told} of 40");
        }
    }

    #[test]
    fn what_the_model_knows_of_the_rows_is_joined_as_a_column() {
        let (log, predicted, mut labels) = planted(20_000, 3, true);
        let codes: Vec<u32> = (0..20_000u32).map(|row| row % 4 / 3).collect();
        // New users click twice as often as anybody expects.
        let mut rng = Rng::named(4, "new users");
        for (label, code) in labels.iter_mut().zip(&codes) {
            *label = label.max(f32::from(*code == 1 && rng.chance(0.06)));
        }
        let known = [Known { name: "user".into(), values: vec!["seen".into(), "new".into()], codes }];
        let rows: Vec<u32> = (0..20_000).collect();
        let judged =
            Judged { rows: &rows, predicted: &predicted, labels: &labels, weights: &[], known: &known };
        let report = misfits(&log, judged, &MisfitQuery::default(), &JobContext::detached()).unwrap();
        // Both sides of a column with two groups are off by as many clicks: here too few, there too many.
        let new = ("user".to_owned(), "new".to_owned());
        let worst = report.slices.iter().find(|slice| slice.parts == std::slice::from_ref(&new)).unwrap();
        assert!(report.slices[..2].contains(worst) && worst.excess < 0.0);
        assert_eq!(worst.segment, None);
        assert_eq!(worst.fit.actual.trials, 5_000.0);
    }

    #[test]
    fn a_row_of_many_impressions_counts_as_that_many_rows() {
        let (predicted, labels, weights) = ([0.2f32, 0.4], [0.25f32, 0.5], [4.0f32, 2.0]);
        let grouped =
            Judged { rows: &[0, 1], predicted: &predicted, labels: &labels, weights: &weights, known: &[] };
        let (p, y) = ([0.2f32, 0.2, 0.2, 0.2, 0.4, 0.4], [1.0f32, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let single =
            Judged { rows: &[0, 1, 2, 3, 4, 5], predicted: &p, labels: &y, weights: &[], known: &[] };
        let (a, b) = (grouped.fit(&[0, 1]), single.fit(&[0, 1, 2, 3, 4, 5]));
        assert_eq!(a.actual, b.actual);
        assert!((a.log_loss.unwrap().value - b.log_loss.unwrap().value).abs() < 1e-9);
        assert!((a.log_loss.unwrap().low - b.log_loss.unwrap().low).abs() < 1e-7);
    }

    #[test]
    fn questions_that_cannot_be_answered_are_refused() {
        let (log, predicted, labels) = planted(500, 5, false);
        let why = |p: &[f32], y: &[f32], query| ask(&log, p, y, &query).unwrap_err().why;
        let depth = MisfitQuery { depth: 4, ..MisfitQuery::default() };
        assert!(why(&predicted, &labels, depth).contains("4 columns"));
        assert!(why(&predicted, &[], MisfitQuery::default()).contains("no rows"));
        assert!(why(&predicted, &[0.0; 500], MisfitQuery::default()).contains("same outcome"));
        assert!(why(&[f32::NAN; 500], &labels, MisfitQuery::default()).contains("no probabilities"));
        let unknown = MisfitQuery { columns: vec!["town".into()], ..MisfitQuery::default() };
        assert!(ask(&log, &predicted, &labels, &unknown).unwrap_err().hint.contains("city"));
    }
}
