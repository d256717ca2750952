//! Who clicks how often, at what cost? Measures of the groups of columns, seen in several ways, and audiences made from
//! them.

mod export;
mod findings;
mod table;
mod views;

use super::Panel;
use crate::base::Failure;
use crate::data::LogFrame;
use crate::data::query::{self, Derived, Measure, SegmentQuery, SegmentTable};
use crate::domain::Segment;
use crate::session::commands::{DataCommand, PrivacyCommand, SegmentCommand};
use crate::session::{Command, Purpose};
use crate::tasks::segment::SegmentAnswer;
use crate::ui::{PanelContext, Theme, widgets};
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
/// What the second menu says when nothing is crossed.
const NOTHING: &str = "nothing";

/// The question as it stands on the screen, and how the answer is sorted.
pub struct SegmentsPanel {
    /// True while all groups are looked through rather than those of the columns chosen.
    finding: bool,
    findings: Findings,
    view: View,
    charts: Charts,
    by: String,
    crossed_with: String,
    /// What the charts show.
    measure: Measure,
    /// Beside what happened, what the model in view predicts.
    predicted: bool,
    /// Values of the group that others are compared with; empty for all other rows.
    against: Vec<String>,
    filter: String,
    min_impressions: u32,
    audience_name: String,
    /// The filters that were drilled down from, first to last.
    trail: Vec<String>,
    /// The file that the answer is written to.
    out: String,
    sorting: Sorting,
    selected: Option<Segment>,
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

impl Default for SegmentsPanel {
    fn default() -> Self {
        Self {
            finding: false,
            findings: Findings::default(),
            view: View::default(),
            charts: Charts::default(),
            by: String::new(),
            crossed_with: String::new(),
            measure: Measure::Ctr,
            predicted: false,
            against: Vec::new(),
            filter: String::new(),
            min_impressions: 0,
            audience_name: String::new(),
            trail: Vec::new(),
            out: String::new(),
            sorting: Sorting::default(),
            selected: None,
            asked: None,
        }
    }
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
        self.modes(ui);
        if !self.finding {
            self.question(ui, cx, &log, &columns);
        }
        filter_field(ui, &mut self.filter);
        let filter = Segment::parse(&self.filter);
        if let (true, Ok(filter)) = (self.finding, &filter) {
            self.audience_bar(ui, cx, filter);
            self.findings.ui(ui, cx, &log, filter.clone(), &mut self.selected);
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
        by.clone_into(&mut self.by);
        crossed_with.clone_into(&mut self.crossed_with);
    }

    /// Chooses a first column; forgets columns that the open log lacks.
    fn start_with(&mut self, columns: &[String]) {
        if !columns.contains(&self.by) {
            let is_derived = |name: &str| Derived::ALL.iter().any(|derived| derived.name() == name);
            let own = columns.iter().find(|name| !is_derived(name));
            self.by = own.or(columns.first()).cloned().unwrap_or_default();
        }
        if !columns.contains(&self.crossed_with) {
            self.crossed_with.clear();
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
        });
    }

