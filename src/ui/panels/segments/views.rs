//! How is an answer looked at? As bars, a heat map, over time, by hour, by frequency, by cohort, as a funnel: each is a
//! question about certain columns, so that the table beside it always holds the same figures.

use super::table::words;
use crate::data::LogFrame;
use crate::data::query::funnel::Funnel;
use crate::data::query::{Derived, Figure, Measure, SegmentRow, SegmentTable};
use crate::data::schema::Role;
use crate::domain::Segment;
use crate::ui::charts::bands::{self, Band};
use crate::ui::charts::bars::{self, BarStyle};
use crate::ui::charts::heatmap::{Heatmap, Matrix};
use crate::ui::charts::{Frame, Series, curve};
use crate::ui::{Theme, widgets};
use egui::Ui;
use std::collections::BTreeMap;

/// Bars drawn at most: the first rows of the table.
const MAX_BARS: usize = 30;
/// Lines drawn at most.
const MAX_LINES: usize = 6;
/// Times that a user was reached, drawn at most: later ones are in the table.
const MAX_FREQUENCY: u32 = 20;
/// Lines and columns of a heat map at most.
const MAX_SIDE: usize = 48;

/// A way to look at groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum View {
    #[default]
    Bars,
    HeatMap,
    OverTime,
    Hours,
    Frequency,
    Cohorts,
    Funnel,
}

impl View {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Bars, "Bars", "The first rows of the table"),
        (Self::HeatMap, "Heat map", "Two columns crossed"),
        (Self::OverTime, "Over time", "Day by day, for each group of the first column"),
        (Self::Hours, "Hours", "Hour of the day by day of the week, UTC"),
        (Self::Frequency, "Frequency", "The first, second, third ... time that a user was reached"),
        (Self::Cohorts, "Cohorts", "Users by the week in which they were first seen, week by week"),
        (Self::Funnel, "Funnel", "From impressions to conversions, and how long they took"),
    ];

    /// The columns that the view asks for; `None` where the log does not have them.
    pub fn by(self, log: &LogFrame, by: &str, crossed: &str) -> Option<Vec<String>> {
        let derived = |all: &[Derived]| {
            let told = all.iter().all(|derived| derived.is_told(log));
            told.then(|| all.iter().map(|derived| derived.name().to_owned()).collect::<Vec<_>>())
        };
        let chosen = || -> Vec<String> {
            let crossed = Some(crossed).filter(|crossed| !crossed.is_empty() && *crossed != by);
            [by].into_iter().chain(crossed).map(str::to_owned).collect()
        };
        match self {
            Self::Bars | Self::HeatMap | Self::Funnel => Some(chosen()),
            Self::OverTime => {
                let time = log.schema.with_role(Role::Time).filter(|_| Derived::Week.is_told(log))?;
                let mut columns = vec![time.name.clone()];
                columns.extend(Some(by.to_owned()).filter(|by| *by != time.name && !by.is_empty()));
                Some(columns)
            }
            Self::Hours => derived(&[Derived::Weekday, Derived::Hour]),
            Self::Frequency => derived(&[Derived::Frequency]),
            Self::Cohorts => derived(&[Derived::FirstWeek, Derived::Week]),
        }
    }

    /// True where the menus of columns have a say.
    pub fn has_columns(self) -> (bool, bool) {
        match self {
            Self::Bars | Self::HeatMap | Self::Funnel => (true, true),
            Self::OverTime => (true, false),
            Self::Hours | Self::Frequency | Self::Cohorts => (false, false),
        }
    }

    /// True where a third column and more can be crossed.
    pub fn takes_more(self) -> bool {
        matches!(self, Self::Bars | Self::Funnel)
    }

    /// The views that the log allows, to choose from.
    pub fn menu(&mut self, ui: &mut Ui, log: &LogFrame, by: &str) {
        for (view, words, meaning) in Self::ALL {
            if view.by(log, by, "").is_some() {
                ui.selectable_value(self, view, words).on_hover_text(meaning);
            }
        }
        if self.by(log, by, "").is_none() {
            *self = Self::Bars;
        }
    }
}

/// What the views keep between frames.
#[derive(Default)]
pub(super) struct Charts {
    heatmap: Heatmap,
    /// Sums are added up along the time.
    cumulative: bool,
}

/// An answer and the measure in view.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub table: &'a SegmentTable,
    pub measure: Measure,
    pub order: &'a [u32],
    pub funnel: Option<&'a Funnel>,
}

