//! Which of very many rows are in sight? A place counted in rows, not in points.
//!
//! Scroll areas keep their offset in points of `f32`, which has 24 bits: beyond some 800,000 rows of 21 points rows jump
//! and the last ones cannot be reached. Here the place is a row number and the share of it that is scrolled away.

use crate::ui::Theme;
use egui::{Key, Rect, Response, Sense, Ui, WidgetInfo, pos2, vec2};

/// Width of the bar.
const BAR: f32 = 12.0;
/// Height of the handle at least.
const HANDLE: f32 = 24.0;

/// The place of the first row in sight.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RowWindow {
    first: f64,
}

impl RowWindow {
    /// The first row in sight and how many points of it are scrolled away.
    pub fn top(&self, row_height: f32) -> (usize, f32) {
        (self.first.floor() as usize, self.first.fract() as f32 * row_height)
    }

    /// Shows a row, first of those in sight.
    pub fn go_to(&mut self, row: usize) {
        self.first = row as f64;
    }

    /// Scrolls by rows and keeps the last row at the bottom at most.
    pub fn scroll(&mut self, rows: f64, count: usize, in_sight: f64) {
        self.first = (self.first + rows).clamp(0.0, (count as f64 - in_sight).max(0.0));
    }

    /// Takes wheel, keys and the bar at the right of `rect`; answers the room that is left for rows.
    pub fn show(&mut self, ui: &mut Ui, theme: &Theme, rect: Rect, row_height: f32, count: usize) -> Rect {
        let in_sight = f64::from(rect.height() / row_height);
        if ui.rect_contains_pointer(rect) {
            let wheel = ui.input(|input| input.smooth_scroll_delta.y);
            self.scroll(-f64::from(wheel / row_height), count, in_sight);
        }
        self.keys(ui, count, in_sight);
        self.scroll(0.0, count, in_sight);
        let bar = Rect::from_min_max(pos2(rect.right() - BAR, rect.top()), rect.max);
        let response = ui.interact(bar, ui.scope_id().with("row bar"), Sense::click_and_drag());
        self.bar(ui, theme, bar, &response, (count, in_sight));
        Rect::from_min_max(rect.min, pos2(bar.left() - 4.0, rect.bottom()))
    }

    fn keys(&mut self, ui: &Ui, count: usize, in_sight: f64) {
        // A field that is being written in takes the keys.
        if ui.memory(|memory| memory.focused().is_some()) {
            return;
        }
        let page = (in_sight - 1.0).max(1.0);
        let moves = [
            (Key::ArrowDown, 1.0),
            (Key::ArrowUp, -1.0),
            (Key::PageDown, page),
            (Key::PageUp, -page),
            (Key::Home, -(count as f64)),
            (Key::End, count as f64),
        ];
        for (key, rows) in moves {
            let times = ui.input(|input| input.num_presses(key));
            self.scroll(rows * times as f64, count, in_sight);
        }
    }

    fn bar(
        &mut self,
        ui: &Ui,
        theme: &Theme,
        bar: Rect,
        response: &Response,
        (count, in_sight): (usize, f64),
    ) {
        let most = (count as f64 - in_sight).max(0.0);
        let height = (f64::from(bar.height()) * in_sight / (count as f64).max(1.0)) as f32;
        let height = height.clamp(HANDLE.min(bar.height()), bar.height());
        let room = f64::from(bar.height() - height);
        if let Some(pointer) = response.interact_pointer_pos()
            && room > 0.0
        {
            let share = f64::from(pointer.y - bar.top() - height / 2.0) / room;
            self.first = (share.clamp(0.0, 1.0) * most).floor();
        }
        let share = if most > 0.0 { self.first / most } else { 0.0 };
        let handle = Rect::from_min_size(
            pos2(bar.left() + 2.0, bar.top() + (share * room) as f32),
            vec2(BAR - 4.0, height),
        );
        let colour = if response.hovered() || response.dragged() { theme.hover } else { theme.raised };
        ui.painter().rect_filled(bar, 3.0, theme.panel);
        ui.painter().rect_filled(handle, 3.0, colour);
        response.widget_info(|| WidgetInfo::labeled(egui::Role::ScrollBar, true, "Rows"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_ten_million_can_be_reached_exactly() {
        let (count, in_sight) = (10_000_000, 30.0);
        let mut window = RowWindow::default();
        window.go_to(8_765_432);
        for _ in 0..10 {
            window.scroll(0.1, count, in_sight);
        }
        let (first, gone) = window.top(22.0);
        assert!(first == 8_765_433 && gone < 0.01 || first == 8_765_432 && gone > 21.9, "{first} {gone}");
        window.scroll(1e9, count, in_sight);
        assert_eq!(window.top(22.0).0, 9_999_970, "the last row stands at the bottom");
        window.scroll(-1e9, count, in_sight);
        assert_eq!(window.top(22.0), (0, 0.0));
        window.scroll(5.0, 3, in_sight);
        assert_eq!(window.top(22.0).0, 0, "few rows do not scroll");
    }
}
