//! How is a segment's text read? Words first, then a descent through or, and, not.

use super::{Comparison, Literal, Segment, Test};
use crate::base::{Failure, Result};

/// Deeper nesting than this is a mistake, and would exhaust the stack.
const MAX_DEPTH: usize = 64;

impl Segment {
    /// Reads the text form; the empty text is every row.
    ///
    /// # Errors
    /// What was expected, what stands there instead, and at which character.
    pub fn parse(text: &str) -> Result<Self> {
        let tokens = tokens(text)?;
        let mut reader = Reader { tokens: &tokens, next: 0, depth: 0 };
        if reader.peek() == &Word::End {
            return Ok(Self::All);
        }
        let segment = reader.or()?;
        match reader.peek() {
            Word::End => Ok(segment),
            _ => Err(reader.unexpected("'and', 'or' or the end")),
        }
    }
}

/// A column's name as it must be written.
pub(super) fn quoted_column(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    // A name such as `.5` would be read as a number.
    let is_read =
        !letters.is_empty() && unquoted(&letters, 0) == Ok((Word::Bare(name.to_owned()), letters.len()));
    let plain = is_read && !KEYWORDS.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

const KEYWORDS: [&str; 6] = ["and", "or", "not", "in", "is", "missing"];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// A bare word: a column, a value, or a keyword.
    Bare(String),
    /// A column in double quotes.
    Column(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
    End,
}

#[derive(Debug)]
pub(super) struct Token {
    pub word: Word,
    /// Where it begins, in characters from 1.
    at: usize,
}

fn is_word_character(letter: char) -> bool {
    letter.is_alphanumeric() || "_.:".contains(letter)
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut next = 0;
    while let Some(&letter) = letters.get(next) {
        if letter.is_whitespace() {
            next += 1;
            continue;
        }
        let at = next + 1;
        let word = match letter {
            '\'' | '"' => {
                let (content, end) = quoted(&letters, next)?;
                next = end;
                if letter == '"' { Word::Column(content) } else { Word::Text(content) }
            }
            _ => {
                let (word, end) = unquoted(&letters, next)?;
                next = end;
                word
            }
        };
        tokens.push(Token { word, at });
    }
    tokens.push(Token { word: Word::End, at: letters.len() + 1 });
    Ok(tokens)
}

/// The content of a quoted text that begins at `start`, and where it ends. A doubled quote stands for one.
fn quoted(letters: &[char], start: usize) -> Result<(String, usize)> {
    let quote = letters[start];
    let mut content = String::new();
    let mut next = start + 1;
    while let Some(&letter) = letters.get(next) {
        if letter != quote {
            content.push(letter);
            next += 1;
        } else if letters.get(next + 1) == Some(&quote) {
            content.push(quote);
            next += 2;
        } else {
            return Ok((content, next + 1));
        }
    }
    Err(failure("the quote is never closed", start + 1))
}

/// A symbol, number or bare word that begins at `start`, and where it ends.
fn unquoted(letters: &[char], start: usize) -> Result<(Word, usize)> {
    const SYMBOLS: [&str; 11] = ["==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];
    for symbol in SYMBOLS {
        if letters[start..].iter().copied().take(symbol.len()).eq(symbol.chars()) {
            return Ok((Word::Symbol(symbol), start + symbol.len()));
        }
    }
    let sign = usize::from("+-".contains(letters[start]));
    let length = letters[start + sign..].iter().take_while(|letter| is_word_character(**letter)).count();
    if length == 0 {
        return Err(failure(&format!("'{}' means nothing here", letters[start]), start + 1));
    }
    let end = start + sign + length;
    let text: String = letters[start..end].iter().collect();
    // "nan" and "inf" are words, not numbers.
    let numeric = text.chars().any(|letter| letter.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_infinite() => {
            Err(failure(&format!("'{text}' is larger than any number"), start + 1))
        }
        Ok(number) if numeric => Ok((Word::Number(number), end)),
        _ if sign > 0 => Err(failure(&format!("'{text}' is no number"), start + 1)),
        _ => Ok((Word::Bare(text), end)),
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    next: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> &Word {
        &self.tokens[self.next].word
    }

    fn take(&mut self) -> Word {
        let word = self.peek().clone();
        if word != Word::End {
            self.next += 1;
        }
        word
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Word::Bare(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: &'static str) -> bool {
        let found = *self.peek() == Word::Symbol(symbol);
        self.next += usize::from(found);
        found
    }

    fn unexpected(&self, expected: &str) -> Failure {
        let found = match self.peek() {
            Word::End => "the text ends".to_owned(),
            Word::Bare(word) | Word::Column(word) => format!("'{word}' stands"),
            Word::Text(text) => format!("the text '{text}' stands"),
            Word::Number(number) => format!("'{number}' stands"),
            Word::Symbol(symbol) => format!("'{symbol}' stands"),
        };
        failure(&format!("{found} where {expected} is expected"), self.tokens[self.next].at)
    }

    fn or(&mut self) -> Result<Segment> {
        let mut parts = vec![self.and()?];
        while self.take_keyword("or") {
            parts.push(self.and()?);
        }
        Ok(joined(parts, Segment::Or))
    }

    fn and(&mut self) -> Result<Segment> {
        let mut parts = vec![self.not()?];
        while self.take_keyword("and") {
            parts.push(self.not()?);
        }
        Ok(joined(parts, Segment::And))
    }

    fn not(&mut self) -> Result<Segment> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(failure("it is nested too deeply", self.tokens[self.next].at));
        }
        let segment = if self.take_keyword("not") {
            Segment::Not(Box::new(self.not()?))
        } else if self.take_symbol("(") {
            let inner = self.or()?;
            if !self.take_symbol(")") {
                return Err(self.unexpected("')'"));
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(segment)
    }

    fn test(&mut self) -> Result<Segment> {
        let column = match self.peek() {
            Word::Bare(word) if !KEYWORDS.contains(&word.to_ascii_lowercase().as_str()) => word.clone(),
            Word::Column(name) => name.clone(),
            _ => return Err(self.unexpected("a column")),
        };
        self.next += 1;
        let (test, negated) = self.condition()?;
        let segment = Segment::Where { column, test };
        Ok(if negated { Segment::Not(Box::new(segment)) } else { segment })
    }

    /// What follows a column, and whether it is turned round.
    fn condition(&mut self) -> Result<(Test, bool)> {
        if self.take_keyword("is") {
            let negated = self.take_keyword("not");
            return match self.take_keyword("missing") {
                true => Ok((Test::Missing, negated)),
                false => Err(self.unexpected("'missing'")),
            };
        }
        let negated = self.take_keyword("not");
        if self.take_keyword("in") {
            return Ok((Test::In(self.values()?), negated));
        }
        if negated {
            return Err(self.unexpected("'in'"));
        }
        let Word::Symbol(symbol) = *self.peek() else {
            return Err(self.unexpected("a comparison such as =, >= or in"));
        };
        let comparison = match symbol {
            "=" | "==" | "!=" | "<>" => None,
            "<" => Some(Comparison::Less),
            "<=" => Some(Comparison::AtMost),
            ">" => Some(Comparison::More),
            ">=" => Some(Comparison::AtLeast),
            _ => return Err(self.unexpected("a comparison such as =, >= or in")),
        };
        self.next += 1;
        let value = self.value()?;
        Ok(match comparison {
            Some(comparison) => (Test::Compare(comparison, value), false),
            None => (Test::In(vec![value]), matches!(symbol, "!=" | "<>")),
        })
    }

    fn values(&mut self) -> Result<Vec<Literal>> {
        if !self.take_symbol("(") {
            return Err(self.unexpected("'('"));
        }
        let mut values = vec![self.value()?];
        while self.take_symbol(",") {
            values.push(self.value()?);
        }
        if !self.take_symbol(")") {
            return Err(self.unexpected("',' or ')'"));
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<Literal> {
        let is_keyword =
            matches!(self.peek(), Word::Bare(word) if KEYWORDS.contains(&word.to_ascii_lowercase().as_str()));
        if is_keyword {
            return Err(self.unexpected("a value"));
        }
        match self.peek() {
            Word::Bare(_) | Word::Text(_) | Word::Number(_) => {}
            _ => return Err(self.unexpected("a value")),
        }
        match self.take() {
            Word::Number(number) => Ok(Literal::Number(number)),
            Word::Text(text) | Word::Bare(text) => Ok(Literal::Text(text)),
            _ => Err(self.unexpected("a value")),
        }
    }
}

/// One part is itself; parts of the same kind inside keep their brackets.
fn joined(mut parts: Vec<Segment>, join: fn(Vec<Segment>) -> Segment) -> Segment {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => join(parts),
    }
}

fn failure(why: &str, at: usize) -> Failure {
    Failure::new("cannot read the filter", why)
        .at(format!("character {at}"))
        .hint("for example: age_band in ('18-24', '25-34') and city = '上海' and hour >= 18")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, place, word) in [
            ("city =", "character 7", "the text ends"),
            ("city = 'a", "character 8", "never closed"),
            ("city in 'a'", "character 9", "'('"),
            ("city in ('a' 'b')", "character 14", "',' or ')'"),
            ("(a = 1", "character 7", "')'"),
            ("a = 1 b = 2", "character 7", "'and', 'or' or the end"),
            ("and a = 1", "character 1", "a column"),
            ("上海 ; 1", "character 4", "';'"),
            ("a not 3", "character 7", "'in'"),
            ("a >= ", "character 6", "a value"),
            ("a = -x", "character 5", "no number"),
            ("a > 3E8888", "character 5", "larger than any number"),
            ("a is 3", "character 6", "'missing'"),
        ] {
            let failure = Segment::parse(text).unwrap_err();
            assert_eq!(failure.place, place, "{text}: {failure}");
            assert!(failure.why.contains(word), "{text}: {failure}");
        }
        assert!(Segment::parse(&"(".repeat(10_000)).unwrap_err().why.contains("too deeply"));
        assert!(Segment::parse(&"not ".repeat(10_000)).unwrap_err().why.contains("too deeply"));
    }
}
