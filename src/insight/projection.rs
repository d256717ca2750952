//! What did the model learn to treat alike? Vectors as a map, drawn by any method, with its heaps and how far it can be
//! trusted.

use super::groups::{self, Feature, WORD};
use super::sources::Source;
use super::values::Values;
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::jobs::JobContext;
use crate::maps::clusters::{Clusters, NONE};
use crate::maps::method::{Frame, find};
use crate::maps::quality::{Quality, SAMPLE};
use crate::maps::{MapRequest, MapState, Metric};
use std::sync::Arc;

/// What is to be drawn, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct MapQuestion {
    /// What the points are.
    pub source: Source,
    /// Name of the method.
    pub method: String,
    /// What "close" means.
    pub metric: Metric,
    /// Two or three dimensions.
    pub dimensions: usize,
    /// Start of all draws.
    pub seed: u64,
    /// The method's knobs; those that are missing stand at their defaults.
    pub params: Params,
}

impl MapQuestion {
    /// Principal components of the values of a field.
    pub fn of(field: impl Into<String>) -> Self {
        Self {
            source: Source::Table(field.into()),
            method: "pca".to_owned(),
            metric: Metric::Euclidean,
            dimensions: 2,
            seed: 1,
            params: Params::default(),
        }
    }
}

/// Values on a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// The points.
    pub values: Arc<Values>,
    /// What was asked.
    pub question: MapQuestion,
    /// Where they are, and what has to be known to read it.
    pub map: MapState,
    /// Passes made, of all; `None` once the map is done.
    pub moving: Option<(usize, usize)>,
    /// How far it can be trusted; `None` while it moves, and for fewer than three points.
    pub quality: Option<Quality>,
    /// Its heaps.
    pub clusters: Clusters,
    /// What sets each heap apart from the other points, most telling first.
    pub labels: Vec<Vec<Feature>>,
}

/// Neighbours by which a map is judged.
const JUDGED: usize = 15;
/// Properties that are told of a heap, and words.
const FEATURES: usize = 3;

/// Draws the map of some values; `show` gets it while it moves.
///
/// # Errors
/// An unknown method, points of which no such map can be drawn, a cancel.
pub fn project(
    values: &Arc<Values>,
    question: &MapQuestion,
    dataset: Option<&Dataset>,
    mut show: impl FnMut(Projection),
    context: &JobContext,
) -> Result<Projection> {
    let method = find(&question.method)?;
    let params = question.params.completed(method.params())?;
    if !matches!(question.dimensions, 2 | 3) {
        let why = format!("a map has two or three dimensions, not {}", question.dimensions);
        return Err(Failure::new("cannot draw the map", why));
    }
    let request = MapRequest {
        points: &values.points,
        target: Some(values.predicted.as_slice()).filter(|known| !known.is_empty()),
        dimensions: question.dimensions,
        params: &params,
        seed: question.seed,
    };
    let bare = |map: MapState, moving| Projection {
        values: Arc::clone(values),
        question: question.clone(),
        map,
        moving,
        quality: None,
        clusters: Clusters::default(),
        labels: Vec::new(),
    };
    let mut each = |frame: Frame| {
        let map = MapState { places: frame.places, ..MapState::default() };
        show(bare(map, Some((frame.done, frame.total))));
    };
    let map =
        method.draw(&request, &mut each, context).map_err(|failure| failure.at(question.source.title()))?;
    show(bare(map.clone(), Some((1, 1))));
    let mut made = bare(map, None);
    let places = &made.map.places;
    made.quality = Quality::measure(&values.points, places, JUDGED, SAMPLE, question.seed, context)?;
    made.clusters = Clusters::of(places, 1.0);
    context.check()?;
    if let Some(dataset) = dataset {
        made.labels = groups::describe(values, dataset, &made.clusters.of, made.clusters.len(), context)?;
        made.labels.iter_mut().for_each(|features| {
            features.retain(|feature| feature.log_odds.low > 0.0);
            keep_telling(features);
        });
    }
    Ok(made)
}

