//! How do our draw passes get into egui's frame? A paint callback, and a texture where there is no processor
//! for graphics.

use crate::gpu::counting::{CountingBuffers, CountingPass};
use crate::gpu::density::{DensityGrid, View};
use crate::gpu::pointing::{Nearest, PointingBuffers, PointingPass};
use crate::gpu::points::{Look, PointsBuffers, PointsPass};
use crate::gpu::{Bits, Camera, Cloud};
use crate::jobs::priority;

use eframe::egui_wgpu::{Callback, CallbackResources, CallbackTrait, RenderState, ScreenDescriptor, wgpu};
use egui::{Color32, ColorImage, Id, PaintCallbackInfo, Rect, TextureHandle, TextureOptions};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// What draws on this machine. Found once, when the window opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its name, for people.
    pub name: String,
    /// True where the processor itself plays the graphics card.
    pub is_software: bool,
    /// Points that fit into its largest buffer.
    pub max_points: usize,
}

/// Builds the passes for the window's device and remembers the adapter. Call once, when the window opens.
pub fn install(state: &RenderState, context: &egui::Context) {
    let info = state.adapter.get_info();
    let counter = CountingPass::on(&state.device, &state.queue, &info).map(Arc::new);
    let pointer = PointingPass::on(&state.device, &state.queue, &info).map(Arc::new);
    let adapter = Adapter {
        name: info.name,
        is_software: info.device_type == wgpu::DeviceType::Cpu,
        max_points: (state.device.limits().max_buffer_size / 8) as usize,
    };
    let pass = PointsPass::new(&state.device, state.target_format);
    state.renderer.write().callback_resources.insert(Installed { pass, clouds: Vec::new() });
    context.data_mut(|data| {
        data.insert_temp(adapter_id(), adapter);
        data.insert_temp(counter_id(), counter);
        data.insert_temp(pointer_id(), pointer);
    });
}

/// Who counts points per pixel faster than the processor; `None` where nobody does.
fn counter(context: &egui::Context) -> Option<Arc<CountingPass>> {
    context.data(|data| data.get_temp::<Option<Arc<CountingPass>>>(counter_id())).flatten()
}

fn counter_id() -> Id {
    Id::unique("graphics counter")
}

fn pointer_id() -> Id {
    Id::unique("graphics pointer")
}

/// A cloud on a graphics processor that is asked what lies under the cursor.
#[derive(Default)]
pub struct Pointed {
    uploaded: Option<(u64, PointingBuffers)>,
}

impl Pointed {
    /// The point of the cloud of this revision nearest to `world`, at most `reach` away, or that there is none. `None`
    /// where no graphics processor answers.
    pub fn nearest(
        &mut self,
        context: &egui::Context,
        (cloud, revision): (&Cloud, u64),
        world: [f32; 2],
        reach: f32,
    ) -> Option<Option<usize>> {
        let pass = context.data(|data| data.get_temp::<Option<Arc<PointingPass>>>(pointer_id())).flatten()?;
        if self.uploaded.as_ref().is_none_or(|(known, _)| *known != revision) {
            self.uploaded = Some((revision, pass.upload(cloud).ok()?));
        }
        let (_, buffers) = self.uploaded.as_ref()?;
        match pass.nearest(cloud, buffers, world, reach) {
            Ok(Nearest::Known(point)) => Some(point),
            // Said by the window when its device is lost; the processor answers meanwhile.
            Ok(Nearest::TooMany) | Err(_) => None,
        }
    }
}

/// What [`install`] found; `None` when it was not called (a window without wgpu, some tests).
pub fn adapter(context: &egui::Context) -> Option<Adapter> {
    context.data(|data| data.get_temp(adapter_id()))
}

fn adapter_id() -> Id {
    Id::unique("graphics adapter")
}

/// A cloud as one view shows it in this frame.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// The view that draws; two views of one cloud have their own buffers.
    pub view: Id,
    /// Changes whenever `cloud` does.
    pub revision: u64,
    /// The points.
    pub cloud: Arc<Cloud>,
    /// Colours by code.
    pub palette: Arc<Vec<[u8; 3]>>,
    /// The selection; `None` when nothing is selected.
    pub selected: Option<Arc<Bits>>,
    /// What is in view, in physical pixels.
    pub camera: Camera,
    /// Radius of a point in physical pixels.
    pub radius_px: f32,
    /// What is seen where no point is.
    pub ground: Color32,
}

