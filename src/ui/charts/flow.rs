//! Who looks at whom, as lines between two columns of names: thicker and fuller for more.

use super::{name_canvas, picture};
use crate::ui::Theme;
use egui::{Align2, FontId, Rect, Response, Sense, Shape, Stroke, Ui, pos2, vec2};

/// Lines between those who are looked at, left, and those who look, right.
#[derive(Debug, Clone, Copy)]
pub struct Flow<'a> {
    /// Accessible name.
    pub name: &'a str,
    /// Names at the left.
    pub from: &'a [String],
    /// Names at the right.
    pub to: &'a [String],
    /// Layers of lines, a colour each: `[to * from.len() + from]`, shares of 1.
    pub heads: &'a [Vec<f64>],
}

const LINE: f32 = 17.0;
const NAMES: f32 = 150.0;
/// Characters of a name that fit.
const SHOWN: usize = 20;

/// Draws the lines; those of the name under the pointer alone, if one is.
pub fn show(ui: &mut Ui, theme: &Theme, flow: Flow<'_>) -> Response {
    picture::keepable(ui, theme, flow.name, |ui| draw(ui, theme, flow))
}

fn draw(ui: &mut Ui, theme: &Theme, flow: Flow<'_>) -> Response {
    let lines = flow.from.len().max(flow.to.len()).max(1);
    let width = ui.available_width().clamp(2.0 * NAMES + 80.0, 560.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width, LINE * lines as f32 + 4.0), Sense::hover());
    name_canvas(
        &response,
        &format!(
            "{}: {} looked at by {}, {} heads",
            flow.name,
            flow.from.len(),
            flow.to.len(),
            flow.heads.len()
        ),
    );
    let y_of = |place: usize, count: usize| {
        // The shorter column stands in the middle.
        rect.top() + LINE * (place as f32 + 0.5 + (lines - count) as f32 / 2.0)
    };
    // The strongest line is drawn in full: heads that look at many at once would be seen faintly only.
    let strongest =
        flow.heads.iter().flatten().copied().filter(|w| w.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let pointed = response.hover_pos().and_then(|at| side_of(at, rect, &flow, &y_of));
    for (head, weights) in flow.heads.iter().enumerate() {
        let colour = theme.series(head);
        for (cell, weight) in weights.iter().enumerate() {
            let (to, from) = (cell / flow.from.len().max(1), cell % flow.from.len().max(1));
            let hidden = pointed.is_some_and(|(is_left, place)| place != if is_left { from } else { to });
            if hidden || weight.is_nan() || *weight < 0.05 * strongest {
                continue;
            }
            let shift = head as f32 - (flow.heads.len() as f32 - 1.0) / 2.0;
            let ends = [
                pos2(rect.left() + NAMES, y_of(from, flow.from.len()) + 1.5 * shift),
                pos2(rect.right() - NAMES, y_of(to, flow.to.len()) + 1.5 * shift),
            ];
            let share = (*weight / strongest) as f32;
            let stroke = Stroke::new(0.5 + 3.5 * share, colour.gamma_multiply(0.15 + 0.85 * share));
            ui.painter().add(Shape::line_segment(ends, stroke));
        }
    }
    let font = FontId::proportional(11.5);
    for (place, name) in flow.from.iter().enumerate() {
        let at = pos2(rect.left() + NAMES - 6.0, y_of(place, flow.from.len()));
        ui.painter().text(at, Align2::RIGHT_CENTER, shown(name), font.clone(), theme.text);
    }
    for (place, name) in flow.to.iter().enumerate() {
        let at = pos2(rect.right() - NAMES + 6.0, y_of(place, flow.to.len()));
        ui.painter().text(at, Align2::LEFT_CENTER, shown(name), font.clone(), theme.text);
    }
    match pointed {
        Some((is_left, place)) => {
            let text = told(&flow, is_left, place);
            response.on_hover_text_at_pointer(text)
        }
        None => response,
    }
}

fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(SHOWN).collect();
    if name.chars().count() > SHOWN {
        text.push('…');
    }
    text
}

/// The name under the pointer: whether it stands at the left, and its place.
fn side_of(
    at: egui::Pos2,
    rect: Rect,
    flow: &Flow<'_>,
    y_of: &impl Fn(usize, usize) -> f32,
) -> Option<(bool, usize)> {
    let is_left = at.x < rect.left() + NAMES;
    if !is_left && at.x < rect.right() - NAMES {
        return None;
    }
    let count = if is_left { flow.from.len() } else { flow.to.len() };
    (0..count).find(|place| (y_of(*place, count) - at.y).abs() <= LINE / 2.0).map(|place| (is_left, place))
}

/// The weights of a name by head, in full.
fn told(flow: &Flow<'_>, is_left: bool, place: usize) -> String {
    let width = flow.from.len();
    let mut lines = vec![if is_left { flow.from[place].clone() } else { flow.to[place].clone() }];
    for (head, weights) in flow.heads.iter().enumerate() {
        let mut of: Vec<(f64, &String)> = if is_left {
            flow.to.iter().enumerate().map(|(to, name)| (weights[to * width + place], name)).collect()
        } else {
            flow.from.iter().enumerate().map(|(from, name)| (weights[place * width + from], name)).collect()
        };
        of.sort_by(|a, b| b.0.total_cmp(&a.0));
        let most: Vec<String> =
            of.iter().take(3).map(|(weight, name)| format!("{name} {weight:.2}")).collect();
        lines.push(format!("head {}: {}", head + 1, most.join(", ")));
    }
    lines.join("\n")
}
