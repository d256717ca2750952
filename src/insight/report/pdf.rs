//! How does a report look on paper? A4 pages of vectors and text that can be searched, with the letters that are used.

mod fonts;
mod letters;
mod sheet;

use self::letters::{Face, Letters};
use self::sheet::{Drawn, PAGE, Sheets, sheets};
use super::chart::{Anchor, Colour, INK, Mark, PALE, TEXT, marks};
use super::content::{Block, Figure, Table};
use crate::base::{Result, failure::Explain};
use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use std::io::Write;

/// What bands are filled with.
const BAND: Name<'static> = Name(b"Band");
const BAND_OPACITY: f32 = 0.18;

/// The bytes of the document.
///
/// # Errors
/// A font of this machine that cannot be embedded.
pub(super) fn pdf(title: &str, blocks: &[Block]) -> Result<Vec<u8>> {
    let letters = Letters::of(&(all_words(title, blocks) + &unshown(1)));
    let mut all: Vec<&Block> = blocks.iter().collect();
    let told = Block::Aside(unshown(letters.without_font.len()));
    if !letters.without_font.is_empty() {
        all.push(&told);
    }
    let sheets = sheets(&all, &letters);
    let mut paper = Paper { pdf: Pdf::new(), last: 0 };
    let (catalog, tree, info, band) = (paper.next(), paper.next(), paper.next(), paper.next());
    paper.pdf.document_info(info).title(TextStr(title)).creator(TextStr("adloupe"));
    paper.pdf.ext_graphics(band).non_stroking_alpha(BAND_OPACITY);
    let mut fonts = Vec::with_capacity(letters.fonts.len());
    for font in &letters.fonts {
        fonts.push(fonts::embed(&mut paper, font)?);
    }
    let mut pages = Vec::with_capacity(sheets.pages.len());
    for drawn in &sheets.pages {
        let (page, content) = (paper.next(), paper.next());
        paper.stream(content, &content_of(drawn, &letters))?;
        let mut written = paper.pdf.page(page);
        written.media_box(Rect::new(0.0, 0.0, PAGE[0], PAGE[1])).parent(tree).contents(content);
        let mut resources = written.resources();
        resources.ext_g_states().pair(BAND, band);
        let mut named = resources.fonts();
        for (place, font) in fonts.iter().enumerate() {
            named.pair(Name(font_name(place).as_bytes()), *font);
        }
        named.finish();
        resources.finish();
        written.finish();
        pages.push(page);
    }
    let outline = write_outline(&mut paper, &sheets, &pages);
    paper.pdf.pages(tree).count(pages.len() as i32).kids(pages.iter().copied());
    paper.pdf.catalog(catalog).pages(tree).outlines(outline);
    Ok(paper.pdf.finish())
}

/// What is said of characters that no font of this machine has.
fn unshown(count: usize) -> String {
    format!(
        "{count} different characters are drawn as boxes: no font of the machine that wrote this has them."
    )
}

/// A document that is being written.
struct Paper {
    pdf: Pdf,
    /// Number of the object that was begun last.
    last: i32,
}

impl Paper {
    fn next(&mut self) -> Ref {
        self.last += 1;
        Ref::new(self.last)
    }

    /// A stream of bytes, packed.
    fn stream(&mut self, id: Ref, bytes: &[u8]) -> Result<()> {
        self.pdf.stream(id, &packed(bytes)?).filter(Filter::FlateDecode);
        Ok(())
    }
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let what = "cannot pack a page";
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).explain(what)?;
    encoder.finish().explain(what)
}

fn font_name(place: usize) -> String {
    format!("F{place}")
}

