//! In which order do ranges stand? `18-24`, `[1k,5k)`, `65+` and `(0,10]` are texts whose alphabet is not their order.

/// Places of the values from the lowest range to the highest; `None` when they are no ranges.
///
/// At least two of the values must be ranges and every other one a number, so that codes such as `A-1` are left
/// alone.
pub fn order(values: &[String]) -> Option<Vec<usize>> {
    const MOST: usize = 200;
    if values.len() < 2 || values.len() > MOST {
        return None;
    }
    let bounds: Vec<Bound> = values.iter().map(|value| bound(value)).collect::<Option<_>>()?;
    if bounds.iter().filter(|bound| bound.is_range).count() < 2 {
        return None;
    }
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|one, next| {
        let (one, next) = (bounds[*one], bounds[*next]);
        one.low.total_cmp(&next.low).then(one.high.total_cmp(&next.high))
    });
    Some(places)
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound {
    low: f64,
    high: f64,
    is_range: bool,
}

fn bound(text: &str) -> Option<Bound> {
    let text = text.trim();
    let range = |low, high| Some(Bound { low, high, is_range: true });
    if let Some(number) = number(text) {
        return Some(Bound { low: number, high: number, is_range: false });
    }
    for sign in ["<=", "≤", "<", "under ", "Under "] {
        if let Some(rest) = text.strip_prefix(sign) {
            return range(f64::NEG_INFINITY, number(rest)?);
        }
    }
    for sign in [">=", "≥", ">", "over ", "Over "] {
        if let Some(rest) = text.strip_prefix(sign) {
            return range(number(rest)?, f64::INFINITY);
        }
    }
    if let Some(rest) = text.strip_suffix('+') {
        return range(number(rest)?, f64::INFINITY);
    }
    let inner = text.strip_prefix(['(', '[']).and_then(|rest| rest.strip_suffix([')', ']']));
    let (low, high) = match inner {
        Some(inner) => inner.split_once([',', ';'])?,
        None => split_at_dash(text)?,
    };
    let (low, high) = (number(low)?, number(high)?);
    if low <= high { range(low, high) } else { None }
}

/// `18-24`, `18 – 24`, `1k to 5k`; not the sign of a number.
fn split_at_dash(text: &str) -> Option<(&str, &str)> {
    if let Some(parts) = text.split_once(" to ") {
        return Some(parts);
    }
    let (at, dash) =
        text.char_indices().skip(1).find(|(_, letter)| matches!(letter, '-' | '–' | '~' | '—'))?;
    Some((text.get(..at)?, text.get(at + dash.len_utf8()..)?))
}

/// `500`, `1k`, `1.5m`, `-inf`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (digits, unit) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (text.get(..at)?, 1e3),
        (at, 'm' | 'M') => (text.get(..at)?, 1e6),
        (at, 'w' | '万') => (text.get(..at)?, 1e4),
        _ => (text, 1.0),
    };
    let parsed: f64 = digits.trim().parse().ok()?;
    (!parsed.is_nan()).then_some(parsed * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(values: &[&str]) -> Option<Vec<String>> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        Some(order(&values)?.into_iter().map(|place| values[place].clone()).collect())
    }

    #[test]
    fn ranges_stand_by_their_numbers() {
        assert_eq!(
            sorted(&["500+", "(10,50]", "0", "(0,10]", "(250,500]"]).unwrap(),
            ["0", "(0,10]", "(10,50]", "(250,500]", "500+"]
        );
        assert_eq!(
            sorted(&["[1k,5k)", "[100,1k)", "[1,10)", "5k+"]).unwrap(),
            ["[1,10)", "[100,1k)", "[1k,5k)", "5k+"]
        );
        assert_eq!(sorted(&["65+", "18-24", "<18", "25–34"]).unwrap(), ["<18", "18-24", "25–34", "65+"]);
    }

    #[test]
    fn other_texts_are_no_ranges() {
        assert!(sorted(&["A-1", "B-2"]).is_none());
        assert!(sorted(&["1", "2", "3"]).is_none());
        assert!(sorted(&["2024-01-02", "2024-01-03"]).is_none());
        assert!(sorted(&["430548-1007", "430539-1007"]).is_none());
        assert!(sorted(&["18-24"]).is_none());
    }
}
