//! How are points drawn on a graphics processor? Buffers are uploaded once; a frame writes one uniform.
//!
//! Positions and codes are instance-rate vertex buffers, the selection a bit texture: WebGL2-class limits
//! suffice, no optional feature is asked for.

use super::{Bits, Camera, Cloud};
use crate::base::{Failure, Result};
use wgpu::util::DeviceExt;

/// The pipeline, for one device and one target format.
#[derive(Debug)]
pub struct PointsPass {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    linear_target: bool,
}

/// A cloud on the device.
#[derive(Debug)]
pub struct PointsBuffers {
    xy: wgpu::Buffer,
    codes: wgpu::Buffer,
    look: wgpu::Buffer,
    selection: wgpu::Texture,
    bind: wgpu::BindGroup,
    count: u32,
}

/// How the points are to be seen in this frame.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// What is in view.
    pub camera: Camera,
    /// Size of the view in physical pixels.
    pub size: [f32; 2],
    /// Radius of a point in physical pixels.
    pub radius_px: f32,
    /// Opacity of a point, 0 to 1.
    pub opacity: f32,
    /// Colours by code, sRGB.
    pub palette: &'a [[u8; 3]],
    /// True while a selection is set: the other points fade.
    pub any_selected: bool,
}

/// Share of its opacity that an unselected point keeps.
const FADED: f32 = 0.12;
/// Words of the selection in one line of its texture.
const MASK_WIDTH: u32 = 2048;
/// Code of a point that has no place. Palette codes are below.
const HIDDEN: u32 = 256;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct LookUniform {
    centre: [f32; 2],
    clip_scale: [f32; 2],
    radius_clip: [f32; 2],
    radius_px: f32,
    any_selected: u32,
    opacity: f32,
    faded: f32,
    mask_width: u32,
    unused: u32,
    palette: [[f32; 4]; 256],
}

