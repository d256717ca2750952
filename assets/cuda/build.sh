#!/bin/sh
# How is adloupe built for NVIDIA cards on a machine that has neither card nor toolkit? With this, on x86-64 Linux.
#
#   sh assets/cuda/build.sh                                       builds target/release/adloupe
#   sh assets/cuda/build.sh test --release --no-run               any other cargo command, with the feature switched on
#
# Needs Rust, a C++ compiler and python3 with pip; 2 GB of disk and, the first time, about fifteen minutes. Compute
# capability 8.0 (Ampere) and later unless CUDA_COMPUTE_CAP says otherwise. The program starts without a driver too:
# see shims.py. At run time a card needs driver 580 or later and, on the library path, the libraries that shims.py names.
set -eu
cd "$(dirname "$0")/../.."

cache="${ADLOUPE_CUDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/adloupe-cuda}"
toolkit="$cache/wheels/nvidia/cu13"
home="$cache/home"

# 13.0 and no later: a driver cannot take kernels of a newer toolkit, and 580 is what many machines have.
if [ ! -x "$toolkit/bin/nvcc" ]; then
    python3 -m pip install --quiet --no-deps --upgrade --target "$cache/wheels" \
        nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96 \
        nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.0.2.14 nvidia-curand==10.4.0.35 nvidia-cuda-nvrtc==13.0.88
fi

# A toolkit whose libraries are the shims: the linker finds nothing else, so nothing else can be asked for at start-up.
mkdir -p "$home/lib64"
for part in bin include nvvm; do ln -sfn "$toolkit/$part" "$home/$part"; done
ln -sf "$toolkit/lib/libcudart_static.a" "$home/lib64/libcudart.a"
ln -sf "$toolkit/lib/libcudadevrt.a" "$home/lib64/libcudadevrt.a"
cargo fetch --quiet --locked
python3 assets/cuda/shims.py "$home/lib64"

export CUDA_HOME="$home" CUDA_PATH="$home" CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-80}"
export PATH="$home/bin:$PATH" LIBRARY_PATH="$home/lib64${LIBRARY_PATH:+:$LIBRARY_PATH}"
if [ $# -eq 0 ]; then set -- build --release; fi
command="$1"
shift
exec cargo "$command" --features cuda "$@"
