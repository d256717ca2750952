//! How often would an audience click on words that were never shown? The user's own model, and what the texts that ran
//! say about it, with an interval.
//!
//! The model scores the audience's rows with the advertisement in its place: a new id, the category and advertiser of the
//! sheet. That says nothing of the words unless the model reads them (`text_vectors`); then it does. Beside that every known ad is scored in the same way, as if it
//! were new, and held against its clicks: what is left of its log odds is the effect of that ad. Effects are a Gaussian
//! process over the likeness of texts (kriging; Rasmussen & Williams 2006, ch. 2): `cov = tau^2 (w s(a,b) + (1 - w) [a = b])`,
//! with `s` the cosine of the built-in encoder and `tau`, `w` of the highest marginal likelihood. The forecast of new words is
//! the model's probability moved by the effect that their likeness foretells; its interval holds the effect of an ad that
//! nobody has seen.

use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::batch::{Batch, FIRST_VALUE_ID, RARE_ID};
use crate::data::encode::Side;
use crate::data::{Dataset, Encoder as Fields, LogFrame, query};
use crate::domain::segment::Segment;
use crate::jobs::JobContext;
use crate::language::{Encoder, Vectors, vectors::inner_product};
use crate::metrics::Rate;
use crate::metrics::rates::{Estimate, Z_95};
use crate::nn::losses::sigmoid;
use crate::train::TrainedModel;
use serde::Serialize;
use std::sync::Arc;

/// Rows of the audience that are scored with a new ad.
const ROWS: usize = 2_000;
/// The same where the model reads words.
const ROWS_WITH_WORDS: usize = 500;
/// Rows of the audience that known ads are learnt from.
const LEARNT: usize = 50_000;
/// Ads with an effect of their own at most, those with the most impressions.
const ADS: usize = 300;
/// Rows of one forward pass.
const AT_ONCE: usize = 4_096;
/// Clicks that the model must have expected of an ad for its effect to be learnt from.
const LEAST: f64 = 2.0;
/// Ads that tell how much ads differ; with fewer it is assumed.
const FEW: usize = 8;
/// The standard deviation of an ad's effect that is assumed then, in log odds.
const ASSUMED: f64 = 0.3;
/// Values of `tau` and `w` that are tried.
const TAUS: [f64; 9] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0];
const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// What the forecast of an audience rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Basis {
    /// Rows of the audience in the log.
    pub audience_rows: usize,
    /// Rows that were scored.
    pub rows: usize,
    /// Ads that ran before the audience and were learnt from.
    pub ads: usize,
    /// Of them, those of the library that the log does not know.
    pub of_library: usize,
    /// Standard deviation of an ad's own effect, in log odds.
    pub tau: f64,
    /// Which share of it follows the likeness of texts.
    pub by_text: f64,
    /// What was assumed, in words.
    pub notes: Vec<String>,
}

/// Forecasts for one audience and product.
pub struct Forecaster {
    /// What they rest on.
    pub basis: Basis,
    encoder: Arc<Encoder>,
    /// The texts that were learnt from.
    texts: Vec<String>,
    known: Vectors,
    /// `(K + D)^-1 (residuals - mean)`.
    weights: Vec<f64>,
    /// Lower factor of `K + D`.
    factor: Vec<Vec<f64>>,
    mean: f64,
    asked: Asked,
}

impl std::fmt::Debug for Forecaster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forecaster").field("basis", &self.basis).finish_non_exhaustive()
    }
}

/// The model with the rows that it is asked about.
struct Asked {
    model: Arc<TrainedModel>,
    /// Rows of the audience with a new ad of the category and advertiser in their place.
    batches: Vec<Batch>,
    /// Their log odds, where the model does not read words; empty where it does.
    log_odds: Vec<f64>,
}

/// A known ad as the audience met it.
struct Met {
    text: String,
    /// Observed less expected clicks over the information: about its log odds beyond the model's.
    effect: f64,
    /// Variance of that.
    variance: f64,
    rows: usize,
}

