//! How sure is a model of one prediction? Members that were trained alike on other rows and seeds, averaged.
//!
//! The probability is the mean of the members' (Lakshminarayanan, Pritzel & Blundell, arXiv 1612.01474). Their spread in
//! the log odds tells where one more model, trained in the same way on another draw of the rows, would come out: Student's
//! interval for the next of `k` draws, `mean +- t s sqrt(1 + 1/k)`. It knows nothing of what all members get wrong alike.

use super::calibrating::log_odds;
use super::card::{ModelCard, measure};
use super::spec::TrainSpec;
use super::trained::TrainedModel;
use crate::base::params::ParamValue;
use crate::base::{Failure, Result};
use crate::data::{Batch, Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::metrics::ratio::student_95;
use crate::nn::losses::sigmoid;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const WHAT: &str = "cannot make an ensemble";
/// Members at most.
pub const MEMBERS: usize = 50;

/// Click probabilities, and how sure of each an ensemble is.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// One a row.
    pub p: Vec<f32>,
    /// One a row: where one more member would come out, 95 %; `None` for a model of its own, which cannot tell.
    pub intervals: Option<Vec<Estimate>>,
}

impl Scored {
    /// The interval of a row.
    pub fn interval(&self, row: usize) -> Option<Estimate> {
        self.intervals.as_ref()?.get(row).copied()
    }
}

/// What members are trained by: the seed and those after it, and rows drawn anew where `resample`.
///
/// # Errors
/// Fewer than two or too many members.
pub fn member_specs(spec: &TrainSpec, members: usize, resample: bool) -> Result<Vec<TrainSpec>> {
    if !(2..=MEMBERS).contains(&members) {
        let why = format!("it has 2 to {MEMBERS} members, not {members}");
        return Err(Failure::new(WHAT, why).hint("5"));
    }
    let first = spec.completed()?;
    let seed = first.params.integer("seed")?;
    let member = |place: usize| {
        let mut spec = first.clone();
        spec.params.put("seed", ParamValue::Integer(seed.saturating_add(place as i64)));
        if resample {
            spec.params.put("resample", ParamValue::Flag(true));
        }
        spec
    };
    Ok((0..members).map(member).collect())
}

impl TrainedModel {
    /// Averages models of one kind that read the log alike, and measures the mean on the test rows of a dataset. Its tables
    /// and its attention are those of the first.
    ///
    /// # Errors
    /// Fewer than two or too many models, other kinds or readings, ensembles among them, or a cancel.
    pub fn ensemble(models: &[Arc<Self>], dataset: &Dataset, context: &JobContext) -> Result<Self> {
        let Some((first, others)) = models.split_first().filter(|_| (2..=MEMBERS).contains(&models.len()))
        else {
            let why = format!("it takes 2 to {MEMBERS} models, not {}", models.len());
            return Err(Failure::new(WHAT, why).hint("tick models that were trained alike"));
        };
        if models.iter().any(|model| !model.members.is_empty()) {
            return Err(Failure::new(WHAT, "one of the models is an ensemble").hint("its members"));
        }
        if let Some(other) = others.iter().find(|model| model.kind != first.kind) {
            let why = format!("{} and {} are of different kinds", first.kind, other.kind);
            return Err(Failure::new(WHAT, why).hint("models of one kind"));
        }
        if others.iter().any(|model| model.encoder != first.encoder) {
            return Err(Failure::new(WHAT, "they read the log in different ways")
                .hint("models that were trained on one log"));
        }
        let card = ModelCard {
            members: others.iter().map(|model| model.hash()).collect(),
            test: None,
            uncalibrated: None,
            conversions: None,
            ..first.card.clone()
        };
        let mut model = first.among(card, models.to_vec());
        model.card.training.weights = models.iter().map(|model| model.card.training.weights).sum();
        model.card.training.seconds = models.iter().map(|model| model.card.training.seconds).sum();
        let rows = dataset.rows_of(Split::Test);
        if !rows.is_empty() && !dataset.label.is_empty() {
            context.stage("Measuring the ensemble on the test rows");
            model.card.test = Some(measure(dataset, rows, &model.predict(dataset, rows, context)?));
        }
        Ok(model)
    }

    /// Members that are averaged; 1 for a model of its own.
    pub fn members(&self) -> usize {
        self.members.len().max(1)
    }

    /// The kind, and how many members where there are several: `deep_fm x 5`.
    pub fn name(&self) -> String {
        match self.members() {
            1 => self.kind.clone(),
            members => format!("{} × {members}", self.kind),
        }
    }

    /// The probabilities of a batch, as [`predict_batch`](Self::predict_batch) says them, with the interval of each.
    ///
    /// # Errors
    /// The device fails.
    pub fn scored_batch(&self, batch: &Batch) -> Result<Scored> {
        self.scored_by(|member| member.predict_batch(batch))
    }

