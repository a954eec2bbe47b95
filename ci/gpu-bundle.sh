#!/usr/bin/env bash
# Packs what a machine with a GPU needs, and neither Java nor network is there: a Java runtime, the jars with the
# kernels, the tests of the cuda and opencl devices, the golden models, and ci/gpu.sh. Result: gpu-bundle.tar.xz (below
# 60 MB) in the folder given, default target/. A second argument is a model's file, of which pieces of at most 45 MB are
# laid beside the bundle: for the test of a real model.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/jdk.sh
target=$(mkdir -p "${1:-target}" && cd "${1:-target}" && pwd)
platform=1.14.4 # of JUnit 5.14.4

ci/cuda-toolchain.sh >/dev/null
mvn -B -q -pl java/cuda,java/opencl,java/bench -am -DskipTests -Dspotless.check.skip package
bundle=$(mktemp -d)
trap 'rm -rf "$bundle"' EXIT
mkdir -p "$bundle/main/lib" "$bundle/main/ci" "$bundle/main/cuda" "$bundle/shared"
modules=java/template,java/core,java/testkit,java/gpu,java/cuda,java/opencl
mvn -B -q -pl $modules -Dspotless.check.skip package -DskipTests \
  dependency:copy-dependencies -DincludeScope=test -DoutputDirectory="$bundle/main/lib" -Dmdep.useBaseVersion=true
mvn -B -q dependency:copy -Dartifact="org.junit.platform:junit-platform-console-standalone:$platform" \
  -DoutputDirectory="$bundle/main/lib" -f java/cuda/pom.xml
for module in ${modules//,/ }; do
  cp "$module"/target/demitasse-*.jar "$bundle/main/lib/"
done
# The console has JUnit in it; the others are for tests that do not run there.
rm -f "$bundle"/main/lib/{junit-jupiter,junit-platform-commons,junit-platform-engine,jazzer,jqwik,byte-buddy}*.jar
# A third of JCuda's libraries is a compiler of PTX that nothing here uses.
python3 - "$bundle"/main/lib/jcuda-natives-*.jar <<'END'
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old, zipfile.ZipFile(sys.argv[1] + ".new", "w", zipfile.ZIP_DEFLATED) as new:
    for entry in old.infolist():
        if "JNvPTXCompiler" not in entry.filename:
            new.writestr(entry, old.read(entry))
os.replace(sys.argv[1] + ".new", sys.argv[1])
END
cp -r java/cuda/target/test-classes "$bundle/main/test-classes"
cp -r java/opencl/target/test-classes "$bundle/main/opencl-test-classes"
# OpenCL: a loader, and the name of NVIDIA's driver for it.
mkdir -p "$bundle/main/opencl/vendors"
echo libnvidia-opencl.so.1 >"$bundle/main/opencl/vendors/nvidia.icd"
loader=$(ldconfig -p | sed -n 's/.*libOpenCL\.so\.1 .*=> //p' | head -n 1)
[ -z "$loader" ] || cp -L "$loader" "$bundle/main/opencl/libOpenCL.so.1"
rm -f "$bundle"/main/lib/lwjgl-*-natives-{macos,windows}*.jar
mkdir -p "$bundle/main/bench-classes/dev/demitasse/bench"
cp java/bench/target/classes/dev/demitasse/bench/{DeviceBenchmark,ModelBenchmark,LlamaBench}*.class \
  "$bundle/main/bench-classes/dev/demitasse/bench/"
cmake --build java/cuda/target/cmake --target bench_ceilings sweep variants >/dev/null
mkdir -p "$bundle/main/bin" "$bundle/main/kernels/variants"
cp java/cuda/target/cmake/variants/*.{tsv,fatbin} "$bundle/main/kernels/variants/"
cp java/cuda/target/cmake/{ceilings,sweep} "$bundle/main/bin/"
cp java/cuda/target/classes/dev/demitasse/cuda/{kernels.txt,*.fatbin} "$bundle/main/kernels/"
cp ci/gpu.sh "$bundle/main/ci/"
cp -r cuda/bench "$bundle/main/cuda/"
for set in models; do
  [ ! -d "../shared/golden/$set" ] ||
    { mkdir -p "$bundle/shared/golden" && cp -r "../shared/golden/$set" "$bundle/shared/golden/"; }
done
modules=java.base,java.logging,java.xml,java.management,java.naming,java.sql
modules=$modules,jdk.jfr,jdk.unsupported,jdk.incubator.vector
"$JAVA_HOME/bin/jlink" --add-modules $modules \
  --strip-debug --no-header-files --no-man-pages --output "$bundle/main/java"
git rev-parse HEAD >"$bundle/main/commit"
tar -C "$bundle" -c main shared | xz -T0 -6 >"$target/gpu-bundle.tar.xz"
[ $# -lt 2 ] || split -b 45M "$2" "$target/$(basename "$2")."
echo "$target/gpu-bundle.tar.xz: $(($(stat -c %s "$target/gpu-bundle.tar.xz") >> 20)) MiB"
