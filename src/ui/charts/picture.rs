//! How does a chart leave the window? As vectors made of the shapes that were painted (SVG), or as the pixels that were
//! seen (PNG): a right click on any chart offers both.

use super::svg::{self, Page};
use crate::ui::Theme;
use egui::{ColorImage, Id, Popup, PopupCloseBehavior, Rect, Response, TextureHandle, Ui};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A picture that a person asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What the chart is called: the file's name, where none was written.
    pub name: String,
    /// The picture, or where to take it.
    pub form: Form,
    /// The file; `None` where it is still to be asked for.
    pub path: Option<PathBuf>,
}

/// A kind of picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// The document itself.
    Svg(String),
    /// The part of the window that is cut out, in points.
    Png(Rect),
}

impl Wanted {
    /// A name for the file, of letters that every system takes.
    pub fn file_name(&self) -> String {
        let plain = |letter: char| if letter.is_alphanumeric() { letter } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).take(8).collect();
        let ending = if matches!(self.form, Form::Svg(_)) { "svg" } else { "png" };
        format!("{}.{ending}", words.join("-").to_lowercase())
    }
}

fn shelf() -> Id {
    Id::unique("pictures that are wanted")
}

/// The pictures that were asked for since the last call.
pub fn take(context: &egui::Context) -> Vec<Wanted> {
    context.data_mut(|data| data.remove_temp(shelf())).unwrap_or_default()
}

/// Lets a texture's picture be written as vectors: known to every SVG that shows it.
pub(super) fn remember(context: &egui::Context, texture: &TextureHandle, image: ColorImage) {
    context.data_mut(|data| data.insert_temp(Id::unique(texture.id()), Arc::new(image)));
}

/// Draws a chart whose right click offers it as a picture.
pub fn keepable(ui: &mut Ui, theme: &Theme, name: &str, draw: impl FnOnce(&mut Ui) -> Response) -> Response {
    let drawn = ui.scope(draw);
    let (response, frame) = (drawn.inner, drawn.response.rect);
    let chart = Chart { name, frame, panel: ui.clip_rect(), theme, ui: &*ui };
    // A click into the field for the path must not close it.
    Popup::context_menu(&response)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|menu| chart.menu(menu));
    response
}

struct Chart<'a> {
    name: &'a str,
    frame: Rect,
    panel: Rect,
    theme: &'a Theme,
    /// Where it was drawn.
    ui: &'a Ui,
}

impl Chart<'_> {
    fn menu(&self, ui: &mut Ui) {
        ui.set_min_width(260.0);
        ui.weak("This chart as a picture");
        for (words, is_vector) in [("Save as SVG…", true), ("Save as PNG…", false)] {
            if ui.button(words).clicked() {
                self.want(is_vector, None);
                ui.close();
            }
        }
        let written = Id::unique("path of a picture");
        let mut path: String = ui.data(|data| data.get_temp(written)).unwrap_or_default();
        ui.horizontal(|ui| {
            let label = ui.label("or to").id;
            ui.add(egui::TextEdit::singleline(&mut path).hint_text("chart.svg").desired_width(150.0))
                .labelled_by(label);
            let form = is_vector(Path::new(path.trim()));
            let button = ui.add_enabled(form.is_some(), egui::Button::new("Write"));
            let button = button.on_disabled_hover_text("A name that ends in .svg or .png");
            if let (true, Some(is_vector)) = (button.clicked(), form) {
                self.want(is_vector, Some(PathBuf::from(path.trim())));
                ui.close();
            }
        });
        ui.data_mut(|data| data.insert_temp(written, path));
    }

    fn want(&self, is_vector: bool, path: Option<PathBuf>) {
        let form =
            if is_vector { Form::Svg(self.svg()) } else { Form::Png(self.frame.intersect(self.panel)) };
        let wanted = Wanted { name: self.name.to_owned(), form, path };
        self.ui.data_mut(|data| data.get_temp_mut_or_default::<Vec<Wanted>>(shelf()).push(wanted));
        self.ui.ctx().request_repaint();
    }

    fn svg(&self) -> String {
        let page =
            Page { title: self.name, frame: self.frame, panel: self.panel, ground: self.theme.background };
        let layer = self.ui.layer_id();
        let shapes: Vec<_> = self.ui.ctx().graphics(|painted| {
            painted.get(layer).map(|list| list.all_entries().cloned().collect()).unwrap_or_default()
        });
        let pixels = |texture| self.ui.data(|data| data.get_temp(Id::unique(texture)));
        svg::document(page, shapes.iter(), pixels)
    }
}

/// What the ending of a name asks for: vectors, pixels, or nothing that is known.
fn is_vector(path: &Path) -> Option<bool> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "svg" => Some(true),
        "png" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_keep_words_and_lose_what_systems_refuse() {
        let named = |name: &str, form| Wanted { name: name.to_owned(), form, path: None }.file_name();
        assert_eq!(
            named("Click rate in % by 城市, 95 %", Form::Svg(String::new())),
            "click-rate-in-by-城市-95.svg"
        );
        assert_eq!(named("a/b\\c", Form::Png(Rect::ZERO)), "a-b-c.png");
        assert_eq!(is_vector(Path::new("x.SVG")), Some(true));
        assert_eq!(is_vector(Path::new("x.jpg")), None);
    }
}
