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

/// Where the objects stand that are rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// One after the other, or in one array.
    #[default]
    Top,
    /// In the array that is a member of the one object of the document: `{"data": [{…}, {…}]}`.
    Under(String),
    /// In any such array.
    UnderAny,
    /// In the array that is a member of each object of an array: the pages of an answer, as
    /// `[{"results": [{…}, {…}], "requestId": …}, …]`.
    Pages(String),
    /// In any such array.
    AnyPage,
}

impl Place {
    /// How many brackets are open where the keys stand that tell the arrays of rows.
    fn key_depth(&self) -> usize {
        match self {
            Self::Pages(_) | Self::AnyPage => 2,
            Self::Top | Self::Under(_) | Self::UnderAny => 1,
        }
    }
}

/// Members of a page that hold its rows.
const PAGE_ROWS: [&str; 4] = ["results", "rows", "data", "records"];
/// What else a page tells, of itself and not of its rows.
const ABOUT_PAGES: &str = "fieldMask|requestId|nextPageToken|queryResourceConsumption|totalResultsCount|summaryRow|\
     paging|next|previous|page|pages|cursor|count|total|total_count|has_more|status|success|code|message|meta";

/// The member of each object of an array that holds rows, where the objects tell nothing else of them.
pub(super) fn page_rows(head: &[u8]) -> Option<String> {
    let mut cutter = Cutter { place: Place::AnyPage, ..Cutter::default() };
    let mut found: Option<String> = None;
    for byte in head {
        let ends_a_row = cutter.step(*byte).is_some();
        let is_key = *byte == b':' && !cutter.is_string && cutter.open.len() == cutter.place.key_depth();
        let key = || String::from_utf8_lossy(&cutter.key).into_owned();
        if is_key {
            let key = key();
            if !PAGE_ROWS.contains(&key.as_str()) && !ABOUT_PAGES.split('|').any(|known| known == key) {
                return None;
            }
        }
        if ends_a_row {
            let key = key();
            if !PAGE_ROWS.contains(&key.as_str()) || found.as_ref().is_some_and(|known| *known != key) {
                return None;
            }
            found = Some(key);
        }
        cutter.at += 1;
    }
    found
}

/// The member of the document's one object that holds the most objects, and how many are seen of them; `None` when
/// no member is an array of objects.
pub(super) fn largest_array(head: &[u8]) -> Option<(String, usize)> {
    let mut cutter = Cutter { place: Place::UnderAny, ..Cutter::default() };
    let mut counts: Vec<(String, usize)> = Vec::new();
    for byte in head {
        if cutter.step(*byte).is_some() {
            let key = String::from_utf8_lossy(&cutter.key).into_owned();
            match counts.iter_mut().find(|(known, _)| *known == key) {
                Some((_, count)) => *count += 1,
                None => counts.push((key, 1)),
            }
        }
        cutter.at += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count)
}

/// Parses every object of a text and hands the results over in its order. An object that `parse` refuses is counted
/// with the line where it begins.
///
/// # Errors
/// The disk, broken compression, an object of more than 64 MiB, a cancel.
pub(super) fn each_value<T: Send>(
    input: &Input,
    context: &JobContext,
    place: &Place,
    parse: impl Fn(&str) -> std::result::Result<T, String> + Sync,
    mut visit: impl FnMut(T),
) -> Result<BadRows> {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let mut source = input.text(&read_bytes)?;
    let mut bad = BadRows::default();
    let mut cutter = Cutter { place: place.clone(), ..Cutter::default() };
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
    place: Place,
    /// The next byte to look at.
    at: usize,
    /// The brackets that are open.
    open: Vec<u8>,
    is_string: bool,
    is_escaped: bool,
    /// The last text at the depth of keys, and the key that a colon made of it.
    text: Vec<u8>,
    key: Vec<u8>,
    /// Where the object begins that has not ended yet, and its depth.
    start: Option<usize>,
    start_depth: usize,
    start_line: u64,
    lines: u64,
}

