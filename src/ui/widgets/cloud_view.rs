//! A map of points that can be panned, zoomed, asked and fenced in.

use super::map_shapes;
use crate::gpu::contours::{Contour, contours};
use crate::gpu::density::View;
use crate::gpu::{Bits, Camera, Cloud, Lasso, Orbit, PickGrid};
use crate::jobs::priority;
use crate::ui::Theme;
use crate::ui::gpu_view::{self, DensityTexture, Drawing, Pointed};
use egui::{
    Align2, Color32, CursorIcon, FontId, Pos2, Rect, Response, Role, Sense, Shape, Stroke, Ui, WidgetInfo,
    pos2, vec2,
};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which of the two renderers draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renderer {
    /// Points where they are cheap, density elsewhere.
    #[default]
    Auto,
    /// One disc a point, on the graphics adapter.
    Points,
    /// Counted per pixel on the processor.
    Density,
}

/// What a drag with the main button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tool {
    /// Moves the map.
    #[default]
    Pan,
    /// Draws an outline around the points to select.
    Lasso,
    /// Draws a box around them.
    Box,
}

/// What the points fenced in do to the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// They are the new one.
    #[default]
    Replace,
    /// They come to it.
    Add,
    /// They leave it.
    Subtract,
}

/// What is to be shown in this frame.
pub struct Scene<'a> {
    /// Accessible name.
    pub name: &'a str,
    /// Which map it is: another one is shown whole, whatever was in view.
    pub map: u64,
    /// Changes whenever the places do.
    pub revision: u64,
    /// Where the points are; the third number is the depth.
    pub places: &'a [[f32; 3]],
    /// Palette entry of each point.
    pub codes: &'a Arc<Vec<u8>>,
    /// Colours by code.
    pub palette: &'a Arc<Vec<[u8; 3]>>,
    /// The selection, if there is one.
    pub selected: Option<&'a Arc<Bits>>,
    /// Points to ring: the one in focus first, then its neighbours.
    pub marks: &'a [usize],
    /// Name of a point, drawn beside it where there is room.
    pub label: &'a dyn Fn(usize) -> String,
    /// Words at places of the map: what its heaps are.
    pub captions: &'a [([f32; 3], String)],
    /// Where points came from, by point.
    pub arrows: &'a [(usize, [f32; 3])],
}

/// What the pointer did.
#[derive(Default)]
pub struct Touched {
    /// The point under the pointer.
    pub hovered: Option<usize>,
    /// The point that was clicked.
    pub clicked: Option<usize>,
    /// The points inside the outline that was just closed, and what they do to the selection.
    pub lassoed: Option<(Bits, Join)>,
}

/// The state of one map: camera, tool, and what was derived from the present cloud.
#[derive(Default)]
pub struct CloudView {
    /// Which renderer is asked for.
    pub renderer: Renderer,
    /// What a drag does.
    pub tool: Tool,
    /// What a fence does.
    pub join: Join,
    /// Lines of equal density are drawn.
    pub contours: bool,
    /// From where three dimensions are seen.
    pub orbit: Orbit,
    /// `None` while all points are in view, however they move.
    camera: Option<Camera>,
    shown: Option<Shown>,
    outline: Vec<[f32; 2]>,
    density: DensityTexture,
    pointed: Pointed,
}

/// The cloud as it is seen now, and what was derived from it.
struct Shown {
    map: u64,
    /// Of the places that were shown last.
    revision: u64,
    codes: Arc<Vec<u8>>,
    orbit: Orbit,
    /// The places on their way, and where they come from while they are.
    places: Vec<[f32; 3]>,
    from: Option<(Vec<[f32; 3]>, Instant)>,
    has_depth: bool,
    middle: [f32; 3],
    cloud: Arc<Cloud>,
    /// Changes whenever the cloud does.
    drawn: u64,
    bounds: [f32; 4],
    grid: Option<PickGrid>,
    in_view: Option<(Camera, [usize; 2], usize)>,
    lines: Option<(Camera, [usize; 2], Vec<Contour>)>,
}

/// Points that a software adapter draws as discs in good time.
const SOFTWARE_POINTS: usize = 20_000;
/// Points that any real graphics processor draws at 60 frames a second.
const HARDWARE_POINTS: usize = 1_000_000;
/// How far beside a point the pointer may be, in points of the screen.
const REACH: f32 = 8.0;
/// Names written into the map at most.
const LABELS: usize = 40;
/// How long places take from one state of a map to the next.
const MORPH: Duration = Duration::from_millis(350);
/// More points than this go there at once.
const MORPH_POINTS: usize = 1_000_000;

