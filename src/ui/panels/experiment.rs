//! Did the other arm do better? A test in the log, arm against control, and how many rows the next test needs.

use super::Panel;
use super::segments::{column_menu, complain};
use crate::data::LogFrame;
use crate::data::query::experiment::{ArmReport, ExperimentQuery, ExperimentReport, Part, Uplift};
use crate::data::query::groupable_columns;
use crate::data::schema::ColumnType;
use crate::domain::Segment;
use crate::metrics::ab_test::needed_per_arm;
use crate::metrics::significance::p_words;
use crate::session::commands::{DataCommand, SegmentCommand};
use crate::session::{Command, Purpose};
use crate::ui::charts::{Frame, Series, curve};
use crate::ui::widgets::filter_field;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::path::PathBuf;

/// Arms that chance would make so uneven in fewer than 1 of 100 tests.
const SUSPECT_P: f64 = 0.01;
/// A difference is told as one below this chance.
const LEVEL: f64 = 0.05;

/// The question as it stands on the screen.
pub struct ExperimentPanel {
    arms: String,
    control: String,
    by: String,
    covariate: String,
    rank: String,
    filter: String,
    plan: Plan,
    /// What was last sent, about which reading of which file.
    asked: Option<(ExperimentQuery, u64, PathBuf)>,
}

/// The next test, in percent.
struct Plan {
    base: f64,
    rise: f64,
    power: f64,
}

impl Default for ExperimentPanel {
    fn default() -> Self {
        Self {
            arms: String::new(),
            control: String::new(),
            by: String::new(),
            covariate: String::new(),
            rank: String::new(),
            filter: String::new(),
            plan: Plan { base: 2.0, rise: 15.0, power: 80.0 },
            asked: None,
        }
    }
}

impl Panel for ExperimentPanel {
    fn id(&self) -> &'static str {
        "experiment"
    }

    fn title(&self) -> &'static str {
        "A/B test"
    }

    fn summary(&self) -> &'static str {
        "The arms of a test compared: how much better, how sure, for whom, and how long the next one takes"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(log) = cx.session.store.log.as_ref().map(|open| open.frame.clone()) else {
            let why = "No log is open, so there are no arms to compare.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        };
        let known = cx.session.store.experiment.clone();
        let found = known.as_deref().and_then(|answer| answer.report.as_ref().ok());
        self.question(ui, cx, &log, found);
        let just_asked = match Segment::parse(&self.filter) {
            Ok(filter) => self.ask(cx, &log, filter),
            Err(failure) => {
                complain(ui, cx.theme, &failure);
                return;
            }
        };
        ui.separator();
        egui::ScrollArea::vertical().id_salt("experiment").auto_shrink(false).show(ui, |ui| {
            match known.as_deref() {
                Some(answer) => match &answer.report {
                    Ok(report) => tell(ui, cx.theme, &answer.query, report),
                    // Most logs hold no test: that is no failure of theirs.
                    Err(failure) if answer.query == ExperimentQuery::default() => {
                        ui.label(format!("{}: {}.", failure.why, failure.hint));
                    }
                    Err(failure) => complain(ui, cx.theme, failure),
                },
                None if just_asked || cx.session.jobs.of(Purpose::Experiment).is_some() => {
                    ui.weak("Comparing …");
                }
                None => {
                    if ui.button("Compare").clicked() {
                        self.asked = None;
                    }
                }
            }
            ui.add_space(14.0);
            self.plan.ui(ui, cx.theme);
        });
    }
}