/// The shape that draws the points on the graphics processor into `rect`.
pub fn paint_points(rect: Rect, drawing: Drawing) -> egui::Shape {
    Callback::new_paint_callback(rect, PointsCallback { drawing, rect }).into()
}

struct Installed {
    pass: PointsPass,
    clouds: Vec<Uploaded>,
}

struct Uploaded {
    view: Id,
    revision: u64,
    buffers: PointsBuffers,
    selected: Option<Arc<Bits>>,
}

/// Clouds kept on the device; the one unused for longest goes first.
const CLOUDS_KEPT: usize = 3;

struct PointsCallback {
    drawing: Drawing,
    rect: Rect,
}

impl CallbackTrait for PointsCallback {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(Installed { pass, clouds }) = resources.get_mut() else {
            return Vec::new();
        };
        let Some(uploaded) = uploaded(device, pass, clouds, &self.drawing) else {
            return Vec::new();
        };
        let drawing = &self.drawing;
        if let Some(bits) = &drawing.selected
            && !uploaded.selected.as_ref().is_some_and(|known| Arc::ptr_eq(known, bits))
        {
            pass.select(queue, &uploaded.buffers, bits);
            uploaded.selected = Some(Arc::clone(bits));
        }
        let look = Look {
            camera: drawing.camera,
            size: [self.rect.width() * screen.pixels_per_point, self.rect.height() * screen.pixels_per_point],
            radius_px: drawing.radius_px,
            opacity: 0.85,
            palette: &drawing.palette,
            any_selected: drawing.selected.is_some(),
        };
        pass.set_look(queue, &uploaded.buffers, &look);
        Vec::new()
    }

    fn paint(
        &self,
        _info: PaintCallbackInfo,
        render_pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        let Some(Installed { pass, clouds }) = resources.get() else {
            return;
        };
        if let Some(uploaded) = clouds.iter().find(|uploaded| uploaded.view == self.drawing.view) {
            pass.draw(render_pass, &uploaded.buffers);
        }
    }
}

/// The view's buffers, uploaded if they are not there yet. `None` for a cloud beyond the device's limits,
/// which [`Adapter::max_points`] keeps callers from asking for.
fn uploaded<'a>(
    device: &wgpu::Device,
    pass: &PointsPass,
    clouds: &'a mut Vec<Uploaded>,
    drawing: &Drawing,
) -> Option<&'a mut Uploaded> {
    let known = |uploaded: &Uploaded| uploaded.view == drawing.view && uploaded.revision == drawing.revision;
    if !clouds.iter().any(known) {
        clouds.retain(|uploaded| uploaded.view != drawing.view);
        if clouds.len() >= CLOUDS_KEPT {
            clouds.remove(0);
        }
        clouds.push(Uploaded {
            view: drawing.view,
            revision: drawing.revision,
            buffers: pass.upload(device, &drawing.cloud).ok()?,
            selected: None,
        });
    }
    clouds.iter_mut().find(|uploaded| known(uploaded))
}

/// A cloud as a texture that is counted anew only when something changed.
#[derive(Default)]
pub struct DensityTexture {
    texture: Option<TextureHandle>,
    made: Option<Made>,
    /// The cloud on a graphics processor that counts.
    uploaded: Uploads,
    /// The picture that is being counted for a frame to come, and since when the last one was.
    coming: Option<Receiver<Counted>>,
    begun: Option<Instant>,
}

/// A cloud on a graphics processor that counts, by its revision.
type Uploads = Option<(u64, CountingBuffers)>;

/// What the texture shows.
struct Made {
    drawing: Drawing,
    size: [usize; 2],
    coarse: bool,
    /// Points in the picture.
    visible: usize,
    /// Who counted them: `None` for the processor.
    by: Option<String>,
    /// How long that took.
    took: Duration,
}

/// Of the time in which a map is moved, counting takes one part in so many at most: the frames need the same cores.
const COUNTS: u32 = 3;

/// A picture with what was counted for it.
struct Counted {
    image: ColorImage,
    made: Made,
    uploaded: Uploads,
}

/// What there is to be shown.
pub struct Density<'a> {
    /// The picture, opaque.
    pub texture: &'a TextureHandle,
    /// Where it belongs: `rect` itself, or beside it while another view of the points is still being counted.
    pub place: Rect,
    /// Points in the picture.
    pub visible: usize,
}

