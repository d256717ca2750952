//! Are the probabilities those of the log? A layer that is fitted on the validation rows after training and kept with
//! the model.
//!
//! The validation rows are nearer to the future than the rows that the weights were fitted on, and the test rows stay
//! unseen, so that before and after can be told apart on them. What down-sampling and class weights do to the odds is
//! known and undone exactly before ([`Objective`](super::objective::Objective)).

use super::conversions;
use super::trained::predict_rows;
use super::trainer::{Happened, Trainer};
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::{Batch, Dataset, Encoder, Split};
use crate::jobs::JobContext;
use crate::metrics::calibration::intercept_shift;
use crate::metrics::calibrator::{GroupSums, Isotonic, Platt, misfit, spread};
use crate::nn::losses::sigmoid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Standard deviation of the log odds by which a fitted model's average is usually off: 0.1 is about 10 %. Few
/// validation clicks thus move it little.
const USUAL_SHIFT: f64 = 0.1;
/// Standard deviations by which a column's values must be off, all together, to be the worst.
const WORST: f64 = 3.0;

/// How scores become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One number is added to all log odds.
    Intercept,
    /// A line through the log odds.
    Platt,
    /// Any curve that never falls.
    Isotonic,
    /// As they are.
    Off,
}

impl Method {
    /// The words for them, the default first.
    pub const WORDS: &[&str] = &["intercept", "platt", "isotonic", "off"];

    fn named(word: &str) -> Self {
        match word {
            "platt" => Self::Platt,
            "isotonic" => Self::Isotonic,
            "off" => Self::Off,
            _ => Self::Intercept,
        }
    }
}

/// Whose averages are moved beside that of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Nobody's.
    All,
    /// Each ad's.
    Ad,
    /// Each user's.
    User,
    /// Those of the column whose values are most off.
    Worst,
}

impl Whose {
    /// The words for them, the default first.
    pub const WORDS: &[&str] = &["all", "ad", "user", "worst"];

    fn named(word: &str) -> Self {
        match word {
            "ad" => Self::Ad,
            "user" => Self::User,
            "worst" => Self::Worst,
            _ => Self::All,
        }
    }

    /// The place of the column that was asked for by its role.
    ///
    /// # Errors
    /// The log has no such column.
    fn named_field(self, encoder: &Encoder) -> Result<Option<usize>> {
        let (word, found) = match self {
            Self::All | Self::Worst => return Ok(None),
            Self::Ad => ("ad", encoder.ad_field()),
            Self::User => ("user", encoder.user_field()),
        };
        let missing = || {
            let why = format!("calibrate_each is '{word}', and the log has no {word} column");
            Failure::new("cannot calibrate", why)
                .hint(format!("calibrate_each=all or worst, or give a column the role {word}"))
        };
        found.map(Some).ok_or_else(missing)
    }
}

/// What is done with the log odds of every row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// A line.
    Platt(Platt),
    /// A curve over probabilities that never falls.
    Isotonic(Isotonic),
}

/// The layer between a network's log odds and those of the log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Calibration {
    /// For all rows; `None` where the shift of the average, which stands in the weights, is all.
    pub curve: Option<Curve>,
    /// For the values of one column.
    pub each: Option<Each>,
    /// Rows that it was fitted on.
    pub rows: usize,
}

/// What is added to the log odds of each value of a column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Each {
    /// The column.
    pub field: String,
    /// Its place among the categorical fields.
    place: usize,
    /// By id; ids that are not here are not moved.
    pub shifts: BTreeMap<u32, f64>,
    /// Standard deviations by which its values were off before, all together; `None` where too few clicks tell.
    pub misfit: Option<f64>,
}

