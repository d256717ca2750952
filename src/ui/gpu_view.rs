//! How do our draw passes get into egui's frame? A paint callback, and a texture where there is no processor
//! for graphics.

use crate::gpu::counting::{CountingBuffers, CountingPass};
use crate::gpu::density::{DensityGrid, View};
use crate::gpu::points::{Look, PointsBuffers, PointsPass};
use crate::gpu::{Bits, Camera, Cloud};
use eframe::egui_wgpu::{Callback, CallbackResources, CallbackTrait, RenderState, ScreenDescriptor, wgpu};
use egui::{ColorImage, Id, PaintCallbackInfo, Rect, TextureHandle, TextureOptions};
use std::sync::Arc;

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
    });
}

/// Who counts points per pixel faster than the processor; `None` where nobody does.
fn counter(context: &egui::Context) -> Option<Arc<CountingPass>> {
    context.data(|data| data.get_temp::<Option<Arc<CountingPass>>>(counter_id())).flatten()
}

fn counter_id() -> Id {
    Id::unique("graphics counter")
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
    /// The cloud on a graphics processor that counts, by its revision.
    uploaded: Option<(u64, CountingBuffers)>,
    /// Who counted last: `None` for the processor.
    by: Option<String>,
    made_from: Option<(Drawing, [usize; 2])>,
}

impl DensityTexture {
    /// The texture of `drawing` at `size` pixels; lone points are spread over `spread` pixels.
    pub fn update(
        &mut self,
        context: &egui::Context,
        drawing: &Drawing,
        size: [usize; 2],
        spread: usize,
    ) -> Option<&TextureHandle> {
        let known = self.made_from.as_ref().is_some_and(|(made, at)| *at == size && same(made, drawing));
        if !known {
            let pixels = self.pixels(context, drawing, size, spread);
            let image = ColorImage::from_rgba_premultiplied(size, pixels.as_flattened());
            match &mut self.texture {
                Some(texture) => texture.set(image, TextureOptions::NEAREST),
                None => {
                    self.texture = Some(context.load_texture("density", image, TextureOptions::NEAREST));
                }
            }
            self.made_from = Some((drawing.clone(), size));
        }
        self.texture.as_ref()
    }

    /// Who counted the points.
    pub fn counted_by(&self) -> &str {
        self.by.as_deref().unwrap_or("the processor")
    }

    /// The picture, counted by a graphics processor where there is one that does not fail at it.
    fn pixels(
        &mut self,
        context: &egui::Context,
        drawing: &Drawing,
        size: [usize; 2],
        spread: usize,
    ) -> Vec<[u8; 4]> {
        let counter = counter(context);
        let counted = counter.as_ref().and_then(|pass| {
            if self.uploaded.as_ref().is_none_or(|(revision, _)| *revision != drawing.revision) {
                self.uploaded = Some((drawing.revision, pass.upload(&drawing.cloud).ok()?));
            }
            let (_, buffers) = self.uploaded.as_ref()?;
            pixels(drawing, size, spread, |view| pass.count(buffers, view).ok())
        });
        self.by = counter.filter(|_| counted.is_some()).map(|pass| pass.adapter().to_owned());
        counted
            .or_else(|| pixels(drawing, size, spread, |view| Some(DensityGrid::count(&drawing.cloud, view))))
            .unwrap_or_default()
    }
}

fn same(a: &Drawing, b: &Drawing) -> bool {
    let bits = match (&a.selected, &b.selected) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    };
    bits && a.revision == b.revision && a.camera == b.camera && a.palette == b.palette
}

/// All points as `count` counts them; with a selection, the others faded below it.
fn pixels(
    drawing: &Drawing,
    size: [usize; 2],
    spread: usize,
    count: impl Fn(View<'_>) -> Option<DensityGrid>,
) -> Option<Vec<[u8; 4]>> {
    let view = View { camera: drawing.camera, size, palette: &drawing.palette, selected: None };
    let mut below = count(view)?.colour(spread);
    if let Some(bits) = &drawing.selected {
        let chosen = View { selected: Some(bits), ..view };
        let above = count(chosen)?.colour(spread);
        for (pixel, top) in below.iter_mut().zip(above) {
            let rest = 255 - u32::from(top[3]);
            for (channel, over) in pixel.iter_mut().zip(top) {
                // A fifth of what is not selected shows through, premultiplied "over".
                let faded = u32::from(*channel) / 5;
                *channel = (u32::from(over) + faded * rest / 255).min(255) as u8;
            }
        }
    }
    Some(below)
}
