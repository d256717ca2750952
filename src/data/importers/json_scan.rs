//! How is a JSON object read straight into columns? In one look at its bytes, without building it first.
//!
//! What needs more than a look (escapes, exponents, lists of lists) goes to serde_json piece by piece. A line that
//! is no object in this reading is left to serde_json as a whole, which has the say and the words for what is wrong.

use super::batch::Batch;
use super::guess::LIST_MARK;
use super::json_lines::cell;
use super::sparse::Cell;
use serde_json::Value;
use std::borrow::Cow;

/// Objects within objects beyond this are left to serde_json, which has a limit of its own.
const MAX_DEPTH: usize = 64;

/// Adds the cells of the object on a line to the row that was begun. `None` when the line is not (surely) one; some
/// cells may have been added then.
pub(super) fn scan(line: &str, batch: &mut Batch) -> Option<()> {
    let mut scan = ObjectScan { text: line, bytes: line.as_bytes(), at: 0 };
    scan.spaces();
    scan.object(&mut String::new(), 0, batch)?;
    scan.spaces();
    (scan.at == scan.bytes.len()).then_some(())
}

struct ObjectScan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> ObjectScan<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn object(&mut self, prefix: &mut String, depth: usize, batch: &mut Batch) -> Option<()> {
        self.take(b'{')?;
        self.spaces();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.spaces();
            if prefix.is_empty() && batch.expected().is_some_and(|name| self.take_expected(name)) {
                self.value(true, prefix, depth, batch)?;
            } else {
                let key = self.string()?;
                self.spaces();
                self.take(b':')?;
                let outer = prefix.len();
                if !prefix.is_empty() {
                    prefix.push('.');
                }
                prefix.push_str(&key);
                self.value(false, prefix, depth, batch)?;
                prefix.truncate(outer);
            }
            self.spaces();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    /// Passes the key that was expected, with its quotes and its colon.
    fn take_expected(&mut self, name: &str) -> bool {
        let rest = &self.bytes[self.at..];
        let end = name.len() + 1;
        let is_there = rest.first() == Some(&b'"')
            && rest.get(1..end) == Some(name.as_bytes())
            && rest.get(end..end + 2) == Some(b"\":");
        self.at += if is_there { end + 2 } else { 0 };
        is_there
    }

    /// A value, as cell of the column `name`, or of the one that was expected.
    fn value(&mut self, is_expected: bool, name: &mut String, depth: usize, batch: &mut Batch) -> Option<()> {
        let mut push = |name: &str, text: &str, is_string: bool| match is_expected {
            true => batch.push_expected(text, is_string),
            false => batch.push(name, text, is_string),
        };
        self.spaces();
        match self.peek()? {
            b'"' => {
                let text = self.string()?;
                push(name, &text, true);
            }
            b'{' if depth >= MAX_DEPTH => return None,
            b'{' if is_expected => {
                // A key that was a cell before is an object here.
                name.push_str(batch.expected().unwrap_or_default());
                self.object(name, depth + 1, batch)?;
                name.clear();
            }
            b'{' => self.object(name, depth + 1, batch)?,
            b'[' => {
                let Cell { text, is_string } = self.array()?;
                push(name, &text, is_string);
            }
            b'-' | b'0'..=b'9' => {
                let number = self.number()?;
                match is_plain(number) {
                    true => push(name, number, false),
                    false => push(name, &serde_json::from_str::<Value>(number).ok()?.to_string(), false),
                }
            }
            _ => {
                let word = self.literal()?;
                push(name, word, false);
            }
        }
        Some(())
    }

