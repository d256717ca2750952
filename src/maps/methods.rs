//! The ways to draw a map, one a file.

pub(super) mod by_target;
mod passes;
pub(super) mod pca;
pub(super) mod tsne;
pub(super) mod umap;

use super::graph::Graph;
use super::pca::components;
use super::points::Points;
use crate::base::Result;
use crate::jobs::JobContext;

/// Wider points are compared by their leading principal components where they are too many to compare as they are.
const WIDE: usize = 512;
/// Multiplications up to which wide points are compared as they are.
const WIDE_WORK: f64 = 2e11;

/// The nearest neighbours of each point, and what has to be said about how they were found.
fn neighbours(points: &Points, k: usize, seed: u64, context: &JobContext) -> Result<(Graph, Option<String>)> {
    let n = points.len() as f64;
    if points.width() > WIDE && n * n * points.width() as f64 > WIDE_WORK {
        let axes = components(points.values(), points.width())?;
        let (count, share) = (axes.directions.len(), axes.explained.iter().sum::<f64>());
        let narrow = Points::new(axes.project_all(points.values(), count), count, points.metric)?;
        let graph = Graph::new(&narrow, k, seed, context)?;
        let note = format!(
            "neighbours by the {count} leading components of {} numbers ({:.0} % of the variance)",
            points.width(),
            100.0 * share
        );
        return Ok((graph, Some(note)));
    }
    let graph = Graph::new(points, k, seed, context)?;
    let note = graph.recall.map(|(share, sample)| {
        format!("{:.1} % of the true neighbours were found (of {sample} points)", 100.0 * share)
    });
    Ok((graph, note))
}
