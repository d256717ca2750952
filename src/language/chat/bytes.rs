//! Which bytes does a token of a byte-pair tokenizer stand for?
//!
//! GPT-2's tokenizer (Radford et al. 2019) writes each byte as a letter: printable bytes as themselves, the others as letters
//! from 256 on in their order. A character of a text may come in several tokens, so bytes are what a text is joined from.

use std::collections::HashMap;
use tokenizers::Tokenizer;

/// The letter of each byte.
pub(super) fn letters() -> [char; 256] {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 256;
    std::array::from_fn(|byte| {
        let byte = byte as u32;
        let code = if printable(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).unwrap_or('\u{FFFD}')
    })
}

/// The bytes of each token of a vocabulary; none for marks of the conversation and for tokens that are no bytes.
pub(super) fn pieces(tokenizer: &Tokenizer, count: usize) -> Vec<Vec<u8>> {
    let byte_of: HashMap<char, u8> = letters().into_iter().zip(0..=255).collect();
    let marks = tokenizer.get_added_tokens_decoder();
    (0..count as u32)
        .map(|id| {
            let token = tokenizer.id_to_token(id).filter(|_| !marks.contains_key(&id)).unwrap_or_default();
            token
                .chars()
                .map(|letter| byte_of.get(&letter).copied())
                .collect::<Option<_>>()
                .unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        let letters = letters();
        assert_eq!(letters[usize::from(b'a')], 'a');
        // The published examples: a space is Ġ, a line break is Ċ.
        assert_eq!((letters[32], letters[10]), ('Ġ', 'Ċ'));
        assert_eq!(letters.iter().collect::<std::collections::HashSet<_>>().len(), 256);
    }
}
