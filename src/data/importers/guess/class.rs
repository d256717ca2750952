//! What does one cell look like on its own: a number, a word for missing, damage, or something else?

use super::super::tokens;

/// What one cell is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CellClass {
    /// Nothing in it.
    Empty,
    /// A word for missing: `null`, `NA`, `\N`, `--`.
    MissingWord,
    /// What a spreadsheet writes in place of a value: `#####`, `#DIV/0!`.
    Damage,
    /// A whole number of at most 18 digits.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// Digits that are a name and no quantity: a leading zero, more than 18 digits, or `241546e0`.
    DigitName,
    /// `true` or `false`.
    Boolean(bool),
    /// Anything else.
    Other,
}

/// Takes a cell for what it looks like.
pub fn classify(cell: &str) -> CellClass {
    let trimmed = trimmed(cell);
    let bytes = trimmed.as_bytes();
    let Some(first) = bytes.first() else {
        return CellClass::Empty;
    };
    if first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') {
        return number_class(trimmed);
    }
    match bytes.len() {
        4 if trimmed.eq_ignore_ascii_case("true") => CellClass::Boolean(true),
        5 if trimmed.eq_ignore_ascii_case("false") => CellClass::Boolean(false),
        _ if *first == b'#' && tokens::is_damage(trimmed) => CellClass::Damage,
        _ if tokens::is_missing(trimmed) => CellClass::MissingWord,
        _ => CellClass::Other,
    }
}

/// Without spaces at the ends, which few cells have.
fn trimmed(cell: &str) -> &str {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(|byte| (b'!'..=b'~').contains(byte));
    let bytes = cell.as_bytes();
    if is_letter(bytes.first()) && is_letter(bytes.last()) { cell } else { cell.trim() }
}

fn number_class(cell: &str) -> CellClass {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let bytes = digits.as_bytes();
    if let Some(number) = short_whole(bytes) {
        return CellClass::Integer(if cell.as_bytes().first() == Some(&b'-') { -number } else { number });
    }
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        let is_name = (bytes.len() > 1 && bytes[0] == b'0') || bytes.len() > 18;
        return match cell.parse() {
            Ok(number) if !is_name => CellClass::Integer(number),
            _ => CellClass::DigitName,
        };
    }
    // After digits only a point or an exponent goes on with a number: dates and times are told here.
    let after = bytes.iter().position(|byte| !byte.is_ascii_digit());
    match after.and_then(|place| Some((place, bytes.get(place)?))) {
        Some((1.., b'.')) => {
            if let Some(number) = short_real(bytes) {
                return CellClass::Real(if cell.starts_with('-') { -number } else { number });
            }
        }
        Some((1.., byte)) if !matches!(byte, b'e' | b'E') => return CellClass::Other,
        _ => {}
    }
    // Programs write exponents with a sign or after a point; a hash such as 241546e0 has neither.
    let exponent = digits.split_once(['e', 'E']);
    if let Some((mantissa, power)) = exponent
        && !mantissa.contains('.')
        && power.bytes().all(|byte| byte.is_ascii_digit())
        && mantissa.bytes().all(|byte| byte.is_ascii_digit())
        && !mantissa.is_empty()
        && !power.is_empty()
    {
        return CellClass::DigitName;
    }
    if !bytes.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return if tokens::is_missing(cell) { CellClass::MissingWord } else { CellClass::Other };
    }
    match cell.parse::<f64>() {
        Ok(number) if number.is_finite() => CellClass::Real(number),
        _ => CellClass::Other,
    }
}

/// A number of at most 18 digits and nothing else, the usual case: without a leading zero, unless it is zero.
#[inline]
pub fn short_whole(digits: &[u8]) -> Option<i64> {
    let is_short = matches!(digits.len(), 1..=18) && (digits[0] != b'0' || digits.len() == 1);
    let mut number = 0;
    for byte in digits.iter().filter(|_| is_short) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    is_short.then_some(number)
}

/// Digits with a point among them, at most 15: both parts are exact in 64 bits, so one division rounds once, as a
/// full parser does (Clinger 1990).
#[inline]
pub fn short_real(bytes: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if bytes.len() > 16 {
        return None;
    }
    let (mut number, mut point) = (0u64, None);
    for (place, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(place),
            _ => return None,
        }
    }
    let point = point?;
    let decimals = bytes.len() - 1 - point;
    Some(number as f64 / POWERS.get(decimals)?)
}

/// Eight digits, `0` in each byte's place.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight bytes that end where a cell ends; 0 where there are fewer.
#[inline]
pub fn tail_of(bytes: &[u8], end: usize) -> u64 {
    let tail = bytes.get(..end).and_then(|bytes| bytes.last_chunk());
    tail.map_or(0, |tail| u64::from_le_bytes(*tail))
}

