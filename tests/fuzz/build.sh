#!/bin/sh
# How are the fuzz targets built and run? With the stable compiler and libFuzzer, none of which the program needs:
#
#   sh tests/fuzz/build.sh             builds target/release/fuzz_open, fuzz_read and fuzz_texts
#   target/release/fuzz_open FOUND tests/fuzz/corpus -max_total_time=3600 -timeout=60 -rss_limit_mb=4096
#
# Only our own crate counts its branches (8-bit counters), so the dependencies are those of the program's own build.
set -eu
case "${1:-}" in
    *rustc*)
        # Cargo calls this in place of the compiler.
        case " $* " in
            *" --crate-name adloupe "*)
                exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
                    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
                ;;
        esac
        exec "$@"
        ;;
esac
here="$(cd "$(dirname "$0")" && pwd)"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../../target}"
# The same versions as the program's.
cp "$here/../../Cargo.lock" "$here/Cargo.lock"
RUSTC_WRAPPER="$here/build.sh" exec cargo build --release --manifest-path "$here/Cargo.toml" "$@"
