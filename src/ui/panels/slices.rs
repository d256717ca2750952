//! Where does the model fail, and does it treat all groups alike?

use super::{Panel, model_or_offer};
use crate::data::Split;
use crate::data::query::misfit::{Fit, Misfit, MisfitQuery, MisfitReport, Slice};
use crate::insight::regions::RegionFeature;
use crate::metrics::Estimate;
use crate::metrics::significance::p_words;
use crate::session::commands::inspect::InspectCommand;
use crate::session::commands::{SegmentCommand, ViewCommand};
use crate::session::{Command, Purpose};
use crate::tasks::slices::{RegionsFound, Sliced};
use crate::train::TrainedModel;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};
use std::sync::Arc;

const ROW_HEIGHT: f32 = 22.0;

/// Groups of rows under the model in view.
#[derive(Default)]
pub struct SlicesPanel {
    query: MisfitQuery,
    split: Option<Split>,
    /// What was last sent, about which model.
    asked: Option<(MisfitQuery, Split, Arc<TrainedModel>)>,
    /// Looks for regions of what the model makes of the rows, not for groups by columns.
    by_regions: bool,
    asked_regions: Option<(Misfit, Split, Arc<TrainedModel>)>,
}

impl Panel for SlicesPanel {
    fn id(&self) -> &'static str {
        "slices"
    }

    fn title(&self) -> &'static str {
        "Slices"
    }

    fn summary(&self) -> &'static str {
        "In which groups of rows the model fails, corrected for all that were looked at"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(model) = model_or_offer(ui, cx, "There is no model to look into yet.") else { return };
        if cx.session.store.dataset.is_none() {
            ui.weak("No log is open that models can read.");
            return;
        }
        self.question(ui, &model);
        if self.by_regions {
            return self.regions(ui, cx, &model);
        }
        self.ask(cx, &model);
        let answer = cx.session.store.inspect.sliced.clone();
        match answer.filter(|answer| self.is_asked(answer)) {
            None => drop(ui.weak("Looking through all groups …")),
            Some(answer) => match &answer.report {
                Err(failure) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
                Ok(report) => show(ui, cx, &answer, report),
            },
        }
    }
}

impl SlicesPanel {
    fn question(&mut self, ui: &mut Ui, model: &TrainedModel) {
        ui.horizontal_wrapped(|ui| {
            ui.strong(&model.kind);
            ui.label("fails where");
            for (by, words, help) in [
                (
                    Misfit::Calibration,
                    "clicks are not as predicted",
                    "Predicted over actual clicks is another ratio than in all other rows",
                ),
                (
                    Misfit::Loss,
                    "log loss is high",
                    "The mean log loss is above that of all other rows; groups with more clicks are harder to predict",
                ),
            ] {
                ui.selectable_value(&mut self.query.by, by, words).on_hover_text(help);
            }
            ui.selectable_value(&mut self.by_regions, false, "groups by columns")
                .on_hover_text("Rows that share values of up to three columns");
            ui.selectable_value(&mut self.by_regions, true, "regions of its last layers").on_hover_text(
                "Rows that the model sees alike, whatever columns say; found on half of the users and judged on the others",
            );
            if !self.by_regions {
                self.depth(ui);
            }
            let mut split = self.split.unwrap_or(Split::Test);
            for (part, words) in [
                (Split::Test, "test rows"),
                (Split::Validation, "validation rows"),
                (Split::Train, "training rows"),
            ] {
                ui.selectable_value(&mut split, part, words);
            }
            self.split = Some(split);
        });
        ui.add_space(4.0);
    }

    fn depth(&mut self, ui: &mut Ui) {
        let label = ui.label("joining up to").id;
        let words = |depth: usize| format!("{depth} column{}", if depth == 1 { "" } else { "s" });
        let menu = egui::ComboBox::from_id_salt("slice depth").selected_text(words(self.query.depth));
        let menu = menu.show_ui(ui, |ui| {
            for depth in 1..=3 {
                ui.selectable_value(&mut self.query.depth, depth, words(depth));
            }
        });
        menu.response.labelled_by(label);
    }

    fn ask(&mut self, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        let split = self.split.unwrap_or(Split::Test);
        let known = self.asked.as_ref().is_some_and(|(query, of, asked)| {
            *query == self.query && *of == split && Arc::ptr_eq(asked, model)
        });
        // A new log forgets the answer, not the question.
        let lost = cx.session.store.inspect.sliced.is_none() && cx.session.jobs.of(Purpose::Slices).is_none();
        if known && !lost {
            return;
        }
        cx.send(Command::Inspect(InspectCommand::Slices(split, self.query.clone())));
        self.asked = Some((self.query.clone(), split, Arc::clone(model)));
    }

