//! Which words could be shown, what do they rest on, and what is wrong with the others?

use super::StudioPanel;
use crate::adcopy::{Finding, Severity, Verdict};
use crate::metrics::rates::Estimate;
use crate::session::commands::{CopyCommand, ViewCommand};
use crate::session::{Command, Purpose};
use crate::tasks::write_copy::{Candidate, Round};
use crate::ui::panels::segments::complain;
use crate::ui::{PanelContext, Theme, widgets};
use egui::text::{LayoutJob, TextFormat};
use egui::{RichText, Sense, Ui, Vec2};
use std::sync::Arc;

/// Size of findings: smaller than the words, still read without effort.
const FINE: f32 = 12.0;
/// Size of the interval of a forecast.
const BAR: Vec2 = Vec2::new(150.0, 14.0);

impl StudioPanel {
    /// The last round.
    pub(super) fn candidates(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let round = match cx.session.store.copy.round.clone() {
            None if cx.session.jobs.of(Purpose::WriteCopy).is_some() => {
                ui.weak("Writing …");
                return;
            }
            None => {
                ui.weak("Write candidates from the brief at the left.");
                return;
            }
            Some(Err(failure)) => {
                complain(ui, cx.theme, &failure);
                return;
            }
            Some(Ok(round)) => round,
        };
        basis(ui, cx, &round);
        self.own_words(ui, cx);
        ui.add_space(6.0);
        ui.horizontal_wrapped(|ui| {
            ui.strong(format!("{} pass every check", round.candidates.len()));
            ui.weak(format!("of {} written; best forecast first, not all alike", round.written));
        });
        let widest =
            round.candidates.iter().filter_map(|one| one.forecast).map(|one| one.high).fold(0.0, f64::max);
        super::model::progress(ui, cx, widest);
        for candidate in &round.candidates {
            self.candidate(ui, cx, candidate, widest);
        }
        self.keep(ui, cx, &round);
        if !round.blocked.is_empty() {
            ui.add_space(8.0);
            ui.strong(format!("{} that are blocked, with the smallest repairs", round.blocked.len()));
            for candidate in &round.blocked {
                blocked(ui, cx, &candidate.verdict);
            }
        }
    }

    fn own_words(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.horizontal(|ui| {
            let label = ui.label("Your own words").id;
            let width = (ui.available_width() - 80.0).max(120.0);
            let field = egui::TextEdit::singleline(&mut self.own).desired_width(width);
            let field = ui.add(field.hint_text("are checked like any other")).labelled_by(label);
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            if (ui.button("Check").clicked() || entered) && !self.own.trim().is_empty() {
                let new = std::mem::take(&mut self.own);
                cx.send(Command::Copy(CopyCommand::Reword { old: String::new(), new }));
            }
        });
    }

    fn candidate(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, candidate: &Candidate, widest: f64) {
        let text = &candidate.draft.text;
        ui.horizontal(|ui| {
            let mut ticked = self.chosen.contains(text);
            let tick = ui.checkbox(&mut ticked, "").on_hover_text("Keep it in the library");
            tick.widget_info(|| {
                egui::WidgetInfo::selected(egui::Role::CheckBox, true, ticked, format!("keep: {text}"))
            });
            if tick.changed() {
                match ticked {
                    true => self.chosen.insert(text.clone()),
                    false => self.chosen.remove(text),
                };
            }
            forecast(ui, cx.theme, candidate, widest);
            let words = ui.add(egui::Label::new(highlighted(cx.theme, &candidate.verdict)).wrap());
            words.on_hover_text(rests_on(candidate));
        });
        for finding in &candidate.verdict.findings {
            ui.horizontal_wrapped(|ui| {
                ui.add_space(28.0);
                found(ui, cx, text, finding);
            });
        }
    }

    fn keep(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, round: &Arc<Round>) {
        self.chosen.retain(|text| round.candidates.iter().any(|one| one.draft.text == *text));
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            if widgets::small_button(ui, "Tick all").clicked() {
                self.chosen = round.candidates.iter().map(|one| one.draft.text.clone()).collect();
            }
            let ready = !self.chosen.is_empty() && !self.person.trim().is_empty();
            let words = format!("Keep {} in the library", self.chosen.len());
            let button = ui.add_enabled(ready, egui::Button::new(words));
            if button.on_disabled_hover_text("Tick some, and write above who you are").clicked() {
                let texts = std::mem::take(&mut self.chosen).into_iter().collect();
                cx.send(Command::Copy(CopyCommand::Keep(texts, self.person.trim().to_owned())));
            }
        });
    }
}

/// What the forecasts rest on, or why there are none.
fn basis(ui: &mut Ui, cx: &mut PanelContext<'_>, round: &Round) {
    match &round.basis {
        Ok(basis) => {
            let words = format!(
                "Click rate of a new ad for this audience, 95 % interval: {} of its {} rows scored by {}, {} ads learnt from",
                widgets::grouped(basis.rows as f64),
                widgets::grouped(basis.audience_rows as f64),
                round.grounds.model,
                basis.ads
            );
            ui.label(words).on_hover_text(format!(
                "An ad's own effect has a standard deviation of {:.2} log odds; {:.0} % of its variance follows the words",
                basis.tau,
                100.0 * basis.by_text
            ));
            basis.notes.iter().for_each(|note| drop(ui.weak(note)));
        }
        Err(failure) => {
            ui.horizontal_wrapped(|ui| {
                ui.colored_label(cx.theme.warn, failure.to_string());
                if ui.button("Train a model").clicked() {
                    cx.send(Command::View(ViewCommand::Show("training")));
                }
            });
        }
    }
    for note in &round.notes {
        ui.colored_label(cx.theme.warn, note);
    }
}

