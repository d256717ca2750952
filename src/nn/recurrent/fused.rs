//! How does a recurrent layer run over the real positions of each row, and back through time?

use super::Cell;
use crate::nn::Computed;
use crate::nn::linear::{floats, read};
use crate::nn::vector::{add_product, add_scaled, add_transposed_product, padded, sigmoid, tanh, vectorized};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows a thread takes at a time: a fixed number, so that sums do not depend on the threads.
const ROWS: usize = 64;

/// Takes the inputs' share of the gates `[rows, positions, gates units]` and the flat recurrent weights (`[gates
/// units, units]`, then GRU's `[units]`); answers the last states `[rows, units]`, or each, `[rows, positions, units]`, zeros
/// on padding.
pub(super) struct Fused {
    pub(super) cell: Cell,
    pub(super) units: usize,
    pub(super) lengths: Vec<u32>,
    /// Behind a position's gates stands how much it is attended to, by which GRU's step is multiplied.
    pub(super) attended: bool,
    /// Answers each state.
    pub(super) each: bool,
}

/// Sizes of one call; `many` is units padded to whole vectors. Gates are blocks of `many`.
#[derive(Clone, Copy)]
struct Sizes {
    cell: Cell,
    positions: usize,
    units: usize,
    many: usize,
    attended: bool,
    each: bool,
}

/// The recurrent weights, padded with zeros.
struct Weights {
    /// `[many, gates many]`.
    forward: Vec<f32>,
    /// `[gates many, many]`.
    backward: Vec<f32>,
    /// `[many]`; zeros without one.
    inner_bias: Vec<f32>,
}

/// One thread's work space for one row. Position `p` starts from state `p` and ends in state `p + 1`.
struct Space {
    /// `[positions, gates many]`: activations.
    gates: Vec<f32>,
    /// `[positions, gates many]`: the state's share of the gates, later the gradient by it.
    of_state: Vec<f32>,
    /// `[positions, gates many]`: the gradient by the inputs' share.
    of_input: Vec<f32>,
    /// `[positions]`: the gradient by what attention gave.
    of_attention: Vec<f32>,
    /// `[positions + 1, many]`.
    states: Vec<f32>,
    /// `[positions + 1, many]`: LSTM's memory.
    memories: Vec<f32>,
}

/// Sums over the rows of a run, laid out like [`Weights::backward`] and its bias.
struct Sums {
    hidden: Vec<f32>,
    inner_bias: Vec<f32>,
}

impl Sizes {
    fn gates(self) -> usize {
        self.cell.gates()
    }

    /// Numbers of one position's input.
    fn inputs(self) -> usize {
        self.gates() * self.units + usize::from(self.attended)
    }

    /// Numbers of one row's answer.
    fn answers(self) -> usize {
        if self.each { self.positions * self.units } else { self.units }
    }

    /// How much a position is attended to.
    #[inline(always)]
    fn attention(self, inputs: &[f32], position: usize) -> f32 {
        if self.attended { inputs[(position + 1) * self.inputs() - 1] } else { 1.0 }
    }

    fn weights(self, flat: &[f32]) -> Weights {
        let Self { units, many, .. } = self;
        let all = self.gates() * many;
        let mut weights = Weights {
            forward: vec![0.0; many * all],
            backward: vec![0.0; all * many],
            inner_bias: vec![0.0; many],
        };
        let (hidden, bias) = flat.split_at(self.gates() * units * units);
        for (row, from) in hidden.chunks_exact(units.max(1)).enumerate() {
            let gate = row / units * many + row % units;
            weights.backward[gate * many..][..units].copy_from_slice(from);
            for (unit, value) in from.iter().enumerate() {
                weights.forward[unit * all + gate] = *value;
            }
        }
        weights.inner_bias[..bias.len()].copy_from_slice(bias);
        weights
    }

    fn space(self) -> Space {
        let all = self.positions * self.gates() * self.many;
        let states = (self.positions + 1) * self.many;
        Space {
            gates: vec![0.0; all],
            of_state: vec![0.0; all],
            of_input: vec![0.0; all],
            of_attention: vec![0.0; self.positions],
            states: vec![0.0; states],
            memories: vec![0.0; states],
        }
    }

    fn sums(self) -> Sums {
        Sums { hidden: vec![0.0; self.gates() * self.many * self.many], inner_bias: vec![0.0; self.many] }
    }
}

