//! A map of points that can be panned, zoomed, asked and fenced in.

use crate::gpu::density::View;
use crate::gpu::{Bits, Camera, Cloud, Lasso, PickGrid};
use crate::ui::Theme;
use crate::ui::gpu_view::{self, DensityTexture, Drawing};
use egui::{
    Align2, Color32, CursorIcon, FontId, Pos2, Rect, Response, Role, Sense, Shape, Stroke, Ui, WidgetInfo,
    pos2, vec2,
};
use std::sync::Arc;

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
}

/// What is to be shown in this frame.
pub struct Scene<'a> {
    /// Accessible name.
    pub name: &'a str,
    /// Changes whenever the cloud or its codes do.
    pub revision: u64,
    /// The points.
    pub cloud: &'a Arc<Cloud>,
    /// Colours by code.
    pub palette: &'a Arc<Vec<[u8; 3]>>,
    /// The selection, if there is one.
    pub selected: Option<&'a Arc<Bits>>,
    /// Points to ring: the one in focus first, then its neighbours.
    pub marks: &'a [usize],
    /// Name of a point, drawn beside it where there is room.
    pub label: &'a dyn Fn(usize) -> String,
}

/// What the pointer did.
#[derive(Default)]
pub struct Touched {
    /// The point under the pointer.
    pub hovered: Option<usize>,
    /// The point that was clicked.
    pub clicked: Option<usize>,
    /// The points inside the outline that was just closed.
    pub lassoed: Option<Bits>,
}

/// The state of one map: camera, tool, and what was derived from the present cloud.
#[derive(Default)]
pub struct CloudView {
    /// Which renderer is asked for.
    pub renderer: Renderer,
    /// What a drag does.
    pub tool: Tool,
    camera: Option<Camera>,
    known: Option<Known>,
    outline: Vec<[f32; 2]>,
    density: DensityTexture,
}

struct Known {
    revision: u64,
    xy: Vec<[f32; 2]>,
    bounds: [f32; 4],
    grid: PickGrid,
    in_view: Option<(Camera, [usize; 2], usize)>,
}

/// Points that a software adapter draws as discs in good time.
const SOFTWARE_POINTS: usize = 20_000;
/// Points that any real graphics processor draws at 60 frames a second.
const HARDWARE_POINTS: usize = 1_000_000;
/// How far beside a point the pointer may be, in points of the screen.
const REACH: f32 = 8.0;
/// Names written into the map at most.
const LABELS: usize = 40;

impl CloudView {
    /// The row of controls above the map.
    pub fn toolbar(&mut self, ui: &mut Ui) {
        ui.selectable_value(&mut self.tool, Tool::Pan, "Pan").on_hover_text("Drag moves the map");
        ui.selectable_value(&mut self.tool, Tool::Lasso, "Lasso")
            .on_hover_text("Drag around points to select them (or hold Shift while dragging)");
        if ui.button("Fit").on_hover_text("Show all points").clicked() {
            self.camera = None;
        }
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
        ui.painter().rect_filled(rect, 4.0, theme.background);
        self.learn(scene);
        let mut camera = self.camera_of(rect);
        let mut touched = Touched::default();
        self.steer(ui, &response, rect, &mut camera, scene.cloud, &mut touched);
        self.camera = Some(camera);
        let pixels_per_point = ui.pixels_per_point();
        let drawing = Drawing {
            view: response.id,
            revision: scene.revision,
            cloud: Arc::clone(scene.cloud),
            palette: Arc::clone(scene.palette),
            selected: scene.selected.map(Arc::clone),
            camera: Camera { zoom: camera.zoom * pixels_per_point, ..camera },
            radius_px: (radius(scene.cloud.xy.len()) * pixels_per_point).max(1.0),
        };
        let pixels =
            [rect.width(), rect.height()].map(|side| (side * pixels_per_point).round().max(1.0) as usize);
        let how = self.draw(ui, rect, drawing, pixels);
        let visible = self.count_in_view(scene.cloud, camera, rect);
        self.decorate(ui, theme, scene, rect, camera, visible);
        let status = format!("{visible} of {} points in view, {how}", scene.cloud.xy.len());
        let at = rect.left_bottom() + vec2(8.0, -6.0);
        ui.painter().text(at, Align2::LEFT_BOTTOM, &status, FontId::proportional(11.5), theme.weak_text);
        let chosen = scene.selected.map_or(0, |bits| bits.count());
        response.widget_info(|| {
            WidgetInfo::labeled(Role::Figure, true, format!("{}: {status}, {chosen} selected", scene.name))
        });
        if let Some(pointer) = response.hover_pos() {
            touched.hovered = self.pick(scene.cloud, camera, rect, pointer);
            touched.clicked = touched.hovered.filter(|_| response.clicked());
        }
        touched
    }

    /// Builds what depends on the cloud alone, once a revision; positions that changed are fitted anew.
    fn learn(&mut self, scene: &Scene<'_>) {
        let known = self.known.as_ref().map(|known| known.revision);
        if known == Some(scene.revision) {
            return;
        }
        let moved = self.known.as_ref().is_none_or(|known| known.xy != scene.cloud.xy);
        if moved {
            self.camera = None;
            self.outline.clear();
        }
        self.known = Some(Known {
            revision: scene.revision,
            xy: scene.cloud.xy.clone(),
            bounds: scene.cloud.bounds().unwrap_or_default(),
            grid: PickGrid::new(scene.cloud),
            in_view: None,
        });
    }

