//! What stands where on which page? Blocks from the top to the bottom of A4 pages, before anything is drawn.

use super::letters::{Face, Letters};
use crate::insight::report::chart::{Colour, HEIGHT, INK, Mark, PALE, WEAK, WIDTH, marks};
use crate::insight::report::content::{Block, Figure, Table};

/// A4, in points of 1/72 inch.
pub(super) const PAGE: [f32; 2] = [595.0, 842.0];
const MARGIN: f32 = 42.0;
/// Between the edge and the page's number.
const FOOT: f32 = 24.0;
const BODY: f32 = 9.0;
const SMALL: f32 = 7.5;
/// Letters of a table never become smaller than this.
const LEAST: f32 = 5.0;
/// Height of a line in parts of its letters.
const LEADING: f32 = 1.35;
/// Between the columns of a table.
const GAP: f32 = 8.0;
/// Between charts side by side.
const GUTTER: f32 = 12.0;
/// Room for the title above a chart.
const CHART_TITLE: f32 = BODY * LEADING + 2.0;

/// A piece of a page.
pub(super) enum Drawn {
    /// Words that start at a point of their base line.
    Words {
        at: [f32; 2],
        size: f32,
        colour: Colour,
        face: Face,
        words: String,
    },
    Rule {
        from: [f32; 2],
        to: [f32; 2],
        colour: Colour,
    },
    Square {
        at: [f32; 2],
        side: f32,
        colour: Colour,
    },
    /// A chart with its upper left corner at a point.
    Chart {
        at: [f32; 2],
        scale: f32,
        marks: Vec<Mark>,
    },
}

/// All pages and where their headings are.
pub(super) struct Sheets {
    pub pages: Vec<Vec<Drawn>>,
    /// Words, page and height of each heading.
    pub headings: Vec<(String, usize, f32)>,
}

/// Lays out blocks.
pub(super) fn sheets(blocks: &[&Block], letters: &Letters) -> Sheets {
    let mut desk = Desk { letters, pages: vec![Vec::new()], headings: Vec::new(), y: MARGIN };
    for (place, block) in blocks.iter().enumerate() {
        desk.block(block, blocks.get(place + 1).copied());
    }
    let all = desk.pages.len();
    for (place, page) in desk.pages.iter_mut().enumerate() {
        let words = format!("{} of {all}", place + 1);
        let width = SMALL * letters.width(Face::Text, &words);
        let at = [PAGE[0] - MARGIN - width, PAGE[1] - FOOT];
        page.push(Drawn::Words { at, size: SMALL, colour: WEAK, face: Face::Text, words });
    }
    Sheets { pages: desk.pages, headings: desk.headings }
}

struct Desk<'a> {
    letters: &'a Letters,
    pages: Vec<Vec<Drawn>>,
    headings: Vec<(String, usize, f32)>,
    /// Where the next block starts.
    y: f32,
}

