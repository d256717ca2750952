//! A decision tree from left to right: what is asked at each cut, how many rows go which way, what a leaf adds.

use super::{name_canvas, picture};
use crate::base::numbers::short;
use crate::insight::inside::TreeNode;
use crate::ui::Theme;
use egui::{Align2, FontId, Pos2, Rect, Response, Sense, Stroke, Ui, pos2, vec2};

/// Height of a leaf.
const LEAF: f32 = 19.0;
/// Width of the words at a leaf.
const LEAF_WORDS: f32 = 130.0;
/// Width of a character, and of what stands after a feature's name; the whole name is in the tooltip.
const LETTER: f32 = 6.0;
const AFTER_NAME: f32 = 54.0;
/// Thickest line, for all rows.
const THICKEST: f32 = 9.0;

/// Where a node stands.
struct Placed {
    node: usize,
    parent: Option<Pos2>,
    at: Pos2,
}

/// Draws a tree.
pub fn show(ui: &mut Ui, theme: &Theme, name: &str, tree: &[TreeNode]) -> Response {
    picture::keepable(ui, theme, name, |ui| draw(ui, theme, name, tree))
}

fn draw(ui: &mut Ui, theme: &Theme, name: &str, tree: &[TreeNode]) -> Response {
    let (leaves, depth) = size(tree, 0, 0);
    let width = ui.available_width().max(420.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width, LEAF * leaves as f32 + 8.0), Sense::hover());
    name_canvas(&response, &format!("{name}: {leaves} leaves, {depth} cuts deep"));
    let step = (width - LEAF_WORDS - 16.0) / depth.max(1) as f32;
    let mut placed = Vec::new();
    place(tree, (0, 0), rect, step, &mut 0, &mut placed);
    for of in &placed {
        let Some(from) = of.parent else { continue };
        let share = tree.get(of.node).map_or(0.0, |node| node.share) as f32;
        let stroke = Stroke::new((THICKEST * share).max(0.8), theme.line);
        let corner = pos2(from.x, of.at.y);
        ui.painter().line_segment([from, corner], stroke);
        ui.painter().line_segment([corner, of.at], stroke);
    }
    let fits = ((step - AFTER_NAME) / LETTER).max(10.0) as usize;
    for of in &placed {
        let Some(node) = tree.get(of.node) else { continue };
        let font = FontId::proportional(11.5);
        match &node.feature {
            Some(feature) => {
                let name: String = feature.chars().take(fits).collect();
                let words = format!("{name} ≤ {}", short(node.value));
                // Lines of nodes close by must not run through the words.
                let galley = ui.painter().layout_no_wrap(words, font, theme.text);
                let corner = of.at + vec2(4.0, -0.5 * galley.size().y);
                let ground = Rect::from_min_size(corner, galley.size()).shrink2(vec2(0.0, 1.5));
                ui.painter().rect_filled(ground, 0.0, ui.visuals().panel_fill);
                ui.painter().galley(corner, galley, theme.text);
            }
            None => {
                let colour = if node.value < 0.0 { theme.series(1) } else { theme.series(0) };
                ui.painter().circle_filled(of.at, 4.0, colour);
                let words = format!("{:+.4}, {:.1} %", node.value, 100.0 * node.share);
                ui.painter().text(of.at + vec2(8.0, 0.0), Align2::LEFT_CENTER, words, font, theme.text);
            }
        }
    }
    let pointed = response.hover_pos().and_then(|at| {
        let near = placed.iter().filter(|of| (of.at.y - at.y).abs() < 10.0 && at.x > of.at.x - 8.0);
        near.max_by(|a, b| a.at.x.total_cmp(&b.at.x)).and_then(|of| tree.get(of.node))
    });
    match pointed {
        Some(node) => response.on_hover_text_at_pointer(in_words(node)),
        None => response,
    }
}

fn in_words(node: &TreeNode) -> String {
    let share = 100.0 * node.share;
    match &node.feature {
        Some(feature) => {
            format!("{feature} ≤ {}: up, else down; {share:.1} % of the rows come here", node.value)
        }
        None => format!("adds {:+.5} to the log odds of {share:.1} % of the rows", node.value),
    }
}

/// Nodes below that lead on; a damaged tree ends where it would go in circles.
fn below(tree: &[TreeNode], node: usize) -> Option<[usize; 2]> {
    let of = tree.get(node)?;
    let ahead = |next: &usize| *next > node && *next < tree.len();
    (of.feature.is_some() && of.below.iter().all(ahead)).then_some(of.below)
}

/// Leaves under a node, and cuts from the root to the deepest of them.
fn size(tree: &[TreeNode], node: usize, depth: usize) -> (usize, usize) {
    let Some([first, second]) = below(tree, node) else { return (1, depth) };
    let (one, other) = (size(tree, first, depth + 1), size(tree, second, depth + 1));
    (one.0 + other.0, one.1.max(other.1))
}

/// Places the nodes under one; a cut stands in the middle of what is below it.
fn place(
    tree: &[TreeNode],
    (node, depth): (usize, usize),
    rect: Rect,
    step: f32,
    leaves: &mut usize,
    placed: &mut Vec<Placed>,
) -> f32 {
    let x = rect.left() + 8.0 + step * depth as f32;
    let own = placed.len();
    placed.push(Placed { node, parent: None, at: pos2(x, 0.0) });
    let y = match below(tree, node) {
        None => {
            *leaves += 1;
            rect.top() + LEAF * (*leaves as f32 - 0.5) + 4.0
        }
        Some([first, second]) => {
            let one = place(tree, (first, depth + 1), rect, step, leaves, placed);
            let other = place(tree, (second, depth + 1), rect, step, leaves, placed);
            0.5 * (one + other)
        }
    };
    placed[own].at.y = y;
    for of in placed.iter_mut().skip(own + 1) {
        if of.parent.is_none() && is_child(tree, node, of.node) {
            of.parent = Some(pos2(x, y));
        }
    }
    y
}

fn is_child(tree: &[TreeNode], node: usize, other: usize) -> bool {
    below(tree, node).is_some_and(|below| below.contains(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(feature: Option<&str>, below: [usize; 2]) -> TreeNode {
        TreeNode { feature: feature.map(str::to_owned), value: 0.5, below, share: 1.0 }
    }

    #[test]
    fn a_cut_stands_between_what_is_below_it_and_a_circle_ends() {
        let tree = [
            node(Some("a"), [1, 2]),
            node(None, [0, 0]),
            node(Some("b"), [3, 4]),
            node(None, [0, 0]),
            node(None, [0, 0]),
        ];
        assert_eq!(size(&tree, 0, 0), (3, 2));
        let mut placed = Vec::new();
        let rect = Rect::from_min_size(pos2(0.0, 0.0), vec2(400.0, 100.0));
        place(&tree, (0, 0), rect, 50.0, &mut 0, &mut placed);
        let y = |node: usize| placed.iter().find(|of| of.node == node).unwrap().at.y;
        assert!((y(2) - 0.5 * (y(3) + y(4))).abs() < 1e-4 && (y(0) - 0.5 * (y(1) + y(2))).abs() < 1e-4);
        assert!(y(1) < y(3) && y(3) < y(4));
        assert_eq!(placed.iter().filter(|of| of.parent.is_none()).count(), 1);
        assert_eq!(size(&[node(Some("a"), [0, 0])], 0, 0), (1, 0));
    }
}
