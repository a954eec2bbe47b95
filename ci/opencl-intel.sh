#!/usr/bin/env bash
# Runs the tests of java/opencl on Intel's OpenCL runtime for processors, which has the integer dot products that PoCL
# lacks. Installs it from the Python registry into target/opencl-intel (1 GB). Linux x86-64.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/jdk.sh

runtime=$PWD/target/opencl-intel
if [ ! -e "$runtime/vendors/intel.icd" ]; then
  python3 -m venv "$runtime"
  "$runtime/bin/pip" install -q intel-opencl-rt==2026.2.0 intel-cmplr-lib-rt==2026.2.0
  mkdir -p "$runtime/vendors"
  echo "$runtime/lib/libintelocl.so" >"$runtime/vendors/intel.icd"
fi

export OCL_ICD_VENDORS=$runtime/vendors LD_LIBRARY_PATH=$runtime/lib
mvn -B -pl java/opencl -am verify -Dtest='dev.demitasse.opencl.*Test' -Dsurefire.failIfNoSpecifiedTests=false \
  -Dsurefire.reportNameSuffix=intel
