//! Has the log changed under the models? Column by column, between two parts of it or to another file.

use super::Panel;
use super::segments::complain;
use crate::base::Result;
use crate::data::query::drift::{CHANGED, ColumnDrift, DriftReport, LARGELY_CHANGED, Split};
use crate::domain::Segment;
use crate::metrics::significance::p_words;
use crate::session::commands::{DataCommand, SegmentCommand};
use crate::session::{Command, Purpose};
use crate::tasks::drift::DriftQuestion;
use crate::ui::charts::short;
use crate::ui::dialogs::{DialogKind, DialogRequest};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};
use std::path::PathBuf;

const ROW_HEIGHT: f32 = 22.0;

/// What the log is compared with, as it stands on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Way {
    #[default]
    Halves,
    At,
    Segments,
    File,
}

/// The question.
#[derive(Default)]
pub struct DriftPanel {
    way: Way,
    at: String,
    before: String,
    after: String,
    path: String,
    /// What was last sent, about which reading of which file.
    asked: Option<(DriftQuestion, u64, PathBuf)>,
}

impl Panel for DriftPanel {
    fn id(&self) -> &'static str {
        "drift"
    }

    fn title(&self) -> &'static str {
        "Drift"
    }

    fn summary(&self) -> &'static str {
        "Columns that changed between two periods, two groups of rows or two files, and what moved in them"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        if cx.session.store.log.is_none() {
            let why = "No log is open, so nothing can have changed.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        }
        match self.question(ui, cx) {
            Ok(Some(question)) => self.ask(cx, question),
            Ok(None) => {}
            Err(failure) => complain(ui, cx.theme, &failure),
        }
        let answer = cx.session.store.drift.clone();
        if cx.session.jobs.of(Purpose::Drift).is_some() {
            ui.weak("Comparing …");
        }
        match answer.as_deref().map(|answer| &answer.report) {
            Some(Ok(report)) => tell(ui, cx.theme, report),
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            None => {}
        }
    }
}

impl DriftPanel {
    /// The question on the screen; `None` while it is unfinished.
    fn question(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) -> Result<Option<DriftQuestion>> {
        ui.horizontal_wrapped(|ui| {
            for (way, words, meaning) in [
                (Way::Halves, "Two halves by time", "The first half of the rows against the second"),
                (Way::At, "Before and after", "Rows before a point in time against those from it on"),
                (Way::Segments, "Two groups", "Rows of one group against those of another"),
                (Way::File, "Another file", "This log against a later one"),
            ] {
                if ui.selectable_value(&mut self.way, way, words).on_hover_text(meaning).clicked() {
                    // What a dialog asked meanwhile is not known here.
                    self.asked = None;
                }
            }
        });
        let field = |ui: &mut Ui, words: &str, text: &mut String, hint: &str, width: f32| {
            let label = ui.label(words).id;
            ui.add(egui::TextEdit::singleline(text).hint_text(hint).desired_width(width)).labelled_by(label)
        };
        match self.way {
            Way::Halves => Ok(Some(DriftQuestion::Parts(Split::Halves))),
            Way::At => {
                ui.horizontal_wrapped(|ui| {
                    field(ui, "From", &mut self.at, "2026-09-07 or 2026-09-07 18:30", 220.0)
                });
                let at = self.at.trim();
                Ok((at.len() >= 10).then(|| DriftQuestion::Parts(Split::At(at.to_owned()))))
            }
            Way::Segments => {
                ui.horizontal_wrapped(|ui| {
                    field(ui, "Rows", &mut self.before, "device = 'ios'", 300.0);
                    field(ui, "against", &mut self.after, "device = 'android'", 300.0);
                });
                if self.before.trim().is_empty() || self.after.trim().is_empty() {
                    return Ok(None);
                }
                let (before, after) = (Segment::parse(&self.before)?, Segment::parse(&self.after)?);
                Ok(Some(DriftQuestion::Parts(Split::Segments(before, after))))
            }
            Way::File => {
                let mut go = false;
                ui.horizontal_wrapped(|ui| {
                    field(ui, "File", &mut self.path, "next_week.csv", 360.0);
                    go = ui.add_enabled(!self.path.trim().is_empty(), egui::Button::new("Compare")).clicked();
                    if ui.button("Choose…").clicked() {
                        cx.ask(DialogRequest::open(
                            DialogKind::OpenFile,
                            "Compare with a later log",
                            |path| Command::Segment(SegmentCommand::Drift(DriftQuestion::File(path))),
                        ));
                    }
                });
                if go {
                    self.asked = None;
                }
                Ok(go.then(|| DriftQuestion::File(PathBuf::from(self.path.trim()))))
            }
        }
    }

