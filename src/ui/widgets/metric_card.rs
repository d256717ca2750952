//! One number with its interval and its n.

use crate::ui::Theme;
use egui::{RichText, Ui};

/// A card: caption, the value large, and below it what makes it honest (interval, n, source).
pub fn metric_card(ui: &mut Ui, theme: &Theme, caption: &str, value: &str, below: &str) {
    egui::Frame::new()
        .fill(theme.panel)
        .stroke(egui::Stroke::new(1.0, theme.line))
        .corner_radius(6)
        .inner_margin(10)
        .show(ui, |ui| {
            ui.vertical(|ui| {
                ui.label(RichText::new(caption).color(theme.weak_text));
                ui.label(RichText::new(value).size(20.0).strong().color(theme.text));
                ui.label(RichText::new(below).small().color(theme.weak_text));
            });
        });
}
