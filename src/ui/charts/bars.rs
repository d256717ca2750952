//! Rates by group: one row a group, its name, a bar, its interval and the number.

use super::{name_canvas, picture, short};
use crate::ui::Theme;
use egui::{Align2, Color32, FontId, Pos2, Rect, Response, Sense, Stroke, Ui, Vec2, pos2, vec2};

/// One row of a bar chart.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name; elided where there is no room.
    pub name: String,
    /// Length of the bar.
    pub value: f64,
    /// Ends of the interval; `None` where the value is no estimate.
    pub interval: Option<(f64, f64)>,
    /// What stands to the right of the bar: the number with its n.
    pub text: String,
}

/// How the rows are drawn.
#[derive(Debug, Clone, Copy)]
pub struct BarStyle<'a> {
    /// Accessible name, with the unit: "CTR by segment (%)".
    pub name: &'a str,
    /// Colour of the bars.
    pub colour: Color32,
    /// A thin line across all rows: the average. `None` for none.
    pub reference: Option<f64>,
    /// The row that is chosen.
    pub marked: Option<usize>,
}

const ROW_HEIGHT: f32 = 20.0;

/// Draws all rows below each other; the response tells which row is under the pointer by [`row_at`].
pub fn show(ui: &mut Ui, theme: &Theme, style: BarStyle<'_>, rows: &[Row]) -> Response {
    picture::keepable(ui, theme, style.name, |ui| draw(ui, theme, style, rows))
}

fn draw(ui: &mut Ui, theme: &Theme, style: BarStyle<'_>, rows: &[Row]) -> Response {
    let size = vec2(ui.available_width().max(160.0), ROW_HEIGHT * rows.len() as f32);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    name_canvas(&response, &summary(style.name, rows));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let layout = Layout::new(rect, rows, style.reference);
    // Also those that are scrolled out of sight: a picture of the chart shows all of it.
    for (place, row) in rows.iter().enumerate() {
        let line = layout.line(place);
        if style.marked == Some(place) {
            ui.painter().rect_filled(line, 2.0, theme.faint(theme.accent));
        }
        draw_row(ui, theme, style.colour, &layout, line, row);
    }
    if let Some(reference) = style.reference {
        let x = layout.x(reference);
        let stroke = Stroke::new(1.0, theme.weak_text);
        ui.painter().extend(egui::Shape::dashed_line(
            &[pos2(x, rect.top()), pos2(x, rect.bottom())],
            stroke,
            4.0,
            3.0,
        ));
    }
    response
}

/// Which row lies at a height within the chart.
pub fn row_at(response: &Response, pointer: Pos2) -> usize {
    ((pointer.y - response.rect.top()) / ROW_HEIGHT).max(0.0) as usize
}

fn draw_row(ui: &Ui, theme: &Theme, colour: Color32, layout: &Layout, line: Rect, row: &Row) {
    let painter = ui.painter();
    let font = FontId::proportional(12.5);
    let name_rect = Rect::from_min_max(line.min, pos2(layout.zero - 6.0, line.bottom()));
    let name = painter.layout_job(elided(&row.name, font.clone(), theme.text, name_rect.width()));
    let at = pos2(name_rect.left(), line.center().y - name.size().y / 2.0);
    painter.galley(at, name, theme.text);
    let bar = Rect::from_two_pos(
        pos2(layout.x(0.0), line.top() + 4.0),
        pos2(layout.x(row.value), line.bottom() - 4.0),
    );
    painter.rect_filled(bar, 2.0, colour);
    if let Some((low, high)) = row.interval {
        let stroke = Stroke::new(1.5, theme.text);
        let y = line.center().y;
        let ends = [pos2(layout.x(low), y), pos2(layout.x(high), y)];
        painter.line_segment(ends, stroke);
        for end in ends {
            painter.line_segment([end - Vec2::Y * 3.0, end + Vec2::Y * 3.0], stroke);
        }
    }
    let right = pos2(line.right(), line.center().y);
    painter.text(right, Align2::RIGHT_CENTER, &row.text, font, theme.weak_text);
}

fn elided(text: &str, font: FontId, colour: Color32, width: f32) -> egui::text::LayoutJob {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(10.0));
    job
}

/// Where names end, bars begin and numbers stand.
struct Layout {
    rect: Rect,
    zero: f32,
    scale: f32,
    low: f64,
}

impl Layout {
    fn new(rect: Rect, rows: &[Row], reference: Option<f64>) -> Self {
        let ends = rows.iter().flat_map(|row| {
            let (low, high) = row.interval.unwrap_or((row.value, row.value));
            [row.value, low, high]
        });
        let (low, high) = ends
            .chain(reference)
            .filter(|v| v.is_finite())
            .fold((0.0f64, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        let names = (rect.width() * 0.3).clamp(60.0, 220.0);
        let numbers = (rect.width() * 0.28).clamp(70.0, 190.0);
        let room = (rect.width() - names - numbers).max(10.0);
        let extent = (high - low).max(f64::MIN_POSITIVE);
        Self { rect, zero: rect.left() + names, scale: (f64::from(room) / extent) as f32, low }
    }

    fn x(&self, value: f64) -> f32 {
        let value = if value.is_finite() { value } else { 0.0 };
        self.zero + (value - self.low) as f32 * self.scale
    }

    fn line(&self, place: usize) -> Rect {
        let top = self.rect.top() + ROW_HEIGHT * place as f32;
        Rect::from_min_size(pos2(self.rect.left(), top), vec2(self.rect.width(), ROW_HEIGHT))
    }
}

fn summary(name: &str, rows: &[Row]) -> String {
    let shown: Vec<String> = rows
        .iter()
        .take(5)
        .map(|row| match row.interval {
            Some((low, high)) => {
                format!("{} {} ({} to {})", row.name, short(row.value), short(low), short(high))
            }
            None => format!("{} {}", row.name, short(row.value)),
        })
        .collect();
    let more = rows.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{name}, {} rows: {}{rest}", rows.len(), shown.join("; "))
}