    /// Sends the question when it is a new one.
    fn ask(&mut self, cx: &mut PanelContext<'_>, question: DriftQuestion) {
        let Some(open) = &cx.session.store.log else { return };
        let asked = (question, open.frame.revision, open.frame.source.path.clone());
        if self.asked.as_ref() != Some(&asked) {
            cx.send(Command::Segment(SegmentCommand::Drift(asked.0.clone())));
            self.asked = Some(asked);
        }
    }
}

fn tell(ui: &mut Ui, theme: &Theme, report: &DriftReport) {
    let count = |least: f64| report.columns.iter().filter(|column| column.psi >= least).count();
    ui.label(format!(
        "{} rows ({}) against {} rows ({})",
        widgets::grouped(report.rows[0] as f64),
        report.before,
        widgets::grouped(report.rows[1] as f64),
        report.after
    ));
    let changed = match (count(LARGELY_CHANGED), count(CHANGED)) {
        (0, 0) => "No column changed.".to_owned(),
        (large, all) => {
            format!("{all} of {} columns changed, {large} of them largely.", report.columns.len())
        }
    };
    ui.label(RichText::new(changed).strong());
    if let Some([before, after]) = &report.rates {
        let words = (widgets::percent_with_interval(before), widgets::percent_with_interval(after));
        ui.label(format!("Click rate {} against {}", words.0, words.1));
    }
    ui.weak("By the usual thresholds of the stability index: 0.1 changed, 0.25 largely. With many rows any change is more than chance.");
    ui.add_space(4.0);
    egui::ScrollArea::horizontal()
        .id_salt("drift")
        .auto_shrink(false)
        .show(ui, |ui| table(ui, theme, report));
}

fn table(ui: &mut Ui, theme: &Theme, report: &DriftReport) {
    let titles = [
        ("Column", 150.0, "Most changed first"),
        ("", 112.0, "By the stability index"),
        ("PSI", 60.0, "Population stability index"),
        ("JS", 60.0, "Jensen-Shannon distance, 0 to 1"),
        ("KS gap", 64.0, "Largest gap of the distribution functions, for numbers"),
        ("p", 84.0, "Kolmogorov-Smirnov for numbers, chi-square for values"),
        ("Missing, %", 110.0, "Share of missing cells before and after"),
        ("New", 50.0, "Values that occur after and not before"),
        ("What moved", 420.0, "Values or groups whose share moved most, in %"),
    ];
    let mut builder = TableBuilder::new(ui).striped(true).resizable(true);
    for (_, width, _) in titles {
        builder = builder.column(Column::initial(width).at_least(40.0).clip(true));
    }
    builder
        .header(ROW_HEIGHT, |mut header| {
            for (title, _, meaning) in titles {
                header.col(|ui| {
                    ui.strong(title).on_hover_text(meaning);
                });
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, report.columns.len() + report.left_out.len(), |mut line| {
                let place = line.index();
                let Some(column) = report.columns.get(place) else {
                    if let Some((name, why)) = report.left_out.get(place - report.columns.len()) {
                        let weak = |text: &str| RichText::new(text).color(theme.weak_text);
                        for at in 0..titles.len() {
                            let text = match at {
                                0 => weak(name),
                                1 => weak("left out"),
                                last if last == titles.len() - 1 => weak(why),
                                _ => weak(""),
                            };
                            line.col(|ui| {
                                ui.add(egui::Label::new(text).truncate());
                            });
                        }
                    }
                    return;
                };
                let colour = match column.psi {
                    psi if psi >= LARGELY_CHANGED => theme.bad,
                    psi if psi >= CHANGED => theme.warn,
                    _ => theme.text,
                };
                for (at, text) in cells(column).into_iter().enumerate() {
                    line.col(|ui| {
                        let text = RichText::new(&text).color(if at == 1 { colour } else { theme.text });
                        ui.add(egui::Label::new(text).truncate()).on_hover_ui(|ui| {
                            for (name, before, after) in &column.movers {
                                ui.label(format!(
                                    "{name}: {:.2} % to {:.2} %",
                                    100.0 * before,
                                    100.0 * after
                                ));
                            }
                        });
                    });
                }
            });
        });
}

fn cells(column: &ColumnDrift) -> Vec<String> {
    let unknown = || "n/a".to_owned();
    let percent = |share: f64| short(100.0 * share);
    let movers = column.movers.iter().take(3);
    let moved: Vec<String> = movers
        .map(|(name, before, after)| format!("{name}: {} to {}", percent(*before), percent(*after)))
        .collect();
    vec![
        column.name.clone(),
        column.verdict().to_owned(),
        format!("{:.3}", column.psi),
        format!("{:.3}", column.jensen_shannon),
        column.gap.map_or_else(unknown, |gap| format!("{gap:.3}")),
        column.p.map_or_else(unknown, |p| p_words(p).replace("p = ", "").replace("p < ", "< ")),
        format!("{} to {}", percent(column.missing[0]), percent(column.missing[1])),
        column.new_values.to_string(),
        moved.join(", "),
    ]
}
