//! What do other models than the bidders' own say? How likely a click is to convert, and what really happens.
//!
//! A model of conversions is trained on the clicks alone, for campaigns that pay per conversion. A model of clicks that
//! is not the bidders' makes a world that they do not know exactly: then winners are overrated as in life.

use super::spec::ModelSource;
use crate::base::{Failure, Result};
use crate::data::outcome::Outcome;
use crate::data::{Batch, Dataset, EncodeOptions, Encoder, LogFrame, Role, dataset, edit};
use crate::jobs::{JobContext, Latest};
use crate::models;
use crate::train::{self, TrainSpec, TrainedModel};
use std::path::Path;
use std::sync::Arc;

/// A model beside the bidders' own, with the log as it reads it.
#[derive(Debug, Clone)]
pub struct OtherModel {
    /// Where it comes from; `None`: the click model itself, which learns both.
    pub source: Option<ModelSource>,
    /// The model itself.
    pub model: Arc<TrainedModel>,
    /// The whole log, encoded by its encoder.
    pub dataset: Arc<Dataset>,
}

impl OtherModel {
    /// Opens or trains a model of conversions; folders are relative to `folder`. A kind that learns both is trained on
    /// all rows; any other sees the rows that were clicked: it learns conversions per click, whatever made people click.
    ///
    /// # Errors
    /// A log without conversions, too few clicks, a model that predicts the clicks themselves; a cancel.
    pub fn of_conversions(
        source: &ModelSource,
        log: &LogFrame,
        folder: &Path,
        context: &JobContext,
    ) -> Result<Self> {
        match source {
            ModelSource::Train { kind, .. } if !models::kind(kind)?.learns_conversions() => {
                let learnt = Self::of_clicks(source, &clicked_rows(log)?, folder, context)?;
                Self::reading(source, learnt.model, log, context)
            }
            _ => {
                let opened = Self::of_clicks(source, log, folder, context)?;
                refuse_clicks(log, &opened.model)?;
                Ok(opened)
            }
        }
    }

    /// Opens or trains a model of what the log's label says; folders are relative to `folder`.
    ///
    /// # Errors
    /// A folder that holds no model, a log that it cannot read or learn from; a cancel.
    pub fn of_clicks(
        source: &ModelSource,
        log: &LogFrame,
        folder: &Path,
        context: &JobContext,
    ) -> Result<Self> {
        match source {
            ModelSource::Folder(saved) => {
                let model = TrainedModel::load(&folder.join(saved))?;
                Self::reading(source, Arc::new(model), log, context)
            }
            ModelSource::Train { kind, params } => {
                let spec = TrainSpec { params: params.clone(), ..TrainSpec::new(kind)? };
                let dataset = Arc::new(dataset::prepare(log, &EncodeOptions::default(), context)?);
                let model = Arc::new(train::fit(&dataset, &spec.completed()?, &Latest::default(), context)?);
                Ok(Self { source: Some(source.clone()), model, dataset })
            }
        }
    }

    /// A model that is there already.
    ///
    /// # Errors
    /// A log that it cannot read.
    pub fn reading(
        source: &ModelSource,
        model: Arc<TrainedModel>,
        log: &LogFrame,
        context: &JobContext,
    ) -> Result<Self> {
        let dataset = Arc::new(Encoder::encode(&model.encoder, log, context)?);
        Ok(Self { source: Some(source.clone()), model, dataset })
    }
}

impl OtherModel {
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
    pub fn conversions(&self, batch: &Batch) -> Result<Vec<f32>> {
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
