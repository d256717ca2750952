//! How are whole numbers kept in the fewest bytes while they are read? One byte each, until one comes that needs more.
//!
//! A column that is turned once all of it was read takes eight bytes a number meanwhile, and its memory is touched twice.

use polars::prelude::{
    ChunkedBuilder, Int8Type, Int16Type, Int32Type, Int64Type, IntoSeries, PolarsNumericType,
    PrimitiveChunkedBuilder, Series,
};

/// A column of whole numbers that is being filled.
pub(super) struct WholeNumbers {
    name: String,
    /// How many it has room for.
    rows: usize,
    cells: Cells,
}

enum Cells {
    One(PrimitiveChunkedBuilder<Int8Type>),
    Two(PrimitiveChunkedBuilder<Int16Type>),
    Four(PrimitiveChunkedBuilder<Int32Type>),
    Eight(PrimitiveChunkedBuilder<Int64Type>),
}

impl WholeNumbers {
    /// An empty column with room for `rows` numbers.
    pub fn new(name: &str, rows: usize) -> Self {
        let cells = Cells::One(PrimitiveChunkedBuilder::new(name.into(), rows));
        Self { name: name.to_owned(), rows, cells }
    }

    /// Bytes that a number takes now.
    pub fn width(&self) -> usize {
        match &self.cells {
            Cells::One(_) => 1,
            Cells::Two(_) => 2,
            Cells::Four(_) => 4,
            Cells::Eight(_) => 8,
        }
    }

    /// Adds a number; `None` is missing.
    #[inline]
    pub fn push(&mut self, number: Option<i64>) {
        while !self.takes(number) {
            self.widen();
        }
    }

    /// Adds numbers.
    pub fn push_all(&mut self, numbers: &[i64]) {
        let (Some(low), Some(high)) = (numbers.iter().min(), numbers.iter().max()) else { return };
        while !self.holds(*low) || !self.holds(*high) {
            self.widen();
        }
        match &mut self.cells {
            Cells::One(cells) => numbers.iter().for_each(|number| cells.append_value(*number as i8)),
            Cells::Two(cells) => numbers.iter().for_each(|number| cells.append_value(*number as i16)),
            Cells::Four(cells) => numbers.iter().for_each(|number| cells.append_value(*number as i32)),
            Cells::Eight(cells) => numbers.iter().for_each(|number| cells.append_value(*number)),
        }
    }

    /// True when a number fits.
    fn holds(&self, number: i64) -> bool {
        match &self.cells {
            Cells::One(_) => i8::try_from(number).is_ok(),
            Cells::Two(_) => i16::try_from(number).is_ok(),
            Cells::Four(_) => i32::try_from(number).is_ok(),
            Cells::Eight(_) => true,
        }
    }

    /// Adds a number, where it fits.
    #[inline]
    fn takes(&mut self, number: Option<i64>) -> bool {
        match &mut self.cells {
            Cells::One(cells) => append(cells, number),
            Cells::Two(cells) => append(cells, number),
            Cells::Four(cells) => append(cells, number),
            Cells::Eight(cells) => append(cells, number),
        }
    }

    /// Goes on with the next width.
    #[cold]
    fn widen(&mut self) {
        let (name, rows) = (self.name.as_str(), self.rows);
        let none = Cells::One(PrimitiveChunkedBuilder::new(name.into(), 0));
        self.cells = match std::mem::replace(&mut self.cells, none) {
            Cells::One(cells) => Cells::Two(moved(cells, name, rows)),
            Cells::Two(cells) => Cells::Four(moved(cells, name, rows)),
            Cells::Four(cells) => Cells::Eight(moved(cells, name, rows)),
            Cells::Eight(cells) => Cells::Eight(cells),
        };
    }

    /// The finished column.
    pub fn finish(self) -> Series {
        match self.cells {
            Cells::One(cells) => cells.finish().into_series(),
            Cells::Two(cells) => cells.finish().into_series(),
            Cells::Four(cells) => cells.finish().into_series(),
            Cells::Eight(cells) => cells.finish().into_series(),
        }
    }
}

/// Adds a number; false where it does not fit.
#[inline]
fn append<T: PolarsNumericType<Native: TryFrom<i64>>>(
    cells: &mut PrimitiveChunkedBuilder<T>,
    number: Option<i64>,
) -> bool {
    let Some(number) = number else {
        cells.append_null();
        return true;
    };
    let fitting = T::Native::try_from(number).ok();
    fitting.inspect(|number| cells.append_value(*number)).is_some()
}

/// The same numbers in more bytes.
fn moved<A, B>(cells: PrimitiveChunkedBuilder<A>, name: &str, rows: usize) -> PrimitiveChunkedBuilder<B>
where
    A: PolarsNumericType,
    B: PolarsNumericType<Native: From<A::Native>>,
{
    let mut wider = PrimitiveChunkedBuilder::new(name.into(), rows);
    cells.finish().iter().for_each(|cell| wider.append_option(cell.map(B::Native::from)));
    wider
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::DataType;

    #[test]
    fn numbers_take_the_fewest_bytes_and_stay_what_they_are() {
        let wide = 1 << 40;
        for (numbers, kind) in [
            (vec![], DataType::Int8),
            (vec![Some(-128), None, Some(127)], DataType::Int8),
            (vec![None, Some(1), Some(128)], DataType::Int16),
            (vec![Some(0), Some(-70_000), None], DataType::Int32),
            (vec![Some(5), Some(300), Some(70_000), None, Some(wide), Some(1)], DataType::Int64),
            (vec![Some(i64::MIN), Some(i64::MAX)], DataType::Int64),
        ] {
            let mut column = WholeNumbers::new("n", 2);
            numbers.iter().for_each(|number| column.push(*number));
            assert_eq!(DataType::Int64 == kind, column.width() == 8);
            let found = column.finish();
            assert_eq!((found.dtype(), found.len()), (&kind, numbers.len()));
            let back = found.cast(&DataType::Int64).unwrap();
            assert_eq!(back.i64().unwrap().iter().collect::<Vec<_>>(), numbers);
        }
    }
}
