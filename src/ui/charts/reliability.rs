//! Predicted against actual rates with their intervals, over the diagonal of perfect calibration.

use super::{Frame, legend, name_canvas, picture, short};
use crate::metrics::calibration::ScoreBin;
use crate::ui::Theme;
use egui::{Response, Ui};
use egui_plot::{Corner, FilledArea, Line, LineStyle, PlotPoints, Points};

/// A model's name and its bins.
pub type Bins<'a> = (&'a str, &'a [ScoreBin]);

/// Draws the bins as points on a line, their Wilson intervals as a band, and the diagonal; other models as lines alone.
pub fn show(ui: &mut Ui, theme: &Theme, frame: Frame<'_>, model: Bins<'_>, others: &[Bins<'_>]) -> Response {
    picture::keepable(ui, theme, frame.name, |ui| draw(ui, theme, frame, model, others))
}

fn draw(
    ui: &mut Ui,
    theme: &Theme,
    frame: Frame<'_>,
    (name, bins): Bins<'_>,
    others: &[Bins<'_>],
) -> Response {
    let xs: Vec<f64> = bins.iter().map(|bin| bin.predicted).collect();
    let low: Vec<f64> = bins.iter().map(|bin| bin.actual.low).collect();
    let high: Vec<f64> = bins.iter().map(|bin| bin.actual.high).collect();
    let rates: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.predicted, bin.actual.rate]).collect();
    let end = xs.iter().chain(&high).copied().fold(0.0, f64::max);
    let colour = theme.series(0);
    let shown = frame.plot(theme).legend(legend(Corner::LeftTop)).show(ui, |plot| {
        plot.add(FilledArea::new("95 % interval", &xs, &low, &high).fill_color(theme.faint(colour)));
        plot.line(
            Line::new("perfect", PlotPoints::from(vec![[0.0, 0.0], [end, end]]))
                .color(theme.weak_text)
                .width(1.2)
                .style(LineStyle::dashed_loose()),
        );
        plot.line(Line::new(name, PlotPoints::from(rates.clone())).color(colour).width(2.0));
        plot.points(Points::new(name, PlotPoints::from(rates)).color(colour).radius(3.0));
        for (place, (name, bins)) in others.iter().enumerate() {
            let rates: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.predicted, bin.actual.rate]).collect();
            let colour = theme.series(place + 1);
            plot.line(Line::new(*name, PlotPoints::from(rates)).color(colour).width(1.5));
        }
    });
    name_canvas(&shown.response, &summary(frame, bins));
    shown.response
}

fn summary(frame: Frame<'_>, bins: &[ScoreBin]) -> String {
    let outside =
        bins.iter().filter(|bin| bin.predicted < bin.actual.low || bin.predicted > bin.actual.high).count();
    let range = match (bins.first(), bins.last()) {
        (Some(first), Some(last)) => {
            format!(", predictions from {} to {}", short(first.predicted), short(last.predicted))
        }
        _ => String::new(),
    };
    format!(
        "{}: {} groups, {outside} with the prediction outside the interval{range}",
        frame.name,
        bins.len()
    )
}
