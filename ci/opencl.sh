#!/usr/bin/env bash
# Installs an OpenCL loader and PoCL, an OpenCL driver for processors, where that is possible (Debian, as root), so that
# the tests of java/opencl have a device; else they are skipped, and say why.
set -euo pipefail

present() {
  command -v ldconfig >/dev/null && ldconfig -p | grep -q 'libOpenCL\.so\.1' &&
    ls /etc/OpenCL/vendors/*.icd >/dev/null 2>&1
}

packages="pocl-opencl-icd ocl-icd-libopencl1"
if ! present && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # shellcheck disable=SC2086 # packages are words
  apt-get install -y --no-install-recommends $packages >/dev/null 2>&1 ||
    { apt-get update >/dev/null 2>&1 && apt-get install -y --no-install-recommends $packages >/dev/null 2>&1; } || true
fi
present || echo "ci/opencl.sh: there is no OpenCL driver ($packages); its tests are skipped"
