//! What stands at this place of a cell? A cursor that takes numbers, names of months and other pieces of a date.

/// A cursor over the bytes of a cell.
pub(super) struct Scan<'a> {
    text: &'a str,
    /// Where it stands.
    pub at: usize,
}

impl<'a> Scan<'a> {
    pub fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub fn skip_rest(&mut self) {
        self.at = self.text.len();
    }

    pub fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The rest as text; `None` in the middle of a character.
    pub fn text_from_here(&self) -> Option<&'a str> {
        self.text.get(self.at..)
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    pub fn take_text(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text.as_bytes());
        self.at += if is_there { text.len() } else { 0 };
        is_there
    }

    /// Passes spaces (narrow ones too: clocks of macOS have them before AM); true when there were any.
    pub fn spaces(&mut self) -> bool {
        let before = self.at;
        while self.take(b' ') || self.take_text("\u{202f}") || self.take_text("\u{a0}") {}
        self.at > before
    }

    /// A number of one to `most` digits, and how many it has.
    pub fn number(&mut self, most: usize) -> Option<(i64, usize)> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > most {
            return None;
        }
        let number =
            self.rest()[..digits].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        self.at += digits;
        Some((number, digits))
    }

    /// The digits after the point, rounded down to milliseconds.
    pub fn fraction_millis(&mut self) -> Option<i64> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let millis = (0..3).fold(0, |millis, place| {
            let digit = if place < digits { i64::from(self.rest()[place] - b'0') } else { 0 };
            millis * 10 + digit
        });
        self.at += digits;
        Some(millis)
    }

    /// `AM` or `PM` in any of its spellings; true for the second half of the day.
    pub fn half_day(&mut self) -> Option<bool> {
        for (word, is_pm) in [("am", false), ("a.m.", false), ("pm", true), ("p.m.", true)] {
            let found = self.rest().get(..word.len());
            if found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes())) {
                self.at += word.len();
                return Some(is_pm);
            }
        }
        None
    }

    /// Passes the name of a day of the week.
    pub fn weekday(&mut self) -> bool {
        let word = self.word().to_lowercase();
        let is_day = word.len() >= 3 && DAYS.iter().any(|day| *day == word || day[..3] == word);
        self.at += if is_day { word.len() } else { 0 };
        is_day
    }

    /// The number of the month that is named here, 1 to 12.
    pub fn month(&mut self) -> Option<i64> {
        let written = self.word();
        let word = written.to_lowercase();
        let month = MONTHS.iter().position(|names| names.split(' ').any(|name| name == word))?;
        self.at += written.len();
        Some(month as i64 + 1)
    }

    fn word(&self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|letter: char| !letter.is_alphabetic()).unwrap_or(rest.len());
        &rest[..end]
    }
}

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Months as exports of the large platforms name them: English, German, French, Spanish, Italian, Portuguese, Dutch.
const MONTHS: [&str; 12] = [
    "jan january januar janv janvier ene enero gen gennaio janeiro januari jänner",
    "feb february februar févr février fevr febrero febbraio fev fevereiro februari",
    "mar march mär märz mrz mars marzo março marco mrt maart",
    "apr april avr avril abr abril aprile",
    "may mai mayo mag maggio maio mei",
    "jun june juni juin junio giu giugno junho",
    "jul july juli juil juillet julio lug luglio julho",
    "aug august août aout ago agosto augustus",
    "sep sept september septembre septiembre set settembre setembro",
    "oct october okt oktober octobre octubre ott ottobre out outubro",
    "nov november novembre noviembre novembro",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro",
];
