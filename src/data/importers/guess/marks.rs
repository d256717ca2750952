//! How are the marked numbers of a column read? Decimal mark, percent and currency, from all its cells.

use super::super::numerals::Marked;
use super::super::plan::{Decimal, Numeral, Plan, Unit};

/// Counts over the numbers of one column that are more than digits.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    /// Numbers with marks, a percent sign or a currency.
    pub count: u64,
    /// True when some number cannot have a decimal comma.
    pub comma_fails: bool,
    point_fails: bool,
    with_mark: u64,
    has_fraction_after_point: bool,
    has_fraction_after_comma: bool,
    percent: u64,
    bounds: u64,
    money: u64,
    currency: Option<&'static str>,
    other_currency: Option<&'static str>,
}

impl Marks {
    /// Looks at a number that a plain reader understands: `1.234` may have its point between thousands.
    pub fn see_plain(&mut self, cell: &str) {
        if self.comma_fails {
            return;
        }
        let cell = cell.trim_start_matches(['-', '+']);
        let groups = cell.split_once('.').filter(|(whole, thousands)| {
            let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            (1..=3).contains(&whole.len()) && thousands.len() == 3 && is_digits(whole) && is_digits(thousands)
        });
        self.comma_fails = groups.is_none_or(|(whole, _)| whole.starts_with('0'));
        self.with_mark += 1;
        self.has_fraction_after_point |= !cell.ends_with(".000");
    }

    /// Looks at a number with marks.
    pub fn see(&mut self, marked: &Marked<'_>) {
        self.count += 1;
        self.comma_fails |= !marked.fits_comma;
        self.point_fails |= !marked.fits_point;
        self.with_mark += u64::from(marked.has_point_or_comma());
        self.has_fraction_after_point |= marked.has_fraction(Decimal::Point);
        self.has_fraction_after_comma |= marked.has_fraction(Decimal::Comma);
        self.percent += u64::from(marked.unit == Unit::Percent);
        self.money += u64::from(marked.unit == Unit::Money);
        match (self.currency, marked.currency) {
            (None, found) => self.currency = found,
            (Some(known), Some(found)) if known != found => self.other_currency = Some(found),
            _ => {}
        }
    }

    /// Looks at a percentage that is only known to be less or more: `< 10%`.
    pub fn see_bound(&mut self) {
        self.count += 1;
        self.percent += 1;
        self.bounds += 1;
    }

    /// The currency, where all cells agree on one.
    pub fn currency(&self) -> Option<&'static str> {
        self.currency.filter(|_| self.other_currency.is_none())
    }

    /// The decimal mark that the column proves, `reals` of whose cells are plain numbers with a point.
    pub fn proves(&self, reals: u64) -> Option<Decimal> {
        match (self.point_fails, self.comma_fails) {
            (true, false) => Some(Decimal::Comma),
            (false, true) if reals > 0 || self.with_mark > 0 => Some(Decimal::Point),
            _ => None,
        }
    }

    /// How the column is read in a file whose other columns prove `proven`.
    pub fn plan(&self, name: &str, proven: Option<Decimal>, rest_is_zero: bool) -> (Plan, Option<String>) {
        if let Some(why) = self.contradiction(name, rest_is_zero) {
            return (Plan::Text, Some(why));
        }
        let own = match (self.point_fails, self.comma_fails) {
            (true, false) => Some(Decimal::Comma),
            (false, true) => Some(Decimal::Point),
            _ => None,
        };
        let decimal = own.or(proven).unwrap_or(Decimal::Point);
        let unit = match (self.percent, self.money) {
            (0, 0) => Unit::Plain,
            (0, _) => Unit::Money,
            _ => Unit::Percent,
        };
        let has_fraction = match decimal {
            Decimal::Point => self.has_fraction_after_point,
            Decimal::Comma => self.has_fraction_after_comma,
        };
        let is_whole = unit == Unit::Plain && !has_fraction;
        let numeral = Numeral { decimal, unit, is_whole };
        let words = numeral.describe(self.currency.unwrap_or_default());
        let doubt = match (own, proven, self.with_mark) {
            (None, None, 1..) => "; no cell proves which mark parts thousands",
            (None, Some(_), 1..) => "; the mark is proven by other columns",
            _ => "",
        };
        let bounds = match self.bounds {
            0 => String::new(),
            count => format!("; {count} cells only say less or more (< 10%) and count as missing"),
        };
        (Plan::Number(numeral), Some(format!("'{name}' read as {words}{doubt}{bounds}")))
    }

    /// Why the numbers of the column cannot be of one kind.
    fn contradiction(&self, name: &str, rest_is_zero: bool) -> Option<String> {
        if let (Some(one), Some(other)) = (self.currency, self.other_currency) {
            return Some(format!("'{name}' has two currencies ({one} and {other}): kept as text"));
        }
        if self.bounds > 0 && self.bounds == self.count {
            return Some(format!("'{name}' holds nothing but bounds of percentages: kept as text"));
        }
        let all_percent = self.percent == self.count && rest_is_zero;
        if self.percent > 0 && !all_percent {
            return Some(format!("'{name}' mixes percentages and other numbers: kept as text"));
        }
        (self.point_fails && self.comma_fails)
            .then(|| format!("'{name}' mixes decimal points and decimal commas: kept as text"))
    }
}
