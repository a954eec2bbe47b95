#!/usr/bin/env bash
# Prints the folder of a CUDA toolchain (nvcc, headers, cuobjdump): an installed one of CUDA 12.8 or later (CUDA_HOME,
# or nvcc on the PATH), else NVIDIA's own Python packages in Demitasse's cache, fetched at the first run (about 170 MB).
# No GPU and no driver are needed. With --installed nothing is fetched, and it fails where there is no toolchain.
#
# What a ptxas writes is read by drivers of its own major version and later ones. The packages are nvcc 13.0 (there is
# none of 12) with the ptxas of 12.9, so that drivers for CUDA 12 are served. An installed toolkit is taken as it is:
# kernels made by CUDA 13 need a driver for CUDA 13, and their list says so (cuda/CMakeLists.txt).
set -euo pipefail

for root in "${CUDA_HOME:-}" "$(dirname "$(dirname "$(command -v nvcc || echo /none/bin/nvcc)")")"; do
  if [ -n "$root" ] && [ -x "$root/bin/nvcc" ] && [ -x "$root/bin/cuobjdump" ]; then
    release=$("$root/bin/nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
    if [ "$(printf '12.8\n%s\n' "$release" | sort -V | head -1)" = 12.8 ]; then
      echo "$root"
      exit 0
    fi
    echo "cuda-toolchain: $root is of CUDA $release, and 12.8 is needed; it is passed over" >&2
  fi
done

cache=${DEMITASSE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/demitasse}/cuda-13.0-ptxas-12.9
root=$cache/nvidia/cu13
if [ ! -f "$cache/complete" ]; then
  [ "${1:-}" != --installed ] || exit 1
  python=$(command -v python3) || { echo "cuda-toolchain: Python 3 is needed to fetch nvcc" >&2; exit 1; }
  rm -rf "$cache"
  mkdir -p "$cache"
  "$python" -m pip install -q --no-deps --disable-pip-version-check --target "$cache" \
    nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cccl==13.0.85 nvidia-cuda-cuobjdump==13.5.37 nvidia-cuda-nvdisasm==13.5.37 \
    nvidia-cuda-nvcc-cu12==12.9.86 >&2 ||
    { echo "cuda-toolchain: pip could not fetch nvcc" >&2; exit 1; }
  mv -f "$cache/nvidia/cuda_nvcc/bin/ptxas" "$root/bin/ptxas"
  rm -rf "$cache/nvidia/cuda_nvcc"
  # The compiler of 13.0 writes PTX 9.0. The kernels use nothing of it that 8.8, which ptxas 12.9 reads, has not.
  mv "$root/nvvm/bin/cicc" "$root/nvvm/bin/cicc-13.0"
  cat >"$root/nvvm/bin/cicc" <<'END'
#!/bin/sh
"$0-13.0" "$@" || exit
for output; do :; done
exec sed -i 's/^\.version 9\.0$/.version 8.8/' "$output"
END
  chmod -R u+rwX "$root"
  chmod +x "$root"/bin/* "$root"/nvvm/bin/* 2>/dev/null || true
  touch "$cache/complete"
fi
echo "$root"