impl Calibration {
    /// Moves the log odds of a batch.
    pub fn apply(&self, batch: &Batch, log_odds: &mut [f32]) {
        let ids = self.each.as_ref().and_then(|each| batch.categorical.get(each.place));
        for (row, z) in log_odds.iter_mut().enumerate() {
            let moved = self.curve.as_ref().map_or(f64::from(*z), |curve| curve.of(f64::from(*z)));
            let of_value = ids.zip(self.each.as_ref()).and_then(|(ids, each)| each.shifts.get(ids.get(row)?));
            *z = (moved + of_value.copied().unwrap_or(0.0)) as f32;
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        let curve = match &self.curve {
            Some(Curve::Platt(Platt { slope, shift })) => {
                format!("log odds times {slope:.3} plus {shift:.3} (Platt)")
            }
            Some(Curve::Isotonic(curve)) => format!("a curve of {} points (isotonic)", curve.points.len()),
            None => "the average".to_owned(),
        };
        let each = self.each.as_ref().map_or_else(String::new, |each| {
            let off =
                each.misfit.map_or_else(String::new, |off| format!(", off by {off:.1} deviations before"));
            format!(", and {} values of {}{off}", each.shifts.len(), each.field)
        });
        format!("{curve}{each}, fitted on {} validation rows", self.rows)
    }
}

impl Curve {
    /// The log odds for log odds `z`.
    fn of(&self, z: f64) -> f64 {
        match self {
            Self::Platt(line) => line.of(z),
            Self::Isotonic(curve) => log_odds(curve.of(sigmoid(z))),
        }
    }
}

/// `ln(p / (1 - p))`.
pub fn log_odds(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Refuses a calibration that the log cannot have: better now than after the last epoch.
///
/// # Errors
/// The column to calibrate by is missing.
pub(super) fn check(params: &Params, encoder: &Encoder) -> Result<()> {
    Whose::named(params.choice("calibrate_each")?).named_field(encoder).map(|_| ())
}

impl Trainer {
    /// Fits what was asked for on the validation rows. Returns what was added to the log odds of all, which stands in the
    /// weights, and the layer above them.
    pub(super) fn calibrate(&mut self, context: &JobContext) -> Result<(Option<f64>, Option<Calibration>)> {
        let rows = self.dataset.rows_of(Split::Validation).clone();
        let method = Method::named(self.spec.params.choice("calibrate")?);
        if rows.is_empty() || method == Method::Off {
            return Ok((None, None));
        }
        context.stage("Calibrating on the validation rows");
        let predicted = predict_rows(&self.network, None, &self.dataset, &rows, context)?;
        let log_odds: Vec<f32> = predicted.iter().map(|p| log_odds(f64::from(*p)) as f32).collect();
        let fitted = Fitted { rows: &rows, happened: Happened::of(&self.dataset, &rows), log_odds };
        conversions::calibrate(&mut self.network, &self.dataset, &rows, USUAL_SHIFT, context)?;
        let curve = fitted.curve(method, &predicted)?;
        let mut shift = None;
        if curve.is_none() {
            shift = intercept_shift(
                &fitted.log_odds,
                &fitted.happened.labels,
                &fitted.happened.weights,
                USUAL_SHIFT,
            );
            if let Some(shift) = shift {
                self.network.shift_log_odds(shift)?;
            }
        }
        let moved = |z: f32| match &curve {
            Some(curve) => curve.of(f64::from(z)) as f32,
            None => (f64::from(z) + shift.unwrap_or(0.0)) as f32,
        };
        let whose = Whose::named(self.spec.params.choice("calibrate_each")?);
        let named = whose.named_field(&self.dataset.encoder)?;
        let each = if whose == Whose::All {
            None
        } else {
            let moved: Vec<f32> = fitted.log_odds.iter().map(|z| moved(*z)).collect();
            Fitted { log_odds: moved, ..fitted }.each(&self.dataset, named)
        };
        let layer = Calibration { curve, each, rows: rows.len() };
        let says_something = layer.curve.is_some() || layer.each.is_some();
        Ok((shift, says_something.then_some(layer)))
    }
}

/// What a layer is fitted on.
struct Fitted<'a> {
    rows: &'a [u32],
    happened: Happened,
    log_odds: Vec<f32>,
}

impl Fitted<'_> {
    fn curve(&self, method: Method, predicted: &[f32]) -> Result<Option<Curve>> {
        let Happened { labels, weights, .. } = &self.happened;
        let curve = match method {
            Method::Intercept | Method::Off => return Ok(None),
            Method::Platt => Platt::fit(&self.log_odds, labels, weights, true).map(Curve::Platt),
            Method::Isotonic => {
                Isotonic::fit(predicted, labels, weights).map(|curve| Curve::Isotonic(curve.never_sure()))
            }
        };
        curve.map(Some).ok_or_else(|| {
            let why = format!("the scores of the {} validation rows allow no such curve", self.rows.len());
            Failure::new("cannot calibrate the model", why).hint("calibrate=intercept or off")
        })
    }

