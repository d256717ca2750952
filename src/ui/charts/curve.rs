//! ROC, precision-recall, gain, loss: lines over a common axis.

use super::{Frame, Series, legend, name_canvas, picture, short};
use crate::ui::Theme;
use egui::{Response, Ui};
use egui_plot::{Corner, Line, LineStyle, PlotPoints};

/// Where lines leave room for the legend.
pub use egui_plot::Corner as LegendCorner;

/// Draws the series; both axes start at their own data.
pub fn show(ui: &mut Ui, theme: &Theme, frame: Frame<'_>, corner: Corner, series: &[Series<'_>]) -> Response {
    picture::keepable(ui, theme, frame.name, |ui| draw(ui, theme, frame, corner, series, false))
}

/// Draws the series in the unit square: shares and rates.
pub fn show_unit(
    ui: &mut Ui,
    theme: &Theme,
    frame: Frame<'_>,
    corner: Corner,
    series: &[Series<'_>],
) -> Response {
    picture::keepable(ui, theme, frame.name, |ui| draw(ui, theme, frame, corner, series, true))
}

fn draw(
    ui: &mut Ui,
    theme: &Theme,
    frame: Frame<'_>,
    corner: Corner,
    series: &[Series<'_>],
    unit: bool,
) -> Response {
    let mut plot = frame.plot(theme).legend(legend(corner));
    if unit {
        plot = plot.include_x(0.0).include_x(1.0).include_y(0.0).include_y(1.0);
    }
    let shown = plot.show(ui, |plot| {
        for line in series {
            let points: PlotPoints<'_> = line.points.iter().copied().collect();
            let drawn = Line::new(line.name, points).color(line.colour);
            plot.line(if line.dashed {
                drawn.width(1.2).style(LineStyle::dashed_loose())
            } else {
                drawn.width(2.0)
            });
        }
    });
    name_canvas(&shown.response, &summary(frame, series));
    shown.response
}

/// `ROC curve (x by y): model 401 points, ends at 1, 1; ...`
fn summary(frame: Frame<'_>, series: &[Series<'_>]) -> String {
    let lines: Vec<String> = series
        .iter()
        .map(|line| match line.points.last() {
            Some([x, y]) => {
                format!("{} {} points, ends at {}, {}", line.name, line.points.len(), short(*x), short(*y))
            }
            None => format!("{} empty", line.name),
        })
        .collect();
    format!("{} ({} against {}): {}", frame.name, frame.y, frame.x, lines.join("; "))
}
