//! The groups as a table: sorted by any column, small figures greyed, one row chosen by a click.

use super::AnswerRef;
use crate::data::query::{Figure, Measure, SegmentRow, SegmentTable};
use crate::domain::Segment;
use crate::metrics::significance::p_words;
use crate::ui::{Theme, widgets};
use egui::{RichText, Ui};
use egui_extras::{Column, TableBuilder};
use std::cmp::Ordering;
use std::sync::Arc;

const ROW_HEIGHT: f32 = 22.0;

/// What the rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// The value in a column asked for.
    Value(usize),
    Measure(Measure),
    /// The measure in view over that of the reference.
    Lift(Measure),
    /// Chance of such a difference.
    P(Measure),
}

impl Default for Key {
    fn default() -> Self {
        Self::Measure(Measure::Impressions)
    }
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
            let order = compare(table, self.key, &table.rows[*a as usize], &table.rows[*b as usize]);
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

fn compare(table: &SegmentTable, key: Key, a: &SegmentRow, b: &SegmentRow) -> Ordering {
    let by = |measure: Measure, of: fn(&Figure) -> Option<f64>| {
        let of = |row| table.figure(row, measure).and_then(of).unwrap_or(f64::NEG_INFINITY);
        of(a).total_cmp(&of(b))
    };
    match key {
        // In the natural order of the column: hours, buckets and days are no words.
        Key::Value(place) => a.codes.get(place).cmp(&b.codes.get(place)),
        Key::Measure(measure) => by(measure, |figure| Some(figure.value)),
        Key::Lift(measure) => by(measure, |figure| figure.lift),
        Key::P(measure) => by(measure, |figure| figure.p),
    }
}

/// Draws the table; a click on a row chooses its group.
pub(super) fn show(
    ui: &mut Ui,
    theme: &Theme,
    (table, measure): (&SegmentTable, Measure),
    order: &[u32],
    sorting: &mut Sorting,
    selected: &mut Option<Segment>,
) {
    let titles = titles(table, measure);
    let mut builder = TableBuilder::new(ui).striped(true).sense(egui::Sense::click()).resizable(true);
    for (_, key, _) in &titles {
        let width = match key {
            Key::Value(_) => 104.0,
            Key::Lift(_) => 56.0,
            Key::P(_) => 84.0,
            Key::Measure(Measure::Impressions) => 140.0,
            Key::Measure(measure) if measure.is_sum() => 100.0,
            Key::Measure(_) => 164.0,
        };
        builder = builder.column(Column::initial(width).at_least(48.0).clip(true));
    }
    builder
        .id_salt(("segment table", titles.len()))
        .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
        .header(ROW_HEIGHT, |mut header| {
            for (title, key, meaning) in &titles {
                header.col(|ui| {
                    if heading(ui, title, meaning, *key, sorting) {
                        sorting.press(*key);
                    }
                });
            }
        })
        .body(|body| {
            body.rows(ROW_HEIGHT, order.len(), |mut line| {
                let Some(row) = table.rows.get(order[line.index()] as usize) else { return };
                line.set_selected(selected.as_ref() == Some(&row.segment));
                for (_, key, _) in &titles {
                    line.col(|ui| cell(ui, theme, table, row, *key));
                }
                if line.response().clicked() {
                    let same = selected.as_ref() == Some(&row.segment);
                    *selected = (!same).then(|| row.segment.clone());
                }
            });
        });
}

/// Title, key and meaning of each column: the names, how the measure in view differs, then all measures.
fn titles(table: &SegmentTable, measure: Measure) -> Vec<(String, Key, String)> {
    let names = table.by.iter().enumerate();
    let mut titles: Vec<(String, Key, String)> =
        names.map(|(place, name)| (name.clone(), Key::Value(place), String::new())).collect();
    let compared = table.measures.contains(&measure) && (!measure.is_sum() || table.period.is_some());
    for known in &table.measures {
        let title = if known.is_sum() {
            known.title().to_owned()
        } else {
            format!("{}, 95 % interval", known.title())
        };
        titles.push((title, Key::Measure(*known), meaning(table, *known)));
        if *known == measure && compared {
            let (lift, others, base) = match (&table.period, table.against.as_slice()) {
                (Some(_), _) => ("Ratio", "the days before".to_owned(), "the days before".to_owned()),
                (None, []) => ("Lift", "all other rows".to_owned(), "all rows".to_owned()),
                (None, values) => ("Ratio", values.join(" x "), values.join(" x ")),
            };
            titles.push((
                lift.to_owned(),
                Key::Lift(measure),
                format!("{} over that of {base}", measure.title()),
            ));
            let why = format!("Chance of such a difference from {others}, corrected for all groups (Holm)");
            if !measure.is_sum() {
                titles.push(("p".to_owned(), Key::P(measure), why));
            }
        }
    }
    titles
}

/// How a measure comes about and what its interval is.
fn meaning(table: &SegmentTable, measure: Measure) -> String {
    let source = table.sources.iter().find(|(known, _)| *known == measure);
    let source = source.map(|(_, words)| format!("{words}. ")).unwrap_or_default();
    let way = match measure {
        Measure::Impressions => "Rows, or their weight",
        Measure::Clicks | Measure::Conversions | Measure::Spend | Measure::Revenue => "A sum",
        Measure::Ctr => "Clicks per impression, Wilson's interval",
        Measure::Cvr => {
            "Conversions per click, Wilson's interval where each follows a click, else the delta method"
        }
        Measure::Cpc => "Spend per click, delta method",
        Measure::Cpm => "Spend per thousand impressions, delta method",
        Measure::Cpa => "Spend per conversion, delta method",
        Measure::Roas => "Revenue per spend, delta method",
        Measure::MeanPrice => "Mean of the price, delta method",
        Measure::PredictedCtr => "Mean of the model's predictions, delta method",
        Measure::PredictedToActual => "Predicted clicks over clicks, delta method; 1 is calibrated",
    };
    format!("{source}{way}")
}

/// A figure with its interval as text.
pub(super) fn words(measure: Measure, figure: &Figure) -> String {
    if measure.is_sum() {
        let is_money = matches!(measure, Measure::Spend | Measure::Revenue);
        return if is_money { format!("{:.2}", figure.value) } else { widgets::grouped(figure.value) };
    }
    let (factor, unit) = if measure.is_percent() { (100.0, " %") } else { (1.0, "") };
    let value = short(factor * figure.value);
    match figure.interval {
        Some([low, high]) => format!("{value}{unit} ({} to {})", short(factor * low), short(factor * high)),
        None => format!("{value}{unit} (too few)"),
    }
}

/// Two decimals, more for small figures.
fn short(value: f64) -> String {
    if value.abs() >= 0.1 || value == 0.0 { format!("{value:.2}") } else { crate::ui::charts::short(value) }
}

fn heading(ui: &mut Ui, title: &str, meaning: &str, key: Key, sorting: &Sorting) -> bool {
    // Words: not every font has arrows.
    let mark = match (sorting.key == key, sorting.rising) {
        (false, _) => "",
        (true, true) => " (up)",
        (true, false) => " (down)",
    };
    let text = RichText::new(format!("{title}{mark}")).strong();
    ui.add(egui::Button::new(text).frame(false).truncate())
        .on_hover_text(if meaning.is_empty() { format!("Sort by {title}") } else { meaning.to_owned() })
        .clicked()
}

fn cell(ui: &mut Ui, theme: &Theme, table: &SegmentTable, row: &SegmentRow, key: Key) {
    let figure = |measure| table.figure(row, measure);
    let unknown = || "n/a".to_owned();
    let (text, small) = match key {
        Key::Value(place) => (row.values.get(place).cloned().unwrap_or_default(), false),
        Key::Measure(measure) => {
            let text = figure(measure).map_or_else(unknown, |figure| words(measure, figure));
            (text, figure(measure).is_some_and(|figure| figure.small))
        }
        Key::Lift(measure) => {
            let lift = figure(measure).and_then(|figure| figure.lift);
            let small = figure(measure).is_some_and(|figure| figure.small);
            (lift.map_or_else(unknown, |lift| format!("{lift:.2}")), small)
        }
        Key::P(measure) => {
            let p = figure(measure).and_then(|figure| figure.p);
            let words = p.map_or_else(unknown, |p| p_words(p).trim_start_matches("p ").replace("= ", ""));
            // What chance explains is not told as loudly.
            (words, p.is_none_or(|p| p >= 0.05))
        }
    };
    let colour = if small { theme.weak_text } else { theme.text };
    // Not selectable: a click anywhere in the row chooses it.
    let label = egui::Label::new(RichText::new(&text).color(colour)).truncate().selectable(false);
    let response = ui.add(label);
    match key {
        Key::Measure(measure) if small => {
            let n = figure(measure).map_or(0.0, |figure| figure.n);
            response.on_hover_text(format!("{text}, n = {}: too little to judge", widgets::grouped(n)));
        }
        Key::Measure(measure) if !measure.is_sum() => {
            let n = figure(measure).map_or(0.0, |figure| figure.n);
            response.on_hover_text(format!("{text}, n = {}", widgets::grouped(n)));
        }
        _ => {
            response.on_hover_text(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Rate;

    fn table() -> SegmentTable {
        let row = |code, clicks, shown| {
            let figure =
                |value| Some(Figure { value, interval: None, n: shown, small: false, lift: None, p: None });
            SegmentRow {
                codes: vec![code],
                rate: Rate::wilson(clicks, shown),
                figures: vec![figure(shown), figure(clicks / shown)],
                ..SegmentRow::default()
            }
        };
        SegmentTable {
            measures: vec![Measure::Impressions, Measure::Ctr],
            rows: vec![row(1, 1.0, 10.0), row(2, 9.0, 30.0), row(0, 4.0, 20.0)],
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
        sorting.press(Key::Measure(Measure::Ctr));
        assert_eq!(*sorting.order(None, &table), [1, 2, 0], "the best rate first");
        sorting.press(Key::Measure(Measure::Ctr));
        assert_eq!(*sorting.order(None, &table), [0, 2, 1]);
    }
}