impl Space {
    /// Runs over the first `length` positions of one row of inputs' shares.
    #[inline(always)]
    fn compute<S: Simd>(&mut self, simd: S, sizes: Sizes, weights: &Weights, inputs: &[f32], length: usize) {
        let Sizes { units, many, .. } = sizes;
        let all = sizes.gates() * many;
        self.states[..many].fill(0.0);
        self.memories[..many].fill(0.0);
        for position in 0..length {
            let gates = &mut self.gates[position * all..][..all];
            let input = &inputs[position * sizes.inputs()..][..sizes.gates() * units];
            for (to, from) in gates.chunks_exact_mut(many).zip(input.chunks_exact(units)) {
                to[..units].copy_from_slice(from);
                to[units..].fill(0.0);
            }
            let of_state = &mut self.of_state[position * all..][..all];
            let (before, after) = self.states[position * many..][..2 * many].split_at_mut(many);
            of_state.fill(0.0);
            add_product(simd, of_state, before, &weights.forward, (many, all));
            let memory = self.memories[position * many..][..2 * many].split_at_mut(many);
            match sizes.cell {
                Cell::Lstm => lstm(gates, of_state, memory, after),
                Cell::Gru => {
                    let attention = sizes.attention(inputs, position);
                    gru(gates, of_state, (&weights.inner_bias, attention), (before, after));
                }
            }
        }
    }

    /// Back from the gradient of what was answered, over the first `length` positions of one row of inputs' shares; `flow` and
    /// `of_memory` are `[many]`.
    #[inline(always)]
    fn gradient<S: Simd>(
        &mut self,
        simd: S,
        (sizes, weights): (Sizes, &Weights),
        (inputs, length): (&[f32], usize),
        out: &[f32],
        (flow, of_memory): (&mut [f32], &mut [f32]),
        sums: &mut Sums,
    ) {
        let Sizes { units, many, .. } = sizes;
        let all = sizes.gates() * many;
        of_memory.fill(0.0);
        flow.fill(0.0);
        for position in (0..length).rev() {
            let answered = if sizes.each { position } else { length - 1 - position };
            if sizes.each || answered == 0 {
                let out = &out[answered * units..][..units];
                flow.iter_mut().zip(out).for_each(|(flow, out)| *flow += out);
            }
            let gates = &self.gates[position * all..][..all];
            let of_state = &mut self.of_state[position * all..][..all];
            let of_input = &mut self.of_input[position * all..][..all];
            match sizes.cell {
                Cell::Lstm => {
                    let memories = self.memories[position * many..][..2 * many].split_at(many);
                    lstm_back(gates, memories, (flow, of_memory), of_input);
                    of_state.copy_from_slice(of_input);
                    flow.fill(0.0);
                }
                Cell::Gru => {
                    let before = &self.states[position * many..][..many];
                    let attention = sizes.attention(inputs, position);
                    self.of_attention[position] =
                        gru_back(gates, (before, attention), flow, (of_state, of_input));
                    add_scaled(simd, &mut sums.inner_bias, 1.0, &of_state[2 * many..]);
                }
            }
            add_product(simd, flow, of_state, &weights.backward, (all, many));
        }
        let of_state = &self.of_state[..length * all];
        add_transposed_product(simd, &mut sums.hidden, of_state, &self.states[..length * many], (all, many));
    }
}

/// Activations in place of the inputs' shares; the memory and state after.
#[inline(always)]
fn lstm(gates: &mut [f32], of_state: &[f32], memory: (&mut [f32], &mut [f32]), after: &mut [f32]) {
    let many = after.len();
    for (gate, (gates, of_state)) in gates.chunks_exact_mut(many).zip(of_state.chunks_exact(many)).enumerate()
    {
        for (value, state) in gates.iter_mut().zip(of_state) {
            *value += state;
        }
        if gate == 2 {
            gates.iter_mut().for_each(|value| *value = tanh(*value));
        } else {
            gates.iter_mut().for_each(|value| *value = sigmoid(*value));
        }
    }
    let (input, rest) = gates.split_at(many);
    let (forget, rest) = rest.split_at(many);
    let (candidate, output) = rest.split_at(many);
    let (before, to) = memory;
    for unit in 0..many {
        to[unit] = forget[unit] * before[unit] + input[unit] * candidate[unit];
        after[unit] = output[unit] * tanh(to[unit]);
    }
}

