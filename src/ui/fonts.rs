//! How does Chinese text get its glyphs? From the operating system's own fonts, on demand.
//!
//! egui's bundled fonts have no CJK glyphs. The provider looks a missing glyph up among the installed
//! fonts; `assets/setup.sh` installs one where a machine has none.

use egui::epaint::text::{FallbackRequest, FontInsert, FontProvider};
use egui_system_font_provider::SystemFontProvider;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Installs the provider; call once per egui context.
pub fn install(context: &egui::Context) {
    // Chinese forms first: Han unification would otherwise follow a Japanese or Korean desktop.
    let fonts = SystemFontProvider::new().with_locale(Some("zh-Hans"));
    context.add_font_provider(Arc::new(Installed { fonts, none: AtomicBool::new(false) }));
}

/// The fonts of a machine that may have none at all, where fontique 0.11 panics in the provider's thread and so does
/// whoever waits for it: such a machine gets boxes.
struct Installed<P> {
    fonts: P,
    none: AtomicBool,
}

impl<P: FontProvider> FontProvider for Installed<P> {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        if self.none.load(Ordering::Relaxed) {
            return None;
        }
        // Nothing of ours is changed in there: after a panic the provider is not asked again.
        let found = catch_unwind(AssertUnwindSafe(|| self.fonts.font_for(request)));
        found.unwrap_or_else(|_panic| {
            self.none.store(true, Ordering::Relaxed);
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::FontFamily;
    use std::sync::atomic::AtomicUsize;

    struct Breaks(AtomicUsize);

    impl FontProvider for Breaks {
        fn font_for(&self, _: &FallbackRequest<'_>) -> Option<FontInsert> {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a machine without fonts");
        }
    }

    #[test]
    fn a_machine_without_fonts_is_asked_once_and_draws_boxes() {
        let installed = Installed { fonts: Breaks(AtomicUsize::new(0)), none: AtomicBool::new(false) };
        let request = FallbackRequest { cluster: "上", family: &FontFamily::Proportional };
        for _ in 0..3 {
            assert!(installed.font_for(&request).is_none());
        }
        assert_eq!(installed.fonts.0.load(Ordering::Relaxed), 1);
    }
}
