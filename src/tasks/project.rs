//! From points to a map that is seen while it forms.

use super::Output;
use crate::base::Result;
use crate::insight::epochs::{EpochMaps, epoch_maps};
use crate::insight::groups::{Feature, describe};
use crate::insight::sources::{Gathered, Whose};
use crate::insight::values::Behind;
use crate::insight::{MapQuestion, Projection, Subject, Values, project};
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::maps::method::find;
use crate::train::TrainedModel;
use std::sync::Arc;

/// Draws a map.
pub struct Project {
    /// Whose vectors, and which log colours them.
    pub subject: Subject,
    /// What is drawn, and how.
    pub question: MapQuestion,
    /// The same points as they were compared before, if they were.
    pub known: Option<Arc<Values>>,
    /// Where the map is seen while it moves.
    pub live: Latest<Projected>,
}

/// A map, and whose it is.
#[derive(Debug, Clone)]
pub struct Projected {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Its points.
    pub projection: Arc<Projection>,
}

impl Job for Project {
    type Output = Output;

    fn name(&self) -> String {
        let method = find(&self.question.method).map_or("", |method| method.title());
        format!("{method} map of {}", self.question.source.title())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, question, known, live } = *self;
        let model = Arc::clone(&subject.model);
        let dataset = subject.fitting_dataset(context)?;
        let values = match known {
            Some(known) => known,
            None => {
                let whose = Whose { model: &model, dataset: Some(&dataset), log: Some(&subject.log) };
                let gathered = Gathered::of(&question.source, whose, context)?;
                let behind = Behind { dataset: &dataset, log: Some(&subject.log) };
                let mut values = Values::new(gathered, Some(behind), question.metric, context)?;
                values.predict(&model, &dataset, context)?;
                Arc::new(values)
            }
        };
        let show = |projection: Projection| {
            live.publish(Projected { model: Arc::clone(&model), projection: Arc::new(projection) });
            context.wake();
        };
        let projection = Arc::new(project(&values, &question, Some(&dataset), show, context)?);
        Ok(Output::Projected(Box::new(Projected { model, projection })))
    }
}

/// Asks what sets some points of a map apart.
pub struct DescribeGroup {
    /// The log behind the map.
    pub subject: Subject,
    /// The map.
    pub projection: Arc<Projection>,
    /// The points.
    pub points: Arc<Vec<u32>>,
}

/// What sets some points apart.
#[derive(Debug)]
pub struct Described {
    /// The points.
    pub points: Arc<Vec<u32>>,
    /// Of this map.
    pub projection: Arc<Projection>,
    /// The surest first.
    pub features: Vec<Feature>,
}

impl Job for DescribeGroup {
    type Output = Output;

    fn name(&self) -> String {
        format!("What {} points of {} are", self.points.len(), self.projection.question.source.title())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, projection, points } = *self;
        let dataset = subject.fitting_dataset(context)?;
        let mut group = vec![u32::MAX; projection.len()];
        for point in points.iter() {
            if let Some(group) = group.get_mut(*point as usize) {
                *group = 0;
            }
        }
        let mut told = describe(&projection.values, &dataset, &group, 1, context)?;
        let features = told.pop().unwrap_or_default();
        Ok(Output::Described(Arc::new(Described { points, projection, features })))
    }
}

/// Draws a map of the table after each epoch of the training.
pub struct DrawEpochs {
    /// The map, and whose it is.
    pub shown: Projected,
    /// Where the maps are seen.
    pub live: Latest<EpochsDrawn>,
}

/// Maps by epoch.
#[derive(Debug, Clone)]
pub struct EpochsDrawn {
    /// Of this map.
    pub projection: Arc<Projection>,
    /// Those that are there.
    pub maps: EpochMaps,
}

impl Job for DrawEpochs {
    type Output = Output;

    fn name(&self) -> String {
        format!("Map of {} by epoch", self.shown.projection.question.source.title())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { shown: Projected { model, projection }, live } = *self;
        let show = |maps: EpochMaps| {
            live.publish(EpochsDrawn { projection: Arc::clone(&projection), maps });
            context.wake();
        };
        epoch_maps(&projection, &model, show, context)?;
        Ok(Output::EpochsDrawn)
    }
}