impl DensityTexture {
    /// The picture of `drawing` in `rect` of `size` pixels on its ground, which shows nowhere through; lone points are
    /// spread over `spread` pixels. `moves`: the picture may be the last one, put where it belongs now, while the next is
    /// counted beside the frames, into pixels of twice the size.
    pub fn update(
        &mut self,
        context: &egui::Context,
        drawing: &Drawing,
        (rect, size, moves): (Rect, [usize; 2], bool),
        spread: usize,
    ) -> Option<Density<'_>> {
        let is_known = self
            .made
            .as_ref()
            .is_some_and(|made| made.size == size && (moves || !made.coarse) && same(&made.drawing, drawing));
        if !is_known {
            self.ask(context, drawing, (size, moves), spread);
        }
        let (texture, made) = (self.texture.as_ref()?, self.made.as_ref()?);
        Some(Density { texture, place: place_of(made, drawing, (rect, size)), visible: made.visible })
    }

    /// Counts the picture, or has it counted where the last one will do for a frame.
    fn ask(
        &mut self,
        context: &egui::Context,
        drawing: &Drawing,
        (size, moves): ([usize; 2], bool),
        spread: usize,
    ) {
        let done = self.coming.as_ref().and_then(|coming| coming.try_recv().ok());
        if let Some(counted) = done {
            self.coming = None;
            self.take(context, counted);
        }
        let may_wait = moves && self.made.as_ref().is_some_and(|made| made.size == size);
        let took = self.made.as_ref().map_or(Duration::ZERO, |made| made.took);
        let is_soon = self.begun.is_some_and(|begun| begun.elapsed() < COUNTS * took);
        if may_wait && (self.coming.is_some() || is_soon) {
            return;
        }
        self.begun = Some(Instant::now());
        let (counter, uploaded) = (counter(context), self.uploaded.take());
        let drawing = drawing.clone();
        let count = move || counted(counter.as_deref(), uploaded, drawing, (size, moves), spread);
        if !may_wait {
            self.coming = None;
            let counted = priority::in_front(count);
            self.take(context, counted);
            return;
        }
        let (tell, told) = sync_channel(1);
        let context = context.clone();
        priority::start_beside(move || {
            // Nobody listens once the map stands still: it has been counted anew then.
            let _ = tell.send(count());
            context.request_repaint();
        });
        self.coming = Some(told);
    }

    fn take(&mut self, context: &egui::Context, Counted { image, made, uploaded }: Counted) {
        // Mixing four pixels for one takes a software adapter as long as a good part of a frame.
        let mixes = made.coarse && adapter(context).is_some_and(|adapter| !adapter.is_software);
        let options = if mixes { TextureOptions::LINEAR } else { TextureOptions::NEAREST };
        match &mut self.texture {
            Some(texture) => texture.set(image, options),
            None => self.texture = Some(context.load_texture("density", image, options)),
        }
        (self.made, self.uploaded) = (Some(made), uploaded);
    }

    /// Who counted the points.
    pub fn counted_by(&self) -> &str {
        self.made.as_ref().and_then(|made| made.by.as_deref()).unwrap_or("the processor")
    }
}

/// Where a picture lies when `drawing` is to be seen in a rectangle of so many pixels.
fn place_of(made: &Made, drawing: &Drawing, (rect, size): (Rect, [usize; 2])) -> Rect {
    if made.drawing.camera == drawing.camera {
        return rect;
    }
    let pixel = egui::vec2(rect.width() / size[0] as f32, rect.height() / size[1] as f32);
    let [x, y] = drawing.camera.screen_from_world(made.drawing.camera.centre, size.map(|side| side as f32));
    let scale = drawing.camera.zoom / made.drawing.camera.zoom;
    Rect::from_center_size(rect.min + egui::vec2(x, y) * pixel, rect.size() * scale)
}

