//! Are these cells lists of ids with spaces between them (`3737 19450`), or numbers whose thousands are parted by
//! spaces (`3 737 194`)?

/// Cells that are nothing but numbers with single spaces between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Spaced {
    /// Cells with two numbers or more.
    pub count: u64,
    fewest: usize,
    most: usize,
    /// True when some cell cannot be one number.
    breaks_thousands: bool,
}

impl Spaced {
    pub fn see(&mut self, cell: &str) {
        let is_list = cell.contains(' ') && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
        let Some((first, rest)) = cell.split_once(' ').filter(|_| is_list) else {
            return;
        };
        let numbers = 1 + rest.split(' ').count();
        if first.is_empty() || rest.split(' ').any(str::is_empty) {
            return;
        }
        self.fewest = if self.count == 0 { numbers } else { self.fewest.min(numbers) };
        self.most = self.most.max(numbers);
        self.breaks_thousands |= first.len() > 3 || rest.split(' ').any(|number| number.len() != 3);
        self.count += 1;
    }

    /// True when the cells are lists, `singles` of them of one number. Lists differ in length; a code of several
    /// parts or a date does not.
    pub fn are_lists(&self, singles: u64) -> bool {
        let differ = singles > 0 || self.fewest < self.most;
        self.breaks_thousands && differ && self.count * 10 >= self.count + singles
    }
}