impl ExperimentPanel {
    fn question(
        &mut self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        log: &LogFrame,
        found: Option<&ExperimentReport>,
    ) {
        let columns = groupable_columns(log);
        for chosen in [&mut self.arms, &mut self.by] {
            if !columns.contains(chosen) {
                chosen.clear();
            }
        }
        let numbers: Vec<String> = (log.schema.columns.iter())
            .filter(|column| matches!(column.kind, ColumnType::Integer | ColumnType::Real))
            .map(|column| column.name.clone())
            .collect();
        ui.horizontal_wrapped(|ui| {
            let menu = |ui: &mut Ui, words: &str, salt, chosen: &mut String, list: &[String], none| {
                let label = ui.label(words).id;
                column_menu(ui, salt, chosen, list, Some(none)).labelled_by(label);
            };
            menu(ui, "Arms by", "arms", &mut self.arms, &columns, "the column that looks like it");
            let arms: Vec<String> = found
                .map(|report| report.arms.iter().map(|arm| arm.name.clone()).collect())
                .unwrap_or_default();
            menu(ui, "against", "control", &mut self.control, &arms, "the control");
            menu(ui, "for each", "test by", &mut self.by, &columns, "all rows");
            menu(ui, "take out", "covariate", &mut self.covariate, &numbers, "nothing known before");
            menu(ui, "treat first by", "rank", &mut self.rank, &numbers, "no rank");
        });
        filter_field(ui, cx, &mut self.filter);
    }

    /// Sends the question when it is a new one; true when it was.
    fn ask(&mut self, cx: &mut PanelContext<'_>, log: &LogFrame, filter: Segment) -> bool {
        let query = ExperimentQuery {
            arms: self.arms.clone(),
            control: self.control.clone(),
            filter,
            by: self.by.clone(),
            covariate: self.covariate.clone(),
            rank: self.rank.clone(),
        };
        let asked = (query, log.revision, log.source.path.clone());
        if self.asked.as_ref() == Some(&asked) {
            return false;
        }
        if self.asked.as_ref().is_some_and(|(before, ..)| before.arms != asked.0.arms) {
            // The arms of another column are others.
            self.control.clear();
        }
        cx.send(Command::Segment(SegmentCommand::Compare(asked.0.clone())));
        self.asked = Some(asked);
        true
    }
}

fn tell(ui: &mut Ui, theme: &Theme, query: &ExperimentQuery, report: &ExperimentReport) {
    for arm in report.arms.iter().skip(1) {
        ui.label(RichText::new(verdict(&report.arms[0], arm)).size(16.0).strong());
    }
    for (text, bad) in cautions(report) {
        ui.label(RichText::new(text).color(if bad { theme.bad } else { theme.weak_text }));
    }
    ui.add_space(6.0);
    egui::ScrollArea::horizontal().id_salt("arms").show(ui, |ui| arms(ui, query, report));
    if let Some(uplift) = &report.uplift {
        ui.add_space(10.0);
        gain(ui, theme, uplift);
    }
    if !report.parts.is_empty() {
        ui.add_space(10.0);
        let hidden = match report.hidden {
            0 => String::new(),
            n => format!("; {} smaller groups are not listed", widgets::grouped(n as f64)),
        };
        ui.strong(format!("For each {}, corrected for all groups (Holm){hidden}", query.by));
        egui::ScrollArea::horizontal().id_salt("parts").show(ui, |ui| parts(ui, theme, &report.parts));
    }
}

/// What treating by a rank would bring: the curve beside the straight line of a rank that knows nothing.
fn gain(ui: &mut Ui, theme: &Theme, uplift: &Uplift) {
    let Uplift { column, arm, qini, coefficient } = uplift;
    ui.strong(format!("Whom '{arm}' moves, treating first by {column}"));
    let words = match coefficient {
        Some(found) if found.excludes(0.0) && found.value > 0.0 => "the rank knows who gains",
        Some(found) if found.excludes(0.0) => "the rank is backwards: those it puts last gain most",
        _ => "the rank may know nothing",
    };
    let range =
        coefficient.map_or_else(String::new, |found| format!(" ({:.5} to {:.5})", found.low, found.high));
    ui.label(format!(
        "Qini {:.5}{range}: {words}. Treating the first half brings {:+.3} clicks per 100 impressions of all, everybody \
         {:+.3}.",
        qini.coefficient,
        100.0 * qini.gain(0.5),
        100.0 * qini.everybody
    ));
    let line = [[0.0, 0.0], [1.0, qini.everybody]];
    let frame = Frame {
        name: "Qini curve",
        x: "share of impressions that would be treated",
        y: "clicks gained per impression of all",
        height: 260.0,
    };
    let series = [
        Series { name: "by the rank", points: &qini.curve, colour: theme.series(0), dashed: false },
        Series { name: "a rank that knows nothing", points: &line, colour: theme.weak_text, dashed: true },
    ];
    curve::show(ui, theme, frame, curve::LegendCorner::LeftTop, &series);
}

