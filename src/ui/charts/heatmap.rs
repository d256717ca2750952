//! A matrix as colours: attention, co-occurrence. One texture, whatever the number of cells.

use super::{name_canvas, picture, short};
use crate::ui::Theme;
use egui::{
    Align2, Color32, ColorImage, FontId, Rect, Response, Sense, Stroke, TextureHandle, TextureOptions, Ui,
    pos2, vec2,
};

/// A matrix with named lines and columns. `NaN` cells are unknown and stay empty.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Accessible name.
    pub name: &'a str,
    /// What the lines are.
    pub line_axis: &'a str,
    /// What the columns are.
    pub column_axis: &'a str,
    /// Name of each line, top first.
    pub lines: &'a [String],
    /// Name of each column, left first.
    pub columns: &'a [String],
    /// `[line * columns + column]`.
    pub values: &'a [f64],
    /// True for differences: one colour below 0, another above it, none at 0.
    pub around_zero: bool,
}

/// A matrix so small that only its pattern shows; answers to clicks. `texts` stand below it.
pub fn thumbnail(
    ui: &mut Ui,
    theme: &Theme,
    matrix: Matrix<'_>,
    is_chosen: bool,
    texts: [&str; 2],
) -> Response {
    const SIDE: f32 = 84.0;
    let (rect, response) = ui.allocate_exact_size(vec2(112.0, SIDE + 36.0), Sense::click());
    name_canvas(&response, &format!("{}: {}, {}", matrix.name, texts[0], texts[1]));
    let (lines, columns) = (matrix.lines.len().max(1) as f32, matrix.columns.len().max(1) as f32);
    let range = matrix.range();
    let at = rect.min + vec2((rect.width() - SIDE) / 2.0, 2.0);
    let cell = vec2(SIDE / columns, SIDE / lines);
    let mut mesh = egui::Mesh::default();
    for (place, value) in matrix.values.iter().enumerate() {
        let (line, column) = (place / matrix.columns.len().max(1), place % matrix.columns.len().max(1));
        let corner = at + vec2(column as f32 * cell.x, line as f32 * cell.y);
        mesh.add_colored_rect(Rect::from_min_size(corner, cell), matrix.colour(theme, *value, range));
    }
    ui.painter().add(mesh);
    if is_chosen || response.hovered() {
        let colour = if is_chosen { theme.accent } else { theme.weak_text };
        let stroke = Stroke::new(2.0, colour);
        let framed = Rect::from_min_size(at, vec2(SIDE, SIDE)).expand(1.0);
        ui.painter().rect_stroke(framed, 2.0, stroke, egui::StrokeKind::Outside);
    }
    for (place, text) in texts.into_iter().enumerate() {
        let below = pos2(rect.center().x, at.y + SIDE + 4.0 + 14.0 * place as f32);
        let colour = if place == 0 { theme.text } else { theme.weak_text };
        ui.painter().text(below, Align2::CENTER_TOP, text, FontId::proportional(11.5), colour);
    }
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

impl Matrix<'_> {
    /// Smallest and largest known value, as far from 0 as each other for differences.
    fn range(&self) -> (f64, f64) {
        let (low, high) = range(self.values);
        let far = low.abs().max(high.abs());
        if self.around_zero { (-far, far) } else { (low, high) }
    }

    fn colour(&self, theme: &Theme, value: f64, range: (f64, f64)) -> Color32 {
        if value.is_nan() {
            return theme.background;
        }
        let share = share(value, range) as f32;
        if !self.around_zero {
            return theme.ramp(share);
        }
        let side = if share < 0.5 { theme.series(1) } else { theme.series(0) };
        theme.background.lerp_to_gamma(side, (2.0 * share - 1.0).abs())
    }
}

/// The texture of a matrix, made anew when the values or the colours change.
#[derive(Default)]
pub struct Heatmap {
    texture: Option<TextureHandle>,
    made_from: Vec<u64>,
    /// Line and column of the cell under the pointer.
    pub pointed: Option<(usize, usize)>,
}

const LINE_NAMES: f32 = 130.0;
const COLUMN_NAMES: f32 = 96.0;
const LEGEND: f32 = 44.0;

impl Heatmap {
    /// Draws the matrix with `describe` as the tooltip of a cell; answers the cell under the pointer.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        matrix: Matrix<'_>,
        describe: impl Fn(usize, usize) -> String,
    ) -> Response {
        picture::keepable(ui, theme, matrix.name, |ui| self.draw(ui, theme, matrix, describe))
    }

    fn draw(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        matrix: Matrix<'_>,
        describe: impl Fn(usize, usize) -> String,
    ) -> Response {
        let (lines, columns) = (matrix.lines.len(), matrix.columns.len());
        let room = ui.available_width() - LINE_NAMES - LEGEND;
        let cell = (room / columns.max(1) as f32).clamp(10.0, 34.0);
        let size = vec2(LINE_NAMES + cell * columns as f32 + LEGEND, COLUMN_NAMES + cell * lines as f32);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let (low, high) = matrix.range();
        name_canvas(
            &response,
            &format!("{}: {lines} by {columns}, values from {} to {}", matrix.name, short(low), short(high)),
        );
        let cells = Rect::from_min_size(
            rect.min + vec2(LINE_NAMES, COLUMN_NAMES),
            vec2(cell * columns as f32, cell * lines as f32),
        );
        self.texture(ui, theme, matrix, (low, high));
        if let Some(texture) = &self.texture {
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            ui.painter().image(texture.id(), cells, uv, Color32::WHITE);
        }
        draw_names(ui, theme, matrix, rect, cells, cell);
        draw_legend(ui, theme, matrix, cells, (low, high));
        self.pointed = pointed(&response, cells, cell, (lines, columns));
        match self.pointed {
            Some(at) => hover(ui, theme, response, cells, cell, describe, at),
            None => response,
        }
    }

    fn texture(&mut self, ui: &Ui, theme: &Theme, matrix: Matrix<'_>, range: (f64, f64)) {
        let mut key: Vec<u64> = matrix.values.iter().map(|v| v.to_bits()).collect();
        key.push(u64::from(theme.dark) + 2 * u64::from(matrix.around_zero));
        if self.texture.is_some() && self.made_from == key {
            return;
        }
        let size = [matrix.columns.len(), matrix.lines.len()];
        let pixels: Vec<Color32> =
            matrix.values.iter().map(|value| matrix.colour(theme, *value, range)).collect();
        if size[0] == 0 || size[0] * size[1] != pixels.len() {
            self.texture = None;
            return;
        }
        let image = ColorImage::new(size, pixels);
        let texture = ui.ctx().load_texture(matrix.name, image.clone(), TextureOptions::NEAREST);
        picture::remember(ui.ctx(), &texture, image);
        self.texture = Some(texture);
        self.made_from = key;
    }
}

