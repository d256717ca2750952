//! Which colours are there? The tokens of `assets/theme_*.json`; no other file names a colour.

use crate::base::{Failure, Result, failure::Explain};
use egui::{Color32, CornerRadius, Stroke, Visuals};
use serde::Deserialize;

/// The colours of one theme.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// True for light text on dark ground.
    pub dark: bool,
    /// Behind everything.
    pub background: Color32,
    /// Panels and cards.
    pub panel: Color32,
    /// Buttons and inputs.
    pub raised: Color32,
    /// Buttons under the pointer.
    pub hover: Color32,
    /// Separators and frames.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Captions and units.
    pub weak_text: Color32,
    /// Selection and the one main button.
    pub accent: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// Good news.
    pub good: Color32,
    /// Take care.
    pub warn: Color32,
    /// Failures.
    pub bad: Color32,
    /// Series of a chart, in order.
    pub series: Vec<Color32>,
    /// From low to high.
    pub ramp: Vec<Color32>,
}

#[derive(Deserialize)]
struct Tokens {
    background: String,
    panel: String,
    raised: String,
    hover: String,
    line: String,
    text: String,
    weak_text: String,
    accent: String,
    on_accent: String,
    good: String,
    warn: String,
    bad: String,
    series: Vec<String>,
    ramp: Vec<String>,
}

impl Theme {
    /// The dark or the light theme.
    ///
    /// # Errors
    /// A token file that is no JSON of colours: a broken build, caught by a test.
    pub fn load(dark: bool) -> Result<Self> {
        let text = if dark {
            include_str!("../../assets/theme_dark.json")
        } else {
            include_str!("../../assets/theme_light.json")
        };
        let tokens: Tokens = serde_json::from_str(text).explain("cannot read the theme")?;
        Ok(Self {
            dark,
            background: colour(&tokens.background)?,
            panel: colour(&tokens.panel)?,
            raised: colour(&tokens.raised)?,
            hover: colour(&tokens.hover)?,
            line: colour(&tokens.line)?,
            text: colour(&tokens.text)?,
            weak_text: colour(&tokens.weak_text)?,
            accent: colour(&tokens.accent)?,
            on_accent: colour(&tokens.on_accent)?,
            good: colour(&tokens.good)?,
            warn: colour(&tokens.warn)?,
            bad: colour(&tokens.bad)?,
            series: tokens.series.iter().map(|text| colour(text)).collect::<Result<_>>()?,
            ramp: tokens.ramp.iter().map(|text| colour(text)).collect::<Result<_>>()?,
        })
    }

    /// The colour of series `index`; they repeat after the last.
    pub fn series(&self, index: usize) -> Color32 {
        let count = self.series.len().max(1);
        self.series.get(index % count).copied().unwrap_or(self.accent)
    }

    /// The colour of `share` in `0.0..=1.0` on the ramp from low to high.
    pub fn ramp(&self, share: f32) -> Color32 {
        let last = self.ramp.len().saturating_sub(1);
        let place = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) * last as f32 };
        let low = place.floor() as usize;
        match (self.ramp.get(low), self.ramp.get((low + 1).min(last))) {
            (Some(from), Some(to)) => from.lerp_to_gamma(*to, place.fract()),
            _ => self.accent,
        }
    }

    /// `colour` thinned for bands and marks behind a line.
    pub fn faint(&self, colour: Color32) -> Color32 {
        colour.gamma_multiply(0.25)
    }

    /// Puts the theme on: both egui's looks and its spacing.
    pub fn apply(&self, context: &egui::Context) {
        context.set_theme(if self.dark { egui::Theme::Dark } else { egui::Theme::Light });
        let visuals = self.visuals();
        context.all_styles_mut(|style| {
            style.visuals = visuals.clone();
            style.spacing.item_spacing = egui::vec2(8.0, 6.0);
            style.spacing.button_padding = egui::vec2(10.0, 4.0);
            style.spacing.interact_size.y = 24.0;
        });
    }

    fn visuals(&self) -> Visuals {
        let mut visuals = if self.dark { Visuals::dark() } else { Visuals::light() };
        visuals.override_text_color = None;
        visuals.weak_text_color = Some(self.weak_text);
        visuals.panel_fill = self.panel;
        visuals.window_fill = self.panel;
        visuals.window_stroke = Stroke::new(1.0, self.line);
        visuals.extreme_bg_color = self.background;
        visuals.text_edit_bg_color = Some(self.raised);
        visuals.faint_bg_color = self.panel.lerp_to_gamma(self.raised, 0.45);
        visuals.code_bg_color = self.raised;
        visuals.hyperlink_color = self.accent;
        visuals.warn_fg_color = self.warn;
        visuals.error_fg_color = self.bad;
        visuals.selection.bg_fill = self.accent.gamma_multiply(0.45);
        visuals.selection.stroke = Stroke::new(1.0, self.text);
        let radius = CornerRadius::same(4);
        let widgets = &mut visuals.widgets;
        for (widget, fill) in [
            (&mut widgets.noninteractive, self.panel),
            (&mut widgets.inactive, self.raised),
            (&mut widgets.hovered, self.hover),
            (&mut widgets.active, self.hover),
            (&mut widgets.open, self.raised),
        ] {
            widget.bg_fill = fill;
            widget.weak_bg_fill = fill;
            widget.fg_stroke = Stroke::new(1.0, self.text);
            widget.corner_radius = radius;
        }
        widgets.noninteractive.bg_stroke = Stroke::new(1.0, self.line);
        widgets.hovered.bg_stroke = Stroke::new(1.0, self.accent);
        widgets.active.bg_stroke = Stroke::new(1.0, self.accent);
        visuals
    }
}

fn colour(text: &str) -> Result<Color32> {
    Color32::from_hex(text)
        .map_err(|_| Failure::new("cannot read the theme", format!("'{text}' is no colour like #1b1f26")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, WCAG 2.1.
    fn luminance(colour: Color32) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_is_readable_in_both_themes() {
        for dark in [true, false] {
            let theme = Theme::load(dark).unwrap();
            for ground in [theme.background, theme.panel, theme.raised] {
                // WCAG 2.1 AA asks 4.5:1 for text.
                assert!(contrast(theme.text, ground) >= 7.0, "text, dark {dark}");
                assert!(contrast(theme.weak_text, ground) >= 4.5, "weak text, dark {dark}");
            }
            assert!(contrast(theme.on_accent, theme.accent) >= 4.5, "main button, dark {dark}");
            for series in &theme.series {
                // WCAG 2.1 asks 3:1 for graphics.
                assert!(contrast(*series, theme.panel) >= 3.0, "{series:?}, dark {dark}");
            }
        }
    }

    #[test]
    fn the_ramp_ends_at_its_ends() {
        let theme = Theme::load(true).unwrap();
        assert_eq!(theme.ramp(0.0), theme.ramp[0]);
        assert_eq!(theme.ramp(1.0), theme.ramp[theme.ramp.len() - 1]);
        assert_eq!(theme.ramp(f32::NAN), theme.ramp[0]);
    }
}
