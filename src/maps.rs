//! How does a table of vectors become a picture, and how far may the picture be trusted?
//!
//! A map places points so that those that are close in the table are close in the picture. [`METHODS`] lists the ways;
//! each streams what it has while it works, and gives the same map for the same seed on any number of threads. Nothing
//! here knows what the points stand for.

pub mod clusters;
mod crowd;
pub mod graph;
pub mod method;
mod methods;
pub mod pca;
pub mod points;
pub mod procrustes;
pub mod quality;
pub mod search;
mod spectral;
mod symmetric;
mod tree;

pub use graph::Graph;
pub use method::{Frame, METHODS, MapMethod, MapRequest, MapState};
pub use points::{Metric, Points};

#[cfg(test)]
mod tests {
    use super::method::{Frame, find};
    use super::quality::Quality;
    use super::*;
    use crate::base::params::Params;
    use crate::base::rng::Rng;
    use crate::jobs::JobContext;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    const WIDTH: usize = 20;

    /// Points around five centres, the cluster of each by its place.
    fn five_heaps(n: usize) -> Points {
        let mut rng = Rng::named(12, "five heaps");
        let centres: Vec<f32> = (0..5 * WIDTH).map(|_| 3.0 * rng.normal() as f32).collect();
        let near = |i: usize| centres[i % 5 * WIDTH..][..WIDTH].to_vec();
        let values = (0..n).flat_map(near).map(|centre| centre + rng.normal() as f32).collect();
        Points::new(values, WIDTH, Metric::Euclidean).unwrap()
    }

    fn drawn(id: &str, points: &Points, dimensions: usize) -> (MapState, Vec<Frame>) {
        let method = find(id).unwrap();
        let params = Params::defaults(method.params());
        let target: Vec<f32> = (0..points.len()).map(|place| points.row(place)[0]).collect();
        let request = MapRequest { points, target: Some(&target), dimensions, params: &params, seed: 3 };
        let mut frames = Vec::new();
        let map = method.draw(&request, &mut |frame| frames.push(frame), &JobContext::detached()).unwrap();
        (map, frames)
    }

    #[test]
    fn of_many_points_some_walk_and_the_others_stand_among_their_like() {
        let points = five_heaps(900);
        for id in ["umap", "tsne"] {
            let method = find(id).unwrap();
            let mut params = Params::defaults(method.params());
            params.set(method.params(), "most_points", "300").unwrap();
            let request =
                MapRequest { points: &points, target: None, dimensions: 2, params: &params, seed: 3 };
            let mut sizes = Vec::new();
            let context = JobContext::detached();
            let map = method.draw(&request, &mut |frame| sizes.push(frame.places.len()), &context).unwrap();
            assert!(map.notes[0].starts_with("300 of 900 points"), "{:?}", map.notes);
            assert!(sizes.len() > 1 && sizes.iter().all(|size| *size == 900), "{sizes:?}");
            assert!(purity(&map.places) > 0.97, "{id}: {}", purity(&map.places));
            let mut without = params.clone();
            without.set(method.params(), "most_points", "0").unwrap();
            let all = MapRequest { params: &without, ..request };
            let map = method.draw(&all, &mut |_| {}, &context).unwrap();
            assert!(!map.notes.iter().any(|note| note.contains("by chance")), "{:?}", map.notes);
        }
    }

