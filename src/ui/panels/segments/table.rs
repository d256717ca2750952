//! The groups as a table: sorted by any column, small groups greyed, one row chosen by a click.

use super::AnswerRef;
use crate::data::query::{SegmentRow, SegmentTable};
use crate::domain::Segment;
use crate::ui::{Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};
use std::cmp::Ordering;
use std::sync::Arc;

const ROW_HEIGHT: f32 = 22.0;

/// What the rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Key {
    /// The value in a column asked for.
    Value(usize),
    #[default]
    Impressions,
    Clicks,
    Rate,
    Lift,
    Conversions,
    Money,
}

/// How the table is sorted, with the order found for the answer on the screen.
#[derive(Default)]
pub(super) struct Sorting {
    key: Key,
    rising: bool,
    /// The order is found once an answer and key, not once a frame.
    found: Option<(AnswerRef, Key, bool, Arc<Vec<u32>>)>,
}

impl Sorting {
    /// Places of the rows, first to last.
    pub fn order(&mut self, answer: Option<&AnswerRef>, table: &SegmentTable) -> Arc<Vec<u32>> {
        if let (Some(answer), Some((known, key, rising, order))) = (answer, &self.found)
            && Arc::ptr_eq(answer, known)
            && (*key, *rising) == (self.key, self.rising)
        {
            return Arc::clone(order);
        }
        let mut places: Vec<u32> = (0..table.rows.len() as u32).collect();
        places.sort_by(|a, b| {
            let order = compare(self.key, &table.rows[*a as usize], &table.rows[*b as usize]);
            if self.rising { order } else { order.reverse() }
        });
        let order = Arc::new(places);
        self.found = answer.map(|answer| (Arc::clone(answer), self.key, self.rising, Arc::clone(&order)));
        order
    }

    /// Another column sorts falling, names rising; the same one turns round.
    fn press(&mut self, key: Key) {
        let rising = if self.key == key { !self.rising } else { matches!(key, Key::Value(_)) };
        (self.key, self.rising) = (key, rising);
    }
}

fn compare(key: Key, a: &SegmentRow, b: &SegmentRow) -> Ordering {
    let unknown_last = |x: Option<f64>| x.unwrap_or(f64::NEG_INFINITY);
    match key {
        Key::Value(place) => a.values.get(place).cmp(&b.values.get(place)),
        Key::Impressions => a.rate.trials.total_cmp(&b.rate.trials),
        Key::Clicks => a.rate.successes.total_cmp(&b.rate.successes),
        Key::Rate => a.rate.rate.total_cmp(&b.rate.rate),
        Key::Lift => unknown_last(a.lift).total_cmp(&unknown_last(b.lift)),
        Key::Conversions => unknown_last(a.conversions).total_cmp(&unknown_last(b.conversions)),
        Key::Money => unknown_last(a.money).total_cmp(&unknown_last(b.money)),
    }
}