impl PointsPass {
    /// Builds the pipeline for a target without depth buffer and multisampling.
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let shader = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("points"),
            source: wgpu::ShaderSource::Wgsl(include_str!("points.wgsl").into()),
        });
        let layout = bind_layout(device);
        Self { pipeline: pipeline(device, &shader, &layout, target), layout, linear_target: target.is_srgb() }
    }

    /// Copies a cloud to the device.
    ///
    /// # Errors
    /// The cloud is larger than the device's largest buffer.
    pub fn upload(&self, device: &wgpu::Device, cloud: &Cloud) -> Result<PointsBuffers> {
        let limits = device.limits();
        let bytes = 8 * cloud.xy.len() as u64;
        let lines = (cloud.xy.len() as u32).div_ceil(32 * MASK_WIDTH).max(1);
        if bytes > limits.max_buffer_size || lines > limits.max_texture_dimension_2d {
            return Err(Failure::new(
                "cannot draw the points on the graphics processor",
                format!("{} points exceed its largest buffer", cloud.xy.len()),
            )
            .hint("switch to the density view"));
        }
        let buffer = |label, contents: &[u8], usage| {
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: Some(label),
                contents,
                usage,
            })
        };
        let (xy, codes) = instances(cloud);
        let selection = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("point selection"),
            size: wgpu::Extent3d { width: MASK_WIDTH, height: lines, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R32Uint,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let look = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("point look"),
            size: size_of::<LookUniform>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let view = selection.create_view(&wgpu::TextureViewDescriptor::default());
        let bind = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("points"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: look.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&view) },
            ],
        });
        Ok(PointsBuffers {
            xy: buffer("point positions", bytemuck::cast_slice(&xy), wgpu::BufferUsages::VERTEX),
            codes: buffer("point codes", bytemuck::cast_slice(&codes), wgpu::BufferUsages::VERTEX),
            look,
            selection,
            bind,
            count: cloud.xy.len() as u32,
        })
    }

    /// Writes this frame's look: one uniform, whatever the number of points.
    pub fn set_look(&self, queue: &wgpu::Queue, buffers: &PointsBuffers, look: &Look<'_>) {
        let mut uniform = LookUniform {
            centre: look.camera.centre,
            clip_scale: look.camera.clip_scale(look.size),
            radius_clip: look.size.map(|size| 2.0 * look.radius_px / size),
            radius_px: look.radius_px,
            any_selected: u32::from(look.any_selected),
            opacity: look.opacity,
            faded: FADED,
            mask_width: MASK_WIDTH,
            unused: 0,
            palette: [[1.0; 4]; 256],
        };
        let last = look.palette.last().copied().unwrap_or([255; 3]);
        for (code, entry) in uniform.palette.iter_mut().enumerate() {
            let colour = look.palette.get(code).copied().unwrap_or(last);
            let [r, g, b] = colour.map(|part| self.target_value(part));
            *entry = [r, g, b, 1.0];
        }
        queue.write_buffer(&buffers.look, 0, bytemuck::bytes_of(&uniform));
    }

    /// Replaces the selection: `n / 8` bytes, no geometry.
    pub fn select(&self, queue: &wgpu::Queue, buffers: &PointsBuffers, selected: &Bits) {
        let size = buffers.selection.size();
        let mut words = selected.words().to_vec();
        words.resize((size.width * size.height) as usize, 0);
        queue.write_texture(
            buffers.selection.as_image_copy(),
            bytemuck::cast_slice(&words),
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(4 * size.width),
                rows_per_image: None,
            },
            size,
        );
    }

    /// Draws the points into the viewport of `pass`.
    pub fn draw(&self, pass: &mut wgpu::RenderPass<'_>, buffers: &PointsBuffers) {
        if buffers.count == 0 {
            return;
        }
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &buffers.bind, &[]);
        pass.set_vertex_buffer(0, buffers.xy.slice(..));
        pass.set_vertex_buffer(1, buffers.codes.slice(..));
        pass.draw(0..3, 0..buffers.count);
    }

    /// Draws the points alone, on black, into the whole of `view`.
    pub(super) fn draw_alone(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        view: &wgpu::TextureView,
        buffers: &PointsBuffers,
    ) {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        self.draw(&mut pass, buffers);
    }

    /// An sRGB byte as the target stores it: an sRGB target takes linear values and encodes them itself.
    fn target_value(&self, part: u8) -> f32 {
        let encoded = f32::from(part) / 255.0;
        if !self.linear_target {
            encoded
        } else if encoded <= 0.040_45 {
            encoded / 12.92
        } else {
            ((encoded + 0.055) / 1.055).powf(2.4)
        }
    }
}

/// Vertex data: positions, and codes with those of points without a place set to [`HIDDEN`].
fn instances(cloud: &Cloud) -> (Vec<[f32; 2]>, Vec<u32>) {
    let finite = |p: &[f32; 2]| p[0].is_finite() && p[1].is_finite();
    let xy = cloud.xy.iter().map(|p| if finite(p) { *p } else { [0.0; 2] });
    let codes = cloud.xy.iter().enumerate().map(|(i, p)| match cloud.codes.get(i) {
        Some(&code) if finite(p) => u32::from(code),
        _ => HIDDEN,
    });
    (xy.collect(), codes.collect())
}

fn bind_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("points"),
        entries: &[
            wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            },
            wgpu::BindGroupLayoutEntry {
                binding: 1,
                visibility: wgpu::ShaderStages::VERTEX,
                ty: wgpu::BindingType::Texture {
                    sample_type: wgpu::TextureSampleType::Uint,
                    view_dimension: wgpu::TextureViewDimension::D2,
                    multisampled: false,
                },
                count: None,
            },
        ],
    })
}

