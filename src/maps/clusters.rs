//! Which heaps does a map have?
//!
//! The map's density on a grid; every cell belongs to the peak that it leads up to, and a peak that does not stand out
//! from the pass to a higher one, by more than chance gives, belongs to that one (persistence-based clustering; Chazal,
//! Guibas, Oudot & Skraba 2013). The time is that of counting the points, whatever their number.

use crate::base::rng::Rng;
use rayon::prelude::*;

/// The heaps of a map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clusters {
    /// Cluster of each point, or [`NONE`]; the largest cluster is 0.
    pub of: Vec<u32>,
    /// Points of each cluster.
    pub sizes: Vec<usize>,
    /// Where each cluster is densest.
    pub peaks: Vec<[f32; 3]>,
}

/// In no cluster.
pub const NONE: u32 = u32::MAX;
/// Clusters at most; the smallest beyond them are no clusters.
pub const MOST: usize = 40;

/// Width of the kernel in cells.
const SIGMA: f32 = 2.0;
/// Cells beyond which the kernel is nothing.
const REACH: usize = 6;
/// A peak stands out when it is this many times (in logarithms) above its pass.
const PROMINENCE: f32 = 0.4;
/// And by this many standard errors of the points under it.
const ERRORS: f32 = 2.0;
/// Points whose distances to their neighbours set the width of the kernel.
const SAMPLE: usize = 256;

impl Clusters {
    /// Finds the heaps of a map of two dimensions (all third numbers 0) or three. `detail` above 1 finds more and
    /// smaller ones, below 1 fewer.
    pub fn of(places: &[[f32; 3]], detail: f32) -> Self {
        let flat = places.iter().all(|place| place[2] == 0.0 || !place[2].is_finite());
        let found = if flat { of_map::<2>(places, 400, detail) } else { of_map::<3>(places, 80, detail) };
        found.unwrap_or_else(|| Self { of: vec![NONE; places.len()], ..Self::default() })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// True when the map has no heaps.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }
}

fn of_map<const D: usize>(places: &[[f32; 3]], most_cells: usize, detail: f32) -> Option<Clusters> {
    let known: Vec<[f32; D]> = places
        .iter()
        .filter(|place| place.iter().all(|value| value.is_finite()))
        .map(|place| std::array::from_fn(|axis| place[axis]))
        .collect();
    let grid = Grid::around(&known, most_cells, detail)?;
    let density = grid.density(&known);
    let roots = peaks_of(&grid, &density);
    let cell_of = |place: &[f32; 3]| -> Option<usize> {
        let place: [f32; D] = std::array::from_fn(|axis| place[axis]);
        place.iter().all(|value| value.is_finite()).then(|| grid.cell(&place))
    };
    let cells: Vec<Option<usize>> = places.par_iter().map(cell_of).collect();
    let mut sizes = vec![0usize; density.len()];
    for cell in cells.iter().flatten() {
        sizes[roots[*cell] as usize] += 1;
    }
    let least = (known.len() / 500).max(4);
    let mut kept: Vec<usize> = (0..sizes.len()).filter(|root| sizes[*root] >= least).collect();
    kept.sort_by_key(|root| (std::cmp::Reverse(sizes[*root]), *root));
    kept.truncate(MOST);
    let mut name = vec![NONE; sizes.len()];
    kept.iter().enumerate().for_each(|(cluster, root)| name[*root] = cluster as u32);
    Some(Clusters {
        of: cells.iter().map(|cell| cell.map_or(NONE, |cell| name[roots[cell] as usize])).collect(),
        sizes: kept.iter().map(|root| sizes[*root]).collect(),
        peaks: kept.iter().map(|root| grid.middle(*root)).collect(),
    })
}

/// Cells over a map of `D` dimensions, with room for the kernel around it.
struct Grid<const D: usize> {
    low: [f32; D],
    cell: f32,
    cells: [usize; D],
    steps: [usize; D],
}

impl<const D: usize> Grid<D> {
    /// A cell is half the usual distance to a near neighbour wide. `None` where there is no extent.
    fn around(places: &[[f32; D]], most_cells: usize, detail: f32) -> Option<Self> {
        let (mut low, mut high) = (*places.first()?, *places.first()?);
        for place in places {
            for axis in 0..D {
                low[axis] = low[axis].min(place[axis]);
                high[axis] = high[axis].max(place[axis]);
            }
        }
        let extent = (0..D).map(|axis| high[axis] - low[axis]).fold(0.0, f32::max);
        if extent <= 0.0 || extent.is_nan() {
            return None;
        }
        let wanted = spacing(places) / detail.clamp(0.1, 10.0) / SIGMA;
        let cell = wanted.max(extent / most_cells as f32);
        let margin = REACH as f32 * cell;
        let low = low.map(|value| value - margin);
        let cells: [usize; D] =
            std::array::from_fn(|axis| ((high[axis] + margin - low[axis]) / cell) as usize + 1);
        let mut steps = [1; D];
        for axis in 1..D {
            steps[axis] = steps[axis - 1] * cells[axis - 1];
        }
        Some(Self { low, cell, cells, steps })
    }

