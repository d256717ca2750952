//! How does a painted chart become vectors? Each shape that egui painted is written as the SVG element of the same
//! form, so that the file shows what the window showed, at any size.

use egui::epaint::{ClippedShape, ColorMode, PathShape, RectShape, TextShape};
use egui::{Color32, ColorImage, Mesh, Pos2, Rect, Shape, Stroke, TextureId};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// The part of the window that is written.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What the chart is called.
    pub title: &'a str,
    /// Where it lies, in points; one point is one unit of the SVG.
    pub frame: Rect,
    /// What the panel around it lets be seen: shapes are clipped to less than that where they were.
    pub panel: Rect,
    /// What lies under it.
    pub ground: Color32,
}

/// The shapes that lie within the page, as an SVG document. `pixels` answers the picture of a texture, where it is known;
/// other textures, and what a graphics card paints by itself, are left out.
pub fn document<'a>(
    page: Page<'_>,
    shapes: impl Iterator<Item = &'a ClippedShape>,
    pixels: impl Fn(TextureId) -> Option<Arc<ColorImage>>,
) -> String {
    let (frame, mut body, mut clips) = (page.frame, String::new(), String::new());
    let mut known: BTreeMap<[u32; 4], usize> = BTreeMap::new();
    for ClippedShape { clip_rect, shape, .. } in shapes {
        let is_clipped = !clip_rect.contains_rect(page.panel);
        let bounds = shape.visual_bounding_rect();
        let seen = if is_clipped { bounds.intersect(*clip_rect) } else { bounds };
        if !frame.expand(4.0).contains_rect(seen) || seen.width() < 0.0 || seen.height() < 0.0 {
            continue;
        }
        if !is_clipped {
            element(&mut body, shape, &pixels);
            continue;
        }
        let ends = [clip_rect.left(), clip_rect.top(), clip_rect.right(), clip_rect.bottom()];
        let next = known.len();
        let number = *known.entry(ends.map(f32::to_bits)).or_insert_with(|| {
            let _ = write!(clips, "<clipPath id=\"c{next}\">{}/></clipPath>", rect(*clip_rect));
            next
        });
        let _ = write!(body, "<g clip-path=\"url(#c{number})\">");
        element(&mut body, shape, &pixels);
        body.push_str("</g>\n");
    }
    let Rect { min, .. } = frame;
    let (width, height) = (frame.width(), frame.height());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{} {} {width} \
         {height}\" font-family=\"'Ubuntu','Noto Sans CJK SC','Noto Sans SC','Microsoft YaHei','PingFang SC',sans-serif\">\n\
         <title>{}</title>\n<defs>{clips}</defs>\n{}{}/>\n{body}</svg>\n",
        min.x,
        min.y,
        escaped(page.title),
        rect(frame),
        fill(page.ground),
    )
}

fn element(out: &mut String, shape: &Shape, pixels: &impl Fn(TextureId) -> Option<Arc<ColorImage>>) {
    // Writing into a String cannot fail.
    let _ = match shape {
        Shape::Noop | Shape::Callback(_) => Ok(()),
        Shape::Vec(shapes) => {
            shapes.iter().for_each(|shape| element(out, shape, pixels));
            Ok(())
        }
        Shape::Circle(circle) => writeln!(
            out,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}{}/>",
            circle.center.x,
            circle.center.y,
            circle.radius,
            fill(circle.fill),
            stroke(circle.stroke)
        ),
        Shape::Ellipse(ellipse) => writeln!(
            out,
            "<ellipse cx=\"{}\" cy=\"{}\" rx=\"{}\" ry=\"{}\"{}{}/>",
            ellipse.center.x,
            ellipse.center.y,
            ellipse.radius.x,
            ellipse.radius.y,
            fill(ellipse.fill),
            stroke(ellipse.stroke)
        ),
        Shape::LineSegment { points: [from, to], stroke: drawn } => writeln!(
            out,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"{}/>",
            from.x,
            from.y,
            to.x,
            to.y,
            stroke(*drawn)
        ),
        Shape::Path(path) => drawn_path(out, path),
        Shape::Rect(shape) => rectangle(out, shape, pixels),
        Shape::Text(text) => words(out, text),
        Shape::Mesh(mesh) => triangles(out, mesh, pixels),
        Shape::QuadraticBezier(curve) => curved(out, 'Q', &curve.points, curve.fill, &curve.stroke.color),
        Shape::CubicBezier(curve) => curved(out, 'C', &curve.points, curve.fill, &curve.stroke.color),
        Shape::Band(band) => {
            let top = band.points.iter().map(|at| egui::pos2(at.x, at.y.min));
            let bottom = band.points.iter().rev().map(|at| egui::pos2(at.x, at.y.max));
            let points: Vec<Pos2> = top.chain(bottom).collect();
            writeln!(out, "<path d=\"{}Z\"{}/>", lines(&points), fill(band.fill))
        }
    };
}

