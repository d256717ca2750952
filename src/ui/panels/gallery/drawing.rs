//! How does a model look? Its parts as boxes from the inputs on the left to the click on the right, each with the shapes
//! and the number of its weights.

use crate::models::outline::{Outline, Part};
use crate::ui::charts::picture;
use crate::ui::{Theme, widgets};
use egui::{Align2, FontId, Pos2, Rect, Response, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};

/// A box and the room around it, in points.
const BOX: egui::Vec2 = vec2(176.0, 62.0);
const GAP: egui::Vec2 = vec2(44.0, 14.0);
/// Tensors told in a box's tooltip.
const TENSORS: usize = 24;

/// Draws the parts; a box tells all its tensors under the pointer.
pub(super) fn show(ui: &mut Ui, theme: &Theme, kind: &str, outline: &Outline) {
    ui.label(format!("{} weights in all", widgets::grouped(outline.weights as f64)));
    let name = format!("What {kind} is made of");
    let _ = picture::keepable(ui, theme, &name, |ui| draw(ui, theme, &name, outline));
}

fn draw(ui: &mut Ui, theme: &Theme, name: &str, outline: &Outline) -> Response {
    let columns = outline.columns();
    let most = columns.iter().map(Vec::len).max().unwrap_or(0);
    let size = vec2(columns.len() as f32 * (BOX.x + GAP.x) - GAP.x, most as f32 * (BOX.y + GAP.y) - GAP.y);
    let (area, response) = ui.allocate_exact_size(size.max(vec2(1.0, 1.0)), Sense::click());
    let mut boxes = vec![Rect::NOTHING; outline.parts.len()];
    for (column, parts) in columns.iter().enumerate() {
        let height = parts.len() as f32 * (BOX.y + GAP.y) - GAP.y;
        let top = area.center().y - height / 2.0;
        for (line, part) in parts.iter().enumerate() {
            let at = pos2(area.left() + column as f32 * (BOX.x + GAP.x), top + line as f32 * (BOX.y + GAP.y));
            boxes[*part] = Rect::from_min_size(at, BOX);
        }
    }
    for (part, own) in outline.parts.iter().zip(&boxes) {
        part.reads.iter().for_each(|read| line(ui, theme, boxes[*read], *own));
    }
    for (part, own) in outline.parts.iter().zip(&boxes) {
        block(ui, theme, part, *own);
    }
    let words: Vec<String> = outline.parts.iter().map(in_words).collect();
    response.widget_info(|| {
        WidgetInfo::labeled(egui::Role::Figure, true, format!("{name}: {}", words.join("; ")))
    });
    let pointed = response.hover_pos().and_then(|at| boxes.iter().position(|own| own.contains(at)));
    match pointed {
        Some(part) => response.on_hover_text_at_pointer(tensors(&outline.parts[part])),
        None => response,
    }
}

/// From one box to another that reads it.
fn line(ui: &Ui, theme: &Theme, from: Rect, to: Rect) {
    let (start, end) = (from.right_center(), to.left_center());
    let bend = vec2(((end.x - start.x) / 2.0).max(GAP.x / 2.0), 0.0);
    let stroke = Stroke::new(1.2, theme.weak_text);
    let points = [start, start + bend, end - bend, end];
    ui.painter().add(Shape::CubicBezier(egui::epaint::CubicBezierShape::from_points_stroke(
        points,
        false,
        egui::Color32::TRANSPARENT,
        stroke,
    )));
    let tip = [end, end + vec2(-6.0, -3.5), end + vec2(-6.0, 3.5)];
    ui.painter().add(Shape::convex_polygon(tip.to_vec(), theme.weak_text, Stroke::NONE));
}

fn block(ui: &Ui, theme: &Theme, part: &Part, own: Rect) {
    let painter = ui.painter().with_clip_rect(own.expand(1.0).intersect(ui.clip_rect()));
    let edge = if part.weights > 0 { theme.accent } else { theme.line };
    painter.rect(own, 5.0, theme.panel, Stroke::new(1.2, edge), egui::StrokeKind::Inside);
    let inner = own.shrink2(vec2(8.0, 6.0));
    let line = |at: Pos2, text: &str, size: f32, colour| {
        let mut job =
            egui::text::LayoutJob::simple_singleline(text.to_owned(), FontId::proportional(size), colour);
        job.wrap = egui::text::TextWrapping::truncate_at_width(inner.width());
        let galley = painter.layout_job(job);
        painter.galley(at, galley, colour);
    };
    line(inner.min, &part.name, 13.5, theme.text);
    line(inner.min + vec2(0.0, 18.0), &part.does, 11.5, theme.weak_text);
    if part.weights > 0 {
        line(inner.min + vec2(0.0, 34.0), &shapes(part), 11.5, theme.text);
    } else if part.reads.is_empty() {
        painter.text(
            inner.left_bottom(),
            Align2::LEFT_BOTTOM,
            "input",
            FontId::proportional(11.5),
            theme.text,
        );
    }
}

/// `12 288 x 8`, `64 x 624, 64 x 64, …: 44 097 weights`.
fn shapes(part: &Part) -> String {
    let matrices = part.tensors.iter().filter(|(_, shape)| shape.len() > 1 && !shape.contains(&0));
    let shapes: Vec<String> = matrices.clone().take(2).map(|(_, shape)| shape_words(shape)).collect();
    let more = if matrices.count() > 2 { ", …" } else { "" };
    let weights = widgets::grouped(part.weights as f64);
    if shapes.is_empty() {
        format!("{weights} weights")
    } else {
        format!("{weights}: {}{more}", shapes.join(", "))
    }
}

fn shape_words(shape: &[usize]) -> String {
    shape.iter().map(|side| widgets::grouped(*side as f64)).collect::<Vec<_>>().join(" x ")
}

fn in_words(part: &Part) -> String {
    format!("{} ({})", part.name, if part.weights > 0 { shapes(part) } else { part.does.clone() })
}

fn tensors(part: &Part) -> String {
    let mut lines = vec![format!("{}: {}", part.name, part.does)];
    let shown = part.tensors.iter().take(TENSORS);
    lines.extend(shown.map(|(name, shape)| format!("{name}  {}", shape_words(shape))));
    if part.tensors.len() > TENSORS {
        lines.push(format!("and {} more", part.tensors.len() - TENSORS));
    }
    lines.join("\n")
}