/// As [`short_whole`], for at most eight digits with the bytes before them, which are looked at together.
#[inline]
pub fn whole_of_tail(tail: u64, length: usize) -> Option<i64> {
    let digits = digits_of_tail(tail, length)?;
    let is_named = length > 1 && digits >> (64 - 8 * length) & 0xff == 0;
    let number = eight_digits(digits).filter(|_| !is_named)?;
    Some(number.cast_signed())
}

/// As [`short_real`], for at most eight bytes with the bytes before them.
#[inline]
pub fn real_of_tail(tail: u64, length: usize) -> Option<f64> {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    const POWERS: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
    let bytes = digits_of_tail(tail, length)?;
    let beside = bytes ^ (u64::from(b'.' ^ b'0') * LOWEST);
    // The highest bit of the byte that is the point: the lowest such bit is exact, and a second point is no digit.
    let point = (beside.wrapping_sub(LOWEST) & !beside & (LOWEST << 7)).trailing_zeros() / 8;
    if point == 8 {
        return None;
    }
    // What stands before the point moves over it.
    let above = u64::MAX.checked_shl(8 * (point + 1)).unwrap_or_default();
    let before = bytes & ((1 << (8 * point)) - 1);
    let number = eight_digits((bytes & above) | before << 8)?;
    Some(number as f64 / POWERS[7 - point as usize])
}

/// The last `length` bytes less `0`, and nothing before them; `None` beyond eight.
#[inline]
fn digits_of_tail(tail: u64, length: usize) -> Option<u64> {
    let is_short = matches!(length, 1..=8) && tail != 0;
    is_short.then(|| (tail ^ ZEROS) & (u64::MAX << (64 - 8 * length as u32)))
}

/// The number of eight digits, the first in the lowest byte; `None` where a byte is none.
#[inline]
fn eight_digits(digits: u64) -> Option<u64> {
    const TO_HIGHEST: u64 = 0x7676_7676_7676_7676;
    if (digits.wrapping_add(TO_HIGHEST) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    // Pairs, then fours, then all, each by one multiplication.
    let pairs = digits.wrapping_mul(10) + (digits >> 8);
    let low = (pairs & 0xff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = (pairs >> 16 & 0xff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    Some(low.wrapping_add(high) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_together_are_what_they_are_one_by_one() {
        let cells = [
            "0",
            "7",
            "00",
            "07",
            "10",
            "255",
            "1234567",
            "12345678",
            "99999999",
            "123456789",
            "-5",
            "1a",
            "a1",
            ":9",
            "/9",
            "",
            " 1",
            "1 ",
            "0.5",
            "3.25",
            "12.",
            ".5",
            "1.2.3",
            "1..",
            "0.000001",
            "123456.7",
            "00.50",
            "1,5",
            "12é",
            "....",
            ".",
            "9999999.",
            "1e5",
            "\u{b0}1",
        ];
        for cell in cells {
            for before in ["12345678", "99,.0.,4", "........"] {
                let text = format!("{before}{cell}");
                let tail = tail_of(text.as_bytes(), text.len());
                let (bytes, length) = (cell.as_bytes(), cell.len());
                let is_short = matches!(length, 1..=8);
                assert_eq!(whole_of_tail(tail, length), short_whole(bytes).filter(|_| is_short), "{cell}");
                assert_eq!(real_of_tail(tail, length), short_real(bytes).filter(|_| is_short), "{cell}");
            }
        }
        for number in (0..100_000_000i64).step_by(99_991) {
            let text = format!("12345678{number}");
            assert_eq!(whole_of_tail(tail_of(text.as_bytes(), text.len()), text.len() - 8), Some(number));
        }
        assert_eq!(whole_of_tail(tail_of(b"123", 3), 3), None, "too near to the beginning");
    }

    #[test]
    fn short_numbers_are_those_of_the_full_parser() {
        for cell in
            ["0.1", "1.005", "123456.789", "0.000001", "99999999999999.9", "5.", "00.50", "3.14159265358979"]
        {
            assert_eq!(classify(cell), CellClass::Real(cell.parse().unwrap()), "{cell}");
            let negative = format!("-{cell}");
            assert_eq!(classify(&negative), CellClass::Real(negative.parse().unwrap()), "{negative}");
        }
        for cell in ["1.2.3", "2026-01-05", "10:20", "1.5x", "3 km"] {
            assert_eq!(classify(cell), CellClass::Other, "{cell}");
        }
    }
}
