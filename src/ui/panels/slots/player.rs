//! Which page of a recorded run is in view? Play, pause, speed, reset.

use crate::ui::Theme;
use crate::ui::widgets;
use egui::{Slider, Ui};
use std::time::Duration;

/// Walks through the pages of a run.
#[derive(Debug)]
pub struct Player {
    /// Pages recorded.
    pages: u64,
    /// Page in view, with the fraction towards the next.
    cursor: f64,
    playing: bool,
    /// Plays backwards.
    rewinding: bool,
    pages_per_second: f64,
    /// When the cursor last moved, in the window's seconds.
    moved_at: Option<f64>,
    /// Play the next run from its start as soon as it is there.
    wants_start: bool,
}

/// At most 30 pictures a second: a page is looked at, not watched.
const FRAME: Duration = Duration::from_millis(33);

impl Default for Player {
    fn default() -> Self {
        Self {
            pages: 0,
            cursor: 0.0,
            playing: false,
            rewinding: false,
            pages_per_second: 20.0,
            moved_at: None,
            wants_start: false,
        }
    }
}

impl Player {
    /// Plays the next run that is loaded, from its first page.
    pub fn play_from_start(&mut self) {
        self.wants_start = true;
    }

    /// A new run of so many pages. A player that plays goes on where it is; else the end is shown.
    pub fn load(&mut self, pages: u64) {
        self.pages = pages;
        if std::mem::take(&mut self.wants_start) {
            self.cursor = 0.0;
            self.playing = true;
        }
        if !self.playing {
            self.cursor = self.last();
        }
        self.cursor = self.cursor.min(self.last());
    }

    /// The page in view, from 0.
    pub fn page(&self) -> u64 {
        self.cursor as u64
    }

    /// True when the last page is in view: totals are those of the whole run.
    pub fn at_end(&self) -> bool {
        self.cursor >= self.last()
    }

    /// Draws the buttons and moves on.
    pub fn controls(&mut self, ui: &mut Ui, theme: &Theme) {
        self.advance(ui.input(|input| input.time));
        ui.horizontal(|ui| {
            let word = if self.playing { "Pause" } else { "Play" };
            if widgets::main_button(ui, theme, word).clicked() {
                self.toggle();
            }
            if ui.button("Back").on_hover_text("One page back").clicked() {
                self.step(-1.0);
            }
            if ui.button("Step").on_hover_text("One page on").clicked() {
                self.step(1.0);
            }
            let word = if self.rewinding { "Stop" } else { "Rewind" };
            if ui.button(word).on_hover_text("Plays backwards to the first page").clicked() {
                self.rewind();
            }
            if ui.button("End").on_hover_text("To the totals of the whole run").clicked() {
                self.cursor = self.last();
                self.pause();
            }
            let label = ui.label("Pages per second");
            ui.add(Slider::new(&mut self.pages_per_second, 1.0..=2_000.0).logarithmic(true).max_decimals(0))
                .labelled_by(label.id);
            ui.weak(format!(
                "page {} of {}",
                widgets::grouped((self.page() + 1).min(self.pages) as f64),
                widgets::grouped(self.pages as f64)
            ));
        });
    }

    /// Asks for the next frame while playing, and only then.
    pub fn keep_going(&self, ui: &Ui) {
        if self.playing || self.rewinding {
            ui.ctx().request_repaint_after(FRAME);
        }
    }

    /// Stays on the page in view.
    pub fn pause(&mut self) {
        self.playing = false;
        self.rewinding = false;
        self.moved_at = None;
    }

    fn step(&mut self, pages: f64) {
        self.pause();
        self.cursor = (self.cursor.floor() + pages).clamp(0.0, self.last());
    }

    fn rewind(&mut self) {
        self.rewinding = !self.rewinding;
        self.playing = false;
        self.moved_at = None;
    }

    fn toggle(&mut self) {
        self.playing = !self.playing;
        self.rewinding = false;
        self.moved_at = None;
        if self.playing && self.at_end() {
            self.cursor = 0.0;
        }
    }

    fn advance(&mut self, now: f64) {
        if !self.playing && !self.rewinding {
            return;
        }
        let passed = (now - self.moved_at.unwrap_or(now)).clamp(0.0, 1.0);
        self.moved_at = Some(now);
        let step = passed * self.pages_per_second * if self.rewinding { -1.0 } else { 1.0 };
        self.cursor = (self.cursor + step).clamp(0.0, self.last());
        if self.at_end() {
            self.playing = false;
        }
        if self.cursor <= 0.0 {
            self.rewinding = false;
        }
    }

    fn last(&self) -> f64 {
        self.pages.saturating_sub(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_arrive_at_a_steady_rate_and_the_end_stops_the_player() {
        let mut player = Player::default();
        player.load(100);
        assert!(player.at_end(), "a run that nobody plays shows its totals");
        player.toggle();
        assert_eq!(player.page(), 0);
        for frame in 0..=30 {
            player.advance(10.0 + f64::from(frame) / 30.0);
        }
        // One second at 20 pages a second.
        assert!(player.page().abs_diff(20) <= 1, "{}", player.page());
        for second in 0..10 {
            player.advance(12.0 + f64::from(second));
        }
        assert!(player.at_end() && !player.playing);
    }

    #[test]
    fn steps_stop_the_player_and_stay_within_the_run() {
        let mut player = Player::default();
        player.play_from_start();
        player.load(3);
        player.step(1.0);
        assert!(!player.playing);
        assert_eq!(player.page(), 1);
        (0..5).for_each(|_| player.step(1.0));
        assert_eq!(player.page(), 2);
        (0..5).for_each(|_| player.step(-1.0));
        assert_eq!(player.page(), 0);
    }

    #[test]
    fn rewinding_plays_backwards_to_the_first_page() {
        let mut player = Player::default();
        player.load(100);
        player.rewind();
        for tenth in 0..=10 {
            player.advance(f64::from(tenth) / 10.0);
        }
        // One second at 20 pages a second, from the last.
        assert!(player.page().abs_diff(79) <= 1, "{}", player.page());
        (0..10).for_each(|second| player.advance(2.0 + f64::from(second)));
        assert!(player.page() == 0 && !player.rewinding);
    }

    #[test]
    fn a_new_run_keeps_a_playing_player_in_place() {
        let mut player = Player::default();
        player.play_from_start();
        player.load(100);
        player.advance(0.0);
        player.advance(1.0);
        let before = player.page();
        player.load(200);
        assert_eq!(player.page(), before);
        assert!(player.playing);
    }
}
