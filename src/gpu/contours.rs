//! Where does a density cross given heights? Lines by marching squares (Lorensen & Cline 1987, in the plane).

use super::density::{DensityGrid, View};
use super::{Camera, Cloud};

/// Pieces of a contour line, in pixels of the view.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contour {
    /// Share of the highest density that the line stands for.
    pub level: f32,
    /// Straight pieces.
    pub pieces: Vec<[[f32; 2]; 2]>,
}

/// Heights of the lines, as shares of the highest density.
pub const LEVELS: [f32; 4] = [0.05, 0.15, 0.35, 0.7];

/// Pixels of the view to one cell.
const COARSE: f32 = 6.0;
/// Standard deviation of the kernel in cells.
const SIGMA: f32 = 2.0;
const REACH: isize = 6;

/// The contour lines of a cloud as a view of `size` pixels shows it.
pub fn contours(cloud: &Cloud, camera: Camera, size: [f32; 2]) -> Vec<Contour> {
    let cells = size.map(|side| (side / COARSE).ceil().max(2.0) as usize);
    let coarse = Camera { zoom: camera.zoom / COARSE, ..camera };
    let view = View { camera: coarse, size: cells, palette: &[], selected: None };
    let counts: Vec<u32> = DensityGrid::count(cloud, view).cells.iter().map(|cell| cell[0]).collect();
    let field = smooth(&counts, cells);
    let highest = field.iter().copied().fold(0.0, f32::max);
    if highest <= 0.0 {
        return Vec::new();
    }
    // Half a cell and the rounding of the number of cells lie between the two grids.
    let shift = [0, 1].map(|axis| (size[axis] - cells[axis] as f32 * COARSE) / 2.0);
    let pixel = |at: [f32; 2]| [0, 1].map(|axis| (at[axis] + 0.5) * COARSE + shift[axis]);
    let line = |level: f32| Contour {
        level,
        pieces: crossings(&field, cells[0], level * highest)
            .into_iter()
            .map(|piece| piece.map(pixel))
            .collect(),
    };
    LEVELS.into_iter().map(line).collect()
}

/// Counts under a Gaussian kernel.
fn smooth(counts: &[u32], [width, height]: [usize; 2]) -> Vec<f32> {
    let kernel: Vec<f32> = (-REACH..=REACH).map(|at| (-(at as f32 / SIGMA).powi(2) / 2.0).exp()).collect();
    let across = |from: &[f32], step: usize, count: usize, at_of: &dyn Fn(usize) -> usize| -> Vec<f32> {
        (0..from.len())
            .map(|cell| {
                let at = at_of(cell) as isize;
                kernel
                    .iter()
                    .zip(-REACH..)
                    .filter(|(_, by)| at + by >= 0 && at + by < count as isize)
                    .map(|(weight, by)| weight * from[(cell as isize + by * step as isize) as usize])
                    .sum()
            })
            .collect()
    };
    let field: Vec<f32> = counts.iter().map(|count| *count as f32).collect();
    let field = across(&field, 1, width, &|cell| cell % width);
    across(&field, width, height, &|cell| cell / width)
}

/// Pieces along which a field on a grid has the value `level`, linear between its points.
fn crossings(field: &[f32], width: usize, level: f32) -> Vec<[[f32; 2]; 2]> {
    let mut pieces = Vec::new();
    let height = field.len() / width;
    for y in 0..height.saturating_sub(1) {
        for x in 0..width - 1 {
            // Corners around the square, and where each side is crossed.
            let corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)];
            let values = corners.map(|(x, y)| field[y * width + x]);
            let mut points: Vec<[f32; 2]> = Vec::new();
            for side in 0..4 {
                let (a, b) = (side, (side + 1) % 4);
                if (values[a] >= level) != (values[b] >= level) {
                    let t = (level - values[a]) / (values[b] - values[a]);
                    let at = |a: usize, b: usize| a as f32 + t * (b as f32 - a as f32);
                    points.push([at(corners[a].0, corners[b].0), at(corners[a].1, corners[b].1)]);
                }
            }
            match points[..] {
                [a, b] => pieces.push([a, b]),
                // A saddle: the middle decides which corners belong together.
                [a, b, c, d] => {
                    let middle = values.iter().sum::<f32>() / 4.0;
                    let joined = (middle >= level) == (values[0] >= level);
                    pieces.extend(if joined { [[a, b], [c, d]] } else { [[d, a], [b, c]] });
                }
                _ => {}
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn the_line_of_a_cone_is_a_circle() {
        let width = 41;
        let field: Vec<f32> = (0..width * width)
            .map(|cell| 20.0 - ((cell % width) as f32 - 20.0).hypot((cell / width) as f32 - 20.0))
            .collect();
        let pieces = crossings(&field, width, 10.0);
        let radius = |at: &[f32; 2]| (at[0] - 20.0).hypot(at[1] - 20.0);
        assert!(pieces.iter().flatten().all(|at| (radius(at) - 10.0).abs() < 0.1));
        let length: f32 = pieces.iter().map(|[a, b]| (a[0] - b[0]).hypot(a[1] - b[1])).sum();
        assert!((length - 20.0 * std::f32::consts::PI).abs() < 1.0, "{length}");
    }

    #[test]
    fn lines_lie_around_the_points_where_the_view_shows_them() {
        let mut rng = Rng::named(5, "contours test");
        let xy = (0..4_000).map(|_| [5.0 + rng.normal() as f32, rng.normal() as f32]).collect();
        let cloud = Cloud { xy, codes: vec![0; 4_000] };
        let camera = Camera { centre: [4.0, 0.0], zoom: 60.0 };
        let lines = contours(&cloud, camera, [800.0, 601.0]);
        assert_eq!(lines.len(), LEVELS.len());
        let [x, y] = camera.screen_from_world([5.0, 0.0], [800.0, 601.0]);
        for line in &lines {
            let n = 2.0 * line.pieces.len() as f32;
            let sum = |axis: usize| line.pieces.iter().flatten().map(|at| at[axis]).sum::<f32>() / n;
            // The middle of the line of a round heap is that of the heap; a seventh of a deviation is 9 pixels.
            assert!((sum(0) - x).abs() < 12.0 && (sum(1) - y).abs() < 12.0, "{} {x} {} {y}", sum(0), sum(1));
        }
        assert!(contours(&Cloud::default(), camera, [80.0, 60.0]).is_empty());
    }
}
