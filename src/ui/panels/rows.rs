//! What stands in the log, row by row? Ten million rows as smoothly as ten: only those in sight are read, in the
//! background.

use super::Panel;
use super::segments::complain;
use crate::data::LogFrame;
use crate::data::query::rows::{RowOrder, RowPage, RowsQuery};
use crate::data::query::subjects::SubjectKind;
use crate::data::schema::{ColumnType, Role};
use crate::domain::Segment;
use crate::metrics::Estimate;
use crate::models;
use crate::session::commands::{DataCommand, InspectCommand, RowsCommand, ViewCommand};
use crate::session::{Command, Purpose};
use crate::ui::widgets::filter_field;
use crate::ui::widgets::row_window::RowWindow;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{Align2, FontId, Rect, RichText, Sense, Ui, WidgetInfo, pos2, vec2};
use std::ops::Range;
use std::path::PathBuf;

const ROW_HEIGHT: f32 = 22.0;
/// Room left and right of a cell's text.
const PADDING: f32 = 6.0;
/// Rows read beyond those in sight, so that a turn of the wheel finds them there.
const AHEAD: usize = 120;

/// The question, the place, and the row that is chosen.
#[derive(Default)]
pub struct RowsPanel {
    filter: String,
    search: String,
    sort: Option<(String, bool)>,
    window: RowWindow,
    go_to: String,
    /// The row of the log that is chosen.
    chosen: Option<u32>,
    /// What was last sent, about which reading of which file.
    asked: Option<(RowsQuery, u64, PathBuf)>,
    /// Places that were last asked for.
    reading: Option<(RowsQuery, Range<usize>)>,
}

impl Panel for RowsPanel {
    fn id(&self) -> &'static str {
        "rows"
    }

    fn title(&self) -> &'static str {
        "Rows"
    }

    fn summary(&self) -> &'static str {
        "Every row of the log: filtered, searched, sorted, copied, and opened where models look at it"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some(log) = cx.session.store.log.as_ref().map(|open| open.frame.clone()) else {
            let why = "No log is open, so there are no rows to show.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        };
        filter_field(ui, cx, &mut self.filter);
        if let Some(group) =
            cx.session.store.chosen.as_ref().map(ToString::to_string).filter(|text| *text != self.filter)
        {
            ui.horizontal_wrapped(|ui| {
                if widgets::small_button(ui, "Only the chosen group").on_hover_text(&group).clicked() {
                    self.filter = group;
                }
            });
        }
        match Segment::parse(&self.filter) {
            Ok(filter) => self.ask(cx, &log, filter),
            Err(failure) => complain(ui, cx.theme, &failure),
        }
        let ordered = cx.session.store.rows.ordered.clone();
        match ordered.as_deref().map(|ordered| &ordered.order) {
            Some(Ok(order)) => {
                self.bar(ui, cx, &log, order);
                self.table(ui, cx, &log, order);
            }
            Some(Err(failure)) => {
                self.search_field(ui);
                complain(ui, cx.theme, failure);
            }
            None => {
                ui.weak("Looking through the rows …");
            }
        }
    }
}

impl RowsPanel {
    /// Sends the question when it is a new one.
    fn ask(&mut self, cx: &mut PanelContext<'_>, log: &LogFrame, filter: Segment) {
        let query = RowsQuery { filter, search: self.search.trim().to_owned(), sort: self.sort.clone() };
        let asked = (query, log.revision, log.source.path.clone());
        if self.asked.as_ref() == Some(&asked) {
            return;
        }
        cx.send(Command::Rows(RowsCommand::Arrange(asked.0.clone())));
        if self.asked.as_ref().is_none_or(|before| before.2 != asked.2) {
            self.chosen = None;
        }
        self.asked = Some(asked);
        self.window = RowWindow::default();
    }

    fn search_field(&mut self, ui: &mut Ui) {
        let label = ui.label("Search").id;
        let field = egui::TextEdit::singleline(&mut self.search)
            .hint_text("a word, a number or a date in any column")
            .desired_width(230.0);
        ui.add(field).labelled_by(label);
    }

    fn bar(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, log: &LogFrame, order: &RowOrder) {
        ui.horizontal_wrapped(|ui| {
            self.search_field(ui);
            let label = ui.label("Go to").id;
            let field = egui::TextEdit::singleline(&mut self.go_to).hint_text("row").desired_width(80.0);
            let field = ui.add(field).labelled_by(label);
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let place = self.go_to.replace([' ', ',', '\u{2009}'], "").parse::<usize>().ok();
            if let Some(place) = place.filter(|place| entered && *place > 0) {
                self.window.go_to(place - 1);
            }
            let all = log.rows();
            ui.weak(if order.count == all {
                format!("{} rows", widgets::grouped(all as f64))
            } else {
                format!("{} of {} rows", widgets::grouped(order.count as f64), widgets::grouped(all as f64))
            });
            if self.sort.is_some()
                && widgets::small_button(ui, "as in the log").on_hover_text("Sorted by nothing").clicked()
            {
                self.sort = None;
            }
        });
        ui.horizontal_wrapped(|ui| {
            let page = cx.session.store.rows.page.clone();
            let chosen = self.chosen.and_then(|row| Some((row, line_of(page.as_deref()?, row)?)));
            let Some((row, cells)) = chosen else {
                ui.weak("Click a row to copy or open it.");
                return;
            };
            ui.label(format!("Row {}", widgets::grouped(f64::from(row) + 1.0)));
            if ui.button("Copy").on_hover_text("With the names of the columns, for a spreadsheet").clicked() {
                let names: Vec<&str> = log.schema.columns.iter().map(|column| column.name.as_str()).collect();
                ui.ctx().copy_text(format!("{}\n{}", names.join("\t"), cells.join("\t")));
            }
            open_buttons(ui, cx, log, row, &cells, &mut self.filter);
        });
    }

