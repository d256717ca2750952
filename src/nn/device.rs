//! On which processor do models run? Chosen when the program runs, named in every result.

use crate::base::failure::without_backtrace;
use crate::base::{Failure, Result};
use candle_core::Device;

/// The words that choose a device in forms and flags.
pub const DEVICES: &[&str] = &["auto", "cpu", "cuda", "metal"];

/// The device for a word of [`DEVICES`]. `auto` takes the graphics card this build supports if one answers,
/// else the processor; where a model's size is known, see [`worth_it`].
///
/// # Errors
/// The named device is not in this build or does not answer; `auto` and `cpu` always work.
pub fn choose(word: &str) -> Result<Device> {
    match word {
        "cpu" => Ok(Device::Cpu),
        "cuda" => cuda(),
        "metal" => metal(),
        "auto" => Ok(cuda().or_else(|_| metal()).unwrap_or(Device::Cpu)),
        other => Err(Failure::new("cannot choose a device", format!("'{other}' is no device"))
            .hint(format!("one of: {}", DEVICES.join(", ")))),
    }
}

/// Every device that answers here, the processor first: what runs on one is tested on all.
pub fn present() -> Vec<Device> {
    std::iter::once(Device::Cpu).chain(cuda()).chain(metal()).collect()
}

/// Multiplications of one batch's way forward from which a graphics card is worth the way to it and back. DeepFM on an
/// NVIDIA H200 trained 0.5 times as fast as on the 16 cores beside it at 5 million, 0.8 times at 1.6 billion, twice as
/// fast at 43 billion.
const WORTH_A_CARD: usize = 5_000_000_000;

/// The card for a batch of so many multiplications, if there is one and it is worth it: what `auto` means once the size
/// of a model is known.
pub fn worth_it(multiplications: usize) -> Option<Device> {
    if multiplications < WORTH_A_CARD { None } else { present().into_iter().nth(1) }
}

/// The device's word, for cards, status bar and JSON.
pub fn name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

fn cuda() -> Result<Device> {
    if !cfg!(feature = "cuda") {
        return Err(absent("CUDA", "cuda"));
    }
    Device::new_cuda(0).map_err(|error| silent("CUDA", &error))
}

fn metal() -> Result<Device> {
    if !cfg!(feature = "metal") {
        return Err(absent("Metal", "metal"));
    }
    Device::new_metal(0).map_err(|error| silent("Metal", &error))
}

fn absent(label: &str, feature: &str) -> Failure {
    Failure::new(format!("cannot use {label}"), "this program was built without it")
        .hint(format!("--device auto, or build with --features {feature}"))
}

fn silent(label: &str, error: &candle_core::Error) -> Failure {
    let why = error.to_string();
    Failure::new(format!("cannot use {label}"), without_backtrace(&why))
        .hint("--device auto, or check the driver")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_always_answers_and_unknown_words_list_the_known() {
        assert!(DEVICES.contains(&name(&choose("auto").unwrap())));
        assert_eq!(name(&choose("auto").unwrap()), name(present().get(1).unwrap_or(&Device::Cpu)));
        assert!(worth_it(1_000).is_none(), "a small model is not worth the way to a card");
        assert_eq!(worth_it(usize::MAX).is_some(), present().len() > 1);
        assert_eq!(name(&choose("cpu").unwrap()), "cpu");
        let failure = choose("tpu").unwrap_err();
        assert!(failure.hint.contains("cuda"), "{failure}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_was_not_built_in_is_refused_not_replaced() {
        let failure = choose("cuda").unwrap_err();
        assert!(failure.hint.contains("--features cuda"), "{failure}");
    }
}
