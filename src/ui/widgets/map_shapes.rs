//! What is drawn over the points of a map: lines of equal density, arrows, names and captions.

use crate::gpu::contours::Contour;
use crate::ui::Theme;
use egui::{Align2, FontId, Painter, Pos2, Rect, Shape, Stroke, vec2};

/// Arrows shorter than this say nothing.
const LEAST_PIXELS: f32 = 3.0;

/// Smallest and largest coordinates of the finite places; zeros where there are none.
pub fn extent(places: &[[f32; 3]]) -> ([f32; 3], [f32; 3]) {
    let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for place in places.iter().filter(|place| place.iter().all(|value| value.is_finite())) {
        for axis in 0..3 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
    }
    if low[0] > high[0] { ([0.0; 3], [0.0; 3]) } else { (low, high) }
}

/// Lines of equal density in a view.
pub fn contours(painter: &Painter, theme: &Theme, rect: Rect, lines: &[Contour]) {
    for line in lines {
        let stroke = Stroke::new(0.6 + 1.2 * line.level, theme.text.gamma_multiply(0.35 + 0.5 * line.level));
        painter.extend(
            line.pieces
                .iter()
                .map(|piece| Shape::line_segment(piece.map(|[x, y]| rect.min + vec2(x, y)), stroke)),
        );
    }
}

/// From where points came to where they are.
pub fn arrows(painter: &Painter, theme: &Theme, arrows: &[[Pos2; 2]]) {
    let stroke = Stroke::new(1.0, theme.accent.gamma_multiply(0.7));
    for [from, to] in arrows.iter().filter(|[from, to]| from.distance(*to) >= LEAST_PIXELS) {
        painter.arrow(*from, *to - *from, stroke);
    }
}

/// Moved so far that nothing sticks out at the sides.
fn inside(place: Rect, frame: Rect) -> Rect {
    let left = (frame.left() - place.left()).max(0.0);
    let right = (place.right() - frame.right()).max(0.0);
    place.translate(vec2(left - right, 0.0))
}

/// Names beside points; those of less weight give way where there is no room.
pub struct Names<'a> {
    painter: &'a Painter,
    theme: &'a Theme,
    taken: Vec<Rect>,
}

impl<'a> Names<'a> {
    /// An empty map.
    pub fn new(painter: &'a Painter, theme: &'a Theme) -> Self {
        Self { painter, theme, taken: Vec::new() }
    }

    /// A name beside a point.
    pub fn write(&mut self, at: Pos2, name: &str, strong: bool) {
        let colour = if strong { self.theme.text } else { self.theme.weak_text };
        let galley = self.painter.layout_no_wrap(name.to_owned(), FontId::proportional(11.5), colour);
        let mut place = Rect::from_min_size(at + vec2(7.0, -7.0), galley.size());
        let frame = self.painter.clip_rect();
        if place.right() > frame.right() {
            place = place.translate(vec2(-14.0 - place.width(), 0.0));
        }
        if strong || !self.taken.iter().any(|other| other.intersects(place)) {
            self.painter.galley(place.min, galley, colour);
            self.taken.push(place);
        }
    }

    /// Words over a heap, on a ground of their own.
    pub fn caption(&mut self, at: Pos2, words: &str) {
        let colour = self.theme.text;
        let galley = self.painter.layout_no_wrap(words.to_owned(), FontId::proportional(12.5), colour);
        let place = inside(Align2::CENTER_CENTER.anchor_size(at, galley.size()), self.painter.clip_rect());
        if self.taken.iter().any(|other| other.intersects(place)) {
            return;
        }
        self.painter.rect_filled(place.expand(3.0), 3.0, self.theme.background.gamma_multiply(0.8));
        self.painter.galley(place.min, galley, colour);
        self.taken.push(place);
    }
}