/// The gradient by the gates' sums; moves that of the memory one position back.
#[inline(always)]
fn lstm_back(
    gates: &[f32],
    (before, after): (&[f32], &[f32]),
    (flow, of_memory): (&[f32], &mut [f32]),
    to: &mut [f32],
) {
    let many = before.len();
    let (input, rest) = gates.split_at(many);
    let (forget, rest) = rest.split_at(many);
    let (candidate, output) = rest.split_at(many);
    let (to_input, rest) = to.split_at_mut(many);
    let (to_forget, rest) = rest.split_at_mut(many);
    let (to_candidate, to_output) = rest.split_at_mut(many);
    for unit in 0..many {
        let squashed = tanh(after[unit]);
        let (i, f, g, o) = (input[unit], forget[unit], candidate[unit], output[unit]);
        to_output[unit] = flow[unit] * squashed * o * (1.0 - o);
        let through = of_memory[unit] + flow[unit] * o * (1.0 - squashed * squashed);
        to_input[unit] = through * g * i * (1.0 - i);
        to_candidate[unit] = through * i * (1.0 - g * g);
        to_forget[unit] = through * before[unit] * f * (1.0 - f);
        of_memory[unit] = through * f;
    }
}

/// Activations in place of the inputs' shares; the candidate's share of the state gets its bias; the state after, where
/// `attention` says how much of the step is taken (Zhou et al. 2019, equation 16: it multiplies one minus the update gate).
#[inline(always)]
fn gru(
    gates: &mut [f32],
    of_state: &mut [f32],
    (inner_bias, attention): (&[f32], f32),
    (before, after): (&[f32], &mut [f32]),
) {
    let many = after.len();
    let (reset, rest) = gates.split_at_mut(many);
    let (update, candidate) = rest.split_at_mut(many);
    let (to_reset, rest) = of_state.split_at_mut(many);
    let (to_update, inner) = rest.split_at_mut(many);
    for unit in 0..many {
        inner[unit] += inner_bias[unit];
        reset[unit] = sigmoid(reset[unit] + to_reset[unit]);
        update[unit] = sigmoid(update[unit] + to_update[unit]);
        candidate[unit] = tanh(candidate[unit] + reset[unit] * inner[unit]);
        after[unit] = before[unit] + attention * (1.0 - update[unit]) * (candidate[unit] - before[unit]);
    }
}

/// The gradients by both shares of the gates' sums; `flow` becomes the direct one by the state before. Answers that by the
/// attention.
#[inline(always)]
fn gru_back(
    gates: &[f32],
    (before, attention): (&[f32], f32),
    flow: &mut [f32],
    (of_state, of_input): (&mut [f32], &mut [f32]),
) -> f32 {
    let mut of_attention = 0.0;
    let many = before.len();
    let (reset, rest) = gates.split_at(many);
    let (update, candidate) = rest.split_at(many);
    let (state_reset, rest) = of_state.split_at_mut(many);
    let (state_update, inner) = rest.split_at_mut(many);
    let (input_reset, rest) = of_input.split_at_mut(many);
    let (input_update, input_candidate) = rest.split_at_mut(many);
    for unit in 0..many {
        let (r, z, n) = (reset[unit], update[unit], candidate[unit]);
        let by_candidate = flow[unit] * attention * (1.0 - z) * (1.0 - n * n);
        let by_update = flow[unit] * attention * (before[unit] - n) * z * (1.0 - z);
        of_attention += flow[unit] * (1.0 - z) * (n - before[unit]);
        let by_reset = by_candidate * inner[unit] * r * (1.0 - r);
        (state_reset[unit], input_reset[unit]) = (by_reset, by_reset);
        (state_update[unit], input_update[unit]) = (by_update, by_update);
        (inner[unit], input_candidate[unit]) = (by_candidate * r, by_candidate);
        flow[unit] *= 1.0 - attention * (1.0 - z);
    }
    of_attention
}

/// A run of rows on the way forward.
struct Forward<'a> {
    lengths: &'a [u32],
    sizes: Sizes,
    weights: &'a Weights,
    inputs: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lengths, sizes, weights, inputs, out } = self;
        let Sizes { positions, units, many, .. } = sizes;
        let mut space = sizes.space();
        let rows = out.chunks_exact_mut(sizes.answers()).zip(inputs.chunks_exact(positions * sizes.inputs()));
        for ((out, inputs), length) in rows.zip(lengths) {
            space.compute(simd, sizes, weights, inputs, *length as usize);
            if sizes.each {
                let states = space.states.chunks_exact(many).skip(1).take(*length as usize);
                out.chunks_exact_mut(units)
                    .zip(states)
                    .for_each(|(out, state)| out.copy_from_slice(&state[..units]));
            } else {
                out.copy_from_slice(&space.states[*length as usize * many..][..units]);
            }
        }
    }
}