    /// The same for rows of a dataset.
    ///
    /// # Errors
    /// As for [`predict`](Self::predict).
    pub fn scored(&self, dataset: &Dataset, rows: &[u32], context: &JobContext) -> Result<Scored> {
        self.scored_by(|member| member.predict(dataset, rows, context))
    }

    fn scored_by(&self, of: impl Fn(&Self) -> Result<Vec<f32>>) -> Result<Scored> {
        if self.members.is_empty() {
            return Ok(Scored { p: of(self)?, intervals: None });
        }
        let each = self.members.iter().map(|member| of(member)).collect::<Result<Vec<_>>>()?;
        let rows = each.first().map_or(0, Vec::len);
        let of_row = |row: usize| spread(each.iter().map(|scores| f64::from(scores[row])));
        let intervals: Vec<Estimate> = (0..rows).map(of_row).collect();
        let p = intervals.iter().map(|interval| interval.value as f32).collect();
        Ok(Scored { p, intervals: Some(intervals) })
    }

    pub(super) fn mean_of(&self, of: impl Fn(&Self) -> Result<Vec<f32>>) -> Result<Vec<f32>> {
        let mut sums: Vec<f64> = Vec::new();
        for member in &self.members {
            let scores = of(member)?;
            sums.resize(scores.len(), 0.0);
            sums.iter_mut().zip(&scores).for_each(|(sum, score)| *sum += f64::from(*score));
        }
        let members = self.members.len() as f64;
        Ok(sums.iter().map(|sum| (sum / members) as f32).collect())
    }

    pub(super) fn conversions_of(
        &self,
        of: impl Fn(&Self) -> Result<Option<Vec<f32>>>,
    ) -> Result<Option<Vec<f32>>> {
        match self.members.first().map(|first| of(first)).transpose()? {
            Some(Some(_)) => self.mean_of(|member| Ok(of(member)?.unwrap_or_default())).map(Some),
            _ => Ok(None),
        }
    }

    /// Writes the members beyond the first, which is the folder's own model.
    pub(super) fn save_members(&self, folder: &Path) -> Result<()> {
        let others = self.members.iter().enumerate().skip(1);
        others.into_iter().try_for_each(|(place, member)| member.save(&member_folder(folder, place)))
    }

    /// The same with the members that its folder holds, where its card names some.
    ///
    /// # Errors
    /// A member is missing, broken, or not the one that the card names.
    pub(super) fn with_members_of(self, folder: &Path) -> Result<Self> {
        if self.card.members.is_empty() {
            return Ok(self);
        }
        let mut members = vec![Arc::new(self.alone())];
        for (place, hash) in self.card.members.iter().enumerate() {
            let at = member_folder(folder, place + 1);
            let mut member = Self::load(&at)?;
            if member.hash() != *hash || member.encoder != self.encoder {
                return Err(Failure::new(
                    "cannot open the model",
                    "the card names another member than the one here",
                )
                .at(at.display())
                .hint("save the ensemble again"));
            }
            // One copy of the vocabularies serves all.
            member.encoder = Arc::clone(&self.encoder);
            members.push(Arc::new(member));
        }
        let card = self.card.clone();
        Ok(self.among(card, members))
    }
}

fn member_folder(folder: &Path, place: usize) -> PathBuf {
    folder.join(format!("member-{}", place + 1))
}

/// The mean of members' probabilities, and where one more member would come out, 95 %.
fn spread(members: impl Iterator<Item = f64>) -> Estimate {
    let members: Vec<f64> = members.collect();
    let n = members.len() as f64;
    let mean = members.iter().sum::<f64>() / n;
    let logits: Vec<f64> = members.iter().map(|p| log_odds(*p)).collect();
    let centre = logits.iter().sum::<f64>() / n;
    let variance = logits.iter().map(|z| (z - centre).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let half = student_95(n - 1.0) * (variance * (1.0 + 1.0 / n)).sqrt();
    Estimate { value: mean, low: sigmoid(centre - half).min(mean), high: sigmoid(centre + half).max(mean) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn the_interval_holds_the_next_member_as_often_as_it_says() {
        let mut rng = Rng::named(3, "members");
        for members in [2, 3, 5, 10] {
            let (mut held, trials) = (0, 4000);
            for _ in 0..trials {
                let centre = -3.0 + rng.normal();
                let mut draw = || sigmoid(centre + 0.4 * rng.normal());
                let interval = spread((0..members).map(|_| draw()).collect::<Vec<_>>().into_iter());
                let next = draw();
                held += usize::from((interval.low..=interval.high).contains(&next));
            }
            let share = held as f64 / f64::from(trials);
            assert!((0.935..0.965).contains(&share), "{members} members: {share}");
        }
    }

    #[test]
    fn alike_members_have_no_spread() {
        let alike = spread([0.2, 0.2, 0.2].into_iter());
        assert!((alike.high - alike.low).abs() < 1e-9 && (alike.value - 0.2).abs() < 1e-12);
    }
}
