//! How does a rate move along an order of names (days, weeks, how often)? Lines with their intervals as bands, where few
//! enough lines leave room for them.

use super::{Frame, legend, name_canvas, picture, short};
use crate::ui::Theme;
use egui::{Color32, Response, Ui};
use egui_plot::{Corner, FilledArea, Line, PlotPoints, PlotUi, Points};

/// More lines with intervals than this are drawn without their intervals, which would hide each other.
pub const WITH_BANDS: usize = 3;
/// Lines of more points are drawn without marks.
const MARKED_POINTS: usize = 120;

/// A line over places; a place may have no point.
#[derive(Debug, Clone)]
pub struct Band {
    /// Its name in the legend.
    pub name: String,
    /// Its colour.
    pub colour: Color32,
    /// Place, value, and the ends of its interval, which are the value itself where there is none.
    pub points: Vec<[f64; 4]>,
}

/// Draws the bands; `names` are the words of the places, from 0.
pub fn show(ui: &mut Ui, theme: &Theme, frame: Frame<'_>, names: &[String], bands: &[Band]) -> Response {
    picture::keepable(ui, theme, frame.name, |ui| draw(ui, theme, frame, names, bands))
}

/// Draws the bands over numbers instead of names.
pub fn show_numbers(
    ui: &mut Ui,
    theme: &Theme,
    frame: Frame<'_>,
    corner: Corner,
    bands: &[Band],
) -> Response {
    picture::keepable(ui, theme, frame.name, |ui| {
        let shown = frame.plot(theme).legend(legend(corner)).show(ui, |plot| lines(plot, theme, bands));
        name_canvas(&shown.response, &summary(frame, &[], bands));
        shown.response
    })
}

fn draw(ui: &mut Ui, theme: &Theme, frame: Frame<'_>, names: &[String], bands: &[Band]) -> Response {
    let words = names.to_vec();
    let name_of = move |value: f64| -> String {
        let is_place = (value - value.round()).abs() < 1e-6 && value >= -0.5;
        let name = is_place.then(|| words.get(value.round() as usize)).flatten();
        name.cloned().unwrap_or_default()
    };
    let plot = frame.plot(theme).legend(legend(Corner::RightTop)).include_y(0.0);
    let plot = plot.x_axis_formatter(move |mark, _| name_of(mark.value));
    let shown = plot.show(ui, |plot| lines(plot, theme, bands));
    name_canvas(&shown.response, &summary(frame, names, bands));
    shown.response
}

fn lines(plot: &mut PlotUi<'_>, theme: &Theme, bands: &[Band]) {
    let has_interval = |band: &&Band| band.points.iter().any(|point| point[2] < point[3]);
    let with_bands = bands.iter().filter(has_interval).count() <= WITH_BANDS;
    for band in bands {
        let of = |place: usize| band.points.iter().map(|point| point[place]).collect::<Vec<f64>>();
        if band.points.len() > 1 && with_bands && has_interval(&band) {
            // Without a name of its own: the legend has the line's.
            let area = FilledArea::new("", &of(0), &of(2), &of(3));
            plot.add(area.fill_color(theme.faint(band.colour)));
        }
        let line: Vec<[f64; 2]> = band.points.iter().map(|point| [point[0], point[1]]).collect();
        plot.line(Line::new(band.name.clone(), PlotPoints::from(line.clone())).color(band.colour).width(2.0));
        if band.points.len() <= MARKED_POINTS {
            let radius = if band.points.len() == 1 { 5.0 } else { 2.5 };
            let marks = Points::new(band.name.clone(), PlotPoints::from(line)).color(band.colour);
            plot.points(marks.radius(radius));
        }
    }
}

fn summary(frame: Frame<'_>, names: &[String], bands: &[Band]) -> String {
    let lines: Vec<String> = bands
        .iter()
        .map(|band| match (band.points.first(), band.points.last()) {
            (Some(first), Some(last)) => {
                format!(
                    "{} {} points from {} to {}",
                    band.name,
                    band.points.len(),
                    short(first[1]),
                    short(last[1])
                )
            }
            _ => format!("{} empty", band.name),
        })
        .collect();
    let places = if names.is_empty() { String::new() } else { format!(", {} places", names.len()) };
    format!("{} ({} against {}{places}): {}", frame.name, frame.y, frame.x, lines.join("; "))
}