    fn table(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, log: &LogFrame, order: &RowOrder) {
        let widths: Vec<f32> = log.schema.columns.iter().map(|column| width(column.kind)).collect();
        let page = cx.session.store.rows.page.clone();
        let page = page.as_deref().filter(|page| page.query == order.query);
        let outside = ui.available_rect_before_wrap();
        let body =
            Rect::from_min_max(outside.min + vec2(0.0, ROW_HEIGHT + 4.0), outside.max - vec2(0.0, 14.0));
        let room = self.window.show(ui, cx.theme, body, ROW_HEIGHT, order.count);
        let (first, gone) = self.window.top(ROW_HEIGHT);
        let in_sight = (room.height() / ROW_HEIGHT).ceil() as usize + 1;
        self.read(cx, order, page, first..(first + in_sight).min(order.count));
        let inside = Rect::from_min_max(outside.min, pos2(room.right(), outside.bottom()));
        let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(inside));
        let total: f32 = widths.iter().sum();
        let area = egui::ScrollArea::horizontal().id_salt("rows").auto_shrink(false);
        area.show(&mut ui, |ui| {
            self.head(ui, log, &widths);
            let size = vec2(total.max(ui.available_width()), room.height());
            let (rect, response) = ui.allocate_exact_size(size, Sense::click());
            let marked = cx.session.store.marked.as_ref().and_then(|marked| marked.found.as_ref().ok());
            let inside = marked.map(|marked| marked.inside.as_slice());
            let rows = Rows { order, page, widths: &widths, first, gone, chosen: self.chosen, inside };
            rows.draw(ui, cx.theme, rect);
            if let Some(pointer) = response.interact_pointer_pos().filter(|_| response.clicked()) {
                let place = first + ((pointer.y - rect.top() + gone) / ROW_HEIGHT).max(0.0) as usize;
                self.chosen = order.row(place).filter(|row| self.chosen != Some(*row));
            }
            let last = (first + in_sight - 1).min(order.count);
            let words = format!("Rows {} to {} of {}", (first + 1).min(order.count), last, order.count);
            response.widget_info(|| WidgetInfo::labeled(egui::Role::Table, true, &words));
        });
    }

    fn head(&mut self, ui: &mut Ui, log: &LogFrame, widths: &[f32]) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            for (column, width) in log.schema.columns.iter().zip(widths) {
                let mark = match &self.sort {
                    Some((sorted, rising)) if *sorted == column.name => {
                        if *rising {
                            " (up)"
                        } else {
                            " (down)"
                        }
                    }
                    _ => "",
                };
                let text = RichText::new(format!("{}{mark}", column.name)).strong();
                let button = egui::Button::new(text).frame(false).truncate();
                let size = vec2(*width, ROW_HEIGHT);
                let left = egui::Layout::left_to_right(egui::Align::Center);
                let pressed = ui.allocate_ui_with_layout(size, left, |ui| {
                    ui.set_min_width(*width);
                    // A button without a frame has no padding; the cells below have.
                    ui.add_space(PADDING);
                    ui.add(button).on_hover_text(format!("Sort by {}", column.name))
                });
                let pressed = pressed.inner;
                if pressed.clicked() && column.kind != ColumnType::List {
                    self.sort = match &self.sort {
                        Some((sorted, true)) if *sorted == column.name => Some((column.name.clone(), false)),
                        Some((sorted, false)) if *sorted == column.name => None,
                        _ => Some((column.name.clone(), true)),
                    };
                }
            }
        });
    }

    /// Asks for the cells in sight and around, where they are not there yet.
    fn read(
        &mut self,
        cx: &mut PanelContext<'_>,
        order: &RowOrder,
        page: Option<&RowPage>,
        seen: Range<usize>,
    ) {
        let is_there =
            page.is_some_and(|page| page.first <= seen.start && page.first + page.rows.len() >= seen.end);
        let on_its_way = cx.session.jobs.of(Purpose::Rows).is_some()
            && self.reading.as_ref().is_some_and(|(query, places)| {
                *query == order.query && places.start <= seen.start && places.end >= seen.end
            });
        if is_there || on_its_way || seen.is_empty() {
            return;
        }
        let places = seen.start.saturating_sub(AHEAD)..(seen.end + AHEAD).min(order.count);
        self.reading = Some((order.query.clone(), places.clone()));
        cx.send(Command::Rows(RowsCommand::Read(places)));
    }
}