impl CloudView {
    /// The row of controls above the map.
    pub fn toolbar(&mut self, ui: &mut Ui) {
        ui.selectable_value(&mut self.tool, Tool::Pan, "Pan").on_hover_text("Drag moves the map");
        ui.selectable_value(&mut self.tool, Tool::Lasso, "Lasso")
            .on_hover_text("Drag around points to select them (or hold Shift while dragging)");
        ui.selectable_value(&mut self.tool, Tool::Box, "Box")
            .on_hover_text("Drag a box around points to select them");
        if self.tool != Tool::Pan {
            for (join, text, help) in [
                (Join::Replace, "New", "What is fenced in becomes the selection"),
                (Join::Add, "Add", "What is fenced in comes to the selection (or hold Ctrl)"),
                (Join::Subtract, "Subtract", "What is fenced in leaves the selection (or hold Alt)"),
            ] {
                ui.selectable_value(&mut self.join, join, text).on_hover_text(help);
            }
        }
        if ui.button("Fit").on_hover_text("Show all points").clicked() {
            self.camera = None;
            self.orbit = Orbit::default();
        }
        ui.toggle_value(&mut self.contours, "Contours").on_hover_text("Lines of equal density");
        ui.separator();
        for (renderer, text, help) in [
            (Renderer::Auto, "Auto", "Points where they are cheap, density elsewhere"),
            (Renderer::Points, "Points", "One disc a point, on the graphics adapter"),
            (Renderer::Density, "Density", "Counted per pixel on the processor"),
        ] {
            ui.selectable_value(&mut self.renderer, renderer, text).on_hover_text(help);
        }
    }

    /// Draws the map into what is left of `ui` and takes the pointer's wishes.
    pub fn show(&mut self, ui: &mut Ui, theme: &Theme, scene: &Scene<'_>) -> Touched {
        let size = ui.available_size().max(vec2(120.0, 120.0));
        let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let on_its_way = self.learn(scene);
        if on_its_way {
            ui.request_repaint();
        }
        let Some(cloud) = self.shown.as_ref().map(|shown| Arc::clone(&shown.cloud)) else {
            return Touched::default();
        };
        let mut camera = self.camera_of(rect);
        let before = camera;
        let mut touched = Touched::default();
        let fit_again = self.steer(ui, &response, rect, &mut camera, &cloud, &mut touched);
        if camera != before && !fit_again {
            self.camera = Some(camera);
        }
        let pixels_per_point = ui.pixels_per_point();
        let drawing = Drawing {
            view: response.id,
            revision: self.shown.as_ref().map_or(0, |shown| shown.drawn),
            cloud: Arc::clone(&cloud),
            palette: Arc::clone(scene.palette),
            selected: scene.selected.map(Arc::clone),
            camera: Camera { zoom: camera.zoom * pixels_per_point, ..camera },
            radius_px: (radius(cloud.xy.len()) * pixels_per_point).max(1.0),
            ground: theme.background,
        };
        let pixels =
            [rect.width(), rect.height()].map(|side| (side * pixels_per_point).round().max(1.0) as usize);
        let moves = on_its_way || camera != before;
        let (how, counted) = self.draw(ui, rect, drawing, (pixels, moves));
        let visible = counted.unwrap_or_else(|| self.count_in_view(&cloud, camera, rect));
        self.decorate(ui, theme, scene, (rect, camera), visible);
        let status = format!("{visible} of {} points in view, {how}", cloud.xy.len());
        let at = rect.left_bottom() + vec2(8.0, -6.0);
        ui.painter().text(at, Align2::LEFT_BOTTOM, &status, FontId::proportional(11.5), theme.weak_text);
        let chosen = scene.selected.map_or(0, |bits| bits.count());
        response.widget_info(|| {
            WidgetInfo::labeled(Role::Figure, true, format!("{}: {status}, {chosen} selected", scene.name))
        });
        // A card that follows the hand would hide what is being moved.
        if let Some(pointer) = response.hover_pos().filter(|_| !response.dragged()) {
            touched.hovered = self.pick(ui.ctx(), &cloud, (camera, rect), pointer);
            touched.clicked = touched.hovered.filter(|_| response.clicked());
        }
        touched
    }

