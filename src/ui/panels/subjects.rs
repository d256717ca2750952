//! What is known of one user, and where, when and for whom does one ad work?

mod interests;
mod timeline;

use super::Panel;
use super::segments::complain;
use crate::base::Result;
use crate::data::query::subjects::{NEW_DAYS, SubjectKind, SubjectList, SubjectProfile, WordRate};
use crate::data::query::{Measure, SegmentTable};
use crate::insight::interests::ToldInterests;
use crate::metrics::{Estimate, Rate};
use crate::session::commands::{DataCommand, RowsCommand};
use crate::session::{Command, Purpose};
use crate::tasks::subjects::LookedUp;
use crate::ui::charts::bars::{self, BarStyle};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Column, Size, StripBuilder, TableBuilder};
use std::path::PathBuf;
use std::sync::Arc;

const ROW_HEIGHT: f32 = 22.0;
/// Bars of a column.
const MAX_BARS: usize = 8;

/// Who is looked at.
#[derive(Default)]
pub struct SubjectsPanel {
    kind: SubjectKind,
    name: String,
    /// What is written, until it is a whole name.
    search: String,
    /// What was last sent, about which reading of which file.
    asked: Option<(SubjectKind, String, u64, PathBuf, bool)>,
    /// The answer that was last seen: another panel may have asked for one.
    seen: Option<Arc<LookedUp>>,
}

impl Panel for SubjectsPanel {
    fn id(&self) -> &'static str {
        "subjects"
    }

    fn title(&self) -> &'static str {
        "Users and ads"
    }

    fn summary(&self) -> &'static str {
        "One user's history and interests, or where, when and for whom an ad works; the new ones are marked"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(open) = cx.session.store.log.as_ref() else {
            let why = "No log is open, so there is nobody to look up.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        };
        let (revision, path) = (open.frame.revision, open.frame.source.path.clone());
        self.follow(cx);
        ui.horizontal_wrapped(|ui| {
            for (kind, words) in [(SubjectKind::User, "Users"), (SubjectKind::Ad, "Ads")] {
                if ui.selectable_value(&mut self.kind, kind, words).clicked() {
                    self.name.clear();
                }
            }
            let label = ui.label("Find").id;
            let field =
                egui::TextEdit::singleline(&mut self.search).hint_text("part of a name").desired_width(180.0);
            let field = ui.add(field).labelled_by(label);
            // A whole name that is not among those listed is looked up as it is.
            if field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter)) {
                self.search.trim().clone_into(&mut self.name);
            }
        });
        let asked = (self.kind, self.name.clone(), revision, path, cx.session.store.scores.is_some());
        if self.asked.as_ref() != Some(&asked) {
            cx.send(Command::Rows(RowsCommand::LookUp(self.kind, self.name.clone())));
            self.asked = Some(asked);
        }
        let found = cx.session.store.subjects.clone().filter(|found| found.kind == self.kind);
        match found.as_deref() {
            Some(found) => self.answer(ui, cx, found),
            None => {
                ui.weak("Counting …");
            }
        }
    }
}

