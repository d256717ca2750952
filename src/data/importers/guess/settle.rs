//! How is a column read, after all its cells and its neighbours have had their say?

use super::super::numerals;
use super::super::plan::{Decimal, LIST_MARK, Numeral, Plan, TimeReading, Unit};
use super::super::times::DateOrder;
use super::super::tokens;
use super::dates::epoch;
use super::{Guess, LIST_SEPARATORS};
use crate::data::infer::{is_money_in_micros, says_number};
use crate::data::layout::ColumnReading;

/// What the columns of a file tell each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Convention {
    /// The decimal mark, where some columns prove one and none proves the other.
    decimal: Option<Decimal>,
    /// The order of dates, in the same way.
    order: Option<DateOrder>,
    /// The length of the hashes of the file.
    hash_length: Option<usize>,
}

/// How a column is read, and what a person should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// How its cells are read.
    pub plan: Plan,
    /// The currency at its cells or in its name; empty when there is none.
    pub currency: String,
    /// True when no cell tells day from month, here or in other columns of the file.
    pub is_open: bool,
    /// Sentences for the person.
    pub notes: Vec<String>,
}

impl Settled {
    /// How the column is read by a plan, as a fact of the layout.
    pub(in crate::data::importers) fn reading(&self, name: &str, plan: Plan) -> ColumnReading {
        let words = match plan {
            Plan::Number(numeral) => numeral.describe(&self.currency),
            plan => plan.describe(),
        };
        let (column, currency) = (name.to_owned(), self.currency.clone());
        ColumnReading { column, plan: plan.to_string(), words, currency, is_open: self.is_open }
    }
}

impl Guess {
    /// The type that every cell agrees with, and what a person should know about it, for a column alone.
    pub fn plan(&self, name: &str) -> (Plan, Option<String>) {
        let settled = self.settle(name, Convention::default());
        (settled.plan, (!settled.notes.is_empty()).then(|| settled.notes.join("; ")))
    }

    /// The type that every cell agrees with, in a file with these conventions.
    pub fn settle(&self, name: &str, convention: Convention) -> Settled {
        let (plan, note) = self.choose(name, convention);
        let mut notes: Vec<String> = note.into_iter().collect();
        if self.damaged > 0 {
            let (count, example) = (self.damaged, &self.damage);
            notes.push(format!("'{name}': {count} cells show spreadsheet damage ({example}): missing"));
        }
        if self.undecodable > 0 {
            let count = self.undecodable;
            notes.push(format!("'{name}': {count} cells hold characters that could not be decoded"));
        }
        if plan == Plan::Text && self.never_text > 0 {
            let (count, word) = (self.never_text, &self.missing_word);
            notes.push(format!("'{name}': {count} cells such as '{word}' count as missing"));
        }
        let is_number = matches!(plan, Plan::Integer | Plan::Real | Plan::Number(_));
        let in_name = || numerals::currency_in(name).filter(|_| is_number);
        let at_cells = self.marks.currency().filter(|_| is_number);
        let currency = at_cells.or_else(in_name).unwrap_or_default().to_owned();
        let is_open =
            convention.order.is_none() && self.dates.is_open() && self.dates.count == self.present();
        Settled { plan, currency, is_open, notes }
    }

    fn choose(&self, name: &str, convention: Convention) -> (Plan, Option<String>) {
        let present = self.present();
        if present == 0 {
            return (Plan::Text, None);
        }
        let numbers = self.integers + self.reals;
        let singles = self.integers + self.digit_names;
        if self.spaced.count + singles == present && self.spaced.are_lists(singles) {
            return (Plan::List(' '), list_note(name, ' '));
        }
        if let Some(chosen) = self.choose_quoted(name, convention) {
            return chosen;
        }
        if self.is_numeric() {
            if let Some(length) = convention.hash_length.filter(|_| self.is_hash_like(name)) {
                let note =
                    format!("'{name}' holds digits of the length of the file's hashes ({length}): text");
                return (Plan::Text, Some(note));
            }
            return if self.marks.count == 0 && !self.is_grouped_by_points(convention) {
                self.number_plan(name)
            } else {
                self.marks.plan(name, convention.decimal, self.only_zeros())
            };
        }
        if self.booleans == present {
            return (Plan::Boolean, None);
        }
        if self.flags.count == present {
            let is_proven = !tokens::is_letters(self.flags.pair)
                || (self.flags.yes > 0 && self.flags.yes < self.flags.count);
            let plan = if is_proven { Plan::Boolean } else { Plan::Text };
            return (plan, None);
        }
        if self.dates.count == present
            && let Some((order, note)) = self.dates.order(name, convention.order)
        {
            return (Plan::Time(TimeReading::Calendar(order)), note);
        }
        if self.durations.count == present {
            return self.durations.plan(name);
        }
        if self.digit_names > 0 && self.digit_names + numbers == present {
            let note =
                format!("'{name}' has leading zeros, more than 18 digits or hashes of digits: kept as text");
            return (Plan::Text, Some(note));
        }
        for (count, separator) in self.lists.into_iter().zip(LIST_SEPARATORS) {
            // A tenth of the cells: single values are lists of one, but a rare bar is punctuation.
            // A bar in the name of a campaign or the title of an ad is punctuation.
            let is_list = separator == LIST_MARK || (count * 10 >= present && !is_title(name));
            if count > 0 && is_list {
                return (Plan::List(separator), list_note(name, separator));
            }
        }
        (Plan::Text, None)
    }

