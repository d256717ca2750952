//! When was it seen, with what, and when was there a click? One line a value of the column that tells most, one mark a row.

use crate::data::query::subjects::{Seen, SubjectProfile};
use crate::ui::charts::picture;
use crate::ui::{Theme, widgets};
use egui::{Align2, FontId, Response, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

const LINE_HEIGHT: f32 = 20.0;
/// Room for the names of the lines.
const NAMES: f32 = 110.0;
/// Lines drawn at most; later values share the last.
const MAX_LINES: usize = 10;
/// Room below the lines for the moments at both ends.
const FOOT: f32 = 18.0;

/// Draws the rows of the history that have a time.
pub(super) fn show(ui: &mut Ui, theme: &Theme, profile: &SubjectProfile) {
    let told = profile.by.first().map_or_else(|| "all rows".to_owned(), |table| table.by.join(" x "));
    let shown = profile.history.iter().filter(|seen| seen.at.is_some()).count();
    ui.strong(format!("The last {shown} rows over time by {told}"));
    ui.weak("A ring is an impression, a disc a click.");
    let name = format!("Rows over time by {told}");
    let _ = picture::keepable(ui, theme, &name, |ui| draw(ui, theme, &name, profile));
}

/// The lines by how many rows stand in them; what has no line of its own stands in the last.
fn lines(profile: &SubjectProfile) -> Vec<String> {
    let mut names: Vec<(String, usize)> = Vec::new();
    for seen in profile.history.iter().filter(|seen| seen.at.is_some()) {
        let name = seen.values.first().map_or("rows", String::as_str);
        match names.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => names.push((name.to_owned(), 1)),
        }
    }
    names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let more = names.len() > MAX_LINES;
    let mut lines: Vec<String> = names.into_iter().take(MAX_LINES).map(|(name, _)| name).collect();
    if let (true, Some(last)) = (more, lines.last_mut()) {
        "others".clone_into(last);
    }
    lines
}

fn draw(ui: &mut Ui, theme: &Theme, name: &str, profile: &SubjectProfile) -> Response {
    let lines = lines(profile);
    let size = vec2(ui.available_width().max(240.0), LINE_HEIGHT * lines.len() as f32 + FOOT);
    let (area, response) = ui.allocate_exact_size(size, Sense::click());
    let moments = || profile.history.iter().filter_map(|seen| seen.at);
    let (first, last) = (moments().min().unwrap_or(0), moments().max().unwrap_or(0));
    let left = area.left() + NAMES;
    let width = (area.width() - NAMES - 12.0).max(10.0);
    let x = |at: i64| left + width * (at - first) as f32 / (last - first).max(1) as f32;
    let y = |line: usize| area.top() + (line as f32 + 0.5) * LINE_HEIGHT;
    let painter = ui.painter();
    let font = FontId::proportional(12.0);
    for (line, name) in lines.iter().enumerate() {
        let mut job = egui::text::LayoutJob::simple_singleline(name.clone(), font.clone(), theme.text);
        job.wrap = egui::text::TextWrapping::truncate_at_width(NAMES - 8.0);
        let galley = painter.layout_job(job);
        painter.galley(pos2(area.left(), y(line) - galley.size().y / 2.0), galley, theme.text);
        painter.hline(left..=left + width, y(line), Stroke::new(1.0, theme.line));
    }
    let place = |seen: &Seen| {
        let name = seen.values.first().map_or("rows", String::as_str);
        lines.iter().position(|known| known == name).unwrap_or(lines.len().saturating_sub(1))
    };
    // Clicks last: no impression hides one.
    let mut marks: Vec<&Seen> = profile.history.iter().filter(|seen| seen.at.is_some()).collect();
    marks.sort_by_key(|seen| seen.clicked == Some(true));
    for seen in &marks {
        let at = pos2(x(seen.at.unwrap_or(first)), y(place(seen)));
        if seen.clicked == Some(true) {
            painter.circle_filled(at, 5.0, theme.good);
        } else {
            painter.circle_stroke(at, 3.5, Stroke::new(1.2, theme.series(0)));
        }
    }
    let foot = area.bottom();
    painter.text(
        pos2(left, foot),
        Align2::LEFT_BOTTOM,
        widgets::moment(first),
        font.clone(),
        theme.weak_text,
    );
    if last > first {
        let end = pos2(left + width, foot);
        painter.text(
            end,
            Align2::RIGHT_BOTTOM,
            format!("{} UTC", widgets::moment(last)),
            font,
            theme.weak_text,
        );
    }
    let clicks = marks.iter().filter(|seen| seen.clicked == Some(true)).count();
    response.widget_info(|| {
        let words = format!("{name}: {} rows, {clicks} clicks, {} lines", marks.len(), lines.len());
        WidgetInfo::labeled(egui::Role::Figure, true, words)
    });
    response
}
