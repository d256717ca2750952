#!/bin/sh
# Makes a virtual environment with the rivals of `adloupe bench train`, `explore`, `language`, `learn`, `market`, `onnx`,
# `planner`, `tokenise`, `trees` and `view`: setup.sh [FOLDER]. Then tell the program where:
#   ADLOUPE_RIVALS=FOLDER/bin/python adloupe bench train
# Takes the processor's build of PyTorch where the package index has one, else the index's own.
set -e
folder="${1:-${ADLOUPE_RIVALS_FOLDER:-$HOME/.cache/adloupe-rivals}}"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --index-url https://download.pytorch.org/whl/cpu torch 2>/dev/null \
  || "$folder/bin/pip" install --quiet torch \
  || { echo "PyTorch cannot be installed here: bench train will measure without its rivals" >&2; exit 1; }
"$folder/bin/pip" install --quiet numpy duckdb
"$folder/bin/pip" install --quiet vowpalwabbit \
  || echo "vowpalwabbit cannot be installed here: bench learn will measure without it" >&2
"$folder/bin/pip" install --quiet umap-learn openTSNE \
  || echo "umap-learn or openTSNE cannot be installed here: bench view will measure without them" >&2
"$folder/bin/pip" install --quiet lightgbm catboost \
  || echo "lightgbm or catboost cannot be installed here: bench trees will measure without it" >&2
# What the auction simulators import; their own sources are taken from a checkout:
#   ADLOUPE_AUCTION_GYM=.../auction-gym ADLOUPE_AUCTION_NET=.../AuctionNet ADLOUPE_RIVALS=... adloupe bench market
"$folder/bin/pip" install --quiet scipy numba gin-config \
  || echo "scipy, numba or gin-config cannot be installed here: bench market will say what is missing" >&2
# Written for Python 3.10 at most and for older packages; the estimators run all the same.
"$folder/bin/pip" install --quiet pandas scikit-learn tqdm PyYAML matplotlib seaborn \
  && "$folder/bin/pip" install --quiet --no-deps --ignore-requires-python obp==0.5.7 \
  || echo "the Open Bandit Pipeline cannot be installed here: bench planner will measure without it" >&2
# Sentence encoders with the weights of assets/fetch-models.sh.
"$folder/bin/pip" install --quiet transformers onnx onnxscript onnxruntime \
  || echo "transformers or ONNX Runtime cannot be installed here: bench language will measure without them" >&2
# Its preprocessing alone, with the versions that it was written for.
"$folder/bin/pip" install --quiet --no-deps fuxictr==2.3.7 \
  && "$folder/bin/pip" install --quiet "polars==1.17.1" "pandas<3" scikit-learn PyYAML pyarrow tqdm h5py keras-preprocessing \
  || echo "FuxiCTR cannot be installed here: bench tokenise will measure without it" >&2
"$folder/bin/python" -c "import torch; print('PyTorch', torch.__version__, 'in $folder')"