fn drawn_path(out: &mut String, path: &PathShape) -> std::fmt::Result {
    let line = Stroke::new(path.stroke.width, solid(&path.stroke.color));
    let end = if path.closed { "Z" } else { "" };
    writeln!(
        out,
        "<path d=\"{}{end}\"{}{} stroke-linejoin=\"round\"/>",
        lines(&path.points),
        fill(path.fill),
        stroke(line)
    )
}

fn curved(
    out: &mut String,
    kind: char,
    points: &[Pos2],
    ground: Color32,
    line: &ColorMode,
) -> std::fmt::Result {
    let [first, rest @ ..] = points else { return Ok(()) };
    let rest: Vec<String> = rest.iter().map(|at| format!("{} {}", at.x, at.y)).collect();
    let line = stroke(Stroke::new(1.0, solid(line)));
    writeln!(out, "<path d=\"M{} {}{kind}{}\"{}{line}/>", first.x, first.y, rest.join(" "), fill(ground))
}

fn rectangle(
    out: &mut String,
    shape: &RectShape,
    pixels: &impl Fn(TextureId) -> Option<Arc<ColorImage>>,
) -> std::fmt::Result {
    if shape.brush.is_some() {
        return pixels(shape.fill_texture_id()).map_or(Ok(()), |image| cells(out, shape.rect, &image));
    }
    let round = f32::from(shape.corner_radius.nw);
    writeln!(out, "{} rx=\"{round}\"{}{}/>", rect(shape.rect), fill(shape.fill), stroke(shape.stroke))
}

/// A picture of few large pixels, each a rectangle: they stay sharp.
fn cells(out: &mut String, area: Rect, image: &ColorImage) -> std::fmt::Result {
    let [columns, rows] = image.size;
    let size = area.size() / egui::vec2(columns.max(1) as f32, rows.max(1) as f32);
    for (place, colour) in image.pixels.iter().enumerate() {
        let (row, column) = (place / columns, place % columns);
        let corner = area.min + egui::vec2(column as f32, row as f32) * size;
        writeln!(
            out,
            "{}{} shape-rendering=\"crispEdges\"/>",
            rect(Rect::from_min_size(corner, size)),
            fill(*colour)
        )?;
    }
    Ok(())
}

/// Triangles of one colour are one path; a textured mesh is a picture.
fn triangles(
    out: &mut String,
    mesh: &Mesh,
    pixels: &impl Fn(TextureId) -> Option<Arc<ColorImage>>,
) -> std::fmt::Result {
    if mesh.texture_id != TextureId::default() {
        return pixels(mesh.texture_id).map_or(Ok(()), |image| cells(out, mesh.calc_bounds(), &image));
    }
    let mut by_colour: BTreeMap<[u8; 4], String> = BTreeMap::new();
    for corners in mesh.indices.chunks_exact(3) {
        let corners: Vec<_> = corners.iter().filter_map(|at| mesh.vertices.get(*at as usize)).collect();
        let points: Vec<Pos2> = corners.iter().map(|corner| corner.pos).collect();
        if let Some(first) = corners.first() {
            by_colour.entry(first.color.to_array()).or_default().push_str(&format!("{}Z", lines(&points)));
        }
    }
    for ([r, g, b, a], path) in by_colour {
        let colour = Color32::from_rgba_premultiplied(r, g, b, a);
        writeln!(out, "<path d=\"{path}\"{} shape-rendering=\"crispEdges\"/>", fill(colour))?;
    }
    Ok(())
}

/// Each row of a text at its baseline, as wide as it was: another font changes no layout.
fn words(out: &mut String, shape: &TextShape) -> std::fmt::Result {
    let size = shape.galley.job.sections.first().map_or(12.0, |section| section.format.font_id.size);
    for row in &shape.galley.rows {
        let [first, .., last] = row.row.glyphs.as_slice() else {
            if let [only] = row.row.glyphs.as_slice() {
                line_of_text(out, shape, row.pos, [only, only], &only.chr.to_string(), size)?;
            }
            continue;
        };
        let text: String = row.row.glyphs.iter().map(|glyph| glyph.chr).collect();
        line_of_text(out, shape, row.pos, [first, last], &text, size)?;
    }
    Ok(())
}

