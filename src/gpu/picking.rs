//! Which point is nearest to the cursor? A uniform grid over the cloud, built once.

use super::Cloud;

/// Points sorted by grid cell: cell `c` holds `places[starts[c]..starts[c + 1]]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PickGrid {
    origin: [f32; 2],
    cell: [f32; 2],
    columns: usize,
    lines: usize,
    starts: Vec<u32>,
    places: Vec<u32>,
}

/// Points per cell aimed at.
const CELL_POINTS: usize = 4;

impl PickGrid {
    /// Sorts the cloud's finite points into about `n / 4` cells.
    pub fn new(cloud: &Cloud) -> Self {
        let Some([left, bottom, right, top]) = cloud.bounds() else {
            return Self::default();
        };
        let side = ((cloud.xy.len() / CELL_POINTS) as f64).sqrt().ceil().clamp(1.0, 2048.0) as usize;
        let step = |extent: f32| (extent / side as f32).max(f32::MIN_POSITIVE);
        let mut grid = Self {
            origin: [left, bottom],
            cell: [step(right - left), step(top - bottom)],
            columns: side,
            lines: side,
            starts: vec![0; side * side + 1],
            places: Vec::new(),
        };
        let cells: Vec<Option<usize>> = cloud.xy.iter().map(|&p| grid.cell_of(p)).collect();
        for cell in cells.iter().flatten() {
            grid.starts[cell + 1] += 1;
        }
        for cell in 0..side * side {
            grid.starts[cell + 1] += grid.starts[cell];
        }
        let mut next = grid.starts.clone();
        grid.places = vec![0; cells.iter().flatten().count()];
        for (place, cell) in cells.iter().enumerate() {
            if let Some(cell) = cell {
                grid.places[next[*cell] as usize] = place as u32;
                next[*cell] += 1;
            }
        }
        grid
    }

    /// The point of `cloud` nearest to `world`, at most `reach` away; the earlier one wins a tie.
    pub fn nearest(&self, cloud: &Cloud, world: [f32; 2], reach: f32) -> Option<usize> {
        if self.starts.is_empty() || reach.is_nan() || reach < 0.0 {
            return None;
        }
        let range = |axis: usize, count: usize| {
            let at = |v: f32| {
                (((v - self.origin[axis]) / self.cell[axis]).floor()).clamp(0.0, count as f32 - 1.0) as usize
            };
            at(world[axis] - reach)..=at(world[axis] + reach)
        };
        let mut best: Option<(f32, u32)> = None;
        for line in range(1, self.lines) {
            for column in range(0, self.columns) {
                let cell = line * self.columns + column;
                let (start, end) = (self.starts[cell] as usize, self.starts[cell + 1] as usize);
                for &place in &self.places[start..end] {
                    let [x, y] = cloud.xy[place as usize];
                    let distance = (x - world[0]).hypot(y - world[1]);
                    let closer = best.is_none_or(|(least, first)| {
                        distance < least || (distance == least && place < first)
                    });
                    if distance <= reach && closer {
                        best = Some((distance, place));
                    }
                }
            }
        }
        best.map(|(_, place)| place as usize)
    }

    fn cell_of(&self, [x, y]: [f32; 2]) -> Option<usize> {
        if !(x.is_finite() && y.is_finite()) {
            return None;
        }
        let column = ((x - self.origin[0]) / self.cell[0]) as usize;
        let line = ((y - self.origin[1]) / self.cell[1]) as usize;
        Some(line.min(self.lines - 1) * self.columns + column.min(self.columns - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn agrees_with_looking_at_every_point() {
        let mut rng = Rng::named(3, "picking test");
        let mut at = || [(rng.normal() * 3.0) as f32, rng.normal() as f32];
        let mut xy: Vec<[f32; 2]> = (0..5_000).map(|_| at()).collect();
        xy[17] = [f32::NAN, 0.0];
        let cloud = Cloud { codes: vec![0; xy.len()], xy };
        let grid = PickGrid::new(&cloud);
        for _ in 0..300 {
            let world = at();
            let reach = 0.2;
            let plain = cloud
                .xy
                .iter()
                .enumerate()
                .map(|(i, p)| ((p[0] - world[0]).hypot(p[1] - world[1]), i))
                .filter(|(distance, _)| *distance <= reach)
                .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
                .map(|(_, i)| i);
            assert_eq!(grid.nearest(&cloud, world, reach), plain);
        }
    }

    #[test]
    fn an_empty_or_flat_cloud_is_no_trouble() {
        let empty = Cloud::default();
        assert_eq!(PickGrid::new(&empty).nearest(&empty, [0.0, 0.0], 1.0), None);
        let flat = Cloud { xy: vec![[1.0, 1.0]; 9], codes: vec![0; 9] };
        assert_eq!(PickGrid::new(&flat).nearest(&flat, [1.0, 1.0], 0.1), Some(0));
    }
}
