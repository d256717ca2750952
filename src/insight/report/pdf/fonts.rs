//! How does a font get into a document? The glyphs that are used, renumbered, with their widths and what they stand for
//! (ISO 32000-1, 9.7).

use super::Paper;
use super::letters::Used;
use crate::base::{Failure, Result};
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Rect, Ref, Str};
use skrifa::instance::{LocationRef, Size};
use skrifa::raw::TableProvider;
use skrifa::{FontRef, MetadataProvider, Tag};

/// Widths and heights are told in thousandths of the letters' size.
const THOUSAND: f32 = 1000.0;
const SYSTEM: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// Writes a font; answers with the object that pages refer to.
///
/// # Errors
/// A font that cannot be read or cut.
pub(super) fn embed(paper: &mut Paper, used: &Used) -> Result<Ref> {
    let refused = |why: String| {
        Failure::new("cannot put a font into the report", why)
            .hint("install another font for these letters, such as fonts-noto-cjk")
    };
    let bytes = used.file.as_ref();
    let font = FontRef::from_index(bytes, used.index).map_err(|error| refused(error.to_string()))?;
    let cut = subsetter::subset(bytes, used.index, &used.renumbered).map_err(|e| refused(e.to_string()))?;
    let [whole, parts, about, file, map] = std::array::from_fn(|_| paper.next());
    let compact = font.cff().is_ok();
    let name = format!("ADLOUP+Font{}", whole.get());
    let name = Name(name.as_bytes());

    let mut written = paper.pdf.type0_font(whole);
    written.base_font(name).encoding_predefined(Name(b"Identity-H")).descendant_font(parts).to_unicode(map);
    written.finish();

    let mut written = paper.pdf.cid_font(parts);
    written.subtype(if compact { CidFontType::Type0 } else { CidFontType::Type2 });
    written.base_font(name).system_info(SYSTEM).font_descriptor(about).default_width(0.0);
    if !compact {
        written.cid_to_gid_map_predefined(Name(b"Identity"));
    }
    let width = |id: u16| used.letters.get(&id).map_or(0.0, |(_, advance)| advance * THOUSAND);
    written.widths().consecutive(0, (0..used.renumbered.num_gids()).map(width));
    written.finish();

    describe(paper, &font, (about, file, compact), name);
    if compact {
        let found = FontRef::new(&cut).ok().and_then(|cut| cut.table_data(Tag::new(b"CFF ")));
        let bare = found.ok_or_else(|| refused("the cut font has no outlines".to_owned()))?;
        let bytes = super::packed(bare.as_bytes())?;
        let mut stream = paper.pdf.stream(file, &bytes);
        stream.filter(Filter::FlateDecode).pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
    } else {
        let bytes = super::packed(&cut)?;
        paper.pdf.stream(file, &bytes).filter(Filter::FlateDecode).pair(Name(b"Length1"), cut.len() as i32);
    }
    let mut codes = UnicodeCmap::new(Name(b"Custom"), SYSTEM);
    for (id, (letter, _)) in &used.letters {
        codes.pair(*id, *letter);
    }
    paper.stream(map, &codes.finish())?;
    Ok(whole)
}

fn describe(paper: &mut Paper, font: &FontRef<'_>, (about, file, compact): (Ref, Ref, bool), name: Name<'_>) {
    let metrics = font.metrics(Size::new(THOUSAND), LocationRef::default());
    let bounds = metrics.bounds.unwrap_or_default();
    let mut written = paper.pdf.font_descriptor(about);
    written.name(name).flags(FontFlags::SYMBOLIC).italic_angle(metrics.italic_angle);
    written.bbox(Rect::new(bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max));
    written.ascent(metrics.ascent).descent(metrics.descent);
    written.cap_height(metrics.cap_height.unwrap_or(metrics.ascent)).stem_v(80.0);
    if compact {
        written.font_file3(file);
    } else {
        written.font_file2(file);
    }
}
