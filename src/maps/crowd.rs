//! How is a map of very many points drawn in a minute? Some of them walk; the others stand between their nearest of those.
//!
//! The points that walk are drawn by chance and told with the map. Each other point has its place from its nearest walkers,
//! weighed by the ties that UMAP would give them, in every picture on the way; how many of the true nearest were found is
//! measured and told.

use super::graph::Graph;
use super::method::{Frame, MapMethod, MapRequest, MapState};
use super::methods::pca::on_axes;
use super::methods::umap::memberships;
use super::pca::components;
use super::points::Points;
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::base::rng::Rng;
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Walkers that a point stands between: a point between many would stand between clusters.
const BETWEEN: usize = 5;

/// The knob of ways whose points walk.
pub(super) const MOST: ParamSpec = ParamSpec::integer(
    "most_points",
    "Points that walk",
    (0, 200_000, 20_000_000),
    "More points than this are sampled: the others stand between their nearest of these. 0 for all.",
);

/// What the knob says; `None` for all.
///
/// # Errors
/// It is not a number.
pub(super) fn most(params: &Params) -> Result<Option<usize>> {
    Ok(Some(params.count("most_points")?).filter(|most| *most > 0))
}

/// Draws a map by `most` of the points.
///
/// # Errors
/// As the method's own, and a cancel.
pub(super) fn draw(
    method: &(impl MapMethod + ?Sized),
    request: &MapRequest<'_>,
    most: usize,
    show: &mut dyn FnMut(Frame),
    context: &JobContext,
) -> Result<MapState> {
    // Finding who stands between whom takes some seconds of a million points: something is seen meanwhile.
    let axes = components(request.points.values(), request.points.width())?;
    show(Frame { places: on_axes(&axes, request.points, request.dimensions), done: 0, total: 0 });
    let crowd = Crowd::new(request, most, context)?;
    let walkers = crowd.only_walkers(request.points)?;
    let target: Option<Vec<f32>> =
        request.target.map(|target| crowd.walkers.iter().map(|place| target[*place as usize]).collect());
    let some = MapRequest { points: &walkers, target: target.as_deref(), ..*request };
    let mut all = |frame: Frame| show(Frame { places: crowd.places(&frame.places), ..frame });
    let mut map = method.make(&some, &mut all, context)?;
    map.places = crowd.places(&map.places);
    map.notes.insert(0, crowd.in_words());
    Ok(map)
}

/// Who walks, and between whom the others stand.
struct Crowd {
    /// Points that walk, by rising place.
    walkers: Vec<u32>,
    /// The other points, by rising place.
    others: Vec<u32>,
    /// `[others, BETWEEN]` walkers, by their place among the walkers.
    between: Vec<u32>,
    /// How much each of them counts; sums to 1 for each point.
    weights: Vec<f32>,
    recall: Option<(f64, usize)>,
}

