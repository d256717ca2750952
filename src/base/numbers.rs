//! How are counts written for people?

/// `12,345,678`: groups of three with `mark` between them, rounded to a whole number.
pub fn grouped(count: f64, mark: char) -> String {
    let digits = format!("{:.0}", count.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(mark);
        }
        text.push(digit);
    }
    if count < -0.5 { format!("-{text}") } else { text }
}

/// Money or another sum: whole numbers as [`grouped`], others with two decimals.
pub fn grouped_sum(sum: f64, mark: char) -> String {
    if sum.fract() == 0.0 {
        return grouped(sum, mark);
    }
    let cents = (sum.abs() * 100.0).round();
    let sign = if sum < 0.0 { "-" } else { "" };
    format!("{sign}{}.{:02.0}", grouped((cents / 100.0).floor(), mark), cents % 100.0)
}

/// Four significant digits, no trailing zeros.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let before = value.abs().log10().floor() as i32 + 1;
    let digits = usize::try_from(4 - before).unwrap_or(0).min(8);
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        assert_eq!(grouped(1_234_567.0, ','), "1,234,567");
        assert_eq!(grouped(-999.0, ','), "-999");
        assert_eq!(grouped_sum(58_705.226, ','), "58,705.23");
        assert_eq!(grouped_sum(-0.999, ','), "-1.00");
        assert_eq!(grouped_sum(12.0, ','), "12");
    }

    #[test]
    fn numbers_are_short_and_right() {
        assert_eq!(short(0.012_345_6), "0.01235");
        assert_eq!(short(1.5), "1.5");
        assert_eq!(short(123_456.7), "123457");
        assert_eq!((short(0.0), short(-0.25)), ("0".into(), "-0.25".into()));
    }
}