fn draw_names(ui: &Ui, theme: &Theme, matrix: Matrix<'_>, rect: Rect, cells: Rect, cell: f32) {
    let painter = ui.painter();
    let font = FontId::proportional(11.5);
    let short_name = |name: &str, most: usize| {
        let mut text: String = name.chars().take(most).collect();
        if name.chars().count() > most {
            text.push('…');
        }
        text
    };
    for (line, name) in matrix.lines.iter().enumerate() {
        let at = pos2(cells.left() - 6.0, cells.top() + (line as f32 + 0.5) * cell);
        painter.text(at, Align2::RIGHT_CENTER, short_name(name, 16), font.clone(), theme.text);
    }
    for (column, name) in matrix.columns.iter().enumerate() {
        let galley = painter.layout_no_wrap(short_name(name, 12), font.clone(), theme.text);
        let at = pos2(cells.left() + (column as f32 + 0.5) * cell - galley.size().y / 2.0, cells.top() - 6.0);
        // Upwards: a quarter turn against the clock around the text's top left corner.
        painter.add(
            egui::epaint::TextShape::new(at, galley, theme.text).with_angle(-std::f32::consts::FRAC_PI_2),
        );
    }
    painter.text(rect.min, Align2::LEFT_TOP, matrix.line_axis, font.clone(), theme.weak_text);
    let below = rect.min + vec2(0.0, 15.0);
    painter.text(below, Align2::LEFT_TOP, format!("by {}", matrix.column_axis), font, theme.weak_text);
}

/// The ramp with its ends, right of the cells.
fn draw_legend(ui: &Ui, theme: &Theme, matrix: Matrix<'_>, cells: Rect, (low, high): (f64, f64)) {
    const STEPS: usize = 24;
    let painter = ui.painter();
    let left = cells.right() + 8.0;
    let height = cells.height().min(120.0);
    for step in 0..STEPS {
        let value = low + (high - low) * step as f64 / (STEPS - 1) as f64;
        let bottom = cells.top() + height * (1.0 - step as f32 / STEPS as f32);
        let top = bottom - height / STEPS as f32 - 0.5;
        let part = Rect::from_min_max(pos2(left, top), pos2(left + 8.0, bottom));
        painter.rect_filled(part, 0.0, matrix.colour(theme, value, (low, high)));
    }
    let font = FontId::proportional(10.0);
    let at = |y: f32| pos2(left + 11.0, y);
    painter.text(at(cells.top()), Align2::LEFT_TOP, short(high), font.clone(), theme.weak_text);
    painter.text(at(cells.top() + height), Align2::LEFT_BOTTOM, short(low), font, theme.weak_text);
}

/// Line and column of the cell under the pointer.
fn pointed(
    response: &Response,
    cells: Rect,
    cell: f32,
    (lines, columns): (usize, usize),
) -> Option<(usize, usize)> {
    let pointer = response.hover_pos().filter(|pointer| cells.contains(*pointer))?;
    let place = (pointer - cells.min) / cell;
    let (line, column) = (place.y as usize, place.x as usize);
    (line < lines && column < columns).then_some((line, column))
}

fn hover(
    ui: &Ui,
    theme: &Theme,
    response: Response,
    cells: Rect,
    cell: f32,
    describe: impl Fn(usize, usize) -> String,
    (line, column): (usize, usize),
) -> Response {
    let corner = cells.min + vec2(column as f32 * cell, line as f32 * cell);
    let stroke = Stroke::new(1.5, theme.text);
    let marked = Rect::from_min_size(corner, vec2(cell, cell));
    ui.painter().rect_stroke(marked, 0.0, stroke, egui::StrokeKind::Inside);
    response.on_hover_text_at_pointer(describe(line, column))
}

/// Smallest and largest known value; `(0, 0)` without any.
fn range(values: &[f64]) -> (f64, f64) {
    let known = values.iter().copied().filter(|v| v.is_finite());
    known
        .fold(None, |range, v| {
            let (low, high) = range.unwrap_or((v, v));
            Some((f64::min(low, v), f64::max(high, v)))
        })
        .unwrap_or((0.0, 0.0))
}

fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    if high > low { (value - low) / (high - low) } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_cells_do_not_stretch_the_range() {
        assert_eq!(range(&[f64::NAN, 0.2, 0.6]), (0.2, 0.6));
        assert_eq!(range(&[f64::NAN]), (0.0, 0.0));
        assert!((share(0.4, (0.2, 0.6)) - 0.5).abs() < 1e-12);
        assert_eq!(share(3.0, (3.0, 3.0)), 0.5);
    }
}