/// Keeps the surest few properties and the surest few words.
fn keep_telling(features: &mut Vec<Feature>) {
    let (mut properties, mut words) = (0, 0);
    features.retain(|feature| {
        let count = if feature.field == WORD { &mut words } else { &mut properties };
        *count += 1;
        *count <= FEATURES
    });
}

impl Projection {
    /// Points.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Places in the plane, for a map of two dimensions.
    pub fn xy(&self) -> Vec<[f32; 2]> {
        self.map.places.iter().map(|[x, y, _]| [*x, *y]).collect()
    }

    /// Share of the variance along the axes of the map, where they are principal components.
    pub fn explained(&self) -> Option<f64> {
        let axes = self.map.axes.as_ref().filter(|axes| !axes.explained.is_empty())?;
        Some(axes.explained.iter().take(self.question.dimensions).sum())
    }

    /// What a heap is called: the property that sets it apart most, and a word of its texts where one does.
    pub fn label(&self, cluster: usize) -> String {
        let told = self.labels.get(cluster).map_or(&[][..], Vec::as_slice);
        let property = told.iter().find(|feature| feature.field != WORD);
        let word = told.iter().find(|feature| feature.field == WORD);
        let property = property.map(|feature| format!("{} {}", feature.field, feature.value));
        let word = word.map(|feature| format!("“{}”", feature.value));
        match (property, word) {
            (Some(property), Some(word)) => format!("{property}, {word}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => format!("heap {}", cluster + 1),
        }
    }

    /// The heap of a point.
    pub fn cluster(&self, point: usize) -> Option<usize> {
        self.clusters
            .of
            .get(point)
            .copied()
            .filter(|cluster| *cluster != NONE)
            .map(|cluster| cluster as usize)
    }

    /// Why the map must not be taken at its word in a heap, if so: mean share of true neighbours kept by its sampled
    /// points, where it is less than half of the map's own and at least 10 were sampled.
    pub fn misleading(&self, cluster: usize) -> Option<f64> {
        let quality = self.quality.as_ref()?;
        let inside =
            quality.of_points.iter().filter(|(point, _)| self.cluster(*point as usize) == Some(cluster));
        let (n, sum) = inside.fold((0, 0.0), |(n, sum), (_, share)| (n + 1, sum + f64::from(*share)));
        let mean = sum / f64::from(n.max(1));
        (n >= 10 && mean < 0.5 * quality.preservation.value).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::tests::{self, dataset, table};
    use super::*;

    fn values() -> Arc<Values> {
        Arc::new(tests::values(table(), Metric::Cosine).unwrap())
    }

    #[test]
    fn a_map_has_its_variance_and_refuses_what_it_cannot_draw() {
        let context = JobContext::detached();
        let made = project(&values(), &MapQuestion::of("ad"), Some(&dataset()), |_| {}, &context).unwrap();
        assert_eq!(made.map.places.len(), 3);
        // Two numbers a point: two components hold all.
        assert!((made.explained().unwrap() - 1.0).abs() < 1e-6);
        assert_eq!((made.moving, made.cluster(0)), (None, None));
        let refused =
            |question: MapQuestion| project(&values(), &question, None, |_| {}, &context).unwrap_err();
        let few = refused(MapQuestion { method: "tsne".into(), ..MapQuestion::of("ad") });
        assert!(few.why.contains("at least 7 points, and there are 3") && few.place == "ad", "{few}");
        let unknown = refused(MapQuestion { method: "lda".into(), ..MapQuestion::of("ad") });
        assert!(unknown.hint.contains("umap"));
        assert!(refused(MapQuestion { dimensions: 4, ..MapQuestion::of("ad") }).why.contains("not 4"));
        let blind = refused(MapQuestion { method: "by_ctr".into(), ..MapQuestion::of("ad") });
        assert!(blind.why.contains("at least 8 points"), "{blind}");
    }

    #[test]
    fn a_cancel_is_answered() {
        let cancel = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let context = JobContext::watched(cancel, |_| {});
        let stopped = project(&values(), &MapQuestion::of("ad"), None, |_| {}, &context);
        assert!(stopped.unwrap_err().is_cancelled());
    }
}