/// Draws the table; a click on a row chooses its group.
pub(super) fn show(
    ui: &mut Ui,
    theme: &Theme,
    table: &SegmentTable,
    order: &[u32],
    sorting: &mut Sorting,
    selected: &mut Option<Segment>,
) {
    let mut titles: Vec<(String, Key)> =
        table.by.iter().enumerate().map(|(place, name)| (name.clone(), Key::Value(place))).collect();
    titles.push(("Impressions".to_owned(), Key::Impressions));
    if table.has_outcome {
        titles.push(("Clicks".to_owned(), Key::Clicks));
        titles.push(("CTR, 95 % interval".to_owned(), Key::Rate));
        titles.push(("Lift".to_owned(), Key::Lift));
    }
    if !table.conversions_column.is_empty() {
        titles.push(("Conversions".to_owned(), Key::Conversions));
    }
    if !table.money_meaning.is_empty() {
        let mut meaning = table.money_meaning.clone();
        if let Some(first) = meaning.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        titles.push((meaning, Key::Money));
    }
    let mut builder = TableBuilder::new(ui).striped(true).sense(egui::Sense::click()).resizable(true);
    for (_, key) in &titles {
        let width = match key {
            Key::Value(_) => 104.0,
            Key::Impressions => 140.0,
            Key::Rate => 160.0,
            Key::Lift => 56.0,
            Key::Clicks => 72.0,
            Key::Conversions => 90.0,
            Key::Money => 120.0,
        };
        builder = builder.column(Column::initial(width).at_least(48.0).clip(true));
    }
    builder
        .id_salt(("segment table", titles.len()))
        .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
        .header(ROW_HEIGHT, |mut header| {
            for (title, key) in &titles {
                header.col(|ui| {
                    if heading(ui, title, *key, sorting) {
                        sorting.press(*key);
                    }
                });
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, order.len(), |mut line| {
                let Some(row) = table.rows.get(order[line.index()] as usize) else { return };
                line.set_selected(selected.as_ref() == Some(&row.segment));
                let small = table.has_outcome && row.is_small();
                for (_, key) in &titles {
                    line.col(|ui| cell(ui, theme, row, *key, small));
                }
                if line.response().clicked() {
                    let same = selected.as_ref() == Some(&row.segment);
                    *selected = (!same).then(|| row.segment.clone());
                }
            });
        });
}

fn heading(ui: &mut Ui, title: &str, key: Key, sorting: &Sorting) -> bool {
    // Words: not every font has arrows.
    let mark = match (sorting.key == key, sorting.rising) {
        (false, _) => "",
        (true, true) => " (up)",
        (true, false) => " (down)",
    };
    let text = RichText::new(format!("{title}{mark}")).strong();
    ui.add(egui::Button::new(text).frame(false).truncate())
        .on_hover_text(format!("Sort by {title}"))
        .clicked()
}

fn cell(ui: &mut Ui, theme: &Theme, row: &SegmentRow, key: Key, small: bool) {
    let unknown = || "n/a".to_owned();
    let text = match key {
        Key::Value(place) => row.values.get(place).cloned().unwrap_or_default(),
        Key::Impressions => widgets::grouped(row.rate.trials),
        Key::Clicks => widgets::grouped(row.rate.successes),
        Key::Rate => widgets::percent_with_interval(&row.rate),
        Key::Lift => row.lift.map_or_else(unknown, |lift| format!("{lift:.2}")),
        Key::Conversions => row.conversions.map_or_else(unknown, widgets::grouped),
        Key::Money => row.money.map_or_else(unknown, |money| format!("{money:.2}")),
    };
    let colour = if small { theme.weak_text } else { theme.text };
    // Not selectable: a click anywhere in the row chooses it.
    let label = egui::Label::new(RichText::new(&text).color(colour)).truncate().selectable(false);
    let response = ui.add(label);
    if small {
        let why = "Fewer than 5 clicks are to be expected here: the rate says little";
        response.on_hover_text(why);
    } else if let Key::Value(_) = key {
        response.on_hover_text(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Rate;

    fn table() -> SegmentTable {
        let row = |name: &str, clicks, shown| SegmentRow {
            values: vec![name.to_owned()],
            rate: Rate::wilson(clicks, shown),
            ..SegmentRow::default()
        };
        SegmentTable {
            rows: vec![row("b", 1.0, 10.0), row("c", 9.0, 30.0), row("a", 4.0, 20.0)],
            ..SegmentTable::default()
        }
    }

    #[test]
    fn sorts_by_any_column_and_turns_round() {
        let table = table();
        let mut sorting = Sorting::default();
        assert_eq!(*sorting.order(None, &table), [1, 2, 0], "most impressions first");
        sorting.press(Key::Value(0));
        assert_eq!(*sorting.order(None, &table), [2, 0, 1], "names rise");
        sorting.press(Key::Rate);
        assert_eq!(*sorting.order(None, &table), [1, 2, 0], "the best rate first");
        sorting.press(Key::Rate);
        assert_eq!(*sorting.order(None, &table), [0, 2, 1]);
    }
}
