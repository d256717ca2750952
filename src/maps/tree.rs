//! What do many points do to one from afar? A tree of boxes whose far ones count as one point at their middle
//! (Barnes & Hut 1986), walked once for each small group of neighbours.
//!
//! The sums do not depend on threads: boxes are runs of the points in Morton order, and each group adds in the order of
//! its walk.

use crate::base::simd::{Kernel, run_widest};
use rayon::prelude::*;

/// Points in a group: small enough that its box is, large enough that its walk pays.
const GROUP: usize = 16;
/// Halvings of each axis at most.
const DEPTH: u32 = 20;

/// Boxes over places of `D` numbers, parents before children.
pub(super) struct Tree<const D: usize> {
    /// Places by Morton order, with where each came from.
    sorted: Vec<([f32; D], u32)>,
    boxes: Vec<Cell<D>>,
    /// The boxes that are groups.
    groups: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Cell<const D: usize> {
    /// Mean place of its points.
    middle: [f32; D],
    /// Smallest and largest coordinates of its points.
    low: [f32; D],
    high: [f32; D],
    from: u32,
    to: u32,
    /// The box after all that are in this one.
    next: u32,
    is_group: bool,
}

/// What the others do to one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Push<const D: usize> {
    /// `sum of w^2 (y_i - y_j)` with `w = 1 / (1 + |y_i - y_j|^2)`.
    pub force: [f32; D],
    /// `sum of w` over the others.
    pub closeness: f32,
}

impl<const D: usize> Tree<D> {
    /// Sorts places, which must be finite, into boxes.
    pub fn new(places: &[[f32; D]]) -> Self {
        let (low, high) = bounds(places.iter());
        let widest = (0..D).map(|axis| high[axis] - low[axis]).fold(f32::MIN_POSITIVE, f32::max);
        let scale = ((1u32 << DEPTH) - 1) as f32 / widest;
        let code = |place: &[f32; D]| {
            let cell = |axis: usize| (((place[axis] - low[axis]) * scale) as u64).min((1 << DEPTH) - 1);
            (0..D).fold(0, |code, axis| code | spread(cell(axis), D) << axis)
        };
        let mut coded: Vec<(u64, u32)> =
            places.par_iter().enumerate().map(|(at, place)| (code(place), at as u32)).collect();
        coded.par_sort_unstable();
        let codes: Vec<u64> = coded.iter().map(|(code, _)| *code).collect();
        let sorted = coded.par_iter().map(|(_, at)| (places[*at as usize], *at)).collect();
        let mut tree = Self { sorted, boxes: Vec::new(), groups: Vec::new() };
        if !places.is_empty() {
            tree.grow(&codes, 0, codes.len(), DEPTH * D as u32);
        }
        tree
    }

    /// Adds the box of a run of points that agree above `bits`, with all inside it; answers with its place.
    fn grow(&mut self, codes: &[u64], from: usize, to: usize, bits: u32) -> usize {
        let own = self.boxes.len();
        let is_group = to - from <= GROUP || bits == 0;
        let (low, high) = ([0.0; D], [0.0; D]);
        let (begin, end) = (from as u32, to as u32);
        self.boxes.push(Cell { middle: [0.0; D], low, high, from: begin, to: end, next: 0, is_group });
        if is_group {
            self.groups.push(own as u32);
            let points = || self.sorted[from..to].iter().map(|(place, _)| place);
            let middle = mean(points().map(|place| (*place, 1.0)));
            let (low, high) = bounds(points());
            self.boxes[own] = Cell { middle, low, high, ..self.boxes[own] };
        } else {
            let bits = bits - D as u32;
            let mut children = Vec::with_capacity(1 << D);
            let mut start = from;
            while start < to {
                let corner = codes[start] >> bits;
                let count = codes[start..to].partition_point(|code| code >> bits == corner);
                children.push(self.grow(codes, start, start + count, bits));
                start += count;
            }
            let inside = || children.iter().map(|child| &self.boxes[*child]);
            let middle = mean(inside().map(|child| (child.middle, f64::from(child.to - child.from))));
            let (low, _) = bounds(inside().map(|child| &child.low));
            let (_, high) = bounds(inside().map(|child| &child.high));
            self.boxes[own] = Cell { middle, low, high, ..self.boxes[own] };
        }
        self.boxes[own].next = self.boxes.len() as u32;
        own
    }

