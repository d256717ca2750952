//! How do weights take less room in a file? Half the bits, a byte and a scale for 32, and zeros left out.
//!
//! A packed tensor keeps its name in the safetensors file. Where it is of bytes, `NAME|scale` holds one number for 32; where
//! zeros are left out, the tensor holds the others alone, `NAME|bits` tells by one bit each which they are, and
//! `NAME|shape` how the whole is shaped. Packing what was unpacked gives the same bytes again.

use super::weights::NamedTensor;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::{self, Write};

/// How numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// 32 bits, as they are.
    #[default]
    F32,
    /// 16 bits (IEEE 754 binary16): about 3 digits.
    F16,
    /// 8 bits with a scale for 32 numbers: 255 levels between the largest of them.
    Int8,
}

/// Numbers that share a scale.
const BLOCK: usize = 32;
/// Largest level of a byte.
const LEVELS: f32 = 127.0;

impl Packing {
    /// All of them, by the words of flags.
    pub const WORDS: [(&'static str, Self); 3] =
        [("f32", Self::F32), ("f16", Self::F16), ("int8", Self::Int8)];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, packing)| *packing == self).map_or("f32", |(word, _)| word)
    }

    /// Makes of a tensor's numbers what they are after they were packed.
    ///
    /// # Errors
    /// A number that is none, or one too large for 16 bits.
    pub fn rounded(self, numbers: &mut [f32]) -> Result<()> {
        let what = "cannot pack the weights";
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(Failure::new(what, "one of them is no number").hint("train the model anew"));
        }
        match self {
            Self::F32 => {}
            Self::F16 => {
                let largest = numbers.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
                if !f16::from_f32(largest).is_finite() {
                    return Err(
                        Failure::new(what, format!("{largest} is too large for 16 bits")).hint("int8")
                    );
                }
                numbers.iter_mut().for_each(|number| *number = f16::from_f32(*number).to_f32());
            }
            Self::Int8 => {
                for block in numbers.chunks_mut(BLOCK) {
                    let scale = scale(block);
                    block.iter_mut().for_each(|number| *number = level(*number, scale) as f32 * scale);
                }
            }
        }
        Ok(())
    }

    /// Bytes of one number.
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Int8 => 1,
        }
    }
}

/// What a level of a block is worth. Of 16 significant bits, so that 127 levels are exact and the scale is found again.
fn scale(block: &[f32]) -> f32 {
    let largest = block.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    let bits = (largest / LEVELS).to_bits();
    f32::from_bits(bits.next_multiple_of(1 << 8))
}

fn level(number: f32, scale: f32) -> i8 {
    if scale > 0.0 { (number / scale).round().clamp(-LEVELS, LEVELS) as i8 } else { 0 }
}

