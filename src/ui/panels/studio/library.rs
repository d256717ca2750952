//! Which words are there, where do they stand, and may they be shown? A second person decides.

use super::StudioPanel;
use super::encoder::encoder;
use super::shelf::{Question, Shelf};
use crate::adcopy::review::Status;
use crate::adcopy::search::Hit;
use crate::adcopy::{Item, Library};
use crate::data::query::groupable_columns;
use crate::session::commands::CopyCommand;
use crate::session::{Command, Purpose};
use crate::ui::panels::segments::complain;
use crate::ui::{DialogKind, DialogRequest, PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::collections::HashMap;

/// What is looked at in the library.
#[derive(Default)]
pub(super) struct Review {
    status: Option<Status>,
    search: String,
    open: String,
    pub(super) edit: String,
    pub(super) reason: String,
    /// The column whose values are audiences when ads are taken in.
    by: String,
    pub(super) shelf: Shelf,
}

/// What a table's head and the margin below it take, in points.
const HEAD_AND_MARGIN: f32 = 40.0;
/// Heads of the table with their widths.
const HEADS: [(&str, f32); 5] =
    [("Name", 76.0), ("State", 84.0), ("Words", 470.0), ("Click rate, 95 %", 190.0), ("Authors", 120.0)];

impl StudioPanel {
    /// The library.
    pub(super) fn library(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let Some(library) = cx.session.store.copy.library.clone() else {
            ui.weak("The library is being opened.");
            return;
        };
        let found = cx.session.store.copy.found.clone();
        let hits = found.as_ref().and_then(|found| found.as_ref().ok());
        let product = cx.session.store.copy.brief.as_ref().map(|brief| brief.sheet.product.clone());
        let search = self.review.search.trim().to_lowercase();
        let question = Question { status: self.review.status, search, product };
        self.review.shelf.look(&library, hits, question);
        self.head(ui, cx, &library);
        if library.items().is_empty() {
            self.fill(ui, cx);
            return;
        }
        self.trial(ui, cx);
        self.tags(ui, cx, &library);
        if let Some(Err(failure)) = &found {
            complain(ui, cx.theme, failure);
        }
        if let Some(found) = hits {
            ui.horizontal_wrapped(|ui| {
                let (count, by) = (found.hits.len(), found.index.by());
                ui.label(format!("{count} texts like '{}' by {by}, most alike first", found.question));
                if widgets::small_button(ui, "Show all").clicked() {
                    cx.send(Command::Copy(CopyCommand::Search(String::new())));
                }
            });
        }
        let hits: HashMap<&str, &Hit> =
            hits.iter().flat_map(|found| &found.hits).map(|hit| (hit.id.as_str(), hit)).collect();
        let shown = &self.review.shelf.shown;
        // One that is looked at needs room below; else the table takes what the page has left.
        let room = ui.clip_rect().bottom() - ui.cursor().top() - HEAD_AND_MARGIN;
        let height = if library.get(&self.review.open).is_ok() { 190.0 } else { room.max(380.0) };
        let mut clicked = None;
        let theme = cx.theme;
        widgets::data_table(ui, "library", &HEADS, shown.len(), height, |ui, row, column| {
            let item = &library.items()[shown[row]];
            let label = cell(theme, item, column);
            let label = ui.add(egui::Label::new(label).truncate().sense(egui::Sense::click()));
            let why = hits.get(item.id.as_str()).map_or_else(String::new, |hit| format!("\n{}", hit.why()));
            if label.on_hover_text(format!("{}{why}", item.text)).clicked() {
                clicked = Some(item.id.clone());
            }
        });
        if let Some(id) = clicked {
            self.review.edit = library.get(&id).map(|item| item.text.clone()).unwrap_or_default();
            self.review.open = id;
        }
        if let Ok(item) = library.get(&self.review.open).cloned() {
            ui.add_space(6.0);
            self.one(ui, cx, &item);
        }
    }

    /// The way to the first creatives: somebody who is named, and a log whose ads they are.
    fn fill(&self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        if self.person.trim().is_empty() {
            let why = "The library is empty. Everything that is done to it stands in its audit, with a name.";
            if widgets::empty_state(ui, cx.theme, why, "Write who you are")
                && let Some(field) = self.person_field
            {
                ui.memory_mut(|memory| memory.request_focus(field));
            }
            return;
        }
        let why = "The library is empty: keep candidates, or take in the ads of the log.";
        if cx.session.store.log.is_none() {
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(crate::session::commands::DataCommand::OpenSample));
            }
        } else if widgets::empty_state(ui, cx.theme, why, "Take in the ads of the log") {
            self.take_in(cx);
        }
    }

    /// Takes in the ads of the log, with how they did before the values of the chosen column.
    fn take_in(&self, cx: &mut PanelContext<'_>) {
        let by = if self.review.by.is_empty() { Vec::new() } else { vec![self.review.by.clone()] };
        cx.send(Command::Copy(CopyCommand::ImportLog(self.person.trim().to_owned(), by)));
    }

    fn head(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, library: &Library) {
        ui.horizontal_wrapped(|ui| {
            ui.selectable_value(&mut self.review.status, None, "all");
            for status in Status::ALL {
                let count = self.review.shelf.count(status);
                if count > 0 || self.review.status == Some(status) {
                    let words = format!("{} {count}", status.name());
                    ui.selectable_value(&mut self.review.status, Some(status), words);
                }
            }
            let field =
                egui::TextEdit::singleline(&mut self.review.search).hint_text("words").desired_width(120.0);
            let label = ui.label("Search").id;
            ui.add(field).labelled_by(label);
            let wanted = self.review.search.trim();
            let meant = ui.add_enabled(!wanted.is_empty(), widgets::small("By meaning"));
            if meant.on_hover_text("Texts that mean nearly this, best first").clicked() {
                cx.send(Command::Copy(CopyCommand::Search(wanted.to_owned())));
            }
            if cx.session.jobs.of(Purpose::SearchCopy).is_some() {
                ui.weak("searching …");
            }
        });
        encoder(ui, cx);
        ui.horizontal_wrapped(|ui| {
            if widgets::small_button(ui, "Another folder …").clicked() {
                let then = |folder| Command::Copy(CopyCommand::OpenLibrary(Some(folder)));
                cx.ask(DialogRequest::open(DialogKind::OpenFolder, "Open a library", then));
            }
            if let Some(log) = cx.session.store.log.as_ref().map(|open| open.frame.clone()) {
                if widgets::small_button(ui, "Take in the ads of the log").clicked() {
                    self.take_in(cx);
                }
                let label = ui.label("and how they did by").id;
                let chosen = if self.review.by.is_empty() { "nothing more" } else { &self.review.by };
                egui::ComboBox::from_id_salt("by")
                    .selected_text(chosen)
                    .show_ui(ui, |ui| {
                        ui.selectable_value(&mut self.review.by, String::new(), "nothing more");
                        for column in groupable_columns(&log) {
                            ui.selectable_value(&mut self.review.by, column.clone(), column);
                        }
                    })
                    .response
                    .labelled_by(label);
            }
            let head = library.head();
            let hash: String = head.hash.chars().take(12).collect();
            let entries = if head.entries == 1 { "entry" } else { "entries" };
            ui.weak(format!(
                "audit: {} {entries}, every link holds{}",
                head.entries,
                if hash.is_empty() { String::new() } else { format!(", last {hash}") }
            ));
        });
    }

    /// Learns tags from the creatives that have some, tells how good that is, and proposes them.
    fn tags(&self, ui: &mut Ui, cx: &mut PanelContext<'_>, library: &Library) {
        let untagged = self.review.shelf.untagged;
        ui.horizontal_wrapped(|ui| {
            let tagged = library.items().len() - untagged;
            let button = ui.add_enabled(tagged > 0, widgets::small("Learn the tags"));
            let why = "From the first tag of each creative; judged on creatives that were held out";
            if button.on_hover_text(why).on_disabled_hover_text("No creative has a tag").clicked() {
                cx.send(Command::Copy(CopyCommand::LearnTags));
            }
            ui.weak(format!("{tagged} have tags, {untagged} have none"));
            if cx.session.jobs.of(Purpose::LearnTags).is_some() {
                ui.weak("learning …");
            }
        });
        match cx.session.store.copy.tags.clone() {
            None => {}
            Some(Err(failure)) => complain(ui, cx.theme, &failure),
            Some(Ok(learnt)) => {
                let judged = &learnt.judged;
                ui.horizontal_wrapped(|ui| {
                    ui.label(format!(
                        "Learnt on {} texts of {} tags by {}: {} right on held-out ones, by likeness alone {}",
                        widgets::grouped(judged.texts as f64),
                        judged.topics,
                        judged.by,
                        judged.trained.estimate().in_percent(),
                        judged.zero_shot.estimate().in_percent()
                    ))
                    .on_hover_text(judged.notes.join("\n"));
                    let (count, named) = (learnt.proposed.len(), !self.person.trim().is_empty());
                    let button =
                        ui.add_enabled(named && count > 0, widgets::small(format!("Tag {count}")));
                    let some: Vec<String> = (learnt.proposed.iter().take(12))
                        .map(|(_, text, tag, chance)| format!("{tag} {chance:.2}: {text}"))
                        .collect();
                    let why = "Write above who you are; only creatives without a tag get one";
                    if button.on_hover_text(some.join("\n")).on_disabled_hover_text(why).clicked() {
                        cx.send(Command::Copy(CopyCommand::Tag(self.person.trim().to_owned())));
                    }
                });
            }
        }
    }
}

fn cell(theme: &Theme, item: &Item, column: usize) -> RichText {
    match column {
        0 => RichText::new(&item.id).monospace(),
        1 => RichText::new(item.status.name()).color(colour(theme, item.status)),
        2 => RichText::new(&item.text),
        3 => RichText::new(item.performance.first().map_or_else(
            || "never ran".to_owned(),
            |did| {
                let more = item.performance.len() - 1;
                let more = if more > 0 { format!(", +{more}") } else { String::new() };
                format!(
                    "{}, n {}{more}",
                    widgets::percent_with_interval(&did.rate),
                    widgets::grouped(did.rate.trials)
                )
            },
        )),
        _ => RichText::new(item.authors.join(", ")),
    }
}

pub(super) fn colour(theme: &Theme, status: Status) -> egui::Color32 {
    match status {
        Status::Approved => theme.good,
        Status::Rejected => theme.bad,
        Status::InReview => theme.warn,
        Status::Checked => theme.accent,
        Status::Draft | Status::Retired => theme.weak_text,
    }
}