    /// What all others do to each point, in the order of the places; a box counts as one point where its widest side is
    /// less than `theta` of its distance from the group.
    pub fn pushes(&self, theta: f32, out: &mut [Push<D>]) {
        let grouped: Vec<Vec<Push<D>>> = self
            .groups
            .par_iter()
            .with_min_len(8)
            .map_init(List::default, |list, group| {
                let group = &self.boxes[*group as usize];
                self.collect(group, theta, list);
                let points = &self.sorted[group.from as usize..group.to as usize];
                points.iter().map(|(place, _)| run_widest(Sum { place, list })).collect()
            })
            .collect();
        for (group, pushes) in self.groups.iter().zip(grouped) {
            let points = &self.sorted[self.boxes[*group as usize].from as usize..];
            for ((_, at), push) in points.iter().zip(pushes) {
                out[*at as usize] = push;
            }
        }
    }

    /// The boxes and points that stand for all points, as seen from a group.
    fn collect(&self, group: &Cell<D>, theta: f32, list: &mut List<D>) {
        list.clear();
        let mut at = 0;
        while let Some(cell) = self.boxes.get(at) {
            let side = (0..D).map(|axis| cell.high[axis] - cell.low[axis]).fold(0.0, f32::max);
            let distance: f32 = (0..D)
                .map(|axis| {
                    let middle = cell.middle[axis];
                    (group.low[axis] - middle).max(middle - group.high[axis]).max(0.0).powi(2)
                })
                .sum();
            if side * side < theta * theta * distance {
                list.push(&cell.middle, (cell.to - cell.from) as f32);
                at = cell.next as usize;
            } else if cell.is_group {
                for (place, _) in &self.sorted[cell.from as usize..cell.to as usize] {
                    list.push(place, 1.0);
                }
                at = cell.next as usize;
            } else {
                at += 1;
            }
        }
        list.pad();
    }
}

/// Every `D`-th bit takes one of `value`.
fn spread(value: u64, step: usize) -> u64 {
    (0..DEPTH).fold(0, |all, bit| all | (value >> bit & 1) << (bit as usize * step))
}

fn mean<const D: usize>(places: impl Iterator<Item = ([f32; D], f64)>) -> [f32; D] {
    let (mut sums, mut total) = ([0.0; D], 0.0);
    for (place, weight) in places {
        sums.iter_mut().zip(place).for_each(|(sum, value)| *sum += weight * f64::from(value));
        total += weight;
    }
    sums.map(|sum| (sum / total) as f32)
}

fn bounds<'a, const D: usize>(places: impl Iterator<Item = &'a [f32; D]>) -> ([f32; D], [f32; D]) {
    places.fold(([f32::INFINITY; D], [f32::NEG_INFINITY; D]), |(mut low, mut high), place| {
        for axis in 0..D {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
        (low, high)
    })
}

/// Numbers in a vector of the sums.
const LANES: usize = 16;

/// Far boxes and near points, axis by axis.
struct List<const D: usize> {
    axes: [Vec<f32>; D],
    mass: Vec<f32>,
}

impl<const D: usize> Default for List<D> {
    fn default() -> Self {
        Self { axes: std::array::from_fn(|_| Vec::new()), mass: Vec::new() }
    }
}

impl<const D: usize> List<D> {
    fn clear(&mut self) {
        self.axes.iter_mut().for_each(Vec::clear);
        self.mass.clear();
    }

    fn push(&mut self, place: &[f32; D], mass: f32) {
        self.axes.iter_mut().zip(place).for_each(|(axis, value)| axis.push(*value));
        self.mass.push(mass);
    }

    /// Fills the last vector up with points that weigh nothing.
    fn pad(&mut self) {
        while !self.mass.len().is_multiple_of(LANES) {
            self.push(&[0.0; D], 0.0);
        }
    }
}

struct Sum<'a, const D: usize> {
    place: &'a [f32; D],
    list: &'a List<D>,
}