/// The difference in one sentence, no stronger than it is.
fn verdict(control: &ArmReport, arm: &ArmReport) -> String {
    let Some(found) = &arm.against_control else {
        return format!("'{}' against '{}': nothing can be told.", arm.name, control.name);
    };
    let relative = found.relative.unwrap_or_default();
    let range = format!("{:+.1} to {:+.1} %", 100.0 * relative.low, 100.0 * relative.high);
    if found.p >= LEVEL {
        return format!(
            "'{}' and '{}' may be alike: the difference is between {range}.",
            arm.name, control.name
        );
    }
    let word = if found.difference.value > 0.0 { "better" } else { "worse" };
    format!("'{}' does {word} than '{}': {:+.1} % ({range}).", arm.name, control.name, 100.0 * relative.value)
}

/// What must be said beside the difference; true where it must not be believed.
fn cautions(report: &ExperimentReport) -> Vec<(String, bool)> {
    let mut said = Vec::new();
    if let Some(p) = report.even_p.filter(|p| *p < SUSPECT_P) {
        let why = format!("The arms are not of the size that even chances make them ({}): ", p_words(p));
        said.push((why + "find out why before you believe the difference.", true));
    }
    if report.in_several_arms > 0 {
        let units = widgets::grouped(report.in_several_arms as f64);
        said.push((
            format!("{units} {} were in more than one arm, which blurs the difference.", report.unit),
            true,
        ));
    }
    let unit = match report.unit {
        "users" => "Users are the independent units: rows of one user hang together.",
        _ => "Impressions are taken as independent: the log knows no users.",
    };
    said.push((unit.to_owned(), false));
    if let Some(rise) = report.detectable {
        let text = format!("Arms of this size find a rise of {:.3} % points with 80 % power.", 100.0 * rise);
        said.push((text, false));
    }
    said
}

fn arms(ui: &mut Ui, query: &ExperimentQuery, report: &ExperimentReport) {
    let reduced = report.arms.iter().any(|arm| arm.reduced.is_some());
    let rate = format!("Rate of {}, 95 % interval", report.outcome);
    egui::Grid::new("arms").striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
        for (title, meaning) in [
            ("Arm", "Value of the column"),
            ("Units", "Users, or impressions where the log knows no users"),
            ("Impressions", "Rows, or their weight"),
            (rate.as_str(), "From the units"),
            ("Difference, % points", "Rate less that of the control, 95 % interval"),
            ("p", "If the end of the test was set beforehand"),
            ("p, watched", "Valid however often one looks and whenever one stops"),
        ] {
            ui.strong(title).on_hover_text(meaning);
        }
        if reduced {
            ui.strong(format!("Without the part of {}", query.covariate)).on_hover_text("CUPED");
        }
        ui.end_row();
        for arm in &report.arms {
            ui.label(&arm.name);
            ui.label(widgets::grouped(arm.totals.units));
            ui.label(widgets::grouped(arm.totals.shown));
            ui.label(arm.rate.in_percent());
            match &arm.against_control {
                Some(found) => {
                    ui.label(found.difference.in_percent());
                    ui.label(p_words(found.p));
                    ui.label(p_words(found.always_valid_p));
                }
                None => ["control", "", ""].into_iter().for_each(|text| {
                    ui.weak(text);
                }),
            }
            if let Some(reduced) = &arm.reduced {
                let left = format!("; {:.0} % of the variance left", 100.0 * reduced.variance_ratio);
                ui.label(format!("{}, {}{left}", reduced.difference.in_percent(), p_words(reduced.p)));
            }
            ui.end_row();
        }
    });
}

