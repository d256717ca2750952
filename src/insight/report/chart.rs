//! How is a curve drawn into a report? Lines with bands over two axes, as marks that any kind of page can draw.

use crate::base::numbers::short;

/// Of every chart, in its own units; a page scales them.
pub(super) const WIDTH: f64 = 460.0;
pub(super) const HEIGHT: f64 = 300.0;
/// Of the words in a chart.
pub(super) const TEXT: f64 = 11.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

/// Colours that are told apart with any kind of colour vision (Okabe & Ito 2008).
pub(super) const COLOURS: [Colour; 6] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233]];
/// Of words and of what happened.
pub(super) const INK: Colour = [26, 29, 33];
/// Of words that are read last.
pub(super) const WEAK: Colour = [92, 99, 110];
/// Of lines between rows and behind curves.
pub(super) const PALE: Colour = [228, 230, 234];
const GREY: Colour = [136, 136, 136];

/// One line of a chart.
pub(super) struct Line {
    pub name: String,
    pub colour: Colour,
    pub dashed: bool,
    /// From left to right.
    pub points: Vec<[f64; 2]>,
    /// Ends of the interval of each point; empty for none.
    pub interval: Vec<[f64; 2]>,
}

impl Line {
    pub fn plain(name: &str, colour: Colour, points: Vec<[f64; 2]>) -> Self {
        Self { name: name.to_owned(), colour, dashed: false, points, interval: Vec::new() }
    }

    pub fn dashed(name: &str, points: Vec<[f64; 2]>) -> Self {
        Self { dashed: true, ..Self::plain(name, GREY, points) }
    }
}

/// What the axes mean, and the words of whole places on the x axis where it has no numbers.
pub(super) struct Axes {
    pub x: String,
    pub y: String,
    pub names: Vec<String>,
}

/// Where words stand to their point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Middle,
    End,
}

/// A piece of a drawing; x goes to the right and y down.
pub(super) enum Mark {
    /// A line behind the curves.
    Rule([[f64; 2]; 2]),
    Curve {
        points: Vec<[f64; 2]>,
        colour: Colour,
        dashed: bool,
    },
    /// The ground of an interval.
    Band {
        outline: Vec<[f64; 2]>,
        colour: Colour,
    },
    Words {
        at: [f64; 2],
        anchor: Anchor,
        /// Read from below to above.
        upward: bool,
        words: String,
    },
}

/// Draws lines over their common axes, which start at 0 where the values are not below it.
pub(super) fn marks(axes: &Axes, lines: &[Line]) -> Vec<Mark> {
    let xs = lines.iter().flat_map(|line| line.points.iter().map(|point| point[0]));
    let ys = lines.iter().flat_map(|line| {
        line.points.iter().map(|point| point[1]).chain(line.interval.iter().flatten().copied())
    });
    let frame = Frame { x: span(xs), y: span(ys) };
    let mut marks = grid(axes, &frame);
    for line in lines {
        marks.extend(band(&frame, line));
        let points = line.points.iter().map(|point| frame.at(*point)).collect();
        marks.push(Mark::Curve { points, colour: line.colour, dashed: line.dashed });
    }
    marks
}

fn band(frame: &Frame, line: &Line) -> Option<Mark> {
    if line.interval.len() != line.points.len() || line.points.is_empty() {
        return None;
    }
    let end = |place: usize| {
        let points = line.points.iter().zip(&line.interval);
        points.map(move |(point, interval)| frame.at([point[0], interval[place]])).collect::<Vec<_>>()
    };
    let mut outline = end(0);
    outline.extend(end(1).into_iter().rev());
    Some(Mark::Band { outline, colour: line.colour })
}

fn grid(axes: &Axes, frame: &Frame) -> Vec<Mark> {
    let mut marks = Vec::new();
    let words = |at, anchor, words: &str| Mark::Words { at, anchor, upward: false, words: words.to_owned() };
    for tick in ticks(frame.y) {
        let y = frame.y_at(tick);
        marks.push(Mark::Rule([[LEFT, y], [WIDTH - RIGHT, y]]));
        marks.push(words([LEFT - 6.0, y + 4.0], Anchor::End, &short(tick)));
    }
    let below = HEIGHT - BOTTOM + 16.0;
    let step = axes.names.len().div_ceil(6).max(1);
    if axes.names.is_empty() {
        for tick in ticks(frame.x) {
            marks.push(words([frame.x_at(tick), below], Anchor::Middle, &short(tick)));
        }
    } else {
        for (place, name) in axes.names.iter().enumerate().step_by(step) {
            let name: String = name.chars().take(12).collect();
            marks.push(words([frame.x_at(place as f64), below], Anchor::Middle, &name));
        }
    }
    marks.push(words([(LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0], Anchor::Middle, &axes.x));
    let at = [13.0, (TOP + HEIGHT - BOTTOM) / 2.0];
    marks.push(Mark::Words { at, anchor: Anchor::Middle, upward: true, words: axes.y.clone() });
    marks
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

    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.x_at(x), self.y_at(y)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks([0.0, 1.0]), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks([0.0, 47.0]), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert!(ticks([-3.0, 3.0]).contains(&0.0));
    }
}