impl Charts {
    /// Draws the answer; a click on a bar or a cell chooses its group.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        view: View,
        shown: Shown<'_>,
        selected: &mut Option<Segment>,
    ) {
        let is_told = shown.table.measures.contains(&shown.measure);
        if !is_told && view != View::Funnel {
            ui.weak(format!("This log does not know the {}.", shown.measure.title()));
            return;
        }
        match view {
            View::Bars => bars(ui, theme, shown, selected),
            View::HeatMap if shown.table.by.len() != 2 => {
                ui.weak("Cross with a second column for a heat map.");
            }
            View::HeatMap | View::Hours | View::Cohorts => self.heatmap(ui, theme, shown, selected),
            View::OverTime => self.over_time(ui, theme, shown),
            View::Frequency => frequency(ui, theme, shown),
            View::Funnel => funnel(ui, theme, shown.funnel),
        }
    }

    fn heatmap(&mut self, ui: &mut Ui, theme: &Theme, shown: Shown<'_>, selected: &mut Option<Segment>) {
        let Shown { table, measure, .. } = shown;
        let side = |place: usize| -> BTreeMap<u32, String> {
            let named = |row: &SegmentRow| Some((*row.codes.get(place)?, row.values.get(place)?.clone()));
            // The largest groups where there are too many; the table is sorted by impressions.
            let mut names = BTreeMap::new();
            for (code, name) in table.rows.iter().filter_map(named) {
                if names.len() < MAX_SIDE {
                    names.insert(code, name);
                }
            }
            names
        };
        let (lines, columns) = (side(0), side(1));
        let place = |names: &BTreeMap<u32, String>, code: u32| names.keys().position(|known| *known == code);
        let mut cells: Vec<Option<&SegmentRow>> = vec![None; lines.len() * columns.len()];
        for row in &table.rows {
            if let &[line, column] = row.codes.as_slice()
                && let (Some(line), Some(column)) = (place(&lines, line), place(&columns, column))
            {
                cells[line * columns.len() + column] = Some(row);
            }
        }
        let figure = |row: &SegmentRow| table.figure(row, measure).copied();
        let factor = if measure.is_percent() { 100.0 } else { 1.0 };
        // A colour says how high; where the rows are too few to say so there is none.
        let value = |cell: &Option<&SegmentRow>| {
            cell.and_then(figure)
                .filter(|figure| !figure.small)
                .map_or(f64::NAN, |figure| factor * figure.value)
        };
        let values: Vec<f64> = cells.iter().map(value).collect();
        let small =
            cells.iter().filter(|cell| cell.and_then(figure).is_some_and(|figure| figure.small)).count();
        let unit = if measure.is_percent() { " in %" } else { "" };
        let title = format!("{}{unit}: {}", measure.title(), table.by.join(" by "));
        ui.weak(match small {
            0 => title.clone(),
            n => format!("{title}; {n} cells are empty because their rows are too few to judge"),
        });
        let (line_names, column_names): (Vec<String>, Vec<String>) =
            (lines.into_values().collect(), columns.into_values().collect());
        let matrix = Matrix {
            name: &title,
            line_axis: &table.by[0],
            column_axis: &table.by[1],
            lines: &line_names,
            columns: &column_names,
            values: &values,
            around_zero: false,
        };
        let describe = |line: usize, column: usize| {
            let names = format!("{} x {}", line_names[line], column_names[column]);
            match cells[line * column_names.len() + column] {
                None => format!("{names}: no rows"),
                Some(row) => match figure(row) {
                    None => format!("{names}: n/a of {} impressions", widgets::grouped(row.rate.trials)),
                    Some(figure) => {
                        let few = if figure.small { ", too little to judge" } else { "" };
                        format!(
                            "{names}: {} {}{few}; {} impressions",
                            measure.title(),
                            words(measure, &figure),
                            widgets::grouped(row.rate.trials)
                        )
                    }
                },
            }
        };
        egui::ScrollArea::both().id_salt("segment heat map").auto_shrink(false).show(ui, |ui| {
            let clicked = self.heatmap.show(ui, theme, matrix, describe).clicked();
            if let Some((line, column)) = self.heatmap.pointed.filter(|_| clicked)
                && let Some(row) = cells[line * column_names.len() + column]
            {
                toggle(selected, row);
            }
        });
    }

    fn over_time(&mut self, ui: &mut Ui, theme: &Theme, shown: Shown<'_>) {
        let Shown { table, measure, .. } = shown;
        let mut days: BTreeMap<u32, String> = BTreeMap::new();
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for row in &table.rows {
            let (Some(code), Some(day)) = (row.codes.first(), row.values.first()) else { continue };
            days.entry(*code).or_insert_with(|| day.clone());
            *sums.entry(row.values.get(1).map_or("all rows", String::as_str)).or_default() += row.rate.trials;
        }
        let mut groups: Vec<(String, f64)> = sums.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
        groups.sort_by(|a, b| b.1.total_cmp(&a.1));
        let left = groups.len().saturating_sub(MAX_LINES);
        groups.truncate(MAX_LINES);
        let places: BTreeMap<u32, f64> =
            days.keys().enumerate().map(|(place, code)| (*code, place as f64)).collect();
        ui.horizontal_wrapped(|ui| {
            if measure.is_sum() {
                ui.checkbox(&mut self.cumulative, "added up");
            }
            if left > 0 {
                ui.weak(format!(
                    "The {MAX_LINES} groups with most impressions; {left} more are in the table"
                ));
            }
        });
        let add_up = self.cumulative && measure.is_sum();
        let bands: Vec<Band> = groups
            .iter()
            .enumerate()
            .map(|(at, (name, _))| {
                let of_group = |row: &&SegmentRow| row.values.get(1).is_none_or(|value| value == name);
                let mut points: Vec<[f64; 4]> =
                    table.rows.iter().filter(of_group).filter_map(|row| point(shown, row, &places)).collect();
                points.sort_by(|a, b| a[0].total_cmp(&b[0]));
                if add_up {
                    let mut sum = 0.0;
                    for point in &mut points {
                        sum += point[1];
                        *point = [point[0], sum, sum, sum];
                    }
                }
                Band { name: name.clone(), colour: theme.series(at), points }
            })
            .collect();
        let names: Vec<String> = days.into_values().collect();
        let title = format!("{}{} by day", measure.title(), if add_up { ", added up" } else { "" });
        draw_bands(ui, theme, (&title, "day, UTC"), measure, &names, &bands);
    }
}