/// The longest key that is told from others.
const KEY_BYTES: usize = 256;

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
            if self.open.len() == self.place.key_depth() && self.is_string && self.text.len() < KEY_BYTES {
                self.text.push(byte);
            }
            return None;
        }
        match byte {
            b'"' => {
                self.is_string = true;
                if self.open.len() == self.place.key_depth() {
                    self.text.clear();
                }
            }
            b':' if self.open.len() == self.place.key_depth() => self.key = std::mem::take(&mut self.text),
            b'{' | b'[' => {
                if byte == b'{' && self.start.is_none() && self.is_row() {
                    self.start = Some(self.at);
                    self.start_depth = self.open.len();
                    self.start_line = self.lines + 1;
                }
                self.open.push(byte);
            }
            b'}' | b']' => {
                self.open.pop();
                if self.open.len() <= self.start_depth {
                    return self.start.take();
                }
            }
            _ => {}
        }
        None
    }

    /// True when an object that begins here is a row.
    fn is_row(&self) -> bool {
        match (&self.place, self.open.as_slice()) {
            (Place::Top, [] | [b'[']) | (Place::UnderAny, [b'{', b'[']) => true,
            (Place::AnyPage, [b'[', b'{', b'[']) => true,
            (Place::Under(key), [b'{', b'[']) | (Place::Pages(key), [b'[', b'{', b'[']) => {
                *key.as_bytes() == *self.key
            }
            _ => false,
        }
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
        read_at(text, &Place::Top)
    }

    fn read_at(text: &str, place: &Place) -> (Vec<u64>, BadRows) {
        let (_folder, input) = file(text.as_bytes());
        let parse = |object: &str| {
            let object: Value = serde_json::from_str(object).map_err(|error| error.to_string())?;
            object["a"].as_u64().ok_or_else(|| "has no a".to_owned())
        };
        let mut seen = Vec::new();
        let bad =
            each_value(&input, &JobContext::detached(), place, parse, |number| seen.push(number)).unwrap();
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
    fn rows_within_a_document() {
        let text = "{\"meta\": {\"a\": [{\"a\": 7}]}, \"few\": [{\"a\": 8}],\n \"data\": [{\"a\": 1, \"data\": \
                    [{\"a\": 9}]}, {\"a\": 2}], \"next\": null}";
        assert_eq!(largest_array(text.as_bytes()), Some(("data".to_owned(), 2)));
        assert_eq!(read_at(text, &Place::Under("data".to_owned())).0, [1, 2]);
        assert_eq!(largest_array(b"{\"a\": [1, 2], \"b\": {}}"), None);
    }

    #[test]
    fn rows_on_the_pages_of_an_answer() {
        let text = "[{\"results\": [{\"a\": 1, \"data\": [{\"a\": 9}]},\n {\"a\": 2}], \"fieldMask\": \"a,b\"},\n \
                    {\"requestId\": \"x\", \"results\": [{\"a\": 3}]}]";
        assert_eq!(page_rows(text.as_bytes()).as_deref(), Some("results"));
        assert_eq!(read_at(text, &Place::Pages("results".to_owned())).0, [1, 2, 3]);
        // The lists of orders, and of queries that tell more of themselves.
        assert_eq!(page_rows(b"[{\"items\": [{\"a\": 1}]}]"), None);
        assert_eq!(page_rows(b"[{\"query\": \"shoes\", \"results\": [{\"a\": 1}]}]"), None);
        assert_eq!(page_rows(b"[{\"results\": [1, 2]}]"), None);
        assert_eq!(page_rows(b"[{\"a\": 1}, {\"a\": 2}]"), None);
    }

    #[test]
    fn the_first_object() {
        assert!(first_value(b" [ {\"a\": {}} , {\"b\"").unwrap().contains_key("a"));
        assert!(first_value(b"{\"a\": [1, 2").is_none());
        assert!(first_value(b"[1, 2]").is_none());
    }
}
