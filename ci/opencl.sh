#!/usr/bin/env bash
# Installs an OpenCL loader and PoCL, an OpenCL driver for processors, where that is possible (Debian, as root), so that
# the tests of java/opencl have a device; else they are skipped, and say why.
set -euo pipefail

present() {
  command -v ldconfig >/dev/null && ldconfig -p | grep -q 'libOpenCL\.so\.1' &&
    ls /etc/OpenCL/vendors/*.icd >/dev/null 2>&1
}

. "$(dirname "$0")/packages.sh"
present || install pocl-opencl-icd ocl-icd-libopencl1
present ||
  echo "ci/opencl.sh: there is no OpenCL driver (pocl-opencl-icd ocl-icd-libopencl1); its tests are skipped"
