//! Which groups click unlike all others? Found by looking through all of them, told with what was looked at.

use super::complain;
use crate::data::LogFrame;
use crate::data::query::finder::{FinderQuery, FinderReport, Finding, MAX_DEPTH};
use crate::domain::Segment;
use crate::metrics::significance::p_words;
use crate::session::commands::SegmentCommand;
use crate::session::{Command, Purpose};
use crate::tasks::find::FinderAnswer;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};
use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

const ROW_HEIGHT: f32 = 22.0;

/// What the findings are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Order {
    /// Clicks gained or lost against the others' rate.
    #[default]
    Clicks,
    /// How many times the others' rate, highest first.
    Highest,
    /// The same, lowest first.
    Lowest,
    /// Money spent in the group.
    Money,
}

/// The question as it stands on the screen.
#[derive(Default)]
pub(super) struct Findings {
    depth: Option<usize>,
    order: Order,
    /// What was last sent, about which reading of which file.
    asked: Option<(FinderQuery, u64, PathBuf)>,
    /// The order is found once an answer, not once a frame.
    sorted: Option<(Arc<FinderAnswer>, Order, Vec<usize>)>,
}

impl Findings {
    /// Draws question and answer; a click on a row chooses its group.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        log: &LogFrame,
        filter: Segment,
        selected: &mut Option<Segment>,
    ) {
        let answer = cx.session.store.findings.clone();
        let report = answer.as_ref().and_then(|answer| answer.report.as_ref().ok());
        self.question(ui, report.is_some_and(|report| !report.money_meaning.is_empty()));
        let just_asked = self.ask(cx, log, filter);
        match answer {
            Some(answer) => match &answer.report {
                Ok(report) => self.answer(ui, cx.theme, &answer, report, selected),
                Err(failure) => complain(ui, cx.theme, failure),
            },
            None if just_asked || cx.session.jobs.of(Purpose::Find).is_some() => {
                ui.horizontal(|ui| {
                    ui.weak("Looking through all groups …");
                    if ui.button("Stop").clicked() {
                        cx.send(Command::Segment(SegmentCommand::StopFinding));
                    }
                });
            }
            None => {
                if widgets::empty_state(ui, cx.theme, "Nothing has been looked for yet.", "Look again") {
                    self.asked = None;
                }
            }
        }
    }

    /// The order by money is offered where the log names amounts that add up.
    fn question(&mut self, ui: &mut Ui, has_money: bool) {
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Joining up to").id;
            let mut depth = self.depth.unwrap_or(MAX_DEPTH);
            let menu = egui::ComboBox::from_id_salt("finder depth").selected_text(format!("{depth} columns"));
            let menu = menu.show_ui(ui, |ui| {
                for joined in 1..=MAX_DEPTH {
                    let words = format!("{joined} column{}", if joined == 1 { "" } else { "s" });
                    ui.selectable_value(&mut depth, joined, words);
                }
            });
            menu.response.labelled_by(label);
            self.depth = Some(depth);
            ui.label("first those with");
            for (order, words) in [
                (Order::Clicks, "most clicks gained or lost"),
                (Order::Highest, "highest lift"),
                (Order::Lowest, "lowest lift"),
                (Order::Money, "most money"),
            ] {
                if has_money || order != Order::Money {
                    ui.selectable_value(&mut self.order, order, words);
                }
            }
        });
    }

    /// Sends the question when it is a new one; true when it was.
    fn ask(&mut self, cx: &mut PanelContext<'_>, log: &LogFrame, filter: Segment) -> bool {
        let depth = self.depth.unwrap_or(MAX_DEPTH);
        let query = FinderQuery { filter, depth, ..FinderQuery::default() };
        let asked = (query, log.revision, log.source.path.clone());
        if self.asked.as_ref() == Some(&asked) {
            return false;
        }
        cx.send(Command::Segment(SegmentCommand::Find(asked.0.clone())));
        self.asked = Some(asked);
        true
    }

    fn answer(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        answer: &Arc<FinderAnswer>,
        report: &FinderReport,
        selected: &mut Option<Segment>,
    ) {
        ui.label(in_short(report));
        let cut = report.columns.iter().filter(|column| column.told_apart < column.groups);
        let cut: Vec<String> = cut
            .map(|column| {
                format!("{}: the {} most shown of {}", column.name, column.told_apart, column.groups)
            })
            .collect();
        if !cut.is_empty() {
            ui.weak(format!("Values told apart: {}", cut.join("; ")));
        }
        if report.findings.is_empty() {
            let why = "No group differs from the others by more than chance explains.";
            ui.label(RichText::new(why).color(theme.weak_text));
            return;
        }
        let order = self.sorted(answer, report);
        table(ui, theme, report, &order, selected);
    }

    fn sorted(&mut self, answer: &Arc<FinderAnswer>, report: &FinderReport) -> Vec<usize> {
        if let Some((known, order, places)) = &self.sorted
            && Arc::ptr_eq(known, answer)
            && *order == self.order
        {
            return places.clone();
        }
        let mut places: Vec<usize> = (0..report.findings.len()).collect();
        places.sort_by(|a, b| compare(self.order, &report.findings[*a], &report.findings[*b]));
        self.sorted = Some((Arc::clone(answer), self.order, places.clone()));
        places
    }
}

