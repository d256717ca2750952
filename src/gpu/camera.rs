//! Which part of the plane is in view? Pan, zoom about the cursor, and both ways between world and screen.

/// A view of the plane without rotation. World y grows upwards, screen y (pixels from the top left) downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// World point in the middle of the view.
    pub centre: [f32; 2],
    /// Pixels per world unit.
    pub zoom: f32,
}

/// Zoom is kept where single precision still tells neighbouring pixels apart.
const ZOOM_RANGE: (f32, f32) = (1e-6, 1e9);

impl Camera {
    /// Shows all of `bounds` (`[left, bottom, right, top]`) in a view of `size` pixels, with a margin of 5 %.
    pub fn fit(bounds: [f32; 4], size: [f32; 2]) -> Self {
        let [left, bottom, right, top] = bounds;
        let extent = [right - left, top - bottom].map(|e| e.max(f32::MIN_POSITIVE));
        let zoom = (0.9 * size[0] / extent[0]).min(0.9 * size[1] / extent[1]);
        // One point, or all equal: any finite zoom shows it.
        let alone = right <= left && top <= bottom;
        Self {
            centre: [(left + right) / 2.0, (bottom + top) / 2.0],
            zoom: if alone { 1.0 } else { zoom.clamp(ZOOM_RANGE.0, ZOOM_RANGE.1) },
        }
    }

    /// Where a world point is seen.
    pub fn screen_from_world(&self, world: [f32; 2], size: [f32; 2]) -> [f32; 2] {
        [
            size[0] / 2.0 + (world[0] - self.centre[0]) * self.zoom,
            size[1] / 2.0 - (world[1] - self.centre[1]) * self.zoom,
        ]
    }

    /// Which world point lies under a pixel.
    pub fn world_from_screen(&self, screen: [f32; 2], size: [f32; 2]) -> [f32; 2] {
        [
            self.centre[0] + (screen[0] - size[0] / 2.0) / self.zoom,
            self.centre[1] - (screen[1] - size[1] / 2.0) / self.zoom,
        ]
    }

    /// Moves the picture by `[dx, dy]` pixels.
    pub fn pan(&mut self, delta: [f32; 2]) {
        self.centre[0] -= delta[0] / self.zoom;
        self.centre[1] += delta[1] / self.zoom;
    }

    /// Zooms by `factor` so that the world point under `cursor` (pixels) stays there.
    pub fn zoom_about(&mut self, cursor: [f32; 2], size: [f32; 2], factor: f32) {
        if !(factor.is_finite() && factor > 0.0) {
            return;
        }
        let held = self.world_from_screen(cursor, size);
        self.zoom = (self.zoom * factor).clamp(ZOOM_RANGE.0, ZOOM_RANGE.1);
        let moved = self.world_from_screen(cursor, size);
        self.centre[0] += held[0] - moved[0];
        self.centre[1] += held[1] - moved[1];
    }

    /// `[scale x, scale y]` with `clip = (world - centre) * scale`, for the vertex stage.
    pub fn clip_scale(&self, size: [f32; 2]) -> [f32; 2] {
        [2.0 * self.zoom / size[0], 2.0 * self.zoom / size[1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f32; 2] = [800.0, 600.0];

    fn near(a: [f32; 2], b: [f32; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-2 && (a[1] - b[1]).abs() < 1e-2
    }

    #[test]
    fn both_ways_agree_and_y_points_up() {
        let camera = Camera::fit([-2.0, -1.0, 6.0, 3.0], SIZE);
        let middle = camera.screen_from_world([2.0, 1.0], SIZE);
        assert!(near(middle, [400.0, 300.0]));
        assert!(camera.screen_from_world([2.0, 2.0], SIZE)[1] < 300.0);
        let world = camera.world_from_screen([17.0, 555.0], SIZE);
        assert!(near(camera.screen_from_world(world, SIZE), [17.0, 555.0]));
    }

    #[test]
    fn zooming_holds_the_point_under_the_cursor() {
        let mut camera = Camera::fit([0.0, 0.0, 1.0, 1.0], SIZE);
        let (cursor, before) = ([120.0, 480.0], camera.world_from_screen([120.0, 480.0], SIZE));
        camera.zoom_about(cursor, SIZE, 7.5);
        assert!(near(camera.screen_from_world(before, SIZE), cursor));
        camera.zoom_about(cursor, SIZE, f32::NAN);
        assert!(camera.zoom.is_finite());
    }

    #[test]
    fn panning_moves_the_picture_with_the_hand() {
        let mut camera = Camera::fit([0.0, 0.0, 1.0, 1.0], SIZE);
        let before = camera.screen_from_world([0.3, 0.4], SIZE);
        camera.pan([10.0, -20.0]);
        let after = camera.screen_from_world([0.3, 0.4], SIZE);
        assert!(near(after, [before[0] + 10.0, before[1] - 20.0]));
    }

    #[test]
    fn a_single_point_gets_a_finite_view() {
        let camera = Camera::fit([3.0, 3.0, 3.0, 3.0], SIZE);
        assert!(near(camera.screen_from_world([3.0, 3.0], SIZE), [400.0, 300.0]));
    }
}
