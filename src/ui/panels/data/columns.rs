//! What is each column, and what is it for? The one table in which roles are corrected.

use crate::data::profile::{ColumnProfile, Profile};
use crate::data::{ColumnType, Role};
use crate::session::{Command, commands::DataCommand};
use crate::ui::widgets::moment;
use crate::ui::{PanelContext, widgets};
use egui::Ui;
use egui_extras::{Column, TableBuilder};

const ROW_HEIGHT: f32 = 24.0;

/// Every column with its role, type, gaps, values and the evidence for its role.
pub(super) fn show(ui: &mut Ui, cx: &mut PanelContext<'_>, profile: &Profile) {
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