/// A tensor as it lies in a file.
struct Piece {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes a safetensors file of tensors, packed but those whose place is among `exact`.
///
/// # Errors
/// What `out` answers.
pub fn write_packed(
    out: &mut impl Write,
    tensors: &[NamedTensor<'_>],
    packing: Packing,
    exact: &[bool],
) -> io::Result<()> {
    let exact = exact.iter().copied().chain(std::iter::repeat(false));
    let pieces: Vec<Piece> = tensors
        .iter()
        .zip(exact)
        .flat_map(|(tensor, exact)| pieces(tensor, if exact { Packing::F32 } else { packing }, !exact))
        .collect();
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for Piece { name, dtype, shape, bytes } in &pieces {
        let start = end;
        end += bytes.len();
        header.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    pieces.iter().try_for_each(|piece| out.write_all(&piece.bytes))
}

fn pieces(tensor: &NamedTensor<'_>, packing: Packing, may_leave_out: bool) -> Vec<Piece> {
    let numbers = tensor.values();
    let kept = numbers.iter().filter(|number| **number != 0.0).count();
    let of_shape = 8 * tensor.shape.len();
    let saves = (numbers.len() - kept) * packing.bytes() > numbers.len().div_ceil(8) + of_shape;
    let leaves_out = may_leave_out && saves;
    let mut bytes = Vec::new();
    let mut scales = Vec::new();
    for block in numbers.chunks(BLOCK) {
        let scale = scale(block);
        scales.extend(scale.to_le_bytes());
        for number in block.iter().filter(|number| !leaves_out || **number != 0.0) {
            match packing {
                Packing::F32 => bytes.extend(number.to_le_bytes()),
                Packing::F16 => bytes.extend(f16::from_f32(*number).to_le_bytes()),
                Packing::Int8 => bytes.push(level(*number, scale) as u8),
            }
        }
    }
    let dtype = match packing {
        Packing::F32 => "F32",
        Packing::F16 => "F16",
        Packing::Int8 => "I8",
    };
    let part = |part: &str, dtype, bytes: Vec<u8>, each: usize| {
        let shape = vec![bytes.len() / each];
        Piece { name: format!("{}|{part}", tensor.name), dtype, shape, bytes }
    };
    let shape = if leaves_out { vec![kept] } else { tensor.shape.clone() };
    let mut pieces = vec![Piece { name: tensor.name.clone(), dtype, shape, bytes }];
    if packing == Packing::Int8 {
        pieces.push(part("scale", "F32", scales, 4));
    }
    if leaves_out {
        let mut bits = vec![0_u8; numbers.len().div_ceil(8)];
        for (place, _) in numbers.iter().enumerate().filter(|(_, number)| **number != 0.0) {
            bits[place / 8] |= 1 << (place % 8);
        }
        pieces.push(part("bits", "U8", bits, 1));
        let shape = tensor.shape.iter().flat_map(|size| (*size as u64).to_le_bytes()).collect();
        pieces.push(part("shape", "U64", shape, 8));
    }
    pieces
}

/// True for the tensor of a file that only helps to unpack another.
pub fn is_part(file: &SafeTensors<'_>, name: &str, view: &TensorView<'_>) -> bool {
    match name.rsplit_once('|') {
        Some((_, "bits")) => view.dtype() == Dtype::U8,
        Some((_, "shape")) => view.dtype() == Dtype::U64,
        Some((of, "scale")) => file.tensor(of).is_ok_and(|of| of.dtype() == Dtype::I8),
        _ => false,
    }
}

/// The shape and the numbers of a tensor that may be packed; `None` where it lies there as it is.
///
/// # Errors
/// Parts that are missing or do not fit.
pub fn unpacked(
    file: &SafeTensors<'_>,
    name: &str,
    view: &TensorView<'_>,
) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
    let what = "cannot read the weights";
    let wrong = |why: &str| Failure::new(what, format!("tensor {name} {why}"));
    let bits = file.tensor(&format!("{name}|bits")).ok().filter(|bits| bits.dtype() == Dtype::U8);
    if view.dtype() == Dtype::F32 && bits.is_none() {
        return Ok(None);
    }
    let kept: Vec<f32> = match view.dtype() {
        Dtype::F32 => view.data().as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect(),
        Dtype::F16 => {
            view.data().as_chunks().0.iter().map(|number| f16::from_le_bytes(*number).to_f32()).collect()
        }
        Dtype::I8 => view.data().iter().map(|level| f32::from(*level as i8)).collect(),
        _ => return Err(wrong("is of a type that weights do not have")),
    };
    let (shape, mut numbers) = match &bits {
        None => (view.shape().to_vec(), kept),
        Some(bits) => {
            let shape = file.tensor(&format!("{name}|shape")).explain(what)?;
            let sizes = shape.data().as_chunks().0.iter();
            let shape: Vec<usize> = sizes.map(|size| u64::from_le_bytes(*size) as usize).collect();
            let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
            let count = count.filter(|count| count.div_ceil(8) == bits.data().len());
            let count = count.ok_or_else(|| wrong("is shaped in another way than it was packed"))?;
            let is_kept = |place: usize| bits.data()[place / 8] >> (place % 8) & 1 == 1;
            if (0..count).filter(|place| is_kept(*place)).count() != kept.len() {
                return Err(wrong("has not as many numbers as it says"));
            }
            let mut kept = kept.into_iter();
            let number = |place| if is_kept(place) { kept.next().unwrap_or_default() } else { 0.0 };
            (shape, (0..count).map(number).collect())
        }
    };
    if view.dtype() == Dtype::I8 {
        let scales = file.tensor(&format!("{name}|scale")).explain(what)?;
        let (scales, _) = scales.data().as_chunks();
        if scales.len() != numbers.len().div_ceil(BLOCK) {
            return Err(wrong("has not a scale for each block"));
        }
        for (block, scale) in numbers.chunks_mut(BLOCK).zip(scales) {
            block.iter_mut().for_each(|number| *number *= f32::from_le_bytes(*scale));
        }
    }
    Ok(Some((shape, numbers)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::nn::weights::from_safetensors;

    #[test]
    fn what_was_packed_is_what_was_rounded_and_packs_to_the_same_bytes() {
        let mut rng = Rng::named(1, "packed");
        let drawn: Vec<f32> = (0..40 * 7).map(|_| (rng.normal() * 0.3) as f32).collect();
        for packing in [Packing::F32, Packing::F16, Packing::Int8] {
            for share in [0.0, 0.02, 0.7] {
                let mut numbers = drawn.clone();
                numbers.iter_mut().for_each(|number| *number *= f32::from(!rng.chance(share)));
                // A block of zeros has no scale.
                numbers[32..64].fill(0.0);
                let before = numbers.clone();
                packing.rounded(&mut numbers).unwrap();
                let most = match packing {
                    Packing::F32 => 0.0,
                    Packing::F16 => 2e-3,
                    // Half a level of the largest number.
                    Packing::Int8 => 0.5 / 126.0,
                };
                for (block, before) in numbers.chunks(BLOCK).zip(before.chunks(BLOCK)) {
                    let largest = before.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
                    for (now, then) in block.iter().zip(before) {
                        assert!((now - then).abs() <= most * largest, "{packing:?}: {then} became {now}");
                    }
                }
                let pack = |numbers: &[f32]| {
                    let odd = [1.0, 0.0, 3.0e9];
                    let tensors = [
                        NamedTensor::of_numbers("odd|scale".into(), vec![3], &odd),
                        NamedTensor::of_numbers("t".into(), vec![40, 7], numbers),
                    ];
                    let mut bytes = Vec::new();
                    write_packed(&mut bytes, &tensors, packing, &[true]).unwrap();
                    bytes
                };
                let bytes = pack(&numbers);
                let back = from_safetensors(&bytes).unwrap();
                assert_eq!(back["t"], (vec![40, 7], numbers.clone().into()), "{packing:?} {share}");
                assert_eq!(back["odd|scale"].1.as_ref(), [1.0, 0.0, 3.0e9], "what is exact stays as it is");
                assert_eq!(pack(&back["t"].1), bytes);
                if share == 0.7 {
                    let expected = 40 * 7 * packing.bytes() / 2;
                    assert!(bytes.len() < expected + 700, "{packing:?}: {} bytes", bytes.len());
                }
                assert!(from_safetensors(&bytes[..bytes.len() - 1]).is_err());
            }
        }
        let huge = Packing::F16.rounded(&mut [1e6]).unwrap_err();
        assert!(huge.why.contains("too large"), "{huge}");
        assert!(Packing::Int8.rounded(&mut [f32::NAN]).is_err());
    }
}
