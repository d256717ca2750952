//! Are the probabilities right over time, by position, by city: in each group of a column?

use crate::data::query::groupable_columns;
use crate::domain::Segment;
use crate::insight::by_column::ByColumn;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::by_column::ColumnQuestion;
use crate::tasks::evaluate::Evaluated;
use crate::ui::charts::{self, bands};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};

/// The column as it stands on the screen.
#[derive(Debug, Default)]
pub(super) struct Columns {
    column: Option<String>,
    asked: Option<(ColumnQuestion, bool, usize)>,
}

impl Columns {
    /// The column whose rates are on the screen.
    pub fn chosen(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// Draws the choice of a column and the rates of its groups; `beside` takes all models of the list.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, shown: &Evaluated, beside: bool) {
        let Some(log) = cx.session.store.log.as_ref().map(|open| open.frame.clone()) else { return };
        let columns = groupable_columns(&log);
        if self.column.as_ref().is_none_or(|column| !columns.contains(column)) {
            self.column = columns.first().cloned();
        }
        let Some(mut column) = self.column.clone() else { return };
        ui.horizontal_wrapped(|ui| {
            let label = ui.label(RichText::new("Actual and predicted by").strong()).id;
            let menu = egui::ComboBox::from_id_salt("curves column").selected_text(&column).height(320.0);
            let menu = menu.show_ui(ui, |ui| {
                for name in &columns {
                    ui.selectable_value(&mut column, name.clone(), name);
                }
            });
            menu.response.labelled_by(label);
        });
        self.column = Some(column.clone());
        self.ask(cx, shown, column, beside);
        let answer = cx.session.store.inspect.by_column.clone();
        let asked = self.asked.as_ref().map(|(question, ..)| question);
        match answer.filter(|answer| Some(&answer.question) == asked) {
            None => drop(ui.weak("Counting …")),
            Some(answer) => match &answer.found {
                Err(failure) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
                Ok(found) => show(ui, cx.theme, found),
            },
        }
    }

    fn ask(&mut self, cx: &mut PanelContext<'_>, shown: &Evaluated, column: String, beside: bool) {
        let segment: Segment = shown.segment.clone();
        let question = ColumnQuestion { split: shown.split, segment, column };
        let model = std::sync::Arc::as_ptr(&shown.model).addr();
        let asked = (question, beside, model);
        let jobs = &cx.session.jobs;
        let lost = cx.session.store.inspect.by_column.is_none() && jobs.of(Purpose::ByColumn).is_none();
        if self.asked.as_ref() != Some(&asked) || lost {
            cx.send(Command::Inspect(InspectCommand::ByColumn(asked.0.clone(), beside)));
            self.asked = Some(asked);
        }
    }
}

fn show(ui: &mut Ui, theme: &Theme, found: &ByColumn) {
    let names: Vec<String> = found.groups.iter().map(|group| group.name.clone()).collect();
    let of_actual = found.groups.iter().enumerate().map(|(place, group)| {
        let rate = &group.actual;
        [place as f64, 100.0 * rate.rate, 100.0 * rate.low, 100.0 * rate.high]
    });
    let mut lines = vec![bands::Band {
        name: "actual, 95 %".to_owned(),
        colour: theme.text,
        points: of_actual.collect(),
    }];
    for (model, kind) in found.models.iter().enumerate() {
        let points = found.groups.iter().enumerate().map(|(place, group)| {
            let p = 100.0 * group.predicted[model];
            [place as f64, p, p, p]
        });
        lines.push(bands::Band { name: kind.clone(), colour: theme.series(model), points: points.collect() });
    }
    let name = format!("Click rates by {}", found.column);
    let frame =
        charts::Frame { name: &name, x: &found.column, y: "click rate (%)", height: super::CHART_HEIGHT };
    bands::show(ui, theme, frame, &names, &lines);
    let off: Vec<String> = found
        .groups
        .iter()
        .filter_map(|group| {
            let ratio = group.ratio.first().copied().flatten().filter(|ratio| ratio.excludes(1.0))?;
            Some(format!(
                "{} {:.2} ({:.2} to {:.2}, n {})",
                group.name,
                ratio.value,
                ratio.low,
                ratio.high,
                widgets::grouped(group.actual.trials)
            ))
        })
        .collect();
    let kind = found.models.first().map_or("", String::as_str);
    ui.weak(if off.is_empty() {
        format!("{kind}: predicted / actual covers 1 in each of the {} groups.", found.groups.len())
    } else {
        format!(
            "{kind}: predicted / actual leaves 1 in {} of {} groups (one in twenty by chance): {}",
            off.len(),
            found.groups.len(),
            off.join(", ")
        )
    });
    if found.untold > 0 {
        ui.weak(format!("The {} largest groups are shown, {} are not.", found.groups.len(), found.untold));
    }
}