/// The headings, to jump to.
fn write_outline(paper: &mut Paper, sheets: &Sheets, pages: &[Ref]) -> Ref {
    let outline = paper.next();
    let items: Vec<Ref> = sheets.headings.iter().map(|_| paper.next()).collect();
    let mut whole = paper.pdf.outline(outline);
    if let (Some(first), Some(last)) = (items.first(), items.last()) {
        whole.first(*first).last(*last).count(items.len() as i32);
    }
    whole.finish();
    for (place, (words, page, y)) in sheets.headings.iter().enumerate() {
        let mut item = paper.pdf.outline_item(items[place]);
        item.title(TextStr(words)).parent(outline);
        if place > 0 {
            item.prev(items[place - 1]);
        }
        if let Some(next) = items.get(place + 1) {
            item.next(*next);
        }
        if let Some(page) = pages.get(*page) {
            item.dest().page(*page).xyz(0.0, PAGE[1] - y, None);
        }
    }
    outline
}

/// Everything that may be written, to find its fonts.
fn all_words(title: &str, blocks: &[Block]) -> String {
    let mut all = format!("{title}0123456789 of–");
    let figure = |all: &mut String, figure: &Figure| {
        all.push_str(&figure.title);
        figure.lines.iter().for_each(|line| all.push_str(&line.name));
        for mark in marks(&figure.axes, &figure.lines) {
            if let Mark::Words { words, .. } = mark {
                all.push_str(&words);
            }
        }
    };
    let table = |all: &mut String, table: &Table| {
        table.titles.iter().chain(table.rows.iter().flatten()).for_each(|cell| all.push_str(cell));
    };
    for block in blocks {
        match block {
            Block::Title(words)
            | Block::Heading(words)
            | Block::Words(words)
            | Block::Aside(words)
            | Block::Command(words) => all.push_str(words),
            Block::Table(found) => table(&mut all, found),
            Block::Figures(found) => found.iter().for_each(|found| figure(&mut all, found)),
            Block::Beside(left, right) => {
                figure(&mut all, left);
                table(&mut all, right);
            }
            Block::List(items) => items.iter().for_each(|words| all.push_str(words)),
        }
    }
    all
}

/// The operators of a page, whose y goes down.
fn content_of(page: &[Drawn], letters: &Letters) -> Vec<u8> {
    let mut content = Content::new();
    content.transform([1.0, 0.0, 0.0, -1.0, 0.0, PAGE[1]]);
    let mut pen = Pen { content, letters };
    page.iter().for_each(|drawn| pen.draw(drawn));
    pen.content.finish().to_vec()
}

struct Pen<'a> {
    content: Content,
    letters: &'a Letters,
}

