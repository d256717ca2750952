//! Who clicks how often? Rates of the groups of any one or two columns, and audiences made from them.

mod findings;
mod table;

use super::Panel;
use crate::base::Failure;
use crate::data::LogFrame;
use crate::data::query::{self, SegmentQuery, SegmentRow, SegmentTable};
use crate::domain::Segment;
use crate::session::commands::{DataCommand, SegmentCommand};
use crate::session::{Command, Purpose};
use crate::tasks::segment::SegmentAnswer;
use crate::ui::charts::bars::{self, BarStyle};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Size, StripBuilder};
use findings::Findings;
use std::path::PathBuf;
use std::sync::Arc;
use table::Sorting;

/// Bars drawn at most: the first rows of the table.
const MAX_BARS: usize = 30;
/// Share of the width that the table takes; the bars have the rest.
const TABLE_SHARE: f32 = 0.6;
/// What the second menu says when nothing is crossed.
const NOTHING: &str = "nothing";

/// The question as it stands on the screen, and how the answer is sorted.
#[derive(Default)]
pub struct SegmentsPanel {
    /// True while all groups are looked through rather than those of the columns chosen.
    finding: bool,
    findings: Findings,
    by: String,
    crossed_with: String,
    filter: String,
    min_impressions: u32,
    audience_name: String,
    sorting: Sorting,
    selected: Option<Segment>,
    /// What was last sent, so that each question is asked once.
    asked: Option<Asked>,
}

/// A question about one reading of one file.
#[derive(Clone, PartialEq)]
struct Asked {
    query: SegmentQuery,
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
        "Click rates of groups of rows, each with its interval and its distance from the whole"
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
            self.question(ui, &columns);
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
            Some((query, Ok(table))) => self.answer(ui, cx, query, table),
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
            let own = columns.iter().find(|name| !matches!(name.as_str(), query::HOUR | query::WEEKDAY));
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

    fn question(&mut self, ui: &mut Ui, columns: &[String]) {
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Groups of").id;
            column_menu(ui, "by", &mut self.by, columns, None).labelled_by(label);
            let label = ui.label("crossed with").id;
            column_menu(ui, "crossed", &mut self.crossed_with, columns, Some(NOTHING)).labelled_by(label);
            let label = ui.label("with at least").id;
            let least = egui::DragValue::new(&mut self.min_impressions).range(0..=1_000_000_000).speed(1.0);
            ui.add(least).labelled_by(label);
            ui.label("impressions");
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
        let mut by = vec![self.by.clone()];
        if !self.crossed_with.is_empty() && self.crossed_with != self.by {
            by.push(self.crossed_with.clone());
        }
        let query = SegmentQuery { by, filter, min_impressions: f64::from(self.min_impressions) };
        let asked = Asked { query, revision: log.revision, path: log.source.path.clone() };
        if self.asked.as_ref() == Some(&asked) {
            return false;
        }
        cx.send(Command::Segment(SegmentCommand::Count(asked.query.clone())));
        self.asked = Some(asked);
        self.selected = None;
        true
    }

    fn answer(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, query: &SegmentQuery, table: &SegmentTable) {
        ui.label(in_short(table));
        if !table.has_outcome {
            let why =
                "The log does not say what was clicked: give a column the role label, or clicks and weight.";
            ui.label(RichText::new(why).color(cx.theme.warn));
        }
        self.audience_bar(ui, cx, &query.filter);
        ui.separator();
        let order = self.sorting.order(cx.session.store.segments.as_ref(), table);
        let sides = StripBuilder::new(ui).size(Size::relative(TABLE_SHARE)).size(Size::remainder());
        sides.horizontal(|mut sides| {
            sides.cell(|ui| {
                egui::ScrollArea::horizontal().id_salt("segment table").auto_shrink(false).show(ui, |ui| {
                    table::show(ui, cx.theme, table, &order, &mut self.sorting, &mut self.selected);
                });
            });
            sides.cell(|ui| chart(ui, cx.theme, table, &order));
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
                cx.send(Command::Segment(SegmentCommand::SaveAudience { name, segment: segment.clone() }));
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

/// The first rows of the table as bars with their intervals; the dashed line is the whole.
fn chart(ui: &mut Ui, theme: &Theme, table: &SegmentTable, order: &[u32]) {
    if !table.has_outcome {
        ui.weak("No click rates to draw.");
        return;
    }
    let shown: Vec<&SegmentRow> =
        order.iter().take(MAX_BARS).filter_map(|place| table.rows.get(*place as usize)).collect();
    let rows: Vec<bars::Row> = shown
        .iter()
        .map(|row| bars::Row {
            name: row.values.join(" x "),
            value: 100.0 * row.rate.rate,
            interval: Some((100.0 * row.rate.low, 100.0 * row.rate.high)),
            text: format!("{:.2} % of {}", 100.0 * row.rate.rate, widgets::grouped(row.rate.trials)),
        })
        .collect();
    let title = format!("Click rate in % by {}, 95 % intervals", table.by.join(" x "));
    ui.weak(format!("{title}; dashed: all rows"));
    egui::ScrollArea::vertical().id_salt("segment bars").auto_shrink(false).show(ui, |ui| {
        let reference = Some(100.0 * table.total.rate);
        bars::show(ui, theme, BarStyle { name: &title, colour: theme.series(0), reference }, &rows);
    });
}

/// Which answer an order belongs to.
type AnswerRef = Arc<SegmentAnswer>;
