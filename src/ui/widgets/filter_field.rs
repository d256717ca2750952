//! How does a person say which rows count? By typing an expression, or by clicking what may stand next.

use crate::data::query::groupable_columns;
use crate::data::schema::ColumnType;
use crate::domain::segment::complete::{Expected, ending};
use crate::session::Command;
use crate::session::commands::SegmentCommand;
use crate::ui::{PanelContext, widgets};
use egui::{Id, Key, Ui};

/// Words offered at once.
const OFFERED: usize = 14;

/// Draws the field, and below it what may stand next once it was clicked into.
pub fn filter_field(ui: &mut Ui, cx: &mut PanelContext<'_>, filter: &mut String) {
    let id = ui.make_persistent_id("filter");
    let mut asks = ui.data(|data| data.get_temp::<bool>(id)).unwrap_or(false);
    let field = ui
        .horizontal(|ui| {
            let label = ui.label("Only where").id;
            let field = egui::TextEdit::singleline(filter)
                .hint_text("age_band in ('18-24', '25-34') and city = '上海' and hour >= 18")
                .desired_width(f32::INFINITY);
            ui.add(field).labelled_by(label)
        })
        .inner;
    if field.gained_focus() {
        asks = true;
    }
    if field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter) || input.key_pressed(Key::Escape))
    {
        asks = false;
    }
    if asks {
        asks = offers(ui, cx, filter, field.id);
    }
    ui.data_mut(|data| data.insert_temp(id, asks));
}

/// What may stand next, to click; false when a person has enough of it.
fn offers(ui: &mut Ui, cx: &mut PanelContext<'_>, filter: &mut String, field: Id) -> bool {
    let Some(open) = &cx.session.store.log else { return false };
    let Some(ending) = ending(filter) else { return true };
    let columns = match ending.expected {
        Expected::Column => groupable_columns(&open.frame),
        _ => Vec::new(),
    };
    let values = match &ending.expected {
        Expected::Value { column, .. } => values(cx, column),
        _ => Vec::new(),
    };
    let offers = ending.offers(&columns, &values, OFFERED);
    let mut goes_on = true;
    ui.horizontal_wrapped(|ui| {
        ui.weak("next:");
        for offer in offers {
            if super::small_button(ui, &offer.words).on_hover_text(&offer.text).clicked() {
                *filter = offer.text;
                write_on(ui, field, filter);
            }
        }
        if !filter.is_empty()
            && super::small_button(ui, "all rows").on_hover_text("Empties the filter").clicked()
        {
            filter.clear();
        }
        goes_on = !super::small_button(ui, "done").clicked();
    });
    goes_on
}

/// The values of a column with their impressions, once they are listed.
fn values(cx: &mut PanelContext<'_>, column: &str) -> Vec<(String, String)> {
    let known = cx.session.store.values.get(column);
    let Some(known) = known else {
        // Asked for once: while it runs, and where it fails, the list stays empty.
        let is_text = cx.session.store.log.as_ref().is_some_and(|open| {
            open.frame.schema.column(column).is_ok_and(|column| column.kind != ColumnType::List)
                || groupable_columns(&open.frame).iter().any(|name| name == column)
        });
        if is_text && cx.session.jobs.of(crate::session::Purpose::Values).is_none() {
            cx.send(Command::Segment(SegmentCommand::ListValues(column.to_owned())));
        }
        return Vec::new();
    };
    known.iter().map(|(value, n)| (value.clone(), format!("{value}  {}", widgets::grouped(*n)))).collect()
}

/// Puts the cursor behind what was added.
fn write_on(ui: &Ui, field: Id, text: &str) {
    let mut state = egui::TextEdit::load_state(ui.ctx(), field).unwrap_or_default();
    let end = egui::text::CCursor::new(text.chars().count());
    state.cursor.set_char_range(Some(egui::text::CCursorRange::one(end)));
    state.store(ui.ctx(), field);
    ui.memory_mut(|memory| memory.request_focus(field));
}