    fn question(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, log: &LogFrame, columns: &[String]) {
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Show").id;
            measure_menu(ui, &mut self.measure, cx.session.store.segments.as_deref()).labelled_by(label);
            ui.label("as");
            self.view.menu(ui, log, &self.by);
        });
        ui.horizontal_wrapped(|ui| {
            let (has_first, has_second) = self.view.has_columns();
            if has_first {
                let label = ui.label("Groups of").id;
                column_menu(ui, "by", &mut self.by, columns, None).labelled_by(label);
            }
            if has_second {
                let label = ui.label("crossed with").id;
                column_menu(ui, "crossed", &mut self.crossed_with, columns, Some(NOTHING)).labelled_by(label);
            }
            let label = ui.label("with at least").id;
            let least = egui::DragValue::new(&mut self.min_impressions).range(0..=1_000_000_000).speed(1.0);
            ui.add(least).labelled_by(label);
            ui.label("impressions");
            self.predictions(ui, cx);
        });
    }

    /// Offers what the model in view predicts, where there is one.
    fn predictions(&mut self, ui: &mut Ui, cx: &PanelContext<'_>) {
        let model = cx.session.store.training.model().filter(|_| cx.session.store.dataset.is_some());
        let Some(model) = model else {
            self.predicted = false;
            return;
        };
        let words = format!("with predictions of {}", model.kind);
        ui.checkbox(&mut self.predicted, words)
            .on_hover_text("Predicted CTR and predicted/actual beside what happened");
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
        let by = self.view.by(log, &self.by, &self.crossed_with).unwrap_or_else(|| vec![self.by.clone()]);
        if self.asked.as_ref().is_some_and(|asked| asked.query.by != by) {
            // Groups of other columns have other names.
            self.against.clear();
        }
        let min_impressions = f64::from(self.min_impressions);
        let query = SegmentQuery { by, filter, min_impressions, against: self.against.clone() };
        let (predicted, funnel) = (self.predicted, self.view == View::Funnel);
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
        let (view, measure) = (self.view, self.measure);
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
                    self.charts.show(ui, cx.theme, view, Shown { table, measure, order: &order, funnel });
                } else {
                    // The answer to the question before this view's.
                    ui.weak("Counting …");
                }
            });
        });
    }

    /// From the whole down to the chosen group, and back; tells the other panels what is chosen.
    fn trail(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, query: &SegmentQuery, table: &SegmentTable) {
        let selected = table.rows.iter().find(|row| self.selected.as_ref() == Some(&row.segment));
        let chosen = selected.map(|row| query.filter.clone().and(row.segment.clone()));
        if chosen != cx.session.store.chosen {
            cx.send(Command::Segment(SegmentCommand::Choose(chosen.clone())));
        }
        if chosen.is_none() && self.trail.is_empty() {
            return;
        }
        ui.horizontal_wrapped(|ui| {
            let mut back = None;
            for (place, filter) in self.trail.iter().enumerate() {
                let words = if filter.trim().is_empty() { "all rows" } else { filter };
                if ui.small_button(words).on_hover_text("Back to these rows").clicked() {
                    back = Some(place);
                }
                ui.weak(">");
            }
            if let Some(place) = back {
                self.filter = self.trail.split_off(place).swap_remove(0);
                self.selected = None;
            }
            if let (Some(group), Some(row)) = (chosen, selected)
                && ui.small_button(format!("Drill down into {}", row.values.join(" x "))).clicked()
            {
                self.trail.push(std::mem::replace(&mut self.filter, group.to_string()));
                self.selected = None;
            }
        });
    }

    /// What the groups are compared with: all other rows, or one of them.
    fn reference(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, table: &SegmentTable) {
        let selected = table.rows.iter().find(|row| self.selected.as_ref() == Some(&row.segment));
        ui.horizontal_wrapped(|ui| {
            if table.against.is_empty() {
                ui.weak("Compared with all other rows.");
            } else {
                ui.weak(format!("Compared with {}.", table.against.join(" x ")));
                if ui.small_button("with all other rows").clicked() {
                    self.against.clear();
                }
            }
            export::menu(ui, cx, &mut self.out, self.measure);
            if let Some(row) = selected.filter(|row| row.values != table.against)
                && ui.small_button(format!("Compare all with {}", row.values.join(" x "))).clicked()
            {
                self.against.clone_from(&row.values);
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
                    self.filter.clone_from(&audience.segment);
                }
                let forget = ui.small_button("x").on_hover_text(format!("Forget {}", audience.name));
                if forget.clicked() {
                    cx.send(Command::Segment(SegmentCommand::DropAudience(audience.name)));
                }
            }
        });
    }
}

/// Where a person writes which rows count.
pub(super) fn filter_field(ui: &mut Ui, filter: &mut String) {
    ui.horizontal(|ui| {
        let label = ui.label("Only where").id;
        let field = egui::TextEdit::singleline(filter)
            .hint_text("age_band in ('18-24', '25-34') and city = '上海' and hour >= 18")
            .desired_width(f32::INFINITY);
        ui.add(field).labelled_by(label);
    });
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
