#!/usr/bin/env bash
# The tests of the C++ kernels: under AddressSanitizer and UndefinedBehaviorSanitizer, over SIMDe (AVX-VNNI and AVX-512
# VNNI on machines without them), and for AArch64 under qemu, there a third of linear's sizes for each instruction set.
# The library with -O3 is what Java's tests load, on every operation. Installs what is missing where it may (Debian, as
# root); what cannot run is named. With the argument "tools" it only installs.
set -euo pipefail
cd "$(dirname "$0")/../native"

. ../ci/packages.sh

run() { # a preset, if its tools (the other arguments) are there
  preset=$1
  shift
  for tool in cmake ninja "$@"; do
    if ! command -v "$tool" >/dev/null && [ ! -e "$tool" ]; then
      echo "kernel_test, $preset: not run, $tool is missing"
      return 0
    fi
  done
  log=$(mktemp)
  if cmake --preset "$preset" >"$log" 2>&1 && cmake --build --preset "$preset" -j 2 >>"$log" 2>&1 &&
    ctest --preset "$preset" --verbose >>"$log" 2>&1 && grep -q "boundary $boundary" "$log"; then
    sets=$(grep -oE '[a-z0-9-]+: run$' "$log" | sed 's/: run//' | tr '\n' ' ')
    echo "kernel_test, $preset: $(grep -oE '[0-9]+ checks, [0-9]+ failed' "$log"); $sets"
    rm -f "$log"
  else
    cat "$log"
    rm -f "$log"
    return 1
  fi
}

for tool in cmake ninja g++ clang-format aarch64-linux-gnu-g++ qemu-aarch64 /usr/include/simde; do
  command -v "$tool" >/dev/null || [ -e "$tool" ] ||
    { install cmake ninja-build g++ clang-format g++-aarch64-linux-gnu qemu-user libsimde-dev; break; }
done

if [ "${1:-}" = tools ]; then
  exit 0
fi
if command -v clang-format >/dev/null; then
  clang-format --dry-run -Werror include/demitasse/*.h kernels/* jni/* tests/*
else
  echo "The format of the C++ files is not checked: clang-format is missing"
fi
boundary=$(cat include/demitasse/command.h include/demitasse/demitasse.h | sha256sum | cut -c 1-15)
# Side by side: a test runs on one core, for minutes under qemu, while the next is compiled.
parts=()
run sanitize g++ &
parts+=($!)
if [ "$(uname -m)" = x86_64 ]; then
  run simde g++ /usr/include/simde &
  parts+=($!)
  run aarch64 aarch64-linux-gnu-g++ qemu-aarch64 &
  parts+=($!)
fi
status=0
for part in "${parts[@]}"; do
  wait "$part" || status=1
done
exit $status