/// The cells of a row, where they are there.
fn line_of(page: &RowPage, row: u32) -> Option<Vec<String>> {
    let at = page.rows.iter().position(|known| *known == row)?;
    page.cells.get(at).cloned()
}

/// Where a row can be looked at more closely.
fn open_buttons(
    ui: &mut Ui,
    cx: &mut PanelContext<'_>,
    log: &LogFrame,
    row: u32,
    cells: &[String],
    filter: &mut String,
) {
    let cell = |role: Role| {
        let place = log.schema.columns.iter().position(|column| column.role == role)?;
        Some((log.schema.columns[place].name.clone(), cells.get(place)?.clone()))
    };
    for (kind, role, rows, words) in [
        (SubjectKind::User, Role::User, "Rows of this user", "This user"),
        (SubjectKind::Ad, Role::Ad, "Rows of this ad", "This ad"),
    ] {
        let Some((column, value)) = cell(role).filter(|(_, value)| !value.is_empty()) else { continue };
        let meant = format!("{column} = {value}");
        if ui.button(rows).on_hover_text(&meant).clicked() {
            *filter = Segment::equals(&column, &value).to_string();
        }
        if ui.button(words).on_hover_text(meant).clicked() {
            cx.send(Command::Rows(RowsCommand::LookUp(kind, value)));
            cx.send(Command::View(ViewCommand::Show("subjects")));
        }
    }
    let store = &cx.session.store;
    if let Some(scores) = store.scores.as_ref().filter(|scores| scores.revision == log.revision)
        && let Some(score) = scores.rows.get(row as usize)
    {
        let score = Estimate::score_in_percent(f64::from(*score), scores.interval(row), 3);
        ui.label(format!("{} predicts {score}", scores.model.name()));
    }
    let model = store.training.model().filter(|_| store.dataset.is_some());
    let weighs =
        model.is_some_and(|model| models::kind(&model.kind).is_ok_and(|kind| kind.exposes_attention()));
    let button = ui.add_enabled(weighs, egui::Button::new("Prediction"));
    let button =
        button.on_disabled_hover_text("Train or open a model that weighs past behaviour, such as din");
    if button.on_hover_text("What the model in view weighed for this row").clicked() {
        cx.send(Command::Inspect(InspectCommand::Explain(row, None)));
        cx.send(Command::View(ViewCommand::Show("attention")));
    }
}

fn width(kind: ColumnType) -> f32 {
    match kind {
        ColumnType::Integer | ColumnType::Real | ColumnType::Boolean => 96.0,
        ColumnType::Text => 130.0,
        ColumnType::Time => 190.0,
        ColumnType::List => 200.0,
    }
}

/// The rows in sight.
struct Rows<'a> {
    order: &'a RowOrder,
    page: Option<&'a RowPage>,
    widths: &'a [f32],
    first: usize,
    /// Points of the first row that are scrolled away.
    gone: f32,
    chosen: Option<u32>,
    /// True for each row of the log that is in the group chosen for all panels.
    inside: Option<&'a [bool]>,
}

impl Rows<'_> {
    fn draw(&self, ui: &Ui, theme: &Theme, rect: Rect) {
        let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
        let visible = painter.clip_rect();
        let font = FontId::proportional(13.0);
        let lines = (rect.height() / ROW_HEIGHT).ceil() as usize + 1;
        for line in 0..lines {
            let place = self.first + line;
            let Some(row) = self.order.row(place) else { break };
            let top = rect.top() - self.gone + line as f32 * ROW_HEIGHT;
            let whole = Rect::from_min_size(pos2(rect.left(), top), vec2(rect.width(), ROW_HEIGHT));
            if self.chosen == Some(row) {
                painter.rect_filled(whole, 2.0, theme.faint(theme.accent));
            } else if place % 2 == 1 {
                painter.rect_filled(whole, 0.0, theme.panel);
            }
            if self.inside.is_some_and(|inside| inside.get(row as usize) == Some(&true)) {
                let edge = Rect::from_min_size(whole.min, vec2(4.0, ROW_HEIGHT));
                painter.rect_filled(edge, 0.0, theme.accent);
            }
            let cells = self.page.and_then(|page| page.cells.get(place.checked_sub(page.first)?));
            let mut left = rect.left();
            for (column, width) in self.widths.iter().enumerate() {
                let cell = Rect::from_min_size(pos2(left, top), vec2(*width, ROW_HEIGHT));
                left += width;
                if !cell.intersects(visible) {
                    continue;
                }
                // Until the cells are there, which takes some frames at most.
                let text = cells.map_or("…", |cells| cells.get(column).map_or("", String::as_str));
                let at = pos2(cell.left() + PADDING, cell.center().y);
                let inside =
                    painter.with_clip_rect(cell.shrink2(vec2(PADDING / 2.0, 0.0)).intersect(visible));
                inside.text(at, Align2::LEFT_CENTER, text, font.clone(), theme.text);
            }
        }
    }
}
