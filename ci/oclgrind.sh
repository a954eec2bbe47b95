#!/usr/bin/env bash
# Runs the kernels of java/opencl on small shapes in oclgrind, which simulates a device and looks at every access: fails
# where one is out of bounds, or two work-items race. Takes two minutes. Installs oclgrind where that is possible
# (Debian, as root).
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/jdk.sh

driver=/usr/lib/oclgrind/liboclgrind-rt-icd.so
. ci/packages.sh
[ -e "$driver" ] || install oclgrind ocl-icd-libopencl1
[ -e "$driver" ] || { echo "ci/oclgrind.sh: oclgrind is needed; install it (package oclgrind)." >&2; exit 1; }

folder=$PWD/target/oclgrind
mkdir -p "$folder"
echo "$driver" >"$folder/oclgrind.icd"
rm -f "$folder/log"
export OCL_ICD_VENDORS=$folder OCLGRIND_DATA_RACES=1 OCLGRIND_LOG=$folder/log
mvn -B -pl java/opencl -am verify -Dtest='SmallShapesTest,OpenClFusionTest' -Dsurefire.failIfNoSpecifiedTests=false \
  -Dsurefire.reportNameSuffix=oclgrind
[ -e "$folder/log" ] || { echo "ci/oclgrind.sh: oclgrind has run nothing." >&2; exit 1; }
if [ -s "$folder/log" ]; then
  head -n 40 "$folder/log"
  echo "ci/oclgrind.sh: oclgrind has found faults; all of them: target/oclgrind/log" >&2
  exit 1
fi
echo "ci/oclgrind.sh: no fault"
