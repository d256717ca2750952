//! How does a cloud look without a graphics processor? Points counted into a grid, the grid coloured.

use super::{Bits, Camera, Cloud};
use rayon::prelude::*;

/// Counts and colour sums of the points in each pixel of a view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DensityGrid {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// For each pixel, row by row from the top: its points, and the sums of the palette's red, green and blue over them.
    /// One place for all four, because a point that falls far from the last one costs a fetch from memory.
    pub cells: Vec<[u32; 4]>,
    /// Points that fell into the view.
    pub visible: usize,
}

/// How a cloud is to be seen.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is in view.
    pub camera: Camera,
    /// Size in pixels.
    pub size: [usize; 2],
    /// Colours by code, sRGB; a code beyond the end takes the last.
    pub palette: &'a [[u8; 3]],
    /// Points to show in full; the others are left out while anything is selected.
    pub selected: Option<&'a Bits>,
}

impl View<'_> {
    /// What a point of each code adds to its pixel: one point, and its colour.
    pub(super) fn entries(&self) -> [[u32; 4]; 256] {
        let last = self.palette.last().copied().unwrap_or([255; 3]);
        std::array::from_fn(|code| {
            let [red, green, blue] = self.palette.get(code).copied().unwrap_or(last).map(u32::from);
            [1, red, green, blue]
        })
    }
}

