//! How are the characters of this file written? A mark at the start, the pattern of zero bytes, or all lines that
//! are more than ASCII.
//!
//! The head of a file may be plain ASCII where row 50,000 is not, so the choice between UTF-8 and an older encoding
//! looks at the whole file; a file that is UTF-8 but for a few broken rows stays UTF-8.

use super::reading::Reading;
use crate::base::{Failure, Result};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1252};
use memchr::memchr;
use std::io::Read;

/// How characters are written, and why that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// The encoding.
    pub(super) charset: &'static encoding_rs::Encoding,
    /// Bytes of a byte order mark at the start, which is no part of the text.
    pub(super) mark_bytes: usize,
    /// What it was chosen by.
    pub evidence: String,
    /// True when a person chose it.
    pub(super) is_asked: bool,
}

/// Bytes of lines beyond ASCII that are enough to tell encodings apart.
const SAMPLE_BYTES: usize = 1 << 20;
/// A line longer than this is looked at in pieces.
const LINE_BYTES: usize = 1 << 20;

impl Encoding {
    /// Its name in the Encoding Standard.
    pub fn name(&self) -> &'static str {
        self.charset.name()
    }

    /// True for UTF-8, which needs no decoding.
    pub fn is_utf8(&self) -> bool {
        self.charset == UTF_8
    }

    /// True for an encoding of two bytes a character.
    pub fn is_utf16(&self) -> bool {
        self.charset == UTF_16LE || self.charset == UTF_16BE
    }

    fn of(charset: &'static encoding_rs::Encoding, mark_bytes: usize, evidence: impl Into<String>) -> Self {
        Self { charset, mark_bytes, evidence: evidence.into(), is_asked: false }
    }

    /// What the first bytes of a file say, or what a person has said of it.
    ///
    /// # Errors
    /// An encoding was asked for that does not exist.
    pub(super) fn of_start(start: &[u8], reading: &Reading) -> Result<Self> {
        let marked = match start {
            [0xef, 0xbb, 0xbf, ..] => Some((UTF_8, 3)),
            [0xff, 0xfe, ..] => Some((UTF_16LE, 2)),
            [0xfe, 0xff, ..] => Some((UTF_16BE, 2)),
            _ => None,
        };
        if let Some(label) = &reading.encoding {
            let charset = encoding_rs::Encoding::for_label(label.trim().as_bytes()).ok_or_else(|| {
                Failure::new("cannot read the log", format!("there is no encoding '{label}'"))
                    .hint("utf-8, utf-16le, gb18030, big5, shift_jis, euc-kr, windows-1252")
            })?;
            // A mark is never there by chance: what was asked for is from a recipe of another file.
            let (charset, mark_bytes, evidence) = match marked {
                Some((found, bytes)) if found != charset => {
                    (found, bytes, "a byte order mark, whatever was asked")
                }
                Some((_, bytes)) => (charset, bytes, "asked for"),
                None => (charset, 0, "asked for"),
            };
            return Ok(Self { is_asked: true, ..Self::of(charset, mark_bytes, evidence) });
        }
        Ok(match marked {
            Some((charset, bytes)) => Self::of(charset, bytes, "a byte order mark"),
            None => by_zeros(start).unwrap_or_else(|| Self::of(UTF_8, 0, "valid UTF-8")),
        })
    }

    /// What all lines of a file say that is not valid UTF-8 throughout.
    ///
    /// # Errors
    /// What the disk answers.
    pub(super) fn of_lines(source: impl Read) -> std::io::Result<Self> {
        let lines = Lines::of(source)?;
        let (utf8, other) = (lines.utf8, lines.other);
        if other == 0 {
            return Ok(Self::of(UTF_8, 0, "valid UTF-8"));
        }
        let broken = || {
            let evidence =
                format!("{other} lines are not valid UTF-8, but their bytes fit no other encoding");
            Self::of(UTF_8, 0, evidence)
        };
        // Text in an older encoding is hardly ever valid UTF-8 by chance.
        if utf8 >= other {
            let evidence = format!("{utf8} lines with characters beyond ASCII are UTF-8, {other} are not");
            return Ok(Self::of(UTF_8, 0, evidence));
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(&lines.sample, true);
        let charset = match detector.guess(None, Utf8Detection::Deny) {
            // The superset, which is what files said to be GBK are in.
            found if found == GBK => GB18030,
            // A pound sign is the letter L with a stroke of Central Europe.
            found if found == WINDOWS_1250 && is_pound_only(&lines.sample) => WINDOWS_1252,
            found => found,
        };
        let (text, has_errors) = charset.decode_without_bom_handling(&lines.sample);
        if has_errors || !is_plausible(&text) {
            return Ok(broken());
        }
        Ok(Self::of(
            charset,
            0,
            format!("{other} lines are not UTF-8, and their bytes are usual in {}", charset.name()),
        ))
    }
}