/// Chooses the group of a row, or nothing where it was chosen before.
fn toggle(selected: &mut Option<Segment>, row: &SegmentRow) {
    let same = selected.as_ref() == Some(&row.segment);
    *selected = (!same).then(|| row.segment.clone());
}

/// A row as a point with its interval.
fn point(shown: Shown<'_>, row: &SegmentRow, places: &BTreeMap<u32, f64>) -> Option<[f64; 4]> {
    let factor = if shown.measure.is_percent() { 100.0 } else { 1.0 };
    let figure = shown.table.figure(row, shown.measure)?;
    let [low, high] = figure.interval.unwrap_or([figure.value; 2]);
    let place = places.get(row.codes.first()?)?;
    Some([*place, factor * figure.value, factor * low, factor * high])
}

fn draw_bands(
    ui: &mut Ui,
    theme: &Theme,
    (title, x): (&str, &str),
    measure: Measure,
    names: &[String],
    bands: &[Band],
) {
    let interval = match (measure.is_sum(), bands.len() <= bands::WITH_BANDS) {
        (true, _) => "",
        (false, true) => "; bands are 95 % intervals",
        (false, false) => "; 95 % intervals are in the table",
    };
    ui.weak(format!("{title}{interval}"));
    let y = if measure.is_percent() { format!("{}, %", measure.title()) } else { measure.title().to_owned() };
    let height = (ui.available_height() - 8.0).clamp(160.0, 420.0);
    bands::show(ui, theme, Frame { name: title, x, y: &y, height }, names, bands);
}

