//! How are points counted per pixel by a graphics processor? To the same whole numbers as [`DensityGrid::count`].

use super::compute::Processor;
use super::density::{DensityGrid, View};
use super::{Bits, Cloud};
use crate::base::Result;
use wgpu::BufferUsages as Usage;

/// Workgroups in a line of them.
const LINE: u32 = 32_768;
/// Threads of a workgroup, as the kernel says.
const GROUP: u32 = 64;

/// The kernel on a graphics processor.
#[derive(Debug)]
pub struct CountingPass {
    processor: Processor,
    kernel: wgpu::ComputePipeline,
}

/// A cloud on the device.
#[derive(Debug)]
pub struct CountingBuffers {
    places: wgpu::Buffer,
    codes: wgpu::Buffer,
    /// Points that have a place.
    placed: Bits,
    count: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ViewUniform {
    centre: [f32; 2],
    half: [f32; 2],
    size: [u32; 2],
    zoom: f32,
    points: u32,
    line: u32,
    unused: u32,
}

impl CountingPass {
    /// Builds the kernel.
    pub fn new(processor: Processor) -> Self {
        let kernel = processor.kernel(include_str!("counting.wgsl"), "count");
        Self { processor, kernel }
    }

    /// Builds it on a device that is open already: `None` where that is a program on the processor, which counts slower
    /// than the processor itself, or where it allows too little.
    pub fn on(device: &wgpu::Device, queue: &wgpu::Queue, info: &wgpu::AdapterInfo) -> Option<Self> {
        Processor::at_hand(device, queue, info, LINE).map(Self::new)
    }

    /// Who counts.
    pub fn adapter(&self) -> &str {
        &self.processor.adapter
    }

    /// Copies a cloud to the device.
    ///
    /// # Errors
    /// The cloud is larger than the device's largest buffer.
    pub fn upload(&self, cloud: &Cloud) -> Result<CountingBuffers> {
        let mut placed = Bits::new(cloud.xy.len());
        let finite = cloud.xy.iter().enumerate().filter(|(_, [x, y])| x.is_finite() && y.is_finite());
        finite.for_each(|(point, _)| placed.set(point));
        let mut codes = cloud.codes.clone();
        codes.resize(cloud.xy.len().next_multiple_of(4).max(4), 0);
        // An empty buffer cannot be bound.
        let places = if cloud.xy.is_empty() { &[[0.0; 2]][..] } else { &cloud.xy };
        Ok(CountingBuffers {
            places: self.processor.filled(bytemuck::cast_slice(places), Usage::STORAGE)?,
            codes: self.processor.filled(&codes, Usage::STORAGE)?,
            placed,
            count: cloud.xy.len() as u32,
        })
    }

    /// Counts the points per pixel.
    ///
    /// # Errors
    /// A picture larger than the device's largest buffer, or a device that is lost.
    pub fn count(&self, cloud: &CountingBuffers, view: View<'_>) -> Result<DensityGrid> {
        let [width, height] = view.size;
        let palette = view.entries();
        let uniform = ViewUniform {
            centre: view.camera.centre,
            half: [width as f32 / 2.0, height as f32 / 2.0],
            size: [width as u32, height as u32],
            zoom: view.camera.zoom,
            points: cloud.count,
            line: LINE * GROUP,
            unused: 0,
        };
        let mut seen = cloud.placed.clone();
        if let Some(selected) = view.selected {
            seen = seen.both(selected);
        }
        let mut words = seen.words().to_vec();
        words.resize(words.len().max(1), 0);
        let processor = &self.processor;
        let grid = processor.zeros(16 * (width * height) as u64)?;
        let buffers = [
            &processor.filled(bytemuck::bytes_of(&uniform), Usage::UNIFORM)?,
            &processor.filled(bytemuck::cast_slice(&palette), Usage::UNIFORM)?,
            &cloud.places,
            &cloud.codes,
            &processor.filled(bytemuck::cast_slice(&words), Usage::STORAGE)?,
            &grid,
        ];
        let bound = processor.bound(&self.kernel, 0, &buffers);
        let groups = cloud.count.div_ceil(GROUP);
        let mut encoder = processor.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.kernel);
            pass.set_bind_group(0, &bound, &[]);
            pass.dispatch_workgroups(groups.min(LINE), groups.div_ceil(LINE), 1);
        }
        processor.queue.submit([encoder.finish()]);
        let mut cells: Vec<[u32; 4]> = processor.read(&grid)?;
        cells.truncate(width * height);
        let visible = cells.iter().map(|cell| cell[0] as usize).sum();
        Ok(DensityGrid { width, height, cells, visible })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Camera;
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_graphics_processor_counts_the_same_whole_numbers() {
        let pass = CountingPass::new(Processor::open().unwrap());
        let mut rng = Rng::named(9, "counting test");
        let n = 100_003;
        let mut xy: Vec<[f32; 2]> = (0..n).map(|_| [rng.normal() as f32, rng.normal() as f32]).collect();
        xy[5] = [f32::NAN, 1.0];
        xy[7] = [0.0, f32::INFINITY];
        let cloud = Cloud { codes: (0..n).map(|_| (rng.below(4)) as u8).collect(), xy };
        let mut some = Bits::new(n);
        (0..n).filter(|point| point % 3 == 0).for_each(|point| some.set(point));
        let uploaded = pass.upload(&cloud).unwrap();
        let palette = [[200, 0, 10], [0, 100, 250], [1, 2, 3]];
        for (centre, zoom, size) in
            [([0.1, -0.2], 40.0, [160, 120]), ([0.0, 0.0], 333.3, [641, 401]), ([9.0, 9.0], 7.0, [33, 9])]
        {
            for selected in [None, Some(&some)] {
                let view = View { camera: Camera { centre, zoom }, size, palette: &palette, selected };
                let ours = pass.count(&uploaded, view).unwrap();
                assert!(ours == DensityGrid::count(&cloud, view), "{zoom} {size:?} by {}", pass.adapter());
            }
        }
        let nothing = pass.upload(&Cloud::default()).unwrap();
        let view = View {
            camera: Camera { centre: [0.0; 2], zoom: 1.0 },
            size: [8, 8],
            palette: &palette,
            selected: None,
        };
        assert_eq!(pass.count(&nothing, view).unwrap().visible, 0);
    }
}
