//! How does the window photograph itself? For bug reports, documentation and the test of the real window.

use crate::base::{Result, failure::Explain, files::write_atomically};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Frames at rest before the picture is taken, so that layouts have settled.
const FRAMES_AT_REST: u32 = 5;

/// A picture that is to be taken once nothing runs in the background.
pub struct Screenshot {
    path: PathBuf,
    at_rest: u32,
    asked: bool,
    taken: Arc<AtomicBool>,
}

impl Screenshot {
    /// A picture for the file `path`.
    pub fn into_file(path: PathBuf) -> Self {
        Self { path, at_rest: 0, asked: false, taken: Arc::default() }
    }

    /// Call once a frame: takes the picture when the window is at rest, then closes the window.
    pub fn follow(&mut self, context: &egui::Context, busy: bool) {
        context.request_repaint();
        if self.taken.load(Ordering::Acquire) {
            context.send_viewport_cmd(egui::ViewportCommand::Close);
            return;
        }
        self.at_rest = if busy { 0 } else { self.at_rest + 1 };
        if self.asked || self.at_rest < FRAMES_AT_REST {
            return;
        }
        self.asked = true;
        let (path, taken) = (self.path.clone(), Arc::clone(&self.taken));
        let callback = egui::ScreenshotCallback::new(move |picture| {
            if let Err(failure) = save(&path, &picture) {
                // There is no window left to tell it in.
                let _ = writeln!(std::io::stderr(), "adloupe: {failure}");
            }
            taken.store(true, Ordering::Release);
        });
        context.send_viewport_cmd(egui::ViewportCommand::Screenshot(callback));
    }
}

fn save(path: &Path, picture: &egui::ColorImage) -> Result<()> {
    let png = png(picture)?;
    write_atomically(path, |out| out.write_all(&png).explain("cannot write the picture"))
}

/// A picture as a PNG file.
///
/// # Errors
/// The picture is empty or too large.
pub fn png(picture: &egui::ColorImage) -> Result<Vec<u8>> {
    let [width, height] = picture.size;
    let bytes: Vec<u8> = picture.pixels.iter().flat_map(|pixel| pixel.to_array()).collect();
    let mut png = Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut png,
        &bytes,
        width as u32,
        height as u32,
        image::ColorType::Rgba8,
        image::ImageFormat::Png,
    )
    .explain("cannot make the picture")?;
    Ok(png.into_inner())
}
