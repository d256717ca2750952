//! Which rows are nearest to each row, by a graphics processor? Every pair is compared.

use super::compute::Processor;
use crate::base::Result;
use wgpu::BufferUsages as Usage;

/// Queries of one submission.
pub const BLOCK: usize = 4096;
/// Threads of a workgroup, as the kernel says.
const GROUP: u32 = 64;
/// Turns of a thread's loops in one dispatch.
const TURNS: usize = 48_000;
/// Neighbours that a query may ask for.
pub const MOST_NEIGHBOURS: usize = 128;

/// Rows on a graphics processor.
#[derive(Debug)]
pub struct NearestPass {
    processor: Processor,
    kernel: wgpu::ComputePipeline,
    rows: wgpu::Buffer,
    bias: wgpu::Buffer,
    count: usize,
    fours: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Queries {
    first: u32,
    count: u32,
    fours: u32,
    k: u32,
}

impl NearestPass {
    /// Copies `rows` of `width` numbers to the device; the score of a pair is `q . y - bias(y)`, larger is nearer.
    ///
    /// # Errors
    /// More rows than its largest buffer holds.
    pub fn new(processor: &Processor, rows: &[f32], width: usize, bias: &[f32]) -> Result<Self> {
        let fours = width.div_ceil(4);
        let padded: Vec<f32>;
        let rows = if width.is_multiple_of(4) {
            rows
        } else {
            let pad = |row: &[f32]| {
                row.iter().copied().chain(std::iter::repeat_n(0.0, 4 * fours - width)).collect()
            };
            padded = rows.chunks_exact(width).flat_map(|row| -> Vec<f32> { pad(row) }).collect();
            &padded
        };
        Ok(Self {
            kernel: processor.kernel(include_str!("nearest.wgsl"), "meet"),
            rows: processor.filled(bytemuck::cast_slice(rows), Usage::STORAGE)?,
            bias: processor.filled(bytemuck::cast_slice(bias), Usage::STORAGE)?,
            processor: processor.clone(),
            count: bias.len(),
            fours,
        })
    }

    /// The `k` best others of the rows from `first` on, at most [`BLOCK`] of them: rows and scores, best first.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn block(&self, first: usize, k: usize) -> Result<(Vec<u32>, Vec<f32>)> {
        let processor = &self.processor;
        let some = BLOCK.min(self.count - first);
        let queries =
            Queries { first: first as u32, count: some as u32, fours: self.fours as u32, k: k as u32 };
        let ids = processor.zeros(4 * (some * k) as u64)?;
        let lowest = vec![f32::MIN; some * k];
        let scores = processor.filled(bytemuck::cast_slice(&lowest), Usage::STORAGE | Usage::COPY_SRC)?;
        let setup = processor.filled(bytemuck::bytes_of(&queries), Usage::UNIFORM)?;
        let bound = processor.bound(&self.kernel, 0, &[&setup, &self.rows, &self.bias, &ids, &scores]);
        // Each candidate takes a quarter of a row's turns, and at worst a place in front of all k.
        let tile = (TURNS / (k + self.fours / 4 + 2)).max(4);
        let mut tiles = Vec::new();
        for from in (0..self.count).step_by(tile) {
            let ends = [from as u32, (from + tile).min(self.count) as u32];
            let candidates = processor.filled(bytemuck::cast_slice(&ends), Usage::UNIFORM)?;
            tiles.push(processor.bound(&self.kernel, 1, &[&candidates]));
        }
        let mut encoder = processor.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.kernel);
            pass.set_bind_group(0, &bound, &[]);
            for tile in &tiles {
                pass.set_bind_group(1, tile, &[]);
                pass.dispatch_workgroups((some as u32).div_ceil(GROUP), 1, 1);
            }
        }
        processor.queue.submit([encoder.finish()]);
        Ok((processor.read(&ids)?, processor.read(&scores)?))
    }
}