    /// Brings the cloud up to the scene; true while points are on their way or it is turned.
    fn learn(&mut self, scene: &Scene<'_>) -> bool {
        let same_points = self.shown.as_ref().is_some_and(|shown| shown.places.len() == scene.places.len());
        if self.shown.as_ref().is_none_or(|shown| shown.map != scene.map) || !same_points {
            self.camera = None;
            self.outline.clear();
        }
        let places_changed = self
            .shown
            .as_ref()
            .is_none_or(|shown| (shown.map, shown.revision) != (scene.map, scene.revision));
        let mut shown = self.shown.take().filter(|_| same_points).unwrap_or_else(|| Shown::new(scene));
        if places_changed && same_points {
            shown.set_out(scene);
        }
        let turned = shown.orbit != self.orbit;
        let moving = shown.go_on(scene) || turned;
        let coloured = !Arc::ptr_eq(&shown.codes, scene.codes);
        if moving || places_changed || coloured {
            shown.orbit = self.orbit;
            shown.codes = Arc::clone(scene.codes);
            shown.redraw();
        }
        self.shown = Some(shown);
        moving
    }

    fn camera_of(&self, rect: Rect) -> Camera {
        let bounds = self.shown.as_ref().map_or([0.0; 4], |shown| shown.bounds);
        self.camera.unwrap_or_else(|| Camera::fit(bounds, rect.size().into()))
    }

    fn steer(
        &mut self,
        ui: &Ui,
        response: &Response,
        rect: Rect,
        camera: &mut Camera,
        cloud: &Cloud,
        touched: &mut Touched,
    ) -> bool {
        let size: [f32; 2] = rect.size().into();
        let fit_again = response.double_clicked();
        if fit_again {
            self.camera = None;
            *camera = self.camera_of(rect);
        }
        if let Some(pointer) = response.hover_pos() {
            // Taken away, so that a surrounding scroll area does not move as well.
            let factor = ui.input_mut(|input| {
                let scrolled = std::mem::take(&mut input.smooth_scroll_delta).y;
                input.zoom_delta() * (scrolled / 240.0).exp()
            });
            if (factor - 1.0).abs() > 1e-6 {
                camera.zoom_about((pointer - rect.min).into(), size, factor);
            }
        }
        let (shift, ctrl, alt) =
            ui.input(|input| (input.modifiers.shift, input.modifiers.command, input.modifiers.alt));
        let fencing = self.tool != Tool::Pan || shift;
        let has_depth = self.shown.as_ref().is_some_and(|shown| shown.has_depth);
        if response.dragged() {
            let drag: [f32; 2] = response.drag_delta().into();
            if response.dragged_by(egui::PointerButton::Secondary) || !(fencing || has_depth) {
                if self.outline.is_empty() {
                    camera.pan(drag);
                }
            } else if !fencing && self.outline.is_empty() {
                self.orbit.drag(drag);
            }
            let fence =
                (fencing || !self.outline.is_empty()).then(|| response.interact_pointer_pos()).flatten();
            if let Some(pointer) = fence {
                if self.outline.is_empty()
                    && let Some(from) = ui.input(|input| input.pointer.press_origin())
                {
                    // A drag is known to be one only some way from where it began.
                    self.fence(camera.world_from_screen((from - rect.min).into(), size));
                }
                self.fence(camera.world_from_screen((pointer - rect.min).into(), size));
            }
        }
        if response.drag_stopped() {
            let outline = std::mem::take(&mut self.outline);
            let join = match (ctrl, alt) {
                (true, _) => Join::Add,
                (_, true) => Join::Subtract,
                _ => self.join,
            };
            touched.lassoed =
                Lasso::new(outline).map(|lasso| (priority::in_front(|| lasso.select(cloud)), join));
        }
        let icon = if fencing { CursorIcon::Crosshair } else { CursorIcon::Grab };
        response.clone().on_hover_cursor(icon);
        fit_again
    }

    /// Draws the fence on to a place of the plane.
    fn fence(&mut self, at: [f32; 2]) {
        match (self.tool, self.outline.first().copied()) {
            (Tool::Box, Some(from)) => self.outline = vec![from, [at[0], from[1]], at, [from[0], at[1]]],
            _ => self.outline.push(at),
        }
    }