fn pipeline(
    device: &wgpu::Device,
    shader: &wgpu::ShaderModule,
    layout: &wgpu::BindGroupLayout,
    target: wgpu::TextureFormat,
) -> wgpu::RenderPipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("points"),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    let per_point = |array_stride, attributes| {
        Some(wgpu::VertexBufferLayout { array_stride, step_mode: wgpu::VertexStepMode::Instance, attributes })
    };
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("points"),
        layout: Some(&layout),
        vertex: wgpu::VertexState {
            module: shader,
            entry_point: Some("corner"),
            buffers: &[
                per_point(8, &wgpu::vertex_attr_array![0 => Float32x2]),
                per_point(4, &wgpu::vertex_attr_array![1 => Uint32]),
            ],
            compilation_options: wgpu::PipelineCompilationOptions::default(),
        },
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: shader,
            entry_point: Some("disc"),
            targets: &[Some(wgpu::ColorTargetState {
                format: target,
                blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                write_mask: wgpu::ColorWrites::ALL,
            })],
            compilation_options: wgpu::PipelineCompilationOptions::default(),
        }),
        multiview_mask: None,
        cache: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 64;
    const PALETTE: [[u8; 3]; 2] = [[255, 0, 0], [0, 0, 255]];

    /// Draws a cloud on whatever adapter there is and reads the pixels back.
    fn drawn(cloud: &Cloud, selected: Option<&Bits>) -> Vec<[u8; 4]> {
        let instance = wgpu::Instance::default();
        let adapter =
            pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).unwrap();
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits::downlevel_webgl2_defaults().using_resolution(adapter.limits()),
            ..Default::default()
        }))
        .unwrap();
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let target = device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: SIZE, height: SIZE, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let points = PointsPass::new(&device, format);
        let buffers = points.upload(&device, cloud).unwrap();
        let look = Look {
            camera: Camera { centre: [0.0, 0.0], zoom: 16.0 },
            size: [SIZE as f32; 2],
            radius_px: 3.0,
            opacity: 1.0,
            palette: &PALETTE,
            any_selected: selected.is_some(),
        };
        points.set_look(&queue, &buffers, &look);
        if let Some(bits) = selected {
            points.select(&queue, &buffers, bits);
        }
        let view = target.create_view(&wgpu::TextureViewDescriptor::default());
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        points.draw_alone(&mut encoder, &view, &buffers);
        let out = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: u64::from(4 * SIZE * SIZE),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        encoder.copy_texture_to_buffer(
            target.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &out,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(4 * SIZE),
                    rows_per_image: None,
                },
            },
            target.size(),
        );
        queue.submit([encoder.finish()]);
        out.slice(..).map_async(wgpu::MapMode::Read, |done| done.unwrap());
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let bytes = out.slice(..).get_mapped_range().unwrap();
        bytemuck::cast_slice(&bytes).to_vec()
    }

    fn at(pixels: &[[u8; 4]], x: u32, y: u32) -> [u8; 3] {
        let [r, g, b, _] = pixels[(y * SIZE + x) as usize];
        [r, g, b]
    }

    /// World (1, 1) is pixel (48, 16), world (-1, -1) is pixel (16, 48); the third has no place.
    fn two_points() -> Cloud {
        Cloud { xy: vec![[1.0, 1.0], [-1.0, -1.0], [f32::NAN, 0.0]], codes: vec![0, 1, 0] }
    }

    #[test]
    fn discs_of_the_right_size_stand_at_the_right_pixels() {
        let pixels = drawn(&two_points(), None);
        assert_eq!(at(&pixels, 48, 16), [255, 0, 0]);
        assert_eq!(at(&pixels, 16, 48), [0, 0, 255]);
        assert_eq!(at(&pixels, 32, 32), [0, 0, 0]);
        let red: f64 = pixels.iter().map(|p| f64::from(p[0]) / 255.0).sum();
        // Area of a disc of radius 3, the edge faded over a pixel.
        assert!((red - 9.0 * std::f64::consts::PI).abs() < 2.0, "{red}");
    }

    #[test]
    fn unselected_points_fade() {
        let mut bits = Bits::new(3);
        bits.set(1);
        let pixels = drawn(&two_points(), Some(&bits));
        assert_eq!(at(&pixels, 16, 48), [0, 0, 255]);
        let faded = at(&pixels, 48, 16)[0];
        assert!((f32::from(faded) - 255.0 * FADED).abs() < 2.0, "{faded}");
    }
}
