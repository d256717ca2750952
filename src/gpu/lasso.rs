//! Which points lie inside a drawn outline? A coarse mask answers for most, the exact test for the border.

use super::{Bits, Cloud};
use rayon::prelude::*;

/// A closed outline in world units (even-odd rule: where it crosses itself, the overlap is outside).
#[derive(Debug, Clone, PartialEq)]
pub struct Lasso {
    outline: Vec<[f32; 2]>,
    origin: [f32; 2],
    cell: [f32; 2],
    /// Cells to a world unit.
    per_unit: [f32; 2],
    /// By line and column, with a rim of [`OUTSIDE`] around: a point is looked up without asking first whether it is near.
    mask: Vec<u8>,
    /// Edges that come near each line of the mask: a ray along it crosses no others.
    edges: Vec<Vec<Edge>>,
}

/// An edge as a ray asks it: its lower and upper end along y, and its first end, and how x goes with y.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Edge {
    low: f32,
    high: f32,
    foot: [f32; 2],
    slope: f32,
}

impl Edge {
    fn new(a: [f32; 2], b: [f32; 2]) -> Self {
        // A level edge is crossed by no ray along it, whatever its slope.
        let slope = if a[1] == b[1] { 0.0 } else { (b[0] - a[0]) / (b[1] - a[1]) };
        Self { low: a[1].min(b[1]), high: a[1].max(b[1]), foot: a, slope }
    }
}

/// What a cell of the mask says of its points: nothing is inside, all are, or each has to be asked.
const OUTSIDE: u8 = 0;
const INSIDE: u8 = 1;
const BORDER: u8 = 2;

/// Cells of the mask along each side.
const SIDE: usize = 512;
/// The same with its rim.
const STRIDE: usize = SIDE + 2;
/// How much wider than its share of the box a cell is, so that the far edge of the box lies in the last one.
const WIDER: f32 = 1.000_01;

impl Lasso {
    /// An outline of at least three finite corners; `None` otherwise.
    pub fn new(outline: Vec<[f32; 2]>) -> Option<Self> {
        let bounds = Cloud { xy: outline.clone(), codes: Vec::new() }.bounds()?;
        let finite = outline.iter().flatten().all(|v| v.is_finite());
        if outline.len() < 3 || !finite {
            return None;
        }
        let step = |low: f32, high: f32| (WIDER * (high - low) / SIDE as f32).max(f32::MIN_POSITIVE);
        let cell = [step(bounds[0], bounds[2]), step(bounds[1], bounds[3])];
        let mut lasso = Self {
            origin: [bounds[0], bounds[1]],
            cell,
            per_unit: cell.map(f32::recip),
            mask: vec![OUTSIDE; STRIDE * STRIDE],
            edges: vec![Vec::new(); SIDE],
            outline,
        };
        lasso.mark_border();
        lasso.fill();
        Some(lasso)
    }

    /// True when the point lies inside.
    pub fn contains(&self, point: [f32; 2]) -> bool {
        let [column, line] = self.cell_of(point);
        match self.mask[line * STRIDE + column] {
            BORDER => self.is_within(line, point),
            place => place == INSIDE,
        }
    }

    /// The points of a cloud that lie inside.
    pub fn select(&self, cloud: &Cloud) -> Bits {
        let words = cloud.xy.par_chunks(32).with_min_len(256).map(|points| self.word(points)).collect();
        Bits::from_words(words, cloud.xy.len())
    }

    /// A bit for each of at most 32 points. Nothing is decided before all are looked up: where the next point of a cloud
    /// lies cannot be foretold, and a wrong guess takes longer than a look.
    fn word(&self, points: &[[f32; 2]]) -> u32 {
        let (mut inside, mut open) = (0, 0);
        for (bit, point) in points.iter().enumerate() {
            let [column, line] = self.cell_of(*point);
            let place = u32::from(self.mask[line * STRIDE + column]);
            inside |= (place & 1) << bit;
            open |= (place >> 1) << bit;
        }
        while open != 0 {
            let bit = open.trailing_zeros() as usize;
            let [_, line] = self.cell_of(points[bit]);
            inside |= u32::from(self.is_within(line, points[bit])) << bit;
            open &= open - 1;
        }
        inside
    }

    /// Column and line of the mask; the rim for what is beside the box or nowhere.
    #[inline(always)]
    fn cell_of(&self, point: [f32; 2]) -> [usize; 2] {
        // A number that is none becomes 0 by `as`.
        [0, 1].map(|axis| {
            let at = (point[axis] - self.origin[axis]) * self.per_unit[axis] + 1.0;
            at.clamp(0.0, (SIDE + 1) as f32) as usize
        })
    }

    /// The exact test of a point in a line of the mask that is not in its rim.
    fn is_within(&self, line: usize, point: [f32; 2]) -> bool {
        even_odd(&self.edges[line - 1], point)
    }