impl<const D: usize> Kernel for Sum<'_, D> {
    type Output = Push<D>;

    #[inline(always)]
    fn run(self) -> Push<D> {
        let (mut force, mut closeness) = ([[0.0f32; LANES]; D], [0.0f32; LANES]);
        let (masses, _) = self.list.mass.as_chunks::<LANES>();
        let axes: [&[[f32; LANES]]; D] =
            std::array::from_fn(|axis| self.list.axes[axis].as_chunks::<LANES>().0);
        for (chunk, mass) in masses.iter().enumerate() {
            let mut apart = [[0.0f32; LANES]; D];
            let mut near = [1.0f32; LANES];
            for axis in 0..D {
                let others = &axes[axis][chunk];
                for lane in 0..LANES {
                    apart[axis][lane] = self.place[axis] - others[lane];
                    near[lane] = apart[axis][lane].mul_add(apart[axis][lane], near[lane]);
                }
            }
            let mut pull = [0.0f32; LANES];
            for lane in 0..LANES {
                let w = 1.0 / near[lane];
                let massive = mass[lane] * w;
                closeness[lane] += massive;
                pull[lane] = massive * w;
            }
            for axis in 0..D {
                for lane in 0..LANES {
                    force[axis][lane] = pull[lane].mul_add(apart[axis][lane], force[axis][lane]);
                }
            }
        }
        // The point itself was among the near ones, at distance 0.
        Push { force: force.map(total), closeness: total(closeness) - 1.0 }
    }
}

#[inline(always)]
fn total(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn places<const D: usize>(n: usize) -> Vec<[f32; D]> {
        let mut rng = Rng::named(9, "tree test");
        let mut all: Vec<[f32; D]> = (0..n)
            .map(|i| std::array::from_fn(|axis| (rng.normal() * 3.0 + (i % 5 * (axis + 4)) as f64) as f32))
            .collect();
        // Equal points must find an end to the halving.
        for i in 0..40 {
            all[i] = all[0];
        }
        all
    }

    fn direct<const D: usize>(places: &[[f32; D]]) -> Vec<([f64; D], f64)> {
        let one = |i: usize| {
            let (mut force, mut closeness) = ([0.0; D], 0.0);
            for (j, other) in places.iter().enumerate() {
                let apart: [f64; D] =
                    std::array::from_fn(|axis| f64::from(places[i][axis]) - f64::from(other[axis]));
                let w = 1.0 / (1.0 + apart.iter().map(|d| d * d).sum::<f64>());
                if i != j {
                    closeness += w;
                    (0..D).for_each(|axis| force[axis] += w * w * apart[axis]);
                }
            }
            (force, closeness)
        };
        (0..places.len()).map(one).collect()
    }

    /// Root mean square error of the forces over their size.
    fn error<const D: usize>(theta: f32) -> f64 {
        let places = places::<D>(1_500);
        let mut out = vec![Push { force: [0.0; D], closeness: 0.0 }; places.len()];
        Tree::new(&places).pushes(theta, &mut out);
        let (mut miss, mut size) = (0.0, 0.0);
        for (ours, (force, closeness)) in out.iter().zip(direct(&places)) {
            for (ours, force) in ours.force.iter().zip(&force) {
                miss += (f64::from(*ours) - force).powi(2);
                size += force.powi(2);
            }
            assert!(
                (f64::from(ours.closeness) / closeness - 1.0).abs() < 0.1 * f64::from(theta) + 1e-5,
                "{ours:?} {closeness}"
            );
        }
        (miss / size).sqrt()
    }

    #[test]
    fn sums_are_exact_without_far_boxes_and_near_with_them() {
        assert!(error::<2>(0.0) < 1e-5, "{}", error::<2>(0.0));
        assert!(error::<3>(0.0) < 1e-5);
        let (coarse, fine) = (error::<2>(0.5), error::<2>(0.25));
        assert!(coarse < 0.02 && fine < coarse, "{coarse} {fine}");
        assert!(error::<3>(0.5) < 0.02);
    }

    #[test]
    fn threads_change_nothing() {
        let places = places::<2>(3_000);
        let push = || {
            let mut out = vec![Push { force: [0.0; 2], closeness: 0.0 }; places.len()];
            Tree::new(&places).pushes(0.5, &mut out);
            out
        };
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(push), push());
    }
}
