//! Does the user, the ad or the moment decide a column? Found by functional dependence in the log.

use super::cells::NO_CODE;
use super::encode::Side;

/// A column is a property of a key when this share of the rows agrees with the key's usual value. Not 1: logs
/// are joined from sources that sometimes differ for a moment.
const AGREEMENT: f64 = 0.999;

/// Fewer rows of repeated keys than this prove nothing.
const MIN_EVIDENCE_ROWS: usize = 20;

/// The usual value of each key of one kind (user or ad), with what is needed to ask whether a column
/// depends on it.
#[derive(Debug)]
pub struct Keys<'a> {
    codes: &'a [u32],
    /// Rows per key.
    counts: Vec<u32>,
}

impl<'a> Keys<'a> {
    /// Keys as codes `0..distinct`, one per row of the log; `rows` are looked at.
    pub fn new(codes: &'a [u32], distinct: usize, rows: &[u32]) -> Self {
        let mut counts = vec![0; distinct];
        for &row in rows {
            if let Some(count) = counts.get_mut(codes[row as usize] as usize) {
                *count += 1;
            }
        }
        Self { codes, counts }
    }

    /// The value that most rows of each key hold, if one value has the majority ([`NO_CODE`] for keys that
    /// do not occur). Boyer & Moore's majority vote (1991): one pass, no table of pairs.
    pub fn usual_values(&self, values: &[u32], rows: &[u32]) -> Vec<u32> {
        let mut leader = vec![NO_CODE; self.counts.len()];
        let mut lead = vec![0u32; self.counts.len()];
        for &row in rows {
            let key = self.codes[row as usize] as usize;
            let value = values[row as usize];
            let (Some(leader), Some(lead)) = (leader.get_mut(key), lead.get_mut(key)) else {
                continue;
            };
            if *lead == 0 {
                (*leader, *lead) = (value, 1);
            } else if *leader == value {
                *lead += 1;
            } else {
                *lead -= 1;
            }
        }
        leader
    }

    /// Share of the rows that are not the first of their key.
    pub fn returning_share(&self, rows: &[u32]) -> f64 {
        let keys = self.counts.iter().filter(|&&count| count > 0).count();
        let keyed: usize = self.counts.iter().map(|&count| count as usize).sum();
        (keyed - keys) as f64 / rows.len().max(1) as f64
    }

    /// True when the key decides the value, judged on keys that occur at least twice.
    pub fn decide(&self, values: &[u32], rows: &[u32]) -> bool {
        let usual = self.usual_values(values, rows);
        let (mut seen, mut agreeing) = (0usize, 0usize);
        for &row in rows {
            let key = self.codes[row as usize] as usize;
            if self.counts.get(key).is_some_and(|&count| count >= 2) {
                seen += 1;
                agreeing += usize::from(usual[key] == values[row as usize]);
            }
        }
        seen >= MIN_EVIDENCE_ROWS && agreeing as f64 >= AGREEMENT * seen as f64
    }
}

/// Whose property a column is. What both decide (each user saw one ad only) counts as the ad's when
/// `prefer_ad`, else as the user's.
pub fn side_of(
    values: &[u32],
    rows: &[u32],
    users: Option<&Keys<'_>>,
    ads: Option<&Keys<'_>>,
    prefer_ad: bool,
) -> Side {
    let by = |keys: Option<&Keys<'_>>| keys.is_some_and(|keys| keys.decide(values, rows));
    match (by(users), by(ads)) {
        (false, false) => Side::Context,
        (true, false) => Side::User,
        (false, true) => Side::Ad,
        (true, true) if prefer_ad => Side::Ad,
        (true, true) => Side::User,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_follows_from_the_key_despite_a_little_noise() {
        let rows: Vec<u32> = (0..10_000).collect();
        let users: Vec<u32> = rows.iter().map(|row| row % 100).collect();
        let mut city: Vec<u32> = users.iter().map(|user| user % 7).collect();
        let keys = Keys::new(&users, 100, &rows);
        assert!(keys.decide(&city, &rows));
        for cell in city.iter_mut().take(9) {
            *cell = 99;
        }
        assert!(keys.decide(&city, &rows), "9 of 10,000 differ: still the user's");
        for cell in city.iter_mut().take(20) {
            *cell = 99;
        }
        assert!(!keys.decide(&city, &rows), "20 of 10,000 are too many");
        let page: Vec<u32> = rows.iter().map(|row| row % 3).collect();
        assert_eq!(side_of(&page, &rows, Some(&keys), None, false), Side::Context);
    }

    #[test]
    fn keys_seen_once_prove_nothing() {
        let rows: Vec<u32> = (0..1_000).collect();
        let keys = Keys::new(&rows, 1_000, &rows);
        assert!(!keys.decide(&vec![3; 1_000], &rows));
    }
}