/// The forecast as a bar with its interval, and in figures.
pub(super) fn forecast(ui: &mut Ui, theme: &Theme, candidate: &Candidate, widest: f64) {
    let Some(forecast) = candidate.forecast else {
        ui.add_sized([110.0, BAR.y], egui::Label::new(RichText::new("not forecast").color(theme.weak_text)));
        return;
    };
    interval(ui, theme, forecast, widest, "forecast");
    let figure = RichText::new(format!("{:.2} %", 100.0 * forecast.value)).color(theme.text);
    ui.add_sized([54.0, BAR.y], egui::Label::new(figure));
}

/// An estimate with its interval on a scale from 0.
pub(super) fn interval(ui: &mut Ui, theme: &Theme, told: Estimate, widest: f64, what: &str) {
    let (area, response) = ui.allocate_exact_size(BAR, Sense::hover());
    let x = |rate: f64| area.left() + (rate / widest.max(1e-9)) as f32 * area.width();
    let painter = ui.painter();
    painter.rect_filled(area, 2.0, theme.raised);
    let low_high = egui::Rect::from_x_y_ranges(x(told.low)..=x(told.high), area.y_range().shrink(4.0));
    painter.rect_filled(low_high, 2.0, theme.line);
    painter.vline(x(told.value), area.y_range(), egui::Stroke::new(3.0, theme.accent));
    let words = told.in_percent();
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{what} {words}")));
    response.on_hover_text(format!("{words}; the bars share one scale, from 0"));
}

/// The words with what rests on a fact underlined, and what is wrong in the colour of its weight.
pub(super) fn highlighted(theme: &Theme, verdict: &Verdict) -> LayoutJob {
    let text = verdict.text.as_str();
    let mut cuts: Vec<usize> = [0, text.len()].into();
    let spans =
        verdict.findings.iter().map(|found| &found.span).chain(verdict.grounded.iter().map(|one| &one.span));
    spans.for_each(|span| cuts.extend([span.start, span.end]));
    cuts.retain(|cut| text.is_char_boundary(*cut));
    cuts.sort_unstable();
    cuts.dedup();
    let mut job = LayoutJob::default();
    for pair in cuts.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        let whole = |span: &std::ops::Range<usize>| span.len() == text.len();
        let inside = |span: &std::ops::Range<usize>| span.start <= start && end <= span.end && !whole(span);
        let wrong = verdict.findings.iter().find(|found| inside(&found.span)).map(|found| found.severity);
        let color = match wrong {
            Some(Severity::Block) => theme.bad,
            Some(Severity::Warn) => theme.warn,
            None => theme.text,
        };
        let grounded = verdict.grounded.iter().any(|one| inside(&one.span));
        let line = if grounded { egui::Stroke::new(1.5, theme.good) } else { egui::Stroke::NONE };
        let format = TextFormat {
            color,
            underline: line,
            font_id: egui::FontId::proportional(15.0),
            ..TextFormat::default()
        };
        job.append(&text[start..end], 0.0, format);
    }
    job
}

/// What a candidate rests on, in lines.
fn rests_on(candidate: &Candidate) -> String {
    let verdict = &candidate.verdict;
    let mut lines =
        vec![format!("by {}; {} of {} units", candidate.draft.proposer, verdict.units, verdict.room)];
    for one in &verdict.grounded {
        let words = verdict.text.get(one.span.clone()).unwrap_or_default();
        lines.push(format!("'{words}' rests on fact '{}': {}", one.fact, one.says));
    }
    if let Some(near) = &verdict.nearest {
        lines.push(format!(
            "most like '{}' ({}), {:.0} % of the 5-grams",
            near.text,
            near.source,
            100.0 * near.jaccard
        ));
    }
    lines.join("\n")
}

fn blocked(ui: &mut Ui, cx: &mut PanelContext<'_>, verdict: &Verdict) {
    ui.add_space(3.0);
    ui.label(highlighted(cx.theme, verdict));
    for finding in &verdict.findings {
        ui.horizontal_wrapped(|ui| {
            ui.add_space(14.0);
            found(ui, cx, &verdict.text, finding);
        });
    }
}

/// A finding with its rule, and its repair as one click.
fn found(ui: &mut Ui, cx: &mut PanelContext<'_>, text: &str, finding: &Finding) {
    let color = if finding.severity == Severity::Block { cx.theme.bad } else { cx.theme.warn };
    ui.label(RichText::new(&finding.rule).monospace().size(FINE).color(color));
    ui.label(RichText::new(&finding.why).size(FINE));
    if let Some(repair) = &finding.repair {
        let button = widgets::small_button(ui, format!("Repair: {}", repair.words));
        if button.on_hover_text(&repair.text).clicked() {
            let (old, new) = (text.to_owned(), repair.text.clone());
            cx.send(Command::Copy(CopyCommand::Reword { old, new }));
        }
    }
}
