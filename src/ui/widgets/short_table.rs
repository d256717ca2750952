//! A table of a few rows of short texts, the first of each a name: how is it drawn, everywhere alike?

use crate::ui::Theme;
use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};

const ROW_HEIGHT: f32 = 22.0;

/// A column: its title, its width in points, what it means.
pub type Title<'a> = (&'a str, f32, &'a str);

/// Draws all rows; a text beside `true` has the colour of a warning.
pub fn short_table(ui: &mut Ui, theme: &Theme, id: &str, titles: &[Title<'_>], rows: &[Vec<(String, bool)>]) {
    let mut builder = TableBuilder::new(ui).striped(true).resizable(true).vscroll(false);
    for (_, width, _) in titles {
        builder = builder.column(Column::initial(*width).at_least(44.0).clip(true));
    }
    builder
        .id_salt(id)
        .header(ROW_HEIGHT, |mut header| {
            for (title, _, meaning) in titles {
                header.col(|ui| drop(ui.strong(*title).on_hover_text(*meaning)));
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, rows.len(), |mut line| {
                for (text, warn) in &rows[line.index()] {
                    let colour = if *warn { theme.warn } else { theme.text };
                    line.col(|ui| {
                        let text = RichText::new(text).color(colour);
                        ui.add(egui::Label::new(text.clone()).truncate()).on_hover_text(text);
                    });
                }
            });
        });
}
