//! Why is this panel blank, and which one button fills it?

use super::main_button;
use crate::ui::Theme;
use egui::{RichText, Ui};

/// Draws the reason and the button in the middle of what is left. True when the button was pressed.
pub fn empty_state(ui: &mut Ui, theme: &Theme, why: &str, button: &str) -> bool {
    let mut pressed = false;
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.28);
        ui.label(RichText::new(why).size(16.0).color(theme.weak_text));
        ui.add_space(10.0);
        pressed = main_button(ui, theme, button).clicked();
    });
    pressed
}