impl SubjectsPanel {
    /// Turns to whom another panel asked for.
    fn follow(&mut self, cx: &PanelContext<'_>) {
        let Some(found) = &cx.session.store.subjects else { return };
        if self.seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, found)) {
            if !found.name.is_empty() {
                (self.kind, self.name) = (found.kind, found.name.clone());
            }
            self.seen = Some(Arc::clone(found));
        }
    }

    fn answer(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, found: &LookedUp) {
        let list = match &found.list {
            Ok(list) => list,
            Err(failure) => {
                complain(ui, cx.theme, failure);
                return;
            }
        };
        let what = if self.kind == SubjectKind::User { "users" } else { "ads" };
        ui.label(format!(
            "{} {what}, {} of them new: first seen in the last {NEW_DAYS} days",
            widgets::grouped(list.count as f64),
            widgets::grouped(list.new as f64)
        ));
        let mut wanted = None;
        let sides = StripBuilder::new(ui).size(Size::relative(0.36)).size(Size::remainder());
        sides.horizontal(|mut sides| {
            sides.cell(|ui| self.list(ui, cx, list));
            sides.cell(|ui| match &found.profile {
                _ if cx.session.jobs.of(Purpose::LookUp).is_some() => {
                    ui.weak("Looking …");
                }
                Some(Ok(profile)) => wanted = tell(ui, cx, profile, found.interests.as_ref()),
                Some(Err(failure)) => complain(ui, cx.theme, failure),
                None => {
                    ui.weak("Click one of the list.");
                }
            });
        });
        if let Some(days) = wanted {
            cx.send(Command::Rows(RowsCommand::FadeInterests(days)));
        }
    }

    fn list(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, list: &SubjectList) {
        let theme = cx.theme;
        let marked = cx.session.store.marked.as_ref().and_then(|marked| marked.found.as_ref().ok());
        let column = cx.session.store.log.as_ref().and_then(|open| list.kind.column(&open.frame).ok());
        let wanted = self.search.trim().to_lowercase();
        let shown: Vec<usize> = (0..list.listed.len())
            .filter(|place| wanted.is_empty() || list.listed[*place].name.to_lowercase().contains(&wanted))
            .collect();
        if marked.is_some() {
            ui.colored_label(theme.accent, "In this colour: rows in the chosen group");
        }
        ui.push_id("subjects", |ui| {
            let table = TableBuilder::new(ui)
                .striped(true)
                .sense(egui::Sense::click())
                .column(Column::initial(130.0).clip(true))
                .column(Column::initial(80.0).clip(true))
                .column(Column::remainder().clip(true));
            table
                .header(ROW_HEIGHT, |mut header| {
                    for title in ["Name", "Impressions", "CTR, 95 % interval"] {
                        header.col(|ui| {
                            ui.strong(title);
                        });
                    }
                })
                .body(|body| {
                    body.rows(ROW_HEIGHT, shown.len(), |mut line| {
                        let one = &list.listed[shown[line.index()]];
                        line.set_selected(self.name == one.name);
                        let mark = if one.is_new { " (new)" } else { "" };
                        let within =
                            marked.zip(column).and_then(|(marked, column)| marked.share(column, &one.name));
                        let chosen = within.is_some_and(|share| share > 0.0);
                        let cells = [
                            format!("{}{mark}", one.name),
                            widgets::grouped(one.rate.trials),
                            ctr(&one.rate, list.has_outcome),
                        ];
                        for text in cells {
                            let colour = match (chosen, one.is_new) {
                                (true, _) => theme.accent,
                                (false, true) => theme.warn,
                                (false, false) => theme.text,
                            };
                            line.col(|ui| {
                                let label = egui::Label::new(RichText::new(text).color(colour));
                                ui.add(label.truncate().selectable(false));
                            });
                        }
                        if line.response().clicked() {
                            self.name.clone_from(&one.name);
                        }
                    });
                });
        });
    }
}

/// A click rate with its interval, where the log says what was clicked.
fn ctr(rate: &Rate, is_told: bool) -> String {
    if is_told { widgets::percent_with_interval(rate) } else { "n/a".to_owned() }
}

fn tell(
    ui: &mut Ui,
    cx: &PanelContext<'_>,
    profile: &SubjectProfile,
    interested: Option<&Result<ToldInterests>>,
) -> Option<f64> {
    let mut wanted = None;
    let theme = cx.theme;
    let one = &profile.listed;
    egui::ScrollArea::vertical().id_salt("subject").auto_shrink(false).show(ui, |ui| {
        let age =
            one.first.map_or_else(String::new, |first| format!("first seen {}", widgets::moment(first)));
        let age = if one.is_new { format!("{age}: new, models have learnt nothing of it") } else { age };
        ui.label(RichText::new(&one.name).size(16.0).strong());
        ui.weak(age);
        ui.label(format!(
            "CTR {} of {}; all rows {}",
            ctr(&one.rate, profile.has_outcome),
            widgets::grouped(one.rate.trials),
            ctr(&profile.everybody, profile.has_outcome)
        ));
        let predicted = profile.by.first().and_then(|table| table.total_of(Measure::PredictedCtr));
        if let Some(predicted) = predicted {
            let within = predicted.interval.map_or_else(String::new, |[low, high]| {
                format!(" ({:.2} to {:.2})", 100.0 * low, 100.0 * high)
            });
            let n = widgets::grouped(predicted.n);
            ui.label(format!("predicted {:.2} %{within} on average, n {n}", 100.0 * predicted.value));
        }
        match interested {
            Some(Ok(told)) => {
                ui.add_space(8.0);
                wanted = interests::show(ui, cx, told);
            }
            // A log without texts is no failure of the person's.
            Some(Err(failure)) => drop(ui.weak(failure.to_string())),
            None => {}
        }
        for (place, table) in profile.by.iter().enumerate().filter(|_| profile.has_outcome) {
            ui.add_space(8.0);
            column(ui, theme, table, place);
        }
        if let Some(weeks) = profile.by_week.as_ref().filter(|_| profile.has_outcome) {
            ui.add_space(8.0);
            by_week(ui, weeks);
        }
        if !profile.words.is_empty() {
            ui.add_space(8.0);
            words(ui, theme, profile);
        }
        if profile.history.iter().any(|seen| seen.at.is_some()) {
            ui.add_space(8.0);
            timeline::show(ui, theme, profile);
        }
        ui.add_space(8.0);
        history(ui, theme, profile);
    });
    wanted
}