    /// How texts are read that are all numbers, where the name says that they measure or count something or when it was;
    /// `None` for all else: the digits of an id are best left as they are.
    fn choose_quoted(&self, name: &str, convention: Convention) -> Option<(Plan, Option<String>)> {
        let numbers = self.quoted.guess.as_ref().filter(|_| self.quoted.count == self.present())?;
        let (plan, note) = numbers.choose(name, convention);
        let is_told = match plan {
            Plan::Time(_) => true,
            Plan::Integer | Plan::Real | Plan::Number(_) => says_number(name),
            _ => false,
        };
        let written = format!("'{name}' holds numbers that are written as texts: read as numbers");
        is_told.then(|| (plan, note.or(Some(written))))
    }

    fn number_plan(&self, name: &str) -> (Plan, Option<String>) {
        let (low, high) = self.numbers.ends();
        let are_stamps = self.stamps == self.integers && self.reals == 0;
        if let Some((reading, words)) = epoch(name, low, high, are_stamps) {
            let note = format!("'{name}' read as {words}");
            return (Plan::Time(reading), Some(note));
        }
        let is_whole = self.integers + self.whole_reals == self.integers + self.reals;
        if !is_whole {
            return (Plan::Real, None);
        }
        if is_money_in_micros(name) {
            let numeral = Numeral { decimal: Decimal::Point, unit: Unit::Micros, is_whole: false };
            return (Plan::Number(numeral), Some(format!("'{name}' read as {}", numeral.describe(""))));
        }
        let note = (self.reals > 0)
            .then(|| format!("'{name}' holds whole numbers written with a decimal point: read as whole"));
        (Plan::Integer, note)
    }

    /// True when the file writes decimal commas and every point of this column may part thousands.
    fn is_grouped_by_points(&self, convention: Convention) -> bool {
        convention.decimal == Some(Decimal::Comma) && self.reals > 0 && !self.marks.comma_fails
    }

    fn only_zeros(&self) -> bool {
        self.numbers.ends() == (0.0, 0.0)
    }

    /// True when all cells are hexadecimal digits of one length, of at least 8, and no times.
    fn is_hash_like(&self, name: &str) -> bool {
        let is_time = || matches!(self.number_plan(name).0, Plan::Time(_));
        !self.shape.is_broken && self.shape.length >= 8 && !is_time()
    }
}

impl Convention {
    /// What these columns tell each other.
    pub fn of<'a>(columns: impl Iterator<Item = &'a Guess> + Clone) -> Self {
        let proof = |wanted| {
            let numeric = columns.clone().filter(|guess| guess.is_numeric());
            numeric.clone().any(|guess| guess.marks.proves(guess.reals) == Some(wanted))
        };
        let decimal = match (proof(Decimal::Point), proof(Decimal::Comma)) {
            (true, false) => Some(Decimal::Point),
            (false, true) => Some(Decimal::Comma),
            _ => None,
        };
        let dates = columns.clone().filter(|guess| guess.dates.count > 0);
        let dates = dates.filter(|guess| guess.dates.count == guess.present());
        let mut orders = dates.filter_map(|guess| guess.dates.proven());
        let order = orders.next().filter(|first| orders.all(|next| next == *first));
        let hashes = columns
            .filter(|guess| !guess.shape.is_broken && guess.shape.has_letters && guess.shape.length >= 8);
        Self { decimal, order, hash_length: hashes.map(|guess| guess.shape.length).next() }
    }
}

/// True for columns of names and titles, which people write with bars in them.
fn is_title(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words = [
        "name", "campaign", "kampagne", "campagne", "ad set", "adset", "ad group", "headline", "title",
        "anzeige",
    ];
    let parts = ["系列", "计划", "标题", "キャンペーン", "名称"];
    words
        .iter()
        .any(|word| lower.split(|c: char| !c.is_alphanumeric() && c != ' ').any(|own| own.contains(word)))
        || parts.iter().any(|part| name.contains(part))
}

fn list_note(name: &str, separator: char) -> Option<String> {
    (separator != LIST_MARK).then(|| format!("'{name}' holds lists parted by '{separator}'"))
}
