//! How were the bytes read, and why so? Every choice with its evidence; what is wrong can be put right here.

use crate::data::generalise::Coarser;
use crate::data::importers::{CacheChoice, ImportOptions, JoinSpec, Plan};
use crate::data::layout::{ColumnReading, Layout};
use crate::data::profile::{IssueKind, Profile};
use crate::data::shape::{EventJoin, Reshape};
use crate::session::store::OpenLog;
use crate::session::{Command, commands::DataCommand};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Lines of a preamble or of totals shown.
const LINES: usize = 12;
/// Encodings that logs come in, beside the one that was found.
const ENCODINGS: [&str; 9] = [
    "UTF-8",
    "UTF-16LE",
    "gb18030",
    "Big5",
    "Shift_JIS",
    "EUC-KR",
    "windows-1252",
    "windows-1251",
    "windows-1250",
];
/// What may stand between cells, with the word for it.
const DELIMITERS: [(&str, &str); 7] = [
    (",", "comma"),
    (";", "semicolon"),
    ("\t", "tab"),
    ("|", "bar"),
    ("::", "two colons"),
    (" ", "space"),
    ("", "one column"),
];
/// Readings of a column that a person may ask for.
const PLANS: [&str; 17] = [
    "text",
    "integer",
    "real",
    "boolean",
    "number comma",
    "percent point",
    "percent comma",
    "money point",
    "money comma",
    "micros point",
    "duration",
    "time day-first",
    "time month-first",
    "time year-first",
    "time epoch-s",
    "time epoch-ms",
    "time yymmddhh",
];

/// What the person is about to change.
#[derive(Default)]
pub(super) struct Draft {
    options: ImportOptions,
    /// The log that the draft began with.
    of: Option<Arc<Profile>>,
    table: String,
    /// The column that is to be made coarser, and how.
    coarse_column: String,
    coarse_way: String,
}

