//! How are the log and the models that a spec names opened again?

use super::other_model::OtherModel;
use super::scoring::Inputs;
use super::spec::{MarketSpec, ModelSource};
use crate::base::Result;
use crate::data::importers::{self, ImportOptions};
use crate::jobs::JobContext;
use std::path::Path;
use std::sync::Arc;

/// Opens what a spec names; its paths are relative to `folder`. `told` hears what takes long.
///
/// # Errors
/// A log or model that cannot be read, does not fit or cannot be learnt from; a cancel.
pub fn inputs(spec: &MarketSpec, folder: &Path, context: &JobContext, told: &dyn Fn(&str)) -> Result<Inputs> {
    let path = folder.join(&spec.log);
    told(&format!("reading {}", path.display()));
    let log = importers::open(&path, &ImportOptions::default(), context)?;
    if let ModelSource::Train { kind, .. } = &spec.model {
        told(&format!("training {kind}"));
    }
    let OtherModel { model, dataset, .. } = OtherModel::of_clicks(&spec.model, &log, folder, context)?;
    let conversions = match &spec.conversions {
        Some(source) => Some(OtherModel::of_conversions(source, &log, folder, context)?),
        None => OtherModel::of_click_model(&model, &dataset)?,
    };
    let clicks = spec.click_model.as_ref();
    let clicks = clicks.map(|source| OtherModel::of_clicks(source, &log, folder, context)).transpose()?;
    let (conversions, clicks) = (conversions.map(Arc::new), clicks.map(Arc::new));
    Ok(Inputs { log: Arc::new(log), dataset, model, conversions, clicks })
}
