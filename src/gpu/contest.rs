//! Who is highest of many contestants, over and over, on a graphics processor? A compute kernel of whole numbers.
//!
//! Each contestant of a contest draws a whole number from its table by random bits of a counter; the highest wins, and
//! the second highest or a floor is kept. A workgroup makes a block of contests and adds up. There is no rounding
//! anywhere (`contest.wgsl` has the reason), so a driver can be slow but not different.

use crate::base::{Failure, Result, failure::Explain};
use std::sync::mpsc;
use wgpu::util::DeviceExt;

/// Entries of one table.
pub const TABLE_LEN: usize = 4_096;
/// The most contestants. A thread makes 256 contests, and Mesa's software driver ends all loops of a thread after 65,535
/// turns without a word.
pub const MOST_CONTESTANTS: usize = 192;
/// The most blocks of one run.
pub const MOST_BLOCKS: usize = 16_384;
/// Words before the wins in a block's answer.
const SUMS: usize = 7;

/// A graphics processor with the kernel on it.
#[derive(Debug)]
pub struct ContestPass {
    device: wgpu::Device,
    queue: wgpu::Queue,
    layout: wgpu::BindGroupLayout,
    tally: wgpu::ComputePipeline,
    each: wgpu::ComputePipeline,
    /// Its name, kind and interface, for reports.
    pub adapter: String,
    /// True when it is a program on the processor.
    pub is_software: bool,
}

/// Who draws from what.
#[derive(Debug, Clone, Copy)]
pub struct Contest<'a> {
    /// [`TABLE_LEN`] entries a table.
    pub tables: &'a [i32],
    /// The table of each contestant.
    pub table_of: &'a [u32],
    /// What the highest must reach, and the least that the second highest counts as.
    pub floor: i32,
    /// The key of each block's random numbers.
    pub keys: &'a [[u32; 2]],
    /// Contests of a block, at most 65,536.
    pub contests: u32,
    /// Contests of the last block.
    pub contests_of_last: u32,
}

/// What the contests of one block add up to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockSums {
    /// Contests with a winner.
    pub won: u32,
    /// Sum of the second highest.
    pub seconds: u64,
    /// Sum of the highest.
    pub firsts: u64,
    /// Sum of the squares of a 256th of the second highest, rounded down.
    pub squares: u64,
    /// Wins of each contestant.
    pub wins: Vec<u32>,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Setup {
    contestants: u32,
    floor: i32,
    contests: u32,
    contests_of_last: u32,
    blocks: u32,
    unused: [u32; 3],
}

