//! How were the bytes read, and why so? Every choice with its evidence; what is wrong can be put right here.

use crate::session::store::OpenLog;
use crate::ui::{PanelContext, Theme, widgets};
use egui::Ui;

/// Lines of a preamble or of totals shown.
const LINES: usize = 12;

/// What the person is about to change.
#[derive(Default)]
pub(super) struct Draft;

impl Draft {
    /// The choices of the reader.
    pub(super) fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let Some(log) = cx.session.store.log.clone() else { return };
        egui::ScrollArea::vertical().id_salt("reading").auto_shrink(false).show(ui, |ui| {
            facts(ui, &log);
            notes(ui, &log);
            around_the_table(ui, cx.theme, &log);
        });
    }
}

/// The choices, one a line.
fn facts(ui: &mut Ui, log: &OpenLog) {
    let source = &log.frame.source;
    let layout = &source.layout;
    egui::Grid::new("reading").spacing([18.0, 6.0]).show(ui, |ui| {
        let mut fact = |name: &str, value: &str, why: &str| {
            if !value.is_empty() {
                ui.label(name);
                ui.label(value);
                ui.weak(why);
                ui.end_row();
            }
        };
        fact("Format", &source.format, "");
        fact("Encoding", &layout.encoding, &layout.encoding_evidence);
        fact("Between cells", &layout.delimiter.replace('\t', "tab"), "");
        fact("Part", &layout.part, "");
    });
}

fn notes(ui: &mut Ui, log: &OpenLog) {
    ui.add_space(8.0);
    ui.strong("What the reader did");
    if log.profile.notes.is_empty() {
        ui.weak("Nothing that needs to be told.");
    }
    for note in &log.profile.notes {
        ui.label(note);
    }
}

/// What stands before and after the table.
fn around_the_table(ui: &mut Ui, _theme: &Theme, log: &OpenLog) {
    let layout = &log.frame.source.layout;
    if !layout.preamble.is_empty() {
        ui.add_space(8.0);
        ui.strong("Lines before the table");
        for line in layout.preamble.iter().take(LINES) {
            ui.monospace(line);
        }
    }
    if !layout.totals.is_empty() {
        ui.add_space(8.0);
        ui.strong("Total rows, taken out of the data and kept to check it with");
        for total in layout.totals.iter().take(LINES) {
            let cells = total.cells.iter().map(|(column, cell)| format!("{column} {cell}"));
            let cells = cells.collect::<Vec<_>>().join(", ");
            ui.label(format!("line {}: {}: {cells}", widgets::grouped(total.line as f64), total.label));
        }
    }
}
