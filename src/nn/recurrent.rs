//! What does a past, read in order, leave behind? LSTM and GRU over padded sequences.
//!
//! The inputs' share of all gates is one matrix product over the batch; the recurrent rest runs row by row over the real
//! positions only, with its gradient by backpropagation through time. The way back computes the states again.

mod fused;

use super::Computed;
use super::linear::Linear;
use super::weights::{Builder, Init};
use crate::base::Result;
use candle_core::{DType, Tensor};
use fused::Fused;

/// Which cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers et al. 2000).
    Lstm,
    /// Gated recurrent unit (Cho et al. 2014), the reset gate after the product, as cuDNN and PyTorch have it.
    Gru,
}

impl Cell {
    /// Blocks of `units` gates: input, forget, candidate, output; or reset, update, candidate.
    fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// A recurrent layer that answers its last state.
#[derive(Debug)]
pub struct Recurrent {
    cell: Cell,
    /// From inputs to gates, with the gates' biases.
    input: Linear,
    /// `[gates units, units]`: from the state before to gates.
    hidden: Tensor,
    /// `[units]`: GRU's bias of the candidate inside the reset gate.
    inner_bias: Option<Tensor>,
}

impl Recurrent {
    /// Draws a layer.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(builder: &mut Builder, name: &str, cell: Cell, inputs: usize, units: usize) -> Result<Self> {
        let gates = cell.gates() * units;
        let start = Init::Normal((1.0 / units as f64).sqrt());
        Ok(Self {
            cell,
            input: builder.linear(&format!("{name}.input"), inputs, gates)?,
            hidden: builder.parameter(&format!("{name}.hidden.weight"), &[gates, units], start)?,
            inner_bias: match cell {
                Cell::Lstm => None,
                Cell::Gru => {
                    Some(builder.parameter(&format!("{name}.hidden.bias"), &[units], Init::Constant(0.0))?)
                }
            },
        })
    }

    /// `[rows, units]`: the state after the first `lengths[row]` positions of `[rows, positions, inputs]`; zeros
    /// where there are none.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor, lengths: &[u32]) -> Computed<Tensor> {
        self.run(x, None, lengths, false)
    }

    /// `[rows, positions, units]`: the state after each of the first `lengths[row]` positions; zeros elsewhere.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward_each(&self, x: &Tensor, lengths: &[u32]) -> Computed<Tensor> {
        self.run(x, None, lengths, true)
    }

    /// The last state of a GRU whose steps are multiplied by `attention` `[rows, positions]`: AUGRU of Zhou et al., AAAI 2019
    /// (arXiv 1809.03672, equations 15 and 16). At 1 it is the plain cell, at 0 the state stays.
    ///
    /// # Errors
    /// Shapes that do not fit, or a cell that is no GRU.
    pub fn forward_attended(&self, x: &Tensor, attention: &Tensor, lengths: &[u32]) -> Computed<Tensor> {
        self.run(x, Some(attention), lengths, false)
    }

    fn run(&self, x: &Tensor, attention: Option<&Tensor>, lengths: &[u32], each: bool) -> Computed<Tensor> {
        let (rows, positions, inputs) = x.dims3()?;
        let gates = self.input.forward(&x.reshape((rows * positions, inputs))?)?;
        let mut gates = gates.reshape((rows, positions, ()))?;
        if !x.device().is_cpu() {
            return self.plain(&gates, attention, lengths, each);
        }
        if let Some(attention) = attention {
            gates = Tensor::cat(&[&gates, &attention.unsqueeze(2)?], 2)?;
        }
        let mut parts = vec![self.hidden.flatten_all()?];
        parts.extend(self.inner_bias.clone());
        let fused = Fused {
            cell: self.cell,
            units: self.hidden.dim(1)?,
            lengths: lengths.to_vec(),
            attended: attention.is_some(),
            each,
        };
        gates.contiguous()?.apply_op2(&Tensor::cat(&parts, 0)?, fused)
    }

    /// The recurrent rest by graph operations: for other devices, and the reference of the fused pass.
    fn plain(
        &self,
        gates: &Tensor,
        attention: Option<&Tensor>,
        lengths: &[u32],
        each: bool,
    ) -> Computed<Tensor> {
        let (rows, positions, _) = gates.dims3()?;
        let units = self.hidden.dim(1)?;
        let mut state = Tensor::zeros((rows, units), DType::F32, gates.device())?;
        let mut memory = state.clone();
        let mut states = Vec::new();
        for position in 0..positions {
            let of_input = gates.narrow(1, position, 1)?.squeeze(1)?;
            let of_state = state.matmul(&self.hidden.t()?)?;
            let part = |from: &Tensor, gate: usize| from.narrow(1, gate * units, units);
            let both = |gate| part(&of_input, gate)? + part(&of_state, gate)?;
            let mut next = match &self.inner_bias {
                None => {
                    let kept = (logistic(&both(1)?)? * &memory)?;
                    memory = (kept + (logistic(&both(0)?)? * both(2)?.tanh()?)?)?;
                    (logistic(&both(3)?)? * memory.tanh()?)?
                }
                Some(bias) => {
                    let inner = part(&of_state, 2)?.broadcast_add(bias)?;
                    let candidate = (part(&of_input, 2)? + (logistic(&both(0)?)? * inner)?)?.tanh()?;
                    (&candidate + (logistic(&both(1)?)? * (&state - &candidate)?)?)?
                }
            };
            if let Some(attention) = attention {
                next = (&state + (next - &state)?.broadcast_mul(&attention.narrow(1, position, 1)?)?)?;
            }
            // A row that has ended keeps its state.
            let goes_on: Vec<f32> =
                lengths.iter().map(|length| f32::from(position < *length as usize)).collect();
            let goes_on = Tensor::from_vec(goes_on, (rows, 1), gates.device())?;
            state = (&state + (next - &state)?.broadcast_mul(&goes_on)?)?;
            if each {
                states.push(state.broadcast_mul(&goes_on)?);
            }
        }
        if each { Tensor::stack(&states, 1) } else { Ok(state) }
    }
}

