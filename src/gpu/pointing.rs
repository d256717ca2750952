//! Which point is nearest to the cursor, asked of a graphics processor? The one that [`PickGrid::nearest`] finds, without
//! sorting the cloud first: for crowds that the window must not wait for.
//!
//! [`PickGrid::nearest`]: super::PickGrid::nearest

use super::Cloud;
use super::compute::Processor;
use crate::base::Result;
use wgpu::BufferUsages as Usage;

/// Workgroups in a line of them.
const LINE: u32 = 32_768;
/// Threads of a workgroup, as the kernels say.
const GROUP: u32 = 64;
/// Points at one distance that are told by name.
const MOST: usize = 62;

/// The kernels on a graphics processor.
#[derive(Debug)]
pub struct PointingPass {
    processor: Processor,
    find_least: wgpu::ComputePipeline,
    name_them: wgpu::ComputePipeline,
}

/// Places of a cloud on the device.
#[derive(Debug)]
pub struct PointingBuffers {
    places: wgpu::Buffer,
    count: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Cursor {
    place: [f32; 2],
    reach: f32,
    points: u32,
    line: u32,
    unused: u32,
}

impl PointingPass {
    /// Builds the kernels.
    pub fn new(processor: Processor) -> Self {
        let kernel = |entry| processor.kernel(include_str!("pointing.wgsl"), entry);
        let (find_least, name_them) = (kernel("find_least"), kernel("name_them"));
        Self { processor, find_least, name_them }
    }

    /// Builds them on a device that is open already: `None` where that is no faster than the processor, or allows too
    /// little.
    pub fn on(device: &wgpu::Device, queue: &wgpu::Queue, info: &wgpu::AdapterInfo) -> Option<Self> {
        Processor::at_hand(device, queue, info, LINE).map(Self::new)
    }

    /// Who answers.
    pub fn adapter(&self) -> &str {
        &self.processor.adapter
    }

    /// Copies the places of a cloud to the device.
    ///
    /// # Errors
    /// The cloud is larger than the device's largest buffer.
    pub fn upload(&self, cloud: &Cloud) -> Result<PointingBuffers> {
        // An empty buffer cannot be bound.
        let places = if cloud.xy.is_empty() { &[[f32::NAN; 2]][..] } else { &cloud.xy };
        let places = self.processor.filled(bytemuck::cast_slice(places), Usage::STORAGE)?;
        Ok(PointingBuffers { places, count: cloud.xy.len() as u32 })
    }

    /// The point of `cloud`, which was uploaded, nearest to `world`, at most `reach` away; the earlier one wins a tie.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn nearest(
        &self,
        cloud: &Cloud,
        uploaded: &PointingBuffers,
        world: [f32; 2],
        reach: f32,
    ) -> Result<Nearest> {
        if reach.is_nan() || reach < 0.0 || uploaded.count == 0 {
            return Ok(Nearest::Known(None));
        }
        let processor = &self.processor;
        let cursor = Cursor {
            place: world,
            reach: reach * reach,
            points: uploaded.count,
            line: LINE * GROUP,
            unused: 0,
        };
        let cursor = processor.filled(bytemuck::bytes_of(&cursor), Usage::UNIFORM)?;
        let mut nothing = [0u32; 2 + MOST];
        nothing[0] = f32::INFINITY.to_bits();
        let usage = Usage::STORAGE | Usage::COPY_SRC;
        let found = processor.filled(bytemuck::cast_slice(&nothing), usage)?;
        let groups = uploaded.count.div_ceil(GROUP);
        let mut encoder = processor.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for kernel in [&self.find_least, &self.name_them] {
            let bound = processor.bound(kernel, 0, &[&cursor, &uploaded.places, &found]);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(kernel);
            pass.set_bind_group(0, &bound, &[]);
            pass.dispatch_workgroups(groups.min(LINE), groups.div_ceil(LINE), 1);
        }
        processor.queue.submit([encoder.finish()]);
        let found: Vec<u32> = processor.read(&found)?;
        let count = found.get(1).map_or(0, |count| *count as usize);
        if count > MOST {
            return Ok(Nearest::TooMany);
        }
        Ok(Nearest::Known(first_nearest(cloud, &found[2..2 + count], world, reach)))
    }
}

/// What a graphics processor answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearest {
    /// The point, or that there is none.
    Known(Option<usize>),
    /// More points are at one distance than it tells apart.
    TooMany,
}

fn first_nearest(cloud: &Cloud, points: &[u32], world: [f32; 2], reach: f32) -> Option<usize> {
    let distance = |point: &u32| {
        let [x, y] = *cloud.xy.get(*point as usize)?;
        Some(((x - world[0]).hypot(y - world[1]), *point)).filter(|(distance, _)| *distance <= reach)
    };
    let nearest = points.iter().filter_map(distance).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    nearest.map(|(_, point)| point as usize)
}

#[cfg(test)]
mod tests {
    use super::super::PickGrid;
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_graphics_processor_points_at_the_same_points() {
        let pass = PointingPass::new(Processor::open().unwrap());
        let mut rng = Rng::named(4, "pointing test");
        let mut xy: Vec<[f32; 2]> =
            (0..50_003).map(|_| [rng.normal() as f32 * 3.0, rng.normal() as f32]).collect();
        xy[17] = [f32::NAN, 0.0];
        xy[18] = [f32::INFINITY, 0.0];
        // Points at one place: the earlier one wins.
        (0..20).for_each(|point| xy[40_000 + point] = xy[300]);
        let cloud = Cloud { codes: vec![0; xy.len()], xy };
        let (grid, uploaded) = (PickGrid::new(&cloud), pass.upload(&cloud).unwrap());
        let mut found = 0;
        for asked in 0..200 {
            let world = match asked {
                0 => cloud.xy[300],
                1 => cloud.xy[17],
                _ => [rng.normal() as f32 * 3.0, rng.normal() as f32],
            };
            let reach = if asked % 2 == 0 { 0.3 } else { 0.003 };
            let wanted = grid.nearest(&cloud, world, reach);
            let ours = pass.nearest(&cloud, &uploaded, world, reach).unwrap();
            assert_eq!(ours, Nearest::Known(wanted), "{world:?} by {}", pass.adapter());
            found += usize::from(wanted.is_some());
        }
        assert!((60..190).contains(&found), "{found}");
    }

    #[test]
    fn a_crowd_at_one_place_and_nothing_at_all_are_told() {
        let pass = PointingPass::new(Processor::open().unwrap());
        let cloud = Cloud { xy: vec![[1.0, 1.0]; 200], codes: vec![0; 200] };
        let uploaded = pass.upload(&cloud).unwrap();
        assert_eq!(pass.nearest(&cloud, &uploaded, [1.0, 1.1], 0.5).unwrap(), Nearest::TooMany);
        assert_eq!(pass.nearest(&cloud, &uploaded, [9.0, 1.1], 0.5).unwrap(), Nearest::Known(None));
        let empty = Cloud::default();
        let uploaded = pass.upload(&empty).unwrap();
        assert_eq!(pass.nearest(&empty, &uploaded, [1.0, 1.1], 0.5).unwrap(), Nearest::Known(None));
    }
}