fn parts(ui: &mut Ui, theme: &Theme, parts: &[Part]) {
    egui::Grid::new("test parts").striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
        for title in ["Group", "Arm", "Control", "Arm's rate", "Difference, % points", "p, corrected"] {
            ui.strong(title);
        }
        ui.end_row();
        for part in parts {
            let sure = part.corrected_p.is_some_and(|p| p < LEVEL);
            let colour = if sure { theme.text } else { theme.weak_text };
            let unknown = || "n/a".to_owned();
            for text in [
                part.value.clone(),
                part.arm.clone(),
                widgets::percent_with_interval(&part.control),
                widgets::percent_with_interval(&part.treated),
                part.comparison.as_ref().map_or_else(unknown, |found| found.difference.in_percent()),
                part.corrected_p.map_or_else(unknown, p_words),
            ] {
                ui.label(RichText::new(text).color(colour));
            }
            ui.end_row();
        }
    });
}

impl Plan {
    fn ui(&mut self, ui: &mut Ui, theme: &Theme) {
        ui.strong("The next test");
        ui.horizontal_wrapped(|ui| {
            let knob = |ui: &mut Ui, words: &str, value: &mut f64, range| {
                let label = ui.label(words).id;
                let drag = egui::DragValue::new(value).range(range).speed(0.1).suffix(" %").max_decimals(3);
                ui.add(drag).labelled_by(label);
            };
            knob(ui, "To find a rise of", &mut self.rise, 0.1..=500.0);
            knob(ui, "over a click rate of", &mut self.base, 0.001..=99.0);
            knob(ui, "with a power of", &mut self.power, 50.0..=99.9);
            let (base, power) = (self.base / 100.0, self.power / 100.0);
            let lifted = base * (1.0 + self.rise / 100.0);
            let text = if lifted < 1.0 {
                let needed = needed_per_arm(base, lifted, LEVEL, power, false).ceil();
                format!("each arm needs {} independent impressions.", widgets::grouped(needed))
            } else {
                "no arm is large enough: the raised rate would be above 100 %.".to_owned()
            };
            ui.label(RichText::new(text).color(theme.text).strong());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Estimate;
    use crate::metrics::ab_test::{ArmTotals, compare};

    fn arm(name: &str, clicks: f64, control: Option<&ArmTotals>) -> ArmReport {
        let totals = ArmTotals::independent(clicks, 10_000.0);
        ArmReport {
            name: name.to_owned(),
            totals,
            rate: Estimate::default(),
            against_control: control.and_then(|control| compare(control, &totals)),
            reduced: None,
        }
    }

    #[test]
    fn the_verdict_is_no_stronger_than_the_difference() {
        let control = arm("old", 200.0, None);
        let say = |clicks| verdict(&control, &arm("new", clicks, Some(&control.totals)));
        assert!(say(210.0).contains("may be alike"), "{}", say(210.0));
        assert!(say(300.0).contains("'new' does better than 'old': +50.0 %"), "{}", say(300.0));
        assert!(say(100.0).contains("worse"));
        assert!(say(0.0).contains("worse") || say(0.0).contains("nothing"), "{}", say(0.0));
    }

    #[test]
    fn uneven_arms_and_shared_users_are_said_first() {
        let report = ExperimentReport {
            even_p: Some(0.0001),
            in_several_arms: 3,
            unit: "users",
            ..ExperimentReport::default()
        };
        let said = cautions(&report);
        assert!(said[0].1 && said[1].1 && !said[2].1, "{said:?}");
    }
}