    /// Regions of what the model makes of the rows.
    fn regions(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        let (by, split) = (self.query.by, self.split.unwrap_or(Split::Test));
        let known = self
            .asked_regions
            .as_ref()
            .is_some_and(|(asked, of, about)| (*asked, *of) == (by, split) && Arc::ptr_eq(about, model));
        let found = cx.session.store.inspect.regions.clone();
        let running = cx.session.jobs.of(Purpose::Regions).is_some();
        if !known || (found.is_none() && !running) {
            cx.send(Command::Inspect(InspectCommand::Regions(split, by)));
            self.asked_regions = Some((by, split, Arc::clone(model)));
        }
        let fits = |found: &Arc<RegionsFound>| {
            (found.by, found.split) == (by, split) && Arc::ptr_eq(&found.model, model)
        };
        let Some(found) = found.filter(fits) else {
            ui.weak("Looking at what leaves the last layers …");
            return;
        };
        let report = match &found.report {
            Err(failure) => return drop(ui.colored_label(cx.theme.bad, failure.to_string())),
            Ok(report) => report,
        };
        let [asked, looked, finding, judging] = report.rows.map(|rows| widgets::grouped(rows as f64));
        ui.label(format!(
            "{} of {} regions of what leaves {}, at 5 % after correction for all of them",
            report.misfits.slices.len(),
            report.regions,
            report.layers.join(" and ")
        ));
        ui.weak(format!(
            "{looked} of {asked} rows, evenly spread. The regions were found on {finding} of them and are judged on the \
             {judging} of other users.",
        ));
        if report.misfits.slices.is_empty() {
            let total = total_words(&report.misfits.total);
            ui.label(format!("No region is off by more than chance explains. The rows that judge: {total}."));
            return;
        }
        for (slice, of) in report.misfits.slices.iter().zip(&report.features) {
            let name = slice.parts.first().map_or("", |(_, value)| value.as_str());
            ui.add_space(4.0);
            ui.strong(format!("Region {name}"));
            features(ui, of);
        }
        ui.add_space(6.0);
        table(ui, cx.theme, by, &report.misfits, None);
    }

    fn is_asked(&self, answer: &Sliced) -> bool {
        self.asked.as_ref().is_some_and(|(query, split, model)| {
            *query == answer.query && *split == answer.split && Arc::ptr_eq(model, &answer.model)
        })
    }
}

/// What sets a region apart.
fn features(ui: &mut Ui, features: &[RegionFeature]) {
    ui.horizontal_wrapped(|ui| {
        for of in features {
            let (inside, outside) = (100.0 * of.inside, 100.0 * of.outside);
            ui.label(format!("{} {}: {inside:.0} % of it, {outside:.0} % of the rest;", of.field, of.value));
        }
        if features.is_empty() {
            ui.weak("No value of a column sets it apart.");
        }
    });
}

fn show(ui: &mut Ui, cx: &mut PanelContext<'_>, answer: &Sliced, report: &MisfitReport) {
    let found = report.slices.len() + report.untold;
    let names: Vec<&str> = report.columns.iter().map(|column| column.name.as_str()).collect();
    ui.label(format!(
        "{} of {} groups, at 5 % after correction for all of them; columns: {}",
        widgets::grouped(found as f64),
        widgets::grouped(report.judged as f64),
        names.join(", ")
    ));
    if report.untold > 0 {
        ui.weak(format!("The {} largest are listed.", report.slices.len()));
    }
    let chosen = cx.session.store.chosen.clone();
    let marked = chosen
        .and_then(|chosen| report.slices.iter().position(|slice| slice.segment.as_ref() == Some(&chosen)));
    if let Some(slice) = marked.map(|place| &report.slices[place]) {
        ui.horizontal_wrapped(|ui| {
            ui.colored_label(cx.theme.accent, "Chosen for all panels.");
            if widgets::small_button(ui, "Its curves")
                .on_hover_text("Judges the model on these rows alone")
                .clicked()
            {
                let text = slice.segment.as_ref().map(ToString::to_string).unwrap_or_default();
                cx.send(Command::Inspect(InspectCommand::Evaluate(answer.split, text)));
                cx.send(Command::View(ViewCommand::Show("curves")));
            }
        });
    }
    if report.slices.is_empty() {
        let words = format!(
            "No group is off by more than chance explains. All rows: {}.",
            total_words(&report.total)
        );
        ui.label(words);
        return;
    }
    if let Some(place) = table(ui, cx.theme, answer.query.by, report, marked) {
        let segment = report.slices[place].segment.clone();
        let chosen = (marked != Some(place)).then_some(segment).flatten();
        cx.send(Command::Segment(SegmentCommand::Choose(chosen)));
    }
}

