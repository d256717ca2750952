//! What is in the open log, and what is each column for? Roles can be corrected here.

use crate::data::profile::{ColumnProfile, Issue, IssueKind, Profile};
use crate::data::{ColumnType, Role};
use crate::session::{Command, commands::DataCommand};
use crate::ui::panels::Panel;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};
use std::sync::Arc;

/// Columns, roles and quality.
#[derive(Default)]
pub struct DataPanel;

impl Panel for DataPanel {
    fn id(&self) -> &'static str {
        "data"
    }

    fn title(&self) -> &'static str {
        "Data"
    }

    fn summary(&self) -> &'static str {
        "Columns, what each is for, and what a careful person would object to"
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
        widgets::heading(ui, cx.theme, &log.name(), self.summary());
        cards(ui, cx.theme, &profile);
        ui.add_space(6.0);
        objections(ui, cx.theme, &profile);
        ui.add_space(6.0);
        columns(ui, cx, &profile);
    }
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
            let below = format!("{days:.1} days to {} UTC", moment(last));
            widgets::metric_card(ui, theme, "From", &moment(first), &below);
        }
    });
}

/// Issues and what the reader did, folded away when there are many.
fn objections(ui: &mut Ui, theme: &Theme, profile: &Profile) {
    let title = match profile.issues.len() {
        0 => "No objections".to_owned(),
        1 => "1 objection".to_owned(),
        count => format!("{count} objections"),
    };
    egui::CollapsingHeader::new(title).default_open(true).show(ui, |ui| {
        egui::ScrollArea::vertical().id_salt("objections").max_height(130.0).auto_shrink([false, true]).show(
            ui,
            |ui| {
                for issue in &profile.issues {
                    objection(ui, theme, issue);
                }
                for bad in profile.bad_samples.iter().take(5) {
                    ui.weak(format!("line {}: {}", bad.line, bad.why));
                }
            },
        );
    });
    if !profile.notes.is_empty() {
        let title = format!("What the reader did ({})", profile.notes.len());
        egui::CollapsingHeader::new(title).default_open(false).show(ui, |ui| {
            egui::ScrollArea::vertical().id_salt("notes").max_height(130.0).auto_shrink([false, true]).show(
                ui,
                |ui| {
                    for note in &profile.notes {
                        ui.label(note);
                    }
                },
            );
        });
    }
}

fn objection(ui: &mut Ui, theme: &Theme, issue: &Issue) {
    let grave = matches!(
        issue.kind,
        IssueKind::NoLabel | IssueKind::OneClass | IssueKind::LabelLeak | IssueKind::SampleRatioMismatch
    );
    let colour = if grave { theme.bad } else { theme.warn };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(words(issue.kind)).strong().color(colour));
        if let Some(column) = &issue.column {
            ui.monospace(column);
        }
        ui.weak(widgets::grouped(issue.count as f64));
        ui.label(&issue.detail);
    });
}

fn words(kind: IssueKind) -> &'static str {
    match kind {
        IssueKind::BadRows => "bad rows",
        IssueKind::NoLabel => "no label",
        IssueKind::OneClass => "one outcome only",
        IssueKind::FewPositives => "few clicks",
        IssueKind::Aggregated => "counts per row",
        IssueKind::ClicksBeyondImpressions => "more clicks than impressions",
        IssueKind::ClicksWithoutImpressions => "clicks without impressions",
        IssueKind::ImplausibleRate => "implausible rate",
        IssueKind::LabelLeak => "gives the answer away",
        IssueKind::Constant => "constant",
        IssueKind::AllMissing => "empty",
        IssueKind::MixedTypes => "mixed types",
        IssueKind::DuplicateRows => "duplicate rows",
        IssueKind::TimeGaps => "gaps in time",
        IssueKind::SampleRatioMismatch => "uneven test",
        IssueKind::MixedCurrencies => "several currencies",
        IssueKind::NearConstant => "nearly constant",
        IssueKind::MissingOverTime => "missing in time",
        IssueKind::Outliers => "far outliers",
        IssueKind::TotalsDiffer => "total row differs",
        IssueKind::DoubleCounting => "counted twice",
        IssueKind::PersonalData => "personal data",
        IssueKind::NearDuplicateTexts => "similar texts",
    }
}

const ROW_HEIGHT: f32 = 24.0;

fn columns(ui: &mut Ui, cx: &mut PanelContext<'_>, profile: &Profile) {
    TableBuilder::new(ui)
        .striped(true)
        .resizable(true)
        .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
        .column(Column::initial(170.0).at_least(80.0).clip(true))
        .column(Column::exact(124.0))
        .columns(Column::initial(70.0).at_least(50.0).clip(true), 3)
        .column(Column::initial(230.0).at_least(80.0).clip(true))
        .column(Column::remainder().at_least(120.0).clip(true))
        .header(ROW_HEIGHT, |mut header| {
            for title in ["Column", "Role", "Type", "Missing", "Distinct", "Values", "Why this role"] {
                header.col(|ui| {
                    ui.strong(title);
                });
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, profile.columns.len(), |mut row| {
                let column = &profile.columns[row.index()];
                let mut name = None;
                row.col(|ui| name = Some(ui.label(&column.name).on_hover_text(&column.name).id));
                row.col(|ui| {
                    if let Some(role) = role_menu(ui, column, name)
                        && role != column.role
                    {
                        cx.send(Command::Data(DataCommand::SetRole(column.name.clone(), role)));
                    }
                });
                let facts = [
                    format!("{:?}", column.kind).to_lowercase(),
                    widgets::grouped(column.missing as f64),
                    widgets::grouped(column.distinct as f64),
                    values(column),
                    column.evidence.clone(),
                ];
                for fact in facts {
                    row.col(|ui| {
                        ui.add(egui::Label::new(&fact).truncate()).on_hover_text(&fact);
                    });
                }
            });
        });
}

/// A menu of all roles; the one that was chosen.
fn role_menu(ui: &mut Ui, column: &ColumnProfile, name: Option<egui::Id>) -> Option<Role> {
    let menu = egui::ComboBox::from_id_salt(("role", &column.name))
        .selected_text(column.role.id())
        .width(108.0)
        .height(420.0)
        .show_ui(ui, |ui| {
            let roles = Role::ALL.into_iter();
            roles.filter(|role| ui.selectable_label(*role == column.role, role.id()).clicked()).last()
        });
    if let Some(name) = name {
        menu.response.labelled_by(name);
    }
    menu.inner.flatten()
}

/// The span of a quantity, or the frequent values with their counts.
fn values(column: &ColumnProfile) -> String {
    match column.quantiles {
        Some(numbers) if column.kind == ColumnType::Time => {
            format!("{} to {}", moment(numbers.min as i64), moment(numbers.max as i64))
        }
        Some(numbers) if column.top.is_empty() => {
            format!("{} … median {} … {}", short(numbers.min), short(numbers.median), short(numbers.max))
        }
        _ => {
            let top = column
                .top
                .iter()
                .map(|top| format!("{} ({})", top.value.chars().take(24).collect::<String>(), top.count));
            top.collect::<Vec<_>>().join(", ")
        }
    }
}

fn short(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e12 {
        widgets::grouped(number)
    } else {
        format!("{number:.4}")
    }
}

/// `2026-03-01 14:05` in UTC.
fn moment(millis: i64) -> String {
    let (year, month, day) = crate::base::calendar::date_of(millis.div_euclid(86_400_000));
    let minutes = millis.rem_euclid(86_400_000) / 60_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}