impl Forecaster {
    /// Learns from the rows of an audience. `texts` gives the words of each ad of the data set's catalogue, in order; the
    /// data set is the log in the model's own encoding. `results` are clicks of further texts before the same audience.
    ///
    /// # Errors
    /// An audience without rows, a log that names no ads or lacks what the model needs, the device fails, a cancel.
    pub fn learn(
        (model, log, dataset): (&Arc<TrainedModel>, &LogFrame, &Dataset),
        (audience, category, advertiser): (&Segment, &str, &str),
        (texts, results): (&[String], &[(String, Rate)]),
        encoder: Arc<Encoder>,
        context: &JobContext,
    ) -> Result<Self> {
        let what = "cannot forecast for the audience";
        let mut rows = query::matching_rows(log, audience)?;
        let audience_rows = rows.len();
        if rows.is_empty() {
            return Err(Failure::new(what, "no row of the log is in it").hint("a wider audience"));
        }
        let mut rng = Rng::named(1, "audience of a forecast");
        rng.shuffle(&mut rows);
        rows.truncate(LEARNT);
        context.stage("learning from the ads that ran");
        let mut met = met(model, dataset, &rows, texts, context)?;
        // A model that reads words is asked anew for each text.
        rows.truncate(if dataset.encoder.texts.is_empty() { ROWS } else { ROWS_WITH_WORDS });
        rows.sort_unstable();
        let (asked, mut notes) = Asked::new(model, dataset, &rows, (category, advertiser), context)?;
        let of_log = met.len();
        for (text, rate) in results.iter().filter(|(text, _)| !texts.contains(text)) {
            met.extend(asked.met(text, rate)?);
        }
        let of_library = met.len() - of_log;
        let words: Vec<&str> = met.iter().map(|met| met.text.as_str()).collect();
        let known = encoder.encode(&words);
        let likeness = |a: usize, b: usize| f64::from(inner_product(known.row(a), known.row(b)));
        let fitted = fit(&met, likeness);
        if met.len() < FEW {
            notes.push(format!(
                "only {} ads ran often enough before this audience: how much ads differ ({ASSUMED} log odds) is assumed, and \
                 words say nothing yet",
                met.len()
            ));
        } else if fitted.by_text <= 0.0 {
            notes.push("before this audience likeness of words says nothing about clicks".to_owned());
        }
        let basis = Basis {
            audience_rows,
            rows: rows.len(),
            ads: met.len(),
            of_library,
            tau: fitted.tau,
            by_text: fitted.by_text,
            notes,
        };
        let Fitted { weights, factor, mean, .. } = fitted;
        let texts = met.into_iter().map(|met| met.text).collect();
        Ok(Self { basis, encoder, texts, known, weights, factor, mean, asked })
    }

    /// The click rate that a text would have, with the 95 % interval of an ad that nobody has seen; one that ran is known the
    /// better the more it was shown.
    ///
    /// # Errors
    /// The device fails.
    pub fn forecast(&self, text: &str) -> Result<Estimate> {
        let vector = self.encoder.encode_one(text);
        let tau2 = self.basis.tau * self.basis.tau;
        let alike: Vec<f64> = (0..self.known.len())
            .map(|known| {
                let likeness = f64::from(inner_product(&vector, self.known.row(known)));
                let own = if self.texts[known] == text { 1.0 - self.basis.by_text } else { 0.0 };
                tau2 * (self.basis.by_text * likeness + own)
            })
            .collect();
        let effect = self.mean + alike.iter().zip(&self.weights).map(|(k, w)| k * w).sum::<f64>();
        let explained: f64 = forward(&self.factor, &alike).iter().map(|z| z * z).sum();
        let deviation = (tau2 - explained).max(0.0).sqrt();
        let log_odds = self.asked.about(text)?;
        let at = |shift: f64| {
            log_odds.iter().map(|z| sigmoid(z + shift)).sum::<f64>() / log_odds.len().max(1) as f64
        };
        Ok(Estimate {
            value: at(effect),
            low: at(effect - Z_95 * deviation),
            high: at(effect + Z_95 * deviation),
        })
    }

    /// How alike two texts are: the cosine of the encoder.
    pub fn likeness(&self, one: &str, other: &str) -> f64 {
        f64::from(self.encoder.similarity(one, other))
    }
}