    /// Share of points whose nearest point of the map is of the same heap.
    fn purity(places: &[[f32; 3]]) -> f64 {
        let n = places.len();
        let apart = |a: [f32; 3], b: [f32; 3]| (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f32>();
        let nearest = |i: usize| {
            let others = (0..n).filter(|j| *j != i);
            others.min_by(|a, b| apart(places[i], places[*a]).total_cmp(&apart(places[i], places[*b])))
        };
        (0..n).filter(|i| nearest(*i).is_some_and(|j| j % 5 == i % 5)).count() as f64 / n as f64
    }

    #[test]
    fn moving_maps_separate_known_heaps_in_the_plane_and_in_space() {
        let points = five_heaps(200);
        for id in ["tsne", "umap"] {
            for dimensions in [2, 3] {
                let (map, frames) = drawn(id, &points, dimensions);
                assert!(purity(&map.places) > 0.99, "{id} {dimensions}: {}", purity(&map.places));
                assert_eq!(map.places.iter().all(|place| place[2] == 0.0), dimensions == 2);
                assert!(!frames.is_empty() && frames[0].places.len() == 200);
                let context = JobContext::detached();
                let quality = Quality::measure(&points, &map.places, 12, 200, 1, &context).unwrap().unwrap();
                assert!(quality.trustworthiness.value > 0.9, "{id}: {quality:?}");
                if dimensions == 2 {
                    let found = clusters::Clusters::of(&map.places, 1.0);
                    assert_eq!(found.len(), 5, "{id}: {:?}", found.sizes);
                }
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_map_on_one_thread_and_on_two() {
        let points = five_heaps(200);
        for method in METHODS {
            let draw = || drawn(method.id(), &points, 2).0;
            let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool(1).install(draw), pool(2).install(draw), "{}", method.id());
        }
    }

    #[test]
    fn a_point_from_outside_lands_among_its_like() {
        let points = five_heaps(300);
        for method in METHODS {
            let (map, _) = drawn(method.id(), &points, 2);
            for inside in [0, 7, 111] {
                let at = map.place(&points, points.row(inside));
                let apart = |other: usize| {
                    (0..2).map(|axis| (at[axis] - map.places[other][axis]).powi(2)).sum::<f32>()
                };
                let nearest = (0..300).min_by(|a, b| apart(*a).total_cmp(&apart(*b))).unwrap();
                assert_eq!(nearest % 5, inside % 5, "{}", method.id());
            }
        }
    }

    #[test]
    fn a_cancel_is_answered_and_what_cannot_be_drawn_is_refused() {
        let points = five_heaps(200);
        for method in METHODS {
            let params = Params::defaults(method.params());
            let draw = |points: &Points, target: Option<&[f32]>, context: &JobContext| {
                let request = MapRequest { points, target, dimensions: 2, params: &params, seed: 3 };
                method.draw(&request, &mut |_| {}, context)
            };
            let cancel = Arc::new(AtomicBool::new(false));
            let context = JobContext::watched(Arc::clone(&cancel), |_| {});
            cancel.store(true, Ordering::Relaxed);
            let target = vec![0.5; 200];
            let stopped = draw(&points, Some(&target), &context).unwrap_err();
            assert!(stopped.is_cancelled() || method.needs_target(), "{}", method.id());
            let context = JobContext::detached();
            let equal = Points::new(vec![1.0; 40], 2, Metric::Euclidean).unwrap();
            let one = Points::new(vec![1.0; 4], 4, Metric::Euclidean).unwrap();
            assert!(draw(&equal, None, &context).is_err() && draw(&one, None, &context).is_err());
            let product = Points::new(points.values().to_vec(), WIDTH, Metric::InnerProduct).unwrap();
            let linear = matches!(method.id(), "pca");
            assert_eq!(draw(&product, None, &context).is_ok(), linear);
        }
    }

    #[test]
    fn ten_thousand_numbers_a_point_and_two_points_are_no_trouble() {
        let mut rng = Rng::named(2, "wide maps");
        let wide: Vec<f32> = (0..12 * 10_000).map(|_| rng.normal() as f32).collect();
        let wide = Points::new(wide, 10_000, Metric::Cosine).unwrap();
        for id in ["pca", "tsne", "umap"] {
            let (map, _) = drawn(id, &wide, 2);
            assert!(map.places.iter().flatten().all(|value| value.is_finite()), "{id}");
        }
        let two = Points::new(vec![0.0, 0.0, 3.0, 4.0], 2, Metric::Euclidean).unwrap();
        let (map, _) = drawn("pca", &two, 2);
        assert!((map.places[0][0] - map.places[1][0]).abs() - 5.0 < 1e-5);
        let params = Params::defaults(find("umap").unwrap().params());
        let request = MapRequest { points: &two, target: None, dimensions: 2, params: &params, seed: 1 };
        let refused = find("umap").unwrap().draw(&request, &mut |_| {}, &JobContext::detached());
        assert!(refused.unwrap_err().hint.contains("principal components"));
        assert!(find("lda").unwrap_err().hint.contains("umap"));
    }
}
