//! How does self-attention run row by row, over real members only, without keeping a matrix of weights?

use crate::nn::Computed;
use crate::nn::linear::{floats, read};
use crate::nn::vector::{add_product, add_transposed_product, exp, padded, vectorized};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows a thread takes at a time.
const ROWS: usize = 64;

/// Takes questions, keys and answers of all heads packed as `[rows, members, 3 heads width]`; answers `[rows, members,
/// heads width]`, zeros for members that are not real.
pub(super) struct Fused {
    pub(super) heads: usize,
    pub(super) width: usize,
    pub(super) scale: f32,
    /// True where a member asks itself and those behind it only.
    pub(super) looks_back: bool,
    pub(super) lengths: Vec<u32>,
}

/// Sizes of one call; `wide` and `many` are width and members padded to whole vectors.
#[derive(Clone, Copy)]
struct Sizes {
    members: usize,
    heads: usize,
    width: usize,
    wide: usize,
    many: usize,
    scale: f32,
    looks_back: bool,
}

/// One thread's work space for one head of one row. Members beyond the real ones are zeros.
struct Space {
    /// `[many, wide]` each.
    parts: [Vec<f32>; 3],
    /// `[wide, many]`.
    key_columns: Vec<f32>,
    /// `[wide, many]`.
    answer_columns: Vec<f32>,
    /// `[many, many]`: softmax of the scores.
    weights: Vec<f32>,
    /// `[many, wide]`: the result, or its gradient.
    out: Vec<f32>,
    /// `[many, many]`: the gradient by weights, then by scores.
    flow: Vec<f32>,
    /// `[many, wide]` each: the gradients of the parts.
    of_parts: [Vec<f32>; 3],
}

impl Sizes {
    fn space(self) -> Space {
        let Self { wide, many, .. } = self;
        let zeros = |n| vec![0.0; n];
        Space {
            parts: [zeros(many * wide), zeros(many * wide), zeros(many * wide)],
            key_columns: zeros(wide * many),
            answer_columns: zeros(wide * many),
            weights: zeros(many * many),
            out: zeros(many * wide),
            flow: zeros(many * many),
            of_parts: [zeros(many * wide), zeros(many * wide), zeros(many * wide)],
        }
    }

    /// Where part `part` of head `head` of a member starts in its packed numbers.
    fn at(self, member: usize, part: usize, head: usize) -> usize {
        ((member * 3 + part) * self.heads + head) * self.width
    }
}

impl Space {
    /// Unpacks one head of one row and fills its weights.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, simd: S, sizes: Sizes, packed: &[f32], head: usize, length: usize) {
        let Sizes { width, wide, many, scale, looks_back, .. } = sizes;
        for (part, to) in self.parts.iter_mut().enumerate() {
            to.fill(0.0);
            for (member, to) in to.chunks_exact_mut(wide).take(length).enumerate() {
                to[..width].copy_from_slice(&packed[sizes.at(member, part, head)..][..width]);
            }
        }
        transpose(&self.parts[1], &mut self.key_columns, (many, wide));
        let [questions, ..] = &self.parts;
        self.weights.fill(0.0);
        let weights = &mut self.weights[..length * many];
        add_product(simd, weights, &questions[..length * wide], &self.key_columns, (wide, many));
        for (asks, weights) in weights.chunks_exact_mut(many).enumerate() {
            let (real, others) = weights.split_at_mut(length);
            let (before, real) = real.split_at_mut(if looks_back { asks } else { 0 });
            before.fill(0.0);
            let top = real.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            real.iter_mut().for_each(|score| *score = exp((*score - top) * scale));
            let sum: f32 = real.iter().sum();
            real.iter_mut().for_each(|weight| *weight /= sum);
            others.fill(0.0);
        }
    }

    /// The weighed sums of the answers, into `out`.
    #[inline(always)]
    fn answer<S: Simd>(&mut self, simd: S, sizes: Sizes, length: usize) {
        let Sizes { wide, many, .. } = sizes;
        self.out.fill(0.0);
        let out = &mut self.out[..length * wide];
        add_product(simd, out, &self.weights[..length * many], &self.parts[2], (many, wide));
    }

    /// The gradients of the parts from that of the result in `out`.
    #[inline(always)]
    fn gradient<S: Simd>(&mut self, simd: S, sizes: Sizes, length: usize) {
        let Sizes { wide, many, scale, .. } = sizes;
        let [of_questions, of_keys, of_answers] = &mut self.of_parts;
        let (weights, out) = (&self.weights[..length * many], &self.out[..length * wide]);
        of_answers.fill(0.0);
        add_transposed_product(simd, of_answers, weights, out, (many, wide));
        transpose(&self.parts[2], &mut self.answer_columns, (many, wide));
        let flow = &mut self.flow[..length * many];
        flow.fill(0.0);
        add_product(simd, flow, out, &self.answer_columns, (wide, many));
        for (flow, weights) in flow.chunks_exact_mut(many).zip(weights.chunks_exact(many)) {
            let mean: f32 = flow.iter().zip(weights).map(|(g, w)| g * w).sum();
            flow.iter_mut().zip(weights).for_each(|(g, w)| *g = scale * w * (*g - mean));
        }
        of_questions.fill(0.0);
        add_product(simd, &mut of_questions[..length * wide], flow, &self.parts[1], (many, wide));
        of_keys.fill(0.0);
        add_transposed_product(simd, of_keys, flow, &self.parts[0][..length * wide], (many, wide));
    }
}