/// The words of its texts that were clicked most.
fn words(ui: &mut Ui, theme: &Theme, profile: &SubjectProfile) {
    let title = "Click rate in % of rows whose text has a word, 95 % intervals";
    ui.weak(format!("{title}; most clicked first; dashed: all its rows"));
    let row = |one: &WordRate| bars::Row {
        name: one.word.clone(),
        value: 100.0 * one.rate.rate,
        interval: Some((100.0 * one.rate.low, 100.0 * one.rate.high)),
        text: format!("{:.2} % of {}", 100.0 * one.rate.rate, widgets::grouped(one.rate.trials)),
    };
    let rows: Vec<bars::Row> = profile.words.iter().filter(|_| profile.has_outcome).map(row).collect();
    let reference = Some(100.0 * profile.listed.rate.rate);
    bars::show(ui, theme, BarStyle { name: title, colour: theme.series(3), reference, marked: None }, &rows);
}

fn column(ui: &mut Ui, theme: &Theme, table: &SegmentTable, place: usize) {
    let title = format!("Click rate in % by {}, 95 % intervals", table.by.join(" x "));
    ui.weak(format!("{title}; dashed: all its rows"));
    let rows: Vec<bars::Row> = table
        .rows
        .iter()
        .take(MAX_BARS)
        .map(|row| bars::Row {
            name: row.values.join(" x "),
            value: 100.0 * row.rate.rate,
            interval: Some((100.0 * row.rate.low, 100.0 * row.rate.high)),
            text: format!("{:.2} % of {}", 100.0 * row.rate.rate, widgets::grouped(row.rate.trials)),
        })
        .collect();
    let reference = Some(100.0 * table.total.rate);
    bars::show(
        ui,
        theme,
        BarStyle { name: &title, colour: theme.series(place), reference, marked: None },
        &rows,
    );
}

/// How interest moves: impressions and clicks of each value, week by week.
fn by_week(ui: &mut Ui, table: &SegmentTable) {
    let mut weeks: Vec<(u32, &str)> = Vec::new();
    let mut values: Vec<(u32, &str)> = Vec::new();
    for row in &table.rows {
        if let (&[week, value], [week_name, value_name]) = (row.codes.as_slice(), row.values.as_slice()) {
            weeks.push((week, week_name));
            values.push((value, value_name));
        }
    }
    for side in [&mut weeks, &mut values] {
        side.sort_unstable();
        side.dedup();
    }
    values.truncate(MAX_BARS);
    ui.strong(format!("{} week by week: clicks of impressions", table.by.get(1).map_or("", String::as_str)));
    egui::Grid::new("by week").striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
        ui.label("");
        for (_, name) in &weeks {
            ui.weak(*name);
        }
        ui.end_row();
        for (value, name) in &values {
            ui.label(*name);
            for (week, _) in &weeks {
                let row = table.rows.iter().find(|row| row.codes == [*week, *value]);
                ui.label(row.map_or_else(
                    || "-".to_owned(),
                    |row| {
                        format!(
                            "{} of {}",
                            widgets::grouped(row.rate.successes),
                            widgets::grouped(row.rate.trials)
                        )
                    },
                ));
            }
            ui.end_row();
        }
    });
}

fn history(ui: &mut Ui, theme: &Theme, profile: &SubjectProfile) {
    ui.strong(format!("The last {} rows, newest first", profile.history.len()));
    egui::ScrollArea::horizontal().id_salt("history").show(ui, |ui| {
        egui::Grid::new("history").striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
            ui.strong("When, UTC");
            for table in &profile.by {
                ui.strong(table.by.join(" x "));
            }
            ui.strong("Clicked");
            ui.strong("Predicted");
            ui.end_row();
            for seen in &profile.history {
                ui.label(seen.at.map_or_else(String::new, widgets::moment));
                for value in &seen.values {
                    ui.label(value);
                }
                match seen.clicked {
                    Some(true) => ui.label(RichText::new("yes").color(theme.good)),
                    Some(false) => ui.weak("no"),
                    None => ui.weak("n/a"),
                };
                let score = |p| Estimate::score_in_percent(f64::from(p), seen.interval, 2);
                ui.label(seen.predicted.map_or_else(String::new, score));
                ui.end_row();
            }
        });
    });
}
