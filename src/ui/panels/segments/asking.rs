//! What is asked, and what was asked before? The question as it stands on the screen, and the way back to earlier ones.

use super::views::View;
use super::{column_menu, measure_menu};
use crate::data::LogFrame;
use crate::data::query::{Derived, MAX_CROSSED, Measure, SegmentQuery};
use crate::domain::Segment;
use crate::ui::PanelContext;
use egui::{Key, KeyboardShortcut, Modifiers, Ui};

/// What the second menu says when nothing is crossed.
const NOTHING: &str = "nothing";
/// Questions that can be gone back to.
const KEPT: usize = 100;

/// Everything that decides what is counted and how it is seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub view: View,
    pub by: String,
    pub crossed_with: String,
    /// Columns crossed beyond the second.
    pub further: Vec<String>,
    /// What the charts show.
    pub measure: Measure,
    /// Beside what happened, what the model in view predicts.
    pub predicted: bool,
    /// Values of the group that others are compared with; empty for all other rows.
    pub against: Vec<String>,
    /// The last days alone, compared with as many before; 0 for all.
    pub days: u32,
    pub filter: String,
    pub min_impressions: u32,
    /// The filters that were drilled down from, first to last.
    pub trail: Vec<String>,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            view: View::default(),
            by: String::new(),
            crossed_with: String::new(),
            further: Vec::new(),
            measure: Measure::Ctr,
            predicted: false,
            against: Vec::new(),
            days: 0,
            filter: String::new(),
            min_impressions: 0,
            trail: Vec::new(),
        }
    }
}

impl Question {
    /// What the log is asked; `before` is what it was asked last.
    pub fn query(&mut self, log: &LogFrame, filter: Segment, before: Option<&SegmentQuery>) -> SegmentQuery {
        let mut by = self.view.by(log, &self.by, &self.crossed_with).unwrap_or_else(|| vec![self.by.clone()]);
        if self.view.takes_more() && by.len() > 1 {
            let own = by.clone();
            by.extend(self.further.iter().filter(|name| !name.is_empty() && !own.contains(name)).cloned());
        }
        if self.days > 0 || before.is_some_and(|before| before.by != by) {
            // Groups of other columns have other names, and each is compared with one thing.
            self.against.clear();
        }
        let (min_impressions, against) = (f64::from(self.min_impressions), self.against.clone());
        SegmentQuery { by, filter, min_impressions, against, days: self.days }
    }

    /// The menus.
    pub fn ui(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, log: &LogFrame, columns: &[String]) {
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
            self.further(ui, columns);
            let label = ui.label("with at least").id;
            let least = egui::DragValue::new(&mut self.min_impressions).range(0..=1_000_000_000).speed(1.0);
            ui.add(least).labelled_by(label);
            ui.label("impressions");
            self.days(ui, log);
            self.predictions(ui, cx);
        });
    }

    /// Menus for a third column and more, one after another.
    fn further(&mut self, ui: &mut Ui, columns: &[String]) {
        if !self.view.takes_more() || self.crossed_with.is_empty() {
            return;
        }
        self.further.retain(|name| columns.contains(name));
        let shown = (self.further.len() + 1).min(MAX_CROSSED - 2);
        for place in 0..shown {
            let mut chosen = self.further.get(place).cloned().unwrap_or_default();
            let label = ui.label("and").id;
            column_menu(ui, &format!("further {place}"), &mut chosen, columns, Some(NOTHING))
                .labelled_by(label);
            match (self.further.get_mut(place), chosen.is_empty()) {
                (Some(_), true) => drop(self.further.remove(place)),
                (Some(known), false) => *known = chosen,
                (None, false) => self.further.push(chosen),
                (None, true) => {}
            }
        }
    }

    /// Offers the last days alone, where the log tells days.
    fn days(&mut self, ui: &mut Ui, log: &LogFrame) {
        if !Derived::Week.is_told(log) {
            self.days = 0;
            return;
        }
        let label = ui.label("in").id;
        let words = |days: f64| {
            if days < 1.0 { "all its time".to_owned() } else { format!("the last {days:.0} days") }
        };
        let field = egui::DragValue::new(&mut self.days)
            .range(0..=3660)
            .speed(0.1)
            .custom_formatter(move |days, _| words(days))
            .custom_parser(|text| {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                if digits.is_empty() { Some(0.0) } else { digits.parse().ok() }
            });
        ui.add(field).labelled_by(label).on_hover_text(
            "Drag or click: the last days alone, each group compared with as many days before",
        );
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
}

