#!/usr/bin/env bash
# Builds llama.cpp's llama-bench for CUDA, the peer of ci/gpu.sh, from the sources in the Python package
# llama-cpp-python (of the version that ci/peers.py takes), with nvcc and cuBLAS from NVIDIA's Python packages: no GPU
# and no toolkit are needed, but half an hour of two cores and 3 GB of disk. Result: gpu-peers.tar.xz (about 20 MB) in
# the folder given, default target/; unpacked beside main of gpu-bundle.tar.xz, ci/gpu.sh finds it. A second argument is
# the compute capability, 90 for 9.0 (the default). The other machine brings cuBLAS 13.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(mkdir -p "${1:-target}" && cd "${1:-target}" && pwd)
capability=${2:-90}
peer=$(sed -n 's/^PEER = "\(.*\)"$/\1/p' ci/peers.py)
work=$target/gpu-peers
mkdir -p "$work"
pip=(python3 -m pip -q --disable-pip-version-check)
[ -d "$work/toolkit/nvidia/cu13" ] || "${pip[@]}" install --no-deps --target "$work/toolkit" \
  nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 \
  nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.1.0.3
[ -d "$work/source" ] || {
  "${pip[@]}" download --no-deps --no-binary :all: -d "$work" "$peer"
  mkdir "$work/source"
  tar -C "$work/source" --strip-components=1 -xf "$work"/llama_cpp_python-*.tar.gz
}
cuda=$work/toolkit/nvidia/cu13
chmod +x "$cuda"/bin/* "$cuda"/nvvm/bin/*
ln -sfn lib "$cuda/lib64"
for library in cublas cublasLt cudart; do
  ln -sf "lib$library.so.13" "$cuda/lib/lib$library.so"
done
mkdir -p "$cuda/lib/stubs" # the driver's library, which only the other machine has
echo "int nothing;" | cc -shared -x c - -Wl,-soname,libcuda.so.1 -o "$cuda/lib/stubs/libcuda.so"
CUDACXX=$cuda/bin/nvcc cmake -S "$work/source/vendor/llama.cpp" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DGGML_CUDA=ON -DCUDAToolkit_ROOT="$cuda" -DCMAKE_CUDA_ARCHITECTURES="$capability-real" -DGGML_CUDA_NCCL=OFF \
  -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF \
  -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TOOLS=ON \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--unresolved-symbols=ignore-in-shared-libs >"$work/cmake.log"
cmake --build "$work/build" --target llama-bench
packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
mkdir "$packed/peers"
cp "$work/build/bin/llama-bench" "$packed/peers/"
for library in "$work"/build/bin/lib*.so.[0-9] "$work"/build/bin/lib*-impl.so "$cuda/lib/libcudart.so.13"; do
  cp -L "$library" "$packed/peers/"
done
strip "$packed"/peers/*
tar -C "$packed" -c peers | xz -T0 -6 >"$target/gpu-peers.tar.xz"
echo "$target/gpu-peers.tar.xz: $(($(stat -c %s "$target/gpu-peers.tar.xz") >> 20)) MiB"