    /// Draws with the renderer that fits; says which, and how many points are in view where it has counted them.
    fn draw(
        &mut self,
        ui: &Ui,
        rect: Rect,
        drawing: Drawing,
        (pixels, moves): ([usize; 2], bool),
    ) -> (String, Option<usize>) {
        let total = drawing.cloud.xy.len();
        let adapter = gpu_view::adapter(ui.ctx());
        let as_points =
            adapter.filter(|adapter| total <= adapter.max_points).filter(|adapter| match self.renderer {
                Renderer::Points => true,
                Renderer::Density => false,
                Renderer::Auto if adapter.is_software => total <= SOFTWARE_POINTS,
                Renderer::Auto => total <= HARDWARE_POINTS,
            });
        if let Some(adapter) = as_points {
            ui.painter().add(gpu_view::paint_points(rect, drawing));
            return (format!("drawn as points by {}", adapter.name), None);
        }
        let spread = if total <= SOFTWARE_POINTS { 2 } else { usize::from(total <= HARDWARE_POINTS / 4) };
        // Counting a crowd takes as long as a frame: it is done beside the frames while the map moves.
        let moves = moves && total > SOFTWARE_POINTS;
        if moves {
            ui.request_repaint();
        }
        let (ground, mut visible) = (drawing.ground, None);
        if let Some(density) = self.density.update(ui.ctx(), &drawing, (rect, pixels, moves), spread) {
            gpu_view::covers(ui, rect);
            let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
            for bare in gpu_view::around(rect, density.place) {
                painter.rect_filled(bare, 0.0, ground);
            }
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(density.texture.id(), density.place, whole, Color32::WHITE);
            visible = Some(density.visible);
        }
        (format!("drawn as density by {}", self.density.counted_by()), visible)
    }

    fn count_in_view(&mut self, cloud: &Cloud, camera: Camera, rect: Rect) -> usize {
        let Some(shown) = &mut self.shown else { return 0 };
        let size = [rect.width() as usize, rect.height() as usize];
        match shown.in_view {
            Some((at, of, count)) if at == camera && of == size => count,
            _ => {
                let view = View { camera, size, palette: &[], selected: None };
                let count = priority::in_front(|| count_visible(cloud, &view));
                shown.in_view = Some((camera, size, count));
                count
            }
        }
    }

    /// Contours, arrows, captions, rings, names and the open outline.
    fn decorate(
        &mut self,
        ui: &Ui,
        theme: &Theme,
        scene: &Scene<'_>,
        (rect, camera): (Rect, Camera),
        visible: usize,
    ) {
        let painter = ui.painter().with_clip_rect(rect);
        let size: [f32; 2] = rect.size().into();
        let screen = |world: [f32; 2]| {
            let [x, y] = camera.screen_from_world(world, size);
            rect.min + vec2(x, y)
        };
        if self.contours {
            self.draw_contours(&painter, theme, rect, camera);
        }
        let Some(shown) = &self.shown else { return };
        let arrows: Vec<[Pos2; 2]> = scene
            .arrows
            .iter()
            .filter_map(|(point, from)| {
                Some([screen(shown.flat(*from)), screen(*shown.cloud.xy.get(*point)?)])
            })
            .collect();
        map_shapes::arrows(&painter, theme, &arrows);
        let mut names = map_shapes::Names::new(&painter, theme);
        for (order, &point) in scene.marks.iter().enumerate() {
            if let Some(&world) = shown.cloud.xy.get(point) {
                let colour = if order == 0 { theme.accent } else { theme.text };
                painter.circle_stroke(screen(world), 7.0, Stroke::new(1.5, colour));
                names.write(screen(world), &(scene.label)(point), true);
            }
        }
        for (at, words) in scene.captions {
            names.caption(screen(shown.flat(*at)), words);
        }
        if visible <= 10 * LABELS {
            let view = View {
                camera,
                size: [rect.width() as usize, rect.height() as usize],
                palette: &[],
                selected: None,
            };
            for point in visible_points(&shown.cloud, &view).take(LABELS) {
                if !scene.marks.contains(&point) {
                    names.write(screen(shown.cloud.xy[point]), &(scene.label)(point), false);
                }
            }
        }
        if self.outline.len() > 1 {
            let line: Vec<Pos2> = self.outline.iter().map(|&world| screen(world)).collect();
            painter.add(Shape::closed_line(line, Stroke::new(1.5, theme.accent)));
        }
    }

    /// Lines are computed anew when points or view changed.
    fn draw_contours(&mut self, painter: &egui::Painter, theme: &Theme, rect: Rect, camera: Camera) {
        let Some(shown) = &mut self.shown else { return };
        let size = [rect.width() as usize, rect.height() as usize];
        let known = shown.lines.take().filter(|(at, of, _)| *at == camera && *of == size);
        let (_, _, lines) = shown.lines.insert(known.unwrap_or_else(|| {
            let lines = priority::in_front(|| contours(&shown.cloud, camera, rect.size().into()));
            (camera, size, lines)
        }));
        map_shapes::contours(painter, theme, rect, lines);
    }

