//! How are scores or bids spread?

use super::{Frame, name_canvas, picture, short};
use crate::ui::Theme;
use egui::{Color32, Response, Ui};
use egui_plot::{Bar, BarChart};

/// Draws bars between `edges` (one more than there are counts).
pub fn show(
    ui: &mut Ui,
    theme: &Theme,
    frame: Frame<'_>,
    edges: &[f64],
    counts: &[f64],
    colour: Color32,
) -> Response {
    let bars = edges.windows(2).zip(counts).map(|(edge, &count)| {
        let (low, high) = (edge[0], edge[1]);
        Bar::new((low + high) / 2.0, count).width(high - low).name(format!(
            "{} to {}",
            short(low),
            short(high)
        ))
    });
    let chart = BarChart::new(frame.name, bars.collect()).color(colour);
    let total: f64 = counts.iter().sum();
    picture::keepable(ui, theme, frame.name, |ui| {
        let shown = frame.plot(theme).include_y(0.0).show(ui, |plot| plot.bar_chart(chart));
        name_canvas(&shown.response, &format!("{}: {} in {} bars", frame.name, short(total), counts.len()));
        shown.response
    })
}
