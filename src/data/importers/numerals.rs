//! Which number is written in this cell? Digits with marks for thousands, a decimal comma, a percent sign or a
//! currency.
//!
//! `1,234` is a thousand or one and a bit: a cell says which readings it allows, and the whole column decides.

use super::plan::{Decimal, Numeral, Plan, Unit};

/// A number as it is written, taken apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marked<'a> {
    /// Digits and the marks among them.
    body: &'a str,
    is_negative: bool,
    /// What stands around the digits.
    pub unit: Unit,
    /// The currency, where there is one.
    pub currency: Option<&'static str>,
    /// True when it can be read with a decimal point.
    pub fits_point: bool,
    /// True when it can be read with a decimal comma.
    pub fits_comma: bool,
}

/// Takes a cell apart; `None` when it is no number.
pub(super) fn parse(cell: &str) -> Option<Marked<'_>> {
    let cell = cell.trim();
    // Cheap refusal first: most texts are no numbers.
    if cell.len() > 40 || !cell.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (cell, in_brackets) = match cell.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => (inner.trim(), true),
        None => (cell, false),
    };
    let mut around =
        Around { rest: cell, is_negative: in_brackets, has_sign: in_brackets, ..Around::default() };
    around.strip();
    let body = around.rest;
    let unit = match (around.is_percent, around.currency) {
        (true, Some(_)) => return None,
        (true, None) => Unit::Percent,
        (false, Some(_)) => Unit::Money,
        (false, None) => Unit::Plain,
    };
    let fits_point = fits(body, b'.');
    let fits_comma = fits(body, b',');
    (fits_point || fits_comma).then_some(Marked {
        body,
        is_negative: around.is_negative,
        unit,
        currency: around.currency,
        fits_point,
        fits_comma,
    })
}

impl Marked<'_> {
    /// The number in a given reading; a percentage as a fraction. `None` when the cell does not fit it.
    pub(super) fn value(&self, numeral: Numeral) -> Option<f64> {
        let is_other_unit = self.unit != Unit::Plain && self.unit != numeral.unit;
        if is_other_unit || !self.fits(numeral.decimal) {
            return None;
        }
        let mut text = self.digits(numeral.decimal);
        let exponent = numeral.unit.exponent();
        if exponent != 0 {
            // Moving the point in the text is exact; dividing would round once more.
            text.push_str(&format!("e{exponent}"));
        }
        text.parse().ok()
    }

    /// The whole number in a given reading; `None` when it has a fraction or does not fit.
    pub(super) fn whole(&self, decimal: Decimal) -> Option<i64> {
        if !self.fits(decimal) || self.unit != Unit::Plain {
            return None;
        }
        let text = self.digits(decimal);
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok())?
    }

    fn fits(&self, decimal: Decimal) -> bool {
        match decimal {
            Decimal::Point => self.fits_point,
            Decimal::Comma => self.fits_comma,
        }
    }

    /// True when a fraction other than zero follows the decimal mark.
    pub(super) fn has_fraction(&self, decimal: Decimal) -> bool {
        let fraction = self.body.split_once(mark(decimal)).map_or("", |(_, fraction)| fraction);
        fraction.bytes().any(|digit| digit != b'0')
    }

    /// True when a mark stands among the digits that means something else in the other reading.
    pub(super) fn has_point_or_comma(&self) -> bool {
        self.body.contains(['.', ','])
    }

    /// Sign, digits and a point.
    fn digits(&self, decimal: Decimal) -> String {
        let mut text = String::with_capacity(self.body.len() + 4);
        if self.is_negative {
            text.push('-');
        }
        for letter in self.body.chars() {
            if letter.is_ascii_digit() {
                text.push(letter);
            } else if letter == mark(decimal) {
                text.push('.');
            }
        }
        text
    }
}

fn mark(decimal: Decimal) -> char {
    match decimal {
        Decimal::Point => '.',
        Decimal::Comma => ',',
    }
}

