//! Who clicks how often, at what cost? Measures of the groups of columns, seen in several ways, and audiences made from
//! them.

mod alike;
mod asking;
mod export;
mod findings;
mod table;
mod views;

use super::Panel;
use crate::base::Failure;
use crate::data::LogFrame;
use crate::data::query::{self, Derived, Measure, Period, SegmentQuery, SegmentTable};
use crate::domain::Segment;
use crate::session::commands::{DataCommand, PrivacyCommand, SegmentCommand};
use crate::session::{Command, Purpose};
use crate::tasks::segment::SegmentAnswer;
use crate::ui::{PanelContext, Theme, widgets};
use asking::{History, Question};
use egui::{RichText, Ui};
use egui_extras::{Size, StripBuilder};
use findings::Findings;
use std::path::PathBuf;
use std::sync::Arc;
use table::Sorting;
use views::{Charts, Shown, View};

/// Share of the width that the table takes beside bars, and beside what needs more room.
const TABLE_SHARE: f32 = 0.6;
/// See [`TABLE_SHARE`].
const NARROW_TABLE_SHARE: f32 = 0.4;
/// Names listed in a tooltip.
const NAMES: usize = 20;

/// The question as it stands on the screen, and how the answer is sorted.
#[derive(Default)]
pub struct SegmentsPanel {
    /// True while all groups are looked through rather than those of the columns chosen.
    finding: bool,
    findings: Findings,
    question: Question,
    history: History,
    charts: Charts,
    audience_name: String,
    alike: alike::Alike,
    /// The file that the answer is written to.
    out: String,
    sorting: Sorting,
    selected: Option<Segment>,
    /// What was last known to be chosen for all panels, and what was chosen here.
    told: Option<Segment>,
    own: Option<Segment>,
    /// What was last sent, so that each question is asked once.
    asked: Option<Asked>,
}

/// A question about one reading of one file.
#[derive(Clone, PartialEq)]
struct Asked {
    query: SegmentQuery,
    predicted: bool,
    funnel: bool,
    revision: u64,
    path: PathBuf,
}

impl Panel for SegmentsPanel {
    fn id(&self) -> &'static str {
        "segments"
    }

    fn title(&self) -> &'static str {
        "Segments"
    }

    fn summary(&self) -> &'static str {
        "Rates, costs and returns of groups of rows, each with its interval and its distance from the whole"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(log) = cx.session.store.log.as_ref().map(|open| open.frame.clone()) else {
            let why = "No log is open, so there are no groups to compare.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        };
        let columns = query::groupable_columns(&log);
        self.start_with(&columns);
        self.history.keep(&self.question);
        self.modes(ui);
        if !self.finding {
            self.question.ui(ui, cx, &log, &columns);
        }
        widgets::filter_field(ui, cx, &mut self.question.filter);
        let filter = Segment::parse(&self.question.filter);
        if let (true, Ok(filter)) = (self.finding, &filter) {
            self.audience_bar(ui, cx, filter);
            self.findings.ui(ui, cx, &log, filter.clone(), &mut self.selected);
            let chosen = self.selected.clone().map(|group| filter.clone().and(group));
            self.choose(cx, chosen.as_ref());
            return;
        }
        let just_asked = match filter {
            Ok(filter) => self.ask(cx, &log, filter),
            Err(failure) => {
                complain(ui, cx.theme, &failure);
                return;
            }
        };
        let answer = cx.session.store.segments.clone();
        match answer.as_deref().map(|answer| (&answer.query, &answer.table)) {
            Some((query, Ok(table))) => self.answer(ui, cx, query, table, answer.as_deref()),
            Some((_, Err(failure))) => complain(ui, cx.theme, failure),
            None => self.waiting(ui, cx, just_asked),
        }
    }
}

impl SegmentsPanel {
    /// Asks for the groups of one column, or of two crossed (an empty second one crosses nothing).
    pub fn look_at(&mut self, by: &str, crossed_with: &str) {
        by.clone_into(&mut self.question.by);
        crossed_with.clone_into(&mut self.question.crossed_with);
    }

    /// Chooses a first column; forgets columns that the open log lacks.
    fn start_with(&mut self, columns: &[String]) {
        if !columns.contains(&self.question.by) {
            let is_derived = |name: &str| Derived::ALL.iter().any(|derived| derived.name() == name);
            let own = columns.iter().find(|name| !is_derived(name));
            self.question.by = own.or(columns.first()).cloned().unwrap_or_default();
        }
        if !columns.contains(&self.question.crossed_with) {
            self.question.crossed_with.clear();
        }
    }

