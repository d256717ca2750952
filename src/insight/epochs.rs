//! How did the space form? The same map drawn of the table after each epoch, each laid on the next.
//!
//! The map in view stays as it is. From the moment of its weights outwards every epoch's map is drawn by the same method,
//! knobs and seed, and turned, scaled and shifted (Procrustes) onto the neighbour that is already in place.

use super::projection::Projection;
use super::sources::Source;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::maps::method::find;
use crate::maps::procrustes::Alignment;
use crate::maps::{MapRequest, Points};
use crate::train::TrainedModel;
use std::sync::Arc;

/// A map after each kept epoch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpochMaps {
    /// The moments, oldest first.
    pub moments: Vec<EpochMap>,
    /// How many there will be.
    pub of: usize,
    /// What has to be known; empty where that is nothing.
    pub note: String,
}

/// A map after some epochs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpochMap {
    /// Finished epochs.
    pub epoch: u32,
    /// Where each point of the map in view was.
    pub places: Arc<Vec<[f32; 3]>>,
    /// Share of the spread that laying it on its neighbour leaves over; `None` where it is the map in view, or where
    /// all points were in one place, so that nothing could be laid.
    pub residual: Option<f64>,
}

/// Draws the maps; `show` gets those that are there.
///
/// # Errors
/// Points that are no table, a model whose training was not seen, or a cancel.
pub fn epoch_maps(
    projection: &Projection,
    model: &TrainedModel,
    mut show: impl FnMut(EpochMaps),
    context: &JobContext,
) -> Result<EpochMaps> {
    let what = "cannot draw the map by epoch";
    let Source::Table(_) = projection.question.source else {
        return Err(Failure::new(what, "only tables are kept by epoch").hint("choose a field"));
    };
    let Some(kept) = model.epoch_tables().filter(|kept| kept.is_worth_seeing()) else {
        let why = model.epoch_tables().map(|kept| kept.note.as_str()).filter(|note| !note.is_empty());
        let why = why.unwrap_or("the model's tables by epoch are there only after a training in this window");
        return Err(Failure::new(what, why).hint("train the model here"));
    };
    let present = model.card.training.best_epoch;
    let mut made = EpochMaps { moments: Vec::new(), of: kept.epochs.len(), note: kept.note.clone() };
    // The map in view stands for the kept moment of its weights, or, where that was thinned out, for the nearest.
    let middle =
        (0..kept.epochs.len()).min_by_key(|place| kept.epochs[*place].abs_diff(present)).unwrap_or_default();
    let drawn = |moment: usize, onto: &[[f32; 3]]| -> Result<EpochMap> {
        let epoch = kept.epochs[moment];
        if epoch == present {
            return Ok(EpochMap { epoch, places: Arc::new(projection.map.places.clone()), residual: None });
        }
        let table = kept
            .embedding(moment, &model.encoder, &projection.values.table)
            .ok_or_else(|| Failure::new(what, "the table by epoch is not the one that is shown"))?;
        let places = places_of(projection, &table.values, table.width, context)?;
        match Alignment::of(&places, onto) {
            Some(laid) => {
                let places = places.iter().map(|place| laid.apply(*place)).collect();
                Ok(EpochMap { epoch, places: Arc::new(places), residual: Some(laid.residual) })
            }
            None => Ok(EpochMap { epoch, places: Arc::new(places), residual: None }),
        }
    };
    let outwards = (0..=middle).rev().map(|moment| (moment, false));
    let outwards = outwards.chain((middle + 1..kept.epochs.len()).map(|moment| (moment, true)));
    for (done, (moment, later)) in outwards.enumerate() {
        context.check()?;
        context.progress(done as u64, made.of as u64);
        let neighbour = if later { made.moments.last() } else { made.moments.first() };
        let onto = neighbour.map_or(&projection.map.places, |neighbour| &*neighbour.places);
        let next = drawn(moment, onto)?;
        let at = if later { made.moments.len() } else { 0 };
        made.moments.insert(at, next);
        show(made.clone());
    }
    Ok(made)
}

/// The points of a map, with other vectors.
fn places_of(
    projection: &Projection,
    values: &[f32],
    width: usize,
    context: &JobContext,
) -> Result<Vec<[f32; 3]>> {
    let rows = projection.values.ids.iter().map(|id| *id as usize * width);
    let drawn: Vec<f32> = rows.flat_map(|from| values[from..from + width].iter().copied()).collect();
    let points = Points::new(drawn, width, projection.question.metric)?;
    let method = find(&projection.question.method)?;
    let params = projection.question.params.completed(method.params())?;
    let request = MapRequest {
        points: &points,
        target: Some(projection.values.predicted.as_slice()).filter(|known| !known.is_empty()),
        dimensions: projection.question.dimensions,
        params: &params,
        seed: projection.question.seed,
    };
    Ok(method.draw(&request, &mut |_| {}, context)?.places)
}
