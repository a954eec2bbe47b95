#!/usr/bin/env bash
# All set-up and all tests: builds with every check, fetches the models that tests read, runs the tests, and ends with the
# totals and a list of what was skipped and why. A whole run takes some fifteen minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/jdk.sh
ci/native.sh tools
ci/cuda-toolchain.sh >/dev/null || echo "ci/test.sh: there is no nvcc; the CUDA kernels are neither built nor tested"

mvn -B -q -DskipTests package
cp_libs=$(ls java/cli/target/lib/*.jar | tr '\n' ':')
for model in smollm2-135m gemma3-270m; do
  "$JAVA_HOME/bin/java" -cp "java/cli/target/classes:$cp_libs" dev.demitasse.cli.Main pull "$model" || echo "ci/test.sh: $model was not fetched; its tests are skipped"
done

status=0
native=$(mktemp)
ci/native.sh >"$native" 2>&1 || status=1
ci/cuda.sh >>"$native" 2>&1 || status=1
ci/launcher.sh >>"$native" 2>&1 || status=1
mvn -B -fae verify 2>&1 | tee target-test.log | grep -E --line-buffered 'Tests run:|BUILD|ERROR|FAIL' || true
grep -q 'BUILD SUCCESS' target-test.log || status=1
rm -f target-test.log
cat "$native"
rm -f "$native"
python3 ci/summary.py java/*/target/surefire-reports || status=1
exit $status