/// A run of rows on the way back; answers the sums over its rows.
struct Backward<'a> {
    lengths: &'a [u32],
    sizes: Sizes,
    weights: &'a Weights,
    inputs: &'a [f32],
    out: &'a [f32],
    for_inputs: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let Self { lengths, sizes, weights, inputs, out, for_inputs } = self;
        let Sizes { positions, units, many, .. } = sizes;
        let mut space = sizes.space();
        let mut sums = sizes.sums();
        let (mut flow, mut of_memory) = (vec![0.0; many], vec![0.0; many]);
        let stride = positions * sizes.inputs();
        let rows = for_inputs.chunks_exact_mut(stride).zip(inputs.chunks_exact(stride));
        for (((for_inputs, inputs), out), length) in rows.zip(out.chunks_exact(sizes.answers())).zip(lengths)
        {
            let length = *length as usize;
            space.compute(simd, sizes, weights, inputs, length);
            let back = (flow.as_mut_slice(), of_memory.as_mut_slice());
            space.gradient(simd, (sizes, weights), (inputs, length), out, back, &mut sums);
            let of_positions = space.of_input.chunks_exact(sizes.gates() * many).zip(&space.of_attention);
            let for_positions = for_inputs.chunks_exact_mut(sizes.inputs()).zip(of_positions);
            for (to, (from, of_attention)) in for_positions.take(length) {
                let gates = to.chunks_exact_mut(units).zip(from.chunks_exact(many));
                gates.for_each(|(to, from)| to.copy_from_slice(&from[..units]));
                if sizes.attended {
                    to[sizes.inputs() - 1] = *of_attention;
                }
            }
        }
        sums
    }
}

impl Fused {
    fn sizes(&self, gates: &Shape) -> Computed<Sizes> {
        let (_, positions, all) = gates.dims3()?;
        let Self { cell, units, attended, each, .. } = *self;
        let sizes = Sizes { cell, positions, units, many: padded(units), attended, each };
        if all != sizes.inputs() || attended && cell != Cell::Gru {
            candle_core::bail!("a cell of {units} units does not have {all} gates");
        }
        Ok(sizes)
    }

    /// Gradients of the inputs' shares and the weights from that of the last states.
    fn gradient(&self, sizes: Sizes, inputs: &[f32], flat: &[f32], out: &[f32]) -> [Vec<f32>; 2] {
        let Sizes { positions, units, many, .. } = sizes;
        let weights = &sizes.weights(flat);
        let stride = positions * sizes.inputs();
        let mut for_inputs = vec![0.0; inputs.len()];
        let runs: Vec<Sums> = for_inputs
            .par_chunks_mut(ROWS * stride)
            .zip(inputs.par_chunks(ROWS * stride))
            .zip(out.par_chunks(ROWS * sizes.answers()))
            .zip(self.lengths.par_chunks(ROWS))
            .map(|(((for_inputs, inputs), out), lengths)| {
                vectorized(Backward { lengths, sizes, weights, inputs, out, for_inputs })
            })
            .collect();
        let mut sums = sizes.sums();
        for run in &runs {
            sums.hidden.iter_mut().zip(&run.hidden).for_each(|(to, from)| *to += from);
            sums.inner_bias.iter_mut().zip(&run.inner_bias).for_each(|(to, from)| *to += from);
        }
        let mut for_weights = Vec::with_capacity(flat.len());
        for gate in sums.hidden.chunks_exact(many * many) {
            gate.chunks_exact(many).take(units).for_each(|row| for_weights.extend(&row[..units]));
        }
        for_weights.extend(&sums.inner_bias[..flat.len() - for_weights.len()]);
        [for_inputs, for_weights]
    }
}

impl CustomOp2 for Fused {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn cpu_fwd(
        &self,
        gates: &CpuStorage,
        gates_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let sizes = self.sizes(gates_layout.shape())?;
        let Sizes { positions, units, .. } = sizes;
        let (rows, stride) = (self.lengths.len(), positions * sizes.inputs());
        let inputs = floats(gates, gates_layout)?;
        let weights = &sizes.weights(floats(weights, weights_layout)?);
        let mut out = vec![0.0; rows * sizes.answers()];
        out.par_chunks_mut(ROWS * sizes.answers())
            .zip(inputs.par_chunks(ROWS * stride))
            .zip(self.lengths.par_chunks(ROWS))
            .for_each(|((out, inputs), lengths)| {
                vectorized(Forward { lengths, sizes, weights, inputs, out });
            });
        let shape = if self.each { (rows, positions, units).into() } else { (rows, units).into() };
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(
        &self,
        gates: &Tensor,
        weights: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Computed<(Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(gates.shape())?;
        let [of_gates, of_weights] = read([gates, weights, gradient], |[gates, weights, out]| {
            self.gradient(sizes, gates, weights, out)
        })?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.dims(), &Device::Cpu).map(Some);
        Ok((tensor(of_gates, gates)?, tensor(of_weights, weights)?))
    }
}