impl DensityGrid {
    /// Counts the points of `cloud` per pixel. A point belongs to the pixel that its centre falls into.
    pub fn count(cloud: &Cloud, view: View<'_>) -> Self {
        let [width, height] = view.size;
        let palette = view.entries();
        let threads = rayon::current_num_threads().max(1);
        let chunk = cloud.xy.len().div_ceil(threads).max(1);
        let parts: Vec<Self> = cloud
            .xy
            .par_chunks(chunk)
            .zip(cloud.codes.par_chunks(chunk))
            .enumerate()
            .map(|(part, (xy, codes))| {
                let mut grid = Self::empty(width, height);
                let points = xy.iter().zip(codes);
                match view.selected {
                    None => grid.add(points, view.camera, &palette),
                    Some(bits) => {
                        let first = part * chunk;
                        let chosen = points.enumerate().filter(|(offset, _)| bits.get(first + offset));
                        grid.add(chosen.map(|(_, point)| point), view.camera, &palette);
                    }
                }
                grid
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut total = parts.next().unwrap_or_else(|| Self::empty(width, height));
        for part in parts {
            total.visible += part.visible;
            total.cells.par_iter_mut().zip(&part.cells).with_min_len(1 << 14).for_each(|(sum, add)| {
                sum.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
            });
        }
        total
    }

    fn empty(width: usize, height: usize) -> Self {
        Self { width, height, cells: vec![[0; 4]; width * height], visible: 0 }
    }

    fn add<'a>(
        &mut self,
        points: impl Iterator<Item = (&'a [f32; 2], &'a u8)>,
        camera: Camera,
        palette: &[[u32; 4]; 256],
    ) {
        let size = [self.width as f32, self.height as f32];
        for (&point, &code) in points {
            let [x, y] = camera.screen_from_world(point, size);
            // A comparison with NaN is false, so points without a place fall through.
            if x >= 0.0 && y >= 0.0 && x < size[0] && y < size[1] {
                self.visible += 1;
                let cell = &mut self.cells[y as usize * self.width + x as usize];
                cell.iter_mut().zip(&palette[code as usize]).for_each(|(sum, add)| *sum += add);
            }
        }
    }

    /// Colours the grid: the mean colour of each pixel's points, the more opaque the more points (logarithm
    /// of the count over the highest), as premultiplied RGBA. Points are spread over `radius` pixels so that
    /// lone ones can be seen.
    pub fn colour(&self, radius: usize) -> Vec<[u8; 4]> {
        let spread = if radius == 0 { None } else { Some(self.spread(radius)) };
        let cells = &spread.as_ref().unwrap_or(self).cells;
        let highest = cells.par_iter().with_min_len(1 << 14).map(|cell| cell[0]).max().unwrap_or(0);
        let scale = 1.0 / f64::from(highest).ln_1p().max(f64::MIN_POSITIVE);
        let alpha_of = |count: u32| 0.35 + 0.65 * f64::from(count).ln_1p() * scale;
        // Most pixels hold few points: their logarithms are taken once.
        let known: Vec<f64> = (0..=highest.min(1 << 12)).map(alpha_of).collect();
        let colour = |&[count, red, green, blue]: &[u32; 4]| {
            if count == 0 {
                return [0; 4];
            }
            let alpha = known.get(count as usize).copied().unwrap_or_else(|| alpha_of(count));
            let share = alpha / f64::from(count);
            let mean = |sum: u32| (f64::from(sum) * share).round() as u8;
            [mean(red), mean(green), mean(blue), (255.0 * alpha).round() as u8]
        };
        cells.par_iter().with_min_len(1 << 14).map(colour).collect()
    }

    /// Adds every pixel's counts to the disc around it.
    fn spread(&self, radius: usize) -> Self {
        let reach = radius as isize;
        let disc: Vec<(isize, isize)> = (-reach..=reach)
            .flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)))
            .filter(|(dx, dy)| dx * dx + dy * dy <= reach * reach + 1)
            .collect();
        let mut out = Self { visible: self.visible, ..Self::empty(self.width, self.height) };
        for (pixel, cell) in self.cells.iter().enumerate().filter(|(_, cell)| cell[0] > 0) {
            let (x, y) = ((pixel % self.width) as isize, (pixel / self.width) as isize);
            for &(dx, dy) in &disc {
                let (px, py) = (x + dx, y + dy);
                let inside = px >= 0 && py >= 0 && px < self.width as isize && py < self.height as isize;
                if inside {
                    let at = &mut out.cells[py as usize * self.width + px as usize];
                    at.iter_mut().zip(cell).for_each(|(sum, add)| *sum += add);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    const PALETTE: [[u8; 3]; 2] = [[200, 0, 10], [0, 100, 250]];

    fn cloud(n: usize) -> Cloud {
        let mut rng = Rng::named(8, "density test");
        let mut xy: Vec<[f32; 2]> = (0..n).map(|_| [rng.normal() as f32, rng.normal() as f32]).collect();
        xy[3] = [f32::NAN, 0.0];
        let codes = (0..n).map(|_| u8::from(rng.chance(0.3))).collect();
        Cloud { xy, codes }
    }

    fn view(selected: Option<&Bits>) -> View<'_> {
        View {
            camera: Camera { centre: [0.1, -0.2], zoom: 40.0 },
            size: [160, 120],
            palette: &PALETTE,
            selected,
        }
    }

    /// One point at a time, on one thread, in world space: the pixel's own box is searched, not computed.
    fn plain_count(cloud: &Cloud) -> Vec<u32> {
        let mut counts = vec![0; 160 * 120];
        for p in &cloud.xy {
            let at = [80.0 + (p[0] - 0.1) * 40.0, 60.0 - (p[1] + 0.2) * 40.0];
            let column = (0..160).find(|&c| at[0] >= c as f32 && at[0] < (c + 1) as f32);
            let line = (0..120).find(|&l| at[1] >= l as f32 && at[1] < (l + 1) as f32);
            if let (Some(column), Some(line)) = (column, line) {
                counts[line * 160 + column] += 1;
            }
        }
        counts
    }

    #[test]
    fn the_grid_equals_a_plain_count() {
        let cloud = cloud(20_000);
        let grid = DensityGrid::count(&cloud, view(None));
        let counts: Vec<u32> = grid.cells.iter().map(|cell| cell[0]).collect();
        assert_eq!(counts, plain_count(&cloud));
        assert_eq!(grid.visible, counts.iter().sum::<u32>() as usize);
        let red: u32 = grid.cells.iter().map(|cell| cell[1]).sum();
        assert_eq!(red % 200, 0);
    }

    #[test]
    fn a_selection_leaves_the_others_out() {
        let cloud = cloud(500);
        let mut bits = Bits::new(500);
        (0..500).step_by(5).for_each(|i| bits.set(i));
        let all = DensityGrid::count(&cloud, view(None)).visible;
        let some = DensityGrid::count(&cloud, view(Some(&bits))).visible;
        assert!(some > 50 && some < all / 3, "{some} of {all}");
    }

    #[test]
    fn a_lone_point_is_seen_in_its_colour() {
        let lone = Cloud { xy: vec![[0.1, -0.2]], codes: vec![1] };
        let grid = DensityGrid::count(&lone, view(None));
        let pixels = grid.colour(2);
        let lit: Vec<_> = pixels.iter().filter(|p| p[3] > 0).collect();
        assert!(lit.len() >= 9, "{}", lit.len());
        assert!(lit.iter().all(|p| **p == [0, 100, 250, 255]), "{:?}", lit[0]);
        assert!(DensityGrid::count(&Cloud::default(), view(None)).colour(0).iter().all(|p| p[3] == 0));
    }
}
