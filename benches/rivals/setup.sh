#!/bin/sh
# Makes a virtual environment with the rivals of `adloupe bench train`: setup.sh [FOLDER]. Then tell the program where:
#   ADLOUPE_RIVALS=FOLDER/bin/python adloupe bench train
# Takes the processor's build of PyTorch where the package index has one, else the index's own.
set -e
folder="${1:-${ADLOUPE_RIVALS_FOLDER:-$HOME/.cache/adloupe-rivals}}"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --index-url https://download.pytorch.org/whl/cpu torch 2>/dev/null \
  || "$folder/bin/pip" install --quiet torch \
  || { echo "PyTorch cannot be installed here: bench train will measure without its rivals" >&2; exit 1; }
"$folder/bin/pip" install --quiet numpy
"$folder/bin/python" -c "import torch; print('PyTorch', torch.__version__, 'in $folder')"
