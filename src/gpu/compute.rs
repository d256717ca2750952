//! How does a graphics processor compute for us? A device, a kernel over buffers, and what it wrote read back.

use crate::base::{Failure, Result, failure::Explain};
use std::sync::{Arc, OnceLock, mpsc};
use wgpu::util::DeviceExt;

const WHAT: &str = "cannot compute on the graphics processor";

/// A graphics processor that computes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Processor {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// Its name, kind and interface, for reports.
    pub adapter: String,
    /// True when it is a program on the processor.
    pub is_software: bool,
}

/// A function of a shader with its buffers, ready to be dispatched.
#[derive(Debug)]
pub(super) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    bound: wgpu::BindGroup,
}

impl Kernel {
    /// Binds buffers to the bindings of the function's group 0 that it uses.
    pub fn new(
        processor: &Processor,
        source: &'static str,
        entry: &str,
        buffers: &[(u32, &wgpu::Buffer)],
    ) -> Self {
        let pipeline = processor.kernel(source, entry);
        let bound = processor.bound_at(&pipeline, 0, buffers);
        Self { pipeline, bound }
    }

    /// Has it run by so many workgroups, with `setup` as binding 0 of its group 1.
    pub fn dispatch(
        &self,
        processor: &Processor,
        encoder: &mut wgpu::CommandEncoder,
        setup: &wgpu::Buffer,
        workgroups: u32,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bound, &[]);
        pass.set_bind_group(1, &processor.bound(&self.pipeline, 1, &[setup]), &[]);
        pass.dispatch_workgroups(workgroups, 1, 1);
    }
}

impl Processor {
    /// Takes the fastest graphics processor that there is, with the largest buffers that it allows.
    ///
    /// # Errors
    /// There is none, or it cannot compute.
    pub fn open() -> Result<Self> {
        let instance = wgpu::Instance::default();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&options)).map_err(|error| {
            Failure::new(WHAT, error).hint("install a graphics driver; the processor computes meanwhile")
        })?;
        let own = adapter.limits();
        let required_limits = wgpu::Limits {
            max_buffer_size: own.max_buffer_size,
            max_storage_buffer_binding_size: own.max_storage_buffer_binding_size,
            ..wgpu::Limits::downlevel_defaults()
        };
        let descriptor =
            wgpu::DeviceDescriptor { label: Some("compute"), required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).explain(WHAT)?;
        Ok(Self::of(device, queue, &adapter.get_info()))
    }

    /// One that is open already: the window's.
    pub fn of(device: wgpu::Device, queue: wgpu::Queue, info: &wgpu::AdapterInfo) -> Self {
        Self {
            device,
            queue,
            adapter: super::adapter_words(info),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
        }
    }

    /// One that is open already and computes sooner than the processor: not a program on it, and with four storage buffers
    /// a stage and so many workgroups in a line.
    pub(super) fn at_hand(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        info: &wgpu::AdapterInfo,
        line: u32,
    ) -> Option<Self> {
        let limits = device.limits();
        let is_enough = limits.max_storage_buffers_per_shader_stage >= 4
            && limits.max_compute_workgroups_per_dimension >= line;
        let processor = Self::of(device.clone(), queue.clone(), info);
        (is_enough && !processor.is_software).then_some(processor)
    }

    /// The machine's own, opened once; `None` where there is none but a program on the processor, which computes nothing
    /// faster than the processor itself.
    pub fn hardware() -> Option<&'static Arc<Self>> {
        static KNOWN: OnceLock<Option<Arc<Processor>>> = OnceLock::new();
        let open = || Self::open().ok().filter(|processor| !processor.is_software).map(Arc::new);
        KNOWN.get_or_init(open).as_ref()
    }

    /// A kernel by the name of its function.
    pub(super) fn kernel(&self, source: &'static str, entry: &str) -> wgpu::ComputePipeline {
        let shader = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(entry),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: None,
            module: &shader,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        })
    }

    /// Binds buffers to a group of a kernel, the first to binding 0.
    pub(super) fn bound(
        &self,
        kernel: &wgpu::ComputePipeline,
        group: u32,
        buffers: &[&wgpu::Buffer],
    ) -> wgpu::BindGroup {
        let buffers: Vec<(u32, &wgpu::Buffer)> = (0..).zip(buffers.iter().copied()).collect();
        self.bound_at(kernel, group, &buffers)
    }

    /// Binds buffers to the bindings of a group that a kernel uses.
    pub(super) fn bound_at(
        &self,
        kernel: &wgpu::ComputePipeline,
        group: u32,
        buffers: &[(u32, &wgpu::Buffer)],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = buffers
            .iter()
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &kernel.get_bind_group_layout(group),
            entries: &entries,
        })
    }

    /// A buffer with numbers in it.
    ///
    /// # Errors
    /// It is larger than the processor allows.
    pub(super) fn filled(&self, contents: &[u8], usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        self.check_size(contents.len() as u64)?;
        let descriptor = wgpu::util::BufferInitDescriptor { label: None, contents, usage };
        Ok(self.device.create_buffer_init(&descriptor))
    }

    /// A buffer of zeros, at least of four bytes.
    ///
    /// # Errors
    /// It is larger than the processor allows.
    pub(super) fn zeros(&self, bytes: u64) -> Result<wgpu::Buffer> {
        self.check_size(bytes)?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let descriptor =
            wgpu::BufferDescriptor { label: None, size: bytes.max(4), usage, mapped_at_creation: false };
        Ok(self.device.create_buffer(&descriptor))
    }

    /// True when a buffer of so many bytes can be had.
    pub fn holds(&self, bytes: u64) -> bool {
        let limits = self.device.limits();
        bytes <= limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
    }

    fn check_size(&self, bytes: u64) -> Result<()> {
        if self.holds(bytes) {
            return Ok(());
        }
        Err(Failure::new(WHAT, format!("{bytes} bytes are more than its largest buffer")))
    }

    /// What a buffer holds, once all work before is done.
    ///
    /// # Errors
    /// The device is lost.
    pub(super) fn read<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer) -> Result<Vec<T>> {
        let back = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &back, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        let (tell, told) = mpsc::channel();
        back.slice(..).map_async(wgpu::MapMode::Read, move |done| {
            // Nobody listens once the device is lost; that is told below.
            let _ = tell.send(done);
        });
        self.device.poll(wgpu::PollType::wait_indefinitely()).explain(WHAT)?;
        told.recv().explain(WHAT)?.explain(WHAT)?;
        let view = back.slice(..).get_mapped_range().explain(WHAT)?;
        Ok(bytemuck::cast_slice(&view).to_vec())
    }
}