    /// The text between quotes.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.take(b'"')?;
        let begin = self.at;
        let mut is_plain = true;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    is_plain = false;
                    self.at += 2;
                }
                ..0x20 => return None,
                _ => self.at += 1,
            }
        }
        let end = self.at;
        self.at += 1;
        if is_plain {
            return self.text.get(begin..end).map(Into::into);
        }
        let whole = self.text.get(begin - 1..end + 1)?;
        serde_json::from_str::<String>(whole).ok().map(Into::into)
    }

    /// A number as it is written.
    fn number(&mut self) -> Option<&'a str> {
        let begin = self.at;
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _ = self.take(b'-').or_else(|| self.take(b'+'));
            self.digits()?;
        }
        self.text.get(begin..self.at)
    }

    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    /// `true`, `false`, or `null` as nothing.
    fn literal(&mut self) -> Option<&'static str> {
        for (word, text) in [("null", ""), ("true", "true"), ("false", "false")] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Some(text);
            }
        }
        None
    }

    /// An array as the text of a list: item by item where they are plain, else with all that serde_json knows.
    fn array(&mut self) -> Option<Cell> {
        let begin = self.at;
        if let Some(text) = self.plain_array() {
            return Some(Cell { text, is_string: true });
        }
        let rest = self.text.get(begin..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let value = values.next()?.ok()?;
        self.at = begin + values.byte_offset();
        Some(cell(value))
    }

    fn plain_array(&mut self) -> Option<String> {
        let mut text = String::from(LIST_MARK);
        self.take(b'[')?;
        self.spaces();
        if self.take(b']').is_some() {
            return Some(text);
        }
        loop {
            self.spaces();
            match self.peek()? {
                b'"' => text.push_str(&self.string()?),
                b'-' | b'0'..=b'9' => text.push_str(self.number().filter(|number| is_plain(number))?),
                b'[' | b'{' => return None,
                _ => text.push_str(self.literal()?),
            }
            self.spaces();
            if self.take(b',').is_none() {
                self.take(b']')?;
                return Some(text);
            }
            text.push(LIST_MARK);
        }
    }
}

/// True when a number means the same in a log of texts: an exponent would look like a hash.
fn is_plain(number: &str) -> bool {
    !number.bytes().any(|byte| matches!(byte, b'e' | b'E'))
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Batches, Names};
    use super::super::fill::{Cells, Fill};
    use super::super::json_lines::{flatten, object};
    use super::super::keep::Keep;
    use super::super::sparse::Row;
    use super::*;

    /// The cells of a batch by name.
    fn cells(mut batch: Batch) -> Vec<(String, String, bool)> {
        let mut names = Names::default();
        let mut fill = Fill::new(&[], Keep::default());
        names.place(std::slice::from_mut(&mut batch), &mut fill);
        let batches = [batch];
        let view = Batches::of(&batches, names.all().len());
        let mut found = Vec::new();
        for (column, name) in names.all().iter().enumerate() {
            view.each(column, |_, cell| found.push((name.clone(), cell.text.to_owned(), cell.is_string)));
        }
        found
    }

    fn scanned(line: &str) -> Option<Vec<(String, String, bool)>> {
        let mut batch = Batch::default();
        // The second time names are expected.
        for _ in 0..2 {
            batch.begin_row();
            scan(line, &mut batch)?;
            batch.end_row();
        }
        Some(cells(batch))
    }

    #[test]
    fn the_cells_are_those_of_the_full_parser() {
        for line in [
            r#"{"a":1,"b":"x","c":null,"d":true,"e":-0.25,"f":"","g":[]}"#,
            r#" { "a" : { "b" : { "c" : 7 } , "d" : {} } , "e" : [ 1 , "two" , null , false ] } "#,
            r#"{"u":"http:\/\/a\"b\u00e9\n","k\u0041":1,"":{"x":2}}"#,
            r#"{"n":1e5,"m":1.5E-3,"big":123456789012345678,"l":[[1,2],[3]],"o":[{"a":1},{"b":[2]}],"p":[1e2]}"#,
            r#"{"twice":1,"twice":2,"上":"海"}"#,
            "{}",
        ] {
            let mut row = Row::new();
            flatten("", object(line).unwrap().unwrap(), &mut row);
            let mut batch = Batch::default();
            batch.push_row(row.clone());
            batch.push_row(row);
            assert_eq!(scanned(line).unwrap(), cells(batch), "{line}");
        }
    }

    #[test]
    fn what_the_full_parser_refuses_is_refused() {
        for line in [
            "",
            "{",
            "[1]",
            "{\"a\":01}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{\"a\":1}x",
            "{\"a\":tru}",
            "{\"a\":\"\t\"}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":\"\\x\"}",
            "{\"a\":[1,]}",
            "{\"a\":[1 2]}",
            "{a:1}",
            "{\"a\":+1}",
            "{\"a\":\"\\",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":NaN}",
        ] {
            assert!(scanned(line).is_none(), "{line}");
            assert!(!matches!(object(line), Ok(Some(_))), "{line}");
        }
    }
}
