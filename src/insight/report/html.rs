//! How does a report look in a browser? HTML that needs nothing but itself, prints, and reads on paper.

use super::chart::{Anchor, Axes, Colour, HEIGHT, Line, Mark, WIDTH, marks};
use super::content::{Block, Figure, Table};
use std::fmt::Write;

const STYLE: &str = "body{font:14px/1.45 system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;\
max-width:1000px;margin:24px auto;padding:0 16px;color:#1a1d21;background:#fff}h1{font-size:24px;margin:0}\
h2{font-size:18px;margin:28px 0 6px;border-bottom:1px solid #ccd}table{border-collapse:collapse;margin:8px 0}\
td,th{padding:3px 10px;text-align:right;border-bottom:1px solid #e4e6ea}td:first-child,th:first-child,.words td{text-align:left}\
.charts{display:grid;grid-template-columns:1fr 1fr;gap:12px}figure{margin:0;break-inside:avoid}\
figcaption{font-weight:600}svg{width:100%}svg text{font-size:11px;fill:#333}.grid{stroke:#e4e6ea}\
.legend{margin:0;font-size:12px}code{background:#f2f4f7;padding:2px 5px;font-size:12px;overflow-wrap:anywhere}\
.command{margin:4px 0 10px}.weak{color:#5c636e}@media print{body{margin:0;max-width:none}}";

/// The whole page, called `title` in a browser's tab.
pub(super) fn html(title: &str, blocks: &[Block]) -> String {
    let mut page = format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{}</title><style>{STYLE}</style></head><body>",
        escaped(title)
    );
    blocks.iter().for_each(|block| write_block(&mut page, block));
    page.push_str("</body></html>\n");
    page
}

fn write_block(page: &mut String, block: &Block) {
    let element = |page: &mut String, before: &str, words: &str, after: &str| {
        page.push_str(before);
        page.push_str(&escaped(words));
        page.push_str(after);
    };
    match block {
        Block::Title(words) => element(page, "<h1>", words, "</h1>"),
        Block::Heading(words) => element(page, "<h2>", words, "</h2>"),
        Block::Words(words) => element(page, "<p>", words, "</p>"),
        Block::Aside(words) => element(page, "<p class=\"weak\">", words, "</p>"),
        Block::Command(words) => element(page, "<p class=\"command\"><code>", words, "</code></p>"),
        Block::Table(table) => write_table(page, table),
        Block::Figures(figures) => {
            page.push_str("<div class=\"charts\">");
            figures.iter().for_each(|figure| write_figure(page, figure));
            page.push_str("</div>");
        }
        Block::Beside(figure, table) => {
            page.push_str("<div class=\"charts\">");
            write_figure(page, figure);
            page.push_str("<div>");
            write_table(page, table);
            page.push_str("</div></div>");
        }
        Block::List(items) => {
            page.push_str("<ul>");
            items.iter().for_each(|words| element(page, "<li>", words, "</li>"));
            page.push_str("</ul>");
        }
    }
}

fn write_table(page: &mut String, table: &Table) {
    let row = |page: &mut String, cells: &[String], tag: &str| {
        page.push_str("<tr>");
        for cell in cells {
            let _ = write!(page, "<{tag}>{}</{tag}>", escaped(cell));
        }
        page.push_str("</tr>");
    };
    // A table without titles has words in all its columns.
    page.push_str(if table.titles.is_empty() { "<table class=\"words\">" } else { "<table>" });
    if !table.titles.is_empty() {
        row(page, &table.titles, "th");
    }
    table.rows.iter().for_each(|cells| row(page, cells, "td"));
    page.push_str("</table>");
}

fn write_figure(page: &mut String, figure: &Figure) {
    page.push_str("<figure>");
    if !figure.title.is_empty() {
        let _ = write!(page, "<figcaption>{}</figcaption>", escaped(&figure.title));
    }
    page.push_str(&svg(&figure.axes, &figure.lines));
    page.push_str("<p class=\"legend\">");
    for line in &figure.lines {
        let _ = write!(
            page,
            "<span style=\"color:{}\">&#9632;</span> {} ",
            hex(line.colour),
            escaped(&line.name)
        );
    }
    page.push_str("</p></figure>");
}

fn svg(axes: &Axes, lines: &[Line]) -> String {
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} against {}\">",
        escaped(&axes.y),
        escaped(&axes.x)
    );
    for mark in marks(axes, lines) {
        write_mark(&mut svg, &mark);
    }
    svg.push_str("</svg>");
    svg
}

fn write_mark(svg: &mut String, mark: &Mark) {
    let _ = match mark {
        Mark::Rule([[x1, y1], [x2, y2]]) => {
            write!(svg, "<line class=\"grid\" x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{y1:.1}\" y2=\"{y2:.1}\"/>")
        }
        Mark::Curve { points, colour, dashed } => {
            let dash = if *dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let (colour, points) = (hex(*colour), listed(points));
            write!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"{dash} points=\"{points}\"/>"
            )
        }
        Mark::Band { outline, colour } => {
            let (colour, points) = (hex(*colour), listed(outline));
            write!(svg, "<polygon fill=\"{colour}\" fill-opacity=\"0.18\" points=\"{points}\"/>")
        }
        Mark::Words { at: [x, y], anchor, upward, words } => {
            let turned = if *upward { " rotate(-90)" } else { "" };
            let anchor = match anchor {
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            write!(
                svg,
                "<text transform=\"translate({x:.1} {y:.1}){turned}\" text-anchor=\"{anchor}\">{}</text>",
                escaped(words)
            )
        }
    };
}

fn listed(points: &[[f64; 2]]) -> String {
    let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    points.join(" ")
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::report::chart::COLOURS;

    #[test]
    fn names_of_a_log_cannot_break_the_page() {
        let lines = vec![Line::plain("<b>", COLOURS[0], vec![[0.0, 1.0], [1.0, 2.0]])];
        let axes = Axes {
            x: "a<b".to_owned(),
            y: "y".to_owned(),
            names: vec!["<script>".to_owned(), "上海 & 北京".to_owned()],
        };
        let title = "<i>".to_owned();
        let page = html("<u>", &[Block::Figures(vec![Figure { title, axes, lines }])]);
        for broken in ["<script>", "<b>", "<i>", "<u>"] {
            assert!(!page.contains(broken), "{page}");
        }
        assert!(page.contains("上海 &amp; 北京"));
    }
}
