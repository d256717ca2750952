//! How is a curve drawn into a page? Lines with bands over two axes, as SVG text.

use crate::base::numbers::short;
use std::fmt::Write;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Colours that are told apart with any kind of colour vision (Okabe & Ito 2008).
pub(super) const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
pub(super) const GREY: &str = "#888888";

/// One line of a chart.
pub(super) struct Line<'a> {
    pub name: &'a str,
    pub colour: &'a str,
    pub dashed: bool,
    /// From left to right.
    pub points: Vec<[f64; 2]>,
    /// Ends of the interval of each point; empty for none.
    pub interval: Vec<[f64; 2]>,
}

impl<'a> Line<'a> {
    pub fn plain(name: &'a str, colour: &'a str, points: &[[f64; 2]]) -> Self {
        Self { name, colour, dashed: false, points: points.to_vec(), interval: Vec::new() }
    }

    pub fn dashed(name: &'a str, points: &[[f64; 2]]) -> Self {
        Self { dashed: true, ..Self::plain(name, GREY, points) }
    }
}

/// What the axes mean, and the words of whole places on the x axis where it has no numbers.
pub(super) struct Axes<'a> {
    pub x: &'a str,
    pub y: &'a str,
    pub names: &'a [String],
}

/// Draws lines over their common axes, which start at 0 where the values are not below it.
pub(super) fn chart(axes: &Axes<'_>, lines: &[Line<'_>]) -> String {
    let xs = lines.iter().flat_map(|line| line.points.iter().map(|point| point[0]));
    let ys = lines.iter().flat_map(|line| {
        line.points.iter().map(|point| point[1]).chain(line.interval.iter().flatten().copied())
    });
    let frame = Frame { x: span(xs), y: span(ys) };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} against {}\">",
        escaped(axes.y),
        escaped(axes.x)
    );
    grid(&mut svg, axes, &frame);
    for line in lines {
        band(&mut svg, &frame, line);
        let points: Vec<String> = line.points.iter().map(|point| frame.at(*point)).collect();
        let dash = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"{dash} points=\"{}\"/>",
            line.colour,
            points.join(" ")
        );
    }
    svg.push_str("</svg><p class=\"legend\">");
    for line in lines {
        let _ = write!(svg, "<span style=\"color:{}\">&#9632;</span> {} ", line.colour, escaped(line.name));
    }
    svg.push_str("</p>");
    svg
}

fn band(svg: &mut String, frame: &Frame, line: &Line<'_>) {
    if line.interval.len() != line.points.len() || line.points.is_empty() {
        return;
    }
    let end = |place: usize| {
        let points = line.points.iter().zip(&line.interval);
        points.map(move |(point, interval)| frame.at([point[0], interval[place]])).collect::<Vec<_>>()
    };
    let mut outline = end(0);
    outline.extend(end(1).into_iter().rev());
    let _ = write!(
        svg,
        "<polygon fill=\"{}\" fill-opacity=\"0.18\" points=\"{}\"/>",
        line.colour,
        outline.join(" ")
    );
}

fn grid(svg: &mut String, axes: &Axes<'_>, frame: &Frame) {
    let text = |svg: &mut String, x: f64, y: f64, anchor: &str, words: &str| {
        let _ =
            write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
    };
    for tick in ticks(frame.y) {
        let y = frame.y_at(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        );
        text(svg, LEFT - 6.0, y + 4.0, "end", &short(tick));
    }
    let step = axes.names.len().div_ceil(6).max(1);
    if axes.names.is_empty() {
        for tick in ticks(frame.x) {
            text(svg, frame.x_at(tick), HEIGHT - BOTTOM + 16.0, "middle", &short(tick));
        }
    } else {
        for (place, name) in axes.names.iter().enumerate().step_by(step) {
            let name: String = name.chars().take(12).collect();
            text(svg, frame.x_at(place as f64), HEIGHT - BOTTOM + 16.0, "middle", &name);
        }
    }
    text(svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0, "middle", axes.x);
    let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
    let _ = write!(
        svg,
        "<text transform=\"translate(13 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escaped(axes.y)
    );
}

struct Frame {
    x: [f64; 2],
    y: [f64; 2],
}

impl Frame {
    fn x_at(&self, x: f64) -> f64 {
        LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)
    }

    fn y_at(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)
    }

    fn at(&self, [x, y]: [f64; 2]) -> String {
        format!("{:.1},{:.1}", self.x_at(x), self.y_at(y))
    }
}

/// From 0 or the least value to the greatest; never empty.
fn span(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) =
        values.filter(|v| v.is_finite()).fold((0.0f64, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if high > low { [low, high] } else { [low, low + 1.0] }
}

/// Four to eight round numbers within.
fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    let unit = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * unit).find(|step| *step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    (first..).map(|n| n as f64 * step).take_while(|tick| *tick <= high + 1e-9 * step).take(12).collect()
}

/// Text between tags.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks([0.0, 1.0]), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks([0.0, 47.0]), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert!(ticks([-3.0, 3.0]).contains(&0.0));
    }

    #[test]
    fn names_of_a_log_cannot_break_the_page() {
        let lines = [Line::plain("<b>", COLOURS[0], &[[0.0, 1.0], [1.0, 2.0]])];
        let names = ["<script>".to_owned(), "上海 & 北京".to_owned()];
        let svg = chart(&Axes { x: "a<b", y: "y", names: &names }, &lines);
        assert!(
            !svg.contains("<script>") && !svg.contains("<b>") && svg.contains("上海 &amp; 北京"),
            "{svg}"
        );
    }
}
