//! Is this a row of totals? Exports put sums under their rows, and a sum of the column would count all twice.

use super::guess::{CellClass, classify};
use super::{numerals, times};

/// Words for a total in the languages of the large platforms' exports, in lower case.
const WORDS: [&str; 34] = [
    "total",
    "totals",
    "grand total",
    "overall total",
    "report total",
    "filtered total",
    "account total",
    "sum",
    "summe",
    "gesamt",
    "gesamtsumme",
    "gesamtergebnis",
    "insgesamt",
    "total general",
    "total général",
    "totale",
    "totaal",
    "eindtotaal",
    "totalt",
    "suma",
    "suma końcowa",
    "razem",
    "celkem",
    "итого",
    "всего",
    "общий итог",
    "合计",
    "合計",
    "总计",
    "總計",
    "総計",
    "汇总",
    "합계",
    "toplam",
];

/// True for a row whose first cell that holds anything says "total" and that holds a value as well.
pub(super) fn is_total_row(cells: &[String]) -> bool {
    is_label(cells) && cells.iter().any(|cell| is_value(cell))
}

/// True when the first cell that holds anything says "total": `Total`, `Total: Account`, `合计`.
pub(super) fn is_label(cells: &[String]) -> bool {
    let first = cells.iter().map(|cell| cell.trim()).find(|cell| !cell.is_empty());
    first.is_some_and(|label| {
        let label = label.to_lowercase();
        WORDS.iter().any(|word| {
            let rest = label.strip_prefix(word).map(str::trim_start);
            rest.is_some_and(|rest| {
                let counts =
                    rest.strip_prefix("of ").is_some_and(|of| of.starts_with(|c: char| c.is_ascii_digit()));
                counts || rest.is_empty() || rest.starts_with([':', '：', '-', '–', '(', '（'])
            })
        })
    })
}

/// True for a cell that holds a number, a date or a flag.
pub(super) fn is_value(cell: &str) -> bool {
    match classify(cell) {
        CellClass::Integer(_) | CellClass::Real(_) | CellClass::DigitName | CellClass::Boolean(_) => true,
        CellClass::Empty | CellClass::MissingWord | CellClass::Damage => false,
        CellClass::Other => {
            numerals::parse(cell).is_some()
                || times::parts(cell.trim()).is_some()
                || times::duration(cell).is_some()
        }
    }
}

/// True for a cell that may name a column: it holds something, and that is no value.
pub(super) fn is_name(cell: &str) -> bool {
    !matches!(classify(cell), CellClass::Empty | CellClass::MissingWord | CellClass::Damage)
        && !is_value(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn totals_of_many_exports() {
        for cells in [
            ["Total", "", "5"],
            ["", "Total: Account", "1,234"],
            ["Grand total", "x", "7 %"],
            ["合计", "", "5"],
            ["GESAMT", "", "1.234,50 €"],
            ["Total - all campaigns", " --", "5"],
            ["Total of 2 results", "12.30 USD", ""],
        ] {
            assert!(is_total_row(&row(&cells)), "{cells:?}");
        }
        for cells in
            [["Total Fitness", "", "5"], ["Totally", "", "5"], ["Total", "", ""], ["x", "Total", "5"]]
        {
            assert!(!is_total_row(&row(&cells)), "{cells:?}");
        }
    }
}