impl Draft {
    /// The choices of the reader, each with a way to overrule it.
    pub(super) fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let Some(log) = cx.session.store.log.clone() else { return };
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &log.profile)) {
            self.options = log.options.clone();
            self.of = Some(Arc::clone(&log.profile));
        }
        egui::ScrollArea::vertical().id_salt("reading").auto_shrink(false).show(ui, |ui| {
            self.apply_row(ui, cx, &log);
            self.file(ui, &log);
            self.columns(ui, &log.frame.source.layout);
            self.shape(ui, &log);
            self.tables(ui, cx.theme, &log);
            around_the_table(ui, cx.theme, &log.frame.source.layout);
            notes(ui, &log);
        });
    }

    fn apply_row(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, log: &OpenLog) {
        let is_changed = self.options != log.options;
        ui.horizontal(|ui| {
            let again = egui::Button::new("Read again with these choices");
            if ui.add_enabled(is_changed, again).clicked() {
                let command = DataCommand::OpenAs(log.paths.clone(), Box::new(self.options.clone()));
                cx.send(Command::Data(command));
            }
            if ui.add_enabled(is_changed, egui::Button::new("Undo changes")).clicked() {
                self.options = log.options.clone();
            }
            if ui.add_enabled(!is_changed, egui::Button::new("Save as recipe")).on_hover_text(
                "Keeps every choice in a small file beside the data; the next opening and files of the kind use it",
            ).clicked() {
                cx.send(Command::Data(DataCommand::SaveRecipe));
            }
            if is_changed {
                ui.label(RichText::new("not applied yet").color(cx.theme.warn));
            } else {
                ui.weak("Everything below was found by content; change what is wrong.");
            }
        });
        ui.separator();
    }

    /// The choices about the file as a whole, one a line.
    fn file(&mut self, ui: &mut Ui, log: &OpenLog) {
        let source = &log.frame.source;
        let layout = &source.layout;
        let reading = &mut self.options.reading;
        egui::Grid::new("reading").spacing([18.0, 6.0]).show(ui, |ui| {
            ui.label("Format");
            ui.label(&source.format);
            ui.end_row();
            if !layout.encoding.is_empty() {
                let known = ENCODINGS.map(|name| (name, name));
                choice(ui, "Encoding", &mut reading.encoding, &layout.encoding, &known);
                ui.weak(&layout.encoding_evidence);
                ui.end_row();
            }
            // Only delimited text has columns whose readings were settled cell by cell, and a delimiter.
            if source.format.starts_with("csv") {
                choice(ui, "Between cells", &mut reading.delimiter, &layout.delimiter, &DELIMITERS);
                ui.end_row();
                toggle(ui, "Quotes hold cells together", &mut reading.has_quotes, layout.has_quotes);
                ui.end_row();
                toggle(ui, "The first record names the columns", &mut reading.has_header, layout.has_header);
                ui.end_row();
                let label = ui.label("Records before the table");
                let mut before = reading.preamble.unwrap_or(layout.preamble.len());
                let value = egui::DragValue::new(&mut before).range(0..=1000);
                if ui.add(value).labelled_by(label.id).changed() {
                    reading.preamble = Some(before);
                }
                ui.end_row();
            }
            if !layout.part.is_empty() {
                ui.label("Part of the file");
                ui.label(&layout.part);
                ui.end_row();
            }
        });
    }

    /// How the cells of each column are read.
    fn columns(&mut self, ui: &mut Ui, layout: &Layout) {
        if layout.columns.is_empty() {
            return;
        }
        ui.add_space(8.0);
        egui::CollapsingHeader::new(format!("Cells of each column ({})", layout.columns.len()))
            .default_open(layout.columns.len() <= 12)
            .show(ui, |ui| {
                egui::Grid::new("plans").spacing([18.0, 4.0]).show(ui, |ui| {
                    for column in &layout.columns {
                        self.plan(ui, column);
                        ui.end_row();
                    }
                });
            });
    }

    fn plan(&mut self, ui: &mut Ui, column: &ColumnReading) {
        let label = ui.label(&column.column);
        let asked = self.options.reading.columns.get(&column.column).copied();
        let shown = asked.map_or_else(|| column.words.clone(), Plan::describe);
        let menu = egui::ComboBox::from_id_salt(("plan", &column.column))
            .selected_text(shown)
            .width(240.0)
            .height(480.0)
            .show_ui(ui, |ui| {
                if ui.selectable_label(asked.is_none(), format!("as found: {}", column.words)).clicked() {
                    self.options.reading.columns.remove(&column.column);
                }
                for plan in PLANS.iter().filter_map(|word| word.parse::<Plan>().ok()) {
                    if ui.selectable_label(asked == Some(plan), plan.describe()).clicked() {
                        self.options.reading.columns.insert(column.column.clone(), plan);
                    }
                }
            });
        menu.response.labelled_by(label.id);
    }

    /// One row per impression, for logs of other shapes; names behind pseudonyms.
    fn shape(&mut self, ui: &mut Ui, log: &OpenLog) {
        ui.add_space(8.0);
        ui.strong("What a row stands for");
        ui.label(&log.profile.reading);
        let is_events = matches!(self.options.shape, Some(Reshape::Impressions(_)));
        ui.horizontal(|ui| {
            let shape = &mut self.options.shape;
            ui.radio_value(shape, None, "as it is");
            ui.radio_value(shape, Some(Reshape::Long), "one column per ad: one row per ad and round");
            if ui.radio(is_events, "events: impressions with the clicks that followed").clicked() {
                *shape = Some(Reshape::Impressions(EventJoin::default()));
            }
        });
        if let Some(Reshape::Impressions(join)) = &mut self.options.shape {
            ui.horizontal(|ui| {
                let minutes = |ui: &mut Ui, text: &str, value: &mut u32| {
                    let label = ui.label(text);
                    let drag = egui::DragValue::new(value).range(1..=525_600).suffix(" min");
                    ui.add(drag).labelled_by(label.id);
                };
                minutes(ui, "A click counts until", &mut join.click_minutes);
                minutes(ui, "a conversion until", &mut join.conversion_minutes);
            });
        }
        self.pseudonyms(ui, log);
        self.coarser(ui, log);
    }

    /// Columns that name persons, and the one click that hides them.
    fn pseudonyms(&mut self, ui: &mut Ui, log: &OpenLog) {
        let personal = log.profile.issues.iter().filter(|issue| issue.kind == IssueKind::PersonalData);
        for column in personal.filter_map(|issue| issue.column.as_ref()) {
            let mut hidden = self.options.pseudonyms.contains(column);
            let text = format!("Replace the values of '{column}' by pseudonyms");
            if ui.checkbox(&mut hidden, text).changed() {
                self.options.pseudonyms.retain(|name| name != column);
                if hidden {
                    self.options.pseudonyms.push(column.clone());
                    // Whoever hides names wants no copy of them.
                    self.options.cache = CacheChoice::Off;
                }
            }
        }
        for column in &log.options.pseudonyms {
            ui.weak(format!("'{column}' is behind pseudonyms."));
        }
    }

    /// Columns whose values are made coarser, so that more people share each.
    fn coarser(&mut self, ui: &mut Ui, log: &OpenLog) {
        let mut gone = None;
        for (place, (column, coarser)) in self.options.generalise.iter().enumerate() {
            ui.horizontal(|ui| {
                ui.label(format!("'{column}' in coarser values: {coarser}"));
                if widgets::small_button(ui, "As it is").clicked() {
                    gone = Some(place);
                }
            });
        }
        if let Some(place) = gone {
            self.options.generalise.remove(place);
        }
        ui.horizontal(|ui| {
            let label = ui.label("Make coarser").id;
            let shown = if self.coarse_column.is_empty() { "a column" } else { &self.coarse_column };
            let menu = egui::ComboBox::from_id_salt("column to make coarser").selected_text(shown);
            let menu = menu.show_ui(ui, |ui| {
                for column in &log.frame.schema.columns {
                    ui.selectable_value(&mut self.coarse_column, column.name.clone(), &column.name);
                }
            });
            menu.response.labelled_by(label);
            let label = ui.label("to").id;
            let hint = "10, day, week, prefix:3";
            ui.add(egui::TextEdit::singleline(&mut self.coarse_way).hint_text(hint).desired_width(130.0))
                .labelled_by(label);
            let way = self.coarse_way.parse::<Coarser>();
            let kind = log.frame.schema.column(&self.coarse_column).map(|column| column.kind);
            let fits = matches!((&way, kind), (Ok(way), Ok(kind)) if way.fits(kind));
            let button = ui.add_enabled(fits, egui::Button::new("Add"));
            let help = "A width for numbers, hour, day, week or month for times, prefix:N for texts";
            if let (true, Ok(way)) = (button.on_disabled_hover_text(help).clicked(), way) {
                self.options.generalise.retain(|(column, _)| *column != self.coarse_column);
                self.options.generalise.push((std::mem::take(&mut self.coarse_column), way));
                self.options.cache = CacheChoice::Off;
            }
        });
    }

    /// Side tables joined onto the log.
    fn tables(&mut self, ui: &mut Ui, theme: &Theme, log: &OpenLog) {
        ui.add_space(8.0);
        ui.strong("Side tables (users, items, creatives) joined onto the log");
        let mut gone = None;
        for (place, join) in self.options.joins.iter().enumerate() {
            ui.horizontal(|ui| {
                ui.label(join.file.display().to_string());
                if widgets::small_button(ui, "Leave out").clicked() {
                    gone = Some(place);
                }
            });
        }
        if let Some(place) = gone {
            self.options.joins.remove(place);
        }
        for joined in &log.frame.source.joins {
            ui.weak(joined.to_string());
        }
        ui.horizontal(|ui| {
            let label = ui.label("Table");
            let field = egui::TextEdit::singleline(&mut self.table)
                .hint_text("path, or path:key")
                .desired_width(340.0);
            ui.add(field).labelled_by(label.id);
            let written = self.table.trim();
            let spec = JoinSpec::parse(written);
            let button = egui::Button::new("Join this table");
            if ui.add_enabled(spec.is_ok() && !written.is_empty(), button).clicked()
                && let Ok(spec) = &spec
            {
                self.options.joins.push(spec.clone());
                self.table.clear();
            } else if let Err(failure) = spec
                && !written.is_empty()
            {
                ui.label(RichText::new(failure.to_string()).color(theme.warn));
            }
        });
    }
}