/// The first rows of the table as bars with their intervals; the dashed line is the whole.
fn bars(ui: &mut Ui, theme: &Theme, shown: Shown<'_>, selected: &mut Option<Segment>) {
    let Shown { table, measure, order, .. } = shown;
    let factor = if measure.is_percent() { 100.0 } else { 1.0 };
    let drawn: Vec<(&SegmentRow, &Figure)> = order
        .iter()
        .take(MAX_BARS)
        .filter_map(|place| table.rows.get(*place as usize))
        .filter_map(|row| Some((row, table.figure(row, measure)?)))
        .collect();
    let rows: Vec<bars::Row> = drawn
        .iter()
        .map(|(row, figure)| bars::Row {
            name: row.values.join(" x "),
            value: factor * figure.value,
            interval: figure.interval.map(|[low, high]| (factor * low, factor * high)),
            text: match measure {
                Measure::Ctr => format!("{:.2} % of {}", 100.0 * figure.value, widgets::grouped(figure.n)),
                _ if measure.is_sum() => words(measure, figure),
                _ => {
                    let plain = words(measure, figure);
                    let value = plain.split(" (").next().unwrap_or_default();
                    format!("{value}, n = {}", widgets::grouped(figure.n))
                }
            },
        })
        .collect();
    let names = table.by.join(" x ");
    let title = match measure {
        Measure::Ctr => format!("Click rate in % by {names}, 95 % intervals"),
        _ if measure.is_sum() => format!("{} by {names}", measure.title()),
        _ if measure.is_percent() => format!("{} in % by {names}, 95 % intervals", measure.title()),
        _ => format!("{} by {names}, 95 % intervals", measure.title()),
    };
    let reference = table.total_of(measure).filter(|_| !measure.is_sum()).map(|figure| factor * figure.value);
    ui.weak(if reference.is_some() { format!("{title}; dashed: all rows") } else { title.clone() });
    egui::ScrollArea::vertical().id_salt("segment bars").auto_shrink(false).show(ui, |ui| {
        let marked = drawn.iter().position(|(row, _)| selected.as_ref() == Some(&row.segment));
        let style = BarStyle { name: &title, colour: theme.series(0), reference, marked };
        let response = bars::show(ui, theme, style, &rows);
        let pointer = response.interact_pointer_pos().filter(|_| response.clicked());
        if let Some((row, _)) = pointer.and_then(|pointer| drawn.get(bars::row_at(&response, pointer))) {
            toggle(selected, row);
        }
    });
}

fn frequency(ui: &mut Ui, theme: &Theme, shown: Shown<'_>) {
    let mut rows: Vec<&SegmentRow> = shown.table.rows.iter().collect();
    let known = |row: &&SegmentRow| {
        row.codes.first().is_some_and(|code| *code < MAX_FREQUENCY) && row.values != ["missing"]
    };
    rows.retain(known);
    let places: BTreeMap<u32, f64> = (0..MAX_FREQUENCY).map(|code| (code, f64::from(code))).collect();
    let mut points: Vec<[f64; 4]> = rows.iter().filter_map(|row| point(shown, row, &places)).collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let names: Vec<String> = (1..=MAX_FREQUENCY).map(|n| n.to_string()).collect();
    let band = Band { name: shown.measure.title().to_owned(), colour: theme.series(0), points };
    let title = format!("{} by how often the user was reached", shown.measure.title());
    ui.weak("Who is reached often is another person than who is reached once: this is no effect of repetition alone.");
    draw_bands(ui, theme, (&title, "n-th row of the user"), shown.measure, &names, &[band]);
}

fn funnel(ui: &mut Ui, theme: &Theme, funnel: Option<&Funnel>) {
    let Some(funnel) = funnel else {
        ui.weak("Counting …");
        return;
    };
    egui::Grid::new("funnel").striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
        for title in ["Step", "Count", "Of the step before, 95 %"] {
            ui.strong(title);
        }
        ui.end_row();
        for step in &funnel.steps {
            ui.label(&step.name);
            ui.label(widgets::grouped(step.count));
            ui.label(step.of_before.as_ref().map_or_else(String::new, widgets::percent_with_interval));
            ui.end_row();
        }
    });
    if funnel.steps.len() < 3 {
        ui.weak("The log counts no conversions: give a column the role conversion.");
    }
    ui.add_space(8.0);
    let Some(delay) = &funnel.delay else {
        ui.weak("No column tells how long conversions took.");
        return;
    };
    let quantiles: Vec<String> =
        delay.quantiles.iter().map(|(share, at)| format!("{:.0} % within {at:.1}", 100.0 * share)).collect();
    ui.label(format!(
        "Delay of {} conversions in {}: {}",
        widgets::grouped(delay.n as f64),
        delay.unit,
        quantiles.join(", ")
    ));
    let height = (ui.available_height() - 8.0).clamp(140.0, 320.0);
    let x = format!("{}, {}", delay.column, delay.unit);
    let frame =
        Frame { name: "Conversions that came within a delay", x: &x, y: "share of conversions", height };
    let series =
        [Series { name: "conversions", points: &delay.curve, colour: theme.series(0), dashed: false }];
    curve::show(ui, theme, frame, curve::LegendCorner::RightBottom, &series);
}
