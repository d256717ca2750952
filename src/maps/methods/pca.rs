//! Principal components: the directions in which the points differ most.

use super::super::method::{Frame, MapMethod, MapRequest, MapState};
use super::super::pca::{self, Components};
use super::super::points::Points;
use crate::base::Result;
use crate::base::params::ParamSpec;
use crate::base::rng::keyed_uniform;
use crate::jobs::JobContext;

/// The way.
#[derive(Debug)]
pub struct Pca;

impl MapMethod for Pca {
    fn id(&self) -> &'static str {
        "pca"
    }

    fn title(&self) -> &'static str {
        "PCA"
    }

    fn summary(&self) -> &'static str {
        "The directions in which the points differ most: distances can be trusted as far as the variance shown"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn fewest(&self) -> usize {
        2
    }

    fn make(
        &self,
        request: &MapRequest<'_>,
        _show: &mut dyn FnMut(Frame),
        context: &JobContext,
    ) -> Result<MapState> {
        context.stage("principal components");
        let points = request.points;
        let axes = pca::components(points.values(), points.width())?;
        context.check()?;
        let places = on_axes(&axes, points, request.dimensions);
        Ok(MapState { places, notes: Vec::new(), axes: Some(axes) })
    }
}

/// Where the points are on the first two or three directions.
pub(in crate::maps) fn on_axes(axes: &Components, points: &Points, dimensions: usize) -> Vec<[f32; 3]> {
    let count = dimensions.min(axes.directions.len()).max(1);
    let flat = axes.project_all(points.values(), count);
    let place = |row: &[f32]| {
        let mut all = [0.0; 3];
        all.iter_mut().zip(row).for_each(|(to, from)| *to = *from);
        all
    };
    flat.chunks(count).map(place).collect()
}

/// Where the moving maps begin: the principal components, scaled so that the farthest coordinate is `extent`, and a
/// ten-thousandth of that at random so that equal points can part.
pub(super) fn first_places<const D: usize>(points: &Points, extent: f32, seed: u64) -> Result<Vec<[f32; D]>> {
    let axes = pca::components(points.values(), points.width())?;
    let places = on_axes(&axes, points, D);
    let farthest = places.iter().flatten().fold(0.0f32, |most, value| most.max(value.abs()));
    let scale = extent / farthest.max(f32::MIN_POSITIVE);
    let start = |(place, from): (usize, &[f32; 3])| {
        let mut at = [0.0; D];
        for (axis, (to, from)) in at.iter_mut().zip(from).enumerate() {
            let noise = keyed_uniform(seed, axis as u64, place as u64) as f32 - 0.5;
            *to = scale * from + 2e-4 * extent * noise;
        }
        at
    };
    Ok(places.iter().enumerate().map(start).collect())
}
