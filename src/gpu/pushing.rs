//! How does a graphics processor move the points of a t-SNE map? Every pair pushes, summed tile by tile: more sums than a
//! tree needs, and all at once.

use super::compute::{Kernel, Processor};
use crate::base::{Failure, Result, failure::Explain};
use wgpu::BufferUsages as Usage;

/// Threads of a workgroup, as the kernels say.
const GROUP: u32 = 256;

/// Workgroups of a line that every graphics processor allows, and the points that they go through.
const MOST_POINTS: usize = 65_535 * GROUP as usize;

/// Pairs of a dispatch at most: a slow card that computes for seconds on end is taken for one that hangs.
const MOST_PAIRS: u64 = 1 << 32;

/// What pulls at whom, and how points move.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Ties of point `i`: `starts[i]..starts[i + 1]` of the two below.
    pub starts: &'a [u32],
    /// The other end of each tie.
    pub ids: &'a [u32],
    /// How strongly each tie pulls; all sum to 1.
    pub weights: &'a [f32],
    /// Share of its speed that a point keeps.
    pub momentum: f32,
    /// A step at most.
    pub longest: f32,
}

/// Points of a map on a graphics processor.
#[derive(Debug)]
pub struct PushingPass {
    processor: Processor,
    push: Kernel,
    /// What follows the pushes, each over all points or as one group.
    after: [(Kernel, bool); 5],
    places: wgpu::Buffer,
    motions: wgpu::Buffer,
    setup: Setup,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Setup {
    first: u32,
    end: u32,
    count: u32,
    exaggeration: f32,
    rate: f32,
    momentum: f32,
    longest: f32,
    unused: u32,
}

impl PushingPass {
    /// Copies the field and the places to the device; points stand still.
    ///
    /// # Errors
    /// More points or ties than its largest buffer holds, or than one dispatch goes through.
    pub fn new(processor: &Processor, field: &Field<'_>, places: &[[f32; 4]]) -> Result<Self> {
        if places.is_empty() || places.len() > MOST_POINTS {
            let why = format!("{} points: 1 to {MOST_POINTS} can be moved at once", places.len());
            return Err(Failure::new("cannot move points on the graphics processor", why));
        }
        let tie = |(id, weight): (&u32, &f32)| [*id, weight.to_bits()];
        let ties: Vec<[u32; 2]> = field.ids.iter().zip(field.weights).map(tie).collect();
        let starts = processor.filled(bytemuck::cast_slice(field.starts), Usage::STORAGE)?;
        let ties = processor.filled(bytemuck::cast_slice(&ties), Usage::STORAGE)?;
        let at = processor.filled(bytemuck::cast_slice(places), Usage::STORAGE | Usage::COPY_SRC)?;
        let forces = processor.zeros(16 * (places.len() as u64 + 1))?;
        let motions = processor.filled(bytemuck::cast_slice(&still(places.len())), both_ways())?;
        let kernel = |entry, buffers: &[(u32, &wgpu::Buffer)]| {
            Kernel::new(processor, include_str!("pushing.wgsl"), entry, buffers)
        };
        let after = [
            (kernel("sum_closeness", &[(1, &forces)]), false),
            (kernel("pull", &[(0, &at), (1, &forces), (2, &starts), (3, &ties)]), true),
            (kernel("step", &[(0, &at), (1, &forces), (2, &motions)]), true),
            (kernel("find_middle", &[(0, &at), (2, &motions)]), false),
            (kernel("centre", &[(0, &at), (2, &motions)]), true),
        ];
        let (momentum, longest, count) = (field.momentum, field.longest, places.len() as u32);
        let setup =
            Setup { first: 0, end: 0, count, exaggeration: 1.0, rate: 0.0, momentum, longest, unused: 0 };
        let push = kernel("push", &[(0, &at), (1, &forces)]);
        Ok(Self { processor: processor.clone(), push, after, places: at, motions, setup })
    }

    /// All points stand still again, and their gains are 1.
    pub fn rest(&self) {
        let still = still(self.setup.count as usize);
        self.processor.queue.write_buffer(&self.motions, 0, bytemuck::cast_slice(&still));
    }

    /// One pass over all points, whose ties pull `exaggeration` times as they are; ends when it is made.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn epoch(&self, exaggeration: f32, rate: f32) -> Result<()> {
        let count = self.setup.count;
        let most = (MOST_PAIRS / u64::from(count)).max(1) as u32;
        let slice = most.next_multiple_of(GROUP).min(count.next_multiple_of(GROUP));
        for first in (0..count).step_by(slice as usize) {
            let end = (first + slice).min(count);
            let setup = Setup { first, end, exaggeration, rate, ..self.setup };
            self.dispatch(&[(&self.push, end - first)], setup)?;
        }
        let after = self.after.each_ref().map(|(kernel, all)| (kernel, if *all { count } else { 1 }));
        self.dispatch(&after, Setup { end: count, exaggeration, rate, ..self.setup })?;
        let what = "the graphics processor stopped in mid-pass";
        self.processor.device.poll(wgpu::PollType::wait_indefinitely()).explain(what)?;
        Ok(())
    }

    /// Kernels one after the other, each over so many points.
    fn dispatch(&self, kernels: &[(&Kernel, u32)], setup: Setup) -> Result<()> {
        let processor = &self.processor;
        let setup = processor.filled(bytemuck::bytes_of(&setup), Usage::UNIFORM)?;
        let mut encoder = processor.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (kernel, points) in kernels {
            kernel.dispatch(processor, &mut encoder, &setup, points.div_ceil(GROUP));
        }
        processor.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// Where the points are now.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn places(&self) -> Result<Vec<[f32; 4]>> {
        self.processor.read(&self.places)
    }

    /// Who moves them.
    pub fn adapter(&self) -> &str {
        &self.processor.adapter
    }
}

fn both_ways() -> Usage {
    Usage::STORAGE | Usage::COPY_DST
}

/// Speeds of 0 and gains of 1, and room for the middle of all points.
fn still(points: usize) -> Vec<[[f32; 4]; 2]> {
    vec![[[0.0; 4], [1.0; 4]]; points + 1]
}