/// True when the digits can be read with this decimal mark: whole groups before it, digits after it.
fn fits(body: &str, decimal: u8) -> bool {
    let (whole, fraction) = match body.split_once(char::from(decimal)) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (body, None),
    };
    if fraction.is_some_and(|digits| digits.is_empty() || !is_digits(digits)) {
        return false;
    }
    (whole.is_empty() && fraction.is_some()) || is_digits(whole) || is_grouped(whole, char::from(decimal))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1,234,567` or, where commas or spaces part lakhs, `12,34,567`: one mark throughout, three digits at the end.
fn is_grouped(whole: &str, decimal: char) -> bool {
    let Some(mark) = whole.chars().find(|letter| !letter.is_ascii_digit()) else {
        return false;
    };
    if mark == decimal || !matches!(mark, ',' | '.' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
    {
        return false;
    }
    let groups: Vec<&str> = whole.split(mark).collect();
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else {
        return false;
    };
    let inner = &groups[1..groups.len() - 1];
    let has_start = is_digits(first) && !first.starts_with('0') && last.len() == 3;
    let of = |width: usize| inner.iter().all(|group| group.len() == width);
    let is_western = first.len() <= 3 && of(3);
    let is_indian = mark == ',' && first.len() <= 2 && of(2) && !inner.is_empty();
    has_start && (is_western || is_indian) && groups.iter().all(|group| is_digits(group))
}

/// What is still to be stripped from around the digits.
#[derive(Default)]
struct Around<'a> {
    rest: &'a str,
    has_sign: bool,
    is_negative: bool,
    is_percent: bool,
    currency: Option<&'static str>,
}

impl Around<'_> {
    /// Strips sign, currency and percent sign, each at most once, from both ends in any order.
    fn strip(&mut self) {
        loop {
            let before = self.rest.len();
            self.rest = self.rest.trim();
            self.strip_sign();
            if self.currency.is_none() {
                self.strip_currency();
            }
            if !self.is_percent
                && let Some(rest) = self.rest.strip_suffix(['%', '％'])
            {
                (self.rest, self.is_percent) = (rest, true);
            }
            if self.rest.len() == before {
                return;
            }
        }
    }

    fn strip_sign(&mut self) {
        if self.has_sign {
            return;
        }
        let ends = self.rest.strip_suffix('-').filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit()));
        let (rest, is_negative) = match (self.rest.strip_prefix(['-', '−']), self.rest.strip_prefix('+')) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => match ends {
                Some(rest) => (rest, true),
                None => return,
            },
        };
        (self.rest, self.has_sign, self.is_negative) = (rest, true, is_negative);
    }

    fn strip_currency(&mut self) {
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let bytes = self.rest.as_bytes();
        let (starts, ends) = (!is_digit(bytes.first()), !is_digit(bytes.last()));
        let codes = CODES.iter().map(|code| (*code, *code));
        for (written, code) in SYMBOLS.iter().copied().chain(codes) {
            let rest = match (starts, ends) {
                (true, _) if self.rest.starts_with(written) => self.rest.strip_prefix(written),
                (_, true) => self.rest.strip_suffix(written),
                _ => None,
            };
            if let Some(rest) = rest {
                (self.rest, self.currency) = (rest, Some(code));
                return;
            }
        }
    }
}

/// The number in a cell of a total row, read like the column above it.
pub(in crate::data) fn number_in(cell: &str, plan: &str) -> Option<f64> {
    let marked = parse(cell)?;
    let decimal = match plan.parse() {
        Ok(Plan::Number(numeral)) => numeral.decimal,
        _ => Decimal::Point,
    };
    marked.value(Numeral { decimal, unit: marked.unit, is_whole: false })
}

/// The currency that a name or a text speaks of: `Amount spent (EUR)`, `Cost, USD`.
pub(in crate::data) fn currency_in(name: &str) -> Option<&'static str> {
    let words = || name.split(|letter: char| !letter.is_alphanumeric());
    let code = CODES.iter().find(|code| words().any(|word| word == **code));
    let symbol = || SYMBOLS.iter().find(|(symbol, _)| !symbol.is_ascii() && name.contains(symbol));
    code.copied().or_else(|| symbol().map(|(_, code)| *code))
}

/// Signs of currencies, longer before shorter. Where a sign is shared by several it stands for itself.
const SYMBOLS: [(&str, &str); 36] = [
    ("US$", "USD"),
    ("CA$", "CAD"),
    ("AU$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("MX$", "MXN"),
    ("R$", "BRL"),
    ("A$", "AUD"),
    ("C$", "CAD"),
    ("S$", "SGD"),
    ("$", "$"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("CN¥", "CNY"),
    ("JP¥", "JPY"),
    ("¥", "¥"),
    ("￥", "¥"),
    ("元", "CNY"),
    ("円", "JPY"),
    ("₹", "INR"),
    ("Rs.", "INR"),
    ("₽", "RUB"),
    ("руб.", "RUB"),
    ("₩", "KRW"),
    ("₺", "TRY"),
    ("₫", "VND"),
    ("₴", "UAH"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("kr.", "kr"),
    ("kr", "kr"),
    ("฿", "THB"),
    ("₱", "PHP"),
    ("₪", "ILS"),
    ("₦", "NGN"),
];

/// Codes of ISO 4217 that advertising accounts use, and RMB, which people write for CNY.
pub(in crate::data) const CODES: [&str; 53] = [
    "USD", "EUR", "GBP", "JPY", "CNY", "RMB", "INR", "RUB", "BRL", "AUD", "CAD", "CHF", "SEK", "NOK", "DKK",
    "PLN", "CZK", "HUF", "RON", "BGN", "TRY", "MXN", "ARS", "CLP", "COP", "PEN", "ZAR", "NGN", "KES", "EGP",
    "MAD", "AED", "SAR", "QAR", "KWD", "ILS", "KRW", "TWD", "HKD", "SGD", "MYR", "THB", "IDR", "PHP", "VND",
    "PKR", "BDT", "LKR", "UAH", "KZT", "GEL", "NZD", "UYU",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cell: &str, decimal: Decimal) -> Option<f64> {
        let marked = parse(cell)?;
        marked.value(Numeral { decimal, unit: marked.unit, is_whole: false })
    }

    #[test]
    fn marks_of_many_countries() {
        for (cell, point, comma) in [
            ("1,234", Some(1234.0), Some(1.234)),
            ("1.234", Some(1.234), Some(1234.0)),
            ("1,234.5", Some(1234.5), None),
            ("1.234,56", None, Some(1234.56)),
            ("1 234,56", None, Some(1234.56)),
            ("1\u{a0}234", Some(1234.0), Some(1234.0)),
            ("1\u{202f}234\u{202f}567,5", None, Some(1_234_567.5)),
            ("1'234.50", Some(1234.5), None),
            ("1’234", Some(1234.0), Some(1234.0)),
            ("1,23,456", Some(123_456.0), None),
            ("1,23,456.78", Some(123_456.78), None),
            ("12,34,56,789", Some(123_456_789.0), None),
            ("1.234.567", None, Some(1_234_567.0)),
            ("0,5", None, Some(0.5)),
            ("0,123", None, Some(0.123)),
            ("0.123", Some(0.123), None),
            (",5", None, Some(0.5)),
            ("12,5", None, Some(12.5)),
            ("1234", Some(1234.0), Some(1234.0)),
            ("-1,234", Some(-1234.0), Some(-1.234)),
        ] {
            assert_eq!(read(cell, Decimal::Point), point, "{cell}");
            assert_eq!(read(cell, Decimal::Comma), comma, "{cell}");
        }
    }

    #[test]
    fn money_and_percent() {
        for (cell, value, unit, currency) in [
            ("$58.06", 58.06, Unit::Money, Some("$")),
            ("-$1,058.06", -1058.06, Unit::Money, Some("$")),
            ("$-3.5", -3.5, Unit::Money, Some("$")),
            ("10,085.77 RUB", 10_085.77, Unit::Money, Some("RUB")),
            ("USD 12.5", 12.5, Unit::Money, Some("USD")),
            ("US$12", 12.0, Unit::Money, Some("USD")),
            ("($12.50)", -12.5, Unit::Money, Some("$")),
            ("(12.50)", -12.5, Unit::Plain, None),
            ("12.50-", -12.5, Unit::Plain, None),
            ("₹1,23,456", 123_456.0, Unit::Money, Some("INR")),
            ("¥1,200", 1200.0, Unit::Money, Some("¥")),
            ("77.77%", 0.7777, Unit::Percent, None),
            ("5 %", 0.05, Unit::Percent, None),
        ] {
            let marked = parse(cell).unwrap();
            assert_eq!(read(cell, Decimal::Point), Some(value), "{cell}");
            assert_eq!((marked.unit, marked.currency), (unit, currency), "{cell}");
        }
        assert_eq!(read("€1.234,50", Decimal::Comma), Some(1234.5));
        assert_eq!(read("1.234,50 €", Decimal::Comma), Some(1234.5));
        assert_eq!(read("99,88%", Decimal::Comma), Some(0.9988));
        assert_eq!(currency_in("Amount spent (EUR)"), Some("EUR"));
        assert_eq!(currency_in("European reach"), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for cell in [
            "",
            "-",
            "1-2",
            "1,2,3",
            "12,34",
            "1,23,45",
            "1.2.3",
            "192.168.1.10",
            "30-34",
            "$",
            "%",
            "5 %$",
            "1 2",
            "12 apples",
            "0:35",
            "1,234,56",
            "USD",
            "1,,234",
            "١٢",
        ] {
            let marked = parse(cell);
            assert!(marked.is_none_or(|marked| cell == "12,34" && !marked.fits_point), "{cell}: {marked:?}");
        }
    }

    #[test]
    fn wholes_have_no_fraction() {
        assert_eq!(parse("1,234").unwrap().whole(Decimal::Point), Some(1234));
        assert_eq!(parse("1.234,00").unwrap().whole(Decimal::Comma), Some(1234));
        assert_eq!(parse("12.5").unwrap().whole(Decimal::Point), None);
        assert!(parse("12.5").unwrap().has_fraction(Decimal::Point));
        assert!(!parse("12.0").unwrap().has_fraction(Decimal::Point));
    }
}
