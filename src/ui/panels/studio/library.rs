//! Which words are there, where do they stand, and may they be shown? A second person decides.

use super::StudioPanel;
use crate::adcopy::review::{Action, Status};
use crate::adcopy::search::Hit;
use crate::adcopy::{Item, Library};
use crate::session::commands::CopyCommand;
use crate::session::{Command, Purpose};
use crate::tasks::search_copy::Found;
use crate::ui::panels::segments::complain;
use crate::ui::{DialogKind, DialogRequest, PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::collections::HashMap;
use std::sync::Arc;

/// What is looked at in the library.
#[derive(Default)]
pub(super) struct Review {
    status: Option<Status>,
    search: String,
    open: String,
    edit: String,
    reason: String,
}

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
        self.head(ui, cx, &library);
        if library.items().is_empty() {
            let why = "The library is empty: keep candidates, or take in the ads of the log.";
            if widgets::empty_state(ui, cx.theme, why, "Take in the ads of the log") {
                if cx.session.store.log.is_none() {
                    cx.send(Command::Data(crate::session::commands::DataCommand::OpenSample));
                } else {
                    cx.send(Command::Copy(CopyCommand::ImportLog(self.person.trim().to_owned())));
                }
            }
            return;
        }
        self.trial(ui, cx, &library);
        let found = match cx.session.store.copy.found.clone() {
            Some(Ok(found)) => Some(found),
            Some(Err(failure)) => {
                complain(ui, cx.theme, &failure);
                None
            }
            None => None,
        };
        if let Some(found) = &found {
            ui.horizontal_wrapped(|ui| {
                ui.label(format!("{} texts like '{}', most alike first", found.hits.len(), found.question));
                if ui.small_button("Show all").clicked() {
                    cx.send(Command::Copy(CopyCommand::Search(String::new())));
                }
            });
        }
        let hits: HashMap<&str, &Hit> =
            found.iter().flat_map(|found| &found.hits).map(|hit| (hit.id.as_str(), hit)).collect();
        let shown = self.shown(&library, found.as_deref());
        // One that is looked at needs room below.
        let height = if library.get(&self.review.open).is_ok() { 190.0 } else { 380.0 };
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

    fn head(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, library: &Library) {
        ui.horizontal_wrapped(|ui| {
            ui.selectable_value(&mut self.review.status, None, "all");
            for status in Status::ALL {
                let count = library.items().iter().filter(|item| item.status == status).count();
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
            let meant = ui.add_enabled(!wanted.is_empty(), egui::Button::new("By meaning").small());
            if meant.on_hover_text("Texts that mean nearly this, best first").clicked() {
                cx.send(Command::Copy(CopyCommand::Search(wanted.to_owned())));
            }
            if cx.session.jobs.of(Purpose::SearchCopy).is_some() {
                ui.weak("searching …");
            }
            if ui.small_button("Another folder …").clicked() {
                let then = |folder| Command::Copy(CopyCommand::OpenLibrary(Some(folder)));
                cx.ask(DialogRequest::open(DialogKind::OpenFolder, "Open a library", then));
            }
            if cx.session.store.log.is_some() && ui.small_button("Take in the ads of the log").clicked() {
                cx.send(Command::Copy(CopyCommand::ImportLog(self.person.trim().to_owned())));
            }
        });
        let head = library.head();
        let hash: String = head.hash.chars().take(12).collect();
        ui.weak(format!(
            "audit: {} entries, every link holds{}",
            head.entries,
            if hash.is_empty() { String::new() } else { format!(", last {hash}") }
        ));
    }

    /// Places of the creatives that are looked at: those that were found by meaning, best first, else newest first.
    fn shown(&self, library: &Library, found: Option<&Found>) -> Vec<usize> {
        if let Some(found) = found {
            let places: HashMap<&str, usize> =
                library.items().iter().enumerate().map(|(at, item)| (item.id.as_str(), at)).collect();
            let wanted =
                |at: &usize| self.review.status.is_none_or(|status| library.items()[*at].status == status);
            return found
                .hits
                .iter()
                .filter_map(|hit| places.get(hit.id.as_str()).copied())
                .filter(wanted)
                .collect();
        }
        let search = self.review.search.trim().to_lowercase();
        let wanted = |item: &Arc<Item>| {
            self.review.status.is_none_or(|status| item.status == status)
                && (search.is_empty() || item.text.to_lowercase().contains(&search))
        };
        let all = library.items().iter().enumerate().rev();
        all.filter(|(_, item)| wanted(item)).map(|(place, _)| place).collect()
    }

    /// One creative with what a person may do to it.
    fn one(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, item: &Arc<Item>) {
        ui.separator();
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(&item.text).size(17.0));
            ui.label(RichText::new(item.status.name()).strong().color(colour(cx.theme, item.status)));
        });
        let facts = if item.facts.is_empty() { "no facts".to_owned() } else { item.facts.join(", ") };
        ui.weak(format!(
            "{}, for {}; rests on {facts}; by {} ({}){}",
            item.product,
            if item.audience.is_empty() { "everybody" } else { &item.audience },
            item.authors.join(", "),
            item.origin,
            if item.reviewer.is_empty() { String::new() } else { format!("; reviewed by {}", item.reviewer) },
        ));
        if !item.disclosure.is_empty() {
            ui.weak(format!("{} {}", item.disclosure, item.rights));
        }
        for version in item.versions.iter().rev().take(5) {
            ui.weak(format!("until {}: {}", widgets::moment(version.until as i64), version.text));
        }
        let mut wanted = None;
        ui.horizontal_wrapped(|ui| {
            let named = !self.person.trim().is_empty();
            let mut button = |ui: &mut Ui, words: &str, enabled: bool, action: Action| {
                let button = ui.add_enabled(named && enabled, egui::Button::new(words));
                let why = if named { "Not in this state" } else { "Write above who you are" };
                if button.on_disabled_hover_text(why).clicked() {
                    wanted = Some(action);
                }
            };
            button(ui, "Ask for review", item.status == Status::Checked, Action::Submit);
            let waits = item.status == Status::InReview;
            button(ui, "Approve", waits, Action::Approve);
            let reasoned = !self.review.reason.trim().is_empty();
            button(ui, "Reject", waits && reasoned, Action::Reject(self.review.reason.clone()));
            if waits {
                let field = egui::TextEdit::singleline(&mut self.review.reason);
                ui.add(field.hint_text("why it is rejected").desired_width(160.0));
            }
            button(ui, "Retire", item.status != Status::Retired, Action::Retire);
        });
        ui.horizontal(|ui| {
            let label = ui.label("Other words").id;
            let width = (ui.available_width() - 110.0).max(120.0);
            ui.add(egui::TextEdit::singleline(&mut self.review.edit).desired_width(width)).labelled_by(label);
            let changed = self.review.edit != item.text && !self.person.trim().is_empty();
            let button = ui.add_enabled(changed, egui::Button::new("Change"));
            if button.on_hover_text("They are checked; any change leads back to checked").clicked() {
                wanted = Some(Action::Edit(self.review.edit.trim().to_owned()));
            }
        });
        if let Some(action) = wanted {
            let who = self.person.trim().to_owned();
            cx.send(Command::Copy(CopyCommand::Review(item.id.clone(), action, who)));
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
                format!(
                    "{}, n {}",
                    widgets::percent_with_interval(&did.rate),
                    widgets::grouped(did.rate.trials)
                )
            },
        )),
        _ => RichText::new(item.authors.join(", ")),
    }
}

fn colour(theme: &Theme, status: Status) -> egui::Color32 {
    match status {
        Status::Approved => theme.good,
        Status::Rejected => theme.bad,
        Status::InReview => theme.warn,
        Status::Checked => theme.accent,
        Status::Draft | Status::Retired => theme.weak_text,
    }
}