    /// The shifts of the values of a column, or of the one whose values are most off; `None` where none is off by more than
    /// chance.
    fn each(&self, dataset: &Dataset, named: Option<usize>) -> Option<Each> {
        let (place, misfit) = match named {
            Some(place) => (place, misfit(&self.sums(dataset, place))),
            None => {
                let off = |place: usize| Some((place, misfit(&self.sums(dataset, place))?));
                let worst = (0..dataset.categorical.len()).filter_map(off).max_by(|a, b| a.1.total_cmp(&b.1));
                let (place, misfit) = worst.filter(|(_, off)| *off > WORST)?;
                (place, Some(misfit))
            }
        };
        // What values differ by all together says how far to believe the rows of one (empirical Bayes).
        let spread = spread(&self.sums(dataset, place));
        if spread <= 0.0 {
            return None;
        }
        let mut of_value: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place_of_row, row) in self.rows.iter().enumerate() {
            let id = dataset.categorical[place][*row as usize];
            if id >= FIRST_VALUE_ID {
                of_value.entry(id).or_default().push(place_of_row);
            }
        }
        let Happened { labels, weights, .. } = &self.happened;
        let take = |from: &[f32], rows: &[usize]| -> Vec<f32> {
            rows.iter().filter_map(|row| from.get(*row).copied()).collect()
        };
        let shift = |(id, rows): (u32, Vec<usize>)| {
            let (z, labels, weights) =
                (take(&self.log_odds, &rows), take(labels, &rows), take(weights, &rows));
            Some((id, intercept_shift(&z, &labels, &weights, spread)?))
        };
        Some(Each {
            field: dataset.encoder.categorical[place].name.clone(),
            place,
            shifts: of_value.into_iter().filter_map(shift).collect(),
            misfit,
        })
    }

    fn sums(&self, dataset: &Dataset, place: usize) -> Vec<GroupSums> {
        let mut groups = vec![GroupSums::default(); dataset.encoder.categorical[place].cardinality()];
        for (at, row) in self.rows.iter().enumerate() {
            let id = dataset.categorical[place][*row as usize] as usize;
            let weight = self.happened.weights.get(at).map_or(1.0, |weight| f64::from(*weight));
            groups[id].add(
                sigmoid(f64::from(self.log_odds[at])),
                f64::from(self.happened.labels[at]),
                weight,
            );
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_moves_log_odds_by_its_curve_and_its_values() {
        let batch = Batch { rows: 3, categorical: vec![vec![2, 3, 1]], ..Batch::default() };
        let each = Each { field: "site".into(), place: 0, shifts: [(2, 0.5)].into(), misfit: Some(4.0) };
        let line = Platt { slope: 2.0, shift: -1.0 };
        let layer = Calibration { curve: Some(Curve::Platt(line)), each: Some(each), rows: 9 };
        let mut z = [1.0, 1.0, 0.0];
        layer.apply(&batch, &mut z);
        assert_eq!(z, [1.5, 1.0, -1.0]);
        let text = serde_json::to_string(&layer).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), layer);
        assert!(layer.words().contains("1 values of site"), "{}", layer.words());
    }

    #[test]
    fn an_isotonic_curve_maps_probabilities() {
        let curve = Curve::Isotonic(Isotonic { points: vec![[0.0, 0.0], [1.0, 0.5]], ends: [9.0, 9.0] });
        assert!((sigmoid(curve.of(0.0)) - 0.25).abs() < 1e-9);
    }
}