/// UTF-16 without a mark: in most languages every second byte of a table is zero.
fn by_zeros(start: &[u8]) -> Option<Encoding> {
    let pairs = start.len() / 2;
    if pairs < 4 || (!start.len().is_multiple_of(2) && start.len() < 64) {
        return None;
    }
    let zeros = |offset: usize| start.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let (charset, many, few) =
        if second > first { (UTF_16LE, second, first) } else { (UTF_16BE, first, second) };
    if many * 10 < pairs || few * 100 > pairs {
        return None;
    }
    // Binary data has zeros too, but what stands between them is no text.
    let (text, has_errors) = charset.decode_without_bom_handling(&start[..pairs * 2]);
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\r' | '\n' | '\u{1}');
    // The last character may be cut in two.
    let is_text = !text.chars().any(is_control) && (!has_errors || text.matches('\u{fffd}').count() == 1);
    let has_line = text.contains(['\n', '\r']) || start.len() < 64;
    (is_text && has_line)
        .then(|| Encoding::of(charset, 0, format!("{} % of every second byte are zero", 100 * many / pairs)))
}

/// The lines of a file that are more than ASCII.
#[derive(Default)]
struct Lines {
    utf8: u64,
    other: u64,
    /// Those that are not valid UTF-8, as far as they are needed.
    sample: Vec<u8>,
}

impl Lines {
    fn of(mut source: impl Read) -> std::io::Result<Self> {
        let mut lines = Self::default();
        let mut buffer = Vec::new();
        loop {
            let read = source.by_ref().take(LINE_BYTES as u64).read_to_end(&mut buffer)?;
            let is_end = read == 0;
            let mut at = 0;
            while at < buffer.len() {
                let rest = &buffer[at..];
                let length = match memchr(b'\n', rest) {
                    Some(end) => end + 1,
                    None if is_end || rest.len() >= LINE_BYTES => rest.len(),
                    None => break,
                };
                lines.see(&rest[..length]);
                at += length;
            }
            buffer.drain(..at);
            if is_end {
                return Ok(lines);
            }
        }
    }

    fn see(&mut self, line: &[u8]) {
        if line.is_ascii() {
            return;
        }
        if std::str::from_utf8(line).is_ok() {
            self.utf8 += 1;
            return;
        }
        self.other += 1;
        if self.sample.len() + line.len() <= SAMPLE_BYTES || self.sample.is_empty() {
            self.sample.extend_from_slice(line);
        }
    }
}

/// True when the pound sign of Western Europe is all that speaks for Central Europe: no letter stands beside it,
/// and the other bytes mean the same in both.
fn is_pound_only(sample: &[u8]) -> bool {
    let beside_letters = sample.windows(3).any(|near| near[1] == 0xa3 && near[2].is_ascii_alphabetic());
    let (central, _) = WINDOWS_1250.decode_without_bom_handling(sample);
    let (western, _) = WINDOWS_1252.decode_without_bom_handling(sample);
    let differ = central.chars().zip(western.chars()).filter(|(one, other)| one != other);
    !beside_letters && differ.into_iter().all(|(one, _)| one == 'Ł')
}

/// True when the characters beyond ASCII look like words or usual signs rather than like stray bytes.
fn is_plausible(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let (mut usual, mut stray) = (0u32, 0u32);
    let mut at = 0;
    while at < letters.len() {
        if letters[at].is_ascii() {
            at += 1;
            continue;
        }
        let run = letters[at..].iter().take_while(|letter| !letter.is_ascii()).count();
        let word = &letters[at..at + run];
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let beside = before.into_iter().chain(letters.get(at + run)).any(char::is_ascii_alphabetic);
        let is_word = (word.iter().any(|letter| letter.is_alphabetic()) && (beside || run >= 3))
            || word.iter().any(|letter| is_ideograph(*letter));
        let are_signs = word.iter().all(|letter| SIGNS.contains(*letter));
        if is_word || are_signs {
            usual += 1;
        } else {
            stray += 1;
        }
        at += run;
    }
    usual > 9 * stray
}

