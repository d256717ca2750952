//! Many rows of which a frame draws only those in sight.

use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};

/// Height of a row.
const ROW_HEIGHT: f32 = 22.0;

/// A table of `rows` rows under `heads` of (words, width), at most `height` points high. `cell` draws one cell of the
/// row and column it is given; only rows in sight are asked for.
pub fn data_table(
    ui: &mut Ui,
    id: &str,
    heads: &[(&str, f32)],
    rows: usize,
    height: f32,
    mut cell: impl FnMut(&mut Ui, usize, usize),
) {
    ui.push_id(id, |ui| {
        // The panel around the table scrolls sideways.
        ui.set_min_width(heads.iter().map(|(_, width)| width + 8.0).sum());
        let mut table = TableBuilder::new(ui)
            .striped(true)
            .auto_shrink([false, true])
            .max_scroll_height(height)
            .cell_layout(egui::Layout::left_to_right(egui::Align::Center));
        for (_, width) in heads {
            table = table.column(Column::exact(*width).clip(true));
        }
        table
            .header(ROW_HEIGHT, |mut header| {
                for (words, _) in heads {
                    header.col(|ui| {
                        ui.add(egui::Label::new(RichText::new(*words).strong()).truncate());
                    });
                }
            })
            .body(|body| {
                body.rows(ROW_HEIGHT, rows, |mut line| {
                    let row = line.index();
                    for column in 0..heads.len() {
                        line.col(|ui| cell(ui, row, column));
                    }
                });
            });
    });
}