fn total_words(fit: &Fit) -> String {
    format!(
        "CTR {}, predicted {:.3} %, predicted / actual {}",
        widgets::percent_with_interval(&fit.actual),
        100.0 * fit.predicted,
        Estimate::known_in_words(fit.predicted_over_actual, 2)
    )
}

/// Draws all rows and the groups; the place of a group that was clicked.
fn table(
    ui: &mut Ui,
    theme: &Theme,
    by: Misfit,
    report: &MisfitReport,
    marked: Option<usize>,
) -> Option<usize> {
    let excess = match by {
        Misfit::Calibration => ("Too many", "Clicks predicted too many; negative: too few"),
        Misfit::Loss => ("Loss +", "Nats of loss above the mean of all rows"),
    };
    let titles = [
        ("Group", 330.0, "Columns and values that its rows share; a click chooses it for all panels"),
        ("Impressions", 90.0, "Rows, or their weight"),
        ("CTR, 95 %", 165.0, "Actual clicks over impressions, Wilson's interval"),
        ("Predicted", 80.0, "Mean predicted click rate"),
        ("Predicted / actual, 95 %", 160.0, "1 where the model is calibrated"),
        ("Log loss", 70.0, "Mean, in nats"),
        (
            "NE",
            50.0,
            "Log loss over the entropy of the group's own click rate; from 1 on the model tells nothing inside it",
        ),
        ("AUC, 95 %", 150.0, "Ranking inside the group, DeLong's interval"),
        (excess.0, 76.0, excess.1),
        ("p", 84.0, "Chance of such a difference in any group looked at (Bonferroni)"),
    ];
    let mut builder = TableBuilder::new(ui).striped(true).sense(egui::Sense::click()).resizable(true);
    for (_, width, _) in &titles {
        builder = builder.column(Column::initial(*width).at_least(44.0).clip(true));
    }
    let mut clicked = None;
    builder
        .id_salt("slices")
        .header(ROW_HEIGHT, |mut header| {
            for (title, _, meaning) in &titles {
                header.col(|ui| drop(ui.strong(*title).on_hover_text(*meaning)));
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, report.slices.len() + 1, |mut line| {
                let place = line.index().checked_sub(1);
                let slice = place.and_then(|place| report.slices.get(place));
                line.set_selected(place.is_some() && place == marked);
                let fit = slice.map_or(&report.total, |slice| &slice.fit);
                for (cell, text) in cells(fit, slice).into_iter().enumerate() {
                    line.col(|ui| {
                        let text = RichText::new(text).color(theme.text);
                        let text = if slice.is_none() { text.strong() } else { text };
                        let shown = ui.add(egui::Label::new(text.clone()).truncate().selectable(false));
                        shown.on_hover_ui(|ui| hover(ui, slice, cell, text));
                    });
                }
                if line.response().clicked() && slice.is_some_and(|slice| slice.segment.is_some()) {
                    clicked = place;
                }
            });
        });
    clicked
}

/// The whole text of a cell; for the group, also its other names, and why it cannot be chosen.
fn hover(ui: &mut Ui, slice: Option<&Slice>, cell: usize, text: RichText) {
    ui.label(text);
    let Some(slice) = slice.filter(|_| cell == 0) else { return };
    for other in &slice.also {
        ui.weak(format!("the same rows: {other}"));
    }
    if slice.segment.is_none() {
        ui.weak("It is about what the model knows of the rows, which is no column of the log: it cannot be chosen.");
    }
}

fn cells(fit: &Fit, slice: Option<&Slice>) -> [String; 10] {
    let number = |known: Option<f64>, digits: usize| {
        known.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.digits$}"))
    };
    let name = slice.map_or_else(
        || "all rows".to_owned(),
        |slice| {
            let parts = slice.parts.iter().map(|(column, value)| format!("{column} {value}"));
            parts.collect::<Vec<_>>().join(", ")
        },
    );
    [
        name,
        widgets::grouped(fit.actual.trials),
        widgets::percent_with_interval(&fit.actual),
        format!("{:.2} %", 100.0 * fit.predicted),
        Estimate::known_in_words(fit.predicted_over_actual, 2),
        number(fit.log_loss.map(|loss| loss.value), 4),
        number(fit.normalized_entropy, 3),
        Estimate::known_in_words(fit.auc, 3),
        slice.map_or_else(String::new, |slice| format!("{:+.1}", slice.excess)),
        slice.map_or_else(String::new, |slice| p_words(slice.p).trim_start_matches("p = ").to_owned()),
    ]
}