/// Signs that stand alone in tables.
const SIGNS: &str = "€£¥§°·–—‘’“”…®™©«»\u{a0}±×²³½¼¿¡•";

fn is_ideograph(letter: char) -> bool {
    matches!(
        letter,
        '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff00}'..='\u{ffef}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_charset(label: &str, text: &str) -> Vec<u8> {
        let charset = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let (bytes, _, has_unmappable) = charset.encode(text);
        assert!(!has_unmappable, "{text} in {label}");
        bytes.into_owned()
    }

    #[test]
    fn older_encodings_are_found_by_their_lines() {
        for (label, name, words) in [
            ("gb18030", "gb18030", ["北京", "信息流广告"]),
            ("big5", "Big5", ["台北", "品牌廣告"]),
            ("shift_jis", "Shift_JIS", ["東京", "クリック"]),
            ("shift_jis", "Shift_JIS", ["￥120", "￥90,クリック"]),
            ("euc-kr", "EUC-KR", ["서울", "광고"]),
            ("windows-1252", "windows-1252", ["Montréal", "Zürich"]),
            ("windows-1252", "windows-1252", ["Kosten in €", "£12 café"]),
            ("windows-1251", "windows-1251", ["Москва", "Показы"]),
            ("windows-1250", "windows-1250", ["Łódź", "wyświetlenia"]),
            ("windows-1254", "windows-1254", ["Gösterim", "Tıklama"]),
            ("windows-1253", "windows-1253", ["Αθήνα", "Κλικ"]),
        ] {
            // Most lines are ASCII, the others come late.
            let mut bytes = b"1,web,0\n".repeat(50_000);
            for word in words {
                bytes.extend(in_charset(label, &format!("7,{word},1\n")));
            }
            let found = Encoding::of_lines(bytes.as_slice()).unwrap();
            assert_eq!(found.name(), name, "{words:?}: {}", found.evidence);
        }
    }

    #[test]
    fn utf8_with_broken_rows_stays_utf8() {
        let mut bytes = "1,Zürich,0\n".repeat(50).into_bytes();
        bytes.extend_from_slice(b"2,Z\xfcrich,0\n");
        assert!(Encoding::of_lines(bytes.as_slice()).unwrap().is_utf8());
        // Two stray bytes in ASCII are no word of any language.
        let mut bytes = b"1,web,0\n".repeat(50);
        bytes.extend_from_slice(b"2,\xff\xfe,0\n");
        let found = Encoding::of_lines(bytes.as_slice()).unwrap();
        assert!(found.is_utf8() && found.evidence.contains("1 lines"), "{}", found.evidence);
    }

    #[test]
    fn utf16_shows_by_its_zeros() {
        let text = "name,clicks\nZürich,7\n北京,8\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let of = |bytes: &[u8]| Encoding::of_start(bytes, &Reading::default()).unwrap().name();
        assert_eq!(of(&little), "UTF-16LE");
        assert_eq!(of(&big), "UTF-16BE");
        assert_eq!(of(b"name,clicks\nZ,7\n"), "UTF-8");
        assert_eq!(of(b"\x01\x00\x02\x00\x03\x00,\x00\n\x00"), "UTF-8");
    }

    #[test]
    fn a_person_has_the_last_word() {
        let asked = |label: &str| {
            let reading = Reading { encoding: Some(label.to_owned()), ..Reading::default() };
            move |start: &[u8]| Encoding::of_start(start, &reading)
        };
        assert_eq!(asked("GBK")(b"a,b").unwrap().name(), "GBK");
        let utf16 = asked("utf-8")(b"\xff\xfea\0").unwrap();
        assert_eq!((utf16.name(), utf16.mark_bytes), ("UTF-16LE", 2));
        assert!(asked("klingon")(b"a,b").unwrap_err().hint.contains("gb18030"));
    }
}
