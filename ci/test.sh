#!/usr/bin/env bash
# All set-up and all tests: builds with every check, fetches the models that tests read, runs the tests, and ends with
# the totals, what was skipped and why, and what failed. A whole run takes forty minutes on two cores. What each
# part printed stays in target/ci-*.log. --opencl-intel: those of java/opencl on Intel's runtime too.
# --all-architectures: CUDA kernels are compiled for all cards, as for a release, not for two of them (ten minutes
# more); where there is a card they always are.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/jdk.sh
if ! command -v mvn >/dev/null; then
  export mvnw=$PWD/mvnw
  mvn() { "$mvnw" "$@"; }
  export -f mvn # for the scripts that this one calls
fi
more=
architectures=checked
[ ! -e /dev/nvidiactl ] || architectures=all
for argument in "$@"; do
  case $argument in
    --opencl-intel) more="$more opencl-intel" ;;
    --all-architectures) architectures=all ;;
    *)
      echo "ci/test.sh: there is no $argument; there are --opencl-intel and --all-architectures." >&2
      exit 2
      ;;
  esac
done
status=0
ci/text.py || status=1
ci/quality_tables.py --check README.md docs/numbers.md || status=1
ci/native.sh tools
ci/opencl.sh
ci/cuda-toolchain.sh >/dev/null || echo "ci/test.sh: there is no nvcc; the CUDA kernels are neither built nor tested"

mvn -B -q -T 2 -DskipTests -Dcuda.architectures=$architectures package
cp_libs=$(ls java/cli/target/lib/*.jar | tr '\n' ':')
for model in smollm2-135m gemma3-270m; do
  "$JAVA_HOME/bin/java" -cp "java/cli/target/classes:$cp_libs" dev.demitasse.cli.Main pull "$model" ||
    echo "ci/test.sh: $model was not fetched; its tests are skipped"
done
echo "ci/test.sh: everything is built: $SECONDS s"

mkdir -p target
failed=
part() { # one part, in the background of another
  local begin=$SECONDS
  ci/$1.sh >target/ci-$1.log 2>&1 || touch target/ci-$1.failed
  echo "ci/test.sh: $1: $((SECONDS - begin)) s"
}
rm -f target/ci-*.failed
./demitasse --version >/dev/null 2>&1 || true # what the launcher builds once, it builds before two of them may
# Much of it runs on one core: two at once. The launcher is timed, and stays alone.
part cuda &
for each in native gguf report embedding; do
  part $each
done
wait
part launcher
for each in native cuda launcher gguf report embedding; do
  [ ! -e target/ci-$each.failed ] || failed="$failed $each"
done
mvn -B -T 2 -fae -Dcuda.architectures=$architectures verify 2>&1 | tee target/ci-maven.log |
  grep -aE --line-buffered 'Tests run:|BUILD|ERROR|FAIL' || true
grep -aq 'BUILD SUCCESS' target/ci-maven.log || failed="$failed maven"
for part in $more; do
  ci/$part.sh >target/ci-$part.log 2>&1 || failed="$failed $part"
done
for part in native cuda launcher gguf report embedding $more; do
  tail -n 40 target/ci-$part.log
done
echo "ci/test.sh: all: $SECONDS s"
python3 ci/summary.py java/*/target/surefire-reports || status=1
for part in $failed; do
  echo "ci/test.sh: $part failed; all that it printed: target/ci-$part.log"
  status=1
done
exit $status