/// Each known ad against the model's idea of a new ad of its kind.
fn met(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    texts: &[String],
    context: &JobContext,
) -> Result<Vec<Met>> {
    let catalogue = dataset.ads.as_ref().ok_or_else(|| {
        Failure::new("cannot forecast for the audience", "no column of the log has the role ad")
            .hint("give the column with ad ids the role ad")
    })?;
    let mut sums = vec![(0.0f64, 0.0f64, 0usize); catalogue.names.len()];
    for chunk in rows.chunks(AT_ONCE) {
        context.check()?;
        let mut batch = dataset.batch(chunk);
        forget_ad(&mut batch, &dataset.encoder);
        for (row, p) in chunk.iter().zip(model.predict_batch(&batch)?) {
            let (Some(ad), Some(label)) = (catalogue.ad_of(*row), dataset.label.get(*row as usize)) else {
                continue;
            };
            let weight = dataset.weight.get(*row as usize).copied().map_or(1.0, f64::from);
            let (p, y) = (f64::from(p), f64::from(*label));
            // A row without a known outcome says nothing.
            if let Some(sum) = sums.get_mut(ad as usize).filter(|_| y.is_finite()) {
                sum.0 += weight * (y - p);
                sum.1 += weight * p * (1.0 - p);
                sum.2 += 1;
            }
        }
    }
    let mut met: Vec<Met> = sums
        .into_iter()
        .zip(texts)
        .filter(|((_, information, _), text)| *information >= LEAST && !text.trim().is_empty())
        .map(|((left, information, rows), text)| Met {
            text: text.clone(),
            // One step of Newton from the model's own log odds (score over information).
            effect: left / information,
            variance: 1.0 / information,
            rows,
        })
        .collect();
    met.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.text.cmp(&b.text)));
    met.truncate(ADS);
    Ok(met)
}

/// The ad itself becomes a new one; its kind stays.
fn forget_ad(batch: &mut Batch, encoder: &Fields) {
    if let Some(ad) = encoder.ad_field() {
        batch.categorical[ad].fill(RARE_ID);
    }
}

impl Asked {
    /// The rows with a new ad of a category and advertiser in their place, and what the model does not know of it.
    fn new(
        model: &Arc<TrainedModel>,
        dataset: &Dataset,
        rows: &[u32],
        (category, advertiser): (&str, &str),
        context: &JobContext,
    ) -> Result<(Self, Vec<String>)> {
        let encoder = &dataset.encoder;
        let mut notes = Vec::new();
        let named = |name: &str| match name {
            name if name.contains("categor") => Some(category),
            name if name.contains("advertiser") || name.contains("brand") => Some(advertiser),
            _ => None,
        };
        let mut ids = Vec::new();
        for (place, field) in
            encoder.categorical.iter().enumerate().filter(|(_, field)| field.side == Side::Ad)
        {
            let id = named(&field.name.to_lowercase()).filter(|value| !value.is_empty()).map(|value| {
                let known =
                    (FIRST_VALUE_ID..field.cardinality() as u32).find(|id| field.name_of(*id) == value);
                if known.is_none() {
                    notes.push(format!("the model knows no {} '{value}'", field.name));
                }
                known.unwrap_or(RARE_ID)
            });
            ids.push((place, id.unwrap_or(RARE_ID)));
        }
        let batch = |chunk: &[u32]| {
            let mut batch = dataset.batch(chunk);
            forget_ad(&mut batch, encoder);
            ids.iter().for_each(|(place, id)| batch.categorical[*place].fill(*id));
            for (place, _) in encoder.numeric.iter().enumerate().filter(|(_, field)| field.side == Side::Ad) {
                // The mean of the scale: nothing is known of it.
                batch.numeric[place].fill(0.0);
            }
            batch
        };
        let batches = rows.chunks(AT_ONCE).map(batch).collect();
        let mut asked = Self { model: Arc::clone(model), batches, log_odds: Vec::new() };
        context.check()?;
        if encoder.texts.is_empty() {
            asked.log_odds = asked.about("")?;
        }
        Ok((asked, notes))
    }

