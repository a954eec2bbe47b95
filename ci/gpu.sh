#!/usr/bin/env bash
# All that a GPU is needed for, in one command, on a machine without network and without Java: unpack gpu-bundle.tar.xz
# (ci/gpu-bundle.sh) and run main/ci/gpu.sh RESULTS; pieces of a model's file (name.gguf.aa, …) may lie beside main.
# Runs the contract and end-to-end tests of the cuda device, each class in a process of its own and of which none may be
# skipped; then Demitasse's kernels and PyTorch's (where python3 has torch), each to a file of JSON lines in RESULTS.
#
#   --quick   small sizes: shows that everything runs, measures nothing
#   --tests   tests only
# With DEMITASSE_ALLOW_EMULATOR=1 and LD_LIBRARY_PATH at the emulator it runs without a GPU, as far as that goes.
set -euo pipefail
cd "$(dirname "$0")/.."
results=$(mkdir -p "${1:?the folder for results}" && cd "$1" && pwd)
quick=${2:-}
java=java/bin/java
# Files of synthetic models are written to memory, where there is room.
temporary=$([ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)" -gt $((24 << 20)) ] 2>/dev/null &&
  echo /dev/shm || echo "${TMPDIR:-/tmp}")
flags="-Djava.io.tmpdir=$temporary --enable-native-access=ALL-UNNAMED --add-modules=jdk.incubator.vector"
flags="$flags --sun-misc-unsafe-memory-access=allow -Xmx8g"

{
  echo "commit $(cat commit)"
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv 2>&1 ||
    echo "no nvidia-smi"
} | tee "$results/machine.txt"
rm -f "$results/demitasse.jsonl" "$results/torch.jsonl"

# Classes that need a newer GPU, by their own condition, would be skipped elsewhere.
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 || true)
classes=()
for class in CudaDeviceTest CudaTensorCoreTest CudaFusionTest CudaModelTest WeightTilesTest \
  $([ "$capability" = 9.0 ] && echo CudaWgmmaTest); do
  classes+=("$class")
done
if compgen -G "../*.gguf.aa" >/dev/null; then
  mkdir -p models
  for first in ../*.gguf.aa; do
    name=$(basename "${first%.aa}")
    cat "${first%.aa}".?? >"models/$name"
  done
  export DEMITASSE_CACHE=$PWD
  classes+=(CudaRealModelTest)
else
  echo "gpu.sh: no pieces of a real model beside the bundle; it is not tested"
fi
status=0
for class in "${classes[@]}"; do
  # shellcheck disable=SC2086
  timeout 300 "$java" $flags -Ddemitasse.root="$PWD" -cp "test-classes:lib/*" \
    org.junit.platform.console.ConsoleLauncher execute \
    --select-class "dev.demitasse.cuda.$class" --details=tree --disable-banner >"$results/$class.txt" 2>&1 &
done
for job in $(jobs -p); do
  wait "$job" || status=1
done
for class in "${classes[@]}"; do
  counts=$(grep -E "[1-9][0-9]* tests (successful|failed|skipped|aborted)" "$results/$class.txt" | tr -d '[]\n' ||
    echo "did not end")
  echo "$class: $counts"
  if ! grep -q "tests failed" "$results/$class.txt" ||
    grep -qE "\[ +[1-9][0-9]* (tests|containers) (skipped|aborted)" "$results/$class.txt"; then
    echo "gpu.sh: FAILED: something was skipped or broke off; see $results/$class.txt"
    status=1
  fi
done
[ "$quick" != --tests ] || exit $status

for benchmark in DeviceBenchmark ModelBenchmark; do
  # shellcheck disable=SC2086
  "$java" $flags -cp "bench-classes:lib/*" dev.demitasse.bench.$benchmark cuda $quick \
    >>"$results/demitasse.jsonl" || status=1
done
if python3 -c "import torch; assert torch.cuda.is_available()" 2>/dev/null; then
  python3 cuda/bench/torch_baselines.py >"$results/torch.jsonl" 2>"$results/torch-lacks.txt" || status=1
else
  echo "gpu.sh: PyTorch with CUDA is not here; its kernels are not measured"
fi
python3 cuda/bench/table.py "$results"/*.jsonl >"$results/table.md" || status=1
cat "$results/table.md"
echo "gpu.sh: $(wc -l <"$results/demitasse.jsonl") figures in $results/demitasse.jsonl"
exit $status
