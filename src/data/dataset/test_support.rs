//! When are two data sets the same? For the tests of those that are kept and streamed.

use super::Dataset;
use crate::data::array::Array;

/// Every number of both, to the last bit.
pub(super) fn assert_same(one: &Dataset, other: &Dataset) {
    assert_eq!(one.encoder, other.encoder);
    assert_eq!(one.rows, other.rows);
    assert_eq!(one.categorical, other.categorical);
    let bits = |column: &Array<f32>| column.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (one, other) in one.numeric.iter().zip(&other.numeric) {
        assert_eq!(bits(one), bits(other));
    }
    let numbers = |data: &Dataset| {
        [&data.label, &data.conversion, &data.weight, &data.truth].map(bits).map(Vec::from_iter)
    };
    assert_eq!(numbers(one), numbers(other));
    assert_eq!(one.sequences, other.sequences);
    assert_eq!(one.users, other.users);
    assert_eq!((&one.train, &one.validation, &one.test), (&other.train, &other.validation, &other.test));
    assert_eq!(one.ads, other.ads);
    assert_eq!(one.notes, other.notes);
}