    /// Marks every cell that an edge touches, and keeps the edge for its lines, one cell wider to be safe against rounding.
    fn mark_border(&mut self) {
        for i in 0..self.outline.len() {
            let (a, b) = (self.outline[i], self.outline[(i + 1) % self.outline.len()]);
            let edge = Edge::new(a, b);
            let at = |p: [f32; 2]| [0, 1].map(|axis| (p[axis] - self.origin[axis]) / self.cell[axis]);
            let (a, b) = (at(a), at(b));
            let first = (a[1].min(b[1]) - 1.0).max(0.0) as usize;
            let last = ((a[1].max(b[1]) + 1.0) as usize).min(SIDE - 1);
            for line in first..=last {
                self.edges[line].push(edge);
                let (low, high) = span(a, b, line as f32 - 0.5, line as f32 + 1.5);
                let left = (low - 1.0).max(0.0) as usize;
                let right = ((high + 1.0).max(0.0) as usize).min(SIDE - 1);
                for column in left..=right {
                    self.mask[(line + 1) * STRIDE + column + 1] = BORDER;
                }
            }
        }
    }

    /// Cells that no edge touches are all inside or all outside: runs between border cells, by their middle.
    fn fill(&mut self) {
        for line in 0..SIDE {
            let mut known = None;
            for column in 0..SIDE {
                let cell = (line + 1) * STRIDE + column + 1;
                if self.mask[cell] == BORDER {
                    known = None;
                    continue;
                }
                let middle = [
                    self.origin[0] + (column as f32 + 0.5) * self.cell[0],
                    self.origin[1] + (line as f32 + 0.5) * self.cell[1],
                ];
                let inside = *known.get_or_insert_with(|| even_odd(&self.edges[line], middle));
                self.mask[cell] = if inside { INSIDE } else { OUTSIDE };
            }
        }
    }
}

/// Where the edge `a`-`b` lies along x while its y is between `low` and `high`; clamped to its ends.
fn span(a: [f32; 2], b: [f32; 2], low: f32, high: f32) -> (f32, f32) {
    let slope = b[1] - a[1];
    if slope.abs() < f32::EPSILON {
        return (a[0].min(b[0]), a[0].max(b[0]));
    }
    let x_at = |y: f32| {
        let t = ((y - a[1]) / slope).clamp(0.0, 1.0);
        a[0] + t * (b[0] - a[0])
    };
    let (p, q) = (x_at(low), x_at(high));
    (p.min(q), p.max(q))
}

/// Counts the edges that a ray to the right crosses (Shimrat 1962). Without a jump in it: which edges a ray crosses is
/// different for every point.
fn even_odd(edges: &[Edge], [x, y]: [f32; 2]) -> bool {
    edges.iter().fold(false, |inside, edge| {
        let spans = (edge.low <= y) & (y < edge.high);
        let crosses = x < edge.foot[0] + (y - edge.foot[1]) * edge.slope;
        inside ^ (spans & crosses)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn cloud(n: usize) -> Cloud {
        let mut rng = Rng::named(5, "lasso test");
        let xy = (0..n).map(|_| [rng.normal() as f32, rng.normal() as f32]).collect();
        Cloud { xy, codes: vec![0; n] }
    }

    #[test]
    fn agrees_with_the_exact_test_on_a_wild_outline() {
        let mut rng = Rng::named(6, "lasso outline");
        // A scribble that crosses itself often.
        let outline: Vec<[f32; 2]> = (0..60)
            .map(|i| {
                let (radius, angle) = (0.3 + 1.5 * rng.uniform() as f32, i as f32 * 0.37);
                [radius * angle.cos(), radius * angle.sin()]
            })
            .collect();
        let lasso = Lasso::new(outline.clone()).unwrap();
        // All edges for every point, where the lasso asks those of a line alone.
        let edges: Vec<Edge> =
            outline.iter().zip(outline.iter().cycle().skip(1)).map(|(a, b)| Edge::new(*a, *b)).collect();
        let cloud = cloud(50_000);
        let selected = lasso.select(&cloud);
        for (i, &p) in cloud.xy.iter().enumerate() {
            assert_eq!(selected.get(i), even_odd(&edges, p), "{p:?}");
        }
        assert!(selected.count() > 1_000);
    }

    #[test]
    fn a_square_holds_its_share() {
        let lasso = Lasso::new(vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]).unwrap();
        assert!(lasso.contains([0.5, 0.5]) && !lasso.contains([1.5, 0.5]));
        for outside in [[f32::NAN, 0.5], [-1e-5, 0.5], [0.5, 1.000_02], [f32::INFINITY, 0.5], [0.5, -1e30]] {
            assert!(!lasso.contains(outside), "{outside:?}");
        }
        // The low edges belong to it, the high ones to what lies beyond.
        assert!(lasso.contains([0.0, 0.0]) && !lasso.contains([1.0, 1.0]));
        assert_eq!(lasso.select(&cloud(100)).iter().count(), lasso.select(&cloud(100)).count());
        assert!(Lasso::new(vec![[0.0, 0.0], [1.0, 1.0]]).is_none());
    }
}
