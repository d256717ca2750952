//! One number with its interval and its n.

use crate::ui::Theme;
use egui::{FontId, RichText, TextStyle, Ui};

/// Space around the text.
const MARGIN: i8 = 10;
const VALUE_SIZE: f32 = 20.0;

/// A card: caption, the value large, and below it what makes it honest (interval, n, source). In a wrapped row it
/// begins the next line where it would not fit: its text is never squeezed.
pub fn metric_card(ui: &mut Ui, theme: &Theme, caption: &str, value: &str, below: &str) {
    let body = TextStyle::Body.resolve(ui.style());
    let small = TextStyle::Small.resolve(ui.style());
    let lines = [(caption, body), (value, FontId::proportional(VALUE_SIZE)), (below, small)];
    let wide = |(text, font): (&str, FontId)| {
        ui.painter().layout_no_wrap(text.to_owned(), font, theme.text).size().x
    };
    let text_width = lines.map(wide).into_iter().fold(0.0, f32::max).ceil() + 1.0;
    let whole_width = text_width + 2.0 * f32::from(MARGIN) + 2.0;
    if ui.layout().main_wrap && ui.available_size_before_wrap().x < whole_width {
        ui.end_row();
    }
    egui::Frame::new()
        .fill(theme.panel)
        .stroke(egui::Stroke::new(1.0, theme.line))
        .corner_radius(6)
        .inner_margin(MARGIN)
        .show(ui, |ui| {
            ui.vertical(|ui| {
                ui.set_width(text_width);
                ui.label(RichText::new(caption).color(theme.weak_text));
                ui.label(RichText::new(value).size(VALUE_SIZE).strong().color(theme.text));
                ui.label(RichText::new(below).small().color(theme.weak_text));
            });
        });
}