/// By tanh: neither it nor its gradient can overflow.
fn logistic(x: &Tensor) -> Computed<Tensor> {
    ((x * 0.5)?.tanh()? + 1.0)? * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check::{agrees_with_differences, normals};
    use candle_core::{Device, Var};

    fn layer(cell: Cell, inputs: usize, units: usize) -> (Builder, Recurrent) {
        let mut builder = Builder::new(3, Device::Cpu);
        let mut layer = Recurrent::new(&mut builder, "cell", cell, inputs, units).unwrap();
        layer.input.bias = (normals(&[cell.gates() * units], 9) * 0.5).unwrap();
        layer.inner_bias = layer.inner_bias.map(|bias| (bias + 0.3).unwrap());
        (builder, layer)
    }

    /// One LSTM unit with all weights 1 and inputs 1: c = s(1) tanh(1), h = s(1) tanh(c), and so on by hand.
    #[test]
    fn two_steps_equal_hand_values() {
        let s = |x: f64| 1.0 / (1.0 + (-x).exp());
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let input =
            |gates: usize| Linear { weight: ones(&[gates, 1]), bias: ones(&[gates]).zeros_like().unwrap() };
        let lstm = Recurrent { cell: Cell::Lstm, input: input(4), hidden: ones(&[4, 1]), inner_bias: None };
        let (mut c, mut h) = (0.0, 0.0);
        for _ in 0..2 {
            let a: f64 = 1.0 + h;
            c = s(a) * c + s(a) * a.tanh();
            h = s(a) * f64::tanh(c);
        }
        let got = lstm.forward(&ones(&[1, 2, 1]), &[2]).unwrap().to_vec2::<f32>().unwrap()[0][0];
        assert!((f64::from(got) - h).abs() < 1e-6, "{got} {h}");
        let inner_bias = Some(ones(&[1]));
        let gru = Recurrent { cell: Cell::Gru, input: input(3), hidden: ones(&[3, 1]), inner_bias };
        let mut h = 0.0;
        for _ in 0..2 {
            let gate = s(1.0 + h);
            h = (1.0 - gate) * f64::tanh(1.0 + gate * (h + 1.0)) + gate * h;
        }
        let got = gru.forward(&ones(&[1, 2, 1]), &[2]).unwrap().to_vec2::<f32>().unwrap()[0][0];
        assert!((f64::from(got) - h).abs() < 1e-6, "{got} {h}");
    }

    #[test]
    fn fused_equals_plain_forward_and_backward() {
        for (cell, attended) in [(Cell::Lstm, false), (Cell::Gru, false), (Cell::Gru, true)] {
            for (units, each) in [(3, false), (8, true), (17, true), (17, false)] {
                let (builder, layer) = layer(cell, 4, units);
                let lengths: Vec<u32> = (0..70).map(|row| row % 6).collect();
                let x = Var::from_tensor(&normals(&[70, 5, 4], 1)).unwrap();
                let attention = Var::from_tensor(&normals(&[70, 5], 2)).unwrap();
                let attention = attended.then_some(&attention);
                let tensor = attention.map(Var::as_tensor);
                let fused = layer.run(&x, tensor, &lengths, each).unwrap();
                let gates = layer.input.forward(&x.reshape((350, 4)).unwrap()).unwrap();
                let plain =
                    layer.plain(&gates.reshape((70, 5, ())).unwrap(), tensor, &lengths, each).unwrap();
                let hidden = &builder.parameters.iter().find(|p| p.name == "cell.hidden.weight").unwrap().var;
                let answer = |out: &Tensor| {
                    let probe = normals(out.dims(), 5);
                    let store = (out * probe).unwrap().sum_all().unwrap().backward().unwrap();
                    let of = |var: &Var| store.get(var).unwrap().clone();
                    [Some(out.clone()), Some(of(&x)), Some(of(hidden)), attention.map(of)]
                };
                for (place, (fused, plain)) in answer(&fused).iter().zip(&answer(&plain)).enumerate() {
                    let Some((fused, plain)) = fused.as_ref().zip(plain.as_ref()) else { continue };
                    let gap = (fused - plain).unwrap().abs().unwrap().max_all().unwrap();
                    let gap = gap.to_scalar::<f32>().unwrap();
                    assert!(gap < 1e-4, "{cell:?} of {units} units, answer {place}: {gap}");
                }
            }
        }
    }

    #[test]
    fn attention_of_one_is_a_plain_step_and_of_zero_none() {
        let (_, layer) = layer(Cell::Gru, 4, 5);
        let x = normals(&[3, 4, 4], 1);
        let lengths = [4, 3, 0];
        let ones = Tensor::ones((3, 4), DType::F32, &Device::Cpu).unwrap();
        let same = |one: &Tensor, other: &Tensor| {
            let gap = (one - other).unwrap().abs().unwrap().max_all().unwrap();
            assert!(gap.to_scalar::<f32>().unwrap() < 1e-6);
        };
        let plain = layer.forward(&x, &lengths).unwrap();
        same(&layer.forward_attended(&x, &ones, &lengths).unwrap(), &plain);
        let nothing = layer.forward_attended(&x, &ones.zeros_like().unwrap(), &lengths).unwrap();
        same(&nothing, &plain.zeros_like().unwrap());
        // Attending to the first two positions alone is stopping there.
        let first = Tensor::new(&[[1.0_f32, 1.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let first = first.broadcast_as((3, 4)).unwrap().contiguous().unwrap();
        same(&layer.forward_attended(&x, &first, &lengths).unwrap(), &layer.forward(&x, &[2, 2, 0]).unwrap());
        // The last of each state is the last state.
        let each = layer.forward_each(&x, &lengths).unwrap();
        same(
            &each.narrow(1, 3, 1).unwrap().squeeze(1).unwrap().narrow(0, 0, 1).unwrap(),
            &plain.narrow(0, 0, 1).unwrap(),
        );
        let (_, lstm) = self::layer(Cell::Lstm, 4, 5);
        assert!(lstm.forward_attended(&x, &ones, &lengths).is_err(), "an LSTM has no such step");
    }

    #[test]
    fn gradients_by_everything_agree_with_central_differences() {
        for (cell, attended) in [(Cell::Lstm, false), (Cell::Gru, false), (Cell::Gru, true)] {
            let (_, Recurrent { input, hidden, inner_bias, .. }) = layer(cell, 2, 3);
            let mut all = vec![normals(&[3, 3, 2], 1), input.weight, input.bias, hidden];
            all.extend(inner_bias);
            all.extend(attended.then(|| normals(&[3, 3], 6)));
            agrees_with_differences(&all, |t| {
                let layer = Recurrent {
                    cell,
                    input: Linear { weight: t[1].clone(), bias: t[2].clone() },
                    hidden: t[3].clone(),
                    inner_bias: (cell == Cell::Gru).then(|| t[4].clone()),
                };
                if attended {
                    layer.forward_attended(&t[0], &t[5], &[3, 1, 0])
                } else {
                    layer.forward_each(&t[0], &[3, 1, 0])
                }
            });
        }
    }
}