/// `[rows, columns]` -> `[columns, rows]`.
#[inline(always)]
fn transpose(from: &[f32], to: &mut [f32], (rows, columns): (usize, usize)) {
    for (row, from) in from.chunks_exact(columns).enumerate() {
        for (column, value) in from.iter().enumerate() {
            to[column * rows + row] = *value;
        }
    }
}

/// A run of rows on the way forward.
struct Forward<'a> {
    sizes: Sizes,
    lengths: &'a [u32],
    packed: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sizes, lengths, packed, out } = self;
        let Sizes { members, heads, width, wide, .. } = sizes;
        let mut space = sizes.space();
        let all = members * heads * width;
        let rows = out.chunks_exact_mut(all).zip(packed.chunks_exact(3 * all)).zip(lengths);
        for ((out, packed), length) in rows {
            let length = *length as usize;
            for head in 0..heads {
                space.weigh(simd, sizes, packed, head, length);
                space.answer(simd, sizes, length);
                for (member, from) in space.out.chunks_exact(wide).take(length).enumerate() {
                    out[(member * heads + head) * width..][..width].copy_from_slice(&from[..width]);
                }
            }
        }
    }
}

/// A run of rows on the way back.
struct Backward<'a> {
    sizes: Sizes,
    lengths: &'a [u32],
    packed: &'a [f32],
    out: &'a [f32],
    for_packed: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sizes, lengths, packed, out, for_packed } = self;
        let Sizes { members, heads, width, wide, .. } = sizes;
        let mut space = sizes.space();
        let all = members * heads * width;
        let rows = for_packed.chunks_exact_mut(3 * all).zip(packed.chunks_exact(3 * all));
        for (((for_packed, packed), out), length) in rows.zip(out.chunks_exact(all)).zip(lengths) {
            let length = *length as usize;
            for head in 0..heads {
                space.weigh(simd, sizes, packed, head, length);
                space.out.fill(0.0);
                for (member, to) in space.out.chunks_exact_mut(wide).take(length).enumerate() {
                    to[..width].copy_from_slice(&out[(member * heads + head) * width..][..width]);
                }
                space.gradient(simd, sizes, length);
                for (part, from) in space.of_parts.iter().enumerate() {
                    for (member, from) in from.chunks_exact(wide).take(length).enumerate() {
                        for_packed[sizes.at(member, part, head)..][..width].copy_from_slice(&from[..width]);
                    }
                }
            }
        }
    }
}

impl Fused {
    fn sizes(&self, packed: &Shape) -> Computed<Sizes> {
        let (_, members, all) = packed.dims3()?;
        let Self { heads, width, scale, looks_back, .. } = *self;
        if all != 3 * heads * width {
            bail!("{heads} heads of {width} numbers do not fit {all}");
        }
        let (wide, many) = (padded(width), padded(members));
        Ok(Sizes { members, heads, width, wide, many, scale, looks_back })
    }
}

impl CustomOp1 for Fused {
    fn name(&self) -> &'static str {
        "self-attention"
    }

    fn cpu_fwd(&self, packed: &CpuStorage, layout: &Layout) -> Computed<(CpuStorage, Shape)> {
        let sizes = self.sizes(layout.shape())?;
        let Sizes { members, heads, width, .. } = sizes;
        let run = ROWS * members * heads * width;
        let mut out = vec![0.0; self.lengths.len() * members * heads * width];
        out.par_chunks_mut(run)
            .zip(floats(packed, layout)?.par_chunks(3 * run))
            .zip(self.lengths.par_chunks(ROWS))
            .for_each(|((out, packed), lengths)| vectorized(Forward { sizes, lengths, packed, out }));
        Ok((CpuStorage::F32(out), (self.lengths.len(), members, heads * width).into()))
    }

    fn bwd(&self, packed: &Tensor, _out: &Tensor, gradient: &Tensor) -> Computed<Option<Tensor>> {
        let sizes = self.sizes(packed.shape())?;
        let run = ROWS * sizes.members * sizes.heads * sizes.width;
        let for_packed = read([packed, gradient], |[packed, out]| {
            let mut for_packed = vec![0.0; packed.len()];
            for_packed
                .par_chunks_mut(3 * run)
                .zip(packed.par_chunks(3 * run))
                .zip(out.par_chunks(run))
                .zip(self.lengths.par_chunks(ROWS))
                .for_each(|(((for_packed, packed), out), lengths)| {
                    vectorized(Backward { sizes, lengths, packed, out, for_packed });
                });
            for_packed
        })?;
        Tensor::from_vec(for_packed, packed.dims(), &Device::Cpu).map(Some)
    }
}
