//! What is in the open log, how was it read, and can it be trusted?

mod columns;
mod experiment;
mod follow;
mod health;
mod reading;

use crate::data::importers::ImportOptions;
use crate::data::profile::Profile;
use crate::session::{Command, commands::DataCommand};
use crate::ui::panels::Panel;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Sums shown as cards at most.
const CARDS: usize = 4;

/// Columns and roles, health, and how the file was read.
#[derive(Default)]
pub struct DataPanel {
    tab: Tab,
    reading: reading::Draft,
}

/// What the lower part shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tab {
    #[default]
    Columns,
    Health,
    Reading,
    Experiment,
}

impl Panel for DataPanel {
    fn id(&self) -> &'static str {
        "data"
    }

    fn title(&self) -> &'static str {
        "Data"
    }

    fn summary(&self) -> &'static str {
        "Columns, what each is for, how the file was read, and what a careful person would object to"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let Some(log) = &cx.session.store.log else {
            if widgets::empty_state(
                ui,
                cx.theme,
                "No log is open, so there are no columns to show.",
                "Open the sample",
            ) {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        };
        let profile = Arc::clone(&log.profile);
        widgets::heading(ui, cx.theme, &log.name(), &profile.reading);
        sampled(ui, cx);
        follow::bar(ui, cx);
        problem(ui, cx);
        cards(ui, cx.theme, &profile);
        ui.add_space(6.0);
        for issue in profile.issues.iter().filter(|issue| health::is_grave(issue)) {
            health::objection(ui, cx.theme, issue);
        }
        self.tabs(ui, cx.theme, &profile);
        match self.tab {
            Tab::Columns => columns::show(ui, cx, &profile),
            Tab::Health => health::show(ui, cx.theme, &profile),
            Tab::Reading => self.reading.show(ui, cx),
            Tab::Experiment => experiment::show(ui, cx.theme, &profile),
        }
    }
}

impl DataPanel {
    fn tabs(&mut self, ui: &mut Ui, theme: &Theme, profile: &Profile) {
        ui.horizontal(|ui| {
            let mut tab = |tab: Tab, text: RichText| {
                ui.selectable_value(&mut self.tab, tab, text);
            };
            tab(Tab::Columns, RichText::new(format!("Columns ({})", profile.columns.len())));
            let health = RichText::new(format!("Health ({})", profile.issues.len()));
            let is_worrying = profile.issues.iter().any(health::is_grave);
            tab(Tab::Health, if is_worrying { health.color(theme.bad) } else { health });
            tab(Tab::Reading, RichText::new("How it was read"));
            if profile.experiment.is_some() {
                tab(Tab::Experiment, RichText::new("A/B test"));
            }
        });
        if self.tab == Tab::Experiment && profile.experiment.is_none() {
            self.tab = Tab::Columns;
        }
        ui.separator();
    }
}

/// Says why no model can learn from the log, where that is so.
fn problem(ui: &mut Ui, cx: &PanelContext<'_>) {
    if let Some(failure) = &cx.session.store.untrainable {
        ui.label(RichText::new(format!("No model can learn from this log: {failure}")).color(cx.theme.warn));
    }
}

/// Says that not all rows are open, and offers all.
fn sampled(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    let Some(log) = &cx.session.store.log else { return };
    let Some(sample) = &log.frame.source.layout.sample else { return };
    let (text, paths, options) = (sample.to_string(), log.paths.clone(), log.options.clone());
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(format!("This is {text}.")).color(cx.theme.warn));
        if ui.button("Open all rows").on_hover_text("Whatever memory they take").clicked() {
            let options = ImportOptions { all_rows: true, ..options };
            cx.send(Command::Data(DataCommand::OpenAs(paths, Box::new(options))));
        }
    });
}

fn cards(ui: &mut Ui, theme: &Theme, profile: &Profile) {
    ui.horizontal_wrapped(|ui| {
        let rows = widgets::grouped(profile.rows as f64);
        let bad = format!("{} bad, {}", profile.bad_rows, profile.format);
        widgets::metric_card(ui, theme, "Rows", &rows, &bad);
        match &profile.label {
            Some(label) => {
                let below = format!(
                    "95 %: {:.3} to {:.3} %; {} of {}",
                    100.0 * label.low,
                    100.0 * label.high,
                    widgets::grouped(label.positives as f64),
                    widgets::grouped(label.impressions as f64)
                );
                let rate = format!("{:.3} %", 100.0 * label.rate);
                widgets::metric_card(ui, theme, &format!("Rate of {}", label.column), &rate, &below);
            }
            None => widgets::metric_card(ui, theme, "Rate", "n/a", "no label: choose one below"),
        }
        if let Some((first, last)) = profile.time_range {
            let days = (last - first) as f64 / 86_400_000.0;
            let below = format!("{days:.1} days to {} UTC", widgets::moment(last));
            widgets::metric_card(ui, theme, "From", &widgets::moment(first), &below);
        }
        // Of several columns that hold one quantity the best stands first.
        let mut shown: Vec<&str> = Vec::new();
        for total in &profile.totals {
            if shown.len() == CARDS || shown.contains(&total.quantity.as_str()) {
                continue;
            }
            shown.push(&total.quantity);
            let is_money = matches!(total.quantity.as_str(), "spend" | "revenue");
            let unit = profile.currency.as_deref().filter(|_| is_money).unwrap_or_default();
            let sum = crate::base::numbers::grouped_sum(total.sum, '\u{2009}');
            let below = format!("'{}', {} cells", total.column, widgets::grouped(total.n as f64));
            widgets::metric_card(
                ui,
                theme,
                &total.quantity.replace('_', " "),
                format!("{sum} {unit}").trim_end(),
                &below,
            );
        }
    });
}