/// The picture, counted by a graphics processor where there is one that does not fail at it.
fn counted(
    counter: Option<&CountingPass>,
    mut uploaded: Uploads,
    drawing: Drawing,
    (size, coarse): ([usize; 2], bool),
    spread: usize,
) -> Counted {
    let begun = Instant::now();
    let scale = if coarse { 2 } else { 1 };
    let (pixels_of, spread) = (size.map(|side| side.div_ceil(scale)), spread / scale);
    let camera = Camera { zoom: drawing.camera.zoom / scale as f32, ..drawing.camera };
    let seen = Drawing { camera, ..drawing.clone() };
    let by_card = counter.and_then(|pass| {
        if uploaded.as_ref().is_none_or(|(revision, _)| *revision != drawing.revision) {
            uploaded = Some((drawing.revision, pass.upload(&drawing.cloud).ok()?));
        }
        let (_, buffers) = uploaded.as_ref()?;
        pixels(&seen, pixels_of, spread, |view| pass.count(buffers, view).ok())
    });
    let by = counter.filter(|_| by_card.is_some()).map(|pass| pass.adapter().to_owned());
    let own = || pixels(&seen, pixels_of, spread, |view| Some(DensityGrid::count(&drawing.cloud, view)));
    let (colours, visible) = by_card.or_else(own).unwrap_or_default();
    let image = ColorImage::new(pixels_of, colours);
    let took = begun.elapsed();
    Counted { image, made: Made { drawing, size, coarse, visible, by, took }, uploaded }
}

fn same(a: &Drawing, b: &Drawing) -> bool {
    let bits = match (&a.selected, &b.selected) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    };
    bits && a.revision == b.revision && a.camera == b.camera && a.palette == b.palette && a.ground == b.ground
}

