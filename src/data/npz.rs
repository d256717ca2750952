//! How is a sparse matrix of SciPy read? Its pattern: which columns each row has.
//!
//! `scipy.sparse.save_npz` writes a zip of arrays in NumPy's form: `indptr`, `indices`, `shape`, `format` and `data`. Only
//! compressed rows (`csr`) are read, and the values are left alone.

use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Which columns each row of a matrix has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Start of each row in `columns`, and the end of the last.
    pub offsets: Vec<usize>,
    /// Columns of all rows.
    pub columns: Vec<usize>,
}

const WHAT: &str = "cannot read the matrix";
/// An array larger than this is none that a log of clicks would have.
const LARGEST: u64 = 8 << 30;

impl Pattern {
    /// Reads the file of a matrix.
    ///
    /// # Errors
    /// No such file, or none that SciPy wrote for a matrix of compressed rows.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| disk_failure(WHAT, path, &error))?;
        Self::of(BufReader::new(file)).map_err(|failure| failure.at(path.display()))
    }

    fn of(file: impl Read + std::io::Seek) -> Result<Self> {
        let mut archive = ZipArchive::new(file).explain(WHAT)?;
        let mut array = |name: &str| -> Result<Vec<u8>> {
            let entry = archive.by_name(&format!("{name}.npy")).explain(WHAT)?;
            let mut bytes = Vec::new();
            entry.take(LARGEST).read_to_end(&mut bytes).explain(WHAT)?;
            Ok(bytes)
        };
        let format = array("format")?;
        if !format.ends_with(b"csr") {
            return Err(
                Failure::new(WHAT, "its rows are not compressed").hint("matrix.tocsr() before saving")
            );
        }
        let shape = whole_numbers(&array("shape")?)?;
        let [rows, width] = *shape.as_slice() else {
            return Err(Failure::new(WHAT, format!("it has {} dimensions", shape.len())));
        };
        let (offsets, columns) = (whole_numbers(&array("indptr")?)?, whole_numbers(&array("indices")?)?);
        let is_whole = offsets.len() == rows + 1
            && offsets.is_sorted()
            && offsets.last() == Some(&columns.len())
            && columns.iter().all(|column| *column < width);
        if !is_whole {
            return Err(Failure::new(WHAT, "its rows and columns do not fit each other")
                .hint("the file may be cut off: copy it again"));
        }
        Ok(Self { shape: [rows, width], offsets, columns })
    }

    /// The columns of a row.
    pub fn of_row(&self, row: usize) -> &[usize] {
        &self.columns[self.offsets[row]..self.offsets[row + 1]]
    }
}

/// The whole numbers of an array in NumPy's form.
fn whole_numbers(bytes: &[u8]) -> Result<Vec<usize>> {
    let broken = || Failure::new(WHAT, "an array in it is not in NumPy's form");
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(broken)?;
    let (version, rest) = rest.split_at_checked(2).ok_or_else(broken)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        _ => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
    };
    let (header, numbers) = rest.split_at_checked(length).ok_or_else(broken)?;
    let header = String::from_utf8_lossy(header);
    let found: Vec<Option<usize>> = if header.contains("<i4") {
        numbers.as_chunks::<4>().0.iter().map(|b| usize::try_from(i32::from_le_bytes(*b)).ok()).collect()
    } else if header.contains("<i8") {
        numbers.as_chunks::<8>().0.iter().map(|b| usize::try_from(i64::from_le_bytes(*b)).ok()).collect()
    } else {
        return Err(Failure::new(WHAT, format!("its numbers are of another type: {}", header.trim())));
    };
    found.into_iter().collect::<Option<Vec<_>>>().ok_or_else(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use zip::write::{SimpleFileOptions, ZipWriter};

    /// As NumPy writes an array.
    fn npy(kind: &str, numbers: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (3,), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        bytes
    }

    fn file(format: &[u8], indices: &[i32]) -> Cursor<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let wide = |numbers: &[i64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let short = |numbers: &[i32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        for (name, bytes) in [
            ("format.npy", npy("|S3", format)),
            ("shape.npy", npy("<i8", &wide(&[2, 5]))),
            ("indptr.npy", npy("<i4", &short(&[0, 2, 3]))),
            ("indices.npy", npy("<i4", &short(indices))),
        ] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap()
    }

    #[test]
    fn rows_have_their_columns_and_other_files_are_refused() {
        let pattern = Pattern::of(file(b"csr", &[1, 4, 0])).unwrap();
        assert_eq!(pattern.shape, [2, 5]);
        assert_eq!((pattern.of_row(0), pattern.of_row(1)), (&[1, 4][..], &[0][..]));
        assert!(Pattern::of(file(b"coo", &[1, 4, 0])).unwrap_err().why.contains("compressed"));
        assert!(Pattern::of(file(b"csr", &[1, 5, 0])).unwrap_err().why.contains("fit"));
        assert!(Pattern::of(file(b"csr", &[1, -1, 0])).is_err());
        assert!(Pattern::of(Cursor::new(b"no zip".to_vec())).is_err());
    }
}