    fn camera_of(&self, rect: Rect) -> Camera {
        let bounds = self.known.as_ref().map_or([0.0; 4], |known| known.bounds);
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
    ) {
        let size: [f32; 2] = rect.size().into();
        if response.double_clicked() {
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
        let fencing = self.tool == Tool::Lasso || ui.input(|input| input.modifiers.shift);
        if response.dragged() {
            if fencing || !self.outline.is_empty() {
                if let Some(pointer) = response.interact_pointer_pos() {
                    self.outline.push(camera.world_from_screen((pointer - rect.min).into(), size));
                }
            } else {
                camera.pan(response.drag_delta().into());
            }
        }
        if response.drag_stopped() {
            let outline = std::mem::take(&mut self.outline);
            touched.lassoed = Lasso::new(outline).map(|lasso| lasso.select(cloud));
        }
        let icon = if fencing { CursorIcon::Crosshair } else { CursorIcon::Grab };
        response.clone().on_hover_cursor(icon);
    }

    /// Draws with the renderer that fits and says which.
    fn draw(&mut self, ui: &Ui, rect: Rect, drawing: Drawing, pixels: [usize; 2]) -> String {
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
            return format!("drawn as points by {}", adapter.name);
        }
        let spread = if total <= SOFTWARE_POINTS { 2 } else { usize::from(total <= HARDWARE_POINTS / 4) };
        if let Some(texture) = self.density.update(ui.ctx(), &drawing, pixels, spread) {
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            ui.painter().image(texture.id(), rect, whole, Color32::WHITE);
        }
        "drawn as density by the processor".to_owned()
    }

    fn count_in_view(&mut self, cloud: &Cloud, camera: Camera, rect: Rect) -> usize {
        let Some(known) = &mut self.known else { return 0 };
        let size = [rect.width() as usize, rect.height() as usize];
        match known.in_view {
            Some((at, of, count)) if at == camera && of == size => count,
            _ => {
                let view = View { camera, size, palette: &[], selected: None };
                let count = visible_points(cloud, &view).count();
                known.in_view = Some((camera, size, count));
                count
            }
        }
    }

    /// Rings, names and the open outline.
    fn decorate(
        &self,
        ui: &Ui,
        theme: &Theme,
        scene: &Scene<'_>,
        rect: Rect,
        camera: Camera,
        visible: usize,
    ) {
        let painter = ui.painter().with_clip_rect(rect);
        let size: [f32; 2] = rect.size().into();
        let screen = |world: [f32; 2]| {
            let [x, y] = camera.screen_from_world(world, size);
            rect.min + vec2(x, y)
        };
        let mut taken: Vec<Rect> = Vec::new();
        let mut write = |point: usize, strong: bool| {
            let Some(&world) = scene.cloud.xy.get(point) else { return };
            let colour = if strong { theme.text } else { theme.weak_text };
            let galley = painter.layout_no_wrap((scene.label)(point), FontId::proportional(11.5), colour);
            let place = Rect::from_min_size(screen(world) + vec2(7.0, -7.0), galley.size());
            if strong || !taken.iter().any(|other| other.intersects(place)) {
                painter.galley(place.min, galley, colour);
                taken.push(place);
            }
        };
        for (order, &point) in scene.marks.iter().enumerate() {
            if let Some(&world) = scene.cloud.xy.get(point) {
                let colour = if order == 0 { theme.accent } else { theme.text };
                painter.circle_stroke(screen(world), 7.0, Stroke::new(1.5, colour));
                write(point, true);
            }
        }
        if visible <= 10 * LABELS {
            let view = View {
                camera,
                size: [rect.width() as usize, rect.height() as usize],
                palette: &[],
                selected: None,
            };
            for point in visible_points(scene.cloud, &view).take(LABELS) {
                if !scene.marks.contains(&point) {
                    write(point, false);
                }
            }
        }
        if self.outline.len() > 1 {
            let line: Vec<Pos2> = self.outline.iter().map(|&world| screen(world)).collect();
            painter.add(Shape::closed_line(line, Stroke::new(1.5, theme.accent)));
        }
    }

    fn pick(&self, cloud: &Cloud, camera: Camera, rect: Rect, pointer: Pos2) -> Option<usize> {
        let world = camera.world_from_screen((pointer - rect.min).into(), rect.size().into());
        self.known.as_ref()?.grid.nearest(cloud, world, REACH / camera.zoom)
    }
}

fn visible_points<'a>(cloud: &'a Cloud, view: &View<'_>) -> impl Iterator<Item = usize> + 'a {
    let size = view.size.map(|side| side as f32);
    let camera = view.camera;
    cloud.xy.iter().enumerate().filter_map(move |(place, &world)| {
        let [x, y] = camera.screen_from_world(world, size);
        let inside = x >= 0.0 && y >= 0.0 && x < size[0] && y < size[1];
        inside.then_some(place)
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