impl Crowd {
    fn new(request: &MapRequest<'_>, most: usize, context: &JobContext) -> Result<Self> {
        let n = request.points.len();
        let mut order: Vec<u32> = (0..n as u32).collect();
        Rng::named(request.seed, "walkers").shuffle(&mut order);
        let mut others = order.split_off(most);
        order.sort_unstable();
        others.sort_unstable();
        context.stage("finding who stands between whom");
        let graph = Graph::across(request.points, &others, &order, BETWEEN, request.seed, context)?;
        let mut weights = memberships(&graph);
        for weights in weights.chunks_mut(graph.k.max(1)) {
            let total: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= total);
        }
        let place_of = |id: &u32| order.binary_search(id).unwrap_or_default() as u32;
        let between = graph.ids.par_iter().map(place_of).collect();
        Ok(Self { walkers: order, others, between, weights, recall: graph.recall })
    }

    fn only_walkers(&self, points: &Points) -> Result<Points> {
        let values = self.walkers.iter().flat_map(|place| points.row(*place as usize)).copied().collect();
        Points::new(values, points.width(), points.metric)
    }

    /// Places of all points, from those of the walkers.
    fn places(&self, walked: &[[f32; 3]]) -> Vec<[f32; 3]> {
        let mut places = vec![[0.0; 3]; self.walkers.len() + self.others.len()];
        self.walkers.iter().zip(walked).for_each(|(place, at)| places[*place as usize] = *at);
        let k = self.between.len().checked_div(self.others.len()).unwrap_or(0).max(1);
        let stand = |(ids, weights): (&[u32], &[f32])| {
            let mut at = [0.0; 3];
            for (id, weight) in ids.iter().zip(weights) {
                at.iter_mut().zip(walked[*id as usize]).for_each(|(to, from)| *to += weight * from);
            }
            at
        };
        let stood: Vec<[f32; 3]> = self
            .between
            .par_chunks(k)
            .zip(self.weights.par_chunks(k))
            .with_min_len(1024)
            .map(stand)
            .collect();
        self.others.iter().zip(stood).for_each(|(place, at)| places[*place as usize] = at);
        places
    }

    fn in_words(&self) -> String {
        let (walkers, all) = (self.walkers.len(), self.walkers.len() + self.others.len());
        let found = match self.recall {
            Some((share, sample)) => {
                format!(" ({:.1} % of the true nearest were found, of {sample} points)", 100.0 * share)
            }
            None => String::new(),
        };
        format!(
            "{walkers} of {all} points, drawn by chance, walked; each other stands between its nearest {BETWEEN} of them{found}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metric;
    use super::*;

    /// A long bent thread in five dimensions.
    fn thread(n: usize) -> Points {
        let mut rng = Rng::named(31, "thread");
        let values = (0..n)
            .flat_map(|i| {
                let t = 6.0 * i as f32 / n as f32;
                [t, t.sin(), t.cos(), (2.0 * t).sin(), 0.01 * rng.normal() as f32]
            })
            .collect();
        Points::new(values, 5, Metric::Euclidean).unwrap()
    }

    fn crowd(points: &Points, most: usize) -> Crowd {
        let params = Params::default();
        let request = MapRequest { points, target: None, dimensions: 2, params: &params, seed: 2 };
        Crowd::new(&request, most, &JobContext::detached()).unwrap()
    }

    #[test]
    fn the_others_stand_where_they_belong() {
        // Walkers at their true places along the thread: the others must come out at theirs, within the gaps.
        let points = thread(4000);
        let crowd = crowd(&points, 800);
        assert_eq!((crowd.walkers.len(), crowd.others.len()), (800, 3200));
        let walked: Vec<[f32; 3]> =
            crowd.walkers.iter().map(|place| [points.row(*place as usize)[0], 0.0, 0.0]).collect();
        let places = crowd.places(&walked);
        for (place, at) in places.iter().enumerate() {
            assert!((at[0] - points.row(place)[0]).abs() < 0.1, "{place}: {} {at:?}", points.row(place)[0]);
        }
        assert!(crowd.weights.chunks(BETWEEN).all(|some| (some.iter().sum::<f32>() - 1.0).abs() < 1e-5));
        assert!(crowd.in_words().starts_with("800 of 4000 points"));
    }

    #[test]
    fn trees_find_nearly_all_walkers_that_comparing_all_finds() {
        let points = thread(4000);
        let mut order: Vec<u32> = (0..4000).collect();
        Rng::named(5, "order").shuffle(&mut order);
        let (walkers, others) = order.split_at(1000);
        let context = JobContext::detached();
        let found = Graph::across_by_trees(&points, others, walkers, BETWEEN, 1, &context).unwrap();
        let exact = Graph::across_exactly(&points, others, walkers, BETWEEN);
        let hits = found.ids.chunks(BETWEEN).zip(exact.ids.chunks(BETWEEN));
        let hits: usize = hits.map(|(a, b)| a.iter().filter(|id| b.contains(id)).count()).sum();
        let share = hits as f64 / exact.ids.len() as f64;
        assert!(share > 0.97, "{share}");
        let (told, _) = found.recall.unwrap();
        assert!((told - share).abs() < 0.03, "{told} {share}");
    }
}
