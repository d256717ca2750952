//! Which cells name or reach a person? E-mail addresses, phone numbers, whole IP addresses, names.
//!
//! Shapes of values, with the column's name where a shape alone proves nothing. Suspects only: a person decides.

use super::{Issue, IssueKind, issues};
use crate::data::keyed::Keyed;
use crate::data::profile::ColumnProfile;
use crate::data::schema::ColumnType;

/// Distinct values that are looked at.
const SAMPLE: usize = 20_000;

/// What kind of person's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Email,
    Phone,
    Ip,
    Name,
}

/// The suspicion about a column; `counts` are the cells of each distinct value.
pub(super) fn suspect(column: &ColumnProfile, text: Option<(&Keyed, &[u64])>, rows: u64) -> Option<Issue> {
    let (kind, cells) = match text {
        Some((text, counts)) if column.kind == ColumnType::Text => in_texts(column, text, counts)?,
        _ if column.kind == ColumnType::Integer => {
            let span = column.quantiles?;
            let is_long = span.min >= 1e6 && span.max < 1e15;
            (says_phone(&column.name) && is_long).then_some((Kind::Phone, rows - column.missing))?
        }
        _ => return None,
    };
    let what = match kind {
        Kind::Email => "e-mail addresses",
        Kind::Phone => "phone numbers",
        Kind::Ip => "whole IP addresses",
        Kind::Name => "names of people",
    };
    let detail = format!("looks like {what}: --pseudonymise '{}' replaces them", column.name);
    Some(issues::issue(IssueKind::PersonalData, Some(&column.name), cells, detail))
}

fn in_texts(column: &ColumnProfile, text: &Keyed, counts: &[u64]) -> Option<(Kind, u64)> {
    let says_phone = says_phone(&column.name);
    let says_name = says_name(&column.name);
    let looks = |kind: Kind, value: &str| match kind {
        Kind::Email => value.split_whitespace().any(is_email),
        Kind::Phone => is_phone(value, says_phone),
        Kind::Ip => is_whole_ip(value),
        Kind::Name => says_name && is_name(value),
    };
    let pairs = || text.values.iter().zip(counts).take(SAMPLE);
    let all: u64 = pairs().map(|(_, count)| count).sum();
    for (kind, share) in [(Kind::Email, 0.01), (Kind::Ip, 0.5), (Kind::Phone, 0.5), (Kind::Name, 0.8)] {
        let cells: u64 = pairs().filter(|(value, _)| looks(kind, value)).map(|(_, count)| count).sum();
        if cells > 0 && cells as f64 >= share * all as f64 {
            return Some((kind, cells));
        }
    }
    None
}

fn words(name: &str) -> Vec<String> {
    name.to_lowercase().split(|letter: char| !letter.is_alphanumeric()).map(str::to_owned).collect()
}

fn says_phone(name: &str) -> bool {
    let known =
        ["phone", "telephone", "tel", "mobile", "cellphone", "handy", "telefon", "telefono", "msisdn"];
    words(name).iter().any(|word| known.contains(&word.as_str()) || word.ends_with("phone"))
        || ["电话", "手机", "電話"].iter().any(|part| name.contains(part))
}

fn says_name(name: &str) -> bool {
    let words = words(name);
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let alone = [
        "surname",
        "firstname",
        "lastname",
        "fullname",
        "vorname",
        "nachname",
        "prénom",
        "prenom",
        "apellido",
    ];
    has(&alone)
        || (has(&["name"])
            && has(&["first", "last", "full", "given", "family", "middle", "customer", "contact", "person"]))
        || ["姓名", "氏名", "お名前"].iter().any(|part| name.contains(part))
}

fn is_email(word: &str) -> bool {
    let word = word.trim_matches(|letter: char| !letter.is_alphanumeric());
    let Some((user, host)) = word.split_once('@') else { return false };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._%+-".contains(letter);
    let top = host.rsplit('.').next().unwrap_or_default();
    !user.is_empty()
        && user.chars().all(is_plain)
        && host.contains('.')
        && host.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-".contains(letter))
        && (2..=24).contains(&top.len())
        && top.chars().all(|letter| letter.is_ascii_alphabetic())
}

/// A number with a country's prefix, or any number of that length where the column's name says so.
fn is_phone(value: &str, is_named: bool) -> bool {
    let value = value.trim();
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let is_plain = value.chars().all(|letter| letter.is_ascii_digit() || "+-() ./".contains(letter));
    is_plain && (7..=15).contains(&digits) && (is_named || (value.starts_with('+') && digits >= 9))
}

/// Four numbers, none of them masked: `61.131.48.*` names a network, not a person.
fn is_whole_ip(value: &str) -> bool {
    match value.trim().parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => address.octets()[3] != 0,
        Ok(std::net::IpAddr::V6(address)) => address.segments()[4..] != [0; 4],
        Err(_) => false,
    }
}

fn is_name(value: &str) -> bool {
    let letters = value.chars().filter(|letter| letter.is_alphabetic()).count();
    (2..=60).contains(&letters)
        && value.chars().all(|letter| letter.is_alphabetic() || " '.-’".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        assert!(is_email("anna.b+ads@mail.example.org") && is_email("<a@b.co>"));
        assert!(!is_email("@handle") && !is_email("price@5") && !is_email("a@b"));
        assert!(is_phone("+49 170 1234567", false) && is_phone("0170/1234567", true));
        assert!(!is_phone("20261012", false) && !is_phone("+5", false) && !is_phone("12", true));
        assert!(is_whole_ip("61.131.48.7") && is_whole_ip("2001:db8::1"));
        assert!(!is_whole_ip("61.131.48.*") && !is_whole_ip("61.131.48.0") && !is_whole_ip("1.2.3"));
        assert!(!is_whole_ip("2001:db8::"));
    }

    #[test]
    fn names_of_columns_are_read() {
        assert!(says_name("First Name") && says_name("customer_name") && says_name("姓名"));
        assert!(!says_name("Campaign name") && !says_name("company_name"));
        assert!(says_phone("mobile_phone") && says_phone("手机号") && !says_phone("telecom"));
        assert!(is_name("Zoë O’Neill") && !is_name("Ad 12"));
    }
}