    fn modes(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            for (finding, words, meaning) in [
                (false, "Groups of columns", "Rates of the groups of one or two columns"),
                (true, "What stands out", "Groups of up to three columns that click unlike all others"),
            ] {
                if ui.selectable_value(&mut self.finding, finding, words).on_hover_text(meaning).clicked() {
                    self.selected = None;
                }
            }
            ui.separator();
            self.history.ui(ui, &mut self.question);
        });
    }

    /// Nothing to show yet: counting, or a count that was stopped or failed with a notice.
    fn waiting(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, just_asked: bool) {
        if just_asked || cx.session.jobs.of(Purpose::Segment).is_some() {
            ui.weak("Counting …");
        } else if widgets::empty_state(ui, cx.theme, "The groups have not been counted.", "Count") {
            self.asked = None;
        }
    }

    /// Sends the question when it is a new one; true when it was.
    fn ask(&mut self, cx: &mut PanelContext<'_>, log: &LogFrame, filter: Segment) -> bool {
        let query = self.question.query(log, filter, self.asked.as_ref().map(|asked| &asked.query));
        let (predicted, funnel) = (self.question.predicted, self.question.view == View::Funnel);
        let path = log.source.path.clone();
        let asked = Asked { query, predicted, funnel, revision: log.revision, path };
        if self.asked.as_ref() == Some(&asked) {
            return false;
        }
        let query = asked.query.clone();
        cx.send(Command::Segment(SegmentCommand::Count { query, predicted, funnel }));
        self.asked = Some(asked);
        self.selected = None;
        true
    }

    fn answer(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        query: &SegmentQuery,
        table: &SegmentTable,
        answer: Option<&SegmentAnswer>,
    ) {
        ui.label(in_short(table));
        if !table.has_outcome {
            let why =
                "The log does not say what was clicked: give a column the role label, or clicks and weight.";
            ui.label(RichText::new(why).color(cx.theme.warn));
        }
        self.audience_bar(ui, cx, &query.filter);
        self.reference(ui, cx, table);
        self.trail(ui, cx, query, table);
        ui.separator();
        let order = self.sorting.order(cx.session.store.segments.as_ref(), table);
        let (view, measure) = (self.question.view, self.question.measure);
        let share = if view == View::Bars { TABLE_SHARE } else { NARROW_TABLE_SHARE };
        let sides = StripBuilder::new(ui).size(Size::relative(share)).size(Size::remainder());
        sides.horizontal(|mut sides| {
            sides.cell(|ui| {
                egui::ScrollArea::horizontal().id_salt("segment table").auto_shrink(false).show(ui, |ui| {
                    let shown = (table, measure);
                    table::show(ui, cx.theme, shown, &order, &mut self.sorting, &mut self.selected);
                });
            });
            sides.cell(|ui| {
                let funnel = answer.and_then(|answer| answer.funnel.as_ref());
                let is_asked = self.asked.as_ref().is_some_and(|asked| asked.query.by == table.by);
                if is_asked {
                    let shown = Shown { table, measure, order: &order, funnel };
                    self.charts.show(ui, cx.theme, view, shown, &mut self.selected);
                } else {
                    // The answer to the question before this view's.
                    ui.weak("Counting …");
                }
            });
        });
    }

    /// Tells the other panels which group is selected here, and gives way where one of them chose another.
    fn choose(&mut self, cx: &mut PanelContext<'_>, own: Option<&Segment>) {
        let chosen = &cx.session.store.chosen;
        if self.told != *chosen {
            self.told.clone_from(chosen);
            self.own = None;
            if own != chosen.as_ref() {
                self.selected = None;
            }
        } else if self.own.as_ref() != own {
            self.own = own.cloned();
            self.told.clone_from(&self.own);
            cx.send(Command::Segment(SegmentCommand::Choose(self.own.clone())));
        }
    }

    /// From the whole down to the chosen group, and back; tells the other panels what is chosen.
    fn trail(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, query: &SegmentQuery, table: &SegmentTable) {
        let selected = table.rows.iter().find(|row| self.selected.as_ref() == Some(&row.segment));
        let days = table.period.as_ref().map_or(Segment::All, Period::now);
        let chosen = selected.map(|row| days.and(query.filter.clone()).and(row.segment.clone()));
        self.choose(cx, chosen.as_ref());
        if chosen.is_none() && self.question.trail.is_empty() {
            return;
        }
        ui.horizontal_wrapped(|ui| {
            let mut back = None;
            for (place, filter) in self.question.trail.iter().enumerate() {
                let words = if filter.trim().is_empty() { "all rows" } else { filter };
                if widgets::small_button(ui, words).on_hover_text("Back to these rows").clicked() {
                    back = Some(place);
                }
                ui.weak(">");
            }
            if let Some(place) = back {
                self.question.filter = self.question.trail.split_off(place).swap_remove(0);
                self.selected = None;
            }
            if let (Some(group), Some(row)) = (chosen, selected)
                && widgets::small_button(ui, format!("Drill down into {}", row.values.join(" x "))).clicked()
            {
                self.question.trail.push(std::mem::replace(&mut self.question.filter, group.to_string()));
                self.selected = None;
            }
        });
    }

    /// What the groups are compared with: all other rows, one of them, or themselves in the days before.
    fn reference(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, table: &SegmentTable) {
        let selected = table.rows.iter().find(|row| self.selected.as_ref() == Some(&row.segment));
        ui.horizontal_wrapped(|ui| {
            match &table.period {
                Some(period) => {
                    ui.weak(format!("Each compared with itself: {}.", period.words()));
                    if !table.gone.is_empty() {
                        let words = format!("{} without rows now", widgets::grouped(table.gone.len() as f64));
                        ui.colored_label(cx.theme.warn, words).on_hover_text(first_of(&table.gone));
                    }
                }
                None if table.against.is_empty() => {
                    ui.weak("Compared with all other rows.");
                }
                None => {
                    ui.weak(format!("Compared with {}.", table.against.join(" x ")));
                    if widgets::small_button(ui, "with all other rows").clicked() {
                        self.question.against.clear();
                    }
                }
            }
            export::menu(ui, cx, &mut self.out, self.question.measure);
            if let Some(row) = selected.filter(|row| row.values != table.against && table.period.is_none())
                && widgets::small_button(ui, format!("Compare all with {}", row.values.join(" x "))).clicked()
            {
                self.question.against.clone_from(&row.values);
            }
        });
    }

    /// The chosen group as an audience, and the audiences that are kept.
    fn audience_bar(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, filter: &Segment) {
        let segment = match &self.selected {
            Some(group) => filter.clone().and(group.clone()),
            None => filter.clone(),
        };
        ui.horizontal_wrapped(|ui| {
            let text = segment.to_string();
            let meant = if text.is_empty() { "every row" } else { &text };
            let label = ui.label("Name").id;
            let field = egui::TextEdit::singleline(&mut self.audience_name)
                .hint_text("young in Shanghai")
                .desired_width(150.0);
            ui.add(field).labelled_by(label);
            let named = !self.audience_name.trim().is_empty();
            let button = ui.add_enabled(named, egui::Button::new("Save as audience"));
            let button = button.on_disabled_hover_text("Write a name first");
            if button.on_hover_text("Click a row of the table to take its group").clicked() {
                let name = self.audience_name.trim().to_owned();
                cx.send(Command::Privacy(PrivacyCommand::SaveAudience { name, segment: segment.clone() }));
                self.audience_name.clear();
            }
            self.alike.menu(ui, cx, &segment);
            ui.weak(meant);
        });
        self.kept_audiences(ui, cx);
    }

    fn kept_audiences(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        if cx.session.workspace.audiences.is_empty() {
            return;
        }
        ui.horizontal_wrapped(|ui| {
            ui.weak("Audiences:");
            for audience in cx.session.workspace.audiences.clone() {
                let meant = format!("Look at {}", audience.segment);
                if ui.button(&audience.name).on_hover_text(meant).clicked() {
                    self.question.filter.clone_from(&audience.segment);
                }
                let forget =
                    widgets::small_button(ui, "x").on_hover_text(format!("Forget {}", audience.name));
                if forget.clicked() {
                    cx.send(Command::Segment(SegmentCommand::DropAudience(audience.name)));
                }
            }
        });
    }
}

