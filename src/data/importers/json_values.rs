//! How is JSON read whose objects do not stand on a line each? Objects one after the other or in one array, however
//! they are broken into lines, are cut out by their brackets and parsed on all cores; the whole text is never held.

use super::container::Input;
use super::records::BadRows;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use serde_json::{Map, Value};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes read at once.
const BLOCK_BYTES: usize = 4 << 20;
/// An object longer than this is no row.
const OBJECT_BYTES: usize = 64 << 20;

/// The first object of a text, which may be the first of an array; `None` when it is not whole.
pub(super) fn first_value(head: &[u8]) -> Option<Map<String, Value>> {
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"[").unwrap_or(text);
    match serde_json::Deserializer::from_slice(text).into_iter().next() {
        Some(Ok(Value::Object(object))) => Some(object),
        _ => None,
    }
}

/// Parses every object of a text and hands the results over in its order. An object that `parse` refuses is counted
/// with the line where it begins.
///
/// # Errors
/// The disk, broken compression, an object of more than 64 MiB, a cancel.
pub(super) fn each_value<T: Send>(
    input: &Input,
    context: &JobContext,
    parse: impl Fn(&str) -> std::result::Result<T, String> + Sync,
    mut visit: impl FnMut(T),
) -> Result<BadRows> {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let mut source = input.text(&read_bytes)?;
    let mut bad = BadRows::default();
    let mut cutter = Cutter::default();
    let mut text = Vec::new();
    loop {
        let read = source.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut text);
        let is_end = read.map_err(|error| input.read_failure(&error))? == 0;
        context.check()?;
        let objects = cutter.cut(&text);
        let parsed: Vec<_> = objects
            .par_iter()
            .map(|(_, range)| match std::str::from_utf8(&text[range.clone()]) {
                Ok(object) => parse(object),
                Err(_) => Err("is not valid UTF-8".to_owned()),
            })
            .collect();
        for ((line, _), parsed) in objects.into_iter().zip(parsed) {
            match parsed {
                Ok(value) => visit(value),
                Err(why) => bad.add(line, || why),
            }
        }
        context.progress(read_bytes.load(Ordering::Relaxed), input.bytes);
        if is_end {
            break;
        }
        text.drain(..cutter.used());
        cutter.forget_used();
        if text.len() > OBJECT_BYTES {
            return Err(Failure::new("cannot read the log", "one JSON object is longer than 64 MiB")
                .at(format!("{}, line {}", input.path.display(), cutter.start_line)));
        }
    }
    if cutter.start.is_some() {
        bad.add(cutter.start_line, || "begins an object that never ends".to_owned());
    }
    Ok(bad)
}

/// Finds where objects begin and end.
#[derive(Debug, Default)]
struct Cutter {
    /// The next byte to look at.
    at: usize,
    depth: usize,
    /// The depth at which rows stand: 1 within an array.
    base: usize,
    is_string: bool,
    is_escaped: bool,
    /// Where the object begins that has not ended yet.
    start: Option<usize>,
    start_line: u64,
    lines: u64,
}

impl Cutter {
    /// The whole objects in the bytes that were not looked at yet, with the lines where they begin.
    fn cut(&mut self, text: &[u8]) -> Vec<(u64, Range<usize>)> {
        let mut objects = Vec::new();
        while let Some(byte) = text.get(self.at) {
            if let Some(start) = self.step(*byte) {
                objects.push((self.start_line, start..self.at + 1));
            }
            self.at += 1;
        }
        objects
    }

    /// Looks at one byte; where the object begins that it ends.
    fn step(&mut self, byte: u8) -> Option<usize> {
        self.lines += u64::from(byte == b'\n');
        if self.is_string {
            self.is_string = self.is_escaped || byte != b'"';
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            return None;
        }
        match byte {
            b'"' => self.is_string = true,
            b'{' => {
                if self.depth == self.base && self.start.is_none() {
                    self.start = Some(self.at);
                    self.start_line = self.lines + 1;
                }
                self.depth += 1;
            }
            b'[' => {
                if self.depth == 0 {
                    self.base = 1;
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == self.base
                    && let Some(start) = self.start.take()
                {
                    return Some(start);
                }
                if self.depth == 0 {
                    self.base = 0;
                }
            }
            _ => {}
        }
        None
    }

    /// Bytes that no object needs any more.
    fn used(&self) -> usize {
        self.start.unwrap_or(self.at)
    }

    fn forget_used(&mut self) {
        self.at -= self.used();
        self.start = self.start.map(|_| 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::file;
    use super::*;

    fn read(text: &str) -> (Vec<u64>, BadRows) {
        let (_folder, input) = file(text.as_bytes());
        let parse = |object: &str| {
            let object: Value = serde_json::from_str(object).map_err(|error| error.to_string())?;
            object["a"].as_u64().ok_or_else(|| "has no a".to_owned())
        };
        let mut seen = Vec::new();
        let bad = each_value(&input, &JobContext::detached(), parse, |number| seen.push(number)).unwrap();
        (seen, bad)
    }

    #[test]
    fn objects_are_found_however_they_stand() {
        for text in [
            "{\"a\":1}\n{\"a\":2}",
            "[{\"a\":1,\"b\":[{\"a\":9}]},\n {\"a\":2}\n]",
            "{\n \"a\": 1, \"s\": \"}\\\"{\"\n}\n{\n \"a\": 2\n}\n",
            "{\"a\":1}{\"a\":2}",
        ] {
            assert_eq!(read(text).0, [1, 2], "{text}");
        }
    }

    #[test]
    fn bad_and_unfinished_objects_are_counted() {
        let (seen, bad) = read("[{\"a\":1},\n{\"b\":2},\n\n{\"a\":3, \"c\": {\n");
        assert_eq!(seen, [1]);
        let lines: Vec<_> = bad.samples.iter().map(|row| row.line).collect();
        assert_eq!((bad.count, lines), (2, vec![2, 4]));
    }

    #[test]
    fn objects_across_blocks_stay_whole() {
        let long = "z".repeat(100_000);
        let text: String = (0..150).map(|row| format!("{{\"a\":{row},\"s\":\"{long}\"}}\n")).collect();
        assert!(text.len() > 3 * BLOCK_BYTES);
        assert_eq!(read(&text).0, (0..150).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_object() {
        assert!(first_value(b" [ {\"a\": {}} , {\"b\"").unwrap().contains_key("a"));
        assert!(first_value(b"{\"a\": [1, 2").is_none());
        assert!(first_value(b"[1, 2]").is_none());
    }
}
