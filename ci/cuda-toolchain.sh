#!/usr/bin/env bash
# Prints the folder of a CUDA 13.0 toolchain (nvcc, headers, cuobjdump): an installed one (CUDA_HOME, or nvcc on the
# PATH), else NVIDIA's own Python packages in Demitasse's cache, fetched at the first run (about 130 MB). No GPU and no
# driver are needed. With --installed nothing is fetched, and it fails where there is no toolchain.
set -euo pipefail

for root in "${CUDA_HOME:-}" "$(dirname "$(dirname "$(command -v nvcc || echo /none/bin/nvcc)")")"; do
  if [ -n "$root" ] && [ -x "$root/bin/nvcc" ] && [ -x "$root/bin/cuobjdump" ]; then
    echo "$root"
    exit 0
  fi
done

cache=${DEMITASSE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/demitasse}/cuda-13.0
root=$cache/nvidia/cu13
if [ ! -f "$cache/complete" ]; then
  [ "${1:-}" != --installed ] || exit 1
  python=$(command -v python3) || { echo "cuda-toolchain: Python 3 is needed to fetch nvcc" >&2; exit 1; }
  rm -rf "$cache"
  mkdir -p "$cache"
  "$python" -m pip install -q --no-deps --disable-pip-version-check --target "$cache" \
    nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cccl==13.0.85 nvidia-cuda-cuobjdump==13.5.37 nvidia-cuda-nvdisasm==13.5.37 >&2 ||
    { echo "cuda-toolchain: pip could not fetch nvcc" >&2; exit 1; }
  chmod -R u+rwX "$root"
  chmod +x "$root"/bin/* "$root"/nvvm/bin/* 2>/dev/null || true
  touch "$cache/complete"
fi
echo "$root"
