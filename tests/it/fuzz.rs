//! Does any file break a parser? The corpus of the fuzz targets, and on request many files like those.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use adloupe::base::rng::Rng;

#[path = "../fuzz/targets/checks.rs"]
mod checks;

/// How many importers the first byte of `reads` chooses from.
const IMPORTERS: u8 = adloupe::data::importers::IMPORTERS.len() as u8;
/// Pieces that mean something to a parser.
const PIECES: [&[u8]; 44] = [
    b",",
    b";",
    b"\t",
    b"|",
    b":",
    b"::",
    b"\"",
    b"\"\"",
    b"'",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\u12",
    b"\\",
    b"null",
    b"NaN",
    b"-",
    b"1e999",
    b"-0",
    b"0",
    b"18446744073709551616",
    b"9223372036854775807",
    b"0000-00-00",
    b"31/12/9999",
    b"2026-02-30 25:61",
    b"24:00",
    b"%",
    b"EUR",
    b"1.234,5",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    "日本".as_bytes(),
    b"Total",
    b"#",
    b"1:1:1",
    b"true",
    b"=",
    b"\x1f\x8b\x08",
];

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 20);
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Holds a file against all checks; the importer that reads it is chosen by `importer`.
fn check(bytes: &[u8], importer: u8) {
    checks::opens(bytes);
    checks::reads(&[&[importer], bytes].concat());
    checks::parses(bytes);
}

/// Changes a file in one to eight places.
fn mutated(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = seeds[rng.below(seeds.len())].clone();
    for _ in 0..1 + rng.below(8) {
        let at = rng.below(bytes.len() + 1);
        let end = (at + 1 + rng.below(12)).min(bytes.len());
        match rng.below(9) {
            0 if at < bytes.len() => bytes[at] = rng.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            2 => drop(bytes.drain(at.min(end)..end)),
            3 => {
                let piece = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + rng.below(40)));
            }
            4 => bytes.truncate(at),
            5 => {
                let other = &seeds[rng.below(seeds.len())];
                let (from, to) = (rng.below(other.len() + 1), rng.below(other.len() + 1));
                bytes.splice(at..at, other[from.min(to)..from.max(to)].iter().copied());
            }
            6 => {
                let mut lines: Vec<Vec<u8>> =
                    bytes.split_inclusive(|byte| *byte == b'\n').map(Vec::from).collect();
                if !lines.is_empty() {
                    let line = lines[rng.below(lines.len())].clone();
                    lines.insert(rng.below(lines.len()), line.repeat(1 + rng.below(30)));
                }
                bytes = lines.concat();
            }
            _ => drop(bytes.splice(at..at, PIECES[rng.below(PIECES.len())].iter().copied())),
        }
        bytes.truncate(1 << 16);
    }
    bytes
}

#[test]
fn the_corpus_breaks_nothing() {
    for (place, bytes) in corpus().iter().enumerate() {
        check(bytes, place as u8);
    }
}

/// `ADLOUPE_FUZZ_SECONDS=600 cargo nextest run --run-ignored only mutated_files`; a file that breaks something is
/// kept in the temporary folder.
#[test]
#[ignore = "takes as long as is asked for"]
#[allow(clippy::print_stderr, reason = "a long run tells what it did")]
fn mutated_files_break_nothing() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let limit = Duration::from_secs(asked("ADLOUPE_FUZZ_SECONDS").unwrap_or(60));
    let seed = asked("ADLOUPE_FUZZ_SEED").unwrap_or(1);
    let (seeds, begun) = (corpus(), Instant::now());
    let mut rng = Rng::named(seed, "fuzz");
    let (mut runs, mut broken) = (0u64, 0);
    while begun.elapsed() < limit {
        let bytes = mutated(&seeds, &mut rng);
        let importer = rng.below(usize::from(IMPORTERS)) as u8;
        let slow = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| check(&bytes, importer))).is_err()
            || slow.elapsed().as_secs() > 10
        {
            let place = std::env::temp_dir().join(format!("adloupe-broken-{seed}-{runs}-{importer}"));
            std::fs::write(&place, &bytes).unwrap();
            eprintln!("{} breaks after {:?}", place.display(), slow.elapsed());
            broken += 1;
        }
        runs += 1;
    }
    eprintln!("{runs} files in {:?}, {broken} broke something", begun.elapsed());
    assert_eq!(broken, 0);
}