/// All points as `count` counts them, on the ground, and how many they are; with a selection, the others faded below it.
fn pixels(
    drawing: &Drawing,
    size: [usize; 2],
    spread: usize,
    count: impl Fn(View<'_>) -> Option<DensityGrid>,
) -> Option<(Vec<Color32>, usize)> {
    let view = View { camera: drawing.camera, size, palette: &drawing.palette, selected: None };
    let grid = count(view)?;
    let mut below = grid.colour(spread);
    if let Some(bits) = &drawing.selected {
        let chosen = View { selected: Some(bits), ..view };
        let above = count(chosen)?.colour(spread);
        for (pixel, top) in below.iter_mut().zip(above) {
            // A fifth of what is not selected shows through.
            *pixel = over(top, pixel.map(|channel| channel / 5));
        }
    }
    let ground = drawing.ground.to_array();
    let on_ground = |pixel: &[u8; 4]| {
        let [red, green, blue, alpha] = over(*pixel, ground);
        Color32::from_rgba_premultiplied(red, green, blue, alpha)
    };
    Some((below.par_iter().with_min_len(1 << 14).map(on_ground).collect(), grid.visible))
}

/// One premultiplied colour over another (Porter & Duff 1984).
fn over(top: [u8; 4], below: [u8; 4]) -> [u8; 4] {
    let rest = 255 - u32::from(top[3]);
    std::array::from_fn(|channel| {
        (u32::from(top[channel]) + (u32::from(below[channel]) * rest + 127) / 255).min(255) as u8
    })
}

fn opaque_id() -> Id {
    Id::unique("what covers its ground")
}

/// Says that this frame paints all of `rect`: nobody has to paint a ground under it.
pub fn covers(ui: &egui::Ui, rect: Rect) {
    let rect = rect.intersect(ui.clip_rect());
    ui.data_mut(|data| data.get_temp_mut_or_default::<Vec<Rect>>(opaque_id()).push(rect));
}

/// `rect` in pieces, without what this frame said that it [`covers`] since the last call. On a processor that plays the
/// graphics card every layer of the window takes as long as the points themselves.
pub fn uncovered(context: &egui::Context, rect: Rect) -> Vec<Rect> {
    let covered: Vec<Rect> =
        context.data_mut(|data| std::mem::take(data.get_temp_mut_or_default(opaque_id())));
    // A little is painted twice, so that no seam shows between pixels.
    let covered = covered.into_iter().map(|rect| rect.shrink(2.0)).filter(|rect| rect.is_positive());
    covered
        .fold(vec![rect], |pieces, hole| pieces.into_iter().flat_map(|piece| around(piece, hole)).collect())
}

/// A rectangle without another, in at most four pieces.
pub fn around(piece: Rect, hole: Rect) -> Vec<Rect> {
    let hole = hole.intersect(piece);
    if !hole.is_positive() {
        return vec![piece];
    }
    let at = |left, top, right, bottom| Rect::from_min_max(egui::pos2(left, top), egui::pos2(right, bottom));
    [
        at(piece.left(), piece.top(), piece.right(), hole.top()),
        at(piece.left(), hole.bottom(), piece.right(), piece.bottom()),
        at(piece.left(), hole.top(), hole.left(), hole.bottom()),
        at(hole.right(), hole.top(), piece.right(), hole.bottom()),
    ]
    .into_iter()
    .filter(|rect| rect.is_positive())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    #[test]
    fn what_is_left_and_what_is_covered_make_up_the_whole() {
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(30.0, 20.0));
        let context = egui::Context::default();
        let holes = [(3.0, 4.0, 12.0, 18.0), (16.0, -5.0, 40.0, 9.0)];
        let holes = holes.map(|(a, b, c, d)| Rect::from_min_max(pos2(a, b), pos2(c, d)));
        context.data_mut(|data| data.insert_temp(opaque_id(), holes.to_vec()));
        let pieces = uncovered(&context, whole);
        for (x, y) in (0..30).flat_map(|x| (0..20).map(move |y| (x as f32 + 0.5, y as f32 + 0.5))) {
            let at = pos2(x, y);
            let covered = holes.iter().any(|hole| hole.shrink(2.0).contains(at));
            let painted = pieces.iter().filter(|piece| piece.contains(at)).count();
            assert_eq!(painted, usize::from(!covered), "{at:?}");
        }
        assert_eq!(uncovered(&context, whole), [whole]);
    }

    fn drawing(centre: [f32; 2], zoom: f32) -> Drawing {
        let xy = (0..400).map(|point| [(point % 20) as f32 / 4.0, (point / 20) as f32 / 4.0]).collect();
        Drawing {
            view: Id::NULL,
            revision: 1,
            cloud: Arc::new(Cloud { xy, codes: vec![0; 400] }),
            palette: Arc::new(vec![[200, 0, 0]]),
            selected: None,
            camera: Camera { centre, zoom },
            radius_px: 1.0,
            ground: Color32::BLACK,
        }
    }

    #[test]
    fn while_the_map_moves_the_last_picture_stands_where_its_points_are() {
        let context = egui::Context::default();
        let (rect, size) = (Rect::from_min_max(pos2(10.0, 20.0), pos2(90.0, 60.0)), [160, 80]);
        let mut texture = DensityTexture::default();
        let first = drawing([2.5, 2.5], 12.0);
        let density = texture.update(&context, &first, (rect, size, true), 0).unwrap();
        assert_eq!((density.place, density.texture.size()), (rect, [80, 40]));
        // Counted as it is seen: a map that stands still is never shown by halves.
        let density = texture.update(&context, &first, (rect, size, false), 0).unwrap();
        assert_eq!((density.place, density.texture.size()), (rect, size));
        // Another view of it: its own points are where the camera has them, until the next picture is there.
        let moved = drawing([3.0, 2.0], 24.0);
        let density = texture.update(&context, &moved, (rect, size, true), 0).unwrap();
        let at = |drawing: &Drawing, within: Rect, point: [f32; 2]| {
            let [x, y] = drawing.camera.screen_from_world(point, [160.0, 80.0]);
            within.min + egui::vec2(x / 160.0, y / 80.0) * within.size()
        };
        for point in [[2.0, 2.25], [3.25, 1.75]] {
            let (stands, belongs) = (at(&first, density.place, point), at(&moved, rect, point));
            assert!((stands - belongs).length() < 1e-3, "{stands} {belongs}");
        }
        let until = Instant::now() + Duration::from_secs(20);
        while texture.update(&context, &moved, (rect, size, true), 0).unwrap().place != rect {
            assert!(Instant::now() < until, "the next picture never came");
        }
        let visible = texture.update(&context, &moved, (rect, size, false), 0).unwrap().visible;
        let view = View { camera: moved.camera, size, palette: &[], selected: None };
        assert_eq!(visible, DensityGrid::count(&moved.cloud, view).visible);
    }

    #[test]
    fn colours_lie_over_one_another() {
        assert_eq!(over([0; 4], [10, 20, 30, 255]), [10, 20, 30, 255]);
        assert_eq!(over([9, 8, 7, 255], [10, 20, 30, 255]), [9, 8, 7, 255]);
        assert_eq!(over([100, 0, 0, 128], [0, 200, 0, 255]), [100, 100, 0, 255]);
    }
}