impl Pen<'_> {
    fn draw(&mut self, drawn: &Drawn) {
        match drawn {
            Drawn::Words { at, size, colour, face, words } => {
                self.fill(*colour);
                self.write(*face, *at, *size, false, words);
            }
            Drawn::Rule { from, to, colour } => {
                let ends = [from, to].map(|[x, y]| [f64::from(*x), f64::from(*y)]);
                self.stroke(&ends, *colour, 0.6, false);
            }
            Drawn::Square { at: [x, y], side, colour } => {
                self.fill(*colour);
                self.content.rect(*x, *y, *side, *side).fill_nonzero();
            }
            Drawn::Chart { at: [x, y], scale, marks } => {
                self.content.save_state().transform([*scale, 0.0, 0.0, *scale, *x, *y]);
                marks.iter().for_each(|mark| self.mark(mark));
                self.content.restore_state();
            }
        }
    }

    fn mark(&mut self, mark: &Mark) {
        match mark {
            Mark::Rule(ends) => self.stroke(ends, PALE, 1.0, false),
            Mark::Curve { points, colour, dashed } => self.stroke(points, *colour, 1.8, *dashed),
            Mark::Band { outline, colour } => {
                self.content.save_state().set_parameters(BAND);
                self.fill(*colour);
                self.path(outline);
                self.content.close_path().fill_nonzero().restore_state();
            }
            Mark::Words { at: [x, y], anchor, upward, words } => {
                let size = TEXT as f32;
                let width = size * self.letters.width(Face::Text, words);
                let back = match anchor {
                    Anchor::Middle => 0.5 * width,
                    Anchor::End => width,
                };
                let (x, y) = (*x as f32, *y as f32);
                let at = if *upward { [x, y + back] } else { [x - back, y] };
                self.fill(INK);
                self.write(Face::Text, at, size, *upward, words);
            }
        }
    }

    fn fill(&mut self, colour: Colour) {
        let [red, green, blue] = colour.map(|part| f32::from(part) / 255.0);
        self.content.set_fill_rgb(red, green, blue);
    }

    fn path(&mut self, points: &[[f64; 2]]) {
        for (place, [x, y]) in points.iter().enumerate() {
            let (x, y) = (*x as f32, *y as f32);
            if place == 0 {
                self.content.move_to(x, y)
            } else {
                self.content.line_to(x, y)
            };
        }
    }

    fn stroke(&mut self, points: &[[f64; 2]], colour: Colour, width: f32, dashed: bool) {
        if points.is_empty() {
            return;
        }
        let [red, green, blue] = colour.map(|part| f32::from(part) / 255.0);
        self.content.set_stroke_rgb(red, green, blue).set_line_width(width);
        let dashes: &[f32] = if dashed { &[5.0, 4.0] } else { &[] };
        self.content.set_dash_pattern(dashes.iter().copied(), 0.0);
        self.path(points);
        self.content.stroke();
    }

    /// Words from a point of their base line on; the page's y goes down, that of letters up.
    fn write(&mut self, face: Face, [mut x, mut y]: [f32; 2], size: f32, upward: bool, words: &str) {
        for run in self.letters.runs(face, words) {
            let matrix = if upward { [0.0, -1.0, -1.0, 0.0, x, y] } else { [1.0, 0.0, 0.0, -1.0, x, y] };
            self.content.begin_text().set_font(Name(font_name(run.font).as_bytes()), size);
            self.content.set_text_matrix(matrix).show(Str(&run.glyphs)).end_text();
            let wide = run.width * size;
            if upward {
                y -= wide
            } else {
                x += wide
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::{Axes, COLOURS, Line};
    use super::*;

    /// Text that the pages show, read back as a reader of PDF does: glyph numbers through the map to Unicode.
    #[test]
    fn a_document_has_its_pages_bookmarks_and_only_the_letters_that_it_shows() {
        let line = Line::plain("模型", COLOURS[0], vec![[0.0, 0.0], [1.0, 1.0]]);
        let axes = Axes { x: "召回率".into(), y: "精确率".into(), names: Vec::new() };
        let blocks = [
            Block::Title("deepfm".into()),
            Block::Heading("曲线".into()),
            Block::Figures(vec![Figure { title: "ROC".into(), axes, lines: vec![line] }]),
            Block::Heading("Limits".into()),
            Block::List(vec!["上海 & 北京 (90 %)".into()]),
        ];
        let bytes = pdf("报告", &blocks).unwrap();
        assert!(bytes.starts_with(b"%PDF-1.") && bytes.ends_with(b"%%EOF"));
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("/Type /Page\n").count(), 1);
        assert!(text.contains("/Outlines") && text.contains("/FontFile2") && text.contains("/ToUnicode"));
        // Whole fonts would be megabytes.
        assert!(bytes.len() < 120_000, "{} bytes", bytes.len());
        assert_eq!(bytes, pdf("报告", &blocks).unwrap(), "the same report is the same file");
        // A letter that no font has is a box, and the last words say so.
        let lost = [Block::Words("a\u{f8fe}b".into())];
        let letters = Letters::of(&all_words("", &lost));
        if letters.without_font.contains(&'\u{f8fe}') {
            assert!(
                pdf("", &lost).unwrap().len() > pdf("", &[Block::Words("ab".into())]).unwrap().len() + 100
            );
        }
    }
}
