//! How is a series of numbers drawn? Plain numbers in, pixels out; a chart never sees the session.
//!
//! Every chart has axis labels with units, is one named node for screen readers and tests, and can be taken away as a
//! picture.

pub mod bands;
pub mod bars;
pub mod curve;
pub mod flow;
pub mod heatmap;
pub mod histogram;
pub mod parallel;
pub mod picture;
pub mod reliability;
mod svg;
pub mod tree;

use super::Theme;
pub use crate::base::numbers::short;
use egui::{Color32, Response, Role, WidgetInfo};
use egui_plot::{Corner, HoverPosition, Legend, Plot};

/// The frame of a chart: who it is and what its axes mean.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Unique in the window; also the accessible name.
    pub name: &'a str,
    /// What runs to the right, with its unit.
    pub x: &'a str,
    /// What runs upwards, with its unit.
    pub y: &'a str,
    /// Height in points.
    pub height: f32,
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// `[x, y]` from left to right; a few thousand at most.
    pub points: &'a [[f64; 2]],
    /// Its colour.
    pub colour: Color32,
    /// Dashed lines are references: a diagonal, the truth.
    pub dashed: bool,
}

impl<'a> Frame<'a> {
    /// A plot with the axes named, dragging and double-click reset, and scrolling left to the panel.
    fn plot(&self, theme: &Theme) -> Plot<'a> {
        Plot::new(self.name)
            .height(self.height)
            .x_axis_label(self.x)
            .y_axis_label(self.y)
            // Room for numbers of four digits: without it a narrow chart drops them.
            .y_axis_min_width(36.0)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .show_background(false)
            .grid_color(theme.line)
            .label_formatter(|hover| match hover {
                HoverPosition::NearDataPoint { plot_name, position, .. } => {
                    Some(format!("{plot_name}\n{}, {}", short(position.x), short(position.y)))
                }
                HoverPosition::Elsewhere { .. } => None,
            })
    }
}

/// A legend in a corner, in the order in which the series were given.
fn legend(corner: Corner) -> Legend {
    Legend::default().position(corner).follow_insertion_order(true).background_alpha(0.7)
}

/// Names the canvas, so that a screen reader and a test can read what is drawn.
fn name_canvas(response: &Response, summary: &str) {
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, summary));
}