    fn pick(
        &mut self,
        context: &egui::Context,
        cloud: &Cloud,
        (camera, rect): (Camera, Rect),
        pointer: Pos2,
    ) -> Option<usize> {
        let shown = self.shown.as_mut()?;
        // Points on their way are not sorted for every step.
        if shown.from.is_some() {
            return None;
        }
        let world = camera.world_from_screen((pointer - rect.min).into(), rect.size().into());
        let reach = REACH / camera.zoom;
        // Sorting a crowd into a grid would hold the window up.
        if shown.grid.is_none() && cloud.xy.len() > HARDWARE_POINTS {
            let found = self.pointed.nearest(context, (cloud, shown.drawn), world, reach);
            if let Some(point) = found {
                return point;
            }
        }
        let grid = shown.grid.get_or_insert_with(|| PickGrid::new(cloud));
        grid.nearest(cloud, world, reach)
    }
}

impl Shown {
    fn new(scene: &Scene<'_>) -> Self {
        let mut shown = Self {
            map: scene.map,
            revision: scene.revision,
            codes: Arc::clone(scene.codes),
            orbit: Orbit::default(),
            places: scene.places.to_vec(),
            from: None,
            has_depth: false,
            middle: [0.0; 3],
            cloud: Arc::default(),
            drawn: 0,
            bounds: [0.0; 4],
            grid: None,
            in_view: None,
            lines: None,
        };
        shown.redraw();
        shown
    }

    /// The places have changed: from where they are seen they go to the new ones.
    fn set_out(&mut self, scene: &Scene<'_>) {
        (self.map, self.revision) = (scene.map, scene.revision);
        let fits = scene.places.len() <= MORPH_POINTS;
        self.from = fits.then(|| (std::mem::take(&mut self.places), Instant::now()));
        self.places = match &self.from {
            Some((from, _)) => from.clone(),
            None => scene.places.to_vec(),
        };
    }

    /// Goes a step towards the scene's places; false once they are reached.
    fn go_on(&mut self, scene: &Scene<'_>) -> bool {
        let Some((from, since)) = &self.from else { return false };
        let share = since.elapsed().as_secs_f32() / MORPH.as_secs_f32();
        if share >= 1.0 {
            self.places = scene.places.to_vec();
            self.from = None;
            return true;
        }
        // Slow at both ends.
        let share = share * share * (3.0 - 2.0 * share);
        for ((place, from), to) in self.places.iter_mut().zip(from).zip(scene.places) {
            for axis in 0..3 {
                place[axis] = from[axis] + share * (to[axis] - from[axis]);
            }
        }
        true
    }

    /// Where a place beside the points is seen.
    fn flat(&self, place: [f32; 3]) -> [f32; 2] {
        let flat = self.orbit.flatten(&[place], self.middle);
        flat.first().copied().unwrap_or_default()
    }

    fn redraw(&mut self) {
        let (low, high) = map_shapes::extent(&self.places);
        self.has_depth = high[2] > low[2];
        self.middle = [0, 1, 2].map(|axis| (low[axis] + high[axis]) / 2.0);
        let xy = self.orbit.flatten(&self.places, self.middle);
        self.cloud = Arc::new(Cloud { xy, codes: self.codes.to_vec() });
        self.drawn += 1;
        // A cloud that is turned stays within the ball around it.
        self.bounds = if self.has_depth {
            let radius = (0..3).map(|axis| (high[axis] - low[axis]).powi(2)).sum::<f32>().sqrt() / 2.0;
            let [x, y, _] = self.middle;
            [x - radius, y - radius, x + radius, y + radius]
        } else {
            self.cloud.bounds().unwrap_or_default()
        };
        self.grid = None;
        self.in_view = None;
        self.lines = None;
    }
}

/// How many points are in view: in a frame that moves a crowd, on all cores.
fn count_visible(cloud: &Cloud, view: &View<'_>) -> usize {
    let size = view.size.map(|side| side as f32);
    let seen = |world: &&[f32; 2]| is_inside(view.camera.screen_from_world(**world, size), size);
    cloud.xy.par_iter().with_min_len(1 << 14).filter(seen).count()
}

fn is_inside([x, y]: [f32; 2], size: [f32; 2]) -> bool {
    x >= 0.0 && y >= 0.0 && x < size[0] && y < size[1]
}

fn visible_points<'a>(cloud: &'a Cloud, view: &View<'_>) -> impl Iterator<Item = usize> + 'a {
    let size = view.size.map(|side| side as f32);
    let camera = view.camera;
    cloud.xy.iter().enumerate().filter_map(move |(place, &world)| {
        is_inside(camera.screen_from_world(world, size), size).then_some(place)
    })
}

/// Radius of a point: the fewer, the larger.
fn radius(points: usize) -> f32 {
    match points {
        0..=200 => 4.5,
        201..=2_000 => 3.2,
        2_001..=20_000 => 2.2,
        _ => 1.5,
    }
}
