//! Which values go with which answer? One upright axis a column, one line a row from axis to axis.

use super::{Frame, name_canvas, picture};
use crate::ui::Theme;
use egui::{Align2, FontId, Pos2, Response, Sense, Stroke, Ui, vec2};

/// Room for names above the axes and for numbers beside them.
const TOP: f32 = 26.0;
const BOTTOM: f32 = 12.0;
const SIDE: f32 = 70.0;
const SMALL: f32 = 11.0;

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it shows.
    pub name: String,
    /// Marks from 0 (bottom) to 1 with their words.
    pub ticks: Vec<(f64, String)>,
}

/// A row: where it crosses each axis, `None` where it is not known.
#[derive(Debug, Clone)]
pub struct Crossing {
    /// From 0 to 1, one an axis.
    pub places: Vec<Option<f64>>,
    /// Its place on the ramp of colours; `None` is drawn pale.
    pub colour: Option<f32>,
    /// True for the one that stands out.
    pub is_best: bool,
}

/// Draws the rows over the axes.
pub fn show(ui: &mut Ui, theme: &Theme, frame: Frame<'_>, axes: &[Axis], rows: &[Crossing]) -> Response {
    picture::keepable(ui, theme, frame.name, |ui| draw(ui, theme, frame, axes, rows))
}

fn draw(ui: &mut Ui, theme: &Theme, frame: Frame<'_>, axes: &[Axis], rows: &[Crossing]) -> Response {
    let size = vec2(ui.available_width().clamp(320.0, 1200.0), frame.height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let painter = ui.painter_at(rect);
    let gaps = axes.len().saturating_sub(1).max(1) as f32;
    let x = |axis: usize| rect.left() + SIDE + (rect.width() - 2.0 * SIDE) * axis as f32 / gaps;
    let y = |place: f64| {
        let (top, bottom) = (rect.top() + TOP, rect.bottom() - BOTTOM);
        bottom - (bottom - top) * place.clamp(0.0, 1.0) as f32
    };
    // The best is drawn over the others, the pale ones under them.
    let mut order: Vec<&Crossing> = rows.iter().collect();
    order.sort_by_key(|row| (row.is_best, row.colour.is_some()));
    for row in order {
        let (colour, width) = match (row.is_best, row.colour) {
            (true, _) => (theme.accent, 3.0),
            (false, Some(share)) => (theme.ramp(share), 1.3),
            (false, None) => (theme.line, 1.0),
        };
        let known = row.places.iter().enumerate().filter_map(|(axis, place)| Some((axis, (*place)?)));
        let points: Vec<Pos2> = known.map(|(axis, place)| Pos2::new(x(axis), y(place))).collect();
        for pair in points.windows(2) {
            painter.line_segment([pair[0], pair[1]], Stroke::new(width, colour));
        }
    }
    for (place, axis) in axes.iter().enumerate() {
        let line = [Pos2::new(x(place), y(0.0)), Pos2::new(x(place), y(1.0))];
        painter.line_segment(line, Stroke::new(1.0, theme.weak_text));
        let above = Pos2::new(x(place), rect.top() + 2.0);
        painter.text(above, Align2::CENTER_TOP, &axis.name, FontId::proportional(SMALL + 1.0), theme.text);
        for (share, words) in &axis.ticks {
            let at = Pos2::new(x(place) + 4.0, y(*share));
            painter.text(at, Align2::LEFT_CENTER, words, FontId::proportional(SMALL), theme.weak_text);
        }
    }
    name_canvas(&response, &summary(frame, axes, rows));
    response
}

/// `Trials (axes learning rate, AUC): 12 lines, the best at 0.5, 1`
fn summary(frame: Frame<'_>, axes: &[Axis], rows: &[Crossing]) -> String {
    let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
    let places = |row: &Crossing| {
        let words =
            row.places.iter().map(|place| place.map_or_else(|| "?".to_owned(), |p| format!("{p:.2}")));
        words.collect::<Vec<_>>().join(", ")
    };
    let best = rows.iter().find(|row| row.is_best);
    let best = best.map_or_else(String::new, |row| format!(", the best at {}", places(row)));
    format!("{} (axes {}): {} lines{best}", frame.name, names.join(", "), rows.len())
}
