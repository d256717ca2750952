//! Which value gets which id? Vocabularies for categorical fields, hashed where they are too large to keep.

use super::batch::{FIRST_VALUE_ID, MISSING_ID, RARE_ID};
use super::cells::NO_CODE;
use super::encode::CategoricalField;
use crate::base::rng::mix;
use std::collections::HashMap;

/// A stable 64-bit hash of a text: the same on every machine and in every version, since saved models depend
/// on it. FNV-1a (Fowler, Noll & Vo) for the bytes, then splitmix64's finaliser to mix the low bits.
pub fn stable_hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

/// The values that occur at least `min_count` times, most frequent first, ties in order of their text; an
/// empty list and a number of buckets when more than `max_values` would be kept.
pub fn fit_values(
    values: &[String],
    counts: &[u32],
    min_count: u32,
    max_values: usize,
) -> (Vec<String>, u32) {
    let mut kept: Vec<usize> = (0..counts.len()).filter(|&code| counts[code] >= min_count.max(1)).collect();
    if kept.len() > max_values {
        return (Vec::new(), u32::try_from(max_values).unwrap_or(u32::MAX));
    }
    kept.sort_by(|&a, &b| counts[b].cmp(&counts[a]).then_with(|| values[a].cmp(&values[b])));
    let values = kept.iter().map(|&code| values[code].clone());
    (values.collect(), 0)
}

impl CategoricalField {
    /// The id of one value.
    pub fn id_of(&self, value: &str) -> u32 {
        self.ids_of(std::slice::from_ref(&value.to_owned()))[0]
    }

    /// The id of each value of a list of distinct values.
    pub fn ids_of(&self, values: &[String]) -> Vec<u32> {
        if self.hash_buckets > 0 {
            let buckets = u64::from(self.hash_buckets);
            return values
                .iter()
                .map(|value| (stable_hash(value) % buckets) as u32 + FIRST_VALUE_ID)
                .collect();
        }
        let places: HashMap<&str, u32> = self.values.iter().map(String::as_str).zip(0..).collect();
        values
            .iter()
            .map(|value| places.get(value.as_str()).map_or(RARE_ID, |place| place + FIRST_VALUE_ID))
            .collect()
    }

    /// The id of every cell of a column whose distinct values are `values`.
    pub fn encode<'a>(&self, values: &[String], codes: &'a [u32]) -> impl Iterator<Item = u32> + use<'a> {
        let ids = self.ids_of(values);
        codes.iter().map(move |&code| if code == NO_CODE { MISSING_ID } else { ids[code as usize] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cells::Coded;
    use crate::data::encode::Side;

    fn cells(texts: &[&str]) -> Coded {
        let mut coded = Coded::default();
        for text in texts {
            let place = coded.values.iter().position(|value| value == text);
            let code = place.unwrap_or_else(|| {
                coded.values.push((*text).to_owned());
                coded.values.len() - 1
            });
            coded.codes.push(if text.is_empty() { NO_CODE } else { code as u32 });
        }
        coded
    }

    fn field(values: Vec<String>, hash_buckets: u32) -> CategoricalField {
        CategoricalField { name: "city".to_owned(), side: Side::Context, values, hash_buckets }
    }

    #[test]
    fn frequent_first_rare_and_new_share_an_id() {
        let train = cells(&["b", "a", "上海", "a", "上海", "b", "once", "a"]);
        let rows: Vec<u32> = (0..8).collect();
        let (values, buckets) = fit_values(&train.values, &train.counts(&rows), 2, 10);
        assert_eq!((values.join(" ").as_str(), buckets), ("a b 上海", 0));
        let field = field(values, 0);
        let later = cells(&["上海", "once", "new", "", "a"]);
        let ids: Vec<u32> = field.encode(&later.values, &later.codes).collect();
        assert_eq!(ids, [4, RARE_ID, RARE_ID, MISSING_ID, 2]);
        assert_eq!(field.name_of(4), "上海");
    }

    #[test]
    fn huge_vocabularies_are_hashed_into_a_fixed_range() {
        let texts: Vec<String> = (0..5_000).map(|i| format!("user-{i}")).collect();
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let train = cells(&refs);
        let rows: Vec<u32> = (0..5_000).collect();
        let (values, buckets) = fit_values(&train.values, &train.counts(&rows), 1, 1_000);
        assert_eq!((values.len(), buckets), (0, 1_000));
        let field = field(values, buckets);
        let ids: Vec<u32> = field.encode(&train.values, &train.codes).collect();
        assert!(ids.iter().all(|id| (2..field.cardinality() as u32).contains(id)));
        let mut used = ids.clone();
        used.sort_unstable();
        used.dedup();
        // 5,000 balls in 1,000 bins leave each empty with probability e^-5: about 993 are used.
        assert!(used.len() > 980, "{}", used.len());
        assert_eq!(field.id_of("user-77"), ids[77]);
    }

    #[test]
    fn the_hash_starts_from_published_fnv_values() {
        // FNV-1a 64 of "a" is 0xaf63dc4c8601ec8c (test vectors of the FNV reference code).
        assert_eq!(stable_hash("a"), mix(0xaf63_dc4c_8601_ec8c));
    }
}
