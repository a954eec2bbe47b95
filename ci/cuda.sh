#!/usr/bin/env bash
# What can be tested of the CUDA kernels without a GPU: their format; the emulator against itself with planted faults;
# the kernels on it with five orders of threads and both landings of asynchronous copies; both under AddressSanitizer
# and UndefinedBehaviorSanitizer, there with two orders and one landing; and the machine code that nvcc made (table:
# cuda/results/resources.md; budgets: cuda/budgets). The Java device is tested by Maven.
set -euo pipefail
cd "$(dirname "$0")/.."

run() { # a name and CMake's arguments
  build=cuda/build/$1
  log=$(mktemp)
  if cmake -S cuda -B "$build" -G Ninja "${@:2}" >"$log" 2>&1 &&
    cmake --build "$build" -j 2 --target test_programs >>"$log" 2>&1 &&
    ctest --test-dir "$build" --verbose >>"$log" 2>&1; then
    echo "cuda, $1: $(grep -oE '[0-9]+ checks, [0-9]+ failed' "$log" | tr '\n' ';')"
    rm -f "$log"
  else
    cat "$log"
    rm -f "$log"
    return 1
  fi
}

sources=$(find cuda -path cuda/build -prune -o -name '*.cu' -print -o -name '*.cuh' -print -o -name '*.h' -print \
  -o -name '*.cpp' -print)
if command -v clang-format >/dev/null; then
  # shellcheck disable=SC2086 # names without blanks
  clang-format --dry-run -Werror $sources
else
  echo "The format of the CUDA files is not checked: clang-format is missing"
fi
# clang-format lets comments be as long as they are.
# shellcheck disable=SC2086
if LC_ALL=C.UTF-8 grep -nE '^.{121,}' $sources cuda/CMakeLists.txt cuda/bench/*.py ci/cuda*; then
  echo "FAILED: lines of more than 120 columns"
  exit 1
fi
for tool in cmake ninja g++; do
  command -v "$tool" >/dev/null || { echo "cuda kernels: not tested, $tool is missing"; exit 0; }
done
run release &
release=$!
status=0
run sanitize -DDEMITASSE_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo || status=1
wait $release || status=1
[ $status = 0 ] || exit 1
fatbins=java/cuda/target/classes/dev/demitasse/cuda
if toolchain=$(ci/cuda-toolchain.sh --installed) && [ -e "$fatbins/gemv_int4.fatbin" ]; then
  python3 ci/cuda_resources.py "$toolchain" "$fatbins" cuda/results/resources.md
  python3 ci/cuda_budget.py "$toolchain" "$fatbins"
  # The whole sweep, with small shapes: results of all launches of a cell must have the same bits.
  # Variants are stood in for by any fatbin: the emulator has its kernels itself.
  log=$(mktemp)
  cmake --build java/cuda/target/cmake --target sweep >"$log" || { cat "$log"; exit 1; }
  rm -f "$log"
  folder=java/cuda/target/sweep
  mkdir -p $folder/variants
  cp "$fatbins"/{kernels.txt,*.fatbin} $folder/
  cp cuda/variants/gemv_bulk.tsv $folder/variants/
  for variant in $(tail -n +2 cuda/variants/gemv_bulk.tsv | cut -f1); do
    cp $folder/add.fatbin "$folder/variants/$variant-gemv_int4.fatbin"
    cp $folder/add.fatbin "$folder/variants/$variant-gemv_int8.fatbin"
  done
  cells=$(EMULATOR_CAPABILITY=90 LD_LIBRARY_PATH=java/cuda/target/cmake java/cuda/target/cmake/sweep $folder \
    --small | wc -l)
  echo "cuda, sweep on the emulator: $cells figures"
else
  python3 ci/cuda_budget.py
  echo "cuda, machine code: not checked, no nvcc was there to make it"
fi
