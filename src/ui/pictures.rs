//! How does the picture of a chart get from the window into a file? Vectors at once; pixels once the menu that asked for
//! them is gone from the screen.

use super::charts::picture::{self, Form, Wanted};
use super::dialogs::DialogRequest;
use super::screenshot::png;
use crate::base::{Failure, Result};
use crate::jobs::Latest;
use crate::session::Command;
use crate::session::commands::ViewCommand;
use std::path::PathBuf;
use std::sync::Arc;

/// Frames until a menu has faded.
const FRAMES_UNTIL_CLEAR: u32 = 20;

/// Pictures that were asked for and are not yet on their way into a file.
#[derive(Default)]
pub struct Pictures {
    /// The part of the window that is to be taken, and how many frames from now.
    waiting: Option<(Wanted, u32)>,
    taken: Latest<(Wanted, Result<Vec<u8>>)>,
    seen: u64,
}

/// What is to be done with a picture.
pub enum Step {
    /// It has a file to go to.
    Write(Command),
    /// A person says where it goes.
    Ask(DialogRequest),
}

impl Pictures {
    /// Call once a frame: what is to be done now.
    ///
    /// # Errors
    /// The window gave no picture, or one that cannot be written.
    pub fn follow(&mut self, context: &egui::Context) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for wanted in picture::take(context) {
            match &wanted.form {
                Form::Svg(text) => steps.push(step(&wanted, text.clone().into_bytes())),
                Form::Png(_) => self.waiting = Some((wanted, FRAMES_UNTIL_CLEAR)),
            }
        }
        if let Some((wanted, frames)) = self.waiting.take() {
            context.request_repaint();
            match frames {
                0 => self.photograph(context, wanted),
                n => self.waiting = Some((wanted, n - 1)),
            }
        }
        if self.taken.version() != self.seen {
            self.seen = self.taken.version();
            if let Some(taken) = self.taken.get() {
                let (wanted, bytes) = &*taken;
                steps.push(step(wanted, bytes.clone()?));
            }
        }
        Ok(steps)
    }

    fn photograph(&self, context: &egui::Context, wanted: Wanted) {
        let (taken, points, repaint) = (self.taken.clone(), context.pixels_per_point(), context.clone());
        let callback = egui::ScreenshotCallback::new(move |window: Arc<egui::ColorImage>| {
            let part = match wanted.form {
                Form::Png(frame) => cut(&window, frame, points).and_then(|part| png(&part)),
                Form::Svg(_) => Err(Failure::new("cannot take the picture", "it is made of vectors")),
            };
            taken.publish((wanted.clone(), part));
            repaint.request_repaint();
        });
        context.send_viewport_cmd(egui::ViewportCommand::Screenshot(callback));
    }
}

fn step(wanted: &Wanted, content: Vec<u8>) -> Step {
    let content: Arc<[u8]> = content.into();
    let write = |path: PathBuf, content| Command::View(ViewCommand::SavePicture { path, content });
    match &wanted.path {
        Some(path) => Step::Write(write(path.clone(), content)),
        None => Step::Ask(DialogRequest::save("Save the chart", wanted.file_name(), move |path| {
            write(path, content)
        })),
    }
}

/// The part of the window that lies in `frame` (points).
///
/// # Errors
/// Nothing of it is on the screen.
fn cut(window: &egui::ColorImage, frame: egui::Rect, points: f32) -> Result<egui::ColorImage> {
    let [width, height] = window.size;
    let pixel = |at: f32, most: usize| ((at * points).round().max(0.0) as usize).min(most);
    let (left, right) = (pixel(frame.left(), width), pixel(frame.right(), width));
    let (top, bottom) = (pixel(frame.top(), height), pixel(frame.bottom(), height));
    if left >= right || top >= bottom {
        return Err(Failure::new("cannot take the picture", "the chart is not on the screen")
            .hint("scroll to it, or save it as SVG"));
    }
    let rows = (top..bottom).flat_map(|row| &window.pixels[row * width + left..row * width + right]);
    Ok(egui::ColorImage::new([right - left, bottom - top], rows.copied().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{Color32, Rect, pos2};

    #[test]
    fn the_part_that_is_seen_is_cut_out() {
        let pixels = (0..12u8).map(Color32::from_gray).collect();
        let window = egui::ColorImage::new([4, 3], pixels);
        let frame = |left, top, right, bottom| Rect::from_min_max(pos2(left, top), pos2(right, bottom));
        let part = cut(&window, frame(0.5, 0.5, 1.0, 9.0), 2.0).unwrap();
        assert_eq!(part.size, [1, 2]);
        assert_eq!(part.pixels, [Color32::from_gray(5), Color32::from_gray(9)]);
        assert!(cut(&window, frame(7.0, 0.0, 9.0, 1.0), 2.0).unwrap_err().why.contains("not on the screen"));
    }
}