impl Desk<'_> {
    fn room(&self) -> f32 {
        PAGE[1] - MARGIN - self.y
    }

    fn width(&self) -> f32 {
        PAGE[0] - 2.0 * MARGIN
    }

    fn draw(&mut self, drawn: Drawn) {
        if let Some(page) = self.pages.last_mut() {
            page.push(drawn);
        }
    }

    /// Goes on to the next page if less than `height` is left.
    fn need(&mut self, height: f32) {
        if height > self.room() && self.y > MARGIN {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
    }

    fn block(&mut self, block: &Block, next: Option<&Block>) {
        match block {
            Block::Title(words) => self.words(words, MARGIN, (18.0, INK, Face::Text)),
            Block::Heading(words) => self.heading(words, next),
            Block::Words(words) => self.words(words, MARGIN, (BODY, INK, Face::Text)),
            Block::Aside(words) => self.words(words, MARGIN, (BODY, WEAK, Face::Text)),
            Block::Command(words) => self.words(words, MARGIN, (SMALL, WEAK, Face::Fixed)),
            Block::Table(table) => self.table(table),
            Block::Figures(figures) => {
                for pair in figures.chunks(2) {
                    self.figures(&pair.iter().collect::<Vec<_>>());
                }
            }
            Block::Beside(figure, table) => {
                self.figures(&[figure]);
                self.table(table);
            }
            Block::List(items) => {
                for words in items {
                    self.need(BODY * LEADING);
                    let at = [MARGIN, self.y + BODY];
                    self.draw(Drawn::Words {
                        at,
                        size: BODY,
                        colour: WEAK,
                        face: Face::Text,
                        words: "–".to_owned(),
                    });
                    self.words(words, MARGIN + 12.0, (BODY, INK, Face::Text));
                }
            }
        }
    }

    /// A heading never stands alone at the foot of a page.
    fn heading(&mut self, words: &str, next: Option<&Block>) {
        let first = match next {
            Some(Block::Figures(figures)) => self.figures_height(&figures.iter().take(2).collect::<Vec<_>>()),
            Some(Block::Beside(figure, _)) => self.figures_height(&[figure]),
            _ => 60.0,
        };
        self.y += 12.0;
        self.need(30.0 + first);
        self.headings.push((words.to_owned(), self.pages.len() - 1, self.y));
        self.words(words, MARGIN, (13.0, INK, Face::Text));
        let (from, to) = ([MARGIN, self.y - 4.0], [MARGIN + self.width(), self.y - 4.0]);
        self.draw(Drawn::Rule { from, to, colour: PALE });
        self.y += 2.0;
    }

    fn words(&mut self, words: &str, left: f32, (size, colour, face): (f32, Colour, Face)) {
        let room = (PAGE[0] - MARGIN - left) / size;
        for words in self.letters.lines(face, words, room) {
            self.need(size * LEADING);
            let at = [left, self.y + size];
            self.draw(Drawn::Words { at, size, colour, face, words });
            self.y += size * LEADING;
        }
        self.y += 4.0;
    }

    /// Width of a chart: half of the page.
    fn across(&self) -> f32 {
        (self.width() - GUTTER) / 2.0
    }

    /// Height of charts side by side, with their titles and the names below them.
    fn figures_height(&self, figures: &[&Figure]) -> f32 {
        let rows = figures.iter().map(|figure| self.legend_rows(figure).len()).max().unwrap_or(0) as f32;
        CHART_TITLE + HEIGHT as f32 * self.across() / WIDTH as f32 + rows * SMALL * LEADING + 6.0
    }

    fn figures(&mut self, figures: &[&Figure]) {
        let across = self.across();
        let scale = across / WIDTH as f32;
        let height = self.figures_height(figures);
        self.need(height);
        let top = self.y;
        for (place, figure) in figures.iter().enumerate() {
            let left = MARGIN + place as f32 * (across + GUTTER);
            let words = figure.title.clone();
            let at = [left, top + BODY];
            self.draw(Drawn::Words { at, size: BODY, colour: INK, face: Face::Text, words });
            let marks = marks(&figure.axes, &figure.lines);
            self.draw(Drawn::Chart { at: [left, top + CHART_TITLE], scale, marks });
            let mut y = top + CHART_TITLE + HEIGHT as f32 * scale;
            for row in self.legend_rows(figure) {
                self.legend(figure, &row, [left, y]);
                y += SMALL * LEADING;
            }
        }
        self.y = top + height;
    }

    /// Which lines of a figure are named in which row below it.
    fn legend_rows(&self, figure: &Figure) -> Vec<Vec<usize>> {
        let across = self.across();
        let mut rows: Vec<Vec<usize>> = Vec::new();
        let mut used = across;
        for (place, line) in figure.lines.iter().enumerate() {
            let wide = SMALL * self.letters.width(Face::Text, &line.name) + 18.0;
            if used + wide > across || rows.is_empty() {
                rows.push(Vec::new());
                used = 0.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push(place);
            }
            used += wide;
        }
        rows
    }

    fn legend(&mut self, figure: &Figure, row: &[usize], [mut x, y]: [f32; 2]) {
        for line in row.iter().filter_map(|&place| figure.lines.get(place)) {
            self.draw(Drawn::Square { at: [x, y + 2.0], side: 6.0, colour: line.colour });
            let words = line.name.clone();
            let width = SMALL * self.letters.width(Face::Text, &words);
            let at = [x + 9.0, y + SMALL];
            self.draw(Drawn::Words { at, size: SMALL, colour: INK, face: Face::Text, words });
            x += width + 18.0;
        }
    }

    /// Rows under their titles, on each page anew. A table without titles has words in all its columns.
    fn table(&mut self, table: &Table) {
        let (widths, size) = self.columns(table);
        let titled = !table.titles.is_empty();
        let words = if titled { 1 } else { widths.len() };
        if titled {
            self.row(&table.titles, &widths, (size, WEAK, words));
        }
        for cells in &table.rows {
            let page = self.pages.len();
            let height = self.height(cells, &widths, size);
            self.need(height);
            if titled && self.pages.len() > page {
                self.row(&table.titles, &widths, (size, WEAK, words));
            }
            self.row(cells, &widths, (size, INK, words));
        }
        self.y += 6.0;
    }

    /// Widths of a table's columns and the size of its letters: as wide as the cells where they fit, else narrower
    /// with cells of several lines, else with smaller letters.
    fn columns(&self, table: &Table) -> (Vec<f32>, f32) {
        let rows = || std::iter::once(&table.titles).chain(&table.rows);
        let count = rows().map(Vec::len).max().unwrap_or(0);
        let widest = |of: &dyn Fn(&str) -> f32| -> Vec<f32> {
            let of_column = |column: usize| rows().filter_map(move |cells| cells.get(column));
            (0..count).map(|column| of_column(column).map(|cell| of(cell)).fold(0.0, f32::max)).collect()
        };
        let whole = widest(&|cell| self.letters.width(Face::Text, cell));
        let least = widest(&|cell| self.letters.widest_piece(Face::Text, cell));
        let room = self.width() - GAP * count.saturating_sub(1) as f32;
        let [all, fewest] = [&whole, &least].map(|widths| widths.iter().sum::<f32>());
        if all * BODY <= room {
            return (whole.iter().map(|width| width * BODY).collect(), BODY);
        }
        let size = (room / fewest).clamp(LEAST, BODY - 1.0);
        let spare = ((room / size - fewest) / (all - fewest).max(1e-6)).clamp(0.0, 1.0);
        let shrink = (room / size / fewest).min(1.0);
        let width = |(whole, least): (&f32, &f32)| size * (shrink * least + spare * (whole - least));
        (whole.iter().zip(&least).map(width).collect(), size)
    }

    fn cell(&self, cell: &str, width: f32, size: f32) -> Vec<String> {
        // A hair more than the width, which was rounded.
        self.letters.lines(Face::Text, cell, width / size + 0.01)
    }

    fn height(&self, cells: &[String], widths: &[f32], size: f32) -> f32 {
        let lines = cells.iter().zip(widths).map(|(cell, width)| self.cell(cell, *width, size).len()).max();
        lines.unwrap_or(1) as f32 * size * LEADING + 3.0
    }

    /// Draws a row, whose first `words` columns start at the left.
    fn row(&mut self, cells: &[String], widths: &[f32], (size, colour, words_in): (f32, Colour, usize)) {
        let height = self.height(cells, widths, size);
        self.need(height);
        let mut left = MARGIN;
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            for (line, words) in self.cell(cell, *width, size).into_iter().enumerate() {
                let wide = size * self.letters.width(Face::Text, &words);
                let x = if column < words_in { left } else { left + width - wide };
                let at = [x, self.y + size + line as f32 * size * LEADING];
                self.draw(Drawn::Words { at, size, colour, face: Face::Text, words });
            }
            left += width + GAP;
        }
        self.y += height;
        let across = (left - GAP - MARGIN).max(0.0);
        let (from, to) = ([MARGIN, self.y - 1.0], [MARGIN + across, self.y - 1.0]);
        self.draw(Drawn::Rule { from, to, colour: PALE });
        self.y += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::report::chart::{Axes, COLOURS, Line};

    fn laid(blocks: &[Block]) -> Sheets {
        let all: String = (' '..='~').collect();
        sheets(&blocks.iter().collect::<Vec<_>>(), &Letters::of(&(all + "–±")))
    }

    fn words_of(page: &[Drawn]) -> Vec<(&str, [f32; 2], f32)> {
        let words = |drawn| match drawn {
            &Drawn::Words { at, size, ref words, .. } => Some((words.as_str(), at, size)),
            _ => None,
        };
        page.iter().filter_map(words).collect()
    }

    #[test]
    fn a_long_table_goes_on_under_its_titles_and_nothing_leaves_the_page() {
        let cell = |row: usize, column: usize| format!("{row}.{column:03} (0.1234 to 0.5678)");
        let rows: Vec<Vec<String>> = (0..150).map(|row| (0..9).map(|c| cell(row, c)).collect()).collect();
        let titles = (0..9).map(|column| format!("column {column}")).collect();
        let found = laid(&[Block::Heading("Groups".into()), Block::Table(Table { titles, rows })]);
        assert!(found.pages.len() > 2);
        assert_eq!(found.headings, [("Groups".to_owned(), 0, found.headings[0].2)]);
        let letters = Letters::of(&(' '..='~').collect::<String>());
        for page in &found.pages {
            let words = words_of(page);
            assert!(words.iter().any(|(words, ..)| words.contains("column")), "no titles");
            for (words, [x, y], size) in words {
                let right = x + size * letters.width(Face::Text, words);
                assert!(x >= MARGIN - 0.5 && right <= PAGE[0] - MARGIN + 1.0, "{words} {x} {right}");
                assert!(y <= PAGE[1] - FOOT, "{words} at {y}");
            }
        }
        let all: Vec<_> = found.pages.iter().flat_map(|page| words_of(page)).collect();
        assert_eq!(all.iter().filter(|(words, ..)| words.starts_with("149.")).count(), 9);
    }

    #[test]
    fn a_word_wider_than_its_column_is_broken_and_not_cut() {
        let long = "x".repeat(400);
        let titles = vec!["a".to_owned(), "b".to_owned()];
        let table = Table { titles, rows: vec![vec![long.clone(), "1".into()]] };
        let found = laid(&[Block::Table(table)]);
        let all: String = words_of(&found.pages[0]).iter().map(|(words, ..)| *words).collect();
        assert_eq!(all.matches('x').count(), long.len());
    }

    #[test]
    fn names_of_many_lines_take_several_rows() {
        let line = |place: usize| Line {
            name: format!("a model with a long name {place}"),
            colour: COLOURS[0],
            dashed: false,
            points: vec![[0.0, 0.0], [1.0, 1.0]],
            interval: Vec::new(),
        };
        let axes = Axes { x: "x".into(), y: "y".into(), names: Vec::new() };
        let figure = Figure { title: "ROC".into(), axes, lines: (0..6).map(line).collect() };
        let found = laid(&[Block::Figures(vec![figure])]);
        let heights: Vec<f32> = words_of(&found.pages[0])
            .iter()
            .filter(|(words, ..)| words.contains("long name"))
            .map(|(_, at, _)| at[1])
            .collect();
        assert_eq!(heights.len(), 6);
        assert!(heights[5] > heights[0]);
    }
}