/// A menu over known words; `None` is what was found.
fn choice(ui: &mut Ui, name: &str, asked: &mut Option<String>, found: &str, known: &[(&str, &str)]) {
    let label = ui.label(name);
    let word = |value: &str| {
        known
            .iter()
            .find(|(known, _)| *known == value)
            .map_or_else(|| value.to_owned(), |(_, word)| (*word).to_owned())
    };
    let menu = egui::ComboBox::from_id_salt(name)
        .selected_text(asked.as_deref().map_or_else(|| word(found), word))
        .width(200.0)
        .height(420.0)
        .show_ui(ui, |ui| {
            if ui.selectable_label(asked.is_none(), format!("as found: {}", word(found))).clicked() {
                *asked = None;
            }
            for (value, word) in known {
                if ui.selectable_label(asked.as_deref() == Some(value), *word).clicked() {
                    *asked = Some((*value).to_owned());
                }
            }
        });
    menu.response.labelled_by(label.id);
}

/// A yes or no that was found, until the person says otherwise.
fn toggle(ui: &mut Ui, name: &str, asked: &mut Option<bool>, found: bool) {
    let mut value = asked.unwrap_or(found);
    ui.label("");
    if ui.checkbox(&mut value, name).changed() {
        *asked = (value != found).then_some(value);
    }
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
fn around_the_table(ui: &mut Ui, theme: &Theme, layout: &Layout) {
    if !layout.preamble.is_empty() {
        ui.add_space(8.0);
        ui.strong("Lines before the table");
        for line in layout.preamble.iter().take(LINES) {
            ui.label(RichText::new(line).monospace().color(theme.weak_text));
        }
    }
    if !layout.totals.is_empty() {
        ui.add_space(8.0);
        ui.strong("Total rows, taken out of the data and kept to check it with");
        for total in layout.totals.iter().take(LINES) {
            let figures = total.cells.iter().filter(|(_, cell)| cell.contains(|c: char| c.is_ascii_digit()));
            let cells = figures.map(|(column, cell)| format!("{column} {cell}"));
            let cells = cells.collect::<Vec<_>>().join(", ");
            ui.label(format!("line {}: {}: {cells}", widgets::grouped(total.line as f64), total.label));
        }
    }
}