impl ContestPass {
    /// Takes the fastest graphics processor that there is.
    ///
    /// # Errors
    /// There is none, or it cannot compute.
    pub fn open() -> Result<Self> {
        let what = "cannot compute on a graphics processor";
        let instance = wgpu::Instance::default();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&options)).map_err(|error| {
            Failure::new(what, error)
                .hint("install a graphics driver; the processor makes the auctions meanwhile")
        })?;
        let info = adapter.get_info();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("contests"),
            required_limits: wgpu::Limits::downlevel_defaults().using_resolution(adapter.limits()),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).explain(what)?;
        let shader = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("contests"),
            source: wgpu::ShaderSource::Wgsl(include_str!("contest.wgsl").into()),
        });
        let layout = bind_layout(&device);
        let pipeline = |entry| pipeline(&device, &shader, &layout, entry);
        Ok(Self {
            tally: pipeline("tally"),
            each: pipeline("each"),
            adapter: super::adapter_words(&info),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
            device,
            queue,
            layout,
        })
    }

    /// The sums of every block.
    ///
    /// # Errors
    /// A contest that the kernel is not made for, or a device that is lost.
    pub fn tally(&self, contest: &Contest<'_>) -> Result<Vec<BlockSums>> {
        let stride = SUMS + contest.table_of.len();
        let words = self.run(&self.tally, contest, contest.keys.len() as u32, contest.keys.len() * stride)?;
        let wide = |words: &[u32], at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
        let sums = |block: &[u32]| BlockSums {
            won: block[0],
            seconds: wide(block, 1),
            firsts: wide(block, 3),
            squares: wide(block, 5),
            wins: block[SUMS..].to_vec(),
        };
        Ok(words.chunks_exact(stride).map(sums).collect())
    }

    /// The winner (`u32::MAX`: nobody reached the floor) and the second highest of each contest of a single block.
    ///
    /// # Errors
    /// As [`ContestPass::tally`].
    pub fn each(&self, contest: &Contest<'_>) -> Result<Vec<(u32, u32)>> {
        let single = Contest { keys: contest.keys.get(..1).unwrap_or_default(), ..*contest };
        let contests = single.contests_of_last as usize;
        let words = self.run(&self.each, &single, single.contests_of_last.div_ceil(256), 2 * contests)?;
        Ok(words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    }

    fn run(
        &self,
        pipeline: &wgpu::ComputePipeline,
        contest: &Contest<'_>,
        groups: u32,
        words: usize,
    ) -> Result<Vec<u32>> {
        let what = "cannot compute on the graphics processor";
        contest.check()?;
        let bytes = 4 * words.max(1) as u64;
        let out = self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let back = self.buffer(bytes, wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
        let bind = self.bind(contest, &out);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &bind, &[]);
            pass.dispatch_workgroups(groups, 1, 1);
        }
        encoder.copy_buffer_to_buffer(&out, 0, &back, 0, bytes);
        self.queue.submit([encoder.finish()]);
        let (tell, told) = mpsc::channel();
        back.slice(..).map_async(wgpu::MapMode::Read, move |done| {
            // Nobody listens once the device is lost; that is told below.
            let _ = tell.send(done);
        });
        self.device.poll(wgpu::PollType::wait_indefinitely()).explain(what)?;
        told.recv().explain(what)?.explain(what)?;
        let view = back.slice(..).get_mapped_range().explain(what)?;
        Ok(bytemuck::cast_slice(&view).to_vec())
    }

    fn bind(&self, contest: &Contest<'_>, out: &wgpu::Buffer) -> wgpu::BindGroup {
        let setup = Setup {
            contestants: contest.table_of.len() as u32,
            floor: contest.floor,
            contests: contest.contests,
            contests_of_last: contest.contests_of_last,
            blocks: contest.keys.len() as u32,
            unused: [0; 3],
        };
        let entries = contest.table_of.iter().map(|table| *table as i32);
        let tables: Vec<i32> = contest.tables.iter().copied().chain(entries).collect();
        let filled = |contents: &[u8], usage| {
            self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage })
        };
        let buffers = [
            filled(bytemuck::bytes_of(&setup), wgpu::BufferUsages::UNIFORM),
            filled(bytemuck::cast_slice(&tables), wgpu::BufferUsages::STORAGE),
            filled(bytemuck::cast_slice(contest.keys), wgpu::BufferUsages::STORAGE),
        ];
        let all = buffers.iter().chain([out]);
        let entries: Vec<_> = (0..)
            .zip(all)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("contests"),
            layout: &self.layout,
            entries: &entries,
        })
    }

    fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }
}

impl Contest<'_> {
    fn check(&self) -> Result<()> {
        let refuse = |why: &str| Err(Failure::new("cannot compute on the graphics processor", why));
        let tables = self.tables.len() / TABLE_LEN;
        if !(1..=MOST_CONTESTANTS).contains(&self.table_of.len()) {
            return refuse("it is made for 1 to 192 contestants");
        }
        if !(1..=MOST_BLOCKS).contains(&self.keys.len()) {
            return refuse("a run has 1 to 16,384 blocks");
        }
        if !self.tables.len().is_multiple_of(TABLE_LEN) || self.table_of.iter().any(|t| *t as usize >= tables)
        {
            return refuse("a contestant draws from a table that is not there");
        }
        if self.contests > 65_536 || self.contests_of_last > 65_536 {
            return refuse("a block has at most 65,536 contests");
        }
        Ok(())
    }
}

fn bind_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("contests"),
        entries: &[
            entry(0, wgpu::BufferBindingType::Uniform),
            entry(1, storage(true)),
            entry(2, storage(true)),
            entry(3, storage(false)),
        ],
    })
}

fn pipeline(
    device: &wgpu::Device,
    shader: &wgpu::ShaderModule,
    layout: &wgpu::BindGroupLayout,
    entry: &str,
) -> wgpu::ComputePipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("contests"),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(entry),
        layout: Some(&layout),
        module: shader,
        entry_point: Some(entry),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}
