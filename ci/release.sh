#!/usr/bin/env bash
# Builds what a release has, as Maven Central wants it, and checks it:
#   ci/release.sh --dry-run [--checked] [OUT]
# Everything is built twice. The first build is deployed to a folder (OUT, or target/release), with sources and
# Javadoc, which must have no warning; the second must give the same bytes (artifact:compare). Of each artifact the POM
# has what Central asks for, and each jar the license. Libraries are built for all platforms, CUDA kernels for all
# cards; --checked: for two of them, in ten minutes less. Nothing is signed, and nothing leaves this machine: that is
#   mvn versions:set -DprocessAllModules -DnewVersion=VERSION
#   PATH="$(ci/zig.sh):$PATH" mvn -P release,publish -Dcuda.architectures=all -Dnative.platforms=all -DskipTests deploy
# with a version that is no snapshot, a key in gpg's agent, and Central's token as server "central" in Maven's settings.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/jdk.sh
architectures=all
out=
dry=
for argument in "$@"; do
  case $argument in
    --dry-run) dry=1 ;;
    --checked) architectures=checked ;;
    -*)
      echo "ci/release.sh: there is no $argument; there are --dry-run and --checked." >&2
      exit 2
      ;;
    *) out=$argument ;;
  esac
done
[ -n "$dry" ] || { echo "ci/release.sh: only --dry-run; how to publish: the head of this file." >&2; exit 2; }
# Not under target meanwhile: the second build cleans that.
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
ci/cuda-toolchain.sh >/dev/null || {
  echo "ci/release.sh: there is no nvcc; a release has CUDA kernels." >&2
  exit 1
}
zig=$(ci/zig.sh)
export PATH="$zig:$PATH" # builds the native library for macOS and Windows
build="mvn -B -q -P release -DskipTests -Dcuda.architectures=$architectures -Dnative.platforms=all"
$build -T 2 clean deploy -DaltDeploymentRepository=dry-run::file://"$built"
echo "ci/release.sh: built once: $SECONDS s"
# One module after the other: the goal compares all of them with the last, which another may outlast.
compare=org.apache.maven.plugins:maven-artifact-plugin:3.6.0:compare
$build clean verify $compare -Dreference.repo=dry-run::file://"$built"
echo "ci/release.sh: built twice, and the same: $SECONDS s"
python3 ci/release_check.py "$built"
out=${out:-$PWD/target/release}
mkdir -p "$out"
cp -r "$built/." "$out"
echo "ci/release.sh: what would be published: $out"