    fn cell(&self, place: &[f32; D]) -> usize {
        (0..D)
            .map(|axis| {
                let at = ((place[axis] - self.low[axis]) / self.cell) as usize;
                at.min(self.cells[axis] - 1) * self.steps[axis]
            })
            .sum()
    }

    fn middle(&self, cell: usize) -> [f32; 3] {
        let mut place = [0.0; 3];
        for (axis, value) in place.iter_mut().enumerate().take(D) {
            let at = cell / self.steps[axis] % self.cells[axis];
            *value = self.low[axis] + (at as f32 + 0.5) * self.cell;
        }
        place
    }

    /// Points of each cell, spread by a Gaussian kernel whose middle has weight 1: about how many points are near.
    fn density(&self, places: &[[f32; D]]) -> Vec<f32> {
        let mut grid = vec![0.0f32; self.cells.iter().product()];
        places.iter().for_each(|place| grid[self.cell(place)] += 1.0);
        let kernel: Vec<f32> = (0..=REACH).map(|at| (-(at as f32 / SIGMA).powi(2) / 2.0).exp()).collect();
        for axis in 0..D {
            let before = grid.clone();
            let (step, count) = (self.steps[axis], self.cells[axis]);
            grid.par_iter_mut().with_min_len(4096).enumerate().for_each(|(cell, value)| {
                let at = cell / step % count;
                for (away, weight) in kernel.iter().enumerate().skip(1) {
                    if at >= away {
                        *value += weight * before[cell - away * step];
                    }
                    if at + away < count {
                        *value += weight * before[cell + away * step];
                    }
                }
            });
        }
        grid
    }