fn line_of_text(
    out: &mut String,
    shape: &TextShape,
    row: Pos2,
    [first, last]: [&egui::epaint::text::Glyph; 2],
    text: &str,
    size: f32,
) -> std::fmt::Result {
    if text.trim().is_empty() {
        return Ok(());
    }
    let section = shape.galley.job.sections.first().map(|section| section.format.color);
    let own = section.filter(|colour| *colour != Color32::PLACEHOLDER).unwrap_or(shape.fallback_color);
    let colour = shape.override_text_color.unwrap_or(own).gamma_multiply(shape.opacity_factor);
    let (start, width) = (first.pos.x, last.pos.x + last.advance_width - first.pos.x);
    let turned = match shape.angle {
        0.0 => String::new(),
        angle => format!(" rotate({})", angle.to_degrees()),
    };
    writeln!(
        out,
        "<text transform=\"translate({} {}){turned}\" x=\"{}\" y=\"{}\" font-size=\"{size}\" textLength=\"{width}\" \
         lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\"{}>{}</text>",
        shape.pos.x,
        shape.pos.y,
        row.x + start,
        row.y + first.pos.y,
        fill(colour),
        escaped(text)
    )
}

fn lines(points: &[Pos2]) -> String {
    let mut path = String::new();
    for (place, at) in points.iter().enumerate() {
        let _ = write!(path, "{}{:.2} {:.2}", if place == 0 { 'M' } else { 'L' }, at.x, at.y);
    }
    path
}

/// `<rect ...`, still open for its colours.
fn rect(area: Rect) -> String {
    let (at, size) = (area.min, area.size());
    format!(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
        at.x,
        at.y,
        size.x.max(0.0),
        size.y.max(0.0)
    )
}

fn solid(mode: &ColorMode) -> Color32 {
    match mode {
        ColorMode::Solid(colour) => *colour,
        // A colour by place: that of the middle of nowhere stands for all.
        ColorMode::UV(colour) => colour(Rect::ZERO, Pos2::ZERO),
    }
}

fn fill(colour: Color32) -> String {
    paint("fill", colour)
}

fn stroke(stroke: Stroke) -> String {
    if stroke.width <= 0.0 || stroke.color == Color32::TRANSPARENT {
        return String::new();
    }
    format!("{} stroke-width=\"{}\"", paint("stroke", stroke.color), stroke.width)
}

fn paint(what: &str, colour: Color32) -> String {
    let [r, g, b, a] = colour.to_srgba_unmultiplied();
    match a {
        0 => format!(" {what}=\"none\""),
        255 => format!(" {what}=\"#{r:02x}{g:02x}{b:02x}\""),
        _ => format!(" {what}=\"#{r:02x}{g:02x}{b:02x}\" {what}-opacity=\"{:.3}\"", f32::from(a) / 255.0),
    }
}

/// Text that XML takes as text; control characters, which it takes nowhere, are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{pos2, vec2};

    #[test]
    fn shapes_within_the_page_are_written_and_others_are_not() {
        let frame = Rect::from_min_size(pos2(10.0, 10.0), vec2(100.0, 50.0));
        let everything = Rect::from_min_size(Pos2::ZERO, vec2(1000.0, 1000.0));
        let plot = Rect::from_min_size(pos2(20.0, 20.0), vec2(40.0, 20.0));
        let line = |from: Pos2, to: Pos2| Shape::line_segment([from, to], Stroke::new(2.0, Color32::RED));
        let of = |clip_rect, shape| ClippedShape {
            clip_rect,
            shape,
            transform_after_tessellation: egui::emath::TSTransform::IDENTITY,
        };
        let shapes = [
            of(everything, line(pos2(20.0, 20.0), pos2(60.0, 20.0))),
            of(everything, line(pos2(500.0, 20.0), pos2(600.0, 20.0))),
            // A line that leaves its plot, which lies within the page.
            of(plot, line(pos2(0.0, 30.0), pos2(900.0, 30.0))),
            of(everything, Shape::rect_filled(everything, 0.0, Color32::BLUE)),
        ];
        let page = Page { title: "a < b & c", frame, panel: everything, ground: Color32::WHITE };
        let text = document(page, shapes.iter(), |_| None);
        assert_eq!(text.matches("<line ").count(), 2, "{text}");
        assert_eq!(text.matches("clip-path=").count(), 1, "{text}");
        assert!(text.contains("<title>a &lt; b &amp; c</title>"), "{text}");
        assert!(!text.contains("#0000ff"), "what lies behind the page is not part of it: {text}");
    }

    #[test]
    fn colours_are_told_with_their_opacity() {
        assert_eq!(fill(Color32::from_rgb(1, 2, 255)), " fill=\"#0102ff\"");
        assert_eq!(fill(Color32::TRANSPARENT), " fill=\"none\"");
        assert!(fill(Color32::from_rgba_unmultiplied(200, 100, 50, 128)).ends_with("fill-opacity=\"0.502\""));
        assert_eq!(stroke(Stroke::new(0.0, Color32::RED)), "");
    }
}
