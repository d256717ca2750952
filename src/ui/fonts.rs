//! How does Chinese text get its glyphs? From the operating system's own fonts, on demand.
//!
//! egui's bundled fonts have no CJK glyphs. The provider looks a missing glyph up among the installed
//! fonts; `assets/setup.sh` installs one where a machine has none.

use std::sync::Arc;

/// Installs the provider; call once per egui context.
pub fn install(context: &egui::Context) {
    // Chinese forms first: Han unification would otherwise follow a Japanese or Korean desktop.
    let provider = egui_system_font_provider::SystemFontProvider::new().with_locale(Some("zh-Hans"));
    context.add_font_provider(Arc::new(provider));
}