/// A menu of the measures that the log knows.
fn measure_menu(ui: &mut Ui, chosen: &mut Measure, answer: Option<&SegmentAnswer>) -> egui::Response {
    let known = answer.and_then(|answer| answer.table.as_ref().ok()).map(|table| table.measures.as_slice());
    let menu = egui::ComboBox::from_id_salt("measure").selected_text(chosen.title()).height(420.0);
    menu.show_ui(ui, |ui| {
        for measure in known.unwrap_or(&[*chosen]) {
            ui.selectable_value(chosen, *measure, measure.title());
        }
    })
    .response
}

/// A menu of columns; `none` is the first entry and leaves the choice empty.
pub(super) fn column_menu(
    ui: &mut Ui,
    salt: &str,
    chosen: &mut String,
    columns: &[String],
    none: Option<&str>,
) -> egui::Response {
    let shown = if chosen.is_empty() { none.unwrap_or_default() } else { chosen.as_str() };
    let menu = egui::ComboBox::from_id_salt(("segments", salt)).selected_text(shown).height(420.0);
    let answer = menu.show_ui(ui, |ui| {
        if let Some(none) = none {
            ui.selectable_value(chosen, String::new(), none);
        }
        for column in columns {
            ui.selectable_value(chosen, column.clone(), column);
        }
    });
    answer.response
}

pub(super) fn complain(ui: &mut Ui, theme: &Theme, failure: &Failure) {
    ui.label(RichText::new(failure.to_string()).color(theme.bad));
}

/// The first of some names.
fn first_of(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", "))
}

/// The whole in one line.
fn in_short(table: &SegmentTable) -> String {
    let mut text = format!(
        "{} groups, {} impressions",
        widgets::grouped(table.rows.len() as f64),
        widgets::grouped(table.total.trials)
    );
    if table.has_outcome {
        text.push_str(&format!(
            ", {} clicks: {}",
            widgets::grouped(table.total.successes),
            widgets::percent_with_interval(&table.total)
        ));
    }
    if table.hidden > 0 {
        text.push_str(&format!("; {} smaller groups are not listed", widgets::grouped(table.hidden as f64)));
    }
    text
}

/// Which answer an order belongs to.
type AnswerRef = Arc<SegmentAnswer>;