/// The questions before the present one, and those that were gone back from.
#[derive(Debug, Default)]
pub(super) struct History {
    past: Vec<Question>,
    next: Vec<Question>,
    /// The present one as it was last seen.
    seen: Option<Question>,
    /// The last change was a letter of the filter: the next letter belongs to the same step.
    typing: bool,
}

impl History {
    /// Takes note of the present question, once a frame after everything that may change it.
    pub fn keep(&mut self, now: &Question) {
        let Some(seen) = self.seen.replace(now.clone()) else { return };
        if seen == *now {
            return;
        }
        let filter_only = Question { filter: now.filter.clone(), ..seen.clone() } == *now;
        let goes_on = self.typing && filter_only;
        // What the panel chose by itself when a log was opened is no step.
        if !goes_on && !seen.by.is_empty() {
            self.past.push(seen);
            self.past.drain(..self.past.len().saturating_sub(KEPT));
            self.next.clear();
        }
        self.typing = filter_only;
    }

    /// Buttons, and Ctrl+Z and Ctrl+Shift+Z outside of text fields.
    pub fn ui(&mut self, ui: &mut Ui, now: &mut Question) {
        let undo = KeyboardShortcut::new(Modifiers::COMMAND, Key::Z);
        let redo = KeyboardShortcut::new(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
        let writes = ui.ctx().egui_wants_keyboard_input();
        let pressed = |shortcut| !writes && ui.input_mut(|input| input.consume_shortcut(&shortcut));
        // The longer one first: it holds the shorter.
        let (again, back) = (pressed(redo), pressed(undo));
        let mut button = |words: &str, enabled: bool, hint: &str| {
            ui.add_enabled(enabled, egui::Button::new(words)).on_hover_text(hint).clicked()
        };
        if button("Undo", !self.past.is_empty(), "The question before (Ctrl+Z)") || back {
            self.step(now, true);
        }
        if button("Redo", !self.next.is_empty(), "The question that was undone (Ctrl+Shift+Z)") || again {
            self.step(now, false);
        }
    }

    fn step(&mut self, now: &mut Question, back: bool) {
        let (from, to) =
            if back { (&mut self.past, &mut self.next) } else { (&mut self.next, &mut self.past) };
        if let Some(other) = from.pop() {
            to.push(std::mem::replace(now, other));
            self.seen = Some(now.clone());
            self.typing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_typed_is_one_step_back() {
        let (mut history, mut now) = (History::default(), Question::default());
        history.keep(&now);
        now.by = "city".into();
        history.keep(&now);
        for letter in ["a", "ag", "age"] {
            now.filter = letter.into();
            history.keep(&now);
        }
        now.measure = Measure::Cpc;
        history.keep(&now);
        history.step(&mut now, true);
        assert_eq!((now.measure, now.filter.as_str()), (Measure::Ctr, "age"));
        history.keep(&now);
        history.step(&mut now, true);
        assert_eq!((now.by.as_str(), now.filter.as_str()), ("city", ""));
        history.step(&mut now, true);
        assert_eq!(now.by, "city", "nothing is before the first question");
        history.step(&mut now, false);
        history.step(&mut now, false);
        assert_eq!((now.measure, now.filter.as_str()), (Measure::Cpc, "age"));
    }
}
