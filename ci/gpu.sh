#!/usr/bin/env bash
# All that a GPU is needed for, in one command, on a machine without network and without Java: unpack gpu-bundle.tar.xz
# (ci/gpu-bundle.sh) and run main/ci/gpu.sh RESULTS; pieces of a model's file (name.gguf.aa, …) and the folder peers
# (ci/gpu-peers.sh) may lie beside main.
# Runs the contract and end-to-end tests of the cuda device, and those of the opencl device where a driver of OpenCL is
# (NVIDIA's brings one), each class in a process of its own and of which none may be skipped; then models on both,
# kernels alone in several variants (sweep), PyTorch's kernels (where python3 has torch), and operations, each to a file
# of JSON lines in RESULTS. On a card of compute capability 9.0 what it gives at most comes first (ceilings).
#
#   --quick       small sizes: shows that everything runs, measures nothing
#   --tests       tests only
#   --minutes N   ends within N minutes: what matters most comes first, what has no time left is named and left out
# With DEMITASSE_ALLOW_EMULATOR=1 and LD_LIBRARY_PATH at the emulator it runs without a GPU, as far as that goes.
set -euo pipefail
cd "$(dirname "$0")/.."
results=$(mkdir -p "${1:?the folder for results}" && cd "$1" && pwd)
shift
quick=
tests=
end=$((SECONDS + 86400))
while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=--quick ;;
  --tests) tests=1 ;;
  --minutes)
    end=$((SECONDS + ${2:?minutes} * 60 - 5)) # for what is written last
    shift
    ;;
  *)
    echo "gpu.sh: unknown option $1" >&2
    exit 2
    ;;
  esac
  shift
done
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
rm -f "$results"/{demitasse,torch,sweep,ceilings}.jsonl
status=0

# within NAME SECONDS COMMAND...: as long as there is time, and no longer than that; running out of it is no failure.
within() {
  local name=$1 most=$2 left=$((end - SECONDS)) failed=0
  shift 2
  if [ "$left" -lt 10 ]; then
    echo "gpu.sh: no time left for $name" | tee -a "$results/left-out.txt" >&2
    return 0
  fi
  timeout $((left < most ? left : most)) "$@" || failed=$?
  if [ $failed = 124 ]; then
    echo "gpu.sh: $name ran out of time" | tee -a "$results/left-out.txt" >&2
  elif [ $failed != 0 ]; then
    echo "gpu.sh: FAILED: $name, $failed" >&2
    status=1
  fi
}

# Classes that need a newer GPU, by their own condition, would be skipped elsewhere.
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 || true)
classes=()
for class in CudaDeviceTest CudaTensorCoreTest CudaFusionTest CudaModelTest TuningTest \
  $([ "$capability" = 9.0 ] && echo CudaWgmmaTest); do
  classes+=("cuda.$class")
done
# The loader is the bundle's, and so is the name of NVIDIA's driver where the system has none registered.
opencl=
if compgen -G "/etc/OpenCL/vendors/*.icd" >/dev/null; then
  opencl=/etc/OpenCL/vendors
elif ldconfig -p 2>/dev/null | grep -q 'libnvidia-opencl\.so\.1'; then
  opencl=$PWD/opencl/vendors
else
  echo "gpu.sh: there is no driver of OpenCL; the opencl device is neither tested nor measured"
fi
if [ -n "$opencl" ]; then
  export OCL_ICD_VENDORS=$opencl LD_LIBRARY_PATH=$PWD/opencl${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export DEMITASSE_OPENCL_PROGRAMS=$PWD/opencl/programs
  for class in OpenClDeviceTest OpenClFusionTest OpenClModelTest OpenClFailureTest ProgramsTest; do
    classes+=("opencl.$class")
  done
fi
[ "$capability" != 9.0 ] || [ -n "$tests$quick" ] || within ceilings 60 bin/ceilings >"$results/ceilings.jsonl"
if compgen -G "../*.gguf.aa" >/dev/null; then
  mkdir -p models
  for first in ../*.gguf.aa; do
    name=$(basename "${first%.aa}")
    cat "${first%.aa}".?? >"models/$name"
  done
  export DEMITASSE_CACHE=$PWD
  classes+=(cuda.CudaRealModelTest)
  [ -z "$opencl" ] || classes+=(opencl.OpenClRealModelTest)
else
  echo "gpu.sh: no pieces of a real model beside the bundle; it is not tested"
fi
for class in "${classes[@]}"; do
  # shellcheck disable=SC2086
  timeout 300 "$java" $flags -Ddemitasse.root="$PWD" -cp "test-classes:opencl-test-classes:lib/*" \
    org.junit.platform.console.ConsoleLauncher execute \
    --select-class "dev.demitasse.$class" --details=tree --disable-banner >"$results/$class.txt" 2>&1 &
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
[ -z "$tests" ] || exit $status

# llama.cpp (ci/gpu-peers.sh) beside main: the same files, in the same run. cuBLAS is PyTorch's.
peer=
if [ -x ../peers/llama-bench ]; then
  cublas=$(python3 -c "import glob, sys
found = (f for p in sys.path for f in glob.glob(p + '/nvidia/*/lib/libcublas.so.13'))
print(next(found, '').rpartition('/')[0])" || true)
  export LD_LIBRARY_PATH=$PWD/../peers${cublas:+:$cublas}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  peer=--peer=$PWD/../peers/llama-bench
else
  echo "gpu.sh: llama.cpp is not beside the bundle; it is not measured"
fi
benchmark() { # a name, seconds, a class and its arguments, of which the first is a backend
  # shellcheck disable=SC2086
  within "$1" "$2" "$java" $flags -cp "bench-classes:lib/*" "dev.demitasse.bench.$3" "$4" $quick "${@:5}" \
    >>"$results/demitasse.jsonl"
}
benchmark "models of 8B" 240 ModelBenchmark cuda ${peer:+"$peer"} llama-8b/Q4_0
# shellcheck disable=SC2086
within "single kernels" 120 bin/sweep kernels ${quick:+--small} >"$results/sweep.jsonl"
if python3 -c "import torch; assert torch.cuda.is_available()" 2>/dev/null; then
  within PyTorch 180 python3 cuda/bench/torch_baselines.py >"$results/torch.jsonl" 2>"$results/torch-lacks.txt"
else
  echo "gpu.sh: PyTorch with CUDA is not here; its kernels are not measured"
  : >"$results/torch.jsonl"
fi
[ -z "$opencl" ] || benchmark "models by OpenCL" 240 ModelBenchmark opencl llama-8b/Q4_0/F16 llama-1b/Q4_0 tiny
benchmark operations 400 DeviceBenchmark cuda
benchmark "other models" 600 ModelBenchmark cuda ${peer:+"$peer"} llama-1b llama-8b/Q8_0 deep tiny
python3 cuda/bench/table.py "$results"/{demitasse,torch}.jsonl >"$results/table.md" || status=1
cat "$results/table.md"
echo "gpu.sh: $(wc -l <"$results/demitasse.jsonl") figures in $results/demitasse.jsonl"
exit $status