fn compare(order: Order, a: &Finding, b: &Finding) -> Ordering {
    let falling = |a: Option<f64>, b: Option<f64>| {
        b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY))
    };
    match order {
        Order::Clicks => b.excess_clicks.abs().total_cmp(&a.excess_clicks.abs()),
        Order::Highest => falling(a.lift, b.lift),
        Order::Lowest => falling(a.lift.map(|lift| -lift), b.lift.map(|lift| -lift)),
        Order::Money => falling(a.money, b.money),
    }
}

fn in_short(report: &FinderReport) -> String {
    let names: Vec<&str> = report.columns.iter().map(|column| column.name.as_str()).collect();
    format!(
        "{} of {} groups stand out, at 5 % after correction for all of them; columns: {}",
        widgets::grouped(report.findings.len() as f64),
        widgets::grouped(report.judged as f64),
        names.join(", ")
    )
}

fn table(ui: &mut Ui, theme: &Theme, report: &FinderReport, order: &[usize], selected: &mut Option<Segment>) {
    let mut titles = vec![
        ("Group", 320.0, "Columns and values that its rows share"),
        ("Impressions", 100.0, "Rows, or their weight"),
        ("CTR, 95 % interval", 170.0, "Wilson's interval"),
        ("Others, 95 % interval", 170.0, "Click rate of all other rows"),
        ("Lift", 56.0, "Its rate over that of the others"),
        ("Clicks +/-", 90.0, "Clicks beyond those that the rate of all rows would give"),
        ("p", 90.0, "Chance of such a difference in any group looked at (Bonferroni)"),
    ];
    if !report.money_meaning.is_empty() {
        titles.push((&report.money_meaning, 120.0, "Money in the group"));
    }
    let mut builder = TableBuilder::new(ui).striped(true).sense(egui::Sense::click()).resizable(true);
    for (_, width, _) in &titles {
        builder = builder.column(Column::initial(*width).at_least(48.0).clip(true));
    }
    builder
        .id_salt(("findings", titles.len()))
        .header(ROW_HEIGHT, |mut header| {
            for (title, _, meaning) in &titles {
                header.col(|ui| {
                    ui.strong(*title).on_hover_text(*meaning);
                });
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, order.len(), |mut line| {
                let Some(finding) = report.findings.get(order[line.index()]) else { return };
                line.set_selected(selected.as_ref() == Some(&finding.segment));
                for (place, text) in cells(finding, titles.len() > 7).into_iter().enumerate() {
                    line.col(|ui| {
                        let label = egui::Label::new(RichText::new(&text).color(theme.text)).truncate();
                        let response = ui.add(label.selectable(false));
                        response.on_hover_ui(|ui| hover(ui, finding, place, &text));
                    });
                }
                if line.response().clicked() {
                    let same = selected.as_ref() == Some(&finding.segment);
                    *selected = (!same).then(|| finding.segment.clone());
                }
            });
        });
}

/// The whole text of a cell; for the group, also its other names.
fn hover(ui: &mut Ui, finding: &Finding, place: usize, text: &str) {
    ui.label(text);
    for other in finding.also.iter().filter(|_| place == 0) {
        ui.weak(format!("the same rows: {other}"));
    }
}

fn cells(finding: &Finding, with_money: bool) -> Vec<String> {
    let unknown = || "n/a".to_owned();
    let parts: Vec<String> =
        finding.parts.iter().map(|(column, value)| format!("{column} {value}")).collect();
    let sign = if finding.excess_clicks < 0.0 { "-" } else { "+" };
    let mut cells = vec![
        parts.join(", "),
        widgets::grouped(finding.rate.trials),
        widgets::percent_with_interval(&finding.rate),
        widgets::percent_with_interval(&finding.others),
        finding.lift.map_or_else(unknown, |lift| format!("{lift:.2}")),
        format!("{sign}{}", widgets::grouped(finding.excess_clicks.abs().round())),
        p_words(finding.p),
    ];
    if with_money {
        cells.push(finding.money.map_or_else(unknown, |money| format!("{money:.2}")));
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Rate;

    #[test]
    fn sorts_by_clicks_either_way_and_by_lift() {
        let finding = |excess_clicks, lift| Finding {
            segment: Segment::All,
            parts: Vec::new(),
            rate: Rate::default(),
            others: Rate::default(),
            lift,
            excess_clicks,
            also: Vec::new(),
            p: 0.01,
            money: None,
        };
        let (lost, gained, unknown) =
            (finding(-90.0, Some(0.2)), finding(40.0, Some(3.0)), finding(5.0, None));
        let first = |order: Order| {
            let mut all = [&unknown, &gained, &lost];
            all.sort_by(|a, b| compare(order, a, b));
            all[0].excess_clicks
        };
        assert_eq!(first(Order::Clicks), -90.0);
        assert_eq!(first(Order::Highest), 40.0);
        assert_eq!(first(Order::Lowest), -90.0);
    }
}
