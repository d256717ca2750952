//! How does a graphics processor walk the points of a UMAP map? All points of a group at once, pass by pass.

use super::compute::{Kernel, Processor};
use crate::base::{Failure, Result, failure::Explain};
use wgpu::BufferUsages as Usage;

/// Threads of a workgroup, as the kernel says.
const GROUP: u32 = 64;

/// Workgroups of a line that every graphics processor allows, and the points that they go through.
const MOST_POINTS: usize = 65_535 * GROUP as usize;

/// What pulls at whom, and how points walk.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Ties of point `i`: `starts[i]..starts[i + 1]` of the two below.
    pub starts: &'a [u32],
    /// The other end of each tie.
    pub ids: &'a [u32],
    /// How often a pass each tie pulls, 0 to 1.
    pub rates: &'a [f32],
    /// Of the curve `1 / (1 + a d^(2b))`.
    pub a: f32,
    /// Of the same.
    pub b: f32,
    /// Start of all draws.
    pub seed: u32,
    /// Points that walk at once: one group after the other.
    pub group: usize,
}

/// Points of a map on a graphics processor.
#[derive(Debug)]
pub struct WalkingPass {
    processor: Processor,
    walk: Kernel,
    pull: Kernel,
    places: wgpu::Buffer,
    moved: wgpu::Buffer,
    count: usize,
    group: usize,
    setup: Setup,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Setup {
    first: u32,
    end: u32,
    count: u32,
    epoch: u32,
    alpha: f32,
    a: f32,
    b: f32,
    seed: u32,
}

impl WalkingPass {
    /// Copies the field and the places to the device.
    ///
    /// # Errors
    /// More points or ties than its largest buffer holds, or than one dispatch goes through.
    pub fn new(processor: &Processor, field: &Field<'_>, places: &[[f32; 4]]) -> Result<Self> {
        if places.len() > MOST_POINTS {
            let why = format!("{} points are more than the {MOST_POINTS} of one dispatch", places.len());
            return Err(Failure::new("cannot walk on the graphics processor", why));
        }
        let filled = |bytes: &[u8]| processor.filled(bytes, Usage::STORAGE);
        let starts = filled(bytemuck::cast_slice(field.starts))?;
        let tie = |(id, rate): (&u32, &f32)| [*id, rate.to_bits()];
        let ties: Vec<[u32; 2]> = field.ids.iter().zip(field.rates).map(tie).collect();
        let ties = filled(bytemuck::cast_slice(&ties))?;
        let both_ways = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let moved = processor.zeros(16 * places.len() as u64)?;
        let at = processor.filled(bytemuck::cast_slice(places), both_ways)?;
        let buffers = [(0, &at), (1, &moved), (2, &starts), (3, &ties)];
        let kernel = |entry| Kernel::new(processor, include_str!("walking.wgsl"), entry, &buffers);
        let (walk, pull) = (kernel("walk_group"), kernel("pull_others"));
        let (count, Field { a, b, seed, .. }) = (places.len() as u32, *field);
        let setup = Setup { first: 0, end: 0, count, epoch: 0, alpha: 0.0, a, b, seed };
        Ok(Self {
            processor: processor.clone(),
            walk,
            pull,
            places: at,
            moved,
            count: places.len(),
            group: field.group,
            setup,
        })
    }

    /// One pass over all points with steps of `alpha`; ends when it is made.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn epoch(&self, epoch: usize, alpha: f32) -> Result<()> {
        let processor = &self.processor;
        let mut encoder = processor.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for from in (0..self.count).step_by(self.group) {
            let end = (from + self.group).min(self.count);
            let setup =
                Setup { first: from as u32, end: end as u32, epoch: epoch as u32, alpha, ..self.setup };
            let setup = processor.filled(bytemuck::bytes_of(&setup), Usage::UNIFORM)?;
            let all = self.count as u64;
            for (kernel, first, points) in
                [(&self.walk, from as u64, (end - from) as u64), (&self.pull, 0, all)]
            {
                kernel.dispatch(processor, &mut encoder, &setup, (points as u32).div_ceil(GROUP));
                encoder.copy_buffer_to_buffer(&self.moved, 0, &self.places, 16 * first, 16 * points);
            }
        }
        processor.queue.submit([encoder.finish()]);
        let what = "the graphics processor stopped in mid-pass";
        processor.device.poll(wgpu::PollType::wait_indefinitely()).explain(what)?;
        Ok(())
    }

    /// Where the points are now.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn places(&self) -> Result<Vec<[f32; 4]>> {
        self.processor.read(&self.places)
    }

    /// Who walks.
    pub fn adapter(&self) -> &str {
        &self.processor.adapter
    }
}
