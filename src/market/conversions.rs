//! How likely is a click to convert? A second model, trained on the clicks alone, for campaigns that pay per conversion.

use super::spec::ModelSource;
use crate::base::{Failure, Result};
use crate::data::outcome::Outcome;
use crate::data::{Batch, Dataset, EncodeOptions, Encoder, LogFrame, Role, dataset, edit};
use crate::jobs::{JobContext, Latest};
use crate::models;
use crate::train::{self, TrainSpec, TrainedModel};
use std::path::Path;
use std::sync::Arc;

/// A model of conversions with the log as it reads it.
#[derive(Debug, Clone)]
pub struct ConversionModel {
    /// Where it comes from; `None`: the click model itself, which learns both.
    pub source: Option<ModelSource>,
    /// Predicts conversions per click.
    pub model: Arc<TrainedModel>,
    /// The whole log, encoded by its encoder.
    pub dataset: Arc<Dataset>,
}

impl ConversionModel {
    /// Opens or trains it; folders are relative to `folder`. What is trained sees the rows that were clicked: it
    /// learns conversions per click, whatever made people click.
    ///
    /// # Errors
    /// A log without conversions, too few clicks, a model that predicts the clicks themselves; a cancel.
    pub fn open(source: &ModelSource, log: &LogFrame, folder: &Path, context: &JobContext) -> Result<Self> {
        let model = match source {
            ModelSource::Folder(saved) => {
                let model = TrainedModel::load(&folder.join(saved))?;
                refuse_clicks(log, &model)?;
                model
            }
            ModelSource::Train { kind, params } => {
                let spec = TrainSpec { params: params.clone(), ..TrainSpec::new(kind)? };
                let clicked = clicked_rows(log)?;
                let data = dataset::prepare(&clicked, &EncodeOptions::default(), context)?;
                train::fit(&data, &spec.completed()?, &Latest::default(), context)?
            }
        };
        let dataset = Arc::new(Encoder::encode(&model.encoder, log, context)?);
        Ok(Self { source: Some(source.clone()), model: Arc::new(model), dataset })
    }
}

impl ConversionModel {
    /// The click model, where it learns conversions too.
    ///
    /// # Errors
    /// A kind of model that this program does not have.
    pub fn of_click_model(model: &Arc<TrainedModel>, dataset: &Arc<Dataset>) -> Result<Option<Self>> {
        let both = models::kind(&model.kind)?.learns_conversions();
        Ok(both.then(|| Self { source: None, model: Arc::clone(model), dataset: Arc::clone(dataset) }))
    }

    /// Conversions per click of a batch made with its encoder.
    ///
    /// # Errors
    /// The device fails.
    pub fn predict_batch(&self, batch: &Batch) -> Result<Vec<f32>> {
        match self.model.predict_conversions_batch(batch)? {
            Some(conversions) => Ok(conversions),
            None => self.model.predict_batch(batch),
        }
    }
}

/// The rows of a log that were clicked, with the conversion as their outcome.
fn clicked_rows(log: &LogFrame) -> Result<LogFrame> {
    let refuse = |why: &str, hint: &str| {
        Failure::new("cannot learn conversions", why).at(log.source.path.display()).hint(hint)
    };
    let clicks = Outcome::read(log)?
        .ok_or_else(|| refuse("no column says what was clicked", "give the click column the role label"))?;
    let column = clicks.conversion_column.clone().ok_or_else(|| {
        refuse(
            "no column of 0 and 1 has the role conversion",
            "give the column that says whether something was bought that role, or give campaigns a conversion_rate",
        )
    })?;
    let clicked: Vec<u32> = (0..log.rows() as u32).filter(|row| clicks.label[*row as usize] > 0.5).collect();
    let mut rows = edit::edited_rows(log, &clicked, &[])?;
    rows.schema.set_role(&column, Role::Label)?;
    Ok(rows)
}

fn refuse_clicks(log: &LogFrame, model: &TrainedModel) -> Result<()> {
    let label = &model.encoder.label;
    let clicks = log.schema.with_role(Role::Label).is_some_and(|column| column.name == *label);
    if !clicks || models::kind(&model.kind)?.learns_conversions() {
        return Ok(());
    }
    let why = format!("it predicts '{label}', the clicks themselves");
    Err(Failure::new("cannot take conversions from this model", why).at("conversions").hint(
        "train esmm or mmoe, or any kind with the conversion column as label on the rows that were clicked",
    ))
}
