//! From where is a cloud of three dimensions seen? Turned about its middle, then flattened without perspective, so that
//! all that asks for a plane (drawing, picking, fencing in) goes on as it does.

use rayon::prelude::*;

/// A direction of view; the default looks along the third axis, at the first two.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Orbit {
    /// Turn about the upright axis, in radians.
    pub yaw: f32,
    /// Tilt, in radians.
    pub pitch: f32,
}

impl Orbit {
    /// Turns by a drag of so many pixels.
    pub fn drag(&mut self, [x, y]: [f32; 2]) {
        const RADIANS: f32 = 0.008;
        self.yaw += RADIANS * x;
        self.pitch =
            (self.pitch + RADIANS * y).clamp(-std::f32::consts::FRAC_PI_2, std::f32::consts::FRAC_PI_2);
    }

    /// Where places are seen, about `middle`, which stays where it is.
    pub fn flatten(&self, places: &[[f32; 3]], middle: [f32; 3]) -> Vec<[f32; 2]> {
        if *self == Self::default() {
            return places.par_iter().map(|[x, y, _]| [*x, *y]).collect();
        }
        let ((sin_yaw, cos_yaw), (sin_pitch, cos_pitch)) = (self.yaw.sin_cos(), self.pitch.sin_cos());
        let seen = |place: &[f32; 3]| {
            let [x, y, z] = [0, 1, 2].map(|axis| place[axis] - middle[axis]);
            let behind = cos_yaw * z - sin_yaw * x;
            [middle[0] + cos_yaw * x + sin_yaw * z, middle[1] + cos_pitch * y - sin_pitch * behind]
        };
        places.par_iter().map(seen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_shows_the_third_axis_and_keeps_the_middle() {
        let quarter = Orbit { yaw: std::f32::consts::FRAC_PI_2, pitch: 0.0 };
        let seen = quarter.flatten(&[[1.0, 2.0, 3.0], [1.0, 2.0, 8.0], [4.0, 2.0, 3.0]], [1.0, 2.0, 3.0]);
        let want = [[1.0, 2.0], [6.0, 2.0], [1.0, 2.0]];
        for (seen, want) in seen.iter().zip(want) {
            assert!((seen[0] - want[0]).abs() < 1e-5 && (seen[1] - want[1]).abs() < 1e-5, "{seen:?}");
        }
        let above = Orbit { yaw: 0.0, pitch: std::f32::consts::FRAC_PI_2 };
        let seen = above.flatten(&[[0.0, 5.0, 2.0]], [0.0; 3]);
        assert!((seen[0][1] + 2.0).abs() < 1e-5 && seen[0][0].abs() < 1e-6, "{seen:?}");
        assert_eq!(Orbit::default().flatten(&[[1.0, 2.0, 3.0]], [9.0; 3]), [[1.0, 2.0]]);
    }

    #[test]
    fn a_drag_turns_and_never_tilts_over_the_top() {
        let mut orbit = Orbit::default();
        orbit.drag([10.0, 1e6]);
        assert!((orbit.yaw - 0.08).abs() < 1e-6);
        assert!((orbit.pitch - std::f32::consts::FRAC_PI_2).abs() < 1e-6);
    }
}
