//! On what kind of page do the slots stand? A news article, search results, a feed on a phone, a video, a TV.
//!
//! The page around the ads is drawn as grey shapes: it must be recognised, not read.

use crate::ui::Theme;
use egui::{CornerRadius, Rect, RichText, Sense, Ui, Vec2, pos2, vec2};

/// Kinds of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// An article with ads between its paragraphs.
    #[default]
    News,
    /// Sponsored results above the others.
    Search,
    /// Posts on a phone, some of them sponsored.
    Feed,
    /// A player whose video waits for the ad.
    Video,
    /// Rows of tiles with a wide banner.
    Tv,
}

impl Layout {
    /// Every one, in the order of the chooser.
    pub const ALL: [Self; 5] = [Self::News, Self::Search, Self::Feed, Self::Video, Self::Tv];

    /// The words in the chooser.
    pub fn label(self) -> &'static str {
        match self {
            Self::News => "News",
            Self::Search => "Search",
            Self::Feed => "Feed",
            Self::Video => "Video",
            Self::Tv => "TV",
        }
    }

    /// Draws a page with so many slots; `slot` draws one of them.
    pub fn draw(self, ui: &mut Ui, theme: &Theme, slots: usize, mut slot: impl FnMut(&mut Ui, usize)) {
        match self {
            Self::News => {
                bar(ui, theme, 0.85, 14.0);
                text(ui, theme, 3);
                for index in 0..slots {
                    slot(ui, index);
                    text(ui, theme, if index + 1 == slots { 3 } else { 2 });
                }
            }
            Self::Search => {
                search_box(ui, theme);
                for index in 0..slots {
                    slot(ui, index);
                }
                for _ in 0..3 {
                    result(ui, theme);
                }
            }
            Self::Feed => {
                phone(ui, theme, |ui| {
                    post(ui, theme);
                    for index in 0..slots {
                        slot(ui, index);
                        post(ui, theme);
                    }
                });
            }
            Self::Video => {
                screen(ui, theme, |ui| slot(ui, 0));
                seek_bar(ui, theme);
                for index in 1..slots {
                    slot(ui, index);
                }
                text(ui, theme, 2);
            }
            Self::Tv => {
                slot(ui, 0);
                tiles(ui, theme);
                for index in 1..slots {
                    slot(ui, index);
                    tiles(ui, theme);
                }
            }
        }
    }
}

/// A grey bar over a share of the width.
fn bar(ui: &mut Ui, theme: &Theme, share: f32, height: f32) -> Rect {
    let size = vec2(ui.available_width() * share, height);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter().rect_filled(rect, 3.0, theme.raised);
    rect
}

fn text(ui: &mut Ui, theme: &Theme, lines: usize) {
    for line in 0..lines {
        bar(ui, theme, if line + 1 == lines { 0.6 } else { 1.0 }, 7.0);
    }
}

fn search_box(ui: &mut Ui, theme: &Theme) {
    let rect = bar(ui, theme, 1.0, 26.0);
    let lens = rect.left_center() + vec2(16.0, -1.0);
    ui.painter().circle_stroke(lens, 5.0, (1.5, theme.weak_text));
    ui.painter().line_segment([lens + vec2(4.0, 4.0), lens + vec2(8.0, 8.0)], (1.5, theme.weak_text));
    ui.label(RichText::new("Sponsored").size(11.5).color(theme.weak_text));
}

fn result(ui: &mut Ui, theme: &Theme) {
    ui.add_space(4.0);
    bar(ui, theme, 0.45, 10.0);
    text(ui, theme, 2);
}

/// The outline of a phone in the middle, with its status bar.
fn phone(ui: &mut Ui, theme: &Theme, content: impl FnOnce(&mut Ui)) {
    const WIDTH: f32 = 310.0;
    const EDGE: i8 = 12;
    let aside = ((ui.available_width() - WIDTH) / 2.0).max(0.0);
    let outline = egui::Frame::new()
        .stroke((2.0, theme.line))
        .corner_radius(18)
        .inner_margin(egui::Margin::same(EDGE))
        .outer_margin(egui::Margin { left: aside as i8, ..Default::default() });
    outline.show(ui, |ui| {
        ui.set_max_width((WIDTH - 2.0 * f32::from(EDGE)).min(ui.available_width()));
        bar(ui, theme, 0.25, 5.0);
        content(ui);
    });
}

fn post(ui: &mut Ui, theme: &Theme) {
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(20.0), Sense::hover());
        ui.painter().circle_filled(rect.center(), 10.0, theme.raised);
        bar(ui, theme, 0.4, 8.0);
    });
    bar(ui, theme, 1.0, 34.0);
}

/// A player that shows the ad before the video.
fn screen(ui: &mut Ui, theme: &Theme, slot: impl FnOnce(&mut Ui)) {
    let frame = egui::Frame::new().fill(theme.raised).corner_radius(4).inner_margin(14);
    frame.show(ui, |ui| {
        ui.set_min_height(150.0);
        slot(ui);
        let line = vec2(ui.available_width(), 16.0);
        ui.allocate_ui_with_layout(line, egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.label(RichText::new("Skip in 5 s").size(11.5).color(theme.weak_text));
        });
    });
}

fn seek_bar(ui: &mut Ui, theme: &Theme) {
    let rect = bar(ui, theme, 1.0, 5.0);
    let played = Rect::from_min_max(rect.min, pos2(rect.left() + rect.width() * 0.04, rect.bottom()));
    ui.painter().rect_filled(played, CornerRadius::same(3), theme.accent);
}

fn tiles(ui: &mut Ui, theme: &Theme) {
    const TILES: usize = 4;
    ui.horizontal(|ui| {
        let gap = ui.spacing().item_spacing.x;
        let width = (ui.available_width() - gap * (TILES - 1) as f32) / TILES as f32;
        for _ in 0..TILES {
            let (rect, _) = ui.allocate_exact_size(vec2(width, 40.0), Sense::hover());
            ui.painter().rect_filled(rect, 4.0, theme.raised);
        }
    });
}
