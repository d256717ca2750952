//! What do several panels share? Small parts with no state of their own.

pub mod cloud_view;
pub mod data_table;
pub mod empty_state;
pub mod filter_field;
pub mod job_strip;
pub mod map_shapes;
pub mod metric_card;
pub mod notices;
pub mod row_window;
pub mod short_table;

use super::Theme;
pub use data_table::data_table;
use egui::{RichText, Ui};
pub use empty_state::empty_state;
pub use filter_field::filter_field;
pub use job_strip::pause_button;
pub use metric_card::metric_card;

/// The title of a panel with one sentence under it.
pub fn heading(ui: &mut Ui, theme: &Theme, title: &str, summary: &str) {
    ui.label(RichText::new(title).size(20.0).strong().color(theme.text));
    ui.label(RichText::new(summary).color(theme.weak_text));
    ui.add_space(6.0);
}

/// The one main button of a panel: filled with the accent.
pub fn main_button(ui: &mut Ui, theme: &Theme, text: &str) -> egui::Response {
    ui.add(egui::Button::new(RichText::new(text).color(theme.on_accent).strong()).fill(theme.accent))
}

/// A button among text. egui's own has no room above and below its letters, which stand out of it then.
pub fn small<'a>(text: impl egui::IntoAtoms<'a>) -> egui::Button<'a> {
    egui::Button::new(text).small().min_size(egui::vec2(0.0, 20.0))
}

/// As [`small`], added.
pub fn small_button<'a>(ui: &mut Ui, text: impl egui::IntoAtoms<'a>) -> egui::Response {
    ui.add(small(text))
}

/// A share that is edited as a percentage.
pub fn percent(ui: &mut Ui, share: &mut f64, range: std::ops::RangeInclusive<f64>) -> egui::Response {
    let percent = egui::DragValue::new(share)
        .range(range)
        .speed(0.01)
        .custom_formatter(|share, _| format!("{:.0} %", 100.0 * share))
        .custom_parser(|text| Some(text.trim().trim_end_matches('%').trim().parse::<f64>().ok()? / 100.0));
    ui.add(percent)
}

/// `12 345 678`: thin groups of three, for counts.
pub fn grouped(count: f64) -> String {
    crate::base::numbers::grouped(count, '\u{2009}')
}

/// `2026-03-01 14:05` in UTC.
pub fn moment(millis: i64) -> String {
    crate::base::calendar::moment(millis)
}

/// A rate with its interval in percent: `4.21 % (4.05 to 4.37)`; `n/a` without trials.
pub fn percent_with_interval(rate: &crate::metrics::Rate) -> String {
    if rate.is_known() {
        format!("{:.2} % ({:.2} to {:.2})", 100.0 * rate.rate, 100.0 * rate.low, 100.0 * rate.high)
    } else {
        "n/a".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(1_234_567.0), "1\u{2009}234\u{2009}567");
        assert_eq!(grouped(-1_000.0), "-1\u{2009}000");
    }

    #[test]
    fn a_rate_without_trials_is_not_zero() {
        assert_eq!(percent_with_interval(&crate::metrics::Rate::wilson(0.0, 0.0)), "n/a");
    }
}