    /// The cells that touch a cell, by a corner at least.
    fn beside(&self, cell: usize, mut each: impl FnMut(usize)) {
        for code in 0..3usize.pow(D as u32) {
            let (mut other, mut rest, mut inside) = (cell as isize, code, true);
            for axis in 0..D {
                let by = (rest % 3) as isize - 1;
                rest /= 3;
                let at = (cell / self.steps[axis] % self.cells[axis]) as isize + by;
                inside &= at >= 0 && at < self.cells[axis] as isize;
                other += by * self.steps[axis] as isize;
            }
            if inside && other != cell as isize {
                each(other as usize);
            }
        }
    }
}

/// The usual distance of a point to one of its near neighbours: a median over some points.
fn spacing<const D: usize>(places: &[[f32; D]]) -> f32 {
    let n = places.len();
    let near = (n / 20).clamp(3, 15).min(n - 1);
    let mut rng = Rng::named(1, "map spacing");
    let sample: Vec<usize> = (0..SAMPLE.min(n)).map(|_| rng.below(n)).collect();
    let distance = |at: &usize| {
        let own = places[*at];
        let mut all: Vec<f32> =
            places.iter().map(|other| (0..D).map(|axis| (own[axis] - other[axis]).powi(2)).sum()).collect();
        all.select_nth_unstable_by(near, f32::total_cmp).1.sqrt()
    };
    let mut distances: Vec<f32> = sample.par_iter().map(distance).collect();
    let middle = distances.len() / 2;
    1.5 * *distances.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The peak of each cell, as the place of its cell.
fn peaks_of<const D: usize>(grid: &Grid<D>, density: &[f32]) -> Vec<u32> {
    // A thousandth of a point is no more than the kernel's rim.
    let mut order: Vec<u32> =
        (0..density.len() as u32).filter(|cell| density[*cell as usize] > 1e-3).collect();
    order.par_sort_unstable_by(|a, b| density[*b as usize].total_cmp(&density[*a as usize]).then(a.cmp(b)));
    let mut parent: Vec<u32> = (0..density.len() as u32).collect();
    let mut placed = vec![false; density.len()];
    for &cell in &order {
        let own = density[cell as usize];
        let mut roots: Vec<u32> = Vec::new();
        grid.beside(cell as usize, |other| {
            if placed[other] {
                let root = root(&mut parent, other as u32);
                if !roots.contains(&root) {
                    roots.push(root);
                }
            }
        });
        placed[cell as usize] = true;
        // The highest peak takes the cell, and those that do not stand out above it.
        roots.sort_by(|a, b| density[*b as usize].total_cmp(&density[*a as usize]).then(a.cmp(b)));
        let Some(&highest) = roots.first() else { continue };
        parent[cell as usize] = highest;
        for &other in &roots[1..] {
            let peak = density[other as usize];
            if (peak / own).ln() < PROMINENCE.max(ERRORS / peak.sqrt()) {
                parent[other as usize] = highest;
            }
        }
    }
    (0..density.len() as u32).map(|cell| root(&mut parent, cell)).collect()
}

fn root(parent: &mut [u32], mut cell: u32) -> u32 {
    while parent[cell as usize] != cell {
        let above = parent[parent[cell as usize] as usize];
        parent[cell as usize] = above;
        cell = above;
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points around places, so many around each.
    fn heaps(middles: &[[f32; 3]], each: usize) -> Vec<[f32; 3]> {
        let mut rng = Rng::named(7, "clusters test");
        let around = |middle: &[f32; 3]| {
            let flat = middles.iter().all(|middle| middle[2] == 0.0);
            let mut at = middle.map(|value| value + rng.normal() as f32);
            if flat {
                at[2] = 0.0;
            }
            at
        };
        let all: Vec<[f32; 3]> = (0..each).flat_map(|_| middles.to_vec()).collect();
        all.iter().map(around).collect()
    }

    #[test]
    fn separate_heaps_are_found_in_the_plane_and_in_space() {
        let plane = [[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [9.0, 9.0, 0.0]];
        let space = [[0.0, 0.0, 1.0], [9.0, 0.0, 0.0], [0.0, 9.0, 9.0]];
        for middles in [&plane[..], &space[..]] {
            for each in [60, 3_000] {
                let places = heaps(middles, each);
                let found = Clusters::of(&places, 1.0);
                assert_eq!(found.len(), middles.len(), "{each} {:?}", found.sizes);
                // Points of one heap share their cluster, but for some at the rim.
                let m = middles.len();
                for heap in 0..m {
                    let own: Vec<u32> = found.of.iter().skip(heap).step_by(m).copied().collect();
                    let name = own
                        .iter()
                        .copied()
                        .filter(|name| *name != NONE)
                        .max_by_key(|name| own.iter().filter(|o| *o == name).count());
                    let share = own.iter().filter(|o| Some(**o) == name).count() as f64 / own.len() as f64;
                    assert!(share > 0.95, "{share}");
                }
            }
        }
    }

    #[test]
    fn one_round_heap_is_one_cluster() {
        for n in [100, 5_000] {
            let found = Clusters::of(&heaps(&[[0.0; 3]], n), 1.0);
            assert!(!found.is_empty() && found.sizes[0] as f64 > 0.85 * n as f64, "{:?}", found.sizes);
        }
    }

    #[test]
    fn few_equal_or_placeless_points_have_none() {
        assert!(Clusters::of(&[], 1.0).is_empty());
        assert!(Clusters::of(&[[0.0; 3]], 1.0).is_empty());
        assert!(Clusters::of(&[[1.0; 3]; 50], 1.0).is_empty());
        assert!(Clusters::of(&[[0.0; 3], [1.0, 0.0, 0.0]], 1.0).is_empty());
        let mut places = heaps(&[[0.0; 3]], 200);
        places[3] = [f32::NAN; 3];
        assert_eq!(Clusters::of(&places, 1.0).of[3], NONE);
    }
}