    /// What clicks on a text say beyond the model; `None` where they are too few.
    fn met(&self, text: &str, rate: &Rate) -> Result<Option<Met>> {
        let odds = self.about(text)?;
        let p = odds.iter().map(|z| sigmoid(*z)).sum::<f64>() / odds.len().max(1) as f64;
        // Half a click and half an impression without one more: no rate is 0 or 1.
        let seen = (rate.successes + 0.5) / (rate.trials + 1.0);
        let log_odds = |p: f64| (p / (1.0 - p)).ln();
        let met = || Met {
            text: text.to_owned(),
            effect: log_odds(seen) - log_odds(p.clamp(1e-9, 1.0 - 1e-9)),
            variance: 1.0 / (rate.trials * seen * (1.0 - seen)),
            rows: rate.trials as usize,
        };
        let is_told = rate.trials * p * (1.0 - p) >= LEAST && (0.0..1.0).contains(&seen);
        Ok(is_told.then(met))
    }

    /// Log odds of the rows had they been shown a text.
    fn about(&self, text: &str) -> Result<Vec<f64>> {
        if !self.log_odds.is_empty() {
            return Ok(self.log_odds.clone());
        }
        let encoder = &self.model.encoder;
        let read = encoder.numbers_of_text(Side::Ad, text)?;
        let mut all = Vec::new();
        for batch in &self.batches {
            let mut batch = batch.clone();
            read.iter().for_each(|(place, number)| batch.numeric[*place].fill(*number));
            all.extend(self.model.logits(&batch)?.into_iter().map(f64::from));
        }
        Ok(all)
    }
}

struct Fitted {
    tau: f64,
    by_text: f64,
    mean: f64,
    weights: Vec<f64>,
    factor: Vec<Vec<f64>>,
}

