//! Which number does a word mean? English and Chinese numerals, and figures with their thousands.

/// The value of figures such as `1,299.50`.
pub fn of_figures(text: &str) -> Option<f64> {
    text.replace(',', "").parse().ok()
}

/// The value of English words such as `thirty`, `twenty-five` or `two hundred`.
pub fn of_english(text: &str) -> Option<f64> {
    let (mut total, mut part) = (0.0, 0.0);
    for word in text.to_lowercase().split([' ', '-']).filter(|word| !word.is_empty() && *word != "and") {
        match word {
            "hundred" => part = f64::max(part, 1.0) * 100.0,
            "thousand" | "million" => {
                let scale = if word == "thousand" { 1e3 } else { 1e6 };
                total += f64::max(part, 1.0) * scale;
                part = 0.0;
            }
            "dozen" => part = f64::max(part, 1.0) * 12.0,
            word => part += f64::from(ENGLISH.iter().find(|(known, _)| *known == word)?.1),
        }
    }
    Some(total + part)
}

/// English words below a hundred.
const ENGLISH: [(&str, u8); 28] = [
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
];

/// The value of Chinese numerals such as `三百`, `二十五`, `两千` or `半`.
pub fn of_chinese(text: &str) -> Option<f64> {
    if text == "半" {
        return Some(0.5);
    }
    let (whole, fraction) = text.split_once('点').unwrap_or((text, ""));
    let (mut total, mut section, mut digit) = (0.0, 0.0, None::<f64>);
    let mut plain = String::new();
    for numeral in whole.chars() {
        if let Some(value) = chinese_digit(numeral) {
            digit = Some(f64::from(value));
            plain.push(char::from(b'0' + value));
            continue;
        }
        plain.clear();
        match numeral {
            '十' | '百' | '千' => {
                let scale = if numeral == '十' {
                    10.0
                } else if numeral == '百' {
                    100.0
                } else {
                    1000.0
                };
                section += digit.take().unwrap_or(1.0) * scale;
            }
            '万' | '亿' => {
                let scale = if numeral == '万' { 1e4 } else { 1e8 };
                total += f64::max(section + digit.take().unwrap_or(0.0), 1.0) * scale;
                section = 0.0;
            }
            _ => return None,
        }
    }
    // 二〇二六: digits one after another.
    let spelled = plain.len() > 1 && plain.len() == whole.chars().count();
    let mut value = if spelled { plain.parse().ok()? } else { total + section + digit.unwrap_or(0.0) };
    let mut place = 0.1;
    for numeral in fraction.chars() {
        value += f64::from(chinese_digit(numeral)?) * place;
        place /= 10.0;
    }
    Some(value)
}

fn chinese_digit(numeral: char) -> Option<u8> {
    let place = "零一二三四五六七八九".chars().position(|known| known == numeral);
    match numeral {
        '〇' => Some(0),
        '两' => Some(2),
        _ => place.map(|place| place as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerals_of_both_languages_are_read() {
        for (text, value) in [
            ("thirty", 30.0),
            ("twenty-five", 25.0),
            ("two hundred and ten", 210.0),
            ("a", f64::NAN),
            ("dozen", 12.0),
        ] {
            assert_eq!(of_english(text).unwrap_or(f64::NAN).to_bits(), value.to_bits(), "{text}");
        }
        for (text, value) in [
            ("三百", 300.0),
            ("二十五", 25.0),
            ("十", 10.0),
            ("两千零八", 2008.0),
            ("三万五千", 35_000.0),
            ("二〇二六", 2026.0),
            ("一点五", 1.5),
            ("半", 0.5),
        ] {
            assert!((of_chinese(text).unwrap() - value).abs() < 1e-9, "{text}");
        }
        assert_eq!(of_figures("1,299.50"), Some(1299.5));
    }
}
