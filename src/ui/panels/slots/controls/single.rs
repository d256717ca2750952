//! Which single users are changed in the what-if, and how?

use crate::market::spec::Edit;
use crate::ui::panels::slots::draft::{Draft, MixColumn};
use crate::ui::widgets;
use egui::{ComboBox, TextEdit, Ui};

/// Draws the edits of single users and a line for another one.
pub fn show(ui: &mut Ui, draft: &mut Draft, columns: &[MixColumn]) {
    ui.add_space(4.0);
    ui.weak("Or for one user alone, by the id in the log:");
    let mut gone = None;
    for (place, edit) in draft.single_edits.iter().enumerate() {
        ui.horizontal(|ui| {
            let user = edit.user.as_deref().unwrap_or_default();
            ui.label(format!("{user}: {} = {}", edit.column, edit.value));
            let button = widgets::small_button(ui, "As logged");
            button.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Button, true, format!("{user} as logged"))
            });
            if button.clicked() {
                gone = Some(place);
            }
        });
    }
    if let Some(place) = gone {
        draft.single_edits.remove(place);
    }
    let editable = || columns.iter().filter(|column| column.editable);
    let (typed, singles) = (&mut draft.typed, &mut draft.single_edits);
    if typed.column.is_empty() {
        typed.column = editable().next().map_or_else(String::new, |column| column.name.clone());
    }
    ui.horizontal(|ui| {
        let label = ui.label("User");
        let user = typed.user.get_or_insert_default();
        ui.add(TextEdit::singleline(user).desired_width(90.0)).labelled_by(label.id);
    });
    ui.horizontal(|ui| {
        let combo = ComboBox::from_id_salt("column of one user").width(90.0).selected_text(&typed.column);
        let shown = combo.show_ui(ui, |ui| {
            for column in editable() {
                ui.selectable_value(&mut typed.column, column.name.clone(), &column.name);
            }
        });
        shown.response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Column of one user".to_owned())
        });
        let field = ui.add(TextEdit::singleline(&mut typed.value).desired_width(70.0).hint_text("value"));
        field.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Value of one user".to_owned())
        });
        let whole = typed.user.as_ref().is_some_and(|user| !user.trim().is_empty())
            && !typed.value.trim().is_empty()
            && !typed.column.is_empty();
        if ui.add_enabled(whole, egui::Button::new("Set")).clicked() {
            let user = typed.user.as_deref().map(|user| user.trim().to_owned());
            let edit = Edit { column: typed.column.clone(), value: typed.value.trim().to_owned(), user };
            singles.retain(|known| (&known.column, &known.user) != (&edit.column, &edit.user));
            singles.push(edit);
            typed.value.clear();
        }
    });
}