/// `tau` and `w` of the highest marginal likelihood, with the mean effect that fits them best.
fn fit(met: &[Met], likeness: impl Fn(usize, usize) -> f64) -> Fitted {
    let n = met.len();
    let alike: Vec<Vec<f64>> = (0..n).map(|a| (0..=a).map(|b| likeness(a, b)).collect()).collect();
    let tried = |tau: f64, share: f64| -> Option<(f64, Fitted)> {
        let covariance = |a: usize, b: usize| {
            let own = if a == b { (1.0 - share) * tau * tau + met[a].variance } else { 0.0 };
            share * tau * tau * alike[a][b] + own
        };
        let factor = cholesky(n, covariance)?;
        let ones = forward(&factor, &vec![1.0; n]);
        let effects = forward(&factor, &met.iter().map(|met| met.effect).collect::<Vec<_>>());
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        // Generalised least squares for the mean.
        let mean = if n == 0 { 0.0 } else { dot(&ones, &effects) / dot(&ones, &ones) };
        let left: Vec<f64> = effects.iter().zip(&ones).map(|(e, one)| e - mean * one).collect();
        let determinant: f64 = factor.iter().enumerate().map(|(row, values)| values[row].ln()).sum();
        let likelihood = -0.5 * dot(&left, &left) - determinant;
        let weights = backward(&factor, &left);
        Some((likelihood, Fitted { tau, by_text: share, mean, weights, factor }))
    };
    if n < FEW {
        let assumed = tried(ASSUMED, 0.0).map(|(_, fitted)| fitted);
        return assumed.unwrap_or(Fitted {
            tau: ASSUMED,
            by_text: 0.0,
            mean: 0.0,
            weights: vec![0.0; n],
            factor: Vec::new(),
        });
    }
    let grid = TAUS.iter().flat_map(|tau| SHARES.iter().map(move |share| (*tau, *share)));
    let best = grid.filter_map(|(tau, share)| tried(tau, share)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(
        Fitted { tau: 0.0, by_text: 0.0, mean: 0.0, weights: vec![0.0; n], factor: Vec::new() },
        |best| best.1,
    )
}

/// Lower factor of a positive definite matrix, row by row.
fn cholesky(n: usize, matrix: impl Fn(usize, usize) -> f64) -> Option<Vec<Vec<f64>>> {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(n);
    for row in 0..n {
        let mut values = Vec::with_capacity(row + 1);
        for column in 0..row {
            let known: &Vec<f64> = &factor[column];
            let along: f64 = values.iter().zip(known).map(|(a, b): (&f64, &f64)| a * b).sum();
            values.push((matrix(row, column) - along) / known[column]);
        }
        let own = matrix(row, row) - values.iter().map(|v: &f64| v * v).sum::<f64>();
        if own <= 0.0 {
            return None;
        }
        values.push(own.sqrt());
        factor.push(values);
    }
    Some(factor)
}

/// Solves `L z = b`.
fn forward(factor: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut z: Vec<f64> = Vec::with_capacity(b.len());
    for (row, values) in factor.iter().enumerate() {
        let along: f64 = values.iter().zip(&z).map(|(l, z)| l * z).sum();
        z.push((b[row] - along) / values[row]);
    }
    z
}

/// Solves `L' x = z`.
fn backward(factor: &[Vec<f64>], z: &[f64]) -> Vec<f64> {
    let mut x = z.to_vec();
    for row in (0..factor.len()).rev() {
        x[row] /= factor[row][row];
        for column in 0..row {
            x[column] -= factor[row][column] * x[row];
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met_of(effects: &[(f64, f64)]) -> Vec<Met> {
        effects
            .iter()
            .map(|(effect, variance)| Met {
                text: String::new(),
                effect: *effect,
                variance: *variance,
                rows: 1,
            })
            .collect()
    }

    #[test]
    fn one_noisy_effect_is_shrunk_as_the_normal_model_says() {
        // Ads alike in nothing: the mean is theirs weighed by 1 / (tau^2 + variance).
        let met = met_of(&[(1.0, 0.01), (-1.0, 0.01)].repeat(5));
        let fitted = fit(&met, |a, b| f64::from(u8::from(a == b)));
        assert!(fitted.mean.abs() < 1e-12);
        // K + D = (tau^2 + .01) I: weights are effects over that.
        let expected = 1.0 / (fitted.tau * fitted.tau + 0.01);
        assert!((fitted.weights[0] - expected).abs() < 1e-9, "{:?}", fitted.weights);
        // The likelihood of +-1 with variance tau^2 + .01 is highest at tau = sqrt(.99), next to 1.
        assert!((fitted.tau - 1.0).abs() < 1e-12);
    }

    #[test]
    fn effects_that_follow_the_texts_are_found_to_do_so() {
        // Two families of texts with opposite effects.
        let met = met_of(&(0..40).map(|at| (if at % 2 == 0 { 0.4 } else { -0.4 }, 0.02)).collect::<Vec<_>>());
        let family = |a: usize, b: usize| if a % 2 == b % 2 { 0.95 } else { -0.5 };
        let kernel = |a: usize, b: usize| if a == b { 1.0 } else { family(a, b) };
        let fitted = fit(&met, kernel);
        assert!(fitted.by_text >= 0.75 && fitted.tau >= 0.2, "{} {}", fitted.by_text, fitted.tau);
        let alike: Vec<f64> = (0..40)
            .map(|b| fitted.tau * fitted.tau * fitted.by_text * if b % 2 == 0 { 0.95 } else { -0.5 })
            .collect();
        let effect: f64 = fitted.mean + alike.iter().zip(&fitted.weights).map(|(a, w)| a * w).sum::<f64>();
        assert!((effect - 0.4).abs() < 0.1, "{effect}");
    }

    #[test]
    fn the_factor_solves_the_system() {
        let a = [[4.0, 2.0, 0.6], [2.0, 5.0, 1.0], [0.6, 1.0, 3.0]];
        let factor = cholesky(3, |r, c| a[r][c]).unwrap();
        let x = backward(&factor, &forward(&factor, &[1.0, -2.0, 0.5]));
        for (row, b) in a.iter().zip([1.0, -2.0, 0.5]) {
            assert!((row.iter().zip(&x).map(|(a, x)| a * x).sum::<f64>() - b).abs() < 1e-12);
        }
        assert!(cholesky(2, |r, c| if r == c { 1.0 } else { 2.0 }).is_none());
    }
}
