//! Which cells are words for something that is no text? Missing values, spreadsheet damage, yes and no.

/// Words that stand for a missing value wherever they are: no campaign, city or person is called so.
const NEVER_TEXT: [&str; 5] = ["--", "\\N", "#N/A", "null", "NULL"];

/// Words that stand for a missing value where the rest of the column is of another kind than text.
const MISSING: [&str; 19] = [
    "null",
    "na",
    "n/a",
    "n.a.",
    "nan",
    "none",
    "nil",
    "\\n",
    "-",
    "--",
    "---",
    "–",
    "—",
    "#n/a",
    "(not set)",
    "(none)",
    "unknown",
    "ongoing",
    "not available",
];

/// What a spreadsheet writes where it cannot show or reckon a value.
const DAMAGE: [&str; 9] =
    ["#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"];

/// Pairs for no and yes. Single letters prove nothing unless both are seen.
const FLAGS: [[&str; 2]; 7] =
    [["no", "yes"], ["nein", "ja"], ["non", "oui"], ["否", "是"], ["n", "y"], ["f", "t"], ["false", "true"]];

/// True for a word that means missing where the column is no text. `cell` has no spaces at its ends.
pub(super) fn is_missing(cell: &str) -> bool {
    // Most texts are refused by their first letter.
    let may_be = matches!(
        cell.as_bytes().first().map(u8::to_ascii_lowercase),
        Some(b'n' | b'\\' | b'-' | 0xe2 | b'#' | b'(' | b'u' | b'o')
    );
    may_be && cell.len() <= 13 && MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// True for a word that means missing in texts too.
pub(super) fn is_never_text(cell: &str) -> bool {
    let may_be =
        matches!(cell.as_bytes().first(), Some(b'-' | b'\\' | b'#' | b'n' | b'N' | 0..=b' ' | 0x80..));
    may_be && cell.len() <= 8 && NEVER_TEXT.contains(&cell.trim())
}

/// True for what a spreadsheet writes in place of a value: `#####`, `#DIV/0!`.
pub(super) fn is_damage(cell: &str) -> bool {
    let Some(rest) = cell.strip_prefix('#') else {
        return false;
    };
    (rest.len() >= 2 && rest.bytes().all(|byte| byte == b'#')) || DAMAGE.contains(&cell)
}

/// Which pair of words for no and yes the cell belongs to, and which of the two it is.
pub(super) fn flag(cell: &str) -> Option<(usize, bool)> {
    let cell = cell.trim();
    if cell.len() > 5 {
        return None;
    }
    FLAGS.iter().enumerate().find_map(|(pair, [no, yes])| {
        let is_yes = cell.eq_ignore_ascii_case(yes);
        (is_yes || cell.eq_ignore_ascii_case(no)).then_some((pair, is_yes))
    })
}

/// True for a pair of single letters.
pub(super) fn is_letters(pair: usize) -> bool {
    FLAGS.get(pair).is_some_and(|[no, _]| no.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_text() {
        assert!(MISSING.iter().all(|word| is_missing(word)), "each passes the look at its first letter");
        assert!(is_missing("N/A") && is_missing("--") && is_missing("None") && !is_missing("Nonesuch"));
        assert!(
            is_never_text(" --") && is_never_text("\\N") && !is_never_text("None") && !is_never_text("NA")
        );
        assert!(NEVER_TEXT.iter().all(|word| is_never_text(word) && is_never_text(&format!("\u{a0}{word}"))));
        assert!(is_damage("#####") && is_damage("#DIV/0!") && !is_damage("#sale") && !is_damage("#1"));
        assert!(!is_damage("##"));
        assert_eq!(flag("Yes"), Some((0, true)));
        assert_eq!(flag("n"), Some((4, false)));
        assert_eq!(flag("TRUE").map(|(_, yes)| yes), Some(true));
        assert_eq!(flag("maybe"), None);
        assert!(is_letters(4) && !is_letters(0));
    }
}
