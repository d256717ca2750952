//! How many frames a second does a discrete graphics card draw of a cloud?

use super::compute::Processor;
use super::counting::CountingPass;
use super::density::View;
use super::points::{Look, PointsPass};
use super::{Camera, Cloud};
use crate::base::{Result, failure::Explain};
use std::time::Instant;

/// Frames that are drawn.
const FRAMES: u32 = 60;
const PALETTE: [[u8; 3]; 2] = [[200, 80, 40], [40, 80, 200]];

/// The card's name and its frames a second of `cloud` at `size` pixels; `None` where the machine has no card of its own.
/// With `any` a processor that plays one counts too.
///
/// # Errors
/// A card that does not answer.
pub fn frame_rate(cloud: &Cloud, size: [u32; 2], any: bool) -> Result<Option<(String, f64)>> {
    let what = "cannot measure the graphics card";
    let instance = wgpu::Instance::default();
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let counts =
        |adapter: &wgpu::Adapter| any || adapter.get_info().device_type == wgpu::DeviceType::DiscreteGpu;
    let Some(adapter) = adapters.into_iter().find(counts) else { return Ok(None) };
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("frame rate"),
        required_limits: wgpu::Limits::downlevel_defaults().using_resolution(adapter.limits()),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).explain(what)?;
    let format = wgpu::TextureFormat::Rgba8Unorm;
    let target = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
        view_formats: &[],
    });
    let view = target.create_view(&wgpu::TextureViewDescriptor::default());
    let points = PointsPass::new(&device, format);
    let buffers = points.upload(&device, cloud)?;
    let side = size.map(|side| side as f32);
    let mut look = Look {
        camera: Camera::fit(cloud.bounds().unwrap_or_default(), side),
        size: side,
        radius_px: 1.5,
        opacity: 0.85,
        palette: &PALETTE,
        any_selected: false,
    };
    let mut frame = || {
        look.camera.pan([1.0, 0.5]);
        points.set_look(&queue, &buffers, &look);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        points.draw_alone(&mut encoder, &view, &buffers);
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely()).explain(what).map(drop)
    };
    frame()?;
    let begun = Instant::now();
    for _ in 0..FRAMES {
        frame()?;
    }
    let rate = f64::from(FRAMES) / begun.elapsed().as_secs_f64().max(1e-9);
    Ok(Some((super::adapter_words(&adapter.get_info()), rate)))
}

/// The card's name and the pictures a second that it counts of `cloud` at `size` pixels, read back and coloured as the
/// window does for crowds; `None` where the machine has none.
///
/// # Errors
/// A card that does not answer, or cannot hold the cloud.
pub fn counting_rate(cloud: &Cloud, size: [u32; 2]) -> Result<Option<(String, f64)>> {
    let Some(processor) = Processor::hardware() else { return Ok(None) };
    let pass = CountingPass::new(Processor::clone(processor));
    let buffers = pass.upload(cloud)?;
    let side = size.map(|side| side as f32);
    let mut camera = Camera::fit(cloud.bounds().unwrap_or_default(), side);
    let mut frame = || {
        camera.pan([1.0, 0.5]);
        let view = View { camera, size: size.map(|side| side as usize), palette: &PALETTE, selected: None };
        pass.count(&buffers, view).map(|grid| grid.colour(0))
    };
    std::hint::black_box(frame()?);
    let begun = Instant::now();
    for _ in 0..FRAMES {
        std::hint::black_box(frame()?);
    }
    let rate = f64::from(FRAMES) / begun.elapsed().as_secs_f64().max(1e-9);
    Ok(Some((processor.adapter.clone(), rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_plays_a_card_is_measured_only_when_asked_for() {
        let cloud = Cloud { xy: vec![[0.0, 0.0], [1.0, 1.0]], codes: vec![0, 1] };
        let (name, rate) = frame_rate(&cloud, [64, 64], true).unwrap().expect("an adapter");
        assert!(!name.is_empty() && rate > 1.0, "{name}: {rate}");
        let own = frame_rate(&cloud, [64, 64], false).unwrap();
        assert!(own.is_none_or(|(name, _)| name.contains("DiscreteGpu")));
    }
}
